/* echo_peer.c - the connection's life: handshake, frames in, frames out, close. Every callback of the loop ends in
 * op_ended, and the last one of a closed connection frees it. */
#include "examples/echo_peer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "engine/base/assert.h"
#include "engine/proto/ws.h"

enum {
    REQUEST_BYTES_MAX = 2048,
    KEEP_BYTES_MAX = 65536, /* an empty buffer of more is given back */
    MASK_POOL_BYTES = 256
};

const echo_config echo_config_default = {
    .message_bytes_max = 16u << 20,
    .fragment_count_max = 65536 + 1, /* some senders end a message with an empty frame of its own */
    .queue_bytes_max = 1u << 20,
    .handshake_ns = 10 * (int64_t)1000000000,
    .linger_ns = (int64_t)1000000000,
    .deflate = true,
    .deflate_level = 1,
    .deflate_policy = {.second_offer = true},
};

typedef enum echo_state {
    CONNECTING,
    HANDSHAKE,
    OPEN,
    FLUSHING,  /* the last bytes go out, nothing is read any more */
    LINGERING, /* our side is shut; what still comes is thrown away, so that no reset overtakes our last frame */
    CLOSED
} echo_state;

struct echo_peer {
    twi_loop *loop;
    const echo_config *config;
    const echo_hooks *hooks;
    const char *error;
    twi_sock sock;
    uint8_t role;
    uint8_t state;
    bool deflate;
    bool paused; /* too much is queued: read nothing */
    bool receiving;
    bool sending;
    bool waiting; /* the send in flight is a wait for room in the kernel */
    bool timing;
    uint32_t ops_pending;
    twi_op connect_op, recv_op, send_op, shutdown_op, close_op, timer_op;
    int64_t deadline_ns; /* what the timer is to be set to; 0: nothing */
    struct iovec iov;
    twi_ws_message out;    /* being sent: does not move until it is gone */
    twi_ws_message queued; /* to be sent next */
    size_t out_sent;
    twi_ws_message input; /* received, not read yet */
    size_t input_read;
    size_t head_seen; /* bytes of the HTTP head that were looked at */
    twi_ws_message message;
    twi_ws_message packed;
    twi_ws_reader reader;
    twi_ws_control control;
    twi_ws_closing closing;
    twi_ws_inflater inflater;
    twi_ws_deflater deflater;
    char target[REQUEST_BYTES_MAX / 2];
    char host[256];
    char offer[TWI_WS_DEFLATE_HEADER_BYTES];
    uint8_t key[16];
    uint8_t masks[MASK_POOL_BYTES];
    size_t masks_left;
};

static void *resize_memory(void *owner, void *old, size_t new_bytes)
{
    (void)owner;
    if (new_bytes > 0)
        return realloc(old, new_bytes);
    free(old);
    return NULL;
}

static void read_input(echo_peer *peer);

/* ---- the end ---- */

static void release(echo_peer *peer)
{
    if (peer->state != CLOSED || peer->ops_pending > 0)
        return;
    peer->hooks->closed(peer->hooks->owner, peer, peer->error);
    twi_ws_message *buffers[] = {&peer->out, &peer->queued, &peer->input, &peer->message, &peer->packed};
    for (size_t i = 0; i < sizeof(buffers) / sizeof(buffers[0]); i++)
        twi_ws_message_fini(buffers[i]);
    twi_ws_inflater_fini(&peer->inflater);
    twi_ws_deflater_fini(&peer->deflater);
    free(peer);
}

/* One of our operations had its last callback. */
static void op_ended(echo_peer *peer)
{
    TWI_ASSERT(peer->ops_pending > 0);
    peer->ops_pending--;
    release(peer);
}

static void on_closed(twi_loop *loop, twi_op *op, int32_t result, uint32_t flags)
{
    (void)loop, (void)result, (void)flags;
    op_ended(op->owner);
}

static void on_timer(twi_loop *loop, twi_op *op, int32_t result, uint32_t flags);

static void arm_timer(echo_peer *peer)
{
    if (peer->deadline_ns == 0)
        return;
    peer->timing = true;
    peer->ops_pending++;
    peer->timer_op.done = on_timer;
    peer->timer_op.owner = peer;
    peer->loop->ops->timer(peer->loop, &peer->timer_op, peer->deadline_ns);
}

