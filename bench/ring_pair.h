/* ring_pair.h - two sides on two cores, as processes or threads, and a clock that is cheap enough to time a cache line.
 *
 * Use:      pair_run() starts side B beside the caller, runs side A in the caller, and returns when both are done.
 * Clock:    the CPU's counter (constant rate on the machines this is for), calibrated against CLOCK_MONOTONIC. */
#ifndef TWI_BENCH_RING_PAIR_H
#define TWI_BENCH_RING_PAIR_H

#include <stdint.h>

#include "engine/base/clock.h"

typedef struct pair {
    int cpu_a, cpu_b; /* -1: not pinned */
    int threads;      /* 1: threads of one process, 0: processes */
} pair;

typedef void (*pair_side)(void *owner);

/* `owner` must be memory that both sides share, if they are to talk through it. Ends the program if side B fails. */
void pair_run(const pair *how, pair_side side_a, pair_side side_b, void *owner);
/* Zeroed memory that a forked side shares. Never NULL. */
void *pair_memory(size_t bytes);
/* CPUs that this process may use; writes up to two of them. */
int pair_cpus(int cpus[2]);
/* Ticks per ns, from about `duration_ns` of comparing. */
double pair_calibrate(int64_t duration_ns);

static inline int64_t pair_ticks(void)
{
#if defined(__x86_64__)
    uint32_t low, high;
    __asm__ __volatile__("rdtsc" : "=a"(low), "=d"(high));
    return (int64_t)((uint64_t)high << 32 | low);
#elif defined(__aarch64__)
    uint64_t ticks;
    __asm__ __volatile__("isb; mrs %0, cntvct_el0" : "=r"(ticks));
    return (int64_t)ticks;
#else
    return twi_monotonic_ns();
#endif
}

#endif
