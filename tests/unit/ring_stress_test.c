/* ring_stress_test.c - the ring under fire: every word of every event is checked against its number (a torn-read
 * detector), with producers that stall at every step of a slot, readers that are lapped, readers that are killed.
 *
 * Threads:  for ThreadSanitizer; processes: for the real thing. All randomness is from fixed seeds. The ring has the
 *           smallest size, so that laps are the rule. */
#include "tickwire/ring.h"

#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "engine/ring/ring.h"

enum { SLOTS = 64, EVENTS = 400000, BATCH = 24, THREAD_READERS = 2, KILLED_READERS = 40, PING_PONGS = 2000 };
#define LONG_NS INT64_C(60000000000)

static char ring_name[TWI_RING_NAME_MAX + 1];

static uint64_t mix(uint64_t value)
{
    value = (value ^ value >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    value = (value ^ value >> 27) * UINT64_C(0x94d049bb133111eb);
    return value ^ value >> 31;
}

static tw_event event_of(uint64_t sequence)
{
    uint64_t words[TWI_SLOT_PAYLOAD_WORDS];
    for (uint64_t i = 0; i < TWI_SLOT_PAYLOAD_WORDS; i++) {
        words[i] = mix(sequence * TWI_SLOT_PAYLOAD_WORDS + i);
    }
    tw_event event;
    memcpy(&event, words, sizeof(event));
    return event;
}

static tw_ring *open_ring(const char *name)
{
    tw_ring_options options = {.name = name, .slot_count = SLOTS, .instrument_count_max = 8, .mode = 0600};
    char error[512] = "";
    tw_ring *ring = NULL;
    if (tw_ring_open(&options, &ring, error, sizeof(error)) != TW_OK) {
        fail_msg("open: %s", error);
    }
    return ring;
}

static tw_ring_reader *attach(const char *name)
{
    char error[512] = "";
    tw_ring_reader *reader = NULL;
    if (tw_ring_attach(name, &reader, error, sizeof(error)) != TW_OK) {
        print_error("attach: %s\n", error);
        abort();
    }
    return reader;
}

static void publish(tw_ring *ring)
{
    *tw_ring_claim(ring) = event_of(tw_ring_head(ring));
    tw_ring_commit(ring);
}

/* What commit() does, with a stall at one of its steps: 0 none, 1 after the mark, 2 within the payload, 3 before the
 * end. */
static void publish_stalling(tw_ring *ring, int where)
{
    uint64_t sequence = ring->next;
    twi_slot *slot = &ring->slots.slots[sequence & ring->slots.mask];
    tw_event event = event_of(sequence), half = event_of(sequence - SLOTS);
    twi_slot_mark(slot, sequence);
    if (where == 1) {
        sched_yield();
    }
    if (where == 2) { /* the first words new, the others still of the event before */
        memcpy(&half, &event, sizeof(uint64_t) * 3);
        twi_slot_fill(slot, &half);
        sched_yield();
    }
    twi_slot_fill(slot, &event);
    if (where == 3) {
        sched_yield();
    }
    twi_slot_complete(slot, sequence);
    ring->next = sequence + 1;
    atomic_store_explicit(&ring->header->head, ring->next, memory_order_release);
}

/* Bursts, pauses and stalls. */
static void produce(tw_ring *ring, uint64_t count)
{
    for (uint64_t i = 0; i < count; i++) {
        uint64_t dice = mix(i ^ UINT64_C(0xabcdef));
        if (dice % 512 < 3) {
            publish_stalling(ring, 1 + (int)(dice % 512)); /* 1, 2 or 3 */
        } else {
            publish(ring);
        }
        if ((dice >> 32 & 1023) == 0) {
            sched_yield();
        }
        tw_ring_wake(ring);
    }
}

typedef struct tally {
    uint64_t delivered, lost, torn;
} tally;

/* Reads and waits until the producer ended; every word of every event is looked at. */
static tally consume(tw_ring_reader *reader)
{
    tally sum = {0};
    for (;;) {
        tw_event events[BATCH];
        uint64_t before = tw_ring_reader_position(reader), lost = 0;
        size_t count = tw_ring_read(reader, events, BATCH, &lost);
        uint64_t first = tw_ring_reader_position(reader) - count;
        sum.torn += first != before + lost;
        for (size_t i = 0; i < count; i++) {
            tw_event expected = event_of(first + i);
            sum.torn += memcmp(&expected, &events[i], sizeof(expected)) != 0;
        }
        sum.delivered += count;
        sum.lost += lost;
        if (count == 0 && lost == 0 && tw_ring_wait(reader, LONG_NS) != TW_OK) {
            return sum;
        }
    }
}

static void check(const char *who, const tally *sum)
{
    print_message("%s: %llu delivered, %llu lost, %llu torn\n", who, (unsigned long long)sum->delivered,
                  (unsigned long long)sum->lost, (unsigned long long)sum->torn);
    assert_int_equal(sum->torn, 0);
    assert_int_equal(sum->delivered + sum->lost, EVENTS);
    assert_true(sum->delivered > 0);
}

typedef struct thread_reader {
    pthread_t thread;
    tw_ring_reader *reader;
    tally sum;
} thread_reader;

static void *consume_in_thread(void *owner)
{
    thread_reader *self = owner;
    self->sum = consume(self->reader);
    return NULL;
}

static void test_threads(void **state)
{
    (void)state;
    tw_ring *ring = open_ring(NULL);
    thread_reader readers[THREAD_READERS];
    for (int i = 0; i < THREAD_READERS; i++) {
        assert_int_equal(tw_ring_reader_open(ring, &readers[i].reader), TW_OK);
        assert_int_equal(pthread_create(&readers[i].thread, NULL, consume_in_thread, &readers[i]), 0);
    }
    produce(ring, EVENTS);
    tw_ring_close(ring);
    for (int i = 0; i < THREAD_READERS; i++) {
        pthread_join(readers[i].thread, NULL);
        check("thread", &readers[i].sum);
        tw_ring_reader_close(readers[i].reader);
    }
}

static void expect_exit(pid_t child, int signal)
{
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(signal ? WIFSIGNALED(status) && WTERMSIG(status) == signal : WIFEXITED(status) && !WEXITSTATUS(status));
}

/* Blocks until the other side wrote a byte. */
static void pipe_wait(int fd)
{
    char byte;
    assert_int_equal(read(fd, &byte, 1), 1);
}

static void pipe_signal(int fd)
{
    if (write(fd, "x", 1) != 1) {
        abort();
    }
}

static void test_processes(void **state)
{
    (void)state;
    int made[2], attached[2];
    assert_true(pipe(made) == 0 && pipe(attached) == 0);
    pid_t producer = fork();
    if (producer == 0) {
        tw_ring *ring = open_ring(ring_name);
        pipe_signal(made[1]);
        pipe_wait(attached[0]);
        produce(ring, EVENTS);
        tw_ring_close(ring);
        _exit(0);
    }
    pipe_wait(made[0]);
    tw_ring_reader *reader = attach(ring_name);
    pipe_signal(attached[1]);
    tally sum = consume(reader);
    check("process", &sum);
    tw_ring_reader_close(reader);
    expect_exit(producer, 0);
    close(made[0]), close(made[1]), close(attached[0]), close(attached[1]);
}

/* Readers die at any instant, reading or asleep; the producer and the one that stays do not notice. */
static void test_killed_readers(void **state)
{
    (void)state;
    tw_ring *ring = open_ring(ring_name);
    tw_ring_reader *stays = attach(ring_name);
    int ready[2];
    assert_int_equal(pipe(ready), 0);
    for (uint64_t i = 0; i < KILLED_READERS; i++) {
        pid_t child = fork();
        if (child == 0) {
            tw_ring_reader *reader = attach(ring_name);
            pipe_signal(ready[1]);
            consume(reader);
            _exit(0);
        }
        pipe_wait(ready[0]);
        produce(ring, mix(i) % 3000);
        kill(child, SIGKILL);
        produce(ring, mix(i) % 100);
        expect_exit(child, SIGKILL);
    }
    uint64_t total = tw_ring_head(ring);
    tw_ring_close(ring);
    tally sum = consume(stays);
    assert_int_equal(sum.torn, 0);
    assert_int_equal(sum.delivered + sum.lost, total);
    tw_ring_reader_close(stays);
    close(ready[0]), close(ready[1]);
}

/* Two processes hand one event back and forth, asleep in between: a lost wake would cost a tenth of a second each. */
static void test_sleepers_are_woken(void **state)
{
    (void)state;
    char back_name[TWI_RING_NAME_MAX + 1];
    snprintf(back_name, sizeof(back_name), "tw-back-%ld", (long)getpid());
    tw_ring *there = open_ring(ring_name), *back = open_ring(back_name);
    tw_ring_reader *answers = attach(back_name);
    int ready[2];
    assert_int_equal(pipe(ready), 0);
    pid_t child = fork();
    if (child == 0) {
        tw_ring_reader *questions = attach(ring_name);
        pipe_signal(ready[1]);
        for (int i = 0; i < PING_PONGS; i++) {
            tw_event event;
            uint64_t lost = 0;
            if (tw_ring_wait(questions, LONG_NS) != TW_OK || tw_ring_read(questions, &event, 1, &lost) != 1) {
                _exit(1);
            }
            publish(back);
            tw_ring_wake(back);
        }
        _exit(0);
    }
    pipe_wait(ready[0]);
    for (int i = 0; i < PING_PONGS; i++) {
        tw_event event;
        uint64_t lost = 0;
        publish(there);
        tw_ring_wake(there);
        assert_int_equal(tw_ring_wait(answers, LONG_NS), TW_OK);
        assert_int_equal(tw_ring_read(answers, &event, 1, &lost), 1);
        assert_int_equal(lost, 0);
    }
    expect_exit(child, 0);
    tw_ring_close(there);
    tw_ring_close(back);
    tw_ring_reader_close(answers);
    close(ready[0]), close(ready[1]);
}

int main(void)
{
    snprintf(ring_name, sizeof(ring_name), "tw-stress-%ld", (long)getpid());
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_threads),
        cmocka_unit_test(test_processes),
        cmocka_unit_test(test_killed_readers),
        cmocka_unit_test(test_sleepers_are_woken),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
