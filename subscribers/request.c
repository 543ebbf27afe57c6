/* request.c - what a client asks for: subscriptions as JSON, remembered so that a reconnect asks again. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "subscribers/client.h"

#define NS_PER_MS 1000000LL

enum { NUMBER_TEXT_MAX = 96, BODY_BYTES_MAX = 1 << 18 };

static tw_status add_text(twi_buffer *out, const char *text)
{
    return twi_buffer_add(out, text, strlen(text), BODY_BYTES_MAX);
}

/* RFC 8259 section 7: quote, backslash and control characters must be escaped. */
static tw_status add_string(twi_buffer *out, const char *text, size_t len)
{
    tw_status status = add_text(out, "\"");
    for (size_t i = 0; i < len && status == TW_OK; i++) {
        char escaped[8];
        unsigned char byte = (unsigned char)text[i];
        if (byte == '"' || byte == '\\')
            snprintf(escaped, sizeof escaped, "\\%c", byte);
        else if (byte < ' ')
            snprintf(escaped, sizeof escaped, "\\u%04x", byte);
        else
            snprintf(escaped, sizeof escaped, "%c", byte);
        status = add_text(out, escaped);
    }
    return status == TW_OK ? add_text(out, "\"") : status;
}

/* "a,b" becomes "key":["a","b"]. */
static tw_status add_list(twi_buffer *out, const char *key, const char *list)
{
    char head[NUMBER_TEXT_MAX];
    twi_slice rest = twi_slice_text(list);
    twi_slice part;
    uint32_t count = 0;
    snprintf(head, sizeof head, ",\"%s\":[", key);
    tw_status status = add_text(out, head);
    while (status == TW_OK && twi_slice_split(&rest, ',', &part)) {
        part = twi_slice_trim(part);
        if (part.len == 0)
            continue;
        if (count++ > 0)
            status = add_text(out, ",");
        if (status == TW_OK)
            status = add_string(out, part.data, part.len);
    }
    if (status == TW_OK && count == 0)
        return TW_BAD_ARGUMENT;
    return status == TW_OK ? add_text(out, "]") : status;
}

static tw_status add_options(twi_buffer *out, const tw_subscription *subscription)
{
    char text[NUMBER_TEXT_MAX];
    tw_status status = TW_OK;
    if (subscription->policy) {
        status = add_text(out, ",\"policy\":");
        if (status == TW_OK)
            status = add_string(out, subscription->policy, strlen(subscription->policy));
    }
    if (status == TW_OK && subscription->interval_ns > 0) {
        snprintf(text, sizeof text, ",\"interval\":\"%" PRId64 "ms\"",
                 (int64_t)(subscription->interval_ns / NS_PER_MS));
        status = add_text(out, text);
    }
    if (status == TW_OK && subscription->depth > 0) {
        snprintf(text, sizeof text, ",\"depth\":%" PRIu32, subscription->depth);
        status = add_text(out, text);
    }
    return status;
}

/* Everything of a request behind its id. */
tw_status twi_subscription_body(const tw_subscription *subscription, twi_buffer *out)
{
    if (!subscription->channels || !subscription->symbols || subscription->interval_ns % NS_PER_MS != 0 ||
        subscription->interval_ns < 0)
        return TW_BAD_ARGUMENT;
    tw_status status = add_list(out, "channels", subscription->channels);
    if (status == TW_OK)
        status = add_list(out, "symbols", subscription->symbols);
    if (status == TW_OK)
        status = add_options(out, subscription);
    return status == TW_OK ? twi_buffer_add(out, "}", sizeof "}", BODY_BYTES_MAX) : status;
}

static tw_status request_send(tw_client *client, const twi_request *request, uint32_t id)
{
    char head[NUMBER_TEXT_MAX];
    twi_buffer text = {0};
    snprintf(head, sizeof head, "{\"op\":\"%s\",\"id\":%" PRIu32, request->unsubscribe ? "unsubscribe" : "subscribe",
             id);
    tw_status status = add_text(&text, head);
    if (status == TW_OK)
        status = add_text(&text, request->body);
    if (status == TW_OK)
        status = twi_client_frame(client, TWI_WS_TEXT, text.data, text.len);
    if (status == TW_OK)
        client->acks_pending++;
    twi_buffer_free(&text);
    return status;
}

void twi_request_send_all(tw_client *client)
{
    client->acks_pending = 0;
    for (uint32_t i = 0; i < client->request_count; i++)
        if (request_send(client, &client->requests[i], ++client->next_id) != TW_OK)
            twi_pool_error(client->pool, "request_not_sent");
    twi_client_flush(client);
}

static void request_free(twi_request *request)
{
    free(request->body);
    free(request->match);
}

void twi_request_free_all(tw_client *client)
{
    for (uint32_t i = 0; i < client->request_count; i++)
        request_free(&client->requests[i]);
    free(client->requests);
    client->requests = NULL;
    client->request_count = 0;
}

/* An unsubscribe in the words of a subscribe takes it back; there is nothing left to repeat. */
static void request_forget(tw_client *client, const char *match)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < client->request_count; i++) {
        if (strcmp(client->requests[i].match, match) == 0)
            request_free(&client->requests[i]);
        else
            client->requests[kept++] = client->requests[i];
    }
    client->request_count = kept;
}

static bool request_known(const tw_client *client, const char *match)
{
    for (uint32_t i = 0; i < client->request_count; i++)
        if (strcmp(client->requests[i].match, match) == 0)
            return true;
    return false;
}

static tw_status request_make(const tw_subscription *subscription, bool unsubscribe, twi_request *request)
{
    twi_buffer body = {0};
    tw_status status = twi_subscription_body(subscription, &body);
    if (status != TW_OK) {
        twi_buffer_free(&body);
        return status;
    }
    size_t match_bytes = strlen(subscription->channels) + strlen(subscription->symbols) + sizeof "|";
    *request = (twi_request){.body = (char *)body.data, .match = malloc(match_bytes), .unsubscribe = unsubscribe};
    if (!request->match) {
        request_free(request);
        return TW_NO_MEMORY;
    }
    snprintf(request->match, match_bytes, "%s|%s", subscription->channels, subscription->symbols);
    return TW_OK;
}

/* Remembers what a reconnect has to repeat. The request is the client's from here on. */
static tw_status request_remember(tw_client *client, twi_request *request)
{
    bool known = request_known(client, request->match);
    request_forget(client, request->match);
    if (known && request->unsubscribe) {
        request_free(request);
        return TW_OK;
    }
    if (client->request_count == TWI_CLIENT_REQUESTS_MAX) {
        request_free(request);
        return TW_FULL;
    }
    twi_request *requests = realloc(client->requests, (client->request_count + 1) * sizeof *requests);
    if (!requests) {
        request_free(request);
        return TW_NO_MEMORY;
    }
    client->requests = requests;
    requests[client->request_count++] = *request;
    return TW_OK;
}

tw_status twi_request_add(tw_client *client, const tw_subscription *subscription, bool unsubscribe, uint32_t *id)
{
    twi_request request;
    tw_status status = request_make(subscription, unsubscribe, &request);
    if (status != TW_OK)
        return status;
    bool open = client->state == TW_CLIENT_OPEN || client->state == TW_CLIENT_READY;
    uint32_t request_id = open ? ++client->next_id : 0;
    if (open)
        status = request_send(client, &request, request_id);
    if (status != TW_OK) {
        request_free(&request);
        return status;
    }
    if (open)
        twi_client_flush(client);
    if (id)
        *id = request_id;
    return request_remember(client, &request);
}
