/* exchange.h - one venue, in ccxt's words: load its markets, fetch once over REST, watch as it happens.
 *
 * Usage:    tw_exchange *exchange;
 *           if (tw_exchange_open(&(tw_exchange_config){.id = "binance"}, &exchange) != TW_ERROR_NONE) ...
 *           tw_watch_trades(exchange, "BTC/USDT");
 *           tw_watch_order_book(exchange, "BTC/USDT", 10);
 *           tw_update update;
 *           while (tw_exchange_wait(exchange, TW_WAIT_FOREVER, &update) == TW_ERROR_NONE)
 *               if (update.kind == TW_UPDATE_TRADES)
 *                   ... update.symbol, update.trades[0 .. update.count) ...
 *           tw_exchange_close(exchange);
 * Fetching: one request, one answer, in the calling thread, at most timeout_ns, within the venue's request budget: a
 *           call waits for its turn.
 * Watching: the venue's stream is read by a thread of the exchange's own, checked (sequences, checksums, silence),
 *           reconnected and repaired without help. tw_exchange_wait() gives, symbol by symbol, what came since the last
 *           time: all new trades, and of books, tickers and candles the newest state. A book that is not right is not
 *           given; TW_UPDATE_STATUS says so, and when it is right again.
 * Symbols:  unified ("BTC/USDT", "BTC/USDT:USDT") or the venue's ids. Markets are loaded by the first call that
 *           needs them.
 * Errors:   ccxt's classes. tw_exchange_error() has the text of the calling thread's last failure, with a remedy.
 * Thread:   fetch_*, load_markets, market and the read-only calls: any thread, several at a time. watch_*, unwatch_*,
 *           wait and dispatch: one thread at a time, usually the strategy's. close: when no other call is under way.
 * Memory:   what an update points to lives until the next wait() or dispatch() turn; markets until close.
 * Non-goals: orders and accounts. */
#ifndef TICKWIRE_EXCHANGE_H
#define TICKWIRE_EXCHANGE_H

#include "tickwire/feed.h"
#include "tickwire/unified.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct tw_exchange tw_exchange;

#define TW_WAIT_FOREVER INT64_MAX

/* What is 0 or NULL is as usual. Texts are copied. */
typedef struct tw_exchange_config {
    const char *id;         /* "binance", "kraken", ...: tw_feed_at() lists them */
    int64_t timeout_ns;     /* of a fetch, waiting for its turn included; 0: 10 s */
    const char *rest_url;   /* scheme, host and port instead of the venue's */
    const char *stream_url; /* likewise, of the stream */
    int sandbox;            /* 1: the venue's test system; NotSupported if it has none */
    const char *user_agent; /* of REST requests; NULL: "tickwire" */
    const char *proxy;      /* http://[user:password@]host:port, "none", or NULL: from the environment */
    const char *ca_file;    /* authorities in PEM instead of the system's */
    int no_rate_limit;      /* 1: requests are not spaced (for a server of your own) */
    uint32_t symbols_max;   /* that may be watched; 0: 64 */
    uint32_t trades_limit;  /* trades that are kept for one symbol until they are asked for; 0: 1000 */
    uint32_t ohlcv_limit;   /* candles that are kept; 0: 1000 */
    uint32_t book_depth;    /* levels to subscribe where the venue offers a choice; 0: its usual one */
    uint32_t ring_slots;    /* between stream and reader, power of two, more than the levels of the books; 0: 65536 */
    uint64_t reserved[8];   /* 0, for later versions */
} tw_exchange_config;

/* NotSupported: no such venue, or no sandbox; BadRequest: the configuration; OperationFailed: memory, threads. */
TW_API TW_MUST_USE tw_error_class tw_exchange_open(const tw_exchange_config *config, tw_exchange **exchange);
/* Ends streams and threads. NULL is nothing. */
TW_API void tw_exchange_close(tw_exchange *exchange);

