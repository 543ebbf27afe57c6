/* runtime.h - a whole engine from its settings: ring, feeds, publisher, shards, and the threads that turn them.
 *
 * threads = 1:  everything is a step of one loop on the calling thread: feeds, publisher, shard.
 * threads = N:  a feed thread, a publisher thread and N shard threads, each with its own loop on one port.
 * Idle:         block sleeps in the kernel, yield gives the core away between looks, spin never stops looking.
 * Memory:       reserved at open; the report says how much and for what.
 * Errors:       open fills `error` with what failed and the setting to change. */
#ifndef TWI_RUNTIME_H
#define TWI_RUNTIME_H

#include <stdatomic.h>

#include "engine/base/log.h"
#include "engine/base/settings.h"
#include "engine/fanout/shard.h"
#include "tickwire/codec.h"
#include "tickwire/feed.h"

#define TWI_VERSION "0.1.0"

typedef struct twi_runtime twi_runtime;

/* What the composition root puts in. */
typedef struct twi_runtime_parts {
    const tw_codec_ops *codecs[TWI_CODECS_MAX];
    uint32_t codec_count;
    tw_status (*open_feed)(const twi_settings_feed *settings, tw_symbols *symbols, tw_source *source, char *error,
                           size_t error_cap);
} twi_runtime_parts;

TW_MUST_USE tw_status twi_runtime_open(const twi_settings *settings, const twi_runtime_parts *parts, twi_logger *logger,
                                       twi_runtime **runtime, char *error, size_t error_cap);
/* Serves until *stop is not 0 (set it from a signal handler or another thread), then ends gracefully. Blocks. */
void twi_runtime_run(twi_runtime *runtime, _Atomic int *stop);
void twi_runtime_close(twi_runtime *runtime);

/* The TCP port that is listened on (the one taken if port = 0 was configured). */
uint16_t twi_runtime_port(const twi_runtime *runtime);
/* For --check-config and the start-up lines. */
void twi_runtime_memory(const twi_settings *settings, const twi_runtime_parts *parts, twi_memory_report *report);
/* Sums over shards; exact when the engine stands still. */
twi_shard_totals twi_runtime_count(const twi_runtime *runtime);

#endif
