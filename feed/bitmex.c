/* bitmex.c - BitMEX realtime: orderBookL2, trade, quote.
 *
 * Rules:    a `partial` is the whole table of its filter; what comes before it is dropped. Inserts name a level's
 *           price, updates and deletes its id only: a map per symbol knows the prices, and an id that it does not
 *           know means that something was lost. There is no sequence and no checksum.
 * Quirks:   one message holds many rows and may hold several symbols; sizes are contracts; trades of a partial are
 *           history; one subscription per message, so that a refusal is about that one; ping and pong are bare words.
 * Source:   www.bitmex.com/app/wsAPI; recordings. */
#include "feed/idmap.h"
#include "feed/market.h"
#include "feed/registry.h"
#include "feed/shapes.h"

#define REST_URL             "https://www.bitmex.com"
#define RATE_LIMITED_WAIT_NS (5 * TWI_NS_PER_S)
enum { BOOK_LEVELS = 16384, IDS_MAX = 1 << 16, RATE_LIMITED = 429 };

static const char *const TABLES[TWI_STREAM_COUNT] = {"trade", "quote", "orderBookL2"};

/* Of each symbol. */
typedef struct bmx_slot {
    twi_idmap ids;
    twi_idmap_entry entries[IDS_MAX];
} bmx_slot;

typedef struct bmx_message {
    twi_venue *venue;
    tw_sink *sink;
    uint32_t link;
    int64_t recv_ns;
    twi_json_slice table, action, filter_symbol;
} bmx_message;

static twi_idmap *ids_of(twi_venue *venue, const twi_slot *slot)
{
    bmx_slot *extra = twi_venue_extra_slot(venue, slot);
    extra->ids.entries = extra->entries;
    extra->ids.mask = IDS_MAX - 1;
    return &extra->ids;
}

/* ---- book ---- */

typedef struct bmx_row {
    twi_json_slice symbol;
    uint64_t id;
    tw_decimal size, price;
    int64_t time_ns;
    bool sell, has_size, has_price;
} bmx_row;

static void read_row(twi_json *json, bmx_row *row)
{
    twi_json_slice key;
    twi_json_enter_object(json);
    while (twi_json_next_member(json, &key)) {
        if (TWI_JSON_IS(key, "symbol"))
            twi_json_string(json, &row->symbol);
        else if (TWI_JSON_IS(key, "id"))
            twi_json_uint64(json, &row->id);
        else if (TWI_JSON_IS(key, "side"))
            twi_scan_is_sell(json, &row->sell);
        else if (TWI_JSON_IS(key, "size"))
            row->has_size = twi_json_decimal(json, &row->size);
        else if (TWI_JSON_IS(key, "price"))
            row->has_price = twi_json_decimal(json, &row->price);
        else if (TWI_JSON_IS(key, "timestamp"))
            twi_scan_iso(json, &row->time_ns);
        else
            twi_json_skip(json);
    }
}

typedef enum bmx_action { PARTIAL, INSERT, UPDATE, DELETE, UNKNOWN } bmx_action;

static bmx_action action_of(twi_json_slice name)
{
    if (TWI_JSON_IS(name, "update"))
        return UPDATE;
    if (TWI_JSON_IS(name, "insert"))
        return INSERT;
    if (TWI_JSON_IS(name, "delete"))
        return DELETE;
    return TWI_JSON_IS(name, "partial") ? PARTIAL : UNKNOWN;
}

/* Books of one message: rows of one symbol follow each other. */
typedef struct bmx_run {
    twi_slot *slot; /* NULL: none, or rows that are to be dropped */
    twi_json_slice symbol;
    twi_update update;
    bool lost; /* an id was not known */
} bmx_run;

