/* connect_rig.h - a venue in the same loop as the connection under test: accepts, greets, says what the test wants.
 *
 * Usage:    twt_rig_open(seed) makes a simulated loop with a hub and a listener at 10.0.0.1:9000; twt_turn() turns both
 *           sides. The newest connection's server end is rig.peer[rig.accepted - 1].
 * Waiting:  TWT_UNTIL(rig, condition) turns until it holds, in virtual time; it fails after ten virtual minutes. */
#ifndef TWT_CONNECT_RIG_H
#define TWT_CONNECT_RIG_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "engine/connect/hub.h"
#include "engine/loop/loop_sim.h"
#include "engine/proto/ws.h"
#include "engine/proto/ws_handshake.h"

#define TWT_HOST  "10.0.0.1"
#define TWT_URL   "ws://10.0.0.1:9000/stream"
#define TWT_EPOCH INT64_C(1700000000000000000) /* Unix time at the simulation's zero */
enum { TWT_PORT = 9000, TWT_PEERS_MAX = 256, TWT_IN_BYTES = 1 << 16, TWT_TEXT_MAX = 4096, TWT_OUT_BYTES = 12 << 20 };

/* How the server treats a connection's first bytes. */
typedef enum twt_greeting {
    TWT_ACCEPTS, /* 101 */
    TWT_REFUSES, /* 429 with Retry-After: 7 */
    TWT_MUTE,    /* nothing */
    TWT_GARBAGE, /* no HTTP */
    TWT_WRONG_KEY,
    TWT_PROXY,         /* 200 to CONNECT, then as TWT_ACCEPTS */
    TWT_PROXY_REFUSES, /* 407 */
    TWT_HANGS_UP
} twt_greeting;

struct twt_rig;

typedef struct twt_peer {
    struct twt_rig *rig;
    twi_sock sock;
    twi_op recv_op, send_op, writable_op, close_op;
    bool open, gone, sending, greeted, closing, proxied;
    uint8_t in[TWT_IN_BYTES];
    size_t in_len;
    uint8_t *out;
    size_t out_at, out_len;
    struct iovec piece;
    twi_ws_reader reader;
    twi_ws_message message;
    uint8_t message_memory[TWT_IN_BYTES];
    twi_ws_control control;
    uint32_t pongs, texts;
    uint16_t close_code;
    char request[TWT_TEXT_MAX]; /* head of the handshake */
} twt_peer;

typedef struct twt_rig {
    twi_loop *loop;
    twi_hub *hub;
    twi_sock listener;
    twi_op accept_op;
    twt_greeting greeting;
    twt_peer *peer[TWT_PEERS_MAX];
    uint32_t accepted;
    /* Called for every text that the client sends. */
    void (*on_text)(struct twt_rig *rig, twt_peer *peer, const char *text, size_t len);
    void (*on_open)(struct twt_rig *rig, twt_peer *peer);
    void *owner;
} twt_rig;

static int64_t twt_realtime(void *owner)
{
    twi_loop *loop = owner;
    return TWT_EPOCH + loop->ops->now_ns(loop);
}

static void twt_flush(twt_peer *peer);

static void twt_on_peer_closed(twi_loop *loop, twi_op *op, int32_t result, uint32_t flags)
{
    (void)loop;
    (void)result;
    (void)flags;
    ((twt_peer *)op->owner)->gone = true;
}

/* Ends the TCP connection at once. */
static void twt_hang_up(twt_peer *peer)
{
    if (peer->closing)
        return;
    peer->closing = true;
    peer->open = false;
    peer->close_op = (twi_op){.done = twt_on_peer_closed, .owner = peer};
    peer->rig->loop->ops->close(peer->rig->loop, &peer->close_op, peer->sock);
}

static void twt_on_peer_writable(twi_loop *loop, twi_op *op, int32_t result, uint32_t flags)
{
    twt_peer *peer = op->owner;
    (void)loop;
    (void)flags;
    peer->sending = false;
    if (result == TW_OK)
        twt_flush(peer);
}

static void twt_on_peer_sent(twi_loop *loop, twi_op *op, int32_t result, uint32_t flags)
{
    twt_peer *peer = op->owner;
    (void)flags;
    peer->sending = false;
    if (result > 0)
        peer->out_at += (size_t)result;
    if (peer->closing || (result < 0 && result != TW_AGAIN))
        return;
    if (result == TW_AGAIN) {
        peer->sending = true;
        peer->writable_op = (twi_op){.done = twt_on_peer_writable, .owner = peer};
        loop->ops->writable(loop, &peer->writable_op, peer->sock);
        return;
    }
    twt_flush(peer);
}

