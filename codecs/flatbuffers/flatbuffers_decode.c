/* flatbuffers_decode.c - FlatBuffers buffers to records, verified while they are read: no offset is followed before it
 * is known to stay inside the message, so that any bytes are survived.
 *
 * Accepts:  every layout that the format allows (fields left out, vtables anywhere), not only our encoder's.
 * Errors:   sticky in the reader: a failed check makes the rest read zeros, and the message is TW_MALFORMED in the end.
 * Refuses:  exponents out of range, sides, states and channels that do not exist. A reason that does not exist is
 *           TW_REASON_NONE, since newer servers may know more. */
#include <stdbool.h>
#include <string.h>

#include "codecs/flatbuffers/flatbuffers_codec.h"
#include "engine/base/compiler.h"
#include "engine/base/trade_id.h"
#include "tickwire/decimal.h"

typedef struct reader {
    const uint8_t *msg;
    size_t len;
    bool failed;
} reader;

/* A table whose vtable and own bytes are known to lie in the message. */
typedef struct table {
    const uint8_t *at, *vtable;
    uint16_t vtable_bytes, bytes;
} table;

typedef struct text {
    const char *at;
    size_t len;
} text;

typedef struct vector {
    const uint8_t *elements;
    uint32_t count;
} vector;

enum { VTABLE_HEAD = 4, OFFSET_BYTES = 4, IDENTIFIER_AT = 4, MESSAGE_MIN = 8 };

/* ---- scalars at any alignment ---- */

static TWI_ALWAYS_INLINE uint16_t load16(const uint8_t *at)
{
    uint16_t value;
    memcpy(&value, at, sizeof(value));
    return value;
}

static TWI_ALWAYS_INLINE uint32_t load32(const uint8_t *at)
{
    uint32_t value;
    memcpy(&value, at, sizeof(value));
    return value;
}

static TWI_ALWAYS_INLINE uint64_t load64(const uint8_t *at)
{
    uint64_t value;
    memcpy(&value, at, sizeof(value));
    return value;
}

/* ---- tables ---- */

static const table empty_table = {NULL, NULL, VTABLE_HEAD, VTABLE_HEAD};

static TWI_COLD table fail_table(reader *r)
{
    r->failed = true;
    return empty_table;
}

/* The table at `position` bytes from the start. */
static TWI_ALWAYS_INLINE table open_table(reader *r, uint64_t position)
{
    if (r->len < VTABLE_HEAD || position > r->len - VTABLE_HEAD) {
        return fail_table(r);
    }
    table t = {.at = r->msg + position};
    int64_t vtable_position = (int64_t)position - (int32_t)load32(t.at);
    if (vtable_position < 0 || (uint64_t)vtable_position > r->len - VTABLE_HEAD) {
        return fail_table(r);
    }
    t.vtable = r->msg + vtable_position;
    t.vtable_bytes = load16(t.vtable);
    t.bytes = load16(t.vtable + 2);
    if (t.vtable_bytes < VTABLE_HEAD || t.vtable_bytes % 2 != 0 ||
        t.vtable_bytes > r->len - (uint64_t)vtable_position || t.bytes < VTABLE_HEAD || t.bytes > r->len - position) {
        return fail_table(r);
    }
    return t;
}

/* Where a field of `bytes` lies, NULL if the table does not have it. */
static TWI_ALWAYS_INLINE const uint8_t *find_field(reader *r, const table *t, unsigned index, unsigned bytes)
{
    unsigned slot = VTABLE_HEAD + 2 * index;
    unsigned offset = slot < t->vtable_bytes ? load16(t->vtable + slot) : 0;
    if (offset == 0) {
        return NULL;
    }
    if (TWI_UNLIKELY(offset < VTABLE_HEAD || offset + bytes > t->bytes)) {
        r->failed = true;
        return NULL;
    }
    return t->at + offset;
}

static TWI_ALWAYS_INLINE uint64_t read_u64(reader *r, const table *t, unsigned index)
{
    const uint8_t *field = find_field(r, t, index, sizeof(uint64_t));
    return field != NULL ? load64(field) : 0;
}

