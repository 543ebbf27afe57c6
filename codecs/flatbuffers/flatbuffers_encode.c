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
 *           anywhere (behind a WebSocket frame head), so every store goes through memcpy.
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
typedef struct message_head {
    int32_t vtable_offset;
    uint32_t data, exchange, symbol;
    uint64_t seq;
    int64_t timestamp_ns, recv_ns, publish_ns;
    uint8_t data_type;
    uint8_t padding[3];
    int32_t record_vtable_offset;
} message_head;

/* The same for a message that carries prev_seq or folded. */
typedef struct message_head_long {
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

_Static_assert(RECORD_VTABLE_AT == 32 && MESSAGE_AT == 56, "as drawn above");
_Static_assert(BODY_AT % 8 == 0 && BODY_AT_LONG % 8 == 0, "bodies are aligned for their 8-byte fields");
_Static_assert(offsetof(message_head, record_vtable_offset) + RECORD_WORD == sizeof(message_head), "word, then body");
_Static_assert(offsetof(message_head_long, record_vtable_offset) + RECORD_WORD == sizeof(message_head_long), "same");

typedef struct trade_body {
    int64_t price, amount;
    uint32_t id;
    int8_t price_exponent, amount_exponent;
    uint8_t side, history;
} trade_body;

typedef struct quote_body {
    int64_t bid, bid_volume, ask, ask_volume;
    int8_t price_exponent, amount_exponent;
    uint8_t padding[6];
} quote_body;

typedef struct book_body {
    uint32_t bids, asks;
    int8_t price_exponent, amount_exponent; /* zero and without a field in a WideBook */
    uint8_t snapshot, padding;
} book_body;

typedef struct candle_body {
    int64_t open, high, low, close, volume, interval_ns;
    int8_t price_exponent, amount_exponent;
    uint8_t closed, padding[5];
} candle_body;

typedef struct status_body {
    uint64_t from, to;
    uint8_t state, reason, padding[6];
} status_body;

typedef struct loss_body {
    uint64_t from, to, count;
    uint32_t interval_s;
    uint8_t channel, reason, padding[2];
} loss_body;

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
    uint8_t *out;   /* start of the buffer */
    uint8_t *at;    /* end of what is written */
    size_t body_at; /* where the record's fields begin */
    const tw_record *record;
    const tw_event *event; /* the record's first */
    const tw_instrument *instrument;
} writer;

static TWI_ALWAYS_INLINE void store32(uint8_t *to, uint32_t value)
{
    memcpy(to, &value, sizeof(value));
}

/* A string's length word and the whole of the table's field, which is zero behind the name; ends aligned for the next
 * string. */
