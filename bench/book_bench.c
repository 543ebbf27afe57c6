/* book_bench.c - keeping a book: engine/book beside std::map, on the same level changes.
 *
 * Usage:    book_bench [--quick] [--json]
 *           Prints nanoseconds per level change (median and quartiles) and the ratio; wanted are 3 times at least for
 *           the first case. Ends with 1 if that does not hold; --quick only checks that everything runs and that both
 *           books are equal.
 * Changes:  those of the recorded BTCUSDT depth stream where it is (TICKWIRE_RECORDINGS), else of messages made here in
 *           the same form; see venue_messages.h. The snapshot is part of each pass.
 * Work:     the same on both sides: every record is applied; after each message the best bid and ask are read, as the
 *           check for a crossed book does. In the second case the book is cut to 100 levels after each message, as for
 *           venues that do not delete what falls below the depth; in the third the best 20 levels of both sides are
 *           copied out after each message, as for a snapshot. Before the clock runs the two books are compared, level
 *           by level, after every message.
 * Method:   interleaved in one run, round by round, in CPU time; a ratio is the median of the ratios of the rounds. */
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/book_rival.h"
#include "bench/cycles.h"
#include "bench/rounds.h"
#include "bench/venue_messages.h"
#include "engine/book/book.h"

enum {
    CAPACITY = 8192,
    DEPTH_CUT = 100,
    TOP_LEVELS = 20,
    COMPARED_LEVELS = 50,
    ROUNDS_FULL = 21,
    ROUNDS_QUICK = 1,
    MESSAGES_MAX = 4096
};
#define RATIO_MIN 3.0

typedef enum task { KEEP, KEEP_AND_CUT, KEEP_AND_COPY, TASK_COUNT } task;
typedef enum rival { ARRAYS, TREES, RIVAL_COUNT } rival;

static const char *const TASK_NAMES[TASK_COUNT] = {"apply", "apply, cut to 100", "apply, copy the best 20"};
static const char *const RIVAL_NAMES[RIVAL_COUNT] = {"tickwire", "std::map"};

typedef struct bench {
    tw_event *events;
    uint32_t count, cap, messages;
    twi_book book;
    void *memory;
    twb_tree_book *trees;
    uint32_t rounds;
    double ns[TASK_COUNT][RIVAL_COUNT][TWB_ROUNDS_MAX];
    twb_cycle_count cycles[TASK_COUNT][RIVAL_COUNT];
    uint64_t work[TASK_COUNT][RIVAL_COUNT];
} bench;

/* ---- the changes ---- */

static tw_event *claim(void *owner)
{
    bench *b = owner;
    if (b->count == b->cap) {
        b->cap = b->cap == 0 ? 1 << 16 : 2 * b->cap;
        b->events = realloc(b->events, b->cap * sizeof(*b->events));
        if (b->events == NULL)
            abort();
    }
    return &b->events[b->count];
}

static void commit(void *owner)
{
    bench *b = owner;
    const tw_event *event = &b->events[b->count];
    if (event->kind != TW_EVENT_LEVEL)
        return;
    b->messages += (event->flags & TW_FLAG_LAST) != 0;
    b->count++;
}

static bool collect(bench *b)
{
    static twb_venue venue;
    tw_sink sink = {claim, commit, b};
    twb_venue_open(&venue, "binance", "binance-spot-btcusdt-20240808", MESSAGES_MAX);
    twb_venue_restart(&venue, true);
    for (uint32_t i = 0; i < venue.all.count; i++) {
        if (twb_venue_play(&venue, &venue.all.list[i], &sink) == TW_MALFORMED)
            abort();
    }
    bool recorded = venue.recorded;
    twb_venue_close(&venue);
    return recorded;
}

/* ---- the work ---- */

static uint64_t best_of_arrays(const twi_book *book)
{
    twi_level bid = {0}, ask = {0};
    twi_book_best(book, TWI_BID, &bid);
    twi_book_best(book, TWI_ASK, &ask);
    return (uint64_t)bid.price.mantissa + (uint64_t)bid.amount.mantissa + (uint64_t)ask.price.mantissa +
           (uint64_t)ask.amount.mantissa;
}

