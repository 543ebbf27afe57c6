/* histogram.c - what is not on the hot path of a histogram: shape, merge, quantiles, text. */
#include "engine/stats/histogram.h"

#include <math.h>
#include <stdlib.h>

#include "engine/base/assert.h"
#include "engine/base/text.h"

#define LOAD(cell)         atomic_load_explicit(&(cell), memory_order_relaxed)
#define STORE(cell, value) atomic_store_explicit(&(cell), (value), memory_order_relaxed)

static int shape_is_possible(uint32_t sub_bits, int64_t value_max)
{
    return sub_bits >= TWI_HISTOGRAM_SUB_BITS_MIN && sub_bits <= TWI_HISTOGRAM_SUB_BITS_MAX &&
           value_max >= INT64_C(1) << sub_bits;
}

static uint32_t bucket_count(uint32_t sub_bits, int64_t value_max)
{
    twi_histogram shape = {.sub_bits = sub_bits};
    return twi_histogram_index(&shape, (uint64_t)value_max) + 1;
}

size_t twi_histogram_bytes(uint32_t sub_bits, int64_t value_max)
{
    if (!shape_is_possible(sub_bits, value_max)) {
        return 0;
    }
    return sizeof(twi_histogram) + bucket_count(sub_bits, value_max) * sizeof(uint64_t);
}

twi_histogram *twi_histogram_init(void *memory, uint32_t sub_bits, int64_t value_max)
{
    TWI_ASSERT(shape_is_possible(sub_bits, value_max));
    twi_histogram *histogram = memory;
    histogram->sub_bits = sub_bits;
    histogram->bucket_count = bucket_count(sub_bits, value_max);
    histogram->value_max = value_max;
    twi_histogram_reset(histogram);
    return histogram;
}

twi_histogram *twi_histogram_new(void)
{
    void *memory = malloc(twi_histogram_bytes(TWI_HISTOGRAM_SUB_BITS_FINE, TWI_HISTOGRAM_VALUE_MAX));
    return memory ? twi_histogram_init(memory, TWI_HISTOGRAM_SUB_BITS_FINE, TWI_HISTOGRAM_VALUE_MAX) : NULL;
}

void twi_histogram_reset(twi_histogram *histogram)
{
    STORE(histogram->count, 0);
    STORE(histogram->clamped, 0);
    STORE(histogram->min, INT64_MAX);
    STORE(histogram->max, 0);
    STORE(histogram->sum, 0);
    STORE(histogram->sum_squares, 0);
    for (uint32_t i = 0; i < histogram->bucket_count; i++) {
        STORE(histogram->buckets[i], 0);
    }
}

void twi_histogram_record_corrected(twi_histogram *histogram, int64_t value, int64_t interval_ns)
{
    twi_histogram_record(histogram, value);
    if (interval_ns <= 0) {
        return;
    }
    for (int64_t hidden = value - interval_ns; hidden >= interval_ns; hidden -= interval_ns) {
        twi_histogram_record(histogram, hidden);
    }
}

static int same_shape(const twi_histogram *a, const twi_histogram *b)
{
    return a->sub_bits == b->sub_bits && a->value_max == b->value_max;
}

tw_status twi_histogram_merge(twi_histogram *into, const twi_histogram *from)
{
    if (!same_shape(into, from)) {
        return TW_BAD_ARGUMENT;
    }
    uint64_t added = 0;
    for (uint32_t i = 0; i < into->bucket_count; i++) {
        uint64_t count = LOAD(from->buckets[i]);
        added += count;
        if (count > 0) {
            twi_histogram_add_u64(&into->buckets[i], count);
        }
    }
    /* The sum of the buckets and not `count`: `from` may be written to meanwhile, and quantiles need these to agree. */
    twi_histogram_add_u64(&into->count, added);
    twi_histogram_add_u64(&into->clamped, LOAD(from->clamped));
    twi_histogram_add_u64(&into->sum, LOAD(from->sum));
    STORE(into->sum_squares, LOAD(into->sum_squares) + LOAD(from->sum_squares));
    int64_t min = LOAD(from->min), max = LOAD(from->max);
    STORE(into->min, min < LOAD(into->min) ? min : LOAD(into->min));
    STORE(into->max, max > LOAD(into->max) ? max : LOAD(into->max));
    return TW_OK;
}

tw_status twi_histogram_snapshot(twi_histogram *into, const twi_histogram *live)
{
    if (!same_shape(into, live)) {
        return TW_BAD_ARGUMENT;
    }
    twi_histogram_reset(into);
    return twi_histogram_merge(into, live);
}

uint64_t twi_histogram_count(const twi_histogram *histogram)
{
    return LOAD(histogram->count);
}

int64_t twi_histogram_bucket_low(const twi_histogram *histogram, uint32_t index)
{
    uint32_t half_bits = histogram->sub_bits - 1;
    if (index >> histogram->sub_bits == 0) {
        return index;
    }
    uint32_t shift = (index >> half_bits) - 1;
    return (int64_t)(index - (shift << half_bits)) << shift;
}

