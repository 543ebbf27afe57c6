/* codec_json_test.c - the JSON codec: exact texts, every kind there and back, and bytes that are no record. */
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <jansson.h>

#include "tests/unit/codec_support.h"

static const tw_codec_ops *const codec = &tw_codec_json;

static tw_event base_event(uint32_t instrument, tw_event_kind kind)
{
    return (tw_event){.instrument = instrument,
                      .kind = (uint8_t)kind,
                      .flags = TW_FLAG_FIRST | TW_FLAG_LAST,
                      .price_exponent = -2,
                      .amount_exponent = -3,
                      .venue_ns = INT64_C(1700000000123456789),
                      .recv_ns = INT64_C(1700000000124000001)};
}

static void assert_text(const tw_symbols *symbols, const tw_record *record, const char *expected)
{
    uint8_t *out = malloc(codec->bound(record->event_count));
    size_t len = codec->encode(symbols, record, out, codec->bound(record->event_count));
    if (len != strlen(expected) || memcmp(out, expected, len) != 0) {
        fail_msg("got      %.*s\nexpected %s", (int)len, (const char *)out, expected);
    }
    free(out);
}

#define HEAD(type) "{\"type\":\"" type "\",\"exchange\":\"binance\",\"symbol\":\"BTC/USDT\""
#define TAIL       ",\"timestamp\":1700000000123,\"recv_ns\":1700000000124000001,\"publish_ns\":1700000000124005000}"

static tw_record record_of(const tw_event *events, uint32_t event_count, uint64_t seq)
{
    return (tw_record){
        .events = events, .event_count = event_count, .seq = seq, .publish_ns = INT64_C(1700000000124005000)};
}

static void texts_of_trades_and_quotes(void **state)
{
    (void)state;
    tw_symbols *symbols = twt_codec_setup();
    tw_event event = base_event(0, TW_EVENT_TRADE);
    event.flags |= TW_ID_NUMBER << TW_ID_KIND_SHIFT;
    event.u.trade.price = 6400010;
    event.u.trade.amount = 12;
    event.u.trade.id.lo = 3012345;
    tw_record record = record_of(&event, 1, 4712);
    assert_text(
        symbols, &record,
        HEAD("trade") ",\"seq\":4712,\"id\":\"3012345\",\"price\":64000.10,\"amount\":0.012,\"side\":\"buy\"" TAIL);
    event.flags = TW_FLAG_FIRST | TW_FLAG_LAST | TW_FLAG_SELL | TW_FLAG_HISTORY;
    event.venue_ns = 0;
    assert_text(symbols, &record,
                HEAD("trade") ",\"seq\":4712,\"price\":64000.10,\"amount\":0.012,\"side\":\"sell\",\"history\":true,"
                              "\"timestamp\":null,\"recv_ns\":1700000000124000001,\"publish_ns\":1700000000124005000}");
    event = base_event(0, TW_EVENT_QUOTE);
    event.u.quote.bid = 6400010;
    event.u.quote.bid_amount = 500;
    event.u.quote.ask = 6400020;
    event.u.quote.ask_amount = 1000;
    assert_text(
        symbols, &record,
        HEAD("quote") ",\"seq\":4712,\"bid\":64000.10,\"bidVolume\":0.500,\"ask\":64000.20,\"askVolume\":1.000" TAIL);
    event.u.quote.bid = 0;
    event.u.quote.bid_amount = 0;
    assert_text(
        symbols, &record,
        HEAD("quote") ",\"seq\":4712,\"bid\":null,\"bidVolume\":null,\"ask\":64000.20,\"askVolume\":1.000" TAIL);
    free(symbols);
}

