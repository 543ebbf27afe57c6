/* http_chunks.c - the chunked transfer coding, decoded as it arrives. Extensions and trailers are read over. */
#include "engine/proto/http.h"

enum { SIZE, EXTENSION, SIZE_LF, DATA, DATA_CR, DATA_LF, TRAILER, TRAILER_LF, END_LF, DONE, BROKEN };
enum { LINE_BYTES_MAX = 1024, TRAILER_BYTES_MAX = 8192, SIZE_DIGITS_MAX = 16 };

static int hex_digit(uint8_t c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    char lower = twi_ascii_lower((char)c);
    return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

static tw_status fail(twi_http_chunks *chunks, tw_status status)
{
    chunks->state = BROKEN;
    return status;
}

static tw_status take_size_byte(twi_http_chunks *chunks, uint8_t c)
{
    int digit = hex_digit(c);
    if (digit >= 0) {
        if (chunks->digits == SIZE_DIGITS_MAX)
            return fail(chunks, TW_TOO_BIG);
        chunks->chunk_left = chunks->chunk_left << 4 | (uint64_t)digit;
        chunks->digits++;
        return TW_OK;
    }
    if (chunks->digits == 0 || (c != '\r' && c != ';'))
        return fail(chunks, TW_MALFORMED);
    chunks->state = c == '\r' ? SIZE_LF : EXTENSION;
    chunks->line_len = 0;
    return TW_OK;
}

/* A byte of a chunk extension or of a trailer line. */
static tw_status take_line_byte(twi_http_chunks *chunks, uint8_t c, uint8_t state_after)
{
    if (c == '\r') {
        chunks->state = state_after;
        return TW_OK;
    }
    if ((c < ' ' && c != '\t') || c == 0x7F)
        return fail(chunks, TW_MALFORMED);
    return ++chunks->line_len > LINE_BYTES_MAX ? fail(chunks, TW_TOO_BIG) : TW_OK;
}

static tw_status take_byte(twi_http_chunks *chunks, uint8_t c)
{
    switch (chunks->state) {
    case SIZE:
        return take_size_byte(chunks, c);
    case EXTENSION:
        return take_line_byte(chunks, c, SIZE_LF);
    case DATA_CR:
        chunks->state = DATA_LF;
        return c == '\r' ? TW_OK : fail(chunks, TW_MALFORMED);
    case TRAILER:
        if (++chunks->trailer_bytes > TRAILER_BYTES_MAX)
            return fail(chunks, TW_TOO_BIG);
        return take_line_byte(chunks, c, chunks->line_len == 0 ? END_LF : TRAILER_LF);
    default:
        break;
    }
    if (c != '\n')
        return fail(chunks, TW_MALFORMED);
    switch (chunks->state) {
    case SIZE_LF:
        chunks->state = chunks->chunk_left > 0 ? DATA : TRAILER;
        chunks->line_len = 0;
        return TW_OK;
    case DATA_LF:
        chunks->state = SIZE;
        chunks->digits = 0;
        return TW_OK;
    case TRAILER_LF:
        chunks->state = TRAILER;
        chunks->line_len = 0;
        return TW_OK;
    default: /* END_LF */
        chunks->state = DONE;
        return TW_OK;
    }
}

tw_status twi_http_chunks_read(twi_http_chunks *chunks, const uint8_t **cursor, const uint8_t *end, twi_slice *body)
{
    if (chunks->state == BROKEN)
        return TW_MALFORMED;
    for (;;) {
        if (chunks->state == DONE)
            return TW_EMPTY;
        if (*cursor == end)
            return TW_NEED_MORE;
        if (chunks->state == DATA)
            break;
        tw_status status = take_byte(chunks, *(*cursor)++);
        if (status != TW_OK)
            return status;
    }
    size_t here = (size_t)(end - *cursor);
    size_t len = chunks->chunk_left < here ? (size_t)chunks->chunk_left : here;
    *body = twi_slice_make((const char *)*cursor, len);
    *cursor += len;
    chunks->chunk_left -= len;
    if (chunks->chunk_left == 0)
        chunks->state = DATA_CR;
    return TW_OK;
}
