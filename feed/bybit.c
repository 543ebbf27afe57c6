/* bybit.c - Bybit v5 public: orderbook, publicTrade, orderbook.1 and tickers, for spot, linear and inverse.
 *
 * Rules:    a snapshot, then deltas whose u is the one before + 1 (observed, not promised: a jump is treated as a
 *           loss); a snapshot may come at any time and replaces the book, u = 1 says that the service restarted.
 *           Levels below the subscribed depth are never deleted by the venue: the book is cut after each message.
 * Quirks:   the same id names a spot and a linear market: the endpoint decides, so each category has links of its own
 *           and ids are shown as "linear:BTCUSDT". Linear tickers send what changed only; spot tickers have no best bid
 *           and ask. The order of members differs between the categories.
 * Source:   bybit-exchange.github.io/docs/v5/ws; recordings. */
#include "engine/proto/json_take.h"
#include "feed/market.h"
#include "feed/registry.h"
#include "feed/shapes.h"

#define REST_URL "https://api.bybit.com"
enum { DEPTH_DEFAULT = 200, DEPTH_MAX = 1000, U_RESTART = 1 };
enum { QUOTE_BID, QUOTE_BID_AMOUNT, QUOTE_ASK, QUOTE_ASK_AMOUNT }; /* in slot->quote */
enum { SPOT, LINEAR, INVERSE, GROUP_COUNT };

static const char *const GROUP_NAMES[GROUP_COUNT] = {"spot", "linear", "inverse"};

typedef struct bybit_message {
    twi_venue *venue;
    tw_sink *sink;
    uint32_t link;
    int64_t recv_ns, time_ns;
    bool snapshot;
} bybit_message;

/* "orderbook.200.BTCUSDT": the kind, the number between the points, the symbol. */
typedef struct bybit_topic {
    twi_json_slice kind, id;
    uint32_t depth;
} bybit_topic;

static bool split_topic(twi_json_slice topic, bybit_topic *out)
{
    const char *first = memchr(topic.text, '.', topic.len);
    if (first == NULL)
        return false;
    out->kind = (twi_json_slice){.text = topic.text, .len = (uint32_t)(first - topic.text)};
    const char *at = first + 1, *end = topic.text + topic.len;
    out->depth = 0;
    if (TWI_JSON_IS(out->kind, "orderbook")) {
        for (; at < end && *at >= '0' && *at <= '9' && out->depth <= DEPTH_MAX; at++)
            out->depth = out->depth * 10 + (uint32_t)(*at - '0');
        if (at == end || *at != '.' || out->depth == 0 || out->depth > DEPTH_MAX)
            return false;
        at++;
    }
    out->id = (twi_json_slice){.text = at, .len = (uint32_t)(end - at)};
    return out->id.len > 0;
}

/* ---- book ---- */

typedef struct bybit_book {
    twi_sides sides;
    uint64_t u;
    bool has_u;
} bybit_book;

static void read_book(twi_json *json, bybit_book *book)
{
    twi_json_slice key;
    twi_json_enter_object(json);
    while (twi_json_next_member(json, &key)) {
        if (TWI_JSON_IS(key, "b"))
            twi_scan_side(json, TWI_BID, &book->sides);
        else if (TWI_JSON_IS(key, "a"))
            twi_scan_side(json, TWI_ASK, &book->sides);
        else if (TWI_JSON_IS(key, "u"))
            book->has_u = twi_json_uint64(json, &book->u);
        else
            twi_json_skip(json);
    }
}

static tw_status on_book(const bybit_message *m, twi_slot *slot, uint32_t depth, bybit_book *book)
{
    bool snapshot = m->snapshot || book->u == U_RESTART;
    if (!snapshot && !twi_venue_delta_usable(slot))
        return TW_OK;
    if (!snapshot && book->u <= slot->seq) {
        slot->stats.stale++;
        return TW_OK;
    }
    if (!snapshot && book->u != slot->seq + 1)
        return twi_venue_gap(m->venue, slot, book->u - 1, m->recv_ns, m->sink);
    slot->depth = depth;
    twi_update update;
    twi_update_info info = {.snapshot = snapshot, .seq = book->u, .venue_ns = m->time_ns, .recv_ns = m->recv_ns};
    twi_update_begin(&update, m->venue, slot, m->sink, &info);
    return twi_update_finish(&update, &book->sides);
}

