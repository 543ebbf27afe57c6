/* rows.h - the levels of a book message read once, in one pass, into a table: price, amount, side.
 *
 * Why:      what levels mean is often told after them (time, sequence, checksum), so they were stepped over and read
 *           again. In a table they wait as numbers, and the message can still be refused as a whole.
 * Usage:    twi_rows_reset(rows); per list twi_rows_read_*(rows, json, ...); then rows->list[...] of the two ranges.
 * Errors:   false, the cursor unmoved: something in the list is not usual (or it is too long). The caller goes the
 *           general way, which decides whether it is an error.
 * Memory:   the caller's; what no list reaches stays untouched. */
#ifndef TWI_FEED_ROWS_H
#define TWI_FEED_ROWS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/book/book.h"
#include "engine/proto/json_scan.h"

enum { TWI_ROWS_MAX = 10240 }; /* both sides of a snapshot of 5,000 levels */

typedef struct twi_row {
    int64_t price, amount;
    int8_t price_exponent, amount_exponent;
    uint8_t side; /* twi_side */
} twi_row;

typedef struct twi_rows {
    uint32_t count;
    twi_row list[TWI_ROWS_MAX];
} twi_rows;

typedef struct twi_row_range {
    uint32_t first, count;
} twi_row_range;

static inline void twi_rows_reset(twi_rows *rows)
{
    rows->count = 0;
}

/* [["1.5","2",...], ...] or the same with bare numbers; what follows the amount in a row are numbers. */
bool twi_rows_read_pairs(twi_rows *rows, twi_json *json, twi_side side, twi_row_range *range);
/* [["buy","1.5","2"],["sell","1.6","0"], ...]: the sides are in the rows. */
bool twi_rows_read_changes(twi_rows *rows, twi_json *json, twi_row_range *range);
/* [{"price":1.5,"qty":2}, ...] */
bool twi_rows_read_objects(twi_rows *rows, twi_json *json, twi_side side, twi_row_range *range);

/* The same as they are on a machine without AVX2; for tests. */
bool twi_rows_plain_pairs(twi_rows *rows, twi_json *json, twi_side side, twi_row_range *range);
bool twi_rows_plain_changes(twi_rows *rows, twi_json *json, twi_row_range *range);
bool twi_rows_plain_objects(twi_rows *rows, twi_json *json, twi_side side, twi_row_range *range);

#endif
