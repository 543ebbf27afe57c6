/* sim_test.c - the simulated market keeps its promises: repeatable, never crossed, groups whole, quotes and trades
 * consistent with the book, times as scheduled. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "feed/sim.h"
#include "feed/sim_arrival.h"
#include "feed/sim_listing.h"

enum { SYMBOL_CAP = 4096, EVENT_CAP = 1 << 16, START_NS = 1000000000 };

/* ---- a sink that keeps the events of one step ---- */
typedef struct array_sink {
    tw_event *events;
    size_t count;
    tw_sink sink;
} array_sink;

static tw_event *array_claim(void *owner)
{
    array_sink *array = owner;
    assert_true(array->count < EVENT_CAP);
    return &array->events[array->count];
}

static void array_commit(void *owner)
{
    ((array_sink *)owner)->count++;
}

typedef struct fixture {
    void *symbol_memory;
    tw_symbols *symbols;
    array_sink array;
    tw_source source;
} fixture;

static fixture open_sim(const twi_sim_options *options)
{
    fixture it = {.symbol_memory = aligned_alloc(64, (tw_symbols_size(SYMBOL_CAP) + 63) / 64 * 64)};
    it.symbols = tw_symbols_init(it.symbol_memory, SYMBOL_CAP);
    it.array.events = malloc(EVENT_CAP * sizeof(tw_event));
    memset(it.array.events, 0xa5, EVENT_CAP * sizeof(tw_event)); /* every byte of an event must be written */
    char error[256] = "";
    tw_status status = twi_sim_open(options, it.symbols, &it.source, error, sizeof(error));
    if (status != TW_OK)
        fail_msg("open: %s", error);
    return it;
}

static size_t step(fixture *it, int64_t now_ns, size_t event_max, int64_t *next_ns)
{
    it->array.count = 0;
    it->array.sink = (tw_sink){.claim = array_claim, .commit = array_commit, .owner = &it->array};
    size_t count = it->source.ops->step(it->source.state, now_ns, event_max, &it->array.sink, next_ns);
    assert_int_equal(count, it->array.count);
    return count;
}

static void close_sim(fixture *it)
{
    it->source.ops->fini(it->source.state);
    free(it->array.events);
    free(it->symbol_memory);
}

/* FNV-1a over eight bytes at a time. */
static uint64_t hash_events(uint64_t hash, const tw_event *events, size_t count)
{
    const unsigned char *bytes = (const unsigned char *)events;
    for (size_t i = 0; i < count * sizeof(tw_event); i += 8) {
        uint64_t word = 0;
        for (int b = 7; b >= 0; b--)
            word = word << 8 | bytes[i + (size_t)b];
        hash = (hash ^ word) * 0x100000001b3u;
    }
    return hash;
}

/* ---- golden streams ---- */
enum { GOLDEN_MESSAGES = 700000 }; /* more than a million events */

static uint64_t stream_hash(const twi_sim_options *options, size_t event_max, int64_t stride_ns, size_t *total)
{
    fixture it = open_sim(options);
    uint64_t hash = 0xcbf29ce484222325u;
    int64_t next_ns = 0;
    *total = 0;
    for (int64_t now_ns = START_NS; next_ns != INT64_MAX;) {
        size_t count = step(&it, now_ns, event_max, &next_ns);
        hash = hash_events(hash, it.array.events, count);
        *total += count;
        if (next_ns > now_ns && next_ns != INT64_MAX)
            now_ns = next_ns + stride_ns;
    }
    close_sim(&it);
    return hash;
}

static void check_golden(twi_sim_mode mode, uint64_t seed, uint64_t expected)
{
    twi_sim_options options = {.seed = seed,
                               .mode = mode,
                               .rate_per_second = 1000000,
                               .start_ns = START_NS,
                               .message_count_max = GOLDEN_MESSAGES};
    size_t totals[3];
    uint64_t fine = stream_hash(&options, 64, 0, &totals[0]);
    uint64_t coarse = stream_hash(&options, 4096, 1234567, &totals[1]);
    uint64_t tiny = stream_hash(&options, 1, 98765, &totals[2]);
    assert_true(fine == coarse && fine == tiny);
    assert_true(totals[0] == totals[1] && totals[0] == totals[2] && totals[0] > 1000000);
    if (fine != expected)
        fail_msg("mode %d seed %llu: hash %#llx", (int)mode, (unsigned long long)seed, (unsigned long long)fine);
}

