/* bybit_fetch.c - Bybit v5 over REST.
 *
 * Quirks:   every request names the category; the change is a ratio; inverse contracts count volume in USD and, in
 *           another member, in base currency; trades cannot be asked from a time on (60 of spot, 1000 of contracts).
 * Source:   bybit-exchange.github.io/docs/v5/market. */
#include "feed/fetch.h"
#include "feed/times.h"

static const char *const CATEGORIES[] = {[TWI_CATEGORY_SPOT] = "spot",
                                         [TWI_CATEGORY_LINEAR] = "linear",
                                         [TWI_CATEGORY_INVERSE] = "inverse",
                                         [TWI_CATEGORY_OPTION] = "option"};
static const twi_fetch_field TICKER[] = {
    TWI_AT_AS("time", TWI_TO_TIME, TWI_AS_MS),
    TWI_AT("result.list.0.bid1Price", TW_TICKER_BID),
    TWI_AT("result.list.0.bid1Size", TW_TICKER_BID_VOLUME),
    TWI_AT("result.list.0.ask1Price", TW_TICKER_ASK),
    TWI_AT("result.list.0.ask1Size", TW_TICKER_ASK_VOLUME),
    TWI_AT("result.list.0.lastPrice", TW_TICKER_LAST),
    TWI_AT("result.list.0.prevPrice24h", TW_TICKER_OPEN),
    TWI_AT_AS("result.list.0.price24hPcnt", TW_TICKER_PERCENTAGE, TWI_AS_RATIO),
    TWI_AT("result.list.0.highPrice24h", TW_TICKER_HIGH),
    TWI_AT("result.list.0.lowPrice24h", TW_TICKER_LOW),
    {"result.list.0.volume24h", TW_TICKER_BASE_VOLUME, TWI_AS_PLAIN, TWI_NOT_INVERSE},
    {"result.list.0.turnover24h", TW_TICKER_QUOTE_VOLUME, TWI_AS_PLAIN, TWI_NOT_INVERSE},
    {"result.list.0.volume24h", TW_TICKER_QUOTE_VOLUME, TWI_AS_PLAIN, TWI_INVERSE},
    {"result.list.0.turnover24h", TW_TICKER_BASE_VOLUME, TWI_AS_PLAIN, TWI_INVERSE},
    TWI_AT("result.list.0.indexPrice", TW_TICKER_INDEX_PRICE),
    TWI_AT("result.list.0.markPrice", TW_TICKER_MARK_PRICE),
    {0}};
static const twi_fetch_field BOOK[] = {
    TWI_AT_AS("result.ts", TWI_TO_TIME, TWI_AS_MS), TWI_AT("result.u", TWI_TO_NONCE), {0}};
static const twi_fetch_field LEVEL[] = {TWI_AT("0", TWI_TO_PRICE), TWI_AT("1", TWI_TO_AMOUNT), {0}};
static const twi_fetch_field TRADE[] = {TWI_AT_AS("time", TWI_TO_TIME, TWI_AS_MS),
                                        TWI_AT("execId", TWI_TO_ID),
                                        TWI_AT("price", TWI_TO_PRICE),
                                        TWI_AT("size", TWI_TO_AMOUNT),
                                        TWI_AT("side", TWI_TO_SIDE),
                                        {0}};
static const twi_fetch_field CANDLE[] = {TWI_AT_AS("0", TWI_TO_TIME, TWI_AS_MS),
                                         TWI_AT("1", TWI_TO_OPEN),
                                         TWI_AT("2", TWI_TO_HIGH),
                                         TWI_AT("3", TWI_TO_LOW),
                                         TWI_AT("4", TWI_TO_CLOSE),
                                         {"5", TWI_TO_VOLUME, TWI_AS_PLAIN, TWI_NOT_INVERSE},
                                         {"6", TWI_TO_VOLUME, TWI_AS_PLAIN, TWI_INVERSE},
                                         {0}};
