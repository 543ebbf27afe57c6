/* connect_driver_test.c - a real adapter (Binance spot) driven over the simulated loop: subscriptions, REST snapshots,
 * breaks of every kind; the book that comes out is the venue's, and nothing from before a break survives it. */
#include "tests/unit/connect_rig.h"

#include "engine/connect/driver.h"
#include "feed/registry.h"

enum {
    SEEDS = 8,
    PRICES = 40,
    INSTRUMENTS = 64,
    REQUESTS_MAX = 8,
    TEXT_MAX = 8192,
    TRADES_MAX = 1 << 16,
    ROUNDS = 1500
};
#define MS     INT64_C(1000000)
#define SECOND INT64_C(1000000000)

/* What the venue and the subscriber have, by price index. */
typedef struct model {
    bool known; /* a snapshot came, and nothing broke it since */
    int64_t amount[2][PRICES];
    uint64_t seq;
} model;

typedef struct world {
    twt_rig rig;
    twi_driver *driver;
    tw_symbols *symbols;
    uint64_t random;
    tw_event event;
    model venue, ours;
    bool in_snapshot;
    uint64_t trade_id, trades, last_trade_id, groups, clears, statuses, rejected;
    uint16_t state, reason;
    tw_request requests[REQUESTS_MAX];
    uint32_t request_count;
    bool rest_is_down, publishes;
    uint32_t subscribes;
    char last_text[TEXT_MAX];
    tw_feed_limits limits;
    tw_feed_ops ops;
    uint64_t records[5];
    bool redundant;
    uint8_t trade_seen[TRADES_MAX];
} world;

static uint32_t any(world *it, uint32_t below)
{
    it->random = it->random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (uint32_t)(it->random >> 33) % below;
}

/* ---- the subscriber ---- */

static tw_event *claim(void *owner)
{
    return &((world *)owner)->event;
}

static int64_t scaled(int64_t mantissa, int8_t exponent, int8_t wanted)
{
    for (; exponent > wanted; exponent--)
        mantissa *= 10;
    for (; exponent < wanted; exponent++)
        mantissa /= 10;
    return mantissa;
}

static void on_level(world *it, const tw_event *event)
{
    bool snapshot = (event->flags & TW_FLAG_SNAPSHOT) != 0;
    if ((event->flags & TW_FLAG_FIRST) != 0 && snapshot) {
        it->ours = (model){.known = true};
        it->in_snapshot = true;
    }
    assert_true(it->ours.known); /* no change of a book that is not there */
    int64_t price = scaled(event->u.level.price, event->price_exponent, 0);
    int side = (event->flags & TW_FLAG_ASK) != 0;
    int64_t index = side ? price - 1001 : 1000 - price;
    assert_in_range(index, 0, PRICES - 1);
    it->ours.amount[side][index] = scaled(event->u.level.amount, event->amount_exponent, 0);
    it->ours.seq = event->u.level.venue_seq;
    it->groups += (event->flags & TW_FLAG_LAST) != 0;
}

static void commit(void *owner)
{
    world *it = owner;
    const tw_event *event = &it->event;
    assert_true(event->recv_ns > TWT_EPOCH);
    switch (event->kind) {
    case TW_EVENT_TRADE:
        assert_in_range(event->u.trade.id.lo, 1, TRADES_MAX - 1);
        assert_int_equal(it->trade_seen[event->u.trade.id.lo]++, 0);
        assert_true(it->redundant || event->u.trade.id.lo > it->last_trade_id);
        it->last_trade_id = event->u.trade.id.lo;
        it->trades++;
        break;
    case TW_EVENT_LEVEL:
        on_level(it, event);
        break;
    case TW_EVENT_BOOK_CLEAR:
        it->ours.known = false;
        it->clears++;
        break;
    case TW_EVENT_STATUS:
        it->statuses++;
        it->state = event->u.status.state;
        it->reason = event->u.status.reason;
        it->rejected += it->reason == TW_REASON_REJECTED;
        break;
    default:
        fail_msg("an event of kind %u", event->kind);
    }
}