/* 0: none. */
static void set_deadline(echo_peer *peer, int64_t delay_ns)
{
    peer->deadline_ns = delay_ns > 0 ? peer->loop->ops->now_ns(peer->loop) + delay_ns : 0;
    if (peer->timing)
        peer->loop->ops->timer_cancel(peer->loop, &peer->timer_op); /* its callback arms it again */
    else
        arm_timer(peer);
}

static void end(echo_peer *peer, const char *error)
{
    if (peer->state == CLOSED)
        return;
    peer->state = CLOSED;
    if (peer->error == NULL)
        peer->error = error;
    set_deadline(peer, 0);
    peer->ops_pending++;
    peer->close_op.done = on_closed;
    peer->close_op.owner = peer;
    peer->loop->ops->close(peer->loop, &peer->close_op, peer->sock);
}

static void on_timer(twi_loop *loop, twi_op *op, int32_t result, uint32_t flags)
{
    (void)flags;
    echo_peer *peer = op->owner;
    peer->timing = false;
    if (peer->state != CLOSED && result == 0 && peer->deadline_ns != 0 && peer->deadline_ns <= loop->ops->now_ns(loop))
        end(peer, peer->state == LINGERING ? NULL : "time is over");
    else if (peer->state != CLOSED)
        arm_timer(peer);
    op_ended(peer);
}

/* ---- receiving ---- */

static void on_recv(twi_loop *loop, twi_op *op, int32_t result, uint32_t flags);

static void receive(echo_peer *peer)
{
    if (peer->receiving || peer->state == CLOSED)
        return;
    peer->receiving = true;
    peer->ops_pending++;
    peer->recv_op.done = on_recv;
    peer->recv_op.owner = peer;
    peer->loop->ops->recv(peer->loop, &peer->recv_op, peer->sock);
}

static void on_shut(twi_loop *loop, twi_op *op, int32_t result, uint32_t flags)
{
    (void)loop, (void)flags;
    echo_peer *peer = op->owner;
    if (result < 0)
        end(peer, NULL);
    op_ended(peer);
}

/* Everything is sent: end our side, and wait for the peer to end its own. */
static void linger(echo_peer *peer)
{
    bool await_peer = !peer->closing.failed && twi_ws_close_next(&peer->closing, peer->role) == TWI_WS_STEP_AWAIT_PEER;
    peer->state = LINGERING;
    set_deadline(peer, peer->config->linger_ns);
    receive(peer);
    if (await_peer)
        return;
    peer->ops_pending++;
    peer->shutdown_op.done = on_shut;
    peer->shutdown_op.owner = peer;
    peer->loop->ops->shutdown(peer->loop, &peer->shutdown_op, peer->sock);
}

/* ---- sending ---- */

static size_t unsent_bytes(const echo_peer *peer)
{
    return peer->queued.len + peer->out.len - peer->out_sent;
}

static void trim(twi_ws_message *buffer)
{
    if (buffer->cap > KEEP_BYTES_MAX)
        twi_ws_message_fini(buffer);
    buffer->len = 0;
}

static void on_send(twi_loop *loop, twi_op *op, int32_t result, uint32_t flags);

static void start_send(echo_peer *peer, bool wait)
{
    peer->sending = true;
    peer->waiting = wait;
    peer->ops_pending++;
    peer->send_op.done = on_send;
    peer->send_op.owner = peer;
    if (wait) {
        peer->loop->ops->writable(peer->loop, &peer->send_op, peer->sock);
        return;
    }
    peer->iov = (struct iovec){.iov_base = peer->out.data + peer->out_sent, .iov_len = peer->out.len - peer->out_sent};
    peer->send_op.iov = &peer->iov;
    peer->send_op.iov_count = 1;
    peer->loop->ops->send(peer->loop, &peer->send_op, peer->sock);
}

