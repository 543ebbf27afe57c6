/* exchange_watch.c - who watches what: from ccxt's calls to channels of the stream and memory on the reader's side; see
 * include/tickwire/exchange.h. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/exchange/exchange_internal.h"

enum { BOOK_LIMIT_DEFAULT = 100, BOOK_LEVELS = 16384, WHAT_MAX = 96 };
#define CANDLE_DELAY_NS TWI_EXCHANGE_NS_PER_S
#define CHANNEL(name)   (1u << TW_CHANNEL_##name)

void twi_watched_fini(twi_watched *watched)
{
    free(watched->trades);
    free(watched->book_memory);
    free(watched->view.bids);
    free(watched->view.asks);
    free(watched->candles);
}

twi_watched *twi_exchange_watched(tw_exchange *exchange, const char *symbol, size_t len)
{
    for (uint32_t i = 0; i < exchange->watched_count; i++) {
        twi_watched *watched = &exchange->watched[i];
        if (strlen(watched->symbol) == len && memcmp(watched->symbol, symbol, len) == 0)
            return watched;
    }
    return NULL;
}

static bool has(const tw_exchange *exchange, tw_has bit)
{
    return (exchange->ops->has & (uint32_t)bit) != 0;
}

/* The channels that a set of watches needs on this venue; 0 for one that it cannot serve. */
static uint32_t channels_of(const tw_exchange *exchange, uint32_t watches)
{
    uint32_t channels = 0;
    bool trades = has(exchange, TW_HAS_WATCH_TRADES), book = has(exchange, TW_HAS_WATCH_ORDER_BOOK);
    if ((watches & (TWI_WATCH_TRADES | TWI_WATCH_OHLCV | TWI_WATCH_TICKER)) != 0 && trades)
        channels |= CHANNEL(TRADE);
    if ((watches & TWI_WATCH_BOOK) != 0 && book)
        channels |= CHANNEL(BOOK);
    if ((watches & TWI_WATCH_TICKER) != 0)
        channels |= has(exchange, TW_HAS_WATCH_TICKER) ? CHANNEL(QUOTE) : book ? CHANNEL(BOOK) : 0;
    return channels;
}

/* ---- memory ---- */

static bool take_levels(twi_watched *watched, uint32_t limit)
{
    tw_book_level *bids = realloc(watched->view.bids, limit * sizeof(*bids));
    if (bids != NULL)
        watched->view.bids = bids;
    tw_book_level *asks = realloc(watched->view.asks, limit * sizeof(*asks));
    if (asks != NULL)
        watched->view.asks = asks;
    if (bids == NULL || asks == NULL)
        return false;
    watched->book_limit = limit;
    watched->view.level_count_max = limit;
    return true;
}

static bool take_book(twi_watched *watched)
{
    if (watched->book_memory != NULL)
        return true;
    watched->book_memory = malloc(twi_book_size(BOOK_LEVELS));
    if (watched->book_memory == NULL)
        return false;
    twi_book_init(&watched->book, watched->book_memory, BOOK_LEVELS);
    return true;
}

static bool take_candles(tw_exchange *exchange, twi_watched *watched)
{
    uint32_t history = exchange->config.ohlcv_limit;
    if (exchange->candles_out == NULL)
        exchange->candles_out = malloc((history + 1) * sizeof(*exchange->candles_out));
    if (exchange->candles_raw == NULL)
        exchange->candles_raw = malloc((history + 1) * sizeof(*exchange->candles_raw));
    if (watched->candles == NULL) {
        void *memory = malloc(twi_candle_series_bytes(history));
        if (memory != NULL)
            watched->candles = twi_candle_series_init(memory, 0, history, CANDLE_DELAY_NS);
    }
    return watched->candles != NULL && exchange->candles_out != NULL && exchange->candles_raw != NULL;
}

static bool take_memory(tw_exchange *exchange, twi_watched *watched, uint32_t watch, uint32_t channels, uint32_t limit)
{
    if (watch == TWI_WATCH_TRADES && watched->trades == NULL) {
        watched->trades = calloc(exchange->config.trades_limit, sizeof(*watched->trades));
        if (watched->trades == NULL)
            return false;
    }
    if ((channels & CHANNEL(BOOK)) != 0 && !take_book(watched))
        return false;
    if (watch == TWI_WATCH_BOOK && !take_levels(watched, limit))
        return false;
    return watch != TWI_WATCH_OHLCV || take_candles(exchange, watched);
}