static void record(void *owner, const twi_driver_record *what)
{
    ((world *)owner)->records[what->kind]++;
    assert_non_null(what->url);
    assert_non_null(what->bytes);
}

/* ---- the venue ---- */

static void on_text(twt_rig *rig, twt_peer *peer, const char *text, size_t len)
{
    world *it = rig->owner;
    char answer[64];
    assert_true(len < TEXT_MAX);
    memcpy(it->last_text, text, len);
    it->last_text[len] = 0;
    it->subscribes += strstr(it->last_text, "\"SUBSCRIBE\"") != NULL;
    const char *id = strstr(it->last_text, "\"id\":");
    assert_non_null(id);
    snprintf(answer, sizeof(answer), "{\"result\":null,\"id\":%ld}", strtol(id + 5, NULL, 10));
    twt_say(peer, answer);
}

static tw_status request(void *owner, twi_driver *driver, const tw_request *asked)
{
    world *it = owner;
    (void)driver;
    assert_true(it->request_count < REQUESTS_MAX);
    it->requests[it->request_count++] = *asked;
    return TW_OK;
}

static size_t write_side(const world *it, int side, char *out, size_t cap)
{
    size_t len = (size_t)snprintf(out, cap, "[");
    const char *comma = "";
    for (int i = 0; i < PRICES; i++) {
        if (it->venue.amount[side][i] == 0)
            continue;
        len += (size_t)snprintf(out + len, cap - len, "%s[\"%d.00\",\"%lld.000\"]", comma, side ? 1001 + i : 1000 - i,
                                (long long)it->venue.amount[side][i]);
        comma = ",";
    }
    return len + (size_t)snprintf(out + len, cap - len, "]");
}

/* Answers the oldest request. */
static void answer_rest(world *it)
{
    static char body[TEXT_MAX];
    if (it->request_count == 0)
        return;
    const tw_request asked = it->requests[0];
    memmove(it->requests, it->requests + 1, --it->request_count * sizeof(asked));
    tw_response response = {.id = asked.id, .status = 200, .url = asked.url, .body = (const uint8_t *)body};
    size_t len = 0;
    if (it->rest_is_down) {
        response.status = 503;
    } else if (asked.kind == TW_REQUEST_MARKETS) {
        len = (size_t)snprintf(body, sizeof(body),
                               "{\"symbols\":[{\"symbol\":\"BTCUSDT\",\"status\":\"TRADING\",\"baseAsset\":\"BTC\","
                               "\"quoteAsset\":\"USDT\",\"isSpotTradingAllowed\":true,\"filters\":[]}]}");
    } else {
        len =
            (size_t)snprintf(body, sizeof(body), "{\"lastUpdateId\":%llu,\"bids\":", (unsigned long long)it->venue.seq);
        len += write_side(it, 0, body + len, sizeof(body) - len);
        len += (size_t)snprintf(body + len, sizeof(body) - len, ",\"asks\":");
        len += write_side(it, 1, body + len, sizeof(body) - len);
        len += (size_t)snprintf(body + len, sizeof(body) - len, "}");
    }
    response.body_len = len;
    twi_driver_respond(it->driver, &response);
}

static void say_to_all(world *it, const char *text)
{
    for (uint32_t i = 0; i < it->rig.accepted; i++) {
        if (it->rig.peer[i]->open)
            twt_say(it->rig.peer[i], text);
    }
}

