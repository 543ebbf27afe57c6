/* candle_test.c - candles against a naive aggregator that keeps every trade, and the rules of candle.h one by one.
 *
 * Seed:     TWT_SEED, else a fixed one; a failure prints it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "engine/candle/candle.h"
#include "tickwire/decimal.h"

#define SECOND   INT64_C(1000000000)
#define START_NS (INT64_C(1700006400) * SECOND) /* midnight */
#define DELAY_NS (SECOND / 4)

enum { TRADES_MAX = 4000, TOLD_MAX = 40000, HISTORY_LONG = 4096, COMMON_EXPONENT = -8 };

/* ---- the naive aggregator: all trades, every candle computed anew ---- */

typedef struct naive_trade {
    int64_t time_ns, price, amount; /* with COMMON_EXPONENT */
} naive_trade;

static naive_trade trades[TRADES_MAX];
static uint32_t trade_count;

static int64_t to_common(int64_t mantissa, int8_t exponent)
{
    int64_t out;
    assert_int_equal(tw_decimal_rescale((tw_decimal){mantissa, exponent}, COMMON_EXPONENT, &out), TW_OK);
    return out;
}

static void naive_add(const tw_event *event)
{
    assert_true(trade_count < TRADES_MAX);
    trades[trade_count++] = (naive_trade){event->venue_ns, to_common(event->u.trade.price, event->price_exponent),
                                          to_common(event->u.trade.amount, event->amount_exponent)};
}

/* 0: no trade in [open_ns, open_ns + interval). */
static int naive_candle(uint32_t interval, int64_t open_ns, twi_candle *out)
{
    int64_t end_ns = open_ns + twi_candle_interval_s(interval) * SECOND;
    *out = (twi_candle){.open_ns = open_ns, .price_exponent = COMMON_EXPONENT, .amount_exponent = COMMON_EXPONENT};
    for (uint32_t i = 0; i < trade_count; i++) {
        const naive_trade *trade = &trades[i];
        if (trade->time_ns < open_ns || trade->time_ns >= end_ns)
            continue;
        if (out->trade_count == 0 || trade->time_ns < out->first_ns) {
            out->open = trade->price;
            out->first_ns = trade->time_ns;
        }
        if (out->trade_count == 0 || trade->time_ns >= out->last_ns) {
            out->close = trade->price;
            out->last_ns = trade->time_ns;
        }
        out->high = out->trade_count == 0 || trade->price > out->high ? trade->price : out->high;
        out->low = out->trade_count == 0 || trade->price < out->low ? trade->price : out->low;
        out->volume += trade->amount;
        out->trade_count++;
    }
    return out->trade_count > 0;
}

static void assert_same_candle(const twi_candle *got, const twi_candle *wanted)
{
    assert_int_equal(got->open_ns, wanted->open_ns);
    assert_int_equal(got->trade_count, wanted->trade_count);
    assert_int_equal(to_common(got->open, got->price_exponent), wanted->open);
    assert_int_equal(to_common(got->high, got->price_exponent), wanted->high);
    assert_int_equal(to_common(got->low, got->price_exponent), wanted->low);
    assert_int_equal(to_common(got->close, got->price_exponent), wanted->close);
    assert_int_equal(to_common(got->volume, got->amount_exponent), wanted->volume);
}

/* ---- what is told ---- */

typedef struct told {
    uint32_t interval;
    twi_candle candle;
} told;

static told tellings[TOLD_MAX];
static uint32_t told_count;

static void hear(void *owner, uint32_t instrument, uint32_t interval, const twi_candle *candle)
{
    assert_null(owner);
    assert_int_equal(instrument, 7);
    assert_true(told_count < TOLD_MAX);
    tellings[told_count++] = (told){interval, *candle};
}

static const twi_candle_sink sink = {.tell = hear};

static twi_candle_series *series_new(uint32_t history)
{
    trade_count = told_count = 0;
    return twi_candle_series_init(malloc(twi_candle_series_bytes(history)), 7, history, DELAY_NS);
}

static tw_event trade_at(int64_t time_ns, int64_t price, int64_t amount)
{
    return (tw_event){.instrument = 7,
                      .kind = TW_EVENT_TRADE,
                      .flags = TW_FLAG_FIRST | TW_FLAG_LAST,
                      .price_exponent = -2,
                      .amount_exponent = -3,
                      .venue_ns = time_ns,
                      .recv_ns = time_ns + SECOND / 100,
                      .u.trade = {.price = price, .amount = amount}};
}

