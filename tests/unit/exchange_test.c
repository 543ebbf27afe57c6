/* exchange_test.c - the exchange API against a venue of the test's own: markets, fetches, every class of refusal,
 * streams, unwatching, reconnection, a reader that is too slow. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "engine/base/clock.h"
#include "feed/times.h"
#include "tests/unit/exchange_server.h"
#include "tickwire/exchange.h"

#define DEADLINE_NS (20 * TWI_NS_PER_S)
#define T0          INT64_C(1700000000000) /* ms, a whole minute and 20 s */

static const char MARKETS[] =
    "{\"symbols\":[{\"symbol\":\"BTCUSDT\",\"status\":\"TRADING\",\"baseAsset\":\"BTC\",\"quoteAsset\":\"USDT\","
    "\"filters\":[{\"filterType\":\"PRICE_FILTER\",\"minPrice\":\"0.01\",\"maxPrice\":\"1000000.00\",\"tickSize\":"
    "\"0.01\"},{\"filterType\":\"LOT_SIZE\",\"minQty\":\"0.00001\",\"maxQty\":\"9000.0\",\"stepSize\":\"0.00001\"}]},"
    "{\"symbol\":\"ETHUSDT\",\"status\":\"TRADING\",\"baseAsset\":\"ETH\",\"quoteAsset\":\"USDT\",\"filters\":[]}]}";

typedef struct rig {
    twt_venue venue;
    tw_exchange *exchange;
} rig;

static void open_with(rig *it, tw_exchange_config config)
{
    if (config.id == NULL)
        config.id = "binance";
    config.rest_url = it->venue.url;
    config.stream_url = it->venue.stream_url;
    config.proxy = "none";
    if (config.timeout_ns == 0)
        config.timeout_ns = DEADLINE_NS;
    assert_int_equal(tw_exchange_open(&config, &it->exchange), TW_ERROR_NONE);
}

static void open_rig(rig *it)
{
    twt_venue_open(&it->venue);
    twt_venue_rule(&it->venue, "/exchangeInfo", 200, "", MARKETS);
    open_with(it, (tw_exchange_config){.no_rate_limit = 1});
}

static void close_rig(rig *it)
{
    tw_exchange_close(it->exchange);
    twt_venue_close(&it->venue);
}

static void assert_decimal(tw_decimal value, const char *text)
{
    tw_decimal wanted;
    assert_int_equal(tw_decimal_parse(text, strlen(text), &wanted), TW_OK);
    if (tw_decimal_compare(value, wanted) != 0)
        fail_msg("%lld e%d is not %s", (long long)value.mantissa, value.exponent, text);
}

/* ---- markets and fetches ---- */

static void markets_are_loaded_once_and_found_by_symbol_and_id(void **state)
{
    static rig it;
    (void)state;
    open_rig(&it);
    assert_int_equal(tw_exchange_market_count(it.exchange), 0);
    assert_null(tw_exchange_market_at(it.exchange, 0));
    const tw_market *market = tw_exchange_market(it.exchange, "BTC/USDT");
    assert_non_null(market);
    assert_ptr_equal(market, tw_exchange_market(it.exchange, "BTCUSDT"));
    assert_string_equal(market->base, "BTC");
    assert_decimal(market->price_tick, "0.01");
    assert_int_equal(tw_exchange_market_count(it.exchange), 2);
    assert_int_equal(twt_venue_requests(&it.venue), 1);
    assert_null(tw_exchange_market(it.exchange, "BTC/EUR"));
    assert_int_equal(tw_exchange_error()->error, TW_ERROR_BAD_SYMBOL);
    assert_non_null(strstr(tw_exchange_error()->text, "there is \"BTC/USDT\""));
    assert_int_equal(tw_exchange_load_markets(it.exchange, 1), TW_ERROR_NONE);
    assert_int_equal(twt_venue_requests(&it.venue), 2);
    assert_string_equal(market->symbol, "BTC/USDT"); /* of the first table, and still there */
    close_rig(&it);
}

