/* subscriber_server.h - a Tickwire server of a few lines for the client's tests: it says what the test tells it to say.
 *
 * Shape:     a loop and a few connections, stepped by the test in the client's own thread, so that a test decides what
 *            happens in which order. Upgrades are answered at once unless the test wants otherwise.
 * Non-goals: topics, codecs, correctness of anything that a client does not look at. */
#ifndef TWT_SUBSCRIBER_SERVER_H
#define TWT_SUBSCRIBER_SERVER_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/loop/loop.h"
#include "engine/proto/ws.h"
#include "engine/proto/ws_handshake.h"

enum { TWT_CONNS_MAX = 512, TWT_TEXT_MAX = 8192, TWT_OUT_MAX = 1 << 18, TWT_CONN_TEXTS_MAX = 8 };

typedef struct twt_server twt_server;

typedef struct twt_conn {
    twt_server *server;
    twi_sock sock;
    twi_op recv_op, send_op, close_op;
    bool recv_armed, send_armed, closing, open;
    char head[TWT_TEXT_MAX];
    size_t head_len;
    char target[TWT_TEXT_MAX];
    char headers[TWT_TEXT_MAX]; /* as received */
    twi_ws_reader reader;
    twi_ws_control control;
    char texts[TWT_CONN_TEXTS_MAX][TWT_TEXT_MAX]; /* messages received */
    uint32_t text_count;
    uint32_t pong_count;
    uint16_t close_code; /* received; 0: none yet */
    uint8_t *out;
    size_t out_len, out_done;
    struct iovec iov;
} twt_conn;

struct twt_server {
    twi_loop *loop;
    twi_sock listener;
    twi_op accept_op;
    uint16_t port;
    const char *refusal; /* sent instead of the 101, then the connection is closed; NULL: accept */
    bool silent;         /* says nothing to an upgrade request */
    bool hello_off;
    const char *epoch;
    twt_conn *conns[TWT_CONNS_MAX];
    uint32_t conn_count;
};

static void twt_on_send(twi_loop *loop, twi_op *op, int32_t result, uint32_t flags);

static void twt_flush(twt_conn *conn)
{
    if (conn->send_armed || conn->closing || conn->out_done == conn->out_len)
        return;
    conn->iov = (struct iovec){.iov_base = conn->out + conn->out_done, .iov_len = conn->out_len - conn->out_done};
    conn->send_op = (twi_op){.done = twt_on_send, .owner = conn, .iov = &conn->iov, .iov_count = 1};
    conn->send_armed = true;
    conn->server->loop->ops->send(conn->server->loop, &conn->send_op, conn->sock);
}

/* A full socket is simply tried again: this is a test. */
static void twt_on_send(twi_loop *loop, twi_op *op, int32_t result, uint32_t flags)
{
    twt_conn *conn = op->owner;
    (void)loop;
    (void)flags;
    conn->send_armed = false;
    if (result > 0)
        conn->out_done += (size_t)result;
    if (conn->out_done == conn->out_len)
        conn->out_done = conn->out_len = 0;
    if (result > 0)
        twt_flush(conn);
}

static inline void twt_send_raw(twt_conn *conn, const void *bytes, size_t len)
{
    if (conn->closing || conn->out_len + len > TWT_OUT_MAX)
        return;
    memcpy(conn->out + conn->out_len, bytes, len);
    conn->out_len += len;
    twt_flush(conn);
}

static inline void twt_send_frame(twt_conn *conn, uint8_t opcode, bool fin, const void *payload, size_t len)
{
    uint8_t header[TWI_WS_HEADER_BYTES_MAX];
    size_t header_len = twi_ws_header_write(header, opcode, fin, false, len, NULL);
    twt_send_raw(conn, header, header_len);
    twt_send_raw(conn, payload, len);
}

static inline void twt_send_text(twt_conn *conn, const char *text)
{
    twt_send_frame(conn, TWI_WS_TEXT, true, text, strlen(text));
}

static inline void twt_send_close(twt_conn *conn, uint16_t code, const char *reason)
{
    uint8_t frame[TWI_WS_CONTROL_FRAME_MAX];
    twt_send_raw(conn, frame, twi_ws_close_write(frame, code, reason, NULL));
}

static void twt_on_close(twi_loop *loop, twi_op *op, int32_t result, uint32_t flags)
{
    (void)loop;
    (void)op;
    (void)result;
    (void)flags;
}

static inline void twt_hang_up(twt_conn *conn)
{
    if (conn->closing)
        return;
    conn->closing = true;
    conn->close_op = (twi_op){.done = twt_on_close, .owner = conn};
    conn->server->loop->ops->close(conn->server->loop, &conn->close_op, conn->sock);
}

