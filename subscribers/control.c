/* control.c - what the server says about the connection: hello, acknowledgements, errors, bye. */
#include <stdio.h>
#include <string.h>

#include "engine/proto/json_scan.h"
#include "subscribers/client.h"
#include "subscribers/scan.h"

#define NS_PER_S 1000000000LL

enum { TEXT_MAX = 255 };

/* Texts of one control message, copied so that a callback gets C strings. */
typedef struct texts {
    char op[32];
    char name[TEXT_MAX + 1];
    char message[TEXT_MAX + 1];
    char symbol[TEXT_MAX + 1];
    char epoch[TWI_CLIENT_EPOCH_MAX + 1];
} texts;

/* What is found at the top level; lists are read again once the operation is known. */
typedef struct found {
    texts texts;
    tw_control control;
    twi_json topics, errors;
    bool has_topics, has_errors;
    int64_t heartbeat_ns;
} found;

/* A string, without escapes, cut to the room that there is. */
static void text_take(twi_json *json, char *out, size_t out_cap)
{
    twi_json_slice slice;
    size_t len;
    if (!twi_json_scalar(json, &slice))
        return;
    if (slice.len >= out_cap)
        slice.len = (uint32_t)out_cap - 1;
    if (twi_json_unescape(slice, out, out_cap - 1, &len) != TW_OK)
        len = 0;
    out[len] = 0;
}

static int32_t code_take(twi_json *json)
{
    int64_t code;
    if (!twi_json_int64(json, &code))
        return 0;
    return code >= INT32_MIN && code <= INT32_MAX ? (int32_t)code : 0;
}

static uint8_t flag_take(twi_json *json)
{
    bool flag = false;
    return twi_json_bool(json, &flag) && flag;
}

static void seconds_take(twi_json *json, int64_t *out)
{
    tw_decimal seconds;
    int64_t ns;
    if (twi_json_decimal(json, &seconds) && tw_decimal_rescale(seconds, -9, &ns) == TW_OK)
        *out = ns;
}

static void member_take(twi_json *json, twi_json_slice key, found *f)
{
    if (TWI_JSON_IS(key, "op"))
        text_take(json, f->texts.op, sizeof f->texts.op);
    else if (TWI_JSON_IS(key, "name") || TWI_JSON_IS(key, "reason") || TWI_JSON_IS(key, "server"))
        text_take(json, f->texts.name, sizeof f->texts.name);
    else if (TWI_JSON_IS(key, "message"))
        text_take(json, f->texts.message, sizeof f->texts.message);
    else if (TWI_JSON_IS(key, "symbol"))
        text_take(json, f->texts.symbol, sizeof f->texts.symbol);
    else if (TWI_JSON_IS(key, "epoch"))
        text_take(json, f->texts.epoch, sizeof f->texts.epoch);
    else if (TWI_JSON_IS(key, "code"))
        f->control.code = code_take(json);
    else if (TWI_JSON_IS(key, "temporary"))
        f->control.temporary = flag_take(json);
    else if (TWI_JSON_IS(key, "reconnect"))
        f->control.reconnect = flag_take(json);
    else if (TWI_JSON_IS(key, "heartbeat"))
        seconds_take(json, &f->heartbeat_ns);
    else if (TWI_JSON_IS(key, "topics"))
        f->has_topics = twi_json_defer(json, &f->topics);
    else if (TWI_JSON_IS(key, "errors"))
        f->has_errors = twi_json_defer(json, &f->errors);
    else
        twi_json_skip(json);
}

static tw_control_op op_of(const char *op)
{
    static const struct {
        const char *name;
        tw_control_op op;
    } ops[] = {{"hello", TW_CONTROL_HELLO},
               {"subscribed", TW_CONTROL_SUBSCRIBED},
               {"unsubscribed", TW_CONTROL_UNSUBSCRIBED},
               {"subscriptions", TW_CONTROL_SUBSCRIPTIONS},
               {"pong", TW_CONTROL_PONG},
               {"error", TW_CONTROL_ERROR},
               {"heartbeat", TW_CONTROL_HEARTBEAT},
               {"bye", TW_CONTROL_BYE}};
    for (size_t i = 0; i < sizeof ops / sizeof ops[0]; i++)
        if (strcmp(op, ops[i].name) == 0)
            return ops[i].op;
    return TW_CONTROL_OTHER;
}

static void call_back(tw_client *client, const tw_control *control)
{
    const tw_client_callbacks *callbacks = &client->pool->options.callbacks;
    if (callbacks->on_control)
        callbacks->on_control(client, control, client->owner);
}

/* ---- hello ---- */

/* Sequence numbers live for one epoch: those of another server run mean nothing here. */
static void hello(tw_client *client, const found *f)
{
    if (client->epoch_known && strcmp(client->epoch, f->texts.epoch) != 0 && client->sequences)
        memset(client->sequences, 0, client->sequence_count * sizeof *client->sequences);
    memcpy(client->epoch, f->texts.epoch, sizeof client->epoch);
    client->epoch_known = true;
    twi_client_heartbeat(client, f->heartbeat_ns);
}

/* ---- subscribed ---- */