static twi_candle_outcome put(twi_candle_series *series, tw_event event)
{
    return twi_candle_trade(series, &event, &sink);
}

/* ---- the property ---- */

static uint64_t random_state;

static uint64_t draw(uint64_t below)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return random_state % below;
}

static void check_all_kept(const twi_candle_series *series, uint32_t history)
{
    static twi_candle kept[HISTORY_LONG + 1];
    for (uint32_t interval = 0; interval < TWI_CANDLE_INTERVALS; interval++) {
        uint32_t count = twi_candle_copy(series, interval, INT64_MIN, 0, kept, history + 1);
        twi_candle wanted;
        for (uint32_t i = 0; i < count; i++) {
            assert_true(i == 0 || kept[i].open_ns > kept[i - 1].open_ns);
            assert_true(naive_candle(interval, kept[i].open_ns, &wanted));
            assert_same_candle(&kept[i], &wanted);
        }
        if (history == HISTORY_LONG) { /* nothing was forgotten: every trade is in one of them */
            uint64_t sum = 0;
            for (uint32_t i = 0; i < count; i++)
                sum += kept[i].trade_count;
            assert_int_equal(sum, trade_count);
        }
    }
}

/* The last that was told of each candle is what it is; a candle that was closed never runs again. */
static void check_tellings(void)
{
    for (uint32_t i = told_count; i-- > 0;) {
        int is_last = 1;
        for (uint32_t k = i + 1; k < told_count && k < i + 2000; k++) {
            if (tellings[k].interval != tellings[i].interval ||
                tellings[k].candle.open_ns != tellings[i].candle.open_ns)
                continue;
            is_last = 0;
            assert_true(!(tellings[i].candle.flags & TWI_CANDLE_CLOSED) ||
                        (tellings[k].candle.flags & TWI_CANDLE_CLOSED));
            assert_true(tellings[k].candle.trade_count > tellings[i].candle.trade_count ||
                        (tellings[k].candle.flags & TWI_CANDLE_CLOSED));
            break;
        }
        twi_candle wanted;
        if (is_last && told_count - i < 2000) {
            assert_true(naive_candle(tellings[i].interval, tellings[i].candle.open_ns, &wanted));
            assert_same_candle(&tellings[i].candle, &wanted);
        }
    }
}

static void run_random(uint32_t history, uint64_t seed)
{
    random_state = seed;
    twi_candle_series *series = series_new(history);
    int64_t time_ns = START_NS + (int64_t)draw(86400) * SECOND, clock_ns = time_ns;
    uint32_t late = 0, too_late = 0;
    for (uint32_t i = 0; i < 1500; i++) {
        switch (draw(8)) {
        case 0:
            time_ns += (int64_t)draw(400) * SECOND;
            break;
        case 1:
            break; /* another of the same time */
        default:
            time_ns += (int64_t)draw((uint64_t)SECOND);
        }
        static const int64_t ages[] = {SECOND / 2, 3 * SECOND, 90 * SECOND, 4000 * SECOND};
        int64_t age_ns = draw(5) == 0 ? (int64_t)draw((uint64_t)ages[draw(4)]) : 0;
        tw_event event = trade_at(time_ns - age_ns, 1 + (int64_t)draw(20), 1 + (int64_t)draw(1000));
        event.price_exponent = (int8_t)(-1 - (int)draw(3));
        event.amount_exponent = (int8_t)(-(int)draw(8));
        event.recv_ns = time_ns + SECOND / 100;
        clock_ns = event.recv_ns > clock_ns ? event.recv_ns : clock_ns;
        twi_candle_outcome outcome = put(series, event);
        assert_true(outcome == TWI_CANDLE_TAKEN || outcome == TWI_CANDLE_LATE || outcome == TWI_CANDLE_TOO_LATE);
        late += outcome != TWI_CANDLE_TAKEN;
        too_late += outcome == TWI_CANDLE_TOO_LATE;
        naive_add(&event);
        if (draw(3) == 0)
            twi_candle_flush(series, 63, &sink);
        if (draw(4) == 0) {
            clock_ns += (int64_t)draw(100) * SECOND / 20;
            twi_candle_clock(series, clock_ns, &sink);
            assert_true(twi_candle_due_ns(series) > clock_ns);
        }
    }
    twi_candle_flush(series, 63, &sink);
    assert_false(twi_candle_changed(series));
    assert_true(late > 50);
    assert_true((too_late > 0) == (history < HISTORY_LONG));
    check_all_kept(series, history);
    if (history == HISTORY_LONG)
        check_tellings();
    free(series);
}

