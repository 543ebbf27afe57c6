/* json_scan.c - the scanner's slow and rare paths; the fast ones are inline in json_scan.h. */
#include "engine/proto/json_scan.h"

#include "engine/proto/json_take.h"

enum { UTF8_TWO_FROM = 0x80, UTF8_THREE_FROM = 0x800, UTF8_FOUR_FROM = 0x10000 };

const uint8_t *twi_json_plain_end_far(const uint8_t *at, const uint8_t *end)
{
#if defined(__SSE2__) || (defined(__aarch64__) && defined(__ARM_NEON))
    for (; end - at >= TWI_JSON_VECTOR_BYTES; at += TWI_JSON_VECTOR_BYTES) {
        uint64_t stops = twi_json_stops(at);
        if (stops != 0)
            return at + ((unsigned)__builtin_ctzll(stops) >> TWI_JSON_STOP_SHIFT);
    }
#endif
    while (at < end && *at != '"' && *at != '\\' && *at >= 0x20)
        at++;
    return at;
}

void twi_json_init(twi_json *json, const void *text, size_t len)
{
    *json = (twi_json){.at = text, .end = (const uint8_t *)text + len};
    if (len > UINT32_MAX)
        twi_json_fail(json, TW_TOO_BIG);
    else if (twi_json_byte(json) == 0)
        twi_json_fail(json, TW_MALFORMED);
}

tw_status twi_json_end(twi_json *json)
{
    twi_json_space(json);
    if (json->status == TW_OK && (json->at != json->end || json->depth != 0))
        json->status = TW_MALFORMED;
    return json->status;
}

TWI_COLD bool twi_json_fail(twi_json *json, tw_status status)
{
    if (json->status == TW_OK)
        json->status = status;
    json->at = json->end;
    return false;
}

TWI_COLD bool twi_json_open_slow(twi_json *json, uint8_t bracket)
{
    bool nested_too_deep = twi_json_byte(json) == bracket;
    return twi_json_fail(json, nested_too_deep ? TW_TOO_BIG : TW_MALFORMED);
}

twi_json_type twi_json_peek(twi_json *json)
{
    switch (twi_json_byte(json)) {
    case '{':
        return TWI_JSON_OBJECT;
    case '[':
        return TWI_JSON_ARRAY;
    case '"':
        return TWI_JSON_STRING;
    case 't':
    case 'f':
        return TWI_JSON_BOOL;
    case 'n':
        return TWI_JSON_NULL;
    case '-':
    case '0':
    case '1':
    case '2':
    case '3':
    case '4':
    case '5':
    case '6':
    case '7':
    case '8':
    case '9':
        return TWI_JSON_NUMBER;
    default:
        return TWI_JSON_NONE;
    }
}

static int hex_value(uint8_t byte)
{
    if (byte >= '0' && byte <= '9')
        return byte - '0';
    byte |= 0x20;
    return byte >= 'a' && byte <= 'f' ? byte - 'a' + 10 : -1;
}

/* The 16-bit unit of \uXXXX at the X's, -1 if they are not four hex digits. */
static int32_t unicode_unit(const uint8_t *at, const uint8_t *end)
{
    if (end - at < 4)
        return -1;
    int32_t unit = 0;
    for (int i = 0; i < 4; i++) {
        int value = hex_value(at[i]);
        if (value < 0)
            return -1;
        unit = unit << 4 | value;
    }
    return unit;
}

/* Bytes of the escape at the backslash, 0 if it is none. */
static size_t escape_length(const uint8_t *at, const uint8_t *end)
{
    if (end - at < 2)
        return 0;
    if (at[1] == 'u')
        return unicode_unit(at + 2, end) < 0 ? 0 : 6;
    return at[1] != 0 && strchr("\"\\/bfnrt", at[1]) != NULL ? 2 : 0;
}

