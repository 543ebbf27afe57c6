/* bot.c - attaches many connections to an engine, checks every sequence number, measures, reports.
 *
 * Job:       connects, waits until all connections are ready, lets it run warm, measures for a while, prints.
 * Usage:     bot --help
 * Method:    latency is from the engine's own stamp (publish_ns or recv_ns) to when this program has the bytes: the
 *            clock is read once per received piece. Both programs must use the same clock, so run it on the same
 *            machine, or look at differences only. Sequences are checked from the first message to the last;
 *            throughput and latency are of the measured time alone.
 * Exit code: 0 all is well, 1 errors, gaps, duplicates, losses, failed connections or no data, 2 usage. */
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "engine/base/clock.h"
#include "subscribers/bot.h"

#define NS_PER_S  1000000000LL
#define NS_PER_MS 1000000LL

enum { EXIT_USAGE = 2, EXIT_SECOND_SIGNAL = 130, STEP_MS = 20, SPARE_FILES = 64, TABLES = 3 };

static atomic_bool interrupted; /* lock-free, so a signal handler may set it */

static void on_signal(int number)
{
    (void)number;
    if (atomic_exchange(&interrupted, true))
        _exit(EXIT_SECOND_SIGNAL);
}

/* ---- the machine ---- */

static bool files_raise(rlim_t wanted)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur >= wanted)
        return true;
    limit.rlim_cur = wanted;
    if (limit.rlim_max != RLIM_INFINITY && limit.rlim_max < wanted)
        limit.rlim_max = wanted; /* only root may */
    return setrlimit(RLIMIT_NOFILE, &limit) == 0;
}

/* A loop may keep a table of its own with room for as many again; it does without if that is not allowed. */
static bool files_allow(uint32_t connection_count)
{
    struct rlimit limit;
    rlim_t wanted = (rlim_t)connection_count + SPARE_FILES;
    if (files_raise(TABLES * wanted) || files_raise(wanted))
        return true;
    getrlimit(RLIMIT_NOFILE, &limit);
    fprintf(stderr, "bot: %" PRIu32 " connections need %llu open files, but the limit is %llu: raise it (ulimit -n)\n",
            connection_count, (unsigned long long)wanted, (unsigned long long)limit.rlim_max);
    return false;
}

static double seconds(struct timeval time)
{
    return (double)time.tv_sec + (double)time.tv_usec / 1e6;
}

static uint64_t memory_peak_bytes(void)
{
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
#if defined(__APPLE__)
    return (uint64_t)usage.ru_maxrss;
#else
    return (uint64_t)usage.ru_maxrss * 1024;
#endif
}

/* Resident now; the peak where the system does not say. */
static uint64_t memory_bytes(void)
{
    FILE *file = fopen("/proc/self/statm", "r");
    unsigned long long pages = 0;
    if (!file)
        return memory_peak_bytes();
    bool good = fscanf(file, "%*s %llu", &pages) == 1;
    fclose(file);
    return good ? pages * (uint64_t)sysconf(_SC_PAGESIZE) : memory_peak_bytes();
}

/* ---- conducting ---- */

typedef struct conductor {
    bot_run run;
    bot_worker *workers;
    uint32_t worker_count;
    bool live;
    bool on_terminal;
    int64_t live_ns;
    uint64_t live_messages;
    struct rusage usage_begin, usage_end;
    uint64_t memory_bytes; /* when measuring ended, all connections open */
} conductor;

static void rest(void)
{
    poll(NULL, 0, STEP_MS);
}

static void sum_now(const conductor *c, bot_figures *sum)
{
    memset(sum, 0, sizeof *sum);
    for (uint32_t i = 0; i < c->worker_count; i++) {
        bot_figures figures;
        bot_worker_figures(&c->workers[i], &figures);
        sum->ready_count += figures.ready_count;
        sum->closed_count += figures.closed_count;
        sum->stats.messages += figures.stats.messages;
        sum->stats.gaps += figures.stats.gaps;
        sum->stats.duplicates += figures.stats.duplicates;
        sum->stats.losses += figures.stats.losses;
        sum->stats.errors += figures.stats.errors;
    }
}

