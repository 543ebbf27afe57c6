/* client.c - the life of one connection: accepted, received from, closed, given back. */
#include <stdlib.h>
#include <string.h>

#include "engine/base/assert.h"
#include "engine/fanout/client.h"

/* ---- birth and death ---- */

static void on_received(twi_loop *loop, twi_op *op, int32_t result, uint32_t flags);

void twi_client_accept(twi_shard *shard, twi_sock sock)
{
    twi_client *client = shard->free_clients;
    TWI_ASSERT(client != NULL); /* the loop has no more sockets than there are clients */
    shard->free_clients = client->list_next;
    memset(client, 0, sizeof *client);
    client->shard = shard;
    client->sock = sock;
    client->state = TWI_CLIENT_HTTP;
    client->recv_op.owner = client->send_op.owner = client->close_op.owner = client;
    shard->client_count++;
    twi_timer_set(client, twi_shard_now(shard) + shard->config.handshake_timeout_ns);
    twi_client_receive(client);
}

static void unlist(twi_client **list, twi_client *client)
{
    for (twi_client **at = list; *at != NULL; at = &(*at)->list_next) {
        if (*at == client) {
            *at = client->list_next;
            return;
        }
    }
}

static void release_when_quiet(twi_client *client)
{
    twi_shard *shard = client->shard;
    if (client->send_pending || client->recv_pending || client->closing_socket)
        return;
    twi_timer_clear(client);
    twi_http_forget(client);
    if (client->waiting)
        unlist(&shard->waiting, client);
    if (client->parked_listed)
        unlist(&shard->parked, client);
    twi_buffer_fini(&client->in);
    twi_buffer_fini(&client->out);
    twi_buffer_fini(&client->sending);
    twi_buffer_fini(&client->deferred);
    twi_buffer_fini(&client->ping);
    client->state = TWI_CLIENT_FREE;
    client->list_next = shard->free_clients;
    shard->free_clients = client;
    shard->client_count--;
}

static void on_closed(twi_loop *loop, twi_op *op, int32_t result, uint32_t flags)
{
    (void)loop;
    (void)result;
    (void)flags;
    twi_client *client = op->owner;
    client->closing_socket = 0;
    release_when_quiet(client);
}

void twi_client_kill(twi_client *client)
{
    twi_shard *shard = client->shard;
    if (client->state == TWI_CLIENT_CLOSED) {
        release_when_quiet(client);
        return;
    }
    twi_client_leave(client);
    twi_http_forget(client);
    if (client->saved_rest > 0) { /* begun, and never to be completed */
        shard->totals.lost++;
        twi_count(shard, TWI_COUNTER_LOST, 1);
        client->saved_rest = 0;
    }
    if (client->counted) {
        atomic_fetch_sub_explicit(&shard->stream_count, 1, memory_order_relaxed);
        twi_counter_subtract(shard->config.counters, TWI_COUNTER_CONNECTIONS_OPEN, 1);
        if (client->state == TWI_CLIENT_STREAM)
            twi_count(shard, TWI_COUNTER_CLOSES_1006, 1); /* RFC 6455 section 7.1.5: no close frame was sent */
    }
    client->state = TWI_CLIENT_CLOSED;
    client->closing_socket = 1;
    client->close_op.done = on_closed;
    twi_ops(shard)->close(shard->config.loop, &client->close_op, client->sock);
}

void twi_client_close(twi_client *client, uint16_t code, const char *reason, int reconnect)
{
    if (client->state == TWI_CLIENT_HTTP) {
        twi_client_kill(client);
        return;
    }
    if (client->state != TWI_CLIENT_STREAM || client->close_wanted)
        return;
    client->close_wanted = 1;
    client->close_code = code;
    client->close_reason = reason;
    client->close_reconnect = (uint8_t)reconnect;
    twi_timer_set(client, twi_shard_now(client->shard) + TWI_CLOSE_TIMEOUT_NS);
    twi_client_pump(client);
}