static tw_status emit_quote(const bybit_message *m, twi_slot *slot)
{
    twi_quote quote = {.bid = slot->quote[QUOTE_BID],
                       .bid_amount = slot->quote[QUOTE_BID_AMOUNT],
                       .ask = slot->quote[QUOTE_ASK],
                       .ask_amount = slot->quote[QUOTE_ASK_AMOUNT],
                       .venue_ns = m->time_ns};
    return twi_emit_quote(slot, &quote, m->recv_ns, m->sink);
}

/* One side of a book of one level: rows of which the one with an amount is the best; a row of amount 0 is the one it
 * replaces. */
static bool merge_best(twi_json *json, tw_decimal *price, tw_decimal *amount)
{
    twi_json_enter_array(json);
    while (twi_json_next_item(json)) {
        tw_decimal row_price, row_amount;
        bool whole = twi_json_enter_array(json) && twi_json_next_item(json) && twi_json_decimal(json, &row_price) &&
                     twi_json_next_item(json) && twi_json_decimal(json, &row_amount);
        if (!whole)
            return twi_json_fail(json, TW_MALFORMED);
        twi_json_drain_array(json);
        if (row_amount.mantissa != 0) {
            *price = row_price;
            *amount = row_amount;
        } else if (tw_decimal_compare(*price, row_price) == 0) {
            *price = *amount = (tw_decimal){0};
        }
    }
    return json->status == TW_OK;
}

/* orderbook.1: mostly snapshots. */
static tw_status on_best(const bybit_message *m, twi_slot *slot, bybit_book *book)
{
    if (m->snapshot)
        memset(slot->quote, 0, sizeof(slot->quote));
    bool good = (!book->sides.has[TWI_BID] ||
                 merge_best(&book->sides.at[TWI_BID], &slot->quote[QUOTE_BID], &slot->quote[QUOTE_BID_AMOUNT])) &&
                (!book->sides.has[TWI_ASK] ||
                 merge_best(&book->sides.at[TWI_ASK], &slot->quote[QUOTE_ASK], &slot->quote[QUOTE_ASK_AMOUNT]));
    return good ? emit_quote(m, slot) : TW_MALFORMED;
}

static tw_status on_orderbook(const bybit_message *m, twi_slot *slot, uint32_t depth, twi_json *json)
{
    bybit_book book = {.u = 0};
    read_book(json, &book);
    if (json->status != TW_OK || !book.has_u)
        return TW_MALFORMED;
    return depth == 1 ? on_best(m, slot, &book) : on_book(m, slot, depth, &book);
}

/* ---- tickers and trades ---- */

static tw_status on_ticker(const bybit_message *m, twi_slot *slot, twi_json *json)
{
    twi_json_slice key;
    if (m->snapshot)
        memset(slot->quote, 0, sizeof(slot->quote));
    twi_json_enter_object(json);
    while (twi_json_next_member(json, &key)) {
        if (TWI_JSON_IS(key, "bid1Price"))
            twi_scan_optional(json, &slot->quote[QUOTE_BID]);
        else if (TWI_JSON_IS(key, "bid1Size"))
            twi_scan_optional(json, &slot->quote[QUOTE_BID_AMOUNT]);
        else if (TWI_JSON_IS(key, "ask1Price"))
            twi_scan_optional(json, &slot->quote[QUOTE_ASK]);
        else if (TWI_JSON_IS(key, "ask1Size"))
            twi_scan_optional(json, &slot->quote[QUOTE_ASK_AMOUNT]);
        else
            twi_json_skip(json);
    }
    if (json->status != TW_OK)
        return TW_MALFORMED;
    return slot->group == SPOT ? TW_OK : emit_quote(m, slot);
}

