/* binance.c - Binance spot and USD-M futures: combined streams trade, bookTicker, depth@100ms, the book joined with a
 * REST snapshot.
 *
 * Rules:    spot: drop u <= last, the first delta covers last + 1, then U is the previous u + 1.
 *           USD-M: drop u < last, the first delta covers last, then pu is the previous u.
 * Quirks:   spot bookTicker names no event and no time; the letters b, B, a, A, p, q mean different things in different
 *           payloads, so values are read by their JSON type and the event name decides at the end. USD-M trades other
 *           than MARKET (insurance fund, ADL) did not happen on the book and are left out.
 * Source:   developers.binance.com, "WebSocket Streams", "How to manage a local order book correctly"; recordings. */
#include "feed/market.h"
#include "feed/registry.h"
#include "feed/scan.h"

#define SPOT_REST    "https://api.binance.com"
#define FUTURES_REST "https://fapi.binance.com"
enum { DEPTH_LIMIT = 1000 }; /* spot would give 5000, at five times the weight: a minute for 24 symbols */

/* What a payload says; members that a payload does not have stay zero. */
typedef struct binance_payload {
    twi_json_slice event, symbol, trade_id, aggregate_id, origin;
    int64_t event_ms, transaction_ms;
    uint64_t first, last, previous;
    bool has_first, has_last, has_previous, buyer_is_maker, has_bid, has_ask;
    tw_decimal price, amount, bid, bid_amount, ask, ask_amount;
    twi_sides sides;
} binance_payload;

typedef struct binance_message {
    twi_venue *venue;
    tw_sink *sink;
    uint32_t link;
    int64_t recv_ns;
    const uint8_t *msg;
    size_t msg_len;
    binance_payload payload;
} binance_message;

static bool is_futures(const twi_venue *venue);

/* ---- one payload ---- */

/* A bid or an ask: a price, an amount, or an order id that nobody needs. */
static void read_price(twi_json *json, tw_decimal *value, bool *present)
{
    if (twi_json_peek(json) != TWI_JSON_STRING) {
        twi_json_skip(json);
        return;
    }
    *present = twi_json_decimal(json, value);
}

static void read_side(twi_json *json, binance_payload *payload, twi_side side, tw_decimal *price, bool *present)
{
    if (twi_json_peek(json) != TWI_JSON_ARRAY) {
        read_price(json, price, present);
        return;
    }
    twi_scan_side(json, side, &payload->sides);
}

static void read_letter(twi_json *json, char letter, binance_payload *payload)
{
    bool unused = false;
    switch (letter) {
    case 'e':
        twi_json_string(json, &payload->event);
        return;
    case 's':
        twi_json_string(json, &payload->symbol);
        return;
    case 'E':
        twi_json_int64(json, &payload->event_ms);
        return;
    case 'T':
        twi_json_int64(json, &payload->transaction_ms);
        return;
    case 'U':
        payload->has_first = twi_json_uint64(json, &payload->first);
        return;
    case 'u':
        payload->has_last = twi_json_uint64(json, &payload->last);
        return;
    case 't':
        twi_json_scalar(json, &payload->trade_id);
        return;
    case 'p':
        read_price(json, &payload->price, &unused);
        return;
    case 'q':
        read_price(json, &payload->amount, &unused);
        return;
    case 'm':
        twi_json_bool(json, &payload->buyer_is_maker);
        return;
    case 'X':
        twi_json_scalar(json, &payload->origin);
        return;
    case 'B':
        read_price(json, &payload->bid_amount, &unused);
        return;
    case 'A':
        read_price(json, &payload->ask_amount, &unused);
        return;
    case 'b':
        read_side(json, payload, TWI_BID, &payload->bid, &payload->has_bid);
        return;
    case 'a':
        if (twi_json_peek(json) == TWI_JSON_NUMBER)
            twi_json_number(json, &payload->aggregate_id);
        else
            read_side(json, payload, TWI_ASK, &payload->ask, &payload->has_ask);
        return;
    default:
        twi_json_skip(json);
    }
}

static void read_member(twi_json *json, twi_json_slice key, binance_payload *payload)
{
    if (TWI_LIKELY(key.len == 1))
        read_letter(json, key.text[0], payload);
    else if (TWI_JSON_IS(key, "pu"))
        payload->has_previous = twi_json_uint64(json, &payload->previous);
    else
        twi_json_skip(json);
}

