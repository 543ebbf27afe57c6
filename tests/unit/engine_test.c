/* engine_test.c - the engine inside a program: its parts, its two drives, own events, own feeds and codecs, errors. */
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "engine/base/clock.h"
#include "tickwire/engine.h"
#include "tickwire/subscriber.h"

enum { ERROR_MAX = 1024, TRADES = 200, TRIPS = 50 };
#define DEADLINE_NS INT64_C(20000000000)
#define POLL_NS     INT64_C(10000000)

static const char *const small[] = {
    "listen.port=0",      "wire_log.bytes=1MiB",       "limits.connections_max=8", "limits.groups_max=8",
    "ring.slots=4096",    "ring.instruments_max=64",   "book.depth_max=50",        "feed.rate=5000",
    "feed.instruments=3", "engine.stop_timeout=100ms",
};
enum { SMALL = sizeof small / sizeof small[0] };

static tw_engine_options options_with(const char **settings, uint32_t parts, uint32_t drive, const char *threads,
                                      const char *loop)
{
    tw_engine_options options;
    tw_engine_options_init(&options, sizeof options);
    memcpy(settings, small, sizeof small);
    settings[SMALL] = threads;
    settings[SMALL + 1] = loop;
    options.settings = settings;
    options.setting_count = SMALL + 2;
    options.parts = parts;
    options.drive = drive;
    return options;
}

static tw_engine *open_engine(const tw_engine_options *options)
{
    char error[ERROR_MAX];
    tw_engine *engine;
    if (tw_engine_open(options, &engine, error, sizeof error) != TW_OK)
        fail_msg("%s", error);
    return engine;
}

/* ---- a subscriber in this thread ---- */

typedef struct subscriber {
    tw_client_pool *pool;
    uint64_t messages, gaps;
    int64_t price_sum;
    int ready;
} subscriber;

static void on_message(tw_client *client, const tw_message *message, void *owner)
{
    subscriber *self = owner;
    (void)client;
    self->messages++;
    self->gaps += message->verdict == TW_SEQUENCE_GAP || message->verdict == TW_SEQUENCE_DUPLICATE;
    if (message->kind == TW_EVENT_TRADE)
        self->price_sum += message->record->events[0].u.trade.price;
}

static void on_control(tw_client *client, const tw_control *control, void *owner)
{
    subscriber *self = owner;
    (void)client;
    self->ready |= control->op == TW_CONTROL_SUBSCRIBED;
}

static void subscribe(subscriber *self, uint16_t port, const char *codec)
{
    char error[ERROR_MAX], url[64];
    tw_client_pool_options options;
    *self = (subscriber){0};
    tw_client_pool_options_init(&options);
    options.callbacks = (tw_client_callbacks){.on_message = on_message, .on_control = on_control};
    options.owner = self;
    if (tw_client_pool_open(&options, &self->pool, error, sizeof error) != TW_OK)
        fail_msg("%s", error);
    snprintf(url, sizeof url, "ws://127.0.0.1:%u", port);
    tw_subscription all = {.channels = "trade,quote,book", .symbols = "*"};
    tw_client_options to = {.url = url, .codec = codec, .subscriptions = &all, .subscription_count = 1};
    tw_client *client;
    if (tw_client_open(self->pool, &to, &client, error, sizeof error) != TW_OK)
        fail_msg("%s", error);
}

/* Polls, and steps the engine if it is a stepped one, until there are so many messages (0: until subscribed). */
static void receive(subscriber *self, tw_engine *stepped, uint64_t messages)
{
    int64_t deadline_ns = twi_monotonic_ns() + DEADLINE_NS;
    while (messages == 0 ? !self->ready : self->messages < messages) {
        if (stepped != NULL)
            tw_engine_step(stepped, 0);
        tw_client_pool_poll(self->pool, stepped != NULL ? 0 : POLL_NS);
        assert_true(twi_monotonic_ns() < deadline_ns);
    }
}

/* ---- own events ---- */

static void publish_trade(tw_sink *sink, uint32_t instrument, int64_t price)
{
    tw_event *event = tw_sink_claim(sink);
    event->instrument = instrument;
    event->kind = TW_EVENT_TRADE;
    event->flags = TW_FLAG_FIRST | TW_FLAG_LAST;
    event->price_exponent = -2;
    event->recv_ns = twi_realtime_ns();
    event->u.trade.price = price;
    event->u.trade.amount = 1;
    tw_sink_commit(sink);
}

