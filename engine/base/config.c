/* config.c - the layers of a configuration: defaults, TOML file, environment, flags; and every fault with its place.
 * See config.h for the rules, config_value.c for the notation of values. */
#include "engine/base/config.h"

#include <ctype.h>
#include <errno.h>
#include <stdalign.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/assert.h"
#include "engine/base/config_internal.h"

enum {
    CONFIG_FILE_BYTES_MAX = 4 << 20,
    LINE_AFTER_FILE = 1 << 30, /* orders faults without a line behind those of the file */
};

/* A key of a section: where its value and its origin are. */
typedef struct slot {
    twi_config_part *part;
    const twi_config_key *key;
    uint32_t item;
} slot;

/* --- faults --- */

static twi_text begin_fault(twi_config *config, uint32_t line)
{
    uint32_t at = config->fault_count++;
    if (at >= TWI_CONFIG_FAULT_COUNT_MAX)
        return (twi_text){0};
    config->faults[at].line = line;
    return (twi_text){.out = config->faults[at].text, .cap = TWI_CONFIG_FAULT_BYTES};
}

static twi_text begin_file_fault(twi_config *config, uint32_t line)
{
    twi_text text = begin_fault(config, line);
    twi_text_add(&text, "%s:%u: ", config->path, line);
    return text;
}

static void add_key_name(twi_text *text, const twi_config_section *section, int32_t item, const char *key)
{
    if (twi_config_is_array(section) && item >= 0)
        twi_text_add(text, "%s.%d.%s", section->name, item, key);
    else
        twi_text_add(text, "%s.%s", section->name, key);
}

static int compare_faults(const void *left, const void *right)
{
    const twi_config_fault_line *a = left, *b = right;
    return a->line < b->line ? -1 : a->line > b->line;
}

static void write_faults(twi_config *config, char *errors, size_t errors_cap)
{
    twi_text text = {.out = errors, .cap = errors_cap};
    uint32_t kept = config->fault_count < TWI_CONFIG_FAULT_COUNT_MAX ? config->fault_count : TWI_CONFIG_FAULT_COUNT_MAX;
    qsort(config->faults, kept, sizeof(config->faults[0]), compare_faults);
    for (uint32_t i = 0; i < kept; i++)
        twi_text_add(&text, "%s%s", i ? "\n" : "", config->faults[i].text);
    if (config->fault_count > kept)
        twi_text_add(&text, "\nand %u more", config->fault_count - kept);
}

/* --- finding --- */

static twi_config_part *find_part(twi_config *config, const char *name)
{
    for (uint32_t i = 0; i < config->schema->section_count; i++) {
        if (strcmp(config->parts[i].section->name, name) == 0)
            return &config->parts[i];
    }
    return NULL;
}

static const twi_config_key *find_key(const twi_config_section *section, const char *name)
{
    for (uint32_t i = 0; i < section->key_count; i++) {
        if (strcmp(section->keys[i].name, name) == 0)
            return &section->keys[i];
    }
    return NULL;
}

static void *field_at(const slot *place)
{
    const twi_config_section *section = place->part->section;
    return place->part->items + place->item * section->item_bytes + place->key->offset;
}

static twi_config_origin *origin_of(const slot *place)
{
    const twi_config_section *section = place->part->section;
    return &place->part->origins[place->item * section->key_count + (size_t)(place->key - section->keys)];
}

/* The closest name if it is close enough to be a slip of the pen. */
typedef struct guess {
    const char *wanted, *best;
    uint32_t distance;
} guess;

static void guess_try(guess *state, const char *name)
{
    uint32_t distance = twi_config_distance(state->wanted, name);
    uint32_t allowed = strlen(state->wanted) > 5 ? 3 : 2;
    if (distance <= allowed && (!state->best || distance < state->distance))
        state->best = name, state->distance = distance;
}

