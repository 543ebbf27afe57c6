/* htx.c - HTX (Huobi) spot: depth.step0, trade.detail, bbo; every frame is gzip.
 *
 * Rules:    each depth message is a whole book of 150 levels; `version` tells its order. Nothing is to be joined,
 *           and what is lost is made good by the next one.
 * Quirks:   frames are unpacked here, with memory that was set aside at init; numbers are bare and may have exponents
 *           (9.121E-7); the long `id` of a trade is not the one people know: `tradeId` is; the server pings every five
 *           seconds and wants its number back.
 * Source:   huobiapi.github.io/docs/spot/v1; recordings. */
#include <zlib.h>

#include "feed/market.h"
#include "feed/registry.h"
#include "feed/shapes.h"

#define REST_URL "https://api.huobi.pro"
enum {
    UNPACKED_MAX = 1 << 20,
    INFLATE_MEMORY = 64 << 10, /* a window of 32 KiB and the state of the decoder */
    WINDOW_BITS_GZIP = 15 + 16
};

static const char *const SUFFIXES[TWI_STREAM_COUNT] = {"trade.detail", "bbo", "depth.step0"};

typedef struct htx_extra {
    z_stream stream;
    bool ready;
    size_t used;
    uint8_t memory[INFLATE_MEMORY];
    uint8_t unpacked[UNPACKED_MAX];
} htx_extra;

typedef struct htx_message {
    twi_venue *venue;
    tw_sink *sink;
    uint32_t link;
    int64_t recv_ns;
    int64_t time_ns;
} htx_message;

/* ---- unpacking ---- */

static void *take_memory(void *owner, uInt items, uInt size)
{
    htx_extra *extra = owner;
    size_t bytes = ((size_t)items * size + 15) & ~(size_t)15;
    if (bytes > INFLATE_MEMORY - extra->used)
        return NULL;
    extra->used += bytes;
    return extra->memory + extra->used - bytes;
}

static void give_memory(void *owner, void *memory)
{
    (void)owner;
    (void)memory;
}

/* The frame as text: *msg and *len are changed to point to it. */
static tw_status unpack(twi_venue *venue, const uint8_t **msg, size_t *len)
{
    htx_extra *extra = twi_venue_extra(venue);
    z_stream *stream = &extra->stream;
    if (!extra->ready) {
        *stream = (z_stream){.zalloc = take_memory, .zfree = give_memory, .opaque = extra};
        extra->ready = inflateInit2(stream, WINDOW_BITS_GZIP) == Z_OK;
    }
    if (!extra->ready || inflateReset(stream) != Z_OK || *len > UINT32_MAX)
        return TW_MALFORMED;
    stream->next_in = (Bytef *)(uintptr_t)*msg;
    stream->avail_in = (uInt)*len;
    stream->next_out = extra->unpacked;
    stream->avail_out = UNPACKED_MAX;
    if (inflate(stream, Z_FINISH) != Z_STREAM_END)
        return TW_MALFORMED;
    *msg = extra->unpacked;
    *len = UNPACKED_MAX - stream->avail_out;
    return TW_OK;
}

/* ---- channels: market.<symbol>.<suffix> ---- */

static int split_channel(twi_json_slice channel, twi_json_slice *id)
{
    enum { PREFIX_LEN = sizeof("market.") - 1 };
    if (channel.len <= PREFIX_LEN || memcmp(channel.text, "market.", PREFIX_LEN) != 0)
        return -1;
    const char *symbol = channel.text + PREFIX_LEN, *end = channel.text + channel.len;
    const char *dot = memchr(symbol, '.', (size_t)(end - symbol));
    if (dot == NULL || dot == symbol)
        return -1;
    *id = (twi_json_slice){.text = symbol, .len = (uint32_t)(dot - symbol)};
    twi_json_slice suffix = {.text = dot + 1, .len = (uint32_t)(end - dot - 1)};
    return twi_channel_of(SUFFIXES, suffix);
}

/* ---- data ---- */

