/* client.c - one connection: dial, upgrade, send, close, and what happens after its end. */
#include "subscribers/client.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/assert.h"

#define CLOSE_TIMEOUT_NS 1000000000LL /* for the server to hang up after the close frames */

enum { BACKOFF_DOUBLINGS_MAX = 20, REQUEST_BYTES_MAX = 8192, HEARTBEATS_OF_SILENCE = 3 };

static bool is_open(const tw_client *client)
{
    return client->state == TW_CLIENT_OPEN || client->state == TW_CLIENT_READY;
}

void twi_client_state_set(tw_client *client, tw_client_state state, tw_status status, const char *reason)
{
    tw_client_pool *pool = client->pool;
    pool->state_count[client->state]--;
    client->state = (uint8_t)state;
    pool->state_count[state]++;
    if (pool->options.callbacks.on_state && !pool->closing)
        pool->options.callbacks.on_state(client, state, status, reason, client->owner);
}

/* ---- the end of a connection ---- */

static int64_t backoff_ns(tw_client *client)
{
    const tw_client_pool_options *options = &client->pool->options;
    uint32_t doublings = client->failures < BACKOFF_DOUBLINGS_MAX ? client->failures : BACKOFF_DOUBLINGS_MAX;
    int64_t wait_ns = options->backoff_min_ns;
    while (doublings-- > 0 && wait_ns < options->backoff_max_ns)
        wait_ns *= 2;
    if (wait_ns > options->backoff_max_ns)
        wait_ns = options->backoff_max_ns;
    /* Half of it is fixed and half is chance, so that a thousand clients do not come back in the same instant. */
    return wait_ns / 2 + (int64_t)(twi_pool_random(client->pool) % (uint64_t)(wait_ns / 2 + 1));
}

static void connection_forget(tw_client *client)
{
    client->sock = (twi_sock){0};
    client->out.len = 0;
    client->sending.len = 0;
    client->send_done = 0;
    client->head.len = 0;
    client->partial.len = 0;
    client->close_sent = false;
    client->acks_pending = 0;
    for (uint32_t i = 0; i < client->sequence_count; i++)
        twi_sequence_down(&client->sequences[i]);
}

/* Every op has ended: wait for the next dial, or stay closed. */
static void connection_over(tw_client *client)
{
    tw_client_pool *pool = client->pool;
    bool was_up = client->state >= TW_CLIENT_OPEN;
    if (client->dialing) {
        client->dialing = false;
        pool->dials_inflight--;
        pool->sweep_ns = pool->now_ns;
    }
    connection_forget(client);
    if (!was_up)
        pool->stats.dial_failures++;
    else if (!client->asked)
        pool->stats.closes++;
    if (client->final || client->no_reconnect) {
        client->final = true;
        client->deadline_ns = TWI_CLIENT_NEVER;
        twi_client_state_set(client, TW_CLIENT_CLOSED, client->end_status, client->end_reason);
        return;
    }
    int64_t wait_ns = backoff_ns(client);
    client->failures++;
    twi_client_state_set(client, TW_CLIENT_WAITING, client->end_status, client->end_reason);
    if (client->state == TW_CLIENT_WAITING)
        twi_pool_deadline(pool, client, pool->now_ns + wait_ns);
}

static void on_closed(twi_loop *loop, twi_op *op, int32_t result, uint32_t flags)
{
    tw_client *client = op->owner;
    (void)loop;
    (void)result;
    (void)flags;
    client->closing = false;
    if (!client->pool->closing)
        connection_over(client);
}

/* Ends the connection with the status and reason that stand already. */
static void end_as_told(tw_client *client)
{
    if (client->closing || client->state == TW_CLIENT_CLOSED)
        return;
    client->deadline_ns = TWI_CLIENT_NEVER;
    if (client->sock.generation == 0) {
        if (!client->connect_armed) /* else its callback, an error, comes here again */
            connection_over(client);
        return;
    }
    client->closing = true;
    client->close_op = (twi_op){.done = on_closed, .owner = client};
    client->pool->loop->ops->close(client->pool->loop, &client->close_op, client->sock);
}

