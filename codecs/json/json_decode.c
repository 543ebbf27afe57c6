/* json_decode.c - JSON text to records: one pass with the pull scanner, members in any order, no allocation.
 *
 * Method:   each member is looked up by length and name in a table that says where in `fields` its value goes; names
 *           and words stay slices until the whole message is known. Levels go straight into the caller's events and
 *           get what they share (instrument, times, group flags) afterwards.
 * Refuses:  members that come twice, records without what their kind needs, decimals that do not fit. */
#include <stdbool.h>
#include <string.h>

#include "codecs/json/json_codec.h"
#include "codecs/json/json_reason.h"
#include "engine/base/interval.h"
#include "engine/base/trade_id.h"
#include "engine/proto/json_scan.h"

enum {
    NS_PER_MS = 1000000,
    NS_PER_S = 1000000000,
    EXCHANGE_CAP = TW_EXCHANGE_MAX + 1,
    SYMBOL_CAP = TW_SYMBOL_MAX + 1,
    PRICES_MAX = 4
};

/* ---- members ---- */

typedef enum member {
    MEMBER_UNKNOWN,
    MEMBER_ID,
    MEMBER_OP,
    MEMBER_TO,
    MEMBER_SEQ,
    MEMBER_BID,
    MEMBER_ASK,
    MEMBER_LOW,
    MEMBER_TYPE,
    MEMBER_SIDE,
    MEMBER_BIDS,
    MEMBER_ASKS,
    MEMBER_FROM,
    MEMBER_OPEN,
    MEMBER_HIGH,
    MEMBER_PRICE,
    MEMBER_CLOSE,
    MEMBER_STATE,
    MEMBER_COUNT,
    MEMBER_SYMBOL,
    MEMBER_AMOUNT,
    MEMBER_FOLDED,
    MEMBER_VOLUME,
    MEMBER_CLOSED,
    MEMBER_REASON,
    MEMBER_RECV_NS,
    MEMBER_PREV_SEQ,
    MEMBER_CHANNEL,
    MEMBER_HISTORY,
    MEMBER_EXCHANGE,
    MEMBER_SNAPSHOT,
    MEMBER_INTERVAL,
    MEMBER_TIMESTAMP,
    MEMBER_BID_VOLUME,
    MEMBER_ASK_VOLUME,
    MEMBER_PUBLISH_NS,
    MEMBER_END
} member;

#define BIT(member) (UINT64_C(1) << (member))
_Static_assert(MEMBER_END <= 64, "one bit per member");

/* What a message said. A member that is absent or null has no bit in `seen` and its zero value here. */
typedef struct fields {
    uint64_t seen;
    twi_json_slice type, exchange, symbol, id, side, state, reason, channel, interval;
    uint64_t seq, prev_seq, folded, from, to, count;
    int64_t timestamp_ms, recv_ns, publish_ns;
    tw_decimal price, amount, bid, bid_volume, ask, ask_volume, open, high, low, close, volume;
    bool closed, history, snapshot;
    tw_event *events; /* levels so far, and the caller's capacity for them */
    uint32_t level_count, event_cap;
    bool too_many;
} fields;

typedef enum value_kind {
    VALUE_SCALAR, /* a word or a number */
    VALUE_WORD,
    VALUE_UINT,
    VALUE_INT,
    VALUE_DECIMAL,
    VALUE_BOOL,
    VALUE_BIDS,
    VALUE_ASKS
} value_kind;

typedef struct member_info {
    char name[10];
    uint8_t len;
    uint8_t kind; /* value_kind */
    uint16_t offset;
} member_info;

#define MEMBER(text, value_kind, field)                                                                                \
    {                                                                                                                  \
        text, sizeof(text) - 1, value_kind, offsetof(fields, field)                                                    \
    }

