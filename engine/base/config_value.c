/* config_value.c - single values of a configuration: from text, from TOML, to text. See config.h for the notation. */
#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/assert.h"
#include "engine/base/config_internal.h"

typedef struct unit {
    const char *name;
    int64_t size;
} unit;

static const unit size_units[] = {{"", 1},          {"B", 1},           {"kB", 1000},     {"KB", 1000},
                                  {"MB", 1000000},  {"GB", 1000000000}, {"KiB", 1 << 10}, {"MiB", 1 << 20},
                                  {"GiB", 1 << 30}, {"K", 1 << 10},     {"M", 1 << 20},   {"G", 1 << 30}};
static const unit duration_units[] = {{"ns", 1},         {"us", 1000},       {"ms", 1000000},
                                      {"s", 1000000000}, {"m", 60000000000}, {"h", 3600000000000}};

static const char *const type_hints[] = {
    [TWI_CONFIG_BOOL] = "write true or false",
    [TWI_CONFIG_INT] = "write an integer",
    [TWI_CONFIG_SIZE] = "write a size such as \"64MiB\", or a number of bytes",
    [TWI_CONFIG_DURATION] = "write a duration with its unit, such as \"5s\", \"50ms\" or \"10us\"",
    [TWI_CONFIG_MODE] = "write permission bits such as \"0640\"",
    [TWI_CONFIG_ENUM] = "write one of",
    [TWI_CONFIG_STRING] = "write a text",
    [TWI_CONFIG_STRING_LIST] = "write a list of texts such as [\"a\", \"b\"]",
    [TWI_CONFIG_INT_LIST] = "write a list of integers such as [0, 1]",
};
static const char *const kind_names[] = {
    [TWI_TOML_BOOL] = "a boolean", [TWI_TOML_INTEGER] = "an integer", [TWI_TOML_FLOAT] = "a decimal number",
    [TWI_TOML_STRING] = "a text",  [TWI_TOML_TIME] = "a date",        [TWI_TOML_ARRAY] = "a list",
    [TWI_TOML_TABLE] = "a table",
};

/* --- small readers --- */

static bool read_integer(const char *text, size_t length, int base, int64_t *number, size_t *used)
{
    char digits[64];
    size_t count = 0;
    *used = 0;
    for (size_t i = 0; i < length && count < sizeof(digits) - 1; i++) {
        bool is_sign = i == 0 && (text[i] == '-' || text[i] == '+');
        if (text[i] == '_' && i > 0)
            continue;
        if (!isdigit((unsigned char)text[i]) && !is_sign)
            break;
        digits[count++] = text[i];
        *used = i + 1;
    }
    digits[count] = 0;
    char *end = digits;
    errno = 0;
    *number = strtoll(digits, &end, base);
    return end != digits && *end == 0 && errno == 0;
}

/* A number and a unit out of the list, nothing else. */
static bool read_with_unit(const char *text, const unit *units, size_t unit_count, int64_t *number)
{
    size_t used = 0;
    if (!read_integer(text, strlen(text), 10, number, &used))
        return false;
    const char *name = text + used;
    while (*name == ' ')
        name++;
    for (size_t i = 0; i < unit_count; i++) {
        if (strcmp(units[i].name, name) != 0)
            continue;
        if (*number > INT64_MAX / units[i].size || *number < INT64_MIN / units[i].size)
            return false;
        *number *= units[i].size;
        return true;
    }
    return false;
}

static bool read_number(const twi_config_key *key, const char *text, int64_t *number)
{
    size_t used = 0;
    switch (key->type) {
    case TWI_CONFIG_SIZE:
        return read_with_unit(text, size_units, sizeof(size_units) / sizeof(size_units[0]), number);
    case TWI_CONFIG_DURATION:
        if (strcmp(text, "0") == 0) {
            *number = 0;
            return true;
        }
        return read_with_unit(text, duration_units, sizeof(duration_units) / sizeof(duration_units[0]), number);
    case TWI_CONFIG_MODE:
        if (strncmp(text, "0o", 2) == 0)
            text += 2;
        return read_integer(text, strlen(text), 8, number, &used) && text[used] == 0;
    default:
        return read_integer(text, strlen(text), 10, number, &used) && text[used] == 0;
    }
}

int twi_config_choice(const char *choices, const char *word, size_t length)
{
    size_t choice_length = 0;
    for (int i = 0;; i++) {
        const char *choice = twi_config_choice_name(choices, i, &choice_length);
        if (!choice)
            return -1;
        if (choice_length == length && memcmp(choice, word, length) == 0)
            return i;
    }
}

