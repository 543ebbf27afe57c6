/* parse_bench.c - from a venue's JSON to events: the adapters beside the same extraction with jansson and simdjson.
 *
 * Usage:    parse_bench [--quick] [--json] [--venue NAME] [--kind KIND]
 *           KIND is trade, quote, delta or snapshot.
 *           Prints nanoseconds per message (median and quartiles), the ratios, and what must hold: at least 5 times as
 *           fast as jansson and no slower than simdjson on demand, for every kind of message. Ends with 1 if that does
 *           not hold; --quick only checks that everything runs and that all three read the same.
 * Messages: of the recordings where they are (TICKWIRE_RECORDINGS), else made here in the venue's form; see
 *           venue_messages.h. A kind of which a recording has fewer than 8 is made, too.
 * Work:     the same on all sides: the same fields of the same padded buffers become the same events in the same array;
 *           before the clock runs, the events of all three are compared field by field. The adapter does more: it
 *           counts, checks the venue's sequence, and learns the cadence. No book is kept ("the parser alone").
 * Method:   interleaved in one run, round by round, in CPU time; a ratio is the median of the ratios of the rounds. */
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/cycles.h"
#include "bench/parse_rivals.h"
#include "bench/rounds.h"
#include "bench/venue_messages.h"

enum {
    EVENTS_MAX = 1 << 13, /* half a megabyte: what a consumer that keeps up leaves in the cache */
    MESSAGES_MAX = 1024,
    MESSAGES_MIN = 8,
    ROUNDS_FULL = 41,
    ROUNDS_QUICK = 1,
    ROUND_NS = 1000000, /* of CPU time, for each of the three */
    CASES_MAX = TWB_FORMAT_COUNT * TWB_KIND_COUNT
};
#define JANSSON_RATIO_MIN  5.0
#define SIMDJSON_RATIO_MIN 1.0

typedef enum rival { TICKWIRE, JANSSON, SIMDJSON, RIVAL_COUNT } rival;
static const char *const RIVAL_NAMES[RIVAL_COUNT] = {"tickwire", "jansson", "simdjson"};

typedef struct output {
    tw_event *events;
    uint64_t count;
} output;

typedef struct bench_case {
    twb_venue *venue;
    twb_format format;
    twb_kind kind;
    uint32_t passes[RIVAL_COUNT]; /* over all messages, in a round */
    double ns[RIVAL_COUNT][TWB_ROUNDS_MAX];
    twb_cycle_count cycles[RIVAL_COUNT];
    uint64_t counted[RIVAL_COUNT]; /* messages in cycles */
    uint64_t events;               /* of one pass */
} bench_case;

typedef struct bench {
    twb_venue recorded[TWB_FORMAT_COUNT], made[TWB_FORMAT_COUNT];
    bench_case cases[CASES_MAX];
    uint32_t case_count, rounds;
    output out[RIVAL_COUNT];
    twb_cycles *cycles;
    uint64_t check;
} bench;

static const struct {
    const char *name, *recording;
} VENUES[TWB_FORMAT_COUNT] = {[TWB_BINANCE] = {"binance", "binance-spot-btcusdt-20240808"},
                              [TWB_OKX] = {"okx", "okx-v5-2022feb"},
                              [TWB_BYBIT] = {"bybit", "bybit-v5-2026aug"},
                              [TWB_COINBASE] = {"coinbaseexchange", "coinbase-exchange-2021apr"},
                              [TWB_KRAKEN] = {"kraken", NULL}};

static tw_event *claim(void *owner)
{
    output *it = owner;
    return &it->events[it->count & (EVENTS_MAX - 1)];
}

static void commit(void *owner)
{
    ((output *)owner)->count++;
}

/* ---- one pass over the messages of a kind ---- */

static bool pass_tickwire(const bench_case *it, tw_sink *sink)
{
    const twb_messages *messages = &it->venue->kinds[it->kind];
    bool good = true;
    for (uint32_t i = 0; i < messages->count; i++) {
        if (i == 0 || messages->list[i].http) /* a fetched snapshot is only taken by a book that waits for it */
            twb_venue_rewind(it->venue, it->kind);
        good &= twb_venue_play(it->venue, &messages->list[i], sink) == TW_OK;
    }
    return good;
}

static bool pass_rival(const bench_case *it, twb_rival_fn parse, twb_rival_job *job)
{
    const twb_messages *messages = &it->venue->kinds[it->kind];
    bool good = true;
    for (uint32_t i = 0; i < messages->count; i++) {
        job->group = twb_venue_group(it->venue, messages->list[i].conn);
        good &= parse(it->format, it->kind, &messages->list[i], job);
    }
    return good;
}

