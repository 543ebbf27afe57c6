/* http_front.c - the first bytes of a connection: an HTTP request head that becomes a WebSocket stream, or is answered.
 *
 * Requests are parsed where they were received. One that needs the publisher stays there, and its client waits in the
 * list of that question; when the answer is here it is parsed again and finds it. Those behind it wait with it, so
 * answers keep the order of their requests.
 *
 * A turn of the loop serves TWI_REQUESTS_PER_TURN requests; whoever comes later waits for the next turn, behind the
 * stream. So a crowd of requests delays the stream by one share, not by the crowd. */
#include <string.h>

#include "engine/base/assert.h"
#include "engine/base/text.h"
#include "engine/fanout/client.h"
#include "engine/proto/ws_handshake.h"

enum { TOKEN_BYTES_MAX = 512 };

static const char *const protocol_names[] = {"tickwire.v1.json", "tickwire.v1.flatbuffers"};
enum { PROTOCOL_COUNT = sizeof(protocol_names) / sizeof(protocol_names[0]) };

/* An error of the shard itself; the connection ends with it. */
static void answer_plain(twi_client *client, uint16_t status, int code, const char *name, const char *message)
{
    twi_buffer body = {0};
    twi_buffer_format(&body, "{\"code\":%d,\"name\":\"%s\",\"message\":", code, name);
    twi_buffer_json_string(&body, message, strlen(message));
    twi_buffer_text(&body, status == 503 ? ",\"temporary\":true}\n" : ",\"temporary\":false}\n");
    twi_http_response_head head = {.status = status,
                                   .content_type = "application/json",
                                   .content_length = body.len,
                                   .extra_headers = status == 503   ? "Retry-After: 1\r\n"
                                                    : status == 401 ? "WWW-Authenticate: Bearer\r\n"
                                                                    : NULL};
    char text[TWI_HTTP_RESPONSE_HEAD_BYTES + 64];
    twi_buffer_append(&client->out, text, twi_http_response_head_write(text, sizeof text, &head));
    twi_buffer_append(&client->out, body.data, body.len);
    twi_buffer_fini(&body);
    client->close_after_send = 1;
    twi_count(client->shard, twi_counter_of_http(status), 1);
}

/* Index of the codec that the client asks for by subprotocol or query; -1: one that is not spoken here. */
static int choose_codec(const twi_shard *shard, const twi_http_request *request, const char **protocol)
{
    twi_slice value;
    uint32_t offered = 0;
    const char *name = "json";
    *protocol = NULL;
    int chosen = twi_ws_protocol_choose(request, protocol_names, PROTOCOL_COUNT, &offered);
    if (chosen >= 0) {
        *protocol = protocol_names[chosen];
        name = strrchr(protocol_names[chosen], '.') + 1;
    } else if (twi_http_query_find(request->query, "codec", &value)) {
        name = NULL;
        for (uint32_t i = 0; i < shard->config.codec_count; i++)
            if (twi_slice_equals(value, shard->config.codecs[i]->name))
                return (int)i;
    }
    for (uint32_t i = 0; name != NULL && i < shard->config.codec_count; i++)
        if (strcmp(shard->config.codecs[i]->name, name) == 0)
            return (int)i;
    return -1;
}

/* Compares in a time that does not depend on where the two differ. */
static int same_token(const char *expected, const char *given, size_t given_len)
{
    size_t expected_len = strlen(expected);
    unsigned difference = expected_len != given_len;
    for (size_t i = 0; i < given_len; i++)
        difference |= (unsigned char)given[i] ^ (unsigned char)expected[i < expected_len ? i : 0];
    return difference == 0 && expected_len > 0;
}

