/* times.c - dates and fractions to nanoseconds; see times.h. */
#include "feed/times.h"

#include <stdbool.h>

enum { NS_EXPONENT = -9, ISO_WHOLE_LEN = 19, FRACTION_DIGITS = 9, SECONDS_PER_DAY = 86400 };

int64_t twi_time_from_decimal(tw_decimal value, int unit_exponent)
{
    int exponent = value.exponent + unit_exponent;
    int64_t ns = value.mantissa;
    if (ns <= 0)
        return 0;
    for (; exponent < NS_EXPONENT; exponent++)
        ns /= 10;
    for (; exponent > NS_EXPONENT; exponent--) {
        if (__builtin_mul_overflow(ns, 10, &ns))
            return 0;
    }
    return ns;
}

/* Era arithmetic over 400-year cycles that begin on 1 March, so that the leap day is a cycle's last. */
int64_t twi_days_from_date(int year, unsigned month, unsigned day)
{
    int64_t shifted = (int64_t)year - (month <= 2);
    int64_t era = (shifted >= 0 ? shifted : shifted - 399) / 400;
    int64_t year_of_era = shifted - era * 400;
    int64_t day_of_year = (153 * ((int64_t)month + (month > 2 ? -3 : 9)) + 2) / 5 + (int64_t)day - 1;
    int64_t day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    return era * 146097 + day_of_era - 719468;
}

void twi_date_from_days(int64_t days, int *year, unsigned *month, unsigned *day)
{
    days += 719468;
    int64_t era = (days >= 0 ? days : days - 146096) / 146097;
    int64_t day_of_era = days - era * 146097;
    int64_t year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    int64_t day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    int64_t shifted_month = (5 * day_of_year + 2) / 153;
    *day = (unsigned)(day_of_year - (153 * shifted_month + 2) / 5 + 1);
    *month = (unsigned)(shifted_month < 10 ? shifted_month + 3 : shifted_month - 9);
    *year = (int)(year_of_era + era * 400 + (*month <= 2));
}

/* `count` digits; -1 if one is none. */
static int digits(const char *text, int count)
{
    int value = 0;
    for (int i = 0; i < count; i++) {
        if (text[i] < '0' || text[i] > '9')
            return -1;
        value = value * 10 + (text[i] - '0');
    }
    return value;
}

static int64_t fraction_ns(const char *text, size_t len)
{
    int64_t ns = 0;
    int count = 0;
    for (size_t i = 0; i < len && text[i] >= '0' && text[i] <= '9' && count < FRACTION_DIGITS; i++, count++)
        ns = ns * 10 + (text[i] - '0');
    for (; count < FRACTION_DIGITS; count++)
        ns *= 10;
    return ns;
}

int64_t twi_time_from_iso(const char *text, size_t len)
{
    if (len < ISO_WHOLE_LEN || text[4] != '-' || text[7] != '-' || text[13] != ':' || text[16] != ':')
        return 0;
    int year = digits(text, 4), month = digits(text + 5, 2), day = digits(text + 8, 2);
    int hour = digits(text + 11, 2), minute = digits(text + 14, 2), second = digits(text + 17, 2);
    bool known =
        year >= 1970 && year < 2200 && month >= 1 && month <= 12 && day >= 1 && hour >= 0 && minute >= 0 && second >= 0;
    if (!known)
        return 0;
    int64_t seconds =
        twi_days_from_date(year, (unsigned)month, (unsigned)day) * SECONDS_PER_DAY + hour * 3600 + minute * 60 + second;
    int64_t fraction = len > ISO_WHOLE_LEN && text[ISO_WHOLE_LEN] == '.'
                           ? fraction_ns(text + ISO_WHOLE_LEN + 1, len - ISO_WHOLE_LEN - 1)
                           : 0;
    return seconds * TWI_NS_PER_S + fraction;
}
