/* replay_bench.c - the whole way of a venue's frame to events on the ring (parse, book, ring) beside the parser alone.
 *
 * Usage:    replay_bench [--quick] [--json]
 *           Prints nanoseconds per message for each stretch of the way, median and quartiles, and how many times the
 *           parser alone the whole way takes; wanted are 2 at most. Ends with 1 if that does not hold.
 * Frames:   the recorded BTCUSDT stream, all of it, as it came (TICKWIRE_RECORDINGS), else messages made here; see
 *           venue_messages.h.
 * Cases:    the parser alone keeps no book and writes its events to an array; then with the book; then into the tick
 *           ring as well, which is what the engine does with a recording or a connection. The ring has the engine's
 *           default of 65,536 slots and no reader.
 * Method:   interleaved in one run, round by round, in CPU time; the state is new before each pass, and that is not
 *           timed. */
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/cycles.h"
#include "bench/rounds.h"
#include "bench/venue_messages.h"
#include "tickwire/ring.h"

enum {
    EVENTS_MAX = 1 << 13,
    RING_SLOTS = 1 << 16,
    MESSAGES_MAX = 64,
    ROUNDS_FULL = 31,
    ROUNDS_QUICK = 1,
    ERROR_MAX = 256
};
#define RATIO_MAX 2.0

typedef enum stretch { PARSER, WITH_BOOK, WITH_RING, STRETCH_COUNT } stretch;
static const char *const NAMES[STRETCH_COUNT] = {"parser alone", "parser and book", "parser, book and ring"};

typedef struct bench {
    twb_venue venue;
    tw_event *events;
    uint64_t count;
    tw_ring *ring;
    uint32_t rounds;
    double ns[STRETCH_COUNT][TWB_ROUNDS_MAX];
    twb_cycle_count cycles[STRETCH_COUNT];
    uint64_t event_count[STRETCH_COUNT];
} bench;

static tw_event *claim(void *owner)
{
    bench *b = owner;
    return &b->events[b->count & (EVENTS_MAX - 1)];
}

static void commit(void *owner)
{
    ((bench *)owner)->count++;
}

/* True if no message was refused and no book broke. */
static bool play(bench *b, tw_sink *sink)
{
    bool good = true;
    for (uint32_t i = 0; i < b->venue.all.count; i++)
        good &= twb_venue_play(&b->venue, &b->venue.all.list[i], sink) == TW_OK;
    return good;
}

static double pass(bench *b, stretch which, twb_cycles *counting)
{
    tw_sink array = {claim, commit, b};
    tw_sink sink = which == WITH_RING ? tw_ring_sink(b->ring) : array;
    twb_venue_restart(&b->venue, which == PARSER);
    b->count = 0;
    twb_cycles_start(counting);
    int64_t start_ns = twb_cpu_ns();
    bool good = play(b, &sink);
    int64_t end_ns = twb_cpu_ns();
    twb_cycles_stop(counting, &b->cycles[which]);
    if (!good) {
        fprintf(stderr, "replay_bench: %s: a message was refused, or the book broke\n", NAMES[which]);
        exit(1);
    }
    b->event_count[which] = b->count;
    return (double)(end_ns - start_ns) / b->venue.all.count;
}

static bool report(const bench *b, bool as_json)
{
    twb_spread whole = twb_ratio_of(b->ns[WITH_RING], b->ns[PARSER], b->rounds);
    bool holds = whole.median <= RATIO_MAX;
    printf(as_json ? "{\"bench\":\"replay\",\"source\":\"%s\",\"messages\":%u,\"bytes\":%" PRIu64 ",\"events\":%" PRIu64
                     ",\"cases\":["
                   : "%s BTCUSDT: %u messages, %" PRIu64 " bytes, %" PRIu64 " events\n",
           b->venue.recorded ? "recorded" : "made here", b->venue.all.count, b->venue.all.bytes,
           b->event_count[WITH_BOOK]);
    for (stretch which = PARSER; which < STRETCH_COUNT; which++) {
        twb_spread ns = twb_spread_of(b->ns[which], b->rounds);
        twb_spread ratio = twb_ratio_of(b->ns[which], b->ns[PARSER], b->rounds);
        if (as_json) {
            printf("%s{\"name\":\"%s\",\"ns\":%.2f,\"ns_low\":%.2f,\"ns_high\":%.2f,\"ratio\":%.3f}",
                   which == PARSER ? "" : ",", NAMES[which], ns.median, ns.low, ns.high, ratio.median);
            continue;
        }
        printf("%-22s %8.1f ns per message [%.1f %.1f]  %.2f times the parser [%.2f %.2f]", NAMES[which], ns.median,
               ns.low, ns.high, ratio.median, ratio.low, ratio.high);
        if (b->cycles[which].cycles > 0) {
            double messages = (double)b->venue.all.count * (b->rounds + 1);
            printf("  %.0f cycles, %.0f instructions", (double)b->cycles[which].cycles / messages,
                   (double)b->cycles[which].instructions / messages);
        }
        putchar('\n');
    }
    printf(as_json ? "]}\n" : "the whole way must be at most 2 times the parser alone: %s\n",
           holds ? "holds" : "DOES NOT HOLD");
    return holds;
}

int main(int argc, char **argv)
{
    static bench b;
    bool quick = false, as_json = false;
    char error[ERROR_MAX];
    for (int i = 1; i < argc; i++) {
        quick |= strcmp(argv[i], "--quick") == 0;
        as_json |= strcmp(argv[i], "--json") == 0;
        if (strcmp(argv[i], "--quick") != 0 && strcmp(argv[i], "--json") != 0) {
            fprintf(stderr, "usage: replay_bench [--quick] [--json]\n");
            return 2;
        }
    }
    b.rounds = quick ? ROUNDS_QUICK : ROUNDS_FULL;
    b.events = calloc(EVENTS_MAX, sizeof(*b.events));
    twb_venue_open(&b.venue, "binance", "binance-spot-btcusdt-20240808", MESSAGES_MAX);
    tw_ring_options options = {.slot_count = RING_SLOTS, .instrument_count_max = TWB_SLOTS_MAX, .mode = 0600};
    if (b.events == NULL || tw_ring_open(&options, &b.ring, error, sizeof(error)) != TW_OK) {
        fprintf(stderr, "replay_bench: %s\n", b.events == NULL ? "no memory" : error);
        return 1;
    }
    twb_cycles *counting = twb_cycles_open();
    if (!as_json)
        twb_cycles_print_absence(counting);
    for (uint32_t round = 0; round <= b.rounds; round++) { /* the first one warms up */
        for (stretch which = PARSER; which < STRETCH_COUNT; which++) {
            double ns = pass(&b, which, counting);
            if (round > 0)
                b.ns[which][round - 1] = ns;
        }
    }
    bool holds = report(&b, as_json);
    twb_cycles_close(counting);
    tw_ring_close(b.ring);
    twb_venue_close(&b.venue);
    free(b.events);
    return quick || holds ? 0 : 1;
}
