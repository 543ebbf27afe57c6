/* ring_bench.c - what the tick ring costs: one-way latency beside a bare cache line, throughput beside Concurrency
 * Kit's ring, the price of a commit and of a wake.
 *
 * Usage:    ring_bench [--quick] [--repeats N] [--cpus A,B] [--only GROUP] [--events N] [--json]
 *           GROUP: costs, latency, paced, flow, wake
 * Latency:  round trip / 2 between two cores, so that no clocks of two cores are compared: side A sends, side B
 *           answers at once. The yardstick is one cache line per direction with one store and one load. All
 *           contenders run in turn in each repeat; shown are the medians over the repeats, their spread, and the
 *           median of the per-repeat ratios to the yardstick. "paced": one way with time stamps of both cores, at a
 *           fixed rate, as a reader of a live feed sees it.
 * Through:  as fast as the producer can while the reader keeps up (it is slowed down only to keep it from lapping the
 *           reader; nothing may be lost); the reader copies batches and adds up what is in them.
 * Judge:    exit code 1 if something was lost or torn. The figures themselves are judged by whoever reads them. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bench/ring_pair.h"
#include "engine/base/compiler.h"
#include "engine/stats/histogram.h"
#include "tickwire/ring.h"

#if __has_include(<ck_ring.h>)
#define HAVE_CK 1
#include <ck_ring.h>
#else
#define HAVE_CK 0
#endif

enum {
    SLOTS = 65536,
    BATCH = 256,
    EMPTY_PAUSES = 400,
    REPEATS_MAX = 99,
    CHECK_EVERY = 1024, /* events between two looks of the producer at the reader's progress */
    HISTOGRAM_BYTES = 1 << 19,
};
#define STOP INT64_MAX

typedef struct line {
    TWI_ALIGNED(2 * TWI_CACHE_LINE_BYTES) _Atomic int64_t value; /* two lines: prefetchers work on pairs */
} line;

#if HAVE_CK
struct ck_slot {
    tw_event event;
};
CK_RING_PROTOTYPE(event, ck_slot)

typedef struct ck_side {
    struct ck_ring ring;
    struct ck_slot slots[SLOTS];
} ck_side;
#endif

/* Lies in memory that both sides share. */
typedef struct shared {
    line there, back, ready, progress;
    int64_t round_trips, events;
    int64_t pace_ticks;
    int threads;
    char names[2][24]; /* of the rings there and back */
    tw_ring *rings[2]; /* threads only */
    int64_t elapsed_ticks;
    uint64_t checksum, lost;
#if HAVE_CK
    ck_side ck_there, ck_back;
#endif
    TWI_ALIGNED(64) uint8_t histogram[HISTOGRAM_BYTES];
} shared;

static _Noreturn void die(const char *what, const char *why)
{
    fprintf(stderr, "ring_bench: %s: %s\n", what, why);
    exit(1);
}

static twi_histogram *histogram_of(shared *with)
{
    return (twi_histogram *)with->histogram;
}

static void await(line *flag, int64_t value)
{
    while (atomic_load_explicit(&flag->value, memory_order_acquire) < value) {
        twi_cpu_relax();
    }
}

static void announce(line *flag, int64_t value)
{
    atomic_store_explicit(&flag->value, value, memory_order_release);
}

/* ---- channels: how a number gets to the other side ---- */

static inline void line_send(line *to, int64_t value)
{
    atomic_store_explicit(&to->value, value, memory_order_release);
}

static inline int64_t line_receive(line *from, int64_t *last)
{
    int64_t value;
    do {
        value = atomic_load_explicit(&from->value, memory_order_acquire);
    } while (value == *last);
    *last = value;
    return value;
}

static inline void ring_send(tw_ring *to, int64_t value)
{
    tw_event *event = tw_ring_claim(to);
    event->kind = TW_EVENT_TRADE;
    event->recv_ns = value;
    event->u.trade.price = value;
    tw_ring_commit(to);
}

static inline int64_t ring_receive(tw_ring_reader *from)
{
    tw_event event;
    uint64_t lost = 0;
    while (tw_ring_read(from, &event, 1, &lost) == 0) {
    }
    return event.recv_ns;
}

static tw_ring *ring_make(shared *with, int direction)
{
    tw_ring_options options = {.name = with->threads ? NULL : with->names[direction],
                               .slot_count = SLOTS,
                               .instrument_count_max = 8,
                               .mode = 0600,
                               .huge_pages = 1};
    char error[256] = "";
    if (tw_ring_open(&options, &with->rings[direction], error, sizeof(error)) != TW_OK) {
        die("cannot make a ring", error);
    }
    return with->rings[direction];
}

