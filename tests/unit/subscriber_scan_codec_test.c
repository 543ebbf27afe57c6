/* subscriber_scan_codec_test.c - the light scans say the same about every record as the codecs' own decoders. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "subscribers/scan.h"
#include "tickwire/codec.h"

enum { RECORDS = 12, MESSAGE_BYTES_MAX = 1 << 16, EVENTS_MAX = 16 };

typedef struct sample {
    tw_event events[EVENTS_MAX];
    tw_record record;
} sample;

typedef struct fixture {
    void *memory;
    tw_symbols *symbols;
    sample samples[RECORDS];
    uint32_t count;
} fixture;

static tw_event *add(fixture *f, uint8_t kind, uint32_t event_count)
{
    sample *s = &f->samples[f->count];
    *s = (sample){.record = {.events = s->events,
                             .event_count = event_count,
                             .seq = 4712 + f->count * UINT64_C(1000000007),
                             .publish_ns = INT64_C(1700000000123460000) + f->count}};
    f->count++;
    uint32_t instrument;
    char symbol[32];
    snprintf(symbol, sizeof symbol, "S%u/%s", f->count, f->count % 2 ? "USD" : "USDT:USDT");
    assert_int_equal(tw_symbols_intern(f->symbols, "sim", 3, symbol, strlen(symbol), NULL, 0, &instrument), TW_OK);
    for (uint32_t i = 0; i < event_count; i++)
        s->events[i] = (tw_event){.instrument = instrument,
                                  .kind = kind,
                                  .flags = TW_FLAG_FIRST | TW_FLAG_LAST,
                                  .price_exponent = -2,
                                  .amount_exponent = -4,
                                  .venue_ns = INT64_C(1700000000000000000),
                                  .recv_ns = INT64_C(1700000000123456789)};
    return s->events;
}

static void group(tw_event *events, uint32_t count, uint8_t flags)
{
    for (uint32_t i = 0; i < count; i++) {
        events[i].flags = (uint8_t)(flags | (i == 0 ? TW_FLAG_FIRST : 0) | (i == count - 1 ? TW_FLAG_LAST : 0) |
                                    (i >= count / 2 ? TW_FLAG_ASK : 0));
        events[i].u.level.price = 6400000 + (i < count / 2 ? -(int64_t)i : (int64_t)i);
        events[i].u.level.amount = 100 + i;
    }
}

static void samples_make(fixture *f)
{
    add(f, TW_EVENT_TRADE, 1)->u.trade.price = 6400010;
    tw_event *e = add(f, TW_EVENT_QUOTE, 1);
    e->u.quote.bid = 6400010;
    e->u.quote.bid_amount = 5;
    e = add(f, TW_EVENT_LEVEL, 6);
    group(e, 6, TW_FLAG_SNAPSHOT);
    e = add(f, TW_EVENT_LEVEL, 2);
    group(e, 2, 0);
    f->samples[f->count - 1].record.prev_seq = 4000;
    f->samples[f->count - 1].record.folded = 711;
    e = add(f, TW_EVENT_LEVEL, 3); /* exponents that no single one can stand for */
    group(e, 3, TW_FLAG_SNAPSHOT);
    e[1].price_exponent = -18;
    e[2].price_exponent = 18;
    e = add(f, TW_EVENT_BOOK_CLEAR, 1);
    e->flags |= TW_FLAG_SNAPSHOT;
    e = add(f, TW_EVENT_STATUS, 1);
    e->u.status.state = TW_STATE_GAP;
    e->u.status.reason = TW_REASON_SEQUENCE;
    e->u.status.from = 9001;
    e->u.status.to = 9004;
    e = add(f, TW_EVENT_CANDLE, 2);
    e[0].u.candle.open = e[0].u.candle.high = e[0].u.candle.low = e[0].u.candle.close = 640;
    e[1].kind = TW_EVENT_CANDLE_TAIL;
    e[1].u.candle_tail.interval_ns = INT64_C(300000000000);
    e = add(f, TW_EVENT_LOSS, 1);
    e->u.loss.from = 812;
    e->u.loss.to = 815;
    e->u.loss.count = 4;
    e->u.loss.channel = TW_CHANNEL_CANDLE;
    e->u.loss.interval_s = 60;
    e->u.loss.reason = TW_REASON_SLOW_CONSUMER;
    add(f, TW_EVENT_TRADE, 1)->recv_ns = 0;
}

