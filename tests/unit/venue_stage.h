/* venue_stage.h - one adapter on a stage: a driver without network that hands in frames, answers and time, and writes
 * down as text what comes out: events, frames for the venue, REST requests, markets.
 *
 * Usage:    stage_open(), then stage_up(), stage_frame(), stage_answer(), stage_wait() ...; lines_take() reads what was
 *           written down, oldest first.
 * Checks:   every input ends where its allocation ends; groups of levels are whole before they count; books are built
 *           from the events alone, as a subscriber does. */
#ifndef TWT_VENUE_STAGE_H
#define TWT_VENUE_STAGE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <zlib.h>

#include "engine/base/trade_id.h"
#include "engine/book/book.h"
#include "feed/times.h"
#include "tickwire/feed.h"

enum {
    STAGE_INSTRUMENTS_MAX = 64,
    STAGE_EVENTS_MAX = 4096,
    STAGE_LINES_MAX = 512,
    STAGE_LINE_BYTES_MAX = 8192,
    STAGE_REQUESTS_MAX = 64,
    STAGE_BOOK_LEVELS = 512,
    STAGE_STEPS_MAX = 4000
};
#define STAGE_START_NS (INT64_C(1700000000) * TWI_NS_PER_S)
#define STAGE_STEP_NS  (10 * TWI_NS_PER_MS)

/* A queue of lines. */
typedef struct lines {
    char *text[STAGE_LINES_MAX];
    uint32_t first, last;
} lines;

typedef struct stage {
    const tw_feed_ops *ops;
    void *state;
    tw_symbols *symbols;
    tw_sink sink;
    tw_event scratch, group[STAGE_EVENTS_MAX];
    uint32_t group_count;
    bool group_torn; /* the last group had no end */
    twi_book books[STAGE_INSTRUMENTS_MAX];
    uint16_t states[STAGE_INSTRUMENTS_MAX];
    void *book_memory;
    int64_t now_ns;
    bool up[TW_FEED_LINKS_MAX], gzip;
    lines events, outputs, requests, markets;
    tw_request asked[STAGE_REQUESTS_MAX];
    uint32_t asked_first, asked_last;
} stage;

/* ---- lines ---- */

static inline void lines_add(lines *queue, const char *text)
{
    assert_true(queue->last < STAGE_LINES_MAX);
    queue->text[queue->last++] = strdup(text);
}

/* NULL: none is left. Valid until the queue is cleared. */
static inline const char *lines_take(lines *queue)
{
    return queue->first < queue->last ? queue->text[queue->first++] : NULL;
}

static inline void lines_clear(lines *queue)
{
    for (uint32_t i = 0; i < queue->last; i++)
        free(queue->text[i]);
    queue->first = queue->last = 0;
}

__attribute__((format(printf, 2, 3))) static void append(char *line, const char *format, ...)
{
    size_t len = strlen(line);
    va_list list;
    va_start(list, format);
    int added = vsnprintf(line + len, STAGE_LINE_BYTES_MAX - len, format, list);
    va_end(list);
    assert_true(added >= 0 && len + (size_t)added < STAGE_LINE_BYTES_MAX);
}

static inline void append_decimal(char *line, int64_t mantissa, int8_t exponent)
{
    char digits[TW_DECIMAL_TEXT_MAX];
    size_t len = tw_decimal_format((tw_decimal){.mantissa = mantissa, .exponent = exponent}, digits);
    append(line, " %.*s", (int)len, digits);
}

static inline void append_symbol(const stage *s, char *line, uint32_t instrument)
{
    const tw_instrument *entry = tw_symbols_get(s->symbols, instrument);
    assert_non_null(entry);
    append(line, " %.*s", (int)entry->symbol_len, entry->symbol);
}

/* ---- events ---- */

static inline void write_trade(const stage *s, const tw_event *event, char *line)
{
    char id[TWI_TRADE_ID_BYTES_MAX];
    size_t id_len =
        twi_trade_id_format((tw_id_kind)((event->flags & TW_ID_KIND_MASK) >> TW_ID_KIND_SHIFT), event->u.trade.id, id);
    append(line, "trade");
    append_symbol(s, line, event->instrument);
    append(line, (event->flags & TW_FLAG_SELL) != 0 ? " sell" : " buy");
    append_decimal(line, event->u.trade.price, event->price_exponent);
    append_decimal(line, event->u.trade.amount, event->amount_exponent);
    append(line, " id=%.*s t=%lld%s", (int)id_len, id, (long long)event->venue_ns,
           (event->flags & TW_FLAG_HISTORY) != 0 ? " history" : "");
}

static inline void write_quote(const stage *s, const tw_event *event, char *line)
{
    append(line, "quote");
    append_symbol(s, line, event->instrument);
    append_decimal(line, event->u.quote.bid, event->price_exponent);
    append_decimal(line, event->u.quote.bid_amount, event->amount_exponent);
    append_decimal(line, event->u.quote.ask, event->price_exponent);
    append_decimal(line, event->u.quote.ask_amount, event->amount_exponent);
    append(line, " t=%lld", (long long)event->venue_ns);
}