static int64_t live_quantile(const conductor *c, double quantile)
{
    int64_t worst = 0; /* of the workers: good enough for a line that passes by */
    for (uint32_t i = 0; i < c->worker_count; i++) {
        twi_histogram *copy = twi_histogram_new();
        if (!copy)
            return 0;
        if (twi_histogram_snapshot(copy, c->workers[i].latency) == TW_OK &&
            twi_histogram_quantile(copy, quantile) > worst)
            worst = twi_histogram_quantile(copy, quantile);
        free(copy);
    }
    return worst;
}

static void live_line(conductor *c, const char *phase, const bot_figures *sum)
{
    int64_t now_ns = twi_monotonic_ns();
    if (!c->live || now_ns - c->live_ns < NS_PER_S)
        return;
    double rate =
        c->live_ns ? (double)(sum->stats.messages - c->live_messages) * 1e9 / (double)(now_ns - c->live_ns) : 0;
    c->live_ns = now_ns;
    c->live_messages = sum->stats.messages;
    fprintf(stderr,
            "%s%-10s %" PRIu32 "/%" PRIu32 " ready  %10.0f msg/s  p50 %.0f us  p99 %.0f us  gaps %" PRIu64
            "  dup %" PRIu64 "  loss %" PRIu64 "  errors %" PRIu64 "%s",
            c->on_terminal ? "\r" : "", phase, sum->ready_count, c->run.options.connection_count, rate,
            (double)live_quantile(c, 0.5) / 1e3, (double)live_quantile(c, 0.99) / 1e3, sum->stats.gaps,
            sum->stats.duplicates, sum->stats.losses, sum->stats.errors, c->on_terminal ? "\033[K" : "\n");
}

static bool failed(const conductor *c)
{
    for (uint32_t i = 0; i < c->worker_count; i++)
        if (atomic_load(&c->workers[i].failed))
            return true;
    return false;
}

static bool over(const conductor *c)
{
    return atomic_load(&interrupted) || failed(c);
}

/* Returns how many connections are ready. Those that are closed for good are not waited for. */
static uint32_t wait_connected(conductor *c)
{
    int64_t deadline_ns = twi_monotonic_ns() + c->run.options.connect_timeout_ns;
    bot_figures sum;
    for (;;) {
        sum_now(c, &sum);
        live_line(c, "connecting", &sum);
        if (sum.ready_count + sum.closed_count >= c->run.options.connection_count || over(c) ||
            twi_monotonic_ns() >= deadline_ns)
            return sum.ready_count;
        rest();
    }
}

static void wait_for(conductor *c, const char *phase, int64_t duration_ns)
{
    int64_t deadline_ns = twi_monotonic_ns() + duration_ns;
    bot_figures sum;
    for (;;) {
        int64_t left_ns = deadline_ns - twi_monotonic_ns();
        if (left_ns <= 0 || over(c))
            return;
        sum_now(c, &sum);
        live_line(c, phase, &sum);
        if (sum.closed_count == c->run.options.connection_count)
            return; /* nothing will come any more */
        poll(NULL, 0, left_ns < STEP_MS * NS_PER_MS ? (int)(left_ns / NS_PER_MS) + 1 : STEP_MS);
    }
}

static bool workers_start(conductor *c)
{
    const bot_options *options = &c->run.options;
    uint32_t first = 0;
    for (uint32_t i = 0; i < options->thread_count; i++) {
        uint32_t share = (options->connection_count - first) / (options->thread_count - i);
        int core = options->core_count ? options->cores[i] : -1;
        if (!bot_worker_open(&c->workers[i], &c->run, first, share, core) ||
            pthread_create(&c->workers[i].thread, NULL, bot_worker_main, &c->workers[i]) != 0) {
            fprintf(stderr, "bot: %s\n", c->workers[i].failure[0] ? c->workers[i].failure : "no thread");
            return false;
        }
        c->worker_count++;
        first += share;
    }
    return true;
}

/* For a program that samples something else at the same moments. */
static void phase_say(const conductor *c, const char *phase)
{
    if (c->run.options.phases)
        fprintf(stderr, "phase %s %" PRId64 "\n", phase, twi_realtime_ns());
}

static void phase_set(conductor *c, bot_phase phase)
{
    atomic_store_explicit(&c->run.phase, phase, memory_order_release);
}

