/* interval.c - see interval.h. */
#include "engine/base/interval.h"

#include <string.h>

#include "engine/base/digits.h"

typedef struct unit {
    char text[3];
    uint8_t len;
    int64_t ns;
} unit;

static const unit units[] = {
    {"w", 1, INT64_C(604800000000000)},
    {"d", 1, INT64_C(86400000000000)},
    {"h", 1, INT64_C(3600000000000)},
    {"m", 1, INT64_C(60000000000)},
    {"s", 1, 1000000000},
    {"ms", 2, 1000000},
    {"us", 2, 1000},
    {"ns", 2, 1},
};
enum { UNIT_COUNT = sizeof(units) / sizeof(units[0]) };

_Static_assert(TWI_INTERVAL_BYTES_MAX >= TWI_U64_DIGITS_MAX + 2 + TWI_DIGITS_SLACK, "any interval fits");

static const unit *find_unit(const char *text, size_t len)
{
    for (size_t i = 0; i < UNIT_COUNT; i++) {
        if (units[i].len == len && memcmp(units[i].text, text, len) == 0) {
            return &units[i];
        }
    }
    return NULL;
}

tw_status twi_interval_parse(const char *text, size_t len, int64_t *interval_ns)
{
    if (len == 0) {
        return TW_MALFORMED; /* and text may be NULL */
    }
    int64_t value = 0;
    size_t digit_count = 0;
    for (; digit_count < len && text[digit_count] >= '0' && text[digit_count] <= '9'; digit_count++) {
        if (value > (INT64_MAX - 9) / 10) {
            return TW_TOO_BIG;
        }
        value = value * 10 + (text[digit_count] - '0');
    }
    const unit *found = find_unit(text + digit_count, len - digit_count);
    if (digit_count == 0 || found == NULL) {
        return TW_MALFORMED;
    }
    if (value > INT64_MAX / found->ns) {
        return TW_TOO_BIG;
    }
    *interval_ns = value * found->ns;
    return TW_OK;
}

size_t twi_interval_format(int64_t interval_ns, char *out)
{
    if (interval_ns <= 0) {
        memcpy(out, "0s", 2);
        return 2;
    }
    const unit *chosen = units;
    while (interval_ns % chosen->ns != 0) {
        chosen++;
    }
    char *end = twi_digits_put(out, (uint64_t)(interval_ns / chosen->ns));
    memcpy(end, chosen->text, chosen->len);
    return (size_t)(end - out) + chosen->len;
}
