/* vector_file.c - see vector_file.h. */
#include "tests/vectors/vector_file.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/interval.h"
#include "engine/base/trade_id.h"
#include "tickwire/decimal.h"

enum { LINE_MAX_BYTES = 2 * TWT_VECTOR_BYTES_MAX + 64, PRICES_MAX = 4 };

static _Noreturn void fail(const twt_vector_file *vectors, const char *what, const char *value)
{
    fprintf(stderr, "codecs.txt:%d: %s: %s\n", vectors->line_number, what, value);
    exit(1);
}

/* ---- values ---- */

static uint64_t read_u64(const twt_vector_file *vectors, const char *value)
{
    char *end;
    uint64_t number = strtoull(value, &end, 10);
    if (*value == '\0' || *end != '\0') {
        fail(vectors, "not a number", value);
    }
    return number;
}

static int64_t read_i64(const twt_vector_file *vectors, const char *value)
{
    char *end;
    int64_t number = strtoll(value, &end, 10);
    if (*value == '\0' || *end != '\0') {
        fail(vectors, "not a number", value);
    }
    return number;
}

static tw_decimal read_decimal(const twt_vector_file *vectors, const char *value, size_t len)
{
    tw_decimal decimal;
    if (tw_decimal_parse(value, len, &decimal) != TW_OK) {
        fail(vectors, "not a decimal", value);
    }
    return decimal;
}

/* The number whose name function gives this name. */
static uint16_t read_name(const twt_vector_file *vectors, const char *(*name_of)(uint16_t), const char *value)
{
    for (uint16_t index = 0; strcmp(name_of(index), "unknown") != 0; index++) {
        if (strcmp(name_of(index), value) == 0) {
            return index;
        }
    }
    fail(vectors, "unknown name", value);
}

static void copy_text(const twt_vector_file *vectors, const char *value, char *out, size_t out_cap)
{
    size_t len = strlen(value);
    if (len >= out_cap) {
        fail(vectors, "too long", value);
    }
    memcpy(out, value, len + 1);
}

static size_t read_hex(const twt_vector_file *vectors, const char *value, uint8_t *out)
{
    size_t len = strlen(value) / 2;
    if (len > TWT_VECTOR_BYTES_MAX) {
        fail(vectors, "too long", value);
    }
    for (size_t i = 0; i < len; i++) {
        char byte[3] = {value[2 * i], value[2 * i + 1], '\0'};
        char *end;
        out[i] = (uint8_t)strtoul(byte, &end, 16);
        if (*end != '\0') {
            fail(vectors, "not hex", value);
        }
    }
    return len;
}

/* ---- lines ---- */

/* What is only known to belong together at the end of a vector. */
typedef struct gathered {
    tw_decimal price, amount, bid, bid_amount, ask, ask_amount, candle[PRICES_MAX], volume;
    bool snapshot;
} gathered;

static void add_kind(const twt_vector_file *vectors, twt_vector *vector, const char *value)
{
    static const struct {
        const char *name;
        tw_event_kind kind;
        uint32_t count;
    } kinds[] = {{"trade", TW_EVENT_TRADE, 1},   {"quote", TW_EVENT_QUOTE, 1},   {"book", TW_EVENT_BOOK_CLEAR, 0},
                 {"candle", TW_EVENT_CANDLE, 2}, {"status", TW_EVENT_STATUS, 1}, {"loss", TW_EVENT_LOSS, 1}};
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        if (strcmp(kinds[i].name, value) == 0) {
            vector->events[0].kind = (uint8_t)kinds[i].kind;
            vector->record.event_count = kinds[i].count;
            return;
        }
    }
    fail(vectors, "unknown kind", value);
}

