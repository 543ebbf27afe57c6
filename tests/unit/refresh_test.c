/* refresh_test.c - books that are repeated on the ring: late and overtaken readers get right books, others see
 * nothing of it.
 *
 * Seed:     TWT_SEED, else a fixed one; a failure prints it. */
#include "engine/fanout/refresh.h"
#include "tests/support/fanout_rig.h"

#define INTERVAL_NS INT64_C(40000000)

enum { RING_SLOTS = 4096, EVENTS_PER_ROUND = 40 };

/* A reader of the ring with books of its own, as a program on the same host would have them. */
typedef struct late_reader {
    tw_ring_reader *reader;
    int64_t amounts[TWT_INSTRUMENTS][TWT_LEVELS];
    uint8_t begun[TWT_INSTRUMENTS];
    uint64_t lost, refreshes;
} late_reader;

static void reader_open(late_reader *r, twt_world *w)
{
    memset(r, 0, sizeof *r);
    assert_int_equal(tw_ring_reader_open(w->ring, &r->reader), TW_OK);
}

static void reader_take(late_reader *r, const tw_event *event)
{
    if (event->kind != TW_EVENT_LEVEL)
        return;
    if ((event->flags & (TW_FLAG_SNAPSHOT | TW_FLAG_FIRST)) == (TW_FLAG_SNAPSHOT | TW_FLAG_FIRST)) {
        memset(r->amounts[event->instrument], 0, sizeof r->amounts[0]);
        r->begun[event->instrument] = 1;
        r->refreshes += (event->flags & TW_FLAG_REFRESH) != 0;
    }
    if (r->begun[event->instrument])
        r->amounts[event->instrument][TWT_BEST_PRICE - event->u.level.price] = event->u.level.amount;
}

static void reader_read(late_reader *r)
{
    tw_event batch[64];
    uint64_t lost;
    size_t count;
    do {
        lost = 0;
        count = tw_ring_read(r->reader, batch, 64, &lost);
        if (lost > 0)
            memset(r->begun, 0, sizeof r->begun);
        r->lost += lost;
        for (size_t i = 0; i < count; i++)
            reader_take(r, &batch[i]);
    } while (count > 0 || lost > 0);
}

static void reader_check(const late_reader *r, const twt_world *w, int all)
{
    for (uint32_t i = 0; i < TWT_INSTRUMENTS; i++) {
        assert_true(r->begun[i] || !all);
        if (r->begun[i])
            assert_memory_equal(r->amounts[i], w->amounts[i], sizeof w->amounts[i]);
    }
}

/* ---- the world with a refresher on its ring ---- */

typedef struct rig {
    twt_world *world;
    twi_refresh refresh;
    tw_ring_reader *tap; /* what the feeds commit, which the runtime sees in its sink */
    int64_t now_ns;
} rig;

static void rig_open(rig *r, uint64_t seed)
{
    memset(r, 0, sizeof *r);
    r->world = twt_world_open((twt_world_options){.seed = seed});
    r->now_ns = r->world->time_ns;
    twi_refresh_config config = {
        .symbols = tw_ring_symbols(r->world->ring),
        .instrument_count_max = TWT_INSTRUMENTS,
        .depth_max = 50,
        .event_max = RING_SLOTS / 4,
        .interval_ns = INTERVAL_NS,
    };
    assert_int_equal(twi_refresh_open(&r->refresh, &config), TW_OK);
    assert_int_equal(tw_ring_reader_open(r->world->ring, &r->tap), TW_OK);
}

static void rig_close(rig *r)
{
    tw_ring_reader_close(r->tap);
    twi_refresh_close(&r->refresh);
    twt_world_close(r->world);
}

/* After each message of the feeds. */
static uint32_t rig_step(rig *r, int64_t pass_ns)
{
    tw_event event;
    uint64_t lost = 0;
    while (tw_ring_read(r->tap, &event, 1, &lost) == 1)
        twi_refresh_note(&r->refresh, &event);
    assert_int_equal(lost, 0);
    tw_sink sink = tw_ring_sink(r->world->ring);
    int64_t next_ns = INT64_MAX;
    r->now_ns += pass_ns;
    uint32_t put = twi_refresh_step(&r->refresh, r->now_ns, &sink, &next_ns);
    assert_true(next_ns > r->now_ns && next_ns <= r->now_ns + INTERVAL_NS);
    while (tw_ring_read(r->tap, &event, 1, &lost) == 1)
        assert_true(event.flags & TW_FLAG_REFRESH);
    return put;
}

