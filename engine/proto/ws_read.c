/* ws_read.c - frames in: the incremental reader. Each rule is checked on the byte that breaks it, not later. */
#include <string.h>

#include "engine/base/assert.h"
#include "engine/base/compiler.h"
#include "engine/proto/ws.h"

enum { COMPRESSED_SLACK_BYTES = 64 };
enum { FIN = 0x80, RSV1 = 0x40, RSV23 = 0x30, OPCODE = 0x0F, MASK = 0x80, LEN = 0x7F };

/* reader->flags */
enum {
    DEFLATE = 1u << 0,    /* RSV1 may start a message */
    IN_PAYLOAD = 1u << 1, /* the header is complete */
    PIECE_OWED = 1u << 2, /* the first piece of the message was not handed out yet */
    RSV1_SET = 1u << 3,   /* the open message is compressed */
    CLOSED = 1u << 4,     /* the close frame was read */
    CONTROL_FIRST = 1u << 5
};

static const struct {
    const char *reason;
    uint16_t close_code;
} errors[TWI_WS_ERROR_COUNT] = {
    [TWI_WS_ERROR_NONE] = {"none", TWI_WS_CODE_NORMAL},
    [TWI_WS_ERROR_RESERVED_BITS] = {"reserved bit set", TWI_WS_CODE_PROTOCOL_ERROR},
    [TWI_WS_ERROR_OPCODE] = {"unknown opcode", TWI_WS_CODE_PROTOCOL_ERROR},
    [TWI_WS_ERROR_NOT_MASKED] = {"client frame not masked", TWI_WS_CODE_PROTOCOL_ERROR},
    [TWI_WS_ERROR_MASKED] = {"server frame masked", TWI_WS_CODE_PROTOCOL_ERROR},
    [TWI_WS_ERROR_CONTROL_LENGTH] = {"control frame over 125 bytes", TWI_WS_CODE_PROTOCOL_ERROR},
    [TWI_WS_ERROR_CONTROL_FRAGMENT] = {"control frame fragmented", TWI_WS_CODE_PROTOCOL_ERROR},
    [TWI_WS_ERROR_LENGTH_ENCODING] = {"bad length encoding", TWI_WS_CODE_PROTOCOL_ERROR},
    [TWI_WS_ERROR_NO_MESSAGE] = {"nothing to continue", TWI_WS_CODE_PROTOCOL_ERROR},
    [TWI_WS_ERROR_IN_MESSAGE] = {"message inside of a message", TWI_WS_CODE_PROTOCOL_ERROR},
    [TWI_WS_ERROR_CLOSE_PAYLOAD] = {"close payload of one byte", TWI_WS_CODE_PROTOCOL_ERROR},
    [TWI_WS_ERROR_CLOSE_CODE] = {"bad close code", TWI_WS_CODE_PROTOCOL_ERROR},
    [TWI_WS_ERROR_UTF8] = {"bad UTF-8", TWI_WS_CODE_BAD_DATA},
    [TWI_WS_ERROR_TOO_BIG] = {"message too big", TWI_WS_CODE_TOO_BIG},
    [TWI_WS_ERROR_FRAGMENTS] = {"too many fragments", TWI_WS_CODE_TOO_BIG},
    [TWI_WS_ERROR_INFLATE] = {"bad compressed data", TWI_WS_CODE_BAD_DATA},
};

const char *twi_ws_error_reason(uint8_t error)
{
    return error < TWI_WS_ERROR_COUNT ? errors[error].reason : "unknown";
}

uint16_t twi_ws_error_close_code(uint8_t error)
{
    return error < TWI_WS_ERROR_COUNT ? errors[error].close_code : (uint16_t)TWI_WS_CODE_INTERNAL;
}

void twi_ws_reader_init(twi_ws_reader *reader, const twi_ws_reader_config *config)
{
    *reader = (twi_ws_reader){
        .message_bytes_max = config->message_bytes_max != 0 ? config->message_bytes_max : UINT64_MAX,
        .fragment_count_max = config->fragment_count_max != 0 ? config->fragment_count_max : UINT32_MAX,
        .role = config->role,
        .flags = config->deflate ? DEFLATE : 0,
        .header_need = 2,
    };
}