static uint64_t best_of_trees(const twb_tree_book *book)
{
    tw_decimal bid = {0}, bid_amount = {0}, ask = {0}, ask_amount = {0};
    twb_tree_best(book, false, &bid, &bid_amount);
    twb_tree_best(book, true, &ask, &ask_amount);
    return (uint64_t)bid.mantissa + (uint64_t)bid_amount.mantissa + (uint64_t)ask.mantissa +
           (uint64_t)ask_amount.mantissa;
}

static uint64_t top_of_arrays(const twi_book *book, twi_side side)
{
    uint64_t sum = 0;
    uint32_t count = twi_book_count(book, side);
    for (uint32_t i = 0; i < TOP_LEVELS && i < count; i++) {
        twi_level level = twi_book_level(book, side, i);
        sum += (uint64_t)level.price.mantissa + (uint64_t)level.amount.mantissa;
    }
    return sum;
}

static uint64_t top_of_trees(const twb_tree_book *book, bool ask)
{
    uint64_t sum = 0;
    tw_decimal prices[TOP_LEVELS], amounts[TOP_LEVELS];
    uint32_t count = twb_tree_top(book, ask, prices, amounts, TOP_LEVELS);
    for (uint32_t i = 0; i < count; i++)
        sum += (uint64_t)prices[i].mantissa + (uint64_t)amounts[i].mantissa;
    return sum;
}

static uint64_t run_arrays(bench *b, task what)
{
    uint64_t sum = 0;
    for (uint32_t i = 0; i < b->count; i++) {
        if (twi_book_apply_event(&b->book, &b->events[i]) != TW_OK)
            abort();
        if ((b->events[i].flags & TW_FLAG_LAST) == 0)
            continue;
        for (twi_side side = TWI_BID; what == KEEP_AND_CUT && side <= TWI_ASK; side++) {
            while (twi_book_count(&b->book, side) > DEPTH_CUT)
                twi_book_drop_worst(&b->book, side);
        }
        sum += best_of_arrays(&b->book);
        if (what == KEEP_AND_COPY)
            sum += top_of_arrays(&b->book, TWI_BID) + top_of_arrays(&b->book, TWI_ASK);
    }
    return sum;
}

static uint64_t run_trees(bench *b, task what)
{
    uint64_t sum = 0;
    for (uint32_t i = 0; i < b->count; i++) {
        twb_tree_apply(b->trees, &b->events[i]);
        if ((b->events[i].flags & TW_FLAG_LAST) == 0)
            continue;
        if (what == KEEP_AND_CUT)
            twb_tree_cut(b->trees, DEPTH_CUT);
        sum += best_of_trees(b->trees);
        if (what == KEEP_AND_COPY)
            sum += top_of_trees(b->trees, false) + top_of_trees(b->trees, true);
    }
    return sum;
}

static uint64_t run(bench *b, task what, rival which)
{
    return which == ARRAYS ? run_arrays(b, what) : run_trees(b, what);
}

/* After every message, the best levels; all of it must be equal. */
static void compare_books(bench *b)
{
    for (uint32_t i = 0; i < b->count; i++) {
        tw_decimal prices[COMPARED_LEVELS], amounts[COMPARED_LEVELS];
        if (twi_book_apply_event(&b->book, &b->events[i]) != TW_OK)
            abort();
        twb_tree_apply(b->trees, &b->events[i]);
        for (twi_side side = TWI_BID; (b->events[i].flags & TW_FLAG_LAST) != 0 && side <= TWI_ASK; side++) {
            uint32_t count = twb_tree_top(b->trees, side == TWI_ASK, prices, amounts, COMPARED_LEVELS);
            uint32_t ours = twi_book_count(&b->book, side);
            bool equal = count == (ours < COMPARED_LEVELS ? ours : COMPARED_LEVELS);
            for (uint32_t at = 0; equal && at < count; at++) {
                twi_level level = twi_book_level(&b->book, side, at);
                equal = tw_decimal_compare(level.price, prices[at]) == 0 &&
                        tw_decimal_compare(level.amount, amounts[at]) == 0;
            }
            if (!equal) {
                fprintf(stderr, "book_bench: the books differ after record %u\n", i);
                exit(1);
            }
        }
    }
}