static void texts_of_books(void **state)
{
    (void)state;
    tw_symbols *symbols = twt_codec_setup();
    tw_event levels[2] = {base_event(0, TW_EVENT_LEVEL), base_event(0, TW_EVENT_LEVEL)};
    levels[0].flags = TW_FLAG_FIRST | TW_FLAG_ASK | TW_FLAG_SNAPSHOT;
    levels[0].u.level.price = 6400020;
    levels[0].u.level.amount = 1000;
    levels[1].flags = TW_FLAG_LAST | TW_FLAG_SNAPSHOT;
    levels[1].u.level.price = 6400010;
    levels[1].amount_exponent = -1;
    levels[1].u.level.amount = 5;
    tw_record record = record_of(levels, 2, 501);
    assert_text(
        symbols, &record,
        HEAD("book") ",\"seq\":501,\"snapshot\":true,\"bids\":[[64000.10,0.5]],\"asks\":[[64000.20,1.000]]" TAIL);
    tw_event clear = base_event(0, TW_EVENT_BOOK_CLEAR);
    clear.flags |= TW_FLAG_SNAPSHOT;
    tw_record clear_record = record_of(&clear, 1, 502);
    assert_text(symbols, &clear_record, HEAD("book") ",\"seq\":502,\"snapshot\":true,\"bids\":[],\"asks\":[]" TAIL);
    levels[1].flags = TW_FLAG_FIRST | TW_FLAG_LAST;
    levels[1].u.level.amount = 0;
    levels[1].amount_exponent = 0;
    tw_record change = record_of(&levels[1], 1, 507);
    change.prev_seq = 501;
    change.folded = 5;
    assert_text(symbols, &change,
                HEAD("book") ",\"seq\":507,\"prevSeq\":501,\"folded\":5,\"bids\":[[64000.10,0]],\"asks\":[]" TAIL);
    free(symbols);
}

static void texts_of_candles_status_and_loss(void **state)
{
    (void)state;
    tw_symbols *symbols = twt_codec_setup();
    tw_event candle[2] = {base_event(0, TW_EVENT_CANDLE), base_event(0, TW_EVENT_CANDLE_TAIL)};
    candle[0].u.candle.open = 100;
    candle[0].u.candle.high = 300;
    candle[0].u.candle.low = 50;
    candle[0].u.candle.close = 200;
    candle[1].u.candle_tail.volume = 12345;
    candle[1].u.candle_tail.interval_ns = INT64_C(60000000000);
    tw_record record = record_of(candle, 2, 7);
    assert_text(symbols, &record,
                HEAD("candle") ",\"seq\":7,\"interval\":\"1m\",\"open\":1.00,\"high\":3.00,\"low\":0.50,\"close\":2.00,"
                               "\"volume\":12.345,\"closed\":false" TAIL);
    tw_event event = base_event(0, TW_EVENT_STATUS);
    event.u.status.state = TW_STATE_GAP;
    event.u.status.reason = TW_REASON_SEQUENCE;
    event.u.status.from = 9001;
    event.u.status.to = 9004;
    record = record_of(&event, 1, 8);
    assert_text(symbols, &record,
                HEAD("status") ",\"seq\":8,\"state\":\"gap\",\"reason\":\"venue sequence 9001 to 9004 missing\"" TAIL);
    event = base_event(0, TW_EVENT_LOSS);
    event.u.loss.from = 812;
    event.u.loss.to = 815;
    event.u.loss.count = 4;
    event.u.loss.channel = TW_CHANNEL_TRADE;
    event.u.loss.reason = TW_REASON_SLOW_CONSUMER;
    assert_text(
        symbols, &record,
        HEAD("loss") ",\"channel\":\"trade\",\"from\":812,\"to\":815,\"count\":4,\"reason\":\"slow_consumer\"}");
    event.u.loss.channel = TW_CHANNEL_CANDLE;
    event.u.loss.interval_s = 3600;
    assert_text(
        symbols, &record,
        HEAD("loss") ",\"channel\":\"candle.1h\",\"from\":812,\"to\":815,\"count\":4,\"reason\":\"slow_consumer\"}");
    free(symbols);
}

