/* kucoin.c - KuCoin spot (classic feed): level2 joined with a REST snapshot, match, ticker.
 *
 * Rules:    drop sequenceEnd <= snapshot; sequenceStart may be at most last + 1; of a message only changes with a
 *           sequence above the book's are applied; a price of 0 only moves the sequence on.
 * Connect:  a token is asked for first (POST bullet-public), the URL to dial is in its answer; the venue says welcome
 *           before it wants to hear anything; the client pings.
 * Quirks:   a subscription beyond the limits is ignored without a word, so confirmations are waited for.
 * Source:   www.kucoin.com/docs; recordings. */
#include "feed/market.h"
#include "feed/registry.h"
#include "feed/shapes.h"

#define REST_URL         "https://api.kucoin.com"
#define TOKEN_AGE_MAX_NS (23 * 3600 * TWI_NS_PER_S)
#define TOKEN_RETRY_NS   (10 * TWI_NS_PER_S)
#define WELCOME_WAIT_NS  (5 * TWI_NS_PER_S)
enum { TOKEN_MAX = 512, ENDPOINT_MAX = 256 };

static const char *const TOPICS[TWI_STREAM_COUNT] = {"/market/match", "/market/ticker", "/market/level2"};

typedef struct kuc_extra {
    char token[TOKEN_MAX], endpoint[ENDPOINT_MAX]; /* empty: none */
    int64_t token_ns, asked_ns;
    bool wanted; /* a dial waits for it */
} kuc_extra;

typedef struct kuc_message {
    twi_venue *venue;
    tw_sink *sink;
    uint32_t link;
    int64_t recv_ns;
    const uint8_t *msg;
    size_t msg_len;
    twi_json_slice type, topic, id, error;
} kuc_message;

/* ---- connecting ---- */

static tw_status dial(twi_venue *venue, uint32_t link, twi_text *url)
{
    kuc_extra *extra = twi_venue_extra(venue);
    if (venue->stream_url[0] != 0)
        return TW_OK;
    if (extra->token[0] == 0) {
        extra->wanted = true;
        return TW_AGAIN;
    }
    url->len = 0;
    twi_text_put(url, extra->endpoint);
    twi_text_put(url, "?token=");
    twi_text_put(url, extra->token);
    twi_text_put(url, "&connectId=tickwire");
    twi_text_number(url, link);
    return TW_OK;
}

static int write_request(twi_venue *venue, int64_t now_ns, twi_text *url, uint8_t *post)
{
    kuc_extra *extra = twi_venue_extra(venue);
    if (extra->token[0] != 0 && now_ns - extra->token_ns > TOKEN_AGE_MAX_NS)
        extra->token[0] = 0;
    if (!extra->wanted || extra->token[0] != 0 || (extra->asked_ns != 0 && now_ns - extra->asked_ns < TOKEN_RETRY_NS))
        return 0;
    extra->asked_ns = now_ns;
    twi_text_put(url, "/api/v1/bullet-public");
    *post = 1;
    return 1;
}

/* Nothing is said before the welcome; it is not waited for forever. */
static void link_up(twi_venue *venue, uint32_t link, int64_t now_ns, const char *url)
{
    kuc_extra *extra = twi_venue_extra(venue);
    (void)url;
    extra->token[0] = 0; /* the next dial asks for a new one */
    extra->wanted = false;
    venue->links[link].next_output_ns = now_ns + WELCOME_WAIT_NS;
}

static bool copy_text(char *to, size_t cap, twi_json_slice from)
{
    if (from.len == 0 || from.len >= cap)
        return false;
    memcpy(to, from.text, from.len);
    to[from.len] = 0;
    return true;
}

static void read_servers(twi_json *json, twi_json_slice *endpoint)
{
    twi_json_slice key;
    twi_json_enter_array(json);
    while (twi_json_next_item(json)) {
        twi_json_enter_object(json);
        while (twi_json_next_member(json, &key)) {
            if (TWI_JSON_IS(key, "endpoint") && endpoint->len == 0)
                twi_json_string(json, endpoint);
            else
                twi_json_skip(json);
        }
    }
}

