/* capture_read.c - the records of a capture: events with their instruments, frames with their connections. */
#include <stdlib.h>
#include <string.h>

#include "feed/capture_file.h"

typedef struct known_instrument {
    int is_known;
    tw_instrument instrument;
} known_instrument;

struct twi_capture_reader {
    twi_capture_file file;
    size_t record_at, record_end; /* in file.raw: the records that are left of this block */
    known_instrument *instruments;
    uint32_t instrument_cap, instrument_end;
    uint64_t definition_changes;
    char *urls[TWI_RECORDING_CONN_COUNT_MAX]; /* of connections, NULL: not known */
    char *request_url;                        /* of the current HTTP frame */
    size_t request_url_cap;
    twi_capture_info info;
    twi_capture_index_head pass; /* what the blocks read so far add up to */
    int is_surveyed;             /* info is complete and stays as it is */
};

/* ---- definitions ---- */

static int is_name(const char *text, size_t len, size_t cap)
{
    return len != 0 && len < cap && memchr(text, '\0', cap) == text + len;
}

static int is_instrument(const tw_instrument *it)
{
    return is_name(it->exchange, it->exchange_len, sizeof(it->exchange)) &&
           is_name(it->symbol, it->symbol_len, sizeof(it->symbol)) &&
           is_name(it->venue_id, it->venue_id_len, sizeof(it->venue_id));
}

static tw_status grow_instruments(twi_capture_reader *reader, uint32_t number)
{
    uint32_t cap = reader->instrument_cap ? reader->instrument_cap : 64;
    while (cap <= number)
        cap *= 2;
    known_instrument *larger = realloc(reader->instruments, cap * sizeof(*larger));
    if (!larger)
        return TW_NO_MEMORY;
    memset(larger + reader->instrument_cap, 0, (cap - reader->instrument_cap) * sizeof(*larger));
    reader->instruments = larger;
    reader->instrument_cap = cap;
    return TW_OK;
}

static tw_status define_instrument(twi_capture_reader *reader, const uint8_t *body, size_t len)
{
    twi_capture_definition definition;
    if (len != sizeof(definition))
        return TW_MALFORMED;
    memcpy(&definition, body, sizeof(definition));
    if (definition.number >= TWI_CAPTURE_INSTRUMENT_COUNT_MAX || !is_instrument(&definition.instrument))
        return TW_MALFORMED;
    if (definition.number >= reader->instrument_cap && grow_instruments(reader, definition.number) != TW_OK)
        return TW_NO_MEMORY;
    known_instrument *known = &reader->instruments[definition.number];
    if (known->is_known && memcmp(&known->instrument, &definition.instrument, sizeof(tw_instrument)) == 0)
        return TW_EMPTY;
    *known = (known_instrument){.is_known = 1, .instrument = definition.instrument};
    reader->definition_changes++;
    if (definition.number >= reader->instrument_end)
        reader->instrument_end = definition.number + 1;
    return TW_EMPTY;
}

static tw_status set_url(twi_capture_reader *reader, uint32_t conn, const uint8_t *url, size_t len)
{
    if (conn >= TWI_RECORDING_CONN_COUNT_MAX || memchr(url, '\0', len))
        return TW_MALFORMED;
    char *copy = malloc(len + 1);
    if (!copy)
        return TW_NO_MEMORY;
    memcpy(copy, url, len);
    copy[len] = '\0';
    free(reader->urls[conn]);
    reader->urls[conn] = copy;
    return TW_EMPTY;
}

static tw_status define_conn(twi_capture_reader *reader, const uint8_t *body, size_t len)
{
    uint32_t conn;
    if (len < sizeof(conn))
        return TW_MALFORMED;
    memcpy(&conn, body, sizeof(conn));
    return set_url(reader, conn, body + sizeof(conn), len - sizeof(conn));
}

/* ---- records ---- */