/* Sends what is there, if nothing is in flight; goes on when the queue has become short. */
static void flush(echo_peer *peer)
{
    if (peer->sending || peer->state == CLOSED)
        return;
    if (peer->out_sent == peer->out.len) {
        twi_ws_message done = peer->out;
        peer->out_sent = 0;
        trim(&done);
        peer->out = peer->queued;
        peer->queued = done;
    }
    if (peer->out.len > 0)
        start_send(peer, false);
    else if (peer->state == FLUSHING)
        linger(peer);
}

static void resume(echo_peer *peer)
{
    if (!peer->paused || unsent_bytes(peer) > peer->config->queue_bytes_max / 2)
        return;
    peer->paused = false;
    read_input(peer);
    if (!peer->paused)
        receive(peer);
}

static void on_send(twi_loop *loop, twi_op *op, int32_t result, uint32_t flags)
{
    (void)loop, (void)flags;
    echo_peer *peer = op->owner;
    peer->sending = false;
    if (peer->state != CLOSED) {
        if (result == TW_AGAIN) {
            start_send(peer, true);
        } else if (result < 0) {
            end(peer, "the peer is gone");
        } else {
            peer->out_sent += peer->waiting ? 0 : (size_t)result;
            flush(peer);
            resume(peer);
        }
    }
    op_ended(peer);
}

static const uint8_t *next_mask(echo_peer *peer)
{
    if (peer->role == TWI_WS_SERVER)
        return NULL;
    if (peer->masks_left == 0) {
        /* RFC 6455 section 5.3: unpredictable */
        TWI_ASSERT(getentropy(peer->masks, sizeof(peer->masks)) == 0);
        peer->masks_left = sizeof(peer->masks);
    }
    peer->masks_left -= 4;
    return peer->masks + peer->masks_left;
}

static bool enqueue(echo_peer *peer, const void *data, size_t len)
{
    if (twi_ws_message_reserve(&peer->queued, peer->queued.len + len) != TW_OK) {
        end(peer, "no memory");
        return false;
    }
    if (len > 0)
        memcpy(peer->queued.data + peer->queued.len, data, len);
    peer->queued.len += len;
    return true;
}

static void send_frame(echo_peer *peer, uint8_t opcode, bool rsv1, const uint8_t *payload, size_t len)
{
    if (peer->closing.sent || peer->state == CLOSED)
        return;
    uint8_t header[TWI_WS_HEADER_BYTES_MAX];
    const uint8_t *mask = next_mask(peer);
    size_t header_len = twi_ws_header_write(header, opcode, true, rsv1, len, mask);
    if (!enqueue(peer, header, header_len) || !enqueue(peer, payload, len))
        return;
    if (mask != NULL)
        twi_ws_mask(peer->queued.data + peer->queued.len - len, len, mask, 0);
    flush(peer);
}

static void send_close(echo_peer *peer, uint16_t code, const char *reason)
{
    uint8_t frame[TWI_WS_CONTROL_FRAME_MAX];
    if (peer->closing.sent)
        return;
    size_t len = twi_ws_close_write(frame, code, reason, next_mask(peer));
    peer->closing.sent = 1;
    enqueue(peer, frame, len);
}

/* Nothing more is read; what is queued goes out. */
static void finish(echo_peer *peer, const char *error)
{
    if (peer->state >= FLUSHING)
        return;
    peer->state = FLUSHING;
    if (peer->error == NULL)
        peer->error = error;
    set_deadline(peer, peer->config->handshake_ns);
    flush(peer);
}

static void fail(echo_peer *peer, uint16_t code, const char *reason)
{
    peer->closing.failed = 1;
    send_close(peer, code, reason);
    finish(peer, reason);
}

void echo_peer_go_away(echo_peer *peer)
{
    if (peer->state < OPEN)
        end(peer, "stopped");
    if (peer->state != OPEN)
        return;
    send_close(peer, TWI_WS_CODE_GOING_AWAY, "stopped");
    set_deadline(peer, peer->config->linger_ns);
    flush(peer);
}

/* ---- messages ---- */

static void echo(echo_peer *peer, uint8_t opcode, const uint8_t *data, size_t len)
{
    if (peer->hooks->message != NULL && !peer->hooks->message(peer->hooks->owner, peer, opcode, data, len))
        return;
    if (!peer->deflate) {
        send_frame(peer, opcode, false, data, len);
        return;
    }
    if (twi_ws_deflate_message(&peer->deflater, data, len, &peer->packed) != TW_OK) {
        fail(peer, TWI_WS_CODE_INTERNAL, "no memory");
        return;
    }
    send_frame(peer, opcode, true, peer->packed.data, peer->packed.len);
    trim(&peer->packed);
}

