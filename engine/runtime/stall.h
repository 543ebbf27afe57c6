/* stall.h - a deliberate fault: holds a loop up for a while once per interval, so that a measurement can be tested.
 *
 * Job:       proof that latencies are counted from when a message was due: a loop that rests for 50 ms once per second
 *            makes 5 % of the messages late by up to 50 ms, and a harness that does not show that hides stalls.
 * Usage:     one twi_stall per loop; twi_stall_step() once per turn. Does nothing with test.stall = 0s, the default.
 * Non-goals: anything but tests; a loop that rests serves nobody. */
#ifndef TWI_STALL_H
#define TWI_STALL_H

#include <stdint.h>
#include <time.h>

#include "engine/base/clock.h"
#include "engine/base/settings.h"

typedef struct twi_stall {
    int64_t next_ns; /* monotonic; 0: not yet begun */
} twi_stall;

/* Intervals are counted from the first call, not from the end of a stall, so that there is one per interval. */
static inline void twi_stall_step(twi_stall *stall, const twi_settings_test *settings)
{
    if (settings->stall_ns == 0)
        return;
    int64_t now_ns = twi_monotonic_ns();
    if (stall->next_ns == 0)
        stall->next_ns = now_ns + settings->stall_interval_ns;
    if (now_ns < stall->next_ns)
        return;
    int64_t left_ns = settings->stall_ns;
    stall->next_ns += settings->stall_interval_ns;
    struct timespec rest = {.tv_sec = left_ns / 1000000000, .tv_nsec = left_ns % 1000000000};
    while (nanosleep(&rest, &rest) != 0) {
    }
}

#endif
