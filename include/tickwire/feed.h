/* feed.h - the adapter seam: bytes in, events out, and what to say next.
 *
 * Shape:    an adapter is pure protocol code. It owns no socket, thread, clock or allocation, so that it runs the same
 *           from a live connection, a recording, a test or a fuzzer. The engine owns `state` (state_size zeroed bytes).
 * Sink:     where events go. claim() gives the slot to fill (never NULL), commit() publishes it. In the engine it is
 *           the tick ring itself: no copy between parser and ring.
 * Sources:  a self-driven feed (simulator, replay) has no connection; it implements step() instead of on_message().
 * Venues:   tw_feed_ops, found by name through tw_feed_find(). One state may speak over several connections ("links");
 *           the driver dials what link_dial() says, hands in what arrives, sends what next_output() owes, and carries
 *           REST requests to the side. A recording is played by handing in the same things without sending anything.
 * Thread:   all calls for one state come from one thread. */
#ifndef TICKWIRE_FEED_H
#define TICKWIRE_FEED_H

#include <stddef.h>
#include <stdint.h>

#include "tickwire/decimal.h"
#include "tickwire/event.h"
#include "tickwire/symbols.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Where a feed puts its events. The two functions are those of the ring in the engine, of an array in tests. */
typedef struct tw_sink {
    tw_event *(*claim)(void *owner);
    void (*commit)(void *owner);
    void *owner;
} tw_sink;

/* The event to fill in, zeroed, never NULL; nobody sees it before commit. A claim without commit is given again. */
static inline tw_event *tw_sink_claim(tw_sink *sink)
{
    return sink->claim(sink->owner);
}
/* Publishes what claim() gave. */
static inline void tw_sink_commit(tw_sink *sink)
{
    sink->commit(sink->owner);
}

/* A feed that makes its own events (simulator, replay of a capture). */
typedef struct tw_source_ops {
    const char *name; /* "sim", "replay" */
    /* Puts the events that are due at now_ns (Unix time) into the sink, at most event_max, whole groups only.
     * Returns how many events it put; *next_ns is when it wants to be called again (INT64_MAX: it has ended). */
    size_t (*step)(void *state, int64_t now_ns, size_t event_max, tw_sink *sink, int64_t *next_ns);
    void (*fini)(void *state);
} tw_source_ops;

typedef struct tw_source {
    const tw_source_ops *ops;
    void *state;
} tw_source;

/* ---- venues ---- */

enum {
    TW_FEED_ABI = 1,
    TW_FEED_LINKS_MAX = 64,    /* connections of one feed */
    TW_FEED_URL_MAX = 1023,    /* bytes without the NUL */
    TW_FEED_OUTPUT_MAX = 32768 /* bytes that next_output() needs at most in one call */
};

/* What a venue can do; the first ones have the names of ccxt's `has`. */
typedef enum tw_has {
    TW_HAS_WATCH_TRADES = 1 << 0,
    TW_HAS_WATCH_TICKER = 1 << 1, /* best bid and ask */
    TW_HAS_WATCH_ORDER_BOOK = 1 << 2,
    TW_HAS_UNWATCH = 1 << 3,
    TW_HAS_FETCH_MARKETS = 1 << 4,
    TW_HAS_BOOK_SEQUENCE = 1 << 8,       /* a lost book message is noticed by its number */
    TW_HAS_BOOK_CHECKSUM = 1 << 9,       /* ... by a checksum over the best levels */
    TW_HAS_BOOK_SNAPSHOT_REST = 1 << 10, /* the snapshot is fetched beside the stream and joined */
    TW_HAS_TRADE_HISTORY = 1 << 11,      /* old trades come at subscription, with TW_FLAG_HISTORY */
    TW_HAS_BINARY_FRAMES = 1 << 12,      /* compressed by the venue itself (HTX) */
    TW_HAS_SAME_ON_LINKS = 1 << 13,      /* book sequences and trade ids are the same on every connection */
    TW_HAS_FETCH_TICKER = 1 << 16,       /* asked over REST, once */
    TW_HAS_FETCH_ORDER_BOOK = 1 << 17,
    TW_HAS_FETCH_TRADES = 1 << 18,
    TW_HAS_FETCH_OHLCV = 1 << 19
} tw_has;

