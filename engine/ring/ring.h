/* ring.h - the two sides of a ring as they lie in private memory. For engine/ring and its tests; everybody else uses
 * include/tickwire/ring.h.
 *
 * Sharing:  readers opened in the producer's process use the producer's mapping, which is therefore counted: it goes
 *           away with its last user, so that a reader may outlive tw_ring_close(). Readers of other processes map
 *           read-only. */
#ifndef TWI_RING_INTERNAL_H
#define TWI_RING_INTERNAL_H

#include <stdatomic.h>
#include <stdint.h>

#include "engine/ring/doorbell.h"
#include "engine/ring/layout.h"
#include "engine/ring/memory.h"
#include "tickwire/ring.h"

typedef struct twi_ring_mapping {
    _Atomic uint32_t user_count;
    twi_ring_memory memory;
    twi_doorbell *doorbell; /* may be NULL */
    int32_t doorbell_id;
} twi_ring_mapping;

struct tw_ring {
    twi_slots slots;
    uint64_t next;       /* sequence number that the next commit publishes */
    twi_slot *last;      /* last values; NULL: not kept */
    uint64_t last_count; /* slots there */
    twi_ring_header *header;
    TWI_ALIGNED(TWI_CACHE_LINE_BYTES) tw_event staging;

    TWI_ALIGNED(TWI_CACHE_LINE_BYTES) twi_ring_mapping *mapping;
    tw_symbols *symbols;
    int lock;                         /* -1: anonymous */
    char name[TWI_RING_NAME_MAX + 1]; /* "": anonymous */
};

/* The pointers of `slots` lead into a mapping that may be read-only: a reader's code only loads through them. */
struct tw_ring_reader {
    twi_slots slots;
    twi_cursor cursor;
    const twi_ring_header *header;
    const tw_symbols *symbols;
    const twi_slot *last; /* NULL: not kept */
    uint32_t instrument_count_max;
    uint64_t epoch;
    twi_ring_mapping *mapping;
};

/* A mapping with one user, or NULL if there is no memory. */
twi_ring_mapping *twi_ring_mapping_new(void);
twi_ring_mapping *twi_ring_mapping_share(twi_ring_mapping *mapping);
void twi_ring_mapping_release(twi_ring_mapping *mapping);

#endif
