/* coinbase.c - Coinbase Advanced Trade: level2, market_trades, ticker, with heartbeats to keep the channels open.
 *
 * Rules:    `sequence_num` counts every message of the connection from 0; a hole means that any book may have lost
 *           something, so all of them are broken and the connection is made anew. The book comes whole in its first
 *           `l2_data` event, afterwards absolute quantities.
 * Quirks:   trades come newest first and `side` is the maker's; a product in USDC answers under the id of its USD twin;
 *           one channel per subscribe message; data may come before its `subscriptions` message.
 * Source:   docs.cdp.coinbase.com/coinbase-app/advanced-trade-apis/websocket. */
#include "feed/market.h"
#include "feed/registry.h"
#include "feed/shapes.h"

#define REST_URL "https://api.coinbase.com"

static const char *const CHANNEL_NAMES[TWI_STREAM_COUNT] = {"market_trades", "ticker", "level2"};

typedef struct cb_message {
    twi_venue *venue;
    tw_sink *sink;
    uint32_t link;
    int64_t recv_ns, time_ns;
} cb_message;

/* Messages of USDC products carry the id of the USD product. */
static twi_slot *find_known(const cb_message *m, twi_json_slice id)
{
    uint8_t group = m->venue->links[m->link].group;
    twi_slot *slot = twi_venue_find(m->venue, group, id.text, id.len);
    if (slot == NULL && id.len > 4 && id.len < TW_VENUE_ID_MAX && memcmp(id.text + id.len - 4, "-USD", 4) == 0) {
        char twin[TW_VENUE_ID_MAX];
        memcpy(twin, id.text, id.len);
        twin[id.len] = 'C';
        slot = twi_venue_find(m->venue, group, twin, id.len + 1);
    }
    return slot;
}

static twi_slot *find_slot(const cb_message *m, twi_json_slice id)
{
    twi_slot *slot = find_known(m, id);
    return slot != NULL ? slot : twi_venue_slot(m->venue, m->link, id.text, id.len);
}

/* ---- level2 ---- */

static void apply_update(twi_update *update, twi_json *json)
{
    twi_json_slice key, side = {0};
    tw_decimal price = {0}, quantity = {0};
    bool has_price = false, has_quantity = false;
    twi_json_enter_object(json);
    while (twi_json_next_member(json, &key)) {
        if (TWI_JSON_IS(key, "side"))
            twi_json_string(json, &side);
        else if (TWI_JSON_IS(key, "price_level"))
            has_price = twi_json_decimal(json, &price);
        else if (TWI_JSON_IS(key, "new_quantity"))
            has_quantity = twi_json_decimal(json, &quantity);
        else
            twi_json_skip(json);
    }
    bool bid = TWI_JSON_IS(side, "bid"), ask = TWI_JSON_IS(side, "offer") || TWI_JSON_IS(side, "ask");
    if (!has_price || !has_quantity || (!bid && !ask))
        twi_json_fail(json, TW_MALFORMED);
    else
        twi_update_level(update, bid ? TWI_BID : TWI_ASK, price, quantity);
}

static tw_status on_level2(const cb_message *m, twi_json_slice product, bool snapshot, twi_json *updates)
{
    twi_slot *slot = find_slot(m, product);
    if (slot == NULL || (!snapshot && !twi_venue_delta_usable(slot)))
        return TW_OK;
    twi_update update;
    twi_update_info info = {.snapshot = snapshot, .venue_ns = m->time_ns, .recv_ns = m->recv_ns};
    twi_update_begin(&update, m->venue, slot, m->sink, &info);
    twi_json_enter_array(updates);
    while (twi_json_next_item(updates))
        apply_update(&update, updates);
    return updates->status == TW_OK ? twi_update_end(&update) : twi_update_abort(&update);
}

/* ---- trades and tickers ---- */

static void read_trade(twi_json *json, twi_trade *trade, twi_json_slice *product)
{
    twi_json_slice key;
    bool maker_sells = false;
    twi_json_enter_object(json);
    while (twi_json_next_member(json, &key)) {
        if (TWI_JSON_IS(key, "product_id"))
            twi_json_string(json, product);
        else if (TWI_JSON_IS(key, "trade_id"))
            twi_json_scalar(json, &trade->id);
        else if (TWI_JSON_IS(key, "price"))
            twi_json_decimal(json, &trade->price);
        else if (TWI_JSON_IS(key, "size"))
            twi_json_decimal(json, &trade->amount);
        else if (TWI_JSON_IS(key, "time"))
            twi_scan_iso(json, &trade->venue_ns);
        else if (TWI_JSON_IS(key, "side"))
            twi_scan_is_sell(json, &maker_sells);
        else
            twi_json_skip(json);
    }
    trade->sell = !maker_sells;
}

