/* event.h - the tick as it travels: one fixed 56-byte record, the payload of one 64-byte ring slot.
 *
 * Shape:    plain data without pointers, so that it can lie in shared memory, in a capture file and in a test vector.
 * Numbers:  a price or amount is mantissa * 10^exponent, exact from the venue to the subscriber. Exponents are per
 *           event and shared by all prices (all amounts) in it; trailing zeros of the venue are kept ("64000.10":
 *           6400010, -2).
 * Times:    int64 nanoseconds since 1970 UTC; 0 is "not known".
 * Groups:   what one venue message changes in a book is one group of LEVEL records, TW_FLAG_FIRST on the first and
 *           TW_FLAG_LAST on the last; a reader applies a group as a whole or not at all. All other kinds carry
 *           both flags. (The last-of-message flag follows Databento's F_LAST = 128.)
 * Source:   names and meaning follow ccxt's unified structures: side is the taker's, an amount of 0 deletes a level. */
#ifndef TICKWIRE_EVENT_H
#define TICKWIRE_EVENT_H

#include <stdint.h>

#include "tickwire/status.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum tw_event_kind {
    TW_EVENT_NONE = 0,
    TW_EVENT_TRADE = 1,
    TW_EVENT_QUOTE = 2,       /* best bid and ask; price 0 with amount 0 means that side is empty */
    TW_EVENT_LEVEL = 3,       /* one price level of an L2 book: absolute amount, 0 deletes */
    TW_EVENT_STATUS = 4,      /* link and book state of one instrument */
    TW_EVENT_CANDLE = 5,      /* open, high, low, close; always followed by TW_EVENT_CANDLE_TAIL */
    TW_EVENT_CANDLE_TAIL = 6, /* volume and interval of the candle before it */
    TW_EVENT_LOSS = 7,        /* made by the fan-out for one subscriber; never on the ring */
    TW_EVENT_BOOK_CLEAR = 8   /* an empty book snapshot: TW_FLAG_SNAPSHOT without any level */
} tw_event_kind;

enum {
    TW_FLAG_ASK = 1u << 0,     /* LEVEL: ask side; clear: bid side */
    TW_FLAG_SELL = 1u << 0,    /* TRADE: the taker sold; clear: the taker bought */
    TW_FLAG_CLOSED = 1u << 0,  /* CANDLE: final */
    TW_FLAG_REFRESH = 1u << 1, /* LEVEL, BOOK_CLEAR: a snapshot that says nothing new, for readers of the ring that came
                                   late or were overtaken; who has the book leaves it out. Never sent to subscribers. */
    TW_FLAG_FIRST = 1u << 4,   /* first record of its group */
    TW_FLAG_SNAPSHOT = 1u << 5, /* LEVEL: the group replaces the whole book */
    TW_FLAG_HISTORY = 1u << 6,  /* TRADE: from the backlog a venue sends on subscription, not live */
    TW_FLAG_LAST = 1u << 7      /* last record of its group */
};

/* How the 16 bytes of a trade id are to be read; chosen so that every venue's id survives unchanged. */
typedef enum tw_id_kind {
    TW_ID_NONE = 0,
    TW_ID_NUMBER = 1, /* decimal number < 2^128: low 64 bits in lo, high in hi */
    TW_ID_UUID = 2,   /* 8-4-4-4-12 hex groups, in order of the text, lower case */
    TW_ID_HEX = 3,    /* 24 lower-case hex digits (KuCoin) in the first 12 bytes */
    TW_ID_TEXT = 4    /* up to 16 bytes of ASCII, padded with NUL */
} tw_id_kind;
enum { TW_ID_KIND_SHIFT = 1, TW_ID_KIND_MASK = 7u << TW_ID_KIND_SHIFT }; /* in tw_event.flags of a TRADE */

