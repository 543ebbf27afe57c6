/* fanout_messages.h - the messages that fanout_limit sends: cut up once, so that making one is a few copies.
 *
 * Job:       reads JSON messages (or invents some), finds the numbers that change (seq, recv_ns, publish_ns), and
 *            writes WebSocket frames with those numbers filled in. seq counts per topic.
 * Thread:    one. Memory: allocated when messages are loaded; framing allocates nothing.
 * Errors:    it serves one program: what cannot be loaded is said on standard error and ends it.
 * Non-goals: JSON. A message is text with three numbers in it. */
#ifndef TWI_BENCH_FANOUT_MESSAGES_H
#define TWI_BENCH_FANOUT_MESSAGES_H

#include <stdint.h>

enum {
    FANOUT_TEMPLATE_COUNT_MAX = 4096,
    FANOUT_HOLE_COUNT = 3, /* seq, recv_ns, publish_ns */
    FANOUT_FRAME_HEADER_BYTES_MAX = 10,
    FANOUT_DIGITS_MAX = 20
};

/* text[0] number[0] text[1] number[1] ... text[hole_count]; a number that the message does not have is no hole. */
typedef struct fanout_template {
    char *text[FANOUT_HOLE_COUNT + 1];
    uint32_t text_bytes[FANOUT_HOLE_COUNT + 1];
    uint8_t number[FANOUT_HOLE_COUNT]; /* which number stands in hole i */
    uint32_t hole_count;
    uint32_t topic;
    uint32_t frame_bytes_max;
} fanout_template;

typedef struct fanout_messages {
    fanout_template *templates;
    uint64_t *topic_seq;
    uint32_t template_count;
    uint32_t next;
    uint32_t frame_bytes_max; /* of the longest */
} fanout_messages;

/* From a file with one JSON message per line; path NULL: trades and quotes of `symbol_count` symbols of its own. */
void fanout_messages_load(fanout_messages *messages, const char *path, uint32_t symbol_count);

/* Frames the next message at out, which holds frame_bytes_max bytes; returns the bytes written. */
uint32_t fanout_messages_frame(fanout_messages *messages, uint8_t *out, int64_t recv_ns, int64_t publish_ns);

#endif
