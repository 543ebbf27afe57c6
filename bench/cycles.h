/* cycles.h - CPU cycles and instructions of a stretch of code, where the machine shows them.
 *
 * Usage:    twb_cycles *counting = twb_cycles_open();     NULL: not available, twb_cycles_reason() says why
 *           twb_cycles_start(counting); ... twb_cycles_stop(counting, &count);
 * Limits:   Linux's perf_event_open, this thread, user space only; virtual machines and containers often forbid it. All
 *           calls take NULL and then do nothing. */
#ifndef TWI_BENCH_CYCLES_H
#define TWI_BENCH_CYCLES_H

#include <stdint.h>

typedef struct twb_cycles twb_cycles;

typedef struct twb_cycle_count {
    uint64_t cycles, instructions; /* added to by twb_cycles_stop() */
} twb_cycle_count;

twb_cycles *twb_cycles_open(void);
void twb_cycles_close(twb_cycles *counting);
/* Why the last open() gave NULL, for people. */
const char *twb_cycles_reason(void);
void twb_cycles_start(twb_cycles *counting);
void twb_cycles_stop(twb_cycles *counting, twb_cycle_count *count);

/* "cycles and instructions: not available: REASON" on stdout, or nothing. */
void twb_cycles_print_absence(const twb_cycles *counting);

#endif
