/* kucoin_fetch.c - KuCoin spot over REST (classic API).
 *
 * Quirks:   public books have 20 or 100 levels; candles are [time, open, close, high, low, volume, turnover], newest
 *           first; the last 100 trades are all there is.
 * Source:   kucoin.com/docs-new, spot market data. */
#include "feed/fetch.h"
#include "feed/times.h"

static const twi_fetch_field TICKER[] = {TWI_AT_AS("data.time", TWI_TO_TIME, TWI_AS_MS),
                                         TWI_AT("data.buy", TW_TICKER_BID),
                                         TWI_AT("data.bestBidSize", TW_TICKER_BID_VOLUME),
                                         TWI_AT("data.sell", TW_TICKER_ASK),
                                         TWI_AT("data.bestAskSize", TW_TICKER_ASK_VOLUME),
                                         TWI_AT_AS("data.changeRate", TW_TICKER_PERCENTAGE, TWI_AS_RATIO),
                                         TWI_AT("data.changePrice", TW_TICKER_CHANGE),
                                         TWI_AT("data.high", TW_TICKER_HIGH),
                                         TWI_AT("data.low", TW_TICKER_LOW),
                                         TWI_AT("data.vol", TW_TICKER_BASE_VOLUME),
                                         TWI_AT("data.volValue", TW_TICKER_QUOTE_VOLUME),
                                         TWI_AT("data.last", TW_TICKER_LAST),
                                         {0}};
static const twi_fetch_field BOOK[] = {
    TWI_AT_AS("data.time", TWI_TO_TIME, TWI_AS_MS), TWI_AT("data.sequence", TWI_TO_NONCE), {0}};
static const twi_fetch_field LEVEL[] = {TWI_AT("0", TWI_TO_PRICE), TWI_AT("1", TWI_TO_AMOUNT), {0}};
static const twi_fetch_field TRADE[] = {TWI_AT_AS("time", TWI_TO_TIME, TWI_AS_NS),
                                        TWI_AT("sequence", TWI_TO_ID),
                                        TWI_AT("price", TWI_TO_PRICE),
                                        TWI_AT("size", TWI_TO_AMOUNT),
                                        TWI_AT("side", TWI_TO_SIDE),
                                        {0}};
static const twi_fetch_field CANDLE[] = {TWI_AT_AS("0", TWI_TO_TIME, TWI_AS_S),
                                         TWI_AT("1", TWI_TO_OPEN),
                                         TWI_AT("2", TWI_TO_CLOSE),
                                         TWI_AT("3", TWI_TO_HIGH),
                                         TWI_AT("4", TWI_TO_LOW),
                                         TWI_AT("5", TWI_TO_VOLUME),
                                         {0}};
static const twi_fetch_timeframe TIMEFRAMES[] = {
    {"1m", "1min", 60},      {"3m", "3min", 180},       {"5m", "5min", 300},
    {"15m", "15min", 900},   {"30m", "30min", 1800},    {"1h", "1hour", 3600},
    {"2h", "2hour", 7200},   {"4h", "4hour", 14400},    {"6h", "6hour", 21600},
    {"8h", "8hour", 28800},  {"12h", "12hour", 43200},  {"1d", "1day", 86400},
    {"1w", "1week", 604800}, {"1M", "1month", 2592000}, {0}};
static const twi_fetch_field ERROR_FIELDS[] = {TWI_AT("code", TWI_TO_CODE), TWI_AT("msg", TWI_TO_TEXT), {0}};
static const twi_fetch_error_rule ERRORS[] = {{"900001", NULL, TW_ERROR_BAD_SYMBOL},
                                              {"400100", "symbol", TW_ERROR_BAD_SYMBOL},
                                              {NULL, "symbol not exist", TW_ERROR_BAD_SYMBOL},
                                              {"429000", NULL, TW_ERROR_RATE_LIMIT_EXCEEDED},
                                              {"1015", NULL, TW_ERROR_RATE_LIMIT_EXCEEDED},
                                              {"200002", NULL, TW_ERROR_RATE_LIMIT_EXCEEDED},
                                              {"500000", NULL, TW_ERROR_EXCHANGE_NOT_AVAILABLE},
                                              {NULL, "maintenance", TW_ERROR_ON_MAINTENANCE},
                                              {"400002", NULL, TW_ERROR_INVALID_NONCE},
                                              {"400001", NULL, TW_ERROR_AUTHENTICATION_ERROR},
                                              {"400003", NULL, TW_ERROR_AUTHENTICATION_ERROR},
                                              {"400004", NULL, TW_ERROR_AUTHENTICATION_ERROR},
                                              {"400005", NULL, TW_ERROR_AUTHENTICATION_ERROR},
                                              {"400006", NULL, TW_ERROR_PERMISSION_DENIED},
                                              {"400007", NULL, TW_ERROR_PERMISSION_DENIED},
                                              {"400302", NULL, TW_ERROR_RESTRICTED_LOCATION},
                                              {"411100", NULL, TW_ERROR_ACCOUNT_SUSPENDED},
                                              {"400100", NULL, TW_ERROR_BAD_REQUEST},
                                              {"900014", NULL, TW_ERROR_BAD_REQUEST},
                                              {"404", NULL, TW_ERROR_NOT_SUPPORTED},
                                              {NULL, NULL, TW_ERROR_NONE}};
static const twi_fetch_status_rule STATUSES[] = {{400, TW_ERROR_BAD_REQUEST}, {403, TW_ERROR_PERMISSION_DENIED}, {0}};

const twi_fetch twi_fetch_kucoin = {
    .name = "kucoin",
    .rest_url = "https://api.kucoin.com",
    .request_gap_ns = 10 * TWI_NS_PER_MS,
    .timeframes = TIMEFRAMES,
    .calls = {[TWI_FETCH_TICKER] = {.path = "/api/v1/market/stats?symbol={id}", .fields = TICKER},
              [TWI_FETCH_ORDER_BOOK] = {.path = "/api/v1/market/orderbook/level2_{limit}?symbol={id}",
                                        .choices = {20, 100},
                                        .limit_default = 100,
                                        .rows = "data.bids.#",
                                        .ask_rows = "data.asks.#",
                                        .fields = BOOK,
                                        .row = LEVEL},
              [TWI_FETCH_TRADES] = {.path = "/api/v1/market/histories?symbol={id}", .rows = "data.#", .row = TRADE},
              [TWI_FETCH_OHLCV] = {.path = "/api/v1/market/candles?symbol={id}&type={tf}&startAt={from_s}"
                                           "&endAt={until_s}",
                                   .flags = TWI_FETCH_NEWEST_FIRST,
                                   .limit_default = 1500,
                                   .limit_max = 1500,
                                   .rows = "data.#",
                                   .row = CANDLE}},
    .error_fields = ERROR_FIELDS,
    .ok_code = "200000",
    .error_rules = ERRORS,
    .status_rules = STATUSES};