/* `PRICE AMOUNT`: a level of a book, or a side of a quote. */
static void add_side(const twt_vector_file *vectors, twt_vector *vector, gathered *parts, const char *value,
                     bool is_ask)
{
    const char *space = strchr(value, ' ');
    if (space == NULL) {
        fail(vectors, "PRICE AMOUNT expected", value);
    }
    tw_decimal price = read_decimal(vectors, value, (size_t)(space - value));
    tw_decimal amount = read_decimal(vectors, space + 1, strlen(space + 1));
    if (vector->events[0].kind == TW_EVENT_QUOTE) {
        *(is_ask ? &parts->ask : &parts->bid) = price;
        *(is_ask ? &parts->ask_amount : &parts->bid_amount) = amount;
        return;
    }
    if (vector->record.event_count == TWT_VECTOR_LEVELS_MAX) {
        fail(vectors, "too many levels", value);
    }
    vector->events[0].kind = TW_EVENT_LEVEL;
    vector->events[vector->record.event_count++] = (tw_event){.kind = TW_EVENT_LEVEL,
                                                              .flags = is_ask ? TW_FLAG_ASK : 0,
                                                              .price_exponent = price.exponent,
                                                              .amount_exponent = amount.exponent,
                                                              .venue_ns = vector->events[0].venue_ns,
                                                              .recv_ns = vector->events[0].recv_ns,
                                                              .u.level = {price.mantissa, amount.mantissa, 0, 0}};
}

static void add_id(const twt_vector_file *vectors, twt_vector *vector, const char *value)
{
    tw_id_kind kind;
    if (twi_trade_id_parse(value, strlen(value), &kind, &vector->events[0].u.trade.id) != TW_OK) {
        fail(vectors, "not a trade id", value);
    }
    vector->events[0].flags |= (uint8_t)(kind << TW_ID_KIND_SHIFT);
}

static void add_interval(const twt_vector_file *vectors, twt_vector *vector, const char *value)
{
    int64_t interval_ns;
    if (twi_interval_parse(value, strlen(value), &interval_ns) != TW_OK) {
        fail(vectors, "not an interval", value);
    }
    if (vector->events[0].kind == TW_EVENT_LOSS) {
        vector->events[0].u.loss.interval_s = (uint32_t)(interval_ns / 1000000000);
    } else {
        vector->events[1].u.candle_tail.interval_ns = interval_ns;
    }
}

static bool add_head(const twt_vector_file *vectors, twt_vector *vector, const char *key, const char *value)
{
    tw_event *event = vector->events;
    if (strcmp(key, "kind") == 0) {
        add_kind(vectors, vector, value);
    } else if (strcmp(key, "exchange") == 0) {
        copy_text(vectors, value, vector->exchange, sizeof(vector->exchange));
    } else if (strcmp(key, "symbol") == 0) {
        copy_text(vectors, value, vector->symbol, sizeof(vector->symbol));
    } else if (strcmp(key, "seq") == 0) {
        vector->record.seq = read_u64(vectors, value);
    } else if (strcmp(key, "prev_seq") == 0) {
        vector->record.prev_seq = read_u64(vectors, value);
    } else if (strcmp(key, "folded") == 0) {
        vector->record.folded = (uint32_t)read_u64(vectors, value);
    } else if (strcmp(key, "venue_ns") == 0) {
        event->venue_ns = read_i64(vectors, value);
    } else if (strcmp(key, "recv_ns") == 0) {
        event->recv_ns = read_i64(vectors, value);
    } else if (strcmp(key, "publish_ns") == 0) {
        vector->record.publish_ns = read_i64(vectors, value);
    } else if (strcmp(key, "json") == 0) {
        copy_text(vectors, value, vector->json, sizeof(vector->json));
    } else if (strcmp(key, "flatbuffers") == 0) {
        vector->flatbuffers_len = read_hex(vectors, value, vector->flatbuffers);
    } else {
        return false;
    }
    return true;
}

