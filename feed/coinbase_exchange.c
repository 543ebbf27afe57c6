/* coinbase_exchange.c - Coinbase Exchange (ws-feed): level2_batch, matches, ticker.
 *
 * Rules:    the book comes whole at subscription (`snapshot`), then `l2update` with absolute sizes. There is no
 *           sequence: what is lost on an open connection cannot be noticed, a new connection starts from new snapshots.
 * Quirks:   `side` of a match is the maker's, so the taker is the other one; `last_match` is the last trade before the
 *           subscription. The plain `level2` channel needs a login, `level2_batch` has the same messages every 50 ms.
 *           Each `subscriptions` message lists all that is subscribed.
 * Source:   docs.cdp.coinbase.com/exchange/websocket-feed; recordings. */
#include "engine/proto/json_take.h"
#include "feed/market.h"
#include "feed/registry.h"
#include "feed/shapes.h"

#define REST_URL "https://api.exchange.coinbase.com"

static const char *const CHANNEL_NAMES[TWI_STREAM_COUNT] = {"matches", "ticker", "level2_batch"};

typedef struct cbx_message {
    twi_json_slice type, product, trade_id, text, reason;
    int64_t time_ns;
    tw_decimal price, size, bid, bid_size, ask, ask_size;
    bool maker_sells, has_bid, has_ask;
    twi_sides sides;
    twi_json changes, channels;
    twi_row_range change_rows;
    bool has_changes, has_channels, changes_read; /* read: the changes are in the table */
} cbx_message;

static void read_changes(twi_json *json, cbx_message *m)
{
    m->changes_read = twi_json_peek(json) == TWI_JSON_ARRAY && m->sides.rows != NULL &&
                      twi_rows_read_changes(m->sides.rows, json, &m->change_rows);
    m->has_changes = m->changes_read || twi_json_defer(json, &m->changes);
}

static void read_member(twi_json *json, twi_json_slice key, cbx_message *m)
{
    if (TWI_JSON_IS(key, "type"))
        twi_json_string(json, &m->type);
    else if (TWI_JSON_IS(key, "product_id"))
        twi_json_string(json, &m->product);
    else if (TWI_JSON_IS(key, "changes"))
        read_changes(json, m);
    else if (TWI_JSON_IS(key, "time"))
        twi_scan_iso(json, &m->time_ns);
    else if (TWI_JSON_IS(key, "side"))
        twi_scan_is_sell(json, &m->maker_sells);
    else if (TWI_JSON_IS(key, "price"))
        twi_scan_optional(json, &m->price);
    else if (TWI_JSON_IS(key, "size"))
        twi_json_decimal(json, &m->size);
    else if (TWI_JSON_IS(key, "trade_id"))
        twi_json_scalar(json, &m->trade_id);
    else if (TWI_JSON_IS(key, "best_bid"))
        m->has_bid = twi_scan_optional(json, &m->bid);
    else if (TWI_JSON_IS(key, "best_ask"))
        m->has_ask = twi_scan_optional(json, &m->ask);
    else if (TWI_JSON_IS(key, "best_bid_size"))
        twi_scan_optional(json, &m->bid_size);
    else if (TWI_JSON_IS(key, "best_ask_size"))
        twi_scan_optional(json, &m->ask_size);
    else if (TWI_JSON_IS(key, "bids"))
        twi_scan_side(json, TWI_BID, &m->sides);
    else if (TWI_JSON_IS(key, "asks"))
        twi_scan_side(json, TWI_ASK, &m->sides);
    else if (TWI_JSON_IS(key, "channels"))
        m->has_channels = twi_json_defer(json, &m->channels);
    else if (TWI_JSON_IS(key, "message"))
        twi_json_string(json, &m->text);
    else if (TWI_JSON_IS(key, "reason"))
        twi_json_string(json, &m->reason);
    else
        twi_json_skip(json);
}

static tw_status on_book(twi_venue *venue, twi_slot *slot, cbx_message *m, bool snapshot, int64_t recv_ns,
                         tw_sink *sink)
{
    twi_update update;
    twi_update_info info = {.snapshot = snapshot, .venue_ns = m->time_ns, .recv_ns = recv_ns};
    if (snapshot ? !m->sides.has[TWI_BID] || !m->sides.has[TWI_ASK] : !m->has_changes)
        return TW_MALFORMED;
    if (!snapshot && !twi_venue_delta_usable(slot))
        return TW_OK;
    twi_update_begin(&update, venue, slot, sink, &info);
    if (snapshot)
        return twi_update_finish(&update, &m->sides);
    if (!m->changes_read)
        return twi_update_changes(&update, &m->changes);
    twi_update_table(&update, m->sides.rows, m->change_rows);
    return twi_update_end(&update);
}