static void measure(bench *b, twb_cycles *counting)
{
    for (uint32_t round = 0; round <= b->rounds; round++) { /* the first one warms up */
        for (task what = KEEP; what < TASK_COUNT; what++) {
            for (rival which = ARRAYS; which < RIVAL_COUNT; which++) {
                int64_t start_ns = twb_cpu_ns();
                b->work[what][which] = run(b, what, which);
                double ns = (double)(twb_cpu_ns() - start_ns) / b->count;
                if (round > 0)
                    b->ns[what][which][round - 1] = ns;
            }
        }
    }
    for (task what = KEEP; what < TASK_COUNT; what++) {
        for (rival which = ARRAYS; which < RIVAL_COUNT; which++) {
            twb_cycles_start(counting);
            run(b, what, which);
            twb_cycles_stop(counting, &b->cycles[what][which]);
        }
    }
}

/* ---- report ---- */

static bool report(const bench *b, bool recorded, bool as_json)
{
    bool holds = true;
    printf(as_json ? "{\"bench\":\"book\",\"source\":\"%s\",\"changes\":%u,\"messages\":%u,\"cases\":["
                   : "%s BTCUSDT: %u level changes in %u messages\n",
           recorded ? "recorded" : "made here", b->count, b->messages);
    for (task what = KEEP; what < TASK_COUNT; what++) {
        twb_spread ratio = twb_ratio_of(b->ns[what][TREES], b->ns[what][ARRAYS], b->rounds);
        holds &= what != KEEP || ratio.median >= RATIO_MIN;
        for (rival which = ARRAYS; which < RIVAL_COUNT; which++) {
            twb_spread ns = twb_spread_of(b->ns[what][which], b->rounds);
            if (as_json) {
                printf("%s{\"task\":\"%s\",\"book\":\"%s\",\"ns\":%.2f,\"ns_low\":%.2f,\"ns_high\":%.2f}",
                       what == KEEP && which == ARRAYS ? "" : ",\n", TASK_NAMES[what], RIVAL_NAMES[which], ns.median,
                       ns.low, ns.high);
                continue;
            }
            printf("%-24s %-9s %7.1f ns per change [%.1f %.1f]", TASK_NAMES[what], RIVAL_NAMES[which], ns.median,
                   ns.low, ns.high);
            if (b->cycles[what][which].cycles > 0)
                printf("  %.0f cycles, %.0f instructions", (double)b->cycles[what][which].cycles / b->count,
                       (double)b->cycles[what][which].instructions / b->count);
            if (which == TREES)
                printf("  %.2f times [%.2f %.2f]%s", ratio.median, ratio.low, ratio.high,
                       what == KEEP ? ", must be 3" : "");
            printf("  work %016" PRIx64 "\n", b->work[what][which]);
        }
    }
    printf(as_json ? "]}\n" : "%s\n", holds ? "holds" : "DOES NOT HOLD");
    return holds;
}

int main(int argc, char **argv)
{
    static bench b;
    bool quick = false, as_json = false;
    for (int i = 1; i < argc; i++) {
        quick |= strcmp(argv[i], "--quick") == 0;
        as_json |= strcmp(argv[i], "--json") == 0;
        if (strcmp(argv[i], "--quick") != 0 && strcmp(argv[i], "--json") != 0) {
            fprintf(stderr, "usage: book_bench [--quick] [--json]\n");
            return 2;
        }
    }
    bool recorded = collect(&b);
    b.memory = calloc(1, twi_book_size(CAPACITY));
    b.trees = twb_tree_open();
    if (b.memory == NULL || b.count == 0)
        abort();
    twi_book_init(&b.book, b.memory, CAPACITY);
    compare_books(&b);
    b.rounds = quick ? ROUNDS_QUICK : ROUNDS_FULL;
    twb_cycles *counting = twb_cycles_open();
    measure(&b, counting);
    if (!as_json)
        twb_cycles_print_absence(counting);
    bool holds = report(&b, recorded, as_json);
    twb_cycles_close(counting);
    twb_tree_close(b.trees);
    free(b.memory);
    free(b.events);
    return quick || holds ? 0 : 1;
}
