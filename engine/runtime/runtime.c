/* runtime.c - see runtime.h. */
#include "engine/runtime/runtime.h"

#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "engine/base/assert.h"
#include "engine/base/clock.h"
#include "engine/fanout/group.h"
#include "engine/fanout/publisher.h"
#include "engine/http/service.h"
#include "engine/runtime/pin.h"
#include "engine/stats/counters.h"

enum {
    FEED_BATCH = 256,        /* events per feed and turn: bounds how long the others wait */
    PUBLISH_TURNS_MAX = 8,   /* publisher steps per turn of a single thread */
    LISTENERS_PER_SHARD = 2, /* TCP and the Unix socket */
    RECV_BUFFER_BYTES = 16384,
    RECV_BUFFERS = 256,
    STAGES = 2, /* histograms beside those of the shards: receive to ring, ring to published */
    ERROR_TEXT_MAX = 512
};
#define NAP_NS          INT64_C(1000000)   /* longest sleep of a thread that cannot be woken for everything */
#define LOOK_AT_STOP_NS INT64_C(100000000) /* a stop is noticed within this */
#define RING_BEAT_NS    INT64_C(500000000)

typedef struct shard_seat {
    twi_loop *loop;
    twi_shard *shard;
    twi_join_link link;
    twi_http_service http;
    twi_cells *cells;
    uint32_t index;
    twi_runtime *runtime;
    pthread_t thread; /* threads = N: opens, turns and closes the loop, which belongs to one thread (io_uring) */
    int has_thread, is_open, has_opened; /* under runtime->lock */
    tw_status open_status;
} shard_seat;

/* What the threads of the shards are told, under runtime->lock. */
typedef enum shard_order { ORDER_WAIT, ORDER_RUN, ORDER_QUIT } shard_order;

struct twi_runtime {
    const twi_settings *settings;
    twi_logger *logger;
    tw_ring *ring;
    tw_ring_reader *reader;
    tw_sink ring_sink;
    tw_event *claimed;              /* what a feed is filling in */
    int64_t step_ns;                /* Unix time at which the feeds' present step began */
    twi_histogram *ring_latency;    /* stage RECEIVE_TO_RING */
    _Atomic uint64_t ring_position; /* of the publisher, for feeds that rest */
    tw_source feeds[TWI_FEED_COUNT_MAX];
    twi_cells *feed_cells[TWI_FEED_COUNT_MAX];
    int64_t feed_next_ns[TWI_FEED_COUNT_MAX]; /* Unix time; INT64_MAX: it has ended */
    uint32_t feed_count;
    int64_t ring_beat_ns;
    twi_publisher *publisher;
    shard_seat *seats;
    uint32_t shard_count;
    void *counter_memory;
    twi_counters *counters;
    twi_cells *publisher_cells;
    uint16_t port;
    _Atomic int ready;
    _Atomic int *stop;
    _Atomic int stop_shards;
    const twi_runtime_parts *parts;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    shard_order order;
    char *error; /* of the open call that is under way */
    size_t error_cap;
};

static int64_t realtime(void *owner)
{
    (void)owner;
    return twi_realtime_ns();
}

/* ---- open ---- */

static tw_status open_counters(twi_runtime *runtime)
{
    uint32_t blocks = 1 + runtime->settings->feed_count + runtime->shard_count;
    size_t bytes = twi_counters_bytes(blocks, STAGES + runtime->shard_count);
    runtime->counter_memory = aligned_alloc(64, (bytes + 63) / 64 * 64);
    if (runtime->counter_memory == NULL)
        return TW_NO_MEMORY;
    runtime->counters = twi_counters_init(runtime->counter_memory, blocks, STAGES + runtime->shard_count);
    runtime->publisher_cells = twi_counters_open(runtime->counters, "", "");
    return TW_OK;
}

