/* codec.h - the seam between events and bytes: encode once per codec, send to everyone.
 *
 * Shape:    pure functions over (record, bytes); equal records give equal bytes, so that vectors are golden and one
 *           encoding serves every subscriber. The WebSocket frame header is not part of it.
 * Memory:   no allocation; the caller owns every buffer. encode() cannot fail when out holds bound() bytes.
 * Thread:   any, as long as the symbol table outlives the call. */
#ifndef TICKWIRE_CODEC_H
#define TICKWIRE_CODEC_H

#include <stddef.h>
#include <stdint.h>

#include "tickwire/event.h"
#include "tickwire/symbols.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { TW_CODEC_ABI = 1 };

/* One message to a subscriber: an event (or one group of LEVEL events) with its place in the topic's sequence. */
typedef struct tw_record {
    const tw_event *events; /* one event; a LEVEL group; CANDLE + CANDLE_TAIL; one BOOK_CLEAR */
    uint32_t event_count;
    uint32_t folded;    /* how many messages were folded into this one by conflation; 0 leaves the member out */
    uint64_t seq;       /* per topic and epoch, without holes */
    uint64_t prev_seq;  /* 0: the one before is seq - 1 and the member is left out; else the last one delivered */
    int64_t publish_ns; /* Unix time, when the engine framed it */
} tw_record;

typedef struct tw_codec_ops {
    uint32_t abi;      /* TW_CODEC_ABI */
    const char *name;  /* "json", "flatbuffers" */
    uint8_t ws_opcode; /* RFC 6455 section 5.2: 1 text, 2 binary */
    /* Worst-case bytes of one message of event_count events. */
    size_t (*bound)(uint32_t event_count);
    /* Bytes written; 0 only if out_cap < bound(event_count). */
    size_t (*encode)(const tw_symbols *symbols, const tw_record *record, uint8_t *out, size_t out_cap);
    /* Decodes one message into events[0..*event_count): in: capacity, out: used. record->events points to events.
     * Instruments that are not in the table yet are interned. TW_MALFORMED: bad bytes (any bytes are survived);
     * TW_TOO_BIG: more events than capacity; TW_NOT_SUPPORTED: a well-formed message that is not data (control);
     * TW_FULL: the table has no place for a new instrument. Only on TW_OK do events, count and record mean anything. */
    tw_status (*decode)(tw_symbols *symbols, const uint8_t *msg, size_t msg_len, tw_event *events,
                        uint32_t *event_count, tw_record *record);
} tw_codec_ops;

extern TW_API const tw_codec_ops tw_codec_json;        /* text messages with ccxt's names, one object each */
extern TW_API const tw_codec_ops tw_codec_flatbuffers; /* binary messages by market.fbs */

#ifdef __cplusplus
}
#endif
#endif
