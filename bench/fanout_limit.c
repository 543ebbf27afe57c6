/* fanout_limit.c - the yardstick: what this machine can do when a program only sends.
 *
 * Job:       accepts N WebSocket subscribers, then sends all of them the same pre-framed JSON ticks, everything that is
 *            pending for a client in one send per pass, from one thread. No feed, no topics, no policies, no engine
 *            code: the send path is bare send() or bare liburing. The engine's fan-out is judged by its ratio to this.
 * Usage:     fanout_limit --listen 127.0.0.1:9100 --clients 100 --rate 1000 --duration 10  (open loop, paced)
 *            fanout_limit --listen unix:/tmp/limit.sock --clients 100 --batch 64            (saturation)
 *            bot --url ws://127.0.0.1:9100/v1/stream -n 100 --raw  (measures either)
 * Pace:      with --rate R a message is due every 1/R s, `--burst B` of them at a time; recv_ns is when it was due,
 *            publish_ns when the pass that framed it began. Without a rate each pass makes --batch messages, unless the
 *            slowest client is half a log behind: lag is bounded, and batches grow by what clients have not taken yet.
 * Bytes:     --messages FILE takes one JSON message per line (`bot --dump FILE` writes them), so that both programs
 *            send the same bytes; seq, recv_ns and publish_ns are written anew, seq counts per topic.
 * Non-goals: everything else. What clients say is thrown away. It ends when they leave or the time is over. */
#include "bench/fanout_messages.h"

#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <liburing.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/evp.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

enum {
    CLIENT_COUNT_MAX = 65536,
    REQUEST_BYTES_MAX = 8192,
    MAKE_PER_PASS_MAX = 65536,
    READ_EVERY_PASSES = 64, /* looking at what clients say costs a system call */
    READ_BYTES = 65536,
    EVENTS_PER_WAIT = 256,
    RING_ENTRIES = 4096,
    HANDSHAKE_TIMEOUT_S = 5
};
#define NS_PER_S          1000000000LL
#define LOG_BYTES_DEFAULT (16u << 20)

enum { METHOD_SEND, METHOD_URING };

typedef struct options {
    const char *listen;
    const char *messages;
    uint32_t client_count;
    uint32_t batch;
    uint32_t burst;
    uint32_t submit;
    uint32_t symbol_count;
    uint32_t log_bytes;
    double rate;
    double duration_s;
    int method;
    int core;
    bool json;
} options;

typedef struct client {
    int fd;
    bool parked; /* the kernel took less than it was given: wait until it says it can take more */
    uint64_t cursor;
} client;

typedef struct sender {
    options options;
    fanout_messages messages;
    uint8_t *log; /* log_bytes, mapped twice back to back: every slice is contiguous */
    uint64_t head;
    client *clients;
    uint32_t client_count; /* alive */
    uint32_t slot_count;
    int epoll;
    struct io_uring ring;
    uint64_t made, sends, passes, sent_bytes, short_sends, disconnects;
    uint64_t late_passes; /* passes that began more than one interval late */
} sender;

static atomic_bool stopping; /* lock-free, so a signal handler may set it */

static void on_signal(int number)
{
    (void)number;
    atomic_store(&stopping, true);
}

static void die(const char *what)
{
    fprintf(stderr, "fanout_limit: %s: %s\n", what, strerror(errno));
    exit(1);
}

static void usage_error(const char *text)
{
    fprintf(stderr, "fanout_limit: %s (try --help)\n", text);
    exit(2);
}

static int64_t clock_ns(clockid_t clock)
{
    struct timespec time;
    clock_gettime(clock, &time);
    return (int64_t)time.tv_sec * NS_PER_S + time.tv_nsec;
}

/* ---- the log: finished frames, mapped twice back to back, so that every slice is contiguous ---- */

static void message_make(sender *s, int64_t due_ns, int64_t now_ns)
{
    uint8_t *at = s->log + (s->head & (s->options.log_bytes - 1));
    s->head += fanout_messages_frame(&s->messages, at, due_ns, now_ns);
    s->made++;
}

