/* venue_messages.h - messages of a venue, sorted by what they are, for benchmarks: from a recording, or made here.
 *
 * Job:      plays a recording once through the venue's adapter, sees what each message became, and keeps the messages
 *           with what is needed to play those of one kind alone and again: each ends with zero bytes of padding, and
 *           rewind() puts the adapter's books back to where the first of a kind found them.
 * Source:   the folder in TICKWIRE_RECORDINGS (else ../shared/data/exchanges beside the project); without it, messages
 *           in the venue's form that are made here from a seed.
 * Books:    an adapter may be asked to keep none (`bookless`): it then does all but that, which is "the parser alone".
 * Thread:   one. */
#ifndef TWI_BENCH_VENUE_MESSAGES_H
#define TWI_BENCH_VENUE_MESSAGES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tickwire/feed.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { TWB_PADDING_BYTES = 64, TWB_SLOTS_MAX = 64 };

typedef enum twb_kind { TWB_TRADE, TWB_QUOTE, TWB_DELTA, TWB_SNAPSHOT, TWB_KIND_COUNT } twb_kind;

typedef struct twb_message {
    const uint8_t *bytes; /* TWB_PADDING_BYTES zeros follow */
    size_t len;
    int64_t recv_ns;
    uint32_t conn;
    bool http;       /* the body of a REST answer */
    const char *url; /* of it */
} twb_message;

typedef struct twb_messages {
    twb_message *list;
    uint32_t count;
    uint64_t bytes;
} twb_messages;

/* The venue's id of a symbol and its number, for those who parse by other means. */
typedef struct twb_name {
    const char *id;
    size_t len;
    uint8_t group;
    uint32_t instrument;
} twb_name;

typedef struct twb_venue {
    const char *name;
    const tw_feed_ops *ops;
    void *state;
    tw_symbols *symbols;
    bool recorded; /* false: made here */
    twb_messages all, kinds[TWB_KIND_COUNT];
    uint64_t first_seq[TWB_KIND_COUNT][TWB_SLOTS_MAX];
    bool has_first[TWB_KIND_COUNT][TWB_SLOTS_MAX];
    uint8_t *block; /* of all bytes */
    char **urls;    /* by connection, then of answers */
    uint32_t url_count;
} twb_venue;

/* Loads the recording in the folder `recording`; if it is not there, or is NULL, makes messages. Exits with a word if
 * neither is possible. count_max: messages per kind. */
void twb_venue_open(twb_venue *venue, const char *name, const char *recording, uint32_t count_max);
void twb_venue_close(twb_venue *venue);

/* A new state without any past; links are up. */
void twb_venue_restart(twb_venue *venue, bool bookless);
/* The adapter is ready for the first message of the kind (bookless only). */
void twb_venue_rewind(twb_venue *venue, twb_kind kind);
/* Hands one message to the adapter. */
tw_status twb_venue_play(twb_venue *venue, const twb_message *message, tw_sink *sink);
/* The names of all symbols that were seen; returns their number. */
uint32_t twb_venue_names(const twb_venue *venue, twb_name names[TWB_SLOTS_MAX]);
/* Symbol groups are told apart by connection. */
uint8_t twb_venue_group(const twb_venue *venue, uint32_t conn);

const char *twb_kind_name(twb_kind kind);

#ifdef __cplusplus
}
#endif
#endif
