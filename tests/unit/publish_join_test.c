/* publish_join_test.c - who joins in the middle of a book message gets whole books only.
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

enum { ERROR_MAX = 256, INSTRUMENTS = 3, HISTORY = 10, LEVELS = 4, STEPS_MAX = 1 << 20 };

typedef struct world {
    tw_ring *ring;
    tw_ring_reader *reader;
    twi_publisher *publisher;
    twi_join_link *link;
    void *counter_memory;
    twi_cells *cells;
    tw_symbols *decoded;
    int64_t time_ns;
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

static void put_level(world *w, uint32_t number, unsigned flags)
{
    *tw_ring_claim(w->ring) =
        (tw_event){.instrument = w->instrument,
                   .kind = TW_EVENT_LEVEL,
                   .flags = (uint8_t)(flags | (number % 2 ? TW_FLAG_ASK : 0)),
                   .recv_ns = START_NS,
                   .u.level = {.price = number % 2 ? 101 + number : 100 - number, .amount = 1, .venue_seq = 1}};
    tw_ring_commit(w->ring);
}

static void ask(world *w, twi_join *join, twi_join_topic *topic)
{
    *topic = (twi_join_topic){.topic = twi_topic(w->instrument, TWI_SLOT_BOOK)};
    *join = (twi_join){.kind = TWI_JOIN_SUBSCRIBE, .topic_count = 1, .topics = topic};
    assert_true(twi_spsc_push(&w->link->requests, join));
}

/* Events in the snapshot that the join was answered with. */
static uint32_t joined_levels(world *w, const twi_join *join)
{
    twi_wire_log *log = &w->publisher->codecs[0].log;
    twi_wire_entry entry;
    tw_event events[LEVELS + 1];
    tw_record record;
    uint32_t count = LEVELS + 1;
    assert_int_equal(join->end, join->begin + 1);
    assert_int_equal(twi_wire_log_entry(log, join->begin, &entry), TW_OK);
    size_t header = entry.bytes < 128 ? 2 : 4;
    assert_int_equal(tw_codec_flatbuffers.decode(w->decoded, twi_wire_log_at(log, entry.offset) + header,
                                                 entry.bytes - header, events, &count, &record),
                     TW_OK);
    return count;
}

static void a_join_waits_for_the_end_of_a_book_message(void **state)
{
    (void)state;
    world *w = world_open();
    twi_join join;
    twi_join_topic topic;
    put_level(w, 0, TW_FLAG_FIRST | TW_FLAG_SNAPSHOT);
    put_level(w, 1, TW_FLAG_SNAPSHOT);
    twi_publisher_step(w->publisher);
    ask(w, &join, &topic);
    for (int i = 0; i < 10; i++)
        twi_publisher_step(w->publisher);
    assert_null(twi_spsc_peek(&w->link->replies[0])); /* half a book is no book */
    assert_true(twi_publisher_pending(w->publisher)); /* and nobody sleeps over it */
    put_level(w, 2, TW_FLAG_SNAPSHOT);
    put_level(w, 3, TW_FLAG_SNAPSHOT | TW_FLAG_LAST);
    for (int i = 0; i < 3; i++)
        twi_publisher_step(w->publisher);
    assert_ptr_equal(twi_spsc_peek(&w->link->replies[0]), &join);
    assert_int_equal(topic.seq, 1);
    assert_int_equal(joined_levels(w, &join), LEVELS);
    world_close(w);
}

static void a_message_without_an_end_holds_nobody_up_for_ever(void **state)
{
    (void)state;
    world *w = world_open();
    twi_join join;
    twi_join_topic topic;
    put_level(w, 0, TW_FLAG_FIRST | TW_FLAG_SNAPSHOT);
    twi_publisher_step(w->publisher);
    ask(w, &join, &topic);
    int steps = 0;
    while (twi_spsc_peek(&w->link->replies[0]) == NULL && ++steps < STEPS_MAX)
        twi_publisher_step(w->publisher);
    assert_in_range(steps, 10, STEPS_MAX - 1);
    world_close(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_join_waits_for_the_end_of_a_book_message),
        cmocka_unit_test(a_message_without_an_end_holds_nobody_up_for_ever),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
