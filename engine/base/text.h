/* text.h - bounded text building for the control path: error texts, reports, start-up lines.
 *
 * Usage:     twi_text text = {.out = buffer, .cap = sizeof(buffer)}; twi_text_add(&text, "%d", n); ...
 * Promise:   never writes outside out[0..cap), ends with a NUL if cap > 0, and counts on when it is full, so that
 *            text.length is what the whole text needs (like snprintf).
 * Thread:    one at a time per object. Non-goals: speed; the data path writes its bytes itself. */
#ifndef TWI_TEXT_H
#define TWI_TEXT_H

#include <stddef.h>

#include "engine/base/compiler.h"

typedef struct twi_text {
    char *out;
    size_t cap;
    size_t length; /* of the whole text, without its NUL */
} twi_text;

void twi_text_add(twi_text *text, const char *format, ...) TWI_PRINTF(2, 3);
/* 64MiB, 1500kB, 17: the largest unit in which the number of bytes is whole. */
void twi_text_add_bytes(twi_text *text, long long bytes);
/* 5s, 50ms, 1500us: the largest unit in which the duration is whole. */
void twi_text_add_duration(twi_text *text, long long ns);

#endif
