/* backlog.h - book messages that arrived before their snapshot: a bounded byte ring shared by all books of a feed.
 *
 * Job:      venues that give the snapshot over REST want it joined with the stream: what arrives meanwhile is kept here
 *           as it came, and is run through the parser again once the snapshot is there.
 * Usage:    push() while the snapshot is awaited; then walk: for (r = next(key, NULL); r; r = next(key, r)) and
 *           consume() each, or forget(key).
 * Memory:   the caller's. When it is full the oldest records make room: counted in `dropped`; their book will find a
 *           gap between its snapshot and what is left, and fetches again.
 * Thread:   one. Records stay where they are until the next push(). */
#ifndef TWI_BACKLOG_H
#define TWI_BACKLOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct twi_backlog_record {
    uint32_t bytes; /* of the whole record with its message, a multiple of 8 */
    uint32_t key;   /* whose it is; TWI_BACKLOG_NOBODY: consumed, or filler at the end of the ring */
    uint32_t link;
    uint32_t message_len;
    uint64_t first, last; /* venue sequence numbers that it covers */
    int64_t recv_ns;
} twi_backlog_record;

#define TWI_BACKLOG_NOBODY UINT32_MAX

typedef struct twi_backlog {
    uint8_t *memory;
    size_t cap;        /* multiple of 8 */
    size_t head, tail; /* ever-growing; position in memory is modulo cap */
    uint64_t dropped;
} twi_backlog;

/* memory: 8-byte aligned. */
void twi_backlog_init(twi_backlog *backlog, void *memory, size_t cap);

/* Keeps a copy of the message. False (and counted) if it is larger than a quarter of the ring. */
bool twi_backlog_push(twi_backlog *backlog, const twi_backlog_record *head, const uint8_t *message);

/* The oldest record of `key` after `after` (NULL: from the start); NULL: none. */
twi_backlog_record *twi_backlog_next(twi_backlog *backlog, uint32_t key, const twi_backlog_record *after);

static inline const uint8_t *twi_backlog_message(const twi_backlog_record *record)
{
    return (const uint8_t *)(record + 1);
}

void twi_backlog_consume(twi_backlog *backlog, twi_backlog_record *record);
void twi_backlog_forget(twi_backlog *backlog, uint32_t key);

#endif
