/* render.c - see render.h. */
#include "engine/http/render.h"

#include <stdio.h>
#include <string.h>

#include "engine/base/assert.h"
#include "engine/base/digits.h"
#include "engine/base/trade_id.h"
#include "engine/fanout/selection.h"
#include "tickwire/decimal.h"

enum {
    NAME_MAX = 2 * (TW_SYMBOL_MAX + TW_EXCHANGE_MAX) + 16, /* every byte escaped */
    NUMBER_MAX = TW_DECIMAL_TEXT_MAX,
    TIME_MAX = 64,
    TICKER_MAX = 1024 + NAME_MAX + 16 * NUMBER_MAX + TIME_MAX,
    BOOK_MAX = 512 + NAME_MAX + TIME_MAX,
    LEVEL_MAX = 2 * NUMBER_MAX + 8,
    TRADE_MAX = 256 + NAME_MAX + TIME_MAX + 3 * NUMBER_MAX + 2 * (int)TWI_TRADE_ID_BYTES_MAX,
    CANDLE_MAX = 6 * NUMBER_MAX + 16,
    SLACK = 64
};
#define NS_PER_MS  INT64_C(1000000)
#define MS_PER_DAY INT64_C(86400000)

/* text must be a string literal. */
#define PUT(out, text) (memcpy((out), "" text, sizeof(text) - 1), (out) + (sizeof(text) - 1))

static char *put_text(char *out, const char *text)
{
    size_t len = strlen(text);
    memcpy(out, text, len);
    return out + len;
}

/* A name of the table or an id: checked UTF-8 without control characters. */
static char *put_escaped(char *out, const char *text, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if (text[i] == '"' || text[i] == '\\')
            *out++ = '\\';
        *out++ = text[i];
    }
    return out;
}

static char *put_symbol(char *out, const tw_instrument *instrument)
{
    out = PUT(out, "\"symbol\":\"");
    out = put_escaped(out, instrument->symbol, instrument->symbol_len);
    *out++ = '"';
    return out;
}

static char *put_names(char *out, const tw_instrument *instrument)
{
    out = put_symbol(out, instrument);
    out = PUT(out, ",\"exchange\":\"");
    out = put_escaped(out, instrument->exchange, instrument->exchange_len);
    *out++ = '"';
    return out;
}

static char *put_padded(char *out, uint32_t value, uint32_t digits)
{
    for (uint32_t i = digits; i-- > 0; value /= 10)
        out[i] = (char)('0' + value % 10);
    return out + digits;
}

/* Days since 1970 to a date of the Gregorian calendar: years begin in March here, so that the leap day comes last. */
static char *put_date(char *out, int64_t days)
{
    int64_t shifted = days + 719468;
    int64_t era = shifted / 146097;
    int64_t day_of_era = shifted - era * 146097;
    int64_t year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    int64_t day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    int64_t month = (5 * day_of_year + 2) / 153;
    int64_t day = day_of_year - (153 * month + 2) / 5 + 1;
    int64_t year = year_of_era + era * 400 + (month >= 10);
    out = put_padded(out, (uint32_t)year, 4);
    *out++ = '-';
    out = put_padded(out, (uint32_t)(month < 10 ? month + 3 : month - 9), 2);
    *out++ = '-';
    return put_padded(out, (uint32_t)day, 2);
}

/* ,"timestamp":1700000000123,"datetime":"2023-11-14T22:13:20.123Z" */
static char *put_time(char *out, int64_t time_ns)
{
    if (time_ns <= 0)
        return PUT(out, ",\"timestamp\":null,\"datetime\":null");
    int64_t ms = time_ns / NS_PER_MS, of_day = ms % MS_PER_DAY;
    out = PUT(out, ",\"timestamp\":");
    out = twi_digits_put(out, (uint64_t)ms);
    out = PUT(out, ",\"datetime\":\"");
    out = put_date(out, ms / MS_PER_DAY);
    *out++ = 'T';
    out = put_padded(out, (uint32_t)(of_day / 3600000), 2);
    *out++ = ':';
    out = put_padded(out, (uint32_t)(of_day / 60000 % 60), 2);
    *out++ = ':';
    out = put_padded(out, (uint32_t)(of_day / 1000 % 60), 2);
    *out++ = '.';
    out = put_padded(out, (uint32_t)(of_day % 1000), 3);
    return PUT(out, "Z\"");
}

static int64_t event_time(const tw_event *event)
{
    return event->venue_ns > 0 ? event->venue_ns : event->recv_ns;
}