const char *twi_config_choice_name(const char *choices, int index, size_t *length)
{
    for (; index > 0; index--) {
        choices = strchr(choices, '|');
        if (!choices)
            return NULL;
        choices++;
    }
    *length = strcspn(choices, "|");
    return choices;
}

static uint32_t smallest(uint32_t a, uint32_t b, uint32_t c)
{
    uint32_t least = a < b ? a : b;
    return least < c ? least : c;
}

uint32_t twi_config_distance(const char *a, const char *b)
{
    uint32_t row[TWI_CONFIG_NAME_BYTES + 1];
    size_t a_length = strlen(a), b_length = strlen(b);
    if (a_length > TWI_CONFIG_NAME_BYTES || b_length > TWI_CONFIG_NAME_BYTES)
        return UINT32_MAX;
    for (size_t i = 0; i <= b_length; i++)
        row[i] = (uint32_t)i;
    for (size_t i = 1; i <= a_length; i++) {
        uint32_t diagonal = row[0];
        row[0] = (uint32_t)i;
        for (size_t k = 1; k <= b_length; k++) {
            uint32_t replaced = diagonal + (a[i - 1] != b[k - 1]);
            diagonal = row[k];
            row[k] = smallest(row[k] + 1, row[k - 1] + 1, replaced);
        }
    }
    return row[b_length];
}

/* --- storing --- */

static void add_choices(const char *choices, twi_text *text)
{
    size_t length = 0;
    for (int i = 0;; i++) {
        const char *choice = twi_config_choice_name(choices, i, &length);
        if (!choice)
            return;
        twi_text_add(text, "%s%.*s", i ? ", " : "", (int)length, choice);
    }
}

static tw_status wrong_type(const twi_config_key *key, const char *what, twi_text *error)
{
    twi_text_add(error, "is %s; %s", what, type_hints[key->type]);
    if (key->type == TWI_CONFIG_ENUM) {
        twi_text_add(error, " ");
        add_choices(key->choices, error);
    }
    return TW_BAD_CONFIG;
}

static tw_status unreadable(const twi_config_key *key, const char *text, twi_text *error)
{
    char what[96];
    twi_text quoted = {.out = what, .cap = sizeof(what)};
    twi_text_add(&quoted, "'%.*s'", 64, text);
    return wrong_type(key, what, error);
}

static tw_status check_bounds(const twi_config_key *key, int64_t number, twi_text *error)
{
    if (key->min == 0 && key->max == 0)
        return TW_OK;
    if (number >= key->min && number <= key->max)
        return TW_OK;
    bool is_low = number < key->min;
    twi_text_add(error, "is ");
    twi_config_format_number(key, number, error);
    twi_text_add(error, is_low ? ", the least is " : ", the most is ");
    twi_config_format_number(key, is_low ? key->min : key->max, error);
    return TW_BAD_CONFIG;
}

static tw_status store_number(const twi_config_key *key, int64_t number, void *at, twi_text *error)
{
    tw_status status = check_bounds(key, number, error);
    if (status == TW_OK)
        *(int64_t *)at = number;
    return status;
}

static tw_status store_choice(const twi_config_key *key, const char *word, void *at, twi_text *error)
{
    int index = twi_config_choice(key->choices, word, strlen(word));
    if (index < 0)
        return unreadable(key, word, error);
    *(int *)at = index;
    return TW_OK;
}

static tw_status store_string(const char *text, size_t length, void *at, twi_arena *arena, twi_text *error)
{
    if (memchr(text, 0, length)) {
        twi_text_add(error, "contains a NUL character; leave it out");
        return TW_BAD_CONFIG;
    }
    const char *copy = twi_arena_text(arena, text, length);
    if (!copy)
        return TW_NO_MEMORY;
    *(const char **)at = copy;
    return TW_OK;
}

static tw_status check_item_choice(const twi_config_key *key, const char *item, size_t length, twi_text *error)
{
    if (!key->choices || twi_config_choice(key->choices, item, length) >= 0)
        return TW_OK;
    twi_text_add(error, "is '%.*s'; write one of ", (int)(length < 64 ? length : 64), item);
    add_choices(key->choices, error);
    return TW_BAD_CONFIG;
}

/* A text, alone or in a list; one of the choices if there are any. */
static tw_status store_item(const twi_config_key *key, const char *item, size_t length, void *at, twi_arena *arena,
                            twi_text *error)
{
    tw_status status = check_item_choice(key, item, length, error);
    return status == TW_OK ? store_string(item, length, at, arena, error) : status;
}

static tw_status store_list_item(const twi_config_key *key, const char *item, size_t length, void *at, twi_arena *arena,
                                 twi_text *error)
{
    if (key->type == TWI_CONFIG_STRING_LIST)
        return store_item(key, item, length, at, arena, error);
    int64_t number = 0;
    size_t used = 0;
    if (!read_integer(item, length, 10, &number, &used) || used != length)
        return unreadable(key, item, error);
    return store_number(key, number, at, error);
}

