/* venue_alloc_test.c - from a venue's frame to events on the ring nothing is allocated: Binance's BTCUSDT stream with
 * trades, quotes, a REST snapshot and deltas, as it was recorded where the recording is (TICKWIRE_RECORDINGS), and as
 * it is written below in any case.
 *
 * Limits:   those of counting_malloc.h. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "feed/recording.h"
#include "tests/unit/counting_malloc.h"
#include "tickwire/feed.h"
#include "tickwire/ring.h"

enum { ROUNDS = 200, MESSAGE_MAX = 1024, ERROR_MAX = 256, PATH_MAX_BYTES = 1024, SYMBOLS = 8, HTTP_OK = 200 };
#define START_NS INT64_C(1723161253937085768)

typedef struct rig {
    const tw_feed_ops *ops;
    void *state;
    tw_ring *ring;
    tw_sink sink;
} rig;

static void rig_open(rig *r)
{
    char error[ERROR_MAX];
    tw_ring_options options = {.slot_count = 4096, .instrument_count_max = SYMBOLS, .mode = 0600};
    tw_feed_config config = {.symbol_count_max = SYMBOLS};
    r->ops = tw_feed_find("binance", 7);
    assert_non_null(r->ops);
    assert_int_equal(tw_ring_open(&options, &r->ring, error, sizeof(error)), TW_OK);
    size_t bytes = (r->ops->state_size(&config) + 63) & ~(size_t)63;
    r->state = aligned_alloc(64, bytes);
    assert_non_null(r->state);
    memset(r->state, 0, bytes);
    assert_int_equal(r->ops->init(r->state, &config, tw_ring_symbols(r->ring)), TW_OK);
    r->sink = tw_ring_sink(r->ring);
}

static void rig_close(rig *r)
{
    r->ops->fini(r->state);
    tw_ring_close(r->ring);
    free(r->state);
}

static tw_status answer(rig *r, int64_t now_ns, const char *url, const uint8_t *body, size_t len)
{
    tw_response response = {.status = HTTP_OK, .url = url, .body = body, .body_len = len};
    return r->ops->on_response(r->state, now_ns, &response, &r->sink);
}

static void check_stats(const rig *r, uint64_t trades_min, uint64_t quotes_min, uint64_t applied_min)
{
    tw_feed_symbol_stats stats;
    assert_int_equal(r->ops->symbol_stats(r->state, 0, &stats), TW_OK);
    assert_int_equal(stats.snapshots, 1);
    assert_int_equal(stats.gaps + stats.crossed, 0);
    assert_true(stats.trades >= trades_min && stats.quotes >= quotes_min && stats.applied >= applied_min);
}

/* One delta, one trade and one quote, each with numbers of its own. */
static void play_round(rig *r, int round, char *text)
{
    unsigned long long seq = 1001ull + (unsigned)round;
    int64_t now_ns = START_NS + round;
    int len = snprintf(text, MESSAGE_MAX,
                       "{\"stream\":\"btcusdt@depth@100ms\",\"data\":{\"e\":\"depthUpdate\",\"E\":1723161255208,\"s\":"
                       "\"BTCUSDT\",\"U\":%llu,\"u\":%llu,\"b\":[[\"61737.%02d000000\",\"0.%02d000000\"],[\"61000."
                       "00000000\",\"0.00000000\"]],\"a\":[[\"61837.%02d000000\",\"1.54698000\"]]}}",
                       seq, seq, round % 100, round % 50, (round * 7) % 100);
    assert_int_equal(r->ops->on_message(r->state, 0, now_ns, (uint8_t *)text, (size_t)len, &r->sink), TW_OK);
    len = snprintf(
        text, MESSAGE_MAX,
        "{\"stream\":\"btcusdt@trade\",\"data\":{\"e\":\"trade\",\"E\":1723161255343,\"s\":\"BTCUSDT\",\"t\":%d,"
        "\"p\":\"61837.63000000\",\"q\":\"0.02000000\",\"T\":1723161255342,\"m\":true,\"M\":true}}",
        round + 1);
    assert_int_equal(r->ops->on_message(r->state, 0, now_ns, (uint8_t *)text, (size_t)len, &r->sink), TW_OK);
    len = snprintf(
        text, MESSAGE_MAX,
        "{\"stream\":\"btcusdt@bookTicker\",\"data\":{\"u\":%llu,\"s\":\"BTCUSDT\",\"b\":\"61737.63000000\",\"B\":"
        "\"3.78826000\",\"a\":\"61837.64000000\",\"A\":\"1.54698000\"}}",
        seq);
    assert_int_equal(r->ops->on_message(r->state, 0, now_ns, (uint8_t *)text, (size_t)len, &r->sink), TW_OK);
}

