/* decimal_test.c - decimals: text to mantissa and back, comparison, rescaling, against snprintf and 128-bit arithmetic.
 */
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "engine/base/digits.h"
#include "tickwire/decimal.h"

static uint64_t seed_state = 20240601;

/* splitmix64 */
static uint64_t random_u64(void)
{
    uint64_t z = (seed_state += 0x9e3779b97f4a7c15u);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

/* Numbers of every length, not only long ones. */
static int64_t random_mantissa(void)
{
    return (int64_t)random_u64() >> (random_u64() % 64);
}

static void assert_parse(const char *text, int64_t mantissa, int exponent)
{
    tw_decimal value = {-1, 99};
    tw_status status = tw_decimal_parse(text, strlen(text), &value);
    if (status != TW_OK || value.mantissa != mantissa || value.exponent != exponent) {
        fail_msg("%s: %s %" PRId64 "e%d", text, tw_status_name(status), value.mantissa, value.exponent);
    }
}

static void assert_parse_fails(const char *text, tw_status expected)
{
    tw_decimal value;
    tw_status status = tw_decimal_parse(text, strlen(text), &value);
    if (status != expected) {
        fail_msg("'%s': %s instead of %s", text, tw_status_name(status), tw_status_name(expected));
    }
}

static void assert_format(int64_t mantissa, int exponent, const char *expected)
{
    char text[TW_DECIMAL_TEXT_MAX];
    size_t len = tw_decimal_format((tw_decimal){mantissa, (int8_t)exponent}, text);
    assert_true(len <= sizeof(text) - TWI_DIGITS_SLACK);
    if (len != strlen(expected) || memcmp(text, expected, len) != 0) {
        fail_msg("%" PRId64 "e%d: '%.*s' instead of '%s'", mantissa, exponent, (int)len, text, expected);
    }
}

static void parse_keeps_the_digits(void **state)
{
    (void)state;
    assert_parse("64000.10", 6400010, -2);
    assert_parse("0", 0, 0);
    assert_parse("-0.00", 0, -2);
    assert_parse("+5", 5, 0);
    assert_parse("-17.5", -175, -1);
    assert_parse("0.00000001", 1, -8);
    assert_parse("1500", 1500, 0);
    assert_parse("1e-7", 1, -7);
    assert_parse("1.50E+3", 150, 1);
    assert_parse("12e18", 12, 18);
    assert_parse("000000000000000000000012.5", 125, -1);
    assert_parse("0.00000000000000000000000000000000000000", 0, -30);
    assert_parse("0e99999999999999999999", 0, 0);
}

static void parse_at_the_limits(void **state)
{
    (void)state;
    assert_parse("9223372036854775807", INT64_MAX, 0);
    assert_parse("-9223372036854775808", INT64_MIN, 0);
    assert_parse("-92233720368.54775808", INT64_MIN, -8);
    assert_parse_fails("9223372036854775808", TW_TOO_BIG);
    assert_parse_fails("-9223372036854775809", TW_TOO_BIG);
    assert_parse("1.00000000000000000000000000", INT64_C(1000000000000000000), -18);
    assert_parse("10000000000000000000000000", INT64_C(1000000000000000000), 7);
    assert_parse("9223372036854775807000", INT64_MAX, 3);
    assert_parse("1e20", 100, 18);
    assert_parse_fails("1e40", TW_TOO_BIG);
    assert_parse("1e-30", 1, -30);
    assert_parse_fails("1e-31", TW_TOO_BIG);
    assert_parse("100e-32", 1, -30);
    assert_parse("0.000000000000000000000000000012", 12, -30);
    assert_parse_fails("1.00000000000000000000000000001", TW_TOO_BIG);
    assert_parse_fails("0.1234567890123456789012", TW_TOO_BIG);
    assert_parse_fails("1e999999999999999999999", TW_TOO_BIG);
    assert_parse_fails("1e-999999999999999999999", TW_TOO_BIG);
}

static void parse_refuses_what_is_no_number(void **state)
{
    (void)state;
    static const char *const texts[] = {"",      "-",    "+",     ".",   "1.",  ".5",   "1e",
                                        "1e+",   "1e-",  "e5",    "--1", "1 ",  " 1",   "1..2",
                                        "1.2.3", "0x10", "1,000", "NaN", "inf", "1e5x", "1e1.5"};
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        assert_parse_fails(texts[i], TW_MALFORMED);
    }
}

