/* stream.h - a running engine's messages, over WebSocket or out of its shared-memory ring, in one form.
 *
 * Job:      connect, keep connected, hand over whole messages (a group of book levels is one), say what is missing.
 * Thread:   one; twi_stream_run() returns when it was told to stop. */
#ifndef TWI_STREAM_H
#define TWI_STREAM_H

#include "tools/tw/cli.h"

#define TWI_STREAM_URL "ws://127.0.0.1:9001/v1/stream"

/* The part of a verb's --help that is about these options. */
#define TWI_STREAM_HELP                                                                                                \
    "where from\n"                                                                                                     \
    "  --url URL        ws://HOST:PORT[/PATH] or unix:/SOCKET   [" TWI_STREAM_URL "]\n"                                \
    "  --shm NAME       the engine's ring in shared memory (ring.name): same host, no socket; a book\n"                \
    "                   is complete from its next snapshot on\n"                                                       \
    "  --token T        sent as Authorization: Bearer\n"                                                               \
    "  --codec C        json or flatbuffers                     [flatbuffers]\n"                                       \
    "  --wait D         how long to try to connect              [10s]\n"                                               \
    "what\n"                                                                                                           \
    "  --channels LIST  trade, quote, book, status, candle.1m   [trade,quote,book,status]\n"                           \
    "  --symbols LIST   EXCHANGE:SYMBOL, * for any              [*:*]\n"

typedef struct twi_stream_options {
    const char *url; /* WebSocket; used if shm is NULL */
    const char *shm; /* name of a ring in shared memory */
    const char *channels, *symbols, *codec, *token;
    int64_t wait_ns; /* for the first connection; then it is kept up without limit */
} twi_stream_options;

typedef struct twi_stream_message {
    const tw_symbols *symbols;
    const tw_event *events; /* one event, a group of levels, a candle with its tail; or a LOSS (WebSocket only) */
    uint32_t event_count;
    uint64_t seq;         /* of its topic; over shared memory: the ring's, of its last event */
    int64_t publish_ns;   /* 0 over shared memory */
    const uint8_t *bytes; /* the payload; NULL over shared memory */
    size_t bytes_len;
} twi_stream_message;

typedef struct twi_stream_calls {
    void (*on_message)(void *owner, const twi_stream_message *message);
    /* Messages are missing here without notice: `count` of them, 0 if nobody knows (a new connection). */
    void (*on_gap)(void *owner, uint64_t count);
    /* What happens to the connection, in words. */
    void (*on_note)(void *owner, const char *text);
    /* At least ten times a second. False: end. */
    bool (*on_idle)(void *owner);
} twi_stream_calls;

/* Reads --url --shm --channels --symbols --codec --token --wait; append them to a verb's own options. */
enum { TWI_STREAM_OPTION_COUNT = 7 };
void twi_stream_option_list(twi_stream_options *options, twi_option *list);

/* An exit code: GOOD when on_idle() ended it; FAILED (said on stderr) when it could not connect, or was turned away. */
int twi_stream_run(const twi_verb *verb, const twi_stream_options *options, const twi_stream_calls *calls, void *owner);
/* The two ways in; run() takes one of them. */
int twi_stream_run_ws(const twi_verb *verb, const twi_stream_options *options, const twi_stream_calls *calls,
                      void *owner);
int twi_stream_run_shm(const twi_verb *verb, const twi_stream_options *options, const twi_stream_calls *calls,
                       void *owner);

#endif