static void add_key_remedy(const twi_config_section *section, const char *name, twi_text *text)
{
    guess close = {.wanted = name};
    for (uint32_t i = 0; i < section->key_count; i++)
        guess_try(&close, section->keys[i].name);
    if (close.best) {
        twi_text_add(text, "; did you mean %s?", close.best);
        return;
    }
    twi_text_add(text, "; [%s] has ", section->name);
    for (uint32_t i = 0; i < section->key_count; i++)
        twi_text_add(text, "%s%s", i ? ", " : "", section->keys[i].name);
}

static void add_section_remedy(const twi_config *config, const char *name, twi_text *text)
{
    guess close = {.wanted = name};
    for (uint32_t i = 0; i < config->schema->section_count; i++)
        guess_try(&close, config->schema->sections[i].name);
    if (close.best) {
        twi_text_add(text, "; did you mean [%s]?", close.best);
        return;
    }
    twi_text_add(text, "; there are ");
    for (uint32_t i = 0; i < config->schema->section_count; i++)
        twi_text_add(text, "%s[%s]", i ? ", " : "", config->schema->sections[i].name);
}

/* --- items of arrays of tables --- */

static tw_status set_default(twi_config *config, const slot *place)
{
    char detail[TWI_CONFIG_FAULT_BYTES];
    twi_text error = {.out = detail, .cap = sizeof(detail)};
    const char *initial = place->key->initial ? place->key->initial : "";
    if (!place->key->initial && place->key->type != TWI_CONFIG_STRING)
        return TW_OK;
    tw_status status = twi_config_store_text(place->key, initial, field_at(place), &config->arena, &error);
    TWI_ASSERT(status != TW_BAD_CONFIG); /* the schema's own mistake */
    return status;
}

static tw_status add_item(twi_config *config, twi_config_part *part)
{
    slot place = {.part = part, .item = part->item_count++};
    for (uint32_t i = 0; i < part->section->key_count; i++) {
        place.key = &part->section->keys[i];
        tw_status status = set_default(config, &place);
        if (status != TW_OK)
            return status;
    }
    return TW_OK;
}

static tw_status prepare_part(twi_config *config, twi_config_part *part, const twi_config_section *section)
{
    part->section = section;
    uint32_t capacity = twi_config_is_array(section) ? section->item_count_max : 1;
    part->origins = twi_arena_array(&config->arena, (size_t)capacity * section->key_count, sizeof(twi_config_origin),
                                    alignof(max_align_t));
    if (!part->origins)
        return TW_NO_MEMORY;
    if (!twi_config_is_array(section)) {
        part->items = config->settings + section->offset;
        return add_item(config, part);
    }
    part->items = twi_arena_array(&config->arena, capacity, section->item_bytes, alignof(max_align_t));
    return part->items ? TW_OK : TW_NO_MEMORY;
}

static tw_status prepare(twi_config *config)
{
    const twi_config_schema *schema = config->schema;
    config->settings = twi_arena_alloc(&config->arena, schema->settings_bytes, alignof(max_align_t));
    config->parts =
        twi_arena_array(&config->arena, schema->section_count, sizeof(twi_config_part), alignof(max_align_t));
    if (!config->settings || !config->parts)
        return TW_NO_MEMORY;
    for (uint32_t i = 0; i < schema->section_count; i++) {
        tw_status status = prepare_part(config, &config->parts[i], &schema->sections[i]);
        if (status != TW_OK)
            return status;
    }
    return TW_OK;
}

/* --- the file --- */

typedef struct file_reader {
    twi_config *config;
    const char *table_name;
    char table_copy[TWI_CONFIG_NAME_BYTES];
    twi_config_part *part; /* NULL: an unknown table, whose keys are not looked at */
    uint32_t item;
    tw_status status;
} file_reader;

static void refuse_table(file_reader *reader, const char *name, int32_t index, uint32_t line)
{
    twi_text text = begin_file_fault(reader->config, line);
    if (!reader->part) {
        twi_text_add(&text, "[%.64s]: unknown section", name);
        add_section_remedy(reader->config, name, &text);
    } else if (index < 0) {
        twi_text_add(&text, "[%s]: there may be several; write [[%s]]", name, name);
    } else if (!twi_config_is_array(reader->part->section)) {
        twi_text_add(&text, "[[%s]]: there is one only; write [%s]", name, name);
    } else {
        twi_text_add(&text, "[[%s]]: more than %u of them", name, reader->part->section->item_count_max);
    }
    reader->part = NULL;
}

