/* spsc.h - a bounded queue of pointers from one thread to one other, wait-free on both sides.
 *
 * Shape:   power-of-two slots; head and tail count up for ever on lines of their own.
 * Order:   push releases what the pushing thread wrote before; pop acquires it. */
#ifndef TWI_SPSC_H
#define TWI_SPSC_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/base/compiler.h"

enum { TWI_SPSC_SLOTS = 256 };

typedef struct twi_spsc {
    TWI_ALIGNED(64) _Atomic uint32_t head; /* written by the consumer */
    TWI_ALIGNED(64) _Atomic uint32_t tail; /* written by the producer */
    TWI_ALIGNED(64) void *slots[TWI_SPSC_SLOTS];
} twi_spsc;

/* Producer: 0 if the queue is full. */
static inline int twi_spsc_push(twi_spsc *queue, void *item)
{
    uint32_t tail = atomic_load_explicit(&queue->tail, memory_order_relaxed);
    if (tail - atomic_load_explicit(&queue->head, memory_order_acquire) == TWI_SPSC_SLOTS)
        return 0;
    queue->slots[tail % TWI_SPSC_SLOTS] = item;
    atomic_store_explicit(&queue->tail, tail + 1, memory_order_release);
    return 1;
}

/* Consumer: the oldest item without taking it; NULL if there is none. */
static inline void *twi_spsc_peek(twi_spsc *queue)
{
    uint32_t head = atomic_load_explicit(&queue->head, memory_order_relaxed);
    if (head == atomic_load_explicit(&queue->tail, memory_order_acquire))
        return NULL;
    return queue->slots[head % TWI_SPSC_SLOTS];
}

/* Consumer: takes what peek() showed. */
static inline void twi_spsc_pop(twi_spsc *queue)
{
    uint32_t head = atomic_load_explicit(&queue->head, memory_order_relaxed);
    atomic_store_explicit(&queue->head, head + 1, memory_order_release);
}

#endif
