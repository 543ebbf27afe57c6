/* venue_samples.c - see venue_samples.h. The forms are those of the venues' documentation. */
#include "bench/venue_samples.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "engine/base/compiler.h"

enum {
    STEPS = 1536,
    SNAPSHOT_LEVELS = 500,
    DELTA_LEVELS_MAX = 12, /* per side */
    KINDS = 3,
    CENTS = 100,
    TIME_BYTES_MAX = 40
};
#define START_NS INT64_C(1732161206123000000)

typedef struct text {
    char *out;
    size_t len, cap;
} text;

/* How a venue writes the two lists of a book message. */
typedef struct book_form {
    const char *bids, *asks;              /* the names with all that stands before the first level */
    const char *before, *between, *after; /* around price and amount of a level */
    const char *padding;                  /* zeros that the venue writes behind the two decimals of a price */
    bool asks_first;
} book_form;

typedef struct twb_sample_venue {
    const char *name, *url;
    const char *http_url; /* of the snapshot; NULL: it comes in the stream */
    void (*trade)(twb_sampler *it, text *to);
    void (*quote)(twb_sampler *it, text *to);
    void (*book)(twb_sampler *it, text *to, bool snapshot);
} twb_sample_venue;

TWI_PRINTF(2, 3) static void put(text *to, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    int len = vsnprintf(to->out + to->len, to->cap - to->len, format, arguments);
    va_end(arguments);
    if (len > 0)
        to->len += (size_t)len < to->cap - to->len ? (size_t)len : to->cap - to->len - 1;
}

static uint32_t random_below(twb_sampler *it, uint32_t limit)
{
    it->random = it->random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (uint32_t)((it->random >> 33) % limit);
}

static bool coin(twb_sampler *it)
{
    return random_below(it, 2) == 1;
}

static void put_price(text *to, int64_t cents, const char *padding)
{
    put(to, "%" PRId64 ".%02" PRId64 "%s", cents / CENTS, cents % CENTS, padding);
}

/* A trade is near the best levels, which stay where they are: so no book is ever crossed. */
static int64_t trade_price(twb_sampler *it)
{
    return it->price + (int64_t)random_below(it, 401) - 200;
}

static void put_amount(twb_sampler *it, text *to)
{
    put(to, "%" PRIu32 ".%08" PRIu32, random_below(it, 4), random_below(it, 100000) * 1000 + 1000);
}

static void put_level(twb_sampler *it, text *to, const book_form *form, int64_t cents, bool removed)
{
    put(to, "%s", form->before);
    put_price(to, cents, form->padding);
    put(to, "%s", form->between);
    if (removed)
        put(to, "0.00000000");
    else
        put_amount(it, to);
    put(to, "%s", form->after);
}

static void put_side(twb_sampler *it, text *to, const book_form *form, bool asks, bool snapshot)
{
    uint32_t count = snapshot ? SNAPSHOT_LEVELS : random_below(it, DELTA_LEVELS_MAX);
    put(to, "%s", asks ? form->asks : form->bids);
    for (uint32_t i = 0; i < count; i++) {
        int64_t depth = snapshot ? (int64_t)i * 3 : (int64_t)random_below(it, 40) * random_below(it, 40);
        int64_t cents = asks ? it->price + 1 + depth : it->price - depth;
        put(to, "%s", i == 0 ? "" : ",");
        put_level(it, to, form, cents, !snapshot && depth > 0 && random_below(it, 3) == 0);
    }
    put(to, "]");
}

static void put_sides(twb_sampler *it, text *to, const book_form *form, bool snapshot)
{
    put_side(it, to, form, form->asks_first, snapshot);
    put(to, ",");
    put_side(it, to, form, !form->asks_first, snapshot);
}

static int64_t time_ms(const twb_sampler *it)
{
    return it->time_ns / 1000000;
}

static void put_iso(const twb_sampler *it, text *to)
{
    char date[TIME_BYTES_MAX];
    time_t seconds = (time_t)(it->time_ns / 1000000000);
    struct tm parts;
    gmtime_r(&seconds, &parts);
    strftime(date, sizeof(date), "%Y-%m-%dT%H:%M:%S", &parts);
    put(to, "%s.%06dZ", date, (int)(it->time_ns % 1000000000 / 1000));
}

/* ---- Binance ---- */

static void binance_trade(twb_sampler *it, text *to)
{
    put(to,
        "{\"stream\":\"btcusdt@trade\",\"data\":{\"e\":\"trade\",\"E\":%" PRId64 ",\"s\":\"BTCUSDT\",\"t\":%" PRIu64,
        time_ms(it) + 1, ++it->trade_id);
    put(to, ",\"p\":\"");
    put_price(to, trade_price(it), "000000");
    put(to, "\",\"q\":\"");
    put_amount(it, to);
    put(to, "\",\"T\":%" PRId64 ",\"m\":%s,\"M\":true}}", time_ms(it), coin(it) ? "true" : "false");
}

