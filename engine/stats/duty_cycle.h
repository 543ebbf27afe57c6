/* duty_cycle.h - a watch on a loop thread: how many rounds, how long the worst one worked, where the time goes.
 *
 * Use:      enter(IN_KERNEL) before a call that may sleep, enter(IN_CALLBACKS) when it runs callbacks,
 *           enter(IN_STEPS) for what the thread does itself, and round() once per round. Time is passed in, so that
 *           tests turn the clock.
 * Worst:    a round's work is its time without the kernel part: sleeping is not being late.
 * Cost:     a few relaxed stores into the thread's own cells (counters.h); no system call.
 * Thread:   the loop's own. */
#ifndef TWI_DUTY_CYCLE_H
#define TWI_DUTY_CYCLE_H

#include <stdint.h>

#include "engine/stats/counters.h"

typedef enum twi_duty_place {
    TWI_DUTY_IN_KERNEL,
    TWI_DUTY_IN_CALLBACKS,
    TWI_DUTY_IN_STEPS,
} twi_duty_place;

typedef struct twi_duty {
    twi_cells *cells;
    int64_t since_ns; /* when the present place was entered */
    int64_t work_ns;  /* of this round up to since_ns */
    int64_t overrun_ns;
    twi_duty_place place;
} twi_duty;

/* overrun_ns: work of a round from which on it counts as an overrun; INT64_MAX: never. Starts in IN_STEPS. */
static inline void twi_duty_init(twi_duty *duty, twi_cells *cells, int64_t overrun_ns, int64_t now_ns)
{
    *duty = (twi_duty){.cells = cells, .since_ns = now_ns, .overrun_ns = overrun_ns, .place = TWI_DUTY_IN_STEPS};
}

static inline void twi_duty_enter(twi_duty *duty, twi_duty_place place, int64_t now_ns)
{
    static const uint16_t counter_of[] = {
        [TWI_DUTY_IN_KERNEL] = TWI_COUNTER_LOOP_KERNEL_NS,
        [TWI_DUTY_IN_CALLBACKS] = TWI_COUNTER_LOOP_CALLBACK_NS,
        [TWI_DUTY_IN_STEPS] = TWI_COUNTER_LOOP_STEP_NS,
    };
    int64_t spent_ns = now_ns > duty->since_ns ? now_ns - duty->since_ns : 0;
    twi_counter_add(duty->cells, (twi_counter)counter_of[duty->place], (uint64_t)spent_ns);
    duty->work_ns += duty->place == TWI_DUTY_IN_KERNEL ? 0 : spent_ns;
    duty->since_ns = now_ns;
    duty->place = place;
}

/* Ends a round; the place stays. */
static inline void twi_duty_round(twi_duty *duty, int64_t now_ns)
{
    twi_duty_enter(duty, duty->place, now_ns);
    twi_counter_increment(duty->cells, TWI_COUNTER_LOOP_CYCLES);
    if (TWI_UNLIKELY(duty->work_ns > (int64_t)twi_counter_get(duty->cells, TWI_COUNTER_LOOP_WORST_NS))) {
        twi_counter_set(duty->cells, TWI_COUNTER_LOOP_WORST_NS, (uint64_t)duty->work_ns);
    }
    if (TWI_UNLIKELY(duty->work_ns >= duty->overrun_ns)) {
        twi_counter_increment(duty->cells, TWI_COUNTER_LOOP_OVERRUNS);
    }
    duty->work_ns = 0;
}

#endif