static void *list_memory(const twi_config_key *key, uint32_t count, twi_arena *arena)
{
    bool is_text = key->type == TWI_CONFIG_STRING_LIST;
    return twi_arena_array(arena, count, is_text ? sizeof(const char *) : sizeof(int64_t), sizeof(int64_t));
}

static void *list_slot(const twi_config_key *key, void *memory, uint32_t index)
{
    return key->type == TWI_CONFIG_STRING_LIST ? (void *)((const char **)memory + index)
                                               : (void *)((int64_t *)memory + index);
}

static void list_finish(const twi_config_key *key, void *memory, uint32_t count, void *at)
{
    if (key->type == TWI_CONFIG_STRING_LIST)
        *(twi_string_list *)at = (twi_string_list){.items = memory, .count = count};
    else
        *(twi_int_list *)at = (twi_int_list){.items = memory, .count = count};
}

static uint32_t count_items(const char *text)
{
    uint32_t count = *text ? 1 : 0;
    for (; *text; text++)
        count += *text == ',';
    return count;
}

/* a,b or [a, b]: blanks and quotation marks around items do not count. */
static tw_status store_list_text(const twi_config_key *key, const char *text, void *at, twi_arena *arena,
                                 twi_text *error)
{
    size_t length = strlen(text);
    if (length >= 2 && text[0] == '[' && text[length - 1] == ']')
        text++, length -= 2;
    char *copy = twi_arena_text(arena, text, length);
    if (!copy)
        return TW_NO_MEMORY;
    uint32_t count = count_items(copy);
    void *memory = list_memory(key, count, arena);
    if (!memory)
        return TW_NO_MEMORY;
    const char *item = copy;
    for (uint32_t i = 0; i < count; i++) {
        const char *end = item + strcspn(item, ","), *next = end + 1;
        while (item < end && strchr(" \"'", *item))
            item++;
        while (end > item && strchr(" \"'", end[-1]))
            end--;
        tw_status status = store_list_item(key, item, (size_t)(end - item), list_slot(key, memory, i), arena, error);
        if (status != TW_OK)
            return status;
        item = next;
    }
    list_finish(key, memory, count, at);
    return TW_OK;
}

tw_status twi_config_store_text(const twi_config_key *key, const char *text, void *at, twi_arena *arena,
                                twi_text *error)
{
    int64_t number = 0;
    switch (key->type) {
    case TWI_CONFIG_BOOL:
        if (strcmp(text, "true") != 0 && strcmp(text, "false") != 0)
            return unreadable(key, text, error);
        *(bool *)at = text[0] == 't';
        return TW_OK;
    case TWI_CONFIG_ENUM:
        return store_choice(key, text, at, error);
    case TWI_CONFIG_STRING:
        return store_item(key, text, strlen(text), at, arena, error);
    case TWI_CONFIG_STRING_LIST:
    case TWI_CONFIG_INT_LIST:
        return store_list_text(key, text, at, arena, error);
    default:
        break;
    }
    if (!read_number(key, text, &number))
        return unreadable(key, text, error);
    return store_number(key, number, at, error);
}

static tw_status store_toml_list(const twi_config_key *key, const twi_toml_value *value, void *at, twi_arena *arena,
                                 twi_text *error)
{
    bool is_text = key->type == TWI_CONFIG_STRING_LIST;
    void *memory = list_memory(key, value->item_count, arena);
    if (!memory)
        return TW_NO_MEMORY;
    for (uint32_t i = 0; i < value->item_count; i++) {
        const twi_toml_value *item = &value->items[i];
        if (item->kind != (is_text ? TWI_TOML_STRING : TWI_TOML_INTEGER)) {
            twi_text_add(error, "holds %s; %s", kind_names[item->kind], type_hints[key->type]);
            return TW_BAD_CONFIG;
        }
        void *slot = list_slot(key, memory, i);
        tw_status status = is_text ? store_list_item(key, item->text, item->text_length, slot, arena, error)
                                   : store_number(key, item->integer, slot, error);
        if (status != TW_OK)
            return status;
    }
    list_finish(key, memory, value->item_count, at);
    return TW_OK;
}

