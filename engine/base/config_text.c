/* config_text.c - a configuration as text: effective values with their origins, the commented example, the manual.
 * All three come from the schema, so that they cannot say something else than the program does. */
#include <inttypes.h>
#include <string.h>

#include "engine/base/config_internal.h"

enum { COMMENT_COLUMNS = 100, ORIGIN_COLUMN = 44 };

static const char *const type_names[] = {
    [TWI_CONFIG_BOOL] = "true or false",
    [TWI_CONFIG_INT] = "integer",
    [TWI_CONFIG_SIZE] = "size",
    [TWI_CONFIG_DURATION] = "duration",
    [TWI_CONFIG_MODE] = "permission bits",
    [TWI_CONFIG_ENUM] = "choice",
    [TWI_CONFIG_STRING] = "text",
    [TWI_CONFIG_STRING_LIST] = "list of texts",
    [TWI_CONFIG_INT_LIST] = "list of integers",
};

/* --- comments --- */

/* Words of one paragraph behind "# ", broken before COMMENT_COLUMNS. */
static void add_comment(twi_text *text, const char *paragraph)
{
    size_t column = 0;
    while (*paragraph) {
        size_t length = strcspn(paragraph, " ");
        if (column && column + 1 + length > COMMENT_COLUMNS) {
            twi_text_add(text, "\n");
            column = 0;
        }
        twi_text_add(text, column ? " %.*s" : "# %.*s", (int)length, paragraph);
        column += length + (column ? 1 : 2);
        paragraph += length;
        paragraph += strspn(paragraph, " ");
    }
    twi_text_add(text, "\n");
}

static bool is_bounded(const twi_config_key *key)
{
    return key->min != 0 || key->max != 0;
}

static void add_bounds(const twi_config_key *key, twi_text *text)
{
    twi_config_format_number(key, key->min, text);
    if (key->max == INT64_MAX) {
        twi_text_add(text, " or more");
        return;
    }
    twi_text_add(text, " to ");
    twi_config_format_number(key, key->max, text);
}

static void add_joined_choices(const char *choices, const char *separator, const char *quote, twi_text *text)
{
    size_t length = 0;
    for (int i = 0;; i++) {
        const char *choice = twi_config_choice_name(choices, i, &length);
        if (!choice)
            return;
        twi_text_add(text, "%s%s%.*s%s", i ? separator : "", quote, (int)length, choice, quote);
    }
}

/* What may be written: "integer, 0 to 10 events per second". */
static void add_range(const twi_config_key *key, const char *quote, twi_text *text)
{
    if (key->choices)
        add_joined_choices(key->choices, key->type == TWI_CONFIG_STRING_LIST ? ", " : " or ", quote, text);
    else
        twi_text_add(text, "%s", type_names[key->type]);
    if (is_bounded(key)) {
        twi_text_add(text, ", ");
        add_bounds(key, text);
    }
    if (key->unit)
        twi_text_add(text, is_bounded(key) ? " %s" : ", %s", key->unit);
}

/* The range and the default. */
static void add_facts(const twi_config_key *key, twi_text *text)
{
    add_range(key, "\"", text);
    if (key->initial) {
        twi_text_add(text, "; default ");
        twi_config_format_initial(key, text);
    } else {
        twi_text_add(text, "; must be given");
    }
}

static void add_key_comment(const twi_config_key *key, twi_text *text)
{
    char paragraph[1024];
    twi_text words = {.out = paragraph, .cap = sizeof(paragraph)};
    twi_text_add(&words, "%s (", key->reason);
    add_facts(key, &words);
    twi_text_add(&words, ")");
    add_comment(text, paragraph);
}

/* --- the example file --- */

static bool is_for(const twi_config_key *key, const char *variant, size_t length)
{
    return !key->only_for || twi_config_choice(key->only_for, variant, length) >= 0;
}

static void add_example_key(const twi_config_key *key, bool is_active, twi_text *text)
{
    add_key_comment(key, text);
    twi_text_add(text, "%s%s = ", is_active ? "" : "#", key->name);
    if (key->initial)
        twi_config_format_initial(key, text);
    else
        twi_text_add(text, "\"\"");
    twi_text_add(text, "\n");
}

/* The default variant's keys are live; those of the others stand below it as comments. */
static void add_example_section(const twi_config_section *section, twi_text *text)
{
    const char *variant = "";
    size_t variant_length = 0;
    for (uint32_t i = 0; section->variant_key && i < section->key_count; i++) {
        if (strcmp(section->keys[i].name, section->variant_key) == 0)
            variant = section->keys[i].initial, variant_length = strlen(variant);
    }
    twi_text_add(text, "\n");
    add_comment(text, section->about);
    twi_text_add(text, twi_config_is_array(section) ? "[[%s]]\n" : "[%s]\n", section->name);
    for (uint32_t i = 0; i < section->key_count; i++) {
        if (is_for(&section->keys[i], variant, variant_length))
            add_example_key(&section->keys[i], true, text);
    }
    const char *group = NULL;
    for (uint32_t i = 0; i < section->key_count; i++) {
        const twi_config_key *key = &section->keys[i];
        if (is_for(key, variant, variant_length))
            continue;
        if (!group || strcmp(group, key->only_for) != 0) {
            group = key->only_for;
            twi_text_add(text, "\n# With %s = \"", section->variant_key);
            add_joined_choices(group, "\" or \"", "", text);
            twi_text_add(text, "\":\n");
        }
        add_example_key(key, false, text);
    }
}

