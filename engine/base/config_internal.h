/* config_internal.h - what the parts of the configuration share: config.c (layers), config_value.c (values as text),
 * config_text.c (print, example, manual). Nobody else includes it. */
#ifndef TWI_CONFIG_INTERNAL_H
#define TWI_CONFIG_INTERNAL_H

#include "engine/base/arena.h"
#include "engine/base/config.h"
#include "engine/base/text.h"
#include "engine/base/toml_seam.h"

enum { TWI_CONFIG_FAULT_COUNT_MAX = 32, TWI_CONFIG_FAULT_BYTES = 320, TWI_CONFIG_NAME_BYTES = 64 };

typedef enum twi_config_layer {
    TWI_LAYER_DEFAULT,
    TWI_LAYER_FILE,
    TWI_LAYER_ENVIRONMENT,
    TWI_LAYER_FLAG
} twi_config_layer;

/* Where the value of one key came from. */
typedef struct twi_config_origin {
    twi_config_layer layer;
    uint32_t line; /* FILE */
} twi_config_origin;

/* One section being filled; items of an array of tables lie one behind the other. */
typedef struct twi_config_part {
    const twi_config_section *section;
    unsigned char *items;       /* in the settings, or in the arena for an array of tables */
    twi_config_origin *origins; /* [item * key_count + key] */
    uint32_t item_count;
} twi_config_part;

typedef struct twi_config_fault_line {
    uint32_t line; /* for the order of messages */
    char text[TWI_CONFIG_FAULT_BYTES];
} twi_config_fault_line;

struct twi_config {
    const twi_config_schema *schema;
    twi_arena arena;
    unsigned char *settings;
    twi_config_part *parts; /* [schema->section_count] */
    const char *path;       /* name of the file in messages */
    uint32_t fault_count;   /* may exceed TWI_CONFIG_FAULT_COUNT_MAX; the rest is only counted */
    twi_config_fault_line faults[TWI_CONFIG_FAULT_COUNT_MAX];
};

static inline bool twi_config_is_array(const twi_config_section *section)
{
    return section->item_count_max > 0;
}

/* --- config_value.c --- */

/* Stores a value into the field at `at`; strings and lists go to the arena. TW_OK, TW_NO_MEMORY, or TW_BAD_CONFIG with
 * the reason and the remedy in `error`. */
tw_status twi_config_store_text(const twi_config_key *key, const char *text, void *at, twi_arena *arena,
                                twi_text *error);
tw_status twi_config_store_toml(const twi_config_key *key, const twi_toml_value *value, void *at, twi_arena *arena,
                                twi_text *error);
/* The value of a field as it is written in TOML. */
void twi_config_format(const twi_config_key *key, const void *at, twi_text *text);
/* The default as it is written in TOML; "" if it must be given. */
void twi_config_format_initial(const twi_config_key *key, twi_text *text);
/* One bound, in the notation of the key. */
void twi_config_format_number(const twi_config_key *key, int64_t number, twi_text *text);

/* Index of word[0..length) in "one|two|three"; -1 if it is not there. */
int twi_config_choice(const char *choices, const char *word, size_t length);
/* The choice with that index; its length goes to *length. NULL if there is none. */
const char *twi_config_choice_name(const char *choices, int index, size_t *length);

/* How many single-letter changes make a from b; for "did you mean". */
uint32_t twi_config_distance(const char *a, const char *b);

#endif
