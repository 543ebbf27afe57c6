/* trade_id.c - see trade_id.h. */
#include "engine/base/trade_id.h"

#include <stdbool.h>
#include <string.h>

enum {
    ID_BYTES = sizeof(tw_trade_id),
    UUID_TEXT_LEN = 36,
    HEX_TEXT_LEN = 24,
    NUMBER_FAST_LEN = 19, /* digits that 64 bits always hold */
    LIMB_COUNT = 4
};

_Static_assert(ID_BYTES == 16, "a UUID fits exactly");

static const uint32_t limb_base = 1000000000; /* digits leave a wide number nine at a time */
static const char hex_digits[] = "0123456789abcdef";

/* ---- numbers up to 2^128 as four 32-bit limbs, least significant first ---- */

static void limbs_split(tw_trade_id id, uint32_t limbs[LIMB_COUNT])
{
    limbs[0] = (uint32_t)id.lo;
    limbs[1] = (uint32_t)(id.lo >> 32);
    limbs[2] = (uint32_t)id.hi;
    limbs[3] = (uint32_t)(id.hi >> 32);
}

/* limbs /= limb_base; returns the remainder. */
static uint32_t limbs_divide(uint32_t limbs[LIMB_COUNT])
{
    uint64_t rest = 0;
    for (int i = LIMB_COUNT - 1; i >= 0; i--) {
        uint64_t value = rest << 32 | limbs[i];
        limbs[i] = (uint32_t)(value / limb_base);
        rest = value % limb_base;
    }
    return (uint32_t)rest;
}

/* limbs = limbs * 10 + digit; false if that is 2^128 or more. */
static bool limbs_append(uint32_t limbs[LIMB_COUNT], uint32_t digit)
{
    uint64_t carry = digit;
    for (int i = 0; i < LIMB_COUNT; i++) {
        carry += (uint64_t)limbs[i] * 10;
        limbs[i] = (uint32_t)carry;
        carry >>= 32;
    }
    return carry == 0;
}

static char *put_wide_number(tw_trade_id id, char *out)
{
    enum { GROUP_DIGITS = 9, GROUPS_MAX = 5 };
    uint32_t limbs[LIMB_COUNT];
    uint32_t groups[GROUPS_MAX];
    int count = 0;
    limbs_split(id, limbs);
    while ((limbs[0] | limbs[1] | limbs[2] | limbs[3]) != 0) {
        groups[count++] = limbs_divide(limbs);
    }
    out = twi_digits_put(out, groups[--count]);
    while (count > 0) {
        out = twi_digits_put_padded(out, groups[--count], GROUP_DIGITS);
    }
    return out;
}

static bool all_digits(const char *text, size_t len)
{
    size_t i = 0;
    for (; i + sizeof(uint64_t) <= len; i += sizeof(uint64_t)) {
        if (!twi_digits_are_eight(twi_load64(text + i))) {
            return false;
        }
    }
    for (; i < len; i++) {
        if (text[i] < '0' || text[i] > '9') {
            return false;
        }
    }
    return true;
}

/* Digits only, at most NUMBER_FAST_LEN. */
static uint64_t read_short_number(const char *text, size_t len)
{
    uint64_t value = 0;
    size_t i = 0;
    for (; i + sizeof(uint64_t) <= len; i += sizeof(uint64_t)) {
        value = value * 100000000u + twi_digits_read_eight(twi_load64(text + i));
    }
    for (; i < len; i++) {
        value = value * 10 + (uint64_t)(text[i] - '0');
    }
    return value;
}

/* A number that is written back as it was: no leading zero, less than 2^128. */
static bool parse_number(const char *text, size_t len, tw_trade_id *id)
{
    if (len > TWI_TRADE_ID_TEXT_MAX || (text[0] == '0' && len > 1) || !all_digits(text, len)) {
        return false;
    }
    if (len <= NUMBER_FAST_LEN) {
        *id = (tw_trade_id){.lo = read_short_number(text, len)};
        return true;
    }
    uint32_t limbs[LIMB_COUNT] = {0};
    for (size_t i = 0; i < len; i++) {
        if (!limbs_append(limbs, (uint32_t)(text[i] - '0'))) {
            return false;
        }
    }
    id->lo = (uint64_t)limbs[1] << 32 | limbs[0];
    id->hi = (uint64_t)limbs[3] << 32 | limbs[2];
    return true;
}

/* ---- hex ---- */

/* Eight lower-case hex digits as the four bytes that they are; false if one is none. The digits become nibbles all at
 * once, and are taken if writing them back gives the same text. */
