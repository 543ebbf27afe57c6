/* bitfinex.c - Bitfinex v2: book P0 of 100 levels, trades, ticker, with sequence numbers on every frame.
 *
 * Rules:    frames are [chanId, payload..., seq]; the sequence rises by one over all channels of the connection, so
 *           a hole breaks every book of it, and each is subscribed again. A book row is [price, count, amount]:
 *           count 0 removes, the sign of the amount is the side.
 * Quirks:   the first frame of a channel is its snapshot, trades newest first; of a trade's two messages ("te",
 *           "tu") only the first counts; an unsubscribe names the channel's number; 20051 and 20061 ask for a new
 *           connection.
 * Checksum: a "cs" frame is compared over the text of the best 25 levels; it is not asked for, since the sequence
 *           already shows every loss.
 * Source:   docs.bitfinex.com; recordings. */
#include <zlib.h>

#include "feed/market.h"
#include "feed/registry.h"
#include "feed/shapes.h"

#define REST_URL "https://api-pub.bitfinex.com"
enum {
    FLAG_SEQUENCE = 65536,
    CHANNELS_MAX = 4096, /* places of the channel table, a power of two */
    CHANNELS_USED_MAX = CHANNELS_MAX / 4 * 3,
    CHECKSUM_LEVELS = 25,
    LEVEL_TEXT_MAX = 2 * (TW_DECIMAL_TEXT_MAX + 2),
    CODE_RECONNECT = 20051,
    CODE_RESUMED = 20061,
    CODE_ALREADY = 10301
};

static const char *const CHANNEL_NAMES[TWI_STREAM_COUNT] = {"trades", "ticker", "book"};

/* A channel number that the venue gave on one link. */
typedef struct bfx_channel {
    uint64_t number; /* 0: free */
    uint32_t link, slot;
    uint8_t stream;
} bfx_channel;

typedef struct bfx_extra {
    uint32_t used;
    bfx_channel channels[CHANNELS_MAX];
} bfx_extra;

typedef struct bfx_message {
    twi_venue *venue;
    tw_sink *sink;
    uint32_t link;
    int64_t recv_ns;
} bfx_message;

/* ---- channel table ---- */

static uint32_t place_of(uint32_t link, uint64_t number)
{
    return (uint32_t)(number * 31 + link) & (CHANNELS_MAX - 1);
}

/* The entry, or the free one (number 0) where it would be. */
static bfx_channel *find_channel(twi_venue *venue, uint32_t link, uint64_t number)
{
    bfx_extra *extra = twi_venue_extra(venue);
    for (uint32_t at = place_of(link, number);; at = (at + 1) & (CHANNELS_MAX - 1)) {
        bfx_channel *channel = &extra->channels[at];
        if (channel->number == 0 || (channel->number == number && channel->link == link))
            return channel;
    }
}

/* Those behind it move up, so that no dead entry is ever passed: repairs give new numbers for as long as it runs. */
static void remove_channel(twi_venue *venue, bfx_channel *channel)
{
    bfx_extra *extra = twi_venue_extra(venue);
    uint32_t hole = (uint32_t)(channel - extra->channels);
    for (uint32_t at = (hole + 1) & (CHANNELS_MAX - 1); extra->channels[at].number != 0;
         at = (at + 1) & (CHANNELS_MAX - 1)) {
        uint32_t home = place_of(extra->channels[at].link, extra->channels[at].number);
        if (((at - home) & (CHANNELS_MAX - 1)) < ((at - hole) & (CHANNELS_MAX - 1)))
            continue; /* its home lies behind the hole */
        extra->channels[hole] = extra->channels[at];
        hole = at;
    }
    extra->channels[hole] = (bfx_channel){.number = 0};
    extra->used--;
}

static void forget_link(twi_venue *venue, uint32_t link)
{
    bfx_extra *extra = twi_venue_extra(venue);
    for (uint32_t i = 0; i < CHANNELS_MAX && extra->used > 0;) {
        bfx_channel *channel = &extra->channels[i];
        if (channel->number != 0 && channel->link == link)
            remove_channel(venue, channel); /* another one may have come to this place */
        else
            i++;
    }
}