static tw_ring_reader *ring_join(shared *with, int direction)
{
    tw_ring_reader *reader = NULL;
    char error[256] = "";
    tw_status status = with->threads ? tw_ring_reader_open(with->rings[direction], &reader)
                                     : tw_ring_attach(with->names[direction], &reader, error, sizeof(error));
    if (status != TW_OK) {
        die("cannot join a ring", error);
    }
    return reader;
}

/* ---- round trips ---- */

static void line_rt_a(void *owner)
{
    shared *with = owner;
    twi_histogram *histogram = histogram_of(with);
    int64_t last = 0;
    await(&with->ready, 1);
    for (int64_t i = 1; i <= with->round_trips; i++) {
        int64_t start = pair_ticks();
        line_send(&with->there, i);
        (void)line_receive(&with->back, &last);
        twi_histogram_record(histogram, (pair_ticks() - start) / 2);
    }
}

static void line_rt_b(void *owner)
{
    shared *with = owner;
    int64_t last = 0;
    announce(&with->ready, 1);
    for (int64_t i = 1; i <= with->round_trips; i++) {
        line_send(&with->back, line_receive(&with->there, &last));
    }
}

/* Both rings exist and both readers are attached before anything is sent. */
static void ring_rt_a(void *owner)
{
    shared *with = owner;
    twi_histogram *histogram = histogram_of(with);
    tw_ring *there = ring_make(with, 0);
    announce(&with->there, 1);
    await(&with->ready, 1);
    tw_ring_reader *back = ring_join(with, 1);
    for (int64_t i = 1; i <= with->round_trips; i++) {
        int64_t start = pair_ticks();
        ring_send(there, i);
        with->lost += ring_receive(back) != i;
        twi_histogram_record(histogram, (pair_ticks() - start) / 2);
    }
    tw_ring_reader_close(back);
    tw_ring_close(there);
}

static void ring_rt_b(void *owner)
{
    shared *with = owner;
    await(&with->there, 1);
    tw_ring_reader *there = ring_join(with, 0);
    tw_ring *back = ring_make(with, 1);
    announce(&with->ready, 1);
    for (int64_t i = 1; i <= with->round_trips; i++) {
        ring_send(back, ring_receive(there));
    }
    tw_ring_reader_close(there);
    tw_ring_close(back);
}

#if HAVE_CK
static inline void ck_send(ck_side *to, int64_t value)
{
    struct ck_slot slot = {.event = {.kind = TW_EVENT_TRADE, .recv_ns = value, .u.trade.price = value}};
    while (!ck_ring_enqueue_spsc_event(&to->ring, to->slots, &slot)) {
    }
}

static inline int64_t ck_receive(ck_side *from)
{
    struct ck_slot slot;
    while (!ck_ring_dequeue_spsc_event(&from->ring, from->slots, &slot)) {
    }
    return slot.event.recv_ns;
}

static void ck_rt_a(void *owner)
{
    shared *with = owner;
    await(&with->ready, 1);
    for (int64_t i = 1; i <= with->round_trips; i++) {
        int64_t start = pair_ticks();
        ck_send(&with->ck_there, i);
        with->lost += ck_receive(&with->ck_back) != i;
        twi_histogram_record(histogram_of(with), (pair_ticks() - start) / 2);
    }
}

static void ck_rt_b(void *owner)
{
    shared *with = owner;
    announce(&with->ready, 1);
    for (int64_t i = 1; i <= with->round_trips; i++) {
        ck_send(&with->ck_back, ck_receive(&with->ck_there));
    }
}
#endif

/* ---- paced, one way, by time stamp: B sends, A receives ---- */

static void record_one_way(shared *with, int64_t sent)
{
    int64_t taken = pair_ticks() - sent;
    twi_histogram_record(histogram_of(with), taken > 0 ? taken : 0);
}

static inline int64_t wait_until(int64_t due)
{
    int64_t now;
    while ((now = pair_ticks()) < due) {
    }
    return now;
}

static void line_paced_a(void *owner)
{
    shared *with = owner;
    int64_t last = 0, sent;
    announce(&with->ready, 1);
    while ((sent = line_receive(&with->there, &last)) != STOP) {
        record_one_way(with, sent);
    }
}

