/* gemini.c - Gemini v2 market data: one l2 subscription brings the book and the trades.
 *
 * Rules:    the first l2_updates of a symbol, the one with a list of trades, is the whole book; later ones change it.
 *           There is no sequence and no time.
 * Quirks:   nothing is confirmed: data is the confirmation. The trades of the first message are history, newest first.
 * Source:   docs.gemini.com/websocket-api; recordings. */
#include "feed/market.h"
#include "feed/registry.h"
#include "feed/shapes.h"

#define REST_URL "https://api.gemini.com"

typedef struct gem_message {
    twi_venue *venue;
    tw_sink *sink;
    uint32_t link;
    int64_t recv_ns;
    twi_json_slice type, symbol, reason, text;
    twi_json changes, trades;
    bool has_changes, has_trades;
    twi_trade trade;
} gem_message;

static bool read_trade_member(twi_json *json, twi_json_slice key, twi_trade *trade)
{
    if (TWI_JSON_IS(key, "event_id"))
        return twi_json_scalar(json, &trade->id);
    if (TWI_JSON_IS(key, "timestamp"))
        return twi_scan_time(json, TWI_NS_PER_MS, &trade->venue_ns);
    if (TWI_JSON_IS(key, "price"))
        return twi_json_decimal(json, &trade->price);
    if (TWI_JSON_IS(key, "quantity"))
        return twi_json_decimal(json, &trade->amount);
    if (TWI_JSON_IS(key, "side"))
        return twi_scan_is_sell(json, &trade->sell);
    return twi_json_skip(json);
}

static tw_status on_history(const gem_message *m, twi_slot *slot, twi_json *json)
{
    twi_trades trades;
    trades.count = trades.lost = 0;
    twi_json_enter_array(json);
    while (twi_json_next_item(json)) {
        twi_json_slice key;
        twi_trade trade = {.history = true};
        twi_json_enter_object(json);
        while (twi_json_next_member(json, &key))
            read_trade_member(json, key, &trade);
        twi_trades_add(&trades, &trade);
    }
    return json->status == TW_OK ? twi_trades_emit_reversed(&trades, slot, m->recv_ns, m->sink) : TW_MALFORMED;
}

static tw_status on_updates(gem_message *m, twi_slot *slot)
{
    if (!m->has_changes)
        return TW_MALFORMED;
    bool snapshot = m->has_trades || slot->streams[TW_CHANNEL_BOOK].last_ns == 0;
    if (!snapshot && !twi_venue_delta_usable(slot))
        return TW_OK;
    twi_update update;
    twi_update_info info = {.snapshot = snapshot, .recv_ns = m->recv_ns};
    twi_update_begin(&update, m->venue, slot, m->sink, &info);
    tw_status status = twi_update_changes(&update, &m->changes);
    if (status == TW_OK && m->has_trades)
        status = on_history(m, slot, &m->trades);
    return status;
}

static tw_status on_error(const gem_message *m)
{
    twi_json_slice text = m->text.len > 0 ? m->text : m->reason;
    twi_venue_error(m->venue, text.text, text.len);
    if (!twi_venue_refuse_named(m->venue, m->link, -1, text.text, text.len, m->recv_ns, m->sink))
        twi_venue_refuse_unnamed(m->venue, m->link, m->recv_ns, m->sink);
    return TW_OK;
}

static tw_status on_message(twi_venue *venue, uint32_t link, int64_t recv_ns, const uint8_t *msg, size_t msg_len,
                            tw_sink *sink)
{
    gem_message m = {.venue = venue, .sink = sink, .link = link, .recv_ns = recv_ns};
    twi_json json;
    twi_json_slice key, result = {0};
    twi_json_init(&json, msg, msg_len);
    twi_json_enter_object(&json);
    while (twi_json_next_member(&json, &key)) {
        if (TWI_JSON_IS(key, "type"))
            twi_json_string(&json, &m.type);
        else if (TWI_JSON_IS(key, "symbol"))
            twi_json_string(&json, &m.symbol);
        else if (TWI_JSON_IS(key, "changes"))
            m.has_changes = twi_json_defer(&json, &m.changes);
        else if (TWI_JSON_IS(key, "trades"))
            m.has_trades = twi_json_defer(&json, &m.trades);
        else if (TWI_JSON_IS(key, "result"))
            twi_json_scalar(&json, &result);
        else if (TWI_JSON_IS(key, "reason"))
            twi_json_scalar(&json, &m.reason);
        else if (TWI_JSON_IS(key, "message"))
            twi_json_scalar(&json, &m.text);
        else
            read_trade_member(&json, key, &m.trade);
    }
    if (twi_json_end(&json) != TW_OK)
        return TW_MALFORMED;
    if (TWI_JSON_IS(result, "error"))
        return on_error(&m);
    bool updates = TWI_JSON_IS(m.type, "l2_updates"), trade = TWI_JSON_IS(m.type, "trade");
    if (!updates && !trade) {
        venue->stats.ignored++; /* heartbeat, auctions, block trades */
        return TW_OK;
    }
    twi_slot *slot = twi_venue_slot(venue, link, m.symbol.text, m.symbol.len);
    if (slot == NULL)
        return TW_OK;
    return updates ? on_updates(&m, slot) : twi_emit_trade(slot, &m.trade, recv_ns, sink);
}