static twb_rival_fn parser_of(rival which)
{
    return which == JANSSON ? twb_jansson_parse : twb_simdjson_parse;
}

static bool run_passes(bench *b, bench_case *it, rival which, uint32_t passes)
{
    twb_name names[TWB_SLOTS_MAX];
    tw_sink sink = {claim, commit, &b->out[which]};
    twb_rival_job job = {.sink = &sink, .names = names, .name_count = twb_venue_names(it->venue, names)};
    bool good = true;
    for (uint32_t pass = 0; pass < passes; pass++)
        good &= which == TICKWIRE ? pass_tickwire(it, &sink) : pass_rival(it, parser_of(which), &job);
    b->check += job.check;
    return good;
}

static bool is_there(rival which)
{
    return which != SIMDJSON || twb_simdjson_parse != NULL;
}

/* ---- the same work ---- */

static bool same_number(int64_t a, int8_t a_exponent, int64_t b, int8_t b_exponent)
{
    return tw_decimal_compare((tw_decimal){a, a_exponent}, (tw_decimal){b, b_exponent}) == 0;
}

static bool same_event(const tw_event *a, const tw_event *b)
{
    if (a->instrument != b->instrument || a->kind != b->kind || a->flags != b->flags || a->venue_ns != b->venue_ns ||
        a->recv_ns != b->recv_ns)
        return false;
    int8_t ap = a->price_exponent, bp = b->price_exponent, aa = a->amount_exponent, ba = b->amount_exponent;
    if (a->kind == TW_EVENT_TRADE)
        return same_number(a->u.trade.price, ap, b->u.trade.price, bp) &&
               same_number(a->u.trade.amount, aa, b->u.trade.amount, ba) && a->u.trade.id.lo == b->u.trade.id.lo &&
               a->u.trade.id.hi == b->u.trade.id.hi;
    if (a->kind == TW_EVENT_QUOTE)
        return same_number(a->u.quote.bid, ap, b->u.quote.bid, bp) &&
               same_number(a->u.quote.ask, ap, b->u.quote.ask, bp) &&
               same_number(a->u.quote.bid_amount, aa, b->u.quote.bid_amount, ba) &&
               same_number(a->u.quote.ask_amount, aa, b->u.quote.ask_amount, ba);
    return same_number(a->u.level.price, ap, b->u.level.price, bp) &&
           same_number(a->u.level.amount, aa, b->u.level.amount, ba) && a->u.level.venue_seq == b->u.level.venue_seq;
}

static void fail_case(const bench_case *it, const char *what)
{
    fprintf(stderr, "parse_bench: %s %s: %s\n", it->venue->name, twb_kind_name(it->kind), what);
    exit(1);
}

/* One pass each; all of it must agree. */
static void compare_work(bench *b, bench_case *it)
{
    for (rival which = TICKWIRE; which < RIVAL_COUNT; which++) {
        b->out[which].count = 0;
        if (is_there(which) && !run_passes(b, it, which, 1))
            fail_case(it, which == TICKWIRE ? "the adapter refuses a message" : RIVAL_NAMES[which]);
    }
    it->events = b->out[TICKWIRE].count;
    for (rival which = JANSSON; which < RIVAL_COUNT; which++) {
        if (!is_there(which))
            continue;
        if (b->out[which].count != it->events)
            fail_case(it, "the rivals read different numbers of events");
        uint64_t kept = it->events < EVENTS_MAX ? it->events : EVENTS_MAX;
        for (uint64_t i = 0; i < kept; i++) {
            if (!same_event(&b->out[TICKWIRE].events[i], &b->out[which].events[i]))
                fail_case(it, which == JANSSON ? "jansson read another event" : "simdjson read another event");
        }
    }
}

/* ---- measuring ---- */

static double time_passes(bench *b, bench_case *it, rival which, uint32_t passes)
{
    int64_t start_ns = twb_cpu_ns();
    bool good = run_passes(b, it, which, passes);
    int64_t end_ns = twb_cpu_ns();
    if (!good)
        fail_case(it, RIVAL_NAMES[which]);
    return (double)(end_ns - start_ns) / ((double)passes * it->venue->kinds[it->kind].count);
}

