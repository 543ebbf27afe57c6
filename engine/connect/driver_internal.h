/* driver_internal.h - what the files of the driver share. Nobody else includes it.
 *
 * Parts:    driver.c life, watching, figures · driver_link.c dialing and what goes over a connection ·
 *           driver_rest.c requests and the market list. */
#ifndef TWI_DRIVER_INTERNAL_H
#define TWI_DRIVER_INTERNAL_H

#include "engine/connect/arbiter.h"
#include "engine/connect/conn.h"
#include "engine/connect/driver.h"

enum {
    TWI_LEGS_MAX = TWI_ARBITER_LEGS,
    TWI_LINK_SPARE = 4,   /* connections that watch() may add, per leg, until more sockets are asked for */
    TWI_REQUESTS_MAX = 4, /* under way, per leg */
    TWI_LEG_SHIFT = 32    /* request tags are (leg, id) */
};

typedef struct twi_leg twi_leg;

/* One of the adapter's links. */
typedef struct twi_driver_link {
    twi_leg *leg;
    uint32_t index;
    bool was_up, told_down;
    uint32_t failures; /* dials since it last stood for a while */
    int64_t dial_ns;   /* not before, by the loop's clock */
    int64_t retire_ns; /* planned end; INT64_MAX: none */
    int64_t probe_ns;  /* next look for owed messages, while messages come */
    tw_reason reason;  /* to be told for the end that the driver itself asks for */
    tw_endpoint dialed;
    twi_conn conn;
} twi_driver_link;

/* One adapter state with its connections. A redundant feed has two. */
struct twi_leg {
    twi_driver *driver;
    uint32_t index;
    void *state;
    tw_sink sink;
    twi_driver_link *links[TW_FEED_LINKS_MAX];
    uint32_t link_count;   /* of links[] */
    uint32_t requests;     /* under way */
    uint32_t markets_page; /* next one to be looked at for unknown symbols */
    uint32_t markets_id;   /* request under way; 0: none */
    bool markets_checked;
};

struct twi_driver {
    twi_driver_options options;
    const tw_feed_ops *ops;
    twi_hub *hub;
    const char *name;
    twi_tls_context *tls;
    twi_conn_options conn_options;
    const char **symbols; /* those of the configuration that the adapter took */
    bool *listed;         /* by symbol: the venue's market list has it */
    uint32_t symbol_count;
    const char **refused; /* those that it did not take */
    uint32_t refused_count;
    twi_arbiter *arbiter; /* of redundant legs; NULL: there is one */
    twi_leg legs[TWI_LEGS_MAX];
    uint32_t leg_count;
    twi_op timer;
    bool timer_armed, started, stopping, abandoned;
    int64_t figures_ns; /* next sum over symbols */
    twi_dials *dials;   /* the hub's */
    uint64_t resyncs, malformed;
    twi_driver_stats stats;
    uint8_t output[TW_FEED_OUTPUT_MAX];
};

/* driver.c */
/* A line about the venue, on the control path; the format is a literal. */
#define TWI_VENUE_LOG(driver, level, format, ...)                                                                      \
    do {                                                                                                               \
        if ((driver)->hub->options.logger != NULL)                                                                     \
            twi_log((driver)->hub->options.logger, level, "venue", "%s: " format, (driver)->name, __VA_ARGS__);        \
    } while (0)
void twi_driver_count(const twi_driver *driver, twi_counter id, uint64_t addend);

/* driver_link.c */
extern const twi_conn_calls twi_driver_conn_calls;
/* Makes links that the adapter has meanwhile; dials, retires, looks at time limits. */
void twi_driver_tick_links(twi_leg *leg, int64_t now_ns);
/* Sends what the adapter owes on all links, and starts its requests. */
void twi_driver_pump(twi_leg *leg);

/* driver_rest.c */
void twi_driver_pump_requests(twi_leg *leg);

#endif
