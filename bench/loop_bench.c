/* loop_bench.c - what the event loop costs beside bare system calls: sends, echoes, wake-ups, per backend.
 *
 * Job:       send: one thread sends a small message to each of N TCP receivers, pass after pass, as fast as it can;
 *            bare send() and bare io_uring are the yardsticks, in alternating rounds on connections of their own.
 *            echo: one request at a time to a server on the loop, which sleeps between them or spins.
 *            wake: another thread wakes a sleeping loop; until poll() returns, and what the call costs.
 * Usage:     loop_bench [--quick] [--clients N] [--bytes B] [--rounds R] [--round-ms MS] [--only send|echo|wake]
 * Output:    medians over the rounds, and the number of messages as a proof of work. The receivers are processes of
 *            their own on the other core and never sleep while they are sent to.
 * Non-goals: the engine; see fanout_limit.c for the whole fan-out's yardstick. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#if defined(__linux__)
#include <liburing.h>
#define HAS_URING 1
#else
#define HAS_URING 0
#endif

#include "engine/base/clock.h"
#include "engine/loop/loop.h"

enum {
    CLIENTS_MAX = 4096,
    BYTES_MAX = 65536,
    ROUNDS_MAX = 101,
    RAW_BATCH = 32,
    READ_BYTES = 65536,
    SAMPLES_MAX = 20000,
    METHODS_MAX = 8,
    DESCRIPTORS = 4
};
static const int64_t ns_per_ms = 1000000;
static const double ns_per_s = 1e9;

typedef struct options {
    uint32_t clients, bytes, rounds, round_ms, samples;
    const char *only;
} options;

static _Noreturn void fail(const char *what)
{
    fprintf(stderr, "loop_bench: %s: %s\n", what, strerror(errno));
    exit(1);
}

/* Where the system lets us choose: the sender on one core, its receivers on another. */
static void pin_to(int core)
{
#if defined(__linux__)
    cpu_set_t cores;
    if (sysconf(_SC_NPROCESSORS_ONLN) < 2)
        return;
    CPU_ZERO(&cores);
    CPU_SET(core, &cores);
    (void)sched_setaffinity(0, sizeof(cores), &cores);
#else
    (void)core;
#endif
}

static void unpin(void)
{
#if defined(__linux__)
    cpu_set_t cores;
    CPU_ZERO(&cores);
    for (int i = 0; i < sysconf(_SC_NPROCESSORS_ONLN); i++)
        CPU_SET(i, &cores);
    (void)sched_setaffinity(0, sizeof(cores), &cores);
#endif
}

/* ---- methods of sending ---- */

typedef struct method method;
struct method {
    const char *name;
    const twi_loop_ops *ops; /* NULL: bare calls */
    bool is_uring;
    void (*pass)(method *self, const options *opt); /* one message to each receiver */
    pid_t receivers;
    uint16_t port;
    uint64_t sent, again;
    int files[CLIENTS_MAX]; /* bare */
    twi_loop *loop;
    twi_sock listener;
    twi_op accept_op;
    twi_op ops_of[CLIENTS_MAX];
    twi_sock socks[CLIENTS_MAX];
    struct iovec piece;
    uint32_t connected, pending;
    double rates[ROUNDS_MAX];
    double cpu_ns[ROUNDS_MAX]; /* of the sending thread, per delivery */
#if HAS_URING
    struct io_uring ring;
#endif
};

/* ---- receivers: a child process that reads everything and answers nothing ---- */

static int dial(uint16_t port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof(address)) != 0)
        fail("connect");
    return fd;
}

/* Which method's receivers may spin; the others rest, so that there is never more than one busy process beside us. */
static _Atomic uint32_t *active_port;

