/* json_scan.h - a pull scanner over one complete JSON text: no tree, no copy, no allocation.
 *
 * Job:      the venue parsers, the control messages and the JSON codec read through this. The caller asks for what it
 *           expects next; slices point into the text, which must outlive them.
 * Usage:    twi_json json;
 *           twi_json_init(&json, text, len);
 *           twi_json_slice key;
 *           twi_json_enter_object(&json);
 *           while (twi_json_next_member(&json, &key)) {
 *               if (TWI_JSON_IS(key, "p")) twi_json_decimal(&json, &price);
 *               else twi_json_skip(&json);
 *           }
 *           tw_status status = twi_json_end(&json);
 *           After next_member() or next_item() returned true exactly one value must be consumed.
 * Errors:   sticky. The first one moves the cursor to the end, so that every later call returns false, and
 *           twi_json_end() tells it: TW_MALFORMED (bad grammar, wrong type, cut text), TW_TOO_BIG (nesting deeper than
 *           TWI_JSON_DEPTH_MAX, text of 4 GiB, a number that its type does not hold). Any bytes are survived.
 * Look-back: a twi_json is a plain cursor: copy it to come back to a value later (see twi_json_defer()).
 * Grammar:  RFC 8259, with exact numbers: nothing becomes a double. UTF-8 is not checked here (the WebSocket layer has
 *           done that); escapes and control bytes are.
 * Non-goals: comments, trailing commas, NaN, streaming input, writing. */
#ifndef TWI_JSON_SCAN_H
#define TWI_JSON_SCAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "engine/base/compiler.h"
#include "tickwire/decimal.h"
#include "tickwire/status.h"

#if defined(__SSE4_1__)
#include <smmintrin.h>
#elif defined(__SSE2__)
#include <emmintrin.h>
#elif defined(__aarch64__) && defined(__ARM_NEON)
#include <arm_neon.h>
#endif

enum {
    TWI_JSON_DEPTH_MAX = 64, /* open containers; twi_json_skip() keeps their kinds in one 64-bit word */
    TWI_JSON_VECTOR_BYTES = 16
};

typedef struct twi_json {
    const uint8_t *at, *end;
    uint32_t depth;   /* containers that are open */
    bool first;       /* the innermost container was just opened */
    tw_status status; /* the first error */
} twi_json;

/* A string's content as it stands between the quotes, or the text of a number or literal. */
typedef struct twi_json_slice {
    const char *text;
    uint32_t len;
    bool escaped; /* holds at least one backslash: compare and copy through twi_json_unescape() */
} twi_json_slice;

typedef enum twi_json_type {
    TWI_JSON_NONE, /* end of text, or no value starts with this byte */
    TWI_JSON_OBJECT,
    TWI_JSON_ARRAY,
    TWI_JSON_STRING,
    TWI_JSON_NUMBER,
    TWI_JSON_BOOL,
    TWI_JSON_NULL
} twi_json_type;

void twi_json_init(twi_json *json, const void *text, size_t len);

/* Ends the scan: TW_OK if one whole value was read without an error and only white space is left. */
TW_MUST_USE tw_status twi_json_end(twi_json *json);

/* Ends the scan with an error of the caller's (a wrong value); returns false for use in a return statement. */
bool twi_json_fail(twi_json *json, tw_status status);

/* What comes next; consumes nothing but white space. */
twi_json_type twi_json_peek(twi_json *json);

/* The next value as text. A wrong type gives false and fails the scan. */
bool twi_json_number(twi_json *json, twi_json_slice *out); /* number text, exact */
bool twi_json_scalar(twi_json *json, twi_json_slice *out); /* content of a string, or text of a number, bool or null */
bool twi_json_raw(twi_json *json, twi_json_slice *out);    /* any value, containers and quotes included */

/* The next value as a C value. Numbers may stand in quotes, as most venues send them. */
bool twi_json_bool(twi_json *json, bool *out);
bool twi_json_int64(twi_json *json, int64_t *out);
bool twi_json_uint64(twi_json *json, uint64_t *out);

/* True and consumed if the next value is null; otherwise nothing happens. */
bool twi_json_null(twi_json *json);

/* Steps over any value, checking all of its grammar. */
bool twi_json_skip(twi_json *json);

/* Copies the content of a string without its escapes (\uD83D\uDE00 becomes UTF-8). TW_TOO_BIG: out_cap is too small;
 * TW_MALFORMED: a lone surrogate. Needs at most slice.len bytes. */
TW_MUST_USE tw_status twi_json_unescape(twi_json_slice slice, char *out, size_t out_cap, size_t *out_len);

/* Compares the unescaped content. */
bool twi_json_equal_slow(twi_json_slice slice, const char *text, size_t len);

