/* venue.h - what all venue adapters share, so that a venue's own file is only its protocol.
 *
 * Job:      places for symbols and their books, the subscription machine (owed, sent, confirmed, refused), snapshot
 *           join and repair, link bookkeeping, counters. A venue gives a twi_venue_traits (limits and hooks) and a
 *           tw_feed_ops whose entries are mostly the shared functions below.
 * State:    one block: twi_venue, the venue's extra, slots, index, market names, backlog, book memory. Nothing is
 *           allocated after state_size() was given to init().
 * Parts:    venue.c layout, symbols, counters · venue_stream.c subscriptions, keep-alive, pacing, silence ·
 *           venue_book.c book updates and their events · venue_join.c REST snapshots and repair.
 * Thread:   one. */
#ifndef TWI_VENUE_H
#define TWI_VENUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/book/backlog.h"
#include "engine/book/book.h"
#include "engine/proto/json_scan.h"
#include "feed/rows.h"
#include "feed/text.h"
#include "feed/times.h"
#include "tickwire/feed.h"

enum { /* what every venue's REST half serves; venue_fetch_test.c holds it against the tables */
       TWI_HAS_FETCH = TW_HAS_FETCH_TICKER | TW_HAS_FETCH_ORDER_BOOK | TW_HAS_FETCH_TRADES | TW_HAS_FETCH_OHLCV
};

enum {
    TWI_STREAM_COUNT = 3, /* TW_CHANNEL_TRADE, _QUOTE, _BOOK */
    TWI_GROUP_COUNT = 4,  /* markets of one venue that need endpoints of their own (Bybit: spot, linear, ...) */
    TWI_OWED_MAX = 512,   /* bytes of answers owed on one link: pongs, configuration */
    TWI_BATCH_MAX = 256   /* streams in one subscribe message */
};

/* A subscription's way: OFF -> OWED -> SENT -> ON; repair and unwatch lead ON -> LEAVE_OWED -> LEAVING -> OFF or
 * OWED. */
typedef enum twi_stream_state {
    TWI_STREAM_OFF,
    TWI_STREAM_OWED,       /* subscribe is to be sent */
    TWI_STREAM_SENT,       /* ... was sent */
    TWI_STREAM_ON,         /* confirmed, or data came */
    TWI_STREAM_LEAVE_OWED, /* unsubscribe is to be sent */
    TWI_STREAM_LEAVING,    /* ... was sent */
    TWI_STREAM_REFUSED     /* the venue said no: stays until the next link_up */
} twi_stream_state;

typedef struct twi_stream {
    uint8_t state;
    bool wanted;                    /* after leaving: come back (repair) or stay away (unwatch) */
    bool alone;                     /* was refused together with others: goes alone next time */
    bool listed;                    /* by the venue's last list of what is subscribed */
    uint32_t request;               /* id of the message that carried it */
    int64_t sent_ns, not_before_ns; /* the message, and the next one */
    int64_t last_ns;                /* last data; 0: none since link_up */
    int64_t cadence_ns;             /* longest usual distance between two messages, learned */
} twi_stream;

typedef struct twi_slot {
    char id[TW_VENUE_ID_MAX + 1]; /* as the venue's messages write it */
    uint8_t id_len;
    uint8_t group;
    uint8_t book_state; /* tw_book_state */
    bool synced;        /* a snapshot was applied and nothing broke it since */
    bool bridged;       /* a delta was applied on top of that snapshot */
    bool fetch_owed;    /* a REST snapshot is to be requested */
    uint8_t fetch_tries;
    uint8_t breaks; /* repairs that followed each other closely */
    uint8_t late;   /* subscriptions in a row that brought no snapshot in time */
    uint8_t asked;  /* channels that somebody watches, as bits */
    uint32_t index; /* in slots[] */
    uint32_t link;
    uint32_t fetch_id;     /* request under way; 0: none */
    int64_t fetch_ns;      /* FETCH owed: not before; under way: sent */
    int64_t break_ns;      /* the last time that the book broke */
    uint64_t seq;          /* last venue sequence of the book */
    uint64_t lost;         /* last sequence of a message that could not be kept: a snapshot must cover it */
    uint64_t tag;          /* the venue's own use */
    uint32_t depth;        /* levels per side where the venue leaves the cut to us */
    uint64_t trade_id_max; /* of numeric trade ids */
    bool history_known;    /* trades were told before this subscription: history may repeat them */
    tw_decimal quote[4];   /* merged ticker where the venue sends only what changed: bid, amount, ask, amount */
    twi_stream streams[TWI_STREAM_COUNT];
    twi_book book;
    tw_feed_symbol_stats stats; /* stats.instrument is the slot's instrument */
} twi_slot;

