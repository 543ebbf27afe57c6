/* summary.h - what came out of a feed, per symbol: the figures that `tw replay --summary` prints and the tests compare.
 *
 * Job:      counts trades and quotes, rebuilds every book from its LEVEL events alone (so that the event stream is what
 *           is checked, not the adapter's own book), and adds the adapter's counters at the end.
 * Usage:    twi_summary_open(&summary, symbols); feed.on_message(..., twi_summary_sink(summary)); ...
 *           twi_summary_take_stats(summary, ops, state); twi_summary_text() or twi_summary_json() per symbol.
 * Memory:   its own; books are allocated when their first level comes. Not for the hot path.
 * Digest:   CRC-32 of the lines "b PRICE AMOUNT" of the best 25 bids, then "a PRICE AMOUNT" of the best 25 asks,
 *           decimals without exponent and trailing zeros, each line ended by a newline.
 * Thread:   one. */
#ifndef TWI_SUMMARY_H
#define TWI_SUMMARY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/book/book.h"
#include "tickwire/feed.h"

enum { TWI_SUMMARY_ID_MAX = 64, TWI_SUMMARY_TEXT_MAX = 4096 };

/* A sum of amounts, exact to 18 decimals. */
typedef struct twi_amount_sum {
    int64_t whole;
    uint64_t fraction; /* in 10^-18 */
} twi_amount_sum;

typedef struct twi_summary_trade {
    char id[TWI_SUMMARY_ID_MAX]; /* empty: none */
    tw_decimal price, amount;
    bool sell;
    int64_t venue_ns;
} twi_summary_trade;

typedef struct twi_summary_symbol {
    uint64_t trades, history, buys;
    twi_amount_sum amount_sum;
    twi_summary_trade first, last;
    uint64_t quotes;
    tw_decimal bid, bid_amount, ask, ask_amount; /* of the last quote */
    uint64_t groups, broken_groups;              /* of levels; broken: a new one began before the last record came */
    uint64_t statuses;
    uint16_t state; /* tw_book_state of the last status */
    uint64_t last_seq;
    twi_book book;
    void *book_memory; /* NULL: no level yet */
    bool in_group;
    tw_feed_symbol_stats stats; /* of the adapter */
} twi_summary_symbol;

typedef struct twi_summary {
    const tw_symbols *symbols;
    twi_summary_symbol *entries; /* by instrument */
    uint32_t capacity, count;
    tw_event event; /* the one that is being filled */
    tw_sink sink;
    uint64_t events, book_errors;
} twi_summary;

/* TW_NO_MEMORY. */
TW_MUST_USE tw_status twi_summary_open(twi_summary *summary, const tw_symbols *symbols, uint32_t instrument_count_max);
void twi_summary_close(twi_summary *summary);
tw_sink *twi_summary_sink(twi_summary *summary);
/* One event from elsewhere (a ring, a capture). */
void twi_summary_event(twi_summary *summary, const tw_event *event);
void twi_summary_take_stats(twi_summary *summary, const tw_feed_ops *ops, const void *state);

uint32_t twi_summary_digest(const twi_book *book);

/* One symbol in one line of text or as one JSON object. Returns the bytes written; out holds TWI_SUMMARY_TEXT_MAX. */
size_t twi_summary_text(const twi_summary *summary, uint32_t instrument, char *out);
size_t twi_summary_json(const twi_summary *summary, uint32_t instrument, char *out);

/* A decimal without exponent and trailing zeros. out holds TW_DECIMAL_TEXT_MAX; returns the length, ends with NUL. */
size_t twi_plain_decimal(tw_decimal value, char *out);

#endif
