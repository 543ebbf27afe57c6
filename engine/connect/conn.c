/* conn.c - see conn.h. Dialing is in conn_dial.c; here is what goes over an open socket, and how it ends. */
#include "engine/connect/conn.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/assert.h"
#include "engine/connect/conn_internal.h"

#define LINGER_NS INT64_C(500000000) /* for the close frame to leave */

const char *twi_conn_end_name(twi_conn_end end)
{
    static const char *const names[TWI_END_COUNT] = {"stop",        "resolve", "connect",   "proxy",
                                                     "certificate", "tls",     "handshake", "peer",
                                                     "protocol",    "too_big", "silence"};
    return end < TWI_END_COUNT ? names[end] : "unknown";
}

void twi_conn_init(twi_conn *conn, const twi_conn_options *options, twi_hub *hub, void *owner)
{
    *conn = (twi_conn){.options = options, .hub = hub, .owner = owner};
}

void twi_conn_fini(twi_conn *conn)
{
    if (conn->question != 0)
        twi_resolver_cancel(conn->hub->resolver, conn->question);
    if (conn->tls != NULL)
        twi_tls_close(conn->tls);
    free(conn->memory);
    *conn = (twi_conn){.options = conn->options};
}

void twi_conn_enter(twi_conn *conn, twi_conn_phase phase)
{
    conn->phase = (uint8_t)phase;
    conn->phase_ns = twi_hub_now_ns(conn->hub);
}

/* ---- the end ---- */

/* Nothing of the loop's is left. */
void twi_conn_settle(twi_conn *conn)
{
    if (conn->tls != NULL)
        twi_tls_close(conn->tls);
    conn->tls = NULL;
    conn->message.len = 0;
    conn->out_at = conn->out_len = 0;
    conn->has_sock = conn->sending = conn->parked = conn->shutting = conn->lingers = conn->deaf = false;
    conn->phase = TWI_CONN_IDLE;
}

static void on_closed(twi_loop *loop, twi_op *op, int32_t result, uint32_t flags)
{
    (void)loop;
    (void)result;
    (void)flags;
    twi_conn_settle(op->owner);
}

void twi_conn_close_sock(twi_conn *conn)
{
    if (conn->shutting)
        return;
    if (!conn->has_sock) {
        twi_conn_settle(conn);
        return;
    }
    conn->shutting = true;
    conn->close_op.done = on_closed;
    conn->close_op.owner = conn;
    conn->hub->loop->ops->close(conn->hub->loop, &conn->close_op, conn->sock);
}

static void say_goodbye(twi_conn *conn, uint16_t code)
{
    uint8_t frame[TWI_WS_CONTROL_FRAME_MAX], mask[4];
    twi_conn_mask(conn, mask);
    size_t len = twi_ws_close_write(frame, code, NULL, mask);
    conn->lingers = twi_conn_put(conn, frame, len) == TW_OK;
    if (conn->lingers && conn->tls != NULL)
        twi_tls_end(conn->tls);
}

/* code: of the close frame; 0: none is sent. */
static void end(twi_conn *conn, twi_conn_end kind, uint16_t code)
{
    if (conn->phase == TWI_CONN_IDLE || conn->phase == TWI_CONN_CLOSING)
        return;
    bool was_open = conn->phase == TWI_CONN_OPEN;
    if (conn->question != 0)
        twi_resolver_cancel(conn->hub->resolver, conn->question);
    conn->question = 0;
    twi_conn_enter(conn, TWI_CONN_CLOSING);
    if (was_open && code != 0)
        say_goodbye(conn, code);
    conn->deaf = true;
    if (conn->lingers)
        twi_conn_flush(conn);
    else
        twi_conn_close_sock(conn);
    conn->options->calls->down(conn->owner, conn, kind, conn->why);
}

void twi_conn_fail(twi_conn *conn, twi_conn_end kind, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(conn->why, sizeof(conn->why), format, args);
    va_end(args);
    end(conn, kind, 0);
}

void twi_conn_close(twi_conn *conn, const char *why)
{
    snprintf(conn->why, sizeof(conn->why), "%s", why);
    end(conn, TWI_END_STOP, TWI_WS_CODE_NORMAL);
}

/* The loop itself ends: nothing may be started any more. */
void twi_conn_canceled(twi_conn *conn)
{
    if (!conn->shutting)
        conn->phase = TWI_CONN_CLOSING;
    conn->deaf = true;
}

void twi_conn_abandon(twi_conn *conn)
{
    conn->shutting = true;
    if (conn->phase != TWI_CONN_IDLE)
        conn->phase = TWI_CONN_CLOSING;
    if (conn->question != 0)
        twi_resolver_cancel(conn->hub->resolver, conn->question);
    conn->question = 0;
}

/* ---- bytes out ---- */

static void on_sent(twi_loop *loop, twi_op *op, int32_t result, uint32_t flags);