static uint8_t *log_map(uint32_t bytes)
{
    int fd = memfd_create("fanout_limit", MFD_CLOEXEC);
    if (fd < 0 || ftruncate(fd, bytes))
        die("memfd");
    uint8_t *base = mmap(NULL, 2 * (size_t)bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (base == MAP_FAILED)
        die("mmap");
    for (int i = 0; i < 2; i++)
        if (mmap(base + (size_t)i * bytes, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED | MAP_POPULATE, fd,
                 0) == MAP_FAILED)
            die("mmap");
    close(fd);
    return base;
}

/* ---- subscribers ---- */

static int listen_on(const char *where)
{
    int fd;
    if (strncmp(where, "unix:", 5) == 0) {
        struct sockaddr_un address = {.sun_family = AF_UNIX};
        if (strlen(where + 5) >= sizeof address.sun_path)
            usage_error("--listen: socket path too long");
        memcpy(address.sun_path, where + 5, strlen(where + 5) + 1);
        unlink(address.sun_path);
        fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof address) || listen(fd, 4096))
            die(where);
        fprintf(stderr, "listening unix:%s\n", address.sun_path);
        return fd;
    }
    char host[64];
    const char *colon = strrchr(where, ':');
    char *end = NULL;
    long port = colon ? strtol(colon + 1, &end, 10) : -1;
    if (!colon || (size_t)(colon - where) >= sizeof host || port < 0 || port > UINT16_MAX || *end)
        usage_error("--listen wants HOST:PORT or unix:PATH");
    memcpy(host, where, (size_t)(colon - where));
    host[colon - where] = 0;
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    if (inet_pton(AF_INET, host, &address.sin_addr) != 1)
        usage_error("--listen wants an IPv4 address");
    fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int one = 1;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof address) || listen(fd, 4096))
        die(where);
    socklen_t address_bytes = sizeof address;
    getsockname(fd, (struct sockaddr *)&address, &address_bytes);
    fprintf(stderr, "listening %s:%u\n", host, ntohs(address.sin_port));
    return fd;
}

static bool request_read(int fd, char *request)
{
    size_t used = 0;
    while (used < REQUEST_BYTES_MAX - 1) {
        ssize_t got = recv(fd, request + used, REQUEST_BYTES_MAX - 1 - used, 0);
        if (got <= 0)
            return false;
        used += (size_t)got;
        request[used] = 0;
        if (strstr(request, "\r\n\r\n"))
            return true;
    }
    return false;
}

/* RFC 6455 section 4.2.2: the accept value is base64(SHA-1(key + GUID)). */
static bool upgrade(int fd)
{
    char request[REQUEST_BYTES_MAX];
    if (!request_read(fd, request))
        return false;
    const char *key = strcasestr(request, "\r\nsec-websocket-key:");
    if (!key)
        return false;
    key += strlen("\r\nsec-websocket-key:");
    key += strspn(key, " ");
    char joined[128];
    int joined_len =
        snprintf(joined, sizeof joined, "%.*s258EAFA5-E914-47DA-95CA-C5AB0DC85B11", (int)strcspn(key, "\r "), key);
    unsigned char digest[EVP_MAX_MD_SIZE];
    if (joined_len >= (int)sizeof joined || !EVP_Digest(joined, (size_t)joined_len, digest, NULL, EVP_sha1(), NULL))
        return false;
    unsigned char accept_text[64];
    EVP_EncodeBlock(accept_text, digest, 20);
    char answer[512];
    bool json_asked = strcasestr(request, "tickwire.v1.json") != NULL;
    int answer_len = snprintf(answer, sizeof answer,
                              "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                              "Sec-WebSocket-Accept: %s\r\n%s\r\n",
                              accept_text, json_asked ? "Sec-WebSocket-Protocol: tickwire.v1.json\r\n" : "");
    return send(fd, answer, (size_t)answer_len, MSG_NOSIGNAL) == answer_len;
}