static tw_status take_token(twi_venue *venue, int64_t now_ns, twi_json *data)
{
    kuc_extra *extra = twi_venue_extra(venue);
    twi_json_slice key, token = {0}, endpoint = {0};
    twi_json_enter_object(data);
    while (twi_json_next_member(data, &key)) {
        if (TWI_JSON_IS(key, "token"))
            twi_json_string(data, &token);
        else if (TWI_JSON_IS(key, "instanceServers"))
            read_servers(data, &endpoint);
        else
            twi_json_skip(data);
    }
    if (data->status != TW_OK || !copy_text(extra->endpoint, sizeof(extra->endpoint), endpoint) ||
        !copy_text(extra->token, sizeof(extra->token), token))
        return TW_MALFORMED;
    extra->token_ns = now_ns;
    extra->asked_ns = 0; /* the wait between two requests is for lost answers */
    return TW_OK;
}

/* ---- book ---- */

typedef struct kuc_book {
    twi_sides sides;
    uint64_t first, last;
    int64_t time_ns;
} kuc_book;

static void read_changes(twi_json *json, kuc_book *book)
{
    twi_json_slice key;
    twi_json_enter_object(json);
    while (twi_json_next_member(json, &key)) {
        if (TWI_JSON_IS(key, "asks"))
            twi_scan_side(json, TWI_ASK, &book->sides);
        else if (TWI_JSON_IS(key, "bids"))
            twi_scan_side(json, TWI_BID, &book->sides);
        else
            twi_json_skip(json);
    }
}

static void read_book(twi_json *json, kuc_book *book)
{
    twi_json_slice key;
    twi_json_enter_object(json);
    while (twi_json_next_member(json, &key)) {
        if (TWI_JSON_IS(key, "sequenceStart"))
            twi_json_uint64(json, &book->first);
        else if (TWI_JSON_IS(key, "sequenceEnd") || TWI_JSON_IS(key, "sequence"))
            twi_json_uint64(json, &book->last);
        else if (TWI_JSON_IS(key, "time"))
            twi_scan_time(json, TWI_NS_PER_MS, &book->time_ns);
        else if (TWI_JSON_IS(key, "changes"))
            read_changes(json, book);
        else if (TWI_JSON_IS(key, "asks"))
            twi_scan_side(json, TWI_ASK, &book->sides);
        else if (TWI_JSON_IS(key, "bids"))
            twi_scan_side(json, TWI_BID, &book->sides);
        else
            twi_json_skip(json);
    }
}

/* [[price, size, sequence], ...]: only what is newer than `after`. */
static void apply_changes(twi_update *update, twi_side side, twi_json *json, uint64_t after)
{
    twi_json_enter_array(json);
    while (twi_json_next_item(json)) {
        tw_decimal price, size;
        uint64_t sequence;
        bool whole = twi_json_enter_array(json) && twi_json_next_item(json) && twi_json_decimal(json, &price) &&
                     twi_json_next_item(json) && twi_json_decimal(json, &size) && twi_json_next_item(json) &&
                     twi_json_uint64(json, &sequence);
        if (!whole) {
            twi_json_fail(json, TW_MALFORMED);
            return;
        }
        twi_json_drain_array(json);
        if (sequence > after && price.mantissa != 0)
            twi_update_level(update, side, price, size);
    }
}

static tw_status on_level2(const kuc_message *m, twi_slot *slot, twi_json *data)
{
    kuc_book book = {.first = 0};
    read_book(data, &book);
    if (data->status != TW_OK || book.first == 0 || book.last < book.first)
        return TW_MALFORMED;
    twi_delta delta = {.link = m->link,
                       .first = book.first,
                       .last = book.last,
                       .stale = book.last <= slot->seq,
                       .continues = book.first <= slot->seq + 1,
                       .recv_ns = m->recv_ns,
                       .msg = m->msg,
                       .msg_len = m->msg_len};
    twi_verdict verdict = twi_venue_judge(m->venue, slot, &delta, m->sink);
    if (verdict != TWI_APPLY)
        return verdict == TWI_BROKEN ? TW_GAP : TW_OK;
    uint64_t after = slot->seq;
    twi_update update;
    twi_update_info info = {.seq = book.last, .venue_ns = book.time_ns, .recv_ns = m->recv_ns};
    twi_update_begin(&update, m->venue, slot, m->sink, &info);
    for (twi_side side = TWI_BID; side <= TWI_ASK; side++) {
        if (!book.sides.has[side])
            continue;
        apply_changes(&update, side, &book.sides.at[side], after);
        if (book.sides.at[side].status != TW_OK)
            return twi_update_abort(&update);
    }
    return twi_update_end(&update);
}

