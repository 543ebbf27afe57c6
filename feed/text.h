/* text.h - a bounded writer for what a feed says: subscribe frames, URLs. Too long is remembered, never overrun. */
#ifndef TWI_FEED_TEXT_H
#define TWI_FEED_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

typedef struct twi_text {
    char *out;
    size_t len, cap;
    bool overflow; /* something did not fit: nothing of the text may be used */
} twi_text;

static inline twi_text twi_text_over(void *out, size_t cap)
{
    return (twi_text){.out = out, .cap = cap};
}

static inline void twi_text_bytes(twi_text *text, const char *bytes, size_t len)
{
    if (len > text->cap - text->len) {
        text->overflow = true;
        return;
    }
    if (len == 0) /* bytes may be NULL then */
        return;
    memcpy(text->out + text->len, bytes, len);
    text->len += len;
}

static inline void twi_text_put(twi_text *text, const char *string)
{
    twi_text_bytes(text, string, strlen(string));
}

static inline void twi_text_number(twi_text *text, uint64_t number)
{
    char digits[20];
    size_t at = sizeof(digits);
    do {
        digits[--at] = (char)('0' + number % 10);
        number /= 10;
    } while (number > 0);
    twi_text_bytes(text, digits + at, sizeof(digits) - at);
}

/* ASCII letters in the other case. */
static inline void twi_text_lower(twi_text *text, const char *bytes, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        char byte = bytes[i] >= 'A' && bytes[i] <= 'Z' ? (char)(bytes[i] | 0x20) : bytes[i];
        twi_text_bytes(text, &byte, 1);
    }
}

static inline void twi_text_upper(twi_text *text, const char *bytes, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        char byte = bytes[i] >= 'a' && bytes[i] <= 'z' ? (char)(bytes[i] & ~0x20) : bytes[i];
        twi_text_bytes(text, &byte, 1);
    }
}

/* Ends it as a C string; false if it did not fit. */
static inline bool twi_text_end(twi_text *text)
{
    twi_text_bytes(text, "", 1);
    return !text->overflow;
}

#endif
