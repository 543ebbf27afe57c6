/* conn.h - one WebSocket connection to a venue: resolve, connect, proxy, TLS, handshake, then messages both ways.
 *
 * Usage:    twi_conn_init() once, twi_conn_dial() whenever the phase is IDLE, twi_conn_tick() a few times a second.
 *           `up` and `down` come in pairs, except that a dial that fails gives `down` alone (also during the call).
 * Messages: given whole. A message that lies in one received piece is given where it lies; others are put together in
 *           the connection's own memory, which is as large as message_bytes_max and is touched only as far as needed.
 * Limits:   every phase has a time limit; message size, fragments and heads are limited; each refusal has a name
 *           (twi_conn_end) and a text.
 * Memory:   taken at the first dial and kept until fini. From bytes to messages nothing is allocated.
 * Thread:   the hub's.
 * Non-goals: when to dial again (driver.h), what messages mean, compression. */
#ifndef TWI_CONN_H
#define TWI_CONN_H

#include <stdbool.h>

#include "engine/connect/hub.h"
#include "engine/connect/url.h"
#include "engine/proto/ws.h"

typedef enum twi_conn_phase {
    TWI_CONN_IDLE,
    TWI_CONN_RESOLVE,
    TWI_CONN_CONNECT,
    TWI_CONN_PROXY,
    TWI_CONN_TLS,
    TWI_CONN_HANDSHAKE,
    TWI_CONN_OPEN,
    TWI_CONN_CLOSING /* `down` was said; the socket is still on its way out */
} twi_conn_phase;

/* Why a connection ended, or did not come to be. */
typedef enum twi_conn_end {
    TWI_END_STOP,        /* twi_conn_close() */
    TWI_END_RESOLVE,     /* no address for the name */
    TWI_END_CONNECT,     /* refused, unreachable, too slow */
    TWI_END_PROXY,       /* the proxy said no */
    TWI_END_CERTIFICATE, /* not trusted, not for this host, expired */
    TWI_END_TLS,         /* another failure of TLS */
    TWI_END_HANDSHAKE,   /* no WebSocket there, or the venue said no: see http_status */
    TWI_END_PEER,        /* the venue closed, or the connection broke */
    TWI_END_PROTOCOL,    /* a frame that breaks RFC 6455 */
    TWI_END_TOO_BIG,     /* a message over message_bytes_max, or in endless fragments */
    TWI_END_SILENCE,
    TWI_END_COUNT
} twi_conn_end;

const char *twi_conn_end_name(twi_conn_end end); /* "resolve" "connect" ... */

typedef struct twi_conn twi_conn;

typedef struct twi_conn_calls {
    void (*up)(void *owner, twi_conn *conn);
    /* msg lives during the call. */
    void (*message)(void *owner, twi_conn *conn, int64_t recv_ns, uint8_t opcode, const uint8_t *msg, size_t msg_len);
    /* All messages of one receive were given; so many bytes it had on the wire. */
    void (*received)(void *owner, twi_conn *conn, int64_t recv_ns, size_t wire_bytes);
    void (*down)(void *owner, twi_conn *conn, twi_conn_end end, const char *why);
} twi_conn_calls;

/* Shared by connections; outlives them. */
typedef struct twi_conn_options {
    const twi_conn_calls *calls;
    twi_tls_context *tls;
    const char *proxy;      /* as of twi_proxy_choose() */
    const char *user_agent; /* NULL: none */
    uint32_t message_bytes_max;
    int64_t connect_timeout_ns;   /* resolving, and all addresses together: each; 0: 10 s */
    int64_t handshake_timeout_ns; /* proxy, TLS and WebSocket: each; 0: 10 s */
    int64_t silence_ns;           /* nothing received for so long ends the connection; 0: never */
    int64_t ping_ns;              /* a ping after so long without anything received; 0: never */
} twi_conn_options;

enum {
    TWI_CONN_WHY_MAX = 383,
    TWI_CONN_OUT_BYTES = 3 * TW_FEED_OUTPUT_MAX,
    TWI_CONN_FRAGMENTS_MAX = 16384,
    TWI_CONN_HEAD_BYTES_MAX = 16384
};

struct twi_conn {
    const twi_conn_options *options;
    twi_hub *hub;
    void *owner;
    uint8_t phase; /* twi_conn_phase */
    bool has_proxy, has_sock, sending, parked, shutting, lingers, deaf;
    int64_t phase_ns; /* when it began, by the loop's clock; of attempts to connect as well */
    int64_t begin_ns, open_ns, recv_ns, ping_ns;
    twi_web_url url, proxy;
    twi_addresses addresses;
    uint32_t address_index;
    uint64_t question; /* to the resolver; 0: none */
    twi_sock sock;
    twi_op connect_op, recv_op, send_op, writable_op, close_op;
    twi_tls *tls;
    twi_ws_reader reader;
    twi_ws_message message; /* also the head of an answer, before frames come */
    twi_ws_control control;
    uint8_t *memory;
    uint8_t *out; /* bytes for the wire: [out_at, out_len) */
    size_t out_at, out_len;
    struct iovec out_piece;
    uint8_t key[16];
    uint16_t http_status;  /* of a refused handshake; 0: none */
    int32_t retry_after_s; /* with it */
    uint64_t random_state;
    char why[TWI_CONN_WHY_MAX + 1];
};

void twi_conn_init(twi_conn *conn, const twi_conn_options *options, twi_hub *hub, void *owner);
/* The phase is IDLE, or the loop is gone. */
void twi_conn_fini(twi_conn *conn);
/* The phase is IDLE. Failures are told by `down`. */
void twi_conn_dial(twi_conn *conn, const char *url);
/* Says goodbye and closes; `down` with TWI_END_STOP is said during the call. Nothing if it is idle or closing. */
void twi_conn_close(twi_conn *conn, const char *why);
/* Nothing more is started on the loop, nothing more is said: what remains ends when the loop is closed. Not IDLE: the
 * patience of whoever stops has ended. */
void twi_conn_abandon(twi_conn *conn);
/* Looks at the time limits. */
void twi_conn_tick(twi_conn *conn);
/* Is there room for a message of so many bytes? */
bool twi_conn_has_room(const twi_conn *conn, size_t len);
/* One text or binary message. TW_CLOSED: not open; TW_FULL: no room; TW_TOO_BIG: over TW_FEED_OUTPUT_MAX. */
TW_MUST_USE tw_status twi_conn_send(twi_conn *conn, uint8_t opcode, const uint8_t *msg, size_t msg_len);

#endif
