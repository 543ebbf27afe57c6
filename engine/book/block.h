/* block.h - up to 32 levels of one side of a book, in no order, and how one of them is found. For engine/book/book.c
 * only.
 *
 * Why:      a change comes at an unforeseeable place and is an insertion as often as a deletion. To keep neighbours in
 *           order means to move them, and to guess where; without an order a level is found by comparing with all keys of
 *           the block (eight vectors), added behind the last one, and removed by putting the last one in its place. Who
 *           reads levels in order sorts the block first; it is found sorted until the next change.
 * Padding:  unused keys are TWI_BLOCK_EMPTY, less than every key. */
#ifndef TWI_BOOK_BLOCK_H
#define TWI_BOOK_BLOCK_H

#include <stdint.h>

#include "engine/base/compiler.h"
#include "engine/book/book.h"

#if TWI_HAVE_AVX2_FUNCTIONS
#include <immintrin.h>
#endif

enum {
    TWI_BLOCK_LEVELS = 32,
    TWI_BLOCK_SPARE = TWI_BLOCK_LEVELS, /* a place that is written instead of a branch around the write */
    TWI_FLOOR_GROUP = 8
};
#define TWI_BLOCK_EMPTY INT64_MIN

typedef struct twi_book_block {
    int64_t keys[TWI_BLOCK_LEVELS + 1];
    int64_t amounts[TWI_BLOCK_LEVELS + 1];
    twi_level_digits digits[TWI_BLOCK_LEVELS + 1];
    bool sorted; /* best first */
} twi_book_block;

/* ---- for every machine ---- */

/* A bit for the place that has the key; 0: there is none. */
static TWI_ALWAYS_INLINE uint32_t twi_block_find(const twi_book_block *block, int64_t key)
{
    uint32_t found = 0;
    for (uint32_t i = 0; i < TWI_BLOCK_LEVELS; i++)
        found |= (uint32_t)(block->keys[i] == key) << i;
    return found;
}

/* How many of the next TWI_FLOOR_GROUP floors are better. */
static TWI_ALWAYS_INLINE uint32_t twi_block_floors(const int64_t *floors, int64_t key)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < TWI_FLOOR_GROUP; i++)
        count += floors[i] > key;
    return count;
}

/* The best key. */
static inline int64_t twi_block_best(const twi_book_block *block)
{
    int64_t best = block->keys[0];
    for (uint32_t i = 1; i < TWI_BLOCK_LEVELS; i++)
        best = block->keys[i] > best ? block->keys[i] : best;
    return best;
}

/* ---- with AVX2 ---- */

#if TWI_HAVE_AVX2_FUNCTIONS

/* A bit per number of four that meets the comparison. */
static TWI_ALWAYS_INLINE TWI_TARGET_AVX2 uint32_t twi_block_bits(__m256i met)
{
    return (uint32_t)_mm256_movemask_pd(_mm256_castsi256_pd(met));
}

static TWI_ALWAYS_INLINE TWI_TARGET_AVX2 __m256i twi_block_load(const int64_t *at)
{
    return _mm256_loadu_si256((const __m256i *)(const void *)at);
}

static TWI_ALWAYS_INLINE TWI_TARGET_AVX2 uint32_t twi_block_find_avx2(const twi_book_block *block, int64_t key)
{
    enum { VECTORS = TWI_BLOCK_LEVELS / 4 };
    __m256i wanted = _mm256_set1_epi64x(key);
    uint32_t found = 0;
    for (int i = 0; i < VECTORS; i++)
        found |= twi_block_bits(_mm256_cmpeq_epi64(twi_block_load(block->keys + 4 * i), wanted)) << 4 * i;
    return found;
}

static TWI_ALWAYS_INLINE TWI_TARGET_AVX2 uint32_t twi_block_floors_avx2(const int64_t *floors, int64_t key)
{
    __m256i wanted = _mm256_set1_epi64x(key);
    uint32_t better = twi_block_bits(_mm256_cmpgt_epi64(twi_block_load(floors), wanted)) |
                      twi_block_bits(_mm256_cmpgt_epi64(twi_block_load(floors + 4), wanted)) << 4;
    return (uint32_t)__builtin_popcount(better);
}
#endif

#endif
