/* sim_arrival.h - when the simulator's messages are due: evenly spaced, or in self-exciting bursts.
 *
 * Burst:    a Hawkes process with an exponential kernel, drawn exactly (Dassios and Zhao 2013): the next arrival is the
 *           earlier of a background arrival and one that is caused by what is still "warm".
 * Numbers:  fixed point only (Q32), with tables made at init by integer arithmetic, so that times are the same
 *           everywhere.
 * Thread:   none of its own; no clock. */
#ifndef TWI_SIM_ARRIVAL_H
#define TWI_SIM_ARRIVAL_H

#include <stdint.h>

#include "feed/sim_random.h"

enum { TWI_SIM_TABLE_STEPS = 256, TWI_SIM_DECAY_US_MAX = 10000000 };

typedef struct twi_sim_arrival {
    int64_t due_ns;    /* of the next message */
    uint64_t due_frac; /* fixed: numerator over rate; burst: Q16 of a nanosecond */
    uint32_t rate;     /* messages per second; 0: no schedule */
    uint32_t is_burst;
    uint64_t period_ns, period_rest; /* 1e9 / rate and remainder */
    uint64_t warmth;                 /* Q32: messages that those already sent are still expected to cause */
    uint64_t branch;                 /* Q32: messages that one message causes */
    uint64_t background_ns;          /* mean distance of arrivals without a cause */
    uint64_t decay_ns;               /* time constant of warmth */
    twi_sim_random random;
    uint64_t log2_table[TWI_SIM_TABLE_STEPS + 1]; /* Q32: log2(1 + i/256) */
    uint64_t exp2_table[TWI_SIM_TABLE_STEPS + 1]; /* Q32: 2^(-i/256) */
} twi_sim_arrival;

/* branch_permille < 1000 and 0 < decay_us <= TWI_SIM_DECAY_US_MAX apply if is_burst. rate 0: due_ns is not used. */
void twi_sim_arrival_init(twi_sim_arrival *arrival, uint32_t rate, uint32_t is_burst, uint32_t branch_permille,
                          uint32_t decay_us, uint64_t seed);
/* Moves due_ns to the next arrival. */
void twi_sim_arrival_next(twi_sim_arrival *arrival);

/* Q32 of -ln(x / 2^64) for the given x > 0. For tests. */
uint64_t twi_sim_neg_ln(const twi_sim_arrival *arrival, uint64_t x);
/* Q32 of exp(-x), x in Q32. For tests. */
uint64_t twi_sim_exp_neg(const twi_sim_arrival *arrival, uint64_t x);

#endif
