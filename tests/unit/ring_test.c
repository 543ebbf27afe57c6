/* ring_test.c - the ring through its public interface: order, exact losses, names, takeover, waiting, errors. */
#include "tickwire/ring.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "engine/base/clock.h"
#include "engine/ring/ring.h"

enum { SLOTS = 64, MARGIN = SLOTS / 8, ERROR_BYTES = 512 };

static char ring_name[TWI_RING_NAME_MAX + 1]; /* of this process, so that parallel runs do not meet */

static tw_ring *open_ring(const char *name)
{
    tw_ring_options options = {.name = name, .slot_count = SLOTS, .instrument_count_max = 8, .mode = 0640};
    char error[ERROR_BYTES] = "";
    tw_ring *ring = NULL;
    tw_status status = tw_ring_open(&options, &ring, error, sizeof(error));
    if (status != TW_OK) {
        fail_msg("open: %s: %s", tw_status_name(status), error);
    }
    return ring;
}

static tw_ring_reader *attach(const char *name)
{
    char error[ERROR_BYTES] = "";
    tw_ring_reader *reader = NULL;
    tw_status status = tw_ring_attach(name, &reader, error, sizeof(error));
    if (status != TW_OK) {
        fail_msg("attach: %s: %s", tw_status_name(status), error);
    }
    return reader;
}

static tw_ring_reader *open_reader(tw_ring *ring)
{
    tw_ring_reader *reader = NULL;
    assert_int_equal(tw_ring_reader_open(ring, &reader), TW_OK);
    return reader;
}

static void publish(tw_ring *ring, uint64_t count)
{
    for (uint64_t i = 0; i < count; i++) {
        tw_event *event = tw_ring_claim(ring);
        event->kind = TW_EVENT_TRADE;
        event->u.trade.price = (int64_t)tw_ring_head(ring);
        tw_ring_commit(ring);
    }
}

/* Reads all there is; checks that the events follow each other; returns the first one's number. */
static int64_t drain(tw_ring_reader *reader, size_t expected_count, uint64_t expected_lost)
{
    tw_event events[SLOTS];
    uint64_t lost = 0;
    size_t count = tw_ring_read(reader, events, SLOTS, &lost);
    assert_int_equal(count, expected_count);
    assert_int_equal(lost, expected_lost);
    for (size_t i = 1; i < count; i++) {
        assert_int_equal(events[i].u.trade.price, events[0].u.trade.price + (int64_t)i);
    }
    return count ? events[0].u.trade.price : -1;
}

static void test_events_arrive_in_order(void **state)
{
    (void)state;
    tw_ring *ring = open_ring(NULL);
    tw_ring_reader *reader = open_reader(ring);
    drain(reader, 0, 0);
    publish(ring, 3);
    assert_int_equal(tw_ring_reader_lag(reader), 3);
    assert_int_equal(drain(reader, 3, 0), 0);
    for (int64_t next = 3; next < 1000; next += 50) {
        publish(ring, 50);
        assert_int_equal(drain(reader, 50, 0), next);
    }
    assert_int_equal(tw_ring_reader_position(reader), tw_ring_head(ring));
    assert_int_equal(tw_ring_reader_lag(reader), 0);
    tw_ring_reader_close(reader);
    tw_ring_close(ring);
}

static void test_an_uncommitted_claim_is_not_seen(void **state)
{
    (void)state;
    tw_ring *ring = open_ring(NULL);
    tw_ring_reader *reader = open_reader(ring);
    tw_ring_claim(ring)->u.trade.price = 77;
    drain(reader, 0, 0);
    publish(ring, 1);
    assert_int_equal(drain(reader, 1, 0), 0);
    tw_ring_reader_close(reader);
    tw_ring_close(ring);
}

static void test_sink_is_the_ring(void **state)
{
    (void)state;
    tw_ring *ring = open_ring(NULL);
    tw_ring_reader *reader = open_reader(ring);
    tw_sink sink = tw_ring_sink(ring);
    tw_sink_claim(&sink)->u.trade.price = 5;
    tw_sink_commit(&sink);
    assert_int_equal(drain(reader, 1, 0), 5);
    tw_ring_reader_close(reader);
    tw_ring_close(ring);
}

static void test_a_full_ring_is_not_a_lapped_one(void **state)
{
    (void)state;
    tw_ring *ring = open_ring(NULL);
    tw_ring_reader *reader = open_reader(ring);
    publish(ring, SLOTS);
    assert_int_equal(drain(reader, SLOTS, 0), 0);
    tw_ring_reader_close(reader);
    tw_ring_close(ring);
}

