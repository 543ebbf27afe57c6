/* publisher.c - a program that publishes its own events: subscribers get them over WebSocket, and, if ring.name is set,
 * over shared memory.
 *
 * Build:     cc publisher.c -o publisher $(pkg-config --cflags --libs tickwire)
 * Usage:     ./publisher [section.key=value ...]     any setting of the engine; ends with Ctrl-C
 * Try:       ./publisher listen.port=9001, and beside it: tw sub --symbols '*'
 * Shape:     the engine serves in its own threads (TW_ENGINE_THREADS) and has no feeds, so this thread is the ring's
 *            producer: it claims, fills in and commits, and flushes after each batch. */
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <tickwire/engine.h>

static atomic_int stopped; /* lock-free: a signal handler may set it */

static void on_signal(int number)
{
    (void)number;
    stopped = 1;
}

static int64_t now_ns(void)
{
    struct timespec time;
    clock_gettime(CLOCK_REALTIME, &time);
    return (int64_t)time.tv_sec * 1000000000 + time.tv_nsec;
}

/* "64000.10" is 6400010 * 10^-2: numbers are exact, and their digits stay as they are. */
static void publish_trade(tw_sink *sink, uint32_t instrument, int64_t cents, int64_t id)
{
    tw_event *event = tw_sink_claim(sink);
    event->instrument = instrument;
    event->kind = TW_EVENT_TRADE;
    event->flags = TW_FLAG_FIRST | TW_FLAG_LAST | TW_ID_NUMBER << TW_ID_KIND_SHIFT;
    event->price_exponent = -2;
    event->amount_exponent = -3;
    event->recv_ns = now_ns();
    event->venue_ns = event->recv_ns;
    event->u.trade.price = cents;
    event->u.trade.amount = 1500;
    event->u.trade.id.lo = (uint64_t)id;
    tw_sink_commit(sink);
}

static void publish_quote(tw_sink *sink, uint32_t instrument, int64_t cents)
{
    tw_event *event = tw_sink_claim(sink);
    event->instrument = instrument;
    event->kind = TW_EVENT_QUOTE;
    event->flags = TW_FLAG_FIRST | TW_FLAG_LAST;
    event->price_exponent = -2;
    event->recv_ns = now_ns();
    event->venue_ns = event->recv_ns;
    event->u.quote.bid = cents - 5;
    event->u.quote.bid_amount = 2;
    event->u.quote.ask = cents + 5;
    event->u.quote.ask_amount = 3;
    tw_sink_commit(sink);
}

int main(int argc, char **argv)
{
    char error[1024];
    tw_engine *engine;
    tw_engine_options options;
    tw_engine_options_init(&options, sizeof options);
    options.parts = TW_ENGINE_SERVER;
    options.settings = (const char *const *)(argv + 1);
    options.setting_count = (uint32_t)(argc - 1);
    if (tw_engine_open(&options, &engine, error, sizeof error) != TW_OK) {
        fprintf(stderr, "%s\n", error);
        return 1;
    }

    uint32_t instrument;
    tw_sink sink;
    tw_status status = tw_engine_instrument(engine, "mine", "BTC/USDT", NULL, &instrument);
    if (status == TW_OK)
        status = tw_engine_start(engine);
    if (status == TW_OK)
        status = tw_engine_sink(engine, &sink);
    if (status != TW_OK) {
        fprintf(stderr, "cannot start: %s\n", tw_status_name(status));
        tw_engine_close(engine);
        return 1;
    }
    struct sigaction action;
    memset(&action, 0, sizeof action);
    action.sa_handler = on_signal;
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    printf("listening on ws://127.0.0.1:%u/v1/stream\n", tw_engine_port(engine));
    fflush(stdout);

    int64_t count = 0;
    while (!stopped) {
        int64_t cents = 6400000 + count % 1000;
        publish_quote(&sink, instrument, cents);
        publish_trade(&sink, instrument, cents, ++count);
        tw_engine_flush(engine);
        struct timespec pause = {0, 1000000};
        nanosleep(&pause, NULL);
    }

    uint64_t delivered = 0;
    if (tw_engine_counter_find(engine, "tickwire_delivered_messages_total", &delivered) == TW_OK)
        printf("published %lld trades; %llu messages were delivered\n", (long long)count,
               (unsigned long long)delivered);
    tw_engine_close(engine);
    return 0;
}