static char *put_member(char *out, const char *name, int is_known, int64_t mantissa, int8_t exponent)
{
    *out++ = ',';
    *out++ = '"';
    out = put_text(out, name);
    out = PUT(out, "\":");
    return is_known ? twi_decimal_put(out, mantissa, exponent) : PUT(out, "null");
}

/* ---- ticker ---- */

/* a - b; 0: it needs more digits than there are. */
static int subtract(tw_decimal a, tw_decimal b, tw_decimal *out)
{
    int64_t x, y;
    out->exponent = a.exponent < b.exponent ? a.exponent : b.exponent;
    return tw_decimal_rescale(a, out->exponent, &x) == TW_OK && tw_decimal_rescale(b, out->exponent, &y) == TW_OK &&
           !__builtin_sub_overflow(x, y, &out->mantissa);
}

static char *put_ticker(char *out, const tw_instrument *instrument, const twi_query *query)
{
    const tw_event *quote = &query->quote, *trade = &query->trade;
    const twi_candle *window = &query->window;
    int has_quote = quote->kind == TW_EVENT_QUOTE, has_trade = trade->kind == TW_EVENT_TRADE;
    int has_bid = has_quote && (quote->u.quote.bid | quote->u.quote.bid_amount) != 0;
    int has_ask = has_quote && (quote->u.quote.ask | quote->u.quote.ask_amount) != 0;
    int64_t quote_ns = has_quote ? event_time(quote) : 0, trade_ns = has_trade ? event_time(trade) : 0;
    tw_decimal change = {0, 0};
    int has_change = query->has_window && subtract((tw_decimal){window->close, window->price_exponent},
                                                   (tw_decimal){window->open, window->price_exponent}, &change);
    *out++ = '{';
    out = put_names(out, instrument);
    out = put_time(out, quote_ns > trade_ns ? quote_ns : trade_ns);
    out = put_member(out, "high", query->has_window, window->high, window->price_exponent);
    out = put_member(out, "low", query->has_window, window->low, window->price_exponent);
    out = put_member(out, "bid", has_bid, quote->u.quote.bid, quote->price_exponent);
    out = put_member(out, "bidVolume", has_bid, quote->u.quote.bid_amount, quote->amount_exponent);
    out = put_member(out, "ask", has_ask, quote->u.quote.ask, quote->price_exponent);
    out = put_member(out, "askVolume", has_ask, quote->u.quote.ask_amount, quote->amount_exponent);
    out = PUT(out, ",\"vwap\":null");
    out = put_member(out, "open", query->has_window, window->open, window->price_exponent);
    out = put_member(out, "close", has_trade, trade->u.trade.price, trade->price_exponent);
    out = put_member(out, "last", has_trade, trade->u.trade.price, trade->price_exponent);
    out = PUT(out, ",\"previousClose\":null");
    out = put_member(out, "change", has_change, change.mantissa, change.exponent);
    out = PUT(out, ",\"percentage\":null,\"average\":null");
    out = put_member(out, "baseVolume", query->has_window, window->volume, window->amount_exponent);
    out = PUT(out, ",\"quoteVolume\":null,\"info\":{\"since\":");
    out = query->has_window ? twi_digits_put(out, (uint64_t)(window->open_ns / NS_PER_MS)) : PUT(out, "null");
    out = PUT(out, ",\"trades\":");
    out = twi_digits_put(out, query->has_window ? window->trade_count : 0);
    return PUT(out, "}}\n");
}

/* ---- book, trades, candles ---- */

static char *put_side(char *out, const tw_event *levels, uint32_t count, uint8_t side)
{
    const char *start = out;
    for (uint32_t i = 0; i < count; i++) {
        const tw_event *level = &levels[i];
        if ((level->flags & TW_FLAG_ASK) != side)
            continue;
        *out++ = '[';
        out = twi_decimal_put(out, level->u.level.price, level->price_exponent);
        *out++ = ',';
        out = twi_decimal_put(out, level->u.level.amount, level->amount_exponent);
        out = PUT(out, "],");
    }
    return out > start ? out - 1 : out;
}

static char *put_book(char *out, const tw_instrument *instrument, const twi_query *query)
{
    *out++ = '{';
    out = put_names(out, instrument);
    out = PUT(out, ",\"bids\":[");
    out = put_side(out, query->space, query->count, 0);
    out = PUT(out, "],\"asks\":[");
    out = put_side(out, query->space, query->count, TW_FLAG_ASK);
    *out++ = ']';
    out = put_time(out, query->venue_ns > 0 ? query->venue_ns : query->recv_ns);
    out = PUT(out, ",\"nonce\":");
    out = query->venue_seq != 0 ? twi_digits_put(out, query->venue_seq) : PUT(out, "null");
    out = PUT(out, ",\"seq\":");
    out = twi_digits_put(out, query->seq);
    return PUT(out, ",\"state\":\"ok\"}\n");
}

