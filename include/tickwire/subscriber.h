/* subscriber.h - the client library: many WebSocket subscriptions in one thread, decoded and sequence-checked.
 *
 * Job:       dial, subscribe, check every sequence number, decode, call back per message, reconnect with backoff.
 * Shape:     a tw_client_pool is one event loop and belongs to one thread; it drives up to client_count_max connections
 *            (tw_client). A program that wants more threads opens more pools.
 * Thread:    every call on a pool or on one of its clients comes from the thread that polls it; only
 *            tw_client_pool_wake() may be called from another one. Callbacks run inside tw_client_pool_poll().
 * Ownership: all strings given to a call are copied. What a callback gets (message, record, events, text) is lent for
 *            the duration of the call. tw_topic and tw_symbols pointers live as long as the pool.
 * Memory:    allocated when pools and clients are opened, when a topic is met for the first time, and when a
 *            connection's buffer grows to its largest message; nothing per message.
 * Times:     int64 nanoseconds. arrival_ns, recv_ns and publish_ns are Unix time; intervals and timeouts are durations.
 * Source:    the Tickwire wire protocol, version 1.
 * Non-goals: TLS, HTTP proxies, shared memory (ring.h is the way in for programs on the same host).
 *
 *     tw_client_pool_options options;
 *     tw_client_pool_options_init(&options);
 *     options.callbacks.on_message = print_it;
 *     tw_client_pool *pool;
 *     if (tw_client_pool_open(&options, &pool, error, sizeof error) != TW_OK) ...
 *     tw_subscription all = {.channels = "trade,quote", .symbols = "sim:*"};
 *     tw_client_options to = {.url = "ws://127.0.0.1:9001/v1/stream", .subscriptions = &all, .subscription_count = 1};
 *     tw_client *client;
 *     if (tw_client_open(pool, &to, &client, error, sizeof error) != TW_OK) ...
 *     for (;;)
 *         tw_client_pool_poll(pool, 100000000);
 */
#ifndef TICKWIRE_SUBSCRIBER_H
#define TICKWIRE_SUBSCRIBER_H

#include <stddef.h>
#include <stdint.h>

#include "tickwire/codec.h"
#include "tickwire/event.h"
#include "tickwire/symbols.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct tw_client_pool tw_client_pool;
typedef struct tw_client tw_client;

/* What is taken out of a data message before the callback runs. */
typedef enum tw_client_decode {
    TW_CLIENT_DECODE_FULL = 0, /* message->record with all its events */
    TW_CLIENT_DECODE_SCAN = 1  /* topic, sequence and times only; message->record is NULL. Several times cheaper. */
} tw_client_decode;

typedef enum tw_client_state {
    TW_CLIENT_WAITING = 0,    /* for its turn to dial, or for the end of its backoff */
    TW_CLIENT_CONNECTING = 1, /* TCP or Unix connect */
    TW_CLIENT_HANDSHAKE = 2,  /* HTTP upgrade sent */
    TW_CLIENT_OPEN = 3,       /* WebSocket open; the subscriptions have been sent */
    TW_CLIENT_READY = 4,      /* every subscription that was sent has been answered, or the first data came */
    TW_CLIENT_CLOSING = 5,
    TW_CLIENT_CLOSED = 6 /* for good: asked for, told not to come back, or reconnecting is off */
} tw_client_state;

/* What the sequence numbers say about a message. Everything but GAP and DUPLICATE is in order. */
typedef enum tw_sequence_verdict {
    TW_SEQUENCE_FIRST = 0,    /* the first of its topic on this connection */
    TW_SEQUENCE_NEXT = 1,     /* follows the one before it, directly or by prevSeq */
    TW_SEQUENCE_SNAPSHOT = 2, /* a snapshot that restarts the topic */
    TW_SEQUENCE_LOSS = 3, /* a loss record that begins where the topic stopped; message->missing were not delivered */
    TW_SEQUENCE_GAP = 4,  /* message->missing messages are not here and nobody said so */
    TW_SEQUENCE_DUPLICATE = 5 /* seen before, or overlaps what was seen */
} tw_sequence_verdict;