static void read_trade(twi_json *json, twi_trade *trade)
{
    twi_json_slice key;
    twi_json_enter_object(json);
    while (twi_json_next_member(json, &key)) {
        if (TWI_JSON_IS(key, "T"))
            twi_scan_time(json, TWI_NS_PER_MS, &trade->venue_ns);
        else if (TWI_JSON_IS(key, "S"))
            twi_scan_is_sell(json, &trade->sell);
        else if (TWI_JSON_IS(key, "v"))
            twi_json_decimal(json, &trade->amount);
        else if (TWI_JSON_IS(key, "p"))
            twi_json_decimal(json, &trade->price);
        else if (TWI_JSON_IS(key, "i"))
            twi_json_scalar(json, &trade->id);
        else
            twi_json_skip(json);
    }
}

static tw_status on_data(const bybit_message *m, twi_json_slice topic_text, twi_json *data)
{
    bybit_topic topic;
    if (!split_topic(topic_text, &topic))
        return TW_MALFORMED;
    bool book = TWI_JSON_IS(topic.kind, "orderbook"), trade = TWI_JSON_IS(topic.kind, "publicTrade");
    if (!book && !trade && !TWI_JSON_IS(topic.kind, "tickers")) {
        m->venue->stats.ignored++;
        return TW_OK;
    }
    twi_slot *slot = twi_venue_slot(m->venue, m->link, topic.id.text, topic.id.len);
    if (slot == NULL)
        return TW_OK;
    if (book)
        return on_orderbook(m, slot, topic.depth, data);
    return trade ? twi_emit_trades(slot, data, read_trade, m->recv_ns, m->sink) : on_ticker(m, slot, data);
}

/* ---- the usual messages, read once, in the order in which Bybit writes them ----
 *
 * True: *status is what came of it. False: nothing was done; the general way reads it from its start. */

/* Derivatives tell the type first, spot the time. */
static bool take_head(twi_json *json, bybit_message *m, twi_json_slice *topic)
{
    uint64_t ms;
    twi_json_slice type;
    if (!TWI_JSON_TAKE(json, "{\"topic\":\"") || !twi_json_take_word(json, topic))
        return false;
    bool type_first = TWI_JSON_TAKE(json, "\",\"type\":\"");
    if (type_first ? !twi_json_take_word(json, &type) || !TWI_JSON_TAKE(json, "\",\"ts\":") ||
                         !twi_json_take_uint(json, &ms) || !TWI_JSON_TAKE(json, ",\"data\":")
                   : !TWI_JSON_TAKE(json, "\",\"ts\":") || !twi_json_take_uint(json, &ms) ||
                         !TWI_JSON_TAKE(json, ",\"type\":\"") || !twi_json_take_word(json, &type) ||
                         !TWI_JSON_TAKE(json, "\",\"data\":"))
        return false;
    m->time_ns = twi_time_from_ms((int64_t)ms);
    m->snapshot = TWI_JSON_IS(type, "snapshot");
    return true;
}

static bool take_book(twi_json *json, bybit_book *book)
{
    uint64_t unused;
    twi_json_slice symbol;
    book->has_u = true;
    return TWI_JSON_TAKE(json, "{\"s\":\"") && twi_json_take_word(json, &symbol) && TWI_JSON_TAKE(json, "\",\"b\":") &&
           twi_sides_take(json, TWI_BID, &book->sides) && TWI_JSON_TAKE(json, ",\"a\":") &&
           twi_sides_take(json, TWI_ASK, &book->sides) && TWI_JSON_TAKE(json, ",\"u\":") &&
           twi_json_take_uint(json, &book->u) && TWI_JSON_TAKE(json, ",\"seq\":") &&
           twi_json_take_uint(json, &unused) && TWI_JSON_TAKE(json, "},\"cts\":") &&
           twi_json_take_uint(json, &unused) && TWI_JSON_TAKE(json, "}") && json->at == json->end;
}

/* true or false, which nobody needs. */
static bool take_flag(twi_json *json)
{
    return TWI_JSON_TAKE(json, "false") || TWI_JSON_TAKE(json, "true");
}

