/* refresh.h - whole books into the ring again, now and then, for readers that came late or were overtaken.
 *
 * Why:     a feed sends a book once and then changes. A reader that attaches later, or that the ring has overtaken,
 *          has no book until the venue happens to send a snapshot, which may be never.
 * Job:     follows what the feeds put on the ring, keeps the same books, and puts one of them on the ring, as a
 *          snapshot with TW_FLAG_REFRESH, each time interval / instruments has passed. After one interval every
 *          reader has them.
 * Right:   it is made of the events on the ring and put between two groups, so it is the book that a reader has who
 *          saw them all; that one may leave it out. Books that are not in state `ok` are not repeated.
 * Cost:    a second book per instrument in the feed thread, and the bandwidth of one snapshot per pause. Where nobody
 *          can need it (one thread, no name in shared memory) the runtime does not use it.
 * Thread:  the feed thread's. No allocation but for instruments that are listed later (market.h). */
#ifndef TWI_REFRESH_H
#define TWI_REFRESH_H

#include "engine/fanout/market.h"
#include "tickwire/feed.h"
#include "tickwire/symbols.h"

typedef struct twi_refresh_config {
    const tw_symbols *symbols;
    uint32_t instrument_count_max;
    uint32_t depth_max;  /* levels a side; what lies beyond is not repeated */
    uint32_t event_max;  /* of one snapshot; larger books are left out, because they would overtake readers */
    int64_t interval_ns; /* in which every book comes once; above 0 */
} twi_refresh_config;

typedef struct twi_refresh {
    twi_refresh_config config;
    twi_market market;
    tw_event *snapshot;
    int64_t next_ns;
    uint32_t cursor; /* instrument whose turn it is */
    uint8_t in_group;
} twi_refresh;

TW_MUST_USE tw_status twi_refresh_open(twi_refresh *refresh, const twi_refresh_config *config);
void twi_refresh_close(twi_refresh *refresh);

/* An event that is being committed. */
void twi_refresh_note(twi_refresh *refresh, const tw_event *event);
/* Puts the next book, if it is time and no group is open. Returns the events; *next_ns is lowered to when the next is
 * due. */
uint32_t twi_refresh_step(twi_refresh *refresh, int64_t now_ns, tw_sink *sink, int64_t *next_ns);

#endif
