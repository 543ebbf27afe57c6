/* venue_fetch_test.c - the REST half of every venue against vectors: the URL that a query becomes, the structures that
 * an answer becomes, the error class that a refusal becomes.
 *
 * Vectors:  tests/vectors/fetch/VENUE.txt, one line each: "market SYMBOL ID TYPE [CONTRACT_SIZE]", "ask KIND [tf=]
 *           [since=ms] [limit=]", then "url", "body", "want"; or "status", "body", "error CLASS TEXT"; "unsupported
 *           KIND tf="; "fails KIND CLASS" reads the last body. A new venue is a new file.
 * Update:   TICKWIRE_UPDATE=1 writes what came out into the "want" lines; read them before they are believed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "feed/fetch.h"
#include "feed/times.h"

enum { LINE_MAX_BYTES = 1 << 14, ROWS = 16, TEXT_BYTES = 1 << 13 };
#define NOW_NS (INT64_C(1700000000000) * TWI_NS_PER_MS)

typedef struct vector_run {
    const twi_fetch *fetch;
    const char *path;
    FILE *updated; /* NULL: compare */
    tw_market market;
    twi_fetch_query query;
    twi_fetch_kind kind;
    int status;
    char timeframe[8], body[LINE_MAX_BYTES];
    unsigned line, checks;
} vector_run;

static const char *const KINDS[TWI_FETCH_KIND_COUNT] = {"ticker", "order_book", "trades", "ohlcv"};

static void wrong(const vector_run *run, const char *what, const char *want, const char *got)
{
    print_error("%s:%u: %s\n  want %s\n  got  %s\n", run->path, run->line, what, want, got);
    fail();
}

/* ---- structures to text ---- */

static void put_decimal(twi_text *text, const char *before, tw_decimal value)
{
    char digits[TW_DECIMAL_TEXT_MAX];
    twi_text_put(text, before);
    twi_text_bytes(text, digits, tw_decimal_format(value, digits));
}

static void put_time(twi_text *text, int64_t ns)
{
    twi_text_number(text, (uint64_t)ns);
}

static void put_ticker(twi_text *text, const tw_ticker *ticker)
{
    tw_decimal value;
    twi_text_put(text, "timestamp=");
    put_time(text, ticker->timestamp_ns);
    for (unsigned field = 0; field < TW_TICKER_FIELD_COUNT; field++) {
        if (tw_ticker_get(ticker, field, &value) == 0)
            continue;
        twi_text_put(text, " ");
        twi_text_put(text, tw_ticker_field_name(field));
        put_decimal(text, "=", value);
    }
}

static void put_levels(twi_text *text, const char *name, const tw_book_level *levels, uint32_t count)
{
    twi_text_put(text, name);
    for (uint32_t i = 0; i < count; i++) {
        put_decimal(text, i == 0 ? " " : ", ", levels[i].price);
        put_decimal(text, " ", levels[i].amount);
    }
}

static tw_error_class put_answer(vector_run *run, twi_text *text)
{
    const uint8_t *body = (const uint8_t *)run->body;
    size_t len = strlen(run->body);
    tw_error_class error;
    if (run->kind == TWI_FETCH_TICKER) {
        tw_ticker ticker;
        error = twi_fetch_ticker(run->fetch, &run->query, body, len, &ticker);
        put_ticker(text, &ticker);
        return error;
    }
    if (run->kind == TWI_FETCH_ORDER_BOOK) {
        tw_book_level bids[ROWS], asks[ROWS];
        tw_order_book book = {.bids = bids, .asks = asks, .level_count_max = ROWS};
        error = twi_fetch_order_book(run->fetch, &run->query, body, len, &book);
        twi_text_put(text, "timestamp=");
        put_time(text, book.timestamp_ns);
        twi_text_put(text, " nonce=");
        twi_text_number(text, book.nonce);
        put_levels(text, " bids", bids, book.bid_count);
        put_levels(text, " asks", asks, book.ask_count);
        return error;
    }
    uint32_t count = 0;
    if (run->kind == TWI_FETCH_TRADES) {
        tw_trade trades[ROWS];
        error = twi_fetch_trades(run->fetch, &run->query, body, len, trades, ROWS, &count);
        for (uint32_t i = 0; i < count; i++) {
            twi_text_put(text, i == 0 ? "" : " | ");
            twi_text_put(text, trades[i].id);
            twi_text_put(text, " ");
            put_time(text, trades[i].timestamp_ns);
            twi_text_put(text, trades[i].side == TW_SIDE_SELL  ? " sell"
                               : trades[i].side == TW_SIDE_BUY ? " buy"
                                                               : " ?");
            put_decimal(text, " ", trades[i].price);
            put_decimal(text, " ", trades[i].amount);
            put_decimal(text, " ", trades[i].cost);
        }
        return error;
    }
    tw_ohlcv candles[ROWS];
    error = twi_fetch_ohlcv(run->fetch, &run->query, body, len, candles, ROWS, &count);
    for (uint32_t i = 0; i < count; i++) {
        twi_text_put(text, i == 0 ? "" : " | ");
        put_time(text, candles[i].timestamp_ns);
        put_decimal(text, " ", candles[i].open);
        put_decimal(text, " ", candles[i].high);
        put_decimal(text, " ", candles[i].low);
        put_decimal(text, " ", candles[i].close);
        put_decimal(text, " ", candles[i].volume);
    }
    return error;
}