/* Of spot, behind the first member's name. */
static bool take_spot_trade(twi_json *json, twi_trade *trade)
{
    uint64_t ms, unused;
    if (!twi_json_take_word(json, &trade->id) || !TWI_JSON_TAKE(json, "\",\"T\":") || !twi_json_take_uint(json, &ms) ||
        !TWI_JSON_TAKE(json, ",\"p\":") || !twi_json_decimal(json, &trade->price) || !TWI_JSON_TAKE(json, ",\"v\":") ||
        !twi_json_decimal(json, &trade->amount))
        return false;
    trade->sell = TWI_JSON_TAKE(json, ",\"S\":\"Sell\"");
    trade->venue_ns = twi_time_from_ms((int64_t)ms);
    return (trade->sell || TWI_JSON_TAKE(json, ",\"S\":\"Buy\"")) && TWI_JSON_TAKE(json, ",\"seq\":") &&
           twi_json_take_uint(json, &unused) && TWI_JSON_TAKE(json, ",\"s\":") && twi_json_take_string(json) &&
           TWI_JSON_TAKE(json, ",\"BT\":") && take_flag(json) && TWI_JSON_TAKE(json, ",\"RPI\":") && take_flag(json) &&
           TWI_JSON_TAKE(json, "}");
}

/* With other members, or in another order, false. */
static bool take_trade(twi_json *json, twi_trade *trade)
{
    uint64_t ms, unused;
    if (TWI_JSON_TAKE(json, "{\"i\":\""))
        return take_spot_trade(json, trade);
    if (!TWI_JSON_TAKE(json, "{\"T\":") || !twi_json_take_uint(json, &ms) || !TWI_JSON_TAKE(json, ",\"s\":") ||
        !twi_json_take_string(json))
        return false;
    trade->sell = TWI_JSON_TAKE(json, ",\"S\":\"Sell\"");
    trade->venue_ns = twi_time_from_ms((int64_t)ms);
    return (trade->sell || TWI_JSON_TAKE(json, ",\"S\":\"Buy\"")) && TWI_JSON_TAKE(json, ",\"v\":") &&
           twi_json_decimal(json, &trade->amount) && TWI_JSON_TAKE(json, ",\"p\":") &&
           twi_json_decimal(json, &trade->price) && TWI_JSON_TAKE(json, ",\"L\":") && twi_json_take_string(json) &&
           TWI_JSON_TAKE(json, ",\"i\":\"") && twi_json_take_word(json, &trade->id) &&
           TWI_JSON_TAKE(json, "\",\"BT\":") && take_flag(json) && TWI_JSON_TAKE(json, ",\"RPI\":") &&
           take_flag(json) && TWI_JSON_TAKE(json, ",\"seq\":") && twi_json_take_uint(json, &unused) &&
           TWI_JSON_TAKE(json, "}");
}

/* All of them, or the general way: nothing is told before the whole message was read. */
static bool take_trades(twi_json *json, twi_trade *trades, uint32_t trade_max, uint32_t *count)
{
    if (!TWI_JSON_TAKE(json, "["))
        return false;
    for (*count = 0; *count < trade_max;) {
        twi_trade *trade = &trades[(*count)++];
        twi_json start = *json;
        *trade = (twi_trade){.history = false};
        if (!take_trade(json, trade)) {
            *json = start;
            *trade = (twi_trade){.history = false};
            read_trade(json, trade);
        }
        if (!TWI_JSON_TAKE(json, ","))
            return TWI_JSON_TAKE(json, "]}") && json->at == json->end && json->status == TW_OK;
    }
    return false;
}

static bool use_usual_trades(const bybit_message *m, const bybit_topic *topic, twi_json *json, tw_status *status)
{
    enum { TRADES_MAX = 128 }; /* a burst fills one message with some dozens */
    twi_trade trades[TRADES_MAX];
    uint32_t count;
    if (!take_trades(json, trades, TRADES_MAX, &count))
        return false;
    twi_slot *slot = twi_venue_slot(m->venue, m->link, topic->id.text, topic->id.len);
    *status = TW_OK;
    for (uint32_t i = 0; slot != NULL && *status == TW_OK && i < count; i++)
        *status = twi_emit_trade(slot, &trades[i], m->recv_ns, m->sink);
    return true;
}

