/* service.c - see service.h. */
#include "engine/http/service.h"

#include <stdlib.h>
#include <string.h>

#include "engine/stats/exposition.h"

enum { METRICS_EXTRA_BYTES = 4096 };

static void answer(twi_http_service *service, const twi_http_request *request, twi_buffer *out, uint16_t status,
                   const char *content_type, const char *body, size_t body_len)
{
    char head[TWI_HTTP_RESPONSE_HEAD_BYTES + 128];
    twi_http_response_head response = {
        .status = status,
        .keep_alive = request->fields.keep_alive,
        .content_type = content_type,
        .content_length = body_len,
        .extra_headers = "Cache-Control: no-store\r\nAccess-Control-Allow-Origin: *\r\n",
    };
    twi_buffer_append(out, head, twi_http_response_head_write(head, sizeof head, &response));
    if (!twi_slice_equals(request->method, "HEAD"))
        twi_buffer_append(out, body, body_len);
    twi_counter_increment(service->cells, twi_counter_of_http(status));
}

static void answer_error(twi_http_service *service, const twi_http_request *request, twi_buffer *out, uint16_t status,
                         int code, const char *name, const char *message)
{
    twi_buffer body = {0};
    twi_buffer_format(&body, "{\"code\":%d,\"name\":\"%s\",\"message\":", code, name);
    twi_buffer_json_string(&body, message, strlen(message));
    twi_buffer_text(&body, ",\"temporary\":false}\n");
    answer(service, request, out, status, "application/json", (const char *)body.data, body.len);
    twi_buffer_fini(&body);
}

static void answer_health(twi_http_service *service, const twi_http_request *request, twi_buffer *out)
{
    static const char body[] = "{\"status\":\"ok\"}\n";
    answer(service, request, out, 200, "application/json", body, sizeof body - 1);
}

static void answer_readiness(twi_http_service *service, const twi_http_request *request, twi_buffer *out)
{
    static const char ready[] = "{\"status\":\"ready\"}\n", stopping[] = "{\"status\":\"stopping\"}\n";
    int is_ready = atomic_load_explicit(service->ready, memory_order_relaxed);
    if (is_ready)
        answer(service, request, out, 200, "application/json", ready, sizeof ready - 1);
    else
        answer(service, request, out, 503, "application/json", stopping, sizeof stopping - 1);
}

static void answer_metrics(twi_http_service *service, const twi_http_request *request, twi_buffer *out)
{
    size_t cap = twi_exposition_bound(service->counters) + METRICS_EXTRA_BYTES;
    size_t scratch_bytes = twi_histogram_bytes(TWI_HISTOGRAM_SUB_BITS, TWI_HISTOGRAM_VALUE_MAX);
    char *body = malloc(cap);
    twi_histogram *scratch = aligned_alloc(64, (scratch_bytes + 63) / 64 * 64);
    if (body == NULL || scratch == NULL) {
        answer_error(service, request, out, 503, 7, "ExchangeNotAvailable", "no memory for the metrics");
    } else {
        twi_text text = {.out = body, .cap = cap};
        twi_histogram_init(scratch, TWI_HISTOGRAM_SUB_BITS, TWI_HISTOGRAM_VALUE_MAX);
        twi_exposition_counters(&text, service->counters);
        twi_exposition_stages(&text, service->counters, scratch);
        char labels[96] = "";
        twi_text label = {.out = labels, .cap = sizeof labels};
        twi_exposition_label(&label, "version", service->version, strlen(service->version));
        twi_exposition_label(&label, "loop", service->loop_name, strlen(service->loop_name));
        twi_exposition_family(&text, "tickwire_build_info", "gauge", "Version and event loop of this engine");
        twi_exposition_value(&text, "tickwire_build_info", labels, 1);
        twi_exposition_list(&text, "tickwire_loop_feature", "Features that the event loop has active", "feature",
                            service->loop_features);
        answer(service, request, out, 200, "text/plain; version=0.0.4; charset=utf-8", body, text.length);
    }
    free(body);
    free(scratch);
}

void twi_http_service_answer(void *owner, const twi_http_request *request, twi_buffer *out)
{
    twi_http_service *service = owner;
    if (!twi_slice_equals(request->method, "GET") && !twi_slice_equals(request->method, "HEAD"))
        answer_error(service, request, out, 405, 5, "NotSupported", "only GET and HEAD are answered");
    else if (twi_slice_equals(request->path, "/healthz"))
        answer_health(service, request, out);
    else if (twi_slice_equals(request->path, "/readyz"))
        answer_readiness(service, request, out);
    else if (twi_slice_equals(request->path, "/metrics"))
        answer_metrics(service, request, out);
    else
        answer_error(service, request, out, 404, 2, "BadRequest",
                     "nothing here; there are /v1/stream (WebSocket), /healthz, /readyz and /metrics");
}
