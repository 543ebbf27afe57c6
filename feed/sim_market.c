/* sim_market.c - books that live: orders come, change, go and are hit, and every message tells of it consistently. */
#include "feed/sim_market.h"

#include <stdlib.h>
#include <string.h>

#include "engine/base/assert.h"
#include "feed/sim_listing.h"

enum { BID = 0, ASK = 1 };

enum {
    SPREAD_TICKS_MAX = 4,  /* wider: somebody steps in before anything else happens */
    CHANGES_MAX = 4,       /* things that happen to a book in one group */
    LEVELS_PER_CHANGE = 3, /* levels that one of them touches at most */
    LEVELS_PER_TRADE = 6,
    DIRTY_BEFORE_TRADE_MAX = TWI_SIM_GROUP_EVENT_MAX - CHANGES_MAX * LEVELS_PER_CHANGE - LEVELS_PER_TRADE,
    POSTPONED_MAX = 1 << 16,
    CALM_SHIFT = 6, /* prices wander freely within base / 64, then they are pulled back */
    BYTES_SHIFT_MAX = 40
};
_Static_assert(DIRTY_BEFORE_TRADE_MAX >= 1, "a trade is possible on a clean book at least");

static uint64_t ring_ticks(uint32_t depth)
{
    uint64_t ticks = 2;
    while (ticks < depth)
        ticks *= 2;
    return ticks;
}

static size_t table_bytes(uint32_t instrument_count)
{
    size_t bytes = (size_t)instrument_count * sizeof(twi_sim_instrument);
    return (bytes + 63) / 64 * 64;
}

size_t twi_sim_market_size(uint32_t instrument_count, uint32_t depth)
{
    uint64_t bytes = table_bytes(instrument_count) + 2 * ring_ticks(depth) * sizeof(int64_t) * instrument_count;
    return bytes >> BYTES_SHIFT_MAX ? 0 : (size_t)bytes;
}

static int64_t away(int side)
{
    return side == ASK ? 1 : -1;
}

static int64_t *slot(const twi_sim_market *market, twi_sim_instrument *instrument, int side, int64_t tick)
{
    return &instrument->amount[side][(uint64_t)tick & market->ring_mask];
}

/* 0 for a price outside the window. */
static int64_t amount_at(const twi_sim_market *market, twi_sim_instrument *instrument, int side, int64_t tick)
{
    int64_t distance = (tick - instrument->best[side]) * away(side);
    return distance < 0 || distance >= (int64_t)market->depth ? 0 : *slot(market, instrument, side, tick);
}

static int64_t draw_amount(twi_sim_market *market, const twi_sim_instrument *instrument)
{
    uint64_t bits = twi_sim_random_next(&market->random);
    int64_t lots = 1 + (int64_t)((bits >> 58) * ((bits >> 52) & 63) >> 6); /* 1 .. 63, small ones more often */
    return lots * instrument->lot + twi_sim_scale_low(bits, (uint32_t)instrument->lot);
}

static void set_level(const twi_sim_market *market, twi_sim_instrument *instrument, int side, int64_t tick,
                      int64_t amount)
{
    *slot(market, instrument, side, tick) = amount;
    if (market->share[TWI_SIM_KIND_BOOK] == 0)
        return;
    int64_t key = tick * 2 + side;
    for (unsigned i = 0; i < instrument->dirty_count; i++)
        if (instrument->dirty[i] == key)
            return;
    TWI_ASSERT(instrument->dirty_count < TWI_SIM_GROUP_EVENT_MAX);
    instrument->dirty[instrument->dirty_count++] = key;
}

/* The best level is empty: the next one is the best now, and as many come into the window at its far end. */
static void retreat(twi_sim_market *market, twi_sim_instrument *instrument, int side)
{
    do {
        instrument->best[side] += away(side);
        int64_t far = instrument->best[side] + away(side) * ((int64_t)market->depth - 1);
        set_level(market, instrument, side, far, draw_amount(market, instrument));
    } while (*slot(market, instrument, side, instrument->best[side]) == 0);
}

/* A better order, `ticks` into the spread; as many ticks leave the window at its far end. */
static void advance(twi_sim_market *market, twi_sim_instrument *instrument, int side, int64_t ticks)
{
    for (int64_t i = 0; i < ticks; i++) {
        int64_t far = instrument->best[side] + away(side) * ((int64_t)market->depth - 1);
        if (*slot(market, instrument, side, far) != 0)
            set_level(market, instrument, side, far, 0);
        instrument->best[side] -= away(side);
    }
    set_level(market, instrument, side, instrument->best[side], draw_amount(market, instrument));
    TWI_ASSERT(instrument->best[BID] < instrument->best[ASK]);
}

