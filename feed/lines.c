/* lines.c - the line reader: a source of raw bytes, a decompressor, and a buffer in which lines are found. */
#include "feed/lines.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>
#if TWI_HAVE_ZSTD
#include <zstd.h>
#endif

#include "engine/base/assert.h"

enum {
    INPUT_BYTES = 1 << 16,
    FIRST_BUFFER_BYTES = 1 << 16,
    ROOM_BYTES_MIN = 1 << 12, /* free space before more is decompressed */
    GZIP_WINDOW_BITS = 15 + 16
};

typedef enum packing { PACKING_NONE, PACKING_GZIP, PACKING_ZSTD } packing;

struct twi_lines {
    int fd;                /* -1: from memory */
    const uint8_t *memory; /* what is left of it */
    size_t memory_len;
    uint8_t *input; /* raw bytes */
    size_t input_at, input_len;
    uint64_t bytes_read;
    packing packing;
    z_stream gzip;
    int gzip_is_open;
    int is_between_frames; /* the file may end here */
    int is_output_pending; /* the decompressor holds bytes for which there was no room */
#if TWI_HAVE_ZSTD
    ZSTD_DStream *zstd;
#endif
    uint8_t *buffer; /* [line_at, end) is not given out yet; [line_at, searched) has no line end */
    size_t line_at, searched, end, cap;
    int is_at_end, is_skipping;
    tw_status failure; /* told once, when the lines before it are out */
};

static void fill_input(twi_lines *lines)
{
    if (lines->input_at < lines->input_len)
        return;
    lines->input_at = lines->input_len = 0;
    if (lines->fd < 0) {
        size_t take = lines->memory_len < INPUT_BYTES ? lines->memory_len : INPUT_BYTES;
        if (take != 0)
            memcpy(lines->input, lines->memory, take);
        lines->memory += take;
        lines->memory_len -= take;
        lines->input_len = take;
    } else {
        ssize_t count;
        do
            count = read(lines->fd, lines->input, INPUT_BYTES);
        while (count < 0 && errno == EINTR);
        if (count < 0)
            lines->failure = TW_IO;
        lines->input_len = count < 0 ? 0 : (size_t)count;
    }
    lines->bytes_read += lines->input_len;
}

static int is_exhausted(const twi_lines *lines)
{
    return lines->input_at == lines->input_len && !lines->is_output_pending;
}

/* A file that ends in the middle of a compressed frame is cut. */
static size_t end_of_frames(twi_lines *lines)
{
    if (!lines->is_between_frames && lines->failure == TW_OK)
        lines->failure = TW_MALFORMED;
    return 0;
}

/* Each of the three puts decompressed bytes at out and returns how many; 0 is the end or a failure. */
static size_t unpack_none(twi_lines *lines, uint8_t *out, size_t cap)
{
    size_t left = lines->input_len - lines->input_at, take = left < cap ? left : cap;
    memcpy(out, lines->input + lines->input_at, take);
    lines->input_at += take;
    return take;
}

static size_t unpack_gzip(twi_lines *lines, uint8_t *out, size_t cap)
{
    if (is_exhausted(lines))
        return end_of_frames(lines);
    if (lines->is_between_frames) {
        inflateReset(&lines->gzip);
        lines->is_between_frames = 0;
    }
    lines->gzip.next_in = lines->input + lines->input_at;
    lines->gzip.avail_in = (uInt)(lines->input_len - lines->input_at);
    lines->gzip.next_out = out;
    lines->gzip.avail_out = cap < INPUT_BYTES ? (uInt)cap : INPUT_BYTES;
    uInt offered = lines->gzip.avail_out;
    int result = inflate(&lines->gzip, Z_NO_FLUSH);
    lines->input_at = lines->input_len - lines->gzip.avail_in;
    lines->is_between_frames = result == Z_STREAM_END;
    lines->is_output_pending = result == Z_OK && lines->gzip.avail_out == 0;
    if (result != Z_OK && result != Z_STREAM_END && result != Z_BUF_ERROR)
        lines->failure = TW_MALFORMED;
    return offered - lines->gzip.avail_out;
}