size_t twi_config_example(const twi_config_schema *schema, char *out, size_t cap)
{
    twi_text text = {.out = out, .cap = cap};
    twi_text_add(&text, "# %s\n", schema->title);
    add_comment(&text, "Every key stands here with its default: what is left out keeps it. A value given here is "
                       "overridden by the environment, and that by a flag:");
    twi_text_add(&text, "#   %s_SECTION_KEY=value     --section.key=value\n", schema->env_prefix);
    add_comment(&text, "Sizes are \"64MiB\", \"16KiB\" or bytes; durations \"5s\", \"50ms\", \"10us\".");
    for (uint32_t i = 0; i < schema->section_count; i++)
        add_example_section(&schema->sections[i], &text);
    return text.length;
}

/* --- the manual --- */

static void add_manual_key(const twi_config_key *key, twi_text *text)
{
    twi_text_add(text, "| `%s` | ", key->name);
    add_range(key, "`", text);
    twi_text_add(text, " | ");
    if (key->initial) {
        twi_text_add(text, "`");
        twi_config_format_initial(key, text);
        twi_text_add(text, "`");
    } else {
        twi_text_add(text, "must be given");
    }
    twi_text_add(text, " | ");
    if (key->only_for) {
        add_joined_choices(key->only_for, ", ", "`", text);
        twi_text_add(text, " only. ");
    }
    twi_text_add(text, "%s |\n", key->reason);
}

size_t twi_config_manual(const twi_config_schema *schema, char *out, size_t cap)
{
    twi_text text = {.out = out, .cap = cap};
    twi_text_add(&text, "# Configuration\n\n");
    twi_text_add(&text, "This page is made from the program's own table of keys; a test compares the two.\n\n");
    twi_text_add(&text,
                 "A value comes from the file (`-c FILE`, TOML), is overridden by the environment "
                 "(`%s_SECTION_KEY=value`), and that by a flag (`--section.key=value`).\nTables of an array are "
                 "numbered from 0 there: `%s_FEED_0_RATE=5000`, `--feed.0.rate=5000`; the number of the first may be "
                 "left out.\n`--check-config` says what is wrong and where, `--print-config` what is in force and "
                 "where it comes from, `--example-config` prints a commented file.\n\nSizes are `64MiB`, `16KiB`, "
                 "`10kB` or bytes; durations carry their unit: `5s`, `50ms`, `10us`.\n",
                 schema->env_prefix, schema->env_prefix);
    for (uint32_t i = 0; i < schema->section_count; i++) {
        const twi_config_section *section = &schema->sections[i];
        twi_text_add(&text, twi_config_is_array(section) ? "\n## [[%s]]\n\n" : "\n## [%s]\n\n", section->name);
        twi_text_add(&text, "%s\n\n| key | value | default | what it does, and why |\n|---|---|---|---|\n",
                     section->about);
        for (uint32_t k = 0; k < section->key_count; k++)
            add_manual_key(&section->keys[k], &text);
    }
    return text.length;
}

/* --- effective values --- */

static void add_origin(const twi_config *config, const twi_config_origin *origin, twi_text *text)
{
    switch (origin->layer) {
    case TWI_LAYER_DEFAULT:
        twi_text_add(text, "default");
        break;
    case TWI_LAYER_FILE:
        twi_text_add(text, "%s:%" PRIu32, config->path, origin->line);
        break;
    case TWI_LAYER_ENVIRONMENT:
        twi_text_add(text, "environment");
        break;
    case TWI_LAYER_FLAG:
        twi_text_add(text, "flag");
        break;
    }
}

static void print_key(const twi_config *config, const twi_config_part *part, uint32_t item, uint32_t key_index,
                      twi_text *text)
{
    const twi_config_key *key = &part->section->keys[key_index];
    const unsigned char *base = part->items + item * part->section->item_bytes;
    size_t start = text->length;
    twi_text_add(text, "%s%s = ", key->secret ? "# " : "", key->name);
    if (key->secret)
        twi_text_add(text, "(hidden)");
    else
        twi_config_format(key, base + key->offset, text);
    size_t used = text->length - start;
    twi_text_add(text, "%*s # ", used < ORIGIN_COLUMN ? (int)(ORIGIN_COLUMN - used) : 0, "");
    add_origin(config, &part->origins[item * part->section->key_count + key_index], text);
    twi_text_add(text, "\n");
}

static void print_item(const twi_config *config, const twi_config_part *part, uint32_t item, twi_text *text)
{
    const twi_config_section *section = part->section;
    const char *variant = "";
    size_t variant_length = 0;
    for (uint32_t i = 0; section->variant_key && i < section->key_count; i++) {
        const twi_config_key *key = &section->keys[i];
        if (strcmp(key->name, section->variant_key) == 0) {
            int index = *(const int *)(const void *)(part->items + item * section->item_bytes + key->offset);
            variant = twi_config_choice_name(key->choices, index, &variant_length);
        }
    }
    twi_text_add(text, twi_config_is_array(section) ? "[[%s]]\n" : "[%s]\n", section->name);
    for (uint32_t i = 0; i < section->key_count; i++) {
        if (is_for(&section->keys[i], variant, variant_length))
            print_key(config, part, item, i, text);
    }
    twi_text_add(text, "\n");
}

size_t twi_config_print(const twi_config *config, char *out, size_t cap)
{
    twi_text text = {.out = out, .cap = cap};
    for (uint32_t i = 0; i < config->schema->section_count; i++) {
        const twi_config_part *part = &config->parts[i];
        for (uint32_t item = 0; item < part->item_count; item++)
            print_item(config, part, item, &text);
    }
    return text.length;
}
