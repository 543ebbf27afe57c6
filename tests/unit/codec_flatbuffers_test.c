/* codec_flatbuffers_test.c - the FlatBuffers codec: every kind there and back, wide books, and hostile bytes.
 * That the official library reads the same bytes is tested in tests/vectors. */
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "codecs/flatbuffers/flatbuffers_codec.h"
#include "tests/unit/codec_support.h"

static const tw_codec_ops *const codec = &tw_codec_flatbuffers;

static size_t encode_exactly(twt_guarded *guarded, const tw_symbols *symbols, const tw_record *record,
                             const uint8_t **msg)
{
    size_t bound = codec->bound(record->event_count);
    uint8_t *out = guarded->end - bound;
    size_t len = codec->encode(symbols, record, out, bound);
    assert_true(len > 0 && len <= bound);
    assert_int_equal(codec->encode(symbols, record, out, bound - 1), 0);
    *msg = out;
    return len;
}

/* Encoded at a guard page and once more over other bytes: the same bytes; decoded into another table: the same
 * record. */
static void random_records_come_back(void **state)
{
    (void)state;
    enum { ROUNDS = 30000 };
    twt_random random = {20240602};
    print_message("seed %" PRIu64 "\n", random.state);
    tw_symbols *symbols = twt_codec_setup();
    tw_symbols *client = twt_symbols_new(16);
    size_t bound = codec->bound(TWT_LEVELS_MAX);
    twt_guarded out = twt_guarded_open(bound);
    twt_guarded in = twt_guarded_open(bound);
    uint8_t *other = malloc(bound);
    tw_event events[TWT_LEVELS_MAX], decoded[TWT_LEVELS_MAX];
    for (int round = 0; round < ROUNDS; round++) {
        tw_record record = twt_random_record(&random, symbols, events);
        const uint8_t *msg;
        size_t len = encode_exactly(&out, symbols, &record, &msg);
        memset(other, round & 0xff, bound);
        assert_int_equal(codec->encode(symbols, &record, other, bound), len);
        assert_memory_equal(other, msg, len);
        tw_record back;
        uint32_t count = record.event_count;
        tw_status status = codec->decode(client, twt_guarded_copy(&in, msg, len), len, decoded, &count, &back);
        const char *difference = status == TW_OK ? twt_difference(symbols, &record, client, &back, 1) : NULL;
        if (status != TW_OK || difference != NULL) {
            fail_msg("round %d, kind %d: %s %s", round, events[0].kind, tw_status_name(status), difference);
        }
    }
    free(other);
    twt_guarded_close(&in);
    twt_guarded_close(&out);
    free(client);
    free(symbols);
}

static tw_event level(int64_t price, int8_t price_exponent, int64_t amount, int8_t amount_exponent, unsigned flags)
{
    return (tw_event){.kind = TW_EVENT_LEVEL,
                      .flags = (uint8_t)flags,
                      .price_exponent = price_exponent,
                      .amount_exponent = amount_exponent,
                      .u.level = {.price = price, .amount = amount}};
}

static void levels_share_exponents_where_they_can(void **state)
{
    (void)state;
    tw_symbols *symbols = twt_codec_setup();
    uint8_t *out = malloc(codec->bound(2));
    tw_event decoded[2];
    tw_event events[2] = {level(15, -1, 2, 0, TW_FLAG_FIRST), level(325, -2, 125, -3, TW_FLAG_LAST | TW_FLAG_ASK)};
    tw_record record = {.events = events, .event_count = 2, .seq = 1};
    tw_record back;
    uint32_t count = 2;
    size_t len = codec->encode(symbols, &record, out, codec->bound(2));
    assert_int_equal(codec->decode(symbols, out, len, decoded, &count, &back), TW_OK);
    assert_int_equal(decoded[0].price_exponent, -2);
    assert_int_equal(decoded[0].u.level.price, 150);
    assert_int_equal(decoded[0].u.level.amount, 2000);
    assert_int_equal(decoded[1].u.level.amount, 125);
    /* no common exponent: every level keeps its own */
    events[0] = level(INT64_MAX, 18, 1, 0, TW_FLAG_FIRST);
    len = codec->encode(symbols, &record, out, codec->bound(2));
    assert_int_equal(codec->decode(symbols, out, len, decoded, &count, &back), TW_OK);
    assert_int_equal(decoded[0].price_exponent, 18);
    assert_true(decoded[0].u.level.price == INT64_MAX);
    assert_int_equal(decoded[1].price_exponent, -2);
    free(out);
    free(symbols);
}