typedef enum tw_book_state {
    TW_STATE_SYNCING = 0, /* waiting for a snapshot */
    TW_STATE_OK = 1,
    TW_STATE_STALE = 2, /* link down or silent for longer than it should be */
    TW_STATE_GAP = 3,   /* venue sequence or checksum broken; being resynced */
    TW_STATE_CROSSED = 4
} tw_book_state;

typedef enum tw_reason {
    TW_REASON_NONE = 0,
    TW_REASON_SEQUENCE = 1, /* from..to: the venue sequence numbers that are missing */
    TW_REASON_CHECKSUM = 2, /* from: expected, to: computed */
    TW_REASON_LINK_DOWN = 3,
    TW_REASON_SILENCE = 4,
    TW_REASON_VENUE = 5, /* the venue said so (maintenance, delisted, planned shutdown) */
    TW_REASON_SLOW_CONSUMER = 6,
    TW_REASON_RING_LAPPED = 7, /* the publisher itself was overtaken; from..to: ring sequence numbers */
    TW_REASON_MALFORMED = 8,
    TW_REASON_DEPTH_LIMIT = 9, /* a book message was larger than the engine's configured bound */
    TW_REASON_RESYNC = 10,
    TW_REASON_START = 11,
    TW_REASON_REJECTED = 12 /* the venue refused the subscription */
} tw_reason;

typedef enum tw_channel {
    TW_CHANNEL_TRADE = 0,
    TW_CHANNEL_QUOTE = 1,
    TW_CHANNEL_BOOK = 2,
    TW_CHANNEL_STATUS = 3,
    TW_CHANNEL_CANDLE = 4
} tw_channel;

typedef struct tw_trade_id {
    uint64_t lo, hi; /* TW_ID_NUMBER: the value; other kinds: the 16 bytes as they lie in memory */
} tw_trade_id;

typedef struct tw_event {
    uint32_t instrument; /* index into the instrument table (tw_symbols) */
    uint8_t kind;        /* tw_event_kind */
    uint8_t flags;
    int8_t price_exponent;
    int8_t amount_exponent;
    int64_t venue_ns; /* the venue's own time of the event; CANDLE: its open time */
    int64_t recv_ns;  /* when the engine had the bytes; CANDLE: of its last trade */
    union {
        struct {
            int64_t price, amount;
            tw_trade_id id;
        } trade;
        struct {
            int64_t bid, bid_amount, ask, ask_amount;
        } quote;
        struct {
            int64_t price, amount;
            uint64_t venue_seq; /* last venue sequence of the message, 0 if the venue has none */
            uint64_t reserved;
        } level;
        struct {
            uint16_t state;  /* tw_book_state */
            uint16_t reason; /* tw_reason */
            uint32_t reserved;
            uint64_t from, to;
            uint64_t reserved2;
        } status;
        struct {
            int64_t open, high, low, close;
        } candle;
        struct {
            int64_t volume, interval_ns;
            uint64_t trade_count, reserved;
        } candle_tail;
        struct {
            uint64_t from, to, count; /* per-topic sequence numbers, inclusive; count events were not delivered */
            uint16_t channel;         /* tw_channel */
            uint16_t reason;          /* tw_reason */
            uint32_t interval_s;      /* of a candle channel, else 0 */
        } loss;
    } u;
} tw_event;

#ifdef __cplusplus
static_assert(sizeof(tw_event) == 56, "one ring slot less its sequence word");
#else
_Static_assert(sizeof(tw_event) == 56, "one ring slot less its sequence word");
#endif

/* "syncing" "ok" "stale" "gap" "crossed"; "unknown" otherwise. */
TW_API const char *tw_book_state_name(uint16_t state);
/* "venue_sequence" "checksum" "link_down" ...; "none" for TW_REASON_NONE. */
TW_API const char *tw_reason_name(uint16_t reason);
/* "trade" "quote" "book" "status" "candle". */
TW_API const char *tw_channel_name(uint16_t channel);

#ifdef __cplusplus
}
#endif
#endif
