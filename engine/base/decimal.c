/* decimal.c - exact decimals: the slow, complete functions of decimal.h and the tables behind digits.h.
 *
 * Overflow: every step is checked before it is done; nothing is rounded. 10^k for k > 18 never meets a mantissa
 * directly, because |mantissa| <= 2^63 < 10^19 already decides the answer. */
#include "tickwire/decimal.h"

#include <stdbool.h>

#include "engine/base/assert.h"
#include "engine/base/digits.h"

enum {
    DIGITS_SAFE = 18,          /* so many digits never overflow a mantissa */
    EXPONENT_TEXT_MAX = 100000 /* where a written exponent saturates; far outside of every range */
};

const uint64_t twi_pow10[TWI_POW10_COUNT] = {
    1u,
    10u,
    100u,
    1000u,
    10000u,
    100000u,
    1000000u,
    10000000u,
    100000000u,
    1000000000u,
    10000000000u,
    100000000000u,
    1000000000000u,
    10000000000000u,
    100000000000000u,
    1000000000000000u,
    10000000000000000u,
    100000000000000000u,
    1000000000000000000u,
    10000000000000000000u,
};

/* For 5^k: shift = ceil(log2 5^k) - 1, multiplier = ceil(2^(64 + shift) / 5^k); exact for every dividend up to 2^63 /
 * 2^k (Granlund and Montgomery, Division by Invariant Integers using Multiplication, theorem 4.2). */
const twi_reciprocal twi_reciprocals_pow5[TWI_DIVIDE_POW10_MAX + 1] = {
    {0, 0},
    {0xcccccccccccccccdu, 2},
    {0xa3d70a3d70a3d70bu, 4},
    {0x83126e978d4fdf3cu, 6},
    {0xd1b71758e219652cu, 9},
    {0xa7c5ac471b478424u, 11},
    {0x8637bd05af6c69b6u, 13},
    {0xd6bf94d5e57a42bdu, 16},
    {0xabcc77118461cefdu, 18},
    {0x89705f4136b4a598u, 20},
    {0xdbe6fecebdedd5bfu, 23},
    {0xafebff0bcb24aaffu, 25},
    {0x8cbccc096f5088ccu, 27},
    {0xe12e13424bb40e14u, 30},
    {0xb424dc35095cd810u, 32},
    {0x901d7cf73ab0acdau, 34},
    {0xe69594bec44de15cu, 37},
    {0xb877aa3236a4b44au, 39},
    {0x9392ee8e921d5d08u, 41},
};

/* ---- text to decimal ---- */

typedef struct number_text {
    const char *whole, *fraction; /* their first digits */
    size_t whole_count, fraction_count;
    uint64_t digits; /* the digits as a number; meaningless beyond DIGITS_SAFE of them */
    int32_t exponent;
    bool negative;
} number_text;

static bool is_digit(char c)
{
    return (unsigned char)(c - '0') <= 9;
}

/* Reads a run of digits into *value (wrapping) and returns its length. */
static size_t read_digits(const char *at, const char *end, uint64_t *value)
{
    const char *start = at;
    uint64_t sum = *value;
    while (at < end && is_digit(*at)) {
        sum = sum * 10 + (uint64_t)(*at - '0');
        at++;
    }
    *value = sum;
    return (size_t)(at - start);
}

/* The part after 'e'; saturates. */
static bool read_exponent(const char *at, const char *end, int32_t *exponent)
{
    bool negative = at < end && *at == '-';
    if (at < end && (*at == '-' || *at == '+')) {
        at++;
    }
    if (at == end) {
        return false;
    }
    int32_t value = 0;
    for (; at < end; at++) {
        if (!is_digit(*at)) {
            return false;
        }
        value = value < EXPONENT_TEXT_MAX ? value * 10 + (*at - '0') : EXPONENT_TEXT_MAX;
    }
    *exponent = negative ? -value : value;
    return true;
}

static bool split_number(const char *text, size_t len, number_text *out)
{
    const char *at = text;
    const char *end = text + len;
    *out = (number_text){0};
    if (at < end && (*at == '-' || *at == '+')) {
        out->negative = *at == '-';
        at++;
    }
    out->whole = at;
    out->whole_count = read_digits(at, end, &out->digits);
    at += out->whole_count;
    if (out->whole_count == 0) {
        return false;
    }
    if (at < end && *at == '.') {
        at++;
        out->fraction = at;
        out->fraction_count = read_digits(at, end, &out->digits);
        at += out->fraction_count;
        if (out->fraction_count == 0) {
            return false;
        }
    }
    if (at == end) {
        return true;
    }
    return (*at == 'e' || *at == 'E') && read_exponent(at + 1, end, &out->exponent);
}

