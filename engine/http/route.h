/* route.h - the path and query of a request as a question: which instrument, what of it, how much.
 *
 * Thread:   pure, but for a look at the symbol table. No allocation.
 * Errors:   a status, an error name of the protocol and a text that says what is wanted. */
#ifndef TWI_HTTP_ROUTE_H
#define TWI_HTTP_ROUTE_H

#include "engine/fanout/query.h"
#include "engine/proto/http.h"
#include "tickwire/symbols.h"

enum { TWI_ROUTE_MESSAGE_MAX = 192 };

typedef enum twi_route_kind {
    TWI_ROUTE_UNKNOWN = 0,
    TWI_ROUTE_PAGE, /* the dashboard */
    TWI_ROUTE_HEALTH,
    TWI_ROUTE_READY,
    TWI_ROUTE_METRICS,
    TWI_ROUTE_SYMBOLS,
    TWI_ROUTE_CONNECTIONS,
    TWI_ROUTE_QUERY, /* ticker, book, trades, ohlcv: *key is filled in */
    TWI_ROUTE_BAD    /* the error is filled in */
} twi_route_kind;

typedef struct twi_route_limits {
    uint32_t depth_max; /* levels a side */
    uint32_t trades_max, candles_max;
    uint32_t instrument_count_max;
} twi_route_limits;

typedef struct twi_route {
    twi_route_kind kind;
    twi_query_key key;
    uint32_t limit;     /* CONNECTIONS */
    twi_slice exchange; /* SYMBOLS: only of this one; data NULL: all */
    uint16_t status;
    int code;
    const char *name;
    char message[TWI_ROUTE_MESSAGE_MAX];
} twi_route;

void twi_route_parse(const twi_http_request *request, const tw_symbols *symbols, const twi_route_limits *limits,
                     twi_route *route);

#endif