/* The venue's published limits, for whoever drives the connections. 0: none is known. */
typedef struct tw_feed_limits {
    uint32_t streams_per_link;  /* subscriptions that one connection carries */
    uint32_t dial_count;        /* connection attempts ... */
    int64_t dial_window_ns;     /* ... per this time */
    int64_t link_age_ns_max;    /* the venue closes older connections: redial before */
    int64_t silence_ns_max;     /* a connection without any frame for this long is dead */
    uint32_t message_bytes_max; /* longest message to expect: snapshots of deep books */
} tw_feed_limits;

typedef struct tw_feed_config {
    const char *exchange;       /* the name in symbols and events; NULL: the feed's name */
    const char *const *symbols; /* unified ("BTC/USDT") or the venue's ids; copied at init */
    uint32_t symbol_count;      /* 0: take every symbol that arrives (recordings) */
    uint32_t channels;          /* bit 1u << TW_CHANNEL_TRADE, _QUOTE, _BOOK; 0: all three */
    uint32_t symbol_count_max;  /* places for symbols; at least symbol_count; 0: symbol_count, or 256 */
    uint32_t market_count_max;  /* market names to remember for symbols that arrive unasked; 0: none */
    uint32_t book_levels_max;   /* per side; 0: what the venue's depth needs */
    uint32_t book_depth;        /* levels to subscribe where the venue offers a choice; 0: its usual one */
    uint32_t backlog_bytes;     /* for book messages that wait for their snapshot; 0: 4 MiB */
    const char *stream_url;     /* instead of the venue's own, e.g. a simulator; NULL: the venue's */
    const char *rest_url;       /* scheme, host and port of REST; NULL: the venue's */
} tw_feed_config;

typedef struct tw_endpoint {
    char url[TW_FEED_URL_MAX + 1]; /* wss://host[:port]/path?query */
} tw_endpoint;

typedef enum tw_request_kind {
    TW_REQUEST_MARKETS = 1,
    TW_REQUEST_BOOK = 2, /* a book snapshot to join with the stream */
    TW_REQUEST_TOKEN = 3 /* permission to connect (KuCoin) */
} tw_request_kind;

typedef struct tw_request {
    uint32_t id;  /* comes back in the response */
    uint8_t kind; /* tw_request_kind */
    uint8_t post; /* 1: POST with an empty body, else GET */
    char url[TW_FEED_URL_MAX + 1];
} tw_request;

typedef struct tw_response {
    uint32_t id;           /* of the request; 0: from a recording, recognised by url */
    int status;            /* HTTP status; 0: no answer (name, connection, time-out) */
    int32_t retry_after_s; /* header Retry-After; 0: none */
    const char *url;       /* that was asked, NUL-terminated; NULL or empty: not known */
    const uint8_t *body;
    size_t body_len;
} tw_response;

typedef enum tw_market_type { TW_MARKET_SPOT, TW_MARKET_SWAP, TW_MARKET_FUTURE, TW_MARKET_OPTION } tw_market_type;

/* One market, with the members that ccxt's market structure has for it. A mantissa of 0 is "not given". */
typedef struct tw_market {
    char id[TW_VENUE_ID_MAX + 1], symbol[TW_SYMBOL_MAX + 1];
    char base[24], quote[24], settle[24]; /* unified codes; settle is empty for spot */
    uint8_t type;                         /* tw_market_type */
    uint8_t active, linear, inverse;
    uint8_t option_call; /* 1 call, 0 put */
    int64_t expiry_ns;
    tw_decimal strike, contract_size;
    tw_decimal price_tick, amount_step; /* precision.price and precision.amount (TICK_SIZE) */
    tw_decimal amount_min, amount_max, price_min, price_max, cost_min;
} tw_market;

typedef void (*tw_market_fn)(void *owner, const tw_market *market);

/* What happened to one symbol since init; none of it ever goes down. */
typedef struct tw_feed_symbol_stats {
    uint32_t instrument;
    uint8_t book_state; /* tw_book_state */
    uint64_t trades, quotes;
    uint64_t snapshots;              /* whole books applied */
    uint64_t deltas, applied, stale; /* received; of them used, and dropped as older than the snapshot */
    uint64_t gaps, crossed;
    uint64_t checksums, checksums_equal; /* compared; of them equal */
    uint64_t last_seq;                   /* venue sequence of the book, 0: the venue has none */
    uint64_t levels_dropped;             /* book side was full */
} tw_feed_symbol_stats;

typedef struct tw_feed_stats {
    uint64_t messages, malformed, ignored; /* ignored: well-formed, but of no kind that this feed reads */
    uint64_t errors;                       /* error messages of the venue */
    uint64_t duplicates;                   /* second copies from a redundant link */
    uint64_t backlog_dropped;              /* book messages that found no place while they waited for a snapshot */
    char error_text[256];                  /* the last error message of the venue, NUL-terminated */
} tw_feed_stats;