static bool use_usual(bybit_message *m, const uint8_t *msg, size_t msg_len, tw_status *status)
{
    twi_json json = {.at = msg, .end = msg + msg_len};
    twi_json_slice text;
    bybit_topic topic;
    bybit_book book;
    if (!take_head(&json, m, &text) || !split_topic(text, &topic))
        return false;
    if (TWI_JSON_IS(topic.kind, "publicTrade"))
        return use_usual_trades(m, &topic, &json, status);
    if (!TWI_JSON_IS(topic.kind, "orderbook") || topic.depth == 1)
        return false;
    twi_sides_open(&book.sides, m->venue);
    if (!take_book(&json, &book))
        return false;
    twi_slot *slot = twi_venue_slot(m->venue, m->link, topic.id.text, topic.id.len);
    *status = slot != NULL ? on_book(m, slot, topic.depth, &book) : TW_OK;
    return true;
}

/* ---- control ---- */

typedef struct bybit_answer {
    twi_json_slice op, text, request;
    bool success;
} bybit_answer;

static tw_status on_answer(const bybit_message *m, const bybit_answer *answer)
{
    uint32_t request;
    if (!answer->success && answer->text.len > 0 && !TWI_JSON_IS(answer->text, "pong"))
        twi_venue_error(m->venue, answer->text.text, answer->text.len);
    bool subscription = TWI_JSON_IS(answer->op, "subscribe") || TWI_JSON_IS(answer->op, "unsubscribe");
    if (!subscription)
        return TW_OK;
    bool already =
        answer->text.len > 0 && memmem(answer->text.text, answer->text.len, "already subscribed", 18) != NULL;
    bool good = answer->success || already;
    if (twi_scan_request_id(answer->request, &request))
        twi_venue_ack_request(m->venue, request, good, m->recv_ns, m->sink);
    else if (!good) /* spot may leave the id out; the text names the topic */
        twi_venue_refuse_named(m->venue, m->link, -1, answer->text.text, answer->text.len, m->recv_ns, m->sink);
    return TW_OK;
}

static tw_status on_message(twi_venue *venue, uint32_t link, int64_t recv_ns, const uint8_t *msg, size_t msg_len,
                            tw_sink *sink)
{
    bybit_message m = {.venue = venue, .sink = sink, .link = link, .recv_ns = recv_ns};
    bybit_answer answer = {.success = false};
    twi_json json, data = {0};
    twi_json_slice key, topic = {0}, type = {0};
    tw_status status;
    bool has_data = false;
    if (TWI_LIKELY(use_usual(&m, msg, msg_len, &status)))
        return status;
    m = (bybit_message){.venue = venue, .sink = sink, .link = link, .recv_ns = recv_ns};
    twi_json_init(&json, msg, msg_len);
    twi_json_enter_object(&json);
    while (twi_json_next_member(&json, &key)) {
        if (TWI_JSON_IS(key, "topic"))
            twi_json_string(&json, &topic);
        else if (TWI_JSON_IS(key, "type"))
            twi_json_string(&json, &type);
        else if (TWI_JSON_IS(key, "ts"))
            twi_scan_time(&json, TWI_NS_PER_MS, &m.time_ns);
        else if (TWI_JSON_IS(key, "data"))
            has_data = twi_json_defer(&json, &data);
        else if (TWI_JSON_IS(key, "op"))
            twi_json_string(&json, &answer.op);
        else if (TWI_JSON_IS(key, "success"))
            twi_json_bool(&json, &answer.success);
        else if (TWI_JSON_IS(key, "ret_msg"))
            twi_json_string(&json, &answer.text);
        else if (TWI_JSON_IS(key, "req_id"))
            twi_json_string(&json, &answer.request);
        else
            twi_json_skip(&json);
    }
    if (twi_json_end(&json) != TW_OK)
        return TW_MALFORMED;
    if (topic.len == 0 || !has_data)
        return on_answer(&m, &answer);
    m.snapshot = TWI_JSON_IS(type, "snapshot");
    return on_data(&m, topic, &data);
}

