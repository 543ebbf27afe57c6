/* stream.c - the options of a verb that reads a stream, and its run: poll until told to stop. */
#include "tools/tw/stream.h"

#include <string.h>

#include "engine/base/clock.h"

enum { POLL_NS = 50000000 };
#define DEFAULT_WAIT_NS INT64_C(10000000000)

void twi_stream_option_list(twi_stream_options *options, twi_option *list)
{
    *options = (twi_stream_options){.wait_ns = DEFAULT_WAIT_NS};
    tw_stream_options_init(&options->stream, sizeof(options->stream));
    const twi_option own[TWI_STREAM_OPTION_COUNT] = {
        {.name = "url", .text = &options->stream.from},          {.name = "shm", .text = &options->shm},
        {.name = "channels", .text = &options->stream.channels}, {.name = "symbols", .text = &options->stream.symbols},
        {.name = "codec", .text = &options->stream.codec},       {.name = "token", .text = &options->stream.token},
        {.name = "wait", .duration_ns = &options->wait_ns}};
    memcpy(list, own, sizeof(own));
}

static int poll_until_end(const twi_verb *verb, tw_stream *stream, const twi_stream_options *options,
                          bool (*on_idle)(void *owner))
{
    int64_t give_up_ns = twi_monotonic_ns() + options->wait_ns;
    while (on_idle(options->stream.owner)) {
        if (tw_stream_poll(stream, POLL_NS) != TW_OK)
            return twi_cli_fail(verb, "turned away: %s", tw_stream_reason(stream));
        if (tw_stream_epoch(stream) <= 1 && !tw_stream_is_ready(stream) && twi_monotonic_ns() > give_up_ns)
            return twi_cli_fail(verb, "no connection: %s", tw_stream_reason(stream));
    }
    return TWI_EXIT_GOOD;
}

int twi_stream_run(const twi_verb *verb, const twi_stream_options *options, bool (*on_idle)(void *owner))
{
    char error[TWI_CLI_ERROR_MAX] = "", from[TWI_CLI_ERROR_MAX];
    tw_stream_options wish = options->stream;
    if (options->shm) {
        snprintf(from, sizeof(from), "shm:%s", options->shm);
        wish.from = from;
    }
    tw_stream *stream;
    tw_status status = tw_stream_open(&wish, &stream, error, sizeof(error));
    if (status == TW_BAD_ARGUMENT)
        return twi_cli_usage(verb, "%s", error);
    if (status != TW_OK)
        return twi_cli_fail(verb, "%s", error);
    int code = poll_until_end(verb, stream, options, on_idle);
    tw_stream_close(stream);
    return code;
}
