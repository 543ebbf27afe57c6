/* ws_deflate.h - permessage-deflate (RFC 7692): negotiation for both roles, messages in and out over zlib.
 *
 * Negotiate: server: twi_ws_deflate_accept on the parsed request, its answer into twi_ws_accept_write. Client:
 *            twi_ws_deflate_offer_write into the request, twi_ws_deflate_confirm on the server's answer.
 * Messages:  a deflater makes the payload of one whole message (send it with RSV1 on its first frame); an inflater
 *            takes the pieces of a reader as they come and appends to a twi_ws_message, whose bytes_max is the limit
 *            against bombs.
 * Sharing:   without context takeover a deflater or inflater holds nothing between messages and may serve many
 *            connections.
 * Memory:    from the caller's resize function, taken at the first message and given back by fini. About 256 KiB for a
 *            deflater of 15 bits, 40 KiB for an inflater (zlib's figures).
 * Thread:    one at a time per object. */
#ifndef TWI_WS_DEFLATE_H
#define TWI_WS_DEFLATE_H

#include "engine/proto/http.h"
#include "engine/proto/ws.h"

enum {
    TWI_WS_WINDOW_BITS_MIN = 8, /* RFC 7692 section 7.1.2 */
    TWI_WS_WINDOW_BITS_MAX = 15,
    TWI_WS_DEFLATE_HEADER_BYTES = 320 /* room for an offer or an answer with its zero */
};

/* What this side wants. "own" is what we send, "peer" what we receive. */
typedef struct twi_ws_deflate_policy {
    uint8_t own_window_bits_min;   /* a peer that allows us less is declined; 0: 8 */
    uint8_t own_window_bits_max;   /* we never use more; 0: 15 */
    uint8_t peer_window_bits_max;  /* the peer is asked to stay within, where it can be asked; 0: 15 */
    bool own_no_context_takeover;  /* we promise to reset after each message, asked or not */
    bool peer_no_context_takeover; /* the peer is asked to reset after each message */
    bool second_offer;             /* client: offers client_no_context_takeover as the second choice, for a server that
                                    * insists on it and asks only for what was offered */
} twi_ws_deflate_policy;

/* What was agreed. */
typedef struct twi_ws_deflate_params {
    uint8_t own_window_bits;
    uint8_t peer_window_bits;
    bool own_no_context_takeover;
    bool peer_no_context_takeover;
} twi_ws_deflate_params;

/* Server: takes the first offer that is well formed and within the policy. TW_OK: *params and the zero-terminated
 * header value in answer. TW_EMPTY: none was offered, or none can be accepted: go on without. answer_cap at least
 * TWI_WS_DEFLATE_HEADER_BYTES. */
tw_status twi_ws_deflate_accept(const twi_http_request *request, const twi_ws_deflate_policy *policy,
                                twi_ws_deflate_params *params, char *answer, size_t answer_cap);

/* Client: the header value of an offer, zero-terminated. out_cap at least TWI_WS_DEFLATE_HEADER_BYTES. Returns its
 * length. */
size_t twi_ws_deflate_offer_write(const twi_ws_deflate_policy *policy, char *out, size_t out_cap);

/* Client: checks the server's answer (answer.extensions of twi_ws_response_check) against the offer of that policy.
 * TW_OK: *params. TW_EMPTY: declined, go on without. TW_MALFORMED: fail the connection (RFC 7692 section 5). */
tw_status twi_ws_deflate_confirm(twi_slice answer, const twi_ws_deflate_policy *policy, twi_ws_deflate_params *params);

/* ---- out ---- */

typedef struct twi_ws_deflater {
    void *stream; /* NULL until the first message */
    twi_resize_fn resize;
    void *resize_owner;
    uint8_t window_bits;
    uint8_t level; /* zlib's, 1..9 */
    bool no_context_takeover;
    bool broken;
} twi_ws_deflater;

/* level 1 (fast) .. 9; 0: zlib's default. resize stays in use until fini. */
void twi_ws_deflater_init(twi_ws_deflater *deflater, const twi_ws_deflate_params *params, uint8_t level,
                          twi_resize_fn resize, void *resize_owner);
/* Compresses one message; its payload replaces out->data[0..out->len). TW_OK. TW_TOO_BIG, TW_NO_MEMORY: out did not
 * suffice; with context takeover the connection cannot go on compressed (the same error from then on). */
tw_status twi_ws_deflate_message(twi_ws_deflater *deflater, const uint8_t *data, size_t len, twi_ws_message *out);
void twi_ws_deflater_fini(twi_ws_deflater *deflater);

/* ---- in ---- */

typedef struct twi_ws_inflater {
    void *stream; /* NULL until the first message */
    twi_resize_fn resize;
    void *resize_owner;
    uint8_t window_bits;
    bool no_context_takeover;
    bool ended;    /* a final block ended the DEFLATE stream at this place of the message */
    uint8_t error; /* twi_ws_error after a failure: for twi_ws_reader_fail */
    twi_utf8 utf8; /* of the open text message */
} twi_ws_inflater;

void twi_ws_inflater_init(twi_ws_inflater *inflater, const twi_ws_deflate_params *params, twi_resize_fn resize,
                          void *resize_owner);
/* Inflates one piece with TWI_WS_COMPRESSED behind what *out holds (FIRST empties it). UTF-8 of text messages is
 * checked as it comes out. TW_OK: the message is complete. TW_NEED_MORE. TW_TOO_BIG: over out->bytes_max: 1009.
 * TW_MALFORMED: bad data or bad UTF-8: 1007. TW_NO_MEMORY: 1011. */
tw_status twi_ws_inflate_piece(twi_ws_inflater *inflater, const twi_ws_piece *piece, twi_ws_message *out);
void twi_ws_inflater_fini(twi_ws_inflater *inflater);

#endif
