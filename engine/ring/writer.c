/* writer.c - the producer's side of the ring: open, claim, commit, close. See include/tickwire/ring.h and slot.h. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/types.h>
#include <unistd.h>

#include "engine/base/assert.h"
#include "engine/base/clock.h"
#include "engine/ring/ring.h"

static tw_status options_check(const tw_ring_options *options, twi_ring_error error)
{
    uint32_t slots = options->slot_count;
    if (slots < TWI_RING_SLOT_COUNT_MIN || slots > TWI_RING_SLOT_COUNT_MAX || (slots & (slots - 1)) != 0) {
        return twi_ring_fail(error, TW_BAD_ARGUMENT, "slot_count %u must be a power of two from %d to %d", slots,
                             TWI_RING_SLOT_COUNT_MIN, TWI_RING_SLOT_COUNT_MAX);
    }
    if (options->instrument_count_max == 0 || options->instrument_count_max > TWI_RING_INSTRUMENT_COUNT_MAX) {
        return twi_ring_fail(error, TW_BAD_ARGUMENT, "instrument_count_max %u must be from 1 to %d",
                             options->instrument_count_max, TWI_RING_INSTRUMENT_COUNT_MAX);
    }
    return options->name ? twi_ring_name_check(options->name, error) : TW_OK;
}

static uint64_t to_page(uint64_t bytes)
{
    return (bytes + TWI_RING_PAGE_BYTES - 1) / TWI_RING_PAGE_BYTES * TWI_RING_PAGE_BYTES;
}

static uint64_t last_offset(const tw_ring_options *options)
{
    return TWI_RING_PAGE_BYTES + to_page(tw_symbols_size(options->instrument_count_max));
}

static uint64_t last_count(const tw_ring_options *options)
{
    return options->last_values ? (uint64_t)options->instrument_count_max * TWI_RING_LAST_KINDS : 0;
}

static uint64_t slots_offset(const tw_ring_options *options)
{
    return last_offset(options) + to_page(last_count(options) * TWI_SLOT_BYTES);
}

static uint64_t total_bytes(const tw_ring_options *options)
{
    return slots_offset(options) + (uint64_t)options->slot_count * TWI_SLOT_BYTES;
}

/* Never 0; two rings that a reader could mix up differ. */
static uint64_t epoch_new(void)
{
    uint64_t epoch = 0;
    if (getentropy(&epoch, sizeof(epoch)) != 0) {
        epoch = (uint64_t)twi_realtime_ns() ^ (uint64_t)getpid() << 40;
    }
    return epoch ? epoch : 1;
}

/* With the lock held, whatever has this name belongs to a producer that is gone: its readers are told, the name is
 * freed. */
static tw_status retire_old(const char *name, twi_ring_error error)
{
    twi_ring_memory old = {0};
    tw_status status = twi_ring_memory_attach_old(name, TWI_RING_PAGE_BYTES, &old, error);
    if (status != TW_OK) {
        return status == TW_EMPTY ? TW_OK : status;
    }
    twi_ring_header *header = old.base;
    uint64_t magic = header ? atomic_load_explicit(&header->magic, memory_order_acquire) : 0;
    if (magic != 0 && magic != TWI_RING_MAGIC) {
        status = twi_ring_fail(error, TW_UNAVAILABLE, "shared memory \"%s\" exists and is not a ring: use another name",
                               name);
    } else {
        if (magic != 0 && header->layout_version == TWI_RING_LAYOUT_VERSION) {
            atomic_store_explicit(&header->ended, 1, memory_order_release);
        }
        twi_ring_memory_unlink(name);
    }
    twi_ring_memory_unmap(&old);
    return status;
}

static tw_status memory_open(tw_ring *ring, const tw_ring_options *options, twi_ring_error error)
{
    twi_ring_memory *memory = &ring->mapping->memory;
    size_t bytes = (size_t)total_bytes(options);
    twi_ring_wish wish = {.huge_pages = options->huge_pages, .node = options->numa_bind ? options->numa_node : -1};
    if (!options->name) {
        return twi_ring_memory_anonymous(bytes, &wish, memory, error);
    }
    memcpy(ring->name, options->name, strlen(options->name) + 1);
    tw_status status = twi_ring_lock(ring->name, &ring->lock, error);
    if (status == TW_OK) {
        status = retire_old(ring->name, error);
    }
    if (status == TW_OK) {
        status = twi_ring_memory_create(ring->name, bytes, options->mode, &wish, memory, error);
    }
    return status;
}

