/* arena.c - a list of malloc'ed blocks, filled from the newest one. See arena.h. */
#include "engine/base/arena.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/assert.h"

enum { ALIGN_MAX = 4096 };

struct twi_arena_block {
    twi_arena_block *next;
    size_t used, cap; /* of bytes[] */
    unsigned char bytes[];
};

static size_t padding(const twi_arena_block *block, size_t align)
{
    uintptr_t at = (uintptr_t)block->bytes + block->used;
    return (size_t)(-at & (align - 1));
}

static bool fits(const twi_arena_block *block, size_t bytes, size_t align)
{
    size_t pad = padding(block, align);
    return pad <= block->cap - block->used && bytes <= block->cap - block->used - pad;
}

static twi_arena_block *add_block(twi_arena *arena, size_t bytes, size_t align)
{
    size_t cap = TWI_ARENA_BLOCK_BYTES;
    if (bytes > SIZE_MAX - align - sizeof(twi_arena_block))
        return NULL;
    if (bytes + align > cap)
        cap = bytes + align;
    twi_arena_block *block = calloc(1, sizeof(*block) + cap);
    if (!block)
        return NULL;
    block->cap = cap;
    block->next = arena->blocks;
    arena->blocks = block;
    arena->reserved_bytes += sizeof(*block) + cap;
    return block;
}

void *twi_arena_alloc(twi_arena *arena, size_t bytes, size_t align)
{
    TWI_ASSERT(!arena->sealed);
    TWI_ASSERT(align > 0 && align <= ALIGN_MAX && (align & (align - 1)) == 0);
    twi_arena_block *block = arena->blocks;
    if (!block || !fits(block, bytes, align))
        block = add_block(arena, bytes, align);
    if (!block)
        return NULL;
    block->used += padding(block, align);
    void *memory = block->bytes + block->used;
    block->used += bytes;
    TWI_ASSERT(block->used <= block->cap);
    return memory;
}

void *twi_arena_array(twi_arena *arena, size_t count, size_t item_bytes, size_t align)
{
    if (item_bytes && count > SIZE_MAX / item_bytes)
        return NULL;
    return twi_arena_alloc(arena, count * item_bytes, align);
}

char *twi_arena_text(twi_arena *arena, const char *text, size_t length)
{
    char *copy = length < SIZE_MAX ? twi_arena_alloc(arena, length + 1, 1) : NULL;
    if (copy)
        memcpy(copy, text, length);
    return copy;
}

void twi_arena_seal(twi_arena *arena)
{
    arena->sealed = true;
}

void twi_arena_free(twi_arena *arena)
{
    twi_arena_block *block = arena->blocks;
    while (block) {
        twi_arena_block *next = block->next;
        free(block);
        block = next;
    }
    *arena = (twi_arena){0};
}
