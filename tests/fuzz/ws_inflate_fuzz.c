/* ws_inflate_fuzz.c - any bytes as compressed messages: bounded output, the same result however they are cut.
 * Input: byte 0 options, byte 1 window bits and step; then messages, each behind one byte of length. */
#include <stdlib.h>
#include <string.h>

#include "engine/base/assert.h"
#include "engine/proto/ws_deflate.h"

enum { INPUT_BYTES_MAX = 1 << 14, OUTPUT_BYTES_MAX = 20000 };

static void *resize_memory(void *owner, void *old, size_t new_bytes)
{
    (void)owner;
    if (new_bytes > 0)
        return realloc(old, new_bytes);
    free(old);
    return NULL;
}

static tw_status inflate_message(twi_ws_inflater *inflater, uint8_t *data, size_t len, size_t step, uint8_t opcode,
                                 twi_ws_message *out)
{
    size_t at = 0;
    for (;;) {
        size_t part = step < len - at ? step : len - at;
        twi_ws_piece piece = {.data = data + at, .len = part, .opcode = opcode, .flags = TWI_WS_COMPRESSED};
        piece.flags |= (uint8_t)((at == 0 ? TWI_WS_FIRST : 0) | (at + part == len ? TWI_WS_LAST : 0));
        at += part;
        tw_status status = twi_ws_inflate_piece(inflater, &piece, out);
        TWI_ASSERT(out->len <= OUTPUT_BYTES_MAX);
        if (status != TW_NEED_MORE || at == len)
            return status;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2 || size > INPUT_BYTES_MAX)
        return 0;
    uint8_t bits = (uint8_t)(TWI_WS_WINDOW_BITS_MIN + (data[1] & 7));
    uint8_t opcode = (data[0] & 1) != 0 ? TWI_WS_TEXT : TWI_WS_BINARY;
    bool no_takeover = (data[0] & 2) != 0;
    const twi_ws_deflate_params params = {bits, bits, no_takeover, no_takeover};
    twi_ws_inflater inflaters[2];
    twi_ws_message outs[2];
    uint8_t *copy = malloc(size);
    TWI_ASSERT(copy != NULL);
    memcpy(copy, data, size);
    for (int i = 0; i < 2; i++) {
        twi_ws_inflater_init(&inflaters[i], &params, resize_memory, NULL);
        outs[i] = (twi_ws_message){.bytes_max = OUTPUT_BYTES_MAX, .resize = resize_memory};
    }
    tw_status status = TW_OK;
    for (size_t at = 2; at < size && status == TW_OK;) {
        size_t len = copy[at++];
        len = len < size - at ? len : size - at;
        status = inflate_message(&inflaters[0], copy + at, len, SIZE_MAX, opcode, &outs[0]);
        tw_status parts = inflate_message(&inflaters[1], copy + at, len, 1u + (data[1] >> 3), opcode, &outs[1]);
        TWI_ASSERT(status != TW_NEED_MORE && (status == TW_OK) == (parts == TW_OK));
        if (status == TW_OK) {
            TWI_ASSERT(outs[0].len == outs[1].len);
            TWI_ASSERT(outs[0].len == 0 || memcmp(outs[0].data, outs[1].data, outs[0].len) == 0);
            TWI_ASSERT(opcode != TWI_WS_TEXT || twi_utf8_valid(outs[0].data, outs[0].len));
        } else {
            TWI_ASSERT(inflaters[0].error != TWI_WS_ERROR_NONE && inflaters[1].error != TWI_WS_ERROR_NONE);
        }
        at += len;
    }
    for (int i = 0; i < 2; i++) {
        twi_ws_inflater_fini(&inflaters[i]);
        twi_ws_message_fini(&outs[i]);
    }
    free(copy);
    return 0;
}