static uint32_t conduct(conductor *c)
{
    uint32_t connected = wait_connected(c);
    if (connected > 0 && !over(c)) {
        phase_set(c, BOT_WARMING_UP);
        phase_say(c, "connected");
        wait_for(c, "warming up", c->run.options.warmup_ns);
        getrusage(RUSAGE_SELF, &c->usage_begin);
        phase_set(c, BOT_MEASURING);
        phase_say(c, "measuring");
        wait_for(c, "measuring", c->run.options.duration_ns);
        phase_say(c, "measured");
        getrusage(RUSAGE_SELF, &c->usage_end);
    }
    c->memory_bytes = memory_bytes();
    phase_set(c, BOT_ENDING);
    if (c->live && c->on_terminal)
        fputs("\r\033[K", stderr);
    return connected;
}

static int report(conductor *c, uint32_t connected)
{
    bot_report result = {.options = &c->run.options,
                         .connected = connected,
                         .interrupted = atomic_load(&interrupted),
                         .memory_bytes = c->memory_bytes,
                         .memory_peak_bytes = memory_peak_bytes(),
                         .latency = twi_histogram_new(),
                         .last = twi_histogram_new(),
                         .first = twi_histogram_new()};
    if (!result.latency || !result.last || !result.first) {
        fprintf(stderr, "bot: no memory for the report\n");
        return 1;
    }
    result.cpu_user_s = seconds(c->usage_end.ru_utime) - seconds(c->usage_begin.ru_utime);
    result.cpu_system_s = seconds(c->usage_end.ru_stime) - seconds(c->usage_begin.ru_stime);
    for (uint32_t i = 0; i < c->worker_count; i++)
        bot_report_add(&result, &c->workers[i]);
    if (c->run.options.json)
        bot_report_json(&result, stdout);
    else
        bot_report_text(&result, stdout);
    int code = bot_report_exit_code(&result);
    if (c->run.options.hgrm && !bot_report_hgrm(&result, c->run.options.hgrm)) {
        fprintf(stderr, "bot: %s: %s\n", c->run.options.hgrm, strerror(errno));
        code = 1;
    }
    free(result.latency);
    free(result.last);
    free(result.first);
    return code;
}

static int run(conductor *c)
{
    bool started = workers_start(c);
    uint32_t connected = 0;
    if (started)
        connected = conduct(c);
    phase_set(c, BOT_ENDING);
    for (uint32_t i = 0; i < c->worker_count; i++)
        pthread_join(c->workers[i].thread, NULL);
    int code = started ? 0 : EXIT_USAGE;
    for (uint32_t i = 0; i < c->worker_count; i++) {
        if (!atomic_load(&c->workers[i].failed))
            continue;
        fprintf(stderr, "bot: %s\n", c->workers[i].failure);
        code = EXIT_USAGE;
        break;
    }
    if (code == 0)
        code = report(c, connected);
    for (uint32_t i = 0; i < c->worker_count; i++)
        bot_worker_close(&c->workers[i]);
    return code;
}

static bool dump_open(bot_run *run)
{
    if (!run->options.dump)
        return true;
    run->dump = fopen(run->options.dump, "w");
    if (!run->dump)
        fprintf(stderr, "bot: %s: %s\n", run->options.dump, strerror(errno));
    return run->dump != NULL;
}

int main(int argc, char **argv)
{
    conductor c = {0};
    int code = bot_options_parse(&c.run.options, argc, argv);
    if (code != 0)
        return code - 1;
    if (!files_allow(c.run.options.connection_count) || !dump_open(&c.run))
        return EXIT_USAGE;
    c.on_terminal = isatty(STDERR_FILENO);
    c.live = c.run.options.live || c.on_terminal;
    struct sigaction action = {.sa_handler = on_signal};
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    signal(SIGPIPE, SIG_IGN);
    c.workers = calloc(c.run.options.thread_count, sizeof *c.workers);
    if (!c.workers) {
        fprintf(stderr, "bot: no memory\n");
        return EXIT_USAGE;
    }
    code = run(&c);
    free(c.workers);
    if (c.run.dump)
        fclose(c.run.dump);
    return code;
}
