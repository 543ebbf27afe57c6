/* histogram.h - a log-linear histogram: fixed memory, O(1) record, quantiles within a fixed relative error.
 *
 * Shape:    values below 2^sub_bits are counted exactly; every doubling above has 2^(sub_bits-1) equal buckets, so
 *           that a bucket is never wider than its value / 2^(sub_bits-1) (sub_bits 8: below 0.8 %, and quantiles are
 *           given as bucket ends). A value over value_max is counted as value_max and in `clamped`; max, sum and sum
 *           of squares are of the true values.
 * Memory:   the caller's: twi_histogram_bytes() says how much; no pointers inside, so that it may be copied with
 *           memcpy.
 * Thread:   one writer. The counts are relaxed atomics with plain load + store (no locked instruction), so that any
 *           thread may take a copy (twi_histogram_snapshot) while the writer goes on; such a copy may lack the very
 *           last records.
 * Units:    whatever the caller records; the engine records nanoseconds.
 * Sources:  bucket idea and percentile text follow HdrHistogram (http://hdrhistogram.org), so that its plotters read
 *           ours.
 * Non-goals: decaying windows, resizing, negative values (counted as 0). */
#ifndef TWI_HISTOGRAM_H
#define TWI_HISTOGRAM_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/base/compiler.h"
#include "tickwire/status.h"

enum {
    TWI_HISTOGRAM_SUB_BITS_MIN = 2,
    TWI_HISTOGRAM_SUB_BITS_MAX = 14,
    TWI_HISTOGRAM_SUB_BITS = 8,       /* 0.8 %, 36 KiB for an hour of ns: the engine's stages */
    TWI_HISTOGRAM_SUB_BITS_FINE = 11, /* 0.1 %, 270 KiB, three digits as HdrHistogram's custom: bots and benchmarks */
};
#define TWI_HISTOGRAM_VALUE_MAX INT64_C(3600000000000) /* one hour in ns */

typedef struct twi_histogram {
    uint32_t sub_bits;
    uint32_t bucket_count;
    int64_t value_max;
    _Atomic uint64_t count;   /* of all records */
    _Atomic uint64_t clamped; /* of records over value_max */
    _Atomic int64_t min;      /* INT64_MAX if empty */
    _Atomic int64_t max;      /* 0 if empty */
    _Atomic uint64_t sum;     /* wraps after 2^64 ns = 584 years of added latency */
    _Atomic double sum_squares;
    _Atomic uint64_t buckets[]; /* bucket_count */
} twi_histogram;

/* Bytes for a histogram; 0 if the arguments are impossible (sub_bits out of range, value_max < 2^sub_bits). */
size_t twi_histogram_bytes(uint32_t sub_bits, int64_t value_max);
/* Makes an empty histogram of `memory` (8-byte aligned). The arguments must have given bytes > 0. */
twi_histogram *twi_histogram_init(void *memory, uint32_t sub_bits, int64_t value_max);
/* init() over memory of its own, fine and up to an hour; NULL if there is none. For programs and tests; free() ends
 * it. */
twi_histogram *twi_histogram_new(void);
void twi_histogram_reset(twi_histogram *histogram);

/* Bucket of a value from 0 to value_max: one count-leading-zeros, no branch. */
static inline uint32_t twi_histogram_index(const twi_histogram *histogram, uint64_t value)
{
    uint32_t sub_bits = histogram->sub_bits;
    /* The or makes every value below 2^sub_bits look like one of sub_bits bits: shift 0, index = value. */
    uint32_t shift = 64 - sub_bits - (uint32_t)__builtin_clzll(value | (UINT64_C(1) << (sub_bits - 1)));
    return (shift << (sub_bits - 1)) + (uint32_t)(value >> shift);
}

static inline void twi_histogram_add_u64(_Atomic uint64_t *cell, uint64_t addend)
{
    atomic_store_explicit(cell, atomic_load_explicit(cell, memory_order_relaxed) + addend, memory_order_relaxed);
}

static inline void twi_histogram_record_count(twi_histogram *histogram, int64_t value, uint64_t count)
{
    int64_t positive = value > 0 ? value : 0;
    int64_t clamped = positive < histogram->value_max ? positive : histogram->value_max;
    double square = (double)positive * (double)positive * (double)count;
    twi_histogram_add_u64(&histogram->buckets[twi_histogram_index(histogram, (uint64_t)clamped)], count);
    twi_histogram_add_u64(&histogram->count, count);
    twi_histogram_add_u64(&histogram->sum, (uint64_t)positive * count);
    atomic_store_explicit(&histogram->sum_squares,
                          atomic_load_explicit(&histogram->sum_squares, memory_order_relaxed) + square,
                          memory_order_relaxed);
    if (TWI_UNLIKELY(positive < atomic_load_explicit(&histogram->min, memory_order_relaxed))) {
        atomic_store_explicit(&histogram->min, positive, memory_order_relaxed);
    }
    if (TWI_UNLIKELY(positive > atomic_load_explicit(&histogram->max, memory_order_relaxed))) {
        atomic_store_explicit(&histogram->max, positive, memory_order_relaxed);
    }
    if (TWI_UNLIKELY(positive > histogram->value_max)) {
        twi_histogram_add_u64(&histogram->clamped, count);
    }
}

static inline void twi_histogram_record(twi_histogram *histogram, int64_t value)
{
    twi_histogram_record_count(histogram, value, 1);
}

/* For a measurement that should have happened every interval_ns: a stall of value also hid the ones behind it, which
 * would have seen value - interval, value - 2 * interval, ...; they are recorded too. interval_ns <= 0: as record().
 * Not for a generator that measures from intended send times: that is corrected already. */
void twi_histogram_record_corrected(twi_histogram *histogram, int64_t value, int64_t interval_ns);

/* Adds the counts of `from`; TW_BAD_ARGUMENT if sub_bits or value_max differ. */
TW_MUST_USE tw_status twi_histogram_merge(twi_histogram *into, const twi_histogram *from);
/* Copies a histogram that another thread writes into one of equal shape; count is the sum of the copied buckets. */
TW_MUST_USE tw_status twi_histogram_snapshot(twi_histogram *into, const twi_histogram *live);

uint64_t twi_histogram_count(const twi_histogram *histogram);
/* The largest value of the bucket in which the quantile lies, but never more than max; 0 if empty. quantile from 0 to
 * 1. */
int64_t twi_histogram_quantile(const twi_histogram *histogram, double quantile);
int64_t twi_histogram_min(const twi_histogram *histogram); /* 0 if empty */
int64_t twi_histogram_max(const twi_histogram *histogram);
double twi_histogram_mean(const twi_histogram *histogram);   /* exact; 0 if empty */
double twi_histogram_stddev(const twi_histogram *histogram); /* of the population; 0 if empty */
/* How many records lie in buckets that end at or below `value`; all of them if value is max or more. */
uint64_t twi_histogram_count_up_to(const twi_histogram *histogram, int64_t value);

int64_t twi_histogram_bucket_low(const twi_histogram *histogram, uint32_t index);
int64_t twi_histogram_bucket_high(const twi_histogram *histogram, uint32_t index); /* inclusive */

/* Writes HdrHistogram's percentile text (.hgrm): values divided by `unit` (1000: ns to us), ticks_per_half 5 is the
 * custom. Returns the bytes that the whole text has, as snprintf does; it is cut at cap - 1 and ended with NUL if cap
 * > 0. */
size_t twi_histogram_hgrm(const twi_histogram *histogram, double unit, uint32_t ticks_per_half, char *out, size_t cap);

#endif
