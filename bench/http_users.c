/* http_users.c - many users who each ask for something over HTTP again and again, and what they had to wait for it.
 *
 * Job:       spawns users at a rate up to a number; each keeps one connection and asks once per interval, whether the
 *            last answer was quick or not: latency is from the time at which a request was due (open loop). With
 *            interval 0 a user asks again as soon as it has the answer (closed loop).
 * Usage:     http_users --help
 * Failures:  by name: refused, closed, timeout, malformed, status_503 ... A failed user connects again for its next
 *            request.
 * Output:    JSON, with a line of figures per second for CSV files; the program's own CPU is its headroom.
 * Non-goals: TLS, methods other than GET, chunked answers, redirects. One thread: it is for one server on one core. */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "engine/base/clock.h"
#include "engine/base/interval.h"
#include "engine/loop/loop.h"
#include "engine/proto/http.h"
#include "engine/stats/histogram.h"

#define NS_PER_S  1000000000LL
#define NS_PER_US 1000.0
#define POLL_NS   (20 * 1000000LL)

enum {
    EXIT_USAGE = 2,
    USERS_MAX = 60000,
    HEAD_BYTES_MAX = 4096,
    REQUEST_BYTES_MAX = 2048,
    SECONDS_MAX = 3600,
    STATUS_COUNT = 600,
    RECV_BUFFER_BYTES = 65536,
    RECV_BUFFERS = 64
};

enum { FAIL_REFUSED, FAIL_CLOSED, FAIL_TIMEOUT, FAIL_MALFORMED, FAIL_STATUS, FAIL_COUNT };
static const char *const fail_names[FAIL_COUNT] = {"refused", "closed", "timeout", "malformed", "status"};

typedef struct options {
    char host[64];
    char path[1024];
    uint16_t port;
    uint32_t user_count, spawn_rate;
    int64_t duration_ns, interval_ns, timeout_ns;
    const char *loop;
    bool phases;
} options;

typedef enum user_state { USER_NEW, USER_IDLE, USER_CONNECTING, USER_WAITING } user_state;

typedef struct bench bench;

typedef struct user {
    bench *run;
    twi_op connect, recv, send, close;
    struct iovec iov;
    twi_sock sock;
    user_state state;
    bool open, closing, gone; /* gone: the other side has closed; close when nothing is waited for */
    int64_t due_ns;           /* of the request that is waited for, or of the next one */
    int64_t deadline_ns;      /* of the request that is waited for */
    uint64_t body_left;
    uint32_t head_len;
    bool in_body;
    uint16_t status;
    uint8_t head[HEAD_BYTES_MAX];
} user;

typedef struct second {
    uint64_t requests, failures;
    uint32_t users;
    int64_t latency_sum_ns, latency_max_ns;
} second;

struct bench {
    options options;
    twi_loop *loop;
    user *users;
    uint32_t spawned;
    uint32_t *heap; /* users by due_ns; those that wait for an answer are not in it */
    uint32_t heap_count;
    twi_histogram *latency;
    int64_t begin_ns, end_ns;
    uint64_t requests, answers, bytes, failures[FAIL_COUNT], status[STATUS_COUNT];
    second *seconds;
    uint32_t second_count;
    uint32_t scan; /* where looking for timeouts goes on */
    char request[REQUEST_BYTES_MAX];
    size_t request_len;
    char reason[1024];
};

static atomic_bool stopping; /* lock-free, so a signal handler may set it */

static void on_signal(int number)
{
    (void)number;
    atomic_store(&stopping, true);
}

/* ---- who asks next: a heap ---- */

static bool earlier(const bench *run, uint32_t a, uint32_t b)
{
    return run->users[run->heap[a]].due_ns < run->users[run->heap[b]].due_ns;
}

static void swap(bench *run, uint32_t a, uint32_t b)
{
    uint32_t held = run->heap[a];
    run->heap[a] = run->heap[b];
    run->heap[b] = held;
}

static void heap_push(bench *run, uint32_t index)
{
    uint32_t at = run->heap_count++;
    run->heap[at] = index;
    for (; at > 0 && earlier(run, at, (at - 1) / 2); at = (at - 1) / 2)
        swap(run, at, (at - 1) / 2);
}