static void same_seed_gives_the_same_bytes_whenever_it_is_stepped(void **state)
{
    (void)state;
    check_golden(TWI_SIM_FIXED, 1, UINT64_C(0x8f45a995a9a6c530));
    check_golden(TWI_SIM_FIXED, 2, UINT64_C(0xe34c4e5e95ffddee));
    check_golden(TWI_SIM_BURST, 1, UINT64_C(0xdb042a8b93040772));
}

/* ---- an independent book that follows the groups ---- */
typedef struct check_book {
    int64_t amount[2][2048]; /* by price modulo; prices of one instrument stay within a window in these tests */
    int64_t price[2][2048];
    uint64_t venue_seq;
    int32_t is_synced, in_group;
    int64_t best[2], best_amount[2];
    uint64_t trade_id;
} check_book;

static void apply_level(check_book *book, const tw_event *event)
{
    int side = event->flags & TW_FLAG_ASK;
    uint64_t i = (uint64_t)event->u.level.price & 2047;
    book->price[side][i] = event->u.level.price;
    book->amount[side][i] = event->u.level.amount;
}

static void find_best(check_book *book)
{
    book->best[0] = 0;
    book->best[1] = INT64_MAX;
    for (int side = 0; side < 2; side++) {
        for (int i = 0; i < 2048; i++) {
            int64_t price = book->price[side][i];
            if (book->amount[side][i] == 0 || (side == 0 ? price < book->best[0] : price > book->best[1]))
                continue;
            book->best[side] = price;
            book->best_amount[side] = book->amount[side][i];
        }
    }
}

static void follow_level(check_book *book, const tw_event *event, uint32_t depth)
{
    if (event->flags & TW_FLAG_FIRST) {
        assert_false(book->in_group);
        assert_int_equal(event->u.level.venue_seq, book->venue_seq + 1);
        book->in_group = 1;
        book->venue_seq++;
        if (event->flags & TW_FLAG_SNAPSHOT) {
            memset(book->amount, 0, sizeof(book->amount));
            book->is_synced = 1;
        }
    }
    assert_true(book->in_group && book->is_synced);
    assert_int_equal(event->u.level.venue_seq, book->venue_seq);
    assert_true(event->u.level.price > 0 && event->u.level.amount >= 0);
    apply_level(book, event);
    if (!(event->flags & TW_FLAG_LAST))
        return;
    book->in_group = 0;
    find_best(book);
    assert_true(book->best[0] > 0 && book->best[1] != INT64_MAX && book->best[0] < book->best[1]);
    uint32_t levels[2] = {0, 0};
    for (int side = 0; side < 2; side++)
        for (int i = 0; i < 2048; i++)
            levels[side] += book->amount[side][i] != 0;
    assert_true(levels[0] <= depth && levels[1] <= depth && levels[0] >= depth / 2 && levels[1] >= depth / 2);
}

static void follow_event(check_book *book, const tw_event *event, uint32_t depth)
{
    switch (event->kind) {
    case TW_EVENT_LEVEL:
        follow_level(book, event, depth);
        break;
    case TW_EVENT_QUOTE:
        assert_false(book->in_group);
        assert_int_equal(event->u.quote.bid, book->best[0]);
        assert_int_equal(event->u.quote.ask, book->best[1]);
        assert_int_equal(event->u.quote.bid_amount, book->best_amount[0]);
        assert_int_equal(event->u.quote.ask_amount, book->best_amount[1]);
        break;
    case TW_EVENT_TRADE: {
        assert_false(book->in_group);
        assert_int_equal(event->u.trade.id.lo, ++book->trade_id);
        assert_true(event->u.trade.amount > 0 && event->u.trade.price > 0);
        break;
    }
    case TW_EVENT_STATUS:
        assert_int_equal(event->u.status.state, TW_STATE_OK);
        assert_true(book->is_synced);
        break;
    default:
        fail_msg("event kind %d", event->kind);
    }
}

/* A trade is at the touch of the book as it stood, and the next group of the instrument takes its amount out. */
static void check_trade(const check_book *book, const tw_event *event, int is_first_since_group)
{
    int side = event->flags & TW_FLAG_SELL ? 0 : 1;
    if (!is_first_since_group)
        return;
    assert_int_equal(event->u.trade.price, book->best[side]);
    assert_true(event->u.trade.amount <= book->best_amount[side]);
}