static tw_status on_depth(const htx_message *m, twi_slot *slot, twi_json *json)
{
    twi_json_slice key;
    twi_sides sides = {.has = {false}};
    uint64_t version = 0;
    twi_update_info info = {.snapshot = true, .recv_ns = m->recv_ns, .venue_ns = m->time_ns};
    twi_json_enter_object(json);
    while (twi_json_next_member(json, &key)) {
        if (TWI_JSON_IS(key, "bids"))
            twi_scan_side(json, TWI_BID, &sides);
        else if (TWI_JSON_IS(key, "asks"))
            twi_scan_side(json, TWI_ASK, &sides);
        else if (TWI_JSON_IS(key, "version"))
            twi_json_uint64(json, &version);
        else if (TWI_JSON_IS(key, "ts"))
            twi_scan_time(json, TWI_NS_PER_MS, &info.venue_ns);
        else
            twi_json_skip(json);
    }
    if (json->status != TW_OK || !sides.has[TWI_BID] || !sides.has[TWI_ASK])
        return TW_MALFORMED;
    if (slot->synced && version != 0 && version < slot->seq) {
        slot->stats.stale++;
        return TW_OK;
    }
    info.seq = version;
    twi_update update;
    twi_update_begin(&update, m->venue, slot, m->sink, &info);
    return twi_update_finish(&update, &sides);
}

static void read_trade(twi_json *json, twi_trade *trade)
{
    twi_json_slice key;
    twi_json_enter_object(json);
    while (twi_json_next_member(json, &key)) {
        if (TWI_JSON_IS(key, "tradeId"))
            twi_json_scalar(json, &trade->id);
        else if (TWI_JSON_IS(key, "ts"))
            twi_scan_time(json, TWI_NS_PER_MS, &trade->venue_ns);
        else if (TWI_JSON_IS(key, "amount"))
            twi_json_decimal(json, &trade->amount);
        else if (TWI_JSON_IS(key, "price"))
            twi_json_decimal(json, &trade->price);
        else if (TWI_JSON_IS(key, "direction"))
            twi_scan_is_sell(json, &trade->sell);
        else
            twi_json_skip(json);
    }
}

static tw_status on_trades(const htx_message *m, twi_slot *slot, twi_json *json)
{
    twi_json_slice key;
    tw_status status = TW_OK;
    twi_json_enter_object(json);
    while (twi_json_next_member(json, &key)) {
        if (!TWI_JSON_IS(key, "data")) {
            twi_json_skip(json);
            continue;
        }
        status = twi_emit_trades(slot, json, read_trade, m->recv_ns, m->sink);
        if (status != TW_OK)
            break;
    }
    return json->status == TW_OK ? status : TW_MALFORMED;
}

static tw_status on_best(const htx_message *m, twi_slot *slot, twi_json *json)
{
    twi_json_slice key;
    twi_quote quote = {.venue_ns = m->time_ns};
    twi_json_enter_object(json);
    while (twi_json_next_member(json, &key)) {
        if (TWI_JSON_IS(key, "bid"))
            twi_scan_optional(json, &quote.bid);
        else if (TWI_JSON_IS(key, "bidSize"))
            twi_scan_optional(json, &quote.bid_amount);
        else if (TWI_JSON_IS(key, "ask"))
            twi_scan_optional(json, &quote.ask);
        else if (TWI_JSON_IS(key, "askSize"))
            twi_scan_optional(json, &quote.ask_amount);
        else if (TWI_JSON_IS(key, "quoteTime"))
            twi_scan_time(json, TWI_NS_PER_MS, &quote.venue_ns);
        else
            twi_json_skip(json);
    }
    return json->status == TW_OK ? twi_emit_quote(slot, &quote, m->recv_ns, m->sink) : TW_MALFORMED;
}

static tw_status on_data(const htx_message *m, twi_json_slice channel, twi_json *tick)
{
    twi_json_slice id;
    int stream = split_channel(channel, &id);
    if (stream < 0) {
        m->venue->stats.ignored++;
        return TW_OK;
    }
    twi_slot *slot = twi_venue_slot(m->venue, m->link, id.text, id.len);
    if (slot == NULL)
        return TW_OK;
    if (stream == TW_CHANNEL_BOOK)
        return on_depth(m, slot, tick);
    return stream == TW_CHANNEL_TRADE ? on_trades(m, slot, tick) : on_best(m, slot, tick);
}

/* ---- control ---- */

