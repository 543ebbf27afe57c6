/* sim_market.h - the simulator's instruments and their books: makes one message at a time.
 *
 * Job:      keep a limit order book per instrument and let it live: orders come, change, go and are hit.
 * Shape:    prices are counted in ticks (1 tick = 10^price_exponent). Each side of a book is a window of `depth` ticks
 *           from its best price outward, in an array indexed by tick modulo its size, so that a moving market moves no
 *           memory.
 * Publish:  a level that differs from what the groups so far have said is in the instrument's `dirty` list, which the
 *           next group empties. A quote waits for that group; trades may go on until the list is half full.
 * Non-goals: times and rates (sim_arrival.h), start and end (sim.c). */
#ifndef TWI_SIM_MARKET_H
#define TWI_SIM_MARKET_H

#include <stdint.h>

#include "feed/sim.h"
#include "feed/sim_random.h"

typedef struct twi_sim_instrument {
    int64_t *amount[2]; /* bids, asks: [ring_ticks], 0: no order at this price */
    int64_t best[2];    /* in ticks */
    int64_t base;       /* the price in ticks to which the market is drawn back */
    uint64_t pull;      /* 2^32 / base */
    int64_t lot;        /* the smallest usual amount */
    uint64_t trade_id;  /* of the last trade */
    uint64_t book_seq;  /* of the last group */
    uint32_t index;     /* in the instrument table */
    uint8_t dirty_count;
    int8_t price_exponent, amount_exponent;
    int64_t dirty[TWI_SIM_GROUP_EVENT_MAX]; /* tick * 2 + side */
} twi_sim_instrument;

enum {
    TWI_SIM_KIND_TRADE = 0,
    TWI_SIM_KIND_QUOTE = 1,
    TWI_SIM_KIND_BOOK = 2,
    TWI_SIM_KIND_SNAPSHOT = 3,
    TWI_SIM_KIND_COUNT = 4
};

typedef struct twi_sim_market {
    twi_sim_instrument *instruments;
    uint32_t instrument_count;
    uint32_t depth;
    uint64_t ring_mask; /* ring_ticks - 1 */
    uint32_t share[TWI_SIM_KIND_COUNT], share_sum;
    uint32_t postponed[TWI_SIM_KIND_COUNT]; /* messages that gave way to a group and are owed */
    twi_sim_random random;
} twi_sim_market;

/* Bytes of `memory` for twi_sim_market_init(); 0 if that is more than an address space should hold. */
size_t twi_sim_market_size(uint32_t instrument_count, uint32_t depth);
/* `memory` is 64-byte aligned and zeroed. TW_FULL: no place in `symbols`. */
TW_MUST_USE tw_status twi_sim_market_init(twi_sim_market *market, void *memory, const twi_sim_options *options,
                                          tw_symbols *symbols);
/* The book snapshot of one instrument and its STATUS ok; nothing if there are no books. Returns the number of
 * events. */
uint32_t twi_sim_market_snapshot(twi_sim_market *market, uint32_t instrument, int64_t time_ns, tw_sink *sink);
/* One message. Returns the number of events, at most TWI_SIM_GROUP_EVENT_MAX; of a snapshot 2 * depth. */
uint32_t twi_sim_market_message(twi_sim_market *market, int64_t time_ns, tw_sink *sink);

#endif
