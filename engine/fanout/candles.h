/* candles.h - the candles of all instruments: fed by the publisher, told to it, closed by its clock.
 *
 * Job:    one series (engine/candle) per instrument that trades, who changed in this batch, who closes when.
 * Thread: the publisher's own.
 * Memory: a series per known instrument by twi_candles_reserve(); that of an instrument which is listed later with its
 *         first trade. Pages of the past are touched as it fills. */
#ifndef TWI_CANDLES_H
#define TWI_CANDLES_H

#include "engine/candle/candle.h"
#include "engine/stats/counters.h"

typedef struct twi_candles_config {
    uint32_t instrument_count_max;
    uint32_t history;
    int64_t close_delay_ns;
    twi_cells *counters;
    void (*tell)(void *owner, uint32_t instrument, uint32_t interval, const twi_candle *candle);
    void (*skip)(void *owner, uint32_t instrument, uint32_t interval); /* changed, but not among the wanted */
    void *owner;
} twi_candles_config;

enum { TWI_CANDLES_CHANGED_MAX = 64 };

typedef struct twi_candles {
    twi_candles_config config;
    twi_candle_sink sink;
    twi_candle_series **series; /* [instrument]; NULL: has not traded */
    int64_t *due_ns;            /* [instrument] when the clock closes something */
    int64_t next_due_ns;        /* the earliest of them, or earlier; INT64_MAX: none */
    uint32_t instrument_count;  /* that have a series lie below */
    uint32_t changed_count;     /* instruments whose running candles changed in this batch */
    uint32_t changed[TWI_CANDLES_CHANGED_MAX];
} twi_candles;

TW_MUST_USE tw_status twi_candles_open(twi_candles *candles, const twi_candles_config *config);
/* The memory of the first `instrument_count` instruments. */
TW_MUST_USE tw_status twi_candles_reserve(twi_candles *candles, uint32_t instrument_count);
void twi_candles_close(twi_candles *candles);

/* At most TWI_CANDLES_CHANGED_MAX trades between two times that the caller flushes `changed` and empties it. */
void twi_candles_trade(twi_candles *candles, const tw_event *trade);
void twi_candles_flush(twi_candles *candles, uint32_t instrument, uint32_t wanted);
/* Closes what is due by the clock. Returns for how many instruments. */
uint32_t twi_candles_clock(twi_candles *candles, int64_t now_ns);

/* The newest candle of a candle topic as events; 0: there is none. */
int twi_candles_newest(const twi_candles *candles, uint32_t topic, tw_event out[2]);
/* NULL: it has not traded. */
const twi_candle_series *twi_candles_series(const twi_candles *candles, uint32_t instrument);

#endif
