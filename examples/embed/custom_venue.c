/* custom_venue.c - a venue of your own in one file: an adapter for a WebSocket server, which the engine dials, redials,
 * pings and counts like any exchange. This one relays another Tickwire engine.
 *
 * Build:     cc custom_venue.c -o custom_venue $(pkg-config --cflags --libs tickwire)
 * Usage:     ./custom_venue URL SYMBOL [section.key=value ...]     ends with Ctrl-C
 * Try:       ./publisher listen.port=9001, and beside it
 *            ./custom_venue ws://127.0.0.1:9001/v1/stream BTC/USDT listen.port=9002
 * Shape:     an adapter owns no socket, thread, clock or memory: the engine gives it state and time, hands in whole
 *            messages and sends what next_output() owes. The same code then runs from a recording, a test or a
 *            fuzzer. */
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include <tickwire/engine.h>

enum { SYMBOLS_MAX = 64, UPSTREAM_MAX = 1024, EVENTS_MAX = 8192 };

typedef struct relay {
    uint32_t ours[UPSTREAM_MAX]; /* the engine's instrument + 1 by the upstream's, 0: not wanted */
    uint32_t known;              /* upstream's instruments that were looked at */
    uint32_t symbol_count;
    const char *symbols[SYMBOLS_MAX]; /* the configuration's outlive the state in the engine */
    uint32_t instruments[SYMBOLS_MAX];
    char url[TW_FEED_URL_MAX + 1];
    uint64_t messages, malformed, ignored;
    tw_event events[EVENTS_MAX];
    tw_symbols *upstream; /* behind the struct */
} relay;

static size_t aligned(size_t bytes)
{
    return (bytes + 63) / 64 * 64;
}

static size_t relay_state_size(const tw_feed_config *config)
{
    (void)config;
    return aligned(sizeof(relay)) + tw_symbols_size(UPSTREAM_MAX);
}

static tw_status relay_init(void *state, const tw_feed_config *config, tw_symbols *symbols)
{
    relay *self = state;
    const char *exchange = config->exchange != NULL ? config->exchange : "relay";
    if (config->stream_url == NULL || config->symbol_count > SYMBOLS_MAX)
        return TW_BAD_CONFIG;
    snprintf(self->url, sizeof self->url, "%s?channels=trade,quote&symbols=*", config->stream_url);
    self->upstream = tw_symbols_init((char *)state + aligned(sizeof(relay)), UPSTREAM_MAX);
    for (uint32_t i = 0; i < config->symbol_count; i++) {
        const char *symbol = config->symbols[i];
        tw_status status = tw_symbols_intern(symbols, exchange, strlen(exchange), symbol, strlen(symbol), NULL, 0,
                                             &self->instruments[i]);
        if (status != TW_OK)
            return status == TW_FULL ? TW_FULL : TW_BAD_SYMBOL;
        self->symbols[self->symbol_count++] = symbol;
    }
    return TW_OK;
}

static void relay_fini(void *state)
{
    (void)state;
}

/* ---- the connection ---- */

static uint32_t relay_link_count(const void *state)
{
    (void)state;
    return 1;
}

static tw_status relay_link_dial(void *state, uint32_t link, int64_t now_ns, tw_endpoint *dial)
{
    (void)link, (void)now_ns;
    snprintf(dial->url, sizeof dial->url, "%s", ((relay *)state)->url);
    return TW_OK;
}

static void relay_link_up(void *state, uint32_t link, int64_t now_ns, const char *url)
{
    (void)state, (void)link, (void)now_ns, (void)url;
}

/* Whoever looks at these instruments hears that they are stale. */
static void relay_link_down(void *state, uint32_t link, int64_t now_ns, tw_reason reason, tw_sink *sink)
{
    relay *self = state;
    (void)link;
    for (uint32_t i = 0; i < self->symbol_count; i++) {
        tw_event *event = tw_sink_claim(sink);
        event->instrument = self->instruments[i];
        event->kind = TW_EVENT_STATUS;
        event->flags = TW_FLAG_FIRST | TW_FLAG_LAST;
        event->recv_ns = now_ns;
        event->u.status.state = TW_STATE_STALE;
        event->u.status.reason = (uint16_t)reason;
        tw_sink_commit(sink);
    }
}

/* The subscription rides on the URL: nothing is owed. */
static size_t relay_next_output(void *state, uint32_t link, int64_t now_ns, uint8_t *out, size_t out_cap)
{
    (void)state, (void)link, (void)now_ns, (void)out, (void)out_cap;
    return 0;
}

/* ---- messages ---- */

static uint32_t our_instrument(relay *self, uint32_t upstream)
{
    for (; self->known < tw_symbols_count(self->upstream); self->known++) {
        const tw_instrument *instrument = tw_symbols_get(self->upstream, self->known);
        for (uint32_t i = 0; i < self->symbol_count; i++)
            if (strcmp(instrument->symbol, self->symbols[i]) == 0)
                self->ours[self->known] = self->instruments[i] + 1;
    }
    return self->ours[upstream];
}