/* Slow paths of the functions below. */
bool twi_json_string_slow(twi_json *json, const uint8_t *content, const uint8_t *at, twi_json_slice *out);
bool twi_json_decimal_slow(twi_json *json, tw_decimal *out);
bool twi_json_open_slow(twi_json *json, uint8_t bracket);

static inline bool twi_json_equal(twi_json_slice slice, const char *text, size_t len)
{
    if (TWI_UNLIKELY(slice.escaped))
        return twi_json_equal_slow(slice, text, len);
    return slice.len == len && memcmp(slice.text, text, len) == 0;
}

/* literal must be a string literal: the comparison becomes one or two machine words. */
#define TWI_JSON_IS(slice, literal) twi_json_equal((slice), "" literal, sizeof(literal) - 1)

/* The first byte at or after `at` that ends plain string content: a quote, a backslash or a control byte; else end. */
const uint8_t *twi_json_plain_end_far(const uint8_t *at, const uint8_t *end);

#if defined(__SSE2__)
enum { TWI_JSON_STOP_SHIFT = 0 };
/* The bytes among the next 16 that end it: a bit each. */
static TWI_ALWAYS_INLINE uint64_t twi_json_stops(const uint8_t *at)
{
    __m128i bytes = _mm_loadu_si128((const __m128i *)(const void *)at);
    __m128i stop = _mm_or_si128(_mm_cmpeq_epi8(bytes, _mm_set1_epi8('"')), _mm_cmpeq_epi8(bytes, _mm_set1_epi8('\\')));
    stop = _mm_or_si128(stop, _mm_cmpeq_epi8(_mm_min_epu8(bytes, _mm_set1_epi8(0x1f)), bytes));
    return (uint64_t)(uint32_t)_mm_movemask_epi8(stop);
}
#elif defined(__aarch64__) && defined(__ARM_NEON)
enum { TWI_JSON_STOP_SHIFT = 2 }; /* four bits each */
static TWI_ALWAYS_INLINE uint64_t twi_json_stops(const uint8_t *at)
{
    uint8x16_t bytes = vld1q_u8(at);
    uint8x16_t stop = vorrq_u8(vceqq_u8(bytes, vdupq_n_u8('"')), vceqq_u8(bytes, vdupq_n_u8('\\')));
    stop = vorrq_u8(stop, vcltq_u8(bytes, vdupq_n_u8(0x20)));
    return vget_lane_u64(vreinterpret_u64_u8(vshrn_n_u16(vreinterpretq_u16_u8(stop), 4)), 0);
}
#endif

static TWI_ALWAYS_INLINE const uint8_t *twi_json_plain_end(const uint8_t *at, const uint8_t *end)
{
#if defined(__SSE2__) || (defined(__aarch64__) && defined(__ARM_NEON))
    if (TWI_LIKELY(end - at >= TWI_JSON_VECTOR_BYTES)) {
        uint64_t stops = twi_json_stops(at);
        if (TWI_LIKELY(stops != 0))
            return at + ((unsigned)__builtin_ctzll(stops) >> TWI_JSON_STOP_SHIFT);
        at += TWI_JSON_VECTOR_BYTES;
    }
#endif
    return twi_json_plain_end_far(at, end);
}

static inline void twi_json_space(twi_json *json)
{
    while (json->at < json->end && *json->at <= ' ' &&
           (*json->at == ' ' || *json->at == '\n' || *json->at == '\r' || *json->at == '\t'))
        json->at++;
}

/* The next byte that is not white space, 0 at the end. */
static inline uint8_t twi_json_byte(twi_json *json)
{
    if (TWI_UNLIKELY(json->at < json->end && *json->at <= ' '))
        twi_json_space(json);
    return json->at < json->end ? *json->at : 0;
}

/* The next value must be a string. Else *out is an empty text: a caller that goes on to the end of the scan reads
 * nothing that is not there. */
static inline bool twi_json_string(twi_json *json, twi_json_slice *out)
{
    if (TWI_UNLIKELY(twi_json_byte(json) != '"')) {
        *out = (twi_json_slice){.text = ""};
        return twi_json_fail(json, TW_MALFORMED);
    }
    const uint8_t *content = json->at + 1;
    const uint8_t *at = twi_json_plain_end(content, json->end);
    if (TWI_UNLIKELY(at == json->end || *at != '"'))
        return twi_json_string_slow(json, content, at, out);
    *out = (twi_json_slice){.text = (const char *)content, .len = (uint32_t)(at - content)};
    json->at = at + 1;
    return true;
}