static void on_writable(twi_loop *loop, twi_op *op, int32_t result, uint32_t flags)
{
    twi_conn *conn = op->owner;
    (void)loop;
    (void)flags;
    conn->parked = false;
    if (result == TW_OK)
        twi_conn_flush(conn);
}

static void park(twi_conn *conn)
{
    conn->parked = true;
    conn->writable_op.done = on_writable;
    conn->writable_op.owner = conn;
    conn->hub->loop->ops->writable(conn->hub->loop, &conn->writable_op, conn->sock);
}

void twi_conn_flush(twi_conn *conn)
{
    if (conn->sending || conn->parked || conn->shutting || !conn->has_sock)
        return;
    if (conn->out_at == conn->out_len) {
        conn->out_at = conn->out_len = 0;
        if (conn->lingers)
            twi_conn_close_sock(conn);
        return;
    }
    conn->out_piece = (struct iovec){.iov_base = conn->out + conn->out_at, .iov_len = conn->out_len - conn->out_at};
    conn->send_op.iov = &conn->out_piece;
    conn->send_op.iov_count = 1;
    conn->send_op.done = on_sent;
    conn->send_op.owner = conn;
    conn->sending = true;
    conn->hub->loop->ops->send(conn->hub->loop, &conn->send_op, conn->sock);
}

static void on_sent(twi_loop *loop, twi_op *op, int32_t result, uint32_t flags)
{
    twi_conn *conn = op->owner;
    (void)loop;
    (void)flags;
    conn->sending = false;
    if (result > 0)
        conn->out_at += (size_t)result;
    if (conn->shutting || result == TW_CANCELED)
        return;
    if (result == TW_AGAIN) {
        park(conn);
    } else if (result < 0 && conn->phase == TWI_CONN_CLOSING) {
        twi_conn_close_sock(conn);
    } else if (result < 0) {
        twi_conn_fail(conn, TWI_END_PEER, "the connection broke while sending (%s)", tw_status_name((tw_status)result));
    } else {
        twi_conn_flush(conn);
    }
}

/* Copies bytes behind those that wait; all or nothing. */
int twi_conn_queue(void *owner, const uint8_t *bytes, size_t len)
{
    twi_conn *conn = owner;
    if (conn->out_at > 0 && !conn->sending) {
        memmove(conn->out, conn->out + conn->out_at, conn->out_len - conn->out_at);
        conn->out_len -= conn->out_at;
        conn->out_at = 0;
    }
    if (len > TWI_CONN_OUT_BYTES - conn->out_len)
        return 0;
    memcpy(conn->out + conn->out_len, bytes, len);
    conn->out_len += len;
    return 1;
}

/* Through TLS where there is any, and on its way. */
tw_status twi_conn_put(twi_conn *conn, const uint8_t *bytes, size_t len)
{
    tw_status status = TW_OK;
    if (conn->tls != NULL)
        status = twi_tls_write(conn->tls, bytes, len);
    else if (!twi_conn_queue(conn, bytes, len))
        status = TW_FULL;
    twi_conn_flush(conn);
    return status;
}

bool twi_conn_has_room(const twi_conn *conn, size_t len)
{
    size_t used = conn->sending ? conn->out_len : conn->out_len - conn->out_at;
    return conn->phase == TWI_CONN_OPEN &&
           twi_tls_wire_bytes(len + TWI_WS_HEADER_BYTES_MAX) + TWI_WS_CONTROL_FRAME_MAX <= TWI_CONN_OUT_BYTES - used;
}

void twi_conn_mask(twi_conn *conn, uint8_t mask[4])
{
    uint64_t bits = twi_hub_random(conn->hub);
    memcpy(mask, &bits, 4);
}

tw_status twi_conn_send(twi_conn *conn, uint8_t opcode, const uint8_t *msg, size_t msg_len)
{
    uint8_t mask[4], *frame = conn->hub->frame;
    if (conn->phase != TWI_CONN_OPEN)
        return TW_CLOSED;
    if (msg_len > TW_FEED_OUTPUT_MAX)
        return TW_TOO_BIG;
    if (!twi_conn_has_room(conn, msg_len))
        return TW_FULL;
    twi_conn_mask(conn, mask);
    size_t head = twi_ws_header_write(frame, opcode, true, false, msg_len, mask);
    memmove(frame + head, msg, msg_len);
    twi_ws_mask(frame + head, msg_len, mask, 0);
    return twi_conn_put(conn, frame, head + msg_len);
}

/* ---- frames in ---- */

static void break_off(twi_conn *conn, uint8_t error)
{
    bool too_big = error == TWI_WS_ERROR_TOO_BIG || error == TWI_WS_ERROR_FRAGMENTS;
    if (too_big)
        snprintf(conn->why, sizeof(conn->why), "%s (at most %u bytes in %d fragments are taken)",
                 twi_ws_error_reason(error), conn->options->message_bytes_max, TWI_CONN_FRAGMENTS_MAX);
    else
        snprintf(conn->why, sizeof(conn->why), "bad frame: %s", twi_ws_error_reason(error));
    end(conn, too_big ? TWI_END_TOO_BIG : TWI_END_PROTOCOL, twi_ws_error_close_code(error));
}