static bool add_decimal(const twt_vector_file *vectors, gathered *parts, const char *key, const char *value)
{
    const struct {
        const char *name;
        tw_decimal *place;
    } places[] = {{"price", &parts->price},    {"amount", &parts->amount}, {"open", &parts->candle[0]},
                  {"high", &parts->candle[1]}, {"low", &parts->candle[2]}, {"close", &parts->candle[3]},
                  {"volume", &parts->volume}};
    for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
        if (strcmp(places[i].name, key) == 0) {
            *places[i].place = read_decimal(vectors, value, strlen(value));
            return true;
        }
    }
    return false;
}

static void add_body(const twt_vector_file *vectors, twt_vector *vector, gathered *parts, const char *key,
                     const char *value)
{
    tw_event *event = vector->events;
    bool is_loss = event->kind == TW_EVENT_LOSS;
    if (strcmp(key, "bid") == 0 || strcmp(key, "ask") == 0) {
        add_side(vectors, vector, parts, value, key[0] == 'a');
    } else if (strcmp(key, "id") == 0) {
        add_id(vectors, vector, value);
    } else if (strcmp(key, "side") == 0) {
        event->flags |= strcmp(value, "sell") == 0 ? TW_FLAG_SELL : 0;
    } else if (strcmp(key, "history") == 0) {
        event->flags |= TW_FLAG_HISTORY;
    } else if (strcmp(key, "snapshot") == 0) {
        parts->snapshot = true;
    } else if (strcmp(key, "closed") == 0) {
        event->flags |= TW_FLAG_CLOSED;
    } else if (strcmp(key, "interval") == 0) {
        add_interval(vectors, vector, value);
    } else if (strcmp(key, "state") == 0) {
        event->u.status.state = read_name(vectors, tw_book_state_name, value);
    } else if (strcmp(key, "reason") == 0) {
        *(is_loss ? &event->u.loss.reason : &event->u.status.reason) = read_name(vectors, tw_reason_name, value);
    } else if (strcmp(key, "channel") == 0) {
        event->u.loss.channel = read_name(vectors, tw_channel_name, value);
    } else if (strcmp(key, "from") == 0) {
        *(is_loss ? &event->u.loss.from : &event->u.status.from) = read_u64(vectors, value);
    } else if (strcmp(key, "to") == 0) {
        *(is_loss ? &event->u.loss.to : &event->u.status.to) = read_u64(vectors, value);
    } else if (strcmp(key, "count") == 0) {
        event->u.loss.count = read_u64(vectors, value);
    } else {
        fail(vectors, "unknown key", key);
    }
}

/* ---- finishing ---- */

/* Brings decimals to the finest exponent among them. */
static int8_t align(const twt_vector_file *vectors, tw_decimal *const *values, size_t count)
{
    int8_t exponent = TW_DECIMAL_EXPONENT_MAX;
    for (size_t i = 0; i < count; i++) {
        exponent = values[i]->exponent < exponent ? values[i]->exponent : exponent;
    }
    for (size_t i = 0; i < count; i++) {
        if (tw_decimal_rescale(*values[i], exponent, &values[i]->mantissa) != TW_OK) {
            fail(vectors, "decimals do not fit together", "");
        }
    }
    return exponent;
}