static void binance_quote(twb_sampler *it, text *to)
{
    put(to, "{\"stream\":\"btcusdt@bookTicker\",\"data\":{\"u\":%" PRIu64 ",\"s\":\"BTCUSDT\",\"b\":\"", it->seq);
    put_price(to, it->price, "000000");
    put(to, "\",\"B\":\"");
    put_amount(it, to);
    put(to, "\",\"a\":\"");
    put_price(to, it->price + 1, "000000");
    put(to, "\",\"A\":\"");
    put_amount(it, to);
    put(to, "\"}}");
}

static void binance_book(twb_sampler *it, text *to, bool snapshot)
{
    static const book_form delta = {"\"b\":[", "\"a\":[", "[\"", "\",\"", "\"]", "000000", false};
    static const book_form whole = {"\"bids\":[", "\"asks\":[", "[\"", "\",\"", "\"]", "000000", false};
    if (snapshot) {
        put(to, "{\"lastUpdateId\":%" PRIu64 ",", it->seq);
        put_sides(it, to, &whole, true);
        put(to, "}");
        return;
    }
    uint64_t first = it->seq + 1;
    it->seq += 1 + random_below(it, 40);
    put(to, "{\"stream\":\"btcusdt@depth@100ms\",\"data\":{\"e\":\"depthUpdate\",\"E\":%" PRId64, time_ms(it));
    put(to, ",\"s\":\"BTCUSDT\",\"U\":%" PRIu64 ",\"u\":%" PRIu64 ",", first, it->seq);
    put_sides(it, to, &delta, false);
    put(to, "}}");
}

/* ---- OKX ---- */

static void okx_trade(twb_sampler *it, text *to)
{
    put(to, "{\"arg\":{\"channel\":\"trades\",\"instId\":\"BTC-USDT\"},\"data\":[{\"instId\":\"BTC-USDT\"");
    put(to, ",\"tradeId\":\"%" PRIu64 "\",\"px\":\"", ++it->trade_id);
    put_price(to, trade_price(it), "");
    put(to, "\",\"sz\":\"");
    put_amount(it, to);
    put(to, "\",\"side\":\"%s\",\"ts\":\"%" PRId64 "\"}]}", coin(it) ? "buy" : "sell", time_ms(it));
}

static void okx_quote(twb_sampler *it, text *to)
{
    put(to,
        "{\"arg\":{\"channel\":\"tickers\",\"instId\":\"BTC-USDT\"},\"data\":[{\"instType\":\"SPOT\",\"instId\":\"BTC-"
        "USDT\",\"last\":\"");
    put_price(to, it->price, "");
    put(to, "\",\"lastSz\":\"0.0012\",\"askPx\":\"");
    put_price(to, it->price + 1, "");
    put(to, "\",\"askSz\":\"");
    put_amount(it, to);
    put(to, "\",\"bidPx\":\"");
    put_price(to, it->price, "");
    put(to, "\",\"bidSz\":\"");
    put_amount(it, to);
    put(to,
        "\",\"open24h\":\"97000.1\",\"high24h\":\"98888\",\"low24h\":\"96200.4\",\"sodUtc0\":\"97500\",\"sodUtc8\":"
        "\"97250.3\",\"volCcy24h\":\"812345678.1234\",\"vol24h\":\"8345.123456\",\"ts\":\"%" PRId64 "\"}]}",
        time_ms(it));
}

static void okx_book(twb_sampler *it, text *to, bool snapshot)
{
    static const book_form form = {"\"bids\":[", "\"asks\":[", "[\"", "\",\"", "\",\"0\",\"3\"]", "", true};
    int64_t before = snapshot ? -1 : (int64_t)it->seq;
    it->seq += 1 + random_below(it, 40);
    put(to, "{\"arg\":{\"channel\":\"books\",\"instId\":\"BTC-USDT\"},\"action\":\"%s\",\"data\":[{",
        snapshot ? "snapshot" : "update");
    put_sides(it, to, &form, snapshot);
    put(to, ",\"ts\":\"%" PRId64 "\",\"checksum\":0,\"seqId\":%" PRIu64 ",\"prevSeqId\":%" PRId64 "}]}", time_ms(it),
        it->seq, before);
}

/* ---- Bybit ---- */

