/* scan_json.c - the light reading of JSON messages: fixed places first, the general scanner for everything else. */
#include <string.h>

#include "engine/base/interval.h"
#include "engine/proto/json_scan.h"
#include "subscribers/scan.h"

#define NS_PER_S 1000000000LL

enum {
    TIME_DIGITS = 19, /* Unix time in ns from 2001 to 2286 */
    SEQ_DIGITS_MAX = 20
};

#define HEAD_EXCHANGE      "\",\"exchange\":\""
#define HEAD_SYMBOL        "\",\"symbol\":\""
#define HEAD_SEQ           "\",\"seq\":"
#define TAIL_RECV          ",\"recv_ns\":"
#define TAIL_PUBLISH       ",\"publish_ns\":"
#define LITERAL_LEN(s)     (sizeof(s) - 1)
#define STARTS(at, end, s) ((size_t)((end) - (at)) >= LITERAL_LEN(s) && memcmp((at), s, LITERAL_LEN(s)) == 0)

bool twi_scan_channel(const char *text, size_t len, uint16_t *channel, uint32_t *interval_s)
{
    static const char *const names[] = {"trade", "quote", "book", "status"};
    static const uint16_t channels[] = {TW_CHANNEL_TRADE, TW_CHANNEL_QUOTE, TW_CHANNEL_BOOK, TW_CHANNEL_STATUS};
    static const char candle[] = "candle.";
    *interval_s = 0;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (len == strlen(names[i]) && memcmp(text, names[i], len) == 0) {
            *channel = channels[i];
            return true;
        }
    }
    size_t prefix = LITERAL_LEN(candle);
    int64_t interval_ns;
    if (len <= prefix || memcmp(text, candle, prefix) != 0 ||
        twi_interval_parse(text + prefix, len - prefix, &interval_ns) != TW_OK)
        return false;
    *channel = TW_CHANNEL_CANDLE;
    *interval_s = (uint32_t)(interval_ns / NS_PER_S);
    return true;
}

/* ---- fixed places ---- */

/* Digits at *at, which moves behind them; stops at the first other byte, which must come before end. */
static bool digits_take(const uint8_t **at, const uint8_t *end, uint64_t *value)
{
    const uint8_t *p = *at;
    uint64_t number = 0;
    while (p < end && (uint8_t)(*p - '0') <= 9)
        number = number * 10 + (uint64_t)(*p++ - '0');
    if (p == *at || p == end || p - *at >= SEQ_DIGITS_MAX)
        return false;
    *at = p;
    *value = number;
    return true;
}

/* Exactly TIME_DIGITS digits. */
static bool time_take(const uint8_t *at, int64_t *value)
{
    uint64_t high = twi_json_load64(at) ^ TWI_JSON_REPEAT_BYTE('0');
    uint64_t middle = twi_json_load64(at + 8) ^ TWI_JSON_REPEAT_BYTE('0');
    if (twi_json_digit_count(high) != 8 || twi_json_digit_count(middle) != 8)
        return false;
    uint64_t low = 0;
    for (int i = 16; i < TIME_DIGITS; i++) {
        if ((uint8_t)(at[i] - '0') > 9)
            return false;
        low = low * 10 + (uint64_t)(at[i] - '0');
    }
    *value = (int64_t)(((uint64_t)twi_json_digits(high, 8) * 100000000u + twi_json_digits(middle, 8)) * 1000u + low);
    return true;
}

/* ...,"recv_ns":1700000000000000000,"publish_ns":1700000000000000000} */
static bool tail_take(const uint8_t *msg, size_t msg_len, twi_scan *scan)
{
    enum { PUBLISH_LEN = LITERAL_LEN(TAIL_PUBLISH) + TIME_DIGITS + 1, RECV_LEN = LITERAL_LEN(TAIL_RECV) + TIME_DIGITS };
    if (msg_len < PUBLISH_LEN + RECV_LEN || msg[msg_len - 1] != '}')
        return false;
    const uint8_t *publish = msg + msg_len - PUBLISH_LEN;
    const uint8_t *recv = publish - RECV_LEN;
    if (memcmp(publish, TAIL_PUBLISH, LITERAL_LEN(TAIL_PUBLISH)) != 0 ||
        memcmp(recv, TAIL_RECV, LITERAL_LEN(TAIL_RECV)) != 0)
        return false;
    return time_take(publish + LITERAL_LEN(TAIL_PUBLISH), &scan->publish_ns) &&
           time_take(recv + LITERAL_LEN(TAIL_RECV), &scan->recv_ns);
}