static bool read_hex_eight(const char *text, uint8_t *bytes)
{
    enum { LETTER_GAP = 'a' - '0' - 10 };
    const uint64_t ones = 0x0101010101010101u;
    uint64_t word = twi_load64(text);
    uint64_t nibbles = ((word & (ones * 0x0f)) + ((word >> 6) & ones) * 9) & (ones * 0x0f);
    uint64_t letters = ((nibbles + ones * 6) >> 4) & ones;
    if (nibbles + ones * '0' + letters * LETTER_GAP != word) {
        return false;
    }
    nibbles = (nibbles << 4 | nibbles >> 8) & 0x00ff00ff00ff00ffu;
    nibbles = (nibbles | nibbles >> 8) & 0x0000ffff0000ffffu;
    nibbles |= nibbles >> 16;
    for (int i = 0; i < 4; i++) {
        bytes[i] = (uint8_t)(nibbles >> 8 * i);
    }
    return true;
}

/* Where the UUID's text has a hyphen. */
static bool is_hyphen_place(size_t place)
{
    return place == 8 || place == 13 || place == 18 || place == 23;
}

/* Lower-case hex with the hyphens of a UUID. */
static bool parse_uuid(const char *text, tw_trade_id *id)
{
    uint8_t bytes[ID_BYTES];
    char middle[2 * sizeof(uint64_t)]; /* the three short groups, and what follows them */
    memcpy(middle, text + 9, 4);
    memcpy(middle + 4, text + 14, 4);
    memcpy(middle + 8, text + 19, 4);
    memcpy(middle + 12, text + 24, 4);
    if (text[8] != '-' || text[13] != '-' || text[18] != '-' || text[23] != '-' || !read_hex_eight(text, bytes) ||
        !read_hex_eight(middle, bytes + 4) || !read_hex_eight(middle + 8, bytes + 8) ||
        !read_hex_eight(text + 28, bytes + 12)) {
        return false;
    }
    memcpy(id, bytes, ID_BYTES);
    return true;
}

static bool parse_hex(const char *text, tw_trade_id *id)
{
    uint8_t bytes[ID_BYTES] = {0};
    if (!read_hex_eight(text, bytes) || !read_hex_eight(text + 8, bytes + 4) || !read_hex_eight(text + 16, bytes + 8)) {
        return false;
    }
    memcpy(id, bytes, ID_BYTES);
    return true;
}

static size_t format_hex(tw_trade_id id, size_t len, bool hyphens, char *out)
{
    uint8_t bytes[ID_BYTES];
    memcpy(bytes, &id, ID_BYTES);
    size_t digit_count = 0;
    for (size_t place = 0; place < len; place++) {
        if (hyphens && is_hyphen_place(place)) {
            out[place] = '-';
            continue;
        }
        uint8_t byte = bytes[digit_count / 2];
        out[place] = hex_digits[digit_count % 2 == 0 ? byte >> 4 : byte & 15];
        digit_count++;
    }
    return len;
}

/* ---- interface ---- */

static bool printable_ascii(const char *text, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if (text[i] < ' ' || text[i] > '~') {
            return false;
        }
    }
    return true;
}

static size_t format_text(tw_trade_id id, char *out)
{
    memcpy(out, &id, ID_BYTES);
    size_t len = strnlen(out, ID_BYTES);
    for (size_t i = 0; i < len; i++) {
        out[i] = out[i] >= ' ' && out[i] <= '~' ? out[i] : '?';
    }
    return len;
}

tw_status twi_trade_id_parse(const char *text, size_t len, tw_id_kind *kind, tw_trade_id *id)
{
    *id = (tw_trade_id){0};
    *kind = TW_ID_NONE;
    if (len == 0) {
        return TW_OK;
    }
    if (parse_number(text, len, id)) {
        *kind = TW_ID_NUMBER;
    } else if (len == UUID_TEXT_LEN && parse_uuid(text, id)) {
        *kind = TW_ID_UUID;
    } else if (len == HEX_TEXT_LEN && parse_hex(text, id)) {
        *kind = TW_ID_HEX;
    } else if (!printable_ascii(text, len)) {
        return TW_MALFORMED;
    } else if (len > ID_BYTES) {
        return TW_TOO_BIG;
    } else {
        memcpy(id, text, len);
        *kind = TW_ID_TEXT;
    }
    return TW_OK;
}

size_t twi_trade_id_format(tw_id_kind kind, tw_trade_id id, char *out)
{
    switch (kind) {
    case TW_ID_NUMBER:
        return (size_t)((TWI_LIKELY(id.hi == 0) ? twi_digits_put(out, id.lo) : put_wide_number(id, out)) - out);
    case TW_ID_UUID:
        return format_hex(id, UUID_TEXT_LEN, true, out);
    case TW_ID_HEX:
        return format_hex(id, HEX_TEXT_LEN, false, out);
    case TW_ID_TEXT:
        return format_text(id, out);
    case TW_ID_NONE:
        break;
    }
    return 0;
}
