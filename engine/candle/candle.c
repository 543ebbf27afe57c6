/* candle.c - see candle.h: intervals, their levels, closing and correcting. The arithmetic is in candle_sum.c.
 *
 * Levels: one per interval, shortest first. A level's `base` holds what is final of its running candle: of the shortest
 *         all its trades, of a longer one the closed shorter candles in it (and late trades). The running candle that
 *         others see is base plus the running one of the level before. When a candle closes, it is added to the base
 *         above; so a trade in time order costs one level, whatever the number of intervals.
 * Open:   levels close from the shortest up and are opened together by a trade, so the open ones are always the longest
 *         n. A level that is not open remembers in end_ns up to where everything is closed; for shorter levels that is
 *         never earlier than for longer ones. */
#include "engine/candle/candle.h"

#include <string.h>

#include "engine/base/assert.h"
#include "engine/base/interval.h"
#include "engine/candle/candle_sum.h"

#define SECOND INT64_C(1000000000)
#define DAY    (86400 * SECOND)

static const uint32_t interval_seconds[TWI_CANDLE_INTERVALS] = {1, 60, 300, 900, 3600, 86400};

typedef struct level {
    twi_candle base;
    int64_t end_ns;     /* of the running candle; not open: everything before it is closed */
    twi_candle *closed; /* [history], a ring */
    uint32_t next, count;
    uint8_t is_open;
} level;

struct twi_candle_series {
    level levels[TWI_CANDLE_INTERVALS];
    uint32_t instrument, history;
    int64_t close_delay_ns;
    int64_t newest_ns; /* time of the newest trade */
    int64_t seen_ns;   /* what it was before the backlog that comes in now */
    int64_t skew_ns;   /* from the newest live trade's time to its receipt */
    uint8_t in_backlog;
    uint8_t changed; /* bit per interval */
};

enum { ALL_INTERVALS = (1 << TWI_CANDLE_INTERVALS) - 1 };

uint32_t twi_candle_interval_s(uint32_t index)
{
    return index < TWI_CANDLE_INTERVALS ? interval_seconds[index] : 0;
}

int twi_candle_interval_find(const char *text, size_t len)
{
    int64_t interval_ns;
    if (twi_interval_parse(text, len, &interval_ns) != TW_OK)
        return -1;
    for (int i = 0; i < TWI_CANDLE_INTERVALS; i++)
        if (interval_ns == interval_seconds[i] * SECOND)
            return i;
    return -1;
}

static int64_t interval_start(uint32_t index, int64_t time_ns)
{
    return time_ns - time_ns % (interval_seconds[index] * SECOND);
}

size_t twi_candle_series_bytes(uint32_t history)
{
    return sizeof(twi_candle_series) + (size_t)TWI_CANDLE_INTERVALS * history * sizeof(twi_candle);
}

twi_candle_series *twi_candle_series_init(void *memory, uint32_t instrument, uint32_t history, int64_t close_delay_ns)
{
    TWI_ASSERT(history <= TWI_CANDLE_HISTORY_MAX && close_delay_ns >= 0);
    twi_candle_series *series = memory;
    memset(series, 0, sizeof *series);
    series->instrument = instrument;
    series->history = history;
    series->close_delay_ns = close_delay_ns;
    series->newest_ns = series->seen_ns = INT64_MIN;
    twi_candle *candles = (twi_candle *)(series + 1);
    for (uint32_t i = 0; i < TWI_CANDLE_INTERVALS; i++) {
        series->levels[i].closed = candles + (size_t)i * history;
        series->levels[i].end_ns = INT64_MIN;
    }
    return series;
}

/* ---- the ring of closed candles ---- */

/* back 0: the newest. */
static twi_candle *closed_at(const twi_candle_series *series, const level *l, uint32_t back)
{
    uint32_t place = l->next > back ? l->next - back - 1 : l->next + series->history - back - 1;
    return &l->closed[place];
}

static void push_closed(const twi_candle_series *series, level *l, const twi_candle *candle)
{
    if (series->history == 0)
        return;
    l->closed[l->next] = *candle;
    l->next = l->next + 1 == series->history ? 0 : l->next + 1;
    l->count += l->count < series->history;
}

/* The kept candle that begins at open_ns; an empty one is put in its place if it was never traded. NULL: not kept. */
static twi_candle *closed_find(const twi_candle_series *series, level *l, int64_t open_ns)
{
    uint32_t back = 0;
    while (back < l->count && closed_at(series, l, back)->open_ns > open_ns)
        back++;
    if (back < l->count && closed_at(series, l, back)->open_ns == open_ns)
        return closed_at(series, l, back);
    if (series->history == 0 || (back == l->count && l->count == series->history))
        return NULL; /* one that was forgotten, for all we know */
    twi_candle empty = {.open_ns = open_ns, .flags = TWI_CANDLE_CLOSED};
    push_closed(series, l, &empty);
    for (uint32_t i = 0; i < back; i++)
        *closed_at(series, l, i) = *closed_at(series, l, i + 1);
    *closed_at(series, l, back) = empty;
    return closed_at(series, l, back);
}

