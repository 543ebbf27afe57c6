/* runtime.c - opens and closes a runtime and tells its figures; its threads are in runtime_run.c. See runtime.h. */
#include "engine/runtime/runtime.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/clock.h"
#include "engine/base/thread.h"
#include "engine/fanout/group.h"
#include "engine/http/service.h"
#include "engine/runtime/pin.h"
#include "engine/runtime/runtime_internal.h"

enum {
    LISTENERS_PER_SHARD = 2, /* TCP and the Unix socket */
    RECV_BUFFER_BYTES = 16384,
    RECV_BUFFERS = 256,
    STAGES = 2 /* histograms beside those of the shards: receive to ring, ring to published */
};

static int64_t realtime(void *owner)
{
    (void)owner;
    return twi_realtime_ns();
}

/* ---- open ---- */

static uint32_t feed_count_max(const twi_runtime *runtime)
{
    return (runtime->parts->without_feeds ? 0 : runtime->settings->feed_count) + runtime->parts->source_count;
}

static tw_status open_counters(twi_runtime *runtime)
{
    uint32_t blocks = 1 + feed_count_max(runtime) + runtime->shard_count;
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

static void add_feed(twi_runtime *runtime, tw_source source, const char *name, const twi_settings_feed *settings)
{
    twi_feed_seat *feed = &runtime->feeds[runtime->feed_count++];
    *feed = (twi_feed_seat){.source = source,
                            .runtime = runtime,
                            .settings = settings,
                            .cells = twi_counters_open(runtime->counters, "feed", name)};
    twi_counter_set(feed->cells, TWI_COUNTER_FEED_UP, 1);
    atomic_fetch_add_explicit(&runtime->feeds_live, 1, memory_order_relaxed);
}

static tw_event *claim_for_venue(void *owner)
{
    return tw_sink_claim(&((twi_feed_seat *)owner)->runtime->ring_sink);
}

static void commit_for_venue(void *owner)
{
    twi_feed_seat *seat = owner;
    tw_sink_commit(&seat->runtime->ring_sink);
    seat->runtime->venue_events++;
    twi_counter_add(seat->cells, TWI_COUNTER_FEED_EVENTS, 1);
}

static tw_status add_venue(twi_runtime *runtime, const twi_settings_feed *settings, char *error, size_t error_cap)
{
    add_feed(runtime, (tw_source){0}, settings->exchange, settings);
    twi_feed_seat *seat = &runtime->feeds[runtime->feed_count - 1];
    seat->next_ns = INT64_MAX;
    twi_counter_set(seat->cells, TWI_COUNTER_FEED_UP, 0);
    const twi_venue_feed feed = {
        .settings = settings,
        .own = &runtime->parts->venues,
        .symbols = tw_ring_symbols(runtime->ring),
        .sink = {claim_for_venue, commit_for_venue, seat},
        .counters = seat->cells,
        .latency = runtime->ring_latency,
    };
    return twi_venues_add(runtime->venues, &feed, error, error_cap);
}

static tw_status open_feed(twi_runtime *runtime, const twi_settings_feed *settings, char *error, size_t error_cap)
{
    tw_source source = {0};
    if (settings->type == TWI_FEED_VENUE)
        return add_venue(runtime, settings, error, error_cap);
    tw_status status = runtime->parts->open_feed(settings, tw_ring_symbols(runtime->ring), &source, error, error_cap);
    if (status == TW_OK)
        add_feed(runtime, source, settings->exchange, settings);
    return status;
}

twi_loop_config twi_runtime_venue_loop_config(const twi_runtime *runtime)
{
    return (twi_loop_config){
        .sock_count_max = twi_venues_sock_count(runtime->venues),
        .recv_buffer_bytes = RECV_BUFFER_BYTES,
        .recv_buffer_count = RECV_BUFFERS,
    };
}

static tw_status open_feeds(twi_runtime *runtime, char *error, size_t error_cap)
{
    const twi_settings *settings = runtime->settings;
    const twi_runtime_parts *parts = runtime->parts;
    tw_symbols *symbols = tw_ring_symbols(runtime->ring);
    runtime->feeds = calloc(feed_count_max(runtime) + 1, sizeof *runtime->feeds);
    tw_status status = runtime->feeds != NULL ? twi_venues_open(&runtime->venues) : TW_NO_MEMORY;
    for (uint32_t i = 0; status == TW_OK && !parts->without_feeds && i < settings->feed_count; i++)
        status = open_feed(runtime, &settings->feeds[i], error, error_cap);
    for (uint32_t i = 0; status == TW_OK && i < parts->source_count; i++) {
        tw_source source = {0};
        status = parts->sources[i].open(parts->sources[i].owner, symbols, &source, error, error_cap);
        if (status == TW_OK)
            add_feed(runtime, source, parts->sources[i].name, NULL);
    }
    return status;
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
        .trade_history = (uint32_t)settings->http.trade_history,
        .candle_history = (uint32_t)settings->candles.history,
        .candle_close_delay_ns = settings->candles.close_delay_ns,
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

static tw_status listen_on(twi_runtime *runtime, twi_shard_seat *seat, char *error, size_t error_cap)
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

tw_status twi_open_seat(twi_runtime *runtime, uint32_t index)
{
    const twi_settings *settings = runtime->settings;
    const twi_runtime_parts *parts = runtime->parts;
    char *error = runtime->error;
    size_t error_cap = runtime->error_cap;
    twi_shard_seat *seat = &runtime->seats[index];
    seat->runtime = runtime;
    seat->index = index;
    char value[TWI_BLOCK_VALUE_MAX + 1], reason[TWI_RUNTIME_ERROR_MAX];
    snprintf(value, sizeof value, "shard %u", index);
    seat->cells = twi_counters_open(runtime->counters, "thread", value);
    twi_loop_config loop_config = {
        .sock_count_max = shard_connections(settings) + TWI_SHARD_CONNECTIONS_EXTRA + LISTENERS_PER_SHARD +
                          (runtime->shard_count == 1 ? twi_venues_sock_count(runtime->venues) : 0),
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
    void (*wake)(void *owner) = runtime->shard_count > 1 ? wake_publisher : NULL;
    twi_http_config http = {
        .counters = runtime->counters,
        .cells = seat->cells,
        .ready = &runtime->ready,
        .version = TWI_VERSION,
        .loop_name = seat->loop->ops->name,
        .loop_features = seat->loop->ops->features(seat->loop),
        .allow_origin = settings->http.allow_origin,
        .symbols = tw_ring_reader_symbols(runtime->reader),
        .versions = runtime->publisher->versions,
        .instrument_count_max = (uint32_t)settings->ring.instruments_max,
        .link = &seat->link,
        .wake_publisher = wake,
        .wake_owner = runtime,
        .depth_max = (uint32_t)settings->book.depth_max,
        .trade_history = (uint32_t)settings->http.trade_history,
        .candle_history = (uint32_t)settings->candles.history,
        .shard_index = index,
        .shard_count = runtime->shard_count,
    };
    if (twi_http_service_open(&seat->http, &http) != TW_OK) {
        snprintf(error, error_cap, "no memory for the HTTP answers of a shard");
        return TW_NO_MEMORY;
    }
    twi_shard_config config = {
        .loop = seat->loop,
        .symbols = tw_ring_reader_symbols(runtime->reader),
        .codec_count = parts->codec_count,
        .topic_count = runtime->publisher->topic_count,
        .link = &seat->link,
        .wake_publisher = wake,
        .wake_owner = runtime,
        .http = twi_http_service_handler(&seat->http),
        .http_pending_bytes_max = (uint64_t)settings->http.pending_bytes_max,
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
    seat->http.shard = seat->shard;
    twi_publisher_add_link(runtime->publisher, &seat->link);
    return listen_on(runtime, seat, error, error_cap);
}

int twi_start_thread(pthread_t *thread, const char *name, void *(*run)(void *), void *argument)
{
    int started = twi_thread_start(thread, NULL, run, argument) == 0;
    if (started)
        twi_name_thread(*thread, name);
    return started;
}

/* The seat is opened by its own thread; this one waits for the outcome, so that errors come out of open(). */
static tw_status open_seat_thread(twi_runtime *runtime, uint32_t index)
{
    twi_shard_seat *seat = &runtime->seats[index];
    seat->runtime = runtime;
    seat->index = index;
    char name[32];
    snprintf(name, sizeof name, "tickwire-%u", index);
    if (!twi_start_thread(&seat->thread, name, twi_run_shard, seat)) {
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

void twi_order_shards(twi_runtime *runtime, twi_shard_order order)
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

void twi_close_loop(twi_shard_seat *seat)
{
    if (seat->loop != NULL)
        seat->loop->ops->close_loop(seat->loop);
    seat->loop = NULL;
}

static tw_status open_seats(twi_runtime *runtime)
{
    int own_threads = runtime->shard_count > 1 || runtime->parts->own_threads;
    tw_status status = TW_OK;
    for (uint32_t i = 0; status == TW_OK && i < runtime->shard_count; i++)
        status = own_threads ? open_seat_thread(runtime, i) : twi_open_seat(runtime, i);
    return status;
}

static tw_status open_parts(twi_runtime *runtime, char *error, size_t error_cap)
{
    size_t seat_bytes = (runtime->shard_count + 1) * sizeof *runtime->seats;
    runtime->seats = aligned_alloc(64, (seat_bytes + 63) / 64 * 64);
    if (runtime->seats == NULL)
        return TW_NO_MEMORY;
    memset(runtime->seats, 0, seat_bytes);
    tw_status status = open_counters(runtime);
    if (status == TW_OK)
        status = open_ring(runtime, error, error_cap);
    if (status == TW_OK)
        status = open_feeds(runtime, error, error_cap);
    if (status == TW_OK && !runtime->parts->without_server)
        status = open_publisher(runtime, runtime->parts, error, error_cap);
    return status == TW_OK ? open_seats(runtime) : status;
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
    runtime->stop = &runtime->own_stop;
    runtime->error = error;
    runtime->error_cap = error_cap;
    pthread_mutex_init(&runtime->lock, NULL);
    pthread_cond_init(&runtime->changed, NULL);
    twi_nap_init(&runtime->feed_nap);
    runtime->shard_count = parts->without_server ? 0 : (uint32_t)settings->engine.threads;
    tw_status status = open_parts(runtime, error, error_cap);
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
        twi_order_shards(runtime, TWI_ORDER_QUIT);
        join_shards(runtime);
    }
    for (uint32_t i = 0; runtime->seats != NULL && i < runtime->shard_count; i++) {
        twi_close_loop(&runtime->seats[i]);
        if (runtime->seats[i].shard != NULL)
            twi_shard_close(runtime->seats[i].shard);
        twi_http_service_close(&runtime->seats[i].http);
    }
    for (uint32_t i = 0; i < runtime->feed_count; i++)
        if (runtime->feeds[i].source.ops != NULL && runtime->feeds[i].source.ops->fini != NULL)
            runtime->feeds[i].source.ops->fini(runtime->feeds[i].source.state);
    if (runtime->venues != NULL)
        twi_venues_close(runtime->venues);
    if (runtime->publisher != NULL) {
        twi_publisher_close(runtime->publisher);
        free(runtime->publisher);
    }
    if (runtime->reader != NULL)
        tw_ring_reader_close(runtime->reader);
    if (runtime->ring != NULL)
        tw_ring_close(runtime->ring);
    twi_nap_fini(&runtime->feed_nap);
    pthread_cond_destroy(&runtime->changed);
    pthread_mutex_destroy(&runtime->lock);
    free(runtime->feeds);
    free(runtime->seats);
    free(runtime->counter_memory);
    free(runtime);
}

/* ---- figures ---- */

uint16_t twi_runtime_port(const twi_runtime *runtime)
{
    return runtime->port;
}

uint64_t twi_runtime_backlog(const twi_runtime *runtime)
{
    if (runtime->shard_count == 0)
        return 0;
    uint64_t head = tw_ring_head(runtime->ring);
    uint64_t read = atomic_load_explicit(&runtime->ring_position, memory_order_relaxed);
    return head > read ? head - read : 0;
}

tw_ring *twi_runtime_ring(twi_runtime *runtime)
{
    return runtime->ring;
}

const twi_counters *twi_runtime_counters(const twi_runtime *runtime)
{
    return runtime->counters;
}

int twi_runtime_feeds_ended(const twi_runtime *runtime)
{
    return atomic_load_explicit(&runtime->feeds_live, memory_order_acquire) == 0;
}

const char *twi_runtime_loop_name(const twi_runtime *runtime)
{
    return runtime->shard_count > 0 ? runtime->seats[0].loop->ops->name : "";
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
        .topic = sizeof(twi_market_instrument) + sizeof(twi_versions) +
                 TWI_TOPIC_SLOTS * (sizeof(uint64_t) + sizeof(uint32_t)),
        .book_level = twi_book_size((uint32_t)settings->book.depth_max) / (2 * (size_t)settings->book.depth_max),
        .candle_series = twi_candle_series_bytes((uint32_t)settings->candles.history) + sizeof(int64_t),
        .trade = sizeof(tw_event),
        .http_shard = twi_answers_bytes(
            (uint32_t)settings->book.depth_max,
            twi_http_rows_max((uint32_t)settings->http.trade_history, (uint32_t)settings->candles.history)),
        .client = twi_shard_client_bytes(),
        .group = sizeof(twi_group),
        .loop_sock = per_sock,
        .recv_buffer = RECV_BUFFER_BYTES,
        .recv_buffer_count = RECV_BUFFERS,
    };
    twi_settings_memory(settings, &sizes, report);
    uint64_t venues = 0;
    for (uint32_t i = 0; i < settings->feed_count; i++)
        venues += twi_venue_memory(&settings->feeds[i], &parts->venues);
    if (venues > 0)
        twi_memory_add(report, "venues", 1, venues);
}