static void add_channel(twi_venue *venue, uint32_t link, uint64_t number, const twi_slot *slot, int stream)
{
    bfx_extra *extra = twi_venue_extra(venue);
    bfx_channel *channel = find_channel(venue, link, number);
    if (channel->number == 0) {
        if (extra->used == CHANNELS_USED_MAX)
            return;
        extra->used++;
    }
    *channel = (bfx_channel){.number = number, .link = link, .slot = slot->index, .stream = (uint8_t)stream};
}

/* The number of a slot's stream, 0 if it has none. */
static uint64_t channel_of_stream(twi_venue *venue, const twi_slot *slot, int stream)
{
    bfx_extra *extra = twi_venue_extra(venue);
    for (uint32_t i = 0; i < CHANNELS_MAX; i++) {
        const bfx_channel *channel = &extra->channels[i];
        if (channel->number != 0 && channel->slot == slot->index && channel->stream == stream)
            return channel->number;
    }
    return 0;
}

/* ---- book ---- */

static bool read_row(twi_json *json, tw_decimal *price, int64_t *count, tw_decimal *amount)
{
    return twi_json_decimal(json, price) && twi_json_next_item(json) && twi_json_int64(json, count) &&
           twi_json_next_item(json) && twi_json_decimal(json, amount);
}

static void apply_row(twi_update *update, tw_decimal price, int64_t count, tw_decimal amount)
{
    twi_side side = amount.mantissa < 0 ? TWI_ASK : TWI_BID;
    if (amount.mantissa < 0)
        amount.mantissa = -amount.mantissa;
    if (count == 0)
        amount.mantissa = 0;
    twi_update_level(update, side, price, amount);
}

/* Just inside the payload's bracket: rows (a snapshot) or the three numbers of one row. */
static tw_status on_book(const bfx_message *m, twi_slot *slot, twi_json *json)
{
    bool empty = !twi_json_next_item(json);
    if (json->status != TW_OK)
        return TW_MALFORMED;
    bool snapshot = empty || twi_json_peek(json) == TWI_JSON_ARRAY;
    tw_decimal price, amount;
    int64_t count;
    if (!snapshot && !twi_venue_delta_usable(slot))
        return TW_OK;
    twi_update update;
    twi_update_begin(&update, m->venue, slot, m->sink, &(twi_update_info){.snapshot = snapshot, .recv_ns = m->recv_ns});
    bool more = !empty;
    while (more) {
        bool whole = (!snapshot || (twi_json_enter_array(json) && twi_json_next_item(json))) &&
                     read_row(json, &price, &count, &amount);
        if (!whole)
            return twi_update_abort(&update);
        twi_json_drain_array(json);
        apply_row(&update, price, count, amount);
        more = snapshot && twi_json_next_item(json);
    }
    return json->status == TW_OK ? twi_update_end(&update) : twi_update_abort(&update);
}

/* A number as JavaScript prints it: with an exponent below 10^-6. */
static void put_number(twi_text *text, tw_decimal value)
{
    enum { SMALLEST_PLAIN = -6 };
    char digits[TW_DECIMAL_TEXT_MAX];
    for (; value.mantissa != 0 && value.mantissa % 10 == 0; value.exponent++)
        value.mantissa /= 10;
    size_t len = tw_decimal_format((tw_decimal){.mantissa = value.mantissa}, digits);
    size_t first = value.mantissa < 0;
    int point = (int)(len - first) + value.exponent; /* digits before the point */
    if (value.exponent >= 0 || point > SMALLEST_PLAIN + 1) {
        twi_text_bytes(text, digits, tw_decimal_format(value, digits));
        return;
    }
    twi_text_bytes(text, digits, first + 1);
    if (len > first + 1) {
        twi_text_put(text, ".");
        twi_text_bytes(text, digits + first + 1, len - first - 1);
    }
    twi_text_put(text, "e-");
    twi_text_number(text, (uint64_t)(1 - point));
}

static void put_level(twi_text *text, const twi_book *book, twi_side side, uint32_t index)
{
    if (index >= twi_book_count(book, side))
        return;
    twi_level level = twi_book_level(book, side, index);
    if (side == TWI_ASK)
        level.amount.mantissa = -level.amount.mantissa;
    if (text->len > 0)
        twi_text_put(text, ":");
    put_number(text, level.price);
    twi_text_put(text, ":");
    put_number(text, level.amount);
}