static size_t unpack_zstd(twi_lines *lines, uint8_t *out, size_t cap)
{
#if TWI_HAVE_ZSTD
    if (is_exhausted(lines))
        return end_of_frames(lines);
    ZSTD_inBuffer in = {lines->input, lines->input_len, lines->input_at};
    ZSTD_outBuffer unpacked = {out, cap, 0};
    size_t result = ZSTD_decompressStream(lines->zstd, &unpacked, &in);
    lines->input_at = in.pos;
    lines->is_between_frames = result == 0;
    lines->is_output_pending = result != 0 && unpacked.pos == cap;
    if (ZSTD_isError(result))
        lines->failure = TW_MALFORMED;
    return unpacked.pos;
#else
    (void)out, (void)cap;
    lines->failure = TW_NOT_SUPPORTED;
    return 0;
#endif
}

static size_t unpack(twi_lines *lines, uint8_t *out, size_t cap)
{
    for (;;) {
        fill_input(lines);
        int was_exhausted = is_exhausted(lines);
        size_t count = lines->packing == PACKING_GZIP   ? unpack_gzip(lines, out, cap)
                       : lines->packing == PACKING_ZSTD ? unpack_zstd(lines, out, cap)
                                                        : unpack_none(lines, out, cap);
        if (count != 0 || was_exhausted || lines->failure != TW_OK)
            return count;
    }
}

static tw_status start_unpacking(twi_lines *lines, char *error, size_t error_cap)
{
    static const uint8_t gzip_magic[] = {0x1f, 0x8b}, zstd_magic[] = {0x28, 0xb5, 0x2f, 0xfd};
    fill_input(lines);
    if (lines->input_len >= sizeof(gzip_magic) && memcmp(lines->input, gzip_magic, sizeof(gzip_magic)) == 0) {
        lines->packing = PACKING_GZIP;
        lines->gzip_is_open = inflateInit2(&lines->gzip, GZIP_WINDOW_BITS) == Z_OK;
        return lines->gzip_is_open ? TW_OK : TW_NO_MEMORY;
    }
    if (lines->input_len < sizeof(zstd_magic) || memcmp(lines->input, zstd_magic, sizeof(zstd_magic)) != 0)
        return TW_OK;
    lines->packing = PACKING_ZSTD;
#if TWI_HAVE_ZSTD
    lines->zstd = ZSTD_createDStream();
    (void)error, (void)error_cap;
    return lines->zstd ? TW_OK : TW_NO_MEMORY;
#else
    snprintf(error, error_cap,
             "zstd-compressed, and this build has no libzstd: install libzstd-dev and build again, "
             "or unpack the file");
    return TW_NOT_SUPPORTED;
#endif
}

static tw_status open_on(int fd, const uint8_t *bytes, size_t len, twi_lines **out, char *error, size_t error_cap)
{
    twi_lines *lines = calloc(1, sizeof(*lines));
    tw_status status = TW_NO_MEMORY;
    if (lines) {
        lines->fd = fd;
        lines->memory = bytes;
        lines->memory_len = len;
        lines->cap = FIRST_BUFFER_BYTES;
        lines->buffer = malloc(lines->cap);
        lines->input = malloc(INPUT_BYTES);
        if (lines->buffer && lines->input)
            status = start_unpacking(lines, error, error_cap);
    }
    if (status == TW_NO_MEMORY)
        snprintf(error, error_cap, "no memory for reading lines");
    if (status != TW_OK) {
        if (!lines && fd >= 0)
            close(fd);
        twi_lines_close(lines);
        return status;
    }
    *out = lines;
    return TW_OK;
}

tw_status twi_lines_open(const char *path, twi_lines **lines, char *error, size_t error_cap)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        snprintf(error, error_cap, "cannot open %s: %s", path, strerror(errno));
        return TW_IO;
    }
    return open_on(fd, NULL, 0, lines, error, error_cap);
}

tw_status twi_lines_open_bytes(const uint8_t *bytes, size_t len, twi_lines **lines, char *error, size_t error_cap)
{
    return open_on(-1, bytes, len, lines, error, error_cap);
}