static tw_status open_ring(twi_runtime *runtime, char *error, size_t error_cap)
{
    const twi_settings_ring *settings = &runtime->settings->ring;
    tw_ring_options options = {
        .name = settings->name[0] != '\0' ? settings->name : NULL,
        .slot_count = (uint32_t)settings->slots,
        .instrument_count_max = (uint32_t)settings->instruments_max,
        .mode = (uint32_t)settings->mode,
        .huge_pages = settings->huge_pages,
    };
    tw_status status = tw_ring_open(&options, &runtime->ring, error, error_cap);
    if (status != TW_OK)
        return status;
    runtime->ring_sink = tw_ring_sink(runtime->ring);
    runtime->ring_latency = twi_counters_stage_open(runtime->counters, TWI_STAGE_RECEIVE_TO_RING);
    status = tw_ring_reader_open(runtime->ring, &runtime->reader);
    if (status != TW_OK)
        snprintf(error, error_cap, "no memory for the publisher's ring reader");
    return status;
}

static tw_status open_feeds(twi_runtime *runtime, const twi_runtime_parts *parts, char *error, size_t error_cap)
{
    const twi_settings *settings = runtime->settings;
    for (uint32_t i = 0; i < settings->feed_count; i++) {
        tw_status status =
            parts->open_feed(&settings->feeds[i], tw_ring_symbols(runtime->ring), &runtime->feeds[i], error, error_cap);
        if (status != TW_OK)
            return status;
        runtime->feed_count++;
        runtime->feed_cells[i] = twi_counters_open(runtime->counters, "feed", settings->feeds[i].exchange);
        twi_counter_set(runtime->feed_cells[i], TWI_COUNTER_FEED_UP, 1);
    }
    return TW_OK;
}

static tw_status open_publisher(twi_runtime *runtime, const twi_runtime_parts *parts, char *error, size_t error_cap)
{
    const twi_settings *settings = runtime->settings;
    runtime->publisher = aligned_alloc(64, (sizeof *runtime->publisher + 63) / 64 * 64);
    if (runtime->publisher == NULL) {
        snprintf(error, error_cap, "no memory for the publisher");
        return TW_NO_MEMORY;
    }
    twi_publisher_config config = {
        .reader = runtime->reader,
        .codec_count = parts->codec_count,
        .instrument_count_max = (uint32_t)settings->ring.instruments_max,
        .book_depth_max = (uint32_t)settings->book.depth_max,
        .log_bytes = (size_t)settings->wire_log.bytes,
        .log_index_slots = (size_t)twi_settings_index_slots(settings),
        .snapshot_bytes_max = (uint64_t)settings->stream.snapshot_budget_bytes,
        .counters = runtime->publisher_cells,
        .published_latency = twi_counters_stage_open(runtime->counters, TWI_STAGE_RING_TO_PUBLISHED),
        .realtime_ns = realtime,
    };
    memcpy(config.codecs, parts->codecs, sizeof config.codecs);
    return twi_publisher_open(runtime->publisher, &config, error, error_cap);
}

static void wake_publisher(void *owner)
{
    tw_ring_wake(((twi_runtime *)owner)->ring);
}

/* With several shards the kernel spreads connections unevenly: each may hold all of them. */
static uint32_t shard_connections(const twi_settings *settings)
{
    return (uint32_t)settings->limits.connections_max;
}

static tw_status listen_on(twi_runtime *runtime, shard_seat *seat, char *error, size_t error_cap)
{
    const twi_settings_listen *settings = &runtime->settings->listen;
    twi_sock listener;
    twi_address address = {
        .host = settings->host,
        .port = seat->index == 0 ? (uint16_t)settings->port : runtime->port,
        .reuse_port = runtime->shard_count > 1,
        .backlog = (int32_t)settings->backlog,
    };
    tw_status status = seat->loop->ops->listen(seat->loop, &address, &listener, error, error_cap);
    if (status != TW_OK)
        return status;
    if (seat->index == 0)
        runtime->port = seat->loop->ops->local_port(seat->loop, listener);
    twi_shard_listen(seat->shard, listener);
    if (seat->index != 0 || settings->unix_path[0] == '\0')
        return TW_OK;
    char host[256];
    snprintf(host, sizeof host, "unix:%s", settings->unix_path);
    twi_address local = {
        .host = host, .backlog = (int32_t)settings->backlog, .unix_mode = (uint32_t)settings->unix_mode};
    status = seat->loop->ops->listen(seat->loop, &local, &listener, error, error_cap);
    if (status == TW_OK)
        twi_shard_listen(seat->shard, listener);
    return status;
}

