/* ring_doorbell_model_test.c - no sleeper misses its wake: all interleavings of the doorbell's steps, as
 * engine/ring/doorbell.c and tw_ring_wait() do them.
 *
 * Machine:  one producer that publishes some events and rings after each, two readers that sleep when they see
 *           nothing. A plain look at the ring may miss what was published, unless the reader has acquired it: from
 *           the doorbell's word, or by having read it. Read-modify-writes of the word see its newest value and pass
 *           on what the one before knew.
 * Broken:   the producer has published and rung for the last time, and a reader is asleep with something unread.
 * Teeth:    without the generation, without the second look, with a plain load in place of the producer's
 *           read-modify-write, or a relaxed announcement, the search must find a lost wake. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "engine/ring/doorbell.h"

enum { READERS = 2, STATES_MAX = 1 << 18, TABLE_SIZE = 2 * STATES_MAX };

typedef enum producer_step { PUBLISH, LOOK_AT_WORD, NEXT_GENERATION, WAKE, DONE } producer_step;
typedef enum reader_step { LOOK, ANNOUNCE, LOOK_AGAIN, FALL_ASLEEP, ASLEEP } reader_step;

/* Bytes only, so that equal states are equal memory. */
typedef struct reader {
    uint8_t step, cursor, knows, announced;
} reader;

typedef struct state {
    uint8_t producer, published, word, word_knows;
    reader readers[READERS];
} state;

typedef struct rules {
    int no_generation, no_second_look, plain_load_by_producer, relaxed_announcement;
} rules;

static struct {
    state states[STATES_MAX];
    uint32_t table[TABLE_SIZE]; /* index + 1 */
    uint32_t count;
} search;

static uint8_t larger(uint8_t a, uint8_t b)
{
    return a > b ? a : b;
}

static void remember(state reached)
{
    uint64_t hash = UINT64_C(0xcbf29ce484222325);
    const uint8_t *bytes = (const uint8_t *)&reached;
    for (size_t i = 0; i < sizeof(reached); i++) {
        hash = (hash ^ bytes[i]) * UINT64_C(0x100000001b3);
    }
    uint32_t i = (uint32_t)(hash ^ hash >> 29) % TABLE_SIZE;
    for (; search.table[i]; i = (i + 1) % TABLE_SIZE) {
        if (memcmp(&search.states[search.table[i] - 1], &reached, sizeof(reached)) == 0) {
            return;
        }
    }
    assert_true(search.count < STATES_MAX);
    search.states[search.count] = reached;
    search.table[i] = ++search.count;
}

static uint8_t after_ringing(const state *at, uint8_t event_count)
{
    return at->published == event_count ? DONE : PUBLISH;
}

static void step_producer(state at, const rules *by, uint8_t event_count)
{
    switch ((producer_step)at.producer) {
    case PUBLISH:
        at.published++;
        at.producer = LOOK_AT_WORD;
        remember(at);
        break;
    case LOOK_AT_WORD:
        if (by->plain_load_by_producer) {
            state stale = at; /* done before the event's stores are visible: sees nobody */
            stale.producer = after_ringing(&at, event_count);
            remember(stale);
        } else {
            at.word_knows = at.published;
        }
        at.producer = at.word & TWI_DOORBELL_SLEEPING ? NEXT_GENERATION : after_ringing(&at, event_count);
        remember(at);
        break;
    case NEXT_GENERATION:
        at.word = by->no_generation ? 0 : (uint8_t)(at.word + 1);
        at.word_knows = at.published;
        at.producer = WAKE;
        remember(at);
        break;
    case WAKE:
        for (int i = 0; i < READERS; i++) {
            at.readers[i].step = at.readers[i].step == ASLEEP ? LOOK : at.readers[i].step;
        }
        at.producer = after_ringing(&at, event_count);
        remember(at);
        break;
    case DONE:
        break;
    }
}

/* Both outcomes of a look at the ring, as far as they are possible. */
static void look(state at, int i, uint8_t if_empty)
{
    reader *me = &at.readers[i];
    int must_see = me->knows > me->cursor, may_see = at.published > me->cursor;
    if (!must_see) {
        me->step = if_empty;
        remember(at);
    }
    if (may_see) {
        me->cursor++;
        me->knows = larger(me->knows, me->cursor);
        me->step = LOOK;
        remember(at);
    }
}

static void step_reader(state at, int i, const rules *by)
{
    reader *me = &at.readers[i];
    switch ((reader_step)me->step) {
    case LOOK:
        look(at, i, ANNOUNCE);
        break;
    case ANNOUNCE:
        at.word |= TWI_DOORBELL_SLEEPING;
        me->announced = at.word;
        if (!by->relaxed_announcement) {
            me->knows = larger(me->knows, at.word_knows);
            at.word_knows = larger(at.word_knows, me->knows);
        }
        me->step = by->no_second_look ? FALL_ASLEEP : LOOK_AGAIN;
        remember(at);
        break;
    case LOOK_AGAIN:
        look(at, i, FALL_ASLEEP);
        break;
    case FALL_ASLEEP: /* the kernel compares and queues in one step */
        me->step = at.word == me->announced ? ASLEEP : LOOK;
        remember(at);
        break;
    case ASLEEP:
        break;
    }
}

static int has_lost_a_wake(const state *at)
{
    for (int i = 0; i < READERS; i++) {
        if (at->producer == DONE && at->readers[i].step == ASLEEP && at->readers[i].cursor < at->published) {
            return 1;
        }
    }
    return 0;
}

/* 1 if a wake can be lost. */
static int explore(const rules *by, uint8_t event_count)
{
    memset(&search, 0, sizeof(search));
    remember((state){0});
    for (uint32_t n = 0; n < search.count; n++) {
        state at = search.states[n];
        if (has_lost_a_wake(&at)) {
            return 1;
        }
        step_producer(at, by, event_count);
        for (int i = 0; i < READERS; i++) {
            step_reader(at, i, by);
        }
    }
    return 0;
}

static void test_no_wake_is_lost(void **unused)
{
    (void)unused;
    for (uint8_t events = 1; events <= 4; events++) {
        assert_false(explore(&(rules){0}, events));
        print_message("%u events, %d readers: %u states\n", events, READERS, search.count);
    }
}

static void test_every_weaker_protocol_is_found_out(void **unused)
{
    (void)unused;
    assert_true(explore(&(rules){.no_generation = 1}, 3));
    assert_true(explore(&(rules){.no_second_look = 1}, 3));
    assert_true(explore(&(rules){.plain_load_by_producer = 1}, 3));
    assert_true(explore(&(rules){.relaxed_announcement = 1}, 3));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_no_wake_is_lost),
        cmocka_unit_test(test_every_weaker_protocol_is_found_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