static void follow_market(const twi_sim_options *options, size_t wanted)
{
    fixture it = open_sim(options);
    uint32_t count = options->instrument_count;
    check_book *books = calloc(count, sizeof(*books));
    int *has_trades = calloc(count, sizeof(*has_trades));
    uint32_t open_instrument = UINT32_MAX;
    size_t kinds[9] = {0}, seen = 0, snapshots = 0;
    int64_t next_ns = 0;
    while (seen < wanted && next_ns != INT64_MAX) {
        size_t n = step(&it, START_NS, 256, &next_ns);
        for (size_t i = 0; i < n; i++) {
            const tw_event *event = &it.array.events[i];
            assert_true(event->instrument < count);
            assert_true(open_instrument == UINT32_MAX || open_instrument == event->instrument);
            open_instrument = event->flags & TW_FLAG_LAST ? UINT32_MAX : event->instrument;
            check_book *book = &books[event->instrument];
            if (event->kind == TW_EVENT_TRADE && book->is_synced)
                check_trade(book, event, !has_trades[event->instrument]);
            has_trades[event->instrument] =
                event->kind == TW_EVENT_TRADE || (has_trades[event->instrument] && event->kind != TW_EVENT_LEVEL);
            follow_event(book, event, options->book_depth);
            if (event->flags & TW_FLAG_LAST)
                kinds[event->kind]++;
            snapshots += (event->flags & TW_FLAG_LAST) && (event->flags & TW_FLAG_SNAPSHOT);
        }
        seen += n;
        assert_int_equal(open_instrument, UINT32_MAX); /* whole groups only */
    }
    size_t messages = kinds[TW_EVENT_TRADE] + kinds[TW_EVENT_QUOTE] + kinds[TW_EVENT_LEVEL];
    size_t trade_percent = kinds[TW_EVENT_TRADE] * 100 / messages,
           quote_percent = kinds[TW_EVENT_QUOTE] * 100 / messages;
    if (options->trade_share == 0 && options->book_depth > 1) {
        assert_in_range(trade_percent, 18, 22);
        assert_in_range(quote_percent, 27, 33);
    }
    if (options->snapshot_share == 0)
        assert_int_equal(snapshots, count);
    else
        assert_in_range(snapshots * 100 / messages, options->snapshot_share - 2, options->snapshot_share + 2);
    free(has_trades);
    free(books);
    close_sim(&it);
}

static void books_are_never_crossed_and_everything_agrees_with_them(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 3; seed++)
        follow_market(&(twi_sim_options){.seed = seed, .instrument_count = 3, .book_depth = 20}, 300000);
    follow_market(&(twi_sim_options){.seed = 4, .instrument_count = 70, .book_depth = 5}, 300000);
    follow_market(&(twi_sim_options){.seed = 5, .instrument_count = 1, .book_depth = 1}, 100000);
    follow_market(&(twi_sim_options){.seed = 6, .instrument_count = 2, .book_depth = 1000}, 100000);
    follow_market(
        &(twi_sim_options){
            .seed = 7, .instrument_count = 2, .book_depth = 10, .trade_share = 90, .quote_share = 5, .book_share = 5},
        300000);
    follow_market(&(twi_sim_options){.seed = 8,
                                     .instrument_count = 2,
                                     .book_depth = 10,
                                     .trade_share = 30,
                                     .quote_share = 30,
                                     .book_share = 30,
                                     .snapshot_share = 10},
                  300000);
}

static void every_trade_is_in_the_next_group(void **state)
{
    (void)state;
    fixture it = open_sim(&(twi_sim_options){.seed = 11, .instrument_count = 1});
    static check_book book; /* large */
    memset(&book, 0, sizeof(book));
    int64_t next_ns, expected_price = 0;
    int side = 0, trades = 0, checked = 0;
    for (int steps = 0; steps < 2000; steps++) {
        size_t n = step(&it, START_NS, 64, &next_ns);
        for (size_t i = 0; i < n; i++) {
            const tw_event *event = &it.array.events[i];
            if (event->kind == TW_EVENT_TRADE && ++trades == 1) {
                side = event->flags & TW_FLAG_SELL ? 0 : 1;
                expected_price = event->u.trade.price;
            }
            int is_there = 0;
            if (event->kind == TW_EVENT_LEVEL && (event->flags & TW_FLAG_FIRST) && trades == 1) {
                for (size_t j = i;; j++) {
                    const tw_event *level = &it.array.events[j];
                    is_there |= level->u.level.price == expected_price && (level->flags & TW_FLAG_ASK) == side;
                    if (level->flags & TW_FLAG_LAST)
                        break;
                }
                assert_true(is_there);
                checked++;
            }
            if (event->kind == TW_EVENT_LEVEL)
                trades = 0;
            follow_event(&book, event, 20);
        }
    }
    assert_true(checked > 100);
    close_sim(&it);
}