/* ---- watching ---- */

static tw_error_class place_for(tw_exchange *exchange, const tw_market *market, const char *what, twi_watched **out)
{
    *out = twi_exchange_watched(exchange, market->symbol, strlen(market->symbol));
    if (*out != NULL)
        return TW_ERROR_NONE;
    if (exchange->watched_count == exchange->config.symbols_max)
        return twi_exchange_fail(exchange, TW_ERROR_OPERATION_REJECTED, what,
                                 "%u symbols are or were watched already; open with a greater symbols_max",
                                 exchange->watched_count);
    *out = &exchange->watched[exchange->watched_count++];
    memcpy((*out)->symbol, market->symbol, sizeof((*out)->symbol));
    (*out)->market = market;
    memcpy((*out)->view.symbol, market->symbol, sizeof((*out)->view.symbol));
    memcpy((*out)->ticker.symbol, market->symbol, sizeof((*out)->ticker.symbol));
    return TW_ERROR_NONE;
}

static tw_error_class watch(tw_exchange *exchange, const char *symbol, uint32_t kind, uint32_t limit, const char *name,
                            twi_watched **out)
{
    char what[WHAT_MAX];
    const tw_market *market;
    snprintf(what, sizeof(what), "%s %s", name, symbol != NULL ? symbol : "");
    if (channels_of(exchange, kind) == 0)
        return twi_exchange_fail(exchange, TW_ERROR_NOT_SUPPORTED, what, "the venue's stream does not offer this");
    tw_error_class error = twi_exchange_find(exchange, symbol, what, &market);
    if (error == TW_ERROR_NONE)
        error = place_for(exchange, market, what, out);
    if (error != TW_ERROR_NONE)
        return error;
    twi_watched *watched = *out;
    uint32_t channels = channels_of(exchange, watched->watches | kind), more = channels & ~watched->channels;
    if (!take_memory(exchange, watched, kind, channels, limit))
        return twi_exchange_fail(exchange, TW_ERROR_OPERATION_FAILED, what, "no memory");
    if (more != 0)
        error = twi_stream_command(exchange, TWI_COMMAND_WATCH, watched, more, what);
    if (error != TW_ERROR_NONE)
        return error;
    watched->channels = channels;
    watched->watches |= kind;
    if (kind == TWI_WATCH_BOOK && watched->book_begun)
        twi_exchange_mark(exchange, watched, TWI_WATCH_BOOK);
    return TW_ERROR_NONE;
}

tw_error_class tw_watch_trades(tw_exchange *exchange, const char *symbol)
{
    twi_watched *watched;
    return watch(exchange, symbol, TWI_WATCH_TRADES, 0, "watch_trades", &watched);
}

tw_error_class tw_watch_order_book(tw_exchange *exchange, const char *symbol, uint32_t limit)
{
    twi_watched *watched;
    limit = limit == 0 ? BOOK_LIMIT_DEFAULT : limit < BOOK_LEVELS ? limit : BOOK_LEVELS;
    return watch(exchange, symbol, TWI_WATCH_BOOK, limit, "watch_order_book", &watched);
}

tw_error_class tw_watch_ticker(tw_exchange *exchange, const char *symbol)
{
    twi_watched *watched;
    return watch(exchange, symbol, TWI_WATCH_TICKER, 0, "watch_ticker", &watched);
}

static tw_error_class find_interval(const tw_exchange *exchange, const char *name, const char *timeframe, int *index)
{
    *index = timeframe != NULL ? twi_candle_interval_find(timeframe, strlen(timeframe)) : -1;
    if (*index >= 0)
        return TW_ERROR_NONE;
    return twi_exchange_fail(exchange, TW_ERROR_NOT_SUPPORTED, name,
                             "candles are made of trades in 1s 1m 5m 15m 1h 1d, not \"%s\"; fetch_ohlcv has others",
                             timeframe != NULL ? timeframe : "");
}

