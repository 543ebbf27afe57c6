/* deribit.c - Deribit v2 (JSON-RPC): book, trades, quote and ticker.
 *
 * Rules:    a snapshot, then changes whose prev_change_id is the change_id before.
 * Quirks:   numbers are bare; the confirmation lists the channels that were accepted, unknown ones are just missing;
 *           the heartbeat must be asked for and its test_request answered, else the connection is closed; a best
 *           price of 0 means that there is none; strikes and dates stand in the instrument names.
 * Source:   docs.deribit.com; recordings. */
#include "feed/market.h"
#include "feed/registry.h"
#include "feed/shapes.h"

#define REST_URL         "https://www.deribit.com"
#define TOO_MANY_WAIT_NS (3 * TWI_NS_PER_S) /* in which the credits of a burst come back */
enum { HEARTBEAT_S = 30, MS_EXPONENT = -3, CODE_TOO_MANY = 10028 };

static const char *const PREFIXES[TWI_STREAM_COUNT] = {"trades.", "quote.", "book."};
static const char *const SUFFIXES[TWI_STREAM_COUNT] = {".100ms", "", ".100ms"};

typedef struct dbt_message {
    twi_venue *venue;
    tw_sink *sink;
    uint32_t link;
    int64_t recv_ns;
} dbt_message;

/* "book.BTC-PERPETUAL.100ms": what stands between the first point and the next one (or the end). */
static twi_json_slice instrument_of(twi_json_slice channel)
{
    const char *first = memchr(channel.text, '.', channel.len), *end = channel.text + channel.len;
    if (first == NULL)
        return (twi_json_slice){.text = channel.text};
    const char *second = memchr(first + 1, '.', (size_t)(end - first - 1));
    return (twi_json_slice){.text = first + 1, .len = (uint32_t)((second != NULL ? second : end) - first - 1)};
}

static bool starts_with(twi_json_slice text, const char *prefix)
{
    size_t len = strlen(prefix);
    return text.len > len && memcmp(text.text, prefix, len) == 0;
}

/* ---- book ---- */

typedef struct dbt_book {
    twi_sides sides;
    twi_json_slice type;
    int64_t time_ns;
    uint64_t change, previous;
    bool has_change, has_previous;
} dbt_book;

static bool read_book(twi_json *json, dbt_book *book)
{
    twi_json_slice key;
    twi_json_enter_object(json);
    while (twi_json_next_member(json, &key)) {
        if (TWI_JSON_IS(key, "type"))
            twi_json_string(json, &book->type);
        else if (TWI_JSON_IS(key, "timestamp"))
            twi_scan_time(json, TWI_NS_PER_MS, &book->time_ns);
        else if (TWI_JSON_IS(key, "change_id"))
            book->has_change = twi_json_uint64(json, &book->change);
        else if (TWI_JSON_IS(key, "prev_change_id"))
            book->has_previous = !twi_json_null(json) && twi_json_uint64(json, &book->previous);
        else if (TWI_JSON_IS(key, "bids"))
            twi_scan_side(json, TWI_BID, &book->sides);
        else if (TWI_JSON_IS(key, "asks"))
            twi_scan_side(json, TWI_ASK, &book->sides);
        else
            twi_json_skip(json);
    }
    return json->status == TW_OK && book->has_change;
}

/* [["new"|"change"|"delete", price, amount], ...] */
static void apply_rows(twi_update *update, twi_side side, twi_json *json)
{
    twi_json_enter_array(json);
    while (twi_json_next_item(json)) {
        twi_json_slice action;
        tw_decimal price, amount;
        bool whole = twi_json_enter_array(json) && twi_json_next_item(json) && twi_json_string(json, &action) &&
                     twi_json_next_item(json) && twi_json_decimal(json, &price) && twi_json_next_item(json) &&
                     twi_json_decimal(json, &amount);
        if (!whole) {
            twi_json_fail(json, TW_MALFORMED);
            return;
        }
        twi_json_drain_array(json);
        if (TWI_JSON_IS(action, "delete"))
            amount.mantissa = 0;
        twi_update_level(update, side, price, amount);
    }
}

