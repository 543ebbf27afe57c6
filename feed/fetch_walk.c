/* fetch_walk.c - takes the figures that paths name out of a JSON text, in one pass, without a tree; see fetch.h.
 *
 * Method:   the walk goes down with the set of paths that still fit, as bits; what no path leads to is stepped over. */
#include "feed/fetch.h"

enum { SET_MAX = 62 };
#define ROWS_BIT(list) (UINT64_C(1) << (SET_MAX + (list)))

/* The component of a path at a depth; NULL: the path ends before. */
static const char *component(const char *path, unsigned depth, size_t *len)
{
    for (; depth > 0; depth--) {
        path = strchr(path, '.');
        if (path == NULL)
            return NULL;
        path++;
    }
    *len = strcspn(path, ".");
    return *len > 0 ? path : NULL;
}

static const char *path_of(const twi_fetch_walk *walk, const twi_fetch_field *fields, unsigned bit)
{
    return bit < SET_MAX ? fields[bit].path : walk->rows[bit - SET_MAX];
}

/* How a step is told apart: a member's name, or an index. */
typedef struct step {
    const twi_json_slice *key; /* NULL: an item of an array */
    uint32_t index;
    bool container;
} step;

static bool fits(const char *name, size_t len, const step *at)
{
    if (at->key != NULL) {
        if (len == 1 && name[0] == '*')
            return at->container;
        return twi_json_equal(*at->key, name, len);
    }
    if (len == 1 && name[0] == '#')
        return true;
    uint32_t index = 0;
    for (size_t i = 0; i < len; i++) {
        if (name[i] < '0' || name[i] > '9')
            return false;
        index = index * 10 + (uint32_t)(name[i] - '0');
    }
    return index == at->index;
}

static uint64_t narrow(const twi_fetch_walk *walk, const twi_fetch_field *fields, uint64_t set, unsigned depth,
                       const step *at)
{
    uint64_t left = 0;
    for (uint64_t rest = set; rest != 0; rest &= rest - 1) {
        unsigned bit = (unsigned)__builtin_ctzll(rest);
        size_t len;
        const char *name = component(path_of(walk, fields, bit), depth, &len);
        if (name != NULL && fits(name, len, at))
            left |= UINT64_C(1) << bit;
    }
    return left;
}

static void walk_value(twi_fetch_walk *walk, twi_json *json, const twi_fetch_field *fields, uint64_t set,
                       unsigned depth);

static uint64_t all_of(const twi_fetch_field *fields)
{
    unsigned count = 0;
    while (fields != NULL && count < SET_MAX && fields[count].path != NULL)
        count++;
    return (UINT64_C(1) << count) - 1;
}

static void read_row(twi_fetch_walk *walk, twi_json *json, unsigned list)
{
    walk->row_begin(walk, list);
    walk_value(walk, json, walk->row, all_of(walk->row), 0);
    if (json->status == TW_OK && !walk->row_end(walk, list))
        twi_json_fail(json, TW_MALFORMED);
}

/* The paths that end here get their value, through a copy of the cursor; a row is read instead. True: it was. */
static bool give_leaves(twi_fetch_walk *walk, twi_json *json, const twi_fetch_field *fields, uint64_t *set,
                        unsigned depth)
{
    for (uint64_t rest = *set; rest != 0; rest &= rest - 1) {
        unsigned bit = (unsigned)__builtin_ctzll(rest);
        size_t len;
        if (component(path_of(walk, fields, bit), depth, &len) != NULL)
            continue;
        *set &= ~(UINT64_C(1) << bit);
        if (bit >= SET_MAX) {
            read_row(walk, json, bit - SET_MAX);
            return true;
        }
        twi_json copy = *json;
        walk->store(walk, &fields[bit], &copy);
        if (copy.status != TW_OK) {
            twi_json_fail(json, copy.status);
            return true;
        }
    }
    return false;
}

static bool is_container(twi_json *json)
{
    twi_json_type type = twi_json_peek(json);
    return type == TWI_JSON_OBJECT || type == TWI_JSON_ARRAY;
}

/* An array is here: is it a list of rows? */
static void note_lists(twi_fetch_walk *walk, const twi_fetch_field *fields, uint64_t set, unsigned depth)
{
    for (unsigned list = 0; list < 2; list++) {
        size_t len;
        const char *name =
            (set & ROWS_BIT(list)) != 0 ? component(path_of(walk, fields, SET_MAX + list), depth, &len) : NULL;
        walk->seen[list] |= name != NULL && name[0] == '#';
    }
}

/* Consumes one value. The depth of the recursion is that of the longest path. */
static void walk_value(twi_fetch_walk *walk, twi_json *json, const twi_fetch_field *fields, uint64_t set,
                       unsigned depth)
{
    twi_json_slice key;
    if (give_leaves(walk, json, fields, &set, depth))
        return;
    twi_json_type type = twi_json_peek(json);
    if (set == 0 || (type != TWI_JSON_OBJECT && type != TWI_JSON_ARRAY)) {
        twi_json_skip(json);
    } else if (type == TWI_JSON_OBJECT) {
        twi_json_enter_object(json);
        while (twi_json_next_member(json, &key)) {
            step at = {.key = &key, .container = is_container(json)};
            walk_value(walk, json, fields, narrow(walk, fields, set, depth, &at), depth + 1);
        }
    } else {
        note_lists(walk, fields, set, depth);
        twi_json_enter_array(json);
        for (uint32_t index = 0; twi_json_next_item(json); index++) {
            step at = {.index = index};
            walk->index = index;
            walk_value(walk, json, fields, narrow(walk, fields, set, depth, &at), depth + 1);
        }
    }
}

tw_status twi_fetch_walk_run(twi_fetch_walk *walk, const uint8_t *body, size_t body_len)
{
    twi_json json;
    uint64_t set = all_of(walk->fields);
    twi_json_init(&json, body, body_len);
    for (unsigned list = 0; list < 2; list++)
        set |= walk->rows[list] != NULL ? ROWS_BIT(list) : 0;
    walk_value(walk, &json, walk->fields, set, 0);
    return twi_json_end(&json);
}
