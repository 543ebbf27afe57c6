/* op.h - what the backends share about operations: their kinds and states, and the queue of finished ones.
 *
 * Job:       an op is idle, armed (the loop waits for something) or queued (its result is known, its callback is owed).
 * Non-goals: sockets; each backend keeps its own slots. */
#ifndef TWI_LOOP_OP_H
#define TWI_LOOP_OP_H

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#include "engine/base/assert.h"
#include "engine/loop/loop.h"

enum { TWI_OP_IDLE = 0, TWI_OP_ARMED = 1, TWI_OP_QUEUED = 2 };

enum {
    TWI_KIND_ACCEPT = 1,
    TWI_KIND_CONNECT,
    TWI_KIND_RECV,
    TWI_KIND_SEND,
    TWI_KIND_WRITABLE,
    TWI_KIND_SHUTDOWN,
    TWI_KIND_CLOSE,
    TWI_KIND_TIMER
};

/* Finished ops in the order of finishing, linked through op->next. */
typedef struct twi_op_queue {
    twi_op *first;
    twi_op *last;
    uint32_t count;
} twi_op_queue;

static inline void twi_op_start(twi_op *op, uint8_t kind)
{
    TWI_ASSERT(op->done != NULL);
    TWI_ASSERT(op->state == TWI_OP_IDLE); /* zeroed, or after its last callback */
    op->kind = kind;
    op->state = TWI_OP_ARMED;
}

static inline void twi_op_finish(twi_op_queue *queue, twi_op *op, int32_t result)
{
    op->state = TWI_OP_QUEUED;
    op->loop_result = result;
    op->next = NULL;
    if (queue->last)
        queue->last->next = op;
    else
        queue->first = op;
    queue->last = op;
    queue->count++;
}

static inline twi_op *twi_op_queue_pop(twi_op_queue *queue)
{
    twi_op *op = queue->first;
    if (!op)
        return NULL;
    queue->first = op->next;
    if (!queue->first)
        queue->last = NULL;
    queue->count--;
    return op;
}

/* The last callback: the op is its owner's again from inside it. */
static inline void twi_op_last_call(twi_loop *loop, twi_op *op, int32_t result)
{
    op->state = TWI_OP_IDLE;
    loop->counters.callbacks++;
    op->done(loop, op, result, 0);
}

/* Runs what was finished when it was called, not what the callbacks finish in turn. Returns how many. */
static inline uint32_t twi_op_queue_run(twi_loop *loop, twi_op_queue *queue)
{
    uint32_t count = queue->count;
    for (uint32_t i = 0; i < count; i++) {
        twi_op *op = twi_op_queue_pop(queue);
        twi_op_last_call(loop, op, op->loop_result);
    }
    return count;
}

/* True when the comma list `without` holds `name`. */
static inline bool twi_list_has(const char *without, const char *name)
{
    size_t length = strlen(name);
    for (const char *at = without; at && *at; at = strchr(at, ',') ? strchr(at, ',') + 1 : NULL)
        if (strncmp(at, name, length) == 0 && (at[length] == 0 || at[length] == ','))
            return true;
    return false;
}

#endif