static void clients_accept(sender *s, int listener)
{
    while (s->slot_count < s->options.client_count && !stopping) {
        int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
        if (fd < 0) {
            if (errno == EINTR || errno == ECONNABORTED)
                continue;
            die("accept");
        }
        struct timeval timeout = {.tv_sec = HANDSHAKE_TIMEOUT_S};
        int one = 1;
        setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof timeout);
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        if (!upgrade(fd)) {
            close(fd);
            continue;
        }
        struct epoll_event event = {.events = EPOLLIN, .data.u32 = s->slot_count};
        if (epoll_ctl(s->epoll, EPOLL_CTL_ADD, fd, &event))
            die("epoll_ctl");
        s->clients[s->slot_count++] = (client){.fd = fd};
        s->client_count++;
    }
}

static void client_drop(sender *s, client *c)
{
    if (c->fd < 0)
        return;
    close(c->fd);
    c->fd = -1;
    s->client_count--;
    s->disconnects++;
}

static void client_park(sender *s, uint32_t slot, bool park)
{
    client *c = &s->clients[slot];
    struct epoll_event event = {.events = park ? EPOLLIN | EPOLLOUT : EPOLLIN, .data.u32 = slot};
    c->parked = park;
    epoll_ctl(s->epoll, EPOLL_CTL_MOD, c->fd, &event);
}

static void events_read(sender *s, int timeout_ms)
{
    static uint8_t trash[READ_BYTES];
    struct epoll_event events[EVENTS_PER_WAIT];
    int count = epoll_wait(s->epoll, events, EVENTS_PER_WAIT, timeout_ms);
    for (int i = 0; i < count; i++) {
        client *c = &s->clients[events[i].data.u32];
        if (c->fd < 0)
            continue;
        if (events[i].events & EPOLLOUT)
            client_park(s, events[i].data.u32, false);
        if (!(events[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR)))
            continue;
        ssize_t got = recv(c->fd, trash, sizeof trash, MSG_DONTWAIT);
        /* A masked close frame: 0x88. Nobody needs an answer from a yardstick. */
        if (got == 0 || (got < 0 && errno != EAGAIN) || (got > 0 && trash[0] == 0x88))
            client_drop(s, c);
    }
}

/* ---- the pass ---- */

static void sent(sender *s, uint32_t slot, ssize_t result, int error, size_t asked)
{
    client *c = &s->clients[slot];
    s->sends++;
    if (result < 0) {
        if (error != EAGAIN)
            client_drop(s, c);
        else
            client_park(s, slot, true);
        return;
    }
    c->cursor += (uint64_t)result;
    s->sent_bytes += (uint64_t)result;
    if ((size_t)result < asked) {
        s->short_sends++;
        client_park(s, slot, true);
    }
}

static void pass_send(sender *s)
{
    uint32_t mask = s->options.log_bytes - 1;
    for (uint32_t i = 0; i < s->slot_count; i++) {
        client *c = &s->clients[i];
        size_t pending = (size_t)(s->head - c->cursor);
        if (c->fd < 0 || c->parked || !pending)
            continue;
        ssize_t result = send(c->fd, s->log + (c->cursor & mask), pending, MSG_DONTWAIT | MSG_NOSIGNAL);
        sent(s, i, result, errno, pending);
    }
}

static void completions_reap(sender *s)
{
    struct io_uring_cqe *cqe;
    unsigned head;
    unsigned count = 0;
    io_uring_for_each_cqe(&s->ring, head, cqe)
    {
        uint32_t slot = (uint32_t)cqe->user_data;
        size_t asked = (size_t)(s->head - s->clients[slot].cursor);
        sent(s, slot, cqe->res < 0 ? -1 : cqe->res, -cqe->res, asked);
        count++;
    }
    io_uring_cq_advance(&s->ring, count);
}

static void pass_uring(sender *s)
{
    uint32_t mask = s->options.log_bytes - 1;
    uint32_t queued = 0;
    for (uint32_t i = 0; i < s->slot_count; i++) {
        client *c = &s->clients[i];
        size_t pending = (size_t)(s->head - c->cursor);
        if (c->fd < 0 || c->parked || !pending)
            continue;
        struct io_uring_sqe *sqe = io_uring_get_sqe(&s->ring);
        io_uring_prep_send(sqe, (int)i, s->log + (c->cursor & mask), pending, MSG_DONTWAIT | MSG_NOSIGNAL);
        sqe->flags |= IOSQE_FIXED_FILE;
        sqe->user_data = i;
        if (++queued < s->options.submit)
            continue;
        io_uring_submit_and_get_events(&s->ring);
        completions_reap(s);
        queued = 0;
    }
    if (!queued)
        return;
    io_uring_submit_and_get_events(&s->ring);
    completions_reap(s);
}