/* The category is the last part of the endpoint's path. */
static void link_up(twi_venue *venue, uint32_t link, int64_t now_ns, const char *url)
{
    const char *path = url != NULL ? strrchr(url, '/') : NULL;
    (void)now_ns;
    for (uint8_t group = 0; path != NULL && group < GROUP_COUNT; group++) {
        if (strncmp(path + 1, GROUP_NAMES[group], strlen(GROUP_NAMES[group])) == 0)
            venue->links[link].group = group;
    }
}

static void write_topic(const twi_venue *venue, const twi_slot *slot, tw_channel channel, twi_text *out)
{
    if (channel == TW_CHANNEL_TRADE) {
        twi_text_put(out, "publicTrade.");
    } else if (channel == TW_CHANNEL_QUOTE) {
        twi_text_put(out, "orderbook.1.");
    } else {
        twi_text_put(out, "orderbook.");
        twi_text_number(out, venue->book_depth);
        twi_text_put(out, ".");
    }
    twi_text_bytes(out, slot->id, slot->id_len);
}

static void write_streams(twi_venue *venue, uint32_t link, bool subscribe, tw_channel channel, twi_slot *const *slots,
                          uint32_t count, uint32_t request, twi_text *out)
{
    (void)link;
    twi_text_put(out, subscribe ? "{\"op\":\"subscribe\",\"req_id\":\"" : "{\"op\":\"unsubscribe\",\"req_id\":\"");
    twi_text_number(out, request);
    twi_text_put(out, "\",\"args\":[");
    for (uint32_t i = 0; i < count; i++) {
        twi_text_put(out, i == 0 ? "\"" : ",\"");
        write_topic(venue, slots[i], channel, out);
        twi_text_put(out, "\"");
    }
    twi_text_put(out, "]}");
}

static void write_ping(twi_venue *venue, uint32_t link, int64_t now_ns, twi_text *out)
{
    (void)venue;
    (void)link;
    (void)now_ns;
    twi_text_put(out, "{\"op\":\"ping\"}");
}

static void show_id(const twi_slot *slot, twi_text *out)
{
    twi_text_put(out, GROUP_NAMES[slot->group]);
    twi_text_put(out, ":");
    twi_text_bytes(out, slot->id, slot->id_len);
}

/* ---- markets ---- */

static const char *const QUOTES[] = {"USDT", "USDC", "USDE", "EUR", "BRL", "BTC", "ETH", "DAI", "USD", NULL};

static const char *const MONTHS[] = {"JAN", "FEB", "MAR", "APR", "MAY", "JUN",
                                     "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"};

/* 240927 -> 27SEP24, as Bybit dates its linear futures. */
static void put_date(twi_text *id, twi_name expiry)
{
    unsigned month = (unsigned)(expiry.text[2] - '0') * 10 + (unsigned)(expiry.text[3] - '0');
    twi_text_put(id, "-");
    twi_text_bytes(id, expiry.text + 4, 2);
    twi_text_put(id, month >= 1 && month <= 12 ? MONTHS[month - 1] : "???");
    twi_text_bytes(id, expiry.text, 2);
}

/* BTC/USDT, BTC/USDT:USDT, BTC/USDC:USDC (BTCPERP), BTC/USD:BTC; dated ones BTCUSDT-27SEP24. */
static bool id_of_symbol(const char *symbol, size_t len, twi_text *id, uint8_t *group)
{
    twi_symbol_parts parts;
    if (!twi_symbol_split(symbol, len, &parts) || parts.option != 0)
        return false;
    bool inverse = parts.settle.len == parts.base.len && parts.settle.len > 0 &&
                   memcmp(parts.settle.text, parts.base.text, parts.base.len) == 0;
    bool usdc = parts.settle.len == 4 && memcmp(parts.settle.text, "USDC", 4) == 0;
    *group = parts.settle.len == 0 ? SPOT : inverse ? INVERSE : LINEAR;
    twi_text_bytes(id, parts.base.text, parts.base.len);
    if (usdc && parts.expiry.len == 0)
        twi_text_put(id, "PERP");
    else if (!usdc)
        twi_text_bytes(id, parts.quote.text, parts.quote.len);
    if (parts.expiry.len > 0)
        put_date(id, parts.expiry);
    return true;
}

