/* rounds.h - what the benchmarks share that compare things in one run: medians, spreads, ratios round by round.
 *
 * Method:   the cases are interleaved, round by round, so that a disturbance hits all of them; a ratio is the median of
 *           the ratios of the rounds, not the ratio of the medians. */
#ifndef TWI_BENCH_ROUNDS_H
#define TWI_BENCH_ROUNDS_H

#include <stdint.h>

enum { TWB_ROUNDS_MAX = 1024 };

typedef struct twb_spread {
    double low, median, high; /* quartiles */
} twb_spread;

/* count: 1 .. TWB_ROUNDS_MAX. */
twb_spread twb_spread_of(const double *values, uint32_t count);

/* Of above[i] / below[i]. */
twb_spread twb_ratio_of(const double *above, const double *below, uint32_t count);

/* CPU time of this thread, so that a busy machine distorts less. */
int64_t twb_cpu_ns(void);

#endif