static void choose_passes(bench *b, bench_case *it, bool quick)
{
    for (rival which = TICKWIRE; which < RIVAL_COUNT; which++) {
        if (!is_there(which))
            continue;
        double pass_ns = time_passes(b, it, which, 1) * it->venue->kinds[it->kind].count;
        it->passes[which] = quick || pass_ns > ROUND_NS ? 1 : 1 + (uint32_t)(ROUND_NS / (pass_ns + 1));
    }
}

static void count_cycles(bench *b, bench_case *it)
{
    for (rival which = TICKWIRE; which < RIVAL_COUNT && b->cycles != NULL; which++) {
        if (!is_there(which))
            continue;
        twb_cycles_start(b->cycles);
        run_passes(b, it, which, it->passes[which]);
        twb_cycles_stop(b->cycles, &it->cycles[which]);
        it->counted[which] += (uint64_t)it->passes[which] * it->venue->kinds[it->kind].count;
    }
}

static void measure(bench *b, bool quick)
{
    for (uint32_t i = 0; i < b->case_count; i++)
        choose_passes(b, &b->cases[i], quick);
    for (uint32_t round = 0; round < b->rounds; round++) {
        for (uint32_t i = 0; i < b->case_count; i++) {
            for (rival which = TICKWIRE; which < RIVAL_COUNT; which++) {
                bench_case *it = &b->cases[i];
                if (is_there(which))
                    it->ns[which][round] = time_passes(b, it, which, it->passes[which]);
            }
        }
    }
    for (uint32_t i = 0; i < b->case_count; i++)
        count_cycles(b, &b->cases[i]);
}

/* ---- cases ---- */

static bool is_kind(twb_kind kind, const char *wanted)
{
    return wanted == NULL || strstr(twb_kind_name(kind), wanted) != NULL;
}

static void add_cases(bench *b, twb_format format, const char *only_kind)
{
    twb_venue *recorded = &b->recorded[format], *made = &b->made[format];
    twb_venue_open(recorded, VENUES[format].name, VENUES[format].recording, MESSAGES_MAX);
    if (recorded->recorded)
        twb_venue_open(made, VENUES[format].name, NULL, MESSAGES_MAX);
    for (twb_kind kind = 0; kind < TWB_KIND_COUNT; kind++) {
        bool enough = recorded->kinds[kind].count >= (kind == TWB_SNAPSHOT ? 1 : MESSAGES_MIN);
        twb_venue *from = !recorded->recorded || enough ? recorded : made;
        if ((format == TWB_BYBIT && kind == TWB_QUOTE) || !is_kind(kind, only_kind))
            continue; /* Bybit's tickers tell what changed only: a parser alone has no quote */
        if (from->kinds[kind].count > 0)
            b->cases[b->case_count++] = (bench_case){.venue = from, .format = format, .kind = kind};
    }
}

/* ---- report ---- */

static const char *source_of(const bench_case *it)
{
    return it->venue->recorded ? "recorded" : "made here";
}

static void print_case(const bench_case *it, uint32_t rounds)
{
    const twb_messages *messages = &it->venue->kinds[it->kind];
    printf("%-17s %-14s %-9s %5u messages, %7.0f bytes, %6.1f events each\n", it->venue->name, twb_kind_name(it->kind),
           source_of(it), messages->count, (double)messages->bytes / messages->count,
           (double)it->events / messages->count);
    for (rival which = TICKWIRE; which < RIVAL_COUNT; which++) {
        if (!is_there(which))
            continue;
        twb_spread ns = twb_spread_of(it->ns[which], rounds);
        printf("    %-9s %10.1f ns  [%10.1f %10.1f]  %6.2f GB/s", RIVAL_NAMES[which], ns.median, ns.low, ns.high,
               (double)messages->bytes / messages->count / ns.median);
        if (which != TICKWIRE) {
            twb_spread ratio = twb_ratio_of(it->ns[which], it->ns[TICKWIRE], rounds);
            printf("  %7.2f times [%.2f %.2f]", ratio.median, ratio.low, ratio.high);
        }
        if (it->counted[which] > 0)
            printf("  %.0f cycles, %.0f instructions", (double)it->cycles[which].cycles / (double)it->counted[which],
                   (double)it->cycles[which].instructions / (double)it->counted[which]);
        putchar('\n');
    }
}