static void names_are_escaped(void **state)
{
    (void)state;
    tw_symbols *symbols = twt_codec_setup();
    tw_event event = base_event(twt_intern(symbols, "a\"b\\c", "\\\"\\\"\\\"\\\"/\""), TW_EVENT_TRADE);
    event.flags |= TW_ID_TEXT << TW_ID_KIND_SHIFT;
    memcpy(&event.u.trade.id,
           "\"\\\x01\xff"
           "x",
           5); /* not what a feed may give, and still valid JSON */
    tw_record record = record_of(&event, 1, 1);
    assert_text(symbols, &record,
                "{\"type\":\"trade\",\"exchange\":\"a\\\"b\\\\c\",\"symbol\":\"\\\\\\\"\\\\\\\"\\\\\\\"\\\\\\\"/\\\"\","
                "\"seq\":1,\"id\":\"\\\"\\\\??x\",\"price\":0.00,\"amount\":0.000,\"side\":\"buy\"" TAIL);
    free(symbols);
}

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

/* The decoder has a fast road for texts exactly as the encoder writes them; one space takes the general one. */
static void check_general_road(tw_symbols *client, const uint8_t *msg, size_t len, const tw_record *expected)
{
    tw_event events[TWT_LEVELS_MAX];
    uint8_t *text = malloc(len + 1);
    tw_record back;
    uint32_t count = TWT_LEVELS_MAX;
    text[0] = '{';
    text[1] = ' ';
    memcpy(text + 2, msg + 1, len - 1);
    assert_int_equal(codec->decode(client, text, len + 1, events, &count, &back), TW_OK);
    assert_int_equal(count, expected->event_count);
    assert_memory_equal(events, expected->events, count * sizeof(tw_event));
    assert_true(back.seq == expected->seq && back.prev_seq == expected->prev_seq && back.folded == expected->folded &&
                back.publish_ns == expected->publish_ns);
    free(text);
}

/* Encoded at a guard page, decoded at a guard page into another table: the same record. And jansson finds it valid. */
static void random_records_come_back(void **state)
{
    (void)state;
    enum { ROUNDS = 30000 };
    twt_random random = {20240601};
    print_message("seed %" PRIu64 "\n", random.state);
    tw_symbols *symbols = twt_codec_setup();
    tw_symbols *client = twt_symbols_new(16);
    twt_guarded out = twt_guarded_open(codec->bound(TWT_LEVELS_MAX));
    twt_guarded in = twt_guarded_open(codec->bound(TWT_LEVELS_MAX));
    tw_event events[TWT_LEVELS_MAX], decoded[TWT_LEVELS_MAX];
    for (int round = 0; round < ROUNDS; round++) {
        tw_record record = twt_random_record(&random, symbols, events);
        const uint8_t *msg;
        size_t len = encode_exactly(&out, symbols, &record, &msg);
        const uint8_t *copy = twt_guarded_copy(&in, msg, len);
        tw_record back;
        uint32_t count = record.event_count;
        tw_status status = codec->decode(client, copy, len, decoded, &count, &back);
        const char *difference =
            status == TW_OK ? twt_difference(symbols, &record, client, &back, TWT_NS_PER_MS) : NULL;
        if (status != TW_OK || difference != NULL) {
            fail_msg("round %d: %s %s: %.*s", round, tw_status_name(status), difference, (int)len, (const char *)msg);
        }
        check_general_road(client, msg, len, &back);
        if (round % 16 == 0) {
            json_t *tree = json_loadb((const char *)msg, len, JSON_REJECT_DUPLICATES, NULL);
            bool wide_number = tree == NULL; /* jansson refuses integers and reals that C types do not hold */
            assert_true(wide_number || json_is_object(tree));
            json_decref(tree);
        }
    }
    twt_guarded_close(&in);
    twt_guarded_close(&out);
    free(client);
    free(symbols);
}