static void take_control(echo_peer *peer, const twi_ws_piece *piece)
{
    if (!twi_ws_control_add(&peer->control, piece))
        return;
    if (peer->control.opcode == TWI_WS_PING)
        send_frame(peer, TWI_WS_PONG, false, peer->control.payload, peer->control.payload_len);
    if (peer->control.opcode != TWI_WS_CLOSE)
        return;
    peer->closing.received = 1;
    if (twi_ws_close_next(&peer->closing, peer->role) == TWI_WS_STEP_REPLY)
        send_close(peer, twi_ws_close_reply_code(peer->reader.close_code), NULL);
    finish(peer, NULL);
}

static tw_status take_data(echo_peer *peer, const twi_ws_piece *piece)
{
    bool compressed = (piece->flags & TWI_WS_COMPRESSED) != 0;
    bool whole = piece->flags == (TWI_WS_FIRST | TWI_WS_LAST);
    if (whole) { /* where it lies */
        echo(peer, piece->opcode, piece->data, piece->len);
        return TW_OK;
    }
    tw_status status = compressed ? twi_ws_inflate_piece(&peer->inflater, piece, &peer->message)
                                  : twi_ws_message_add(&peer->message, piece);
    if (status == TW_OK) {
        echo(peer, piece->opcode, peer->message.data, peer->message.len);
        trim(&peer->message);
    }
    if (status == TW_MALFORMED || status == TW_TOO_BIG)
        twi_ws_reader_fail(&peer->reader, compressed ? peer->inflater.error : (uint8_t)TWI_WS_ERROR_TOO_BIG);
    return status;
}

/* Frames, until the bytes or the room in the queue are used up. Returns the bytes used. */
static size_t read_frames(echo_peer *peer, uint8_t *data, size_t len)
{
    uint8_t *cursor = data;
    twi_ws_piece piece;
    while (peer->state == OPEN && !peer->paused) {
        tw_status status = twi_ws_read(&peer->reader, &cursor, data + len, &piece);
        if (status == TW_NEED_MORE)
            break;
        if (status == TW_OK && piece.opcode >= TWI_WS_CLOSE)
            take_control(peer, &piece);
        else if (status == TW_OK)
            status = take_data(peer, &piece);
        if (status == TW_MALFORMED || status == TW_TOO_BIG)
            fail(peer, twi_ws_error_close_code(peer->reader.error), twi_ws_error_reason(peer->reader.error));
        else if (status == TW_NO_MEMORY)
            fail(peer, TWI_WS_CODE_INTERNAL, "no memory");
        peer->paused = unsent_bytes(peer) > peer->config->queue_bytes_max;
    }
    return (size_t)(cursor - data);
}

/* ---- opening handshake ---- */

static void open_frames(echo_peer *peer, const twi_ws_deflate_params *params)
{
    peer->deflate = params != NULL;
    if (peer->deflate) {
        twi_ws_deflater_init(&peer->deflater, params, peer->config->deflate_level, resize_memory, NULL);
        twi_ws_inflater_init(&peer->inflater, params, resize_memory, NULL);
    }
    twi_ws_reader_config config = {
        .message_bytes_max = peer->config->message_bytes_max,
        .fragment_count_max = peer->config->fragment_count_max,
        .role = peer->role,
        .deflate = peer->deflate,
    };
    twi_ws_reader_init(&peer->reader, &config);
    peer->state = OPEN;
    set_deadline(peer, 0);
}

static void reject(echo_peer *peer, uint16_t status, const char *error)
{
    char out[TWI_WS_ACCEPT_BYTES];
    enqueue(peer, out, twi_ws_reject_write(out, sizeof(out), status, error));
    peer->closing.failed = 1;
    finish(peer, error);
}

