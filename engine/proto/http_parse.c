/* http_parse.c - request and response heads. */
#include "engine/proto/http.h"

#include "engine/base/compiler.h"

enum { METHOD_BYTES_MAX = 32, EMPTY_LINES_MAX = 2 };

/* One parse: a cursor over the bytes, the limits, and what went wrong. */
typedef struct scan {
    const uint8_t *p;
    const uint8_t *start;
    const uint8_t *end;
    const uint8_t *line_start;
    twi_http_limits limits;
    const char *error;
    uint16_t error_status;
} scan;

/* The sets of characters that the grammar is made of, as bits; token and target are ASCII only. */
typedef enum char_class { CLASS_TOKEN, CLASS_TARGET, CLASS_VALUE } char_class;

/* RFC 9110 section 5.6.2: letters, digits and !#$%&'*+-.^_`|~ */
static const uint64_t token_bits[2] = {0x03FF6CFA00000000u, 0x57FFFFFFC7FFFFFEu};

static inline bool in_class(uint8_t c, char_class class)
{
    switch (class) {
    case CLASS_TOKEN:
        return c < 0x80 && (token_bits[c >> 6] >> (c & 63) & 1) != 0;
    case CLASS_TARGET: /* visible; a fragment never stands in a request */
        return c > ' ' && c < 0x7F && c != '#';
    default: /* RFC 9110 section 5.5: field-vchar, obs-text, SP, HTAB */
        return (c >= ' ' && c != 0x7F) || c == '\t';
    }
}

bool twi_http_is_token_char(uint8_t c)
{
    return in_class(c, CLASS_TOKEN);
}

static tw_status fail(scan *s, tw_status status, uint16_t error_status, const char *error)
{
    s->error = error;
    s->error_status = error_status;
    return status;
}

static tw_status bad(scan *s, const char *error)
{
    return fail(s, TW_MALFORMED, 400, error);
}

static scan scan_begin(const uint8_t *data, size_t len, const twi_http_limits *limits)
{
    scan s = {.p = data, .start = data, .end = data + len, .line_start = data};
    if (limits != NULL)
        s.limits = *limits;
    if (s.limits.line_bytes_max == 0)
        s.limits.line_bytes_max = TWI_HTTP_LINE_BYTES_MAX;
    if (s.limits.head_bytes_max == 0)
        s.limits.head_bytes_max = TWI_HTTP_HEAD_BYTES_MAX;
    if (s.limits.header_count_max == 0 || s.limits.header_count_max > TWI_HTTP_HEADERS_MAX)
        s.limits.header_count_max = TWI_HTTP_HEADERS_MAX;
    return s;
}

/* The bytes end here: wait for more, unless there may be no more. */
static tw_status out_of_bytes(scan *s)
{
    if ((size_t)(s->end - s->line_start) > s->limits.line_bytes_max)
        return fail(s, TW_TOO_BIG, s->line_start == s->start ? 414 : 431, "line too long");
    if ((size_t)(s->end - s->start) >= s->limits.head_bytes_max)
        return fail(s, TW_TOO_BIG, 431, "head too big");
    return TW_NEED_MORE;
}

static tw_status take_byte(scan *s, uint8_t wanted, const char *error)
{
    if (s->p == s->end)
        return out_of_bytes(s);
    if (*s->p != wanted)
        return bad(s, error);
    s->p++;
    return TW_OK;
}

/* CRLF and nothing less: a bare LF is read as a line end by some and not by others. */
static tw_status take_line_end(scan *s)
{
    tw_status status = take_byte(s, '\r', "bad character in line");
    if (status == TW_OK)
        status = take_byte(s, '\n', "CR without LF");
    if (status != TW_OK)
        return status;
    if ((size_t)(s->p - s->line_start) > (size_t)s->limits.line_bytes_max + 2)
        return fail(s, TW_TOO_BIG, s->line_start == s->start ? 414 : 431, "line too long");
    s->line_start = s->p;
    return TW_OK;
}

static twi_slice take_class(scan *s, char_class class)
{
    const uint8_t *from = s->p;
    while (s->p < s->end && in_class(*s->p, class))
        s->p++;
    return twi_slice_make((const char *)from, (size_t)(s->p - from));
}

