/* scan.h - what venue parsers read again and again: times, the two sides of a book, lists of trades to be turned round.
 * Everything reads from a twi_json and leaves errors in it. */
#ifndef TWI_FEED_SCAN_H
#define TWI_FEED_SCAN_H

#include "feed/emit.h"
#include "feed/venue_book.h"

/* The id of one of our messages that the venue gives back as text; false: it is not one. */
bool twi_scan_request_id(twi_json_slice text, uint32_t *id);

/* The levels of a book message until it is known what they mean: in the venue's table, or, where that is not given or
 * they are unusual, where they are in the message. */
typedef struct twi_sides {
    twi_rows *rows; /* NULL: always in the message */
    twi_json at[TWI_SIDE_COUNT];
    twi_row_range range[TWI_SIDE_COUNT];
    bool has[TWI_SIDE_COUNT];
    bool read[TWI_SIDE_COUNT]; /* they are in the table */
} twi_sides;

/* Begins a message whose levels go through the venue's table. */
static inline void twi_sides_open(twi_sides *sides, twi_venue *venue)
{
    sides->rows = venue->rows;
    twi_rows_reset(sides->rows);
}

static inline void twi_scan_side(twi_json *json, twi_side side, twi_sides *sides)
{
    sides->read[side] = sides->rows != NULL && twi_json_peek(json) == TWI_JSON_ARRAY &&
                        twi_rows_read_pairs(sides->rows, json, side, &sides->range[side]);
    sides->has[side] = sides->read[side] || twi_json_defer(json, &sides->at[side]);
}

/* The same on the straight road (json_take.h): false if they are unusual. */
static inline bool twi_sides_take(twi_json *json, twi_side side, twi_sides *sides)
{
    sides->has[side] = sides->read[side] = twi_rows_read_pairs(sides->rows, json, side, &sides->range[side]);
    return sides->read[side];
}

/* "2021-04-17T16:43:30.244075Z" to ns. */
static inline bool twi_scan_iso(twi_json *json, int64_t *ns)
{
    twi_json_slice text;
    if (!twi_json_string(json, &text))
        return false;
    *ns = twi_time_from_iso(text.text, text.len);
    return true;
}

/* A whole number of units, bare or in quotes, to ns. */
static inline bool twi_scan_time(twi_json *json, int64_t unit_ns, int64_t *ns)
{
    int64_t value;
    if (!twi_json_int64(json, &value))
        return false;
    *ns = twi_time_from(value, unit_ns);
    return true;
}

/* Seconds (unit_exponent 0) or milliseconds (-3) with decimals. */
static inline bool twi_scan_fraction(twi_json *json, int unit_exponent, int64_t *ns)
{
    tw_decimal value;
    if (!twi_json_decimal(json, &value))
        return false;
    *ns = twi_time_from_decimal(value, unit_exponent);
    return true;
}

/* A decimal that may be missing: null or "" leave 0. */
static inline bool twi_scan_optional(twi_json *json, tw_decimal *value)
{
    if (TWI_LIKELY(twi_json_decimal_fast(json, value)))
        return true;
    *value = (tw_decimal){0};
    if (twi_json_null(json))
        return true;
    if (json->end - json->at >= 2 && json->at[0] == '"' && json->at[1] == '"')
        return json->at += 2, true;
    return twi_json_decimal_slow(json, value);
}

/* [[price, amount, ...], ...]: the first row, or zeros if there is none. */
void twi_scan_best(twi_json *json, tw_decimal *price, tw_decimal *amount);

/* Both sides as rows, then the end of the update; for venues that need nothing in between. */
tw_status twi_update_finish(twi_update *update, twi_sides *sides);
/* Both sides only. False: the scan failed, abort. */
bool twi_update_sides(twi_update *update, twi_sides *sides);

/* Trades that come newest first. */
enum { TWI_TRADES_MAX = 512 };
typedef struct twi_trades {
    uint32_t count, lost; /* lost: older than the oldest that is kept */
    twi_trade items[TWI_TRADES_MAX];
} twi_trades;

static inline void twi_trades_add(twi_trades *trades, const twi_trade *trade)
{
    if (trades->count == TWI_TRADES_MAX)
        trades->lost++;
    else
        trades->items[trades->count++] = *trade;
}

/* Oldest first. */
static inline tw_status twi_trades_emit_reversed(const twi_trades *trades, twi_slot *slot, int64_t recv_ns,
                                                 tw_sink *sink)
{
    for (uint32_t i = trades->count; i > 0; i--) {
        tw_status status = twi_emit_trade(slot, &trades->items[i - 1], recv_ns, sink);
        if (status != TW_OK)
            return status;
    }
    return TW_OK;
}

/* "buy" or "Buy" or "b" against "sell" ...: true for the latter; anything else fails the scan. */
static inline bool twi_scan_is_sell(twi_json *json, bool *sell)
{
    twi_json_slice side;
    if (!twi_json_string(json, &side))
        return false;
    char letter = side.len > 0 ? (char)(side.text[0] | 0x20) : 0;
    if (letter != 'b' && letter != 's')
        return twi_json_fail(json, TW_MALFORMED);
    *sell = letter == 's';
    return true;
}

#endif
