/* sim.h - the simulated market: a source of trades, quotes and books that needs no network.
 *
 * Job:      realistic, exact and repeatable market data for demos, tests and benchmarks at any rate.
 * Repeats:  what is generated depends on the options only. In fixed and burst mode so do the times: the k-th message
 *           is due at the same nanosecond however often and however late step() is called. Same options, same bytes.
 * Times:    recv_ns and venue_ns are the time at which the event was due, not the time at which step() got to it, so
 *           that a subscriber that subtracts them measures from the intended instant (no coordinated omission). With
 *           rate_per_second = 0 there is no schedule and they are the now_ns given to step().
 * Messages: a message is a trade, a quote, or a whole group of book levels: what one subscriber gets as one frame.
 *           The rate and the limit count messages. Each instrument begins with a book snapshot and STATUS ok, due at
 *           the start time and not counted.
 *           With snapshot_share some messages are whole books again, as venues send them from time to time.
 * Promises: a book is never crossed or empty; a quote is the top of the book that the groups before it describe; a
 *           trade is at the touch and takes its amount out of the book; venue_seq of groups rises by 1 per instrument.
 * Memory:   one allocation at open, released by fini; step() allocates nothing.
 * Non-goals: a model of any real market's statistics. */
#ifndef TWI_SIM_H
#define TWI_SIM_H

#include <stddef.h>
#include <stdint.h>

#include "tickwire/feed.h"
#include "tickwire/symbols.h"

enum {
    TWI_SIM_INSTRUMENT_COUNT_MAX = 65536,
    TWI_SIM_BOOK_DEPTH_MAX = 2400,
    TWI_SIM_GROUP_EVENT_MAX = 32 /* levels in one group after the snapshot */
};
#define TWI_SIM_RATE_MAX 1000000000u /* one message per nanosecond */

typedef enum twi_sim_mode {
    TWI_SIM_FIXED = 0, /* one message every 1/rate seconds */
    TWI_SIM_BURST = 1  /* self-exciting (Hawkes) arrivals: the same mean rate, in clusters */
} twi_sim_mode;

/* All zero means: the default of every member. */
typedef struct twi_sim_options {
    const char *exchange; /* NULL: "sim" */
    uint64_t seed;
    uint32_t instrument_count; /* 0: 10 */
    uint32_t book_depth;       /* price levels per side, 0: 20 */
    twi_sim_mode mode;
    uint32_t rate_per_second;       /* messages; 0: as many as step() is asked for */
    uint32_t burst_branch_permille; /* BURST: messages of 1000 that another message caused, 0: 800; at most 950 */
    uint32_t burst_decay_us; /* BURST: how long a message excites others (time constant), 0: 1000; at most 10 s */
    uint16_t trade_share, quote_share,
        book_share;             /* relative; all 0: 20, 30, 50. A share of 0 switches that kind off */
    uint16_t snapshot_share;    /* of messages that are a whole book again; needs book_share */
    int64_t start_ns;           /* Unix time of the first message; 0: the now_ns of the first step() */
    uint64_t message_count_max; /* 0: never ends */
} twi_sim_options;

/* Interns its instruments in `symbols` and makes *out ready; out->ops->fini(out->state) releases it.
 * The shares are a target: a quote never overtakes the book change that it reports, so that a mix with fewer groups
 * than trades and quotes need gets some more groups.
 * step(): puts whole messages only. It stops when less than TWI_SIM_GROUP_EVENT_MAX of event_max is left, but always
 * puts at least one message that is due, also if that is larger than event_max (a snapshot has 2 * book_depth events).
 * TW_BAD_CONFIG: an option is out of range; TW_NO_MEMORY; TW_FULL: `symbols` has no place. `error` says what. */
TW_MUST_USE tw_status twi_sim_open(const twi_sim_options *options, tw_symbols *symbols, tw_source *out, char *error,
                                   size_t error_cap);

#endif