static tw_status on_ping(const htx_message *m, twi_json_slice number)
{
    char bytes[64];
    twi_text text = twi_text_over(bytes, sizeof(bytes));
    twi_text_put(&text, "{\"pong\":");
    twi_text_bytes(&text, number.text, number.len);
    twi_text_put(&text, "}");
    twi_venue_owe(m->venue, m->link, &text);
    return TW_OK;
}

typedef struct htx_answer {
    twi_json_slice status, subscribed, left, error, id;
} htx_answer;

static tw_status on_answer(const htx_message *m, const htx_answer *answer)
{
    twi_json_slice id;
    uint32_t request;
    if (TWI_JSON_IS(answer->status, "error")) {
        twi_venue_error(m->venue, answer->error.text, answer->error.len);
        if (twi_scan_request_id(answer->id, &request))
            twi_venue_ack_request(m->venue, request, false, m->recv_ns, m->sink);
        return TW_OK;
    }
    bool subscribed = answer->subscribed.len > 0;
    int stream = split_channel(subscribed ? answer->subscribed : answer->left, &id);
    twi_slot *slot = stream >= 0 ? twi_venue_find(m->venue, 0, id.text, id.len) : NULL;
    if (slot != NULL && subscribed)
        twi_venue_ack_stream(m->venue, slot, (tw_channel)stream, true, m->recv_ns, m->sink);
    else if (slot != NULL)
        twi_venue_left_stream(m->venue, slot, (tw_channel)stream);
    return TW_OK;
}

static tw_status on_message(twi_venue *venue, uint32_t link, int64_t recv_ns, const uint8_t *msg, size_t msg_len,
                            tw_sink *sink)
{
    htx_message m = {.venue = venue, .sink = sink, .link = link, .recv_ns = recv_ns};
    htx_answer answer = {.status = {0}};
    twi_json json, tick = {0};
    twi_json_slice key, channel = {0}, ping = {0};
    bool has_tick = false;
    if (msg_len >= 2 && msg[0] == 0x1f && msg[1] == 0x8b && unpack(venue, &msg, &msg_len) != TW_OK)
        return TW_MALFORMED;
    twi_json_init(&json, msg, msg_len);
    twi_json_enter_object(&json);
    while (twi_json_next_member(&json, &key)) {
        if (TWI_JSON_IS(key, "ch"))
            twi_json_string(&json, &channel);
        else if (TWI_JSON_IS(key, "ts"))
            twi_scan_time(&json, TWI_NS_PER_MS, &m.time_ns);
        else if (TWI_JSON_IS(key, "tick"))
            has_tick = twi_json_defer(&json, &tick);
        else if (TWI_JSON_IS(key, "ping"))
            twi_json_number(&json, &ping);
        else if (TWI_JSON_IS(key, "status"))
            twi_json_string(&json, &answer.status);
        else if (TWI_JSON_IS(key, "subbed"))
            twi_json_string(&json, &answer.subscribed);
        else if (TWI_JSON_IS(key, "unsubbed"))
            twi_json_string(&json, &answer.left);
        else if (TWI_JSON_IS(key, "err-msg"))
            twi_json_string(&json, &answer.error);
        else if (TWI_JSON_IS(key, "id"))
            twi_json_scalar(&json, &answer.id);
        else
            twi_json_skip(&json);
    }
    if (twi_json_end(&json) != TW_OK)
        return TW_MALFORMED;
    if (ping.len > 0)
        return on_ping(&m, ping);
    return channel.len > 0 && has_tick ? on_data(&m, channel, &tick) : on_answer(&m, &answer);
}

static void write_streams(twi_venue *venue, uint32_t link, bool subscribe, tw_channel channel, twi_slot *const *slots,
                          uint32_t count, uint32_t request, twi_text *out)
{
    (void)venue;
    (void)link;
    (void)count;
    twi_text_put(out, subscribe ? "{\"sub\":\"market." : "{\"unsub\":\"market.");
    twi_text_bytes(out, slots[0]->id, slots[0]->id_len);
    twi_text_put(out, ".");
    twi_text_put(out, SUFFIXES[channel]);
    twi_text_put(out, "\",\"id\":\"");
    twi_text_number(out, request);
    twi_text_put(out, "\"}");
}

/* ---- markets ---- */

