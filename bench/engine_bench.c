/* engine_bench.c - what the engine costs the program around it: publishing, flushing, an idle step, a start and a stop.
 *
 * Usage:    engine_bench [--quick]
 * Method:   through the public API only. Calls are timed in batches on one core; the best batch is shown (what the call
 *           costs; the rest is the machine), and the median beside it. Starts and stops are timed one by one.
 * Output:   one line per row: ns per call, best and median; the last column says what was done, so that it can be
 *           checked. Exit 1 if an engine does not start.
 * Non-goals: latency to subscribers (bot) and to other processes (ring_bench). */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/clock.h"
#include "tickwire/engine.h"

enum { ERROR_MAX = 1024, SETTINGS_MAX = 16, REPEATS_MAX = 400 };

typedef struct bench_plan {
    int64_t calls; /* per batch */
    uint32_t batches, lives;
} bench_plan;

static const char *const common[] = {"listen.port=0",        "wire_log.bytes=1MiB",      "limits.connections_max=16",
                                     "limits.groups_max=16", "ring.slots=65536",         "ring.instruments_max=64",
                                     "book.depth_max=50",    "engine.stop_timeout=50ms", "feed.rate=1000"};
enum { COMMON = sizeof common / sizeof common[0] };

static tw_engine *open_engine(uint32_t parts, uint32_t drive, const char *first, const char *second)
{
    char error[ERROR_MAX];
    const char *settings[SETTINGS_MAX];
    tw_engine *engine;
    tw_engine_options options;
    tw_engine_options_init(&options, sizeof options);
    memcpy(settings, common, sizeof common);
    settings[COMMON] = first;
    settings[COMMON + 1] = second;
    options.settings = settings;
    options.setting_count = COMMON + 2;
    options.parts = parts;
    options.drive = drive;
    tw_status status = tw_engine_open(&options, &engine, error, sizeof error);
    if (status == TW_OK && drive == TW_ENGINE_THREADS)
        status = tw_engine_start(engine);
    if (status == TW_OK)
        return engine;
    fprintf(stderr, "engine_bench: %s\n", error[0] != '\0' ? error : tw_status_name(status));
    exit(1);
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void show(const char *row, double *values, uint32_t count, const char *unit, const char *note)
{
    qsort(values, count, sizeof *values, by_value);
    printf("%-44s %10.1f %10.1f %s  %s\n", row, values[0], values[count / 2], unit, note);
}

/* ---- publishing ---- */

static void publish(tw_sink *sink, uint32_t instrument, int64_t price)
{
    tw_event *event = tw_sink_claim(sink);
    event->instrument = instrument;
    event->kind = TW_EVENT_TRADE;
    event->flags = TW_FLAG_FIRST | TW_FLAG_LAST;
    event->u.trade.price = price;
    event->u.trade.amount = 1;
    tw_sink_commit(sink);
}

static void measure_publish(const bench_plan *plan, const char *row, uint32_t parts, const char *idle,
                            int64_t flush_every)
{
    double values[REPEATS_MAX];
    char note[96];
    tw_sink sink;
    uint32_t instrument;
    uint64_t framed = 0;
    tw_engine *engine = open_engine(parts, TW_ENGINE_THREADS, idle, "engine.threads=1");
    if (tw_engine_sink(engine, &sink) != TW_OK ||
        tw_engine_instrument(engine, "bench", "BTC/USDT", NULL, &instrument) != TW_OK)
        exit(1);
    for (uint32_t b = 0; b < plan->batches; b++) {
        int64_t start_ns = twi_monotonic_ns();
        for (int64_t i = 1; i <= plan->calls; i++) {
            publish(&sink, instrument, i);
            if (i % flush_every == 0)
                tw_engine_flush(engine);
        }
        values[b] = (double)(twi_monotonic_ns() - start_ns) / (double)plan->calls;
    }
    (void)!tw_engine_counter_find(engine, "tickwire_ring_events_total", &framed);
    snprintf(note, sizeof note, "%lld events, %llu of them read by the engine", (long long)plan->calls * plan->batches,
             (unsigned long long)framed);
    show(row, values, plan->batches, "ns", note);
    tw_engine_close(engine);
}

/* ---- stepping ---- */

static void measure_step(const bench_plan *plan, const char *loop)
{
    double values[REPEATS_MAX];
    char row[64], note[64];
    uint64_t work = 0;
    tw_engine *engine = open_engine(TW_ENGINE_SERVER, TW_ENGINE_STEPPED, loop, "engine.threads=1");
    for (int i = 0; i < 100; i++)
        work += tw_engine_step(engine, 0);
    for (uint32_t b = 0; b < plan->batches; b++) {
        int64_t start_ns = twi_monotonic_ns();
        for (int64_t i = 0; i < plan->calls / 16; i++)
            work += tw_engine_step(engine, 0);
        values[b] = (double)(twi_monotonic_ns() - start_ns) / (double)(plan->calls / 16);
    }
    snprintf(row, sizeof row, "tw_engine_step(0), nothing to do, %s", tw_engine_loop_name(engine));
    snprintf(note, sizeof note, "work done: %llu", (unsigned long long)work);
    show(row, values, plan->batches, "ns", note);
    tw_engine_close(engine);
}

/* ---- starts and stops ---- */

static void measure_life(const bench_plan *plan, const char *threads, const char *loop)
{
    double values[REPEATS_MAX];
    char row[64], name[16] = "";
    for (uint32_t i = 0; i < plan->lives; i++) {
        int64_t start_ns = twi_monotonic_ns();
        tw_engine *engine = open_engine(TW_ENGINE_FEEDS | TW_ENGINE_SERVER, TW_ENGINE_THREADS, threads, loop);
        snprintf(name, sizeof name, "%s", tw_engine_loop_name(engine));
        tw_engine_close(engine);
        values[i] = (double)(twi_monotonic_ns() - start_ns) / 1000;
    }
    snprintf(row, sizeof row, "open, start, stop, close: %s, %s", strchr(threads, '.') + 1, name);
    show(row, values, plan->lives, "us", "");
}

int main(int argc, char **argv)
{
    bench_plan plan = {.calls = 20000, .batches = 200, .lives = 200};
    if (argc > 1 && strcmp(argv[1], "--quick") == 0)
        plan = (bench_plan){.calls = 2000, .batches = 5, .lives = 3};
    else if (argc > 1) {
        fprintf(stderr, "usage: engine_bench [--quick]\n");
        return 2;
    }
    printf("%-44s %10s %10s\n", "", "best", "median");
    measure_publish(&plan, "claim, fill in, commit; no server", 0, "engine.idle=block", INT64_MAX);
    measure_publish(&plan, "the same, flush after each; no server", 0, "engine.idle=block", 1);
    measure_publish(&plan, "with a server that spins, flush after 64", TW_ENGINE_SERVER, "engine.idle=spin", 64);
    measure_publish(&plan, "with a server that sleeps, flush after 64", TW_ENGINE_SERVER, "engine.idle=block", 64);
    measure_publish(&plan, "with a server that sleeps, flush after each", TW_ENGINE_SERVER, "engine.idle=block", 1);
    measure_step(&plan, "engine.loop=auto");
#if defined(__linux__)
    measure_step(&plan, "engine.loop=epoll");
#endif
    measure_life(&plan, "engine.threads=1", "engine.loop=auto");
    measure_life(&plan, "engine.threads=2", "engine.loop=auto");
#if defined(__linux__)
    measure_life(&plan, "engine.threads=1", "engine.loop=epoll");
#endif
    return 0;
}
