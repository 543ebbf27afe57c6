/* venue_book.h - one book message: its levels go into the book and, as one group of events, into the sink.
 *
 * Usage:    twi_update update;
 *           twi_update_begin(&update, venue, slot, sink, &(twi_update_info){...});
 *           twi_update_level(&update, TWI_BID, price, amount); ...
 *           tw_status status = twi_update_end(&update);
 * Rules:    a snapshot clears first; after the levels the book is cut to the venue's depth (deletes of what is cut are
 *           part of the group), then checked for being crossed, then the state is told if it changed.
 * Errors:   an impossible level ends the group without TW_FLAG_LAST (readers drop it) and breaks the book: TW_GAP. */
#ifndef TWI_VENUE_BOOK_H
#define TWI_VENUE_BOOK_H

#include "feed/venue.h"

typedef struct twi_update_info {
    bool snapshot;
    uint64_t seq; /* venue sequence after this message; 0: the venue has none */
    int64_t venue_ns, recv_ns;
} twi_update_info;

typedef struct twi_update {
    twi_venue *venue;
    twi_slot *slot;
    tw_sink *sink;
    tw_event *pending; /* filled and not yet published: it may be the last of its group */
    twi_update_info info;
    uint8_t flags; /* of the next record */
    bool failed, checksum_failed;
    uint32_t checksum_expected, checksum_computed;
} twi_update;

void twi_update_begin(twi_update *update, twi_venue *venue, twi_slot *slot, tw_sink *sink, const twi_update_info *info);
/* amount 0 deletes. */
void twi_update_level(twi_update *update, twi_side side, tw_decimal price, tw_decimal amount);
/* Reads [[price, amount, ...], ...]; further items of a row are checked and ignored. */
void twi_update_rows(twi_update *update, twi_side side, twi_json *json);
/* Levels that were read into the table. */
void twi_update_table(twi_update *update, const twi_rows *rows, twi_row_range range);
/* The scan of the message failed after begin(): the book is broken. */
tw_status twi_update_abort(twi_update *update);
/* Cuts the book to the venue's depth; end() does it otherwise. Before a checksum is computed over the book. */
void twi_update_cut(twi_update *update);
/* Compares the venue's checksum with that of the book as it is now; end() then breaks the book if they differ. */
void twi_update_checksum(twi_update *update, uint32_t expected, uint32_t computed);
/* TW_OK; TW_GAP or TW_RELINK: the book is broken. */
tw_status twi_update_end(twi_update *update);

#endif