static tw_status take_snapshot(twi_venue *venue, const char *symbol, size_t symbol_len, twi_json *data, int64_t recv_ns,
                               tw_sink *sink)
{
    kuc_book book = {.first = 0};
    read_book(data, &book);
    if (data->status != TW_OK || book.last == 0 || !book.sides.has[TWI_BID] || !book.sides.has[TWI_ASK])
        return TW_MALFORMED;
    twi_slot *slot = twi_venue_slot(venue, 0, symbol, symbol_len);
    twi_update_info info = {.snapshot = true, .seq = book.last, .venue_ns = book.time_ns, .recv_ns = recv_ns};
    return slot == NULL ? TW_OK : twi_take_snapshot(venue, slot, &info, 1, &book.sides, twi_update_finish, sink);
}

/* ---- trades and tickers ---- */

static tw_status on_match(const kuc_message *m, twi_slot *slot, twi_json *json)
{
    twi_json_slice key;
    twi_trade trade = {.history = false};
    twi_json_enter_object(json);
    while (twi_json_next_member(json, &key)) {
        if (TWI_JSON_IS(key, "tradeId"))
            twi_json_scalar(json, &trade.id);
        else if (TWI_JSON_IS(key, "side"))
            twi_scan_is_sell(json, &trade.sell);
        else if (TWI_JSON_IS(key, "size"))
            twi_json_decimal(json, &trade.amount);
        else if (TWI_JSON_IS(key, "price"))
            twi_json_decimal(json, &trade.price);
        else if (TWI_JSON_IS(key, "time"))
            twi_scan_time(json, 1, &trade.venue_ns);
        else
            twi_json_skip(json);
    }
    return json->status == TW_OK ? twi_emit_trade(slot, &trade, m->recv_ns, m->sink) : TW_MALFORMED;
}

static tw_status on_ticker(const kuc_message *m, twi_slot *slot, twi_json *json)
{
    twi_json_slice key;
    twi_quote quote = {.venue_ns = 0};
    twi_json_enter_object(json);
    while (twi_json_next_member(json, &key)) {
        if (TWI_JSON_IS(key, "bestBid"))
            twi_scan_optional(json, &quote.bid);
        else if (TWI_JSON_IS(key, "bestBidSize"))
            twi_scan_optional(json, &quote.bid_amount);
        else if (TWI_JSON_IS(key, "bestAsk"))
            twi_scan_optional(json, &quote.ask);
        else if (TWI_JSON_IS(key, "bestAskSize"))
            twi_scan_optional(json, &quote.ask_amount);
        else if (TWI_JSON_IS(key, "time") || TWI_JSON_IS(key, "Time"))
            twi_scan_time(json, TWI_NS_PER_MS, &quote.venue_ns);
        else
            twi_json_skip(json);
    }
    return json->status == TW_OK ? twi_emit_quote(slot, &quote, m->recv_ns, m->sink) : TW_MALFORMED;
}

/* ---- messages ---- */

/* "/market/level2:BTC-USDT" */
static int split_topic(twi_json_slice topic, twi_json_slice *id)
{
    const char *colon = memchr(topic.text != NULL ? topic.text : "", ':', topic.len);
    if (colon == NULL)
        return -1;
    twi_json_slice name = {.text = topic.text, .len = (uint32_t)(colon - topic.text)};
    *id = (twi_json_slice){.text = colon + 1, .len = topic.len - name.len - 1};
    return twi_channel_of(TOPICS, name);
}

static tw_status on_data(const kuc_message *m, twi_json *data)
{
    twi_json_slice id;
    int stream = split_topic(m->topic, &id);
    if (stream < 0) {
        m->venue->stats.ignored++;
        return TW_OK;
    }
    twi_slot *slot = twi_venue_slot(m->venue, m->link, id.text, id.len);
    if (slot == NULL)
        return TW_OK;
    if (stream == TW_CHANNEL_BOOK)
        return on_level2(m, slot, data);
    return stream == TW_CHANNEL_TRADE ? on_match(m, slot, data) : on_ticker(m, slot, data);
}

static tw_status on_control(const kuc_message *m)
{
    uint32_t request;
    if (TWI_JSON_IS(m->type, "welcome")) {
        m->venue->links[m->link].next_output_ns = m->recv_ns;
        return TW_OK;
    }
    bool refused = TWI_JSON_IS(m->type, "error");
    if (!refused && !TWI_JSON_IS(m->type, "ack"))
        return TW_OK;
    if (refused)
        twi_venue_error(m->venue, m->error.text, m->error.len);
    if (twi_scan_request_id(m->id, &request))
        twi_venue_ack_request(m->venue, request, !refused, m->recv_ns, m->sink);
    return TW_OK;
}

