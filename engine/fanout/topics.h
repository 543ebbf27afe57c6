/* topics.h - topic numbers: (instrument, channel) as one dense integer.
 *
 * Shape:  topic = instrument * TWI_TOPIC_SLOTS + slot. A slot is a channel, or a channel with its parameter (the
 *         interval of a candle), so that per-topic state is an array and a set of topics is a bitset.
 * Thread: pure functions. */
#ifndef TWI_TOPICS_H
#define TWI_TOPICS_H

#include <stddef.h>
#include <stdint.h>

#include "engine/candle/candle.h"
#include "tickwire/event.h"

enum {
    TWI_SLOT_TRADE = 0,
    TWI_SLOT_QUOTE = 1,
    TWI_SLOT_BOOK = 2,
    TWI_SLOT_STATUS = 3,
    TWI_SLOT_CANDLE = 4, /* .. + TWI_CANDLE_INTERVALS - 1 */
    TWI_SLOT_COUNT = TWI_SLOT_CANDLE + (int)TWI_CANDLE_INTERVALS,
    TWI_TOPIC_SLOTS = 16
};

_Static_assert((int)TWI_SLOT_COUNT <= (int)TWI_TOPIC_SLOTS, "every channel has a slot");

static inline uint32_t twi_topic(uint32_t instrument, uint32_t slot)
{
    return instrument * TWI_TOPIC_SLOTS + slot;
}
static inline uint32_t twi_topic_instrument(uint32_t topic)
{
    return topic / TWI_TOPIC_SLOTS;
}
static inline uint32_t twi_topic_slot(uint32_t topic)
{
    return topic % TWI_TOPIC_SLOTS;
}

/* "trade", ..., "candle.1m": the slot, or -1 if there is no such channel. */
int twi_slot_parse(const char *text, size_t len);
/* The channel's text as in the protocol; static storage. */
const char *twi_slot_name(uint32_t slot);
/* The record kind's channel. */
tw_channel twi_slot_channel(uint32_t slot);

#endif