void twi_client_end(tw_client *client, tw_status status, const char *error_name, const char *format, ...)
{
    if (client->closing || client->state == TW_CLIENT_CLOSED)
        return;
    if (client->state != TW_CLIENT_CLOSING) { /* else it was said why when closing began */
        va_list args;
        va_start(args, format);
        vsnprintf(client->end_reason, sizeof client->end_reason, format, args);
        va_end(args);
        client->end_status = status;
        if (error_name && !client->asked)
            twi_pool_error(client->pool, error_name);
    }
    end_as_told(client);
}

void twi_client_close_begin(tw_client *client, uint16_t code, const char *reason)
{
    uint8_t frame[TWI_WS_CONTROL_FRAME_MAX];
    uint64_t mask_bits = twi_pool_random(client->pool);
    uint8_t mask[4];
    if (client->close_sent)
        return;
    memcpy(mask, &mask_bits, sizeof mask);
    size_t frame_bytes = twi_ws_close_write(frame, code, reason, mask);
    client->close_sent = true;
    if (twi_buffer_add(&client->out, frame, frame_bytes, TWI_CLIENT_OUT_BYTES_MAX) != TW_OK) {
        twi_client_end(client, TW_CLOSED, NULL, "closed without a close frame: too much waits to be sent");
        return;
    }
    twi_client_state_set(client, TW_CLIENT_CLOSING, client->end_status, client->end_reason);
    twi_pool_deadline(client->pool, client, client->pool->now_ns + CLOSE_TIMEOUT_NS);
    twi_client_flush(client);
}

void tw_client_close(tw_client *client)
{
    if (client->asked || client->state == TW_CLIENT_CLOSED)
        return;
    client->asked = true;
    client->final = true;
    client->end_status = TW_OK;
    snprintf(client->end_reason, sizeof client->end_reason, "closed");
    if (is_open(client))
        twi_client_close_begin(client, TWI_WS_CODE_NORMAL, NULL);
    else if (client->state != TW_CLIENT_CLOSING)
        twi_client_end(client, TW_OK, NULL, "closed");
}

/* ---- sending: one send in flight; what is written meanwhile goes with the next ---- */

static void send_more(tw_client *client);

static void on_writable(twi_loop *loop, twi_op *op, int32_t result, uint32_t flags)
{
    tw_client *client = op->owner;
    (void)loop;
    (void)flags;
    client->park_armed = false;
    if (client->closing || client->pool->closing)
        return;
    if (result < 0)
        twi_client_end(client, (tw_status)result, "send_failed", "send: %s", tw_status_name((tw_status)result));
    else
        send_more(client);
}

static void on_sent(twi_loop *loop, twi_op *op, int32_t result, uint32_t flags)
{
    tw_client *client = op->owner;
    (void)flags;
    client->send_armed = false;
    if (client->closing || client->pool->closing)
        return;
    if (result < 0 && result != TW_AGAIN) {
        twi_client_end(client, (tw_status)result, "send_failed", "send: %s", tw_status_name((tw_status)result));
        return;
    }
    if (result > 0)
        client->send_done += (size_t)result;
    if (client->send_done == client->sending.len) {
        client->sending.len = 0;
        client->send_done = 0;
        twi_client_flush(client);
        return;
    }
    client->park_armed = true;
    client->writable_op = (twi_op){.done = on_writable, .owner = client};
    loop->ops->writable(loop, &client->writable_op, client->sock);
}

static void send_more(tw_client *client)
{
    twi_loop *loop = client->pool->loop;
    client->send_iov = (struct iovec){.iov_base = client->sending.data + client->send_done,
                                      .iov_len = client->sending.len - client->send_done};
    client->send_op = (twi_op){.done = on_sent, .owner = client, .iov = &client->send_iov, .iov_count = 1};
    client->send_armed = true;
    loop->ops->send(loop, &client->send_op, client->sock);
}