static size_t read_request(echo_peer *peer, const uint8_t *data, size_t len)
{
    twi_http_request request;
    tw_status status = twi_http_request_parse(data, len, peer->head_seen, NULL, &request);
    peer->head_seen = len;
    if (status == TW_NEED_MORE)
        return 0;
    if (status != TW_OK) {
        reject(peer, request.error_status, request.error);
        return len;
    }
    twi_ws_upgrade upgrade;
    status = twi_ws_upgrade_check(&request, &upgrade);
    if (status != TW_OK) {
        bool plain = status == TW_EMPTY;
        reject(peer, plain ? 426 : upgrade.error_status, plain ? "this is a WebSocket server" : upgrade.error);
        return len;
    }
    char out[TWI_WS_ACCEPT_BYTES + TWI_WS_DEFLATE_HEADER_BYTES];
    char answer[TWI_WS_DEFLATE_HEADER_BYTES];
    twi_ws_deflate_params params;
    bool deflate = peer->config->deflate && twi_ws_deflate_accept(&request, &peer->config->deflate_policy, &params,
                                                                  answer, sizeof(answer)) == TW_OK;
    enqueue(peer, out, twi_ws_accept_write(out, sizeof(out), &upgrade, NULL, deflate ? answer : NULL, NULL));
    open_frames(peer, deflate ? &params : NULL);
    flush(peer);
    return request.fields.head_bytes;
}

static twi_ws_client_request client_request(const echo_peer *peer)
{
    return (twi_ws_client_request){
        .host = peer->host,
        .target = peer->target,
        .extensions = peer->config->deflate ? peer->offer : NULL,
        .extra_headers = "User-Agent: ws_echo_client\r\n",
    };
}

static size_t read_response(echo_peer *peer, const uint8_t *data, size_t len)
{
    twi_http_response response;
    tw_status status = twi_http_response_parse(data, len, peer->head_seen, NULL, &response);
    peer->head_seen = len;
    if (status == TW_NEED_MORE)
        return 0;
    if (status != TW_OK) {
        end(peer, response.error);
        return len;
    }
    twi_ws_client_request request = client_request(peer);
    twi_ws_client_answer answer;
    status = twi_ws_response_check(&response, &request, peer->key, &answer);
    twi_ws_deflate_params params;
    tw_status deflate = TW_EMPTY;
    if (status == TW_OK)
        deflate = twi_ws_deflate_confirm(answer.extensions, &peer->config->deflate_policy, &params);
    if (status != TW_OK || deflate == TW_MALFORMED) {
        end(peer, status != TW_OK ? answer.error : "a compression that was not offered");
        return len;
    }
    open_frames(peer, deflate == TW_OK ? &params : NULL);
    return response.fields.head_bytes;
}

/* ---- input ---- */

static size_t read_some(echo_peer *peer, uint8_t *data, size_t len)
{
    if (peer->state == OPEN)
        return read_frames(peer, data, len);
    if (peer->state == HANDSHAKE)
        return peer->role == TWI_WS_SERVER ? read_request(peer, data, len) : read_response(peer, data, len);
    return len; /* the connection is ending */
}

/* What was kept from before. */
static void read_input(echo_peer *peer)
{
    while (peer->input_read < peer->input.len && !peer->paused) {
        size_t used = read_some(peer, peer->input.data + peer->input_read, peer->input.len - peer->input_read);
        if (used == 0)
            return;
        peer->input_read += used;
    }
    if (peer->input_read == peer->input.len) {
        peer->input_read = 0;
        trim(&peer->input);
    }
}

static void keep_input(echo_peer *peer, const uint8_t *data, size_t len)
{
    if (peer->input_read > 0) {
        peer->input.len -= peer->input_read;
        memmove(peer->input.data, peer->input.data + peer->input_read, peer->input.len);
        peer->input_read = 0;
    }
    if (twi_ws_message_reserve(&peer->input, peer->input.len + len) != TW_OK) {
        end(peer, "no memory");
        return;
    }
    memcpy(peer->input.data + peer->input.len, data, len);
    peer->input.len += len;
}

static void take_bytes(echo_peer *peer, uint8_t *data, size_t len)
{
    bool in_place = peer->input.len == 0 && peer->state == OPEN && !peer->paused;
    size_t used = in_place ? read_frames(peer, data, len) : 0;
    if (peer->state >= FLUSHING || used == len)
        return;
    keep_input(peer, data + used, len - used);
    read_input(peer);
}