static const member_info members[MEMBER_END] = {
    [MEMBER_ID] = MEMBER("id", VALUE_SCALAR, id),
    [MEMBER_OP] = MEMBER("op", VALUE_WORD, type),
    [MEMBER_TO] = MEMBER("to", VALUE_UINT, to),
    [MEMBER_SEQ] = MEMBER("seq", VALUE_UINT, seq),
    [MEMBER_BID] = MEMBER("bid", VALUE_DECIMAL, bid),
    [MEMBER_ASK] = MEMBER("ask", VALUE_DECIMAL, ask),
    [MEMBER_LOW] = MEMBER("low", VALUE_DECIMAL, low),
    [MEMBER_TYPE] = MEMBER("type", VALUE_WORD, type),
    [MEMBER_SIDE] = MEMBER("side", VALUE_WORD, side),
    [MEMBER_BIDS] = MEMBER("bids", VALUE_BIDS, level_count),
    [MEMBER_ASKS] = MEMBER("asks", VALUE_ASKS, level_count),
    [MEMBER_FROM] = MEMBER("from", VALUE_UINT, from),
    [MEMBER_OPEN] = MEMBER("open", VALUE_DECIMAL, open),
    [MEMBER_HIGH] = MEMBER("high", VALUE_DECIMAL, high),
    [MEMBER_PRICE] = MEMBER("price", VALUE_DECIMAL, price),
    [MEMBER_CLOSE] = MEMBER("close", VALUE_DECIMAL, close),
    [MEMBER_STATE] = MEMBER("state", VALUE_WORD, state),
    [MEMBER_COUNT] = MEMBER("count", VALUE_UINT, count),
    [MEMBER_SYMBOL] = MEMBER("symbol", VALUE_WORD, symbol),
    [MEMBER_AMOUNT] = MEMBER("amount", VALUE_DECIMAL, amount),
    [MEMBER_FOLDED] = MEMBER("folded", VALUE_UINT, folded),
    [MEMBER_VOLUME] = MEMBER("volume", VALUE_DECIMAL, volume),
    [MEMBER_CLOSED] = MEMBER("closed", VALUE_BOOL, closed),
    [MEMBER_REASON] = MEMBER("reason", VALUE_WORD, reason),
    [MEMBER_RECV_NS] = MEMBER("recv_ns", VALUE_INT, recv_ns),
    [MEMBER_PREV_SEQ] = MEMBER("prevSeq", VALUE_UINT, prev_seq),
    [MEMBER_CHANNEL] = MEMBER("channel", VALUE_WORD, channel),
    [MEMBER_HISTORY] = MEMBER("history", VALUE_BOOL, history),
    [MEMBER_EXCHANGE] = MEMBER("exchange", VALUE_WORD, exchange),
    [MEMBER_SNAPSHOT] = MEMBER("snapshot", VALUE_BOOL, snapshot),
    [MEMBER_INTERVAL] = MEMBER("interval", VALUE_WORD, interval),
    [MEMBER_TIMESTAMP] = MEMBER("timestamp", VALUE_INT, timestamp_ms),
    [MEMBER_BID_VOLUME] = MEMBER("bidVolume", VALUE_DECIMAL, bid_volume),
    [MEMBER_ASK_VOLUME] = MEMBER("askVolume", VALUE_DECIMAL, ask_volume),
    [MEMBER_PUBLISH_NS] = MEMBER("publish_ns", VALUE_INT, publish_ns),
};

enum { NAME_MAX_LEN = 10 };

/* The first member with a name of that length; the table is sorted by it. */
static const uint8_t first_of_len[NAME_MAX_LEN + 2] = {
    [2] = MEMBER_ID,      [3] = MEMBER_SEQ,      [4] = MEMBER_TYPE,      [5] = MEMBER_PRICE,       [6] = MEMBER_SYMBOL,
    [7] = MEMBER_RECV_NS, [8] = MEMBER_EXCHANGE, [9] = MEMBER_TIMESTAMP, [10] = MEMBER_PUBLISH_NS, [11] = MEMBER_END,
};

static member find_member(twi_json_slice key)
{
    if (key.len < 2 || key.len > NAME_MAX_LEN || key.escaped) {
        return MEMBER_UNKNOWN;
    }
    for (unsigned candidate = first_of_len[key.len]; candidate < first_of_len[key.len + 1]; candidate++) {
        if (memcmp(members[candidate].name, key.text, key.len) == 0) {
            return (member)candidate;
        }
    }
    return MEMBER_UNKNOWN;
}

