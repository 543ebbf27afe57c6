/* config.h - typed configuration from a schema: TOML file < environment < command-line flags.
 *
 * Job:       fills a plain settings struct from a table of keys, so that every consumer reads fields and nobody parses.
 * Schema:    one twi_config_key per key: type, place in the struct, default, bounds, unit, reason for the default.
 *            The same table makes the commented example file and the manual, so that neither can go stale.
 * Names:     [section] key in the file, TICKWIRE_SECTION_KEY in the environment, --section.key=value as a flag.
 *            Tables of an array ([[feed]]) are numbered from 0: TICKWIRE_FEED_0_RATE, --feed.0.rate=1000; the number
 *            may be left out for the first.
 * Values:    true false · 1000 1_000 · "64MiB" "10kB" (or a number of bytes) · "5s" "50ms" "10us" "2m" · "text" ·
 *            ["a","b"].
 *            In the environment and in flags without the quotation marks, lists as a,b.
 * Errors:    all of them, not the first only: one line each, with file, line, key and remedy.
 * Memory:    strings, lists and tables of the settings belong to the twi_config; allocated at load only.
 * Thread:    any, one at a time per object. Non-goals: reloading, writing files, expressions. */
#ifndef TWI_CONFIG_H
#define TWI_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/base/compiler.h"
#include "tickwire/status.h"

#ifdef __cplusplus
extern "C" {
#endif

/* How a value is written, and the C type of the field that it fills. */
typedef enum twi_config_type {
    TWI_CONFIG_BOOL,        /* bool */
    TWI_CONFIG_INT,         /* int64_t */
    TWI_CONFIG_SIZE,        /* int64_t, bytes */
    TWI_CONFIG_DURATION,    /* int64_t, nanoseconds */
    TWI_CONFIG_MODE,        /* int64_t, permission bits, written "0640" */
    TWI_CONFIG_ENUM,        /* int: index into `choices` */
    TWI_CONFIG_STRING,      /* const char *, never NULL */
    TWI_CONFIG_STRING_LIST, /* twi_string_list */
    TWI_CONFIG_INT_LIST     /* twi_int_list */
} twi_config_type;

typedef struct twi_string_list {
    const char *const *items;
    uint32_t count;
} twi_string_list;

typedef struct twi_int_list {
    const int64_t *items;
    uint32_t count;
} twi_int_list;

typedef struct twi_config twi_config;

typedef struct twi_config_key {
    const char *name;
    twi_config_type type;
    size_t offset;        /* in the struct of its section */
    const char *initial;  /* the default, as in the environment: "64MiB", "true", "a,b"; NULL: must be given */
    int64_t min, max;     /* numbers, and the elements of INT_LIST; both 0: no bounds */
    const char *choices;  /* ENUM; if not NULL also STRING and elements of STRING_LIST: "auto|epoll|kqueue" */
    const char *only_for; /* in a section with variants: "sim|replay"; NULL: all of them */
    bool secret;          /* never printed */
    const char *unit;     /* "events per second"; NULL: none, or plain from the type */
    const char *reason;   /* what it does and why the default is what it is */
} twi_config_key;

typedef struct twi_config_section {
    const char *name;
    const char *about;
    const twi_config_key *keys;
    uint32_t key_count;
    size_t offset; /* of the section's struct in the settings; of a twi_config_tables for an array of tables */
    /* Array of tables: bytes of one item and how many there may be; both 0 for a plain table. */
    size_t item_bytes;
    uint32_t item_count_max;
    uint32_t item_count_min; /* so many are made from defaults if fewer are given */
    const char *variant_key; /* the ENUM key that `only_for` speaks of, or NULL */
} twi_config_section;

/* Where an array of tables goes: items[count] of item_bytes each. */
typedef struct twi_config_tables {
    const void *items;
    uint32_t count;
} twi_config_tables;

typedef struct twi_config_schema {
    const char *env_prefix; /* "TICKWIRE" */
    const char *title;      /* first line of the example file */
    const twi_config_section *sections;
    uint32_t section_count;
    size_t settings_bytes;
    /* Conditions between keys; reports with twi_config_fault(). May be NULL. */
    void (*check)(const void *settings, twi_config *config);
} twi_config_schema;

typedef struct twi_config_inputs {
    const char *path;         /* of the TOML file; NULL: defaults, environment and flags only */
    char *const *environment; /* "NAME=value", NULL at the end; NULL: none */
    const char *const *flags; /* "--section.key=value" */
    uint32_t flag_count;
} twi_config_inputs;

/* Loads and checks. On TW_BAD_CONFIG, TW_IO and TW_NO_MEMORY *config is NULL and `errors` says what to mend, one line
 * each. TW_OK: release with twi_config_close(). */
TW_MUST_USE tw_status twi_config_load(const twi_config_schema *schema, const twi_config_inputs *inputs,
                                      twi_config **config, char *errors, size_t errors_cap);
/* The same with the file's content in memory; `path` is only its name in messages. */
TW_MUST_USE tw_status twi_config_parse(const twi_config_schema *schema, const twi_config_inputs *inputs,
                                       const char *toml, size_t toml_bytes, twi_config **config, char *errors,
                                       size_t errors_cap);
void twi_config_close(twi_config *config); /* NULL is allowed */

/* The filled struct; valid until close. */
const void *twi_config_settings(const twi_config *config);

/* For a schema's check(): one more error. `item_index` counts in an array of tables, -1 for a plain table. */
void twi_config_fault(twi_config *config, const char *section, int32_t item_index, const char *key, const char *format,
                      ...) TWI_PRINTF(5, 6);

/* Texts. Each returns the bytes of the whole text without its NUL, like snprintf; out may be NULL if cap is 0. */
size_t twi_config_print(const twi_config *config, char *out, size_t cap);          /* effective values, with origins */
size_t twi_config_example(const twi_config_schema *schema, char *out, size_t cap); /* a commented TOML file */
size_t twi_config_manual(const twi_config_schema *schema, char *out, size_t cap);  /* Markdown */

#ifdef __cplusplus
}
#endif
#endif
