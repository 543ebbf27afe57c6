/* gemini_fetch.c - Gemini over REST.
 *
 * Quirks:   the ticker of version 2 has the day's prices but neither volume nor time; candles take no range: the venue
 *           sends what it keeps of each length.
 * Source:   docs.gemini.com/rest-api. */
#include "feed/fetch.h"
#include "feed/times.h"

static const twi_fetch_field TICKER[] = {TWI_AT("open", TW_TICKER_OPEN),
                                         TWI_AT("high", TW_TICKER_HIGH),
                                         TWI_AT("low", TW_TICKER_LOW),
                                         TWI_AT("close", TW_TICKER_LAST),
                                         TWI_AT("bid", TW_TICKER_BID),
                                         TWI_AT("ask", TW_TICKER_ASK),
                                         {0}};
static const twi_fetch_field LEVEL[] = {TWI_AT("price", TWI_TO_PRICE), TWI_AT("amount", TWI_TO_AMOUNT), {0}};
static const twi_fetch_field TRADE[] = {TWI_AT_AS("timestampms", TWI_TO_TIME, TWI_AS_MS),
                                        TWI_AT("tid", TWI_TO_ID),
                                        TWI_AT("price", TWI_TO_PRICE),
                                        TWI_AT("amount", TWI_TO_AMOUNT),
                                        TWI_AT("type", TWI_TO_SIDE),
                                        {0}};
static const twi_fetch_field CANDLE[] = {TWI_AT_AS("0", TWI_TO_TIME, TWI_AS_MS),
                                         TWI_AT("1", TWI_TO_OPEN),
                                         TWI_AT("2", TWI_TO_HIGH),
                                         TWI_AT("3", TWI_TO_LOW),
                                         TWI_AT("4", TWI_TO_CLOSE),
                                         TWI_AT("5", TWI_TO_VOLUME),
                                         {0}};
static const twi_fetch_timeframe TIMEFRAMES[] = {
    {"1m", "1m", 60},    {"5m", "5m", 300},    {"15m", "15m", 900},   {"30m", "30m", 1800},
    {"1h", "1hr", 3600}, {"6h", "6hr", 21600}, {"1d", "1day", 86400}, {0}};
static const twi_fetch_field ERROR_FIELDS[] = {
    TWI_AT("result", TWI_TO_FLAG), TWI_AT("reason", TWI_TO_CODE), TWI_AT("message", TWI_TO_TEXT), {0}};
static const twi_fetch_error_rule ERRORS[] = {{"InvalidSymbol", NULL, TW_ERROR_BAD_SYMBOL},
                                              {NULL, "not a valid symbol", TW_ERROR_BAD_SYMBOL},
                                              {NULL, "symbol", TW_ERROR_BAD_SYMBOL},
                                              {"RateLimit", NULL, TW_ERROR_RATE_LIMIT_EXCEEDED},
                                              {"RateLimitExceeded", NULL, TW_ERROR_RATE_LIMIT_EXCEEDED},
                                              {"Maintenance", NULL, TW_ERROR_ON_MAINTENANCE},
                                              {"System", NULL, TW_ERROR_EXCHANGE_NOT_AVAILABLE},
                                              {"EndpointNotFound", NULL, TW_ERROR_NOT_SUPPORTED},
                                              {"InvalidNonce", NULL, TW_ERROR_INVALID_NONCE},
                                              {"InvalidSignature", NULL, TW_ERROR_AUTHENTICATION_ERROR},
                                              {"MissingRole", NULL, TW_ERROR_PERMISSION_DENIED},
                                              {NULL, "Bad Request", TW_ERROR_BAD_REQUEST},
                                              {NULL, NULL, TW_ERROR_NONE}};
static const twi_fetch_status_rule STATUSES[] = {
    {400, TW_ERROR_BAD_REQUEST}, {403, TW_ERROR_PERMISSION_DENIED}, {503, TW_ERROR_ON_MAINTENANCE}, {0}};

const twi_fetch twi_fetch_gemini = {
    .name = "gemini",
    .rest_url = "https://api.gemini.com",
    .sandbox_rest_url = "https://api.sandbox.gemini.com",
    .sandbox_stream_url = "wss://api.sandbox.gemini.com/v2/marketdata",
    .request_gap_ns = 500 * TWI_NS_PER_MS,
    .timeframes = TIMEFRAMES,
    .calls = {[TWI_FETCH_TICKER] = {.path = "/v2/ticker/{lower}", .fields = TICKER},
              [TWI_FETCH_ORDER_BOOK] = {.path = "/v1/book/{lower}[?limit_bids={limit}&limit_asks={limit}]",
                                        .limit_default = 50,
                                        .rows = "bids.#",
                                        .ask_rows = "asks.#",
                                        .row = LEVEL},
              [TWI_FETCH_TRADES] = {.path = "/v1/trades/{lower}?limit_trades={limit}[&timestamp={since_ms}]",
                                    .flags = TWI_FETCH_NEWEST_FIRST,
                                    .limit_default = 50,
                                    .limit_max = 500,
                                    .rows = "#",
                                    .row = TRADE},
              [TWI_FETCH_OHLCV] =
                  {.path = "/v2/candles/{lower}/{tf}", .flags = TWI_FETCH_NEWEST_FIRST, .rows = "#", .row = CANDLE}},
    .error_fields = ERROR_FIELDS,
    .error_flag = "error",
    .error_rules = ERRORS,
    .status_rules = STATUSES};