static tw_status read_events(const uint8_t *body, size_t len, twi_capture_record *record)
{
    if (len == 0 || len % sizeof(tw_event) != 0)
        return TW_MALFORMED;
    record->kind = TWI_CAPTURE_EVENTS;
    record->events = (const tw_event *)(const void *)body; /* aligned: blocks are, and records are padded */
    record->count = len / sizeof(tw_event);
    record->recv_ns = record->events[0].recv_ns;
    return TW_OK;
}

static tw_status read_loss(const uint8_t *body, size_t len, twi_capture_record *record)
{
    twi_capture_loss_body loss;
    if (len != sizeof(loss))
        return TW_MALFORMED;
    memcpy(&loss, body, sizeof(loss));
    record->kind = TWI_CAPTURE_LOSS;
    record->recv_ns = loss.recv_ns;
    record->count = loss.count;
    return TW_OK;
}

/* Puts the URL of an HTTP request where it has a NUL behind it. */
static tw_status keep_request_url(twi_capture_reader *reader, const uint8_t *url, size_t len)
{
    if (memchr(url, '\0', len))
        return TW_MALFORMED;
    if (len >= reader->request_url_cap) {
        free(reader->request_url);
        reader->request_url_cap = 0;
        reader->request_url = malloc(len + 1);
        if (!reader->request_url)
            return TW_NO_MEMORY;
        reader->request_url_cap = len + 1;
    }
    memcpy(reader->request_url, url, len);
    reader->request_url[len] = '\0';
    return TW_OK;
}

static tw_status attach_url(twi_capture_reader *reader, const uint8_t *url, size_t len, twi_frame *frame)
{
    tw_status status = TW_OK;
    if (frame->conn == TWI_CONN_NONE) {
        status = keep_request_url(reader, url, len);
        frame->url = reader->request_url;
        frame->url_len = len;
        return status;
    }
    if (frame->conn >= TWI_RECORDING_CONN_COUNT_MAX)
        return TW_MALFORMED;
    if (frame->kind == TWI_FRAME_CONNECT)
        status = set_url(reader, frame->conn, url, len);
    if (status != TW_OK && status != TW_EMPTY)
        return status;
    frame->url = reader->urls[frame->conn] ? reader->urls[frame->conn] : "";
    frame->url_len = strlen(frame->url);
    return TW_OK;
}

static tw_status read_frame(twi_capture_reader *reader, const uint8_t *body, size_t len, twi_capture_record *record)
{
    twi_capture_frame_head head;
    if (len < sizeof(head))
        return TW_MALFORMED;
    memcpy(&head, body, sizeof(head));
    if (head.kind < TWI_FRAME_CONNECT || head.kind > TWI_FRAME_CLOSED ||
        (uint64_t)head.url_bytes + head.body_bytes != len - sizeof(head))
        return TW_MALFORMED;
    const uint8_t *url = body + sizeof(head);
    record->kind = TWI_CAPTURE_FRAME;
    record->recv_ns = head.recv_ns;
    record->frame = (twi_frame){.recv_ns = head.recv_ns,
                                .conn = head.conn,
                                .kind = head.kind,
                                .flags = head.flags,
                                .bytes = url + head.url_bytes,
                                .bytes_len = head.body_bytes};
    return attach_url(reader, url, head.url_bytes, &record->frame);
}

/* TW_OK: *record is one; TW_EMPTY: it was a definition; TW_MALFORMED; TW_NO_MEMORY. */
static tw_status read_record(twi_capture_reader *reader, const uint8_t *body, const twi_capture_record_head *head,
                             twi_capture_record *record)
{
    switch (head->type) {
    case TWI_CAPTURE_TYPE_INSTRUMENT:
        return define_instrument(reader, body, head->bytes);
    case TWI_CAPTURE_TYPE_EVENTS:
        return read_events(body, head->bytes, record);
    case TWI_CAPTURE_TYPE_CONN:
        return define_conn(reader, body, head->bytes);
    case TWI_CAPTURE_TYPE_FRAME:
        return read_frame(reader, body, head->bytes, record);
    case TWI_CAPTURE_TYPE_LOSS:
        return read_loss(body, head->bytes, record);
    default:
        return TW_MALFORMED;
    }
}

