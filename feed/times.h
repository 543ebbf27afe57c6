/* times.h - venue times to int64 nanoseconds since 1970 UTC. What is not a time of this era is 0, "not known". */
#ifndef TWI_FEED_TIMES_H
#define TWI_FEED_TIMES_H

#include <stddef.h>
#include <stdint.h>

#include "tickwire/decimal.h"

#define TWI_NS_PER_US INT64_C(1000)
#define TWI_NS_PER_MS INT64_C(1000000)
#define TWI_NS_PER_S  INT64_C(1000000000)

/* ms or us of a venue; out of range (before 1970, after 2200) is 0. */
static inline int64_t twi_time_from(int64_t value, int64_t unit_ns)
{
    enum { YEARS_S_MAX = 230 };
    return value > 0 && value < YEARS_S_MAX * (INT64_C(31557600) * TWI_NS_PER_S / unit_ns) ? value * unit_ns : 0;
}

static inline int64_t twi_time_from_ms(int64_t ms)
{
    return twi_time_from(ms, TWI_NS_PER_MS);
}

/* Seconds (unit_exponent 0) or milliseconds (-3) with any number of decimals; what is finer than 1 ns is cut. */
int64_t twi_time_from_decimal(tw_decimal value, int unit_exponent);

/* RFC 3339 in UTC: 2021-04-17T16:43:37[.fraction]Z, as the Coinbases, Kraken and BitMEX write it. */
int64_t twi_time_from_iso(const char *text, size_t len);

/* Days since 1970 of a date of the Gregorian calendar, and back. */
int64_t twi_days_from_date(int year, unsigned month, unsigned day);
void twi_date_from_days(int64_t days, int *year, unsigned *month, unsigned *day);

#endif