void twi_client_flush(tw_client *client)
{
    if (client->send_armed || client->park_armed || client->closing || client->out.len == 0)
        return;
    twi_buffer spare = client->sending;
    client->sending = client->out;
    client->out = spare;
    client->out.len = 0;
    client->send_done = 0;
    send_more(client);
}

tw_status twi_client_frame(tw_client *client, uint8_t opcode, const void *payload, size_t payload_len)
{
    uint8_t header[TWI_WS_HEADER_BYTES_MAX];
    uint8_t mask[4];
    uint64_t mask_bits = twi_pool_random(client->pool);
    if (client->close_sent)
        return TW_CLOSED;
    memcpy(mask, &mask_bits, sizeof mask);
    size_t header_bytes = twi_ws_header_write(header, opcode, true, false, payload_len, mask);
    tw_status status = twi_buffer_reserve(&client->out, header_bytes + payload_len, TWI_CLIENT_OUT_BYTES_MAX);
    if (status != TW_OK)
        return status == TW_TOO_BIG ? TW_FULL : status;
    uint8_t *at = client->out.data + client->out.len;
    memcpy(at, header, header_bytes);
    if (payload_len > 0)
        memcpy(at + header_bytes, payload, payload_len);
    twi_ws_mask(at + header_bytes, payload_len, mask, 0);
    client->out.len += header_bytes + payload_len;
    return TW_OK;
}

/* ---- receiving ---- */

static void recv_arm(tw_client *client);

static void on_recv(twi_loop *loop, twi_op *op, int32_t result, uint32_t flags)
{
    tw_client *client = op->owner;
    (void)loop;
    if ((flags & TWI_OP_MORE) == 0)
        client->recv_armed = false;
    if (client->closing || client->pool->closing)
        return;
    if (result > 0)
        twi_client_bytes(client, op->data, (size_t)result);
    else if (result == 0)
        twi_client_end(client, TW_CLOSED, is_open(client) ? "hung_up" : "upgrade_refused", "the server hung up");
    else if (result != TW_CANCELED)
        twi_client_end(client, (tw_status)result, "receive_failed", "receive: %s", tw_status_name((tw_status)result));
    if (!client->recv_armed && !client->paused && !client->closing && client->sock.generation != 0)
        recv_arm(client);
}

static void recv_arm(tw_client *client)
{
    client->recv_armed = true;
    client->recv_op = (twi_op){.done = on_recv, .owner = client};
    client->pool->loop->ops->recv(client->pool->loop, &client->recv_op, client->sock);
}

void tw_client_pause(tw_client *client)
{
    if (client->paused)
        return;
    client->paused = true;
    if (client->recv_armed && !client->closing)
        client->pool->loop->ops->recv_stop(client->pool->loop, &client->recv_op);
}

void tw_client_resume(tw_client *client)
{
    if (!client->paused)
        return;
    client->paused = false;
    client->last_recv_ns = client->pool->now_ns;
    if (!client->recv_armed && !client->closing && client->sock.generation != 0 && client->state >= TW_CLIENT_HANDSHAKE)
        recv_arm(client);
}

/* ---- dialing ---- */

static void upgrade_send(tw_client *client)
{
    for (size_t i = 0; i < sizeof client->key; i += sizeof(uint64_t)) {
        uint64_t bits = twi_pool_random(client->pool);
        memcpy(client->key + i, &bits, sizeof bits);
    }
    twi_ws_client_request request = {.host = client->authority,
                                     .target = client->target,
                                     .protocols = client->protocols,
                                     .extra_headers = client->headers};
    if (twi_buffer_reserve(&client->out, REQUEST_BYTES_MAX, TWI_CLIENT_OUT_BYTES_MAX) != TW_OK) {
        twi_client_end(client, TW_NO_MEMORY, "no_memory", "no memory for the request");
        return;
    }
    client->out.len = twi_ws_request_write((char *)client->out.data, REQUEST_BYTES_MAX, &request, client->key);
    if (client->out.len == 0)
        twi_client_end(client, TW_TOO_BIG, "request_too_big", "the upgrade request is over %d bytes",
                       REQUEST_BYTES_MAX);
    else
        twi_client_flush(client);
}

