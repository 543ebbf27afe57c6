/* okx_fetch.c - OKX v5 over REST.
 *
 * Quirks:   candles older than 1440 bars are at an endpoint of their own; "before" is exclusive; volumes of contracts
 *           are counted in contracts and, in another member, in base currency; days begin at midnight UTC only in the
 *           "utc" bars; trades cannot be asked from a time on (the newest 500 are).
 * Source:   okx.com/docs-v5, public market data. */
#include "feed/fetch.h"
#include "feed/times.h"

static const twi_fetch_field TICKER[] = {TWI_AT_AS("data.0.ts", TWI_TO_TIME, TWI_AS_MS),
                                         TWI_AT("data.0.last", TW_TICKER_LAST),
                                         TWI_AT("data.0.askPx", TW_TICKER_ASK),
                                         TWI_AT("data.0.askSz", TW_TICKER_ASK_VOLUME),
                                         TWI_AT("data.0.bidPx", TW_TICKER_BID),
                                         TWI_AT("data.0.bidSz", TW_TICKER_BID_VOLUME),
                                         TWI_AT("data.0.open24h", TW_TICKER_OPEN),
                                         TWI_AT("data.0.high24h", TW_TICKER_HIGH),
                                         TWI_AT("data.0.low24h", TW_TICKER_LOW),
                                         {"data.0.vol24h", TW_TICKER_BASE_VOLUME, TWI_AS_PLAIN, TWI_SPOT},
                                         {"data.0.volCcy24h", TW_TICKER_QUOTE_VOLUME, TWI_AS_PLAIN, TWI_SPOT},
                                         {"data.0.volCcy24h", TW_TICKER_BASE_VOLUME, TWI_AS_PLAIN, TWI_CONTRACT},
                                         {0}};
static const twi_fetch_field BOOK[] = {
    TWI_AT_AS("data.0.ts", TWI_TO_TIME, TWI_AS_MS), TWI_AT("data.0.seqId", TWI_TO_NONCE), {0}};
static const twi_fetch_field LEVEL[] = {TWI_AT("0", TWI_TO_PRICE), TWI_AT("1", TWI_TO_AMOUNT), {0}};
static const twi_fetch_field TRADE[] = {TWI_AT_AS("ts", TWI_TO_TIME, TWI_AS_MS),
                                        TWI_AT("tradeId", TWI_TO_ID),
                                        TWI_AT("px", TWI_TO_PRICE),
                                        TWI_AT("sz", TWI_TO_AMOUNT),
                                        TWI_AT("side", TWI_TO_SIDE),
                                        {0}};
static const twi_fetch_field CANDLE[] = {TWI_AT_AS("0", TWI_TO_TIME, TWI_AS_MS),
                                         TWI_AT("1", TWI_TO_OPEN),
                                         TWI_AT("2", TWI_TO_HIGH),
                                         TWI_AT("3", TWI_TO_LOW),
                                         TWI_AT("4", TWI_TO_CLOSE),
                                         {"5", TWI_TO_VOLUME, TWI_AS_PLAIN, TWI_SPOT},
                                         {"6", TWI_TO_VOLUME, TWI_AS_PLAIN, TWI_CONTRACT},
                                         {0}};
static const twi_fetch_timeframe TIMEFRAMES[] = {
    {"1m", "1m", 60},         {"3m", "3m", 180},        {"5m", "5m", 300},
    {"15m", "15m", 900},      {"30m", "30m", 1800},     {"1h", "1H", 3600},
    {"2h", "2H", 7200},       {"4h", "4H", 14400},      {"6h", "6Hutc", 21600},
    {"12h", "12Hutc", 43200}, {"1d", "1Dutc", 86400},   {"1w", "1Wutc", 604800},
    {"1M", "1Mutc", 2592000}, {"3M", "3Mutc", 7776000}, {0}};
static const twi_fetch_field ERROR_FIELDS[] = {TWI_AT("code", TWI_TO_CODE), TWI_AT("msg", TWI_TO_TEXT), {0}};
static const twi_fetch_error_rule ERRORS[] = {{"51001", NULL, TW_ERROR_BAD_SYMBOL},
                                              {"51000", "instId", TW_ERROR_BAD_SYMBOL},
                                              {"50011", NULL, TW_ERROR_RATE_LIMIT_EXCEEDED},
                                              {"50061", NULL, TW_ERROR_RATE_LIMIT_EXCEEDED},
                                              {"50001", NULL, TW_ERROR_ON_MAINTENANCE},
                                              {"50004", NULL, TW_ERROR_REQUEST_TIMEOUT},
                                              {"50013", NULL, TW_ERROR_EXCHANGE_NOT_AVAILABLE},
                                              {"50026", NULL, TW_ERROR_EXCHANGE_NOT_AVAILABLE},
                                              {"50027", NULL, TW_ERROR_PERMISSION_DENIED},
                                              {"50028", NULL, TW_ERROR_PERMISSION_DENIED},
                                              {"50030", NULL, TW_ERROR_PERMISSION_DENIED},
                                              {"50110", NULL, TW_ERROR_PERMISSION_DENIED},
                                              {"50102", NULL, TW_ERROR_INVALID_NONCE},
                                              {"50111", NULL, TW_ERROR_AUTHENTICATION_ERROR},
                                              {"50113", NULL, TW_ERROR_AUTHENTICATION_ERROR},
                                              {"50000", NULL, TW_ERROR_BAD_REQUEST},
                                              {"50002", NULL, TW_ERROR_BAD_REQUEST},
                                              {"50014", NULL, TW_ERROR_BAD_REQUEST},
                                              {"51000", NULL, TW_ERROR_BAD_REQUEST},
                                              {NULL, NULL, TW_ERROR_NONE}};
static const twi_fetch_status_rule STATUSES[] = {{400, TW_ERROR_BAD_REQUEST}, {0}};

#define CANDLES "?instId={id}&bar={tf}[&before={before_ms}&after={until_ms}][&limit={limit}]"

const twi_fetch twi_fetch_okx = {
    .name = "okx",
    .rest_url = "https://www.okx.com",
    .request_gap_ns = 110 * TWI_NS_PER_MS,
    .timeframes = TIMEFRAMES,
    .calls = {[TWI_FETCH_TICKER] = {.path = "/api/v5/market/ticker?instId={id}", .fields = TICKER},
              [TWI_FETCH_ORDER_BOOK] = {.path = "/api/v5/market/books?instId={id}[&sz={limit}]",
                                        .limit_default = 100,
                                        .limit_max = 400,
                                        .rows = "data.0.bids.#",
                                        .ask_rows = "data.0.asks.#",
                                        .fields = BOOK,
                                        .row = LEVEL},
              [TWI_FETCH_TRADES] = {.path = "/api/v5/market/trades?instId={id}[&limit={limit}]",
                                    .flags = TWI_FETCH_NEWEST_FIRST,
                                    .limit_max = 500,
                                    .rows = "data.#",
                                    .row = TRADE},
              [TWI_FETCH_OHLCV] = {.path = "/api/v5/market/candles" CANDLES,
                                   .path_since = "/api/v5/market/history-candles" CANDLES,
                                   .recent_count = 1440,
                                   .flags = TWI_FETCH_NEWEST_FIRST,
                                   .limit_default = 100,
                                   .limit_max = 300,
                                   .limit_max_since = 100,
                                   .rows = "data.#",
                                   .row = CANDLE}},
    .error_fields = ERROR_FIELDS,
    .ok_code = "0",
    .error_rules = ERRORS,
    .status_rules = STATUSES};