static tw_status end_run(const bmx_message *m, bmx_run *run)
{
    twi_slot *slot = run->slot;
    run->slot = NULL;
    if (slot == NULL)
        return TW_OK;
    if (!run->lost)
        return twi_update_end(&run->update);
    run->update.failed = true; /* no last record: readers drop the group */
    return twi_venue_broken(m->venue, slot, TW_STATE_GAP, TW_REASON_SEQUENCE, 0, 0, m->recv_ns, m->sink);
}

static tw_status begin_run(const bmx_message *m, bmx_run *run, twi_json_slice symbol, bool snapshot, int64_t time_ns)
{
    tw_status status = end_run(m, run);
    run->symbol = symbol;
    run->lost = false;
    twi_slot *slot = twi_venue_slot(m->venue, m->link, symbol.text, symbol.len);
    if (slot == NULL || (!snapshot && !twi_venue_delta_usable(slot)))
        return status;
    run->slot = slot;
    if (snapshot)
        twi_idmap_clear(ids_of(m->venue, slot));
    twi_update_info info = {.snapshot = snapshot, .venue_ns = time_ns, .recv_ns = m->recv_ns};
    twi_update_begin(&run->update, m->venue, slot, m->sink, &info);
    return status;
}

static void apply_row(const bmx_message *m, bmx_run *run, bmx_action action, const bmx_row *row)
{
    twi_idmap *ids = ids_of(m->venue, run->slot);
    tw_decimal price = row->price, amount = row->size;
    bool known = action == PARTIAL || action == INSERT ? row->has_price && twi_idmap_put(ids, row->id, price)
                                                       : twi_idmap_get(ids, row->id, &price);
    if (!known || (action != DELETE && !row->has_size)) {
        run->lost = true;
        return;
    }
    if (action == DELETE) {
        twi_idmap_remove(ids, row->id);
        amount = (tw_decimal){0};
    }
    twi_update_level(&run->update, row->sell ? TWI_ASK : TWI_BID, price, amount);
}

static tw_status on_book(const bmx_message *m, twi_json *data)
{
    bmx_action action = action_of(m->action);
    bmx_run run = {.slot = NULL};
    tw_status status = TW_OK, its;
    bool any = false;
    if (action == UNKNOWN)
        return TW_MALFORMED;
    twi_json_enter_array(data);
    while (twi_json_next_item(data)) {
        bmx_row row = {.id = 0};
        read_row(data, &row);
        if (row.symbol.len == 0)
            twi_json_fail(data, TW_MALFORMED);
        if (data->status != TW_OK)
            break;
        if (!any || !twi_json_equal(row.symbol, run.symbol.text, run.symbol.len)) {
            its = begin_run(m, &run, row.symbol, action == PARTIAL, row.time_ns);
            status = its != TW_OK ? its : status;
        }
        any = true;
        if (run.slot != NULL)
            apply_row(m, &run, action, &row);
    }
    if (data->status != TW_OK)
        return run.slot != NULL ? twi_update_abort(&run.update) : TW_MALFORMED;
    if (!any && action == PARTIAL && m->filter_symbol.len > 0)
        status = begin_run(m, &run, m->filter_symbol, true, 0);
    its = end_run(m, &run);
    return its != TW_OK ? its : status;
}

/* ---- trades and quotes ---- */

static tw_status on_trade(const bmx_message *m, twi_json *json, bool history)
{
    twi_json_slice key, symbol = {0};
    twi_trade trade = {.history = history};
    twi_json_enter_object(json);
    while (twi_json_next_member(json, &key)) {
        if (TWI_JSON_IS(key, "symbol"))
            twi_json_string(json, &symbol);
        else if (TWI_JSON_IS(key, "timestamp"))
            twi_scan_iso(json, &trade.venue_ns);
        else if (TWI_JSON_IS(key, "side"))
            twi_scan_is_sell(json, &trade.sell);
        else if (TWI_JSON_IS(key, "size"))
            twi_json_decimal(json, &trade.amount);
        else if (TWI_JSON_IS(key, "price"))
            twi_json_decimal(json, &trade.price);
        else if (TWI_JSON_IS(key, "trdMatchID"))
            twi_json_scalar(json, &trade.id);
        else
            twi_json_skip(json);
    }
    twi_slot *slot = json->status == TW_OK ? twi_venue_slot(m->venue, m->link, symbol.text, symbol.len) : NULL;
    return slot != NULL ? twi_emit_trade(slot, &trade, m->recv_ns, m->sink) : TW_OK;
}