static void publish_and_receive(const char *threads, const char *loop, uint32_t drive)
{
    const char *settings[SMALL + 2];
    tw_engine_options options = options_with(settings, TW_ENGINE_SERVER, drive, threads, loop);
    tw_engine *engine = open_engine(&options);
    uint32_t first, second;
    tw_sink sink;
    subscriber self;
    tw_engine *stepped = drive == TW_ENGINE_STEPPED ? engine : NULL;
    assert_int_equal(tw_engine_instrument(engine, "mine", "BTC/USDT", NULL, &first), TW_OK);
    if (stepped == NULL)
        assert_int_equal(tw_engine_start(engine), TW_OK);
    assert_int_equal(tw_engine_sink(engine, &sink), TW_OK);
    subscribe(&self, tw_engine_port(engine), "json");
    receive(&self, stepped, 0);
    int64_t sum = 0;
    for (int64_t i = 1; i <= TRADES; i++) {
        publish_trade(&sink, first, i);
        sum += i;
        if (i % 10 == 0)
            tw_engine_flush(engine);
    }
    assert_true(tw_engine_backlog(engine) <= TRADES);
    receive(&self, stepped, TRADES);
    assert_int_equal(self.price_sum, sum);
    int64_t deadline_ns =
        twi_monotonic_ns() + DEADLINE_NS; /* what was received was framed, and is told a moment later */
    while (tw_engine_backlog(engine) > 0)
        assert_true(twi_monotonic_ns() < deadline_ns);
    /* an instrument that comes while the engine runs */
    assert_int_equal(tw_engine_instrument(engine, "mine", "ETH/USDT", "ETHUSDT", &second), TW_OK);
    assert_int_not_equal(first, second);
    tw_client_pool_close(self.pool);
    subscribe(&self, tw_engine_port(engine), "flatbuffers");
    receive(&self, stepped, 0);
    publish_trade(&sink, second, 77);
    tw_engine_flush(engine);
    receive(&self, stepped, 1);
    assert_int_equal(self.price_sum, 77);
    assert_int_equal(self.gaps, 0);
    uint64_t events;
    assert_int_equal(tw_engine_counter_find(engine, "tickwire_ring_events_total", &events), TW_OK);
    assert_int_equal(events, TRADES + 1);
    tw_client_pool_close(self.pool);
    tw_engine_close(engine);
}

static void test_own_events(void **state)
{
    (void)state;
    publish_and_receive("engine.threads=1", "engine.loop=auto", TW_ENGINE_THREADS);
    publish_and_receive("engine.threads=2", "engine.loop=auto", TW_ENGINE_THREADS);
    publish_and_receive("engine.threads=1", "engine.idle=spin", TW_ENGINE_THREADS);
    publish_and_receive("engine.threads=1", "engine.loop=auto", TW_ENGINE_STEPPED);
}

/* A batch that was flushed is there at once, not when somebody happens to look: the engine sleeps up to 100 ms. */
static void test_flush_wakes(void **state)
{
    (void)state;
    static const char *const threads[] = {"engine.threads=1", "engine.threads=2"};
    for (uint32_t k = 0; k < 2; k++) {
        const char *settings[SMALL + 2];
        tw_engine_options options =
            options_with(settings, TW_ENGINE_SERVER, TW_ENGINE_THREADS, threads[k], "engine.loop=auto");
        tw_engine *engine = open_engine(&options);
        uint32_t instrument;
        tw_sink sink;
        subscriber self;
        assert_int_equal(tw_engine_instrument(engine, "mine", "BTC/USDT", NULL, &instrument), TW_OK);
        assert_int_equal(tw_engine_start(engine), TW_OK);
        assert_int_equal(tw_engine_sink(engine, &sink), TW_OK);
        subscribe(&self, tw_engine_port(engine), "json");
        receive(&self, NULL, 0);
        uint32_t prompt = 0;
        for (uint64_t i = 1; i <= TRIPS; i++) {
            int64_t start_ns = twi_monotonic_ns();
            publish_trade(&sink, instrument, 1);
            tw_engine_flush(engine);
            receive(&self, NULL, i);
            prompt += twi_monotonic_ns() - start_ns < INT64_C(60000000);
        }
        assert_true(prompt > TRIPS / 2); /* unwoken, each of them takes what is left of 100 ms */
        tw_client_pool_close(self.pool);
        tw_engine_close(engine);
    }
}