static TWI_ALWAYS_INLINE uint8_t *put_exchange(uint8_t *at, const tw_instrument *instrument)
{
    store32(at, instrument->exchange_len);
    memcpy(at + 4, instrument->exchange, sizeof(instrument->exchange));
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

static TWI_ALWAYS_INLINE void fill_head(message_head *head, const writer *w, twi_fb_data data_type,
                                        uint32_t exchange_at, uint32_t symbol_at)
{
    *head = (message_head){
        .vtable_offset = MESSAGE_AT - offsetof(prefix, message),
        .data = BODY_AT - RECORD_WORD - (MESSAGE_AT + offsetof(message_head, data)),
        .exchange = exchange_at - (MESSAGE_AT + (uint32_t)offsetof(message_head, exchange)),
        .symbol = symbol_at - (MESSAGE_AT + (uint32_t)offsetof(message_head, symbol)),
        .seq = w->record->seq,
        .timestamp_ns = w->event->venue_ns,
        .recv_ns = w->event->recv_ns,
        .publish_ns = w->record->publish_ns,
        .data_type = (uint8_t)data_type,
        .record_vtable_offset = BODY_AT - RECORD_WORD - RECORD_VTABLE_AT,
    };
}

static TWI_NOINLINE void put_head_long(const writer *w, const message_head *head)
{
    enum { LONGER = BODY_AT_LONG - BODY_AT };
    message_head_long filled = {
        .vtable_offset = head->vtable_offset,
        .data = head->data + LONGER,
        .exchange = head->exchange,
        .symbol = head->symbol,
        .seq = head->seq,
        .timestamp_ns = head->timestamp_ns,
        .recv_ns = head->recv_ns,
        .publish_ns = head->publish_ns,
        .data_type = head->data_type,
        .folded = w->record->folded,
        .prev_seq = w->record->prev_seq,
        .record_vtable_offset = head->record_vtable_offset + LONGER,
    };
    memcpy(w->out, &prefix_long, sizeof(prefix_long));
    memcpy(w->out + MESSAGE_AT, &filled, sizeof(filled));
}

/* Everything but the record's body and its vectors. Afterwards w->at is the end of the symbol's string. */
static TWI_ALWAYS_INLINE void put_message(writer *w, twi_fb_data data_type, const vtable *record_vtable,
                                          size_t body_bytes)
{
    bool is_long = (w->record->prev_seq | w->record->folded) != 0;
    w->body_at = is_long ? BODY_AT_LONG : BODY_AT;
    uint32_t exchange_at = (uint32_t)(w->body_at + body_bytes);
    uint8_t *symbol = put_exchange(w->out + exchange_at, w->instrument);
    w->at = put_symbol(symbol, w->instrument);
    message_head head;
    fill_head(&head, w, data_type, exchange_at, (uint32_t)(symbol - w->out));
    if (TWI_UNLIKELY(is_long)) {
        put_head_long(w, &head);
    } else {
        memcpy(w->out, &prefix_short, sizeof(prefix_short));
        memcpy(w->out + MESSAGE_AT, &head, sizeof(head));
    }
    memcpy(w->out + RECORD_VTABLE_AT, record_vtable, sizeof(*record_vtable));
}

/* ---- one function per kind ---- */

static void put_trade(writer *w)
{
    const tw_event *event = w->event;
    tw_id_kind id_kind = (tw_id_kind)((event->flags & TW_ID_KIND_MASK) >> TW_ID_KIND_SHIFT);
    put_message(w, TWI_FB_DATA_TRADE, id_kind == TW_ID_NONE ? &trade_vtable_no_id : &trade_vtable, sizeof(trade_body));
    trade_body body = {.price = event->u.trade.price,
                       .amount = event->u.trade.amount,
                       .price_exponent = event->price_exponent,
                       .amount_exponent = event->amount_exponent,
                       .side = (event->flags & TW_FLAG_SELL) != 0,
                       .history = (event->flags & TW_FLAG_HISTORY) != 0};
    if (id_kind != TW_ID_NONE) {
        store32(w->at, 0); /* the gap up to the next multiple of four */
        size_t id_at = ((size_t)(w->at - w->out) + 3) & ~(size_t)3;
        char *text = (char *)w->out + id_at + 4;
        size_t len = twi_trade_id_format(id_kind, event->u.trade.id, text);
        text[len] = '\0';
        store32(w->out + id_at, (uint32_t)len);
        body.id = (uint32_t)(id_at - (w->body_at + offsetof(trade_body, id)));
        w->at = (uint8_t *)text + len + 1;
    }
    memcpy(w->out + w->body_at, &body, sizeof(body));
}

static void put_quote(writer *w)
{
    const tw_event *event = w->event;
    put_message(w, TWI_FB_DATA_QUOTE, &quote_vtable, sizeof(quote_body));
    quote_body body = {.bid = event->u.quote.bid,
                       .bid_volume = event->u.quote.bid_amount,
                       .ask = event->u.quote.ask,
                       .ask_volume = event->u.quote.ask_amount,
                       .price_exponent = event->price_exponent,
                       .amount_exponent = event->amount_exponent};
    memcpy(w->out + w->body_at, &body, sizeof(body));
}

static void put_candle(writer *w)
{
    const tw_event *event = w->event;
    const tw_event *tail = event + 1;
    put_message(w, TWI_FB_DATA_CANDLE, &candle_vtable, sizeof(candle_body));
    candle_body body = {.open = event->u.candle.open,
                        .high = event->u.candle.high,
                        .low = event->u.candle.low,
                        .close = event->u.candle.close,
                        .volume = tail->u.candle_tail.volume,
                        .interval_ns = tail->u.candle_tail.interval_ns,
                        .price_exponent = event->price_exponent,
                        .amount_exponent = tail->amount_exponent,
                        .closed = (event->flags & TW_FLAG_CLOSED) != 0};
    memcpy(w->out + w->body_at, &body, sizeof(body));
}

static void put_status(writer *w)
{
    const tw_event *event = w->event;
    put_message(w, TWI_FB_DATA_STATUS, &status_vtable, sizeof(status_body));
    status_body body = {.from = event->u.status.from,
                        .to = event->u.status.to,
                        .state = (uint8_t)event->u.status.state,
                        .reason = (uint8_t)event->u.status.reason};
    memcpy(w->out + w->body_at, &body, sizeof(body));
}

static void put_loss(writer *w)
{
    const tw_event *event = w->event;
    put_message(w, TWI_FB_DATA_LOSS, &loss_vtable, sizeof(loss_body));
    loss_body body = {.from = event->u.loss.from,
                      .to = event->u.loss.to,
                      .count = event->u.loss.count,
                      .interval_s = event->u.loss.interval_s,
                      .channel = (uint8_t)event->u.loss.channel,
                      .reason = (uint8_t)event->u.loss.reason};
    memcpy(w->out + w->body_at, &body, sizeof(body));
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

/* A vector's length word where its elements will be aligned to 8; returns the place of the first element. */
static uint8_t *start_vector(writer *w, size_t body_offset, uint32_t count)
{
    memset(w->at, 0, 8);
    size_t elements_at = ((size_t)(w->at - w->out) + 4 + 7) & ~(size_t)7;
    size_t offset_at = w->body_at + body_offset;
    store32(w->out + elements_at - 4, count);
    store32(w->out + offset_at, (uint32_t)(elements_at - 4 - offset_at));
    return w->out + elements_at;
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

static void put_book_head(writer *w, twi_fb_data data_type, const vtable *record_vtable, int8_t price_exponent,
                          int8_t amount_exponent)
{
    put_message(w, data_type, record_vtable, sizeof(book_body));
    book_body body = {.price_exponent = price_exponent,
                      .amount_exponent = amount_exponent,
                      .snapshot = (w->event->flags & TW_FLAG_SNAPSHOT) != 0};
    memcpy(w->out + w->body_at, &body, sizeof(body));
}

/* False: the levels have no common exponents; nothing of what was written counts. */
static bool put_book(writer *w, const level_summary *summary, uint32_t bid_count)
{
    put_book_head(w, TWI_FB_DATA_BOOK, &book_vtable, summary->price_exponent, summary->amount_exponent);
    for (uint8_t side = 0; side <= TW_FLAG_ASK; side++) {
        size_t offset = side == 0 ? offsetof(book_body, bids) : offsetof(book_body, asks);
        uint32_t count = side == 0 ? bid_count : summary->ask_count;
        uint8_t *elements = start_vector(w, offset, count);
        if (count == 0) {
            w->at = elements;
            continue;
        }
        w->at = TWI_LIKELY(!summary->mixed) ? put_levels(elements, w->record, side)
                                            : put_rescaled_levels(elements, w->record, side, summary);
        if (w->at == NULL) {
            return false;
        }
    }
    return true;
}

static TWI_NOINLINE void put_wide_book(writer *w, const level_summary *summary, uint32_t bid_count)
{
    put_book_head(w, TWI_FB_DATA_WIDE_BOOK, &wide_book_vtable, 0, 0);
    uint8_t *bids = start_vector(w, offsetof(book_body, bids), bid_count);
    w->at = put_wide_levels(bids, w->record, 0);
    uint8_t *asks = start_vector(w, offsetof(book_body, asks), summary->ask_count);
    w->at = put_wide_levels(asks, w->record, TW_FLAG_ASK);
}

static void put_any_book(writer *w)
{
    if (w->event->kind == TW_EVENT_BOOK_CLEAR) {
        level_summary empty = {.price_exponent = w->event->price_exponent,
                               .amount_exponent = w->event->amount_exponent};
        put_book(w, &empty, 0);
        return;
    }
    level_summary summary = summarize_levels(w->record);
    uint32_t bid_count = w->record->event_count - summary.ask_count;
    if (!put_book(w, &summary, bid_count)) {
        put_wide_book(w, &summary, bid_count);
    }
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
    switch (record->events[0].kind) {
    case TW_EVENT_TRADE:
        put_trade(&w);
        break;
    case TW_EVENT_QUOTE:
        put_quote(&w);
        break;
    case TW_EVENT_LEVEL:
    case TW_EVENT_BOOK_CLEAR:
        put_any_book(&w);
        break;
    case TW_EVENT_CANDLE:
        TWI_ASSERT(record->event_count == 2 && record->events[1].kind == TW_EVENT_CANDLE_TAIL);
        put_candle(&w);
        break;
    case TW_EVENT_STATUS:
        put_status(&w);
        break;
    case TW_EVENT_LOSS:
        put_loss(&w);
        break;
    default:
        TWI_ASSERT(!"a record of a kind that goes to subscribers");
    }
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