static uint32_t heap_pop(bench *run)
{
    uint32_t top = run->heap[0], at = 0;
    run->heap[0] = run->heap[--run->heap_count];
    for (;;) {
        uint32_t least = at, left = 2 * at + 1, right = left + 1;
        if (left < run->heap_count && earlier(run, left, least))
            least = left;
        if (right < run->heap_count && earlier(run, right, least))
            least = right;
        if (least == at)
            return top;
        swap(run, at, least);
        at = least;
    }
}

/* ---- one request ---- */

static second *second_of(bench *run, int64_t now_ns)
{
    int64_t index = (now_ns - run->begin_ns) / NS_PER_S;
    if (index < 0)
        index = 0;
    if (index >= run->second_count)
        index = run->second_count - 1;
    return &run->seconds[index];
}

/* The next request is due an interval after this one was; at once in a closed loop. */
static void schedule(user *u, int64_t now_ns)
{
    u->state = USER_IDLE;
    u->due_ns = u->run->options.interval_ns ? u->due_ns + u->run->options.interval_ns : now_ns;
    heap_push(u->run, (uint32_t)(u - u->run->users));
}

static void on_closed(twi_loop *loop, twi_op *op, int32_t result, uint32_t flags)
{
    (void)loop, (void)result, (void)flags;
    user *u = op->owner;
    u->closing = false;
}

static void hang_up(user *u)
{
    if (!u->open || u->closing)
        return;
    u->open = false;
    u->closing = true;
    u->gone = false;
    u->run->loop->ops->close(u->run->loop, &u->close, u->sock);
}

static void fail(user *u, int why)
{
    int64_t now_ns = twi_monotonic_ns();
    u->run->failures[why]++;
    second_of(u->run, now_ns)->failures++;
    if (why != FAIL_STATUS)
        hang_up(u);
    if (u->run->options.interval_ns == 0) /* a server that refuses is not asked in a tight loop */
        now_ns += NS_PER_S / 100;
    schedule(u, now_ns);
}

static void answered(user *u)
{
    bench *run = u->run;
    int64_t now_ns = twi_monotonic_ns(), latency_ns = now_ns - u->due_ns;
    run->status[u->status < STATUS_COUNT ? u->status : 0]++;
    u->head_len = 0;
    u->in_body = false;
    if (u->gone)
        hang_up(u);
    if (u->status != 200) {
        fail(u, FAIL_STATUS);
        return;
    }
    second *present = second_of(run, now_ns);
    run->answers++;
    present->requests++;
    present->latency_sum_ns += latency_ns;
    if (latency_ns > present->latency_max_ns)
        present->latency_max_ns = latency_ns;
    twi_histogram_record(run->latency, latency_ns);
    schedule(u, now_ns);
}

/* Bytes of the head are collected; returns how many were taken, or -1 if they make no sense. */
static int32_t take_head(user *u, const uint8_t *data, uint32_t len)
{
    uint32_t before = u->head_len, room = HEAD_BYTES_MAX - u->head_len, take = len < room ? len : room;
    twi_http_response response;
    memcpy(u->head + before, data, take);
    u->head_len += take;
    tw_status status = twi_http_response_parse(u->head, u->head_len, before, NULL, &response);
    if (status == TW_NEED_MORE)
        return u->head_len < HEAD_BYTES_MAX ? (int32_t)take : -1;
    if (status != TW_OK || response.fields.chunked || !response.fields.has_content_length)
        return -1;
    u->status = response.status;
    u->body_left = response.fields.content_length;
    u->in_body = true;
    if (!response.fields.keep_alive)
        u->gone = true;
    return (int32_t)(response.fields.head_bytes - before);
}

