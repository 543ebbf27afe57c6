/* fetch.h - the REST half of a venue as tables: where to ask, where in the answer each figure stands, what its errors
 * mean. Pure functions: query in, URL out; body in, exact structures out. No socket, clock, allocation or double.
 *
 * Usage:    const twi_fetch *fetch = twi_fetch_find("binance");
 *           twi_fetch_query query = {.market = market, .limit = 100, .now_ns = now};
 *           tw_error_class error = twi_fetch_url(fetch, TWI_FETCH_TRADES, &query, &url);
 *           ... GET ...
 *           error = twi_fetch_error(fetch, status, body, len, text, sizeof(text));
 *           if (error == TW_ERROR_NONE)
 *               error = twi_fetch_trades(fetch, &query, body, len, trades, trade_max, &count);
 * A venue:  one file <venue>_fetch.c that is one constant twi_fetch, and a line in fetch.c.
 * Paths:    where a figure stands: member names and array indices with dots ("result.list.0.last"); "#" is every item
 *           of an array, "*" every member that is an object or array. A row's fields are relative to the row.
 * URLs:     templates with {id} {lower} {base} {quote} {category} {tf} {limit} {since_ms} {since_s} {since_ns}
 *           {since_iso} {before_ms} {before_s} {from_s} {from_ms} {from_iso} {until_s} {until_ms} {until_iso}. What
 *           stands in square brackets is left out if one of its values is not known. Names are percent-encoded.
 * Numbers:  of trades, levels and candles' prices are exact or refused (BadResponse). Sums that venues give with more
 *           digits than an exact decimal holds (volumes, averages) are cut at the 18th digit. */
#ifndef TWI_FEED_FETCH_H
#define TWI_FEED_FETCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "feed/market.h"
#include "feed/text.h"
#include "tickwire/feed.h"
#include "tickwire/unified.h"

typedef enum twi_fetch_kind {
    TWI_FETCH_TICKER,
    TWI_FETCH_ORDER_BOOK,
    TWI_FETCH_TRADES,
    TWI_FETCH_OHLCV,
    TWI_FETCH_KIND_COUNT
} twi_fetch_kind;

/* What a field is for. The ticker's members come first, so that they can be used as they are. */
typedef enum twi_fetch_to {
    TWI_TO_TIME = TW_TICKER_FIELD_COUNT,
    TWI_TO_NONCE,
    TWI_TO_ID,
    TWI_TO_SIDE,
    TWI_TO_PRICE,
    TWI_TO_AMOUNT,
    TWI_TO_OPEN,
    TWI_TO_HIGH,
    TWI_TO_LOW,
    TWI_TO_CLOSE,
    TWI_TO_VOLUME,
    TWI_TO_CODE, /* of errors */
    TWI_TO_TEXT,
    TWI_TO_FLAG
} twi_fetch_to;

/* How it is written. */
typedef enum twi_fetch_as {
    TWI_AS_PLAIN,   /* a decimal, text of an id, or a whole number, as the target is */
    TWI_AS_S,       /* times: seconds, also with decimals */
    TWI_AS_MS,      /* ... */
    TWI_AS_US,      /* ... */
    TWI_AS_NS,      /* ... */
    TWI_AS_ISO,     /* ... RFC 3339 */
    TWI_AS_MAKER,   /* sides: "buy" is the maker's, so the taker sold */
    TWI_AS_IS_SELL, /* ... true or 1: the taker sold */
    TWI_AS_SIGNED,  /* an amount whose sign is the side: negative sells or is an ask */
    TWI_AS_RATIO    /* a hundredth of a percentage */
} twi_fetch_as;

/* For which markets a field counts. */
typedef enum twi_fetch_when { TWI_ALWAYS, TWI_SPOT, TWI_CONTRACT, TWI_INVERSE, TWI_NOT_INVERSE } twi_fetch_when;

