/* gate.c - Gate.io v4, spot and USDT perpetuals: order_book_update joined with a REST snapshot, trades, book_ticker and
 * tickers.
 *
 * Rules:    drop u <= id of the snapshot; the first update covers id + 1; then U is the previous u + 1.
 * Quirks:   a confirmation names its message by id; the error is a member of it; tickers have no amounts at the best
 *           prices; the snapshot has 100 levels. Perpetuals have an endpoint and channel names of their own, ids that
 *           spot has too (shown as "futures:BTC_USDT"), sizes in contracts, the taker's side in the sign of the size,
 *           and levels that are objects.
 * Source:   www.gate.io/docs/developers/apiv4/ws; recordings. */
#include "feed/market.h"
#include "feed/registry.h"
#include "feed/shapes.h"

#define REST_URL "https://api.gateio.ws"
enum { MS_EXPONENT = -3, S_EXPONENT = 0 };
enum { SPOT, FUTURES, GROUP_COUNT };

static const char *const PREFIXES[GROUP_COUNT] = {"spot.", "futures."};
static const char *const CHANNEL_NAMES[TWI_STREAM_COUNT] = {"trades", "book_ticker", "order_book_update"};

typedef struct gate_message {
    twi_venue *venue;
    tw_sink *sink;
    uint32_t link;
    int64_t recv_ns;
    const uint8_t *msg;
    size_t msg_len;
    twi_json_slice channel, event, error;
    uint64_t id;
    bool has_id, failed;
} gate_message;

/* ---- book ---- */

typedef struct gate_book {
    twi_json_slice symbol;
    twi_sides sides;
    uint64_t first, last;
    int64_t time_ns;
} gate_book;

static void read_update(twi_json *json, gate_book *book)
{
    twi_json_slice key;
    twi_json_enter_object(json);
    while (twi_json_next_member(json, &key)) {
        if (TWI_JSON_IS(key, "s"))
            twi_json_string(json, &book->symbol);
        else if (TWI_JSON_IS(key, "U"))
            twi_json_uint64(json, &book->first);
        else if (TWI_JSON_IS(key, "u"))
            twi_json_uint64(json, &book->last);
        else if (TWI_JSON_IS(key, "t"))
            twi_scan_time(json, TWI_NS_PER_MS, &book->time_ns);
        else if (TWI_JSON_IS(key, "b"))
            twi_scan_side(json, TWI_BID, &book->sides);
        else if (TWI_JSON_IS(key, "a"))
            twi_scan_side(json, TWI_ASK, &book->sides);
        else
            twi_json_skip(json);
    }
}

/* [{"p":"0.29","s":10}, ...] of perpetuals, [["0.29","10"], ...] of spot. */
static void apply_side(twi_update *update, twi_side side, twi_json *json)
{
    twi_json_slice key;
    if (update->slot->group == SPOT) {
        twi_update_rows(update, side, json);
        return;
    }
    twi_json_enter_array(json);
    while (twi_json_next_item(json)) {
        tw_decimal price = {0}, size = {0};
        bool has_price = false, has_size = false;
        twi_json_enter_object(json);
        while (twi_json_next_member(json, &key)) {
            if (TWI_JSON_IS(key, "p"))
                has_price = twi_json_decimal(json, &price);
            else if (TWI_JSON_IS(key, "s"))
                has_size = twi_json_decimal(json, &size);
            else
                twi_json_skip(json);
        }
        if (has_price && has_size)
            twi_update_level(update, side, price, size);
        else
            twi_json_fail(json, TW_MALFORMED);
    }
}

static tw_status apply(twi_update *update, twi_sides *sides)
{
    for (twi_side side = TWI_BID; side <= TWI_ASK; side++) {
        if (!sides->has[side])
            continue;
        apply_side(update, side, &sides->at[side]);
        if (sides->at[side].status != TW_OK)
            return twi_update_abort(update);
    }
    return twi_update_end(update);
}