static void read_payload(twi_json *json, binance_payload *payload)
{
    twi_json_slice key;
    if (!twi_json_enter_object(json))
        return;
    while (twi_json_next_member(json, &key))
        read_member(json, key, payload);
}

/* ---- what it means ---- */

static tw_status on_trade(binance_message *m, twi_slot *slot, twi_json_slice id)
{
    binance_payload *p = &m->payload;
    if (p->origin.len > 0 && !TWI_JSON_IS(p->origin, "MARKET")) {
        m->venue->stats.ignored++;
        return TW_OK;
    }
    twi_trade trade = {.price = p->price,
                       .amount = p->amount,
                       .id = id,
                       .venue_ns = twi_time_from_ms(p->transaction_ms),
                       .sell = p->buyer_is_maker};
    return twi_emit_trade(slot, &trade, m->recv_ns, m->sink);
}

static tw_status on_quote(binance_message *m, twi_slot *slot)
{
    binance_payload *p = &m->payload;
    twi_quote quote = {.bid = p->bid,
                       .bid_amount = p->bid_amount,
                       .ask = p->ask,
                       .ask_amount = p->ask_amount,
                       .venue_ns = twi_time_from_ms(p->transaction_ms)};
    return twi_emit_quote(slot, &quote, m->recv_ns, m->sink);
}

static twi_delta delta_of(const binance_message *m, const twi_slot *slot)
{
    const binance_payload *p = &m->payload;
    twi_delta delta = {.link = m->link,
                       .first = p->first,
                       .last = p->last,
                       .recv_ns = m->recv_ns,
                       .msg = m->msg,
                       .msg_len = m->msg_len};
    if (is_futures(m->venue)) {
        delta.stale = p->last < slot->seq;
        delta.continues = slot->bridged ? p->previous == slot->seq : p->first <= slot->seq;
    } else {
        delta.stale = p->last <= slot->seq;
        delta.continues = slot->bridged ? p->first == slot->seq + 1 : p->first <= slot->seq + 1;
    }
    return delta;
}

static tw_status on_depth(binance_message *m, twi_slot *slot)
{
    binance_payload *p = &m->payload;
    if (!p->has_first || !p->has_last || (is_futures(m->venue) && !p->has_previous))
        return TW_MALFORMED;
    twi_delta delta = delta_of(m, slot);
    twi_verdict verdict = twi_venue_judge(m->venue, slot, &delta, m->sink);
    if (verdict != TWI_APPLY)
        return verdict == TWI_BROKEN ? TW_GAP : TW_OK;
    twi_update update;
    twi_update_info info = {.seq = p->last, .venue_ns = twi_time_from_ms(p->event_ms), .recv_ns = m->recv_ns};
    twi_update_begin(&update, m->venue, slot, m->sink, &info);
    return twi_update_finish(&update, &p->sides);
}

static tw_status on_payload(binance_message *m)
{
    binance_payload *p = &m->payload;
    bool depth = TWI_JSON_IS(p->event, "depthUpdate"), trade = TWI_JSON_IS(p->event, "trade");
    bool aggregate = TWI_JSON_IS(p->event, "aggTrade");
    bool quote = (p->event.len == 0 || TWI_JSON_IS(p->event, "bookTicker")) && p->has_bid && p->has_ask;
    if (!depth && !trade && !aggregate && !quote) {
        m->venue->stats.ignored++;
        return TW_OK;
    }
    twi_slot *slot = twi_venue_slot(m->venue, m->link, p->symbol.text, p->symbol.len);
    if (slot == NULL)
        return TW_OK;
    if (depth)
        return on_depth(m, slot);
    if (quote)
        return on_quote(m, slot);
    return on_trade(m, slot, trade ? p->trade_id : p->aggregate_id);
}

/* ---- control ---- */

typedef struct binance_answer {
    uint64_t id;
    bool has_id, failed, shutdown;
    twi_json_slice text;
} binance_answer;

