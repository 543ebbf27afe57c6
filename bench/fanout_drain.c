/* fanout_drain.c - a receiver that is never the limit: takes what comes and throws it away.
 *
 * Job:       opens N WebSocket connections and counts deliveries without looking at them. The kernel discards
 *            what has arrived (MSG_TRUNC), so that nothing is copied; only the first connection is read and its frames
 *            counted, which gives the mean size by which the bytes of all others are divided.
 * Usage:     fanout_drain --connect 127.0.0.1:9001 --target '/v1/stream?channels=trade&symbols=*' -n 1000 --duration 5
 * Output:    deliveries per second, and how busy the receiver itself was: below 100 % it was not the limit.
 * Non-goals: checking anything (bot does), latency, TLS. Unix sockets cannot discard: they copy. */
#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

enum {
    CONNECTIONS_MAX = 65536,
    EVENTS_PER_WAIT = 256,
    READ_BYTES = 1 << 18,
    DISCARD_BYTES = 1 << 24,
    REQUEST_BYTES_MAX = 8192,
    ANSWER_HEAD_BYTES = 12, /* "HTTP/1.1 101" */
    HEAD_END = 0x0d0a0d0a,
    WAIT_MS = 50,
    CONNECT_TIMEOUT_S = 30,
    FRAME_HEADER_BYTES_MAX = 10
};
#define NS_PER_S 1000000000LL

typedef struct options {
    const char *connect, *target;
    uint32_t connection_count;
    double duration_s, warmup_s;
    int core;
    int sender_pid; /* 0: not told */
    bool json;
} options;

typedef struct connection {
    int fd;
    bool upgraded;
    uint32_t answer_bytes; /* of the HTTP answer so far */
    char answer[ANSWER_HEAD_BYTES];
    uint32_t tail; /* its last four bytes */
    uint64_t bytes;
} connection;

/* Counts the frames of one connection, cut anywhere. */
typedef struct frame_counter {
    uint8_t header[FRAME_HEADER_BYTES_MAX];
    uint32_t header_bytes;
    uint64_t payload_left;
    uint64_t frames, bytes;
} frame_counter;

typedef struct drain {
    options options;
    bool is_unix;
    int epoll;
    connection *connections;
    uint32_t open_count, upgraded_count;
    frame_counter first;
    bool measuring;
    uint64_t bytes, receives;
    uint8_t *buffer;
} drain;

static atomic_bool stopping; /* lock-free, so a signal handler may set it */

static void on_signal(int number)
{
    (void)number;
    atomic_store(&stopping, true);
}

static void die(const char *what)
{
    fprintf(stderr, "fanout_drain: %s: %s\n", what, strerror(errno));
    exit(1);
}

static void usage_error(const char *text)
{
    fprintf(stderr, "fanout_drain: %s (try --help)\n", text);
    exit(2);
}

static int64_t now_ns(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (int64_t)time.tv_sec * NS_PER_S + time.tv_nsec;
}

/* ---- connecting ---- */

static int dial_unix(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof address.sun_path)
        usage_error("--connect: socket path too long");
    memcpy(address.sun_path, path, strlen(path) + 1);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof address))
        die(path);
    return fd;
}

static int dial_tcp(const char *where)
{
    char host[64];
    const char *colon = strrchr(where, ':');
    char *end = NULL;
    long port = colon ? strtol(colon + 1, &end, 10) : -1;
    if (!colon || (size_t)(colon - where) >= sizeof host || port <= 0 || port > UINT16_MAX || *end)
        usage_error("--connect wants HOST:PORT or unix:PATH");
    memcpy(host, where, (size_t)(colon - where));
    host[colon - where] = 0;
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    if (inet_pton(AF_INET, host, &address.sin_addr) != 1)
        usage_error("--connect wants an IPv4 address");
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof address))
        die(where);
    return fd;
}

/* ---- draining ---- */

static uint64_t payload_len(const uint8_t *header)
{
    uint64_t value = header[1] & 0x7f;
    uint32_t len_bytes = value == 126 ? 2 : value == 127 ? 8 : 0;
    if (len_bytes == 0)
        return value;
    value = 0;
    for (uint32_t i = 0; i < len_bytes; i++)
        value = value << 8 | header[2 + i];
    return value;
}