/* One change of the book and one trade. Levels beside the spread stay, so that the book is never crossed. */
static void publish(world *it, bool drops)
{
    char text[512];
    int side = (int)any(it, 2), index = (int)any(it, PRICES);
    int64_t amount = index == 0 ? 1 + any(it, 9) : any(it, 4);
    uint64_t seq = ++it->venue.seq;
    it->venue.amount[side][index] = amount;
    long long ms = (TWT_EPOCH + it->rig.loop->ops->now_ns(it->rig.loop)) / MS;
    snprintf(
        text, sizeof(text),
        "{\"stream\":\"btcusdt@depth@100ms\",\"data\":{\"e\":\"depthUpdate\",\"E\":%lld,\"s\":\"BTCUSDT\",\"U\":%llu,"
        "\"u\":%llu,\"b\":[%s],\"a\":[%s]}}",
        ms, (unsigned long long)seq, (unsigned long long)seq, "%b", "%a");
    char level[64], *place = strstr(text, side ? "%a" : "%b");
    int len =
        snprintf(level, sizeof(level), "[\"%d.0\",\"%lld.0\"]", side ? 1001 + index : 1000 - index, (long long)amount);
    memmove(place + len, place + 2, strlen(place + 2) + 1);
    memcpy(place, level, (size_t)len);
    place = strstr(text, side ? "%b" : "%a");
    memmove(place, place + 2, strlen(place + 2) + 1);
    if (!drops)
        say_to_all(it, text);
    snprintf(text, sizeof(text),
             "{\"stream\":\"btcusdt@trade\",\"data\":{\"e\":\"trade\",\"E\":%lld,\"s\":\"BTCUSDT\",\"t\":%llu,\"p\":"
             "\"1000\","
             "\"q\":\"1\",\"T\":%lld,\"m\":true,\"M\":true}}",
             ms, (unsigned long long)++it->trade_id, ms);
    say_to_all(it, text);
}

/* ---- the world ---- */

static const char *const symbols[] = {"BTC/USDT", "FOO/BAR"};

static world *begin_with(uint64_t seed, uint32_t symbol_count, bool recorded, bool redundant)
{
    world *it = calloc(1, sizeof(*it));
    assert_non_null(it);
    char error[512];
    it->random = seed;
    it->redundant = redundant;
    it->venue.seq = 1000;
    for (int side = 0; side < 2; side++)
        it->venue.amount[side][0] = 5;
    twt_rig_open(&it->rig, seed);
    it->rig.owner = it;
    it->rig.on_text = on_text;
    size_t bytes = (tw_symbols_size(INSTRUMENTS) + 63) / 64 * 64;
    it->symbols = tw_symbols_init(aligned_alloc(64, bytes), INSTRUMENTS);
    it->ops = *tw_feed_find("binance", 7);
    it->limits = *it->ops.limits;
    it->ops.limits = &it->limits;
    const twi_driver_options options = {
        .ops = &it->ops,
        .feed = {.symbols = symbols,
                 .symbol_count = symbol_count,
                 .channels = 1u << TW_CHANNEL_TRADE | 1u << TW_CHANNEL_BOOK,
                 .symbol_count_max = 4,
                 .stream_url = TWT_URL},
        .symbols = it->symbols,
        .sink = {claim, commit, it},
        .redundant = redundant,
        .proxy = "none",
        .request = request,
        .record = recorded ? record : NULL,
        .owner = it,
    };
    assert_int_equal(twi_driver_open(&options, &it->driver, error, sizeof(error)), TW_OK);
    return it;
}

static world *begin(uint64_t seed, uint32_t symbol_count, bool recorded)
{
    return begin_with(seed, symbol_count, recorded, false);
}

static void finish(world *it)
{
    twi_driver_stop(it->driver);
    TWT_UNTIL(&it->rig, twi_driver_is_idle(it->driver));
    twt_rig_close_loop(&it->rig);
    twi_driver_close(it->driver);
    free(it->symbols);
    free(it);
}

/* Ten virtual milliseconds in which the venue says something and answers. */
static void live(world *it)
{
    int64_t until_ns = it->rig.loop->ops->now_ns(it->rig.loop) + 10 * MS;
    if (it->publishes && any(it, 2) == 0)
        publish(it, false);
    if (any(it, 8) == 0)
        answer_rest(it);
    while (it->rig.loop->ops->now_ns(it->rig.loop) < until_ns)
        twt_turn(&it->rig);
}

