/* sim_events.c - see sim_events.h. */
#include "engine/loop/sim_events.h"

#include <stdlib.h>

#include "engine/base/assert.h"
#include "engine/loop/loop_sim.h"

enum { FIRST_CAPACITY = 256 };

void twi_sim_events_init(twi_sim_events *events, uint64_t seed)
{
    *events = (twi_sim_events){.dice = seed ^ 0x9e3779b97f4a7c15u};
}

void twi_sim_events_fini(twi_sim_events *events)
{
    free(events->heap);
    *events = (twi_sim_events){0};
}

/* A counter through a mixing function whose every output bit depends on every input bit. */
uint64_t twi_sim_dice(twi_sim_events *events)
{
    uint64_t mixed = events->dice += 0x9e3779b97f4a7c15u;
    mixed = (mixed ^ mixed >> 30) * 0xbf58476d1ce4e5b9u;
    mixed = (mixed ^ mixed >> 27) * 0x94d049bb133111ebu;
    return mixed ^ mixed >> 31;
}

int64_t twi_sim_between(twi_sim_events *events, int64_t low, int64_t high)
{
    if (high <= low)
        return low;
    return low + (int64_t)(twi_sim_dice(events) % (uint64_t)(high - low + 1));
}

bool twi_sim_chance(twi_sim_events *events, uint32_t ppm)
{
    return ppm > 0 && twi_sim_dice(events) % TWI_SIM_PPM < ppm;
}

static bool is_earlier(const twi_sim_event *left, const twi_sim_event *right)
{
    if (left->due_ns != right->due_ns)
        return left->due_ns < right->due_ns;
    if (left->key != right->key)
        return left->key < right->key;
    return left->sequence < right->sequence;
}

void twi_sim_push(twi_sim_events *events, twi_sim_event event)
{
    if (events->count == events->capacity) {
        events->capacity = events->capacity ? 2 * events->capacity : FIRST_CAPACITY;
        events->heap = realloc(events->heap, events->capacity * sizeof(event));
        TWI_ASSERT(events->heap != NULL);
    }
    event.key = twi_sim_dice(events);
    event.sequence = events->sequence++;
    uint32_t index = events->count++;
    while (index > 0 && is_earlier(&event, &events->heap[(index - 1) / 2])) {
        events->heap[index] = events->heap[(index - 1) / 2];
        index = (index - 1) / 2;
    }
    events->heap[index] = event;
}

static void remove_first(twi_sim_events *events)
{
    twi_sim_event last = events->heap[--events->count];
    uint32_t index = 0;
    for (;;) {
        uint32_t child = 2 * index + 1;
        if (child >= events->count)
            break;
        if (child + 1 < events->count && is_earlier(&events->heap[child + 1], &events->heap[child]))
            child++;
        if (!is_earlier(&events->heap[child], &last))
            break;
        events->heap[index] = events->heap[child];
        index = child;
    }
    events->heap[index] = last;
}

bool twi_sim_pop(twi_sim_events *events, int64_t now_ns, uint64_t sequence_end, twi_sim_event *event)
{
    if (events->count == 0 || events->heap[0].due_ns > now_ns || events->heap[0].sequence >= sequence_end)
        return false;
    *event = events->heap[0];
    remove_first(events);
    return true;
}

int64_t twi_sim_next_ns(const twi_sim_events *events)
{
    return events->count == 0 ? INT64_MAX : events->heap[0].due_ns;
}
