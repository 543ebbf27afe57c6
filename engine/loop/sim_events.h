/* sim_events.h - what is going to happen in a simulated loop: a heap of events by (time, random key), and the dice.
 *
 * Job:       events of equal time come in an order that the seed chooses; equal seeds choose equally.
 * Usage:     by loop_sim.c only.
 * Non-goals: what the events mean. */
#ifndef TWI_SIM_EVENTS_H
#define TWI_SIM_EVENTS_H

#include <stdbool.h>
#include <stdint.h>

#include "engine/loop/loop.h"

typedef struct twi_sim_event {
    int64_t due_ns;
    uint64_t key;      /* random */
    uint64_t sequence; /* of pushing: the last word on order, and what a poll may still run */
    uint64_t until;    /* bytes, for arrivals */
    twi_op *op;
    int32_t result;
    uint32_t index; /* slot or connection */
    uint32_t generation;
    uint8_t kind;
    uint8_t side;
} twi_sim_event;

typedef struct twi_sim_events {
    twi_sim_event *heap;
    uint32_t count;
    uint32_t capacity;
    uint64_t sequence;
    uint64_t dice;
} twi_sim_events;

void twi_sim_events_init(twi_sim_events *events, uint64_t seed);
void twi_sim_events_fini(twi_sim_events *events);

/* Gives the event its key and sequence. Aborts when there is no memory: this is test equipment. */
void twi_sim_push(twi_sim_events *events, twi_sim_event event);
/* The first event due at or before now_ns that was pushed before `sequence_end`; false when there is none. */
bool twi_sim_pop(twi_sim_events *events, int64_t now_ns, uint64_t sequence_end, twi_sim_event *event);
/* INT64_MAX: nothing is going to happen. */
int64_t twi_sim_next_ns(const twi_sim_events *events);

uint64_t twi_sim_dice(twi_sim_events *events);
/* low .. high, both included; low when high is not above it. */
int64_t twi_sim_between(twi_sim_events *events, int64_t low, int64_t high);
bool twi_sim_chance(twi_sim_events *events, uint32_t ppm);

#endif