static tw_status on_book(const gate_message *m, twi_json *json)
{
    gate_book book = {.first = 0};
    read_update(json, &book);
    if (json->status != TW_OK || book.first == 0 || book.last < book.first)
        return TW_MALFORMED;
    twi_slot *slot = twi_venue_slot(m->venue, m->link, book.symbol.text, book.symbol.len);
    if (slot == NULL)
        return TW_OK;
    twi_delta delta = {.link = m->link,
                       .first = book.first,
                       .last = book.last,
                       .stale = book.last <= slot->seq,
                       .continues = slot->bridged ? book.first == slot->seq + 1 : book.first <= slot->seq + 1,
                       .recv_ns = m->recv_ns,
                       .msg = m->msg,
                       .msg_len = m->msg_len};
    twi_verdict verdict = twi_venue_judge(m->venue, slot, &delta, m->sink);
    if (verdict != TWI_APPLY)
        return verdict == TWI_BROKEN ? TW_GAP : TW_OK;
    twi_update update;
    twi_update_info info = {.seq = book.last, .venue_ns = book.time_ns, .recv_ns = m->recv_ns};
    twi_update_begin(&update, m->venue, slot, m->sink, &info);
    return apply(&update, &book.sides);
}

/* ---- trades and quotes ---- */

/* Contracts, below zero if the taker sold. */
static void read_size(twi_json *json, twi_trade *trade)
{
    if (!twi_json_decimal(json, &trade->amount))
        return;
    trade->sell = trade->amount.mantissa < 0;
    if (trade->sell)
        trade->amount.mantissa = -trade->amount.mantissa;
}

static tw_status on_trade(const gate_message *m, twi_json *json)
{
    twi_json_slice key, symbol = {0};
    twi_trade trade = {.history = false};
    twi_json_enter_object(json);
    while (twi_json_next_member(json, &key)) {
        if (TWI_JSON_IS(key, "currency_pair") || TWI_JSON_IS(key, "contract"))
            twi_json_string(json, &symbol);
        else if (TWI_JSON_IS(key, "id"))
            twi_json_scalar(json, &trade.id);
        else if (TWI_JSON_IS(key, "create_time_ms"))
            twi_scan_fraction(json, MS_EXPONENT, &trade.venue_ns);
        else if (TWI_JSON_IS(key, "side"))
            twi_scan_is_sell(json, &trade.sell);
        else if (TWI_JSON_IS(key, "amount"))
            twi_json_decimal(json, &trade.amount);
        else if (TWI_JSON_IS(key, "size"))
            read_size(json, &trade);
        else if (TWI_JSON_IS(key, "price"))
            twi_json_decimal(json, &trade.price);
        else
            twi_json_skip(json);
    }
    twi_slot *slot = json->status == TW_OK ? twi_venue_slot(m->venue, m->link, symbol.text, symbol.len) : NULL;
    return slot != NULL ? twi_emit_trade(slot, &trade, m->recv_ns, m->sink) : TW_OK;
}

/* Perpetuals send a list. */
static tw_status on_trades(const gate_message *m, twi_json *json)
{
    tw_status status = TW_OK;
    if (twi_json_peek(json) != TWI_JSON_ARRAY)
        return on_trade(m, json);
    twi_json_enter_array(json);
    while (status == TW_OK && twi_json_next_item(json))
        status = on_trade(m, json);
    return status;
}

/* book_ticker (t, s, b, B, a, A) and tickers (currency_pair, highest_bid, lowest_ask). */
static tw_status on_quote(const gate_message *m, twi_json *json)
{
    twi_json_slice key, symbol = {0};
    twi_quote quote = {.venue_ns = 0};
    twi_json_enter_object(json);
    while (twi_json_next_member(json, &key)) {
        if (TWI_JSON_IS(key, "s") || TWI_JSON_IS(key, "currency_pair"))
            twi_json_string(json, &symbol);
        else if (TWI_JSON_IS(key, "b") || TWI_JSON_IS(key, "highest_bid"))
            twi_scan_optional(json, &quote.bid);
        else if (TWI_JSON_IS(key, "B"))
            twi_scan_optional(json, &quote.bid_amount);
        else if (TWI_JSON_IS(key, "a") || TWI_JSON_IS(key, "lowest_ask"))
            twi_scan_optional(json, &quote.ask);
        else if (TWI_JSON_IS(key, "A"))
            twi_scan_optional(json, &quote.ask_amount);
        else if (TWI_JSON_IS(key, "t"))
            twi_scan_time(json, TWI_NS_PER_MS, &quote.venue_ns);
        else
            twi_json_skip(json);
    }
    twi_slot *slot = json->status == TW_OK ? twi_venue_slot(m->venue, m->link, symbol.text, symbol.len) : NULL;
    return slot != NULL ? twi_emit_quote(slot, &quote, m->recv_ns, m->sink) : TW_OK;
}

