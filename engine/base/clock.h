/* clock.h - the two clocks. Hot paths get their time passed in; only composition roots and loops read these. */
#ifndef TWI_CLOCK_H
#define TWI_CLOCK_H

#include <stdint.h>
#include <time.h>

static inline int64_t twi_timespec_ns(struct timespec time)
{
    return (int64_t)time.tv_sec * 1000000000 + time.tv_nsec;
}

/* For deadlines and durations; its origin means nothing. */
static inline int64_t twi_monotonic_ns(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return twi_timespec_ns(time);
}

/* Unix time: recv_ns, publish_ns. */
static inline int64_t twi_realtime_ns(void)
{
    struct timespec time;
    clock_gettime(CLOCK_REALTIME, &time);
    return twi_timespec_ns(time);
}

#endif
