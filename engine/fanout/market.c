/* market.c - see market.h. */
#include "engine/fanout/market.h"

#include <stdlib.h>
#include <string.h>

tw_status twi_market_open(twi_market *market, uint32_t instrument_count_max, uint32_t depth_max, uint32_t trade_history)
{
    memset(market, 0, sizeof *market);
    market->instruments = calloc(instrument_count_max, sizeof *market->instruments);
    market->instrument_count_max = instrument_count_max;
    market->depth_max = depth_max;
    market->trade_history = trade_history;
    return market->instruments != NULL ? TW_OK : TW_NO_MEMORY;
}

void twi_market_close(twi_market *market)
{
    for (uint32_t i = 0; market->instruments != NULL && i < market->instrument_count_max; i++) {
        free(market->instruments[i].book);
        free(market->instruments[i].trades);
    }
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

static tw_event *open_trades(const twi_market *market, twi_market_instrument *state)
{
    state->trades = malloc(market->trade_history * sizeof *state->trades);
    return state->trades;
}

void twi_market_trade(twi_market *market, const tw_event *event)
{
    twi_market_instrument *state = &market->instruments[event->instrument];
    if (market->trade_history == 0 || (state->trades == NULL && open_trades(market, state) == NULL))
        return;
    state->trades[state->trade_next] = *event;
    state->trade_next = state->trade_next + 1 == market->trade_history ? 0 : state->trade_next + 1;
    state->trade_count += state->trade_count < market->trade_history;
}

/* back 0: the last one. */
static const tw_event *trade_at(const twi_market *market, const twi_market_instrument *state, uint32_t back)
{
    uint32_t next = state->trade_next;
    return &state->trades[next > back ? next - back - 1 : next + market->trade_history - back - 1];
}

uint32_t twi_market_trades(const twi_market *market, uint32_t instrument, int64_t since_ns, int from_oldest,
                           uint32_t limit, tw_event *out)
{
    const twi_market_instrument *state = &market->instruments[instrument];
    uint32_t start = from_oldest || state->trade_count < limit ? state->trade_count : limit, count = 0;
    for (uint32_t back = start; back-- > 0 && count < limit;) {
        const tw_event *trade = trade_at(market, state, back);
        if ((trade->venue_ns > 0 ? trade->venue_ns : trade->recv_ns) >= since_ns)
            out[count++] = *trade;
    }
    return count;
}

tw_status twi_market_reserve(twi_market *market, uint32_t instrument_count)
{
    for (uint32_t i = 0; i < instrument_count && i < market->instrument_count_max; i++) {
        twi_market_instrument *state = &market->instruments[i];
        if (state->book == NULL && open_book(market, state) == NULL)
            return TW_NO_MEMORY;
        if (market->trade_history > 0 && state->trades == NULL && open_trades(market, state) == NULL)
            return TW_NO_MEMORY;
    }
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

static uint32_t side_snapshot(const twi_market_instrument *state, twi_side side, uint32_t limit, tw_event base,
                              tw_event *out)
{
    uint32_t count = twi_book_count(state->book, side);
    count = count < limit ? count : limit;
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

uint32_t twi_market_book_levels(const twi_market *market, uint32_t instrument, uint32_t limit, tw_event *out)
{
    const twi_market_instrument *state = &market->instruments[instrument];
    tw_event base = {
        .instrument = instrument,
        .kind = TW_EVENT_LEVEL,
        .venue_ns = state->book_venue_ns,
        .recv_ns = state->book_recv_ns,
        .u.level = {.venue_seq = state->book_venue_seq},
    };
    uint32_t count = side_snapshot(state, TWI_BID, limit, base, out);
    return count + side_snapshot(state, TWI_ASK, limit, base, out + count);
}

uint32_t twi_market_book_snapshot(const twi_market *market, uint32_t instrument, tw_event *out)
{
    const twi_market_instrument *state = &market->instruments[instrument];
    uint32_t count = twi_market_book_levels(market, instrument, UINT32_MAX, out);
    if (count == 0) {
        out[count++] = (tw_event){
            .instrument = instrument,
            .kind = TW_EVENT_BOOK_CLEAR,
            .flags = TW_FLAG_SNAPSHOT,
            .venue_ns = state->book_venue_ns,
            .recv_ns = state->book_recv_ns,
            .u.level = {.venue_seq = state->book_venue_seq},
        };
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
