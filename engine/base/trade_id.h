/* trade_id.h - a venue's trade id: text to the 16 bytes of an event and back, unchanged.
 *
 * Usage:    feeds parse what the venue sent, codecs format it for subscribers. The text decides the kind (tw_id_kind),
 *           so that format(parse(text)) gives the same text for every id that parse() takes.
 * Thread:   pure functions, no allocation.
 * Non-goals: ids longer than 16 bytes that are neither number, UUID nor hex. */
#ifndef TWI_TRADE_ID_H
#define TWI_TRADE_ID_H

#include <stddef.h>
#include <stdint.h>

#include "engine/base/digits.h"
#include "tickwire/event.h"

enum {
    TWI_TRADE_ID_TEXT_MAX = 39,                                           /* 2^128 - 1 in decimal */
    TWI_TRADE_ID_BYTES_MAX = TWI_TRADE_ID_TEXT_MAX + 1 + TWI_DIGITS_SLACK /* what format() needs */
};

/* Reads the whole of [text, text+len); empty text is TW_ID_NONE.
 * TW_MALFORMED: a byte outside of printable ASCII; TW_TOO_BIG: longer than any kind holds. */
TW_MUST_USE tw_status twi_trade_id_parse(const char *text, size_t len, tw_id_kind *kind, tw_trade_id *id);

/* Writes the text without NUL and returns its length; 0 for TW_ID_NONE and for a kind that does not exist.
 * It is printable ASCII, so that it is valid in every codec: bytes of a TW_ID_TEXT that are not, which parse() never
 * gives, become '?'. Quotes are not escaped. out holds TWI_TRADE_ID_BYTES_MAX bytes. */
size_t twi_trade_id_format(tw_id_kind kind, tw_trade_id id, char *out);

#endif