static void on_control(twi_conn *conn)
{
    uint8_t frame[TWI_WS_CONTROL_FRAME_MAX], mask[4];
    if (conn->control.opcode != TWI_WS_PING)
        return;
    twi_conn_mask(conn, mask);
    size_t len = twi_ws_control_write(frame, TWI_WS_PONG, conn->control.payload, conn->control.payload_len, mask);
    /* A venue that pings faster than it reads gets no answer to some. */
    if (conn->tls == NULL || twi_conn_has_room(conn, len)) {
        tw_status status = twi_conn_put(conn, frame, len);
        (void)status;
    }
}

static void on_close_frame(twi_conn *conn)
{
    uint16_t code = conn->reader.close_code;
    const char *text = conn->control.opcode == TWI_WS_CLOSE ? (const char *)conn->control.payload + 2 : "";
    int len = conn->control.opcode == TWI_WS_CLOSE && conn->control.payload_len > 2 ? conn->control.payload_len - 2 : 0;
    if (code == TWI_WS_CODE_NONE)
        snprintf(conn->why, sizeof(conn->why), "the venue closed the connection");
    else
        snprintf(conn->why, sizeof(conn->why), "the venue closed the connection with code %u%s%.*s", (unsigned)code,
                 len > 0 ? ": " : "", len, text);
    end(conn, TWI_END_PEER, code == TWI_WS_CODE_NONE ? TWI_WS_CODE_NORMAL : code);
}

static void on_piece(twi_conn *conn, const twi_ws_piece *piece, int64_t recv_ns)
{
    const twi_conn_calls *calls = conn->options->calls;
    enum { WHOLE = TWI_WS_FIRST | TWI_WS_LAST };
    if (piece->opcode >= TWI_WS_CLOSE) {
        if (twi_ws_control_add(&conn->control, piece))
            on_control(conn);
        return;
    }
    if ((piece->flags & WHOLE) == WHOLE) {
        calls->message(conn->owner, conn, recv_ns, piece->opcode, piece->data, piece->len);
        return;
    }
    /* The reader has checked the length against the limit that the memory has. */
    tw_status status = twi_ws_message_add(&conn->message, piece);
    TWI_ASSERT(status == TW_OK || status == TW_NEED_MORE);
    if (status == TW_OK)
        calls->message(conn->owner, conn, recv_ns, conn->message.opcode, conn->message.data, conn->message.len);
}

void twi_conn_frames(twi_conn *conn, uint8_t *data, size_t len, int64_t recv_ns)
{
    uint8_t *cursor = data;
    twi_ws_piece piece;
    while (conn->phase == TWI_CONN_OPEN) {
        tw_status status = twi_ws_read(&conn->reader, &cursor, data + len, &piece);
        if (TWI_LIKELY(status == TW_OK)) {
            on_piece(conn, &piece, recv_ns);
            continue;
        }
        if (status == TW_CLOSED)
            on_close_frame(conn);
        else if (status != TW_NEED_MORE)
            break_off(conn, conn->reader.error);
        return;
    }
}

/* ---- time ---- */

static void tick_open(twi_conn *conn, int64_t now_ns)
{
    const twi_conn_options *options = conn->options;
    int64_t quiet_ns = now_ns - conn->recv_ns;
    if (options->silence_ns > 0 && quiet_ns > options->silence_ns) {
        snprintf(conn->why, sizeof(conn->why), "nothing was received for %.1f s", (double)quiet_ns / 1e9);
        end(conn, TWI_END_SILENCE, TWI_WS_CODE_GOING_AWAY);
        return;
    }
    if (options->ping_ns > 0 && quiet_ns > options->ping_ns && now_ns - conn->ping_ns > options->ping_ns) {
        uint8_t frame[TWI_WS_CONTROL_FRAME_MAX], mask[4];
        conn->ping_ns = now_ns;
        twi_conn_mask(conn, mask);
        size_t len = twi_ws_control_write(frame, TWI_WS_PING, NULL, 0, mask);
        if (twi_conn_has_room(conn, len)) {
            tw_status status = twi_conn_put(conn, frame, len);
            (void)status;
        }
    }
}

void twi_conn_tick(twi_conn *conn)
{
    int64_t now_ns = twi_hub_now_ns(conn->hub);
    switch (conn->phase) {
    case TWI_CONN_IDLE:
        return;
    case TWI_CONN_OPEN:
        tick_open(conn, now_ns);
        return;
    case TWI_CONN_CLOSING:
        if (now_ns - conn->phase_ns > LINGER_NS)
            twi_conn_close_sock(conn);
        return;
    default:
        twi_conn_tick_dial(conn, now_ns);
    }
}
