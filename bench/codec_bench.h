/* codec_bench.h - the cases of codec_bench: what is measured, and the seam to the one case that is C++. */
#ifndef TWI_CODEC_BENCH_H
#define TWI_CODEC_BENCH_H

#include "tickwire/codec.h"

#ifdef __cplusplus
extern "C" {
#endif

/* The official FlatBuffers library doing what our codec does. */
typedef struct twb_official twb_official;

/* NULL if the program was built without the FlatBuffers library. */
twb_official *twb_official_open(void);
void twb_official_close(twb_official *official);

/* Builds one trade with a reused FlatBufferBuilder (Clear, CreateString, CreateTrade, CreateMessage, Finish), as its
 * documentation recommends. Returns the message's size; *bytes stays valid until the next call. */
size_t twb_official_encode_trade(twb_official *official, const tw_instrument *instrument, const tw_record *record,
                                 const char *id, size_t id_len, const uint8_t **bytes);

/* Verifies one trade and reads all of its fields; returns a sum of them. */
uint64_t twb_official_decode_trade(const uint8_t *bytes, size_t len);

#ifdef __cplusplus
}
#endif
#endif