static inline bool twi_json_enter(twi_json *json, uint8_t bracket)
{
    if (TWI_UNLIKELY(twi_json_byte(json) != bracket || json->depth >= TWI_JSON_DEPTH_MAX))
        return twi_json_open_slow(json, bracket);
    json->at++;
    json->depth++;
    json->first = true;
    return true;
}

/* Goes into the object or array that comes next. */
static inline bool twi_json_enter_object(twi_json *json)
{
    return twi_json_enter(json, '{');
}
static inline bool twi_json_enter_array(twi_json *json)
{
    return twi_json_enter(json, '[');
}

static inline bool twi_json_leave(twi_json *json)
{
    json->at++;
    json->depth--;
    json->first = false;
    return false;
}

/* True: a member's value is next, its name is in *key. False: the object ended (and was left), or an error. */
static inline bool twi_json_next_member(twi_json *json, twi_json_slice *key)
{
    uint8_t byte = twi_json_byte(json);
    if (byte == '}')
        return twi_json_leave(json);
    if (json->first)
        json->first = false;
    else if (TWI_LIKELY(byte == ','))
        json->at++;
    else
        return twi_json_fail(json, TW_MALFORMED);
    if (TWI_UNLIKELY(!twi_json_string(json, key)))
        return false;
    if (TWI_UNLIKELY(twi_json_byte(json) != ':'))
        return twi_json_fail(json, TW_MALFORMED);
    json->at++;
    return true;
}

/* True: an item of the array is next. False: the array ended (and was left), or an error. */
static inline bool twi_json_next_item(twi_json *json)
{
    uint8_t byte = twi_json_byte(json);
    if (byte == ']')
        return twi_json_leave(json);
    if (json->first)
        json->first = false;
    else if (TWI_LIKELY(byte == ','))
        json->at++;
    else
        return twi_json_fail(json, TW_MALFORMED);
    return TWI_LIKELY(json->at < json->end) || twi_json_fail(json, TW_MALFORMED);
}

/* Remembers where the next value starts, in *place, and steps over it: for values whose meaning depends on a member
 * that comes later. Read it with the copy; its errors stay in the copy. */
static inline bool twi_json_defer(twi_json *json, twi_json *place)
{
    *place = *json;
    return twi_json_skip(json);
}

/* Leaves the array without looking at its other items, though checking their grammar. */
static inline void twi_json_drain_array(twi_json *json)
{
    while (twi_json_next_item(json))
        twi_json_skip(json);
}

#define TWI_JSON_REPEAT_BYTE(byte) (UINT64_C(0x0101010101010101) * (byte))

/* How many of the 8 bytes of a little-endian word, counted from the lowest, are digits; the word holds byte ^ '0'. */
static inline unsigned twi_json_digit_count(uint64_t word)
{
    uint64_t others = ((word + TWI_JSON_REPEAT_BYTE(0x76)) | word) & TWI_JSON_REPEAT_BYTE(0x80);
    return others == 0 ? 8 : (unsigned)__builtin_ctzll(others) >> 3;
}

/* The value of the first `count` (1..8) digits of such a word. */
static inline uint32_t twi_json_digits(uint64_t word, unsigned count)
{
    word <<= 64 - 8 * count; /* leading zeros; drops what follows the digits */
    word = word * 10 + (word >> 8);
    return (uint32_t)((((word & UINT64_C(0x000000ff000000ff)) * UINT64_C(0x000f424000000064)) +
                       (((word >> 16) & UINT64_C(0x000000ff000000ff)) * UINT64_C(0x0000271000000001))) >>
                      32);
}

static inline uint64_t twi_json_load64(const uint8_t *at)
{
    uint64_t word;
    memcpy(&word, at, sizeof(word));
    return word;
}

#if defined(__SSE4_1__)
/* The value of a number in the first `count` + has_point (up to 16) bytes at `at`, `fraction` of its digits behind a
 * point: the digits are moved to the right end, over the point, then summed in pairs, fours and eights. Reads 16
 * bytes. */
static TWI_ALWAYS_INLINE uint64_t twi_json_vector_value(const uint8_t *at, unsigned count, unsigned fraction)
{
    static const int8_t places[32] = {-16, -15, -14, -13, -12, -11, -10, -9, -8, -7, -6, -5, -4, -3, -2, -1,
                                      0,   1,   2,   3,   4,   5,   6,   7,  8,  9,  10, 11, 12, 13, 14, 15};
    static const int8_t behind_point[32] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
                                            1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1};
    __m128i digits = _mm_sub_epi8(_mm_loadu_si128((const __m128i *)(const void *)at), _mm_set1_epi8('0'));
    __m128i from = _mm_add_epi8(_mm_loadu_si128((const __m128i *)(const void *)(places + count)),
                                _mm_loadu_si128((const __m128i *)(const void *)(behind_point + fraction)));
    __m128i pairs = _mm_maddubs_epi16(_mm_shuffle_epi8(digits, from), _mm_set1_epi16(10 | 1 << 8));
    __m128i fours = _mm_madd_epi16(pairs, _mm_set1_epi32(100 | 1 << 16));
    __m128i eights = _mm_madd_epi16(_mm_packus_epi32(fours, fours), _mm_set1_epi32(10000 | 1 << 16));
    uint64_t both = (uint64_t)_mm_cvtsi128_si64(eights);
    return (uint32_t)both * UINT64_C(100000000) + (both >> 32);
}