static void on_table(void *owner, const char *name, int32_t index, uint32_t line)
{
    file_reader *reader = owner;
    reader->item = 0;
    reader->part = find_part(reader->config, name);
    snprintf(reader->table_copy, sizeof(reader->table_copy), "%s", name);
    if (!*name)
        return;
    bool is_array = reader->part && twi_config_is_array(reader->part->section);
    bool fits = reader->part && is_array == (index >= 0);
    if (!fits || (is_array && reader->part->item_count >= reader->part->section->item_count_max)) {
        refuse_table(reader, name, index, line);
        return;
    }
    if (is_array) {
        reader->item = reader->part->item_count;
        tw_status status = add_item(reader->config, reader->part);
        if (status != TW_OK)
            reader->status = status;
    }
}

static void refuse_loose_key(file_reader *reader, const char *key, const twi_toml_value *value)
{
    twi_config *config = reader->config;
    twi_text text = begin_file_fault(config, value->line);
    twi_text_add(&text, "%.64s: stands before the first [section]", key);
    for (uint32_t i = 0; i < config->schema->section_count; i++) {
        if (find_key(&config->schema->sections[i], key)) {
            twi_text_add(&text, "; did you mean it for [%s]?", config->schema->sections[i].name);
            return;
        }
    }
    twi_text_add(&text, "; every key belongs to one");
}

static void on_value(void *owner, const char *name, const twi_toml_value *value)
{
    file_reader *reader = owner;
    twi_config *config = reader->config;
    if (!*reader->table_copy) {
        refuse_loose_key(reader, name, value);
        return;
    }
    if (!reader->part)
        return;
    slot place = {.part = reader->part, .item = reader->item, .key = find_key(reader->part->section, name)};
    if (!place.key) {
        twi_text text = begin_file_fault(config, value->line);
        add_key_name(&text, place.part->section, (int32_t)place.item, name);
        twi_text_add(&text, ": unknown key");
        add_key_remedy(place.part->section, name, &text);
        return;
    }
    char detail[TWI_CONFIG_FAULT_BYTES] = "";
    twi_text error = {.out = detail, .cap = sizeof(detail)};
    tw_status status = twi_config_store_toml(place.key, value, field_at(&place), &config->arena, &error);
    *origin_of(&place) = (twi_config_origin){.layer = TWI_LAYER_FILE, .line = value->line};
    if (status == TW_BAD_CONFIG) {
        twi_text text = begin_file_fault(config, value->line);
        add_key_name(&text, place.part->section, (int32_t)place.item, name);
        twi_text_add(&text, ": %s", detail);
    } else if (status != TW_OK) {
        reader->status = status;
    }
}

static tw_status apply_file(twi_config *config, const char *toml, size_t toml_bytes)
{
    file_reader reader = {.config = config};
    twi_toml_visitor visitor = {.owner = &reader, .table = on_table, .value = on_value};
    char detail[200] = "";
    uint32_t line = 0;
    tw_status status = twi_toml_read(toml, toml_bytes, &visitor, &line, detail, sizeof(detail));
    if (status == TW_MALFORMED) {
        twi_text text = begin_file_fault(config, line);
        twi_text_add(&text, "%s%s", detail,
                     strstr(detail, "redefine") ? "; each key and each section may stand once" : "");
        return TW_OK;
    }
    return status != TW_OK ? status : reader.status;
}

/* --- environment and flags: both are names with a text --- */

typedef struct assignment {
    twi_config_layer layer;
    const char *shown; /* "environment TICKWIRE_LISTEN_PORT", "flag --listen.port" */
    const char *value;
} assignment;