static void bybit_trade(twb_sampler *it, text *to)
{
    put(to, "{\"topic\":\"publicTrade.BTCUSDT\",\"type\":\"snapshot\",\"ts\":%" PRId64 ",\"data\":[{\"T\":%" PRId64,
        time_ms(it) + 1, time_ms(it));
    put(to, ",\"s\":\"BTCUSDT\",\"S\":\"%s\",\"v\":\"", coin(it) ? "Buy" : "Sell");
    put_amount(it, to);
    put(to, "\",\"p\":\"");
    put_price(to, trade_price(it), "");
    put(to, "\",\"L\":\"PlusTick\",\"i\":\"%08" PRIx32 "-82bc-50de-be60-%012" PRIx64 "\",\"BT\":false,\"RPI\":false",
        random_below(it, 1u << 31), ++it->trade_id);
    put(to, ",\"seq\":%" PRIu64 "}]}", it->trade_id * 7);
}

static void bybit_book(twb_sampler *it, text *to, bool snapshot)
{
    static const book_form form = {"\"b\":[", "\"a\":[", "[\"", "\",\"", "\"]", "", false};
    it->seq++;
    put(to, "{\"topic\":\"orderbook.200.BTCUSDT\",\"type\":\"%s\",\"ts\":%" PRId64 ",\"data\":{\"s\":\"BTCUSDT\",",
        snapshot ? "snapshot" : "delta", time_ms(it));
    put_sides(it, to, &form, snapshot);
    put(to, ",\"u\":%" PRIu64 ",\"seq\":%" PRIu64 "},\"cts\":%" PRId64 "}", it->seq, it->seq * 5, time_ms(it) - 1);
}

/* ---- Coinbase Exchange ---- */

static void coinbase_trade(twb_sampler *it, text *to)
{
    put(to, "{\"type\":\"match\",\"trade_id\":%" PRIu64 ",\"maker_order_id\":\"2a0da34e-61f7-4c36-88e5-c9dd15927b16\"",
        ++it->trade_id);
    put(to, ",\"taker_order_id\":\"3c82abaa-c01e-4608-be59-6a1e69742891\",\"side\":\"%s\",\"size\":\"",
        coin(it) ? "buy" : "sell");
    put_amount(it, to);
    put(to, "\",\"price\":\"");
    put_price(to, trade_price(it), "");
    put(to, "\",\"product_id\":\"BTC-USD\",\"sequence\":%" PRIu64 ",\"time\":\"", it->trade_id * 9);
    put_iso(it, to);
    put(to, "\"}");
}

static void coinbase_quote(twb_sampler *it, text *to)
{
    put(to, "{\"type\":\"ticker\",\"sequence\":%" PRIu64 ",\"product_id\":\"BTC-USD\",\"price\":\"", it->trade_id * 9);
    put_price(to, it->price, "");
    put(to,
        "\",\"open_24h\":\"97000.11\",\"volume_24h\":\"9438.28000000\",\"low_24h\":\"96200.4\",\"high_24h\":\"98888\""
        ",\"volume_30d\":\"229557.57000000\",\"best_bid\":\"");
    put_price(to, it->price, "");
    put(to, "\",\"best_ask\":\"");
    put_price(to, it->price + 1, "");
    put(to, "\",\"side\":\"buy\",\"time\":\"");
    put_iso(it, to);
    put(to, "\",\"trade_id\":%" PRIu64 ",\"last_size\":\"0.04\"}", it->trade_id);
}

static void coinbase_book(twb_sampler *it, text *to, bool snapshot)
{
    static const book_form form = {"\"bids\":[", "\"asks\":[", "[\"", "\",\"", "\"]", "", true};
    if (snapshot) {
        put(to, "{\"type\":\"snapshot\",\"product_id\":\"BTC-USD\",");
        put_sides(it, to, &form, true);
        put(to, "}");
        return;
    }
    uint32_t count = 1 + random_below(it, DELTA_LEVELS_MAX);
    put(to, "{\"type\":\"l2update\",\"product_id\":\"BTC-USD\",\"changes\":[");
    for (uint32_t i = 0; i < count; i++) {
        bool sell = coin(it);
        int64_t depth = random_below(it, 1600);
        put(to, "%s[\"%s\",\"", i == 0 ? "" : ",", sell ? "sell" : "buy");
        put_price(to, sell ? it->price + 1 + depth : it->price - depth, "");
        put(to, "\",\"");
        put_amount(it, to);
        put(to, "\"]");
    }
    put(to, "],\"time\":\"");
    put_iso(it, to);
    put(to, "\"}");
}

/* ---- Kraken v2 ---- */

