/* ws.h - WebSocket framing (RFC 6455), both roles: frame headers out, pieces of messages in.
 *
 * Job:       twi_ws_header_write and friends make frames; twi_ws_reader takes received bytes cut anywhere, unmasks
 *            them in place and hands out pieces of messages and control frames, every rule of the RFC checked.
 * Usage:     twi_ws_piece piece; while ((status = twi_ws_read(&reader, &cursor, end, &piece)) == TW_OK)
 *            use(&piece); TW_NEED_MORE: all bytes are used, come back with more. TW_CLOSED: the close frame was
 *            read, nothing after it counts. Anything else: send a close frame with
 *            twi_ws_error_close_code(reader.error) and end the connection.
 * Memory:    a reader is 64 bytes and buffers no payload; a piece points into the caller's bytes.
 * Thread:    pure functions over the caller's state. No I/O, no clock, no allocation.
 * Non-goals: the handshake (ws_handshake.h), compression (ws_deflate.h; RSV1 is only carried here). */
#ifndef TWI_WS_H
#define TWI_WS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/proto/utf8.h"
#include "tickwire/status.h"

typedef enum twi_ws_opcode {
    TWI_WS_CONTINUATION = 0,
    TWI_WS_TEXT = 1,
    TWI_WS_BINARY = 2,
    TWI_WS_CLOSE = 8,
    TWI_WS_PING = 9,
    TWI_WS_PONG = 10
} twi_ws_opcode;

/* RFC 6455 section 7.4.1; 4000..4999 are the application's (the wire protocol lists Tickwire's). */
typedef enum twi_ws_close_code {
    TWI_WS_CODE_NORMAL = 1000,
    TWI_WS_CODE_GOING_AWAY = 1001,
    TWI_WS_CODE_PROTOCOL_ERROR = 1002,
    TWI_WS_CODE_UNSUPPORTED = 1003,
    TWI_WS_CODE_NONE = 1005, /* never on the wire: the close frame had no code */
    TWI_WS_CODE_BAD_DATA = 1007,
    TWI_WS_CODE_POLICY = 1008,
    TWI_WS_CODE_TOO_BIG = 1009,
    TWI_WS_CODE_INTERNAL = 1011
} twi_ws_close_code;

enum {
    TWI_WS_HEADER_BYTES_MAX = 14,
    TWI_WS_CONTROL_PAYLOAD_MAX = 125, /* RFC 6455 section 5.5 */
    TWI_WS_CONTROL_FRAME_MAX = 6 + TWI_WS_CONTROL_PAYLOAD_MAX,
    TWI_WS_REASON_BYTES_MAX = TWI_WS_CONTROL_PAYLOAD_MAX - 2
};

/* ---- writing ---- */

/* Bytes that the header of such a frame takes: 2, 4 or 10, and 4 more with a mask. */
static inline size_t twi_ws_header_bytes(uint64_t payload_len, bool masked)
{
    return (payload_len < 126 ? 2u : payload_len <= 0xFFFF ? 4u : 10u) + (masked ? 4u : 0u);
}

/* Writes a frame header and returns its length (twi_ws_header_bytes; out holds TWI_WS_HEADER_BYTES_MAX or that).
 * mask: 4 bytes for a client's frame, whose payload must then be masked with twi_ws_mask; NULL for a server's frame. */
size_t twi_ws_header_write(uint8_t *out, uint8_t opcode, bool fin, bool rsv1, uint64_t payload_len,
                           const uint8_t *mask);

/* XORs data with the mask; `phase` is the number of payload bytes before data. Masks and unmasks alike. */
void twi_ws_mask(uint8_t *data, size_t len, const uint8_t mask[4], uint64_t phase);

/* A whole ping, pong or close frame, masked if mask is given. payload_len <= 125, out holds TWI_WS_CONTROL_FRAME_MAX.
 */
size_t twi_ws_control_write(uint8_t *out, uint8_t opcode, const uint8_t *payload, size_t payload_len,
                            const uint8_t *mask);

/* A whole close frame. code 0 or TWI_WS_CODE_NONE: without code and reason. A reason that is too long is cut between
 * characters; NULL: none. out holds TWI_WS_CONTROL_FRAME_MAX. */