/* ---- parts ---- */

static uint64_t read_events(tw_engine *stepped, tw_ring_reader *reader, uint64_t wanted)
{
    tw_event events[64];
    uint64_t count = 0, lost = 0;
    int64_t deadline_ns = twi_monotonic_ns() + DEADLINE_NS;
    while (count < wanted) {
        if (stepped != NULL)
            tw_engine_step(stepped, 0);
        else if (tw_ring_wait(reader, POLL_NS) == TW_CLOSED)
            break;
        count += tw_ring_read(reader, events, 64, &lost);
        assert_true(twi_monotonic_ns() < deadline_ns);
    }
    return count;
}

static void test_feeds_without_server(void **state)
{
    (void)state;
    for (uint32_t drive = TW_ENGINE_THREADS; drive <= TW_ENGINE_STEPPED; drive++) {
        const char *settings[SMALL + 2];
        tw_engine_options options =
            options_with(settings, TW_ENGINE_FEEDS, drive, "feed.message_count_max=300", "engine.threads=1");
        tw_engine *engine = open_engine(&options);
        tw_ring_reader *reader;
        tw_sink sink;
        assert_int_equal(tw_engine_port(engine), 0);
        assert_string_equal(tw_engine_loop_name(engine), "");
        assert_int_equal(tw_engine_sink(engine, &sink), drive == TW_ENGINE_STEPPED ? TW_OK : TW_NOT_SUPPORTED);
        assert_int_equal(tw_engine_reader_open(engine, &reader), TW_OK);
        if (drive == TW_ENGINE_THREADS)
            assert_int_equal(tw_engine_start(engine), TW_OK);
        assert_true(read_events(drive == TW_ENGINE_STEPPED ? engine : NULL, reader, 300) >= 300);
        assert_int_equal(tw_symbols_count(tw_engine_symbols(engine)), 3);
        int64_t deadline_ns = twi_monotonic_ns() + DEADLINE_NS;
        while (!tw_engine_feeds_ended(engine) && twi_monotonic_ns() < deadline_ns)
            if (drive == TW_ENGINE_STEPPED)
                tw_engine_step(engine, POLL_NS);
        assert_true(tw_engine_feeds_ended(engine));
        tw_engine_close(engine);
        uint64_t lost = 0;
        tw_event rest[64];
        while (tw_ring_read(reader, rest, 64, &lost) > 0)
            continue;
        assert_int_equal(tw_ring_wait(reader, 0), TW_CLOSED);
        tw_ring_reader_close(reader);
    }
}

static void test_ring_alone(void **state)
{
    (void)state;
    const char *settings[SMALL + 2];
    tw_engine_options options = options_with(settings, 0, TW_ENGINE_THREADS, "engine.threads=4", "engine.loop=auto");
    tw_engine *engine = open_engine(&options);
    tw_ring_reader *reader;
    tw_sink sink;
    assert_int_equal(tw_engine_reader_open(engine, &reader), TW_OK);
    assert_int_equal(tw_engine_start(engine), TW_OK);
    assert_int_equal(tw_engine_sink(engine, &sink), TW_OK);
    for (int64_t i = 0; i < 10; i++)
        publish_trade(&sink, 0, i);
    tw_engine_flush(engine);
    assert_int_equal(read_events(NULL, reader, 10), 10);
    assert_true(tw_engine_feeds_ended(engine));
    tw_engine_stop(engine);
    tw_engine_stop(engine);
    tw_engine_close(engine);
    tw_ring_reader_close(reader);
}

