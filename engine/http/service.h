/* service.h - what the engine answers over HTTP: about itself (/healthz /readyz /metrics /v1/connections), about the
 * market (/v1/symbols /v1/ticker /v1/book /v1/trades /v1/ohlcv), and the dashboard page (/).
 *
 * Thread:  its shard's. Market state is the publisher's; what needs it is asked through the shard's link and answered
 *          later (answers.h). Everything else is counters and the symbol table, which any thread may read.
 * Output:  responses are appended to the shard's buffer, never written to a socket here.
 * Methods: GET and HEAD; OPTIONS for browsers that ask before they send a token to another origin.
 * Errors:  JSON objects of the wire protocol's form ({"code","name","message","temporary"}). */
#ifndef TWI_HTTP_SERVICE_H
#define TWI_HTTP_SERVICE_H

#include <stdatomic.h>

#include "engine/fanout/shard.h"
#include "engine/http/answers.h"
#include "engine/http/route.h"
#include "engine/stats/counters.h"

enum { TWI_HTTP_ROWS_MAX = 5000 }; /* of one answer */

typedef struct twi_http_config {
    const twi_counters *counters;
    twi_cells *cells;         /* the answering shard's own, for its responses */
    const _Atomic int *ready; /* the engine's: 1 while it serves */
    const char *version;
    const char *loop_name, *loop_features;
    const char *allow_origin; /* Access-Control-Allow-Origin; "": the header is not sent */
    const tw_symbols *symbols;
    const twi_versions *versions;
    uint32_t instrument_count_max;
    twi_join_link *link;
    void (*wake_publisher)(void *owner);
    void *wake_owner;
    uint32_t depth_max, trade_history, candle_history;
    uint32_t shard_index, shard_count;
} twi_http_config;

typedef struct twi_http_service {
    twi_http_config config;
    const twi_shard *shard; /* set once it is open */
    twi_answers answers;
    twi_route_limits limits;
    char extra_headers[400];
    twi_buffer symbols; /* rendered list of all instruments */
    uint32_t symbol_count;
} twi_http_service;

TW_MUST_USE tw_status twi_http_service_open(twi_http_service *service, const twi_http_config *config);
void twi_http_service_close(twi_http_service *service);
/* For the shard's configuration. */
twi_http_handler twi_http_service_handler(twi_http_service *service);
/* Rows that one answer may have, for this configuration. */
uint32_t twi_http_rows_max(uint32_t trade_history, uint32_t candle_history);

#endif
