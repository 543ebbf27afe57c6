/* idmap.h - order-book ids to prices, for venues whose changes name a level by id alone (BitMEX): an open hash in
 * memory of the caller, bounded, without allocation. */
#ifndef TWI_IDMAP_H
#define TWI_IDMAP_H

#include <stdbool.h>
#include <stdint.h>

#include "tickwire/decimal.h"

/* One level; id 0 is a free place. Zeroed memory is an empty map. */
typedef struct twi_idmap_entry {
    uint64_t id;
    tw_decimal price;
} twi_idmap_entry;

typedef struct twi_idmap {
    uint32_t count;
    twi_idmap_entry *entries;
    uint32_t mask; /* places - 1, a power of two less one; at most 3/4 are used */
} twi_idmap;

void twi_idmap_clear(twi_idmap *map);
/* False: the map is full, or the id is 0. */
bool twi_idmap_put(twi_idmap *map, uint64_t id, tw_decimal price);
bool twi_idmap_get(const twi_idmap *map, uint64_t id, tw_decimal *price);
void twi_idmap_remove(twi_idmap *map, uint64_t id);

#endif