static bool symbol_of_id(const char *id, size_t len, uint8_t group, twi_text *symbol)
{
    size_t base_len;
    bool perp = len > 4 && memcmp(id + len - 4, "PERP", 4) == 0;
    if (memchr(id, '-', len) != NULL)
        return false;
    const char *quote = "USDC";
    size_t quote_len = 4;
    if (perp) {
        base_len = len - 4;
    } else {
        if (!twi_split_quote(id, len, QUOTES, &base_len))
            return false;
        quote = id + base_len;
        quote_len = len - base_len;
    }
    twi_text_bytes(symbol, id, base_len);
    twi_text_put(symbol, "/");
    twi_text_bytes(symbol, quote, quote_len);
    if (group == SPOT)
        return true;
    twi_text_put(symbol, ":");
    twi_text_bytes(symbol, group == INVERSE ? id : quote, group == INVERSE ? base_len : quote_len);
    return true;
}

static void read_price_filter(twi_json *json, tw_market *market)
{
    twi_json_slice key;
    twi_json_enter_object(json);
    while (twi_json_next_member(json, &key)) {
        if (TWI_JSON_IS(key, "tickSize"))
            twi_scan_optional(json, &market->price_tick);
        else if (TWI_JSON_IS(key, "minPrice"))
            twi_scan_optional(json, &market->price_min);
        else if (TWI_JSON_IS(key, "maxPrice"))
            twi_scan_optional(json, &market->price_max);
        else
            twi_json_skip(json);
    }
}

static void read_lot_filter(twi_json *json, tw_market *market)
{
    twi_json_slice key;
    twi_json_enter_object(json);
    while (twi_json_next_member(json, &key)) {
        if (TWI_JSON_IS(key, "basePrecision") || TWI_JSON_IS(key, "qtyStep"))
            twi_scan_optional(json, &market->amount_step);
        else if (TWI_JSON_IS(key, "minOrderQty"))
            twi_scan_optional(json, &market->amount_min);
        else if (TWI_JSON_IS(key, "maxOrderQty"))
            twi_scan_optional(json, &market->amount_max);
        else if (TWI_JSON_IS(key, "minOrderAmt") || TWI_JSON_IS(key, "minNotionalValue"))
            twi_scan_optional(json, &market->cost_min);
        else
            twi_json_skip(json);
    }
}

static void read_market(twi_json *json, tw_market_fn fn, void *owner)
{
    twi_json_slice key, value, contract = {0};
    tw_market market = {.active = 0};
    int64_t delivery_ns = 0;
    twi_json_enter_object(json);
    while (twi_json_next_member(json, &key)) {
        if (TWI_JSON_IS(key, "symbol") && twi_json_string(json, &value))
            TWI_MARKET_SET(market.id, value);
        else if (TWI_JSON_IS(key, "baseCoin") && twi_json_string(json, &value))
            TWI_MARKET_SET(market.base, value);
        else if (TWI_JSON_IS(key, "quoteCoin") && twi_json_string(json, &value))
            TWI_MARKET_SET(market.quote, value);
        else if (TWI_JSON_IS(key, "settleCoin") && twi_json_string(json, &value))
            TWI_MARKET_SET(market.settle, value);
        else if (TWI_JSON_IS(key, "status") && twi_json_string(json, &value))
            market.active = TWI_JSON_IS(value, "Trading");
        else if (TWI_JSON_IS(key, "contractType"))
            twi_json_string(json, &contract);
        else if (TWI_JSON_IS(key, "deliveryTime"))
            twi_scan_time(json, TWI_NS_PER_MS, &delivery_ns);
        else if (TWI_JSON_IS(key, "priceFilter"))
            read_price_filter(json, &market);
        else if (TWI_JSON_IS(key, "lotSizeFilter"))
            read_lot_filter(json, &market);
        else
            twi_json_skip(json);
    }
    if (json->status != TW_OK || market.id[0] == 0)
        return;
    if (contract.len > 0) {
        market.linear = contract.len >= 6 && memcmp(contract.text, "Linear", 6) == 0;
        market.inverse = !market.linear;
        market.type = delivery_ns > 0 ? TW_MARKET_FUTURE : TW_MARKET_SWAP;
        market.expiry_ns = delivery_ns;
        market.contract_size = (tw_decimal){.mantissa = 1};
    }
    twi_market_name_symbol(&market);
    fn(owner, &market);
}