static int set_up(void **state)
{
    fixture *f = calloc(1, sizeof *f);
    size_t bytes = (tw_symbols_size(64) + 63) / 64 * 64;
    f->memory = aligned_alloc(64, bytes);
    f->symbols = tw_symbols_init(f->memory, 64);
    samples_make(f);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    fixture *f = *state;
    free(f->memory);
    free(f);
    return 0;
}

typedef tw_status (*scan_fn)(const uint8_t *msg, size_t msg_len, twi_scan *scan);

static void same(const fixture *f, const sample *s, const twi_scan *scan)
{
    const tw_event *event = &s->events[0];
    const tw_instrument *instrument = tw_symbols_get(f->symbols, event->instrument);
    assert_int_equal(scan->name.exchange_len, instrument->exchange_len);
    assert_memory_equal(scan->name.exchange, instrument->exchange, instrument->exchange_len);
    assert_int_equal(scan->name.symbol_len, instrument->symbol_len);
    assert_memory_equal(scan->name.symbol, instrument->symbol, instrument->symbol_len);
    assert_int_equal(scan->kind, event->kind == TW_EVENT_BOOK_CLEAR ? TW_EVENT_LEVEL : event->kind);
    if (event->kind == TW_EVENT_LOSS) {
        assert_int_equal(scan->from, event->u.loss.from);
        assert_int_equal(scan->to, event->u.loss.to);
        assert_int_equal(scan->count, event->u.loss.count);
        assert_int_equal(scan->name.channel, event->u.loss.channel);
        assert_int_equal(scan->name.interval_s, event->u.loss.interval_s);
        return;
    }
    assert_int_equal(scan->seq, s->record.seq);
    assert_int_equal(scan->prev_seq, s->record.prev_seq);
    assert_int_equal(scan->folded, s->record.folded);
    assert_int_equal(scan->recv_ns, event->recv_ns);
    assert_int_equal(scan->publish_ns, s->record.publish_ns);
    assert_int_equal(scan->snapshot, (event->flags & TW_FLAG_SNAPSHOT) != 0 && scan->kind == TW_EVENT_LEVEL);
    assert_int_equal(scan->name.interval_s,
                     event->kind == TW_EVENT_CANDLE ? event[1].u.candle_tail.interval_ns / 1000000000 : 0);
}

/* Every prefix and many changed bytes, in memory of exactly the size: survived, and no prefix taken for a whole. */
static void damage(scan_fn scan_message, const uint8_t *msg, size_t len)
{
    twi_scan scan;
    uint8_t *copy = malloc(len);
    for (size_t cut = 0; cut < len; cut++) {
        uint8_t *prefix = malloc(cut ? cut : 1);
        memcpy(prefix, msg, cut);
        (void)scan_message(prefix, cut, &scan);
        free(prefix);
    }
    for (size_t at = 0; at < len; at++) {
        static const uint8_t replacements[] = {0x00, 0x01, 0x7f, 0x80, 0xff, '"'};
        memcpy(copy, msg, len);
        for (size_t r = 0; r < sizeof replacements; r++) {
            copy[at] = replacements[r];
            (void)scan_message(copy, len, &scan);
        }
    }
    free(copy);
}

static void compare(fixture *f, const tw_codec_ops *codec, scan_fn scan_message)
{
    uint8_t *buffer = malloc(MESSAGE_BYTES_MAX);
    for (uint32_t i = 0; i < f->count; i++) {
        sample *s = &f->samples[i];
        twi_scan scan;
        size_t len = codec->encode(f->symbols, &s->record, buffer, MESSAGE_BYTES_MAX);
        assert_true(len > 0);
        uint8_t *msg = malloc(len);
        memcpy(msg, buffer, len);
        assert_int_equal(scan_message(msg, len, &scan), TW_OK);
        same(f, s, &scan);
        damage(scan_message, msg, len);
        free(msg);
    }
    free(buffer);
}

static void json(void **state)
{
    compare(*state, &tw_codec_json, twi_scan_json);
}

static void flatbuffers(void **state)
{
    compare(*state, &tw_codec_flatbuffers, twi_scan_flatbuffers);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(json),
        cmocka_unit_test(flatbuffers),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
