/* replay_test.c - a capture is played as it was recorded: the same events, in whole groups, when they are due. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "feed/replay.h"
#include "feed/sim.h"

enum { SYMBOL_CAP = 64, EVENT_CAP = 1 << 16, RATE = 1000, START_NS = 1000000000 };
static const int64_t later_ns = INT64_C(5000000000000);

typedef struct event_list {
    tw_event events[EVENT_CAP];
    size_t count;
} event_list;

static tw_event *claim(void *owner)
{
    event_list *list = owner;
    assert_true(list->count < EVENT_CAP);
    return &list->events[list->count];
}

static void commit(void *owner)
{
    ((event_list *)owner)->count++;
}

typedef struct fixture {
    uint8_t *symbol_memory[2];
    tw_symbols *symbols, *other_symbols; /* the recorder's, and an empty table for the player */
    event_list *made, *played;
    char path[64];
} fixture;

static tw_symbols *new_symbols(uint8_t **memory)
{
    *memory = aligned_alloc(64, (tw_symbols_size(SYMBOL_CAP) + 63) / 64 * 64);
    return tw_symbols_init(*memory, SYMBOL_CAP);
}

static void run(const tw_source *source, int64_t now_ns, size_t event_max, event_list *list, int64_t *next_ns)
{
    tw_sink sink = {claim, commit, list};
    size_t before = list->count, count = source->ops->step(source->state, now_ns, event_max, &sink, next_ns);
    assert_int_equal(count, list->count - before);
}

static int set_up(void **state)
{
    fixture *it = calloc(1, sizeof(*it));
    it->symbols = new_symbols(&it->symbol_memory[0]);
    it->other_symbols = new_symbols(&it->symbol_memory[1]);
    it->made = calloc(1, sizeof(event_list));
    it->played = calloc(1, sizeof(event_list));
    tw_source source;
    char error[256];
    twi_sim_options options = {
        .seed = 3, .instrument_count = 4, .rate_per_second = RATE, .start_ns = START_NS, .message_count_max = 3 * RATE};
    assert_int_equal(twi_sim_open(&options, it->symbols, &source, error, sizeof(error)), TW_OK);
    for (int64_t next_ns = START_NS; next_ns != INT64_MAX;)
        run(&source, next_ns, 64, it->made, &next_ns);
    source.ops->fini(source.state);
    snprintf(it->path, sizeof(it->path), "/tmp/tickwire-replay-XXXXXX");
    close(mkstemp(it->path));
    *state = it;
    return 0;
}

static int tear_down(void **state)
{
    fixture *it = *state;
    unlink(it->path);
    free(it->symbol_memory[0]);
    free(it->symbol_memory[1]);
    free(it->made);
    free(it->played);
    free(it);
    return 0;
}

/* Writes the events; a loss of `lost` events stands in the middle if that is not 0. */
static void record(const fixture *it, uint64_t lost, int is_closed)
{
    twi_capture_writer *writer;
    char error[256];
    twi_capture_options options = {.block_bytes = TWI_CAPTURE_BLOCK_BYTES_MIN, .compression = 1, .replaces = 1};
    assert_int_equal(twi_capture_create(it->path, &options, &writer, error, sizeof(error)), TW_OK);
    size_t half = it->made->count / 2;
    while (!(it->made->events[half - 1].flags & TW_FLAG_LAST))
        half++;
    assert_int_equal(twi_capture_events(writer, it->symbols, it->made->events, half), TW_OK);
    if (lost != 0)
        assert_int_equal(twi_capture_loss(writer, it->made->events[half].recv_ns, lost), TW_OK);
    assert_int_equal(twi_capture_events(writer, it->symbols, it->made->events + half, it->made->count - half), TW_OK);
    uint64_t bytes = twi_capture_bytes_written(writer);
    assert_int_equal(twi_capture_close(writer, error, sizeof(error)), TW_OK);
    if (!is_closed)
        assert_int_equal(truncate(it->path, (off_t)bytes - 10), 0);
}

static tw_source open_replay(fixture *it, const twi_replay_options *options, tw_symbols *symbols)
{
    tw_source source;
    char error[256] = "";
    if (twi_replay_open(it->path, options, symbols, &source, error, sizeof(error)) != TW_OK)
        fail_msg("%s", error);
    it->played->count = 0;
    return source;
}

