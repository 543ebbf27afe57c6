/* source_bench.c - how fast the sources are by themselves: the simulator, the capture writer and reader, the replay.
 *
 * Usage:    source_bench [--quick] [--json]
 * Method:   events go into an array of 65,536 places, as into a ring, and nothing else is done with them; one core.
 *           Each line is the median of five runs. The hash of the events stands with it: the same work was done.
 * Judge:    whoever reads it; the aim for the simulator was 10 million events per second. */
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine/base/clock.h"
#include "feed/capture.h"
#include "feed/replay.h"
#include "feed/sim.h"

enum { PLACES = 1 << 16, SYMBOL_CAP = 1 << 12, STEP_EVENTS = 1024, RUNS = 5, QUICK_DIVISOR = 100 };

typedef struct array {
    tw_event *events;
    uint64_t count;
    const tw_symbols *symbols;
    twi_capture_writer *writer; /* full batches go there; NULL: nowhere */
} array;

typedef struct result {
    const char *name;
    double events_per_second[RUNS];
    uint64_t events, bytes;
    uint32_t hash;
} result;

static tw_event *claim(void *owner)
{
    array *it = owner;
    return &it->events[it->count % PLACES];
}

static void commit(void *owner)
{
    array *it = owner;
    if (++it->count % PLACES == 0 && it->writer &&
        twi_capture_events(it->writer, it->symbols, it->events, PLACES) != TW_OK)
        abort();
}

static uint32_t hash_of(const array *it)
{
    uint32_t hash = 2166136261u; /* FNV-1a over what is in the array at the end */
    const uint8_t *bytes = (const uint8_t *)it->events;
    for (size_t i = 0; i < PLACES * sizeof(tw_event); i++)
        hash = (hash ^ bytes[i]) * 16777619u;
    return hash;
}

static void drain(tw_source *source, array *it)
{
    tw_sink sink = {claim, commit, it};
    for (int64_t next_ns = 0; next_ns != INT64_MAX;)
        source->ops->step(source->state, INT64_MAX - 1, STEP_EVENTS, &sink, &next_ns);
    source->ops->fini(source->state);
}

typedef struct bench {
    array array;
    void *symbol_memory;
    uint64_t messages;
    char path[64];
} bench;

static tw_symbols *fresh_symbols(bench *it)
{
    tw_symbols *symbols = tw_symbols_init(it->symbol_memory, SYMBOL_CAP);
    it->array.count = 0;
    it->array.symbols = symbols;
    it->array.writer = NULL;
    return symbols;
}

static void fail(const char *what)
{
    fprintf(stderr, "source_bench: %s\n", what);
    exit(1);
}

static tw_source open_sim(bench *it, const twi_sim_options *wanted)
{
    char error[256];
    tw_source source;
    twi_sim_options options = *wanted;
    options.seed = 1;
    options.start_ns = 1;
    options.message_count_max = it->messages;
    if (twi_sim_open(&options, fresh_symbols(it), &source, error, sizeof(error)) != TW_OK)
        fail(error);
    return source;
}

static void note(result *out, int run, const bench *it, int64_t started_ns)
{
    out->events_per_second[run] = (double)it->array.count * 1e9 / (double)(twi_monotonic_ns() - started_ns);
    out->events = it->array.count;
    out->hash = hash_of(&it->array);
}

static void run_sim(bench *it, int run, const twi_sim_options *options, result *out)
{
    tw_source source = open_sim(it, options);
    int64_t started_ns = twi_monotonic_ns();
    drain(&source, &it->array);
    note(out, run, it, started_ns);
}

static void run_write(bench *it, int run, uint8_t compression, result *out)
{
    char error[256];
    tw_source source = open_sim(it, &(twi_sim_options){.rate_per_second = 1000000});
    twi_capture_options options = {.compression = compression, .replaces = 1};
    if (twi_capture_create(it->path, &options, &it->array.writer, error, sizeof(error)) != TW_OK)
        fail(error);
    int64_t started_ns = twi_monotonic_ns();
    drain(&source, &it->array);
    if (twi_capture_events(it->array.writer, it->array.symbols, it->array.events, it->array.count % PLACES) != TW_OK)
        fail("writing");
    if (twi_capture_close(it->array.writer, error, sizeof(error)) != TW_OK)
        fail(error);
    note(out, run, it, started_ns);
}

