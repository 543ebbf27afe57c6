/* exchange_update.c - events of the ring into books, tickers, candles and lists of trades, and those into updates; see
 * include/tickwire/exchange.h.
 *
 * Turn:     everything that is in the ring is taken in, symbols with news are queued, and updates are given from the
 *           queue one by one. So what comes between two calls is merged: trades are collected, the rest is its newest
 *           state.
 * Overrun:  if the reader was too slow and the ring overtook it, books are not right any more: they are taken out of
 *           use, said to be stale, and sent anew from the adapter's own.
 * Thread:   the caller's. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/clock.h"
#include "engine/base/trade_id.h"
#include "engine/exchange/exchange_internal.h"

#define LOOK_NS TWI_EXCHANGE_NS_PER_S
enum { PUMP_EVENTS_MAX = 1 << 16, OVERRUNS_MAX = 4 }; /* in one turn */

void twi_exchange_mark(tw_exchange *exchange, twi_watched *watched, uint32_t news)
{
    watched->dirty |= news;
    if (watched->queued || watched->dirty == 0)
        return;
    uint32_t at = (exchange->queue_first + exchange->queue_count++) % exchange->config.symbols_max;
    exchange->queue[at] = (uint32_t)(watched - exchange->watched);
    watched->queued = true;
}

void twi_watched_reset_channel(twi_watched *watched, uint32_t watch)
{
    if ((watch & TWI_WATCH_TRADES) != 0) {
        watched->trade_count = 0;
        watched->trades_lost = 0;
    }
    if ((watch & TWI_WATCH_BOOK) != 0 && (watched->channels & 1u << TW_CHANNEL_BOOK) == 0) {
        watched->book_begun = watched->in_group = false;
        if (watched->book_memory != NULL)
            twi_book_clear(&watched->book);
    }
    if ((watch & TWI_WATCH_OHLCV) != 0) {
        free(watched->candles);
        watched->candles = NULL;
        watched->intervals = watched->intervals_dirty = 0;
        watched->unbroken_ns = 0;
    }
}

/* ---- one event ---- */

static tw_decimal at_scale(int64_t mantissa, int8_t exponent)
{
    return (tw_decimal){.mantissa = mantissa, .exponent = exponent};
}

static void give_ticker(tw_ticker *ticker, tw_ticker_field field, tw_decimal value, bool known)
{
    *twi_ticker_member(ticker, field) = known ? value : (tw_decimal){0};
    ticker->given = known ? ticker->given | 1u << field : ticker->given & ~(1u << field);
}

static void keep_trade(tw_exchange *exchange, twi_watched *watched, const tw_event *event)
{
    char id[TWI_TRADE_ID_BYTES_MAX];
    if (watched->trade_count == exchange->config.trades_limit) {
        watched->trades_lost++;
        return;
    }
    tw_trade *trade = &watched->trades[watched->trade_count++];
    *trade = (tw_trade){.timestamp_ns = event->venue_ns,
                        .side = (event->flags & TW_FLAG_SELL) != 0 ? TW_SIDE_SELL : TW_SIDE_BUY,
                        .history = (event->flags & TW_FLAG_HISTORY) != 0,
                        .price = at_scale(event->u.trade.price, event->price_exponent),
                        .amount = at_scale(event->u.trade.amount, event->amount_exponent)};
    trade->cost = twi_fetch_cost(exchange->fetch, watched->market, trade->price, trade->amount);
    size_t len =
        twi_trade_id_format((tw_id_kind)((event->flags & TW_ID_KIND_MASK) >> TW_ID_KIND_SHIFT), event->u.trade.id, id);
    memcpy(trade->id, id, len < TW_TRADE_ID_MAX ? len : TW_TRADE_ID_MAX);
}

static void no_sink(void *owner, uint32_t instrument, uint32_t interval, const twi_candle *candle)
{
    (void)owner;
    (void)instrument;
    (void)interval;
    (void)candle;
}

