/* ws_deflate.c - messages through zlib: raw DEFLATE, flushed to a byte boundary, its constant tail left out (RFC 7692
 * section 7.2). */
#include "engine/proto/ws_deflate.h"

#include <limits.h>
#include <zlib.h>

#include "engine/base/assert.h"

enum { TAIL_BYTES = 4, DEFLATE_SLACK_BYTES = 32, MEM_LEVEL = 8, OUT_STEP_BYTES = 512 };

/* What a sync flush ends with; sent by nobody, added by the receiver. */
static const uint8_t tail[TAIL_BYTES] = {0x00, 0x00, 0xFF, 0xFF};

/* A z_stream with the caller's memory behind it. */
typedef struct memory {
    twi_resize_fn resize;
    void *owner;
} memory;

typedef struct stream {
    z_stream z;
    memory memory;
} stream;

static voidpf take_memory(voidpf opaque, uInt items, uInt size)
{
    memory *m = opaque;
    return items > UINT_MAX / (size > 0 ? size : 1) ? NULL : m->resize(m->owner, NULL, (size_t)items * size);
}

static void give_memory(voidpf opaque, voidpf address)
{
    memory *m = opaque;
    if (address != NULL)
        m->resize(m->owner, address, 0);
}

static stream *stream_open(twi_resize_fn resize, void *owner)
{
    stream *s = resize(owner, NULL, sizeof(*s));
    if (s == NULL)
        return NULL;
    *s = (stream){.memory = {.resize = resize, .owner = owner}};
    s->z.zalloc = take_memory;
    s->z.zfree = give_memory;
    s->z.opaque = &s->memory;
    return s;
}

static void stream_close(stream *s)
{
    s->memory.resize(s->memory.owner, s, 0);
}

/* zlib counts in unsigned int. */
static uInt clamp(size_t bytes)
{
    return bytes < UINT_MAX ? (uInt)bytes : UINT_MAX;
}

/* ---- out ---- */

void twi_ws_deflater_init(twi_ws_deflater *deflater, const twi_ws_deflate_params *params, uint8_t level,
                          twi_resize_fn resize, void *resize_owner)
{
    TWI_ASSERT(params->own_window_bits >= TWI_WS_WINDOW_BITS_MIN && params->own_window_bits <= TWI_WS_WINDOW_BITS_MAX);
    *deflater = (twi_ws_deflater){
        .resize = resize,
        .resize_owner = resize_owner,
        .window_bits = params->own_window_bits,
        .level = level,
        .no_context_takeover = params->own_no_context_takeover,
    };
}

static tw_status deflater_open(twi_ws_deflater *deflater)
{
    stream *s = stream_open(deflater->resize, deflater->resize_owner);
    if (s == NULL)
        return TW_NO_MEMORY;
    /* zlib has no compressor for a window of 8 bits. Run-length matches reach back one byte only, so that they are
     * right in any window. */
    bool tiny = deflater->window_bits == TWI_WS_WINDOW_BITS_MIN;
    int bits = tiny ? TWI_WS_WINDOW_BITS_MIN + 1 : deflater->window_bits;
    int level = deflater->level == 0 ? Z_DEFAULT_COMPRESSION : deflater->level;
    if (deflateInit2(&s->z, level, Z_DEFLATED, -bits, MEM_LEVEL, tiny ? Z_RLE : Z_DEFAULT_STRATEGY) != Z_OK) {
        stream_close(s);
        return TW_NO_MEMORY;
    }
    deflater->stream = s;
    return TW_OK;
}

/* Everything in, everything out, at a byte boundary. */
static tw_status run_deflate(z_stream *z, const uint8_t *data, size_t len, twi_ws_message *out)
{
    z->next_in = (z_const Bytef *)data;
    for (;;) {
        z->avail_in = clamp(len);
        uInt offered_in = z->avail_in;
        int flush = offered_in == len ? Z_SYNC_FLUSH : Z_NO_FLUSH;
        z->next_out = out->data + out->len;
        z->avail_out = clamp(out->cap - out->len);
        uInt offered_out = z->avail_out;
        int result = deflate(z, flush);
        TWI_ASSERT(result == Z_OK || result == Z_BUF_ERROR);
        len -= offered_in - z->avail_in;
        out->len += offered_out - z->avail_out;
        if (len == 0 && z->avail_out > 0 && flush == Z_SYNC_FLUSH)
            return TW_OK;
        if (out->cap - out->len < OUT_STEP_BYTES) {
            tw_status status = twi_ws_message_reserve(out, out->len + OUT_STEP_BYTES);
            if (status != TW_OK && out->len == out->cap)
                return status;
        }
    }
}

