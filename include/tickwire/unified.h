/* unified.h - ccxt's structures and error classes, exact.
 *
 * Names:    of members and classes as in ccxt, so that a user of that library recognises them. Differences, all for
 *           exactness: numbers are decimals instead of doubles; times are nanoseconds instead of milliseconds.
 * Missing:  what a venue did not say is ccxt's undefined: a clear bit in tw_ticker.given, a time of 0, an empty id, an
 *           amount that is 0 with an exponent of 0.
 * Thread:   plain data and pure functions. */
#ifndef TICKWIRE_UNIFIED_H
#define TICKWIRE_UNIFIED_H

#include <stddef.h>
#include <stdint.h>

#include "tickwire/decimal.h"
#include "tickwire/status.h"
#include "tickwire/symbols.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ---- structures ---- */

typedef enum tw_side { TW_SIDE_NONE = 0, TW_SIDE_BUY = 1, TW_SIDE_SELL = 2 } tw_side; /* of the taker */

enum { TW_TRADE_ID_MAX = 47 }; /* bytes without the NUL; UUIDs have 36, HTX's numbers 27 */

typedef struct tw_trade {
    char id[TW_TRADE_ID_MAX + 1]; /* empty: the venue has none */
    int64_t timestamp_ns;
    uint8_t side;    /* tw_side */
    uint8_t history; /* watch_trades: from the backlog that a venue sends at subscription */
    tw_decimal price, amount;
    tw_decimal cost; /* price * amount * contract size (inverse: amount * contract size / price); 0: not exact in 18
                        digits */
} tw_trade;

typedef struct tw_book_level {
    tw_decimal price, amount;
} tw_book_level;

typedef struct tw_order_book {
    char symbol[TW_SYMBOL_MAX + 1];
    int64_t timestamp_ns;
    uint64_t nonce;      /* the venue's sequence number; 0: it has none */
    tw_book_level *bids; /* from the best down */
    tw_book_level *asks; /* from the best up */
    uint32_t bid_count, ask_count;
    uint32_t level_count_max; /* places in each array */
} tw_order_book;

typedef struct tw_ohlcv {
    int64_t timestamp_ns; /* when the candle opens */
    tw_decimal open, high, low, close;
    tw_decimal volume; /* in base currency; of contracts as the venue counts them */
} tw_ohlcv;

/* Bits of tw_ticker.given, in the order of the members. */
typedef enum tw_ticker_field {
    TW_TICKER_HIGH,
    TW_TICKER_LOW,
    TW_TICKER_BID,
    TW_TICKER_BID_VOLUME,
    TW_TICKER_ASK,
    TW_TICKER_ASK_VOLUME,
    TW_TICKER_VWAP,
    TW_TICKER_OPEN,
    TW_TICKER_CLOSE,
    TW_TICKER_LAST,
    TW_TICKER_PREVIOUS_CLOSE,
    TW_TICKER_CHANGE,
    TW_TICKER_PERCENTAGE,
    TW_TICKER_AVERAGE,
    TW_TICKER_QUOTE_VOLUME,
    TW_TICKER_BASE_VOLUME,
    TW_TICKER_INDEX_PRICE,
    TW_TICKER_MARK_PRICE,
    TW_TICKER_FIELD_COUNT
} tw_ticker_field;

/* As ccxt's safeTicker: close is last; a price of 0 is not given; what follows from other members is filled in
 * (vwap, open, change, percentage, average), quotients cut after 12 decimals. */
typedef struct tw_ticker {
    char symbol[TW_SYMBOL_MAX + 1];
    int64_t timestamp_ns;
    uint32_t given; /* bit 1u << tw_ticker_field: that member holds a value */
    tw_decimal high, low, bid, bid_volume, ask, ask_volume, vwap, open, close, last, previous_close, change, percentage,
        average, quote_volume, base_volume, index_price, mark_price;
} tw_ticker;

/* The member of a field; *value is 0 where it is not given. Returns 1 if it is. */
TW_API int tw_ticker_get(const tw_ticker *ticker, tw_ticker_field field, tw_decimal *value);
/* "high" "bidVolume" ...: ccxt's names. NULL: no such field. */
TW_API const char *tw_ticker_field_name(tw_ticker_field field);

/* ---- errors ---- */

/* ccxt's classes. The tree is in tw_error_parent(). */
typedef enum tw_error_class {
    TW_ERROR_NONE = 0,
    TW_ERROR_BASE_ERROR,
    TW_ERROR_EXCHANGE_ERROR,
    TW_ERROR_AUTHENTICATION_ERROR,
    TW_ERROR_PERMISSION_DENIED,
    TW_ERROR_ACCOUNT_NOT_ENABLED,
    TW_ERROR_ACCOUNT_SUSPENDED,
    TW_ERROR_ARGUMENTS_REQUIRED,
    TW_ERROR_BAD_REQUEST,
    TW_ERROR_BAD_SYMBOL,
    TW_ERROR_OPERATION_REJECTED,
    TW_ERROR_NO_CHANGE,
    TW_ERROR_MARKET_CLOSED,
    TW_ERROR_MANUAL_INTERACTION_NEEDED,
    TW_ERROR_RESTRICTED_LOCATION,
    TW_ERROR_NOT_SUPPORTED,
    TW_ERROR_INVALID_PROXY_SETTINGS,
    TW_ERROR_EXCHANGE_CLOSED_BY_USER,
    TW_ERROR_OPERATION_FAILED,
    TW_ERROR_NETWORK_ERROR,
    TW_ERROR_DDOS_PROTECTION,
    TW_ERROR_RATE_LIMIT_EXCEEDED,
    TW_ERROR_EXCHANGE_NOT_AVAILABLE,
    TW_ERROR_ON_MAINTENANCE,
    TW_ERROR_INVALID_NONCE,
    TW_ERROR_CHECKSUM_ERROR,
    TW_ERROR_REQUEST_TIMEOUT,
    TW_ERROR_BAD_RESPONSE,
    TW_ERROR_NULL_RESPONSE,
    TW_ERROR_UNSUBSCRIBE_ERROR,
    TW_ERROR_CLASS_COUNT
} tw_error_class;

/* "BadSymbol", "RateLimitExceeded", ...; "" for TW_ERROR_NONE and numbers that are no class. Static storage. */
TW_API const char *tw_error_name(tw_error_class error);
/* The class above; TW_ERROR_NONE above BaseError. */
TW_API tw_error_class tw_error_parent(tw_error_class error);
/* 1: error is `ancestor` or below it: tw_error_is(e, TW_ERROR_NETWORK_ERROR) means "trying again makes sense soon". */
TW_API int tw_error_is(tw_error_class error, tw_error_class ancestor);

#ifdef __cplusplus
}
#endif
#endif