typedef struct twi_fetch_field {
    const char *path; /* NULL ends a list */
    uint8_t to, as, when;
} twi_fetch_field;
#define TWI_AT(path, to)                                                                                               \
    {                                                                                                                  \
        (path), (to), TWI_AS_PLAIN, TWI_ALWAYS                                                                         \
    }
#define TWI_AT_AS(path, to, as)                                                                                        \
    {                                                                                                                  \
        (path), (to), (as), TWI_ALWAYS                                                                                 \
    }

enum {
    TWI_FETCH_NEWEST_FIRST = 1 << 0, /* rows of one time come newest first */
    TWI_FETCH_CLOSE_TIMES = 1 << 1,  /* candles carry the time of their end */
    TWI_FETCH_COLUMNS = 1 << 2,      /* OHLCV: one array per figure; fields end with "#" */
    TWI_FETCH_OMIT_OVER = 1 << 3     /* a limit over the last choice: {limit} is not known */
};

enum { TWI_FETCH_CHOICE_COUNT = 8 };

typedef struct twi_fetch_call {
    const char *path;       /* NULL: not supported */
    const char *path_since; /* another one if there is a since; NULL: the same */
    uint32_t recent_count;  /* OHLCV: path_since only for a since before this many candles ago; 0: always */
    uint32_t flags;
    uint32_t limit_default; /* 0: none is sent unless asked for */
    uint32_t limit_max;
    uint32_t limit_max_since;                 /* of path_since; 0: limit_max */
    uint16_t choices[TWI_FETCH_CHOICE_COUNT]; /* the only limits there are, rising; the next greater one is taken */
    const char *rows, *ask_rows;              /* trades, candles, levels; books of one list have rows alone */
    const twi_fetch_field *fields, *row;      /* of the whole answer; of a row */
} twi_fetch_call;

/* ccxt's names of timeframes to the venue's. */
typedef struct twi_fetch_timeframe {
    const char *name, *venue; /* NULL ends the list */
    uint32_t seconds;
} twi_fetch_timeframe;

typedef struct twi_fetch_error_rule {
    const char *code; /* equal to the venue's code; NULL: any */
    const char *text; /* part of its text; NULL: any */
    tw_error_class error;
} twi_fetch_error_rule;

typedef struct twi_fetch_status_rule {
    int status; /* 0 ends the list */
    tw_error_class error;
} twi_fetch_status_rule;

typedef struct twi_fetch {
    const char *name;                                  /* of the feed */
    const char *rest_url;                              /* scheme and host */
    const char *sandbox_rest_url, *sandbox_stream_url; /* NULL: there is none */
    int64_t request_gap_ns;                            /* between two requests */
    const twi_code *codes;                             /* for {base} and {quote} */
    const char *const *categories;                     /* {category} by tw_market_type and linear/inverse */
    bool plain_amounts;                                /* amounts of contracts are in currency, not in contracts */
    const twi_fetch_timeframe *timeframes;
    twi_fetch_call calls[TWI_FETCH_KIND_COUNT];
    const twi_fetch_field *error_fields;       /* TWI_TO_CODE, _TEXT, _FLAG */
    const char *ok_code;                       /* a code that is no error; NULL: every code is one */
    const char *error_flag;                    /* it is an error only if FLAG is this; NULL: there is no flag */
    const twi_fetch_error_rule *error_rules;   /* end with error NONE; the first that fits wins */
    const twi_fetch_status_rule *status_rules; /* before the general ones; may be NULL */
} twi_fetch;

enum { TWI_CATEGORY_SPOT, TWI_CATEGORY_LINEAR, TWI_CATEGORY_INVERSE, TWI_CATEGORY_OPTION };

typedef struct twi_fetch_query {
    const tw_market *market;
    const char *rest_url;  /* instead of the venue's; NULL: the venue's */
    const char *timeframe; /* OHLCV: "1m" ... */
    int64_t since_ns;      /* 0: the latest */
    int64_t now_ns;        /* Unix time, for ranges that end now */
    uint32_t limit;        /* 0: the venue's default */
} twi_fetch_query;