static tw_status error_status(uint8_t error)
{
    return twi_ws_error_close_code(error) == TWI_WS_CODE_TOO_BIG ? TW_TOO_BIG : TW_MALFORMED;
}

void twi_ws_reader_fail(twi_ws_reader *reader, uint8_t error)
{
    if (reader->error == TWI_WS_ERROR_NONE)
        reader->error = error;
}

static bool is_control(uint8_t opcode)
{
    return (opcode & 0x08) != 0;
}

/* Byte 0: FIN, RSV, opcode, and whether such a frame may come now. */
static twi_ws_error check_first_byte(const twi_ws_reader *reader, uint8_t byte)
{
    uint8_t opcode = byte & OPCODE;
    if ((opcode > TWI_WS_BINARY && opcode < TWI_WS_CLOSE) || opcode > TWI_WS_PONG)
        return TWI_WS_ERROR_OPCODE;
    /* RFC 7692 section 6.1: RSV1 only on the first frame of a message. */
    bool rsv1_allowed = (reader->flags & DEFLATE) != 0 && (opcode == TWI_WS_TEXT || opcode == TWI_WS_BINARY);
    if ((byte & RSV23) != 0 || ((byte & RSV1) != 0 && !rsv1_allowed))
        return TWI_WS_ERROR_RESERVED_BITS;
    if (is_control(opcode))
        return (byte & FIN) != 0 ? TWI_WS_ERROR_NONE : TWI_WS_ERROR_CONTROL_FRAGMENT;
    if (opcode == TWI_WS_CONTINUATION)
        return reader->message_opcode != 0 ? TWI_WS_ERROR_NONE : TWI_WS_ERROR_NO_MESSAGE;
    return reader->message_opcode == 0 ? TWI_WS_ERROR_NONE : TWI_WS_ERROR_IN_MESSAGE;
}

/* Byte 1: mask bit and short length; says how long the header is. */
static twi_ws_error check_second_byte(twi_ws_reader *reader, uint8_t byte)
{
    bool masked = (byte & MASK) != 0;
    if (masked != (reader->role == TWI_WS_SERVER))
        return masked ? TWI_WS_ERROR_MASKED : TWI_WS_ERROR_NOT_MASKED;
    uint8_t len = byte & LEN;
    uint8_t opcode = reader->header[0] & OPCODE;
    if (is_control(opcode) && len > TWI_WS_CONTROL_PAYLOAD_MAX)
        return TWI_WS_ERROR_CONTROL_LENGTH;
    if (opcode == TWI_WS_CLOSE && len == 1)
        return TWI_WS_ERROR_CLOSE_PAYLOAD;
    reader->header_need = (uint8_t)(2 + (len == 126 ? 2 : len == 127 ? 8 : 0) + (masked ? 4 : 0));
    return TWI_WS_ERROR_NONE;
}

static uint64_t header_payload_len(const uint8_t *header)
{
    uint8_t len = header[1] & LEN;
    if (len < 126)
        return len;
    uint64_t value = 0;
    size_t len_bytes = len == 126 ? 2 : 8;
    for (size_t i = 0; i < len_bytes; i++)
        value = value << 8 | header[2 + i];
    return value;
}

/* RFC 6455 section 5.2: the minimal number of bytes must be used, and the most significant bit must be 0. */
static bool length_encoding_valid(const uint8_t *header, uint64_t payload_len)
{
    uint8_t len = header[1] & LEN;
    if (len == 126)
        return payload_len >= 126;
    if (len == 127)
        return payload_len > 0xFFFF && payload_len >> 63 == 0;
    return true;
}

/* What the message may take on the wire. Data that does not compress grows a little by it; an eighth is what fixed
 * codes cost at worst. The inflater has the exact limit. */
