/* http_front.c - the first bytes of a connection: an HTTP request head that becomes a WebSocket stream, or is
 * answered. */
#include <string.h>

#include "engine/fanout/client.h"
#include "engine/proto/ws_handshake.h"

enum { TOKEN_BYTES_MAX = 512 };

static const char *const protocol_names[] = {"tickwire.v1.json", "tickwire.v1.flatbuffers"};
enum { PROTOCOL_COUNT = sizeof(protocol_names) / sizeof(protocol_names[0]) };

static void answer_plain(twi_client *client, uint16_t status, const char *name, const char *message, int keep_alive)
{
    twi_buffer body = {0};
    twi_buffer_format(&body, "{\"code\":%u,\"name\":\"%s\",\"message\":", status, name);
    twi_buffer_json_string(&body, message, strlen(message));
    twi_buffer_text(&body, ",\"temporary\":false}\n");
    twi_http_response_head head = {.status = status,
                                   .keep_alive = keep_alive != 0,
                                   .content_type = "application/json",
                                   .content_length = body.len};
    char text[TWI_HTTP_RESPONSE_HEAD_BYTES + 64];
    twi_buffer_append(&client->out, text, twi_http_response_head_write(text, sizeof text, &head));
    twi_buffer_append(&client->out, body.data, body.len);
    twi_buffer_fini(&body);
    if (!keep_alive)
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

static void open_stream(twi_client *client, const twi_http_request *request, const twi_ws_upgrade *upgrade)
{
    twi_shard *shard = client->shard;
    const char *protocol;
    int codec = choose_codec(shard, request, &protocol);
    if (codec < 0) {
        answer_plain(client, 400, "NotSupported", "codec must be json or flatbuffers", 0);
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

/* Answers one request. 0: it is no HTTP any more. */
static int serve(twi_client *client, const twi_http_request *request)
{
    twi_shard *shard = client->shard;
    twi_ws_upgrade upgrade;
    if (twi_slice_equals(request->path, "/v1/stream")) {
        tw_status status = twi_ws_upgrade_check(request, &upgrade);
        if (status == TW_OK) {
            open_stream(client, request, &upgrade);
            return 0;
        }
        char answer[TWI_WS_ACCEPT_BYTES];
        uint16_t code = status == TW_EMPTY ? 426 : upgrade.error_status;
        const char *why = status == TW_EMPTY ? "this is a WebSocket endpoint" : upgrade.error;
        twi_buffer_append(&client->out, answer, twi_ws_reject_write(answer, sizeof answer, code, why));
        client->close_after_send = 1;
        twi_count(shard, twi_counter_of_http(code), 1);
        twi_count(shard, TWI_COUNTER_REFUSED_HANDSHAKE, 1);
        return 1;
    }
    if (request->fields.content_length > 0 || request->fields.chunked) {
        answer_plain(client, 413, "BadRequest", "a request here has no body", 0);
        return 1;
    }
    shard->config.http(shard->config.http_owner, request, &client->out);
    if (!request->fields.keep_alive)
        client->close_after_send = 1;
    return 1;
}

void twi_http_front(twi_client *client)
{
    twi_shard *shard = client->shard;
    const twi_http_limits limits = {.line_bytes_max = shard->config.http_head_bytes_max,
                                    .head_bytes_max = shard->config.http_head_bytes_max};
    while (client->state == TWI_CLIENT_HTTP && !client->close_after_send && client->in.len > 0) {
        if (client->out.len > TWI_RESPONSE_BACKLOG_BYTES)
            break; /* the next pipelined request waits until answers have gone out */
        twi_http_request request;
        tw_status status = twi_http_request_parse(client->in.data, client->in.len, 0, &limits, &request);
        if (status == TW_NEED_MORE)
            break;
        if (status != TW_OK) {
            answer_plain(client, request.error_status, "BadRequest", request.error, 0);
            break;
        }
        twi_buffer head = client->in; /* the request's slices point into it */
        client->in = (twi_buffer){.cap_max = head.cap_max};
        if (head.len > request.fields.head_bytes)
            twi_buffer_append(&client->in, head.data + request.fields.head_bytes, head.len - request.fields.head_bytes);
        int http = serve(client, &request);
        twi_buffer_fini(&head);
        if (http)
            twi_timer_set(client, twi_shard_now(shard) + shard->config.handshake_timeout_ns);
    }
    if (client->out.failed)
        twi_client_kill(client);
    else
        twi_client_pump(client);
}