/* NULL: no such venue. */
const twi_fetch *twi_fetch_find(const char *name);
/* The fetch bits of tw_has that its tables serve. */
uint32_t twi_fetch_has(const twi_fetch *fetch);
/* NULL: the venue has no such candles. */
const twi_fetch_timeframe *twi_fetch_timeframe_find(const twi_fetch *fetch, const char *name);

/* NotSupported: no such call or timeframe; BadRequest: the URL would be too long. */
tw_error_class twi_fetch_url(const twi_fetch *fetch, twi_fetch_kind kind, const twi_fetch_query *query, twi_text *url);

/* What an answer is: TW_ERROR_NONE, or its class, with the venue's own words in text (NUL-terminated; may be empty). */
tw_error_class twi_fetch_error(const twi_fetch *fetch, int status, const uint8_t *body, size_t body_len, char *text,
                               size_t text_cap);
/* ... by HTTP status alone. */
tw_error_class twi_fetch_status_error(int status);

/* Parsers. BadResponse: not the venue's format; NullResponse: well-formed, but empty where it must not be. */
tw_error_class twi_fetch_ticker(const twi_fetch *fetch, const twi_fetch_query *query, const uint8_t *body,
                                size_t body_len, tw_ticker *ticker);
/* book->bids, asks and level_count_max are the caller's. */
tw_error_class twi_fetch_order_book(const twi_fetch *fetch, const twi_fetch_query *query, const uint8_t *body,
                                    size_t body_len, tw_order_book *book);
/* Oldest first, not before since; of more than fit, the latest, or with a since the earliest. */
tw_error_class twi_fetch_trades(const twi_fetch *fetch, const twi_fetch_query *query, const uint8_t *body,
                                size_t body_len, tw_trade *trades, uint32_t trade_max, uint32_t *trade_count);
tw_error_class twi_fetch_ohlcv(const twi_fetch *fetch, const twi_fetch_query *query, const uint8_t *body,
                               size_t body_len, tw_ohlcv *candles, uint32_t candle_max, uint32_t *candle_count);

/* ---- between the files of this half ---- */

/* Reads the figures of `fields` out of a body: store() is called with the cursor before each value. */
typedef struct twi_fetch_walk twi_fetch_walk;
struct twi_fetch_walk {
    const twi_fetch_field *fields, *row;
    const char *rows[2];
    bool columns;
    void (*store)(twi_fetch_walk *walk, const twi_fetch_field *field, twi_json *json);
    void (*row_begin)(twi_fetch_walk *walk, unsigned list);
    bool (*row_end)(twi_fetch_walk *walk, unsigned list); /* false: the row is not what it must be */
    uint32_t index;                                       /* of the innermost "#" */
    bool seen[2];                                         /* the list of rows is in the answer, if only empty */
    void *owner;
};
tw_status twi_fetch_walk_run(twi_fetch_walk *walk, const uint8_t *body, size_t body_len);

/* What follows from what is there, as ccxt's safeTicker. */
void twi_fetch_derive_ticker(tw_ticker *ticker);
tw_decimal *twi_ticker_member(tw_ticker *ticker, unsigned field);
/* price * amount (* contract size; inverse: amount * contract size / price); 0 if it does not fit. */
tw_decimal twi_fetch_cost(const twi_fetch *fetch, const tw_market *market, tw_decimal price, tw_decimal amount);

extern const twi_fetch twi_fetch_binance, twi_fetch_binanceusdm, twi_fetch_bitfinex, twi_fetch_bitmex,
    twi_fetch_bitstamp, twi_fetch_bybit, twi_fetch_coinbase, twi_fetch_coinbase_exchange, twi_fetch_deribit,
    twi_fetch_gate, twi_fetch_gemini, twi_fetch_htx, twi_fetch_kraken, twi_fetch_kraken_v1, twi_fetch_kucoin,
    twi_fetch_okx;

#endif