static tw_status take_text(scan *s, const char *text, const char *error)
{
    tw_status status = TW_OK;
    for (; *text != '\0' && status == TW_OK; text++)
        status = take_byte(s, (uint8_t)*text, error);
    return status;
}

/* "HTTP/1." and 0 or 1. */
static tw_status take_version(scan *s, twi_http_fields *fields)
{
    tw_status status = take_text(s, "HTTP/", "not an HTTP version");
    if (status != TW_OK)
        return status;
    if (s->p == s->end)
        return out_of_bytes(s);
    if (*s->p >= '0' && *s->p <= '9' && *s->p != '1')
        return fail(s, TW_NOT_SUPPORTED, 505, "HTTP version not supported");
    status = take_text(s, "1.", "not an HTTP version");
    if (status != TW_OK)
        return status;
    if (s->p == s->end)
        return out_of_bytes(s);
    if (*s->p != '0' && *s->p != '1')
        return bad(s, "not an HTTP version");
    fields->minor_version = (uint8_t)(*s->p++ - '0');
    return TW_OK;
}

static tw_status take_header(scan *s, twi_http_fields *fields)
{
    if (*s->p == ' ' || *s->p == '\t')
        return bad(s, "folded header line");
    if (fields->header_count == s->limits.header_count_max)
        return fail(s, TW_TOO_BIG, 431, "too many headers");
    twi_http_header *header = &fields->headers[fields->header_count];
    header->name = take_class(s, CLASS_TOKEN);
    if (s->p == s->end)
        return out_of_bytes(s);
    if (header->name.len == 0)
        return bad(s, "bad character in header name");
    tw_status status = take_byte(s, ':', "bad character in header name");
    if (status != TW_OK)
        return status;
    header->value = twi_slice_trim(take_class(s, CLASS_VALUE));
    status = take_line_end(s);
    if (status == TW_OK)
        fields->header_count++;
    return status;
}

/* Header lines up to the empty one. */
static tw_status take_headers(scan *s, twi_http_fields *fields)
{
    for (;;) {
        if (s->p == s->end)
            return out_of_bytes(s);
        bool last = *s->p == '\r';
        tw_status status = last ? take_line_end(s) : take_header(s, fields);
        if (status != TW_OK)
            return status;
        if ((size_t)(s->p - s->start) > s->limits.head_bytes_max)
            return fail(s, TW_TOO_BIG, 431, "head too big");
        if (last)
            break;
    }
    fields->head_bytes = (size_t)(s->p - s->start);
    return TW_OK;
}

static tw_status read_content_length(scan *s, twi_http_fields *fields, twi_slice value)
{
    if (fields->has_content_length)
        return bad(s, "more than one Content-Length");
    if (value.len == 0 || value.len > 19) /* 19 digits are below 2^64 */
        return bad(s, "bad Content-Length");
    uint64_t length = 0;
    for (size_t i = 0; i < value.len; i++) {
        if (value.data[i] < '0' || value.data[i] > '9')
            return bad(s, "bad Content-Length");
        length = length * 10 + (uint64_t)(value.data[i] - '0');
    }
    fields->has_content_length = true;
    fields->content_length = length;
    return TW_OK;
}

static tw_status read_transfer_encoding(scan *s, twi_http_fields *fields, twi_slice value)
{
    if (fields->chunked)
        return bad(s, "more than one Transfer-Encoding");
    if (!twi_slice_equals_nocase(value, "chunked"))
        return fail(s, TW_NOT_SUPPORTED, 501, "transfer coding not supported");
    fields->chunked = true;
    return TW_OK;
}