/* ---- values ---- */

/* A plain unsigned number of up to 19 digits, followed by a comma or brace: nearly every integer there is. False: it is
 * something else, nothing was consumed. */
static TWI_ALWAYS_INLINE bool read_uint_fast(twi_json *json, uint64_t *out)
{
    enum { READ_MAX = 3 * 8, LAST_WORD_DIGITS = 3 };
    if (json->end - json->at < READ_MAX) {
        return false;
    }
    const uint8_t *at = json->at;
    uint64_t value = 0;
    unsigned count = 8;
    unsigned total = 0;
    for (; count == 8 && total <= 16; total += count) {
        uint64_t word = twi_json_load64(at + total) ^ TWI_JSON_REPEAT_BYTE('0');
        count = twi_json_digit_count(word);
        if (total == 16 && count > LAST_WORD_DIGITS) {
            return false;
        }
        if (count > 0) {
            value = value * twi_pow10[count] + twi_json_digits(word, count);
        }
    }
    bool leading_zero = *at == '0' && total > 1;
    if (total == 0 || leading_zero || (at[total] != ',' && at[total] != '}')) {
        return false;
    }
    json->at = at + total;
    *out = value;
    return true;
}

static bool read_uint(twi_json *json, uint64_t *out)
{
    return TWI_LIKELY(read_uint_fast(json, out)) || twi_json_uint64(json, out);
}

static bool read_int(twi_json *json, int64_t *out)
{
    uint64_t value;
    if (TWI_LIKELY(read_uint_fast(json, &value)) && TWI_LIKELY(value <= INT64_MAX)) {
        *out = (int64_t)value;
        return true;
    }
    return twi_json_int64(json, out);
}

static bool read_level(twi_json *json, tw_event *event, uint8_t flags)
{
    tw_decimal price, amount;
    if (!twi_json_enter_array(json) || !twi_json_next_item(json) || !twi_json_decimal(json, &price) ||
        !twi_json_next_item(json) || !twi_json_decimal(json, &amount)) {
        return twi_json_fail(json, TW_MALFORMED);
    }
    twi_json_drain_array(json);
    *event = (tw_event){.kind = TW_EVENT_LEVEL,
                        .flags = flags,
                        .price_exponent = price.exponent,
                        .amount_exponent = amount.exponent,
                        .u.level = {.price = price.mantissa, .amount = amount.mantissa}};
    return true;
}

static bool read_levels(twi_json *json, fields *message, uint8_t flags)
{
    if (!twi_json_enter_array(json)) {
        return false;
    }
    while (twi_json_next_item(json)) {
        if (message->level_count == message->event_cap) {
            message->too_many = true;
            return twi_json_fail(json, TW_TOO_BIG);
        }
        if (!read_level(json, &message->events[message->level_count], flags)) {
            return false;
        }
        message->level_count++;
    }
    return json->status == TW_OK;
}

static bool read_value(twi_json *json, fields *message, const member_info *info)
{
    void *field = (char *)message + info->offset;
    switch ((value_kind)info->kind) {
    case VALUE_SCALAR:
        return twi_json_scalar(json, field);
    case VALUE_WORD:
        return twi_json_string(json, field);
    case VALUE_UINT:
        return read_uint(json, field);
    case VALUE_INT:
        return read_int(json, field);
    case VALUE_DECIMAL:
        return twi_json_decimal(json, field);
    case VALUE_BOOL:
        return twi_json_bool(json, field);
    case VALUE_BIDS:
        return read_levels(json, message, 0);
    case VALUE_ASKS:
        return read_levels(json, message, TW_FLAG_ASK);
    }
    return false;
}

