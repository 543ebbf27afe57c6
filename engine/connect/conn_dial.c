/* conn_dial.c - a connection's way to its first message: name, address, proxy, TLS, WebSocket handshake. See conn.h. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/connect/conn_internal.h"
#include "engine/connect/proxy.h"
#include "engine/proto/ws_handshake.h"

enum { HTTP_OK = 200, HTTP_SUCCESS_END = 300, SHOWN_BYTES_MAX = 120 };
#define TIMEOUT_DEFAULT_NS INT64_C(10000000000)
#define ATTEMPT_NS         INT64_C(2000000000) /* for an address that is not the last one */

static void connect_next(twi_conn *conn);

static const twi_web_url *dialed(const twi_conn *conn)
{
    return conn->has_proxy ? &conn->proxy : &conn->url;
}

static int64_t connect_timeout(const twi_conn *conn)
{
    return conn->options->connect_timeout_ns > 0 ? conn->options->connect_timeout_ns : TIMEOUT_DEFAULT_NS;
}

static int64_t handshake_timeout(const twi_conn *conn)
{
    return conn->options->handshake_timeout_ns > 0 ? conn->options->handshake_timeout_ns : TIMEOUT_DEFAULT_NS;
}

/* ---- name and address ---- */

static int take_memory(twi_conn *conn)
{
    size_t message_bytes = conn->options->message_bytes_max;
    if (message_bytes < TWI_CONN_HEAD_BYTES_MAX)
        message_bytes = TWI_CONN_HEAD_BYTES_MAX;
    /* calloc's pages are zero without being touched. */
    if (conn->memory == NULL)
        conn->memory = calloc(1, message_bytes + TWI_CONN_OUT_BYTES);
    if (conn->memory == NULL)
        return 0;
    conn->out = conn->memory;
    conn->message =
        (twi_ws_message){.data = conn->memory + TWI_CONN_OUT_BYTES, .cap = message_bytes, .bytes_max = message_bytes};
    return 1;
}

static void on_resolved(void *owner, const twi_addresses *addresses, const char *error)
{
    twi_conn *conn = owner;
    conn->question = 0;
    if (error != NULL) {
        twi_conn_fail(conn, TWI_END_RESOLVE, "%s cannot be resolved: %s", dialed(conn)->host, error);
        return;
    }
    conn->addresses = *addresses;
    conn->address_index = 0;
    twi_conn_enter(conn, TWI_CONN_CONNECT);
    conn->begin_ns = conn->phase_ns;
    connect_next(conn);
}

static int choose_proxy(twi_conn *conn)
{
    const char *from;
    tw_status status = twi_proxy_choose(conn->options->proxy, &conn->url, &conn->proxy, &from);
    conn->has_proxy = status == TW_OK;
    if (status == TW_OK || status == TW_EMPTY)
        return 1;
    twi_conn_fail(conn, TWI_END_PROXY, "%s is no proxy: http://[user:password@]host:port is wanted", from);
    return 0;
}

void twi_conn_dial(twi_conn *conn, const char *url)
{
    conn->http_status = 0;
    conn->retry_after_s = 0;
    conn->why[0] = 0;
    twi_conn_enter(conn, TWI_CONN_RESOLVE);
    if (!take_memory(conn)) {
        twi_conn_fail(conn, TWI_END_CONNECT, "no memory for a connection");
        return;
    }
    if (twi_web_url_parse(url, strlen(url), &conn->url) != TW_OK) {
        twi_conn_fail(conn, TWI_END_RESOLVE, "\"%.100s\" is no URL: ws://host[:port]/path or wss://... is wanted", url);
        return;
    }
    if (!choose_proxy(conn))
        return;
    const char *host = dialed(conn)->host;
    if (twi_host_is_address(host)) {
        twi_addresses literal = {.count = 1};
        snprintf(literal.text[0], sizeof(literal.text[0]), "%.*s", TWI_RESOLVE_ADDRESS_TEXT_MAX, host);
        on_resolved(conn, &literal, NULL);
        return;
    }
    conn->question = twi_resolver_ask(conn->hub->resolver, host, on_resolved, conn);
    if (conn->question == 0)
        twi_conn_fail(conn, TWI_END_RESOLVE, "%s cannot be resolved: no thread or memory for it", host);
}

