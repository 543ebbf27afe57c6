/* stream_shm_test.c - a stream over shared memory: state first, whole messages, exact losses, a producer that ends and
 * comes back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "engine/base/clock.h"
#include "tickwire/ring.h"
#include "tickwire/stream.h"

enum { SLOTS = 64, SEEN_MAX = 256, ERROR_BYTES = 512 };

typedef struct seen {
    uint32_t message_count, state_count, gap_count, note_count;
    uint64_t missing;
    tw_event first[SEEN_MAX]; /* of each message */
    uint32_t event_counts[SEEN_MAX];
    char symbol[SEEN_MAX][TW_SYMBOL_MAX + 1];
} seen;

static char ring_name[32]; /* of this process, so that parallel runs do not meet */

static void on_message(void *owner, const tw_stream_message *message)
{
    seen *self = owner;
    uint32_t place = self->message_count++ % SEEN_MAX;
    self->state_count += message->is_state;
    self->first[place] = message->events[0];
    self->event_counts[place] = message->event_count;
    const tw_instrument *instrument = tw_symbols_get(message->symbols, message->events[0].instrument);
    snprintf(self->symbol[place], sizeof self->symbol[place], "%s", instrument->symbol);
    assert_true(message->arrival_ns > 0);
    assert_null(message->bytes);
}

static void on_gap(void *owner, uint64_t count)
{
    seen *self = owner;
    self->gap_count++;
    self->missing += count;
}

static void on_note(void *owner, const char *text)
{
    seen *self = owner;
    assert_true(strlen(text) > 0);
    self->note_count++;
}

static tw_ring *open_ring(void)
{
    tw_ring_options options = {
        .name = ring_name, .slot_count = SLOTS, .instrument_count_max = 8, .mode = 0600, .last_values = 1};
    char error[ERROR_BYTES];
    tw_ring *ring;
    if (tw_ring_open(&options, &ring, error, sizeof error) != TW_OK)
        fail_msg("%s", error);
    tw_ring_heartbeat(ring, twi_realtime_ns());
    return ring;
}

static uint32_t instrument(tw_ring *ring, const char *symbol)
{
    uint32_t index;
    assert_int_equal(tw_symbols_intern(tw_ring_symbols(ring), "sim", 3, symbol, strlen(symbol), NULL, 0, &index),
                     TW_OK);
    return index;
}

static void put(tw_ring *ring, uint32_t index, uint8_t kind, uint8_t flags, int64_t value)
{
    tw_event *event = tw_ring_claim(ring);
    event->instrument = index;
    event->kind = kind;
    event->flags = flags;
    event->u.trade.price = value;
    tw_ring_commit(ring);
}

static void put_one(tw_ring *ring, uint32_t index, uint8_t kind, int64_t value)
{
    put(ring, index, kind, TW_FLAG_FIRST | TW_FLAG_LAST, value);
}

static tw_stream *open_stream(seen *owner, const char *channels, const char *symbols, tw_stream_wait wait)
{
    char from[64], error[ERROR_BYTES];
    snprintf(from, sizeof from, "shm:%s", ring_name);
    tw_stream_options options;
    tw_stream_options_init(&options, sizeof options);
    options.from = from;
    options.channels = channels;
    options.symbols = symbols;
    options.wait = wait;
    options.on_message = on_message;
    options.on_gap = on_gap;
    options.on_note = on_note;
    options.owner = owner;
    tw_stream *stream;
    if (tw_stream_open(&options, &stream, error, sizeof error) != TW_OK)
        fail_msg("%s", error);
    return stream;
}

static void poll_all(tw_stream *stream, const seen *owner)
{
    uint32_t before;
    do {
        before = owner->message_count + owner->gap_count;
        assert_int_equal(tw_stream_poll(stream, 0), TW_OK);
    } while (owner->message_count + owner->gap_count != before);
}

static void test_the_state_comes_first_then_the_news(void **state)
{
    (void)state;
    seen owner = {0};
    tw_ring *ring = open_ring();
    uint32_t a = instrument(ring, "A/B"), c = instrument(ring, "C/D");
    put_one(ring, a, TW_EVENT_QUOTE, 1);
    put_one(ring, c, TW_EVENT_QUOTE, 2);
    put_one(ring, a, TW_EVENT_TRADE, 3);
    tw_stream *stream = open_stream(&owner, "trade,quote,status", "sim:A/B", TW_STREAM_SLEEP);
    assert_false(tw_stream_is_ready(stream));
    poll_all(stream, &owner);
    assert_true(tw_stream_is_ready(stream));
    assert_int_equal(tw_stream_epoch(stream), 1);
    assert_int_equal(owner.message_count, 1); /* trades are news or nothing */
    assert_int_equal(owner.state_count, 1);
    assert_int_equal(owner.first[0].u.quote.bid, 1);
    put_one(ring, c, TW_EVENT_TRADE, 4);
    put_one(ring, a, TW_EVENT_TRADE, 5);
    poll_all(stream, &owner);
    assert_int_equal(owner.message_count, 2);
    assert_int_equal(owner.state_count, 1);
    assert_int_equal(owner.first[1].u.trade.price, 5);
    assert_string_equal(owner.symbol[1], "A/B");
    tw_stream_close(stream);
    tw_ring_close(ring);
}