static bool read_member(twi_json *json, fields *message, twi_json_slice key)
{
    member found = find_member(key);
    if (TWI_UNLIKELY(found == MEMBER_UNKNOWN || found == MEMBER_OP)) {
        message->seen |= BIT(found);
        return twi_json_skip(json);
    }
    if (TWI_UNLIKELY(twi_json_byte(json) == 'n')) {
        return twi_json_null(json);
    }
    if (TWI_UNLIKELY((message->seen & BIT(found)) != 0)) {
        return twi_json_fail(json, TW_MALFORMED);
    }
    message->seen |= BIT(found);
    return read_value(json, message, &members[found]);
}

static tw_status read_message(const uint8_t *msg, size_t msg_len, fields *message)
{
    twi_json json;
    twi_json_slice key;
    twi_json_init(&json, msg, msg_len);
    if (twi_json_enter_object(&json)) {
        while (twi_json_next_member(&json, &key)) {
            read_member(&json, message, key);
        }
    }
    tw_status status = twi_json_end(&json);
    if (status == TW_OK || message->too_many) {
        return status;
    }
    return TW_MALFORMED;
}

/* ---- fields to events ---- */

static bool has(const fields *message, uint64_t bits)
{
    return (message->seen & bits) == bits;
}

static bool rescale_to_finest(tw_decimal *const *values, size_t count, int8_t *exponent)
{
    *exponent = TW_DECIMAL_EXPONENT_MAX;
    for (size_t i = 0; i < count; i++) {
        *exponent = values[i]->exponent < *exponent ? values[i]->exponent : *exponent;
    }
    int64_t mantissas[PRICES_MAX];
    for (size_t i = 0; i < count; i++) {
        if (tw_decimal_rescale(*values[i], *exponent, &mantissas[i]) != TW_OK) {
            return false;
        }
    }
    for (size_t i = 0; i < count; i++) {
        values[i]->mantissa = mantissas[i];
    }
    return true;
}

static void strip_zeros(tw_decimal *value)
{
    while (value->exponent < TW_DECIMAL_EXPONENT_MAX && value->mantissa % 10 == 0) {
        value->mantissa /= 10;
        value->exponent++;
    }
}

/* Brings prices (or amounts) of one event to one exponent: the finest that is written; if that is too fine for the
 * greatest of them (1000...000 and 0.5e18), the coarsest that loses nothing. */
static bool align(tw_decimal *const *values, size_t count, int8_t *exponent)
{
    if (TWI_LIKELY(rescale_to_finest(values, count, exponent))) {
        return true;
    }
    for (size_t i = 0; i < count; i++) {
        strip_zeros(values[i]);
    }
    return rescale_to_finest(values, count, exponent);
}

/* The name of a slice, unescaped into `buffer` if it has to be. */
static tw_status plain_text(twi_json_slice slice, char *buffer, size_t cap, const char **text, size_t *len)
{
    *text = slice.text;
    *len = slice.len;
    if (TWI_LIKELY(!slice.escaped)) {
        return TW_OK;
    }
    *text = buffer;
    return twi_json_unescape(slice, buffer, cap, len) == TW_OK ? TW_OK : TW_MALFORMED;
}

static tw_status intern_names(tw_symbols *symbols, const fields *message, uint32_t *instrument)
{
    char exchange_buffer[EXCHANGE_CAP], symbol_buffer[SYMBOL_CAP];
    const char *exchange, *symbol;
    size_t exchange_len, symbol_len;
    if (!has(message, BIT(MEMBER_EXCHANGE) | BIT(MEMBER_SYMBOL)) ||
        plain_text(message->exchange, exchange_buffer, EXCHANGE_CAP, &exchange, &exchange_len) != TW_OK ||
        plain_text(message->symbol, symbol_buffer, SYMBOL_CAP, &symbol, &symbol_len) != TW_OK) {
        return TW_MALFORMED;
    }
    tw_status status = tw_symbols_intern(symbols, exchange, exchange_len, symbol, symbol_len, NULL, 0, instrument);
    return status == TW_OK || status == TW_FULL ? status : TW_MALFORMED;
}