/* Spinning receivers never have to be woken, so that the sender pays for sending only. */
static _Noreturn void receive_all(uint16_t port, uint32_t count)
{
    static int files[CLIENTS_MAX];
    static uint8_t bytes[READ_BYTES];
    struct timespec pause = {.tv_nsec = 1000000};
    pin_to(1);
    for (uint32_t i = 0; i < count; i++)
        files[i] = dial(port);
    for (;;) {
        if (*active_port != port) {
            nanosleep(&pause, NULL);
            continue;
        }
        for (uint32_t i = 0; i < count; i++)
            (void)recv(files[i], bytes, sizeof(bytes), MSG_DONTWAIT);
    }
}

static pid_t start_receivers(method *self, uint16_t port, uint32_t count)
{
    self->port = port;
    fflush(stdout);
    pid_t child = fork();
    if (child < 0)
        fail("fork");
    if (child == 0)
        receive_all(port, count);
    return child;
}

/* ---- ways of sending ---- */

static uint8_t message[BYTES_MAX];

static int listen_raw(uint16_t *port)
{
    struct sockaddr_in address = {.sin_family = AF_INET};
    socklen_t length = sizeof(address);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof(address)) != 0 || listen(fd, 4096) != 0 ||
        getsockname(fd, (struct sockaddr *)&address, &length) != 0)
        fail("listen");
    *port = ntohs(address.sin_port);
    return fd;
}

static void open_raw(method *self, const options *opt)
{
    uint16_t port = 0;
    int listener = listen_raw(&port), one = 1;
    self->receivers = start_receivers(self, port, opt->clients);
    for (uint32_t i = 0; i < opt->clients; i++) {
        self->files[i] = accept(listener, NULL, NULL);
        if (self->files[i] < 0 || setsockopt(self->files[i], IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one)) != 0)
            fail("accept");
    }
    close(listener);
}

static void pass_send(method *self, const options *opt)
{
    for (uint32_t i = 0; i < opt->clients; i++) {
        ssize_t taken = send(self->files[i], message, opt->bytes, MSG_DONTWAIT);
        self->sent += taken > 0;
        self->again += taken <= 0;
    }
}

#if HAS_URING
static void open_raw_uring(method *self, const options *opt)
{
    open_raw(self, opt);
    struct io_uring_params params = {.flags =
                                         IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_CQSIZE,
                                     .cq_entries = 2 * CLIENTS_MAX};
    if (io_uring_queue_init_params(RAW_BATCH, &self->ring, &params) != 0 ||
        io_uring_register_files(&self->ring, self->files, opt->clients) != 0 ||
        io_uring_register_ring_fd(&self->ring) != 1)
        fail("bare io_uring");
}

static void pass_raw_uring(method *self, const options *opt)
{
    for (uint32_t i = 0; i < opt->clients; i++) {
        struct io_uring_sqe *sqe = io_uring_get_sqe(&self->ring);
        io_uring_prep_send(sqe, (int)i, message, opt->bytes, MSG_DONTWAIT | MSG_NOSIGNAL);
        sqe->flags |= IOSQE_FIXED_FILE;
        if (i % RAW_BATCH == RAW_BATCH - 1)
            io_uring_submit(&self->ring);
    }
    io_uring_submit_and_get_events(&self->ring);
    struct io_uring_cqe *cqe;
    unsigned head, count = 0;
    io_uring_for_each_cqe(&self->ring, head, cqe)
    {
        self->sent += cqe->res > 0;
        self->again += cqe->res <= 0;
        count++;
    }
    io_uring_cq_advance(&self->ring, count);
}
#endif

static void on_accept(twi_loop *loop, twi_op *op, int32_t result, uint32_t flags)
{
    (void)loop;
    method *self = op->owner;
    if (result == 0 && flags & TWI_OP_MORE)
        self->socks[self->connected++] = op->accepted;
}

static void on_sent(twi_loop *loop, twi_op *op, int32_t result, uint32_t flags)
{
    (void)loop;
    (void)flags;
    method *self = op->owner;
    self->sent += result > 0;
    self->again += result <= 0;
    self->pending--;
}

