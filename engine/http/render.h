/* render.h - answers of the publisher as JSON in ccxt's shapes.
 *
 * Shape:    digits as the venue sent them, no doubles; what is not known is null. docs/PROTOCOL.md lists the members.
 * Memory:   appended to the caller's buffer, which is asked once for the worst case.
 * Thread:   pure, but for a look at the symbol table. */
#ifndef TWI_HTTP_RENDER_H
#define TWI_HTTP_RENDER_H

#include "engine/fanout/buffer.h"
#include "engine/fanout/query.h"
#include "engine/proto/slice.h"
#include "tickwire/symbols.h"

/* Returns the HTTP status: 200, or 503 with an error object when a book is not to be believed. */
uint16_t twi_render_answer(const tw_symbols *symbols, const twi_query *query, twi_buffer *out);
/* Bytes of the largest body. */
size_t twi_render_bytes_max(uint32_t depth_max, uint32_t row_count_max);
/* Every instrument (of `exchange`, unless its data is NULL) as ccxt's markets. */
void twi_render_symbols(const tw_symbols *symbols, twi_slice exchange, twi_buffer *out);
/* An error object of the wire protocol. */
void twi_render_error(twi_buffer *out, int code, const char *name, const char *message, int temporary);

#endif