/* What stands behind "spot." or "futures."; empty: neither. */
static twi_json_slice plain_channel(twi_json_slice channel)
{
    for (int group = 0; group < GROUP_COUNT; group++) {
        uint32_t len = (uint32_t)strlen(PREFIXES[group]);
        if (channel.len > len && memcmp(channel.text, PREFIXES[group], len) == 0)
            return (twi_json_slice){.text = channel.text + len, .len = channel.len - len};
    }
    return (twi_json_slice){.len = 0};
}

static tw_status on_update(const gate_message *m, twi_json *result)
{
    tw_status status = TW_OK;
    twi_json_slice channel = plain_channel(m->channel);
    int stream = channel.len > 0 ? twi_channel_of(CHANNEL_NAMES, channel) : -1;
    if (stream == TW_CHANNEL_BOOK)
        status = on_book(m, result);
    else if (stream == TW_CHANNEL_TRADE)
        status = on_trades(m, result);
    else if (stream == TW_CHANNEL_QUOTE || TWI_JSON_IS(m->channel, "spot.tickers"))
        status = on_quote(m, result);
    else
        m->venue->stats.ignored++;
    return result->status == TW_OK ? status : TW_MALFORMED;
}

/* ---- control ---- */

static void read_error(twi_json *json, gate_message *m)
{
    twi_json_slice key;
    if (twi_json_null(json))
        return;
    m->failed = true;
    twi_json_enter_object(json);
    while (twi_json_next_member(json, &key)) {
        if (TWI_JSON_IS(key, "message"))
            twi_json_string(json, &m->error);
        else
            twi_json_skip(json);
    }
}

static tw_status on_answer(const gate_message *m)
{
    if (m->failed)
        twi_venue_error(m->venue, m->error.text, m->error.len);
    bool subscription = TWI_JSON_IS(m->event, "subscribe") || TWI_JSON_IS(m->event, "unsubscribe");
    if (subscription && m->has_id)
        twi_venue_ack_request(m->venue, (uint32_t)m->id, !m->failed, m->recv_ns, m->sink);
    return TW_OK;
}

static tw_status on_message(twi_venue *venue, uint32_t link, int64_t recv_ns, const uint8_t *msg, size_t msg_len,
                            tw_sink *sink)
{
    gate_message m = {.venue = venue, .sink = sink, .link = link, .recv_ns = recv_ns, .msg = msg, .msg_len = msg_len};
    twi_json json, result = {0};
    twi_json_slice key;
    bool has_result = false;
    twi_json_init(&json, msg, msg_len);
    twi_json_enter_object(&json);
    while (twi_json_next_member(&json, &key)) {
        if (TWI_JSON_IS(key, "channel"))
            twi_json_string(&json, &m.channel);
        else if (TWI_JSON_IS(key, "event"))
            twi_json_string(&json, &m.event);
        else if (TWI_JSON_IS(key, "result"))
            has_result = twi_json_defer(&json, &result);
        else if (TWI_JSON_IS(key, "error"))
            read_error(&json, &m);
        else if (TWI_JSON_IS(key, "id") && twi_json_peek(&json) == TWI_JSON_NUMBER)
            m.has_id = twi_json_uint64(&json, &m.id);
        else
            twi_json_skip(&json);
    }
    if (twi_json_end(&json) != TW_OK)
        return TW_MALFORMED;
    return TWI_JSON_IS(m.event, "update") && has_result ? on_update(&m, &result) : on_answer(&m);
}