static void test_against_naive(void **state)
{
    (void)state;
    const char *given = getenv("TWT_SEED");
    uint64_t seed = given != NULL ? strtoull(given, NULL, 0) : 0x5eed;
    for (uint64_t i = 1; i <= 6; i++) {
        print_message("seed %llu\n", (unsigned long long)(seed * i));
        run_random(HISTORY_LONG, seed * i);
        run_random(5, seed * i);
        run_random(0, seed * i);
    }
}

/* ---- the rules one by one ---- */

static void test_closes_by_next_trade(void **state)
{
    (void)state;
    twi_candle_series *series = series_new(10);
    assert_int_equal(put(series, trade_at(START_NS, 100, 5)), TWI_CANDLE_TAKEN);
    assert_int_equal(put(series, trade_at(START_NS + 61 * SECOND, 90, 2)), TWI_CANDLE_TAKEN);
    assert_int_equal(told_count, 2); /* 1s and 1m, shortest first */
    assert_int_equal(tellings[0].interval, 0);
    assert_int_equal(tellings[1].interval, 1);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(tellings[i].candle.open_ns, START_NS);
        assert_int_equal(tellings[i].candle.close, 100);
        assert_int_equal(tellings[i].candle.volume, 5);
        assert_true(tellings[i].candle.flags & TWI_CANDLE_CLOSED);
    }
    twi_candle day;
    assert_int_equal(twi_candle_newest(series, 5, &day), 1);
    assert_int_equal(day.volume, 7);
    assert_int_equal(day.low, 90);
    free(series);
}

static void test_closes_by_clock(void **state)
{
    (void)state;
    twi_candle_series *series = series_new(10);
    assert_int_equal(twi_candle_due_ns(series), INT64_MAX);
    int64_t lag_ns = 300 * 86400 * SECOND; /* a recording of last year */
    tw_event event = trade_at(START_NS + SECOND / 2, 100, 5);
    event.recv_ns = event.venue_ns + lag_ns;
    put(series, event);
    int64_t due_ns = START_NS + SECOND + lag_ns + DELAY_NS;
    assert_int_equal(twi_candle_due_ns(series), due_ns);
    twi_candle_clock(series, due_ns - 1, &sink);
    assert_int_equal(told_count, 0);
    twi_candle_clock(series, due_ns, &sink);
    assert_int_equal(told_count, 1);
    assert_int_equal(twi_candle_due_ns(series), due_ns + 59 * SECOND);
    twi_candle_clock(series, due_ns + 86400 * SECOND, &sink);
    assert_int_equal(told_count, TWI_CANDLE_INTERVALS);
    assert_int_equal(twi_candle_due_ns(series), INT64_MAX);
    twi_candle_clock(series, due_ns + 90000 * SECOND, &sink);
    assert_int_equal(told_count, TWI_CANDLE_INTERVALS); /* empty intervals have no candle */
    /* A straggler of the middle of that closed day corrects what it belongs to. */
    event.venue_ns += 7200 * SECOND;
    event.recv_ns = due_ns + 90000 * SECOND;
    assert_int_equal(put(series, event), TWI_CANDLE_LATE);
    assert_int_equal(told_count, 2 * TWI_CANDLE_INTERVALS);
    assert_int_equal(tellings[told_count - 1].candle.volume, 10);
    assert_int_equal(tellings[TWI_CANDLE_INTERVALS].candle.volume, 5);
    free(series);
}

static void test_late_opens_and_closes(void **state)
{
    (void)state;
    twi_candle_series *series = series_new(10);
    put(series, trade_at(START_NS + 200, 100, 5));
    put(series, trade_at(START_NS + SECOND, 101, 5));
    assert_int_equal(put(series, trade_at(START_NS + 100, 99, 1)), TWI_CANDLE_LATE);
    assert_int_equal(told_count, 2);
    const twi_candle *corrected = &tellings[1].candle;
    assert_int_equal(corrected->open, 99);
    assert_int_equal(corrected->close, 100);
    assert_true(corrected->flags & TWI_CANDLE_CLOSED);
    twi_candle minute;
    twi_candle_newest(series, 1, &minute);
    assert_int_equal(minute.open, 99);
    assert_int_equal(minute.close, 101);
    assert_int_equal(minute.volume, 11);
    /* Only what changed is told: the running second did not. */
    twi_candle_flush(series, 63, &sink);
    told_count = 0;
    put(series, trade_at(START_NS + 50, 98, 1));
    told_count = 0;
    twi_candle_flush(series, 63, &sink);
    assert_int_equal(told_count, TWI_CANDLE_INTERVALS - 1);
    assert_int_equal(tellings[0].interval, 1);
    free(series);
}

