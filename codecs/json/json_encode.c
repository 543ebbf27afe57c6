/* json_encode.c - records to JSON text: constant pieces and digits, copied in order, without a length check per piece.
 *
 * Bound:    encode() checks once that the buffer holds the worst case of its event count; every writer below relies on
 *           that. The sum behind JSON_FIXED_MAX has one line per part.
 * Speed:    names are copied as whole table fields and the end is moved by their true length, so that copies have
 *           constant sizes; numbers come from digits.h. */
#include <stdbool.h>
#include <string.h>

#include "codecs/json/json_codec.h"
#include "codecs/json/json_reason.h"
#include "engine/base/assert.h"
#include "engine/base/digits.h"
#include "engine/base/interval.h"
#include "engine/base/trade_id.h"
#include "tickwire/decimal.h"

enum {
    DECIMAL_MAX = 1 + 19 + TW_DECIMAL_EXPONENT_MAX, /* sign, digits, zeros; longer than "-0." and 30 digits */
    INTEGER_MAX = TWI_U64_DIGITS_MAX + 1,
    ESCAPED_BYTE_MAX = 2, /* a backslash before it */
    ID_MAX = (int)sizeof(tw_trade_id) * ESCAPED_BYTE_MAX,

    WORDS_MAX = 256,                                     /* braces, member names, literals */
    NAMES_MAX = 2 * (TW_EXCHANGE_MAX + TW_SYMBOL_MAX),   /* every byte escaped */
    HEAD_NUMBERS_MAX = 3 * INTEGER_MAX,                  /* seq, prevSeq, folded */
    TAIL_NUMBERS_MAX = 3 * INTEGER_MAX,                  /* timestamp, recv_ns, publish_ns */
    BODY_MAX = 5 * DECIMAL_MAX + TWI_INTERVAL_BYTES_MAX, /* a candle; every other kind needs less */
    SLACK_MAX = 64,                                      /* bytes that constant-size copies write beyond the text */

    JSON_FIXED_MAX = WORDS_MAX + NAMES_MAX + HEAD_NUMBERS_MAX + BODY_MAX + TAIL_NUMBERS_MAX + SLACK_MAX,
    JSON_LEVEL_MAX = 4 + 2 * DECIMAL_MAX, /* [ , ] , */
    NS_PER_MS = 1000000,
};

_Static_assert(DECIMAL_MAX >= 3 - TW_DECIMAL_EXPONENT_MIN, "small numbers are not longer");
_Static_assert(BODY_MAX >= ID_MAX + (int)TWI_TRADE_ID_BYTES_MAX + 2 * DECIMAL_MAX, "a trade fits");
_Static_assert(BODY_MAX >= (int)TWI_JSON_REASON_TEXT_MAX, "a status fits");
_Static_assert(SLACK_MAX >= (int)TW_SYMBOL_MAX + 1 && SLACK_MAX >= (int)TWI_DIGITS_SLACK, "overhanging copies fit");

/* text must be a string literal. */
#define PUT(out, text) (memcpy((out), "" text, sizeof(text) - 1), (out) + (sizeof(text) - 1))

size_t twi_json_bound(uint32_t event_count)
{
    return JSON_FIXED_MAX + (size_t)event_count * JSON_LEVEL_MAX;
}

/* ---- strings ---- */

/* Text without control characters: names are checked when they enter the table, ids when they are formatted. */
static TWI_COLD char *put_escaped(char *out, const char *text, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if (text[i] == '"' || text[i] == '\\') {
            *out++ = '\\';
        }
        *out++ = text[i];
    }
    return out;
}

static TWI_COLD char *put_escaped_names(char *out, const tw_instrument *instrument)
{
    out = put_escaped(out, instrument->exchange, instrument->exchange_len);
    out = PUT(out, "\",\"symbol\":\"");
    return put_escaped(out, instrument->symbol, instrument->symbol_len);
}