/* Emits a list of one product; a list may hold several products, each run of them is turned round by itself. */
static tw_status on_trades(const cb_message *m, bool snapshot, twi_json *json)
{
    twi_trades trades;
    twi_slot *slot = NULL;
    tw_status status = TW_OK;
    trades.count = trades.lost = 0;
    twi_json_enter_array(json);
    while (status == TW_OK && twi_json_next_item(json)) {
        twi_trade trade = {.history = snapshot};
        twi_json_slice product = {0};
        read_trade(json, &trade, &product);
        if (json->status != TW_OK)
            return TW_MALFORMED;
        twi_slot *its = find_slot(m, product);
        if (its != slot) {
            status = slot != NULL ? twi_trades_emit_reversed(&trades, slot, m->recv_ns, m->sink) : TW_OK;
            trades.count = 0;
            slot = its;
        }
        if (slot != NULL)
            twi_trades_add(&trades, &trade);
    }
    if (status != TW_OK || json->status != TW_OK)
        return TW_MALFORMED;
    return slot != NULL ? twi_trades_emit_reversed(&trades, slot, m->recv_ns, m->sink) : TW_OK;
}

static tw_status on_ticker(const cb_message *m, twi_json *json)
{
    twi_json_slice key, product = {0};
    twi_quote quote = {.venue_ns = m->time_ns};
    twi_json_enter_object(json);
    while (twi_json_next_member(json, &key)) {
        if (TWI_JSON_IS(key, "product_id"))
            twi_json_string(json, &product);
        else if (TWI_JSON_IS(key, "best_bid"))
            twi_scan_optional(json, &quote.bid);
        else if (TWI_JSON_IS(key, "best_bid_quantity"))
            twi_scan_optional(json, &quote.bid_amount);
        else if (TWI_JSON_IS(key, "best_ask"))
            twi_scan_optional(json, &quote.ask);
        else if (TWI_JSON_IS(key, "best_ask_quantity"))
            twi_scan_optional(json, &quote.ask_amount);
        else
            twi_json_skip(json);
    }
    if (json->status == TW_OK && quote.bid.mantissa == 0 && quote.ask.mantissa == 0) {
        m->venue->stats.ignored++; /* ticker_batch has no best levels */
        return TW_OK;
    }
    twi_slot *slot = json->status == TW_OK ? find_slot(m, product) : NULL;
    return slot != NULL ? twi_emit_quote(slot, &quote, m->recv_ns, m->sink) : TW_OK;
}

static tw_status on_tickers(const cb_message *m, twi_json *json)
{
    tw_status status = TW_OK;
    twi_json_enter_array(json);
    while (status == TW_OK && twi_json_next_item(json))
        status = on_ticker(m, json);
    return json->status == TW_OK ? status : TW_MALFORMED;
}

/* ---- control ---- */

/* {"level2":["BTC-USD"],"ticker":[...]} */
static void on_subscriptions(const cb_message *m, twi_json *json)
{
    twi_json_slice name, product;
    twi_venue_list_open(m->venue, m->link);
    twi_json_enter_object(json);
    while (twi_json_next_member(json, &name)) {
        int found = twi_channel_of(CHANNEL_NAMES, name);
        if (twi_json_peek(json) != TWI_JSON_ARRAY) {
            twi_json_skip(json);
            continue;
        }
        twi_json_enter_array(json);
        while (twi_json_next_item(json)) {
            if (!twi_json_scalar(json, &product) || found < 0)
                continue;
            const twi_slot *slot = find_known(m, product);
            if (slot != NULL)
                twi_venue_list_stream(m->venue, m->link, slot->id, slot->id_len, (tw_channel)found);
        }
    }
    if (json->status == TW_OK)
        twi_venue_list_close(m->venue, m->link);
}

static tw_status on_event(const cb_message *m, twi_json_slice channel, twi_json *json)
{
    twi_json_slice key, type = {0}, product = {0};
    twi_json body = {0};
    bool has_body = false;
    twi_json_enter_object(json);
    while (twi_json_next_member(json, &key)) {
        if (TWI_JSON_IS(key, "type"))
            twi_json_string(json, &type);
        else if (TWI_JSON_IS(key, "product_id"))
            twi_json_string(json, &product);
        else if (TWI_JSON_IS(key, "updates") || TWI_JSON_IS(key, "trades") || TWI_JSON_IS(key, "tickers") ||
                 TWI_JSON_IS(key, "subscriptions"))
            has_body = twi_json_defer(json, &body);
        else
            twi_json_skip(json);
    }
    if (json->status != TW_OK || !has_body)
        return json->status != TW_OK ? TW_MALFORMED : TW_OK;
    bool snapshot = TWI_JSON_IS(type, "snapshot");
    if (TWI_JSON_IS(channel, "l2_data"))
        return on_level2(m, product, snapshot, &body);
    if (TWI_JSON_IS(channel, "market_trades"))
        return on_trades(m, snapshot, &body);
    if (TWI_JSON_IS(channel, "ticker") || TWI_JSON_IS(channel, "ticker_batch"))
        return on_tickers(m, &body);
    if (TWI_JSON_IS(channel, "subscriptions"))
        on_subscriptions(m, &body);
    return TW_OK;
}