tw_status twi_ws_deflate_message(twi_ws_deflater *deflater, const uint8_t *data, size_t len, twi_ws_message *out)
{
    out->len = 0;
    if (deflater->broken)
        return TW_TOO_BIG;
    if (len == 0) { /* RFC 7692 section 7.2.3.6: an empty block; leaves the context alone */
        tw_status status = twi_ws_message_reserve(out, 1);
        if (status == TW_OK)
            out->data[out->len++] = 0x00;
        return status;
    }
    if (deflater->stream == NULL) {
        tw_status status = deflater_open(deflater);
        if (status != TW_OK)
            return status;
    }
    z_stream *z = &((stream *)deflater->stream)->z;
    size_t bound = deflateBound(z, len) + DEFLATE_SLACK_BYTES;
    tw_status status =
        twi_ws_message_reserve(out, bound < out->bytes_max || out->resize == NULL ? bound : out->bytes_max);
    if (status == TW_NO_MEMORY)
        return status;
    if (out->cap == 0)
        return TW_TOO_BIG;
    status = run_deflate(z, data, len, out);
    if (deflater->no_context_takeover)
        deflateReset(z);
    else
        deflater->broken = status != TW_OK;
    if (status != TW_OK)
        return status;
    TWI_ASSERT(out->len > TAIL_BYTES && memcmp(out->data + out->len - TAIL_BYTES, tail, TAIL_BYTES) == 0);
    out->len -= TAIL_BYTES;
    return TW_OK;
}

void twi_ws_deflater_fini(twi_ws_deflater *deflater)
{
    stream *s = deflater->stream;
    if (s == NULL)
        return;
    deflateEnd(&s->z);
    stream_close(s);
    deflater->stream = NULL;
}

/* ---- in ---- */

void twi_ws_inflater_init(twi_ws_inflater *inflater, const twi_ws_deflate_params *params, twi_resize_fn resize,
                          void *resize_owner)
{
    *inflater = (twi_ws_inflater){
        .resize = resize,
        .resize_owner = resize_owner,
        .window_bits = params->peer_window_bits,
        .no_context_takeover = params->peer_no_context_takeover,
    };
}

static tw_status inflater_open(twi_ws_inflater *inflater)
{
    stream *s = stream_open(inflater->resize, inflater->resize_owner);
    if (s == NULL)
        return TW_NO_MEMORY;
    /* Peers that ask zlib for 8 bits may get 9 without knowing. */
    int bits = inflater->window_bits == TWI_WS_WINDOW_BITS_MIN ? TWI_WS_WINDOW_BITS_MIN + 1 : inflater->window_bits;
    if (inflateInit2(&s->z, -bits) != Z_OK) {
        stream_close(s);
        return TW_NO_MEMORY;
    }
    inflater->stream = s;
    return TW_OK;
}

/* After a final block a new DEFLATE stream begins, with the same window behind it (RFC 7692 section 7.2.3.4). The call
 * is exported by zlib since 1.2.6; going through inflateGetDictionary would copy 32 KiB for every two bytes of a
 * hostile message. */
static bool begin_again(z_stream *z)
{
    return inflateResetKeep(z) == Z_OK;
}

static tw_status fail(twi_ws_inflater *inflater, tw_status status, uint8_t error)
{
    inflater->error = error;
    return status;
}

/* One call of inflate. When out is as long as it may be, one byte of scratch tells whether more would come. */
static tw_status inflate_step(z_stream *z, twi_ws_message *out, int *result)
{
    uint8_t scratch;
    tw_status room = out->len < out->cap ? TW_OK : twi_ws_message_reserve(out, out->cap + 1);
    if (room == TW_NO_MEMORY)
        return room;
    z->next_out = room == TW_OK ? out->data + out->len : &scratch;
    z->avail_out = room == TW_OK ? clamp(out->cap - out->len) : 1;
    uInt offered = z->avail_out;
    *result = inflate(z, Z_BLOCK);
    if (room != TW_OK)
        return z->avail_out == 0 ? TW_TOO_BIG : TW_OK;
    out->len += offered - z->avail_out;
    return TW_OK;
}

/* zlib's data_type after Z_BLOCK: 128 at the end of a block, 64 if it is the final one, and the bits of the last byte
 * that are not used yet. */
