/* subscriber_scan_test.c - the light reading of JSON messages in every shape of the protocol, and the topics. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "subscribers/scan.h"

#define HEAD(type) "{\"type\":\"" type "\",\"exchange\":\"sim\",\"symbol\":\"BTC/USDT\",\"seq\":4712"
#define TAIL       ",\"timestamp\":1700000000000,\"recv_ns\":1700000000123456789,\"publish_ns\":1700000000123460000}"

/* In memory of exactly its size, so that a sanitizer sees every byte too far. */
static tw_status scan(const char *text, size_t len, twi_scan *out)
{
    uint8_t *copy = malloc(len ? len : 1);
    memcpy(copy, text, len);
    tw_status status = twi_scan_json(copy, len, out);
    if (status == TW_OK) { /* names point into the copy: move them over */
        out->name.exchange = text + (out->name.exchange - (char *)copy);
        out->name.symbol = text + (out->name.symbol - (char *)copy);
    }
    free(copy);
    return status;
}

static twi_scan good(const char *text)
{
    twi_scan out;
    assert_int_equal(scan(text, strlen(text), &out), TW_OK);
    assert_int_equal(out.name.exchange_len, 3);
    assert_memory_equal(out.name.exchange, "sim", 3);
    assert_int_equal(out.name.symbol_len, 8);
    assert_memory_equal(out.name.symbol, "BTC/USDT", 8);
    return out;
}

static void plain_types(void **state)
{
    (void)state;
    twi_scan trade =
        good(HEAD("trade") ",\"id\":\"3012345\",\"price\":64000.10,\"amount\":0.012,\"side\":\"buy\"" TAIL);
    assert_int_equal(trade.kind, TW_EVENT_TRADE);
    assert_int_equal(trade.name.channel, TW_CHANNEL_TRADE);
    assert_int_equal(trade.seq, 4712);
    assert_int_equal(trade.prev_seq, 0);
    assert_int_equal(trade.recv_ns, INT64_C(1700000000123456789));
    assert_int_equal(trade.publish_ns, INT64_C(1700000000123460000));
    assert_int_equal(good(HEAD("quote") ",\"bid\":1,\"ask\":2" TAIL).kind, TW_EVENT_QUOTE);
    assert_int_equal(good(HEAD("status") ",\"state\":\"gap\",\"reason\":\"x \\\"y\\\"\"" TAIL).kind, TW_EVENT_STATUS);
}

static void books(void **state)
{
    (void)state;
    twi_scan snapshot = good(HEAD("book") ",\"snapshot\":true,\"bids\":[[64000.10,0.5]],\"asks\":[]" TAIL);
    assert_int_equal(snapshot.kind, TW_EVENT_LEVEL);
    assert_true(snapshot.snapshot);
    twi_scan update = good(HEAD("book") ",\"prevSeq\":4706,\"folded\":5,\"bids\":[[64000.10,0]],\"asks\":[]" TAIL);
    assert_false(update.snapshot);
    assert_int_equal(update.prev_seq, 4706);
    assert_int_equal(update.folded, 5);
    update = good(HEAD("book") ",\"prevSeq\":4706,\"snapshot\":true,\"bids\":[],\"asks\":[]" TAIL);
    assert_true(update.snapshot);
    assert_int_equal(update.prev_seq, 4706);
}

static void other_orders_and_blanks(void **state)
{
    (void)state;
    twi_scan s = good("{ \"publish_ns\": 5, \"seq\": 9, \"symbol\": \"BTC/USDT\", \"exchange\": \"sim\", \"recv_ns\":4,"
                      " \"nested\":{\"seq\":[1,{\"type\":\"loss\"}]}, \"type\": \"quote\" }");
    assert_int_equal(s.kind, TW_EVENT_QUOTE);
    assert_int_equal(s.seq, 9);
    assert_int_equal(s.publish_ns, 5);
    assert_int_equal(s.recv_ns, 4);
    /* Times that are not known are short or left out. */
    s = good(HEAD("trade") ",\"price\":1,\"recv_ns\":0,\"publish_ns\":1700000000123460000}");
    assert_int_equal(s.recv_ns, 0);
    assert_int_equal(s.publish_ns, INT64_C(1700000000123460000));
    s = good(HEAD("trade") ",\"price\":1}");
    assert_int_equal(s.seq, 4712);
    assert_int_equal(s.publish_ns, 0);
}

