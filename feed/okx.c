/* okx.c - OKX v5 public: books (400 levels), trades, bbo-tbt and tickers.
 *
 * Rules:    a snapshot, then updates whose prevSeqId is the seqId before; equal numbers are a keep-alive without
 *           changes, smaller ones come after maintenance. Older traffic has no seqId but a checksum over the text of
 *           the best 25 levels; today the checksum is a constant 0 and means nothing.
 * Quirks:   ping and pong are bare words; an empty string is "none"; subscribing again what is subscribed sends a new
 *           snapshot; errors name the subscription in their text only.
 * Source:   okx.com/docs-v5 and its change log; recordings. */
#include <zlib.h>

#include "engine/proto/json_take.h"
#include "feed/market.h"
#include "feed/registry.h"
#include "feed/shapes.h"

#define REST_URL "https://www.okx.com"
enum { CHECKSUM_LEVELS = 25, LEVEL_TEXT_MAX = 2 * (TW_DECIMAL_TEXT_MAX + 1) };

static const char *const CHANNEL_NAMES[TWI_STREAM_COUNT] = {"trades", "bbo-tbt", "books"};

typedef struct okx_message {
    twi_venue *venue;
    tw_sink *sink;
    uint32_t link;
    int64_t recv_ns;
    twi_json_slice event, channel, instrument, action, code, text;
} okx_message;

/* ---- book ---- */

typedef struct okx_book {
    twi_sides sides;
    int64_t time_ns, checksum, seq, previous;
    bool has_checksum, has_seq, has_previous;
} okx_book;

static void read_book(twi_json *json, okx_book *book)
{
    twi_json_slice key;
    twi_json_enter_object(json);
    while (twi_json_next_member(json, &key)) {
        if (TWI_JSON_IS(key, "asks"))
            twi_scan_side(json, TWI_ASK, &book->sides);
        else if (TWI_JSON_IS(key, "bids"))
            twi_scan_side(json, TWI_BID, &book->sides);
        else if (TWI_JSON_IS(key, "ts"))
            twi_scan_time(json, TWI_NS_PER_MS, &book->time_ns);
        else if (TWI_JSON_IS(key, "checksum"))
            book->has_checksum = twi_json_int64(json, &book->checksum);
        else if (TWI_JSON_IS(key, "seqId"))
            book->has_seq = twi_json_int64(json, &book->seq);
        else if (TWI_JSON_IS(key, "prevSeqId"))
            book->has_previous = twi_json_int64(json, &book->previous);
        else
            twi_json_skip(json);
    }
}

static void put_level(twi_text *text, const twi_book *book, twi_side side, uint32_t index)
{
    char digits[TW_DECIMAL_TEXT_MAX];
    if (index >= twi_book_count(book, side))
        return;
    twi_level level = twi_book_level(book, side, index);
    if (text->len > 0)
        twi_text_put(text, ":");
    twi_text_bytes(text, digits, tw_decimal_format(level.price, digits));
    twi_text_put(text, ":");
    twi_text_bytes(text, digits, tw_decimal_format(level.amount, digits));
}

/* bid:amount:ask:amount:... in the venue's digits. */
static uint32_t book_checksum(const twi_book *book)
{
    char bytes[2 * CHECKSUM_LEVELS * LEVEL_TEXT_MAX];
    twi_text text = twi_text_over(bytes, sizeof(bytes));
    for (uint32_t i = 0; i < CHECKSUM_LEVELS; i++) {
        put_level(&text, book, TWI_BID, i);
        put_level(&text, book, TWI_ASK, i);
    }
    return (uint32_t)crc32(crc32(0, NULL, 0), (const Bytef *)bytes, (uInt)text.len);
}

