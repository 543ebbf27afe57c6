/* route.c - see route.h. */
#include "engine/http/route.h"

#include <stdio.h>
#include <string.h>

#include "engine/fanout/selection.h"

enum { DEPTH_DEFAULT = 100, CONNECTIONS_DEFAULT = 100, CONNECTIONS_MAX = 1000, SHOWN_MAX = 64 };
#define NS_PER_MS    INT64_C(1000000)
#define SINCE_MS_MAX (INT64_MAX / NS_PER_MS)

static void bad(twi_route *route, uint16_t status, int code, const char *name)
{
    route->kind = TWI_ROUTE_BAD;
    route->status = status;
    route->code = code;
    route->name = name;
}

static int cut(twi_slice *path, const char *prefix)
{
    size_t len = strlen(prefix);
    if (path->len < len || memcmp(path->data, prefix, len) != 0)
        return 0;
    *path = twi_slice_make(path->data + len, path->len - len);
    return 1;
}

/* A whole number of the query: `fallback` if it is not there. 0: it is no number from min to max, the error is set. */
static int number(const twi_http_request *request, twi_route *route, const char *name, int64_t min, int64_t max,
                  int64_t fallback, int64_t *out)
{
    twi_slice text;
    *out = fallback;
    if (!twi_http_query_find(request->query, name, &text))
        return 1;
    int64_t value = 0;
    int good = text.len > 0 && text.len <= 18;
    for (size_t i = 0; good && i < text.len; i++) {
        good = text.data[i] >= '0' && text.data[i] <= '9';
        value = value * 10 + (text.data[i] - '0');
    }
    if (good && value >= min && value <= max) {
        *out = value;
        return 1;
    }
    bad(route, 400, TWI_ERROR_BAD_REQUEST, "BadRequest");
    snprintf(route->message, sizeof route->message, "%s must be a whole number from %lld to %lld", name, (long long)min,
             (long long)max);
    return 0;
}

/* The text for a message, without what a terminal or a page could take for more than text. */
static const char *shown(const char *text, size_t len, char *out)
{
    size_t count = len < SHOWN_MAX ? len : SHOWN_MAX;
    for (size_t i = 0; i < count; i++)
        out[i] = text[i] >= ' ' && text[i] < 0x7f ? text[i] : '?';
    out[count] = '\0';
    return out;
}

/* {exchange}/{symbol}; the symbol may have its slash as it is or as %2F. */
static int instrument(twi_slice path, const tw_symbols *symbols, const twi_route_limits *limits, twi_route *route)
{
    char exchange[TW_EXCHANGE_MAX + 1], symbol[TW_SYMBOL_MAX + 1], shown_exchange[SHOWN_MAX + 1],
        shown_symbol[SHOWN_MAX + 1];
    twi_slice rest = path, first = {0};
    twi_slice_split(&rest, '/', &first);
    if (first.len == 0 || rest.len == 0) {
        bad(route, 404, TWI_ERROR_BAD_REQUEST, "BadRequest");
        snprintf(route->message, sizeof route->message,
                 "the path wants {exchange}/{symbol}, such as binance/BTC%%2FUSDT");
        return 0;
    }
    ptrdiff_t exchange_len = twi_http_path_decode(first, exchange, sizeof exchange);
    ptrdiff_t symbol_len = twi_http_path_decode(rest, symbol, sizeof symbol);
    uint32_t found = TW_INSTRUMENT_NONE;
    if (exchange_len > 0 && symbol_len > 0)
        found = tw_symbols_find(symbols, exchange, (size_t)exchange_len, symbol, (size_t)symbol_len);
    if (found < limits->instrument_count_max) {
        route->key.instrument = found;
        return 1;
    }
    bad(route, 404, TWI_ERROR_BAD_SYMBOL, "BadSymbol");
    snprintf(route->message, sizeof route->message, "%s lists no %s",
             exchange_len > 0 ? shown(exchange, (size_t)exchange_len, shown_exchange) : "the exchange of this path",
             symbol_len > 0 ? shown(symbol, (size_t)symbol_len, shown_symbol) : "symbol of this name");
    return 0;
}

