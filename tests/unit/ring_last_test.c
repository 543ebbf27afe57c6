/* ring_last_test.c - the last values beside the ring: what a late reader finds, that it is never torn, and that it
 * joins the stream without hole. */
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <unistd.h>

#include <cmocka.h>

#include "engine/ring/ring.h"
#include "tickwire/ring.h"

enum { INSTRUMENTS = 4, SLOTS = 1024, JOINS = 300, ERROR_BYTES = 256 };

static tw_ring *open_ring(uint8_t last_values)
{
    tw_ring_options options = {.slot_count = SLOTS, .instrument_count_max = INSTRUMENTS, .last_values = last_values};
    char error[ERROR_BYTES];
    tw_ring *ring;
    assert_int_equal(tw_ring_open(&options, &ring, error, sizeof error), TW_OK);
    return ring;
}

static tw_ring_reader *open_reader(tw_ring *ring)
{
    tw_ring_reader *reader;
    assert_int_equal(tw_ring_reader_open(ring, &reader), TW_OK);
    return reader;
}

static void put(tw_ring *ring, uint8_t kind, uint32_t instrument, int64_t value)
{
    tw_event *event = tw_ring_claim(ring);
    event->kind = kind;
    event->instrument = instrument;
    event->venue_ns = event->recv_ns = value;
    event->u.quote.bid = event->u.quote.bid_amount = event->u.quote.ask = event->u.quote.ask_amount = value;
    tw_ring_commit(ring);
}

static void test_a_late_reader_finds_the_last_of_each_kind(void **state)
{
    (void)state;
    tw_ring *ring = open_ring(1);
    put(ring, TW_EVENT_QUOTE, 2, 100);
    put(ring, TW_EVENT_TRADE, 2, 101);
    for (int64_t i = 0; i < 3 * SLOTS; i++) /* the ring itself has forgotten them long since */
        put(ring, TW_EVENT_LEVEL, 2, i);
    put(ring, TW_EVENT_QUOTE, 3, 200);
    tw_ring_reader *reader = open_reader(ring);
    tw_event event;
    uint64_t sequence;
    assert_int_equal(tw_ring_last(reader, 2, TW_EVENT_QUOTE, &event, &sequence), TW_OK);
    assert_int_equal(event.u.quote.bid, 100);
    assert_int_equal(sequence, 0);
    assert_int_equal(tw_ring_last(reader, 2, TW_EVENT_TRADE, &event, &sequence), TW_OK);
    assert_int_equal(event.u.trade.price, 101);
    assert_int_equal(sequence, 1);
    assert_int_equal(tw_ring_last(reader, 3, TW_EVENT_QUOTE, &event, &sequence), TW_OK);
    assert_int_equal(event.instrument, 3);
    assert_int_equal(sequence, tw_ring_head(ring) - 1);
    assert_int_equal(tw_ring_last(reader, 2, TW_EVENT_STATUS, &event, &sequence), TW_EMPTY);
    assert_int_equal(tw_ring_last(reader, 0, TW_EVENT_QUOTE, &event, &sequence), TW_EMPTY);
    assert_int_equal(tw_ring_last(reader, 2, TW_EVENT_LEVEL, &event, &sequence), TW_BAD_ARGUMENT);
    assert_int_equal(tw_ring_last(reader, INSTRUMENTS, TW_EVENT_QUOTE, &event, &sequence), TW_BAD_ARGUMENT);
    tw_ring_reader_close(reader);
    tw_ring_close(ring);
}

static void test_an_instrument_beyond_the_table_is_ignored(void **state)
{
    (void)state;
    tw_ring *ring = open_ring(1);
    put(ring, TW_EVENT_QUOTE, INSTRUMENTS, 1);
    put(ring, TW_EVENT_QUOTE, UINT32_MAX, 1);
    assert_int_equal(tw_ring_head(ring), 2);
    tw_ring_close(ring);
}

static void test_a_ring_without_them_says_so(void **state)
{
    (void)state;
    tw_ring *ring = open_ring(0);
    put(ring, TW_EVENT_QUOTE, 0, 1);
    tw_ring_reader *reader = open_reader(ring);
    tw_event event;
    uint64_t sequence;
    assert_int_equal(tw_ring_last(reader, 0, TW_EVENT_QUOTE, &event, &sequence), TW_NOT_SUPPORTED);
    tw_ring_reader_close(reader);
    tw_ring_close(ring);
}