/* What all kinds share; the flags are those of a group of one. */
static bool start_event(const fields *message, tw_event *event, tw_event_kind kind, uint8_t flags)
{
    if (message->event_cap == 0) {
        return false;
    }
    *event = (tw_event){.kind = (uint8_t)kind,
                        .flags = (uint8_t)(flags | TW_FLAG_FIRST | TW_FLAG_LAST),
                        .venue_ns = message->timestamp_ms * NS_PER_MS,
                        .recv_ns = message->recv_ns};
    return true;
}

static tw_status build_trade(const fields *message, tw_event *event, uint32_t *event_count)
{
    bool sells = TWI_JSON_IS(message->side, "sell");
    if (!has(message, BIT(MEMBER_PRICE) | BIT(MEMBER_AMOUNT)) || (!sells && !TWI_JSON_IS(message->side, "buy"))) {
        return TW_MALFORMED;
    }
    char id_buffer[TWI_TRADE_ID_BYTES_MAX];
    const char *id_text;
    size_t id_len;
    tw_id_kind id_kind;
    tw_trade_id id;
    if (plain_text(message->id, id_buffer, sizeof(id_buffer), &id_text, &id_len) != TW_OK ||
        twi_trade_id_parse(id_text, id_len, &id_kind, &id) != TW_OK) {
        return TW_MALFORMED;
    }
    unsigned flags =
        (sells ? TW_FLAG_SELL : 0) | (message->history ? TW_FLAG_HISTORY : 0) | id_kind << TW_ID_KIND_SHIFT;
    if (!start_event(message, event, TW_EVENT_TRADE, (uint8_t)flags)) {
        return TW_TOO_BIG;
    }
    event->price_exponent = message->price.exponent;
    event->amount_exponent = message->amount.exponent;
    event->u.trade.price = message->price.mantissa;
    event->u.trade.amount = message->amount.mantissa;
    event->u.trade.id = id;
    *event_count = 1;
    return TW_OK;
}

/* Both members of a side, or neither; an empty side takes the exponents of the other one. */
static bool complete_side(const fields *message, uint64_t side, tw_decimal *price, tw_decimal *amount,
                          const tw_decimal *other_price, const tw_decimal *other_amount)
{
    if (has(message, side)) {
        return true;
    }
    *price = (tw_decimal){0, other_price->exponent};
    *amount = (tw_decimal){0, other_amount->exponent};
    return (message->seen & side) == 0;
}

static tw_status build_quote(fields *message, tw_event *event, uint32_t *event_count)
{
    uint64_t bid_side = BIT(MEMBER_BID) | BIT(MEMBER_BID_VOLUME);
    uint64_t ask_side = BIT(MEMBER_ASK) | BIT(MEMBER_ASK_VOLUME);
    if (!complete_side(message, bid_side, &message->bid, &message->bid_volume, &message->ask, &message->ask_volume) ||
        !complete_side(message, ask_side, &message->ask, &message->ask_volume, &message->bid, &message->bid_volume)) {
        return TW_MALFORMED;
    }
    if (!start_event(message, event, TW_EVENT_QUOTE, 0)) {
        return TW_TOO_BIG;
    }
    tw_decimal *const prices[] = {&message->bid, &message->ask};
    tw_decimal *const amounts[] = {&message->bid_volume, &message->ask_volume};
    if (!align(prices, 2, &event->price_exponent) || !align(amounts, 2, &event->amount_exponent)) {
        return TW_MALFORMED;
    }
    event->u.quote.bid = message->bid.mantissa;
    event->u.quote.bid_amount = message->bid_volume.mantissa;
    event->u.quote.ask = message->ask.mantissa;
    event->u.quote.ask_amount = message->ask_volume.mantissa;
    *event_count = 1;
    return TW_OK;
}

