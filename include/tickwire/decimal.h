/* decimal.h - exact decimals: text to (mantissa, exponent) and back, comparison, rescaling. No doubles.
 *
 * Range:    mantissa int64 (18 full digits), exponent -30..+18. What does not fit is TW_TOO_BIG, never rounded.
 * Thread:   pure functions, no allocation. */
#ifndef TICKWIRE_DECIMAL_H
#define TICKWIRE_DECIMAL_H

#include <stddef.h>
#include <stdint.h>

#include "tickwire/status.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct tw_decimal {
    int64_t mantissa;
    int8_t exponent; /* value = mantissa * 10^exponent */
} tw_decimal;

enum {
    TW_DECIMAL_TEXT_MAX = 56, /* bytes that tw_decimal_format() needs at most */
    TW_DECIMAL_EXPONENT_MIN = -30,
    TW_DECIMAL_EXPONENT_MAX = 18
};

/* Parses [+-]digits[.digits][e[+-]digits], the whole of [text, text+len). Keeps trailing zeros in the exponent, as far
 * as mantissa and exponent stay in range. TW_MALFORMED: not a number. TW_TOO_BIG: more digits than a mantissa holds
 * after dropping trailing zeros, or a magnitude that no exponent in range can express. */
TW_API TW_MUST_USE tw_status tw_decimal_parse(const char *text, size_t len, tw_decimal *out);

/* Writes plain notation (never an exponent), e.g. 6400010,-2 -> "64000.10". No NUL. Returns the bytes written.
 * The exponent must be in range (asserted); out must hold TW_DECIMAL_TEXT_MAX bytes. */
TW_API size_t tw_decimal_format(tw_decimal value, char *out);

/* The same value with the given exponent; TW_TOO_BIG if digits would be lost or the mantissa would overflow. */
TW_API TW_MUST_USE tw_status tw_decimal_rescale(tw_decimal value, int8_t exponent, int64_t *mantissa);

/* -1, 0, 1 by value (1.0 equals 1.00). */
TW_API int tw_decimal_compare(tw_decimal a, tw_decimal b);

/* For display and statistics only, never on the way of a price. */
TW_API double tw_decimal_to_double(tw_decimal value);

#ifdef __cplusplus
}
#endif
#endif