static bool is_same(const world *it)
{
    return it->ours.known && it->ours.seq == it->venue.seq && it->state == TW_STATE_OK &&
           memcmp(it->ours.amount, it->venue.amount, sizeof(it->venue.amount)) == 0;
}

#define LIVE_UNTIL(it, condition) TWT_UNTIL(&(it)->rig, (live(it), (condition)))

static twi_driver_stats stats_of(const world *it)
{
    twi_driver_stats stats;
    twi_driver_get_stats(it->driver, &stats);
    return stats;
}

/* ---- */

static void test_subscribes_and_joins(void **state)
{
    (void)state;
    world *it = begin(1, 1, true);
    twt_listen_there(&it->rig);
    twi_driver_start(it->driver, it->rig.hub);
    it->publishes = true;
    LIVE_UNTIL(it, it->state == TW_STATE_OK && it->trades > 20);
    it->publishes = false;
    LIVE_UNTIL(it, is_same(it));
    twi_driver_stats stats = stats_of(it);
    assert_int_equal(stats.links_up, 1);
    assert_int_equal(stats.dials, 1);
    assert_int_equal(stats.feed.malformed, 0);
    assert_int_equal(it->records[TWI_RECORD_UP], 1);
    assert_int_equal(it->records[TWI_RECORD_SENT], it->subscribes);
    assert_int_equal(it->records[TWI_RECORD_RECEIVED], stats.messages);
    assert_true(it->records[TWI_RECORD_ANSWER] >= 2); /* the market list, and a snapshot at least */
    finish(it);
}

/* The venue is not there at first: said once, tried again and again, and all is well when it comes. */
static void test_starts_without_a_venue(void **state)
{
    (void)state;
    world *it = begin(2, 1, false);
    it->rest_is_down = true;
    twi_driver_start(it->driver, it->rig.hub);
    LIVE_UNTIL(it, stats_of(it).dial_failures >= 8);
    assert_int_equal(it->statuses, 1);
    assert_int_equal(it->state, TW_STATE_STALE);
    assert_int_equal(it->reason, TW_REASON_LINK_DOWN);
    assert_non_null(strstr(stats_of(it).last_error, TWT_HOST " port 9000"));
    int64_t now_ns = twi_hub_now_ns(it->rig.hub);
    assert_in_range(now_ns - TWI_SIM_BEGIN_NS, 20 * SECOND, 300 * SECOND); /* pauses grow, and have an end */
    it->rest_is_down = false;
    it->publishes = true;
    twt_listen_there(&it->rig);
    LIVE_UNTIL(it, it->state == TW_STATE_OK);
    it->publishes = false;
    LIVE_UNTIL(it, is_same(it));
    finish(it);
}

static void break_something(world *it)
{
    twt_peer *peer = it->rig.accepted > 0 ? twt_newest(&it->rig) : NULL;
    if (peer == NULL || !peer->open)
        return;
    switch (any(it, 6)) {
    case 0:
        twt_hang_up(peer);
        break;
    case 1:
        twt_say_bytes(peer, "\x83\x00", 2);
        break;
    case 2:
        twt_say(peer, "{\"stream\":\"btcusdt@trade\",\"data\":{\"e\":\"tra"); /* not JSON: counted, nothing else */
        break;
    case 3:
        publish(it, true); /* the venue loses one */
        break;
    case 4:
        twt_say_frame(peer, TWI_WS_TEXT, "cut", 3);
        twt_hang_up(peer);
        break;
    default:
        twi_sim_break(it->rig.loop, peer->sock);
    }
}

