/* codec_flatbuffers_fuzz.c - any bytes as a message of the flatbuffers codec; see codec_fuzz.h for what must hold. */
#include "tests/fuzz/codec_fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    twt_fuzz_codec(&tw_codec_flatbuffers, &tw_codec_json, data, size);
    return 0;
}
