/* slot.h - the seqlock protocol of one 64-byte ring slot: publish an event, fetch it, know which of three things
 * happened.
 *
 * Word:     event n writes 2n+1 into the slot's word while it is being stored and 2n+2 when it is complete; 0 is a
 *           slot that was never used. A reader that wants event n therefore learns everything from one number: equal
 *           to 2n+2 is "complete", smaller is "not yet" (older event, never used, or n in progress), larger is
 *           "lapped". Numbers only grow, and 2^63 events never wrap, so there is no ABA.
 * Payload:  seven 64-bit atomics. A memcpy that races with the producer would be undefined in C11; 64-bit atomics are
 *           the same machine instructions on x86-64 and arm64, and ThreadSanitizer can follow them.
 * Staging:  the producer fills a private tw_event and publish() copies it with seven stores. So a stalled or dying
 *           adapter never leaves a slot in progress, the fields are plain memory for whoever fills them, and the line
 *           in shared memory is touched for a few nanoseconds only, which keeps readers from bouncing it.
 * Orders:   no fences (ThreadSanitizer does not model them), only orders on the accesses themselves:
 *           - payload stores are release: a reader whose (acquire) payload load sees any word of event m happens
 *             after "word = 2m+1", so its second look at the word cannot still say 2n+2 with n < m. A torn mix is
 *             thus always noticed. Making only one of them release is not enough: the others could become visible
 *             before the mark.
 *           - the complete mark is release and the first look acquire: whoever sees 2n+2 sees all seven words of
 *             event n (or newer ones, which the second look catches).
 *           - the in-progress mark and the second look are relaxed: the payload's orders carry them.
 *           On x86-64 all of these are plain moves. tests/unit/ring_model_test.c runs this very file on every
 *           execution that the C11 memory model allows for small rings, and shows that each weakened variant is
 *           caught.
 * Thread:   publish: one producer. read: any number of readers, each with a cursor, also over a read-only mapping. */
#ifndef TWI_RING_SLOT_H
#define TWI_RING_SLOT_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "engine/base/compiler.h"
#include "tickwire/event.h"

enum {
    TWI_SLOT_BYTES = 64,
    TWI_SLOT_PAYLOAD_WORDS = 7,
    TWI_SLOT_SKIPS_MAX = 4,
    TWI_SLOT_WRITE_AHEAD = 16, /* slots whose lines the producer fetches before it needs them */
    TWI_SLOT_READ_AHEAD = 24,  /* likewise for a reader that is behind */
    TWI_SLOT_BEHIND_MIN = 32,  /* events in one read that mean "behind" */
};

typedef struct twi_slot {
    _Atomic uint64_t word;
    _Atomic uint64_t payload[TWI_SLOT_PAYLOAD_WORDS];
} twi_slot;

_Static_assert(ATOMIC_LLONG_LOCK_FREE == 2, "a lock inside an atomic would not work over a read-only mapping");
_Static_assert(sizeof(twi_slot) == TWI_SLOT_BYTES, "one cache line");
_Static_assert(sizeof(tw_event) == TWI_SLOT_PAYLOAD_WORDS * sizeof(uint64_t), "an event is the payload of one slot");
_Static_assert(offsetof(tw_event, kind) == 4 && offsetof(tw_event, amount_exponent) == 7, "fields of the first word");
_Static_assert(offsetof(tw_event, venue_ns) == 8 && offsetof(tw_event, u.quote.ask_amount) == 48, "one field per word");
_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "the first word is put together in this order");

typedef enum twi_fetch {
    TWI_FETCH_OK,
    TWI_FETCH_NOT_YET,
    TWI_FETCH_LAPPED, /* also when the producer overtook during the copy */
} twi_fetch;

/* The model checker replaces the accesses, weakens the orders one by one and leaves some words out. */
#ifndef TWI_SLOT_LOAD
#define TWI_SLOT_LOAD(object, order)         atomic_load_explicit((object), (order))
#define TWI_SLOT_STORE(object, value, order) atomic_store_explicit((object), (value), (order))
#define TWI_SLOT_ORDER_MARK                  memory_order_relaxed
#define TWI_SLOT_ORDER_FILL(word_index)      memory_order_release
#define TWI_SLOT_ORDER_COMPLETE              memory_order_release
#define TWI_SLOT_ORDER_LOOK                  memory_order_acquire
#define TWI_SLOT_ORDER_COPY                  memory_order_acquire
#define TWI_SLOT_ORDER_LOOK_AGAIN            memory_order_relaxed
#define TWI_SLOT_ORDER_HEAD_STORE            memory_order_release
#define TWI_SLOT_ORDER_HEAD_LOAD             memory_order_relaxed
#endif

static inline uint64_t twi_word_in_progress(uint64_t sequence)
{
    return 2 * sequence + 1;
}

static inline uint64_t twi_word_complete(uint64_t sequence)
{
    return 2 * sequence + 2;
}

/* The event that a non-zero word speaks of, complete or in progress. */
static inline uint64_t twi_word_sequence(uint64_t word)
{
    return (word - 1) / 2;
}