static void the_same_events_come_again(void **state)
{
    fixture *it = *state;
    record(it, 0, 1);
    static const size_t maxima[] = {1, 50, 4096};
    for (size_t i = 0; i < 3; i++) {
        tw_source source =
            open_replay(it, &(twi_replay_options){.speed_permille = TWI_REPLAY_FULL_SPEED}, it->other_symbols);
        for (int64_t next_ns = 0; next_ns != INT64_MAX;) {
            size_t before = it->played->count;
            run(&source, later_ns, maxima[i], it->played, &next_ns);
            size_t count = it->played->count - before;
            assert_true(count == 0 || (it->played->events[it->played->count - 1].flags & TW_FLAG_LAST));
            assert_true(count <= maxima[i] || (it->played->events[before].flags & TW_FLAG_FIRST));
        }
        assert_int_equal(it->played->count, it->made->count);
        assert_memory_equal(it->played->events, it->made->events, it->made->count * sizeof(tw_event));
        assert_int_equal(twi_replay_get_stats(&source)->events, it->made->count);
        assert_int_equal(twi_replay_get_info(&source)->event_count, it->made->count);
        source.ops->fini(source.state);
    }
    assert_int_equal(tw_symbols_count(it->other_symbols), 4);
}

static void instruments_keep_their_meaning_in_a_table_that_has_others(void **state)
{
    fixture *it = *state;
    record(it, 0, 1);
    uint32_t other;
    assert_int_equal(tw_symbols_intern(it->other_symbols, "kraken", 6, "BTC/USD", 7, NULL, 0, &other), TW_OK);
    tw_source source =
        open_replay(it, &(twi_replay_options){.speed_permille = TWI_REPLAY_FULL_SPEED}, it->other_symbols);
    for (int64_t next_ns = 0; next_ns != INT64_MAX;)
        run(&source, later_ns, 4096, it->played, &next_ns);
    assert_int_equal(it->played->count, it->made->count);
    for (size_t i = 0; i < it->made->count; i++) {
        const tw_instrument *made = tw_symbols_get(it->symbols, it->made->events[i].instrument);
        const tw_instrument *played = tw_symbols_get(it->other_symbols, it->played->events[i].instrument);
        assert_string_equal(made->symbol, played->symbol);
    }
    source.ops->fini(source.state);
}

static void check_pace(fixture *it, uint32_t speed_permille, int64_t step_ns)
{
    twi_replay_options options = {.speed_permille = speed_permille, .rebases_recv = 1, .start_ns = later_ns};
    tw_source source = open_replay(it, &options, it->other_symbols);
    int64_t next_ns = 0;
    run(&source, later_ns - 1, 4096, it->played, &next_ns);
    assert_int_equal(it->played->count, 0);
    assert_int_equal(next_ns, later_ns);
    for (int64_t now_ns = later_ns; next_ns != INT64_MAX; now_ns += step_ns) {
        size_t before = it->played->count;
        run(&source, now_ns, EVENT_CAP, it->played, &next_ns);
        assert_true(next_ns > now_ns);
        for (size_t i = before; i < it->played->count; i++) {
            int64_t due_ns = later_ns + (it->made->events[i].recv_ns - START_NS) * 1000 / speed_permille;
            assert_int_equal(it->played->events[i].recv_ns, due_ns);
            assert_true(due_ns <= now_ns && due_ns > now_ns - step_ns);
            assert_int_equal(it->played->events[i].venue_ns, it->made->events[i].venue_ns);
        }
    }
    assert_int_equal(it->played->count, it->made->count);
    source.ops->fini(source.state);
}

static void events_come_when_they_are_due(void **state)
{
    fixture *it = *state;
    record(it, 0, 1);
    check_pace(it, 1000, 7000000);
    check_pace(it, 2000, 999999);
    check_pace(it, 333, 50000000);
    check_pace(it, 100000, 1000);
}

static void a_part_can_be_played(void **state)
{
    fixture *it = *state;
    record(it, 0, 1);
    twi_replay_options options = {.speed_permille = TWI_REPLAY_FULL_SPEED,
                                  .from_ns = START_NS + INT64_C(1000000000),
                                  .until_ns = START_NS + INT64_C(2000000000)};
    tw_source source = open_replay(it, &options, it->other_symbols);
    for (int64_t next_ns = 0; next_ns != INT64_MAX;)
        run(&source, later_ns, 256, it->played, &next_ns);
    size_t expected = 0, first = 0;
    for (size_t i = 0; i < it->made->count; i++) {
        if (it->made->events[i].recv_ns < options.from_ns || it->made->events[i].recv_ns >= options.until_ns)
            continue;
        first = expected++ == 0 ? i : first;
    }
    assert_int_equal(it->played->count, expected);
    assert_memory_equal(it->played->events, it->made->events + first, expected * sizeof(tw_event));
    source.ops->fini(source.state);
}