static TWI_ALWAYS_INLINE int64_t read_i64(reader *r, const table *t, unsigned index)
{
    return (int64_t)read_u64(r, t, index);
}

static TWI_ALWAYS_INLINE uint32_t read_u32(reader *r, const table *t, unsigned index)
{
    const uint8_t *field = find_field(r, t, index, sizeof(uint32_t));
    return field != NULL ? load32(field) : 0;
}

static TWI_ALWAYS_INLINE uint8_t read_u8(reader *r, const table *t, unsigned index)
{
    const uint8_t *field = find_field(r, t, index, sizeof(uint8_t));
    return field != NULL ? *field : 0;
}

static TWI_ALWAYS_INLINE int8_t check_exponent(reader *r, int8_t exponent)
{
    r->failed |= exponent < TW_DECIMAL_EXPONENT_MIN || exponent > TW_DECIMAL_EXPONENT_MAX;
    return exponent;
}

static TWI_ALWAYS_INLINE int8_t read_exponent(reader *r, const table *t, unsigned index)
{
    return check_exponent(r, (int8_t)read_u8(r, t, index));
}

/* Where an offset field points, with at least the four bytes of a length or table head behind it; 0: no such field. */
static TWI_ALWAYS_INLINE uint64_t read_offset(reader *r, const table *t, unsigned index)
{
    const uint8_t *field = find_field(r, t, index, OFFSET_BYTES);
    if (field == NULL) {
        return 0;
    }
    uint64_t position = (uint64_t)(field - r->msg) + load32(field);
    if (TWI_UNLIKELY(position > r->len - OFFSET_BYTES)) {
        r->failed = true;
        return 0;
    }
    return position;
}

static TWI_ALWAYS_INLINE text read_text(reader *r, const table *t, unsigned index)
{
    uint64_t position = read_offset(r, t, index);
    if (position == 0) {
        return (text){.at = ""};
    }
    text value = {(const char *)r->msg + position + OFFSET_BYTES, load32(r->msg + position)};
    uint64_t left = r->len - position - OFFSET_BYTES;
    if (TWI_UNLIKELY(value.len >= left || value.at[value.len] != '\0')) {
        r->failed = true;
        return (text){.at = ""};
    }
    return value;
}

static vector read_vector(reader *r, const table *t, unsigned index, size_t element_bytes)
{
    uint64_t position = read_offset(r, t, index);
    if (position == 0) {
        return (vector){0};
    }
    vector value = {r->msg + position + OFFSET_BYTES, load32(r->msg + position)};
    if (value.count > (r->len - position - OFFSET_BYTES) / element_bytes) {
        r->failed = true;
        return (vector){0};
    }
    return value;
}

/* ---- records ---- */

/* What decoding one message works on. `event` holds what the message's events share. */
typedef struct decoding {
    reader r;
    table data;
    tw_event shared;
    tw_event *events;
    uint32_t event_cap, used;
} decoding;

static tw_event *add_event(decoding *d, tw_event_kind kind, unsigned flags)
{
    tw_event *event = &d->events[d->used++];
    *event = d->shared;
    event->kind = (uint8_t)kind;
    event->flags = (uint8_t)(flags | TW_FLAG_FIRST | TW_FLAG_LAST);
    return event;
}

