/* last_receiver.c - a direct-mapped window of messages per topic. See last_receiver.h. */
#include "subscribers/last_receiver.h"

#include <stdlib.h>
#include <string.h>

enum { WINDOW = 1024, TOPICS_FIRST = 64 };

_Static_assert((WINDOW & (WINDOW - 1)) == 0, "seq is masked into the window");

void twi_last_receiver_init(twi_last_receiver *last, uint32_t receiver_count)
{
    *last = (twi_last_receiver){.receiver_count = receiver_count};
}

void twi_last_receiver_free(twi_last_receiver *last)
{
    for (uint32_t i = 0; i < last->topic_count; i++)
        free(last->topics[i]);
    free(last->topics);
    *last = (twi_last_receiver){0};
}

static twi_last_receiver_slot *window_of(twi_last_receiver *last, uint32_t topic)
{
    if (topic >= last->topic_count) {
        uint32_t count = last->topic_count ? last->topic_count : TOPICS_FIRST;
        while (count <= topic)
            count *= 2;
        twi_last_receiver_slot **topics = realloc(last->topics, count * sizeof *topics);
        if (!topics)
            return NULL;
        memset(topics + last->topic_count, 0, (count - last->topic_count) * sizeof *topics);
        last->topics = topics;
        last->topic_count = count;
    }
    if (!last->topics[topic])
        last->topics[topic] = calloc(WINDOW, sizeof(twi_last_receiver_slot));
    return last->topics[topic];
}

tw_status twi_last_receiver_add(twi_last_receiver *last, uint32_t topic, uint64_t seq, int64_t latency_ns,
                                int64_t *first_ns, int64_t *last_ns)
{
    twi_last_receiver_slot *window = window_of(last, topic);
    if (!window)
        return TW_NO_MEMORY;
    twi_last_receiver_slot *slot = &window[seq & (WINDOW - 1)];
    if (seq < slot->seq) {
        last->late++;
        return TW_NEED_MORE;
    }
    if (seq > slot->seq) {
        if (slot->seq != 0 && slot->count < last->receiver_count)
            last->incomplete++;
        *slot = (twi_last_receiver_slot){.seq = seq, .first_ns = latency_ns, .last_ns = latency_ns};
    }
    slot->count++;
    if (latency_ns < slot->first_ns)
        slot->first_ns = latency_ns;
    if (latency_ns > slot->last_ns)
        slot->last_ns = latency_ns;
    if (slot->count != last->receiver_count)
        return TW_NEED_MORE;
    last->complete++;
    *first_ns = slot->first_ns;
    *last_ns = slot->last_ns;
    return TW_OK;
}