static void count_trade(twi_watched *watched, const tw_event *event)
{
    static const twi_candle_sink sink = {.tell = no_sink};
    int64_t time_ns = event->venue_ns != 0 ? event->venue_ns : event->recv_ns;
    twi_candle_outcome outcome = twi_candle_trade(watched->candles, event, &sink);
    if (outcome == TWI_CANDLE_REPEATED || outcome == TWI_CANDLE_BAD_TIME)
        return;
    watched->candles_lost += outcome == TWI_CANDLE_TOO_LATE || outcome == TWI_CANDLE_TOO_BIG;
    if (watched->unbroken_ns == 0)
        watched->unbroken_ns = time_ns;
    for (uint32_t i = 0; i < TWI_CANDLE_INTERVALS; i++) {
        int64_t length_ns = twi_candle_interval_s(i) * TWI_EXCHANGE_NS_PER_S;
        int64_t open_ns = time_ns - time_ns % length_ns;
        if ((watched->intervals_dirty & 1u << i) == 0 || open_ns < watched->changed_ns[i])
            watched->changed_ns[i] = open_ns;
        watched->intervals_dirty |= watched->intervals & 1u << i;
    }
}

static void set_state(tw_exchange *exchange, twi_watched *watched, uint16_t state, uint16_t reason)
{
    if (watched->state == state && (watched->reason == reason || state == TW_STATE_OK))
        return;
    watched->state = state;
    watched->reason = reason;
    twi_exchange_mark(exchange, watched, TWI_DIRTY_STATUS);
}

/* Without a book nothing but data says that a symbol is well again. */
static void note_life(tw_exchange *exchange, twi_watched *watched)
{
    if (watched->state == TW_STATE_STALE && (watched->channels & 1u << TW_CHANNEL_BOOK) == 0)
        set_state(exchange, watched, TW_STATE_OK, TW_REASON_NONE);
}

static void on_trade(tw_exchange *exchange, twi_watched *watched, const tw_event *event)
{
    uint32_t news = 0;
    note_life(exchange, watched);
    if ((watched->watches & TWI_WATCH_TRADES) != 0) {
        keep_trade(exchange, watched, event);
        news |= TWI_WATCH_TRADES;
    }
    if ((watched->watches & TWI_WATCH_OHLCV) != 0) {
        count_trade(watched, event);
        news |= watched->intervals_dirty != 0 ? TWI_WATCH_OHLCV : 0;
    }
    if ((watched->watches & TWI_WATCH_TICKER) != 0 && event->venue_ns >= watched->ticker.timestamp_ns) {
        tw_decimal price = at_scale(event->u.trade.price, event->price_exponent);
        give_ticker(&watched->ticker, TW_TICKER_LAST, price, true);
        give_ticker(&watched->ticker, TW_TICKER_CLOSE, price, true);
        watched->ticker.timestamp_ns = event->venue_ns;
        news |= TWI_WATCH_TICKER;
    }
    twi_exchange_mark(exchange, watched, news);
}

static void take_best(twi_watched *watched, tw_decimal bid, tw_decimal bid_amount, tw_decimal ask,
                      tw_decimal ask_amount, int64_t venue_ns)
{
    tw_ticker *ticker = &watched->ticker;
    give_ticker(ticker, TW_TICKER_BID, bid, bid.mantissa != 0);
    give_ticker(ticker, TW_TICKER_BID_VOLUME, bid_amount, bid.mantissa != 0 && bid_amount.mantissa != 0);
    give_ticker(ticker, TW_TICKER_ASK, ask, ask.mantissa != 0);
    give_ticker(ticker, TW_TICKER_ASK_VOLUME, ask_amount, ask.mantissa != 0 && ask_amount.mantissa != 0);
    if (venue_ns > ticker->timestamp_ns)
        ticker->timestamp_ns = venue_ns;
}