static void format_is_plain_notation(void **state)
{
    (void)state;
    assert_format(6400010, -2, "64000.10");
    assert_format(0, -2, "0.00");
    assert_format(0, 0, "0");
    assert_format(0, 18, "0");
    assert_format(-5, -1, "-0.5");
    assert_format(12, 3, "12000");
    assert_format(1, -8, "0.00000001");
    assert_format(1, -30, "0.000000000000000000000000000001");
    assert_format(1, -19, "0.0000000000000000001");
    assert_format(INT64_MAX, -19, "0.9223372036854775807");
    assert_format(INT64_MAX, 0, "9223372036854775807");
    assert_format(INT64_MIN, 0, "-9223372036854775808");
    assert_format(INT64_MIN, -18, "-9.223372036854775808");
    assert_format(INT64_MIN, -30, "-0.000000000009223372036854775808");
    assert_format(INT64_MIN, 18, "-9223372036854775808000000000000000000");
}

static void format_and_parse_are_inverse(void **state)
{
    (void)state;
    print_message("seed %" PRIu64 "\n", seed_state);
    for (int i = 0; i < 200000; i++) {
        tw_decimal value = {random_mantissa(), (int8_t)(-(int)(random_u64() % 31))};
        char text[TW_DECIMAL_TEXT_MAX];
        size_t len = tw_decimal_format(value, text);
        tw_decimal back;
        assert_int_equal(tw_decimal_parse(text, len, &back), TW_OK);
        assert_true(back.mantissa == value.mantissa && back.exponent == value.exponent);
    }
}

static void digits_match_snprintf(void **state)
{
    (void)state;
    for (int i = 0; i < 200000; i++) {
        uint64_t value = random_u64() >> (random_u64() % 64);
        if (i < 40) {
            value = twi_pow10[i / 2] - (uint64_t)(i % 2);
        }
        char expected[32];
        char text[TWI_U64_DIGITS_MAX + TWI_DIGITS_SLACK];
        int expected_len = snprintf(expected, sizeof(expected), "%" PRIu64, value);
        char *end = twi_digits_put(text, value);
        assert_int_equal(end - text, expected_len);
        assert_memory_equal(text, expected, (size_t)expected_len);
    }
}

static void every_eight_digit_block_is_right(void **state)
{
    (void)state;
    for (uint32_t value = 0; value < 100000000u; value += value < 200000u ? 1 : 997) {
        uint64_t spread = twi_digits_spread(value);
        uint32_t rest = value;
        for (int digit = 7; digit >= 0; digit--) {
            assert_int_equal((spread >> (8 * digit)) & 0xff, rest % 10);
            rest /= 10;
        }
        assert_true(twi_digits_are_eight(spread + TWI_DIGITS_ZEROS));
        assert_int_equal(twi_digits_read_eight(spread + TWI_DIGITS_ZEROS), value);
    }
}

static void bytes_that_are_no_digits_are_noticed(void **state)
{
    (void)state;
    for (unsigned place = 0; place < 8; place++) {
        for (unsigned byte = 0; byte < 256; byte++) {
            char text[] = "90817263";
            text[place] = (char)byte;
            assert_int_equal(twi_digits_are_eight(twi_load64(text)), byte >= '0' && byte <= '9');
        }
    }
}

static void division_by_powers_of_ten_is_exact(void **state)
{
    (void)state;
    for (unsigned exponent = 1; exponent <= TWI_DIVIDE_POW10_MAX; exponent++) {
        uint64_t power = twi_pow10[exponent];
        uint64_t top = (uint64_t)1 << 63;
        uint64_t edges[] = {0,   1,      power - 1, power, power + 1, top / power * power, top / power * power - 1,
                            top, top - 1};
        for (size_t i = 0; i < sizeof(edges) / sizeof(edges[0]); i++) {
            assert_true(twi_divide_pow10(edges[i], exponent) == edges[i] / power);
        }
        for (int i = 0; i < 20000; i++) {
            uint64_t value = (random_u64() >> 1) >> (random_u64() % 63);
            assert_true(twi_divide_pow10(value, exponent) == value / power);
            value -= value % power;
            assert_true(twi_divide_pow10(value, exponent) == value / power);
        }
    }
}