static tw_status markets_parse(const uint8_t *body, size_t body_len, tw_market_fn fn, void *owner)
{
    twi_json json;
    twi_json_slice key, result = {0};
    twi_json_init(&json, body, body_len);
    twi_json_enter_object(&json);
    while (twi_json_next_member(&json, &key)) {
        if (TWI_JSON_IS(key, "result"))
            twi_json_raw(&json, &result);
        else
            twi_json_skip(&json);
    }
    tw_status status = twi_json_end(&json);
    if (status == TW_OK && result.len == 0)
        return TW_MALFORMED; /* an error has no result */
    return status == TW_OK ? twi_market_list((const uint8_t *)result.text, result.len, "list", read_market, fn, owner)
                           : status;
}

static tw_status markets_request(const tw_feed_config *config, uint32_t page, tw_request *request)
{
    static const char *const paths[GROUP_COUNT] = {"/v5/market/instruments-info?category=spot",
                                                   "/v5/market/instruments-info?category=linear&limit=1000",
                                                   "/v5/market/instruments-info?category=inverse&limit=1000"};
    return page < GROUP_COUNT ? twi_market_request(config, REST_URL, paths[page], 0, request) : TW_EMPTY;
}

/* ---- the feed ---- */

static const tw_feed_limits LIMITS = {.streams_per_link = 600, /* 21,000 characters of topics */
                                      .dial_count = 500,
                                      .dial_window_ns = 300 * TWI_NS_PER_S,
                                      .silence_ns_max = 45 * TWI_NS_PER_S,
                                      .message_bytes_max = 1 << 20};

static const twi_venue_traits TRAITS = {.ops = &twi_feed_bybit,
                                        .stream_urls = {"wss://stream.bybit.com/v5/public/spot",
                                                        "wss://stream.bybit.com/v5/public/linear",
                                                        "wss://stream.bybit.com/v5/public/inverse"},
                                        .rest_url = REST_URL,
                                        .repair = TWI_REPAIR_RESUBSCRIBE,
                                        .book_levels = 2048,
                                        .book_depth = DEPTH_DEFAULT,
                                        .book_cut = true,
                                        .acks = true,
                                        .batch_max = 10,
                                        .output_gap_ns = 100 * TWI_NS_PER_MS,
                                        .ping_gap_ns = 20 * TWI_NS_PER_S,
                                        .request_gap_ns = 100 * TWI_NS_PER_MS,
                                        .id_of_symbol = id_of_symbol,
                                        .symbol_of_id = symbol_of_id,
                                        .show_id = show_id,
                                        .link_up = link_up,
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

const tw_feed_ops twi_feed_bybit = {TWI_VENUE_SHARED_OPS,
                                    .name = "bybit",
                                    .has = TW_HAS_WATCH_TRADES | TW_HAS_WATCH_TICKER | TW_HAS_WATCH_ORDER_BOOK |
                                           TW_HAS_UNWATCH | TW_HAS_FETCH_MARKETS | TWI_HAS_FETCH | TW_HAS_BOOK_SEQUENCE,
                                    .limits = &LIMITS,
                                    .state_size = state_size,
                                    .init = init,
                                    .markets_request = markets_request,
                                    .markets_parse = markets_parse};