static void a_book_of_10000_levels(void **state)
{
    (void)state;
    enum { LEVELS = 10000 };
    tw_symbols *symbols = twt_codec_setup();
    tw_event *levels = calloc(LEVELS, sizeof(*levels));
    tw_event *decoded = calloc(LEVELS, sizeof(*decoded));
    for (uint32_t i = 0; i < LEVELS; i++) {
        levels[i] = base_event(0, TW_EVENT_LEVEL);
        levels[i].flags = (uint8_t)(TW_FLAG_SNAPSHOT | (i % 2 ? TW_FLAG_ASK : 0));
        levels[i].u.level.price = INT64_MIN + i;
        levels[i].price_exponent = TW_DECIMAL_EXPONENT_MAX;
        levels[i].u.level.amount = INT64_MIN;
        levels[i].amount_exponent = TW_DECIMAL_EXPONENT_MAX;
    }
    levels[0].flags |= TW_FLAG_FIRST;
    levels[LEVELS - 1].flags |= TW_FLAG_LAST;
    tw_record record = record_of(levels, LEVELS, UINT64_MAX);
    twt_guarded out = twt_guarded_open(codec->bound(LEVELS));
    const uint8_t *msg;
    size_t len = encode_exactly(&out, symbols, &record, &msg);
    tw_record back;
    uint32_t count = LEVELS - 1;
    assert_int_equal(codec->decode(symbols, msg, len, decoded, &count, &back), TW_TOO_BIG);
    count = LEVELS;
    assert_int_equal(codec->decode(symbols, msg, len, decoded, &count, &back), TW_OK);
    assert_null(twt_difference(symbols, &record, symbols, &back, TWT_NS_PER_MS));
    twt_guarded_close(&out);
    free(decoded);
    free(levels);
    free(symbols);
}

typedef struct decoded_text {
    tw_symbols *symbols;
    tw_event events[4];
    tw_record record;
    uint32_t count;
} decoded_text;

static tw_status decode_text(decoded_text *to, const char *text)
{
    to->count = 4;
    return codec->decode(to->symbols, (const uint8_t *)text, strlen(text), to->events, &to->count, &to->record);
}

static void decoding_takes_any_order_and_ignores_the_unknown(void **state)
{
    (void)state;
    decoded_text to = {.symbols = twt_symbols_new(4)};
    assert_int_equal(decode_text(&to,
                                 " { \"publish_ns\" : 5 , \"news\":[{\"a\":[1,2,{}]}],\"asks\":[[2.50,1],[3,0,\"x\"]],"
                                 "\"timestamp\":7,\"seq\":9,\"bids\":[ [ \"1.5\" , 2e3 ] ],\"snapshot\":true,"
                                 "\"symbol\":\"BTC\\/USDT\",\"exchange\":\"b\\u0069nance\",\"type\":\"book\"} "),
                     TW_OK);
    assert_int_equal(to.count, 3);
    assert_string_equal(tw_symbols_get(to.symbols, to.events[2].instrument)->symbol, "BTC/USDT");
    assert_string_equal(tw_symbols_get(to.symbols, to.events[2].instrument)->exchange, "binance");
    assert_int_equal(to.events[0].flags, TW_FLAG_ASK | TW_FLAG_SNAPSHOT | TW_FLAG_FIRST);
    assert_int_equal(to.events[0].u.level.price, 250);
    assert_int_equal(to.events[2].flags, TW_FLAG_SNAPSHOT | TW_FLAG_LAST);
    assert_int_equal(to.events[2].u.level.amount, 2);
    assert_int_equal(to.events[2].amount_exponent, 3);
    assert_int_equal(to.events[1].venue_ns, 7 * TWT_NS_PER_MS);
    assert_int_equal(to.record.seq, 9);
    assert_int_equal(to.record.publish_ns, 5);
    /* different digits on the two sides of a quote meet at the finer exponent */
    assert_int_equal(decode_text(&to, "{\"type\":\"quote\",\"exchange\":\"x\",\"symbol\":\"Y\",\"seq\":1,\"bid\":1,"
                                      "\"bidVolume\":2.5,\"ask\":1.25,\"askVolume\":3}"),
                     TW_OK);
    assert_int_equal(to.events[0].price_exponent, -2);
    assert_int_equal(to.events[0].u.quote.bid, 100);
    assert_int_equal(to.events[0].u.quote.ask_amount, 30);
    free(to.symbols);
}