static void on_recv(twi_loop *loop, twi_op *op, int32_t result, uint32_t flags)
{
    (void)loop;
    user *u = op->owner;
    if (result <= 0 || u->closing) {
        if (u->closing || result == TW_CANCELED || (flags & TWI_OP_MORE))
            return;
        u->gone = true;
        if (u->state == USER_WAITING)
            fail(u, FAIL_CLOSED);
        else
            hang_up(u);
        return;
    }
    const uint8_t *at = op->data;
    uint32_t left = (uint32_t)result;
    u->run->bytes += left;
    while (left > 0 && u->state == USER_WAITING) {
        if (!u->in_body) {
            int32_t taken = take_head(u, at, left);
            if (taken < 0) {
                fail(u, FAIL_MALFORMED);
                return;
            }
            at += taken;
            left -= (uint32_t)taken;
            if (!u->in_body)
                continue;
        }
        uint64_t body = left < u->body_left ? left : u->body_left;
        u->body_left -= body;
        at += body;
        left -= (uint32_t)body;
        if (u->body_left == 0)
            answered(u);
    }
}

static void on_sent(twi_loop *loop, twi_op *op, int32_t result, uint32_t flags)
{
    (void)loop, (void)flags;
    user *u = op->owner;
    if (u->closing || u->state != USER_WAITING)
        return;
    if (result != (int32_t)u->run->request_len)
        fail(u, FAIL_CLOSED);
}

static void ask(user *u)
{
    u->state = USER_WAITING;
    u->iov = (struct iovec){.iov_base = u->run->request, .iov_len = u->run->request_len};
    u->send.iov = &u->iov;
    u->send.iov_count = 1;
    u->run->loop->ops->send(u->run->loop, &u->send, u->sock);
}

static void on_connect(twi_loop *loop, twi_op *op, int32_t result, uint32_t flags)
{
    (void)flags;
    user *u = op->owner;
    if (u->closing)
        return;
    if (result < 0) {
        u->open = false;
        fail(u, FAIL_REFUSED);
        return;
    }
    u->sock = op->sock;
    loop->ops->recv(loop, &u->recv, u->sock);
    ask(u);
}

static void begin(user *u, int64_t now_ns)
{
    bench *run = u->run;
    u->deadline_ns = now_ns + run->options.timeout_ns;
    u->head_len = 0;
    u->in_body = false;
    run->requests++;
    if (u->open) {
        ask(u);
        return;
    }
    u->state = USER_CONNECTING;
    u->open = true;
    u->gone = false;
    twi_address address = {.host = run->options.host, .port = run->options.port};
    run->loop->ops->connect(run->loop, &u->connect, &address);
    u->sock = u->connect.sock;
}

/* ---- the run ---- */

static void spawn(bench *run, int64_t now_ns)
{
    int64_t age_ns = now_ns - run->begin_ns;
    while (run->spawned < run->options.user_count &&
           (int64_t)run->spawned * NS_PER_S / run->options.spawn_rate <= age_ns) {
        user *u = &run->users[run->spawned];
        u->run = run;
        u->connect = (twi_op){.done = on_connect, .owner = u};
        u->recv = (twi_op){.done = on_recv, .owner = u};
        u->send = (twi_op){.done = on_sent, .owner = u};
        u->close = (twi_op){.done = on_closed, .owner = u};
        u->due_ns = run->begin_ns + (int64_t)run->spawned * NS_PER_S / run->options.spawn_rate;
        u->state = USER_IDLE;
        heap_push(run, run->spawned++);
    }
}

static void ask_due(bench *run, int64_t now_ns)
{
    while (run->heap_count > 0) {
        user *u = &run->users[run->heap[0]];
        if (u->due_ns > now_ns)
            return;
        heap_pop(run);
        if (u->closing) { /* the old connection is not quite gone: on the next turn */
            heap_push(run, (uint32_t)(u - run->users));
            return;
        }
        begin(u, now_ns);
    }
}

/* A part of the users per turn; all of them many times per timeout. */
static void time_out(bench *run, int64_t now_ns)
{
    uint32_t part = run->spawned / 16 + 1;
    for (uint32_t i = 0; i < part && run->spawned > 0; i++) {
        user *u = &run->users[run->scan++ % run->spawned];
        if ((u->state == USER_WAITING || u->state == USER_CONNECTING) && u->deadline_ns <= now_ns && !u->closing)
            fail(u, FAIL_TIMEOUT);
    }
}

