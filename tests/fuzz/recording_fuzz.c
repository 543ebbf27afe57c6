/* recording_fuzz.c - the readers of foreign recordings, plain and compressed, on hostile bytes. */
#include <stdint.h>
#include <string.h>

#include "engine/base/assert.h"
#include "feed/recording.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static uint32_t sink;

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char error[256];
    twi_recording *recording;
    if (twi_recording_open_bytes("input", data, size, &recording, error, sizeof(error)) != TW_OK)
        return 0;
    twi_frame frame;
    uint64_t count = 0;
    while (twi_recording_next(recording, &frame) == TW_OK) {
        TWI_ASSERT(frame.kind >= TWI_FRAME_CONNECT && frame.kind <= TWI_FRAME_CLOSED);
        TWI_ASSERT(frame.conn == TWI_CONN_NONE || frame.conn < TWI_RECORDING_CONN_COUNT_MAX);
        TWI_ASSERT(strlen(frame.url) == frame.url_len || memchr(frame.url, '\0', frame.url_len));
        for (size_t i = 0; i < frame.bytes_len; i++)
            sink += frame.bytes[i];
        count++;
    }
    const twi_recording_stats *stats = twi_recording_get_stats(recording);
    TWI_ASSERT(stats->frames == count);
    TWI_ASSERT((stats->bad_lines + stats->bad_files + stats->torn_bytes != 0) == (stats->first_error[0] != '\0'));
    twi_recording_close(recording);
    return 0;
}
