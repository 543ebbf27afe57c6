/* nap.h - a sleep that another thread can end: for threads without a loop to wait in.
 *
 * Usage:     twi_nap_init() once; the sleeper calls twi_nap_sleep(), anybody twi_nap_end(). An end before the
 *            sleep ends the next one, so none is missed.
 * Thread:    one sleeper; twi_nap_end() from any thread, not from a signal handler.
 * Non-goals: a way of a tick: it takes a lock. */
#ifndef TWI_NAP_H
#define TWI_NAP_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

typedef struct twi_nap {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool ended;
} twi_nap;

void twi_nap_init(twi_nap *nap);
void twi_nap_fini(twi_nap *nap);
/* Sleeps for duration_ns, less if it is ended; not at all if duration_ns is not above 0. */
void twi_nap_sleep(twi_nap *nap, int64_t duration_ns);
void twi_nap_end(twi_nap *nap);

#endif