static void read_error(twi_json *json, binance_answer *answer)
{
    twi_json_slice key;
    answer->failed = true;
    if (twi_json_peek(json) != TWI_JSON_OBJECT) {
        twi_json_raw(json, &answer->text);
        return;
    }
    twi_json_enter_object(json);
    while (twi_json_next_member(json, &key)) {
        if (TWI_JSON_IS(key, "msg"))
            twi_json_string(json, &answer->text);
        else
            twi_json_skip(json);
    }
}

static tw_status on_answer(binance_message *m, const binance_answer *answer)
{
    if (answer->failed)
        twi_venue_error(m->venue, answer->text.text, answer->text.len);
    if (answer->has_id)
        twi_venue_ack_request(m->venue, (uint32_t)answer->id, !answer->failed, m->recv_ns, m->sink);
    return TW_OK;
}

static tw_status on_message(twi_venue *venue, uint32_t link, int64_t recv_ns, const uint8_t *msg, size_t msg_len,
                            tw_sink *sink)
{
    binance_message m = {
        .venue = venue, .sink = sink, .link = link, .recv_ns = recv_ns, .msg = msg, .msg_len = msg_len};
    twi_json json;
    twi_json_slice key;
    binance_answer answer = {0};
    bool control = false;
    twi_json_init(&json, msg, msg_len);
    twi_json_enter_object(&json);
    while (twi_json_next_member(&json, &key)) {
        /* "event" wraps serverShutdown where it comes from the venue's WebSocket API. */
        bool wrapper = TWI_JSON_IS(key, "data") || TWI_JSON_IS(key, "event");
        if (wrapper && twi_json_peek(&json) == TWI_JSON_OBJECT) {
            read_payload(&json, &m.payload);
        } else if (TWI_JSON_IS(key, "id")) {
            control = true;
            answer.has_id = twi_json_peek(&json) == TWI_JSON_NUMBER && twi_json_uint64(&json, &answer.id);
            if (!answer.has_id)
                twi_json_skip(&json);
        } else if (TWI_JSON_IS(key, "error")) {
            control = true;
            read_error(&json, &answer);
        } else {
            read_member(&json, key, &m.payload); /* a raw payload without the wrapper */
        }
    }
    if (twi_json_end(&json) != TW_OK)
        return TW_MALFORMED;
    if (control)
        return on_answer(&m, &answer);
    if (TWI_JSON_IS(m.payload.event, "serverShutdown"))
        return TW_RELINK;
    return on_payload(&m);
}

/* ---- REST ---- */

/* The symbol of a depth URL; without one (recordings of one symbol) that of the only book. */
static twi_slot *slot_of_url(twi_venue *venue, const char *url)
{
    const char *symbol = url != NULL ? strstr(url, "symbol=") : NULL;
    if (symbol == NULL)
        return venue->slot_count == 1 ? &venue->slots[0] : NULL;
    symbol += strlen("symbol=");
    return twi_venue_slot(venue, 0, symbol, strcspn(symbol, "&"));
}

static tw_status apply_snapshot(twi_venue *venue, twi_slot *slot, int64_t recv_ns, uint64_t seq, twi_sides *sides,
                                tw_sink *sink)
{
    if (!twi_venue_snapshot_fits(venue, slot, seq, is_futures(venue) ? 0 : 1, recv_ns))
        return TW_OK;
    twi_update update;
    twi_update_begin(&update, venue, slot, sink, &(twi_update_info){.snapshot = true, .seq = seq, .recv_ns = recv_ns});
    tw_status status = twi_update_finish(&update, sides);
    return status == TW_OK ? twi_venue_run_backlog(venue, slot, sink) : status;
}

static tw_status on_response(twi_venue *venue, int64_t recv_ns, const tw_response *response, tw_sink *sink)
{
    if (response->url != NULL && strstr(response->url, "exchangeInfo") != NULL)
        return twi_venue_take_markets(venue, response->body, response->body_len);
    twi_json json;
    twi_sides sides = {0};
    twi_json_slice key;
    uint64_t seq = 0;
    bool has_seq = false;
    twi_json_init(&json, response->body, response->body_len);
    twi_json_enter_object(&json);
    while (twi_json_next_member(&json, &key)) {
        if (TWI_JSON_IS(key, "lastUpdateId"))
            has_seq = twi_json_uint64(&json, &seq);
        else if (TWI_JSON_IS(key, "bids"))
            twi_scan_side(&json, TWI_BID, &sides);
        else if (TWI_JSON_IS(key, "asks"))
            twi_scan_side(&json, TWI_ASK, &sides);
        else
            twi_json_skip(&json);
    }
    if (twi_json_end(&json) != TW_OK || !has_seq || !sides.has[TWI_BID] || !sides.has[TWI_ASK])
        return TW_MALFORMED;
    twi_slot *slot = slot_of_url(venue, response->url);
    return slot == NULL ? TW_OK : apply_snapshot(venue, slot, recv_ns, seq, &sides, sink);
}

