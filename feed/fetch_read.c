/* fetch_read.c - answers to exact structures, led by a venue's tables; see fetch.h. */
#include <stdlib.h>

#include "feed/fetch.h"
#include "feed/times.h"

/* ---- single values ---- */

static bool counts_here(const twi_fetch_field *field, const tw_market *market)
{
    bool spot = market->type == TW_MARKET_SPOT;
    switch ((twi_fetch_when)field->when) {
    case TWI_SPOT:
        return spot;
    case TWI_CONTRACT:
        return !spot;
    case TWI_INVERSE:
        return market->inverse;
    case TWI_NOT_INVERSE:
        return !market->inverse;
    case TWI_ALWAYS:
        break;
    }
    return true;
}

/* null and "" mean that there is no value. */
static bool is_nothing(const twi_json *json)
{
    twi_json look = *json;
    twi_json_slice text;
    twi_json_type type = twi_json_peek(&look);
    if (type == TWI_JSON_STRING)
        return twi_json_string(&look, &text) && text.len == 0;
    return type == TWI_JSON_NULL;
}

static bool read_exact(twi_json *json, tw_decimal *value)
{
    return !is_nothing(json) && twi_json_decimal(json, value);
}

/* A sum, which some venues give with more digits than are exact: those are cut. */
static bool read_sum(twi_json *json, tw_decimal *value)
{
    twi_json again = *json;
    twi_json_slice text;
    if (is_nothing(json))
        return false;
    if (twi_json_decimal(json, value))
        return true;
    if (json->status != TW_TOO_BIG)
        return false;
    *json = again;
    if (!twi_json_scalar(json, &text) || memchr(text.text, '.', text.len) == NULL)
        return twi_json_fail(json, TW_TOO_BIG);
    for (size_t len = text.len; len > 1 && text.text[len - 1] != '.'; len--) {
        if (tw_decimal_parse(text.text, len, value) == TW_OK)
            return true;
    }
    return twi_json_fail(json, TW_TOO_BIG);
}

static bool read_time(twi_json *json, twi_fetch_as as, int64_t *ns)
{
    tw_decimal value;
    twi_json_slice text;
    if (is_nothing(json))
        return false;
    if (as == TWI_AS_ISO) {
        if (!twi_json_string(json, &text))
            return false;
        *ns = twi_time_from_iso(text.text, text.len);
        return true;
    }
    if (!twi_json_decimal(json, &value))
        return false;
    *ns = twi_time_from_decimal(value, as == TWI_AS_S ? 0 : as == TWI_AS_MS ? -3 : as == TWI_AS_US ? -6 : -9);
    return true;
}

/* "buy" "Sell" "b" "ask" "offer"; or true, 1 for a sale. */
static bool read_side(twi_json *json, twi_fetch_as as, uint8_t *side)
{
    twi_json_slice text;
    if (is_nothing(json) || !twi_json_scalar(json, &text))
        return false;
    char letter = text.len > 0 ? (char)(text.text[0] | 0x20) : 0;
    bool known = as == TWI_AS_IS_SELL ? strchr("tf10", letter) != NULL : strchr("bsao", letter) != NULL;
    if (!known || letter == 0 || letter == ' ')
        return twi_json_fail(json, TW_MALFORMED);
    bool sell = as == TWI_AS_IS_SELL ? letter == 't' || (text.text[0] == '1') : letter != 'b';
    *side = sell != (as == TWI_AS_MAKER) ? TW_SIDE_SELL : TW_SIDE_BUY;
    return true;
}

static void take_sign(tw_decimal *amount, uint8_t *side)
{
    *side = amount->mantissa < 0 ? TW_SIDE_SELL : TW_SIDE_BUY;
    if (amount->mantissa == INT64_MIN)
        amount->mantissa++;
    if (amount->mantissa < 0)
        amount->mantissa = -amount->mantissa;
}

static tw_error_class class_of(tw_status status)
{
    return status == TW_OK ? TW_ERROR_NONE : TW_ERROR_BAD_RESPONSE;
}

/* ---- rows ---- */

