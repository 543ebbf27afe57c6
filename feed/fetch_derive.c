/* fetch_derive.c - what follows from other figures: a ticker's change, percentage, averages; a trade's cost. Exact, or
 * cut where a quotient has no end; not there where a result needs more digits than a decimal holds. */
#include "feed/fetch.h"

enum { QUOTIENT_DECIMALS = 12 };

static tw_decimal plain(tw_decimal value)
{
    while (value.mantissa != 0 && value.mantissa % 10 == 0 && value.exponent < TW_DECIMAL_EXPONENT_MAX) {
        value.mantissa /= 10;
        value.exponent++;
    }
    return value;
}

static bool in_range(int exponent)
{
    return exponent >= TW_DECIMAL_EXPONENT_MIN && exponent <= TW_DECIMAL_EXPONENT_MAX;
}

static bool add(tw_decimal a, tw_decimal b, tw_decimal *out)
{
    int64_t x, y;
    int8_t exponent = a.exponent < b.exponent ? a.exponent : b.exponent;
    if (tw_decimal_rescale(a, exponent, &x) != TW_OK || tw_decimal_rescale(b, exponent, &y) != TW_OK ||
        __builtin_add_overflow(x, y, &x))
        return false;
    *out = (tw_decimal){.mantissa = x, .exponent = exponent};
    return true;
}

static bool subtract(tw_decimal a, tw_decimal b, tw_decimal *out)
{
    if (b.mantissa == INT64_MIN)
        return false;
    b.mantissa = -b.mantissa;
    return add(a, b, out);
}

static bool multiply(tw_decimal a, tw_decimal b, tw_decimal *out)
{
    a = plain(a);
    b = plain(b);
    int exponent = a.exponent + b.exponent;
    if (!in_range(exponent) || __builtin_mul_overflow(a.mantissa, b.mantissa, &out->mantissa))
        return false;
    out->exponent = (int8_t)exponent;
    return true;
}

/* Long division; a remainder is carried on until it is 0, the quotient has its decimals, or its digits are used up. */
static bool divide(tw_decimal a, tw_decimal b, tw_decimal *out)
{
    a = plain(a);
    b = plain(b);
    if (b.mantissa == 0 || b.mantissa == INT64_MIN || a.mantissa == INT64_MIN)
        return false;
    bool negative = (a.mantissa < 0) != (b.mantissa < 0);
    uint64_t divisor = (uint64_t)(b.mantissa < 0 ? -b.mantissa : b.mantissa);
    uint64_t dividend = (uint64_t)(a.mantissa < 0 ? -a.mantissa : a.mantissa);
    int exponent = a.exponent - b.exponent;
    if (divisor > UINT64_MAX / 10)
        return false; /* the next digit of a remainder would not fit */
    uint64_t quotient = dividend / divisor, remainder = dividend % divisor;
    while (remainder != 0 && exponent > -QUOTIENT_DECIMALS && quotient <= INT64_MAX / 10 - 1) {
        remainder *= 10;
        quotient = quotient * 10 + remainder / divisor;
        remainder %= divisor;
        exponent--;
    }
    while (exponent > TW_DECIMAL_EXPONENT_MAX && quotient <= INT64_MAX / 10) {
        quotient *= 10;
        exponent--;
    }
    if (!in_range(exponent) || quotient > INT64_MAX)
        return false;
    *out = (tw_decimal){.mantissa = negative ? -(int64_t)quotient : (int64_t)quotient, .exponent = (int8_t)exponent};
    return true;
}

/* ---- tickers ---- */

tw_decimal *twi_ticker_member(tw_ticker *ticker, unsigned field)
{
    tw_decimal *const members[TW_TICKER_FIELD_COUNT] = {
        &ticker->high,           &ticker->low,         &ticker->bid,        &ticker->bid_volume, &ticker->ask,
        &ticker->ask_volume,     &ticker->vwap,        &ticker->open,       &ticker->close,      &ticker->last,
        &ticker->previous_close, &ticker->change,      &ticker->percentage, &ticker->average,    &ticker->quote_volume,
        &ticker->base_volume,    &ticker->index_price, &ticker->mark_price};
    return members[field];
}

static bool given(const tw_ticker *ticker, unsigned field)
{
    return (ticker->given & 1u << field) != 0;
}

