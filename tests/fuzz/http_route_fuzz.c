/* http_route_fuzz.c - any path and query as a question about the market: what is accepted is inside of the limits, what
 * is refused has a status, a name and a text. */
#include <stdlib.h>
#include <string.h>

#include "engine/base/assert.h"
#include "engine/http/route.h"

enum { TARGET_BYTES_MAX = 4096, INSTRUMENTS = 2 };

static const twi_route_limits limits = {
    .depth_max = 50, .trades_max = 200, .candles_max = 241, .instrument_count_max = INSTRUMENTS};

static const tw_symbols *symbols(void)
{
    static tw_symbols *table;
    uint32_t instrument;
    if (table == NULL) {
        table = tw_symbols_init(aligned_alloc(64, (tw_symbols_size(4) + 63) / 64 * 64), 4);
        TWI_ASSERT(tw_symbols_intern(table, "sim", 3, "BTC/USDT", 8, "BTCUSDT", 7, &instrument) == TW_OK);
        TWI_ASSERT(tw_symbols_intern(table, "sim", 3, "BTC/USDT:USDT", 13, "P", 1, &instrument) == TW_OK);
        TWI_ASSERT(tw_symbols_intern(table, "sim", 3, "one too many", 12, "X", 1, &instrument) == TW_OK);
    }
    return table;
}

static void check_key(const twi_query_key *key)
{
    TWI_ASSERT(key->instrument < INSTRUMENTS && key->since_ns >= 0);
    switch (key->kind) {
    case TWI_QUERY_TICKER:
        break;
    case TWI_QUERY_BOOK:
        TWI_ASSERT(key->limit >= 1 && key->limit <= limits.depth_max);
        break;
    case TWI_QUERY_TRADES:
        TWI_ASSERT(key->limit >= 1 && key->limit <= limits.trades_max);
        break;
    default:
        TWI_ASSERT(key->kind == TWI_QUERY_OHLCV && key->interval < TWI_CANDLE_INTERVALS);
        TWI_ASSERT(key->limit >= 1 && key->limit <= limits.candles_max);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

/* The input is a request target; only what an HTTP head can carry gets to the route. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    static const char before[] = "GET ", behind[] = " HTTP/1.1\r\nHost: x\r\n\r\n";
    if (len > TARGET_BYTES_MAX)
        return 0;
    size_t head_len = sizeof before - 1 + len + sizeof behind - 1;
    uint8_t *head = malloc(head_len);
    TWI_ASSERT(head != NULL);
    memcpy(head, before, sizeof before - 1);
    if (len > 0)
        memcpy(head + sizeof before - 1, data, len);
    memcpy(head + sizeof before - 1 + len, behind, sizeof behind - 1);
    static twi_http_request request;
    twi_route route;
    if (twi_http_request_parse(head, head_len, 0, NULL, &request) == TW_OK) {
        twi_route_parse(&request, symbols(), &limits, &route);
        if (route.kind == TWI_ROUTE_QUERY)
            check_key(&route.key);
        if (route.kind == TWI_ROUTE_BAD) {
            TWI_ASSERT(route.status >= 400 && route.status < 500 && route.code > 0 && strlen(route.name) > 0);
            TWI_ASSERT(memchr(route.message, '\0', sizeof route.message) != NULL && route.message[0] != '\0');
        }
    }
    free(head);
    return 0;
}
