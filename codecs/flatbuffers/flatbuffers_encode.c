/* flatbuffers_encode.c - records to finished FlatBuffers buffers, written front to back into their final place.
 *
 * Layout:   everything but the strings and vectors lies at positions that are known when this file is compiled:
 *             0   offset of the root table, file identifier
 *             8   vtable of Message, with or without prev_seq and folded
 *             32  vtable of the record
 *             56  Message, then the record, then the strings exchange, symbol and id, or the vectors of levels
 *           so that encoding is copying two constant vtables and storing values. Offsets point forward only; the two
 *           vtables are in front, where the format's signed offsets reach them.
 * Align:    positions are aligned relative to the start of the buffer, as the format asks; the buffer itself may lie
 *           anywhere (behind a WebSocket frame head), so the structs below are unaligned ones. Values are stored into
 *           them one by one: a struct that is filled elsewhere and copied would wait for its own stores.
 * Long:     a message with prev_seq or folded is 16 bytes longer. Which of the two it is, is decided once; everything
 *           below that is compiled twice, so that all positions are constants in the usual one.
 * Source:   FlatBuffers internals (flatbuffers.dev, "Internals"): scalars little-endian at their own alignment, tables
 *           as signed offset to a vtable of (bytes of vtable, bytes of table, offset per field or 0). */
#include <stdbool.h>
#include <string.h>

#include "codecs/flatbuffers/flatbuffers_codec.h"
#include "engine/base/assert.h"
#include "engine/base/digits.h"
#include "engine/base/trade_id.h"
#include "tickwire/decimal.h"

enum { VTABLE_SLOTS = 12 }; /* its own size, the table's size, at most 10 fields */

typedef struct vtable {
    uint16_t vtable_bytes, table_bytes;
    uint16_t field[VTABLE_SLOTS - 2];
} vtable;

typedef struct prefix {
    uint32_t root;
    char identifier[4];
    vtable message;
} prefix;

/* Message and the first word of the record behind it; the record's 8-byte fields follow aligned. */
typedef struct TWI_UNALIGNED message_head {
    int32_t vtable_offset;
    uint32_t data, exchange, symbol;
    uint64_t seq;
    int64_t timestamp_ns, recv_ns, publish_ns;
    uint8_t data_type;
    uint8_t padding[3];
    int32_t record_vtable_offset;
} message_head;

/* The same for a message that carries prev_seq or folded. */
typedef struct TWI_UNALIGNED message_head_long {
    int32_t vtable_offset;
    uint32_t data, exchange, symbol;
    uint64_t seq;
    int64_t timestamp_ns, recv_ns, publish_ns;
    uint8_t data_type;
    uint8_t padding[3];
    uint32_t folded;
    uint64_t prev_seq;
    uint32_t padding2;
    int32_t record_vtable_offset;
} message_head_long;

enum {
    RECORD_VTABLE_AT = sizeof(prefix),
    MESSAGE_AT = RECORD_VTABLE_AT + sizeof(vtable),
    BODY_AT = MESSAGE_AT + sizeof(message_head),
    BODY_AT_LONG = MESSAGE_AT + sizeof(message_head_long),
    RECORD_WORD = sizeof(int32_t) /* a record's table starts this much before its body */
};

_Static_assert(sizeof(message_head) == 56 && sizeof(message_head_long) == 72, "aligned fields without hidden padding");
_Static_assert(RECORD_VTABLE_AT == 32 && MESSAGE_AT == 56, "as drawn above");
_Static_assert(BODY_AT % 8 == 0 && BODY_AT_LONG % 8 == 0, "bodies are aligned for their 8-byte fields");
_Static_assert(offsetof(message_head, record_vtable_offset) + RECORD_WORD == sizeof(message_head), "word, then body");
_Static_assert(offsetof(message_head_long, record_vtable_offset) + RECORD_WORD == sizeof(message_head_long), "same");