static tw_status on_checksum(const bfx_message *m, twi_slot *slot, int64_t expected)
{
    char bytes[2 * CHECKSUM_LEVELS * LEVEL_TEXT_MAX];
    twi_text text = twi_text_over(bytes, sizeof(bytes));
    if (!slot->synced)
        return TW_OK;
    for (uint32_t i = 0; i < CHECKSUM_LEVELS; i++) {
        put_level(&text, &slot->book, TWI_BID, i);
        put_level(&text, &slot->book, TWI_ASK, i);
    }
    uint32_t computed = (uint32_t)crc32(crc32(0, NULL, 0), (const Bytef *)bytes, (uInt)text.len);
    slot->stats.checksums++;
    if (computed == (uint32_t)expected) {
        slot->stats.checksums_equal++;
        return TW_OK;
    }
    return twi_venue_broken(m->venue, slot, TW_STATE_GAP, TW_REASON_CHECKSUM, (uint32_t)expected, computed, m->recv_ns,
                            m->sink);
}

/* ---- trades and tickers ---- */

/* Just inside the bracket of [id, ms, amount, price]. */
static bool read_trade(twi_json *json, twi_trade *trade)
{
    bool whole = twi_json_next_item(json) && twi_json_scalar(json, &trade->id) && twi_json_next_item(json) &&
                 twi_scan_time(json, TWI_NS_PER_MS, &trade->venue_ns) && twi_json_next_item(json) &&
                 twi_json_decimal(json, &trade->amount) && twi_json_next_item(json) &&
                 twi_json_decimal(json, &trade->price);
    if (!whole)
        return twi_json_fail(json, TW_MALFORMED);
    trade->sell = trade->amount.mantissa < 0;
    if (trade->sell)
        trade->amount.mantissa = -trade->amount.mantissa;
    twi_json_drain_array(json);
    return json->status == TW_OK;
}

static tw_status on_executed(const bfx_message *m, twi_slot *slot, twi_json *json)
{
    twi_trade trade = {.history = false};
    return read_trade(json, &trade) ? twi_emit_trade(slot, &trade, m->recv_ns, m->sink) : TW_MALFORMED;
}

static tw_status on_history(const bfx_message *m, twi_slot *slot, twi_json *json)
{
    twi_trades trades;
    trades.count = trades.lost = 0;
    while (twi_json_next_item(json)) {
        twi_trade trade = {.history = true};
        if (!twi_json_enter_array(json) || !read_trade(json, &trade))
            return TW_MALFORMED;
        twi_trades_add(&trades, &trade);
    }
    return json->status == TW_OK ? twi_trades_emit_reversed(&trades, slot, m->recv_ns, m->sink) : TW_MALFORMED;
}

/* [bid, bidSize, ask, askSize, ...] */
static tw_status on_ticker(const bfx_message *m, twi_slot *slot, twi_json *json)
{
    twi_quote quote = {.venue_ns = 0};
    bool whole = twi_json_next_item(json) && twi_scan_optional(json, &quote.bid) && twi_json_next_item(json) &&
                 twi_scan_optional(json, &quote.bid_amount) && twi_json_next_item(json) &&
                 twi_scan_optional(json, &quote.ask) && twi_json_next_item(json) &&
                 twi_scan_optional(json, &quote.ask_amount);
    if (!whole)
        return TW_MALFORMED;
    twi_json_drain_array(json);
    return twi_emit_quote(slot, &quote, m->recv_ns, m->sink);
}

/* ---- frames ---- */

typedef struct bfx_frame {
    uint64_t channel;
    twi_json_slice word; /* "hb", "te", "tu", "cs"; empty: none */
    twi_json payload;
    bool has_payload;
    int64_t numbers[3]; /* bare numbers after the channel: checksum, sequence, time */
    uint32_t number_count;
} bfx_frame;

