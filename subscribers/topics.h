/* topics.h - the topics that a pool has met: (venue, symbol, channel, interval) to a small number and back.
 *
 * Cost:      a lookup is one hash over the bytes of venue and symbol, one probe and one comparison; this runs once per
 *            received message and per connection.
 * Memory:    all tables are allocated at open for topic_count_max topics; a topic, once met, stays.
 * Thread:    the pool's. */
#ifndef TWI_SUBSCRIBERS_TOPICS_H
#define TWI_SUBSCRIBERS_TOPICS_H

#include <stddef.h>
#include <stdint.h>

#include "tickwire/subscriber.h"

#define TWI_TOPIC_NONE UINT32_MAX

typedef struct twi_topic_name {
    const char *exchange, *symbol; /* not NUL-terminated */
    uint32_t exchange_len, symbol_len;
    uint32_t interval_s;
    uint16_t channel; /* tw_channel */
} twi_topic_name;

typedef struct twi_topic_slot {
    uint32_t topic; /* TWI_TOPIC_NONE: free */
    uint32_t hash;
} twi_topic_slot;

typedef struct twi_topics {
    tw_symbols *symbols;
    tw_topic *topics;
    twi_topic_slot *slots; /* power of two, at most half full */
    uint32_t slot_mask;
    uint32_t count, count_max;
} twi_topics;

TW_MUST_USE tw_status twi_topics_open(twi_topics *topics, uint32_t topic_count_max);
void twi_topics_close(twi_topics *topics);

/* Finds or adds. TWI_TOPIC_NONE: the table is full, or a name is empty or too long. */
uint32_t twi_topics_intern(twi_topics *topics, const twi_topic_name *name);

#endif