static tw_status apply_book(const okx_message *m, twi_slot *slot, okx_book *book, bool snapshot)
{
    twi_update update;
    twi_update_info info = {.snapshot = snapshot,
                            .seq = book->has_seq && book->seq > 0 ? (uint64_t)book->seq : 0,
                            .venue_ns = book->time_ns,
                            .recv_ns = m->recv_ns};
    twi_update_begin(&update, m->venue, slot, m->sink, &info);
    if (!twi_update_sides(&update, &book->sides))
        return twi_update_abort(&update);
    if (book->has_checksum && book->checksum != 0)
        twi_update_checksum(&update, (uint32_t)book->checksum, book_checksum(&slot->book));
    return twi_update_end(&update);
}

static tw_status use_book(const okx_message *m, twi_slot *slot, okx_book *book)
{
    if (TWI_JSON_IS(m->action, "snapshot"))
        return apply_book(m, slot, book, true);
    if (!twi_venue_delta_usable(slot))
        return TW_OK;
    if (book->has_previous && book->previous != (int64_t)slot->seq)
        return twi_venue_gap(m->venue, slot, book->previous > 0 ? (uint64_t)book->previous : 0, m->recv_ns, m->sink);
    return apply_book(m, slot, book, false);
}

static tw_status on_book(const okx_message *m, twi_slot *slot, twi_json *json)
{
    okx_book book = {.time_ns = 0};
    read_book(json, &book);
    return json->status == TW_OK ? use_book(m, slot, &book) : TW_MALFORMED;
}

/* bbo-tbt, books5: whole small books. */
static tw_status on_best(const okx_message *m, twi_slot *slot, twi_json *json)
{
    okx_book book = {.time_ns = 0};
    twi_quote quote = {.venue_ns = 0};
    read_book(json, &book);
    if (json->status != TW_OK)
        return TW_MALFORMED;
    quote.venue_ns = book.time_ns;
    if (book.sides.has[TWI_BID])
        twi_scan_best(&book.sides.at[TWI_BID], &quote.bid, &quote.bid_amount);
    if (book.sides.has[TWI_ASK])
        twi_scan_best(&book.sides.at[TWI_ASK], &quote.ask, &quote.ask_amount);
    return twi_emit_quote(slot, &quote, m->recv_ns, m->sink);
}

/* ---- trades and tickers ---- */

static void read_trade(twi_json *json, twi_trade *trade)
{
    twi_json_slice key;
    twi_json_enter_object(json);
    while (twi_json_next_member(json, &key)) {
        if (TWI_JSON_IS(key, "tradeId"))
            twi_json_scalar(json, &trade->id);
        else if (TWI_JSON_IS(key, "px"))
            twi_json_decimal(json, &trade->price);
        else if (TWI_JSON_IS(key, "sz"))
            twi_json_decimal(json, &trade->amount);
        else if (TWI_JSON_IS(key, "side"))
            twi_scan_is_sell(json, &trade->sell);
        else if (TWI_JSON_IS(key, "ts"))
            twi_scan_time(json, TWI_NS_PER_MS, &trade->venue_ns);
        else
            twi_json_skip(json);
    }
}

static tw_status on_trade(const okx_message *m, twi_slot *slot, twi_json *json)
{
    twi_trade trade = {.history = false};
    read_trade(json, &trade);
    return json->status == TW_OK ? twi_emit_trade(slot, &trade, m->recv_ns, m->sink) : TW_MALFORMED;
}

static void read_ticker(twi_json *json, twi_quote *quote)
{
    twi_json_slice key;
    twi_json_enter_object(json);
    while (twi_json_next_member(json, &key)) {
        if (TWI_JSON_IS(key, "bidPx"))
            twi_scan_optional(json, &quote->bid);
        else if (TWI_JSON_IS(key, "bidSz"))
            twi_scan_optional(json, &quote->bid_amount);
        else if (TWI_JSON_IS(key, "askPx"))
            twi_scan_optional(json, &quote->ask);
        else if (TWI_JSON_IS(key, "askSz"))
            twi_scan_optional(json, &quote->ask_amount);
        else if (TWI_JSON_IS(key, "ts"))
            twi_scan_time(json, TWI_NS_PER_MS, &quote->venue_ns);
        else
            twi_json_skip(json);
    }
}

