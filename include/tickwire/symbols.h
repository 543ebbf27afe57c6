/* symbols.h - the instrument table: what an event's `instrument` index means.
 *
 * Shape:    an append-only array of fixed 128-byte entries; an index once given never changes within an epoch.
 * Owner:    the producer's ring (it lies in the ring's shared header, so that readers in other processes see it), or
 *           private memory on the client side, where a decoder interns what it meets.
 * Thread:   one writer; readers may look at any index that they got from an event or below tw_symbols_count(). */
#ifndef TICKWIRE_SYMBOLS_H
#define TICKWIRE_SYMBOLS_H

#include <stddef.h>
#include <stdint.h>

#include "tickwire/status.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { TW_EXCHANGE_MAX = 16, TW_SYMBOL_MAX = 47, TW_VENUE_ID_MAX = 47 }; /* bytes without the NUL */
#define TW_INSTRUMENT_NONE UINT32_MAX

enum { TW_NAME_ESCAPE = 1u << 0 }; /* exchange or symbol has a quote or backslash, which JSON must escape */

typedef struct tw_instrument {
    char exchange[TW_EXCHANGE_MAX + 1]; /* "binance", lower case, NUL-terminated */
    char symbol[TW_SYMBOL_MAX + 1];     /* unified as in ccxt: "BTC/USDT", "BTC/USDT:USDT" */
    char venue_id[TW_VENUE_ID_MAX + 1]; /* the venue's own id: "BTCUSDT" */
    uint8_t exchange_len, symbol_len, venue_id_len;
    int8_t price_exponent;  /* of the venue's tick size; a hint for display, events carry their own */
    int8_t amount_exponent; /* likewise */
    uint8_t name_flags;     /* TW_NAME_* */
    uint8_t reserved[9];
} tw_instrument;

#ifdef __cplusplus
static_assert(sizeof(tw_instrument) == 128, "two cache lines");
#else
_Static_assert(sizeof(tw_instrument) == 128, "two cache lines");
#endif

typedef struct tw_symbols tw_symbols; /* 64-byte header, then the entries; no pointers inside */

enum { TW_SYMBOLS_CAPACITY_MAX = 1 << 24 };

/* Bytes that a table of `capacity` instruments (1 .. TW_SYMBOLS_CAPACITY_MAX) needs; about 170 per instrument.
 * The memory must be 64-byte aligned; init() clears it. The table may be copied or mapped elsewhere as it is. */
TW_API size_t tw_symbols_size(uint32_t capacity);
/* Makes an empty table of the memory that tw_symbols_size() asked for. */
TW_API tw_symbols *tw_symbols_init(void *memory, uint32_t capacity);

/* Finds or appends. TW_FULL: table full; TW_TOO_BIG: a name is too long; TW_BAD_ARGUMENT: a name is empty, is not UTF-8
 * or has control characters. venue_id may be NULL (then it is the symbol); of an instrument that is already there, the
 * first one stays. Allocation-free; average cost O(1) (open hash behind the entries). Only the writer calls it. */
TW_API TW_MUST_USE tw_status tw_symbols_intern(tw_symbols *symbols, const char *exchange, size_t exchange_len,
                                               const char *symbol, size_t symbol_len, const char *venue_id,
                                               size_t venue_id_len, uint32_t *instrument);

/* TW_INSTRUMENT_NONE if absent. `symbol` may be the unified symbol or the venue's id; the unified symbol wins, then the
 * venue id that was there first. Any thread, also while the writer appends. */
TW_API uint32_t tw_symbols_find(const tw_symbols *symbols, const char *exchange, size_t exchange_len,
                                const char *symbol, size_t symbol_len);
TW_API uint32_t tw_symbols_count(const tw_symbols *symbols); /* instruments so far; any thread */
/* NULL if the index is not in the table. Points into the table. */
TW_API const tw_instrument *tw_symbols_get(const tw_symbols *symbols, uint32_t instrument);

#ifdef __cplusplus
}
#endif
#endif
