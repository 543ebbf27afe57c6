/* rows.c - see rows.h.
 *
 * Method:   a row is short. One mask tells where in the 64 bytes from its start the bytes are that are no digits, so
 *           the ends of its numbers are found by counting zeros, and the numbers are read in vectors or words; the
 *           length of a number costs no branch. What is nearer to the end of the message than such a window is read
 *           from a copy with zeros behind it. A row that does not fit the window, or has numbers of more than 18
 *           digits, is read by the general scanner. */
#include "feed/rows.h"

#include "engine/base/digits.h"
#include "engine/proto/byte_mask.h"

enum {
    WORD = 8,
    VECTOR = 16,
    WINDOW_BYTES = TWI_MASK_BYTES + 2 * WORD, /* a number that begins at the mask's end is loaded beyond it */
    DIGITS_MAX = 18
};

/* 1..8 digits. */
static TWI_ALWAYS_INLINE uint64_t short_digits(const uint8_t *at, unsigned count)
{
    return twi_json_digits(twi_json_load64(at) ^ TWI_JSON_REPEAT_BYTE('0'), count);
}

/* 0..18 digits. */
static TWI_NOINLINE uint64_t long_digits(const uint8_t *at, unsigned count)
{
    uint64_t value = 0;
    for (; count >= WORD; at += WORD, count -= WORD)
        value = value * 100000000u + short_digits(at, WORD);
    return count > 0 ? value * twi_pow10[count] + short_digits(at, count) : value;
}

/* A number's place in the window. */
typedef struct span {
    unsigned whole, has_point, fraction; /* digits before the point, 1 or 0, digits behind it */
    const uint8_t *at;
} span;

/* Its value; at most DIGITS_MAX digits. */
typedef uint64_t (*span_value)(span number);
/* Where in the window no digits are. */
typedef uint64_t (*window_mask)(const uint8_t *at);
typedef uint64_t (*window_search)(const uint8_t *at, uint8_t byte);

/* Those of one kind of machine. Constant wherever they are used, so that nothing is called indirectly. */
typedef struct means {
    window_mask mask;
    window_search search;
} means;

static TWI_ALWAYS_INLINE uint64_t value_by_words(span number)
{
    const uint8_t *fraction = number.at + number.whole + 1;
#if defined(__SSE4_1__)
    if (TWI_LIKELY(number.whole + number.has_point + number.fraction <= VECTOR))
        return twi_json_vector_value(number.at, number.whole + number.fraction, number.fraction);
#endif
    if (TWI_UNLIKELY(number.whole > WORD || number.fraction > WORD))
        return long_digits(number.at, number.whole) * twi_pow10[number.fraction] +
               long_digits(fraction, number.fraction);
    uint64_t value = short_digits(number.at, number.whole);
    return number.has_point ? value * twi_pow10[number.fraction] + short_digits(fraction, number.fraction) : value;
}

static TWI_ALWAYS_INLINE uint64_t mask_by_words(const uint8_t *at)
{
    return twi_mask_not_digits(at);
}

static TWI_ALWAYS_INLINE uint64_t search_by_words(const uint8_t *at, uint8_t byte)
{
    return twi_mask_equal(at, byte);
}

/* The number at a place of the window; *end is one past it. `mask` has the window's bytes that are no digits. */
static TWI_ALWAYS_INLINE bool take_number(const uint8_t *at, uint64_t mask, unsigned place, bool bare, span_value value,
                                          unsigned *end, int64_t *mantissa, int8_t *exponent)
{
    enum { LAST_PLACE = TWI_MASK_BYTES - 1 };
    if (TWI_UNLIKELY(place >= LAST_PLACE))
        return false;
    mask = mask >> place << place | UINT64_C(1) << LAST_PLACE;
    unsigned point = twi_trailing_zeros(mask);
    span number = {.whole = point - place, .has_point = at[point] == '.', .at = at + place};
    if (TWI_UNLIKELY(number.whole == 0 || point == LAST_PLACE || (bare && number.whole > 1 && at[place] == '0')))
        return false;
    *end = number.has_point ? twi_trailing_zeros(mask & (mask - 1)) : point;
    number.fraction = *end - point - number.has_point;
    if (TWI_UNLIKELY((number.fraction == 0 && number.has_point) || number.whole + number.fraction > DIGITS_MAX))
        return false;
    *mantissa = (int64_t)value(number);
    *exponent = (int8_t) - (int)number.fraction;
    return true;
}

