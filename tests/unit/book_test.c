/* book_test.c - the book against a plain unsorted list that obeys the same rules, and the cases that lists forget. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "engine/book/book.h"

enum { CAPACITY = 64 };

typedef struct fixture {
    twi_book book;
    void *memory;
} fixture;

static fixture open_book(uint32_t capacity)
{
    fixture f;
    f.memory = malloc(twi_book_size(capacity));
    assert_non_null(f.memory);
    memset(f.memory, 0xa5, twi_book_size(capacity));
    twi_book_init(&f.book, f.memory, capacity);
    return f;
}

static void put(fixture *f, twi_side side, int64_t price, int8_t price_exponent, int64_t amount)
{
    assert_int_equal(twi_book_apply(&f->book, side, (tw_decimal){price, price_exponent}, (tw_decimal){amount, -2}),
                     TW_OK);
}

static void check_level(fixture *f, twi_side side, uint32_t index, int64_t price, int8_t exponent, int64_t amount)
{
    twi_level level = twi_book_level(&f->book, side, index);
    assert_int_equal(level.price.mantissa, price);
    assert_int_equal(level.price.exponent, exponent);
    assert_int_equal(level.amount.mantissa, amount);
}

static void best_levels_come_first(void **state)
{
    (void)state;
    fixture f = open_book(CAPACITY);
    twi_level best;
    assert_false(twi_book_best(&f.book, TWI_BID, &best));
    assert_false(twi_book_crossed(&f.book));
    put(&f, TWI_BID, 100, -1, 5);
    put(&f, TWI_BID, 102, -1, 6);
    put(&f, TWI_BID, 101, -1, 7);
    put(&f, TWI_ASK, 105, -1, 1);
    put(&f, TWI_ASK, 103, -1, 2);
    put(&f, TWI_ASK, 104, -1, 3);
    check_level(&f, TWI_BID, 0, 102, -1, 6);
    check_level(&f, TWI_BID, 2, 100, -1, 5);
    check_level(&f, TWI_ASK, 0, 103, -1, 2);
    check_level(&f, TWI_ASK, 2, 105, -1, 1);
    assert_false(twi_book_crossed(&f.book));
    put(&f, TWI_BID, 102, -1, 0);
    put(&f, TWI_BID, 999, -1, 0); /* deleting what is not there is normal */
    check_level(&f, TWI_BID, 0, 101, -1, 7);
    assert_int_equal(twi_book_count(&f.book, TWI_BID), 2);
    put(&f, TWI_BID, 103, -1, 1);
    assert_true(twi_book_crossed(&f.book));
    twi_book_clear(&f.book);
    assert_int_equal(twi_book_count(&f.book, TWI_BID) + twi_book_count(&f.book, TWI_ASK), 0);
    free(f.memory);
}

static void prices_are_compared_by_value(void **state)
{
    (void)state;
    fixture f = open_book(CAPACITY);
    tw_decimal amount;
    put(&f, TWI_ASK, 35210000, -8, 1);
    put(&f, TWI_ASK, 3521, -4, 2); /* the same price, other padding */
    assert_int_equal(twi_book_count(&f.book, TWI_ASK), 1);
    check_level(&f, TWI_ASK, 0, 3521, -4, 2);
    assert_true(twi_book_find(&f.book, TWI_ASK, (tw_decimal){352100, -6}, &amount));
    assert_int_equal(amount.mantissa, 2);
    assert_false(twi_book_find(&f.book, TWI_ASK, (tw_decimal){352101, -6}, &amount));
    put(&f, TWI_ASK, 35210000, -8, 0);
    assert_int_equal(twi_book_count(&f.book, TWI_ASK), 0);
    free(f.memory);
}

static void finer_prices_rescale(void **state)
{
    (void)state;
    fixture f = open_book(CAPACITY);
    put(&f, TWI_BID, 5, 0, 1);
    put(&f, TWI_BID, 7, 0, 1);
    put(&f, TWI_BID, 600, -2, 2); /* zeros only: the scale stays */
    assert_int_equal(f.book.price_exponent, 0);
    put(&f, TWI_BID, 6125, -3, 0); /* a delete never rescales */
    assert_int_equal(f.book.price_exponent, 0);
    put(&f, TWI_BID, 6125, -3, 3);
    assert_int_equal(f.book.price_exponent, -3);
    check_level(&f, TWI_BID, 0, 7, 0, 1);
    check_level(&f, TWI_BID, 1, 6125, -3, 3);
    check_level(&f, TWI_BID, 2, 600, -2, 2);
    check_level(&f, TWI_BID, 3, 5, 0, 1);
    put(&f, TWI_BID, 7000, -3, 0);
    assert_int_equal(twi_book_count(&f.book, TWI_BID), 3);
    put(&f, TWI_BID, 0, -30, 9); /* a price of zero fits every scale */
    check_level(&f, TWI_BID, 3, 0, -30, 9);
    free(f.memory);
}