int64_t twi_histogram_bucket_high(const twi_histogram *histogram, uint32_t index)
{
    uint32_t half_bits = histogram->sub_bits - 1;
    uint32_t shift = index >> histogram->sub_bits == 0 ? 0 : (index >> half_bits) - 1;
    return (int64_t)((uint64_t)twi_histogram_bucket_low(histogram, index) + (UINT64_C(1) << shift) - 1);
}

int64_t twi_histogram_quantile(const twi_histogram *histogram, double quantile)
{
    uint64_t count = LOAD(histogram->count);
    if (count == 0) {
        return 0;
    }
    double clamped = quantile < 0 ? 0 : quantile > 1 ? 1 : quantile;
    uint64_t rank = (uint64_t)ceil(clamped * (double)count);
    rank = rank == 0 ? 1 : rank > count ? count : rank;
    int64_t max = LOAD(histogram->max);
    uint64_t seen = 0;
    for (uint32_t i = 0; i + 1 < histogram->bucket_count; i++) {
        seen += LOAD(histogram->buckets[i]);
        if (seen >= rank) {
            int64_t high = twi_histogram_bucket_high(histogram, i);
            return high < max ? high : max;
        }
    }
    return max; /* the last bucket also holds what was over value_max */
}

int64_t twi_histogram_min(const twi_histogram *histogram)
{
    return LOAD(histogram->count) ? LOAD(histogram->min) : 0;
}

int64_t twi_histogram_max(const twi_histogram *histogram)
{
    return LOAD(histogram->max);
}

double twi_histogram_mean(const twi_histogram *histogram)
{
    uint64_t count = LOAD(histogram->count);
    return count ? (double)LOAD(histogram->sum) / (double)count : 0;
}

double twi_histogram_stddev(const twi_histogram *histogram)
{
    uint64_t count = LOAD(histogram->count);
    if (count == 0) {
        return 0;
    }
    double mean = twi_histogram_mean(histogram);
    double variance = LOAD(histogram->sum_squares) / (double)count - mean * mean;
    return variance > 0 ? sqrt(variance) : 0; /* equal values may give a variance just below 0 by rounding */
}

uint64_t twi_histogram_count_up_to(const twi_histogram *histogram, int64_t value)
{
    uint64_t seen = 0;
    for (uint32_t i = 0; i + 1 < histogram->bucket_count && twi_histogram_bucket_high(histogram, i) <= value; i++) {
        seen += LOAD(histogram->buckets[i]);
    }
    return value >= LOAD(histogram->max) ? LOAD(histogram->count) : seen;
}

/* ---- HdrHistogram percentile text ---- */

static void text_add_quantile(twi_text *to, const twi_histogram *histogram, double unit, double quantile)
{
    int64_t value = twi_histogram_quantile(histogram, quantile);
    unsigned long long up_to = twi_histogram_count_up_to(histogram, value);
    twi_text_add(to, "%12.3f %14.12f %10llu", (double)value / unit, quantile, up_to);
    if (quantile < 1) {
        twi_text_add(to, " %14.2f\n", 1 / (1 - quantile));
    } else {
        twi_text_add(to, "\n");
    }
}

/* ticks_per_half steps from 0 to 50 %, as many from 50 to 75 %, from 75 to 87.5 %, ... until one record is left. */
static void text_add_quantiles(twi_text *to, const twi_histogram *histogram, double unit, uint32_t ticks_per_half)
{
    double count = (double)LOAD(histogram->count);
    for (double half = 1; half <= count; half *= 2) {
        double from = 1 - 1 / half;
        for (uint32_t tick = 0; tick < ticks_per_half; tick++) {
            text_add_quantile(to, histogram, unit, from + tick / (2 * half * ticks_per_half));
        }
    }
    if (count > 0) {
        text_add_quantile(to, histogram, unit, 1);
    }
}

size_t twi_histogram_hgrm(const twi_histogram *histogram, double unit, uint32_t ticks_per_half, char *out, size_t cap)
{
    twi_text to = {.out = out, .cap = cap};
    twi_text_add(&to, "%12s %14s %10s %14s\n\n", "Value", "Percentile", "TotalCount", "1/(1-Percentile)");
    text_add_quantiles(&to, histogram, unit, ticks_per_half);
    twi_text_add(&to, "#[Mean    = %12.3f, StdDeviation   = %12.3f]\n", twi_histogram_mean(histogram) / unit,
                 twi_histogram_stddev(histogram) / unit);
    twi_text_add(&to, "#[Max     = %12.3f, Total count    = %12llu]\n", (double)LOAD(histogram->max) / unit,
                 (unsigned long long)LOAD(histogram->count));
    twi_text_add(&to, "#[Buckets = %12u, SubBuckets     = %12u]\n",
                 histogram->bucket_count >> (histogram->sub_bits - 1), 1u << histogram->sub_bits);
    return to.length;
}
