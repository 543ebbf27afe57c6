/* text.c - vsnprintf with a running position. See text.h. */
#include "engine/base/text.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>

#include "engine/base/assert.h"

void twi_text_add(twi_text *text, const char *format, ...)
{
    size_t room = text->length < text->cap ? text->cap - text->length : 0;
    va_list args;
    va_start(args, format);
    int needed = vsnprintf(room ? text->out + text->length : NULL, room, format, args);
    va_end(args);
    TWI_ASSERT(needed >= 0);
    text->length += (size_t)needed;
}

typedef struct unit {
    long long size;
    const char *name;
} unit;

static void add_in_units(twi_text *text, long long value, const unit *units, size_t unit_count)
{
    for (size_t i = 0; i < unit_count; i++) {
        if (value && value % units[i].size == 0) {
            twi_text_add(text, "%lld%s", value / units[i].size, units[i].name);
            return;
        }
    }
    twi_text_add(text, "%lld%s", value, units[unit_count - 1].name);
}

void twi_text_add_bytes(twi_text *text, long long bytes)
{
    static const unit units[] = {{1LL << 30, "GiB"}, {1LL << 20, "MiB"}, {1LL << 10, "KiB"}, {1, ""}};
    add_in_units(text, bytes, units, sizeof(units) / sizeof(units[0]));
}

void twi_text_add_duration(twi_text *text, long long ns)
{
    static const unit units[] = {{3600000000000LL, "h"}, {60000000000LL, "m"}, {1000000000, "s"},
                                 {1000000, "ms"},        {1000, "us"},         {1, "ns"}};
    if (ns == 0)
        twi_text_add(text, "0s");
    else
        add_in_units(text, ns, units, sizeof(units) / sizeof(units[0]));
}
