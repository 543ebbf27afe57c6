/* capture_pack.c - compression and checksums of capture blocks: zlib always, zstd where the library is. */
#include <stdlib.h>
#include <string.h>
#include <zlib.h>
#if TWI_HAVE_ZSTD
#include <zstd.h>
#endif

#include "feed/capture_format.h"

/* Levels at which a core keeps up with a few hundred megabytes per second. */
enum { ZLIB_LEVEL = 1, ZSTD_LEVEL = 1 };

struct twi_packer {
    uint8_t compression;
#if TWI_HAVE_ZSTD
    ZSTD_CCtx *zstd;
#endif
};

static const char *const names[] = {"none", "zlib", "zstd"};

const char *twi_compression_name(uint8_t compression)
{
    return compression < sizeof(names) / sizeof(names[0]) ? names[compression] : NULL;
}

int twi_compression_is_there(uint8_t compression)
{
    return compression <= TWI_COMPRESSION_ZLIB || (compression == TWI_COMPRESSION_ZSTD && TWI_HAVE_ZSTD);
}

tw_status twi_packer_open(uint8_t compression, twi_packer **out)
{
    if (!twi_compression_is_there(compression))
        return TW_NOT_SUPPORTED;
    twi_packer *packer = calloc(1, sizeof(*packer));
    if (!packer)
        return TW_NO_MEMORY;
    packer->compression = compression;
#if TWI_HAVE_ZSTD
    packer->zstd = compression == TWI_COMPRESSION_ZSTD ? ZSTD_createCCtx() : NULL;
    if (compression == TWI_COMPRESSION_ZSTD && !packer->zstd) {
        free(packer);
        return TW_NO_MEMORY;
    }
#endif
    *out = packer;
    return TW_OK;
}

void twi_packer_close(twi_packer *packer)
{
    if (!packer)
        return;
#if TWI_HAVE_ZSTD
    ZSTD_freeCCtx(packer->zstd);
#endif
    free(packer);
}

size_t twi_packer_bound(const twi_packer *packer, size_t len)
{
    switch (packer->compression) {
    case TWI_COMPRESSION_ZLIB:
        return compressBound(len);
#if TWI_HAVE_ZSTD
    case TWI_COMPRESSION_ZSTD:
        return ZSTD_compressBound(len);
#endif
    default:
        return 0;
    }
}

static size_t pack_zlib(const uint8_t *in, size_t len, uint8_t *out, size_t out_cap)
{
    uLongf out_len = out_cap;
    return compress2(out, &out_len, in, len, ZLIB_LEVEL) == Z_OK ? out_len : 0;
}

size_t twi_packer_pack(twi_packer *packer, const uint8_t *in, size_t len, uint8_t *out, size_t out_cap)
{
    size_t packed = 0;
    if (packer->compression == TWI_COMPRESSION_ZLIB)
        packed = pack_zlib(in, len, out, out_cap);
#if TWI_HAVE_ZSTD
    if (packer->compression == TWI_COMPRESSION_ZSTD) {
        packed = ZSTD_compressCCtx(packer->zstd, out, out_cap, in, len, ZSTD_LEVEL);
        if (ZSTD_isError(packed))
            packed = 0;
    }
#endif
    return packed < len ? packed : 0;
}

static tw_status unpack_zlib(const uint8_t *in, size_t len, uint8_t *out, size_t out_len)
{
    uLongf got = out_len;
    return uncompress(out, &got, in, len) == Z_OK && got == out_len ? TW_OK : TW_MALFORMED;
}

tw_status twi_unpack(uint8_t compression, const uint8_t *in, size_t len, uint8_t *out, size_t out_len)
{
    if (!twi_compression_is_there(compression))
        return TW_NOT_SUPPORTED;
    if (compression == TWI_COMPRESSION_ZLIB)
        return unpack_zlib(in, len, out, out_len);
#if TWI_HAVE_ZSTD
    if (compression == TWI_COMPRESSION_ZSTD)
        return ZSTD_decompress(out, out_len, in, len) == out_len ? TW_OK : TW_MALFORMED;
#endif
    if (len != out_len)
        return TW_MALFORMED;
    if (len != 0)
        memcpy(out, in, len);
    return TW_OK;
}

uint32_t twi_capture_crc(const void *bytes, size_t len)
{
    return (uint32_t)crc32_z(0, bytes, len);
}