static void written_frames_allocate_nothing(void **state)
{
    static const char snapshot[] = "{\"lastUpdateId\":1000,\"bids\":[[\"61700.00000000\",\"1.00000000\"]],\"asks\":[["
                                   "\"61900.00000000\",\"1.00000000\"]]}";
    static const char odd[] =
        "{ \"data\" : {\"M\":true,\"e\":\"trade\",\"s\":\"BTCUSDT\",\"p\":\"1.5\",\"q\":\"2\",\"t\":9999999,"
        "\"T\":1723161255342,\"m\":false} }";
    static char text[MESSAGE_MAX];
    rig r;
    (void)state;
    twt_skip_unless_counting();
    rig_open(&r);
    assert_true(twt_allocation_count > 0); /* the counter counts */
    snprintf(text, sizeof(text), "%d", 0); /* the C library's own buffers, if it takes any */
    uint64_t before = twt_allocation_count;
    r.ops->link_up(r.state, 0, START_NS, "wss://stream.binance.com:9443/stream");
    play_round(&r, 0, text); /* waits for the snapshot */
    assert_int_equal(answer(&r, START_NS, "https://api.binance.com/api/v3/depth?symbol=BTCUSDT&limit=5000",
                            (const uint8_t *)snapshot, sizeof(snapshot) - 1),
                     TW_OK);
    for (int round = 1; round < ROUNDS; round++)
        play_round(&r, round, text);
    assert_int_equal(r.ops->on_message(r.state, 0, START_NS, (const uint8_t *)odd, sizeof(odd) - 1, &r.sink), TW_OK);
    assert_int_equal(r.ops->on_message(r.state, 0, START_NS, (const uint8_t *)"{\"e\":[", 6, &r.sink), TW_MALFORMED);
    uint64_t allocations = twt_allocation_count - before;
    check_stats(&r, ROUNDS + 1, ROUNDS, ROUNDS);
    rig_close(&r);
    assert_int_equal(allocations, 0);
}

/* Reading the recording allocates; what the adapter does with a frame must not. */
static void recorded_frames_allocate_nothing(void **state)
{
    char path[PATH_MAX_BYTES], error[ERROR_MAX];
    const char *folder = getenv("TICKWIRE_RECORDINGS");
    twi_recording *recording;
    twi_frame frame;
    rig r;
    (void)state;
    twt_skip_unless_counting();
    snprintf(path, sizeof(path), "%s/binance-spot-btcusdt-20240808",
             folder != NULL ? folder : TWT_SOURCE_DIR "/../shared/data/exchanges");
    if (twi_recording_open(path, &recording, error, sizeof(error)) != TW_OK) {
        print_message("%s is not there: skipped (set TICKWIRE_RECORDINGS)\n", path);
        skip();
    }
    rig_open(&r);
    uint64_t allocations = 0;
    while (twi_recording_next(recording, &frame) == TW_OK) {
        uint64_t before = twt_allocation_count;
        tw_status status = TW_OK;
        if (frame.kind == TWI_FRAME_CONNECT)
            r.ops->link_up(r.state, frame.conn, frame.recv_ns, frame.url);
        else if (frame.kind == TWI_FRAME_RECV)
            status = r.ops->on_message(r.state, frame.conn, frame.recv_ns, frame.bytes, frame.bytes_len, &r.sink);
        else if (frame.kind == TWI_FRAME_HTTP)
            status = answer(&r, frame.recv_ns, frame.url, frame.bytes, frame.bytes_len);
        allocations += twt_allocation_count - before;
        assert_int_equal(status, TW_OK);
    }
    twi_recording_close(recording);
    check_stats(&r, 9000, 20000, 3000);
    rig_close(&r);
    assert_int_equal(allocations, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(written_frames_allocate_nothing),
        cmocka_unit_test(recorded_frames_allocate_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
