/* stream.c - the options of a stream, and the way in over WebSocket through the client library. */
#include "tools/tw/stream.h"

#include <string.h>

#include "engine/base/clock.h"
#include "tickwire/subscriber.h"

enum { POLL_NS = 50000000 };
#define DEFAULT_WAIT_NS INT64_C(10000000000)

void twi_stream_option_list(twi_stream_options *options, twi_option *list)
{
    *options = (twi_stream_options){.url = TWI_STREAM_URL,
                                    .channels = "trade,quote,book,status",
                                    .symbols = "*:*",
                                    .codec = "flatbuffers",
                                    .wait_ns = DEFAULT_WAIT_NS};
    const twi_option own[TWI_STREAM_OPTION_COUNT] = {{.name = "url", .text = &options->url},
                                                     {.name = "shm", .text = &options->shm},
                                                     {.name = "channels", .text = &options->channels},
                                                     {.name = "symbols", .text = &options->symbols},
                                                     {.name = "codec", .text = &options->codec},
                                                     {.name = "token", .text = &options->token},
                                                     {.name = "wait", .duration_ns = &options->wait_ns}};
    memcpy(list, own, sizeof(own));
}

int twi_stream_run(const twi_verb *verb, const twi_stream_options *options, const twi_stream_calls *calls, void *owner)
{
    return options->shm ? twi_stream_run_shm(verb, options, calls, owner)
                        : twi_stream_run_ws(verb, options, calls, owner);
}

/* ---- WebSocket ---- */

typedef struct ws_stream {
    const twi_stream_calls *calls;
    void *owner;
    const tw_symbols *symbols;
    uint32_t open_count;
    bool was_ready, is_closed;
    char reason[256]; /* of the last end of a connection */
} ws_stream;

static void on_message(tw_client *client, const tw_message *message, void *owner)
{
    ws_stream *stream = owner;
    (void)client;
    if (message->verdict == TW_SEQUENCE_GAP)
        stream->calls->on_gap(stream->owner, message->missing);
    if (message->verdict == TW_SEQUENCE_DUPLICATE || !message->record || message->record->event_count == 0)
        return;
    const twi_stream_message out = {.symbols = stream->symbols,
                                    .events = message->record->events,
                                    .event_count = message->record->event_count,
                                    .seq = message->seq,
                                    .publish_ns = message->publish_ns,
                                    .bytes = message->bytes,
                                    .bytes_len = message->bytes_len};
    stream->calls->on_message(stream->owner, &out);
}

static void on_control(tw_client *client, const tw_control *control, void *owner)
{
    ws_stream *stream = owner;
    char text[TWI_CLI_ERROR_MAX];
    (void)client;
    if (control->op == TW_CONTROL_ERROR)
        snprintf(text, sizeof(text), "%s%s%s: %s", control->name, control->symbol[0] ? " " : "", control->symbol,
                 control->message);
    else if (control->op == TW_CONTROL_BYE)
        snprintf(text, sizeof(text), "the engine says bye: %s", control->name);
    else
        return;
    stream->calls->on_note(stream->owner, text);
}

static void on_state(tw_client *client, tw_client_state state, tw_status status, const char *reason, void *owner)
{
    ws_stream *stream = owner;
    char text[TWI_CLI_ERROR_MAX];
    (void)client;
    (void)status;
    if (reason[0] != '\0')
        snprintf(stream->reason, sizeof(stream->reason), "%s", reason);
    if (state == TW_CLIENT_OPEN && stream->open_count++ > 0) {
        stream->calls->on_note(stream->owner, "connected again");
        stream->calls->on_gap(stream->owner, 0);
    }
    if (state == TW_CLIENT_WAITING && stream->was_ready && reason[0] != '\0') {
        snprintf(text, sizeof(text), "the connection ended (%s), dialing again", reason);
        stream->calls->on_note(stream->owner, text);
    }
    stream->was_ready |= state == TW_CLIENT_READY;
    stream->is_closed = state == TW_CLIENT_CLOSED;
}

static int poll_until_end(const twi_verb *verb, tw_client_pool *pool, ws_stream *stream, int64_t wait_ns)
{
    int64_t give_up_ns = twi_monotonic_ns() + wait_ns;
    while (stream->calls->on_idle(stream->owner)) {
        tw_client_pool_poll(pool, POLL_NS);
        if (stream->is_closed)
            return twi_cli_fail(verb, "turned away: %s", stream->reason);
        if (!stream->was_ready && twi_monotonic_ns() > give_up_ns)
            return twi_cli_fail(verb, "no connection: %s",
                                stream->reason[0] ? stream->reason : "the subscription was not answered");
    }
    return TWI_EXIT_GOOD;
}

int twi_stream_run_ws(const twi_verb *verb, const twi_stream_options *options, const twi_stream_calls *calls,
                      void *owner)
{
    ws_stream stream = {.calls = calls, .owner = owner};
    char error[TWI_CLI_ERROR_MAX] = "";
    tw_client_pool_options pool_options;
    tw_client_pool_options_init(&pool_options);
    pool_options.callbacks = (tw_client_callbacks){on_message, on_control, on_state};
    pool_options.owner = &stream;
    tw_client_pool *pool;
    if (tw_client_pool_open(&pool_options, &pool, error, sizeof(error)) != TW_OK)
        return twi_cli_fail(verb, "%s", error);
    stream.symbols = tw_client_pool_symbols(pool);
    const tw_subscription wish = {.channels = options->channels, .symbols = options->symbols};
    const tw_client_options to = {.url = options->url,
                                  .codec = options->codec,
                                  .token = options->token,
                                  .subscriptions = &wish,
                                  .subscription_count = 1};
    tw_client *client;
    int code = tw_client_open(pool, &to, &client, error, sizeof(error)) == TW_OK
                   ? poll_until_end(verb, pool, &stream, options->wait_ns)
                   : twi_cli_fail(verb, "%s", error);
    tw_client_pool_close(pool);
    return code;
}