static void on_connect(twi_loop *loop, twi_op *op, int32_t result, uint32_t flags)
{
    tw_client *client = op->owner;
    (void)loop;
    (void)flags;
    client->connect_armed = false;
    if (client->closing || client->pool->closing)
        return;
    if (result < 0) {
        client->sock = (twi_sock){0};
        twi_client_end(client, (tw_status)result, result == TW_UNAVAILABLE ? "refused" : "connect_failed",
                       "connect to %s:%u: %s", client->address, client->port, tw_status_name((tw_status)result));
        return;
    }
    client->sock = op->sock;
    twi_client_state_set(client, TW_CLIENT_HANDSHAKE, TW_OK, "");
    if (client->closing)
        return;
    if (!client->paused)
        recv_arm(client);
    upgrade_send(client);
}

void twi_client_dial(tw_client *client)
{
    tw_client_pool *pool = client->pool;
    TWI_ASSERT(!client->closing && !client->recv_armed && !client->send_armed && !client->park_armed);
    twi_ws_reader_init(&client->reader, &(twi_ws_reader_config){.message_bytes_max = pool->options.message_bytes_max,
                                                                .role = TWI_WS_CLIENT});
    client->dialing = true;
    pool->dials_inflight++;
    pool->stats.dials++;
    twi_pool_deadline(pool, client, pool->now_ns + pool->options.handshake_timeout_ns);
    twi_client_state_set(client, TW_CLIENT_CONNECTING, TW_OK, "");
    if (client->state != TW_CLIENT_CONNECTING)
        return;
    twi_address address = {.host = client->address, .port = client->port};
    client->connect_op = (twi_op){.done = on_connect, .owner = client};
    client->connect_armed = true;
    pool->loop->ops->connect(pool->loop, &client->connect_op, &address);
    client->sock = client->connect_op.sock;
}

/* ---- the upgrade's answer ---- */

static void opened(tw_client *client)
{
    tw_client_pool *pool = client->pool;
    client->dialing = false;
    pool->dials_inflight--;
    pool->sweep_ns = pool->now_ns; /* another one may dial */
    pool->stats.opens++;
    if (client->opened_once)
        pool->stats.reconnects++;
    client->opened_once = true;
    client->last_recv_ns = pool->now_ns;
    client->silence_ns = pool->options.silence_timeout_ns;
    client->deadline_ns = TWI_CLIENT_NEVER;
    if (client->silence_ns > 0)
        twi_pool_deadline(pool, client, pool->now_ns + client->silence_ns);
    twi_request_send_all(client);
    twi_client_state_set(client, TW_CLIENT_OPEN, TW_OK, "");
}

static void upgrade_denied(tw_client *client, tw_status status, const twi_http_response *response, const char *error)
{
    char name[TWI_CLIENT_ERROR_NAME_MAX + 1];
    if (status != TW_UNAVAILABLE) {
        twi_client_end(client, status, "upgrade_malformed", "upgrade: %s", error ? error : "bad answer");
        return;
    }
    uint16_t code = response->status;
    /* RFC 9110 section 15.5: a client error repeats itself, but for "timeout" and "too many requests". */
    client->final = client->final || (code >= 400 && code < 500 && code != 408 && code != 429);
    snprintf(name, sizeof name, "upgrade_%u", code);
    twi_client_end(client, code == 401 || code == 403 ? TW_AUTHENTICATION : TW_UNAVAILABLE, name,
                   "upgrade denied: %u %.*s", code, (int)response->reason.len, response->reason.data);
}