static uint16_t listen_on_loop(method *self, const options *opt)
{
    char error[512] = "";
    twi_loop_config config = {.sock_count_max = opt->clients + 8};
    twi_address address = {.host = "127.0.0.1"};
    if (self->ops->open(&config, &self->loop, error, sizeof(error)) != TW_OK ||
        self->ops->listen(self->loop, &address, &self->listener, error, sizeof(error)) != TW_OK) {
        fprintf(stderr, "loop_bench: %s: %s\n", self->name, error);
        exit(1);
    }
    self->accept_op = (twi_op){.done = on_accept, .owner = self};
    self->ops->accept(self->loop, &self->accept_op, self->listener);
    return self->ops->local_port(self->loop, self->listener);
}

static void open_loop(method *self, const options *opt)
{
    self->receivers = start_receivers(self, listen_on_loop(self, opt), opt->clients);
    while (self->connected < opt->clients)
        (void)self->ops->poll(self->loop, INT64_MAX);
    self->piece = (struct iovec){message, opt->bytes};
    for (uint32_t i = 0; i < opt->clients; i++)
        self->ops_of[i] = (twi_op){.done = on_sent, .owner = self};
}

static void pass_loop(method *self, const options *opt)
{
    self->pending = opt->clients;
    for (uint32_t i = 0; i < opt->clients; i++) {
        twi_op *op = &self->ops_of[i];
        op->iov = &self->piece;
        op->iov_count = 1;
        self->ops->send(self->loop, op, self->socks[i]);
    }
    while (self->pending > 0)
        (void)self->ops->poll(self->loop, 0);
}

static void close_method(method *self, const options *opt)
{
    if (self->loop)
        self->ops->close_loop(self->loop);
#if HAS_URING
    if (!self->loop && self->is_uring)
        io_uring_queue_exit(&self->ring);
#endif
    for (uint32_t i = 0; !self->loop && i < opt->clients; i++)
        close(self->files[i]);
    /* Files of the ring are let go by the kernel a moment later: the receivers need not see their end. */
    kill(self->receivers, SIGTERM);
    (void)waitpid(self->receivers, NULL, 0);
}

/* ---- which backends there are ---- */

static const twi_loop_ops *const backends[] = {
#if defined(__linux__)
    &twi_loop_epoll,
    &twi_loop_uring,
#else
    &twi_loop_kqueue,
#endif
};
enum { BACKENDS = sizeof(backends) / sizeof(backends[0]) };

static bool is_runnable(const twi_loop_ops *ops)
{
    char error[512] = "";
    twi_loop *loop = NULL;
    twi_loop_config config = {.sock_count_max = 4};
    if (ops->open(&config, &loop, error, sizeof(error)) != TW_OK) {
        printf("%-10s not measured: %s\n", ops->name, error);
        return false;
    }
    printf("%-10s %s\n", ops->name, ops->features(loop));
    ops->close_loop(loop);
    return true;
}

static int compare_doubles(const void *left, const void *right)
{
    double difference = *(const double *)left - *(const double *)right;
    return (difference > 0) - (difference < 0);
}

static double median(double *values, uint32_t count)
{
    qsort(values, count, sizeof(double), compare_doubles);
    return values[count / 2];
}

/* ---- send ---- */

static uint32_t add_methods(method *methods, const bool *runnable)
{
    uint32_t count = 0;
    methods[count++] = (method){.name = "send()", .pass = pass_send};
    for (int i = 0; i < BACKENDS; i++) {
        if (!runnable[i])
            continue;
#if HAS_URING
        if (backends[i] == &twi_loop_uring)
            methods[count++] = (method){.name = "bare io_uring", .pass = pass_raw_uring, .is_uring = true};
#endif
        methods[count++] = (method){.name = backends[i]->name, .ops = backends[i], .pass = pass_loop};
    }
    return count;
}

static void open_method(method *self, const options *opt)
{
    if (self->ops)
        open_loop(self, opt);
#if HAS_URING
    else if (self->is_uring)
        open_raw_uring(self, opt);
#endif
    else
        open_raw(self, opt);
}

