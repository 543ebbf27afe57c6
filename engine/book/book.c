/* book.c - two lists of blocks, best level first; see book.h and block.h.
 *
 * Why blocks: in one sorted array a change moves as many levels as lie between it and the nearer end, some hundred in a
 * deep book, and a balanced tree pays a cache miss per step (bench/book_bench compares them). Here it is one block. */
#include "engine/book/book.h"

#include <string.h>

#include "engine/base/assert.h"
#include "engine/book/block.h"

enum {
    EXPONENT_SPAN_MAX = 18,
    BLOCK_FILL = 16,  /* levels per block that the memory is made for; they are packed when it runs out */
    BLOCKS_SPARE = 8, /* ... and some more, for small books */
    PACKED = 28,      /* levels per block after packing */
    SPARSE = 8,       /* a block with fewer is joined with a neighbour ... */
    JOINED_MAX = 24,  /* ... if both together have at most so many */
    LINEAR_MAX = 128  /* entries of the directory that are looked at in order; behind them it is halved */
};

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

static uint32_t blocks_wanted(uint32_t capacity)
{
    return capacity / BLOCK_FILL + BLOCKS_SPARE;
}

/* The directory is read in whole groups, also behind its end. */
static size_t floors_wanted(uint32_t blocks)
{
    return (size_t)blocks + TWI_FLOOR_GROUP;
}

/* Whole cache lines. */
static size_t lines(size_t bytes)
{
    return (bytes + TWI_CACHE_LINE_BYTES - 1) & ~(size_t)(TWI_CACHE_LINE_BYTES - 1);
}

static size_t side_bytes(uint32_t blocks)
{
    return blocks * sizeof(twi_book_block) + lines(floors_wanted(blocks) * sizeof(int64_t)) +
           lines(blocks * (2 * sizeof(uint32_t) + sizeof(uint8_t)));
}

size_t twi_book_size(uint32_t capacity)
{
    TWI_ASSERT(capacity > 0 && capacity <= TWI_BOOK_LEVELS_MAX);
    return TWI_SIDE_COUNT * side_bytes(blocks_wanted(capacity)) + TWI_CACHE_LINE_BYTES; /* memory may begin anywhere */
}

void twi_book_init(twi_book *book, void *memory, uint32_t capacity)
{
    TWI_ASSERT(((uintptr_t)memory & 7) == 0);
    uint8_t *at = (uint8_t *)memory + (lines((uintptr_t)memory) - (uintptr_t)memory);
    *book = (twi_book){.capacity = capacity, .block_max = blocks_wanted(capacity)};
    for (int i = 0; i < TWI_SIDE_COUNT; i++, at += side_bytes(book->block_max)) {
        twi_book_side *side = &book->sides[i];
        side->blocks = (twi_book_block *)(void *)at;
        side->floors = (int64_t *)(void *)(side->blocks + book->block_max);
        side->order =
            (uint32_t *)(void *)((uint8_t *)side->floors + lines(floors_wanted(book->block_max) * sizeof(int64_t)));
        side->free_blocks = side->order + book->block_max;
        side->counts = (uint8_t *)(side->free_blocks + book->block_max);
    }
    twi_book_clear(book);
}

/* Behind the directory there are floors that no key is below. */
static void end_directory(twi_book_side *side)
{
    for (uint32_t i = 0; i < TWI_FLOOR_GROUP; i++)
        side->floors[side->entries + i] = TWI_BLOCK_EMPTY;
}

void twi_book_clear(twi_book *book)
{
    for (int i = 0; i < TWI_SIDE_COUNT; i++) {
        twi_book_side *side = &book->sides[i];
        side->entries = side->count = side->used = side->free_count = 0;
        end_directory(side);
    }
    book->scaled = false;
}

/* ---- the directory ---- */

static twi_book_block *block_at(const twi_book_side *side, uint32_t entry)
{
    return &side->blocks[side->order[entry]];
}