enum { AT_BLOCK_END = 128, IN_FINAL_BLOCK = 64, UNUSED_BITS = 63 };

static bool between_blocks(const z_stream *z)
{
    return (z->data_type & AT_BLOCK_END) != 0 && (z->data_type & UNUSED_BITS) == 0;
}

/* Z_BLOCK returns here first; the next call says Z_STREAM_END. */
static bool after_final_block(const z_stream *z)
{
    return (z->data_type & AT_BLOCK_END) != 0 && (z->data_type & IN_FINAL_BLOCK) != 0;
}

/* All of data. Stops at block ends on the way (Z_BLOCK), so that the last place is known to be one. */
static tw_status run_inflate(twi_ws_inflater *inflater, const uint8_t *data, size_t len, twi_ws_message *out)
{
    z_stream *z = &((stream *)inflater->stream)->z;
    z->next_in = (z_const Bytef *)data;
    do {
        if (inflater->ended && len > 0) {
            inflater->ended = false;
            if (!begin_again(z))
                return fail(inflater, TW_MALFORMED, TWI_WS_ERROR_INFLATE);
        }
        z->avail_in = clamp(len);
        uInt offered = z->avail_in;
        int result = Z_OK;
        tw_status status = inflate_step(z, out, &result);
        if (status != TW_OK)
            return fail(inflater, status, status == TW_TOO_BIG ? TWI_WS_ERROR_TOO_BIG : TWI_WS_ERROR_INFLATE);
        if (result == Z_MEM_ERROR) /* the window is allocated late */
            return fail(inflater, TW_NO_MEMORY, TWI_WS_ERROR_INFLATE);
        if (result != Z_OK && result != Z_BUF_ERROR && result != Z_STREAM_END)
            return fail(inflater, TW_MALFORMED, TWI_WS_ERROR_INFLATE);
        len -= offered - z->avail_in;
        inflater->ended = result == Z_STREAM_END;
    } while (len > 0 || (!inflater->ended && (z->avail_out == 0 || after_final_block(z))));
    return TW_OK;
}

static tw_status end_message(twi_ws_inflater *inflater, twi_ws_message *out)
{
    z_stream *z = &((stream *)inflater->stream)->z;
    if (!inflater->ended) {
        tw_status status = run_inflate(inflater, tail, TAIL_BYTES, out);
        if (status != TW_OK)
            return status;
        if (!between_blocks(z))
            return fail(inflater, TW_MALFORMED, TWI_WS_ERROR_INFLATE);
    }
    if (inflater->no_context_takeover) {
        inflater->ended = false;
        if (inflateReset(z) != Z_OK)
            return fail(inflater, TW_MALFORMED, TWI_WS_ERROR_INFLATE);
    }
    return TW_OK;
}

tw_status twi_ws_inflate_piece(twi_ws_inflater *inflater, const twi_ws_piece *piece, twi_ws_message *out)
{
    TWI_ASSERT((piece->flags & TWI_WS_COMPRESSED) != 0);
    bool last = (piece->flags & TWI_WS_LAST) != 0;
    if (inflater->stream == NULL) {
        tw_status status = inflater_open(inflater);
        if (status != TW_OK)
            return fail(inflater, status, TWI_WS_ERROR_INFLATE);
    }
    if ((piece->flags & TWI_WS_FIRST) != 0) {
        out->len = 0;
        out->opcode = piece->opcode;
        out->flags = TWI_WS_COMPRESSED;
        inflater->utf8 = (twi_utf8){0};
    }
    size_t len_before = out->len;
    tw_status status = run_inflate(inflater, piece->data, piece->len, out);
    if (status == TW_OK && last)
        status = end_message(inflater, out);
    if (status != TW_OK)
        return status;
    if (piece->opcode == TWI_WS_TEXT) {
        if (!twi_utf8_feed(&inflater->utf8, out->data + len_before, out->len - len_before) ||
            (last && !twi_utf8_complete(&inflater->utf8)))
            return fail(inflater, TW_MALFORMED, TWI_WS_ERROR_UTF8);
    }
    return last ? TW_OK : TW_NEED_MORE;
}

void twi_ws_inflater_fini(twi_ws_inflater *inflater)
{
    stream *s = inflater->stream;
    if (s == NULL)
        return;
    inflateEnd(&s->z);
    stream_close(s);
    inflater->stream = NULL;
}