static void on_quote(tw_exchange *exchange, twi_watched *watched, const tw_event *event)
{
    note_life(exchange, watched);
    if ((watched->watches & TWI_WATCH_TICKER) == 0)
        return;
    take_best(watched, at_scale(event->u.quote.bid, event->price_exponent),
              at_scale(event->u.quote.bid_amount, event->amount_exponent),
              at_scale(event->u.quote.ask, event->price_exponent),
              at_scale(event->u.quote.ask_amount, event->amount_exponent), event->venue_ns);
    twi_exchange_mark(exchange, watched, TWI_WATCH_TICKER);
}

/* Best prices from the book, for venues without quotes. */
static void ticker_from_book(tw_exchange *exchange, twi_watched *watched)
{
    twi_level bid = {0}, ask = {0};
    if ((watched->watches & TWI_WATCH_TICKER) == 0 || (exchange->ops->has & TW_HAS_WATCH_TICKER) != 0)
        return;
    twi_book_best(&watched->book, TWI_BID, &bid);
    twi_book_best(&watched->book, TWI_ASK, &ask);
    take_best(watched, bid.price, bid.amount, ask.price, ask.amount, watched->book_ns);
    twi_exchange_mark(exchange, watched, TWI_WATCH_TICKER);
}

static void on_level(tw_exchange *exchange, twi_watched *watched, const tw_event *event)
{
    if ((watched->channels & 1u << TW_CHANNEL_BOOK) == 0 || watched->book_memory == NULL)
        return;
    bool snapshot = event->kind == TW_EVENT_BOOK_CLEAR || (event->flags & TW_FLAG_SNAPSHOT) != 0;
    if ((event->flags & TW_FLAG_FIRST) != 0) {
        watched->in_group = snapshot || watched->book_begun;
        watched->book_begun = watched->book_begun && !snapshot; /* until the snapshot is whole */
    }
    if (!watched->in_group)
        return;
    if (twi_book_apply_event(&watched->book, event) != TW_OK) {
        watched->in_group = watched->book_begun = false;
        set_state(exchange, watched, TW_STATE_GAP, TW_REASON_DEPTH_LIMIT);
        return;
    }
    if ((event->flags & TW_FLAG_LAST) == 0)
        return;
    watched->book_begun = true;
    watched->in_group = false;
    watched->book_ns = event->venue_ns;
    watched->book_seq = event->kind == TW_EVENT_LEVEL ? event->u.level.venue_seq : 0;
    if ((watched->watches & TWI_WATCH_BOOK) != 0)
        twi_exchange_mark(exchange, watched, TWI_WATCH_BOOK);
    ticker_from_book(exchange, watched);
}

static void on_status(tw_exchange *exchange, twi_watched *watched, const tw_event *event)
{
    uint16_t state = event->u.status.state, reason = event->u.status.reason;
    if (state != TW_STATE_OK && (reason == TW_REASON_LINK_DOWN || reason == TW_REASON_SILENCE))
        watched->unbroken_ns = 0;
    if (reason == TW_REASON_LINK_DOWN)
        watched->book_begun = watched->in_group = false;
    if (state == TW_STATE_SYNCING && watched->state == TW_STATE_SYNCING)
        return;
    set_state(exchange, watched, state, reason);
}

/* ---- the ring ---- */

static twi_watched *watched_of(tw_exchange *exchange, uint32_t instrument)
{
    if (instrument >= exchange->instrument_max)
        return NULL;
    uint32_t *known = &exchange->by_instrument[instrument];
    if (*known == 0) {
        const tw_instrument *entry = tw_symbols_get(tw_ring_reader_symbols(exchange->reader), instrument);
        if (entry == NULL)
            return NULL;
        twi_watched *watched = twi_exchange_watched(exchange, entry->symbol, entry->symbol_len);
        *known = watched != NULL ? (uint32_t)(watched - exchange->watched) + 1 : UINT32_MAX;
    }
    return *known != UINT32_MAX ? &exchange->watched[*known - 1] : NULL;
}

