/* echo_peer.h - one WebSocket connection of either role that sends every message back: what ws_echo and ws_echo_client
 * are made of, and an example of how engine/loop and engine/proto fit together.
 *
 * Flow:      received bytes go through the reader in place; a whole message is compressed if that was negotiated,
 *            framed and queued; one send is in flight at a time.
 * Pressure:  over queue_bytes_max the peer stops receiving and leaves what it has already got unread, until half of the
 *            queue is gone. So a client that does not read costs one message and one queue, and no more.
 * Memory:    buffers grow with what the connection needs, up to the limits, and are given back when they are empty.
 * Thread:    the loop's. Non-goals: TLS, authentication, speed records; the engine's fan-out is built differently. */
#ifndef TWI_ECHO_PEER_H
#define TWI_ECHO_PEER_H

#include "engine/loop/loop.h"
#include "engine/proto/ws_deflate.h"
#include "engine/proto/ws_handshake.h"

typedef struct echo_config {
    uint64_t message_bytes_max;  /* after inflating, too */
    uint32_t fragment_count_max; /* frames of one message */
    size_t queue_bytes_max;      /* unsent bytes at which receiving stops */
    int64_t handshake_ns;        /* time for the opening handshake */
    int64_t linger_ns;           /* time for the peer to end its side after the close handshake */
    bool deflate;
    uint8_t deflate_level; /* 1..9; 0: zlib's default */
    twi_ws_deflate_policy deflate_policy;
} echo_config;

/* 16 MiB, 65,536 fragments, deflate on. */
extern const echo_config echo_config_default;

typedef struct echo_peer echo_peer;

typedef struct echo_hooks {
    void *owner;
    /* A whole message, before it is echoed; false: do not echo it. NULL: echo everything. */
    bool (*message)(void *owner, echo_peer *peer, uint8_t opcode, const uint8_t *data, size_t len);
    /* The last callback: the connection is gone and *peer is freed after it. error: static text, NULL after a clean
     * close handshake. */
    void (*closed)(void *owner, echo_peer *peer, const char *error);
} echo_hooks;

/* Server side of an accepted socket. NULL: no memory; the socket is then the caller's to close. config and hooks must
 * outlive the peer. */
echo_peer *echo_peer_accepted(twi_loop *loop, twi_sock sock, const echo_config *config, const echo_hooks *hooks);

/* Client side: connects, asks for target, echoes. NULL: no memory. host is the Host header. */
echo_peer *echo_peer_connect(twi_loop *loop, const twi_address *address, const char *host, const char *target,
                             const echo_config *config, const echo_hooks *hooks);

/* Starts the close handshake from our side (1001); closed() follows. */
void echo_peer_go_away(echo_peer *peer);

#endif