static tw_status on_quote(const bmx_message *m, twi_json *json)
{
    twi_json_slice key, symbol = {0};
    twi_quote quote = {.venue_ns = 0};
    twi_json_enter_object(json);
    while (twi_json_next_member(json, &key)) {
        if (TWI_JSON_IS(key, "symbol"))
            twi_json_string(json, &symbol);
        else if (TWI_JSON_IS(key, "timestamp"))
            twi_scan_iso(json, &quote.venue_ns);
        else if (TWI_JSON_IS(key, "bidSize"))
            twi_scan_optional(json, &quote.bid_amount);
        else if (TWI_JSON_IS(key, "bidPrice"))
            twi_scan_optional(json, &quote.bid);
        else if (TWI_JSON_IS(key, "askPrice"))
            twi_scan_optional(json, &quote.ask);
        else if (TWI_JSON_IS(key, "askSize"))
            twi_scan_optional(json, &quote.ask_amount);
        else
            twi_json_skip(json);
    }
    twi_slot *slot = json->status == TW_OK ? twi_venue_slot(m->venue, m->link, symbol.text, symbol.len) : NULL;
    return slot != NULL ? twi_emit_quote(slot, &quote, m->recv_ns, m->sink) : TW_OK;
}

static tw_status on_table(const bmx_message *m, twi_json *data)
{
    bool trade = TWI_JSON_IS(m->table, "trade"), quote = TWI_JSON_IS(m->table, "quote");
    if (TWI_JSON_IS(m->table, "orderBookL2") || TWI_JSON_IS(m->table, "orderBookL2_25"))
        return on_book(m, data);
    if (!trade && !quote) {
        m->venue->stats.ignored++;
        return TW_OK;
    }
    bool history = TWI_JSON_IS(m->action, "partial");
    tw_status status = TW_OK;
    twi_json_enter_array(data);
    while (twi_json_next_item(data)) {
        tw_status its = trade ? on_trade(m, data, history) : on_quote(m, data);
        status = its != TW_OK ? its : status;
    }
    return data->status == TW_OK ? status : TW_MALFORMED;
}

/* ---- control ---- */

typedef struct bmx_answer {
    twi_json_slice subscribed, left, error, request;
    int64_t status; /* as of HTTP */
} bmx_answer;

/* "trade:XBTUSD" */
static twi_slot *split_topic(twi_venue *venue, twi_json_slice topic, int *stream)
{
    const char *colon = memchr(topic.text != NULL ? topic.text : "", ':', topic.len);
    *stream = -1;
    if (colon == NULL)
        return NULL;
    twi_json_slice table = {.text = topic.text, .len = (uint32_t)(colon - topic.text)};
    *stream = twi_channel_of(TABLES, table);
    return *stream >= 0 ? twi_venue_find(venue, 0, colon + 1, topic.len - table.len - 1) : NULL;
}

/* The first topic in {"op":"subscribe","args":["trade:XBTUSD"]}. */
static twi_json_slice topic_of_request(twi_json_slice request)
{
    twi_json json;
    twi_json_slice key, topic = {0};
    if (request.len == 0)
        return topic;
    twi_json_init(&json, request.text, request.len);
    twi_json_enter_object(&json);
    while (twi_json_next_member(&json, &key)) {
        if (!TWI_JSON_IS(key, "args")) {
            twi_json_skip(&json);
            continue;
        }
        if (twi_json_peek(&json) == TWI_JSON_STRING) {
            twi_json_string(&json, &topic);
        } else if (twi_json_enter_array(&json) && twi_json_next_item(&json)) {
            twi_json_scalar(&json, &topic);
            twi_json_drain_array(&json);
        }
    }
    return topic;
}

