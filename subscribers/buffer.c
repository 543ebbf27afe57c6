/* buffer.c - bytes that grow up to a limit: what a client is about to send, and heads that arrive in pieces. */
#include <stdlib.h>
#include <string.h>

#include "subscribers/client.h"

enum { FIRST_CAP_BYTES = 512 };

tw_status twi_buffer_reserve(twi_buffer *buffer, size_t more, size_t cap_max)
{
    if (more > cap_max || buffer->len > cap_max - more)
        return TW_TOO_BIG;
    if (buffer->len + more <= buffer->cap)
        return TW_OK;
    size_t cap = buffer->cap < FIRST_CAP_BYTES ? FIRST_CAP_BYTES : buffer->cap;
    while (cap < buffer->len + more)
        cap *= 2;
    uint8_t *data = realloc(buffer->data, cap);
    if (!data)
        return TW_NO_MEMORY;
    buffer->data = data;
    buffer->cap = cap;
    return TW_OK;
}

tw_status twi_buffer_add(twi_buffer *buffer, const void *data, size_t len, size_t cap_max)
{
    tw_status status = twi_buffer_reserve(buffer, len, cap_max);
    if (status != TW_OK)
        return status;
    memcpy(buffer->data + buffer->len, data, len);
    buffer->len += len;
    return TW_OK;
}

void twi_buffer_free(twi_buffer *buffer)
{
    free(buffer->data);
    *buffer = (twi_buffer){0};
}