/* The common forms, up to 15 digits and a point, in quotes or bare. False: not one of them, nothing was consumed. */
static TWI_ALWAYS_INLINE bool twi_json_decimal_fast(twi_json *json, tw_decimal *out)
{
    enum { VECTOR = 16, READ_MAX = 1 + 1 + VECTOR + 1 }; /* quote, sign, digits and point, terminator */
    if (TWI_UNLIKELY(json->end - json->at < READ_MAX))
        return false;
    const uint8_t *at = json->at;
    bool quoted = *at == '"', negative;
    at += quoted;
    negative = *at == '-';
    at += negative;
    __m128i value = _mm_sub_epi8(_mm_loadu_si128((const __m128i *)(const void *)at), _mm_set1_epi8('0'));
    unsigned digits = (unsigned)_mm_movemask_epi8(_mm_cmpeq_epi8(_mm_min_epu8(value, _mm_set1_epi8(9)), value));
    unsigned others = ~digits; /* bits from 16 on are set */
    unsigned whole = (unsigned)__builtin_ctz(others), has_point = at[whole] == '.' && whole < VECTOR;
    unsigned end = has_point ? (unsigned)__builtin_ctz(others & (others - 1)) : whole;
    unsigned fraction = end - whole - has_point;
    if (TWI_UNLIKELY(whole == 0 || end >= VECTOR || (has_point && fraction == 0) || (*at == '0' && whole > 1)))
        return false;
    uint8_t next = at[end];
    if (TWI_UNLIKELY(quoted ? next != '"' : next != ',' && next != ']' && next != '}'))
        return false;
    int64_t mantissa = (int64_t)twi_json_vector_value(at, whole + fraction, fraction);
    json->at = at + end + quoted;
    *out = (tw_decimal){.mantissa = negative ? -mantissa : mantissa, .exponent = (int8_t) - (int)fraction};
    return true;
}
#else
/* The common forms, up to 8 digits on either side of the point, in quotes or bare, in two words. False: not one of
 * them, nothing was consumed. */
static inline bool twi_json_decimal_fast(twi_json *json, tw_decimal *out)
{
    enum { READ_MAX = 1 + 1 + 7 + 1 + 8 + 1 }; /* quote, sign, digits, point, one word, terminator */
    static const uint32_t powers[9] = {1, 10, 100, 1000, 10000, 100000, 1000000, 10000000, 100000000};
#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
    (void)powers;
    (void)out;
    return false;
#endif
    if (json->end - json->at < READ_MAX)
        return false;
    const uint8_t *at = json->at;
    bool quoted = *at == '"';
    at += quoted;
    bool negative = *at == '-';
    at += negative;
    uint64_t word = twi_json_load64(at) ^ TWI_JSON_REPEAT_BYTE('0');
    unsigned whole = twi_json_digit_count(word);
    if (whole == 0 || whole == 8 || (*at == '0' && whole > 1))
        return false;
    uint64_t mantissa = twi_json_digits(word, whole);
    at += whole;
    unsigned fraction = 0;
    if (*at == '.') {
        at++;
        word = twi_json_load64(at) ^ TWI_JSON_REPEAT_BYTE('0');
        fraction = twi_json_digit_count(word);
        if (fraction == 0)
            return false;
        mantissa = mantissa * powers[fraction] + twi_json_digits(word, fraction);
        at += fraction;
    }
    if (quoted ? *at != '"' : *at != ',' && *at != ']' && *at != '}')
        return false;
    json->at = at + quoted;
    *out = (tw_decimal){.mantissa = negative ? -(int64_t)mantissa : (int64_t)mantissa,
                        .exponent = (int8_t) - (int)fraction};
    return true;
}

#endif

/* The next value as an exact decimal, from a number or from a string that holds one. Trailing zeros stay in the
 * exponent; -0 is 0. */
static inline bool twi_json_decimal(twi_json *json, tw_decimal *out)
{
    return TWI_LIKELY(twi_json_decimal_fast(json, out)) || twi_json_decimal_slow(json, out);
}

#endif
