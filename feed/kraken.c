/* kraken.c - Kraken spot WebSocket v2: book, trade, ticker.
 *
 * Rules:    snapshot, then updates with absolute quantities; after each message the book is cut to the subscribed depth
 *           and compared with the venue's CRC-32 over the text of the best ten levels. There are no sequence numbers:
 *           the checksum is what notices a loss.
 * Quirks:   numbers are bare and their trailing zeros matter; one confirmation per symbol; an unsubscribe names the
 *           depth; a trade snapshot is history, oldest first.
 * Source:   docs.kraken.com/api/docs/websocket-v2, guides "Book checksum" and "Reconnection". */
#include "engine/proto/json_take.h"
#include "feed/kraken_common.h"
#include "feed/registry.h"
#include "feed/shapes.h"

enum { DEPTH_DEFAULT = 1000 };

static const char *const CHANNEL_NAMES[TWI_STREAM_COUNT] = {"trade", "ticker", "book"};

typedef struct kraken_message {
    twi_venue *venue;
    tw_sink *sink;
    uint32_t link;
    int64_t recv_ns;
    bool snapshot;
} kraken_message;

/* ---- book ---- */

typedef struct kraken_book {
    twi_json_slice symbol;
    int64_t time_ns;
    uint64_t checksum;
    bool has_checksum;
    twi_sides sides;
} kraken_book;

static void read_book(twi_json *json, kraken_book *book)
{
    twi_json_slice key;
    twi_json_enter_object(json);
    while (twi_json_next_member(json, &key)) {
        if (TWI_JSON_IS(key, "symbol"))
            twi_json_string(json, &book->symbol);
        else if (TWI_JSON_IS(key, "bids"))
            twi_scan_side(json, TWI_BID, &book->sides);
        else if (TWI_JSON_IS(key, "asks"))
            twi_scan_side(json, TWI_ASK, &book->sides);
        else if (TWI_JSON_IS(key, "checksum"))
            book->has_checksum = twi_json_uint64(json, &book->checksum);
        else if (TWI_JSON_IS(key, "timestamp"))
            twi_scan_iso(json, &book->time_ns);
        else
            twi_json_skip(json);
    }
}

/* [{"price":45285.2,"qty":0.00100000}, ...] */
static void apply_levels(twi_update *update, twi_side side, twi_json *json)
{
    twi_json_slice key;
    twi_json_enter_array(json);
    while (twi_json_next_item(json)) {
        tw_decimal price = {0}, quantity = {0};
        bool has_price = false, has_quantity = false;
        twi_json_enter_object(json);
        while (twi_json_next_member(json, &key)) {
            if (TWI_JSON_IS(key, "price"))
                has_price = twi_json_decimal(json, &price);
            else if (TWI_JSON_IS(key, "qty"))
                has_quantity = twi_json_decimal(json, &quantity);
            else
                twi_json_skip(json);
        }
        if (!has_price || !has_quantity)
            twi_json_fail(json, TW_MALFORMED);
        else
            twi_update_level(update, side, price, quantity);
    }
}

static tw_status use_book(const kraken_message *m, kraken_book *book)
{
    twi_slot *slot = twi_venue_slot(m->venue, m->link, book->symbol.text, book->symbol.len);
    if (slot == NULL || (!m->snapshot && !twi_venue_delta_usable(slot)))
        return TW_OK;
    twi_update update;
    twi_update_info info = {.snapshot = m->snapshot, .venue_ns = book->time_ns, .recv_ns = m->recv_ns};
    twi_update_begin(&update, m->venue, slot, m->sink, &info);
    for (twi_side side = TWI_BID; side <= TWI_ASK; side++) {
        if (book->sides.read[side]) {
            twi_update_table(&update, book->sides.rows, book->sides.range[side]);
            continue;
        }
        if (!book->sides.has[side])
            continue;
        apply_levels(&update, side, &book->sides.at[side]);
        if (book->sides.at[side].status != TW_OK)
            return twi_update_abort(&update);
    }
    twi_update_cut(&update);
    if (book->has_checksum)
        twi_update_checksum(&update, (uint32_t)book->checksum, twi_kraken_checksum(&slot->book));
    return twi_update_end(&update);
}

