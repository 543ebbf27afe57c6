/* print_bot.c - prints every message: the smallest strategy, and the one to copy. */
#include <inttypes.h>

#include "subscribers/strategies/strategy.h"

static void print_trade(const tw_event *event)
{
    printf("trade %s %.10g @ %.10g\n", event->flags & TW_FLAG_SELL ? "sell" : "buy ",
           strategy_number(event->u.trade.amount, event->amount_exponent),
           strategy_number(event->u.trade.price, event->price_exponent));
}

static void print_quote(const tw_event *event)
{
    printf("quote %.10g x %.10g | %.10g x %.10g\n", strategy_number(event->u.quote.bid, event->price_exponent),
           strategy_number(event->u.quote.bid_amount, event->amount_exponent),
           strategy_number(event->u.quote.ask, event->price_exponent),
           strategy_number(event->u.quote.ask_amount, event->amount_exponent));
}

static void print_book(const tw_stream_message *message, const tw_view *view)
{
    uint32_t instrument = message->events[0].instrument;
    printf("book  %" PRIu32 " level%s changed, now %" PRIu32 " bids and %" PRIu32 " asks, %s\n", message->event_count,
           message->event_count == 1 ? "" : "s", tw_view_level_count(view, instrument, TW_VIEW_BIDS),
           tw_view_level_count(view, instrument, TW_VIEW_ASKS),
           tw_book_state_name((uint16_t)tw_view_book_state(view, instrument)));
}

static void on_message(void *owner, const tw_stream_message *message, const tw_view *view)
{
    const tw_event *event = message->events;
    (void)owner;
    printf("%-24s ", strategy_name_of(message->symbols, event->instrument));
    switch (event->kind) {
    case TW_EVENT_TRADE:
        print_trade(event);
        break;
    case TW_EVENT_QUOTE:
        print_quote(event);
        break;
    case TW_EVENT_STATUS:
        printf("status %s, %s\n", tw_book_state_name(event->u.status.state), tw_reason_name(event->u.status.reason));
        break;
    default:
        print_book(message, view);
        break;
    }
}

static void on_gap(void *owner, uint64_t count)
{
    (void)owner;
    printf("-- %" PRIu64 " messages are missing here --\n", count);
}

int main(int argc, char **argv)
{
    const strategy it = {.name = "print_bot",
                         .about = "Prints trades, quotes, books and states as they come.",
                         .channels = "trade,quote,book,status",
                         .on_message = on_message,
                         .on_gap = on_gap};
    return strategy_main(argc, argv, &it);
}