static void twt_flush(twt_peer *peer)
{
    if (peer->sending || peer->closing || peer->out_at == peer->out_len)
        return;
    peer->piece = (struct iovec){.iov_base = peer->out + peer->out_at, .iov_len = peer->out_len - peer->out_at};
    peer->send_op = (twi_op){.done = twt_on_peer_sent, .owner = peer, .iov = &peer->piece, .iov_count = 1};
    peer->sending = true;
    peer->rig->loop->ops->send(peer->rig->loop, &peer->send_op, peer->sock);
}

static void twt_say_bytes(twt_peer *peer, const void *bytes, size_t len)
{
    if (peer->closing)
        return;
    assert_true(peer->out_len + len <= TWT_OUT_BYTES);
    memcpy(peer->out + peer->out_len, bytes, len);
    peer->out_len += len;
    twt_flush(peer);
}

/* One frame: first_byte is FIN and opcode. */
static void twt_say_frame(twt_peer *peer, uint8_t first_byte, const void *payload, size_t len)
{
    uint8_t head[TWI_WS_HEADER_BYTES_MAX];
    twt_say_bytes(peer, head, twi_ws_header_write(head, first_byte, false, false, len, NULL));
    twt_say_bytes(peer, payload, len);
}

static inline void twt_say(twt_peer *peer, const char *text)
{
    twt_say_frame(peer, 0x81, text, strlen(text));
}

static void twt_answer_handshake(twt_peer *peer, const twi_http_request *request)
{
    char text[1024];
    twi_ws_upgrade upgrade;
    assert_int_equal(twi_ws_upgrade_check(request, &upgrade), TW_OK);
    if (peer->rig->greeting == TWT_WRONG_KEY)
        upgrade.accept[0] ^= 1;
    twt_say_bytes(peer, text, twi_ws_accept_write(text, sizeof(text), &upgrade, NULL, NULL, NULL));
    const twi_ws_reader_config config = {.role = TWI_WS_SERVER};
    twi_ws_reader_init(&peer->reader, &config);
    peer->message = (twi_ws_message){
        .data = peer->message_memory, .cap = sizeof(peer->message_memory), .bytes_max = sizeof(peer->message_memory)};
    peer->greeted = peer->open = true;
    if (peer->rig->on_open != NULL)
        peer->rig->on_open(peer->rig, peer);
}

static void twt_greet(twt_peer *peer)
{
    static const char refusal[] = "HTTP/1.1 429 Too Many Requests\r\nRetry-After: 7\r\nContent-Length: 0\r\n\r\n";
    static const char tunnel[] = "HTTP/1.1 200 Connection established\r\n\r\n";
    static const char no_tunnel[] = "HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n";
    twi_http_request request;
    twt_greeting greeting = peer->rig->greeting;
    if (greeting == TWT_MUTE)
        return;
    const uint8_t *end = memmem(peer->in, peer->in_len, "\r\n\r\n", 4);
    if (end == NULL)
        return;
    size_t used = (size_t)(end + 4 - peer->in);
    assert_true(used < sizeof(peer->request));
    memcpy(peer->request, peer->in, used);
    peer->request[used] = 0;
    bool is_connect = memcmp(peer->request, "CONNECT ", 8) == 0;
    if (!is_connect)
        assert_int_equal(twi_http_request_parse(peer->in, peer->in_len, 0, NULL, &request), TW_OK);
    if (greeting == TWT_REFUSES)
        twt_say_bytes(peer, refusal, sizeof(refusal) - 1);
    else if (greeting == TWT_GARBAGE)
        twt_say_bytes(peer, "SSH-2.0-OpenSSH_9.2\r\n\r\n", 23);
    else if (greeting == TWT_HANGS_UP)
        twt_hang_up(peer);
    else if (greeting == TWT_PROXY_REFUSES)
        twt_say_bytes(peer, no_tunnel, sizeof(no_tunnel) - 1);
    else if (greeting == TWT_PROXY && !peer->proxied) {
        peer->proxied = true;
        assert_true(is_connect);
        twt_say_bytes(peer, tunnel, sizeof(tunnel) - 1);
    } else {
        twt_answer_handshake(peer, &request);
    }
    peer->in_len -= used;
    memmove(peer->in, peer->in + used, peer->in_len);
}

static void twt_on_piece(twt_peer *peer, const twi_ws_piece *piece)
{
    if (piece->opcode >= TWI_WS_CLOSE) {
        if (twi_ws_control_add(&peer->control, piece) && peer->control.opcode == TWI_WS_PONG)
            peer->pongs++;
        return;
    }
    if (twi_ws_message_add(&peer->message, piece) != TW_OK)
        return;
    peer->texts++;
    if (peer->rig->on_text != NULL)
        peer->rig->on_text(peer->rig, peer, (const char *)peer->message.data, peer->message.len);
}

