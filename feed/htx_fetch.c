/* htx_fetch.c - HTX (Huobi) spot over REST.
 *
 * Quirks:   "amount" is in base, "vol" in quote currency; trades lie in lists within a list; a book has 5, 10, 20 or,
 *           if nothing is asked, 150 levels; neither trades nor candles can be asked from a time on.
 * Source:   huobiapi.github.io/docs/spot/v1/en. */
#include "feed/fetch.h"
#include "feed/times.h"

static const twi_fetch_field TICKER[] = {
    TWI_AT_AS("ts", TWI_TO_TIME, TWI_AS_MS),    TWI_AT("tick.open", TW_TICKER_OPEN),
    TWI_AT("tick.close", TW_TICKER_LAST),       TWI_AT("tick.high", TW_TICKER_HIGH),
    TWI_AT("tick.low", TW_TICKER_LOW),          TWI_AT("tick.amount", TW_TICKER_BASE_VOLUME),
    TWI_AT("tick.vol", TW_TICKER_QUOTE_VOLUME), TWI_AT("tick.bid.0", TW_TICKER_BID),
    TWI_AT("tick.bid.1", TW_TICKER_BID_VOLUME), TWI_AT("tick.ask.0", TW_TICKER_ASK),
    TWI_AT("tick.ask.1", TW_TICKER_ASK_VOLUME), {0}};
static const twi_fetch_field BOOK[] = {
    TWI_AT_AS("tick.ts", TWI_TO_TIME, TWI_AS_MS), TWI_AT("tick.version", TWI_TO_NONCE), {0}};
static const twi_fetch_field LEVEL[] = {TWI_AT("0", TWI_TO_PRICE), TWI_AT("1", TWI_TO_AMOUNT), {0}};
static const twi_fetch_field TRADE[] = {TWI_AT_AS("ts", TWI_TO_TIME, TWI_AS_MS), TWI_AT("id", TWI_TO_ID),
                                        TWI_AT("price", TWI_TO_PRICE),           TWI_AT("amount", TWI_TO_AMOUNT),
                                        TWI_AT("direction", TWI_TO_SIDE),        {0}};
static const twi_fetch_field CANDLE[] = {TWI_AT_AS("id", TWI_TO_TIME, TWI_AS_S),
                                         TWI_AT("open", TWI_TO_OPEN),
                                         TWI_AT("high", TWI_TO_HIGH),
                                         TWI_AT("low", TWI_TO_LOW),
                                         TWI_AT("close", TWI_TO_CLOSE),
                                         TWI_AT("amount", TWI_TO_VOLUME),
                                         {0}};
static const twi_fetch_timeframe TIMEFRAMES[] = {{"1m", "1min", 60},
                                                 {"5m", "5min", 300},
                                                 {"15m", "15min", 900},
                                                 {"30m", "30min", 1800},
                                                 {"1h", "60min", 3600},
                                                 {"4h", "4hour", 14400},
                                                 {"1d", "1day", 86400},
                                                 {"1w", "1week", 604800},
                                                 {"1M", "1mon", 2592000},
                                                 {"1y", "1year", 31536000},
                                                 {0}};
static const twi_fetch_field ERROR_FIELDS[] = {
    TWI_AT("status", TWI_TO_FLAG), TWI_AT("err-code", TWI_TO_CODE), TWI_AT("err-msg", TWI_TO_TEXT), {0}};
static const twi_fetch_error_rule ERRORS[] = {{NULL, "invalid symbol", TW_ERROR_BAD_SYMBOL},
                                              {"base-symbol-error", NULL, TW_ERROR_BAD_SYMBOL},
                                              {"invalid-symbol", NULL, TW_ERROR_BAD_SYMBOL},
                                              {NULL, "symbol-not-support", TW_ERROR_BAD_SYMBOL},
                                              {NULL, "too-many-request", TW_ERROR_RATE_LIMIT_EXCEEDED},
                                              {NULL, "too many request", TW_ERROR_RATE_LIMIT_EXCEEDED},
                                              {NULL, "maintenance", TW_ERROR_ON_MAINTENANCE},
                                              {"gateway-internal-error", NULL, TW_ERROR_EXCHANGE_NOT_AVAILABLE},
                                              {"system-busy", NULL, TW_ERROR_EXCHANGE_NOT_AVAILABLE},
                                              {"timeout", NULL, TW_ERROR_REQUEST_TIMEOUT},
                                              {"api-signature-not-valid", NULL, TW_ERROR_AUTHENTICATION_ERROR},
                                              {"login-required", NULL, TW_ERROR_AUTHENTICATION_ERROR},
                                              {NULL, "forbidden", TW_ERROR_PERMISSION_DENIED},
                                              {"bad-request", NULL, TW_ERROR_BAD_REQUEST},
                                              {NULL, "invalid", TW_ERROR_BAD_REQUEST},
                                              {NULL, NULL, TW_ERROR_NONE}};

const twi_fetch twi_fetch_htx = {
    .name = "htx",
    .rest_url = "https://api.huobi.pro",
    .request_gap_ns = 100 * TWI_NS_PER_MS,
    .timeframes = TIMEFRAMES,
    .calls = {[TWI_FETCH_TICKER] = {.path = "/market/detail/merged?symbol={lower}", .fields = TICKER},
              [TWI_FETCH_ORDER_BOOK] = {.path = "/market/depth?symbol={lower}&type=step0[&depth={limit}]",
                                        .flags = TWI_FETCH_OMIT_OVER,
                                        .choices = {5, 10, 20},
                                        .rows = "tick.bids.#",
                                        .ask_rows = "tick.asks.#",
                                        .fields = BOOK,
                                        .row = LEVEL},
              [TWI_FETCH_TRADES] = {.path = "/market/history/trade?symbol={lower}&size={limit}",
                                    .flags = TWI_FETCH_NEWEST_FIRST,
                                    .limit_default = 100,
                                    .limit_max = 2000,
                                    .rows = "data.#.data.#",
                                    .row = TRADE},
              [TWI_FETCH_OHLCV] = {.path = "/market/history/kline?symbol={lower}&period={tf}&size={limit}",
                                   .flags = TWI_FETCH_NEWEST_FIRST,
                                   .limit_default = 150,
                                   .limit_max = 2000,
                                   .rows = "data.#",
                                   .row = CANDLE}},
    .error_fields = ERROR_FIELDS,
    .error_flag = "error",
    .error_rules = ERRORS};