size_t twi_ws_close_write(uint8_t *out, uint16_t code, const char *reason, const uint8_t *mask);

/* May this code stand in a close frame? (RFC 6455 section 7.4: 1000-1003, 1007-1014, 3000-4999.) */
bool twi_ws_close_code_valid(uint16_t code);

/* ---- reading ---- */

typedef enum twi_ws_error {
    TWI_WS_ERROR_NONE = 0,
    TWI_WS_ERROR_RESERVED_BITS,    /* RSV2, RSV3, or RSV1 where it has no meaning */
    TWI_WS_ERROR_OPCODE,           /* 3-7, 11-15 */
    TWI_WS_ERROR_NOT_MASKED,       /* a client's frame without mask */
    TWI_WS_ERROR_MASKED,           /* a server's frame with mask */
    TWI_WS_ERROR_CONTROL_LENGTH,   /* control frame over 125 bytes */
    TWI_WS_ERROR_CONTROL_FRAGMENT, /* control frame without FIN */
    TWI_WS_ERROR_LENGTH_ENCODING,  /* not the shortest form, or the top bit of 64 is set */
    TWI_WS_ERROR_NO_MESSAGE,       /* continuation, but nothing to continue */
    TWI_WS_ERROR_IN_MESSAGE,       /* new message inside of a fragmented one */
    TWI_WS_ERROR_CLOSE_PAYLOAD,    /* one byte */
    TWI_WS_ERROR_CLOSE_CODE,       /* a code that must not be sent */
    TWI_WS_ERROR_UTF8,             /* text or close reason: 1007 */
    TWI_WS_ERROR_TOO_BIG,          /* message_bytes_max: 1009 */
    TWI_WS_ERROR_FRAGMENTS,        /* fragment_count_max: 1009 */
    TWI_WS_ERROR_INFLATE,          /* reported by ws_deflate.h users: the compressed data is bad: 1007 */
    TWI_WS_ERROR_COUNT
} twi_ws_error;

/* A short text for the close frame, the log and the counters. Static storage. */
const char *twi_ws_error_reason(uint8_t error);
/* 1002, 1007 or 1009. */
uint16_t twi_ws_error_close_code(uint8_t error);

typedef enum twi_ws_role { TWI_WS_SERVER = 0, TWI_WS_CLIENT = 1 } twi_ws_role;

typedef struct twi_ws_reader_config {
    uint64_t message_bytes_max;  /* all fragments together, an eighth more if compressed; 0: no limit */
    uint32_t fragment_count_max; /* frames of one message; 0: no limit */
    uint8_t role;                /* twi_ws_role: who we are; frames come from the other one */
    uint8_t deflate;             /* 1: permessage-deflate was negotiated, RSV1 marks a compressed message */
} twi_ws_reader_config;

enum {
    TWI_WS_FIRST = 1u << 0,     /* first piece of its message or control frame */
    TWI_WS_LAST = 1u << 1,      /* last piece: the message or control frame is complete */
    TWI_WS_COMPRESSED = 1u << 2 /* message with RSV1: inflate it, then check UTF-8 if it is text */
};

/* Part of a message (opcode TEXT or BINARY, also for its continuation frames) or of a control frame. A piece without
 * FIRST or LAST is never empty. Control frames may come between the pieces of a message. */
typedef struct twi_ws_piece {
    uint8_t *data; /* unmasked, in the caller's buffer */
    size_t len;
    uint8_t opcode;
    uint8_t flags;
} twi_ws_piece;

typedef struct twi_ws_reader {
    uint64_t payload_left;      /* of the current frame, while it is in its payload */
    uint64_t message_bytes;     /* of the current message, with the whole of the current frame */
    uint64_t message_bytes_max; /* 0 in the configuration becomes UINT64_MAX */
    uint32_t fragment_count;
    uint32_t fragment_count_max;
    uint8_t header[TWI_WS_HEADER_BYTES_MAX]; /* of the current frame; ends with its mask */
    uint8_t header_len;
    uint8_t header_need;
    uint8_t mask_phase; /* payload bytes of the frame so far, modulo 4 */
    uint8_t role;
    uint8_t flags;          /* ws.c's own */
    uint8_t message_opcode; /* 0: no message is open */
    uint8_t error;          /* twi_ws_error; sticky */
    uint8_t close_len;      /* bytes of the close payload seen */
    uint16_t close_code;    /* received; TWI_WS_CODE_NONE if the close frame had none; 0 before */
    twi_utf8 utf8;          /* of the open text message */
    twi_utf8 control_utf8;  /* of the close reason */
} twi_ws_reader;