static tw_status on_ticker(const okx_message *m, twi_slot *slot, twi_json *json)
{
    twi_quote quote = {.venue_ns = 0};
    read_ticker(json, &quote);
    return json->status == TW_OK ? twi_emit_quote(slot, &quote, m->recv_ns, m->sink) : TW_MALFORMED;
}

static bool is_delta_book(twi_json_slice channel)
{
    return TWI_JSON_IS(channel, "books") || TWI_JSON_IS(channel, "books-l2-tbt") ||
           TWI_JSON_IS(channel, "books50-l2-tbt") || TWI_JSON_IS(channel, "books-rpi");
}

typedef tw_status (*okx_reader)(const okx_message *m, twi_slot *slot, twi_json *json);

static okx_reader reader_of(twi_json_slice channel)
{
    if (is_delta_book(channel))
        return on_book;
    if (TWI_JSON_IS(channel, "trades") || TWI_JSON_IS(channel, "trades-all"))
        return on_trade;
    if (TWI_JSON_IS(channel, "bbo-tbt"))
        return on_best;
    return TWI_JSON_IS(channel, "tickers") ? on_ticker : NULL;
}

static tw_status on_data(const okx_message *m, twi_json *data)
{
    okx_reader reader = reader_of(m->channel);
    twi_slot *slot = reader != NULL ? twi_venue_slot(m->venue, m->link, m->instrument.text, m->instrument.len) : NULL;
    if (slot == NULL) {
        m->venue->stats.ignored += reader == NULL;
        return TW_OK;
    }
    tw_status status = TW_OK;
    twi_json_enter_array(data);
    while (twi_json_next_item(data)) {
        tw_status its = reader(m, slot, data);
        status = its != TW_OK ? its : status;
    }
    return data->status == TW_OK ? status : TW_MALFORMED;
}

/* ---- the usual messages, read once, in the order in which OKX writes them ----
 *
 * True: *status is what came of it. False: nothing was done; the general way reads it from its start. */

static bool take_end(const twi_json *json)
{
    twi_json rest = *json;
    return rest.status == TW_OK && TWI_JSON_TAKE(&rest, "]}") && rest.at == rest.end;
}

static bool take_book(twi_json *json, okx_book *book)
{
    uint64_t ms, number;
    if (!TWI_JSON_TAKE(json, "{\"asks\":") || !twi_sides_take(json, TWI_ASK, &book->sides) ||
        !TWI_JSON_TAKE(json, ",\"bids\":") || !twi_sides_take(json, TWI_BID, &book->sides) ||
        !TWI_JSON_TAKE(json, ",\"ts\":\"") || !twi_json_take_uint(json, &ms) ||
        !TWI_JSON_TAKE(json, "\",\"checksum\":"))
        return false;
    bool negative = TWI_JSON_TAKE(json, "-");
    if (!twi_json_take_uint(json, &number) || number > INT32_MAX)
        return false;
    book->checksum = negative ? -(int64_t)number : (int64_t)number;
    book->has_checksum = true;
    book->time_ns = twi_time_from_ms((int64_t)ms);
    book->has_seq = TWI_JSON_TAKE(json, ",\"seqId\":");
    if (book->has_seq && !twi_json_take_time(json, &book->seq))
        return false;
    book->has_previous = TWI_JSON_TAKE(json, ",\"prevSeqId\":");
    negative = book->has_previous && TWI_JSON_TAKE(json, "-"); /* of a snapshot */
    if (book->has_previous && !twi_json_take_time(json, &book->previous))
        return false;
    book->previous = negative ? -book->previous : book->previous;
    return TWI_JSON_TAKE(json, "}");
}