static tw_status open_seat(twi_runtime *runtime, uint32_t index)
{
    const twi_settings *settings = runtime->settings;
    const twi_runtime_parts *parts = runtime->parts;
    char *error = runtime->error;
    size_t error_cap = runtime->error_cap;
    shard_seat *seat = &runtime->seats[index];
    seat->runtime = runtime;
    seat->index = index;
    char value[TWI_BLOCK_VALUE_MAX + 1], reason[ERROR_TEXT_MAX];
    snprintf(value, sizeof value, "shard %u", index);
    seat->cells = twi_counters_open(runtime->counters, "thread", value);
    twi_loop_config loop_config = {
        .sock_count_max = shard_connections(settings) + TWI_SHARD_CONNECTIONS_EXTRA + LISTENERS_PER_SHARD,
        .recv_buffer_bytes = RECV_BUFFER_BYTES,
        .recv_buffer_count = RECV_BUFFERS,
        .send_batch = TWI_SEND_BATCH,
    };
    tw_status status = twi_loop_open(settings->engine.loop, &loop_config, &seat->loop, reason, sizeof reason);
    if (status != TW_OK) {
        snprintf(error, error_cap, "engine.loop = \"%s\": %s", settings->engine.loop, reason);
        return status;
    }
    if (index == 0)
        twi_log(runtime->logger, TWI_LOG_INFO, "loop", "%s", reason);
    seat->http = (twi_http_service){
        .counters = runtime->counters,
        .cells = seat->cells,
        .ready = &runtime->ready,
        .version = TWI_VERSION,
        .loop_name = seat->loop->ops->name,
        .loop_features = seat->loop->ops->features(seat->loop),
    };
    twi_shard_config config = {
        .loop = seat->loop,
        .symbols = tw_ring_reader_symbols(runtime->reader),
        .codec_count = parts->codec_count,
        .topic_count = runtime->publisher->topic_count,
        .link = &seat->link,
        .wake_publisher = runtime->shard_count > 1 ? wake_publisher : NULL,
        .wake_owner = runtime,
        .http = twi_http_service_answer,
        .http_owner = &seat->http,
        .counters = seat->cells,
        .sent_latency = twi_counters_stage_open(runtime->counters, TWI_STAGE_PUBLISHED_TO_SENT),
        .epoch = tw_ring_epoch(runtime->ring),
        .realtime_ns = realtime,
        .connection_count_max = shard_connections(settings),
        .subscription_count_max = (uint32_t)settings->limits.subscriptions_max,
        .group_count_max = (uint32_t)settings->limits.groups_max,
        .message_bytes_max = (uint32_t)settings->limits.message_bytes_max,
        .http_head_bytes_max = (uint32_t)settings->limits.http_head_bytes_max,
        .lag_percent_max = (uint32_t)settings->wire_log.lag_percent_max,
        .default_policy = settings->wire_log.default_policy,
        .handshake_timeout_ns = settings->limits.handshake_timeout_ns,
        .ping_interval_ns = settings->limits.ping_interval_ns,
        .pong_timeout_ns = settings->limits.pong_timeout_ns,
        .heartbeat_ns = settings->stream.heartbeat_ns,
        .tokens = settings->auth.tokens.items,
        .token_count = settings->auth.tokens.count,
        .version = TWI_VERSION,
    };
    for (uint32_t i = 0; i < parts->codec_count; i++) {
        config.codecs[i] = parts->codecs[i];
        config.logs[i] = &runtime->publisher->codecs[i].log;
        config.interest[i] = runtime->publisher->codecs[i].interest;
    }
    status = twi_shard_open(&config, &seat->shard, error, error_cap);
    if (status != TW_OK)
        return status;
    twi_publisher_add_link(runtime->publisher, &seat->link);
    return listen_on(runtime, seat, error, error_cap);
}

static void *run_shard(void *argument);