typedef struct TWI_UNALIGNED trade_body {
    int64_t price, amount;
    uint32_t id;
    int8_t price_exponent, amount_exponent;
    uint8_t side, history;
} trade_body;

typedef struct TWI_UNALIGNED quote_body {
    int64_t bid, bid_volume, ask, ask_volume;
    int8_t price_exponent, amount_exponent;
    uint8_t padding[6];
} quote_body;

typedef struct TWI_UNALIGNED book_body {
    uint32_t bids, asks;
    int8_t price_exponent, amount_exponent; /* zero and without a field in a WideBook */
    uint8_t snapshot, padding;
} book_body;

typedef struct TWI_UNALIGNED candle_body {
    int64_t open, high, low, close, volume, interval_ns;
    int8_t price_exponent, amount_exponent;
    uint8_t closed, padding[5];
} candle_body;

typedef struct TWI_UNALIGNED status_body {
    uint64_t from, to;
    uint8_t state, reason, padding[6];
} status_body;

typedef struct TWI_UNALIGNED loss_body {
    uint64_t from, to, count;
    uint32_t interval_s;
    uint8_t channel, reason, padding[2];
} loss_body;

_Static_assert(sizeof(trade_body) == 24 && sizeof(quote_body) == 40 && sizeof(book_body) == 12, "as drawn");
_Static_assert(sizeof(candle_body) == 56 && sizeof(status_body) == 24 && sizeof(loss_body) == 32, "as drawn");

/* ---- vtables ---- */

#define VTABLE_BYTES(fields) (uint16_t)(4 + 2 * (fields))
#define TABLE_BYTES(body)    (uint16_t)(RECORD_WORD + sizeof(body))
#define AT(body, field)      (uint16_t)(RECORD_WORD + offsetof(body, field))

#define MESSAGE_FIELDS(head)                                                                                           \
    [TWI_FB_MESSAGE_DATA_TYPE] = offsetof(head, data_type), [TWI_FB_MESSAGE_DATA] = offsetof(head, data),              \
    [TWI_FB_MESSAGE_EXCHANGE] = offsetof(head, exchange), [TWI_FB_MESSAGE_SYMBOL] = offsetof(head, symbol),            \
    [TWI_FB_MESSAGE_SEQ] = offsetof(head, seq), [TWI_FB_MESSAGE_TIMESTAMP_NS] = offsetof(head, timestamp_ns),          \
    [TWI_FB_MESSAGE_RECV_NS] = offsetof(head, recv_ns), [TWI_FB_MESSAGE_PUBLISH_NS] = offsetof(head, publish_ns)

static const prefix prefix_short = {MESSAGE_AT,
                                    TWI_FB_FILE_IDENTIFIER,
                                    {VTABLE_BYTES(TWI_FB_MESSAGE_FIELDS),
                                     offsetof(message_head, record_vtable_offset),
                                     {MESSAGE_FIELDS(message_head)}}};

static const prefix prefix_long = {
    MESSAGE_AT,
    TWI_FB_FILE_IDENTIFIER,
    {VTABLE_BYTES(TWI_FB_MESSAGE_FIELDS),
     offsetof(message_head_long, record_vtable_offset),
     {MESSAGE_FIELDS(message_head_long), [TWI_FB_MESSAGE_PREV_SEQ] = offsetof(message_head_long, prev_seq),
      [TWI_FB_MESSAGE_FOLDED] = offsetof(message_head_long, folded)}}};

#define TRADE_FIELDS                                                                                                   \
    [TWI_FB_TRADE_PRICE] = AT(trade_body, price), [TWI_FB_TRADE_AMOUNT] = AT(trade_body, amount),                      \
    [TWI_FB_TRADE_PRICE_EXPONENT] = AT(trade_body, price_exponent),                                                    \
    [TWI_FB_TRADE_AMOUNT_EXPONENT] = AT(trade_body, amount_exponent), [TWI_FB_TRADE_SIDE] = AT(trade_body, side),      \
    [TWI_FB_TRADE_HISTORY] = AT(trade_body, history)

