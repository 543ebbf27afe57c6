/* subscriber_last_receiver_test.c - when everybody has had a message, and what happens when somebody never has it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "subscribers/last_receiver.h"

static void tells_first_and_last_when_all_have_it(void **state)
{
    (void)state;
    twi_last_receiver last;
    int64_t first_ns = 0, last_ns = 0;
    twi_last_receiver_init(&last, 3);
    assert_int_equal(twi_last_receiver_add(&last, 5, 100, 20, &first_ns, &last_ns), TW_NEED_MORE);
    assert_int_equal(twi_last_receiver_add(&last, 5, 101, 7, &first_ns, &last_ns), TW_NEED_MORE);
    assert_int_equal(twi_last_receiver_add(&last, 5, 100, 10, &first_ns, &last_ns), TW_NEED_MORE);
    assert_int_equal(twi_last_receiver_add(&last, 900, 100, 1, &first_ns, &last_ns), TW_NEED_MORE);
    assert_int_equal(twi_last_receiver_add(&last, 5, 100, 30, &first_ns, &last_ns), TW_OK);
    assert_int_equal(first_ns, 10);
    assert_int_equal(last_ns, 30);
    assert_int_equal(last.complete, 1);
    twi_last_receiver_free(&last);
}

static void counts_what_somebody_never_had(void **state)
{
    (void)state;
    twi_last_receiver last;
    int64_t first_ns, last_ns;
    twi_last_receiver_init(&last, 2);
    for (uint64_t seq = 1; seq <= 3000; seq++)
        assert_int_equal(twi_last_receiver_add(&last, 0, seq, 1, &first_ns, &last_ns), TW_NEED_MORE);
    assert_int_equal(last.incomplete, 3000 - 1024);
    assert_int_equal(twi_last_receiver_add(&last, 0, 10, 1, &first_ns, &last_ns), TW_NEED_MORE);
    assert_int_equal(last.late, 1);
    assert_int_equal(last.complete, 0);
    twi_last_receiver_free(&last);
}

static void one_receiver_is_first_and_last(void **state)
{
    (void)state;
    twi_last_receiver last;
    int64_t first_ns, last_ns;
    twi_last_receiver_init(&last, 1);
    assert_int_equal(twi_last_receiver_add(&last, 0, 1, 42, &first_ns, &last_ns), TW_OK);
    assert_int_equal(first_ns, 42);
    assert_int_equal(last_ns, 42);
    twi_last_receiver_free(&last);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tells_first_and_last_when_all_have_it),
        cmocka_unit_test(counts_what_somebody_never_had),
        cmocka_unit_test(one_receiver_is_first_and_last),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
