/* capture_write.c - the capture writer: collects records in a block, packs, checks and writes it, and ends with the
 * index. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "feed/capture_format.h"

enum { FILE_MODE = 0640 };
#define NOT_DEFINED UINT64_MAX

typedef struct known_instrument {
    uint64_t block; /* the last block that defines it; NOT_DEFINED: never used */
    tw_instrument instrument;
} known_instrument;

typedef struct known_conn {
    uint64_t block;
    char *url;
    uint32_t url_len;
} known_conn;

struct twi_capture_writer {
    int fd;
    tw_status failure;
    char error[256];
    uint32_t block_bytes;
    uint8_t compression;
    twi_packer *packer;
    uint8_t *raw; /* the block that is being filled */
    size_t raw_len, raw_cap;
    size_t run_at; /* where the last record's head is, if it is EVENTS; else SIZE_MAX */
    int is_in_group;
    uint8_t *packed;
    size_t packed_cap;
    twi_capture_block block;
    uint64_t offset; /* in the file, of what is written next */
    known_instrument *instruments;
    uint32_t instrument_cap;
    known_conn *conns;
    uint32_t conn_cap;
    twi_capture_index_head totals;
    twi_capture_index index;
};

static tw_status fail(twi_capture_writer *writer, const char *what)
{
    if (writer->failure == TW_OK) {
        writer->failure = TW_IO;
        snprintf(writer->error, sizeof(writer->error), "%s: %s", what, strerror(errno));
    }
    return writer->failure;
}

static tw_status write_all(twi_capture_writer *writer, const void *bytes, size_t len)
{
    const uint8_t *at = bytes;
    while (len != 0 && writer->failure == TW_OK) {
        ssize_t count = write(writer->fd, at, len);
        if (count < 0 && errno == EINTR)
            continue;
        if (count < 0)
            return fail(writer, "writing the capture");
        at += count;
        len -= (size_t)count;
        writer->offset += (uint64_t)count;
    }
    return writer->failure;
}

/* ---- the block in memory ---- */

static void begin_block(twi_capture_writer *writer)
{
    uint64_t number = writer->totals.block_count;
    writer->block = (twi_capture_block){.magic = TWI_CAPTURE_BLOCK_MAGIC, .kind = TWI_CAPTURE_BLOCK_DATA};
    writer->block.number = number;
    writer->raw_len = 0;
    writer->run_at = SIZE_MAX;
}

static tw_status reserve(uint8_t **buffer, size_t *cap, size_t needed)
{
    if (needed <= *cap)
        return TW_OK;
    size_t larger_cap = *cap * 2 > needed ? *cap * 2 : needed;
    uint8_t *larger = realloc(*buffer, larger_cap);
    if (!larger)
        return TW_NO_MEMORY;
    *buffer = larger;
    *cap = larger_cap;
    return TW_OK;
}

/* Appends a record whose body the caller fills in. */
static tw_status add_record(twi_capture_writer *writer, uint8_t type, size_t bytes, uint8_t **body)
{
    size_t total = sizeof(twi_capture_record_head) + twi_capture_padded(bytes);
    tw_status status = reserve(&writer->raw, &writer->raw_cap, writer->raw_len + total);
    if (status != TW_OK)
        return status;
    twi_capture_record_head head = {.bytes = (uint32_t)bytes, .type = type};
    uint8_t *at = writer->raw + writer->raw_len;
    memset(at + total - TWI_CAPTURE_ALIGNMENT, 0, TWI_CAPTURE_ALIGNMENT); /* the padding */
    memcpy(at, &head, sizeof(head));
    *body = at + sizeof(head);
    writer->raw_len += total;
    writer->run_at = SIZE_MAX;
    return TW_OK;
}

static void include_time(twi_capture_writer *writer, int64_t recv_ns)
{
    if (recv_ns == 0)
        return;
    if (writer->block.first_ns == 0 || recv_ns < writer->block.first_ns)
        writer->block.first_ns = recv_ns;
    if (recv_ns > writer->block.last_ns)
        writer->block.last_ns = recv_ns;
}

/* ---- blocks in the file ---- */