/* ---- lines ---- */

static const char *word(const char **at, char *out, size_t cap)
{
    size_t len = strcspn(*at, " ");
    assert_true(len < cap);
    memcpy(out, *at, len);
    out[len] = 0;
    *at += len + ((*at)[len] == ' ');
    return out;
}

static twi_fetch_kind kind_of(const char *name)
{
    for (unsigned kind = 0; kind < TWI_FETCH_KIND_COUNT; kind++) {
        if (strcmp(KINDS[kind], name) == 0)
            return kind;
    }
    fail_msg("no such kind: %s", name);
    return TWI_FETCH_KIND_COUNT;
}

static void take_market(vector_run *run, const char *at)
{
    char type[16], size[24];
    run->market = (tw_market){.active = 1};
    word(&at, run->market.symbol, sizeof(run->market.symbol));
    word(&at, run->market.id, sizeof(run->market.id));
    word(&at, type, sizeof(type));
    twi_symbol_parts parts;
    assert_true(twi_symbol_split(run->market.symbol, strlen(run->market.symbol), &parts));
    memcpy(run->market.base, parts.base.text, parts.base.len);
    memcpy(run->market.quote, parts.quote.text, parts.quote.len);
    run->market.type = strcmp(type, "spot") == 0 ? TW_MARKET_SPOT : TW_MARKET_SWAP;
    run->market.inverse = strcmp(type, "inverse") == 0;
    run->market.linear = strcmp(type, "linear") == 0;
    if (*at != 0) {
        word(&at, size, sizeof(size));
        assert_int_equal(tw_decimal_parse(size, strlen(size), &run->market.contract_size), TW_OK);
    }
}

static void take_ask(vector_run *run, const char *at)
{
    char name[16], option[32];
    run->query = (twi_fetch_query){.market = &run->market, .now_ns = NOW_NS};
    run->kind = kind_of(word(&at, name, sizeof(name)));
    while (*at != 0) {
        word(&at, option, sizeof(option));
        const char *value = strchr(option, '=') + 1;
        if (option[0] == 't') {
            snprintf(run->timeframe, sizeof(run->timeframe), "%s", value);
            run->query.timeframe = run->timeframe;
        } else if (option[0] == 's') {
            run->query.since_ns = strtoll(value, NULL, 10) * TWI_NS_PER_MS;
        } else {
            run->query.limit = (uint32_t)strtoul(value, NULL, 10);
        }
    }
}

static void check_url(vector_run *run, const char *want)
{
    char url[1024];
    twi_text text = twi_text_over(url, sizeof(url));
    tw_error_class error = twi_fetch_url(run->fetch, run->kind, &run->query, &text);
    if (error != TW_ERROR_NONE)
        wrong(run, "url", want, tw_error_name(error));
    if (strcmp(url, want) != 0)
        wrong(run, "url", want, url);
}