static void write_streams(twi_venue *venue, uint32_t link, bool subscribe, tw_channel channel, twi_slot *const *slots,
                          uint32_t count, uint32_t request, twi_text *out)
{
    (void)venue;
    (void)link;
    (void)channel;
    (void)request;
    twi_text_put(out, subscribe ? "{\"type\":\"subscribe\",\"subscriptions\":[{\"name\":\"l2\",\"symbols\":["
                                : "{\"type\":\"unsubscribe\",\"subscriptions\":[{\"name\":\"l2\",\"symbols\":[");
    twi_write_ids(out, slots, count);
    twi_text_put(out, "]}]}");
}

/* ---- names ---- */

static const char *const QUOTES[] = {"USD", "GUSD", "BTC", "ETH", "EUR",  "GBP",  "SGD",
                                     "DAI", "BCH",  "LTC", "FIL", "USDT", "USDC", NULL};

static bool id_of_symbol(const char *symbol, size_t len, twi_text *id, uint8_t *group)
{
    *group = 0;
    return twi_joined_of_symbol(symbol, len, "", NULL, id);
}

static bool symbol_of_id(const char *id, size_t len, uint8_t group, twi_text *symbol)
{
    size_t base_len;
    (void)group;
    if (!twi_split_quote(id, len, QUOTES, &base_len))
        return false;
    twi_text_bytes(symbol, id, base_len);
    twi_text_put(symbol, "/");
    twi_text_bytes(symbol, id + base_len, len - base_len);
    return true;
}

/* The list of symbols has names only, details come one by one: both are taken. */
static void read_details(twi_json *json, tw_market_fn fn, void *owner)
{
    twi_json_slice key, value;
    tw_market market = {.active = 0};
    twi_json_enter_object(json);
    while (twi_json_next_member(json, &key)) {
        if (TWI_JSON_IS(key, "symbol") && twi_json_string(json, &value))
            TWI_MARKET_SET(market.id, value);
        else if (TWI_JSON_IS(key, "base_currency") && twi_json_string(json, &value))
            TWI_MARKET_SET(market.base, value);
        else if (TWI_JSON_IS(key, "quote_currency") && twi_json_string(json, &value))
            TWI_MARKET_SET(market.quote, value);
        else if (TWI_JSON_IS(key, "tick_size"))
            twi_scan_optional(json, &market.amount_step);
        else if (TWI_JSON_IS(key, "quote_increment"))
            twi_scan_optional(json, &market.price_tick);
        else if (TWI_JSON_IS(key, "min_order_size"))
            twi_scan_optional(json, &market.amount_min);
        else if (TWI_JSON_IS(key, "status") && twi_json_string(json, &value))
            market.active = TWI_JSON_IS(value, "open");
        else
            twi_json_skip(json);
    }
    if (json->status != TW_OK || market.id[0] == 0 || market.base[0] == 0)
        return;
    twi_market_name_symbol(&market);
    fn(owner, &market);
}

static void read_name(twi_json *json, tw_market_fn fn, void *owner)
{
    twi_json_slice name;
    tw_market market = {.active = 1};
    if (!twi_json_string(json, &name) || name.len > TW_VENUE_ID_MAX)
        return;
    twi_text id = twi_text_over(market.id, sizeof(market.id)), symbol = twi_text_over(market.symbol, TW_SYMBOL_MAX);
    twi_text_upper(&id, name.text, name.len);
    if (!symbol_of_id(market.id, name.len, 0, &symbol) || symbol.overflow)
        return;
    twi_symbol_parts parts;
    if (!twi_symbol_split(market.symbol, symbol.len, &parts))
        return;
    twi_market_copy(market.base, sizeof(market.base), parts.base.text, parts.base.len);
    twi_market_copy(market.quote, sizeof(market.quote), parts.quote.text, parts.quote.len);
    fn(owner, &market);
}

static tw_status markets_parse(const uint8_t *body, size_t body_len, tw_market_fn fn, void *owner)
{
    twi_json json;
    twi_json_init(&json, body, body_len);
    if (twi_json_peek(&json) == TWI_JSON_ARRAY)
        return twi_market_list(body, body_len, NULL, read_name, fn, owner);
    read_details(&json, fn, owner);
    return twi_json_end(&json);
}

static tw_status markets_request(const tw_feed_config *config, uint32_t page, tw_request *request)
{
    return twi_market_request(config, REST_URL, "/v1/symbols", page, request);
}

/* ---- the feed ---- */

static const tw_feed_limits LIMITS = {.streams_per_link = 200,
                                      .dial_count = 2,
                                      .dial_window_ns = TWI_NS_PER_S,
                                      .silence_ns_max = 20 * TWI_NS_PER_S, /* heartbeat comes every 5 s */
                                      .message_bytes_max = 8 << 20};

static const twi_venue_traits TRAITS = {.ops = &twi_feed_gemini,
                                        .stream_urls = {"wss://api.gemini.com/v2/marketdata"},
                                        .rest_url = REST_URL,
                                        .repair = TWI_REPAIR_RESUBSCRIBE,
                                        .book_levels = 16384,
                                        .book_carries_trades = true,
                                        .batch_max = 20,
                                        .output_gap_ns = 200 * TWI_NS_PER_MS,
                                        .request_gap_ns = 500 * TWI_NS_PER_MS,
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

const tw_feed_ops twi_feed_gemini = {TWI_VENUE_SHARED_OPS,
                                     .name = "gemini",
                                     .has = TW_HAS_WATCH_TRADES | TW_HAS_WATCH_ORDER_BOOK | TW_HAS_UNWATCH |
                                            TW_HAS_FETCH_MARKETS | TWI_HAS_FETCH | TW_HAS_TRADE_HISTORY,
                                     .limits = &LIMITS,
                                     .state_size = state_size,
                                     .init = init,
                                     .markets_request = markets_request,
                                     .markets_parse = markets_parse};
