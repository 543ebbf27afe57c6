/* capture.h - Tickwire's own recording: engine events and venue frames in one indexed, checksummed file.
 *
 * Format:   docs/CAPTURE.md. Blocks of some hundred KiB, each with checksums over header and payload and with
 *           everything that is needed to understand it (instruments, connection URLs), so that damage costs one block
 *           and no more.
 * Crash:    a block is in the kernel as soon as it is flushed. What a crash leaves behind it (a torn block) is cut by
 *           the reader and reported; the index at the end of the file is rebuilt by reading if it is missing.
 * Memory:   writer: one block and its compressed form, 24 bytes per indexed block (at most
 *           TWI_CAPTURE_INDEX_COUNT_MAX), 136 per instrument. Reader: one block and its compressed form, 136 per
 *           instrument.
 * Thread:   a writer or a reader belongs to one thread; both block in the kernel.
 * Non-goals: many writers on one file, reading while it grows, pipes. */
#ifndef TWI_CAPTURE_H
#define TWI_CAPTURE_H

#include <stddef.h>
#include <stdint.h>

#include "feed/recording.h"
#include "tickwire/event.h"
#include "tickwire/symbols.h"

enum {
    TWI_CAPTURE_BLOCK_BYTES = 128 << 10, /* default */
    TWI_CAPTURE_BLOCK_BYTES_MIN = 4 << 10,
    TWI_CAPTURE_BLOCK_BYTES_MAX = 16 << 20,
    TWI_CAPTURE_RECORD_BYTES_MAX = 64 << 20, /* one frame with its URL */
    TWI_CAPTURE_INSTRUMENT_COUNT_MAX = 1 << 18,
    TWI_CAPTURE_INDEX_COUNT_MAX = 1 << 16 /* more blocks than that: every second, fourth, .. is indexed */
};

typedef enum twi_compression {
    TWI_COMPRESSION_NONE = 0,
    TWI_COMPRESSION_ZLIB = 1,
    TWI_COMPRESSION_ZSTD = 2
} twi_compression;

/* "none", "zlib", "zstd"; NULL for a number that is none of them. */
const char *twi_compression_name(uint8_t compression);
/* 1 if this build can read and write it. */
int twi_compression_is_there(uint8_t compression);

/* ---- writing ---- */
typedef struct twi_capture_writer twi_capture_writer;

typedef struct twi_capture_options {
    uint32_t block_bytes; /* flushed when it is that full, 0: TWI_CAPTURE_BLOCK_BYTES */
    uint8_t compression;  /* twi_compression */
    uint8_t replaces;     /* 1: an existing file is emptied; 0: it is an error */
    int64_t created_ns;   /* Unix time, stands in the header */
    const char *source;   /* what is recorded, at most 35 bytes, stands in the header; NULL: "" */
} twi_capture_options;

/* TW_IO (the text says why), TW_BAD_ARGUMENT (block_bytes), TW_NOT_SUPPORTED (compression), TW_NO_MEMORY. */
TW_MUST_USE tw_status twi_capture_create(const char *path, const twi_capture_options *options,
                                         twi_capture_writer **writer, char *error, size_t error_cap);

/* All of these: TW_OK; TW_IO: the file cannot be written on (twi_capture_error() says why; every later call gives the
 * same); TW_NO_MEMORY; TW_BAD_ARGUMENT: an event names no instrument of `symbols`; TW_TOO_BIG. */
TW_MUST_USE tw_status twi_capture_events(twi_capture_writer *writer, const tw_symbols *symbols, const tw_event *events,
                                         size_t count);
TW_MUST_USE tw_status twi_capture_frame(twi_capture_writer *writer, const twi_frame *frame);
/* The recorder missed `count` events here; 0: nobody knows how many. */
TW_MUST_USE tw_status twi_capture_loss(twi_capture_writer *writer, int64_t recv_ns, uint64_t count);
/* Puts what is buffered into the kernel, as a block; in the middle of a group it waits. Call it once a second or so. */
TW_MUST_USE tw_status twi_capture_flush(twi_capture_writer *writer);
/* Flushes, and waits until the disk has it. */
TW_MUST_USE tw_status twi_capture_sync(twi_capture_writer *writer);
/* Flushes, writes the index, closes, frees; also after an error, which it returns. */
TW_MUST_USE tw_status twi_capture_close(twi_capture_writer *writer, char *error, size_t error_cap);

