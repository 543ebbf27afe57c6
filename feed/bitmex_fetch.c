/* bitmex_fetch.c - BitMEX over REST.
 *
 * Quirks:   a candle's time is that of its end; amounts and volumes are in contracts; the book is one list of rows with
 *           sides; 30 requests a minute without a key.
 * Source:   bitmex.com/api/explorer. */
#include "feed/fetch.h"
#include "feed/times.h"

static const twi_fetch_field TICKER[] = {TWI_AT_AS("0.timestamp", TWI_TO_TIME, TWI_AS_ISO),
                                         TWI_AT("0.lastPrice", TW_TICKER_LAST),
                                         TWI_AT("0.prevPrice24h", TW_TICKER_OPEN),
                                         TWI_AT("0.highPrice", TW_TICKER_HIGH),
                                         TWI_AT("0.lowPrice", TW_TICKER_LOW),
                                         TWI_AT("0.bidPrice", TW_TICKER_BID),
                                         TWI_AT("0.askPrice", TW_TICKER_ASK),
                                         TWI_AT("0.vwap", TW_TICKER_VWAP),
                                         TWI_AT_AS("0.lastChangePcnt", TW_TICKER_PERCENTAGE, TWI_AS_RATIO),
                                         TWI_AT("0.homeNotional24h", TW_TICKER_BASE_VOLUME),
                                         TWI_AT("0.foreignNotional24h", TW_TICKER_QUOTE_VOLUME),
                                         TWI_AT("0.markPrice", TW_TICKER_MARK_PRICE),
                                         TWI_AT("0.indicativeSettlePrice", TW_TICKER_INDEX_PRICE),
                                         {0}};
static const twi_fetch_field BOOK[] = {TWI_AT_AS("0.timestamp", TWI_TO_TIME, TWI_AS_ISO), {0}};
static const twi_fetch_field LEVEL[] = {
    TWI_AT("side", TWI_TO_SIDE), TWI_AT("size", TWI_TO_AMOUNT), TWI_AT("price", TWI_TO_PRICE), {0}};
static const twi_fetch_field TRADE[] = {TWI_AT_AS("timestamp", TWI_TO_TIME, TWI_AS_ISO),
                                        TWI_AT("trdMatchID", TWI_TO_ID),
                                        TWI_AT("price", TWI_TO_PRICE),
                                        TWI_AT("size", TWI_TO_AMOUNT),
                                        TWI_AT("side", TWI_TO_SIDE),
                                        {0}};
static const twi_fetch_field CANDLE[] = {TWI_AT_AS("timestamp", TWI_TO_TIME, TWI_AS_ISO),
                                         TWI_AT("open", TWI_TO_OPEN),
                                         TWI_AT("high", TWI_TO_HIGH),
                                         TWI_AT("low", TWI_TO_LOW),
                                         TWI_AT("close", TWI_TO_CLOSE),
                                         TWI_AT("volume", TWI_TO_VOLUME),
                                         {0}};
static const twi_fetch_timeframe TIMEFRAMES[] = {
    {"1m", "1m", 60}, {"5m", "5m", 300}, {"1h", "1h", 3600}, {"1d", "1d", 86400}, {0}};
static const twi_fetch_field ERROR_FIELDS[] = {
    TWI_AT("error.name", TWI_TO_FLAG), TWI_AT("error.message", TWI_TO_TEXT), {0}};
static const twi_fetch_error_rule ERRORS[] = {{NULL, "rate limit", TW_ERROR_RATE_LIMIT_EXCEEDED},
                                              {NULL, "symbol", TW_ERROR_BAD_SYMBOL},
                                              {NULL, "overloaded", TW_ERROR_EXCHANGE_NOT_AVAILABLE},
                                              {NULL, "downtime", TW_ERROR_ON_MAINTENANCE},
                                              {NULL, "maintenance", TW_ERROR_ON_MAINTENANCE},
                                              {NULL, "Invalid API Key", TW_ERROR_AUTHENTICATION_ERROR},
                                              {NULL, "Signature", TW_ERROR_AUTHENTICATION_ERROR},
                                              {NULL, "Access Denied", TW_ERROR_PERMISSION_DENIED},
                                              {NULL, "invalid", TW_ERROR_BAD_REQUEST},
                                              {NULL, NULL, TW_ERROR_NONE}};
static const twi_fetch_status_rule STATUSES[] = {
    {400, TW_ERROR_BAD_REQUEST}, {403, TW_ERROR_PERMISSION_DENIED}, {404, TW_ERROR_BAD_SYMBOL}, {0}};

const twi_fetch twi_fetch_bitmex = {
    .name = "bitmex",
    .rest_url = "https://www.bitmex.com",
    .sandbox_rest_url = "https://testnet.bitmex.com",
    .sandbox_stream_url = "wss://ws.testnet.bitmex.com/realtime",
    .request_gap_ns = 2 * TWI_NS_PER_S,
    .timeframes = TIMEFRAMES,
    .calls = {[TWI_FETCH_TICKER] = {.path = "/api/v1/instrument?symbol={id}", .fields = TICKER},
              [TWI_FETCH_ORDER_BOOK] = {.path = "/api/v1/orderBook/L2?symbol={id}[&depth={limit}]",
                                        .rows = "#",
                                        .fields = BOOK,
                                        .row = LEVEL},
              [TWI_FETCH_TRADES] = {.path = "/api/v1/trade?symbol={id}&reverse=true[&count={limit}]",
                                    .path_since = "/api/v1/trade?symbol={id}&startTime={since_iso}[&count={limit}]",
                                    .flags = TWI_FETCH_NEWEST_FIRST,
                                    .limit_max = 1000,
                                    .rows = "#",
                                    .row = TRADE},
              [TWI_FETCH_OHLCV] = {.path = "/api/v1/trade/bucketed?symbol={id}&binSize={tf}&partial=true&reverse=true"
                                           "[&count={limit}]",
                                   .path_since = "/api/v1/trade/bucketed?symbol={id}&binSize={tf}&partial=true"
                                                 "&startTime={end_iso}[&count={limit}]",
                                   .flags = TWI_FETCH_NEWEST_FIRST | TWI_FETCH_CLOSE_TIMES,
                                   .limit_default = 100,
                                   .limit_max = 1000,
                                   .rows = "#",
                                   .row = CANDLE}},
    .error_fields = ERROR_FIELDS,
    .error_rules = ERRORS,
    .status_rules = STATUSES};
