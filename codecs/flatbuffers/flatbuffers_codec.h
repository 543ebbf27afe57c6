/* flatbuffers_codec.h - the two halves of tw_codec_flatbuffers: records to and from the buffers of market.fbs.
 *
 * Form:     a standard FlatBuffers buffer, root table Message, file identifier TWM1; any FlatBuffers library reads it.
 *           The schema says what the fields mean. Equal records give equal bytes.
 * Levels:   a book's exponents are shared by its levels: 16 bytes per level. Levels that came with exponents of their
 *           own are brought to the finest one (the value stays, trailing zeros may be added); where 64 bits cannot hold
 *           that, the message is a WideBook.
 * Lost:     the venue's own book sequence and a candle's trade count, as in JSON. */
#ifndef TWI_FLATBUFFERS_CODEC_H
#define TWI_FLATBUFFERS_CODEC_H

#include "tickwire/codec.h"

/* Positions of the fields in their tables, in the order of market.fbs (a union takes two). */
enum { TWI_FB_MESSAGE_DATA_TYPE, TWI_FB_MESSAGE_DATA, TWI_FB_MESSAGE_EXCHANGE, TWI_FB_MESSAGE_SYMBOL };
enum { TWI_FB_MESSAGE_SEQ = 4, TWI_FB_MESSAGE_PREV_SEQ, TWI_FB_MESSAGE_FOLDED };
enum { TWI_FB_MESSAGE_TIMESTAMP_NS = 7, TWI_FB_MESSAGE_RECV_NS, TWI_FB_MESSAGE_PUBLISH_NS, TWI_FB_MESSAGE_FIELDS };
enum { TWI_FB_TRADE_PRICE, TWI_FB_TRADE_AMOUNT, TWI_FB_TRADE_PRICE_EXPONENT, TWI_FB_TRADE_AMOUNT_EXPONENT };
enum { TWI_FB_TRADE_SIDE = 4, TWI_FB_TRADE_HISTORY, TWI_FB_TRADE_ID, TWI_FB_TRADE_FIELDS };
enum { TWI_FB_QUOTE_BID, TWI_FB_QUOTE_BID_VOLUME, TWI_FB_QUOTE_ASK, TWI_FB_QUOTE_ASK_VOLUME };
enum { TWI_FB_QUOTE_PRICE_EXPONENT = 4, TWI_FB_QUOTE_AMOUNT_EXPONENT, TWI_FB_QUOTE_FIELDS };
enum { TWI_FB_BOOK_BIDS, TWI_FB_BOOK_ASKS, TWI_FB_BOOK_PRICE_EXPONENT, TWI_FB_BOOK_AMOUNT_EXPONENT };
enum { TWI_FB_BOOK_SNAPSHOT = 4, TWI_FB_BOOK_FIELDS };
enum { TWI_FB_WIDE_BOOK_SNAPSHOT = 2, TWI_FB_WIDE_BOOK_FIELDS }; /* bids and asks as in Book */
enum { TWI_FB_CANDLE_OPEN, TWI_FB_CANDLE_HIGH, TWI_FB_CANDLE_LOW, TWI_FB_CANDLE_CLOSE, TWI_FB_CANDLE_VOLUME };
enum { TWI_FB_CANDLE_INTERVAL_NS = 5, TWI_FB_CANDLE_PRICE_EXPONENT, TWI_FB_CANDLE_AMOUNT_EXPONENT };
enum { TWI_FB_CANDLE_CLOSED = 8, TWI_FB_CANDLE_FIELDS };
enum { TWI_FB_STATUS_FROM, TWI_FB_STATUS_TO, TWI_FB_STATUS_STATE, TWI_FB_STATUS_REASON, TWI_FB_STATUS_FIELDS };
enum { TWI_FB_LOSS_FROM, TWI_FB_LOSS_TO, TWI_FB_LOSS_COUNT, TWI_FB_LOSS_INTERVAL_S, TWI_FB_LOSS_CHANNEL };
enum { TWI_FB_LOSS_REASON = 5, TWI_FB_LOSS_FIELDS };

/* Values of Message.data_type. */
typedef enum twi_fb_data {
    TWI_FB_DATA_NONE,
    TWI_FB_DATA_TRADE,
    TWI_FB_DATA_QUOTE,
    TWI_FB_DATA_BOOK,
    TWI_FB_DATA_CANDLE,
    TWI_FB_DATA_STATUS,
    TWI_FB_DATA_LOSS,
    TWI_FB_DATA_WIDE_BOOK
} twi_fb_data;

#define TWI_FB_FILE_IDENTIFIER "TWM1"

/* Elements of the level vectors as they lie in the buffer. */
typedef struct twi_fb_level {
    int64_t price, amount;
} twi_fb_level;

typedef struct twi_fb_wide_level {
    int64_t price, amount;
    int8_t price_exponent, amount_exponent;
    uint8_t padding[6];
} twi_fb_wide_level;

_Static_assert(sizeof(twi_fb_level) == 16 && sizeof(twi_fb_wide_level) == 24, "as flatc lays them out");

size_t twi_flatbuffers_bound(uint32_t event_count);
size_t twi_flatbuffers_encode(const tw_symbols *symbols, const tw_record *record, uint8_t *out, size_t out_cap);
tw_status twi_flatbuffers_decode(tw_symbols *symbols, const uint8_t *msg, size_t msg_len, tw_event *events,
                                 uint32_t *event_count, tw_record *record);

#endif