static void check_want(vector_run *run, const char *want)
{
    char said[256], got[TEXT_BYTES];
    twi_text text = twi_text_over(got, sizeof(got));
    tw_error_class error =
        twi_fetch_error(run->fetch, 200, (const uint8_t *)run->body, strlen(run->body), said, sizeof(said));
    if (error == TW_ERROR_NONE)
        error = put_answer(run, &text);
    assert_true(twi_text_end(&text));
    if (error != TW_ERROR_NONE)
        wrong(run, KINDS[run->kind], want, tw_error_name(error));
    if (run->updated != NULL)
        fprintf(run->updated, "want%s%s\n", got[0] != 0 ? " " : "", got);
    else if (strcmp(got, want) != 0)
        wrong(run, KINDS[run->kind], want, got);
}

static void check_error(vector_run *run, const char *want)
{
    char said[256], got[512];
    tw_error_class error =
        twi_fetch_error(run->fetch, run->status, (const uint8_t *)run->body, strlen(run->body), said, sizeof(said));
    snprintf(got, sizeof(got), "%s%s%s", tw_error_name(error), said[0] != 0 ? " " : "", said);
    if (strcmp(got, want) != 0)
        wrong(run, "error", want, got);
}

static void check_fails(vector_run *run, const char *at)
{
    char name[16], got[TEXT_BYTES];
    twi_text text = twi_text_over(got, sizeof(got));
    run->kind = kind_of(word(&at, name, sizeof(name)));
    tw_error_class error = put_answer(run, &text);
    if (strcmp(tw_error_name(error), at) != 0)
        wrong(run, "fails", at, tw_error_name(error));
}

static void check_unsupported(vector_run *run, const char *at)
{
    char url[1024];
    twi_text text = twi_text_over(url, sizeof(url));
    take_ask(run, at);
    if (twi_fetch_url(run->fetch, run->kind, &run->query, &text) != TW_ERROR_NOT_SUPPORTED)
        wrong(run, "unsupported", "NotSupported", url);
}

static void run_line(vector_run *run, const char *line)
{
    char verb[16];
    const char *at = line;
    word(&at, verb, sizeof(verb));
    run->checks++;
    if (run->updated != NULL && strcmp(verb, "want") != 0)
        fprintf(run->updated, "%s\n", line);
    if (strcmp(verb, "market") == 0)
        take_market(run, at);
    else if (strcmp(verb, "ask") == 0)
        take_ask(run, at);
    else if (strcmp(verb, "url") == 0)
        check_url(run, at);
    else if (strcmp(verb, "body") == 0)
        snprintf(run->body, sizeof(run->body), "%s", at);
    else if (strcmp(verb, "want") == 0)
        check_want(run, at);
    else if (strcmp(verb, "status") == 0)
        run->status = (int)strtol(at, NULL, 10);
    else if (strcmp(verb, "error") == 0)
        check_error(run, at);
    else if (strcmp(verb, "fails") == 0)
        check_fails(run, at);
    else if (strcmp(verb, "unsupported") == 0)
        check_unsupported(run, at);
    else if (line[0] != 0 && line[0] != '#')
        wrong(run, "unknown verb", "", verb);
}

static unsigned run_file(const twi_fetch *fetch)
{
    static char line[LINE_MAX_BYTES];
    char path[512], fresh[520];
    snprintf(path, sizeof(path), "%s/tests/vectors/fetch/%s.txt", TWT_SOURCE_DIR, fetch->name);
    snprintf(fresh, sizeof(fresh), "%s.new", path);
    bool update = getenv("TICKWIRE_UPDATE") != NULL;
    FILE *file = fopen(path, "r");
    if (file == NULL)
        fail_msg("no vectors for %s: write %s", fetch->name, path);
    vector_run run = {.fetch = fetch, .path = path, .updated = update ? fopen(fresh, "w") : NULL};
    while (fgets(line, sizeof(line), file) != NULL) {
        run.line++;
        line[strcspn(line, "\n")] = 0;
        run_line(&run, line);
    }
    fclose(file);
    if (run.updated != NULL) {
        fclose(run.updated);
        assert_int_equal(rename(fresh, path), 0);
    }
    return run.checks;
}

static void venues_answer_as_their_vectors(void **state)
{
    (void)state;
    const tw_feed_ops *feed;
    for (uint32_t i = 0; (feed = tw_feed_at(i)) != NULL; i++) {
        const twi_fetch *fetch = twi_fetch_find(feed->name);
        assert_non_null(fetch);
        assert_true(run_file(fetch) > 3);
    }
}

