/* backlog.c - records end to end in a ring of bytes; one that would not fit before the end leaves filler there. */
#include "engine/book/backlog.h"

#include <string.h>

#include "engine/base/assert.h"

enum { RECORD_ALIGN = 8, RECORD_SHARE = 4 };

void twi_backlog_init(twi_backlog *backlog, void *memory, size_t cap)
{
    TWI_ASSERT(((uintptr_t)memory & (RECORD_ALIGN - 1)) == 0);
    *backlog = (twi_backlog){.memory = memory, .cap = cap & ~(size_t)(RECORD_ALIGN - 1)};
}

static twi_backlog_record *record_at(const twi_backlog *backlog, size_t position)
{
    return (twi_backlog_record *)(void *)(backlog->memory + position % backlog->cap);
}

/* Bytes until the ring wraps. */
static size_t run_at(const twi_backlog *backlog, size_t position)
{
    return backlog->cap - position % backlog->cap;
}

/* Steps over the record at a position; too little room for a head before the end is filler without one. */
static size_t step_at(const twi_backlog *backlog, size_t position)
{
    size_t run = run_at(backlog, position);
    return run < sizeof(twi_backlog_record) ? run : record_at(backlog, position)->bytes;
}

static bool nobody_at(const twi_backlog *backlog, size_t position)
{
    return run_at(backlog, position) < sizeof(twi_backlog_record) ||
           record_at(backlog, position)->key == TWI_BACKLOG_NOBODY;
}

static void trim(twi_backlog *backlog)
{
    while (backlog->tail < backlog->head && nobody_at(backlog, backlog->tail))
        backlog->tail += step_at(backlog, backlog->tail);
}

static void drop_oldest(twi_backlog *backlog)
{
    backlog->dropped += !nobody_at(backlog, backlog->tail);
    backlog->tail += step_at(backlog, backlog->tail);
}

static void make_room(twi_backlog *backlog, size_t bytes)
{
    while (backlog->head + bytes - backlog->tail > backlog->cap)
        drop_oldest(backlog);
}

static void fill_to_end(twi_backlog *backlog)
{
    size_t run = run_at(backlog, backlog->head);
    make_room(backlog, run);
    if (run >= sizeof(twi_backlog_record))
        *record_at(backlog, backlog->head) = (twi_backlog_record){.bytes = (uint32_t)run, .key = TWI_BACKLOG_NOBODY};
    backlog->head += run;
}

bool twi_backlog_push(twi_backlog *backlog, const twi_backlog_record *head, const uint8_t *message)
{
    size_t bytes = (sizeof(*head) + head->message_len + RECORD_ALIGN - 1) & ~(size_t)(RECORD_ALIGN - 1);
    if (bytes > backlog->cap / RECORD_SHARE) {
        backlog->dropped++;
        return false;
    }
    if (run_at(backlog, backlog->head) < bytes)
        fill_to_end(backlog);
    make_room(backlog, bytes);
    twi_backlog_record *record = record_at(backlog, backlog->head);
    *record = *head;
    record->bytes = (uint32_t)bytes;
    memcpy(record + 1, message, head->message_len);
    backlog->head += bytes;
    return true;
}

/* Where a record is, as an ever-growing position: its place in memory belongs to exactly one position of [tail,
 * head). */
static size_t position_of(const twi_backlog *backlog, const twi_backlog_record *record)
{
    size_t place = (size_t)((const uint8_t *)record - backlog->memory);
    size_t tail_place = backlog->tail % backlog->cap;
    return backlog->tail + (place >= tail_place ? place - tail_place : place + backlog->cap - tail_place);
}

twi_backlog_record *twi_backlog_next(twi_backlog *backlog, uint32_t key, const twi_backlog_record *after)
{
    size_t position = backlog->tail;
    if (after != NULL)
        position = position_of(backlog, after) + after->bytes;
    for (; position < backlog->head; position += step_at(backlog, position)) {
        if (!nobody_at(backlog, position) && record_at(backlog, position)->key == key)
            return record_at(backlog, position);
    }
    return NULL;
}

void twi_backlog_consume(twi_backlog *backlog, twi_backlog_record *record)
{
    (void)backlog;
    record->key = TWI_BACKLOG_NOBODY;
}

void twi_backlog_forget(twi_backlog *backlog, uint32_t key)
{
    for (twi_backlog_record *record = twi_backlog_next(backlog, key, NULL); record != NULL;
         record = twi_backlog_next(backlog, key, record))
        record->key = TWI_BACKLOG_NOBODY;
    trim(backlog);
}
