/* vector_file.h - reads the golden vectors of tests/vectors/codecs.txt: records in words, and what they are encoded to.
 *
 * Format:   one item per line, `key value`; `#` starts a comment; `vector NAME` starts the next one. Decimals are
 *           written as in JSON and keep their digits. A book has one line `bid PRICE AMOUNT` or `ask PRICE AMOUNT` per
 *           level, in the order of the group; a quote has at most one of each. `json` and `flatbuffers` (hex) are the
 *           expected messages. */
#ifndef TWT_VECTOR_FILE_H
#define TWT_VECTOR_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "tickwire/codec.h"

enum { TWT_VECTOR_LEVELS_MAX = 16, TWT_VECTOR_BYTES_MAX = 2048 };

typedef struct twt_vector {
    char name[64], exchange[64], symbol[64];
    tw_event events[TWT_VECTOR_LEVELS_MAX];
    tw_record record;
    char json[TWT_VECTOR_BYTES_MAX];
    uint8_t flatbuffers[TWT_VECTOR_BYTES_MAX];
    size_t flatbuffers_len;
} twt_vector;

typedef struct twt_vector_file {
    FILE *file;
    int line_number;
    char next_name[64]; /* of the vector whose first line was read already */
} twt_vector_file;

/* Ends the process with the line that cannot be read: a wrong vector is a wrong test. */
twt_vector_file twt_vector_open(const char *path);
bool twt_vector_next(twt_vector_file *vectors, tw_symbols *symbols, twt_vector *vector);
void twt_vector_close(twt_vector_file *vectors);

#endif