static const twi_fetch_timeframe TIMEFRAMES[] = {{"1m", "1", 60},      {"3m", "3", 180},
                                                 {"5m", "5", 300},     {"15m", "15", 900},
                                                 {"30m", "30", 1800},  {"1h", "60", 3600},
                                                 {"2h", "120", 7200},  {"4h", "240", 14400},
                                                 {"6h", "360", 21600}, {"12h", "720", 43200},
                                                 {"1d", "D", 86400},   {"1w", "W", 604800},
                                                 {"1M", "M", 2592000}, {0}};
static const twi_fetch_field ERROR_FIELDS[] = {TWI_AT("retCode", TWI_TO_CODE), TWI_AT("retMsg", TWI_TO_TEXT), {0}};
static const twi_fetch_error_rule ERRORS[] = {{"10001", "symbol", TW_ERROR_BAD_SYMBOL},
                                              {"10029", NULL, TW_ERROR_BAD_SYMBOL},
                                              {"10001", NULL, TW_ERROR_BAD_REQUEST},
                                              {"10002", NULL, TW_ERROR_INVALID_NONCE},
                                              {"10000", NULL, TW_ERROR_REQUEST_TIMEOUT},
                                              {"10003", NULL, TW_ERROR_AUTHENTICATION_ERROR},
                                              {"10004", NULL, TW_ERROR_AUTHENTICATION_ERROR},
                                              {"10005", NULL, TW_ERROR_PERMISSION_DENIED},
                                              {"10006", NULL, TW_ERROR_RATE_LIMIT_EXCEEDED},
                                              {"10007", NULL, TW_ERROR_AUTHENTICATION_ERROR},
                                              {"10009", NULL, TW_ERROR_RESTRICTED_LOCATION},
                                              {"10010", NULL, TW_ERROR_PERMISSION_DENIED},
                                              {"10016", NULL, TW_ERROR_EXCHANGE_NOT_AVAILABLE},
                                              {"10018", NULL, TW_ERROR_RATE_LIMIT_EXCEEDED},
                                              {"10019", NULL, TW_ERROR_ON_MAINTENANCE},
                                              {"10024", NULL, TW_ERROR_RESTRICTED_LOCATION},
                                              {"10429", NULL, TW_ERROR_RATE_LIMIT_EXCEEDED},
                                              {NULL, NULL, TW_ERROR_NONE}};
static const twi_fetch_status_rule STATUSES[] = {{403, TW_ERROR_RATE_LIMIT_EXCEEDED}, /* 600 in 5 s: 10 minutes' ban */
                                                 {0}};

#define OF "?category={category}&symbol={id}"

const twi_fetch twi_fetch_bybit = {
    .name = "bybit",
    .rest_url = "https://api.bybit.com",
    .sandbox_rest_url = "https://api-testnet.bybit.com",
    .request_gap_ns = 20 * TWI_NS_PER_MS,
    .categories = CATEGORIES,
    .timeframes = TIMEFRAMES,
    .calls = {[TWI_FETCH_TICKER] = {.path = "/v5/market/tickers" OF, .fields = TICKER},
              [TWI_FETCH_ORDER_BOOK] = {.path = "/v5/market/orderbook" OF "[&limit={limit}]",
                                        .limit_default = 50,
                                        .limit_max = 200,
                                        .rows = "result.b.#",
                                        .ask_rows = "result.a.#",
                                        .fields = BOOK,
                                        .row = LEVEL},
              [TWI_FETCH_TRADES] = {.path = "/v5/market/recent-trade" OF "[&limit={limit}]",
                                    .flags = TWI_FETCH_NEWEST_FIRST,
                                    .limit_max = 1000,
                                    .rows = "result.list.#",
                                    .row = TRADE},
              [TWI_FETCH_OHLCV] = {.path = "/v5/market/kline" OF "&interval={tf}[&start={since_ms}][&limit={limit}]",
                                   .flags = TWI_FETCH_NEWEST_FIRST,
                                   .limit_default = 200,
                                   .limit_max = 1000,
                                   .rows = "result.list.#",
                                   .row = CANDLE}},
    .error_fields = ERROR_FIELDS,
    .ok_code = "0",
    .error_rules = ERRORS,
    .status_rules = STATUSES};
