/* emit.h - events out of an adapter: one function per kind that is one record; groups of levels are in venue_book.h. */
#ifndef TWI_FEED_EMIT_H
#define TWI_FEED_EMIT_H

#include "engine/base/trade_id.h"
#include "engine/proto/json_scan.h"
#include "feed/venue.h"

/* A trade as the venue tells it. */
typedef struct twi_trade {
    tw_decimal price, amount;
    twi_json_slice id; /* empty: the venue gives none */
    int64_t venue_ns;
    bool sell; /* the taker sold */
    bool history;
} twi_trade;

typedef struct twi_quote {
    tw_decimal bid, bid_amount, ask, ask_amount; /* price 0: no such side; amount 0: not told */
    int64_t venue_ns;
} twi_quote;

/* Two decimals at the finer exponent of both; false if one does not fit it. */
static inline bool twi_same_scale(tw_decimal a, tw_decimal b, int64_t *a_mantissa, int64_t *b_mantissa,
                                  int8_t *exponent)
{
    *a_mantissa = a.mantissa;
    *b_mantissa = b.mantissa;
    *exponent = a.exponent;
    if (TWI_LIKELY(a.exponent == b.exponent))
        return true;
    *exponent = a.exponent < b.exponent ? a.exponent : b.exponent;
    return tw_decimal_rescale(a, *exponent, a_mantissa) == TW_OK &&
           tw_decimal_rescale(b, *exponent, b_mantissa) == TW_OK;
}

/* History of a later subscription that was told before. */
static inline bool twi_trade_repeats(const twi_slot *slot, const twi_trade *trade, tw_id_kind kind, tw_trade_id id)
{
    return trade->history && slot->history_known && kind == TW_ID_NUMBER && id.hi == 0 && id.lo <= slot->trade_id_max;
}

/* TW_MALFORMED: no price, no amount above zero, or an id that no kind holds. */
static inline tw_status twi_emit_trade(twi_slot *slot, const twi_trade *trade, int64_t recv_ns, tw_sink *sink)
{
    tw_event *event = tw_sink_claim(sink);
    tw_id_kind kind;
    if (trade->amount.mantissa <= 0 || trade->price.mantissa == 0 ||
        twi_trade_id_parse(trade->id.text, trade->id.len, &kind, &event->u.trade.id) != TW_OK)
        return TW_MALFORMED;
    if (TWI_UNLIKELY(twi_trade_repeats(slot, trade, kind, event->u.trade.id)))
        return TW_OK;
    if (kind == TW_ID_NUMBER && event->u.trade.id.lo > slot->trade_id_max)
        slot->trade_id_max = event->u.trade.id.lo;
    event->instrument = slot->stats.instrument;
    event->kind = TW_EVENT_TRADE;
    event->flags = (uint8_t)(TW_FLAG_FIRST | TW_FLAG_LAST | (trade->sell ? TW_FLAG_SELL : 0) |
                             (trade->history ? TW_FLAG_HISTORY : 0) | (unsigned)kind << TW_ID_KIND_SHIFT);
    event->price_exponent = trade->price.exponent;
    event->amount_exponent = trade->amount.exponent;
    event->venue_ns = trade->venue_ns;
    event->recv_ns = recv_ns;
    event->u.trade.price = trade->price.mantissa;
    event->u.trade.amount = trade->amount.mantissa;
    tw_sink_commit(sink);
    slot->stats.trades++;
    twi_stream_touch(&slot->streams[TW_CHANNEL_TRADE], recv_ns);
    if (TWI_UNLIKELY(slot->book_state != TW_STATE_OK))
        twi_venue_alive(slot, recv_ns, sink);
    return TW_OK;
}

/* TW_MALFORMED: an amount below zero, or a bid and an ask that no common scale holds. */
static inline tw_status twi_emit_quote(twi_slot *slot, const twi_quote *quote, int64_t recv_ns, tw_sink *sink)
{
    tw_event *event = tw_sink_claim(sink);
    if (quote->bid_amount.mantissa < 0 || quote->ask_amount.mantissa < 0 ||
        !twi_same_scale(quote->bid, quote->ask, &event->u.quote.bid, &event->u.quote.ask, &event->price_exponent) ||
        !twi_same_scale(quote->bid_amount, quote->ask_amount, &event->u.quote.bid_amount, &event->u.quote.ask_amount,
                        &event->amount_exponent))
        return TW_MALFORMED;
    event->instrument = slot->stats.instrument;
    event->kind = TW_EVENT_QUOTE;
    event->flags = TW_FLAG_FIRST | TW_FLAG_LAST;
    event->venue_ns = quote->venue_ns;
    event->recv_ns = recv_ns;
    tw_sink_commit(sink);
    slot->stats.quotes++;
    twi_stream_touch(&slot->streams[TW_CHANNEL_QUOTE], recv_ns);
    if (TWI_UNLIKELY(slot->book_state != TW_STATE_OK))
        twi_venue_alive(slot, recv_ns, sink);
    return TW_OK;
}

#endif
