/* runtime.h - a whole engine from its settings, or a part of one: ring, feeds, publisher, shards, and their threads.
 *
 * threads = 1:  everything is a step of one loop: feeds, publisher, shard.
 * threads = N:  a feed thread, a publisher thread and N shard threads, each with its own loop on one port.
 * Drive:        run() serves in the calling thread until it is told to stop; with parts.own_threads, start() and stop()
 *               do the same without keeping the caller; with threads = 1, step() leaves the loop to the caller.
 * Threads:      those made here block every signal but the faults, so that signals go to the program's own.
 * Idle:         block sleeps in the kernel, yield gives the core away between looks, spin never stops looking.
 * Memory:       reserved at open; the report says how much and for what.
 * Errors:       open fills `error` with what failed and the setting to change. */
#ifndef TWI_RUNTIME_H
#define TWI_RUNTIME_H

#include <stdatomic.h>

#include "engine/base/log.h"
#include "engine/base/settings.h"
#include "engine/fanout/shard.h"
#include "engine/runtime/venues.h"
#include "tickwire/codec.h"
#include "tickwire/feed.h"
#include "tickwire/ring.h"

#define TWI_VERSION "0.1.0"

typedef struct twi_runtime twi_runtime;

/* A feed that is not in the settings. */
typedef struct twi_runtime_source {
    const char *name; /* of its counters */
    tw_status (*open)(void *owner, tw_symbols *symbols, tw_source *source, char *error, size_t error_cap);
    void *owner;
} twi_runtime_source;

/* What the composition root puts in; outlives the runtime. */
typedef struct twi_runtime_parts {
    const tw_codec_ops *codecs[TWI_CODECS_MAX];
    uint32_t codec_count;
    tw_status (*open_feed)(const twi_settings_feed *settings, tw_symbols *symbols, tw_source *source, char *error,
                           size_t error_cap);
    twi_venue_list venues;             /* beside the built-in ones */
    const twi_runtime_source *sources; /* beside the feeds of the settings */
    uint32_t source_count;
    uint8_t without_feeds;  /* 1: the feeds of the settings are not opened */
    uint8_t without_server; /* 1: no publisher, shard or listener: feeds and ring only */
    uint8_t own_threads;    /* 1: also threads = 1 gets a thread; for start() */
} twi_runtime_parts;

TW_MUST_USE tw_status twi_runtime_open(const twi_settings *settings, const twi_runtime_parts *parts, twi_logger *logger,
                                       twi_runtime **runtime, char *error, size_t error_cap);
/* Serves until *stop is not 0 (set it from a signal handler or another thread), then ends gracefully. Blocks. */
void twi_runtime_run(twi_runtime *runtime, _Atomic int *stop);

/* With own_threads: serves from now on, without keeping the caller. TW_UNAVAILABLE: no more threads. */
TW_MUST_USE tw_status twi_runtime_start(twi_runtime *runtime);
/* Without own_threads, threads = 1: one turn, in the thread that opened it. Sleeps at most timeout_ns if there is
 * nothing to do. Returns the work done. */
uint32_t twi_runtime_step(twi_runtime *runtime, int64_t timeout_ns);
/* After start() or step(): ends gracefully, returns when nothing turns any more. Not from a thread of the runtime. */
void twi_runtime_stop(twi_runtime *runtime);

void twi_runtime_close(twi_runtime *runtime);

/* Another thread has put events on the ring: whoever sleeps looks. A system call only if somebody does. */
void twi_runtime_flush(twi_runtime *runtime);
/* Events on the ring that the publisher has not read; the producer's thread. 0 without a server. */
uint64_t twi_runtime_backlog(const twi_runtime *runtime);
tw_ring *twi_runtime_ring(twi_runtime *runtime);
const twi_counters *twi_runtime_counters(const twi_runtime *runtime);
/* 1: no feed has anything to give any more, or there is none. Any thread. */
int twi_runtime_feeds_ended(const twi_runtime *runtime);
const char *twi_runtime_loop_name(const twi_runtime *runtime); /* "" without a server */

/* The TCP port that is listened on (the one taken if port = 0 was configured); 0 without a server. */
uint16_t twi_runtime_port(const twi_runtime *runtime);
/* For --check-config and the start-up lines. */
void twi_runtime_memory(const twi_settings *settings, const twi_runtime_parts *parts, twi_memory_report *report);
/* Sums over shards; exact when the engine stands still. */
twi_shard_totals twi_runtime_count(const twi_runtime *runtime);

#endif
