/* parse_rivals.c - events out of what a rival read; see parse_rivals.h. */
#include "bench/parse_rivals.h"

#include "engine/base/trade_id.h"

bool twb_put_trade(twb_rival_job *job, const twb_head *head, const twb_trade_fields *trade)
{
    tw_event *event = tw_sink_claim(job->sink);
    tw_id_kind kind;
    if (twi_trade_id_parse(trade->id, trade->id_len, &kind, &event->u.trade.id) != TW_OK)
        return false;
    event->instrument = head->instrument;
    event->kind = TW_EVENT_TRADE;
    event->flags =
        (uint8_t)(TW_FLAG_FIRST | TW_FLAG_LAST | (trade->sell ? TW_FLAG_SELL : 0) | (unsigned)kind << TW_ID_KIND_SHIFT);
    event->price_exponent = trade->price.exponent;
    event->amount_exponent = trade->amount.exponent;
    event->venue_ns = head->venue_ns;
    event->recv_ns = head->recv_ns;
    event->u.trade.price = trade->price.mantissa;
    event->u.trade.amount = trade->amount.mantissa;
    tw_sink_commit(job->sink);
    return true;
}

static bool same_scale(tw_decimal a, tw_decimal b, int64_t *a_mantissa, int64_t *b_mantissa, int8_t *exponent)
{
    *exponent = a.exponent < b.exponent ? a.exponent : b.exponent;
    if (a.exponent == b.exponent) {
        *a_mantissa = a.mantissa;
        *b_mantissa = b.mantissa;
        return true;
    }
    return tw_decimal_rescale(a, *exponent, a_mantissa) == TW_OK &&
           tw_decimal_rescale(b, *exponent, b_mantissa) == TW_OK;
}

bool twb_put_quote(twb_rival_job *job, const twb_head *head, const twb_quote_fields *quote)
{
    tw_event *event = tw_sink_claim(job->sink);
    if (!same_scale(quote->bid, quote->ask, &event->u.quote.bid, &event->u.quote.ask, &event->price_exponent) ||
        !same_scale(quote->bid_amount, quote->ask_amount, &event->u.quote.bid_amount, &event->u.quote.ask_amount,
                    &event->amount_exponent))
        return false;
    event->instrument = head->instrument;
    event->kind = TW_EVENT_QUOTE;
    event->flags = TW_FLAG_FIRST | TW_FLAG_LAST;
    event->venue_ns = head->venue_ns;
    event->recv_ns = head->recv_ns;
    tw_sink_commit(job->sink);
    return true;
}