static tw_status on_book(const kraken_message *m, twi_json *json)
{
    kraken_book book = {.time_ns = 0};
    read_book(json, &book);
    return json->status == TW_OK ? use_book(m, &book) : TW_MALFORMED;
}

/* ---- trades and tickers ---- */

static void read_trade(twi_json *json, twi_json_slice *symbol, twi_trade *trade)
{
    twi_json_slice key;
    twi_json_enter_object(json);
    while (twi_json_next_member(json, &key)) {
        if (TWI_JSON_IS(key, "symbol"))
            twi_json_string(json, symbol);
        else if (TWI_JSON_IS(key, "side"))
            twi_scan_is_sell(json, &trade->sell);
        else if (TWI_JSON_IS(key, "price"))
            twi_json_decimal(json, &trade->price);
        else if (TWI_JSON_IS(key, "qty"))
            twi_json_decimal(json, &trade->amount);
        else if (TWI_JSON_IS(key, "trade_id"))
            twi_json_scalar(json, &trade->id);
        else if (TWI_JSON_IS(key, "timestamp"))
            twi_scan_iso(json, &trade->venue_ns);
        else
            twi_json_skip(json);
    }
}

static tw_status use_trade(const kraken_message *m, twi_json_slice symbol, const twi_trade *trade)
{
    twi_slot *slot = twi_venue_slot(m->venue, m->link, symbol.text, symbol.len);
    return slot != NULL ? twi_emit_trade(slot, trade, m->recv_ns, m->sink) : TW_OK;
}

static tw_status on_trade(const kraken_message *m, twi_json *json)
{
    twi_json_slice symbol = {0};
    twi_trade trade = {.history = m->snapshot};
    read_trade(json, &symbol, &trade);
    return json->status == TW_OK ? use_trade(m, symbol, &trade) : TW_OK;
}

static void read_ticker(twi_json *json, twi_json_slice *symbol, twi_quote *quote)
{
    twi_json_slice key;
    twi_json_enter_object(json);
    while (twi_json_next_member(json, &key)) {
        if (TWI_JSON_IS(key, "symbol"))
            twi_json_string(json, symbol);
        else if (TWI_JSON_IS(key, "bid"))
            twi_scan_optional(json, &quote->bid);
        else if (TWI_JSON_IS(key, "bid_qty"))
            twi_scan_optional(json, &quote->bid_amount);
        else if (TWI_JSON_IS(key, "ask"))
            twi_scan_optional(json, &quote->ask);
        else if (TWI_JSON_IS(key, "ask_qty"))
            twi_scan_optional(json, &quote->ask_amount);
        else if (TWI_JSON_IS(key, "timestamp"))
            twi_scan_iso(json, &quote->venue_ns);
        else
            twi_json_skip(json);
    }
}

static tw_status use_ticker(const kraken_message *m, twi_json_slice symbol, const twi_quote *quote)
{
    twi_slot *slot = twi_venue_slot(m->venue, m->link, symbol.text, symbol.len);
    return slot != NULL ? twi_emit_quote(slot, quote, m->recv_ns, m->sink) : TW_OK;
}

static tw_status on_ticker(const kraken_message *m, twi_json *json)
{
    twi_json_slice symbol = {0};
    twi_quote quote = {.venue_ns = 0};
    read_ticker(json, &symbol, &quote);
    return json->status == TW_OK ? use_ticker(m, symbol, &quote) : TW_OK;
}

/* ---- the usual messages, read once, in the order in which Kraken writes them ----
 *
 * One item in `data`, as all but snapshots have. True: *status is what came of it. False: nothing was done; the general
 * way reads it from its start. */

/* ,"timestamp":"...", the end of the item and of the message */
static bool take_end(twi_json *json, int64_t *time_ns)
{
    twi_json_slice text;
    if (!TWI_JSON_TAKE(json, ",\"timestamp\":\"") || !twi_json_take_word(json, &text))
        return false;
    *time_ns = twi_time_from_iso(text.text, text.len);
    return TWI_JSON_TAKE(json, "\"}]}") && json->at == json->end && json->status == TW_OK;
}

static bool take_side(twi_json *json, twi_side side, kraken_book *book)
{
    twi_sides *sides = &book->sides;
    sides->has[side] = sides->read[side] = twi_rows_read_objects(sides->rows, json, side, &sides->range[side]);
    return sides->read[side];
}