static int token_is_good(const twi_shard *shard, const twi_http_request *request)
{
    if (shard->config.token_count == 0)
        return 1;
    static const char scheme[] = "Bearer ";
    char decoded[TOKEN_BYTES_MAX];
    const char *given = NULL;
    size_t given_len = 0;
    twi_slice value;
    const twi_http_header *header = twi_http_header_find(&request->fields, "authorization");
    if (header != NULL && header->value.len > sizeof scheme - 1 &&
        memcmp(header->value.data, scheme, sizeof scheme - 1) == 0) {
        given = header->value.data + sizeof scheme - 1;
        given_len = header->value.len - (sizeof scheme - 1);
    } else if (twi_http_query_find(request->query, "token", &value)) {
        ptrdiff_t len = twi_http_query_decode(value, decoded, sizeof decoded);
        given = decoded;
        given_len = len > 0 ? (size_t)len : 0;
    }
    int good = 0;
    for (uint32_t i = 0; given != NULL && i < shard->config.token_count; i++)
        good |= same_token(shard->config.tokens[i], given, given_len);
    return good;
}

static void say_hello(twi_client *client)
{
    const twi_shard *shard = client->shard;
    twi_buffer hello = {0};
    twi_buffer_format(
        &hello,
        "{\"op\":\"hello\",\"protocol\":1,\"server\":\"tickwire/%s\",\"epoch\":\"%08llx\",\"heartbeat\":%lld,"
        "\"codec\":\"%s\",\"time_ns\":%lld}",
        shard->config.version, (unsigned long long)shard->config.epoch,
        (long long)(shard->config.heartbeat_ns / 1000000000), shard->config.codecs[client->codec]->name,
        (long long)twi_shard_realtime(shard));
    twi_client_text(client, hello.data, hello.len);
    twi_buffer_fini(&hello);
}

static void refuse_codec(twi_client *client)
{
    char message[256];
    twi_text text = {.out = message, .cap = sizeof message};
    const twi_shard *shard = client->shard;
    twi_text_add(&text, "no such codec; there are");
    for (uint32_t i = 0; i < shard->config.codec_count; i++)
        twi_text_add(&text, "%s %.32s", i > 0 ? "," : "", shard->config.codecs[i]->name);
    answer_plain(client, 400, TWI_ERROR_NOT_SUPPORTED, "NotSupported", message);
}

static void open_stream(twi_client *client, const twi_http_request *request, const twi_ws_upgrade *upgrade)
{
    twi_shard *shard = client->shard;
    const char *protocol;
    int codec = choose_codec(shard, request, &protocol);
    if (codec < 0) {
        refuse_codec(client);
        return;
    }
    char server[64] = "tickwire/";
    strncat(server, shard->config.version, sizeof server - sizeof "tickwire/");
    char answer[TWI_WS_ACCEPT_BYTES];
    size_t len = twi_ws_accept_write(answer, sizeof answer, upgrade, protocol, NULL, server);
    twi_buffer_append(&client->out, answer, len);
    twi_ws_reader_config reader = {
        .message_bytes_max = shard->config.message_bytes_max, .fragment_count_max = 1024, .role = TWI_WS_SERVER};
    twi_ws_reader_init(&client->reader, &reader);
    client->codec = (uint8_t)codec;
    client->policy = (uint8_t)shard->config.default_policy;
    client->state = TWI_CLIENT_STREAM;
    client->last_sent_ns = client->last_received_ns = twi_shard_now(shard);
    client->counted = 1;
    atomic_fetch_add_explicit(&shard->stream_count, 1, memory_order_relaxed);
    twi_count(shard, TWI_COUNTER_CONNECTIONS, 1);
    twi_count(shard, TWI_COUNTER_CONNECTIONS_OPEN, 1);
    twi_count(shard, TWI_COUNTER_HTTP_101, 1);
    say_hello(client);
    if (shard->stream_count > shard->config.connection_count_max) {
        twi_count(shard, TWI_COUNTER_REFUSED_LIMIT, 1);
        twi_client_close(client, 4502, "connection limit", 0);
    } else if (!token_is_good(shard, request)) {
        twi_count(shard, TWI_COUNTER_REFUSED_TOKEN, 1);
        twi_client_close(client, 4500, "bad token", 0);
    } else {
        twi_client_subscribe_url(client, request->query);
    }
    if (client->state == TWI_CLIENT_STREAM && !client->close_wanted)
        twi_client_tick(client, client->last_sent_ns); /* from the handshake's deadline to the stream's */
}