static const vtable trade_vtable = {
    VTABLE_BYTES(TWI_FB_TRADE_FIELDS), TABLE_BYTES(trade_body), {TRADE_FIELDS, [TWI_FB_TRADE_ID] = AT(trade_body, id)}};

static const vtable trade_vtable_no_id = {VTABLE_BYTES(TWI_FB_TRADE_FIELDS), TABLE_BYTES(trade_body), {TRADE_FIELDS}};

static const vtable quote_vtable = {VTABLE_BYTES(TWI_FB_QUOTE_FIELDS),
                                    TABLE_BYTES(quote_body),
                                    {[TWI_FB_QUOTE_BID] = AT(quote_body, bid),
                                     [TWI_FB_QUOTE_BID_VOLUME] = AT(quote_body, bid_volume),
                                     [TWI_FB_QUOTE_ASK] = AT(quote_body, ask),
                                     [TWI_FB_QUOTE_ASK_VOLUME] = AT(quote_body, ask_volume),
                                     [TWI_FB_QUOTE_PRICE_EXPONENT] = AT(quote_body, price_exponent),
                                     [TWI_FB_QUOTE_AMOUNT_EXPONENT] = AT(quote_body, amount_exponent)}};

static const vtable book_vtable = {VTABLE_BYTES(TWI_FB_BOOK_FIELDS),
                                   TABLE_BYTES(book_body),
                                   {[TWI_FB_BOOK_BIDS] = AT(book_body, bids),
                                    [TWI_FB_BOOK_ASKS] = AT(book_body, asks),
                                    [TWI_FB_BOOK_PRICE_EXPONENT] = AT(book_body, price_exponent),
                                    [TWI_FB_BOOK_AMOUNT_EXPONENT] = AT(book_body, amount_exponent),
                                    [TWI_FB_BOOK_SNAPSHOT] = AT(book_body, snapshot)}};

static const vtable wide_book_vtable = {VTABLE_BYTES(TWI_FB_WIDE_BOOK_FIELDS),
                                        TABLE_BYTES(book_body),
                                        {[TWI_FB_BOOK_BIDS] = AT(book_body, bids),
                                         [TWI_FB_BOOK_ASKS] = AT(book_body, asks),
                                         [TWI_FB_WIDE_BOOK_SNAPSHOT] = AT(book_body, snapshot)}};

static const vtable candle_vtable = {VTABLE_BYTES(TWI_FB_CANDLE_FIELDS),
                                     TABLE_BYTES(candle_body),
                                     {[TWI_FB_CANDLE_OPEN] = AT(candle_body, open),
                                      [TWI_FB_CANDLE_HIGH] = AT(candle_body, high),
                                      [TWI_FB_CANDLE_LOW] = AT(candle_body, low),
                                      [TWI_FB_CANDLE_CLOSE] = AT(candle_body, close),
                                      [TWI_FB_CANDLE_VOLUME] = AT(candle_body, volume),
                                      [TWI_FB_CANDLE_INTERVAL_NS] = AT(candle_body, interval_ns),
                                      [TWI_FB_CANDLE_PRICE_EXPONENT] = AT(candle_body, price_exponent),
                                      [TWI_FB_CANDLE_AMOUNT_EXPONENT] = AT(candle_body, amount_exponent),
                                      [TWI_FB_CANDLE_CLOSED] = AT(candle_body, closed)}};

static const vtable status_vtable = {VTABLE_BYTES(TWI_FB_STATUS_FIELDS),
                                     TABLE_BYTES(status_body),
                                     {[TWI_FB_STATUS_FROM] = AT(status_body, from),
                                      [TWI_FB_STATUS_TO] = AT(status_body, to),
                                      [TWI_FB_STATUS_STATE] = AT(status_body, state),
                                      [TWI_FB_STATUS_REASON] = AT(status_body, reason)}};

