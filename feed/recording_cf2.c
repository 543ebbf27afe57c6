/* recording_cf2.c - cryptofeed v2 captures: one JSON object per line. */
#include <string.h>

#include "engine/proto/json_scan.h"
#include "feed/recording_format.h"

/* The members of a line that matter here. */
typedef struct cf2_line {
    twi_json_slice type, conn, time, url, data;
} cf2_line;

static int cf2_recognises(const uint8_t *line, size_t len)
{
    static const char start[] = "{\"t\":\"";
    return len >= sizeof(start) - 1 && memcmp(line, start, sizeof(start) - 1) == 0;
}

static tw_status scan(const uint8_t *text, size_t len, cf2_line *line)
{
    twi_json json;
    twi_json_slice key;
    twi_json_init(&json, text, len);
    twi_json_enter_object(&json);
    while (twi_json_next_member(&json, &key)) {
        if (TWI_JSON_IS(key, "t"))
            twi_json_string(&json, &line->type);
        else if (TWI_JSON_IS(key, "conn"))
            twi_json_string(&json, &line->conn);
        else if (TWI_JSON_IS(key, "ts"))
            twi_json_number(&json, &line->time);
        else if (TWI_JSON_IS(key, "url") || TWI_JSON_IS(key, "addr"))
            twi_json_string(&json, &line->url);
        else if (TWI_JSON_IS(key, "data") && twi_json_peek(&json) == TWI_JSON_STRING)
            twi_json_string(&json, &line->data);
        else
            twi_json_skip(&json);
    }
    return twi_json_end(&json) == TW_OK ? TW_OK : TW_MALFORMED;
}

static uint8_t kind_of(twi_json_slice type)
{
    static const struct {
        const char *name;
        uint8_t kind;
    } kinds[] = {{"recv", TWI_FRAME_RECV},        {"send", TWI_FRAME_SENT},     {"connect", TWI_FRAME_CONNECT},
                 {"http", TWI_FRAME_HTTP},        {"header", TWI_FRAME_CONFIG}, {"close", TWI_FRAME_CLOSED},
                 {"disconnect", TWI_FRAME_CLOSED}};
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
        if (twi_json_equal(type, kinds[i].name, strlen(kinds[i].name)))
            return kinds[i].kind;
    return 0;
}

/* Unescapes data and URL side by side into the scratch buffer. */
static tw_status unescape(twi_recording_reader *reader, const cf2_line *line, twi_frame *frame)
{
    size_t data_cap = line->data.len, url_cap = line->url.len;
    tw_status status = twi_recording_reserve(reader, data_cap + url_cap + 1);
    if (status != TW_OK)
        return status;
    char *data = (char *)reader->scratch, *url = data + data_cap;
    if (twi_json_unescape(line->data, data, data_cap, &frame->bytes_len) != TW_OK ||
        twi_json_unescape(line->url, url, url_cap, &frame->url_len) != TW_OK)
        return TW_MALFORMED;
    url[frame->url_len] = '\0';
    frame->bytes = (const uint8_t *)data;
    frame->url = url;
    return TW_OK;
}

static tw_status put_on_conn(twi_recording_reader *reader, const cf2_line *line, twi_frame *frame)
{
    const twi_recording_text key = {line->conn.text, line->conn.len};
    tw_status status = twi_recording_conn_get(reader->conns, key, &frame->conn);
    if (status != TW_OK || frame->kind != TWI_FRAME_CONNECT)
        return status;
    return twi_recording_conn_set_url(reader->conns, frame->conn, (twi_recording_text){frame->url, frame->url_len});
}

static tw_status cf2_parse(twi_recording_reader *reader, uint8_t *text, size_t len, twi_frame *frame)
{
    static const char nothing[] = "";
    const twi_json_slice empty = {.text = nothing};
    cf2_line line = {empty, empty, empty, empty, empty};
    if (len == 0)
        return TW_EMPTY;
    tw_status status = scan(text, len, &line);
    if (status != TW_OK)
        return status;
    frame->kind = kind_of(line.type);
    if (frame->kind == 0)
        return TW_MALFORMED;
    if (frame->kind == TWI_FRAME_CONFIG) {
        frame->recv_ns = reader->before_ns;
        frame->bytes = text;
        frame->bytes_len = len;
        return TW_OK;
    }
    const uint8_t *time = (const uint8_t *)line.time.text;
    if (line.time.len == 0 || twi_recording_seconds(time, line.time.len, &frame->recv_ns) != line.time.len)
        return TW_MALFORMED;
    status = unescape(reader, &line, frame);
    return status == TW_OK && frame->kind != TWI_FRAME_HTTP ? put_on_conn(reader, &line, frame) : status;
}

const twi_recording_format twi_recording_cf2 = {"cf2", cf2_recognises, cf2_parse};