typedef struct twi_link {
    bool up;
    uint8_t group;
    uint32_t owed_len;
    uint64_t seq; /* of venues that count messages per connection */
    uint64_t tag;
    int64_t next_output_ns;  /* pacing */
    int64_t budget_ns;       /* when the message budget is whole again */
    int64_t last_ns;         /* last frame received */
    int64_t ping_ns;         /* next keep-alive; INT64_MAX: none */
    char owed[TWI_OWED_MAX]; /* frames that go before all else, each ended by a NUL */
} twi_link;

typedef struct twi_market_name {
    char id[TW_VENUE_ID_MAX + 1], symbol[TW_SYMBOL_MAX + 1];
    uint8_t id_len, symbol_len, group;
} twi_market_name;

typedef struct twi_venue twi_venue;

/* How a broken book is repaired. */
typedef enum twi_repair {
    TWI_REPAIR_FETCH,       /* REST snapshot */
    TWI_REPAIR_RESUBSCRIBE, /* unsubscribe and subscribe of this symbol gives a new snapshot */
    TWI_REPAIR_RELINK,      /* only a new connection does */
    TWI_REPAIR_WAIT         /* every message is a whole book: the next one repairs */
} twi_repair;

typedef struct twi_venue_traits {
    const tw_feed_ops *ops;
    const char *stream_urls[TWI_GROUP_COUNT]; /* one per group; unused ones NULL */
    const char *rest_url;                     /* scheme and host */
    twi_repair repair;
    uint32_t book_levels;     /* per side, for books without a cut */
    uint32_t book_depth;      /* default of tw_feed_config.book_depth; 0: no choice */
    bool book_cut;            /* the venue never deletes what falls below book_depth */
    bool book_carries_trades; /* one subscription (of the book) brings both */
    bool acks;                /* a subscription that is not confirmed in time is sent again */
    uint32_t batch_max;       /* streams in one subscribe message */
    int64_t output_gap_ns;    /* between two messages to the venue */
    int64_t stream_gap_ns;    /* ... more for each stream in the one before, where the venue counts those */
    uint32_t budget;          /* messages to the venue at once where it counts them over a long time; 0: it does not */
    int64_t budget_refill_ns; /* ... and how long one takes to come back */
    int64_t ping_gap_ns;      /* between two keep-alives; 0: none */
    int64_t request_gap_ns;   /* between two REST requests */
    size_t extra_bytes;       /* venue's own state, twi_venue_extra() */
    size_t extra_slot_bytes;  /* ... per symbol, twi_venue_extra_slot() */

    /* The venue's id of a unified symbol, by rule; false: no rule fits. */
    bool (*id_of_symbol)(const char *symbol, size_t len, twi_text *id, uint8_t *group);
    /* The unified symbol of an id that no market list named. NULL or false: the id itself. */
    bool (*symbol_of_id)(const char *id, size_t len, uint8_t group, twi_text *symbol);
    /* The name to show for an id where ids are ambiguous (Bybit). NULL: the id. */
    void (*show_id)(const twi_slot *slot, twi_text *out);
    /* The URL of a link beyond the group's base; NULL: the base alone. TW_AGAIN: not yet. */
    tw_status (*dial)(twi_venue *venue, uint32_t link, twi_text *url);
    void (*link_up)(twi_venue *venue, uint32_t link, int64_t now_ns, const char *url);
    /* Writes one (un)subscribe message for `count` slots and a channel. */
    void (*write_streams)(twi_venue *venue, uint32_t link, bool subscribe, tw_channel channel, twi_slot *const *slots,
                          uint32_t count, uint32_t request, twi_text *out);
    void (*write_ping)(twi_venue *venue, uint32_t link, int64_t now_ns, twi_text *out);
    /* A request of the venue's own that goes before all else (token); 0: none. */
    int (*write_request)(twi_venue *venue, int64_t now_ns, twi_text *url, uint8_t *post);
    /* The URL path of a book snapshot (appended to rest_url). */
    void (*write_book_url)(twi_venue *venue, const twi_slot *slot, twi_text *url);
    tw_status (*message)(twi_venue *venue, uint32_t link, int64_t recv_ns, const uint8_t *msg, size_t msg_len,
                         tw_sink *sink);
    /* NULL: the venue is asked for nothing but its market list. */
    tw_status (*response)(twi_venue *venue, int64_t recv_ns, const tw_response *response, tw_sink *sink);
} twi_venue_traits;