/* The seat is opened by its own thread; this one waits for the outcome, so that errors come out of open(). */
static tw_status open_seat_thread(twi_runtime *runtime, uint32_t index)
{
    shard_seat *seat = &runtime->seats[index];
    seat->runtime = runtime;
    seat->index = index;
    if (pthread_create(&seat->thread, NULL, run_shard, seat) != 0) {
        snprintf(runtime->error, runtime->error_cap, "the system gives no more threads (engine.threads = %u)",
                 runtime->shard_count);
        return TW_UNAVAILABLE;
    }
    seat->has_thread = 1;
    pthread_mutex_lock(&runtime->lock);
    while (!seat->has_opened)
        pthread_cond_wait(&runtime->changed, &runtime->lock);
    tw_status status = seat->open_status;
    pthread_mutex_unlock(&runtime->lock);
    return status;
}

static void order_shards(twi_runtime *runtime, shard_order order)
{
    pthread_mutex_lock(&runtime->lock);
    runtime->order = order;
    pthread_cond_broadcast(&runtime->changed);
    pthread_mutex_unlock(&runtime->lock);
}

static void join_shards(twi_runtime *runtime)
{
    for (uint32_t i = 0; i < runtime->shard_count; i++) {
        if (runtime->seats[i].has_thread)
            pthread_join(runtime->seats[i].thread, NULL);
        runtime->seats[i].has_thread = 0;
    }
}

static void close_loop(shard_seat *seat)
{
    if (seat->loop != NULL)
        seat->loop->ops->close_loop(seat->loop);
    seat->loop = NULL;
}

tw_status twi_runtime_open(const twi_settings *settings, const twi_runtime_parts *parts, twi_logger *logger,
                           twi_runtime **out, char *error, size_t error_cap)
{
    *out = NULL;
    error[0] = '\0';
    twi_runtime *runtime = calloc(1, sizeof *runtime);
    if (runtime == NULL) {
        snprintf(error, error_cap, "no memory for the engine");
        return TW_NO_MEMORY;
    }
    runtime->settings = settings;
    runtime->parts = parts;
    runtime->logger = logger;
    pthread_mutex_init(&runtime->lock, NULL);
    pthread_cond_init(&runtime->changed, NULL);
    runtime->shard_count = (uint32_t)settings->engine.threads;
    size_t seat_bytes = runtime->shard_count * sizeof *runtime->seats;
    runtime->seats = aligned_alloc(64, (seat_bytes + 63) / 64 * 64);
    tw_status status = runtime->seats != NULL ? TW_OK : TW_NO_MEMORY;
    if (runtime->seats != NULL)
        memset(runtime->seats, 0, seat_bytes);
    if (status == TW_OK)
        status = open_counters(runtime);
    if (status == TW_OK)
        status = open_ring(runtime, error, error_cap);
    if (status == TW_OK)
        status = open_feeds(runtime, parts, error, error_cap);
    if (status == TW_OK)
        status = open_publisher(runtime, parts, error, error_cap);
    runtime->error = error;
    runtime->error_cap = error_cap;
    for (uint32_t i = 0; status == TW_OK && i < runtime->shard_count; i++)
        status = runtime->shard_count == 1 ? open_seat(runtime, i) : open_seat_thread(runtime, i);
    if (status != TW_OK) {
        if (error[0] == '\0')
            snprintf(error, error_cap, "no memory for the engine");
        twi_runtime_close(runtime);
        return status;
    }
    *out = runtime;
    return TW_OK;
}

void twi_runtime_close(twi_runtime *runtime)
{
    if (runtime->seats != NULL) {
        order_shards(runtime, ORDER_QUIT);
        join_shards(runtime);
    }
    for (uint32_t i = 0; runtime->seats != NULL && i < runtime->shard_count; i++) {
        close_loop(&runtime->seats[i]);
        if (runtime->seats[i].shard != NULL)
            twi_shard_close(runtime->seats[i].shard);
    }
    for (uint32_t i = 0; i < runtime->feed_count; i++)
        runtime->feeds[i].ops->fini(runtime->feeds[i].state);
    if (runtime->publisher != NULL) {
        twi_publisher_close(runtime->publisher);
        free(runtime->publisher);
    }
    if (runtime->reader != NULL)
        tw_ring_reader_close(runtime->reader);
    if (runtime->ring != NULL)
        tw_ring_close(runtime->ring);
    pthread_cond_destroy(&runtime->changed);
    pthread_mutex_destroy(&runtime->lock);
    free(runtime->seats);
    free(runtime->counter_memory);
    free(runtime);
}

/* ---- feeds ---- */