/* The TOML kinds that a type is written as; SIZE and MODE may also be plain integers. */
static bool kind_suits(twi_config_type type, twi_toml_kind kind)
{
    switch (type) {
    case TWI_CONFIG_BOOL:
        return kind == TWI_TOML_BOOL;
    case TWI_CONFIG_INT:
        return kind == TWI_TOML_INTEGER;
    case TWI_CONFIG_SIZE:
    case TWI_CONFIG_MODE:
        return kind == TWI_TOML_INTEGER || kind == TWI_TOML_STRING;
    case TWI_CONFIG_DURATION:
    case TWI_CONFIG_ENUM:
    case TWI_CONFIG_STRING:
        return kind == TWI_TOML_STRING;
    case TWI_CONFIG_STRING_LIST:
    case TWI_CONFIG_INT_LIST:
        return kind == TWI_TOML_ARRAY;
    }
    return false;
}

tw_status twi_config_store_toml(const twi_config_key *key, const twi_toml_value *value, void *at, twi_arena *arena,
                                twi_text *error)
{
    if (!kind_suits(key->type, value->kind))
        return wrong_type(key, kind_names[value->kind], error);
    switch (value->kind) {
    case TWI_TOML_BOOL:
        *(bool *)at = value->boolean;
        return TW_OK;
    case TWI_TOML_INTEGER:
        return store_number(key, value->integer, at, error);
    case TWI_TOML_ARRAY:
        return store_toml_list(key, value, at, arena, error);
    default:
        break;
    }
    if (key->type == TWI_CONFIG_STRING || memchr(value->text, 0, value->text_length))
        return store_item(key, value->text, value->text_length, at, arena, error);
    return twi_config_store_text(key, value->text, at, arena, error);
}

/* --- writing --- */

void twi_config_format_number(const twi_config_key *key, int64_t number, twi_text *text)
{
    switch (key->type) {
    case TWI_CONFIG_SIZE:
        twi_text_add_bytes(text, number);
        break;
    case TWI_CONFIG_DURATION:
        twi_text_add_duration(text, number);
        break;
    case TWI_CONFIG_MODE:
        twi_text_add(text, "%04" PRIo64, (uint64_t)number);
        break;
    default:
        twi_text_add(text, "%" PRId64, number);
        break;
    }
}

static void format_string(const char *value, twi_text *text)
{
    twi_text_add(text, "\"");
    for (; *value; value++) {
        unsigned char c = (unsigned char)*value;
        if (c == '"' || c == '\\')
            twi_text_add(text, "\\%c", c);
        else if (c < 0x20 || c == 0x7f)
            twi_text_add(text, "\\u%04X", c);
        else
            twi_text_add(text, "%c", c);
    }
    twi_text_add(text, "\"");
}

static void format_list(const twi_config_key *key, const void *at, twi_text *text)
{
    bool is_text = key->type == TWI_CONFIG_STRING_LIST;
    uint32_t count = is_text ? ((const twi_string_list *)at)->count : ((const twi_int_list *)at)->count;
    twi_text_add(text, "[");
    for (uint32_t i = 0; i < count; i++) {
        twi_text_add(text, i ? ", " : "");
        if (is_text)
            format_string(((const twi_string_list *)at)->items[i], text);
        else
            twi_text_add(text, "%" PRId64, ((const twi_int_list *)at)->items[i]);
    }
    twi_text_add(text, "]");
}

void twi_config_format(const twi_config_key *key, const void *at, twi_text *text)
{
    size_t length = 0;
    switch (key->type) {
    case TWI_CONFIG_BOOL:
        twi_text_add(text, *(const bool *)at ? "true" : "false");
        return;
    case TWI_CONFIG_INT:
        twi_config_format_number(key, *(const int64_t *)at, text);
        return;
    case TWI_CONFIG_SIZE:
    case TWI_CONFIG_DURATION:
    case TWI_CONFIG_MODE:
        twi_text_add(text, "\"");
        twi_config_format_number(key, *(const int64_t *)at, text);
        twi_text_add(text, "\"");
        return;
    case TWI_CONFIG_ENUM: {
        const char *name = twi_config_choice_name(key->choices, *(const int *)at, &length);
        TWI_ASSERT(name);
        twi_text_add(text, "\"%.*s\"", (int)length, name);
        return;
    }
    case TWI_CONFIG_STRING:
        format_string(*(const char *const *)at, text);
        return;
    case TWI_CONFIG_STRING_LIST:
    case TWI_CONFIG_INT_LIST:
        format_list(key, at, text);
        return;
    }
}

void twi_config_format_initial(const twi_config_key *key, twi_text *text)
{
    union {
        bool boolean;
        int64_t number;
        int choice;
        const char *string;
        twi_string_list strings;
        twi_int_list ints;
    } field = {.number = 0};
    twi_arena arena = {0};
    twi_text no_error = {0};
    if (key->initial) {
        tw_status status = twi_config_store_text(key, key->initial, &field, &arena, &no_error);
        TWI_ASSERT(status == TW_OK);
        twi_config_format(key, &field, text);
    }
    twi_arena_free(&arena);
}
