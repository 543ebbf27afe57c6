/* exchange_internal.h - what the files behind include/tickwire/exchange.h share. Nobody else includes it.
 *
 * Parts:    exchange.c life, errors, description · exchange_markets.c the market table · exchange_fetch.c REST calls ·
 *           exchange_stream.c the stream's thread and what is asked of it · exchange_watch.c who watches what ·
 *           exchange_update.c ring to updates.
 * Locks:    `lock` guards the market table, the request budget and the REST worker's answers; `stream.lock` the
 *           hand-over of commands. Neither is ever taken while the other is held. The reader's side takes none. */
#ifndef TWI_EXCHANGE_INTERNAL_H
#define TWI_EXCHANGE_INTERNAL_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "engine/base/compiler.h"
#include "engine/book/book.h"
#include "engine/candle/candle.h"
#include "engine/connect/driver.h"
#include "engine/connect/rest.h"
#include "feed/fetch.h"
#include "tickwire/exchange.h"
#include "tickwire/ring.h"

#define TWI_EXCHANGE_NS_PER_MS INT64_C(1000000)
#define TWI_EXCHANGE_NS_PER_S  INT64_C(1000000000)

/* Waits for `changed` (its mutex is held) at most duration_ns; may return early. */
void twi_exchange_wait_on(pthread_cond_t *changed, pthread_mutex_t *lock, int64_t duration_ns);

/* ---- markets ---- */

typedef struct twi_market_table {
    struct twi_market_table *older; /* replaced by a reload; kept until close, because callers hold markets of it */
    tw_market *markets;
    uint32_t count, capacity;
    uint32_t *by_symbol, *by_id; /* open hashes: index + 1 */
    uint32_t mask;
    bool cut; /* no memory for all of them */
} twi_market_table;

/* ---- watching ---- */

enum {
    TWI_WATCH_TRADES = 1 << TW_UPDATE_TRADES,
    TWI_WATCH_BOOK = 1 << TW_UPDATE_ORDER_BOOK,
    TWI_WATCH_TICKER = 1 << TW_UPDATE_TICKER,
    TWI_WATCH_OHLCV = 1 << TW_UPDATE_OHLCV,
    TWI_DIRTY_STATUS = 1 << TW_UPDATE_STATUS,
    TWI_READ_BATCH = 256
};

/* One symbol on the reader's side. */
typedef struct twi_watched {
    char symbol[TW_SYMBOL_MAX + 1];
    const tw_market *market;
    uint32_t watches;  /* TWI_WATCH_* */
    uint32_t channels; /* bits that are subscribed for them */
    uint32_t dirty;    /* TWI_WATCH_* with news, TWI_DIRTY_STATUS */
    bool queued;
    int64_t recv_ns;

    tw_trade *trades; /* trades_limit places */
    uint32_t trade_count;
    uint64_t trades_lost;

    uint32_t book_limit;
    twi_book book;
    void *book_memory;
    bool book_begun, in_group; /* a snapshot has come; the group under way counts */
    int64_t book_ns;
    uint64_t book_seq;
    tw_order_book view;
    uint32_t view_max;
    uint16_t state, reason; /* tw_book_state, tw_reason of the last status */

    tw_ticker ticker;

    twi_candle_series *candles;
    uint32_t intervals; /* watched, by index of twi_candle_interval_s() */
    uint32_t intervals_dirty;
    int64_t changed_ns[TWI_CANDLE_INTERVALS]; /* candles from here on have news */
    int64_t unbroken_ns;                      /* trades are whole from here on; 0: from the next one on */
    uint64_t candles_lost;
} twi_watched;

/* ---- the stream's thread ---- */

typedef enum twi_command_kind {
    TWI_COMMAND_WATCH,
    TWI_COMMAND_UNWATCH,
    TWI_COMMAND_RESEND,
    TWI_COMMAND_STATS, /* fills stream.stats, gaps and checksum_failures */
    TWI_COMMAND_STOP
} twi_command_kind;