static tw_status read_trade(decoding *d)
{
    text id_text = read_text(&d->r, &d->data, TWI_FB_TRADE_ID);
    uint8_t side = read_u8(&d->r, &d->data, TWI_FB_TRADE_SIDE);
    uint8_t history = read_u8(&d->r, &d->data, TWI_FB_TRADE_HISTORY);
    tw_id_kind id_kind;
    tw_trade_id id;
    if (side > 1 || history > 1 || twi_trade_id_parse(id_text.at, id_text.len, &id_kind, &id) != TW_OK) {
        return TW_MALFORMED;
    }
    unsigned flags = (side ? TW_FLAG_SELL : 0) | (history ? TW_FLAG_HISTORY : 0) | id_kind << TW_ID_KIND_SHIFT;
    tw_event *event = add_event(d, TW_EVENT_TRADE, flags);
    event->price_exponent = read_exponent(&d->r, &d->data, TWI_FB_TRADE_PRICE_EXPONENT);
    event->amount_exponent = read_exponent(&d->r, &d->data, TWI_FB_TRADE_AMOUNT_EXPONENT);
    event->u.trade.price = read_i64(&d->r, &d->data, TWI_FB_TRADE_PRICE);
    event->u.trade.amount = read_i64(&d->r, &d->data, TWI_FB_TRADE_AMOUNT);
    event->u.trade.id = id;
    return TW_OK;
}

static tw_status read_quote(decoding *d)
{
    tw_event *event = add_event(d, TW_EVENT_QUOTE, 0);
    event->price_exponent = read_exponent(&d->r, &d->data, TWI_FB_QUOTE_PRICE_EXPONENT);
    event->amount_exponent = read_exponent(&d->r, &d->data, TWI_FB_QUOTE_AMOUNT_EXPONENT);
    event->u.quote.bid = read_i64(&d->r, &d->data, TWI_FB_QUOTE_BID);
    event->u.quote.bid_amount = read_i64(&d->r, &d->data, TWI_FB_QUOTE_BID_VOLUME);
    event->u.quote.ask = read_i64(&d->r, &d->data, TWI_FB_QUOTE_ASK);
    event->u.quote.ask_amount = read_i64(&d->r, &d->data, TWI_FB_QUOTE_ASK_VOLUME);
    return TW_OK;
}

static tw_status read_candle(decoding *d)
{
    if (d->event_cap < 2) {
        return TW_TOO_BIG;
    }
    unsigned flags = read_u8(&d->r, &d->data, TWI_FB_CANDLE_CLOSED) != 0 ? TW_FLAG_CLOSED : 0;
    d->shared.price_exponent = read_exponent(&d->r, &d->data, TWI_FB_CANDLE_PRICE_EXPONENT);
    d->shared.amount_exponent = read_exponent(&d->r, &d->data, TWI_FB_CANDLE_AMOUNT_EXPONENT);
    tw_event *event = add_event(d, TW_EVENT_CANDLE, flags);
    event->u.candle.open = read_i64(&d->r, &d->data, TWI_FB_CANDLE_OPEN);
    event->u.candle.high = read_i64(&d->r, &d->data, TWI_FB_CANDLE_HIGH);
    event->u.candle.low = read_i64(&d->r, &d->data, TWI_FB_CANDLE_LOW);
    event->u.candle.close = read_i64(&d->r, &d->data, TWI_FB_CANDLE_CLOSE);
    event = add_event(d, TW_EVENT_CANDLE_TAIL, flags);
    event->u.candle_tail.volume = read_i64(&d->r, &d->data, TWI_FB_CANDLE_VOLUME);
    event->u.candle_tail.interval_ns = read_i64(&d->r, &d->data, TWI_FB_CANDLE_INTERVAL_NS);
    return TW_OK;
}

static uint16_t known_reason(uint8_t reason)
{
    return reason <= TW_REASON_REJECTED ? reason : TW_REASON_NONE;
}

static tw_status read_status(decoding *d)
{
    tw_event *event = add_event(d, TW_EVENT_STATUS, 0);
    event->u.status.from = read_u64(&d->r, &d->data, TWI_FB_STATUS_FROM);
    event->u.status.to = read_u64(&d->r, &d->data, TWI_FB_STATUS_TO);
    event->u.status.state = read_u8(&d->r, &d->data, TWI_FB_STATUS_STATE);
    event->u.status.reason = known_reason(read_u8(&d->r, &d->data, TWI_FB_STATUS_REASON));
    return event->u.status.state <= TW_STATE_CROSSED ? TW_OK : TW_MALFORMED;
}

