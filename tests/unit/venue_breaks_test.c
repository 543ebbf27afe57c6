/* venue_breaks_test.c - what the simulated venues (tests/exchange) brought to light, one case each, adapters alone. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "feed/text.h"
#include "feed/times.h"
#include "tickwire/feed.h"

enum { INSTRUMENTS_MAX = 16, EVENTS_MAX = 256, ALIGN = 64 };
#define START_NS (INT64_C(1700000000) * TWI_NS_PER_S)

/* An adapter and what it said. */
typedef struct rig {
    const tw_feed_ops *ops;
    tw_symbols *symbols;
    void *state;
    tw_sink sink;
    tw_event events[EVENTS_MAX];
    uint32_t count;
} rig;

static tw_event *claim(void *owner)
{
    rig *r = owner;
    assert_true(r->count < EVENTS_MAX);
    r->events[r->count] = (tw_event){.kind = 0};
    return &r->events[r->count];
}

static void commit(void *owner)
{
    ((rig *)owner)->count++;
}

static void *aligned(size_t bytes)
{
    size_t whole = (bytes + ALIGN - 1) / ALIGN * ALIGN;
    void *memory = aligned_alloc(ALIGN, whole);
    assert_non_null(memory);
    return memset(memory, 0, whole);
}

static rig *rig_open(const char *venue, const char *const *symbols, uint32_t count, const char *stream_url)
{
    rig *r = calloc(1, sizeof(*r));
    r->ops = tw_feed_find(venue, strlen(venue));
    assert_non_null(r->ops);
    tw_feed_config config = {.symbols = symbols, .symbol_count = count, .stream_url = stream_url};
    r->symbols = tw_symbols_init(aligned(tw_symbols_size(INSTRUMENTS_MAX)), INSTRUMENTS_MAX);
    r->state = aligned(r->ops->state_size(&config));
    r->sink = (tw_sink){claim, commit, r};
    assert_int_equal(r->ops->init(r->state, &config, r->symbols), TW_OK);
    return r;
}

static void rig_close(rig *r)
{
    r->ops->fini(r->state);
    free(r->state);
    free(r->symbols);
    free(r);
}

static tw_status say(rig *r, int64_t now_ns, const char *text)
{
    /* Bytes for parsers end where the memory ends. */
    size_t len = strlen(text);
    uint8_t *copy = malloc(len);
    memcpy(copy, text, len);
    tw_status status = r->ops->on_message(r->state, 0, now_ns, copy, len, &r->sink);
    free(copy);
    return status;
}

static void answer(rig *r, int64_t now_ns, const tw_request *request, const char *body)
{
    tw_response response = {
        .id = request->id, .status = 200, .url = request->url, .body = (const uint8_t *)body, .body_len = strlen(body)};
    assert_int_equal(r->ops->on_response(r->state, now_ns, &response, &r->sink), TW_OK);
}

static uint32_t states_of(const rig *r, tw_book_state state)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < r->count; i++)
        count += r->events[i].kind == TW_EVENT_STATUS && r->events[i].u.status.state == state;
    return count;
}

/* All that it owes the venue, in one text. */
static void hear(rig *r, char *out, size_t cap)
{
    size_t used = 0;
    r->ops->link_up(r->state, 0, START_NS, "");
    for (int64_t now_ns = START_NS; now_ns < START_NS + 60 * TWI_NS_PER_S; now_ns += TWI_NS_PER_S / 10) {
        size_t len = r->ops->next_output(r->state, 0, now_ns, (uint8_t *)out + used, cap - used - 2);
        used += len;
        if (len > 0)
            out[used++] = '\n';
    }
    out[used] = 0;
}

/* ---- cases ---- */

/* The code of a margin currency (BTCF0) is not that of the currency in a spot pair. */
static void test_bitfinex_pairs_in_btc_and_eth(void **state)
{
    (void)state;
    static const char *const symbols[] = {"IOTA/ETH", "MANA/BTC", "BTC/USDT", "BTC/USDT:USDT", "ETH/BTC:BTC"};
    static char said[65536];
    rig *r = rig_open("bitfinex", symbols, 5, NULL);
    hear(r, said, sizeof(said));
    assert_non_null(strstr(said, "\"symbol\":\"tIOTETH\""));
    assert_non_null(strstr(said, "\"symbol\":\"tMNABTC\""));
    assert_non_null(strstr(said, "\"symbol\":\"tBTCUST\""));
    assert_non_null(strstr(said, "\"symbol\":\"tBTCF0:USTF0\""));
    assert_non_null(strstr(said, "\"symbol\":\"tETHF0:BTCF0\""));
    rig_close(r);
}

static void bitstamp_difference(rig *r, uint32_t micro, tw_status wanted)
{
    char text[256];
    snprintf(text, sizeof(text),
             "{\"data\":{\"timestamp\":\"1\",\"microtimestamp\":\"%u\",\"bids\":[[\"10.0%u\",\"1.0\"]],\"asks\":[]},"
             "\"channel\":\"diff_order_book_btcusd\",\"event\":\"data\"}",
             (unsigned)micro, (unsigned)micro % 10);
    assert_int_equal(say(r, START_NS + micro, text), wanted);
}