static void take_event(tw_exchange *exchange, const tw_event *event)
{
    twi_watched *watched = watched_of(exchange, event->instrument);
    if (watched == NULL)
        return;
    watched->recv_ns = event->recv_ns;
    switch (event->kind) {
    case TW_EVENT_TRADE:
        on_trade(exchange, watched, event);
        break;
    case TW_EVENT_QUOTE:
        on_quote(exchange, watched, event);
        break;
    case TW_EVENT_LEVEL:
    case TW_EVENT_BOOK_CLEAR:
        on_level(exchange, watched, event);
        break;
    case TW_EVENT_STATUS:
        on_status(exchange, watched, event);
        break;
    default:
        break;
    }
}

static void overrun(tw_exchange *exchange, uint64_t lost)
{
    exchange->overruns++;
    exchange->lost += lost;
    for (uint32_t i = 0; i < exchange->watched_count; i++) {
        twi_watched *watched = &exchange->watched[i];
        if (watched->channels == 0)
            continue;
        watched->trades_lost += lost;
        watched->candles_lost += lost;
        watched->unbroken_ns = 0;
        watched->book_begun = watched->in_group = false;
        set_state(exchange, watched, TW_STATE_STALE, TW_REASON_RING_LAPPED);
        twi_stream_command(exchange, TWI_COMMAND_RESEND, watched, watched->channels, "resend");
    }
}

/* What is in the ring now; not without end if it comes faster than it is taken. */
static void pump(tw_exchange *exchange)
{
    tw_event events[TWI_READ_BATCH];
    for (uint32_t taken = 0; taken < PUMP_EVENTS_MAX;) {
        uint64_t lost = 0;
        size_t count = tw_ring_read(exchange->reader, events, TWI_READ_BATCH, &lost);
        if (lost > 0) {
            overrun(exchange, lost);
            taken += PUMP_EVENTS_MAX / OVERRUNS_MAX;
        }
        for (size_t i = 0; i < count; i++)
            take_event(exchange, &events[i]);
        taken += (uint32_t)count;
        if (count == 0 && lost == 0)
            return;
    }
}

/* ---- updates ---- */

static tw_error_class class_of_state(uint16_t state, uint16_t reason)
{
    if (state == TW_STATE_OK || state == TW_STATE_SYNCING)
        return TW_ERROR_NONE;
    switch ((tw_reason)reason) {
    case TW_REASON_CHECKSUM:
        return TW_ERROR_CHECKSUM_ERROR;
    case TW_REASON_SEQUENCE:
        return TW_ERROR_INVALID_NONCE;
    case TW_REASON_VENUE:
        return TW_ERROR_EXCHANGE_NOT_AVAILABLE;
    case TW_REASON_REJECTED:
        return TW_ERROR_EXCHANGE_ERROR;
    case TW_REASON_MALFORMED:
        return TW_ERROR_BAD_RESPONSE;
    case TW_REASON_SILENCE:
        return TW_ERROR_REQUEST_TIMEOUT;
    case TW_REASON_RING_LAPPED:
    case TW_REASON_SLOW_CONSUMER:
        return TW_ERROR_OPERATION_FAILED;
    default:
        return TW_ERROR_NETWORK_ERROR;
    }
}

static uint32_t copy_side(const twi_book *book, twi_side side, tw_book_level *out, uint32_t limit)
{
    uint32_t count = twi_book_count(book, side);
    count = count < limit ? count : limit;
    for (uint32_t i = 0; i < count; i++) {
        twi_level level = twi_book_level(book, side, i);
        out[i] = (tw_book_level){.price = level.price, .amount = level.amount};
    }
    return count;
}

static bool give_book(twi_watched *watched, tw_update *update)
{
    tw_order_book *view = &watched->view;
    if (!watched->book_begun || watched->state != TW_STATE_OK)
        return false;
    view->bid_count = copy_side(&watched->book, TWI_BID, view->bids, watched->book_limit);
    view->ask_count = copy_side(&watched->book, TWI_ASK, view->asks, watched->book_limit);
    view->timestamp_ns = watched->book_ns;
    view->nonce = watched->book_seq;
    update->order_book = view;
    return true;
}

