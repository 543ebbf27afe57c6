/* bitstamp.c - Bitstamp v2: diff_order_book and live_trades, the book joined with a REST snapshot.
 *
 * Rules:    differences carry a microtimestamp and nothing else; those at or before the snapshot's are dropped.
 *           There is no continuity rule, so a loss does not show; but one that is older than the last applied was
 *           overtaken, and breaks the book. A snapshot must not be older than the first difference that was kept.
 * Quirks:   exact decimals are in the `_str` members of a trade; one channel per message; bts:request_reconnect means
 *           at once. Best bid and ask have no channel of their own.
 * Source:   www.bitstamp.net/websocket/v2; recordings. */
#include "feed/market.h"
#include "feed/registry.h"
#include "feed/shapes.h"

#define REST_URL "https://www.bitstamp.net"

static const char *const PREFIXES[TWI_STREAM_COUNT] = {"live_trades_", NULL, "diff_order_book_"};

typedef struct bts_message {
    twi_venue *venue;
    tw_sink *sink;
    uint32_t link;
    int64_t recv_ns;
    const uint8_t *msg;
    size_t msg_len;
    twi_json_slice event, channel;
} bts_message;

/* The stream of a channel name and the symbol in it; -1: none of ours. */
static int split_channel(twi_json_slice channel, twi_json_slice *id)
{
    for (int stream = 0; stream < TWI_STREAM_COUNT; stream++) {
        size_t len = PREFIXES[stream] != NULL ? strlen(PREFIXES[stream]) : 0;
        if (len == 0 || channel.len <= len || memcmp(channel.text, PREFIXES[stream], len) != 0)
            continue;
        *id = (twi_json_slice){.text = channel.text + len, .len = channel.len - (uint32_t)len};
        return stream;
    }
    return -1;
}

typedef struct bts_book {
    twi_sides sides;
    uint64_t micro;
} bts_book;

static bool read_book(twi_json *json, bts_book *book)
{
    twi_json_slice key;
    twi_json_enter_object(json);
    while (twi_json_next_member(json, &key)) {
        if (TWI_JSON_IS(key, "microtimestamp"))
            twi_json_uint64(json, &book->micro);
        else if (TWI_JSON_IS(key, "bids"))
            twi_scan_side(json, TWI_BID, &book->sides);
        else if (TWI_JSON_IS(key, "asks"))
            twi_scan_side(json, TWI_ASK, &book->sides);
        else
            twi_json_skip(json);
    }
    return json->status == TW_OK && book->micro != 0;
}

static twi_update_info info_of(const bts_book *book, bool snapshot, int64_t recv_ns)
{
    return (twi_update_info){.snapshot = snapshot,
                             .seq = book->micro,
                             .venue_ns = twi_time_from((int64_t)book->micro, TWI_NS_PER_US),
                             .recv_ns = recv_ns};
}

static tw_status on_book(const bts_message *m, twi_slot *slot, twi_json *json)
{
    bts_book book = {.micro = 0};
    if (!read_book(json, &book))
        return TW_MALFORMED;
    twi_delta delta = {.link = m->link,
                       .first = book.micro,
                       .last = book.micro,
                       .stale = book.micro == slot->seq || (!slot->bridged && book.micro < slot->seq),
                       .continues = book.micro > slot->seq,
                       .recv_ns = m->recv_ns,
                       .msg = m->msg,
                       .msg_len = m->msg_len};
    twi_verdict verdict = twi_venue_judge(m->venue, slot, &delta, m->sink);
    if (verdict != TWI_APPLY)
        return verdict == TWI_BROKEN ? TW_GAP : TW_OK;
    twi_update update;
    twi_update_info info = info_of(&book, false, m->recv_ns);
    twi_update_begin(&update, m->venue, slot, m->sink, &info);
    return twi_update_finish(&update, &book.sides);
}

