/* http_response_fuzz.c - any bytes as a server's answer: head, upgrade check, deflate answer, chunked body in one go
 * and byte by byte. */
#include <stdlib.h>
#include <string.h>

#include "engine/base/assert.h"
#include "engine/proto/ws_deflate.h"
#include "engine/proto/ws_handshake.h"

enum { INPUT_BYTES_MAX = 1 << 14 };

static twi_http_response response;

typedef struct body {
    uint64_t hash;
    size_t len;
    tw_status status;
} body;

static body read_chunks(const uint8_t *data, size_t size, size_t step)
{
    twi_http_chunks chunks = {0};
    body b = {0};
    size_t at = 0;
    b.status = TW_NEED_MORE;
    while (at < size && b.status == TW_NEED_MORE) {
        size_t part = step < size - at ? step : size - at;
        const uint8_t *cursor = data + at;
        twi_slice piece;
        while ((b.status = twi_http_chunks_read(&chunks, &cursor, data + at + part, &piece)) == TW_OK) {
            for (size_t i = 0; i < piece.len; i++)
                b.hash = (b.hash ^ (uint8_t)piece.data[i]) * 0x100000001B3u;
            b.len += piece.len;
        }
        at += part;
    }
    return b;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const uint8_t key[16] = "the sample nonce";
    static const twi_ws_client_request request = {
        .host = "a", .target = "/", .protocols = "one, two", .extensions = "permessage-deflate"};
    if (size > INPUT_BYTES_MAX)
        return 0;
    tw_status status = twi_http_response_parse(data, size, 0, NULL, &response);
    if (status != TW_OK) {
        TWI_ASSERT((status == TW_NEED_MORE) == (response.error == NULL));
        return 0;
    }
    TWI_ASSERT(response.status >= 100 && response.status <= 599 && response.fields.head_bytes <= size);
    twi_ws_client_answer answer;
    status = twi_ws_response_check(&response, &request, key, &answer);
    TWI_ASSERT((status == TW_OK) == (answer.error == NULL));
    const twi_http_header *header = twi_http_header_find(&response.fields, "sec-websocket-extensions");
    const twi_ws_deflate_policy policy = {.own_window_bits_min = 9};
    twi_ws_deflate_params params;
    if (header != NULL && twi_ws_deflate_confirm(header->value, &policy, &params) == TW_OK)
        TWI_ASSERT(params.own_window_bits >= 9 && params.own_window_bits <= 15 && params.peer_window_bits >= 8);
    if (!response.fields.chunked)
        return 0;
    const uint8_t *start = data + response.fields.head_bytes;
    size_t len = size - response.fields.head_bytes;
    body whole = read_chunks(start, len, SIZE_MAX);
    body parts = read_chunks(start, len, 1);
    TWI_ASSERT(whole.status == parts.status && whole.len == parts.len && whole.hash == parts.hash);
    return 0;
}
