/* buffer.h - a growing byte buffer for the control path: answers, handshakes, HTTP. Streamed data never goes
 * through one.
 *
 * Errors: sticky. After a failed append (out of memory or over the limit) `failed` is set and nothing more is
 *         added, so that a writer checks once at the end.
 * Memory: malloc on demand, given back by twi_buffer_fini(); an idle connection holds none. */
#ifndef TWI_BUFFER_H
#define TWI_BUFFER_H

#include <stddef.h>
#include <stdint.h>

#include "engine/base/compiler.h"

typedef struct twi_buffer {
    uint8_t *data;
    uint32_t len, cap;
    uint32_t cap_max; /* 0: TWI_BUFFER_BYTES_MAX */
    uint8_t failed;
} twi_buffer;

enum { TWI_BUFFER_BYTES_MAX = 64 << 20 };

/* Room for `bytes` more at data + len; NULL (and failed) if there is none. The caller adds to len what it wrote. */
uint8_t *twi_buffer_room(twi_buffer *buffer, size_t bytes);
void twi_buffer_append(twi_buffer *buffer, const void *data, size_t len);
void twi_buffer_text(twi_buffer *buffer, const char *text);
void twi_buffer_format(twi_buffer *buffer, const char *format, ...) TWI_PRINTF(2, 3);
/* The text as a JSON string with quotes; bytes that are not valid there are escaped or replaced by '?'. */
void twi_buffer_json_string(twi_buffer *buffer, const char *text, size_t len);
/* Drops the first `len` bytes. */
void twi_buffer_consume(twi_buffer *buffer, size_t len);
/* Frees the memory; cap_max stays. */
void twi_buffer_fini(twi_buffer *buffer);

#endif