/* The headers that decide where the message ends and whether another may follow. */
static tw_status read_framing(scan *s, twi_http_fields *fields)
{
    for (uint32_t i = 0; i < fields->header_count; i++) {
        const twi_http_header *header = &fields->headers[i];
        tw_status status = TW_OK;
        if (twi_slice_equals_nocase(header->name, "content-length"))
            status = read_content_length(s, fields, header->value);
        else if (twi_slice_equals_nocase(header->name, "transfer-encoding"))
            status = read_transfer_encoding(s, fields, header->value);
        else if (twi_slice_equals_nocase(header->name, "expect"))
            fields->expect_continue = twi_slice_equals_nocase(header->value, "100-continue");
        if (status != TW_OK)
            return status;
    }
    if (fields->chunked && fields->has_content_length)
        return bad(s, "Content-Length next to Transfer-Encoding");
    if (fields->chunked && fields->minor_version == 0)
        return bad(s, "Transfer-Encoding in HTTP/1.0");
    fields->connection_upgrade = twi_http_header_has_token(fields, "connection", "upgrade");
    if (twi_http_header_has_token(fields, "connection", "close"))
        fields->keep_alive = false;
    else
        fields->keep_alive =
            fields->minor_version == 1 || twi_http_header_has_token(fields, "connection", "keep-alive");
    return TW_OK;
}

/* RFC 9112 section 3.2: origin-form, absolute-form, "*". */
static tw_status split_target(scan *s, twi_http_request *request)
{
    twi_slice rest = request->target;
    static const char *const schemes[] = {"http://", "https://"};
    for (size_t i = 0; i < sizeof(schemes) / sizeof(schemes[0]); i++) {
        size_t scheme_len = strlen(schemes[i]);
        if (rest.len < scheme_len || !twi_slice_equals_nocase(twi_slice_make(rest.data, scheme_len), schemes[i]))
            continue;
        rest = twi_slice_make(rest.data + scheme_len, rest.len - scheme_len);
        while (rest.len > 0 && rest.data[0] != '/' && rest.data[0] != '?')
            rest = twi_slice_make(rest.data + 1, rest.len - 1);
        twi_slice_split(&rest, '?', &request->path);
        request->query = rest;
        if (request->path.len == 0)
            request->path = twi_slice_text("/");
        return TW_OK;
    }
    if (rest.data[0] == '/') {
        twi_slice_split(&rest, '?', &request->path);
        request->query = rest;
        return TW_OK;
    }
    if (twi_slice_equals(rest, "*") && twi_slice_equals(request->method, "OPTIONS")) {
        request->path = rest;
        return TW_OK;
    }
    return bad(s, "bad request target");
}

static tw_status take_request_line(scan *s, twi_http_request *request)
{
    /* RFC 9112 section 2.2: ignore empty lines before the request line; a few. */
    for (int i = 0; i < EMPTY_LINES_MAX && s->p < s->end && *s->p == '\r'; i++) {
        tw_status status = take_line_end(s);
        if (status != TW_OK)
            return status;
    }
    request->method = take_class(s, CLASS_TOKEN);
    if (request->method.len > METHOD_BYTES_MAX)
        return fail(s, TW_MALFORMED, 501, "method too long");
    if (s->p == s->end)
        return out_of_bytes(s);
    if (request->method.len == 0)
        return bad(s, "bad request line");
    tw_status status = take_byte(s, ' ', "bad request line");
    if (status != TW_OK)
        return status;
    request->target = take_class(s, CLASS_TARGET);
    if (s->p == s->end)
        return out_of_bytes(s);
    if (request->target.len == 0)
        return bad(s, "bad request target");
    status = take_byte(s, ' ', "bad request target");
    if (status == TW_OK)
        status = take_version(s, &request->fields);
    if (status == TW_OK)
        status = take_line_end(s);
    return status == TW_OK ? split_target(s, request) : status;
}

/* RFC 9112 section 3.2: exactly one Host in HTTP/1.1. */
static tw_status read_host(scan *s, twi_http_request *request)
{
    uint32_t host_count = 0;
    for (uint32_t i = 0; i < request->fields.header_count; i++) {
        if (!twi_slice_equals_nocase(request->fields.headers[i].name, "host"))
            continue;
        request->host = request->fields.headers[i].value;
        host_count++;
    }
    if (host_count > 1)
        return bad(s, "more than one Host");
    if (host_count == 0 && request->fields.minor_version == 1)
        return bad(s, "no Host");
    for (size_t i = 0; i < request->host.len; i++) {
        if (!in_class((uint8_t)request->host.data[i], CLASS_TARGET))
            return bad(s, "bad Host");
    }
    return TW_OK;
}