static int64_t next_ns(const bench *run, int64_t now_ns)
{
    int64_t next = now_ns + POLL_NS;
    if (run->heap_count > 0 && run->users[run->heap[0]].due_ns < next)
        next = run->users[run->heap[0]].due_ns;
    if (run->spawned < run->options.user_count) {
        int64_t due_ns = run->begin_ns + (int64_t)run->spawned * NS_PER_S / run->options.spawn_rate;
        next = due_ns < next ? due_ns : next;
    }
    return next;
}

static void phase_say(const bench *run, const char *phase)
{
    if (run->options.phases)
        fprintf(stderr, "phase %s %" PRId64 "\n", phase, twi_realtime_ns());
}

static void run_users(bench *run)
{
    phase_say(run, "measuring");
    run->begin_ns = twi_monotonic_ns();
    run->end_ns = run->begin_ns + run->options.duration_ns;
    for (;;) {
        int64_t now_ns = twi_monotonic_ns();
        if (now_ns >= run->end_ns || atomic_load(&stopping))
            break;
        spawn(run, now_ns);
        ask_due(run, now_ns);
        time_out(run, now_ns);
        second_of(run, now_ns)->users = run->spawned;
        run->loop->ops->poll(run->loop, next_ns(run, now_ns));
    }
    run->end_ns = twi_monotonic_ns();
    phase_say(run, "measured");
}

/* ---- the report ---- */

