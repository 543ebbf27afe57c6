/* text.c - see text.h. */
#include "engine/stats/text.h"

#include <stdarg.h>
#include <stdio.h>

void twi_text_add(twi_text *text, const char *format, ...)
{
    int fits = text->length < text->cap;
    va_list arguments;
    va_start(arguments, format);
    int length =
        vsnprintf(fits ? text->out + text->length : NULL, fits ? text->cap - text->length : 0, format, arguments);
    va_end(arguments);
    text->length += length > 0 ? (size_t)length : 0;
}
