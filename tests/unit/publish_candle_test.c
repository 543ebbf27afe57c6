/* publish_candle_test.c - candles on their way through the publisher: numbers, snapshots, coalescing, closing by
 * the clock.
 *
 * Method:   ring, publisher and a join queue without a shard; what lies in the wire log is decoded again. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "engine/fanout/publisher.h"
#include "engine/proto/ws.h"

#define SECOND   INT64_C(1000000000)
#define START_NS (INT64_C(1700006400) * SECOND)

enum { ERROR_MAX = 256, INSTRUMENTS = 3, HISTORY = 10 };

typedef struct world {
    tw_ring *ring;
    tw_ring_reader *reader;
    twi_publisher *publisher;
    twi_join_link *link;
    void *counter_memory;
    twi_cells *cells;
    tw_symbols *decoded;
    int64_t time_ns;
    uint64_t position; /* in the log */
    uint32_t instrument;
} world;

static int64_t now(void *owner)
{
    return ((world *)owner)->time_ns;
}

static world *world_open(void)
{
    char error[ERROR_MAX];
    world *w = calloc(1, sizeof *w);
    w->time_ns = START_NS;
    tw_ring_options ring = {.slot_count = 256, .instrument_count_max = INSTRUMENTS, .mode = 0600};
    assert_int_equal(tw_ring_open(&ring, &w->ring, error, sizeof error), TW_OK);
    assert_int_equal(tw_ring_reader_open(w->ring, &w->reader), TW_OK);
    assert_int_equal(tw_symbols_intern(tw_ring_symbols(w->ring), "sim", 3, "BTC/USDT", 8, NULL, 0, &w->instrument),
                     TW_OK);
    size_t counter_bytes = twi_counters_bytes(1, 1);
    w->counter_memory = aligned_alloc(64, (counter_bytes + 63) / 64 * 64);
    twi_counters *counters = twi_counters_init(w->counter_memory, 1, 1);
    w->cells = twi_counters_open(counters, "", "");
    w->publisher = aligned_alloc(64, (sizeof *w->publisher + 63) / 64 * 64);
    twi_publisher_config config = {
        .reader = w->reader,
        .codecs = {&tw_codec_flatbuffers},
        .codec_count = 1,
        .instrument_count_max = INSTRUMENTS,
        .book_depth_max = 10,
        .log_bytes = 1 << 18,
        .log_index_slots = 1 << 12,
        .candle_history = HISTORY,
        .candle_close_delay_ns = SECOND / 4,
        .counters = w->cells,
        .published_latency = twi_counters_stage_open(counters, TWI_STAGE_RING_TO_PUBLISHED),
        .realtime_ns = now,
        .realtime_owner = w,
    };
    if (twi_publisher_open(w->publisher, &config, error, sizeof error) != TW_OK)
        fail_msg("%s", error);
    w->link = aligned_alloc(64, (sizeof *w->link + 63) / 64 * 64);
    memset(w->link, 0, sizeof *w->link);
    twi_publisher_add_link(w->publisher, w->link);
    w->decoded = tw_symbols_init(aligned_alloc(64, (tw_symbols_size(4) + 63) / 64 * 64), 4);
    return w;
}

static void world_close(world *w)
{
    twi_publisher_close(w->publisher);
    tw_ring_reader_close(w->reader);
    tw_ring_close(w->ring);
    free(w->publisher);
    free(w->link);
    free(w->counter_memory);
    free(w->decoded);
    free(w);
}

static void put_trade(world *w, uint32_t instrument, int64_t time_ns, int64_t price, int64_t amount)
{
    tw_event event = {.instrument = instrument,
                      .kind = TW_EVENT_TRADE,
                      .flags = TW_FLAG_FIRST | TW_FLAG_LAST,
                      .price_exponent = -2,
                      .amount_exponent = -3,
                      .venue_ns = time_ns,
                      .recv_ns = time_ns,
                      .u.trade = {.price = price, .amount = amount}};
    *tw_ring_claim(w->ring) = event;
    tw_ring_commit(w->ring);
}

static void want(world *w, const char *channel)
{
    int slot = twi_slot_parse(channel, strlen(channel));
    assert_true(slot >= 0);
    atomic_store(&w->publisher->codecs[0].interest[twi_topic(w->instrument, (uint32_t)slot)], 1);
}

static void settle(world *w)
{
    while (twi_publisher_step(w->publisher) > 0) {
    }
}

typedef struct message {
    uint32_t topic;
    tw_record record;
    tw_event events[4];
} message;

/* The next frame of the log. 0: none. */
static int next(world *w, message *out)
{
    twi_wire_log *log = &w->publisher->codecs[0].log;
    twi_wire_entry entry;
    if (w->position == twi_wire_log_head(log))
        return 0;
    assert_int_equal(twi_wire_log_entry(log, w->position++, &entry), TW_OK);
    const uint8_t *frame = twi_wire_log_at(log, entry.offset);
    size_t header = entry.bytes < 128 ? 2 : 4;
    uint32_t count = 4;
    assert_int_equal(tw_codec_flatbuffers.decode(w->decoded, frame + header, entry.bytes - header, out->events, &count,
                                                 &out->record),
                     TW_OK);
    out->topic = entry.topic;
    assert_int_equal(out->record.seq, entry.seq);
    return 1;
}

static void assert_candle(const message *got, int64_t interval_s, int64_t open_ns, int64_t close, int64_t volume,
                          int closed)
{
    assert_int_equal(got->events[0].kind, TW_EVENT_CANDLE);
    assert_int_equal(got->events[1].u.candle_tail.interval_ns, interval_s * SECOND);
    assert_int_equal(got->events[0].venue_ns, open_ns);
    assert_int_equal(got->events[0].u.candle.close, close);
    assert_int_equal(got->events[1].u.candle_tail.volume, volume);
    assert_int_equal((got->events[0].flags & TW_FLAG_CLOSED) != 0, closed);
}