typedef struct tw_feed_ops {
    uint32_t abi;     /* TW_FEED_ABI */
    const char *name; /* "binance": ccxt's id where it has one */
    uint32_t has;     /* bits of tw_has */
    const tw_feed_limits *limits;

    /* Bytes of state for this configuration; the caller gives them zeroed and 64-byte aligned to init(). */
    size_t (*state_size)(const tw_feed_config *config);
    /* TW_BAD_SYMBOL, TW_NOT_SUPPORTED (channel), TW_FULL (symbol table), TW_BAD_CONFIG. symbols outlives the state. */
    tw_status (*init)(void *state, const tw_feed_config *config, tw_symbols *symbols);
    void (*fini)(void *state);

    uint32_t (*link_count)(const void *state);
    /* Before each dial: where to. TW_AGAIN: not yet, a request must be answered first. */
    tw_status (*link_dial)(void *state, uint32_t link, int64_t now_ns, tw_endpoint *dial);
    /* The connection is open: subscriptions are owed from now on. url: what was dialed, or what the recording says. */
    void (*link_up)(void *state, uint32_t link, int64_t now_ns, const char *url);
    /* The connection is lost: its books are stale and empty, status events say so. */
    void (*link_down)(void *state, uint32_t link, int64_t now_ns, tw_reason reason, tw_sink *sink);

    /* One frame that is owed to the venue now; 0: none at this time. Call until it gives 0. Text frames all. */
    size_t (*next_output)(void *state, uint32_t link, int64_t now_ns, uint8_t *out, size_t out_cap);
    /* One whole message. TW_OK; TW_MALFORMED: counted, go on; TW_GAP: a book was found broken, its status was sent and
     * its repair is owed by next_output() or next_request(); TW_RELINK: close and dial again. msg is not kept. */
    tw_status (*on_message)(void *state, uint32_t link, int64_t recv_ns, const uint8_t *msg, size_t msg_len,
                            tw_sink *sink);
    /* 1: *request is owed now. Call until it gives 0. */
    int (*next_request)(void *state, int64_t now_ns, tw_request *request);
    tw_status (*on_response)(void *state, int64_t recv_ns, const tw_response *response, tw_sink *sink);
    /* Watches for silence and lost answers; returns when it wants to be called again (Unix time) at the latest. */
    int64_t (*on_timer)(void *state, int64_t now_ns, tw_sink *sink);

    /* Starts or ends channels (bits as in the configuration) of one symbol on the running feed. */
    tw_status (*watch)(void *state, const char *symbol, size_t symbol_len, uint32_t channels);
    tw_status (*unwatch)(void *state, const char *symbol, size_t symbol_len, uint32_t channels);
    void (*stats)(const void *state, tw_feed_stats *out);
    /* TW_EMPTY: no symbol with this index (0 ..) yet. */
    tw_status (*symbol_stats)(const void *state, uint32_t index, tw_feed_symbol_stats *out);

    /* Where the market list is; page counts from 0. TW_EMPTY: no such page. */
    tw_status (*markets_request)(const tw_feed_config *config, uint32_t page, tw_request *request);
    /* Pure: calls fn for every market in a response body. TW_MALFORMED after those before the error. */
    tw_status (*markets_parse)(const uint8_t *body, size_t body_len, tw_market_fn fn, void *owner);

    /* Puts the symbol's book as it is now (a snapshot, if it is whole) and its state: for a reader that lost events.
     * May be NULL. */
    tw_status (*resend)(void *state, const char *symbol, size_t symbol_len, int64_t now_ns, tw_sink *sink);
} tw_feed_ops;

/* The venue of that name among those that are compiled in; NULL: none. Static, any thread. */
TW_API const tw_feed_ops *tw_feed_find(const char *name, size_t name_len);
TW_API const tw_feed_ops *tw_feed_at(uint32_t index);      /* by number from 0; NULL after the last */
TW_API const tw_feed_ops *tw_feed_detect(const char *url); /* by a stream URL as recordings name it; NULL: none */
/* For recordings that name no URL: by the shape of a message. */
TW_API const tw_feed_ops *tw_feed_detect_message(const uint8_t *msg, size_t msg_len);

#ifdef __cplusplus
}
#endif

#include "tickwire/exchange.h" /* the user's side, in ccxt's words */
#endif