static tw_status read_frame(twi_json *json, bfx_frame *frame)
{
    if (!twi_json_enter_array(json) || !twi_json_next_item(json) || !twi_json_uint64(json, &frame->channel))
        return TW_MALFORMED;
    while (twi_json_next_item(json)) {
        switch (twi_json_peek(json)) {
        case TWI_JSON_STRING:
            twi_json_string(json, &frame->word);
            break;
        case TWI_JSON_ARRAY:
            if (frame->has_payload)
                twi_json_skip(json);
            else
                frame->has_payload = twi_json_defer(json, &frame->payload);
            break;
        case TWI_JSON_NUMBER:
            if (frame->number_count < 3)
                twi_json_int64(json, &frame->numbers[frame->number_count++]);
            else
                twi_json_skip(json);
            break;
        default:
            twi_json_skip(json);
        }
    }
    return twi_json_end(json);
}

/* A hole in the numbers of a connection: any of its books may have lost something. */
static tw_status break_books(const bfx_message *m, uint64_t from, uint64_t to)
{
    for (uint32_t i = 0; i < m->venue->slot_count; i++) {
        twi_slot *slot = &m->venue->slots[i];
        if (slot->link == m->link && slot->synced)
            twi_venue_broken(m->venue, slot, TW_STATE_GAP, TW_REASON_SEQUENCE, from, to, m->recv_ns, m->sink);
    }
    return TW_GAP;
}

/* link.tag: sequence numbers are on; link.seq: the last one, 0 before the first. */
static tw_status check_sequence(const bfx_message *m, const bfx_frame *frame)
{
    twi_link *link = &m->venue->links[m->link];
    uint32_t place = TWI_JSON_IS(frame->word, "cs") ? 1 : 0;
    if (link->tag == 0 || frame->number_count <= place)
        return TW_OK;
    uint64_t number = (uint64_t)frame->numbers[place], last = link->seq;
    link->seq = number;
    if (last == 0 || number == last + 1)
        return TW_OK;
    return break_books(m, last + 1, number - 1);
}

static tw_status on_payload(const bfx_message *m, const bfx_channel *channel, bfx_frame *frame)
{
    twi_slot *slot = &m->venue->slots[channel->slot];
    if (TWI_JSON_IS(frame->word, "cs"))
        return frame->number_count > 0 ? on_checksum(m, slot, frame->numbers[0]) : TW_MALFORMED;
    if (!frame->has_payload || TWI_JSON_IS(frame->word, "tu"))
        return TW_OK;
    if (!twi_json_enter_array(&frame->payload))
        return TW_MALFORMED;
    if (channel->stream == TW_CHANNEL_BOOK)
        return on_book(m, slot, &frame->payload);
    if (channel->stream == TW_CHANNEL_QUOTE)
        return on_ticker(m, slot, &frame->payload);
    return TWI_JSON_IS(frame->word, "te") ? on_executed(m, slot, &frame->payload)
                                          : on_history(m, slot, &frame->payload);
}

static tw_status on_frame(const bfx_message *m, twi_json *json)
{
    bfx_frame frame = {.channel = 0};
    if (read_frame(json, &frame) != TW_OK)
        return TW_MALFORMED;
    tw_status sequence = check_sequence(m, &frame);
    const bfx_channel *channel = find_channel(m->venue, m->link, frame.channel);
    if (TWI_JSON_IS(frame.word, "hb") || channel->number == 0) {
        m->venue->stats.ignored += channel->number == 0;
        return sequence;
    }
    tw_status status = on_payload(m, channel, &frame);
    return status == TW_OK ? sequence : status;
}

/* ---- events ---- */

typedef struct bfx_event {
    twi_json_slice event, channel, symbol, text;
    uint64_t number, flags;
    int64_t code;
} bfx_event;

static tw_status on_subscribed(const bfx_message *m, const bfx_event *event)
{
    int stream = twi_channel_of(CHANNEL_NAMES, event->channel);
    twi_slot *slot = stream >= 0 ? twi_venue_slot(m->venue, m->link, event->symbol.text, event->symbol.len) : NULL;
    if (slot == NULL || event->number == 0)
        return TW_OK;
    add_channel(m->venue, m->link, event->number, slot, stream);
    twi_venue_ack_stream(m->venue, slot, (tw_channel)stream, true, m->recv_ns, m->sink);
    return TW_OK;
}

