/* slice.h - a view of somebody else's bytes: what the parsers of this folder hand out instead of copies.
 *
 * Ownership: a slice lives as long as the buffer that it was cut from. data may be NULL only when len is 0.
 * Text:      bytes, not C strings: there is no zero byte behind them. Comparison without case is ASCII only, as in
 *            HTTP. */
#ifndef TWI_SLICE_H
#define TWI_SLICE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

typedef struct twi_slice {
    const char *data;
    size_t len;
} twi_slice;

static inline twi_slice twi_slice_make(const char *data, size_t len)
{
    return (twi_slice){.data = data, .len = len};
}

static inline twi_slice twi_slice_text(const char *text)
{
    return twi_slice_make(text, strlen(text));
}

static inline bool twi_slice_equals(twi_slice slice, const char *text)
{
    return slice.len == strlen(text) && (slice.len == 0 || memcmp(slice.data, text, slice.len) == 0);
}

static inline char twi_ascii_lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c + ('a' - 'A')) : c;
}

/* `text` must be lower case. */
static inline bool twi_slice_equals_nocase(twi_slice slice, const char *text)
{
    for (size_t i = 0; i < slice.len; i++) {
        if (text[i] == '\0' || twi_ascii_lower(slice.data[i]) != text[i])
            return false;
    }
    return text[slice.len] == '\0';
}

/* Without blanks (space, tab) at both ends: OWS of RFC 9110 section 5.6.3. */
static inline twi_slice twi_slice_trim(twi_slice slice)
{
    while (slice.len > 0 && (slice.data[0] == ' ' || slice.data[0] == '\t')) {
        slice.data++;
        slice.len--;
    }
    while (slice.len > 0 && (slice.data[slice.len - 1] == ' ' || slice.data[slice.len - 1] == '\t'))
        slice.len--;
    return slice;
}

/* Cuts the part before the first `separator` off *rest (all of it if there is none). false: *rest was used up, that is
 * its data is NULL; after the last part *rest becomes so. */
static inline bool twi_slice_split(twi_slice *rest, char separator, twi_slice *part)
{
    if (rest->data == NULL)
        return false;
    const char *found = rest->len > 0 ? (const char *)memchr(rest->data, separator, rest->len) : NULL;
    if (found == NULL) {
        *part = *rest;
        *rest = twi_slice_make(NULL, 0);
        return true;
    }
    size_t part_len = (size_t)(found - rest->data);
    *part = twi_slice_make(rest->data, part_len);
    *rest = twi_slice_make(found + 1, rest->len - part_len - 1);
    return true;
}

#endif