static void test_stream(void **state)
{
    (void)state;
    world *w = world_open();
    message got;
    put_trade(w, w->instrument, START_NS, 100, 1); /* before anybody is there */
    settle(w);
    assert_false(next(w, &got));
    want(w, "candle.1s");
    want(w, "candle.1m");
    uint32_t second = twi_topic(w->instrument, TWI_SLOT_CANDLE), minute = second + 1;
    uint64_t second_seq = w->publisher->topic_seq[second], minute_seq = w->publisher->topic_seq[minute];
    assert_int_equal(second_seq, 1);
    /* Ten trades at once are one message, and nothing was missed before. */
    for (int i = 1; i <= 10; i++)
        put_trade(w, w->instrument, START_NS + i, 100 + i, 1);
    settle(w);
    assert_true(next(w, &got));
    assert_int_equal(got.topic, second);
    assert_int_equal(got.record.seq, second_seq + 1);
    assert_candle(&got, 1, START_NS, 110, 11, 0);
    assert_true(next(w, &got));
    assert_int_equal(got.topic, minute);
    assert_int_equal(got.record.seq, minute_seq + 1);
    assert_candle(&got, 60, START_NS, 110, 11, 0);
    assert_false(next(w, &got));
    /* The next second closes the first. */
    put_trade(w, w->instrument, START_NS + SECOND, 90, 2);
    settle(w);
    assert_true(next(w, &got));
    assert_candle(&got, 1, START_NS, 110, 11, 1);
    assert_int_equal(got.record.seq, second_seq + 2);
    assert_true(next(w, &got));
    assert_candle(&got, 1, START_NS + SECOND, 90, 2, 0);
    assert_int_equal(got.record.seq, second_seq + 3);
    assert_true(next(w, &got));
    assert_candle(&got, 60, START_NS, 90, 13, 0);
    assert_false(next(w, &got));
    /* A late trade corrects it: the running second has not changed and is not sent. */
    put_trade(w, w->instrument, START_NS + SECOND / 2, 80, 5);
    settle(w);
    assert_true(next(w, &got));
    assert_candle(&got, 1, START_NS, 80, 16, 1);
    assert_int_equal(got.record.seq, second_seq + 4);
    assert_true(next(w, &got));
    assert_candle(&got, 60, START_NS, 90, 18, 0);
    assert_false(next(w, &got));
    assert_int_equal(twi_counter_get(w->cells, TWI_COUNTER_CANDLE_TAKEN), 12);
    assert_int_equal(twi_counter_get(w->cells, TWI_COUNTER_CANDLE_LATE), 1);
    world_close(w);
}

static void test_clock(void **state)
{
    (void)state;
    world *w = world_open();
    message got;
    want(w, "candle.1s");
    assert_int_equal(twi_publisher_due_ns(w->publisher), INT64_MAX);
    put_trade(w, w->instrument, START_NS, 100, 1);
    settle(w);
    assert_true(next(w, &got));
    int64_t due_ns = START_NS + SECOND + SECOND / 4;
    assert_int_equal(twi_publisher_due_ns(w->publisher), due_ns);
    w->time_ns = due_ns - 1;
    assert_int_equal(twi_publisher_step(w->publisher), 0);
    w->time_ns = due_ns;
    settle(w);
    assert_true(next(w, &got));
    assert_candle(&got, 1, START_NS, 100, 1, 1);
    assert_false(next(w, &got));
    assert_int_equal(twi_publisher_due_ns(w->publisher), due_ns + 59 * SECOND);
    world_close(w);
}

/* Who subscribes gets the candle as it is, with the number that the stream goes on from. */
static void test_join(void **state)
{
    (void)state;
    world *w = world_open();
    message got;
    uint32_t second = twi_topic(w->instrument, TWI_SLOT_CANDLE);
    put_trade(w, w->instrument, START_NS, 100, 1);
    put_trade(w, w->instrument, START_NS + 61 * SECOND, 200, 2);
    settle(w);
    twi_join_topic topics[] = {{.topic = second}, {.topic = second + 1}, {.topic = twi_topic(1, TWI_SLOT_CANDLE)}};
    twi_join join = {.kind = TWI_JOIN_SUBSCRIBE, .topic_count = 3, .topics = topics};
    want(w, "candle.1s");
    assert_true(twi_spsc_push(&w->link->requests, &join));
    settle(w);
    assert_ptr_equal(twi_spsc_peek(&w->link->replies[0]), &join);
    assert_int_equal(join.status, TW_OK);
    assert_true(next(w, &got));
    assert_int_equal(got.topic, second | TWI_TOPIC_SNAPSHOT);
    assert_int_equal(got.record.seq, topics[0].seq);
    assert_candle(&got, 1, START_NS + 61 * SECOND, 200, 2, 0);
    assert_true(next(w, &got));
    assert_candle(&got, 60, START_NS + 60 * SECOND, 200, 2, 0);
    assert_int_equal(got.record.seq, topics[1].seq);
    assert_false(next(w, &got)); /* the third has not traded */
    put_trade(w, w->instrument, START_NS + 61 * SECOND + 1, 201, 1);
    settle(w);
    assert_true(next(w, &got));
    assert_int_equal(got.record.seq, topics[0].seq + 1);
    world_close(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_stream), cmocka_unit_test(test_clock),
                                       cmocka_unit_test(test_join)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