static char digit_at(const number_text *number, size_t index)
{
    return index < number->whole_count ? number->whole[index] : number->fraction[index - number->whole_count];
}

/* More than DIGITS_SAFE digits: leading zeros carry nothing, trailing zeros may go into the exponent. */
static tw_status gather_digits(const number_text *number, uint64_t limit, uint64_t *magnitude, int64_t *exponent)
{
    size_t first = 0;
    size_t end = number->whole_count + number->fraction_count;
    while (first < end && digit_at(number, first) == '0') {
        first++;
    }
    uint64_t value = 0;
    size_t pending_zeros = 0; /* zeros that are only written once a digit follows, or while there is room */
    for (size_t index = first; index < end; index++) {
        uint64_t digit = (uint64_t)(digit_at(number, index) - '0');
        if (digit == 0 && (pending_zeros > 0 || value > limit / 10)) {
            pending_zeros++;
            continue;
        }
        for (; pending_zeros > 0; pending_zeros--) {
            if (value > limit / 10) {
                return TW_TOO_BIG;
            }
            value *= 10;
        }
        if (value > (limit - digit) / 10) {
            return TW_TOO_BIG;
        }
        value = value * 10 + digit;
    }
    *magnitude = value;
    *exponent += (int64_t)pending_zeros;
    return TW_OK;
}

/* Moves zeros between mantissa and exponent until the exponent is in range. */
static tw_status fit_exponent(uint64_t limit, uint64_t *magnitude, int64_t *exponent)
{
    if (*magnitude == 0) {
        *exponent = *exponent > 0 ? 0 : *exponent;
        *exponent = *exponent < TW_DECIMAL_EXPONENT_MIN ? TW_DECIMAL_EXPONENT_MIN : *exponent;
        return TW_OK;
    }
    for (; *exponent > TW_DECIMAL_EXPONENT_MAX; (*exponent)--) {
        if (*magnitude > limit / 10) {
            return TW_TOO_BIG;
        }
        *magnitude *= 10;
    }
    for (; *exponent < TW_DECIMAL_EXPONENT_MIN; (*exponent)++) {
        if (*magnitude % 10 != 0) {
            return TW_TOO_BIG;
        }
        *magnitude /= 10;
    }
    return TW_OK;
}

tw_status tw_decimal_parse(const char *text, size_t len, tw_decimal *out)
{
    number_text number;
    if (!split_number(text, len, &number)) {
        return TW_MALFORMED;
    }
    uint64_t limit = (uint64_t)INT64_MAX + (number.negative ? 1 : 0);
    uint64_t magnitude = number.digits;
    int64_t exponent = (int64_t)number.exponent - (int64_t)number.fraction_count;
    if (number.whole_count + number.fraction_count > DIGITS_SAFE) {
        tw_status status = gather_digits(&number, limit, &magnitude, &exponent);
        if (status != TW_OK) {
            return status;
        }
    }
    if (exponent > TW_DECIMAL_EXPONENT_MAX || exponent < TW_DECIMAL_EXPONENT_MIN || magnitude == 0) {
        tw_status status = fit_exponent(limit, &magnitude, &exponent);
        if (status != TW_OK) {
            return status;
        }
    }
    out->mantissa = (int64_t)(number.negative ? 0 - magnitude : magnitude);
    out->exponent = (int8_t)exponent;
    return TW_OK;
}

/* ---- decimal to text ---- */

static char *put_zeros(char *out, unsigned count)
{
    memset(out, '0', count);
    return out + count;
}

char *twi_decimal_put_rare(char *out, uint64_t magnitude, int exponent)
{
    TWI_ASSERT(exponent >= TW_DECIMAL_EXPONENT_MIN && exponent <= TW_DECIMAL_EXPONENT_MAX);
    if (exponent >= 0) {
        out = twi_digits_put(out, magnitude);
        return magnitude == 0 ? out : put_zeros(out, (unsigned)exponent);
    }
    enum { MAGNITUDE_DIGITS = 19 }; /* 2^63 has 19 digits, so that all of them are behind the point */
    *out++ = '0';
    *out++ = '.';
    out = put_zeros(out, (unsigned)-exponent - MAGNITUDE_DIGITS);
    return twi_digits_put_padded(out, magnitude, MAGNITUDE_DIGITS);
}