static tw_status on_trade(const bts_message *m, twi_slot *slot, twi_json *json)
{
    enum { TYPE_SELL = 1 };
    twi_json_slice key;
    twi_trade trade = {.history = false};
    int64_t type = 0;
    twi_json_enter_object(json);
    while (twi_json_next_member(json, &key)) {
        if (TWI_JSON_IS(key, "id"))
            twi_json_scalar(json, &trade.id);
        else if (TWI_JSON_IS(key, "amount_str"))
            twi_json_decimal(json, &trade.amount);
        else if (TWI_JSON_IS(key, "price_str"))
            twi_json_decimal(json, &trade.price);
        else if (TWI_JSON_IS(key, "type"))
            twi_json_int64(json, &type);
        else if (TWI_JSON_IS(key, "microtimestamp"))
            twi_scan_time(json, TWI_NS_PER_US, &trade.venue_ns);
        else
            twi_json_skip(json);
    }
    trade.sell = type == TYPE_SELL;
    return json->status == TW_OK ? twi_emit_trade(slot, &trade, m->recv_ns, m->sink) : TW_MALFORMED;
}

static tw_status on_data(const bts_message *m, twi_json *data)
{
    twi_json_slice id;
    int stream = split_channel(m->channel, &id);
    if (stream < 0) {
        m->venue->stats.ignored++;
        return TW_OK;
    }
    twi_slot *slot = twi_venue_slot(m->venue, m->link, id.text, id.len);
    if (slot == NULL)
        return TW_OK;
    return stream == TW_CHANNEL_BOOK ? on_book(m, slot, data) : on_trade(m, slot, data);
}

static tw_status on_error(const bts_message *m, twi_json *data)
{
    twi_json_slice key, text = {0}, id;
    twi_json_enter_object(data);
    while (twi_json_next_member(data, &key)) {
        if (TWI_JSON_IS(key, "message"))
            twi_json_string(data, &text);
        else
            twi_json_skip(data);
    }
    twi_venue_error(m->venue, text.text, text.len);
    int stream = split_channel(m->channel, &id);
    twi_slot *slot = stream >= 0 ? twi_venue_find(m->venue, 0, id.text, id.len) : NULL;
    if (slot != NULL)
        twi_venue_ack_stream(m->venue, slot, (tw_channel)stream, false, m->recv_ns, m->sink);
    return TW_OK;
}

static tw_status on_control(const bts_message *m, twi_json *data)
{
    twi_json_slice id;
    if (TWI_JSON_IS(m->event, "bts:request_reconnect"))
        return TW_RELINK;
    if (TWI_JSON_IS(m->event, "bts:error"))
        return on_error(m, data);
    int stream = split_channel(m->channel, &id);
    twi_slot *slot = stream >= 0 ? twi_venue_find(m->venue, 0, id.text, id.len) : NULL;
    if (slot == NULL)
        return TW_OK;
    if (TWI_JSON_IS(m->event, "bts:subscription_succeeded"))
        twi_venue_ack_stream(m->venue, slot, (tw_channel)stream, true, m->recv_ns, m->sink);
    else if (TWI_JSON_IS(m->event, "bts:unsubscription_succeeded"))
        twi_venue_left_stream(m->venue, slot, (tw_channel)stream);
    return TW_OK;
}

static tw_status on_message(twi_venue *venue, uint32_t link, int64_t recv_ns, const uint8_t *msg, size_t msg_len,
                            tw_sink *sink)
{
    bts_message m = {.venue = venue, .sink = sink, .link = link, .recv_ns = recv_ns, .msg = msg, .msg_len = msg_len};
    twi_json json, data = {0};
    twi_json_slice key;
    twi_json_init(&json, msg, msg_len);
    twi_json_enter_object(&json);
    while (twi_json_next_member(&json, &key)) {
        if (TWI_JSON_IS(key, "event"))
            twi_json_string(&json, &m.event);
        else if (TWI_JSON_IS(key, "channel"))
            twi_json_string(&json, &m.channel);
        else if (TWI_JSON_IS(key, "data"))
            twi_json_defer(&json, &data);
        else
            twi_json_skip(&json);
    }
    if (twi_json_end(&json) != TW_OK)
        return TW_MALFORMED;
    if (TWI_JSON_IS(m.event, "data") || TWI_JSON_IS(m.event, "trade"))
        return on_data(&m, &data);
    return on_control(&m, &data);
}

