/* byte_mask.h - one bit per byte of a stretch of 64: where the bytes are that are no digits. With SSE2,
 * AVX2, NEON, or a loop.
 *
 * Usage:    number scanners find the ends of all numbers of a stretch at once, instead of one after the other.
 * Bounds:   reads exactly TWI_MASK_BYTES bytes. */
#ifndef TWI_BYTE_MASK_H
#define TWI_BYTE_MASK_H

#include <stdint.h>
#include <string.h>

#include "engine/base/compiler.h"

#if defined(__x86_64__)
#include <immintrin.h>
#elif defined(__aarch64__) && defined(__ARM_NEON)
#include <arm_neon.h>
#endif

enum { TWI_MASK_BYTES = 64 };

#if defined(__x86_64__)
/* 16 bytes at `at`. */
static TWI_ALWAYS_INLINE uint64_t twi_mask_digits16(const uint8_t *at)
{
    __m128i value = _mm_sub_epi8(_mm_loadu_si128((const __m128i *)(const void *)at), _mm_set1_epi8('0'));
    return (uint64_t)(uint32_t)_mm_movemask_epi8(_mm_cmpeq_epi8(_mm_min_epu8(value, _mm_set1_epi8(9)), value));
}

/* 16 bytes at `at`. */
static TWI_ALWAYS_INLINE uint64_t twi_mask_equal16(const uint8_t *at, uint8_t byte)
{
    __m128i value = _mm_loadu_si128((const __m128i *)(const void *)at);
    return (uint64_t)(uint32_t)_mm_movemask_epi8(_mm_cmpeq_epi8(value, _mm_set1_epi8((char)byte)));
}

/* Bit i is set if at[i] is this byte. */
static TWI_ALWAYS_INLINE uint64_t twi_mask_equal(const uint8_t *at, uint8_t byte)
{
    return twi_mask_equal16(at, byte) | twi_mask_equal16(at + 16, byte) << 16 | twi_mask_equal16(at + 32, byte) << 32 |
           twi_mask_equal16(at + 48, byte) << 48;
}

/* Bit i is set if at[i] is not one of 0..9. */
static TWI_ALWAYS_INLINE uint64_t twi_mask_not_digits(const uint8_t *at)
{
    return ~(twi_mask_digits16(at) | twi_mask_digits16(at + 16) << 16 | twi_mask_digits16(at + 32) << 32 |
             twi_mask_digits16(at + 48) << 48);
}
#elif defined(__aarch64__) && defined(__ARM_NEON)
/* The highest bits of 64 bytes of 0 or 255, in the order of the bytes. */
static TWI_ALWAYS_INLINE uint64_t twi_mask_bits(uint8x16_t a, uint8x16_t b, uint8x16_t c, uint8x16_t d)
{
    const uint8x16_t weights = {1, 2, 4, 8, 16, 32, 64, 128, 1, 2, 4, 8, 16, 32, 64, 128};
    uint8x16_t low = vpaddq_u8(vandq_u8(a, weights), vandq_u8(b, weights));
    uint8x16_t high = vpaddq_u8(vandq_u8(c, weights), vandq_u8(d, weights));
    uint8x16_t sums = vpaddq_u8(low, high);
    return vgetq_lane_u64(vreinterpretq_u64_u8(vpaddq_u8(sums, sums)), 0);
}

static TWI_ALWAYS_INLINE uint8x16_t twi_mask_not_digits16(const uint8_t *at)
{
    return vcgtq_u8(vsubq_u8(vld1q_u8(at), vdupq_n_u8('0')), vdupq_n_u8(9));
}

static TWI_ALWAYS_INLINE uint64_t twi_mask_not_digits(const uint8_t *at)
{
    return twi_mask_bits(twi_mask_not_digits16(at), twi_mask_not_digits16(at + 16), twi_mask_not_digits16(at + 32),
                         twi_mask_not_digits16(at + 48));
}

static TWI_ALWAYS_INLINE uint64_t twi_mask_equal(const uint8_t *at, uint8_t byte)
{
    uint8x16_t wanted = vdupq_n_u8(byte);
    return twi_mask_bits(vceqq_u8(vld1q_u8(at), wanted), vceqq_u8(vld1q_u8(at + 16), wanted),
                         vceqq_u8(vld1q_u8(at + 32), wanted), vceqq_u8(vld1q_u8(at + 48), wanted));
}
#else
static TWI_ALWAYS_INLINE uint64_t twi_mask_not_digits(const uint8_t *at)
{
    uint64_t mask = 0;
    for (int i = 0; i < TWI_MASK_BYTES; i++)
        mask |= (uint64_t)((uint8_t)(at[i] - '0') > 9) << i;
    return mask;
}

static TWI_ALWAYS_INLINE uint64_t twi_mask_equal(const uint8_t *at, uint8_t byte)
{
    uint64_t mask = 0;
    for (int i = 0; i < TWI_MASK_BYTES; i++)
        mask |= (uint64_t)(at[i] == byte) << i;
    return mask;
}
#endif

#if TWI_HAVE_AVX2_FUNCTIONS
static TWI_ALWAYS_INLINE TWI_TARGET_AVX2 uint64_t twi_mask_digits32(const uint8_t *at)
{
    __m256i value = _mm256_sub_epi8(_mm256_loadu_si256((const __m256i *)(const void *)at), _mm256_set1_epi8('0'));
    __m256i digits = _mm256_cmpeq_epi8(_mm256_min_epu8(value, _mm256_set1_epi8(9)), value);
    return (uint64_t)(uint32_t)_mm256_movemask_epi8(digits);
}

static TWI_ALWAYS_INLINE TWI_TARGET_AVX2 uint64_t twi_mask_not_digits_avx2(const uint8_t *at)
{
    return ~(twi_mask_digits32(at) | twi_mask_digits32(at + 32) << 32);
}

static TWI_ALWAYS_INLINE TWI_TARGET_AVX2 uint64_t twi_mask_equal32(const uint8_t *at, uint8_t byte)
{
    __m256i value = _mm256_loadu_si256((const __m256i *)(const void *)at);
    return (uint64_t)(uint32_t)_mm256_movemask_epi8(_mm256_cmpeq_epi8(value, _mm256_set1_epi8((char)byte)));
}

static TWI_ALWAYS_INLINE TWI_TARGET_AVX2 uint64_t twi_mask_equal_avx2(const uint8_t *at, uint8_t byte)
{
    return twi_mask_equal32(at, byte) | twi_mask_equal32(at + 32, byte) << 32;
}
#endif

#endif
