/* book.c - sorted arrays with the best level last; see book.h.
 *
 * Why arrays: a book changes near its best level. The search is a few cache lines of one int64 array, and the move is
 * some hundred bytes; a balanced tree pays a cache miss per step (bench/book_bench compares them). */
#include "engine/book/book.h"

#include <string.h>

#include "engine/base/assert.h"

enum { EXPONENT_SPAN_MAX = 18, STORAGE_FACTOR = 2, STORAGE_SLACK = 16 };

static const int64_t POWERS[EXPONENT_SPAN_MAX + 1] = {
    1,
    10,
    100,
    1000,
    10000,
    100000,
    1000000,
    10000000,
    100000000,
    1000000000,
    10000000000,
    100000000000,
    1000000000000,
    10000000000000,
    100000000000000,
    1000000000000000,
    10000000000000000,
    100000000000000000,
    1000000000000000000,
};

static uint32_t storage_entries(uint32_t capacity)
{
    return capacity * STORAGE_FACTOR + STORAGE_SLACK;
}

size_t twi_book_size(uint32_t capacity)
{
    TWI_ASSERT(capacity > 0 && capacity <= TWI_BOOK_LEVELS_MAX);
    size_t side = (size_t)storage_entries(capacity) * (2 * sizeof(int64_t) + sizeof(twi_level_digits));
    return TWI_SIDE_COUNT * ((side + 7) & ~(size_t)7);
}

void twi_book_init(twi_book *book, void *memory, uint32_t capacity)
{
    TWI_ASSERT(((uintptr_t)memory & 7) == 0);
    size_t side_bytes = twi_book_size(capacity) / TWI_SIDE_COUNT;
    *book = (twi_book){.capacity = capacity, .storage = storage_entries(capacity)};
    for (int i = 0; i < TWI_SIDE_COUNT; i++) {
        twi_book_side *side = &book->sides[i];
        side->keys = (int64_t *)(void *)((uint8_t *)memory + (size_t)i * side_bytes);
        side->amounts = side->keys + book->storage;
        side->digits = (twi_level_digits *)(void *)(side->amounts + book->storage);
    }
    twi_book_clear(book);
}

void twi_book_clear(twi_book *book)
{
    for (int i = 0; i < TWI_SIDE_COUNT; i++)
        book->sides[i].first = book->sides[i].last = book->storage / 2;
    book->scaled = false;
}

/* ---- keys ---- */

/* mantissa * 10^shift; false: too big for a key (which must have a negative, too). */
static bool scale_up(int64_t mantissa, unsigned shift, int64_t *out)
{
    if (mantissa == 0)
        return *out = 0, true;
    return shift <= EXPONENT_SPAN_MAX && !__builtin_mul_overflow(mantissa, POWERS[shift], out) && *out != INT64_MIN;
}

static bool fits_scaled(const twi_book_side *side, unsigned shift)
{
    int64_t scaled;
    return side->first == side->last ||
           (scale_up(side->keys[side->first], shift, &scaled) && scale_up(side->keys[side->last - 1], shift, &scaled));
}

/* Makes the keys 10^shift finer. */
static TWI_NOINLINE tw_status rescale_keys(twi_book *book, unsigned shift)
{
    if (shift > EXPONENT_SPAN_MAX || !fits_scaled(&book->sides[TWI_BID], shift) ||
        !fits_scaled(&book->sides[TWI_ASK], shift))
        return TW_TOO_BIG;
    for (int i = 0; i < TWI_SIDE_COUNT; i++) {
        twi_book_side *side = &book->sides[i];
        for (uint32_t at = side->first; at < side->last; at++)
            side->keys[at] *= POWERS[shift];
    }
    book->price_exponent = (int8_t)(book->price_exponent - (int)shift);
    return TW_OK;
}

/* The price at the scale of the book. A price that is finer makes the book finer if it is going to be `inserted`;
 * else TW_EMPTY: no level can have it. */
