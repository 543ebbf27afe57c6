/* coinbase_exchange_fetch.c - Coinbase Exchange over REST.
 *
 * Quirks:   a trade's side is the maker's; candles are [time, low, high, open, close, volume], newest first, at most
 *           300, and a range needs both ends; trades cannot be asked from a time on (the newest 1000 are).
 * Source:   docs.cdp.coinbase.com/exchange/reference. */
#include "feed/fetch.h"
#include "feed/times.h"

static const twi_fetch_field TICKER[] = {TWI_AT_AS("time", TWI_TO_TIME, TWI_AS_ISO),
                                         TWI_AT("bid", TW_TICKER_BID),
                                         TWI_AT("ask", TW_TICKER_ASK),
                                         TWI_AT("price", TW_TICKER_LAST),
                                         TWI_AT("volume", TW_TICKER_BASE_VOLUME),
                                         {0}};
static const twi_fetch_field BOOK[] = {
    TWI_AT("sequence", TWI_TO_NONCE), TWI_AT_AS("time", TWI_TO_TIME, TWI_AS_ISO), {0}};
static const twi_fetch_field LEVEL[] = {TWI_AT("0", TWI_TO_PRICE), TWI_AT("1", TWI_TO_AMOUNT), {0}};
static const twi_fetch_field TRADE[] = {TWI_AT_AS("time", TWI_TO_TIME, TWI_AS_ISO),
                                        TWI_AT("trade_id", TWI_TO_ID),
                                        TWI_AT("price", TWI_TO_PRICE),
                                        TWI_AT("size", TWI_TO_AMOUNT),
                                        TWI_AT_AS("side", TWI_TO_SIDE, TWI_AS_MAKER),
                                        {0}};
static const twi_fetch_field CANDLE[] = {TWI_AT_AS("0", TWI_TO_TIME, TWI_AS_S),
                                         TWI_AT("1", TWI_TO_LOW),
                                         TWI_AT("2", TWI_TO_HIGH),
                                         TWI_AT("3", TWI_TO_OPEN),
                                         TWI_AT("4", TWI_TO_CLOSE),
                                         TWI_AT("5", TWI_TO_VOLUME),
                                         {0}};
static const twi_fetch_timeframe TIMEFRAMES[] = {{"1m", "60", 60},
                                                 {"5m", "300", 300},
                                                 {"15m", "900", 900},
                                                 {"1h", "3600", 3600},
                                                 {"6h", "21600", 21600},
                                                 {"1d", "86400", 86400},
                                                 {0}};
static const twi_fetch_field ERROR_FIELDS[] = {TWI_AT("message", TWI_TO_TEXT), {0}};
static const twi_fetch_error_rule ERRORS[] = {{NULL, "NotFound", TW_ERROR_BAD_SYMBOL},
                                              {NULL, "rate limit", TW_ERROR_RATE_LIMIT_EXCEEDED},
                                              {NULL, "maintenance", TW_ERROR_ON_MAINTENANCE},
                                              {NULL, "granularity", TW_ERROR_BAD_REQUEST},
                                              {NULL, "Invalid API Key", TW_ERROR_AUTHENTICATION_ERROR},
                                              {NULL, "signature", TW_ERROR_AUTHENTICATION_ERROR},
                                              {NULL, "Forbidden", TW_ERROR_PERMISSION_DENIED},
                                              {NULL, "invalid", TW_ERROR_BAD_REQUEST},
                                              {NULL, NULL, TW_ERROR_NONE}};
static const twi_fetch_status_rule STATUSES[] = {{400, TW_ERROR_BAD_REQUEST}, {0}};

const twi_fetch twi_fetch_coinbase_exchange = {
    .name = "coinbaseexchange",
    .rest_url = "https://api.exchange.coinbase.com",
    .sandbox_rest_url = "https://api-public.sandbox.exchange.coinbase.com",
    .sandbox_stream_url = "wss://ws-feed-public.sandbox.exchange.coinbase.com",
    .request_gap_ns = 125 * TWI_NS_PER_MS,
    .timeframes = TIMEFRAMES,
    .calls = {[TWI_FETCH_TICKER] = {.path = "/products/{id}/ticker", .fields = TICKER},
              [TWI_FETCH_ORDER_BOOK] = {.path = "/products/{id}/book?level=2",
                                        .rows = "bids.#",
                                        .ask_rows = "asks.#",
                                        .fields = BOOK,
                                        .row = LEVEL},
              [TWI_FETCH_TRADES] = {.path = "/products/{id}/trades[?limit={limit}]",
                                    .flags = TWI_FETCH_NEWEST_FIRST,
                                    .limit_max = 1000,
                                    .rows = "#",
                                    .row = TRADE},
              [TWI_FETCH_OHLCV] = {.path = "/products/{id}/candles?granularity={tf}&start={from_iso}&end={until_iso}",
                                   .flags = TWI_FETCH_NEWEST_FIRST,
                                   .limit_default = 300,
                                   .limit_max = 300,
                                   .rows = "#",
                                   .row = CANDLE}},
    .error_fields = ERROR_FIELDS,
    .error_rules = ERRORS,
    .status_rules = STATUSES};