/* sign, "0.", -EXPONENT_MIN digits; or sign, 19 digits, EXPONENT_MAX zeros */
_Static_assert(TW_DECIMAL_TEXT_MAX >= 1 + 2 - TW_DECIMAL_EXPONENT_MIN + TWI_DIGITS_SLACK, "small numbers fit");
_Static_assert(TW_DECIMAL_TEXT_MAX >= 1 + 19 + TW_DECIMAL_EXPONENT_MAX + TWI_DIGITS_SLACK, "great numbers fit");

size_t tw_decimal_format(tw_decimal value, char *out)
{
    return (size_t)(twi_decimal_put(out, value.mantissa, value.exponent) - out);
}

/* ---- arithmetic ---- */

static uint64_t magnitude_of(int64_t mantissa)
{
    return mantissa < 0 ? 0 - (uint64_t)mantissa : (uint64_t)mantissa;
}

tw_status tw_decimal_rescale(tw_decimal value, int8_t exponent, int64_t *mantissa)
{
    int shift = value.exponent - exponent; /* zeros to append; negative: zeros to drop */
    if (shift == 0 || value.mantissa == 0) {
        *mantissa = value.mantissa;
        return TW_OK;
    }
    if (shift > DIGITS_SAFE || shift < -DIGITS_SAFE) {
        return TW_TOO_BIG;
    }
    if (shift < 0) {
        int64_t power = (int64_t)twi_pow10[-shift];
        *mantissa = value.mantissa / power;
        return value.mantissa % power == 0 ? TW_OK : TW_TOO_BIG;
    }
    uint64_t limit = (uint64_t)INT64_MAX + (value.mantissa < 0 ? 1 : 0);
    uint64_t magnitude = magnitude_of(value.mantissa);
    if (magnitude > limit / twi_pow10[shift]) {
        return TW_TOO_BIG;
    }
    magnitude *= twi_pow10[shift];
    *mantissa = (int64_t)(value.mantissa < 0 ? 0 - magnitude : magnitude);
    return TW_OK;
}

static int sign_of(int64_t mantissa)
{
    return (mantissa > 0) - (mantissa < 0);
}

/* Compares coarse * 10^shift with fine, both positive, shift > 0. */
static int compare_scaled(uint64_t coarse, int shift, uint64_t fine)
{
    if (shift > DIGITS_SAFE) {
        return 1; /* coarse >= 1, so that the left side is at least 10^19 > 2^63 >= fine */
    }
    uint64_t whole = fine / twi_pow10[shift];
    if (coarse != whole) {
        return coarse > whole ? 1 : -1;
    }
    return fine % twi_pow10[shift] == 0 ? 0 : -1;
}

int tw_decimal_compare(tw_decimal a, tw_decimal b)
{
    if (a.exponent == b.exponent) {
        return (a.mantissa > b.mantissa) - (a.mantissa < b.mantissa);
    }
    int sign = sign_of(a.mantissa);
    if (sign != sign_of(b.mantissa)) {
        return sign > sign_of(b.mantissa) ? 1 : -1;
    }
    if (sign == 0) {
        return 0;
    }
    uint64_t left = magnitude_of(a.mantissa);
    uint64_t right = magnitude_of(b.mantissa);
    int order = a.exponent > b.exponent ? compare_scaled(left, a.exponent - b.exponent, right)
                                        : -compare_scaled(right, b.exponent - a.exponent, left);
    return sign * order;
}

double tw_decimal_to_double(tw_decimal value)
{
    enum { EXACT_POW10 = 19 }; /* greatest table entry; exact as a double, so that one step rounds once */
    double result = (double)value.mantissa;
    int exponent = value.exponent;
    while (exponent > 0) {
        int step = exponent < EXACT_POW10 ? exponent : EXACT_POW10;
        result *= (double)twi_pow10[step];
        exponent -= step;
    }
    while (exponent < 0) {
        int step = -exponent < EXACT_POW10 ? -exponent : EXACT_POW10;
        result /= (double)twi_pow10[step];
        exponent += step;
    }
    return result;
}
