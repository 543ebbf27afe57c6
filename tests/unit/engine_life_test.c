/* engine_life_test.c - engines that come and go: a thousand starts and stops in one process leave no descriptor, thread
 * or memory behind, whatever the loop, the threads and the parts; and failed starts leave nothing either. */
#include <dirent.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#if defined(__GLIBC__)
#include <malloc.h>
#endif

#include <cmocka.h>

#include "engine/base/clock.h"
#include "tickwire/engine.h"
#include "tickwire/subscriber.h"

#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SANITIZED 1
#endif
#endif
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1
#endif
#if !defined(SANITIZED)
#define SANITIZED 0
#endif

enum {
    LIVES = SANITIZED ? 60 : 1000,
    WARM_LIVES = SANITIZED ? 12 : 60,
    ERROR_MAX = 1024,
    FAILED_LIVES = LIVES / 5,
    VENUE_LIVES = 6
};
#define MIB                 (1 << 20)
#define HEAP_GROWTH_MAX     4096
#define RESIDENT_GROWTH_MAX (4 * MIB)
#define VENUE_GROWTH_MAX    (32 * MIB) /* a venue takes and gives back large blocks; the heap must not grow at all */
#define DEADLINE_NS         INT64_C(20000000000)

typedef struct life_kind {
    uint32_t parts, drive;
    const char *threads, *loop, *idle;
    int subscribes;
} life_kind;

static const life_kind lives[] = {
    {TW_ENGINE_FEEDS | TW_ENGINE_SERVER, TW_ENGINE_THREADS, "engine.threads=1", "engine.loop=auto", "engine.idle=block",
     1},
    {TW_ENGINE_FEEDS | TW_ENGINE_SERVER, TW_ENGINE_THREADS, "engine.threads=1", "engine.loop=epoll",
     "engine.idle=yield", 1},
    {TW_ENGINE_FEEDS | TW_ENGINE_SERVER, TW_ENGINE_THREADS, "engine.threads=3", "engine.loop=auto", "engine.idle=block",
     1},
    {TW_ENGINE_SERVER, TW_ENGINE_THREADS, "engine.threads=2", "engine.loop=epoll", "engine.idle=block", 0},
    {TW_ENGINE_FEEDS | TW_ENGINE_SERVER, TW_ENGINE_STEPPED, "engine.threads=1", "engine.loop=auto", "engine.idle=block",
     0},
    {TW_ENGINE_FEEDS | TW_ENGINE_SERVER, TW_ENGINE_STEPPED, "engine.threads=1", "engine.loop=epoll",
     "engine.idle=block", 1},
    {TW_ENGINE_FEEDS, TW_ENGINE_THREADS, "engine.threads=1", "engine.loop=auto", "engine.idle=block", 0},
    {0, TW_ENGINE_THREADS, "engine.threads=1", "engine.loop=auto", "engine.idle=block", 0},
};
enum { KINDS = sizeof lives / sizeof lives[0] };

static const char *loop_of(const life_kind *kind)
{
#if defined(__linux__)
    return kind->loop;
#else
    (void)kind;
    return "engine.loop=auto";
#endif
}

/* ---- what is to be counted; -1 where the system does not say ---- */

static long count_entries(const char *folder)
{
    long count = 0;
    DIR *open = opendir(folder);
    if (open == NULL)
        return -1;
    while (readdir(open) != NULL)
        count++;
    closedir(open);
    return count - 2; /* . and .. */
}

/* A joined thread may stand in the list for a moment longer. */
static long count_threads(long expected)
{
    int64_t deadline_ns = twi_monotonic_ns() + DEADLINE_NS;
    long count = count_entries("/proc/self/task");
    while (expected > 0 && count != expected && twi_monotonic_ns() < deadline_ns)
        count = count_entries("/proc/self/task");
    return count;
}

static long heap_bytes(void)
{
#if defined(__GLIBC__) && !SANITIZED
    struct mallinfo2 info = mallinfo2();
    return (long)(info.uordblks + info.hblkhd);
#else
    return -1;
#endif
}

static long resident_bytes(void)
{
    long pages = -1, whole;
    FILE *file = SANITIZED ? NULL : fopen("/proc/self/statm", "r");
    if (file == NULL)
        return -1;
    if (fscanf(file, "%ld %ld", &whole, &pages) != 2)
        pages = -1;
    fclose(file);
    return pages * sysconf(_SC_PAGESIZE);
}

typedef struct holdings {
    long descriptors, threads, heap, resident, mappings;
} holdings;

