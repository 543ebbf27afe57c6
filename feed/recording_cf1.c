/* recording_cf1.c - cryptofeed v1 captures: one text line per frame. */
#include <string.h>

#include "feed/recording_format.h"

#define CONFIGURATION    "configuration: "
#define HTTP_HEADER_MARK " header: {"

static int starts_with(const uint8_t *line, size_t len, const char *start)
{
    size_t start_len = strlen(start);
    return len >= start_len && memcmp(line, start, start_len) == 0;
}

/* `T: `; returns where the payload begins, 0 if this is something else. */
static size_t read_time(const uint8_t *text, size_t len, int64_t *ns)
{
    size_t at = twi_recording_seconds(text, len, ns);
    return at != 0 && len - at >= 2 && text[at] == ':' && text[at + 1] == ' ' ? at + 2 : 0;
}

/* `URL ARROW T`; the arrow's kind, 0 if the line is not of that form. */
static uint8_t read_arrow(const uint8_t *line, size_t len, size_t *url_len, size_t *time_at)
{
    static const struct {
        const char *text;
        uint8_t kind;
    } arrows[] = {{" <-> ", TWI_FRAME_CONNECT}, {" <- ", TWI_FRAME_SENT}, {" -> ", TWI_FRAME_HTTP}};
    const uint8_t *space = memchr(line, ' ', len);
    if (!space || space == line)
        return 0;
    *url_len = (size_t)(space - line);
    for (size_t i = 0; i < sizeof(arrows) / sizeof(arrows[0]); i++) {
        if (!starts_with(space, len - *url_len, arrows[i].text))
            continue;
        *time_at = *url_len + strlen(arrows[i].text);
        return arrows[i].kind;
    }
    return 0;
}

static int cf1_recognises(const uint8_t *line, size_t len)
{
    int64_t ns;
    size_t url_len, time_at;
    if (starts_with(line, len, CONFIGURATION) || read_time(line, len, &ns) != 0)
        return 1;
    return read_arrow(line, len, &url_len, &time_at) != 0 && twi_recording_seconds(line + time_at, len - time_at, &ns);
}

/* Newer files append the answer's header to its body. */
static size_t without_http_header(const uint8_t *body, size_t len)
{
    size_t mark_len = strlen(HTTP_HEADER_MARK);
    if (len < mark_len || body[len - 1] != '}')
        return len;
    for (size_t at = len - mark_len; at > 0; at--)
        if (body[at] == ' ' && memcmp(body + at, HTTP_HEADER_MARK, mark_len) == 0)
            return at;
    return len;
}

static tw_status own_conn(twi_recording_reader *reader)
{
    if (reader->conn != TWI_CONN_NONE)
        return TW_OK;
    return twi_recording_conn_get(reader->conns, (twi_recording_text){0}, &reader->conn);
}

static tw_status parse_connect(twi_recording_reader *reader, const uint8_t *line, size_t url_len, twi_frame *frame)
{
    tw_status status = own_conn(reader);
    frame->conn = reader->conn;
    if (status != TW_OK)
        return status;
    return twi_recording_conn_set_url(reader->conns, reader->conn, (twi_recording_text){(const char *)line, url_len});
}

static tw_status parse_message(twi_recording_reader *reader, uint8_t *payload, size_t len, twi_frame *frame)
{
    tw_status status = own_conn(reader);
    if (status != TW_OK)
        return status;
    frame->conn = reader->conn;
    status = twi_recording_decode_literal(payload, &len);
    if (status == TW_MALFORMED)
        return status;
    frame->flags = status == TW_OK ? TWI_FRAME_BINARY : 0;
    frame->bytes = payload;
    frame->bytes_len = len;
    return TW_OK;
}

static tw_status parse_arrow(twi_recording_reader *reader, uint8_t *line, size_t len, twi_frame *frame)
{
    size_t url_len, time_at;
    frame->kind = read_arrow(line, len, &url_len, &time_at);
    if (frame->kind == 0)
        return TW_MALFORMED;
    if (frame->kind == TWI_FRAME_CONNECT) {
        size_t time_len = twi_recording_seconds(line + time_at, len - time_at, &frame->recv_ns);
        return time_len != 0 ? parse_connect(reader, line, url_len, frame) : TW_MALFORMED;
    }
    size_t payload_at = read_time(line + time_at, len - time_at, &frame->recv_ns);
    if (payload_at == 0)
        return TW_MALFORMED;
    payload_at += time_at;
    if (frame->kind == TWI_FRAME_SENT)
        return parse_message(reader, line + payload_at, len - payload_at, frame);
    line[url_len] = '\0';
    frame->url = (const char *)line;
    frame->url_len = url_len;
    frame->bytes = line + payload_at;
    frame->bytes_len = without_http_header(frame->bytes, len - payload_at);
    return TW_OK;
}

static tw_status cf1_parse(twi_recording_reader *reader, uint8_t *line, size_t len, twi_frame *frame)
{
    if (len == 0)
        return TW_EMPTY;
    if (starts_with(line, len, CONFIGURATION)) {
        frame->kind = TWI_FRAME_CONFIG;
        frame->recv_ns = reader->before_ns;
        frame->bytes = line + strlen(CONFIGURATION);
        frame->bytes_len = len - strlen(CONFIGURATION);
        return TW_OK;
    }
    size_t payload_at = read_time(line, len, &frame->recv_ns);
    if (payload_at == 0)
        return parse_arrow(reader, line, len, frame);
    frame->kind = TWI_FRAME_RECV;
    return parse_message(reader, line + payload_at, len - payload_at, frame);
}

const twi_recording_format twi_recording_cf1 = {"cf1", cf1_recognises, cf1_parse};