static uint32_t header_need(const frame_counter *f)
{
    if (f->header_bytes < 2)
        return 2;
    uint8_t len = f->header[1] & 0x7f;
    return len == 126 ? 4 : len == 127 ? FRAME_HEADER_BYTES_MAX : 2;
}

static void frames_count(frame_counter *f, const uint8_t *at, size_t len, bool measuring)
{
    const uint8_t *end = at + len;
    while (at < end) {
        if (f->payload_left > 0) {
            uint64_t here = (uint64_t)(end - at);
            uint64_t step = f->payload_left < here ? f->payload_left : here;
            f->payload_left -= step;
            at += step;
            continue;
        }
        f->header[f->header_bytes++] = *at++;
        if (f->header_bytes < header_need(f))
            continue;
        f->payload_left = payload_len(f->header);
        if (measuring) {
            f->frames++;
            f->bytes += f->header_bytes + f->payload_left;
        }
        f->header_bytes = 0;
    }
}

static void connection_gone(drain *d, connection *c)
{
    close(c->fd);
    c->fd = -1;
    d->open_count--;
}

/* Takes the answer to the upgrade byte by byte, so that nothing behind it is taken. */
static void answer_read(drain *d, connection *c)
{
    uint8_t byte;
    while (!c->upgraded) {
        ssize_t got = recv(c->fd, &byte, 1, MSG_DONTWAIT);
        if (got < 0 && (errno == EAGAIN || errno == EINTR))
            return;
        if (got <= 0) {
            connection_gone(d, c);
            return;
        }
        if (c->answer_bytes < ANSWER_HEAD_BYTES)
            c->answer[c->answer_bytes] = (char)byte;
        c->answer_bytes++;
        c->tail = c->tail << 8 | byte;
        c->upgraded = c->tail == HEAD_END;
    }
    d->upgraded_count++;
    if (memcmp(c->answer, "HTTP/1.1 101", ANSWER_HEAD_BYTES) == 0)
        return;
    fprintf(stderr, "fanout_drain: the upgrade was refused: %.*s\n", ANSWER_HEAD_BYTES, c->answer);
    exit(1);
}

