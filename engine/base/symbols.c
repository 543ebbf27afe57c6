/* symbols.c - the instrument table: append-only entries and an open hash over their names, all in one block of memory.
 *
 * Layout:   64-byte header | capacity * 128-byte entries | hash slots. Only offsets, no pointers, so that every process
 *           may map it at its own address.
 * Slots:    a 64-bit word (tag of the hash, kind of the key, index + 1), 0 is empty. Each instrument has one under its
 *           unified symbol and, if that differs, one under its venue id. There are at least four slots per instrument
 *           (load factor at most 1/2), linear probing, nothing is ever removed.
 * Threads:  one writer. It fills the entry, then publishes its slots and the count with release stores; readers load
 *           them with acquire, so whoever sees a slot or a count sees the entry behind it. Entries never change after
 * that. Limits:   the hash is not keyed. A hostile server can make a client's lookups slow (bounded by the table), no
 * more. */
#include "tickwire/symbols.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <string.h>

#include "engine/base/assert.h"

enum {
    SLOTS_PER_INSTRUMENT = 4,
    HEADER_BYTES = 64,
    INDEX_BITS = 32,
    VENUE_ID_BIT = 32 /* set in slots under a venue id */
};

struct tw_symbols {
    uint32_t capacity;
    uint32_t slot_mask;
    _Atomic uint32_t count;
    uint8_t reserved[HEADER_BYTES - 3 * sizeof(uint32_t)];
};
typedef _Atomic uint64_t hash_slot;

_Static_assert(sizeof(tw_symbols) == HEADER_BYTES, "entries start on a cache line");
_Static_assert(ATOMIC_LLONG_LOCK_FREE == 2 && ATOMIC_INT_LOCK_FREE == 2, "atomics must work between processes");
_Static_assert(sizeof(hash_slot) == 8, "same layout in every process");

typedef struct name_key {
    const char *exchange, *symbol;
    size_t exchange_len, symbol_len;
    uint64_t hash;
} name_key;

/* ---- layout ---- */

static uint32_t slot_count_for(uint32_t capacity)
{
    uint32_t count = SLOTS_PER_INSTRUMENT;
    while (count < capacity * SLOTS_PER_INSTRUMENT) {
        count *= 2;
    }
    return count;
}

size_t tw_symbols_size(uint32_t capacity)
{
    TWI_ASSERT(capacity >= 1 && capacity <= TW_SYMBOLS_CAPACITY_MAX);
    return HEADER_BYTES + (size_t)capacity * sizeof(tw_instrument) + slot_count_for(capacity) * sizeof(hash_slot);
}

tw_symbols *tw_symbols_init(void *memory, uint32_t capacity)
{
    TWI_ASSERT((uintptr_t)memory % HEADER_BYTES == 0);
    memset(memory, 0, tw_symbols_size(capacity));
    tw_symbols *symbols = memory;
    symbols->capacity = capacity;
    symbols->slot_mask = slot_count_for(capacity) - 1;
    return symbols;
}

static const tw_instrument *entries_of(const tw_symbols *symbols)
{
    return (const tw_instrument *)(const void *)((const char *)symbols + HEADER_BYTES);
}

static const hash_slot *slots_of(const tw_symbols *symbols)
{
    return (const hash_slot *)(const void *)(entries_of(symbols) + symbols->capacity);
}

/* The same places for the writer, who alone has the table without const. */
static tw_instrument *writable_entries(tw_symbols *symbols)
{
    return (tw_instrument *)(void *)((char *)symbols + HEADER_BYTES);
}

static hash_slot *writable_slots(tw_symbols *symbols)
{
    return (hash_slot *)(void *)(writable_entries(symbols) + symbols->capacity);
}

/* ---- hash ---- */

static uint64_t mix(uint64_t hash, uint64_t word)
{
    hash = (hash ^ word) * 0x9fb21c651e98df25u;
    return hash ^ (hash >> 32);
}

static uint64_t load_partial(const char *at, size_t len)
{
    uint64_t word = 0;
    for (size_t i = 0; i < len; i++) {
        word |= (uint64_t)(unsigned char)at[i] << (8 * i);
    }
    return word;
}

