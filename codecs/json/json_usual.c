/* json_usual.c - the JSON decoder's straight road: trades, quotes and books exactly as our encoder writes them.
 *
 * Method:   the constant text between two values is compared as one piece, so that no name is scanned, hashed or looked
 *           up and the branches are always the same. The first byte that is not what the encoder would write ends the
 *           attempt; the general decoder then reads the message from its start, and it alone decides about errors.
 * Non-goals: other kinds (they are rare), escapes, white space, negative times. */
#include <string.h>

#include "codecs/json/json_fields.h"

/* literal must be a string literal. */
#define TAKE(json, literal) take((json), "" literal, sizeof(literal) - 1)

static TWI_ALWAYS_INLINE bool take(twi_json *json, const char *text, size_t len)
{
    if ((size_t)(json->end - json->at) < len || memcmp(json->at, text, len) != 0) {
        return false;
    }
    json->at += len;
    return true;
}

/* The content up to the closing quote, which is left to be taken with what follows. */
static TWI_ALWAYS_INLINE bool take_word(twi_json *json, twi_json_slice *out)
{
    const uint8_t *end = twi_json_plain_end(json->at, json->end);
    if (end == json->end || *end != '"') {
        return false;
    }
    *out = (twi_json_slice){.text = (const char *)json->at, .len = (uint32_t)(end - json->at)};
    json->at = end;
    return true;
}

static TWI_ALWAYS_INLINE bool take_time(twi_json *json, int64_t *out)
{
    uint64_t value;
    if (!twi_json_read_plain_uint(json, &value) || value > INT64_MAX) {
        return false;
    }
    *out = (int64_t)value;
    return true;
}

/* After the type: names and place in the sequence. */
static TWI_ALWAYS_INLINE bool take_place(twi_json *json, twi_json_fields *message)
{
    if (!TAKE(json, "\",\"exchange\":\"") || !take_word(json, &message->exchange) || !TAKE(json, "\",\"symbol\":\"") ||
        !take_word(json, &message->symbol) || !TAKE(json, "\",\"seq\":") ||
        !twi_json_read_plain_uint(json, &message->seq)) {
        return false;
    }
    if (TAKE(json, ",\"prevSeq\":") && !twi_json_read_plain_uint(json, &message->prev_seq)) {
        return false;
    }
    return !TAKE(json, ",\"folded\":") || twi_json_read_plain_uint(json, &message->folded);
}

static TWI_ALWAYS_INLINE bool take_times(twi_json *json, twi_json_fields *message)
{
    return TAKE(json, ",\"timestamp\":") && take_time(json, &message->timestamp_ms) && TAKE(json, ",\"recv_ns\":") &&
           take_time(json, &message->recv_ns) && TAKE(json, ",\"publish_ns\":") &&
           take_time(json, &message->publish_ns) && TAKE(json, "}") && json->at == json->end;
}

static bool take_trade(twi_json *json, twi_json_fields *message)
{
    static const twi_json_slice buy = {.text = "buy", .len = 3};
    static const twi_json_slice sell = {.text = "sell", .len = 4};
    if (TAKE(json, ",\"id\":\"") && !(take_word(json, &message->id) && TAKE(json, "\""))) {
        return false;
    }
    if (!TAKE(json, ",\"price\":") || !twi_json_decimal(json, &message->price) || !TAKE(json, ",\"amount\":") ||
        !twi_json_decimal(json, &message->amount) || !TAKE(json, ",\"side\":\"")) {
        return false;
    }
    bool buys = TAKE(json, "buy\"");
    message->side = buys ? buy : sell;
    if (!buys && !TAKE(json, "sell\"")) {
        return false;
    }
    message->history = TAKE(json, ",\"history\":true");
    message->seen = TWI_MEMBER_BIT(TWI_MEMBER_PRICE) | TWI_MEMBER_BIT(TWI_MEMBER_AMOUNT);
    return true;
}

static bool take_quote(twi_json *json, twi_json_fields *message)
{
    message->seen = TWI_MEMBER_BIT(TWI_MEMBER_BID) | TWI_MEMBER_BIT(TWI_MEMBER_BID_VOLUME) |
                    TWI_MEMBER_BIT(TWI_MEMBER_ASK) | TWI_MEMBER_BIT(TWI_MEMBER_ASK_VOLUME);
    return TAKE(json, ",\"bid\":") && twi_json_decimal(json, &message->bid) && TAKE(json, ",\"bidVolume\":") &&
           twi_json_decimal(json, &message->bid_volume) && TAKE(json, ",\"ask\":") &&
           twi_json_decimal(json, &message->ask) && TAKE(json, ",\"askVolume\":") &&
           twi_json_decimal(json, &message->ask_volume);
}

/* The levels behind an opening bracket, and the closing one. */
static TWI_ALWAYS_INLINE bool take_levels(twi_json *json, twi_json_fields *message, uint8_t flags)
{
    if (TAKE(json, "]")) {
        return true;
    }
    do {
        tw_decimal price, amount;
        if (message->level_count == message->event_cap || !TAKE(json, "[") || !twi_json_decimal(json, &price) ||
            !TAKE(json, ",") || !twi_json_decimal(json, &amount) || !TAKE(json, "]")) {
            return false;
        }
        twi_json_put_level(&message->events[message->level_count++], flags, price, amount);
    } while (TAKE(json, ","));
    return TAKE(json, "]");
}

static bool take_book(twi_json *json, twi_json_fields *message)
{
    message->snapshot = TAKE(json, ",\"snapshot\":true");
    message->seen = TWI_MEMBER_BIT(TWI_MEMBER_BIDS) | TWI_MEMBER_BIT(TWI_MEMBER_ASKS);
    return TAKE(json, ",\"bids\":[") && take_levels(json, message, 0) && TAKE(json, ",\"asks\":[") &&
           take_levels(json, message, TW_FLAG_ASK);
}

/* The type, and with it the order of what is between place and times. */
static TWI_ALWAYS_INLINE bool take_type(twi_json *json, twi_json_fields *message)
{
    static const twi_json_slice types[] = {
        {.text = "trade", .len = 5}, {.text = "quote", .len = 5}, {"book", 4, false}};
    if (!TAKE(json, "{\"type\":\"")) {
        return false;
    }
    for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
        if (take(json, types[i].text, types[i].len)) {
            message->type = types[i];
            return true;
        }
    }
    return false;
}

bool twi_json_read_usual(const uint8_t *msg, size_t msg_len, twi_json_fields *message)
{
    if (msg_len > UINT32_MAX) {
        return false;
    }
    twi_json json = {.at = msg, .end = msg + msg_len};
    if (!take_type(&json, message) || !take_place(&json, message)) {
        return false;
    }
    bool taken = message->type.text[0] == 't'   ? take_trade(&json, message)
                 : message->type.text[0] == 'q' ? take_quote(&json, message)
                                                : take_book(&json, message);
    message->seen |= TWI_MEMBER_BIT(TWI_MEMBER_TYPE) | TWI_MEMBER_BIT(TWI_MEMBER_EXCHANGE) |
                     TWI_MEMBER_BIT(TWI_MEMBER_SYMBOL) | TWI_MEMBER_BIT(TWI_MEMBER_SEQ);
    return taken && take_times(&json, message);
}
