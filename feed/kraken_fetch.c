/* kraken_fetch.c - Kraken spot over REST, for both versions of its stream.
 *
 * Quirks:   pairs are asked in the venue's own codes (XBTUSD) and answered under a name of the venue's choice, hence
 *           "*"; the ticker has no time, its sums of 24 hours are the second of each pair; a candle's since is
 *           exclusive; the rate counter falls by one in about three seconds, so that one request a second is what is
 *           safe.
 * Source:   docs.kraken.com/api, spot market data. */
#include "feed/fetch.h"
#include "feed/kraken_common.h"
#include "feed/times.h"

static const twi_fetch_field TICKER[] = {TWI_AT("result.*.a.0", TW_TICKER_ASK),
                                         TWI_AT("result.*.a.2", TW_TICKER_ASK_VOLUME),
                                         TWI_AT("result.*.b.0", TW_TICKER_BID),
                                         TWI_AT("result.*.b.2", TW_TICKER_BID_VOLUME),
                                         TWI_AT("result.*.c.0", TW_TICKER_LAST),
                                         TWI_AT("result.*.v.1", TW_TICKER_BASE_VOLUME),
                                         TWI_AT("result.*.p.1", TW_TICKER_VWAP),
                                         TWI_AT("result.*.l.1", TW_TICKER_LOW),
                                         TWI_AT("result.*.h.1", TW_TICKER_HIGH),
                                         TWI_AT("result.*.o", TW_TICKER_OPEN),
                                         {0}};
static const twi_fetch_field LEVEL[] = {TWI_AT("0", TWI_TO_PRICE), TWI_AT("1", TWI_TO_AMOUNT), {0}};
static const twi_fetch_field TRADE[] = {
    TWI_AT("0", TWI_TO_PRICE), TWI_AT("1", TWI_TO_AMOUNT), TWI_AT_AS("2", TWI_TO_TIME, TWI_AS_S),
    TWI_AT("3", TWI_TO_SIDE),  TWI_AT("6", TWI_TO_ID),     {0}};
static const twi_fetch_field CANDLE[] = {TWI_AT_AS("0", TWI_TO_TIME, TWI_AS_S),
                                         TWI_AT("1", TWI_TO_OPEN),
                                         TWI_AT("2", TWI_TO_HIGH),
                                         TWI_AT("3", TWI_TO_LOW),
                                         TWI_AT("4", TWI_TO_CLOSE),
                                         TWI_AT("6", TWI_TO_VOLUME),
                                         {0}};
static const twi_fetch_timeframe TIMEFRAMES[] = {
    {"1m", "1", 60},      {"5m", "5", 300},      {"15m", "15", 900},      {"30m", "30", 1800},      {"1h", "60", 3600},
    {"4h", "240", 14400}, {"1d", "1440", 86400}, {"1w", "10080", 604800}, {"2w", "21600", 1296000}, {0}};
static const twi_fetch_field ERROR_FIELDS[] = {TWI_AT("error.0", TWI_TO_CODE), {0}};
static const twi_fetch_error_rule ERRORS[] = {{NULL, "asset pair", TW_ERROR_BAD_SYMBOL},
                                              {NULL, "EQuery:Unknown asset", TW_ERROR_BAD_SYMBOL},
                                              {NULL, "EAPI:Rate limit", TW_ERROR_RATE_LIMIT_EXCEEDED},
                                              {NULL, "EService:Throttled", TW_ERROR_RATE_LIMIT_EXCEEDED},
                                              {NULL, "Too many requests", TW_ERROR_DDOS_PROTECTION},
                                              {NULL, "Temporary lockout", TW_ERROR_DDOS_PROTECTION},
                                              {NULL, "EService:Timeout", TW_ERROR_REQUEST_TIMEOUT},
                                              {NULL, "Deadline elapsed", TW_ERROR_REQUEST_TIMEOUT},
                                              {NULL, "maintenance", TW_ERROR_ON_MAINTENANCE},
                                              {NULL, "EService:", TW_ERROR_EXCHANGE_NOT_AVAILABLE},
                                              {NULL, "Internal error", TW_ERROR_EXCHANGE_NOT_AVAILABLE},
                                              {NULL, "Permission denied", TW_ERROR_PERMISSION_DENIED},
                                              {NULL, "EAPI:Invalid nonce", TW_ERROR_INVALID_NONCE},
                                              {NULL, "EAPI:", TW_ERROR_AUTHENTICATION_ERROR},
                                              {NULL, "Invalid arguments", TW_ERROR_BAD_REQUEST},
                                              {NULL, "EGeneral:", TW_ERROR_BAD_REQUEST},
                                              {NULL, "Unknown method", TW_ERROR_NOT_SUPPORTED},
                                              {NULL, NULL, TW_ERROR_NONE}};

#define PAIR "?pair={base}{quote}"
#define KRAKEN(NAME)                                                                                                   \
    {                                                                                                                  \
        .name = NAME, .rest_url = "https://api.kraken.com", .request_gap_ns = TWI_NS_PER_S, .codes = twi_kraken_codes, \
        .timeframes = TIMEFRAMES,                                                                                      \
        .calls = {[TWI_FETCH_TICKER] = {.path = "/0/public/Ticker" PAIR, .fields = TICKER},                            \
                  [TWI_FETCH_ORDER_BOOK] = {.path = "/0/public/Depth" PAIR "[&count={limit}]",                         \
                                            .limit_max = 500,                                                          \
                                            .rows = "result.*.bids.#",                                                 \
                                            .ask_rows = "result.*.asks.#",                                             \
                                            .row = LEVEL},                                                             \
                  [TWI_FETCH_TRADES] = {.path = "/0/public/Trades" PAIR "[&since={since_ns}][&count={limit}]",         \
                                        .limit_max = 1000,                                                             \
                                        .rows = "result.*.#",                                                          \
                                        .row = TRADE},                                                                 \
                  [TWI_FETCH_OHLCV] = {.path = "/0/public/OHLC" PAIR "&interval={tf}[&since={before_s}]",              \
                                       .limit_max = 720,                                                               \
                                       .rows = "result.*.#",                                                           \
                                       .row = CANDLE}},                                                                \
        .error_fields = ERROR_FIELDS, .error_rules = ERRORS                                                            \
    }

const twi_fetch twi_fetch_kraken = KRAKEN("kraken");
const twi_fetch twi_fetch_kraken_v1 = KRAKEN("kraken_v1");