static const char *const QUOTES[] = {"usdt", "btc", "eth", "ht", "husd", "trx", "usdc", "usdd", "eur", "gbp", NULL};
static const twi_code CODES[] = {{"BCHSV", "BSV"}, {"XBT", "BTC"}, {NULL, NULL}};

static bool id_of_symbol(const char *symbol, size_t len, twi_text *id, uint8_t *group)
{
    twi_symbol_parts parts;
    *group = 0;
    if (!twi_symbol_split(symbol, len, &parts) || parts.settle.len > 0)
        return false;
    twi_name base = parts.base, quote = parts.quote;
    twi_text_lower(id, base.text, base.len);
    twi_text_lower(id, quote.text, quote.len);
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

static void set_upper_code(char *to, size_t cap, twi_json_slice slice)
{
    char upper[24];
    twi_text text = twi_text_over(upper, sizeof(upper));
    twi_text_upper(&text, slice.text, slice.len);
    twi_name name = twi_code_unify(CODES, upper, text.len);
    twi_market_copy(to, cap, name.text, name.len);
}

static void read_market(twi_json *json, tw_market_fn fn, void *owner)
{
    twi_json_slice key, value;
    tw_market market = {.active = 0};
    int64_t price_digits = -1, amount_digits = -1;
    twi_json_enter_object(json);
    while (twi_json_next_member(json, &key)) {
        if (TWI_JSON_IS(key, "symbol") && twi_json_string(json, &value))
            TWI_MARKET_SET(market.id, value);
        else if (TWI_JSON_IS(key, "base-currency") && twi_json_string(json, &value))
            set_upper_code(market.base, sizeof(market.base), value);
        else if (TWI_JSON_IS(key, "quote-currency") && twi_json_string(json, &value))
            set_upper_code(market.quote, sizeof(market.quote), value);
        else if (TWI_JSON_IS(key, "price-precision"))
            twi_json_int64(json, &price_digits);
        else if (TWI_JSON_IS(key, "amount-precision"))
            twi_json_int64(json, &amount_digits);
        else if (TWI_JSON_IS(key, "state") && twi_json_string(json, &value))
            market.active = TWI_JSON_IS(value, "online");
        else if (TWI_JSON_IS(key, "min-order-amt"))
            twi_scan_optional(json, &market.amount_min);
        else if (TWI_JSON_IS(key, "max-order-amt"))
            twi_scan_optional(json, &market.amount_max);
        else if (TWI_JSON_IS(key, "min-order-value"))
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

static tw_status markets_parse(const uint8_t *body, size_t body_len, tw_market_fn fn, void *owner)
{
    return twi_market_list(body, body_len, "data", read_market, fn, owner);
}

static tw_status markets_request(const tw_feed_config *config, uint32_t page, tw_request *request)
{
    return twi_market_request(config, REST_URL, "/v1/common/symbols", page, request);
}

/* ---- the feed ---- */

static const tw_feed_limits LIMITS = {.streams_per_link = 100,
                                      .dial_count = 10,
                                      .dial_window_ns = TWI_NS_PER_S,
                                      .silence_ns_max = 15 * TWI_NS_PER_S, /* pinged every 5 s */
                                      .message_bytes_max = UNPACKED_MAX};

static const twi_venue_traits TRAITS = {.ops = &twi_feed_htx,
                                        .stream_urls = {"wss://api.huobi.pro/ws"},
                                        .rest_url = REST_URL,
                                        .repair = TWI_REPAIR_WAIT,
                                        .book_levels = 512,
                                        .acks = true,
                                        .batch_max = 1,
                                        .output_gap_ns = 50 * TWI_NS_PER_MS,
                                        .request_gap_ns = 200 * TWI_NS_PER_MS,
                                        .extra_bytes = sizeof(htx_extra),
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

const tw_feed_ops twi_feed_htx = {TWI_VENUE_SHARED_OPS,
                                  .name = "htx",
                                  .has = TW_HAS_WATCH_TRADES | TW_HAS_WATCH_TICKER | TW_HAS_WATCH_ORDER_BOOK |
                                         TW_HAS_UNWATCH | TW_HAS_FETCH_MARKETS | TWI_HAS_FETCH | TW_HAS_BINARY_FRAMES,
                                  .limits = &LIMITS,
                                  .state_size = state_size,
                                  .init = init,
                                  .markets_request = markets_request,
                                  .markets_parse = markets_parse};