static void candles_and_losses(void **state)
{
    (void)state;
    twi_scan s = good(HEAD("candle") ",\"interval\":\"1m\",\"open\":1,\"closed\":false" TAIL);
    assert_int_equal(s.kind, TW_EVENT_CANDLE);
    assert_int_equal(s.name.channel, TW_CHANNEL_CANDLE);
    assert_int_equal(s.name.interval_s, 60);
    s = good("{\"type\":\"loss\",\"exchange\":\"sim\",\"symbol\":\"BTC/USDT\",\"channel\":\"candle.5m\",\"from\":812,"
             "\"to\":815,\"count\":4,\"reason\":\"slow_consumer\"}");
    assert_int_equal(s.kind, TW_EVENT_LOSS);
    assert_int_equal(s.from, 812);
    assert_int_equal(s.to, 815);
    assert_int_equal(s.count, 4);
    assert_int_equal(s.seq, 815);
    assert_int_equal(s.name.channel, TW_CHANNEL_CANDLE);
    assert_int_equal(s.name.interval_s, 300);
}

static void control_is_not_data(void **state)
{
    (void)state;
    twi_scan s;
    const char *control[] = {"{\"op\":\"hello\",\"protocol\":1}", "{\"id\":4,\"op\":\"pong\"}", HEAD("depth3") TAIL};
    for (size_t i = 0; i < sizeof control / sizeof control[0]; i++)
        assert_int_equal(scan(control[i], strlen(control[i]), &s), TW_NOT_SUPPORTED);
}