/* A source without a schedule gives as much as the engine can pass on, not as much as it can make. */
static int rests(const twi_runtime *runtime, uint32_t feed)
{
    const twi_settings_feed *settings = &runtime->settings->feeds[feed];
    int unpaced = (settings->type == TWI_FEED_SIM && settings->rate_per_second == 0) ||
                  (settings->type == TWI_FEED_REPLAY && strcmp(settings->speed, "max") == 0);
    if (!unpaced)
        return 0;
    for (uint32_t i = 0; i < runtime->shard_count; i++)
        if (twi_shard_saturated(runtime->seats[i].shard))
            return 1;
    uint64_t read = atomic_load_explicit(&runtime->ring_position, memory_order_relaxed);
    return tw_ring_head(runtime->ring) - read > (uint64_t)runtime->settings->ring.slots / 2;
}

/* The ring's own sink, with a look at the clock of the step on the way: no clock is read per event. */
static tw_event *claim_timed(void *owner)
{
    twi_runtime *runtime = owner;
    return runtime->claimed = tw_sink_claim(&runtime->ring_sink);
}

static void commit_timed(void *owner)
{
    twi_runtime *runtime = owner;
    twi_histogram_record(runtime->ring_latency, runtime->step_ns - runtime->claimed->recv_ns);
    tw_sink_commit(&runtime->ring_sink);
}

/* Lets every feed put what is due on the ring. Returns the events; *next_ns is when the next is due (Unix time). */
static size_t step_feeds(twi_runtime *runtime, int64_t *next_ns)
{
    int64_t now_ns = twi_realtime_ns();
    tw_sink sink = {.claim = claim_timed, .commit = commit_timed, .owner = runtime};
    size_t events = 0;
    runtime->step_ns = now_ns;
    *next_ns = INT64_MAX;
    for (uint32_t i = 0; i < runtime->feed_count; i++) {
        if (runtime->feed_next_ns[i] <= now_ns && !rests(runtime, i)) {
            size_t count = runtime->feeds[i].ops->step(runtime->feeds[i].state, now_ns, FEED_BATCH, &sink,
                                                       &runtime->feed_next_ns[i]);
            events += count;
            twi_counter_add(runtime->feed_cells[i], TWI_COUNTER_FEED_EVENTS, count);
            if (runtime->feed_next_ns[i] == INT64_MAX)
                twi_counter_set(runtime->feed_cells[i], TWI_COUNTER_FEED_UP, 0);
        }
        if (runtime->feed_next_ns[i] < *next_ns)
            *next_ns = runtime->feed_next_ns[i];
    }
    if (now_ns - runtime->ring_beat_ns >= RING_BEAT_NS) {
        runtime->ring_beat_ns = now_ns;
        tw_ring_heartbeat(runtime->ring, now_ns);
    }
    if (events > 0)
        tw_ring_wake(runtime->ring);
    return events;
}

/* ---- threads = 1 ---- */

static int64_t until_monotonic(int64_t realtime_ns)
{
    int64_t wait_ns = LOOK_AT_STOP_NS;
    if (realtime_ns != INT64_MAX) {
        int64_t due_ns = realtime_ns - twi_realtime_ns();
        if (due_ns < wait_ns)
            wait_ns = due_ns;
    }
    return wait_ns > 0 ? twi_monotonic_ns() + wait_ns : 0;
}

static uint32_t step_publisher(twi_runtime *runtime)
{
    uint32_t done = twi_publisher_step(runtime->publisher);
    if (done > 0)
        atomic_store_explicit(&runtime->ring_position, tw_ring_reader_position(runtime->reader), memory_order_relaxed);
    return done;
}

static uint32_t turn(twi_runtime *runtime, int feeding)
{
    twi_publisher *publisher = runtime->publisher;
    shard_seat *seat = &runtime->seats[0];
    int64_t next_ns = INT64_MAX;
    uint32_t work = feeding ? (uint32_t)step_feeds(runtime, &next_ns) : 0;
    for (uint32_t i = 0; i < PUBLISH_TURNS_MAX; i++) {
        uint32_t done = step_publisher(runtime);
        work += done;
        if (done == 0)
            break;
    }
    int64_t wait_until_ns = 0;
    if (runtime->settings->engine.idle == TWI_IDLE_BLOCK && work == 0 && !twi_publisher_pending(publisher))
        wait_until_ns = until_monotonic(next_ns);
    work += twi_shard_step(seat->shard, wait_until_ns);
    if (runtime->settings->engine.idle == TWI_IDLE_YIELD && work == 0)
        sched_yield();
    return work;
}

