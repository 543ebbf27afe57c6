/* tls.h - TLS as a client over bytes in memory: what arrives goes in, what is to be sent comes out. OpenSSL behind it.
 *
 * Checks:   the peer's certificate against the system's authorities (or ca_file instead of them), its names or
 *           addresses against the host that was dialed, TLS 1.2 at least. No switch turns any of this off.
 * Usage:    twi_tls_open(), then per received piece twi_tls_receive() and twi_tls_handshake() until TW_OK, from then on
 *           twi_tls_read() until TW_NEED_MORE. Bytes for the peer go through `send`, whenever there are any.
 * Memory:   OpenSSL allocates for the handshake, and keeps two record buffers per session; reading and writing records
 *           of application data allocates nothing of its own and copies once.
 * Thread:   a context may serve many threads, a session one. Blocks only in twi_tls_context_open() (reads files).
 * Non-goals: client certificates, session resumption, 0-RTT. */
#ifndef TWI_TLS_H
#define TWI_TLS_H

#include <stddef.h>
#include <stdint.h>

#include "tickwire/status.h"

typedef struct twi_tls_context twi_tls_context;
typedef struct twi_tls twi_tls;

enum { TWI_TLS_ERROR_MAX = 255, TWI_TLS_RECORD_BYTES_MAX = 16384 };

typedef struct twi_tls_options {
    const char *ca_file; /* PEM; NULL or "": the system's authorities */
    uint8_t minor_min;   /* 2 or 3: TLS 1.2, 1.3; 0: 2 */
} twi_tls_options;

/* TW_BAD_CONFIG: the file cannot be read or holds no certificate; TW_NO_MEMORY. */
TW_MUST_USE tw_status twi_tls_context_open(const twi_tls_options *options, twi_tls_context **context, char *error,
                                           size_t error_cap);
void twi_tls_context_close(twi_tls_context *context);

/* Takes all bytes or none (0): then the session fails. */
typedef int (*twi_tls_send_fn)(void *owner, const uint8_t *bytes, size_t len);

/* host: a name (also sent as SNI) or an address. TW_NO_MEMORY. */
TW_MUST_USE tw_status twi_tls_open(twi_tls_context *context, const char *host, twi_tls_send_fn send, void *send_owner,
                                   twi_tls **tls);
void twi_tls_close(twi_tls *tls);

/* Lends received bytes until twi_tls_handshake() or twi_tls_read() said TW_NEED_MORE: then all are used up. */
void twi_tls_receive(twi_tls *tls, const uint8_t *bytes, size_t len);
/* TW_OK: done. TW_NEED_MORE. TW_AUTHENTICATION: the certificate is not good for this host; TW_MALFORMED: the handshake
 * failed otherwise. twi_tls_error() says why. */
tw_status twi_tls_handshake(twi_tls *tls);
/* Up to out_cap bytes of what the peer says. TW_NEED_MORE; TW_CLOSED: the peer ended the session; TW_MALFORMED. */
tw_status twi_tls_read(twi_tls *tls, uint8_t *out, size_t out_cap, size_t *len);
/* All of it, or TW_MALFORMED or TW_FULL (send refused): the session is over. */
tw_status twi_tls_write(twi_tls *tls, const uint8_t *bytes, size_t len);
/* Says goodbye (close_notify), if the session stands. */
void twi_tls_end(twi_tls *tls);

const char *twi_tls_error(const twi_tls *tls);
const char *twi_tls_version(const twi_tls *tls); /* "TLSv1.3" */
/* Bytes that `len` of application data become at most. */
size_t twi_tls_wire_bytes(size_t len);
/* Random bytes for keys and masks. TW_UNAVAILABLE: the system gives none. */
TW_MUST_USE tw_status twi_random_bytes(uint8_t *out, size_t len);

#endif
