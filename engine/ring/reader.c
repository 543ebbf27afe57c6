/* reader.c - a reader's side of the ring: attach, read in batches, wait. See include/tickwire/ring.h and slot.h.
 *
 * Trust:    the header of another process is read once, checked against the size of the object and copied; afterwards
 *           shared memory is only ever indexed by private numbers, so that a producer gone wrong can make a reader
 *           lose events but not crash. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "engine/base/clock.h"
#include "engine/ring/ring.h"

enum { CREATION_TRIES_MAX = 1000, CREATION_PAUSE_NS = 1000000, LAST_TRIES_MAX = 1000 };

/* geometry: the header, or the private copy of it that was checked. */
static tw_ring_reader *reader_new(twi_ring_mapping *mapping, const twi_ring_header *geometry)
{
    void *memory = NULL;
    if (posix_memalign(&memory, TWI_CACHE_LINE_BYTES, sizeof(tw_ring_reader)) != 0) {
        return NULL;
    }
    tw_ring_reader *reader = memory;
    uint8_t *base = mapping->memory.base;
    twi_ring_header *header = (twi_ring_header *)base;
    uint32_t slot_count = geometry->slot_count;
    *reader = (tw_ring_reader){
        .slots =
            {
                .slots = (twi_slot *)(base + geometry->slots_offset),
                .mask = slot_count - 1,
                .head = &header->head,
                .lap_margin = slot_count >> TWI_RING_LAP_MARGIN_SHIFT,
            },
        .cursor.position = atomic_load_explicit(&header->head, memory_order_acquire),
        .header = header,
        .symbols = (const tw_symbols *)(base + TWI_RING_PAGE_BYTES),
        .last = geometry->last_offset != 0 ? (const twi_slot *)(base + geometry->last_offset) : NULL,
        .instrument_count_max = geometry->instrument_count_max,
        .epoch = geometry->epoch,
        .mapping = mapping,
    };
    return reader;
}

tw_status tw_ring_reader_open(tw_ring *ring, tw_ring_reader **reader)
{
    *reader = reader_new(ring->mapping, ring->header);
    if (!*reader) {
        return TW_NO_MEMORY;
    }
    twi_ring_mapping_share(ring->mapping);
    return TW_OK;
}

static int last_values_are_sound(const twi_ring_header *header)
{
    uint64_t count = (uint64_t)header->instrument_count_max * TWI_RING_LAST_KINDS;
    return header->last_offset == 0 ||
           (header->instrument_count_max <= TWI_RING_INSTRUMENT_COUNT_MAX &&
            header->last_offset > TWI_RING_PAGE_BYTES && header->last_offset % TWI_RING_PAGE_BYTES == 0 &&
            header->last_offset < header->slots_offset &&
            count * TWI_SLOT_BYTES <= header->slots_offset - header->last_offset);
}

static int geometry_is_sound(const twi_ring_header *header, size_t mapped_bytes)
{
    uint64_t slots = header->slot_count;
    uint64_t offset = header->slots_offset;
    return slots >= TWI_RING_SLOT_COUNT_MIN && slots <= TWI_RING_SLOT_COUNT_MAX && (slots & (slots - 1)) == 0 &&
           header->symbols_offset == TWI_RING_PAGE_BYTES && offset > TWI_RING_PAGE_BYTES &&
           offset % TWI_RING_PAGE_BYTES == 0 && offset < mapped_bytes &&
           slots * TWI_SLOT_BYTES <= mapped_bytes - offset && last_values_are_sound(header);
}

static tw_status header_check(const char *name, const twi_ring_memory *memory, twi_ring_header *copy,
                              twi_ring_error error)
{
    const twi_ring_header *header = memory->base;
    uint64_t magic = atomic_load_explicit(&header->magic, memory_order_acquire);
    if (magic == 0) {
        return TW_AGAIN;
    }
    if (magic != TWI_RING_MAGIC) {
        return twi_ring_fail(error, TW_UNAVAILABLE, "shared memory \"%s\" is not a Tickwire ring", name);
    }
    if (header->layout_version != TWI_RING_LAYOUT_VERSION) {
        return twi_ring_fail(error, TW_UNAVAILABLE,
                             "ring \"%s\" has layout version %u, this program knows %d: use the same Tickwire version "
                             "for the engine and its readers",
                             name, header->layout_version, TWI_RING_LAYOUT_VERSION);
    }
    memcpy(copy, header, offsetof(twi_ring_header, head));
    if (!geometry_is_sound(copy, memory->bytes)) {
        return twi_ring_fail(error, TW_UNAVAILABLE, "ring \"%s\" is damaged: its header does not fit its size", name);
    }
    return TW_OK;
}

static tw_status attach_once(const char *name, tw_ring_reader **reader, twi_ring_error error)
{
    twi_ring_mapping *mapping = twi_ring_mapping_new();
    if (!mapping) {
        return twi_ring_fail(error, TW_NO_MEMORY, "no memory for a ring reader");
    }
    twi_ring_header header;
    tw_status status = twi_ring_memory_attach(name, TWI_RING_PAGE_BYTES, &mapping->memory, error);
    if (status == TW_OK) {
        status = header_check(name, &mapping->memory, &header, error);
    }
    if (status != TW_OK) {
        twi_ring_mapping_release(mapping);
        return status;
    }
    mapping->doorbell = twi_doorbell_attach(header.doorbell_id, header.epoch);
    mapping->doorbell_id = header.doorbell_id;
    *reader = reader_new(mapping, &header);
    if (!*reader) {
        twi_ring_mapping_release(mapping);
        return twi_ring_fail(error, TW_NO_MEMORY, "no memory for a ring reader");
    }
    return TW_OK;
}