static void test_backlog(void **state)
{
    (void)state;
    twi_candle_series *series = series_new(10);
    tw_event old = trade_at(START_NS + 3 * SECOND, 100, 5);
    old.flags |= TW_FLAG_HISTORY;
    assert_int_equal(put(series, old), TWI_CANDLE_TAKEN);
    old.venue_ns -= SECOND; /* newest first, as some venues send it */
    assert_int_equal(put(series, old), TWI_CANDLE_LATE);
    put(series, trade_at(START_NS + 5 * SECOND, 100, 1));
    /* The link was lost; the new backlog overlaps with what was counted. */
    tw_event again = trade_at(START_NS + 7 * SECOND, 100, 2);
    again.flags |= TW_FLAG_HISTORY;
    assert_int_equal(put(series, again), TWI_CANDLE_TAKEN);
    again.venue_ns = START_NS + 6 * SECOND;
    assert_int_equal(put(series, again), TWI_CANDLE_LATE);
    again.venue_ns = START_NS + 5 * SECOND;
    assert_int_equal(put(series, again), TWI_CANDLE_REPEATED);
    twi_candle day;
    twi_candle_newest(series, 5, &day);
    assert_int_equal(day.volume, 5 + 5 + 1 + 2 + 2);
    free(series);
}

static void test_bad_time(void **state)
{
    (void)state;
    twi_candle_series *series = series_new(10);
    tw_event event = trade_at(START_NS, 100, 5);
    event.venue_ns = event.recv_ns + 2 * 86400 * SECOND;
    assert_int_equal(put(series, event), TWI_CANDLE_BAD_TIME);
    event.venue_ns = event.recv_ns = 0;
    assert_int_equal(put(series, event), TWI_CANDLE_BAD_TIME);
    event.venue_ns = event.recv_ns = INT64_MAX;
    assert_int_equal(put(series, event), TWI_CANDLE_BAD_TIME);
    event.venue_ns = 0; /* no venue time: the time of receipt is taken */
    event.recv_ns = START_NS;
    assert_int_equal(put(series, event), TWI_CANDLE_TAKEN);
    twi_candle candle;
    assert_int_equal(twi_candle_newest(series, 0, &candle), 1);
    assert_int_equal(candle.open_ns, START_NS);
    free(series);
}

static void test_too_big(void **state)
{
    (void)state;
    twi_candle_series *series = series_new(10);
    tw_event event = trade_at(START_NS, 100, INT64_MAX);
    assert_int_equal(put(series, event), TWI_CANDLE_TAKEN);
    assert_int_equal(put(series, trade_at(START_NS + 1, 100, 1)), TWI_CANDLE_TOO_BIG);
    twi_candle candle;
    for (uint32_t i = 0; i < TWI_CANDLE_INTERVALS; i++)
        assert_int_equal(twi_candle_newest(series, i, &candle), 0);
    twi_candle_flush(series, 63, &sink);
    assert_int_equal(told_count, 0);
    /* The next second is right again, the longer intervals are not. */
    assert_int_equal(put(series, trade_at(START_NS + SECOND, 100, 3)), TWI_CANDLE_TAKEN);
    twi_candle_flush(series, 63, &sink);
    assert_int_equal(told_count, 1);
    assert_int_equal(tellings[0].candle.volume, 3);
    twi_candle_clock(series, START_NS + 2 * 86400 * SECOND, &sink);
    assert_int_equal(told_count, 2);
    put(series, trade_at(START_NS + 86400 * SECOND, 100, 3));
    assert_int_equal(twi_candle_newest(series, 5, &candle), 1);
    /* Late trades do not mend a broken candle. */
    assert_int_equal(put(series, trade_at(START_NS + 2, 100, 3)), TWI_CANDLE_TOO_BIG);
    free(series);
}