static const vtable loss_vtable = {VTABLE_BYTES(TWI_FB_LOSS_FIELDS),
                                   TABLE_BYTES(loss_body),
                                   {[TWI_FB_LOSS_FROM] = AT(loss_body, from),
                                    [TWI_FB_LOSS_TO] = AT(loss_body, to),
                                    [TWI_FB_LOSS_COUNT] = AT(loss_body, count),
                                    [TWI_FB_LOSS_INTERVAL_S] = AT(loss_body, interval_s),
                                    [TWI_FB_LOSS_CHANNEL] = AT(loss_body, channel),
                                    [TWI_FB_LOSS_REASON] = AT(loss_body, reason)}};

/* ---- bound ---- */

enum {
    STRING_EXTRA = 4 + 1 + 3, /* length, NUL, alignment of what follows */
    STRINGS_MAX = TW_EXCHANGE_MAX + TW_SYMBOL_MAX + TWI_TRADE_ID_TEXT_MAX + 3 * STRING_EXTRA,
    VECTORS_MAX = 2 * (4 + 4), /* lengths and alignment */
    SLACK_MAX = 64,            /* bytes that constant-size copies write beyond the message */
    FIXED_MAX = BODY_AT_LONG + (int)sizeof(candle_body) + STRINGS_MAX + VECTORS_MAX + SLACK_MAX
};

_Static_assert(SLACK_MAX >= (int)TW_SYMBOL_MAX + 1 && SLACK_MAX >= (int)TWI_TRADE_ID_BYTES_MAX, "copies overhang");

size_t twi_flatbuffers_bound(uint32_t event_count)
{
    return FIXED_MAX + (size_t)event_count * sizeof(twi_fb_wide_level);
}

/* ---- pieces ---- */

typedef struct writer {
    uint8_t *out; /* start of the buffer */
    uint8_t *at;  /* end of what is written */
    const tw_record *record;
    const tw_event *event; /* the record's first */
    const tw_instrument *instrument;
} writer;

static TWI_ALWAYS_INLINE void store32(uint8_t *to, uint32_t value)
{
    memcpy(to, &value, sizeof(value));
}

static TWI_ALWAYS_INLINE uint32_t body_at(bool is_long)
{
    return is_long ? (uint32_t)BODY_AT_LONG : (uint32_t)BODY_AT;
}

/* A string with its length word and NUL; ends aligned for the next string. */
static TWI_ALWAYS_INLINE uint8_t *put_exchange(uint8_t *at, const tw_instrument *instrument)
{
    store32(at, instrument->exchange_len);
    memcpy(at + 4, instrument->exchange, TW_EXCHANGE_MAX);
    store32(at + 4 + instrument->exchange_len, 0); /* NUL and up to three bytes of alignment */
    return at + ((4u + instrument->exchange_len + 1u + 3u) & ~3u);
}

/* Returns the end of the string, its NUL included, not aligned. */
static TWI_ALWAYS_INLINE uint8_t *put_symbol(uint8_t *at, const tw_instrument *instrument)
{
    enum { SHORT_SYMBOL = 16 };
    store32(at, instrument->symbol_len);
    memcpy(at + 4, instrument->symbol, SHORT_SYMBOL);
    if (TWI_UNLIKELY(instrument->symbol_len >= SHORT_SYMBOL)) {
        memcpy(at + 4 + SHORT_SYMBOL, instrument->symbol + SHORT_SYMBOL, sizeof(instrument->symbol) - SHORT_SYMBOL);
    }
    return at + 4 + instrument->symbol_len + 1;
}