static tw_status build_book(const fields *message, tw_event *events, uint32_t *event_count)
{
    uint8_t snapshot = message->snapshot ? TW_FLAG_SNAPSHOT : 0;
    if (!has(message, BIT(MEMBER_BIDS) | BIT(MEMBER_ASKS))) {
        return TW_MALFORMED;
    }
    if (message->level_count == 0) {
        *event_count = 1;
        if (snapshot == 0) {
            return TW_MALFORMED;
        }
        return start_event(message, events, TW_EVENT_BOOK_CLEAR, snapshot) ? TW_OK : TW_TOO_BIG;
    }
    for (uint32_t index = 0; index < message->level_count; index++) {
        events[index].flags |= snapshot;
        events[index].venue_ns = message->timestamp_ms * NS_PER_MS;
        events[index].recv_ns = message->recv_ns;
    }
    events[0].flags |= TW_FLAG_FIRST;
    events[message->level_count - 1].flags |= TW_FLAG_LAST;
    *event_count = message->level_count;
    return TW_OK;
}

static tw_status build_candle(fields *message, tw_event *events, uint32_t *event_count)
{
    int64_t interval_ns;
    if (!has(message, BIT(MEMBER_OPEN) | BIT(MEMBER_HIGH) | BIT(MEMBER_LOW) | BIT(MEMBER_CLOSE) | BIT(MEMBER_VOLUME)) ||
        twi_interval_parse(message->interval.text, message->interval.len, &interval_ns) != TW_OK) {
        return TW_MALFORMED;
    }
    if (message->event_cap < 2) {
        return TW_TOO_BIG;
    }
    tw_decimal *const prices[] = {&message->open, &message->high, &message->low, &message->close};
    int8_t price_exponent;
    if (!align(prices, 4, &price_exponent)) {
        return TW_MALFORMED;
    }
    uint8_t closed = message->closed ? TW_FLAG_CLOSED : 0;
    for (int i = 0; i < 2; i++) {
        start_event(message, &events[i], i == 0 ? TW_EVENT_CANDLE : TW_EVENT_CANDLE_TAIL, closed);
        events[i].price_exponent = price_exponent;
        events[i].amount_exponent = message->volume.exponent;
    }
    events[0].u.candle.open = message->open.mantissa;
    events[0].u.candle.high = message->high.mantissa;
    events[0].u.candle.low = message->low.mantissa;
    events[0].u.candle.close = message->close.mantissa;
    events[1].u.candle_tail.volume = message->volume.mantissa;
    events[1].u.candle_tail.interval_ns = interval_ns;
    *event_count = 2;
    return TW_OK;
}

static bool is_name(twi_json_slice slice, const char *name)
{
    return twi_json_equal(slice, name, strlen(name));
}

static tw_status build_status(const fields *message, tw_event *event, uint32_t *event_count)
{
    uint16_t state = TW_STATE_SYNCING;
    while (state <= TW_STATE_CROSSED && !is_name(message->state, tw_book_state_name(state))) {
        state++;
    }
    if (state > TW_STATE_CROSSED) {
        return TW_MALFORMED;
    }
    if (!start_event(message, event, TW_EVENT_STATUS, 0)) {
        return TW_TOO_BIG;
    }
    twi_json_reason reason = twi_json_reason_read(message->reason.text, message->reason.len);
    event->u.status.state = state;
    event->u.status.reason = reason.reason;
    event->u.status.from = reason.from;
    event->u.status.to = reason.to;
    *event_count = 1;
    return TW_OK;
}

/* "trade", "candle.1m": the channel and its interval in seconds. */
static bool read_channel(twi_json_slice slice, uint16_t *channel, uint32_t *interval_s)
{
    static const char candle[] = "candle.";
    enum { CANDLE_LEN = sizeof(candle) - 1 };
    *interval_s = 0;
    for (*channel = TW_CHANNEL_TRADE; *channel < TW_CHANNEL_CANDLE; ++*channel) {
        if (is_name(slice, tw_channel_name(*channel))) {
            return true;
        }
    }
    int64_t interval_ns;
    if (slice.len < CANDLE_LEN || memcmp(slice.text, candle, CANDLE_LEN) != 0 ||
        twi_interval_parse(slice.text + CANDLE_LEN, slice.len - CANDLE_LEN, &interval_ns) != TW_OK) {
        return false;
    }
    if (interval_ns % NS_PER_S != 0 || interval_ns / NS_PER_S > UINT32_MAX) {
        return false;
    }
    *interval_s = (uint32_t)(interval_ns / NS_PER_S);
    return true;
}

