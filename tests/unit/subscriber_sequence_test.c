/* subscriber_sequence_test.c - the sequence rules of the wire protocol, one test per sentence of it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "subscribers/sequence.h"

static void expect(twi_sequence_step step, tw_sequence_verdict verdict, uint64_t missing)
{
    assert_int_equal(step.verdict, verdict);
    assert_int_equal(step.missing, missing);
}

static void next_has_seq_plus_one(void **state)
{
    (void)state;
    twi_sequence s = {0};
    expect(twi_sequence_data(&s, 4712, 0, false), TW_SEQUENCE_FIRST, 0);
    expect(twi_sequence_data(&s, 4713, 0, false), TW_SEQUENCE_NEXT, 0);
    expect(twi_sequence_data(&s, 4714, 4713, false), TW_SEQUENCE_NEXT, 0);
}

static void or_names_the_last_one_delivered(void **state)
{
    (void)state;
    twi_sequence s = {0};
    expect(twi_sequence_data(&s, 501, 0, true), TW_SEQUENCE_FIRST, 0);
    expect(twi_sequence_data(&s, 507, 501, false), TW_SEQUENCE_NEXT, 0);
    expect(twi_sequence_data(&s, 512, 508, false), TW_SEQUENCE_GAP, 1);
    expect(twi_sequence_data(&s, 520, 511, false), TW_SEQUENCE_DUPLICATE, 0); /* overlaps 512 */
    expect(twi_sequence_data(&s, 521, 0, false), TW_SEQUENCE_NEXT, 0);
}

static void holes_and_repetitions_are_seen(void **state)
{
    (void)state;
    twi_sequence s = {0};
    expect(twi_sequence_data(&s, 1, 0, false), TW_SEQUENCE_FIRST, 0);
    expect(twi_sequence_data(&s, 5, 0, false), TW_SEQUENCE_GAP, 3);
    expect(twi_sequence_data(&s, 5, 0, false), TW_SEQUENCE_DUPLICATE, 0);
    expect(twi_sequence_data(&s, 4, 0, false), TW_SEQUENCE_DUPLICATE, 0);
    expect(twi_sequence_data(&s, 6, 0, false), TW_SEQUENCE_NEXT, 0);
}

static void impossible_numbers_change_nothing(void **state)
{
    (void)state;
    twi_sequence s = {0};
    expect(twi_sequence_data(&s, 0, 0, false), TW_SEQUENCE_DUPLICATE, 0);
    expect(twi_sequence_data(&s, 10, 0, false), TW_SEQUENCE_FIRST, 0);
    expect(twi_sequence_data(&s, 12, 12, false), TW_SEQUENCE_DUPLICATE, 0);
    expect(twi_sequence_data(&s, 12, 500, false), TW_SEQUENCE_DUPLICATE, 0);
    expect(twi_sequence_data(&s, 0, 0, true), TW_SEQUENCE_DUPLICATE, 0);
    expect(twi_sequence_data(&s, 11, 0, false), TW_SEQUENCE_NEXT, 0);
}

static void a_topic_without_news_stands_at_zero(void **state)
{
    (void)state;
    twi_sequence s = {0};
    twi_sequence_joined(&s, 0);
    twi_sequence_step step = twi_sequence_data(&s, 0, 0, false); /* the status of an instrument that never changed */
    expect(step, TW_SEQUENCE_FIRST, 0);
    assert_true(step.is_state);
    expect(twi_sequence_data(&s, 0, 0, false), TW_SEQUENCE_DUPLICATE, 0);
    step = twi_sequence_data(&s, 1, 0, false);
    expect(step, TW_SEQUENCE_NEXT, 0);
    assert_false(step.is_state);
}

static void after_a_loss_the_state_of_every_topic_comes_again(void **state)
{
    (void)state;
    twi_sequence quote = {0}, trade = {0};
    twi_sequence_joined(&quote, 7);
    twi_sequence_joined(&trade, 100);
    expect(twi_sequence_data(&quote, 8, 0, false), TW_SEQUENCE_FIRST, 0);
    expect(twi_sequence_data(&trade, 101, 0, false), TW_SEQUENCE_FIRST, 0);
    expect(twi_sequence_loss(&trade, 102, 110), TW_SEQUENCE_LOSS, 0);
    twi_sequence_resync(&trade);
    twi_sequence_resync(&quote);
    twi_sequence_step step = twi_sequence_data(&quote, 8, 0, false); /* nothing of it was lost, and it is said again */
    expect(step, TW_SEQUENCE_SNAPSHOT, 0);
    assert_true(step.is_state);
    expect(twi_sequence_data(&quote, 8, 0, false), TW_SEQUENCE_DUPLICATE, 0);
    expect(twi_sequence_data(&quote, 10, 0, false), TW_SEQUENCE_GAP, 1);
    expect(twi_sequence_data(&trade, 111, 0, false), TW_SEQUENCE_NEXT, 0);
    expect(twi_sequence_data(&trade, 113, 0, false), TW_SEQUENCE_GAP, 1);
}

static void snapshot_with_s_is_followed_by_s_plus_one(void **state)
{
    (void)state;
    twi_sequence s = {0};
    assert_int_equal(twi_sequence_joined(&s, 501), 0);
    expect(twi_sequence_data(&s, 501, 0, true), TW_SEQUENCE_FIRST, 0);
    expect(twi_sequence_data(&s, 502, 0, false), TW_SEQUENCE_NEXT, 0);
    expect(twi_sequence_data(&s, 503, 0, true), TW_SEQUENCE_SNAPSHOT, 0); /* in the middle of the stream */
    expect(twi_sequence_data(&s, 503, 0, true), TW_SEQUENCE_SNAPSHOT, 0); /* asked for again */
    expect(twi_sequence_data(&s, 506, 0, true), TW_SEQUENCE_GAP, 2);
}

