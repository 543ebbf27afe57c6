/* ws_handshake.h - from HTTP to WebSocket (RFC 6455 section 4), both roles.
 *
 * Server:    twi_http_request_parse, twi_ws_upgrade_check, choose subprotocol and extensions, twi_ws_accept_write; or
 *            twi_ws_reject_write when the check failed.
 * Client:    twi_ws_request_write with 16 random bytes, twi_http_response_parse, twi_ws_response_check.
 * Memory:    slices into the parsed heads; no allocation, no I/O, no random source of its own. Thread: any.
 * Non-goals: routing, authorization, TLS; extension parameters (ws_deflate.h). */
#ifndef TWI_WS_HANDSHAKE_H
#define TWI_WS_HANDSHAKE_H

#include "engine/proto/http.h"

enum {
    TWI_WS_KEY_CHARS = 24,    /* base64 of 16 bytes */
    TWI_WS_ACCEPT_CHARS = 28, /* base64 of a SHA-1 */
    TWI_WS_ACCEPT_BYTES = 512 /* room for a 101 or a refusal with a subprotocol and extensions of this project */
};

/* ---- server ---- */

typedef struct twi_ws_upgrade {
    char accept[TWI_WS_ACCEPT_CHARS];
    const char *error;     /* after TW_MALFORMED: why; static text */
    uint16_t error_status; /* 400, 405 or 426 */
} twi_ws_upgrade;

/* TW_OK: a good upgrade request. TW_EMPTY: no upgrade to WebSocket is asked for, serve it as HTTP. TW_MALFORMED: answer
 * with twi_ws_reject_write(error_status, error). */
tw_status twi_ws_upgrade_check(const twi_http_request *request, twi_ws_upgrade *upgrade);

/* Which of the subprotocols that we speak (`supported`, count) is offered? The client's order decides. Returns its
 * index, -1: none of them is offered (or nothing is: *offered says how many were). */
int twi_ws_protocol_choose(const twi_http_request *request, const char *const *supported, uint32_t supported_count,
                           uint32_t *offered_count);

/* The 101 response. protocol, extensions (the value of Sec-WebSocket-Extensions), server: may be NULL. Bytes written, 0
 * if out_cap is too small. */
size_t twi_ws_accept_write(char *out, size_t out_cap, const twi_ws_upgrade *upgrade, const char *protocol,
                           const char *extensions, const char *server);

/* A refusal with a short text body; Connection: close; 426 names version 13 (RFC 6455 section 4.4). */
size_t twi_ws_reject_write(char *out, size_t out_cap, uint16_t status, const char *text);

/* base64(SHA-1(key + GUID)). */
void twi_ws_accept_key(const char *key, size_t key_len, char accept[TWI_WS_ACCEPT_CHARS]);

/* ---- client ---- */

typedef struct twi_ws_client_request {
    const char *host;          /* with ":port" where it is not the scheme's own */
    const char *target;        /* "/v1/stream?codec=json" */
    const char *protocols;     /* "tickwire.v1.json, ..."; NULL: none */
    const char *extensions;    /* an offer, see ws_deflate.h; NULL: none */
    const char *extra_headers; /* whole lines, each with CRLF: Authorization, Origin, User-Agent; NULL: none */
} twi_ws_client_request;

/* Writes the request; key_bytes: 16 random bytes, fresh for each connection. Bytes written, 0 if out_cap is too small.
 */
size_t twi_ws_request_write(char *out, size_t out_cap, const twi_ws_client_request *request,
                            const uint8_t key_bytes[16]);

typedef struct twi_ws_client_answer {
    twi_slice protocol;   /* chosen; data NULL: none */
    twi_slice extensions; /* accepted, to be checked by whoever offered; data NULL: none */
    const char *error;    /* after a failure: why; static text */
} twi_ws_client_answer;

/* Checks the server's answer against our request. TW_OK: open. TW_UNAVAILABLE: an HTTP status other than 101 (in
 * response->status). TW_MALFORMED: an answer that breaks the handshake, among them a subprotocol or an extension that
 * was not asked for. */
tw_status twi_ws_response_check(const twi_http_response *response, const twi_ws_client_request *request,
                                const uint8_t key_bytes[16], twi_ws_client_answer *answer);

#endif
