/* utf8.h - UTF-8 checked as it arrives (RFC 3629): no overlong forms, no surrogates, nothing above U+10FFFF.
 *
 * Usage:    zero the state, feed pieces cut anywhere, ask whether it ends complete. The first impossible byte is
 *           reported at once, also when the character is not complete yet (fail fast, as RFC 6455 section 8.1 wants).
 * Memory:   three bytes of state, nothing else. Thread: any.
 * Non-goals: decoding to code points, normalization. */
#ifndef TWI_UTF8_H
#define TWI_UTF8_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct twi_utf8 {
    uint8_t bytes_left; /* of the character that was cut; 0: between characters */
    uint8_t next_min;   /* range of its next byte; only while bytes_left > 0 */
    uint8_t next_max;
} twi_utf8;

/* false: some byte up to data[len] can be no part of UTF-8; the state is then of no more use. */
bool twi_utf8_feed(twi_utf8 *state, const uint8_t *data, size_t len);

/* true: no character is cut at this place. */
static inline bool twi_utf8_complete(const twi_utf8 *state)
{
    return state->bytes_left == 0;
}

/* One whole text. */
bool twi_utf8_valid(const uint8_t *data, size_t len);

#endif