static void test_lapped_reader_knows_exactly_what_it_lost(void **state)
{
    (void)state;
    for (uint64_t over = 1; over < 5 * SLOTS; over++) {
        tw_ring *ring = open_ring(NULL);
        tw_ring_reader *reader = open_reader(ring);
        publish(ring, SLOTS + over);
        /* The oldest that is there is `over`; the margin before the producer is given up too. */
        assert_int_equal(drain(reader, SLOTS - MARGIN, over + MARGIN), (int64_t)over + MARGIN);
        publish(ring, 2);
        assert_int_equal(drain(reader, 2, 0), SLOTS + (int64_t)over);
        tw_ring_reader_close(reader);
        tw_ring_close(ring);
    }
}

/* What was copied before the hole is delivered alone, so that a caller can tell where the hole lies. */
static void test_a_hole_only_lies_before_a_batch(void **state)
{
    (void)state;
    tw_ring *ring = open_ring(NULL);
    tw_ring_reader *reader = open_reader(ring);
    publish(ring, SLOTS);
    /* Slot 2 belongs to the next lap already, slots 0 and 1 do not: what a reader meets when the producer overtakes it
     * in the middle of a batch. */
    tw_event event = {.kind = TW_EVENT_TRADE};
    twi_slot_publish(&ring->slots.slots[2], SLOTS + 2, &event);
    assert_int_equal(drain(reader, 2, 0), 0);
    assert_int_equal(tw_ring_reader_position(reader), 2);
    assert_int_equal(drain(reader, SLOTS - 3 - MARGIN, 1 + MARGIN), 3 + MARGIN);
    tw_ring_reader_close(reader);
    tw_ring_close(ring);
}

/* A producer that stops between "in progress" and "complete", seen by a reader before, at and behind that slot. */
static void test_stall_inside_a_slot(void **state)
{
    (void)state;
    tw_ring *ring = open_ring(NULL);
    tw_ring_reader *reader = open_reader(ring);
    tw_ring_reader *late = open_reader(ring);
    publish(ring, SLOTS);
    drain(reader, SLOTS, 0);
    tw_event event = {.kind = TW_EVENT_TRADE, .u.trade.price = SLOTS};
    twi_slot_mark(&ring->slots.slots[0], SLOTS);
    drain(reader, 0, 0);
    assert_int_equal(tw_ring_wait(reader, 1000), TW_TIMEOUT);
    twi_slot_fill(&ring->slots.slots[0], &event);
    drain(reader, 0, 0);
    assert_int_equal(drain(late, SLOTS - 1 - MARGIN, 1 + MARGIN), 1 + MARGIN); /* event 0 is gone */
    twi_slot_complete(&ring->slots.slots[0], SLOTS);
    assert_int_equal(drain(reader, 1, 0), SLOTS);
    assert_int_equal(drain(late, 1, 0), SLOTS);
    tw_ring_reader_close(reader);
    tw_ring_reader_close(late);
    tw_ring_close(ring);
}

static void test_reader_outlives_the_ring(void **state)
{
    (void)state;
    tw_ring *ring = open_ring(NULL);
    tw_ring_reader *reader = open_reader(ring);
    publish(ring, 2);
    assert_false(tw_ring_reader_producer_dead(reader, twi_realtime_ns(), INT64_C(1000000000)));
    tw_ring_close(ring);
    assert_int_equal(tw_ring_wait(reader, 0), TW_OK);
    assert_int_equal(drain(reader, 2, 0), 0);
    assert_int_equal(tw_ring_wait(reader, INT64_MAX), TW_CLOSED);
    assert_true(tw_ring_reader_producer_dead(reader, twi_realtime_ns(), INT64_C(1000000000)));
    tw_ring_reader_close(reader);
}

static void test_heartbeat_tells_life(void **state)
{
    (void)state;
    tw_ring *ring = open_ring(NULL);
    tw_ring_reader *reader = open_reader(ring);
    tw_ring_heartbeat(ring, 1000);
    assert_false(tw_ring_reader_producer_dead(reader, 1500, 500));
    assert_true(tw_ring_reader_producer_dead(reader, 1501, 500));
    tw_ring_reader_close(reader);
    tw_ring_close(ring);
}

static void test_attach_by_name(void **state)
{
    (void)state;
    tw_ring *ring = open_ring(ring_name);
    uint32_t instrument = 0;
    assert_int_equal(tw_symbols_intern(tw_ring_symbols(ring), "sim", 3, "BTC/USDT", 8, NULL, 0, &instrument), TW_OK);
    publish(ring, 10);
    tw_ring_reader *reader = attach(ring_name);
    assert_int_equal(tw_ring_reader_epoch(reader), tw_ring_epoch(ring));
    drain(reader, 0, 0); /* starts with what comes next */
    publish(ring, 5);
    assert_int_equal(drain(reader, 5, 0), 10);
    assert_string_equal(tw_symbols_get(tw_ring_reader_symbols(reader), instrument)->symbol, "BTC/USDT");
    tw_ring_close(ring);
    tw_ring_reader_close(reader);
}

