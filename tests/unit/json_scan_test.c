/* json_scan_test.c - the scanner against RFC 8259: what must be read, what must be refused, every prefix, random bytes.
 * Inputs end at an unreadable page, so that a read past the end is a crash. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "engine/proto/json_scan.h"

enum { GUARD_TEXT_MAX = 4096 };

static uint8_t *guard_page; /* one byte past the readable area */

static int make_guard_page(void **state)
{
    (void)state;
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    uint8_t *area = mmap(NULL, 2 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANON, -1, 0);
    if (area == MAP_FAILED || mprotect(area + page, page, PROT_NONE) != 0)
        return -1;
    guard_page = area + page;
    return 0;
}

/* A scan of text placed right before the guard page. */
static twi_json scan_bytes(const void *text, size_t len)
{
    assert_true(len <= GUARD_TEXT_MAX);
    memcpy(guard_page - len, text, len);
    twi_json json;
    twi_json_init(&json, guard_page - len, len);
    return json;
}

static twi_json scan(const char *text)
{
    return scan_bytes(text, strlen(text));
}

static tw_status skip_status(const char *text, size_t len)
{
    twi_json json = scan_bytes(text, len);
    twi_json_skip(&json);
    return twi_json_end(&json);
}

static void valid_texts_are_skipped(void **state)
{
    (void)state;
    static const char *const texts[] = {"0",
                                        "-0",
                                        "-1.5e+10",
                                        "1E5",
                                        "12345678901234567890.123456789",
                                        "\"\"",
                                        "\"a\\\"b\\\\\\/\\b\\f\\n\\r\\t\\u00e9\"",
                                        "true",
                                        "false",
                                        "null",
                                        "[]",
                                        "{}",
                                        " [ ] ",
                                        "[[],{}]",
                                        "{\"a\":{}}",
                                        "{\"a\":[1,2,{\"b\":null}],\"c\":\"d\"}",
                                        "\t[1 , 2\r\n, 3 ]",
                                        "{ \"a\" : 1 , \"b\" : [ ] }",
                                        "\"a long string that is longer than a vector of bytes\"",
                                        "[\"\xc3\xa9\",\"\\ud83d\\ude00\"]",
                                        "[[[[[[[[1]]]]]]]]"};
    for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++) {
        if (skip_status(texts[i], strlen(texts[i])) != TW_OK)
            fail_msg("refused: %s", texts[i]);
    }
}

static void invalid_texts_are_refused(void **state)
{
    (void)state;
    static const char *const texts[] = {"",           " ",           "-",         "01",         "1.",
                                        ".5",         "1e",          "1e+",       "+1",         "--1",
                                        "0x10",       "tru",         "True",      "nul",        "nan",
                                        "[",          "]",           "[1",        "[1,",        "[1,]",
                                        "[,1]",       "[1 2]",       "{",         "}",          "{\"a\"",
                                        "{\"a\":",    "{\"a\":1",    "{\"a\":1,", "{\"a\":1,}", "{,}",
                                        "{1:2}",      "{\"a\" 1}",   "{\"a\":1]", "[1}",        "[1]]",
                                        "1 2",        "\"",          "\"a",       "\"\\",       "\"\\x\"",
                                        "\"\\u12\"",  "\"\\u12g4\"", "\"a\nb\"",  "\"a\tb\"",   "[\"a\" \"b\"]",
                                        "{\"a\"::1}", "\"a\"b",      "\x00",      "[1,\x01]",   "/**/1"};
    for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++) {
        if (skip_status(texts[i], strlen(texts[i])) == TW_OK)
            fail_msg("accepted: %s", texts[i]);
    }
    assert_int_equal(skip_status("\"a\0b\"", 5), TW_MALFORMED);
    assert_int_equal(skip_status("1\0", 2), TW_MALFORMED);
}

static void every_prefix_is_refused(void **state)
{
    (void)state;
    static const char text[] =
        "{\"stream\":\"btcusdt@depth\",\"data\":{\"e\":\"depth\\u0055pdate\",\"E\":1723161255342,"
        "\"b\":[[\"61685.99000000\",\"1.00870000\"]],\"a\":[],\"x\":-1.5e-7,\"y\":[true,false,null]}}";
    size_t len = sizeof(text) - 1;
    assert_int_equal(skip_status(text, len), TW_OK);
    for (size_t cut = 0; cut < len; cut++)
        assert_int_equal(skip_status(text, cut), TW_MALFORMED);
}