static bool use_usual_book(const okx_message *m, twi_json *json, tw_status *status)
{
    okx_book book;
    twi_sides_open(&book.sides, m->venue);
    book.previous = 0;
    book.seq = 0;
    if (!take_book(json, &book) || !take_end(json))
        return false;
    twi_slot *slot = twi_venue_slot(m->venue, m->link, m->instrument.text, m->instrument.len);
    *status = slot != NULL ? use_book(m, slot, &book) : TW_OK;
    return true;
}

static bool take_trade(twi_json *json, twi_trade *trade)
{
    uint64_t ms;
    twi_json_slice instrument;
    if (!TWI_JSON_TAKE(json, "{\"instId\":\"") || !twi_json_take_word(json, &instrument) ||
        !TWI_JSON_TAKE(json, "\",\"tradeId\":\"") || !twi_json_take_word(json, &trade->id) ||
        !TWI_JSON_TAKE(json, "\",\"px\":") || !twi_json_decimal(json, &trade->price) ||
        !TWI_JSON_TAKE(json, ",\"sz\":") || !twi_json_decimal(json, &trade->amount))
        return false;
    trade->sell = TWI_JSON_TAKE(json, ",\"side\":\"sell\"");
    if ((!trade->sell && !TWI_JSON_TAKE(json, ",\"side\":\"buy\"")) || !TWI_JSON_TAKE(json, ",\"ts\":\"") ||
        !twi_json_take_uint(json, &ms) || !TWI_JSON_TAKE(json, "\"}"))
        return false;
    trade->venue_ns = twi_time_from_ms((int64_t)ms);
    return true;
}

/* One trade, as nearly always. */
static bool use_usual_trade(const okx_message *m, twi_json *json, tw_status *status)
{
    twi_trade trade = {.history = false};
    twi_json again = *json;
    if (!take_trade(json, &trade)) {
        trade = (twi_trade){.history = false};
        *json = again; /* it has more members today */
        read_trade(json, &trade);
    }
    if (!take_end(json))
        return false;
    twi_slot *slot = twi_venue_slot(m->venue, m->link, m->instrument.text, m->instrument.len);
    *status = slot != NULL ? twi_emit_trade(slot, &trade, m->recv_ns, m->sink) : TW_OK;
    return true;
}

/* The members before the prices are always the same ones; those behind them come and go. */
static bool take_ticker(twi_json *json, twi_quote *quote)
{
    twi_json_slice key;
    if (!TWI_JSON_TAKE(json, "{\"instType\":") || !twi_json_take_string(json) || !TWI_JSON_TAKE(json, ",\"instId\":") ||
        !twi_json_take_string(json) || !TWI_JSON_TAKE(json, ",\"last\":") || !twi_json_take_string(json) ||
        !TWI_JSON_TAKE(json, ",\"lastSz\":") || !twi_json_take_string(json) || !TWI_JSON_TAKE(json, ",\"askPx\":") ||
        !twi_scan_optional(json, &quote->ask) || !TWI_JSON_TAKE(json, ",\"askSz\":") ||
        !twi_scan_optional(json, &quote->ask_amount) || !TWI_JSON_TAKE(json, ",\"bidPx\":") ||
        !twi_scan_optional(json, &quote->bid) || !TWI_JSON_TAKE(json, ",\"bidSz\":") ||
        !twi_scan_optional(json, &quote->bid_amount))
        return false;
    while (TWI_JSON_TAKE(json, ",\"") && twi_json_take_word(json, &key) && TWI_JSON_TAKE(json, "\":")) {
        bool good =
            TWI_JSON_IS(key, "ts") ? twi_scan_time(json, TWI_NS_PER_MS, &quote->venue_ns) : twi_json_take_string(json);
        if (!good)
            return false;
    }
    return TWI_JSON_TAKE(json, "}");
}