/* One (venue, symbol, channel), numbered from 0 in the order in which the pool met them. */
typedef struct tw_topic {
    uint32_t instrument; /* in tw_client_pool_symbols() */
    uint16_t channel;    /* tw_channel */
    uint16_t reserved;
    uint32_t interval_s;  /* of a candle channel, else 0 */
    const char *exchange; /* "sim" */
    const char *symbol;   /* "BTC/USDT" */
} tw_topic;

typedef struct tw_message {
    const tw_record *record; /* NULL with TW_CLIENT_DECODE_SCAN */
    const uint8_t *bytes;    /* the WebSocket payload */
    uint32_t bytes_len;
    uint32_t topic;     /* index for tw_client_pool_topic() */
    uint8_t kind;       /* tw_event_kind: TRADE QUOTE LEVEL STATUS CANDLE LOSS; LEVEL also for an empty snapshot */
    uint8_t verdict;    /* tw_sequence_verdict */
    uint8_t snapshot;   /* 1: a book message that replaces the book */
    uint8_t is_state;   /* 1: no news, but what the topic stood at when it was subscribed (or resumed after a loss) */
    uint32_t folded;    /* messages folded into this one by conflation */
    uint64_t seq;       /* LOSS: the last of the range */
    uint64_t prev_seq;  /* the one that it says it follows; seq - 1 unless the message named another */
    uint64_t missing;   /* LOSS: as counted by the server; GAP: as computed here; else 0 */
    int64_t recv_ns;    /* when the engine had the venue's bytes; 0 if the message does not say */
    int64_t publish_ns; /* when the engine framed it; 0 if the message does not say */
    int64_t arrival_ns; /* when this program had it: taken once per received batch */
} tw_message;

typedef enum tw_control_op {
    TW_CONTROL_OTHER = 0,
    TW_CONTROL_HELLO = 1,
    TW_CONTROL_SUBSCRIBED = 2,
    TW_CONTROL_UNSUBSCRIBED = 3,
    TW_CONTROL_SUBSCRIPTIONS = 4,
    TW_CONTROL_PONG = 5,
    TW_CONTROL_ERROR = 6, /* also once per entry of the "errors" of a subscribed */
    TW_CONTROL_HEARTBEAT = 7,
    TW_CONTROL_BYE = 8
} tw_control_op;

typedef struct tw_control {
    uint8_t op;        /* tw_control_op */
    uint8_t temporary; /* ERROR: trying again may help */
    uint8_t reconnect; /* BYE: the server wants to be dialed again */
    uint8_t reserved;
    int32_t code;         /* ERROR, BYE */
    uint32_t topic_count; /* SUBSCRIBED, UNSUBSCRIBED, SUBSCRIPTIONS */
    const char *name;     /* ERROR: "BadSymbol"; BYE: the reason; HELLO: the server; else "" */
    const char *message;  /* ERROR; else "" */
    const char *symbol;   /* ERROR of one symbol: as it was asked for; else "" */
    const char *epoch;    /* HELLO; else "" */
    const uint8_t *bytes; /* the whole message */
    uint32_t bytes_len;
} tw_control;

/* Every one may be NULL. `owner` is the client's (tw_client_options.owner), or the pool's if that is NULL. */
typedef struct tw_client_callbacks {
    void (*on_message)(tw_client *client, const tw_message *message, void *owner);
    void (*on_control)(tw_client *client, const tw_control *control, void *owner);
    /* reason is "" or says why in words ("refused", "close 4002 slow consumer"). */
    void (*on_state)(tw_client *client, tw_client_state state, tw_status status, const char *reason, void *owner);
} tw_client_callbacks;

