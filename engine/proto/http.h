/* http.h - HTTP/1.1 heads (RFC 9112): request and response parsing, response writing, queries, chunked bodies.
 *
 * Job:        bytes in, slices out. A head is parsed in one go when it is complete; a prefix says TW_NEED_MORE,
 *             and what is wrong with it already is reported already.
 * Strictness: what two parsers could read differently is refused (request smuggling): bare CR or LF, obs-fold,
 *             blanks before the colon, several Content-Length or Host, Content-Length next to Transfer-Encoding,
 *             control characters.
 * Limits:     line, head and header count; see twi_http_limits. Every refusal has a text and the status to answer
 *             with.
 * Memory:     results are slices into the caller's bytes. No allocation, no I/O.
 * Thread:     any.
 * Non-goals:  bodies other than chunked decoding, multipart, cookies, HTTP/2. */
#ifndef TWI_HTTP_H
#define TWI_HTTP_H

#include "engine/proto/slice.h"
#include "tickwire/status.h"

enum { TWI_HTTP_HEADERS_MAX = 64, TWI_HTTP_LINE_BYTES_MAX = 8192, TWI_HTTP_HEAD_BYTES_MAX = 16384 };

typedef struct twi_http_limits {
    uint32_t line_bytes_max;   /* of the request or status line and of each header line; 0: TWI_HTTP_LINE_BYTES_MAX */
    uint32_t head_bytes_max;   /* of the whole head; 0: TWI_HTTP_HEAD_BYTES_MAX */
    uint32_t header_count_max; /* 0 or more than TWI_HTTP_HEADERS_MAX: TWI_HTTP_HEADERS_MAX */
} twi_http_limits;

typedef struct twi_http_header {
    twi_slice name;  /* as sent; compare with twi_slice_equals_nocase */
    twi_slice value; /* without blanks around it */
} twi_http_header;

/* What requests and responses have in common. */
typedef struct twi_http_fields {
    uint8_t minor_version;   /* HTTP/1.minor: 0 or 1 */
    bool keep_alive;         /* RFC 9112 section 9.3: from version and Connection */
    bool connection_upgrade; /* Connection lists "upgrade" */
    bool has_content_length;
    bool chunked;         /* Transfer-Encoding: chunked */
    bool expect_continue; /* Expect: 100-continue */
    uint32_t header_count;
    uint64_t content_length; /* 0 unless has_content_length */
    size_t head_bytes;       /* the body, or the next pipelined head, starts here */
    twi_http_header headers[TWI_HTTP_HEADERS_MAX];
} twi_http_fields;

typedef struct twi_http_request {
    twi_slice method;
    twi_slice target; /* as sent */
    twi_slice path;   /* of the target, still percent-encoded; "*" for OPTIONS * */
    twi_slice query;  /* behind the '?'; data is NULL if there is none */
    twi_slice host;
    twi_http_fields fields;
    const char *error;     /* after TW_MALFORMED, TW_TOO_BIG: why; static text */
    uint16_t error_status; /* what to answer: 400, 414, 431, 501, 505 */
} twi_http_request;

typedef struct twi_http_response {
    uint16_t status; /* 100..599 */
    twi_slice reason;
    twi_http_fields fields;
    const char *error;
} twi_http_response;

/* Parses the head at data[0..len). TW_OK: complete, fields.head_bytes were used. TW_NEED_MORE. TW_MALFORMED,
 * TW_TOO_BIG, TW_NOT_SUPPORTED (a transfer coding or version that is not served): error and error_status say what.
 * limits may be NULL. len_before: how many of the bytes an earlier call with TW_NEED_MORE has seen (0 at first); they
 * are then not parsed again until the head is complete, so that bytes that trickle in cost linear time. */
tw_status twi_http_request_parse(const uint8_t *data, size_t len, size_t len_before, const twi_http_limits *limits,
                                 twi_http_request *request);
tw_status twi_http_response_parse(const uint8_t *data, size_t len, size_t len_before, const twi_http_limits *limits,
                                  twi_http_response *response);

/* First header of that name (lower case), or NULL. */
const twi_http_header *twi_http_header_find(const twi_http_fields *fields, const char *name);
/* Does any header of that name list the token (both lower case)? Comma-separated lists, RFC 9110 section 5.6.1. */
bool twi_http_header_has_token(const twi_http_fields *fields, const char *name, const char *token);
/* A token character of RFC 9110 section 5.6.2? */
bool twi_http_is_token_char(uint8_t c);

/* ---- queries ---- */

/* Takes the next name=value from *rest (still encoded; value.data is NULL without '='). false: no more. Empty parts are
 * left out. */
bool twi_http_query_next(twi_slice *rest, twi_slice *name, twi_slice *value);
/* The first value of that name, still encoded. false: not there. */
bool twi_http_query_find(twi_slice query, const char *name, twi_slice *value);
/* Decodes %XX, and '+' as blank, into out. Returns the length, or -1: a bad escape, a %00, or out is too small. */
ptrdiff_t twi_http_query_decode(twi_slice encoded, char *out, size_t out_cap);
/* The same without the '+' rule: for paths. */
ptrdiff_t twi_http_path_decode(twi_slice encoded, char *out, size_t out_cap);

/* ---- writing ---- */

/* "Not Found" for 404; "Unknown" for a number without a name here. */
const char *twi_http_status_text(uint16_t status);

typedef struct twi_http_response_head {
    uint16_t status;
    bool keep_alive;
    bool no_length;           /* neither Content-Length nor body framing: 1xx, 204, 304, or until the connection ends */
    const char *content_type; /* NULL: none */
    uint64_t content_length;
    const char *extra_headers; /* whole lines, each with CRLF; NULL: none. Never from the network. */
} twi_http_response_head;

/* Bytes written, 0 if out_cap is too small (TWI_HTTP_RESPONSE_HEAD_BYTES + extra_headers + content_type is enough). */
enum { TWI_HTTP_RESPONSE_HEAD_BYTES = 256 };
size_t twi_http_response_head_write(char *out, size_t out_cap, const twi_http_response_head *head);

/* ---- chunked bodies (RFC 9112 section 7.1) ---- */

typedef struct twi_http_chunks {
    uint64_t chunk_left;
    uint32_t line_len; /* of a chunk extension or trailer line */
    uint32_t trailer_bytes;
    uint8_t state; /* http_chunks.c's own; 0 at start */
    uint8_t digits;
} twi_http_chunks;

/* Takes bytes from *cursor on. TW_OK: *body is the next part (call again). TW_NEED_MORE. TW_EMPTY: the body is over,
 * the trailer too; *cursor is behind it. TW_MALFORMED, TW_TOO_BIG (chunk size over 64 bits or extensions and trailers
 * over a limit). */
tw_status twi_http_chunks_read(twi_http_chunks *chunks, const uint8_t **cursor, const uint8_t *end, twi_slice *body);

#endif