/* ---- the WebSocket handshake ---- */

static void send_request(twi_conn *conn)
{
    char authority[TWI_HOST_MAX + 16], headers[160] = "";
    twi_web_url_authority(&conn->url, false, authority, sizeof(authority));
    if (conn->options->user_agent != NULL)
        snprintf(headers, sizeof(headers), "User-Agent: %.100s\r\n", conn->options->user_agent);
    for (size_t i = 0; i < sizeof(conn->key); i += 8) {
        uint64_t bits = twi_hub_random(conn->hub);
        memcpy(conn->key + i, &bits, 8);
    }
    twi_ws_client_request request = {.host = authority, .target = conn->url.target, .extra_headers = headers};
    char *out = (char *)conn->hub->frame;
    size_t len = twi_ws_request_write(out, sizeof(conn->hub->frame), &request, conn->key);
    conn->message.len = 0;
    twi_conn_enter(conn, TWI_CONN_HANDSHAKE);
    if (len == 0 || twi_conn_put(conn, (const uint8_t *)out, len) != TW_OK)
        twi_conn_fail(conn, TWI_END_HANDSHAKE, "the request does not fit");
}

static void begin_tls(twi_conn *conn)
{
    twi_conn_enter(conn, TWI_CONN_TLS);
    if (conn->options->tls == NULL) {
        twi_conn_fail(conn, TWI_END_TLS, "TLS is not set up");
        return;
    }
    if (twi_tls_open(conn->options->tls, conn->url.host, twi_conn_queue, conn, &conn->tls) != TW_OK) {
        twi_conn_fail(conn, TWI_END_TLS, "no memory for TLS");
        return;
    }
    twi_tls_handshake(conn->tls); /* says hello; the answer is looked at when it comes */
    twi_conn_flush(conn);
}

/* The way to the venue itself is open. */
static void begin_session(twi_conn *conn)
{
    if (conn->url.tls)
        begin_tls(conn);
    else
        send_request(conn);
}

/* Collects the head of an answer. Returns how many of the bytes were used, and the status of parsing. */
static size_t take_head(twi_conn *conn, const uint8_t *data, size_t len, twi_http_response *response, tw_status *status)
{
    size_t before = conn->message.len, room = TWI_CONN_HEAD_BYTES_MAX - before;
    size_t taken = len < room ? len : room;
    memcpy(conn->message.data + before, data, taken);
    conn->message.len += taken;
    *status = twi_http_response_parse(conn->message.data, conn->message.len, before, NULL, response);
    if (*status == TW_NEED_MORE && conn->message.len == TWI_CONN_HEAD_BYTES_MAX)
        *status = TW_TOO_BIG;
    if (*status != TW_OK)
        return taken;
    return response->fields.head_bytes - before;
}

static int32_t retry_after(const twi_http_response *response)
{
    const twi_http_header *header = twi_http_header_find(&response->fields, "retry-after");
    int32_t seconds = 0;
    for (size_t i = 0; header != NULL && i < header->value.len; i++) {
        char c = (char)header->value.data[i];
        if (c < '0' || c > '9' || seconds > INT32_MAX / 20)
            return 0; /* a date: not worth a parser, the backoff will do */
        seconds = seconds * 10 + (c - '0');
    }
    return seconds;
}

static void refuse(twi_conn *conn, const twi_http_response *response, const char *error)
{
    conn->http_status = response->status;
    conn->retry_after_s = retry_after(response);
    int shown = response->reason.len < SHOWN_BYTES_MAX ? (int)response->reason.len : SHOWN_BYTES_MAX;
    twi_conn_fail(conn, TWI_END_HANDSHAKE, "%s: the answer is %u %.*s", error, (unsigned)response->status, shown,
                  (const char *)response->reason.data);
}