static bool give_trades(tw_exchange *exchange, twi_watched *watched, tw_update *update)
{
    update->trades = watched->trades;
    update->count = watched->trade_count;
    update->lost = watched->trades_lost;
    watched->trades_lost = 0;
    exchange->given = watched;
    return update->count > 0 || update->lost > 0;
}

/* One timeframe; the others stay for the next calls. */
static bool give_candles(tw_exchange *exchange, twi_watched *watched, tw_update *update)
{
    static const char *const names[TWI_CANDLE_INTERVALS] = {"1s", "1m", "5m", "15m", "1h", "1d"};
    if (watched->intervals_dirty == 0)
        return false;
    uint32_t interval = twi_trailing_zeros(watched->intervals_dirty);
    watched->intervals_dirty &= watched->intervals_dirty - 1;
    uint32_t count = twi_candle_copy(watched->candles, interval, watched->changed_ns[interval], 0,
                                     exchange->candles_raw, exchange->config.ohlcv_limit + 1);
    for (uint32_t i = 0; i < count; i++) {
        const twi_candle *candle = &exchange->candles_raw[i];
        exchange->candles_out[i] = (tw_ohlcv){.timestamp_ns = candle->open_ns,
                                              .open = at_scale(candle->open, candle->price_exponent),
                                              .high = at_scale(candle->high, candle->price_exponent),
                                              .low = at_scale(candle->low, candle->price_exponent),
                                              .close = at_scale(candle->close, candle->price_exponent),
                                              .volume = at_scale(candle->volume, candle->amount_exponent)};
    }
    int64_t length_ns = twi_candle_interval_s(interval) * TWI_EXCHANGE_NS_PER_S;
    update->candles = exchange->candles_out;
    update->count = count;
    update->timeframe = names[interval];
    update->complete_from_ns =
        watched->unbroken_ns > 0 ? (watched->unbroken_ns + length_ns - 1) / length_ns * length_ns : INT64_MAX;
    update->lost = watched->candles_lost;
    watched->candles_lost = 0;
    return count > 0;
}

static bool give_status(const twi_watched *watched, tw_update *update)
{
    update->state = watched->state;
    update->reason = watched->reason;
    update->error = class_of_state(watched->state, watched->reason);
    return true;
}

/* One kind of news of the first symbol in the queue. False: it was none after all. */
static bool give(tw_exchange *exchange, twi_watched *watched, uint32_t kind, tw_update *update)
{
    *update = (tw_update){.kind = (tw_update_kind)kind,
                          .symbol = watched->symbol,
                          .market = watched->market,
                          .recv_ns = watched->recv_ns};
    switch (update->kind) {
    case TW_UPDATE_TRADES:
        return give_trades(exchange, watched, update);
    case TW_UPDATE_ORDER_BOOK:
        return give_book(watched, update);
    case TW_UPDATE_TICKER:
        update->ticker = &watched->ticker;
        return true;
    case TW_UPDATE_OHLCV:
        return give_candles(exchange, watched, update);
    case TW_UPDATE_STATUS:
        return give_status(watched, update);
    default:
        return false;
    }
}

static bool next_of_queue(tw_exchange *exchange, tw_update *update)
{
    while (exchange->queue_count > 0) {
        twi_watched *watched = &exchange->watched[exchange->queue[exchange->queue_first]];
        uint32_t dirty = watched->dirty & (watched->watches | TWI_DIRTY_STATUS);
        if (dirty == 0 || watched->watches == 0) {
            watched->dirty = 0;
            watched->queued = false;
            exchange->queue_first = (exchange->queue_first + 1) % exchange->config.symbols_max;
            exchange->queue_count--;
            continue;
        }
        /* A state goes before what it is said of. */
        uint32_t kind = (dirty & TWI_DIRTY_STATUS) != 0 ? (uint32_t)TW_UPDATE_STATUS : twi_trailing_zeros(dirty);
        watched->dirty &= ~(1u << kind);
        bool given = give(exchange, watched, kind, update);
        if (kind == TW_UPDATE_OHLCV && watched->intervals_dirty != 0)
            watched->dirty |= TWI_WATCH_OHLCV;
        if (given)
            return true;
    }
    return false;
}