/* The three steps of publishing, apart so that tests can stall between them. */
static inline void twi_slot_mark(twi_slot *slot, uint64_t sequence)
{
    TWI_SLOT_STORE(&slot->word, twi_word_in_progress(sequence), TWI_SLOT_ORDER_MARK);
}

/* Word by word, and the first one from its five fields: whoever filled the event wrote narrow fields, and a wider
 * load than the stores before it cannot be forwarded from the store buffer. It would wait until every older store is
 * in the cache, those into shared lines of the events before too; that makes one cache miss after the other out of
 * what else overlaps (a factor of three in throughput). */
static inline void twi_slot_fill(twi_slot *slot, const tw_event *event)
{
    uint64_t first = TWI_LOAD_ONCE(event->instrument) | (uint64_t)TWI_LOAD_ONCE(event->kind) << 32 |
                     (uint64_t)TWI_LOAD_ONCE(event->flags) << 40 |
                     (uint64_t)(uint8_t)TWI_LOAD_ONCE(event->price_exponent) << 48 |
                     (uint64_t)(uint8_t)TWI_LOAD_ONCE(event->amount_exponent) << 56;
    TWI_SLOT_STORE(&slot->payload[0], first, TWI_SLOT_ORDER_FILL(0));
    TWI_SLOT_STORE(&slot->payload[1], (uint64_t)event->venue_ns, TWI_SLOT_ORDER_FILL(1));
    TWI_SLOT_STORE(&slot->payload[2], (uint64_t)event->recv_ns, TWI_SLOT_ORDER_FILL(2));
    TWI_SLOT_STORE(&slot->payload[3], (uint64_t)event->u.quote.bid, TWI_SLOT_ORDER_FILL(3));
    TWI_SLOT_STORE(&slot->payload[4], (uint64_t)event->u.quote.bid_amount, TWI_SLOT_ORDER_FILL(4));
    TWI_SLOT_STORE(&slot->payload[5], (uint64_t)event->u.quote.ask, TWI_SLOT_ORDER_FILL(5));
    TWI_SLOT_STORE(&slot->payload[6], (uint64_t)event->u.quote.ask_amount, TWI_SLOT_ORDER_FILL(6));
}

static inline void twi_slot_complete(twi_slot *slot, uint64_t sequence)
{
    TWI_SLOT_STORE(&slot->word, twi_word_complete(sequence), TWI_SLOT_ORDER_COMPLETE);
}

static inline void twi_slot_publish(twi_slot *slot, uint64_t sequence, const tw_event *event)
{
    twi_slot_mark(slot, sequence);
    twi_slot_fill(slot, event);
    twi_slot_complete(slot, sequence);
}

/* Copies event `sequence` into *out if it is complete. *found is the word that decided if it is not TWI_FETCH_OK;
 * *out is untouched then. */
static inline twi_fetch twi_slot_fetch(const twi_slot *slot, uint64_t sequence, tw_event *out, uint64_t *found)
{
    uint64_t expected = twi_word_complete(sequence);
    uint64_t word = TWI_SLOT_LOAD(&slot->word, TWI_SLOT_ORDER_LOOK);
    if (word != expected) {
        *found = word;
        return word < expected ? TWI_FETCH_NOT_YET : TWI_FETCH_LAPPED;
    }
    uint64_t first = TWI_SLOT_LOAD(&slot->payload[0], TWI_SLOT_ORDER_COPY);
    uint64_t venue_ns = TWI_SLOT_LOAD(&slot->payload[1], TWI_SLOT_ORDER_COPY);
    uint64_t recv_ns = TWI_SLOT_LOAD(&slot->payload[2], TWI_SLOT_ORDER_COPY);
    uint64_t u0 = TWI_SLOT_LOAD(&slot->payload[3], TWI_SLOT_ORDER_COPY);
    uint64_t u1 = TWI_SLOT_LOAD(&slot->payload[4], TWI_SLOT_ORDER_COPY);
    uint64_t u2 = TWI_SLOT_LOAD(&slot->payload[5], TWI_SLOT_ORDER_COPY);
    uint64_t u3 = TWI_SLOT_LOAD(&slot->payload[6], TWI_SLOT_ORDER_COPY);
    word = TWI_SLOT_LOAD(&slot->word, TWI_SLOT_ORDER_LOOK_AGAIN);
    if (word != expected) {
        *found = word;
        return TWI_FETCH_LAPPED;
    }
    memcpy(out, &first, sizeof(first));
    out->venue_ns = (int64_t)venue_ns;
    out->recv_ns = (int64_t)recv_ns;
    out->u.quote.bid = (int64_t)u0;
    out->u.quote.bid_amount = (int64_t)u1;
    out->u.quote.ask = (int64_t)u2;
    out->u.quote.ask_amount = (int64_t)u3;
    return TWI_FETCH_OK;
}

/* The slots as both sides see them; a private copy of what the header says about them. */
typedef struct twi_slots {
    twi_slot *slots;
    uint64_t mask;          /* slot count - 1 */
    _Atomic uint64_t *head; /* sequence number of the next event */
    uint64_t lap_margin;
} twi_slots;