static void depth_is_limited(void **state)
{
    (void)state;
    char text[2 * TWI_JSON_DEPTH_MAX + 2];
    memset(text, '[', TWI_JSON_DEPTH_MAX);
    memset(text + TWI_JSON_DEPTH_MAX, ']', TWI_JSON_DEPTH_MAX);
    assert_int_equal(skip_status(text, 2 * TWI_JSON_DEPTH_MAX), TW_OK);
    memset(text, '[', TWI_JSON_DEPTH_MAX + 1);
    memset(text + TWI_JSON_DEPTH_MAX + 1, ']', TWI_JSON_DEPTH_MAX + 1);
    assert_int_equal(skip_status(text, 2 * TWI_JSON_DEPTH_MAX + 2), TW_TOO_BIG);
    twi_json json = scan_bytes(text, 2 * TWI_JSON_DEPTH_MAX + 2);
    while (twi_json_enter_array(&json))
        twi_json_next_item(&json);
    assert_int_equal(twi_json_end(&json), TW_TOO_BIG);
}

static void members_are_read_in_any_order(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "{\"s\":\"BTCUSDT\",\"p\":\"61837.63000000\",\"t\":3735683259,\"x\":[{}]}",
        "{ \"x\" : [ { } ], \"t\" : \"3735683259\", \"p\" : 61837.63 , \"\\u0073\" : \"BTCUSDT\" } "};
    for (size_t i = 0; i < 2; i++) {
        twi_json json = scan(texts[i]);
        twi_json_slice key, symbol = {0};
        tw_decimal price = {0};
        uint64_t id = 0;
        assert_true(twi_json_enter_object(&json));
        while (twi_json_next_member(&json, &key)) {
            if (TWI_JSON_IS(key, "s"))
                twi_json_string(&json, &symbol);
            else if (TWI_JSON_IS(key, "p"))
                twi_json_decimal(&json, &price);
            else if (TWI_JSON_IS(key, "t"))
                twi_json_uint64(&json, &id);
            else
                twi_json_skip(&json);
        }
        assert_int_equal(twi_json_end(&json), TW_OK);
        assert_true(TWI_JSON_IS(symbol, "BTCUSDT"));
        assert_int_equal(tw_decimal_compare(price, (tw_decimal){6183763, -2}), 0);
        assert_int_equal(id, 3735683259);
    }
}

static void items_and_drain(void **state)
{
    (void)state;
    twi_json json = scan("[[1,2,\"r\",{}],[],[3,4]]");
    int64_t sum = 0;
    size_t rows = 0;
    assert_true(twi_json_enter_array(&json));
    while (twi_json_next_item(&json)) {
        rows++;
        assert_true(twi_json_enter_array(&json));
        int64_t value;
        if (twi_json_next_item(&json)) {
            assert_true(twi_json_int64(&json, &value));
            sum += value;
            twi_json_drain_array(&json);
        }
    }
    assert_int_equal(twi_json_end(&json), TW_OK);
    assert_int_equal(rows, 3);
    assert_int_equal(sum, 4);
}

static void deferred_values_are_read_later(void **state)
{
    (void)state;
    twi_json json = scan("{\"b\":[[1,2]],\"s\":\"X\"}"), place = {0};
    twi_json_slice key, symbol = {0};
    assert_true(twi_json_enter_object(&json));
    while (twi_json_next_member(&json, &key)) {
        if (TWI_JSON_IS(key, "b"))
            assert_true(twi_json_defer(&json, &place));
        else
            twi_json_string(&json, &symbol);
    }
    assert_int_equal(twi_json_end(&json), TW_OK);
    assert_true(TWI_JSON_IS(symbol, "X"));
    assert_true(twi_json_enter_array(&place));
    assert_true(twi_json_next_item(&place));
    assert_true(twi_json_enter_array(&place));
    int64_t value;
    assert_true(twi_json_next_item(&place));
    assert_true(twi_json_int64(&place, &value));
    assert_int_equal(value, 1);
}