static void fetches_ask_and_read(void **state)
{
    static rig it;
    tw_ticker ticker;
    tw_book_level bids[5], asks[5];
    tw_order_book book = {.bids = bids, .asks = asks, .level_count_max = 5};
    tw_trade trades[3];
    tw_ohlcv candles[3];
    uint32_t count;
    (void)state;
    open_rig(&it);
    twt_venue_rule(&it.venue, "/ticker/24hr?symbol=BTCUSDT", 200, "",
                   "{\"lastPrice\":\"36505.10\",\"openPrice\":\"36500\",\"closeTime\":1700000000000}");
    twt_venue_rule(&it.venue, "/depth?symbol=BTCUSDT&limit=5", 200, "",
                   "{\"lastUpdateId\":7,\"bids\":[[\"1\",\"2\"]],\"asks\":[[\"3\",\"4\"]]}");
    twt_venue_rule(&it.venue, "/trades?symbol=BTCUSDT&limit=3", 200, "",
                   "[{\"id\":9,\"price\":\"4\",\"qty\":\"12\",\"time\":1600000000000,\"isBuyerMaker\":true}]");
    twt_venue_rule(&it.venue, "/klines?symbol=BTCUSDT&interval=1m&limit=3", 200, "",
                   "[[1600000020000,\"1\",\"4\",\"0.5\",\"2\",\"10\"]]");
    assert_int_equal(tw_fetch_ticker(it.exchange, "BTC/USDT", &ticker), TW_ERROR_NONE);
    assert_decimal(ticker.last, "36505.1");
    assert_decimal(ticker.change, "5.1");
    assert_int_equal(tw_fetch_order_book(it.exchange, "BTC/USDT", &book), TW_ERROR_NONE);
    assert_int_equal(book.nonce, 7);
    assert_int_equal(book.bid_count, 1);
    assert_decimal(asks[0].amount, "4");
    assert_int_equal(tw_fetch_trades(it.exchange, "BTC/USDT", 0, trades, 3, &count), TW_ERROR_NONE);
    assert_int_equal(count, 1);
    assert_string_equal(trades[0].id, "9");
    assert_decimal(trades[0].cost, "48");
    assert_int_equal(tw_fetch_ohlcv(it.exchange, "BTC/USDT", "1m", 0, candles, 3, &count), TW_ERROR_NONE);
    assert_int_equal(count, 1);
    assert_decimal(candles[0].high, "4");
    assert_int_equal(tw_fetch_ohlcv(it.exchange, "BTC/USDT", "7m", 0, candles, 3, &count), TW_ERROR_NOT_SUPPORTED);
    assert_non_null(strstr(tw_exchange_error()->text, "there are 1s 1m"));
    assert_int_equal(tw_fetch_trades(it.exchange, NULL, 0, trades, 3, &count), TW_ERROR_ARGUMENTS_REQUIRED);
    close_rig(&it);
}

static void refusals_have_ccxts_classes(void **state)
{
    static const struct {
        int status;
        const char *headers, *body;
        tw_error_class error;
        int retry_after_s;
    } cases[] = {
        {400, "", "{\"code\":-1121,\"msg\":\"Invalid symbol.\"}", TW_ERROR_BAD_SYMBOL, 0},
        {429, "", "{\"code\":-1003,\"msg\":\"Too much request weight used.\"}", TW_ERROR_RATE_LIMIT_EXCEEDED, 0},
        {418, "", "{\"code\":-1003,\"msg\":\"Way too much; IP banned\"}", TW_ERROR_DDOS_PROTECTION, 0},
        {500, "", "", TW_ERROR_EXCHANGE_NOT_AVAILABLE, 0},
        {502, "", "<html><body>Bad gateway</body></html>", TW_ERROR_EXCHANGE_NOT_AVAILABLE, 0},
        {503, "", "<html>down for maintenance</html>", TW_ERROR_ON_MAINTENANCE, 0},
        {504, "", "", TW_ERROR_REQUEST_TIMEOUT, 0},
        {451, "", "", TW_ERROR_RESTRICTED_LOCATION, 0},
        {401, "", "", TW_ERROR_AUTHENTICATION_ERROR, 0},
        {200, "", "<html>welcome to this hotel</html>", TW_ERROR_BAD_RESPONSE, 0},
        {200, "", "{\"lastPrice\":\"36505.10\",\"openPri", TW_ERROR_BAD_RESPONSE, 0},
        {200, "", "{\"lastPrice\":\"dear\"}", TW_ERROR_BAD_RESPONSE, 0},
        {200, "", "{}", TW_ERROR_NULL_RESPONSE, 0},
        {302, "Location: /elsewhere\r\n", "", TW_ERROR_EXCHANGE_NOT_AVAILABLE, 0},
        {-1, "", "", TW_ERROR_NETWORK_ERROR, 0},
        {429, "Retry-After: 3\r\n", "{\"code\":-1003,\"msg\":\"slow down\"}", TW_ERROR_RATE_LIMIT_EXCEEDED, 3}};
    static rig it;
    tw_ticker ticker;
    (void)state;
    open_rig(&it);
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        twt_venue_rule(&it.venue, "/ticker", cases[i].status, cases[i].headers, cases[i].body);
        tw_error_class error = tw_fetch_ticker(it.exchange, "BTC/USDT", &ticker);
        if (error != cases[i].error)
            fail_msg("case %zu: %s instead of %s: %s", i, tw_error_name(error), tw_error_name(cases[i].error),
                     tw_exchange_error()->text);
        assert_int_equal(tw_exchange_error()->error, error);
        assert_int_equal(tw_exchange_error()->http_status, cases[i].status > 0 ? cases[i].status : 0);
        assert_int_equal(tw_exchange_error()->retry_after_s, cases[i].retry_after_s);
        assert_non_null(strstr(tw_exchange_error()->text, "binance fetch_ticker BTC/USDT: "));
    }
    close_rig(&it);
}

