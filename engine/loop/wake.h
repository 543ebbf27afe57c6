/* wake.h - wake-ups between threads that cost a system call only when the loop sleeps.
 *
 * Job:       a three-state word. The waker leaves a token; the loop says that it is about to sleep and finds the token
 *            if it came first; only who finds the loop asleep must ring the bell (eventfd, EVFILT_USER).
 * Argument:  both sides use one atomic read-modify-write on the same word, so they are ordered one way or the other:
 *            either the loop sees the token and does not sleep, or the waker sees SLEEPING and rings. Acquire and
 *            release make what was written before wake() visible to what runs after poll().
 * Non-goals: counting wake-ups; many before one poll() are one. */
#ifndef TWI_WAKE_H
#define TWI_WAKE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

enum { TWI_WAKE_NONE = 0, TWI_WAKE_TOKEN = 1, TWI_WAKE_SLEEPING = 2 };

typedef struct twi_wake_word {
    _Atomic uint32_t state;
} twi_wake_word;

/* Any thread. True: the loop sleeps, ring the bell. */
static inline bool twi_wake_leave_token(twi_wake_word *word)
{
    return atomic_exchange_explicit(&word->state, TWI_WAKE_TOKEN, memory_order_acq_rel) == TWI_WAKE_SLEEPING;
}

/* The loop, before it sleeps. False: a token was there (and is taken), do not sleep. */
static inline bool twi_wake_may_sleep(twi_wake_word *word)
{
    uint32_t expected = TWI_WAKE_NONE;
    if (atomic_compare_exchange_strong_explicit(&word->state, &expected, TWI_WAKE_SLEEPING, memory_order_acq_rel,
                                                memory_order_acquire))
        return true;
    atomic_store_explicit(&word->state, TWI_WAKE_NONE, memory_order_relaxed);
    return false;
}

/* The loop, after a sleep and in polls that do not sleep. True: a token was there. */
static inline bool twi_wake_take_token(twi_wake_word *word)
{
    if (atomic_load_explicit(&word->state, memory_order_relaxed) == TWI_WAKE_NONE)
        return false;
    return atomic_exchange_explicit(&word->state, TWI_WAKE_NONE, memory_order_acq_rel) == TWI_WAKE_TOKEN;
}

#endif
