/* spread_monitor.c - the same symbol on several venues: where to buy, where to sell, and what lies between.
 *
 * Rule:      for every symbol the highest bid and the lowest ask over all venues whose quotes are alive. A cross-venue
 *            spread is (bid - ask) / ask in basis points; above 0 somebody pays more than somebody else asks. */
#include <inttypes.h>
#include <string.h>

#include "subscribers/strategies/strategy.h"

enum { SYMBOLS_MAX = 1024, VENUES_MAX = 32 };

typedef struct venue_quote {
    char exchange[TW_EXCHANGE_MAX + 1];
    double bid, ask; /* 0: that side is empty */
} venue_quote;

typedef struct symbol_quotes {
    char symbol[TW_SYMBOL_MAX + 1];
    venue_quote venues[VENUES_MAX];
    uint32_t venue_count;
    double best_bps; /* largest spread since the last line */
    int is_crossed;  /* at the last look: a crossing is said once, when it begins */
} symbol_quotes;

typedef struct spread_monitor {
    symbol_quotes symbols[SYMBOLS_MAX];
    uint32_t symbol_count;
    double min_bps;
} spread_monitor;

static symbol_quotes *find_symbol(spread_monitor *self, const char *symbol)
{
    for (uint32_t i = 0; i < self->symbol_count; i++)
        if (strcmp(self->symbols[i].symbol, symbol) == 0)
            return &self->symbols[i];
    if (self->symbol_count == SYMBOLS_MAX)
        return NULL;
    symbol_quotes *added = &self->symbols[self->symbol_count++];
    *added = (symbol_quotes){.best_bps = -1e9};
    snprintf(added->symbol, sizeof added->symbol, "%s", symbol);
    return added;
}

static venue_quote *find_venue(symbol_quotes *quotes, const char *exchange)
{
    for (uint32_t i = 0; i < quotes->venue_count; i++)
        if (strcmp(quotes->venues[i].exchange, exchange) == 0)
            return &quotes->venues[i];
    if (quotes->venue_count == VENUES_MAX)
        return NULL;
    venue_quote *added = &quotes->venues[quotes->venue_count++];
    *added = (venue_quote){0};
    snprintf(added->exchange, sizeof added->exchange, "%s", exchange);
    return added;
}

static void look(spread_monitor *self, symbol_quotes *quotes)
{
    const venue_quote *bid = NULL, *ask = NULL;
    for (uint32_t i = 0; i < quotes->venue_count; i++) {
        const venue_quote *venue = &quotes->venues[i];
        if (venue->bid > 0 && (bid == NULL || venue->bid > bid->bid))
            bid = venue;
        if (venue->ask > 0 && (ask == NULL || venue->ask < ask->ask))
            ask = venue;
    }
    if (bid == NULL || ask == NULL || quotes->venue_count < 2)
        return;
    double bps = (bid->bid - ask->ask) / ask->ask * 10000;
    if (bps > quotes->best_bps)
        quotes->best_bps = bps;
    int is_crossed = bps > self->min_bps;
    if (is_crossed && !quotes->is_crossed)
        printf("%-14s buy on %s at %.10g, sell on %s at %.10g: %.2f bps\n", quotes->symbol, ask->exchange, ask->ask,
               bid->exchange, bid->bid, bps);
    quotes->is_crossed = is_crossed;
}

static void on_message(void *owner, const tw_stream_message *message, const tw_view *view)
{
    spread_monitor *self = owner;
    const tw_event *event = message->events;
    const tw_instrument *instrument = tw_symbols_get(message->symbols, event->instrument);
    symbol_quotes *quotes = instrument != NULL ? find_symbol(self, instrument->symbol) : NULL;
    venue_quote *venue = quotes != NULL ? find_venue(quotes, instrument->exchange) : NULL;
    const tw_event *quote = tw_view_quote(view, event->instrument);
    if (venue == NULL || quote == NULL)
        return;
    const tw_event *status = tw_view_status(view, event->instrument);
    int is_alive = status == NULL || status->u.status.state != TW_STATE_STALE;
    venue->bid = is_alive ? strategy_number(quote->u.quote.bid, quote->price_exponent) : 0;
    venue->ask = is_alive ? strategy_number(quote->u.quote.ask, quote->price_exponent) : 0;
    look(self, quotes);
}

static void on_interval(void *owner, const tw_view *view)
{
    spread_monitor *self = owner;
    (void)view;
    uint32_t shared = 0;
    for (uint32_t i = 0; i < self->symbol_count; i++) {
        symbol_quotes *quotes = &self->symbols[i];
        if (quotes->venue_count < 2)
            continue;
        shared++;
        printf("%-14s %" PRIu32 " venues, best spread %.2f bps\n", quotes->symbol, quotes->venue_count,
               quotes->best_bps);
        quotes->best_bps = -1e9;
    }
    if (shared == 0)
        printf("%" PRIu32 " symbols, none of them on more than one venue\n", self->symbol_count);
}

int main(int argc, char **argv)
{
    static spread_monitor self;
    const strategy it = {.name = "spread_monitor",
                         .about = "Watches the quotes of one symbol on several venues and says when they cross.",
                         .channels = "quote,status",
                         .on_message = on_message,
                         .on_interval = on_interval,
                         .settings = {{"min-bps", &self.min_bps, "basis points from which a crossing is said"}},
                         .owner = &self};
    return strategy_main(argc, argv, &it);
}