static void a_pause_that_the_venue_asks_for_is_kept(void **state)
{
    static rig it;
    tw_ticker ticker;
    (void)state;
    twt_venue_open(&it.venue);
    twt_venue_rule(&it.venue, "/exchangeInfo", 200, "", MARKETS);
    twt_venue_rule(&it.venue, "/ticker", 429, "Retry-After: 600\r\n", "{\"code\":-1003,\"msg\":\"slow down\"}");
    open_with(&it, (tw_exchange_config){.timeout_ns = 5 * TWI_NS_PER_S});
    assert_int_equal(tw_fetch_ticker(it.exchange, "BTC/USDT", &ticker), TW_ERROR_RATE_LIMIT_EXCEEDED);
    unsigned requests = twt_venue_requests(&it.venue);
    assert_int_equal(tw_fetch_ticker(it.exchange, "BTC/USDT", &ticker), TW_ERROR_RATE_LIMIT_EXCEEDED);
    assert_int_equal(twt_venue_requests(&it.venue), requests); /* it was not even asked */
    assert_true(tw_exchange_error()->retry_after_s > 500);
    close_rig(&it);
}

static void requests_keep_the_venues_distance(void **state)
{
    enum { GAP_MS = 50, CALLS = 4 };
    static rig it;
    tw_ticker ticker;
    (void)state;
    twt_venue_open(&it.venue);
    twt_venue_rule(&it.venue, "/exchangeInfo", 200, "", MARKETS);
    twt_venue_rule(&it.venue, "/ticker", 200, "", "{\"lastPrice\":\"1\"}");
    open_with(&it, (tw_exchange_config){0});
    assert_int_equal(tw_exchange_load_markets(it.exchange, 0), TW_ERROR_NONE);
    int64_t begun_ns = twi_monotonic_ns();
    for (int i = 0; i < CALLS; i++)
        assert_int_equal(tw_fetch_ticker(it.exchange, "BTC/USDT", &ticker), TW_ERROR_NONE);
    assert_true(twi_monotonic_ns() - begun_ns >= (CALLS - 1) * GAP_MS * TWI_NS_PER_MS);
    close_rig(&it);
}

static void silence_and_absence_are_told_apart(void **state)
{
    static rig it;
    tw_ticker ticker;
    (void)state;
    twt_venue_open(&it.venue);
    twt_venue_rule(&it.venue, "/exchangeInfo", 200, "", MARKETS);
    open_with(&it, (tw_exchange_config){.no_rate_limit = 1, .timeout_ns = 300 * TWI_NS_PER_MS});
    while (tw_exchange_load_markets(it.exchange, 0) != TW_ERROR_NONE) {
        /* a machine under load may need more than the short time-out */
    }
    twt_venue_rule(&it.venue, "/ticker", 0, "", "");
    assert_int_equal(tw_fetch_ticker(it.exchange, "BTC/USDT", &ticker), TW_ERROR_REQUEST_TIMEOUT);
    assert_int_equal(tw_exchange_error()->http_status, 0);
    tw_exchange_close(it.exchange);
    twt_venue_close(&it.venue); /* nobody listens any more */
    open_with(&it, (tw_exchange_config){.no_rate_limit = 1});
    assert_int_equal(tw_exchange_load_markets(it.exchange, 0), TW_ERROR_NETWORK_ERROR);
    tw_exchange_close(it.exchange);
}

typedef struct fetcher {
    tw_exchange *exchange;
    int failed;
} fetcher;

static void *fetch_often(void *argument)
{
    fetcher *it = argument;
    for (int i = 0; i < 20; i++) {
        tw_ticker ticker;
        const char *symbol = i % 4 == 3 ? "NO/SUCH" : "BTC/USDT";
        tw_error_class error = tw_fetch_ticker(it->exchange, symbol, &ticker);
        it->failed += error != (i % 4 == 3 ? TW_ERROR_BAD_SYMBOL : TW_ERROR_NONE);
    }
    return NULL;
}