static void whole_interval(rig *r)
{
    for (uint32_t i = 0; i < TWT_INSTRUMENTS + 1; i++)
        rig_step(r, INTERVAL_NS / TWT_INSTRUMENTS);
}

/* ---- tests ---- */

static void test_late_reader(void **state)
{
    (void)state;
    rig r;
    rig_open(&r, 1);
    late_reader late;
    for (uint32_t i = 0; i < TWT_INSTRUMENTS; i++) {
        twt_put_book(r.world, i, 1, TWT_LEVELS);
        rig_step(&r, 1);
    }
    reader_open(&late, r.world);
    twt_put_book(r.world, 0, 0, 5);
    rig_step(&r, 1);
    reader_read(&late);
    assert_false(late.begun[0]); /* changes alone are no book */
    whole_interval(&r);
    twt_put_book(r.world, 0, 0, 7);
    rig_step(&r, 0);
    reader_read(&late);
    reader_check(&late, r.world, 1);
    assert_true(late.refreshes >= TWT_INSTRUMENTS);
    /* Bandwidth: each book once per interval, whatever the number of steps. */
    uint64_t before = late.refreshes;
    for (int i = 0; i < 1000; i++)
        rig_step(&r, INTERVAL_NS / 100);
    reader_read(&late);
    assert_in_range(late.refreshes - before, 9 * TWT_INSTRUMENTS, 10 * TWT_INSTRUMENTS);
    tw_ring_reader_close(late.reader);
    rig_close(&r);
}

/* Who has the book gets nothing: no message, no number, no status. */
static void test_nothing_for_subscribers(void **state)
{
    (void)state;
    rig r;
    rig_open(&r, 2);
    for (uint32_t i = 0; i < TWT_INSTRUMENTS; i++)
        twt_put_book(r.world, i, 1, TWT_LEVELS);
    twt_settle(r.world);
    rig_step(&r, 1);
    uint64_t seqs[TWT_TOPICS];
    for (uint32_t topic = 0; topic < TWT_TOPICS; topic++) {
        seqs[topic] = r.world->publisher->topic_seq[topic];
        atomic_store(&r.world->publisher->codecs[0].interest[topic], 1);
    }
    uint64_t index = r.world->publisher->codecs[0].log.write_index;
    whole_interval(&r);
    twt_settle(r.world);
    assert_int_equal(r.world->publisher->codecs[0].log.write_index, index);
    assert_memory_equal(r.world->publisher->topic_seq, seqs, sizeof seqs);
    twt_put_book(r.world, 0, 0, 3);
    twt_settle(r.world);
    assert_int_equal(r.world->publisher->topic_seq[twi_topic(0, TWI_SLOT_BOOK)], seqs[twi_topic(0, TWI_SLOT_BOOK)] + 1);
    for (uint32_t topic = 0; topic < TWT_TOPICS; topic++)
        atomic_store(&r.world->publisher->codecs[0].interest[topic], 0);
    rig_close(&r);
}

/* A publisher that was overtaken says so, and is repaired without a snapshot of the venue. */
static void test_overtaken_publisher(void **state)
{
    (void)state;
    rig r;
    rig_open(&r, 3);
    for (uint32_t i = 0; i < TWT_INSTRUMENTS; i++)
        twt_put_book(r.world, i, 1, TWT_LEVELS);
    twt_settle(r.world);
    rig_step(&r, 1);
    uint32_t topic = twi_topic(0, TWI_SLOT_BOOK), status_topic = twi_topic(0, TWI_SLOT_STATUS);
    uint64_t seq = r.world->publisher->topic_seq[topic], status_seq = r.world->publisher->topic_seq[status_topic];
    for (int i = 0; i < 2 * RING_SLOTS / 3; i++) {
        twt_put_book(r.world, (uint32_t)i % TWT_INSTRUMENTS, 0, 3);
        rig_step(&r, 0);
    }
    twt_settle(r.world);
    const twi_market_instrument *book = &r.world->publisher->market.instruments[0];
    assert_int_equal(book->book_state, TW_STATE_GAP);
    twt_put_book(r.world, 0, 0, 3); /* what comes meanwhile is not told */
    rig_step(&r, 0);
    twt_settle(r.world);
    assert_int_equal(r.world->publisher->topic_seq[topic], seq);
    whole_interval(&r);
    twt_settle(r.world);
    assert_int_equal(book->book_state, TW_STATE_OK);
    assert_int_equal(r.world->publisher->topic_seq[topic], seq + 1);
    assert_int_equal(r.world->publisher->topic_seq[status_topic], status_seq + 2); /* gap, ok */
    assert_int_equal(book->status.u.status.state, TW_STATE_OK);
    assert_int_equal(book->status.u.status.reason, TW_REASON_RESYNC);
    uint32_t levels = 0;
    for (uint32_t i = 0; i < TWT_LEVELS; i++)
        levels += r.world->amounts[0][i] != 0;
    assert_int_equal(twi_book_count(book->book, TWI_BID), levels);
    rig_close(&r);
}

