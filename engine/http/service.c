/* service.c - see service.h. */
#include "engine/http/service.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/fanout/selection.h"
#include "engine/http/dashboard.h"
#include "engine/http/render.h"
#include "engine/stats/exposition.h"

enum { METRICS_EXTRA_BYTES = 4096, HEAD_MAX = TWI_HTTP_RESPONSE_HEAD_BYTES + 768 };

static const char json[] = "application/json";

/* ---- open and close ---- */

static uint32_t at_most(uint32_t value, uint32_t most)
{
    return value < most ? value : most;
}

uint32_t twi_http_rows_max(uint32_t trade_history, uint32_t candle_history)
{
    uint32_t more = trade_history > candle_history + 1 ? trade_history : candle_history + 1;
    return at_most(more, TWI_HTTP_ROWS_MAX);
}

tw_status twi_http_service_open(twi_http_service *service, const twi_http_config *config)
{
    memset(service, 0, sizeof *service);
    service->config = *config;
    service->symbol_count = UINT32_MAX;
    service->limits = (twi_route_limits){
        .depth_max = config->depth_max,
        .trades_max = at_most(config->trade_history > 0 ? config->trade_history : 1, TWI_HTTP_ROWS_MAX),
        .candles_max = at_most(config->candle_history + 1, TWI_HTTP_ROWS_MAX),
        .instrument_count_max = config->instrument_count_max,
    };
    int has_origin = config->allow_origin != NULL && config->allow_origin[0] != '\0';
    snprintf(service->extra_headers, sizeof service->extra_headers,
             "Cache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\n%s%s%s",
             has_origin ? "Access-Control-Allow-Origin: " : "", has_origin ? config->allow_origin : "",
             has_origin ? "\r\n" : "");
    twi_answers_config answers = {
        .symbols = config->symbols,
        .versions = config->versions,
        .link = config->link,
        .wake_publisher = config->wake_publisher,
        .wake_owner = config->wake_owner,
        .depth_max = config->depth_max,
        .row_count_max = twi_http_rows_max(config->trade_history, config->candle_history),
        .extra_headers = service->extra_headers,
    };
    return twi_answers_open(&service->answers, &answers);
}

void twi_http_service_close(twi_http_service *service)
{
    twi_answers_close(&service->answers);
    twi_buffer_fini(&service->symbols);
}

/* ---- responses ---- */

typedef struct content {
    uint16_t status;
    const char *type;
    const void *body;
    size_t body_len;
    const char *more_headers; /* behind those of every response; NULL: none */
} content;

static void respond(const twi_http_service *service, const twi_http_request *request, const content *what,
                    twi_buffer *out)
{
    char head[HEAD_MAX], extra[sizeof service->extra_headers + 256];
    snprintf(extra, sizeof extra, "%s%s", service->extra_headers, what->more_headers != NULL ? what->more_headers : "");
    twi_http_response_head response = {
        .status = what->status,
        .keep_alive = request->fields.keep_alive,
        .no_length = what->status == 204,
        .content_type = what->type,
        .content_length = what->body_len,
        .extra_headers = extra,
    };
    twi_buffer_append(out, head, twi_http_response_head_write(head, sizeof head, &response));
    if (!twi_slice_equals(request->method, "HEAD"))
        twi_buffer_append(out, what->body, what->body_len);
    twi_counter_increment(service->config.cells, twi_counter_of_http(what->status));
}

static void respond_text(const twi_http_service *service, const twi_http_request *request, uint16_t status,
                         const char *text, twi_buffer *out)
{
    content what = {.status = status, .type = json, .body = text, .body_len = strlen(text)};
    respond(service, request, &what, out);
}

static void respond_error(const twi_http_service *service, const twi_http_request *request, uint16_t status, int code,
                          const char *name, const char *message, twi_buffer *out)
{
    twi_buffer body = {0};
    twi_render_error(&body, code, name, message, status == 503);
    content what = {.status = status,
                    .type = json,
                    .body = body.data,
                    .body_len = body.len,
                    .more_headers = status == 405 ? "Allow: GET, HEAD, OPTIONS\r\n" : NULL};
    respond(service, request, &what, out);
    twi_buffer_fini(&body);
}