static tw_status assign(twi_config *config, const slot *place, const assignment *given)
{
    char detail[TWI_CONFIG_FAULT_BYTES] = "";
    twi_text error = {.out = detail, .cap = sizeof(detail)};
    tw_status status = twi_config_store_text(place->key, given->value, field_at(place), &config->arena, &error);
    *origin_of(place) = (twi_config_origin){.layer = given->layer};
    if (status != TW_BAD_CONFIG)
        return status;
    twi_text text = begin_fault(config, LINE_AFTER_FILE);
    twi_text_add(&text, "%s: %s", given->shown, detail);
    return TW_OK;
}

/* Finds the item that a number names; one more than there are makes a new one. */
static tw_status find_item(twi_config *config, slot *place, uint64_t number, const assignment *given)
{
    twi_config_part *part = place->part;
    place->item = (uint32_t)number;
    if (number < part->item_count)
        return TW_OK;
    if (number == part->item_count && number < part->section->item_count_max)
        return add_item(config, part);
    twi_text text = begin_fault(config, LINE_AFTER_FILE);
    twi_text_add(&text, "%s: there are %u of [[%s]], numbered from 0", given->shown, part->item_count,
                 part->section->name);
    return TW_BAD_CONFIG;
}

/* `rest` is what follows the section's name: "key" or "0<separator>key". Splits off the number. */
static const char *split_number(const char *rest, char separator, uint64_t *number)
{
    char *end = NULL;
    *number = 0;
    if (!isdigit((unsigned char)*rest))
        return rest;
    errno = 0;
    unsigned long long parsed = strtoull(rest, &end, 10);
    if (errno || *end != separator)
        return rest;
    *number = parsed;
    return end + 1;
}

static tw_status apply_named(twi_config *config, twi_config_part *part, const char *rest, char separator,
                             const assignment *given)
{
    slot place = {.part = part};
    uint64_t number = 0;
    const char *name = twi_config_is_array(part->section) ? split_number(rest, separator, &number) : rest;
    place.key = find_key(part->section, name);
    if (!place.key) {
        twi_text text = begin_fault(config, LINE_AFTER_FILE);
        twi_text_add(&text, "%s: unknown key", given->shown);
        add_key_remedy(part->section, name, &text);
        return TW_OK;
    }
    if (twi_config_is_array(part->section)) {
        tw_status status = find_item(config, &place, number, given);
        if (status != TW_OK)
            return status == TW_BAD_CONFIG ? TW_OK : status;
    }
    return assign(config, &place, given);
}

/* NAME without prefix, lower case, against "section_": the longest section name wins. */
static twi_config_part *find_env_part(twi_config *config, const char *name)
{
    twi_config_part *found = NULL;
    size_t found_length = 0;
    for (uint32_t i = 0; i < config->schema->section_count; i++) {
        const char *section = config->parts[i].section->name;
        size_t length = strlen(section);
        if (length > found_length && strncmp(name, section, length) == 0 && name[length] == '_')
            found = &config->parts[i], found_length = length;
    }
    return found;
}

static tw_status apply_variable(twi_config *config, const char *variable)
{
    size_t prefix = strlen(config->schema->env_prefix);
    const char *equals = strchr(variable, '=');
    if (!equals || strncmp(variable, config->schema->env_prefix, prefix) != 0 || variable[prefix] != '_')
        return TW_OK;
    char name[2 * TWI_CONFIG_NAME_BYTES], shown[2 * TWI_CONFIG_NAME_BYTES + 16];
    size_t length = (size_t)(equals - variable) - prefix - 1;
    if (length >= sizeof(name))
        return TW_OK;
    for (size_t i = 0; i < length; i++)
        name[i] = (char)tolower((unsigned char)variable[prefix + 1 + i]);
    name[length] = 0;
    twi_config_part *part = find_env_part(config, name);
    if (!part)
        return TW_OK; /* variables of other programs may share the prefix */
    snprintf(shown, sizeof(shown), "environment %.*s", (int)(equals - variable), variable);
    assignment given = {.layer = TWI_LAYER_ENVIRONMENT, .shown = shown, .value = equals + 1};
    return apply_named(config, part, name + strlen(part->section->name) + 1, '_', &given);
}

