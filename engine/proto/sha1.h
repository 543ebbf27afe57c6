/* sha1.h - SHA-1 and base64 for the WebSocket accept key (RFC 6455 section 4.2.2), which is what they may be used for.
 *
 * Memory: no allocation. Thread: any. Non-goals: security; SHA-1 is only a formality of the handshake. */
#ifndef TWI_SHA1_H
#define TWI_SHA1_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { TWI_SHA1_BYTES = 20 };

/* Hash of data[0..len), at most TWI_SHA1_INPUT_MAX bytes: the handshake needs 60. */
enum { TWI_SHA1_INPUT_MAX = 4096 };
void twi_sha1(const uint8_t *data, size_t len, uint8_t hash[TWI_SHA1_BYTES]);

/* Characters of base64 with padding for len bytes. */
static inline size_t twi_base64_chars(size_t len)
{
    return (len + 2) / 3 * 4;
}

/* Writes twi_base64_chars(len) characters, without a zero behind them. */
void twi_base64_encode(const uint8_t *data, size_t len, char *out);
/* Strict: alphabet of RFC 4648 section 4, padding where it must be, unused bits 0. Bytes decoded, or -1. */
ptrdiff_t twi_base64_decode(const char *text, size_t text_len, uint8_t *out, size_t out_cap);

#endif