static uint64_t hash_bytes(uint64_t hash, const char *at, size_t len)
{
    if (len < sizeof(uint64_t)) {
        return mix(hash, load_partial(at, len));
    }
    uint64_t word;
    for (size_t offset = 0; offset + sizeof(word) <= len; offset += sizeof(word)) {
        memcpy(&word, at + offset, sizeof(word));
        hash = mix(hash, word);
    }
    memcpy(&word, at + len - sizeof(word), sizeof(word));
    return mix(hash, word);
}

static name_key make_key(const char *exchange, size_t exchange_len, const char *symbol, size_t symbol_len)
{
    uint64_t hash = hash_bytes(exchange_len * 64 + symbol_len, exchange, exchange_len);
    hash = hash_bytes(hash, symbol, symbol_len);
    return (name_key){exchange, symbol, exchange_len, symbol_len, hash};
}

static uint64_t make_slot(uint64_t hash, uint32_t index, bool is_venue_id)
{
    uint64_t tag = hash >> (VENUE_ID_BIT + 1) << (VENUE_ID_BIT + 1);
    return tag | ((uint64_t)is_venue_id << VENUE_ID_BIT) | ((uint64_t)index + 1);
}

static bool same_tag(uint64_t slot, uint64_t hash)
{
    return (slot ^ hash) >> (VENUE_ID_BIT + 1) == 0;
}

static uint32_t slot_index(uint64_t slot)
{
    return (uint32_t)slot - 1;
}

static bool slot_is_venue_id(uint64_t slot)
{
    return (slot >> VENUE_ID_BIT & 1) != 0;
}

static bool same_name(const char *name, size_t name_len, const char *text, size_t text_len)
{
    return name_len == text_len && memcmp(name, text, text_len) == 0;
}

static bool slot_matches(const tw_symbols *symbols, uint64_t slot, const name_key *key)
{
    if (!same_tag(slot, key->hash)) {
        return false;
    }
    const tw_instrument *entry = &entries_of(symbols)[slot_index(slot)];
    if (!same_name(entry->exchange, entry->exchange_len, key->exchange, key->exchange_len)) {
        return false;
    }
    return slot_is_venue_id(slot) ? same_name(entry->venue_id, entry->venue_id_len, key->symbol, key->symbol_len)
                                  : same_name(entry->symbol, entry->symbol_len, key->symbol, key->symbol_len);
}

/* The instrument under its unified symbol; *by_venue_id is the first one under its venue id that was passed on the way.
 */
static uint32_t find_symbol(const tw_symbols *symbols, const name_key *key, uint32_t *by_venue_id)
{
    const hash_slot *slots = slots_of(symbols);
    uint32_t position = (uint32_t)key->hash & symbols->slot_mask;
    for (;; position = (position + 1) & symbols->slot_mask) {
        uint64_t slot = atomic_load_explicit(&slots[position], memory_order_acquire);
        if (slot == 0) {
            return TW_INSTRUMENT_NONE;
        }
        if (!slot_matches(symbols, slot, key)) {
            continue;
        }
        if (!slot_is_venue_id(slot)) {
            return slot_index(slot);
        }
        if (*by_venue_id == TW_INSTRUMENT_NONE) {
            *by_venue_id = slot_index(slot);
        }
    }
}

static void publish_slot(tw_symbols *symbols, uint64_t hash, uint32_t index, bool is_venue_id)
{
    hash_slot *slots = writable_slots(symbols);
    uint32_t position = (uint32_t)hash & symbols->slot_mask;
    while (atomic_load_explicit(&slots[position], memory_order_relaxed) != 0) {
        position = (position + 1) & symbols->slot_mask;
    }
    atomic_store_explicit(&slots[position], make_slot(hash, index, is_venue_id), memory_order_release);
}

/* ---- names ---- */

/* Bytes of the UTF-8 sequence at `at`, 0 if there is none (RFC 3629 section 4). */
static size_t utf8_sequence(const unsigned char *at, size_t len)
{
    unsigned lead = at[0];
    if (lead < 0x80) {
        return lead >= 0x20 && lead != 0x7f; /* no control characters in names */
    }
    size_t count = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : 2;
    if (lead < 0xc2 || lead > 0xf4 || count > len) {
        return 0;
    }
    unsigned low = lead == 0xe0 ? 0xa0 : lead == 0xf0 ? 0x90 : 0x80;
    unsigned high = lead == 0xed ? 0x9f : lead == 0xf4 ? 0x8f : 0xbf;
    if (at[1] < low || at[1] > high) {
        return 0;
    }
    for (size_t i = 2; i < count; i++) {
        if ((at[i] & 0xc0) != 0x80) {
            return 0;
        }
    }
    return count;
}