/* Best first. Most blocks are nearly so. */
static TWI_NOINLINE void sort_block(twi_book_block *block, uint32_t count)
{
    for (uint32_t next = 1; next < count; next++) {
        int64_t key = block->keys[next], amount = block->amounts[next];
        twi_level_digits digits = block->digits[next];
        uint32_t to = next;
        for (; to > 0 && block->keys[to - 1] < key; to--) {
            block->keys[to] = block->keys[to - 1];
            block->amounts[to] = block->amounts[to - 1];
            block->digits[to] = block->digits[to - 1];
        }
        block->keys[to] = key;
        block->amounts[to] = amount;
        block->digits[to] = digits;
    }
    block->sorted = true;
}

/* Reading in order changes nothing that anybody sees, so a book that is only read may be sorted, too. */
static twi_book_block *sorted_at(const twi_book_side *side, uint32_t entry)
{
    twi_book_block *block = block_at(side, entry);
    if (!block->sorted)
        sort_block(block, side->counts[entry]);
    return block;
}

static void remove_entry(twi_book_side *side, uint32_t entry)
{
    uint32_t behind = side->entries - entry - 1;
    side->free_blocks[side->free_count++] = side->order[entry];
    memmove(side->floors + entry, side->floors + entry + 1, behind * sizeof(*side->floors));
    memmove(side->order + entry, side->order + entry + 1, behind * sizeof(*side->order));
    memmove(side->counts + entry, side->counts + entry + 1, behind * sizeof(*side->counts));
    side->entries--;
    end_directory(side);
}

/* An empty block at this place of the directory; there must be one left. Its floor is the caller's to set. */
static twi_book_block *add_entry(twi_book_side *side, uint32_t entry)
{
    uint32_t behind = side->entries - entry;
    memmove(side->floors + entry + 1, side->floors + entry, behind * sizeof(*side->floors));
    memmove(side->order + entry + 1, side->order + entry, behind * sizeof(*side->order));
    memmove(side->counts + entry + 1, side->counts + entry, behind * sizeof(*side->counts));
    side->order[entry] = side->free_count > 0 ? side->free_blocks[--side->free_count] : side->used++;
    side->counts[entry] = 0;
    side->entries++;
    end_directory(side);
    twi_book_block *block = block_at(side, entry);
    for (uint32_t i = 0; i < TWI_BLOCK_LEVELS; i++)
        block->keys[i] = TWI_BLOCK_EMPTY;
    block->sorted = true;
    return block;
}

/* Appends levels [first, first + count) of a block to another; they must fit. */
static void append_levels(twi_book_block *to, uint32_t to_count, const twi_book_block *from, uint32_t first,
                          uint32_t count)
{
    memmove(to->keys + to_count, from->keys + first, count * sizeof(to->keys[0]));
    memmove(to->amounts + to_count, from->amounts + first, count * sizeof(to->amounts[0]));
    memmove(to->digits + to_count, from->digits + first, count * sizeof(to->digits[0]));
}

/* The keys from `count` on are unused. */
static void cut_block(twi_book_side *side, uint32_t entry, uint32_t count)
{
    int64_t *keys = block_at(side, entry)->keys;
    for (uint32_t i = count; i < side->counts[entry]; i++)
        keys[i] = TWI_BLOCK_EMPTY;
    side->counts[entry] = (uint8_t)count;
}

/* Joins an entry with the next one. */
static void join_next(twi_book_side *side, uint32_t entry)
{
    uint32_t count = side->counts[entry], more = side->counts[entry + 1];
    append_levels(block_at(side, entry), count, block_at(side, entry + 1), 0, more);
    block_at(side, entry)->sorted = false;
    side->counts[entry] = (uint8_t)(count + more);
    side->floors[entry] = side->floors[entry + 1];
    remove_entry(side, entry + 1);
}

/* After a level was removed from a block that has few. */
static TWI_NOINLINE void shrink(twi_book_side *side, uint32_t entry)
{
    if (side->counts[entry] == 0)
        remove_entry(side, entry);
    else if (entry + 1 < side->entries && side->counts[entry] + side->counts[entry + 1] <= JOINED_MAX)
        join_next(side, entry);
    else if (entry > 0 && side->counts[entry - 1] + side->counts[entry] <= JOINED_MAX)
        join_next(side, entry - 1);
}