tw_status tw_ring_attach(const char *name, tw_ring_reader **reader, char *error, size_t error_cap)
{
    twi_ring_error report = {error, error_cap};
    *reader = NULL;
    tw_status status = twi_ring_name_check(name, report);
    if (status != TW_OK) {
        return status;
    }
    /* TW_AGAIN: the producer is between creating the object and finishing its header; allocating 1 GiB takes a while.
     */
    for (int i = 0; i < CREATION_TRIES_MAX; i++) {
        status = attach_once(name, reader, report);
        if (status != TW_AGAIN) {
            return status;
        }
        nanosleep(&(struct timespec){.tv_nsec = CREATION_PAUSE_NS}, NULL);
    }
    return twi_ring_fail(report, TW_UNAVAILABLE,
                         "ring \"%s\" is not finished: its producer died early, or it is not a ring", name);
}

void tw_ring_reader_close(tw_ring_reader *reader)
{
    if (reader) {
        twi_ring_mapping_release(reader->mapping);
        free(reader);
    }
}

size_t tw_ring_read(tw_ring_reader *reader, tw_event *out, size_t cap, uint64_t *lost)
{
    return twi_slots_read(&reader->slots, &reader->cursor, out, cap, lost);
}

uint64_t tw_ring_reader_position(const tw_ring_reader *reader)
{
    return reader->cursor.position;
}

uint64_t tw_ring_reader_lag(const tw_ring_reader *reader)
{
    uint64_t head = atomic_load_explicit(&reader->header->head, memory_order_acquire);
    return head > reader->cursor.position ? head - reader->cursor.position : 0;
}

const tw_symbols *tw_ring_reader_symbols(const tw_ring_reader *reader)
{
    return reader->symbols;
}

uint64_t tw_ring_reader_epoch(const tw_ring_reader *reader)
{
    return reader->epoch;
}

tw_status tw_ring_last(const tw_ring_reader *reader, uint32_t instrument, uint8_t kind, tw_event *event,
                       uint64_t *sequence)
{
    uint32_t place = twi_ring_last_place(kind);
    if (!reader->last) {
        return TW_NOT_SUPPORTED;
    }
    if (place == TWI_RING_LAST_KINDS || instrument >= reader->instrument_count_max) {
        return TW_BAD_ARGUMENT;
    }
    const twi_slot *slot = &reader->last[(uint64_t)instrument * TWI_RING_LAST_KINDS + place];
    for (int i = 0; i < LAST_TRIES_MAX; i++) {
        uint64_t word = atomic_load_explicit(&slot->word, memory_order_acquire);
        if (word == 0) {
            return TW_EMPTY;
        }
        /* Which event it is only the word says; an odd one is being written. */
        uint64_t found;
        if (word % 2 == 0 && twi_slot_fetch(slot, twi_word_sequence(word), event, &found) == TWI_FETCH_OK) {
            *sequence = twi_word_sequence(word);
            return TW_OK;
        }
        twi_cpu_relax();
    }
    return TW_AGAIN;
}

static int is_readable(const tw_ring_reader *reader)
{
    const twi_slot *slot = &reader->slots.slots[reader->cursor.position & reader->slots.mask];
    return atomic_load_explicit(&slot->word, memory_order_acquire) >= twi_word_complete(reader->cursor.position);
}

static int has_ended(const tw_ring_reader *reader)
{
    return atomic_load_explicit(&reader->header->ended, memory_order_acquire) != 0;
}

tw_status tw_ring_wait(tw_ring_reader *reader, int64_t timeout_ns)
{
    if (is_readable(reader)) {
        return TW_OK; /* without announcing a sleeper, which would cost the producer a needless wake */
    }
    int64_t start_ns = twi_monotonic_ns();
    for (;;) {
        /* Announce, then look: see doorbell.h. The end is looked at before the slot, so that nothing committed
         * before it is missed. */
        uint32_t announced = twi_doorbell_announce(reader->mapping->doorbell);
        int ended = has_ended(reader);
        if (is_readable(reader)) {
            return TW_OK;
        }
        if (ended) {
            return TW_CLOSED;
        }
        int64_t waited_ns = twi_monotonic_ns() - start_ns;
        if (waited_ns >= timeout_ns) {
            return TW_TIMEOUT;
        }
        twi_doorbell_sleep(reader->mapping->doorbell, announced, timeout_ns - waited_ns);
    }
}

int tw_ring_reader_producer_dead(const tw_ring_reader *reader, int64_t now_ns, int64_t timeout_ns)
{
    int64_t heartbeat_ns = atomic_load_explicit(&reader->header->heartbeat_ns, memory_order_acquire);
    return has_ended(reader) || now_ns - heartbeat_ns > timeout_ns;
}