static void on_stream_bytes(twi_client *client, uint8_t *data, size_t len);

/* Requests that waited are not served any more; their bytes are read on for the close frame behind them. */
static void await_peer_close(twi_client *client)
{
    client->message_ready = 0;
    twi_buffer_fini(&client->in);
    twi_buffer waiting = client->deferred;
    client->deferred = (twi_buffer){.cap_max = waiting.cap_max};
    if (waiting.len > 0)
        on_stream_bytes(client, waiting.data, waiting.len);
    twi_buffer_fini(&waiting);
    client->receiving = 1;
    twi_client_receive(client);
}

void twi_client_say_bye(twi_client *client)
{
    twi_client_leave(client);
    client->state = TWI_CLIENT_CLOSING;
    if (client->close_code >= 4000) {
        twi_buffer bye = {0};
        twi_buffer_format(&bye, "{\"op\":\"bye\",\"code\":%u,\"reason\":\"%s\",\"reconnect\":%s}", client->close_code,
                          client->close_reason, client->close_reconnect ? "true" : "false");
        twi_client_text(client, bye.data, bye.len);
        twi_buffer_fini(&bye);
    }
    uint8_t frame[TWI_WS_CONTROL_FRAME_MAX];
    twi_buffer_append(&client->out, frame, twi_ws_close_write(frame, client->close_code, client->close_reason, NULL));
    twi_count(client->shard, twi_counter_of_close(client->close_code), 1);
    if (client->bye_received)
        client->close_after_send = 1;
    else
        await_peer_close(client);
}

/* ---- receiving ---- */

void twi_client_receive(twi_client *client)
{
    twi_shard *shard = client->shard;
    if (client->recv_pending || client->state == TWI_CLIENT_CLOSED)
        return;
    client->receiving = 1;
    client->recv_pending = 1;
    client->recv_op.done = on_received;
    twi_ops(shard)->recv(shard->config.loop, &client->recv_op, client->sock);
}

static void stop_receiving(twi_client *client)
{
    if (!client->receiving)
        return;
    client->receiving = 0;
    client->receive_stopped = 1;
    twi_ops(client->shard)->recv_stop(client->shard->config.loop, &client->recv_op);
}

static void on_control_frame(twi_client *client, const twi_ws_piece *piece)
{
    uint8_t frame[TWI_WS_CONTROL_FRAME_MAX];
    if (piece->opcode == TWI_WS_PING) {
        /* A ping that comes in pieces is answered once it is whole; `in` may hold half a message, so it waits
         * apart. */
        twi_buffer_append(&client->ping, piece->data, piece->len);
        if (!(piece->flags & TWI_WS_LAST))
            return;
        size_t len = twi_ws_control_write(frame, TWI_WS_PONG, client->ping.data, client->ping.len, NULL);
        twi_buffer_fini(&client->ping);
        if (client->state == TWI_CLIENT_STREAM)
            twi_buffer_append(&client->out, frame, len);
    }
}

static void protocol_error(twi_client *client)
{
    twi_count(client->shard, TWI_COUNTER_MALFORMED_FRAMES, 1);
    client->bye_received = 1; /* nothing more is read from it */
    stop_receiving(client);
    twi_client_close(client, twi_ws_error_close_code(client->reader.error), twi_ws_error_reason(client->reader.error),
                     0);
}

static void peer_closed(twi_client *client)
{
    client->bye_received = 1;
    stop_receiving(client);
    if (client->state == TWI_CLIENT_STREAM) {
        uint16_t code = twi_ws_close_reply_code(client->reader.close_code);
        twi_client_close(client, code < 4000 ? code : (uint16_t)TWI_WS_CODE_NORMAL, "", 0);
    } else {
        client->close_after_send = 1;
        twi_client_pump(client);
    }
}

