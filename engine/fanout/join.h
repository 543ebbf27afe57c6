/* join.h - how a shard asks the publisher to let a client in, and how the answer is tied to one place in the wire
 * log.
 *
 * The publisher writes the snapshots of the asked topics into the wire log itself, as entries [begin, end),
 * between two events. So "the snapshot" and "the stream after it" are two neighbouring ranges of one log, and no
 * event can fall between them or be in both: begin is where the client leaves its old set of topics, end is where
 * the new set starts. Several joins of one step share the snapshots.
 *
 * Ownership: a twi_join belongs to the shard, from push(requests) to pop(replies) to the publisher.
 * Order:     the publisher pushes the reply before it publishes the log's head past `begin`; a shard that has seen
 *            such a head therefore finds the reply in the queue. */
#ifndef TWI_JOIN_H
#define TWI_JOIN_H

#include <stddef.h>
#include <stdint.h>

#include "engine/fanout/query.h"
#include "engine/fanout/spsc.h"
#include "tickwire/status.h"

typedef enum twi_join_kind {
    TWI_JOIN_SUBSCRIBE = 1,   /* add topics, snapshots wanted */
    TWI_JOIN_UNSUBSCRIBE = 2, /* take topics away */
    TWI_JOIN_RESYNC = 3       /* same topics, fresh snapshots: after a loss */
} twi_join_kind;

/* One topic of a request, and what the publisher says of it. */
typedef struct twi_join_topic {
    uint32_t topic;
    uint8_t book_state; /* reply: tw_book_state; meaningful for book topics */
    uint8_t venue_form; /* the shard's: the client named it by the venue's id */
    uint16_t reserved;
    uint64_t seq; /* reply: the topic's last sequence number at `begin` */
} twi_join_topic;

typedef struct twi_join {
    /* Request. */
    uint8_t kind;  /* twi_join_kind */
    uint8_t codec; /* index of the codec's log */
    uint32_t topic_count;
    twi_join_topic *topics; /* sorted by topic, each once */
    /* Reply. */
    int status;          /* TW_OK; TW_TOO_BIG: its snapshots do not fit a quarter of the log, nothing was changed */
    uint64_t begin, end; /* index positions in the codec's log */
} twi_join;

enum { TWI_CODECS_MAX = 4, TWI_QUERIES_MAX = 16 };

/* One per shard. At most TWI_SPSC_SLOTS joins of a shard are under way, so that no queue can be full. */
typedef struct twi_join_link {
    twi_spsc requests;                /* shard -> publisher */
    twi_spsc replies[TWI_CODECS_MAX]; /* publisher -> shard, in log order of that codec */
    twi_spsc queries;                 /* twi_query, shard -> publisher; at most TWI_QUERIES_MAX are under way */
    twi_spsc answers;                 /* publisher -> shard */
} twi_join_link;

#endif