static tw_status apply_flag(twi_config *config, const char *flag)
{
    char shown[2 * TWI_CONFIG_NAME_BYTES + 16], section[TWI_CONFIG_NAME_BYTES], rest[TWI_CONFIG_NAME_BYTES];
    const char *equals = strchr(flag, '='), *dot = strchr(flag, '.');
    size_t name_length = equals ? (size_t)(equals - flag) : strlen(flag);
    snprintf(shown, sizeof(shown), "flag %.*s", (int)(name_length < 100 ? name_length : 100), flag);
    bool is_shaped = strncmp(flag, "--", 2) == 0 && equals && dot && dot < equals &&
                     (size_t)(dot - flag - 2) < sizeof(section) && (size_t)(equals - dot) < sizeof(rest);
    if (!is_shaped) {
        twi_text text = begin_fault(config, LINE_AFTER_FILE + 1);
        twi_text_add(&text, "%s: write --section.key=value", shown);
        return TW_OK;
    }
    snprintf(section, sizeof(section), "%.*s", (int)(dot - flag - 2), flag + 2);
    snprintf(rest, sizeof(rest), "%.*s", (int)(equals - dot - 1), dot + 1);
    twi_config_part *part = find_part(config, section);
    if (!part) {
        twi_text text = begin_fault(config, LINE_AFTER_FILE + 1);
        twi_text_add(&text, "%s: unknown section", shown);
        add_section_remedy(config, section, &text);
        return TW_OK;
    }
    assignment given = {.layer = TWI_LAYER_FLAG, .shown = shown, .value = equals + 1};
    return apply_named(config, part, rest, '.', &given);
}

/* --- checks over all layers --- */

static void check_item(twi_config *config, twi_config_part *part, uint32_t item)
{
    const twi_config_section *section = part->section;
    slot place = {.part = part, .item = item};
    const char *variant = NULL;
    size_t variant_length = 0;
    if (section->variant_key) {
        place.key = find_key(section, section->variant_key);
        TWI_ASSERT(place.key && place.key->type == TWI_CONFIG_ENUM);
        variant = twi_config_choice_name(place.key->choices, *(const int *)field_at(&place), &variant_length);
    }
    for (uint32_t i = 0; i < section->key_count; i++) {
        place.key = &section->keys[i];
        bool is_given = origin_of(&place)->layer != TWI_LAYER_DEFAULT;
        bool applies = !place.key->only_for || twi_config_choice(place.key->only_for, variant, variant_length) >= 0;
        if (is_given && !applies)
            twi_config_fault(config, section->name, (int32_t)item, place.key->name,
                             "is for %s = \"%s\", this is \"%.*s\"", section->variant_key, place.key->only_for,
                             (int)variant_length, variant);
        else if (!is_given && applies && !place.key->initial)
            twi_config_fault(config, section->name, (int32_t)item, place.key->name, "must be given");
    }
}

static tw_status finish_parts(twi_config *config)
{
    for (uint32_t i = 0; i < config->schema->section_count; i++) {
        twi_config_part *part = &config->parts[i];
        while (part->item_count < part->section->item_count_min) {
            tw_status status = add_item(config, part);
            if (status != TW_OK)
                return status;
        }
        for (uint32_t item = 0; item < part->item_count; item++)
            check_item(config, part, item);
        if (twi_config_is_array(part->section))
            *(twi_config_tables *)(void *)(config->settings + part->section->offset) =
                (twi_config_tables){.items = part->items, .count = part->item_count};
    }
    if (config->schema->check && config->fault_count == 0)
        config->schema->check(config->settings, config);
    return TW_OK;
}