static void a_book_of_10000_levels(void **state)
{
    (void)state;
    enum { LEVELS = 10000 };
    tw_symbols *symbols = twt_codec_setup();
    tw_event *levels = calloc(LEVELS, sizeof(*levels));
    tw_event *decoded = calloc(LEVELS, sizeof(*decoded));
    twt_guarded out = twt_guarded_open(codec->bound(LEVELS));
    for (int wide = 0; wide < 2; wide++) {
        for (uint32_t i = 0; i < LEVELS; i++) {
            levels[i] = level(INT64_MAX - i, (int8_t)(wide ? i % 19 : 0), i, -8, TW_FLAG_SNAPSHOT | (i % 2));
        }
        levels[0].flags |= TW_FLAG_FIRST;
        levels[LEVELS - 1].flags |= TW_FLAG_LAST;
        tw_record record = {.events = levels, .event_count = LEVELS, .seq = 5, .prev_seq = 2, .folded = 2};
        const uint8_t *msg;
        size_t len = encode_exactly(&out, symbols, &record, &msg);
        assert_true(len < LEVELS * (wide ? sizeof(twi_fb_wide_level) : sizeof(twi_fb_level)) + 256);
        tw_record back;
        uint32_t count = LEVELS - 1;
        assert_int_equal(codec->decode(symbols, msg, len, decoded, &count, &back), TW_TOO_BIG);
        count = LEVELS;
        assert_int_equal(codec->decode(symbols, msg, len, decoded, &count, &back), TW_OK);
        assert_null(twt_difference(symbols, &record, symbols, &back, 1));
    }
    twt_guarded_close(&out);
    free(decoded);
    free(levels);
    free(symbols);
}

/* Whatever is cut off, the message is refused: every byte of it belongs to something. */
static void every_prefix_is_refused(void **state)
{
    (void)state;
    enum { ROUNDS = 2000 };
    twt_random random = {78};
    tw_symbols *symbols = twt_codec_setup();
    tw_symbols *client = twt_symbols_new(64);
    twt_guarded in = twt_guarded_open(codec->bound(TWT_LEVELS_MAX));
    uint8_t *out = malloc(codec->bound(TWT_LEVELS_MAX));
    tw_event events[TWT_LEVELS_MAX], decoded[TWT_LEVELS_MAX];
    for (int round = 0; round < ROUNDS; round++) {
        tw_record record = twt_random_record(&random, symbols, events);
        size_t len = codec->encode(symbols, &record, out, codec->bound(record.event_count));
        tw_record back;
        for (size_t cut = 0; cut < len; cut += 1 + len / 300) {
            uint32_t count = TWT_LEVELS_MAX;
            tw_status status = codec->decode(client, twt_guarded_copy(&in, out, cut), cut, decoded, &count, &back);
            assert_int_equal(status, TW_MALFORMED);
        }
    }
    free(out);
    twt_guarded_close(&in);
    free(client);
    free(symbols);
}

