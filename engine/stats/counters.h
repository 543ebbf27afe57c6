/* counters.h - what the engine counts: stable ids, one private set of cells per writer, read by anyone at any time.
 *
 * Cells:    a block of cells belongs to one writer (a thread's role, or a feed) and starts on a cache line of its
 *           own. Adding is a relaxed load, an add and a relaxed store: no locked instruction, nothing shared with
 *           other writers.
 * Reading:  sums over blocks, or one series per block, as counter_list.def says. A reader may see one counter a moment
 *           before another.
 * Memory:   the caller's, zeroed or not, without pointers inside: it may lie in shared memory or a file, so that
 *           another program (which checks `magic` and `table_hash`) can read the counters of an engine that no longer
 *           answers.
 * Thread:   blocks are opened before the threads start; add/set by the block's owner; everything else by anyone.
 * Non-goals: counters that are made at run time, resets. */
#ifndef TWI_COUNTERS_H
#define TWI_COUNTERS_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/base/compiler.h"
#include "engine/stats/histogram.h"
#include "tickwire/status.h"

typedef enum twi_counter {
#define ROW(id, kind, family, labels, help) TWI_COUNTER_##id,
#include "engine/stats/counter_list.def"
#undef ROW
    TWI_COUNTER_COUNT
} twi_counter;

typedef enum twi_counter_kind {
    TWI_KIND_COUNTER,
    TWI_KIND_GAUGE,
    TWI_KIND_FEED_COUNTER,
    TWI_KIND_FEED_GAUGE,
    TWI_KIND_THREAD_COUNTER,
    TWI_KIND_THREAD_COUNTER_NS,
    TWI_KIND_THREAD_GAUGE_NS,
} twi_counter_kind;

typedef struct twi_counter_facts {
    const char *family;
    const char *labels; /* "" or key="value" */
    const char *help;
    twi_counter_kind kind;
} twi_counter_facts;

/* The way of an event through the engine, as latency histograms in ns. */
typedef enum twi_stage {
    TWI_STAGE_RECEIVE_TO_RING,   /* bytes in hand -> event committed */
    TWI_STAGE_RING_TO_PUBLISHED, /* event received -> framed in the wire log */
    TWI_STAGE_PUBLISHED_TO_SENT, /* framed -> the kernel has it, once per send (its oldest message) */
    TWI_STAGE_COUNT
} twi_stage;

enum { TWI_BLOCK_LABEL_MAX = 15, TWI_BLOCK_VALUE_MAX = 31, TWI_BLOCK_COUNT_MAX = 1024 };

typedef struct twi_cells {
    char label[TWI_BLOCK_LABEL_MAX + 1]; /* "", "feed" or "thread" */
    char value[TWI_BLOCK_VALUE_MAX + 1]; /* "binance", "shard 0" */
    TWI_ALIGNED(TWI_CACHE_LINE_BYTES) _Atomic uint64_t cells[TWI_COUNTER_COUNT];
} twi_cells;

typedef struct twi_counters {
    uint64_t magic;
    uint64_t table_hash; /* of every name and label: equal hash, equal ids */
    uint64_t total_bytes;
    uint32_t block_count_max;
    uint32_t stage_count_max;
    _Atomic uint32_t block_count;
    _Atomic uint32_t stage_count;
} twi_counters;

static inline void twi_counter_add(twi_cells *cells, twi_counter id, uint64_t addend)
{
    twi_histogram_add_u64(&cells->cells[id], addend);
}

static inline void twi_counter_increment(twi_cells *cells, twi_counter id)
{
    twi_counter_add(cells, id, 1);
}

/* For gauges: a block's part may go below 0 as long as the sum does not. */
static inline void twi_counter_subtract(twi_cells *cells, twi_counter id, uint64_t subtrahend)
{
    twi_counter_add(cells, id, 0 - subtrahend);
}

static inline void twi_counter_set(twi_cells *cells, twi_counter id, uint64_t value)
{
    atomic_store_explicit(&cells->cells[id], value, memory_order_relaxed);
}

static inline uint64_t twi_counter_get(const twi_cells *cells, twi_counter id)
{
    return atomic_load_explicit(&cells->cells[id], memory_order_relaxed);
}

/* Bytes for that many blocks and stage histograms; the memory must be 64-byte aligned. */
size_t twi_counters_bytes(uint32_t block_count_max, uint32_t stage_count_max);
twi_counters *twi_counters_init(void *memory, uint32_t block_count_max, uint32_t stage_count_max);
/* Counters that another program made. NULL if memory holds no counters, others than this program knows, or too few
 * bytes. */
const twi_counters *twi_counters_view(const void *memory, size_t bytes);

/* A zeroed block; label "" (with value ""), "feed" or "thread". Longer values are cut. NULL if all are taken. */
twi_cells *twi_counters_open(twi_counters *counters, const char *label, const char *value);
/* A histogram for one writer; NULL if all are taken. */
twi_histogram *twi_counters_stage_open(twi_counters *counters, twi_stage stage);

const twi_counter_facts *twi_counter_facts_of(twi_counter id);
const char *twi_stage_name(twi_stage stage); /* "receive_to_ring" ... */
uint64_t twi_counters_table_hash(void);

uint64_t twi_counters_sum(const twi_counters *counters, twi_counter id);
/* Sums of all ids at once; out has TWI_COUNTER_COUNT places. */
void twi_counters_snapshot(const twi_counters *counters, uint64_t *out);
uint32_t twi_counters_block_count(const twi_counters *counters);
const twi_cells *twi_counters_block(const twi_counters *counters, uint32_t index);
/* Adds all histograms of a stage to `into` (made with TWI_HISTOGRAM_SUB_BITS, TWI_HISTOGRAM_VALUE_MAX). */
void twi_counters_stage_merge(const twi_counters *counters, twi_stage stage, twi_histogram *into);

/* The counter of a WebSocket close code and of an HTTP status; the "other" one if it has no row. */
twi_counter twi_counter_of_close(uint16_t code);
twi_counter twi_counter_of_http(uint16_t status);

#endif
