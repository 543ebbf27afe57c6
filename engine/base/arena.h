/* arena.h - memory that is taken at start and given back at the end, as a whole.
 *
 * Job:       one place that start-up code allocates from, so that "no allocation while running" can be enforced: after
 *            twi_arena_seal() an allocation is a broken invariant.
 * Usage:     twi_arena arena = {0}; alloc...; seal; run; twi_arena_free().
 * Memory:    zeroed; blocks from malloc, larger requests get a block of their own. Nothing moves.
 * Thread:    one at a time. Non-goals: freeing single objects, huge pages (see engine/ring). */
#ifndef TWI_ARENA_H
#define TWI_ARENA_H

#include <stdbool.h>
#include <stddef.h>

typedef struct twi_arena_block twi_arena_block;

typedef struct twi_arena {
    twi_arena_block *blocks;
    size_t reserved_bytes; /* taken from malloc */
    bool sealed;
} twi_arena;

enum { TWI_ARENA_BLOCK_BYTES = 64 * 1024 };

/* Zeroed memory at an `align` boundary (a power of two up to 4096); NULL if there is none. `bytes` may be 0. */
void *twi_arena_alloc(twi_arena *arena, size_t bytes, size_t align);
/* The same for count items of a type's size; NULL too if the product overflows. */
void *twi_arena_array(twi_arena *arena, size_t count, size_t item_bytes, size_t align);
/* A copy of text[0..length) with a NUL behind it. */
char *twi_arena_text(twi_arena *arena, const char *text, size_t length);

void twi_arena_seal(twi_arena *arena);
void twi_arena_free(twi_arena *arena); /* everything at once; the arena may be used again */

#endif