static void on_proxy_answer(twi_conn *conn, uint8_t *data, size_t len)
{
    twi_http_response response;
    tw_status status;
    size_t used = take_head(conn, data, len, &response, &status);
    if (status == TW_NEED_MORE)
        return;
    if (status != TW_OK) {
        twi_conn_fail(conn, TWI_END_PROXY, "the proxy %s does not speak HTTP: %s", conn->proxy.host, response.error);
        return;
    }
    if (response.status < HTTP_OK || response.status >= HTTP_SUCCESS_END) {
        twi_conn_fail(conn, TWI_END_PROXY, "the proxy %s refuses the way to %s:%u: %u %.*s", conn->proxy.host,
                      conn->url.host, (unsigned)conn->url.port, (unsigned)response.status,
                      response.reason.len < SHOWN_BYTES_MAX ? (int)response.reason.len : SHOWN_BYTES_MAX,
                      (const char *)response.reason.data);
        return;
    }
    if (used != len) { /* we speak first: nobody has anything to say yet */
        twi_conn_fail(conn, TWI_END_PROXY, "the proxy %s sent bytes that nobody asked for", conn->proxy.host);
        return;
    }
    begin_session(conn);
}

/* Returns how many of the bytes belonged to the answer. */
static size_t on_answer(twi_conn *conn, const uint8_t *data, size_t len)
{
    twi_http_response response;
    twi_ws_client_answer answer;
    const twi_ws_client_request request = {.host = ""};
    tw_status status;
    size_t used = take_head(conn, data, len, &response, &status);
    if (status == TW_NEED_MORE)
        return used;
    if (status != TW_OK) {
        twi_conn_fail(conn, TWI_END_HANDSHAKE, "the venue does not speak HTTP: %s",
                      response.error != NULL ? response.error : "the answer has no end");
        return used;
    }
    status = twi_ws_response_check(&response, &request, conn->key, &answer);
    if (status != TW_OK) {
        refuse(conn, &response, answer.error);
        return used;
    }
    const twi_ws_reader_config config = {.message_bytes_max = conn->message.bytes_max,
                                         .fragment_count_max = TWI_CONN_FRAGMENTS_MAX,
                                         .role = TWI_WS_CLIENT};
    twi_ws_reader_init(&conn->reader, &config);
    conn->message.len = 0;
    conn->control = (twi_ws_control){0};
    twi_conn_enter(conn, TWI_CONN_OPEN);
    conn->open_ns = conn->recv_ns = conn->ping_ns = conn->phase_ns;
    conn->options->calls->up(conn->owner, conn);
    return used;
}

/* ---- bytes in ---- */

/* What the venue said, without TLS around it. */
static void take_plain(twi_conn *conn, uint8_t *data, size_t len, int64_t recv_ns)
{
    if (conn->phase == TWI_CONN_HANDSHAKE) {
        size_t used = on_answer(conn, data, len);
        data += used;
        len -= used;
    }
    if (conn->phase == TWI_CONN_OPEN && len > 0)
        twi_conn_frames(conn, data, len, recv_ns);
}

static void tls_failed(twi_conn *conn, tw_status status, const char *doing)
{
    if (status == TW_AUTHENTICATION)
        twi_conn_fail(conn, TWI_END_CERTIFICATE, "the certificate of %s:%u is not good: %s; %s", conn->url.host,
                      (unsigned)conn->url.port, twi_tls_error(conn->tls),
                      strstr(twi_tls_error(conn->tls), "mismatch") != NULL
                          ? "dial the name that it was made for"
                          : "if the host is right, name its authority with ca_file");
    else if (status == TW_CLOSED)
        twi_conn_fail(conn, conn->phase == TWI_CONN_OPEN ? TWI_END_PEER : TWI_END_TLS, "the venue ended TLS");
    else
        twi_conn_fail(conn, conn->phase == TWI_CONN_OPEN ? TWI_END_PEER : TWI_END_TLS, "TLS with %s:%u failed %s: %s",
                      conn->url.host, (unsigned)conn->url.port, doing, twi_tls_error(conn->tls));
}

