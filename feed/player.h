/* player.h - plays the frames of a recording into a venue adapter, as the connection driver would hand them in live.
 *
 * Job:      one place for what a frame means to an adapter: CONNECT is link_up, RECV is on_message, an HTTP body is
 *           on_response, CLOSED is link_down. Nothing is sent.
 * Usage:    twi_player_open() detects the venue and allocates its state; twi_player_frame() per frame.
 * Thread:   one. */
#ifndef TWI_PLAYER_H
#define TWI_PLAYER_H

#include "feed/recording.h"
#include "tickwire/feed.h"

typedef struct twi_player {
    const tw_feed_ops *ops;
    void *state;
    uint64_t gaps, relinks, malformed; /* what on_message() and on_response() returned */
} twi_player;

/* The venue of a recording, by its URLs or messages; NULL: none is known. Reads from the start and closes again. */
const tw_feed_ops *twi_player_detect(const char *path);

/* An adapter that takes every symbol, with room for market names. TW_NO_MEMORY, or what its init() says. */
TW_MUST_USE tw_status twi_player_open(twi_player *player, const tw_feed_ops *ops, tw_symbols *symbols,
                                      uint32_t symbol_count_max);
void twi_player_close(twi_player *player);

/* What the adapter said to the frame; TW_OK for frames that mean nothing to it. */
tw_status twi_player_frame(twi_player *player, const twi_frame *frame, tw_sink *sink);

#endif