static bool use_usual_ticker(const okx_message *m, twi_json *json, tw_status *status)
{
    twi_quote quote = {.venue_ns = 0};
    if (!take_ticker(json, &quote) || !take_end(json))
        return false;
    twi_slot *slot = twi_venue_slot(m->venue, m->link, m->instrument.text, m->instrument.len);
    *status = slot != NULL ? twi_emit_quote(slot, &quote, m->recv_ns, m->sink) : TW_OK;
    return true;
}

static bool use_usual(okx_message *m, const uint8_t *msg, size_t msg_len, tw_status *status)
{
    twi_json json = {.at = msg, .end = msg + msg_len};
    if (!TWI_JSON_TAKE(&json, "{\"arg\":{\"channel\":\"") || !twi_json_take_word(&json, &m->channel) ||
        !TWI_JSON_TAKE(&json, "\",\"instId\":\"") || !twi_json_take_word(&json, &m->instrument) ||
        !TWI_JSON_TAKE(&json, "\"},\""))
        return false;
    m->action.len = 0;
    if (TWI_JSON_TAKE(&json, "action\":\"") &&
        !(twi_json_take_word(&json, &m->action) && TWI_JSON_TAKE(&json, "\",\"")))
        return false;
    if (!TWI_JSON_TAKE(&json, "data\":["))
        return false;
    okx_reader reader = reader_of(m->channel);
    if (reader == on_book)
        return use_usual_book(m, &json, status);
    if (reader == on_trade)
        return use_usual_trade(m, &json, status);
    return reader == on_ticker && use_usual_ticker(m, &json, status);
}

/* ---- control ---- */

/* "Wrong URL or channel:books,instId:BTC-USDT doesn't exist": of the symbol only that channel, if it is named. */
static void refuse(const okx_message *m)
{
    static const char key[] = "channel:";
    int stream = -1;
    if (m->text.len == 0)
        return;
    const char *end = m->text.text + m->text.len, *name = memmem(m->text.text, m->text.len, key, sizeof(key) - 1);
    if (name != NULL) {
        name += sizeof(key) - 1;
        const char *comma = memchr(name, ',', (size_t)(end - name));
        stream = twi_channel_of(
            CHANNEL_NAMES, (twi_json_slice){.text = name, .len = (uint32_t)((comma != NULL ? comma : end) - name)});
    }
    twi_venue_refuse_named(m->venue, m->link, stream, m->text.text, m->text.len, m->recv_ns, m->sink);
}

static tw_status on_event(const okx_message *m)
{
    if (TWI_JSON_IS(m->event, "notice"))
        return TW_RELINK; /* 64008: the connection closes soon for an upgrade */
    if (TWI_JSON_IS(m->event, "error")) {
        twi_venue_error(m->venue, m->text.text, m->text.len);
        refuse(m);
        return TW_OK;
    }
    twi_slot *slot = twi_venue_find(m->venue, 0, m->instrument.text, m->instrument.len);
    int stream = twi_channel_of(CHANNEL_NAMES, m->channel);
    if (slot == NULL || stream < 0)
        return TW_OK;
    if (TWI_JSON_IS(m->event, "subscribe"))
        twi_venue_ack_stream(m->venue, slot, (tw_channel)stream, true, m->recv_ns, m->sink);
    else if (TWI_JSON_IS(m->event, "unsubscribe"))
        twi_venue_left_stream(m->venue, slot, (tw_channel)stream);
    return TW_OK;
}

static void read_argument(twi_json *json, okx_message *m)
{
    twi_json_slice key;
    twi_json_enter_object(json);
    while (twi_json_next_member(json, &key)) {
        if (TWI_JSON_IS(key, "channel"))
            twi_json_string(json, &m->channel);
        else if (TWI_JSON_IS(key, "instId"))
            twi_json_string(json, &m->instrument);
        else
            twi_json_skip(json);
    }
}