/* A loss belongs to one subscriber: it has no place in the topic's sequence and no times. */
static void clear_head(fields *message)
{
    message->seq = message->prev_seq = message->folded = 0;
    message->timestamp_ms = message->recv_ns = message->publish_ns = 0;
}

static tw_status build_loss(fields *message, tw_event *event, uint32_t *event_count)
{
    uint16_t channel;
    uint32_t interval_s;
    if (!has(message, BIT(MEMBER_FROM) | BIT(MEMBER_TO) | BIT(MEMBER_COUNT) | BIT(MEMBER_CHANNEL)) ||
        !read_channel(message->channel, &channel, &interval_s)) {
        return TW_MALFORMED;
    }
    clear_head(message);
    if (!start_event(message, event, TW_EVENT_LOSS, 0)) {
        return TW_TOO_BIG;
    }
    event->u.loss.from = message->from;
    event->u.loss.to = message->to;
    event->u.loss.count = message->count;
    event->u.loss.channel = channel;
    event->u.loss.reason = twi_json_reason_read(message->reason.text, message->reason.len).reason;
    event->u.loss.interval_s = interval_s;
    *event_count = 1;
    return TW_OK;
}

static tw_status build_events(fields *message, tw_event *events, uint32_t *event_count)
{
    twi_json_slice type = message->type;
    bool is_loss = TWI_JSON_IS(type, "loss");
    if (!is_loss && !has(message, BIT(MEMBER_SEQ))) {
        return TW_MALFORMED;
    }
    if (TWI_JSON_IS(type, "trade")) {
        return build_trade(message, events, event_count);
    }
    if (TWI_JSON_IS(type, "quote")) {
        return build_quote(message, events, event_count);
    }
    if (TWI_JSON_IS(type, "book")) {
        return build_book(message, events, event_count);
    }
    if (TWI_JSON_IS(type, "candle")) {
        return build_candle(message, events, event_count);
    }
    if (TWI_JSON_IS(type, "status")) {
        return build_status(message, events, event_count);
    }
    return is_loss ? build_loss(message, events, event_count) : TW_NOT_SUPPORTED;
}

static bool is_time_in_range(int64_t timestamp_ms)
{
    return timestamp_ms <= INT64_MAX / NS_PER_MS && timestamp_ms >= INT64_MIN / NS_PER_MS;
}

tw_status twi_json_decode(tw_symbols *symbols, const uint8_t *msg, size_t msg_len, tw_event *events,
                          uint32_t *event_count, tw_record *record)
{
    const twi_json_slice none = {.text = ""};
    fields message = {.id = none,
                      .side = none,
                      .state = none,
                      .reason = none,
                      .channel = none,
                      .interval = none,
                      .events = events,
                      .event_cap = *event_count};
    tw_status status = read_message(msg, msg_len, &message);
    if (status != TW_OK) {
        return status;
    }
    if (!has(&message, BIT(MEMBER_TYPE))) {
        return has(&message, BIT(MEMBER_OP)) ? TW_NOT_SUPPORTED : TW_MALFORMED;
    }
    if (!is_time_in_range(message.timestamp_ms) || message.folded > UINT32_MAX) {
        return TW_MALFORMED;
    }
    uint32_t used = 0;
    status = build_events(&message, events, &used);
    if (status != TW_OK) {
        return status;
    }
    uint32_t instrument;
    status = intern_names(symbols, &message, &instrument);
    if (status != TW_OK) {
        return status;
    }
    for (uint32_t index = 0; index < used; index++) {
        events[index].instrument = instrument;
    }
    *event_count = used;
    *record = (tw_record){.events = events,
                          .event_count = used,
                          .folded = (uint32_t)message.folded,
                          .seq = message.seq,
                          .prev_seq = message.prev_seq,
                          .publish_ns = message.publish_ns};
    return TW_OK;
}
