/* sha1.c - FIPS 180-4 SHA-1 in one call, RFC 4648 base64. */
#include "engine/proto/sha1.h"

#include <string.h>

#include "engine/base/assert.h"

enum { BLOCK_BYTES = 64, LENGTH_BYTES = 8 };

static uint32_t rotate_left(uint32_t word, int bits)
{
    return word << bits | word >> (32 - bits);
}

static uint32_t load_be32(const uint8_t *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static void mix_block(uint32_t state[5], const uint8_t *block)
{
    uint32_t words[80];
    for (int i = 0; i < 16; i++)
        words[i] = load_be32(block + (size_t)i * 4);
    for (int i = 16; i < 80; i++)
        words[i] = rotate_left(words[i - 3] ^ words[i - 8] ^ words[i - 14] ^ words[i - 16], 1);
    uint32_t a = state[0], b = state[1], c = state[2], d = state[3], e = state[4];
    for (int i = 0; i < 80; i++) {
        uint32_t f, k;
        if (i < 20) {
            f = (b & c) | (~b & d);
            k = 0x5A827999;
        } else if (i < 40) {
            f = b ^ c ^ d;
            k = 0x6ED9EBA1;
        } else if (i < 60) {
            f = (b & c) | (b & d) | (c & d);
            k = 0x8F1BBCDC;
        } else {
            f = b ^ c ^ d;
            k = 0xCA62C1D6;
        }
        uint32_t next = rotate_left(a, 5) + f + e + k + words[i];
        e = d;
        d = c;
        c = rotate_left(b, 30);
        b = a;
        a = next;
    }
    state[0] += a;
    state[1] += b;
    state[2] += c;
    state[3] += d;
    state[4] += e;
}

void twi_sha1(const uint8_t *data, size_t len, uint8_t hash[TWI_SHA1_BYTES])
{
    TWI_ASSERT(len <= TWI_SHA1_INPUT_MAX);
    uint32_t state[5] = {0x67452301, 0xEFCDAB89, 0x98BADCFE, 0x10325476, 0xC3D2E1F0};
    size_t done = 0;
    for (; len - done >= BLOCK_BYTES; done += BLOCK_BYTES)
        mix_block(state, data + done);
    uint8_t tail[2 * BLOCK_BYTES] = {0};
    size_t tail_len = len - done;
    if (tail_len > 0)
        memcpy(tail, data + done, tail_len);
    tail[tail_len] = 0x80;
    size_t padded = tail_len + 1 + LENGTH_BYTES <= BLOCK_BYTES ? BLOCK_BYTES : 2 * BLOCK_BYTES;
    uint64_t bits = (uint64_t)len * 8;
    for (size_t i = 0; i < LENGTH_BYTES; i++)
        tail[padded - 1 - i] = (uint8_t)(bits >> (8 * i));
    for (size_t at = 0; at < padded; at += BLOCK_BYTES)
        mix_block(state, tail + at);
    for (size_t i = 0; i < TWI_SHA1_BYTES; i++)
        hash[i] = (uint8_t)(state[i / 4] >> (24 - 8 * (i % 4)));
}

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

void twi_base64_encode(const uint8_t *data, size_t len, char *out)
{
    size_t i = 0;
    for (; i + 3 <= len; i += 3) {
        uint32_t word = (uint32_t)data[i] << 16 | (uint32_t)data[i + 1] << 8 | data[i + 2];
        *out++ = alphabet[word >> 18];
        *out++ = alphabet[word >> 12 & 63];
        *out++ = alphabet[word >> 6 & 63];
        *out++ = alphabet[word & 63];
    }
    if (i == len)
        return;
    uint32_t word = (uint32_t)data[i] << 16 | (i + 1 < len ? (uint32_t)data[i + 1] << 8 : 0);
    *out++ = alphabet[word >> 18];
    *out++ = alphabet[word >> 12 & 63];
    *out++ = i + 1 < len ? alphabet[word >> 6 & 63] : '=';
    *out = '=';
}

static int base64_value(char c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    return c == '+' ? 62 : c == '/' ? 63 : -1;
}

ptrdiff_t twi_base64_decode(const char *text, size_t text_len, uint8_t *out, size_t out_cap)
{
    if (text_len % 4 != 0)
        return -1;
    size_t pads = 0;
    while (pads < 2 && pads < text_len && text[text_len - 1 - pads] == '=')
        pads++;
    size_t len = text_len / 4 * 3 - pads;
    if (len > out_cap)
        return -1;
    uint32_t word = 0;
    size_t at = 0;
    for (size_t i = 0; i < text_len; i++) {
        int value = i >= text_len - pads ? 0 : base64_value(text[i]);
        if (value < 0)
            return -1;
        word = word << 6 | (uint32_t)value;
        if (i % 4 != 3)
            continue;
        for (int shift = 16; shift >= 0; shift -= 8) {
            uint8_t byte = (uint8_t)(word >> shift);
            if (at < len)
                out[at++] = byte;
            else if (byte != 0) /* bits that the padding says are not there */
                return -1;
        }
        word = 0;
    }
    return (ptrdiff_t)len;
}