static uint64_t wire_bytes_max(const twi_ws_reader *reader)
{
    uint64_t limit = reader->message_bytes_max;
    uint64_t slack = limit / 8 + COMPRESSED_SLACK_BYTES;
    return (reader->flags & RSV1_SET) != 0 && limit <= UINT64_MAX - slack ? limit + slack : limit;
}

static twi_ws_error begin_message_frame(twi_ws_reader *reader, uint64_t payload_len)
{
    uint8_t opcode = reader->header[0] & OPCODE;
    if (opcode != TWI_WS_CONTINUATION) {
        reader->message_opcode = opcode;
        reader->message_bytes = 0;
        reader->fragment_count = 0;
        reader->utf8 = (twi_utf8){0};
        reader->flags = (uint8_t)((reader->flags & ~RSV1_SET) | PIECE_OWED);
        if ((reader->header[0] & RSV1) != 0)
            reader->flags |= RSV1_SET;
    }
    if (payload_len > wire_bytes_max(reader) - reader->message_bytes)
        return TWI_WS_ERROR_TOO_BIG;
    if (reader->fragment_count == reader->fragment_count_max)
        return TWI_WS_ERROR_FRAGMENTS;
    reader->message_bytes += payload_len;
    reader->fragment_count++;
    return TWI_WS_ERROR_NONE;
}

static twi_ws_error begin_payload(twi_ws_reader *reader)
{
    uint64_t payload_len = header_payload_len(reader->header);
    if (!length_encoding_valid(reader->header, payload_len))
        return TWI_WS_ERROR_LENGTH_ENCODING;
    reader->payload_left = payload_len;
    reader->mask_phase = 0;
    reader->flags |= IN_PAYLOAD;
    if (!is_control(reader->header[0] & OPCODE))
        return begin_message_frame(reader, payload_len);
    reader->flags |= CONTROL_FIRST;
    if ((reader->header[0] & OPCODE) == TWI_WS_CLOSE) {
        reader->close_len = 0;
        reader->close_code = TWI_WS_CODE_NONE;
        reader->control_utf8 = (twi_utf8){0};
    }
    return TWI_WS_ERROR_NONE;
}

/* One byte of the header. The length is checked as soon as it is there, before the mask. */
static twi_ws_error take_header_byte(twi_ws_reader *reader, uint8_t byte)
{
    reader->header[reader->header_len++] = byte;
    if (reader->header_len == 1)
        return check_first_byte(reader, byte);
    if (reader->header_len == 2) {
        twi_ws_error error = check_second_byte(reader, byte);
        if (error != TWI_WS_ERROR_NONE)
            return error;
    }
    return reader->header_len == reader->header_need ? begin_payload(reader) : TWI_WS_ERROR_NONE;
}

static void end_frame(twi_ws_reader *reader)
{
    reader->header_len = 0;
    reader->header_need = 2;
    reader->flags &= (uint8_t)~IN_PAYLOAD;
}

static twi_ws_error check_close_payload(twi_ws_reader *reader, const twi_ws_piece *piece)
{
    size_t i = 0;
    for (; i < piece->len && reader->close_len < 2; i++) {
        if (reader->close_len++ == 0) {
            reader->close_code = (uint16_t)(piece->data[i] << 8);
            continue;
        }
        reader->close_code |= piece->data[i];
        if (!twi_ws_close_code_valid(reader->close_code))
            return TWI_WS_ERROR_CLOSE_CODE;
    }
    if (!twi_utf8_feed(&reader->control_utf8, piece->data + i, piece->len - i))
        return TWI_WS_ERROR_UTF8;
    if ((piece->flags & TWI_WS_LAST) == 0)
        return TWI_WS_ERROR_NONE;
    reader->flags |= CLOSED;
    return twi_utf8_complete(&reader->control_utf8) ? TWI_WS_ERROR_NONE : TWI_WS_ERROR_UTF8;
}