static TWI_NOINLINE tw_status key_of_other_scale(twi_book *book, tw_decimal price, bool inserted, int64_t *key)
{
    if (price.mantissa == INT64_MIN)
        return TW_TOO_BIG;
    *key = price.mantissa;
    if (!book->scaled) {
        if (!inserted)
            return TW_EMPTY;
        book->scaled = true;
        book->price_exponent = price.exponent;
        return TW_OK;
    }
    if (price.mantissa == 0)
        return TW_OK;
    for (; price.exponent < book->price_exponent && price.mantissa % 10 == 0; price.exponent++)
        price.mantissa /= 10;
    *key = price.mantissa;
    int shift = price.exponent - book->price_exponent;
    if (shift < 0)
        return inserted ? rescale_keys(book, (unsigned)-shift) : TW_EMPTY;
    return scale_up(price.mantissa, (unsigned)shift, key) ? TW_OK : TW_TOO_BIG;
}

/* ---- places ---- */

/* The first place at or above `key`, between two ends. */
static uint32_t lower_bound(const int64_t *keys, uint32_t first, uint32_t count, int64_t key)
{
    while (count > 0) {
        uint32_t half = count / 2;
        first += keys[first + half] < key ? count - half : 0;
        count = half;
    }
    return first;
}

/* The place of key: that of the level with this key, or where it belongs. Most changes are near the best level, so
 * the search doubles its way down from there before it halves. */
static uint32_t find_place(const twi_book_side *side, int64_t key)
{
    enum { STEP_FIRST = 16 };
    uint32_t high = side->last, step = STEP_FIRST;
    while (high - side->first > step && side->keys[high - step] > key) {
        high -= step;
        step *= 2;
    }
    uint32_t low = high - side->first > step ? high - step : side->first;
    return lower_bound(side->keys, low, high - low, key);
}

static void move_levels(twi_book_side *side, uint32_t to, uint32_t from, uint32_t count)
{
    memmove(side->keys + to, side->keys + from, count * sizeof(*side->keys));
    memmove(side->amounts + to, side->amounts + from, count * sizeof(*side->amounts));
    memmove(side->digits + to, side->digits + from, count * sizeof(*side->digits));
}

/* Brings the levels back to the middle of the storage. */
static TWI_NOINLINE void recenter(const twi_book *book, twi_book_side *side)
{
    uint32_t count = side->last - side->first;
    uint32_t first = (book->storage - count) / 2;
    move_levels(side, first, side->first, count);
    side->first = first;
    side->last = first + count;
}

/* Opens a hole and returns its place; `place` is where the new level belongs. */
static uint32_t make_hole(const twi_book *book, twi_book_side *side, uint32_t place)
{
    bool downwards = place - side->first < side->last - place;
    if (TWI_UNLIKELY(downwards ? side->first == 0 : side->last == book->storage)) {
        uint32_t offset = place - side->first;
        recenter(book, side);
        place = side->first + offset;
    }
    if (downwards) {
        move_levels(side, side->first - 1, side->first, place - side->first);
        side->first--;
        return place - 1;
    }
    move_levels(side, place + 1, place, side->last - place);
    side->last++;
    return place;
}

static void close_hole(twi_book_side *side, uint32_t place)
{
    if (place - side->first < side->last - place - 1) {
        move_levels(side, side->first + 1, side->first, place - side->first);
        side->first++;
        return;
    }
    move_levels(side, place, place + 1, side->last - place - 1);
    side->last--;
}

/* ---- interface ---- */