static void run_single(twi_runtime *runtime)
{
    while (!atomic_load_explicit(runtime->stop, memory_order_relaxed))
        turn(runtime, 1);
    atomic_store(&runtime->ready, 0);
    twi_shard_stop(runtime->seats[0].shard);
    int64_t patience_ns = twi_monotonic_ns() + runtime->settings->engine.stop_timeout_ns;
    while (twi_shard_client_count(runtime->seats[0].shard) > 0 && twi_monotonic_ns() < patience_ns)
        turn(runtime, 0);
}

/* ---- threads = N ---- */

static void pin(const twi_runtime *runtime, uint32_t thread_index)
{
    const twi_int_list *cpus = &runtime->settings->engine.pin_cpus;
    if (thread_index >= cpus->count)
        return;
    char error[ERROR_TEXT_MAX];
    if (twi_pin_thread((int)cpus->items[thread_index], error, sizeof error) != TW_OK)
        twi_log(runtime->logger, TWI_LOG_WARN, "pin", "thread %u: %s", thread_index, error);
}

static void idle(const twi_runtime *runtime, int64_t nap_ns)
{
    switch (runtime->settings->engine.idle) {
    case TWI_IDLE_SPIN:
        twi_cpu_relax();
        return;
    case TWI_IDLE_YIELD:
        sched_yield();
        return;
    default:
        if (nap_ns > 0) {
            struct timespec nap = {.tv_sec = nap_ns / 1000000000, .tv_nsec = nap_ns % 1000000000};
            nanosleep(&nap, NULL);
        }
    }
}

static void *run_feeds(void *argument)
{
    twi_runtime *runtime = argument;
    pin(runtime, 0);
    while (!atomic_load_explicit(runtime->stop, memory_order_relaxed)) {
        int64_t next_ns;
        if (step_feeds(runtime, &next_ns) > 0)
            continue;
        int64_t nap_ns = LOOK_AT_STOP_NS;
        if (next_ns != INT64_MAX) {
            int64_t due_ns = next_ns - twi_realtime_ns();
            nap_ns = due_ns < nap_ns ? due_ns : nap_ns;
        }
        idle(runtime, nap_ns);
    }
    return NULL;
}

static void *run_publisher(void *argument)
{
    twi_runtime *runtime = argument;
    pin(runtime, 1);
    while (!atomic_load_explicit(runtime->stop, memory_order_relaxed)) {
        if (step_publisher(runtime) > 0) {
            for (uint32_t i = 0; i < runtime->shard_count; i++)
                twi_shard_wake(runtime->seats[i].shard);
            continue;
        }
        if (runtime->settings->engine.idle != TWI_IDLE_BLOCK)
            idle(runtime, 0);
        else if (tw_ring_wait(runtime->reader, NAP_NS) == TW_CLOSED)
            break;
    }
    return NULL;
}

/* Opens the seat and waits for what to do next. 1: run it. */
static int take_seat(shard_seat *seat)
{
    twi_runtime *runtime = seat->runtime;
    pin(runtime, 2 + seat->index);
    tw_status status = open_seat(runtime, seat->index);
    pthread_mutex_lock(&runtime->lock);
    seat->open_status = status;
    seat->has_opened = 1;
    pthread_cond_broadcast(&runtime->changed);
    while (runtime->order == ORDER_WAIT)
        pthread_cond_wait(&runtime->changed, &runtime->lock);
    int runs = status == TW_OK && runtime->order == ORDER_RUN;
    pthread_mutex_unlock(&runtime->lock);
    return runs;
}

