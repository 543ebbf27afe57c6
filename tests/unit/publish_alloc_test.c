/* publish_alloc_test.c - from a simulated tick to framed bytes in both wire logs nothing is allocated.
 *
 * Limits:   those of counting_malloc.h. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "engine/fanout/publisher.h"
#include "feed/sim.h"
#include "tests/unit/counting_malloc.h"

enum { INSTRUMENTS = 20, TURNS = 2000, BATCH = 64, ERROR_MAX = 256 };
#define START_NS INT64_C(1700000000000000000)
#define TURN_NS  INT64_C(1000000)

static int64_t now(void *owner)
{
    return *(int64_t *)owner;
}

static void test_tick_to_frame(void **state)
{
    (void)state;
    twt_skip_unless_counting();
    char error[ERROR_MAX];
    int64_t time_ns = START_NS;
    tw_ring *ring;
    tw_ring_reader *reader;
    tw_source sim;
    tw_ring_options ring_options = {.slot_count = 4096, .instrument_count_max = INSTRUMENTS, .mode = 0600};
    assert_int_equal(tw_ring_open(&ring_options, &ring, error, sizeof error), TW_OK);
    assert_int_equal(tw_ring_reader_open(ring, &reader), TW_OK);
    twi_sim_options sim_options = {.instrument_count = INSTRUMENTS, .rate_per_second = 20000, .start_ns = START_NS};
    assert_int_equal(twi_sim_open(&sim_options, tw_ring_symbols(ring), &sim, error, sizeof error), TW_OK);
    size_t counter_bytes = twi_counters_bytes(1, 1);
    void *counter_memory = aligned_alloc(64, (counter_bytes + 63) / 64 * 64);
    twi_counters *counters = twi_counters_init(counter_memory, 1, 1);
    twi_publisher *publisher = aligned_alloc(64, (sizeof *publisher + 63) / 64 * 64);
    twi_publisher_config config = {
        .reader = reader,
        .codecs = {&tw_codec_json, &tw_codec_flatbuffers},
        .codec_count = 2,
        .instrument_count_max = INSTRUMENTS,
        .book_depth_max = 100,
        .log_bytes = 1 << 20,
        .log_index_slots = 1 << 14,
        .counters = twi_counters_open(counters, "", ""),
        .published_latency = twi_counters_stage_open(counters, TWI_STAGE_RING_TO_PUBLISHED),
        .realtime_ns = now,
        .realtime_owner = &time_ns,
    };
    assert_int_equal(twi_publisher_open(publisher, &config, error, sizeof error), TW_OK);
    for (uint32_t codec = 0; codec < 2; codec++)
        for (uint32_t topic = 0; topic < publisher->topic_count; topic++)
            publisher->codecs[codec].interest[topic] = 1;
    tw_sink sink = tw_ring_sink(ring);
    uint64_t before = twt_allocation_count;
    for (int turn = 0; turn < TURNS; turn++, time_ns += TURN_NS) {
        int64_t next_ns;
        sim.ops->step(sim.state, time_ns, BATCH, &sink, &next_ns);
        while (twi_publisher_step(publisher) > 0) {
        }
    }
    assert_int_equal(twt_allocation_count - before, 0);
    assert_true(publisher->codecs[0].log.write_index > TURNS);
    assert_int_equal(publisher->codecs[0].log.write_index, publisher->codecs[1].log.write_index);
    twi_publisher_close(publisher);
    sim.ops->fini(sim.state);
    tw_ring_reader_close(reader);
    tw_ring_close(ring);
    free(publisher);
    free(counter_memory);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_tick_to_frame)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