struct twi_venue {
    const twi_venue_traits *traits;
    tw_symbols *symbols;
    char exchange[TW_EXCHANGE_MAX + 1];
    uint8_t exchange_len;
    bool take_all;     /* symbols that were not asked for get a slot */
    bool bookless;     /* books stay empty and are not checked: benchmarks of the parser alone */
    bool replaying;    /* backlog is being run through message(): do not count or keep again */
    uint32_t channels; /* bits */
    uint32_t book_levels, book_depth;
    uint32_t slot_count, slot_max, index_mask;
    uint32_t name_count, name_max, name_mask;
    uint32_t link_count;
    uint32_t request_id;                       /* last one given to a message or a REST request */
    uint32_t recent;                           /* slot of the last message: most messages repeat it */
    int64_t next_request_ns, request_pause_ns; /* REST budget; pause: the venue said later */
    int64_t markets_ns;                        /* when the market list is to be asked for; INT64_MAX: have it */
    uint32_t markets_page, markets_id;
    uint32_t own_id;  /* of the venue's own request, write_request() */
    int64_t decay_ns; /* when the learned cadences shrink next */
    twi_slot *slots;
    uint32_t *index; /* open hash over (group, id): slot number + 1 */
    twi_market_name *names;
    uint32_t *name_index;
    uint8_t *book_memory;
    size_t book_bytes;
    uint8_t *extra, *extra_slots;
    twi_backlog backlog;
    twi_rows *rows; /* levels of the message that is being read */
    tw_feed_stats stats;
    twi_link links[TW_FEED_LINKS_MAX];
    char stream_url[TW_FEED_URL_MAX + 1], rest_url[TW_FEED_URL_MAX + 1]; /* empty: the venue's */
};

/* ---- shared entries of tw_feed_ops; init and state_size take the traits as well ---- */
size_t twi_venue_size(const twi_venue_traits *traits, const tw_feed_config *config);
tw_status twi_venue_init(void *state, const twi_venue_traits *traits, const tw_feed_config *config,
                         tw_symbols *symbols);
void twi_venue_fini(void *state);
uint32_t twi_venue_link_count(const void *state);
tw_status twi_venue_link_dial(void *state, uint32_t link, int64_t now_ns, tw_endpoint *dial);
void twi_venue_link_up(void *state, uint32_t link, int64_t now_ns, const char *url);
void twi_venue_link_down(void *state, uint32_t link, int64_t now_ns, tw_reason reason, tw_sink *sink);
size_t twi_venue_next_output(void *state, uint32_t link, int64_t now_ns, uint8_t *out, size_t out_cap);
tw_status twi_venue_on_message(void *state, uint32_t link, int64_t recv_ns, const uint8_t *msg, size_t msg_len,
                               tw_sink *sink);