uint64_t twi_capture_bytes_written(const twi_capture_writer *writer);
const char *twi_capture_error(const twi_capture_writer *writer);

/* ---- reading ---- */
typedef struct twi_capture_reader twi_capture_reader;

typedef enum twi_capture_record_kind {
    TWI_CAPTURE_EVENTS = 1, /* events[0..count) */
    TWI_CAPTURE_FRAME = 2,  /* frame */
    TWI_CAPTURE_LOSS = 3    /* count events (0: nobody knows) were missed by the recorder, at recv_ns */
} twi_capture_record_kind;

typedef struct twi_capture_record {
    uint8_t kind; /* twi_capture_record_kind */
    const tw_event *events;
    uint64_t count;
    int64_t recv_ns;
    twi_frame frame;
} twi_capture_record;

/* What is in the file. Counts are of the blocks read so far, unless the index was there (is_closed): then of all. */
typedef struct twi_capture_info {
    int64_t created_ns;
    char source[36];
    uint64_t file_bytes;
    uint64_t block_count, event_count, frame_count, lost_count;
    uint64_t raw_bytes, stored_bytes; /* payloads of the blocks read so far, before and after compression */
    int64_t first_ns, last_ns;        /* 0: nothing with a time */
    uint8_t compression;              /* of the last block read */
    uint8_t is_closed;    /* the writer ended it; else it crashed, is still running, or the end is damaged */
    uint64_t bad_blocks;  /* damaged ones that were stepped over */
    uint64_t bad_records; /* not understood, in blocks whose checksums are right */
    uint64_t torn_bytes;  /* behind the last good block of a file that was not closed */
} twi_capture_info;

/* TW_IO; TW_NOT_SUPPORTED: not a capture, or of another version; TW_MALFORMED: its header is damaged; TW_NO_MEMORY. */
TW_MUST_USE tw_status twi_capture_open(const char *path, twi_capture_reader **reader, char *error, size_t error_cap);
/* The same over bytes in memory, which must outlive the reader. */
TW_MUST_USE tw_status twi_capture_open_bytes(const uint8_t *bytes, size_t len, twi_capture_reader **reader, char *error,
                                             size_t error_cap);
void twi_capture_reader_close(twi_capture_reader *reader);

/* The next record; what it points to lives until the next call. Damaged blocks are stepped over and counted.
 * TW_EMPTY: the end; TW_IO; TW_NO_MEMORY. */
TW_MUST_USE tw_status twi_capture_next(twi_capture_reader *reader, twi_capture_record *record);
/* Goes to the last indexed block that begins at or before time_ns (the first one if there is none): records from before
 * time_ns may come first. INT64_MIN goes to the start. Reads the whole file once if it has no index. */
TW_MUST_USE tw_status twi_capture_seek(twi_capture_reader *reader, int64_t time_ns);
/* Reads the whole file once, if it has no index, so that the info and the instruments are complete; then to the
 * start. */
TW_MUST_USE tw_status twi_capture_survey(twi_capture_reader *reader);

const twi_capture_info *twi_capture_get_info(const twi_capture_reader *reader);
/* The instruments that events refer to: by the numbers that the events have. NULL: not (yet) defined. Complete after
 * open() if is_closed, else after twi_capture_survey(); otherwise those of the blocks read so far. */
const tw_instrument *twi_capture_instrument(const twi_capture_reader *reader, uint32_t instrument);
uint32_t twi_capture_instrument_end(const twi_capture_reader *reader); /* one more than the largest number */
/* Grows whenever a number is given a meaning that it did not have: definitions that are only repeated do not count. */
uint64_t twi_capture_definition_changes(const twi_capture_reader *reader);
/* 1 if these bytes begin like a capture. */
int twi_capture_recognises(const uint8_t *bytes, size_t len);

#endif
