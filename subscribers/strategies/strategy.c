/* strategy.c - see strategy.h. */
#include "subscribers/strategies/strategy.h"

#include <getopt.h>
#include <math.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define NS_PER_S 1000000000.0

enum { POLL_NS = 50000000, ERROR_BYTES = 512, EXIT_GOOD = 0, EXIT_FAILED = 1, EXIT_USAGE = 2 };
enum { OWN_OPTIONS = 7, OPTION_SETTING = 1000 };

typedef struct session {
    const strategy *it;
    tw_stream_options stream;
    tw_view *view;
    double duration_s, interval_s, connect_s;
    uint64_t epoch;
    tw_stream *open;
} session;

static atomic_bool is_stopped; /* lock-free, so a signal handler may set it */

static void on_signal(int number)
{
    (void)number;
    atomic_store(&is_stopped, true);
}

static double now_s(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / NS_PER_S;
}

const char *strategy_name_of(const tw_symbols *symbols, uint32_t instrument)
{
    static char name[TW_EXCHANGE_MAX + TW_SYMBOL_MAX + 2];
    const tw_instrument *found = tw_symbols_get(symbols, instrument);
    if (found == NULL)
        return "?";
    snprintf(name, sizeof name, "%s:%s", found->exchange, found->symbol);
    return name;
}

double strategy_number(int64_t mantissa, int exponent)
{
    return (double)mantissa * pow(10, exponent);
}

/* ---- options ---- */

static void usage(FILE *to, const strategy *it)
{
    fprintf(to,
            "usage: %s [options]\n%s\n\n"
            "  --from F         ws://HOST:PORT[/PATH], unix:/SOCKET or shm:NAME   [ws://127.0.0.1:9001/v1/stream]\n"
            "  --symbols LIST   EXCHANGE:SYMBOL, * for any                       [*:*]\n"
            "  --codec C        json or flatbuffers (WebSocket)                  [flatbuffers]\n"
            "  --wait W         sleep, yield or spin (shared memory)             [sleep]\n"
            "  --interval S     seconds between lines of figures                 [1]\n"
            "  --duration S     ends after so many seconds, 0: Ctrl-C            [0]\n"
            "  --connect S      how many seconds to try to connect               [10]\n",
            it->name, it->about);
    for (size_t i = 0; i < STRATEGY_SETTINGS_MAX && it->settings[i].name; i++)
        fprintf(to, "  --%-14s %s  [%g]\n", it->settings[i].name, it->settings[i].help, *it->settings[i].value);
    fprintf(to,
            "\nexamples\n"
            "  %s --symbols 'sim:BTC/USDT'\n"
            "  %s --from shm:tickwire --wait spin     (the engine has ring.name = \"tickwire\")\n",
            it->name, it->name);
}

static int parse_number(const char *text, double *value)
{
    char *end;
    double parsed = strtod(text, &end);
    if (end == text || *end != '\0' || !(parsed >= 0))
        return 0;
    *value = parsed;
    return 1;
}

static int parse_wait(const char *text, uint32_t *wait)
{
    static const char *const names[] = {"sleep", "yield", "spin"}; /* as in tw_stream_wait */
    for (uint32_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (strcmp(names[i], text) == 0) {
            *wait = i;
            return 1;
        }
    }
    return 0;
}

static int take_option(session *self, int option, const char *value)
{
    switch (option) {
    case 'f':
        self->stream.from = value;
        return 1;
    case 's':
        self->stream.symbols = value;
        return 1;
    case 'c':
        self->stream.codec = value;
        return 1;
    case 'w':
        return parse_wait(value, &self->stream.wait);
    case 'i':
        return parse_number(value, &self->interval_s);
    case 'd':
        return parse_number(value, &self->duration_s);
    case 't':
        return parse_number(value, &self->connect_s);
    default:
        return parse_number(value, self->it->settings[option - OPTION_SETTING].value);
    }
}