static bool use_usual_book(const kraken_message *m, twi_json *json, tw_status *status)
{
    kraken_book book;
    book.has_checksum = true;
    twi_sides_open(&book.sides, m->venue);
    if (!TWI_JSON_TAKE(json, "{\"symbol\":\"") || !twi_json_take_word(json, &book.symbol) ||
        !TWI_JSON_TAKE(json, "\",\"bids\":") || !take_side(json, TWI_BID, &book) ||
        !TWI_JSON_TAKE(json, ",\"asks\":") || !take_side(json, TWI_ASK, &book) ||
        !TWI_JSON_TAKE(json, ",\"checksum\":") || !twi_json_take_uint(json, &book.checksum) ||
        !take_end(json, &book.time_ns))
        return false;
    *status = use_book(m, &book);
    return true;
}

static bool use_usual_trade(const kraken_message *m, twi_json *json, tw_status *status)
{
    twi_json_slice symbol;
    twi_trade trade = {.history = m->snapshot};
    if (!TWI_JSON_TAKE(json, "{\"symbol\":\"") || !twi_json_take_word(json, &symbol))
        return false;
    trade.sell = TWI_JSON_TAKE(json, "\",\"side\":\"sell\"");
    if ((!trade.sell && !TWI_JSON_TAKE(json, "\",\"side\":\"buy\"")) || !TWI_JSON_TAKE(json, ",\"price\":") ||
        !twi_json_decimal(json, &trade.price) || !TWI_JSON_TAKE(json, ",\"qty\":") ||
        !twi_json_decimal(json, &trade.amount) || !TWI_JSON_TAKE(json, ",\"ord_type\":") ||
        !twi_json_take_string(json) || !TWI_JSON_TAKE(json, ",\"trade_id\":") ||
        !twi_json_take_digits(json, &trade.id) || !take_end(json, &trade.venue_ns))
        return false;
    *status = use_trade(m, symbol, &trade);
    return true;
}

static bool take_ticker(twi_json *json, twi_json_slice *symbol, twi_quote *quote)
{
    return TWI_JSON_TAKE(json, "{\"symbol\":\"") && twi_json_take_word(json, symbol) &&
           TWI_JSON_TAKE(json, "\",\"bid\":") && twi_json_decimal(json, &quote->bid) &&
           TWI_JSON_TAKE(json, ",\"bid_qty\":") && twi_json_decimal(json, &quote->bid_amount) &&
           TWI_JSON_TAKE(json, ",\"ask\":") && twi_json_decimal(json, &quote->ask) &&
           TWI_JSON_TAKE(json, ",\"ask_qty\":") && twi_json_decimal(json, &quote->ask_amount) &&
           TWI_JSON_TAKE(json, ",\"last\":") && twi_json_take_number(json) && TWI_JSON_TAKE(json, ",\"volume\":") &&
           twi_json_take_number(json) && TWI_JSON_TAKE(json, ",\"vwap\":") && twi_json_take_number(json) &&
           TWI_JSON_TAKE(json, ",\"low\":") && twi_json_take_number(json) && TWI_JSON_TAKE(json, ",\"high\":") &&
           twi_json_take_number(json) && TWI_JSON_TAKE(json, ",\"change\":") && twi_json_take_number(json) &&
           TWI_JSON_TAKE(json, ",\"change_pct\":") && twi_json_take_number(json);
}

static bool use_usual_ticker(const kraken_message *m, twi_json *json, tw_status *status)
{
    twi_json_slice symbol;
    twi_quote quote;
    if (!take_ticker(json, &symbol, &quote) || !take_end(json, &quote.venue_ns))
        return false;
    *status = use_ticker(m, symbol, &quote);
    return true;
}

static bool use_usual(kraken_message *m, const uint8_t *msg, size_t msg_len, tw_status *status)
{
    twi_json json = {.at = msg, .end = msg + msg_len};
    twi_json_slice channel;
    if (!TWI_JSON_TAKE(&json, "{\"channel\":\"") || !twi_json_take_word(&json, &channel))
        return false;
    m->snapshot = TWI_JSON_TAKE(&json, "\",\"type\":\"snapshot\",\"data\":[");
    if (!m->snapshot && !TWI_JSON_TAKE(&json, "\",\"type\":\"update\",\"data\":["))
        return false;
    if (TWI_JSON_IS(channel, "book"))
        return use_usual_book(m, &json, status);
    if (TWI_JSON_IS(channel, "trade"))
        return use_usual_trade(m, &json, status);
    return TWI_JSON_IS(channel, "ticker") && use_usual_ticker(m, &json, status);
}