/* What may follow in a row: more numbers, in quotes or bare, which nobody needs. */
static TWI_ALWAYS_INLINE uint64_t no_value(span number)
{
    return number.whole;
}

static TWI_ALWAYS_INLINE bool skip_numbers(const uint8_t *at, uint64_t mask, unsigned *place)
{
    while (at[*place] == ',') {
        bool quoted = at[*place + 1] == '"';
        int64_t mantissa;
        int8_t exponent;
        unsigned end;
        if (!take_number(at, mask, *place + 1 + quoted, !quoted, no_value, &end, &mantissa, &exponent) ||
            (quoted && at[end] != '"'))
            return false;
        *place = end + quoted;
    }
    return true;
}

/* ---- the shapes; each reads the row at the begin of the window, which ends at the place `close` ----
 *
 * Where the row ends is searched for by itself, not learned from its numbers: so the next row can be begun before the
 * numbers of this one are known. */

/* ["1.5","2"] */
static TWI_ALWAYS_INLINE bool quoted_pair(const uint8_t *at, means with, unsigned close, twi_row *row)
{
    uint64_t mask = with.mask(at);
    unsigned end;
    if (memcmp(at, "[\"", 2) != 0 ||
        !take_number(at, mask, 2, false, value_by_words, &end, &row->price, &row->price_exponent) ||
        memcmp(at + end, "\",\"", 3) != 0 ||
        !take_number(at, mask, end + 3, false, value_by_words, &end, &row->amount, &row->amount_exponent) ||
        at[end] != '"')
        return false;
    end++;
    return end == close || (skip_numbers(at, mask, &end) && end == close);
}

/* [1.5,2] */
static TWI_ALWAYS_INLINE bool bare_pair(const uint8_t *at, means with, unsigned close, twi_row *row)
{
    uint64_t mask = with.mask(at);
    unsigned end;
    return *at == '[' && take_number(at, mask, 1, true, value_by_words, &end, &row->price, &row->price_exponent) &&
           at[end] == ',' &&
           take_number(at, mask, end + 1, true, value_by_words, &end, &row->amount, &row->amount_exponent) &&
           skip_numbers(at, mask, &end) && end == close;
}

/* ["buy","1.5","2"] */
static TWI_ALWAYS_INLINE bool change(const uint8_t *at, means with, unsigned close, twi_row *row)
{
    uint64_t mask = with.mask(at);
    bool buys = memcmp(at, "[\"buy\",\"", 8) == 0;
    unsigned end = buys ? 8 : 9;
    row->side = buys ? TWI_BID : TWI_ASK;
    return (buys || memcmp(at, "[\"sell\",\"", 9) == 0) &&
           take_number(at, mask, end, false, value_by_words, &end, &row->price, &row->price_exponent) &&
           memcmp(at + end, "\",\"", 3) == 0 &&
           take_number(at, mask, end + 3, false, value_by_words, &end, &row->amount, &row->amount_exponent) &&
           at[end] == '"' && end + 1 == close;
}

/* {"price":1.5,"qty":2} */
static TWI_ALWAYS_INLINE bool price_object(const uint8_t *at, means with, unsigned close, twi_row *row)
{
    uint64_t mask = with.mask(at);
    unsigned end;
    return memcmp(at, "{\"price\":", 9) == 0 &&
           take_number(at, mask, 9, true, value_by_words, &end, &row->price, &row->price_exponent) &&
           memcmp(at + end, ",\"qty\":", 7) == 0 &&
           take_number(at, mask, end + 7, true, value_by_words, &end, &row->amount, &row->amount_exponent) &&
           end == close;
}

/* ---- the same shapes by the general scanner ---- */

static void put_decimals(twi_row *row, tw_decimal price, tw_decimal amount)
{
    row->price = price.mantissa;
    row->price_exponent = price.exponent;
    row->amount = amount.mantissa;
    row->amount_exponent = amount.exponent;
}

