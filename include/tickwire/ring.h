/* ring.h - the broadcast tick ring: one producer, any number of readers, overwriting, in shared memory.
 *
 * Shape:    a power of two of 64-byte slots (8-byte seqlock word + 56-byte tw_event); event n lies in slot n mod
 *           slots. Sequence numbers start at 0 and never repeat within an epoch.
 * Producer: never waits for anybody. claim() gives the next slot's event to fill in, commit() publishes it; a claim
 *           that is not committed is given again. One thread at a time.
 * Readers:  keep their own cursor; map read-only; cannot disturb the producer; learn exactly how many they missed.
 * Names:    "name" is a shared-memory object name without slash ("tickwire"); NULL makes an anonymous ring that only
 *           this process and its children can use. A live producer's name is refused, a dead one's taken over.
 * Errors:   open and attach fill the caller's text buffer with what failed and what to do about it. */
#ifndef TICKWIRE_RING_H
#define TICKWIRE_RING_H

#include <stddef.h>
#include <stdint.h>

#include "tickwire/event.h"
#include "tickwire/feed.h"
#include "tickwire/symbols.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct tw_ring tw_ring;               /* producer's side */
typedef struct tw_ring_reader tw_ring_reader; /* reader's side; one per reading thread */

enum {
    TW_RING_SLOT_BYTES = 64, /* memory per slot */
    TW_RING_LAST_BYTES = 192 /* memory per instrument for its last values */
};

typedef struct tw_ring_options {
    const char *name;              /* NULL: anonymous */
    uint32_t slot_count;           /* power of two, 64 .. 2^24 */
    uint32_t instrument_count_max; /* capacity of the instrument table */
    uint32_t mode;                 /* permission bits of the shared object, e.g. 0640 */
    uint8_t huge_pages;            /* 0 never, 1 if there are any (reported by tw_ring_huge_pages) */
    uint8_t last_values;           /* 1: the last trade, quote and status of every instrument are kept beside the slots:
                                      192 bytes per instrument, and one more cache line to write per such event */
    uint8_t numa_bind; /* 1: the memory is asked for on NUMA node numa_node (Linux; see tw_ring_numa_node) */
    uint8_t numa_node;
} tw_ring_options;

/* Creates the ring; replaces a dead producer's object of the same name (its readers see the epoch end). */
TW_API TW_MUST_USE tw_status tw_ring_open(const tw_ring_options *options, tw_ring **ring, char *error,
                                          size_t error_cap);
/* Marks the epoch as ended, unlinks the name, unmaps. */
TW_API void tw_ring_close(tw_ring *ring);

/* A zeroed event to fill in; never NULL. It is private memory: nothing of it is seen before commit(). */
TW_API tw_event *tw_ring_claim(tw_ring *ring);
TW_API void tw_ring_commit(tw_ring *ring);         /* publishes what claim() gave */
TW_API tw_sink tw_ring_sink(tw_ring *ring);        /* claim and commit in the form that feeds want; valid until close */
TW_API uint64_t tw_ring_head(const tw_ring *ring); /* sequence number of the next event */
TW_API uint64_t tw_ring_epoch(const tw_ring *ring);           /* differs for every ring ever opened; never 0 */
TW_API tw_symbols *tw_ring_symbols(tw_ring *ring);            /* the instrument table; only the producer adds to it */
TW_API void tw_ring_heartbeat(tw_ring *ring, int64_t now_ns); /* at least once a second, so that readers see it alive */
TW_API int tw_ring_huge_pages(const tw_ring *ring);           /* 1 if the mapping really is on huge pages */
TW_API int tw_ring_numa_node(const tw_ring *ring); /* the node that its first slot really lies on; -1: nobody knows */
/* Wakes readers that sleep in tw_ring_wait(); cheap when none sleeps. Call once per batch. */
TW_API void tw_ring_wake(tw_ring *ring);

/* A reader in the same process (or inherited by a child), starting at the next event to come; may outlive the ring. */
TW_API TW_MUST_USE tw_status tw_ring_reader_open(tw_ring *ring, tw_ring_reader **reader);
/* A reader in any process of the same user (or group, by mode), starting at the next event to come.
 * TW_UNAVAILABLE: no such ring, no permission, other layout version; the text says which. */
TW_API TW_MUST_USE tw_status tw_ring_attach(const char *name, tw_ring_reader **reader, char *error, size_t error_cap);
/* Unmaps the ring; NULL is harmless. */
TW_API void tw_ring_reader_close(tw_ring_reader *reader);

/* Copies up to `cap` events in order into out; returns how many. *lost is increased by the exact number of events
 * before out[0] that were overwritten (0 in normal operation). Reading goes on with the oldest that is still there
 * and not about to be overwritten too (an eighth of the ring ahead of the producer). A hole within a batch ends the
 * batch; 0 with *lost increased means that the producer overtook again meanwhile, not that there is nothing. */
TW_API size_t tw_ring_read(tw_ring_reader *reader, tw_event *out, size_t cap, uint64_t *lost);
TW_API uint64_t tw_ring_reader_position(const tw_ring_reader *reader); /* sequence number of the next event to read */
TW_API uint64_t tw_ring_reader_lag(const tw_ring_reader *reader);      /* events published and not read yet */
/* The producer's instrument table, read-only; lives as long as the reader. */
TW_API const tw_symbols *tw_ring_reader_symbols(const tw_ring_reader *reader);
/* That of the ring that was opened or attached: another one means that the producer started anew. */
TW_API uint64_t tw_ring_reader_epoch(const tw_ring_reader *reader);
/* The last TW_EVENT_TRADE, _QUOTE or _STATUS of an instrument, also if it was published before this reader attached.
 * *sequence is its number in the ring: from the reader's position on it comes (again) through tw_ring_read(), and
 * everything before the position is in here. TW_EMPTY: there was none yet; TW_NOT_SUPPORTED: the ring was made without
 * last_values; TW_BAD_ARGUMENT: another kind, or no such instrument; TW_AGAIN: overwritten again and again while it
 * was copied, try later. May be called at any time, also by a reader that does not read. */
TW_API TW_MUST_USE tw_status tw_ring_last(const tw_ring_reader *reader, uint32_t instrument, uint8_t kind,
                                          tw_event *event, uint64_t *sequence);
/* Sleeps until there is something to read or timeout_ns passed. TW_OK, TW_TIMEOUT, or TW_CLOSED: the producer ended and
 * everything is read. A killed producer says nothing: see tw_ring_reader_producer_dead(). */
TW_API TW_MUST_USE tw_status tw_ring_wait(tw_ring_reader *reader, int64_t timeout_ns);
/* 1 if the producer ended its epoch or its heartbeat is older than timeout_ns. */
TW_API int tw_ring_reader_producer_dead(const tw_ring_reader *reader, int64_t now_ns, int64_t timeout_ns);

#ifdef __cplusplus
}
#endif
#endif