/* Two in one process, one of them stepped by this thread, both with feeds and subscribers. */
static void test_two_engines(void **state)
{
    (void)state;
    const char *settings[2][SMALL + 2];
    tw_engine_options options[2] = {
        options_with(settings[0], TW_ENGINE_FEEDS | TW_ENGINE_SERVER, TW_ENGINE_THREADS, "engine.threads=2",
                     "engine.loop=auto"),
        options_with(settings[1], TW_ENGINE_FEEDS | TW_ENGINE_SERVER, TW_ENGINE_STEPPED, "engine.threads=1",
                     "engine.loop=auto"),
    };
    tw_engine *threaded = open_engine(&options[0]), *stepped = open_engine(&options[1]);
    subscriber self[2];
    assert_int_not_equal(tw_engine_port(threaded), tw_engine_port(stepped));
    assert_int_equal(tw_engine_start(threaded), TW_OK);
    subscribe(&self[0], tw_engine_port(threaded), "json");
    subscribe(&self[1], tw_engine_port(stepped), "flatbuffers");
    receive(&self[0], NULL, 500);
    receive(&self[1], stepped, 500);
    assert_int_equal(self[0].gaps + self[1].gaps, 0);
    tw_engine_close(threaded);
    receive(&self[1], stepped, self[1].messages + 100);
    tw_client_pool_close(self[0].pool);
    tw_client_pool_close(self[1].pool);
    tw_engine_close(stepped);
}

/* ---- own feed, own codec ---- */

typedef struct counter_feed {
    uint32_t instrument;
    int64_t next, end;
    int closed, takes_signals, hides_faults;
} counter_feed;

static size_t counter_step(void *state, int64_t now_ns, size_t event_max, tw_sink *sink, int64_t *next_ns)
{
    counter_feed *self = state;
    size_t count = 0;
    sigset_t blocked;
    pthread_sigmask(SIG_SETMASK, NULL, &blocked);
    self->takes_signals |= !sigismember(&blocked, SIGTERM) || !sigismember(&blocked, SIGPIPE);
    self->hides_faults |= sigismember(&blocked, SIGSEGV);
    while (count < event_max && self->next <= self->end) {
        publish_trade(sink, self->instrument, self->next++);
        count++;
    }
    *next_ns = self->next <= self->end ? now_ns : INT64_MAX;
    return count;
}

static void counter_fini(void *state)
{
    ((counter_feed *)state)->closed++;
}

static const tw_source_ops counter_ops = {.name = "counter", .step = counter_step, .fini = counter_fini};

static tw_status counter_open(void *owner, tw_symbols *symbols, tw_source *source, char *error, size_t error_cap)
{
    counter_feed *self = owner;
    if (self->end < 0) {
        snprintf(error, error_cap, "the counter has nothing to count");
        return TW_UNAVAILABLE;
    }
    *source = (tw_source){.ops = &counter_ops, .state = self};
    return tw_symbols_intern(symbols, "count", 5, "ONE/TWO", 7, NULL, 0, &self->instrument);
}

static size_t plain_bound(uint32_t event_count)
{
    return 64 + 32 * (size_t)event_count;
}

static size_t plain_encode(const tw_symbols *symbols, const tw_record *record, uint8_t *out, size_t out_cap)
{
    const tw_instrument *instrument = tw_symbols_get(symbols, record->events[0].instrument);
    if (out_cap < plain_bound(record->event_count))
        return 0;
    return (size_t)snprintf((char *)out, out_cap, "%u,%.40s,%lld\n", record->events[0].kind, instrument->symbol,
                            (long long)record->events[0].u.trade.price);
}

static const tw_codec_ops plain = {
    .abi = TW_CODEC_ABI, .name = "plain", .ws_opcode = 1, .bound = plain_bound, .encode = plain_encode};

static void test_own_feed_and_codec(void **state)
{
    (void)state;
    static const char *const threads[] = {"engine.threads=1", "engine.threads=3"};
    const tw_codec_ops *codecs[] = {&plain};
    for (uint32_t i = 0; i < 2; i++) {
        const char *settings[SMALL + 2];
        counter_feed feed = {.next = 1, .end = 1000};
        tw_engine_source source = {.name = "counter", .open = counter_open, .owner = &feed};
        tw_engine_options options =
            options_with(settings, TW_ENGINE_SERVER, TW_ENGINE_THREADS, threads[i], "engine.loop=auto");
        options.sources = &source;
        options.source_count = 1;
        options.codecs = codecs;
        options.codec_count = 1;
        tw_engine *engine = open_engine(&options);
        tw_ring_reader *reader;
        assert_int_equal(tw_engine_reader_open(engine, &reader), TW_OK);
        assert_int_equal(tw_engine_start(engine), TW_OK);
        assert_int_equal(read_events(NULL, reader, 1000), 1000);
        char metrics[65536];
        size_t bytes = tw_engine_metrics(engine, metrics, sizeof metrics);
        assert_true(bytes > 0 && bytes < sizeof metrics);
        assert_non_null(strstr(metrics, "tickwire_feed_events_total{feed=\"counter\"}"));
        uint64_t events;
        assert_int_equal(tw_engine_counter_find(engine, "tickwire_feed_events_total{feed=\"counter\"}", &events),
                         TW_OK);
        assert_int_equal(events, 1000);
        tw_ring_reader_close(reader);
        tw_engine_close(engine);
        assert_int_equal(feed.closed, 1);
        assert_false(feed.takes_signals);
        assert_false(feed.hides_faults);
    }
}

