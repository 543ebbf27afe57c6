/* nap.c - see nap.h. */
#include "engine/runtime/nap.h"

#include <time.h>

#include "engine/base/clock.h"

enum { NS_PER_S = 1000000000 };

static struct timespec timespec_of(int64_t ns)
{
    return (struct timespec){.tv_sec = (time_t)(ns / NS_PER_S), .tv_nsec = (long)(ns % NS_PER_S)};
}

/* Durations are of the monotonic clock, which macOS cannot give to a condition variable but can wait for. */
#if defined(__APPLE__)
static void wait_until(twi_nap *nap, int64_t deadline_ns)
{
    struct timespec left = timespec_of(deadline_ns - twi_monotonic_ns());
    if (left.tv_sec >= 0 && left.tv_nsec >= 0)
        pthread_cond_timedwait_relative_np(&nap->changed, &nap->lock, &left);
}

static void changed_init(pthread_cond_t *changed)
{
    pthread_cond_init(changed, NULL);
}
#else
static void wait_until(twi_nap *nap, int64_t deadline_ns)
{
    struct timespec deadline = timespec_of(deadline_ns);
    pthread_cond_timedwait(&nap->changed, &nap->lock, &deadline);
}

static void changed_init(pthread_cond_t *changed)
{
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(changed, &attributes);
    pthread_condattr_destroy(&attributes);
}
#endif

void twi_nap_init(twi_nap *nap)
{
    nap->ended = false;
    pthread_mutex_init(&nap->lock, NULL);
    changed_init(&nap->changed);
}

void twi_nap_fini(twi_nap *nap)
{
    pthread_cond_destroy(&nap->changed);
    pthread_mutex_destroy(&nap->lock);
}

void twi_nap_sleep(twi_nap *nap, int64_t duration_ns)
{
    if (duration_ns <= 0)
        return;
    int64_t deadline_ns = twi_monotonic_ns() + duration_ns;
    pthread_mutex_lock(&nap->lock);
    while (!nap->ended && twi_monotonic_ns() < deadline_ns)
        wait_until(nap, deadline_ns);
    nap->ended = false;
    pthread_mutex_unlock(&nap->lock);
}

void twi_nap_end(twi_nap *nap)
{
    pthread_mutex_lock(&nap->lock);
    nap->ended = true;
    pthread_cond_signal(&nap->changed);
    pthread_mutex_unlock(&nap->lock);
}
