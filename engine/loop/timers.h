/* timers.h - armed timers of one loop: a 4-ary heap of (deadline, op), ordered by deadline and then by arming.
 *
 * Job:       arm, cancel and pop in O(log n) without allocation; timers of one deadline fire in the order of arming.
 * Usage:     twi_timers_init() takes memory once; the op's loop_index is its place in the heap while it is armed.
 * Non-goals: knowing the time. */
#ifndef TWI_TIMERS_H
#define TWI_TIMERS_H

#include <stdbool.h>

#include "engine/loop/loop.h"

typedef struct twi_timer_entry {
    int64_t deadline_ns;
    uint64_t sequence;
    twi_op *op;
} twi_timer_entry;

typedef struct twi_timers {
    twi_timer_entry *entries;
    uint32_t count;
    uint32_t capacity;
    uint64_t sequence;
} twi_timers;

/* TW_NO_MEMORY when the entries cannot be had. */
tw_status twi_timers_init(twi_timers *timers, uint32_t capacity);
void twi_timers_fini(twi_timers *timers);

/* TW_FULL: the timer was not armed. */
tw_status twi_timers_arm(twi_timers *timers, twi_op *op, int64_t deadline_ns);
/* The op must be armed here. */
void twi_timers_cancel(twi_timers *timers, twi_op *op);
/* The next op with a deadline at or before now_ns, disarmed; NULL if none is due. */
twi_op *twi_timers_pop(twi_timers *timers, int64_t now_ns);

/* Runs the callbacks of what is due at now_ns; a timer that arms itself in the past fires in the next call. */
uint32_t twi_timers_run(twi_timers *timers, twi_loop *loop, int64_t now_ns);
/* How long a poll may sleep: 0 not at all, -1 for ever, else nanoseconds. Reads the clock only if there is a choice. */
int64_t twi_timers_wait_ns(const twi_timers *timers, int64_t wait_until_ns);

/* INT64_MAX when nothing is armed. */
static inline int64_t twi_timers_next_ns(const twi_timers *timers)
{
    return timers->count == 0 ? INT64_MAX : timers->entries[0].deadline_ns;
}

#endif
