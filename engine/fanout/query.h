/* query.h - what an HTTP request wants to know of the market, and the publisher's answer: rows copied, not rendered.
 *
 * Why:       market state belongs to the publisher; a shard in another thread may not look at it. Copies that are
 *            always kept up to date beside it (under a seqlock) would cost every event, also when nobody asks. So a
 *            shard asks, as for the snapshots of a join, and the publisher only copies rows into the asker's memory;
 *            text is made by the asker.
 * Fresh:     every answer carries the version of what it shows; versions are readable by all, so that a rendered
 *            answer is used again until its version moves on, and at most one question per state is under way.
 * Ownership: a twi_query and its space belong to the shard; from push(queries) to pop(answers) to the publisher. */
#ifndef TWI_QUERY_H
#define TWI_QUERY_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/candle/candle.h"
#include "tickwire/event.h"

typedef enum twi_query_kind {
    TWI_QUERY_TICKER = 1,
    TWI_QUERY_BOOK = 2,
    TWI_QUERY_TRADES = 3,
    TWI_QUERY_OHLCV = 4
} twi_query_kind;

typedef struct twi_query_key {
    int64_t since_ns; /* TRADES, OHLCV: from then on; 0: all */
    uint32_t instrument;
    uint32_t limit;      /* rows: levels a side, trades or candles */
    uint8_t kind;        /* twi_query_kind */
    uint8_t interval;    /* OHLCV: index */
    uint8_t from_oldest; /* with since_ns: the first `limit` rows instead of the last */
} twi_query_key;

typedef struct twi_query {
    twi_query_key key;
    void *space; /* for the rows: tw_event (BOOK, TRADES) or twi_candle (OHLCV) */
    size_t space_bytes;
    uint32_t ticket; /* the asker's */
    /* Answer. */
    uint32_t count;
    uint64_t version;
    int64_t now_ns;
    uint64_t seq;           /* BOOK: of the stream, the next change has the one after it */
    tw_event quote, status; /* kind NONE: there was none */
    tw_event trade;         /* TICKER: the last one */
    twi_candle window;      /* TICKER: all trades of the last 24 h that are kept, in 15-minute steps */
    uint8_t has_window;
    uint8_t book_state; /* tw_book_state */
    uint8_t book_begun;
    uint64_t venue_seq;
    int64_t venue_ns, recv_ns; /* BOOK */
} twi_query;

/* What has happened to an instrument so far; one writer, any reader. */
typedef struct twi_versions {
    _Atomic uint64_t trade, quote, book;
    uint64_t reserved;
} twi_versions;

static inline void twi_version_bump(_Atomic uint64_t *version)
{
    uint64_t now = atomic_load_explicit(version, memory_order_relaxed);
    atomic_store_explicit(version, now + 1, memory_order_relaxed);
}

/* Two equal versions of one kind: nothing that such an answer shows has changed. */
static inline uint64_t twi_version_of(const twi_versions *versions, uint8_t kind)
{
    uint64_t trade = atomic_load_explicit(&versions->trade, memory_order_relaxed);
    if (kind == TWI_QUERY_TICKER)
        return trade + atomic_load_explicit(&versions->quote, memory_order_relaxed);
    return kind == TWI_QUERY_BOOK ? atomic_load_explicit(&versions->book, memory_order_relaxed) : trade;
}

/* Bytes of space that an answer may need. */
static inline size_t twi_query_space(uint32_t book_depth_max, uint32_t row_count_max)
{
    size_t book = (2 * (size_t)book_depth_max + 1) * sizeof(tw_event);
    size_t rows =
        (size_t)row_count_max * (sizeof(twi_candle) > sizeof(tw_event) ? sizeof(twi_candle) : sizeof(tw_event));
    return book > rows ? book : rows;
}

#endif
