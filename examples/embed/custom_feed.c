/* custom_feed.c - a feed of your own in one file: quotes that walk at random, served like any exchange's.
 *
 * Build:     cc custom_feed.c -o custom_feed $(pkg-config --cflags --libs tickwire)
 * Usage:     ./custom_feed [section.key=value ...]     any setting of the engine; ends with Ctrl-C
 * Try:       ./custom_feed listen.port=9001, and beside it: bot --channels quote --symbols 'walk:*'
 * Shape:     a source has no thread and no clock: the engine's feed thread calls step() with the time, step() puts what
 *            is due into the sink and says when it wants to be called again. Wrap your own input (a message bus, a
 *            file, a device) the same way: take what has come, never wait. */
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include <tickwire/engine.h>

enum { PAIRS = 3 };
#define QUOTE_EVERY_NS INT64_C(1000000)

static const char *const pairs[PAIRS] = {"AAA/USD", "BBB/USD", "CCC/USD"};

typedef struct walk {
    uint32_t instruments[PAIRS];
    int64_t cents[PAIRS];
    int64_t due_ns;
    uint32_t next; /* whose turn it is */
    uint64_t state;
} walk;

/* -1, 0 or 1 */
static int64_t random_move(walk *self)
{
    self->state = self->state * UINT64_C(6364136223846793005) + 1;
    return (int64_t)((self->state >> 33) % 3) - 1;
}

static void quote(walk *self, int64_t now_ns, tw_sink *sink)
{
    uint32_t index = self->next++ % PAIRS;
    self->cents[index] += random_move(self);
    tw_event *event = tw_sink_claim(sink);
    event->instrument = self->instruments[index];
    event->kind = TW_EVENT_QUOTE;
    event->flags = TW_FLAG_FIRST | TW_FLAG_LAST;
    event->price_exponent = -2;
    event->venue_ns = self->due_ns;
    event->recv_ns = now_ns;
    event->u.quote.bid = self->cents[index] - 1;
    event->u.quote.bid_amount = 10;
    event->u.quote.ask = self->cents[index] + 1;
    event->u.quote.ask_amount = 10;
    tw_sink_commit(sink);
}

/* What is due, at most event_max; a feed that was not called for long does not make up for it in one go. */
static size_t walk_step(void *state, int64_t now_ns, size_t event_max, tw_sink *sink, int64_t *next_ns)
{
    walk *self = state;
    size_t count = 0;
    if (self->due_ns == 0)
        self->due_ns = now_ns;
    while (count < event_max && self->due_ns <= now_ns) {
        quote(self, now_ns, sink);
        self->due_ns += QUOTE_EVERY_NS;
        count++;
    }
    *next_ns = self->due_ns;
    return count;
}

static const tw_source_ops walk_ops = {.name = "walk", .step = walk_step};

static tw_status walk_open(void *owner, tw_symbols *symbols, tw_source *source, char *error, size_t error_cap)
{
    walk *self = owner;
    *source = (tw_source){.ops = &walk_ops, .state = self};
    for (uint32_t i = 0; i < PAIRS; i++) {
        self->cents[i] = 10000 * (i + 1);
        tw_status status = tw_symbols_intern(symbols, "walk", strlen("walk"), pairs[i], strlen(pairs[i]), NULL, 0,
                                             &self->instruments[i]);
        if (status != TW_OK) {
            snprintf(error, error_cap, "no place for %s: raise ring.instruments_max", pairs[i]);
            return status;
        }
    }
    return TW_OK;
}

static void print_log(void *owner, tw_log_level level, const char *area, const char *message)
{
    (void)owner;
    fprintf(stderr, "%s%s: %s\n", level <= TW_LOG_WARN ? "! " : "", area, message);
}

int main(int argc, char **argv)
{
    walk self = {.state = 42};
    tw_engine_source source = {.name = "walk", .open = walk_open, .owner = &self};
    char error[1024];
    tw_engine *engine;
    tw_engine_options options;
    tw_engine_options_init(&options, sizeof options);
    options.parts = TW_ENGINE_SERVER; /* or with TW_ENGINE_FEEDS: beside the feeds of a configuration */
    options.settings = (const char *const *)(argv + 1);
    options.setting_count = (uint32_t)(argc - 1);
    options.sources = &source;
    options.source_count = 1;
    options.log = print_log;

    /* The engine's threads take no signals; this thread waits for one, and no handler is needed. */
    sigset_t signals;
    int number;
    sigemptyset(&signals);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGTERM);
    sigprocmask(SIG_BLOCK, &signals, NULL);

    if (tw_engine_open(&options, &engine, error, sizeof error) != TW_OK || tw_engine_start(engine) != TW_OK) {
        fprintf(stderr, "%s\n", error[0] != '\0' ? error : "the system gives no more threads");
        return 1;
    }
    printf("listening on ws://127.0.0.1:%u/v1/stream\n", tw_engine_port(engine));
    fflush(stdout);
    sigwait(&signals, &number);
    tw_engine_stop(engine);
    uint64_t events = 0;
    if (tw_engine_counter_find(engine, "tickwire_feed_events_total", &events) == TW_OK)
        printf("%llu quotes\n", (unsigned long long)events);
    tw_engine_close(engine);
    return 0;
}