static bool general_numbers(twi_json *json, twi_row *row)
{
    tw_decimal price = {0}, amount = {0};
    if (!twi_json_next_item(json) || !twi_json_decimal(json, &price) || !twi_json_next_item(json) ||
        !twi_json_decimal(json, &amount))
        return false;
    twi_json_drain_array(json);
    put_decimals(row, price, amount);
    return json->status == TW_OK;
}

static TWI_NOINLINE bool general_pair(twi_json *json, twi_row *row)
{
    return twi_json_enter_array(json) && general_numbers(json, row);
}

static TWI_NOINLINE bool general_change(twi_json *json, twi_row *row)
{
    twi_json_slice side;
    if (!twi_json_enter_array(json) || !twi_json_next_item(json) || !twi_json_string(json, &side))
        return false;
    bool buys = TWI_JSON_IS(side, "buy");
    row->side = buys ? TWI_BID : TWI_ASK;
    return (buys || TWI_JSON_IS(side, "sell")) && general_numbers(json, row);
}

static TWI_NOINLINE bool general_object(twi_json *json, twi_row *row)
{
    twi_json_slice key;
    tw_decimal price = {0}, amount = {0};
    bool has_price = false, has_amount = false;
    twi_json_enter_object(json);
    while (twi_json_next_member(json, &key)) {
        if (TWI_JSON_IS(key, "price"))
            has_price = twi_json_decimal(json, &price);
        else if (TWI_JSON_IS(key, "qty"))
            has_amount = twi_json_decimal(json, &amount);
        else
            twi_json_skip(json);
    }
    put_decimals(row, price, amount);
    return has_price && has_amount && json->status == TW_OK;
}

/* ---- lists ---- */

typedef bool (*usual_row)(const uint8_t *at, means with, unsigned close, twi_row *row);
typedef bool (*general_row)(twi_json *json, twi_row *row);

/* Where the list is read: in the message, or in a copy of its last bytes. */
typedef struct place {
    const uint8_t *at, *end;
    const uint8_t *origin; /* of the copy in the message */
    bool copied;
    uint8_t copy[2 * WINDOW_BYTES];
} place;

static TWI_ALWAYS_INLINE void see_window(place *from)
{
    size_t rest = (size_t)(from->end - from->at);
    if (TWI_LIKELY(rest >= WINDOW_BYTES || from->copied))
        return;
    memset(from->copy, 0, sizeof(from->copy));
    memcpy(from->copy, from->at, rest);
    from->origin = from->at;
    from->at = from->copy;
    from->end = from->copy + rest;
    from->copied = true;
}

static TWI_ALWAYS_INLINE const uint8_t *in_message(const place *from)
{
    return from->copied ? from->origin + (from->at - from->copy) : from->at;
}

/* False: not of this shape after all. */
static TWI_NOINLINE bool read_general(const twi_json *json, place *from, twi_row *row, general_row general)
{
    twi_json one = *json;
    one.at = in_message(from);
    const uint8_t *start = one.at;
    if (!general(&one, row))
        return false;
    from->at += one.at - start;
    return from->at < from->end;
}

static TWI_ALWAYS_INLINE bool read_list(twi_rows *rows, twi_json *json, twi_side side, means with, uint8_t bracket,
                                        usual_row usual, general_row general, twi_row_range *range)
{
    place from;
    uint32_t count = rows->count;
    if (json->end - json->at < 2 || *json->at != '[' || json->depth + 2 > TWI_JSON_DEPTH_MAX)
        return false;
    from.at = json->at + 1;
    from.end = json->end;
    from.copied = false;
    if (*from.at != ']') {
        for (;; from.at++) {
            twi_row *row = &rows->list[count];
            if (TWI_UNLIKELY(count == TWI_ROWS_MAX || from.at == from.end))
                return false;
            see_window(&from);
            row->side = (uint8_t)side;
            uint64_t closes = with.search(from.at, bracket);
            unsigned close = closes != 0 ? twi_trailing_zeros(closes) : 0;
            if (TWI_LIKELY(close > 0 && usual(from.at, with, close, row)))
                from.at += close + 1;
            else if (!read_general(json, &from, row, general))
                return false;
            count++;
            if (*from.at != ',')
                break;
        }
    }
    if (*from.at != ']')
        return false;
    from.at++;
    *range = (twi_row_range){.first = rows->count, .count = count - rows->count};
    rows->count = count;
    json->at = in_message(&from);
    return true;
}

