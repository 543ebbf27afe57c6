/* link.h - the test's end of a WebSocket connection: a blocking socket with a time limit, frames in and out as the test
 * wants them, also wrong ones. Every failure of the socket ends the test. Non-goals: speed. */
#ifndef TWT_LINK_H
#define TWT_LINK_H

#include <sys/socket.h>

#include "engine/proto/ws_deflate.h"
#include "engine/proto/ws_handshake.h"
#include "tests/unit/ws_support.h"

/* macOS has no such flag; the mains of these tests ignore SIGPIPE. */
#ifndef MSG_NOSIGNAL
#define MSG_NOSIGNAL 0
#endif

enum { TWT_LINK_INPUT_BYTES = 65536, TWT_LINK_MESSAGE_BYTES_MAX = 64 << 20 };

typedef struct twt_link {
    int fd;
    uint8_t role; /* ours */
    bool deflate;
    twi_ws_reader reader;
    twi_ws_inflater inflater;
    twi_ws_deflater deflater;
    twi_ws_message message; /* the last one received, inflated */
    twi_ws_message packed;
    twi_ws_control control;   /* the last control frame received */
    twi_http_request request; /* server's role: what was asked for */
    uint8_t input[TWT_LINK_INPUT_BYTES];
    size_t input_at;
    size_t input_len;
    uint64_t seed; /* of masks */
} twt_link;

/* Connects to 127.0.0.1. */
int twt_dial(uint16_t port);
/* Listens there on a free port. */
int twt_listen(uint16_t *port);
/* Waits for a connection. */
int twt_accept(int listener);

/* Takes fd over, and does the opening handshake as a client. extensions: an offer, NULL for none; the answer must fit.
 * */
void twt_link_open_client(twt_link *link, int fd, const char *extensions, const twi_ws_deflate_policy *policy);
/* The same as a server; accepts a deflate offer if policy is not NULL. */
void twt_link_open_server(twt_link *link, int fd, const twi_ws_deflate_policy *policy);
void twt_link_close(twt_link *link);

void twt_link_send_bytes(twt_link *link, const void *data, size_t len);
/* The bytes of a frame, masked if our role says so, into out; returns their number. */
size_t twt_link_frame(twt_link *link, uint8_t *out, uint8_t first_byte, const void *payload, size_t len);
/* One frame; first_byte is FIN, RSV and opcode. */
void twt_link_send_frame(twt_link *link, uint8_t first_byte, const void *payload, size_t len);
/* One message, compressed if that was agreed, in fragments of at most fragment_bytes (0: one frame). */
void twt_link_send_message(twt_link *link, uint8_t opcode, const void *data, size_t len, size_t fragment_bytes);

/* What came next: TWI_WS_TEXT, TWI_WS_BINARY (in link->message), a control opcode (in link->control), or TWT_LINK_END.
 *                 */
enum { TWT_LINK_END = 0 };
uint8_t twt_link_receive(twt_link *link);
/* The next one is this message. */
void twt_link_expect_message(twt_link *link, uint8_t opcode, const void *data, size_t len);
/* Messages are passed over until a close frame with this code (0: without) comes; then the connection must end. */
void twt_link_expect_close(twt_link *link, uint16_t code);

#endif
