/* arbiter.c - see arbiter.h. */
#include "engine/connect/arbiter.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/assert.h"
#include "engine/base/compiler.h"

enum { BUCKETS = 2 * TWI_ARBITER_TRADES };
#define NO_ENTRY UINT16_MAX
_Static_assert(TWI_ARBITER_TRADES < UINT16_MAX, "entries are numbered in 16 bits");

/* The ids of the last trades: a ring, with chains by hash through it. */
typedef struct trade_ids {
    tw_trade_id id[TWI_ARBITER_TRADES];
    uint16_t next[TWI_ARBITER_TRADES];
    uint16_t bucket[BUCKETS];
    uint32_t count;
} trade_ids;

typedef struct book_leg {
    uint64_t seq;  /* of its last group; 0: none since its snapshot went */
    uint8_t state; /* tw_book_state that it told last */
    bool has_book; /* a snapshot came since the last clear or restart */
} book_leg;

typedef struct slot {
    uint32_t instrument; /* TW_INSTRUMENT_NONE: free */
    uint8_t told_state;
    bool has_told;   /* any status */
    bool has_book;   /* put out, and not cleared since */
    bool group_goes; /* the group that is under way is put out */
    uint8_t quote_leg;
    int64_t quote_ns;
    uint64_t seq; /* of the book that was put out */
    book_leg legs[TWI_ARBITER_LEGS];
    trade_ids *trades;
} slot;

typedef struct leg_sink {
    twi_arbiter *arbiter;
    uint32_t leg;
} leg_sink;

struct twi_arbiter {
    tw_sink out;
    tw_event *event; /* claimed */
    leg_sink sinks[TWI_ARBITER_LEGS];
    uint32_t slot_mask;
    slot *slots;
    trade_ids *trades;
    uint32_t symbol_count, symbol_count_max;
    uint64_t duplicates;
    bool stuck[TWI_ARBITER_LEGS];
};

/* ---- symbols ---- */

static uint32_t slots_for(uint32_t symbol_count_max)
{
    uint32_t count = 8;
    while (count < 2 * symbol_count_max)
        count *= 2;
    return count;
}

static slot *find(twi_arbiter *arbiter, uint32_t instrument)
{
    uint32_t at = (instrument * UINT32_C(2654435761)) & arbiter->slot_mask;
    while (arbiter->slots[at].instrument != instrument) {
        slot *it = &arbiter->slots[at];
        if (it->instrument == TW_INSTRUMENT_NONE) {
            if (arbiter->symbol_count == arbiter->symbol_count_max)
                return NULL;
            it->instrument = instrument;
            it->trades = &arbiter->trades[arbiter->symbol_count++];
            memset(it->trades->bucket, 0xff, sizeof(it->trades->bucket));
            return it;
        }
        at = (at + 1) & arbiter->slot_mask;
    }
    return &arbiter->slots[at];
}

/* ---- trades ---- */

static uint32_t bucket_of(tw_trade_id id)
{
    uint64_t hash = (id.lo ^ id.hi * UINT64_C(0x9e3779b97f4a7c15)) * UINT64_C(0xff51afd7ed558ccd);
    return (uint32_t)(hash >> 40) % BUCKETS;
}

static void evict(trade_ids *trades, uint16_t entry)
{
    uint16_t *at = &trades->bucket[bucket_of(trades->id[entry])];
    while (*at != entry)
        at = &trades->next[*at];
    *at = trades->next[entry];
}

/* True if it is new. */
static bool add_trade(trade_ids *trades, tw_trade_id id)
{
    uint32_t bucket = bucket_of(id);
    for (uint16_t at = trades->bucket[bucket]; at != NO_ENTRY; at = trades->next[at]) {
        if (trades->id[at].lo == id.lo && trades->id[at].hi == id.hi)
            return false;
    }
    uint16_t entry = (uint16_t)(trades->count % TWI_ARBITER_TRADES);
    if (trades->count >= TWI_ARBITER_TRADES)
        evict(trades, entry);
    trades->count++;
    if (trades->count == 2 * TWI_ARBITER_TRADES)
        trades->count = TWI_ARBITER_TRADES; /* the same place in the ring, and still full */
    trades->id[entry] = id;
    trades->next[entry] = trades->bucket[bucket];
    trades->bucket[bucket] = entry;
    return true;
}

/* ---- books ---- */

static bool snapshot_goes(slot *it, uint32_t leg, uint64_t seq)
{
    book_leg *from = &it->legs[leg], *other = &it->legs[1 - leg];
    if (it->has_book && from->seq != 0 && seq < from->seq) { /* the venue counts anew */
        other->has_book = false;
        return true;
    }
    return !it->has_book || seq > it->seq;
}

static bool delta_goes(twi_arbiter *arbiter, slot *it, uint32_t leg, uint64_t seq)
{
    book_leg *from = &it->legs[leg], *other = &it->legs[1 - leg];
    if (!it->has_book || !from->has_book || seq == it->seq) /* equal: the book has it */
        return false;
    if (from->seq == it->seq) {
        if (seq < it->seq) /* the venue counts anew */
            other->has_book = false;
        return true;
    }
    if (seq > it->seq && !(other->has_book && other->state == TW_STATE_OK))
        arbiter->stuck[leg] = true;
    return false;
}