_Static_assert(sizeof(twi_ws_reader) <= 64, "an idle connection is to stay small");

void twi_ws_reader_init(twi_ws_reader *reader, const twi_ws_reader_config *config);

/* Takes bytes from *cursor on, moves *cursor behind what it used. TW_OK: *piece is set; call again. TW_NEED_MORE:
 * *cursor is end. TW_MALFORMED, TW_TOO_BIG: reader->error says what; stays so. TW_CLOSED: the close frame is behind us.
 */
tw_status twi_ws_read(twi_ws_reader *reader, uint8_t **cursor, uint8_t *end, twi_ws_piece *piece);

/* The application's own verdict on a message (for example after inflating): the reader fails with it from now on. */
void twi_ws_reader_fail(twi_ws_reader *reader, uint8_t error);

/* ---- whole messages and control frames, for callers that want them ---- */

/* Collects the pieces of control frames: 125 bytes at most. */
typedef struct twi_ws_control {
    uint8_t opcode;
    uint8_t payload_len;
    uint8_t payload[TWI_WS_CONTROL_PAYLOAD_MAX];
} twi_ws_control;

/* true: *control now holds the whole frame. */
bool twi_ws_control_add(twi_ws_control *control, const twi_ws_piece *piece);

/* realloc-like: old NULL allocates, new_bytes 0 frees and returns NULL; NULL otherwise: no memory, old stays. */
typedef void *(*twi_resize_fn)(void *owner, void *old, size_t new_bytes);

typedef struct twi_ws_message {
    uint8_t *data; /* the caller's buffer, or what resize gave */
    size_t len;
    size_t cap;
    size_t bytes_max;     /* cap never grows over it */
    twi_resize_fn resize; /* NULL: the buffer is fixed */
    void *resize_owner;
    uint8_t opcode;
    uint8_t flags; /* TWI_WS_COMPRESSED */
} twi_ws_message;

/* Adds a piece of a message; FIRST starts a new one. TW_OK: complete in data[0..len). TW_NEED_MORE: not yet.
 * TW_TOO_BIG: over bytes_max (or cap, if fixed). TW_NO_MEMORY: resize refused. */
tw_status twi_ws_message_add(twi_ws_message *message, const twi_ws_piece *piece);
/* Makes room for at least `bytes` in all; same errors. */
tw_status twi_ws_message_reserve(twi_ws_message *message, size_t bytes);
/* Gives the memory back, if resize is set. */
void twi_ws_message_fini(twi_ws_message *message);

/* ---- the close handshake (RFC 6455 section 7) ---- */

typedef struct twi_ws_closing {
    uint8_t sent; /* our close frame is on its way: no other frame may follow it */
    uint8_t received;
    uint8_t failed; /* a protocol error ended it: nothing more is read */
} twi_ws_closing;

typedef enum twi_ws_close_step {
    TWI_WS_STEP_NONE = 0,  /* go on (after sent: wait for the peer's close frame, with a deadline) */
    TWI_WS_STEP_REPLY,     /* send a close frame with twi_ws_close_reply_code, then ask again */
    TWI_WS_STEP_SHUT,      /* server: flush, then end the TCP connection at once */
    TWI_WS_STEP_AWAIT_PEER /* client: the server ends the TCP connection; end it after a deadline */
} twi_ws_close_step;

/* What is to be done now, from what was sent and received. */
twi_ws_close_step twi_ws_close_next(const twi_ws_closing *closing, uint8_t role);
/* The code to answer a received one with: the same, or none if it had none. */
static inline uint16_t twi_ws_close_reply_code(uint16_t received_code)
{
    return received_code == TWI_WS_CODE_NONE ? 0 : received_code;
}

#endif