static void test_close_frees_the_name(void **state)
{
    (void)state;
    char error[ERROR_BYTES] = "";
    tw_ring_reader *reader = NULL;
    tw_ring_close(open_ring(ring_name));
    assert_int_equal(tw_ring_attach(ring_name, &reader, error, sizeof(error)), TW_UNAVAILABLE);
    assert_non_null(strstr(error, "no ring"));
    assert_null(reader);
}

static void test_a_live_producer_keeps_its_name(void **state)
{
    (void)state;
    tw_ring *ring = open_ring(ring_name);
    tw_ring *second = NULL;
    tw_ring_options options = {.name = ring_name, .slot_count = SLOTS, .instrument_count_max = 8, .mode = 0640};
    char error[ERROR_BYTES] = "";
    assert_int_equal(tw_ring_open(&options, &second, error, sizeof(error)), TW_UNAVAILABLE);
    assert_null(second);
    char pid[32];
    snprintf(pid, sizeof(pid), "pid %ld", (long)getpid());
    assert_non_null(strstr(error, pid));
    tw_ring_reader *reader = attach(ring_name); /* the refused one has not hurt it */
    publish(ring, 1);
    drain(reader, 1, 0);
    tw_ring_reader_close(reader);
    tw_ring_close(ring);
}

static void test_a_dead_producers_name_is_taken_over(void **state)
{
    (void)state;
    int ready[2];
    assert_int_equal(pipe(ready), 0);
    pid_t child = fork();
    if (child == 0) {
        tw_ring *ring = open_ring(ring_name);
        publish(ring, 1);
        _exit(write(ready[1], "x", 1) == 1 && pause() ? 0 : 1);
    }
    char byte;
    assert_int_equal(read(ready[0], &byte, 1), 1);
    tw_ring_reader *old = attach(ring_name);
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
    assert_int_equal(tw_ring_wait(old, 1000000), TW_TIMEOUT);
    tw_ring *ring = open_ring(ring_name);
    assert_int_equal(tw_ring_wait(old, INT64_MAX), TW_CLOSED); /* the new producer said it for the dead one */
    tw_ring_reader *reader = attach(ring_name);
    assert_int_not_equal(tw_ring_reader_epoch(reader), tw_ring_reader_epoch(old));
    publish(ring, 1);
    drain(reader, 1, 0);
    drain(old, 0, 0);
    tw_ring_reader_close(old);
    tw_ring_reader_close(reader);
    tw_ring_close(ring);
    close(ready[0]);
    close(ready[1]);
}

static void test_wrong_options_name_the_reason(void **state)
{
    (void)state;
    static const struct {
        tw_ring_options options;
        const char *text;
    } cases[] = {
        {{.slot_count = 0, .instrument_count_max = 1}, "slot_count"},
        {{.slot_count = 32, .instrument_count_max = 1}, "slot_count"},
        {{.slot_count = 65, .instrument_count_max = 1}, "power of two"},
        {{.slot_count = 1u << 25, .instrument_count_max = 1}, "slot_count"},
        {{.slot_count = 64, .instrument_count_max = 0}, "instrument_count_max"},
        {{.slot_count = 64, .instrument_count_max = 1, .name = ""}, "1 to"},
        {{.slot_count = 64, .instrument_count_max = 1, .name = "a/b"}, "letters"},
        {{.slot_count = 64, .instrument_count_max = 1, .name = ".a"}, "begin"},
        {{.slot_count = 64, .instrument_count_max = 1, .name = "a.lock"}, "end in"},
        {{.slot_count = 64, .instrument_count_max = 1, .name = "a-name-that-is-longer-than-macos-can"}, "1 to"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char error[ERROR_BYTES] = "";
        tw_ring *ring = NULL;
        assert_int_equal(tw_ring_open(&cases[i].options, &ring, error, sizeof(error)), TW_BAD_ARGUMENT);
        assert_null(ring);
        if (!strstr(error, cases[i].text)) {
            fail_msg("case %zu: \"%s\" lacks \"%s\"", i, error, cases[i].text);
        }
    }
}

int main(void)
{
    snprintf(ring_name, sizeof(ring_name), "tw-test-%ld", (long)getpid());
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_events_arrive_in_order),
        cmocka_unit_test(test_an_uncommitted_claim_is_not_seen),
        cmocka_unit_test(test_sink_is_the_ring),
        cmocka_unit_test(test_a_full_ring_is_not_a_lapped_one),
        cmocka_unit_test(test_lapped_reader_knows_exactly_what_it_lost),
        cmocka_unit_test(test_a_hole_only_lies_before_a_batch),
        cmocka_unit_test(test_stall_inside_a_slot),
        cmocka_unit_test(test_reader_outlives_the_ring),
        cmocka_unit_test(test_heartbeat_tells_life),
        cmocka_unit_test(test_attach_by_name),
        cmocka_unit_test(test_close_frees_the_name),
        cmocka_unit_test(test_a_live_producer_keeps_its_name),
        cmocka_unit_test(test_a_dead_producers_name_is_taken_over),
        cmocka_unit_test(test_wrong_options_name_the_reason),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