static void check_decimal(const char *text, tw_status status, int64_t mantissa, int exponent)
{
    char wrapped[160];
    for (int quoted = 0; quoted < 2; quoted++) {
        for (int padded = 0; padded < 2; padded++) { /* at the guard page the slow path reads it, else the fast one */
            const char *quote = quoted ? "\"" : "";
            snprintf(wrapped, sizeof(wrapped), "[%s%s%s%s]", quote, text, quote, padded ? ",\"................\"" : "");
            twi_json json = scan(wrapped);
            tw_decimal value = {0};
            assert_true(twi_json_enter_array(&json));
            assert_true(twi_json_next_item(&json));
            if (twi_json_decimal(&json, &value))
                twi_json_drain_array(&json);
            if (status == TW_OK) {
                assert_int_equal(value.mantissa, mantissa);
                assert_int_equal(value.exponent, exponent);
            }
            assert_int_equal(twi_json_end(&json), status);
        }
    }
}

static void decimals_are_exact(void **state)
{
    (void)state;
    check_decimal("0", TW_OK, 0, 0);
    check_decimal("61685.99000000", TW_OK, 6168599000000, -8);
    check_decimal("0.00000638", TW_OK, 638, -8);
    check_decimal("-12.5", TW_OK, -125, -1);
    check_decimal("1234567", TW_OK, 1234567, 0);
    check_decimal("12345678", TW_OK, 12345678, 0);
    check_decimal("184440410.123", TW_OK, 184440410123, -3);
    check_decimal("9999999.99999999", TW_OK, 999999999999999, -8);
    check_decimal("0.123456789012", TW_OK, 123456789012, -12);
    check_decimal("0.00", TW_OK, 0, -2);
    check_decimal("9.121E-7", TW_OK, 9121, -10);
    check_decimal("12345678901234567890123", TW_TOO_BIG, 0, 0);
    check_decimal("1.2.3", TW_MALFORMED, 0, 0);
    check_decimal("abc", TW_MALFORMED, 0, 0);
    check_decimal("1.", TW_MALFORMED, 0, 0);
    check_decimal("-", TW_MALFORMED, 0, 0);
}

static void fast_decimals_equal_slow_ones(void **state)
{
    (void)state;
    srandom(7);
    for (int round = 0; round < 20000; round++) {
        char text[64];
        int whole = (int)(random() % 10000000) >> (random() % 24), digits = (int)(random() % 9);
        int fraction = (int)(random() % 100000000);
        int len = snprintf(text, sizeof(text), "%s%d", random() % 4 == 0 ? "-" : "", whole);
        if (digits > 0) {
            char full[16];
            snprintf(full, sizeof(full), "%08d", fraction);
            len += snprintf(text + len, sizeof(text) - (size_t)len, ".%.*s", digits, full);
        }
        tw_decimal expected;
        assert_int_equal(tw_decimal_parse(text, (size_t)len, &expected), TW_OK);
        check_decimal(text, TW_OK, expected.mantissa, expected.exponent);
    }
}

static void integers_know_their_range(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        tw_status status;
        int64_t value;
    } cases[] = {{"9223372036854775807", TW_OK, INT64_MAX},
                 {"-9223372036854775808", TW_OK, INT64_MIN},
                 {"9223372036854775808", TW_TOO_BIG, 0},
                 {"-9223372036854775809", TW_TOO_BIG, 0},
                 {"99999999999999999999999999", TW_TOO_BIG, 0},
                 {"\"12\"", TW_OK, 12},
                 {"1.5", TW_MALFORMED, 0},
                 {"\"\"", TW_MALFORMED, 0},
                 {"\"-\"", TW_MALFORMED, 0},
                 {"true", TW_MALFORMED, 0}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        twi_json json = scan(cases[i].text);
        int64_t value = 0;
        assert_int_equal(twi_json_int64(&json, &value), cases[i].status == TW_OK);
        assert_int_equal(twi_json_end(&json), cases[i].status);
        assert_int_equal(value, cases[i].value);
    }
}

static void strings_are_unescaped(void **state)
{
    (void)state;
    twi_json json = scan("\"a\\n\\u00e9\\u20ac\\ud83d\\ude00\\/\"");
    twi_json_slice slice;
    char out[32];
    size_t len = 0;
    assert_true(twi_json_string(&json, &slice));
    assert_true(slice.escaped);
    assert_int_equal(twi_json_unescape(slice, out, sizeof(out), &len), TW_OK);
    assert_int_equal(len, 12);
    assert_memory_equal(out, "a\n\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80/", 12);
    assert_int_equal(twi_json_unescape(slice, out, 5, &len), TW_TOO_BIG);
    assert_true(TWI_JSON_IS(slice, "a\n\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80/"));
    static const char *const lone[] = {"\"\\ud83d\"", "\"\\ude00\"", "\"\\ud83d\\u0041\"", "\"\\ud83dxxxxxx\""};
    for (size_t i = 0; i < sizeof(lone) / sizeof(*lone); i++) {
        json = scan(lone[i]);
        assert_true(twi_json_string(&json, &slice));
        assert_int_equal(twi_json_unescape(slice, out, sizeof(out), &len), TW_MALFORMED);
    }
}

