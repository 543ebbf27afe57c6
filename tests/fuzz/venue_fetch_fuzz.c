/* venue_fetch_fuzz.c - any bytes as the REST answer of any venue: a result, never a crash, and what comes out keeps the
 * promises of fetch.h (order, limits, no more rows than places).
 *
 * Input:    the number of the venue as a letter ('a' ..), the kind as a digit, then the body. */
#include <stdint.h>
#include <string.h>

#include "engine/base/assert.h"
#include "feed/fetch.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { HEAD_BYTES = 2, ROWS = 8 };

static void check_book(const tw_order_book *book)
{
    TWI_ASSERT(book->bid_count <= ROWS && book->ask_count <= ROWS);
    for (uint32_t i = 1; i < book->bid_count; i++)
        TWI_ASSERT(tw_decimal_compare(book->bids[i - 1].price, book->bids[i].price) >= 0);
    for (uint32_t i = 1; i < book->ask_count; i++)
        TWI_ASSERT(tw_decimal_compare(book->asks[i - 1].price, book->asks[i].price) <= 0);
}

static void read_answer(const twi_fetch *fetch, twi_fetch_kind kind, const twi_fetch_query *query, const uint8_t *body,
                        size_t len)
{
    tw_book_level bids[ROWS], asks[ROWS];
    tw_order_book book = {.bids = bids, .asks = asks, .level_count_max = ROWS};
    tw_trade trades[ROWS];
    tw_ohlcv candles[ROWS];
    tw_ticker ticker;
    uint32_t count = 0;
    switch (kind) {
    case TWI_FETCH_TICKER:
        twi_fetch_ticker(fetch, query, body, len, &ticker);
        break;
    case TWI_FETCH_ORDER_BOOK:
        if (twi_fetch_order_book(fetch, query, body, len, &book) == TW_ERROR_NONE)
            check_book(&book);
        break;
    case TWI_FETCH_TRADES:
        twi_fetch_trades(fetch, query, body, len, trades, ROWS, &count);
        break;
    default:
        twi_fetch_ohlcv(fetch, query, body, len, candles, ROWS, &count);
        break;
    }
    TWI_ASSERT(count <= ROWS);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const tw_market markets[] = {
        {.symbol = "BTC/USDT", .id = "BTCUSDT", .base = "BTC", .quote = "USDT"},
        {.symbol = "BTC/USD:BTC", .id = "BTCUSD", .type = TW_MARKET_SWAP, .inverse = 1, .contract_size = {10, 0}}};
    char text[64];
    if (size < HEAD_BYTES)
        return 0;
    const tw_feed_ops *feed = tw_feed_at((uint32_t)(data[0] - 'a') % 16);
    const twi_fetch *fetch = twi_fetch_find(feed->name);
    TWI_ASSERT(fetch != NULL);
    for (unsigned i = 0; i < 4; i++) {
        twi_fetch_query query = {.market = &markets[i & 1],
                                 .timeframe = "1m",
                                 .since_ns = (i & 2) != 0 ? INT64_C(1600000000000000000) : 0,
                                 .now_ns = INT64_C(1700000000000000000),
                                 .limit = i + 2};
        read_answer(fetch, data[1] % TWI_FETCH_KIND_COUNT, &query, data + HEAD_BYTES, size - HEAD_BYTES);
    }
    tw_error_class error = twi_fetch_error(fetch, 200, data + HEAD_BYTES, size - HEAD_BYTES, text, sizeof(text));
    TWI_ASSERT(memchr(text, 0, sizeof(text)) != NULL && (unsigned)error < TW_ERROR_CLASS_COUNT);
    return 0;
}