int twi_venue_next_request(void *state, int64_t now_ns, tw_request *request);
tw_status twi_venue_on_response(void *state, int64_t recv_ns, const tw_response *response, tw_sink *sink);
int64_t twi_venue_on_timer(void *state, int64_t now_ns, tw_sink *sink);
tw_status twi_venue_watch(void *state, const char *symbol, size_t symbol_len, uint32_t channels);
tw_status twi_venue_unwatch(void *state, const char *symbol, size_t symbol_len, uint32_t channels);
tw_status twi_venue_resend(void *state, const char *symbol, size_t symbol_len, int64_t now_ns, tw_sink *sink);
void twi_venue_stats(const void *state, tw_feed_stats *out);
tw_status twi_venue_symbol_stats(const void *state, uint32_t index, tw_feed_symbol_stats *out);

/* ---- symbols ---- */

/* The slot of a venue id; makes one if the feed takes all. NULL: not ours (counted as ignored), or no place. */
twi_slot *twi_venue_slot(twi_venue *venue, uint32_t link, const char *id, size_t id_len);
/* As above, but never makes one. */
twi_slot *twi_venue_find(twi_venue *venue, uint8_t group, const char *id, size_t id_len);
/* ... of a unified symbol or an id, as the user writes it. */
twi_slot *twi_venue_slot_named(twi_venue *venue, const char *symbol, size_t symbol_len);
/* Feeds a market list into the name table and the slots. */
tw_status twi_venue_take_markets(twi_venue *venue, const uint8_t *body, size_t body_len);

static inline void *twi_venue_extra(twi_venue *venue)
{
    return venue->extra;
}
static inline void *twi_venue_extra_slot(twi_venue *venue, const twi_slot *slot)
{
    return venue->extra_slots + slot->index * venue->traits->extra_slot_bytes;
}

/* ---- subscriptions (venue_stream.c) ---- */

/* The venue confirmed or refused what the message `request` carried. */
void twi_venue_ack_request(twi_venue *venue, uint32_t request, bool accepted, int64_t now_ns, tw_sink *sink);
/* The venue had no time for the message `request`: the same again, not before this time. */
void twi_venue_retry_request(twi_venue *venue, uint32_t link, uint32_t request, int64_t not_before_ns);
/* What of the message `request` was neither confirmed nor left is refused, each stream by itself. */
void twi_venue_refuse_rest(twi_venue *venue, uint32_t request, int64_t now_ns, tw_sink *sink);
/* ... one stream. */
void twi_venue_ack_stream(twi_venue *venue, twi_slot *slot, tw_channel channel, bool accepted, int64_t now_ns,
                          tw_sink *sink);
/* An error that carries no id: refuses the stream (channel -1: all of them) of the symbol that its text names. Of
 * several symbols each is asked for again alone. False: it names none that waits for its confirmation. */
bool twi_venue_refuse_named(twi_venue *venue, uint32_t link, int channel, const char *text, size_t len, int64_t now_ns,
                            tw_sink *sink);
/* An error that names nothing: what waits for its confirmation is asked for again, each alone; if that is one stream
 * only, it is refused. */
void twi_venue_refuse_unnamed(twi_venue *venue, uint32_t link, int64_t now_ns, tw_sink *sink);
/* A venue that answers with all that is subscribed: open, list() each, close. What was not listed has ended. */
void twi_venue_list_open(twi_venue *venue, uint32_t link);
void twi_venue_list_stream(twi_venue *venue, uint32_t link, const char *id, size_t id_len, tw_channel channel);
void twi_venue_list_close(twi_venue *venue, uint32_t link);
/* ... the end of one stream. */
void twi_venue_left_stream(twi_venue *venue, twi_slot *slot, tw_channel channel);
/* A frame that goes out on the link before all else (a pong). */
void twi_venue_owe(twi_venue *venue, uint32_t link, const twi_text *text);
/* Remembers what the venue complained about. */
void twi_venue_error(twi_venue *venue, const char *text, size_t len);

