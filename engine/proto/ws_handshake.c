/* ws_handshake.c - the opening handshake of both roles. */
#include "engine/proto/ws_handshake.h"

#include <stdio.h>

#include "engine/base/assert.h"
#include "engine/proto/sha1.h"

enum { KEY_BYTES = 16, VERSION = 13 };

static const char guid[] = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"; /* RFC 6455 section 1.3 */

void twi_ws_accept_key(const char *key, size_t key_len, char accept[TWI_WS_ACCEPT_CHARS])
{
    enum { GUID_CHARS = sizeof(guid) - 1 };
    uint8_t text[TWI_WS_KEY_CHARS + GUID_CHARS];
    TWI_ASSERT(key_len == TWI_WS_KEY_CHARS);
    memcpy(text, key, key_len);
    memcpy(text + key_len, guid, GUID_CHARS);
    uint8_t hash[TWI_SHA1_BYTES];
    twi_sha1(text, sizeof(text), hash);
    twi_base64_encode(hash, sizeof(hash), accept);
}

/* A header that may stand only once. NULL: none; *count says how many. */
static const twi_http_header *find_single(const twi_http_fields *fields, const char *name, uint32_t *count)
{
    const twi_http_header *found = NULL;
    *count = 0;
    for (uint32_t i = 0; i < fields->header_count; i++) {
        if (!twi_slice_equals_nocase(fields->headers[i].name, name))
            continue;
        found = &fields->headers[i];
        (*count)++;
    }
    return found;
}

static tw_status refuse(twi_ws_upgrade *upgrade, uint16_t status, const char *error)
{
    upgrade->error_status = status;
    upgrade->error = error;
    return TW_MALFORMED;
}

tw_status twi_ws_upgrade_check(const twi_http_request *request, twi_ws_upgrade *upgrade)
{
    upgrade->error = NULL;
    upgrade->error_status = 0;
    const twi_http_fields *fields = &request->fields;
    if (!twi_http_header_has_token(fields, "upgrade", "websocket"))
        return TW_EMPTY;
    if (!fields->connection_upgrade)
        return refuse(upgrade, 400, "Connection does not list Upgrade");
    if (!twi_slice_equals(request->method, "GET"))
        return refuse(upgrade, 405, "the method must be GET");
    if (fields->minor_version == 0)
        return refuse(upgrade, 400, "HTTP/1.1 is needed");
    if (fields->chunked || fields->content_length > 0)
        return refuse(upgrade, 400, "an upgrade request has no body");
    uint32_t count;
    const twi_http_header *version = find_single(fields, "sec-websocket-version", &count);
    if (version == NULL || count > 1 || !twi_slice_equals(version->value, "13"))
        return refuse(upgrade, 426, "Sec-WebSocket-Version must be 13");
    const twi_http_header *key = find_single(fields, "sec-websocket-key", &count);
    uint8_t key_bytes[KEY_BYTES];
    if (key == NULL || count > 1 || key->value.len != TWI_WS_KEY_CHARS ||
        twi_base64_decode(key->value.data, key->value.len, key_bytes, sizeof(key_bytes)) != KEY_BYTES)
        return refuse(upgrade, 400, "bad Sec-WebSocket-Key");
    twi_ws_accept_key(key->value.data, key->value.len, upgrade->accept);
    return TW_OK;
}

static int find_text(twi_slice wanted, const char *const *texts, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        if (twi_slice_equals(wanted, texts[i]))
            return (int)i;
    }
    return -1;
}

int twi_ws_protocol_choose(const twi_http_request *request, const char *const *supported, uint32_t supported_count,
                           uint32_t *offered_count)
{
    int chosen = -1;
    *offered_count = 0;
    for (uint32_t i = 0; i < request->fields.header_count; i++) {
        const twi_http_header *header = &request->fields.headers[i];
        if (!twi_slice_equals_nocase(header->name, "sec-websocket-protocol"))
            continue;
        twi_slice rest = header->value;
        twi_slice part;
        while (twi_slice_split(&rest, ',', &part)) {
            part = twi_slice_trim(part);
            if (part.len == 0)
                continue;
            (*offered_count)++;
            if (chosen < 0)
                chosen = find_text(part, supported, supported_count);
        }
    }
    return chosen;
}

static size_t written(int len, size_t out_cap)
{
    return len > 0 && (size_t)len < out_cap ? (size_t)len : 0;
}