static tw_status on_book(const dbt_message *m, twi_slot *slot, twi_json *json)
{
    dbt_book book = {.change = 0};
    if (!read_book(json, &book))
        return TW_MALFORMED;
    bool snapshot = TWI_JSON_IS(book.type, "snapshot");
    if (!snapshot && !twi_venue_delta_usable(slot))
        return TW_OK;
    if (!snapshot && (!book.has_previous || book.previous != slot->seq))
        return twi_venue_gap(m->venue, slot, book.previous, m->recv_ns, m->sink);
    twi_update update;
    twi_update_info info = {.snapshot = snapshot, .seq = book.change, .venue_ns = book.time_ns, .recv_ns = m->recv_ns};
    twi_update_begin(&update, m->venue, slot, m->sink, &info);
    for (twi_side side = TWI_BID; side <= TWI_ASK; side++) {
        if (!book.sides.has[side])
            continue;
        apply_rows(&update, side, &book.sides.at[side]);
        if (book.sides.at[side].status != TW_OK)
            return twi_update_abort(&update);
    }
    return twi_update_end(&update);
}

/* ---- trades, quotes ---- */

static void read_trade(twi_json *json, twi_trade *trade)
{
    twi_json_slice key;
    twi_json_enter_object(json);
    while (twi_json_next_member(json, &key)) {
        if (TWI_JSON_IS(key, "trade_id"))
            twi_json_scalar(json, &trade->id);
        else if (TWI_JSON_IS(key, "price"))
            twi_json_decimal(json, &trade->price);
        else if (TWI_JSON_IS(key, "amount"))
            twi_json_decimal(json, &trade->amount);
        else if (TWI_JSON_IS(key, "direction"))
            twi_scan_is_sell(json, &trade->sell);
        else if (TWI_JSON_IS(key, "timestamp"))
            twi_scan_time(json, TWI_NS_PER_MS, &trade->venue_ns);
        else
            twi_json_skip(json);
    }
}

/* `quote` and `ticker` have the same names for the best levels. */
static tw_status on_quote(const dbt_message *m, twi_slot *slot, twi_json *json)
{
    twi_json_slice key;
    twi_quote quote = {.venue_ns = 0};
    twi_json_enter_object(json);
    while (twi_json_next_member(json, &key)) {
        if (TWI_JSON_IS(key, "best_bid_price"))
            twi_scan_optional(json, &quote.bid);
        else if (TWI_JSON_IS(key, "best_bid_amount"))
            twi_scan_optional(json, &quote.bid_amount);
        else if (TWI_JSON_IS(key, "best_ask_price"))
            twi_scan_optional(json, &quote.ask);
        else if (TWI_JSON_IS(key, "best_ask_amount"))
            twi_scan_optional(json, &quote.ask_amount);
        else if (TWI_JSON_IS(key, "timestamp"))
            twi_scan_time(json, TWI_NS_PER_MS, &quote.venue_ns);
        else
            twi_json_skip(json);
    }
    return json->status == TW_OK ? twi_emit_quote(slot, &quote, m->recv_ns, m->sink) : TW_MALFORMED;
}

static tw_status on_data(const dbt_message *m, twi_json_slice channel, twi_json *data)
{
    bool book = starts_with(channel, "book."), trades = starts_with(channel, "trades.");
    bool quote = starts_with(channel, "quote.") || starts_with(channel, "ticker.");
    if (!book && !trades && !quote) {
        m->venue->stats.ignored++;
        return TW_OK;
    }
    twi_json_slice id = instrument_of(channel);
    twi_slot *slot = twi_venue_slot(m->venue, m->link, id.text, id.len);
    if (slot == NULL)
        return TW_OK;
    if (book)
        return on_book(m, slot, data);
    return trades ? twi_emit_trades(slot, data, read_trade, m->recv_ns, m->sink) : on_quote(m, slot, data);
}

/* ---- control ---- */