static void write_book_url(twi_venue *venue, const twi_slot *slot, twi_text *url)
{
    twi_text_put(url, is_futures(venue) ? "/fapi/v1/depth?symbol=" : "/api/v3/depth?symbol=");
    twi_text_bytes(url, slot->id, slot->id_len);
    twi_text_put(url, "&limit=");
    twi_text_number(url, DEPTH_LIMIT);
}

/* ---- subscriptions ---- */

static void write_streams(twi_venue *venue, uint32_t link, bool subscribe, tw_channel channel, twi_slot *const *slots,
                          uint32_t count, uint32_t request, twi_text *out)
{
    static const char *const suffixes[TWI_STREAM_COUNT] = {"@trade\"", "@bookTicker\"", "@depth@100ms\""};
    (void)venue;
    (void)link;
    twi_text_put(out,
                 subscribe ? "{\"method\":\"SUBSCRIBE\",\"params\":[" : "{\"method\":\"UNSUBSCRIBE\",\"params\":[");
    for (uint32_t i = 0; i < count; i++) {
        twi_text_put(out, i == 0 ? "\"" : ",\"");
        twi_text_lower(out, slots[i]->id, slots[i]->id_len);
        twi_text_put(out, suffixes[channel]);
    }
    twi_text_put(out, "],\"id\":");
    twi_text_number(out, request);
    twi_text_put(out, "}");
}

/* ---- markets ---- */

static const char *const QUOTES[] = {"USDT", "BUSD", "USDC", "FDUSD", "TUSD", "BTC", "ETH", "BNB", "EUR", "TRY",
                                     "BRL",  "GBP",  "AUD",  "JPY",   "USD",  "DAI", "RUB", "ARS", "PLN", NULL};
static const twi_code CODES[] = {{"BCHSV", "BSV"}, {"XBT", "BTC"}, {NULL, NULL}};

static bool id_of_spot(const char *symbol, size_t len, twi_text *id, uint8_t *group)
{
    *group = 0;
    return twi_joined_of_symbol(symbol, len, "", NULL, id);
}

static bool symbol_of_spot(const char *id, size_t len, uint8_t group, twi_text *symbol)
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

/* BTC/USDT:USDT -> BTCUSDT, BTC/USDT:USDT-240927 -> BTCUSDT_240927. */
static bool id_of_futures(const char *symbol, size_t len, twi_text *id, uint8_t *group)
{
    twi_symbol_parts parts;
    *group = 0;
    if (!twi_symbol_split(symbol, len, &parts) || parts.settle.len == 0 || parts.option != 0)
        return false;
    twi_text_bytes(id, parts.base.text, parts.base.len);
    twi_text_bytes(id, parts.quote.text, parts.quote.len);
    if (parts.expiry.len > 0) {
        twi_text_put(id, "_");
        twi_text_bytes(id, parts.expiry.text, parts.expiry.len);
    }
    return true;
}

static bool symbol_of_futures(const char *id, size_t len, uint8_t group, twi_text *symbol)
{
    const char *date = memchr(id, '_', len);
    size_t pair_len = date != NULL ? (size_t)(date - id) : len, base_len;
    if (!symbol_of_spot(id, pair_len, group, symbol) || !twi_split_quote(id, pair_len, QUOTES, &base_len))
        return false;
    twi_text_put(symbol, ":");
    twi_text_bytes(symbol, id + base_len, pair_len - base_len);
    if (date != NULL) {
        twi_text_put(symbol, "-");
        twi_text_bytes(symbol, date + 1, len - pair_len - 1);
    }
    return true;
}

