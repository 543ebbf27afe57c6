/* ring_model_test.c - runs the ring's own protocol (engine/ring/slot.h) on every execution that the C11 memory model
 * allows for small rings.
 *
 * Machine:  every location keeps all messages ever stored to it, each with the storer's view if the store was a
 *           release. A reader's view says which message of each location is the oldest that it may still read: a load
 *           may give any message from there on, and an acquire load takes over the view of a release message. This is
 *           the view semantics of release, acquire and relaxed accesses; every interleaving is a special case. (What
 *           it leaves out, load buffering, needs a thread that stores after it loads: readers never store, the
 *           producer never loads.)
 * Reader:   one, after the producer. As only the producer stores, and loads nothing, the messages are the same in all
 *           executions and readers cannot influence anybody: an execution is the choices that one reader's loads
 *           make.
 * Search:   breadth first over (position, view) at the ends of one round of tw_ring_read()'s loop, through all
 *           choices of all loads within the round.
 * Checked:  no torn or wrong event is ever given out; order; nothing is called lost before the producer began to
 *           overwrite it; position = events given out + events lost; from every state, a reader that sees everything
 *           gets to the end.
 * Teeth:    each weakened order, and the protocol without its mark or without its second look, must be found out. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

typedef enum order {
    RELAXED,
    STRONG,   /* acquire or release */
    LEFT_OUT, /* the store does not happen; the load repeats what the last load of that location gave */
} order;

typedef struct orders {
    order mark, fill_first, fill_others, complete, look, copy, look_again;
} orders;

static const orders as_built = {RELAXED, STRONG, STRONG, STRONG, STRONG, STRONG, RELAXED};

static orders in_force;
static int words_copied;
static uint64_t model_load(const void *object, order how);
static void model_store(const void *object, uint64_t value, order how);

#define TWI_SLOT_LOAD(object, order)         model_load((object), (order))
#define TWI_SLOT_STORE(object, value, order) model_store((object), (value), (order))
#define TWI_SLOT_ORDER_MARK                  in_force.mark
#define TWI_SLOT_ORDER_FILL(word_index)      ((word_index) == 0 ? in_force.fill_first : in_force.fill_others)
#define TWI_SLOT_ORDER_COMPLETE              in_force.complete
#define TWI_SLOT_ORDER_LOOK                  in_force.look
#define TWI_SLOT_ORDER_COPY                  in_force.copy
#define TWI_SLOT_ORDER_LOOK_AGAIN            in_force.look_again
#define TWI_SLOT_ORDER_HEAD_STORE            STRONG
#define TWI_SLOT_ORDER_HEAD_LOAD             RELAXED
#include "engine/ring/slot.h"

enum {
    SLOTS_MAX = 4,
    EVENTS_MAX = 12,
    HEAD = SLOTS_MAX * 8, /* the place after the words of all slots */
    PLACES = HEAD + 1,
    MESSAGES_MAX = 2 * EVENTS_MAX + 1,
    STATES_MAX = 1 << 19,
    TABLE_SIZE = STATES_MAX * 2,
    CHOICES_MAX = 64,
};

/* ---- the machine ---- */

typedef struct view {
    uint8_t oldest[PLACES];
} view;

typedef struct message {
    uint64_t value;
    int releases;
    view released;
} message;

static struct {
    twi_slot slots[SLOTS_MAX]; /* only the addresses are used */
    _Atomic uint64_t head;
    message messages[PLACES][MESSAGES_MAX];
    uint32_t message_counts[PLACES];
    view producer, reader;
    uint64_t last_loaded[PLACES];
} machine;

/* The choices of one round, replayed up to the last one, which is then advanced. */
static struct {
    uint8_t taken[CHOICES_MAX], options[CHOICES_MAX];
    uint32_t count, next;
    int newest_only; /* the reader sees everything there is */
} choices;

static uint32_t place_of(const void *object)
{
    if (object == (const void *)&machine.head) {
        return HEAD;
    }
    return (uint32_t)(((const uint8_t *)object - (const uint8_t *)machine.slots) / 8);
}

/* A slot has 1 + 7 words, of which a setting may leave some out to make the search smaller. */
static int is_left_out(uint32_t place)
{
    return place != HEAD && place % 8 > (uint32_t)words_copied;
}

static void model_store(const void *object, uint64_t value, order how)
{
    uint32_t place = place_of(object);
    if (how == LEFT_OUT || is_left_out(place)) {
        return;
    }
    uint32_t index = machine.message_counts[place]++;
    assert_true(index < MESSAGES_MAX);
    machine.producer.oldest[place] = (uint8_t)index;
    machine.messages[place][index] = (message){.value = value, .releases = how == STRONG, .released = machine.producer};
}

