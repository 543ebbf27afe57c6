/* view_test.c - the market as one program sees it: last values, books, and when a book is not right. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "tickwire/view.h"

enum { INSTRUMENTS = 4, DEPTH = 3 };

static tw_view *open_view(void)
{
    tw_view_options options = {.instrument_count_max = INSTRUMENTS, .depth_max = DEPTH};
    tw_view *view;
    assert_int_equal(tw_view_open(&options, &view), TW_OK);
    return view;
}

static void apply(tw_view *view, tw_event event)
{
    assert_int_equal(tw_view_apply(view, &event), TW_OK);
}

static tw_event level(uint8_t flags, int64_t price, int64_t amount)
{
    return (tw_event){.instrument = 1,
                      .kind = TW_EVENT_LEVEL,
                      .flags = flags,
                      .price_exponent = -2,
                      .u.level = {.price = price, .amount = amount}};
}

static void put_snapshot(tw_view *view)
{
    apply(view, level(TW_FLAG_SNAPSHOT | TW_FLAG_FIRST, 100, 1));
    apply(view, level(TW_FLAG_SNAPSHOT, 99, 2));
    apply(view, level(TW_FLAG_SNAPSHOT | TW_FLAG_LAST | TW_FLAG_ASK, 101, 3));
}

static void put_status(tw_view *view, uint16_t state)
{
    apply(view, (tw_event){.instrument = 1, .kind = TW_EVENT_STATUS, .u.status = {.state = state}});
}

static void test_last_values(void **state)
{
    (void)state;
    tw_view *view = open_view();
    assert_null(tw_view_quote(view, 1));
    apply(view, (tw_event){.instrument = 1, .kind = TW_EVENT_QUOTE, .u.quote = {.bid = 7}});
    apply(view, (tw_event){.instrument = 2, .kind = TW_EVENT_TRADE, .u.trade = {.price = 8}});
    put_status(view, TW_STATE_STALE);
    assert_int_equal(tw_view_quote(view, 1)->u.quote.bid, 7);
    assert_null(tw_view_trade(view, 1));
    assert_int_equal(tw_view_trade(view, 2)->u.trade.price, 8);
    assert_int_equal(tw_view_status(view, 1)->u.status.state, TW_STATE_STALE);
    assert_null(tw_view_quote(view, INSTRUMENTS));
    tw_event beyond = {.instrument = INSTRUMENTS, .kind = TW_EVENT_TRADE};
    assert_int_equal(tw_view_apply(view, &beyond), TW_FULL);
    tw_view_reset(view);
    assert_null(tw_view_quote(view, 1));
    tw_view_close(view);
}

static void test_a_book_begins_with_a_snapshot(void **state)
{
    (void)state;
    tw_view *view = open_view();
    tw_view_level levels[8];
    apply(view, level(TW_FLAG_FIRST | TW_FLAG_LAST, 100, 9));
    assert_int_equal(tw_view_book_state(view, 1), TW_STATE_SYNCING);
    assert_int_equal(tw_view_level_count(view, 1, TW_VIEW_BIDS), 0);
    put_snapshot(view);
    assert_int_equal(tw_view_book_state(view, 1), TW_STATE_OK);
    apply(view, level(TW_FLAG_FIRST | TW_FLAG_LAST, 100, 0));
    apply(view, level(TW_FLAG_FIRST | TW_FLAG_LAST | TW_FLAG_ASK, 102, 4));
    assert_int_equal(tw_view_levels(view, 1, TW_VIEW_BIDS, levels, 8), 1);
    assert_int_equal(levels[0].price.mantissa, 99);
    assert_int_equal(levels[0].price.exponent, -2);
    assert_int_equal(levels[0].amount.mantissa, 2);
    assert_int_equal(tw_view_levels(view, 1, TW_VIEW_ASKS, levels, 1), 1);
    assert_int_equal(levels[0].price.mantissa, 101);
    assert_int_equal(tw_view_level_count(view, 1, TW_VIEW_ASKS), 2);
    apply(view, (tw_event){.instrument = 1, .kind = TW_EVENT_BOOK_CLEAR, .flags = TW_FLAG_SNAPSHOT | TW_FLAG_FIRST});
    assert_int_equal(tw_view_level_count(view, 1, TW_VIEW_ASKS), 0);
    assert_int_equal(tw_view_book_state(view, 1), TW_STATE_OK);
    tw_view_close(view);
}

static void test_a_book_that_missed_something_says_so_until_its_next_snapshot(void **state)
{
    (void)state;
    tw_view *view = open_view();
    put_snapshot(view);
    tw_view_gap(view);
    assert_int_equal(tw_view_book_state(view, 1), TW_STATE_GAP);
    put_status(view, TW_STATE_OK); /* the engine's book is right, this one is not */
    apply(view, level(TW_FLAG_FIRST | TW_FLAG_LAST, 98, 1));
    assert_int_equal(tw_view_book_state(view, 1), TW_STATE_GAP);
    put_snapshot(view);
    assert_int_equal(tw_view_book_state(view, 1), TW_STATE_OK);
    apply(view, (tw_event){.instrument = 1, .kind = TW_EVENT_LOSS, .u.loss = {.channel = TW_CHANNEL_TRADE}});
    assert_int_equal(tw_view_book_state(view, 1), TW_STATE_OK);
    apply(view, (tw_event){.instrument = 1, .kind = TW_EVENT_LOSS, .u.loss = {.channel = TW_CHANNEL_BOOK}});
    assert_int_equal(tw_view_book_state(view, 1), TW_STATE_GAP);
    put_snapshot(view);
    put_status(view, TW_STATE_STALE); /* the venue is silent */
    assert_int_equal(tw_view_book_state(view, 1), TW_STATE_STALE);
    put_status(view, TW_STATE_OK); /* and speaks again on the same link */
    assert_int_equal(tw_view_book_state(view, 1), TW_STATE_OK);
    tw_view_close(view);
}

static void test_a_level_that_fits_no_scale_breaks_the_book(void **state)
{
    (void)state;
    tw_view *view = open_view();
    put_snapshot(view);
    tw_event event = level(TW_FLAG_FIRST | TW_FLAG_LAST, INT64_MAX, 1);
    event.price_exponent = 18;
    assert_int_equal(tw_view_apply(view, &event), TW_TOO_BIG);
    assert_int_equal(tw_view_book_state(view, 1), TW_STATE_GAP);
    put_snapshot(view);
    assert_int_equal(tw_view_book_state(view, 1), TW_STATE_OK);
    tw_view_close(view);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_last_values),
        cmocka_unit_test(test_a_book_begins_with_a_snapshot),
        cmocka_unit_test(test_a_book_that_missed_something_says_so_until_its_next_snapshot),
        cmocka_unit_test(test_a_level_that_fits_no_scale_breaks_the_book),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