/* -1: go on; else the exit code. */
static int parse_options(session *self, int argc, char **argv)
{
    struct option options[OWN_OPTIONS + STRATEGY_SETTINGS_MAX + 2] = {
        {"from", required_argument, NULL, 'f'},     {"symbols", required_argument, NULL, 's'},
        {"codec", required_argument, NULL, 'c'},    {"wait", required_argument, NULL, 'w'},
        {"interval", required_argument, NULL, 'i'}, {"duration", required_argument, NULL, 'd'},
        {"connect", required_argument, NULL, 't'},  {"help", no_argument, NULL, 'h'},
    };
    for (int i = 0; i < STRATEGY_SETTINGS_MAX && self->it->settings[i].name; i++)
        options[OWN_OPTIONS + 1 + i] =
            (struct option){self->it->settings[i].name, required_argument, NULL, OPTION_SETTING + i};
    int option, index = 0;
    while ((option = getopt_long(argc, argv, "h", options, &index)) != -1) {
        if (option == 'h') {
            usage(stdout, self->it);
            return EXIT_GOOD;
        }
        if (option == '?')
            return EXIT_USAGE; /* getopt has said what is wrong */
        if (!take_option(self, option, optarg)) {
            fprintf(stderr, "%s: --%s cannot be '%s'; see --help\n", self->it->name, options[index].name, optarg);
            return EXIT_USAGE;
        }
    }
    if (optind < argc) {
        fprintf(stderr, "%s: what is '%s'? see --help\n", self->it->name, argv[optind]);
        return EXIT_USAGE;
    }
    return -1;
}

/* ---- running ---- */

static void on_message(void *owner, const tw_stream_message *message)
{
    session *self = owner;
    if (self->open != NULL && tw_stream_epoch(self->open) != self->epoch) {
        self->epoch = tw_stream_epoch(self->open);
        tw_view_reset(self->view); /* another engine: instruments may have other numbers */
    }
    for (uint32_t i = 0; i < message->event_count; i++)
        if (tw_view_apply(self->view, &message->events[i]) != TW_OK)
            tw_view_gap(self->view);
    if (message->events[0].kind != TW_EVENT_LOSS)
        self->it->on_message(self->it->owner, message, self->view);
    else if (self->it->on_gap)
        self->it->on_gap(self->it->owner, message->events[0].u.loss.count);
}

static void on_gap(void *owner, uint64_t count)
{
    session *self = owner;
    tw_view_gap(self->view);
    if (self->it->on_gap)
        self->it->on_gap(self->it->owner, count);
}

static void on_note(void *owner, const char *text)
{
    const session *self = owner;
    fprintf(stderr, "%s: %s\n", self->it->name, text);
}

static int poll_until_end(session *self)
{
    double begin_s = now_s(), next_s = begin_s + self->interval_s;
    while (!is_stopped) {
        if (tw_stream_poll(self->open, POLL_NS) != TW_OK) {
            fprintf(stderr, "%s: turned away: %s\n", self->it->name, tw_stream_reason(self->open));
            return EXIT_FAILED;
        }
        double time_s = now_s();
        if (tw_stream_epoch(self->open) == 0 && time_s > begin_s + self->connect_s) {
            fprintf(stderr, "%s: no connection: %s\n", self->it->name, tw_stream_reason(self->open));
            return EXIT_FAILED;
        }
        if (self->duration_s > 0 && time_s >= begin_s + self->duration_s)
            break;
        if (time_s >= next_s) {
            next_s += self->interval_s;
            if (self->it->on_interval)
                self->it->on_interval(self->it->owner, self->view);
            fflush(stdout);
        }
    }
    if (self->it->on_interval)
        self->it->on_interval(self->it->owner, self->view);
    return EXIT_GOOD;
}

int strategy_main(int argc, char **argv, const strategy *it)
{
    session self = {.it = it, .interval_s = 1, .connect_s = 10};
    char error[ERROR_BYTES] = "";
    tw_stream_options_init(&self.stream, sizeof self.stream);
    self.stream.channels = it->channels;
    self.stream.on_message = on_message;
    self.stream.on_gap = on_gap;
    self.stream.on_note = on_note;
    self.stream.owner = &self;
    int code = parse_options(&self, argc, argv);
    if (code >= 0)
        return code;
    if (tw_view_open(NULL, &self.view) != TW_OK) {
        fprintf(stderr, "%s: no memory\n", it->name);
        return EXIT_FAILED;
    }
    struct sigaction action = {.sa_handler = on_signal};
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    if (tw_stream_open(&self.stream, &self.open, error, sizeof error) == TW_OK) {
        code = poll_until_end(&self);
    } else {
        fprintf(stderr, "%s: %s\n", it->name, error);
        code = EXIT_FAILED;
    }
    tw_stream_close(self.open);
    tw_view_close(self.view);
    return fflush(stdout) == 0 ? code : EXIT_FAILED;
}
