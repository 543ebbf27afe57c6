/* wire_log.h - finished WebSocket frames of one codec, back to back, and an index of what lies where.
 *
 * Job:     the publisher appends each frame once; every shard sends slices of it to any number of clients without
 *          a copy.
 * Shape:   a power-of-two ring of bytes mapped twice (a slice never wraps) and a ring of 32-byte index entries.
 *          Offsets and index positions count up for ever; a frame lies at bytes[offset & mask].
 * Writer:  one thread: reserve() -> write the frame -> append() ... -> publish(). It never waits for a reader.
 * Readers: any number of threads. An entry is safe below head(); bytes are safe while twi_wire_log_holds() says
 *          so, asked again after they were used: the writer announces what it is about to overwrite before it
 *          does.
 * Limits:  one frame takes at most a quarter of the log; at most a quarter of the index is appended per publish(). */
#ifndef TWI_WIRE_LOG_H
#define TWI_WIRE_LOG_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/base/compiler.h"
#include "tickwire/status.h"

enum { TWI_ENTRY_WORDS = 4 };

/* What one index entry says. topic has TWI_TOPIC_SNAPSHOT set when the frame is a snapshot for those who just joined.
 */
typedef struct twi_wire_entry {
    uint64_t offset;
    uint64_t seq; /* per topic */
    int64_t publish_ns;
    uint32_t bytes; /* of the whole frame */
    uint32_t topic;
} twi_wire_entry;
#define TWI_TOPIC_SNAPSHOT 0x80000000u

typedef struct twi_wire_log {
    /* Constant after open. */
    uint8_t *bytes;
    uint64_t byte_mask;
    _Atomic uint64_t *index; /* TWI_ENTRY_WORDS relaxed words per entry: a lapped read is detected, not undefined */
    uint64_t index_mask;
    /* Written by the publisher, read by all shards: a line each, away from the constants. */
    TWI_ALIGNED(64) _Atomic uint64_t head;     /* entries published; release */
    TWI_ALIGNED(64) _Atomic uint64_t reserved; /* bytes below this offset minus capacity may be overwritten right now */
    /* The writer's own. */
    TWI_ALIGNED(64) uint64_t write_offset;
    uint64_t write_index;
} twi_wire_log;

/* byte_capacity: power of two >= 64 KiB. index_capacity: power of two >= 64. Fills `error` on failure. */
TW_MUST_USE tw_status twi_wire_log_open(twi_wire_log *log, size_t byte_capacity, size_t index_capacity, char *error,
                                        size_t error_cap);
void twi_wire_log_close(twi_wire_log *log);

/* Writer: room for a frame of at most `bytes_max`; NULL if that is more than a quarter of the log. */
uint8_t *twi_wire_log_reserve(twi_wire_log *log, size_t bytes_max);
/* Writer: what was written at the last reserve() is a frame of `bytes` bytes. Not visible before publish(). */
void twi_wire_log_append(twi_wire_log *log, uint32_t topic, uint64_t seq, int64_t publish_ns, uint32_t bytes);
void twi_wire_log_publish(twi_wire_log *log);

static inline uint64_t twi_wire_log_capacity(const twi_wire_log *log)
{
    return log->byte_mask + 1;
}
static inline uint64_t twi_wire_log_head(const twi_wire_log *log)
{
    return atomic_load_explicit(&log->head, memory_order_acquire);
}
static inline const uint8_t *twi_wire_log_at(const twi_wire_log *log, uint64_t offset)
{
    return log->bytes + (offset & log->byte_mask);
}
/* How many entries below head() may be looked at without meeting one that is lapped meanwhile. */
static inline uint64_t twi_wire_log_window(const twi_wire_log *log)
{
    return (log->index_mask + 1) / 8 * 5;
}
/* Reader: entry `position`, which must be below head(). TW_LAPPED if it is not in the index any more. */
TW_MUST_USE tw_status twi_wire_log_entry(const twi_wire_log *log, uint64_t position, twi_wire_entry *entry);
/* Reader: 1 if the bytes from `offset` on have not been touched by the writer up to this moment. */
int twi_wire_log_holds(const twi_wire_log *log, uint64_t offset);
/* Reader: how far `offset` lies behind what the writer has announced, in bytes. */
uint64_t twi_wire_log_lag(const twi_wire_log *log, uint64_t offset);
/* Reader: the first entry in [low, high) whose frame ends after `offset`; high if there is none.
 * TW_LAPPED if one of the entries that were looked at is gone. */
TW_MUST_USE tw_status twi_wire_log_find(const twi_wire_log *log, uint64_t offset, uint64_t low, uint64_t high,
                                        uint64_t *position);

#endif