tw_error_class tw_watch_ohlcv(tw_exchange *exchange, const char *symbol, const char *timeframe)
{
    twi_watched *watched;
    int interval;
    tw_error_class error = find_interval(exchange, "watch_ohlcv", timeframe, &interval);
    if (error == TW_ERROR_NONE)
        error = watch(exchange, symbol, TWI_WATCH_OHLCV, 0, "watch_ohlcv", &watched);
    if (error == TW_ERROR_NONE)
        watched->intervals |= 1u << interval;
    return error;
}

/* ---- the end of it ---- */

static tw_error_class find_watched(tw_exchange *exchange, const char *symbol, uint32_t kind, const char *what,
                                   twi_watched **out)
{
    const tw_market *market;
    tw_error_class error = twi_exchange_find(exchange, symbol, what, &market);
    if (error != TW_ERROR_NONE)
        return error;
    *out = twi_exchange_watched(exchange, market->symbol, strlen(market->symbol));
    if (*out != NULL && ((*out)->watches & kind) != 0)
        return TW_ERROR_NONE;
    return twi_exchange_fail(exchange, TW_ERROR_BAD_SYMBOL, what, "it is not watched");
}

static tw_error_class unwatch(tw_exchange *exchange, twi_watched *watched, uint32_t kind, const char *what)
{
    uint32_t channels = channels_of(exchange, watched->watches & ~kind), less = watched->channels & ~channels;
    tw_error_class error = TW_ERROR_NONE;
    if (less != 0)
        error = twi_stream_command(exchange, TWI_COMMAND_UNWATCH, watched, less, what);
    if (error != TW_ERROR_NONE)
        return twi_exchange_fail(exchange, TW_ERROR_UNSUBSCRIBE_ERROR, what, "the stream refused (%s)",
                                 tw_error_name(error));
    watched->watches &= ~kind;
    watched->channels = channels;
    watched->dirty &= ~kind;
    twi_watched_reset_channel(watched, kind);
    if ((channels & CHANNEL(BOOK)) == 0)
        twi_watched_reset_channel(watched, TWI_WATCH_BOOK);
    return TW_ERROR_NONE;
}

static tw_error_class unwatch_named(tw_exchange *exchange, const char *symbol, uint32_t kind, const char *name)
{
    char what[WHAT_MAX];
    twi_watched *watched;
    snprintf(what, sizeof(what), "%s %s", name, symbol != NULL ? symbol : "");
    tw_error_class error = find_watched(exchange, symbol, kind, what, &watched);
    return error != TW_ERROR_NONE ? error : unwatch(exchange, watched, kind, what);
}

tw_error_class tw_unwatch_trades(tw_exchange *exchange, const char *symbol)
{
    return unwatch_named(exchange, symbol, TWI_WATCH_TRADES, "unwatch_trades");
}

tw_error_class tw_unwatch_order_book(tw_exchange *exchange, const char *symbol)
{
    return unwatch_named(exchange, symbol, TWI_WATCH_BOOK, "unwatch_order_book");
}

tw_error_class tw_unwatch_ticker(tw_exchange *exchange, const char *symbol)
{
    return unwatch_named(exchange, symbol, TWI_WATCH_TICKER, "unwatch_ticker");
}

tw_error_class tw_unwatch_ohlcv(tw_exchange *exchange, const char *symbol, const char *timeframe)
{
    twi_watched *watched;
    int interval;
    tw_error_class error = find_interval(exchange, "unwatch_ohlcv", timeframe, &interval);
    if (error == TW_ERROR_NONE)
        error = find_watched(exchange, symbol, TWI_WATCH_OHLCV, "unwatch_ohlcv", &watched);
    if (error != TW_ERROR_NONE)
        return error;
    if ((watched->intervals & 1u << interval) == 0)
        return twi_exchange_fail(exchange, TW_ERROR_BAD_SYMBOL, "unwatch_ohlcv", "%s of %s is not watched", timeframe,
                                 symbol);
    watched->intervals &= ~(1u << interval);
    watched->intervals_dirty &= watched->intervals;
    return watched->intervals != 0 ? TW_ERROR_NONE : unwatch(exchange, watched, TWI_WATCH_OHLCV, "unwatch_ohlcv");
}
