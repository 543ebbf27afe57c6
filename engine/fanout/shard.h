/* shard.h - one event loop and its clients: accepts, answers, and sends slices of the wire logs.
 *
 * Job:    owns a listener (and, the first shard, a Unix socket), the connections that it accepts, and a group
 *         table. Each step looks at what is new in the wire logs, starts a send for every client that has
 *         something pending and none in flight, and polls the loop.
 * Slow:   a client's lag is the distance between its cursor and the log's end. What happens at the limit is the
 *         policy of its subscription (twi_policy in settings.h). Nobody else notices.
 * Memory: the client table at open; control messages, answers and handshakes are on the heap while they last,
 *         bounded by the limits; an idle client costs sizeof(twi_client) here and its socket in the loop.
 * Thread: the shard's own; only twi_shard_wake() may be called from others. */
#ifndef TWI_SHARD_H
#define TWI_SHARD_H

#include "engine/base/settings.h"
#include "engine/fanout/buffer.h"
#include "engine/fanout/join.h"
#include "engine/fanout/wire_log.h"
#include "engine/loop/loop.h"
#include "engine/proto/http.h"
#include "engine/stats/counters.h"
#include "tickwire/codec.h"
#include "tickwire/symbols.h"

enum { TWI_SHARD_CONNECTIONS_EXTRA = 64 }; /* over the limit: they get to hear why they are turned away */

typedef struct twi_shard twi_shard;

/* Answers HTTP requests that are not the stream. What needs the publisher is answered later: the request stays where it
 * is and is handed in again with the ticket under which the publisher was asked. */
typedef enum twi_http_result {
    TWI_HTTP_DONE,  /* a whole response (head and body) was appended to out */
    TWI_HTTP_LATER, /* *ticket (below TWI_QUERIES_MAX) says for which answer it waits */
    TWI_HTTP_FULL   /* too many questions are under way: when one of them has been answered */
} twi_http_result;

typedef struct twi_http_handler {
    /* *ticket: TWI_HTTP_NO_TICKET at first. */
    twi_http_result (*serve)(void *owner, const twi_http_request *request, uint32_t *ticket, twi_buffer *out);
    /* The publisher's answer is here; returns its ticket. Until release() it is kept for those who wait for it. */
    uint32_t (*answered)(void *owner, twi_query *query);
    void (*release)(void *owner, uint32_t ticket);
    void *owner;
} twi_http_handler;
#define TWI_HTTP_NO_TICKET UINT32_MAX

typedef struct twi_shard_config {
    twi_loop *loop; /* the caller's; the shard is its only user */
    const tw_symbols *symbols;
    const tw_codec_ops *codecs[TWI_CODECS_MAX];
    const twi_wire_log *logs[TWI_CODECS_MAX];   /* the publisher's, read only */
    _Atomic uint32_t *interest[TWI_CODECS_MAX]; /* the publisher's, see group.h */
    uint32_t codec_count;
    uint32_t topic_count;
    twi_join_link *link;
    void (*wake_publisher)(void *owner); /* after a join was queued; NULL if both run in one thread */
    void *wake_owner;
    twi_http_handler http;
    uint64_t http_pending_bytes_max; /* of responses that clients have not taken yet, all together; 0: no limit */
    twi_cells *counters;
    twi_histogram *sent_latency; /* stage PUBLISHED_TO_SENT */
    uint64_t epoch;
    int64_t (*realtime_ns)(void *owner); /* Unix time for hello, pong and heartbeat */
    void *realtime_owner;
    uint32_t connection_count_max;
    uint32_t subscription_count_max; /* topics of one client */
    uint32_t group_count_max;
    uint32_t message_bytes_max; /* from a client */
    uint32_t http_head_bytes_max;
    uint32_t lag_percent_max; /* of the log, for `drop` and `disconnect` */
    int default_policy;       /* twi_policy */
    int64_t handshake_timeout_ns, ping_interval_ns, pong_timeout_ns, heartbeat_ns;
    const char *const *tokens; /* NULL or token_count 0: everybody */
    uint32_t token_count;
    const char *version; /* "0.1.0" */
} twi_shard_config;

TW_MUST_USE tw_status twi_shard_open(const twi_shard_config *config, twi_shard **shard, char *error, size_t error_cap);
/* Ends every connection at once and frees everything but the loop, which the caller closes first. */
void twi_shard_close(twi_shard *shard);

/* Starts to accept on a listener of the shard's loop. */
void twi_shard_listen(twi_shard *shard, twi_sock listener);

/* One turn. Sleeps in the loop until wait_until_ns (CLOCK_MONOTONIC; 0: not at all) if there was nothing to do.
 * Returns how much was done. */
uint32_t twi_shard_step(twi_shard *shard, int64_t wait_until_ns);
/* Another thread has published: makes a sleeping shard look. Cheap when it does not sleep. */
void twi_shard_wake(twi_shard *shard);

/* Graceful end: no new connections, everybody gets `bye` and a close frame; then step until
 * twi_shard_client_count() is 0
 * or patience ends. */
void twi_shard_stop(twi_shard *shard);
uint32_t twi_shard_client_count(const twi_shard *shard);
/* Any thread: 1 if more than half of the clients cannot take more at this moment. A source that has no schedule of
 * its
 * own (rate = 0) rests then; one that has never does. */
int twi_shard_saturated(const twi_shard *shard);

/* The clients of this shard as a JSON array of at most `limit` objects. In the shard's thread. */
void twi_shard_describe(const twi_shard *shard, uint32_t limit, twi_buffer *out);

/* For tests and /metrics: messages of this shard's subscriptions so far. published = delivered + lost + pending. */
typedef struct twi_shard_totals {
    uint64_t published, delivered, lost, pending;
} twi_shard_totals;
twi_shard_totals twi_shard_count(const twi_shard *shard);
/* Bytes of one entry of the client table. */
size_t twi_shard_client_bytes(void);

#endif
