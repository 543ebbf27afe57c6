/* json_decode.c - JSON text to records: one pass with the pull scanner, members in any order, no allocation.
 *
 * Method:   each member is looked up by name in a table that says where in twi_json_fields its value goes; names and
 *           words stay slices until the whole message is known. Levels go straight into the caller's events and get
 *           what they share (instrument, times, group flags) afterwards.
 * Refuses:  members that come twice. */
#include <string.h>

#include "codecs/json/json_codec.h"
#include "codecs/json/json_fields.h"

enum { EXCHANGE_CAP = TW_EXCHANGE_MAX + 1, SYMBOL_CAP = TW_SYMBOL_MAX + 1 };

/* ---- members ---- */

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

enum { NAME_BYTES = 16, NAME_LEN_MAX = 10, NAME_HASH_BITS = 6 };

typedef struct member_info {
    char name[NAME_BYTES]; /* padded with zeros, so that names are compared as two words */
    uint8_t kind;          /* value_kind */
    uint16_t offset;
} member_info;

#define MEMBER(text, value_kind, field)                                                                                \
    {                                                                                                                  \
        text, value_kind, offsetof(twi_json_fields, field)                                                             \
    }

static const member_info members[TWI_MEMBER_END] = {
    [TWI_MEMBER_ID] = MEMBER("id", VALUE_SCALAR, id),
    [TWI_MEMBER_OP] = MEMBER("op", VALUE_WORD, type),
    [TWI_MEMBER_TO] = MEMBER("to", VALUE_UINT, to),
    [TWI_MEMBER_SEQ] = MEMBER("seq", VALUE_UINT, seq),
    [TWI_MEMBER_BID] = MEMBER("bid", VALUE_DECIMAL, bid),
    [TWI_MEMBER_ASK] = MEMBER("ask", VALUE_DECIMAL, ask),
    [TWI_MEMBER_LOW] = MEMBER("low", VALUE_DECIMAL, low),
    [TWI_MEMBER_TYPE] = MEMBER("type", VALUE_WORD, type),
    [TWI_MEMBER_SIDE] = MEMBER("side", VALUE_WORD, side),
    [TWI_MEMBER_BIDS] = MEMBER("bids", VALUE_BIDS, level_count),
    [TWI_MEMBER_ASKS] = MEMBER("asks", VALUE_ASKS, level_count),
    [TWI_MEMBER_FROM] = MEMBER("from", VALUE_UINT, from),
    [TWI_MEMBER_OPEN] = MEMBER("open", VALUE_DECIMAL, open),
    [TWI_MEMBER_HIGH] = MEMBER("high", VALUE_DECIMAL, high),
    [TWI_MEMBER_PRICE] = MEMBER("price", VALUE_DECIMAL, price),
    [TWI_MEMBER_CLOSE] = MEMBER("close", VALUE_DECIMAL, close),
    [TWI_MEMBER_STATE] = MEMBER("state", VALUE_WORD, state),
    [TWI_MEMBER_COUNT] = MEMBER("count", VALUE_UINT, count),
    [TWI_MEMBER_SYMBOL] = MEMBER("symbol", VALUE_WORD, symbol),
    [TWI_MEMBER_AMOUNT] = MEMBER("amount", VALUE_DECIMAL, amount),
    [TWI_MEMBER_FOLDED] = MEMBER("folded", VALUE_UINT, folded),
    [TWI_MEMBER_VOLUME] = MEMBER("volume", VALUE_DECIMAL, volume),
    [TWI_MEMBER_CLOSED] = MEMBER("closed", VALUE_BOOL, closed),
    [TWI_MEMBER_REASON] = MEMBER("reason", VALUE_WORD, reason),
    [TWI_MEMBER_RECV_NS] = MEMBER("recv_ns", VALUE_INT, recv_ns),
    [TWI_MEMBER_PREV_SEQ] = MEMBER("prevSeq", VALUE_UINT, prev_seq),
    [TWI_MEMBER_CHANNEL] = MEMBER("channel", VALUE_WORD, channel),
    [TWI_MEMBER_HISTORY] = MEMBER("history", VALUE_BOOL, history),
    [TWI_MEMBER_EXCHANGE] = MEMBER("exchange", VALUE_WORD, exchange),
    [TWI_MEMBER_SNAPSHOT] = MEMBER("snapshot", VALUE_BOOL, snapshot),
    [TWI_MEMBER_INTERVAL] = MEMBER("interval", VALUE_WORD, interval),
    [TWI_MEMBER_TIMESTAMP] = MEMBER("timestamp", VALUE_INT, timestamp_ms),
    [TWI_MEMBER_BID_VOLUME] = MEMBER("bidVolume", VALUE_DECIMAL, bid_volume),
    [TWI_MEMBER_ASK_VOLUME] = MEMBER("askVolume", VALUE_DECIMAL, ask_volume),
    [TWI_MEMBER_PUBLISH_NS] = MEMBER("publish_ns", VALUE_INT, publish_ns),
};

