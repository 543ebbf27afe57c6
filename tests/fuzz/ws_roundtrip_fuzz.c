/* ws_roundtrip_fuzz.c - what our writers write, our readers read back: messages made from the input, compressed or not,
 * framed, fragmented, masked, cut, read, inflated: the same messages.
 * Input: byte 0 options, byte 1 window bits, byte 2 seed; the rest is cut into messages. */
#include <stdlib.h>
#include <string.h>

#include "engine/base/assert.h"
#include "engine/proto/ws_deflate.h"

enum { INPUT_BYTES_MAX = 1 << 15, WIRE_BYTES = 1 << 18, OPTION_CLIENT = 1, OPTION_DEFLATE = 2, OPTION_TAKEOVER = 4 };

typedef struct conversation {
    twi_ws_deflater deflater;
    twi_ws_inflater inflater;
    twi_ws_reader reader;
    twi_ws_message packed;
    twi_ws_message message;
    uint32_t random;
    bool masked;
    bool deflate;
} conversation;

static uint8_t wire[WIRE_BYTES];

static void *resize_memory(void *owner, void *old, size_t new_bytes)
{
    (void)owner;
    if (new_bytes > 0)
        return realloc(old, new_bytes);
    free(old);
    return NULL;
}

static uint32_t next_random(conversation *c, uint32_t limit)
{
    c->random = c->random * 1664525u + 1013904223u;
    return (c->random >> 8) % limit;
}

static size_t write_frames(conversation *c, uint8_t opcode, const uint8_t *payload, size_t len)
{
    size_t at = 0, wire_len = 0;
    bool first = true;
    for (;;) {
        size_t part = next_random(c, 3) == 0 ? next_random(c, (uint32_t)(len - at) + 1) : len - at;
        bool fin = at + part == len && next_random(c, 4) != 0;
        uint8_t mask[4];
        memcpy(mask, &c->random, 4);
        uint8_t *out = wire + wire_len;
        size_t header_len = twi_ws_header_write(out, first ? opcode : (uint8_t)TWI_WS_CONTINUATION, fin,
                                                first && c->deflate, part, c->masked ? mask : NULL);
        if (part > 0)
            memcpy(out + header_len, payload + at, part);
        if (c->masked)
            twi_ws_mask(out + header_len, part, mask, 0);
        wire_len += header_len + part;
        TWI_ASSERT(wire_len < WIRE_BYTES - 100);
        at += part;
        first = false;
        if (fin)
            return wire_len;
    }
}

static tw_status take_piece(conversation *c, const twi_ws_piece *piece)
{
    return (piece->flags & TWI_WS_COMPRESSED) != 0 ? twi_ws_inflate_piece(&c->inflater, piece, &c->message)
                                                   : twi_ws_message_add(&c->message, piece);
}

static void check_message(conversation *c, const uint8_t *text, size_t len)
{
    const uint8_t *payload = text;
    size_t payload_len = len;
    if (c->deflate) {
        TWI_ASSERT(twi_ws_deflate_message(&c->deflater, text, len, &c->packed) == TW_OK);
        payload = c->packed.data;
        payload_len = c->packed.len;
    }
    size_t wire_len = write_frames(c, TWI_WS_BINARY, payload, payload_len);
    tw_status complete = TW_NEED_MORE;
    for (size_t at = 0; at < wire_len;) {
        size_t step = 1 + next_random(c, 500);
        step = step < wire_len - at ? step : wire_len - at;
        uint8_t *cursor = wire + at;
        tw_status status;
        twi_ws_piece piece;
        while ((status = twi_ws_read(&c->reader, &cursor, wire + at + step, &piece)) == TW_OK) {
            complete = take_piece(c, &piece);
            TWI_ASSERT(complete == TW_OK || complete == TW_NEED_MORE);
        }
        TWI_ASSERT(status == TW_NEED_MORE);
        at += step;
    }
    TWI_ASSERT(complete == TW_OK && c->message.len == len);
    TWI_ASSERT(len == 0 || memcmp(c->message.data, text, len) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 3 || size > INPUT_BYTES_MAX)
        return 0;
    bool takeover = (data[0] & OPTION_TAKEOVER) != 0;
    uint8_t bits = (uint8_t)(TWI_WS_WINDOW_BITS_MIN + data[1] % 8);
    const twi_ws_deflate_params params = {bits, bits, !takeover, !takeover};
    conversation c = {.random = data[2],
                      .masked = (data[0] & OPTION_CLIENT) != 0,
                      .deflate = (data[0] & OPTION_DEFLATE) != 0,
                      .packed = {.bytes_max = WIRE_BYTES, .resize = resize_memory},
                      .message = {.bytes_max = INPUT_BYTES_MAX, .resize = resize_memory}};
    twi_ws_deflater_init(&c.deflater, &params, (uint8_t)(data[1] >> 3) % 10, resize_memory, NULL);
    twi_ws_inflater_init(&c.inflater, &params, resize_memory, NULL);
    const twi_ws_reader_config config = {.role = c.masked ? TWI_WS_SERVER : TWI_WS_CLIENT, .deflate = c.deflate};
    twi_ws_reader_init(&c.reader, &config);
    for (size_t at = 3; at < size;) {
        size_t len = next_random(&c, (uint32_t)(size - at) + 1);
        check_message(&c, data + at, len);
        at += len > 0 ? len : 1;
    }
    twi_ws_deflater_fini(&c.deflater);
    twi_ws_inflater_fini(&c.inflater);
    twi_ws_message_fini(&c.packed);
    twi_ws_message_fini(&c.message);
    return 0;
}