#define FILL_HEAD(head_type)                                                                                           \
    do {                                                                                                               \
        head_type *head = (head_type *)(void *)(w->out + MESSAGE_AT);                                                  \
        head->vtable_offset = MESSAGE_AT - (int32_t)offsetof(prefix, message);                                         \
        head->data = (uint32_t)(sizeof(head_type) - RECORD_WORD - offsetof(head_type, data));                          \
        head->exchange = exchange_at - (uint32_t)(MESSAGE_AT + offsetof(head_type, exchange));                         \
        head->symbol = symbol_at - (uint32_t)(MESSAGE_AT + offsetof(head_type, symbol));                               \
        head->seq = w->record->seq;                                                                                    \
        head->timestamp_ns = w->event->venue_ns;                                                                       \
        head->recv_ns = w->event->recv_ns;                                                                             \
        head->publish_ns = w->record->publish_ns;                                                                      \
        head->data_type = (uint8_t)data_type;                                                                          \
        memset(head->padding, 0, sizeof(head->padding));                                                               \
        head->record_vtable_offset = (int32_t)(MESSAGE_AT + sizeof(head_type) - RECORD_WORD - RECORD_VTABLE_AT);       \
    } while (0)

static TWI_ALWAYS_INLINE void put_head(const writer *w, bool is_long, twi_fb_data data_type, uint32_t exchange_at,
                                       uint32_t symbol_at)
{
    if (!is_long) {
        memcpy(w->out, &prefix_short, sizeof(prefix_short));
        FILL_HEAD(message_head);
        return;
    }
    memcpy(w->out, &prefix_long, sizeof(prefix_long));
    FILL_HEAD(message_head_long);
    message_head_long *head_long = (message_head_long *)(void *)(w->out + MESSAGE_AT);
    head_long->folded = w->record->folded;
    head_long->prev_seq = w->record->prev_seq;
    head_long->padding2 = 0;
}

/* Everything but the record's body and its vectors. Afterwards w->at is the end of the symbol's string. Returns where
 * the body is to be filled in. */
static TWI_ALWAYS_INLINE void *put_message(writer *w, bool is_long, twi_fb_data data_type, const vtable *record_vtable,
                                           uint32_t body_bytes)
{
    uint32_t exchange_at = body_at(is_long) + body_bytes;
    uint8_t *symbol = put_exchange(w->out + exchange_at, w->instrument);
    w->at = put_symbol(symbol, w->instrument);
    put_head(w, is_long, data_type, exchange_at, (uint32_t)(symbol - w->out));
    memcpy(w->out + RECORD_VTABLE_AT, record_vtable, sizeof(*record_vtable));
    return w->out + body_at(is_long);
}

/* ---- one function per kind ---- */

/* Puts the id's string behind the symbol; returns where it is, from the start of the buffer. */
static TWI_ALWAYS_INLINE uint32_t put_id(writer *w, tw_id_kind kind, tw_trade_id id)
{
    store32(w->at, 0); /* the gap up to the next multiple of four */
    uint32_t id_at = ((uint32_t)(w->at - w->out) + 3) & ~3u;
    char *text = (char *)w->out + id_at + 4;
    size_t len = TWI_LIKELY(kind == TW_ID_NUMBER && id.hi == 0) ? (size_t)(twi_digits_put(text, id.lo) - text)
                                                                : twi_trade_id_format(kind, id, text);
    text[len] = '\0';
    store32(w->out + id_at, (uint32_t)len);
    w->at = (uint8_t *)text + len + 1;
    return id_at;
}

