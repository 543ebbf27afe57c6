/* wire_log.c - see wire_log.h. */
#include "engine/fanout/wire_log.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/assert.h"
#include "engine/base/mirrored_memory.h"

enum { BYTE_CAPACITY_MIN = 64 * 1024, INDEX_CAPACITY_MIN = 64 };

static int is_power_of_two(size_t value)
{
    return value != 0 && (value & (value - 1)) == 0;
}

tw_status twi_wire_log_open(twi_wire_log *log, size_t byte_capacity, size_t index_capacity, char *error,
                            size_t error_cap)
{
    memset(log, 0, sizeof *log);
    if (!is_power_of_two(byte_capacity) || byte_capacity < BYTE_CAPACITY_MIN || !is_power_of_two(index_capacity) ||
        index_capacity < INDEX_CAPACITY_MIN) {
        snprintf(error, error_cap, "wire log of %zu bytes and %zu index entries: powers of two >= %d and >= %d wanted",
                 byte_capacity, index_capacity, BYTE_CAPACITY_MIN, INDEX_CAPACITY_MIN);
        return TW_BAD_ARGUMENT;
    }
    tw_status status = twi_mirrored_memory_open(byte_capacity, &log->bytes, error, error_cap);
    if (status != TW_OK)
        return status;
    log->index = calloc(index_capacity * TWI_ENTRY_WORDS, sizeof *log->index);
    if (log->index == NULL) {
        snprintf(error, error_cap, "no memory for a wire log index of %zu entries", index_capacity);
        twi_mirrored_memory_close(log->bytes, byte_capacity);
        return TW_NO_MEMORY;
    }
    log->byte_mask = byte_capacity - 1;
    log->index_mask = index_capacity - 1;
    return TW_OK;
}

void twi_wire_log_close(twi_wire_log *log)
{
    if (log->bytes == NULL)
        return;
    twi_mirrored_memory_close(log->bytes, (size_t)twi_wire_log_capacity(log));
    free(log->index);
    memset(log, 0, sizeof *log);
}

uint8_t *twi_wire_log_reserve(twi_wire_log *log, size_t bytes_max)
{
    if (bytes_max > twi_wire_log_capacity(log) / 4)
        return NULL;
    /* Announce first, write afterwards: the fence keeps the frame's bytes behind the announcement, so that a reader
     * which could have met new bytes also sees that its old ones are gone (the writer's half of a seqlock). */
    atomic_store_explicit(&log->reserved, log->write_offset + bytes_max, memory_order_relaxed);
    atomic_thread_fence(memory_order_release);
    return log->bytes + (log->write_offset & log->byte_mask);
}

void twi_wire_log_append(twi_wire_log *log, uint32_t topic, uint64_t seq, int64_t publish_ns, uint32_t bytes)
{
    _Atomic uint64_t *words = log->index + (log->write_index & log->index_mask) * TWI_ENTRY_WORDS;
    atomic_store_explicit(&words[0], log->write_offset, memory_order_relaxed);
    atomic_store_explicit(&words[1], seq, memory_order_relaxed);
    atomic_store_explicit(&words[2], (uint64_t)publish_ns, memory_order_relaxed);
    atomic_store_explicit(&words[3], (uint64_t)topic << 32 | bytes, memory_order_relaxed);
    log->write_offset += bytes;
    log->write_index++;
    /* Never more than a quarter of the index ahead of head(): twi_wire_log_entry() relies on it. */
    TWI_ASSERT(log->write_index - atomic_load_explicit(&log->head, memory_order_relaxed) <= (log->index_mask + 1) / 4);
}

void twi_wire_log_publish(twi_wire_log *log)
{
    /* Release: whoever sees the new head sees the entries, the frames, and what was queued for it before (joins). */
    if (log->write_index != atomic_load_explicit(&log->head, memory_order_relaxed))
        atomic_store_explicit(&log->head, log->write_index, memory_order_release);
}

tw_status twi_wire_log_entry(const twi_wire_log *log, uint64_t position, twi_wire_entry *entry)
{
    const _Atomic uint64_t *words = log->index + (position & log->index_mask) * TWI_ENTRY_WORDS;
    entry->offset = atomic_load_explicit(&words[0], memory_order_relaxed);
    entry->seq = atomic_load_explicit(&words[1], memory_order_relaxed);
    entry->publish_ns = (int64_t)atomic_load_explicit(&words[2], memory_order_relaxed);
    uint64_t topic_bytes = atomic_load_explicit(&words[3], memory_order_relaxed);
    entry->topic = (uint32_t)(topic_bytes >> 32);
    entry->bytes = (uint32_t)topic_bytes;
    atomic_thread_fence(memory_order_acquire);
    uint64_t head = atomic_load_explicit(&log->head, memory_order_relaxed);
    uint64_t capacity = log->index_mask + 1;
    return head - position > capacity - capacity / 4 ? TW_LAPPED : TW_OK;
}

uint64_t twi_wire_log_lag(const twi_wire_log *log, uint64_t offset)
{
    uint64_t reserved = atomic_load_explicit(&log->reserved, memory_order_relaxed);
    return reserved > offset ? reserved - offset : 0;
}

int twi_wire_log_holds(const twi_wire_log *log, uint64_t offset)
{
    /* The reader's half of the seqlock: its use of the bytes stays before this load. */
    atomic_thread_fence(memory_order_acquire);
    return twi_wire_log_lag(log, offset) <= twi_wire_log_capacity(log);
}

tw_status twi_wire_log_find(const twi_wire_log *log, uint64_t offset, uint64_t low, uint64_t high, uint64_t *position)
{
    while (low < high) {
        uint64_t middle = low + (high - low) / 2;
        twi_wire_entry entry;
        if (twi_wire_log_entry(log, middle, &entry) != TW_OK)
            return TW_LAPPED;
        if (entry.offset + entry.bytes <= offset)
            low = middle + 1;
        else
            high = middle;
    }
    *position = low;
    return TW_OK;
}
