/* control.c - control messages of clients (docs/PROTOCOL.md): subscribe, unsubscribe, list, ping, and their answers. */
#include <stdlib.h>
#include <string.h>

#include "engine/fanout/client.h"
#include "engine/proto/json_scan.h"

enum { ID_BYTES_MAX = 38 }; /* 36 bytes of text and its quotes */

/* ---- what a request says ---- */

typedef enum op_kind { OP_NONE, OP_SUBSCRIBE, OP_UNSUBSCRIBE, OP_LIST, OP_PING } op_kind;

typedef struct control_request {
    op_kind op;
    twi_json_slice id; /* raw JSON; len 0: none */
    int has_channels, has_symbols;
    twi_json channels, symbols; /* at their arrays */
    twi_json_slice policy, interval;
    int has_depth;
    int has_since;
    const char *wrong; /* what is wrong with it; NULL: nothing */
} control_request;

static op_kind parse_op(twi_json_slice text)
{
    if (TWI_JSON_IS(text, "subscribe"))
        return OP_SUBSCRIBE;
    if (TWI_JSON_IS(text, "unsubscribe"))
        return OP_UNSUBSCRIBE;
    if (TWI_JSON_IS(text, "list"))
        return OP_LIST;
    return TWI_JSON_IS(text, "ping") ? OP_PING : OP_NONE;
}

static int id_is_good(twi_json_slice id)
{
    if (id.len == 0 || id.len > ID_BYTES_MAX)
        return 0;
    if (id.text[0] == '"')
        return 1;
    for (uint32_t i = id.text[0] == '-'; i < id.len; i++)
        if (id.text[i] < '0' || id.text[i] > '9')
            return 0;
    return 1;
}

static void parse_member(twi_json *json, twi_json_slice key, control_request *request)
{
    twi_json_slice text;
    if (TWI_JSON_IS(key, "op")) {
        if (twi_json_peek(json) == TWI_JSON_STRING && twi_json_string(json, &text))
            request->op = parse_op(text);
        else
            twi_json_skip(json);
    } else if (TWI_JSON_IS(key, "id")) {
        if (twi_json_raw(json, &request->id) && !id_is_good(request->id)) {
            request->wrong = "id must be an integer or a string of at most 36 bytes";
            request->id.len = 0;
        }
    } else if (TWI_JSON_IS(key, "channels")) {
        request->has_channels = twi_json_peek(json) == TWI_JSON_ARRAY;
        twi_json_defer(json, &request->channels);
    } else if (TWI_JSON_IS(key, "symbols")) {
        request->has_symbols = twi_json_peek(json) == TWI_JSON_ARRAY;
        twi_json_defer(json, &request->symbols);
    } else if (TWI_JSON_IS(key, "policy")) {
        if (twi_json_peek(json) == TWI_JSON_STRING)
            twi_json_string(json, &request->policy);
        else if (twi_json_skip(json))
            request->wrong = "policy must be a string";
    } else if (TWI_JSON_IS(key, "interval")) {
        twi_json_scalar(json, &request->interval);
    } else if (TWI_JSON_IS(key, "depth")) {
        request->has_depth = twi_json_peek(json) != TWI_JSON_NULL;
        twi_json_skip(json);
    } else if (TWI_JSON_IS(key, "since") || TWI_JSON_IS(key, "epoch")) {
        request->has_since = 1;
        twi_json_skip(json);
    } else {
        twi_json_skip(json);
    }
}

static tw_status parse_request(const uint8_t *text, size_t len, control_request *request)
{
    memset(request, 0, sizeof *request);
    twi_json json;
    twi_json_slice key;
    twi_json_init(&json, text, len);
    twi_json_enter_object(&json);
    while (twi_json_next_member(&json, &key))
        parse_member(&json, key, request);
    return twi_json_end(&json);
}

/* ---- answers ---- */

static void begin_answer(twi_buffer *answer, const char *op, const void *id, uint32_t id_len)
{
    twi_buffer_format(answer, "{\"op\":\"%s\"", op);
    if (id_len > 0) {
        twi_buffer_text(answer, ",\"id\":");
        twi_buffer_append(answer, id, id_len);
    }
}

static void send_answer(twi_client *client, twi_buffer *answer)
{
    if (answer->failed)
        twi_client_kill(client);
    else
        twi_client_text(client, answer->data, answer->len);
    twi_buffer_fini(answer);
}

void twi_client_error(twi_client *client, const twi_buffer *id, int code, const char *name, int temporary,
                      const char *message)
{
    twi_buffer answer = {0};
    begin_answer(&answer, "error", id != NULL ? id->data : NULL, id != NULL ? id->len : 0);
    twi_buffer_text(&answer, ",");
    twi_append_error(&answer, code, name, temporary, message);
    send_answer(client, &answer);
    twi_count(client->shard, TWI_COUNTER_BAD_REQUESTS, 1);
}