static double cpu_seconds(void)
{
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
           (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

/* Requests that were due and have no answer at the end, and how long the oldest has waited: no histogram has them. */
static uint64_t unanswered(const bench *run, int64_t *oldest_ns)
{
    uint64_t count = 0;
    *oldest_ns = 0;
    for (uint32_t i = 0; i < run->spawned; i++) {
        const user *u = &run->users[i];
        bool late = (u->state == USER_WAITING || u->state == USER_CONNECTING) && u->due_ns < run->end_ns;
        count += late;
        if (late && run->end_ns - u->due_ns > *oldest_ns)
            *oldest_ns = run->end_ns - u->due_ns;
    }
    return count;
}

static void report_latency(const bench *run)
{
    static const struct {
        const char *key;
        double quantile;
    } quantiles[] = {{"p50", .5}, {"p90", .9}, {"p99", .99}, {"p99_9", .999}, {"p99_99", .9999}};
    const twi_histogram *h = run->latency;
    printf(",\"latency_us\":{\"count\":%" PRIu64 ",\"mean\":%.3f,\"stddev\":%.3f,\"min\":%.3f", twi_histogram_count(h),
           twi_histogram_mean(h) / NS_PER_US, twi_histogram_stddev(h) / NS_PER_US,
           (double)twi_histogram_min(h) / NS_PER_US);
    for (size_t i = 0; i < sizeof quantiles / sizeof quantiles[0]; i++)
        printf(",\"%s\":%.3f", quantiles[i].key, (double)twi_histogram_quantile(h, quantiles[i].quantile) / NS_PER_US);
    printf(",\"max\":%.3f},\"latency_buckets_ns\":[", (double)twi_histogram_max(h) / NS_PER_US);
    bool first = true;
    for (uint32_t i = 0; i < h->bucket_count; i++) {
        uint64_t count = atomic_load_explicit(&h->buckets[i], memory_order_relaxed);
        if (count == 0)
            continue;
        printf("%s[%" PRId64 ",%" PRIu64 "]", first ? "" : ",", twi_histogram_bucket_high(h, i), count);
        first = false;
    }
    printf("]");
}

static void report(const bench *run, double cpu_s)
{
    double elapsed_s = (double)(run->end_ns - run->begin_ns) / 1e9;
    int64_t oldest_ns;
    uint64_t failures = 0, waiting = unanswered(run, &oldest_ns);
    for (int i = 0; i < FAIL_COUNT; i++)
        failures += run->failures[i];
    printf("{\"users\":%" PRIu32 ",\"elapsed_s\":%.6f,\"requests\":%" PRIu64 ",\"answers\":%" PRIu64
           ",\"answers_per_s\":%.1f,\"bytes\":%" PRIu64 ",\"failures\":%" PRIu64 ",\"unanswered\":%" PRIu64
           ",\"oldest_unanswered_us\":%.1f,\"cpu_percent\":%.2f,\"loop\":\"%s\",\"failures_by_name\":{",
           run->spawned, elapsed_s, run->requests, run->answers, (double)run->answers / elapsed_s, run->bytes, failures,
           waiting, (double)oldest_ns / NS_PER_US, 100 * cpu_s / elapsed_s, run->loop->ops->name);
    bool first = true;
    for (int i = 0; i < FAIL_STATUS; i++) {
        if (run->failures[i] > 0)
            printf("%s\"%s\":%" PRIu64, first ? "" : ",", fail_names[i], run->failures[i]);
        first = first && run->failures[i] == 0;
    }
    for (int i = 0; i < STATUS_COUNT; i++) {
        if (i == 200 || run->status[i] == 0)
            continue;
        printf("%s\"status_%d\":%" PRIu64, first ? "" : ",", i, run->status[i]);
        first = false;
    }
    printf("}");
    report_latency(run);
    printf(",\"seconds\":[");
    for (uint32_t i = 0; i < run->second_count && (double)i < elapsed_s; i++) {
        const second *s = &run->seconds[i];
        if (s->users == 0)
            break; /* the run ended on the stroke of the second */
        printf("%s[%" PRIu32 ",%" PRIu32 ",%" PRIu64 ",%" PRIu64 ",%.1f,%.1f]", i ? "," : "", i + 1, s->users,
               s->requests, s->failures, s->requests ? (double)s->latency_sum_ns / NS_PER_US / (double)s->requests : 0,
               (double)s->latency_max_ns / NS_PER_US);
    }
    printf("]}\n");
}

/* ---- the command line ---- */

static const char help[] =
    "usage: http_users --url http://127.0.0.1:9001/v1/ticker/sim/BTC/USDT [options]\n"
    "Users that ask again and again, each on a connection of its own; latency from when a request was due. JSON.\n"
    "\n"
    "  --url URL         http://ADDRESS:PORT/PATH\n"
    "  --users N         at most so many                                        [100]\n"
    "  --spawn-rate R    users per second                                       [50]\n"
    "  --interval D      of one user's requests; 0s: as soon as it has an answer [1s]\n"
    "  --duration D      from the first user on                                 [30s]\n"
    "  --timeout D       after which a request has failed                       [5s]\n"
    "  --loop L          auto, io_uring, epoll, kqueue                          [auto]\n"
    "  --phases          says on stderr when it begins and ends: 'phase measuring|measured UNIX_NS'\n"
    "\n"
    "\"seconds\" in the output: [second, users, answers, failures, mean latency in us, largest]\n"
    "example: http_users --url http://127.0.0.1:9001/v1/symbols --users 2000 --spawn-rate 50 --duration 30s\n"
    "exit code: 0 it ran, whatever the answers; 1 it could not; 2 usage\n";

static int usage(const char *what, const char *value, const char *wanted)
{
    fprintf(stderr, "http_users: %s %s: wants %s (http_users --help)\n", what, value, wanted);
    return EXIT_USAGE;
}

static bool url_take(options *o, const char *url)
{
    unsigned port = 0;
    int used = 0;
    if (sscanf(url, "http://%63[^:/]:%5u%n", o->host, &port, &used) < 2 || port == 0 || port > UINT16_MAX)
        return false;
    const char *path = url[used] ? url + used : "/";
    if (*path != '/' || strlen(path) >= sizeof o->path || strpbrk(path, " \r\n"))
        return false;
    memcpy(o->path, path, strlen(path) + 1);
    o->port = (uint16_t)port;
    return true;
}

static bool count_take(const char *text, uint32_t most, uint32_t *out)
{
    char *end;
    unsigned long value = strtoul(text, &end, 10);
    if (end == text || *end != 0 || value < 1 || value > most)
        return false;
    *out = (uint32_t)value;
    return true;
}

static int options_take(options *o, int argc, char **argv)
{
    static const struct option long_options[] = {{"url", required_argument, NULL, 'u'},
                                                 {"users", required_argument, NULL, 'n'},
                                                 {"spawn-rate", required_argument, NULL, 'r'},
                                                 {"interval", required_argument, NULL, 'i'},
                                                 {"duration", required_argument, NULL, 'd'},
                                                 {"timeout", required_argument, NULL, 't'},
                                                 {"loop", required_argument, NULL, 'l'},
                                                 {"phases", no_argument, NULL, 'p'},
                                                 {"help", no_argument, NULL, 'h'},
                                                 {NULL, 0, NULL, 0}};
    int key;
    while ((key = getopt_long(argc, argv, "", long_options, NULL)) >= 0) {
        int64_t *duration = key == 'i' ? &o->interval_ns : key == 'd' ? &o->duration_ns : &o->timeout_ns;
        if (key == 'h') {
            fputs(help, stdout);
            return -1;
        }
        if (key == 'u' && !url_take(o, optarg))
            return usage("--url", optarg, "http://ADDRESS:PORT/PATH");
        if (key == 'n' && !count_take(optarg, USERS_MAX, &o->user_count))
            return usage("--users", optarg, "1 to 60000");
        if (key == 'r' && !count_take(optarg, 1000000, &o->spawn_rate))
            return usage("--spawn-rate", optarg, "users per second, 1 or more");
        if ((key == 'i' || key == 'd' || key == 't') && twi_interval_parse(optarg, strlen(optarg), duration) != TW_OK)
            return usage("a duration", optarg, "such as 30s or 500ms");
        if (key == 'l')
            o->loop = optarg;
        if (key == 'p')
            o->phases = true;
        if (key == '?')
            return EXIT_USAGE;
    }
    if (o->port == 0)
        return usage("--url", "is missing", "http://ADDRESS:PORT/PATH");
    if (o->duration_ns < 1 || o->duration_ns > SECONDS_MAX * NS_PER_S || o->timeout_ns < 1)
        return usage("--duration", "or --timeout", "more than 0s, at most 1h");
    return 0;
}

static bool open_all(bench *run)
{
    uint32_t count = run->options.user_count;
    struct rlimit files;
    if (getrlimit(RLIMIT_NOFILE, &files) == 0 && files.rlim_cur < count + 64 && files.rlim_max >= count + 64) {
        files.rlim_cur = count + 64;
        setrlimit(RLIMIT_NOFILE, &files);
    }
    run->users = calloc(count, sizeof *run->users);
    run->heap = calloc(count, sizeof *run->heap);
    run->second_count = (uint32_t)(run->options.duration_ns / NS_PER_S) + 1;
    run->seconds = calloc(run->second_count, sizeof *run->seconds);
    run->latency = twi_histogram_new();
    twi_loop_config config = {.sock_count_max = count + 8,
                              .recv_buffer_bytes = RECV_BUFFER_BYTES,
                              .recv_buffer_count = RECV_BUFFERS,
                              .send_batch = 1}; /* a request is not held back for others */
    if (!run->users || !run->heap || !run->seconds || !run->latency) {
        snprintf(run->reason, sizeof run->reason, "no memory for %" PRIu32 " users", count);
        return false;
    }
    int len = snprintf(run->request, sizeof run->request,
                       "GET %s HTTP/1.1\r\nHost: %s:%u\r\nUser-Agent: http_users\r\nAccept: application/json\r\n\r\n",
                       run->options.path, run->options.host, run->options.port);
    run->request_len = (size_t)len;
    return twi_loop_open(run->options.loop, &config, &run->loop, run->reason, sizeof run->reason) == TW_OK;
}

int main(int argc, char **argv)
{
    static bench run;
    run.options = (options){.user_count = 100,
                            .spawn_rate = 50,
                            .duration_ns = 30 * NS_PER_S,
                            .interval_ns = NS_PER_S,
                            .timeout_ns = 5 * NS_PER_S,
                            .loop = "auto"};
    int code = options_take(&run.options, argc, argv);
    if (code != 0)
        return code < 0 ? 0 : code;
    struct sigaction action = {.sa_handler = on_signal};
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    signal(SIGPIPE, SIG_IGN);
    code = 1;
    if (open_all(&run)) {
        double cpu_s = cpu_seconds();
        run_users(&run);
        report(&run, cpu_seconds() - cpu_s);
        code = 0;
    } else {
        fprintf(stderr, "http_users: %s\n", run.reason);
    }
    if (run.loop)
        run.loop->ops->close_loop(run.loop);
    free(run.users);
    free(run.heap);
    free(run.seconds);
    free(run.latency);
    return code;
}
