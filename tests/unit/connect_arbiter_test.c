/* connect_arbiter_test.c - two copies of one stream, each late, cut and resumed at random: what comes out is the
 * stream, every trade once and the book exact. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "engine/connect/arbiter.h"

enum { SEEDS = 60, STEPS = 3000, LEVELS = 16, PER_GROUP_MAX = 3, INSTRUMENT = 7 };

typedef struct book {
    bool known;
    uint64_t seq;
    int64_t amount[LEVELS];
} book;

/* A leg as its adapter is: reads the venue's history in order, at its own pace, from a snapshot on. */
typedef struct source {
    bool up, synced;
    uint64_t at;       /* of the history: what it has read */
    uint64_t trade_at; /* likewise */
    book own;
} source;

typedef struct stage {
    twi_arbiter *arbiter;
    tw_event event;
    uint64_t random;
    book history[STEPS + 1]; /* the venue's book after every change */
    uint64_t now, trades;
    source legs[TWI_ARBITER_LEGS];
    /* what comes out */
    book ours;
    book next; /* with the group that is under way */
    uint8_t trade_seen[STEPS + 1];
    uint64_t trades_out, statuses, clears;
    uint16_t state;
    bool aligned; /* messages end at the same sequences on both legs */
    uint64_t stuck;
} stage;

static uint32_t any(stage *it, uint32_t below)
{
    it->random = it->random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (uint32_t)(it->random >> 33) % below;
}

static tw_event *claim(void *owner)
{
    return &((stage *)owner)->event;
}

static void on_level(stage *it, const tw_event *event)
{
    if ((event->flags & TW_FLAG_FIRST) != 0) {
        it->next = it->ours;
        if ((event->flags & TW_FLAG_SNAPSHOT) != 0)
            it->next = (book){.known = true};
    }
    assert_true(it->next.known);
    it->next.amount[event->u.level.price] = event->u.level.amount;
    it->next.seq = event->u.level.venue_seq;
    if ((event->flags & TW_FLAG_LAST) == 0)
        return;
    it->ours = it->next;
    /* The book is the venue's, as it was at that sequence: always, not only in the end. */
    assert_memory_equal(it->ours.amount, it->history[it->ours.seq - 1000].amount, sizeof(it->ours.amount));
}

static void commit(void *owner)
{
    stage *it = owner;
    const tw_event *event = &it->event;
    switch (event->kind) {
    case TW_EVENT_TRADE:
        assert_int_equal(it->trade_seen[event->u.trade.id.lo]++, 0);
        it->trades_out++;
        break;
    case TW_EVENT_LEVEL:
        on_level(it, event);
        break;
    case TW_EVENT_BOOK_CLEAR:
        it->ours = (book){0};
        it->clears++;
        break;
    case TW_EVENT_STATUS:
        it->state = event->u.status.state;
        it->statuses++;
        break;
    default:
        fail_msg("kind %u", event->kind);
    }
}

/* ---- what legs say ---- */

static void say(stage *it, uint32_t leg, tw_event event)
{
    tw_sink sink = twi_arbiter_sink(it->arbiter, leg);
    event.instrument = INSTRUMENT;
    *tw_sink_claim(&sink) = event;
    tw_sink_commit(&sink);
}

static void say_status(stage *it, uint32_t leg, tw_book_state state)
{
    say(it, leg, (tw_event){.kind = TW_EVENT_STATUS, .flags = TW_FLAG_FIRST | TW_FLAG_LAST, .u.status.state = state});
}

static void say_level(stage *it, uint32_t leg, int level, int64_t amount, uint64_t seq, uint8_t flags)
{
    tw_event event = {.kind = TW_EVENT_LEVEL, .flags = flags};
    event.u.level.price = level;
    event.u.level.amount = amount;
    event.u.level.venue_seq = seq;
    say(it, leg, event);
}

/* All levels that differ between the leg's book and `to`, as one group. cut: it breaks off before its end. */
static void say_changes(stage *it, uint32_t leg, const book *to, bool cut)
{
    source *from = &it->legs[leg];
    int last = -1;
    for (int i = 0; i < LEVELS; i++)
        last = from->own.amount[i] != to->amount[i] ? i : last;
    uint8_t flags = TW_FLAG_FIRST;
    for (int i = 0; i <= last; i++) {
        if (from->own.amount[i] == to->amount[i])
            continue;
        if (i == last && !cut)
            flags |= TW_FLAG_LAST;
        say_level(it, leg, i, to->amount[i], to->seq, flags);
        flags = 0;
    }
}