/* ---- times ---- */
static void fixed_times_are_the_intended_ones(void **state)
{
    (void)state;
    fixture it = open_sim(&(twi_sim_options){.rate_per_second = 7, .start_ns = START_NS, .message_count_max = 70});
    int64_t next_ns = 0;
    assert_int_equal(step(&it, START_NS - 1, 4096, &next_ns), 0);
    assert_int_equal(next_ns, START_NS);
    uint64_t messages = 0;
    /* Late by five seconds: everything that was due comes, with the times at which it was due. */
    while (next_ns <= START_NS + INT64_C(5000000000)) {
        size_t n = step(&it, START_NS + INT64_C(5000000000), 512, &next_ns);
        for (size_t i = 0; i < n; i++) {
            const tw_event *event = &it.array.events[i];
            if (event->kind == TW_EVENT_STATUS || (event->flags & TW_FLAG_SNAPSHOT)) {
                assert_int_equal(event->recv_ns, START_NS);
                continue;
            }
            assert_int_equal(event->recv_ns, START_NS + (int64_t)(messages * 1000000000u / 7));
            assert_int_equal(event->venue_ns, event->recv_ns);
            messages += (event->flags & TW_FLAG_LAST) != 0;
        }
    }
    assert_int_equal(messages, 36); /* 0/7 s .. 35/7 s */
    assert_int_equal(next_ns, START_NS + (int64_t)(UINT64_C(36) * 1000000000 / 7));
    while (next_ns != INT64_MAX)
        step(&it, INT64_MAX - 1, 512, &next_ns);
    assert_int_equal(step(&it, INT64_MAX - 1, 512, &next_ns), 0);
    close_sim(&it);
}

static void without_a_rate_the_time_is_the_callers(void **state)
{
    (void)state;
    fixture it = open_sim(&(twi_sim_options){.seed = 3});
    int64_t next_ns;
    for (int64_t now_ns = START_NS; now_ns < START_NS + 100; now_ns++) {
        size_t n = step(&it, now_ns, 256, &next_ns);
        assert_true(n > 0 && n <= 256);
        assert_int_equal(next_ns, now_ns);
        for (size_t i = 0; i < n; i++)
            assert_int_equal(it.array.events[i].recv_ns, now_ns);
    }
    close_sim(&it);
}

static void bursts_keep_the_mean_rate_and_cluster(void **state)
{
    (void)state;
    enum { RATE = 100000, SECONDS = 20, WINDOW_NS = 1000000, WINDOWS = SECONDS * 1000 };
    fixture it = open_sim(&(twi_sim_options){.seed = 9,
                                             .mode = TWI_SIM_BURST,
                                             .rate_per_second = RATE,
                                             .instrument_count = 1,
                                             .start_ns = START_NS,
                                             .trade_share = 1,
                                             .burst_decay_us = 500});
    uint32_t *per_window = calloc(WINDOWS, sizeof(*per_window));
    int64_t next_ns = START_NS, before_ns = 0;
    uint64_t total = 0;
    int64_t end_ns = START_NS + (int64_t)WINDOWS * WINDOW_NS;
    while (next_ns < end_ns) {
        size_t n = step(&it, next_ns, 4096, &next_ns);
        for (size_t i = 0; i < n; i++) {
            int64_t time_ns = it.array.events[i].recv_ns;
            assert_true(time_ns >= before_ns);
            before_ns = time_ns;
            if (time_ns < end_ns)
                per_window[(time_ns - START_NS) / WINDOW_NS]++;
            total++;
        }
    }
    double mean = (double)total / WINDOWS, variance = 0;
    for (int i = 0; i < WINDOWS; i++)
        variance += (per_window[i] - mean) * (per_window[i] - mean) / WINDOWS;
    assert_true(mean > 95 && mean < 105);
    /* A Poisson stream has variance / mean = 1; this kernel tends to 1 / (1 - 0.8)^2 = 25 for long windows. */
    assert_true(variance / mean > 3 && variance / mean < 25);
    free(per_window);
    close_sim(&it);
}