static int64_t spread(const twi_sim_instrument *instrument)
{
    return instrument->best[ASK] - instrument->best[BID];
}

/* One or two ticks better, if there is room. */
static int64_t advance_ticks(const twi_sim_instrument *instrument, uint64_t bits)
{
    return spread(instrument) > 2 ? 1 + (int64_t)(bits & 1) : 1;
}

/* Whether the next move is upward: as good as random, but against the direction in which the price has gone too far. */
static int draw_is_up(const twi_sim_instrument *instrument, uint64_t bits)
{
    int64_t below = instrument->base - instrument->best[BID];
    int64_t calm = instrument->base >> CALM_SHIFT;
    int64_t excess = below > calm ? below - calm : below < -calm ? below + calm : 0;
    int64_t threshold = ((int64_t)1 << 31) + excess * (int64_t)instrument->pull;
    return (int64_t)(bits >> 32) < threshold;
}

static void change_level(twi_sim_market *market, twi_sim_instrument *instrument, uint64_t bits)
{
    int side = (int)(bits & 1);
    uint64_t near = (bits >> 40) * ((bits >> 16) & 0xffffff) >> 24; /* 24 bits, small ones more often */
    int64_t distance = (int64_t)(near * market->depth >> 24);
    int64_t tick = instrument->best[side] + away(side) * distance;
    int is_removed = (bits & 14) == 0 && distance > 0 && amount_at(market, instrument, side, tick - away(side)) != 0 &&
                     amount_at(market, instrument, side, tick + away(side)) != 0;
    set_level(market, instrument, side, tick, is_removed ? 0 : draw_amount(market, instrument));
}

/* One thing that happens to a book without a trade. Touches 1 .. LEVELS_PER_CHANGE levels. */
static void change_book(twi_sim_market *market, twi_sim_instrument *instrument)
{
    uint64_t bits = twi_sim_random_next(&market->random);
    int is_wide = spread(instrument) > SPREAD_TICKS_MAX;
    if (!is_wide && (bits & 7) != 0) {
        change_level(market, instrument, bits >> 3);
        return;
    }
    int is_up = draw_is_up(instrument, bits);
    if (is_wide || (spread(instrument) > 1 && (bits & 8))) {
        advance(market, instrument, is_up ? BID : ASK, advance_ticks(instrument, bits >> 4));
        return;
    }
    int side = is_up ? ASK : BID;
    set_level(market, instrument, side, instrument->best[side], 0);
    retreat(market, instrument, side);
}

static uint32_t put_trade(twi_sim_market *market, twi_sim_instrument *instrument, int64_t time_ns, tw_sink *sink)
{
    uint64_t bits = twi_sim_random_next(&market->random);
    int is_buy = draw_is_up(instrument, bits);
    int side = is_buy ? ASK : BID;
    int64_t price = instrument->best[side];
    int64_t there = *slot(market, instrument, side, price);
    int64_t wanted = draw_amount(market, instrument);
    int64_t amount = wanted < there && (bits & 7) != 0 ? wanted : there;

    set_level(market, instrument, side, price, there - amount);
    if (amount == there) {
        retreat(market, instrument, side);
        if (spread(instrument) > SPREAD_TICKS_MAX)
            advance(market, instrument, 1 - side, advance_ticks(instrument, bits >> 3));
    }
    *tw_sink_claim(sink) = (tw_event){
        .instrument = instrument->index,
        .kind = TW_EVENT_TRADE,
        .flags =
            (uint8_t)(TW_FLAG_FIRST | TW_FLAG_LAST | (is_buy ? 0 : TW_FLAG_SELL) | TW_ID_NUMBER << TW_ID_KIND_SHIFT),
        .price_exponent = instrument->price_exponent,
        .amount_exponent = instrument->amount_exponent,
        .venue_ns = time_ns,
        .recv_ns = time_ns,
        .u.trade = {.price = price, .amount = amount, .id = {.lo = ++instrument->trade_id}},
    };
    tw_sink_commit(sink);
    return 1;
}

static uint32_t put_quote(const twi_sim_market *market, twi_sim_instrument *instrument, int64_t time_ns, tw_sink *sink)
{
    int64_t bid = instrument->best[BID], ask = instrument->best[ASK];
    *tw_sink_claim(sink) = (tw_event){
        .instrument = instrument->index,
        .kind = TW_EVENT_QUOTE,
        .flags = TW_FLAG_FIRST | TW_FLAG_LAST,
        .price_exponent = instrument->price_exponent,
        .amount_exponent = instrument->amount_exponent,
        .venue_ns = time_ns,
        .recv_ns = time_ns,
        .u.quote = {.bid = bid,
                    .bid_amount = *slot(market, instrument, BID, bid),
                    .ask = ask,
                    .ask_amount = *slot(market, instrument, ASK, ask)},
    };
    tw_sink_commit(sink);
    return 1;
}

