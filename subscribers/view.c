/* view.c - see tickwire/view.h. */
#include "tickwire/view.h"

#include <stdlib.h>

#include "engine/book/book.h"

enum { INSTRUMENTS_DEFAULT = 4096, DEPTH_DEFAULT = 1000 };

typedef struct view_instrument {
    tw_event trade, quote, status; /* kind NONE: not seen */
    twi_book *book;                /* NULL before the first snapshot; its levels lie behind it */
    uint8_t engine_state;          /* tw_book_state: what the engine says of it */
    uint8_t is_broken;             /* since its last snapshot something was missed here, or could not be applied */
} view_instrument;

struct tw_view {
    uint32_t instrument_count_max, depth_max;
    view_instrument *instruments;
};

_Static_assert((int)TW_VIEW_BIDS == (int)TWI_BID && (int)TW_VIEW_ASKS == (int)TWI_ASK, "the same sides");
_Static_assert(sizeof(tw_view_level) == sizeof(twi_level), "the same level");

tw_status tw_view_open(const tw_view_options *options, tw_view **view)
{
    tw_view *made = calloc(1, sizeof(*made));
    *view = NULL;
    if (!made)
        return TW_NO_MEMORY;
    made->instrument_count_max =
        options && options->instrument_count_max ? options->instrument_count_max : INSTRUMENTS_DEFAULT;
    made->depth_max = options && options->depth_max ? options->depth_max : DEPTH_DEFAULT;
    if (made->depth_max > TWI_BOOK_LEVELS_MAX)
        made->depth_max = TWI_BOOK_LEVELS_MAX;
    made->instruments = calloc(made->instrument_count_max, sizeof(*made->instruments));
    if (!made->instruments) {
        free(made);
        return TW_NO_MEMORY;
    }
    *view = made;
    return TW_OK;
}

void tw_view_reset(tw_view *view)
{
    for (uint32_t i = 0; i < view->instrument_count_max; i++) {
        free(view->instruments[i].book);
        view->instruments[i] = (view_instrument){0};
    }
}

void tw_view_close(tw_view *view)
{
    if (!view)
        return;
    tw_view_reset(view);
    free(view->instruments);
    free(view);
}

void tw_view_gap(tw_view *view)
{
    for (uint32_t i = 0; i < view->instrument_count_max; i++)
        if (view->instruments[i].book)
            view->instruments[i].is_broken = 1;
}

static twi_book *book_new(uint32_t depth)
{
    size_t header = (sizeof(twi_book) + 7) / 8 * 8;
    twi_book *book = malloc(header + twi_book_size(depth));
    if (book)
        twi_book_init(book, (uint8_t *)book + header, depth);
    return book;
}

/* A level or a clear. A book begins with a snapshot; changes before it say nothing. */
static tw_status apply_level(const tw_view *view, view_instrument *instrument, const tw_event *event)
{
    bool begins =
        event->kind == TW_EVENT_BOOK_CLEAR || ((event->flags & TW_FLAG_SNAPSHOT) && (event->flags & TW_FLAG_FIRST));
    if (!instrument->book && begins) {
        instrument->book = book_new(view->depth_max);
        if (!instrument->book)
            return TW_NO_MEMORY;
    }
    if (begins) {
        instrument->is_broken = 0;
        instrument->engine_state = TW_STATE_OK;
    }
    if (!instrument->book || instrument->is_broken)
        return TW_OK;
    tw_status status = twi_book_apply_event(instrument->book, event);
    if (status != TW_OK)
        instrument->is_broken = 1;
    return status;
}

tw_status tw_view_apply(tw_view *view, const tw_event *event)
{
    if (event->instrument >= view->instrument_count_max)
        return TW_FULL;
    view_instrument *instrument = &view->instruments[event->instrument];
    switch (event->kind) {
    case TW_EVENT_TRADE:
        instrument->trade = *event;
        return TW_OK;
    case TW_EVENT_QUOTE:
        instrument->quote = *event;
        return TW_OK;
    case TW_EVENT_STATUS:
        instrument->status = *event;
        instrument->engine_state = (uint8_t)event->u.status.state;
        return TW_OK;
    case TW_EVENT_LOSS:
        instrument->is_broken |= event->u.loss.channel == TW_CHANNEL_BOOK;
        return TW_OK;
    case TW_EVENT_LEVEL:
    case TW_EVENT_BOOK_CLEAR:
        return apply_level(view, instrument, event);
    default:
        return TW_OK;
    }
}

static const view_instrument *find(const tw_view *view, uint32_t instrument)
{
    return instrument < view->instrument_count_max ? &view->instruments[instrument] : NULL;
}

static const tw_event *seen(const tw_event *event)
{
    return event->kind != TW_EVENT_NONE ? event : NULL;
}

const tw_event *tw_view_trade(const tw_view *view, uint32_t instrument)
{
    const view_instrument *found = find(view, instrument);
    return found ? seen(&found->trade) : NULL;
}

const tw_event *tw_view_quote(const tw_view *view, uint32_t instrument)
{
    const view_instrument *found = find(view, instrument);
    return found ? seen(&found->quote) : NULL;
}

const tw_event *tw_view_status(const tw_view *view, uint32_t instrument)
{
    const view_instrument *found = find(view, instrument);
    return found ? seen(&found->status) : NULL;
}

tw_book_state tw_view_book_state(const tw_view *view, uint32_t instrument)
{
    const view_instrument *found = find(view, instrument);
    if (!found || !found->book)
        return TW_STATE_SYNCING;
    return found->is_broken ? TW_STATE_GAP : (tw_book_state)found->engine_state;
}

uint32_t tw_view_level_count(const tw_view *view, uint32_t instrument, tw_view_side side)
{
    const view_instrument *found = find(view, instrument);
    return found && found->book ? twi_book_count(found->book, (twi_side)side) : 0;
}

uint32_t tw_view_levels(const tw_view *view, uint32_t instrument, tw_view_side side, tw_view_level *levels,
                        uint32_t cap)
{
    const view_instrument *found = find(view, instrument);
    uint32_t count = tw_view_level_count(view, instrument, side);
    uint32_t copied = count < cap ? count : cap;
    for (uint32_t i = 0; i < copied; i++) {
        twi_level level = twi_book_level(found->book, (twi_side)side, i);
        levels[i] = (tw_view_level){level.price, level.amount};
    }
    return copied;
}