static tw_status on_message(twi_venue *venue, uint32_t link, int64_t recv_ns, const uint8_t *msg, size_t msg_len,
                            tw_sink *sink)
{
    kuc_message m = {.venue = venue, .sink = sink, .link = link, .recv_ns = recv_ns, .msg = msg, .msg_len = msg_len};
    twi_json json, data = {0};
    twi_json_slice key;
    bool has_data = false;
    twi_json_init(&json, msg, msg_len);
    twi_json_enter_object(&json);
    while (twi_json_next_member(&json, &key)) {
        if (TWI_JSON_IS(key, "type"))
            twi_json_string(&json, &m.type);
        else if (TWI_JSON_IS(key, "topic"))
            twi_json_string(&json, &m.topic);
        else if (TWI_JSON_IS(key, "id"))
            twi_json_scalar(&json, &m.id);
        else if (TWI_JSON_IS(key, "data") && twi_json_peek(&json) == TWI_JSON_OBJECT)
            has_data = twi_json_defer(&json, &data);
        else if (TWI_JSON_IS(key, "data"))
            twi_json_raw(&json, &m.error);
        else
            twi_json_skip(&json);
    }
    if (twi_json_end(&json) != TW_OK)
        return TW_MALFORMED;
    return TWI_JSON_IS(m.type, "message") && has_data ? on_data(&m, &data) : on_control(&m);
}

/* {"code":"200000","data":...} */
static tw_status on_response(twi_venue *venue, int64_t recv_ns, const tw_response *response, tw_sink *sink)
{
    const char *url = response->url != NULL ? response->url : "";
    const char *symbol = strstr(url, "symbol=");
    bool token = strstr(url, "bullet-public") != NULL;
    if (symbol == NULL && !token)
        return twi_venue_take_markets(venue, response->body, response->body_len);
    twi_json json, data = {0};
    twi_json_slice key;
    bool has_data = false;
    twi_json_init(&json, response->body, response->body_len);
    twi_json_enter_object(&json);
    while (twi_json_next_member(&json, &key)) {
        if (TWI_JSON_IS(key, "data") && twi_json_peek(&json) == TWI_JSON_OBJECT)
            has_data = twi_json_defer(&json, &data);
        else
            twi_json_skip(&json);
    }
    if (twi_json_end(&json) != TW_OK || !has_data)
        return TW_MALFORMED;
    if (token)
        return take_token(venue, recv_ns, &data);
    symbol += strlen("symbol=");
    return take_snapshot(venue, symbol, strcspn(symbol, "&"), &data, recv_ns, sink);
}

static void write_book_url(twi_venue *venue, const twi_slot *slot, twi_text *url)
{
    (void)venue;
    twi_text_put(url, "/api/v1/market/orderbook/level2_100?symbol=");
    twi_text_bytes(url, slot->id, slot->id_len);
}

static void write_streams(twi_venue *venue, uint32_t link, bool subscribe, tw_channel channel, twi_slot *const *slots,
                          uint32_t count, uint32_t request, twi_text *out)
{
    (void)venue;
    (void)link;
    twi_text_put(out, "{\"id\":\"");
    twi_text_number(out, request);
    twi_text_put(out,
                 subscribe ? "\",\"type\":\"subscribe\",\"topic\":\"" : "\",\"type\":\"unsubscribe\",\"topic\":\"");
    twi_text_put(out, TOPICS[channel]);
    for (uint32_t i = 0; i < count; i++) {
        twi_text_put(out, i == 0 ? ":" : ",");
        twi_text_bytes(out, slots[i]->id, slots[i]->id_len);
    }
    twi_text_put(out, "\",\"privateChannel\":false,\"response\":true}");
}

static void write_ping(twi_venue *venue, uint32_t link, int64_t now_ns, twi_text *out)
{
    (void)link;
    (void)now_ns;
    twi_text_put(out, "{\"id\":\"");
    twi_text_number(out, ++venue->request_id);
    twi_text_put(out, "\",\"type\":\"ping\"}");
}

/* ---- markets ---- */

static const twi_code CODES[] = {{"BCHSV", "BSV"}, {NULL, NULL}};