/* The usual case is one copy; other heads than that of a kept connection are rare. */
static void respond_rendered(const twi_http_service *service, const twi_http_request *request,
                             const twi_response *response, twi_buffer *out)
{
    if (request->fields.keep_alive && twi_slice_equals(request->method, "GET")) {
        twi_buffer_append(out, response->data, response->bytes);
        twi_counter_increment(service->config.cells, twi_counter_of_http(response->status));
        return;
    }
    content what = {.status = response->status,
                    .type = json,
                    .body = response->data + response->head_bytes,
                    .body_len = response->bytes - response->head_bytes};
    respond(service, request, &what, out);
}

/* ---- about the engine ---- */

static void respond_metrics(const twi_http_service *service, const twi_http_request *request, twi_buffer *out)
{
    const twi_http_config *config = &service->config;
    size_t cap = twi_exposition_bound(config->counters) + METRICS_EXTRA_BYTES;
    size_t scratch_bytes = twi_histogram_bytes(TWI_HISTOGRAM_SUB_BITS, TWI_HISTOGRAM_VALUE_MAX);
    char *body = malloc(cap);
    twi_histogram *scratch = aligned_alloc(64, (scratch_bytes + 63) / 64 * 64);
    if (body == NULL || scratch == NULL) {
        respond_error(service, request, 503, TWI_ERROR_NOT_AVAILABLE, "ExchangeNotAvailable",
                      "no memory for the metrics", out);
    } else {
        twi_text text = {.out = body, .cap = cap};
        twi_histogram_init(scratch, TWI_HISTOGRAM_SUB_BITS, TWI_HISTOGRAM_VALUE_MAX);
        twi_exposition_counters(&text, config->counters);
        twi_exposition_stages(&text, config->counters, scratch);
        char labels[96] = "";
        twi_text label = {.out = labels, .cap = sizeof labels};
        twi_exposition_label(&label, "version", config->version, strlen(config->version));
        twi_exposition_label(&label, "loop", config->loop_name, strlen(config->loop_name));
        twi_exposition_family(&text, "tickwire_build_info", "gauge", "Version and event loop of this engine");
        twi_exposition_value(&text, "tickwire_build_info", labels, 1);
        twi_exposition_list(&text, "tickwire_loop_feature", "Features that the event loop has active", "feature",
                            config->loop_features);
        content what = {
            .status = 200, .type = "text/plain; version=0.0.4; charset=utf-8", .body = body, .body_len = text.length};
        respond(service, request, &what, out);
    }
    free(body);
    free(scratch);
}

static void respond_buffer(const twi_http_service *service, const twi_http_request *request, const twi_buffer *body,
                           twi_buffer *out)
{
    if (body->failed) {
        respond_error(service, request, 503, TWI_ERROR_NOT_AVAILABLE, "ExchangeNotAvailable",
                      "no memory for this answer", out);
        return;
    }
    content what = {.status = 200, .type = json, .body = body->data, .body_len = body->len};
    respond(service, request, &what, out);
}

static void respond_symbols(twi_http_service *service, const twi_http_request *request, const twi_route *route,
                            twi_buffer *out)
{
    const tw_symbols *symbols = service->config.symbols;
    uint32_t count = tw_symbols_count(symbols);
    if (route->exchange.data != NULL) {
        twi_buffer body = {0};
        twi_render_symbols(symbols, route->exchange, &body);
        respond_buffer(service, request, &body, out);
        twi_buffer_fini(&body);
        return;
    }
    if (count != service->symbol_count || service->symbols.failed) {
        service->symbols.len = 0;
        service->symbols.failed = 0;
        twi_render_symbols(symbols, route->exchange, &service->symbols);
        service->symbol_count = count;
    }
    respond_buffer(service, request, &service->symbols, out);
}

static void respond_connections(const twi_http_service *service, const twi_http_request *request, uint32_t limit,
                                twi_buffer *out)
{
    const twi_http_config *config = &service->config;
    twi_buffer body = {0};
    twi_buffer_format(&body, "{\"open\":%llu,\"subscriptions\":%llu,\"shards\":%u,\"shard\":%u,\"connections\":",
                      (unsigned long long)twi_counters_sum(config->counters, TWI_COUNTER_CONNECTIONS_OPEN),
                      (unsigned long long)twi_counters_sum(config->counters, TWI_COUNTER_SUBSCRIPTIONS),
                      config->shard_count, config->shard_index);
    if (service->shard != NULL)
        twi_shard_describe(service->shard, limit, &body);
    else
        twi_buffer_text(&body, "[]");
    twi_buffer_text(&body, "}\n");
    respond_buffer(service, request, &body, out);
    twi_buffer_fini(&body);
}