static void take_tls(twi_conn *conn, const uint8_t *data, size_t len, int64_t recv_ns)
{
    twi_hub *hub = conn->hub;
    tw_status status;
    twi_tls_receive(conn->tls, data, len);
    if (conn->phase == TWI_CONN_TLS) {
        status = twi_tls_handshake(conn->tls);
        twi_conn_flush(conn);
        if (status == TW_NEED_MORE)
            return;
        if (status != TW_OK) {
            tls_failed(conn, status, "in the handshake");
            return;
        }
        send_request(conn);
    }
    for (;;) {
        size_t plain_len = 0;
        if (conn->phase != TWI_CONN_HANDSHAKE && conn->phase != TWI_CONN_OPEN)
            return; /* it ended meanwhile; what is left is of no interest */
        status = twi_tls_read(conn->tls, hub->plain, sizeof(hub->plain), &plain_len);
        if (status != TW_OK)
            break;
        take_plain(conn, hub->plain, plain_len, recv_ns);
    }
    twi_conn_flush(conn);
    if (status != TW_NEED_MORE)
        tls_failed(conn, status, "while reading");
}

static void on_end_of_stream(twi_conn *conn, int32_t result)
{
    static const char *const where[] = {"", "", "", "by the proxy", "in the TLS handshake", "in the handshake", ""};
    static const twi_conn_end ends[] = {TWI_END_PEER, TWI_END_PEER,      TWI_END_PEER, TWI_END_PROXY,
                                        TWI_END_TLS,  TWI_END_HANDSHAKE, TWI_END_PEER};
    uint8_t phase = conn->phase;
    if (phase > TWI_CONN_OPEN)
        return;
    if (result == 0)
        twi_conn_fail(conn, ends[phase], "the connection was closed%s%s%s", where[phase][0] != 0 ? " " : "",
                      where[phase], phase == TWI_CONN_OPEN ? " without a goodbye" : "");
    else
        twi_conn_fail(conn, ends[phase], "the connection broke%s%s (%s)", where[phase][0] != 0 ? " " : "", where[phase],
                      tw_status_name((tw_status)result));
}

static void on_received(twi_loop *loop, twi_op *op, int32_t result, uint32_t flags)
{
    twi_conn *conn = op->owner;
    (void)flags;
    if (conn->shutting)
        return;
    if (result == TW_CANCELED) {
        twi_conn_canceled(conn);
        return;
    }
    if (conn->deaf) {
        if (result <= 0)
            twi_conn_close_sock(conn);
        return;
    }
    if (result <= 0) {
        on_end_of_stream(conn, result);
        return;
    }
    int64_t recv_ns = twi_hub_realtime_ns(conn->hub);
    conn->recv_ns = loop->ops->now_ns(loop);
    if (conn->phase == TWI_CONN_PROXY)
        on_proxy_answer(conn, op->data, (size_t)result);
    else if (conn->tls != NULL)
        take_tls(conn, op->data, (size_t)result, recv_ns);
    else
        take_plain(conn, op->data, (size_t)result, recv_ns);
    conn->options->calls->received(conn->owner, conn, recv_ns, (size_t)result);
}

/* ---- connecting ---- */

static void ask_proxy(twi_conn *conn)
{
    char request[2048];
    size_t len = twi_proxy_request(&conn->proxy, &conn->url, request, sizeof(request));
    conn->message.len = 0;
    twi_conn_enter(conn, TWI_CONN_PROXY);
    if (len == 0 || twi_conn_put(conn, (const uint8_t *)request, len) != TW_OK)
        twi_conn_fail(conn, TWI_END_PROXY, "the request to the proxy does not fit");
}

static void on_connected(twi_loop *loop, twi_op *op, int32_t result, uint32_t flags)
{
    twi_conn *conn = op->owner;
    (void)flags;
    if (result < 0)
        conn->has_sock = false;
    if (conn->shutting || conn->phase != TWI_CONN_CONNECT)
        return;
    if (result == TW_CANCELED) {
        twi_conn_canceled(conn);
        return;
    }
    if (result < 0) {
        snprintf(conn->why, sizeof(conn->why), "%s",
                 result == TW_UNAVAILABLE ? "refused or not reachable" : tw_status_name((tw_status)result));
        conn->address_index++;
        connect_next(conn);
        return;
    }
    conn->recv_op.done = on_received;
    conn->recv_op.owner = conn;
    loop->ops->recv(loop, &conn->recv_op, conn->sock);
    if (conn->has_proxy)
        ask_proxy(conn);
    else
        begin_session(conn);
}