/* ---- closing ---- */

static void tell(const twi_candle_series *series, uint32_t interval, const twi_candle *candle,
                 const twi_candle_sink *sink)
{
    if (!(candle->flags & TWI_CANDLE_BROKEN))
        sink->tell(sink->owner, series->instrument, interval, candle);
}

static void close_level(twi_candle_series *series, uint32_t interval, const twi_candle_sink *sink)
{
    level *l = &series->levels[interval];
    TWI_ASSERT(l->base.trade_count > 0); /* the levels below were closed before it, and are in it */
    l->is_open = 0;
    l->base.flags |= TWI_CANDLE_CLOSED;
    series->changed &= (uint8_t) ~(1u << interval);
    if (interval + 1 < TWI_CANDLE_INTERVALS)
        twi_candle_merge(&series->levels[interval + 1].base, &l->base);
    push_closed(series, l, &l->base);
    tell(series, interval, &l->base, sink);
}

/* Closes the candles that end at time_ns or before. */
static void close_until(twi_candle_series *series, int64_t time_ns, const twi_candle_sink *sink)
{
    level *levels = series->levels;
    for (uint32_t i = 0; i < TWI_CANDLE_INTERVALS; i++)
        if (levels[i].is_open && levels[i].end_ns <= time_ns)
            close_level(series, i, sink);
    for (uint32_t i = TWI_CANDLE_INTERVALS - 1; i-- > 0;)
        if (!levels[i].is_open && !levels[i + 1].is_open && levels[i].end_ns < levels[i + 1].end_ns)
            levels[i].end_ns = levels[i + 1].end_ns;
}

static void open_levels(twi_candle_series *series, int64_t time_ns)
{
    for (uint32_t i = 0; i < TWI_CANDLE_INTERVALS && !series->levels[i].is_open; i++) {
        level *l = &series->levels[i];
        l->base = (twi_candle){.open_ns = interval_start(i, time_ns)};
        l->end_ns = l->base.open_ns + interval_seconds[i] * SECOND;
        l->is_open = 1;
    }
}

/* ---- trades ---- */

/* A trade of an interval that is closed. */
static twi_candle_outcome take_late(twi_candle_series *series, const twi_candle *trade, const twi_candle_sink *sink)
{
    twi_candle_outcome outcome = TWI_CANDLE_LATE;
    for (uint32_t i = 0; i < TWI_CANDLE_INTERVALS; i++) {
        level *l = &series->levels[i];
        twi_candle *candle = NULL;
        if (l->is_open && trade->first_ns >= l->base.open_ns) {
            /* The longer ones contain this one and get the trade with it. */
            series->changed |= (uint8_t)(ALL_INTERVALS & ~((1u << i) - 1));
            return twi_candle_merge(&l->base, trade) ? outcome : TWI_CANDLE_TOO_BIG;
        }
        candle = closed_find(series, l, interval_start(i, trade->first_ns));
        if (candle == NULL) {
            outcome = outcome == TWI_CANDLE_LATE ? TWI_CANDLE_TOO_LATE : outcome;
            continue;
        }
        if (!twi_candle_merge(candle, trade))
            outcome = TWI_CANDLE_TOO_BIG;
        tell(series, i, candle, sink);
    }
    return outcome;
}

/* 0: it was counted before. */
static int is_new(twi_candle_series *series, const tw_event *trade, int64_t time_ns)
{
    if (TWI_LIKELY(!(trade->flags & TW_FLAG_HISTORY))) {
        series->in_backlog = 0;
        return 1;
    }
    if (!series->in_backlog) {
        series->in_backlog = 1;
        series->seen_ns = series->newest_ns;
    }
    return time_ns > series->seen_ns;
}

twi_candle_outcome twi_candle_trade(twi_candle_series *series, const tw_event *trade, const twi_candle_sink *sink)
{
    TWI_ASSERT(trade->kind == TW_EVENT_TRADE);
    int64_t time_ns = trade->venue_ns > 0 ? trade->venue_ns : trade->recv_ns;
    int64_t recv_ns = trade->recv_ns > 0 ? trade->recv_ns : time_ns;
    if (TWI_UNLIKELY(time_ns <= 0 || recv_ns > INT64_MAX - 4 * DAY || time_ns - recv_ns > DAY))
        return TWI_CANDLE_BAD_TIME;
    if (TWI_UNLIKELY(!is_new(series, trade, time_ns)))
        return TWI_CANDLE_REPEATED;
    if (time_ns >= series->newest_ns) {
        series->newest_ns = time_ns;
        if (!(trade->flags & TW_FLAG_HISTORY))
            series->skew_ns = recv_ns - time_ns;
    }
    twi_candle one = {
        .first_ns = time_ns,
        .last_ns = time_ns,
        .recv_ns = recv_ns,
        .open = trade->u.trade.price,
        .high = trade->u.trade.price,
        .low = trade->u.trade.price,
        .close = trade->u.trade.price,
        .volume = trade->u.trade.amount,
        .trade_count = 1,
        .price_exponent = trade->price_exponent,
        .amount_exponent = trade->amount_exponent,
    };
    level *shortest = &series->levels[0];
    if (TWI_UNLIKELY(time_ns >= shortest->end_ns)) {
        close_until(series, time_ns, sink);
        open_levels(series, time_ns);
    } else if (TWI_UNLIKELY(!shortest->is_open || time_ns < shortest->base.open_ns)) {
        return take_late(series, &one, sink);
    }
    series->changed = ALL_INTERVALS;
    return twi_candle_merge(&shortest->base, &one) ? TWI_CANDLE_TAKEN : TWI_CANDLE_TOO_BIG;
}

