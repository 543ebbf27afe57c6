/* subscriber_scan_json_fuzz.c - any bytes as a message for the light scan; see subscriber_scan_fuzz.h. */
#include "tests/fuzz/subscriber_scan_fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { INPUT_BYTES_MAX = 1 << 14 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static uint8_t spaced[INPUT_BYTES_MAX + 1]; /* a blank in front, and nothing is at its fixed place */
    if (size > INPUT_BYTES_MAX)
        return 0;
    spaced[0] = ' ';
    memcpy(spaced + 1, data, size);
    twt_fuzz_scan(&tw_codec_json, twi_scan_json, data, size, spaced, size + 1);
    return 0;
}
