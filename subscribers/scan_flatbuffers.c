/* scan_flatbuffers.c - the light reading of FlatBuffers messages: a handful of fields, found through the vtables, every
 * offset checked before it is followed. What the fields mean is said in market.fbs. */
#include <string.h>

#include "codecs/flatbuffers/flatbuffers_codec.h"
#include "engine/base/compiler.h"
#include "subscribers/scan.h"

#define NS_PER_S 1000000000LL

enum { VTABLE_HEAD = 4, OFFSET_BYTES = 4, IDENTIFIER_AT = 4, IDENTIFIER_BYTES = 4, MESSAGE_BYTES_MIN = 8 };

typedef struct message {
    const uint8_t *bytes;
    size_t len;
    bool bad; /* an offset or a length led outside */
} message;

typedef struct table {
    size_t at, vtable;
    uint16_t vtable_bytes, bytes;
} table;

static uint32_t load32(const uint8_t *at)
{
    uint32_t value;
    memcpy(&value, at, sizeof value);
    return value;
}

static uint16_t load16(const uint8_t *at)
{
    uint16_t value;
    memcpy(&value, at, sizeof value);
    return value;
}

static inline table table_open(message *m, size_t at)
{
    static const table none = {.vtable_bytes = VTABLE_HEAD, .bytes = VTABLE_HEAD};
    table t = {.at = at};
    if (at > m->len - VTABLE_HEAD) {
        m->bad = true;
        return none;
    }
    int64_t vtable = (int64_t)at - (int32_t)load32(m->bytes + at);
    if (vtable < 0 || (uint64_t)vtable > m->len - VTABLE_HEAD) {
        m->bad = true;
        return none;
    }
    t.vtable = (size_t)vtable;
    t.vtable_bytes = load16(m->bytes + t.vtable);
    t.bytes = load16(m->bytes + t.vtable + sizeof(uint16_t));
    if (t.vtable_bytes < VTABLE_HEAD || t.vtable_bytes > m->len - t.vtable || t.bytes > m->len - at) {
        m->bad = true;
        return none;
    }
    return t;
}

/* Where the field lies; NULL: the table does not have it. */
static inline const uint8_t *field(message *m, const table *t, unsigned index, unsigned bytes)
{
    unsigned slot = VTABLE_HEAD + (unsigned)sizeof(uint16_t) * index;
    unsigned offset = slot + sizeof(uint16_t) <= t->vtable_bytes ? load16(m->bytes + t->vtable + slot) : 0;
    if (offset == 0)
        return NULL;
    if (TWI_UNLIKELY(offset < VTABLE_HEAD || offset + bytes > t->bytes)) {
        m->bad = true;
        return NULL;
    }
    return m->bytes + t->at + offset;
}

static inline uint64_t number64(message *m, const table *t, unsigned index)
{
    const uint8_t *at = field(m, t, index, sizeof(uint64_t));
    uint64_t value = 0;
    if (at)
        memcpy(&value, at, sizeof value);
    return value;
}

static inline uint32_t number32(message *m, const table *t, unsigned index)
{
    const uint8_t *at = field(m, t, index, sizeof(uint32_t));
    return at ? load32(at) : 0;
}

static inline uint8_t number8(message *m, const table *t, unsigned index)
{
    const uint8_t *at = field(m, t, index, sizeof(uint8_t));
    return at ? *at : 0;
}

/* Where an offset field leads; 0: there is none. At least the four bytes of a length or of a table follow. */
static inline size_t target(message *m, const table *t, unsigned index)
{
    const uint8_t *at = field(m, t, index, OFFSET_BYTES);
    if (!at)
        return 0;
    uint64_t place = (uint64_t)(at - m->bytes) + load32(at);
    if (TWI_UNLIKELY(place > m->len - OFFSET_BYTES)) {
        m->bad = true;
        return 0;
    }
    return (size_t)place;
}

static inline void text(message *m, const table *t, unsigned index, const char **out, uint32_t *out_len)
{
    size_t at = target(m, t, index);
    uint32_t len = at ? load32(m->bytes + at) : 0;
    if (TWI_UNLIKELY(len > m->len - OFFSET_BYTES - at)) {
        m->bad = true;
        len = 0;
    }
    *out = (const char *)m->bytes + at + OFFSET_BYTES;
    *out_len = len;
}