static int rows(const twi_http_request *request, uint32_t rows_max, twi_route *route)
{
    int64_t limit, since_ms;
    if (!number(request, route, "limit", 1, rows_max, rows_max, &limit) ||
        !number(request, route, "since", 0, SINCE_MS_MAX, 0, &since_ms))
        return 0;
    route->key.limit = (uint32_t)limit;
    route->key.since_ns = since_ms * NS_PER_MS;
    route->key.from_oldest = since_ms > 0;
    return 1;
}

static int interval(const twi_http_request *request, twi_route *route)
{
    twi_slice text;
    int found = 1; /* 1m, as in ccxt */
    if (twi_http_query_find(request->query, "interval", &text) ||
        twi_http_query_find(request->query, "timeframe", &text))
        found = twi_candle_interval_find(text.data, text.len);
    if (found < 0) {
        bad(route, 400, TWI_ERROR_NOT_SUPPORTED, "NotSupported");
        snprintf(route->message, sizeof route->message, "interval must be 1s, 1m, 5m, 15m, 1h or 1d");
        return 0;
    }
    route->key.interval = (uint8_t)found;
    return 1;
}

static void query(const twi_http_request *request, twi_slice path, uint8_t kind, const tw_symbols *symbols,
                  const twi_route_limits *limits, twi_route *route)
{
    int64_t depth = 0;
    route->kind = TWI_ROUTE_QUERY;
    route->key.kind = kind;
    if (!instrument(path, symbols, limits, route))
        return;
    if (kind == TWI_QUERY_BOOK) {
        int64_t fallback = DEPTH_DEFAULT < limits->depth_max ? DEPTH_DEFAULT : limits->depth_max;
        if (!number(request, route, "depth", 1, limits->depth_max, fallback, &depth) ||
            !number(request, route, "limit", 1, limits->depth_max, depth, &depth))
            return;
        route->key.limit = (uint32_t)depth;
    } else if (kind == TWI_QUERY_TRADES) {
        rows(request, limits->trades_max, route);
    } else if (kind == TWI_QUERY_OHLCV && interval(request, route)) {
        rows(request, limits->candles_max, route);
    }
}

void twi_route_parse(const twi_http_request *request, const tw_symbols *symbols, const twi_route_limits *limits,
                     twi_route *route)
{
    twi_slice path = request->path;
    memset(&route->key, 0, sizeof route->key);
    route->kind = TWI_ROUTE_UNKNOWN;
    if (!cut(&path, "/v1/")) {
        if (twi_slice_equals(path, "/"))
            route->kind = TWI_ROUTE_PAGE;
        else if (twi_slice_equals(path, "/healthz"))
            route->kind = TWI_ROUTE_HEALTH;
        else if (twi_slice_equals(path, "/readyz"))
            route->kind = TWI_ROUTE_READY;
        else if (twi_slice_equals(path, "/metrics"))
            route->kind = TWI_ROUTE_METRICS;
    } else if (cut(&path, "ticker/")) {
        query(request, path, TWI_QUERY_TICKER, symbols, limits, route);
    } else if (cut(&path, "book/")) {
        query(request, path, TWI_QUERY_BOOK, symbols, limits, route);
    } else if (cut(&path, "trades/")) {
        query(request, path, TWI_QUERY_TRADES, symbols, limits, route);
    } else if (cut(&path, "ohlcv/")) {
        query(request, path, TWI_QUERY_OHLCV, symbols, limits, route);
    } else if (twi_slice_equals(path, "symbols")) {
        route->kind = TWI_ROUTE_SYMBOLS;
        if (!twi_http_query_find(request->query, "exchange", &route->exchange))
            route->exchange = twi_slice_make(NULL, 0);
    } else if (twi_slice_equals(path, "connections")) {
        int64_t limit;
        route->kind = TWI_ROUTE_CONNECTIONS;
        if (number(request, route, "limit", 1, CONNECTIONS_MAX, CONNECTIONS_DEFAULT, &limit))
            route->limit = (uint32_t)limit;
    }
}
