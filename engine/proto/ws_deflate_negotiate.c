/* ws_deflate_negotiate.c - the permessage-deflate offer and answer (RFC 7692 section 7.1). */
#include <stdio.h>

#include "engine/base/assert.h"
#include "engine/proto/ws_deflate.h"

static const char extension_name[] = "permessage-deflate";

/* Parameters of one extension, as they stood in the header. Bits 0: absent. */
typedef struct offer {
    bool server_no_context_takeover;
    bool client_no_context_takeover;
    bool has_client_bits;
    uint8_t server_bits;
    uint8_t client_bits; /* 0 with has_client_bits: without a value, the client supports the parameter */
} offer;

static bool is_token(twi_slice text)
{
    for (size_t i = 0; i < text.len; i++) {
        if (!twi_http_is_token_char((uint8_t)text.data[i]))
            return false;
    }
    return text.len > 0;
}

/* Cuts at the separator, but not inside of a quoted string. */
static bool split_unquoted(twi_slice *rest, char separator, twi_slice *part)
{
    if (rest->data == NULL)
        return false;
    bool quoted = false;
    for (size_t i = 0; i < rest->len; i++) {
        if (rest->data[i] == '"')
            quoted = !quoted;
        if (quoted && rest->data[i] == '\\')
            i++;
        else if (!quoted && rest->data[i] == separator) {
            *part = twi_slice_trim(twi_slice_make(rest->data, i));
            *rest = twi_slice_make(rest->data + i + 1, rest->len - i - 1);
            return true;
        }
    }
    *part = twi_slice_trim(*rest);
    *rest = twi_slice_make(NULL, 0);
    return true;
}

/* 8..15 without leading zero, also as a quoted string; 0: not that. */
static uint8_t window_bits(twi_slice value)
{
    if (value.len >= 2 && value.data[0] == '"' && value.data[value.len - 1] == '"')
        value = twi_slice_make(value.data + 1, value.len - 2);
    if (value.len == 1 && (value.data[0] == '8' || value.data[0] == '9'))
        return (uint8_t)(value.data[0] - '0');
    if (value.len == 2 && value.data[0] == '1' && value.data[1] >= '0' && value.data[1] <= '5')
        return (uint8_t)(10 + value.data[1] - '0');
    return 0;
}

static bool set_flag(bool *flag, bool has_value)
{
    if (*flag || has_value) /* duplicate, or a value where none may be */
        return false;
    *flag = true;
    return true;
}

static bool read_param(twi_slice param, offer *found)
{
    twi_slice value = param;
    twi_slice name;
    twi_slice_split(&value, '=', &name);
    name = twi_slice_trim(name);
    bool has_value = value.data != NULL;
    value = twi_slice_trim(value);
    if (twi_slice_equals(name, "server_no_context_takeover"))
        return set_flag(&found->server_no_context_takeover, has_value);
    if (twi_slice_equals(name, "client_no_context_takeover"))
        return set_flag(&found->client_no_context_takeover, has_value);
    if (twi_slice_equals(name, "server_max_window_bits")) {
        if (found->server_bits != 0)
            return false;
        found->server_bits = window_bits(value);
        return found->server_bits != 0;
    }
    if (twi_slice_equals(name, "client_max_window_bits")) {
        if (found->has_client_bits)
            return false;
        found->has_client_bits = true;
        found->client_bits = has_value ? window_bits(value) : 0;
        return !has_value || found->client_bits != 0;
    }
    return false;
}

/* One element of the extension list. TW_EMPTY: another extension. TW_MALFORMED: parameters that are not defined, not
 * valid or not unique. */
static tw_status read_extension(twi_slice extension, offer *found)
{
    *found = (offer){0};
    twi_slice rest = extension;
    twi_slice part;
    split_unquoted(&rest, ';', &part);
    if (!is_token(part))
        return TW_MALFORMED;
    if (!twi_slice_equals(part, extension_name))
        return TW_EMPTY;
    while (split_unquoted(&rest, ';', &part)) {
        if (!read_param(part, found))
            return TW_MALFORMED;
    }
    return TW_OK;
}

static twi_ws_deflate_policy with_defaults(const twi_ws_deflate_policy *policy)
{
    twi_ws_deflate_policy full = *policy;
    if (full.own_window_bits_min == 0)
        full.own_window_bits_min = TWI_WS_WINDOW_BITS_MIN;
    if (full.own_window_bits_max == 0)
        full.own_window_bits_max = TWI_WS_WINDOW_BITS_MAX;
    if (full.peer_window_bits_max == 0)
        full.peer_window_bits_max = TWI_WS_WINDOW_BITS_MAX;
    TWI_ASSERT(full.own_window_bits_min >= TWI_WS_WINDOW_BITS_MIN);
    TWI_ASSERT(full.own_window_bits_min <= full.own_window_bits_max);
    TWI_ASSERT(full.own_window_bits_max <= TWI_WS_WINDOW_BITS_MAX);
    TWI_ASSERT(full.peer_window_bits_max >= TWI_WS_WINDOW_BITS_MIN &&
               full.peer_window_bits_max <= TWI_WS_WINDOW_BITS_MAX);
    return full;
}

static uint8_t smaller(uint8_t a, uint8_t b)
{
    return a < b ? a : b;
}