/* The request wants a WebSocket stream. */
static void serve_stream(twi_client *client, const twi_http_request *request)
{
    twi_shard *shard = client->shard;
    twi_ws_upgrade upgrade;
    tw_status status = twi_ws_upgrade_check(request, &upgrade);
    if (status == TW_OK) {
        open_stream(client, request, &upgrade);
        return;
    }
    char answer[TWI_WS_ACCEPT_BYTES];
    uint16_t code = status == TW_EMPTY ? 426 : upgrade.error_status;
    const char *why = status == TW_EMPTY ? "this is a WebSocket endpoint" : upgrade.error;
    twi_buffer_append(&client->out, answer, twi_ws_reject_write(answer, sizeof answer, code, why));
    client->close_after_send = 1;
    twi_count(shard, twi_counter_of_http(code), 1);
    twi_count(shard, TWI_COUNTER_REFUSED_HANDSHAKE, 1);
}

static int starts_with(twi_slice slice, const char *text)
{
    return slice.len >= strlen(text) && memcmp(slice.data, text, strlen(text)) == 0;
}

/* ---- waiting for the publisher ---- */

static void wait_in(twi_client_list *list, twi_client *client)
{
    client->http_list = list;
    client->http_next = NULL;
    client->http_previous = list->last;
    if (list->last != NULL)
        list->last->http_next = client;
    else
        list->first = client;
    list->last = client;
    list->count++;
}

static void wait_no_more(twi_client *client)
{
    twi_client_list *list = client->http_list;
    if (client->http_previous != NULL)
        client->http_previous->http_next = client->http_next;
    else
        list->first = client->http_next;
    if (client->http_next != NULL)
        client->http_next->http_previous = client->http_previous;
    else
        list->last = client->http_previous;
    list->count--;
    client->http_list = NULL;
}

void twi_http_sent(twi_client *client, uint32_t n)
{
    uint32_t counted = n < client->http_bytes ? n : client->http_bytes;
    client->http_bytes -= counted;
    client->shard->http_bytes -= counted;
}

void twi_http_forget(twi_client *client)
{
    twi_http_sent(client, client->http_bytes);
    if (client->http_list != NULL)
        wait_no_more(client);
}

/* ---- serving ---- */

/* Answers one request that is not for the stream. 0: it has to wait. */
static int serve(twi_client *client, const twi_http_request *request, uint32_t ticket)
{
    twi_shard *shard = client->shard;
    if (request->fields.content_length > 0 || request->fields.chunked) {
        answer_plain(client, 413, TWI_ERROR_BAD_REQUEST, "BadRequest", "a request here has no body");
        return 1;
    }
    if (starts_with(request->path, "/v1/") && !twi_slice_equals(request->method, "OPTIONS") &&
        !token_is_good(shard, request)) {
        twi_count(shard, TWI_COUNTER_REFUSED_TOKEN, 1);
        answer_plain(client, 401, TWI_ERROR_AUTHENTICATION, "AuthenticationError",
                     "this engine asks for a token: Authorization: Bearer TOKEN, or ?token=TOKEN");
        return 1;
    }
    if (shard->config.http_pending_bytes_max != 0 && shard->http_bytes > shard->config.http_pending_bytes_max) {
        answer_plain(client, 503, TWI_ERROR_NOT_AVAILABLE, "ExchangeNotAvailable",
                     "too many responses wait for clients that do not read: try again");
        return 1;
    }
    const twi_http_handler *http = &shard->config.http;
    switch (http->serve(http->owner, request, &ticket, &client->out)) {
    case TWI_HTTP_LATER:
        TWI_ASSERT(ticket < TWI_QUERIES_MAX);
        wait_in(&shard->http_waiters[ticket], client);
        return 0;
    case TWI_HTTP_FULL:
        wait_in(&shard->http_starved, client);
        return 0;
    default:
        if (!request->fields.keep_alive)
            client->close_after_send = 1;
        return 1;
    }
}

/* The bytes behind the head belong to the stream that it opens. */
static void upgrade_client(twi_client *client, const twi_http_request *request, uint32_t head_end)
{
    twi_buffer head = client->in; /* the request's slices point into it */
    client->in = (twi_buffer){.cap_max = head.cap_max};
    twi_buffer_append(&client->in, head.data + head_end, head.len - head_end);
    serve_stream(client, request);
    twi_buffer_fini(&head);
    if (client->state == TWI_CLIENT_HTTP)
        twi_buffer_fini(&client->in); /* refused: nothing behind it is read */
}