static void connect_next(twi_conn *conn)
{
    const twi_web_url *to = dialed(conn);
    if (conn->address_index == conn->addresses.count) {
        char why[128];
        snprintf(why, sizeof(why), "%.*s", (int)sizeof(why) - 1, conn->why);
        twi_conn_fail(conn, TWI_END_CONNECT, "%s%s port %u (%s%s): %s", conn->has_proxy ? "proxy " : "", to->host,
                      (unsigned)to->port, conn->addresses.text[conn->addresses.count - 1],
                      conn->addresses.count > 1 ? " and others" : "", why);
        return;
    }
    conn->phase_ns = twi_hub_now_ns(conn->hub);
    const twi_address address = {.host = conn->addresses.text[conn->address_index], .port = to->port};
    conn->connect_op.done = on_connected;
    conn->connect_op.owner = conn;
    conn->hub->loop->ops->connect(conn->hub->loop, &conn->connect_op, &address);
    conn->sock = conn->connect_op.sock;
    conn->has_sock = true;
}

/* ---- time ---- */

static void on_given_up(twi_loop *loop, twi_op *op, int32_t result, uint32_t flags)
{
    twi_conn *conn = op->owner;
    (void)loop;
    (void)flags;
    conn->shutting = false;
    conn->has_sock = false;
    if (conn->phase != TWI_CONN_CONNECT) {
        twi_conn_settle(conn);
        return;
    }
    if (result == TW_CANCELED) {
        twi_conn_canceled(conn);
        return;
    }
    snprintf(conn->why, sizeof(conn->why), "no answer");
    conn->address_index++;
    connect_next(conn);
}

static void tick_connect(twi_conn *conn, int64_t now_ns)
{
    bool last = conn->address_index + 1 >= conn->addresses.count;
    if (now_ns - conn->begin_ns > connect_timeout(conn)) {
        const twi_web_url *to = dialed(conn);
        twi_conn_fail(conn, TWI_END_CONNECT, "%s%s port %u (%s): no answer for %.1f s", conn->has_proxy ? "proxy " : "",
                      to->host, (unsigned)to->port, conn->addresses.text[conn->address_index],
                      (double)(now_ns - conn->begin_ns) / 1e9);
        return;
    }
    if (last || conn->shutting || now_ns - conn->phase_ns < ATTEMPT_NS)
        return;
    conn->shutting = true; /* until this attempt is gone */
    conn->close_op.done = on_given_up;
    conn->close_op.owner = conn;
    conn->hub->loop->ops->close(conn->hub->loop, &conn->close_op, conn->sock);
}

void twi_conn_tick_dial(twi_conn *conn, int64_t now_ns)
{
    int64_t waited_ns = now_ns - conn->phase_ns;
    switch (conn->phase) {
    case TWI_CONN_RESOLVE:
        if (waited_ns > connect_timeout(conn))
            twi_conn_fail(conn, TWI_END_RESOLVE, "%s: no answer from the resolver for %.1f s", dialed(conn)->host,
                          (double)waited_ns / 1e9);
        break;
    case TWI_CONN_CONNECT:
        tick_connect(conn, now_ns);
        break;
    case TWI_CONN_PROXY:
        if (waited_ns > handshake_timeout(conn))
            twi_conn_fail(conn, TWI_END_PROXY, "the proxy %s has not answered for %.1f s", conn->proxy.host,
                          (double)waited_ns / 1e9);
        break;
    case TWI_CONN_TLS:
        if (waited_ns > handshake_timeout(conn))
            twi_conn_fail(conn, TWI_END_TLS, "the TLS handshake with %s is not done after %.1f s", conn->url.host,
                          (double)waited_ns / 1e9);
        break;
    default:
        if (waited_ns > handshake_timeout(conn))
            twi_conn_fail(conn, TWI_END_HANDSHAKE, "%s has not answered the WebSocket handshake for %.1f s",
                          conn->url.host, (double)waited_ns / 1e9);
    }
}