/* Server: what an offer would come to; false: outside of the policy. */
static bool agree(const offer *offered, const twi_ws_deflate_policy *policy, twi_ws_deflate_params *params)
{
    uint8_t server_bits = offered->server_bits != 0 ? offered->server_bits : TWI_WS_WINDOW_BITS_MAX;
    if (server_bits < policy->own_window_bits_min)
        return false;
    params->own_window_bits = smaller(server_bits, policy->own_window_bits_max);
    params->own_no_context_takeover = offered->server_no_context_takeover || policy->own_no_context_takeover;
    /* RFC 7692 section 7.1.2.2: client_max_window_bits may be answered only if it was offered. */
    uint8_t client_bits = offered->client_bits != 0 ? offered->client_bits : TWI_WS_WINDOW_BITS_MAX;
    params->peer_window_bits =
        offered->has_client_bits ? smaller(client_bits, policy->peer_window_bits_max) : (uint8_t)TWI_WS_WINDOW_BITS_MAX;
    params->peer_no_context_takeover = offered->client_no_context_takeover || policy->peer_no_context_takeover;
    return true;
}

/* A parameter stands in the answer when it was asked for or when it narrows the default, and not otherwise. */
static void write_answer(const offer *offered, const twi_ws_deflate_params *params, char *out, size_t out_cap)
{
    char server_bits[32] = "";
    char client_bits[32] = "";
    if (offered->server_bits != 0 || params->own_window_bits < TWI_WS_WINDOW_BITS_MAX)
        snprintf(server_bits, sizeof(server_bits), "; server_max_window_bits=%u", (unsigned)params->own_window_bits);
    if (offered->client_bits != 0 || params->peer_window_bits < TWI_WS_WINDOW_BITS_MAX)
        snprintf(client_bits, sizeof(client_bits), "; client_max_window_bits=%u", (unsigned)params->peer_window_bits);
    snprintf(out, out_cap, "%s%s%s%s%s", extension_name,
             params->own_no_context_takeover ? "; server_no_context_takeover" : "",
             params->peer_no_context_takeover ? "; client_no_context_takeover" : "", server_bits, client_bits);
}

tw_status twi_ws_deflate_accept(const twi_http_request *request, const twi_ws_deflate_policy *policy,
                                twi_ws_deflate_params *params, char *answer, size_t answer_cap)
{
    TWI_ASSERT(answer_cap >= TWI_WS_DEFLATE_HEADER_BYTES);
    twi_ws_deflate_policy full = with_defaults(policy);
    for (uint32_t i = 0; i < request->fields.header_count; i++) {
        const twi_http_header *header = &request->fields.headers[i];
        if (!twi_slice_equals_nocase(header->name, "sec-websocket-extensions"))
            continue;
        twi_slice rest = header->value;
        twi_slice extension;
        while (split_unquoted(&rest, ',', &extension)) {
            offer offered;
            if (read_extension(extension, &offered) != TW_OK || !agree(&offered, &full, params))
                continue;
            write_answer(&offered, params, answer, answer_cap);
            return TW_OK;
        }
    }
    return TW_EMPTY;
}

static size_t write_offer(const twi_ws_deflate_policy *policy, bool own_no_context_takeover, char *out, size_t out_cap)
{
    char server_bits[32] = "";
    char client_bits[32] = "; client_max_window_bits";
    if (policy->peer_window_bits_max < TWI_WS_WINDOW_BITS_MAX)
        snprintf(server_bits, sizeof(server_bits), "; server_max_window_bits=%u",
                 (unsigned)policy->peer_window_bits_max);
    if (policy->own_window_bits_max < TWI_WS_WINDOW_BITS_MAX)
        snprintf(client_bits, sizeof(client_bits), "; client_max_window_bits=%u",
                 (unsigned)policy->own_window_bits_max);
    int len = snprintf(out, out_cap, "%s%s%s%s%s", extension_name,
                       policy->peer_no_context_takeover ? "; server_no_context_takeover" : "",
                       own_no_context_takeover ? "; client_no_context_takeover" : "", server_bits, client_bits);
    TWI_ASSERT(len > 0 && (size_t)len < out_cap);
    return (size_t)len;
}

size_t twi_ws_deflate_offer_write(const twi_ws_deflate_policy *policy, char *out, size_t out_cap)
{
    TWI_ASSERT(out_cap >= TWI_WS_DEFLATE_HEADER_BYTES);
    twi_ws_deflate_policy full = with_defaults(policy);
    size_t len = write_offer(&full, full.own_no_context_takeover, out, out_cap);
    if (!full.second_offer || full.own_no_context_takeover)
        return len;
    out[len++] = ',';
    out[len++] = ' ';
    return len + write_offer(&full, true, out + len, out_cap - len);
}

tw_status twi_ws_deflate_confirm(twi_slice answer, const twi_ws_deflate_policy *policy, twi_ws_deflate_params *params)
{
    if (answer.data == NULL)
        return TW_EMPTY;
    twi_ws_deflate_policy full = with_defaults(policy);
    twi_slice rest = answer;
    twi_slice extension;
    offer given;
    split_unquoted(&rest, ',', &extension);
    /* One offer is answered, if any: anything else, or anything more, was not asked for. */
    if (rest.data != NULL || read_extension(extension, &given) != TW_OK)
        return TW_MALFORMED;
    if (given.has_client_bits && given.client_bits == 0)
        return TW_MALFORMED; /* in an answer the parameter has a value */
    uint8_t server_bits = given.server_bits != 0 ? given.server_bits : TWI_WS_WINDOW_BITS_MAX;
    uint8_t client_bits = given.client_bits != 0 ? given.client_bits : TWI_WS_WINDOW_BITS_MAX;
    if (server_bits > full.peer_window_bits_max || client_bits < full.own_window_bits_min)
        return TW_MALFORMED;
    if (full.peer_no_context_takeover && !given.server_no_context_takeover)
        return TW_MALFORMED;
    params->own_window_bits = smaller(client_bits, full.own_window_bits_max);
    params->peer_window_bits = server_bits;
    params->own_no_context_takeover = given.client_no_context_takeover || full.own_no_context_takeover;
    params->peer_no_context_takeover = given.server_no_context_takeover;
    return TW_OK;
}