static bool level_goes(twi_arbiter *arbiter, slot *it, uint32_t leg, const tw_event *event)
{
    uint64_t seq = event->u.level.venue_seq;
    bool snapshot = (event->flags & TW_FLAG_SNAPSHOT) != 0;
    if ((event->flags & TW_FLAG_FIRST) != 0) {
        it->group_goes = snapshot ? snapshot_goes(it, leg, seq) : delta_goes(arbiter, it, leg, seq);
        arbiter->duplicates += !it->group_goes;
    }
    if ((event->flags & TW_FLAG_LAST) == 0)
        return it->group_goes;
    /* Only a whole group counts: a reader drops one that has no end, and the other leg's copy is then the first. */
    it->legs[leg].seq = seq;
    it->legs[leg].has_book |= snapshot;
    if (it->group_goes) {
        it->seq = seq;
        it->has_book = true;
    }
    return it->group_goes;
}

/* The leg has no book any more. */
static bool clear_goes(slot *it, uint32_t leg)
{
    book_leg *other = &it->legs[1 - leg];
    it->legs[leg].has_book = false;
    it->legs[leg].seq = 0;
    if (other->has_book && other->state == TW_STATE_OK)
        return false;
    bool had = it->has_book;
    it->has_book = false;
    it->seq = 0;
    return had;
}

static bool status_goes(slot *it, uint32_t leg, const tw_event *event)
{
    uint8_t state = (uint8_t)event->u.status.state;
    it->legs[leg].state = state;
    if (state == TW_STATE_STALE && it->quote_leg == leg)
        it->quote_leg = (uint8_t)(1 - leg);
    if (state != TW_STATE_OK && it->legs[1 - leg].state == TW_STATE_OK)
        return false;
    if (it->has_told && it->told_state == state)
        return false;
    it->has_told = true;
    it->told_state = state;
    return true;
}

static bool quote_goes(slot *it, uint32_t leg, const tw_event *event)
{
    if (leg != it->quote_leg || (event->venue_ns != 0 && event->venue_ns < it->quote_ns))
        return false;
    it->quote_ns = event->venue_ns;
    return true;
}

/* ---- the sink ---- */

static bool goes(twi_arbiter *arbiter, uint32_t leg, const tw_event *event)
{
    slot *it = find(arbiter, event->instrument);
    if (TWI_UNLIKELY(it == NULL))
        return leg == 0; /* more symbols than were announced: one leg is a whole feed */
    bool result;
    switch (event->kind) {
    case TW_EVENT_LEVEL:
        return level_goes(arbiter, it, leg, event);
    case TW_EVENT_STATUS:
        return status_goes(it, leg, event);
    case TW_EVENT_BOOK_CLEAR:
        return clear_goes(it, leg);
    case TW_EVENT_TRADE:
        if ((event->flags & TW_ID_KIND_MASK) == 0)
            return leg == 0; /* no id: nothing to tell copies by */
        result = add_trade(it->trades, event->u.trade.id);
        break;
    case TW_EVENT_QUOTE:
        result = quote_goes(it, leg, event);
        break;
    default:
        return true;
    }
    arbiter->duplicates += !result;
    return result;
}

static tw_event *claim(void *owner)
{
    twi_arbiter *arbiter = ((leg_sink *)owner)->arbiter;
    return arbiter->event = tw_sink_claim(&arbiter->out);
}

static void commit(void *owner)
{
    const leg_sink *sink = owner;
    if (goes(sink->arbiter, sink->leg, sink->arbiter->event))
        tw_sink_commit(&sink->arbiter->out);
}

tw_sink twi_arbiter_sink(twi_arbiter *arbiter, uint32_t leg)
{
    TWI_ASSERT(leg < TWI_ARBITER_LEGS);
    return (tw_sink){claim, commit, &arbiter->sinks[leg]};
}

/* ---- life ---- */

int twi_arbiter_take_stuck(twi_arbiter *arbiter, uint32_t leg)
{
    bool stuck = arbiter->stuck[leg];
    arbiter->stuck[leg] = false;
    return stuck;
}

size_t twi_arbiter_bytes(uint32_t symbol_count_max)
{
    return sizeof(twi_arbiter) + slots_for(symbol_count_max) * sizeof(slot) +
           (size_t)symbol_count_max * sizeof(trade_ids);
}

tw_status twi_arbiter_open(uint32_t symbol_count_max, tw_sink out, twi_arbiter **opened)
{
    uint32_t slot_count = slots_for(symbol_count_max);
    twi_arbiter *arbiter = calloc(1, sizeof(*arbiter));
    *opened = NULL;
    if (arbiter == NULL)
        return TW_NO_MEMORY;
    arbiter->out = out;
    arbiter->slot_mask = slot_count - 1;
    arbiter->symbol_count_max = symbol_count_max;
    arbiter->slots = calloc(slot_count, sizeof(*arbiter->slots));
    arbiter->trades = calloc(symbol_count_max + 1, sizeof(*arbiter->trades));
    if (arbiter->slots == NULL || arbiter->trades == NULL) {
        twi_arbiter_close(arbiter);
        return TW_NO_MEMORY;
    }
    for (uint32_t i = 0; i < slot_count; i++)
        arbiter->slots[i].instrument = TW_INSTRUMENT_NONE;
    for (uint32_t leg = 0; leg < TWI_ARBITER_LEGS; leg++)
        arbiter->sinks[leg] = (leg_sink){arbiter, leg};
    *opened = arbiter;
    return TW_OK;
}

void twi_arbiter_close(twi_arbiter *arbiter)
{
    free(arbiter->slots);
    free(arbiter->trades);
    free(arbiter);
}

uint64_t twi_arbiter_duplicates(const twi_arbiter *arbiter)
{
    return arbiter->duplicates;
}
