/* json_take.h - the straight road through JSON that a venue always writes the same way: expected text is compared as
 * one piece, numbers are read in words, and nothing is looked up.
 *
 * Usage:    twi_json at = json;          a copy: whatever fails leaves the caller at the general scan, from the start
 *           bool straight = TWI_JSON_TAKE(&at, "{\"e\":\"trade\",\"E\":") && twi_json_take_uint(&at, &ms) &&
 *                           TWI_JSON_TAKE(&at, ",\"s\":\"") && twi_json_take_word(&at, &symbol) && ...;
 * Errors:   false only: "not as expected" is no error, and the general scan alone decides what is one. What was taken
 *           is well-formed, because the expected text is.
 * Bounds:   no byte at or behind the end is read. */
#ifndef TWI_JSON_TAKE_H
#define TWI_JSON_TAKE_H

#include "engine/base/digits.h"
#include "engine/proto/json_scan.h"

/* literal must be a string literal. */
#define TWI_JSON_TAKE(json, literal) twi_json_take((json), "" literal, sizeof(literal) - 1)

static TWI_ALWAYS_INLINE bool twi_json_take(twi_json *json, const char *text, size_t len)
{
    if ((size_t)(json->end - json->at) < len || memcmp(json->at, text, len) != 0)
        return false;
    json->at += len;
    return true;
}

/* The content of a string without escapes, up to its closing quote, which is left to be taken with what follows. */
static TWI_ALWAYS_INLINE bool twi_json_take_word(twi_json *json, twi_json_slice *out)
{
    const uint8_t *end = twi_json_plain_end(json->at, json->end);
    if (TWI_UNLIKELY(end == json->end || *end != '"'))
        return false;
    *out = (twi_json_slice){.text = (const char *)json->at, .len = (uint32_t)(end - json->at)};
    json->at = end;
    return true;
}

/* One digit or more, of any value that 64 bits hold for sure (19 digits); what ends it is left. */
bool twi_json_take_uint_slow(twi_json *json, uint64_t *out);

static TWI_ALWAYS_INLINE bool twi_json_take_uint(twi_json *json, uint64_t *out)
{
    enum { WORD = 8, READ_MAX = 2 * WORD };
    if (TWI_UNLIKELY(json->end - json->at <= READ_MAX))
        return twi_json_take_uint_slow(json, out);
    const uint8_t *at = json->at;
    uint64_t word = twi_json_load64(at) ^ TWI_JSON_REPEAT_BYTE('0');
    unsigned count = twi_json_digit_count(word);
    if (TWI_UNLIKELY(count == 0 || (*at == '0' && count > 1)))
        return false;
    uint64_t value = twi_json_digits(word, count);
    at += count;
    if (count == WORD) {
        word = twi_json_load64(at) ^ TWI_JSON_REPEAT_BYTE('0');
        count = twi_json_digit_count(word);
        if (TWI_UNLIKELY(count == WORD))
            return twi_json_take_uint_slow(json, out);
        value = count > 0 ? value * twi_pow10[count] + twi_json_digits(word, count) : value;
        at += count;
    }
    json->at = at;
    *out = value;
    return true;
}

/* As twi_json_take_uint(), in a signed place. */
static TWI_ALWAYS_INLINE bool twi_json_take_time(twi_json *json, int64_t *out)
{
    uint64_t value;
    if (TWI_UNLIKELY(!twi_json_take_uint(json, &value) || value > INT64_MAX))
        return false;
    *out = (int64_t)value;
    return true;
}

/* true or false. */
static TWI_ALWAYS_INLINE bool twi_json_take_bool(twi_json *json, bool *out)
{
    *out = TWI_JSON_TAKE(json, "true");
    return *out || TWI_JSON_TAKE(json, "false");
}

/* A string without escapes that nobody needs, quotes included. */
static TWI_ALWAYS_INLINE bool twi_json_take_string(twi_json *json)
{
    twi_json_slice unused;
    if (json->at == json->end || *json->at != '"')
        return false;
    json->at++;
    if (!twi_json_take_word(json, &unused))
        return false;
    json->at++;
    return true;
}

/* A bare number that nobody needs: digits with or without a point, at most 15 bytes; what ends it is left. */
static TWI_ALWAYS_INLINE bool twi_json_take_number(twi_json *json)
{
#if defined(__SSE2__)
    enum { VECTOR = 16 };
    if (TWI_LIKELY(json->end - json->at > VECTOR + 1)) { /* a sign, the vector, and one more */
        const uint8_t *at = json->at + (*json->at == '-');
        __m128i value = _mm_sub_epi8(_mm_loadu_si128((const __m128i *)(const void *)at), _mm_set1_epi8('0'));
        unsigned others = ~(unsigned)_mm_movemask_epi8(_mm_cmpeq_epi8(_mm_min_epu8(value, _mm_set1_epi8(9)), value));
        unsigned point = (unsigned)__builtin_ctz(others);
        bool has_point = at[point] == '.';
        unsigned end = has_point ? (unsigned)__builtin_ctz(others & (others - 1)) : point;
        json->at = at + end;
        return point > 0 && end < VECTOR && (!has_point || end > point + 1) && (*at != '0' || point == 1);
    }
#endif
    tw_decimal unused;
    return twi_json_decimal_fast(json, &unused);
}

/* The text of digits that will be wanted as text (an id); what ends it is left. */
static TWI_ALWAYS_INLINE bool twi_json_take_digits(twi_json *json, twi_json_slice *out)
{
    const uint8_t *at = json->at;
    while (json->end - at >= 8) {
        unsigned count = twi_json_digit_count(twi_json_load64(at) ^ TWI_JSON_REPEAT_BYTE('0'));
        at += count;
        if (count < 8)
            break;
    }
    while (at < json->end && *at >= '0' && *at <= '9')
        at++;
    if (TWI_UNLIKELY(at == json->at || (*json->at == '0' && at - json->at > 1)))
        return false;
    *out = (twi_json_slice){.text = (const char *)json->at, .len = (uint32_t)(at - json->at)};
    json->at = at;
    return true;
}

#endif