/* A perfect hash over the first eight bytes of the names: the multiplier was searched for until no two of them met. A
 * name that is added needs a new one; two initializers of one slot do not compile. */
static const uint64_t name_multiplier = UINT64_C(0x062f5d96749985b7);

static const uint8_t member_slots[1 << NAME_HASH_BITS] = {
    [0] = TWI_MEMBER_REASON,      [2] = TWI_MEMBER_ID,          [4] = TWI_MEMBER_SNAPSHOT,
    [6] = TWI_MEMBER_EXCHANGE,    [7] = TWI_MEMBER_SIDE,        [11] = TWI_MEMBER_COUNT,
    [12] = TWI_MEMBER_FROM,       [13] = TWI_MEMBER_INTERVAL,   [14] = TWI_MEMBER_FOLDED,
    [16] = TWI_MEMBER_BID_VOLUME, [17] = TWI_MEMBER_HISTORY,    [18] = TWI_MEMBER_RECV_NS,
    [20] = TWI_MEMBER_ASKS,       [21] = TWI_MEMBER_TO,         [22] = TWI_MEMBER_BID,
    [23] = TWI_MEMBER_PRICE,      [25] = TWI_MEMBER_OP,         [29] = TWI_MEMBER_PREV_SEQ,
    [31] = TWI_MEMBER_TYPE,       [32] = TWI_MEMBER_CLOSED,     [33] = TWI_MEMBER_AMOUNT,
    [34] = TWI_MEMBER_CLOSE,      [40] = TWI_MEMBER_ASK_VOLUME, [41] = TWI_MEMBER_LOW,
    [43] = TWI_MEMBER_PUBLISH_NS, [45] = TWI_MEMBER_HIGH,       [47] = TWI_MEMBER_ASK,
    [49] = TWI_MEMBER_SEQ,        [52] = TWI_MEMBER_CHANNEL,    [54] = TWI_MEMBER_VOLUME,
    [56] = TWI_MEMBER_STATE,      [59] = TWI_MEMBER_SYMBOL,     [60] = TWI_MEMBER_BIDS,
    [61] = TWI_MEMBER_TIMESTAMP,  [62] = TWI_MEMBER_OPEN,
};

/* The first `count` (0..8) bytes of a word, the rest zero. */
static TWI_ALWAYS_INLINE uint64_t keep_bytes(uint64_t word, unsigned count)
{
    return count == 0 ? 0 : word << (64 - 8 * count) >> (64 - 8 * count);
}

static twi_json_member find_member(const twi_json *json, twi_json_slice key)
{
    uint8_t name[NAME_BYTES] = {0};
    const uint8_t *text = (const uint8_t *)key.text;
    if (TWI_UNLIKELY(key.len == 0 || key.len > NAME_LEN_MAX || key.escaped)) {
        return TWI_MEMBER_UNKNOWN;
    }
    if (TWI_UNLIKELY(json->end - text < NAME_BYTES)) {
        memcpy(name, text, key.len);
        text = name;
    }
    uint64_t first = keep_bytes(twi_json_load64(text), key.len < 8 ? key.len : 8);
    uint64_t second = keep_bytes(twi_json_load64(text + 8), key.len < 8 ? 0 : key.len - 8);
    unsigned slot = (unsigned)((first * name_multiplier) >> (64 - NAME_HASH_BITS));
    const uint8_t *expected = (const uint8_t *)members[member_slots[slot]].name;
    bool same = ((twi_json_load64(expected) ^ first) | (twi_json_load64(expected + 8) ^ second)) == 0;
    return same ? (twi_json_member)member_slots[slot] : TWI_MEMBER_UNKNOWN;
}

