/* kraken_v1.c - Kraken spot WebSocket v1, the older protocol that is still served: book, trade, ticker.
 *
 * Rules:    as v2 (kraken.c): depth cut, then the CRC-32 over the text of the best ten levels, here on every update.
 * Shape:    data is an array [channelID, payload..., channelName, pair]; a book update that changes both sides has two
 *           payload objects. The name of the book channel ("book-1000") tells the depth.
 * Quirks:   XBT and XDG; trades have no id; a fourth item "r" marks a republished level and means nothing here.
 * Source:   docs.kraken.com/api/docs/websocket-v1; recordings. */
#include "feed/kraken_common.h"
#include "feed/registry.h"
#include "feed/scan.h"

enum { DEPTH_DEFAULT = 1000, PAYLOADS_MAX = 2, TIME_SECONDS = 0 };

static const char *const CHANNEL_NAMES[TWI_STREAM_COUNT] = {"trade", "spread", "book"};

typedef struct v1_message {
    twi_venue *venue;
    tw_sink *sink;
    uint32_t link;
    int64_t recv_ns;
    twi_json payloads[PAYLOADS_MAX];
    uint32_t payload_count;
    twi_json_slice channel, pair;
} v1_message;

/* ---- book ---- */

typedef struct v1_book {
    twi_json levels[2 * PAYLOADS_MAX];
    twi_side sides[2 * PAYLOADS_MAX];
    uint32_t count;
    bool snapshot, has_checksum;
    uint64_t checksum;
} v1_book;

static void add_levels(v1_book *book, twi_json *json, twi_side side, bool snapshot)
{
    if (book->count == 2 * PAYLOADS_MAX) {
        twi_json_fail(json, TW_MALFORMED);
        return;
    }
    book->snapshot |= snapshot;
    book->sides[book->count] = side;
    if (twi_json_defer(json, &book->levels[book->count]))
        book->count++;
}

static bool read_book(twi_json *json, v1_book *book)
{
    twi_json_slice key;
    twi_json_enter_object(json);
    while (twi_json_next_member(json, &key)) {
        if (TWI_JSON_IS(key, "as"))
            add_levels(book, json, TWI_ASK, true);
        else if (TWI_JSON_IS(key, "bs"))
            add_levels(book, json, TWI_BID, true);
        else if (TWI_JSON_IS(key, "a"))
            add_levels(book, json, TWI_ASK, false);
        else if (TWI_JSON_IS(key, "b"))
            add_levels(book, json, TWI_BID, false);
        else if (TWI_JSON_IS(key, "c"))
            book->has_checksum = twi_json_uint64(json, &book->checksum);
        else
            twi_json_skip(json);
    }
    return json->status == TW_OK;
}

/* [[price, volume, time(, "r")], ...]; the time of the message is that of its last level. */
static void apply_levels(twi_update *update, twi_side side, twi_json *json)
{
    twi_json_enter_array(json);
    while (twi_json_next_item(json)) {
        tw_decimal price, volume;
        bool whole = twi_json_enter_array(json) && twi_json_next_item(json) && twi_json_decimal(json, &price) &&
                     twi_json_next_item(json) && twi_json_decimal(json, &volume) && twi_json_next_item(json) &&
                     twi_scan_fraction(json, TIME_SECONDS, &update->info.venue_ns);
        if (!whole) {
            twi_json_fail(json, TW_MALFORMED);
            return;
        }
        twi_json_drain_array(json);
        twi_update_level(update, side, price, volume);
    }
}

/* "book-1000" tells the depth that was subscribed. */
static void learn_depth(twi_slot *slot, twi_json_slice channel)
{
    uint32_t depth = 0;
    for (uint32_t i = sizeof("book-") - 1; i < channel.len && channel.text[i] >= '0' && channel.text[i] <= '9'; i++)
        depth = depth * 10 + (uint32_t)(channel.text[i] - '0');
    if (depth > 0 && depth <= DEPTH_DEFAULT)
        slot->depth = depth;
}

