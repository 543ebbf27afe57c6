/* bitstamp_fetch.c - Bitstamp over REST.
 *
 * Quirks:   the book comes whole, without a choice of depth; trades are those of the last hour (or day, if a since asks
 *           for more); an unknown pair is a bare 404.
 * Source:   bitstamp.net/api, market info. */
#include "feed/fetch.h"
#include "feed/times.h"

static const twi_fetch_field TICKER[] = {TWI_AT_AS("timestamp", TWI_TO_TIME, TWI_AS_S),
                                         TWI_AT("open_24", TW_TICKER_OPEN),
                                         TWI_AT("high", TW_TICKER_HIGH),
                                         TWI_AT("low", TW_TICKER_LOW),
                                         TWI_AT("last", TW_TICKER_LAST),
                                         TWI_AT("volume", TW_TICKER_BASE_VOLUME),
                                         TWI_AT("vwap", TW_TICKER_VWAP),
                                         TWI_AT("bid", TW_TICKER_BID),
                                         TWI_AT("ask", TW_TICKER_ASK),
                                         {0}};
static const twi_fetch_field BOOK[] = {
    TWI_AT_AS("microtimestamp", TWI_TO_TIME, TWI_AS_US), TWI_AT("microtimestamp", TWI_TO_NONCE), {0}};
static const twi_fetch_field LEVEL[] = {TWI_AT("0", TWI_TO_PRICE), TWI_AT("1", TWI_TO_AMOUNT), {0}};
static const twi_fetch_field TRADE[] = {TWI_AT_AS("date", TWI_TO_TIME, TWI_AS_S),
                                        TWI_AT("tid", TWI_TO_ID),
                                        TWI_AT("price", TWI_TO_PRICE),
                                        TWI_AT("amount", TWI_TO_AMOUNT),
                                        TWI_AT_AS("type", TWI_TO_SIDE, TWI_AS_IS_SELL),
                                        {0}};
static const twi_fetch_field CANDLE[] = {TWI_AT_AS("timestamp", TWI_TO_TIME, TWI_AS_S),
                                         TWI_AT("open", TWI_TO_OPEN),
                                         TWI_AT("high", TWI_TO_HIGH),
                                         TWI_AT("low", TWI_TO_LOW),
                                         TWI_AT("close", TWI_TO_CLOSE),
                                         TWI_AT("volume", TWI_TO_VOLUME),
                                         {0}};
static const twi_fetch_timeframe TIMEFRAMES[] = {{"1m", "60", 60},
                                                 {"3m", "180", 180},
                                                 {"5m", "300", 300},
                                                 {"15m", "900", 900},
                                                 {"30m", "1800", 1800},
                                                 {"1h", "3600", 3600},
                                                 {"2h", "7200", 7200},
                                                 {"4h", "14400", 14400},
                                                 {"6h", "21600", 21600},
                                                 {"12h", "43200", 43200},
                                                 {"1d", "86400", 86400},
                                                 {"3d", "259200", 259200},
                                                 {0}};
static const twi_fetch_field ERROR_FIELDS[] = {
    TWI_AT("code", TWI_TO_CODE), TWI_AT("reason", TWI_TO_TEXT), TWI_AT("error", TWI_TO_TEXT), {0}};
static const twi_fetch_error_rule ERRORS[] = {
    {NULL, "rate limit", TW_ERROR_RATE_LIMIT_EXCEEDED}, {NULL, "currency pair", TW_ERROR_BAD_SYMBOL},
    {NULL, "Not found", TW_ERROR_BAD_SYMBOL},           {NULL, "No permission", TW_ERROR_PERMISSION_DENIED},
    {"400.002", NULL, TW_ERROR_RATE_LIMIT_EXCEEDED},    {"API0001", NULL, TW_ERROR_AUTHENTICATION_ERROR},
    {NULL, "maintenance", TW_ERROR_ON_MAINTENANCE},     {NULL, NULL, TW_ERROR_NONE}};
static const twi_fetch_status_rule STATUSES[] = {
    {404, TW_ERROR_BAD_SYMBOL}, {400, TW_ERROR_BAD_REQUEST}, {403, TW_ERROR_PERMISSION_DENIED}, {0}};

const twi_fetch twi_fetch_bitstamp = {
    .name = "bitstamp",
    .rest_url = "https://www.bitstamp.net",
    .sandbox_rest_url = "https://sandbox.bitstamp.net",
    .request_gap_ns = 75 * TWI_NS_PER_MS,
    .timeframes = TIMEFRAMES,
    .calls = {[TWI_FETCH_TICKER] = {.path = "/api/v2/ticker/{lower}/", .fields = TICKER},
              [TWI_FETCH_ORDER_BOOK] = {.path = "/api/v2/order_book/{lower}/",
                                        .rows = "bids.#",
                                        .ask_rows = "asks.#",
                                        .fields = BOOK,
                                        .row = LEVEL},
              [TWI_FETCH_TRADES] = {.path = "/api/v2/transactions/{lower}/?time=hour",
                                    .path_since = "/api/v2/transactions/{lower}/?time=day",
                                    .flags = TWI_FETCH_NEWEST_FIRST,
                                    .rows = "#",
                                    .row = TRADE},
              [TWI_FETCH_OHLCV] = {.path = "/api/v2/ohlc/{lower}/?step={tf}&limit={limit}[&start={since_s}]",
                                   .limit_default = 1000,
                                   .limit_max = 1000,
                                   .rows = "data.ohlc.#",
                                   .row = CANDLE}},
    .error_fields = ERROR_FIELDS,
    .error_rules = ERRORS,
    .status_rules = STATUSES};