static void bad_messages_are_told(void **state)
{
    (void)state;
    twi_scan s;
    const char *bad[] = {
        "",
        "{",
        "[]",
        "{}",
        "{\"type\":\"trade\"}",
        "{\"type\":\"trade\",\"exchange\":\"sim\",\"symbol\":\"A\"}",
        "{\"type\":\"trade\",\"exchange\":\"sim\",\"symbol\":\"A\",\"seq\":-1}",
        "{\"type\":\"trade\",\"exchange\":\"\",\"symbol\":\"A\",\"seq\":1}",
        "{\"type\":\"trade\",\"exchange\":\"sim\",\"symbol\":\"A\",\"seq\":1}x",
        "{\"type\":7,\"exchange\":\"sim\",\"symbol\":\"A\",\"seq\":1}",
        "{\"type\":\"loss\",\"exchange\":\"sim\",\"symbol\":\"A\",\"channel\":\"nope\",\"from\":5,\"to\":6,\"count\":"
        "1}",
        "{\"type\":\"candle\",\"exchange\":\"sim\",\"symbol\":\"A\",\"interval\":\"oops\",\"seq\":1}",
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        if (scan(bad[i], strlen(bad[i]), &s) != TW_MALFORMED)
            fail_msg("taken: %s", bad[i]);
}

/* Every prefix of a message, and every message with one byte changed, is survived; no prefix is taken for a whole. */
static void every_prefix_and_every_flip(void **state)
{
    (void)state;
    static const char text[] = HEAD("book") ",\"prevSeq\":4706,\"folded\":5,\"bids\":[[64000.10,0]],\"asks\":[]" TAIL;
    twi_scan s;
    for (size_t len = 0; len < sizeof text - 1; len++)
        assert_int_not_equal(scan(text, len, &s), TW_OK);
    for (size_t at = 0; at < sizeof text - 1; at++) {
        static const char replacements[] = {'"', '\\', '{', '}', ',', '0', 'x', '\0', (char)0xff};
        for (size_t r = 0; r < sizeof replacements; r++) {
            char changed[sizeof text];
            memcpy(changed, text, sizeof text);
            changed[at] = replacements[r];
            (void)scan(changed, sizeof text - 1, &s);
        }
    }
}

static void seq_of_every_length(void **state)
{
    (void)state;
    uint64_t value = 1;
    for (int digits = 1; digits <= 19; digits++, value = value * 10 + 7) {
        char text[512];
        snprintf(text, sizeof text,
                 "{\"type\":\"trade\",\"exchange\":\"sim\",\"symbol\":\"BTC/USDT\",\"seq\":%llu,\"x\":1" TAIL,
                 (unsigned long long)value);
        assert_int_equal(good(text).seq, value);
    }
}

static void channels(void **state)
{
    (void)state;
    uint16_t channel;
    uint32_t interval_s;
    assert_true(twi_scan_channel("trade", 5, &channel, &interval_s));
    assert_int_equal(channel, TW_CHANNEL_TRADE);
    assert_true(twi_scan_channel("candle.1h", 9, &channel, &interval_s));
    assert_int_equal(channel, TW_CHANNEL_CANDLE);
    assert_int_equal(interval_s, 3600);
    assert_false(twi_scan_channel("candle.", 7, &channel, &interval_s));
    assert_false(twi_scan_channel("trades", 6, &channel, &interval_s));
    assert_false(twi_scan_channel("", 0, &channel, &interval_s));
}

static twi_topic_name name(const char *exchange, const char *symbol, uint16_t channel, uint32_t interval_s)
{
    return (twi_topic_name){.exchange = exchange,
                            .symbol = symbol,
                            .exchange_len = (uint32_t)strlen(exchange),
                            .symbol_len = (uint32_t)strlen(symbol),
                            .channel = channel,
                            .interval_s = interval_s};
}

static void topics_are_numbered_once(void **state)
{
    enum { SYMBOLS = 500 };
    (void)state;
    twi_topics topics;
    char symbols[SYMBOLS][24];
    assert_int_equal(twi_topics_open(&topics, 4 * SYMBOLS), TW_OK);
    for (int round = 0; round < 2; round++) {
        for (uint32_t i = 0; i < SYMBOLS; i++) {
            snprintf(symbols[i], sizeof symbols[i], "S%u/%s", i, i % 2 ? "USD" : "a longer currency");
            twi_topic_name trade = name("sim", symbols[i], TW_CHANNEL_TRADE, 0);
            twi_topic_name minute = name("sim", symbols[i], TW_CHANNEL_CANDLE, 60);
            twi_topic_name hour = name("sim", symbols[i], TW_CHANNEL_CANDLE, 3600);
            twi_topic_name other = name("kraken", symbols[i], TW_CHANNEL_TRADE, 0);
            assert_int_equal(twi_topics_intern(&topics, &trade), 4 * i);
            assert_int_equal(twi_topics_intern(&topics, &minute), 4 * i + 1);
            assert_int_equal(twi_topics_intern(&topics, &hour), 4 * i + 2);
            assert_int_equal(twi_topics_intern(&topics, &other), 4 * i + 3);
        }
    }
    assert_int_equal(topics.count, 4 * SYMBOLS);
    assert_string_equal(topics.topics[7].exchange, "kraken");
    assert_string_equal(topics.topics[7].symbol, "S1/USD");
    twi_topic_name one_more = name("sim", "ONE/MORE", TW_CHANNEL_TRADE, 0);
    assert_int_equal(twi_topics_intern(&topics, &one_more), TWI_TOPIC_NONE);
    twi_topics_close(&topics);
}

static void bad_names_have_no_topic(void **state)
{
    (void)state;
    twi_topics topics;
    assert_int_equal(twi_topics_open(&topics, 4), TW_OK);
    twi_topic_name empty = name("", "A/B", TW_CHANNEL_TRADE, 0);
    twi_topic_name lengthy = name("a venue with a far too long name", "A/B", TW_CHANNEL_TRADE, 0);
    assert_int_equal(twi_topics_intern(&topics, &empty), TWI_TOPIC_NONE);
    assert_int_equal(twi_topics_intern(&topics, &lengthy), TWI_TOPIC_NONE);
    assert_int_equal(topics.count, 0);
    twi_topics_close(&topics);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(plain_types),
        cmocka_unit_test(books),
        cmocka_unit_test(other_orders_and_blanks),
        cmocka_unit_test(candles_and_losses),
        cmocka_unit_test(control_is_not_data),
        cmocka_unit_test(bad_messages_are_told),
        cmocka_unit_test(every_prefix_and_every_flip),
        cmocka_unit_test(seq_of_every_length),
        cmocka_unit_test(channels),
        cmocka_unit_test(topics_are_numbered_once),
        cmocka_unit_test(bad_names_have_no_topic),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
