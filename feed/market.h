/* market.h - names: unified symbols (as in ccxt) made and taken apart, currency codes, and the bits of market lists
 * that all venues share. Pure functions. */
#ifndef TWI_MARKET_H
#define TWI_MARKET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/proto/json_scan.h"
#include "feed/text.h"
#include "tickwire/feed.h"

typedef struct twi_name {
    const char *text;
    size_t len;
} twi_name;

/* BASE/QUOTE[:SETTLE[-YYMMDD[-STRIKE-C|P]]]; parts that are not there have len 0. */
typedef struct twi_symbol_parts {
    twi_name base, quote, settle, expiry, strike;
    char option; /* 'C', 'P', or 0 */
} twi_symbol_parts;

/* False: it is not of that form. */
bool twi_symbol_split(const char *symbol, size_t len, twi_symbol_parts *parts);

/* A currency that a venue names differently; tables end with {NULL, NULL}. */
typedef struct twi_code {
    const char *venue, *unified;
} twi_code;

/* The other name, or the name itself. */
twi_name twi_code_unify(const twi_code *codes, const char *name, size_t len);
twi_name twi_code_of_venue(const twi_code *codes, twi_name unified);

/* Splits an id without separator ("BTCUSDT") at the longest of the quotes that it ends with; quotes ends with NULL.
 * False: none. */
bool twi_split_quote(const char *id, size_t len, const char *const *quotes, size_t *base_len);

/* Writes "base/quote" of ids joined by a separator ("BTC-USDT", "BTC_USDT"). */
bool twi_symbol_of_joined(const char *id, size_t len, char separator, const twi_code *codes, twi_text *symbol);
/* Writes base, separator, quote of a spot symbol; false for other kinds. */
bool twi_joined_of_symbol(const char *symbol, size_t len, const char *separator, const twi_code *codes, twi_text *id);

/* ---- filling a tw_market ---- */

/* Cuts what is too long away: no venue has such names. */
void twi_market_copy(char *to, size_t cap, const char *text, size_t len);
#define TWI_MARKET_SET(field, slice) twi_market_copy((field), sizeof(field), (slice).text, (slice).len)
void twi_market_code(char *to, size_t cap, const twi_code *codes, twi_json_slice slice);
#define TWI_MARKET_CODE(field, codes, slice) twi_market_code((field), sizeof(field), (codes), (slice))

/* 10^-digits, the tick size of a venue that gives a number of decimals. */
tw_decimal twi_market_tick(int64_t digits);

/* Reads the array `member` of an object (the whole text if it is NULL), each item through `read`. */
typedef void (*twi_market_reader)(twi_json *json, tw_market_fn fn, void *owner);
tw_status twi_market_list(const uint8_t *body, size_t body_len, const char *member, twi_market_reader read,
                          tw_market_fn fn, void *owner);

/* The request of a venue whose whole market list is one page; TW_EMPTY for the others. */
tw_status twi_market_request(const tw_feed_config *config, const char *rest_url, const char *path, uint32_t page,
                             tw_request *request);

/* Writes market->symbol from its parts. */
void twi_market_name_symbol(tw_market *market);

#endif
