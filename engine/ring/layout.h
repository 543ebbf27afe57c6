/* layout.h - what lies where in a ring's shared memory. Both sides of the mapping agree on this file and its version.
 *
 * Order:    header page, instrument table (tw_symbols), last values (if the ring keeps them), slots. Offsets stand in
 *           the header; a reader checks them against the size of the object before it believes them, and keeps private
 *           copies.
 * Last:     TWI_RING_LAST_KINDS slots per instrument, under the same protocol as the ring's own; the word tells which
 *           event it is. They are written before the event is published, so that a reader which takes the head first
 *           and a last value afterwards has everything that lies before that head.
 * Lines:    what the producer writes per event (head) and once in a while (heartbeat, ended) has cache lines of its
 *           own, so that nobody who looks at one of them disturbs another.
 * Sleepers: readers map all this read-only. The flag by which a sleeping reader is known lies elsewhere (doorbell.h).
 * Change:   any change of a struct here raises TWI_RING_LAYOUT_VERSION; magic and layout_version stay where they are.
 */
#ifndef TWI_RING_LAYOUT_H
#define TWI_RING_LAYOUT_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/base/compiler.h"
#include "engine/ring/slot.h"
#include "tickwire/ring.h"

#define TWI_RING_MAGIC UINT64_C(0x676e6952776b6354) /* "TckwRing" in a little-endian memory */

enum {
    TWI_RING_LAYOUT_VERSION = 2,
    TWI_RING_SLOT_COUNT_MIN = 64,
    TWI_RING_SLOT_COUNT_MAX = 1 << 24,
    TWI_RING_INSTRUMENT_COUNT_MAX = 1 << 20,
    TWI_RING_PAGE_BYTES = 4096,
    TWI_RING_HUGE_PAGE_BYTES = 2 << 20,
    TWI_RING_NAME_MAX = 28,        /* macOS allows 31 bytes with the slash and the NUL */
    TWI_RING_LAST_KINDS = 3,       /* trade, quote, status */
    TWI_RING_LAP_MARGIN_SHIFT = 3, /* a lapped reader leaves 1/8 of the ring between itself and the producer */
};

typedef struct twi_ring_header {
    _Atomic uint64_t magic;  /* stored last (release): whoever sees it sees a complete header */
    uint32_t layout_version; /* constant from here on */
    uint32_t slot_count;
    uint64_t total_bytes;
    uint64_t symbols_offset;
    uint64_t last_offset; /* 0: no last values */
    uint64_t slots_offset;
    uint64_t epoch;
    int64_t started_ns; /* Unix time */
    uint32_t instrument_count_max;
    int32_t producer_pid;
    int32_t doorbell_id; /* -1: none, readers that wait have to poll */

    TWI_ALIGNED(TWI_CACHE_LINE_BYTES) _Atomic uint64_t head;        /* sequence number of the next event */
    TWI_ALIGNED(TWI_CACHE_LINE_BYTES) _Atomic int64_t heartbeat_ns; /* Unix time */
    TWI_ALIGNED(TWI_CACHE_LINE_BYTES) _Atomic uint32_t ended;       /* 1: this epoch gets no more events */
} twi_ring_header;

/* The place of an event's kind among an instrument's last values; TWI_RING_LAST_KINDS: it is not kept. */
static inline uint32_t twi_ring_last_place(uint8_t kind)
{
    switch (kind) {
    case TW_EVENT_TRADE:
        return 0;
    case TW_EVENT_QUOTE:
        return 1;
    case TW_EVENT_STATUS:
        return 2;
    default:
        return TWI_RING_LAST_KINDS;
    }
}

_Static_assert(TWI_SLOT_BYTES == (int)TW_RING_SLOT_BYTES, "as published");
_Static_assert(TWI_RING_LAST_KINDS *TWI_SLOT_BYTES == (int)TW_RING_LAST_BYTES, "as published");
_Static_assert(offsetof(twi_ring_header, magic) == 0, "found by every version");
_Static_assert(offsetof(twi_ring_header, layout_version) == 8, "found by every version");
_Static_assert(offsetof(twi_ring_header, head) == 2 * TWI_CACHE_LINE_BYTES, "own line");
_Static_assert(offsetof(twi_ring_header, heartbeat_ns) == 3 * TWI_CACHE_LINE_BYTES, "own line");
_Static_assert(offsetof(twi_ring_header, ended) == 4 * TWI_CACHE_LINE_BYTES, "own line");
_Static_assert(sizeof(twi_ring_header) <= TWI_RING_PAGE_BYTES, "the instrument table starts on the second page");
_Static_assert(TWI_RING_SLOT_COUNT_MIN >> TWI_RING_LAP_MARGIN_SHIFT > 0,
               "a lapped reader always gets ahead of the edge");

#endif