/* ---- REST ---- */

static tw_status on_response(twi_venue *venue, int64_t recv_ns, const tw_response *response, tw_sink *sink)
{
    const char *symbol = response->url != NULL ? strstr(response->url, "/order_book/") : NULL;
    if (symbol == NULL)
        return twi_venue_take_markets(venue, response->body, response->body_len);
    symbol += strlen("/order_book/");
    bts_book book = {.micro = 0};
    twi_json json;
    twi_json_init(&json, response->body, response->body_len);
    bool whole = read_book(&json, &book) && book.sides.has[TWI_BID] && book.sides.has[TWI_ASK];
    if (!whole || twi_json_end(&json) != TW_OK)
        return TW_MALFORMED;
    twi_slot *slot = twi_venue_slot(venue, 0, symbol, strcspn(symbol, "/?"));
    twi_update_info info = info_of(&book, true, recv_ns);
    return slot == NULL ? TW_OK : twi_take_snapshot(venue, slot, &info, 0, &book.sides, twi_update_finish, sink);
}

static void write_book_url(twi_venue *venue, const twi_slot *slot, twi_text *url)
{
    (void)venue;
    twi_text_put(url, "/api/v2/order_book/");
    twi_text_bytes(url, slot->id, slot->id_len);
    twi_text_put(url, "/");
}

static void write_streams(twi_venue *venue, uint32_t link, bool subscribe, tw_channel channel, twi_slot *const *slots,
                          uint32_t count, uint32_t request, twi_text *out)
{
    (void)venue;
    (void)link;
    (void)count;
    (void)request;
    twi_text_put(out, subscribe ? "{\"event\":\"bts:subscribe\",\"data\":{\"channel\":\""
                                : "{\"event\":\"bts:unsubscribe\",\"data\":{\"channel\":\"");
    twi_text_put(out, PREFIXES[channel]);
    twi_text_bytes(out, slots[0]->id, slots[0]->id_len);
    twi_text_put(out, "\"}}");
}

static void write_ping(twi_venue *venue, uint32_t link, int64_t now_ns, twi_text *out)
{
    (void)venue;
    (void)link;
    (void)now_ns;
    twi_text_put(out, "{\"event\":\"bts:heartbeat\"}");
}

/* ---- markets ---- */

static const char *const QUOTES[] = {"usd", "eur", "gbp", "usdt", "usdc", "btc", "eth", "pax", NULL};

static bool id_of_symbol(const char *symbol, size_t len, twi_text *id, uint8_t *group)
{
    twi_symbol_parts parts;
    *group = 0;
    if (!twi_symbol_split(symbol, len, &parts) || parts.settle.len > 0)
        return false;
    twi_text_lower(id, parts.base.text, parts.base.len);
    twi_text_lower(id, parts.quote.text, parts.quote.len);
    return true;
}

static bool symbol_of_id(const char *id, size_t len, uint8_t group, twi_text *symbol)
{
    size_t base_len;
    (void)group;
    if (!twi_split_quote(id, len, QUOTES, &base_len))
        return false;
    twi_text_upper(symbol, id, base_len);
    twi_text_put(symbol, "/");
    twi_text_upper(symbol, id + base_len, len - base_len);
    return true;
}