static tw_status on_left(const bfx_message *m, const bfx_event *event)
{
    bfx_channel *channel = find_channel(m->venue, m->link, event->number);
    if (channel->number == 0)
        return TW_OK;
    bfx_channel left = *channel;
    remove_channel(m->venue, channel);
    twi_venue_left_stream(m->venue, &m->venue->slots[left.slot], (tw_channel)left.stream);
    return TW_OK;
}

static tw_status on_error(const bfx_message *m, const bfx_event *event)
{
    int stream = twi_channel_of(CHANNEL_NAMES, event->channel);
    twi_slot *slot = stream >= 0 ? twi_venue_find(m->venue, 0, event->symbol.text, event->symbol.len) : NULL;
    twi_venue_error(m->venue, event->text.text, event->text.len);
    if (slot != NULL)
        twi_venue_ack_stream(m->venue, slot, (tw_channel)stream, event->code == CODE_ALREADY, m->recv_ns, m->sink);
    return TW_OK;
}

static tw_status on_event(const bfx_message *m, const bfx_event *event)
{
    if (TWI_JSON_IS(event->event, "subscribed"))
        return on_subscribed(m, event);
    if (TWI_JSON_IS(event->event, "unsubscribed"))
        return on_left(m, event);
    if (TWI_JSON_IS(event->event, "error"))
        return on_error(m, event);
    if (TWI_JSON_IS(event->event, "conf"))
        m->venue->links[m->link].tag = (event->flags & FLAG_SEQUENCE) != 0;
    if (event->code == CODE_RECONNECT || event->code == CODE_RESUMED)
        return TW_RELINK;
    return TW_OK;
}

static tw_status read_event(const bfx_message *m, twi_json *json)
{
    bfx_event event = {.number = 0};
    twi_json_slice key;
    twi_json_enter_object(json);
    while (twi_json_next_member(json, &key)) {
        if (TWI_JSON_IS(key, "event"))
            twi_json_string(json, &event.event);
        else if (TWI_JSON_IS(key, "channel"))
            twi_json_string(json, &event.channel);
        else if (TWI_JSON_IS(key, "symbol"))
            twi_json_string(json, &event.symbol);
        else if (TWI_JSON_IS(key, "chanId"))
            twi_json_uint64(json, &event.number);
        else if (TWI_JSON_IS(key, "flags"))
            twi_json_uint64(json, &event.flags);
        else if (TWI_JSON_IS(key, "code"))
            twi_json_int64(json, &event.code);
        else if (TWI_JSON_IS(key, "msg"))
            twi_json_scalar(json, &event.text);
        else
            twi_json_skip(json);
    }
    return twi_json_end(json) == TW_OK ? on_event(m, &event) : TW_MALFORMED;
}

static tw_status on_message(twi_venue *venue, uint32_t link, int64_t recv_ns, const uint8_t *msg, size_t msg_len,
                            tw_sink *sink)
{
    bfx_message m = {.venue = venue, .sink = sink, .link = link, .recv_ns = recv_ns};
    twi_json json;
    twi_json_init(&json, msg, msg_len);
    return twi_json_peek(&json) == TWI_JSON_ARRAY ? on_frame(&m, &json) : read_event(&m, &json);
}

static void link_up(twi_venue *venue, uint32_t link, int64_t now_ns, const char *url)
{
    char bytes[64];
    twi_text text = twi_text_over(bytes, sizeof(bytes));
    (void)now_ns;
    (void)url;
    forget_link(venue, link);
    twi_text_put(&text, "{\"event\":\"conf\",\"flags\":");
    twi_text_number(&text, FLAG_SEQUENCE);
    twi_text_put(&text, "}");
    twi_venue_owe(venue, link, &text);
}