/* price * amount, if 64 bits hold it. Of a contract the amount is in contracts, and their size is not known here. */
static char *put_cost(char *out, const tw_instrument *instrument, const tw_event *trade)
{
    int64_t mantissa = 0;
    int exponent = trade->price_exponent + trade->amount_exponent;
    int is_known = memchr(instrument->symbol, ':', instrument->symbol_len) == NULL &&
                   exponent >= TW_DECIMAL_EXPONENT_MIN && exponent <= TW_DECIMAL_EXPONENT_MAX &&
                   !__builtin_mul_overflow(trade->u.trade.price, trade->u.trade.amount, &mantissa);
    return put_member(out, "cost", is_known, mantissa, (int8_t)exponent);
}

static char *put_trade(char *out, const tw_instrument *instrument, const tw_event *trade)
{
    char id[TWI_TRADE_ID_BYTES_MAX];
    tw_id_kind kind = (tw_id_kind)((trade->flags & TW_ID_KIND_MASK) >> TW_ID_KIND_SHIFT);
    size_t id_len = twi_trade_id_format(kind, trade->u.trade.id, id);
    out = PUT(out, "{\"id\":");
    if (id_len > 0) {
        *out++ = '"';
        out = put_escaped(out, id, id_len);
        *out++ = '"';
    } else {
        out = PUT(out, "null");
    }
    out = put_time(out, event_time(trade));
    *out++ = ',';
    out = put_symbol(out, instrument);
    out = trade->flags & TW_FLAG_SELL ? PUT(out, ",\"side\":\"sell\"") : PUT(out, ",\"side\":\"buy\"");
    out = put_member(out, "price", 1, trade->u.trade.price, trade->price_exponent);
    out = put_member(out, "amount", 1, trade->u.trade.amount, trade->amount_exponent);
    out = put_cost(out, instrument, trade);
    return PUT(out, "},");
}

static char *put_trades(char *out, const tw_instrument *instrument, const twi_query *query)
{
    const tw_event *trades = query->space;
    *out++ = '[';
    for (uint32_t i = 0; i < query->count; i++)
        out = put_trade(out, instrument, &trades[i]);
    out -= query->count > 0;
    return PUT(out, "]\n");
}

static char *put_ohlcv(char *out, const twi_query *query)
{
    const twi_candle *candles = query->space;
    *out++ = '[';
    for (uint32_t i = 0; i < query->count; i++) {
        const twi_candle *candle = &candles[i];
        const int64_t prices[] = {candle->open, candle->high, candle->low, candle->close};
        *out++ = '[';
        out = twi_digits_put(out, (uint64_t)(candle->open_ns / NS_PER_MS));
        for (int k = 0; k < 4; k++) {
            *out++ = ',';
            out = twi_decimal_put(out, prices[k], candle->price_exponent);
        }
        *out++ = ',';
        out = twi_decimal_put(out, candle->volume, candle->amount_exponent);
        out = PUT(out, "],");
    }
    out -= query->count > 0;
    return PUT(out, "]\n");
}

/* ---- the whole ---- */

static uint16_t refuse_book(const tw_instrument *instrument, const twi_query *query, twi_buffer *out)
{
    char message[256];
    int has_status = query->status.kind == TW_EVENT_STATUS;
    snprintf(message, sizeof message, "the book of %s:%s is %s%s%s", instrument->exchange, instrument->symbol,
             query->book_begun ? tw_book_state_name(query->book_state) : "not there yet: no snapshot has come",
             has_status ? ": " : "", has_status ? tw_reason_name(query->status.u.status.reason) : "");
    twi_render_error(out, TWI_ERROR_NOT_AVAILABLE, "ExchangeNotAvailable", message, 1);
    return 503;
}

size_t twi_render_bytes_max(uint32_t depth_max, uint32_t row_count_max)
{
    size_t book = BOOK_MAX + 2 * (size_t)depth_max * LEVEL_MAX, rows = (size_t)row_count_max * TRADE_MAX;
    return (book > rows ? book : rows) + SLACK;
}