/* The id as a buffer that borrows the request's bytes. */
static twi_buffer request_id(const control_request *request)
{
    return (twi_buffer){.data = (uint8_t *)(uintptr_t)request->id.text, .len = request->id.len};
}

static void request_error(twi_client *client, const control_request *request, int code, const char *name, int temporary,
                          const char *message)
{
    twi_buffer id = request_id(request);
    twi_client_error(client, &id, code, name, temporary, message);
}

static void append_topic(const twi_shard *shard, twi_buffer *out, const twi_join_topic *topic)
{
    const tw_instrument *instrument = tw_symbols_get(shard->config.symbols, twi_topic_instrument(topic->topic));
    twi_buffer_text(out, "{\"exchange\":");
    twi_buffer_json_string(out, instrument->exchange, instrument->exchange_len);
    twi_buffer_text(out, ",\"symbol\":");
    if (topic->venue_form)
        twi_buffer_json_string(out, instrument->venue_id, instrument->venue_id_len);
    else
        twi_buffer_json_string(out, instrument->symbol, instrument->symbol_len);
    twi_buffer_format(out, ",\"channel\":\"%s\"", twi_slot_name(twi_topic_slot(topic->topic)));
}

void twi_answer_join(twi_client *client, const twi_joining *joining)
{
    twi_buffer answer = {0};
    twi_shard *shard = client->shard;
    const twi_join *join = &joining->join;
    int adding = join->kind == TWI_JOIN_SUBSCRIBE;
    begin_answer(&answer, adding ? "subscribed" : "unsubscribed", joining->id.data, joining->id.len);
    twi_buffer_text(&answer, ",\"topics\":[");
    for (uint32_t i = 0; i < join->topic_count; i++) {
        const twi_join_topic *topic = &join->topics[i];
        if (i > 0)
            twi_buffer_text(&answer, ",");
        append_topic(shard, &answer, topic);
        twi_buffer_format(&answer, ",\"seq\":%llu", (unsigned long long)topic->seq);
        if (adding && twi_topic_slot(topic->topic) == TWI_SLOT_BOOK)
            twi_buffer_format(&answer, ",\"state\":\"%s\"", tw_book_state_name(topic->book_state));
        if (adding && joining->recovery_asked)
            twi_buffer_text(&answer, ",\"recovered\":false,\"reason\":\"history is not kept\"");
        twi_buffer_text(&answer, "}");
    }
    twi_buffer_text(&answer, "]");
    if (joining->errors.len > 0) {
        twi_buffer_text(&answer, ",\"errors\":[");
        twi_buffer_append(&answer, joining->errors.data, joining->errors.len);
        twi_buffer_text(&answer, "]");
    }
    twi_buffer_text(&answer, "}");
    send_answer(client, &answer);
}

/* ---- control messages ---- */

static int parse_policy(twi_json_slice text, const twi_client *client)
{
    if (text.len == 0)
        return client->policy;
    if (TWI_JSON_IS(text, "all"))
        return TWI_POLICY_ALL;
    if (TWI_JSON_IS(text, "drop"))
        return TWI_POLICY_DROP;
    if (TWI_JSON_IS(text, "disconnect"))
        return TWI_POLICY_DISCONNECT;
    return -1;
}

/* What this version does not do is refused by name instead of being ignored. */
static int refuse_options(twi_client *client, const control_request *request)
{
    if (parse_policy(request->policy, client) < 0)
        request_error(client, request, TWI_ERROR_NOT_SUPPORTED, "NotSupported", 0,
                      "policy must be all, drop or disconnect");
    else if (request->interval.len > 0)
        request_error(client, request, TWI_ERROR_NOT_SUPPORTED, "NotSupported", 0,
                      "interval goes with policy conflate, which is not offered");
    else if (request->has_depth)
        request_error(client, request, TWI_ERROR_NOT_SUPPORTED, "NotSupported", 0,
                      "books are sent in full; leave depth out");
    else
        return 0;
    return 1;
}

/* 0: has to wait for a joining. */
static int change_subscription(twi_client *client, const control_request *request)
{
    if (!request->has_channels || !request->has_symbols) {
        request_error(client, request, TWI_ERROR_BAD_REQUEST, "BadRequest", 0,
                      "channels and symbols must be arrays of strings");
        return 1;
    }
    if (refuse_options(client, request))
        return 1;
    twi_selection selection;
    tw_status status =
        twi_selection_read(&selection, client->shard->config.symbols, request->channels, request->symbols);
    int done = 1;
    if (status == TW_NO_MEMORY) {
        request_error(client, request, TWI_ERROR_RATE_LIMIT, "RateLimitExceeded", 1,
                      "the engine has no memory for it now");
    } else if (status != TW_OK) {
        request_error(client, request, TWI_ERROR_BAD_REQUEST, "BadRequest", 0,
                      "channels and symbols must be arrays of strings of at most 96 bytes");
    } else {
        twi_join_kind kind = request->op == OP_SUBSCRIBE ? TWI_JOIN_SUBSCRIBE : TWI_JOIN_UNSUBSCRIBE;
        twi_buffer id = request_id(request);
        done = twi_join_start(client, kind, &selection, &id, request->has_since);
        if (done)
            client->policy = (uint8_t)parse_policy(request->policy, client);
    }
    twi_selection_fini(&selection);
    return done;
}