static void line_paced_b(void *owner)
{
    shared *with = owner;
    await(&with->ready, 1);
    int64_t due = pair_ticks() + with->pace_ticks;
    for (int64_t i = 0; i < with->round_trips; i++, due += with->pace_ticks) {
        line_send(&with->there, wait_until(due));
    }
    wait_until(due + with->pace_ticks);
    line_send(&with->there, STOP);
}

static void ring_paced_a(void *owner)
{
    shared *with = owner;
    await(&with->there, 1);
    tw_ring_reader *reader = ring_join(with, 0);
    int64_t sent;
    announce(&with->ready, 1);
    while ((sent = ring_receive(reader)) != STOP) {
        record_one_way(with, sent);
    }
    tw_ring_reader_close(reader);
}

static void ring_paced_b(void *owner)
{
    shared *with = owner;
    tw_ring *ring = ring_make(with, 0);
    announce(&with->there, 1);
    await(&with->ready, 1);
    int64_t due = pair_ticks() + with->pace_ticks;
    for (int64_t i = 0; i < with->round_trips; i++, due += with->pace_ticks) {
        ring_send(ring, wait_until(due));
    }
    ring_send(ring, STOP);
    tw_ring_close(ring);
}

/* The reader sleeps in the kernel between events; the producer rings after each. */
static void sleeper_a(void *owner)
{
    shared *with = owner;
    await(&with->there, 1);
    tw_ring_reader *reader = ring_join(with, 0);
    announce(&with->ready, 1);
    for (;;) {
        tw_event event;
        uint64_t lost = 0;
        if (tw_ring_read(reader, &event, 1, &lost) == 0) {
            tw_status status = tw_ring_wait(reader, INT64_MAX);
            if (status != TW_OK) {
                break;
            }
        } else {
            record_one_way(with, event.recv_ns);
        }
    }
    tw_ring_reader_close(reader);
}

static void sleeper_b(void *owner)
{
    shared *with = owner;
    tw_ring *ring = ring_make(with, 0);
    announce(&with->there, 1);
    await(&with->ready, 1);
    int64_t due = pair_ticks() + with->pace_ticks;
    for (int64_t i = 0; i < with->round_trips; i++, due += with->pace_ticks) {
        int64_t now = wait_until(due);
        ring_send(ring, now);
        tw_ring_wake(ring);
        with->elapsed_ticks += pair_ticks() - now;
    }
    tw_ring_close(ring);
}

/* ---- throughput: B sends, A receives ---- */

/* Some microseconds. A reader that polls the very slot that is being written makes its line travel twice per event;
 * one that wants throughput lets events gather. */
static void pause_after_empty(void)
{
    for (int i = 0; i < EMPTY_PAUSES; i++) {
        twi_cpu_relax();
    }
}

static void ring_flow_a(void *owner)
{
    shared *with = owner;
    await(&with->there, 1);
    tw_ring_reader *reader = ring_join(with, 0);
    static _Thread_local tw_event events[BATCH];
    uint64_t checksum = 0;
    announce(&with->ready, 1);
    int64_t start = pair_ticks();
    for (int64_t received = 0; received + (int64_t)with->lost < with->events;) {
        size_t count = tw_ring_read(reader, events, BATCH, &with->lost);
        for (size_t i = 0; i < count; i++) {
            checksum += (uint64_t)events[i].u.trade.price;
        }
        if (count == 0) {
            pause_after_empty();
            continue;
        }
        received += (int64_t)count;
        announce(&with->progress, received);
    }
    with->elapsed_ticks = pair_ticks() - start;
    with->checksum = checksum;
    tw_ring_reader_close(reader);
}

static void ring_flow_b(void *owner)
{
    shared *with = owner;
    tw_ring *ring = ring_make(with, 0);
    announce(&with->there, 1);
    await(&with->ready, 1);
    for (int64_t i = 0; i < with->events; i++) {
        if (i % CHECK_EVERY == 0) {
            await(&with->progress, i - SLOTS / 2);
        }
        ring_send(ring, i);
    }
    await(&with->progress, with->events);
    tw_ring_close(ring);
}

#if HAVE_CK
static void ck_flow_a(void *owner)
{
    shared *with = owner;
    uint64_t checksum = 0;
    announce(&with->ready, 1);
    int64_t start = pair_ticks();
    for (int64_t i = 0; i < with->events; i++) {
        checksum += (uint64_t)ck_receive(&with->ck_there);
    }
    with->elapsed_ticks = pair_ticks() - start;
    with->checksum = checksum;
}