/* Fills the blocks up from the front, so that some get free. */
static TWI_NOINLINE void pack(twi_book_side *side)
{
    uint32_t to = 0;
    for (uint32_t from = 1; from < side->entries; from++) {
        twi_book_block *target = sorted_at(side, to), *source = sorted_at(side, from);
        uint32_t count = side->counts[to], more = side->counts[from];
        uint32_t room = count < PACKED ? PACKED - count : 0, moved = room < more ? room : more;
        append_levels(target, count, source, 0, moved);
        side->counts[to] = (uint8_t)(count + moved);
        side->floors[to] = target->keys[count + moved - 1];
        if (moved == more) {
            side->free_blocks[side->free_count++] = side->order[from];
            continue;
        }
        append_levels(source, 0, source, moved, more - moved);
        cut_block(side, from, more - moved);
        to++;
        side->order[to] = side->order[from];
        side->counts[to] = side->counts[from];
        side->floors[to] = side->floors[from];
    }
    side->entries = to + 1;
    end_directory(side);
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
    if (side->count == 0)
        return true;
    uint32_t last = side->entries - 1;
    return scale_up(sorted_at(side, 0)->keys[0], shift, &scaled) &&
           scale_up(sorted_at(side, last)->keys[side->counts[last] - 1], shift, &scaled);
}