/* Data came for this stream: confirms it and teaches its cadence. */
static inline void twi_stream_touch(twi_stream *stream, int64_t now_ns)
{
    if (stream->last_ns != 0 && now_ns - stream->last_ns > stream->cadence_ns)
        stream->cadence_ns = now_ns - stream->last_ns;
    stream->last_ns = now_ns;
    if (TWI_UNLIKELY(stream->state == TWI_STREAM_SENT))
        stream->state = stream->wanted ? TWI_STREAM_ON : TWI_STREAM_LEAVE_OWED;
}

/* A symbol without a book is ok while its other streams bring something; says so if that is new. */
void twi_venue_alive(twi_slot *slot, int64_t now_ns, tw_sink *sink);

/* Writes the ids of slots as JSON strings with commas. */
void twi_write_ids(twi_text *out, twi_slot *const *slots, uint32_t count);

/* ---- repair (venue_join.c) ---- */

/* A delta on a venue whose snapshots come in the stream: counts it; false: there is no snapshot to apply it to. */
static inline bool twi_venue_delta_usable(twi_slot *slot)
{
    slot->stats.deltas++;
    slot->stats.stale += !slot->synced;
    return slot->synced;
}

/* The book is not what the venue has: says so and starts the repair. from, to: see tw_reason. Returns TW_GAP, or
 * TW_RELINK if only a new connection helps. */
tw_status twi_venue_broken(twi_venue *venue, twi_slot *slot, tw_book_state state, tw_reason reason, uint64_t from,
                           uint64_t to, int64_t now_ns, tw_sink *sink);
/* ... because the venue's sequence went on past the book's, up to the number `to` that was not seen. */
tw_status twi_venue_gap(twi_venue *venue, twi_slot *slot, uint64_t to, int64_t now_ns, tw_sink *sink);
/* Tells the state as it is. */
void twi_venue_put_state(const twi_slot *slot, tw_reason reason, uint64_t from, uint64_t to, int64_t now_ns,
                         tw_sink *sink);
void twi_venue_set_state(twi_venue *venue, twi_slot *slot, tw_book_state state, tw_reason reason, uint64_t from,
                         uint64_t to, int64_t now_ns, tw_sink *sink);

/* Snapshot, sequence and what was kept are forgotten; the levels stay. */
void twi_venue_reset_join(twi_venue *venue, twi_slot *slot);
/* ... and the levels: an empty snapshot says so. */
void twi_venue_clear_book(twi_venue *venue, twi_slot *slot, int64_t now_ns, tw_sink *sink);
/* A snapshot is to be fetched, not before this time. */
void twi_venue_owe_fetch(twi_slot *slot, int64_t not_before_ns);

/* What a delta means for a book whose snapshot is fetched. */
typedef enum twi_verdict {
    TWI_APPLY,
    TWI_STALE, /* older than the book */
    TWI_KEPT,  /* no snapshot yet: the message was kept */
    TWI_BROKEN /* it does not continue the book: the repair was started */
} twi_verdict;

/* A book message, as the venue's own rule sees it. */
typedef struct twi_delta {
    uint32_t link;
    uint64_t first, last;  /* venue sequences that it covers */
    bool stale, continues; /* of a synced book (slot->seq; slot->bridged tells a second delta from the first) */
    int64_t recv_ns;
    const uint8_t *msg;
    size_t msg_len;
} twi_delta;

/* Counts it, keeps it if there is no snapshot yet, starts the repair if the book is not continued. */
twi_verdict twi_venue_judge(twi_venue *venue, twi_slot *slot, const twi_delta *delta, tw_sink *sink);

/* A REST snapshot at sequence `seq` is about to be applied to the slot: false if it is too old for what was kept (a new
 * one is owed then), or was not asked for. */
bool twi_venue_snapshot_fits(twi_venue *venue, twi_slot *slot, uint64_t seq, uint64_t slack, int64_t now_ns);
/* ... was applied: runs what was kept through message(). */
tw_status twi_venue_run_backlog(twi_venue *venue, twi_slot *slot, tw_sink *sink);

#endif
