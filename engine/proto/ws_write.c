/* ws_write.c - frames out: headers, masks, control frames, and what the close handshake does next. */
#include <string.h>

#include "engine/base/assert.h"
#include "engine/proto/ws.h"

enum { FIN = 0x80, RSV1 = 0x40, MASK = 0x80, LEN_16 = 126, LEN_64 = 127 };

size_t twi_ws_header_write(uint8_t *out, uint8_t opcode, bool fin, bool rsv1, uint64_t payload_len, const uint8_t *mask)
{
    uint8_t *p = out;
    uint8_t mask_bit = mask != NULL ? MASK : 0;
    *p++ = (uint8_t)((fin ? FIN : 0) | (rsv1 ? RSV1 : 0) | opcode);
    if (payload_len < LEN_16) {
        *p++ = (uint8_t)(mask_bit | payload_len);
    } else if (payload_len <= 0xFFFF) {
        *p++ = mask_bit | LEN_16;
        *p++ = (uint8_t)(payload_len >> 8);
        *p++ = (uint8_t)payload_len;
    } else {
        *p++ = mask_bit | LEN_64;
        for (int shift = 56; shift >= 0; shift -= 8)
            *p++ = (uint8_t)(payload_len >> shift);
    }
    if (mask != NULL) {
        memcpy(p, mask, 4);
        p += 4;
    }
    return (size_t)(p - out);
}

void twi_ws_mask(uint8_t *data, size_t len, const uint8_t mask[4], uint64_t phase)
{
    uint8_t turned[8];
    for (size_t i = 0; i < sizeof(turned); i++)
        turned[i] = mask[(phase + i) & 3];
    uint64_t wide;
    memcpy(&wide, turned, sizeof(wide));
    size_t i = 0;
    for (; i + sizeof(wide) <= len; i += sizeof(wide)) { /* the compiler widens this to its vector registers */
        uint64_t word;
        memcpy(&word, data + i, sizeof(word));
        word ^= wide;
        memcpy(data + i, &word, sizeof(word));
    }
    for (; i < len; i++)
        data[i] ^= turned[i & 7];
}

size_t twi_ws_control_write(uint8_t *out, uint8_t opcode, const uint8_t *payload, size_t payload_len,
                            const uint8_t *mask)
{
    TWI_ASSERT(payload_len <= TWI_WS_CONTROL_PAYLOAD_MAX);
    size_t header_len = twi_ws_header_write(out, opcode, true, false, payload_len, mask);
    if (payload_len > 0)
        memcpy(out + header_len, payload, payload_len);
    if (mask != NULL)
        twi_ws_mask(out + header_len, payload_len, mask, 0);
    return header_len + payload_len;
}

/* At most len_max bytes of text, not cut inside of a character. */
static size_t text_prefix(const char *text, size_t len_max)
{
    size_t len = strlen(text);
    if (len <= len_max)
        return len;
    len = len_max;
    while (len > 0 && ((uint8_t)text[len] & 0xC0) == 0x80)
        len--;
    return len;
}

size_t twi_ws_close_write(uint8_t *out, uint16_t code, const char *reason, const uint8_t *mask)
{
    uint8_t payload[TWI_WS_CONTROL_PAYLOAD_MAX];
    size_t payload_len = 0;
    if (code != 0 && code != TWI_WS_CODE_NONE) {
        TWI_ASSERT(twi_ws_close_code_valid(code));
        payload[0] = (uint8_t)(code >> 8);
        payload[1] = (uint8_t)code;
        size_t reason_len = reason != NULL ? text_prefix(reason, TWI_WS_REASON_BYTES_MAX) : 0;
        if (reason_len > 0)
            memcpy(payload + 2, reason, reason_len);
        payload_len = 2 + reason_len;
    }
    return twi_ws_control_write(out, TWI_WS_CLOSE, payload, payload_len, mask);
}

bool twi_ws_close_code_valid(uint16_t code)
{
    /* 1004 is reserved; 1005, 1006 and 1015 must not be sent; 1012-1014 were registered later; 3000-3999 are
     * libraries', 4000-4999 private. */
    return (code >= 1000 && code <= 1003) || (code >= 1007 && code <= 1014) || (code >= 3000 && code <= 4999);
}

twi_ws_close_step twi_ws_close_next(const twi_ws_closing *closing, uint8_t role)
{
    if (closing->failed)
        return closing->sent ? TWI_WS_STEP_SHUT : TWI_WS_STEP_NONE;
    if (!closing->received)
        return TWI_WS_STEP_NONE;
    if (!closing->sent)
        return TWI_WS_STEP_REPLY;
    /* RFC 6455 section 7.1.1: the server closes the TCP connection first, so that it holds the TIME_WAIT. */
    return role == TWI_WS_SERVER ? TWI_WS_STEP_SHUT : TWI_WS_STEP_AWAIT_PEER;
}
