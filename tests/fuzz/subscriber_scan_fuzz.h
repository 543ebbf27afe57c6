/* subscriber_scan_fuzz.h - what the fuzz targets of the light scans share: any bytes are survived, and what a codec
 * decodes the scan reads the same. */
#ifndef TWT_SUBSCRIBER_SCAN_FUZZ_H
#define TWT_SUBSCRIBER_SCAN_FUZZ_H

#include <string.h>

#include "engine/base/assert.h"
#include "subscribers/scan.h"
#include "tickwire/codec.h"

enum { TWT_SCAN_EVENTS_MAX = 256, TWT_SCAN_TABLE_BYTES = 4096, TWT_SCAN_MESSAGE_BYTES = 1 << 16 };

typedef tw_status (*twt_scan_fn)(const uint8_t *msg, size_t msg_len, twi_scan *scan);

static inline void twt_scan_names(const tw_instrument *instrument, const twi_scan *scan)
{
    /* The scan leaves escapes as they are. */
    if (memchr(scan->name.exchange, '\\', scan->name.exchange_len) ||
        memchr(scan->name.symbol, '\\', scan->name.symbol_len))
        return;
    TWI_ASSERT(scan->name.exchange_len == instrument->exchange_len);
    TWI_ASSERT(memcmp(scan->name.exchange, instrument->exchange, instrument->exchange_len) == 0);
    TWI_ASSERT(scan->name.symbol_len == instrument->symbol_len);
    TWI_ASSERT(memcmp(scan->name.symbol, instrument->symbol, instrument->symbol_len) == 0);
}

static inline void twt_scan_agrees(const tw_record *record, const twi_scan *scan)
{
    const tw_event *event = &record->events[0];
    if (event->kind == TW_EVENT_LOSS) {
        TWI_ASSERT(scan->kind == TW_EVENT_LOSS);
        TWI_ASSERT(scan->from == event->u.loss.from && scan->to == event->u.loss.to);
        TWI_ASSERT(scan->count == event->u.loss.count && scan->name.channel == event->u.loss.channel);
        return;
    }
    bool clear = event->kind == TW_EVENT_BOOK_CLEAR;
    TWI_ASSERT(scan->kind == (clear ? TW_EVENT_LEVEL : event->kind));
    TWI_ASSERT(scan->seq == record->seq && scan->prev_seq == record->prev_seq && scan->folded == record->folded);
    TWI_ASSERT(scan->publish_ns == record->publish_ns && scan->recv_ns == event->recv_ns);
    if (scan->kind == TW_EVENT_LEVEL)
        TWI_ASSERT(scan->snapshot == (clear || (event->flags & TW_FLAG_SNAPSHOT) != 0));
}

static inline void twt_scan_same(const tw_symbols *symbols, const tw_record *record, const twi_scan *scan)
{
    twt_scan_agrees(record, scan);
    twt_scan_names(tw_symbols_get(symbols, record->events[0].instrument), scan);
}

/* general: the same message in a form for which the scan knows no fixed places. */
static inline void twt_fuzz_scan(const tw_codec_ops *codec, twt_scan_fn scan_message, const uint8_t *data, size_t size,
                                 const uint8_t *general, size_t general_size)
{
    static _Alignas(64) uint8_t table[TWT_SCAN_TABLE_BYTES];
    static uint8_t out[TWT_SCAN_MESSAGE_BYTES];
    static tw_event events[TWT_SCAN_EVENTS_MAX];
    tw_symbols *symbols = tw_symbols_init(table, 2);
    uint32_t count = TWT_SCAN_EVENTS_MAX;
    tw_record record;
    twi_scan scan;
    tw_status scanned = scan_message(data, size, &scan);
    TWI_ASSERT(scanned == TW_OK || scanned == TW_MALFORMED || scanned == TW_NOT_SUPPORTED);
    tw_status decoded = codec->decode(symbols, data, size, events, &count, &record);
    if (decoded != TW_OK)
        return;
    TWI_ASSERT(scanned == TW_OK);
    TWI_ASSERT(scan_message(general, general_size, &scan) == TW_OK);
    twt_scan_same(symbols, &record, &scan);
    size_t len = codec->encode(symbols, &record, out, sizeof out);
    TWI_ASSERT(len > 0 && scan_message(out, len, &scan) == TW_OK);
    twt_scan_same(symbols, &record, &scan);
}

#endif
