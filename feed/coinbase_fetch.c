/* coinbase_fetch.c - Coinbase Advanced Trade over REST, the public market endpoints.
 *
 * Quirks:   one endpoint gives the latest trades with best bid and ask beside them; a trade's side is the maker's, as
 *           in the stream; candles need both ends of a range and come newest first, at most 350.
 * Source:   docs.cdp.coinbase.com/advanced-trade/reference. */
#include "feed/fetch.h"
#include "feed/times.h"

static const twi_fetch_field TICKER[] = {TWI_AT_AS("trades.0.time", TWI_TO_TIME, TWI_AS_ISO),
                                         TWI_AT("trades.0.price", TW_TICKER_LAST),
                                         TWI_AT("best_bid", TW_TICKER_BID),
                                         TWI_AT("best_ask", TW_TICKER_ASK),
                                         {0}};
static const twi_fetch_field BOOK[] = {TWI_AT_AS("pricebook.time", TWI_TO_TIME, TWI_AS_ISO), {0}};
static const twi_fetch_field LEVEL[] = {TWI_AT("price", TWI_TO_PRICE), TWI_AT("size", TWI_TO_AMOUNT), {0}};
static const twi_fetch_field TRADE[] = {TWI_AT_AS("time", TWI_TO_TIME, TWI_AS_ISO),
                                        TWI_AT("trade_id", TWI_TO_ID),
                                        TWI_AT("price", TWI_TO_PRICE),
                                        TWI_AT("size", TWI_TO_AMOUNT),
                                        TWI_AT_AS("side", TWI_TO_SIDE, TWI_AS_MAKER),
                                        {0}};
static const twi_fetch_field CANDLE[] = {TWI_AT_AS("start", TWI_TO_TIME, TWI_AS_S),
                                         TWI_AT("low", TWI_TO_LOW),
                                         TWI_AT("high", TWI_TO_HIGH),
                                         TWI_AT("open", TWI_TO_OPEN),
                                         TWI_AT("close", TWI_TO_CLOSE),
                                         TWI_AT("volume", TWI_TO_VOLUME),
                                         {0}};
static const twi_fetch_timeframe TIMEFRAMES[] = {
    {"1m", "ONE_MINUTE", 60},       {"5m", "FIVE_MINUTE", 300}, {"15m", "FIFTEEN_MINUTE", 900},
    {"30m", "THIRTY_MINUTE", 1800}, {"1h", "ONE_HOUR", 3600},   {"2h", "TWO_HOUR", 7200},
    {"6h", "SIX_HOUR", 21600},      {"1d", "ONE_DAY", 86400},   {0}};
static const twi_fetch_field ERROR_FIELDS[] = {TWI_AT("error", TWI_TO_CODE), TWI_AT("message", TWI_TO_TEXT), {0}};
static const twi_fetch_error_rule ERRORS[] = {{"NOT_FOUND", NULL, TW_ERROR_BAD_SYMBOL},
                                              {NULL, "product_id", TW_ERROR_BAD_SYMBOL},
                                              {NULL, "ProductID", TW_ERROR_BAD_SYMBOL},
                                              {"INVALID_ARGUMENT", NULL, TW_ERROR_BAD_REQUEST},
                                              {NULL, "rate_limit", TW_ERROR_RATE_LIMIT_EXCEEDED},
                                              {NULL, "too many", TW_ERROR_RATE_LIMIT_EXCEEDED},
                                              {"RESOURCE_EXHAUSTED", NULL, TW_ERROR_RATE_LIMIT_EXCEEDED},
                                              {"PERMISSION_DENIED", NULL, TW_ERROR_PERMISSION_DENIED},
                                              {NULL, "unauth", TW_ERROR_AUTHENTICATION_ERROR},
                                              {"UNAVAILABLE", NULL, TW_ERROR_EXCHANGE_NOT_AVAILABLE},
                                              {"INTERNAL", NULL, TW_ERROR_EXCHANGE_NOT_AVAILABLE},
                                              {"DEADLINE_EXCEEDED", NULL, TW_ERROR_REQUEST_TIMEOUT},
                                              {NULL, "maintenance", TW_ERROR_ON_MAINTENANCE},
                                              {NULL, NULL, TW_ERROR_NONE}};
static const twi_fetch_status_rule STATUSES[] = {{400, TW_ERROR_BAD_REQUEST}, {0}};

#define BASE "/api/v3/brokerage/market"

const twi_fetch twi_fetch_coinbase = {
    .name = "coinbase",
    .rest_url = "https://api.coinbase.com",
    .request_gap_ns = 100 * TWI_NS_PER_MS,
    .timeframes = TIMEFRAMES,
    .calls = {[TWI_FETCH_TICKER] = {.path = BASE "/products/{id}/ticker?limit=1", .fields = TICKER},
              [TWI_FETCH_ORDER_BOOK] = {.path = BASE "/product_book?product_id={id}[&limit={limit}]",
                                        .rows = "pricebook.bids.#",
                                        .ask_rows = "pricebook.asks.#",
                                        .fields = BOOK,
                                        .row = LEVEL},
              [TWI_FETCH_TRADES] = {.path = BASE "/products/{id}/ticker?limit={limit}[&start={since_s}]",
                                    .flags = TWI_FETCH_NEWEST_FIRST,
                                    .limit_default = 100,
                                    .limit_max = 1000,
                                    .rows = "trades.#",
                                    .row = TRADE},
              [TWI_FETCH_OHLCV] = {.path = BASE "/products/{id}/candles?granularity={tf}&start={from_s}&end={until_s}"
                                                "&limit={limit}",
                                   .flags = TWI_FETCH_NEWEST_FIRST,
                                   .limit_default = 300,
                                   .limit_max = 350,
                                   .rows = "candles.#",
                                   .row = CANDLE}},
    .error_fields = ERROR_FIELDS,
    .error_rules = ERRORS,
    .status_rules = STATUSES};