static void read_market(twi_json *json, tw_market_fn fn, void *owner)
{
    twi_json_slice key, value, name = {0};
    tw_market market = {.active = 0};
    int64_t base_decimals = -1, counter_decimals = -1;
    twi_json_enter_object(json);
    while (twi_json_next_member(json, &key)) {
        if ((TWI_JSON_IS(key, "url_symbol") || TWI_JSON_IS(key, "market_symbol")) && twi_json_string(json, &value))
            TWI_MARKET_SET(market.id, value);
        else if (TWI_JSON_IS(key, "name"))
            twi_json_string(json, &name);
        else if (TWI_JSON_IS(key, "trading") && twi_json_string(json, &value))
            market.active = TWI_JSON_IS(value, "Enabled");
        else if (TWI_JSON_IS(key, "base_decimals"))
            twi_json_int64(json, &base_decimals);
        else if (TWI_JSON_IS(key, "counter_decimals"))
            twi_json_int64(json, &counter_decimals);
        else if (TWI_JSON_IS(key, "minimum_order_value"))
            twi_scan_optional(json, &market.cost_min);
        else
            twi_json_skip(json);
    }
    const char *slash = memchr(name.text != NULL ? name.text : "", '/', name.len);
    if (json->status != TW_OK || market.id[0] == 0 || slash == NULL)
        return;
    size_t base_len = (size_t)(slash - name.text);
    twi_market_copy(market.base, sizeof(market.base), name.text, base_len);
    twi_market_copy(market.quote, sizeof(market.quote), slash + 1, name.len - base_len - 1);
    market.amount_step = twi_market_tick(base_decimals);
    market.price_tick = twi_market_tick(counter_decimals);
    twi_market_name_symbol(&market);
    fn(owner, &market);
}

static tw_status markets_parse(const uint8_t *body, size_t body_len, tw_market_fn fn, void *owner)
{
    return twi_market_list(body, body_len, NULL, read_market, fn, owner);
}

static tw_status markets_request(const tw_feed_config *config, uint32_t page, tw_request *request)
{
    return twi_market_request(config, REST_URL, "/api/v2/markets/", page, request);
}

/* ---- the feed ---- */

static const tw_feed_limits LIMITS = {.streams_per_link = 200,
                                      .dial_count = 5,
                                      .dial_window_ns = TWI_NS_PER_S,
                                      .link_age_ns_max = 90 * 86400 * TWI_NS_PER_S,
                                      .silence_ns_max = 60 * TWI_NS_PER_S,
                                      .message_bytes_max = 1 << 20};

static const twi_venue_traits TRAITS = {.ops = &twi_feed_bitstamp,
                                        .stream_urls = {"wss://ws.bitstamp.net"},
                                        .rest_url = REST_URL,
                                        .repair = TWI_REPAIR_FETCH,
                                        .book_levels = 16384,
                                        .acks = true,
                                        .batch_max = 1,
                                        .output_gap_ns = 50 * TWI_NS_PER_MS,
                                        .ping_gap_ns = 20 * TWI_NS_PER_S,
                                        .request_gap_ns = 200 * TWI_NS_PER_MS,
                                        .id_of_symbol = id_of_symbol,
                                        .symbol_of_id = symbol_of_id,
                                        .write_streams = write_streams,
                                        .write_ping = write_ping,
                                        .write_book_url = write_book_url,
                                        .message = on_message,
                                        .response = on_response};

static size_t state_size(const tw_feed_config *config)
{
    return twi_venue_size(&TRAITS, config);
}

static tw_status init(void *state, const tw_feed_config *config, tw_symbols *symbols)
{
    return twi_venue_init(state, &TRAITS, config, symbols);
}

const tw_feed_ops twi_feed_bitstamp = {TWI_VENUE_SHARED_OPS,
                                       .name = "bitstamp",
                                       .has = TW_HAS_WATCH_TRADES | TW_HAS_WATCH_ORDER_BOOK | TW_HAS_UNWATCH |
                                              TW_HAS_FETCH_MARKETS | TWI_HAS_FETCH | TW_HAS_BOOK_SNAPSHOT_REST,
                                       .limits = &LIMITS,
                                       .state_size = state_size,
                                       .init = init,
                                       .markets_request = markets_request,
                                       .markets_parse = markets_parse};