static TWI_ALWAYS_INLINE char *put_names(char *out, const tw_instrument *instrument)
{
    enum { SHORT_SYMBOL = 16 };
    if (TWI_UNLIKELY((instrument->name_flags & TW_NAME_ESCAPE) != 0)) {
        return put_escaped_names(out, instrument);
    }
    memcpy(out, instrument->exchange, sizeof(instrument->exchange));
    out += instrument->exchange_len;
    out = PUT(out, "\",\"symbol\":\"");
    memcpy(out, instrument->symbol, SHORT_SYMBOL);
    if (TWI_UNLIKELY(instrument->symbol_len > SHORT_SYMBOL)) {
        memcpy(out + SHORT_SYMBOL, instrument->symbol + SHORT_SYMBOL, sizeof(instrument->symbol) - SHORT_SYMBOL);
    }
    return out + instrument->symbol_len;
}

/* Of the kinds of ids only text can hold what JSON must escape. */
static TWI_NOINLINE char *put_text_id(char *out, tw_trade_id id)
{
    char text[TWI_TRADE_ID_BYTES_MAX];
    return put_escaped(out, text, twi_trade_id_format(TW_ID_TEXT, id, text));
}

static TWI_ALWAYS_INLINE char *put_id(char *out, tw_id_kind kind, tw_trade_id id)
{
    if (kind == TW_ID_NONE) {
        return out;
    }
    out = PUT(out, ",\"id\":\"");
    if (TWI_LIKELY(kind == TW_ID_NUMBER && id.hi == 0)) {
        out = twi_digits_put(out, id.lo);
    } else if (kind == TW_ID_TEXT) {
        out = put_text_id(out, id);
    } else {
        out += twi_trade_id_format(kind, id, out);
    }
    *out++ = '"';
    return out;
}

/* ---- the parts that all records share ---- */

static TWI_COLD char *put_missing(char *out, const tw_record *record)
{
    if (record->prev_seq != 0) {
        out = PUT(out, ",\"prevSeq\":");
        out = twi_digits_put(out, record->prev_seq);
    }
    if (record->folded != 0) {
        out = PUT(out, ",\"folded\":");
        out = twi_digits_put(out, record->folded);
    }
    return out;
}

/* After {"type":"..." comes what names the topic and the place in it. */
static TWI_ALWAYS_INLINE char *put_place(char *out, const tw_instrument *instrument, const tw_record *record)
{
    out = PUT(out, ",\"exchange\":\"");
    out = put_names(out, instrument);
    out = PUT(out, "\",\"seq\":");
    out = twi_digits_put(out, record->seq);
    if (TWI_UNLIKELY((record->prev_seq | record->folded) != 0)) {
        out = put_missing(out, record);
    }
    return out;
}

static TWI_ALWAYS_INLINE char *put_times(char *out, const tw_event *event, const tw_record *record)
{
    if (TWI_LIKELY(event->venue_ns != 0)) {
        out = PUT(out, ",\"timestamp\":");
        out = twi_digits_put_signed(out, event->venue_ns / NS_PER_MS);
    } else {
        out = PUT(out, ",\"timestamp\":null");
    }
    out = PUT(out, ",\"recv_ns\":");
    out = twi_digits_put_signed(out, event->recv_ns);
    out = PUT(out, ",\"publish_ns\":");
    out = twi_digits_put_signed(out, record->publish_ns);
    *out++ = '}';
    return out;
}

/* ---- one function per kind ---- */

static char *put_trade(char *out, const tw_instrument *instrument, const tw_record *record)
{
    const tw_event *event = record->events;
    out = PUT(out, "{\"type\":\"trade\"");
    out = put_place(out, instrument, record);
    out = put_id(out, (tw_id_kind)((event->flags & TW_ID_KIND_MASK) >> TW_ID_KIND_SHIFT), event->u.trade.id);
    out = PUT(out, ",\"price\":");
    out = twi_decimal_put(out, event->u.trade.price, event->price_exponent);
    out = PUT(out, ",\"amount\":");
    out = twi_decimal_put(out, event->u.trade.amount, event->amount_exponent);
    out = (event->flags & TW_FLAG_SELL) != 0 ? PUT(out, ",\"side\":\"sell\"") : PUT(out, ",\"side\":\"buy\"");
    if (TWI_UNLIKELY((event->flags & TW_FLAG_HISTORY) != 0)) {
        out = PUT(out, ",\"history\":true");
    }
    return put_times(out, event, record);
}

