/* subscriber_scan_flatbuffers_fuzz.c - any bytes as a message for the light scan; see subscriber_scan_fuzz.h. */
#include "tests/fuzz/subscriber_scan_fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    twt_fuzz_scan(&tw_codec_flatbuffers, twi_scan_flatbuffers, data, size, data, size);
    return 0;
}