static tw_status on_trade(twi_slot *slot, const cbx_message *m, bool history, int64_t recv_ns, tw_sink *sink)
{
    twi_trade trade = {.price = m->price,
                       .amount = m->size,
                       .id = m->trade_id,
                       .venue_ns = m->time_ns,
                       .sell = !m->maker_sells,
                       .history = history};
    return twi_emit_trade(slot, &trade, recv_ns, sink);
}

static tw_status on_ticker(twi_slot *slot, const cbx_message *m, int64_t recv_ns, tw_sink *sink)
{
    if (!m->has_bid || !m->has_ask)
        return TW_MALFORMED;
    twi_quote quote = {
        .bid = m->bid, .bid_amount = m->bid_size, .ask = m->ask, .ask_amount = m->ask_size, .venue_ns = m->time_ns};
    return twi_emit_quote(slot, &quote, recv_ns, sink);
}

static void list_products(twi_venue *venue, uint32_t link, int channel, twi_json *json)
{
    twi_json_enter_array(json);
    while (twi_json_next_item(json)) {
        twi_json_slice product;
        if (twi_json_string(json, &product) && channel >= 0)
            twi_venue_list_stream(venue, link, product.text, product.len, (tw_channel)channel);
    }
}

/* {"name":"ticker","product_ids":["BTC-USD"]} */
static void list_channel(twi_venue *venue, uint32_t link, twi_json *json)
{
    twi_json_slice key, name = {0};
    twi_json products = {0};
    bool has_products = false;
    twi_json_enter_object(json);
    while (twi_json_next_member(json, &key)) {
        if (TWI_JSON_IS(key, "name"))
            twi_json_string(json, &name);
        else if (TWI_JSON_IS(key, "product_ids"))
            has_products = twi_json_defer(json, &products);
        else
            twi_json_skip(json);
    }
    if (has_products)
        list_products(venue, link, twi_channel_of(CHANNEL_NAMES, name), &products);
}

static tw_status on_subscriptions(twi_venue *venue, uint32_t link, cbx_message *m)
{
    if (!m->has_channels)
        return TW_MALFORMED;
    twi_venue_list_open(venue, link);
    twi_json_enter_array(&m->channels);
    while (twi_json_next_item(&m->channels))
        list_channel(venue, link, &m->channels);
    twi_venue_list_close(venue, link);
    return TW_OK;
}

static tw_status on_error(twi_venue *venue, uint32_t link, const cbx_message *m, int64_t recv_ns, tw_sink *sink)
{
    twi_json_slice text = m->reason.len > 0 ? m->reason : m->text;
    twi_venue_error(venue, text.text, text.len);
    twi_venue_refuse_named(venue, link, -1, text.text, text.len, recv_ns, sink);
    return TW_OK;
}

static tw_status use_data(twi_venue *venue, uint32_t link, cbx_message *m, int64_t recv_ns, tw_sink *sink)
{
    bool update = TWI_JSON_IS(m->type, "l2update"), snapshot = TWI_JSON_IS(m->type, "snapshot");
    bool match = TWI_JSON_IS(m->type, "match"), last_match = TWI_JSON_IS(m->type, "last_match");
    bool ticker = TWI_JSON_IS(m->type, "ticker");
    if (!update && !snapshot && !match && !last_match && !ticker) {
        venue->stats.ignored++; /* heartbeat, status */
        return TW_OK;
    }
    twi_slot *slot = twi_venue_slot(venue, link, m->product.text, m->product.len);
    if (slot == NULL)
        return TW_OK;
    if (update || snapshot)
        return on_book(venue, slot, m, snapshot, recv_ns, sink);
    return ticker ? on_ticker(slot, m, recv_ns, sink) : on_trade(slot, m, last_match, recv_ns, sink);
}

/* ---- the usual messages, member by member in the order in which Coinbase writes them ---- */

/* ,"time":"..."} at the end of the message */
static bool take_time(twi_json *json, cbx_message *m)
{
    twi_json_slice text;
    if (!TWI_JSON_TAKE(json, ",\"time\":\"") || !twi_json_take_word(json, &text))
        return false;
    m->time_ns = twi_time_from_iso(text.text, text.len);
    return TWI_JSON_TAKE(json, "\"");
}