#define TRADE "{\"type\":\"trade\",\"exchange\":\"x\",\"symbol\":\"Y\",\"seq\":1"
#define REST  "\"price\":1,\"amount\":2,\"side\":\"buy\"}"

static void decoding_refuses_what_is_no_record(void **state)
{
    (void)state;
    static const char *const malformed[] = {
        "",
        "{}",
        "[]",
        "null",
        "{\"seq\":1}",
        TRADE ",\"price\":1,\"amount\":2}",
        TRADE ",\"price\":1,\"amount\":2,\"side\":\"hold\"}",
        TRADE ",\"price\":null,\"amount\":2,\"side\":\"buy\"}",
        TRADE ",\"price\":true,\"amount\":2,\"side\":\"buy\"}",
        TRADE ",\"price\":1e99,\"amount\":2,\"side\":\"buy\"}",
        TRADE ",\"price\":01,\"amount\":2,\"side\":\"buy\"}",
        TRADE ",\"seq\":2," REST,
        TRADE "," REST "x",
        TRADE "," REST "{}",
        TRADE ",\"id\":\"12345678901234567x\"," REST,
        TRADE ",\"folded\":4294967296," REST,
        TRADE ",\"timestamp\":9223372036854775807," REST,
        TRADE ",\"timestamp\":1.5," REST,
        TRADE ",\"prevSeq\":-1," REST,
        TRADE ",\"prevSeq\":18446744073709551616," REST,
        TRADE ",\"recv_ns\":9223372036854775808," REST,
        "{\"type\":\"trade\",\"exchange\":\"\",\"symbol\":\"Y\",\"seq\":1," REST,
        "{\"type\":\"trade\",\"symbol\":\"Y\",\"seq\":1," REST,
        "{\"type\":\"trade\",\"exchange\":\"seventeen letters\",\"symbol\":\"Y\",\"seq\":1," REST,
        "{\"type\":\"trade\",\"exchange\":\"a\\u0000\",\"symbol\":\"Y\",\"seq\":1," REST,
        "{\"type\":\"trade\",\"exchange\":\"x\",\"symbol\":\"Y\"," REST,
        "{\"type\":\"book\",\"exchange\":\"x\",\"symbol\":\"Y\",\"seq\":1,\"bids\":[],\"asks\":[]}",
        "{\"type\":\"book\",\"exchange\":\"x\",\"symbol\":\"Y\",\"seq\":1,\"bids\":[[1,2]]}",
        "{\"type\":\"book\",\"exchange\":\"x\",\"symbol\":\"Y\",\"seq\":1,\"bids\":[[1]],\"asks\":[]}",
        "{\"type\":\"book\",\"exchange\":\"x\",\"symbol\":\"Y\",\"seq\":1,\"bids\":[1,2],\"asks\":[]}",
        "{\"type\":\"quote\",\"exchange\":\"x\",\"symbol\":\"Y\",\"seq\":1,\"bid\":1,\"ask\":2,\"askVolume\":1}",
        "{\"type\":\"quote\",\"exchange\":\"x\",\"symbol\":\"Y\",\"seq\":1,\"bid\":1e-18,\"bidVolume\":1,\"ask\":99,"
        "\"askVolume\":1}",
        "{\"type\":\"status\",\"exchange\":\"x\",\"symbol\":\"Y\",\"seq\":1,\"state\":\"good\"}",
        "{\"type\":\"candle\",\"exchange\":\"x\",\"symbol\":\"Y\",\"seq\":1,\"interval\":\"1q\",\"open\":1,\"high\":1,"
        "\"low\":1,\"close\":1,\"volume\":1}",
        "{\"type\":\"loss\",\"exchange\":\"x\",\"symbol\":\"Y\",\"channel\":\"news\",\"from\":1,\"to\":2,\"count\":2}",
    };
    decoded_text to = {.symbols = twt_symbols_new(1)};
    for (size_t i = 0; i < sizeof(malformed) / sizeof(malformed[0]); i++) {
        tw_status status = decode_text(&to, malformed[i]);
        if (status != TW_MALFORMED) {
            fail_msg("%s: %s", tw_status_name(status), malformed[i]);
        }
    }
    assert_int_equal(decode_text(&to, TRADE ",\"id\":77," REST), TW_OK);
    assert_int_equal(to.events[0].u.trade.id.lo, 77);
    assert_int_equal(decode_text(&to, "{\"type\":\"trade\",\"exchange\":\"x\",\"symbol\":\"Z\",\"seq\":1," REST),
                     TW_FULL);
    to.count = 0;
    assert_int_equal(codec->decode(to.symbols, (const uint8_t *)TRADE "," REST, strlen(TRADE "," REST), to.events,
                                   &to.count, &to.record),
                     TW_TOO_BIG);
    free(to.symbols);
}