static void threads_fetch_side_by_side(void **state)
{
    enum { THREADS = 4 };
    static rig it;
    pthread_t threads[THREADS];
    fetcher fetchers[THREADS];
    (void)state;
    open_rig(&it);
    twt_venue_rule(&it.venue, "/ticker", 200, "", "{\"lastPrice\":\"1\"}");
    for (int i = 0; i < THREADS; i++) {
        fetchers[i] = (fetcher){.exchange = it.exchange};
        assert_int_equal(pthread_create(&threads[i], NULL, fetch_often, &fetchers[i]), 0);
    }
    for (int i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
        assert_int_equal(fetchers[i].failed, 0);
    }
    assert_int_equal(twt_venue_requests(&it.venue), 1 + THREADS * 15);
    close_rig(&it);
}

/* ---- streams ---- */

static tw_update next_of(tw_exchange *exchange, tw_update_kind kind)
{
    tw_update update;
    int64_t until_ns = twi_monotonic_ns() + DEADLINE_NS;
    while (tw_exchange_wait(exchange, until_ns - twi_monotonic_ns(), &update) == TW_ERROR_NONE) {
        if (update.kind == kind)
            return update;
    }
    fail_msg("no update of kind %d: %s", kind, tw_exchange_error()->text);
    return update;
}

static void say_trade(rig *it, int id, const char *price, const char *amount, int64_t ms)
{
    char text[512];
    snprintf(
        text, sizeof(text),
        "{\"stream\":\"btcusdt@trade\",\"data\":{\"e\":\"trade\",\"E\":%lld,\"s\":\"BTCUSDT\",\"t\":%d,\"p\":\"%s\","
        "\"q\":\"%s\",\"T\":%lld,\"m\":%s,\"M\":true}}",
        (long long)ms, id, price, amount, (long long)ms, id % 2 == 0 ? "true" : "false");
    twt_venue_say(&it->venue, text);
}

static void say_delta(rig *it, int first, int last, const char *bids, const char *asks)
{
    char text[512];
    snprintf(
        text, sizeof(text),
        "{\"stream\":\"btcusdt@depth@100ms\",\"data\":{\"e\":\"depthUpdate\",\"E\":%lld,\"s\":\"BTCUSDT\",\"U\":%d,"
        "\"u\":%d,\"b\":[%s],\"a\":[%s]}}",
        (long long)T0, first, last, bids, asks);
    twt_venue_say(&it->venue, text);
}

static void trades_come_with_ids_sides_and_costs(void **state)
{
    static rig it;
    (void)state;
    open_rig(&it);
    assert_int_equal(tw_watch_trades(it.exchange, "BTC/USDT"), TW_ERROR_NONE);
    assert_int_equal(tw_watch_trades(it.exchange, "BTCUSDT"), TW_ERROR_NONE); /* the same one */
    assert_true(twt_venue_expect(&it.venue, "SUBSCRIBE\",\"params\":[\"btcusdt@trade\"]"));
    say_trade(&it, 1, "100.5", "2", T0);
    tw_update update = next_of(it.exchange, TW_UPDATE_TRADES);
    assert_string_equal(update.symbol, "BTC/USDT");
    assert_ptr_equal(update.market, tw_exchange_market(it.exchange, "BTC/USDT"));
    assert_int_equal(update.count, 1);
    assert_string_equal(update.trades[0].id, "1");
    assert_int_equal(update.trades[0].side, TW_SIDE_BUY);
    assert_decimal(update.trades[0].cost, "201");
    assert_int_equal(update.trades[0].timestamp_ns, T0 * TWI_NS_PER_MS);
    assert_int_equal(tw_watch_trades(it.exchange, "XRP/USDT"), TW_ERROR_BAD_SYMBOL);
    close_rig(&it);
}

static void what_comes_between_two_waits_is_collected(void **state)
{
    enum { TRADES = 1500, LIMIT = 1000 };
    static rig it;
    uint64_t seen = 0, lost = 0;
    (void)state;
    open_rig(&it);
    assert_int_equal(tw_watch_trades(it.exchange, "BTC/USDT"), TW_ERROR_NONE);
    assert_true(twt_venue_expect(&it.venue, "SUBSCRIBE"));
    for (int i = 0; i < TRADES; i++) {
        say_trade(&it, i, "100", "1", T0);
        if (i % 100 == 99) { /* not more than the server's memory holds at once */
            tw_exchange_stats stats;
            do
                tw_exchange_stats_get(it.exchange, &stats);
            while (stats.messages < (uint64_t)i + 1);
        }
    }
    while (seen + lost < TRADES) {
        tw_update update = next_of(it.exchange, TW_UPDATE_TRADES);
        assert_true(update.count <= LIMIT);
        seen += update.count;
        lost += update.lost;
    }
    assert_int_equal(seen, LIMIT);
    assert_int_equal(lost, TRADES - LIMIT);
    close_rig(&it);
}