static void owe_call(const dbt_message *m, const char *method, const char *parameters)
{
    char bytes[160];
    twi_text text = twi_text_over(bytes, sizeof(bytes));
    twi_text_put(&text, "{\"jsonrpc\":\"2.0\",\"id\":");
    twi_text_number(&text, ++m->venue->request_id);
    twi_text_put(&text, ",\"method\":\"");
    twi_text_put(&text, method);
    twi_text_put(&text, "\",\"params\":");
    twi_text_put(&text, parameters);
    twi_text_put(&text, "}");
    twi_venue_owe(m->venue, m->link, &text);
}

static void accept_channel(const dbt_message *m, twi_json_slice channel)
{
    twi_json_slice id = instrument_of(channel);
    twi_slot *slot = twi_venue_find(m->venue, 0, id.text, id.len);
    for (int stream = 0; slot != NULL && stream < TWI_STREAM_COUNT; stream++) {
        if (starts_with(channel, PREFIXES[stream]))
            twi_venue_ack_stream(m->venue, slot, (tw_channel)stream, true, m->recv_ns, m->sink);
    }
}

/* A list of accepted channels answers a (un)subscribe; other calls have other results. */
static tw_status on_result(const dbt_message *m, uint64_t request, twi_json *result)
{
    twi_json_slice channel;
    if (twi_json_peek(result) != TWI_JSON_ARRAY)
        return TW_OK;
    twi_json_enter_array(result);
    while (twi_json_next_item(result)) {
        if (twi_json_scalar(result, &channel))
            accept_channel(m, channel);
    }
    if (result->status != TW_OK)
        return TW_MALFORMED;
    twi_venue_refuse_rest(m->venue, (uint32_t)request, m->recv_ns, m->sink);
    return TW_OK;
}

typedef struct dbt_envelope {
    twi_json_slice method, channel, type, text;
    twi_json data, result;
    uint64_t id;
    int64_t code; /* of an error */
    bool has_data, has_result, has_error;
} dbt_envelope;

static void read_params(twi_json *json, dbt_envelope *e)
{
    twi_json_slice key;
    twi_json_enter_object(json);
    while (twi_json_next_member(json, &key)) {
        if (TWI_JSON_IS(key, "channel"))
            twi_json_string(json, &e->channel);
        else if (TWI_JSON_IS(key, "data"))
            e->has_data = twi_json_defer(json, &e->data);
        else if (TWI_JSON_IS(key, "type"))
            twi_json_string(json, &e->type);
        else
            twi_json_skip(json);
    }
}

static void read_error(twi_json *json, dbt_envelope *e)
{
    twi_json_slice key;
    e->has_error = true;
    twi_json_enter_object(json);
    while (twi_json_next_member(json, &key)) {
        if (TWI_JSON_IS(key, "message"))
            twi_json_string(json, &e->text);
        else if (TWI_JSON_IS(key, "code"))
            twi_json_int64(json, &e->code);
        else
            twi_json_skip(json);
    }
}

static tw_status on_envelope(const dbt_message *m, dbt_envelope *e)
{
    if (e->has_data)
        return on_data(m, e->channel, &e->data);
    if (TWI_JSON_IS(e->method, "heartbeat")) {
        if (TWI_JSON_IS(e->type, "test_request"))
            owe_call(m, "public/test", "{}");
        return TW_OK;
    }
    if (e->has_error) {
        twi_venue_error(m->venue, e->text.text, e->text.len);
        if (e->code == CODE_TOO_MANY)
            twi_venue_retry_request(m->venue, m->link, (uint32_t)e->id, m->recv_ns + TOO_MANY_WAIT_NS);
        else
            twi_venue_ack_request(m->venue, (uint32_t)e->id, false, m->recv_ns, m->sink);
        return TW_OK;
    }
    return e->has_result ? on_result(m, e->id, &e->result) : TW_OK;
}

