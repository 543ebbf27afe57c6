/* ws_message.c - pieces put together: whole control frames and whole messages in the caller's memory. */
#include <string.h>

#include "engine/base/assert.h"
#include "engine/proto/ws.h"

enum { FIRST_CAP_BYTES = 1024 };

bool twi_ws_control_add(twi_ws_control *control, const twi_ws_piece *piece)
{
    if ((piece->flags & TWI_WS_FIRST) != 0) {
        control->opcode = piece->opcode;
        control->payload_len = 0;
    }
    TWI_ASSERT(control->opcode == piece->opcode);
    TWI_ASSERT(piece->len <= (size_t)(TWI_WS_CONTROL_PAYLOAD_MAX - control->payload_len));
    if (piece->len > 0)
        memcpy(control->payload + control->payload_len, piece->data, piece->len);
    control->payload_len = (uint8_t)(control->payload_len + piece->len);
    return (piece->flags & TWI_WS_LAST) != 0;
}

tw_status twi_ws_message_reserve(twi_ws_message *message, size_t bytes)
{
    if (bytes <= message->cap)
        return TW_OK;
    if (message->resize == NULL || bytes > message->bytes_max)
        return TW_TOO_BIG;
    size_t cap = message->cap < FIRST_CAP_BYTES ? FIRST_CAP_BYTES : message->cap;
    while (cap < bytes)
        cap = cap > message->bytes_max / 2 ? message->bytes_max : cap * 2;
    if (cap > message->bytes_max)
        cap = message->bytes_max;
    uint8_t *data = message->resize(message->resize_owner, message->data, cap);
    if (data == NULL)
        return TW_NO_MEMORY;
    message->data = data;
    message->cap = cap;
    return TW_OK;
}

tw_status twi_ws_message_add(twi_ws_message *message, const twi_ws_piece *piece)
{
    if ((piece->flags & TWI_WS_FIRST) != 0) {
        message->len = 0;
        message->opcode = piece->opcode;
        message->flags = piece->flags & TWI_WS_COMPRESSED;
    }
    if (piece->len > SIZE_MAX - message->len)
        return TW_TOO_BIG;
    tw_status status = twi_ws_message_reserve(message, message->len + piece->len);
    if (status != TW_OK)
        return status;
    if (piece->len > 0)
        memcpy(message->data + message->len, piece->data, piece->len);
    message->len += piece->len;
    return (piece->flags & TWI_WS_LAST) != 0 ? TW_OK : TW_NEED_MORE;
}

void twi_ws_message_fini(twi_ws_message *message)
{
    if (message->resize != NULL && message->data != NULL)
        message->resize(message->resize_owner, message->data, 0);
    message->data = NULL;
    message->len = 0;
    message->cap = 0;
}