/* Keeps the first or the last rows of any number. */
typedef struct collector {
    void *items;
    size_t size;
    uint32_t max, count; /* count: of all rows */
    bool keep_last;
} collector;

static void *collector_at(collector *rows, uint32_t index)
{
    if (rows->max == 0 || (index >= rows->max && !rows->keep_last))
        return NULL;
    return (uint8_t *)rows->items + (size_t)(index % rows->max) * rows->size;
}

static void swap(uint8_t *a, uint8_t *b, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        uint8_t byte = a[i];
        a[i] = b[i];
        b[i] = byte;
    }
}

static void reverse(void *items, size_t size, uint32_t from, uint32_t to)
{
    uint8_t *bytes = items;
    for (; from + 1 < to; from++, to--)
        swap(bytes + from * size, bytes + (to - 1) * size, size);
}

/* Puts what is kept into the order in which it came; returns how many rows there are. */
static uint32_t collector_settle(collector *rows)
{
    if (rows->count <= rows->max || rows->max == 0)
        return rows->max == 0 ? 0 : rows->count;
    uint32_t first = rows->keep_last ? rows->count % rows->max : 0;
    reverse(rows->items, rows->size, 0, first);
    reverse(rows->items, rows->size, first, rows->max);
    reverse(rows->items, rows->size, 0, rows->max);
    return rows->max;
}

static int64_t time_at(const void *items, size_t size, size_t time_offset, uint32_t index)
{
    int64_t ns;
    memcpy(&ns, (const uint8_t *)items + index * size + time_offset, sizeof(ns));
    return ns;
}

/* Oldest first; then what is before since goes, and of more than the limit the earliest stay with a since, the latest
 * without one. */
static uint32_t order_and_cut(const twi_fetch_call *call, const twi_fetch_query *query, void *items, size_t size,
                              size_t time_offset, uint32_t count)
{
    uint32_t first = 0;
    if (count == 0)
        return 0;
    int64_t head = time_at(items, size, time_offset, 0), tail = time_at(items, size, time_offset, count - 1);
    if (head > tail || (head == tail && (call->flags & TWI_FETCH_NEWEST_FIRST) != 0))
        reverse(items, size, 0, count);
    while (query->since_ns > 0 && first < count && time_at(items, size, time_offset, first) < query->since_ns)
        first++;
    uint32_t left = count - first;
    if (query->limit > 0 && left > query->limit) {
        first += query->since_ns > 0 ? 0 : left - query->limit;
        left = query->limit;
    }
    memmove(items, (uint8_t *)items + first * size, left * size);
    return left;
}

static collector collect_into(const twi_fetch_call *call, const twi_fetch_query *query, void *items, size_t size,
                              uint32_t max)
{
    bool newest_first = (call->flags & TWI_FETCH_NEWEST_FIRST) != 0;
    return (collector){.items = items, .size = size, .max = max, .keep_last = newest_first == (query->since_ns > 0)};
}

/* ---- ticker ---- */

typedef struct ticker_read {
    const twi_fetch_query *query;
    tw_ticker *ticker;
} ticker_read;

static void store_ticker(twi_fetch_walk *walk, const twi_fetch_field *field, twi_json *json)
{
    ticker_read *read = walk->owner;
    tw_ticker *ticker = read->ticker;
    tw_decimal value;
    if (!counts_here(field, read->query->market))
        return;
    if (field->to == TWI_TO_TIME) {
        read_time(json, field->as, &ticker->timestamp_ns);
    } else if (field->to < TW_TICKER_FIELD_COUNT && read_sum(json, &value)) {
        if (field->as == TWI_AS_RATIO && value.exponent <= TW_DECIMAL_EXPONENT_MAX - 2)
            value.exponent = (int8_t)(value.exponent + 2);
        *twi_ticker_member(ticker, field->to) = value;
        ticker->given |= 1u << field->to;
    }
}