void twi_lines_close(twi_lines *lines)
{
    if (!lines)
        return;
    if (lines->fd >= 0)
        close(lines->fd);
    if (lines->gzip_is_open)
        inflateEnd(&lines->gzip);
#if TWI_HAVE_ZSTD
    ZSTD_freeDStream(lines->zstd);
#endif
    free(lines->input);
    free(lines->buffer);
    free(lines);
}

/* Makes room behind `end`: moves what is left to the front, or doubles the buffer. */
static tw_status make_room(twi_lines *lines)
{
    if (lines->cap - lines->end >= ROOM_BYTES_MIN)
        return TW_OK;
    if (lines->line_at >= lines->cap / 2) {
        memmove(lines->buffer, lines->buffer + lines->line_at, lines->end - lines->line_at);
        lines->searched -= lines->line_at;
        lines->end -= lines->line_at;
        lines->line_at = 0;
        return TW_OK;
    }
    if (lines->cap >= 2 * (size_t)TWI_LINE_BYTES_MAX)
        return TW_TOO_BIG;
    uint8_t *larger = realloc(lines->buffer, lines->cap * 2);
    if (!larger)
        return TW_NO_MEMORY;
    lines->buffer = larger;
    lines->cap *= 2;
    return TW_OK;
}

static void drop_what_is_there(twi_lines *lines)
{
    lines->line_at = lines->searched = lines->end = 0;
    lines->is_skipping = 1;
}

/* More bytes behind `end`; is_at_end if there are none. */
static tw_status read_more(twi_lines *lines)
{
    tw_status status = make_room(lines);
    if (status == TW_NO_MEMORY)
        return status;
    if (status == TW_TOO_BIG || lines->end - lines->line_at > TWI_LINE_BYTES_MAX)
        drop_what_is_there(lines);
    size_t count = lines->failure == TW_OK ? unpack(lines, lines->buffer + lines->end, lines->cap - lines->end) : 0;
    lines->end += count;
    lines->is_at_end = count == 0;
    return TW_OK;
}

/* Takes [line_at, line_end) out of the buffer. */
static tw_status give(twi_lines *lines, size_t line_end, size_t next_at, uint8_t **line, size_t *len)
{
    *line = lines->buffer + lines->line_at;
    *len = line_end - lines->line_at;
    lines->line_at = lines->searched = next_at;
    if (!lines->is_skipping && *len <= TWI_LINE_BYTES_MAX)
        return TW_OK;
    lines->is_skipping = 0;
    return TW_TOO_BIG;
}

static tw_status give_last(twi_lines *lines, uint8_t **line, size_t *len)
{
    if (lines->failure == TW_OK && (lines->line_at < lines->end || lines->is_skipping))
        return give(lines, lines->end, lines->end, line, len);
    tw_status failure = lines->failure;
    lines->line_at = lines->searched = lines->end; /* a line that the damage cut is not a line */
    lines->failure = TW_OK;
    lines->memory_len = 0;
    lines->input_at = lines->input_len = 0;
    lines->is_output_pending = 0;
    lines->is_between_frames = 1;
    if (failure != TW_OK && lines->fd >= 0) {
        close(lines->fd);
        lines->fd = -1;
    }
    return failure == TW_OK ? TW_EMPTY : failure;
}

tw_status twi_lines_next(twi_lines *lines, uint8_t **line, size_t *len)
{
    for (;;) {
        uint8_t *found = NULL;
        if (lines->searched < lines->end)
            found = memchr(lines->buffer + lines->searched, '\n', lines->end - lines->searched);
        if (found) {
            size_t line_end = (size_t)(found - lines->buffer);
            return give(lines, line_end, line_end + 1, line, len);
        }
        lines->searched = lines->end;
        if (lines->is_at_end)
            return give_last(lines, line, len);
        tw_status status = read_more(lines);
        if (status != TW_OK)
            return status;
    }
}

uint64_t twi_lines_bytes_read(const twi_lines *lines)
{
    return lines->bytes_read;
}