/* Header and payload of `block`; the payload is `raw`, packed if that makes it smaller. */
static tw_status write_block(twi_capture_writer *writer, twi_capture_block *block, const uint8_t *raw, size_t raw_len)
{
    const uint8_t *stored = raw;
    size_t stored_len = raw_len, packed_len = 0, bound = twi_packer_bound(writer->packer, raw_len);
    tw_status status = reserve(&writer->packed, &writer->packed_cap, bound);
    if (status != TW_OK)
        return status;
    if (bound != 0)
        packed_len = twi_packer_pack(writer->packer, raw, raw_len, writer->packed, writer->packed_cap);
    block->compression = packed_len != 0 ? writer->compression : (uint8_t)TWI_COMPRESSION_NONE;
    if (packed_len != 0) {
        stored = writer->packed;
        stored_len = packed_len;
    }
    block->stored_bytes = (uint32_t)stored_len;
    block->raw_bytes = (uint32_t)raw_len;
    block->payload_crc = twi_capture_crc(stored, stored_len);
    block->header_crc = twi_capture_crc(block, offsetof(twi_capture_block, header_crc));
    status = write_all(writer, block, sizeof(*block));
    return status == TW_OK ? write_all(writer, stored, stored_len) : status;
}

static tw_status write_data_block(twi_capture_writer *writer)
{
    if (writer->failure != TW_OK || writer->raw_len == 0)
        return writer->failure;
    twi_capture_index_add(&writer->index, writer->offset, &writer->block);
    tw_status status = write_block(writer, &writer->block, writer->raw, writer->raw_len);
    if (status != TW_OK)
        return status;
    twi_capture_add_totals(&writer->totals, &writer->block);
    begin_block(writer);
    return TW_OK;
}

tw_status twi_capture_flush(twi_capture_writer *writer)
{
    return writer->is_in_group ? writer->failure : write_data_block(writer);
}

tw_status twi_capture_sync(twi_capture_writer *writer)
{
    tw_status status = twi_capture_flush(writer);
    if (status == TW_OK && fsync(writer->fd) != 0)
        return fail(writer, "syncing the capture");
    return status;
}

static tw_status flush_if_full(twi_capture_writer *writer)
{
    size_t limit = writer->block_bytes + (writer->is_in_group ? (size_t)TWI_CAPTURE_GROUP_BYTES_MAX : 0);
    return writer->raw_len >= limit ? write_data_block(writer) : TW_OK;
}

/* ---- events ---- */

static tw_status grow_instruments(twi_capture_writer *writer, uint32_t number)
{
    if (number >= TWI_CAPTURE_INSTRUMENT_COUNT_MAX)
        return TW_TOO_BIG;
    uint32_t cap = writer->instrument_cap ? writer->instrument_cap : 64;
    while (cap <= number)
        cap *= 2;
    known_instrument *larger = realloc(writer->instruments, cap * sizeof(*larger));
    if (!larger)
        return TW_NO_MEMORY;
    for (uint32_t i = writer->instrument_cap; i < cap; i++)
        larger[i] = (known_instrument){.block = NOT_DEFINED};
    writer->instruments = larger;
    writer->instrument_cap = cap;
    return TW_OK;
}

/* Makes sure that the current block says what instrument this number is. */
static tw_status define_instrument(twi_capture_writer *writer, const tw_symbols *symbols, uint32_t number)
{
    if (number < writer->instrument_cap && writer->instruments[number].block == writer->block.number)
        return TW_OK;
    const tw_instrument *instrument = tw_symbols_get(symbols, number);
    if (!instrument)
        return TW_BAD_ARGUMENT;
    tw_status status = number < writer->instrument_cap ? TW_OK : grow_instruments(writer, number);
    uint8_t *body;
    if (status == TW_OK)
        status = add_record(writer, TWI_CAPTURE_TYPE_INSTRUMENT, sizeof(twi_capture_definition), &body);
    if (status != TW_OK)
        return status;
    twi_capture_definition definition = {.number = number, .instrument = *instrument};
    memcpy(body, &definition, sizeof(definition));
    writer->instruments[number] = (known_instrument){.block = writer->block.number, .instrument = *instrument};
    return TW_OK;
}