static void turn_shard(shard_seat *seat)
{
    const twi_runtime *runtime = seat->runtime;
    int blocks = runtime->settings->engine.idle == TWI_IDLE_BLOCK;
    int64_t patience_ns = 0;
    for (;;) {
        if (patience_ns == 0 && atomic_load_explicit(&runtime->stop_shards, memory_order_acquire)) {
            twi_shard_stop(seat->shard);
            patience_ns = twi_monotonic_ns() + runtime->settings->engine.stop_timeout_ns;
        }
        if (patience_ns != 0 && (twi_shard_client_count(seat->shard) == 0 || twi_monotonic_ns() >= patience_ns))
            return;
        if (twi_shard_step(seat->shard, blocks ? twi_monotonic_ns() + LOOK_AT_STOP_NS : 0) == 0 && !blocks)
            idle(runtime, 0);
    }
}

static void *run_shard(void *argument)
{
    shard_seat *seat = argument;
    if (take_seat(seat))
        turn_shard(seat);
    close_loop(seat);
    return NULL;
}

static void wait_for_stop(const twi_runtime *runtime)
{
    while (!atomic_load_explicit(runtime->stop, memory_order_relaxed)) {
        struct timespec nap = {.tv_nsec = LOOK_AT_STOP_NS};
        nanosleep(&nap, NULL);
    }
}

/* Stopping goes with the stream: feeds and publisher first, so that nobody wakes a shard that has closed its loop. */
static void run_threads(twi_runtime *runtime)
{
    pthread_t feeds, publisher;
    int have_publisher = pthread_create(&publisher, NULL, run_publisher, runtime) == 0;
    int have_feeds = have_publisher && pthread_create(&feeds, NULL, run_feeds, runtime) == 0;
    if (have_feeds) {
        order_shards(runtime, ORDER_RUN);
        wait_for_stop(runtime);
    } else {
        twi_log(runtime->logger, TWI_LOG_ERROR, "threads", "the system gives no more threads");
        atomic_store(runtime->stop, 1);
    }
    atomic_store(&runtime->ready, 0);
    if (have_feeds)
        pthread_join(feeds, NULL);
    if (have_publisher)
        pthread_join(publisher, NULL);
    atomic_store(&runtime->stop_shards, 1);
    join_shards(runtime);
}

void twi_runtime_run(twi_runtime *runtime, _Atomic int *stop)
{
    runtime->stop = stop;
    atomic_store(&runtime->ready, 1);
    if (runtime->shard_count == 1) {
        pin(runtime, 0);
        run_single(runtime);
    } else {
        run_threads(runtime);
    }
}

/* ---- figures ---- */

uint16_t twi_runtime_port(const twi_runtime *runtime)
{
    return runtime->port;
}

twi_shard_totals twi_runtime_count(const twi_runtime *runtime)
{
    twi_shard_totals sum = {0};
    for (uint32_t i = 0; i < runtime->shard_count; i++) {
        twi_shard_totals totals = twi_shard_count(runtime->seats[i].shard);
        sum.published += totals.published;
        sum.delivered += totals.delivered;
        sum.lost += totals.lost;
        sum.pending += totals.pending;
    }
    return sum;
}

void twi_runtime_memory(const twi_settings *settings, const twi_runtime_parts *parts, twi_memory_report *report)
{
    uint32_t socks = shard_connections(settings) + TWI_SHARD_CONNECTIONS_EXTRA;
    twi_loop_config once = {.sock_count_max = socks}, twice = {.sock_count_max = 2 * socks};
    const char *loop = settings->engine.loop;
    size_t per_sock = (twi_loop_memory_bytes(loop, &twice) - twi_loop_memory_bytes(loop, &once)) / socks;
    twi_memory_unit_sizes sizes = {
        .ring_slot = 64,
        .instrument = sizeof(tw_instrument),
        .codec_count = parts->codec_count,
        .index_entry = TWI_ENTRY_WORDS * sizeof(uint64_t),
        .topic = sizeof(twi_market_instrument) + TWI_TOPIC_SLOTS * (sizeof(uint64_t) + sizeof(uint32_t)),
        .book_level = twi_book_size((uint32_t)settings->book.depth_max) / (2 * (size_t)settings->book.depth_max),
        .client = twi_shard_client_bytes(),
        .group = sizeof(twi_group),
        .loop_sock = per_sock,
        .recv_buffer = RECV_BUFFER_BYTES,
        .recv_buffer_count = RECV_BUFFERS,
    };
    twi_settings_memory(settings, &sizes, report);
}