static void test_digits(void **state)
{
    (void)state;
    twi_candle_series *series = series_new(10);
    tw_event big = trade_at(START_NS, 6400010, 5000000000000000000); /* 5e15 */
    tw_event fine = trade_at(START_NS + 1, 64000123, 1);
    fine.price_exponent = -3;
    fine.amount_exponent = -1;
    assert_int_equal(put(series, big), TWI_CANDLE_TAKEN);
    assert_int_equal(put(series, fine), TWI_CANDLE_TAKEN);
    big.u.trade.amount = 7; /* with three decimals the sum does not fit, but their zeros carry nothing */
    big.amount_exponent = 15;
    big.venue_ns += 2;
    assert_int_equal(put(series, big), TWI_CANDLE_TAKEN);
    twi_candle candle;
    assert_int_equal(twi_candle_newest(series, 0, &candle), 1);
    assert_int_equal(candle.price_exponent, -3);
    assert_int_equal(candle.open, 64000100);
    assert_int_equal(candle.high, 64000123);
    assert_int_equal(tw_decimal_compare((tw_decimal){candle.volume, candle.amount_exponent},
                                        (tw_decimal){INT64_C(120000000000000001), -1}),
                     0);
    free(series);
}

static void test_copy(void **state)
{
    (void)state;
    twi_candle_series *series = series_new(3);
    twi_candle out[8];
    assert_int_equal(twi_candle_copy(series, 0, 0, 0, out, 8), 0);
    for (int64_t i = 0; i < 6; i++)
        put(series, trade_at(START_NS + i * SECOND, 100 + i, 1));
    assert_int_equal(twi_candle_copy(series, 0, 0, 0, out, 8), 4);
    assert_int_equal(out[0].open, 102);
    assert_int_equal(out[3].open, 105);
    assert_false(out[3].flags & TWI_CANDLE_CLOSED);
    assert_int_equal(twi_candle_copy(series, 0, 0, 0, out, 2), 2);
    assert_int_equal(out[0].open, 104);
    assert_int_equal(twi_candle_copy(series, 0, START_NS + 3 * SECOND, 1, out, 2), 2);
    assert_int_equal(out[0].open, 103);
    assert_int_equal(out[1].open, 104);
    assert_int_equal(twi_candle_copy(series, 0, START_NS + 5 * SECOND, 1, out, 2), 1);
    assert_int_equal(twi_candle_copy(series, 0, START_NS + 6 * SECOND, 1, out, 2), 0);
    free(series);
}

static void test_names(void **state)
{
    (void)state;
    assert_int_equal(twi_candle_interval_find("1s", 2), 0);
    assert_int_equal(twi_candle_interval_find("15m", 3), 3);
    assert_int_equal(twi_candle_interval_find("1d", 2), 5);
    assert_int_equal(twi_candle_interval_find("3m", 2), -1);
    assert_int_equal(twi_candle_interval_find("", 0), -1);
    for (uint32_t i = 1; i < TWI_CANDLE_INTERVALS; i++)
        assert_int_equal(twi_candle_interval_s(i) % twi_candle_interval_s(i - 1), 0);
    assert_int_equal(twi_candle_interval_s(TWI_CANDLE_INTERVALS), 0);
}

static void test_events(void **state)
{
    (void)state;
    twi_candle candle = {.open_ns = START_NS,
                         .open = 1,
                         .high = 4,
                         .low = 0,
                         .close = 2,
                         .volume = 9,
                         .recv_ns = 5,
                         .trade_count = 3,
                         .price_exponent = -1,
                         .amount_exponent = -2,
                         .flags = TWI_CANDLE_CLOSED};
    tw_event events[2];
    twi_candle_events(&candle, 3, 1, events);
    assert_int_equal(events[0].kind, TW_EVENT_CANDLE);
    assert_int_equal(events[0].flags, TW_FLAG_CLOSED | TW_FLAG_FIRST | TW_FLAG_LAST);
    assert_int_equal(events[1].kind, TW_EVENT_CANDLE_TAIL);
    assert_int_equal(events[1].u.candle_tail.interval_ns, 60 * SECOND);
    assert_int_equal(events[1].u.candle_tail.volume, 9);
    assert_int_equal(events[1].amount_exponent, -2);
    assert_int_equal(events[0].venue_ns, START_NS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_against_naive),
        cmocka_unit_test(test_closes_by_next_trade),
        cmocka_unit_test(test_closes_by_clock),
        cmocka_unit_test(test_late_opens_and_closes),
        cmocka_unit_test(test_backlog),
        cmocka_unit_test(test_bad_time),
        cmocka_unit_test(test_too_big),
        cmocka_unit_test(test_digits),
        cmocka_unit_test(test_copy),
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_events),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