/* Appends to the record of events at the end of the block, if there is one, or begins one. */
static tw_status add_event(twi_capture_writer *writer, const tw_event *event)
{
    uint8_t *body;
    tw_status status = TW_OK;
    size_t run_at = writer->run_at;
    if (run_at == SIZE_MAX) {
        run_at = writer->raw_len;
        status = add_record(writer, TWI_CAPTURE_TYPE_EVENTS, sizeof(*event), &body);
    } else {
        status = reserve(&writer->raw, &writer->raw_cap, writer->raw_len + sizeof(*event));
        body = writer->raw + writer->raw_len;
    }
    if (status != TW_OK)
        return status;
    memcpy(body, event, sizeof(*event));
    if (writer->run_at != SIZE_MAX) {
        twi_capture_record_head *head = (twi_capture_record_head *)(void *)(writer->raw + run_at);
        head->bytes += (uint32_t)sizeof(*event);
        writer->raw_len += sizeof(*event);
    }
    writer->run_at = run_at;
    writer->block.event_count++;
    include_time(writer, event->recv_ns);
    return TW_OK;
}
_Static_assert(sizeof(tw_event) % TWI_CAPTURE_ALIGNMENT == 0, "a run of events needs no padding");

tw_status twi_capture_events(twi_capture_writer *writer, const tw_symbols *symbols, const tw_event *events,
                             size_t count)
{
    tw_status status = writer->failure;
    for (size_t i = 0; i < count && status == TW_OK; i++) {
        status = define_instrument(writer, symbols, events[i].instrument);
        if (status == TW_OK)
            status = add_event(writer, &events[i]);
        writer->is_in_group = !(events[i].flags & TW_FLAG_LAST);
        if (status == TW_OK)
            status = flush_if_full(writer);
    }
    return status;
}

tw_status twi_capture_loss(twi_capture_writer *writer, int64_t recv_ns, uint64_t count)
{
    uint8_t *body;
    tw_status status = writer->failure;
    if (status == TW_OK)
        status = add_record(writer, TWI_CAPTURE_TYPE_LOSS, sizeof(twi_capture_loss_body), &body);
    if (status != TW_OK)
        return status;
    twi_capture_loss_body loss = {.recv_ns = recv_ns, .count = count};
    memcpy(body, &loss, sizeof(loss));
    uint64_t lost = writer->block.lost_count + count;
    writer->block.lost_count = lost > UINT32_MAX ? UINT32_MAX : (uint32_t)lost;
    writer->is_in_group = 0; /* whatever group was open will not be ended */
    return flush_if_full(writer);
}

/* ---- frames ---- */

static tw_status grow_conns(twi_capture_writer *writer, uint32_t conn)
{
    if (conn >= TWI_RECORDING_CONN_COUNT_MAX)
        return TW_TOO_BIG;
    uint32_t cap = writer->conn_cap ? writer->conn_cap : 16;
    while (cap <= conn)
        cap *= 2;
    known_conn *larger = realloc(writer->conns, cap * sizeof(*larger));
    if (!larger)
        return TW_NO_MEMORY;
    for (uint32_t i = writer->conn_cap; i < cap; i++)
        larger[i] = (known_conn){.block = NOT_DEFINED};
    writer->conns = larger;
    writer->conn_cap = cap;
    return TW_OK;
}

static tw_status remember_url(known_conn *known, const twi_frame *frame)
{
    if (known->url && known->url_len == frame->url_len && memcmp(known->url, frame->url, frame->url_len) == 0)
        return TW_OK;
    char *copy = malloc(frame->url_len + 1);
    if (!copy)
        return TW_NO_MEMORY;
    memcpy(copy, frame->url, frame->url_len);
    copy[frame->url_len] = '\0';
    free(known->url);
    known->url = copy;
    known->url_len = (uint32_t)frame->url_len;
    known->block = NOT_DEFINED;
    return TW_OK;
}