/* A reader's own place in the ring. */
typedef struct twi_cursor {
    uint64_t position;   /* sequence number of the next event to read */
    uint64_t known_head; /* every event before it was published; as of some time ago */
    size_t last_count;   /* events that the last read gave */
} twi_cursor;

/* Publishes event `sequence` and moves the head: for lag and for readers that are behind or lapped; nobody polls it,
 * so its line stays with the producer. The lines of the slots to come lie with the readers, who had them a lap ago;
 * fetching them early lets those misses overlap, which stores alone do not (they leave the store buffer in order). */
static inline void twi_slots_commit(const twi_slots *ring, uint64_t sequence, const tw_event *event)
{
    twi_prefetch_write(&ring->slots[(sequence + TWI_SLOT_WRITE_AHEAD) & ring->mask]);
    twi_slot_publish(&ring->slots[sequence & ring->mask], sequence, event);
    TWI_SLOT_STORE(ring->head, sequence + 1, TWI_SLOT_ORDER_HEAD_STORE);
}

/* Moves a lapped reader on and adds what it skips to *lost. The slot's word says that event m = sequence(found) is
 * being written or written, so everything up to m - slot count is gone; the head, read relaxed, can only say that
 * even more is. `lap_margin` events more are given up, because those next to be overwritten could hardly be read in
 * time: a reader that went back to the very edge under a fast producer would be lapped again at once, and could
 * starve. */
static inline void twi_slots_skip(const twi_slots *ring, uint64_t *position, uint64_t found, uint64_t *lost)
{
    uint64_t newest = twi_word_sequence(found);
    uint64_t head = TWI_SLOT_LOAD(ring->head, TWI_SLOT_ORDER_HEAD_LOAD);
    if (head > newest + 1) {
        newest = head - 1;
    }
    uint64_t oldest = newest - ring->mask + ring->lap_margin;
    uint64_t next = oldest > *position ? oldest : *position + 1;
    *lost += next - *position;
    *position = next;
}

/* Copies up to cap events that are complete; returns how many. *found is 0 if nothing but a missing event stopped it,
 * else the word that says that the producer has overtaken. Lines before `published` are fetched early; those from
 * there on are left to the producer, who may be writing them. */
static inline size_t twi_slots_copy(const twi_slots *ring, uint64_t position, uint64_t published, tw_event *out,
                                    size_t cap, uint64_t *found)
{
    const twi_slot *slots = ring->slots;
    uint64_t mask = ring->mask;
    uint64_t word = 0;
    twi_fetch fetch = TWI_FETCH_OK;
    size_t count = 0;
    while (count < cap) {
        if (position + TWI_SLOT_READ_AHEAD < published) {
            twi_prefetch_read(&slots[(position + TWI_SLOT_READ_AHEAD) & mask]);
        }
        fetch = twi_slot_fetch(&slots[position & mask], position, &out[count], &word);
        if (TWI_UNLIKELY(fetch != TWI_FETCH_OK)) {
            break;
        }
        count++;
        position++;
    }
    *found = fetch == TWI_FETCH_LAPPED ? word : 0;
    return count;
}

/* How far lines may be fetched early. The head's line is asked for only by a reader that is behind, once per batch: a
 * reader at the edge would take it from the producer at every poll. */
static inline uint64_t twi_slots_published(const twi_slots *ring, twi_cursor *cursor, size_t cap)
{
    if (cursor->last_count >= TWI_SLOT_BEHIND_MIN && cursor->known_head < cursor->position + cap) {
        cursor->known_head = TWI_SLOT_LOAD(ring->head, TWI_SLOT_ORDER_HEAD_LOAD);
        uint64_t first = cursor->position + TWI_SLOT_READ_AHEAD;
        uint64_t end = first < cursor->known_head ? first : cursor->known_head;
        for (uint64_t next = cursor->position; next < end; next++) {
            twi_prefetch_read(&ring->slots[next & ring->mask]);
        }
    }
    uint64_t batch_end = cursor->position + cap;
    return cursor->known_head < batch_end ? cursor->known_head : batch_end;
}

/* Copies up to cap events from the cursor on; returns how many. A hole may only lie before out[0]: what was copied
 * before one is met goes out first, the next call meets it again and adds its size to *lost. A reader that is lapped
 * again while it skips gives up after a few times (0 events, *lost increased), so that a call always ends, whatever
 * the producer does. */
static inline size_t twi_slots_read(const twi_slots *ring, twi_cursor *cursor, tw_event *out, size_t cap,
                                    uint64_t *lost)
{
    uint64_t found;
    uint64_t published = twi_slots_published(ring, cursor, cap);
    size_t count = twi_slots_copy(ring, cursor->position, published, out, cap, &found);
    for (int skips = 0; TWI_UNLIKELY(found && count == 0 && skips < TWI_SLOT_SKIPS_MAX); skips++) {
        twi_slots_skip(ring, &cursor->position, found, lost);
        count = twi_slots_copy(ring, cursor->position, 0, out, cap, &found);
    }
    cursor->position += count;
    cursor->last_count = count;
    return count;
}

#endif
