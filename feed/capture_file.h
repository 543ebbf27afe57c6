/* capture_file.h - the file below a capture reader: headers, blocks, the index, and the way on behind damage.
 * For feed/capture*.c only. Knows nothing of records. */
#ifndef TWI_CAPTURE_FILE_H
#define TWI_CAPTURE_FILE_H

#include "feed/capture_format.h"

typedef struct twi_capture_file {
    int fd;               /* -1: in memory */
    const uint8_t *bytes; /* in memory */
    uint64_t size;
    uint64_t data_end;    /* of the blocks: where the index begins, or the size */
    uint64_t at;          /* of the next block */
    uint64_t next_number; /* that the next block should have */
    twi_capture_header header;
    twi_capture_block block; /* the one whose payload is in raw */
    uint64_t block_at;
    uint8_t *stored, *raw;
    size_t stored_cap, raw_cap;
    uint64_t bad_blocks; /* that were stepped over so far, by the numbers of those that are there */
    uint64_t torn_bytes; /* at the end of a file that has no index */
    twi_capture_index index;
    twi_capture_index_head totals; /* of the index block */
    uint8_t is_closed;             /* index and trailer are there and right */
    const uint8_t *definitions;    /* is_closed, until the next block is loaded: totals.definition_count of them */
} twi_capture_file;

/* Opens, checks the header, reads the index if there is one. On error the file is closed again. */
TW_MUST_USE tw_status twi_capture_file_open(twi_capture_file *file, const char *path, char *error, size_t error_cap);
TW_MUST_USE tw_status twi_capture_file_open_bytes(twi_capture_file *file, const uint8_t *bytes, size_t len, char *error,
                                                  size_t error_cap);
void twi_capture_file_close(twi_capture_file *file);

/* Loads the next good data block into file->block and file->raw. TW_EMPTY: no more; TW_NO_MEMORY; TW_IO. */
TW_MUST_USE tw_status twi_capture_file_next(twi_capture_file *file);
/* Goes on at this block; NULL: at the first one. */
void twi_capture_file_seek(twi_capture_file *file, const twi_capture_index_entry *entry);

#endif