static void impossible_scales_are_refused(void **state)
{
    (void)state;
    fixture f = open_book(CAPACITY);
    tw_decimal one = {1, 0};
    put(&f, TWI_BID, INT64_MAX, 0, 1);
    assert_int_equal(twi_book_apply(&f.book, TWI_BID, (tw_decimal){5, -1}, one), TW_TOO_BIG);
    assert_int_equal(twi_book_apply(&f.book, TWI_ASK, (tw_decimal){5, 127}, one), TW_TOO_BIG);
    assert_int_equal(twi_book_apply(&f.book, TWI_ASK, (tw_decimal){INT64_MIN, 0}, one), TW_TOO_BIG);
    assert_int_equal(twi_book_apply(&f.book, TWI_ASK, (tw_decimal){1, -128}, one), TW_TOO_BIG);
    check_level(&f, TWI_BID, 0, INT64_MAX, 0, 1);
    assert_int_equal(twi_book_count(&f.book, TWI_ASK), 0);
    free(f.memory);
}

static void a_full_side_keeps_the_best(void **state)
{
    (void)state;
    fixture f = open_book(4);
    for (int64_t price = 1; price <= 4; price++)
        put(&f, TWI_BID, price, 0, price);
    put(&f, TWI_BID, 0, 0, 1);  /* worse than all: not taken */
    put(&f, TWI_BID, 9, 0, 9);  /* drops 1 */
    put(&f, TWI_BID, 3, 0, 33); /* a change needs no room */
    assert_int_equal(f.book.dropped, 2);
    assert_int_equal(twi_book_count(&f.book, TWI_BID), 4);
    check_level(&f, TWI_BID, 0, 9, 0, 9);
    check_level(&f, TWI_BID, 2, 3, 0, 33);
    check_level(&f, TWI_BID, 3, 2, 0, 2);
    twi_book_drop_worst(&f.book, TWI_BID);
    check_level(&f, TWI_BID, 2, 3, 0, 33);
    free(f.memory);
}

static void snapshots_in_either_order(void **state)
{
    (void)state;
    fixture f = open_book(1000);
    for (int ascending = 0; ascending < 2; ascending++) {
        for (int round = 0; round < 5; round++) {
            twi_book_clear(&f.book);
            for (int64_t i = 0; i < 1000; i++)
                put(&f, TWI_ASK, ascending ? i : 999 - i, -2, i + 1);
            assert_int_equal(twi_book_count(&f.book, TWI_ASK), 1000);
            for (uint32_t i = 0; i < 1000; i++)
                assert_int_equal(twi_book_level(&f.book, TWI_ASK, i).price.mantissa, i);
        }
    }
    free(f.memory);
}

/* The reference: an unsorted list. */
typedef struct reference {
    int64_t price[512], amount[512];
    uint32_t count;
} reference;

static void reference_apply(reference *list, int64_t price, int64_t amount)
{
    for (uint32_t i = 0; i < list->count; i++) {
        if (list->price[i] != price)
            continue;
        if (amount == 0) {
            list->count--;
            list->price[i] = list->price[list->count];
            list->amount[i] = list->amount[list->count];
        } else {
            list->amount[i] = amount;
        }
        return;
    }
    if (amount == 0)
        return;
    list->price[list->count] = price;
    list->amount[list->count++] = amount;
}

static void reference_equal(const reference *list, const twi_book *book, twi_side side)
{
    assert_int_equal(list->count, twi_book_count(book, side));
    int64_t before = 0;
    for (uint32_t index = 0; index < list->count; index++) {
        twi_level level = twi_book_level(book, side, index);
        int64_t price;
        assert_int_equal(tw_decimal_rescale(level.price, -2, &price), TW_OK);
        if (index > 0)
            assert_true(side == TWI_BID ? price < before : price > before);
        before = price;
        uint32_t at = 0;
        while (at < list->count && list->price[at] != price)
            at++;
        assert_true(at < list->count);
        assert_int_equal(list->amount[at], level.amount.mantissa);
    }
}