static tw_status on_message(twi_venue *venue, uint32_t link, int64_t recv_ns, const uint8_t *msg, size_t msg_len,
                            tw_sink *sink)
{
    okx_message m = {.venue = venue, .sink = sink, .link = link, .recv_ns = recv_ns};
    twi_json json, data = {0};
    twi_json_slice key;
    tw_status status;
    bool has_data = false;
    if (TWI_LIKELY(use_usual(&m, msg, msg_len, &status)))
        return status;
    m = (okx_message){.venue = venue, .sink = sink, .link = link, .recv_ns = recv_ns};
    if (msg_len == 4 && memcmp(msg, "pong", 4) == 0)
        return TW_OK;
    twi_json_init(&json, msg, msg_len);
    twi_json_enter_object(&json);
    while (twi_json_next_member(&json, &key)) {
        if (TWI_JSON_IS(key, "arg"))
            read_argument(&json, &m);
        else if (TWI_JSON_IS(key, "action"))
            twi_json_string(&json, &m.action);
        else if (TWI_JSON_IS(key, "data"))
            has_data = twi_json_defer(&json, &data);
        else if (TWI_JSON_IS(key, "event"))
            twi_json_string(&json, &m.event);
        else if (TWI_JSON_IS(key, "code"))
            twi_json_scalar(&json, &m.code);
        else if (TWI_JSON_IS(key, "msg"))
            twi_json_string(&json, &m.text);
        else
            twi_json_skip(&json);
    }
    if (twi_json_end(&json) != TW_OK)
        return TW_MALFORMED;
    return m.event.len > 0 || !has_data ? on_event(&m) : on_data(&m, &data);
}

static void write_streams(twi_venue *venue, uint32_t link, bool subscribe, tw_channel channel, twi_slot *const *slots,
                          uint32_t count, uint32_t request, twi_text *out)
{
    (void)venue;
    (void)link;
    (void)request;
    twi_text_put(out, subscribe ? "{\"op\":\"subscribe\",\"args\":[" : "{\"op\":\"unsubscribe\",\"args\":[");
    for (uint32_t i = 0; i < count; i++) {
        twi_text_put(out, i == 0 ? "{\"channel\":\"" : ",{\"channel\":\"");
        twi_text_put(out, CHANNEL_NAMES[channel]);
        twi_text_put(out, "\",\"instId\":\"");
        twi_text_bytes(out, slots[i]->id, slots[i]->id_len);
        twi_text_put(out, "\"}");
    }
    twi_text_put(out, "]}");
}

static void write_ping(twi_venue *venue, uint32_t link, int64_t now_ns, twi_text *out)
{
    (void)venue;
    (void)link;
    (void)now_ns;
    twi_text_put(out, "ping");
}

/* ---- markets ---- */

/* BTC/USDT -> BTC-USDT, BTC/USDT:USDT -> BTC-USDT-SWAP, BTC/USD:BTC-220325-40000-C -> BTC-USD-220325-40000-C. */
static bool id_of_symbol(const char *symbol, size_t len, twi_text *id, uint8_t *group)
{
    twi_symbol_parts parts;
    *group = 0;
    if (!twi_symbol_split(symbol, len, &parts))
        return false;
    twi_text_bytes(id, parts.base.text, parts.base.len);
    twi_text_put(id, "-");
    twi_text_bytes(id, parts.quote.text, parts.quote.len);
    if (parts.settle.len == 0)
        return true;
    twi_text_put(id, "-");
    if (parts.expiry.len == 0)
        twi_text_put(id, "SWAP");
    twi_text_bytes(id, parts.expiry.text, parts.expiry.len);
    if (parts.option == 0)
        return true;
    twi_text_put(id, "-");
    twi_text_bytes(id, parts.strike.text, parts.strike.len);
    twi_text_put(id, parts.option == 'C' ? "-C" : "-P");
    return true;
}

