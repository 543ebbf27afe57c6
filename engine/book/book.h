/* book.h - the L2 order book of one instrument: exact integer keys, two sorted arrays, no allocation.
 *
 * Job:      the feed adapters keep one per symbol to check what a venue sends; the publisher keeps one per topic to
 *           answer snapshots. Amounts are absolute, an amount of 0 deletes, deleting what is not there is normal.
 * Shape:    per side a list of blocks of up to 32 levels, best first, and a directory that says what each block begins
 *           where the one before it ends (block.h says why it is so). A change costs the same wherever it is: a look
 *           along the directory, and one block moved. Price keys have one exponent per book; a price that needs a finer
 *           one rescales the keys. The venue's own digits are kept per level, so that checksums over text can be
 *           computed.
 * Memory:   the caller's, twi_book_size() bytes for at most `capacity` levels per side; nothing is allocated later.
 *           When a side is full, its worst level makes room (or the new one is not taken if it is worse still):
 *           counted in `dropped`, and the book is then right only for the best levels until the next clear.
 * Errors:   TW_TOO_BIG only: a price that does not fit one int64 scale with the others. The book is unchanged then.
 * Thread:   one writer, no concurrent reader.
 * Non-goals: sequence rules (join.h), order-by-order books. */
#ifndef TWI_BOOK_H
#define TWI_BOOK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/base/compiler.h"
#include "tickwire/decimal.h"
#include "tickwire/event.h"
#include "tickwire/status.h"

typedef enum twi_side { TWI_BID = 0, TWI_ASK = 1 } twi_side;
enum { TWI_SIDE_COUNT = 2, TWI_BOOK_LEVELS_MAX = 1 << 20 };

typedef struct twi_level {
    tw_decimal price, amount; /* with the venue's digits */
} twi_level;

typedef struct twi_level_digits {
    int8_t price_exponent, amount_exponent; /* as the venue wrote them */
} twi_level_digits;

/* Ask keys are negated prices: on both sides the best key is the highest one. Entry e of the directory has counts[e]
 * levels in blocks[order[e]]; none of them is below floors[e], all of later entries are. */
typedef struct twi_book_side {
    struct twi_book_block *blocks;
    int64_t *floors;
    uint32_t *order, *free_blocks;
    uint8_t *counts;
    uint32_t entries;    /* of the directory */
    uint32_t count;      /* levels */
    uint32_t used;       /* blocks that were ever taken since the last clear */
    uint32_t free_count; /* of them, given back */
} twi_book_side;

typedef struct twi_book {
    twi_book_side sides[TWI_SIDE_COUNT];
    uint32_t capacity;     /* levels per side */
    uint32_t block_max;    /* per side */
    int8_t price_exponent; /* of the keys */
    bool scaled;           /* price_exponent is set: a level was seen since init */
    uint64_t dropped;      /* levels lost because a side was full */
} twi_book;

/* Bytes for `capacity` (1..TWI_BOOK_LEVELS_MAX) levels per side; pages that no level reaches stay untouched. */
size_t twi_book_size(uint32_t capacity);

/* memory: twi_book_size(capacity) bytes, 8-byte aligned, the caller's until the book is no longer used. */
void twi_book_init(twi_book *book, void *memory, uint32_t capacity);

/* No levels; the begin of a snapshot. */
void twi_book_clear(twi_book *book);

/* Sets the amount at a price; 0 deletes. */
TW_MUST_USE tw_status twi_book_apply(twi_book *book, twi_side side, tw_decimal price, tw_decimal amount);

/* The same as it is on a machine without AVX2; for tests. */
TW_MUST_USE tw_status twi_book_apply_plain(twi_book *book, twi_side side, tw_decimal price, tw_decimal amount);

/* Applies one record of the ring: clears on the first record of a snapshot group and on BOOK_CLEAR, takes LEVELs,
 * ignores other kinds. */
TW_MUST_USE tw_status twi_book_apply_event(twi_book *book, const tw_event *event);

/* Removes the worst level; the side must not be empty. Depth cut: while (count > depth) drop_worst(). */
void twi_book_drop_worst(twi_book *book, twi_side side);

static inline uint32_t twi_book_count(const twi_book *book, twi_side side)
{
    return book->sides[side].count;
}

static inline int64_t twi_book_price_of_key(twi_side side, int64_t key)
{
    return side == TWI_ASK ? -key : key;
}

/* Level `index` from the best (0); index < count. */
twi_level twi_book_level(const twi_book *book, twi_side side, uint32_t index);

/* False: the side is empty. */
bool twi_book_best(const twi_book *book, twi_side side, twi_level *level);

/* The amount at a price; false if there is no such level. */
bool twi_book_find(const twi_book *book, twi_side side, tw_decimal price, tw_decimal *amount);

/* The best bid is at or above the best ask. */
bool twi_book_crossed(const twi_book *book);

#endif
