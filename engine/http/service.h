/* service.h - what the engine answers over HTTP about itself: /healthz, /readyz, /metrics.
 *
 * Thread:  any shard; reads counters only. Answers are appended to the shard's buffer, never written to a socket
 *          here.
 * Errors:  JSON objects of the wire protocol's form ({"code","name","message","temporary"}). */
#ifndef TWI_HTTP_SERVICE_H
#define TWI_HTTP_SERVICE_H

#include <stdatomic.h>

#include "engine/fanout/buffer.h"
#include "engine/proto/http.h"
#include "engine/stats/counters.h"

typedef struct twi_http_service {
    const twi_counters *counters;
    twi_cells *cells;         /* the answering shard's own, for its responses */
    const _Atomic int *ready; /* the engine's: 1 while it serves */
    const char *version;
    const char *loop_name, *loop_features;
} twi_http_service;

/* twi_http_handler (shard.h); owner is a twi_http_service. */
void twi_http_service_answer(void *owner, const twi_http_request *request, twi_buffer *out);

#endif