/* Bytes that came since an earlier look at a good prefix: is the head complete now? The empty line may have begun
 * before. */
static bool head_end_in(const uint8_t *data, size_t len, size_t len_before)
{
    size_t from = len_before < 3 ? 0 : len_before - 3;
    for (size_t i = from; i + 4 <= len; i++) {
        if (memcmp(data + i, "\r\n\r\n", 4) == 0)
            return true;
    }
    return false;
}

static bool may_wait(const uint8_t *data, size_t len, size_t len_before, const scan *s)
{
    return len_before > 0 && len < s->limits.head_bytes_max && !head_end_in(data, len, len_before);
}

tw_status twi_http_request_parse(const uint8_t *data, size_t len, size_t len_before, const twi_http_limits *limits,
                                 twi_http_request *request)
{
    scan s = scan_begin(data, len, limits);
    request->error = NULL;
    if (may_wait(data, len, len_before, &s))
        return TW_NEED_MORE;
    request->fields.header_count = 0;
    request->fields.has_content_length = false;
    request->fields.chunked = false;
    request->fields.expect_continue = false;
    request->fields.content_length = 0;
    request->query = twi_slice_make(NULL, 0);
    request->host = twi_slice_make(NULL, 0);
    tw_status status = take_request_line(&s, request);
    if (status == TW_OK)
        status = take_headers(&s, &request->fields);
    if (status == TW_OK)
        status = read_framing(&s, &request->fields);
    if (status == TW_OK)
        status = read_host(&s, request);
    request->error = s.error;
    request->error_status = s.error_status;
    return status;
}

static tw_status take_status_line(scan *s, twi_http_response *response)
{
    tw_status status = take_version(s, &response->fields);
    if (status == TW_OK)
        status = take_byte(s, ' ', "bad status line");
    if (status != TW_OK)
        return status;
    response->status = 0;
    for (int i = 0; i < 3; i++) {
        if (s->p == s->end)
            return out_of_bytes(s);
        if (*s->p < '0' || *s->p > '9')
            return bad(s, "bad status code");
        response->status = (uint16_t)(response->status * 10 + (*s->p++ - '0'));
    }
    if (response->status < 100 || response->status > 599)
        return bad(s, "bad status code");
    response->reason = twi_slice_make(NULL, 0);
    if (s->p == s->end)
        return out_of_bytes(s);
    if (*s->p == ' ') { /* the blank stands also before an empty reason; some servers leave both out */
        s->p++;
        response->reason = take_class(s, CLASS_VALUE);
    }
    return take_line_end(s);
}

tw_status twi_http_response_parse(const uint8_t *data, size_t len, size_t len_before, const twi_http_limits *limits,
                                  twi_http_response *response)
{
    scan s = scan_begin(data, len, limits);
    response->error = NULL;
    if (may_wait(data, len, len_before, &s))
        return TW_NEED_MORE;
    response->fields.header_count = 0;
    response->fields.has_content_length = false;
    response->fields.chunked = false;
    response->fields.expect_continue = false;
    response->fields.content_length = 0;
    tw_status status = take_status_line(&s, response);
    if (status == TW_OK)
        status = take_headers(&s, &response->fields);
    if (status == TW_OK)
        status = read_framing(&s, &response->fields);
    response->error = s.error;
    return status;
}

const twi_http_header *twi_http_header_find(const twi_http_fields *fields, const char *name)
{
    for (uint32_t i = 0; i < fields->header_count; i++) {
        if (twi_slice_equals_nocase(fields->headers[i].name, name))
            return &fields->headers[i];
    }
    return NULL;
}

bool twi_http_header_has_token(const twi_http_fields *fields, const char *name, const char *token)
{
    for (uint32_t i = 0; i < fields->header_count; i++) {
        if (!twi_slice_equals_nocase(fields->headers[i].name, name))
            continue;
        twi_slice rest = fields->headers[i].value;
        twi_slice part;
        while (twi_slice_split(&rest, ',', &part)) {
            if (twi_slice_equals_nocase(twi_slice_trim(part), token))
                return true;
        }
    }
    return false;
}
