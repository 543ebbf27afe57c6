/* codec_fuzz.h - what the fuzz targets of the codecs share: any bytes are decoded or refused; what is decoded can be
 * encoded by every codec, and comes back the same through its own. */
#ifndef TWT_CODEC_FUZZ_H
#define TWT_CODEC_FUZZ_H

#include "engine/base/assert.h"
#include "tests/unit/codec_support.h"

enum { TWT_FUZZ_LEVELS_MAX = 256, TWT_FUZZ_TABLE_BYTES = 4096, TWT_FUZZ_MESSAGE_BYTES = 1 << 16 };

static inline void twt_fuzz_codec(const tw_codec_ops *codec, const tw_codec_ops *other, const uint8_t *data,
                                  size_t size)
{
    static _Alignas(64) uint8_t table[TWT_FUZZ_TABLE_BYTES];
    static uint8_t out[TWT_FUZZ_MESSAGE_BYTES];
    static tw_event events[TWT_FUZZ_LEVELS_MAX], again[TWT_FUZZ_LEVELS_MAX];
    tw_symbols *symbols = tw_symbols_init(table, 2);
    tw_record record, back;
    uint32_t count = TWT_FUZZ_LEVELS_MAX;
    tw_status status = codec->decode(symbols, data, size, events, &count, &record);
    if (status != TW_OK) {
        TWI_ASSERT(status == TW_MALFORMED || status == TW_TOO_BIG || status == TW_NOT_SUPPORTED);
        return;
    }
    TWI_ASSERT(count >= 1 && count <= TWT_FUZZ_LEVELS_MAX && record.event_count == count && record.events == events);
    TWI_ASSERT(other->encode(symbols, &record, out, sizeof(out)) > 0);
    size_t len = codec->encode(symbols, &record, out, sizeof(out));
    TWI_ASSERT(len > 0);
    count = TWT_FUZZ_LEVELS_MAX;
    TWI_ASSERT(codec->decode(symbols, out, len, again, &count, &back) == TW_OK);
    const char *difference = twt_difference(symbols, &record, symbols, &back, 1);
    TWI_ASSERT(difference == NULL);
}

#endif
