/* idmap.c - linear probing; a removal moves later entries of the run forward, so that no marks of the dead are
 * needed. */
#include "feed/idmap.h"

#include <string.h>

static uint32_t home_of(const twi_idmap *map, uint64_t id)
{
    return (uint32_t)((id * UINT64_C(0x9e3779b97f4a7c15)) >> 32) & map->mask;
}

/* The place of id, or the free place where its search ends. */
static uint32_t find(const twi_idmap *map, uint64_t id)
{
    uint32_t at = home_of(map, id);
    while (map->entries[at].id != 0 && map->entries[at].id != id)
        at = (at + 1) & map->mask;
    return at;
}

void twi_idmap_clear(twi_idmap *map)
{
    if (map->count > 0)
        memset(map->entries, 0, ((size_t)map->mask + 1) * sizeof(*map->entries));
    map->count = 0;
}

bool twi_idmap_put(twi_idmap *map, uint64_t id, tw_decimal price)
{
    uint32_t at = find(map, id);
    if (id == 0)
        return false;
    if (map->entries[at].id == 0) {
        if (map->count >= map->mask / 4 * 3)
            return false;
        map->count++;
    }
    map->entries[at] = (twi_idmap_entry){.id = id, .price = price};
    return true;
}

bool twi_idmap_get(const twi_idmap *map, uint64_t id, tw_decimal *price)
{
    uint32_t at = find(map, id);
    if (id == 0 || map->entries[at].id == 0)
        return false;
    *price = map->entries[at].price;
    return true;
}

void twi_idmap_remove(twi_idmap *map, uint64_t id)
{
    uint32_t hole = find(map, id);
    if (id == 0 || map->entries[hole].id == 0)
        return;
    for (uint32_t at = (hole + 1) & map->mask; map->entries[at].id != 0; at = (at + 1) & map->mask) {
        uint32_t home = home_of(map, map->entries[at].id);
        /* It may move if its home is not between the hole and its place. */
        if (((at - home) & map->mask) < ((at - hole) & map->mask))
            continue;
        map->entries[hole] = map->entries[at];
        hole = at;
    }
    map->entries[hole] = (twi_idmap_entry){.id = 0};
    map->count--;
}
