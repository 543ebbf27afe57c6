/* imbalance_bot.c - who is stronger in the book? (bids - asks) / (bids + asks) of the best levels, said when it turns.
 *
 * Rule:      only books in state ok count; beyond +threshold buyers are stronger, below -threshold sellers. */
#include <inttypes.h>

#include "subscribers/strategies/strategy.h"

enum { INSTRUMENTS_MAX = 4096, DEPTH_MAX = 100 };

typedef struct imbalance_bot {
    double depth, threshold;
    int8_t side[INSTRUMENTS_MAX]; /* 1 buyers, -1 sellers, 0 nobody */
    uint64_t looks, turns, skipped;
} imbalance_bot;

static double amount_of(const tw_view *view, uint32_t instrument, tw_view_side side, uint32_t depth)
{
    tw_view_level levels[DEPTH_MAX];
    uint32_t count = tw_view_levels(view, instrument, side, levels, depth);
    double sum = 0;
    for (uint32_t i = 0; i < count; i++)
        sum += strategy_number(levels[i].amount.mantissa, levels[i].amount.exponent);
    return sum;
}

static void on_message(void *owner, const tw_stream_message *message, const tw_view *view)
{
    imbalance_bot *self = owner;
    uint32_t instrument = message->events[0].instrument;
    uint32_t depth = self->depth < DEPTH_MAX ? (uint32_t)self->depth : DEPTH_MAX;
    if (instrument >= INSTRUMENTS_MAX || tw_view_book_state(view, instrument) != TW_STATE_OK) {
        self->skipped++;
        return;
    }
    double bids = amount_of(view, instrument, TW_VIEW_BIDS, depth);
    double asks = amount_of(view, instrument, TW_VIEW_ASKS, depth);
    if (!(bids + asks > 0))
        return;
    double imbalance = (bids - asks) / (bids + asks);
    int8_t side = (int8_t)((imbalance > self->threshold) - (imbalance < -self->threshold));
    self->looks++;
    if (side == self->side[instrument])
        return;
    self->side[instrument] = side;
    self->turns++;
    printf("%-24s %s  %+.3f\n", strategy_name_of(message->symbols, instrument),
           side > 0   ? "buyers "
           : side < 0 ? "sellers"
                      : "even   ",
           imbalance);
}

static void on_interval(void *owner, const tw_view *view)
{
    imbalance_bot *self = owner;
    (void)view;
    printf("%" PRIu64 " books looked at, %" PRIu64 " turns, %" PRIu64 " skipped: not right, or no snapshot yet\n",
           self->looks, self->turns, self->skipped);
    self->looks = self->turns = self->skipped = 0;
}

int main(int argc, char **argv)
{
    static imbalance_bot self = {.depth = 5, .threshold = 0.3};
    const strategy it = {.name = "imbalance_bot",
                         .about = "Says when one side of a book becomes stronger than the other.",
                         .channels = "book,status",
                         .on_message = on_message,
                         .on_interval = on_interval,
                         .settings = {{"depth", &self.depth, "levels per side, 100 at most"},
                                      {"threshold", &self.threshold, "from 0 to 1"}},
                         .owner = &self};
    return strategy_main(argc, argv, &it);
}
