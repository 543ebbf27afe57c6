/* runtime_run.c - what the threads of a runtime do: feeds, publisher and shards turned, idled, started and stopped. See
 * runtime.h. */
#include <sched.h>
#include <string.h>
#include <time.h>

#include "engine/base/assert.h"
#include "engine/base/clock.h"
#include "engine/runtime/pin.h"
#include "engine/runtime/runtime_internal.h"

enum {
    FEED_BATCH = 256,     /* events per feed and turn: bounds how long the others wait */
    PUBLISH_TURNS_MAX = 8 /* publisher steps per turn of a single thread */
};
#define NAP_NS          INT64_C(1000000)   /* longest sleep of a thread that cannot be woken for everything */
#define LOOK_AT_STOP_NS INT64_C(100000000) /* a stop by flag is noticed within this */
#define RING_BEAT_NS    INT64_C(500000000)
#define GOODBYE_NS      INT64_C(1000000000) /* for the close frames to venues */

/* ---- feeds ---- */

/* A source without a schedule gives as much as the engine can pass on, not as much as it can make. */
static int rests(const twi_runtime *runtime, const twi_feed_seat *feed)
{
    const twi_settings_feed *settings = feed->settings;
    if (settings == NULL || runtime->shard_count == 0)
        return 0;
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
    if (runtime->refresh != NULL)
        twi_refresh_note(runtime->refresh, runtime->claimed);
    tw_sink_commit(&runtime->ring_sink);
}

static void end_feed(twi_runtime *runtime, twi_feed_seat *feed)
{
    twi_counter_set(feed->cells, TWI_COUNTER_FEED_UP, 0);
    atomic_fetch_sub_explicit(&runtime->feeds_live, 1, memory_order_release);
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
        twi_feed_seat *feed = &runtime->feeds[i];
        if (feed->next_ns <= now_ns && !rests(runtime, feed)) {
            size_t count = feed->source.ops->step(feed->source.state, now_ns, FEED_BATCH, &sink, &feed->next_ns);
            events += count;
            twi_counter_add(feed->cells, TWI_COUNTER_FEED_EVENTS, count);
            if (feed->next_ns == INT64_MAX)
                end_feed(runtime, feed);
        }
        if (feed->next_ns < *next_ns)
            *next_ns = feed->next_ns;
    }
    if (runtime->refresh != NULL)
        events += twi_refresh_step(runtime->refresh, now_ns, &runtime->ring_sink, next_ns);
    if (now_ns - runtime->ring_beat_ns >= RING_BEAT_NS) {
        runtime->ring_beat_ns = now_ns;
        tw_ring_heartbeat(runtime->ring, now_ns);
    }
    events += runtime->venue_events - runtime->venue_events_told;
    runtime->venue_events_told = runtime->venue_events;
    if (events > 0)
        tw_ring_wake(runtime->ring);
    return events;
}

/* ---- venues ---- */

static void show_venue_loop(twi_runtime *runtime, twi_loop *loop)
{
    pthread_mutex_lock(&runtime->lock);
    runtime->venue_loop_to_wake = loop;
    pthread_mutex_unlock(&runtime->lock);
}

/* Ends the sleep of the feed thread, whichever it is. */
static void wake_feeds(twi_runtime *runtime)
{
    twi_nap_end(&runtime->feed_nap);
    pthread_mutex_lock(&runtime->lock);
    if (runtime->venue_loop_to_wake != NULL)
        runtime->venue_loop_to_wake->ops->wake(runtime->venue_loop_to_wake);
    pthread_mutex_unlock(&runtime->lock);
}

/* In the thread that turns the feeds, before the first turn: connections live on its loop. */
static void start_venues(twi_runtime *runtime)
{
    char reason[TWI_RUNTIME_ERROR_MAX] = "";
    if (runtime->venue_loop != NULL || twi_venues_count(runtime->venues) == 0)
        return;
    tw_status status = TW_OK;
    if (runtime->shard_count == 1) {
        runtime->venue_loop = runtime->seats[0].loop;
    } else {
        const twi_loop_config config = twi_runtime_venue_loop_config(runtime);
        status = twi_loop_open(runtime->settings->engine.loop, &config, &runtime->venue_loop, reason, sizeof reason);
        runtime->has_venue_loop = status == TW_OK;
        show_venue_loop(runtime, status == TW_OK ? runtime->venue_loop : NULL);
    }
    if (status == TW_OK)
        status = twi_venues_start(runtime->venues, runtime->venue_loop, runtime->logger);
    if (status == TW_OK)
        return;
    twi_log(runtime->logger, TWI_LOG_ERROR, "venue", "no loop, memory or random numbers to connect with: %s", reason);
    atomic_store(runtime->stop, 1);
}