/* ---- REST ---- */

/* The symbol of a book's URL; NULL: it is none of ours, or no book. */
static twi_slot *slot_of_url(twi_venue *venue, const char *url)
{
    const char *spot = strstr(url, "currency_pair="), *futures = strstr(url, "contract=");
    const char *symbol = spot != NULL ? spot + strlen("currency_pair=") : futures + strlen("contract=");
    size_t len = strcspn(symbol, "&");
    twi_slot *slot = twi_venue_find(venue, spot != NULL ? SPOT : FUTURES, symbol, len);
    return slot != NULL ? slot : twi_venue_slot(venue, 0, symbol, len);
}

static tw_status on_response(twi_venue *venue, int64_t recv_ns, const tw_response *response, tw_sink *sink)
{
    const char *url = response->url != NULL ? response->url : "";
    if (strstr(url, "/order_book?") == NULL)
        return twi_venue_take_markets(venue, response->body, response->body_len);
    twi_slot *slot = slot_of_url(venue, url);
    gate_book book = {.first = 0};
    twi_json json;
    twi_json_slice key;
    twi_json_init(&json, response->body, response->body_len);
    twi_json_enter_object(&json);
    while (twi_json_next_member(&json, &key)) {
        if (TWI_JSON_IS(key, "id"))
            twi_json_uint64(&json, &book.last);
        else if (TWI_JSON_IS(key, "bids"))
            twi_scan_side(&json, TWI_BID, &book.sides);
        else if (TWI_JSON_IS(key, "asks"))
            twi_scan_side(&json, TWI_ASK, &book.sides);
        else if (TWI_JSON_IS(key, "update"))
            twi_scan_fraction(&json, slot != NULL && slot->group == FUTURES ? S_EXPONENT : MS_EXPONENT, &book.time_ns);
        else
            twi_json_skip(&json);
    }
    if (twi_json_end(&json) != TW_OK || book.last == 0 || !book.sides.has[TWI_BID] || !book.sides.has[TWI_ASK])
        return TW_MALFORMED;
    twi_update_info info = {.snapshot = true, .seq = book.last, .venue_ns = book.time_ns, .recv_ns = recv_ns};
    return slot == NULL ? TW_OK : twi_take_snapshot(venue, slot, &info, 1, &book.sides, apply, sink);
}

static void write_book_url(twi_venue *venue, const twi_slot *slot, twi_text *url)
{
    (void)venue;
    twi_text_put(url, slot->group == SPOT ? "/api/v4/spot/order_book?currency_pair="
                                          : "/api/v4/futures/usdt/order_book?contract=");
    twi_text_bytes(url, slot->id, slot->id_len);
    twi_text_put(url, "&limit=100&with_id=true");
}

/* Recordings name the endpoint. */
static void link_up(twi_venue *venue, uint32_t link, int64_t now_ns, const char *url)
{
    (void)now_ns;
    if (url != NULL && strstr(url, "fx-ws.") != NULL)
        venue->links[link].group = FUTURES;
}

static void write_streams(twi_venue *venue, uint32_t link, bool subscribe, tw_channel channel, twi_slot *const *slots,
                          uint32_t count, uint32_t request, twi_text *out)
{
    (void)count;
    twi_text_put(out, "{\"time\":");
    twi_text_number(out, (uint64_t)(venue->links[link].last_ns / TWI_NS_PER_S));
    twi_text_put(out, ",\"id\":");
    twi_text_number(out, request);
    twi_text_put(out, ",\"channel\":\"");
    twi_text_put(out, PREFIXES[slots[0]->group]);
    twi_text_put(out, CHANNEL_NAMES[channel]);
    twi_text_put(out, subscribe ? "\",\"event\":\"subscribe\",\"payload\":[\""
                                : "\",\"event\":\"unsubscribe\",\"payload\":[\"");
    twi_text_bytes(out, slots[0]->id, slots[0]->id_len);
    bool levels = slots[0]->group == FUTURES; /* perpetuals want to know how many */
    twi_text_put(out, channel != TW_CHANNEL_BOOK ? "\"]}" : levels ? "\",\"100ms\",\"100\"]}" : "\",\"100ms\"]}");
}

