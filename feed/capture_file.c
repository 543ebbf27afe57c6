/* capture_file.c - reads the blocks of a capture and steps over what is damaged. */
#include "feed/capture_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { SEARCH_BYTES = 1 << 16 };

/* Reads up to len bytes; fewer at the end of the file or where it cannot be read. */
static size_t read_at(const twi_capture_file *file, uint64_t at, void *out, size_t len)
{
    if (at >= file->size || len == 0)
        return 0;
    if (len > file->size - at)
        len = (size_t)(file->size - at);
    if (file->fd < 0) {
        memcpy(out, file->bytes + at, len);
        return len;
    }
    size_t done = 0;
    while (done < len) {
        ssize_t count = pread(file->fd, (uint8_t *)out + done, len - done, (off_t)(at + done));
        if (count < 0 && errno == EINTR)
            continue;
        if (count <= 0)
            break;
        done += (size_t)count;
    }
    return done;
}

static tw_status reserve(uint8_t **buffer, size_t *cap, size_t needed)
{
    if (needed <= *cap)
        return TW_OK;
    free(*buffer);
    *cap = 0;
    *buffer = malloc(needed);
    if (!*buffer)
        return TW_NO_MEMORY;
    *cap = needed;
    return TW_OK;
}

/* A block header at `at` that is right in itself and whose payload ends before `end`. */
static int read_block_header(const twi_capture_file *file, uint64_t at, uint64_t end, twi_capture_block *block)
{
    if (end < at || end - at < sizeof(*block) || read_at(file, at, block, sizeof(*block)) != sizeof(*block))
        return 0;
    if (memcmp(block->magic, TWI_CAPTURE_BLOCK_MAGIC, TWI_CAPTURE_MAGIC_BYTES) != 0 ||
        block->header_crc != twi_capture_crc(block, offsetof(twi_capture_block, header_crc)))
        return 0;
    return block->stored_bytes <= TWI_CAPTURE_PAYLOAD_BYTES_MAX && block->raw_bytes <= TWI_CAPTURE_PAYLOAD_BYTES_MAX &&
           block->stored_bytes <= end - at - sizeof(*block);
}

/* The payload of `block` into file->raw. TW_MALFORMED: damaged. */
static tw_status load_payload(twi_capture_file *file, uint64_t at, const twi_capture_block *block)
{
    if (reserve(&file->stored, &file->stored_cap, block->stored_bytes) != TW_OK ||
        reserve(&file->raw, &file->raw_cap, block->raw_bytes) != TW_OK)
        return TW_NO_MEMORY;
    if (read_at(file, at + sizeof(*block), file->stored, block->stored_bytes) != block->stored_bytes)
        return TW_IO;
    if (twi_capture_crc(file->stored, block->stored_bytes) != block->payload_crc)
        return TW_MALFORMED;
    return twi_unpack(block->compression, file->stored, block->stored_bytes, file->raw, block->raw_bytes);
}

/* The next place at or behind `at` where a whole block begins; `end` if there is none. */
static uint64_t find_block(const twi_capture_file *file, uint64_t at, uint64_t end)
{
    uint8_t bytes[SEARCH_BYTES];
    while (at < end) {
        size_t len = read_at(file, at, bytes, end - at < SEARCH_BYTES ? (size_t)(end - at) : SEARCH_BYTES);
        const uint8_t *from = bytes, *found;
        while ((found = memmem(from, len - (size_t)(from - bytes), TWI_CAPTURE_BLOCK_MAGIC, TWI_CAPTURE_MAGIC_BYTES))) {
            twi_capture_block block;
            uint64_t found_at = at + (uint64_t)(found - bytes);
            if (read_block_header(file, found_at, end, &block))
                return found_at;
            from = found + 1;
        }
        if (len < TWI_CAPTURE_MAGIC_BYTES)
            break;
        at += len - (TWI_CAPTURE_MAGIC_BYTES - 1);
    }
    return end;
}

/* ---- the index ---- */

static int take_index(twi_capture_file *file, const twi_capture_block *block)
{
    twi_capture_index_head head;
    if (block->kind != TWI_CAPTURE_BLOCK_INDEX || block->raw_bytes < sizeof(head))
        return 0;
    memcpy(&head, file->raw, sizeof(head));
    if (head.entry_count > TWI_CAPTURE_INDEX_COUNT_MAX || head.definition_count > TWI_CAPTURE_INSTRUMENT_COUNT_MAX)
        return 0;
    size_t entry_bytes = head.entry_count * sizeof(twi_capture_index_entry);
    if (block->raw_bytes != sizeof(head) + entry_bytes + head.definition_count * sizeof(twi_capture_definition))
        return 0;
    if (twi_capture_index_reserve(&file->index, head.entry_count) != TW_OK)
        return 0;
    if (entry_bytes != 0)
        memcpy(file->index.entries, file->raw + sizeof(head), entry_bytes);
    file->index.count = head.entry_count;
    file->definitions = file->raw + sizeof(head) + entry_bytes;
    file->totals = head;
    return 1;
}

