/* venue_limits_test.c - what venues allow a client to say is kept over any stretch of time: messages, topics, streams
 * per connection; at the start with many symbols, and when subscriptions come and go for an hour. */
#include "tests/unit/venue_stage.h"

enum { SYMBOL_COUNT = 60, SENT_MAX = 8192, NAME_BYTES_MAX = 16, BOOK_LEVELS = 1024 };

/* A limit as the venue publishes it; 0: none of this kind. */
typedef struct published {
    const char *venue, *quote;
    uint32_t messages, topics; /* ... per window */
    int64_t window_ns;
} published;

static const published PUBLISHED[] = {
    {"binance", "USDT", 5, 0, TWI_NS_PER_S},           {"binanceusdm", "USDT:USDT", 10, 0, TWI_NS_PER_S},
    {"coinbaseexchange", "USD", 100, 0, TWI_NS_PER_S}, {"coinbase", "USD", 8, 0, TWI_NS_PER_S},
    {"okx", "USDT", 480, 0, 3600 * TWI_NS_PER_S},      {"deribit", "USDC:USDC", 10, 0, 3 * TWI_NS_PER_S},
    {"kucoin", "USDT", 0, 100, 10 * TWI_NS_PER_S},     {"bybit", "USDT", 500, 0, 5 * TWI_NS_PER_S},
};

typedef struct sent {
    int64_t at_ns;
    uint32_t topics;
} sent;

typedef struct record {
    stage stage;
    sent sent[SENT_MAX];
    uint32_t count;
    char names[SYMBOL_COUNT][NAME_BYTES_MAX + 1];
    const char *symbols[SYMBOL_COUNT];
} record;

static void name_symbols(record *r, const char *quote)
{
    for (int i = 0; i < SYMBOL_COUNT; i++) {
        snprintf(r->names[i], sizeof(r->names[i]), "A%c%c/%s", 'A' + i / 26, 'A' + i % 26, quote);
        r->symbols[i] = r->names[i];
    }
}

/* Topics of a KuCoin message: what its list has, which commas part. */
static uint32_t topics_of(const uint8_t *text, size_t len)
{
    const uint8_t *list = memmem(text, len, "\"topic\":\"", 9), *end = text + len;
    uint32_t count = list != NULL;
    for (list = list != NULL ? list + 9 : end; list < end && *list != '"'; list++)
        count += *list == ',';
    return count;
}

static void take_output(record *r, uint32_t link)
{
    uint8_t out[TW_FEED_OUTPUT_MAX];
    size_t len;
    while ((len = r->stage.ops->next_output(r->stage.state, link, r->stage.now_ns, out, sizeof(out))) > 0) {
        if (memmem(out, len, "\"ping\"", 6) != NULL || len == 4) /* keep-alives are not counted by these venues */
            continue;
        assert_true(r->count < SENT_MAX);
        r->sent[r->count++] = (sent){.at_ns = r->stage.now_ns, .topics = topics_of(out, len)};
    }
}

/* No window holds more than is allowed. */
static void check_windows(const record *r, const published *limit)
{
    uint32_t first = 0, messages = 0, topics = 0;
    for (uint32_t i = 0; i < r->count; i++) {
        messages++;
        topics += r->sent[i].topics;
        for (; r->sent[first].at_ns <= r->sent[i].at_ns - limit->window_ns; first++) {
            messages--;
            topics -= r->sent[first].topics;
        }
        if ((limit->messages > 0 && messages > limit->messages) || (limit->topics > 0 && topics > limit->topics))
            fail_msg("%s: %u messages, %u topics within its window", limit->venue, messages, topics);
    }
}

static void run_for(record *r, int64_t wait_ns, int64_t step_ns)
{
    for (int64_t end_ns = r->stage.now_ns + wait_ns; r->stage.now_ns < end_ns; r->stage.now_ns += step_ns) {
        r->stage.ops->on_timer(r->stage.state, r->stage.now_ns, &r->stage.sink);
        take_output(r, 0);
    }
}

static record *open_record(const char *venue, const char *quote, uint32_t symbol_count, uint32_t channels)
{
    record *r = calloc(1, sizeof(*r));
    assert_non_null(r);
    name_symbols(r, quote);
    tw_feed_config config = {.symbols = r->symbols,
                             .symbol_count = symbol_count,
                             .channels = channels,
                             .book_levels_max = BOOK_LEVELS,
                             .stream_url = "ws://127.0.0.1:9/"};
    assert_int_equal(stage_open(&r->stage, tw_feed_find(venue, strlen(venue)), &config), TW_OK);
    stage_up(&r->stage, 0);
    return r;
}

static void many_symbols_at_once(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(PUBLISHED) / sizeof(*PUBLISHED); i++) {
        record *r = open_record(PUBLISHED[i].venue, PUBLISHED[i].quote, SYMBOL_COUNT, 0);
        run_for(r, 60 * TWI_NS_PER_S, 10 * TWI_NS_PER_MS);
        assert_true(r->count > 0);
        check_windows(r, &PUBLISHED[i]);
        stage_close(&r->stage);
        free(r);
    }
}

/* Nothing is confirmed: all is asked for again and again, as fast as the adapter dares. */
static void an_hour_without_answers(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(PUBLISHED) / sizeof(*PUBLISHED); i++) {
        record *r = open_record(PUBLISHED[i].venue, PUBLISHED[i].quote, 2, 0);
        run_for(r, 2 * 3600 * TWI_NS_PER_S, TWI_NS_PER_S);
        assert_true(r->count > 100);
        check_windows(r, &PUBLISHED[i]);
        stage_close(&r->stage);
        free(r);
    }
}

/* All streams fit the connections that they are given to. */
static void connections_carry_what_they_may(void **state)
{
    (void)state;
    for (uint32_t i = 0; tw_feed_at(i) != NULL; i++) {
        const tw_feed_ops *ops = tw_feed_at(i);
        bool swaps = strcmp(ops->name, "binanceusdm") == 0;
        record *r = open_record(ops->name, swaps ? "USDT:USDT" : "USDT", SYMBOL_COUNT, 0);
        uint32_t kinds = ((ops->has & TW_HAS_WATCH_TRADES) != 0) + ((ops->has & TW_HAS_WATCH_TICKER) != 0) +
                         ((ops->has & TW_HAS_WATCH_ORDER_BOOK) != 0);
        uint32_t per_link = ops->limits->streams_per_link;
        uint32_t slots_per_link = per_link == 0 ? SYMBOL_COUNT : per_link / kinds;
        uint32_t wanted = (SYMBOL_COUNT + slots_per_link - 1) / slots_per_link;
        assert_int_equal(ops->link_count(r->stage.state), wanted);
        stage_close(&r->stage);
        free(r);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(many_symbols_at_once),
        cmocka_unit_test(an_hour_without_answers),
        cmocka_unit_test(connections_carry_what_they_may),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