/* Makes the keys 10^shift finer. */
static TWI_NOINLINE tw_status rescale_keys(twi_book *book, unsigned shift)
{
    if (shift > EXPONENT_SPAN_MAX || !fits_scaled(&book->sides[TWI_BID], shift) ||
        !fits_scaled(&book->sides[TWI_ASK], shift))
        return TW_TOO_BIG;
    for (int i = 0; i < TWI_SIDE_COUNT; i++) {
        twi_book_side *side = &book->sides[i];
        for (uint32_t entry = 0; entry < side->entries; entry++) {
            int64_t *keys = sorted_at(side, entry)->keys;
            for (uint32_t at = 0; at < side->counts[entry]; at++)
                keys[at] *= POWERS[shift];
            side->floors[entry] = keys[side->counts[entry] - 1]; /* the old one may be too low to be scaled */
        }
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

/* ---- changes ---- */

/* A level as it is to stand in a block; amount 0: it is to go. */
typedef struct change {
    int64_t key, amount;
    twi_level_digits digits;
} change;

/* The functions of block.h for one kind of machine; constant wherever they are used. */
typedef struct means {
    uint32_t (*find)(const twi_book_block *block, int64_t key);
    uint32_t (*floors)(const int64_t *floors, int64_t key);
} means;

/* Where in a long directory to begin: a group whose last floor is not better, or the one before it. */
static TWI_NOINLINE uint32_t halve_directory(const twi_book_side *side, int64_t key)
{
    uint32_t first = LINEAR_MAX, count = side->entries - LINEAR_MAX;
    while (count > TWI_FLOOR_GROUP) {
        uint32_t half = count / 2;
        first += side->floors[first + half - 1] > key ? half : 0;
        count -= half;
    }
    return first;
}

/* The entry that has the key or would have it; the directory is not empty. */
static TWI_ALWAYS_INLINE uint32_t find_entry(const twi_book_side *side, int64_t key, means with)
{
    uint32_t entry = 0;
    if (TWI_UNLIKELY(side->entries > LINEAR_MAX && side->floors[LINEAR_MAX - 1] > key))
        entry = halve_directory(side, key);
    while (side->floors[entry + TWI_FLOOR_GROUP - 1] > key) /* never beyond the end: those there are below all keys */
        entry += TWI_FLOOR_GROUP;
    entry += with.floors(side->floors + entry, key);
    return entry < side->entries ? entry : side->entries - 1;
}

static void append_level(twi_book_side *side, uint32_t entry, const change *level)
{
    twi_book_block *block = block_at(side, entry);
    uint32_t place = side->counts[entry]++;
    block->keys[place] = level->key;
    block->amounts[place] = level->amount;
    block->digits[place] = level->digits;
    block->sorted = false;
    side->count++;
    if (level->key < side->floors[entry])
        side->floors[entry] = level->key;
}

/* A new block for one level that is better than all; a snapshot in that order fills whole blocks. */
static void insert_before(twi_book_side *side, const change *level)
{
    add_entry(side, 0);
    side->floors[0] = level->key;
    append_level(side, 0, level);
}

/* ... for one that is worse than all levels of a full block. */
static void insert_behind(twi_book_side *side, uint32_t entry, const change *level)
{
    int64_t floor = side->floors[entry];
    add_entry(side, entry + 1);
    side->floors[entry] = sorted_at(side, entry)->keys[TWI_BLOCK_LEVELS - 1];
    side->floors[entry + 1] = floor;
    append_level(side, entry + 1, level);
}

/* Halves a full block. */
static void split(twi_book_side *side, uint32_t entry)
{
    enum { HALF = TWI_BLOCK_LEVELS / 2 };
    twi_book_block *worse = add_entry(side, entry + 1), *block = sorted_at(side, entry);
    append_levels(worse, 0, block, HALF, HALF);
    side->counts[entry + 1] = HALF;
    side->floors[entry + 1] = side->floors[entry];
    cut_block(side, entry, HALF);
    side->floors[entry] = block->keys[HALF - 1];
}

static void remove_worst(twi_book_side *side)
{
    uint32_t last = side->entries - 1;
    (void)sorted_at(side, last);
    cut_block(side, last, side->counts[last] - 1u);
    side->count--;
    if (side->counts[last] == 0)
        remove_entry(side, last);
}

static const means ANY_MACHINE = {twi_block_find, twi_block_floors};

/* An insertion for which something has to be made first: the first level, a full block, a full side. */
static TWI_NOINLINE void insert_rare(twi_book *book, twi_book_side *side, const change *level)
{
    if (side->count == book->capacity) {
        uint32_t last = side->entries - 1;
        book->dropped++;
        if (level->key < sorted_at(side, last)->keys[side->counts[last] - 1])
            return;
        remove_worst(side);
    }
    if (side->entries == book->block_max)
        pack(side);
    if (side->entries == 0) {
        insert_before(side, level);
        return;
    }
    uint32_t entry = find_entry(side, level->key, ANY_MACHINE);
    const twi_book_block *block = sorted_at(side, entry);
    if (side->counts[entry] < TWI_BLOCK_LEVELS) {
        append_level(side, entry, level);
    } else if (level->key < block->keys[TWI_BLOCK_LEVELS - 1]) {
        insert_behind(side, entry, level);
    } else if (entry == 0 && level->key > block->keys[0]) {
        insert_before(side, level);
    } else {
        split(side, entry);
        append_level(side, level->key >= side->floors[entry] ? entry : entry + 1, level);
    }
}

/* One change, whatever it is, by one way: what it is only decides which places are written. */
static TWI_ALWAYS_INLINE void change_level(twi_book *book, twi_book_side *side, const change *level, means with)
{
    bool removes = level->amount == 0;
    if (TWI_UNLIKELY(side->entries == 0)) {
        if (!removes)
            insert_rare(book, side, level);
        return;
    }
    uint32_t entry = find_entry(side, level->key, with);
    twi_book_block *block = block_at(side, entry);
    uint32_t found = with.find(block, level->key), count = side->counts[entry], last = count - 1;
    int step = (int)(found == TWI_BLOCK_SPARE) - (int)removes; /* 1, 0 or -1; a removal of nothing: 0 */
    if (TWI_UNLIKELY((count == TWI_BLOCK_LEVELS || side->count == book->capacity) && step > 0)) {
        insert_rare(book, side, level);
        return;
    }
    /* The level goes to the spare place, and from there, or from the last one if it removes, to where it belongs. */
    block->keys[TWI_BLOCK_SPARE] = level->key;
    block->amounts[TWI_BLOCK_SPARE] = level->amount;
    block->digits[TWI_BLOCK_SPARE] = level->digits;
    uint32_t from = twi_choose(removes, last, TWI_BLOCK_SPARE), to = twi_choose(step > 0, count, found);
    block->keys[to] = block->keys[from];
    block->amounts[to] = block->amounts[from];
    block->digits[to] = block->digits[from];
    block->keys[twi_choose(step < 0, last, TWI_BLOCK_SPARE)] = TWI_BLOCK_EMPTY;
    block->sorted = false;
    if (TWI_UNLIKELY(level->key < side->floors[entry])) /* a store would make the next search wait for it */
        side->floors[entry] = level->key;
    side->counts[entry] = (uint8_t)((int)count + step);
    side->count += (uint32_t)step;
    if (TWI_UNLIKELY(count <= SPARSE && step < 0))
        shrink(side, entry);
}

/* What a price and an amount mean to the book's keys; TW_EMPTY: nothing. */
static TWI_ALWAYS_INLINE tw_status change_of(twi_book *book, twi_side side, tw_decimal price, tw_decimal amount,
                                             change *level)
{
    int64_t key = price.mantissa;
    if (TWI_UNLIKELY(price.exponent != book->price_exponent || !book->scaled || key == INT64_MIN)) {
        tw_status status = key_of_other_scale(book, price, amount.mantissa != 0, &key);
        if (status != TW_OK)
            return status;
    }
    level->key = side == TWI_ASK ? -key : key;
    level->amount = amount.mantissa;
    level->digits = (twi_level_digits){.price_exponent = price.exponent, .amount_exponent = amount.exponent};
    return TW_OK;
}

static TWI_ALWAYS_INLINE tw_status apply_with(twi_book *book, twi_side side, tw_decimal price, tw_decimal amount,
                                              means with)
{
    change level;
    tw_status status = change_of(book, side, price, amount, &level);
    if (TWI_UNLIKELY(status != TW_OK))
        return status == TW_EMPTY ? TW_OK : status;
    change_level(book, &book->sides[side], &level, with);
    return TW_OK;
}

static TWI_ALWAYS_INLINE tw_status apply_event_with(twi_book *book, const tw_event *event, means with)
{
    if (TWI_UNLIKELY(event->kind != TW_EVENT_LEVEL)) {
        if (event->kind == TW_EVENT_BOOK_CLEAR)
            twi_book_clear(book);
        return TW_OK;
    }
    if (TWI_UNLIKELY((event->flags & (TW_FLAG_SNAPSHOT | TW_FLAG_FIRST)) == (TW_FLAG_SNAPSHOT | TW_FLAG_FIRST)))
        twi_book_clear(book);
    return apply_with(book, (event->flags & TW_FLAG_ASK) != 0 ? TWI_ASK : TWI_BID,
                      (tw_decimal){.mantissa = event->u.level.price, .exponent = event->price_exponent},
                      (tw_decimal){.mantissa = event->u.level.amount, .exponent = event->amount_exponent}, with);
}

/* ---- interface ---- */

tw_status twi_book_apply_plain(twi_book *book, twi_side side, tw_decimal price, tw_decimal amount)
{
    return apply_with(book, side, price, amount, ANY_MACHINE);
}

#if TWI_HAVE_AVX2_FUNCTIONS
#define WITH_AVX2 ((means){twi_block_find_avx2, twi_block_floors_avx2})

static TWI_NOINLINE TWI_TARGET_AVX2 tw_status apply_avx2(twi_book *book, twi_side side, tw_decimal price,
                                                         tw_decimal amount)
{
    return apply_with(book, side, price, amount, WITH_AVX2);
}

static TWI_NOINLINE TWI_TARGET_AVX2 tw_status apply_event_avx2(twi_book *book, const tw_event *event)
{
    return apply_event_with(book, event, WITH_AVX2);
}

tw_status twi_book_apply(twi_book *book, twi_side side, tw_decimal price, tw_decimal amount)
{
    return TWI_LIKELY(twi_cpu_has_avx2()) ? apply_avx2(book, side, price, amount)
                                          : twi_book_apply_plain(book, side, price, amount);
}

tw_status twi_book_apply_event(twi_book *book, const tw_event *event)
{
    return TWI_LIKELY(twi_cpu_has_avx2()) ? apply_event_avx2(book, event) : apply_event_with(book, event, ANY_MACHINE);
}
#else
tw_status twi_book_apply(twi_book *book, twi_side side, tw_decimal price, tw_decimal amount)
{
    return twi_book_apply_plain(book, side, price, amount);
}

tw_status twi_book_apply_event(twi_book *book, const tw_event *event)
{
    return apply_event_with(book, event, ANY_MACHINE);
}
#endif

void twi_book_drop_worst(twi_book *book, twi_side side)
{
    TWI_ASSERT(twi_book_count(book, side) > 0);
    remove_worst(&book->sides[side]);
}

/* A level, with the venue's digits. */
static twi_level level_at(const twi_book *book, twi_side which, const twi_book_block *block, uint32_t place)
{
    twi_level_digits digits = block->digits[place];
    int64_t price = twi_book_price_of_key(which, block->keys[place]);
    if (price != 0) { /* with the digits that the venue wrote, zeros more or fewer than the key has */
        int shift = digits.price_exponent - book->price_exponent;
        if (TWI_UNLIKELY(shift != 0))
            price = shift < 0 ? price * POWERS[-shift] : price / POWERS[shift];
    }
    return (twi_level){
        .price = {.mantissa = price, .exponent = digits.price_exponent},
        .amount = {.mantissa = block->amounts[place], .exponent = digits.amount_exponent},
    };
}

twi_level twi_book_level(const twi_book *book, twi_side which, uint32_t index)
{
    const twi_book_side *side = &book->sides[which];
    TWI_ASSERT(index < side->count);
    uint32_t entry = 0;
    while (index >= side->counts[entry])
        index -= side->counts[entry++];
    return level_at(book, which, sorted_at(side, entry), index);
}

/* Where the best level of a block is that was changed since it was sorted. */
#if TWI_HAVE_AVX2_FUNCTIONS
static TWI_NOINLINE TWI_TARGET_AVX2 uint32_t best_place_avx2(const twi_book_block *block)
{
    return twi_block_find_avx2(block, twi_block_best_avx2(block));
}

static uint32_t best_place(const twi_book_block *block)
{
    return twi_cpu_has_avx2() ? best_place_avx2(block) : twi_block_find(block, twi_block_best(block));
}
#else
static uint32_t best_place(const twi_book_block *block)
{
    return twi_block_find(block, twi_block_best(block));
}
#endif

bool twi_book_best(const twi_book *book, twi_side side, twi_level *level)
{
    if (twi_book_count(book, side) == 0)
        return false;
    const twi_book_block *block = block_at(&book->sides[side], 0);
    *level = level_at(book, side, block, block->sorted ? 0 : best_place(block));
    return true;
}

bool twi_book_find(const twi_book *book, twi_side which, tw_decimal price, tw_decimal *amount)
{
    const twi_book_side *side = &book->sides[which];
    int64_t key;
    if (side->count == 0 || tw_decimal_rescale(price, book->price_exponent, &key) != TW_OK || key == INT64_MIN)
        return false;
    key = which == TWI_ASK ? -key : key;
    const twi_book_block *block = block_at(side, find_entry(side, key, ANY_MACHINE));
    uint32_t place = twi_block_find(block, key);
    if (place == TWI_BLOCK_SPARE)
        return false;
    *amount = level_at(book, which, block, place).amount;
    return true;
}

bool twi_book_crossed(const twi_book *book)
{
    const twi_book_side *bids = &book->sides[TWI_BID], *asks = &book->sides[TWI_ASK];
    if (bids->count == 0 || asks->count == 0)
        return false;
    const twi_book_block *bid = block_at(bids, 0), *ask = block_at(asks, 0);
    return bid->keys[best_place(bid)] >= -ask->keys[best_place(ask)];
}
