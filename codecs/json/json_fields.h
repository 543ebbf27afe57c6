/* json_fields.h - what one JSON message said, between reading its members and making events of them.
 *
 * Parts:    json_usual.c reads messages whose members come in our encoder's order, without looking at names twice;
 *           json_decode.c reads every other order; json_build.c makes events of what either found.
 * Internal to the JSON decoder. */
#ifndef TWI_JSON_FIELDS_H
#define TWI_JSON_FIELDS_H

#include <stdbool.h>

#include "engine/base/digits.h"
#include "engine/proto/json_scan.h"
#include "tickwire/codec.h"

enum { TWI_JSON_NS_PER_MS = 1000000 };

typedef enum twi_json_member {
    TWI_MEMBER_UNKNOWN,
    TWI_MEMBER_ID,
    TWI_MEMBER_OP,
    TWI_MEMBER_TO,
    TWI_MEMBER_SEQ,
    TWI_MEMBER_BID,
    TWI_MEMBER_ASK,
    TWI_MEMBER_LOW,
    TWI_MEMBER_TYPE,
    TWI_MEMBER_SIDE,
    TWI_MEMBER_BIDS,
    TWI_MEMBER_ASKS,
    TWI_MEMBER_FROM,
    TWI_MEMBER_OPEN,
    TWI_MEMBER_HIGH,
    TWI_MEMBER_PRICE,
    TWI_MEMBER_CLOSE,
    TWI_MEMBER_STATE,
    TWI_MEMBER_COUNT,
    TWI_MEMBER_SYMBOL,
    TWI_MEMBER_AMOUNT,
    TWI_MEMBER_FOLDED,
    TWI_MEMBER_VOLUME,
    TWI_MEMBER_CLOSED,
    TWI_MEMBER_REASON,
    TWI_MEMBER_RECV_NS,
    TWI_MEMBER_PREV_SEQ,
    TWI_MEMBER_CHANNEL,
    TWI_MEMBER_HISTORY,
    TWI_MEMBER_EXCHANGE,
    TWI_MEMBER_SNAPSHOT,
    TWI_MEMBER_INTERVAL,
    TWI_MEMBER_TIMESTAMP,
    TWI_MEMBER_BID_VOLUME,
    TWI_MEMBER_ASK_VOLUME,
    TWI_MEMBER_PUBLISH_NS,
    TWI_MEMBER_END
} twi_json_member;

#define TWI_MEMBER_BIT(index) (UINT64_C(1) << (index))
_Static_assert(TWI_MEMBER_END <= 64, "one bit per member");

/* What a message said. A member that is absent or null has no bit in `seen`; then its word is empty and its number 0. A
 * decimal, exchange or symbol is undefined then: they are many, and clearing all takes longer than reading some. */
typedef struct twi_json_fields {
    uint64_t seen;
    twi_json_slice type, exchange, symbol, id, side, state, reason, channel, interval;
    uint64_t seq, prev_seq, folded, from, to, count;
    int64_t timestamp_ms, recv_ns, publish_ns;
    tw_decimal price, amount, bid, bid_volume, ask, ask_volume, open, high, low, close, volume;
    bool closed, history, snapshot;
    tw_event *events; /* levels so far, and the caller's capacity for them */
    uint32_t level_count, event_cap;
    bool too_many;
} twi_json_fields;

static inline bool twi_json_has(const twi_json_fields *message, uint64_t bits)
{
    return (message->seen & bits) == bits;
}

static inline void twi_json_start_fields(twi_json_fields *message, tw_event *events, uint32_t event_cap)
{
    const twi_json_slice none = {.text = ""};
    message->seen = 0;
    message->type = message->id = message->side = message->state = none;
    message->reason = message->channel = message->interval = none;
    message->seq = message->prev_seq = message->folded = message->from = message->to = message->count = 0;
    message->timestamp_ms = message->recv_ns = message->publish_ns = 0;
    message->closed = message->history = message->snapshot = message->too_many = false;
    message->events = events;
    message->level_count = 0;
    message->event_cap = event_cap;
}

/* A plain unsigned number of up to 19 digits, followed by a comma or brace: nearly every integer there is. False: it is
 * something else, nothing was consumed. */
static TWI_ALWAYS_INLINE bool twi_json_read_plain_uint(twi_json *json, uint64_t *out)
{
    enum { WORD = 8, READ_MAX = 2 * WORD + 1, DIGITS_MAX = 19 };
    if (json->end - json->at < READ_MAX) {
        return false;
    }
    const uint8_t *at = json->at;
    uint64_t word = twi_json_load64(at) ^ TWI_JSON_REPEAT_BYTE('0');
    unsigned count = twi_json_digit_count(word);
    if (count == 0 || (*at == '0' && count > 1)) {
        return false;
    }
    uint64_t value = twi_json_digits(word, count);
    at += count;
    if (count == WORD) {
        word = twi_json_load64(at) ^ TWI_JSON_REPEAT_BYTE('0');
        count = twi_json_digit_count(word);
        value = count > 0 ? value * twi_pow10[count] + twi_json_digits(word, count) : value;
        at += count;
        for (; count == WORD && at < json->end && at - json->at < DIGITS_MAX && *at >= '0' && *at <= '9'; at++) {
            value = value * 10 + (uint64_t)(*at - '0');
        }
    }
    if (at == json->end || (*at != ',' && *at != '}')) {
        return false;
    }
    json->at = at;
    *out = value;
    return true;
}

/* One level; what all levels of the message share is filled in by twi_json_build_events(). Member by member, because a
 * cleared struct literal of this size becomes a slow string instruction. */
static inline void twi_json_put_level(tw_event *event, uint8_t flags, tw_decimal price, tw_decimal amount)
{
    event->instrument = 0;
    event->kind = TW_EVENT_LEVEL;
    event->flags = flags;
    event->price_exponent = price.exponent;
    event->amount_exponent = amount.exponent;
    event->u.level.price = price.mantissa;
    event->u.level.amount = amount.mantissa;
    event->u.level.venue_seq = 0;
    event->u.level.reserved = 0;
}

/* Reads a message in our encoder's order. False: it is in another order, or wrong, and *message is half filled. */
bool twi_json_read_usual(const uint8_t *msg, size_t msg_len, twi_json_fields *message);

/* Makes the events of a message that has a type, all but their instrument. TW_NOT_SUPPORTED: the type is none of ours;
 * TW_TOO_BIG: more events than message->event_cap; TW_MALFORMED: something is missing or impossible. */
tw_status twi_json_build_events(twi_json_fields *message, tw_event *events, uint32_t *event_count);

/* The message's slice, unescaped into `buffer` if it has to be. */
tw_status twi_json_plain_text(twi_json_slice slice, char *buffer, size_t cap, const char **text, size_t *len);

#endif
