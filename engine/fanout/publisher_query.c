/* publisher_query.c - answers to queries: the rows of one instrument, copied out of the market. */
#include <string.h>

#include "engine/base/assert.h"
#include "engine/fanout/publisher.h"

enum { WINDOW_INTERVAL = 3 /* 15m */, WINDOW_CANDLES = 97, QUERY_BYTES_PER_STEP = 256 << 10 };
#define WINDOW_NS (INT64_C(86400) * 1000000000)

/* What was traded in the last 24 hours, to the quarter of an hour, and no further back than candles are kept. */
static void fill_window(const twi_publisher *publisher, twi_query *query)
{
    const twi_candle_series *series = twi_candles_series(&publisher->candles, query->key.instrument);
    twi_candle candles[WINDOW_CANDLES];
    if (series == NULL)
        return;
    /* From the newest trade back, not from the clock: a recording has its own time. */
    twi_candle newest;
    if (!twi_candle_newest(series, WINDOW_INTERVAL, &newest))
        return;
    uint32_t count = twi_candle_copy(series, WINDOW_INTERVAL, newest.last_ns - WINDOW_NS, 0, candles, WINDOW_CANDLES);
    query->window = (twi_candle){.open_ns = count > 0 ? candles[0].open_ns : 0};
    query->has_window = count > 0;
    for (uint32_t i = 0; i < count; i++)
        query->has_window &= (uint8_t)twi_candle_add(&query->window, &candles[i]);
}

static void fill_book(const twi_publisher *publisher, twi_query *query)
{
    const twi_market *market = &publisher->market;
    const twi_market_instrument *state = &market->instruments[query->key.instrument];
    query->seq = publisher->topic_seq[twi_topic(query->key.instrument, TWI_SLOT_BOOK)];
    query->venue_seq = state->book_venue_seq;
    query->venue_ns = state->book_venue_ns;
    query->recv_ns = state->book_recv_ns;
    if (state->book_begun && state->book_state == TW_STATE_OK)
        query->count = twi_market_book_levels(market, query->key.instrument, query->key.limit, query->space);
}

static void fill_ohlcv(const twi_publisher *publisher, twi_query *query)
{
    const twi_candle_series *series = twi_candles_series(&publisher->candles, query->key.instrument);
    if (series != NULL)
        query->count = twi_candle_copy(series, query->key.interval, query->key.since_ns, query->key.from_oldest,
                                       query->space, query->key.limit);
}

void twi_publisher_answer(twi_publisher *publisher, twi_query *query)
{
    uint32_t instrument = query->key.instrument;
    TWI_ASSERT(instrument < publisher->config.instrument_count_max);
    const twi_market_instrument *state = &publisher->market.instruments[instrument];
    query->count = 0;
    query->has_window = 0;
    query->version = twi_version_of(&publisher->versions[instrument], query->key.kind);
    query->now_ns = publisher->config.realtime_ns(publisher->config.realtime_owner);
    query->quote = state->quote;
    query->status = state->status;
    query->book_state = state->book_state;
    query->book_begun = state->book_begun;
    query->trade.kind = TW_EVENT_NONE;
    switch (query->key.kind) {
    case TWI_QUERY_TICKER:
        if (twi_market_trades(&publisher->market, instrument, 0, 0, 1, &query->trade) == 0)
            query->trade.kind = TW_EVENT_NONE;
        fill_window(publisher, query);
        break;
    case TWI_QUERY_BOOK:
        fill_book(publisher, query);
        break;
    case TWI_QUERY_TRADES:
        query->count = twi_market_trades(&publisher->market, instrument, query->key.since_ns, query->key.from_oldest,
                                         query->key.limit, query->space);
        break;
    default:
        fill_ohlcv(publisher, query);
    }
    TWI_ASSERT(query->count * (query->key.kind == TWI_QUERY_OHLCV ? sizeof(twi_candle) : sizeof(tw_event)) <=
               query->space_bytes);
}

uint32_t twi_publisher_answer_all(twi_publisher *publisher)
{
    uint32_t answered = 0;
    size_t copied = 0;
    for (uint32_t i = 0; i < publisher->link_count; i++) {
        twi_join_link *link = publisher->links[(publisher->next_query_link + i) % publisher->link_count];
        twi_query *query;
        while (copied < QUERY_BYTES_PER_STEP && (query = twi_spsc_peek(&link->queries)) != NULL) {
            twi_spsc_pop(&link->queries);
            twi_publisher_answer(publisher, query);
            copied += 1024 + query->count * sizeof(twi_candle);
            int pushed = twi_spsc_push(&link->answers, query);
            TWI_ASSERT(pushed); /* a shard has fewer queries than a queue has slots */
            answered++;
        }
    }
    if (answered > 0)
        publisher->next_query_link++;
    return answered;
}