static void twt_upgrade(twt_conn *conn)
{
    twt_server *server = conn->server;
    twi_http_request request;
    twi_ws_upgrade upgrade;
    if (twi_http_request_parse((uint8_t *)conn->head, conn->head_len, 0, NULL, &request) != TW_OK)
        return;
    snprintf(conn->target, sizeof conn->target, "%.*s", (int)request.target.len, request.target.data);
    snprintf(conn->headers, sizeof conn->headers, "%.*s", (int)conn->head_len, conn->head);
    if (server->silent)
        return;
    if (server->refusal) {
        twt_send_raw(conn, server->refusal, strlen(server->refusal));
        return;
    }
    if (twi_ws_upgrade_check(&request, &upgrade) != TW_OK)
        return;
    static const char *const protocols[] = {"tickwire.v1.json", "tickwire.v1.flatbuffers"};
    uint32_t offered;
    int chosen = twi_ws_protocol_choose(&request, protocols, 2, &offered);
    char answer[TWI_WS_ACCEPT_BYTES];
    size_t len =
        twi_ws_accept_write(answer, sizeof answer, &upgrade, chosen >= 0 ? protocols[chosen] : NULL, NULL, NULL);
    twt_send_raw(conn, answer, len);
    conn->open = true;
    char hello[TWT_TEXT_MAX];
    snprintf(
        hello, sizeof hello,
        "{\"op\":\"hello\",\"protocol\":1,\"server\":\"test\",\"epoch\":\"%s\",\"heartbeat\":10,\"codec\":\"json\"}",
        server->epoch ? server->epoch : "e1");
    if (!server->hello_off)
        twt_send_text(conn, hello);
}

static void twt_frames(twt_conn *conn, uint8_t *at, uint8_t *end)
{
    twi_ws_piece piece;
    while (twi_ws_read(&conn->reader, &at, end, &piece) == TW_OK) {
        if (piece.opcode >= TWI_WS_CLOSE) {
            if (!twi_ws_control_add(&conn->control, &piece))
                continue;
            conn->pong_count += conn->control.opcode == TWI_WS_PONG;
            if (conn->control.opcode == TWI_WS_CLOSE)
                conn->close_code = conn->reader.close_code;
            continue;
        }
        char *text = conn->texts[conn->text_count % TWT_CONN_TEXTS_MAX];
        size_t used = (piece.flags & TWI_WS_FIRST) ? 0 : strlen(text);
        if (used + piece.len < TWT_TEXT_MAX) {
            memcpy(text + used, piece.data, piece.len);
            text[used + piece.len] = 0;
        }
        conn->text_count += (piece.flags & TWI_WS_LAST) != 0;
    }
}

static void twt_on_recv(twi_loop *loop, twi_op *op, int32_t result, uint32_t flags)
{
    twt_conn *conn = op->owner;
    (void)loop;
    if (result <= 0) {
        conn->recv_armed = false;
        if (!conn->closing)
            twt_hang_up(conn);
        return;
    }
    uint8_t *bytes = (uint8_t *)(uintptr_t)op->data;
    if (conn->open) {
        twt_frames(conn, bytes, bytes + result);
    } else if (conn->head_len + (size_t)result < sizeof conn->head) {
        memcpy(conn->head + conn->head_len, bytes, (size_t)result);
        conn->head_len += (size_t)result;
        twt_upgrade(conn);
    }
    if ((flags & TWI_OP_MORE) == 0 && !conn->closing)
        conn->server->loop->ops->recv(conn->server->loop, op, conn->sock);
}

static void twt_on_accept(twi_loop *loop, twi_op *op, int32_t result, uint32_t flags)
{
    twt_server *server = op->owner;
    (void)flags;
    if (result < 0 || server->conn_count == TWT_CONNS_MAX)
        return;
    twt_conn *conn = calloc(1, sizeof *conn);
    conn->out = malloc(TWT_OUT_MAX);
    conn->server = server;
    conn->sock = op->accepted;
    twi_ws_reader_init(&conn->reader, &(twi_ws_reader_config){.role = TWI_WS_SERVER});
    server->conns[server->conn_count++] = conn;
    conn->recv_op = (twi_op){.done = twt_on_recv, .owner = conn};
    conn->recv_armed = true;
    loop->ops->recv(loop, &conn->recv_op, conn->sock);
}

/* host: "127.0.0.1" or "unix:/path". */
static inline twt_server *twt_server_open(const char *loop_name, const char *host)
{
    char reason[1024];
    twt_server *server = calloc(1, sizeof *server);
    twi_loop_config config = {.sock_count_max = TWT_CONNS_MAX + 1};
    if (twi_loop_open(loop_name, &config, &server->loop, reason, sizeof reason) != TW_OK ||
        server->loop->ops->listen(server->loop, &(twi_address){.host = host, .backlog = 512}, &server->listener, reason,
                                  sizeof reason) != TW_OK) {
        fprintf(stderr, "test server: %s\n", reason);
        abort();
    }
    server->port = strncmp(host, "unix:", 5) == 0 ? 0 : server->loop->ops->local_port(server->loop, server->listener);
    server->accept_op = (twi_op){.done = twt_on_accept, .owner = server};
    server->loop->ops->accept(server->loop, &server->accept_op, server->listener);
    return server;
}

static inline void twt_server_step(twt_server *server)
{
    server->loop->ops->poll(server->loop, 0);
    for (uint32_t i = 0; i < server->conn_count; i++)
        twt_flush(server->conns[i]);
}

static inline void twt_server_close(twt_server *server)
{
    for (uint32_t i = 0; i < server->conn_count; i++)
        server->conns[i]->closing = true;
    server->loop->ops->close_loop(server->loop);
    for (uint32_t i = 0; i < server->conn_count; i++) {
        free(server->conns[i]->out);
        free(server->conns[i]);
    }
    free(server);
}

#endif