static tw_status loss_finish(message *m, const table *data, twi_scan *scan)
{
    scan->kind = TW_EVENT_LOSS;
    scan->from = number64(m, data, TWI_FB_LOSS_FROM);
    scan->to = number64(m, data, TWI_FB_LOSS_TO);
    scan->count = number64(m, data, TWI_FB_LOSS_COUNT);
    scan->name.channel = number8(m, data, TWI_FB_LOSS_CHANNEL);
    scan->name.interval_s = number32(m, data, TWI_FB_LOSS_INTERVAL_S);
    scan->seq = scan->to;
    return scan->name.channel <= TW_CHANNEL_CANDLE ? TW_OK : TW_MALFORMED;
}

static tw_status data_finish(message *m, const table *root, twi_scan *scan)
{
    uint8_t type = number8(m, root, TWI_FB_MESSAGE_DATA_TYPE);
    size_t place = target(m, root, TWI_FB_MESSAGE_DATA);
    if (place == 0)
        return TW_MALFORMED;
    table data = table_open(m, place);
    switch (type) {
    case TWI_FB_DATA_TRADE:
        scan->kind = TW_EVENT_TRADE;
        scan->name.channel = TW_CHANNEL_TRADE;
        return TW_OK;
    case TWI_FB_DATA_QUOTE:
        scan->kind = TW_EVENT_QUOTE;
        scan->name.channel = TW_CHANNEL_QUOTE;
        return TW_OK;
    case TWI_FB_DATA_BOOK:
    case TWI_FB_DATA_WIDE_BOOK:
        scan->kind = TW_EVENT_LEVEL;
        scan->name.channel = TW_CHANNEL_BOOK;
        scan->snapshot =
            number8(m, &data, type == TWI_FB_DATA_BOOK ? TWI_FB_BOOK_SNAPSHOT : TWI_FB_WIDE_BOOK_SNAPSHOT) != 0;
        return TW_OK;
    case TWI_FB_DATA_CANDLE:
        scan->kind = TW_EVENT_CANDLE;
        scan->name.channel = TW_CHANNEL_CANDLE;
        scan->name.interval_s = (uint32_t)(number64(m, &data, TWI_FB_CANDLE_INTERVAL_NS) / NS_PER_S);
        return TW_OK;
    case TWI_FB_DATA_STATUS:
        scan->kind = TW_EVENT_STATUS;
        scan->name.channel = TW_CHANNEL_STATUS;
        return TW_OK;
    case TWI_FB_DATA_LOSS:
        return loss_finish(m, &data, scan);
    default:
        return TW_MALFORMED; /* it may be a book change: it must not be skipped in silence */
    }
}

tw_status twi_scan_flatbuffers(const uint8_t *msg, size_t msg_len, twi_scan *scan)
{
    message m = {.bytes = msg, .len = msg_len};
    *scan = (twi_scan){0};
    if (msg_len < MESSAGE_BYTES_MIN || memcmp(msg + IDENTIFIER_AT, TWI_FB_FILE_IDENTIFIER, IDENTIFIER_BYTES) != 0)
        return TW_MALFORMED;
    table root = table_open(&m, load32(msg));
    tw_status status = data_finish(&m, &root, scan);
    if (status != TW_OK)
        return status;
    text(&m, &root, TWI_FB_MESSAGE_EXCHANGE, &scan->name.exchange, &scan->name.exchange_len);
    text(&m, &root, TWI_FB_MESSAGE_SYMBOL, &scan->name.symbol, &scan->name.symbol_len);
    if (scan->kind != TW_EVENT_LOSS)
        scan->seq = number64(&m, &root, TWI_FB_MESSAGE_SEQ);
    scan->prev_seq = number64(&m, &root, TWI_FB_MESSAGE_PREV_SEQ);
    scan->folded = number32(&m, &root, TWI_FB_MESSAGE_FOLDED);
    scan->recv_ns = (int64_t)number64(&m, &root, TWI_FB_MESSAGE_RECV_NS);
    scan->publish_ns = (int64_t)number64(&m, &root, TWI_FB_MESSAGE_PUBLISH_NS);
    bool named = scan->name.exchange_len > 0 && scan->name.symbol_len > 0;
    return m.bad || !named ? TW_MALFORMED : TW_OK;
}