static void kraken_trade(twb_sampler *it, text *to)
{
    put(to, "{\"channel\":\"trade\",\"type\":\"update\",\"data\":[{\"symbol\":\"BTC/USD\",\"side\":\"%s\",\"price\":",
        coin(it) ? "buy" : "sell");
    put_price(to, trade_price(it), "");
    put(to, ",\"qty\":");
    put_amount(it, to);
    put(to, ",\"ord_type\":\"market\",\"trade_id\":%" PRIu64 ",\"timestamp\":\"", ++it->trade_id);
    put_iso(it, to);
    put(to, "\"}]}");
}

static void kraken_quote(twb_sampler *it, text *to)
{
    put(to, "{\"channel\":\"ticker\",\"type\":\"update\",\"data\":[{\"symbol\":\"BTC/USD\",\"bid\":");
    put_price(to, it->price, "");
    put(to, ",\"bid_qty\":");
    put_amount(it, to);
    put(to, ",\"ask\":");
    put_price(to, it->price + 1, "");
    put(to, ",\"ask_qty\":");
    put_amount(it, to);
    put(to, ",\"last\":97500.10,\"volume\":1834.12345678,\"vwap\":97012.3,\"low\":96200.4,\"high\":98888.0,\"change\":"
            "512.3,\"change_pct\":0.53,\"timestamp\":\"");
    put_iso(it, to);
    put(to, "\"}]}");
}

static void kraken_book(twb_sampler *it, text *to, bool snapshot)
{
    static const book_form form = {"\"bids\":[", "\"asks\":[", "{\"price\":", ",\"qty\":", "}", "", false};
    put(to, "{\"channel\":\"book\",\"type\":\"%s\",\"data\":[{\"symbol\":\"BTC/USD\",",
        snapshot ? "snapshot" : "update");
    put_sides(it, to, &form, snapshot);
    put(to, ",\"checksum\":%" PRIu32 ",\"timestamp\":\"", random_below(it, 1u << 31));
    put_iso(it, to);
    put(to, "\"}]}");
}

static const twb_sample_venue VENUES[] = {
    {"binance", "wss://stream.binance.com:9443/stream",
     "https://api.binance.com/api/v3/depth?symbol=BTCUSDT&limit=5000", binance_trade, binance_quote, binance_book},
    {"okx", "wss://ws.okx.com:8443/ws/v5/public", NULL, okx_trade, okx_quote, okx_book},
    {"bybit", "wss://stream.bybit.com/v5/public/spot", NULL, bybit_trade, NULL, bybit_book},
    {"coinbaseexchange", "wss://ws-feed.exchange.coinbase.com", NULL, coinbase_trade, coinbase_quote, coinbase_book},
    {"kraken", "wss://ws.kraken.com/v2", NULL, kraken_trade, kraken_quote, kraken_book},
};

/* ---- the sequence of frames ---- */

bool twb_sampler_open(twb_sampler *sampler, const char *name)
{
    *sampler = (twb_sampler){.random = 1, .price = 9750000, .seq = 50093239202, .trade_id = 3735683259};
    sampler->time_ns = START_NS;
    for (size_t i = 0; i < sizeof(VENUES) / sizeof(VENUES[0]); i++) {
        if (strcmp(VENUES[i].name, name) == 0)
            sampler->venue = &VENUES[i];
    }
    return sampler->venue != NULL;
}

static void write_message(twb_sampler *sampler, text *to)
{
    const twb_sample_venue *venue = sampler->venue;
    uint32_t kind = sampler->step == 1 ? 0 : sampler->step % KINDS;
    if (kind == 0)
        venue->book(sampler, to, sampler->step == 1);
    else if (kind == 1 && venue->quote != NULL)
        venue->quote(sampler, to);
    else
        venue->trade(sampler, to);
}

bool twb_sampler_next(twb_sampler *sampler, uint8_t *out, size_t out_cap, twi_frame *frame)
{
    const twb_sample_venue *venue = sampler->venue;
    text to = {.out = (char *)out, .cap = out_cap};
    if (sampler->step > STEPS)
        return false;
    sampler->time_ns += 1000000 + (int64_t)random_below(sampler, 30000000);
    *frame = (twi_frame){.recv_ns = sampler->time_ns + 3000000, .bytes = out, .url = venue->url};
    frame->kind = sampler->step == 0 ? TWI_FRAME_CONNECT : TWI_FRAME_RECV;
    if (sampler->step == 1 && venue->http_url != NULL) {
        frame->kind = TWI_FRAME_HTTP;
        frame->url = venue->http_url;
    }
    frame->url_len = strlen(frame->url);
    if (sampler->step > 0)
        write_message(sampler, &to);
    frame->bytes_len = to.len;
    sampler->step++;
    return true;
}
