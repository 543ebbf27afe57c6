/* deribit_fetch.c - Deribit v2 over REST (JSON-RPC over HTTP GET).
 *
 * Quirks:   candles come as one array per figure and need both ends of a range; "volume" is in base currency, amounts
 *           of inverse contracts are in USD; from a time on, trades are at an endpoint of their own.
 * Source:   docs.deribit.com, public methods and RPC error codes. */
#include "feed/fetch.h"
#include "feed/times.h"

static const twi_fetch_field TICKER[] = {TWI_AT_AS("result.timestamp", TWI_TO_TIME, TWI_AS_MS),
                                         TWI_AT("result.best_bid_price", TW_TICKER_BID),
                                         TWI_AT("result.best_bid_amount", TW_TICKER_BID_VOLUME),
                                         TWI_AT("result.best_ask_price", TW_TICKER_ASK),
                                         TWI_AT("result.best_ask_amount", TW_TICKER_ASK_VOLUME),
                                         TWI_AT("result.last_price", TW_TICKER_LAST),
                                         TWI_AT("result.index_price", TW_TICKER_INDEX_PRICE),
                                         TWI_AT("result.mark_price", TW_TICKER_MARK_PRICE),
                                         TWI_AT("result.stats.high", TW_TICKER_HIGH),
                                         TWI_AT("result.stats.low", TW_TICKER_LOW),
                                         TWI_AT("result.stats.volume", TW_TICKER_BASE_VOLUME),
                                         TWI_AT("result.stats.volume_notional", TW_TICKER_QUOTE_VOLUME),
                                         TWI_AT("result.stats.price_change", TW_TICKER_PERCENTAGE),
                                         {0}};
static const twi_fetch_field BOOK[] = {
    TWI_AT_AS("result.timestamp", TWI_TO_TIME, TWI_AS_MS), TWI_AT("result.change_id", TWI_TO_NONCE), {0}};
static const twi_fetch_field LEVEL[] = {TWI_AT("0", TWI_TO_PRICE), TWI_AT("1", TWI_TO_AMOUNT), {0}};
static const twi_fetch_field TRADE[] = {TWI_AT_AS("timestamp", TWI_TO_TIME, TWI_AS_MS),
                                        TWI_AT("trade_id", TWI_TO_ID),
                                        TWI_AT("price", TWI_TO_PRICE),
                                        TWI_AT("amount", TWI_TO_AMOUNT),
                                        TWI_AT("direction", TWI_TO_SIDE),
                                        {0}};
static const twi_fetch_field CANDLES[] = {TWI_AT_AS("result.ticks.#", TWI_TO_TIME, TWI_AS_MS),
                                          TWI_AT("result.open.#", TWI_TO_OPEN),
                                          TWI_AT("result.high.#", TWI_TO_HIGH),
                                          TWI_AT("result.low.#", TWI_TO_LOW),
                                          TWI_AT("result.close.#", TWI_TO_CLOSE),
                                          TWI_AT("result.volume.#", TWI_TO_VOLUME),
                                          {0}};
static const twi_fetch_timeframe TIMEFRAMES[] = {{"1m", "1", 60},
                                                 {"3m", "3", 180},
                                                 {"5m", "5", 300},
                                                 {"10m", "10", 600},
                                                 {"15m", "15", 900},
                                                 {"30m", "30", 1800},
                                                 {"1h", "60", 3600},
                                                 {"2h", "120", 7200},
                                                 {"3h", "180", 10800},
                                                 {"6h", "360", 21600},
                                                 {"12h", "720", 43200},
                                                 {"1d", "1D", 86400},
                                                 {0}};
static const twi_fetch_field ERROR_FIELDS[] = {TWI_AT("error.code", TWI_TO_CODE),
                                               TWI_AT("error.message", TWI_TO_TEXT),
                                               TWI_AT("error.data.param", TWI_TO_FLAG),
                                               {0}};
static const twi_fetch_error_rule ERRORS[] = {{"13020", NULL, TW_ERROR_BAD_SYMBOL},
                                              {"-32602", "instrument", TW_ERROR_BAD_SYMBOL},
                                              {NULL, "not_found", TW_ERROR_BAD_SYMBOL},
                                              {"10028", NULL, TW_ERROR_RATE_LIMIT_EXCEEDED},
                                              {"10040", NULL, TW_ERROR_EXCHANGE_NOT_AVAILABLE},
                                              {"10041", NULL, TW_ERROR_ON_MAINTENANCE},
                                              {"11051", NULL, TW_ERROR_ON_MAINTENANCE},
                                              {"10047", NULL, TW_ERROR_EXCHANGE_NOT_AVAILABLE},
                                              {"13004", NULL, TW_ERROR_AUTHENTICATION_ERROR},
                                              {"13009", NULL, TW_ERROR_AUTHENTICATION_ERROR},
                                              {"13021", NULL, TW_ERROR_PERMISSION_DENIED},
                                              {"11050", NULL, TW_ERROR_BAD_REQUEST},
                                              {"-32600", NULL, TW_ERROR_BAD_REQUEST},
                                              {"-32601", NULL, TW_ERROR_NOT_SUPPORTED},
                                              {"-32602", NULL, TW_ERROR_BAD_REQUEST},
                                              {NULL, NULL, TW_ERROR_NONE}};
static const twi_fetch_status_rule STATUSES[] = {{400, TW_ERROR_BAD_REQUEST}, {0}};

#define PUBLIC "/api/v2/public/"

const twi_fetch twi_fetch_deribit = {
    .name = "deribit",
    .rest_url = "https://www.deribit.com",
    .sandbox_rest_url = "https://test.deribit.com",
    .sandbox_stream_url = "wss://test.deribit.com/ws/api/v2",
    .request_gap_ns = 50 * TWI_NS_PER_MS,
    .plain_amounts = true,
    .timeframes = TIMEFRAMES,
    .calls = {[TWI_FETCH_TICKER] = {.path = PUBLIC "ticker?instrument_name={id}", .fields = TICKER},
              [TWI_FETCH_ORDER_BOOK] = {.path = PUBLIC "get_order_book?instrument_name={id}[&depth={limit}]",
                                        .choices = {1, 5, 10, 20, 50, 100, 1000, 10000},
                                        .limit_default = 20,
                                        .rows = "result.bids.#",
                                        .ask_rows = "result.asks.#",
                                        .fields = BOOK,
                                        .row = LEVEL},
              [TWI_FETCH_TRADES] = {.path = PUBLIC "get_last_trades_by_instrument?instrument_name={id}[&count={limit}]",
                                    .path_since = PUBLIC "get_last_trades_by_instrument_and_time?instrument_name={id}"
                                                         "&start_timestamp={since_ms}&sorting=asc[&count={limit}]",
                                    .flags = TWI_FETCH_NEWEST_FIRST,
                                    .limit_max = 1000,
                                    .rows = "result.trades.#",
                                    .row = TRADE},
              [TWI_FETCH_OHLCV] = {.path = PUBLIC "get_tradingview_chart_data?instrument_name={id}&resolution={tf}"
                                                  "&start_timestamp={from_ms}&end_timestamp={until_ms}",
                                   .flags = TWI_FETCH_COLUMNS,
                                   .limit_default = 1000,
                                   .limit_max = 5000,
                                   .fields = CANDLES}},
    .error_fields = ERROR_FIELDS,
    .error_rules = ERRORS,
    .status_rules = STATUSES};
