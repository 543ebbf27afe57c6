/* toml_seam.h - the only door to the TOML parser (toml++): C types in, C callbacks out, no exception, no C++ type.
 *
 * Job:       reads one TOML document and tells every table and every value in it, with the line it stands on.
 * Shape:     tables one level deep, as configurations are: [name], [[name]] and keys in them. Deeper tables are told
 *            as a value of kind TABLE, for the reader to refuse.
 * Memory:    what a callback gets is lent for its duration.
 * Errors:    broken TOML (duplicate keys among it) is TW_MALFORMED with line and text; TW_NO_MEMORY. Order of keys
 *            within a table is not that of the file. */
#ifndef TWI_TOML_SEAM_H
#define TWI_TOML_SEAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tickwire/status.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum twi_toml_kind {
    TWI_TOML_BOOL,
    TWI_TOML_INTEGER,
    TWI_TOML_FLOAT,
    TWI_TOML_STRING,
    TWI_TOML_TIME, /* dates and times */
    TWI_TOML_ARRAY,
    TWI_TOML_TABLE
} twi_toml_kind;

typedef struct twi_toml_value {
    twi_toml_kind kind;
    uint32_t line;
    bool boolean;
    int64_t integer;
    const char *text; /* STRING: text_length bytes, then a NUL */
    size_t text_length;
    const struct twi_toml_value *items; /* ARRAY; arrays in arrays are told without their items */
    uint32_t item_count;
} twi_toml_value;

typedef struct twi_toml_visitor {
    void *owner;
    /* A table begins. "" for what stands before the first one. index: -1 for [name], 0.. for [[name]]. */
    void (*table)(void *owner, const char *name, int32_t index, uint32_t line);
    /* A value of the table told last. */
    void (*value)(void *owner, const char *key, const twi_toml_value *value);
} twi_toml_visitor;

TW_MUST_USE tw_status twi_toml_read(const char *text, size_t length, const twi_toml_visitor *visitor,
                                    uint32_t *error_line, char *error, size_t error_cap);

#ifdef __cplusplus
}
#endif
#endif
