/* rounds.c - see rounds.h. */
#include "bench/rounds.h"

#include <stdlib.h>
#include <string.h>

#include "engine/base/assert.h"
#include "engine/base/clock.h"

static int by_size(const void *a, const void *b)
{
    double left = *(const double *)a, right = *(const double *)b;
    return (left > right) - (left < right);
}

twb_spread twb_spread_of(const double *values, uint32_t count)
{
    double sorted[TWB_ROUNDS_MAX];
    TWI_ASSERT(count > 0 && count <= TWB_ROUNDS_MAX);
    memcpy(sorted, values, count * sizeof(*values));
    qsort(sorted, count, sizeof(*sorted), by_size);
    return (twb_spread){.low = sorted[count / 4], .median = sorted[count / 2], .high = sorted[count - 1 - count / 4]};
}

twb_spread twb_ratio_of(const double *above, const double *below, uint32_t count)
{
    double ratios[TWB_ROUNDS_MAX];
    TWI_ASSERT(count > 0 && count <= TWB_ROUNDS_MAX);
    for (uint32_t i = 0; i < count; i++)
        ratios[i] = above[i] / below[i];
    return twb_spread_of(ratios, count);
}

int64_t twb_cpu_ns(void)
{
    struct timespec time;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
    return twi_timespec_ns(time);
}
