/* fetch_error.c - what an answer means when it is not the one that was asked for; see fetch.h.
 *
 * Order:    the venue's own code and words, the venue's meaning of the HTTP status, its general meaning (that of
 *           ccxt). */
#include <strings.h>

#include "feed/fetch.h"

enum { CODE_MAX = 48, TEXT_MAX = 256, SNIFF_MAX = 4096 };

typedef struct error_read {
    char code[CODE_MAX], text[TEXT_MAX], flag[CODE_MAX];
    bool has_code, has_text;
} error_read;

/* Objects and arrays in the place of a text (Bitstamp's "reason") are kept as they stand. */
static bool copy_value(twi_json *json, char *to, size_t cap)
{
    twi_json_slice value;
    size_t len;
    twi_json_type type = twi_json_peek(json);
    if (type == TWI_JSON_NULL)
        return false;
    bool container = type == TWI_JSON_OBJECT || type == TWI_JSON_ARRAY;
    if (container ? !twi_json_raw(json, &value) : !twi_json_scalar(json, &value))
        return false;
    if (!value.escaped || container || twi_json_unescape(value, to, cap - 1, &len) != TW_OK) {
        len = value.len < cap - 1 ? value.len : cap - 1;
        memcpy(to, value.text, len);
    }
    to[len] = 0;
    return true;
}

static void store_error(twi_fetch_walk *walk, const twi_fetch_field *field, twi_json *json)
{
    error_read *read = walk->owner;
    if (field->to == TWI_TO_CODE)
        read->has_code = copy_value(json, read->code, sizeof(read->code)) || read->has_code;
    else if (field->to == TWI_TO_TEXT)
        read->has_text = copy_value(json, read->text, sizeof(read->text)) || read->has_text;
    else
        copy_value(json, read->flag, sizeof(read->flag));
}

static bool rule_fits(const twi_fetch_error_rule *rule, const error_read *read)
{
    if (rule->code != NULL && strcmp(rule->code, read->code) != 0)
        return false;
    return rule->text == NULL || strcasestr(read->text, rule->text) != NULL ||
           strcasestr(read->code, rule->text) != NULL || strcasestr(read->flag, rule->text) != NULL;
}

static bool is_error(const twi_fetch *fetch, const error_read *read)
{
    if (fetch->error_flag != NULL)
        return strcmp(read->flag, fetch->error_flag) == 0;
    if (!read->has_code)
        return read->has_text;
    return fetch->ok_code == NULL || strcmp(read->code, fetch->ok_code) != 0;
}

tw_error_class twi_fetch_status_error(int status)
{
    switch (status) {
    case 418:
        return TW_ERROR_DDOS_PROTECTION;
    case 429:
        return TW_ERROR_RATE_LIMIT_EXCEEDED;
    case 401:
    case 407:
    case 511:
        return TW_ERROR_AUTHENTICATION_ERROR;
    case 408:
    case 504:
        return TW_ERROR_REQUEST_TIMEOUT;
    case 422:
        return TW_ERROR_EXCHANGE_ERROR;
    case 0:
        return TW_ERROR_NETWORK_ERROR;
    default:
        break;
    }
    return status >= 200 && status < 300 ? TW_ERROR_NONE : TW_ERROR_EXCHANGE_NOT_AVAILABLE;
}

static tw_error_class by_status(const twi_fetch *fetch, int status)
{
    for (const twi_fetch_status_rule *rule = fetch->status_rules; rule != NULL && rule->status != 0; rule++) {
        if (rule->status == status)
            return rule->error;
    }
    return twi_fetch_status_error(status);
}

static bool body_says(const uint8_t *body, size_t body_len, const char *word)
{
    char head[SNIFF_MAX + 1];
    size_t len = body_len < SNIFF_MAX ? body_len : SNIFF_MAX;
    if (len == 0)
        return false;
    memcpy(head, body, len);
    for (size_t i = 0; i < len; i++)
        head[i] = head[i] == 0 ? ' ' : head[i];
    head[len] = 0;
    return strcasestr(head, word) != NULL;
}

/* A body that is no JSON: the page of a proxy, of a guard in front of the venue, or of its maintenance. */
static tw_error_class by_page(const twi_fetch *fetch, int status, const uint8_t *body, size_t body_len)
{
    tw_error_class error = by_status(fetch, status);
    if (error == TW_ERROR_NONE)
        return TW_ERROR_BAD_RESPONSE;
    if (error == TW_ERROR_EXCHANGE_NOT_AVAILABLE && status >= 500 && body_says(body, body_len, "maintenance"))
        return TW_ERROR_ON_MAINTENANCE;
    if (status == 403 && (body_says(body, body_len, "cloudflare") || body_says(body, body_len, "captcha")))
        return TW_ERROR_DDOS_PROTECTION;
    return error;
}

tw_error_class twi_fetch_error(const twi_fetch *fetch, int status, const uint8_t *body, size_t body_len, char *text,
                               size_t text_cap)
{
    error_read read = {.has_code = false};
    twi_fetch_walk walk = {.fields = fetch->error_fields, .store = store_error, .owner = &read};
    text[0] = 0;
    if (status == 0)
        return TW_ERROR_NETWORK_ERROR;
    if (twi_fetch_walk_run(&walk, body, body_len) != TW_OK)
        return by_page(fetch, status, body, body_len);
    tw_error_class general = by_status(fetch, status);
    if (!is_error(fetch, &read))
        return general;
    const char *said = read.has_text ? read.text : read.code;
    size_t len = strlen(said) < text_cap - 1 ? strlen(said) : text_cap - 1;
    memcpy(text, said, len);
    text[len] = 0;
    if (status == 418)
        return general; /* banned: more than the limit that the body speaks of */
    for (const twi_fetch_error_rule *rule = fetch->error_rules; rule != NULL && rule->error != TW_ERROR_NONE; rule++) {
        if (rule_fits(rule, &read))
            return rule->error;
    }
    return general != TW_ERROR_NONE ? general : TW_ERROR_EXCHANGE_ERROR;
}