static void answer_list(twi_client *client, const control_request *request)
{
    twi_buffer answer = {0};
    begin_answer(&answer, "subscriptions", request->id.text, request->id.len);
    twi_buffer_text(&answer, ",\"topics\":[");
    const twi_group *group = client->stream_group;
    for (uint32_t i = 0; group != NULL && i < group->topic_count; i++) {
        twi_join_topic topic = {.topic = group->topics[i]};
        if (i > 0)
            twi_buffer_text(&answer, ",");
        append_topic(client->shard, &answer, &topic);
        twi_buffer_text(&answer, "}");
    }
    twi_buffer_text(&answer, "]}");
    send_answer(client, &answer);
}

static void answer_ping(twi_client *client, const control_request *request)
{
    twi_buffer answer = {0};
    begin_answer(&answer, "pong", request->id.text, request->id.len);
    twi_buffer_format(&answer, ",\"time_ns\":%lld}", (long long)twi_shard_realtime(client->shard));
    send_answer(client, &answer);
}

int twi_client_message(twi_client *client, const uint8_t *text, size_t len)
{
    if (client->joining != NULL || client->dropping)
        return 0;
    control_request request;
    tw_status status = parse_request(text, len, &request);
    if (status != TW_OK) {
        twi_client_error(client, NULL, TWI_ERROR_BAD_REQUEST, "BadRequest", 0, "the message is not one JSON object");
        return 1;
    }
    if (request.wrong != NULL) {
        request_error(client, &request, TWI_ERROR_BAD_REQUEST, "BadRequest", 0, request.wrong);
        return 1;
    }
    switch (request.op) {
    case OP_SUBSCRIBE:
    case OP_UNSUBSCRIBE:
        return change_subscription(client, &request);
    case OP_LIST:
        answer_list(client, &request);
        return 1;
    case OP_PING:
        answer_ping(client, &request);
        return 1;
    default:
        request_error(client, &request, TWI_ERROR_BAD_REQUEST, "BadRequest", 0,
                      "op must be subscribe, unsubscribe, list or ping");
        return 1;
    }
}

/* ---- subscription on the URL ---- */

static int append_url_list(twi_buffer *message, twi_slice query, const char *name)
{
    twi_slice encoded;
    char decoded[4096];
    if (!twi_http_query_find(query, name, &encoded))
        return 0;
    ptrdiff_t len = twi_http_query_decode(encoded, decoded, sizeof decoded);
    twi_buffer_format(message, ",\"%s\":[", name);
    twi_slice rest = twi_slice_make(decoded, len > 0 ? (size_t)len : 0), part;
    for (int first = 1; twi_slice_split(&rest, ',', &part); first = 0) {
        if (!first)
            twi_buffer_text(message, ",");
        twi_buffer_json_string(message, part.data, part.len);
    }
    twi_buffer_text(message, "]");
    return 1;
}

static void append_url_text(twi_buffer *message, twi_slice query, const char *name)
{
    twi_slice encoded;
    char decoded[128];
    if (!twi_http_query_find(query, name, &encoded))
        return;
    ptrdiff_t len = twi_http_query_decode(encoded, decoded, sizeof decoded);
    twi_buffer_format(message, ",\"%s\":", name);
    twi_buffer_json_string(message, decoded, len > 0 ? (size_t)len : 0);
}

/* The query says the same as a subscribe message, so it becomes one and goes the same way. */
void twi_client_subscribe_url(twi_client *client, twi_slice query)
{
    twi_buffer message = {0};
    twi_buffer_text(&message, "{\"op\":\"subscribe\"");
    int asked = append_url_list(&message, query, "channels");
    asked |= append_url_list(&message, query, "symbols");
    append_url_text(&message, query, "policy");
    append_url_text(&message, query, "interval");
    append_url_text(&message, query, "depth");
    append_url_text(&message, query, "epoch");
    append_url_text(&message, query, "since");
    twi_buffer_text(&message, "}");
    if (asked && !message.failed && !twi_client_message(client, message.data, message.len)) {
        /* No joining is free: the message waits like any other. */
        twi_buffer_fini(&client->in);
        client->in = message;
        client->message_ready = 1;
        twi_waiting_add(client);
        return;
    }
    twi_buffer_fini(&message);
}