static bool id_of_symbol(const char *symbol, size_t len, twi_text *id, uint8_t *group)
{
    *group = 0;
    return twi_joined_of_symbol(symbol, len, "-", CODES, id);
}

static bool symbol_of_id(const char *id, size_t len, uint8_t group, twi_text *symbol)
{
    (void)group;
    return twi_symbol_of_joined(id, len, '-', CODES, symbol);
}

static void read_market(twi_json *json, tw_market_fn fn, void *owner)
{
    twi_json_slice key, value;
    tw_market market = {.active = 0};
    bool enabled = false;
    twi_json_enter_object(json);
    while (twi_json_next_member(json, &key)) {
        if (TWI_JSON_IS(key, "symbol") && twi_json_string(json, &value))
            TWI_MARKET_SET(market.id, value);
        else if (TWI_JSON_IS(key, "baseCurrency") && twi_json_string(json, &value))
            TWI_MARKET_CODE(market.base, CODES, value);
        else if (TWI_JSON_IS(key, "quoteCurrency") && twi_json_string(json, &value))
            TWI_MARKET_CODE(market.quote, CODES, value);
        else if (TWI_JSON_IS(key, "enableTrading"))
            twi_json_bool(json, &enabled);
        else if (TWI_JSON_IS(key, "priceIncrement"))
            twi_scan_optional(json, &market.price_tick);
        else if (TWI_JSON_IS(key, "baseIncrement"))
            twi_scan_optional(json, &market.amount_step);
        else if (TWI_JSON_IS(key, "baseMinSize"))
            twi_scan_optional(json, &market.amount_min);
        else if (TWI_JSON_IS(key, "baseMaxSize"))
            twi_scan_optional(json, &market.amount_max);
        else
            twi_json_skip(json);
    }
    if (json->status != TW_OK || market.id[0] == 0)
        return;
    market.active = enabled;
    twi_market_name_symbol(&market);
    fn(owner, &market);
}

static tw_status markets_parse(const uint8_t *body, size_t body_len, tw_market_fn fn, void *owner)
{
    return twi_market_list(body, body_len, "data", read_market, fn, owner);
}

static tw_status markets_request(const tw_feed_config *config, uint32_t page, tw_request *request)
{
    return twi_market_request(config, REST_URL, "/api/v2/symbols", page, request);
}

/* ---- the feed ---- */

static const tw_feed_limits LIMITS = {.streams_per_link = 300,
                                      .dial_count = 30,
                                      .dial_window_ns = 60 * TWI_NS_PER_S,
                                      .link_age_ns_max = 86400 * TWI_NS_PER_S,
                                      .silence_ns_max = 40 * TWI_NS_PER_S,
                                      .message_bytes_max = 1 << 20};

static const twi_venue_traits TRAITS = {.ops = &twi_feed_kucoin,
                                        .stream_urls = {"wss://ws-api-spot.kucoin.com/"},
                                        .rest_url = REST_URL,
                                        .repair = TWI_REPAIR_FETCH,
                                        .book_levels = 8192,
                                        .acks = true,
                                        .batch_max = 10,
                                        .output_gap_ns = 20 * TWI_NS_PER_MS,
                                        .stream_gap_ns =
                                            120 * TWI_NS_PER_MS, /* 100 topics in 10 s, the last batch included */
                                        .ping_gap_ns = 18 * TWI_NS_PER_S,
                                        .request_gap_ns = 200 * TWI_NS_PER_MS,
                                        .extra_bytes = sizeof(kuc_extra),
                                        .id_of_symbol = id_of_symbol,
                                        .symbol_of_id = symbol_of_id,
                                        .dial = dial,
                                        .link_up = link_up,
                                        .write_streams = write_streams,
                                        .write_ping = write_ping,
                                        .write_request = write_request,
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

const tw_feed_ops twi_feed_kucoin = {TWI_VENUE_SHARED_OPS,
                                     .name = "kucoin",
                                     .has = TW_HAS_WATCH_TRADES | TW_HAS_WATCH_TICKER | TW_HAS_WATCH_ORDER_BOOK |
                                            TW_HAS_UNWATCH | TW_HAS_FETCH_MARKETS | TWI_HAS_FETCH |
                                            TW_HAS_BOOK_SEQUENCE | TW_HAS_BOOK_SNAPSHOT_REST,
                                     .limits = &LIMITS,
                                     .state_size = state_size,
                                     .init = init,
                                     .markets_request = markets_request,
                                     .markets_parse = markets_parse};