static void connection_read(drain *d, uint32_t index)
{
    connection *c = &d->connections[index];
    if (!c->upgraded) {
        answer_read(d, c);
        return;
    }
    bool read = index == 0 || d->is_unix;
    ssize_t got = read ? recv(c->fd, d->buffer, READ_BYTES, MSG_DONTWAIT)
                       : recv(c->fd, NULL, DISCARD_BYTES, MSG_DONTWAIT | MSG_TRUNC);
    if (got < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (got <= 0) {
        connection_gone(d, c);
        return;
    }
    if (index == 0)
        frames_count(&d->first, d->buffer, (size_t)got, d->measuring);
    if (!d->measuring)
        return;
    c->bytes += (uint64_t)got;
    d->bytes += (uint64_t)got;
    d->receives++;
}

static void drain_once(drain *d)
{
    struct epoll_event events[EVENTS_PER_WAIT];
    int count = epoll_wait(d->epoll, events, EVENTS_PER_WAIT, WAIT_MS);
    for (int i = 0; i < count; i++)
        connection_read(d, events[i].data.u32);
}

static void drain_for(drain *d, double seconds)
{
    int64_t end_ns = now_ns() + (int64_t)(seconds * 1e9);
    while (!atomic_load(&stopping) && d->open_count > 0 && now_ns() < end_ns)
        drain_once(d);
}

static void upgrade_send(const drain *d, int fd)
{
    char text[REQUEST_BYTES_MAX];
    int len = snprintf(text, sizeof text,
                       "GET %s HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                       "Sec-WebSocket-Key: dGlja3dpcmUgZHJhaW4hIQ==\r\nSec-WebSocket-Version: 13\r\n"
                       "Sec-WebSocket-Protocol: tickwire.v1.json\r\n\r\n",
                       d->options.target);
    if (len >= (int)sizeof text)
        usage_error("--target is too long");
    if (send(fd, text, (size_t)len, MSG_NOSIGNAL) != len)
        die("upgrade");
}

/* All at once: a server at saturation takes its time to answer, and those that it has answered must be drained. */
static void connections_open(drain *d)
{
    int64_t end_ns = now_ns() + CONNECT_TIMEOUT_S * NS_PER_S;
    d->is_unix = strncmp(d->options.connect, "unix:", 5) == 0;
    for (uint32_t i = 0; i < d->options.connection_count && !atomic_load(&stopping); i++) {
        connection *c = &d->connections[i];
        c->fd = d->is_unix ? dial_unix(d->options.connect + 5) : dial_tcp(d->options.connect);
        upgrade_send(d, c->fd);
        struct epoll_event event = {.events = EPOLLIN, .data.u32 = i};
        if (epoll_ctl(d->epoll, EPOLL_CTL_ADD, c->fd, &event))
            die("epoll_ctl");
        d->open_count++;
    }
    while (d->upgraded_count < d->options.connection_count && d->open_count > 0 && now_ns() < end_ns &&
           !atomic_load(&stopping))
        drain_once(d);
    if (d->upgraded_count < d->options.connection_count) {
        fprintf(stderr, "fanout_drain: %" PRIu32 " of %" PRIu32 " connections were answered\n", d->upgraded_count,
                d->options.connection_count);
        exit(1);
    }
}

static double cpu_s(void)
{
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
           (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

/* CPU time of another process so far; 0 if it cannot be told. */
static double sender_cpu_s(const drain *d)
{
    clockid_t clock;
    struct timespec time;
    if (d->options.sender_pid == 0 || clock_getcpuclockid(d->options.sender_pid, &clock) != 0 ||
        clock_gettime(clock, &time) != 0)
        return 0;
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static void report(const drain *d, double elapsed_s, double busy_s, double sender_s)
{
    double frame_bytes = d->first.frames ? (double)d->first.bytes / (double)d->first.frames : 0;
    double deliveries = frame_bytes > 0 ? (double)d->bytes / frame_bytes : 0;
    double per_cpu_s = sender_s > 0 ? deliveries / sender_s : 0;
    uint64_t least = UINT64_MAX, most = 0;
    for (uint32_t i = 0; i < d->options.connection_count; i++) {
        if (d->connections[i].bytes < least)
            least = d->connections[i].bytes;
        if (d->connections[i].bytes > most)
            most = d->connections[i].bytes;
    }
    const char *format =
        d->options.json
            ? "{\"connections\":%" PRIu32 ",\"open\":%" PRIu32 ",\"elapsed_s\":%.3f,\"deliveries_per_s\":%.0f,"
              "\"messages_per_s\":%.0f,\"bytes_per_s\":%.0f,\"frame_bytes\":%.2f,\"bytes_per_receive\":%.0f,"
              "\"least_to_most\":%.4f,\"cpu_percent\":%.1f,\"sender_cpu_percent\":%.1f,"
              "\"deliveries_per_sender_cpu_s\":%.0f}\n"
            : "connections       %" PRIu32 "\nstill open        %" PRIu32
              "\nelapsed           %.3f s\ndeliveries/s      %.0f\nmessages/s        %.0f\nbytes/s           %.0f\n"
              "frame bytes       %.2f\nbytes/receive     %.0f\nleast/most bytes  %.4f\nbusy              %.1f %%\n"
              "sender busy       %.1f %%\nper sender cpu s  %.0f\n";
    printf(format, d->options.connection_count, d->open_count, elapsed_s, deliveries / elapsed_s,
           (double)d->first.frames / elapsed_s, (double)d->bytes / elapsed_s, frame_bytes,
           d->receives ? (double)d->bytes / (double)d->receives : 0, most ? (double)least / (double)most : 0,
           100 * busy_s / elapsed_s, 100 * sender_s / elapsed_s, per_cpu_s);
}

/* ---- options ---- */

static const char help[] =
    "usage: fanout_drain [options]\n"
    "  --connect ADDR    127.0.0.1:PORT or unix:PATH               [127.0.0.1:9001]\n"
    "  --target T        path and query, with the subscription     [/v1/stream?channels=trade,quote&symbols=sim:*]\n"
    "  -n N              connections                               [100]\n"
    "  --warmup S        seconds before counting                   [1]\n"
    "  --duration S      seconds of counting                       [5]\n"
    "  --core C          pin to this core                          [not pinned]\n"
    "  --sender-pid PID  also count deliveries per second of that process's CPU time: what it can do on a shared "
    "machine\n"
    "  --json            report as one line of JSON\n"
    "exit code: 0, or 1 if a connection ended before the time was over.\n";

static double number(const char *text, double least, double most, const char *name)
{
    char *end;
    double value = strtod(text, &end);
    if (end == text || *end || value < least || value > most) {
        fprintf(stderr, "fanout_drain: %s: %s is not a number from %g to %g\n", name, text, least, most);
        exit(2);
    }
    return value;
}

static options options_parse(int argc, char **argv)
{
    static const struct option long_options[] = {{"connect", required_argument, 0, 'c'},
                                                 {"target", required_argument, 0, 't'},
                                                 {"warmup", required_argument, 0, 'w'},
                                                 {"duration", required_argument, 0, 'd'},
                                                 {"core", required_argument, 0, 'p'},
                                                 {"json", no_argument, 0, 'j'},
                                                 {"sender-pid", required_argument, 0, 's'},
                                                 {"help", no_argument, 0, 'h'},
                                                 {0, 0, 0, 0}};
    options o = {.connect = "127.0.0.1:9001",
                 .target = "/v1/stream?channels=trade,quote&symbols=sim:*",
                 .connection_count = 100,
                 .duration_s = 5,
                 .warmup_s = 1,
                 .core = -1};
    for (;;) {
        int key = getopt_long(argc, argv, "n:h", long_options, NULL);
        if (key < 0)
            break;
        if (key == 'c')
            o.connect = optarg;
        else if (key == 't')
            o.target = optarg;
        else if (key == 'n')
            o.connection_count = (uint32_t)number(optarg, 1, CONNECTIONS_MAX, "-n");
        else if (key == 'w')
            o.warmup_s = number(optarg, 0, 1e6, "--warmup");
        else if (key == 'd')
            o.duration_s = number(optarg, 0.001, 1e6, "--duration");
        else if (key == 'p')
            o.core = (int)number(optarg, 0, 1023, "--core");
        else if (key == 's')
            o.sender_pid = (int)number(optarg, 1, INT32_MAX, "--sender-pid");
        else if (key == 'j')
            o.json = true;
        else if (key == 'h') {
            fputs(help, stdout);
            exit(0);
        } else
            usage_error("unknown option");
    }
    if (optind < argc)
        usage_error("unexpected argument");
    return o;
}

static void limits_raise(uint32_t connection_count)
{
    struct rlimit limit;
    rlim_t wanted = connection_count + 64u;
    getrlimit(RLIMIT_NOFILE, &limit);
    if (limit.rlim_cur >= wanted)
        return;
    limit.rlim_cur = wanted;
    if (limit.rlim_max < wanted)
        limit.rlim_max = wanted;
    if (setrlimit(RLIMIT_NOFILE, &limit))
        die("the open file limit is too small (ulimit -n)");
}

int main(int argc, char **argv)
{
    drain d = {.options = options_parse(argc, argv)};
    limits_raise(d.options.connection_count);
    struct sigaction action = {.sa_handler = on_signal};
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    if (d.options.core >= 0) {
        cpu_set_t set;
        CPU_ZERO(&set);
        CPU_SET((size_t)d.options.core, &set);
        if (sched_setaffinity(0, sizeof set, &set))
            die("--core");
    }
    d.connections = calloc(d.options.connection_count, sizeof *d.connections);
    d.buffer = malloc(READ_BYTES);
    d.epoll = epoll_create1(EPOLL_CLOEXEC);
    if (!d.connections || !d.buffer || d.epoll < 0)
        die("start");
    connections_open(&d);
    drain_for(&d, d.options.warmup_s);
    d.measuring = true;
    int64_t begin_ns = now_ns();
    double busy_s = cpu_s();
    double sender_s = sender_cpu_s(&d);
    drain_for(&d, d.options.duration_s);
    report(&d, (double)(now_ns() - begin_ns) / 1e9, cpu_s() - busy_s, sender_cpu_s(&d) - sender_s);
    return d.open_count == d.options.connection_count ? 0 : 1;
}