tw_status twi_book_apply(twi_book *book, twi_side which, tw_decimal price, tw_decimal amount)
{
    int64_t key = price.mantissa;
    if (TWI_UNLIKELY(price.exponent != book->price_exponent || !book->scaled || key == INT64_MIN)) {
        tw_status status = key_of_other_scale(book, price, amount.mantissa != 0, &key);
        if (status != TW_OK)
            return status == TW_EMPTY ? TW_OK : status;
    }
    if (which == TWI_ASK)
        key = -key;
    twi_book_side *side = &book->sides[which];
    uint32_t place = find_place(side, key);
    bool present = place < side->last && side->keys[place] == key;
    if (amount.mantissa == 0) {
        if (present)
            close_hole(side, place);
        return TW_OK;
    }
    if (!present) {
        if (TWI_UNLIKELY(side->last - side->first == book->capacity)) {
            book->dropped++;
            if (place == side->first)
                return TW_OK;
            side->first++;
        }
        place = make_hole(book, side, place);
        side->keys[place] = key;
    }
    side->amounts[place] = amount.mantissa;
    side->digits[place] = (twi_level_digits){.price_exponent = price.exponent, .amount_exponent = amount.exponent};
    return TW_OK;
}

tw_status twi_book_apply_event(twi_book *book, const tw_event *event)
{
    if (event->kind == TW_EVENT_BOOK_CLEAR) {
        twi_book_clear(book);
        return TW_OK;
    }
    if (event->kind != TW_EVENT_LEVEL)
        return TW_OK;
    if ((event->flags & (TW_FLAG_SNAPSHOT | TW_FLAG_FIRST)) == (TW_FLAG_SNAPSHOT | TW_FLAG_FIRST))
        twi_book_clear(book);
    return twi_book_apply(book, (event->flags & TW_FLAG_ASK) != 0 ? TWI_ASK : TWI_BID,
                          (tw_decimal){.mantissa = event->u.level.price, .exponent = event->price_exponent},
                          (tw_decimal){.mantissa = event->u.level.amount, .exponent = event->amount_exponent});
}

void twi_book_drop_worst(twi_book *book, twi_side side)
{
    TWI_ASSERT(twi_book_count(book, side) > 0);
    book->sides[side].first++;
}

/* The level at a place of the arrays, with the venue's digits. */
static twi_level level_at(const twi_book *book, twi_side which, uint32_t place)
{
    const twi_book_side *side = &book->sides[which];
    twi_level_digits digits = side->digits[place];
    int64_t price = twi_book_price_of_key(which, side->keys[place]);
    if (price != 0) { /* with the digits that the venue wrote, zeros more or fewer than the key has */
        int shift = digits.price_exponent - book->price_exponent;
        price = shift < 0 ? price * POWERS[-shift] : price / POWERS[shift];
    }
    return (twi_level){
        .price = {.mantissa = price, .exponent = digits.price_exponent},
        .amount = {.mantissa = side->amounts[place], .exponent = digits.amount_exponent},
    };
}

twi_level twi_book_level(const twi_book *book, twi_side side, uint32_t index)
{
    TWI_ASSERT(index < twi_book_count(book, side));
    return level_at(book, side, book->sides[side].last - 1 - index);
}

bool twi_book_best(const twi_book *book, twi_side side, twi_level *level)
{
    if (twi_book_count(book, side) == 0)
        return false;
    *level = twi_book_level(book, side, 0);
    return true;
}

bool twi_book_find(const twi_book *book, twi_side which, tw_decimal price, tw_decimal *amount)
{
    const twi_book_side *side = &book->sides[which];
    int64_t key;
    if (!book->scaled || tw_decimal_rescale(price, book->price_exponent, &key) != TW_OK || key == INT64_MIN)
        return false;
    key = which == TWI_ASK ? -key : key;
    uint32_t place = find_place(side, key);
    if (place == side->last || side->keys[place] != key)
        return false;
    *amount = level_at(book, which, place).amount;
    return true;
}

bool twi_book_crossed(const twi_book *book)
{
    const twi_book_side *bids = &book->sides[TWI_BID], *asks = &book->sides[TWI_ASK];
    return bids->first < bids->last && asks->first < asks->last &&
           bids->keys[bids->last - 1] >= -asks->keys[asks->last - 1];
}