static void write_ping(twi_venue *venue, uint32_t link, int64_t now_ns, twi_text *out)
{
    twi_text_put(out, "{\"time\":");
    twi_text_number(out, (uint64_t)(now_ns / TWI_NS_PER_S));
    twi_text_put(out, ",\"channel\":\"");
    twi_text_put(out, PREFIXES[venue->links[link].group]);
    twi_text_put(out, "ping\"}");
}

static void show_id(const twi_slot *slot, twi_text *out)
{
    if (slot->group == FUTURES)
        twi_text_put(out, "futures:");
    twi_text_bytes(out, slot->id, slot->id_len);
}

/* ---- markets ---- */

/* BTC/USDT and BTC/USDT:USDT both are BTC_USDT. */
static bool id_of_symbol(const char *symbol, size_t len, twi_text *id, uint8_t *group)
{
    twi_symbol_parts parts;
    if (!twi_symbol_split(symbol, len, &parts) || parts.expiry.len > 0)
        return false;
    bool tether = parts.settle.len == 4 && memcmp(parts.settle.text, "USDT", 4) == 0;
    if (parts.settle.len > 0 && !tether)
        return false;
    *group = tether ? FUTURES : SPOT;
    twi_text_bytes(id, parts.base.text, parts.base.len);
    twi_text_put(id, "_");
    twi_text_bytes(id, parts.quote.text, parts.quote.len);
    return true;
}

static bool symbol_of_id(const char *id, size_t len, uint8_t group, twi_text *symbol)
{
    if (!twi_symbol_of_joined(id, len, '_', NULL, symbol))
        return false;
    if (group == FUTURES)
        twi_text_put(symbol, ":USDT");
    return true;
}

static void set_parts(tw_market *market, twi_json_slice name)
{
    const char *bar = memchr(name.text, '_', name.len);
    if (bar == NULL)
        return;
    size_t base_len = (size_t)(bar - name.text);
    TWI_MARKET_SET(market->id, name);
    twi_market_copy(market->base, sizeof(market->base), name.text, base_len);
    twi_market_copy(market->quote, sizeof(market->quote), bar + 1, name.len - base_len - 1);
    memcpy(market->settle, market->quote, sizeof(market->settle));
}

/* A perpetual: sizes are whole contracts. */
static void read_contract(twi_json *json, tw_market_fn fn, void *owner)
{
    twi_json_slice key, name = {0};
    bool delisting = false;
    tw_market market = {.type = TW_MARKET_SWAP, .linear = 1, .amount_step = {.mantissa = 1}};
    twi_json_enter_object(json);
    while (twi_json_next_member(json, &key)) {
        if (TWI_JSON_IS(key, "name"))
            twi_json_string(json, &name);
        else if (TWI_JSON_IS(key, "quanto_multiplier"))
            twi_scan_optional(json, &market.contract_size);
        else if (TWI_JSON_IS(key, "order_price_round"))
            twi_scan_optional(json, &market.price_tick);
        else if (TWI_JSON_IS(key, "order_size_min"))
            twi_scan_optional(json, &market.amount_min);
        else if (TWI_JSON_IS(key, "order_size_max"))
            twi_scan_optional(json, &market.amount_max);
        else if (TWI_JSON_IS(key, "in_delisting"))
            twi_json_bool(json, &delisting);
        else
            twi_json_skip(json);
    }
    if (json->status == TW_OK && name.len > 0)
        set_parts(&market, name);
    if (market.id[0] == 0)
        return;
    market.active = !delisting;
    twi_market_name_symbol(&market);
    fn(owner, &market);
}

