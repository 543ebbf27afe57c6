/* selection.h - which topics a request means: channels and symbol patterns against the instrument table.
 *
 * Shape:    a growing array of topics, sorted and without doubles once twi_selection_read() is done; what matches
 *           nothing
 *           becomes an error object of the answer, so that one bad symbol fails alone.
 * Memory:   heap, control path only; twi_selection_fini(). */
#ifndef TWI_SELECTION_H
#define TWI_SELECTION_H

#include "engine/fanout/buffer.h"
#include "engine/fanout/join.h"
#include "engine/fanout/topics.h"
#include "engine/proto/json_scan.h"
#include "tickwire/symbols.h"

/* Numbers of the error names on the wire; the names follow ccxt. */
typedef enum twi_wire_error {
    TWI_ERROR_AUTHENTICATION = 1,
    TWI_ERROR_BAD_REQUEST = 2,
    TWI_ERROR_BAD_SYMBOL = 4,
    TWI_ERROR_NOT_SUPPORTED = 5,
    TWI_ERROR_RATE_LIMIT = 6,
    TWI_ERROR_NOT_AVAILABLE = 7
} twi_wire_error;

typedef struct twi_selection {
    twi_join_topic *topics;
    uint32_t count, capacity;
    int no_memory;
    uint32_t slots[TWI_TOPIC_SLOTS]; /* the channels */
    uint32_t slot_count;
    twi_buffer errors; /* error objects, comma-separated */
} twi_selection;

/* channels, symbols: at JSON arrays of strings. TW_MALFORMED: they hold something else; TW_NO_MEMORY. Call fini also
 * after an error. */
TW_MUST_USE tw_status twi_selection_read(twi_selection *selection, const tw_symbols *symbols, twi_json channels,
                                         twi_json patterns);
void twi_selection_fini(twi_selection *selection);

/* Appends "code":..,"name":..,"message":..,"temporary":..} to an object that was begun. */
void twi_append_error(twi_buffer *out, int code, const char *name, int temporary, const char *message);

#endif