static tw_status on_message(twi_venue *venue, uint32_t link, int64_t recv_ns, const uint8_t *msg, size_t msg_len,
                            tw_sink *sink)
{
    dbt_message m = {.venue = venue, .sink = sink, .link = link, .recv_ns = recv_ns};
    dbt_envelope e = {.id = 0};
    twi_json json;
    twi_json_slice key;
    twi_json_init(&json, msg, msg_len);
    twi_json_enter_object(&json);
    while (twi_json_next_member(&json, &key)) {
        if (TWI_JSON_IS(key, "method"))
            twi_json_string(&json, &e.method);
        else if (TWI_JSON_IS(key, "params"))
            read_params(&json, &e);
        else if (TWI_JSON_IS(key, "id") && twi_json_peek(&json) == TWI_JSON_NUMBER)
            twi_json_uint64(&json, &e.id);
        else if (TWI_JSON_IS(key, "result"))
            e.has_result = twi_json_defer(&json, &e.result);
        else if (TWI_JSON_IS(key, "error"))
            read_error(&json, &e);
        else
            twi_json_skip(&json);
    }
    return twi_json_end(&json) == TW_OK ? on_envelope(&m, &e) : TW_MALFORMED;
}

static void link_up(twi_venue *venue, uint32_t link, int64_t now_ns, const char *url)
{
    dbt_message m = {.venue = venue, .link = link, .recv_ns = now_ns};
    (void)url;
    owe_call(&m, "public/set_heartbeat", "{\"interval\":30}");
}

static void write_streams(twi_venue *venue, uint32_t link, bool subscribe, tw_channel channel, twi_slot *const *slots,
                          uint32_t count, uint32_t request, twi_text *out)
{
    (void)venue;
    (void)link;
    twi_text_put(out, "{\"jsonrpc\":\"2.0\",\"id\":");
    twi_text_number(out, request);
    twi_text_put(out, subscribe ? ",\"method\":\"public/subscribe\",\"params\":{\"channels\":["
                                : ",\"method\":\"public/unsubscribe\",\"params\":{\"channels\":[");
    for (uint32_t i = 0; i < count; i++) {
        twi_text_put(out, i == 0 ? "\"" : ",\"");
        twi_text_put(out, PREFIXES[channel]);
        twi_text_bytes(out, slots[i]->id, slots[i]->id_len);
        twi_text_put(out, SUFFIXES[channel]);
        twi_text_put(out, "\"");
    }
    twi_text_put(out, "]}}");
}

/* ---- names ---- */

static const char *const MONTHS[] = {"JAN", "FEB", "MAR", "APR", "MAY", "JUN",
                                     "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"};

/* 210924 -> 24SEP21; the day without a leading zero. */
static bool put_venue_date(twi_text *id, twi_name date)
{
    unsigned month = (unsigned)(date.text[2] - '0') * 10 + (unsigned)(date.text[3] - '0');
    if (month < 1 || month > 12)
        return false;
    bool short_day = date.text[4] == '0';
    twi_text_put(id, "-");
    twi_text_bytes(id, date.text + 4 + short_day, 2 - (size_t)short_day);
    twi_text_put(id, MONTHS[month - 1]);
    twi_text_bytes(id, date.text, 2);
    return true;
}

static void put_replaced(twi_text *out, twi_name text, char from, char to)
{
    for (size_t i = 0; i < text.len; i++) {
        char byte = text.text[i] == from ? to : text.text[i];
        twi_text_bytes(out, &byte, 1);
    }
}

/* BTC/USD:BTC -> BTC-PERPETUAL, BTC/USDC:USDC -> BTC_USDC-PERPETUAL, options and futures with their date. */
static bool id_of_symbol(const char *symbol, size_t len, twi_text *id, uint8_t *group)
{
    twi_symbol_parts parts;
    *group = 0;
    if (!twi_symbol_split(symbol, len, &parts))
        return false;
    bool inverse =
        parts.settle.len == parts.base.len && memcmp(parts.settle.text, parts.base.text, parts.base.len) == 0;
    twi_text_bytes(id, parts.base.text, parts.base.len);
    if (!inverse) {
        twi_text_put(id, "_");
        twi_text_bytes(id, parts.quote.text, parts.quote.len);
    }
    if (parts.settle.len == 0)
        return true;
    if (parts.expiry.len == 0)
        twi_text_put(id, "-PERPETUAL");
    else if (!put_venue_date(id, parts.expiry))
        return false;
    if (parts.option != 0) {
        twi_text_put(id, "-");
        put_replaced(id, parts.strike, '.', 'd');
        twi_text_put(id, parts.option == 'C' ? "-C" : "-P");
    }
    return true;
}