typedef struct tw_client_pool_options {
    const char *loop;             /* "auto" (also NULL), "io_uring", "epoll", "kqueue" */
    uint32_t client_count_max;    /* connections */
    uint32_t topic_count_max;     /* topics over all connections */
    uint32_t message_bytes_max;   /* a larger message closes its connection with 1009 */
    uint32_t event_count_max;     /* events of one decoded message */
    uint32_t recv_buffer_bytes;   /* of one of the loop's receive buffers */
    uint32_t recv_buffer_count;   /* power of two */
    uint32_t dials_inflight_max;  /* connections that are being set up at one time */
    uint32_t dials_per_second;    /* 0: no limit */
    uint8_t decode;               /* tw_client_decode */
    int64_t handshake_timeout_ns; /* from dial to open */
    int64_t backoff_min_ns;       /* first wait before a reconnect; doubles with each failure */
    int64_t backoff_max_ns;
    int64_t silence_timeout_ns; /* nothing at all received for so long: redial. 0: three heartbeats of the server */
    uint64_t seed;              /* of backoff jitter, keys and masks; 0: taken from the clock */
    tw_client_callbacks callbacks;
    void *owner;
} tw_client_pool_options;

/* One wish; repeated after every reconnect. Lists are comma-separated as in the protocol. */
typedef struct tw_subscription {
    const char *channels; /* "trade,quote,book,candle.1m,status" */
    const char *symbols;  /* "binance:BTC/USDT,sim:*" */
    const char *policy;   /* "conflate" "drop" "disconnect" "all"; NULL: the server's default */
    int64_t interval_ns;  /* of conflation, whole milliseconds; 0: not asked for */
    uint32_t depth;       /* book levels per side; 0: not asked for */
} tw_subscription;

typedef struct tw_client_options {
    /* ws://HOST:PORT[/PATH][?QUERY], or unix:/SOCKET[:/PATH][?QUERY]; the path is /v1/stream if there is none. A host
     * name is resolved in tw_client_open(), which may block. */
    const char *url;
    const char *codec; /* "json" (also NULL) or "flatbuffers" */
    const char *token; /* sent as Authorization: Bearer; NULL: none */
    const tw_subscription *subscriptions;
    uint32_t subscription_count;
    uint8_t subscribe_by_url; /* 1: the (only) subscription rides on the URL */
    uint8_t no_reconnect;     /* 1: the first end of the connection is its last */
    void *owner;
} tw_client_options;

/* Sums over all clients of a pool since it was opened. Each message is counted once, in `messages`. */
typedef struct tw_client_stats {
    uint64_t messages;         /* data records, loss records included */
    uint64_t payload_bytes;    /* of those */
    uint64_t received_bytes;   /* from the socket, everything included */
    uint64_t control_messages; /* hello, acks, errors, heartbeats, bye */
    uint64_t batches;          /* pieces in which the bytes came */
    uint64_t gaps;             /* places where messages are missing without notice */
    uint64_t missing;          /* messages missing there */
    uint64_t duplicates;       /* messages seen before */
    uint64_t losses;           /* loss records */
    uint64_t lost;             /* messages that they say were not delivered */
    uint64_t folded;           /* messages folded into others */
    uint64_t snapshots;
    uint64_t missed_while_down; /* per topic: between the last before and the first after a reconnect, same epoch */
    uint64_t dials;
    uint64_t dial_failures; /* refused, timed out, upgrade denied */
    uint64_t opens;
    uint64_t reconnects; /* opens after the first of each client */
    uint64_t closes;     /* open connections that ended without being asked to */
    uint64_t errors;     /* everything that is wrong, each once; by name: tw_client_pool_error() */
} tw_client_stats;

/* Fills in the defaults: 1 client, 65,536 topics, 16 MiB messages, full decode, backoff 100 ms to 10 s. */
TW_API void tw_client_pool_options_init(tw_client_pool_options *options);