static void say_snapshot(stage *it, uint32_t leg, const book *to)
{
    for (int i = 0; i < LEVELS; i++) {
        uint8_t flags = TW_FLAG_SNAPSHOT | (i == 0 ? TW_FLAG_FIRST : 0) | (i == LEVELS - 1 ? TW_FLAG_LAST : 0);
        say_level(it, leg, i, to->amount[i], to->seq, flags);
    }
}

static void go_down(stage *it, uint32_t leg, tw_book_state state)
{
    source *from = &it->legs[leg];
    say_status(it, leg, state);
    if (state == TW_STATE_STALE && from->synced)
        say(it, leg, (tw_event){.kind = TW_EVENT_BOOK_CLEAR, .flags = TW_FLAG_FIRST | TW_FLAG_LAST});
    from->synced = false;
    from->up = state != TW_STATE_STALE;
}

/* The venue puts several changes into one message, the same ones on every connection. */
static uint64_t next_end(uint64_t at)
{
    do
        at++;
    while (at * UINT64_C(0x9e3779b97f4a7c15) >> 62 == 0);
    return at;
}

static void advance(stage *it, uint32_t leg)
{
    source *from = &it->legs[leg];
    if (twi_arbiter_take_stuck(it->arbiter, leg) && from->up) {
        it->stuck++;
        go_down(it, leg, TW_STATE_STALE);
        from->up = true; /* dialed at once */
    }
    if (!from->up) {
        from->up = any(it, 10) == 0;
        from->trade_at = it->trades; /* what it missed is missed */
        return;
    }
    if (!from->synced) { /* a snapshot of some moment not long ago */
        uint64_t back = any(it, 5);
        from->at = it->now > back ? it->now - back : it->now;
        from->own = it->history[from->at];
        say_snapshot(it, leg, &from->own);
        say_status(it, leg, TW_STATE_OK);
        from->synced = true;
    }
    while (from->at < it->now && any(it, 3) != 0) {
        uint64_t to = it->aligned ? next_end(from->at) : from->at + 1 + any(it, PER_GROUP_MAX);
        if (to > it->now)
            return;
        if (any(it, 300) == 0) {
            say_changes(it, leg, &it->history[to], true);
            go_down(it, leg, TW_STATE_GAP);
            return;
        }
        say_changes(it, leg, &it->history[to], false);
        from->own = it->history[to];
        from->at = to;
    }
    while (from->trade_at < it->trades && any(it, 3) != 0) {
        tw_event trade = {.kind = TW_EVENT_TRADE,
                          .flags = TW_FLAG_FIRST | TW_FLAG_LAST | TW_ID_NUMBER << TW_ID_KIND_SHIFT};
        trade.u.trade.id.lo = ++from->trade_at;
        if (any(it, 100) != 0) /* else this copy is lost */
            say(it, leg, trade);
    }
    if (any(it, 150) == 0)
        go_down(it, leg, TW_STATE_STALE);
}

static stage *begin(uint64_t seed)
{
    stage *it = calloc(1, sizeof(*it));
    assert_non_null(it);
    it->random = seed;
    it->history[0].seq = 1000;
    assert_int_equal(twi_arbiter_open(1, (tw_sink){claim, commit, it}, &it->arbiter), TW_OK);
    it->legs[0].up = it->legs[1].up = true;
    return it;
}

static void finish(stage *it)
{
    twi_arbiter_close(it->arbiter);
    free(it);
}

static void test_two_copies_make_one(void **state)
{
    (void)state;
    uint64_t clears = 0, lost = 0, duplicates = 0, stuck = 0, stuck_aligned = 0;
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        stage *it = begin(seed);
        it->aligned = seed % 3 != 0;
        while (it->now < STEPS) {
            it->history[it->now + 1] = it->history[it->now];
            it->now++;
            it->history[it->now].seq = 1000 + it->now;
            it->history[it->now].amount[any(it, LEVELS)] = any(it, 5);
            it->trades++;
            advance(it, any(it, 2));
            advance(it, any(it, 2));
            bool one_is_good = (it->legs[0].up && it->legs[0].synced) || (it->legs[1].up && it->legs[1].synced);
            assert_int_equal(it->state == TW_STATE_OK, one_is_good);
        }
        for (int i = 0; i < 200; i++)
            advance(it, any(it, 2));
        for (uint32_t leg = 0; leg < TWI_ARBITER_LEGS; leg++) /* a good leg is at the end: so is what came out */
            if (it->aligned && it->legs[leg].up && it->legs[leg].synced && it->legs[leg].at == it->now)
                assert_int_equal(it->ours.seq, 1000 + it->now);
        stuck += it->stuck;
        stuck_aligned += it->aligned ? it->stuck : 0;
        clears += it->clears;
        lost += STEPS - it->trades_out;
        duplicates += twi_arbiter_duplicates(it->arbiter);
        finish(it);
    }
    assert_true(clears > 0 && duplicates > (uint64_t)SEEDS * STEPS);
    print_message("%llu trades lost, %llu times stuck, %llu of them aligned\n", (unsigned long long)lost,
                  (unsigned long long)stuck, (unsigned long long)stuck_aligned);
    assert_true(lost < (uint64_t)SEEDS * STEPS / 20); /* only while both were away, or both copies were lost */
}