static void give(tw_ticker *ticker, unsigned field, tw_decimal value)
{
    *twi_ticker_member(ticker, field) = value;
    ticker->given |= 1u << field;
}

/* Prices of 0 mean that there is none. */
static void drop_zero_prices(tw_ticker *ticker)
{
    static const uint8_t prices[] = {TW_TICKER_HIGH,    TW_TICKER_LOW,         TW_TICKER_BID,
                                     TW_TICKER_ASK,     TW_TICKER_VWAP,        TW_TICKER_OPEN,
                                     TW_TICKER_CLOSE,   TW_TICKER_LAST,        TW_TICKER_PREVIOUS_CLOSE,
                                     TW_TICKER_AVERAGE, TW_TICKER_INDEX_PRICE, TW_TICKER_MARK_PRICE};
    for (size_t i = 0; i < sizeof(prices); i++) {
        if (twi_ticker_member(ticker, prices[i])->mantissa == 0)
            ticker->given &= ~(1u << prices[i]);
    }
}

static void derive_open(tw_ticker *ticker)
{
    static const tw_decimal hundred = {.mantissa = 1, .exponent = 2};
    tw_decimal value, scaled;
    if (given(ticker, TW_TICKER_OPEN) || !given(ticker, TW_TICKER_LAST))
        return;
    if (given(ticker, TW_TICKER_CHANGE) && subtract(ticker->last, ticker->change, &value))
        give(ticker, TW_TICKER_OPEN, value);
    else if (given(ticker, TW_TICKER_PERCENTAGE) && add(hundred, ticker->percentage, &value) && value.mantissa > 0 &&
             multiply(ticker->last, hundred, &scaled) && divide(scaled, value, &value))
        give(ticker, TW_TICKER_OPEN, value);
}

static void derive_change(tw_ticker *ticker)
{
    static const tw_decimal hundred = {.mantissa = 1, .exponent = 2}, half = {.mantissa = 5, .exponent = -1};
    tw_decimal value;
    if (!given(ticker, TW_TICKER_OPEN) || !given(ticker, TW_TICKER_LAST))
        return;
    if (!given(ticker, TW_TICKER_CHANGE) && subtract(ticker->last, ticker->open, &value))
        give(ticker, TW_TICKER_CHANGE, value);
    if (!given(ticker, TW_TICKER_PERCENTAGE) && given(ticker, TW_TICKER_CHANGE) && ticker->open.mantissa > 0 &&
        multiply(ticker->change, hundred, &value) && divide(value, ticker->open, &value))
        give(ticker, TW_TICKER_PERCENTAGE, value);
    if (!given(ticker, TW_TICKER_AVERAGE) && add(ticker->open, ticker->last, &value) && multiply(value, half, &value))
        give(ticker, TW_TICKER_AVERAGE, value);
}

void twi_fetch_derive_ticker(tw_ticker *ticker)
{
    tw_decimal value;
    drop_zero_prices(ticker);
    if (!given(ticker, TW_TICKER_LAST) && given(ticker, TW_TICKER_CLOSE))
        give(ticker, TW_TICKER_LAST, ticker->close);
    if (!given(ticker, TW_TICKER_CLOSE) && given(ticker, TW_TICKER_LAST))
        give(ticker, TW_TICKER_CLOSE, ticker->last);
    if (!given(ticker, TW_TICKER_VWAP) && given(ticker, TW_TICKER_BASE_VOLUME) &&
        given(ticker, TW_TICKER_QUOTE_VOLUME) && divide(ticker->quote_volume, ticker->base_volume, &value) &&
        value.mantissa > 0)
        give(ticker, TW_TICKER_VWAP, value);
    derive_open(ticker);
    derive_change(ticker);
}

/* ---- trades ---- */

tw_decimal twi_fetch_cost(const twi_fetch *fetch, const tw_market *market, tw_decimal price, tw_decimal amount)
{
    tw_decimal value;
    bool contracts = !fetch->plain_amounts && market->contract_size.mantissa != 0;
    if (contracts && !multiply(amount, market->contract_size, &amount))
        return (tw_decimal){0};
    bool known = market->inverse ? divide(amount, price, &value) : multiply(price, amount, &value);
    return known ? value : (tw_decimal){0};
}