/* USD contracts settle in the base, others in the quote. */
static bool symbol_of_id(const char *id, size_t len, uint8_t group, twi_text *symbol)
{
    const char *first = memchr(id, '-', len);
    (void)group;
    if (first == NULL)
        return false;
    size_t base_len = (size_t)(first - id), rest_len = len - base_len - 1;
    const char *second = memchr(first + 1, '-', rest_len);
    size_t quote_len = second != NULL ? (size_t)(second - first - 1) : rest_len;
    twi_text_bytes(symbol, id, base_len);
    twi_text_put(symbol, "/");
    twi_text_bytes(symbol, first + 1, quote_len);
    if (second == NULL)
        return true;
    twi_text_put(symbol, ":");
    bool inverse = quote_len == 3 && memcmp(first + 1, "USD", 3) == 0;
    twi_text_bytes(symbol, inverse ? id : first + 1, inverse ? base_len : quote_len);
    size_t tail_len = rest_len - quote_len; /* with its dash */
    if (tail_len != 5 || memcmp(second, "-SWAP", 5) != 0)
        twi_text_bytes(symbol, second, tail_len);
    return true;
}

typedef struct okx_instrument {
    twi_json_slice id, type, base, quote, settle, underlying, option, contract_type;
    int64_t expiry_ns;
} okx_instrument;

static void name_contract(tw_market *market, const okx_instrument *instrument)
{
    const char *dash = NULL;
    if (instrument->underlying.len > 0)
        dash = memchr(instrument->underlying.text, '-', instrument->underlying.len);
    if (dash != NULL) {
        size_t base_len = (size_t)(dash - instrument->underlying.text);
        twi_market_copy(market->base, sizeof(market->base), instrument->underlying.text, base_len);
        twi_market_copy(market->quote, sizeof(market->quote), dash + 1, instrument->underlying.len - base_len - 1);
    }
    TWI_MARKET_SET(market->settle, instrument->settle);
    market->type = TWI_JSON_IS(instrument->type, "SWAP")      ? TW_MARKET_SWAP
                   : TWI_JSON_IS(instrument->type, "FUTURES") ? TW_MARKET_FUTURE
                                                              : TW_MARKET_OPTION;
    market->expiry_ns = instrument->expiry_ns;
    market->linear = TWI_JSON_IS(instrument->contract_type, "linear");
    market->inverse = TWI_JSON_IS(instrument->contract_type, "inverse");
    market->option_call = TWI_JSON_IS(instrument->option, "C");
}

static void read_market(twi_json *json, tw_market_fn fn, void *owner)
{
    twi_json_slice key, value;
    okx_instrument instrument = {.expiry_ns = 0};
    tw_market market = {.active = 0};
    tw_decimal expiry = {0};
    twi_json_enter_object(json);
    while (twi_json_next_member(json, &key)) {
        if (TWI_JSON_IS(key, "instId"))
            twi_json_string(json, &instrument.id);
        else if (TWI_JSON_IS(key, "instType"))
            twi_json_string(json, &instrument.type);
        else if (TWI_JSON_IS(key, "baseCcy"))
            twi_json_string(json, &instrument.base);
        else if (TWI_JSON_IS(key, "quoteCcy"))
            twi_json_string(json, &instrument.quote);
        else if (TWI_JSON_IS(key, "settleCcy"))
            twi_json_string(json, &instrument.settle);
        else if ((TWI_JSON_IS(key, "uly") || TWI_JSON_IS(key, "instFamily")) && twi_json_string(json, &value))
            instrument.underlying = value.len > 0 ? value : instrument.underlying;
        else if (TWI_JSON_IS(key, "optType"))
            twi_json_string(json, &instrument.option);
        else if (TWI_JSON_IS(key, "ctType"))
            twi_json_string(json, &instrument.contract_type);
        else if (TWI_JSON_IS(key, "expTime"))
            twi_scan_optional(json, &expiry);
        else if (TWI_JSON_IS(key, "stk"))
            twi_scan_optional(json, &market.strike);
        else if (TWI_JSON_IS(key, "ctVal"))
            twi_scan_optional(json, &market.contract_size);
        else if (TWI_JSON_IS(key, "tickSz"))
            twi_scan_optional(json, &market.price_tick);
        else if (TWI_JSON_IS(key, "lotSz"))
            twi_scan_optional(json, &market.amount_step);
        else if (TWI_JSON_IS(key, "minSz"))
            twi_scan_optional(json, &market.amount_min);
        else if (TWI_JSON_IS(key, "state") && twi_json_string(json, &value))
            market.active = TWI_JSON_IS(value, "live");
        else
            twi_json_skip(json);
    }
    if (json->status != TW_OK || instrument.id.len == 0)
        return;
    instrument.expiry_ns = twi_time_from_decimal(expiry, -3);
    TWI_MARKET_SET(market.id, instrument.id);
    if (TWI_JSON_IS(instrument.type, "SPOT")) {
        TWI_MARKET_SET(market.base, instrument.base);
        TWI_MARKET_SET(market.quote, instrument.quote);
    } else {
        name_contract(&market, &instrument);
    }
    twi_market_name_symbol(&market);
    fn(owner, &market);
}