size_t twi_ws_accept_write(char *out, size_t out_cap, const twi_ws_upgrade *upgrade, const char *protocol,
                           const char *extensions, const char *server)
{
    int len = snprintf(out, out_cap,
                       "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                       "Sec-WebSocket-Accept: %.*s\r\n%s%s%s%s%s%s%s%s%s\r\n",
                       TWI_WS_ACCEPT_CHARS, upgrade->accept, protocol != NULL ? "Sec-WebSocket-Protocol: " : "",
                       protocol != NULL ? protocol : "", protocol != NULL ? "\r\n" : "",
                       extensions != NULL ? "Sec-WebSocket-Extensions: " : "", extensions != NULL ? extensions : "",
                       extensions != NULL ? "\r\n" : "", server != NULL ? "Server: " : "", server != NULL ? server : "",
                       server != NULL ? "\r\n" : "");
    return written(len, out_cap);
}

size_t twi_ws_reject_write(char *out, size_t out_cap, uint16_t status, const char *text)
{
    int len = snprintf(out, out_cap,
                       "HTTP/1.1 %u %s\r\n%sContent-Type: text/plain\r\nContent-Length: %zu\r\n"
                       "Connection: close\r\n\r\n%s\n",
                       (unsigned)status, twi_http_status_text(status),
                       status == 426   ? "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
                       : status == 405 ? "Allow: GET\r\n"
                                       : "",
                       strlen(text) + 1, text);
    return written(len, out_cap);
}

static void encode_key(const uint8_t key_bytes[KEY_BYTES], char key[TWI_WS_KEY_CHARS])
{
    twi_base64_encode(key_bytes, KEY_BYTES, key);
}

size_t twi_ws_request_write(char *out, size_t out_cap, const twi_ws_client_request *request,
                            const uint8_t key_bytes[16])
{
    char key[TWI_WS_KEY_CHARS];
    encode_key(key_bytes, key);
    const char *protocols = request->protocols;
    const char *extensions = request->extensions;
    int len = snprintf(out, out_cap,
                       "GET %s HTTP/1.1\r\nHost: %s\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                       "Sec-WebSocket-Key: %.*s\r\nSec-WebSocket-Version: %d\r\n%s%s%s%s%s%s%s\r\n",
                       request->target, request->host, TWI_WS_KEY_CHARS, key, VERSION,
                       protocols != NULL ? "Sec-WebSocket-Protocol: " : "", protocols != NULL ? protocols : "",
                       protocols != NULL ? "\r\n" : "", extensions != NULL ? "Sec-WebSocket-Extensions: " : "",
                       extensions != NULL ? extensions : "", extensions != NULL ? "\r\n" : "",
                       request->extra_headers != NULL ? request->extra_headers : "");
    return written(len, out_cap);
}

static bool list_has(const char *list, twi_slice wanted)
{
    twi_slice rest = twi_slice_text(list);
    twi_slice part;
    while (twi_slice_split(&rest, ',', &part)) {
        part = twi_slice_trim(part);
        if (part.len == wanted.len && memcmp(part.data, wanted.data, part.len) == 0)
            return true;
    }
    return false;
}

static tw_status broken(twi_ws_client_answer *answer, const char *error)
{
    answer->error = error;
    return TW_MALFORMED;
}

tw_status twi_ws_response_check(const twi_http_response *response, const twi_ws_client_request *request,
                                const uint8_t key_bytes[16], twi_ws_client_answer *answer)
{
    *answer = (twi_ws_client_answer){0};
    const twi_http_fields *fields = &response->fields;
    if (response->status != 101) {
        answer->error = "the server did not switch protocols";
        return TW_UNAVAILABLE;
    }
    if (!twi_http_header_has_token(fields, "upgrade", "websocket") || !fields->connection_upgrade)
        return broken(answer, "the answer is no upgrade to websocket");
    char key[TWI_WS_KEY_CHARS];
    char accept[TWI_WS_ACCEPT_CHARS];
    encode_key(key_bytes, key);
    twi_ws_accept_key(key, sizeof(key), accept);
    uint32_t count;
    const twi_http_header *header = find_single(fields, "sec-websocket-accept", &count);
    if (count != 1 || header->value.len != sizeof(accept) || memcmp(header->value.data, accept, sizeof(accept)) != 0)
        return broken(answer, "Sec-WebSocket-Accept does not match the key");
    header = find_single(fields, "sec-websocket-protocol", &count);
    if (count > 1 || (count == 1 && (request->protocols == NULL || header->value.len == 0 ||
                                     !list_has(request->protocols, header->value))))
        return broken(answer, "a subprotocol that was not asked for");
    if (count == 1)
        answer->protocol = header->value;
    header = find_single(fields, "sec-websocket-extensions", &count);
    if (count > 1 || (count == 1 && request->extensions == NULL))
        return broken(answer, "an extension that was not asked for");
    if (count == 1)
        answer->extensions = header->value;
    return TW_OK;
}