/* {"type":" was read; which of the plain types, and where its name ends. */
static const uint8_t *type_take(const uint8_t *at, const uint8_t *end, twi_scan *scan)
{
#define TYPE(text, event, topic)                                                                                       \
    if (STARTS(at, end, text HEAD_EXCHANGE)) {                                                                         \
        scan->kind = event;                                                                                            \
        scan->name.channel = topic;                                                                                    \
        return at + LITERAL_LEN(text HEAD_EXCHANGE);                                                                   \
    }
    TYPE("trade", TW_EVENT_TRADE, TW_CHANNEL_TRADE)
    TYPE("quote", TW_EVENT_QUOTE, TW_CHANNEL_QUOTE)
    TYPE("book", TW_EVENT_LEVEL, TW_CHANNEL_BOOK)
    TYPE("status", TW_EVENT_STATUS, TW_CHANNEL_STATUS)
#undef TYPE
    return NULL;
}

/* A string up to its quote, which must be the first byte of `then`; NULL otherwise. */
static const uint8_t *text_take(const uint8_t *at, const uint8_t *end, const char *then, size_t then_len,
                                const char **text, uint32_t *len)
{
    const uint8_t *stop = twi_json_plain_end(at, end);
    if ((size_t)(end - stop) < then_len || memcmp(stop, then, then_len) != 0)
        return NULL;
    *text = (const char *)at;
    *len = (uint32_t)(stop - at);
    return stop + then_len;
}

/* "snapshot", "prevSeq" and "folded" stand right behind seq, in any order. */
static bool extras_take(const uint8_t *at, const uint8_t *end, twi_scan *scan)
{
    uint64_t number;
    for (;;) {
        if (STARTS(at, end, ",\"snapshot\":true")) {
            scan->snapshot = true;
            at += LITERAL_LEN(",\"snapshot\":true");
        } else if (STARTS(at, end, ",\"prevSeq\":")) {
            at += LITERAL_LEN(",\"prevSeq\":");
            if (!digits_take(&at, end, &scan->prev_seq))
                return false;
        } else if (STARTS(at, end, ",\"folded\":")) {
            at += LITERAL_LEN(",\"folded\":");
            if (!digits_take(&at, end, &number))
                return false;
            scan->folded = (uint32_t)number;
        } else {
            return true;
        }
    }
}

static bool scan_fixed(const uint8_t *msg, size_t msg_len, twi_scan *scan)
{
    const uint8_t *end = msg + msg_len;
    if (!STARTS(msg, end, "{\"type\":\"") || !tail_take(msg, msg_len, scan))
        return false;
    const uint8_t *at = type_take(msg + LITERAL_LEN("{\"type\":\""), end, scan);
    if (at)
        at = text_take(at, end, HEAD_SYMBOL, LITERAL_LEN(HEAD_SYMBOL), &scan->name.exchange, &scan->name.exchange_len);
    if (at)
        at = text_take(at, end, HEAD_SEQ, LITERAL_LEN(HEAD_SEQ), &scan->name.symbol, &scan->name.symbol_len);
    if (!at || !digits_take(&at, end, &scan->seq))
        return false;
    return extras_take(at, end, scan);
}

/* ---- any order ---- */

typedef struct members {
    twi_json_slice type, channel, interval;
    bool has_type, has_op, has_seq;
} members;

static bool name_take(twi_json *json, const char **text, uint32_t *len)
{
    twi_json_slice slice;
    if (!twi_json_string(json, &slice))
        return false;
    *text = slice.text;
    *len = slice.len;
    return true;
}

static bool folded_take(twi_json *json, uint32_t *folded)
{
    uint64_t number;
    if (!twi_json_uint64(json, &number))
        return false;
    *folded = number > UINT32_MAX ? UINT32_MAX : (uint32_t)number;
    return true;
}