static tw_status read_index(twi_capture_file *file)
{
    twi_capture_trailer trailer;
    twi_capture_block block;
    file->data_end = file->size;
    if (file->size < sizeof(file->header) + sizeof(trailer))
        return TW_OK;
    uint64_t trailer_at = file->size - sizeof(trailer);
    if (read_at(file, trailer_at, &trailer, sizeof(trailer)) != sizeof(trailer) ||
        memcmp(trailer.magic, TWI_CAPTURE_TRAILER_MAGIC, TWI_CAPTURE_MAGIC_BYTES) != 0 ||
        trailer.crc != twi_capture_crc(&trailer, offsetof(twi_capture_trailer, crc)) ||
        trailer.file_bytes != file->size || trailer.index_offset < sizeof(file->header))
        return TW_OK;
    if (!read_block_header(file, trailer.index_offset, trailer_at, &block))
        return TW_OK;
    tw_status status = load_payload(file, trailer.index_offset, &block);
    if (status == TW_NO_MEMORY)
        return status;
    if (status != TW_OK || !take_index(file, &block))
        return TW_OK;
    file->is_closed = 1;
    file->data_end = trailer.index_offset;
    return TW_OK;
}

/* ---- open ---- */

static tw_status read_header(twi_capture_file *file, char *error, size_t error_cap)
{
    twi_capture_header *header = &file->header;
    size_t len = read_at(file, 0, header, sizeof(*header));
    if (!twi_capture_recognises((const uint8_t *)header, len)) {
        snprintf(error, error_cap, "not a capture (it does not begin with %s)", TWI_CAPTURE_MAGIC);
        return TW_NOT_SUPPORTED;
    }
    if (len < sizeof(*header) || header->crc != twi_capture_crc(header, offsetof(twi_capture_header, crc))) {
        snprintf(error, error_cap, "the header of the capture is damaged");
        return TW_MALFORMED;
    }
    if (header->version != TWI_CAPTURE_VERSION || header->header_bytes != sizeof(*header)) {
        snprintf(error, error_cap, "capture of version %u; this program reads version %d", header->version,
                 TWI_CAPTURE_VERSION);
        return TW_NOT_SUPPORTED;
    }
    return TW_OK;
}

static tw_status finish_open(twi_capture_file *file, char *error, size_t error_cap)
{
    tw_status status = read_header(file, error, error_cap);
    if (status == TW_OK)
        status = read_index(file);
    if (status == TW_NO_MEMORY)
        snprintf(error, error_cap, "no memory for reading a capture");
    if (status != TW_OK) {
        twi_capture_file_close(file);
        return status;
    }
    twi_capture_file_seek(file, NULL);
    return TW_OK;
}

tw_status twi_capture_file_open(twi_capture_file *file, const char *path, char *error, size_t error_cap)
{
    struct stat info;
    *file = (twi_capture_file){.fd = open(path, O_RDONLY | O_CLOEXEC)};
    if (file->fd < 0 || fstat(file->fd, &info) != 0 || !S_ISREG(info.st_mode)) {
        snprintf(error, error_cap, "cannot open %s: %s", path, file->fd < 0 ? strerror(errno) : "not a file");
        twi_capture_file_close(file);
        return TW_IO;
    }
    file->size = (uint64_t)info.st_size;
    return finish_open(file, error, error_cap);
}

tw_status twi_capture_file_open_bytes(twi_capture_file *file, const uint8_t *bytes, size_t len, char *error,
                                      size_t error_cap)
{
    *file = (twi_capture_file){.fd = -1, .bytes = bytes, .size = len};
    return finish_open(file, error, error_cap);
}

void twi_capture_file_close(twi_capture_file *file)
{
    if (file->fd >= 0)
        close(file->fd);
    free(file->stored);
    free(file->raw);
    twi_capture_index_close(&file->index);
    *file = (twi_capture_file){.fd = -1};
}

/* ---- blocks in order ---- */

static tw_status end_of_blocks(twi_capture_file *file)
{
    if (!file->is_closed)
        file->torn_bytes = file->data_end - file->at;
    else if (file->totals.block_count > file->next_number)
        file->bad_blocks += file->totals.block_count - file->next_number;
    file->next_number = UINT64_MAX; /* asked again, nothing is counted twice */
    return TW_EMPTY;
}

tw_status twi_capture_file_next(twi_capture_file *file)
{
    file->definitions = NULL;
    for (uint64_t at = file->at;;) {
        twi_capture_block block;
        if (!read_block_header(file, at, file->data_end, &block)) {
            at = find_block(file, at, file->data_end);
            if (!read_block_header(file, at, file->data_end, &block))
                return end_of_blocks(file);
        }
        tw_status status = block.kind == TWI_CAPTURE_BLOCK_DATA ? load_payload(file, at, &block) : TW_EMPTY;
        if (status == TW_NO_MEMORY || status == TW_IO)
            return status;
        if (status != TW_OK) { /* an index without a trailer, or damage: a whole block may hide in a damaged one */
            at = status == TW_EMPTY ? at + sizeof(block) + block.stored_bytes : at + 1;
            continue;
        }
        if (block.number > file->next_number)
            file->bad_blocks += block.number - file->next_number;
        file->next_number = block.number + 1;
        file->block = block;
        file->block_at = at;
        file->at = at + sizeof(block) + block.stored_bytes;
        return TW_OK;
    }
}

void twi_capture_file_seek(twi_capture_file *file, const twi_capture_index_entry *entry)
{
    file->at = entry && entry->offset >= sizeof(file->header) ? entry->offset : sizeof(file->header);
    file->next_number = entry ? entry->number : 0;
    file->bad_blocks = 0;
    file->torn_bytes = 0;
}