/* Why the calling thread's last call that gave an error did so. */
typedef struct tw_error {
    tw_error_class error;
    int http_status;       /* of a fetch; 0: no answer */
    int32_t retry_after_s; /* the venue asked to wait so long; 0: it did not say */
    char text[512];        /* "binance fetch_ticker BTC/USDTX: no such symbol; ..." */
} tw_error;
/* Never NULL; of the calling thread, until its next call that gives an error. */
TW_API const tw_error *tw_exchange_error(void);

/* ---- what it is ---- */

typedef struct tw_exchange_description {
    const char *id;
    uint32_t has; /* bits of tw_has; candles are watched (made from trades) wherever trades are */
    const char *rest_url, *stream_url;
    int64_t rate_limit_ns; /* between two requests */
    uint64_t reserved[4];
} tw_exchange_description;
/* Fills *out; its texts live until close. Any thread. */
TW_API void tw_exchange_describe(const tw_exchange *exchange, tw_exchange_description *out);
/* Timeframes of fetch_ohlcv by number: "1m" ...; NULL: no more. *watchable: watch_ohlcv has it too; may be NULL. */
TW_API const char *tw_exchange_timeframe(const tw_exchange *exchange, uint32_t index, int *watchable);

/* ---- markets ---- */

/* Asks the venue for its markets; nothing if they are loaded already and reload is 0. */
TW_API tw_error_class tw_exchange_load_markets(tw_exchange *exchange, int reload);
/* Loads them if need be. NULL: no such symbol (BadSymbol), or they could not be loaded; see tw_exchange_error(). */
TW_API const tw_market *tw_exchange_market(tw_exchange *exchange, const char *symbol);
/* Of the loaded ones; NULL: no such index. */
TW_API const tw_market *tw_exchange_market_at(const tw_exchange *exchange, uint32_t index);
/* How many are loaded; 0 before that. */
TW_API uint32_t tw_exchange_market_count(const tw_exchange *exchange);

/* ---- REST ---- */

/* Calls fn for every market of the venue's list as it is now; what is loaded stays as it was. */
TW_API tw_error_class tw_fetch_markets(tw_exchange *exchange, tw_market_fn fn, void *owner);
/* One look at the ticker; what the venue does not say is not given. */
TW_API tw_error_class tw_fetch_ticker(tw_exchange *exchange, const char *symbol, tw_ticker *ticker);
/* book->bids, asks and level_count_max (of both) are the caller's; as many levels are asked for. */
TW_API tw_error_class tw_fetch_order_book(tw_exchange *exchange, const char *symbol, tw_order_book *book);
/* Oldest first, at most trade_count_max: from since_ns on, or with 0 the latest. */
TW_API tw_error_class tw_fetch_trades(tw_exchange *exchange, const char *symbol, int64_t since_ns, tw_trade *trades,
                                      uint32_t trade_count_max, uint32_t *trade_count);
/* Candles of a timeframe of tw_exchange_timeframe(), oldest first: from since_ns on, or with 0 the latest. */
TW_API tw_error_class tw_fetch_ohlcv(tw_exchange *exchange, const char *symbol, const char *timeframe, int64_t since_ns,
                                     tw_ohlcv *candles, uint32_t candle_count_max, uint32_t *candle_count);

/* ---- streams ---- */

/* Start: they return as soon as the subscription is owed to the venue. BadSymbol, NotSupported; UnsubscribeError: the
 * symbol's last unwatch is not through yet. Watching twice is watching once. */
TW_API tw_error_class tw_watch_trades(tw_exchange *exchange, const char *symbol);
/* limit: levels of each side to be given; 0: 100. The whole subscribed depth is kept and checked all the same. */
TW_API tw_error_class tw_watch_order_book(tw_exchange *exchange, const char *symbol, uint32_t limit);
/* Best bid and ask with amounts, and the last price; from the book where the venue has no such stream (its `has` has no
 * TW_HAS_WATCH_TICKER then). */