static void test_groups_come_whole(void **state)
{
    (void)state;
    seen owner = {0};
    tw_ring *ring = open_ring();
    uint32_t a = instrument(ring, "A/B");
    put(ring, a, TW_EVENT_LEVEL, TW_FLAG_FIRST, 1);
    tw_stream *stream = open_stream(&owner, "book", "*:*", TW_STREAM_SPIN);
    poll_all(stream, &owner);
    put(ring, a, TW_EVENT_LEVEL, TW_FLAG_LAST, 2); /* its beginning was before this reader's time */
    put(ring, a, TW_EVENT_LEVEL, TW_FLAG_FIRST, 3);
    put(ring, a, TW_EVENT_LEVEL, 0, 4);
    poll_all(stream, &owner);
    assert_int_equal(owner.message_count, 0);
    put(ring, a, TW_EVENT_LEVEL, TW_FLAG_LAST, 5);
    put(ring, a, TW_EVENT_LEVEL, TW_FLAG_FIRST, 6); /* never ended */
    put(ring, a, TW_EVENT_BOOK_CLEAR, TW_FLAG_FIRST | TW_FLAG_LAST, 7);
    poll_all(stream, &owner);
    assert_int_equal(owner.message_count, 2);
    assert_int_equal(owner.event_counts[0], 3);
    assert_int_equal(owner.first[0].u.level.price, 3);
    assert_int_equal(owner.event_counts[1], 1);
    assert_int_equal(owner.first[1].kind, TW_EVENT_BOOK_CLEAR);
    tw_stream_close(stream);
    tw_ring_close(ring);
}

static void test_a_lapped_reader_is_told_exactly_what_it_missed(void **state)
{
    (void)state;
    seen owner = {0};
    tw_ring *ring = open_ring();
    uint32_t a = instrument(ring, "A/B");
    tw_stream *stream = open_stream(&owner, "trade", "*:*", TW_STREAM_YIELD);
    poll_all(stream, &owner);
    for (int64_t i = 0; i < 3 * SLOTS; i++)
        put_one(ring, a, TW_EVENT_TRADE, i);
    poll_all(stream, &owner);
    assert_int_equal(owner.gap_count, 1);
    assert_int_equal(owner.missing + owner.message_count, 3 * SLOTS);
    assert_int_equal(owner.first[owner.message_count - 1].u.trade.price, 3 * SLOTS - 1);
    tw_stream_close(stream);
    tw_ring_close(ring);
}

static void test_it_waits_for_the_producer_and_for_the_next_one(void **state)
{
    (void)state;
    seen owner = {0};
    tw_stream *stream = open_stream(&owner, "trade", "*:*", TW_STREAM_SLEEP);
    assert_int_equal(tw_stream_poll(stream, 0), TW_OK);
    assert_non_null(strstr(tw_stream_reason(stream), "no ring"));
    for (uint64_t epoch = 1; epoch <= 2; epoch++) {
        tw_ring *ring = open_ring();
        uint32_t other = epoch == 1 ? instrument(ring, "X/Y") : 0; /* the second one numbers them otherwise */
        uint32_t a = instrument(ring, "A/B");
        (void)other;
        while (tw_stream_epoch(stream) < epoch)
            assert_int_equal(tw_stream_poll(stream, 10000000), TW_OK);
        assert_string_equal(tw_stream_reason(stream), "");
        put_one(ring, a, TW_EVENT_TRADE, (int64_t)epoch);
        while (owner.message_count < epoch)
            assert_int_equal(tw_stream_poll(stream, 10000000), TW_OK);
        assert_string_equal(owner.symbol[epoch - 1], "A/B");
        tw_ring_close(ring);
        while (tw_stream_is_ready(stream))
            assert_int_equal(tw_stream_poll(stream, 10000000), TW_OK);
        assert_int_equal(owner.gap_count, epoch);
    }
    assert_int_equal(owner.note_count, 3); /* ended, attached again, ended */
    tw_stream_close(stream);
}

static void test_wrong_options_name_the_reason(void **state)
{
    (void)state;
    static const struct {
        const char *from, *channels, *text;
        tw_status status;
    } cases[] = {
        {"shm:x", "trade,nope", "trade, quote, book, status", TW_BAD_ARGUMENT},
        {"shm:x", "candle.1m", "candles", TW_NOT_SUPPORTED},
        {"ftp://x", "trade", "ftp", TW_BAD_ARGUMENT},
        {"shm:x", NULL, "are needed", TW_BAD_ARGUMENT},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char error[ERROR_BYTES] = "";
        tw_stream *stream;
        tw_stream_options options;
        tw_stream_options_init(&options, sizeof options);
        options.from = cases[i].from;
        options.channels = cases[i].channels;
        options.on_message = on_message;
        assert_int_equal(tw_stream_open(&options, &stream, error, sizeof error), cases[i].status);
        assert_null(stream);
        if (strstr(error, cases[i].text) == NULL)
            fail_msg("'%s' does not say '%s'", error, cases[i].text);
    }
}

int main(void)
{
    snprintf(ring_name, sizeof ring_name, "twstream.%d", (int)getpid());
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_state_comes_first_then_the_news),
        cmocka_unit_test(test_groups_come_whole),
        cmocka_unit_test(test_a_lapped_reader_is_told_exactly_what_it_missed),
        cmocka_unit_test(test_it_waits_for_the_producer_and_for_the_next_one),
        cmocka_unit_test(test_wrong_options_name_the_reason),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