static void read_filter(twi_json *json, tw_market *market)
{
    twi_json_slice key, type = {0};
    tw_decimal step = {0}, tick = {0}, low = {0}, high = {0}, cost = {0};
    twi_json_enter_object(json);
    while (twi_json_next_member(json, &key)) {
        if (TWI_JSON_IS(key, "filterType"))
            twi_json_string(json, &type);
        else if (TWI_JSON_IS(key, "tickSize"))
            twi_json_decimal(json, &tick);
        else if (TWI_JSON_IS(key, "stepSize"))
            twi_json_decimal(json, &step);
        else if (TWI_JSON_IS(key, "minPrice") || TWI_JSON_IS(key, "minQty"))
            twi_json_decimal(json, &low);
        else if (TWI_JSON_IS(key, "maxPrice") || TWI_JSON_IS(key, "maxQty"))
            twi_json_decimal(json, &high);
        else if (TWI_JSON_IS(key, "minNotional") || TWI_JSON_IS(key, "notional"))
            twi_json_decimal(json, &cost);
        else
            twi_json_skip(json);
    }
    if (TWI_JSON_IS(type, "PRICE_FILTER")) {
        market->price_tick = tick;
        market->price_min = low;
        market->price_max = high;
    } else if (TWI_JSON_IS(type, "LOT_SIZE")) {
        market->amount_step = step;
        market->amount_min = low;
        market->amount_max = high;
    } else if (TWI_JSON_IS(type, "NOTIONAL") || TWI_JSON_IS(type, "MIN_NOTIONAL")) {
        market->cost_min = cost;
    }
}

static void read_filters(twi_json *json, tw_market *market)
{
    twi_json_enter_array(json);
    while (twi_json_next_item(json))
        read_filter(json, market);
}

static void read_market(twi_json *json, tw_market_fn fn, void *owner)
{
    twi_json_slice key, value;
    twi_json_slice contract = {0};
    tw_market market = {.linear = 0};
    int64_t delivery_ms = 0;
    twi_json_enter_object(json);
    while (twi_json_next_member(json, &key)) {
        if (TWI_JSON_IS(key, "symbol") && twi_json_string(json, &value))
            TWI_MARKET_SET(market.id, value);
        else if (TWI_JSON_IS(key, "baseAsset") && twi_json_string(json, &value))
            TWI_MARKET_CODE(market.base, CODES, value);
        else if (TWI_JSON_IS(key, "quoteAsset") && twi_json_string(json, &value))
            TWI_MARKET_CODE(market.quote, CODES, value);
        else if (TWI_JSON_IS(key, "marginAsset") && twi_json_string(json, &value))
            TWI_MARKET_CODE(market.settle, CODES, value);
        else if (TWI_JSON_IS(key, "status") && twi_json_string(json, &value))
            market.active = TWI_JSON_IS(value, "TRADING");
        else if (TWI_JSON_IS(key, "contractType"))
            twi_json_string(json, &contract);
        else if (TWI_JSON_IS(key, "deliveryDate"))
            twi_json_int64(json, &delivery_ms);
        else if (TWI_JSON_IS(key, "filters"))
            read_filters(json, &market);
        else
            twi_json_skip(json);
    }
    if (market.settle[0] != 0) {
        market.type = TWI_JSON_IS(contract, "PERPETUAL") || contract.len == 0 ? TW_MARKET_SWAP : TW_MARKET_FUTURE;
        market.linear = strcmp(market.settle, market.quote) == 0;
        market.inverse = strcmp(market.settle, market.base) == 0;
        market.expiry_ns = market.type == TW_MARKET_FUTURE ? twi_time_from_ms(delivery_ms) : 0;
        market.contract_size = (tw_decimal){.mantissa = 1};
    }
    if (json->status != TW_OK || market.id[0] == 0)
        return;
    twi_market_name_symbol(&market);
    fn(owner, &market);
}

static tw_status markets_parse(const uint8_t *body, size_t body_len, tw_market_fn fn, void *owner)
{
    return twi_market_list(body, body_len, "symbols", read_market, fn, owner);
}

static tw_status spot_markets_request(const tw_feed_config *config, uint32_t page, tw_request *request)
{
    return twi_market_request(config, SPOT_REST, "/api/v3/exchangeInfo", page, request);
}

static tw_status futures_markets_request(const tw_feed_config *config, uint32_t page, tw_request *request)
{
    return twi_market_request(config, FUTURES_REST, "/fapi/v1/exchangeInfo", page, request);
}