static uint32_t choose(uint32_t option_count)
{
    if (choices.newest_only || option_count == 1) {
        return option_count - 1;
    }
    uint32_t i = choices.next++;
    assert_true(i < CHOICES_MAX);
    if (i == choices.count) {
        choices.taken[i] = 0;
        choices.options[i] = (uint8_t)option_count;
        choices.count++;
    }
    return choices.taken[i];
}

/* Moves to the next untried sequence of choices; 0 when all were tried. */
static int choices_advance(void)
{
    while (choices.count > 0 && choices.taken[choices.count - 1] + 1 == choices.options[choices.count - 1]) {
        choices.count--;
    }
    if (choices.count > 0) {
        choices.taken[choices.count - 1]++;
    }
    choices.next = 0;
    return choices.count > 0;
}

static uint64_t model_load(const void *object, order how)
{
    uint32_t place = place_of(object);
    if (how == LEFT_OUT || is_left_out(place)) {
        return machine.last_loaded[place];
    }
    uint32_t oldest = machine.reader.oldest[place];
    uint32_t index = oldest + choose(machine.message_counts[place] - oldest);
    const message *read = &machine.messages[place][index];
    machine.reader.oldest[place] = (uint8_t)index;
    for (uint32_t i = 0; how == STRONG && read->releases && i < PLACES; i++) {
        uint8_t released = read->released.oldest[i];
        machine.reader.oldest[i] = released > machine.reader.oldest[i] ? released : machine.reader.oldest[i];
    }
    machine.last_loaded[place] = read->value;
    return read->value;
}

/* ---- producer and reader ---- */

typedef struct setting {
    uint32_t slot_count, event_count, margin;
    int word_count;
} setting;

static uint64_t pattern(uint64_t sequence, int word)
{
    return (sequence + 1) * 100 + (uint64_t)word;
}

static twi_slots slots_of(const setting *with)
{
    return (twi_slots){
        .slots = machine.slots, .mask = with->slot_count - 1, .head = &machine.head, .lap_margin = with->margin};
}

static void produce(const setting *with)
{
    memset(&machine, 0, sizeof(machine));
    for (uint32_t i = 0; i < PLACES; i++) {
        machine.message_counts[i] = 1; /* the zero that everybody sees */
    }
    twi_slots slots = slots_of(with);
    for (uint64_t sequence = 0; sequence < with->event_count; sequence++) {
        uint64_t words[TWI_SLOT_PAYLOAD_WORDS] = {0};
        for (int i = 0; i < words_copied; i++) {
            words[i] = pattern(sequence, i);
        }
        tw_event event;
        memcpy(&event, words, sizeof(event));
        twi_slots_commit(&slots, sequence, &event);
    }
}

static int is_event(const tw_event *event, uint64_t sequence)
{
    uint64_t words[TWI_SLOT_PAYLOAD_WORDS];
    memcpy(words, event, sizeof(words));
    for (int i = 0; i < words_copied; i++) {
        if (words[i] != pattern(sequence, i)) {
            return 0;
        }
    }
    return 1;
}

/* ---- the search ---- */

typedef struct state {
    uint64_t position;
    view seen;
} state;

typedef struct findings {
    const char *broken; /* NULL: nothing */
    uint32_t state_count;
    uint64_t rounds, delivered, not_yet, overtaken, skipped; /* not 0: there was something to check */
} findings;

static state states[STATES_MAX];
static uint32_t state_table[TABLE_SIZE]; /* open addressing: index + 1 */

static uint32_t hash_of(const state *of)
{
    uint64_t hash = UINT64_C(0xcbf29ce484222325) ^ of->position;
    for (uint32_t i = 0; i < PLACES; i++) {
        hash = (hash ^ of->seen.oldest[i]) * UINT64_C(0x100000001b3);
    }
    return (uint32_t)(hash ^ hash >> 32) % TABLE_SIZE;
}

static void remember(findings *found, const state *reached)
{
    uint32_t i = hash_of(reached);
    for (; state_table[i]; i = (i + 1) % TABLE_SIZE) {
        const state *known = &states[state_table[i] - 1];
        if (known->position == reached->position && memcmp(&known->seen, &reached->seen, sizeof(view)) == 0) {
            return;
        }
    }
    assert_true(found->state_count < STATES_MAX);
    states[found->state_count] = *reached;
    state_table[i] = ++found->state_count;
}

/* One round of the loop in twi_slots_read(), from the machine's present view. */
static void play_round(const setting *with, uint64_t *position, findings *found)
{
    twi_slots slots = slots_of(with);
    tw_event event;
    uint64_t word = 0, lost = 0, before = *position;
    found->rounds++;
    switch (twi_slot_fetch(&slots.slots[before & slots.mask], before, &event, &word)) {
    case TWI_FETCH_OK:
        found->delivered++;
        *position = before + 1;
        found->broken = is_event(&event, before) ? found->broken : "a torn or wrong event was given out";
        break;
    case TWI_FETCH_NOT_YET:
        found->not_yet++;
        break;
    case TWI_FETCH_LAPPED:
        found->overtaken++;
        twi_slots_skip(&slots, position, word, &lost);
        found->skipped += lost;
        found->broken = *position - before == lost ? found->broken : "the loss is not what was skipped";
        /* The newest event that can be lost without the margin is the one whose slot the last event took. */
        if (*position > with->event_count - with->slot_count + with->margin) {
            found->broken = "an event was called lost that nobody overwrote";
        }
        break;
    }
}