static void member_take(twi_json *json, twi_json_slice key, members *seen, twi_scan *scan)
{
    if (twi_json_null(json))
        return; /* as if it were left out */
    if (TWI_JSON_IS(key, "type"))
        seen->has_type = twi_json_string(json, &seen->type);
    else if (TWI_JSON_IS(key, "op"))
        seen->has_op = twi_json_skip(json);
    else if (TWI_JSON_IS(key, "exchange"))
        name_take(json, &scan->name.exchange, &scan->name.exchange_len);
    else if (TWI_JSON_IS(key, "symbol"))
        name_take(json, &scan->name.symbol, &scan->name.symbol_len);
    else if (TWI_JSON_IS(key, "channel"))
        twi_json_string(json, &seen->channel);
    else if (TWI_JSON_IS(key, "interval"))
        twi_json_string(json, &seen->interval);
    else if (TWI_JSON_IS(key, "seq"))
        seen->has_seq = twi_json_uint64(json, &scan->seq);
    else if (TWI_JSON_IS(key, "prevSeq"))
        twi_json_uint64(json, &scan->prev_seq);
    else if (TWI_JSON_IS(key, "folded"))
        folded_take(json, &scan->folded);
    else if (TWI_JSON_IS(key, "snapshot"))
        twi_json_bool(json, &scan->snapshot);
    else if (TWI_JSON_IS(key, "from"))
        twi_json_uint64(json, &scan->from);
    else if (TWI_JSON_IS(key, "to"))
        twi_json_uint64(json, &scan->to);
    else if (TWI_JSON_IS(key, "count"))
        twi_json_uint64(json, &scan->count);
    else if (TWI_JSON_IS(key, "recv_ns"))
        twi_json_int64(json, &scan->recv_ns);
    else if (TWI_JSON_IS(key, "publish_ns"))
        twi_json_int64(json, &scan->publish_ns);
    else
        twi_json_skip(json);
}

static tw_status loss_finish(const members *seen, twi_scan *scan)
{
    scan->kind = TW_EVENT_LOSS;
    scan->seq = scan->to;
    if (!twi_scan_channel(seen->channel.text, seen->channel.len, &scan->name.channel, &scan->name.interval_s))
        return TW_MALFORMED;
    return TW_OK;
}

static tw_status candle_finish(const members *seen, twi_scan *scan)
{
    int64_t interval_ns;
    scan->kind = TW_EVENT_CANDLE;
    scan->name.channel = TW_CHANNEL_CANDLE;
    if (seen->interval.len == 0 || twi_interval_parse(seen->interval.text, seen->interval.len, &interval_ns) != TW_OK)
        return TW_MALFORMED;
    scan->name.interval_s = (uint32_t)(interval_ns / NS_PER_S);
    return seen->has_seq ? TW_OK : TW_MALFORMED;
}

static tw_status plain_finish(const members *seen, twi_scan *scan)
{
    static const uint8_t kinds[] = {[TW_CHANNEL_TRADE] = TW_EVENT_TRADE,
                                    [TW_CHANNEL_QUOTE] = TW_EVENT_QUOTE,
                                    [TW_CHANNEL_BOOK] = TW_EVENT_LEVEL,
                                    [TW_CHANNEL_STATUS] = TW_EVENT_STATUS};
    if (!twi_scan_channel(seen->type.text, seen->type.len, &scan->name.channel, &scan->name.interval_s))
        return TW_NOT_SUPPORTED; /* a type of a later protocol version */
    if (scan->name.channel == TW_CHANNEL_CANDLE || !seen->has_seq)
        return TW_MALFORMED;
    scan->kind = kinds[scan->name.channel];
    return TW_OK;
}

static tw_status scan_general(const uint8_t *msg, size_t msg_len, twi_scan *scan)
{
    members seen = {0};
    twi_json json;
    twi_json_slice key;
    twi_json_init(&json, msg, msg_len);
    if (twi_json_enter_object(&json))
        while (twi_json_next_member(&json, &key))
            member_take(&json, key, &seen, scan);
    tw_status status = twi_json_end(&json);
    if (status != TW_OK)
        return TW_MALFORMED;
    if (!seen.has_type)
        return seen.has_op ? TW_NOT_SUPPORTED : TW_MALFORMED;
    if (scan->name.exchange_len == 0 || scan->name.symbol_len == 0)
        return TW_MALFORMED;
    if (TWI_JSON_IS(seen.type, "loss"))
        return loss_finish(&seen, scan);
    return TWI_JSON_IS(seen.type, "candle") ? candle_finish(&seen, scan) : plain_finish(&seen, scan);
}

tw_status twi_scan_json(const uint8_t *msg, size_t msg_len, twi_scan *scan)
{
    *scan = (twi_scan){0};
    if (TWI_LIKELY(scan_fixed(msg, msg_len, scan)))
        return TW_OK;
    *scan = (twi_scan){0};
    return scan_general(msg, msg_len, scan);
}