tw_error_class twi_fetch_ticker(const twi_fetch *fetch, const twi_fetch_query *query, const uint8_t *body,
                                size_t body_len, tw_ticker *ticker)
{
    *ticker = (tw_ticker){0};
    ticker_read read = {.query = query, .ticker = ticker};
    twi_fetch_walk walk = {.fields = fetch->calls[TWI_FETCH_TICKER].fields, .store = store_ticker, .owner = &read};
    tw_status status = twi_fetch_walk_run(&walk, body, body_len);
    if (status != TW_OK)
        return class_of(status);
    if (ticker->given == 0)
        return TW_ERROR_NULL_RESPONSE;
    memcpy(ticker->symbol, query->market->symbol, sizeof(ticker->symbol));
    twi_fetch_derive_ticker(ticker);
    return TW_ERROR_NONE;
}

/* ---- order book ---- */

typedef struct book_read {
    const twi_fetch_query *query;
    const twi_fetch_call *call;
    tw_order_book *book;
    tw_book_level level;
    uint8_t side;
    bool price, amount;
} book_read;

static void store_book(twi_fetch_walk *walk, const twi_fetch_field *field, twi_json *json)
{
    book_read *read = walk->owner;
    if (!counts_here(field, read->query->market))
        return;
    switch (field->to) {
    case TWI_TO_TIME:
        read_time(json, field->as, &read->book->timestamp_ns);
        break;
    case TWI_TO_NONCE:
        if (!is_nothing(json))
            twi_json_uint64(json, &read->book->nonce);
        break;
    case TWI_TO_PRICE:
        read->price = read_exact(json, &read->level.price);
        break;
    case TWI_TO_AMOUNT:
        read->amount = read_exact(json, &read->level.amount);
        if (field->as == TWI_AS_SIGNED)
            take_sign(&read->level.amount, &read->side);
        break;
    case TWI_TO_SIDE:
        read_side(json, field->as, &read->side);
        break;
    default:
        break;
    }
}

static void begin_level(twi_fetch_walk *walk, unsigned list)
{
    book_read *read = walk->owner;
    read->price = read->amount = false;
    read->side = read->call->ask_rows == NULL ? TW_SIDE_NONE : list == 0 ? TW_SIDE_BUY : TW_SIDE_SELL;
}

static bool end_level(twi_fetch_walk *walk, unsigned list)
{
    book_read *read = walk->owner;
    tw_order_book *book = read->book;
    (void)list;
    if (!read->price || !read->amount || read->side == TW_SIDE_NONE || read->level.amount.mantissa < 0)
        return false;
    if (read->level.amount.mantissa == 0)
        return true;
    bool bid = read->side == TW_SIDE_BUY;
    uint32_t *count = bid ? &book->bid_count : &book->ask_count;
    if (*count < book->level_count_max)
        (bid ? book->bids : book->asks)[(*count)++] = read->level;
    return true;
}

static int rising(const void *a, const void *b)
{
    return tw_decimal_compare(((const tw_book_level *)a)->price, ((const tw_book_level *)b)->price);
}
static int falling(const void *a, const void *b)
{
    return rising(b, a);
}

/* Most venues send sorted sides: one look then. */
static void sort_levels(tw_book_level *levels, uint32_t count, int (*order)(const void *, const void *))
{
    for (uint32_t i = 1; i < count; i++) {
        if (order(&levels[i - 1], &levels[i]) > 0) {
            qsort(levels, count, sizeof(*levels), order);
            return;
        }
    }
}

tw_error_class twi_fetch_order_book(const twi_fetch *fetch, const twi_fetch_query *query, const uint8_t *body,
                                    size_t body_len, tw_order_book *book)
{
    const twi_fetch_call *call = &fetch->calls[TWI_FETCH_ORDER_BOOK];
    book_read read = {.query = query, .call = call, .book = book};
    book->bid_count = book->ask_count = 0;
    book->timestamp_ns = 0;
    book->nonce = 0;
    twi_fetch_walk walk = {.fields = call->fields,
                           .row = call->row,
                           .rows = {call->rows, call->ask_rows},
                           .store = store_book,
                           .row_begin = begin_level,
                           .row_end = end_level,
                           .owner = &read};
    tw_status status = twi_fetch_walk_run(&walk, body, body_len);
    if (status != TW_OK || !walk.seen[0] || (call->ask_rows != NULL && !walk.seen[1]))
        return TW_ERROR_BAD_RESPONSE;
    memcpy(book->symbol, query->market->symbol, sizeof(book->symbol));
    sort_levels(book->bids, book->bid_count, falling);
    sort_levels(book->asks, book->ask_count, rising);
    if (query->limit > 0) {
        book->bid_count = book->bid_count < query->limit ? book->bid_count : query->limit;
        book->ask_count = book->ask_count < query->limit ? book->ask_count : query->limit;
    }
    return TW_ERROR_NONE;
}