/* ---- errors ---- */

static void refused(tw_engine_options *options, tw_status status, const char *word)
{
    char error[ERROR_MAX];
    tw_engine *engine;
    assert_int_equal(tw_engine_open(options, &engine, error, sizeof error), status);
    assert_null(engine);
    if (strstr(error, word) == NULL)
        fail_msg("\"%s\" does not say \"%s\"", error, word);
    assert_int_equal(tw_engine_open(options, &engine, NULL, 0), status);
}

static void test_errors(void **state)
{
    (void)state;
    const char *settings[SMALL + 2];
    tw_engine_options good = options_with(settings, TW_ENGINE_FEEDS | TW_ENGINE_SERVER, TW_ENGINE_THREADS,
                                          "engine.threads=1", "engine.loop=auto");
    tw_engine_options options = good;
    options.size = 3;
    refused(&options, TW_BAD_ARGUMENT, "tw_engine_options_init");
    options = good;
    options.config_path = "a";
    options.config_text = "b";
    refused(&options, TW_BAD_ARGUMENT, "config_text");
    options.config_text = NULL;
    options.config_path = "no/such/file.toml";
    refused(&options, TW_IO, "no/such/file.toml");
    options.config_path = NULL;
    options.config_text = "[listen]\nprot = 1\n";
    refused(&options, TW_BAD_CONFIG, "config_text:2");
    options.config_text = NULL;
    settings[SMALL] = "engine.threads";
    refused(&options, TW_BAD_ARGUMENT, "section.key=value");
    settings[SMALL] = "engine.thread=1";
    refused(&options, TW_BAD_CONFIG, "threads");
    settings[SMALL] = "engine.threads=2";
    options.drive = TW_ENGINE_STEPPED;
    refused(&options, TW_BAD_ARGUMENT, "engine.threads");
    settings[SMALL] = "engine.threads=1";
    options = good;
    options.parts = 12;
    refused(&options, TW_BAD_ARGUMENT, "parts");
    counter_feed feed = {.end = -1};
    tw_engine_source source = {.name = "counter", .open = counter_open, .owner = &feed};
    options = good;
    options.sources = &source;
    options.source_count = 1;
    refused(&options, TW_UNAVAILABLE, "nothing to count");
    assert_int_equal(feed.closed, 0);
    tw_codec_ops codec = plain;
    const tw_codec_ops *codecs[] = {&codec, &codec, &codec};
    options = good;
    options.codecs = codecs;
    options.codec_count = 2;
    refused(&options, TW_BAD_ARGUMENT, "already");
    options.codec_count = 3;
    refused(&options, TW_BAD_ARGUMENT, "place");
    options.codec_count = 1;
    codec.abi = 99;
    refused(&options, TW_BAD_ARGUMENT, "abi");
}

static void test_own_venues(void **state)
{
    (void)state;
    const char *settings[SMALL + 2];
    tw_feed_ops venue = *tw_feed_at(0);
    const tw_feed_ops *venues[] = {&venue};
    tw_engine_options options = options_with(settings, TW_ENGINE_FEEDS | TW_ENGINE_SERVER, TW_ENGINE_THREADS,
                                             "engine.threads=1", "feed.type=venue");
    settings[7] = "feed.exchange=house";
    settings[8] = "feed.symbols=BTC/USDT";
    options.venues = venues;
    options.venue_count = 1;
    refused(&options, TW_BAD_ARGUMENT, "already");
    venue.name = "home";
    refused(&options, TW_BAD_CONFIG, "home");
    venue.name = "house";
    venue.abi++;
    refused(&options, TW_BAD_ARGUMENT, "abi");
    venue.abi--;
    tw_engine *engine = open_engine(&options); /* not started: it would dial */
    assert_int_equal(tw_symbols_count(tw_engine_symbols(engine)), 1);
    tw_engine_close(engine);
}