static void the_answer_sets_where_the_stream_begins(void **state)
{
    (void)state;
    twi_sequence s = {0};
    twi_sequence_joined(&s, 10);
    expect(twi_sequence_data(&s, 11, 0, false), TW_SEQUENCE_FIRST, 0);
    s = (twi_sequence){0};
    twi_sequence_joined(&s, 10);
    expect(twi_sequence_data(&s, 13, 0, false), TW_SEQUENCE_GAP, 2);
    s = (twi_sequence){0};
    twi_sequence_joined(&s, 10);
    expect(twi_sequence_data(&s, 9, 0, false), TW_SEQUENCE_DUPLICATE, 0);
    s = (twi_sequence){0};
    twi_sequence_joined(&s, 0);
    expect(twi_sequence_data(&s, 1, 0, false), TW_SEQUENCE_FIRST, 0);
    s = (twi_sequence){0};
    twi_sequence_joined(&s, 10);
    expect(twi_sequence_data(&s, 15, 0, true), TW_SEQUENCE_FIRST, 0); /* a later snapshot holds it all */
}

static void an_answer_does_not_disturb_a_flowing_topic(void **state)
{
    (void)state;
    twi_sequence s = {0};
    twi_sequence_data(&s, 10, 0, false);
    assert_int_equal(twi_sequence_joined(&s, 12), 0);
    expect(twi_sequence_data(&s, 11, 0, false), TW_SEQUENCE_NEXT, 0);
}

static void loss_records_cover_what_is_missing(void **state)
{
    (void)state;
    twi_sequence s = {0};
    twi_sequence_data(&s, 811, 0, false);
    expect(twi_sequence_loss(&s, 812, 815), TW_SEQUENCE_LOSS, 0);
    expect(twi_sequence_data(&s, 816, 0, false), TW_SEQUENCE_NEXT, 0);
    expect(twi_sequence_loss(&s, 818, 820), TW_SEQUENCE_GAP, 1);
    expect(twi_sequence_loss(&s, 819, 820), TW_SEQUENCE_DUPLICATE, 0);
    expect(twi_sequence_loss(&s, 820, 825), TW_SEQUENCE_DUPLICATE, 0);
    expect(twi_sequence_data(&s, 826, 0, false), TW_SEQUENCE_NEXT, 0);
    expect(twi_sequence_loss(&s, 0, 3), TW_SEQUENCE_DUPLICATE, 0);
    expect(twi_sequence_loss(&s, 830, 829), TW_SEQUENCE_DUPLICATE, 0);
    expect(twi_sequence_data(&s, 827, 0, false), TW_SEQUENCE_NEXT, 0);
}

static void a_loss_may_come_first(void **state)
{
    (void)state;
    twi_sequence s = {0};
    expect(twi_sequence_loss(&s, 5, 9), TW_SEQUENCE_LOSS, 0);
    expect(twi_sequence_data(&s, 10, 0, false), TW_SEQUENCE_NEXT, 0);
    s = (twi_sequence){0};
    twi_sequence_joined(&s, 4);
    expect(twi_sequence_loss(&s, 5, 9), TW_SEQUENCE_LOSS, 0);
    expect(twi_sequence_data(&s, 10, 0, false), TW_SEQUENCE_NEXT, 0);
}

static void what_went_by_while_down_is_neither_gap_nor_hidden(void **state)
{
    (void)state;
    twi_sequence s = {0};
    twi_sequence_data(&s, 100, 0, false);
    twi_sequence_down(&s);
    twi_sequence_step step = twi_sequence_data(&s, 108, 0, false);
    expect(step, TW_SEQUENCE_FIRST, 0);
    assert_int_equal(step.missed_while_down, 7);
    twi_sequence_down(&s);
    assert_int_equal(twi_sequence_joined(&s, 120), 12);
    step = twi_sequence_data(&s, 121, 0, false);
    expect(step, TW_SEQUENCE_FIRST, 0);
    assert_int_equal(step.missed_while_down, 0);
    twi_sequence_down(&s);
    step = twi_sequence_data(&s, 121, 0, true); /* nothing happened meanwhile: the last value again */
    assert_int_equal(step.missed_while_down, 0);
    twi_sequence_down(&s);
    step = twi_sequence_loss(&s, 125, 130);
    expect(step, TW_SEQUENCE_LOSS, 0);
    assert_int_equal(step.missed_while_down, 3);
}

static void a_topic_never_seen_stays_new_through_a_reconnect(void **state)
{
    (void)state;
    twi_sequence s = {0};
    twi_sequence_down(&s);
    twi_sequence_step step = twi_sequence_data(&s, 77, 0, false);
    expect(step, TW_SEQUENCE_FIRST, 0);
    assert_int_equal(step.missed_while_down, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(next_has_seq_plus_one),
        cmocka_unit_test(or_names_the_last_one_delivered),
        cmocka_unit_test(holes_and_repetitions_are_seen),
        cmocka_unit_test(impossible_numbers_change_nothing),
        cmocka_unit_test(a_topic_without_news_stands_at_zero),
        cmocka_unit_test(after_a_loss_the_state_of_every_topic_comes_again),
        cmocka_unit_test(snapshot_with_s_is_followed_by_s_plus_one),
        cmocka_unit_test(the_answer_sets_where_the_stream_begins),
        cmocka_unit_test(an_answer_does_not_disturb_a_flowing_topic),
        cmocka_unit_test(loss_records_cover_what_is_missing),
        cmocka_unit_test(a_loss_may_come_first),
        cmocka_unit_test(what_went_by_while_down_is_neither_gap_nor_hidden),
        cmocka_unit_test(a_topic_never_seen_stays_new_through_a_reconnect),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