static void put_level(twi_sim_instrument *instrument, int64_t key, int64_t amount, unsigned flags, int64_t time_ns,
                      tw_sink *sink)
{
    *tw_sink_claim(sink) = (tw_event){
        .instrument = instrument->index,
        .kind = TW_EVENT_LEVEL,
        .flags = (uint8_t)(flags | ((key & 1) ? TW_FLAG_ASK : 0)),
        .price_exponent = instrument->price_exponent,
        .amount_exponent = instrument->amount_exponent,
        .venue_ns = time_ns,
        .recv_ns = time_ns,
        .u.level = {.price = key >> 1, .amount = amount, .venue_seq = instrument->book_seq},
    };
    tw_sink_commit(sink);
}

static uint32_t put_group(twi_sim_market *market, twi_sim_instrument *instrument, int64_t time_ns, tw_sink *sink)
{
    uint64_t bits = twi_sim_random_next(&market->random);
    uint32_t changes = twi_sim_scale_high(bits, CHANGES_MAX) + (instrument->dirty_count == 0);
    for (uint32_t i = 0; i < changes; i++)
        change_book(market, instrument);

    uint32_t count = instrument->dirty_count;
    instrument->book_seq++;
    for (uint32_t i = 0; i < count; i++) {
        int64_t key = instrument->dirty[i];
        unsigned flags = (i == 0 ? TW_FLAG_FIRST : 0) | (i == count - 1 ? TW_FLAG_LAST : 0);
        put_level(instrument, key, amount_at(market, instrument, (int)(key & 1), key >> 1), flags, time_ns, sink);
    }
    instrument->dirty_count = 0;
    return count;
}

static int kind_is_possible(const twi_sim_instrument *instrument, int kind)
{
    if (kind == TWI_SIM_KIND_TRADE)
        return instrument->dirty_count <= DIRTY_BEFORE_TRADE_MAX;
    return kind >= TWI_SIM_KIND_BOOK || instrument->dirty_count == 0;
}

/* The kind that the shares ask for; a group instead if that must come first, and later the postponed one for a
 * group. */
static int draw_kind(twi_sim_market *market, const twi_sim_instrument *instrument, uint64_t bits)
{
    uint32_t place = twi_sim_scale_low(bits, market->share_sum);
    int kind = place < market->share[TWI_SIM_KIND_TRADE]                                       ? TWI_SIM_KIND_TRADE
               : place < market->share[TWI_SIM_KIND_TRADE] + market->share[TWI_SIM_KIND_QUOTE] ? TWI_SIM_KIND_QUOTE
               : place < market->share_sum - market->share[TWI_SIM_KIND_SNAPSHOT]              ? TWI_SIM_KIND_BOOK
                                                                                               : TWI_SIM_KIND_SNAPSHOT;
    if (!kind_is_possible(instrument, kind)) {
        if (market->postponed[kind] < POSTPONED_MAX)
            market->postponed[kind]++;
        return TWI_SIM_KIND_BOOK;
    }
    if (kind != TWI_SIM_KIND_BOOK)
        return kind;
    for (int other = 0; other < TWI_SIM_KIND_BOOK; other++) {
        if (market->postponed[other] > 0 && kind_is_possible(instrument, other)) {
            market->postponed[other]--;
            return other;
        }
    }
    return kind;
}

static uint32_t count_levels(const twi_sim_market *market, twi_sim_instrument *instrument, int side)
{
    uint32_t count = 0;
    for (int64_t i = 0; i < (int64_t)market->depth; i++)
        count += amount_at(market, instrument, side, instrument->best[side] + away(side) * i) != 0;
    return count;
}

/* The whole book: nothing is left that a group would have to say. */
static uint32_t put_book(const twi_sim_market *market, twi_sim_instrument *instrument, int64_t time_ns, tw_sink *sink)
{
    uint32_t total = count_levels(market, instrument, BID) + count_levels(market, instrument, ASK), count = 0;
    instrument->book_seq++;
    instrument->dirty_count = 0;
    for (int side = BID; side <= ASK; side++) {
        for (int64_t i = 0; i < (int64_t)market->depth; i++) {
            int64_t tick = instrument->best[side] + away(side) * i;
            int64_t amount = amount_at(market, instrument, side, tick);
            if (amount == 0)
                continue;
            unsigned flags =
                TW_FLAG_SNAPSHOT | (count == 0 ? TW_FLAG_FIRST : 0) | (count == total - 1 ? TW_FLAG_LAST : 0);
            put_level(instrument, tick * 2 + side, amount, flags, time_ns, sink);
            count++;
        }
    }
    return count;
}