/* A piece of a data message. 0: a whole message is in `in` and has to wait. */
static int on_message_piece(twi_client *client, const twi_ws_piece *piece)
{
    if (piece->opcode == TWI_WS_BINARY) {
        client->bye_received = 1;
        stop_receiving(client);
        twi_client_close(client, TWI_WS_CODE_UNSUPPORTED, "control messages are text", 0);
        return 1;
    }
    const uint8_t *text = piece->data;
    size_t len = piece->len;
    int whole = (piece->flags & TWI_WS_LAST) != 0;
    if (client->in.len > 0 || !whole) {
        twi_buffer_append(&client->in, piece->data, piece->len);
        text = client->in.data;
        len = client->in.len;
    }
    if (client->in.failed) {
        twi_client_kill(client);
        return 1;
    }
    if (!whole)
        return 1;
    twi_count(client->shard, TWI_COUNTER_MESSAGES_IN, 1);
    if (!twi_client_message(client, text, len)) {
        if (client->in.len == 0)
            twi_buffer_append(&client->in, text, len);
        client->message_ready = 1;
        twi_waiting_add(client);
        return 0;
    }
    twi_buffer_fini(&client->in);
    return 1;
}

static void on_stream_bytes(twi_client *client, uint8_t *data, size_t len)
{
    uint8_t *cursor = data, *end = data + len;
    while (client->state == TWI_CLIENT_STREAM || client->state == TWI_CLIENT_CLOSING) {
        if (client->message_ready) {
            twi_buffer_append(&client->deferred, cursor, (size_t)(end - cursor));
            stop_receiving(client);
            break;
        }
        twi_ws_piece piece;
        tw_status status = twi_ws_read(&client->reader, &cursor, end, &piece);
        if (status == TW_NEED_MORE)
            break;
        if (status == TW_CLOSED) {
            peer_closed(client);
            break;
        }
        if (status != TW_OK) {
            protocol_error(client);
            break;
        }
        if (piece.opcode >= TWI_WS_CLOSE)
            on_control_frame(client, &piece);
        else if (client->state == TWI_CLIENT_STREAM)
            on_message_piece(client, &piece);
    }
    if (client->state == TWI_CLIENT_STREAM && client->out.len > TWI_PRIVATE_BACKLOG_BYTES_MAX &&
        client->send_kind == TWI_SEND_PARKED)
        twi_client_kill(client); /* asks and asks, and reads nothing */
    else
        twi_client_pump(client);
}

void twi_client_take_early(twi_client *client)
{
    if (client->state != TWI_CLIENT_STREAM || client->in.len == 0 || client->message_ready)
        return;
    twi_buffer early = client->in;
    client->in = (twi_buffer){.cap_max = early.cap_max};
    on_stream_bytes(client, early.data, early.len);
    twi_buffer_fini(&early);
}

static void on_bytes(twi_client *client, const uint8_t *data, size_t len)
{
    client->last_received_ns = twi_shard_now(client->shard);
    client->ping_sent = 0;
    twi_count(client->shard, TWI_COUNTER_BYTES_IN, len);
    if (client->state == TWI_CLIENT_HTTP) {
        if (client->in.len + len > 4 * (size_t)client->shard->config.http_head_bytes_max + TWI_RESPONSE_BACKLOG_BYTES) {
            twi_client_kill(client);
            return;
        }
        twi_buffer_append(&client->in, data, len);
        if (client->in.failed) {
            twi_client_kill(client);
            return;
        }
        twi_http_front(client);
        return;
    }
    /* The loop lends its buffer; unmasking in place is what it is lent for. */
    on_stream_bytes(client, (uint8_t *)(uintptr_t)data, len);
}