static void flags_tell_what_the_tables_serve(void **state)
{
    enum { FETCH = TW_HAS_FETCH_TICKER | TW_HAS_FETCH_ORDER_BOOK | TW_HAS_FETCH_TRADES | TW_HAS_FETCH_OHLCV };
    const tw_feed_ops *feed;
    (void)state;
    for (uint32_t i = 0; (feed = tw_feed_at(i)) != NULL; i++)
        assert_int_equal(feed->has & FETCH, twi_fetch_has(twi_fetch_find(feed->name)));
    assert_null(twi_fetch_find("nowhere"));
}

/* ---- beyond the vectors ---- */

static const tw_market BTC = {.symbol = "BTC/USDT", .id = "BTCUSDT", .base = "BTC", .quote = "USDT"};

static tw_error_class read_trades(const char *body, int64_t since_ns, tw_trade *trades, uint32_t max, uint32_t *count)
{
    twi_fetch_query query = {.market = &BTC, .since_ns = since_ns, .now_ns = NOW_NS};
    return twi_fetch_trades(&twi_fetch_binance, &query, (const uint8_t *)body, strlen(body), trades, max, count);
}

static void more_rows_than_places_keep_the_right_end(void **state)
{
    static const char body[] = "[{\"id\":1,\"price\":\"1\",\"qty\":\"1\",\"time\":1600000000001,\"isBuyerMaker\":true},"
                               "{\"id\":2,\"price\":\"2\",\"qty\":\"1\",\"time\":1600000000002,\"isBuyerMaker\":true},"
                               "{\"id\":3,\"price\":\"3\",\"qty\":\"1\",\"time\":1600000000003,\"isBuyerMaker\":true},"
                               "{\"id\":4,\"price\":\"4\",\"qty\":\"1\",\"time\":1600000000004,\"isBuyerMaker\":true},"
                               "{\"id\":5,\"price\":\"5\",\"qty\":\"1\",\"time\":1600000000005,\"isBuyerMaker\":true}]";
    tw_trade trades[3];
    uint32_t count;
    (void)state;
    assert_int_equal(read_trades(body, 0, trades, 3, &count), TW_ERROR_NONE);
    assert_int_equal(count, 3);
    assert_string_equal(trades[0].id, "3");
    assert_string_equal(trades[2].id, "5");
    assert_int_equal(read_trades(body, 1600000000001 * TWI_NS_PER_MS, trades, 3, &count), TW_ERROR_NONE);
    assert_int_equal(count, 3);
    assert_string_equal(trades[0].id, "1");
    assert_string_equal(trades[2].id, "3");
    assert_int_equal(read_trades(body, 0, trades, 0, &count), TW_ERROR_NONE);
    assert_int_equal(count, 0);
}

static void what_is_not_the_format_is_a_bad_response(void **state)
{
    static const char *const bodies[] = {
        "",
        "{}",
        "[",
        "[{\"id\":1,\"price\":\"1\",\"qty\":\"1\",\"time\":16000",                                 /* cut */
        "[{\"id\":1,\"qty\":\"1\",\"time\":1600000000001,\"isBuyerMaker\":true}]",                 /* no price */
        "[{\"id\":1,\"price\":\"x\",\"qty\":\"1\",\"time\":1600000000001,\"isBuyerMaker\":true}]", /* no number */
        "[{\"id\":1,\"price\":\"1\",\"qty\":\"1\",\"isBuyerMaker\":true}]",                        /* no time */
        "[{\"price\":\"1.00000000000000000001\",\"qty\":\"1\",\"time\":1600000000001,\"isBuyerMaker\":true}]",
        "[1]"};
    tw_trade trades[4];
    uint32_t count;
    (void)state;
    for (size_t i = 0; i < sizeof(bodies) / sizeof(*bodies); i++) {
        tw_error_class error = read_trades(bodies[i], 0, trades, 4, &count);
        if (error != TW_ERROR_BAD_RESPONSE || count != 0)
            fail_msg("%s gave %s", bodies[i], tw_error_name(error));
    }
}

