/* loop_sim.h - the deterministic loop: sockets in memory, virtual time, faults from a seed.
 *
 * Job:       runs a whole system (servers and clients on one loop, one thread) so that one number repeats the run
 *            exactly: delays, short reads and writes, TW_AGAIN, resets, late wake-ups, completions reordered across
 *            sockets.
 * Usage:     twi_loop_sim.open() with config.sim_seed; change the faults before the first operation. Addresses are
 *            names only: listen and connect meet when host and port (or Unix path) are equal, or the listener's host
 *            is "0.0.0.0" or "::".
 * Time:      now_ns() begins at TWI_SIM_BEGIN_NS. Every poll costs a little of it; a poll that may sleep jumps to the
 *            next event, and one that would sleep for ever returns 0 at once.
 * Order:     what happens on one socket keeps its order; across sockets it does not.
 * Memory:    connections and events are allocated as they come: this loop is for tests, not for hot paths.
 * Thread:    as loop.h; wake() leaves a token.
 * Non-goals: packets, congestion, names. */
#ifndef TWI_LOOP_SIM_H
#define TWI_LOOP_SIM_H

#include <stdbool.h>

#include "engine/loop/loop.h"

enum { TWI_SIM_BEGIN_NS = 1000000000, TWI_SIM_PPM = 1000000 };

/* Chances are in parts per million, one throw per occasion. */
typedef struct twi_sim_faults {
    uint32_t short_write_ppm;     /* a send takes a part only */
    uint32_t short_read_ppm;      /* a receive gives a part of what has arrived */
    uint32_t again_ppm;           /* a send takes nothing although there is room; writable() fires soon after */
    uint32_t reset_ppm;           /* a send breaks its connection, for both ends */
    uint32_t refuse_ppm;          /* a connect is refused although somebody listens */
    uint32_t late_completion_ppm; /* a completion comes up to completion_late_ns later, past others of other sockets */
    uint32_t late_wake_ppm;       /* a sleep ends up to wake_late_ns too late */
    int64_t completion_late_ns;
    int64_t wake_late_ns;
    int64_t latency_min_ns; /* bytes and connects on their way */
    int64_t latency_max_ns;
    int64_t poll_ns;      /* one poll costs 1 .. poll_ns */
    uint32_t pipe_bytes;  /* what a connection holds in one direction before a send would block */
    uint32_t backlog_max; /* connections that wait for accept; more are refused */
} twi_sim_faults;

/* What open() begins with: everything but resets and refusals. */
twi_sim_faults twi_sim_default_faults(void);
/* A calm world: delays only. */
twi_sim_faults twi_sim_no_faults(void);
void twi_sim_set_faults(twi_loop *loop, const twi_sim_faults *faults);

/* Breaks the connection of a live socket for both ends, as a network would. */
void twi_sim_break(twi_loop *loop, twi_sock sock);
/* Nothing is on its way and no timer is armed: another poll could not change anything. */
bool twi_sim_is_idle(const twi_loop *loop);
/* Of every callback so far (kind, slot, result, time): equal seeds and equal calls give equal digests. */
uint64_t twi_sim_digest(const twi_loop *loop);

#endif
