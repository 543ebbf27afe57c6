/* lines.h - reads a text file line by line, compressed or not.
 *
 * Job:      gzip (any number of members), zstd (if built with it) and plain text, told apart by their first bytes.
 * Memory:   one buffer that grows to the longest line, at most TWI_LINE_BYTES_MAX; a longer line is stepped over.
 * Damage:   compressed data that is cut or corrupt gives everything before the damage, then TW_MALFORMED once.
 * Thread:   one per reader; blocks in read(2).
 * Non-goals: writing, seeking, other line ends than \n. */
#ifndef TWI_LINES_H
#define TWI_LINES_H

#include <stddef.h>
#include <stdint.h>

#include "tickwire/status.h"

enum { TWI_LINE_BYTES_MAX = 64 << 20 };

typedef struct twi_lines twi_lines;

/* TW_IO: cannot be opened; TW_NOT_SUPPORTED: zstd, and built without it; TW_NO_MEMORY. `error` says what. */
TW_MUST_USE tw_status twi_lines_open(const char *path, twi_lines **lines, char *error, size_t error_cap);
/* The same over bytes in memory, which must outlive the reader. */
TW_MUST_USE tw_status twi_lines_open_bytes(const uint8_t *bytes, size_t len, twi_lines **lines, char *error,
                                           size_t error_cap);
void twi_lines_close(twi_lines *lines);

/* The next line without its \n, in the reader's buffer: the caller may change it, it lives until the next call.
 * The last line needs no \n. TW_EMPTY: the end; TW_TOO_BIG: a line was too long and is skipped, go on; TW_MALFORMED,
 * TW_IO: damaged or unreadable from here (then TW_EMPTY); TW_NO_MEMORY. */
TW_MUST_USE tw_status twi_lines_next(twi_lines *lines, uint8_t **line, size_t *len);

/* Bytes taken from the file so far, as they lie in it: for progress. */
uint64_t twi_lines_bytes_read(const twi_lines *lines);

#endif