static tw_status markets_parse(const uint8_t *body, size_t body_len, tw_market_fn fn, void *owner)
{
    return twi_market_list(body, body_len, "data", read_market, fn, owner);
}

static tw_status markets_request(const tw_feed_config *config, uint32_t page, tw_request *request)
{
    static const char *const paths[] = {
        "/api/v5/public/instruments?instType=SPOT", "/api/v5/public/instruments?instType=SWAP",
        "/api/v5/public/instruments?instType=FUTURES", "/api/v5/public/instruments?instType=OPTION&instFamily=BTC-USD",
        "/api/v5/public/instruments?instType=OPTION&instFamily=ETH-USD"};
    if (page >= sizeof(paths) / sizeof(*paths))
        return TW_EMPTY;
    return twi_market_request(config, REST_URL, paths[page], 0, request);
}

/* ---- the feed ---- */

static const tw_feed_limits LIMITS = {.streams_per_link = 240, /* 480 (un)subscriptions an hour: room for repairs */
                                      .dial_count = 3,
                                      .dial_window_ns = TWI_NS_PER_S,
                                      .silence_ns_max = 45 * TWI_NS_PER_S,
                                      .message_bytes_max = 1 << 20};

static const twi_venue_traits TRAITS = {.ops = &twi_feed_okx,
                                        .stream_urls = {"wss://ws.okx.com:8443/ws/v5/public"},
                                        .rest_url = REST_URL,
                                        .repair = TWI_REPAIR_RESUBSCRIBE,
                                        .book_levels = 2048,
                                        .acks = true,
                                        .batch_max = 100,
                                        .output_gap_ns = 400 * TWI_NS_PER_MS,
                                        .budget = 240, /* 480 requests an hour and connection */
                                        .budget_refill_ns = 15 * TWI_NS_PER_S,
                                        .ping_gap_ns = 20 * TWI_NS_PER_S,
                                        .request_gap_ns = 200 * TWI_NS_PER_MS,
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

const tw_feed_ops twi_feed_okx = {TWI_VENUE_SHARED_OPS,
                                  .name = "okx",
                                  .has = TW_HAS_WATCH_TRADES | TW_HAS_WATCH_TICKER | TW_HAS_WATCH_ORDER_BOOK |
                                         TW_HAS_UNWATCH | TW_HAS_FETCH_MARKETS | TW_HAS_SAME_ON_LINKS | TWI_HAS_FETCH |
                                         TW_HAS_BOOK_SEQUENCE | TW_HAS_BOOK_CHECKSUM,
                                  .limits = &LIMITS,
                                  .state_size = state_size,
                                  .init = init,
                                  .markets_request = markets_request,
                                  .markets_parse = markets_parse};