static bool take_update(twi_json *json, cbx_message *m)
{
    m->type = (twi_json_slice){.text = "l2update", .len = 8};
    m->has_changes = m->changes_read = true;
    return TWI_JSON_TAKE(json, "l2update\",\"product_id\":\"") && twi_json_take_word(json, &m->product) &&
           TWI_JSON_TAKE(json, "\",\"changes\":") && twi_rows_read_changes(m->sides.rows, json, &m->change_rows) &&
           take_time(json, m);
}

static bool take_match(twi_json *json, cbx_message *m)
{
    m->type = (twi_json_slice){.text = "match", .len = 5};
    if (!TWI_JSON_TAKE(json, "match\",\"trade_id\":") || !twi_json_take_digits(json, &m->trade_id) ||
        !TWI_JSON_TAKE(json, ",\"maker_order_id\":") || !twi_json_take_string(json) ||
        !TWI_JSON_TAKE(json, ",\"taker_order_id\":") || !twi_json_take_string(json))
        return false;
    m->maker_sells = TWI_JSON_TAKE(json, ",\"side\":\"sell\"");
    if (!m->maker_sells && !TWI_JSON_TAKE(json, ",\"side\":\"buy\""))
        return false;
    uint64_t sequence;
    return TWI_JSON_TAKE(json, ",\"size\":") && twi_json_decimal(json, &m->size) &&
           TWI_JSON_TAKE(json, ",\"price\":") && twi_json_decimal(json, &m->price) &&
           TWI_JSON_TAKE(json, ",\"product_id\":\"") && twi_json_take_word(json, &m->product) &&
           TWI_JSON_TAKE(json, "\",\"sequence\":") && twi_json_take_uint(json, &sequence) && take_time(json, m);
}

/* Today's form has best_bid_size and best_ask_size. */
static bool take_ticker(twi_json *json, cbx_message *m)
{
    uint64_t number;
    m->type = (twi_json_slice){.text = "ticker", .len = 6};
    if (!TWI_JSON_TAKE(json, "ticker\",\"sequence\":") || !twi_json_take_uint(json, &number) ||
        !TWI_JSON_TAKE(json, ",\"product_id\":\"") || !twi_json_take_word(json, &m->product) ||
        !TWI_JSON_TAKE(json, "\",\"price\":") || !twi_json_take_string(json) ||
        !TWI_JSON_TAKE(json, ",\"open_24h\":") || !twi_json_take_string(json) ||
        !TWI_JSON_TAKE(json, ",\"volume_24h\":") || !twi_json_take_string(json) ||
        !TWI_JSON_TAKE(json, ",\"low_24h\":") || !twi_json_take_string(json) ||
        !TWI_JSON_TAKE(json, ",\"high_24h\":") || !twi_json_take_string(json) ||
        !TWI_JSON_TAKE(json, ",\"volume_30d\":") || !twi_json_take_string(json) ||
        !TWI_JSON_TAKE(json, ",\"best_bid\":") || !twi_scan_optional(json, &m->bid))
        return false;
    if (TWI_JSON_TAKE(json, ",\"best_bid_size\":") && !twi_scan_optional(json, &m->bid_size))
        return false;
    if (!TWI_JSON_TAKE(json, ",\"best_ask\":") || !twi_scan_optional(json, &m->ask))
        return false;
    if (TWI_JSON_TAKE(json, ",\"best_ask_size\":") && !twi_scan_optional(json, &m->ask_size))
        return false;
    m->has_bid = m->has_ask = true;
    return TWI_JSON_TAKE(json, ",\"side\":") && twi_json_take_string(json) && take_time(json, m) &&
           TWI_JSON_TAKE(json, ",\"trade_id\":") && twi_json_take_uint(json, &number) &&
           TWI_JSON_TAKE(json, ",\"last_size\":") && twi_json_take_string(json);
}

/* False: not one of the usual messages. */
static bool take_usual(const uint8_t *msg, size_t msg_len, cbx_message *m)
{
    twi_json json = {.at = msg, .end = msg + msg_len};
    if (!TWI_JSON_TAKE(&json, "{\"type\":\"") || json.at == json.end)
        return false;
    bool taken = *json.at == 'l'   ? take_update(&json, m)
                 : *json.at == 'm' ? take_match(&json, m)
                                   : *json.at == 't' && take_ticker(&json, m);
    return taken && TWI_JSON_TAKE(&json, "}") && json.at == json.end && json.status == TW_OK;
}

