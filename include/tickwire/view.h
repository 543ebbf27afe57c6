/* view.h - the market as one program sees it: last trade, quote, status and the whole book of every instrument.
 *
 * Job:       apply the events of a ring, a stream or a decoded record in their order, and ask. The same code that keeps
 *            the engine's own books.
 * Right:     a book is what a snapshot and everything after it made of it, or its state says that it is not:
 *            TW_STATE_SYNCING until the first snapshot, TW_STATE_GAP after tw_view_gap() or a loss, or what the engine
 *            says of it.
 * Memory:    depth_max levels per side and instrument with a book, taken when its first snapshot comes.
 * Thread:    one; nothing is shared.
 * Errors:    see tw_view_apply(). */
#ifndef TICKWIRE_VIEW_H
#define TICKWIRE_VIEW_H

#include <stddef.h>
#include <stdint.h>

#include "tickwire/decimal.h"
#include "tickwire/event.h"
#include "tickwire/status.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct tw_view tw_view;

typedef struct tw_view_options {
    uint32_t instrument_count_max; /* 0: 4096 */
    uint32_t depth_max;            /* levels per side; 0: 1000. Worse levels are dropped and counted. */
} tw_view_options;

typedef enum tw_view_side { TW_VIEW_BIDS = 0, TW_VIEW_ASKS = 1 } tw_view_side;

typedef struct tw_view_level {
    tw_decimal price, amount; /* with the venue's digits */
} tw_view_level;

/* options may be NULL: the defaults. */
TW_API TW_MUST_USE tw_status tw_view_open(const tw_view_options *options, tw_view **view);
/* Frees everything; NULL is harmless. */
TW_API void tw_view_close(tw_view *view);

/* Takes one event. TW_NO_MEMORY; TW_FULL: its instrument is beyond instrument_count_max; TW_TOO_BIG: a price that no
 * exact scale can hold beside the others: the book says gap until its next snapshot. */
TW_API TW_MUST_USE tw_status tw_view_apply(tw_view *view, const tw_event *event);
/* Events are missing: every book is TW_STATE_GAP until its next snapshot. */
TW_API void tw_view_gap(tw_view *view);
/* Another engine, other instrument numbers: forgets everything. */
TW_API void tw_view_reset(tw_view *view);

/* The last event of that kind; NULL: none yet. Valid until the next apply. */
TW_API const tw_event *tw_view_trade(const tw_view *view, uint32_t instrument);
/* Likewise. */
TW_API const tw_event *tw_view_quote(const tw_view *view, uint32_t instrument);
/* Likewise. */
TW_API const tw_event *tw_view_status(const tw_view *view, uint32_t instrument);

/* TW_STATE_OK: the book is right. The levels of a book in another state are the last that were known. */
TW_API tw_book_state tw_view_book_state(const tw_view *view, uint32_t instrument);
/* How many levels there are on a side. */
TW_API uint32_t tw_view_level_count(const tw_view *view, uint32_t instrument, tw_view_side side);
/* Copies the best `cap` levels, best first; returns how many. */
TW_API uint32_t tw_view_levels(const tw_view *view, uint32_t instrument, tw_view_side side, tw_view_level *levels,
                               uint32_t cap);

#ifdef __cplusplus
}
#endif
#endif