/* Damaged bytes are survived, and what is taken all the same can be encoded again: every value is in its range. */
static void damaged_bytes_are_survived(void **state)
{
    (void)state;
    enum { ROUNDS = 4000, DAMAGES = 40 };
    twt_random random = {79};
    tw_symbols *symbols = twt_codec_setup();
    tw_symbols *client = twt_symbols_new(64);
    twt_guarded in = twt_guarded_open(codec->bound(TWT_LEVELS_MAX));
    size_t out_cap = tw_codec_json.bound(TWT_LEVELS_MAX);
    uint8_t *out = malloc(out_cap), *again = malloc(out_cap);
    tw_event events[TWT_LEVELS_MAX], decoded[TWT_LEVELS_MAX];
    uint32_t taken = 0;
    for (int round = 0; round < ROUNDS; round++) {
        tw_record record = twt_random_record(&random, symbols, events);
        size_t len = codec->encode(symbols, &record, out, out_cap);
        for (int i = 0; i < DAMAGES; i++) {
            uint64_t place = twt_random_below(&random, len < 160 ? len : 160);
            uint8_t old = out[place];
            out[place] = (uint8_t)(i % 2 ? twt_random_u64(&random) : old ^ (1u << twt_random_below(&random, 8)));
            tw_record back;
            uint32_t count = TWT_LEVELS_MAX;
            tw_status status = codec->decode(client, twt_guarded_copy(&in, out, len), len, decoded, &count, &back);
            if (status == TW_OK) {
                taken++;
                assert_true(tw_codec_json.encode(client, &back, again, out_cap) > 0);
                assert_true(codec->encode(client, &back, again, out_cap) > 0);
            }
            out[place] = old;
        }
    }
    assert_true(taken > 0);
    free(again);
    free(out);
    twt_guarded_close(&in);
    free(client);
    free(symbols);
}

static void values_out_of_range_are_refused(void **state)
{
    (void)state;
    tw_symbols *symbols = twt_codec_setup();
    uint8_t *out = malloc(codec->bound(1));
    tw_event decoded[2];
    tw_record back;
    uint32_t count = 1;
    tw_event event = {.kind = TW_EVENT_QUOTE, .price_exponent = -2, .u.quote = {1, 2, 3, 4}};
    tw_record record = {.events = &event, .event_count = 1, .seq = 1};
    size_t len = codec->encode(symbols, &record, out, codec->bound(1));
    assert_int_equal(codec->decode(symbols, out, len, decoded, &count, &back), TW_OK);
    uint8_t *exponent = memchr(out + 112, 0xfe, len - 112);
    assert_non_null(exponent);
    *exponent = (uint8_t)(TW_DECIMAL_EXPONENT_MIN - 1);
    assert_int_equal(codec->decode(symbols, out, len, decoded, &count, &back), TW_MALFORMED);
    *exponent = TW_DECIMAL_EXPONENT_MAX + 1;
    assert_int_equal(codec->decode(symbols, out, len, decoded, &count, &back), TW_MALFORMED);
    *exponent = 0;
    count = 0;
    assert_int_equal(codec->decode(symbols, out, len, decoded, &count, &back), TW_TOO_BIG);
    count = 1;
    out[4] = 'X'; /* file identifier */
    assert_int_equal(codec->decode(symbols, out, len, decoded, &count, &back), TW_MALFORMED);
    event = (tw_event){.kind = TW_EVENT_STATUS, .u.status = {.state = TW_STATE_CROSSED + 1}};
    len = codec->encode(symbols, &record, out, codec->bound(1));
    assert_int_equal(codec->decode(symbols, out, len, decoded, &count, &back), TW_MALFORMED);
    event.u.status.state = TW_STATE_OK;
    event.u.status.reason = 200; /* a reason of a newer server */
    len = codec->encode(symbols, &record, out, codec->bound(1));
    assert_int_equal(codec->decode(symbols, out, len, decoded, &count, &back), TW_OK);
    assert_int_equal(decoded[0].u.status.reason, TW_REASON_NONE);
    free(out);
    free(symbols);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_records_come_back),   cmocka_unit_test(levels_share_exponents_where_they_can),
        cmocka_unit_test(a_book_of_10000_levels),     cmocka_unit_test(every_prefix_is_refused),
        cmocka_unit_test(damaged_bytes_are_survived), cmocka_unit_test(values_out_of_range_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
