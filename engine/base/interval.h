/* interval.h - lengths of candles as text: "1s", "5m", "1h", "1d", as ccxt writes them.
 *
 * Units:    w d h m s, and ms us ns for what is no whole second. Format takes the largest unit that divides.
 * Thread:   pure functions, no allocation. Non-goals: calendar months and years, sums like "1h30m". */
#ifndef TWI_INTERVAL_H
#define TWI_INTERVAL_H

#include <stddef.h>
#include <stdint.h>

#include "tickwire/status.h"

enum { TWI_INTERVAL_BYTES_MAX = 32 }; /* what format() needs */

/* Reads the whole of [text, text+len): digits and a unit. TW_MALFORMED: it is not; TW_TOO_BIG: more than int64 ns. */
TW_MUST_USE tw_status twi_interval_parse(const char *text, size_t len, int64_t *interval_ns);

/* Writes without NUL and returns the length; "0s" for what is not positive. */
size_t twi_interval_format(int64_t interval_ns, char *out);

#endif
