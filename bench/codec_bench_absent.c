/* codec_bench_absent.c - takes the place of codec_bench_official.cpp where the FlatBuffers library is missing. */
#include "bench/codec_bench.h"

twb_official *twb_official_open(void)
{
    return NULL;
}

void twb_official_close(twb_official *official)
{
    (void)official;
}

size_t twb_official_encode_trade(twb_official *official, const tw_instrument *instrument, const tw_record *record,
                                 const char *id, size_t id_len, const uint8_t **bytes)
{
    (void)official;
    (void)instrument;
    (void)record;
    (void)id;
    (void)id_len;
    *bytes = NULL;
    return 0;
}

uint64_t twb_official_decode_trade(const uint8_t *bytes, size_t len)
{
    (void)bytes;
    (void)len;
    return 0;
}