static tw_status relay_on_message(void *state, uint32_t link, int64_t recv_ns, const uint8_t *msg, size_t msg_len,
                                  tw_sink *sink)
{
    relay *self = state;
    tw_record record;
    uint32_t count = EVENTS_MAX;
    (void)link;
    self->messages++;
    tw_status status = tw_codec_json.decode(self->upstream, msg, msg_len, self->events, &count, &record);
    if (status == TW_MALFORMED)
        self->malformed++;
    else if (status != TW_OK)
        self->ignored++; /* hello, subscribed, heartbeat */
    for (uint32_t i = 0; status == TW_OK && i < count; i++) {
        uint32_t ours = our_instrument(self, self->events[i].instrument);
        if (ours == 0 || self->events[i].kind == TW_EVENT_LOSS)
            continue;
        tw_event *event = tw_sink_claim(sink);
        *event = self->events[i];
        event->instrument = ours - 1;
        event->recv_ns = recv_ns;
        tw_sink_commit(sink);
    }
    return status == TW_MALFORMED ? TW_MALFORMED : TW_OK;
}

/* ---- what this venue has no use for ---- */

static int relay_next_request(void *state, int64_t now_ns, tw_request *request)
{
    (void)state, (void)now_ns, (void)request;
    return 0;
}

static tw_status relay_on_response(void *state, int64_t recv_ns, const tw_response *response, tw_sink *sink)
{
    (void)state, (void)recv_ns, (void)response, (void)sink;
    return TW_OK;
}

static int64_t relay_on_timer(void *state, int64_t now_ns, tw_sink *sink)
{
    (void)state, (void)now_ns, (void)sink;
    return INT64_MAX;
}

static tw_status relay_watch(void *state, const char *symbol, size_t symbol_len, uint32_t channels)
{
    (void)state, (void)symbol, (void)symbol_len, (void)channels;
    return TW_NOT_SUPPORTED;
}

static void relay_stats(const void *state, tw_feed_stats *out)
{
    const relay *self = state;
    *out = (tw_feed_stats){.messages = self->messages, .malformed = self->malformed, .ignored = self->ignored};
}

static tw_status relay_symbol_stats(const void *state, uint32_t index, tw_feed_symbol_stats *out)
{
    const relay *self = state;
    if (index >= self->symbol_count)
        return TW_EMPTY;
    *out = (tw_feed_symbol_stats){.instrument = self->instruments[index]};
    return TW_OK;
}

static tw_status relay_markets_request(const tw_feed_config *config, uint32_t page, tw_request *request)
{
    (void)config, (void)page, (void)request;
    return TW_EMPTY;
}

static tw_status relay_markets_parse(const uint8_t *body, size_t body_len, tw_market_fn fn, void *owner)
{
    (void)body, (void)body_len, (void)fn, (void)owner;
    return TW_MALFORMED;
}

static const tw_feed_limits relay_limits = {.message_bytes_max = 1 << 20};

static const tw_feed_ops relay_ops = {
    .abi = TW_FEED_ABI,
    .name = "relay",
    .has = TW_HAS_WATCH_TRADES | TW_HAS_WATCH_TICKER,
    .limits = &relay_limits,
    .state_size = relay_state_size,
    .init = relay_init,
    .fini = relay_fini,
    .link_count = relay_link_count,
    .link_dial = relay_link_dial,
    .link_up = relay_link_up,
    .link_down = relay_link_down,
    .next_output = relay_next_output,
    .on_message = relay_on_message,
    .next_request = relay_next_request,
    .on_response = relay_on_response,
    .on_timer = relay_on_timer,
    .watch = relay_watch,
    .unwatch = relay_watch,
    .stats = relay_stats,
    .symbol_stats = relay_symbol_stats,
    .markets_request = relay_markets_request,
    .markets_parse = relay_markets_parse,
};

static void print_log(void *owner, tw_log_level level, const char *area, const char *message)
{
    (void)owner, (void)level;
    fprintf(stderr, "%s: %s\n", area, message);
}

int main(int argc, char **argv)
{
    enum { OWN = 5, SETTINGS_MAX = 100 };
    if (argc < 3 || argc - 3 + OWN > SETTINGS_MAX) {
        fprintf(stderr, "usage: custom_venue URL SYMBOL [section.key=value ...]\n");
        return 2;
    }
    char url[TW_FEED_URL_MAX + 32], symbol[TW_SYMBOL_MAX + 32], error[1024];
    snprintf(url, sizeof url, "feed.stream_url=%s", argv[1]);
    snprintf(symbol, sizeof symbol, "feed.symbols=%s", argv[2]);
    const char *settings[SETTINGS_MAX] = {"feed.type=venue", "feed.exchange=relay", "feed.channels=trade,quote", url,
                                          symbol};
    for (int i = 3; i < argc; i++)
        settings[OWN + i - 3] = argv[i];
    const tw_feed_ops *venues[] = {&relay_ops};
    tw_engine *engine;
    tw_engine_options options;
    tw_engine_options_init(&options, sizeof options);
    options.settings = settings;
    options.setting_count = (uint32_t)(OWN + argc - 3);
    options.venues = venues;
    options.venue_count = 1;
    options.log = print_log;

    sigset_t signals;
    int number;
    sigemptyset(&signals);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGTERM);
    sigprocmask(SIG_BLOCK, &signals, NULL);
    if (tw_engine_open(&options, &engine, error, sizeof error) != TW_OK) {
        fprintf(stderr, "%s\n", error);
        return 1;
    }
    if (tw_engine_start(engine) != TW_OK) {
        fprintf(stderr, "the system gives no more threads\n");
        tw_engine_close(engine);
        return 1;
    }
    printf("listening on ws://127.0.0.1:%u/v1/stream\n", tw_engine_port(engine));
    fflush(stdout);
    sigwait(&signals, &number);
    tw_engine_close(engine);
    return 0;
}