/* A reader that sees everything there is comes to the end, and then only hears "not yet". */
static void play_to_the_end(const setting *with, const state *from, findings *found)
{
    uint64_t position = from->position;
    machine.reader = from->seen;
    choices.newest_only = 1;
    findings ignored = {0};
    for (uint32_t i = 0; i < 2 * with->event_count; i++) {
        play_round(with, &position, &ignored);
    }
    choices.newest_only = 0;
    if (position != with->event_count || ignored.broken || ignored.not_yet == 0) {
        found->broken = ignored.broken ? ignored.broken : "a reader that sees everything does not get to the end";
    }
}

static findings explore(const setting *with, const orders *how)
{
    findings found = {0};
    in_force = *how;
    words_copied = with->word_count;
    produce(with);
    memset(state_table, 0, sizeof(state_table));
    remember(&found, &(state){0});
    for (uint32_t i = 0; i < found.state_count && !found.broken; i++) {
        memset(&choices, 0, sizeof(choices));
        do {
            state reached = {.position = states[i].position};
            machine.reader = states[i].seen;
            play_round(with, &reached.position, &found);
            reached.seen = machine.reader;
            remember(&found, &reached);
        } while (choices_advance() && !found.broken);
        if (!found.broken) {
            play_to_the_end(with, &states[i], &found);
        }
    }
    return found;
}

static void report(const char *what, const setting *with, const findings *found)
{
    print_message("%-36s %u slots %d words %2u events: %7u states, %9llu rounds: %s\n", what, with->slot_count,
                  with->word_count, with->event_count, found->state_count, (unsigned long long)found->rounds,
                  found->broken ? found->broken : "nothing broken");
}

static void test_no_execution_breaks_the_protocol(void **unused)
{
    (void)unused;
    static const setting settings[] = {
        {.slot_count = 1, .event_count = 4, .word_count = 7},
        {.slot_count = 2, .event_count = 5, .word_count = 7},
        {.slot_count = 2, .event_count = 8, .word_count = 3},
        {.slot_count = 2, .event_count = 12, .word_count = 2},
        {.slot_count = 2, .event_count = 7, .word_count = 2, .margin = 1},
        {.slot_count = 4, .event_count = 10, .word_count = 3},
        {.slot_count = 4, .event_count = 12, .word_count = 2, .margin = 2},
    };
    for (size_t i = 0; i < sizeof(settings) / sizeof(settings[0]); i++) {
        findings found = explore(&settings[i], &as_built);
        report("as built", &settings[i], &found);
        assert_null(found.broken);
        assert_true(found.delivered > 0 && found.not_yet > 0 && found.overtaken > 0 && found.skipped > 0);
    }
}

static void test_every_weaker_protocol_is_found_out(void **unused)
{
    (void)unused;
    static const struct {
        const char *what;
        orders how;
    } weaker[] = {
        {"payload stores relaxed", {RELAXED, RELAXED, RELAXED, STRONG, STRONG, STRONG, RELAXED}},
        {"only the first payload store release", {RELAXED, STRONG, RELAXED, STRONG, STRONG, STRONG, RELAXED}},
        {"all but the first release", {RELAXED, RELAXED, STRONG, STRONG, STRONG, STRONG, RELAXED}},
        {"complete mark relaxed", {RELAXED, STRONG, STRONG, RELAXED, STRONG, STRONG, RELAXED}},
        {"first look relaxed", {RELAXED, STRONG, STRONG, STRONG, RELAXED, STRONG, RELAXED}},
        {"payload loads relaxed", {RELAXED, STRONG, STRONG, STRONG, STRONG, RELAXED, RELAXED}},
        {"no in-progress mark", {LEFT_OUT, STRONG, STRONG, STRONG, STRONG, STRONG, RELAXED}},
        {"no second look", {RELAXED, STRONG, STRONG, STRONG, STRONG, STRONG, LEFT_OUT}},
    };
    static const setting small = {.slot_count = 2, .event_count = 5, .word_count = 3};
    for (size_t i = 0; i < sizeof(weaker) / sizeof(weaker[0]); i++) {
        findings found = explore(&small, &weaker[i].how);
        report(weaker[i].what, &small, &found);
        assert_non_null(found.broken);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_no_execution_breaks_the_protocol),
        cmocka_unit_test(test_every_weaker_protocol_is_found_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
