/* text.h - text into a bounded buffer, with the length that the whole would have had, as snprintf() tells it.
 *
 * Use:      twi_text text = {.out = buffer, .cap = sizeof(buffer)}; twi_text_add(&text, ...); text.length says
 *           whether it fit.
 * Thread:   one at a time per buffer. No allocation. */
#ifndef TWI_STATS_TEXT_H
#define TWI_STATS_TEXT_H

#include <stddef.h>

#include "engine/base/compiler.h"

typedef struct twi_text {
    char *out; /* ends with NUL after each call if cap > 0 */
    size_t cap;
    size_t length; /* of the whole text, also of what did not fit */
} twi_text;

void twi_text_add(twi_text *text, const char *format, ...) TWI_PRINTF(2, 3);

#endif