static void it_can_be_played_again_and_again(void **state)
{
    fixture *it = *state;
    record(it, 0, 1);
    twi_replay_options options = {.repeat_count = 3, .rebases_recv = 1, .start_ns = later_ns};
    tw_source source = open_replay(it, &options, it->other_symbols);
    for (int64_t next_ns = later_ns; next_ns != INT64_MAX;)
        run(&source, next_ns, 4096, it->played, &next_ns);
    assert_int_equal(it->played->count, 3 * it->made->count);
    for (size_t i = 1; i < it->played->count; i++)
        assert_true(it->played->events[i].recv_ns >= it->played->events[i - 1].recv_ns);
    source.ops->fini(source.state);
}

static void what_the_recorder_missed_is_told_to_every_instrument(void **state)
{
    fixture *it = *state;
    record(it, 123, 1);
    tw_source source =
        open_replay(it, &(twi_replay_options){.speed_permille = TWI_REPLAY_FULL_SPEED}, it->other_symbols);
    for (int64_t next_ns = 0; next_ns != INT64_MAX;)
        run(&source, later_ns, 64, it->played, &next_ns);
    unsigned told = 0;
    for (size_t i = 0; i < it->played->count; i++) {
        const tw_event *event = &it->played->events[i];
        if (event->kind != TW_EVENT_STATUS || event->u.status.state != TW_STATE_GAP)
            continue;
        assert_int_equal(event->u.status.reason, TW_REASON_RING_LAPPED);
        assert_int_equal(event->u.status.to - event->u.status.from + 1, 123);
        told |= 1u << event->instrument;
    }
    assert_int_equal(told, 15);
    assert_int_equal(twi_replay_get_stats(&source)->lost, 123);
    assert_int_equal(it->played->count, it->made->count + 4);
    source.ops->fini(source.state);
}

static void a_torn_capture_is_played_to_the_tear(void **state)
{
    fixture *it = *state;
    record(it, 0, 0);
    tw_source source =
        open_replay(it, &(twi_replay_options){.speed_permille = TWI_REPLAY_FULL_SPEED}, it->other_symbols);
    for (int64_t next_ns = 0; next_ns != INT64_MAX;)
        run(&source, later_ns, 4096, it->played, &next_ns);
    assert_true(it->played->count < it->made->count && it->played->count > it->made->count - 200);
    assert_memory_equal(it->played->events, it->made->events, it->played->count * sizeof(tw_event));
    assert_true(twi_replay_get_info(&source)->torn_bytes > 0);
    source.ops->fini(source.state);
}

static void what_cannot_be_played_is_refused(void **state)
{
    fixture *it = *state;
    twi_replay_options options = {0};
    tw_source source;
    char error[256] = "";
    assert_int_equal(twi_replay_open("/nonexistent", &options, it->symbols, &source, error, sizeof(error)), TW_IO);
    assert_true(error[0] != '\0');
    twi_capture_writer *writer;
    twi_capture_options capture = {.replaces = 1};
    assert_int_equal(twi_capture_create(it->path, &capture, &writer, error, sizeof(error)), TW_OK);
    assert_int_equal(twi_capture_close(writer, error, sizeof(error)), TW_OK);
    assert_int_equal(twi_replay_open(it->path, &options, it->symbols, &source, error, sizeof(error)), TW_NOT_SUPPORTED);
    record(it, 0, 1);
    uint8_t *memory = aligned_alloc(64, (tw_symbols_size(2) + 63) / 64 * 64);
    tw_symbols *small = tw_symbols_init(memory, 2);
    assert_int_equal(twi_replay_open(it->path, &options, small, &source, error, sizeof(error)), TW_FULL);
    free(memory);
}

/* ---- frames of a venue ---- */

static void write_recording(const fixture *it)
{
    static const char text[] =
        "wss://stream.binance.com:9443/stream?streams=btcusdt@trade/btcusdt@bookTicker <-> 1700000000\n"
        "1700000001: {\"stream\":\"btcusdt@trade\",\"data\":{\"e\":\"trade\",\"E\":1700000000990,\"s\":\"BTCUSDT\","
        "\"t\":77,\"p\":\"35000.10\",\"q\":\"0.5\",\"T\":1700000000980,\"m\":true,\"M\":true}}\n"
        "what is this\n"
        "1700000001.5: {\"stream\":\"btcusdt@bookTicker\",\"data\":{\"u\":1,\"s\":\"BTCUSDT\",\"b\":\"35000.00\","
        "\"B\":\"1\",\"a\":\"35000.10\",\"A\":\"2\"}}\n"
        "1700000003: {\"stream\":\"btcusdt@trade\",\"data\":{\"e\":\"trade\",\"E\":1700000002990,\"s\":\"BTCUSDT\","
        "\"t\":78,\"p\":\"35000.20\",\"q\":\"0.25\",\"T\":1700000002980,\"m\":false,\"M\":true}}\n";
    FILE *file = fopen(it->path, "w");
    assert_non_null(file);
    assert_int_equal(fwrite(text, 1, sizeof(text) - 1, file), sizeof(text) - 1);
    fclose(file);
}