static char *put_quote(char *out, const tw_instrument *instrument, const tw_record *record)
{
    const tw_event *event = record->events;
    out = PUT(out, "{\"type\":\"quote\"");
    out = put_place(out, instrument, record);
    if (TWI_LIKELY((event->u.quote.bid | event->u.quote.bid_amount) != 0)) {
        out = PUT(out, ",\"bid\":");
        out = twi_decimal_put(out, event->u.quote.bid, event->price_exponent);
        out = PUT(out, ",\"bidVolume\":");
        out = twi_decimal_put(out, event->u.quote.bid_amount, event->amount_exponent);
    } else {
        out = PUT(out, ",\"bid\":null,\"bidVolume\":null");
    }
    if (TWI_LIKELY((event->u.quote.ask | event->u.quote.ask_amount) != 0)) {
        out = PUT(out, ",\"ask\":");
        out = twi_decimal_put(out, event->u.quote.ask, event->price_exponent);
        out = PUT(out, ",\"askVolume\":");
        out = twi_decimal_put(out, event->u.quote.ask_amount, event->amount_exponent);
    } else {
        out = PUT(out, ",\"ask\":null,\"askVolume\":null");
    }
    return put_times(out, event, record);
}

/* The levels of one side in the order of the group, without brackets. */
static char *put_levels(char *out, const tw_record *record, uint8_t side)
{
    const char *start = out;
    for (uint32_t index = 0; index < record->event_count; index++) {
        const tw_event *event = &record->events[index];
        if ((event->flags & TW_FLAG_ASK) != side) {
            continue;
        }
        *out++ = '[';
        out = twi_decimal_put(out, event->u.level.price, event->price_exponent);
        *out++ = ',';
        out = twi_decimal_put(out, event->u.level.amount, event->amount_exponent);
        out = PUT(out, "],");
    }
    return out > start ? out - 1 : out; /* without the last comma */
}

static char *put_book(char *out, const tw_instrument *instrument, const tw_record *record)
{
    const tw_event *event = record->events;
    bool has_levels = event->kind == TW_EVENT_LEVEL;
    out = PUT(out, "{\"type\":\"book\"");
    out = put_place(out, instrument, record);
    if ((event->flags & TW_FLAG_SNAPSHOT) != 0) {
        out = PUT(out, ",\"snapshot\":true");
    }
    out = PUT(out, ",\"bids\":[");
    out = has_levels ? put_levels(out, record, 0) : out;
    out = PUT(out, "],\"asks\":[");
    out = has_levels ? put_levels(out, record, TW_FLAG_ASK) : out;
    *out++ = ']';
    return put_times(out, event, record);
}

static char *put_candle(char *out, const tw_instrument *instrument, const tw_record *record)
{
    const tw_event *event = record->events;
    const tw_event *tail = event + 1;
    out = PUT(out, "{\"type\":\"candle\"");
    out = put_place(out, instrument, record);
    out = PUT(out, ",\"interval\":\"");
    out += twi_interval_format(tail->u.candle_tail.interval_ns, out);
    out = PUT(out, "\",\"open\":");
    out = twi_decimal_put(out, event->u.candle.open, event->price_exponent);
    out = PUT(out, ",\"high\":");
    out = twi_decimal_put(out, event->u.candle.high, event->price_exponent);
    out = PUT(out, ",\"low\":");
    out = twi_decimal_put(out, event->u.candle.low, event->price_exponent);
    out = PUT(out, ",\"close\":");
    out = twi_decimal_put(out, event->u.candle.close, event->price_exponent);
    out = PUT(out, ",\"volume\":");
    out = twi_decimal_put(out, tail->u.candle_tail.volume, tail->amount_exponent);
    out = (event->flags & TW_FLAG_CLOSED) != 0 ? PUT(out, ",\"closed\":true") : PUT(out, ",\"closed\":false");
    return put_times(out, event, record);
}

