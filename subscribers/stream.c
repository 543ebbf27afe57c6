/* stream.c - options of a stream, and which way in it takes; see tickwire/stream.h. */
#include "subscribers/stream.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Of the first version that had this struct: nobody has a smaller one. */
enum { OPTIONS_BYTES_MIN = offsetof(tw_stream_options, owner) + sizeof(void *) };

static const char shm_scheme[] = "shm:";

void tw_stream_options_init(tw_stream_options *options, size_t size)
{
    const tw_stream_options defaults = {.size = size,
                                        .from = "ws://127.0.0.1:9001/v1/stream",
                                        .channels = "trade,quote,book,status",
                                        .symbols = "*:*",
                                        .codec = "flatbuffers"};
    memset(options, 0, size);
    memcpy(options, &defaults, size < sizeof(defaults) ? size : sizeof(defaults));
}

/* The caller's texts, copied one behind the other. */
static bool copy_texts(tw_stream *stream)
{
    tw_stream_options *options = &stream->options;
    const char **texts[] = {&options->from, &options->channels, &options->symbols, &options->codec, &options->token};
    size_t bytes = 0;
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
        bytes += *texts[i] ? strlen(*texts[i]) + 1 : 0;
    stream->texts = malloc(bytes);
    if (!stream->texts)
        return false;
    char *at = stream->texts;
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        if (!*texts[i])
            continue;
        size_t length = strlen(*texts[i]) + 1;
        *texts[i] = memcpy(at, *texts[i], length);
        at += length;
    }
    return true;
}

tw_status tw_stream_open(const tw_stream_options *options, tw_stream **stream, char *error, size_t error_cap)
{
    *stream = NULL;
    if (options->size < OPTIONS_BYTES_MIN || !options->from || !options->channels || !options->symbols ||
        !options->on_message) {
        snprintf(error, error_cap,
                 "stream options: from, channels, symbols and on_message are needed, and "
                 "tw_stream_options_init() before");
        return TW_BAD_ARGUMENT;
    }
    tw_stream *made = NULL;
    bool is_shm = strncmp(options->from, shm_scheme, sizeof(shm_scheme) - 1) == 0;
    tw_status status = is_shm ? twi_stream_shm_open(options, &made, error, error_cap)
                              : twi_stream_ws_open(options, &made, error, error_cap);
    if (status != TW_OK)
        return status;
    made->options = *options;
    if (!copy_texts(made)) {
        snprintf(error, error_cap, "no memory for a stream");
        tw_stream_close(made);
        return TW_NO_MEMORY;
    }
    *stream = made;
    return TW_OK;
}

void tw_stream_close(tw_stream *stream)
{
    if (!stream)
        return;
    free(stream->texts);
    stream->ops->close(stream);
}

tw_status tw_stream_poll(tw_stream *stream, int64_t timeout_ns)
{
    return stream->ops->poll(stream, timeout_ns);
}

void tw_stream_wake(tw_stream *stream)
{
    stream->ops->wake(stream);
}

int tw_stream_is_ready(const tw_stream *stream)
{
    return stream->is_ready;
}

const char *tw_stream_reason(const tw_stream *stream)
{
    return stream->is_ready ? "" : stream->reason;
}

uint64_t tw_stream_epoch(const tw_stream *stream)
{
    return stream->epoch;
}
