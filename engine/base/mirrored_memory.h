/* mirrored_memory.h - one block of memory mapped twice, back to back, so that a ring of bytes has no seam.
 *
 * Shape:   bytes[i] and bytes[i + capacity] are the same byte for i in [0, capacity): every slice of up to `capacity`
 *          bytes that starts inside the first half is contiguous.
 * Thread:  open and close from one thread; the memory itself is the caller's business. */
#ifndef TWI_MIRRORED_MEMORY_H
#define TWI_MIRRORED_MEMORY_H

#include <stddef.h>
#include <stdint.h>

#include "tickwire/status.h"

/* capacity: a power of two and a multiple of the page size. The pages are taken from the kernel when first touched.
 * TW_NO_MEMORY with the reason in `error`. */
TW_MUST_USE tw_status twi_mirrored_memory_open(size_t capacity, uint8_t **bytes, char *error, size_t error_cap);
void twi_mirrored_memory_close(uint8_t *bytes, size_t capacity);

#endif