static void test_breaks_of_every_kind(void **state)
{
    (void)state;
    uint64_t reconnects = 0, clears = 0, malformed = 0;
    for (uint64_t seed = 10; seed < 10 + SEEDS; seed++) {
        world *it = begin(seed, 1, false);
        twt_listen_there(&it->rig);
        twi_driver_start(it->driver, it->rig.hub);
        it->publishes = true;
        for (int round = 0; round < ROUNDS; round++) {
            live(it);
            it->rest_is_down = round % 100 > 80;
            if (any(it, 60) == 0)
                break_something(it);
        }
        it->rest_is_down = false;
        for (int round = 0; round < 50; round++)
            live(it); /* what was lost last is noticed by what comes next */
        LIVE_UNTIL(it, it->state == TW_STATE_OK);
        it->publishes = false;
        LIVE_UNTIL(it, is_same(it));
        twi_driver_stats stats = stats_of(it);
        reconnects += stats.reconnects;
        malformed += stats.feed.malformed;
        clears += it->clears;
        assert_int_equal(stats.dials, stats.reconnects + 1 + stats.dial_failures);
        finish(it);
    }
    assert_true(reconnects > SEEDS && clears > SEEDS && malformed > 0); /* it was not a calm day */
}

static void test_silent_venue_is_left(void **state)
{
    (void)state;
    world *it = begin(3, 1, false);
    twt_listen_there(&it->rig);
    twi_driver_start(it->driver, it->rig.hub);
    it->publishes = true;
    LIVE_UNTIL(it, it->state == TW_STATE_OK);
    it->publishes = false;
    it->rig.on_text = NULL; /* not even confirmations */
    LIVE_UNTIL(it, stats_of(it).reconnects == 1);
    assert_int_equal(it->clears, 1);
    assert_false(it->ours.known);
    assert_non_null(strstr(stats_of(it).last_error, "nothing was received for"));
    finish(it);
}

static void test_planned_redial(void **state)
{
    (void)state;
    world *it = begin(4, 1, false);
    it->limits.link_age_ns_max = 20 * SECOND;
    twt_listen_there(&it->rig);
    twi_driver_start(it->driver, it->rig.hub);
    it->publishes = true;
    LIVE_UNTIL(it, stats_of(it).links_up == 1);
    int64_t open_ns = twi_hub_now_ns(it->rig.hub);
    LIVE_UNTIL(it, it->rig.accepted == 2);
    assert_in_range(twi_hub_now_ns(it->rig.hub) - open_ns, 17 * SECOND, 20 * SECOND);
    LIVE_UNTIL(it, it->rig.peer[0]->close_code == TWI_WS_CODE_NORMAL && stats_of(it).reconnects == 1);
    finish(it);
}

/* Never more attempts within the window than the venue allows. */
static void test_dial_limit(void **state)
{
    (void)state;
    enum { COUNT = 3, DIALS = 13 };
    world *it = begin(5, 1, false);
    int64_t times[DIALS];
    uint64_t seen = 0;
    it->limits.dial_count = COUNT;
    it->limits.dial_window_ns = 60 * SECOND;
    twi_driver_start(it->driver, it->rig.hub);
    while (seen < DIALS) {
        twt_turn(&it->rig);
        if (stats_of(it).dials > seen)
            times[seen++] = twi_hub_now_ns(it->rig.hub);
    }
    for (int i = COUNT; i < DIALS; i++)
        assert_true(times[i] - times[i - COUNT] >= 59 * SECOND); /* seen one turn late */
    finish(it);
}

static void test_throttled_handshake(void **state)
{
    (void)state;
    world *it = begin(6, 1, false);
    it->rig.greeting = TWT_REFUSES; /* 429, Retry-After: 7 */
    twt_listen_there(&it->rig);
    twi_driver_start(it->driver, it->rig.hub);
    LIVE_UNTIL(it, stats_of(it).dials == 1 && stats_of(it).dial_failures == 1);
    int64_t refused_ns = twi_hub_now_ns(it->rig.hub);
    LIVE_UNTIL(it, stats_of(it).dials == 2);
    assert_in_range(twi_hub_now_ns(it->rig.hub) - refused_ns, 6900 * MS, 8 * SECOND);
    assert_true(stats_of(it).throttled >= 1);
    finish(it);
}