/* Tells the cost of sending apart from what else runs on the machine. */
static int64_t thread_cpu_ns(void)
{
    struct timespec time;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
    return twi_timespec_ns(time);
}

static void measure_round(method *self, const options *opt, uint32_t round)
{
    *active_port = self->port;
    int64_t begin_ns = twi_monotonic_ns(), end_ns = begin_ns + opt->round_ms * ns_per_ms;
    uint64_t before = self->sent;
    int64_t now_ns = begin_ns, cpu_begin_ns = thread_cpu_ns();
    while (now_ns < end_ns) {
        self->pass(self, opt);
        now_ns = twi_monotonic_ns();
    }
    double sent = (double)(self->sent - before);
    self->rates[round] = sent * ns_per_s / (double)(now_ns - begin_ns);
    self->cpu_ns[round] = (double)(thread_cpu_ns() - cpu_begin_ns) / sent;
}

static void bench_send(const options *opt, const bool *runnable)
{
    static method methods[METHODS_MAX];
    uint32_t count = add_methods(methods, runnable);
    active_port = mmap(NULL, sizeof(*active_port), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (active_port == MAP_FAILED)
        fail("mmap");
    pin_to(0);
    for (uint32_t i = 0; i < count; i++)
        open_method(&methods[i], opt);
    for (uint32_t round = 0; round < opt->rounds; round++)
        for (uint32_t i = 0; i < count; i++)
            measure_round(&methods[(i + round) % count], opt, round);
    double bare = 0;
    printf("\nsend: %u receivers, %u bytes, %u rounds of %u ms\n", opt->clients, opt->bytes, opt->rounds,
           opt->round_ms);
    printf("%-14s %14s %10s %10s %12s %12s\n", "method", "deliveries/s", "CPU ns", "of send()", "sent", "would block");
    for (uint32_t i = 0; i < count; i++) {
        double rate = median(methods[i].rates, opt->rounds), cpu_ns = median(methods[i].cpu_ns, opt->rounds);
        bare = i == 0 ? cpu_ns : bare;
        printf("%-14s %14.0f %10.0f %10.3f %12llu %12llu\n", methods[i].name, rate, cpu_ns, cpu_ns / bare,
               (unsigned long long)methods[i].sent, (unsigned long long)methods[i].again);
    }
    for (uint32_t i = 0; i < count; i++)
        close_method(&methods[i], opt);
    unpin();
}

/* ---- echo ---- */

typedef struct echo_client {
    uint16_t port;
    uint32_t samples;
    double ns[SAMPLES_MAX];
    _Atomic bool is_done;
    twi_loop *wakes; /* when done */
} echo_client;

static void *run_echo_client(void *argument)
{
    echo_client *self = argument;
    uint8_t byte[64] = {1};
    int fd = dial(self->port), one = 1;
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    for (uint32_t i = 0; i < self->samples; i++) {
        int64_t begin_ns = twi_monotonic_ns();
        if (send(fd, byte, sizeof(byte), 0) != sizeof(byte) ||
            recv(fd, byte, sizeof(byte), MSG_WAITALL) != sizeof(byte))
            fail("echo");
        self->ns[i] = (double)(twi_monotonic_ns() - begin_ns);
    }
    close(fd);
    self->is_done = true;
    if (self->wakes)
        self->wakes->ops->wake(self->wakes);
    return NULL;
}

static uint8_t echo_bytes[READ_BYTES];

static void on_echo_recv(twi_loop *loop, twi_op *op, int32_t result, uint32_t flags)
{
    method *self = op->owner;
    if (!(flags & TWI_OP_MORE))
        return;
    memcpy(echo_bytes, op->data, (size_t)result);
    self->piece = (struct iovec){echo_bytes, (size_t)result};
    self->ops_of[1].iov = &self->piece;
    self->ops_of[1].iov_count = 1;
    self->pending++;
    loop->ops->send(loop, &self->ops_of[1], op->sock);
}

static void on_echo_accept(twi_loop *loop, twi_op *op, int32_t result, uint32_t flags)
{
    method *self = op->owner;
    if (result != 0 || !(flags & TWI_OP_MORE))
        return;
    self->ops_of[0] = (twi_op){.done = on_echo_recv, .owner = self};
    self->ops_of[1] = (twi_op){.done = on_sent, .owner = self};
    loop->ops->recv(loop, &self->ops_of[0], op->accepted);
}

static void serve_raw(echo_client *client)
{
    pthread_t thread;
    int listener = listen_raw(&client->port), one = 1;
    if (pthread_create(&thread, NULL, run_echo_client, client) != 0)
        fail("pthread_create");
    int fd = accept(listener, NULL, NULL);
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    for (ssize_t taken; (taken = recv(fd, echo_bytes, sizeof(echo_bytes), 0)) > 0;)
        if (send(fd, echo_bytes, (size_t)taken, 0) != taken)
            fail("echo");
    pthread_join(thread, NULL);
    close(fd);
    close(listener);
}

static void serve_loop(echo_client *client, const twi_loop_ops *ops, const options *opt, bool spins)
{
    static method server;
    pthread_t thread;
    server = (method){.name = ops->name, .ops = ops};
    client->port = listen_on_loop(&server, opt);
    server.accept_op.done = on_echo_accept;
    client->wakes = server.loop;
    if (pthread_create(&thread, NULL, run_echo_client, client) != 0)
        fail("pthread_create");
    while (!client->is_done)
        (void)ops->poll(server.loop, spins ? 0 : INT64_MAX);
    pthread_join(thread, NULL);
    ops->close_loop(server.loop);
}

static void print_quantiles(const char *name, double *ns, uint32_t count)
{
    qsort(ns, count, sizeof(double), compare_doubles);
    printf("%-28s %10.1f %10.1f %10.1f\n", name, ns[count / 2] / 1000, ns[count * 9 / 10] / 1000,
           ns[count * 99 / 100] / 1000);
}

static void bench_echo(const options *opt, const bool *runnable)
{
    static echo_client client;
    printf("\necho of 64 bytes, %u round trips\n%-28s %10s %10s %10s\n", opt->samples, "server", "p50 us", "p90 us",
           "p99 us");
    client = (echo_client){.samples = opt->samples};
    serve_raw(&client);
    print_quantiles("blocking recv() and send()", client.ns, opt->samples);
    for (int i = 0; i < 2 * BACKENDS; i++) {
        char name[64];
        if (!runnable[i / 2])
            continue;
        client = (echo_client){.samples = opt->samples};
        serve_loop(&client, backends[i / 2], opt, i % 2);
        snprintf(name, sizeof(name), "%s, %s", backends[i / 2]->name, i % 2 ? "spinning" : "sleeping");
        print_quantiles(name, client.ns, opt->samples);
    }
}

/* ---- wake ---- */

typedef struct waker {
    twi_loop *loop;
    uint32_t samples;
    _Atomic int64_t called_ns;
    _Atomic uint32_t seen;
    double to_loop_ns[SAMPLES_MAX];
    double cost_ns[SAMPLES_MAX];
} waker;

static void *run_waker(void *argument)
{
    waker *self = argument;
    struct timespec pause = {.tv_nsec = 100000}; /* long enough for the loop to fall asleep */
    for (uint32_t i = 0; i < self->samples; i++) {
        nanosleep(&pause, NULL);
        int64_t begin_ns = twi_monotonic_ns();
        self->called_ns = begin_ns;
        self->loop->ops->wake(self->loop);
        self->cost_ns[i] = (double)(twi_monotonic_ns() - begin_ns);
        while (self->seen <= i) {
        }
    }
    return NULL;
}

static void bench_wake_one(const twi_loop_ops *ops, const options *opt)
{
    static waker other;
    pthread_t thread;
    char error[512] = "", name[64];
    twi_loop_config config = {.sock_count_max = 4};
    other = (waker){.samples = opt->samples / 4 + 1};
    if (ops->open(&config, &other.loop, error, sizeof(error)) != TW_OK ||
        pthread_create(&thread, NULL, run_waker, &other) != 0)
        fail("wake");
    for (uint32_t i = 0; i < other.samples;) {
        (void)ops->poll(other.loop, INT64_MAX);
        int64_t now_ns = twi_monotonic_ns(), called_ns = other.called_ns;
        if (called_ns == 0)
            continue;
        other.called_ns = 0;
        other.to_loop_ns[i] = (double)(now_ns - called_ns);
        other.seen = ++i;
    }
    pthread_join(thread, NULL);
    ops->close_loop(other.loop);
    snprintf(name, sizeof(name), "%s, to the loop", ops->name);
    print_quantiles(name, other.to_loop_ns, other.samples);
    snprintf(name, sizeof(name), "%s, cost of the call", ops->name);
    print_quantiles(name, other.cost_ns, other.samples);
}

static void bench_wake(const options *opt, const bool *runnable)
{
    printf("\nwake-up of a sleeping loop\n%-28s %10s %10s %10s\n", "backend", "p50 us", "p90 us", "p99 us");
    for (int i = 0; i < BACKENDS; i++)
        if (runnable[i])
            bench_wake_one(backends[i], opt);
}

/* ---- main ---- */

static uint32_t number(const char *text, uint32_t max)
{
    char *end = NULL;
    unsigned long value = text ? strtoul(text, &end, 10) : 0;
    if (!text || *end || value == 0 || value > max) {
        fprintf(stderr, "loop_bench: a number from 1 to %u is wanted: %s\n", max, text ? text : "(nothing)");
        exit(2);
    }
    return (uint32_t)value;
}

static options parse(int argc, char **argv)
{
    options opt = {.clients = 1000, .bytes = 102, .rounds = 15, .round_ms = 200, .samples = SAMPLES_MAX};
    for (int i = 1; i < argc; i++) {
        const char *value = i + 1 < argc ? argv[i + 1] : NULL;
        if (strcmp(argv[i], "--quick") == 0) {
            opt = (options){.clients = 10, .bytes = 102, .rounds = 3, .round_ms = 5, .samples = 200};
            continue;
        }
        if (strcmp(argv[i], "--clients") == 0)
            opt.clients = number(value, CLIENTS_MAX);
        else if (strcmp(argv[i], "--bytes") == 0)
            opt.bytes = number(value, BYTES_MAX);
        else if (strcmp(argv[i], "--rounds") == 0)
            opt.rounds = number(value, ROUNDS_MAX);
        else if (strcmp(argv[i], "--round-ms") == 0)
            opt.round_ms = number(value, 10000);
        else if (strcmp(argv[i], "--only") == 0 && value)
            opt.only = value;
        else {
            fprintf(stderr, "usage: loop_bench [--quick] [--clients N] [--bytes B] [--rounds R] [--round-ms MS] "
                            "[--only send|echo|wake]\n");
            exit(2);
        }
        i++;
    }
    return opt;
}

static bool is_asked_for(const options *opt, const char *name)
{
    return !opt->only || strcmp(opt->only, name) == 0;
}

int main(int argc, char **argv)
{
    options opt = parse(argc, argv);
    bool runnable[BACKENDS];
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        rlim_t wanted = (rlim_t)opt.clients * DESCRIPTORS + 256;
        if (limit.rlim_cur < wanted) {
            limit.rlim_cur = wanted < limit.rlim_max ? wanted : limit.rlim_max;
            (void)setrlimit(RLIMIT_NOFILE, &limit);
        }
    }
    signal(SIGPIPE, SIG_IGN);
    memset(message, 'm', sizeof(message));
    for (int i = 0; i < BACKENDS; i++)
        runnable[i] = is_runnable(backends[i]);
    if (is_asked_for(&opt, "send"))
        bench_send(&opt, runnable);
    if (is_asked_for(&opt, "echo"))
        bench_echo(&opt, runnable);
    if (is_asked_for(&opt, "wake"))
        bench_wake(&opt, runnable);
    return 0;
}