/* The record at record_at, and the step over it. A record that does not fit into its block spoils the rest of it. */
static tw_status next_in_block(twi_capture_reader *reader, twi_capture_record *record)
{
    twi_capture_record_head head;
    size_t left = reader->record_end - reader->record_at;
    const uint8_t *at = reader->file.raw + reader->record_at;
    if (left >= sizeof(head))
        memcpy(&head, at, sizeof(head));
    if (left < sizeof(head) || twi_capture_padded(head.bytes) > left - sizeof(head)) {
        reader->record_at = reader->record_end;
        return TW_MALFORMED;
    }
    reader->record_at += sizeof(head) + twi_capture_padded(head.bytes);
    return read_record(reader, at + sizeof(head), &head, record);
}

/* ---- what is known of the whole ---- */

static void update_info(twi_capture_reader *reader)
{
    twi_capture_info *info = &reader->info;
    if (reader->is_surveyed)
        return;
    const twi_capture_index_head *sums = reader->file.is_closed ? &reader->file.totals : &reader->pass;
    info->block_count = sums->block_count;
    info->event_count = sums->event_count;
    info->frame_count = sums->frame_count;
    info->lost_count = sums->lost_count;
    info->first_ns = sums->first_ns;
    info->last_ns = sums->last_ns;
    info->bad_blocks = reader->file.bad_blocks;
    info->torn_bytes = reader->file.torn_bytes;
}

static tw_status next_block(twi_capture_reader *reader)
{
    twi_capture_file *file = &reader->file;
    tw_status status = twi_capture_file_next(file);
    if (status == TW_OK) {
        reader->record_at = 0;
        reader->record_end = file->block.raw_bytes;
        twi_capture_add_totals(&reader->pass, &file->block);
    }
    if (status == TW_OK && !reader->is_surveyed) {
        reader->info.raw_bytes += file->block.raw_bytes;
        reader->info.stored_bytes += file->block.stored_bytes;
        reader->info.compression = file->block.compression;
    }
    update_info(reader);
    return status;
}

tw_status twi_capture_next(twi_capture_reader *reader, twi_capture_record *record)
{
    for (;;) {
        tw_status status = TW_OK;
        if (reader->record_at == reader->record_end) {
            status = next_block(reader);
            if (status != TW_OK)
                return status;
            continue;
        }
        *record = (twi_capture_record){0};
        status = next_in_block(reader, record);
        if (status == TW_OK || status == TW_NO_MEMORY)
            return status;
        if (status != TW_EMPTY && !reader->is_surveyed)
            reader->info.bad_records++;
    }
}

static void go_to(twi_capture_reader *reader, const twi_capture_index_entry *entry)
{
    twi_capture_file_seek(&reader->file, entry);
    reader->record_at = reader->record_end = 0;
    reader->pass = (twi_capture_index_head){0};
    if (reader->is_surveyed)
        return;
    reader->info.bad_records = 0;
    reader->info.raw_bytes = reader->info.stored_bytes = 0;
    update_info(reader);
}

tw_status twi_capture_survey(twi_capture_reader *reader)
{
    twi_capture_record record;
    go_to(reader, NULL);
    if (reader->file.is_closed || reader->is_surveyed)
        return TW_OK;
    reader->file.index.count = 0;
    reader->file.index.stride = 1;
    for (uint64_t block_at = 0;;) {
        tw_status status = twi_capture_next(reader, &record);
        if (status == TW_EMPTY)
            break;
        if (status != TW_OK)
            return status;
        if (reader->file.block_at != block_at)
            twi_capture_index_add(&reader->file.index, reader->file.block_at, &reader->file.block);
        block_at = reader->file.block_at;
    }
    reader->is_surveyed = 1;
    go_to(reader, NULL);
    return TW_OK;
}