static void a_fetched_book_is_joined_with_the_stream(void **state)
{
    static rig it;
    (void)state;
    open_rig(&it);
    twt_venue_rule(&it.venue, "/depth", 200, "",
                   "{\"lastUpdateId\":10,\"bids\":[[\"99\",\"1\"],[\"98\",\"2\"]],\"asks\":[[\"101\",\"3\"]]}");
    assert_int_equal(tw_watch_order_book(it.exchange, "BTC/USDT", 1), TW_ERROR_NONE);
    assert_true(twt_venue_expect(&it.venue, "btcusdt@depth"));
    say_delta(&it, 9, 11, "[\"100\",\"5\"]", "");
    tw_update update = next_of(it.exchange, TW_UPDATE_ORDER_BOOK);
    while (update.order_book->nonce < 11)
        update = next_of(it.exchange, TW_UPDATE_ORDER_BOOK);
    assert_int_equal(update.order_book->bid_count, 1);
    assert_decimal(update.order_book->bids[0].price, "100");
    assert_decimal(update.order_book->asks[0].amount, "3");
    say_delta(&it, 12, 12, "[\"100\",\"0\"]", "[\"100.5\",\"1\"]");
    update = next_of(it.exchange, TW_UPDATE_ORDER_BOOK);
    assert_decimal(update.order_book->bids[0].price, "99");
    assert_decimal(update.order_book->asks[0].price, "100.5");
    assert_int_equal(update.order_book->nonce, 12);
    close_rig(&it);
}

/* The other tests of books are on a venue whose snapshots come in the stream: no request budget to wait for. */
static void say_book(rig *it, int previous, int seq, const char *bids, const char *asks)
{
    char text[512];
    snprintf(
        text, sizeof(text),
        "{\"arg\":{\"channel\":\"books\",\"instId\":\"BTC-USDT\"},\"action\":\"%s\",\"data\":[{\"bids\":[%s],\"asks\":"
        "[%s],\"ts\":\"%lld\",\"prevSeqId\":%d,\"seqId\":%d}]}",
        previous < 0 ? "snapshot" : "update", bids, asks, (long long)T0, previous, seq);
    twt_venue_say(&it->venue, text);
}

static tw_update book_at(rig *it, uint64_t nonce)
{
    tw_update update = next_of(it->exchange, TW_UPDATE_ORDER_BOOK);
    while (update.order_book->nonce != nonce)
        update = next_of(it->exchange, TW_UPDATE_ORDER_BOOK);
    return update;
}

static tw_update trouble_of(rig *it)
{
    tw_update update = next_of(it->exchange, TW_UPDATE_STATUS);
    while (update.state == TW_STATE_OK || update.state == TW_STATE_SYNCING)
        update = next_of(it->exchange, TW_UPDATE_STATUS);
    return update;
}

static void begin_book(rig *it, uint32_t ring_slots)
{
    twt_venue_open(&it->venue);
    twt_venue_rule(&it->venue, "/instruments", 200, "", "{\"code\":\"0\",\"data\":[]}");
    twt_venue_rule(&it->venue, "/instruments?instType=SPOT", 200, "",
                   "{\"code\":\"0\",\"data\":[{\"instId\":\"BTC-USDT\",\"instType\":\"SPOT\",\"baseCcy\":\"BTC\","
                   "\"quoteCcy\":\"USDT\",\"tickSz\":\"0.1\",\"lotSz\":\"0.01\",\"state\":\"live\"}]}");
    open_with(it, (tw_exchange_config){.id = "okx", .no_rate_limit = 1, .ring_slots = ring_slots});
    assert_int_equal(tw_watch_order_book(it->exchange, "BTC/USDT", 2), TW_ERROR_NONE);
    assert_true(twt_venue_expect(&it->venue, "\"subscribe\""));
    say_book(it, -1, 10, "[\"99\",\"1\",\"0\",\"1\"],[\"98\",\"2\",\"0\",\"1\"],[\"97\",\"1\",\"0\",\"1\"]",
             "[\"101\",\"3\",\"0\",\"1\"]");
    assert_int_equal(book_at(it, 10).order_book->bid_count, 2);
}