static tw_status on_answer(const bmx_message *m, const bmx_answer *answer)
{
    int stream;
    if (answer->error.len > 0) {
        twi_venue_error(m->venue, answer->error.text, answer->error.len);
        twi_slot *slot = split_topic(m->venue, topic_of_request(answer->request), &stream);
        if (slot != NULL && answer->status == RATE_LIMITED)
            twi_venue_retry_request(m->venue, m->link, slot->streams[stream].request,
                                    m->recv_ns + RATE_LIMITED_WAIT_NS);
        else if (slot != NULL)
            twi_venue_ack_stream(m->venue, slot, (tw_channel)stream, false, m->recv_ns, m->sink);
        return TW_OK;
    }
    twi_slot *slot = split_topic(m->venue, answer->subscribed, &stream);
    if (slot != NULL)
        twi_venue_ack_stream(m->venue, slot, (tw_channel)stream, true, m->recv_ns, m->sink);
    slot = split_topic(m->venue, answer->left, &stream);
    if (slot != NULL)
        twi_venue_left_stream(m->venue, slot, (tw_channel)stream);
    return TW_OK;
}

static void read_filter(twi_json *json, bmx_message *m)
{
    twi_json_slice key;
    twi_json_enter_object(json);
    while (twi_json_next_member(json, &key)) {
        if (TWI_JSON_IS(key, "symbol"))
            twi_json_string(json, &m->filter_symbol);
        else
            twi_json_skip(json);
    }
}

static tw_status on_message(twi_venue *venue, uint32_t link, int64_t recv_ns, const uint8_t *msg, size_t msg_len,
                            tw_sink *sink)
{
    bmx_message m = {.venue = venue, .sink = sink, .link = link, .recv_ns = recv_ns};
    bmx_answer answer = {.error = {0}};
    twi_json json, data = {0};
    twi_json_slice key;
    bool has_data = false;
    if (msg_len == 4 && memcmp(msg, "pong", 4) == 0)
        return TW_OK;
    twi_json_init(&json, msg, msg_len);
    twi_json_enter_object(&json);
    while (twi_json_next_member(&json, &key)) {
        if (TWI_JSON_IS(key, "table"))
            twi_json_string(&json, &m.table);
        else if (TWI_JSON_IS(key, "action"))
            twi_json_string(&json, &m.action);
        else if (TWI_JSON_IS(key, "data"))
            has_data = twi_json_defer(&json, &data);
        else if (TWI_JSON_IS(key, "filter"))
            read_filter(&json, &m);
        else if (TWI_JSON_IS(key, "subscribe"))
            twi_json_string(&json, &answer.subscribed);
        else if (TWI_JSON_IS(key, "unsubscribe"))
            twi_json_string(&json, &answer.left);
        else if (TWI_JSON_IS(key, "error"))
            twi_json_scalar(&json, &answer.error);
        else if (TWI_JSON_IS(key, "request"))
            twi_json_raw(&json, &answer.request);
        else if (TWI_JSON_IS(key, "status") && twi_json_peek(&json) == TWI_JSON_NUMBER)
            twi_json_int64(&json, &answer.status);
        else
            twi_json_skip(&json);
    }
    if (twi_json_end(&json) != TW_OK)
        return TW_MALFORMED;
    return m.table.len > 0 && has_data ? on_table(&m, &data) : on_answer(&m, &answer);
}

static void write_streams(twi_venue *venue, uint32_t link, bool subscribe, tw_channel channel, twi_slot *const *slots,
                          uint32_t count, uint32_t request, twi_text *out)
{
    (void)venue;
    (void)link;
    (void)count;
    (void)request;
    twi_text_put(out, subscribe ? "{\"op\":\"subscribe\",\"args\":[\"" : "{\"op\":\"unsubscribe\",\"args\":[\"");
    twi_text_put(out, TABLES[channel]);
    twi_text_put(out, ":");
    twi_text_bytes(out, slots[0]->id, slots[0]->id_len);
    twi_text_put(out, "\"]}");
}