static void respond_page(const twi_http_service *service, const twi_http_request *request, twi_buffer *out)
{
    content what = {.status = 200,
                    .type = "text/html; charset=utf-8",
                    .body = twi_dashboard_page,
                    .body_len = twi_dashboard_page_len,
                    .more_headers = "Content-Security-Policy: default-src 'none'; style-src 'unsafe-inline'; "
                                    "script-src 'unsafe-inline'; connect-src 'self' ws: wss:; base-uri 'none'; "
                                    "form-action 'none'\r\n"};
    respond(service, request, &what, out);
}

/* A browser asks whether it may send a token to another origin than the page's. */
static void respond_options(const twi_http_service *service, const twi_http_request *request, twi_buffer *out)
{
    content what = {.status = 204,
                    .body = "",
                    .more_headers = "Allow: GET, HEAD, OPTIONS\r\nAccess-Control-Allow-Methods: GET, HEAD\r\n"
                                    "Access-Control-Allow-Headers: Authorization\r\nAccess-Control-Max-Age: 86400\r\n"};
    respond(service, request, &what, out);
}

/* ---- the handler ---- */

static twi_http_result serve_query(twi_http_service *service, const twi_http_request *request, const twi_query_key *key,
                                   uint32_t *ticket, twi_buffer *out)
{
    const twi_response *response = *ticket != TWI_HTTP_NO_TICKET ? twi_answers_of(&service->answers, *ticket)
                                                                 : twi_answers_find(&service->answers, key);
    if (response != NULL) {
        respond_rendered(service, request, response, out);
        return TWI_HTTP_DONE;
    }
    *ticket = twi_answers_ask(&service->answers, key);
    return *ticket < TWI_QUERIES_MAX ? TWI_HTTP_LATER : TWI_HTTP_FULL;
}

static twi_http_result serve(void *owner, const twi_http_request *request, uint32_t *ticket, twi_buffer *out)
{
    twi_http_service *service = owner;
    twi_route route;
    if (twi_slice_equals(request->method, "OPTIONS")) {
        respond_options(service, request, out);
        return TWI_HTTP_DONE;
    }
    if (!twi_slice_equals(request->method, "GET") && !twi_slice_equals(request->method, "HEAD")) {
        respond_error(service, request, 405, TWI_ERROR_NOT_SUPPORTED, "NotSupported", "only GET and HEAD are answered",
                      out);
        return TWI_HTTP_DONE;
    }
    twi_route_parse(request, service->config.symbols, &service->limits, &route);
    switch (route.kind) {
    case TWI_ROUTE_QUERY:
        return serve_query(service, request, &route.key, ticket, out);
    case TWI_ROUTE_PAGE:
        respond_page(service, request, out);
        break;
    case TWI_ROUTE_HEALTH:
        respond_text(service, request, 200, "{\"status\":\"ok\"}\n", out);
        break;
    case TWI_ROUTE_READY:
        if (atomic_load_explicit(service->config.ready, memory_order_relaxed))
            respond_text(service, request, 200, "{\"status\":\"ready\"}\n", out);
        else
            respond_text(service, request, 503, "{\"status\":\"stopping\"}\n", out);
        break;
    case TWI_ROUTE_METRICS:
        respond_metrics(service, request, out);
        break;
    case TWI_ROUTE_SYMBOLS:
        respond_symbols(service, request, &route, out);
        break;
    case TWI_ROUTE_CONNECTIONS:
        respond_connections(service, request, route.limit, out);
        break;
    case TWI_ROUTE_BAD:
        respond_error(service, request, route.status, route.code, route.name, route.message, out);
        break;
    default:
        respond_error(service, request, 404, TWI_ERROR_BAD_REQUEST, "BadRequest",
                      "nothing here; there are /, /healthz, /readyz, /metrics, /v1/stream (WebSocket), /v1/symbols, "
                      "/v1/connections, and /v1/ticker, /v1/book, /v1/trades, /v1/ohlcv with /{exchange}/{symbol}",
                      out);
    }
    return TWI_HTTP_DONE;
}

static uint32_t answered(void *owner, twi_query *query)
{
    return twi_answers_take(&((twi_http_service *)owner)->answers, query);
}

static void release(void *owner, uint32_t ticket)
{
    twi_answers_release(&((twi_http_service *)owner)->answers, ticket);
}

twi_http_handler twi_http_service_handler(twi_http_service *service)
{
    return (twi_http_handler){.serve = serve, .answered = answered, .release = release, .owner = service};
}
