/* digits.h - integers and decimals to text, branch-light and without a division: what the JSON encoder spends its time
 * in.
 *
 * Method:   eight digits at a time inside one 64-bit word (pairwise splitting by multiplication), stored in one piece.
 *           A power-of-ten division is a shift and a high multiplication by a precomputed reciprocal.
 * Memory:   functions return the end of the text; they may write up to TWI_DIGITS_SLACK bytes beyond it, so the
 * caller's buffer must have them. Thread:   pure. Non-goals: other bases, padding to a width, floating point. */
#ifndef TWI_DIGITS_H
#define TWI_DIGITS_H

#include <stdint.h>
#include <string.h>

#include "engine/base/compiler.h"

#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "digits.h stores words in text order and needs a little-endian machine"
#endif

enum {
    TWI_DIGITS_SLACK = 8,     /* bytes beyond the returned end that may be overwritten */
    TWI_U64_DIGITS_MAX = 20,  /* 18446744073709551615 */
    TWI_POW10_COUNT = 20,     /* 10^0 .. 10^19 fit in 64 bits */
    TWI_DIVIDE_POW10_MAX = 18 /* greatest exponent that twi_divide_pow10() takes */
};

typedef struct twi_reciprocal {
    uint64_t multiplier;
    uint8_t shift;
} twi_reciprocal;

extern const uint64_t twi_pow10[TWI_POW10_COUNT];
extern const twi_reciprocal twi_reciprocals_pow5[TWI_DIVIDE_POW10_MAX + 1];

/* value / 10^exponent for value <= 2^63 and exponent 1..18: the factor 2^exponent goes by shift, 5^exponent by
 * reciprocal. */
static TWI_ALWAYS_INLINE uint64_t twi_divide_pow10(uint64_t value, unsigned exponent)
{
    const twi_reciprocal *reciprocal = &twi_reciprocals_pow5[exponent];
    return twi_multiply_high(value >> exponent, reciprocal->multiplier) >> reciprocal->shift;
}

/* The eight digits of value < 10^8 as bytes 0..9, most significant digit in the lowest byte. */
static TWI_ALWAYS_INLINE uint64_t twi_digits_spread(uint32_t value)
{
    uint64_t high = ((uint64_t)value * 109951163u) >> 40; /* / 10000 */
    uint64_t quads = high | ((uint64_t)(value - (uint32_t)high * 10000u) << 32);
    uint64_t hundreds = ((quads * 10486u) >> 20) & 0x0000007f0000007fu; /* / 100 in each half */
    uint64_t pairs = hundreds | ((quads - 100u * hundreds) << 16);
    uint64_t tens = ((pairs * 103u) >> 10) & 0x000f000f000f000fu; /* / 10 in each quarter */
    return tens | ((pairs - 10u * tens) << 8);
}

#define TWI_DIGITS_ZEROS 0x3030303030303030u /* "00000000" */

static TWI_ALWAYS_INLINE void twi_store64(char *out, uint64_t word)
{
    memcpy(out, &word, sizeof(word));
}

static TWI_ALWAYS_INLINE uint64_t twi_load64(const char *text)
{
    uint64_t word;
    memcpy(&word, text, sizeof(word));
    return word;
}

/* Are all eight bytes of the word digits? Adding carries into a byte's high half exactly if it is above '9'. */
static TWI_ALWAYS_INLINE int twi_digits_are_eight(uint64_t word)
{
    uint64_t high_halves = 0xf0f0f0f0f0f0f0f0u;
    return (word & high_halves) == TWI_DIGITS_ZEROS && ((word + 0x0606060606060606u) & high_halves) == TWI_DIGITS_ZEROS;
}

/* The number in a word of eight digits: pairs, then fours, then all. */
static TWI_ALWAYS_INLINE uint32_t twi_digits_read_eight(uint64_t word)
{
    word -= TWI_DIGITS_ZEROS;
    word = (word * 10 + (word >> 8)) & 0x00ff00ff00ff00ffu;
    word = (word * 100 + (word >> 16)) & 0x0000ffff0000ffffu;
    return (uint32_t)((word * 10000 + (word >> 32)) & 0xffffffffu);
}

