/* rest.h - HTTP requests beside the stream: libcurl in one worker thread, answers back in the loop's thread.
 *
 * Usage:    twi_rest_start() and go on; the answer comes from twi_rest_step(), which the loop's thread calls after the
 *           worker woke it. Several requests are under way at once, over connections that stay open.
 * Limits:   answers over body_bytes_max, redirects and other schemes than http and https are refused.
 * TLS:      as tls.h: certificate and host are checked, always.
 * Memory:   control path: requests and bodies are allocated (by the worker).
 * Thread:   the loop's; close() waits for the worker, which gives up what is under way.
 * Non-goals: pacing and retries (whoever asks knows the venue's budget), uploads. */
#ifndef TWI_REST_H
#define TWI_REST_H

#include <stddef.h>
#include <stdint.h>

#include "engine/connect/resolve.h"
#include "tickwire/status.h"

typedef struct twi_rest twi_rest;

typedef struct twi_rest_answer {
    int status;            /* HTTP status; 0: none came, error says why */
    int32_t retry_after_s; /* header Retry-After; 0: none */
    const char *url;
    const uint8_t *body; /* never NULL */
    size_t body_len;
    const char *error; /* "" if an answer came */
    uint64_t tag;      /* of the request */
} twi_rest_answer;

/* Everything lives during the call only. */
typedef void (*twi_rest_done_fn)(void *owner, const twi_rest_answer *answer);

typedef struct twi_rest_request {
    const char *url;
    int post;              /* 1: POST with body (or an empty one), else GET */
    const char *body;      /* NULL: none */
    const char *headers;   /* whole lines without CR, each ended by LF; NULL: none */
    const char *proxy;     /* URL, "none", or NULL or "": from the environment */
    const char *ca_file;   /* NULL or "": the system's authorities */
    uint8_t tls_minor_min; /* as of twi_tls_options */
    int64_t timeout_ns;    /* of the whole; 0: 10 s */
    size_t body_bytes_max; /* 0: 64 MiB */
    twi_rest_done_fn done;
    void *owner;
    uint64_t tag; /* the caller's own */
} twi_rest_request;

/* wake: called from the worker when step() has something to do, never after close(). TW_NO_MEMORY; TW_UNAVAILABLE: no
 * thread. */
TW_MUST_USE tw_status twi_rest_open(twi_wake_fn wake, void *wake_owner, twi_rest **rest);
void twi_rest_close(twi_rest *rest);
/* Copies what it needs. TW_NO_MEMORY. */
TW_MUST_USE tw_status twi_rest_start(twi_rest *rest, const twi_rest_request *request);
/* The owner's requests get no answer any more. */
void twi_rest_forget(twi_rest *rest, const void *owner);
uint32_t twi_rest_step(twi_rest *rest);

#endif