static TWI_ALWAYS_INLINE void put_trade(writer *w, bool is_long)
{
    const tw_event *event = w->event;
    tw_id_kind id_kind = (tw_id_kind)((event->flags & TW_ID_KIND_MASK) >> TW_ID_KIND_SHIFT);
    const vtable *fields = TWI_LIKELY(id_kind != TW_ID_NONE) ? &trade_vtable : &trade_vtable_no_id;
    trade_body *body = put_message(w, is_long, TWI_FB_DATA_TRADE, fields, sizeof(*body));
    body->price = event->u.trade.price;
    body->amount = event->u.trade.amount;
    body->price_exponent = event->price_exponent;
    body->amount_exponent = event->amount_exponent;
    body->side = (event->flags & TW_FLAG_SELL) != 0;
    body->history = (event->flags & TW_FLAG_HISTORY) != 0;
    body->id = 0;
    if (TWI_LIKELY(id_kind != TW_ID_NONE)) {
        body->id = put_id(w, id_kind, event->u.trade.id) - (body_at(is_long) + (uint32_t)offsetof(trade_body, id));
    }
}

static TWI_ALWAYS_INLINE void put_quote(writer *w, bool is_long)
{
    const tw_event *event = w->event;
    quote_body *body = put_message(w, is_long, TWI_FB_DATA_QUOTE, &quote_vtable, sizeof(*body));
    body->bid = event->u.quote.bid;
    body->bid_volume = event->u.quote.bid_amount;
    body->ask = event->u.quote.ask;
    body->ask_volume = event->u.quote.ask_amount;
    body->price_exponent = event->price_exponent;
    body->amount_exponent = event->amount_exponent;
    memset(body->padding, 0, sizeof(body->padding));
}

static TWI_ALWAYS_INLINE void put_candle(writer *w, bool is_long)
{
    const tw_event *event = w->event;
    const tw_event *tail = event + 1;
    candle_body *body = put_message(w, is_long, TWI_FB_DATA_CANDLE, &candle_vtable, sizeof(*body));
    body->open = event->u.candle.open;
    body->high = event->u.candle.high;
    body->low = event->u.candle.low;
    body->close = event->u.candle.close;
    body->volume = tail->u.candle_tail.volume;
    body->interval_ns = tail->u.candle_tail.interval_ns;
    body->price_exponent = event->price_exponent;
    body->amount_exponent = tail->amount_exponent;
    body->closed = (event->flags & TW_FLAG_CLOSED) != 0;
    memset(body->padding, 0, sizeof(body->padding));
}

static TWI_ALWAYS_INLINE void put_status(writer *w, bool is_long)
{
    const tw_event *event = w->event;
    status_body *body = put_message(w, is_long, TWI_FB_DATA_STATUS, &status_vtable, sizeof(*body));
    body->from = event->u.status.from;
    body->to = event->u.status.to;
    body->state = (uint8_t)event->u.status.state;
    body->reason = (uint8_t)event->u.status.reason;
    memset(body->padding, 0, sizeof(body->padding));
}

static TWI_ALWAYS_INLINE void put_loss(writer *w, bool is_long)
{
    const tw_event *event = w->event;
    loss_body *body = put_message(w, is_long, TWI_FB_DATA_LOSS, &loss_vtable, sizeof(*body));
    body->from = event->u.loss.from;
    body->to = event->u.loss.to;
    body->count = event->u.loss.count;
    body->interval_s = event->u.loss.interval_s;
    body->channel = (uint8_t)event->u.loss.channel;
    body->reason = (uint8_t)event->u.loss.reason;
    memset(body->padding, 0, sizeof(body->padding));
}

/* ---- books ---- */

/* What the levels of a group have in common. */
typedef struct level_summary {
    uint32_t ask_count;
    int8_t price_exponent, amount_exponent; /* the finest */
    bool mixed;                             /* not all levels have these exponents */
} level_summary;

static level_summary summarize_levels(const tw_record *record)
{
    const tw_event *first = record->events;
    level_summary summary = {.price_exponent = first->price_exponent, .amount_exponent = first->amount_exponent};
    for (uint32_t index = 0; index < record->event_count; index++) {
        const tw_event *event = &first[index];
        summary.ask_count += (event->flags & TW_FLAG_ASK) != 0;
        summary.mixed |= event->price_exponent != first->price_exponent;
        summary.mixed |= event->amount_exponent != first->amount_exponent;
        if (event->price_exponent < summary.price_exponent) {
            summary.price_exponent = event->price_exponent;
        }
        if (event->amount_exponent < summary.amount_exponent) {
            summary.amount_exponent = event->amount_exponent;
        }
    }
    return summary;
}