static void random_changes_equal_the_reference(void **state)
{
    (void)state;
    enum { SEED = 20240808, ROUNDS = 60000, PRICES = 400 };
    srandom(SEED);
    fixture f = open_book(PRICES + 1);
    reference sides[2] = {0};
    for (int round = 0; round < ROUNDS; round++) {
        twi_side side = random() % 2 == 0 ? TWI_BID : TWI_ASK;
        int64_t price = 1000 + 10 * (random() % (PRICES / 2)), amount = random() % 3 == 0 ? 0 : 1 + random() % 1000;
        if (round > ROUNDS / 2 && random() % 2 == 0)
            price += 5; /* the second half needs one digit more */
        reference_apply(&sides[side], price, amount);
        bool coarse = price % 10 == 0 && random() % 2 == 0;
        put(&f, side, coarse ? price / 10 : price, coarse ? -1 : -2, amount);
        if (round % 97 == 0) {
            reference_equal(&sides[TWI_BID], &f.book, TWI_BID);
            reference_equal(&sides[TWI_ASK], &f.book, TWI_ASK);
        }
    }
    assert_int_equal(f.book.dropped, 0);
    free(f.memory);
}

/* Two books of the same changes, one as on a machine without AVX2, through every size up to deep ones: equal level by
 * level, best first, and as the list says. */
static void both_machines_keep_the_same_deep_book(void **state)
{
    (void)state;
    enum { DEPTH = 6000, CHANGES = 60000, SAMPLE = 4999 };
    srandom(7);
    fixture with = open_book(DEPTH), without = open_book(DEPTH);
    for (int round = 0; round < CHANGES; round++) {
        twi_side side = random() % 2 == 0 ? TWI_BID : TWI_ASK;
        bool grows = round / (CHANGES / 4) % 2 == 0; /* grow, shrink, grow, shrink */
        tw_decimal price = {.mantissa = 1 + random() % (2 * DEPTH), .exponent = -2};
        tw_decimal amount = {.mantissa = random() % 8 < (grows ? 1 : 7) ? 0 : 1 + random() % 1000, .exponent = -3};
        assert_int_equal(twi_book_apply(&with.book, side, price, amount), TW_OK);
        assert_int_equal(twi_book_apply_plain(&without.book, side, price, amount), TW_OK);
        tw_decimal found;
        bool present = twi_book_find(&with.book, side, price, &found);
        if (present != (amount.mantissa != 0) && with.book.dropped == 0)
            fail_msg("round %d: a change that is not seen", round);
        if (round % SAMPLE != 0)
            continue;
        assert_int_equal(twi_book_count(&with.book, side), twi_book_count(&without.book, side));
        for (uint32_t i = 0; i < twi_book_count(&with.book, side); i++) {
            twi_level a = twi_book_level(&with.book, side, i), b = twi_book_level(&without.book, side, i);
            assert_int_equal(a.price.mantissa, b.price.mantissa);
            assert_int_equal(a.amount.mantissa, b.amount.mantissa);
            if (i > 0) {
                int order = tw_decimal_compare(twi_book_level(&with.book, side, i - 1).price, a.price);
                assert_int_equal(order, side == TWI_BID ? 1 : -1);
            }
        }
    }
    assert_int_equal(with.book.dropped, without.book.dropped);
    free(with.memory);
    free(without.memory);
}

static void events_drive_a_book(void **state)
{
    (void)state;
    fixture f = open_book(CAPACITY);
    tw_event event = {.kind = TW_EVENT_LEVEL, .flags = TW_FLAG_SNAPSHOT | TW_FLAG_FIRST, .price_exponent = -1};
    event.u.level.price = 10;
    event.u.level.amount = 1;
    put(&f, TWI_BID, 77, 0, 1);
    assert_int_equal(twi_book_apply_event(&f.book, &event), TW_OK);
    event.flags = TW_FLAG_SNAPSHOT | TW_FLAG_ASK | TW_FLAG_LAST;
    event.u.level.price = 12;
    assert_int_equal(twi_book_apply_event(&f.book, &event), TW_OK);
    assert_int_equal(twi_book_count(&f.book, TWI_BID), 1);
    assert_int_equal(twi_book_count(&f.book, TWI_ASK), 1);
    event.kind = TW_EVENT_QUOTE;
    assert_int_equal(twi_book_apply_event(&f.book, &event), TW_OK);
    assert_int_equal(twi_book_count(&f.book, TWI_BID), 1);
    event.kind = TW_EVENT_BOOK_CLEAR;
    assert_int_equal(twi_book_apply_event(&f.book, &event), TW_OK);
    assert_int_equal(twi_book_count(&f.book, TWI_BID), 0);
    free(f.memory);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(best_levels_come_first),
        cmocka_unit_test(prices_are_compared_by_value),
        cmocka_unit_test(finer_prices_rescale),
        cmocka_unit_test(impossible_scales_are_refused),
        cmocka_unit_test(a_full_side_keeps_the_best),
        cmocka_unit_test(snapshots_in_either_order),
        cmocka_unit_test(random_changes_equal_the_reference),
        cmocka_unit_test(both_machines_keep_the_same_deep_book),
        cmocka_unit_test(events_drive_a_book),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