uint16_t twi_render_answer(const tw_symbols *symbols, const twi_query *query, twi_buffer *out)
{
    static const uint32_t row_max[] = {0, 0, LEVEL_MAX, TRADE_MAX, CANDLE_MAX};
    static const uint32_t fixed_max[] = {0, TICKER_MAX, BOOK_MAX, 8, 8};
    const tw_instrument *instrument = tw_symbols_get(symbols, query->key.instrument);
    TWI_ASSERT(instrument != NULL && query->key.kind >= TWI_QUERY_TICKER && query->key.kind <= TWI_QUERY_OHLCV);
    if (query->key.kind == TWI_QUERY_BOOK && (!query->book_begun || query->book_state != TW_STATE_OK))
        return refuse_book(instrument, query, out);
    size_t bound = fixed_max[query->key.kind] + (size_t)row_max[query->key.kind] * query->count + SLACK;
    char *start = (char *)twi_buffer_room(out, bound), *end;
    if (start == NULL)
        return 503;
    if (query->key.kind == TWI_QUERY_TICKER)
        end = put_ticker(start, instrument, query);
    else if (query->key.kind == TWI_QUERY_BOOK)
        end = put_book(start, instrument, query);
    else if (query->key.kind == TWI_QUERY_TRADES)
        end = put_trades(start, instrument, query);
    else
        end = put_ohlcv(start, query);
    TWI_ASSERT((size_t)(end - start) + TWI_DIGITS_SLACK <= bound);
    out->len += (uint32_t)(end - start);
    return 200;
}

void twi_render_error(twi_buffer *out, int code, const char *name, const char *message, int temporary)
{
    twi_buffer_format(out, "{\"code\":%d,\"name\":\"%s\",\"message\":", code, name);
    twi_buffer_json_string(out, message, strlen(message));
    twi_buffer_text(out, temporary ? ",\"temporary\":true}\n" : ",\"temporary\":false}\n");
}

/* ---- markets ---- */

static char *put_part(char *out, const char *name, twi_slice part)
{
    *out++ = ',';
    *out++ = '"';
    out = put_text(out, name);
    out = PUT(out, "\":");
    if (part.len == 0)
        return PUT(out, "null");
    *out++ = '"';
    out = put_escaped(out, part.data, part.len);
    *out++ = '"';
    return out;
}

/* BASE/QUOTE[:SETTLE[-EXPIRY[-STRIKE-TYPE]]], as ccxt writes symbols. */
static char *put_market(char *out, const tw_instrument *instrument)
{
    static const char *const types[] = {"spot", "swap", "future", "option"};
    twi_slice base, quote, settle, rest = twi_slice_make(instrument->symbol, instrument->symbol_len), part;
    twi_slice contract = rest;
    twi_slice_split(&contract, ':', &rest);
    twi_slice_split(&rest, '/', &base);
    quote = rest;
    int dashes = 0, type = 0;
    for (size_t i = 0; i < contract.len; i++)
        dashes += contract.data[i] == '-';
    part = contract;
    settle = twi_slice_make(NULL, 0);
    if (contract.len > 0) {
        twi_slice_split(&part, '-', &settle);
        type = dashes == 0 ? 1 : dashes == 1 ? 2 : 3;
    }
    out = PUT(out, "{\"id\":\"");
    out = put_escaped(out, instrument->venue_id, instrument->venue_id_len);
    out = PUT(out, "\",");
    out = put_names(out, instrument);
    out = put_part(out, "base", base);
    out = put_part(out, "quote", quote);
    out = put_part(out, "settle", settle);
    out = PUT(out, ",\"type\":\"");
    out = put_text(out, types[type]);
    *out++ = '"';
    for (int i = 0; i < 4; i++) {
        out = PUT(out, ",\"");
        out = put_text(out, types[i]);
        out = i == type ? PUT(out, "\":true") : PUT(out, "\":false");
    }
    return type != 0 ? PUT(out, ",\"contract\":true},") : PUT(out, ",\"contract\":false},");
}

void twi_render_symbols(const tw_symbols *symbols, twi_slice exchange, twi_buffer *out)
{
    enum { MARKET_MAX = 512 + 4 * NAME_MAX };
    uint32_t count = tw_symbols_count(symbols), shown = 0;
    twi_buffer_text(out, "[");
    for (uint32_t i = 0; i < count; i++) {
        const tw_instrument *instrument = tw_symbols_get(symbols, i);
        if (exchange.data != NULL && !twi_slice_equals(exchange, instrument->exchange))
            continue;
        char *start = (char *)twi_buffer_room(out, MARKET_MAX);
        if (start == NULL)
            return;
        out->len += (uint32_t)(put_market(start, instrument) - start);
        shown++;
    }
    out->len -= shown > 0 && !out->failed;
    twi_buffer_text(out, "]\n");
}
