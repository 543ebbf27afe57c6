/* ws_reader_fuzz.c - any bytes as received frames: all at once and cut as the input says give the same pieces.
 * Input: byte 0 configuration, byte 1 seed of the cuts, then the frames. */
#include <stdlib.h>
#include <string.h>

#include "engine/base/assert.h"
#include "engine/proto/ws.h"

enum { INPUT_BYTES_MAX = 1 << 16, MESSAGE_BYTES_MAX = 5000, FRAGMENTS_MAX = 40 };

typedef struct outcome {
    uint64_t hash;
    uint64_t count; /* of whole messages and control frames */
    size_t used;
    tw_status status;
    uint8_t error;
} outcome;

static void add_bytes(outcome *o, const uint8_t *data, size_t len)
{
    for (size_t i = 0; i < len; i++)
        o->hash = (o->hash ^ data[i]) * 0x100000001B3u;
}

static void take_piece(outcome *o, const twi_ws_piece *piece, twi_ws_message *message, twi_ws_control *control)
{
    if (piece->opcode >= TWI_WS_CLOSE) {
        if (!twi_ws_control_add(control, piece))
            return;
        add_bytes(o, &control->opcode, 1);
        add_bytes(o, control->payload, control->payload_len);
        o->count++;
        return;
    }
    tw_status status = twi_ws_message_add(message, piece);
    TWI_ASSERT(status == TW_OK || status == TW_NEED_MORE);
    if (status != TW_OK)
        return;
    add_bytes(o, &message->opcode, 1);
    add_bytes(o, message->data, message->len);
    if (message->opcode == TWI_WS_TEXT && (message->flags & TWI_WS_COMPRESSED) == 0)
        TWI_ASSERT(twi_utf8_valid(message->data, message->len));
    o->count++;
}

/* step_seed 0: in one go. Each step ends where its allocation ends. */
static outcome read_all(const uint8_t *data, size_t size, const twi_ws_reader_config *config, uint8_t step_seed)
{
    static uint8_t buffer[MESSAGE_BYTES_MAX + MESSAGE_BYTES_MAX / 8 + 64]; /* what a compressed one may take */
    outcome o = {.hash = 0xCBF29CE484222325u};
    twi_ws_message message = {.data = buffer, .cap = sizeof(buffer)};
    twi_ws_control control = {0};
    twi_ws_reader reader;
    twi_ws_reader_init(&reader, config);
    uint32_t random = step_seed;
    size_t at = 0;
    do {
        random = random * 1664525u + 1013904223u;
        size_t step = step_seed == 0 ? size : 1 + (random >> 24) % 64;
        step = step < size - at ? step : size - at;
        uint8_t *copy = malloc(step > 0 ? step : 1);
        TWI_ASSERT(copy != NULL);
        memcpy(copy, data + at, step);
        uint8_t *cursor = copy;
        twi_ws_piece piece;
        while ((o.status = twi_ws_read(&reader, &cursor, copy + step, &piece)) == TW_OK)
            take_piece(&o, &piece, &message, &control);
        o.used += (size_t)(cursor - copy);
        free(copy);
        at += step;
    } while (at < size && o.status == TW_NEED_MORE);
    o.error = reader.error;
    TWI_ASSERT((o.error != 0) == (o.status == TW_MALFORMED || o.status == TW_TOO_BIG));
    TWI_ASSERT(o.status != TW_NEED_MORE || o.used == size);
    return o;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2 || size > INPUT_BYTES_MAX)
        return 0;
    const twi_ws_reader_config config = {
        .message_bytes_max = MESSAGE_BYTES_MAX,
        .fragment_count_max = FRAGMENTS_MAX,
        .role = data[0] & 1,
        .deflate = data[0] >> 1 & 1,
    };
    outcome whole = read_all(data + 2, size - 2, &config, 0);
    outcome parts = read_all(data + 2, size - 2, &config, data[1] | 1);
    TWI_ASSERT(whole.status == parts.status && whole.error == parts.error);
    /* A payload that is refused for what it says is refused as far as it has come. */
    bool in_payload = whole.error == TWI_WS_ERROR_UTF8 || whole.error == TWI_WS_ERROR_CLOSE_CODE;
    TWI_ASSERT(in_payload ? whole.used >= parts.used : whole.used == parts.used);
    TWI_ASSERT(whole.count == parts.count && whole.hash == parts.hash);
    return 0;
}
