/* candle_sum.c - see candle_sum.h: the rare cases, where digits must be moved before candles can be added. */
#include "engine/candle/candle_sum.h"

#include "tickwire/decimal.h"

/* The four prices with another exponent; 0: they do not fit. */
static int rescale_prices(twi_candle *candle, int8_t exponent)
{
    int64_t *const prices[] = {&candle->open, &candle->high, &candle->low, &candle->close};
    for (int i = 0; i < 4; i++)
        if (tw_decimal_rescale((tw_decimal){*prices[i], candle->price_exponent}, exponent, prices[i]) != TW_OK)
            return 0;
    candle->price_exponent = exponent;
    return 1;
}

static int rescale_volume(twi_candle *candle, int8_t exponent)
{
    if (tw_decimal_rescale((tw_decimal){candle->volume, candle->amount_exponent}, exponent, &candle->volume) != TW_OK)
        return 0;
    candle->amount_exponent = exponent;
    return 1;
}

/* Zeros at the end carry nothing when the room is needed. */
static void strip_volume(twi_candle *candle)
{
    while (candle->volume % 10 == 0 && candle->amount_exponent < TW_DECIMAL_EXPONENT_MAX) {
        candle->volume /= 10;
        candle->amount_exponent++;
        if (candle->volume == 0)
            break;
    }
}

static void strip_prices(twi_candle *candle)
{
    while (candle->price_exponent < TW_DECIMAL_EXPONENT_MAX && candle->open % 10 == 0 && candle->high % 10 == 0 &&
           candle->low % 10 == 0 && candle->close % 10 == 0 && candle->high != 0) {
        candle->open /= 10;
        candle->high /= 10;
        candle->low /= 10;
        candle->close /= 10;
        candle->price_exponent++;
    }
}

static int8_t smaller(int8_t a, int8_t b)
{
    return a < b ? a : b;
}

/* Both with the smaller of their exponents. */
static int align_prices(twi_candle *a, twi_candle *b)
{
    int8_t exponent = smaller(a->price_exponent, b->price_exponent);
    return rescale_prices(a, exponent) && rescale_prices(b, exponent);
}

static int add_volume(twi_candle *a, twi_candle *b)
{
    int8_t exponent = smaller(a->amount_exponent, b->amount_exponent);
    return rescale_volume(a, exponent) && rescale_volume(b, exponent) &&
           !__builtin_add_overflow(a->volume, b->volume, &a->volume);
}

static int fit_prices(twi_candle *a, twi_candle *b)
{
    twi_candle x = *a, y = *b;
    if (!align_prices(&x, &y)) {
        x = *a;
        y = *b;
        strip_prices(&x);
        strip_prices(&y);
        if (!align_prices(&x, &y))
            return 0;
    }
    *a = x;
    *b = y;
    return 1;
}

static int fit_volume(twi_candle *a, twi_candle *b)
{
    twi_candle x = *a, y = *b;
    if (!add_volume(&x, &y)) {
        x = *a;
        y = *b;
        strip_volume(&x);
        strip_volume(&y);
        if (!add_volume(&x, &y))
            return 0;
    }
    *a = x;
    return 1;
}

static int break_sum(twi_candle *sum, const twi_candle *more)
{
    sum->flags |= TWI_CANDLE_BROKEN;
    sum->trade_count += more->trade_count;
    return 0;
}

int twi_candle_merge_slow(twi_candle *sum, const twi_candle *given)
{
    twi_candle more = *given;
    if (more.trade_count == 0)
        return 1;
    if ((sum->flags | more.flags) & TWI_CANDLE_BROKEN)
        return break_sum(sum, &more);
    if (sum->trade_count == 0) {
        more.open_ns = sum->open_ns;
        more.flags = sum->flags;
        *sum = more;
        return 1;
    }
    if (!fit_prices(sum, &more) || !fit_volume(sum, &more))
        return break_sum(sum, &more);
    sum->trade_count += more.trade_count;
    sum->high = more.high > sum->high ? more.high : sum->high;
    sum->low = more.low < sum->low ? more.low : sum->low;
    if (more.last_ns >= sum->last_ns) {
        sum->close = more.close;
        sum->last_ns = more.last_ns;
    }
    if (more.first_ns < sum->first_ns) {
        sum->open = more.open;
        sum->first_ns = more.first_ns;
    }
    sum->recv_ns = more.recv_ns > sum->recv_ns ? more.recv_ns : sum->recv_ns;
    return 1;
}