/* ---- the two feeds ---- */

enum {
    HAS = TW_HAS_WATCH_TRADES | TW_HAS_WATCH_TICKER | TW_HAS_WATCH_ORDER_BOOK | TW_HAS_UNWATCH | TW_HAS_FETCH_MARKETS |
          TWI_HAS_FETCH | TW_HAS_BOOK_SEQUENCE | TW_HAS_BOOK_SNAPSHOT_REST
};

static const tw_feed_limits SPOT_LIMITS = {.streams_per_link = 1024,
                                           .dial_count = 300,
                                           .dial_window_ns = 300 * TWI_NS_PER_S,
                                           .link_age_ns_max = 86400 * TWI_NS_PER_S,
                                           .silence_ns_max = 60 * TWI_NS_PER_S,
                                           .message_bytes_max = 1 << 20};
static const tw_feed_limits FUTURES_LIMITS = {.streams_per_link = 200,
                                              .dial_count = 300,
                                              .dial_window_ns = 300 * TWI_NS_PER_S,
                                              .link_age_ns_max = 86400 * TWI_NS_PER_S,
                                              .silence_ns_max = 600 * TWI_NS_PER_S,
                                              .message_bytes_max = 1 << 20};

static const twi_venue_traits SPOT = {.ops = &twi_feed_binance,
                                      .stream_urls = {"wss://stream.binance.com:9443/stream"},
                                      .rest_url = SPOT_REST,
                                      .repair = TWI_REPAIR_FETCH,
                                      .book_levels = 8192,
                                      .acks = true,
                                      .batch_max = 100,
                                      .output_gap_ns = 300 * TWI_NS_PER_MS,
                                      .request_gap_ns = 600 * TWI_NS_PER_MS, /* weight 50 of 6000 a minute */
                                      .id_of_symbol = id_of_spot,
                                      .symbol_of_id = symbol_of_spot,
                                      .write_streams = write_streams,
                                      .write_book_url = write_book_url,
                                      .message = on_message,
                                      .response = on_response};

static const twi_venue_traits FUTURES = {.ops = &twi_feed_binanceusdm,
                                         .stream_urls = {"wss://fstream.binance.com/public/stream"},
                                         .rest_url = FUTURES_REST,
                                         .repair = TWI_REPAIR_FETCH,
                                         .book_levels = 8192,
                                         .acks = true,
                                         .batch_max = 100,
                                         .output_gap_ns = 150 * TWI_NS_PER_MS,
                                         .request_gap_ns = 600 * TWI_NS_PER_MS, /* weight 20 of 2400 a minute */
                                         .id_of_symbol = id_of_futures,
                                         .symbol_of_id = symbol_of_futures,
                                         .write_streams = write_streams,
                                         .write_book_url = write_book_url,
                                         .message = on_message,
                                         .response = on_response};

static bool is_futures(const twi_venue *venue)
{
    return venue->traits == &FUTURES;
}

static size_t spot_size(const tw_feed_config *config)
{
    return twi_venue_size(&SPOT, config);
}

static tw_status spot_init(void *state, const tw_feed_config *config, tw_symbols *symbols)
{
    return twi_venue_init(state, &SPOT, config, symbols);
}

static size_t futures_size(const tw_feed_config *config)
{
    return twi_venue_size(&FUTURES, config);
}

static tw_status futures_init(void *state, const tw_feed_config *config, tw_symbols *symbols)
{
    return twi_venue_init(state, &FUTURES, config, symbols);
}

const tw_feed_ops twi_feed_binance = {TWI_VENUE_SHARED_OPS,
                                      .name = "binance",
                                      .has = HAS,
                                      .limits = &SPOT_LIMITS,
                                      .state_size = spot_size,
                                      .init = spot_init,
                                      .markets_request = spot_markets_request,
                                      .markets_parse = markets_parse};

const tw_feed_ops twi_feed_binanceusdm = {TWI_VENUE_SHARED_OPS,
                                          .name = "binanceusdm",
                                          .has = HAS,
                                          .limits = &FUTURES_LIMITS,
                                          .state_size = futures_size,
                                          .init = futures_init,
                                          .markets_request = futures_markets_request,
                                          .markets_parse = markets_parse};