static void rescale_keeps_the_value_or_refuses(void **state)
{
    (void)state;
    int64_t mantissa = 0;
    assert_int_equal(tw_decimal_rescale((tw_decimal){15, -1}, -3, &mantissa), TW_OK);
    assert_int_equal(mantissa, 1500);
    assert_int_equal(tw_decimal_rescale((tw_decimal){1500, -3}, -1, &mantissa), TW_OK);
    assert_int_equal(mantissa, 15);
    assert_int_equal(tw_decimal_rescale((tw_decimal){1501, -3}, -1, &mantissa), TW_TOO_BIG);
    assert_int_equal(tw_decimal_rescale((tw_decimal){0, -30}, 18, &mantissa), TW_OK);
    assert_int_equal(mantissa, 0);
    assert_int_equal(tw_decimal_rescale((tw_decimal){INT64_MAX, 0}, -1, &mantissa), TW_TOO_BIG);
    assert_int_equal(tw_decimal_rescale((tw_decimal){INT64_MIN, 0}, 0, &mantissa), TW_OK);
    assert_int_equal(tw_decimal_rescale((tw_decimal){1, 18}, -30, &mantissa), TW_TOO_BIG);
    assert_int_equal(tw_decimal_rescale((tw_decimal){-9, 18}, 0, &mantissa), TW_OK);
    assert_true(mantissa == INT64_C(-9000000000000000000));
}

static int sign_of_difference(__int128 a, __int128 b)
{
    return (a > b) - (a < b);
}

static void compare_is_by_value(void **state)
{
    (void)state;
    assert_int_equal(tw_decimal_compare((tw_decimal){10, -1}, (tw_decimal){100, -2}), 0);
    assert_int_equal(tw_decimal_compare((tw_decimal){0, 5}, (tw_decimal){0, -5}), 0);
    assert_int_equal(tw_decimal_compare((tw_decimal){1, 18}, (tw_decimal){INT64_MAX, -30}), 1);
    assert_int_equal(tw_decimal_compare((tw_decimal){-1, 18}, (tw_decimal){INT64_MIN, -30}), -1);
    assert_int_equal(tw_decimal_compare((tw_decimal){INT64_MIN, 0}, (tw_decimal){INT64_MIN, 1}), 1);
    for (int i = 0; i < 200000; i++) {
        int spread = (int)(random_u64() % 19);
        int64_t coarse = random_mantissa();
        int64_t fine = random_mantissa();
        if (i % 4 == 0) {
            coarse = fine / (int64_t)twi_pow10[spread] + (int)(random_u64() % 3) - 1;
        }
        int expected = sign_of_difference((__int128)coarse * (int64_t)twi_pow10[spread], fine);
        int8_t base = (int8_t)(-30 + (int)(random_u64() % 30));
        tw_decimal a = {coarse, (int8_t)(base + spread)};
        tw_decimal b = {fine, base};
        assert_int_equal(tw_decimal_compare(a, b), expected);
        assert_int_equal(tw_decimal_compare(b, a), -expected);
    }
}

static void to_double_is_close(void **state)
{
    (void)state;
    assert_true(tw_decimal_to_double((tw_decimal){6400010, -2}) == 64000.10);
    assert_true(tw_decimal_to_double((tw_decimal){5, 18}) == 5e18);
    assert_true(tw_decimal_to_double((tw_decimal){-1, -8}) == -1e-8);
    double tiny = tw_decimal_to_double((tw_decimal){1, -30});
    assert_true(tiny > 0.999999999e-30 && tiny < 1.000000001e-30);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parse_keeps_the_digits),
        cmocka_unit_test(parse_at_the_limits),
        cmocka_unit_test(parse_refuses_what_is_no_number),
        cmocka_unit_test(format_is_plain_notation),
        cmocka_unit_test(format_and_parse_are_inverse),
        cmocka_unit_test(digits_match_snprintf),
        cmocka_unit_test(every_eight_digit_block_is_right),
        cmocka_unit_test(bytes_that_are_no_digits_are_noticed),
        cmocka_unit_test(division_by_powers_of_ten_is_exact),
        cmocka_unit_test(rescale_keeps_the_value_or_refuses),
        cmocka_unit_test(compare_is_by_value),
        cmocka_unit_test(to_double_is_close),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
