/* codec_support.h - for the tests of the codecs: random records of every kind from a seed, equality, a guard page.
 *
 * Usage:    twt_codec_setup() gives an instrument table with ordinary and nasty names; twt_random_record() fills one
 *           record; twt_difference() names the first field in which two records differ, NULL if there is none. */
#ifndef TWT_CODEC_SUPPORT_H
#define TWT_CODEC_SUPPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "engine/base/trade_id.h"
#include "tickwire/codec.h"
#include "tickwire/decimal.h"

enum { TWT_LEVELS_MAX = 64, TWT_NS_PER_MS = 1000000, TWT_EXTREME_ODDS = 4 };

typedef struct twt_random {
    uint64_t state;
} twt_random;

/* splitmix64 */
static inline uint64_t twt_random_u64(twt_random *random)
{
    uint64_t z = (random->state += 0x9e3779b97f4a7c15u);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

static inline uint64_t twt_random_below(twt_random *random, uint64_t limit)
{
    return twt_random_u64(random) % limit;
}

/* Numbers of every length, not only long ones. */
static inline uint64_t twt_random_sized(twt_random *random)
{
    return twt_random_u64(random) >> twt_random_below(random, 64);
}

static inline tw_symbols *twt_symbols_new(uint32_t capacity)
{
    size_t bytes = (tw_symbols_size(capacity) + 63) / 64 * 64;
    void *memory = aligned_alloc(64, bytes);
    if (memory == NULL) {
        abort();
    }
    return tw_symbols_init(memory, capacity);
}

static inline uint32_t twt_intern(tw_symbols *symbols, const char *exchange, const char *symbol)
{
    uint32_t instrument = TW_INSTRUMENT_NONE;
    if (tw_symbols_intern(symbols, exchange, strlen(exchange), symbol, strlen(symbol), NULL, 0, &instrument) != TW_OK) {
        abort();
    }
    return instrument;
}

static inline tw_symbols *twt_codec_setup(void)
{
    tw_symbols *symbols = twt_symbols_new(16);
    twt_intern(symbols, "binance", "BTC/USDT");
    twt_intern(symbols, "okx", "BTC/USDT:USDT");
    twt_intern(symbols, "deribit", "BTC/USD:BTC-241227-100000-C");
    twt_intern(symbols, "x", "Y");
    twt_intern(symbols, "abcdefghijklmno", "ABCDEFGHIJKLMNOPQRSTUVWXYZABCDEFGHIJKLMNOPQRSTU");
    twt_intern(symbols, "abcdefghijklmnop", "exchange of full length");
    twt_intern(symbols, "a\"b\\c", "\\\"\\\"\\\"\\\"/\"");
    twt_intern(symbols, "binance", "\xe5\xb8\x81\xe5\xae\x89/USDT");
    twt_intern(symbols, "sixteen", "1234567890123456");
    twt_intern(symbols, "sixteen", "12345678901234567");
    return symbols;
}

/* ---- random records ---- */

/* Mostly what markets look like; every TWT_EXTREME_ODDS-th record may hold anything that the types allow. */
static inline int64_t twt_random_mantissa(twt_random *random, bool extreme)
{
    if (extreme) {
        return (int64_t)twt_random_u64(random) >> twt_random_below(random, 64);
    }
    return (int64_t)twt_random_below(random, 10000000000);
}

static inline int8_t twt_random_exponent(twt_random *random, bool extreme)
{
    int count = TW_DECIMAL_EXPONENT_MAX - TW_DECIMAL_EXPONENT_MIN + 1;
    return (int8_t)(extreme ? TW_DECIMAL_EXPONENT_MIN + (int)twt_random_below(random, (uint64_t)count)
                            : -(int)twt_random_below(random, 9));
}

static inline int64_t twt_random_time(twt_random *random, bool extreme)
{
    return extreme ? (int64_t)twt_random_u64(random)
                   : INT64_C(1700000000000000000) + (int64_t)twt_random_sized(random) / 64;
}

/* Kind NONE, or what the text of a random id of that kind parses to, so that kinds are canonical. */
static inline void twt_random_id(twt_random *random, tw_event *event)
{
    char text[TWI_TRADE_ID_BYTES_MAX];
    tw_id_kind kind = (tw_id_kind)twt_random_below(random, TW_ID_TEXT + 1);
    tw_trade_id id = {.lo = twt_random_sized(random), .hi = twt_random_below(random, 2) ? twt_random_sized(random) : 0};
    if (kind == TW_ID_TEXT) {
        char *bytes = (char *)&id;
        size_t len = 1 + twt_random_below(random, sizeof(id));
        memset(bytes, 0, sizeof(id));
        for (size_t i = 0; i < len; i++) {
            bytes[i] = (char)(' ' + twt_random_below(random, '~' - ' ' + 1));
        }
    }
    size_t len = twi_trade_id_format(kind, id, text);
    if (twi_trade_id_parse(text, len, &kind, &event->u.trade.id) != TW_OK) {
        abort();
    }
    event->flags |= (uint8_t)(kind << TW_ID_KIND_SHIFT);
}

static inline void twt_fill_trade(twt_random *random, tw_event *event, bool extreme)
{
    event->u.trade.price = twt_random_mantissa(random, extreme);
    event->u.trade.amount = twt_random_mantissa(random, extreme);
    event->flags |= (uint8_t)(twt_random_below(random, 2) ? TW_FLAG_SELL : 0);
    event->flags |= (uint8_t)(twt_random_below(random, 8) == 0 ? TW_FLAG_HISTORY : 0);
    twt_random_id(random, event);
}

static inline void twt_fill_quote(twt_random *random, tw_event *event, bool extreme)
{
    uint64_t empty = twt_random_below(random, 8); /* 0 bid, 1 ask, 2 both */
    event->u.quote.bid = empty == 0 || empty == 2 ? 0 : twt_random_mantissa(random, extreme);
    event->u.quote.bid_amount = empty == 0 || empty == 2 ? 0 : twt_random_mantissa(random, extreme);
    event->u.quote.ask = empty == 1 || empty == 2 ? 0 : twt_random_mantissa(random, extreme);
    event->u.quote.ask_amount = empty == 1 || empty == 2 ? 0 : twt_random_mantissa(random, extreme);
}

static inline uint32_t twt_fill_levels(twt_random *random, tw_event *events, bool extreme)
{
    uint32_t count = 1 + (uint32_t)twt_random_below(random, TWT_LEVELS_MAX);
    bool own_exponents = twt_random_below(random, 2) == 0;
    for (uint32_t i = 0; i < count; i++) {
        tw_event *event = &events[i];
        *event = events[0];
        if (own_exponents) {
            event->price_exponent = twt_random_exponent(random, extreme);
            event->amount_exponent = twt_random_exponent(random, extreme);
        }
        event->flags = (uint8_t)(twt_random_below(random, 2) ? TW_FLAG_ASK : 0);
        event->u.level.price = twt_random_mantissa(random, extreme);
        event->u.level.amount = twt_random_mantissa(random, extreme);
    }
    uint8_t snapshot = twt_random_below(random, 2) ? TW_FLAG_SNAPSHOT : 0;
    for (uint32_t i = 0; i < count; i++) {
        events[i].flags |= snapshot;
    }
    events[0].flags |= TW_FLAG_FIRST;
    events[count - 1].flags |= TW_FLAG_LAST;
    return count;
}

static inline uint32_t twt_fill_candle(twt_random *random, tw_event *events, bool extreme)
{
    static const int64_t intervals[] = {1000000000, INT64_C(60000000000), INT64_C(86400000000000), 1, 250000000};
    events[0].flags |= (uint8_t)(twt_random_below(random, 2) ? TW_FLAG_CLOSED : 0);
    events[1] = events[0];
    events[1].kind = TW_EVENT_CANDLE_TAIL;
    events[0].u.candle.open = twt_random_mantissa(random, extreme);
    events[0].u.candle.high = twt_random_mantissa(random, extreme);
    events[0].u.candle.low = twt_random_mantissa(random, extreme);
    events[0].u.candle.close = twt_random_mantissa(random, extreme);
    events[1].u.candle_tail.volume = twt_random_mantissa(random, extreme);
    events[1].u.candle_tail.interval_ns = intervals[twt_random_below(random, sizeof(intervals) / sizeof(intervals[0]))];
    return 2;
}

static inline void twt_fill_status(twt_random *random, tw_event *event)
{
    event->u.status.state = (uint16_t)twt_random_below(random, TW_STATE_CROSSED + 1);
    event->u.status.reason = (uint16_t)twt_random_below(random, TW_REASON_REJECTED + 1);
    event->u.status.from = twt_random_below(random, 2) ? twt_random_sized(random) : 0;
    event->u.status.to = twt_random_below(random, 2) ? twt_random_sized(random) : 0;
}

static inline void twt_fill_loss(twt_random *random, tw_event *event)
{
    event->venue_ns = 0;
    event->recv_ns = 0;
    event->u.loss.from = twt_random_sized(random);
    event->u.loss.to = twt_random_sized(random);
    event->u.loss.count = twt_random_sized(random);
    event->u.loss.channel = (uint16_t)twt_random_below(random, TW_CHANNEL_CANDLE + 1);
    event->u.loss.reason = (uint16_t)twt_random_below(random, TW_REASON_REJECTED + 1);
    event->u.loss.interval_s =
        event->u.loss.channel == TW_CHANNEL_CANDLE ? 1 + (uint32_t)twt_random_below(random, UINT32_MAX) : 0;
}

static inline uint32_t twt_fill_kind(twt_random *random, tw_event *events, bool extreme)
{
    switch ((tw_event_kind)events[0].kind) {
    case TW_EVENT_TRADE:
        twt_fill_trade(random, events, extreme);
        return 1;
    case TW_EVENT_QUOTE:
        twt_fill_quote(random, events, extreme);
        return 1;
    case TW_EVENT_LEVEL:
        return twt_fill_levels(random, events, extreme);
    case TW_EVENT_CANDLE:
        return twt_fill_candle(random, events, extreme);
    case TW_EVENT_STATUS:
        twt_fill_status(random, events);
        return 1;
    case TW_EVENT_LOSS:
        twt_fill_loss(random, events);
        return 1;
    case TW_EVENT_BOOK_CLEAR:
        events[0].flags |= TW_FLAG_SNAPSHOT;
        return 1;
    default:
        abort();
    }
}

/* events holds TWT_LEVELS_MAX. */
static inline tw_record twt_random_record(twt_random *random, const tw_symbols *symbols, tw_event *events)
{
    static const tw_event_kind kinds[] = {TW_EVENT_TRADE,  TW_EVENT_QUOTE, TW_EVENT_LEVEL,     TW_EVENT_CANDLE,
                                          TW_EVENT_STATUS, TW_EVENT_LOSS,  TW_EVENT_BOOK_CLEAR};
    bool extreme = twt_random_below(random, TWT_EXTREME_ODDS) == 0;
    tw_event_kind kind = kinds[twt_random_below(random, sizeof(kinds) / sizeof(kinds[0]))];
    events[0] = (tw_event){.instrument = (uint32_t)twt_random_below(random, tw_symbols_count(symbols)),
                           .kind = (uint8_t)kind,
                           .flags = TW_FLAG_FIRST | TW_FLAG_LAST,
                           .price_exponent = twt_random_exponent(random, extreme),
                           .amount_exponent = twt_random_exponent(random, extreme),
                           .venue_ns = twt_random_below(random, 8) ? twt_random_time(random, extreme) : 0,
                           .recv_ns = twt_random_time(random, extreme)};
    tw_record record = {.events = events, .event_count = twt_fill_kind(random, events, extreme)};
    if (kind == TW_EVENT_LOSS) {
        return record;
    }
    record.seq = twt_random_sized(random);
    record.prev_seq = twt_random_below(random, 4) == 0 ? twt_random_sized(random) : 0;
    record.folded = twt_random_below(random, 4) == 0 ? (uint32_t)twt_random_sized(random) : 0;
    record.publish_ns = twt_random_time(random, extreme);
    return record;
}

/* ---- equality ---- */

static inline bool twt_same_decimal(int64_t a, int8_t a_exponent, int64_t b, int8_t b_exponent)
{
    return tw_decimal_compare((tw_decimal){a, a_exponent}, (tw_decimal){b, b_exponent}) == 0;
}

static inline const tw_instrument *twt_instrument(const tw_symbols *symbols, const tw_event *event)
{
    const tw_instrument *instrument = tw_symbols_get(symbols, event->instrument);
    if (instrument == NULL) {
        abort();
    }
    return instrument;
}

#define TWT_PRICE_DIFFERS(field)  (!twt_same_decimal(a->u.field, a->price_exponent, b->u.field, b->price_exponent))
#define TWT_AMOUNT_DIFFERS(field) (!twt_same_decimal(a->u.field, a->amount_exponent, b->u.field, b->amount_exponent))

static inline const char *twt_body_difference(const tw_event *a, const tw_event *b)
{
    switch ((tw_event_kind)a->kind) {
    case TW_EVENT_TRADE:
        return TWT_PRICE_DIFFERS(trade.price)                                     ? "price"
               : TWT_AMOUNT_DIFFERS(trade.amount)                                 ? "amount"
               : memcmp(&a->u.trade.id, &b->u.trade.id, sizeof(tw_trade_id)) != 0 ? "id"
                                                                                  : NULL;
    case TW_EVENT_QUOTE:
        return TWT_PRICE_DIFFERS(quote.bid) || TWT_AMOUNT_DIFFERS(quote.bid_amount)   ? "bid"
               : TWT_PRICE_DIFFERS(quote.ask) || TWT_AMOUNT_DIFFERS(quote.ask_amount) ? "ask"
                                                                                      : NULL;
    case TW_EVENT_LEVEL:
        return TWT_PRICE_DIFFERS(level.price) || TWT_AMOUNT_DIFFERS(level.amount) ? "level" : NULL;
    case TW_EVENT_CANDLE:
        return TWT_PRICE_DIFFERS(candle.open) || TWT_PRICE_DIFFERS(candle.high) || TWT_PRICE_DIFFERS(candle.low) ||
                       TWT_PRICE_DIFFERS(candle.close)
                   ? "candle"
                   : NULL;
    case TW_EVENT_CANDLE_TAIL:
        return TWT_AMOUNT_DIFFERS(candle_tail.volume) || a->u.candle_tail.interval_ns != b->u.candle_tail.interval_ns
                   ? "candle tail"
                   : NULL;
    case TW_EVENT_STATUS:
    case TW_EVENT_LOSS:
        return memcmp(&a->u, &b->u, sizeof(a->u)) != 0 ? "status or loss" : NULL;
    default:
        return NULL;
    }
}

static inline const char *twt_event_difference(const tw_symbols *a_symbols, const tw_event *a,
                                               const tw_symbols *b_symbols, const tw_event *b, int64_t venue_step_ns)
{
    const tw_instrument *a_instrument = twt_instrument(a_symbols, a);
    const tw_instrument *b_instrument = twt_instrument(b_symbols, b);
    if (strcmp(a_instrument->exchange, b_instrument->exchange) != 0 ||
        strcmp(a_instrument->symbol, b_instrument->symbol) != 0) {
        return "instrument";
    }
    if (a->kind != b->kind) {
        return "kind";
    }
    const uint8_t group_flags = TW_FLAG_FIRST | TW_FLAG_LAST; /* a codec may move bids before asks */
    if (((a->flags ^ b->flags) & (a->kind == TW_EVENT_LEVEL ? (uint8_t)~group_flags : 0xff)) != 0) {
        return "flags";
    }
    if (a->venue_ns / venue_step_ns * venue_step_ns != b->venue_ns) {
        return "venue_ns";
    }
    if (a->recv_ns != b->recv_ns) {
        return "recv_ns";
    }
    return twt_body_difference(a, b);
}

/* Both are compared side by side: all bids in their order, then all asks in theirs. */
static inline uint32_t twt_next_of_side(const tw_record *record, uint32_t from, uint8_t side)
{
    while (from < record->event_count && (record->events[from].flags & TW_FLAG_ASK) != side) {
        from++;
    }
    return from;
}

static inline const char *twt_side_difference(const tw_symbols *a_symbols, const tw_record *a,
                                              const tw_symbols *b_symbols, const tw_record *b, uint8_t side,
                                              int64_t venue_step_ns)
{
    uint32_t ai = twt_next_of_side(a, 0, side);
    uint32_t bi = twt_next_of_side(b, 0, side);
    while (ai < a->event_count && bi < b->event_count) {
        const char *difference =
            twt_event_difference(a_symbols, &a->events[ai], b_symbols, &b->events[bi], venue_step_ns);
        if (difference != NULL) {
            return difference;
        }
        ai = twt_next_of_side(a, ai + 1, side);
        bi = twt_next_of_side(b, bi + 1, side);
    }
    return ai == a->event_count && bi == b->event_count ? NULL : "level count";
}

/* Compares a record `a` with what became of it after encoding and decoding. venue_step_ns is the codec's resolution of
 * venue times. */
static inline const char *twt_difference(const tw_symbols *a_symbols, const tw_record *a, const tw_symbols *b_symbols,
                                         const tw_record *b, int64_t venue_step_ns)
{
    if (a->seq != b->seq || a->prev_seq != b->prev_seq || a->folded != b->folded || a->publish_ns != b->publish_ns) {
        return "record head";
    }
    if (a->event_count != b->event_count) {
        return "event count";
    }
    if (a->events[0].kind == TW_EVENT_LEVEL) {
        bool grouped =
            (b->events[0].flags & TW_FLAG_FIRST) != 0 && (b->events[b->event_count - 1].flags & TW_FLAG_LAST) != 0;
        const char *bids = twt_side_difference(a_symbols, a, b_symbols, b, 0, venue_step_ns);
        const char *asks = twt_side_difference(a_symbols, a, b_symbols, b, TW_FLAG_ASK, venue_step_ns);
        return !grouped ? "group flags" : bids != NULL ? bids : asks;
    }
    for (uint32_t i = 0; i < a->event_count; i++) {
        const char *difference =
            twt_event_difference(a_symbols, &a->events[i], b_symbols, &b->events[i], venue_step_ns);
        if (difference != NULL) {
            return difference;
        }
    }
    return NULL;
}

/* ---- guard page ---- */

/* Memory that ends exactly where an unmapped page begins: one byte read or written too far is a crash. */
typedef struct twt_guarded {
    uint8_t *base, *end;
    size_t mapped_bytes;
} twt_guarded;

static inline twt_guarded twt_guarded_open(size_t bytes)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    size_t usable = (bytes + page - 1) / page * page;
    twt_guarded guarded = {.mapped_bytes = usable + page};
    guarded.base = mmap(NULL, guarded.mapped_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (guarded.base == MAP_FAILED || mprotect(guarded.base + usable, page, PROT_NONE) != 0) {
        abort();
    }
    guarded.end = guarded.base + usable;
    return guarded;
}

static inline void twt_guarded_close(twt_guarded *guarded)
{
    munmap(guarded->base, guarded->mapped_bytes);
}

/* A copy of the bytes that ends at the guard page. */
static inline const uint8_t *twt_guarded_copy(twt_guarded *guarded, const void *bytes, size_t len)
{
    uint8_t *place = guarded->end - len;
    memcpy(place, bytes, len);
    return place;
}

#endif