static void ck_flow_b(void *owner)
{
    shared *with = owner;
    await(&with->ready, 1);
    for (int64_t i = 0; i < with->events; i++) {
        ck_send(&with->ck_there, i);
    }
}
#endif

/* ---- one measurement ---- */

typedef struct contender {
    const char *name;
    pair_side side_a, side_b;
    int threads;
    double medians[REPEATS_MAX]; /* ns, or million records per second */
    double tails[REPEATS_MAX];   /* p99 in ns */
} contender;

typedef struct bench {
    pair how;
    double ticks_per_ns;
    int repeats;
    int64_t round_trips, events, paced;
    int json, quick;
    const char *only; /* one group; NULL: all */
    shared *with;
    uint64_t lost;
} bench;

static void reset(bench *run, const contender *who)
{
    shared *with = run->with;
    announce(&with->there, 0);
    announce(&with->back, 0);
    announce(&with->ready, 0);
    announce(&with->progress, 0);
    with->threads = run->how.threads = who->threads;
    with->round_trips = run->round_trips;
    with->events = run->events;
    with->elapsed_ticks = 0;
    with->checksum = with->lost = 0;
#if HAVE_CK
    ck_ring_init(&with->ck_there.ring, SLOTS);
    ck_ring_init(&with->ck_back.ring, SLOTS);
#endif
    twi_histogram_init(with->histogram, TWI_HISTOGRAM_SUB_BITS_FINE, TWI_HISTOGRAM_VALUE_MAX);
}

static void measure_latency(bench *run, contender *who, int repeat)
{
    reset(run, who);
    pair_run(&run->how, who->side_a, who->side_b, run->with);
    twi_histogram *histogram = histogram_of(run->with);
    who->medians[repeat] = (double)twi_histogram_quantile(histogram, 0.5) / run->ticks_per_ns;
    who->tails[repeat] = (double)twi_histogram_quantile(histogram, 0.99) / run->ticks_per_ns;
    run->lost += run->with->lost;
}

static void measure_flow(bench *run, contender *who, int repeat)
{
    reset(run, who);
    pair_run(&run->how, who->side_a, who->side_b, run->with);
    uint64_t expected = (uint64_t)run->events * (uint64_t)(run->events - 1) / 2;
    run->lost += run->with->lost + (run->with->checksum != expected);
    who->medians[repeat] = (double)run->events / ((double)run->with->elapsed_ticks / run->ticks_per_ns) * 1e3;
}

static int compare_doubles(const void *a, const void *b)
{
    double left = *(const double *)a, right = *(const double *)b;
    return left < right ? -1 : left > right;
}

typedef struct spread {
    double low, median, high;
} spread;

static spread spread_of(const double *values, int count)
{
    double sorted[REPEATS_MAX];
    memcpy(sorted, values, (size_t)count * sizeof(double));
    qsort(sorted, (size_t)count, sizeof(double), compare_doubles);
    double median = count % 2 ? sorted[count / 2] : (sorted[count / 2 - 1] + sorted[count / 2]) / 2;
    return (spread){.low = sorted[0], .median = median, .high = sorted[count - 1]};
}

static spread ratio_of(const contender *who, const contender *to, int count)
{
    double ratios[REPEATS_MAX];
    for (int i = 0; i < count; i++) {
        ratios[i] = who->medians[i] / to->medians[i];
    }
    return spread_of(ratios, count);
}

static void show(const bench *run, const char *group, const char *unit, const contender *all, int count)
{
    if (!run->json) {
        printf("\n%s [%s], %d repeats\n", group, unit, run->repeats);
    }
    for (int i = 0; i < count; i++) {
        spread value = spread_of(all[i].medians, run->repeats), ratio = ratio_of(&all[i], &all[0], run->repeats);
        double tail = spread_of(all[i].tails, run->repeats).median;
        if (run->json) {
            printf("{\"group\":\"%s\",\"unit\":\"%s\",\"name\":\"%s\",\"median\":%.2f,\"low\":%.2f,\"high\":%.2f,"
                   "\"p99\":%.2f,\"ratio\":%.3f}\n",
                   group, unit, all[i].name, value.median, value.low, value.high, tail, ratio.median);
            continue;
        }
        printf("  %-34s %9.1f  (%.1f .. %.1f)  ratio %.2f (%.2f .. %.2f)", all[i].name, value.median, value.low,
               value.high, ratio.median, ratio.low, ratio.high);
        printf(tail > 0 ? "  p99 %.0f\n" : "\n", tail);
    }
}