bool twi_json_string_slow(twi_json *json, const uint8_t *content, const uint8_t *at, twi_json_slice *out)
{
    *out = (twi_json_slice){.text = ""};
    while (at < json->end && *at == '\\') {
        size_t escape = escape_length(at, json->end);
        if (escape == 0)
            return twi_json_fail(json, TW_MALFORMED);
        at = twi_json_plain_end(at + escape, json->end);
    }
    if (at == json->end || *at != '"')
        return twi_json_fail(json, TW_MALFORMED);
    *out = (twi_json_slice){.text = (const char *)content, .len = (uint32_t)(at - content), .escaped = true};
    json->at = at + 1;
    return true;
}

static const uint8_t *digits_end(const uint8_t *at, const uint8_t *end)
{
    while (at < end && *at >= '0' && *at <= '9')
        at++;
    return at;
}

/* One past the number that starts at `at`, NULL if it breaks the grammar (RFC 8259 section 6). */
static const uint8_t *number_end(const uint8_t *at, const uint8_t *end)
{
    if (at < end && *at == '-')
        at++;
    const uint8_t *digits = at;
    at = digits_end(at, end);
    if (at == digits || (*digits == '0' && at - digits > 1))
        return NULL;
    if (at < end && *at == '.') {
        digits = at + 1;
        at = digits_end(digits, end);
        if (at == digits)
            return NULL;
    }
    if (at < end && (*at | 0x20) == 'e') {
        at++;
        if (at < end && (*at == '+' || *at == '-'))
            at++;
        digits = at;
        at = digits_end(digits, end);
        if (at == digits)
            return NULL;
    }
    return at;
}

bool twi_json_number(twi_json *json, twi_json_slice *out)
{
    (void)twi_json_byte(json);
    const uint8_t *end = number_end(json->at, json->end);
    if (end == NULL)
        return twi_json_fail(json, TW_MALFORMED);
    *out = (twi_json_slice){.text = (const char *)json->at, .len = (uint32_t)(end - json->at)};
    json->at = end;
    return true;
}

static bool literal(twi_json *json, const char *text, size_t len, twi_json_slice *out)
{
    if ((size_t)(json->end - json->at) < len || memcmp(json->at, text, len) != 0)
        return twi_json_fail(json, TW_MALFORMED);
    *out = (twi_json_slice){.text = (const char *)json->at, .len = (uint32_t)len};
    json->at += len;
    return true;
}

bool twi_json_scalar(twi_json *json, twi_json_slice *out)
{
    switch (twi_json_byte(json)) {
    case '"':
        return twi_json_string(json, out);
    case 't':
        return literal(json, "true", 4, out);
    case 'f':
        return literal(json, "false", 5, out);
    case 'n':
        return literal(json, "null", 4, out);
    default:
        return twi_json_number(json, out);
    }
}

bool twi_json_bool(twi_json *json, bool *out)
{
    twi_json_slice slice;
    if (twi_json_peek(json) != TWI_JSON_BOOL)
        return twi_json_fail(json, TW_MALFORMED);
    *out = *json->at == 't';
    return twi_json_scalar(json, &slice);
}

bool twi_json_null(twi_json *json)
{
    twi_json_slice slice;
    return twi_json_byte(json) == 'n' && literal(json, "null", 4, &slice);
}

/* Decimal digits only; false if there is none, another byte, or an overflow (told apart by *overflow). */
static bool parse_digits(const char *text, size_t len, uint64_t *out, bool *overflow)
{
    uint64_t value = 0;
    *overflow = false;
    for (size_t i = 0; i < len; i++) {
        unsigned digit = (unsigned)(uint8_t)text[i] - '0';
        if (digit > 9)
            return false;
        if (__builtin_mul_overflow(value, 10u, &value) || __builtin_add_overflow(value, digit, &value)) {
            *overflow = true;
            return false;
        }
    }
    *out = value;
    return len > 0;
}

/* Digits in quotes or bare, as nearly every integer is. False: something else, nothing was consumed. */
static bool uint_fast(twi_json *json, uint64_t *out)
{
    twi_json at = *json;
    bool quoted = twi_json_byte(&at) == '"';
    at.at += quoted;
    if (!twi_json_take_uint(&at, out) || at.at == at.end)
        return false;
    uint8_t next = *at.at;
    if (quoted ? next != '"' : next != ',' && next != '}' && next != ']')
        return false;
    json->at = at.at + quoted;
    return true;
}

