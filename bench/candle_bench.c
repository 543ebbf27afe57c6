/* candle_bench.c - what candles cost per trade: in order, with every interval watched, late, and closed each time.
 *
 * Usage:    candle_bench [--quick]
 * Method:   many trades in a row on one core, best of several repeats, less the same loop without candles. Prints ns
 *           per trade and a sum of the volumes, so that nothing can be optimised away unseen. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/clock.h"
#include "engine/candle/candle.h"

#define SECOND   INT64_C(1000000000)
#define START_NS (INT64_C(1700006400) * SECOND)

enum { REPEATS = 7, HISTORY = 240, INSTRUMENTS = 64, BATCH = 16 };

typedef struct bench {
    twi_candle_series *series[INSTRUMENTS];
    int64_t step_ns; /* venue time from trade to trade */
    int64_t age_ns;  /* of every 16th trade */
    uint32_t watched;
    int64_t sum;
} bench;

static void hear(void *owner, uint32_t instrument, uint32_t interval, const twi_candle *candle)
{
    ((bench *)owner)->sum += candle->volume + instrument + interval;
}

static tw_event trade_number(const bench *on, int64_t i)
{
    int64_t time_ns = START_NS + i * on->step_ns - (i % BATCH == 0 ? on->age_ns : 0);
    return (tw_event){.instrument = (uint32_t)(i % INSTRUMENTS),
                      .kind = TW_EVENT_TRADE,
                      .price_exponent = -2,
                      .amount_exponent = -5,
                      .venue_ns = time_ns,
                      .recv_ns = time_ns + 1000,
                      .u.trade = {.price = 6400000 + i % 97, .amount = 1 + i % 13}};
}

static int64_t run(bench *on, int64_t trades, int with_candles)
{
    twi_candle_sink sink = {.tell = hear, .owner = on};
    int64_t start_ns = twi_monotonic_ns();
    for (int64_t i = 0; i < trades; i++) {
        tw_event event = trade_number(on, i);
        on->sum += event.u.trade.amount;
        if (!with_candles)
            continue;
        twi_candle_series *series = on->series[event.instrument];
        on->sum += twi_candle_trade(series, &event, &sink);
        if (on->watched)
            twi_candle_flush(series, on->watched, &sink);
    }
    return twi_monotonic_ns() - start_ns;
}

static double best(bench *on, int64_t trades, int with_candles)
{
    int64_t least_ns = INT64_MAX;
    for (int repeat = 0; repeat < REPEATS; repeat++) {
        for (uint32_t i = 0; i < INSTRUMENTS; i++)
            twi_candle_series_init(on->series[i], i, HISTORY, SECOND / 4);
        int64_t took_ns = run(on, trades, with_candles);
        least_ns = took_ns < least_ns ? took_ns : least_ns;
    }
    return (double)least_ns / (double)trades;
}

static void measure(const char *name, bench *on, int64_t trades)
{
    double without = best(on, trades, 0), with = best(on, trades, 1);
    printf("%-46s %8.1f ns per trade  (sum %lld)\n", name, with - without, (long long)on->sum);
}

int main(int argc, char **argv)
{
    if (argc > 1 && strcmp(argv[1], "--quick") != 0) {
        fprintf(stderr, "usage: candle_bench [--quick]\n");
        return 2;
    }
    int64_t trades = argc > 1 ? 20000 : 4000000;
    bench on = {.step_ns = 1000};
    for (uint32_t i = 0; i < INSTRUMENTS; i++)
        if ((on.series[i] = malloc(twi_candle_series_bytes(HISTORY))) == NULL)
            return 1;
    measure("in order, nobody watches", &on, trades);
    on.watched = 63;
    measure("in order, six intervals told after each trade", &on, trades);
    on.watched = 0;
    on.age_ns = 10 * SECOND;
    measure("every 16th ten seconds late", &on, trades);
    on.age_ns = 0;
    on.step_ns = SECOND / INSTRUMENTS;
    measure("each closes the second before it", &on, trades / 10);
    for (uint32_t i = 0; i < INSTRUMENTS; i++)
        free(on.series[i]);
    return 0;
}
