/* shapes.h - shapes of messages that several venues share: lists of trades, changes that name their side, names of
 * channels, snapshots that join what was kept. As scan.h: everything reads from a twi_json and leaves errors in it. */
#ifndef TWI_FEED_SHAPES_H
#define TWI_FEED_SHAPES_H

#include "feed/scan.h"

/* The place of a name in a venue's table of channel names (NULL: it has no such channel); -1: it is not there. */
int twi_channel_of(const char *const names[TWI_STREAM_COUNT], twi_json_slice name);

/* Reads the object of one trade; .history is set already. */
typedef void (*twi_trade_reader)(twi_json *json, twi_trade *trade);

/* [{...}, ...], oldest first: each goes out as it is read. */
tw_status twi_emit_trades(twi_slot *slot, twi_json *json, twi_trade_reader read, int64_t recv_ns, tw_sink *sink);

/* [["buy", price, size], ...], then the end of the update. */
tw_status twi_update_changes(twi_update *update, twi_json *json);

/* Reads both sides of a book and ends the update; twi_update_finish() where they are rows. */
typedef tw_status (*twi_sides_reader)(twi_update *update, twi_sides *sides);

/* A fetched snapshot: applied if it fits what was kept (slack: see twi_venue_snapshot_fits()), which then runs. */
tw_status twi_take_snapshot(twi_venue *venue, twi_slot *slot, const twi_update_info *info, uint64_t slack,
                            twi_sides *sides, twi_sides_reader read, tw_sink *sink);

#endif