/* ... and after the last one. */
static void stop_venues(twi_runtime *runtime)
{
    if (runtime->venue_loop == NULL)
        return;
    twi_venues_stop(runtime->venues, GOODBYE_NS);
    show_venue_loop(runtime, NULL);
    if (runtime->has_venue_loop)
        runtime->venue_loop->ops->close_loop(runtime->venue_loop);
    runtime->venue_loop = NULL;
    runtime->has_venue_loop = 0;
}

/* A turn of a loop that is there for venues only; sleeps at most nap_ns. */
static uint32_t turn_venue_loop(twi_runtime *runtime, int64_t nap_ns)
{
    twi_loop *loop = runtime->venue_loop;
    int blocks = runtime->settings->engine.idle == TWI_IDLE_BLOCK && nap_ns > 0;
    uint32_t done = loop->ops->poll(loop, blocks ? twi_monotonic_ns() + nap_ns : 0);
    return done + twi_venues_step(runtime->venues);
}

/* ---- threads = 1 ---- */

/* How long to sleep if the next event is due then, and no longer than wait_ns. */
static int64_t wait_for(int64_t realtime_ns, int64_t wait_ns)
{
    if (realtime_ns == INT64_MAX)
        return wait_ns;
    int64_t due_ns = realtime_ns - twi_realtime_ns();
    return due_ns < wait_ns ? due_ns : wait_ns;
}

static uint32_t step_publisher(twi_runtime *runtime)
{
    uint32_t done = twi_publisher_step(runtime->publisher);
    if (done > 0)
        atomic_store_explicit(&runtime->ring_position, tw_ring_reader_position(runtime->reader), memory_order_relaxed);
    return done;
}

/* Without a server there is nothing but feeds to turn. */
static uint32_t turn_feeds(twi_runtime *runtime, int64_t patience_ns)
{
    int64_t next_ns = INT64_MAX;
    start_venues(runtime);
    uint32_t work = (uint32_t)step_feeds(runtime, &next_ns);
    if (runtime->venue_loop != NULL)
        work += turn_venue_loop(runtime, work == 0 ? wait_for(next_ns, patience_ns) : 0);
    else if (work == 0)
        twi_nap_sleep(&runtime->feed_nap, wait_for(next_ns, patience_ns));
    return work;
}

/* Sleeps at most patience_ns, if engine.idle is to sleep. */
static uint32_t turn(twi_runtime *runtime, int feeding, int64_t patience_ns)
{
    twi_publisher *publisher = runtime->publisher;
    twi_shard_seat *seat = &runtime->seats[0];
    int64_t next_ns = INT64_MAX;
    twi_stall_step(&seat->stall, &runtime->settings->test);
    uint32_t work = feeding ? (uint32_t)step_feeds(runtime, &next_ns) : 0;
    for (uint32_t i = 0; i < PUBLISH_TURNS_MAX; i++) {
        uint32_t done = step_publisher(runtime);
        work += done;
        if (done == 0)
            break;
    }
    int64_t wait_until_ns = 0, due_ns = twi_publisher_due_ns(publisher);
    if (runtime->settings->engine.idle == TWI_IDLE_BLOCK && work == 0 && !twi_publisher_pending(publisher)) {
        int64_t wait_ns = wait_for(due_ns < next_ns ? due_ns : next_ns, patience_ns);
        wait_until_ns = wait_ns > 0 ? twi_monotonic_ns() + wait_ns : 0;
    }
    work += twi_shard_step(seat->shard, wait_until_ns);
    work += twi_venues_step(runtime->venues);
    if (runtime->settings->engine.idle == TWI_IDLE_YIELD && work == 0)
        sched_yield();
    return work;
}

static void end_single(twi_runtime *runtime)
{
    atomic_store(&runtime->ready, 0);
    twi_shard_stop(runtime->seats[0].shard);
    int64_t patience_ns = twi_monotonic_ns() + runtime->settings->engine.stop_timeout_ns;
    while (twi_shard_client_count(runtime->seats[0].shard) > 0 && twi_monotonic_ns() < patience_ns)
        turn(runtime, 0, LOOK_AT_STOP_NS);
    stop_venues(runtime);
}

