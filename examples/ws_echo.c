/* ws_echo.c - a WebSocket server that sends every message back.
 *
 * Usage:     ws_echo [--port 9001] [--host 127.0.0.1] [--loop auto|io_uring|epoll|kqueue] ...; see --help. Prints the
 *            port, so that --port 0 can be used. Ends on SIGINT or SIGTERM, with 1001 to all.
 * What for:  public conformance suites (tools/autobahn.sh), real clients, and a first look at loop and protocol code.
 * Non-goals: anything but echo. */
#include <getopt.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "examples/echo_peer.h"

enum { CONNECTIONS_MAX = 4096, BACKLOG = 511 };
static const int64_t poll_ns = 100 * (int64_t)1000000;

typedef struct server {
    twi_loop *loop;
    twi_sock listener;
    twi_op accept_op;
    echo_config config;
    echo_hooks hooks;
    echo_peer *peers[CONNECTIONS_MAX];
    uint32_t peer_count;
    bool verbose;
} server;

typedef struct closing_socket {
    twi_op op;
} closing_socket;

static atomic_bool stop_wanted;

static void on_signal(int number)
{
    (void)number;
    atomic_store(&stop_wanted, true);
}

static void on_peer_closed(void *owner, echo_peer *peer, const char *error)
{
    server *self = owner;
    for (uint32_t i = 0; i < self->peer_count; i++) {
        if (self->peers[i] != peer)
            continue;
        self->peers[i] = self->peers[--self->peer_count];
        break;
    }
    if (self->verbose)
        fprintf(stderr, "closed: %s\n", error != NULL ? error : "clean");
}

static void on_refused(twi_loop *loop, twi_op *op, int32_t result, uint32_t flags)
{
    (void)loop, (void)result, (void)flags;
    free(op->owner);
}

static void refuse(server *self, twi_sock sock)
{
    closing_socket *closing = calloc(1, sizeof(*closing));
    if (closing == NULL)
        return;
    closing->op.done = on_refused;
    closing->op.owner = closing;
    self->loop->ops->close(self->loop, &closing->op, sock);
}

static void on_accept(twi_loop *loop, twi_op *op, int32_t result, uint32_t flags)
{
    server *self = op->owner;
    if (result >= 0) {
        echo_peer *peer = NULL;
        if (self->peer_count < CONNECTIONS_MAX)
            peer = echo_peer_accepted(loop, op->accepted, &self->config, &self->hooks);
        if (peer == NULL)
            refuse(self, op->accepted);
        else
            self->peers[self->peer_count++] = peer;
    }
    if ((flags & TWI_OP_MORE) == 0 && result != TW_CANCELED)
        loop->ops->accept(loop, op, self->listener);
}

static void print_help(void)
{
    puts("ws_echo - WebSocket server that sends every message back\n"
         "\n"
         "  --port N           port to listen on; 0 takes a free one (default 9001)\n"
         "  --host ADDRESS     address, or unix:/path (default 127.0.0.1)\n"
         "  --loop NAME        auto, io_uring, epoll or kqueue (default auto)\n"
         "  --no-deflate       do not offer permessage-deflate\n"
         "  --level N          compression level 1..9 (default 1)\n"
         "  --message-bytes N  largest message (default 16777216)\n"
         "  --fragments N      most fragments of one message (default 65537)\n"
         "  --verbose          say why each connection ended\n"
         "  --help             this text");
}

/* A number within [least, most]; ends the program if it is not. */
static uint64_t number(const char *option, const char *text, uint64_t least, uint64_t most)
{
    char *end;
    unsigned long long value = strtoull(text, &end, 10);
    if (*text == '\0' || *text == '-' || *end != '\0' || value < least || value > most) {
        fprintf(stderr, "ws_echo: --%s %s: a number from %llu to %llu is needed\n", option, text,
                (unsigned long long)least, (unsigned long long)most);
        exit(2);
    }
    return value;
}

typedef struct options {
    twi_address address;
    const char *loop;
} options;

static void read_options(int argc, char **argv, options *chosen, server *self)
{
    static const struct option table[] = {
        {"port", required_argument, NULL, 'p'},
        {"host", required_argument, NULL, 'a'},
        {"loop", required_argument, NULL, 'l'},
        {"no-deflate", no_argument, NULL, 'n'},
        {"level", required_argument, NULL, 'z'},
        {"message-bytes", required_argument, NULL, 'm'},
        {"fragments", required_argument, NULL, 'f'},
        {"verbose", no_argument, NULL, 'v'},
        {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0},
    };
    int option;
    while ((option = getopt_long(argc, argv, "", table, NULL)) != -1) {
        switch (option) {
        case 'p':
            chosen->address.port = (uint16_t)number("port", optarg, 0, UINT16_MAX);
            break;
        case 'a':
            chosen->address.host = optarg;
            break;
        case 'l':
            chosen->loop = optarg;
            break;
        case 'n':
            self->config.deflate = false;
            break;
        case 'z':
            self->config.deflate_level = (uint8_t)number("level", optarg, 1, 9);
            break;
        case 'm':
            self->config.message_bytes_max = number("message-bytes", optarg, 1, UINT32_MAX);
            break;
        case 'f':
            self->config.fragment_count_max = (uint32_t)number("fragments", optarg, 1, UINT32_MAX);
            break;
        case 'v':
            self->verbose = true;
            break;
        case 'h':
            print_help();
            exit(0);
        default:
            exit(2);
        }
    }
    if (optind < argc) {
        fprintf(stderr, "ws_echo: unknown argument %s\n", argv[optind]);
        exit(2);
    }
}

static void run(server *self)
{
    const twi_loop_ops *ops = self->loop->ops;
    self->accept_op.done = on_accept;
    self->accept_op.owner = self;
    ops->accept(self->loop, &self->accept_op, self->listener);
    while (!atomic_load(&stop_wanted))
        ops->poll(self->loop, ops->now_ns(self->loop) + poll_ns);
    for (uint32_t i = self->peer_count; i-- > 0;)
        echo_peer_go_away(self->peers[i]);
    int64_t deadline_ns = ops->now_ns(self->loop) + 2 * self->config.linger_ns;
    while (self->peer_count > 0 && ops->now_ns(self->loop) < deadline_ns)
        ops->poll(self->loop, ops->now_ns(self->loop) + poll_ns);
}

int main(int argc, char **argv)
{
    static server self;
    self.config = echo_config_default;
    self.hooks = (echo_hooks){.owner = &self, .closed = on_peer_closed};
    options chosen = {.address = {.host = "127.0.0.1", .port = 9001, .backlog = BACKLOG}, .loop = "auto"};
    read_options(argc, argv, &chosen, &self);
    char text[256];
    twi_loop_config loop_config = {.sock_count_max = CONNECTIONS_MAX + 1};
    if (twi_loop_open(chosen.loop, &loop_config, &self.loop, text, sizeof(text)) != TW_OK) {
        fprintf(stderr, "ws_echo: %s\n", text);
        return 1;
    }
    printf("loop: %s\n", text);
    if (self.loop->ops->listen(self.loop, &chosen.address, &self.listener, text, sizeof(text)) != TW_OK) {
        fprintf(stderr, "ws_echo: %s\n", text);
        self.loop->ops->close_loop(self.loop);
        return 1;
    }
    printf("listening on %s port %u\n", chosen.address.host, self.loop->ops->local_port(self.loop, self.listener));
    fflush(stdout);
    signal(SIGINT, on_signal);
    signal(SIGTERM, on_signal);
    signal(SIGPIPE, SIG_IGN);
    run(&self);
    self.loop->ops->close_loop(self.loop);
    return 0;
}