static void a_book_without_its_sides_is_no_empty_book(void **state)
{
    tw_book_level bids[4], asks[4];
    tw_order_book book = {.bids = bids, .asks = asks, .level_count_max = 4};
    twi_fetch_query query = {.market = &BTC, .now_ns = NOW_NS};
    (void)state;
#define READ(text) twi_fetch_order_book(&twi_fetch_binance, &query, (const uint8_t *)(text), strlen(text), &book)
    assert_int_equal(READ("{\"lastUpdateId\":1}"), TW_ERROR_BAD_RESPONSE);
    assert_int_equal(READ("{\"lastUpdateId\":1,\"bids\":[]}"), TW_ERROR_BAD_RESPONSE);
    assert_int_equal(READ("{\"lastUpdateId\":1,\"bids\":[],\"asks\":[[\"1\"]]}"), TW_ERROR_BAD_RESPONSE);
    assert_int_equal(READ("{\"lastUpdateId\":1,\"bids\":[],\"asks\":[]}"), TW_ERROR_NONE);
    assert_int_equal(book.bid_count + book.ask_count, 0);
#undef READ
}

static void names_from_the_network_stay_names_in_urls(void **state)
{
    tw_market market = {.symbol = "A/B", .id = "x&y=1/../?#\xff z"};
    twi_fetch_query query = {.market = &market, .now_ns = NOW_NS};
    char url[512];
    twi_text text = twi_text_over(url, sizeof(url));
    (void)state;
    assert_int_equal(twi_fetch_url(&twi_fetch_binance, TWI_FETCH_TICKER, &query, &text), TW_ERROR_NONE);
    assert_string_equal(url, "https://api.binance.com/api/v3/ticker/24hr?symbol=x%26y%3D1%2F..%2F%3F%23%FF%20z");
    text = twi_text_over(url, 20);
    assert_int_equal(twi_fetch_url(&twi_fetch_binance, TWI_FETCH_TICKER, &query, &text), TW_ERROR_BAD_REQUEST);
    query.rest_url = "http://127.0.0.1:9";
    market.id[1] = 0;
    text = twi_text_over(url, sizeof(url));
    assert_int_equal(twi_fetch_url(&twi_fetch_binance, TWI_FETCH_TICKER, &query, &text), TW_ERROR_NONE);
    assert_string_equal(url, "http://127.0.0.1:9/api/v3/ticker/24hr?symbol=x");
}

static void error_classes_form_ccxts_tree(void **state)
{
    (void)state;
    for (unsigned error = 1; error < TW_ERROR_CLASS_COUNT; error++) {
        assert_true(tw_error_name(error)[0] != 0);
        assert_true(tw_error_is(error, TW_ERROR_BASE_ERROR));
    }
    assert_string_equal(tw_error_name(TW_ERROR_DDOS_PROTECTION), "DDoSProtection");
    assert_true(tw_error_is(TW_ERROR_BAD_SYMBOL, TW_ERROR_BAD_REQUEST));
    assert_true(tw_error_is(TW_ERROR_ON_MAINTENANCE, TW_ERROR_NETWORK_ERROR));
    assert_true(tw_error_is(TW_ERROR_CHECKSUM_ERROR, TW_ERROR_INVALID_NONCE));
    assert_false(tw_error_is(TW_ERROR_BAD_SYMBOL, TW_ERROR_NETWORK_ERROR));
    assert_false(tw_error_is(TW_ERROR_NONE, TW_ERROR_BASE_ERROR));
    assert_false(tw_error_is((tw_error_class)1000, TW_ERROR_BASE_ERROR));
    assert_string_equal(tw_error_name((tw_error_class)-1), "");
    assert_null(tw_ticker_field_name(TW_TICKER_FIELD_COUNT));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(venues_answer_as_their_vectors),
        cmocka_unit_test(flags_tell_what_the_tables_serve),
        cmocka_unit_test(more_rows_than_places_keep_the_right_end),
        cmocka_unit_test(what_is_not_the_format_is_a_bad_response),
        cmocka_unit_test(a_book_without_its_sides_is_no_empty_book),
        cmocka_unit_test(names_from_the_network_stay_names_in_urls),
        cmocka_unit_test(error_classes_form_ccxts_tree),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