/* Differences have a time only; one that is older than the last was overtaken, and the book is not the venue's. */
static void test_bitstamp_difference_out_of_order(void **state)
{
    (void)state;
    static const char *const symbols[] = {"BTC/USD"};
    tw_request request;
    rig *r = rig_open("bitstamp", symbols, 1, NULL);
    r->ops->link_up(r->state, 0, START_NS, "");
    bitstamp_difference(r, 1001, TW_OK);
    assert_int_equal(r->ops->next_request(r->state, START_NS + TWI_NS_PER_S, &request), 1);
    answer(
        r, START_NS + TWI_NS_PER_S, &request,
        "{\"timestamp\":\"1\",\"microtimestamp\":\"1002\",\"bids\":[[\"10.00\",\"1.0\"]],\"asks\":[[\"11\",\"1\"]]}");
    bitstamp_difference(r, 1002, TW_OK); /* older than the snapshot or equal: dropped */
    bitstamp_difference(r, 1003, TW_OK);
    bitstamp_difference(r, 1005, TW_OK);
    bitstamp_difference(r, 1005, TW_OK); /* twice: as if it was not */
    assert_int_equal(states_of(r, TW_STATE_OK), 1);
    assert_int_equal(states_of(r, TW_STATE_GAP), 0);
    bitstamp_difference(r, 1004, TW_GAP);
    assert_int_equal(states_of(r, TW_STATE_GAP), 1);
    assert_int_equal(r->ops->next_request(r->state, START_NS + 9 * TWI_NS_PER_S, &request), 1);
    rig_close(r);
}

/* The notice is documented bare and inside "event"; a combined stream may wrap it. */
static void test_binance_shutdown_notice(void **state)
{
    (void)state;
    static const char *const symbols[] = {"BTC/USDT"};
    static const char *const notices[] = {
        "{\"e\":\"serverShutdown\",\"E\":1770123456789}",
        "{\"event\":{\"e\":\"serverShutdown\",\"E\":1770123456789}}",
        "{\"stream\":\"\",\"data\":{\"e\":\"serverShutdown\",\"E\":1770123456789}}",
    };
    for (size_t i = 0; i < sizeof(notices) / sizeof(*notices); i++) {
        rig *r = rig_open("binance", symbols, 1, NULL);
        r->ops->link_up(r->state, 0, START_NS, "");
        assert_int_equal(say(r, START_NS, notices[i]), TW_RELINK);
        rig_close(r);
    }
}

/* The wait between two tokens is for lost answers: a token that was given and used holds up no new connection. */
static void test_kucoin_reconnects_at_once(void **state)
{
    (void)state;
    static const char *const symbols[] = {"BTC/USDT"};
    tw_request request;
    tw_endpoint dial;
    rig *r = rig_open("kucoin", symbols, 1, NULL);
    int64_t now_ns = START_NS;
    for (int round = 0; round < 3; round++, now_ns += TWI_NS_PER_S) {
        assert_int_equal(r->ops->link_dial(r->state, 0, now_ns, &dial), TW_AGAIN);
        assert_int_equal(r->ops->next_request(r->state, now_ns, &request), 1);
        assert_int_equal(request.kind, TW_REQUEST_TOKEN);
        answer(r, now_ns, &request,
               "{\"code\":\"200000\",\"data\":{\"token\":\"t\",\"instanceServers\":[{\"endpoint\":\"wss://h/e\"}]}}");
        assert_int_equal(r->ops->link_dial(r->state, 0, now_ns, &dial), TW_OK);
        assert_non_null(strstr(dial.url, "wss://h/e?token=t"));
        r->ops->link_up(r->state, 0, now_ns, dial.url);
        r->ops->link_down(r->state, 0, now_ns, TW_REASON_LINK_DOWN, &r->sink);
    }
    rig_close(r);
}

/* A frame that is no JSON may have been a change. Where changes are not numbered, every book of the connection is in
 * doubt; where they are, the next one will tell. A whole message of an unknown form is none of the two. */
static void test_garbage_puts_unnumbered_books_in_doubt(void **state)
{
    (void)state;
    static const char *const symbols[] = {"BTC/USD", "ETH/USD"};
    static const char *const snapshots[] = {
        "{\"type\":\"snapshot\",\"product_id\":\"BTC-USD\",\"bids\":[[\"1\",\"1\"]],\"asks\":[[\"2\",\"1\"]]}",
        "{\"type\":\"snapshot\",\"product_id\":\"ETH-USD\",\"bids\":[[\"1\",\"1\"]],\"asks\":[[\"2\",\"1\"]]}",
    };
    char said[8192];
    rig *r = rig_open("coinbaseexchange", symbols, 2, NULL);
    hear(r, said, sizeof(said));
    for (int i = 0; i < 2; i++)
        assert_int_equal(say(r, START_NS, snapshots[i]), TW_OK);
    assert_int_equal(states_of(r, TW_STATE_OK), 2);
    assert_int_equal(say(r, START_NS, "{\"type\":\"ticker\",\"product_id\":\"BTC-USD\"}"), TW_MALFORMED);
    assert_int_equal(states_of(r, TW_STATE_GAP), 0);
    assert_int_equal(say(r, START_NS, "{\"type\":\"l2update\",\"product_id\":\"BTC-"), TW_MALFORMED);
    assert_int_equal(states_of(r, TW_STATE_GAP), 2);
    assert_int_equal(r->events[r->count - 1].u.status.reason, TW_REASON_MALFORMED);
    size_t len = r->ops->next_output(r->state, 0, START_NS + 99 * TWI_NS_PER_S, (uint8_t *)said, sizeof(said) - 1);
    said[len] = 0;
    assert_non_null(strstr(said, "\"unsubscribe\",\"product_ids\":[\"BTC-USD\",\"ETH-USD\"]"));
    rig_close(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bitfinex_pairs_in_btc_and_eth),
        cmocka_unit_test(test_bitstamp_difference_out_of_order),
        cmocka_unit_test(test_binance_shutdown_notice),
        cmocka_unit_test(test_kucoin_reconnects_at_once),
        cmocka_unit_test(test_garbage_puts_unnumbered_books_in_doubt),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