static tw_status read_loss(decoding *d)
{
    tw_event *event = add_event(d, TW_EVENT_LOSS, 0);
    event->u.loss.from = read_u64(&d->r, &d->data, TWI_FB_LOSS_FROM);
    event->u.loss.to = read_u64(&d->r, &d->data, TWI_FB_LOSS_TO);
    event->u.loss.count = read_u64(&d->r, &d->data, TWI_FB_LOSS_COUNT);
    event->u.loss.interval_s = read_u32(&d->r, &d->data, TWI_FB_LOSS_INTERVAL_S);
    event->u.loss.channel = read_u8(&d->r, &d->data, TWI_FB_LOSS_CHANNEL);
    event->u.loss.reason = known_reason(read_u8(&d->r, &d->data, TWI_FB_LOSS_REASON));
    return event->u.loss.channel <= TW_CHANNEL_CANDLE ? TW_OK : TW_MALFORMED;
}

/* ---- books ---- */

static void add_levels(decoding *d, vector levels, unsigned flags)
{
    tw_event event = d->shared;
    event.kind = TW_EVENT_LEVEL;
    event.flags = (uint8_t)flags;
    for (uint32_t index = 0; index < levels.count; index++) {
        twi_fb_level level;
        tw_event *to = &d->events[d->used++];
        memcpy(&level, levels.elements + index * sizeof(level), sizeof(level));
        *to = event;
        to->u.level.price = level.price;
        to->u.level.amount = level.amount;
    }
}

static void add_wide_levels(decoding *d, vector levels, unsigned flags)
{
    tw_event event = d->shared;
    event.kind = TW_EVENT_LEVEL;
    event.flags = (uint8_t)flags;
    for (uint32_t index = 0; index < levels.count; index++) {
        twi_fb_wide_level level;
        tw_event *to = &d->events[d->used++];
        memcpy(&level, levels.elements + index * sizeof(level), sizeof(level));
        *to = event;
        to->price_exponent = check_exponent(&d->r, level.price_exponent);
        to->amount_exponent = check_exponent(&d->r, level.amount_exponent);
        to->u.level.price = level.price;
        to->u.level.amount = level.amount;
    }
}

/* A message without levels is an empty snapshot, or nothing that anybody sends. */
static tw_status read_empty_book(decoding *d, unsigned snapshot)
{
    if (snapshot == 0) {
        return TW_MALFORMED;
    }
    add_event(d, TW_EVENT_BOOK_CLEAR, snapshot);
    return TW_OK;
}

static tw_status read_book(decoding *d, bool wide)
{
    size_t element_bytes = wide ? sizeof(twi_fb_wide_level) : sizeof(twi_fb_level);
    vector bids = read_vector(&d->r, &d->data, TWI_FB_BOOK_BIDS, element_bytes);
    vector asks = read_vector(&d->r, &d->data, TWI_FB_BOOK_ASKS, element_bytes);
    unsigned snapshot_field = wide ? (unsigned)TWI_FB_WIDE_BOOK_SNAPSHOT : (unsigned)TWI_FB_BOOK_SNAPSHOT;
    unsigned snapshot = read_u8(&d->r, &d->data, snapshot_field) != 0 ? TW_FLAG_SNAPSHOT : 0;
    if (!wide) {
        d->shared.price_exponent = read_exponent(&d->r, &d->data, TWI_FB_BOOK_PRICE_EXPONENT);
        d->shared.amount_exponent = read_exponent(&d->r, &d->data, TWI_FB_BOOK_AMOUNT_EXPONENT);
    }
    if (d->r.failed) {
        return TW_MALFORMED;
    }
    uint64_t level_count = (uint64_t)bids.count + asks.count;
    if (level_count == 0) {
        return read_empty_book(d, snapshot);
    }
    if (level_count > d->event_cap) {
        return TW_TOO_BIG;
    }
    if (wide) {
        add_wide_levels(d, bids, snapshot);
        add_wide_levels(d, asks, snapshot | TW_FLAG_ASK);
    } else {
        add_levels(d, bids, snapshot);
        add_levels(d, asks, snapshot | TW_FLAG_ASK);
    }
    d->events[0].flags |= TW_FLAG_FIRST;
    d->events[d->used - 1].flags |= TW_FLAG_LAST;
    return TW_OK;
}