static void header_init(tw_ring *ring, const tw_ring_options *options, uint64_t epoch)
{
    twi_ring_header *header = ring->header;
    int64_t now_ns = twi_realtime_ns();
    header->layout_version = TWI_RING_LAYOUT_VERSION;
    header->slot_count = options->slot_count;
    header->total_bytes = total_bytes(options);
    header->symbols_offset = TWI_RING_PAGE_BYTES;
    header->last_offset = options->last_values ? last_offset(options) : 0;
    header->slots_offset = slots_offset(options);
    header->instrument_count_max = options->instrument_count_max;
    header->epoch = epoch;
    header->started_ns = now_ns;
    header->producer_pid = (int32_t)getpid();
    header->doorbell_id = ring->mapping->doorbell_id;
    atomic_store_explicit(&header->heartbeat_ns, now_ns, memory_order_relaxed);
    atomic_store_explicit(&header->magic, TWI_RING_MAGIC, memory_order_release);
}

static void layout_init(tw_ring *ring, const tw_ring_options *options)
{
    uint8_t *base = ring->mapping->memory.base;
    uint64_t epoch = epoch_new();
    ring->header = (twi_ring_header *)base;
    ring->slots = (twi_slots){
        .slots = (twi_slot *)(base + slots_offset(options)),
        .mask = options->slot_count - 1,
        .head = &ring->header->head,
    };
    ring->last = options->last_values ? (twi_slot *)(base + last_offset(options)) : NULL;
    ring->last_count = last_count(options);
    ring->symbols = tw_symbols_init(base + TWI_RING_PAGE_BYTES, options->instrument_count_max);
    ring->mapping->doorbell =
        twi_doorbell_open(options->name != NULL, options->mode, epoch, &ring->mapping->doorbell_id);
    header_init(ring, options, epoch);
}

static void ring_free(tw_ring *ring)
{
    twi_ring_mapping_release(ring->mapping);
    if (ring->lock >= 0) {
        twi_ring_unlock(ring->name, ring->lock);
    }
    free(ring);
}

static tw_ring *ring_new(void)
{
    void *memory = NULL;
    if (posix_memalign(&memory, TWI_CACHE_LINE_BYTES, sizeof(tw_ring)) != 0) {
        return NULL;
    }
    tw_ring *ring = memory;
    *ring = (tw_ring){.lock = -1, .mapping = twi_ring_mapping_new()};
    if (!ring->mapping) {
        free(ring);
        return NULL;
    }
    return ring;
}

tw_status tw_ring_open(const tw_ring_options *options, tw_ring **ring, char *error, size_t error_cap)
{
    twi_ring_error report = {error, error_cap};
    *ring = NULL;
    tw_status status = options_check(options, report);
    if (status != TW_OK) {
        return status;
    }
    tw_ring *made = ring_new();
    if (!made) {
        return twi_ring_fail(report, TW_NO_MEMORY, "no memory for a ring handle");
    }
    status = memory_open(made, options, report);
    if (status != TW_OK) {
        ring_free(made);
        return status;
    }
    layout_init(made, options);
    *ring = made;
    return TW_OK;
}

void tw_ring_close(tw_ring *ring)
{
    if (!ring) {
        return;
    }
    atomic_store_explicit(&ring->header->ended, 1, memory_order_release);
    twi_doorbell_ring(ring->mapping->doorbell);
    if (ring->lock >= 0) {
        twi_ring_memory_unlink(ring->name);
    }
    ring_free(ring);
}

tw_event *tw_ring_claim(tw_ring *ring)
{
    ring->staging = (tw_event){0};
    return &ring->staging;
}

/* Before the event itself, see layout.h. */
static void keep_last(const tw_ring *ring)
{
    uint32_t place = twi_ring_last_place(ring->staging.kind);
    uint64_t index = (uint64_t)ring->staging.instrument * TWI_RING_LAST_KINDS + place;
    if (place < TWI_RING_LAST_KINDS && index < ring->last_count) {
        twi_slot_publish(&ring->last[index], ring->next, &ring->staging);
    }
}

void tw_ring_commit(tw_ring *ring)
{
    if (ring->last) {
        keep_last(ring);
    }
    twi_slots_commit(&ring->slots, ring->next, &ring->staging);
    ring->next++;
}

static tw_event *sink_claim(void *owner)
{
    return tw_ring_claim(owner);
}

static void sink_commit(void *owner)
{
    tw_ring_commit(owner);
}

tw_sink tw_ring_sink(tw_ring *ring)
{
    return (tw_sink){.claim = sink_claim, .commit = sink_commit, .owner = ring};
}

uint64_t tw_ring_head(const tw_ring *ring)
{
    return ring->next;
}

uint64_t tw_ring_epoch(const tw_ring *ring)
{
    return ring->header->epoch;
}

tw_symbols *tw_ring_symbols(tw_ring *ring)
{
    return ring->symbols;
}

void tw_ring_heartbeat(tw_ring *ring, int64_t now_ns)
{
    atomic_store_explicit(&ring->header->heartbeat_ns, now_ns, memory_order_release);
}

int tw_ring_huge_pages(const tw_ring *ring)
{
    return ring->mapping->memory.huge;
}

int tw_ring_numa_node(const tw_ring *ring)
{
    return twi_ring_memory_node(ring->slots.slots);
}

void tw_ring_wake(tw_ring *ring)
{
    twi_doorbell_ring(ring->mapping->doorbell);
}