static void a_gap_is_told_and_mended(void **state)
{
    static rig it;
    (void)state;
    begin_book(&it, 0);
    say_book(&it, 15, 16, "[\"100\",\"1\",\"0\",\"1\"]", "");
    tw_update update = trouble_of(&it);
    assert_int_equal(update.state, TW_STATE_GAP);
    assert_int_equal(update.error, TW_ERROR_INVALID_NONCE);
    assert_true(twt_venue_expect(&it.venue, "\"unsubscribe\""));
    twt_venue_say(&it.venue, "{\"event\":\"unsubscribe\",\"arg\":{\"channel\":\"books\",\"instId\":\"BTC-USDT\"}}");
    assert_true(twt_venue_expect(&it.venue, "\"subscribe\""));
    say_book(&it, -1, 20, "[\"90\",\"1\",\"0\",\"1\"]", "[\"91\",\"1\",\"0\",\"1\"]");
    update = book_at(&it, 20);
    assert_int_equal(update.order_book->bid_count, 1);
    assert_decimal(update.order_book->bids[0].price, "90");
    tw_exchange_stats stats;
    tw_exchange_stats_get(it.exchange, &stats);
    assert_int_equal(stats.gaps, 1);
    close_rig(&it);
}

static void after_a_cut_the_stream_comes_back(void **state)
{
    static rig it;
    tw_exchange_stats stats;
    (void)state;
    begin_book(&it, 0);
    twt_venue_cut(&it.venue);
    assert_int_equal(trouble_of(&it).error, TW_ERROR_NETWORK_ERROR);
    assert_true(twt_venue_expect(&it.venue, "\"subscribe\""));
    say_book(&it, -1, 30, "[\"95\",\"1\",\"0\",\"1\"]", "[\"96\",\"1\",\"0\",\"1\"]");
    tw_update update = book_at(&it, 30);
    assert_int_equal(update.order_book->bid_count, 1); /* nothing is left of the old connection's book */
    assert_decimal(update.order_book->bids[0].price, "95");
    tw_exchange_stats_get(it.exchange, &stats);
    assert_true(stats.reconnects >= 1);
    close_rig(&it);
}

static void a_reader_that_is_overtaken_gets_its_book_anew(void **state)
{
    enum { SLOTS = 64, UPDATES = 400, BEFORE = 1 };
    static rig it;
    tw_exchange_stats stats;
    (void)state;
    begin_book(&it, SLOTS);
    for (int i = 0; i < UPDATES; i++) {
        say_book(&it, 10 + i, 11 + i, "[\"99\",\"6\",\"0\",\"1\"]", "");
        if (i % 50 != 49)
            continue;
        do /* not more than the server's memory holds at once */
            tw_exchange_stats_get(it.exchange, &stats);
        while (stats.messages < (uint64_t)i + 1 + BEFORE);
    }
    tw_update update = book_at(&it, 10 + UPDATES);
    assert_decimal(update.order_book->bids[0].amount, "6");
    assert_decimal(update.order_book->bids[1].price, "98"); /* was in none of the updates: it came with the resend */
    assert_decimal(update.order_book->asks[0].price, "101");
    tw_exchange_stats_get(it.exchange, &stats);
    assert_true(stats.overruns >= 1);
    assert_int_equal(stats.gaps, 0);
    close_rig(&it);
}

static void trades_alone_are_said_to_be_well_again(void **state)
{
    static rig it;
    (void)state;
    open_rig(&it);
    assert_int_equal(tw_watch_trades(it.exchange, "BTC/USDT"), TW_ERROR_NONE);
    assert_true(twt_venue_expect(&it.venue, "SUBSCRIBE"));
    say_trade(&it, 1, "100", "1", T0);
    next_of(it.exchange, TW_UPDATE_TRADES);
    twt_venue_cut(&it.venue);
    assert_int_equal(trouble_of(&it).error, TW_ERROR_NETWORK_ERROR);
    assert_true(twt_venue_expect(&it.venue, "SUBSCRIBE"));
    say_trade(&it, 2, "100", "1", T0);
    tw_update update = next_of(it.exchange, TW_UPDATE_STATUS);
    assert_int_equal(update.state, TW_STATE_OK);
    assert_int_equal(update.error, TW_ERROR_NONE);
    update = next_of(it.exchange, TW_UPDATE_TRADES);
    assert_string_equal(update.trades[0].id, "2");
    close_rig(&it);
}