static tw_status on_book(v1_message *m, twi_slot *slot)
{
    v1_book book = {.count = 0};
    for (uint32_t i = 0; i < m->payload_count; i++) {
        if (!read_book(&m->payloads[i], &book))
            return TW_MALFORMED;
    }
    if (!book.snapshot && !twi_venue_delta_usable(slot))
        return TW_OK;
    learn_depth(slot, m->channel);
    twi_update update;
    twi_update_info info = {.snapshot = book.snapshot, .recv_ns = m->recv_ns};
    twi_update_begin(&update, m->venue, slot, m->sink, &info);
    for (uint32_t i = 0; i < book.count; i++) {
        apply_levels(&update, book.sides[i], &book.levels[i]);
        if (book.levels[i].status != TW_OK)
            return twi_update_abort(&update);
    }
    twi_update_cut(&update);
    if (book.has_checksum)
        twi_update_checksum(&update, (uint32_t)book.checksum, twi_kraken_checksum(&slot->book));
    return twi_update_end(&update);
}

/* ---- trades, tickers, spreads ---- */

/* [[price, volume, time, "b"|"s", "m"|"l", misc], ...] */
static tw_status on_trades(v1_message *m, twi_slot *slot)
{
    twi_json *json = &m->payloads[0];
    tw_status status = TW_OK;
    twi_json_enter_array(json);
    while (status == TW_OK && twi_json_next_item(json)) {
        twi_trade trade = {.history = false};
        bool whole = twi_json_enter_array(json) && twi_json_next_item(json) && twi_json_decimal(json, &trade.price) &&
                     twi_json_next_item(json) && twi_json_decimal(json, &trade.amount) && twi_json_next_item(json) &&
                     twi_scan_fraction(json, TIME_SECONDS, &trade.venue_ns) && twi_json_next_item(json) &&
                     twi_scan_is_sell(json, &trade.sell);
        if (!whole)
            return TW_MALFORMED;
        twi_json_drain_array(json);
        status = twi_emit_trade(slot, &trade, m->recv_ns, m->sink);
    }
    return json->status == TW_OK ? status : TW_MALFORMED;
}

/* Items of a row of decimals. */
static bool read_row(twi_json *json, tw_decimal *values, uint32_t count)
{
    if (!twi_json_enter_array(json))
        return false;
    for (uint32_t i = 0; i < count; i++) {
        if (!twi_json_next_item(json) || !twi_json_decimal(json, &values[i]))
            return twi_json_fail(json, TW_MALFORMED);
    }
    twi_json_drain_array(json);
    return json->status == TW_OK;
}

/* {"a":[price, wholeLots, lots],"b":[...], ...} */
static tw_status on_ticker(v1_message *m, twi_slot *slot)
{
    twi_json *json = &m->payloads[0];
    twi_json_slice key;
    tw_decimal ask[3] = {{0}}, bid[3] = {{0}};
    twi_json_enter_object(json);
    while (twi_json_next_member(json, &key)) {
        if (TWI_JSON_IS(key, "a"))
            read_row(json, ask, 3);
        else if (TWI_JSON_IS(key, "b"))
            read_row(json, bid, 3);
        else
            twi_json_skip(json);
    }
    if (json->status != TW_OK)
        return TW_MALFORMED;
    twi_quote quote = {.bid = bid[0], .bid_amount = bid[2], .ask = ask[0], .ask_amount = ask[2]};
    return twi_emit_quote(slot, &quote, m->recv_ns, m->sink);
}

/* [bid, ask, time, bidVolume, askVolume] */
static tw_status on_spread(v1_message *m, twi_slot *slot)
{
    tw_decimal row[5];
    if (!read_row(&m->payloads[0], row, 5))
        return TW_MALFORMED;
    twi_quote quote = {.bid = row[0],
                       .ask = row[1],
                       .venue_ns = twi_time_from_decimal(row[2], TIME_SECONDS),
                       .bid_amount = row[3],
                       .ask_amount = row[4]};
    return twi_emit_quote(slot, &quote, m->recv_ns, m->sink);
}