/* ---- control ---- */

typedef struct kraken_answer {
    twi_json_slice method, channel, symbol, error;
    uint64_t request;
    bool success;
} kraken_answer;

static void read_result(twi_json *json, kraken_answer *answer)
{
    twi_json_slice key;
    if (twi_json_peek(json) != TWI_JSON_OBJECT) {
        twi_json_skip(json);
        return;
    }
    twi_json_enter_object(json);
    while (twi_json_next_member(json, &key)) {
        if (TWI_JSON_IS(key, "channel"))
            twi_json_string(json, &answer->channel);
        else if (TWI_JSON_IS(key, "symbol"))
            twi_json_string(json, &answer->symbol);
        else
            twi_json_skip(json);
    }
}

static tw_status on_answer(const kraken_message *m, const kraken_answer *answer)
{
    if (answer->error.len > 0)
        twi_venue_error(m->venue, answer->error.text, answer->error.len);
    bool subscription = TWI_JSON_IS(answer->method, "subscribe") || TWI_JSON_IS(answer->method, "unsubscribe");
    if (!subscription)
        return TW_OK;
    twi_slot *slot = twi_venue_find(m->venue, m->venue->links[m->link].group, answer->symbol.text, answer->symbol.len);
    int channel = twi_channel_of(CHANNEL_NAMES, answer->channel);
    if (slot == NULL)
        return TW_OK;
    /* "Already subscribed" is what was wanted. A refusal names its message, not its channel. */
    bool good = answer->success || TWI_JSON_IS(answer->error, "Already subscribed");
    for (int each = 0; each < TWI_STREAM_COUNT; each++) {
        bool meant = channel >= 0 ? each == channel : slot->streams[each].request == answer->request;
        if (meant || (channel < 0 && answer->request == 0))
            twi_venue_ack_stream(m->venue, slot, (tw_channel)each, good, m->recv_ns, m->sink);
    }
    return TW_OK;
}

static tw_status on_data(const kraken_message *m, twi_json_slice channel, twi_json *data)
{
    int which = twi_channel_of(CHANNEL_NAMES, channel);
    if (which < 0) {
        m->venue->stats.ignored++; /* status, heartbeat, ohlc, instrument */
        return TW_OK;
    }
    tw_status status = TW_OK;
    twi_json_enter_array(data);
    while (twi_json_next_item(data)) {
        tw_status its = which == TW_CHANNEL_BOOK    ? on_book(m, data)
                        : which == TW_CHANNEL_TRADE ? on_trade(m, data)
                                                    : on_ticker(m, data);
        status = its != TW_OK ? its : status;
    }
    return data->status == TW_OK ? status : TW_MALFORMED;
}

static tw_status on_message(twi_venue *venue, uint32_t link, int64_t recv_ns, const uint8_t *msg, size_t msg_len,
                            tw_sink *sink)
{
    kraken_message m = {.venue = venue, .sink = sink, .link = link, .recv_ns = recv_ns};
    kraken_answer answer = {.success = false};
    twi_json json, data = {0};
    twi_json_slice key, channel = {0}, type = {0};
    tw_status status;
    bool has_data = false;
    if (TWI_LIKELY(use_usual(&m, msg, msg_len, &status)))
        return status;
    m.snapshot = false;
    twi_json_init(&json, msg, msg_len);
    twi_json_enter_object(&json);
    while (twi_json_next_member(&json, &key)) {
        if (TWI_JSON_IS(key, "channel"))
            twi_json_string(&json, &channel);
        else if (TWI_JSON_IS(key, "type"))
            twi_json_string(&json, &type);
        else if (TWI_JSON_IS(key, "data"))
            has_data = twi_json_defer(&json, &data);
        else if (TWI_JSON_IS(key, "method"))
            twi_json_string(&json, &answer.method);
        else if (TWI_JSON_IS(key, "result"))
            read_result(&json, &answer);
        else if (TWI_JSON_IS(key, "symbol"))
            twi_json_string(&json, &answer.symbol);
        else if (TWI_JSON_IS(key, "req_id") && twi_json_peek(&json) == TWI_JSON_NUMBER)
            twi_json_uint64(&json, &answer.request);
        else if (TWI_JSON_IS(key, "success"))
            twi_json_bool(&json, &answer.success);
        else if (TWI_JSON_IS(key, "error") || TWI_JSON_IS(key, "Error"))
            twi_json_string(&json, &answer.error);
        else
            twi_json_skip(&json);
    }
    if (twi_json_end(&json) != TW_OK)
        return TW_MALFORMED;
    if (!has_data || answer.method.len > 0)
        return on_answer(&m, &answer);
    m.snapshot = TWI_JSON_IS(type, "snapshot");
    return on_data(&m, channel, &data);
}