/* Makes sure that the current block says what this connection was opened to. */
static tw_status define_conn(twi_capture_writer *writer, const twi_frame *frame)
{
    tw_status status = frame->conn < writer->conn_cap ? TW_OK : grow_conns(writer, frame->conn);
    if (status != TW_OK)
        return status;
    known_conn *known = &writer->conns[frame->conn];
    status = remember_url(known, frame);
    if (status != TW_OK || known->block == writer->block.number || frame->kind == TWI_FRAME_CONNECT) {
        known->block = writer->block.number; /* a CONNECT frame brings the URL itself */
        return status;
    }
    uint8_t *body;
    status = add_record(writer, TWI_CAPTURE_TYPE_CONN, sizeof(frame->conn) + known->url_len, &body);
    if (status != TW_OK)
        return status;
    memcpy(body, &frame->conn, sizeof(frame->conn));
    memcpy(body + sizeof(frame->conn), known->url, known->url_len);
    known->block = writer->block.number;
    return TW_OK;
}

tw_status twi_capture_frame(twi_capture_writer *writer, const twi_frame *frame)
{
    tw_status status = writer->failure;
    if (status == TW_OK && frame->conn != TWI_CONN_NONE)
        status = define_conn(writer, frame);
    int has_url = frame->kind == TWI_FRAME_CONNECT || frame->kind == TWI_FRAME_HTTP;
    size_t url_len = has_url ? frame->url_len : 0;
    size_t bytes = sizeof(twi_capture_frame_head) + url_len + frame->bytes_len;
    if (status == TW_OK && (url_len > TWI_CAPTURE_RECORD_BYTES_MAX || frame->bytes_len > TWI_CAPTURE_RECORD_BYTES_MAX ||
                            bytes > TWI_CAPTURE_RECORD_BYTES_MAX))
        status = TW_TOO_BIG;
    uint8_t *body;
    if (status == TW_OK)
        status = add_record(writer, TWI_CAPTURE_TYPE_FRAME, bytes, &body);
    if (status != TW_OK)
        return status;
    twi_capture_frame_head head = {.recv_ns = frame->recv_ns,
                                   .conn = frame->conn,
                                   .kind = frame->kind,
                                   .flags = frame->flags,
                                   .url_bytes = (uint32_t)url_len,
                                   .body_bytes = (uint32_t)frame->bytes_len};
    memcpy(body, &head, sizeof(head));
    memcpy(body + sizeof(head), frame->url, url_len);
    memcpy(body + sizeof(head) + url_len, frame->bytes, frame->bytes_len);
    writer->block.frame_count++;
    include_time(writer, frame->recv_ns);
    return flush_if_full(writer);
}

/* ---- open and close ---- */

static tw_status allocate(const twi_capture_options *options, twi_capture_writer **out)
{
    twi_capture_writer *writer = calloc(1, sizeof(*writer));
    if (!writer)
        return TW_NO_MEMORY;
    *out = writer;
    writer->fd = -1;
    writer->block_bytes = options->block_bytes ? options->block_bytes : (uint32_t)TWI_CAPTURE_BLOCK_BYTES;
    writer->compression = options->compression;
    writer->raw_cap = writer->block_bytes + (size_t)TWI_CAPTURE_BLOCK_BYTES_MIN;
    writer->raw = malloc(writer->raw_cap);
    if (!writer->raw)
        return TW_NO_MEMORY;
    return twi_packer_open(options->compression, &writer->packer);
}

static void release(twi_capture_writer *writer)
{
    if (!writer)
        return;
    for (uint32_t i = 0; i < writer->conn_cap; i++)
        free(writer->conns[i].url);
    free(writer->conns);
    free(writer->instruments);
    twi_capture_index_close(&writer->index);
    free(writer->packed);
    free(writer->raw);
    twi_packer_close(writer->packer);
    if (writer->fd >= 0)
        close(writer->fd);
    free(writer);
}

static tw_status write_header(twi_capture_writer *writer, const twi_capture_options *options)
{
    twi_capture_header header = {.magic = TWI_CAPTURE_MAGIC,
                                 .version = TWI_CAPTURE_VERSION,
                                 .header_bytes = sizeof(header),
                                 .created_ns = options->created_ns};
    if (options->source)
        snprintf(header.source, sizeof(header.source), "%s", options->source);
    header.crc = twi_capture_crc(&header, offsetof(twi_capture_header, crc));
    return write_all(writer, &header, sizeof(header));
}