/* A vector's length word where its elements will be aligned to 8; *offset, in the book's body, is set to point to it.
 * Returns the place of the first element. */
static uint8_t *start_vector(writer *w, uint8_t *offset, uint32_t count)
{
    memset(w->at, 0, 8);
    size_t elements_at = ((size_t)(w->at - w->out) + 4 + 7) & ~(size_t)7;
    uint8_t *elements = w->out + elements_at;
    store32(elements - 4, count);
    store32(offset, (uint32_t)(elements - 4 - offset));
    return elements;
}

static uint8_t *put_levels(uint8_t *at, const tw_record *record, uint8_t side)
{
    for (uint32_t index = 0; index < record->event_count; index++) {
        const tw_event *event = &record->events[index];
        if ((event->flags & TW_FLAG_ASK) == side) {
            twi_fb_level level = {event->u.level.price, event->u.level.amount};
            memcpy(at, &level, sizeof(level));
            at += sizeof(level);
        }
    }
    return at;
}

/* The same at common exponents; NULL if a level does not fit. */
static uint8_t *put_rescaled_levels(uint8_t *at, const tw_record *record, uint8_t side, const level_summary *summary)
{
    for (uint32_t index = 0; index < record->event_count; index++) {
        const tw_event *event = &record->events[index];
        if ((event->flags & TW_FLAG_ASK) != side) {
            continue;
        }
        tw_decimal price = {event->u.level.price, event->price_exponent};
        tw_decimal amount = {event->u.level.amount, event->amount_exponent};
        twi_fb_level level;
        if (tw_decimal_rescale(price, summary->price_exponent, &level.price) != TW_OK ||
            tw_decimal_rescale(amount, summary->amount_exponent, &level.amount) != TW_OK) {
            return NULL;
        }
        memcpy(at, &level, sizeof(level));
        at += sizeof(level);
    }
    return at;
}

static uint8_t *put_wide_levels(uint8_t *at, const tw_record *record, uint8_t side)
{
    for (uint32_t index = 0; index < record->event_count; index++) {
        const tw_event *event = &record->events[index];
        if ((event->flags & TW_FLAG_ASK) == side) {
            twi_fb_wide_level level = {.price = event->u.level.price,
                                       .amount = event->u.level.amount,
                                       .price_exponent = event->price_exponent,
                                       .amount_exponent = event->amount_exponent};
            memcpy(at, &level, sizeof(level));
            at += sizeof(level);
        }
    }
    return at;
}

/* Returns the book's body, with its two offsets still to be filled in. */
static TWI_ALWAYS_INLINE uint8_t *put_book_head(writer *w, bool is_long, twi_fb_data data_type,
                                                const vtable *record_vtable, int8_t price_exponent,
                                                int8_t amount_exponent)
{
    book_body *body = put_message(w, is_long, data_type, record_vtable, sizeof(*body));
    body->price_exponent = price_exponent;
    body->amount_exponent = amount_exponent;
    body->snapshot = (w->event->flags & TW_FLAG_SNAPSHOT) != 0;
    body->padding = 0;
    return (uint8_t *)body;
}

/* One side of a Book; NULL if a level does not fit the common exponents. */
static uint8_t *put_side(writer *w, uint8_t *offset, const level_summary *summary, uint8_t side, uint32_t count)
{
    uint8_t *elements = start_vector(w, offset, count);
    if (count == 0) {
        return elements;
    }
    return TWI_LIKELY(!summary->mixed) ? put_levels(elements, w->record, side)
                                       : put_rescaled_levels(elements, w->record, side, summary);
}

