/* capture_format.h - how a capture lies in a file; docs/CAPTURE.md says it in words. For feed/capture*.c only.
 *
 * Bytes:    little endian, as the machines that Tickwire runs on have them; structures without holes.
 * Checks:   CRC-32 (zlib's) over every header and every payload: no byte of a file is without one. */
#ifndef TWI_CAPTURE_FORMAT_H
#define TWI_CAPTURE_FORMAT_H

#include <stdint.h>

#include "feed/capture.h"

#define TWI_CAPTURE_MAGIC         "TWCAPTUR"
#define TWI_CAPTURE_BLOCK_MAGIC   "TWBLOCK1"
#define TWI_CAPTURE_TRAILER_MAGIC "TWCAPEND"

enum { TWI_CAPTURE_VERSION = 1, TWI_CAPTURE_MAGIC_BYTES = 8, TWI_CAPTURE_ALIGNMENT = 8 };

typedef struct twi_capture_header {
    char magic[TWI_CAPTURE_MAGIC_BYTES];
    uint16_t version;
    uint16_t header_bytes;
    uint32_t reserved;
    int64_t created_ns;
    char source[36]; /* padded with NUL */
    uint32_t crc;    /* of everything before it */
} twi_capture_header;

enum { TWI_CAPTURE_BLOCK_DATA = 1, TWI_CAPTURE_BLOCK_INDEX = 2 };

typedef struct twi_capture_block {
    char magic[TWI_CAPTURE_MAGIC_BYTES];
    uint8_t kind;
    uint8_t compression;
    uint16_t reserved;
    uint32_t stored_bytes; /* of the payload, as it lies behind this header */
    uint32_t raw_bytes;    /* of the payload, uncompressed */
    uint32_t event_count, frame_count, lost_count;
    uint64_t number;           /* 0, 1, .. */
    int64_t first_ns, last_ns; /* smallest and largest recv_ns, 0: none */
    uint32_t payload_crc;      /* of the stored payload */
    uint32_t header_crc;       /* of everything before it */
} twi_capture_block;

/* In a data block's payload: head, body, NUL up to the next multiple of TWI_CAPTURE_ALIGNMENT. */
typedef struct twi_capture_record_head {
    uint32_t bytes; /* of the body, without the padding */
    uint8_t type;
    uint8_t reserved[3];
} twi_capture_record_head;

enum {
    TWI_CAPTURE_TYPE_INSTRUMENT = 1, /* twi_capture_definition */
    TWI_CAPTURE_TYPE_EVENTS = 2,     /* tw_event[] */
    TWI_CAPTURE_TYPE_CONN = 3,       /* uint32_t conn, URL */
    TWI_CAPTURE_TYPE_FRAME = 4,      /* twi_capture_frame_head, URL (CONNECT and HTTP), bytes */
    TWI_CAPTURE_TYPE_LOSS = 5        /* int64_t recv_ns, uint64_t count */
};

typedef struct twi_capture_definition {
    uint32_t number; /* as in tw_event.instrument */
    uint32_t reserved;
    tw_instrument instrument;
} twi_capture_definition;

typedef struct twi_capture_frame_head {
    int64_t recv_ns;
    uint32_t conn;
    uint8_t kind, flags;
    uint16_t reserved;
    uint32_t url_bytes;
    uint32_t body_bytes;
} twi_capture_frame_head;

typedef struct twi_capture_loss_body {
    int64_t recv_ns;
    uint64_t count;
} twi_capture_loss_body;

/* The payload of the index block: head, entries, definitions. */
typedef struct twi_capture_index_head {
    uint64_t block_count, event_count, frame_count, lost_count;
    int64_t first_ns, last_ns;
    uint32_t entry_count, definition_count;
} twi_capture_index_head;

typedef struct twi_capture_index_entry {
    uint64_t offset; /* of a block in the file */
    uint64_t number;
    int64_t first_ns;
} twi_capture_index_entry;

typedef struct twi_capture_trailer {
    char magic[TWI_CAPTURE_MAGIC_BYTES];
    uint64_t index_offset;
    uint64_t file_bytes; /* including this */
    uint32_t reserved;
    uint32_t crc; /* of everything before it */
} twi_capture_trailer;

_Static_assert(sizeof(twi_capture_header) == 64 && sizeof(twi_capture_block) == 64, "one cache line each");
_Static_assert(sizeof(twi_capture_record_head) == 8 && sizeof(twi_capture_definition) == 136, "no holes");
_Static_assert(sizeof(twi_capture_frame_head) == 24 && sizeof(twi_capture_loss_body) == 16, "no holes");
_Static_assert(sizeof(twi_capture_index_head) == 56 && sizeof(twi_capture_index_entry) == 24, "no holes");
_Static_assert(sizeof(twi_capture_trailer) == 32, "no holes");
_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "structures are written as they lie in memory");

/* A group of events is not cut by the end of a block unless it is longer than this. */
enum { TWI_CAPTURE_GROUP_BYTES_MAX = 1 << 20 };
/* The largest payload that a reader believes in: a full block, an open group, then a record of the largest size. */
enum {
    TWI_CAPTURE_PAYLOAD_BYTES_MAX =
        TWI_CAPTURE_BLOCK_BYTES_MAX + TWI_CAPTURE_GROUP_BYTES_MAX + TWI_CAPTURE_RECORD_BYTES_MAX + 65536
};

static inline size_t twi_capture_padded(size_t bytes)
{
    return (bytes + TWI_CAPTURE_ALIGNMENT - 1) / TWI_CAPTURE_ALIGNMENT * TWI_CAPTURE_ALIGNMENT;
}

/* ---- the index while it grows (capture_index.c) ---- */
typedef struct twi_capture_index {
    twi_capture_index_entry *entries;
    uint32_t count, cap; /* cap grows to TWI_CAPTURE_INDEX_COUNT_MAX */
    uint64_t stride;     /* every how many blocks there is an entry; 0: not begun */
} twi_capture_index;     /* all zero is an empty one */

void twi_capture_index_close(twi_capture_index *index);
TW_MUST_USE tw_status twi_capture_index_reserve(twi_capture_index *index, uint32_t count);
/* A full index (or one that gets no memory) forgets every second entry and goes on half as dense. */
void twi_capture_index_add(twi_capture_index *index, uint64_t offset, const twi_capture_block *block);
/* The last entry that begins at or before time_ns; NULL: none does. */
const twi_capture_index_entry *twi_capture_index_find(const twi_capture_index *index, int64_t time_ns);
void twi_capture_add_totals(twi_capture_index_head *totals, const twi_capture_block *block);

/* ---- compression of a payload (capture_pack.c) ---- */
typedef struct twi_packer twi_packer;

/* TW_NOT_SUPPORTED: not in this build. */
TW_MUST_USE tw_status twi_packer_open(uint8_t compression, twi_packer **packer);
void twi_packer_close(twi_packer *packer);
/* Room that `len` bytes need at most when packed. */
size_t twi_packer_bound(const twi_packer *packer, size_t len);
/* Bytes written; 0: could not be made smaller than `len`, store it as it is. */
size_t twi_packer_pack(twi_packer *packer, const uint8_t *in, size_t len, uint8_t *out, size_t out_cap);
/* TW_OK if exactly out_len bytes came out; TW_MALFORMED; TW_NOT_SUPPORTED. */
TW_MUST_USE tw_status twi_unpack(uint8_t compression, const uint8_t *in, size_t len, uint8_t *out, size_t out_len);
uint32_t twi_capture_crc(const void *bytes, size_t len);

#endif