/* One pass over what has come in; ticket: of the answer that the first request in it has waited for. */
static void serve_all(twi_client *client, uint32_t ticket)
{
    twi_shard *shard = client->shard;
    const twi_http_limits limits = {.line_bytes_max = shard->config.http_head_bytes_max,
                                    .head_bytes_max = shard->config.http_head_bytes_max};
    uint32_t used = 0;
    while (client->state == TWI_CLIENT_HTTP && !client->close_after_send && used < client->in.len) {
        if (shard->http_turn >= TWI_REQUESTS_PER_TURN && ticket == TWI_HTTP_NO_TICKET) {
            wait_in(&shard->http_deferred, client);
            break;
        }
        if (client->out.len > TWI_RESPONSE_BACKLOG_BYTES)
            break; /* the next pipelined request waits until answers have gone out */
        twi_http_request request;
        tw_status status =
            twi_http_request_parse(client->in.data + used, client->in.len - used, client->head_seen, &limits, &request);
        if (status == TW_NEED_MORE) {
            client->head_seen = client->in.len - used;
            break;
        }
        client->head_seen = 0;
        if (status != TW_OK) {
            answer_plain(client, request.error_status, TWI_ERROR_BAD_REQUEST, "BadRequest", request.error);
            break;
        }
        if (twi_slice_equals(request.path, "/v1/stream")) {
            upgrade_client(client, &request, used + (uint32_t)request.fields.head_bytes);
            return;
        }
        uint32_t before = client->out.len;
        int answered = serve(client, &request, ticket);
        ticket = TWI_HTTP_NO_TICKET;
        if (!answered)
            break;
        client->http_bytes += client->out.len - before;
        shard->http_bytes += client->out.len - before;
        used += (uint32_t)request.fields.head_bytes;
        shard->http_turn++;
        twi_timer_set(client, twi_shard_now(shard) + shard->config.handshake_timeout_ns);
    }
    if (client->state == TWI_CLIENT_HTTP)
        twi_buffer_consume(&client->in, used);
}

static void front(twi_client *client, uint32_t ticket)
{
    serve_all(client, ticket);
    if (client->out.failed)
        twi_client_kill(client);
    else
        twi_client_pump(client);
    twi_client_take_early(client);
}

void twi_http_front(twi_client *client)
{
    if (client->http_list != NULL)
        twi_client_pump(client); /* answers to requests before the one that waits */
    else
        front(client, TWI_HTTP_NO_TICKET);
}

/* Exactly those who wait now: on the way some may begin to wait again. */
static void resume(twi_client_list *list, uint32_t ticket)
{
    for (uint32_t count = list->count; count > 0 && list->first != NULL; count--) {
        twi_client *client = list->first;
        wait_no_more(client);
        front(client, ticket);
    }
}

static uint32_t take_answers(twi_shard *shard)
{
    const twi_http_handler *http = &shard->config.http;
    twi_query *query;
    uint32_t taken = 0;
    for (; (query = twi_spsc_peek(&shard->config.link->answers)) != NULL; taken++) {
        twi_spsc_pop(&shard->config.link->answers);
        uint32_t ticket = http->answered(http->owner, query);
        resume(&shard->http_waiters[ticket], ticket);
        http->release(http->owner, ticket);
    }
    if (taken > 0)
        resume(&shard->http_starved, TWI_HTTP_NO_TICKET);
    return taken;
}

int twi_http_pending(const twi_shard *shard)
{
    return shard->http_deferred.count > 0 || twi_spsc_peek(&shard->config.link->answers) != NULL;
}

uint32_t twi_http_step(twi_shard *shard)
{
    shard->http_turn = 0;
    uint32_t taken = take_answers(shard);
    uint32_t deferred = shard->http_deferred.count;
    for (; deferred > 0 && shard->http_turn < TWI_REQUESTS_PER_TURN; deferred--, taken++) {
        twi_client *client = shard->http_deferred.first;
        if (client == NULL)
            break;
        wait_no_more(client);
        front(client, TWI_HTTP_NO_TICKET);
    }
    return taken;
}