static twi_ws_error finish_control_piece(twi_ws_reader *reader, twi_ws_piece *piece)
{
    piece->opcode = reader->header[0] & OPCODE;
    piece->flags = (uint8_t)(((reader->flags & CONTROL_FIRST) != 0 ? TWI_WS_FIRST : 0) |
                             (reader->payload_left == 0 ? TWI_WS_LAST : 0));
    reader->flags &= (uint8_t)~CONTROL_FIRST;
    return piece->opcode == TWI_WS_CLOSE ? check_close_payload(reader, piece) : TWI_WS_ERROR_NONE;
}

static twi_ws_error finish_message_piece(twi_ws_reader *reader, twi_ws_piece *piece)
{
    bool last = reader->payload_left == 0 && (reader->header[0] & FIN) != 0;
    piece->opcode = reader->message_opcode;
    piece->flags = (uint8_t)(((reader->flags & PIECE_OWED) != 0 ? TWI_WS_FIRST : 0) | (last ? TWI_WS_LAST : 0) |
                             ((reader->flags & RSV1_SET) != 0 ? TWI_WS_COMPRESSED : 0));
    if (piece->opcode == TWI_WS_TEXT && (piece->flags & TWI_WS_COMPRESSED) == 0) {
        if (!twi_utf8_feed(&reader->utf8, piece->data, piece->len) || (last && !twi_utf8_complete(&reader->utf8)))
            return TWI_WS_ERROR_UTF8;
    }
    reader->flags &= (uint8_t)~PIECE_OWED;
    if (last)
        reader->message_opcode = 0;
    return TWI_WS_ERROR_NONE;
}

static tw_status take_payload(twi_ws_reader *reader, uint8_t **cursor, uint8_t *end, twi_ws_piece *piece)
{
    size_t here = (size_t)(end - *cursor);
    size_t len = reader->payload_left < here ? (size_t)reader->payload_left : here;
    *piece = (twi_ws_piece){.data = *cursor, .len = len};
    if (reader->role == TWI_WS_SERVER) /* the header ends with the mask */
        twi_ws_mask(piece->data, len, reader->header + reader->header_need - 4, reader->mask_phase);
    reader->mask_phase = (uint8_t)((reader->mask_phase + len) & 3);
    reader->payload_left -= len;
    *cursor += len;
    twi_ws_error error = is_control(reader->header[0] & OPCODE) ? finish_control_piece(reader, piece)
                                                                : finish_message_piece(reader, piece);
    if (reader->payload_left == 0)
        end_frame(reader);
    if (error == TWI_WS_ERROR_NONE)
        return TW_OK;
    twi_ws_reader_fail(reader, (uint8_t)error);
    return error_status((uint8_t)error);
}

/* An empty piece is worth handing out only if it ends something. */
static bool payload_due(const twi_ws_reader *reader, const uint8_t *cursor, const uint8_t *end)
{
    return cursor < end || reader->payload_left == 0;
}

static bool empty_fragment(const twi_ws_reader *reader)
{
    return reader->payload_left == 0 && (reader->header[0] & FIN) == 0;
}

tw_status twi_ws_read(twi_ws_reader *reader, uint8_t **cursor, uint8_t *end, twi_ws_piece *piece)
{
    TWI_ASSERT(*cursor <= end);
    if (TWI_UNLIKELY(reader->error != TWI_WS_ERROR_NONE))
        return error_status(reader->error);
    if (TWI_UNLIKELY((reader->flags & CLOSED) != 0))
        return TW_CLOSED;
    for (;;) {
        while ((reader->flags & IN_PAYLOAD) == 0) {
            if (*cursor == end)
                return TW_NEED_MORE;
            twi_ws_error error = take_header_byte(reader, *(*cursor)++);
            if (TWI_UNLIKELY(error != TWI_WS_ERROR_NONE)) {
                twi_ws_reader_fail(reader, (uint8_t)error);
                return error_status((uint8_t)error);
            }
        }
        if (empty_fragment(reader)) {
            end_frame(reader);
            continue;
        }
        return payload_due(reader, *cursor, end) ? take_payload(reader, cursor, end, piece) : TW_NEED_MORE;
    }
}