#define COUNT_OF(array) ((int)(sizeof(array) / sizeof((array)[0])))

static void bench_round_trips(bench *run)
{
    contender all[] = {
        {.name = "bare cache line, processes", .side_a = line_rt_a, .side_b = line_rt_b},
        {.name = "tick ring, processes", .side_a = ring_rt_a, .side_b = ring_rt_b},
        {.name = "tick ring, threads", .side_a = ring_rt_a, .side_b = ring_rt_b, .threads = 1},
#if HAVE_CK
        {.name = "ck_ring SPSC, processes", .side_a = ck_rt_a, .side_b = ck_rt_b},
#endif
    };
    for (int repeat = 0; repeat < run->repeats; repeat++) {
        for (int i = 0; i < COUNT_OF(all); i++) {
            measure_latency(run, &all[i], repeat);
        }
    }
    show(run, "one-way latency, round trip / 2", "ns p50", all, COUNT_OF(all));
}

static void bench_paced(bench *run, const char *group, int64_t per_second)
{
    contender all[] = {
        {.name = "bare cache line, processes", .side_a = line_paced_a, .side_b = line_paced_b},
        {.name = "tick ring, processes", .side_a = ring_paced_a, .side_b = ring_paced_b},
    };
    int64_t all_trips = run->round_trips, share = per_second / 8;
    run->round_trips = share < run->paced ? share : run->paced;
    run->with->pace_ticks = (int64_t)(1e9 / (double)per_second * run->ticks_per_ns);
    for (int repeat = 0; repeat < run->repeats; repeat++) {
        for (int i = 0; i < COUNT_OF(all); i++) {
            measure_latency(run, &all[i], repeat);
        }
    }
    run->round_trips = all_trips;
    show(run, group, "ns p50", all, COUNT_OF(all));
}

static void bench_flow(bench *run)
{
    contender all[] = {
        {.name = "tick ring, processes", .side_a = ring_flow_a, .side_b = ring_flow_b},
        {.name = "tick ring, threads", .side_a = ring_flow_a, .side_b = ring_flow_b, .threads = 1},
#if HAVE_CK
        {.name = "ck_ring SPSC, processes", .side_a = ck_flow_a, .side_b = ck_flow_b},
        {.name = "ck_ring SPSC, threads", .side_a = ck_flow_a, .side_b = ck_flow_b, .threads = 1},
#endif
    };
    for (int repeat = 0; repeat < run->repeats; repeat++) {
        for (int i = 0; i < COUNT_OF(all); i++) {
            measure_flow(run, &all[i], repeat);
        }
    }
    show(run, "throughput without loss", "million records/s", all, COUNT_OF(all));
}

static void bench_wake(bench *run)
{
    contender who = {.name = "sleeping reader, processes", .side_a = sleeper_a, .side_b = sleeper_b};
    int64_t all_trips = run->round_trips;
    double cost_ns[REPEATS_MAX];
    run->round_trips = run->quick ? 50 : 1000;
    run->with->pace_ticks = (int64_t)(200000 * run->ticks_per_ns);
    for (int repeat = 0; repeat < run->repeats; repeat++) {
        measure_latency(run, &who, repeat);
        cost_ns[repeat] = (double)run->with->elapsed_ticks / run->ticks_per_ns / (double)run->round_trips;
    }
    run->round_trips = all_trips;
    show(run, "commit to awake reader", "ns p50", &who, 1);
    contender cost = {.name = "commit and wake, at the producer"};
    memcpy(cost.medians, cost_ns, sizeof(cost_ns));
    show(run, "cost of waking", "ns mean", &cost, 1);
}

/* Alone on one core: what a producer pays when nobody reads. */
static void bench_costs(bench *run)
{
    contender commit = {.name = "claim, fill, commit"}, wake = {.name = "wake, nobody asleep"};
    run->with->threads = 1;
    tw_ring *ring = ring_make(run->with, 0);
    for (int repeat = 0; repeat < run->repeats; repeat++) {
        int64_t start = pair_ticks();
        for (int64_t i = 0; i < run->events; i++) {
            ring_send(ring, i);
        }
        int64_t middle = pair_ticks();
        for (int64_t i = 0; i < run->events; i++) {
            tw_ring_wake(ring);
        }
        double per_call = run->ticks_per_ns * (double)run->events;
        commit.medians[repeat] = (double)(middle - start) / per_call;
        wake.medians[repeat] = (double)(pair_ticks() - middle) / per_call;
    }
    tw_ring_close(ring);
    contender all[] = {commit, wake};
    show(run, "cost at the producer, no reader", "ns mean", all, COUNT_OF(all));
}