static void wrong_types_fail_and_stay_failed(void **state)
{
    (void)state;
    twi_json json = scan("{\"a\":1}");
    twi_json_slice slice;
    bool flag;
    assert_false(twi_json_enter_array(&json));
    assert_false(twi_json_enter_object(&json));
    assert_false(twi_json_string(&json, &slice));
    assert_false(twi_json_next_member(&json, &slice));
    assert_false(twi_json_next_item(&json));
    assert_false(twi_json_skip(&json));
    assert_int_equal(twi_json_end(&json), TW_MALFORMED);
    json = scan("\"true\"");
    assert_false(twi_json_bool(&json, &flag));
    json = scan("null");
    assert_int_equal(twi_json_peek(&json), TWI_JSON_NULL);
    assert_true(twi_json_null(&json));
    assert_int_equal(twi_json_end(&json), TW_OK);
    json = scan("{\"a\":[1,2]}");
    assert_true(twi_json_enter_object(&json) && twi_json_next_member(&json, &slice) && twi_json_raw(&json, &slice));
    assert_true(TWI_JSON_IS(slice, "[1,2]"));
    assert_int_equal(twi_json_end(&json), TW_MALFORMED); /* the object was not left */
}

/* Reads whatever comes, choosing calls by a random number: must end, must not touch the guard page. */
static void random_bytes_are_survived(void **state)
{
    (void)state;
    static const char alphabet[] = "{}[]:,\"\\u0123456789.eE+-truefalsn \n\x01\xff";
    srandom(11);
    for (int round = 0; round < 200000; round++) {
        char text[48];
        size_t len = (size_t)random() % sizeof(text);
        for (size_t i = 0; i < len; i++)
            text[i] = alphabet[(size_t)random() % (sizeof(alphabet) - 1)];
        twi_json json = scan_bytes(text, len);
        for (int step = 0; step < 64; step++) {
            twi_json_slice slice;
            tw_decimal decimal;
            int64_t number;
            switch (random() % 8) {
            case 0:
                twi_json_enter_object(&json);
                break;
            case 1:
                twi_json_enter_array(&json);
                break;
            case 2:
                if (json.depth > 0)
                    twi_json_next_member(&json, &slice);
                break;
            case 3:
                if (json.depth > 0)
                    twi_json_next_item(&json);
                break;
            case 4:
                twi_json_decimal(&json, &decimal);
                break;
            case 5:
                twi_json_int64(&json, &number);
                break;
            case 6:
                twi_json_raw(&json, &slice);
                break;
            default:
                twi_json_string(&json, &slice);
            }
        }
        tw_status status = twi_json_end(&json);
        assert_true(status == TW_OK || status == TW_MALFORMED || status == TW_TOO_BIG);
    }
}

static void a_string_that_is_none_is_empty(void **state)
{
    (void)state;
    static const char *const texts[] = {"", "\"", "\"abc", "\"a\\x\"", "12", "\"a\\"};
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        twi_json json;
        twi_json_slice out = {.text = NULL, .len = 99};
        twi_json_init(&json, (const uint8_t *)texts[i], strlen(texts[i]));
        assert_false(twi_json_string(&json, &out));
        assert_non_null(out.text);
        assert_int_equal(out.len, 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(valid_texts_are_skipped),        cmocka_unit_test(invalid_texts_are_refused),
        cmocka_unit_test(every_prefix_is_refused),        cmocka_unit_test(depth_is_limited),
        cmocka_unit_test(members_are_read_in_any_order),  cmocka_unit_test(items_and_drain),
        cmocka_unit_test(deferred_values_are_read_later), cmocka_unit_test(decimals_are_exact),
        cmocka_unit_test(fast_decimals_equal_slow_ones),  cmocka_unit_test(integers_know_their_range),
        cmocka_unit_test(strings_are_unescaped),          cmocka_unit_test(wrong_types_fail_and_stay_failed),
        cmocka_unit_test(random_bytes_are_survived),      cmocka_unit_test(a_string_that_is_none_is_empty),
    };
    return cmocka_run_group_tests(tests, make_guard_page, NULL);
}