static void write_streams(twi_venue *venue, uint32_t link, bool subscribe, tw_channel channel, twi_slot *const *slots,
                          uint32_t count, uint32_t request, twi_text *out)
{
    (void)link;
    twi_text_put(out, subscribe ? "{\"method\":\"subscribe\",\"params\":{\"channel\":\""
                                : "{\"method\":\"unsubscribe\",\"params\":{\"channel\":\"");
    twi_text_put(out, CHANNEL_NAMES[channel]);
    twi_text_put(out, "\",\"symbol\":[");
    twi_write_ids(out, slots, count);
    twi_text_put(out, "]");
    if (channel == TW_CHANNEL_BOOK) {
        twi_text_put(out, ",\"depth\":");
        twi_text_number(out, venue->book_depth);
    }
    if (channel == TW_CHANNEL_QUOTE)
        twi_text_put(out, ",\"event_trigger\":\"bbo\"");
    twi_text_put(out, "},\"req_id\":");
    twi_text_number(out, request);
    twi_text_put(out, "}");
}

static void write_ping(twi_venue *venue, uint32_t link, int64_t now_ns, twi_text *out)
{
    (void)link;
    (void)now_ns;
    twi_text_put(out, "{\"method\":\"ping\",\"req_id\":");
    twi_text_number(out, ++venue->request_id);
    twi_text_put(out, "}");
}

static bool id_of_symbol(const char *symbol, size_t len, twi_text *id, uint8_t *group)
{
    *group = 0;
    return twi_joined_of_symbol(symbol, len, "/", NULL, id);
}

/* ---- the feed ---- */

static const tw_feed_limits LIMITS = {.streams_per_link = 600,
                                      .dial_count = 30,
                                      .dial_window_ns = 600 * TWI_NS_PER_S,
                                      .silence_ns_max = 5 * TWI_NS_PER_S, /* heartbeat comes every second */
                                      .message_bytes_max = 1 << 20};

static const twi_venue_traits TRAITS = {.ops = &twi_feed_kraken,
                                        .stream_urls = {"wss://ws.kraken.com/v2"},
                                        .rest_url = TWI_KRAKEN_REST_URL,
                                        .repair = TWI_REPAIR_RESUBSCRIBE,
                                        .book_levels = 2048,
                                        .book_depth = DEPTH_DEFAULT,
                                        .book_cut = true,
                                        .acks = true,
                                        .batch_max = 50,
                                        .output_gap_ns = 200 * TWI_NS_PER_MS,
                                        .ping_gap_ns = 20 * TWI_NS_PER_S,
                                        .request_gap_ns = TWI_NS_PER_S,
                                        .id_of_symbol = id_of_symbol,
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

const tw_feed_ops twi_feed_kraken = {TWI_VENUE_SHARED_OPS,
                                     .name = "kraken",
                                     .has = TW_HAS_WATCH_TRADES | TW_HAS_WATCH_TICKER | TW_HAS_WATCH_ORDER_BOOK |
                                            TW_HAS_UNWATCH | TW_HAS_FETCH_MARKETS | TWI_HAS_FETCH |
                                            TW_HAS_BOOK_CHECKSUM | TW_HAS_TRADE_HISTORY,
                                     .limits = &LIMITS,
                                     .state_size = state_size,
                                     .init = init,
                                     .markets_request = twi_kraken_markets_request,
                                     .markets_parse = twi_kraken_markets_parse_v2};
