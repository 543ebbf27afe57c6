/* market.c - see market.h. */
#include "engine/fanout/market.h"

#include <stdlib.h>
#include <string.h>

tw_status twi_market_open(twi_market *market, uint32_t instrument_count_max, uint32_t depth_max)
{
    memset(market, 0, sizeof *market);
    market->instruments = calloc(instrument_count_max, sizeof *market->instruments);
    market->instrument_count_max = instrument_count_max;
    market->depth_max = depth_max;
    return market->instruments != NULL ? TW_OK : TW_NO_MEMORY;
}

void twi_market_close(twi_market *market)
{
    for (uint32_t i = 0; market->instruments != NULL && i < market->instrument_count_max; i++)
        free(market->instruments[i].book);
    free(market->instruments);
    memset(market, 0, sizeof *market);
}

void twi_market_quote(twi_market *market, const tw_event *event)
{
    market->instruments[event->instrument].quote = *event;
}

void twi_market_status(twi_market *market, const tw_event *event)
{
    twi_market_instrument *state = &market->instruments[event->instrument];
    state->status = *event;
    state->book_state = (uint8_t)event->u.status.state;
}

/* The book and its level storage in one block, taken when the instrument's first snapshot begins. */
static twi_book *open_book(twi_market *market, twi_market_instrument *state)
{
    size_t head_bytes = (sizeof(twi_book) + 63) / 64 * 64;
    uint8_t *memory = malloc(head_bytes + twi_book_size(market->depth_max));
    if (memory == NULL)
        return NULL;
    state->book = (twi_book *)(void *)memory;
    twi_book_init(state->book, memory + head_bytes, market->depth_max);
    market->book_count++;
    return state->book;
}

tw_status twi_market_reserve(twi_market *market, uint32_t instrument_count)
{
    for (uint32_t i = 0; i < instrument_count && i < market->instrument_count_max; i++)
        if (market->instruments[i].book == NULL && open_book(market, &market->instruments[i]) == NULL)
            return TW_NO_MEMORY;
    return TW_OK;
}

static int begins_snapshot(const tw_event *event)
{
    return event->kind == TW_EVENT_BOOK_CLEAR ||
           (event->flags & (TW_FLAG_SNAPSHOT | TW_FLAG_FIRST)) == (TW_FLAG_SNAPSHOT | TW_FLAG_FIRST);
}

tw_status twi_market_level(twi_market *market, const tw_event *event)
{
    twi_market_instrument *state = &market->instruments[event->instrument];
    if (begins_snapshot(event)) {
        if (state->book == NULL && open_book(market, state) == NULL)
            return TW_NO_MEMORY;
        state->book_begun = 1;
        state->book_state = TW_STATE_OK;
    }
    if (!state->book_begun)
        return TW_OK; /* a change to a book that has not begun; the venue's snapshot is still to come */
    uint64_t dropped = state->book->dropped;
    tw_status status = twi_book_apply_event(state->book, event);
    market->levels_dropped += state->book->dropped - dropped;
    state->book_venue_ns = event->venue_ns;
    state->book_recv_ns = event->recv_ns;
    if (event->kind == TW_EVENT_LEVEL)
        state->book_venue_seq = event->u.level.venue_seq;
    if (status != TW_OK)
        state->book_state = TW_STATE_GAP;
    return status;
}

static uint32_t side_snapshot(const twi_market_instrument *state, twi_side side, tw_event base, tw_event *out)
{
    uint32_t count = twi_book_count(state->book, side);
    for (uint32_t i = 0; i < count; i++) {
        twi_level level = twi_book_level(state->book, side, i);
        base.flags = (uint8_t)(TW_FLAG_SNAPSHOT | (side == TWI_ASK ? TW_FLAG_ASK : 0));
        base.price_exponent = level.price.exponent;
        base.amount_exponent = level.amount.exponent;
        base.u.level.price = level.price.mantissa;
        base.u.level.amount = level.amount.mantissa;
        out[i] = base;
    }
    return count;
}

uint32_t twi_market_book_snapshot(const twi_market *market, uint32_t instrument, tw_event *out)
{
    const twi_market_instrument *state = &market->instruments[instrument];
    tw_event base = {
        .instrument = instrument,
        .kind = TW_EVENT_LEVEL,
        .venue_ns = state->book_venue_ns,
        .recv_ns = state->book_recv_ns,
        .u.level = {.venue_seq = state->book_venue_seq},
    };
    uint32_t count = side_snapshot(state, TWI_BID, base, out);
    count += side_snapshot(state, TWI_ASK, base, out + count);
    if (count == 0) {
        base.kind = TW_EVENT_BOOK_CLEAR;
        base.flags = TW_FLAG_SNAPSHOT;
        out[count++] = base;
    }
    out[0].flags |= TW_FLAG_FIRST;
    out[count - 1].flags |= TW_FLAG_LAST;
    return count;
}

uint32_t twi_market_snapshot_max(const twi_market *market)
{
    return 2 * market->depth_max + 1;
}

tw_event twi_market_current_status(const twi_market *market, uint32_t instrument, int64_t now_ns)
{
    const twi_market_instrument *state = &market->instruments[instrument];
    if (state->status.kind == TW_EVENT_STATUS)
        return state->status;
    return (tw_event){
        .instrument = instrument,
        .kind = TW_EVENT_STATUS,
        .flags = TW_FLAG_FIRST | TW_FLAG_LAST,
        .recv_ns = now_ns,
        .u.status = {.state = state->book_state, .reason = TW_REASON_START},
    };
}