static void write_streams(twi_venue *venue, uint32_t link, bool subscribe, tw_channel channel, twi_slot *const *slots,
                          uint32_t count, uint32_t request, twi_text *out)
{
    (void)link;
    (void)count;
    (void)request;
    if (!subscribe) {
        twi_text_put(out, "{\"event\":\"unsubscribe\",\"chanId\":");
        twi_text_number(out, channel_of_stream(venue, slots[0], (int)channel));
        twi_text_put(out, "}");
        return;
    }
    twi_text_put(out, "{\"event\":\"subscribe\",\"channel\":\"");
    twi_text_put(out, CHANNEL_NAMES[channel]);
    twi_text_put(out, "\",\"symbol\":\"");
    twi_text_bytes(out, slots[0]->id, slots[0]->id_len);
    twi_text_put(out, channel == TW_CHANNEL_BOOK ? "\",\"prec\":\"P0\",\"freq\":\"F0\",\"len\":\"100\"}" : "\"}");
}

static void write_ping(twi_venue *venue, uint32_t link, int64_t now_ns, twi_text *out)
{
    (void)link;
    (void)now_ns;
    twi_text_put(out, "{\"event\":\"ping\",\"cid\":");
    twi_text_number(out, ++venue->request_id);
    twi_text_put(out, "}");
}

/* ---- names ---- */

static const twi_code CODES[] = {{"UST", "USDT"},  {"EUT", "EURT"},  {"DSH", "DASH"},   {"IOT", "IOTA"},
                                 {"QSH", "QASH"},  {"MNA", "MANA"},  {"ALG", "ALGO"},   {"ATO", "ATOM"},
                                 {"AMP", "AMPL"},  {"BCHN", "BCH"},  {"BCHABC", "XEC"}, {"DAT", "DATA"},
                                 {"DOG", "MDOGE"}, {"LUNA", "LUNC"}, {"EDO", "PNT"},    {NULL, NULL}};

/* A currency of a perpetual ends with F0; the codes above are those of spot pairs. */
static void put_code(twi_text *out, const char *text, size_t len)
{
    twi_name name = twi_code_unify(CODES, text, len);
    if (name.text == text && len > 2 && memcmp(text + len - 2, "F0", 2) == 0)
        name = twi_code_unify(CODES, text, len - 2);
    twi_text_bytes(out, name.text, name.len);
}

/* BTCUSD, AAVE:USD, BTCF0:USTF0, with or without the leading t. */
static bool symbol_of_id(const char *id, size_t len, uint8_t group, twi_text *symbol)
{
    enum { SHORT_CODE = 3 };
    (void)group;
    if (len > 0 && id[0] == 't') {
        id++;
        len--;
    }
    const char *colon = memchr(id, ':', len);
    size_t base_len = colon != NULL ? (size_t)(colon - id) : SHORT_CODE;
    const char *quote = colon != NULL ? colon + 1 : id + SHORT_CODE;
    if (colon == NULL && len != 2 * SHORT_CODE)
        return false;
    size_t quote_len = (size_t)(id + len - quote);
    bool perpetual = quote_len > 2 && memcmp(quote + quote_len - 2, "F0", 2) == 0;
    put_code(symbol, id, base_len);
    twi_text_put(symbol, "/");
    put_code(symbol, quote, quote_len);
    if (perpetual) {
        twi_text_put(symbol, ":");
        put_code(symbol, quote, quote_len);
    }
    return true;
}

static bool id_of_symbol(const char *symbol, size_t len, twi_text *id, uint8_t *group)
{
    enum { SHORT_CODE = 3 };
    twi_symbol_parts parts;
    *group = 0;
    if (!twi_symbol_split(symbol, len, &parts) || parts.expiry.len > 0)
        return false;
    bool perpetual = parts.settle.len > 0;
    twi_name base = twi_code_of_venue(CODES, parts.base), quote = twi_code_of_venue(CODES, parts.quote);
    twi_text_put(id, "t");
    twi_text_bytes(id, base.text, base.len);
    if (perpetual)
        twi_text_put(id, "F0");
    if (perpetual || base.len > SHORT_CODE || quote.len > SHORT_CODE)
        twi_text_put(id, ":");
    twi_text_bytes(id, quote.text, quote.len);
    if (perpetual)
        twi_text_put(id, "F0");
    return true;
}

