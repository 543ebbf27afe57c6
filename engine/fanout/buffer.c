/* buffer.c - see buffer.h. */
#include "engine/fanout/buffer.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CAP_FIRST = 256 };

uint8_t *twi_buffer_room(twi_buffer *buffer, size_t bytes)
{
    size_t cap_max = buffer->cap_max != 0 ? buffer->cap_max : (size_t)TWI_BUFFER_BYTES_MAX;
    size_t need = (size_t)buffer->len + bytes;
    if (buffer->failed || need > cap_max) {
        buffer->failed = 1;
        return NULL;
    }
    if (need > buffer->cap) {
        size_t cap = buffer->cap < CAP_FIRST ? CAP_FIRST : buffer->cap;
        while (cap < need)
            cap *= 2;
        cap = cap < cap_max ? cap : cap_max;
        uint8_t *data = realloc(buffer->data, cap);
        if (data == NULL) {
            buffer->failed = 1;
            return NULL;
        }
        buffer->data = data;
        buffer->cap = (uint32_t)cap;
    }
    return buffer->data + buffer->len;
}

void twi_buffer_append(twi_buffer *buffer, const void *data, size_t len)
{
    if (len == 0)
        return;
    uint8_t *room = twi_buffer_room(buffer, len);
    if (room == NULL)
        return;
    memcpy(room, data, len);
    buffer->len += (uint32_t)len;
}

void twi_buffer_text(twi_buffer *buffer, const char *text)
{
    twi_buffer_append(buffer, text, strlen(text));
}

void twi_buffer_format(twi_buffer *buffer, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    va_list again;
    va_copy(again, args);
    int len = vsnprintf(NULL, 0, format, args);
    va_end(args);
    uint8_t *room = len >= 0 ? twi_buffer_room(buffer, (size_t)len + 1) : NULL;
    if (room != NULL) {
        vsnprintf((char *)room, (size_t)len + 1, format, again);
        buffer->len += (uint32_t)len;
    }
    va_end(again);
}

void twi_buffer_json_string(twi_buffer *buffer, const char *text, size_t len)
{
    twi_buffer_text(buffer, "\"");
    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)text[i];
        if (c == '"' || c == '\\')
            twi_buffer_format(buffer, "\\%c", c);
        else if (c < 0x20 || c >= 0x7f)
            twi_buffer_text(buffer, "?");
        else
            twi_buffer_append(buffer, &text[i], 1);
    }
    twi_buffer_text(buffer, "\"");
}

void twi_buffer_consume(twi_buffer *buffer, size_t len)
{
    if (len >= buffer->len) {
        buffer->len = 0;
        return;
    }
    memmove(buffer->data, buffer->data + len, buffer->len - len);
    buffer->len -= (uint32_t)len;
}

void twi_buffer_fini(twi_buffer *buffer)
{
    free(buffer->data);
    *buffer = (twi_buffer){.cap_max = buffer->cap_max};
}