static void uring_open(sender *s)
{
    struct io_uring_params params = {.flags =
                                         IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_CQSIZE,
                                     .cq_entries = 2 * RING_ENTRIES};
    int result = io_uring_queue_init_params(RING_ENTRIES, &s->ring, &params);
    if (result < 0) {
        errno = -result;
        die("io_uring_setup");
    }
    int *fds = calloc(s->slot_count, sizeof *fds);
    if (!fds)
        die("calloc");
    for (uint32_t i = 0; i < s->slot_count; i++)
        fds[i] = s->clients[i].fd;
    result = io_uring_register_files(&s->ring, fds, s->slot_count);
    free(fds);
    if (result < 0) {
        errno = -result;
        die("io_uring_register_files");
    }
}

static uint64_t slowest_cursor(const sender *s)
{
    uint64_t slowest = s->head;
    for (uint32_t i = 0; i < s->slot_count; i++)
        if (s->clients[i].fd >= 0 && s->clients[i].cursor < slowest)
            slowest = s->clients[i].cursor;
    return slowest;
}

/* Whoever is so far behind that the next batch would overwrite what he has not got is cut off, as the engine does. */
static void laggards_drop(sender *s, uint64_t room_bytes)
{
    for (uint32_t i = 0; i < s->slot_count; i++) {
        client *c = &s->clients[i];
        if (c->fd >= 0 && s->head + room_bytes - c->cursor > s->options.log_bytes)
            client_drop(s, c);
    }
}

/* Makes what is due; 0 if nothing is. */
static uint32_t pass_make_paced(sender *s, int64_t start_mono_ns, int64_t real_offset_ns, uint32_t make_max)
{
    int64_t now_mono_ns = clock_ns(CLOCK_MONOTONIC);
    double interval_ns = 1e9 / s->options.rate;
    uint64_t due_total =
        (uint64_t)((double)(now_mono_ns - start_mono_ns) / interval_ns) / s->options.burst * s->options.burst;
    if (due_total <= s->made)
        return 0;
    uint64_t due = due_total - s->made;
    if (due > s->options.burst)
        s->late_passes++;
    uint32_t count = due < make_max ? (uint32_t)due : make_max;
    for (uint32_t i = 0; i < count; i++) {
        uint64_t slot = (s->made / s->options.burst + 1) * s->options.burst;
        int64_t due_ns = start_mono_ns + (int64_t)((double)slot * interval_ns);
        message_make(s, due_ns + real_offset_ns, now_mono_ns + real_offset_ns);
    }
    return count;
}

static uint32_t pass_make_saturated(sender *s, int64_t real_offset_ns, uint32_t make_max)
{
    if (s->head - slowest_cursor(s) > s->options.log_bytes / 2)
        return 0;
    int64_t now_ns = clock_ns(CLOCK_MONOTONIC) + real_offset_ns;
    uint32_t count = s->options.batch < make_max ? s->options.batch : make_max;
    for (uint32_t i = 0; i < count; i++)
        message_make(s, now_ns, now_ns);
    return count;
}

