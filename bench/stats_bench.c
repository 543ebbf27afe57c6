/* stats_bench.c - what counting costs on the hot path: a counter, a histogram record, a round of the duty watch, a
 * scrape.
 *
 * Usage:    stats_bench [--quick]
 * Method:   many calls in a row, one core, best of several repeats (the floor is what the engine pays; the rest is
 *           the machine), beside an empty loop. Prints ns per call and a hash of the work, so that nothing can be
 *           optimised away unseen. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/clock.h"
#include "engine/stats/counters.h"
#include "engine/stats/duty_cycle.h"
#include "engine/stats/exposition.h"

enum { REPEATS = 7, BLOCKS = 8 };

typedef struct bench {
    twi_counters *counters;
    twi_cells *cells;
    twi_histogram *histogram, *scratch;
    twi_duty duty;
    char *text;
    size_t text_cap;
    uint64_t hash;
} bench;

typedef void (*work)(bench *on, int64_t calls);

/* Values as latencies have them: spread over several powers of two, different each time. */
static inline int64_t next_value(uint64_t *state)
{
    *state = *state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (int64_t)(*state >> 44);
}

static void nothing(bench *on, int64_t calls)
{
    uint64_t state = 1;
    for (int64_t i = 0; i < calls; i++) {
        on->hash ^= (uint64_t)next_value(&state);
    }
}

static void add_counter(bench *on, int64_t calls)
{
    uint64_t state = 1;
    for (int64_t i = 0; i < calls; i++) {
        twi_counter_add(on->cells, TWI_COUNTER_BYTES_OUT, (uint64_t)next_value(&state));
    }
    on->hash ^= twi_counter_get(on->cells, TWI_COUNTER_BYTES_OUT);
}

static void record(bench *on, int64_t calls)
{
    uint64_t state = 1;
    for (int64_t i = 0; i < calls; i++) {
        twi_histogram_record(on->histogram, next_value(&state));
    }
    on->hash ^= twi_histogram_count(on->histogram);
}

static void watch(bench *on, int64_t calls)
{
    uint64_t state = 1;
    int64_t now_ns = on->duty.since_ns;
    for (int64_t i = 0; i < calls; i++) {
        now_ns += next_value(&state);
        twi_duty_enter(&on->duty, TWI_DUTY_IN_KERNEL, now_ns);
        twi_duty_enter(&on->duty, TWI_DUTY_IN_STEPS, now_ns + 10);
        twi_duty_round(&on->duty, now_ns + 20);
    }
    on->hash ^= twi_counter_get(on->cells, TWI_COUNTER_LOOP_CYCLES);
}

static void quantile(bench *on, int64_t calls)
{
    for (int64_t i = 0; i < calls; i++) {
        on->hash ^= (uint64_t)twi_histogram_quantile(on->histogram, 0.999);
    }
}

static void scrape(bench *on, int64_t calls)
{
    for (int64_t i = 0; i < calls; i++) {
        twi_text text = {.out = on->text, .cap = on->text_cap};
        twi_exposition_counters(&text, on->counters);
        twi_exposition_stages(&text, on->counters, on->scratch);
        on->hash ^= text.length;
    }
}

static void measure(bench *on, const char *name, work what, int64_t calls)
{
    double best = 0;
    for (int i = 0; i < REPEATS; i++) {
        int64_t start_ns = twi_monotonic_ns();
        what(on, calls);
        double per_call = (double)(twi_monotonic_ns() - start_ns) / (double)calls;
        best = i == 0 || per_call < best ? per_call : best;
    }
    printf("%-32s %12.2f ns\n", name, best);
}

static void *aligned(size_t bytes)
{
    void *memory = NULL;
    if (posix_memalign(&memory, TWI_CACHE_LINE_BYTES, bytes) != 0) {
        fprintf(stderr, "stats_bench: no memory\n");
        exit(1);
    }
    return memory;
}

int main(int argument_count, char **arguments)
{
    int quick = argument_count > 1 && strcmp(arguments[1], "--quick") == 0;
    bench on = {.counters = twi_counters_init(aligned(twi_counters_bytes(BLOCKS, BLOCKS)), BLOCKS, BLOCKS)};
    on.cells = twi_counters_open(on.counters, "thread", "bench");
    on.histogram = twi_counters_stage_open(on.counters, TWI_STAGE_PUBLISHED_TO_SENT);
    on.scratch = twi_histogram_init(aligned(twi_histogram_bytes(TWI_HISTOGRAM_SUB_BITS, TWI_HISTOGRAM_VALUE_MAX)),
                                    TWI_HISTOGRAM_SUB_BITS, TWI_HISTOGRAM_VALUE_MAX);
    on.text_cap = twi_exposition_bound(on.counters);
    on.text = aligned(on.text_cap);
    twi_duty_init(&on.duty, on.cells, 1000000, 0);

    int64_t many = quick ? 100000 : 50000000, few = quick ? 5 : 1000;
    measure(&on, "a random value (part of the next three)", nothing, many);
    measure(&on, "counter add", add_counter, many);
    measure(&on, "histogram record", record, many);
    measure(&on, "duty watch, one round", watch, many);
    measure(&on, "histogram quantile", quantile, few);
    measure(&on, "scrape of everything", scrape, few);
    printf("hash of the work %016llx\n", (unsigned long long)on.hash);
    free(on.text);
    free(on.scratch);
    free(on.counters);
    return 0;
}