/* 24SEP21 -> 210924. */
static bool put_unified_date(twi_text *symbol, const char *date, size_t len)
{
    if (len != 6 && len != 7)
        return false;
    size_t day_len = len - 5;
    for (unsigned month = 0; month < 12; month++) {
        if (memcmp(date + day_len, MONTHS[month], 3) != 0)
            continue;
        char digits[2] = {(char)('0' + (month + 1) / 10), (char)('0' + (month + 1) % 10)};
        twi_text_put(symbol, "-");
        twi_text_bytes(symbol, date + day_len + 3, 2);
        twi_text_bytes(symbol, digits, 2);
        if (day_len == 1)
            twi_text_put(symbol, "0");
        twi_text_bytes(symbol, date, day_len);
        return true;
    }
    return false;
}

static bool symbol_of_id(const char *id, size_t len, uint8_t group, twi_text *symbol)
{
    const char *dash = memchr(id, '-', len), *end = id + len;
    (void)group;
    size_t pair_len = dash != NULL ? (size_t)(dash - id) : len;
    const char *under = memchr(id, '_', pair_len);
    size_t base_len = under != NULL ? (size_t)(under - id) : pair_len;
    const char *quote = under != NULL ? under + 1 : "USD";
    size_t quote_len = under != NULL ? pair_len - base_len - 1 : 3;
    if (dash == NULL && under == NULL)
        return false;
    twi_text_bytes(symbol, id, base_len);
    twi_text_put(symbol, "/");
    twi_text_bytes(symbol, quote, quote_len);
    if (dash == NULL)
        return true;
    twi_text_put(symbol, ":");
    twi_text_bytes(symbol, under != NULL ? quote : id, under != NULL ? quote_len : base_len);
    const char *tail = dash + 1;
    if ((size_t)(end - tail) == strlen("PERPETUAL") && memcmp(tail, "PERPETUAL", strlen("PERPETUAL")) == 0)
        return true;
    const char *strike = memchr(tail, '-', (size_t)(end - tail));
    if (!put_unified_date(symbol, tail, (size_t)((strike != NULL ? strike : end) - tail)))
        return false;
    if (strike != NULL)
        put_replaced(symbol, (twi_name){strike, (size_t)(end - strike)}, 'd', '.');
    return true;
}

/* ---- markets ---- */

