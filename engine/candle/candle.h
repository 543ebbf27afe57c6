/* candle.h - candles of one instrument from its trades: exact, right from the first trade on, with a bounded past.
 *
 * Job:     trades in; out come the running candle of every interval, each candle as it closes, and the closed ones
 *          that are kept.
 * Usage:   twi_candle_series_init() in memory of twi_candle_series_bytes(); twi_candle_trade() per trade;
 *          twi_candle_clock() when twi_candle_due_ns() has come; twi_candle_flush() after a batch of trades tells of
 *          the running candles that changed.
 * Time:    a trade belongs to the interval that its venue time falls into (without one: the time of receipt), counted
 *          from 1970 UTC as ccxt does. Open is the price of its earliest trade and close of its latest; of trades of
 *          one time the first that came opens and the last that came closes. So the order in which trades come changes
 *          nothing, but among trades of the same nanosecond.
 * Closing: by the first trade of a later interval, or by the clock, close_delay after the interval's end. The clock is
 *          corrected by what lies between venue time and receipt of the newest trade, so that a recording of last year
 *          closes like a live venue.
 * Late:    a trade of a closed interval corrects that candle, which is told again with closed = true, or makes it, if
 *          nothing was traded in it before. Beyond the kept past it is left out there, and the outcome says so.
 * History: a trade of a venue's backlog (TW_FLAG_HISTORY) counts like any other unless it is not newer than what was
 *          counted before the backlog began: those have been counted already.
 * Empty:   an interval without a trade has no candle, as with ccxt.
 * Exact:   sums and prices keep all digits. What 64 bits do not hold (19 digits and more) breaks the candle: it is
 *          not shown any more, nor those of longer intervals around it, and the outcome says so. Nothing is rounded.
 * Cost:    a trade in time order touches the shortest candle only; longer ones are put together when a shorter one
 *          closes or when they are looked at. No allocation.
 * Thread:  the owner's. Non-goals: intervals that are not multiples of each other, gaps of the feed. */
#ifndef TWI_CANDLE_H
#define TWI_CANDLE_H

#include <stddef.h>
#include <stdint.h>

#include "tickwire/event.h"

enum { TWI_CANDLE_INTERVALS = 6, TWI_CANDLE_HISTORY_MAX = 1 << 20 };

enum {
    TWI_CANDLE_CLOSED = 1u << 0,
    TWI_CANDLE_BROKEN = 1u << 1 /* more digits than 64 bits hold: not to be shown */
};

typedef struct twi_candle {
    int64_t open_ns;           /* where its interval begins */
    int64_t first_ns, last_ns; /* times of its earliest and latest trade */
    int64_t recv_ns;           /* when the trade that was received last was received */
    int64_t open, high, low, close, volume;
    uint32_t trade_count; /* 0: there is none */
    int8_t price_exponent, amount_exponent;
    uint8_t flags; /* TWI_CANDLE_* */
    uint8_t reserved;
} twi_candle;

/* What became of a trade. */
typedef enum twi_candle_outcome {
    TWI_CANDLE_TAKEN,    /* in the running candles */
    TWI_CANDLE_LATE,     /* it corrected at least one closed candle */
    TWI_CANDLE_TOO_LATE, /* older than what is kept of at least one interval: not counted there */
    TWI_CANDLE_REPEATED, /* of a backlog, and counted before */
    TWI_CANDLE_BAD_TIME, /* more than a day after its receipt: not counted at all */
    TWI_CANDLE_TOO_BIG   /* a candle broke: its figures need more than 64 bits */
} twi_candle_outcome;

/* Where candles are told to; never NULL. closed ones when they close or are corrected, running ones by flush(). */
typedef struct twi_candle_sink {
    void (*tell)(void *owner, uint32_t instrument, uint32_t interval, const twi_candle *candle);
    void *owner;
} twi_candle_sink;

typedef struct twi_candle_series twi_candle_series;

/* Seconds of interval `index` (1s 1m 5m 15m 1h 1d); 0 beyond. Each is a multiple of the one before. */
uint32_t twi_candle_interval_s(uint32_t index);
/* "1m" to its index; -1 if there is no such interval. */
int twi_candle_interval_find(const char *text, size_t len);

/* history: closed candles that are kept per interval, 0 .. TWI_CANDLE_HISTORY_MAX. */
size_t twi_candle_series_bytes(uint32_t history);
/* memory: 8-byte aligned, the caller's. instrument is what the sink gets to hear. */
twi_candle_series *twi_candle_series_init(void *memory, uint32_t instrument, uint32_t history, int64_t close_delay_ns);

/* A TW_EVENT_TRADE. Tells of candles that it closes or corrects. */
twi_candle_outcome twi_candle_trade(twi_candle_series *series, const tw_event *trade, const twi_candle_sink *sink);
/* When clock() has something to close next (time of receipt); INT64_MAX: never. */
int64_t twi_candle_due_ns(const twi_candle_series *series);
/* Closes what is due. */
void twi_candle_clock(twi_candle_series *series, int64_t now_ns, const twi_candle_sink *sink);
/* Tells of the running candles that have changed since the last flush, of the intervals in `wanted` (bit per index).
 * Returns those that have changed too, but are not wanted. */
uint32_t twi_candle_flush(twi_candle_series *series, uint32_t wanted, const twi_candle_sink *sink);
/* 1: flush() would have something to tell. */
int twi_candle_changed(const twi_candle_series *series);

/* The newest candle of an interval: the running one or, if there is none, the one that closed last. 0: none. */
int twi_candle_newest(const twi_candle_series *series, uint32_t interval, twi_candle *out);
/* Up to count_max candles that began at since_ns or later, oldest first, the running one last; broken ones are left
 * out. If there are more, the newest (from_oldest: the oldest). Returns how many. */
uint32_t twi_candle_copy(const twi_candle_series *series, uint32_t interval, int64_t since_ns, int from_oldest,
                         twi_candle *out, uint32_t count_max);
/* Adds what `more` traded; both unbroken. 0: it does not fit, *sum is broken. open_ns stays. */
int twi_candle_add(twi_candle *sum, const twi_candle *more);

/* The candle as the two events of a record (CANDLE, CANDLE_TAIL). */
void twi_candle_events(const twi_candle *candle, uint32_t instrument, uint32_t interval, tw_event out[2]);

#endif