/* A book that its feed calls broken is not repeated until it is right again. */
static void test_broken_book(void **state)
{
    (void)state;
    rig r;
    rig_open(&r, 4);
    late_reader late;
    twt_put_book(r.world, 0, 1, 10);
    tw_event gap = twt_event(r.world, 0, TW_EVENT_STATUS);
    gap.u.status.state = TW_STATE_GAP;
    twt_put(r.world, &gap);
    rig_step(&r, 1);
    reader_open(&late, r.world);
    whole_interval(&r);
    reader_read(&late);
    assert_int_equal(late.refreshes, 0);
    twt_put_book(r.world, 0, 1, 10);
    rig_step(&r, 0);
    whole_interval(&r);
    reader_read(&late);
    assert_int_equal(late.refreshes, 1);
    reader_check(&late, r.world, 0);
    tw_ring_reader_close(late.reader);
    rig_close(&r);
}

/* Not in the middle of a group; an abandoned one does not hold it up for ever. */
static void test_between_groups(void **state)
{
    (void)state;
    rig r;
    rig_open(&r, 5);
    twt_put_book(r.world, 0, 1, 10);
    rig_step(&r, 1);
    tw_event level = twt_event(r.world, 0, TW_EVENT_LEVEL);
    level.flags = TW_FLAG_FIRST;
    level.u.level.price = TWT_BEST_PRICE;
    twt_put(r.world, &level);
    for (int i = 0; i < 20; i++) {
        tw_event event;
        uint64_t lost = 0;
        while (tw_ring_read(r.tap, &event, 1, &lost) == 1)
            twi_refresh_note(&r.refresh, &event);
        tw_sink sink = tw_ring_sink(r.world->ring);
        int64_t next_ns = INT64_MAX;
        r.now_ns += INTERVAL_NS;
        assert_int_equal(twi_refresh_step(&r.refresh, r.now_ns, &sink, &next_ns), 0);
    }
    tw_event status = twt_event(r.world, 0, TW_EVENT_STATUS);
    status.u.status.state = TW_STATE_OK;
    twt_put(r.world, &status);
    uint32_t put = 0;
    for (uint32_t i = 0; i < TWT_INSTRUMENTS; i++)
        put += rig_step(&r, INTERVAL_NS);
    assert_true(put > 0);
    rig_close(&r);
}

/* Anything at any time: a reader that begins at any moment, and is overtaken at times, never has a wrong book. */
static void test_any_time(void **state)
{
    (void)state;
    const char *given = getenv("TWT_SEED");
    uint64_t seed = given != NULL ? strtoull(given, NULL, 0) : 77;
    print_message("seed %llu\n", (unsigned long long)seed);
    rig r;
    rig_open(&r, seed);
    late_reader late;
    uint64_t lost = 0;
    reader_open(&late, r.world);
    for (int round = 0; round < 600; round++) {
        for (int i = 0; i < EVENTS_PER_ROUND; i++) {
            twt_put_any(r.world);
            rig_step(&r, (int64_t)(twt_random(r.world) % (uint64_t)(INTERVAL_NS / 16)));
        }
        if (twt_random(r.world) % 12 == 0) {
            reader_read(&late);
            reader_check(&late, r.world, 0);
        }
        if (twt_random(r.world) % 16 == 0)
            twt_settle(r.world); /* the publisher is overtaken at times, too */
        if (twt_random(r.world) % 64 == 0) {
            lost += late.lost;
            tw_ring_reader_close(late.reader);
            reader_open(&late, r.world);
        }
    }
    for (uint32_t i = 0; i < TWT_INSTRUMENTS; i++)
        twt_put_book(r.world, i, 1, 10);
    rig_step(&r, 0);
    whole_interval(&r);
    reader_read(&late);
    reader_check(&late, r.world, 1);
    assert_true(lost + late.lost > 0);
    tw_ring_reader_close(late.reader);
    rig_close(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_late_reader),         cmocka_unit_test(test_nothing_for_subscribers),
        cmocka_unit_test(test_overtaken_publisher), cmocka_unit_test(test_broken_book),
        cmocka_unit_test(test_between_groups),      cmocka_unit_test(test_any_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