static void run_replay(bench *it, int run, result *out)
{
    char error[256];
    tw_source source;
    const twi_replay_options options = {.speed_permille = TWI_REPLAY_FULL_SPEED};
    if (twi_replay_open(it->path, &options, fresh_symbols(it), &source, error, sizeof(error)) != TW_OK)
        fail(error);
    out->bytes = twi_replay_get_info(&source)->file_bytes;
    int64_t started_ns = twi_monotonic_ns();
    drain(&source, &it->array);
    note(out, run, it, started_ns);
}

static int by_size(const void *a, const void *b)
{
    double left = *(const double *)a, right = *(const double *)b;
    return left < right ? -1 : left > right;
}

static void print(result *out, bool is_json, bool is_first)
{
    qsort(out->events_per_second, RUNS, sizeof(double), by_size);
    double median = out->events_per_second[RUNS / 2];
    if (is_json) {
        printf("%s{\"name\":\"%s\",\"events\":%" PRIu64 ",\"events_per_second\":%.0f,\"min\":%.0f,\"max\":%.0f",
               is_first ? "[" : ",\n ", out->name, out->events, median, out->events_per_second[0],
               out->events_per_second[RUNS - 1]);
        printf(",\"file_bytes\":%" PRIu64 ",\"hash\":\"%08x\"}", out->bytes, out->hash);
        return;
    }
    printf("%-34s %7.2f M events/s  (%.2f .. %.2f)  %08x", out->name, median / 1e6, out->events_per_second[0] / 1e6,
           out->events_per_second[RUNS - 1] / 1e6, out->hash);
    if (out->bytes != 0)
        printf("  %.1f bytes per event", (double)out->bytes / (double)out->events);
    putchar('\n');
}

static void bench_sims(bench *it, bool is_json)
{
    const struct {
        const char *name;
        twi_sim_options options;
    } cases[] = {{"sim, 1 instrument", {.instrument_count = 1, .rate_per_second = 1000000}},
                 {"sim, 10 instruments", {.rate_per_second = 1000000}},
                 {"sim, 1000 instruments", {.instrument_count = 1000, .rate_per_second = 1000000}},
                 {"sim, 10 instruments, bursts", {.mode = TWI_SIM_BURST, .rate_per_second = 1000000}},
                 {"sim, 10 instruments, trades only", {.rate_per_second = 1000000, .trade_share = 1}},
                 {"sim, 10 instruments, no schedule", {.instrument_count = 10}}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        result out = {.name = cases[i].name};
        for (int run = 0; run < RUNS; run++)
            run_sim(it, run, &cases[i].options, &out);
        print(&out, is_json, i == 0);
    }
}

static void bench_captures(bench *it, bool is_json)
{
    static const char *const names[][2] = {{"sim into a capture, uncompressed", "replay, uncompressed"},
                                           {"sim into a capture, zlib", "replay, zlib"},
                                           {"sim into a capture, zstd", "replay, zstd"}};
    for (uint8_t compression = 0; twi_compression_name(compression); compression++) {
        if (!twi_compression_is_there(compression))
            continue;
        result written = {.name = names[compression][0]}, played = {.name = names[compression][1]};
        for (int run = 0; run < RUNS; run++) {
            run_write(it, run, compression, &written);
            run_replay(it, run, &played);
        }
        written.bytes = played.bytes;
        print(&written, is_json, false);
        print(&played, is_json, false);
    }
}

int main(int argc, char **argv)
{
    bool is_json = false, is_quick = false;
    for (int i = 1; i < argc; i++) {
        is_json |= strcmp(argv[i], "--json") == 0;
        is_quick |= strcmp(argv[i], "--quick") == 0;
        if (strcmp(argv[i], "--json") != 0 && strcmp(argv[i], "--quick") != 0) {
            fprintf(stderr, "usage: source_bench [--quick] [--json]\n");
            return 2;
        }
    }
    bench it = {.messages = 4000000 / (is_quick ? QUICK_DIVISOR : 1)};
    it.array.events = calloc(PLACES, sizeof(tw_event));
    it.symbol_memory = aligned_alloc(64, (tw_symbols_size(SYMBOL_CAP) + 63) / 64 * 64);
    snprintf(it.path, sizeof(it.path), "/tmp/tickwire-source-XXXXXX");
    int fd = mkstemp(it.path);
    if (!it.array.events || !it.symbol_memory || fd < 0)
        fail("no memory, or /tmp cannot be written");
    close(fd);
    bench_sims(&it, is_json);
    bench_captures(&it, is_json);
    fputs(is_json ? "]\n" : "", stdout);
    unlink(it.path);
    free(it.symbol_memory);
    free(it.array.events);
    return 0;
}