/* ---- trades ---- */

typedef struct trade_read {
    const twi_fetch *fetch;
    const twi_fetch_query *query;
    collector rows;
    tw_trade trade;
    bool price, amount;
} trade_read;

static void store_trade(twi_fetch_walk *walk, const twi_fetch_field *field, twi_json *json)
{
    trade_read *read = walk->owner;
    tw_trade *trade = &read->trade;
    twi_json_slice text;
    if (!counts_here(field, read->query->market))
        return;
    switch (field->to) {
    case TWI_TO_TIME:
        read_time(json, field->as, &trade->timestamp_ns);
        break;
    case TWI_TO_ID:
        if (!is_nothing(json) && twi_json_scalar(json, &text) && text.len <= TW_TRADE_ID_MAX && !text.escaped) {
            memcpy(trade->id, text.text, text.len);
            trade->id[text.len] = 0;
        }
        break;
    case TWI_TO_PRICE:
        read->price = read_exact(json, &trade->price);
        break;
    case TWI_TO_AMOUNT:
        read->amount = read_exact(json, &trade->amount);
        if (field->as == TWI_AS_SIGNED)
            take_sign(&trade->amount, &trade->side);
        break;
    case TWI_TO_SIDE:
        read_side(json, field->as, &trade->side);
        break;
    default:
        break;
    }
}

static void begin_trade(twi_fetch_walk *walk, unsigned list)
{
    trade_read *read = walk->owner;
    (void)list;
    read->trade = (tw_trade){0};
    read->price = read->amount = false;
}

static bool end_trade(twi_fetch_walk *walk, unsigned list)
{
    trade_read *read = walk->owner;
    (void)list;
    if (!read->price || !read->amount || read->trade.timestamp_ns == 0)
        return false;
    tw_trade *place = collector_at(&read->rows, read->rows.count++);
    if (place != NULL) {
        *place = read->trade;
        place->cost = twi_fetch_cost(read->fetch, read->query->market, place->price, place->amount);
    }
    return true;
}

tw_error_class twi_fetch_trades(const twi_fetch *fetch, const twi_fetch_query *query, const uint8_t *body,
                                size_t body_len, tw_trade *trades, uint32_t trade_max, uint32_t *trade_count)
{
    const twi_fetch_call *call = &fetch->calls[TWI_FETCH_TRADES];
    trade_read read = {
        .fetch = fetch, .query = query, .rows = collect_into(call, query, trades, sizeof(*trades), trade_max)};
    *trade_count = 0;
    twi_fetch_walk walk = {.fields = call->fields,
                           .row = call->row,
                           .rows = {call->rows, NULL},
                           .store = store_trade,
                           .row_begin = begin_trade,
                           .row_end = end_trade,
                           .owner = &read};
    tw_status status = twi_fetch_walk_run(&walk, body, body_len);
    if (status != TW_OK || !walk.seen[0])
        return TW_ERROR_BAD_RESPONSE;
    *trade_count = order_and_cut(call, query, trades, sizeof(*trades), offsetof(tw_trade, timestamp_ns),
                                 collector_settle(&read.rows));
    return TW_ERROR_NONE;
}

/* ---- candles ---- */

typedef struct candle_read {
    const twi_fetch_query *query;
    collector rows;
    tw_ohlcv candle;
    uint32_t given; /* bits from TWI_TO_OPEN on */
    int64_t shift_ns;
} candle_read;

