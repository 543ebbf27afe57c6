/* publisher.h - from the ring to the wire logs: every event is encoded and framed once per codec that somebody reads.
 *
 * Job:    reads the ring, keeps the market's last state, numbers each topic's messages, encodes them into the wire
 *         log of each codec that has a subscriber for the topic, and answers joins with snapshots at an exact
 *         place.
 * Step:   twi_publisher_step() does a bounded amount of work and says how much; it never sleeps and never waits
 *         for a shard. No allocation, lock or system call inside, but the clock read that stamps publish_ns.
 * Thread: its own, or the only one. Shards talk to it through their twi_join_link. */
#ifndef TWI_PUBLISHER_H
#define TWI_PUBLISHER_H

#include "engine/fanout/candles.h"
#include "engine/fanout/join.h"
#include "engine/fanout/market.h"
#include "engine/fanout/topics.h"
#include "engine/fanout/wire_log.h"
#include "engine/stats/counters.h"
#include "tickwire/codec.h"
#include "tickwire/ring.h"

enum {
    TWI_PUBLISH_BATCH = 64, /* events per clock read and per publish */
    TWI_SHARDS_MAX = 64
};

/* One codec: its log, and who wants what in it. */
typedef struct twi_publisher_codec {
    const tw_codec_ops *ops;
    twi_wire_log log;
    _Atomic uint32_t *interest; /* [topic] groups of all shards that want it: written by shards, read here */
    twi_counter published;
    uint64_t *snapshot_batch; /* [topic] number of the last batch of joins that wrote its snapshot */
} twi_publisher_codec;

typedef struct twi_publisher_config {
    tw_ring_reader *reader; /* owned by the caller, read only here */
    const tw_codec_ops *codecs[TWI_CODECS_MAX];
    uint32_t codec_count;
    uint32_t instrument_count_max;
    uint32_t book_depth_max;
    size_t log_bytes, log_index_slots; /* of each codec's log */
    uint64_t snapshot_bytes_max;       /* of the snapshots that one step writes, one join more or less; 0: no limit */
    uint32_t trade_history;            /* last trades kept per instrument */
    uint32_t candle_history;           /* closed candles kept per interval */
    int64_t candle_close_delay_ns;     /* from an interval's end until the clock closes its candle */
    twi_cells *counters;
    twi_histogram *published_latency;    /* stage RING_TO_PUBLISHED */
    int64_t (*realtime_ns)(void *owner); /* Unix time for publish_ns; virtual in tests */
    void *realtime_owner;
} twi_publisher_config;

typedef struct twi_publisher {
    twi_publisher_config config;
    const tw_symbols *symbols;
    twi_publisher_codec codecs[TWI_CODECS_MAX];
    twi_market market;
    twi_candles candles;
    int64_t publish_ns;  /* of the messages that are being made */
    uint64_t *topic_seq; /* [topic] last sequence number given */
    uint32_t topic_count;
    tw_event *group;      /* the LEVEL group that is being collected */
    uint32_t group_count; /* events in it */
    uint32_t group_count_max;
    uint32_t group_instrument;
    uint8_t group_open, group_overflow, group_broken;
    tw_event *snapshot; /* scratch for one book */
    uint64_t batch_number;
    uint64_t snapshot_budget; /* bytes that joins may still write now */
    int64_t budget_ns;        /* when it was last filled up */
    twi_join_link *links[TWI_SHARDS_MAX];
    uint32_t link_count;
    uint32_t next_query_link;
    uint32_t query_waits;   /* steps that queries have waited for the end of a book message */
    uint32_t join_waits;    /* likewise joins */
    twi_versions *versions; /* [instrument] written here, read by anybody */
    uint32_t next_link;     /* whose turn it is, so that a busy shard does not starve the others */
    tw_event batch[TWI_PUBLISH_BATCH];
} twi_publisher;

TW_MUST_USE tw_status twi_publisher_open(twi_publisher *publisher, const twi_publisher_config *config, char *error,
                                         size_t error_cap);
void twi_publisher_close(twi_publisher *publisher);
/* Before the first step: a shard and its queues. */
void twi_publisher_add_link(twi_publisher *publisher, twi_join_link *link);
/* In the publisher's own thread: fills in the answer. */
void twi_publisher_answer(twi_publisher *publisher, twi_query *query);
/* Internal to the publisher: those that wait in the queues of shards. */
uint32_t twi_publisher_answer_all(twi_publisher *publisher);
/* Returns events read plus joins and queries answered; 0 means idle. */
uint32_t twi_publisher_step(twi_publisher *publisher);
/* Is there anything to do? Used before going to sleep. */
int twi_publisher_pending(const twi_publisher *publisher);
/* When it has to step again even if nothing comes (Unix time): candles close by the clock. INT64_MAX: never. */
int64_t twi_publisher_due_ns(const twi_publisher *publisher);

#endif