/* value < 10^8 without leading zeros (0 is "0"). */
static TWI_ALWAYS_INLINE char *twi_digits_put_small(char *out, uint32_t value)
{
    uint64_t spread = twi_digits_spread(value);
    unsigned zeros = twi_trailing_zeros(spread | (1ull << 56)) >> 3;
    twi_store64(out, (spread + TWI_DIGITS_ZEROS) >> (zeros * 8));
    return out + 8 - zeros;
}

/* value < 10^8 as exactly eight digits. */
static TWI_ALWAYS_INLINE char *twi_digits_put_eight(char *out, uint32_t value)
{
    twi_store64(out, twi_digits_spread(value) + TWI_DIGITS_ZEROS);
    return out + 8;
}

/* Any 64-bit number without leading zeros. */
static inline char *twi_digits_put(char *out, uint64_t value)
{
    if (TWI_LIKELY(value < 100000000u)) {
        return twi_digits_put_small(out, (uint32_t)value);
    }
    uint64_t high = value / 100000000u;
    uint32_t low = (uint32_t)(value - high * 100000000u);
    if (high < 100000000u) {
        out = twi_digits_put_small(out, (uint32_t)high);
        return twi_digits_put_eight(out, low);
    }
    uint64_t top = high / 100000000u;
    out = twi_digits_put_small(out, (uint32_t)top);
    out = twi_digits_put_eight(out, (uint32_t)(high - top * 100000000u));
    return twi_digits_put_eight(out, low);
}

/* value < 10^count as exactly count digits, count 1..8. */
static TWI_ALWAYS_INLINE char *twi_digits_put_padded_small(char *out, uint32_t value, unsigned count)
{
    twi_store64(out, (twi_digits_spread(value) + TWI_DIGITS_ZEROS) >> (8 * (8 - count)));
    return out + count;
}

/* value < 10^count as exactly count digits, count 1..19. */
static inline char *twi_digits_put_padded(char *out, uint64_t value, unsigned count)
{
    if (TWI_LIKELY(count <= 8)) {
        return twi_digits_put_padded_small(out, (uint32_t)value, count);
    }
    uint64_t high = value / 100000000u;
    uint32_t low = (uint32_t)(value - high * 100000000u);
    if (count <= 16) {
        out = twi_digits_put_padded_small(out, (uint32_t)high, count - 8);
        return twi_digits_put_eight(out, low);
    }
    uint64_t top = high / 100000000u;
    out = twi_digits_put_padded_small(out, (uint32_t)top, count - 16);
    out = twi_digits_put_eight(out, (uint32_t)(high - top * 100000000u));
    return twi_digits_put_eight(out, low);
}

/* A signed integer. */
static inline char *twi_digits_put_signed(char *out, int64_t value)
{
    uint64_t magnitude = (uint64_t)value;
    if (TWI_UNLIKELY(value < 0)) {
        *out++ = '-';
        magnitude = 0 - magnitude;
    }
    return twi_digits_put(out, magnitude);
}

/* The rare shapes of a decimal: positive exponents and more fraction digits than 18. */
char *twi_decimal_put_rare(char *out, uint64_t magnitude, int exponent);

/* mantissa * 10^exponent in plain notation; exponent within TW_DECIMAL_EXPONENT_MIN..MAX. */
static inline char *twi_decimal_put(char *out, int64_t mantissa, int exponent)
{
    uint64_t magnitude = (uint64_t)mantissa;
    if (TWI_UNLIKELY(mantissa < 0)) {
        *out++ = '-';
        magnitude = 0 - magnitude;
    }
    if (exponent == 0) {
        return twi_digits_put(out, magnitude);
    }
    if (TWI_UNLIKELY(exponent > 0 || exponent < -TWI_DIVIDE_POW10_MAX)) {
        return twi_decimal_put_rare(out, magnitude, exponent);
    }
    unsigned fraction_count = (unsigned)-exponent;
    uint64_t whole = twi_divide_pow10(magnitude, fraction_count);
    out = twi_digits_put(out, whole);
    *out++ = '.';
    return twi_digits_put_padded(out, magnitude - whole * twi_pow10[fraction_count], fraction_count);
}

#endif