/* ---- for every machine, and for one with AVX2 ---- */

typedef struct readers {
    bool (*quoted)(twi_rows *rows, twi_json *json, twi_side side, twi_row_range *range);
    bool (*bare)(twi_rows *rows, twi_json *json, twi_side side, twi_row_range *range);
    bool (*changes)(twi_rows *rows, twi_json *json, twi_side side, twi_row_range *range);
    bool (*objects)(twi_rows *rows, twi_json *json, twi_side side, twi_row_range *range);
} readers;

#define READER(name, target, with, bracket, usual, general)                                                            \
    static target bool name(twi_rows *rows, twi_json *json, twi_side side, twi_row_range *range)                       \
    {                                                                                                                  \
        return read_list(rows, json, side, with, bracket, usual, general, range);                                      \
    }

#define BY_WORDS ((means){mask_by_words, search_by_words})
READER(quoted_by_words, , BY_WORDS, ']', quoted_pair, general_pair)
READER(bare_by_words, , BY_WORDS, ']', bare_pair, general_pair)
READER(changes_by_words, , BY_WORDS, ']', change, general_change)
READER(objects_by_words, , BY_WORDS, '}', price_object, general_object)

static const readers ANY_MACHINE = {quoted_by_words, bare_by_words, changes_by_words, objects_by_words};

#if TWI_HAVE_AVX2_FUNCTIONS

static TWI_ALWAYS_INLINE TWI_TARGET_AVX2 uint64_t mask_by_vector(const uint8_t *at)
{
    return twi_mask_not_digits_avx2(at);
}

static TWI_ALWAYS_INLINE TWI_TARGET_AVX2 uint64_t search_by_vector(const uint8_t *at, uint8_t byte)
{
    return twi_mask_equal_avx2(at, byte);
}

#define BY_VECTOR ((means){mask_by_vector, search_by_vector})
READER(quoted_by_vector, TWI_TARGET_AVX2, BY_VECTOR, ']', quoted_pair, general_pair)
READER(bare_by_vector, TWI_TARGET_AVX2, BY_VECTOR, ']', bare_pair, general_pair)
READER(changes_by_vector, TWI_TARGET_AVX2, BY_VECTOR, ']', change, general_change)
READER(objects_by_vector, TWI_TARGET_AVX2, BY_VECTOR, '}', price_object, general_object)

static const readers WITH_AVX2 = {quoted_by_vector, bare_by_vector, changes_by_vector, objects_by_vector};

static const readers *best_readers(void)
{
    return twi_cpu_has_avx2() ? &WITH_AVX2 : &ANY_MACHINE;
}
#else
static const readers *best_readers(void)
{
    return &ANY_MACHINE;
}
#endif

static bool read_pairs(const readers *by, twi_rows *rows, twi_json *json, twi_side side, twi_row_range *range)
{
    bool bare = json->end - json->at > 2 && json->at[2] != '"';
    return bare ? by->bare(rows, json, side, range) : by->quoted(rows, json, side, range);
}

bool twi_rows_read_pairs(twi_rows *rows, twi_json *json, twi_side side, twi_row_range *range)
{
    return read_pairs(best_readers(), rows, json, side, range);
}

bool twi_rows_read_changes(twi_rows *rows, twi_json *json, twi_row_range *range)
{
    return best_readers()->changes(rows, json, TWI_BID, range);
}

bool twi_rows_read_objects(twi_rows *rows, twi_json *json, twi_side side, twi_row_range *range)
{
    return best_readers()->objects(rows, json, side, range);
}

bool twi_rows_plain_pairs(twi_rows *rows, twi_json *json, twi_side side, twi_row_range *range)
{
    return read_pairs(&ANY_MACHINE, rows, json, side, range);
}

bool twi_rows_plain_changes(twi_rows *rows, twi_json *json, twi_row_range *range)
{
    return changes_by_words(rows, json, TWI_BID, range);
}

bool twi_rows_plain_objects(twi_rows *rows, twi_json *json, twi_side side, twi_row_range *range)
{
    return objects_by_words(rows, json, side, range);
}
