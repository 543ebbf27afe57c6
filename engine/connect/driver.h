/* driver.h - a venue's adapter over real connections: dials what it wants dialed, hands in what arrives, sends what it
 * owes, and carries its REST requests.
 *
 * Usage:    twi_driver_open() anywhere (computes and takes the adapter's state, names what is wrong);
 *           twi_driver_start() in the hub's thread; then turn the loop and call twi_hub_step() after every poll().
 *           twi_driver_stop(), turn on until twi_driver_is_idle() or patience ends, then twi_driver_abandon(); close
 *           hub and loop; twi_driver_close().
 * Events:   go into options.sink, inside poll() and twi_hub_step() and a few calls below that say so.
 * Failures: nothing ends a driver: it says once what it cannot reach and why, keeps trying with growing, jittered
 *           pauses within the venue's dial limits, and tells the books' state as STATUS events meanwhile.
 * Memory:   the adapter's state at open; connections at their first dial. Between bytes and events nothing.
 * Thread:   one.
 * Non-goals: choosing venues (the caller has the tw_feed_ops), credentials, orders. */
#ifndef TWI_DRIVER_H
#define TWI_DRIVER_H

#include <stdbool.h>

#include "engine/connect/hub.h"
#include "engine/stats/counters.h"
#include "tickwire/feed.h"

typedef struct twi_driver twi_driver;

/* What went over the connections, for recordings. `link` numbers connections; TWI_DRIVER_NO_LINK: of a REST answer. */
#define TWI_DRIVER_NO_LINK UINT32_MAX
typedef enum twi_driver_record_kind {
    TWI_RECORD_UP,   /* url */
    TWI_RECORD_SENT, /* bytes */
    TWI_RECORD_RECEIVED,
    TWI_RECORD_ANSWER, /* url, bytes: body of a REST answer with status 200 */
    TWI_RECORD_DOWN    /* bytes: why, as text */
} twi_driver_record_kind;

typedef struct twi_driver_record {
    twi_driver_record_kind kind;
    bool is_binary;
    uint32_t link;
    int64_t recv_ns;
    const char *url; /* never NULL */
    const uint8_t *bytes;
    size_t bytes_len;
} twi_driver_record;

/* Strings and what pointers name must outlive the driver. */
typedef struct twi_driver_options {
    const tw_feed_ops *ops;
    tw_feed_config feed; /* exchange, symbols, channels, ...; market_count_max 0: a usual number */
    tw_symbols *symbols;
    tw_sink sink;
    bool redundant;               /* a second connection per stream, the first copy of an event wins */
    const char *proxy;            /* URL, "none", or NULL or "": from the environment */
    const char *ca_file;          /* NULL or "": the system's authorities */
    uint8_t tls_minor_min;        /* 0 or 2: TLS 1.2; 3: TLS 1.3 */
    uint32_t message_bytes_max;   /* 0: the venue's */
    int64_t connect_timeout_ns;   /* 0: 10 s */
    int64_t handshake_timeout_ns; /* 0: 10 s */
    int64_t retry_max_ns;         /* longest pause between dials; 0: 30 s */
    twi_cells *counters;          /* block of the feed; NULL: not counted */
    twi_histogram *latency;       /* receive to ring; NULL: not measured */
    /* Both may be NULL. request: carries REST requests instead of the hub's worker; twi_driver_respond() answers. */
    void (*record)(void *owner, const twi_driver_record *record);
    tw_status (*request)(void *owner, twi_driver *driver, const tw_request *request);
    void *owner; /* of both */
} twi_driver_options;

/* TW_BAD_CONFIG, TW_BAD_SYMBOL (not one symbol is good), TW_NOT_SUPPORTED (channel, redundancy), TW_FULL (symbols),
 * TW_NO_MEMORY; `error` says what to mend. Symbols that are not good are told to the logger at start and left out. */
TW_MUST_USE tw_status twi_driver_open(const twi_driver_options *options, twi_driver **driver, char *error,
                                      size_t error_cap);
/* Bytes that such a driver takes at most: the adapter's state and what its connections may use. */
uint64_t twi_driver_memory(const twi_driver_options *options);
/* Sockets that it may have at one time: for the loop's configuration. */
uint32_t twi_driver_sock_count(const twi_driver *driver);
/* Dials. */
void twi_driver_start(twi_driver *driver, twi_hub *hub);
void twi_driver_stop(twi_driver *driver);
bool twi_driver_is_idle(const twi_driver *driver);
/* When patience has ended: what is still open ends when the loop is closed. Before the hub is closed, if not idle. */
void twi_driver_abandon(twi_driver *driver);
/* After stop(), and after hub and loop were closed, if it was started. */
void twi_driver_close(twi_driver *driver);

/* Channels of one symbol on the running feed, as tw_feed_ops has them; a connection is dialed if it needs one. */
tw_status twi_driver_watch(twi_driver *driver, const char *symbol, size_t symbol_len, uint32_t channels);
tw_status twi_driver_unwatch(twi_driver *driver, const char *symbol, size_t symbol_len, uint32_t channels);

/* Puts the book of a symbol as it is now, and its state: for a reader that lost events. */
tw_status twi_driver_resend(twi_driver *driver, const char *symbol, size_t symbol_len);

/* The answer to a request of options.request; puts events. */
void twi_driver_respond(twi_driver *driver, const tw_response *response);

typedef struct twi_driver_stats {
    uint32_t links, links_up;
    uint64_t messages, wire_bytes, dials, reconnects, dial_failures, requests, request_failures, throttled;
    uint64_t unknown_symbols, duplicates;
    tw_feed_stats feed;   /* summed over redundant states */
    char last_error[384]; /* why the last connection ended or did not come to be; "" */
} twi_driver_stats;

void twi_driver_get_stats(const twi_driver *driver, twi_driver_stats *stats);
/* The adapter's state, for its read-only calls (stats, symbol_stats). */
const void *twi_driver_state(const twi_driver *driver);

#endif