/* ---- message ---- */

static tw_status read_data(decoding *d, uint8_t data_type)
{
    switch ((twi_fb_data)data_type) {
    case TWI_FB_DATA_TRADE:
        return read_trade(d);
    case TWI_FB_DATA_QUOTE:
        return read_quote(d);
    case TWI_FB_DATA_BOOK:
        return read_book(d, false);
    case TWI_FB_DATA_CANDLE:
        return read_candle(d);
    case TWI_FB_DATA_STATUS:
        return read_status(d);
    case TWI_FB_DATA_LOSS:
        return read_loss(d);
    case TWI_FB_DATA_WIDE_BOOK:
        return read_book(d, true);
    case TWI_FB_DATA_NONE:
        return TW_MALFORMED;
    }
    return TW_NOT_SUPPORTED;
}

static tw_status intern_names(reader *r, const table *message, tw_symbols *symbols, uint32_t *instrument)
{
    text exchange = read_text(r, message, TWI_FB_MESSAGE_EXCHANGE);
    text symbol = read_text(r, message, TWI_FB_MESSAGE_SYMBOL);
    if (r->failed) {
        return TW_MALFORMED;
    }
    tw_status status =
        tw_symbols_intern(symbols, exchange.at, exchange.len, symbol.at, symbol.len, NULL, 0, instrument);
    return status == TW_OK || status == TW_FULL ? status : TW_MALFORMED;
}

static tw_status decode_message(decoding *d, tw_symbols *symbols, tw_record *record)
{
    reader *r = &d->r;
    if (r->len < MESSAGE_MIN || memcmp(r->msg + IDENTIFIER_AT, TWI_FB_FILE_IDENTIFIER, OFFSET_BYTES) != 0) {
        return TW_MALFORMED;
    }
    table message = open_table(r, load32(r->msg));
    uint64_t data_position = read_offset(r, &message, TWI_FB_MESSAGE_DATA);
    uint8_t data_type = read_u8(r, &message, TWI_FB_MESSAGE_DATA_TYPE);
    if (r->failed || data_position == 0) {
        return TW_MALFORMED;
    }
    d->data = open_table(r, data_position);
    d->shared.venue_ns = read_i64(r, &message, TWI_FB_MESSAGE_TIMESTAMP_NS);
    d->shared.recv_ns = read_i64(r, &message, TWI_FB_MESSAGE_RECV_NS);
    *record = (tw_record){.events = d->events,
                          .folded = read_u32(r, &message, TWI_FB_MESSAGE_FOLDED),
                          .seq = read_u64(r, &message, TWI_FB_MESSAGE_SEQ),
                          .prev_seq = read_u64(r, &message, TWI_FB_MESSAGE_PREV_SEQ),
                          .publish_ns = read_i64(r, &message, TWI_FB_MESSAGE_PUBLISH_NS)};
    if (r->failed) {
        return TW_MALFORMED;
    }
    if (d->event_cap == 0) {
        return TW_TOO_BIG;
    }
    tw_status status = read_data(d, data_type);
    if (status != TW_OK || r->failed) {
        return r->failed ? TW_MALFORMED : status;
    }
    uint32_t instrument;
    status = intern_names(r, &message, symbols, &instrument);
    for (uint32_t index = 0; status == TW_OK && index < d->used; index++) {
        d->events[index].instrument = instrument;
    }
    return status;
}

tw_status twi_flatbuffers_decode(tw_symbols *symbols, const uint8_t *msg, size_t msg_len, tw_event *events,
                                 uint32_t *event_count, tw_record *record)
{
    decoding d = {.r = {.msg = msg, .len = msg_len}, .events = events, .event_cap = *event_count};
    tw_status status = decode_message(&d, symbols, record);
    if (status == TW_OK) {
        record->event_count = d.used;
        *event_count = d.used;
    }
    return status;
}