static tw_status on_data(v1_message *m)
{
    twi_json_slice base = m->channel;
    const char *dash = memchr(base.text, '-', base.len);
    base.len = dash != NULL ? (uint32_t)(dash - base.text) : base.len;
    bool book = TWI_JSON_IS(base, "book"), trade = TWI_JSON_IS(base, "trade");
    bool ticker = TWI_JSON_IS(base, "ticker"), spread = TWI_JSON_IS(base, "spread");
    if (!book && !trade && !ticker && !spread) {
        m->venue->stats.ignored++;
        return TW_OK;
    }
    twi_slot *slot = twi_venue_slot(m->venue, m->link, m->pair.text, m->pair.len);
    if (slot == NULL)
        return TW_OK;
    if (book)
        return on_book(m, slot);
    return trade ? on_trades(m, slot) : ticker ? on_ticker(m, slot) : on_spread(m, slot);
}

/* [channelID, payload..., channelName, pair]: the last two strings are the names. */
static tw_status on_array(v1_message *m, twi_json *json)
{
    bool first = true;
    twi_json_enter_array(json);
    while (twi_json_next_item(json)) {
        twi_json_type type = twi_json_peek(json);
        if (type == TWI_JSON_STRING) {
            m->channel = m->pair;
            twi_json_string(json, &m->pair);
        } else if (!first && m->payload_count < PAYLOADS_MAX) {
            twi_json_defer(json, &m->payloads[m->payload_count++]);
        } else {
            twi_json_skip(json);
        }
        first = false;
    }
    if (twi_json_end(json) != TW_OK || m->payload_count == 0 || m->channel.len == 0)
        return TW_MALFORMED;
    return on_data(m);
}

/* ---- control ---- */

typedef struct v1_event {
    twi_json_slice event, status, pair, channel, text;
} v1_event;

static tw_status on_subscription(const v1_message *m, const v1_event *event)
{
    twi_slot *slot = twi_venue_find(m->venue, m->venue->links[m->link].group, event->pair.text, event->pair.len);
    bool refused = TWI_JSON_IS(event->status, "error");
    if (refused)
        twi_venue_error(m->venue, event->text.text, event->text.len);
    if (slot == NULL)
        return TW_OK;
    for (int channel = 0; channel < TWI_STREAM_COUNT; channel++) {
        size_t len = strlen(CHANNEL_NAMES[channel]);
        bool named = event->channel.len >= len && memcmp(event->channel.text, CHANNEL_NAMES[channel], len) == 0;
        if (named)
            twi_venue_ack_stream(m->venue, slot, (tw_channel)channel, !refused, m->recv_ns, m->sink);
    }
    return TW_OK;
}

static void read_subscription(twi_json *json, v1_event *event)
{
    twi_json_slice key;
    twi_json_enter_object(json);
    while (twi_json_next_member(json, &key)) {
        if (TWI_JSON_IS(key, "name") && event->channel.len == 0)
            twi_json_string(json, &event->channel);
        else
            twi_json_skip(json);
    }
}

static tw_status on_object(const v1_message *m, twi_json *json)
{
    v1_event event = {.event = {0}};
    twi_json_slice key;
    twi_json_enter_object(json);
    while (twi_json_next_member(json, &key)) {
        if (TWI_JSON_IS(key, "event"))
            twi_json_string(json, &event.event);
        else if (TWI_JSON_IS(key, "status"))
            twi_json_string(json, &event.status);
        else if (TWI_JSON_IS(key, "pair"))
            twi_json_string(json, &event.pair);
        else if (TWI_JSON_IS(key, "channelName"))
            twi_json_string(json, &event.channel);
        else if (TWI_JSON_IS(key, "subscription"))
            read_subscription(json, &event);
        else if (TWI_JSON_IS(key, "errorMessage"))
            twi_json_string(json, &event.text);
        else
            twi_json_skip(json);
    }
    if (twi_json_end(json) != TW_OK)
        return TW_MALFORMED;
    if (TWI_JSON_IS(event.event, "subscriptionStatus"))
        return on_subscription(m, &event);
    if (TWI_JSON_IS(event.event, "error"))
        twi_venue_error(m->venue, event.text.text, event.text.len);
    return TW_OK;
}

