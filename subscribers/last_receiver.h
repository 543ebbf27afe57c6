/* last_receiver.h - when the last of N connections has had a message: the latency of a fan-out, not of a connection.
 *
 * Job:       follows each (topic, seq) over the connections of one pool; when all of them have had it, says how long
 *            the first and the last of them took.
 * Memory:    a window of messages per topic, allocated when the topic is first seen. A message that is pushed out of
 *            the window before everybody had it is counted as incomplete.
 * Thread:    one; connections spread over threads cannot be followed together. */
#ifndef TWI_SUBSCRIBERS_LAST_RECEIVER_H
#define TWI_SUBSCRIBERS_LAST_RECEIVER_H

#include <stdint.h>

#include "tickwire/status.h"

typedef struct twi_last_receiver_slot {
    uint64_t seq; /* 0: free */
    int64_t first_ns, last_ns;
    uint32_t count;
    uint32_t reserved;
} twi_last_receiver_slot;

typedef struct twi_last_receiver {
    twi_last_receiver_slot **topics; /* windows by topic; NULL: not seen yet */
    uint32_t topic_count;
    uint32_t receiver_count; /* connections that have to have a message */
    uint64_t complete, incomplete, late;
} twi_last_receiver;

void twi_last_receiver_init(twi_last_receiver *last, uint32_t receiver_count);
void twi_last_receiver_free(twi_last_receiver *last);

/* One connection has had (topic, seq) latency_ns after its base. TW_OK: it was the last one, *first_ns and *last_ns are
 * the least and the greatest of all. TW_NEED_MORE: others are to come. TW_NO_MEMORY: not followed. */
tw_status twi_last_receiver_add(twi_last_receiver *last, uint32_t topic, uint64_t seq, int64_t latency_ns,
                                int64_t *first_ns, int64_t *last_ns);

#endif