/* ---- values ---- */

static bool read_uint(twi_json *json, uint64_t *out)
{
    return TWI_LIKELY(twi_json_read_plain_uint(json, out)) || twi_json_uint64(json, out);
}

static bool read_int(twi_json *json, int64_t *out)
{
    uint64_t value;
    if (TWI_LIKELY(twi_json_read_plain_uint(json, &value)) && TWI_LIKELY(value <= INT64_MAX)) {
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
    twi_json_put_level(event, flags, price, amount);
    return true;
}

static bool read_levels(twi_json *json, twi_json_fields *message, uint8_t flags)
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

static bool read_value(twi_json *json, twi_json_fields *message, const member_info *info)
{
    void *field = (char *)message + info->offset;
    switch ((value_kind)info->kind) {
    case VALUE_SCALAR:
        return twi_json_byte(json) == '"' ? twi_json_string(json, field) : twi_json_scalar(json, field);
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

static bool read_member(twi_json *json, twi_json_fields *message, twi_json_slice key)
{
    twi_json_member found = find_member(json, key);
    if (TWI_UNLIKELY(found == TWI_MEMBER_UNKNOWN || found == TWI_MEMBER_OP)) {
        message->seen |= TWI_MEMBER_BIT(found);
        return twi_json_skip(json);
    }
    if (TWI_UNLIKELY(twi_json_byte(json) == 'n')) {
        return twi_json_null(json);
    }
    if (TWI_UNLIKELY((message->seen & TWI_MEMBER_BIT(found)) != 0)) {
        return twi_json_fail(json, TW_MALFORMED);
    }
    message->seen |= TWI_MEMBER_BIT(found);
    return read_value(json, message, &members[found]);
}

static tw_status read_message(const uint8_t *msg, size_t msg_len, twi_json_fields *message)
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

static tw_status intern_names(tw_symbols *symbols, const twi_json_fields *message, uint32_t *instrument)
{
    char exchange_buffer[EXCHANGE_CAP], symbol_buffer[SYMBOL_CAP];
    const char *exchange, *symbol;
    size_t exchange_len, symbol_len;
    if (!twi_json_has(message, TWI_MEMBER_BIT(TWI_MEMBER_EXCHANGE) | TWI_MEMBER_BIT(TWI_MEMBER_SYMBOL)) ||
        twi_json_plain_text(message->exchange, exchange_buffer, EXCHANGE_CAP, &exchange, &exchange_len) != TW_OK ||
        twi_json_plain_text(message->symbol, symbol_buffer, SYMBOL_CAP, &symbol, &symbol_len) != TW_OK) {
        return TW_MALFORMED;
    }
    tw_status status = tw_symbols_intern(symbols, exchange, exchange_len, symbol, symbol_len, NULL, 0, instrument);
    return status == TW_OK || status == TW_FULL ? status : TW_MALFORMED;
}

static bool is_time_in_range(int64_t timestamp_ms)
{
    return timestamp_ms <= INT64_MAX / TWI_JSON_NS_PER_MS && timestamp_ms >= INT64_MIN / TWI_JSON_NS_PER_MS;
}

tw_status twi_json_decode(tw_symbols *symbols, const uint8_t *msg, size_t msg_len, tw_event *events,
                          uint32_t *event_count, tw_record *record)
{
    tw_status status = TW_OK;
    twi_json_fields message;
    twi_json_start_fields(&message, events, *event_count);
    if (!twi_json_read_usual(msg, msg_len, &message)) {
        twi_json_start_fields(&message, events, *event_count);
        status = read_message(msg, msg_len, &message);
    }
    if (status != TW_OK) {
        return status;
    }
    if (!twi_json_has(&message, TWI_MEMBER_BIT(TWI_MEMBER_TYPE))) {
        return twi_json_has(&message, TWI_MEMBER_BIT(TWI_MEMBER_OP)) ? TW_NOT_SUPPORTED : TW_MALFORMED;
    }
    if (!is_time_in_range(message.timestamp_ms) || message.folded > UINT32_MAX) {
        return TW_MALFORMED;
    }
    uint32_t used = 0;
    status = twi_json_build_events(&message, events, &used);
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
