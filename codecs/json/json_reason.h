/* json_reason.h - the `reason` of a status record as a sentence that people read and decoders take apart again.
 *
 * Examples: "link down"; "venue sequence 9001 to 9004 missing"; with numbers "silent for too long (5 to 9)".
 * Thread:   pure functions, no allocation. */
#ifndef TWI_JSON_REASON_H
#define TWI_JSON_REASON_H

#include <stddef.h>
#include <stdint.h>

#include "engine/base/digits.h"
#include "tickwire/event.h"

enum {
    TWI_JSON_REASON_WORDS_MAX = 48, /* bytes of a reason's fixed words */
    TWI_JSON_REASON_TEXT_MAX = TWI_JSON_REASON_WORDS_MAX + 2 * TWI_U64_DIGITS_MAX
};

typedef struct twi_json_reason {
    uint16_t reason; /* tw_reason */
    uint64_t from, to;
} twi_json_reason;

/* Returns the end of the text; may write TWI_DIGITS_SLACK bytes beyond. No byte of it needs an escape. */
char *twi_json_reason_put(char *out, twi_json_reason value);

/* Text of put(), or a name of tw_reason_name(). What is neither is TW_REASON_NONE: a newer server may know more. */
twi_json_reason twi_json_reason_read(const char *text, size_t len);

#endif