static void a_stream_that_cannot_be_reached_is_told(void **state)
{
    static rig it;
    tw_update update;
    (void)state;
    twt_venue_open(&it.venue);
    twt_venue_rule(&it.venue, "/exchangeInfo", 200, "", MARKETS);
    tw_exchange_config config = {.id = "binance",
                                 .rest_url = it.venue.url,
                                 .stream_url = "ws://127.0.0.1:1/stream",
                                 .proxy = "none",
                                 .no_rate_limit = 1};
    assert_int_equal(tw_exchange_open(&config, &it.exchange), TW_ERROR_NONE);
    assert_int_equal(tw_watch_trades(it.exchange, "BTC/USDT"), TW_ERROR_NONE);
    update = trouble_of(&it);
    assert_int_equal(update.error, TW_ERROR_NETWORK_ERROR);
    assert_string_equal(update.symbol, "BTC/USDT");
    while (tw_exchange_wait(it.exchange, 1500 * TWI_NS_PER_MS, &update) == TW_ERROR_NONE) {
    }
    assert_int_equal(tw_exchange_error()->error, TW_ERROR_REQUEST_TIMEOUT);
    assert_non_null(strstr(tw_exchange_error()->text, "the stream is not up: "));
    close_rig(&it);
}

static void unwatching_ends_what_is_not_needed_any_more(void **state)
{
    static rig it;
    tw_update update;
    (void)state;
    open_rig(&it);
    assert_int_equal(tw_exchange_wait(it.exchange, 0, &update), TW_ERROR_EXCHANGE_ERROR);
    assert_int_equal(tw_watch_trades(it.exchange, "BTC/USDT"), TW_ERROR_NONE);
    assert_int_equal(tw_watch_ohlcv(it.exchange, "BTC/USDT", "1m"), TW_ERROR_NONE);
    assert_int_equal(tw_watch_trades(it.exchange, "ETH/USDT"), TW_ERROR_NONE);
    assert_true(twt_venue_expect(&it.venue, "ethusdt@trade"));
    assert_int_equal(tw_unwatch_trades(it.exchange, "BTC/USDT"), TW_ERROR_NONE); /* the candles still need them */
    say_trade(&it, 1, "100", "1", T0);
    update = next_of(it.exchange, TW_UPDATE_OHLCV);
    assert_int_equal(tw_unwatch_trades(it.exchange, "BTC/USDT"), TW_ERROR_BAD_SYMBOL);
    assert_int_equal(tw_unwatch_ohlcv(it.exchange, "BTC/USDT", "5m"), TW_ERROR_BAD_SYMBOL);
    assert_int_equal(tw_unwatch_ohlcv(it.exchange, "BTC/USDT", "1m"), TW_ERROR_NONE);
    assert_true(twt_venue_expect(&it.venue, "UNSUBSCRIBE\",\"params\":[\"btcusdt@trade\"]"));
    assert_int_equal(tw_watch_trades(it.exchange, "BTC/USDT"), TW_ERROR_NONE);
    assert_true(twt_venue_expect(&it.venue, "SUBSCRIBE\",\"params\":[\"btcusdt@trade\"]"));
    say_trade(&it, 2, "100", "1", T0);
    update = next_of(it.exchange, TW_UPDATE_TRADES);
    assert_string_equal(update.trades[0].id, "2");
    close_rig(&it);
}

static void tickers_join_quote_and_last_price(void **state)
{
    static rig it;
    (void)state;
    open_rig(&it);
    assert_int_equal(tw_watch_ticker(it.exchange, "BTC/USDT"), TW_ERROR_NONE);
    assert_true(twt_venue_expect(&it.venue, "btcusdt@bookTicker"));
    twt_venue_say(&it.venue,
                  "{\"stream\":\"btcusdt@bookTicker\",\"data\":{\"u\":5,\"s\":\"BTCUSDT\",\"b\":\"99.9\",\"B\":"
                  "\"3\",\"a\":\"100.1\",\"A\":\"4\"}}");
    tw_update update = next_of(it.exchange, TW_UPDATE_TICKER);
    assert_decimal(update.ticker->bid, "99.9");
    assert_decimal(update.ticker->ask_volume, "4");
    assert_int_equal(update.ticker->given & 1u << TW_TICKER_LAST, 0);
    say_trade(&it, 1, "100", "1", T0);
    update = next_of(it.exchange, TW_UPDATE_TICKER);
    assert_decimal(update.ticker->last, "100");
    assert_decimal(update.ticker->bid, "99.9");
    close_rig(&it);
}