static void test_unknown_symbol(void **state)
{
    (void)state;
    world *it = begin(7, 2, false);
    twt_listen_there(&it->rig);
    twi_driver_start(it->driver, it->rig.hub);
    it->publishes = true;
    LIVE_UNTIL(it, stats_of(it).unknown_symbols == 1);
    assert_int_equal(it->rejected, 1);
    LIVE_UNTIL(it, it->state == TW_STATE_OK); /* the other one goes on */
    finish(it);
}

static void test_watch_and_unwatch(void **state)
{
    (void)state;
    world *it = begin(8, 1, false);
    twt_listen_there(&it->rig);
    twi_driver_start(it->driver, it->rig.hub);
    it->publishes = true;
    LIVE_UNTIL(it, it->state == TW_STATE_OK);
    assert_int_equal(twi_driver_watch(it->driver, "ETH/USDT", 8, 1u << TW_CHANNEL_TRADE), TW_OK);
    LIVE_UNTIL(it, strstr(it->last_text, "ethusdt@trade") != NULL);
    assert_int_equal(twi_driver_unwatch(it->driver, "ETH/USDT", 8, 1u << TW_CHANNEL_TRADE), TW_OK);
    LIVE_UNTIL(it, strstr(it->last_text, "UNSUBSCRIBE") != NULL && strstr(it->last_text, "ethusdt@trade") != NULL);
    assert_int_equal(stats_of(it).dials, 1);
    finish(it);
}

static void expect_refused(twi_driver_options options, tw_status wanted, const char *part)
{
    char error[512];
    twi_driver *driver;
    tw_event event;
    size_t bytes = (tw_symbols_size(INSTRUMENTS) + 63) / 64 * 64;
    options.symbols = tw_symbols_init(aligned_alloc(64, bytes), INSTRUMENTS);
    options.sink = (tw_sink){claim, commit, &event};
    tw_status status = twi_driver_open(&options, &driver, error, sizeof(error));
    if (status != wanted || strstr(error, part) == NULL)
        fail_msg("%s \"%s\", wanted %s \"%s\"", tw_status_name(status), error, tw_status_name(wanted), part);
    free(options.symbols);
}

/* One of two connections breaks, again and again: nobody sees it. */
static void test_redundant(void **state)
{
    (void)state;
    enum { BREAKS = 4, SETTLED = 800 };
    for (uint64_t seed = 300; seed < 302; seed++) {
        world *it = begin_with(seed, 1, false, true);
        twt_listen_there(&it->rig);
        twi_driver_start(it->driver, it->rig.hub);
        it->publishes = true;
        for (int i = 0; i < SETTLED; i++)
            live(it);
        assert_int_equal(stats_of(it).links_up, 2);
        assert_int_equal(it->state, TW_STATE_OK);
        uint64_t statuses = it->statuses, clears = it->clears, first = it->trade_id + 1;
        for (int round = 0; round < BREAKS; round++) {
            uint32_t broken = it->rig.accepted - 1 - any(it, 2);
            if (it->rig.peer[broken]->open)
                twt_hang_up(it->rig.peer[broken]);
            for (int i = 0; i < SETTLED; i++) {
                live(it);
                assert_int_equal(it->state, TW_STATE_OK);
            }
        }
        it->publishes = false;
        LIVE_UNTIL(it, is_same(it));
        for (int i = 0; i < SETTLED; i++)
            live(it);
        twi_driver_stats stats = stats_of(it);
        assert_true(stats.reconnects >= 3);
        assert_true(stats.duplicates > it->trades / 2);
        assert_int_equal(it->statuses, statuses);
        assert_int_equal(it->clears, clears);
        for (uint64_t id = first; id <= it->trade_id; id++)
            assert_int_equal(it->trade_seen[id], 1);
        finish(it);
    }
}

