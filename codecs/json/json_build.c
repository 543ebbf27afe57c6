/* json_build.c - what a JSON message said becomes events: required members, common exponents, words to numbers.
 *
 * Refuses records without what their kind needs and decimals that do not fit together. */
#include <string.h>

#include "codecs/json/json_fields.h"
#include "codecs/json/json_reason.h"
#include "engine/base/interval.h"
#include "engine/base/trade_id.h"

enum { NS_PER_S = 1000000000, PRICES_MAX = 4 };

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

tw_status twi_json_plain_text(twi_json_slice slice, char *buffer, size_t cap, const char **text, size_t *len)
{
    *text = slice.text;
    *len = slice.len;
    if (TWI_LIKELY(!slice.escaped)) {
        return TW_OK;
    }
    *text = buffer;
    return twi_json_unescape(slice, buffer, cap, len) == TW_OK ? TW_OK : TW_MALFORMED;
}

/* What all kinds share; the flags are those of a group of one. */
static bool start_event(const twi_json_fields *message, tw_event *event, tw_event_kind kind, uint8_t flags)
{
    if (message->event_cap == 0) {
        return false;
    }
    *event = (tw_event){.kind = (uint8_t)kind,
                        .flags = (uint8_t)(flags | TW_FLAG_FIRST | TW_FLAG_LAST),
                        .venue_ns = message->timestamp_ms * TWI_JSON_NS_PER_MS,
                        .recv_ns = message->recv_ns};
    return true;
}

static tw_status build_trade(const twi_json_fields *message, tw_event *event, uint32_t *event_count)
{
    bool sells = TWI_JSON_IS(message->side, "sell");
    if (!twi_json_has(message, TWI_MEMBER_BIT(TWI_MEMBER_PRICE) | TWI_MEMBER_BIT(TWI_MEMBER_AMOUNT)) ||
        (!sells && !TWI_JSON_IS(message->side, "buy"))) {
        return TW_MALFORMED;
    }
    char id_buffer[TWI_TRADE_ID_BYTES_MAX];
    const char *id_text;
    size_t id_len;
    tw_id_kind id_kind;
    tw_trade_id id;
    if (twi_json_plain_text(message->id, id_buffer, sizeof(id_buffer), &id_text, &id_len) != TW_OK ||
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
static bool complete_side(const twi_json_fields *message, uint64_t side, tw_decimal *price, tw_decimal *amount,
                          uint64_t other_side, const tw_decimal *other_price, const tw_decimal *other_amount)
{
    if (twi_json_has(message, side)) {
        return true;
    }
    bool has_other = twi_json_has(message, other_side);
    *price = (tw_decimal){0, has_other ? other_price->exponent : 0};
    *amount = (tw_decimal){0, has_other ? other_amount->exponent : 0};
    return (message->seen & side) == 0;
}

static tw_status build_quote(twi_json_fields *message, tw_event *event, uint32_t *event_count)
{
    uint64_t bid_side = TWI_MEMBER_BIT(TWI_MEMBER_BID) | TWI_MEMBER_BIT(TWI_MEMBER_BID_VOLUME);
    uint64_t ask_side = TWI_MEMBER_BIT(TWI_MEMBER_ASK) | TWI_MEMBER_BIT(TWI_MEMBER_ASK_VOLUME);
    if (!complete_side(message, bid_side, &message->bid, &message->bid_volume, ask_side, &message->ask,
                       &message->ask_volume) ||
        !complete_side(message, ask_side, &message->ask, &message->ask_volume, bid_side, &message->bid,
                       &message->bid_volume)) {
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

static tw_status build_book(const twi_json_fields *message, tw_event *events, uint32_t *event_count)
{
    uint8_t snapshot = message->snapshot ? TW_FLAG_SNAPSHOT : 0;
    if (!twi_json_has(message, TWI_MEMBER_BIT(TWI_MEMBER_BIDS) | TWI_MEMBER_BIT(TWI_MEMBER_ASKS))) {
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
        events[index].venue_ns = message->timestamp_ms * TWI_JSON_NS_PER_MS;
        events[index].recv_ns = message->recv_ns;
    }
    events[0].flags |= TW_FLAG_FIRST;
    events[message->level_count - 1].flags |= TW_FLAG_LAST;
    *event_count = message->level_count;
    return TW_OK;
}

static tw_status build_candle(twi_json_fields *message, tw_event *events, uint32_t *event_count)
{
    int64_t interval_ns;
    if (!twi_json_has(message, TWI_MEMBER_BIT(TWI_MEMBER_OPEN) | TWI_MEMBER_BIT(TWI_MEMBER_HIGH) |
                                   TWI_MEMBER_BIT(TWI_MEMBER_LOW) | TWI_MEMBER_BIT(TWI_MEMBER_CLOSE) |
                                   TWI_MEMBER_BIT(TWI_MEMBER_VOLUME)) ||
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

static tw_status build_status(const twi_json_fields *message, tw_event *event, uint32_t *event_count)
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
static void clear_head(twi_json_fields *message)
{
    message->seq = message->prev_seq = message->folded = 0;
    message->timestamp_ms = message->recv_ns = message->publish_ns = 0;
}

static tw_status build_loss(twi_json_fields *message, tw_event *event, uint32_t *event_count)
{
    uint16_t channel;
    uint32_t interval_s;
    if (!twi_json_has(message, TWI_MEMBER_BIT(TWI_MEMBER_FROM) | TWI_MEMBER_BIT(TWI_MEMBER_TO) |
                                   TWI_MEMBER_BIT(TWI_MEMBER_COUNT) | TWI_MEMBER_BIT(TWI_MEMBER_CHANNEL)) ||
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

tw_status twi_json_build_events(twi_json_fields *message, tw_event *events, uint32_t *event_count)
{
    twi_json_slice type = message->type;
    bool is_loss = TWI_JSON_IS(type, "loss");
    if (!is_loss && !twi_json_has(message, TWI_MEMBER_BIT(TWI_MEMBER_SEQ))) {
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
