/* hub.h - what all outgoing connections of one thread share: its loop, the resolver, the REST worker, scratch memory.
 *
 * Usage:    twi_hub_open() in the loop's thread; twi_hub_step() after every poll(); twi_hub_close() before the loop is
 *           closed. Resolver and REST threads are started when they are first needed, and wake the loop.
 * Thread:   the loop's. */
#ifndef TWI_HUB_H
#define TWI_HUB_H

#include "engine/base/log.h"
#include "engine/connect/resolve.h"
#include "engine/connect/rest.h"
#include "engine/connect/tls.h"
#include "engine/loop/loop.h"
#include "tickwire/feed.h"

typedef struct twi_hub_options {
    twi_loop *loop;
    twi_logger *logger;                  /* NULL: nothing is said */
    int64_t (*realtime_ns)(void *owner); /* Unix time; NULL: the system's */
    void *realtime_owner;
    uint64_t seed; /* of jitter and masks; 0: random */
} twi_hub_options;

/* Attempts to connect to one venue, of all feeds that it has here: its limit is on the whole host. */
enum { TWI_DIALS_KEPT_MAX = 512 };
typedef struct twi_dials {
    struct twi_dials *next;
    const tw_feed_ops *venue;
    int64_t times[TWI_DIALS_KEPT_MAX]; /* a ring, by the loop's clock */
    uint32_t count;
} twi_dials;

typedef struct twi_hub {
    twi_hub_options options;
    twi_loop *loop;
    twi_resolver *resolver;
    twi_rest *rest;
    uint64_t random_state;
    twi_dials *dials;
    uint8_t plain[TWI_TLS_RECORD_BYTES_MAX];  /* what came out of TLS, during one receive */
    uint8_t frame[TW_FEED_OUTPUT_MAX + 2048]; /* what is about to be sent; request heads too */
} twi_hub;

/* TW_NO_MEMORY, TW_UNAVAILABLE (no random bytes). */
TW_MUST_USE tw_status twi_hub_open(const twi_hub_options *options, twi_hub **hub);
void twi_hub_close(twi_hub *hub);
/* Gives out answers of resolver and REST worker. Returns how many. Cheap when there are none. */
uint32_t twi_hub_step(twi_hub *hub);

/* The REST worker, started on its first use. NULL: no memory or no thread. */
twi_rest *twi_hub_rest(twi_hub *hub);
int64_t twi_hub_realtime_ns(const twi_hub *hub);
static inline int64_t twi_hub_now_ns(const twi_hub *hub)
{
    return hub->loop->ops->now_ns(hub->loop);
}
/* NULL: no memory. */
twi_dials *twi_hub_dials(twi_hub *hub, const tw_feed_ops *venue);
/* For jitter and masks. */
uint64_t twi_hub_random(twi_hub *hub);

#endif
