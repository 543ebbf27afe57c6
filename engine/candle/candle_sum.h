/* candle_sum.h - the exact arithmetic of candles: two of them, or a candle and a trade, become one.
 *
 * Thread:   pure. Internal to engine/candle. */
#ifndef TWI_CANDLE_SUM_H
#define TWI_CANDLE_SUM_H

#include "engine/base/compiler.h"
#include "engine/candle/candle.h"

/* The usual digits are not: exponents differ, one of them is empty or broken, or the sum does not fit. */
int twi_candle_merge_slow(twi_candle *sum, const twi_candle *more);

/* Adds what `more` traded; open_ns and CLOSED of the sum stay. 0: a figure needs more than 64 bits, the sum is broken.
 */
static TWI_ALWAYS_INLINE int twi_candle_merge(twi_candle *sum, const twi_candle *more)
{
    int64_t volume;
    int is_usual = sum->trade_count != 0 && more->trade_count != 0 && sum->price_exponent == more->price_exponent &&
                   sum->amount_exponent == more->amount_exponent && !((sum->flags | more->flags) & TWI_CANDLE_BROKEN) &&
                   !__builtin_add_overflow(sum->volume, more->volume, &volume);
    if (TWI_UNLIKELY(!is_usual))
        return twi_candle_merge_slow(sum, more);
    sum->volume = volume;
    sum->trade_count += more->trade_count;
    sum->high = more->high > sum->high ? more->high : sum->high;
    sum->low = more->low < sum->low ? more->low : sum->low;
    if (more->last_ns >= sum->last_ns) {
        sum->close = more->close;
        sum->last_ns = more->last_ns;
    }
    if (more->first_ns < sum->first_ns) {
        sum->open = more->open;
        sum->first_ns = more->first_ns;
    }
    sum->recv_ns = more->recv_ns > sum->recv_ns ? more->recv_ns : sum->recv_ns;
    return 1;
}

#endif