tw_status twi_capture_create(const char *path, const twi_capture_options *options, twi_capture_writer **out,
                             char *error, size_t error_cap)
{
    if (options->block_bytes != 0 &&
        (options->block_bytes < TWI_CAPTURE_BLOCK_BYTES_MIN || options->block_bytes > TWI_CAPTURE_BLOCK_BYTES_MAX)) {
        snprintf(error, error_cap, "capture: block_bytes is %u; %d to %d", options->block_bytes,
                 TWI_CAPTURE_BLOCK_BYTES_MIN, TWI_CAPTURE_BLOCK_BYTES_MAX);
        return TW_BAD_ARGUMENT;
    }
    twi_capture_writer *writer = NULL;
    tw_status status = allocate(options, &writer);
    if (status != TW_OK) {
        const char *name = twi_compression_name(options->compression);
        snprintf(error, error_cap, "capture: %s (compression %s)", tw_status_name(status), name ? name : "unknown");
        release(writer);
        return status;
    }
    writer->fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC | (options->replaces ? O_TRUNC : O_EXCL), FILE_MODE);
    if (writer->fd < 0)
        fail(writer, "creating the capture");
    begin_block(writer);
    status = writer->failure == TW_OK ? write_header(writer, options) : writer->failure;
    if (status != TW_OK) {
        snprintf(error, error_cap, "%s: %s", path, writer->error);
        release(writer);
        return status;
    }
    *out = writer;
    return TW_OK;
}

static uint8_t *put(uint8_t *at, const void *bytes, size_t len)
{
    if (len != 0)
        memcpy(at, bytes, len);
    return at + len;
}

/* The index: a block of its own kind, and the trailer that says where it is. */
static tw_status write_index(twi_capture_writer *writer)
{
    writer->totals.entry_count = writer->index.count;
    for (uint32_t i = 0; i < writer->instrument_cap; i++)
        writer->totals.definition_count += writer->instruments[i].block != NOT_DEFINED;
    size_t bytes = sizeof(writer->totals) + writer->index.count * sizeof(twi_capture_index_entry) +
                   writer->totals.definition_count * sizeof(twi_capture_definition);
    tw_status status = reserve(&writer->raw, &writer->raw_cap, bytes);
    if (status != TW_OK)
        return status;
    uint8_t *at = put(writer->raw, &writer->totals, sizeof(writer->totals));
    at = put(at, writer->index.entries, writer->index.count * sizeof(twi_capture_index_entry));
    for (uint32_t i = 0; i < writer->instrument_cap; i++) {
        if (writer->instruments[i].block == NOT_DEFINED)
            continue;
        twi_capture_definition definition = {.number = i, .instrument = writer->instruments[i].instrument};
        at = put(at, &definition, sizeof(definition));
    }
    twi_capture_trailer trailer = {.magic = TWI_CAPTURE_TRAILER_MAGIC, .index_offset = writer->offset};
    twi_capture_block block = {
        .magic = TWI_CAPTURE_BLOCK_MAGIC, .kind = TWI_CAPTURE_BLOCK_INDEX, .number = writer->totals.block_count};
    status = write_block(writer, &block, writer->raw, bytes);
    if (status != TW_OK)
        return status;
    trailer.file_bytes = writer->offset + sizeof(trailer);
    trailer.crc = twi_capture_crc(&trailer, offsetof(twi_capture_trailer, crc));
    return write_all(writer, &trailer, sizeof(trailer));
}

tw_status twi_capture_close(twi_capture_writer *writer, char *error, size_t error_cap)
{
    tw_status status = write_data_block(writer);
    if (status == TW_OK)
        status = write_index(writer);
    if (status == TW_OK && close(writer->fd) != 0)
        status = fail(writer, "closing the capture");
    if (status == TW_OK)
        writer->fd = -1;
    if (status != TW_OK)
        snprintf(error, error_cap, "%s", writer->error[0] ? writer->error : tw_status_name(status));
    release(writer);
    return status;
}

uint64_t twi_capture_bytes_written(const twi_capture_writer *writer)
{
    return writer->offset;
}

const char *twi_capture_error(const twi_capture_writer *writer)
{
    return writer->error;
}