/* Every book of the connection may have lost something. */
static tw_status break_books(const cb_message *m, uint64_t from, uint64_t to)
{
    for (uint32_t i = 0; i < m->venue->slot_count; i++) {
        twi_slot *slot = &m->venue->slots[i];
        if (slot->link == m->link && slot->synced)
            twi_venue_broken(m->venue, slot, TW_STATE_GAP, TW_REASON_SEQUENCE, from, to, m->recv_ns, m->sink);
    }
    return TW_RELINK;
}

/* link.seq: the number that the next message must have. */
static tw_status check_sequence(const cb_message *m, uint64_t number)
{
    twi_link *link = &m->venue->links[m->link];
    uint64_t expected = link->seq;
    link->seq = number + 1;
    if (TWI_LIKELY(number == expected) || (link->tag == 0 && number == 0))
        return link->tag = 1, TW_OK;
    return break_books(m, expected, number > 0 ? number - 1 : 0);
}

static tw_status on_error(twi_venue *venue, uint32_t link, twi_json_slice text, int64_t recv_ns, tw_sink *sink)
{
    twi_venue_error(venue, text.text, text.len);
    twi_venue_refuse_named(venue, link, -1, text.text, text.len, recv_ns, sink);
    return TW_OK;
}

static tw_status on_message(twi_venue *venue, uint32_t link, int64_t recv_ns, const uint8_t *msg, size_t msg_len,
                            tw_sink *sink)
{
    cb_message m = {.venue = venue, .sink = sink, .link = link, .recv_ns = recv_ns};
    twi_json json, events = {0};
    twi_json_slice key, channel = {0}, type = {0}, text = {0};
    uint64_t number = 0;
    bool has_number = false, has_events = false;
    twi_json_init(&json, msg, msg_len);
    twi_json_enter_object(&json);
    while (twi_json_next_member(&json, &key)) {
        if (TWI_JSON_IS(key, "channel"))
            twi_json_string(&json, &channel);
        else if (TWI_JSON_IS(key, "timestamp"))
            twi_scan_iso(&json, &m.time_ns);
        else if (TWI_JSON_IS(key, "sequence_num"))
            has_number = twi_json_uint64(&json, &number);
        else if (TWI_JSON_IS(key, "events"))
            has_events = twi_json_defer(&json, &events);
        else if (TWI_JSON_IS(key, "type"))
            twi_json_string(&json, &type);
        else if (TWI_JSON_IS(key, "message"))
            twi_json_string(&json, &text);
        else
            twi_json_skip(&json);
    }
    if (twi_json_end(&json) != TW_OK)
        return TW_MALFORMED;
    if (TWI_JSON_IS(type, "error"))
        return on_error(venue, link, text, recv_ns, sink);
    tw_status status = has_number ? check_sequence(&m, number) : TW_OK;
    if (status != TW_OK || !has_events)
        return status;
    twi_json_enter_array(&events);
    while (twi_json_next_item(&events)) {
        tw_status its = on_event(&m, channel, &events);
        status = its != TW_OK ? its : status;
    }
    return events.status == TW_OK ? status : TW_MALFORMED;
}

/* Without heartbeats a channel that is quiet for a minute is closed. */
static void link_up(twi_venue *venue, uint32_t link, int64_t now_ns, const char *url)
{
    char text[64];
    twi_text out = twi_text_over(text, sizeof(text));
    (void)now_ns;
    (void)url;
    twi_text_put(&out, "{\"type\":\"subscribe\",\"channel\":\"heartbeats\"}");
    twi_venue_owe(venue, link, &out);
}

static void write_streams(twi_venue *venue, uint32_t link, bool subscribe, tw_channel channel, twi_slot *const *slots,
                          uint32_t count, uint32_t request, twi_text *out)
{
    (void)venue;
    (void)link;
    (void)request;
    twi_text_put(out, subscribe ? "{\"type\":\"subscribe\",\"product_ids\":["
                                : "{\"type\":\"unsubscribe\",\"product_ids\":[");
    twi_write_ids(out, slots, count);
    twi_text_put(out, "],\"channel\":\"");
    twi_text_put(out, CHANNEL_NAMES[channel]);
    twi_text_put(out, "\"}");
}

