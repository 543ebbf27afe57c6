/* scan.h - the light reading of a data message: topic, sequence and times, nothing else.
 *
 * Job:       a bot with a thousand connections sees each message a thousand times; it needs to know which topic and
 *            number it has and when it was sent. This finds that without building events: JSON in the engine's own
 *            member order is read at fixed places, any other by a slower general scan.
 * Trust:     what is not looked at is not checked: a JSON message that begins and ends as the engine writes it is taken
 *            to be the engine's in between. Use the codec's decode to validate a message.
 * Thread:    pure functions over the caller's bytes. No allocation.
 * Non-goals: prices, amounts, levels. */
#ifndef TWI_SUBSCRIBERS_SCAN_H
#define TWI_SUBSCRIBERS_SCAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "subscribers/topics.h"

typedef struct twi_scan {
    twi_topic_name name; /* points into the message */
    uint8_t kind;        /* tw_event_kind */
    bool snapshot;
    uint32_t folded;
    uint64_t seq, prev_seq; /* LOSS: seq is `to` */
    uint64_t from, to, count;
    int64_t recv_ns, publish_ns;
} twi_scan;

/* TW_OK; TW_NOT_SUPPORTED: well-formed, but no data message (control); TW_MALFORMED. */
TW_MUST_USE tw_status twi_scan_json(const uint8_t *msg, size_t msg_len, twi_scan *scan);
TW_MUST_USE tw_status twi_scan_flatbuffers(const uint8_t *msg, size_t msg_len, twi_scan *scan);

/* "trade", "candle.1m" to channel and interval. false: no such channel. */
bool twi_scan_channel(const char *text, size_t len, uint16_t *channel, uint32_t *interval_s);

#endif
