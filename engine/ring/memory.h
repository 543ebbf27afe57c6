/* memory.h - the memory that a ring lies in: named shared memory, its lock, anonymous memory, huge pages.
 *
 * SIGBUS:   a sparse object in a full /dev/shm kills whoever touches it, so every page is really allocated at open,
 *           and lack of room is an error with the sizes in it. Only the owner may write to the object, so nobody else
 *           can shrink it later.
 * Lock:     a live producer holds an flock on a small lock object ("NAME.lock", mode 0600, so that readers cannot
 *           hold it). The kernel drops it with the process, however that ends: a dead producer's name is free at
 *           once, a live one's is never taken over, and no pid is guessed about. A child that a producer forked
 *           without exec keeps the lock as long as it lives.
 * Errors:   a status and a text that says what to do. error may be NULL if error_cap is 0.
 * Thread:   all calls at open and close only. */
#ifndef TWI_RING_MEMORY_H
#define TWI_RING_MEMORY_H

#include <stddef.h>
#include <stdint.h>

#include "engine/base/compiler.h"
#include "tickwire/status.h"

typedef struct twi_ring_memory {
    void *base;
    size_t bytes; /* mapped; at least what was asked for */
    int huge;     /* 1: really on huge pages */
} twi_ring_memory;

/* What the memory should be like, where the system can do it. */
typedef struct twi_ring_wish {
    int huge_pages;
    int node; /* NUMA node; -1: wherever it comes */
} twi_ring_wish;

typedef struct twi_ring_error {
    char *text;
    size_t cap;
} twi_ring_error;

/* Writes the text and returns `status`. */
tw_status twi_ring_fail(twi_ring_error error, tw_status status, const char *format, ...) TWI_PRINTF(3, 4);

/* TW_BAD_ARGUMENT with the rule that the name breaks. */
tw_status twi_ring_name_check(const char *name, twi_ring_error error);

/* Zeroed read-write memory shared with children. */
tw_status twi_ring_memory_anonymous(size_t bytes, const twi_ring_wish *wish, twi_ring_memory *memory,
                                    twi_ring_error error);
/* Makes the named object; the caller holds the name's lock and has removed an older object. */
tw_status twi_ring_memory_create(const char *name, size_t bytes, uint32_t mode, const twi_ring_wish *wish,
                                 twi_ring_memory *memory, twi_ring_error error);
/* Maps an existing object read-only, whatever is in it; at least bytes_min long. TW_UNAVAILABLE with the
 * reason; TW_AGAIN: shorter than that, so it may be in the making. */
tw_status twi_ring_memory_attach(const char *name, size_t bytes_min, twi_ring_memory *memory, twi_ring_error error);
/* Maps the first `bytes` of an existing object read-write; TW_EMPTY if there is none. */
tw_status twi_ring_memory_attach_old(const char *name, size_t bytes, twi_ring_memory *memory, twi_ring_error error);
void twi_ring_memory_unmap(twi_ring_memory *memory);
void twi_ring_memory_unlink(const char *name);
/* The NUMA node that a touched page lies on; -1: the system does not say. */
int twi_ring_memory_node(const void *page);

/* TW_UNAVAILABLE: a live producer has it. */
tw_status twi_ring_lock(const char *name, int *lock, twi_ring_error error);
void twi_ring_unlock(const char *name, int lock);

#endif