static void write_ping(twi_venue *venue, uint32_t link, int64_t now_ns, twi_text *out)
{
    (void)venue;
    (void)link;
    (void)now_ns;
    twi_text_put(out, "ping");
}

/* ---- names ---- */

static const twi_code CODES[] = {{"XBT", "BTC"}, {"XBt", "BTC"}, {"USDt", "USDT"}, {NULL, NULL}};
static const char MONTH_LETTERS[] = "FGHJKMNQUVXZ";

static void put_code(twi_text *out, twi_name name)
{
    name = twi_code_unify(CODES, name.text, name.len);
    twi_text_bytes(out, name.text, name.len);
}

static bool ends_with(const char *id, size_t len, const char *end)
{
    size_t end_len = strlen(end);
    return len > end_len && memcmp(id + len - end_len, end, end_len) == 0;
}

/* XBTUSD -> BTC/USD:BTC, ETHUSDT -> ETH/USDT:USDT, XBT_USDT -> BTC/USDT; dated contracts need the market list. */
static bool symbol_of_id(const char *id, size_t len, uint8_t group, twi_text *symbol)
{
    (void)group;
    if (memchr(id, '_', len) != NULL)
        return twi_symbol_of_joined(id, len, '_', CODES, symbol);
    bool tether = ends_with(id, len, "USDT"), dollar = ends_with(id, len, "USD");
    if (!tether && !dollar)
        return false;
    put_code(symbol, (twi_name){id, len - (tether ? 4 : 3)});
    twi_text_put(symbol, tether ? "/USDT:USDT" : "/USD:BTC");
    return true;
}

/* BTC/USD:BTC-210625 -> XBTM21, LINK/USDT:USDT-210625 -> LINKUSDTM21, ADA/BTC:BTC-210625 -> ADAM21. */
static bool id_of_symbol(const char *symbol, size_t len, twi_text *id, uint8_t *group)
{
    twi_symbol_parts parts;
    *group = 0;
    if (!twi_symbol_split(symbol, len, &parts) || parts.option != 0)
        return false;
    twi_name base = twi_code_of_venue(CODES, parts.base), quote = parts.quote;
    twi_text_bytes(id, base.text, base.len);
    if (parts.settle.len == 0)
        twi_text_put(id, "_");
    bool tether = quote.len == 4 && memcmp(quote.text, "USDT", 4) == 0;
    if (parts.expiry.len == 0 || tether)
        twi_text_bytes(id, quote.text, quote.len);
    if (parts.expiry.len == 0)
        return true;
    unsigned month = (unsigned)(parts.expiry.text[2] - '0') * 10 + (unsigned)(parts.expiry.text[3] - '0');
    if (month < 1 || month > 12)
        return false;
    twi_text_bytes(id, &MONTH_LETTERS[month - 1], 1);
    twi_text_bytes(id, parts.expiry.text, 2);
    return true;
}

