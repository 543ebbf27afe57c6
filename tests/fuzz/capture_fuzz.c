/* capture_fuzz.c - the capture reader on hostile bytes. Checksums would stop nearly every change at the door, so the
 * first byte says what the rest is: a whole file, the payload of a data block, or the payload of an index block; for
 * the last two a file with right checksums is built around it. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/assert.h"
#include "feed/capture_format.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { AS_FILE = 0, AS_RECORDS = 1, AS_INDEX = 2, AS_COUNT = 3 };

static size_t put(uint8_t *out, size_t at, const void *bytes, size_t len)
{
    if (len != 0)
        memcpy(out + at, bytes, len);
    return at + len;
}

static size_t put_block(uint8_t *out, size_t at, uint8_t kind, const uint8_t *payload, size_t len)
{
    twi_capture_block block = {.magic = TWI_CAPTURE_BLOCK_MAGIC,
                               .kind = kind,
                               .stored_bytes = (uint32_t)len,
                               .raw_bytes = (uint32_t)len,
                               .event_count = 1,
                               .payload_crc = twi_capture_crc(payload, len)};
    block.header_crc = twi_capture_crc(&block, offsetof(twi_capture_block, header_crc));
    at = put(out, at, &block, sizeof(block));
    return put(out, at, payload, len);
}

/* A file that is right in everything but its meaning. */
static size_t build(uint8_t *out, int what, const uint8_t *payload, size_t len)
{
    twi_capture_header header = {
        .magic = TWI_CAPTURE_MAGIC, .version = TWI_CAPTURE_VERSION, .header_bytes = sizeof(header)};
    header.crc = twi_capture_crc(&header, offsetof(twi_capture_header, crc));
    size_t at = put(out, 0, &header, sizeof(header));
    if (what == AS_RECORDS)
        return put_block(out, at, TWI_CAPTURE_BLOCK_DATA, payload, len);
    at = put_block(out, at, TWI_CAPTURE_BLOCK_DATA, payload, len / 2);
    twi_capture_trailer trailer = {.magic = TWI_CAPTURE_TRAILER_MAGIC, .index_offset = at};
    at = put_block(out, at, TWI_CAPTURE_BLOCK_INDEX, payload, len);
    trailer.file_bytes = at + sizeof(trailer);
    trailer.crc = twi_capture_crc(&trailer, offsetof(twi_capture_trailer, crc));
    return put(out, at, &trailer, sizeof(trailer));
}

static uint32_t sink;

/* Touches every byte that the reader lends. */
static void touch(const twi_capture_reader *reader, const twi_capture_record *record)
{
    if (record->kind == TWI_CAPTURE_EVENTS) {
        for (uint64_t i = 0; i < record->count; i++) {
            const tw_instrument *known = twi_capture_instrument(reader, record->events[i].instrument);
            sink += record->events[i].kind + (known ? known->symbol_len : 0u);
            TWI_ASSERT(!known || strlen(known->symbol) == known->symbol_len);
        }
    } else if (record->kind == TWI_CAPTURE_FRAME) {
        TWI_ASSERT(strlen(record->frame.url) == record->frame.url_len);
        sink += twi_capture_crc(record->frame.bytes, record->frame.bytes_len);
    }
}

static void read_all(const uint8_t *bytes, size_t len)
{
    char error[256];
    twi_capture_reader *reader;
    if (twi_capture_open_bytes(bytes, len, &reader, error, sizeof(error)) != TW_OK)
        return;
    twi_capture_record record;
    while (twi_capture_next(reader, &record) == TW_OK)
        touch(reader, &record);
    TWI_ASSERT(twi_capture_get_info(reader)->torn_bytes <= len);
    for (int64_t time_ns = -1; time_ns < 4; time_ns++) {
        if (twi_capture_seek(reader, time_ns) == TW_OK && twi_capture_next(reader, &record) == TW_OK)
            touch(reader, &record);
    }
    twi_capture_reader_close(reader);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    int what = data[0] % AS_COUNT;
    if (what == AS_FILE) {
        read_all(data + 1, size - 1);
        return 0;
    }
    uint8_t *file = malloc(2 * size + 1024);
    TWI_ASSERT(file);
    size_t len = build(file, what, data + 1, size - 1);
    uint8_t *exact = malloc(len);
    TWI_ASSERT(exact);
    memcpy(exact, file, len);
    free(file);
    read_all(exact, len);
    free(exact);
    return 0;
}
