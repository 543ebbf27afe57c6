/* bitfinex_fetch.c - Bitfinex v2 over REST.
 *
 * Quirks:   everything is arrays; amounts carry the side in their sign; candles are [time, open, close, high, low,
 *           volume]; errors are ["error", code, text], those of the limiter an object.
 * Source:   docs.bitfinex.com/reference, public endpoints. */
#include "feed/fetch.h"
#include "feed/times.h"

static const twi_fetch_field TICKER[] = {TWI_AT("0", TW_TICKER_BID),
                                         TWI_AT("1", TW_TICKER_BID_VOLUME),
                                         TWI_AT("2", TW_TICKER_ASK),
                                         TWI_AT("3", TW_TICKER_ASK_VOLUME),
                                         TWI_AT("4", TW_TICKER_CHANGE),
                                         TWI_AT_AS("5", TW_TICKER_PERCENTAGE, TWI_AS_RATIO),
                                         TWI_AT("6", TW_TICKER_LAST),
                                         TWI_AT("7", TW_TICKER_BASE_VOLUME),
                                         TWI_AT("8", TW_TICKER_HIGH),
                                         TWI_AT("9", TW_TICKER_LOW),
                                         {0}};
static const twi_fetch_field LEVEL[] = {TWI_AT("0", TWI_TO_PRICE), TWI_AT_AS("2", TWI_TO_AMOUNT, TWI_AS_SIGNED), {0}};
static const twi_fetch_field TRADE[] = {TWI_AT("0", TWI_TO_ID),
                                        TWI_AT_AS("1", TWI_TO_TIME, TWI_AS_MS),
                                        TWI_AT_AS("2", TWI_TO_AMOUNT, TWI_AS_SIGNED),
                                        TWI_AT("3", TWI_TO_PRICE),
                                        {0}};
static const twi_fetch_field CANDLE[] = {TWI_AT_AS("0", TWI_TO_TIME, TWI_AS_MS),
                                         TWI_AT("1", TWI_TO_OPEN),
                                         TWI_AT("2", TWI_TO_CLOSE),
                                         TWI_AT("3", TWI_TO_HIGH),
                                         TWI_AT("4", TWI_TO_LOW),
                                         TWI_AT("5", TWI_TO_VOLUME),
                                         {0}};
static const twi_fetch_timeframe TIMEFRAMES[] = {{"1m", "1m", 60},      {"5m", "5m", 300},
                                                 {"15m", "15m", 900},   {"30m", "30m", 1800},
                                                 {"1h", "1h", 3600},    {"3h", "3h", 10800},
                                                 {"4h", "4h", 14400},   {"6h", "6h", 21600},
                                                 {"12h", "12h", 43200}, {"1d", "1D", 86400},
                                                 {"1w", "1W", 604800},  {"2w", "14D", 1209600},
                                                 {"1M", "1M", 2592000}, {0}};
static const twi_fetch_field ERROR_FIELDS[] = {
    TWI_AT("0", TWI_TO_FLAG), TWI_AT("error", TWI_TO_FLAG), TWI_AT("1", TWI_TO_CODE), TWI_AT("2", TWI_TO_TEXT), {0}};
static const twi_fetch_error_rule ERRORS[] = {{NULL, "symbol: invalid", TW_ERROR_BAD_SYMBOL},
                                              {"10001", NULL, TW_ERROR_BAD_SYMBOL},
                                              {"11010", NULL, TW_ERROR_RATE_LIMIT_EXCEEDED},
                                              {NULL, "ratelimit", TW_ERROR_RATE_LIMIT_EXCEEDED},
                                              {NULL, "temporarily_unavailable", TW_ERROR_EXCHANGE_NOT_AVAILABLE},
                                              {"20060", NULL, TW_ERROR_ON_MAINTENANCE},
                                              {NULL, "maintenance", TW_ERROR_ON_MAINTENANCE},
                                              {"10100", NULL, TW_ERROR_AUTHENTICATION_ERROR},
                                              {"10114", NULL, TW_ERROR_INVALID_NONCE},
                                              {"10020", NULL, TW_ERROR_BAD_REQUEST},
                                              {"10050", NULL, TW_ERROR_EXCHANGE_NOT_AVAILABLE},
                                              {NULL, "invalid", TW_ERROR_BAD_REQUEST},
                                              {NULL, NULL, TW_ERROR_NONE}};

const twi_fetch twi_fetch_bitfinex = {
    .name = "bitfinex",
    .rest_url = "https://api-pub.bitfinex.com",
    .request_gap_ns = 2 * TWI_NS_PER_S, /* 30 a minute on the narrowest of these endpoints */
    .timeframes = TIMEFRAMES,
    .calls = {[TWI_FETCH_TICKER] = {.path = "/v2/ticker/{id}", .fields = TICKER},
              [TWI_FETCH_ORDER_BOOK] =
                  {.path = "/v2/book/{id}/P0[?len={limit}]", .choices = {1, 25, 100, 250}, .rows = "#", .row = LEVEL},
              [TWI_FETCH_TRADES] = {.path = "/v2/trades/{id}/hist?sort=-1[&limit={limit}]",
                                    .path_since = "/v2/trades/{id}/hist?sort=1&start={since_ms}[&limit={limit}]",
                                    .flags = TWI_FETCH_NEWEST_FIRST,
                                    .limit_max = 10000,
                                    .rows = "#",
                                    .row = TRADE},
              [TWI_FETCH_OHLCV] = {.path = "/v2/candles/trade:{tf}:{id}/hist?sort=-1[&limit={limit}]",
                                   .path_since = "/v2/candles/trade:{tf}:{id}/hist?sort=1&start={since_ms}"
                                                 "[&limit={limit}]",
                                   .flags = TWI_FETCH_NEWEST_FIRST,
                                   .limit_default = 100,
                                   .limit_max = 10000,
                                   .rows = "#",
                                   .row = CANDLE}},
    .error_fields = ERROR_FIELDS,
    .error_flag = "error",
    .error_rules = ERRORS};