static inline void write_status(stage *s, const tw_event *event, char *line)
{
    s->states[event->instrument] = event->u.status.state;
    append(line, "status");
    append_symbol(s, line, event->instrument);
    append(line, " %s %s", tw_book_state_name(event->u.status.state), tw_reason_name(event->u.status.reason));
    if (event->u.status.from != 0 || event->u.status.to != 0)
        append(line, " %llu..%llu", (unsigned long long)event->u.status.from, (unsigned long long)event->u.status.to);
}

/* The whole group, which the books take as a whole. */
static inline void write_group(stage *s, char *line)
{
    const tw_event *head = &s->group[0];
    bool snapshot = (head->flags & TW_FLAG_SNAPSHOT) != 0;
    append(line, "%s", head->kind == TW_EVENT_BOOK_CLEAR ? "clear" : "book");
    append_symbol(s, line, head->instrument);
    if (head->kind == TW_EVENT_LEVEL)
        append(line, " %s seq=%llu t=%lld", snapshot ? "snapshot" : "delta",
               (unsigned long long)head->u.level.venue_seq, (long long)head->venue_ns);
    for (uint32_t i = 0; i < s->group_count; i++) {
        const tw_event *event = &s->group[i];
        assert_int_equal(event->instrument, head->instrument);
        assert_int_equal(event->flags & TW_FLAG_FIRST, i == 0 ? TW_FLAG_FIRST : 0);
        assert_int_equal(twi_book_apply_event(&s->books[event->instrument], event), TW_OK);
        if (event->kind != TW_EVENT_LEVEL)
            continue;
        append(line, (event->flags & TW_FLAG_ASK) != 0 ? " a" : " b");
        append_decimal(line, event->u.level.price, event->price_exponent);
        append_decimal(line, event->u.level.amount, event->amount_exponent);
    }
}

static inline tw_event *stage_claim(void *owner)
{
    return &((stage *)owner)->scratch;
}

static inline void stage_commit(void *owner)
{
    stage *s = owner;
    const tw_event *event = &s->scratch;
    char line[STAGE_LINE_BYTES_MAX] = "";
    assert_true(event->recv_ns >= STAGE_START_NS && event->recv_ns <= s->now_ns);
    assert_true(event->instrument < tw_symbols_count(s->symbols));
    if ((event->flags & TW_FLAG_FIRST) != 0 && s->group_count > 0) {
        s->group_torn = true;
        s->group_count = 0;
    }
    assert_true(s->group_count < STAGE_EVENTS_MAX);
    s->group[s->group_count++] = *event;
    if ((event->flags & TW_FLAG_LAST) == 0)
        return;
    switch (event->kind) {
    case TW_EVENT_TRADE:
        write_trade(s, event, line);
        break;
    case TW_EVENT_QUOTE:
        write_quote(s, event, line);
        break;
    case TW_EVENT_STATUS:
        write_status(s, event, line);
        break;
    case TW_EVENT_LEVEL:
    case TW_EVENT_BOOK_CLEAR:
        write_group(s, line);
        break;
    default:
        fail_msg("an event of kind %u", event->kind);
    }
    s->group_count = 0;
    lines_add(&s->events, line);
}

/* ---- the driver ---- */

static inline void *aligned_zeroes(size_t bytes)
{
    bytes = (bytes + 63) & ~(size_t)63;
    void *memory = aligned_alloc(64, bytes);
    assert_non_null(memory);
    memset(memory, 0, bytes);
    return memory;
}

static inline tw_status stage_open(stage *s, const tw_feed_ops *ops, const tw_feed_config *config)
{
    memset(s, 0, sizeof(*s));
    s->ops = ops;
    s->now_ns = STAGE_START_NS;
    s->sink = (tw_sink){.claim = stage_claim, .commit = stage_commit, .owner = s};
    s->symbols = tw_symbols_init(aligned_zeroes(tw_symbols_size(STAGE_INSTRUMENTS_MAX)), STAGE_INSTRUMENTS_MAX);
    size_t book_bytes = (twi_book_size(STAGE_BOOK_LEVELS) + 63) & ~(size_t)63;
    s->book_memory = aligned_zeroes(book_bytes * STAGE_INSTRUMENTS_MAX);
    for (uint32_t i = 0; i < STAGE_INSTRUMENTS_MAX; i++)
        twi_book_init(&s->books[i], (uint8_t *)s->book_memory + i * book_bytes, STAGE_BOOK_LEVELS);
    s->state = aligned_zeroes(ops->state_size(config));
    return ops->init(s->state, config, s->symbols);
}

static inline void stage_close(stage *s)
{
    if (s->state == NULL)
        return;
    s->ops->fini(s->state);
    free(s->state);
    free(s->symbols);
    free(s->book_memory);
    lines_clear(&s->events);
    lines_clear(&s->outputs);
    lines_clear(&s->requests);
    lines_clear(&s->markets);
    s->state = NULL;
}