/* Once a second, while nothing comes: a stream that cannot be reached is told as what it is, once. */
static void look_for_life(tw_exchange *exchange, int64_t now_ns)
{
    if (now_ns - exchange->looked_ns < LOOK_NS)
        return;
    tw_exchange_stats stats;
    tw_exchange_stats_get(exchange, &stats);
    bool down = stats.connections_up == 0 && stats.last_error[0] != 0;
    for (uint32_t i = 0; down && !exchange->told_down && i < exchange->watched_count; i++) {
        if (exchange->watched[i].watches != 0)
            set_state(exchange, &exchange->watched[i], TW_STATE_STALE, TW_REASON_LINK_DOWN);
    }
    exchange->looked_ns = now_ns;
    exchange->told_down = down;
    memcpy(exchange->down_text, stats.last_error, sizeof(exchange->down_text));
}

static bool watches_anything(const tw_exchange *exchange)
{
    for (uint32_t i = 0; i < exchange->watched_count; i++) {
        if (exchange->watched[i].watches != 0)
            return true;
    }
    return false;
}

static tw_error_class nothing_came(const tw_exchange *exchange)
{
    if (exchange->told_down)
        return twi_exchange_fail(exchange, TW_ERROR_REQUEST_TIMEOUT, "wait", "the stream is not up: %s",
                                 exchange->down_text);
    return twi_exchange_fail(exchange, TW_ERROR_REQUEST_TIMEOUT, "wait", "nothing came in time");
}

tw_error_class tw_exchange_wait(tw_exchange *exchange, int64_t timeout_ns, tw_update *update)
{
    *update = (tw_update){.kind = TW_UPDATE_NONE};
    if (exchange->given != NULL)
        exchange->given->trade_count = 0;
    exchange->given = NULL;
    if (!exchange->stream.started || !watches_anything(exchange))
        return twi_exchange_fail(exchange, TW_ERROR_EXCHANGE_ERROR, "wait",
                                 "nothing is watched; call tw_watch_trades() or another first");
    int64_t begun_ns = twi_monotonic_ns(), now_ns = begun_ns, left_ns = timeout_ns;
    for (;;) {
        if (next_of_queue(exchange, update))
            return TW_ERROR_NONE;
        pump(exchange);
        if (next_of_queue(exchange, update))
            return TW_ERROR_NONE;
        look_for_life(exchange, now_ns);
        if (next_of_queue(exchange, update))
            return TW_ERROR_NONE;
        if (timeout_ns != TW_WAIT_FOREVER)
            left_ns = timeout_ns - (now_ns - begun_ns);
        if (left_ns <= 0)
            return nothing_came(exchange);
        if (tw_ring_wait(exchange->reader, left_ns < LOOK_NS ? left_ns : LOOK_NS) == TW_CLOSED)
            return twi_exchange_fail(exchange, TW_ERROR_EXCHANGE_CLOSED_BY_USER, "wait", "the stream has ended");
        now_ns = twi_monotonic_ns();
    }
}

uint32_t tw_exchange_dispatch(tw_exchange *exchange, int64_t timeout_ns, tw_update_fn fn, void *owner)
{
    tw_update update;
    uint32_t count = 0;
    while (tw_exchange_wait(exchange, count == 0 ? timeout_ns : 0, &update) == TW_ERROR_NONE) {
        fn(owner, &update);
        count++;
    }
    return count;
}
