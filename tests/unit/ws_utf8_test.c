/* ws_utf8_test.c - UTF-8: exhaustively against a second, slow definition; every split; fails on the first bad byte. */
#include "tests/unit/ws_support.h"

#include "engine/proto/utf8.h"

/* RFC 3629 section 4, written as ranges of whole characters. Length of the valid character at p, 0: none. */
static size_t reference_character(const uint8_t *p, size_t len)
{
    uint32_t code;
    size_t need;
    if (p[0] < 0x80)
        return 1;
    if (p[0] >= 0xC0 && p[0] < 0xE0) {
        need = 2;
        code = p[0] & 0x1Fu;
    } else if (p[0] >= 0xE0 && p[0] < 0xF0) {
        need = 3;
        code = p[0] & 0x0Fu;
    } else if (p[0] >= 0xF0 && p[0] < 0xF8) {
        need = 4;
        code = p[0] & 0x07u;
    } else {
        return 0;
    }
    if (len < need)
        return 0;
    for (size_t i = 1; i < need; i++) {
        if ((p[i] & 0xC0) != 0x80)
            return 0;
        code = code << 6 | (p[i] & 0x3Fu);
    }
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    bool surrogate = code >= 0xD800 && code <= 0xDFFF;
    return code >= least[need] && code <= 0x10FFFF && !surrogate ? need : 0;
}

static bool reference_valid(const uint8_t *p, size_t len)
{
    while (len > 0) {
        size_t used = reference_character(p, len);
        if (used == 0)
            return false;
        p += used;
        len -= used;
    }
    return true;
}

static void all_of_up_to_three_bytes(void **state)
{
    (void)state;
    for (uint32_t code = 0; code < 1u << 24; code++) {
        uint8_t text[3] = {(uint8_t)(code >> 16), (uint8_t)(code >> 8), (uint8_t)code};
        size_t from = code < 1u << 8 ? 2 : code < 1u << 16 ? 1 : 0;
        if (twi_utf8_valid(text + from, 3 - from) != reference_valid(text + from, 3 - from))
            fail_msg("differs for %06x", code);
    }
}

static void four_byte_characters(void **state)
{
    (void)state;
    static const uint8_t edges[] = {0x00, 0x7F, 0x80, 0x81, 0x8F, 0x90, 0x9F, 0xA0, 0xBF, 0xC0, 0xFF};
    for (uint32_t lead = 0xE0; lead <= 0xFF; lead++) {
        for (uint32_t second = 0; second < 256; second++) {
            for (size_t i = 0; i < sizeof(edges); i++) {
                for (size_t k = 0; k < sizeof(edges); k++) {
                    uint8_t text[4] = {(uint8_t)lead, (uint8_t)second, edges[i], edges[k]};
                    assert_int_equal(twi_utf8_valid(text, 4), reference_valid(text, 4));
                }
            }
        }
    }
}

/* κόσμε, the last character of each length, and long ASCII runs around them. */
static const char mixed[] =
    "0123456789abcdef0123456789abcdef\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5"
    "0123456789abcde\xdf\xbf\xef\xbf\xbf\xf4\x8f\xbf\xbf\xed\x9f\xbf\xee\x80\x80tail of text, ASCII";

static void every_split_of_a_valid_text(void **state)
{
    (void)state;
    twt_guard guard = twt_guard_open(sizeof(mixed));
    size_t len = sizeof(mixed) - 1;
    for (size_t first = 0; first <= len; first++) {
        for (size_t second = first; second <= len; second++) {
            twi_utf8 utf8 = {0};
            assert_true(twi_utf8_feed(&utf8, twt_guard_copy(&guard, mixed, first), first));
            assert_true(twi_utf8_feed(&utf8, twt_guard_copy(&guard, mixed + first, second - first), second - first));
            assert_true(twi_utf8_feed(&utf8, twt_guard_copy(&guard, mixed + second, len - second), len - second));
            assert_true(twi_utf8_complete(&utf8));
        }
    }
    twt_guard_close(&guard);
}

static void the_first_impossible_byte_is_reported(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        size_t bad_at;
    } cases[] = {
        {"ab\x80", 2},
        {"\xc0\xaf", 0},
        {"\xc1", 0},
        {"\xe0\x9f\xbf", 1},
        {"\xed\xa0\x80", 1},
        {"\xf0\x8f\xbf\xbf", 1},
        {"\xf4\x90\x80\x80", 1},
        {"\xf5", 0},
        {"\xff", 0},
        {"\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5\xed\xa0\x80\x65", 12},
        {"\xe2\x82(", 2},
        {"\xf0\x9f\x98 ", 3},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        twi_utf8 utf8 = {0};
        const uint8_t *text = (const uint8_t *)cases[i].text;
        for (size_t at = 0; at < cases[i].bad_at; at++)
            assert_true(twi_utf8_feed(&utf8, text + at, 1));
        assert_false(twi_utf8_feed(&utf8, text + cases[i].bad_at, 1));
        assert_false(twi_utf8_valid(text, strlen(cases[i].text)));
    }
}

static void a_cut_character_is_not_complete(void **state)
{
    (void)state;
    static const uint8_t text[] = {0xF0, 0x9F, 0x98, 0x80};
    for (size_t len = 1; len < sizeof(text); len++) {
        twi_utf8 utf8 = {0};
        assert_true(twi_utf8_feed(&utf8, text, len));
        assert_false(twi_utf8_complete(&utf8));
        assert_false(twi_utf8_valid(text, len));
    }
    assert_true(twi_utf8_valid(text, sizeof(text)));
    assert_true(twi_utf8_valid(NULL, 0));
}

/* Random bytes, mostly valid, at every offset from the wide loop's boundaries. */
static void random_texts_agree(void **state)
{
    (void)state;
    uint64_t seed = 20;
    uint8_t text[80];
    for (int round = 0; round < 200000; round++) {
        size_t len = 0;
        while (len < 64) {
            switch (twt_random_below(&seed, 6)) {
            case 0:
                memcpy(text + len, "\xe2\x82\xac", 3);
                len += 3;
                break;
            case 1:
                memcpy(text + len, "\xf0\x9f\x98\x80", 4);
                len += 4;
                break;
            default:
                text[len++] = (uint8_t)('a' + twt_random_below(&seed, 26));
                break;
            }
        }
        if (twt_random_below(&seed, 2) == 0)
            text[twt_random_below(&seed, len)] = (uint8_t)twt_random(&seed);
        size_t from = twt_random_below(&seed, 16);
        assert_int_equal(twi_utf8_valid(text + from, len - from), reference_valid(text + from, len - from));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_of_up_to_three_bytes),        cmocka_unit_test(four_byte_characters),
        cmocka_unit_test(every_split_of_a_valid_text),     cmocka_unit_test(the_first_impossible_byte_is_reported),
        cmocka_unit_test(a_cut_character_is_not_complete), cmocka_unit_test(random_texts_agree),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