static void run_single(twi_runtime *runtime)
{
    start_venues(runtime);
    while (!atomic_load_explicit(runtime->stop, memory_order_relaxed))
        turn(runtime, 1, LOOK_AT_STOP_NS);
    end_single(runtime);
}

/* ---- threads = N ---- */

static void pin(const twi_runtime *runtime, uint32_t thread_index)
{
    const twi_int_list *cpus = &runtime->settings->engine.pin_cpus;
    if (thread_index >= cpus->count)
        return;
    char error[TWI_RUNTIME_ERROR_MAX];
    if (twi_pin_thread((int)cpus->items[thread_index], error, sizeof error) != TW_OK)
        twi_log(runtime->logger, TWI_LOG_WARN, "pin", "thread %u: %s", thread_index, error);
}

/* Only the feed thread naps here: the others have a ring or a loop to wait at. */
static void idle(twi_runtime *runtime, int64_t nap_ns)
{
    switch (runtime->settings->engine.idle) {
    case TWI_IDLE_SPIN:
        twi_cpu_relax();
        return;
    case TWI_IDLE_YIELD:
        sched_yield();
        return;
    default:
        twi_nap_sleep(&runtime->feed_nap, nap_ns);
    }
}

static void *run_feeds(void *argument)
{
    twi_runtime *runtime = argument;
    pin(runtime, 0);
    start_venues(runtime);
    while (!atomic_load_explicit(runtime->stop, memory_order_relaxed)) {
        int64_t next_ns;
        size_t events = step_feeds(runtime, &next_ns);
        if (runtime->venue_loop != NULL &&
            turn_venue_loop(runtime, events > 0 ? 0 : wait_for(next_ns, LOOK_AT_STOP_NS)))
            continue;
        if (events > 0 || (runtime->venue_loop != NULL && runtime->settings->engine.idle == TWI_IDLE_BLOCK))
            continue;
        if (runtime->feed_count == 0) /* the ring's heartbeat is all that is left to do */
            twi_nap_sleep(&runtime->feed_nap, LOOK_AT_STOP_NS);
        else
            idle(runtime, wait_for(next_ns, LOOK_AT_STOP_NS));
    }
    stop_venues(runtime);
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
static int take_seat(twi_shard_seat *seat)
{
    twi_runtime *runtime = seat->runtime;
    pin(runtime, runtime->shard_count == 1 ? 0 : 2 + seat->index); /* after feed and publisher */
    tw_status status = twi_open_seat(runtime, seat->index);
    pthread_mutex_lock(&runtime->lock);
    seat->open_status = status;
    seat->has_opened = 1;
    pthread_cond_broadcast(&runtime->changed);
    while (runtime->order == TWI_ORDER_WAIT)
        pthread_cond_wait(&runtime->changed, &runtime->lock);
    int runs = status == TW_OK && runtime->order == TWI_ORDER_RUN;
    pthread_mutex_unlock(&runtime->lock);
    return runs;
}

static void turn_shard(twi_shard_seat *seat)
{
    twi_runtime *runtime = seat->runtime;
    int blocks = runtime->settings->engine.idle == TWI_IDLE_BLOCK;
    int64_t patience_ns = 0;
    for (;;) {
        if (patience_ns == 0 && atomic_load_explicit(&runtime->stop_shards, memory_order_acquire)) {
            twi_shard_stop(seat->shard);
            patience_ns = twi_monotonic_ns() + runtime->settings->engine.stop_timeout_ns;
        }
        if (patience_ns != 0 && (twi_shard_client_count(seat->shard) == 0 || twi_monotonic_ns() >= patience_ns))
            return;
        twi_stall_step(&seat->stall, &runtime->settings->test);
        if (twi_shard_step(seat->shard, blocks ? twi_monotonic_ns() + LOOK_AT_STOP_NS : 0) == 0 && !blocks)
            idle(runtime, 0);
    }
}

/* The loop lives until the runtime is closed, so that who flushes or wakes never meets one that is gone. */
static void leave_seat(twi_shard_seat *seat)
{
    twi_runtime *runtime = seat->runtime;
    pthread_mutex_lock(&runtime->lock);
    seat->has_ended = 1;
    pthread_cond_broadcast(&runtime->changed);
    while (runtime->order != TWI_ORDER_QUIT)
        pthread_cond_wait(&runtime->changed, &runtime->lock);
    pthread_mutex_unlock(&runtime->lock);
}

void *twi_run_shard(void *argument)
{
    twi_shard_seat *seat = argument;
    if (take_seat(seat)) {
        if (seat->runtime->shard_count == 1)
            run_single(seat->runtime);
        else
            turn_shard(seat);
        leave_seat(seat);
    }
    twi_close_loop(seat);
    return NULL;
}

static void wait_for_stop(const twi_runtime *runtime)
{
    while (!atomic_load_explicit(runtime->stop, memory_order_relaxed)) {
        struct timespec nap = {.tv_nsec = LOOK_AT_STOP_NS};
        nanosleep(&nap, NULL);
    }
}

static void wait_for_seats(twi_runtime *runtime)
{
    pthread_mutex_lock(&runtime->lock);
    for (uint32_t i = 0; i < runtime->shard_count; i++)
        while (!runtime->seats[i].has_ended)
            pthread_cond_wait(&runtime->changed, &runtime->lock);
    pthread_mutex_unlock(&runtime->lock);
}

static void wake_loops(twi_runtime *runtime)
{
    for (uint32_t i = 0; i < runtime->shard_count; i++)
        runtime->seats[i].loop->ops->wake(runtime->seats[i].loop);
}

/* Stopping goes with the stream: feeds and publisher first, then the shards. */
static void stop_threads(twi_runtime *runtime)
{
    atomic_store(runtime->stop, 1);
    atomic_store(&runtime->ready, 0);
    wake_feeds(runtime);
    tw_ring_wake(runtime->ring);
    if (runtime->has_feed_thread)
        pthread_join(runtime->feed_thread, NULL);
    if (runtime->has_publisher_thread)
        pthread_join(runtime->publisher_thread, NULL);
    runtime->has_feed_thread = runtime->has_publisher_thread = 0;
    atomic_store(&runtime->stop_shards, 1);
    wake_loops(runtime);
    if (runtime->order == TWI_ORDER_RUN)
        wait_for_seats(runtime);
}

/* Feeds and publisher have threads of their own unless one thread turns everything. */
static tw_status start_threads(twi_runtime *runtime)
{
    if (runtime->shard_count > 1)
        runtime->has_publisher_thread =
            twi_start_thread(&runtime->publisher_thread, "tickwire-pub", run_publisher, runtime);
    if (runtime->shard_count != 1)
        runtime->has_feed_thread = twi_start_thread(&runtime->feed_thread, "tickwire-feed", run_feeds, runtime);
    if ((runtime->shard_count > 1 && !runtime->has_publisher_thread) ||
        (runtime->shard_count != 1 && !runtime->has_feed_thread)) {
        twi_log(runtime->logger, TWI_LOG_ERROR, "threads", "the system gives no more threads");
        stop_threads(runtime);
        return TW_UNAVAILABLE;
    }
    twi_order_shards(runtime, TWI_ORDER_RUN);
    return TW_OK;
}

void twi_runtime_run(twi_runtime *runtime, _Atomic int *stop)
{
    runtime->stop = stop;
    atomic_store(&runtime->ready, 1);
    if (runtime->shard_count == 1) {
        pin(runtime, 0);
        run_single(runtime);
    } else if (start_threads(runtime) == TW_OK) {
        wait_for_stop(runtime);
        stop_threads(runtime);
    }
}

tw_status twi_runtime_start(twi_runtime *runtime)
{
    TWI_ASSERT(runtime->parts->own_threads);
    atomic_store(&runtime->ready, 1);
    return start_threads(runtime);
}

uint32_t twi_runtime_step(twi_runtime *runtime, int64_t timeout_ns)
{
    TWI_ASSERT(!runtime->parts->own_threads && runtime->shard_count <= 1);
    atomic_store_explicit(&runtime->ready, 1, memory_order_relaxed);
    if (runtime->shard_count == 0)
        return turn_feeds(runtime, timeout_ns);
    start_venues(runtime);
    return turn(runtime, 1, timeout_ns);
}

void twi_runtime_stop(twi_runtime *runtime)
{
    if (runtime->parts->own_threads)
        stop_threads(runtime);
    else if (runtime->shard_count == 1)
        end_single(runtime);
    else
        stop_venues(runtime);
}

void twi_runtime_flush(twi_runtime *runtime)
{
    tw_ring_wake(runtime->ring);
    if (runtime->shard_count == 1)
        wake_loops(runtime);
}