/* False: the levels have no common exponents; nothing of what was written counts. */
static TWI_ALWAYS_INLINE bool put_book(writer *w, bool is_long, const level_summary *summary, uint32_t bid_count)
{
    uint8_t *body =
        put_book_head(w, is_long, TWI_FB_DATA_BOOK, &book_vtable, summary->price_exponent, summary->amount_exponent);
    w->at = put_side(w, body + offsetof(book_body, bids), summary, 0, bid_count);
    if (w->at != NULL) {
        w->at = put_side(w, body + offsetof(book_body, asks), summary, TW_FLAG_ASK, summary->ask_count);
    }
    return w->at != NULL;
}

static TWI_NOINLINE void put_wide_book(writer *w, bool is_long, const level_summary *summary, uint32_t bid_count)
{
    uint8_t *body = put_book_head(w, is_long, TWI_FB_DATA_WIDE_BOOK, &wide_book_vtable, 0, 0);
    uint8_t *bids = start_vector(w, body + offsetof(book_body, bids), bid_count);
    w->at = put_wide_levels(bids, w->record, 0);
    uint8_t *asks = start_vector(w, body + offsetof(book_body, asks), summary->ask_count);
    w->at = put_wide_levels(asks, w->record, TW_FLAG_ASK);
}

static TWI_ALWAYS_INLINE void put_any_book(writer *w, bool is_long)
{
    level_summary summary = {.price_exponent = w->event->price_exponent, .amount_exponent = w->event->amount_exponent};
    uint32_t bid_count = 0;
    if (w->event->kind == TW_EVENT_LEVEL) {
        summary = summarize_levels(w->record);
        bid_count = w->record->event_count - summary.ask_count;
    }
    if (!put_book(w, is_long, &summary, bid_count)) {
        put_wide_book(w, is_long, &summary, bid_count);
    }
}

/* ---- encode ---- */

static TWI_ALWAYS_INLINE void put_record(writer *w, bool is_long)
{
    switch (w->event->kind) {
    case TW_EVENT_TRADE:
        put_trade(w, is_long);
        break;
    case TW_EVENT_QUOTE:
        put_quote(w, is_long);
        break;
    case TW_EVENT_LEVEL:
    case TW_EVENT_BOOK_CLEAR:
        put_any_book(w, is_long);
        break;
    case TW_EVENT_CANDLE:
        TWI_ASSERT(w->record->event_count == 2 && w->event[1].kind == TW_EVENT_CANDLE_TAIL);
        put_candle(w, is_long);
        break;
    case TW_EVENT_STATUS:
        put_status(w, is_long);
        break;
    case TW_EVENT_LOSS:
        put_loss(w, is_long);
        break;
    default:
        TWI_ASSERT(!"a record of a kind that goes to subscribers");
    }
}

static TWI_NOINLINE size_t encode_long(writer w)
{
    put_record(&w, true);
    return (size_t)(w.at - w.out);
}

size_t twi_flatbuffers_encode(const tw_symbols *symbols, const tw_record *record, uint8_t *out, size_t out_cap)
{
    TWI_ASSERT(record->event_count > 0);
    if (out_cap < twi_flatbuffers_bound(record->event_count)) {
        return 0;
    }
    const tw_instrument *instrument = tw_symbols_get(symbols, record->events[0].instrument);
    TWI_ASSERT(instrument != NULL);
    writer w = {.out = out, .at = out, .record = record, .event = record->events, .instrument = instrument};
    if (TWI_UNLIKELY((record->prev_seq | record->folded) != 0)) {
        return encode_long(w);
    }
    put_record(&w, false);
    return (size_t)(w.at - out);
}

const tw_codec_ops tw_codec_flatbuffers = {
    .abi = TW_CODEC_ABI,
    .name = "flatbuffers",
    .ws_opcode = 2,
    .bound = twi_flatbuffers_bound,
    .encode = twi_flatbuffers_encode,
    .decode = twi_flatbuffers_decode,
};
