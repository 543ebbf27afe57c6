/* recording_hft.c - hftbacktest's collector for Binance: nanoseconds and a combined-stream frame per line.
 *
 * The file names neither the connection nor the URL of the depth request. Both follow from the frames: only futures
 * have "e" in a bookTicker, "pu" in a depthUpdate and "X" in a trade, and the symbol is that of the streams. */
#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "feed/recording_format.h"

enum { NS_DIGITS = 19 }; /* until the year 2286 */

static int contains(const uint8_t *text, size_t len, const char *wanted)
{
    return memmem(text, len, wanted, strlen(wanted)) != NULL;
}

/* Length of `NS ` at the start of the line, 0 if there is none. */
static size_t read_ns(const uint8_t *line, size_t len, int64_t *ns)
{
    if (len < NS_DIGITS + 2 || line[NS_DIGITS] != ' ')
        return 0;
    *ns = 0;
    for (int i = 0; i < NS_DIGITS; i++) {
        if (!isdigit(line[i]) || __builtin_mul_overflow(*ns, 10, ns) || __builtin_add_overflow(*ns, line[i] - '0', ns))
            return 0;
    }
    return NS_DIGITS + 1;
}

static int hft_recognises(const uint8_t *line, size_t len)
{
    int64_t ns;
    size_t at = read_ns(line, len, &ns);
    return at != 0 && (line[at] == '{' || line[at] == '[');
}

static int is_usdm_frame(const uint8_t *text, size_t len)
{
    if (contains(text, len, "@bookTicker\""))
        return contains(text, len, "\"e\":");
    return contains(text, len, "\"pu\":") || contains(text, len, "\"X\":") ||
           (contains(text, len, "\"lastUpdateId\":") && contains(text, len, "\"E\":"));
}

static tw_status parse_connect(twi_recording_reader *reader, const uint8_t *text, size_t len, twi_frame *frame)
{
    static const char spot[] = "wss://stream.binance.com:9443/stream", usdm[] = "wss://fstream.binance.com/stream";
    reader->is_usdm = (uint8_t)is_usdm_frame(text, len);
    const char *url = reader->is_usdm ? usdm : spot;
    tw_status status = twi_recording_conn_get(reader->conns, (twi_recording_text){0}, &reader->conn);
    if (status == TW_OK)
        status = twi_recording_conn_set_url(reader->conns, reader->conn, (twi_recording_text){url, strlen(url)});
    if (status != TW_OK)
        return status;
    frame->kind = TWI_FRAME_CONNECT;
    frame->conn = reader->conn;
    reader->repeats_line = 1;
    return TW_OK;
}

/* {"stream":"btcusdt@depth@100ms",... -> BTCUSDT */
static void remember_symbol(twi_recording_reader *reader, const uint8_t *text, size_t len)
{
    static const char start[] = "{\"stream\":\"";
    size_t at = sizeof(start) - 1, count = 0;
    if (len <= at || memcmp(text, start, at) != 0)
        return;
    while (at < len && text[at] != '@' && text[at] != '"' && count < sizeof(reader->symbol) - 1)
        reader->symbol[count++] = (char)toupper(text[at++]);
    reader->symbol[count] = '\0';
}

static void set_depth_url(twi_recording_reader *reader, twi_frame *frame)
{
    int len = snprintf(reader->depth_url, sizeof(reader->depth_url), "https://%s/depth?symbol=%s&limit=1000",
                       reader->is_usdm ? "fapi.binance.com/fapi/v1" : "api.binance.com/api/v3", reader->symbol);
    frame->kind = TWI_FRAME_HTTP;
    frame->url = reader->depth_url;
    frame->url_len = (size_t)len;
}

static tw_status hft_parse(twi_recording_reader *reader, uint8_t *line, size_t len, twi_frame *frame)
{
    static const char depth[] = "{\"lastUpdateId\":";
    if (len == 0)
        return TW_EMPTY;
    size_t at = read_ns(line, len, &frame->recv_ns);
    if (at == 0)
        return TW_MALFORMED;
    const uint8_t *text = line + at;
    size_t text_len = len - at;
    if (reader->conn == TWI_CONN_NONE)
        return parse_connect(reader, text, text_len, frame);
    frame->bytes = text;
    frame->bytes_len = text_len;
    if (text_len >= sizeof(depth) - 1 && memcmp(text, depth, sizeof(depth) - 1) == 0) {
        set_depth_url(reader, frame);
        return TW_OK;
    }
    remember_symbol(reader, text, text_len);
    frame->kind = TWI_FRAME_RECV;
    frame->conn = reader->conn;
    return TW_OK;
}

const twi_recording_format twi_recording_hft = {"hft", hft_recognises, hft_parse};
