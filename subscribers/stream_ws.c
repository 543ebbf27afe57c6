/* stream_ws.c - a stream over WebSocket: one client of the client library. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "subscribers/stream.h"
#include "tickwire/subscriber.h"

typedef struct ws_stream {
    tw_stream stream; /* first */
    tw_client_pool *pool;
    const tw_symbols *symbols;
    bool was_ready, is_closed;
} ws_stream;

static void on_message(tw_client *client, const tw_message *message, void *owner)
{
    const ws_stream *self = owner;
    (void)client;
    if (message->verdict == TW_SEQUENCE_GAP)
        twi_stream_gap(&self->stream, message->missing);
    if (message->verdict == TW_SEQUENCE_DUPLICATE || !message->record || message->record->event_count == 0)
        return;
    const tw_stream_message out = {.symbols = self->symbols,
                                   .events = message->record->events,
                                   .event_count = message->record->event_count,
                                   .is_state = message->is_state,
                                   .seq = message->seq,
                                   .publish_ns = message->publish_ns,
                                   .arrival_ns = message->arrival_ns,
                                   .bytes = message->bytes,
                                   .bytes_len = message->bytes_len};
    self->stream.options.on_message(self->stream.options.owner, &out);
}

static void on_control(tw_client *client, const tw_control *control, void *owner)
{
    const ws_stream *self = owner;
    char text[TWI_STREAM_REASON_MAX];
    (void)client;
    if (control->op == TW_CONTROL_ERROR)
        snprintf(text, sizeof(text), "%s%s%s: %s", control->name, control->symbol[0] ? " " : "", control->symbol,
                 control->message);
    else if (control->op == TW_CONTROL_BYE)
        snprintf(text, sizeof(text), "the engine says bye: %s", control->name);
    else
        return;
    twi_stream_note(&self->stream, text);
}

static void on_state(tw_client *client, tw_client_state state, tw_status status, const char *reason, void *owner)
{
    ws_stream *self = owner;
    char text[2 * TWI_STREAM_REASON_MAX];
    (void)client;
    (void)status;
    if (reason[0] != '\0')
        snprintf(self->stream.reason, sizeof(self->stream.reason), "%s", reason);
    if (state == TW_CLIENT_OPEN && self->stream.epoch++ > 0) {
        twi_stream_note(&self->stream, "connected again");
        twi_stream_gap(&self->stream, 0);
    }
    if (state == TW_CLIENT_WAITING && self->was_ready && reason[0] != '\0') {
        snprintf(text, sizeof(text), "the connection ended (%s), dialing again", reason);
        twi_stream_note(&self->stream, text);
    }
    self->stream.is_ready = state == TW_CLIENT_READY;
    self->was_ready |= self->stream.is_ready;
    self->is_closed = state == TW_CLIENT_CLOSED;
}

static tw_status ws_poll(tw_stream *stream, int64_t timeout_ns)
{
    ws_stream *self = (ws_stream *)stream;
    tw_client_pool_poll(self->pool, timeout_ns);
    return self->is_closed ? TW_CLOSED : TW_OK;
}

static void ws_wake(tw_stream *stream)
{
    tw_client_pool_wake(((ws_stream *)stream)->pool);
}

static void ws_close(tw_stream *stream)
{
    ws_stream *self = (ws_stream *)stream;
    if (self->pool)
        tw_client_pool_close(self->pool);
    free(self);
}

static tw_status open_client(ws_stream *self, const tw_stream_options *options, char *error, size_t error_cap)
{
    tw_client_pool_options pool;
    tw_client_pool_options_init(&pool);
    pool.callbacks = (tw_client_callbacks){on_message, on_control, on_state};
    pool.owner = self;
    tw_status status = tw_client_pool_open(&pool, &self->pool, error, error_cap);
    if (status != TW_OK)
        return status;
    self->symbols = tw_client_pool_symbols(self->pool);
    const tw_subscription wish = {.channels = options->channels, .symbols = options->symbols};
    const tw_client_options to = {.url = options->from,
                                  .codec = options->codec,
                                  .token = options->token,
                                  .subscriptions = &wish,
                                  .subscription_count = 1};
    tw_client *client;
    return tw_client_open(self->pool, &to, &client, error, error_cap);
}

tw_status twi_stream_ws_open(const tw_stream_options *options, tw_stream **stream, char *error, size_t error_cap)
{
    static const twi_stream_ops ops = {ws_poll, ws_wake, ws_close};
    ws_stream *self = calloc(1, sizeof(*self));
    if (!self) {
        snprintf(error, error_cap, "no memory for a stream");
        return TW_NO_MEMORY;
    }
    self->stream.ops = &ops;
    snprintf(self->stream.reason, sizeof(self->stream.reason), "the subscription was not answered");
    tw_status status = open_client(self, options, error, error_cap);
    if (status != TW_OK) {
        ws_close(&self->stream);
        return status;
    }
    *stream = &self->stream;
    return TW_OK;
}