static void read_market(twi_json *json, tw_market_fn fn, void *owner)
{
    twi_json_slice key, value;
    tw_market market = {.active = 0};
    int64_t price_digits = -1, amount_digits = -1;
    twi_json_enter_object(json);
    while (twi_json_next_member(json, &key)) {
        if (TWI_JSON_IS(key, "id") && twi_json_string(json, &value))
            TWI_MARKET_SET(market.id, value);
        else if (TWI_JSON_IS(key, "base") && twi_json_string(json, &value))
            TWI_MARKET_SET(market.base, value);
        else if (TWI_JSON_IS(key, "quote") && twi_json_string(json, &value))
            TWI_MARKET_SET(market.quote, value);
        else if (TWI_JSON_IS(key, "precision"))
            twi_json_int64(json, &price_digits);
        else if (TWI_JSON_IS(key, "amount_precision"))
            twi_json_int64(json, &amount_digits);
        else if (TWI_JSON_IS(key, "trade_status") && twi_json_string(json, &value))
            market.active = TWI_JSON_IS(value, "tradable");
        else if (TWI_JSON_IS(key, "min_base_amount"))
            twi_scan_optional(json, &market.amount_min);
        else if (TWI_JSON_IS(key, "min_quote_amount"))
            twi_scan_optional(json, &market.cost_min);
        else
            twi_json_skip(json);
    }
    if (json->status != TW_OK || market.id[0] == 0)
        return;
    market.price_tick = twi_market_tick(price_digits);
    market.amount_step = twi_market_tick(amount_digits);
    twi_market_name_symbol(&market);
    fn(owner, &market);
}

/* Both lists are arrays; only contracts have a multiplier. */
static tw_status markets_parse(const uint8_t *body, size_t body_len, tw_market_fn fn, void *owner)
{
    static const char mark[] = "\"quanto_multiplier\"";
    bool contracts = body_len > 0 && memmem(body, body_len, mark, sizeof(mark) - 1) != NULL;
    return twi_market_list(body, body_len, NULL, contracts ? read_contract : read_market, fn, owner);
}

static tw_status markets_request(const tw_feed_config *config, uint32_t page, tw_request *request)
{
    static const char *const paths[GROUP_COUNT] = {"/api/v4/spot/currency_pairs", "/api/v4/futures/usdt/contracts"};
    return page < GROUP_COUNT ? twi_market_request(config, REST_URL, paths[page], 0, request) : TW_EMPTY;
}

/* ---- the feed ---- */

static const tw_feed_limits LIMITS = {.streams_per_link = 500,
                                      .dial_count = 10,
                                      .dial_window_ns = TWI_NS_PER_S,
                                      .silence_ns_max = 45 * TWI_NS_PER_S,
                                      .message_bytes_max = 1 << 20};

static const twi_venue_traits TRAITS = {
    .ops = &twi_feed_gate,
    .stream_urls = {"wss://api.gateio.ws/ws/v4/", "wss://fx-ws.gateio.ws/v4/ws/usdt"},
    .rest_url = REST_URL,
    .repair = TWI_REPAIR_FETCH,
    .book_levels = 8192,
    .acks = true,
    .batch_max = 1,
    .output_gap_ns = 20 * TWI_NS_PER_MS,
    .ping_gap_ns = 15 * TWI_NS_PER_S,
    .request_gap_ns = 100 * TWI_NS_PER_MS,
    .id_of_symbol = id_of_symbol,
    .symbol_of_id = symbol_of_id,
    .show_id = show_id,
    .link_up = link_up,
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

const tw_feed_ops twi_feed_gate = {TWI_VENUE_SHARED_OPS,
                                   .name = "gate",
                                   .has = TW_HAS_WATCH_TRADES | TW_HAS_WATCH_TICKER | TW_HAS_WATCH_ORDER_BOOK |
                                          TW_HAS_UNWATCH | TW_HAS_FETCH_MARKETS | TW_HAS_SAME_ON_LINKS | TWI_HAS_FETCH |
                                          TW_HAS_BOOK_SEQUENCE | TW_HAS_BOOK_SNAPSHOT_REST,
                                   .limits = &LIMITS,
                                   .state_size = state_size,
                                   .init = init,
                                   .markets_request = markets_request,
                                   .markets_parse = markets_parse};