static tw_status check_name(const char *name, size_t len, size_t len_max)
{
    if (len > len_max) {
        return TW_TOO_BIG;
    }
    if (len == 0) {
        return TW_BAD_ARGUMENT;
    }
    for (size_t offset = 0; offset < len;) {
        size_t step = utf8_sequence((const unsigned char *)name + offset, len - offset);
        if (step == 0) {
            return TW_BAD_ARGUMENT;
        }
        offset += step;
    }
    return TW_OK;
}

static bool needs_escape(const char *name, size_t len)
{
    return memchr(name, '"', len) != NULL || memchr(name, '\\', len) != NULL;
}

static void fill_entry(tw_instrument *entry, const name_key *key, const char *venue_id, size_t venue_id_len)
{
    memcpy(entry->exchange, key->exchange, key->exchange_len);
    memcpy(entry->symbol, key->symbol, key->symbol_len);
    memcpy(entry->venue_id, venue_id, venue_id_len);
    entry->exchange_len = (uint8_t)key->exchange_len;
    entry->symbol_len = (uint8_t)key->symbol_len;
    entry->venue_id_len = (uint8_t)venue_id_len;
    if (needs_escape(key->exchange, key->exchange_len) || needs_escape(key->symbol, key->symbol_len)) {
        entry->name_flags |= TW_NAME_ESCAPE;
    }
}

static tw_status append(tw_symbols *symbols, const name_key *key, const char *venue_id, size_t venue_id_len,
                        uint32_t *instrument)
{
    tw_status status = check_name(key->exchange, key->exchange_len, TW_EXCHANGE_MAX);
    status = status == TW_OK ? check_name(key->symbol, key->symbol_len, TW_SYMBOL_MAX) : status;
    status = status == TW_OK ? check_name(venue_id, venue_id_len, TW_VENUE_ID_MAX) : status;
    if (status != TW_OK) {
        return status;
    }
    uint32_t index = atomic_load_explicit(&symbols->count, memory_order_relaxed);
    if (index == symbols->capacity) {
        return TW_FULL;
    }
    fill_entry(&writable_entries(symbols)[index], key, venue_id, venue_id_len);
    atomic_store_explicit(&symbols->count, index + 1, memory_order_release);
    publish_slot(symbols, key->hash, index, false);
    if (!same_name(venue_id, venue_id_len, key->symbol, key->symbol_len)) {
        name_key venue_key = make_key(key->exchange, key->exchange_len, venue_id, venue_id_len);
        publish_slot(symbols, venue_key.hash, index, true);
    }
    *instrument = index;
    return TW_OK;
}

/* ---- interface ---- */

tw_status tw_symbols_intern(tw_symbols *symbols, const char *exchange, size_t exchange_len, const char *symbol,
                            size_t symbol_len, const char *venue_id, size_t venue_id_len, uint32_t *instrument)
{
    name_key key = make_key(exchange, exchange_len, symbol, symbol_len);
    uint32_t by_venue_id = TW_INSTRUMENT_NONE;
    uint32_t found = find_symbol(symbols, &key, &by_venue_id);
    if (found != TW_INSTRUMENT_NONE) {
        *instrument = found;
        return TW_OK;
    }
    if (venue_id == NULL) {
        venue_id = symbol;
        venue_id_len = symbol_len;
    }
    return append(symbols, &key, venue_id, venue_id_len, instrument);
}

uint32_t tw_symbols_find(const tw_symbols *symbols, const char *exchange, size_t exchange_len, const char *symbol,
                         size_t symbol_len)
{
    name_key key = make_key(exchange, exchange_len, symbol, symbol_len);
    uint32_t by_venue_id = TW_INSTRUMENT_NONE;
    uint32_t found = find_symbol(symbols, &key, &by_venue_id);
    return found != TW_INSTRUMENT_NONE ? found : by_venue_id;
}

uint32_t tw_symbols_count(const tw_symbols *symbols)
{
    return atomic_load_explicit(&symbols->count, memory_order_acquire);
}

const tw_instrument *tw_symbols_get(const tw_symbols *symbols, uint32_t instrument)
{
    return instrument < tw_symbols_count(symbols) ? &entries_of(symbols)[instrument] : NULL;
}