static void fixed_point_logarithm_and_exponential_are_close(void **state)
{
    (void)state;
    twi_sim_arrival arrival;
    twi_sim_arrival_init(&arrival, 1000, 1, 800, 1000, 1);
    static const struct {
        uint64_t x;
        double neg_ln;
    } logs[] = {{UINT64_C(1) << 63, 0.6931472},
                {UINT64_C(1) << 62, 1.3862944},
                {UINT64_MAX, 0},
                {1, 44.3614196},
                {UINT64_C(0xc000000000000000), 0.2876821}};
    for (size_t i = 0; i < sizeof(logs) / sizeof(logs[0]); i++) {
        double got = (double)twi_sim_neg_ln(&arrival, logs[i].x) / 4294967296.0;
        assert_true(got > logs[i].neg_ln - 1e-5 && got < logs[i].neg_ln + 1e-5);
    }
    static const struct {
        double x, exp_neg;
    } exps[] = {{0, 1}, {1, 0.3678794}, {0.1, 0.9048374}, {5, 0.0067379}, {30, 0}};
    for (size_t i = 0; i < sizeof(exps) / sizeof(exps[0]); i++) {
        double got = (double)twi_sim_exp_neg(&arrival, (uint64_t)(exps[i].x * 4294967296.0)) / 4294967296.0;
        assert_true(got > exps[i].exp_neg - 1e-5 && got < exps[i].exp_neg + 1e-5);
    }
}

/* ---- options ---- */
static void expect_refusal(const twi_sim_options *options, tw_status expected, const char *says)
{
    void *memory = aligned_alloc(64, (tw_symbols_size(4) + 63) / 64 * 64);
    tw_symbols *symbols = tw_symbols_init(memory, 4);
    tw_source source;
    char error[256] = "";
    assert_int_equal(twi_sim_open(options, symbols, &source, error, sizeof(error)), expected);
    if (!strstr(error, says))
        fail_msg("error text: %s", error);
    free(memory);
}

static void impossible_options_are_named(void **state)
{
    (void)state;
    expect_refusal(&(twi_sim_options){.instrument_count = 65537}, TW_BAD_CONFIG, "instrument_count");
    expect_refusal(&(twi_sim_options){.book_depth = 2401}, TW_BAD_CONFIG, "book_depth");
    expect_refusal(&(twi_sim_options){.mode = TWI_SIM_BURST}, TW_BAD_CONFIG, "rate_per_second");
    expect_refusal(&(twi_sim_options){.burst_branch_permille = 951}, TW_BAD_CONFIG, "burst_branch_permille");
    expect_refusal(&(twi_sim_options){.exchange = ""}, TW_BAD_CONFIG, "exchange");
    expect_refusal(&(twi_sim_options){.exchange = "a-name-that-is-too-long"}, TW_BAD_CONFIG, "exchange");
    expect_refusal(&(twi_sim_options){.start_ns = -1}, TW_BAD_CONFIG, "start_ns");
    expect_refusal(&(twi_sim_options){.instrument_count = 5}, TW_FULL, "5 instruments");
}

static void listings_are_distinct_and_priced_for_any_depth(void **state)
{
    (void)state;
    fixture it = open_sim(&(twi_sim_options){.instrument_count = 1000});
    assert_int_equal(tw_symbols_count(it.symbols), 1000);
    const tw_instrument *first = tw_symbols_get(it.symbols, 0);
    assert_string_equal(first->exchange, "sim");
    assert_string_equal(first->symbol, "BTC/USDT");
    assert_string_equal(first->venue_id, "BTCUSDT");
    for (uint32_t i = 0; i < 1000; i++) {
        twi_sim_listing listing;
        twi_sim_listing_get(i, &listing);
        assert_true(listing.price >= TWI_SIM_PRICE_TICKS_MIN && listing.lot > 0);
        assert_true(listing.price_exponent < 0 && listing.amount_exponent <= 0);
    }
    close_sim(&it);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(same_seed_gives_the_same_bytes_whenever_it_is_stepped),
        cmocka_unit_test(books_are_never_crossed_and_everything_agrees_with_them),
        cmocka_unit_test(every_trade_is_in_the_next_group),
        cmocka_unit_test(fixed_times_are_the_intended_ones),
        cmocka_unit_test(without_a_rate_the_time_is_the_callers),
        cmocka_unit_test(bursts_keep_the_mean_rate_and_cluster),
        cmocka_unit_test(fixed_point_logarithm_and_exponential_are_close),
        cmocka_unit_test(impossible_options_are_named),
        cmocka_unit_test(listings_are_distinct_and_priced_for_any_depth),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
