/* runtime_internal.h - the state of a runtime, which runtime.c opens and runtime_run.c turns.
 *
 * Thread:    fields say whose they are; what has no word is written before the threads run and read by all.
 * Non-goals: use outside engine/runtime. */
#ifndef TWI_RUNTIME_INTERNAL_H
#define TWI_RUNTIME_INTERNAL_H

#include <pthread.h>

#include "engine/fanout/publisher.h"
#include "engine/fanout/refresh.h"
#include "engine/http/service.h"
#include "engine/runtime/nap.h"
#include "engine/runtime/runtime.h"
#include "engine/runtime/stall.h"
#include "engine/runtime/venues.h"
#include "engine/stats/counters.h"

enum { TWI_RUNTIME_ERROR_MAX = 512 };

typedef struct twi_shard_seat {
    twi_loop *loop;
    twi_shard *shard;
    twi_join_link link;
    twi_http_service http;
    twi_cells *cells;
    twi_stall stall;
    uint32_t index;
    twi_runtime *runtime;
    pthread_t thread; /* if it has one: opens, turns and closes the loop, which belongs to one thread (io_uring) */
    int has_thread, has_opened, has_ended; /* under runtime->lock */
    tw_status open_status;
} twi_shard_seat;

/* What the threads of the shards are told, under runtime->lock. */
typedef enum twi_shard_order { TWI_ORDER_WAIT, TWI_ORDER_RUN, TWI_ORDER_QUIT } twi_shard_order;

typedef struct twi_feed_seat {
    tw_source source; /* ops NULL: a venue, which comes by itself */
    twi_runtime *runtime;
    twi_cells *cells;
    int64_t next_ns;                   /* Unix time; INT64_MAX: it has ended */
    const twi_settings_feed *settings; /* NULL: it is not from the settings */
} twi_feed_seat;

struct twi_runtime {
    const twi_settings *settings;
    twi_logger *logger;
    tw_ring *ring;
    tw_ring_reader *reader;
    tw_sink ring_sink;
    twi_refresh *refresh;           /* NULL: nobody can need it */
    tw_event *claimed;              /* what a feed is filling in */
    int64_t step_ns;                /* Unix time at which the feeds' present step began */
    twi_histogram *ring_latency;    /* stage RECEIVE_TO_RING */
    _Atomic uint64_t ring_position; /* of the publisher, for feeds that rest */
    twi_feed_seat *feeds;
    uint32_t feed_count;
    _Atomic uint32_t feeds_live; /* that have not ended */
    twi_venues *venues;
    twi_loop *venue_loop;                     /* that carries them; the feed thread's, or the single shard's */
    int has_venue_loop;                       /* it is ours to close */
    twi_loop *venue_loop_to_wake;             /* the same if it is, for other threads: under lock */
    uint64_t venue_events, venue_events_told; /* committed; of them the ring's readers were woken for */
    int64_t ring_beat_ns;
    twi_publisher *publisher;
    twi_shard_seat *seats;
    uint32_t shard_count;
    void *counter_memory;
    twi_counters *counters;
    twi_cells *publisher_cells;
    uint16_t port;
    _Atomic int ready;
    _Atomic int *stop, own_stop;
    twi_nap feed_nap;
    pthread_t feed_thread, publisher_thread;
    int has_feed_thread, has_publisher_thread;
    _Atomic int stop_shards;
    const twi_runtime_parts *parts;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    twi_shard_order order;
    char *error; /* of the open call that is under way */
    size_t error_cap;
};

/* The loop of feeds: sockets for venues, and buffers. */
twi_loop_config twi_runtime_venue_loop_config(const twi_runtime *runtime);
/* A thread with every signal but the faults blocked. 0: the system gives no more. */
int twi_start_thread(pthread_t *thread, const char *name, void *(*run)(void *), void *argument);
/* Opens loop, shard and listeners of a seat, in the thread that will turn it; errors go to runtime->error. */
tw_status twi_open_seat(twi_runtime *runtime, uint32_t index);
void twi_close_loop(twi_shard_seat *seat);
void twi_order_shards(twi_runtime *runtime, twi_shard_order order);
/* A shard's thread: opens its seat, waits for the order, turns it. */
void *twi_run_shard(void *argument);

#endif