void twi_config_fault(twi_config *config, const char *section, int32_t item_index, const char *key, const char *format,
                      ...)
{
    slot place = {.part = find_part(config, section), .item = item_index < 0 ? 0 : (uint32_t)item_index};
    TWI_ASSERT(place.part);
    place.key = find_key(place.part->section, key);
    TWI_ASSERT(place.key);
    char detail[TWI_CONFIG_FAULT_BYTES];
    va_list args;
    va_start(args, format);
    vsnprintf(detail, sizeof(detail), format, args);
    va_end(args);
    const twi_config_origin *origin = origin_of(&place);
    bool in_file = origin->layer == TWI_LAYER_FILE;
    twi_text text = in_file ? begin_file_fault(config, origin->line) : begin_fault(config, LINE_AFTER_FILE);
    if (!in_file && config->path && origin->layer == TWI_LAYER_DEFAULT)
        twi_text_add(&text, "%s: ", config->path);
    add_key_name(&text, place.part->section, item_index, key);
    twi_text_add(&text, ": %s", detail);
}

/* --- loading --- */

static tw_status apply_layers(twi_config *config, const twi_config_inputs *inputs, const char *toml, size_t toml_bytes)
{
    tw_status status = prepare(config);
    if (status == TW_OK && toml)
        status = apply_file(config, toml, toml_bytes);
    for (char *const *variable = inputs->environment; status == TW_OK && variable && *variable; variable++)
        status = apply_variable(config, *variable);
    for (uint32_t i = 0; status == TW_OK && i < inputs->flag_count; i++)
        status = apply_flag(config, inputs->flags[i]);
    return status == TW_OK ? finish_parts(config) : status;
}

tw_status twi_config_parse(const twi_config_schema *schema, const twi_config_inputs *inputs, const char *toml,
                           size_t toml_bytes, twi_config **config, char *errors, size_t errors_cap)
{
    *config = NULL;
    twi_config *fresh = calloc(1, sizeof(*fresh));
    tw_status status = TW_NO_MEMORY;
    if (fresh) {
        fresh->schema = schema;
        fresh->path = inputs->path;
        status = apply_layers(fresh, inputs, toml, toml_bytes);
    }
    if (status == TW_NO_MEMORY)
        snprintf(errors, errors_cap, "no memory for the configuration");
    if (status == TW_OK && fresh->fault_count) {
        write_faults(fresh, errors, errors_cap);
        status = TW_BAD_CONFIG;
    }
    if (status != TW_OK) {
        twi_config_close(fresh);
        return status;
    }
    twi_arena_seal(&fresh->arena);
    *config = fresh;
    return TW_OK;
}

/* The whole file into memory of the caller's, who frees it. */
static tw_status read_file(const char *path, char **content, size_t *bytes, char *errors, size_t errors_cap)
{
    FILE *file = fopen(path, "rb");
    *content = file ? malloc(CONFIG_FILE_BYTES_MAX) : NULL;
    if (!*content) {
        snprintf(errors, errors_cap, "%s: cannot be read: %s", path, strerror(errno));
        if (file)
            fclose(file);
        return TW_IO;
    }
    *bytes = fread(*content, 1, CONFIG_FILE_BYTES_MAX, file);
    bool failed = ferror(file) != 0;
    int code = errno;
    fclose(file);
    if (!failed && *bytes < CONFIG_FILE_BYTES_MAX)
        return TW_OK;
    snprintf(errors, errors_cap, "%s: %s", path, failed ? strerror(code) : "is larger than 4 MiB: not a configuration");
    free(*content);
    return TW_IO;
}

tw_status twi_config_load(const twi_config_schema *schema, const twi_config_inputs *inputs, twi_config **config,
                          char *errors, size_t errors_cap)
{
    char *toml = NULL;
    size_t toml_bytes = 0;
    *config = NULL;
    if (inputs->path) {
        tw_status status = read_file(inputs->path, &toml, &toml_bytes, errors, errors_cap);
        if (status != TW_OK)
            return status;
    }
    tw_status status = twi_config_parse(schema, inputs, toml, toml_bytes, config, errors, errors_cap);
    free(toml);
    return status;
}

void twi_config_close(twi_config *config)
{
    if (!config)
        return;
    twi_arena_free(&config->arena);
    free(config);
}

const void *twi_config_settings(const twi_config *config)
{
    return config->settings;
}