static void print_json(const bench *b)
{
    printf("{\"bench\":\"parse\",\"rounds\":%u,\"simdjson\":\"%s\",\"cases\":[", b->rounds,
           twb_simdjson_name() != NULL ? twb_simdjson_name() : "");
    for (uint32_t i = 0; i < b->case_count; i++) {
        const bench_case *it = &b->cases[i];
        const twb_messages *messages = &it->venue->kinds[it->kind];
        printf("%s{\"venue\":\"%s\",\"kind\":\"%s\",\"source\":\"%s\",\"messages\":%u,\"bytes\":%" PRIu64
               ",\"events\":%" PRIu64,
               i == 0 ? "" : ",\n", it->venue->name, twb_kind_name(it->kind), source_of(it), messages->count,
               messages->bytes, it->events);
        for (rival which = TICKWIRE; which < RIVAL_COUNT; which++) {
            if (!is_there(which))
                continue;
            twb_spread ns = twb_spread_of(it->ns[which], b->rounds);
            printf(",\"%s_ns\":%.2f,\"%s_ns_low\":%.2f,\"%s_ns_high\":%.2f", RIVAL_NAMES[which], ns.median,
                   RIVAL_NAMES[which], ns.low, RIVAL_NAMES[which], ns.high);
        }
        printf("}");
    }
    printf("]}\n");
}

/* True if every kind of message is at least `minimum` times as fast; names those that are not. */
static bool check_ratio(const bench *b, rival against, double minimum)
{
    double least = 0;
    bool holds = true;
    for (uint32_t i = 0; i < b->case_count; i++) {
        const bench_case *it = &b->cases[i];
        twb_spread ratio = twb_ratio_of(it->ns[against], it->ns[TICKWIRE], b->rounds);
        least = i == 0 || ratio.median < least ? ratio.median : least;
        if (ratio.median >= minimum)
            continue;
        holds = false;
        fprintf(stderr, "against %s: %s %s: %.2f times [%.2f %.2f], must be %.0f\n", RIVAL_NAMES[against],
                it->venue->name, twb_kind_name(it->kind), ratio.median, ratio.low, ratio.high, minimum);
    }
    fprintf(stderr, "against %s: at least %.2f times, must be %.0f: %s\n", RIVAL_NAMES[against], least, minimum,
            holds ? "holds" : "DOES NOT HOLD");
    return holds;
}

static int usage(const char *what)
{
    fprintf(stderr, "parse_bench: %s\nusage: parse_bench [--quick] [--json] [--venue NAME] [--kind KIND]\n", what);
    return 2;
}

int main(int argc, char **argv)
{
    static bench b;
    bool quick = false, as_json = false;
    const char *only = NULL, *only_kind = NULL;
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--quick") == 0)
            quick = true;
        else if (strcmp(argv[i], "--json") == 0)
            as_json = true;
        else if (strcmp(argv[i], "--venue") == 0 && i + 1 < argc)
            only = argv[++i];
        else if (strcmp(argv[i], "--kind") == 0 && i + 1 < argc)
            only_kind = argv[++i];
        else
            return usage(argv[i]);
    }
    b.rounds = quick ? ROUNDS_QUICK : ROUNDS_FULL;
    for (twb_format format = 0; format < TWB_FORMAT_COUNT; format++) {
        if (only == NULL || strcmp(only, VENUES[format].name) == 0)
            add_cases(&b, format, only_kind);
    }
    if (b.case_count == 0)
        return usage("nothing to measure; venues are binance, okx, bybit, coinbaseexchange, kraken");
    for (rival which = TICKWIRE; which < RIVAL_COUNT; which++)
        b.out[which].events = calloc(EVENTS_MAX, sizeof(tw_event));
    for (uint32_t i = 0; i < b.case_count; i++)
        compare_work(&b, &b.cases[i]);
    b.cycles = twb_cycles_open();
    measure(&b, quick);
    if (as_json) {
        print_json(&b);
    } else {
        for (uint32_t i = 0; i < b.case_count; i++)
            print_case(&b.cases[i], b.rounds);
        printf("%s\n", twb_simdjson_name() != NULL ? twb_simdjson_name() : "simdjson: not measured, built without it");
        twb_cycles_print_absence(b.cycles);
        printf("work %016" PRIx64 "\n", b.check);
    }
    bool holds = check_ratio(&b, JANSSON, JANSSON_RATIO_MIN);
    if (twb_simdjson_parse != NULL)
        holds &= check_ratio(&b, SIMDJSON, SIMDJSON_RATIO_MIN);
    twb_cycles_close(b.cycles);
    for (int format = 0; format < TWB_FORMAT_COUNT; format++) {
        twb_venue_close(&b.recorded[format]);
        twb_venue_close(&b.made[format]);
    }
    for (rival which = TICKWIRE; which < RIVAL_COUNT; which++)
        free(b.out[which].events);
    return quick || holds ? 0 : 1;
}
