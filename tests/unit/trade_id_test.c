/* trade_id_test.c - trade ids of every venue's shape, and interval texts: what is read is written back unchanged. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "engine/base/interval.h"
#include "engine/base/trade_id.h"

static void assert_round_trip(const char *text, tw_id_kind expected)
{
    tw_id_kind kind;
    tw_trade_id id;
    char back[TWI_TRADE_ID_BYTES_MAX];
    assert_int_equal(twi_trade_id_parse(text, strlen(text), &kind, &id), TW_OK);
    assert_int_equal(kind, expected);
    size_t len = twi_trade_id_format(kind, id, back);
    assert_int_equal(len, strlen(text));
    assert_memory_equal(back, text, len);
}

static void ids_come_back_unchanged(void **state)
{
    (void)state;
    assert_round_trip("", TW_ID_NONE);
    assert_round_trip("0", TW_ID_NUMBER);
    assert_round_trip("3012345", TW_ID_NUMBER);
    assert_round_trip("18446744073709551615", TW_ID_NUMBER);
    assert_round_trip("18446744073709551616", TW_ID_NUMBER);
    assert_round_trip("100000000000000000000000000000000000000", TW_ID_NUMBER);
    assert_round_trip("340282366920938463463374607431768211455", TW_ID_NUMBER);
    assert_round_trip("2f9a7e2c-0d7b-4f86-8a53-ff00fe010203", TW_ID_UUID);
    assert_round_trip("5c35c02703aa673ceec2a168", TW_ID_HEX);
    assert_round_trip("007", TW_ID_TEXT);
    assert_round_trip("ETH-123456", TW_ID_TEXT);
    assert_round_trip("ABCDEFGHIJKLMNOP", TW_ID_TEXT);
    assert_round_trip("a\"b\\c", TW_ID_TEXT);
}

static void ids_that_fit_nowhere_are_refused(void **state)
{
    (void)state;
    tw_id_kind kind;
    tw_trade_id id;
    assert_int_equal(twi_trade_id_parse("340282366920938463463374607431768211456", 39, &kind, &id), TW_TOO_BIG);
    assert_int_equal(twi_trade_id_parse("ABCDEFGHIJKLMNOPQ", 17, &kind, &id), TW_TOO_BIG);
    assert_int_equal(twi_trade_id_parse("2F9A7E2C-0D7B-4F86-8A53-FF00FE010203", 36, &kind, &id), TW_TOO_BIG);
    assert_int_equal(twi_trade_id_parse("2f9a7e2cx0d7b-4f86-8a53-ff00fe010203", 36, &kind, &id), TW_TOO_BIG);
    assert_int_equal(twi_trade_id_parse("a\nb", 3, &kind, &id), TW_MALFORMED);
    assert_int_equal(twi_trade_id_parse("a\0b", 3, &kind, &id), TW_MALFORMED);
    assert_int_equal(twi_trade_id_parse("\xc3\xa9", 2, &kind, &id), TW_MALFORMED);
    char out[TWI_TRADE_ID_BYTES_MAX];
    assert_int_equal(twi_trade_id_format((tw_id_kind)7, id, out), 0);
}

static void uuid_bytes_are_in_text_order(void **state)
{
    (void)state;
    static const uint8_t expected[16] = {0x2f, 0x9a, 0x7e, 0x2c, 0x0d, 0x7b, 0x4f, 0x86,
                                         0x8a, 0x53, 0xff, 0x00, 0xfe, 0x01, 0x02, 0x03};
    tw_id_kind kind;
    tw_trade_id id;
    assert_int_equal(twi_trade_id_parse("2f9a7e2c-0d7b-4f86-8a53-ff00fe010203", 36, &kind, &id), TW_OK);
    assert_memory_equal(&id, expected, sizeof(expected));
}

static void assert_interval(const char *text, int64_t interval_ns, const char *written)
{
    int64_t value = -1;
    char back[TWI_INTERVAL_BYTES_MAX];
    assert_int_equal(twi_interval_parse(text, strlen(text), &value), TW_OK);
    assert_true(value == interval_ns);
    size_t len = twi_interval_format(value, back);
    assert_int_equal(len, strlen(written));
    assert_memory_equal(back, written, len);
}

static void intervals(void **state)
{
    (void)state;
    assert_interval("1s", 1000000000, "1s");
    assert_interval("60s", INT64_C(60000000000), "1m");
    assert_interval("15m", INT64_C(900000000000), "15m");
    assert_interval("1h", INT64_C(3600000000000), "1h");
    assert_interval("1d", INT64_C(86400000000000), "1d");
    assert_interval("7d", INT64_C(604800000000000), "1w");
    assert_interval("250ms", 250000000, "250ms");
    assert_interval("1us", 1000, "1us");
    assert_interval("9223372036854775799ns", INT64_C(9223372036854775799), "9223372036854775799ns");
    assert_interval("0m", 0, "0s");
    static const char *const bad[] = {"", "m", "5", "5x", "-5s", "5s ", "1h30m", "5mm"};
    int64_t value;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_int_equal(twi_interval_parse(bad[i], strlen(bad[i]), &value), TW_MALFORMED);
    }
    assert_int_equal(twi_interval_parse("99999999999999999999s", 21, &value), TW_TOO_BIG);
    assert_int_equal(twi_interval_parse("999999999w", 10, &value), TW_TOO_BIG);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ids_come_back_unchanged),
        cmocka_unit_test(ids_that_fit_nowhere_are_refused),
        cmocka_unit_test(uuid_bytes_are_in_text_order),
        cmocka_unit_test(intervals),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