/* TW_BAD_ARGUMENT, TW_NO_MEMORY, TW_UNAVAILABLE (the loop that was asked for); the text says which and why. */
TW_API TW_MUST_USE tw_status tw_client_pool_open(const tw_client_pool_options *options, tw_client_pool **pool,
                                                 char *error, size_t error_cap);
/* Ends every connection at once and frees everything. No callback is called. */
TW_API void tw_client_pool_close(tw_client_pool *pool);

/* Receives, decodes, calls back. Sleeps at most timeout_ns (0: not at all) when there is nothing to do. Returns the
 * amount of work done; 0 means that nothing happened. */
TW_API uint32_t tw_client_pool_poll(tw_client_pool *pool, int64_t timeout_ns);
/* Any thread: ends the sleep of the current or the next poll. */
TW_API void tw_client_pool_wake(tw_client_pool *pool);

TW_API const char *tw_client_pool_loop_name(const tw_client_pool *pool);   /* "io_uring", "epoll", "kqueue" */
TW_API const char *tw_client_pool_loop_reason(const tw_client_pool *pool); /* why that one, and what is active */
/* Sums over all clients since the pool was opened, those that were closed included. */
TW_API void tw_client_pool_stats(const tw_client_pool *pool, tw_client_stats *stats);
/* Errors by name ("BadSymbol", "malformed", "close_4002", "refused"), index from 0; NULL after the last. */
TW_API const char *tw_client_pool_error(const tw_client_pool *pool, uint32_t index, uint64_t *count);
TW_API uint32_t tw_client_pool_topic_count(const tw_client_pool *pool);                  /* met so far */
TW_API const tw_topic *tw_client_pool_topic(const tw_client_pool *pool, uint32_t topic); /* NULL: no such index */
TW_API const tw_symbols *tw_client_pool_symbols(const tw_client_pool *pool); /* what tw_event.instrument means here */
TW_API uint32_t tw_client_pool_count(const tw_client_pool *pool, tw_client_state state); /* clients in that state */

/* Adds a connection; it is dialed by the next polls. TW_FULL: client_count_max; TW_BAD_ARGUMENT: the URL or a list;
 * TW_NOT_SUPPORTED: wss, an unknown codec; TW_UNAVAILABLE: the host name has no address. */
TW_API TW_MUST_USE tw_status tw_client_open(tw_client_pool *pool, const tw_client_options *options, tw_client **client,
                                            char *error, size_t error_cap);
/* Sends a close frame and ends the connection; the client reports TW_CLIENT_CLOSED and is not dialed again. */
TW_API void tw_client_close(tw_client *client);
TW_API tw_client_state tw_client_get_state(const tw_client *client); /* as on_state said last */
TW_API uint32_t tw_client_index(const tw_client *client);            /* from 0, in the order of tw_client_open() */
TW_API uint64_t tw_client_message_count(const tw_client *client);    /* data messages received, loss records included */

/* Asks for more, now if the connection is open, and again after each reconnect. *id, if not NULL, is that of
 * the request, 0 if it has to wait for the connection. TW_FULL, TW_TOO_BIG: too much is remembered or waiting. */
TW_API TW_MUST_USE tw_status tw_client_subscribe(tw_client *client, const tw_subscription *subscription, uint32_t *id);
/* Asks for less, now if the connection is open; it is not asked for again after a reconnect. Lists and *id as above. */
TW_API TW_MUST_USE tw_status tw_client_unsubscribe(tw_client *client, const char *channels, const char *symbols,
                                                   uint32_t *id);
/* Sends one control message of your own (JSON text). TW_CLOSED: the connection is not open. */
TW_API TW_MUST_USE tw_status tw_client_send(tw_client *client, const char *text, size_t text_len);

/* Back-pressure: stops reading from the socket, goes on. For consumers that cannot keep up, and for tests. */
TW_API void tw_client_pause(tw_client *client);
TW_API void tw_client_resume(tw_client *client); /* reads again after a pause */

#ifdef __cplusplus
}
#endif
#endif