static void twt_on_peer_received(twi_loop *loop, twi_op *op, int32_t result, uint32_t flags)
{
    twt_peer *peer = op->owner;
    (void)loop;
    (void)flags;
    if (peer->closing)
        return;
    if (result <= 0) {
        if (result != TW_CANCELED)
            twt_hang_up(peer);
        return;
    }
    assert_true(peer->in_len + (size_t)result <= TWT_IN_BYTES);
    memcpy(peer->in + peer->in_len, op->data, (size_t)result);
    peer->in_len += (size_t)result;
    if (!peer->greeted)
        twt_greet(peer);
    uint8_t *cursor = peer->in;
    twi_ws_piece piece;
    tw_status status = TW_NEED_MORE;
    while (peer->greeted && !peer->closing &&
           (status = twi_ws_read(&peer->reader, &cursor, peer->in + peer->in_len, &piece)) == TW_OK)
        twt_on_piece(peer, &piece);
    if (!peer->greeted)
        return;
    peer->in_len = 0;
    if (status == TW_CLOSED) {
        peer->close_code = peer->reader.close_code;
        twt_hang_up(peer);
    }
}

static void twt_on_accepted(twi_loop *loop, twi_op *op, int32_t result, uint32_t flags)
{
    twt_rig *rig = op->owner;
    (void)flags;
    if (result < 0)
        return;
    assert_true(rig->accepted < TWT_PEERS_MAX);
    twt_peer *peer = calloc(1, sizeof(*peer));
    assert_non_null(peer);
    peer->out = malloc(TWT_OUT_BYTES);
    assert_non_null(peer->out);
    peer->rig = rig;
    peer->sock = op->accepted;
    rig->peer[rig->accepted++] = peer;
    peer->recv_op = (twi_op){.done = twt_on_peer_received, .owner = peer};
    loop->ops->recv(loop, &peer->recv_op, peer->sock);
}

static void twt_listen_there(twt_rig *rig)
{
    char error[256];
    const twi_address address = {.host = TWT_HOST, .port = TWT_PORT, .backlog = 64};
    assert_int_equal(rig->loop->ops->listen(rig->loop, &address, &rig->listener, error, sizeof(error)), TW_OK);
    rig->accept_op = (twi_op){.done = twt_on_accepted, .owner = rig};
    rig->loop->ops->accept(rig->loop, &rig->accept_op, rig->listener);
}

static void twt_rig_open(twt_rig *rig, uint64_t seed)
{
    char error[256];
    *rig = (twt_rig){0};
    const twi_loop_config config = {.sock_count_max = 2 * TWT_PEERS_MAX, .sim_seed = seed, .recv_buffer_bytes = 4096};
    assert_int_equal(twi_loop_sim.open(&config, &rig->loop, error, sizeof(error)), TW_OK);
    const twi_hub_options options = {
        .loop = rig->loop, .realtime_ns = twt_realtime, .realtime_owner = rig->loop, .seed = seed + 1};
    assert_int_equal(twi_hub_open(&options, &rig->hub), TW_OK);
}

/* After what stands on the hub was stopped; before it is freed. */
static void twt_rig_close_loop(twt_rig *rig)
{
    twi_hub_close(rig->hub);
    rig->loop->ops->close_loop(rig->loop);
    for (uint32_t i = 0; i < rig->accepted; i++) {
        free(rig->peer[i]->out);
        free(rig->peer[i]);
    }
}

static void twt_turn(twt_rig *rig)
{
    rig->loop->ops->poll(rig->loop, rig->loop->ops->now_ns(rig->loop) + 10000000);
    twi_hub_step(rig->hub);
}

static inline twt_peer *twt_newest(twt_rig *rig)
{
    assert_true(rig->accepted > 0);
    return rig->peer[rig->accepted - 1];
}

/* Gives its memory back, when its socket has ended: for tests with many connections. */
static inline void twt_forget_newest(twt_rig *rig)
{
    twt_peer *peer = twt_newest(rig);
    twt_hang_up(peer);
    int64_t until_ns = rig->loop->ops->now_ns(rig->loop) + INT64_C(60000000000);
    while (!peer->gone && rig->loop->ops->now_ns(rig->loop) < until_ns)
        twt_turn(rig);
    assert_true(peer->gone);
    free(peer->out);
    free(peer);
    rig->accepted--;
}

#define TWT_MINUTE_NS INT64_C(60000000000)
#define TWT_UNTIL(rig, condition)                                                                                      \
    do {                                                                                                               \
        int64_t until_ns = (rig)->loop->ops->now_ns((rig)->loop) + 10 * TWT_MINUTE_NS;                                 \
        while (!(condition)) {                                                                                         \
            if ((rig)->loop->ops->now_ns((rig)->loop) > until_ns)                                                      \
                fail_msg("never came true: %s", #condition);                                                           \
            twt_turn(rig);                                                                                             \
        }                                                                                                              \
    } while (0)

#endif