static void test_a_damaged_header_is_refused(void **state)
{
    (void)state;
    char name[TWI_RING_NAME_MAX + 1], error[ERROR_BYTES];
    snprintf(name, sizeof name, "twlast.%d", (int)getpid());
    tw_ring_options options = {
        .name = name, .slot_count = SLOTS, .instrument_count_max = INSTRUMENTS, .last_values = 1, .mode = 0600};
    tw_ring *ring;
    tw_ring_reader *reader;
    assert_int_equal(tw_ring_open(&options, &ring, error, sizeof error), TW_OK);
    uint64_t right = ring->header->last_offset;
    const uint64_t wrong[] = {1, TWI_RING_PAGE_BYTES, ring->header->slots_offset, UINT64_MAX - TWI_RING_PAGE_BYTES + 1};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        ring->header->last_offset = wrong[i];
        assert_int_equal(tw_ring_attach(name, &reader, error, sizeof error), TW_UNAVAILABLE);
    }
    ring->header->last_offset = right;
    ring->header->instrument_count_max = UINT32_MAX;
    assert_int_equal(tw_ring_attach(name, &reader, error, sizeof error), TW_UNAVAILABLE);
    ring->header->instrument_count_max = INSTRUMENTS;
    assert_int_equal(tw_ring_attach(name, &reader, error, sizeof error), TW_OK);
    tw_ring_reader_close(reader);
    tw_ring_close(ring);
}

typedef struct writer {
    tw_ring *ring;
    _Atomic int is_over;
} writer;

/* Quote n of an instrument has the value n, from 1 on. */
static void *write_quotes(void *owner)
{
    writer *self = owner;
    int64_t values[INSTRUMENTS] = {0};
    for (uint64_t i = 0; !atomic_load_explicit(&self->is_over, memory_order_relaxed); i++) {
        uint32_t instrument = (uint32_t)(i * 7 % INSTRUMENTS);
        put(self->ring, TW_EVENT_QUOTE, instrument, ++values[instrument]);
        if (i % 256 == 0)
            sched_yield(); /* on one core the reader gets its turn */
    }
    return NULL;
}

static void assert_whole(const tw_event *event)
{
    assert_int_equal(event->venue_ns, event->u.quote.bid);
    assert_int_equal(event->recv_ns, event->u.quote.bid);
    assert_int_equal(event->u.quote.bid_amount, event->u.quote.bid);
    assert_int_equal(event->u.quote.ask, event->u.quote.bid);
    assert_int_equal(event->u.quote.ask_amount, event->u.quote.bid);
}

/* Attaches, takes the last value, and reads on until the instrument's next quote: it must be the next one. */
static void join_once(tw_ring *ring, uint32_t instrument)
{
    tw_ring_reader *reader = open_reader(ring);
    uint64_t position = tw_ring_reader_position(reader), sequence = 0, lost = 0;
    int64_t last = 0;
    tw_event event;
    tw_status status = tw_ring_last(reader, instrument, TW_EVENT_QUOTE, &event, &sequence);
    assert_true(status == TW_OK || status == TW_EMPTY || status == TW_AGAIN);
    if (status == TW_OK) {
        assert_whole(&event);
        last = event.u.quote.bid;
    }
    for (int tries = 0; status != TW_AGAIN && tries < 1000000; tries++) {
        if (tw_ring_read(reader, &event, 1, &lost) == 0 || event.instrument != instrument)
            continue;
        if (lost == 0 && (status == TW_EMPTY || sequence < position))
            assert_int_equal(event.u.quote.bid, last + 1);
        else if (lost == 0)
            assert_true(event.u.quote.bid <= last); /* it was newer than the head, and comes again */
        break;
    }
    tw_ring_reader_close(reader);
}

static void test_it_joins_the_stream_while_a_producer_runs(void **state)
{
    (void)state;
    writer self = {.ring = open_ring(1)};
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, write_quotes, &self), 0);
    for (uint32_t i = 0; i < JOINS; i++)
        join_once(self.ring, i % INSTRUMENTS);
    atomic_store_explicit(&self.is_over, 1, memory_order_relaxed);
    pthread_join(thread, NULL);
    tw_ring_close(self.ring);
}

static void test_a_node_that_is_not_there_is_no_reason_to_fail(void **state)
{
    (void)state;
    tw_ring_options options = {
        .slot_count = SLOTS, .instrument_count_max = INSTRUMENTS, .numa_bind = 1, .numa_node = 200};
    char error[ERROR_BYTES];
    tw_ring *ring;
    assert_int_equal(tw_ring_open(&options, &ring, error, sizeof error), TW_OK);
    put(ring, TW_EVENT_QUOTE, 0, 1);
    assert_int_not_equal(tw_ring_numa_node(ring), 200);
    tw_ring_close(ring);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_late_reader_finds_the_last_of_each_kind),
        cmocka_unit_test(test_an_instrument_beyond_the_table_is_ignored),
        cmocka_unit_test(test_a_ring_without_them_says_so),
        cmocka_unit_test(test_a_damaged_header_is_refused),
        cmocka_unit_test(test_it_joins_the_stream_while_a_producer_runs),
        cmocka_unit_test(test_a_node_that_is_not_there_is_no_reason_to_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
