/* ws_echo_client.c - a WebSocket client that sends every message back, driven by a fuzzing server.
 *
 * Usage:     ws_echo_client [--port 9001] [--host 127.0.0.1] [--agent NAME] [--first N] [--last N] ...; see --help.
 * What for:  the protocol of public conformance suites: /getCaseCount answers with the number of cases, then
 *            /runCase?case=N&agent=NAME for each, and /updateReports?agent=NAME at the end. Run by tools/autobahn.sh.
 * Exit:      0 all cases were run (their verdicts are in the server's reports), 1 the server could not be reached. */
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "examples/echo_peer.h"

enum { AGENT_BYTES_MAX = 64, TARGET_BYTES = 256, HOST_BYTES = 128 };
static const int64_t poll_ns = 100 * (int64_t)1000000;

typedef struct client {
    twi_loop *loop;
    twi_address address;
    echo_config config;
    echo_hooks hooks;
    const char *agent;
    const char *error;   /* of the last connection */
    uint32_t case_count; /* from the server */
    bool counting;       /* the next message is the case count, not to be echoed */
    bool connected;      /* a connection is open or being opened */
    bool got_message;
} client;

static bool on_message(void *owner, echo_peer *peer, uint8_t opcode, const uint8_t *data, size_t len)
{
    (void)peer, (void)opcode;
    client *self = owner;
    self->got_message = true;
    if (!self->counting)
        return true;
    self->case_count = 0;
    for (size_t i = 0; i < len && data[i] >= '0' && data[i] <= '9' && self->case_count < 100000; i++)
        self->case_count = self->case_count * 10 + (uint32_t)(data[i] - '0');
    return false;
}

static void on_closed(void *owner, echo_peer *peer, const char *error)
{
    (void)peer;
    client *self = owner;
    self->connected = false;
    self->error = error;
}

/* One connection from beginning to end. false: no memory. */
static bool visit(client *self, const char *target)
{
    char host[HOST_BYTES];
    snprintf(host, sizeof(host), "%s:%u", self->address.host, (unsigned)self->address.port);
    self->connected = true;
    self->error = NULL;
    if (echo_peer_connect(self->loop, &self->address, host, target, &self->config, &self->hooks) == NULL)
        return false;
    const twi_loop_ops *ops = self->loop->ops;
    while (self->connected)
        ops->poll(self->loop, ops->now_ns(self->loop) + poll_ns);
    return true;
}

static void print_help(void)
{
    puts("ws_echo_client - WebSocket client that sends every message back, for conformance suites\n"
         "\n"
         "  --port N        port of the fuzzing server (default 9001)\n"
         "  --host ADDRESS  its address (default 127.0.0.1)\n"
         "  --agent NAME    our name in its reports (default tickwire)\n"
         "  --first N       first case (default 1)\n"
         "  --last N        last case (default: all)\n"
         "  --loop NAME     auto, io_uring, epoll or kqueue (default auto)\n"
         "  --no-deflate    do not offer permessage-deflate\n"
         "  --verbose       one line per case\n"
         "  --help          this text");
}

static uint32_t number(const char *option, const char *text, uint32_t most)
{
    char *end;
    unsigned long value = strtoul(text, &end, 10);
    if (*text == '\0' || *text == '-' || *end != '\0' || value < 1 || value > most) {
        fprintf(stderr, "ws_echo_client: --%s %s: a number from 1 to %u is needed\n", option, text, (unsigned)most);
        exit(2);
    }
    return (uint32_t)value;
}

typedef struct options {
    const char *loop;
    uint32_t first;
    uint32_t last;
    bool verbose;
} options;

static void read_options(int argc, char **argv, options *chosen, client *self)
{
    static const struct option table[] = {
        {"port", required_argument, NULL, 'p'},  {"host", required_argument, NULL, 'a'},
        {"agent", required_argument, NULL, 'g'}, {"first", required_argument, NULL, 'f'},
        {"last", required_argument, NULL, 't'},  {"loop", required_argument, NULL, 'l'},
        {"no-deflate", no_argument, NULL, 'n'},  {"verbose", no_argument, NULL, 'v'},
        {"help", no_argument, NULL, 'h'},        {NULL, 0, NULL, 0},
    };
    int option;
    while ((option = getopt_long(argc, argv, "", table, NULL)) != -1) {
        switch (option) {
        case 'p':
            self->address.port = (uint16_t)number("port", optarg, UINT16_MAX);
            break;
        case 'a':
            self->address.host = optarg;
            break;
        case 'g':
            self->agent = optarg;
            break;
        case 'f':
            chosen->first = number("first", optarg, UINT32_MAX);
            break;
        case 't':
            chosen->last = number("last", optarg, UINT32_MAX);
            break;
        case 'l':
            chosen->loop = optarg;
            break;
        case 'n':
            self->config.deflate = false;
            break;
        case 'v':
            chosen->verbose = true;
            break;
        case 'h':
            print_help();
            exit(0);
        default:
            exit(2);
        }
    }
    if (optind < argc || strlen(self->agent) > AGENT_BYTES_MAX) {
        fprintf(stderr, "ws_echo_client: unknown argument or agent name too long; see --help\n");
        exit(2);
    }
}

static int run(client *self, const options *chosen)
{
    char target[TARGET_BYTES];
    self->counting = true;
    if (!visit(self, "/getCaseCount") || !self->got_message) {
        fprintf(stderr, "ws_echo_client: no case count from the server: %s\n",
                self->error != NULL ? self->error : "it sent none");
        return 1;
    }
    self->counting = false;
    uint32_t last = chosen->last != 0 && chosen->last < self->case_count ? chosen->last : self->case_count;
    printf("cases %u to %u of %u\n", (unsigned)chosen->first, (unsigned)last, (unsigned)self->case_count);
    for (uint32_t i = chosen->first; i <= last; i++) {
        snprintf(target, sizeof(target), "/runCase?case=%u&agent=%s", (unsigned)i, self->agent);
        if (!visit(self, target))
            return 1;
        if (chosen->verbose)
            printf("case %u: %s\n", (unsigned)i, self->error != NULL ? self->error : "closed cleanly");
    }
    snprintf(target, sizeof(target), "/updateReports?agent=%s", self->agent);
    return visit(self, target) ? 0 : 1;
}

int main(int argc, char **argv)
{
    static client self;
    self.address = (twi_address){.host = "127.0.0.1", .port = 9001};
    self.agent = "tickwire";
    self.config = echo_config_default;
    self.hooks = (echo_hooks){.owner = &self, .message = on_message, .closed = on_closed};
    options chosen = {.loop = "auto", .first = 1};
    read_options(argc, argv, &chosen, &self);
    char text[256];
    twi_loop_config loop_config = {.sock_count_max = 16};
    if (twi_loop_open(chosen.loop, &loop_config, &self.loop, text, sizeof(text)) != TW_OK) {
        fprintf(stderr, "ws_echo_client: %s\n", text);
        return 1;
    }
    printf("loop: %s\n", text);
    fflush(stdout);
    signal(SIGPIPE, SIG_IGN);
    int code = run(&self, &chosen);
    self.loop->ops->close_loop(self.loop);
    return code;
}