TW_API tw_error_class tw_watch_ticker(tw_exchange *exchange, const char *symbol);
/* "1s" "1m" "5m" "15m" "1h" "1d", made from the trades that are watched, exact. */
TW_API tw_error_class tw_watch_ohlcv(tw_exchange *exchange, const char *symbol, const char *timeframe);

/* End; what came before and was not asked for is dropped. BadSymbol: it is not watched. */
TW_API tw_error_class tw_unwatch_trades(tw_exchange *exchange, const char *symbol);
/* As tw_unwatch_trades(). */
TW_API tw_error_class tw_unwatch_order_book(tw_exchange *exchange, const char *symbol);
/* As tw_unwatch_trades(). */
TW_API tw_error_class tw_unwatch_ticker(tw_exchange *exchange, const char *symbol);
/* As tw_unwatch_trades(), one timeframe; others of the symbol go on. */
TW_API tw_error_class tw_unwatch_ohlcv(tw_exchange *exchange, const char *symbol, const char *timeframe);

typedef enum tw_update_kind {
    TW_UPDATE_NONE = 0,
    TW_UPDATE_TRADES = 1,
    TW_UPDATE_ORDER_BOOK = 2,
    TW_UPDATE_TICKER = 3,
    TW_UPDATE_OHLCV = 4,
    TW_UPDATE_STATUS = 5
} tw_update_kind;

typedef struct tw_update {
    tw_update_kind kind;
    const char *symbol;
    const tw_market *market;
    int64_t recv_ns; /* when the newest of its bytes came */
    /* TRADES: new ones, oldest first; OHLCV: candles that changed, oldest first, the running one last. */
    uint32_t count;
    uint64_t lost; /* TRADES, OHLCV: trades that were not kept, because wait() was not called in time */
    const tw_trade *trades;
    const tw_order_book *order_book;
    const tw_ticker *ticker;
    const tw_ohlcv *candles;
    const char *timeframe;    /* OHLCV */
    int64_t complete_from_ns; /* OHLCV: candles that open at or after it hold every trade; others began before */
    /* STATUS: the book state of the symbol has changed. */
    uint16_t state;       /* tw_book_state */
    uint16_t reason;      /* tw_reason */
    tw_error_class error; /* NONE when it is all right again; NetworkError, InvalidNonce, ChecksumError, ... */
    uint64_t reserved[4];
} tw_update;

/* The next update. RequestTimeout: none within timeout_ns (0: only what is there already); the text says so if the
 * stream is not up. A stream that cannot be reached is also told by a STATUS of each symbol. ExchangeError: nothing is
 * watched. */
TW_API TW_MUST_USE tw_error_class tw_exchange_wait(tw_exchange *exchange, int64_t timeout_ns, tw_update *update);

typedef void (*tw_update_fn)(void *owner, const tw_update *update);
/* The same with a callback, called in this thread for everything that is there; waits for the first at most timeout_ns.
 * Returns how many there were. The callback may watch and unwatch, not wait. */
TW_API uint32_t tw_exchange_dispatch(tw_exchange *exchange, int64_t timeout_ns, tw_update_fn fn, void *owner);

/* The stream's own figures. */
typedef struct tw_exchange_stats {
    uint32_t connections, connections_up;
    uint64_t messages, reconnects, dial_failures, malformed, gaps, checksum_failures;
    uint64_t requests, requests_failed; /* REST, fetches and the stream's own */
    uint64_t overruns;    /* times that the reader was too slow for the ring and books were fetched anew */
    char last_error[384]; /* of the stream: why it is not up; "" */
    uint64_t reserved[8];
} tw_exchange_stats;
/* Figures since open. Thread: as watch_*. */
TW_API void tw_exchange_stats_get(tw_exchange *exchange, tw_exchange_stats *out);

#ifdef __cplusplus
}
#endif
#endif