static void read_market(twi_json *json, tw_market_fn fn, void *owner)
{
    twi_json_slice key, value, kind = {0}, period = {0}, counter = {0};
    tw_market market = {.active = 0};
    int64_t expiry_ns = 0;
    bool active = false;
    twi_json_enter_object(json);
    while (twi_json_next_member(json, &key)) {
        if (TWI_JSON_IS(key, "instrument_name") && twi_json_string(json, &value))
            TWI_MARKET_SET(market.id, value);
        else if (TWI_JSON_IS(key, "base_currency") && twi_json_string(json, &value))
            TWI_MARKET_SET(market.base, value);
        else if (TWI_JSON_IS(key, "counter_currency"))
            twi_json_string(json, &counter);
        else if (TWI_JSON_IS(key, "settlement_currency") && twi_json_string(json, &value))
            TWI_MARKET_SET(market.settle, value);
        else if (TWI_JSON_IS(key, "kind"))
            twi_json_string(json, &kind);
        else if (TWI_JSON_IS(key, "settlement_period"))
            twi_json_string(json, &period);
        else if (TWI_JSON_IS(key, "expiration_timestamp"))
            twi_scan_fraction(json, MS_EXPONENT, &expiry_ns);
        else if (TWI_JSON_IS(key, "strike"))
            twi_json_decimal(json, &market.strike);
        else if (TWI_JSON_IS(key, "option_type") && twi_json_string(json, &value))
            market.option_call = TWI_JSON_IS(value, "call");
        else if (TWI_JSON_IS(key, "is_active"))
            twi_json_bool(json, &active);
        else if (TWI_JSON_IS(key, "tick_size"))
            twi_json_decimal(json, &market.price_tick);
        else if (TWI_JSON_IS(key, "min_trade_amount") && twi_json_decimal(json, &market.amount_min))
            market.amount_step = market.amount_min;
        else if (TWI_JSON_IS(key, "contract_size"))
            twi_json_decimal(json, &market.contract_size);
        else
            twi_json_skip(json);
    }
    if (json->status != TW_OK || market.id[0] == 0)
        return;
    market.active = active;
    if (counter.len > 0)
        TWI_MARKET_SET(market.quote, counter);
    else
        twi_market_copy(market.quote, sizeof(market.quote), "USD", 3);
    if (market.settle[0] == 0) /* older lists: contracts settle in the base */
        twi_market_copy(market.settle, sizeof(market.settle), market.base, strlen(market.base));
    market.type = TWI_JSON_IS(kind, "spot")          ? TW_MARKET_SPOT
                  : TWI_JSON_IS(kind, "option")      ? TW_MARKET_OPTION
                  : TWI_JSON_IS(period, "perpetual") ? TW_MARKET_SWAP
                                                     : TW_MARKET_FUTURE;
    if (market.type == TW_MARKET_SPOT)
        market.settle[0] = 0;
    market.inverse = market.settle[0] != 0 && strcmp(market.settle, market.base) == 0;
    market.linear = market.settle[0] != 0 && !market.inverse;
    market.expiry_ns = market.type == TW_MARKET_SWAP ? 0 : expiry_ns;
    twi_market_name_symbol(&market);
    fn(owner, &market);
}

static tw_status markets_parse(const uint8_t *body, size_t body_len, tw_market_fn fn, void *owner)
{
    return twi_market_list(body, body_len, "result", read_market, fn, owner);
}

static tw_status markets_request(const tw_feed_config *config, uint32_t page, tw_request *request)
{
    return twi_market_request(config, REST_URL, "/api/v2/public/get_instruments?currency=any&expired=false", page,
                              request);
}

/* ---- the feed ---- */

static const tw_feed_limits LIMITS = {.streams_per_link = 500,
                                      .dial_count = 5,
                                      .dial_window_ns = TWI_NS_PER_S,
                                      .silence_ns_max = (2 * HEARTBEAT_S + 5) * TWI_NS_PER_S,
                                      .message_bytes_max = 1 << 20};

static const twi_venue_traits TRAITS = {.ops = &twi_feed_deribit,
                                        .stream_urls = {"wss://www.deribit.com/ws/api/v2"},
                                        .rest_url = REST_URL,
                                        .repair = TWI_REPAIR_RESUBSCRIBE,
                                        .book_levels = 4096,
                                        .acks = true,
                                        .batch_max = 100,
                                        .output_gap_ns = 350 * TWI_NS_PER_MS,
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

const tw_feed_ops twi_feed_deribit = {TWI_VENUE_SHARED_OPS,
                                      .name = "deribit",
                                      .has = TW_HAS_WATCH_TRADES | TW_HAS_WATCH_TICKER | TW_HAS_WATCH_ORDER_BOOK |
                                             TW_HAS_UNWATCH | TW_HAS_FETCH_MARKETS | TW_HAS_SAME_ON_LINKS |
                                             TWI_HAS_FETCH | TW_HAS_BOOK_SEQUENCE,
                                      .limits = &LIMITS,
                                      .state_size = state_size,
                                      .init = init,
                                      .markets_request = markets_request,
                                      .markets_parse = markets_parse};
