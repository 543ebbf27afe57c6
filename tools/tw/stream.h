/* stream.h - what the verbs that read a running engine have in common: where from, what, and until when.
 *
 * Job:      the options of a tickwire/stream.h, and its run on the command line.
 * Thread:   one; twi_stream_run() returns when it was told to stop. */
#ifndef TWI_TW_STREAM_H
#define TWI_TW_STREAM_H

#include "tickwire/stream.h"
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
    tw_stream_options stream; /* the verb adds its callbacks */
    const char *shm;          /* name of a ring: instead of stream.from */
    int64_t wait_ns;          /* for the first connection; then it is kept up without limit */
} twi_stream_options;

/* Reads --url --shm --channels --symbols --codec --token --wait; append them to a verb's own options. */
enum { TWI_STREAM_OPTION_COUNT = 7 };
void twi_stream_option_list(twi_stream_options *options, twi_option *list);

/* on_idle is asked at least ten times a second; false: end. An exit code: GOOD when it was ended so; FAILED (said on
 * stderr) when it could not connect, or was turned away. */
int twi_stream_run(const twi_verb *verb, const twi_stream_options *options, bool (*on_idle)(void *owner));

#endif