static void bench_paced_fast(bench *run)
{
    bench_paced(run, "one-way latency by time stamp, 1 M/s", 1000000);
}

static void bench_paced_slow(bench *run)
{
    bench_paced(run, "one-way latency by time stamp, 10 k/s", 10000);
}

static const struct {
    const char *name;
    void (*measure)(bench *run);
    int core_count;
} groups[] = {
    {"costs", bench_costs, 1},      {"latency", bench_round_trips, 2}, {"paced", bench_paced_fast, 2},
    {"paced", bench_paced_slow, 2}, {"flow", bench_flow, 2},           {"wake", bench_wake, 2},
};

/* 0: there is no such group. */
static int run_groups(bench *run, int cpu_count)
{
    int known = 0;
    for (int i = 0; i < COUNT_OF(groups); i++) {
        if (run->only && strcmp(run->only, groups[i].name) != 0) {
            continue;
        }
        known = 1;
        if (cpu_count < groups[i].core_count) {
            fprintf(stderr, "ring_bench: %s needs two cores, there is one: skipped\n", groups[i].name);
            continue;
        }
        groups[i].measure(run);
    }
    return known;
}

static int usage(void)
{
    fprintf(stderr, "usage: ring_bench [--quick] [--repeats N] [--cpus A,B] [--only costs|latency|paced|flow|wake] "
                    "[--events N] [--json]\n");
    return 2;
}

static int parse(bench *run, int count, char **arguments)
{
    for (int i = 1; i < count; i++) {
        const char *value = i + 1 < count ? arguments[i + 1] : NULL;
        if (strcmp(arguments[i], "--quick") == 0) {
            run->quick = 1;
        } else if (strcmp(arguments[i], "--json") == 0) {
            run->json = 1;
        } else if (strcmp(arguments[i], "--repeats") == 0 && value) {
            run->repeats = (int)strtol(value, NULL, 10);
            i++;
        } else if (strcmp(arguments[i], "--events") == 0 && value) {
            run->events = strtoll(value, NULL, 10);
            i++;
        } else if (strcmp(arguments[i], "--only") == 0 && value) {
            run->only = value;
            i++;
        } else if (strcmp(arguments[i], "--cpus") == 0 && value &&
                   sscanf(value, "%d,%d", &run->how.cpu_a, &run->how.cpu_b) == 2) {
            i++;
        } else {
            return 0;
        }
    }
    return run->repeats >= 0 && run->repeats <= REPEATS_MAX;
}

int main(int argument_count, char **arguments)
{
    int cpus[2], cpu_count = pair_cpus(cpus);
    bench run = {.how = {.cpu_a = cpus[0], .cpu_b = cpus[1]}};
    if (!parse(&run, argument_count, arguments)) {
        return usage();
    }
    run.with = pair_memory(sizeof(shared));
    snprintf(run.with->names[0], sizeof(run.with->names[0]), "tw-bench-a-%ld", (long)getpid());
    snprintf(run.with->names[1], sizeof(run.with->names[1]), "tw-bench-b-%ld", (long)getpid());
    run.ticks_per_ns = pair_calibrate(run.quick ? 10000000 : 200000000);
    run.repeats = run.repeats ? run.repeats : run.quick ? 3 : 11;
    run.round_trips = run.quick ? 2000 : 200000;
    run.events = run.events > 0 ? run.events : run.quick ? 200000 : 30000000;
    run.paced = run.quick ? 2000 : 100000;
    if (!run.json) {
        printf("ring_bench: %d slots, cores %d and %d, %.3f ticks per ns, work %lld events\n", SLOTS, run.how.cpu_a,
               run.how.cpu_b, run.ticks_per_ns, (long long)run.events);
    }
    if (!run_groups(&run, cpu_count)) {
        return usage();
    }
    if (run.lost > 0) {
        fprintf(stderr, "ring_bench: %llu records were lost or wrong\n", (unsigned long long)run.lost);
        return 1;
    }
    return 0;
}