static void on_recv(twi_loop *loop, twi_op *op, int32_t result, uint32_t flags)
{
    echo_peer *peer = op->owner;
    bool more = (flags & TWI_OP_MORE) != 0;
    peer->receiving = more;
    if (result > 0) {
        if (peer->state < FLUSHING)
            take_bytes(peer, op->data, (size_t)result);
        if (peer->paused && more && peer->state < FLUSHING)
            loop->ops->recv_stop(loop, op);
    } else if (result == 0) {
        bool clean = peer->closing.received && peer->closing.sent;
        end(peer, clean ? NULL : "the connection ended without a close handshake");
    } else if (result != TW_CANCELED) {
        end(peer, "the connection was lost");
    }
    if (more)
        return;
    if (!peer->paused || peer->state >= FLUSHING)
        receive(peer);
    op_ended(peer);
}

/* ---- the beginning ---- */

static echo_peer *peer_new(twi_loop *loop, uint8_t role, const echo_config *config, const echo_hooks *hooks)
{
    echo_peer *peer = calloc(1, sizeof(*peer));
    if (peer == NULL)
        return NULL;
    peer->loop = loop;
    peer->config = config;
    peer->hooks = hooks;
    peer->role = role;
    twi_ws_message *buffers[] = {&peer->out, &peer->queued, &peer->input, &peer->packed};
    for (size_t i = 0; i < sizeof(buffers) / sizeof(buffers[0]); i++)
        *buffers[i] = (twi_ws_message){.bytes_max = SIZE_MAX / 4, .resize = resize_memory};
    peer->message = (twi_ws_message){.bytes_max = (size_t)config->message_bytes_max, .resize = resize_memory};
    return peer;
}

echo_peer *echo_peer_accepted(twi_loop *loop, twi_sock sock, const echo_config *config, const echo_hooks *hooks)
{
    echo_peer *peer = peer_new(loop, TWI_WS_SERVER, config, hooks);
    if (peer == NULL)
        return NULL;
    peer->sock = sock;
    peer->state = HANDSHAKE;
    set_deadline(peer, config->handshake_ns);
    receive(peer);
    return peer;
}

static void on_connected(twi_loop *loop, twi_op *op, int32_t result, uint32_t flags)
{
    (void)loop, (void)flags;
    echo_peer *peer = op->owner;
    if (peer->state == CLOSED) {
        op_ended(peer);
        return;
    }
    if (result < 0) {
        peer->state = CLOSED; /* there is no socket to close */
        peer->error = "cannot connect";
        set_deadline(peer, 0);
        op_ended(peer);
        return;
    }
    peer->sock = op->sock;
    peer->state = HANDSHAKE;
    twi_ws_client_request request = client_request(peer);
    char out[REQUEST_BYTES_MAX];
    size_t len = twi_ws_request_write(out, sizeof(out), &request, peer->key);
    receive(peer);
    if (len == 0)
        end(peer, "the request is too long");
    else if (enqueue(peer, out, len))
        flush(peer);
    op_ended(peer);
}

echo_peer *echo_peer_connect(twi_loop *loop, const twi_address *address, const char *host, const char *target,
                             const echo_config *config, const echo_hooks *hooks)
{
    echo_peer *peer = peer_new(loop, TWI_WS_CLIENT, config, hooks);
    if (peer == NULL)
        return NULL;
    snprintf(peer->host, sizeof(peer->host), "%s", host);
    snprintf(peer->target, sizeof(peer->target), "%s", target);
    twi_ws_deflate_offer_write(&config->deflate_policy, peer->offer, sizeof(peer->offer));
    TWI_ASSERT(getentropy(peer->key, sizeof(peer->key)) == 0);
    peer->state = CONNECTING;
    set_deadline(peer, config->handshake_ns);
    peer->ops_pending++;
    peer->connect_op.done = on_connected;
    peer->connect_op.owner = peer;
    loop->ops->connect(loop, &peer->connect_op, address);
    peer->sock = peer->connect_op.sock;
    return peer;
}