uint32_t twi_sim_market_message(twi_sim_market *market, int64_t time_ns, tw_sink *sink)
{
    uint64_t bits = twi_sim_random_next(&market->random);
    uint32_t popular = (uint32_t)((bits & UINT32_MAX) * (bits >> 32) >> 32); /* low ones more often */
    twi_sim_instrument *instrument = &market->instruments[twi_sim_scale_low(popular, market->instrument_count)];
    switch (draw_kind(market, instrument, twi_sim_random_next(&market->random))) {
    case TWI_SIM_KIND_TRADE:
        return put_trade(market, instrument, time_ns, sink);
    case TWI_SIM_KIND_QUOTE:
        return put_quote(market, instrument, time_ns, sink);
    case TWI_SIM_KIND_SNAPSHOT:
        return put_book(market, instrument, time_ns, sink);
    default:
        return put_group(market, instrument, time_ns, sink);
    }
}

uint32_t twi_sim_market_snapshot(twi_sim_market *market, uint32_t instrument_index, int64_t time_ns, tw_sink *sink)
{
    if (market->share[TWI_SIM_KIND_BOOK] == 0)
        return 0;
    twi_sim_instrument *instrument = &market->instruments[instrument_index];
    uint32_t count = put_book(market, instrument, time_ns, sink);
    *tw_sink_claim(sink) = (tw_event){
        .instrument = instrument->index,
        .kind = TW_EVENT_STATUS,
        .flags = TW_FLAG_FIRST | TW_FLAG_LAST,
        .venue_ns = time_ns,
        .recv_ns = time_ns,
        .u.status = {.state = TW_STATE_OK, .reason = TW_REASON_START},
    };
    tw_sink_commit(sink);
    return count + 1;
}

/* Every price has an order at the start, but for some single gaps behind the best. */
static void fill_side(twi_sim_market *market, twi_sim_instrument *instrument, int side)
{
    int64_t before = 0;
    for (int64_t i = 0; i < (int64_t)market->depth; i++) {
        int64_t *here = slot(market, instrument, side, instrument->best[side] + away(side) * i);
        *here = draw_amount(market, instrument);
        if (i > 0 && before != 0 && i < (int64_t)market->depth - 1 && (twi_sim_random_next(&market->random) & 7) == 0)
            *here = 0;
        before = *here;
    }
}

static tw_status list_instrument(twi_sim_market *market, uint32_t i, const char *exchange, tw_symbols *symbols)
{
    twi_sim_instrument *instrument = &market->instruments[i];
    twi_sim_listing listing;
    twi_sim_listing_get(i, &listing);
    instrument->base = listing.price;
    instrument->pull = ((uint64_t)1 << 32) / (uint64_t)listing.price;
    instrument->lot = listing.lot;
    instrument->price_exponent = listing.price_exponent;
    instrument->amount_exponent = listing.amount_exponent;
    instrument->best[BID] = listing.price;
    instrument->best[ASK] = listing.price + 1;
    fill_side(market, instrument, BID);
    fill_side(market, instrument, ASK);
    return tw_symbols_intern(symbols, exchange, strlen(exchange), listing.symbol, strlen(listing.symbol),
                             listing.venue_id, strlen(listing.venue_id), &instrument->index);
}

tw_status twi_sim_market_init(twi_sim_market *market, void *memory, const twi_sim_options *options, tw_symbols *symbols)
{
    uint64_t ticks = ring_ticks(options->book_depth);
    *market = (twi_sim_market){
        .instruments = memory,
        .instrument_count = options->instrument_count,
        .depth = options->book_depth,
        .ring_mask = ticks - 1,
        .share = {options->trade_share, options->quote_share, options->book_share, options->snapshot_share},
    };
    for (int kind = 0; kind < TWI_SIM_KIND_COUNT; kind++)
        market->share_sum += market->share[kind];
    twi_sim_random_init(&market->random, options->seed);

    int64_t *amounts = (int64_t *)((char *)memory + table_bytes(options->instrument_count));
    for (uint32_t i = 0; i < options->instrument_count; i++) {
        market->instruments[i].amount[BID] = amounts + 2 * ticks * i;
        market->instruments[i].amount[ASK] = amounts + 2 * ticks * i + ticks;
        tw_status status = list_instrument(market, i, options->exchange, symbols);
        if (status != TW_OK)
            return status;
    }
    return TW_OK;
}