bool twi_json_uint64(twi_json *json, uint64_t *out)
{
    twi_json_slice slice;
    bool overflow;
    if (TWI_LIKELY(uint_fast(json, out)))
        return true;
    if (!twi_json_scalar(json, &slice))
        return false;
    return parse_digits(slice.text, slice.len, out, &overflow) ||
           twi_json_fail(json, overflow ? TW_TOO_BIG : TW_MALFORMED);
}

bool twi_json_int64(twi_json *json, int64_t *out)
{
    twi_json_slice slice;
    uint64_t magnitude;
    twi_json start = *json;
    if (TWI_LIKELY(uint_fast(json, &magnitude) && magnitude <= INT64_MAX)) {
        *out = (int64_t)magnitude;
        return true;
    }
    *json = start;
    if (!twi_json_scalar(json, &slice))
        return false;
    bool negative = slice.len > 0 && slice.text[0] == '-', overflow;
    if (!parse_digits(slice.text + negative, slice.len - negative, &magnitude, &overflow))
        return twi_json_fail(json, overflow ? TW_TOO_BIG : TW_MALFORMED);
    if (magnitude > (uint64_t)INT64_MAX + negative)
        return twi_json_fail(json, TW_TOO_BIG);
    *out = negative ? (int64_t)(0 - magnitude) : (int64_t)magnitude;
    return true;
}

bool twi_json_decimal_slow(twi_json *json, tw_decimal *out)
{
    twi_json_slice slice;
    if (!twi_json_scalar(json, &slice))
        return false;
    tw_status status = tw_decimal_parse(slice.text, slice.len, out);
    return status == TW_OK || twi_json_fail(json, status);
}

/* Steps over the scalar at the cursor. */
static bool skip_scalar(twi_json *json)
{
    twi_json_slice slice;
    return twi_json_scalar(json, &slice);
}

/* A member's name and its colon. */
static bool skip_name(twi_json *json)
{
    twi_json_slice name;
    if (!twi_json_string(json, &name))
        return false;
    if (twi_json_byte(json) != ':')
        return twi_json_fail(json, TW_MALFORMED);
    json->at++;
    return true;
}

/* Goes down into a container, remembering in *objects (one bit per level) of which kind it is. */
static bool skip_open(twi_json *json, uint8_t bracket, uint32_t *levels, uint64_t *objects)
{
    if (json->depth + *levels >= TWI_JSON_DEPTH_MAX)
        return twi_json_fail(json, TW_TOO_BIG);
    json->at++;
    ++*levels;
    *objects = *objects << 1 | (bracket == '{');
    return true;
}

bool twi_json_skip(twi_json *json)
{
    uint64_t objects = 0; /* the lowest bit is the innermost open container: 1 object, 0 array */
    uint32_t levels = 0;
    do {
        uint8_t byte = twi_json_byte(json);
        bool value_done = true;
        if (byte == '{' || byte == '[') {
            if (!skip_open(json, byte, &levels, &objects))
                return false;
            uint8_t closing = byte == '{' ? '}' : ']';
            value_done = twi_json_byte(json) == closing;
        } else if (!skip_scalar(json)) {
            return false;
        }
        if (!value_done) {
            if ((objects & 1) != 0 && !skip_name(json))
                return false;
            continue;
        }
        /* A value ended: close what it closes, then step to the next one. */
        while (levels > 0) {
            byte = twi_json_byte(json);
            if (byte == ',')
                break;
            if (byte != ((objects & 1) != 0 ? '}' : ']'))
                return twi_json_fail(json, TW_MALFORMED);
            json->at++;
            levels--;
            objects >>= 1;
        }
        if (levels == 0)
            break;
        json->at++;
        if ((objects & 1) != 0 && !skip_name(json))
            return false;
    } while (true);
    return true;
}