/* A list of lists of pairs; the pairs have no further properties, prices have five significant digits. */
static void read_pair(twi_json *json, tw_market_fn fn, void *owner)
{
    twi_json_slice pair;
    tw_market market = {.active = 1, .amount_step = {.mantissa = 1, .exponent = -8}};
    if (twi_json_peek(json) != TWI_JSON_STRING) {
        twi_json_skip(json);
        return;
    }
    twi_json_string(json, &pair);
    twi_text symbol = twi_text_over(market.symbol, TW_SYMBOL_MAX);
    if (pair.len + 1 > TW_VENUE_ID_MAX || !symbol_of_id(pair.text, pair.len, 0, &symbol) || symbol.overflow)
        return;
    market.id[0] = 't';
    memcpy(market.id + 1, pair.text, pair.len);
    twi_symbol_parts parts;
    if (!twi_symbol_split(market.symbol, symbol.len, &parts))
        return;
    twi_market_copy(market.base, sizeof(market.base), parts.base.text, parts.base.len);
    twi_market_copy(market.quote, sizeof(market.quote), parts.quote.text, parts.quote.len);
    twi_market_copy(market.settle, sizeof(market.settle), parts.settle.text, parts.settle.len);
    market.type = parts.settle.len > 0 ? TW_MARKET_SWAP : TW_MARKET_SPOT;
    market.linear = parts.settle.len > 0;
    fn(owner, &market);
}

static void read_pairs(twi_json *json, tw_market_fn fn, void *owner)
{
    twi_json_enter_array(json);
    while (twi_json_next_item(json))
        read_pair(json, fn, owner);
}

static tw_status markets_parse(const uint8_t *body, size_t body_len, tw_market_fn fn, void *owner)
{
    return twi_market_list(body, body_len, NULL, read_pairs, fn, owner);
}

static tw_status markets_request(const tw_feed_config *config, uint32_t page, tw_request *request)
{
    static const char *const paths[] = {"/v2/conf/pub:list:pair:exchange", "/v2/conf/pub:list:pair:futures"};
    return page < 2 ? twi_market_request(config, REST_URL, paths[page], 0, request) : TW_EMPTY;
}

/* ---- the feed ---- */

static const tw_feed_limits LIMITS = {.streams_per_link = 25,
                                      .dial_count = 20,
                                      .dial_window_ns = 60 * TWI_NS_PER_S,
                                      .silence_ns_max = 30 * TWI_NS_PER_S, /* hb every 15 s */
                                      .message_bytes_max = 1 << 20};

static const twi_venue_traits TRAITS = {.ops = &twi_feed_bitfinex,
                                        .stream_urls = {"wss://api-pub.bitfinex.com/ws/2"},
                                        .rest_url = REST_URL,
                                        .repair = TWI_REPAIR_RESUBSCRIBE,
                                        .book_levels = 1024,
                                        .acks = true,
                                        .batch_max = 1,
                                        .output_gap_ns = 50 * TWI_NS_PER_MS,
                                        .ping_gap_ns = 20 * TWI_NS_PER_S,
                                        .request_gap_ns = 2 * TWI_NS_PER_S,
                                        .extra_bytes = sizeof(bfx_extra),
                                        .id_of_symbol = id_of_symbol,
                                        .symbol_of_id = symbol_of_id,
                                        .link_up = link_up,
                                        .write_streams = write_streams,
                                        .write_ping = write_ping,
                                        .message = on_message};

static size_t state_size(const tw_feed_config *config)
{
    return twi_venue_size(&TRAITS, config);
}

static tw_status init(void *state, const tw_feed_config *config, tw_symbols *symbols)
{
    return twi_venue_init(state, &TRAITS, config, symbols);
}

const tw_feed_ops twi_feed_bitfinex = {TWI_VENUE_SHARED_OPS,
                                       .name = "bitfinex",
                                       .has = TW_HAS_WATCH_TRADES | TW_HAS_WATCH_TICKER | TW_HAS_WATCH_ORDER_BOOK |
                                              TW_HAS_UNWATCH | TW_HAS_FETCH_MARKETS | TWI_HAS_FETCH |
                                              TW_HAS_BOOK_SEQUENCE | TW_HAS_BOOK_CHECKSUM | TW_HAS_TRADE_HISTORY,
                                       .limits = &LIMITS,
                                       .state_size = state_size,
                                       .init = init,
                                       .markets_request = markets_request,
                                       .markets_parse = markets_parse};
