/* market.h - the last known state of every instrument: what a new subscriber gets first, and what HTTP answers from.
 *
 * Shape:  per instrument the last quote, the last status, the last trades and the L2 book. Books are kept only for
 *         instruments that have sent levels.
 * Thread: the publisher's own.
 * Memory: state arrays at open, books and last trades by twi_market_reserve(); those of an instrument that is listed
 *         later when its first snapshot or trade arrives. A book is bounded by depth_max. */
#ifndef TWI_MARKET_H
#define TWI_MARKET_H

#include <stddef.h>
#include <stdint.h>

#include "engine/book/book.h"
#include "tickwire/event.h"

typedef struct twi_market_instrument {
    tw_event quote;   /* kind NONE before the first */
    tw_event status;  /* likewise */
    tw_event *trades; /* the last ones, a ring of trade_history; NULL: no memory was needed for it yet */
    uint32_t trade_next, trade_count;
    twi_book *book; /* NULL: no memory was needed for it yet */
    int64_t book_venue_ns, book_recv_ns;
    uint64_t book_venue_seq;
    uint8_t book_begun; /* a snapshot was seen */
    uint8_t book_state; /* tw_book_state */
} twi_market_instrument;

typedef struct twi_market {
    twi_market_instrument *instruments;
    uint32_t instrument_count_max;
    uint32_t depth_max;
    uint32_t trade_history;
    uint64_t book_count;
    uint64_t levels_dropped; /* beyond depth_max on a side: the book of that instrument is cut */
} twi_market;

TW_MUST_USE tw_status twi_market_open(twi_market *market, uint32_t instrument_count_max, uint32_t depth_max,
                                      uint32_t trade_history);
/* Takes the memory of the first `instrument_count` books and trades now: their first events allocate nothing. */
TW_MUST_USE tw_status twi_market_reserve(twi_market *market, uint32_t instrument_count);
void twi_market_close(twi_market *market);

void twi_market_trade(twi_market *market, const tw_event *event);
void twi_market_quote(twi_market *market, const tw_event *event);
void twi_market_status(twi_market *market, const tw_event *event);
/* One record of a LEVEL group, or a BOOK_CLEAR. TW_TOO_BIG: the book cannot hold it exactly and is now in state
 * `gap`. */
TW_MUST_USE tw_status twi_market_level(twi_market *market, const tw_event *event);

/* The whole book as a snapshot group: bids from the best down, then asks from the best up, at most depth_max a side.
 * One BOOK_CLEAR if it is empty. Returns the number of events; out must hold twi_market_snapshot_max(). */
uint32_t twi_market_book_snapshot(const twi_market *market, uint32_t instrument, tw_event *out);
/* Its best `limit` levels a side in that order, without group flags; 0 if it is empty. */
uint32_t twi_market_book_levels(const twi_market *market, uint32_t instrument, uint32_t limit, tw_event *out);
/* Up to `limit` of the kept trades that came last and whose time is since_ns or later, oldest first (from_oldest: those
 * that came first of them). Returns how many. */
uint32_t twi_market_trades(const twi_market *market, uint32_t instrument, int64_t since_ns, int from_oldest,
                           uint32_t limit, tw_event *out);
uint32_t twi_market_snapshot_max(const twi_market *market);
/* The status to tell a new subscriber: the last one, or one that says what is known. */
tw_event twi_market_current_status(const twi_market *market, uint32_t instrument, int64_t now_ns);

#endif