/* ---- the clock ---- */

int64_t twi_candle_due_ns(const twi_candle_series *series)
{
    for (uint32_t i = 0; i < TWI_CANDLE_INTERVALS; i++)
        if (series->levels[i].is_open) /* the shortest that is open ends first */
            return series->levels[i].end_ns + series->skew_ns + series->close_delay_ns;
    return INT64_MAX;
}

void twi_candle_clock(twi_candle_series *series, int64_t now_ns, const twi_candle_sink *sink)
{
    close_until(series, now_ns - series->skew_ns - series->close_delay_ns, sink);
}

/* ---- looking ---- */

/* The running candle: what is final of it and what is running below. 0: not open, or broken. */
static int running(const twi_candle_series *series, uint32_t interval, twi_candle *out)
{
    if (!series->levels[interval].is_open)
        return 0;
    *out = series->levels[interval].base;
    for (uint32_t i = interval; i-- > 0 && series->levels[i].is_open;)
        twi_candle_merge(out, &series->levels[i].base);
    return !(out->flags & TWI_CANDLE_BROKEN);
}

int twi_candle_changed(const twi_candle_series *series)
{
    return series->changed != 0;
}

uint32_t twi_candle_flush(twi_candle_series *series, uint32_t wanted, const twi_candle_sink *sink)
{
    uint32_t changed = series->changed & wanted, unwanted = series->changed & ~wanted;
    series->changed = 0;
    twi_candle candle;
    for (uint32_t i = 0; changed != 0; i++, changed >>= 1)
        if ((changed & 1) && running(series, i, &candle))
            tell(series, i, &candle, sink);
    return unwanted;
}

int twi_candle_newest(const twi_candle_series *series, uint32_t interval, twi_candle *out)
{
    return twi_candle_copy(series, interval, INT64_MIN, 0, out, 1) == 1;
}

uint32_t twi_candle_copy(const twi_candle_series *series, uint32_t interval, int64_t since_ns, int from_oldest,
                         twi_candle *out, uint32_t count_max)
{
    const level *l = &series->levels[interval];
    twi_candle now;
    uint32_t has_running = (uint32_t)running(series, interval, &now), available = has_running, back = 0;
    if (has_running && now.open_ns < since_ns)
        return 0;
    for (; back < l->count && closed_at(series, l, back)->open_ns >= since_ns; back++) {
        available += !(closed_at(series, l, back)->flags & TWI_CANDLE_BROKEN);
        if (!from_oldest && available >= count_max)
            break;
    }
    if (back == l->count || closed_at(series, l, back)->open_ns < since_ns)
        back--; /* the oldest that is looked at; UINT32_MAX: none */
    uint32_t skipped = !from_oldest && available > count_max ? available - count_max : 0, count = 0;
    for (; back != UINT32_MAX && count < count_max; back--) {
        const twi_candle *candle = closed_at(series, l, back);
        if (candle->flags & TWI_CANDLE_BROKEN)
            continue;
        if (skipped > 0)
            skipped--;
        else
            out[count++] = *candle;
    }
    if (has_running && count < count_max)
        out[count++] = now;
    return count;
}

void twi_candle_events(const twi_candle *candle, uint32_t instrument, uint32_t interval, tw_event out[2])
{
    uint8_t flags = candle->flags & TWI_CANDLE_CLOSED ? TW_FLAG_CLOSED : 0;
    out[0] = (tw_event){
        .instrument = instrument,
        .kind = TW_EVENT_CANDLE,
        .flags = (uint8_t)(flags | TW_FLAG_FIRST | TW_FLAG_LAST),
        .price_exponent = candle->price_exponent,
        .amount_exponent = candle->amount_exponent,
        .venue_ns = candle->open_ns,
        .recv_ns = candle->recv_ns,
        .u.candle = {.open = candle->open, .high = candle->high, .low = candle->low, .close = candle->close},
    };
    out[1] = out[0];
    out[1].kind = TW_EVENT_CANDLE_TAIL;
    memset(&out[1].u, 0, sizeof out[1].u);
    out[1].u.candle_tail.volume = candle->volume;
    out[1].u.candle_tail.interval_ns = interval_seconds[interval] * SECOND;
    out[1].u.candle_tail.trade_count = candle->trade_count;
}

int twi_candle_add(twi_candle *sum, const twi_candle *more)
{
    return twi_candle_merge(sum, more);
}