static long count_mappings(void)
{
    char line[512];
    long count = 0;
    FILE *file = fopen("/proc/self/maps", "r");
    if (file == NULL)
        return -1;
    while (fgets(line, sizeof line, file) != NULL)
        count += strchr(line, '\n') != NULL;
    fclose(file);
    return count;
}

static holdings count_holdings(long threads)
{
    return (holdings){.descriptors = count_entries("/dev/fd"),
                      .threads = count_threads(threads),
                      .heap = heap_bytes(),
                      .resident = resident_bytes(),
                      .mappings = count_mappings()};
}

/* ---- one life ---- */

static void on_message(tw_client *client, const tw_message *message, void *owner)
{
    (void)client, (void)message;
    ++*(uint64_t *)owner;
}

static void subscribe_and_receive(tw_engine *engine, int stepped)
{
    char error[ERROR_MAX], url[64];
    uint64_t messages = 0;
    tw_client_pool *pool;
    tw_client *client;
    tw_client_pool_options options;
    tw_client_pool_options_init(&options);
    options.callbacks.on_message = on_message;
    options.owner = &messages;
    options.topic_count_max = 64;
    options.recv_buffer_count = 4;
    options.loop = "auto";
    if (tw_client_pool_open(&options, &pool, error, sizeof error) != TW_OK)
        fail_msg("%s", error);
    snprintf(url, sizeof url, "ws://127.0.0.1:%u", tw_engine_port(engine));
    tw_subscription all = {.channels = "trade,quote,book", .symbols = "*"};
    tw_client_options to = {.url = url, .subscriptions = &all, .subscription_count = 1, .subscribe_by_url = 1};
    if (tw_client_open(pool, &to, &client, error, sizeof error) != TW_OK)
        fail_msg("%s", error);
    int64_t deadline_ns = twi_monotonic_ns() + DEADLINE_NS;
    while (messages == 0 && twi_monotonic_ns() < deadline_ns) {
        if (stepped)
            tw_engine_step(engine, 0);
        tw_client_pool_poll(pool, stepped ? 0 : 1000000);
    }
    assert_true(messages > 0);
    tw_client_pool_close(pool);
}

static void live(const life_kind *kind, uint32_t number)
{
    char error[ERROR_MAX];
    const char *settings[] = {"listen.port=0",
                              "wire_log.bytes=256KiB",
                              "limits.connections_max=4",
                              "limits.groups_max=4",
                              "ring.slots=256",
                              "ring.instruments_max=16",
                              "book.depth_max=20",
                              "feed.rate=20000",
                              "feed.instruments=2",
                              "engine.stop_timeout=50ms",
                              kind->threads,
                              loop_of(kind),
                              kind->idle};
    tw_engine *engine;
    tw_engine_options options;
    tw_engine_options_init(&options, sizeof options);
    options.settings = settings;
    options.setting_count = sizeof settings / sizeof settings[0];
    options.parts = kind->parts;
    options.drive = kind->drive;
    if (tw_engine_open(&options, &engine, error, sizeof error) != TW_OK)
        fail_msg("life %u: %s", number, error);
    if (kind->drive == TW_ENGINE_THREADS)
        assert_int_equal(tw_engine_start(engine), TW_OK);
    else
        for (int i = 0; i < 3; i++)
            tw_engine_step(engine, 100000);
    if (kind->subscribes && number / KINDS % 4 == 0)
        subscribe_and_receive(engine, kind->drive == TW_ENGINE_STEPPED);
    if (number % 2 == 0)
        tw_engine_stop(engine);
    tw_engine_close(engine);
}

static void compare(holdings before, holdings after, long resident_growth_max)
{
    print_message(
        "descriptors %ld -> %ld, threads %ld -> %ld, mappings %ld -> %ld, heap %ld -> %ld, resident %ld -> %ld\n",
        before.descriptors, after.descriptors, before.threads, after.threads, before.mappings, after.mappings,
        before.heap, after.heap, before.resident, after.resident);
    assert_int_equal(after.descriptors, before.descriptors);
    assert_int_equal(after.threads, before.threads);
    assert_true(SANITIZED || after.mappings <= before.mappings + 16); /* the allocator has some that come and go */
    assert_true(after.heap <= before.heap + HEAP_GROWTH_MAX);
    assert_true(after.resident <= before.resident + resident_growth_max);
}

static void test_a_thousand_lives(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < WARM_LIVES; i++)
        live(&lives[i % KINDS], i);
    holdings before = count_holdings(0);
    for (uint32_t i = 0; i < LIVES; i++)
        live(&lives[i % KINDS], i);
    compare(before, count_holdings(before.threads), RESIDENT_GROWTH_MAX);
}