static char *put_name(char *out, const char *name)
{
    size_t len = strlen(name);
    memcpy(out, name, len);
    return out + len;
}

static char *put_status(char *out, const tw_instrument *instrument, const tw_record *record)
{
    const tw_event *event = record->events;
    twi_json_reason reason = {event->u.status.reason, event->u.status.from, event->u.status.to};
    out = PUT(out, "{\"type\":\"status\"");
    out = put_place(out, instrument, record);
    out = PUT(out, ",\"state\":\"");
    out = put_name(out, tw_book_state_name(event->u.status.state));
    out = PUT(out, "\",\"reason\":\"");
    out = twi_json_reason_put(out, reason);
    *out++ = '"';
    return put_times(out, event, record);
}

static char *put_loss(char *out, const tw_instrument *instrument, const tw_record *record)
{
    enum { NS_PER_S = 1000000000 };
    const tw_event *event = record->events;
    out = PUT(out, "{\"type\":\"loss\",\"exchange\":\"");
    out = put_names(out, instrument);
    out = PUT(out, "\",\"channel\":\"");
    out = put_name(out, tw_channel_name(event->u.loss.channel));
    if (event->u.loss.channel == TW_CHANNEL_CANDLE) {
        *out++ = '.';
        out += twi_interval_format((int64_t)event->u.loss.interval_s * NS_PER_S, out);
    }
    out = PUT(out, "\",\"from\":");
    out = twi_digits_put(out, event->u.loss.from);
    out = PUT(out, ",\"to\":");
    out = twi_digits_put(out, event->u.loss.to);
    out = PUT(out, ",\"count\":");
    out = twi_digits_put(out, event->u.loss.count);
    out = PUT(out, ",\"reason\":\"");
    out = put_name(out, tw_reason_name(event->u.loss.reason));
    return PUT(out, "\"}");
}

size_t twi_json_encode(const tw_symbols *symbols, const tw_record *record, uint8_t *out, size_t out_cap)
{
    TWI_ASSERT(record->event_count > 0);
    if (out_cap < twi_json_bound(record->event_count)) {
        return 0;
    }
    const tw_instrument *instrument = tw_symbols_get(symbols, record->events[0].instrument);
    TWI_ASSERT(instrument != NULL);
    char *start = (char *)out;
    char *end = start;
    switch (record->events[0].kind) {
    case TW_EVENT_TRADE:
        end = put_trade(start, instrument, record);
        break;
    case TW_EVENT_QUOTE:
        end = put_quote(start, instrument, record);
        break;
    case TW_EVENT_LEVEL:
    case TW_EVENT_BOOK_CLEAR:
        end = put_book(start, instrument, record);
        break;
    case TW_EVENT_CANDLE:
        TWI_ASSERT(record->event_count == 2 && record->events[1].kind == TW_EVENT_CANDLE_TAIL);
        end = put_candle(start, instrument, record);
        break;
    case TW_EVENT_STATUS:
        end = put_status(start, instrument, record);
        break;
    case TW_EVENT_LOSS:
        end = put_loss(start, instrument, record);
        break;
    default:
        TWI_ASSERT(!"a record of a kind that goes to subscribers");
    }
    return (size_t)(end - start);
}

const tw_codec_ops tw_codec_json = {
    .abi = TW_CODEC_ABI,
    .name = "json",
    .ws_opcode = 1,
    .bound = twi_json_bound,
    .encode = twi_json_encode,
    .decode = twi_json_decode,
};