/* Patience may end at any moment: nothing is touched that is gone (the sanitizers look). */
static void test_abandoned_at_any_time(void **state)
{
    (void)state;
    for (int rounds = 0; rounds < 30; rounds++) {
        world *it = begin(200 + (uint64_t)rounds, 1, false);
        twt_listen_there(&it->rig);
        twi_driver_start(it->driver, it->rig.hub);
        it->publishes = true;
        for (int i = 0; i < rounds; i++)
            live(it);
        if (rounds % 2 == 0)
            twi_driver_stop(it->driver);
        for (int i = 0; i < rounds % 5; i++)
            twt_turn(&it->rig);
        twi_driver_abandon(it->driver);
        twt_rig_close_loop(&it->rig);
        twi_driver_close(it->driver);
        free(it->symbols);
        free(it);
    }
}

static void test_refusals_at_start(void **state)
{
    (void)state;
    static const char *const good[] = {"BTC/USD"}, *const bad[] = {"/"};
    const tw_feed_ops *gemini = tw_feed_find("gemini", 6);
    twi_driver_options options = {.ops = gemini, .feed = {.symbols = good, .symbol_count = 1, .channels = 7}};
    expect_refused(options, TW_NOT_SUPPORTED, "gemini does not offer channel \"quote\"");
    options.feed.channels = 1;
    options.redundant = true;
    expect_refused(options, TW_NOT_SUPPORTED, "gemini does not promise");
    options.redundant = false;
    options.ca_file = "tests/unit/connect_driver_test.c";
    expect_refused(options, TW_BAD_CONFIG, "ca_file");
    options.ca_file = NULL;
    options.feed.symbols = bad;
    expect_refused(options, TW_BAD_SYMBOL, "\"/\" is no symbol of it");
}

/* Subscriptions beyond what one connection carries go over further ones. */
static void test_spreads_over_connections(void **state)
{
    (void)state;
    enum { SYMBOLS = 20 };
    static char names[SYMBOLS][16];
    const char *list[SYMBOLS];
    char error[512];
    twi_driver *driver;
    tw_event event;
    for (int i = 0; i < SYMBOLS; i++) {
        snprintf(names[i], sizeof(names[i]), "C%02d/USD", i);
        list[i] = names[i];
    }
    size_t bytes = (tw_symbols_size(INSTRUMENTS) + 63) / 64 * 64;
    void *table = aligned_alloc(64, bytes);
    const twi_driver_options options = {
        .ops = tw_feed_find("bitfinex", 8), /* 25 channels per connection: 8 symbols with 3 each */
        .feed = {.symbols = list, .symbol_count = SYMBOLS},
        .symbols = tw_symbols_init(table, INSTRUMENTS),
        .sink = {claim, commit, &event},
    };
    assert_int_equal(twi_driver_open(&options, &driver, error, sizeof(error)), TW_OK);
    twi_driver_stats stats;
    twi_driver_get_stats(driver, &stats);
    assert_int_equal(stats.links, 3);
    assert_true(twi_driver_sock_count(driver) >= 3);
    assert_true(twi_driver_memory(&options) > 3u << 20);
    twi_driver_close(driver);
    free(table);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_subscribes_and_joins),
        cmocka_unit_test(test_starts_without_a_venue),
        cmocka_unit_test(test_breaks_of_every_kind),
        cmocka_unit_test(test_silent_venue_is_left),
        cmocka_unit_test(test_planned_redial),
        cmocka_unit_test(test_dial_limit),
        cmocka_unit_test(test_throttled_handshake),
        cmocka_unit_test(test_unknown_symbol),
        cmocka_unit_test(test_watch_and_unwatch),
        cmocka_unit_test(test_refusals_at_start),
        cmocka_unit_test(test_spreads_over_connections),
        cmocka_unit_test(test_abandoned_at_any_time),
        cmocka_unit_test(test_redundant),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