typedef struct twi_command {
    struct twi_command *next;
    twi_command_kind kind;
    const char *symbol;
    uint32_t channels;
    tw_status status;
    bool done;
} twi_command;

typedef struct twi_stream_thread {
    const tw_feed_ops *ops;
    bool started;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    twi_command *first, *last; /* guarded by lock, as is what follows */
    bool ready;
    tw_status open_status;
    char error[512];
    twi_loop *loop; /* for wake() */
    twi_driver_stats stats;
    uint64_t gaps, checksum_failures;
    _Atomic bool asked; /* there are commands: the thread looks at this alone, and takes the lock only then */
    tw_ring *ring;
    twi_driver *driver; /* the thread's own, once it runs */
} twi_stream_thread;

/* ---- all of it ---- */

struct tw_exchange {
    const tw_feed_ops *ops;
    const twi_fetch *fetch;
    tw_exchange_config config; /* texts are owned */
    const char *rest_url;      /* in use: the configuration's, the sandbox's, the venue's */

    pthread_mutex_t lock;
    pthread_cond_t answered;
    _Atomic(twi_market_table *) table; /* newest; NULL: not loaded */
    pthread_mutex_t loading;           /* one loads, others wait for it */
    twi_rest *rest;
    int64_t next_request_ns, paused_until_ns; /* monotonic */
    _Atomic uint64_t requests, requests_failed;

    twi_stream_thread stream;
    tw_ring_reader *reader;
    twi_watched *watched;
    uint32_t watched_count;
    uint32_t *by_instrument; /* watched index + 1; 0: not looked at yet, UINT32_MAX: none of ours */
    uint32_t instrument_max;
    uint32_t *queue; /* of watched with news */
    uint32_t queue_first, queue_count;
    twi_watched *given; /* its trades are the caller's until the next wait */
    tw_ohlcv *candles_out;
    twi_candle *candles_raw;
    bool told_down; /* no connection stands, and the symbols were said to be stale */
    char down_text[384];
    int64_t looked_ns;
    uint64_t overruns, lost;
};

/* exchange.c: remembers the error for the thread and returns it. what: "fetch_ticker BTC/USDT". */
tw_error_class twi_exchange_fail(const tw_exchange *exchange, tw_error_class error, const char *what,
                                 const char *format, ...) TWI_PRINTF(4, 5);
void twi_exchange_fail_http(int status, int32_t retry_after_s);
tw_error_class twi_exchange_fail_status(const tw_exchange *exchange, tw_status status, const char *what,
                                        const char *text);

/* exchange_markets.c: loads the table if need be. */
tw_error_class twi_exchange_find(tw_exchange *exchange, const char *symbol, const char *what, const tw_market **market);
void twi_market_table_free(twi_market_table *table);

/* exchange_fetch.c */
typedef struct twi_answer {
    int status;
    int32_t retry_after_s;
    uint8_t *body; /* the caller's, to be freed */
    size_t body_len;
    char error[256]; /* of the transport */
} twi_answer;
/* One request within the budget, judged: the class of what came. The body is there for TW_ERROR_NONE only. */
tw_error_class twi_exchange_get(tw_exchange *exchange, const char *url, int post, const char *what, twi_answer *answer);

/* exchange_stream.c */
/* watched: NULL for STATS. */
tw_error_class twi_stream_command(tw_exchange *exchange, twi_command_kind kind, const twi_watched *watched,
                                  uint32_t channels, const char *what);
void twi_stream_stop(tw_exchange *exchange);

/* exchange_watch.c */
void twi_watched_fini(twi_watched *watched);
twi_watched *twi_exchange_watched(tw_exchange *exchange, const char *symbol, size_t len);

/* exchange_update.c */
void twi_watched_reset_channel(twi_watched *watched, uint32_t watch);
void twi_exchange_mark(tw_exchange *exchange, twi_watched *watched, uint32_t news);

#endif