static void finish_prices(const twt_vector_file *vectors, twt_vector *vector, gathered *parts)
{
    tw_event *event = vector->events;
    if (event->kind == TW_EVENT_TRADE) {
        event->price_exponent = parts->price.exponent;
        event->amount_exponent = parts->amount.exponent;
        event->u.trade.price = parts->price.mantissa;
        event->u.trade.amount = parts->amount.mantissa;
    } else if (event->kind == TW_EVENT_QUOTE) {
        event->price_exponent = align(vectors, (tw_decimal *const[]){&parts->bid, &parts->ask}, 2);
        event->amount_exponent = align(vectors, (tw_decimal *const[]){&parts->bid_amount, &parts->ask_amount}, 2);
        event->u.quote.bid = parts->bid.mantissa;
        event->u.quote.bid_amount = parts->bid_amount.mantissa;
        event->u.quote.ask = parts->ask.mantissa;
        event->u.quote.ask_amount = parts->ask_amount.mantissa;
    } else if (event->kind == TW_EVENT_CANDLE) {
        tw_decimal *c = parts->candle;
        int64_t interval_ns = vector->events[1].u.candle_tail.interval_ns;
        event->price_exponent = align(vectors, (tw_decimal *const[]){&c[0], &c[1], &c[2], &c[3]}, PRICES_MAX);
        event->amount_exponent = parts->volume.exponent;
        vector->events[1] = *event;
        vector->events[1].kind = TW_EVENT_CANDLE_TAIL;
        vector->events[1].u.candle_tail.volume = parts->volume.mantissa;
        vector->events[1].u.candle_tail.interval_ns = interval_ns;
        event->u.candle.open = c[0].mantissa;
        event->u.candle.high = c[1].mantissa;
        event->u.candle.low = c[2].mantissa;
        event->u.candle.close = c[3].mantissa;
    }
}

static void finish(const twt_vector_file *vectors, tw_symbols *symbols, twt_vector *vector, gathered *parts)
{
    uint32_t instrument;
    if (tw_symbols_intern(symbols, vector->exchange, strlen(vector->exchange), vector->symbol, strlen(vector->symbol),
                          NULL, 0, &instrument) != TW_OK) {
        fail(vectors, "bad names", vector->symbol);
    }
    finish_prices(vectors, vector, parts);
    if (vector->record.event_count == 0) {
        vector->record.event_count = 1; /* a book without levels */
    }
    uint32_t count = vector->record.event_count;
    bool is_group = vector->events[0].kind == TW_EVENT_LEVEL;
    for (uint32_t i = 0; i < count; i++) {
        tw_event *event = &vector->events[i];
        event->instrument = instrument;
        event->venue_ns = vector->events[0].venue_ns;
        event->recv_ns = vector->events[0].recv_ns;
        event->flags |= (uint8_t)(parts->snapshot ? TW_FLAG_SNAPSHOT : 0);
        event->flags |= (uint8_t)(i == 0 || !is_group ? TW_FLAG_FIRST : 0);
        event->flags |= (uint8_t)(i == count - 1 || !is_group ? TW_FLAG_LAST : 0);
    }
}

/* ---- interface ---- */

twt_vector_file twt_vector_open(const char *path)
{
    twt_vector_file vectors = {.file = fopen(path, "r")};
    if (vectors.file == NULL) {
        fail(&vectors, "cannot open", path);
    }
    return vectors;
}

bool twt_vector_next(twt_vector_file *vectors, tw_symbols *symbols, twt_vector *vector)
{
    char line[LINE_MAX_BYTES];
    gathered parts = {0};
    *vector = (twt_vector){.record.events = vector->events};
    memcpy(vector->name, vectors->next_name, sizeof(vector->name));
    vectors->next_name[0] = '\0';
    while (fgets(line, sizeof(line), vectors->file) != NULL) {
        vectors->line_number++;
        line[strcspn(line, "\n")] = '\0';
        char *value = strchr(line, ' ');
        if (line[0] == '#' || line[0] == '\0' || value == NULL) {
            continue;
        }
        *value++ = '\0';
        if (strcmp(line, "vector") == 0) {
            bool is_first = vector->name[0] == '\0';
            copy_text(vectors, value, is_first ? vector->name : vectors->next_name, sizeof(vector->name));
            if (!is_first) {
                break;
            }
        } else if (!add_head(vectors, vector, line, value) && !add_decimal(vectors, &parts, line, value)) {
            add_body(vectors, vector, &parts, line, value);
        }
    }
    if (vector->name[0] == '\0') {
        return false;
    }
    finish(vectors, symbols, vector, &parts);
    return true;
}

void twt_vector_close(twt_vector_file *vectors)
{
    fclose(vectors->file);
    vectors->file = NULL;
}