tw_status twi_capture_seek(twi_capture_reader *reader, int64_t time_ns)
{
    tw_status status = twi_capture_survey(reader);
    if (status == TW_OK && time_ns != INT64_MIN)
        go_to(reader, twi_capture_index_find(&reader->file.index, time_ns));
    return status;
}

/* ---- open and close ---- */

/* The instruments of the index block, which is still in the file's buffer. */
static tw_status take_definitions(twi_capture_reader *reader)
{
    const twi_capture_file *file = &reader->file;
    for (uint32_t i = 0; file->definitions && i < file->totals.definition_count; i++) {
        tw_status status = define_instrument(reader, file->definitions + i * sizeof(twi_capture_definition),
                                             sizeof(twi_capture_definition));
        if (status == TW_NO_MEMORY)
            return status;
    }
    return TW_OK;
}

static tw_status finish_open(twi_capture_reader *reader, tw_status status, twi_capture_reader **out)
{
    if (status == TW_OK)
        status = take_definitions(reader);
    if (status != TW_OK) {
        twi_capture_reader_close(reader);
        return status;
    }
    reader->info.created_ns = reader->file.header.created_ns;
    memcpy(reader->info.source, reader->file.header.source, sizeof(reader->info.source));
    reader->info.source[sizeof(reader->info.source) - 1] = '\0';
    reader->info.file_bytes = reader->file.size;
    reader->info.is_closed = reader->file.is_closed;
    update_info(reader);
    *out = reader;
    return TW_OK;
}

static twi_capture_reader *allocate(void)
{
    twi_capture_reader *reader = calloc(1, sizeof(*reader));
    if (reader)
        reader->file.fd = -1;
    return reader;
}

tw_status twi_capture_open(const char *path, twi_capture_reader **out, char *error, size_t error_cap)
{
    twi_capture_reader *reader = allocate();
    if (!reader)
        return TW_NO_MEMORY;
    return finish_open(reader, twi_capture_file_open(&reader->file, path, error, error_cap), out);
}

tw_status twi_capture_open_bytes(const uint8_t *bytes, size_t len, twi_capture_reader **out, char *error,
                                 size_t error_cap)
{
    twi_capture_reader *reader = allocate();
    if (!reader)
        return TW_NO_MEMORY;
    return finish_open(reader, twi_capture_file_open_bytes(&reader->file, bytes, len, error, error_cap), out);
}

void twi_capture_reader_close(twi_capture_reader *reader)
{
    if (!reader)
        return;
    twi_capture_file_close(&reader->file);
    for (uint32_t i = 0; i < TWI_RECORDING_CONN_COUNT_MAX; i++)
        free(reader->urls[i]);
    free(reader->request_url);
    free(reader->instruments);
    free(reader);
}

const twi_capture_info *twi_capture_get_info(const twi_capture_reader *reader)
{
    return &reader->info;
}

const tw_instrument *twi_capture_instrument(const twi_capture_reader *reader, uint32_t instrument)
{
    if (instrument >= reader->instrument_end || !reader->instruments[instrument].is_known)
        return NULL;
    return &reader->instruments[instrument].instrument;
}

uint32_t twi_capture_instrument_end(const twi_capture_reader *reader)
{
    return reader->instrument_end;
}

uint64_t twi_capture_definition_changes(const twi_capture_reader *reader)
{
    return reader->definition_changes;
}

int twi_capture_recognises(const uint8_t *bytes, size_t len)
{
    return len >= TWI_CAPTURE_MAGIC_BYTES && memcmp(bytes, TWI_CAPTURE_MAGIC, TWI_CAPTURE_MAGIC_BYTES) == 0;
}
