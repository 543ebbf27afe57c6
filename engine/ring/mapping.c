/* mapping.c - the counted mapping that a producer shares with the readers of its own process. */
#include <stdlib.h>

#include "engine/ring/ring.h"

twi_ring_mapping *twi_ring_mapping_new(void)
{
    twi_ring_mapping *mapping = calloc(1, sizeof(*mapping));
    if (mapping) {
        atomic_init(&mapping->user_count, 1);
        mapping->doorbell_id = TWI_DOORBELL_NONE;
    }
    return mapping;
}

twi_ring_mapping *twi_ring_mapping_share(twi_ring_mapping *mapping)
{
    atomic_fetch_add_explicit(&mapping->user_count, 1, memory_order_relaxed);
    return mapping;
}

void twi_ring_mapping_release(twi_ring_mapping *mapping)
{
    if (atomic_fetch_sub_explicit(&mapping->user_count, 1, memory_order_acq_rel) != 1) {
        return;
    }
    twi_doorbell_close(mapping->doorbell, mapping->doorbell_id);
    twi_ring_memory_unmap(&mapping->memory);
    free(mapping);
}
