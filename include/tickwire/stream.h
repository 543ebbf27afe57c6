/* stream.h - one subscription, over WebSocket or straight out of the engine's ring in shared memory, in one form.
 *
 * Job:       connect, keep connected, hand over whole messages (all levels of a book change are one), say what is
 *            missing. A program written against this runs beside the engine or far from it; only `from` differs.
 * From:      "ws://HOST:PORT[/PATH]" and "unix:/SOCKET": WebSocket, through the client library (subscriber.h).
 *            "shm:NAME": the ring of that name (ring.name of the engine): same host, no system call per message. It is
 *            mapped read-only; this program can neither slow the engine nor disturb it, and may be killed at any time.
 * Start:     the state comes first: the last quote and status of each instrument; the book over WebSocket. Over shared
 *            memory a book is complete from its next snapshot on, which the engine's feeds repeat now and then.
 * Missing:   on_gap says it, with the exact number if anybody knows; what the engine could not deliver to a slow
 *            subscriber comes as a message, a TW_EVENT_LOSS with topic and range. Nothing is left out without a word.
 * Thread:    one thread per stream; callbacks run inside tw_stream_poll(). They may close nothing.
 * Ownership: all options are copied. What a callback gets is lent for the duration of the call.
 * Memory:    at open, when an instrument is met for the first time, and when a message is larger than any before.
 * Times:     int64 nanoseconds, Unix time.
 *
 *     tw_stream_options options;
 *     tw_stream_options_init(&options, sizeof options);
 *     options.from = "shm:tickwire";
 *     options.channels = "quote";
 *     options.on_message = trade_on_it;
 *     tw_stream *stream;
 *     if (tw_stream_open(&options, &stream, error, sizeof error) != TW_OK) ...
 *     while (tw_stream_poll(stream, 100000000) == TW_OK)
 *         ;
 */
#ifndef TICKWIRE_STREAM_H
#define TICKWIRE_STREAM_H

#include <stddef.h>
#include <stdint.h>

#include "tickwire/event.h"
#include "tickwire/status.h"
#include "tickwire/symbols.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct tw_stream tw_stream;

typedef struct tw_stream_message {
    const tw_symbols *symbols; /* of tw_event.instrument; the same table for as long as tw_stream_epoch() is the same */
    const tw_event *events;    /* one event, a group of levels, a candle with its tail, or a LOSS (WebSocket only) */
    uint32_t event_count;
    uint32_t is_state;    /* 1: not news, but what was known when the subscription began */
    uint64_t seq;         /* of its topic; over shared memory the ring's, of its last event */
    int64_t publish_ns;   /* when the engine framed it; 0 over shared memory */
    int64_t arrival_ns;   /* when this program had it: taken once per batch */
    const uint8_t *bytes; /* the WebSocket payload; NULL over shared memory */
    size_t bytes_len;
} tw_stream_message;

/* How a stream over shared memory waits. A WebSocket stream always sleeps in the kernel. */
typedef enum tw_stream_wait {
    TW_STREAM_SLEEP = 0, /* futex: the producer wakes it; costs nothing while nothing comes */
    TW_STREAM_YIELD = 1, /* gives the core away between looks */
    TW_STREAM_SPIN = 2   /* looks all the time: lowest latency, one whole core */
} tw_stream_wait;

/* Filled in by tw_stream_options_init(); later versions add members at the end and know by `size` which there are. */
typedef struct tw_stream_options {
    size_t size;
    const char *from;     /* "ws://127.0.0.1:9001/v1/stream" */
    const char *channels; /* "trade,quote,book,status"; candle.<interval> over WebSocket only */
    const char *symbols;  /* "*:*"; comma-separated EXCHANGE:SYMBOL, * for any */
    const char *codec;    /* "flatbuffers" or "json"; WebSocket only */
    const char *token;    /* NULL: none; WebSocket only */
    uint32_t wait;        /* tw_stream_wait */
    void (*on_message)(void *owner, const tw_stream_message *message);
    /* Messages are missing here: `count` of them, 0 if nobody knows (the engine ended, or is another one now). Books
     * are out of date until their next snapshot. May be NULL. */
    void (*on_gap)(void *owner, uint64_t count);
    /* What happens to the connection, in words. May be NULL. */
    void (*on_note)(void *owner, const char *text);
    void *owner;
} tw_stream_options;

/* The defaults: everything of the engine at the usual address; on_message is still to be set. size: sizeof of the
 * struct as your program was compiled with it, so that an older program and a newer library agree. */
TW_API void tw_stream_options_init(tw_stream_options *options, size_t size);

/* Checks the options and takes memory; the first polls connect. TW_BAD_ARGUMENT: an option, the text says which;
 * TW_NOT_SUPPORTED: a codec, wss, candles over shared memory; TW_UNAVAILABLE: no loop, a host name without address. */
TW_API TW_MUST_USE tw_status tw_stream_open(const tw_stream_options *options, tw_stream **stream, char *error,
                                            size_t error_cap);
/* Ends the connection and frees everything; NULL is harmless. Not from a callback. */
TW_API void tw_stream_close(tw_stream *stream);

/* Hands over what has come; waits for it at most timeout_ns (0: not at all). TW_OK, also if nothing came; TW_CLOSED:
 * the engine turned this program away for good (bad token, limits): tw_stream_reason() says why. */
TW_API TW_MUST_USE tw_status tw_stream_poll(tw_stream *stream, int64_t timeout_ns);
/* Any thread: ends the wait of the current or next poll over WebSocket; over shared memory it ends within 50 ms. */
TW_API void tw_stream_wake(tw_stream *stream);

/* 1: connected, and the subscription is answered. */
TW_API int tw_stream_is_ready(const tw_stream *stream);
/* Why it is not (the last attempt's end), or "". Valid until the next poll. */
TW_API const char *tw_stream_reason(const tw_stream *stream);
/* Counts the engines (or connections) that it had: 1 for the first one. Over shared memory instruments may be numbered
 * otherwise in each; over WebSocket the table stays. */
TW_API uint64_t tw_stream_epoch(const tw_stream *stream);

#ifdef __cplusplus
}
#endif
#endif