static void on_received(twi_loop *loop, twi_op *op, int32_t result, uint32_t flags)
{
    (void)loop;
    twi_client *client = op->owner;
    if (!(flags & TWI_OP_MORE))
        client->recv_pending = 0;
    if (client->state == TWI_CLIENT_CLOSED) {
        release_when_quiet(client);
        return;
    }
    if (result > 0) {
        on_bytes(client, op->data, (size_t)result);
        if (!client->recv_pending && client->receiving)
            twi_client_receive(client);
        return;
    }
    if (result == TW_CANCELED && client->receive_stopped) {
        client->receive_stopped = 0;
        if (client->receiving) /* resumed before the cancellation came through */
            twi_client_receive(client);
        return;
    }
    if (!client->recv_pending)
        client->receiving = 0;
    twi_client_kill(client);
}

void twi_client_resume(twi_client *client)
{
    if (client->state != TWI_CLIENT_STREAM)
        return;
    if (client->message_ready) {
        if (!twi_client_message(client, client->in.data, client->in.len)) {
            twi_waiting_add(client);
            return;
        }
        client->message_ready = 0;
        twi_buffer_fini(&client->in);
    }
    if (client->state != TWI_CLIENT_STREAM || client->joining != NULL)
        return;
    if (client->deferred.len > 0) {
        twi_buffer waiting = client->deferred;
        client->deferred = (twi_buffer){.cap_max = waiting.cap_max};
        on_stream_bytes(client, waiting.data, waiting.len);
        twi_buffer_fini(&waiting);
    }
    if (!client->message_ready && !client->receiving && !client->bye_received &&
        (client->state == TWI_CLIENT_STREAM || client->state == TWI_CLIENT_CLOSING)) {
        client->receiving = 1;
        twi_client_receive(client);
    }
}

/* ---- time ---- */

static void send_heartbeat(twi_client *client)
{
    twi_buffer text = {0};
    twi_buffer_format(&text, "{\"op\":\"heartbeat\",\"time_ns\":%lld}", (long long)twi_shard_realtime(client->shard));
    twi_client_text(client, text.data, text.len);
    twi_buffer_fini(&text);
    twi_count(client->shard, TWI_COUNTER_HEARTBEATS, 1);
}

static int64_t earlier(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static void stream_tick(twi_client *client, int64_t now_ns)
{
    const twi_shard_config *config = &client->shard->config;
    int64_t silent_since = client->last_received_ns;
    if (config->ping_interval_ns > 0 && client->ping_sent &&
        now_ns - silent_since >= config->ping_interval_ns + config->pong_timeout_ns) {
        twi_client_close(client, 4004, "no pong", 1);
        return;
    }
    if (config->ping_interval_ns > 0 && !client->ping_sent && now_ns - silent_since >= config->ping_interval_ns) {
        uint8_t frame[TWI_WS_CONTROL_FRAME_MAX];
        twi_buffer_append(&client->out, frame, twi_ws_control_write(frame, TWI_WS_PING, NULL, 0, NULL));
        client->ping_sent = 1;
    }
    if (config->heartbeat_ns > 0 && client->send_kind == TWI_SEND_NONE &&
        now_ns - client->last_sent_ns >= config->heartbeat_ns)
        send_heartbeat(client);
    int64_t next = now_ns + 3600 * (int64_t)1000000000;
    if (config->heartbeat_ns > 0) {
        int64_t due = client->last_sent_ns + config->heartbeat_ns;
        next = earlier(next, due > now_ns ? due : now_ns + config->heartbeat_ns);
    }
    if (config->ping_interval_ns > 0)
        next =
            earlier(next, silent_since + config->ping_interval_ns + (client->ping_sent ? config->pong_timeout_ns : 0));
    twi_timer_set(client, next > now_ns ? next : now_ns + TWI_TIMER_TICK_NS);
    twi_client_pump(client);
}

void twi_client_tick(twi_client *client, int64_t now_ns)
{
    if (client->state == TWI_CLIENT_STREAM && !client->close_wanted) {
        stream_tick(client, now_ns);
        return;
    }
    if (client->state == TWI_CLIENT_HTTP)
        twi_count(client->shard, TWI_COUNTER_REFUSED_TIMEOUT, 1);
    if (client->state != TWI_CLIENT_FREE)
        twi_client_kill(client);
}