static double run(sender *s)
{
    uint32_t bytes_max = s->messages.frame_bytes_max;
    uint32_t make_max = s->options.log_bytes / 4 / bytes_max;
    if (make_max > MAKE_PER_PASS_MAX)
        make_max = MAKE_PER_PASS_MAX;
    if (!make_max)
        usage_error("--log-bytes is too small for these messages");
    int64_t start_ns = clock_ns(CLOCK_MONOTONIC);
    int64_t real_offset_ns = clock_ns(CLOCK_REALTIME) - start_ns;
    int64_t end_ns = s->options.duration_s > 0 ? start_ns + (int64_t)(s->options.duration_s * 1e9) : INT64_MAX;
    bool paced = s->options.rate > 0;
    while (!stopping && s->client_count) {
        if (paced)
            laggards_drop(s, (uint64_t)make_max * bytes_max);
        uint32_t made = paced ? pass_make_paced(s, start_ns, real_offset_ns, make_max)
                              : pass_make_saturated(s, real_offset_ns, make_max);
        if (s->options.method == METHOD_URING)
            pass_uring(s);
        else
            pass_send(s);
        if (!made || ++s->passes % READ_EVERY_PASSES == 0)
            events_read(s, 0);
        if (s->passes % READ_EVERY_PASSES == 0 || !made)
            if (clock_ns(CLOCK_MONOTONIC) >= end_ns)
                break;
    }
    return (double)(clock_ns(CLOCK_MONOTONIC) - start_ns) / 1e9;
}

