/* timers.c - see timers.h. Four children per node keep the heap shallow and its children in one or two cache lines. */
#include "engine/loop/timers.h"

#include <stdlib.h>

#include "engine/base/assert.h"
#include "engine/base/clock.h"
#include "engine/loop/op.h"

enum { CHILDREN = 4 };

tw_status twi_timers_init(twi_timers *timers, uint32_t capacity)
{
    *timers = (twi_timers){.capacity = capacity};
    timers->entries = calloc(capacity, sizeof(timers->entries[0]));
    return timers->entries ? TW_OK : TW_NO_MEMORY;
}

void twi_timers_fini(twi_timers *timers)
{
    free(timers->entries);
    *timers = (twi_timers){0};
}

static bool is_earlier(const twi_timer_entry *left, const twi_timer_entry *right)
{
    if (left->deadline_ns != right->deadline_ns)
        return left->deadline_ns < right->deadline_ns;
    return left->sequence < right->sequence;
}

static void put(twi_timers *timers, uint32_t index, twi_timer_entry entry)
{
    timers->entries[index] = entry;
    entry.op->loop_index = index;
}

static void sift_up(twi_timers *timers, uint32_t index, twi_timer_entry entry)
{
    while (index > 0) {
        uint32_t parent = (index - 1) / CHILDREN;
        if (!is_earlier(&entry, &timers->entries[parent]))
            break;
        put(timers, index, timers->entries[parent]);
        index = parent;
    }
    put(timers, index, entry);
}

static uint32_t earliest_child(const twi_timers *timers, uint32_t first)
{
    uint32_t end = first + CHILDREN < timers->count ? first + CHILDREN : timers->count;
    uint32_t best = first;
    for (uint32_t child = first + 1; child < end; child++)
        if (is_earlier(&timers->entries[child], &timers->entries[best]))
            best = child;
    return best;
}

static void sift_down(twi_timers *timers, uint32_t index, twi_timer_entry entry)
{
    for (;;) {
        uint32_t first = index * CHILDREN + 1;
        if (first >= timers->count)
            break;
        uint32_t child = earliest_child(timers, first);
        if (!is_earlier(&timers->entries[child], &entry))
            break;
        put(timers, index, timers->entries[child]);
        index = child;
    }
    put(timers, index, entry);
}

static void remove_at(twi_timers *timers, uint32_t index)
{
    twi_timer_entry last = timers->entries[--timers->count];
    if (index == timers->count)
        return;
    if (index > 0 && is_earlier(&last, &timers->entries[(index - 1) / CHILDREN]))
        sift_up(timers, index, last);
    else
        sift_down(timers, index, last);
}

tw_status twi_timers_arm(twi_timers *timers, twi_op *op, int64_t deadline_ns)
{
    if (timers->count == timers->capacity)
        return TW_FULL;
    sift_up(timers, timers->count++, (twi_timer_entry){deadline_ns, timers->sequence++, op});
    return TW_OK;
}

void twi_timers_cancel(twi_timers *timers, twi_op *op)
{
    TWI_ASSERT(op->loop_index < timers->count);
    TWI_ASSERT(timers->entries[op->loop_index].op == op);
    remove_at(timers, op->loop_index);
}

twi_op *twi_timers_pop(twi_timers *timers, int64_t now_ns)
{
    if (timers->count == 0 || timers->entries[0].deadline_ns > now_ns)
        return NULL;
    twi_op *op = timers->entries[0].op;
    remove_at(timers, 0);
    return op;
}

uint32_t twi_timers_run(twi_timers *timers, twi_loop *loop, int64_t now_ns)
{
    uint32_t callbacks = 0;
    uint32_t armed = timers->count;
    for (; callbacks < armed; callbacks++) {
        twi_op *op = twi_timers_pop(timers, now_ns);
        if (!op)
            break;
        twi_op_last_call(loop, op, TW_OK);
    }
    return callbacks;
}

int64_t twi_timers_wait_ns(const twi_timers *timers, int64_t wait_until_ns)
{
    int64_t until_ns = wait_until_ns;
    if (twi_timers_next_ns(timers) < until_ns)
        until_ns = twi_timers_next_ns(timers);
    if (until_ns == INT64_MAX)
        return -1;
    if (until_ns <= 0)
        return 0;
    int64_t left_ns = until_ns - twi_monotonic_ns();
    return left_ns > 0 ? left_ns : 0;
}