/* Takes the server's answer. Returns how many of the len bytes belong to it; all of them while it is incomplete. */
size_t twi_client_upgrade(tw_client *client, const uint8_t *bytes, size_t len)
{
    twi_http_response response;
    twi_ws_client_answer answer;
    size_t before = client->head.len;
    twi_ws_client_request request = {
        .host = client->authority, .target = client->target, .protocols = client->protocols};
    size_t room = TWI_CLIENT_HEAD_BYTES_MAX - before;
    if (twi_buffer_add(&client->head, bytes, len < room ? len : room, TWI_CLIENT_HEAD_BYTES_MAX) != TW_OK) {
        twi_client_end(client, TW_NO_MEMORY, "no_memory", "no memory for the answer");
        return len;
    }
    tw_status status = twi_http_response_parse(client->head.data, client->head.len, before, NULL, &response);
    if (status == TW_NEED_MORE && client->head.len < TWI_CLIENT_HEAD_BYTES_MAX)
        return len;
    if (status != TW_OK) {
        twi_client_end(client, TW_MALFORMED, "upgrade_malformed", "the answer is no HTTP: %s",
                       response.error ? response.error : "head too big");
        return len;
    }
    status = twi_ws_response_check(&response, &request, client->key, &answer);
    if (status == TW_OK) {
        size_t used = response.fields.head_bytes - before;
        twi_buffer_free(&client->head);
        opened(client);
        return used;
    }
    upgrade_denied(client, status, &response, answer.error);
    return len;
}

/* ---- deadlines ---- */

void twi_client_ready(tw_client *client)
{
    if (client->state != TW_CLIENT_OPEN)
        return;
    client->failures = 0;
    twi_client_state_set(client, TW_CLIENT_READY, TW_OK, "");
}

static void silence_check(tw_client *client)
{
    int64_t due_ns = client->last_recv_ns + client->silence_ns;
    if (client->silence_ns == 0)
        client->deadline_ns = TWI_CLIENT_NEVER;
    else if (client->paused)
        twi_pool_deadline(client->pool, client, client->pool->now_ns + client->silence_ns);
    else if (due_ns > client->pool->now_ns)
        twi_pool_deadline(client->pool, client, due_ns);
    else
        twi_client_end(client, TW_TIMEOUT, "silence", "nothing received for %.1f s", (double)client->silence_ns / 1e9);
}

void twi_client_deadline(tw_client *client)
{
    switch ((tw_client_state)client->state) {
    case TW_CLIENT_WAITING:
        client->deadline_ns = TWI_CLIENT_NEVER;
        twi_pool_dial_queue(client->pool, client);
        break;
    case TW_CLIENT_CONNECTING:
    case TW_CLIENT_HANDSHAKE:
        twi_client_end(client, TW_TIMEOUT, "handshake_timeout", "no connection within %.1f s",
                       (double)client->pool->options.handshake_timeout_ns / 1e9);
        break;
    case TW_CLIENT_OPEN:
    case TW_CLIENT_READY:
        silence_check(client);
        break;
    case TW_CLIENT_CLOSING:
        end_as_told(client);
        break;
    case TW_CLIENT_CLOSED:
        client->deadline_ns = TWI_CLIENT_NEVER;
        break;
    }
}

/* The server promises a frame every heartbeat_s seconds. */
void twi_client_heartbeat(tw_client *client, int64_t heartbeat_ns)
{
    if (client->pool->options.silence_timeout_ns != 0 || heartbeat_ns <= 0 || !is_open(client))
        return;
    client->silence_ns = HEARTBEATS_OF_SILENCE * heartbeat_ns;
    twi_pool_deadline(client->pool, client, client->pool->now_ns + client->silence_ns);
}

void twi_client_free(tw_client *client)
{
    twi_buffer_free(&client->out);
    twi_buffer_free(&client->sending);
    twi_buffer_free(&client->head);
    twi_ws_message_fini(&client->partial);
    twi_request_free_all(client);
    free(client->sequences);
    free(client->address);
    free(client->authority);
    free(client->target);
    free(client->headers);
    free(client);
}