/* ---- markets ---- */

static bool id_of_symbol(const char *symbol, size_t len, twi_text *id, uint8_t *group)
{
    *group = 0;
    return twi_joined_of_symbol(symbol, len, "-", NULL, id);
}

static bool symbol_of_id(const char *id, size_t len, uint8_t group, twi_text *symbol)
{
    (void)group;
    return twi_symbol_of_joined(id, len, '-', NULL, symbol);
}

static void read_market(twi_json *json, tw_market_fn fn, void *owner)
{
    twi_json_slice key, value, product_type = {0};
    tw_market market = {.active = 0};
    twi_json_enter_object(json);
    while (twi_json_next_member(json, &key)) {
        if (TWI_JSON_IS(key, "product_id") && twi_json_string(json, &value))
            TWI_MARKET_SET(market.id, value);
        else if (TWI_JSON_IS(key, "base_currency_id") && twi_json_string(json, &value))
            TWI_MARKET_SET(market.base, value);
        else if (TWI_JSON_IS(key, "quote_currency_id") && twi_json_string(json, &value))
            TWI_MARKET_SET(market.quote, value);
        else if (TWI_JSON_IS(key, "status") && twi_json_string(json, &value))
            market.active = TWI_JSON_IS(value, "online");
        else if (TWI_JSON_IS(key, "product_type"))
            twi_json_string(json, &product_type);
        else if (TWI_JSON_IS(key, "price_increment"))
            twi_scan_optional(json, &market.price_tick);
        else if (TWI_JSON_IS(key, "base_increment"))
            twi_scan_optional(json, &market.amount_step);
        else if (TWI_JSON_IS(key, "base_min_size"))
            twi_scan_optional(json, &market.amount_min);
        else if (TWI_JSON_IS(key, "base_max_size"))
            twi_scan_optional(json, &market.amount_max);
        else if (TWI_JSON_IS(key, "quote_min_size"))
            twi_scan_optional(json, &market.cost_min);
        else
            twi_json_skip(json);
    }
    bool spot = product_type.len == 0 || TWI_JSON_IS(product_type, "SPOT");
    if (json->status == TW_OK && market.id[0] != 0 && market.base[0] != 0 && spot) {
        twi_market_name_symbol(&market);
        fn(owner, &market);
    }
}

static tw_status markets_parse(const uint8_t *body, size_t body_len, tw_market_fn fn, void *owner)
{
    return twi_market_list(body, body_len, "products", read_market, fn, owner);
}

static tw_status markets_request(const tw_feed_config *config, uint32_t page, tw_request *request)
{
    return twi_market_request(config, REST_URL, "/api/v3/brokerage/market/products", page, request);
}

/* ---- the feed ---- */

static const tw_feed_limits LIMITS = {.streams_per_link = 300,
                                      .dial_count = 8,
                                      .dial_window_ns = TWI_NS_PER_S,
                                      .silence_ns_max = 10 * TWI_NS_PER_S,
                                      .message_bytes_max = 16 << 20};

static const twi_venue_traits TRAITS = {.ops = &twi_feed_coinbase,
                                        .stream_urls = {"wss://advanced-trade-ws.coinbase.com"},
                                        .rest_url = REST_URL,
                                        .repair = TWI_REPAIR_RELINK,
                                        .book_levels = 65536,
                                        .acks = true,
                                        .batch_max = 50,
                                        .output_gap_ns = 150 * TWI_NS_PER_MS,
                                        .request_gap_ns = TWI_NS_PER_S,
                                        .id_of_symbol = id_of_symbol,
                                        .symbol_of_id = symbol_of_id,
                                        .link_up = link_up,
                                        .write_streams = write_streams,
                                        .message = on_message};

static size_t state_size(const tw_feed_config *config)
{
    return twi_venue_size(&TRAITS, config);
}

static tw_status init(void *state, const tw_feed_config *config, tw_symbols *symbols)
{
    return twi_venue_init(state, &TRAITS, config, symbols);
}

const tw_feed_ops twi_feed_coinbase = {TWI_VENUE_SHARED_OPS,
                                       .name = "coinbase",
                                       .has = TW_HAS_WATCH_TRADES | TW_HAS_WATCH_TICKER | TW_HAS_WATCH_ORDER_BOOK |
                                              TW_HAS_UNWATCH | TW_HAS_FETCH_MARKETS | TWI_HAS_FETCH |
                                              TW_HAS_BOOK_SEQUENCE | TW_HAS_TRADE_HISTORY,
                                       .limits = &LIMITS,
                                       .state_size = state_size,
                                       .init = init,
                                       .markets_request = markets_request,
                                       .markets_parse = markets_parse};
