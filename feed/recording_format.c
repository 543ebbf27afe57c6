/* recording_format.c - connections, times, scratch memory and bytes literals, for all formats of recordings. */
#include "feed/recording_format.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

enum { NS_PER_SECOND = 1000000000, FRACTION_DIGITS = 9, SECONDS_DIGITS_MAX = 10 };

static char *copy_text(twi_recording_text from)
{
    char *copy = malloc(from.len + 1);
    if (!copy)
        return NULL;
    if (from.len != 0)
        memcpy(copy, from.text, from.len);
    copy[from.len] = '\0';
    return copy;
}

tw_status twi_recording_conn_get(twi_recording_conns *conns, twi_recording_text key, uint32_t *conn)
{
    for (uint32_t i = 0; key.text && i < conns->count; i++) {
        const char *known = conns->list[i].key;
        if (known && strlen(known) == key.len && memcmp(known, key.text, key.len) == 0) {
            *conn = i;
            return TW_OK;
        }
    }
    if (conns->count == TWI_RECORDING_CONN_COUNT_MAX)
        return TW_FULL;
    if (!conns->list)
        conns->list = calloc(TWI_RECORDING_CONN_COUNT_MAX, sizeof(*conns->list));
    if (!conns->list)
        return TW_NO_MEMORY;
    twi_recording_conn *added = &conns->list[conns->count];
    if (key.text && !(added->key = copy_text(key)))
        return TW_NO_MEMORY;
    *conn = conns->count++;
    return TW_OK;
}

tw_status twi_recording_conn_set_url(twi_recording_conns *conns, uint32_t conn, twi_recording_text url)
{
    char *copy = copy_text(url);
    if (!copy)
        return TW_NO_MEMORY;
    free(conns->list[conn].url);
    conns->list[conn].url = copy;
    return TW_OK;
}

tw_status twi_recording_reserve(twi_recording_reader *reader, size_t len)
{
    if (len <= reader->scratch_cap)
        return TW_OK;
    uint8_t *larger = malloc(len * 2);
    if (!larger)
        return TW_NO_MEMORY;
    free(reader->scratch);
    reader->scratch = larger;
    reader->scratch_cap = len * 2;
    return TW_OK;
}

size_t twi_recording_seconds(const uint8_t *text, size_t len, int64_t *ns)
{
    size_t at = 0;
    int64_t seconds = 0, fraction = 0;
    while (at < len && at < SECONDS_DIGITS_MAX && isdigit(text[at]))
        seconds = seconds * 10 + (text[at++] - '0');
    if (at == 0 || seconds > INT64_MAX / NS_PER_SECOND - 1)
        return 0;
    if (at + 1 < len && text[at] == '.' && isdigit(text[at + 1])) {
        int digits = 0;
        for (at++; at < len && isdigit(text[at]); at++)
            if (digits++ < FRACTION_DIGITS)
                fraction = fraction * 10 + (text[at] - '0');
        for (; digits < FRACTION_DIGITS; digits++)
            fraction *= 10;
    }
    *ns = seconds * NS_PER_SECOND + fraction;
    return at;
}

static int hex_value(uint8_t digit)
{
    if (isdigit(digit))
        return digit - '0';
    digit = (uint8_t)tolower(digit);
    return digit >= 'a' && digit <= 'f' ? digit - 'a' + 10 : -1;
}

/* One escape whose backslash is at `at`; returns the bytes it takes, 0 if it is none. */
static size_t decode_escape(const uint8_t *at, const uint8_t *end, uint8_t *out)
{
    static const char names[] = "nrt\\'\"abfv0", values[] = "\n\r\t\\'\"\a\b\f\v\0";
    if (end - at < 2)
        return 0;
    if (at[1] == 'x') {
        int high = end - at >= 4 ? hex_value(at[2]) : -1, low = high >= 0 ? hex_value(at[3]) : -1;
        if (low < 0)
            return 0;
        *out = (uint8_t)(high * 16 + low);
        return 4;
    }
    const char *name = memchr(names, at[1], sizeof(names) - 1);
    if (!name)
        return 0;
    *out = (uint8_t)values[name - names];
    return 2;
}

tw_status twi_recording_decode_literal(uint8_t *bytes, size_t *len)
{
    if (*len < 3 || bytes[0] != 'b' || (bytes[1] != '\'' && bytes[1] != '"'))
        return TW_EMPTY;
    uint8_t quote = bytes[1], *out = bytes;
    const uint8_t *at = bytes + 2, *end = bytes + *len - 1;
    if (*end != quote)
        return TW_MALFORMED;
    while (at < end) {
        if (*at == quote)
            return TW_MALFORMED;
        if (*at != '\\') {
            *out++ = *at++;
            continue;
        }
        size_t taken = decode_escape(at, end, out++);
        if (taken == 0)
            return TW_MALFORMED;
        at += taken;
    }
    *len = (size_t)(out - bytes);
    return TW_OK;
}