static void read_market(twi_json *json, tw_market_fn fn, void *owner)
{
    twi_json_slice key, value, type = {0};
    tw_market market = {.active = 0};
    bool inverse = false, quanto = false;
    twi_json_enter_object(json);
    while (twi_json_next_member(json, &key)) {
        if (TWI_JSON_IS(key, "symbol") && twi_json_string(json, &value))
            TWI_MARKET_SET(market.id, value);
        else if (TWI_JSON_IS(key, "underlying") && twi_json_string(json, &value))
            TWI_MARKET_CODE(market.base, CODES, value);
        else if (TWI_JSON_IS(key, "quoteCurrency") && twi_json_string(json, &value))
            TWI_MARKET_CODE(market.quote, CODES, value);
        else if (TWI_JSON_IS(key, "settlCurrency") && twi_json_scalar(json, &value))
            TWI_MARKET_CODE(market.settle, CODES, value);
        else if (TWI_JSON_IS(key, "typ"))
            twi_json_string(json, &type);
        else if (TWI_JSON_IS(key, "state") && twi_json_string(json, &value))
            market.active = TWI_JSON_IS(value, "Open");
        else if (TWI_JSON_IS(key, "expiry") && twi_json_scalar(json, &value))
            market.expiry_ns = twi_time_from_iso(value.text, value.len);
        else if (TWI_JSON_IS(key, "isInverse"))
            twi_json_bool(json, &inverse);
        else if (TWI_JSON_IS(key, "isQuanto"))
            twi_json_bool(json, &quanto);
        else if (TWI_JSON_IS(key, "tickSize"))
            twi_scan_optional(json, &market.price_tick);
        else if (TWI_JSON_IS(key, "lotSize") && twi_scan_optional(json, &market.amount_step))
            market.amount_min = market.amount_step;
        else
            twi_json_skip(json);
    }
    bool swap = TWI_JSON_IS(type, "FFWCSX"), future = TWI_JSON_IS(type, "FFCCSX"), spot = TWI_JSON_IS(type, "IFXXXP");
    if (json->status != TW_OK || market.id[0] == 0 || (!swap && !future && !spot))
        return;
    market.type = spot ? TW_MARKET_SPOT : swap ? TW_MARKET_SWAP : TW_MARKET_FUTURE;
    if (spot)
        market.settle[0] = 0;
    market.inverse = inverse;
    market.linear = !spot && !inverse && !quanto;
    market.contract_size = (tw_decimal){.mantissa = 1};
    twi_market_name_symbol(&market);
    fn(owner, &market);
}

static tw_status markets_parse(const uint8_t *body, size_t body_len, tw_market_fn fn, void *owner)
{
    return twi_market_list(body, body_len, NULL, read_market, fn, owner);
}

static tw_status markets_request(const tw_feed_config *config, uint32_t page, tw_request *request)
{
    return twi_market_request(config, REST_URL, "/api/v1/instrument/active", page, request);
}

/* ---- the feed ---- */

static const tw_feed_limits LIMITS = {.streams_per_link = 150,
                                      .dial_count = 3,
                                      .dial_window_ns = TWI_NS_PER_S,
                                      .silence_ns_max = 20 * TWI_NS_PER_S,
                                      .message_bytes_max = 8 << 20};

static const twi_venue_traits TRAITS = {.ops = &twi_feed_bitmex,
                                        .stream_urls = {"wss://ws.bitmex.com/realtime"},
                                        .rest_url = REST_URL,
                                        .repair = TWI_REPAIR_RESUBSCRIBE,
                                        .book_levels = BOOK_LEVELS,
                                        .acks = true,
                                        .batch_max = 1,
                                        .output_gap_ns = 100 * TWI_NS_PER_MS,
                                        .ping_gap_ns = 5 * TWI_NS_PER_S,
                                        .request_gap_ns = 2 * TWI_NS_PER_S,
                                        .extra_slot_bytes = sizeof(bmx_slot),
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

const tw_feed_ops twi_feed_bitmex = {TWI_VENUE_SHARED_OPS,
                                     .name = "bitmex",
                                     .has = TW_HAS_WATCH_TRADES | TW_HAS_WATCH_TICKER | TW_HAS_WATCH_ORDER_BOOK |
                                            TW_HAS_UNWATCH | TW_HAS_FETCH_MARKETS | TWI_HAS_FETCH |
                                            TW_HAS_TRADE_HISTORY,
                                     .limits = &LIMITS,
                                     .state_size = state_size,
                                     .init = init,
                                     .markets_request = markets_request,
                                     .markets_parse = markets_parse};
