/* gate_fetch.c - Gate.io v4 spot over REST.
 *
 * Quirks:   candles are [time, quote volume, close, high, low, open, base volume, closed]; a limit and a range exclude
 *           each other; the time of the ticker is not told.
 * Source:   gate.com/docs/developers/apiv4. */
#include "feed/fetch.h"
#include "feed/times.h"

static const twi_fetch_field TICKER[] = {TWI_AT("0.last", TW_TICKER_LAST),
                                         TWI_AT("0.lowest_ask", TW_TICKER_ASK),
                                         TWI_AT("0.lowest_size", TW_TICKER_ASK_VOLUME),
                                         TWI_AT("0.highest_bid", TW_TICKER_BID),
                                         TWI_AT("0.highest_size", TW_TICKER_BID_VOLUME),
                                         TWI_AT("0.change_percentage", TW_TICKER_PERCENTAGE),
                                         TWI_AT("0.base_volume", TW_TICKER_BASE_VOLUME),
                                         TWI_AT("0.quote_volume", TW_TICKER_QUOTE_VOLUME),
                                         TWI_AT("0.high_24h", TW_TICKER_HIGH),
                                         TWI_AT("0.low_24h", TW_TICKER_LOW),
                                         {0}};
static const twi_fetch_field BOOK[] = {TWI_AT_AS("current", TWI_TO_TIME, TWI_AS_MS), TWI_AT("id", TWI_TO_NONCE), {0}};
static const twi_fetch_field LEVEL[] = {TWI_AT("0", TWI_TO_PRICE), TWI_AT("1", TWI_TO_AMOUNT), {0}};
static const twi_fetch_field TRADE[] = {TWI_AT_AS("create_time_ms", TWI_TO_TIME, TWI_AS_MS),
                                        TWI_AT("id", TWI_TO_ID),
                                        TWI_AT("price", TWI_TO_PRICE),
                                        TWI_AT("amount", TWI_TO_AMOUNT),
                                        TWI_AT("side", TWI_TO_SIDE),
                                        {0}};
static const twi_fetch_field CANDLE[] = {TWI_AT_AS("0", TWI_TO_TIME, TWI_AS_S),
                                         TWI_AT("2", TWI_TO_CLOSE),
                                         TWI_AT("3", TWI_TO_HIGH),
                                         TWI_AT("4", TWI_TO_LOW),
                                         TWI_AT("5", TWI_TO_OPEN),
                                         TWI_AT("6", TWI_TO_VOLUME),
                                         {0}};
static const twi_fetch_timeframe TIMEFRAMES[] = {{"10s", "10s", 10},
                                                 {"1m", "1m", 60},
                                                 {"5m", "5m", 300},
                                                 {"15m", "15m", 900},
                                                 {"30m", "30m", 1800},
                                                 {"1h", "1h", 3600},
                                                 {"2h", "2h", 7200},
                                                 {"4h", "4h", 14400},
                                                 {"8h", "8h", 28800},
                                                 {"1d", "1d", 86400},
                                                 {"7d", "7d", 604800},
                                                 {"1w", "7d", 604800},
                                                 {0}};
static const twi_fetch_field ERROR_FIELDS[] = {TWI_AT("label", TWI_TO_CODE), TWI_AT("message", TWI_TO_TEXT), {0}};
static const twi_fetch_error_rule ERRORS[] = {{"INVALID_CURRENCY_PAIR", NULL, TW_ERROR_BAD_SYMBOL},
                                              {"INVALID_CURRENCY", NULL, TW_ERROR_BAD_SYMBOL},
                                              {"TOO_MANY_REQUESTS", NULL, TW_ERROR_RATE_LIMIT_EXCEEDED},
                                              {"TOO_FAST", NULL, TW_ERROR_RATE_LIMIT_EXCEEDED},
                                              {"SERVER_ERROR", NULL, TW_ERROR_EXCHANGE_NOT_AVAILABLE},
                                              {"INTERNAL", NULL, TW_ERROR_EXCHANGE_NOT_AVAILABLE},
                                              {"TOO_BUSY", NULL, TW_ERROR_EXCHANGE_NOT_AVAILABLE},
                                              {NULL, "maintenance", TW_ERROR_ON_MAINTENANCE},
                                              {"FORBIDDEN", NULL, TW_ERROR_PERMISSION_DENIED},
                                              {"INVALID_KEY", NULL, TW_ERROR_AUTHENTICATION_ERROR},
                                              {"INVALID_SIGNATURE", NULL, TW_ERROR_AUTHENTICATION_ERROR},
                                              {"METHOD_NOT_ALLOWED", NULL, TW_ERROR_BAD_REQUEST},
                                              {"NOT_FOUND", NULL, TW_ERROR_BAD_REQUEST},
                                              {NULL, "INVALID", TW_ERROR_BAD_REQUEST},
                                              {NULL, "MISSING", TW_ERROR_BAD_REQUEST},
                                              {NULL, NULL, TW_ERROR_NONE}};
static const twi_fetch_status_rule STATUSES[] = {{400, TW_ERROR_BAD_REQUEST}, {0}};

/* Perpetuals have the same ids under other paths and in other shapes: they are refused, not mistaken for spot. */
static const char *const CATEGORIES[] = {[TWI_CATEGORY_SPOT] = "spot", [TWI_CATEGORY_OPTION] = NULL};

#define SPOT "/api/v4/{category}/"

const twi_fetch twi_fetch_gate = {
    .name = "gate",
    .rest_url = "https://api.gateio.ws",
    .sandbox_rest_url = "https://api-testnet.gateapi.io",
    .request_gap_ns = 50 * TWI_NS_PER_MS,
    .categories = CATEGORIES,
    .timeframes = TIMEFRAMES,
    .calls = {[TWI_FETCH_TICKER] = {.path = SPOT "tickers?currency_pair={id}", .fields = TICKER},
              [TWI_FETCH_ORDER_BOOK] = {.path = SPOT "order_book?currency_pair={id}&with_id=true[&limit={limit}]",
                                        .limit_max = 1000,
                                        .rows = "bids.#",
                                        .ask_rows = "asks.#",
                                        .fields = BOOK,
                                        .row = LEVEL},
              [TWI_FETCH_TRADES] = {.path = SPOT "trades?currency_pair={id}[&limit={limit}][&from={since_s}]",
                                    .flags = TWI_FETCH_NEWEST_FIRST,
                                    .limit_max = 1000,
                                    .rows = "#",
                                    .row = TRADE},
              [TWI_FETCH_OHLCV] = {.path = SPOT "candlesticks?currency_pair={id}&interval={tf}[&limit={limit}]",
                                   .path_since = SPOT "candlesticks?currency_pair={id}&interval={tf}&from={from_s}"
                                                      "&to={until_s}",
                                   .limit_default = 100,
                                   .limit_max = 999,
                                   .rows = "#",
                                   .row = CANDLE}},
    .error_fields = ERROR_FIELDS,
    .error_rules = ERRORS,
    .status_rules = STATUSES};