static void report(const sender *s, double elapsed_s)
{
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    double cpu_s = (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
                   (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
    double message_bytes = s->made ? (double)s->head / (double)s->made : 0;
    double deliveries = message_bytes > 0 ? (double)s->sent_bytes / message_bytes : 0;
    double per_send = s->sends ? deliveries / (double)s->sends : 0;
    const char *format =
        s->options.json
            ? "{\"method\":\"%s\",\"clients\":%u,\"elapsed_s\":%.3f,\"messages\":%" PRIu64 ",\"deliveries\":%.0f,"
              "\"deliveries_per_s\":%.0f,\"message_bytes\":%.1f,\"sends\":%" PRIu64 ",\"messages_per_send\":%.2f,"
              "\"short_sends\":%" PRIu64 ",\"late_passes\":%" PRIu64 ",\"disconnects\":%" PRIu64 ",\"cpu_s\":%.2f}\n"
            : "method            %s\nclients           %u\nelapsed           %.3f s\nmessages          %" PRIu64
              "\ndeliveries        %.0f\ndeliveries/s      %.0f\nmessage bytes     %.1f\nsends             %" PRIu64
              "\nmessages/send     %.2f\nshort sends       %" PRIu64 "\nlate passes       %" PRIu64
              "\ndisconnects       %" PRIu64 "\ncpu               %.2f s\n";
    printf(format, s->options.method == METHOD_URING ? "io_uring" : "send", s->slot_count, elapsed_s, s->made,
           deliveries, deliveries / elapsed_s, message_bytes, s->sends, per_send, s->short_sends, s->late_passes,
           s->disconnects, cpu_s);
}

/* ---- options ---- */

static const char help[] =
    "usage: fanout_limit [options]\n"
    "  --listen ADDR     127.0.0.1:PORT (0: any, printed) or unix:PATH            [127.0.0.1:9100]\n"
    "  --clients N       subscribers to wait for before anything is sent          [100]\n"
    "  --method M        send or io_uring                                         [send]\n"
    "  --rate R          messages per second, open loop; 0: saturation            [0]\n"
    "  --burst B         with --rate: so many are due at the same instant         [1]\n"
    "  --batch K         saturation: messages made per pass                       [64]\n"
    "  --submit N        io_uring: sends per submission                           [64]\n"
    "  --duration S      seconds; 0: until the clients leave                      [0]\n"
    "  --messages FILE   one JSON message per line; else trades and quotes of its own\n"
    "  --symbols N       of its own messages                                      [10]\n"
    "  --log-bytes N     power of two; what a client may lag                      [16777216]\n"
    "  --core C          pin to this core                                         [not pinned]\n"
    "  --json            report as one line of JSON\n";

static const struct option long_options[] = {{"listen", required_argument, 0, 'l'},
                                             {"clients", required_argument, 0, 'n'},
                                             {"method", required_argument, 0, 'm'},
                                             {"rate", required_argument, 0, 'r'},
                                             {"burst", required_argument, 0, 'B'},
                                             {"batch", required_argument, 0, 'k'},
                                             {"submit", required_argument, 0, 's'},
                                             {"duration", required_argument, 0, 'd'},
                                             {"messages", required_argument, 0, 'f'},
                                             {"symbols", required_argument, 0, 'S'},
                                             {"log-bytes", required_argument, 0, 'L'},
                                             {"core", required_argument, 0, 'c'},
                                             {"json", no_argument, 0, 'j'},
                                             {"help", no_argument, 0, 'h'},
                                             {0, 0, 0, 0}};

static double number(const char *text, double least, double most, const char *name)
{
    char *end;
    double value = strtod(text, &end);
    if (end == text || *end || value < least || value > most) {
        fprintf(stderr, "fanout_limit: --%s: %s is not a number from %g to %g\n", name, text, least, most);
        exit(2);
    }
    return value;
}

static int method_of(const char *text)
{
    if (strcmp(text, "io_uring") == 0)
        return METHOD_URING;
    if (strcmp(text, "send") != 0 && strcmp(text, "epoll") != 0)
        usage_error("--method is send or io_uring");
    return METHOD_SEND;
}

static void option_take(options *o, int key, const char *value)
{
    switch (key) {
    case 'l':
        o->listen = value;
        break;
    case 'n':
        o->client_count = (uint32_t)number(value, 1, CLIENT_COUNT_MAX, "clients");
        break;
    case 'm':
        o->method = method_of(value);
        break;
    case 'r':
        o->rate = number(value, 0, 1e9, "rate");
        break;
    case 'B':
        o->burst = (uint32_t)number(value, 1, MAKE_PER_PASS_MAX, "burst");
        break;
    case 'k':
        o->batch = (uint32_t)number(value, 1, MAKE_PER_PASS_MAX, "batch");
        break;
    case 's':
        o->submit = (uint32_t)number(value, 1, RING_ENTRIES, "submit");
        break;
    case 'd':
        o->duration_s = number(value, 0, 1e6, "duration");
        break;
    case 'f':
        o->messages = value;
        break;
    case 'S':
        o->symbol_count = (uint32_t)number(value, 1, FANOUT_TEMPLATE_COUNT_MAX / 2, "symbols");
        break;
    case 'L':
        o->log_bytes = (uint32_t)number(value, 65536, 1u << 30, "log-bytes");
        break;
    case 'c':
        o->core = (int)number(value, 0, 1023, "core");
        break;
    case 'j':
        o->json = true;
        break;
    case 'h':
        fputs(help, stdout);
        exit(0);
    default:
        usage_error("unknown option");
    }
}

static options options_parse(int argc, char **argv)
{
    options o = {.listen = "127.0.0.1:9100",
                 .client_count = 100,
                 .batch = 64,
                 .burst = 1,
                 .submit = 64,
                 .symbol_count = 10,
                 .log_bytes = LOG_BYTES_DEFAULT,
                 .core = -1};
    for (;;) {
        int key = getopt_long(argc, argv, "n:h", long_options, NULL);
        if (key < 0)
            break;
        option_take(&o, key, optarg);
    }
    if (optind < argc)
        usage_error("unexpected argument");
    if (o.log_bytes & (o.log_bytes - 1))
        usage_error("--log-bytes is not a power of two");
    return o;
}

static void limits_raise(uint32_t client_count)
{
    struct rlimit limit;
    getrlimit(RLIMIT_NOFILE, &limit);
    rlim_t wanted = client_count + 64u;
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
    sender s = {.options = options_parse(argc, argv)};
    limits_raise(s.options.client_count);
    struct sigaction action = {.sa_handler = on_signal};
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    if (s.options.core >= 0) {
        cpu_set_t set;
        CPU_ZERO(&set);
        CPU_SET((size_t)s.options.core, &set);
        if (sched_setaffinity(0, sizeof set, &set))
            die("--core");
    }
    s.clients = calloc(s.options.client_count, sizeof *s.clients);
    s.epoll = epoll_create1(EPOLL_CLOEXEC);
    if (!s.clients || s.epoll < 0)
        die("start");
    fanout_messages_load(&s.messages, s.options.messages, s.options.symbol_count);
    s.log = log_map(s.options.log_bytes);
    int listener = listen_on(s.options.listen);
    clients_accept(&s, listener);
    if (s.options.method == METHOD_URING)
        uring_open(&s);
    double elapsed_s = run(&s);
    report(&s, elapsed_s);
    return 0;
}