/* {"exchange":"sim","symbol":"A/B","channel":"trade","seq":7} */
static void topic_joined(tw_client *client, twi_json *json)
{
    twi_json_slice key, exchange = {0}, symbol = {0}, channel = {0};
    uint64_t seq = 0;
    bool has_seq = false;
    twi_topic_name name = {0};
    if (!twi_json_enter_object(json))
        return;
    while (twi_json_next_member(json, &key)) {
        if (TWI_JSON_IS(key, "exchange"))
            twi_json_string(json, &exchange);
        else if (TWI_JSON_IS(key, "symbol"))
            twi_json_string(json, &symbol);
        else if (TWI_JSON_IS(key, "channel"))
            twi_json_string(json, &channel);
        else if (TWI_JSON_IS(key, "seq"))
            has_seq = twi_json_uint64(json, &seq);
        else
            twi_json_skip(json);
    }
    if (!has_seq || !twi_scan_channel(channel.text, channel.len, &name.channel, &name.interval_s))
        return;
    name.exchange = exchange.text;
    name.exchange_len = exchange.len;
    name.symbol = symbol.text;
    name.symbol_len = symbol.len;
    uint32_t topic = twi_topics_intern(&client->pool->topics, &name);
    twi_sequence *sequence = topic == TWI_TOPIC_NONE ? NULL : twi_client_sequence(client, topic);
    if (sequence)
        client->pool->stats.missed_while_down += twi_sequence_joined(sequence, seq);
}

static uint32_t topics_take(tw_client *client, twi_json *json, bool joined)
{
    uint32_t count = 0;
    if (!twi_json_enter_array(json))
        return 0;
    while (twi_json_next_item(json)) {
        count++;
        if (joined)
            topic_joined(client, json);
        else
            twi_json_skip(json);
    }
    return count;
}

/* One entry of "errors": a wish that failed alone. */
static void error_take(tw_client *client, const found *whole, twi_json *json)
{
    found entry = {.control = {.op = TW_CONTROL_ERROR}};
    twi_json_slice key;
    if (!twi_json_enter_object(json))
        return;
    while (twi_json_next_member(json, &key))
        member_take(json, key, &entry);
    entry.control.name = entry.texts.name[0] ? entry.texts.name : "error";
    entry.control.message = entry.texts.message;
    entry.control.symbol = entry.texts.symbol;
    entry.control.epoch = "";
    entry.control.bytes = whole->control.bytes;
    entry.control.bytes_len = whole->control.bytes_len;
    twi_pool_error(client->pool, entry.control.name);
    call_back(client, &entry.control);
}

static void answered(tw_client *client)
{
    if (client->acks_pending > 0)
        client->acks_pending--;
    if (client->acks_pending == 0)
        twi_client_ready(client);
}

static void subscribed(tw_client *client, found *f)
{
    if (f->has_topics)
        f->control.topic_count = topics_take(client, &f->topics, true);
    call_back(client, &f->control);
    if (f->has_errors && twi_json_enter_array(&f->errors))
        while (twi_json_next_item(&f->errors))
            error_take(client, f, &f->errors);
    answered(client);
}

/* The topics that were left have no next message: a later subscription starts anew. */
static void unsubscribed(tw_client *client, found *f)
{
    if (f->has_topics)
        f->control.topic_count = topics_take(client, &f->topics, false);
    for (uint32_t i = 0; i < client->sequence_count; i++)
        twi_sequence_down(&client->sequences[i]);
    call_back(client, &f->control);
    answered(client);
}

/* ---- all ---- */

static void bye(tw_client *client, const found *f)
{
    if (!f->control.reconnect)
        client->final = true;
    call_back(client, &f->control);
}

static void dispatch(tw_client *client, found *f)
{
    switch ((tw_control_op)f->control.op) {
    case TW_CONTROL_HELLO:
        hello(client, f);
        call_back(client, &f->control);
        break;
    case TW_CONTROL_SUBSCRIBED:
        subscribed(client, f);
        break;
    case TW_CONTROL_UNSUBSCRIBED:
        unsubscribed(client, f);
        break;
    case TW_CONTROL_SUBSCRIPTIONS:
        if (f->has_topics)
            f->control.topic_count = topics_take(client, &f->topics, false);
        call_back(client, &f->control);
        break;
    case TW_CONTROL_ERROR:
        twi_pool_error(client->pool, f->texts.name[0] ? f->texts.name : "error");
        call_back(client, &f->control);
        answered(client);
        break;
    case TW_CONTROL_BYE:
        bye(client, f);
        break;
    case TW_CONTROL_PONG:
    case TW_CONTROL_HEARTBEAT:
    case TW_CONTROL_OTHER:
        call_back(client, &f->control);
        break;
    }
}

void twi_client_control(tw_client *client, const uint8_t *msg, size_t msg_len)
{
    found f = {0};
    twi_json json;
    twi_json_slice key;
    client->pool->stats.control_messages++;
    twi_json_init(&json, msg, msg_len);
    if (twi_json_enter_object(&json))
        while (twi_json_next_member(&json, &key))
            member_take(&json, key, &f);
    if (twi_json_end(&json) != TW_OK || f.texts.op[0] == 0) {
        twi_pool_error(client->pool, "malformed");
        return;
    }
    f.control.op = (uint8_t)op_of(f.texts.op);
    f.control.name = f.texts.name;
    f.control.message = f.texts.message;
    f.control.symbol = f.texts.symbol;
    f.control.epoch = f.texts.epoch;
    f.control.bytes = msg;
    f.control.bytes_len = (uint32_t)msg_len;
    dispatch(client, &f);
}
