/* resolve.h - host names to addresses, off the loop: the system's resolver blocks, so each question has a thread.
 *
 * Usage:    twi_resolver_ask() and go on; the answer comes from twi_resolver_step(), which the loop's thread calls
 *           after the resolver woke it. twi_resolver_cancel() when the answer is no longer wanted.
 * Threads:  at most TWI_RESOLVE_THREADS_MAX questions are under way, others wait. close() does not wait for the system:
 *           what is still under way then is left to itself, and frees itself.
 * Order:    IPv6 and IPv4 addresses take turns (RFC 8305 section 4), the system's first choice first, so that one
 *           family that is not routed costs one attempt.
 * Memory:   control path: every question is allocated. Non-goals: a cache (the system has one). */
#ifndef TWI_RESOLVE_H
#define TWI_RESOLVE_H

#include <stdint.h>

#include "tickwire/status.h"

enum { TWI_RESOLVE_THREADS_MAX = 8, TWI_RESOLVE_ADDRESS_COUNT_MAX = 8, TWI_RESOLVE_ADDRESS_TEXT_MAX = 63 };

typedef struct twi_addresses {
    uint32_t count;
    char text[TWI_RESOLVE_ADDRESS_COUNT_MAX][TWI_RESOLVE_ADDRESS_TEXT_MAX + 1]; /* as twi_address.host wants them */
} twi_addresses;

/* error: NULL, or why there is none ("Name or service not known"). Both live during the call only. */
typedef void (*twi_resolved_fn)(void *owner, const twi_addresses *addresses, const char *error);
typedef void (*twi_wake_fn)(void *owner);

typedef struct twi_resolver twi_resolver;

/* wake: called from a foreign thread when step() has something to do, never after close(). TW_NO_MEMORY. */
TW_MUST_USE tw_status twi_resolver_open(twi_wake_fn wake, void *wake_owner, twi_resolver **resolver);
void twi_resolver_close(twi_resolver *resolver);
/* An id for cancel(), never 0; 0: no memory or no thread. */
uint64_t twi_resolver_ask(twi_resolver *resolver, const char *host, twi_resolved_fn done, void *owner);
void twi_resolver_cancel(twi_resolver *resolver, uint64_t id);
/* Gives out the answers that are there. Returns how many. */
uint32_t twi_resolver_step(twi_resolver *resolver);

#endif
