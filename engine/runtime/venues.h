/* venues.h - the connections to venues of one engine: drivers from settings, and the hub that they share.
 *
 * Usage:    twi_venues_add() per feed of type "venue"; twi_venues_start() in the thread whose loop is to carry them;
 *           twi_venues_step() after every poll; twi_venues_stop() there again, before its loop is closed;
 *           twi_venues_close() at the end.
 * Thread:   one, but for add and close. */
#ifndef TWI_VENUES_H
#define TWI_VENUES_H

#include "engine/base/settings.h"
#include "engine/connect/driver.h"

typedef struct twi_venues twi_venues;

/* Adapters that are not built in. */
typedef struct twi_venue_list {
    const tw_feed_ops *const *ops;
    uint32_t count;
} twi_venue_list;

typedef struct twi_venue_feed {
    const twi_settings_feed *settings;
    const twi_venue_list *own; /* NULL: none */
    tw_symbols *symbols;
    tw_sink sink;
    twi_cells *counters;
    twi_histogram *latency;
} twi_venue_feed;

/* Fills `options` from settings; pointers stay the settings'. own may be NULL. TW_BAD_CONFIG: no such venue or
 * channel. */
TW_MUST_USE tw_status twi_venue_options(const twi_settings_feed *settings, const twi_venue_list *own,
                                        twi_driver_options *options, char *error, size_t error_cap);
/* Bytes that such a feed takes: the adapter's state and its connections. 0: not a venue, or one that is not known. */
uint64_t twi_venue_memory(const twi_settings_feed *settings, const twi_venue_list *own);
/* Looks whether the feed could be started, without starting anything: venue, symbols, channels, files. */
TW_MUST_USE tw_status twi_venue_check(const twi_settings_feed *settings, char *error, size_t error_cap);

TW_MUST_USE tw_status twi_venues_open(twi_venues **venues);
TW_MUST_USE tw_status twi_venues_add(twi_venues *venues, const twi_venue_feed *feed, char *error, size_t error_cap);
uint32_t twi_venues_count(const twi_venues *venues);
uint32_t twi_venues_sock_count(const twi_venues *venues);
TW_MUST_USE tw_status twi_venues_start(twi_venues *venues, twi_loop *loop, twi_logger *logger);
/* Answers of name servers and REST. Returns how many. Nothing before start and after stop. */
uint32_t twi_venues_step(twi_venues *venues);
/* Says goodbye to the venues, turning the loop for at most patience_ns. */
void twi_venues_stop(twi_venues *venues, int64_t patience_ns);
void twi_venues_close(twi_venues *venues);

#endif
