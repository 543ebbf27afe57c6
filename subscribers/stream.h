/* stream.h - the inside of tw_stream: what its two ways in have in common (stream_ws.c, stream_shm.c).
 *
 * Thread:    as tickwire/stream.h. */
#ifndef TWI_STREAM_H
#define TWI_STREAM_H

#include <stdbool.h>

#include "tickwire/stream.h"

enum { TWI_STREAM_REASON_MAX = 512 };

typedef struct twi_stream_ops {
    tw_status (*poll)(tw_stream *stream, int64_t timeout_ns);
    void (*wake)(tw_stream *stream);
    void (*close)(tw_stream *stream);
} twi_stream_ops;

/* Both ways in begin with this. */
struct tw_stream {
    const twi_stream_ops *ops;
    tw_stream_options options; /* with texts of its own */
    char *texts;               /* which lie here */
    bool is_ready;
    uint64_t epoch;
    char reason[TWI_STREAM_REASON_MAX];
};

tw_status twi_stream_ws_open(const tw_stream_options *options, tw_stream **stream, char *error, size_t error_cap);
tw_status twi_stream_shm_open(const tw_stream_options *options, tw_stream **stream, char *error, size_t error_cap);

static inline void twi_stream_gap(const tw_stream *stream, uint64_t count)
{
    if (stream->options.on_gap)
        stream->options.on_gap(stream->options.owner, count);
}

static inline void twi_stream_note(const tw_stream *stream, const char *text)
{
    if (stream->options.on_note)
        stream->options.on_note(stream->options.owner, text);
}

#endif