static tw_status on_message(twi_venue *venue, uint32_t link, int64_t recv_ns, const uint8_t *msg, size_t msg_len,
                            tw_sink *sink)
{
    v1_message m = {.venue = venue, .sink = sink, .link = link, .recv_ns = recv_ns};
    twi_json json;
    twi_json_init(&json, msg, msg_len);
    return twi_json_peek(&json) == TWI_JSON_ARRAY ? on_array(&m, &json) : on_object(&m, &json);
}

static void write_streams(twi_venue *venue, uint32_t link, bool subscribe, tw_channel channel, twi_slot *const *slots,
                          uint32_t count, uint32_t request, twi_text *out)
{
    (void)link;
    twi_text_put(out, subscribe ? "{\"event\":\"subscribe\",\"pair\":[" : "{\"event\":\"unsubscribe\",\"pair\":[");
    twi_write_ids(out, slots, count);
    twi_text_put(out, "],\"subscription\":{\"name\":\"");
    twi_text_put(out, CHANNEL_NAMES[channel]);
    twi_text_put(out, "\"");
    if (channel == TW_CHANNEL_BOOK) {
        twi_text_put(out, ",\"depth\":");
        twi_text_number(out, venue->book_depth);
    }
    twi_text_put(out, "},\"reqid\":");
    twi_text_number(out, request);
    twi_text_put(out, "}");
}

static void write_ping(twi_venue *venue, uint32_t link, int64_t now_ns, twi_text *out)
{
    (void)venue;
    (void)link;
    (void)now_ns;
    twi_text_put(out, "{\"event\":\"ping\"}");
}

static bool id_of_symbol(const char *symbol, size_t len, twi_text *id, uint8_t *group)
{
    *group = 0;
    return twi_joined_of_symbol(symbol, len, "/", twi_kraken_codes, id);
}

static bool symbol_of_id(const char *id, size_t len, uint8_t group, twi_text *symbol)
{
    (void)group;
    return twi_symbol_of_joined(id, len, '/', twi_kraken_codes, symbol);
}

/* ---- the feed ---- */

static const tw_feed_limits LIMITS = {.streams_per_link = 600,
                                      .dial_count = 30,
                                      .dial_window_ns = 600 * TWI_NS_PER_S,
                                      .silence_ns_max = 5 * TWI_NS_PER_S,
                                      .message_bytes_max = 1 << 20};

static const twi_venue_traits TRAITS = {.ops = &twi_feed_kraken_v1,
                                        .stream_urls = {"wss://ws.kraken.com"},
                                        .rest_url = TWI_KRAKEN_REST_URL,
                                        .repair = TWI_REPAIR_RESUBSCRIBE,
                                        .book_levels = 2048,
                                        .book_depth = DEPTH_DEFAULT,
                                        .book_cut = true,
                                        .acks = true,
                                        .batch_max = 50,
                                        .output_gap_ns = 200 * TWI_NS_PER_MS,
                                        .ping_gap_ns = 20 * TWI_NS_PER_S,
                                        .request_gap_ns = TWI_NS_PER_S,
                                        .id_of_symbol = id_of_symbol,
                                        .symbol_of_id = symbol_of_id,
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

const tw_feed_ops twi_feed_kraken_v1 = {TWI_VENUE_SHARED_OPS,
                                        .name = "kraken_v1",
                                        .has = TW_HAS_WATCH_TRADES | TW_HAS_WATCH_TICKER | TW_HAS_WATCH_ORDER_BOOK |
                                               TW_HAS_UNWATCH | TW_HAS_FETCH_MARKETS | TWI_HAS_FETCH |
                                               TW_HAS_BOOK_CHECKSUM,
                                        .limits = &LIMITS,
                                        .state_size = state_size,
                                        .init = init,
                                        .markets_request = twi_kraken_markets_request,
                                        .markets_parse = twi_kraken_markets_parse_v1};