static void candles_say_from_when_on_they_are_whole(void **state)
{
    static rig it;
    int64_t minute_ns = 60 * TWI_NS_PER_S, open_ns = T0 * TWI_NS_PER_MS / minute_ns * minute_ns;
    (void)state;
    open_rig(&it);
    assert_int_equal(tw_watch_ohlcv(it.exchange, "BTC/USDT", "3m"), TW_ERROR_NOT_SUPPORTED);
    assert_int_equal(tw_watch_ohlcv(it.exchange, "BTC/USDT", "1m"), TW_ERROR_NONE);
    assert_true(twt_venue_expect(&it.venue, "btcusdt@trade"));
    say_trade(&it, 1, "100", "1", T0);
    tw_update update = next_of(it.exchange, TW_UPDATE_OHLCV);
    assert_string_equal(update.timeframe, "1m");
    assert_int_equal(update.count, 1);
    assert_int_equal(update.candles[0].timestamp_ns, open_ns);
    assert_int_equal(update.complete_from_ns, open_ns + minute_ns);
    say_trade(&it, 2, "90.5", "0.5", T0 + 60000);
    update = next_of(it.exchange, TW_UPDATE_OHLCV);
    while (update.candles[update.count - 1].timestamp_ns < open_ns + minute_ns)
        update = next_of(it.exchange, TW_UPDATE_OHLCV);
    assert_decimal(update.candles[update.count - 1].low, "90.5");
    assert_decimal(update.candles[update.count - 1].volume, "0.5");
    close_rig(&it);
}

/* ---- opening ---- */

static void impossible_configurations_are_refused_with_a_remedy(void **state)
{
    tw_exchange *exchange = (tw_exchange *)1;
    (void)state;
    assert_int_equal(tw_exchange_open(&(tw_exchange_config){.id = "mtgox"}, &exchange), TW_ERROR_NOT_SUPPORTED);
    assert_null(exchange);
    assert_non_null(strstr(tw_exchange_error()->text, "binance"));
    assert_int_equal(tw_exchange_open(&(tw_exchange_config){0}, &exchange), TW_ERROR_NOT_SUPPORTED);
    assert_int_equal(tw_exchange_open(&(tw_exchange_config){.id = "kraken", .sandbox = 1}, &exchange),
                     TW_ERROR_NOT_SUPPORTED);
    assert_int_equal(tw_exchange_open(&(tw_exchange_config){.id = "kraken", .ring_slots = 100}, &exchange),
                     TW_ERROR_BAD_REQUEST);
    assert_int_equal(tw_exchange_open(&(tw_exchange_config){.id = "bitmex", .sandbox = 1}, &exchange), TW_ERROR_NONE);
    tw_exchange_description it;
    tw_exchange_describe(exchange, &it);
    assert_string_equal(it.rest_url, "https://testnet.bitmex.com");
    assert_string_equal(it.id, "bitmex");
    assert_true((it.has & TW_HAS_FETCH_OHLCV) != 0);
    int watchable = 0;
    assert_string_equal(tw_exchange_timeframe(exchange, 0, &watchable), "1m");
    assert_int_equal(watchable, 1);
    assert_null(tw_exchange_timeframe(exchange, 4, NULL));
    tw_exchange_close(exchange);
    tw_exchange_close(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(markets_are_loaded_once_and_found_by_symbol_and_id),
        cmocka_unit_test(fetches_ask_and_read),
        cmocka_unit_test(refusals_have_ccxts_classes),
        cmocka_unit_test(a_pause_that_the_venue_asks_for_is_kept),
        cmocka_unit_test(requests_keep_the_venues_distance),
        cmocka_unit_test(silence_and_absence_are_told_apart),
        cmocka_unit_test(threads_fetch_side_by_side),
        cmocka_unit_test(trades_come_with_ids_sides_and_costs),
        cmocka_unit_test(what_comes_between_two_waits_is_collected),
        cmocka_unit_test(a_fetched_book_is_joined_with_the_stream),
        cmocka_unit_test(a_gap_is_told_and_mended),
        cmocka_unit_test(after_a_cut_the_stream_comes_back),
        cmocka_unit_test(trades_alone_are_said_to_be_well_again),
        cmocka_unit_test(a_stream_that_cannot_be_reached_is_told),
        cmocka_unit_test(unwatching_ends_what_is_not_needed_any_more),
        cmocka_unit_test(tickers_join_quote_and_last_price),
        cmocka_unit_test(candles_say_from_when_on_they_are_whole),
        cmocka_unit_test(a_reader_that_is_overtaken_gets_its_book_anew),
        cmocka_unit_test(impossible_configurations_are_refused_with_a_remedy),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