static void test_port_in_use(void **state)
{
    (void)state;
    const char *settings[SMALL + 2];
    tw_engine_options options =
        options_with(settings, TW_ENGINE_SERVER, TW_ENGINE_THREADS, "engine.threads=1", "engine.loop=auto");
    tw_engine *engine = open_engine(&options);
    char port[32];
    snprintf(port, sizeof port, "listen.port=%u", tw_engine_port(engine));
    settings[0] = port;
    refused(&options, TW_UNAVAILABLE, "");
    tw_engine_close(engine);
}

/* ---- manners ---- */

typedef struct log_seen {
    pthread_mutex_t lock;
    uint32_t lines;
} log_seen;

static void take_line(void *owner, tw_log_level level, const char *area, const char *message)
{
    log_seen *seen = owner;
    pthread_mutex_lock(&seen->lock);
    seen->lines += level <= TW_LOG_INFO && area[0] != '\0' && message[0] != '\0';
    pthread_mutex_unlock(&seen->lock);
}

static void test_log_and_signals(void **state)
{
    (void)state;
    const char *settings[SMALL + 2];
    log_seen seen = {.lock = PTHREAD_MUTEX_INITIALIZER};
    tw_engine_options options = options_with(settings, TW_ENGINE_FEEDS | TW_ENGINE_SERVER, TW_ENGINE_THREADS,
                                             "engine.threads=2", "engine.loop=auto");
    options.log = take_line;
    options.log_owner = &seen;
    tw_engine *engine = open_engine(&options);
    assert_int_equal(tw_engine_start(engine), TW_OK);
    assert_int_equal(tw_engine_start(engine), TW_BAD_ARGUMENT);
    assert_int_equal(tw_engine_step(engine, 0), 0);
    static const int ours[] = {SIGINT, SIGTERM, SIGPIPE, SIGHUP, SIGUSR1, SIGCHLD};
    for (size_t i = 0; i < sizeof ours / sizeof ours[0]; i++) {
        struct sigaction action;
        assert_int_equal(sigaction(ours[i], NULL, &action), 0);
        assert_true(action.sa_handler == SIG_DFL);
    }
    tw_engine_close(engine);
    assert_true(seen.lines > 0);
    tw_engine_close(NULL);
}

static void test_counters(void **state)
{
    (void)state;
    const char *settings[SMALL + 2];
    tw_engine_options options =
        options_with(settings, TW_ENGINE_SERVER, TW_ENGINE_THREADS, "engine.threads=1", "engine.loop=auto");
    tw_engine *engine = open_engine(&options);
    tw_engine_counter counter;
    uint64_t value;
    uint32_t count = 0;
    while (tw_engine_counter_at(engine, count, &counter) == TW_OK) {
        assert_int_equal(tw_engine_counter_find(engine, counter.name, &value), TW_OK);
        count++;
    }
    assert_true(count > 40);
    assert_int_equal(tw_engine_counter_find(engine, "tickwire_closes_total{code=\"1000\"}", &value), TW_OK);
    assert_int_equal(tw_engine_counter_find(engine, "tickwire_closes_total{code=\"1\"}", &value), TW_EMPTY);
    assert_int_equal(tw_engine_counter_find(engine, "tickwire_closes", &value), TW_EMPTY);
    assert_int_equal(tw_engine_counter_find(engine, "tickwire_loop_cycles_total{thread=\"shard 0\"}", &value), TW_OK);
    assert_int_equal(tw_engine_counter_find(engine, "tickwire_loop_cycles_total{thread=\"shard 7\"}", &value),
                     TW_EMPTY);
    assert_true(tw_engine_memory_bytes(engine) > 2 << 20); /* two logs of 1 MiB */
    assert_int_equal(tw_engine_counter_find(engine, "", &value), TW_EMPTY);
    assert_true(tw_version()[0] != '\0');
    tw_engine_close(engine);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_own_events),
        cmocka_unit_test(test_flush_wakes),
        cmocka_unit_test(test_feeds_without_server),
        cmocka_unit_test(test_ring_alone),
        cmocka_unit_test(test_two_engines),
        cmocka_unit_test(test_own_feed_and_codec),
        cmocka_unit_test(test_errors),
        cmocka_unit_test(test_own_venues),
        cmocka_unit_test(test_port_in_use),
        cmocka_unit_test(test_log_and_signals),
        cmocka_unit_test(test_counters),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
