/* rows_test.c - the table of levels against the general scanner: equal rows, or "not usual", for whatever the text is;
 * with and without AVX2. Texts end at an unreadable page. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "feed/rows.h"

enum { TEXT_MAX = 4096, ROWS_IN_TEXT_MAX = 40, ROUNDS = 4000, SHAPES = 4 };

static uint8_t *guard_page; /* one byte past the readable area */
static twi_rows *rows;

static int make_memory(void **state)
{
    (void)state;
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    uint8_t *area = mmap(NULL, 2 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANON, -1, 0);
    if (area == MAP_FAILED || mprotect(area + page, page, PROT_NONE) != 0)
        return -1;
    guard_page = area + page;
    rows = malloc(sizeof(*rows));
    return rows != NULL ? 0 : -1;
}

static int free_memory(void **state)
{
    (void)state;
    free(rows);
    return 0;
}

/* ---- texts ---- */

static uint64_t next_random(uint64_t *state)
{
    uint64_t z = (*state += 0x9e3779b97f4a7c15u);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

static size_t put_digits(uint64_t *random, char *out, uint32_t count, bool leads)
{
    for (uint32_t i = 0; i < count; i++)
        out[i] = (char)('0' + next_random(random) % 10);
    if (leads && count > 1 && out[0] == '0')
        out[0] = '7';
    return count;
}

static size_t put_number(uint64_t *random, char *out)
{
    static const uint8_t wholes[] = {1, 1, 2, 5, 5, 7, 8, 9, 12}, fractions[] = {0, 0, 1, 2, 5, 8, 8, 9, 11};
    size_t len = 0;
    if (next_random(random) % 64 == 0)
        out[len++] = '-';
    uint32_t whole = wholes[next_random(random) % sizeof(wholes)];
    uint32_t fraction = fractions[next_random(random) % sizeof(fractions)];
    if (whole + fraction > 18 && next_random(random) % 8 != 0)
        fraction = 18 - whole; /* more digits than a mantissa holds are tried, but rarely */
    len += put_digits(random, out + len, whole, true);
    if (fraction > 0) {
        out[len++] = '.';
        len += put_digits(random, out + len, fraction, false);
    }
    return len;
}

static size_t put_text(char *out, const char *text)
{
    size_t len = strlen(text);
    memcpy(out, text, len);
    return len;
}

/* A row of a shape: quoted pairs, bare pairs, changes, objects. */
static size_t put_row(uint64_t *random, char *out, int shape)
{
    static const char *const before[SHAPES] = {"[\"", "[", "[\"buy\",\"", "{\"price\":"};
    static const char *const between[SHAPES] = {"\",\"", ",", "\",\"", ",\"qty\":"};
    static const char *const after[SHAPES] = {"\"]", "]", "\"]", "}"};
    bool sells = shape == 2 && next_random(random) % 2 == 0;
    size_t len = put_text(out, sells ? "[\"sell\",\"" : before[shape]);
    len += put_number(random, out + len);
    len += put_text(out + len, between[shape]);
    len += put_number(random, out + len);
    if (shape == 0 && next_random(random) % 4 == 0)
        len += put_text(out + len, next_random(random) % 2 == 0 ? "\",\"0\",\"13" : "\",0,\"1.5");
    return len + put_text(out + len, after[shape]);
}

static size_t put_list(uint64_t *random, char *out, int shape)
{
    size_t len = put_text(out, "[");
    uint32_t count = (uint32_t)(next_random(random) % ROWS_IN_TEXT_MAX);
    for (uint32_t i = 0; i < count; i++) {
        if (i > 0)
            out[len++] = ',';
        len += put_row(random, out + len, shape);
    }
    return len + put_text(out + len, "]");
}

/* ---- what the general scanner makes of them ---- */

static bool general_row(twi_json *json, int shape, twi_row *row)
{
    tw_decimal price = {0}, amount = {0};
    twi_json_slice text;
    row->side = TWI_ASK;
    if (shape == 3) {
        bool has_price = false, has_amount = false;
        twi_json_enter_object(json);
        while (twi_json_next_member(json, &text)) {
            if (TWI_JSON_IS(text, "price"))
                has_price = twi_json_decimal(json, &price);
            else if (TWI_JSON_IS(text, "qty"))
                has_amount = twi_json_decimal(json, &amount);
            else
                twi_json_skip(json);
        }
        if (!has_price || !has_amount)
            return false;
    } else {
        if (!twi_json_enter_array(json) || !twi_json_next_item(json))
            return false;
        if (shape == 2) {
            if (!twi_json_string(json, &text) || !twi_json_next_item(json))
                return false;
            row->side = TWI_JSON_IS(text, "sell") ? TWI_ASK : TWI_BID;
        }
        if (!twi_json_decimal(json, &price) || !twi_json_next_item(json) || !twi_json_decimal(json, &amount))
            return false;
        twi_json_drain_array(json);
    }
    row->price = price.mantissa;
    row->price_exponent = price.exponent;
    row->amount = amount.mantissa;
    row->amount_exponent = amount.exponent;
    return json->status == TW_OK;
}

static bool general_list(twi_json *json, int shape, twi_row *list, uint32_t *count)
{
    *count = 0;
    twi_json_enter_array(json);
    while (twi_json_next_item(json)) {
        if (*count == ROWS_IN_TEXT_MAX || !general_row(json, shape, &list[*count]))
            return false;
        ++*count;
    }
    return json->status == TW_OK;
}

static bool table_list(twi_json *json, int shape, bool plain, twi_row_range *range)
{
    switch (shape) {
    case 2:
        return plain ? twi_rows_plain_changes(rows, json, range) : twi_rows_read_changes(rows, json, range);
    case 3:
        return plain ? twi_rows_plain_objects(rows, json, TWI_ASK, range)
                     : twi_rows_read_objects(rows, json, TWI_ASK, range);
    default:
        return plain ? twi_rows_plain_pairs(rows, json, TWI_ASK, range)
                     : twi_rows_read_pairs(rows, json, TWI_ASK, range);
    }
}

static void compare_row(const twi_row *a, const twi_row *b, const char *text)
{
    if (a->price != b->price || a->amount != b->amount || a->price_exponent != b->price_exponent ||
        a->amount_exponent != b->amount_exponent || a->side != b->side)
        fail_msg("another row in %s", text);
}

/* True if the table took it; then the general scanner took it too, with the same rows and the same end. */
static bool compare(const char *text, size_t len, int shape, bool plain)
{
    twi_row list[ROWS_IN_TEXT_MAX];
    uint32_t count;
    const uint8_t *start = memcpy(guard_page - len, text, len);
    twi_json json = {.at = start, .end = guard_page}, general = json;
    twi_row_range range = {.first = 99};
    twi_rows_reset(rows);
    if (!table_list(&json, shape, plain, &range)) {
        assert_ptr_equal(json.at, start);
        assert_int_equal(json.status, TW_OK);
        return false;
    }
    if (!general_list(&general, shape, list, &count) || count != range.count || json.at != general.at)
        fail_msg("the general scanner disagrees on %.*s", (int)len, text);
    assert_int_equal(range.first, 0);
    assert_int_equal(rows->count, count);
    for (uint32_t i = 0; i < count; i++)
        compare_row(&rows->list[i], &list[i], text);
    return true;
}

static void good_lists_are_taken(void **state)
{
    (void)state;
    char text[TEXT_MAX];
    uint64_t random = 1;
    uint32_t taken = 0;
    for (int round = 0; round < ROUNDS; round++) {
        int shape = round % SHAPES;
        size_t len = put_list(&random, text, shape);
        text[len] = 0;
        bool with = compare(text, len, shape, false), without = compare(text, len, shape, true);
        assert_int_equal(with, without);
        taken += with;
    }
    assert_true(taken > ROUNDS / 3); /* the rest has numbers that no decimal holds */
}

static void spoilt_lists_never_differ(void **state)
{
    (void)state;
    static const char bytes[] = "[]{},\":.-+0123456789eE \\\n\0aprice";
    char text[TEXT_MAX];
    uint64_t random = 2;
    for (int round = 0; round < ROUNDS; round++) {
        int shape = round % SHAPES;
        size_t len = put_list(&random, text, shape);
        for (uint64_t i = next_random(&random) % 3 + 1; i > 0; i--)
            text[next_random(&random) % len] = bytes[next_random(&random) % (sizeof(bytes) - 1)];
        compare(text, len, shape, false);
        compare(text, len, shape, true);
    }
}

static void every_prefix_is_survived(void **state)
{
    (void)state;
    char text[TEXT_MAX];
    uint64_t random = 3;
    for (int shape = 0; shape < SHAPES; shape++) {
        size_t len = put_list(&random, text, shape);
        for (size_t cut = 0; cut < len; cut++) {
            assert_false(compare(text, cut, shape, false));
            assert_false(compare(text, cut, shape, true));
        }
    }
}

static void usual_rows_are_read(void **state)
{
    (void)state;
    static const char *const texts[] = {"[]", "[[\"61737.63000000\",\"0.00000000\"],[\"0.5\",\"12\",\"0\",\"3\"]]"};
    twi_row_range range;
    assert_true(compare(texts[0], strlen(texts[0]), 0, false));
    assert_true(compare(texts[1], strlen(texts[1]), 0, false));
    twi_json json = {.at = (const uint8_t *)texts[1], .end = (const uint8_t *)texts[1] + strlen(texts[1])};
    assert_true(twi_rows_read_pairs(rows, &json, TWI_BID, &range)); /* behind those that are there */
    assert_int_equal(range.first, 2);
    assert_int_equal(rows->list[2].price, 6173763000000);
    assert_int_equal(rows->list[2].price_exponent, -8);
    assert_int_equal(rows->list[2].amount, 0);
    assert_int_equal(rows->list[2].side, TWI_BID);
    assert_int_equal(rows->list[3].price, 5);
    assert_int_equal(rows->list[3].amount, 12);
}

static void a_full_table_takes_no_more(void **state)
{
    (void)state;
    twi_row_range range;
    const char *text = "[[1,2],[3,4]]";
    twi_json json = {.at = (const uint8_t *)text, .end = (const uint8_t *)text + strlen(text)};
    rows->count = TWI_ROWS_MAX - 1;
    assert_false(twi_rows_read_pairs(rows, &json, TWI_BID, &range));
    assert_ptr_equal(json.at, text);
    assert_int_equal(rows->count, TWI_ROWS_MAX - 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(good_lists_are_taken),       cmocka_unit_test(spoilt_lists_never_differ),
        cmocka_unit_test(every_prefix_is_survived),   cmocka_unit_test(usual_rows_are_read),
        cmocka_unit_test(a_full_table_takes_no_more),
    };
    return cmocka_run_group_tests(tests, make_memory, free_memory);
}