/* Collects what the adapter owes now. */
static inline void stage_poll(stage *s)
{
    uint8_t out[TW_FEED_OUTPUT_MAX];
    char line[STAGE_LINE_BYTES_MAX];
    tw_request request;
    size_t len;
    for (uint32_t link = 0; link < TW_FEED_LINKS_MAX; link++) {
        while (s->up[link] && (len = s->ops->next_output(s->state, link, s->now_ns, out, sizeof(out))) > 0) {
            line[0] = 0;
            if (link > 0)
                append(line, "%u ", link);
            append(line, "%.*s", (int)len, (const char *)out);
            lines_add(&s->outputs, line);
        }
    }
    while (s->ops->next_request(s->state, s->now_ns, &request)) {
        assert_true(s->asked_last < STAGE_REQUESTS_MAX);
        assert_true(request.id != 0);
        s->asked[s->asked_last++] = request;
        line[0] = 0;
        append(line, "%s %s", request.post ? "POST" : "GET", request.url);
        lines_add(&s->requests, line);
    }
}

static inline void stage_wait(stage *s, int64_t wait_ns)
{
    int64_t end_ns = s->now_ns + wait_ns, step_ns = wait_ns / STAGE_STEPS_MAX;
    if (step_ns < STAGE_STEP_NS)
        step_ns = STAGE_STEP_NS;
    while (s->now_ns < end_ns) {
        s->now_ns = s->now_ns + step_ns < end_ns ? s->now_ns + step_ns : end_ns;
        assert_true(s->ops->on_timer(s->state, s->now_ns, &s->sink) > s->now_ns);
        stage_poll(s);
    }
}

static inline void stage_up(stage *s, uint32_t link)
{
    tw_endpoint dial;
    assert_int_equal(s->ops->link_dial(s->state, link, s->now_ns, &dial), TW_OK);
    s->ops->link_up(s->state, link, s->now_ns, dial.url);
    s->up[link] = true;
}

static inline void stage_down(stage *s, uint32_t link, tw_reason reason)
{
    s->up[link] = false;
    s->ops->link_down(s->state, link, s->now_ns, reason, &s->sink);
}

/* As HTX sends: a gzip stream per frame. */
static inline uint8_t *gzip_copy(const char *text, size_t len, size_t *packed_len)
{
    enum { WINDOW_BITS_GZIP = 15 + 16, MEMORY_LEVEL = 8, SLACK = 256 };
    z_stream stream = {0};
    uint8_t *packed = malloc(len + SLACK);
    assert_non_null(packed);
    assert_int_equal(
        deflateInit2(&stream, Z_BEST_SPEED, Z_DEFLATED, WINDOW_BITS_GZIP, MEMORY_LEVEL, Z_DEFAULT_STRATEGY), Z_OK);
    stream.next_in = (Bytef *)(uintptr_t)text;
    stream.avail_in = (uInt)len;
    stream.next_out = packed;
    stream.avail_out = (uInt)(len + SLACK);
    assert_int_equal(deflate(&stream, Z_FINISH), Z_STREAM_END);
    *packed_len = stream.total_out;
    deflateEnd(&stream);
    return packed;
}

static inline uint8_t *exact_copy(const char *text, size_t len)
{
    uint8_t *copy = malloc(len > 0 ? len : 1);
    assert_non_null(copy);
    memcpy(copy, text, len);
    return copy;
}

static inline tw_status stage_frame(stage *s, uint32_t link, const char *text, size_t len)
{
    uint8_t *copy = s->gzip ? gzip_copy(text, len, &len) : exact_copy(text, len);
    tw_status status = s->ops->on_message(s->state, link, s->now_ns, copy, len, &s->sink);
    free(copy);
    return status;
}

/* Answers the oldest request that has no answer. */
static inline tw_status stage_answer(stage *s, int http_status, int32_t retry_after_s, const char *body, size_t len)
{
    assert_true(s->asked_first < s->asked_last);
    const tw_request *request = &s->asked[s->asked_first++];
    uint8_t *copy = exact_copy(body, len);
    tw_response response = {.id = request->id,
                            .status = http_status,
                            .retry_after_s = retry_after_s,
                            .url = request->url,
                            .body = copy,
                            .body_len = len};
    tw_status status = s->ops->on_response(s->state, s->now_ns, &response, &s->sink);
    free(copy);
    return status;
}

/* "STATE BID AMOUNT ... | ASK AMOUNT ...", best first, as the events tell it. */
static inline void stage_book(const stage *s, uint32_t instrument, char *line)
{
    const twi_book *book = &s->books[instrument];
    append(line, "%s", tw_book_state_name(s->states[instrument]));
    for (twi_side side = TWI_BID; side <= TWI_ASK; side++) {
        for (uint32_t i = 0; i < twi_book_count(book, side); i++) {
            twi_level level = twi_book_level(book, side, i);
            append_decimal(line, level.price.mantissa, level.price.exponent);
            append_decimal(line, level.amount.mantissa, level.amount.exponent);
        }
        if (side == TWI_BID)
            append(line, " |");
    }
}

#endif