static size_t count_kind(const event_list *list, uint8_t kind)
{
    size_t count = 0;
    for (size_t i = 0; i < list->count; i++)
        count += list->events[i].kind == kind;
    return count;
}

static void frames_go_through_the_venues_adapter(void **state)
{
    fixture *it = *state;
    write_recording(it);
    tw_source source =
        open_replay(it, &(twi_replay_options){.speed_permille = TWI_REPLAY_FULL_SPEED}, it->other_symbols);
    for (int64_t next_ns = 0; next_ns != INT64_MAX;)
        run(&source, later_ns, 1, it->played, &next_ns);
    assert_int_equal(count_kind(it->played, TW_EVENT_TRADE), 2);
    assert_int_equal(count_kind(it->played, TW_EVENT_QUOTE), 1);
    assert_int_equal(twi_replay_get_stats(&source)->frames, 4);
    assert_int_equal(twi_replay_get_stats(&source)->events, it->played->count);
    assert_int_equal(twi_replay_get_recording_stats(&source)->bad_lines, 1);
    assert_string_equal(twi_replay_get_player(&source)->ops->name, "binance");
    assert_null(twi_replay_get_info(&source));
    const tw_event *first = &it->played->events[0];
    while (first->kind != TW_EVENT_TRADE)
        first++;
    assert_int_equal(first->u.trade.price, 3500010);
    assert_int_equal(first->recv_ns, INT64_C(1700000001000000000));
    assert_string_equal(tw_symbols_get(it->other_symbols, first->instrument)->symbol, "BTC/USDT");
    source.ops->fini(source.state);
}

static void frames_come_when_they_are_due(void **state)
{
    fixture *it = *state;
    write_recording(it);
    const twi_replay_options options = {
        .speed_permille = 2000, .rebases_recv = 1, .start_ns = later_ns, .repeat_count = 2};
    tw_source source = open_replay(it, &options, it->other_symbols);
    static const int64_t due_ms[] = {500, 1500, 2000,
                                     3000}; /* trades: 1 s and 3 s after the start, twice as fast, twice */
    size_t trades = 0;
    for (int64_t next_ns = later_ns; next_ns != INT64_MAX;) {
        size_t before = it->played->count;
        run(&source, next_ns, 64, it->played, &next_ns);
        for (size_t i = before; i < it->played->count; i++) {
            if (it->played->events[i].kind != TW_EVENT_TRADE)
                continue;
            assert_true(trades < 4);
            assert_int_equal(it->played->events[i].recv_ns, later_ns + due_ms[trades++] * 1000000);
        }
    }
    assert_int_equal(trades, 4);
    source.ops->fini(source.state);
}

static void speeds_are_read(void **state)
{
    (void)state;
    uint32_t permille;
    assert_true(twi_replay_parse_speed("original", &permille) == TW_OK && permille == 1000);
    assert_true(twi_replay_parse_speed("max", &permille) == TW_OK && permille == TWI_REPLAY_FULL_SPEED);
    assert_true(twi_replay_parse_speed("2.5", &permille) == TW_OK && permille == 2500);
    assert_true(twi_replay_parse_speed("0.001", &permille) == TW_OK && permille == 1);
    static const char *const wrong[] = {"", "fast", "0", "-1", "0.0001", "1e9", "2x"};
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
        assert_int_equal(twi_replay_parse_speed(wrong[i], &permille), TW_MALFORMED);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(the_same_events_come_again),           TEST(instruments_keep_their_meaning_in_a_table_that_has_others),
        TEST(events_come_when_they_are_due),        TEST(a_part_can_be_played),
        TEST(it_can_be_played_again_and_again),     TEST(what_the_recorder_missed_is_told_to_every_instrument),
        TEST(a_torn_capture_is_played_to_the_tear), TEST(what_cannot_be_played_is_refused),
        TEST(frames_go_through_the_venues_adapter), TEST(frames_come_when_they_are_due),
        cmocka_unit_test(speeds_are_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