/* Ids come again after exactly as many others as are remembered, and one more. */
static void test_trade_window(void **state)
{
    (void)state;
    stage *it = begin(1);
    tw_event trade = {.kind = TW_EVENT_TRADE, .flags = TW_ID_UUID << TW_ID_KIND_SHIFT};
    uint64_t count = 0;
    for (int round = 0; round < 3; round++) {
        for (uint64_t i = 0; i < TWI_ARBITER_TRADES; i++) {
            trade.u.trade.id = (tw_trade_id){.lo = 1, .hi = (uint64_t)round * TWI_ARBITER_TRADES + i};
            it->trade_seen[1] = 0;
            say(it, 0, trade);
            say(it, 1, trade);
            count++;
        }
    }
    assert_int_equal(it->trades_out, count);
    assert_int_equal(twi_arbiter_duplicates(it->arbiter), count);
    trade.u.trade.id.hi = 2 * TWI_ARBITER_TRADES; /* the oldest that is remembered */
    say(it, 1, trade);
    assert_int_equal(it->trades_out, count);
    finish(it);
}

static void test_venue_counts_anew(void **state)
{
    (void)state;
    stage *it = begin(1);
    book big = {.known = true, .seq = 1500}, small = {.known = true, .seq = 1001};
    big.amount[3] = 5;
    small.amount[2] = 7;
    it->history[500] = big;
    it->history[1] = small;
    for (uint32_t leg = 0; leg < TWI_ARBITER_LEGS; leg++) {
        say_snapshot(it, leg, &big);
        say_status(it, leg, TW_STATE_OK);
    }
    assert_int_equal(it->ours.seq, 1500);
    say_snapshot(it, 0, &small); /* restarted */
    assert_int_equal(it->ours.seq, 1001);
    it->legs[1].own = big;
    book late = big;
    late.seq = 1501;
    late.amount[9] = 1;
    it->history[501] = late;
    say_changes(it, 1, &late, false); /* the other one still tells from before */
    assert_int_equal(it->ours.seq, 1001);
    say_snapshot(it, 1, &small);
    it->legs[1].own = small;
    book next = small;
    next.seq = 1002;
    next.amount[4] = 4;
    it->history[2] = next;
    say_changes(it, 1, &next, false);
    assert_int_equal(it->ours.seq, 1002); /* and is heard again */
    finish(it);
}

/* Binance's rule for futures lets the change that ends where the snapshot stands be applied to it once more. */
static void test_what_the_snapshot_has_comes_not_again(void **state)
{
    (void)state;
    stage *it = begin(1);
    book now = {.known = true, .seq = 1500};
    now.amount[3] = 5;
    it->history[500] = now;
    for (uint32_t leg = 0; leg < TWI_ARBITER_LEGS; leg++)
        say_snapshot(it, leg, &now);
    uint64_t before = twi_arbiter_duplicates(it->arbiter);
    for (uint32_t leg = 0; leg < TWI_ARBITER_LEGS; leg++)
        say_level(it, leg, 3, 5, 1500, TW_FLAG_FIRST | TW_FLAG_LAST);
    assert_int_equal(twi_arbiter_duplicates(it->arbiter), before + 2);
    it->history[501] = now;
    it->history[501].amount[3] = 6;
    say_level(it, 1, 3, 6, 1501, TW_FLAG_FIRST | TW_FLAG_LAST);
    assert_int_equal(it->ours.seq, 1501);
    finish(it);
}

static void test_quotes_from_one_leg(void **state)
{
    (void)state;
    stage *it = begin(1);
    tw_event quote = {.kind = TW_EVENT_TRADE};
    quote.kind = TW_EVENT_QUOTE;
    quote.venue_ns = 100;
    tw_sink sinks[2] = {twi_arbiter_sink(it->arbiter, 0), twi_arbiter_sink(it->arbiter, 1)};
    (void)sinks;
    say(it, 1, quote); /* not the leader: dropped, the sink above would not know the kind */
    assert_int_equal(twi_arbiter_duplicates(it->arbiter), 1);
    finish(it);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_two_copies_make_one), cmocka_unit_test(test_trade_window),
        cmocka_unit_test(test_venue_counts_anew),   cmocka_unit_test(test_what_the_snapshot_has_comes_not_again),
        cmocka_unit_test(test_quotes_from_one_leg),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
