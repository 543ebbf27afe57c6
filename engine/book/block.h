/* block.h - up to 32 levels of one side of a book, in no order, and how one of them is found. For engine/book/book.c
 * only.
 *
 * Why:      a change comes at an unforeseeable place and is an insertion as often as a deletion. To keep neighbours in
 *           order means to move them, and to guess where. Without an order a level is found by comparing with all keys
 *           of the block (eight vectors), added behind the last one, and removed by putting the last one in its place.
 *           Who reads levels in order sorts the block first; it is found sorted until the next change.
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
    TWI_FLOOR_GROUP = 16
};
#define TWI_BLOCK_EMPTY INT64_MIN

/* Begins with a cache line, so that no vector of keys lies in two. */
typedef struct TWI_ALIGNED(TWI_CACHE_LINE_BYTES) twi_book_block {
    int64_t keys[TWI_BLOCK_LEVELS + 1];
    int64_t amounts[TWI_BLOCK_LEVELS + 1];
    twi_level_digits digits[TWI_BLOCK_LEVELS + 1];
    bool sorted; /* best first */
} twi_book_block;

/* ---- for every machine ---- */

/* The place that has the key; TWI_BLOCK_SPARE: there is none. */
static TWI_ALWAYS_INLINE uint32_t twi_block_find(const twi_book_block *block, int64_t key)
{
    uint32_t place = TWI_BLOCK_SPARE;
    for (uint32_t i = 0; i < TWI_BLOCK_LEVELS; i++)
        place = block->keys[i] == key ? i : place;
    return place;
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

static TWI_ALWAYS_INLINE TWI_TARGET_AVX2 __m256i twi_block_load(const int64_t *at)
{
    return _mm256_loadu_si256((const __m256i *)(const void *)at);
}

/* Which of 16 keys are equal: two bits each, in the order in which two packings leave them. */
static TWI_ALWAYS_INLINE TWI_TARGET_AVX2 uint32_t twi_block_equal16(const int64_t *keys, __m256i wanted)
{
    __m256i a = _mm256_packs_epi32(_mm256_cmpeq_epi64(twi_block_load(keys), wanted),
                                   _mm256_cmpeq_epi64(twi_block_load(keys + 4), wanted));
    __m256i b = _mm256_packs_epi32(_mm256_cmpeq_epi64(twi_block_load(keys + 8), wanted),
                                   _mm256_cmpeq_epi64(twi_block_load(keys + 12), wanted));
    return (uint32_t)_mm256_movemask_epi8(_mm256_packs_epi16(a, b));
}

static TWI_ALWAYS_INLINE TWI_TARGET_AVX2 uint32_t twi_block_find_avx2(const twi_book_block *block, int64_t key)
{
    /* Packing works in halves of a vector: keys 0 1, 4 5, 8 9, 12 13, then 2 3, 6 7, ... */
    static const uint8_t places[TWI_BLOCK_LEVELS + 1] = {0,  1,  4,  5,  8,  9,  12, 13, 2,  3,  6,
                                                         7,  10, 11, 14, 15, 16, 17, 20, 21, 24, 25,
                                                         28, 29, 18, 19, 22, 23, 26, 27, 30, 31, TWI_BLOCK_SPARE};
    __m256i wanted = _mm256_set1_epi64x(key);
    uint64_t low = twi_block_equal16(block->keys, wanted), high = twi_block_equal16(block->keys + 16, wanted);
    uint64_t found = low | high << 32;
    return places[_tzcnt_u64(found) / 2]; /* 64 of nothing */
}

static TWI_ALWAYS_INLINE TWI_TARGET_AVX2 uint32_t twi_block_floors_avx2(const int64_t *floors, int64_t key)
{
    __m256i wanted = _mm256_set1_epi64x(key);
    __m256i sum = _mm256_setzero_si256();
    for (int i = 0; i < TWI_FLOOR_GROUP; i += 4)
        sum = _mm256_sub_epi64(sum, _mm256_cmpgt_epi64(twi_block_load(floors + i), wanted));
    __m128i halves = _mm_add_epi64(_mm256_castsi256_si128(sum), _mm256_extracti128_si256(sum, 1));
    return (uint32_t)(_mm_cvtsi128_si64(halves) + _mm_extract_epi64(halves, 1));
}

static TWI_ALWAYS_INLINE TWI_TARGET_AVX2 __m256i twi_block_higher(__m256i a, __m256i b)
{
    return _mm256_blendv_epi8(b, a, _mm256_cmpgt_epi64(a, b));
}

static TWI_ALWAYS_INLINE TWI_TARGET_AVX2 int64_t twi_block_best_avx2(const twi_book_block *block)
{
    __m256i best = twi_block_load(block->keys), other = twi_block_load(block->keys + 4);
    for (int i = 8; i < TWI_BLOCK_LEVELS; i += 8) {
        best = twi_block_higher(best, twi_block_load(block->keys + i));
        other = twi_block_higher(other, twi_block_load(block->keys + i + 4));
    }
    best = twi_block_higher(best, other);
    best = twi_block_higher(best, _mm256_permute4x64_epi64(best, 0x4e));
    best = twi_block_higher(best, _mm256_permute4x64_epi64(best, 0xb1));
    return _mm256_extract_epi64(best, 0);
}
#endif

#endif