static tw_status on_message(twi_venue *venue, uint32_t link, int64_t recv_ns, const uint8_t *msg, size_t msg_len,
                            tw_sink *sink)
{
    cbx_message m = {0};
    twi_json json;
    twi_json_slice key;
    twi_sides_open(&m.sides, venue);
    if (TWI_LIKELY(take_usual(msg, msg_len, &m)))
        return use_data(venue, link, &m, recv_ns, sink);
    m = (cbx_message){0};
    twi_sides_open(&m.sides, venue);
    twi_json_init(&json, msg, msg_len);
    twi_json_enter_object(&json);
    while (twi_json_next_member(&json, &key))
        read_member(&json, key, &m);
    if (twi_json_end(&json) != TW_OK)
        return TW_MALFORMED;
    if (TWI_JSON_IS(m.type, "subscriptions"))
        return on_subscriptions(venue, link, &m);
    if (TWI_JSON_IS(m.type, "error"))
        return on_error(venue, link, &m, recv_ns, sink);
    return use_data(venue, link, &m, recv_ns, sink);
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
    twi_text_put(out, "],\"channels\":[\"");
    twi_text_put(out, CHANNEL_NAMES[channel]);
    twi_text_put(out, subscribe ? "\",\"heartbeat\"]}" : "\"]}");
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
    twi_json_slice key, value;
    tw_market market = {.active = 0};
    twi_json_enter_object(json);
    while (twi_json_next_member(json, &key)) {
        if (TWI_JSON_IS(key, "id") && twi_json_string(json, &value))
            TWI_MARKET_SET(market.id, value);
        else if (TWI_JSON_IS(key, "base_currency") && twi_json_string(json, &value))
            TWI_MARKET_SET(market.base, value);
        else if (TWI_JSON_IS(key, "quote_currency") && twi_json_string(json, &value))
            TWI_MARKET_SET(market.quote, value);
        else if (TWI_JSON_IS(key, "status") && twi_json_string(json, &value))
            market.active = TWI_JSON_IS(value, "online");
        else if (TWI_JSON_IS(key, "quote_increment"))
            twi_json_decimal(json, &market.price_tick);
        else if (TWI_JSON_IS(key, "base_increment"))
            twi_json_decimal(json, &market.amount_step);
        else if (TWI_JSON_IS(key, "min_market_funds"))
            twi_scan_optional(json, &market.cost_min);
        else
            twi_json_skip(json);
    }
    if (json->status == TW_OK && market.id[0] != 0) {
        twi_market_name_symbol(&market);
        fn(owner, &market);
    }
}

static tw_status markets_parse(const uint8_t *body, size_t body_len, tw_market_fn fn, void *owner)
{
    return twi_market_list(body, body_len, NULL, read_market, fn, owner);
}

static tw_status markets_request(const tw_feed_config *config, uint32_t page, tw_request *request)
{
    return twi_market_request(config, REST_URL, "/products", page, request);
}

/* ---- the feed ---- */

static const tw_feed_limits LIMITS = {.streams_per_link = 300,
                                      .dial_count = 8,
                                      .dial_window_ns = TWI_NS_PER_S,
                                      .silence_ns_max = 10 * TWI_NS_PER_S, /* heartbeat comes every second */
                                      .message_bytes_max = 16 << 20};

static const twi_venue_traits TRAITS = {.ops = &twi_feed_coinbase_exchange,
                                        .stream_urls = {"wss://ws-feed.exchange.coinbase.com"},
                                        .rest_url = REST_URL,
                                        .repair = TWI_REPAIR_RESUBSCRIBE,
                                        .book_levels = 65536,
                                        .acks = true,
                                        .batch_max = 50,
                                        .output_gap_ns = 150 * TWI_NS_PER_MS,
                                        .request_gap_ns = TWI_NS_PER_S,
                                        .id_of_symbol = id_of_symbol,
                                        .symbol_of_id = symbol_of_id,
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

const tw_feed_ops twi_feed_coinbase_exchange = {TWI_VENUE_SHARED_OPS,
                                                .name = "coinbaseexchange",
                                                .has = TW_HAS_WATCH_TRADES | TW_HAS_WATCH_TICKER |
                                                       TW_HAS_WATCH_ORDER_BOOK | TW_HAS_UNWATCH | TW_HAS_FETCH_MARKETS |
                                                       TWI_HAS_FETCH | TW_HAS_TRADE_HISTORY,
                                                .limits = &LIMITS,
                                                .state_size = state_size,
                                                .init = init,
                                                .markets_request = markets_request,
                                                .markets_parse = markets_parse};