static void store_figure(candle_read *read, tw_ohlcv *candle, const twi_fetch_field *field, twi_json *json)
{
    tw_decimal volume;
    switch (field->to) {
    case TWI_TO_TIME:
        if (read_time(json, field->as, &candle->timestamp_ns))
            candle->timestamp_ns -= read->shift_ns;
        return;
    case TWI_TO_OPEN:
        read->given |= read_exact(json, &candle->open) ? 1u : 0;
        return;
    case TWI_TO_HIGH:
        read->given |= read_exact(json, &candle->high) ? 2u : 0;
        return;
    case TWI_TO_LOW:
        read->given |= read_exact(json, &candle->low) ? 4u : 0;
        return;
    case TWI_TO_CLOSE:
        read->given |= read_exact(json, &candle->close) ? 8u : 0;
        return;
    case TWI_TO_VOLUME:
        if (read_sum(json, &volume))
            candle->volume = volume;
        return;
    default:
        return;
    }
}

static void store_candle(twi_fetch_walk *walk, const twi_fetch_field *field, twi_json *json)
{
    candle_read *read = walk->owner;
    if (!counts_here(field, read->query->market))
        return;
    if (!walk->columns) {
        store_figure(read, &read->candle, field, json);
        return;
    }
    if (is_nothing(json)) {
        twi_json_fail(json, TW_MALFORMED);
        return;
    }
    tw_ohlcv *place = collector_at(&read->rows, walk->index);
    if (walk->index >= read->rows.count)
        read->rows.count = walk->index + 1;
    if (place != NULL)
        store_figure(read, place, field, json);
}

static void begin_candle(twi_fetch_walk *walk, unsigned list)
{
    candle_read *read = walk->owner;
    (void)list;
    read->candle = (tw_ohlcv){0};
    read->given = 0;
}

static bool end_candle(twi_fetch_walk *walk, unsigned list)
{
    enum { ALL_FOUR = 15 };
    candle_read *read = walk->owner;
    (void)list;
    if (read->candle.timestamp_ns <= 0)
        return false;
    if (read->given != ALL_FOUR)
        return true; /* a time in which nothing was traded */
    tw_ohlcv *place = collector_at(&read->rows, read->rows.count++);
    if (place != NULL)
        *place = read->candle;
    return true;
}

tw_error_class twi_fetch_ohlcv(const twi_fetch *fetch, const twi_fetch_query *query, const uint8_t *body,
                               size_t body_len, tw_ohlcv *candles, uint32_t candle_max, uint32_t *candle_count)
{
    const twi_fetch_call *call = &fetch->calls[TWI_FETCH_OHLCV];
    const twi_fetch_timeframe *timeframe = twi_fetch_timeframe_find(fetch, query->timeframe);
    bool columns = (call->flags & TWI_FETCH_COLUMNS) != 0;
    candle_read read = {.query = query, .rows = collect_into(call, query, candles, sizeof(*candles), candle_max)};
    *candle_count = 0;
    if ((call->flags & TWI_FETCH_CLOSE_TIMES) != 0 && timeframe != NULL)
        read.shift_ns = timeframe->seconds * TWI_NS_PER_S;
    if (columns)
        memset(candles, 0, candle_max * sizeof(*candles));
    twi_fetch_walk walk = {.fields = call->fields,
                           .row = call->row,
                           .rows = {call->rows, NULL},
                           .columns = columns,
                           .store = store_candle,
                           .row_begin = begin_candle,
                           .row_end = end_candle,
                           .owner = &read};
    tw_status status = twi_fetch_walk_run(&walk, body, body_len);
    if (status != TW_OK || (!columns && !walk.seen[0]))
        return TW_ERROR_BAD_RESPONSE;
    uint32_t count = collector_settle(&read.rows);
    for (uint32_t i = 0; i < count; i++) {
        bool whole = candles[i].open.mantissa != 0 && candles[i].high.mantissa != 0 && candles[i].low.mantissa != 0 &&
                     candles[i].close.mantissa != 0;
        if (candles[i].timestamp_ns <= 0 || (columns && !whole))
            return TW_ERROR_BAD_RESPONSE;
    }
    *candle_count = order_and_cut(call, query, candles, sizeof(*candles), offsetof(tw_ohlcv, timestamp_ns), count);
    return TW_ERROR_NONE;
}