static void control_messages_are_told_apart(void **state)
{
    (void)state;
    static const char *const control[] = {
        "{\"op\":\"hello\",\"protocol\":1,\"server\":\"tickwire/0.1.0\",\"codec\":\"json\",\"time_ns\":1}",
        "{\"op\":\"subscribed\",\"id\":1,\"topics\":[{\"exchange\":\"x\",\"symbol\":\"Y\",\"channel\":\"trade\"}]}",
        "{\"id\":\"a\",\"op\":\"pong\",\"time_ns\":1}",
        "{\"op\":\"bye\",\"code\":4001,\"reason\":\"shutdown\",\"reconnect\":true}",
        "{\"type\":\"news\",\"exchange\":\"x\",\"symbol\":\"Y\",\"seq\":1}",
    };
    decoded_text to = {.symbols = twt_symbols_new(1)};
    for (size_t i = 0; i < sizeof(control) / sizeof(control[0]); i++) {
        assert_int_equal(decode_text(&to, control[i]), TW_NOT_SUPPORTED);
    }
    free(to.symbols);
}

/* Every prefix is refused, and every damaged text is survived, at a guard page. */
static void damaged_text_is_survived(void **state)
{
    (void)state;
    enum { ROUNDS = 2000 };
    twt_random random = {77};
    tw_symbols *symbols = twt_codec_setup();
    tw_symbols *client = twt_symbols_new(64);
    twt_guarded in = twt_guarded_open(codec->bound(TWT_LEVELS_MAX));
    uint8_t *out = malloc(codec->bound(TWT_LEVELS_MAX));
    tw_event events[TWT_LEVELS_MAX], decoded[TWT_LEVELS_MAX];
    for (int round = 0; round < ROUNDS; round++) {
        tw_record record = twt_random_record(&random, symbols, events);
        size_t len = codec->encode(symbols, &record, out, codec->bound(record.event_count));
        tw_record back;
        uint32_t count;
        for (size_t cut = 0; cut < len; cut += 1 + len / 300) {
            count = TWT_LEVELS_MAX;
            assert_int_equal(codec->decode(client, twt_guarded_copy(&in, out, cut), cut, decoded, &count, &back),
                             TW_MALFORMED);
        }
        for (int i = 0; i < 20; i++) {
            uint64_t place = twt_random_below(&random, len);
            uint8_t old = out[place];
            out[place] = (uint8_t)twt_random_u64(&random);
            count = TWT_LEVELS_MAX;
            (void)!codec->decode(client, twt_guarded_copy(&in, out, len), len, decoded, &count, &back);
            out[place] = old;
        }
    }
    free(out);
    twt_guarded_close(&in);
    free(client);
    free(symbols);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(texts_of_trades_and_quotes),
        cmocka_unit_test(texts_of_books),
        cmocka_unit_test(texts_of_candles_status_and_loss),
        cmocka_unit_test(names_are_escaped),
        cmocka_unit_test(random_records_come_back),
        cmocka_unit_test(a_book_of_10000_levels),
        cmocka_unit_test(decoding_takes_any_order_and_ignores_the_unknown),
        cmocka_unit_test(decoding_refuses_what_is_no_record),
        cmocka_unit_test(control_messages_are_told_apart),
        cmocka_unit_test(damaged_text_is_survived),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
