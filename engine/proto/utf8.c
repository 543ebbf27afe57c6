/* utf8.c - the check: ASCII sixteen bytes at a time, everything else by the table 3-7 of the Unicode standard. */
#include "engine/proto/utf8.h"

#include <string.h>

#include "engine/base/compiler.h"

static const uint64_t high_bits = 0x8080808080808080u;

static const uint8_t *skip_ascii(const uint8_t *p, const uint8_t *end)
{
    while (end - p >= 16) {
        uint64_t words[2];
        memcpy(words, p, sizeof(words));
        if (((words[0] | words[1]) & high_bits) != 0)
            break;
        p += 16;
    }
    while (p < end && *p < 0x80)
        p++;
    return p;
}

static bool in_range(uint8_t byte, uint8_t min, uint8_t max)
{
    return (uint8_t)(byte - min) <= max - min;
}

/* Two- and three-byte characters that lie whole before end: most text outside of ASCII. Stops at anything else. */
static const uint8_t *skip_short_characters(const uint8_t *p, const uint8_t *end)
{
    while (end - p >= 3) {
        if (in_range(p[0], 0xC2, 0xDF) && in_range(p[1], 0x80, 0xBF)) {
            p += 2;
            continue;
        }
        uint8_t second_min = p[0] == 0xE0 ? 0xA0 : 0x80;
        uint8_t second_max = p[0] == 0xED ? 0x9F : 0xBF;
        if (!in_range(p[0], 0xE0, 0xEF) || !in_range(p[1], second_min, second_max) || !in_range(p[2], 0x80, 0xBF))
            break;
        p += 3;
    }
    return p;
}

/* What may follow a lead byte. The second byte has a narrower range after E0 (overlong), ED (surrogates), F0 (overlong)
 * and F4 (above U+10FFFF); C0, C1 and F5..FF are never a lead. */
static bool start_character(twi_utf8 *state, uint8_t lead)
{
    if (lead < 0xC2 || lead > 0xF4)
        return false;
    state->bytes_left = lead < 0xE0 ? 1 : lead < 0xF0 ? 2 : 3;
    state->next_min = lead == 0xE0 ? 0xA0 : lead == 0xF0 ? 0x90 : 0x80;
    state->next_max = lead == 0xED ? 0x9F : lead == 0xF4 ? 0x8F : 0xBF;
    return true;
}

bool twi_utf8_feed(twi_utf8 *state, const uint8_t *data, size_t len)
{
    if (len == 0)
        return true;
    const uint8_t *p = data;
    const uint8_t *end = data + len;
    twi_utf8 now = *state;
    for (;;) {
        while (now.bytes_left > 0) {
            if (p == end) {
                *state = now;
                return true;
            }
            if (*p < now.next_min || *p > now.next_max)
                return false;
            now.next_min = 0x80;
            now.next_max = 0xBF;
            now.bytes_left--;
            p++;
        }
        p = skip_ascii(p, end);
        p = skip_short_characters(p, end);
        if (p < end && *p < 0x80)
            continue;
        if (p == end) {
            *state = now;
            return true;
        }
        if (!start_character(&now, *p++))
            return false;
    }
}

bool twi_utf8_valid(const uint8_t *data, size_t len)
{
    twi_utf8 state = {0};
    return twi_utf8_feed(&state, data, len) && twi_utf8_complete(&state);
}