/* ---- engines whose venue cannot be reached ---- */

static void dial_in_vain(uint32_t number)
{
    char error[ERROR_MAX];
    const char *settings[] = {"listen.port=0",
                              "wire_log.bytes=256KiB",
                              "limits.connections_max=4",
                              "ring.slots=256",
                              "book.depth_max=20",
                              "feed.type=venue",
                              "feed.exchange=binance",
                              "feed.symbols=BTC/USDT",
                              "feed.stream_url=ws://127.0.0.1:1",
                              "feed.rest_url=http://127.0.0.1:1",
                              "feed.proxy=none",
                              number % 2 ? "engine.threads=2" : "engine.threads=1"};
    uint64_t failures = 0;
    tw_engine *engine;
    tw_engine_options options;
    tw_engine_options_init(&options, sizeof options);
    options.settings = settings;
    options.setting_count = sizeof settings / sizeof settings[0];
    options.parts = number % 3 == 0 ? TW_ENGINE_FEEDS : TW_ENGINE_FEEDS | TW_ENGINE_SERVER;
    if (tw_engine_open(&options, &engine, error, sizeof error) != TW_OK)
        fail_msg("%s", error);
    assert_int_equal(tw_engine_start(engine), TW_OK);
    int64_t deadline_ns = twi_monotonic_ns() + DEADLINE_NS;
    while (number % 4 == 0 && failures == 0 && twi_monotonic_ns() < deadline_ns)
        assert_int_equal(tw_engine_counter_find(engine, "tickwire_feed_dials_total", &failures), TW_OK);
    tw_engine_close(engine);
}

static void test_venues_out_of_reach(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < 4; i++)
        dial_in_vain(i);
    holdings before = count_holdings(0);
    for (uint32_t i = 0; i < VENUE_LIVES; i++)
        dial_in_vain(i);
    compare(before, count_holdings(before.threads), VENUE_GROWTH_MAX);
}

/* ---- starts that fail at every stage ---- */

static tw_status refuse(void *owner, tw_symbols *symbols, tw_source *source, char *error, size_t error_cap)
{
    (void)owner, (void)symbols, (void)source;
    snprintf(error, error_cap, "not today");
    return TW_UNAVAILABLE;
}

static void fail_to_live(uint16_t taken, uint32_t number)
{
    char error[ERROR_MAX], port[32];
    snprintf(port, sizeof port, "listen.port=%u", taken);
    const char *settings[] = {"wire_log.bytes=256KiB",
                              "limits.connections_max=4",
                              "ring.slots=256",
                              "book.depth_max=20",
                              port,
                              number % 2 ? "engine.threads=2" : "engine.threads=1"};
    tw_engine_source source = {.name = "refuses", .open = refuse};
    tw_engine *engine;
    tw_engine_options options;
    tw_engine_options_init(&options, sizeof options);
    options.settings = settings;
    options.setting_count = sizeof settings / sizeof settings[0];
    if (number % 3 == 1) {
        options.sources = &source;
        options.source_count = 1;
    } else if (number % 3 == 2) {
        options.config_text = "[listen]\nprot = 1\n";
    }
    assert_int_not_equal(tw_engine_open(&options, &engine, error, sizeof error), TW_OK);
    assert_null(engine);
    assert_true(error[0] != '\0');
}

static void test_failed_starts(void **state)
{
    (void)state;
    const char *settings[] = {"listen.port=0", "wire_log.bytes=256KiB", "limits.connections_max=4", "ring.slots=256",
                              "book.depth_max=20"};
    char error[ERROR_MAX];
    tw_engine *taker;
    tw_engine_options options;
    tw_engine_options_init(&options, sizeof options);
    options.settings = settings;
    options.setting_count = sizeof settings / sizeof settings[0];
    if (tw_engine_open(&options, &taker, error, sizeof error) != TW_OK)
        fail_msg("%s", error);
    for (uint32_t i = 0; i < 12; i++)
        fail_to_live(tw_engine_port(taker), i);
    holdings before = count_holdings(0);
    for (uint32_t i = 0; i < FAILED_LIVES; i++)
        fail_to_live(tw_engine_port(taker), i);
    compare(before, count_holdings(before.threads), RESIDENT_GROWTH_MAX);
    tw_engine_close(taker);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_thousand_lives),
        cmocka_unit_test(test_venues_out_of_reach),
        cmocka_unit_test(test_failed_starts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