bool twi_json_raw(twi_json *json, twi_json_slice *out)
{
    (void)twi_json_byte(json);
    const uint8_t *start = json->at;
    if (!twi_json_skip(json))
        return false;
    *out = (twi_json_slice){.text = (const char *)start, .len = (uint32_t)(json->at - start)};
    return true;
}

/* Writes code as UTF-8; 0 if it does not fit. */
static size_t utf8_write(uint32_t code, char *out, size_t out_cap)
{
    size_t len = code < UTF8_TWO_FROM ? 1 : code < UTF8_THREE_FROM ? 2 : code < UTF8_FOUR_FROM ? 3 : 4;
    static const uint8_t lead[5] = {0, 0x00, 0xc0, 0xe0, 0xf0};
    if (len > out_cap)
        return 0;
    for (size_t i = len - 1; i > 0; i--) {
        out[i] = (char)(0x80 | (code & 0x3f));
        code >>= 6;
    }
    out[0] = (char)(lead[len] | code);
    return len;
}

/* The character at \uXXXX (two of them for a surrogate pair); *used is how long that text is. */
static tw_status unicode_read(const uint8_t *at, const uint8_t *end, uint32_t *code, size_t *used)
{
    int32_t unit = unicode_unit(at + 2, end);
    *used = 6;
    if (unit < 0 || (unit >= 0xdc00 && unit <= 0xdfff))
        return TW_MALFORMED;
    *code = (uint32_t)unit;
    if (unit < 0xd800 || unit > 0xdfff)
        return TW_OK;
    if (end - at < 12 || at[6] != '\\' || at[7] != 'u')
        return TW_MALFORMED;
    int32_t low = unicode_unit(at + 8, end);
    if (low < 0xdc00 || low > 0xdfff)
        return TW_MALFORMED;
    *code = 0x10000 + (((uint32_t)unit & 0x3ff) << 10 | ((uint32_t)low & 0x3ff));
    *used = 12;
    return TW_OK;
}

static uint32_t simple_escape(uint8_t letter)
{
    switch (letter) {
    case 'b':
        return '\b';
    case 'f':
        return '\f';
    case 'n':
        return '\n';
    case 'r':
        return '\r';
    case 't':
        return '\t';
    default:
        return letter; /* quote, backslash, slash */
    }
}

tw_status twi_json_unescape(twi_json_slice slice, char *out, size_t out_cap, size_t *out_len)
{
    const uint8_t *at = (const uint8_t *)slice.text, *end = at + slice.len;
    size_t len = 0;
    while (at < end) {
        uint32_t code;
        size_t used = 1, written = 1;
        if (*at != '\\') {
            if (len == out_cap)
                return TW_TOO_BIG;
            out[len] = (char)*at;
        } else {
            if (escape_length(at, end) == 0)
                return TW_MALFORMED;
            used = 2;
            code = simple_escape(at[1]);
            if (at[1] == 'u' && unicode_read(at, end, &code, &used) != TW_OK)
                return TW_MALFORMED;
            written = utf8_write(code, out + len, out_cap - len);
            if (written == 0)
                return TW_TOO_BIG;
        }
        at += used;
        len += written;
    }
    *out_len = len;
    return TW_OK;
}

bool twi_json_equal_slow(twi_json_slice slice, const char *text, size_t len)
{
    enum { NAME_BYTES_MAX = 128 }; /* longer than any name that anybody compares with */
    char plain[NAME_BYTES_MAX];
    size_t plain_len;
    return twi_json_unescape(slice, plain, sizeof(plain), &plain_len) == TW_OK && plain_len == len &&
           memcmp(plain, text, len) == 0;
}

/* ---- the straight road's rare turns (json_take.h) ---- */

bool twi_json_take_uint_slow(twi_json *json, uint64_t *out)
{
    enum { DIGITS_MAX = 19 };
    const uint8_t *end = digits_end(json->at, json->end);
    ptrdiff_t count = end - json->at;
    bool overflow;
    if (count == 0 || count > DIGITS_MAX || (*json->at == '0' && count > 1) ||
        !parse_digits((const char *)json->at, (size_t)count, out, &overflow))
        return false;
    json->at = end;
    return true;
}
