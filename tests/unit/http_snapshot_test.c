/* http_snapshot_test.c - /v1/...: shapes, order, freshness, limits, and clients that mean no good.
 *
 * Method:   ring, publisher, shard and HTTP service turned by hand in one thread, against real sockets. */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include "engine/base/clock.h"
#include "tests/support/fanout_rig.h"

enum { TEXT_CAP = 4 << 20, HISTORY = 8 };
#define PATIENCE_NS INT64_C(10000000000)

typedef struct peer {
    int fd, closed;
    char *text;
    size_t len, taken;
} peer;

static twt_world *http_world(void)
{
    return twt_world_open((twt_world_options){.trade_history = HISTORY, .candle_history = HISTORY});
}

static peer *peer_open(const twt_world *w, int receive_bytes)
{
    peer *p = calloc(1, sizeof *p);
    p->text = malloc(TEXT_CAP);
    p->fd = socket(AF_INET, SOCK_STREAM, 0);
    if (receive_bytes > 0)
        setsockopt(p->fd, SOL_SOCKET, SO_RCVBUF, &receive_bytes, sizeof receive_bytes);
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons(w->port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    assert_int_equal(connect(p->fd, (struct sockaddr *)&address, sizeof address), 0);
    fcntl(p->fd, F_SETFL, O_NONBLOCK);
    int at_once = 1;
    setsockopt(p->fd, IPPROTO_TCP, TCP_NODELAY, &at_once, sizeof at_once);
    return p;
}

static void peer_free(peer *p)
{
    close(p->fd);
    free(p->text);
    free(p);
}

/* Returns how much the socket took. */
static size_t peer_write(peer *p, const char *text, size_t len)
{
    ssize_t n = send(p->fd, text, len, MSG_NOSIGNAL);
    return n > 0 ? (size_t)n : 0;
}

static void peer_read(peer *p)
{
    while (!p->closed) {
        assert_true(p->len < TEXT_CAP - 1);
        ssize_t n = recv(p->fd, p->text + p->len, TEXT_CAP - 1 - p->len, 0);
        if (n <= 0) {
            p->closed = n == 0 || (errno != EAGAIN && errno != EWOULDBLOCK);
            break;
        }
        p->len += (size_t)n;
    }
    p->text[p->len] = '\0';
}

/* One whole response: status, and head and body as text. 0: it is not there yet. */
typedef struct reply {
    int status;
    size_t body_len;
    char *body;
    char head[1024];
} reply;

static int peer_reply(peer *p, int has_body, reply *out)
{
    char *start = p->text + p->taken, *end = strstr(start, "\r\n\r\n");
    if (end == NULL)
        return 0;
    size_t head_len = (size_t)(end - start) + 2;
    assert_true(head_len < sizeof out->head);
    memcpy(out->head, start, head_len);
    out->head[head_len] = '\0';
    assert_int_equal(sscanf(out->head, "HTTP/1.1 %d", &out->status), 1);
    const char *length = strstr(out->head, "Content-Length: ");
    out->body_len = length != NULL && has_body ? strtoul(length + 16, NULL, 10) : 0;
    if (p->len - p->taken < head_len + 2 + out->body_len)
        return 0;
    out->body = end + 4;
    p->taken += head_len + 2 + out->body_len;
    return 1;
}

static void wait_reply(twt_world *w, peer *p, int has_body, reply *out)
{
    int64_t deadline_ns = twi_monotonic_ns() + PATIENCE_NS;
    while (twi_monotonic_ns() < deadline_ns) {
        twt_turn(w);
        peer_read(p);
        if (peer_reply(p, has_body, out))
            return;
    }
    fail_msg("no answer; %zu bytes, %zu taken, closed %d: %.200s", p->len, p->taken, p->closed, p->text + p->taken);
}

static void ask(peer *p, const char *method, const char *target, const char *more)
{
    char text[1024];
    int len = snprintf(text, sizeof text, "%s %s HTTP/1.1\r\nHost: x\r\n%s\r\n", method, target, more);
    assert_int_equal(peer_write(p, text, (size_t)len), len);
}

/* GET on a connection of its own; the body as JSON, numbers as reals. */
static json_t *get(twt_world *w, const char *target, int status)
{
    peer *p = peer_open(w, 0);
    reply answer;
    ask(p, "GET", target, "");
    wait_reply(w, p, 1, &answer);
    if (answer.status != status)
        fail_msg("%s: %d instead of %d: %.300s", target, answer.status, status, answer.body);
    json_error_t error;
    json_t *body = json_loadb(answer.body, answer.body_len, 0, &error);
    if (body == NULL)
        fail_msg("%s: %s in %.*s", target, error.text, (int)answer.body_len, answer.body);
    peer_free(p);
    return body;
}

static void assert_body(twt_world *w, const char *target, const char *wanted)
{
    peer *p = peer_open(w, 0);
    reply answer;
    ask(p, "GET", target, "");
    wait_reply(w, p, 1, &answer);
    assert_int_equal(answer.status, 200);
    char text[8192];
    snprintf(text, sizeof text, "%.*s", (int)answer.body_len, answer.body);
    assert_string_equal(text, wanted);
    peer_free(p);
}

static void assert_error(twt_world *w, const char *target, int status, int code, const char *name)
{
    json_t *body = get(w, target, status);
    assert_int_equal(json_integer_value(json_object_get(body, "code")), code);
    assert_string_equal(json_string_value(json_object_get(body, "name")), name);
    assert_true(strlen(json_string_value(json_object_get(body, "message"))) > 10);
    assert_int_equal(json_is_true(json_object_get(body, "temporary")), status == 503);
    json_decref(body);
}

static void put_trade(twt_world *w, int64_t time_ns, int64_t price, int64_t amount, uint64_t id)
{
    tw_event event = twt_event(w, 0, TW_EVENT_TRADE);
    event.flags |= TW_ID_NUMBER << TW_ID_KIND_SHIFT | (id % 2 ? TW_FLAG_SELL : 0);
    event.venue_ns = time_ns;
    event.recv_ns = time_ns + 1000000;
    event.u.trade.price = price;
    event.u.trade.amount = amount;
    event.u.trade.id.lo = id;
    twt_put(w, &event);
}

#define MIDNIGHT_NS INT64_C(1709164800000000000) /* 2024-02-29 */
#define SECOND      INT64_C(1000000000)

static void put_level(twt_world *w, uint8_t flags, int64_t price, int64_t amount)
{
    tw_event event = twt_event(w, 0, TW_EVENT_LEVEL);
    event.flags = flags;
    event.venue_ns = MIDNIGHT_NS + 5000000;
    event.u.level.price = price;
    event.u.level.amount = amount;
    event.u.level.venue_seq = 77;
    twt_put(w, &event);
}

static void put_small_book(twt_world *w)
{
    put_level(w, TW_FLAG_SNAPSHOT | TW_FLAG_FIRST, 999, 1500);
    put_level(w, TW_FLAG_SNAPSHOT, 998, 25);
    put_level(w, TW_FLAG_SNAPSHOT | TW_FLAG_ASK, 1001, 7);
    put_level(w, TW_FLAG_SNAPSHOT | TW_FLAG_ASK | TW_FLAG_LAST, 1003, 9);
    twt_settle(w);
}

/* ---- shapes ---- */

static void test_book(void **state)
{
    (void)state;
    twt_world *w = http_world();
    assert_error(w, "/v1/book/sim/BTC/USDT", 503, 7, "ExchangeNotAvailable");
    put_small_book(w);
    assert_body(w, "/v1/book/sim/BTC%2FUSDT?depth=1",
                "{\"symbol\":\"BTC/USDT\",\"exchange\":\"sim\",\"bids\":[[9.99,1.500]],\"asks\":[[10.01,0.007]],"
                "\"timestamp\":1709164800005,\"datetime\":\"2024-02-29T00:00:00.005Z\",\"nonce\":77,\"seq\":1,"
                "\"state\":\"ok\"}\n");
    json_t *body = get(w, "/v1/book/sim/BTC/USDT", 200); /* the slash may stand as it is */
    assert_int_equal(json_array_size(json_object_get(body, "bids")), 2);
    assert_int_equal(json_array_size(json_object_get(body, "asks")), 2);
    json_decref(body);
    json_decref(get(w, "/v1/book/sim/BTCN", 200)); /* the venue's own id */
    /* In the middle of a book message nothing is answered; then the book is as a whole. */
    put_level(w, TW_FLAG_FIRST, 1002, 4);
    peer *p = peer_open(w, 0);
    reply answer;
    ask(p, "GET", "/v1/book/sim/BTC/USDT?depth=7", "");
    for (int i = 0; i < 50; i++)
        twt_turn(w);
    peer_read(p);
    assert_false(peer_reply(p, 1, &answer));
    put_level(w, TW_FLAG_LAST | TW_FLAG_ASK, 1001, 0);
    wait_reply(w, p, 1, &answer);
    assert_non_null(strstr(answer.body, "\"bids\":[[10.02,0.004],[9.99,1.500],[9.98,0.025]],\"asks\":[[10.03,0.009]]"));
    assert_non_null(strstr(answer.body, "\"seq\":2,"));
    peer_free(p);
    /* A book that is not to be believed is not shown. */
    tw_event status = twt_event(w, 0, TW_EVENT_STATUS);
    status.u.status.state = TW_STATE_GAP;
    status.u.status.reason = TW_REASON_SEQUENCE;
    twt_put(w, &status);
    twt_settle(w);
    assert_error(w, "/v1/book/sim/BTC/USDT", 503, 7, "ExchangeNotAvailable");
    twt_world_close(w);
}

static void test_trades_and_ohlcv(void **state)
{
    (void)state;
    twt_world *w = http_world();
    assert_body(w, "/v1/trades/sim/BTC/USDT", "[]\n");
    assert_body(w, "/v1/ohlcv/sim/BTC/USDT", "[]\n");
    for (uint32_t i = 0; i < HISTORY + 4; i++)
        put_trade(w, MIDNIGHT_NS + i * 20 * SECOND, 100 + i, 1000 + i, 1 + i);
    twt_settle(w);
    json_t *body = get(w, "/v1/trades/sim/BTC/USDT", 200);
    assert_int_equal(json_array_size(body), HISTORY);
    json_decref(body);
    assert_body(w, "/v1/trades/sim/BTC/USDT?limit=1",
                "[{\"id\":\"12\",\"timestamp\":1709165020000,\"datetime\":\"2024-02-29T00:03:40.000Z\","
                "\"symbol\":\"BTC/USDT\",\"side\":\"buy\",\"price\":1.11,\"amount\":1.011,\"cost\":1.12221}]\n");
    body = get(w, "/v1/trades/sim/BTC/USDT?limit=2&since=1709164920000", 200);
    assert_int_equal(json_array_size(body), 2);
    assert_string_equal(json_string_value(json_object_get(json_array_get(body, 0), "id")), "7");
    json_decref(body);
    /* Rows of ccxt, oldest first, the running candle last. */
    assert_body(w, "/v1/ohlcv/sim/BTC/USDT?interval=1m&limit=2",
                "[[1709164920000,1.06,1.08,1.06,1.08,3.021],[1709164980000,1.09,1.11,1.09,1.11,3.030]]\n");
    assert_body(w, "/v1/ohlcv/sim/BTC/USDT?timeframe=1d", "[[1709164800000,1.00,1.11,1.00,1.11,12.066]]\n");
    assert_body(w, "/v1/ohlcv/sim/BTC/USDT?interval=1m&since=1709164860000&limit=1",
                "[[1709164860000,1.03,1.05,1.03,1.05,3.012]]\n");
    assert_body(w, "/v1/ohlcv/sim/ETH/USDT", "[]\n");
    twt_world_close(w);
}

static void test_ticker(void **state)
{
    (void)state;
    twt_world *w = http_world();
    json_t *body = get(w, "/v1/ticker/sim/BTC/USDT", 200);
    assert_true(json_is_null(json_object_get(body, "last")));
    assert_true(json_is_null(json_object_get(body, "timestamp")));
    json_decref(body);
    put_trade(w, MIDNIGHT_NS, 105, 1000, 1);
    put_trade(w, MIDNIGHT_NS + 3600 * SECOND, 101, 500, 2);
    tw_event quote = twt_event(w, 0, TW_EVENT_QUOTE);
    quote.venue_ns = MIDNIGHT_NS + 3601 * SECOND;
    quote.u.quote.bid = 100;
    quote.u.quote.bid_amount = 3;
    twt_put(w, &quote);
    twt_settle(w);
    assert_body(w, "/v1/ticker/sim/BTC/USDT",
                "{\"symbol\":\"BTC/USDT\",\"exchange\":\"sim\",\"timestamp\":1709168401000,"
                "\"datetime\":\"2024-02-29T01:00:01.000Z\",\"high\":1.05,\"low\":1.01,\"bid\":1.00,\"bidVolume\":0.003,"
                "\"ask\":null,\"askVolume\":null,\"vwap\":null,\"open\":1.05,\"close\":1.01,\"last\":1.01,"
                "\"previousClose\":null,\"change\":-0.04,\"percentage\":null,\"average\":null,\"baseVolume\":1.500,"
                "\"quoteVolume\":null,\"info\":{\"since\":1709164800000,\"trades\":2}}\n");
    twt_world_close(w);
}

static void test_symbols_and_connections(void **state)
{
    (void)state;
    twt_world *w = http_world();
    json_t *body = get(w, "/v1/symbols", 200);
    assert_int_equal(json_array_size(body), TWT_INSTRUMENTS);
    json_t *market = json_array_get(body, 3);
    assert_string_equal(json_string_value(json_object_get(market, "id")), "XRPN");
    assert_string_equal(json_string_value(json_object_get(market, "base")), "XRP");
    assert_string_equal(json_string_value(json_object_get(market, "quote")), "USDT");
    assert_string_equal(json_string_value(json_object_get(market, "type")), "spot");
    assert_true(json_is_null(json_object_get(market, "settle")));
    json_decref(body);
    body = get(w, "/v1/symbols?exchange=other", 200);
    assert_int_equal(json_array_size(body), 1);
    json_decref(body);
    body = get(w, "/v1/symbols?exchange=none", 200);
    assert_int_equal(json_array_size(body), 0);
    json_decref(body);
    peer *p = peer_open(w, 0);
    char text[512];
    peer_write(p, text, twt_upgrade_text(text, sizeof text, "?channels=trade,quote&symbols=sim:BTC/USDT", ""));
    twt_settle(w);
    body = get(w, "/v1/connections", 200);
    assert_int_equal(json_integer_value(json_object_get(body, "open")), 1);
    assert_int_equal(json_integer_value(json_object_get(body, "subscriptions")), 2);
    json_t *first = json_array_get(json_object_get(body, "connections"), 0);
    assert_string_equal(json_string_value(json_object_get(first, "codec")), "json");
    assert_int_equal(json_integer_value(json_object_get(first, "topics")), 2);
    json_decref(body);
    peer_free(p);
    twt_world_close(w);
}

static void test_errors(void **state)
{
    (void)state;
    twt_world *w = http_world();
    assert_error(w, "/v1/ticker/sim/FOO/USD", 404, 4, "BadSymbol");
    assert_error(w, "/v1/ticker/nowhere/BTC/USDT", 404, 4, "BadSymbol");
    assert_error(w, "/v1/ticker/sim/%00", 404, 4, "BadSymbol");
    assert_error(w, "/v1/ticker/sim/%zz", 404, 4, "BadSymbol");
    assert_error(w, "/v1/ticker/sim", 404, 2, "BadRequest");
    assert_error(w, "/v1/ticker//", 404, 2, "BadRequest");
    assert_error(w, "/v1/book/sim/BTC/USDT?depth=0", 400, 2, "BadRequest");
    assert_error(w, "/v1/book/sim/BTC/USDT?depth=51", 400, 2, "BadRequest");
    assert_error(w, "/v1/book/sim/BTC/USDT?depth=", 400, 2, "BadRequest");
    assert_error(w, "/v1/trades/sim/BTC/USDT?limit=99999999999999999999", 400, 2, "BadRequest");
    assert_error(w, "/v1/trades/sim/BTC/USDT?since=-1", 400, 2, "BadRequest");
    assert_error(w, "/v1/ohlcv/sim/BTC/USDT?interval=7m", 400, 5, "NotSupported");
    assert_error(w, "/v1/nothing", 404, 2, "BadRequest");
    peer *p = peer_open(w, 0);
    reply answer;
    ask(p, "DELETE", "/v1/symbols", "");
    wait_reply(w, p, 1, &answer);
    assert_int_equal(answer.status, 405);
    assert_non_null(strstr(answer.head, "Allow: GET, HEAD, OPTIONS\r\n"));
    ask(p, "OPTIONS", "/v1/symbols", "Origin: https://example.org\r\n");
    wait_reply(w, p, 1, &answer);
    assert_int_equal(answer.status, 204);
    assert_non_null(strstr(answer.head, "Access-Control-Allow-Headers: Authorization\r\n"));
    ask(p, "POST", "/v1/symbols", "Content-Length: 5\r\n");
    wait_reply(w, p, 1, &answer);
    assert_int_equal(answer.status, 413);
    peer_free(p);
    twt_world_close(w);
}

static void test_tokens(void **state)
{
    (void)state;
    static const char *const tokens[] = {"secret"};
    twt_world *w = twt_world_open((twt_world_options){.trade_history = 8, .tokens = tokens, .token_count = 1});
    assert_error(w, "/v1/symbols", 401, 1, "AuthenticationError");
    assert_error(w, "/v1/symbols?token=wrong", 401, 1, "AuthenticationError");
    json_decref(get(w, "/v1/symbols?token=secret", 200));
    json_decref(get(w, "/healthz", 200)); /* what a load balancer asks needs none */
    twt_world_close(w);
}

/* ---- order and freshness ---- */

static void test_heads(void **state)
{
    (void)state;
    twt_world *w = http_world();
    put_small_book(w);
    peer *p = peer_open(w, 0);
    reply get_answer, answer;
    for (int cached = 0; cached < 2; cached++) {
        ask(p, "GET", "/v1/book/sim/BTC/USDT", "");
        wait_reply(w, p, 1, &get_answer);
        assert_non_null(strstr(get_answer.head, "Connection: keep-alive\r\n"));
        assert_non_null(strstr(get_answer.head, "Access-Control-Allow-Origin: *\r\n"));
        assert_non_null(strstr(get_answer.head, "Content-Type: application/json\r\n"));
        ask(p, "HEAD", "/v1/book/sim/BTC/USDT", "");
        wait_reply(w, p, 0, &answer);
        assert_string_equal(answer.head, get_answer.head);
    }
    ask(p, "GET", "/v1/book/sim/BTC/USDT", "Connection: close\r\n");
    wait_reply(w, p, 1, &answer);
    assert_non_null(strstr(answer.head, "Connection: close\r\n"));
    assert_int_equal(answer.body_len, get_answer.body_len);
    int64_t deadline_ns = twi_monotonic_ns() + PATIENCE_NS;
    while (!p->closed && twi_monotonic_ns() < deadline_ns) {
        twt_turn(w);
        peer_read(p);
    }
    assert_true(p->closed);
    peer_free(p);
    twt_world_close(w);
}

static void test_fresh(void **state)
{
    (void)state;
    twt_world *w = http_world();
    peer *p = peer_open(w, 0);
    reply answer;
    char wanted[64];
    for (uint32_t i = 1; i < 200; i++) {
        if (i % 3 != 0)
            put_trade(w, MIDNIGHT_NS + (int64_t)i * SECOND, 100, 1, i - i / 3);
        ask(p, "GET", "/v1/trades/sim/BTC/USDT?limit=1", "");
        twt_settle(w);
        wait_reply(w, p, 1, &answer);
        snprintf(wanted, sizeof wanted, "[{\"id\":\"%u\",", i - i / 3);
        assert_memory_equal(answer.body, wanted, strlen(wanted));
    }
    peer_free(p);
    twt_world_close(w);
}

/* Answers keep the order of their requests, whether they are at hand, asked for or refused; and nothing gets stuck when
 * there are more than fit the backlog. */
static void test_pipelining(void **state)
{
    (void)state;
    twt_world *w = http_world();
    put_small_book(w);
    for (uint32_t i = 0; i < HISTORY; i++)
        put_trade(w, MIDNIGHT_NS + i * SECOND, 100 + i, 1, i);
    twt_settle(w);
    enum { REQUESTS = 3000 };
    peer *p = peer_open(w, 0);
    char *requests = malloc(REQUESTS * 100);
    size_t len = 0, written = 0;
    for (uint32_t i = 0; i < REQUESTS; i++) {
        static const char *const targets[] = {"/v1/trades/sim/BTC/USDT?limit=1", "/healthz", "/v1/nothing",
                                              "/v1/ohlcv/sim/BTC/USDT?interval=1s", "/metrics"};
        len += (size_t)snprintf(requests + len, 100, "GET %s HTTP/1.1\r\nHost: x\r\n\r\n",
                                i % 250 == 4 ? targets[4] : targets[i % 4]);
    }
    reply answer;
    uint32_t got = 0;
    int64_t deadline_ns = twi_monotonic_ns() + PATIENCE_NS;
    for (uint32_t turns = 0; got < REQUESTS && twi_monotonic_ns() < deadline_ns; turns++) {
        written += peer_write(p, requests + written, len - written < 4096 ? len - written : 4096);
        if (turns % 64 == 0)
            put_trade(w, MIDNIGHT_NS + (100 + turns) * SECOND, 100, 1, turns); /* rendered responses age on the way */
        twt_turn(w);
        if (turns % 8 != 0)
            continue;
        peer_read(p);
        while (peer_reply(p, 1, &answer)) {
            uint32_t kind = got % 250 == 4 ? 4 : got % 4;
            static const char *const begins[] = {"[{\"id\":", "{\"status\":\"ok\"}", "{\"code\":2,", "[[", "# HELP"};
            assert_int_equal(answer.status, kind == 2 ? 404 : 200);
            assert_memory_equal(answer.body, begins[kind], strlen(begins[kind]));
            got++;
        }
        if (p->taken > TEXT_CAP / 2) {
            memmove(p->text, p->text + p->taken, p->len - p->taken + 1);
            p->len -= p->taken;
            p->taken = 0;
        }
    }
    assert_int_equal(got, REQUESTS);
    free(requests);
    peer_free(p);
    twt_world_close(w);
}

/* A stream that is asked for behind pipelined requests, with its first message right behind it. */
static void test_upgrade_behind_requests(void **state)
{
    (void)state;
    twt_world *w = http_world();
    put_small_book(w);
    peer *p = peer_open(w, 0);
    char text[2048];
    uint8_t frame[256];
    size_t len = (size_t)snprintf(text, sizeof text, "GET /v1/book/sim/BTC/USDT HTTP/1.1\r\nHost: x\r\n\r\n");
    len += twt_upgrade_text(text + len, sizeof text - len, "", "");
    size_t frame_len = twt_frame(frame, TWI_WS_TEXT, "{\"op\":\"ping\",\"id\":7}", 20);
    memcpy(text + len, frame, frame_len);
    assert_int_equal(peer_write(p, text, len + frame_len), len + frame_len);
    reply answer;
    wait_reply(w, p, 1, &answer);
    assert_non_null(strstr(answer.body, "\"bids\""));
    wait_reply(w, p, 0, &answer);
    assert_int_equal(answer.status, 101);
    twt_settle(w);
    peer_read(p);
    size_t rest = p->len - p->taken;
    int found = 0;
    for (size_t i = p->taken; i + 4 < p->taken + rest; i++)
        found |= memcmp(p->text + i, "pong", 4) == 0;
    assert_true(found);
    peer_free(p);
    twt_world_close(w);
}

/* ---- clients that mean no good ---- */

/* More questions than there are places, from clients that leave before they are answered. */
static void test_many_questions(void **state)
{
    (void)state;
    twt_world *w = http_world();
    enum { PEERS = 100 };
    static peer *peers[PEERS];
    char target[64];
    reply answer;
    for (uint32_t i = 0; i < 300; i++)
        put_trade(w, MIDNIGHT_NS + i * SECOND, 100, 1, i);
    put_level(w, TW_FLAG_SNAPSHOT | TW_FLAG_FIRST, 999, 1500); /* an open book message holds the answers back */
    twt_settle(w);
    for (uint32_t i = 0; i < PEERS; i++) {
        peers[i] = peer_open(w, 0);
        snprintf(target, sizeof target, "/v1/ohlcv/sim/BTC/USDT?limit=%u&since=%u", 1 + i % 8, 1 + i);
        ask(peers[i], "GET", target, "");
    }
    for (int i = 0; i < 20; i++)
        twt_turn(w);
    for (uint32_t i = 0; i < PEERS; i += 3) {
        peer_free(peers[i]);
        peers[i] = NULL;
    }
    for (int i = 0; i < 20; i++)
        twt_turn(w);
    put_level(w, TW_FLAG_SNAPSHOT | TW_FLAG_LAST | TW_FLAG_ASK, 1001, 1500);
    for (uint32_t i = 0; i < PEERS; i++) {
        if (peers[i] == NULL)
            continue;
        wait_reply(w, peers[i], 1, &answer);
        assert_int_equal(answer.status, 200);
        peer_free(peers[i]);
    }
    twt_settle(w);
    assert_int_equal(twi_shard_client_count(w->shard), 0);
    twt_world_close(w);
}

/* Those who ask and do not read are told so when there are too many, and are cut off; the stream goes on. */
static void test_slow_readers(void **state)
{
    (void)state;
    twt_world *w = twt_world_open((twt_world_options){
        .trade_history = 8, .candle_history = 8, .socket_send_bytes = 4096, .http_pending_bytes_max = 700 << 10});
    enum { PEERS = 40 };
    static peer *peers[PEERS];
    peer *stream = peer_open(w, 0);
    char request[64], text[512];
    int len = snprintf(request, sizeof request, "GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n"), refused = 0;
    peer_write(stream, text, twt_upgrade_text(text, sizeof text, "?channels=trade&symbols=sim:BTC/USDT", ""));
    twt_settle(w);
    reply answer;
    for (int i = 0; i < PEERS; i++) {
        peers[i] = peer_open(w, 1024);
        for (int k = 0; k < 60; k++)
            peer_write(peers[i], request, (size_t)len);
        twt_settle(w);
        peer *reader = peer_open(w, 0);
        ask(reader, "GET", "/healthz", "");
        wait_reply(w, reader, 1, &answer);
        refused += answer.status == 503;
        assert_true(answer.status == 200 || strstr(answer.head, "Retry-After: 1\r\n") != NULL);
        peer_free(reader);
    }
    assert_true(refused > PEERS / 4);
    peer_read(stream);
    size_t before = stream->len;
    for (int i = 0; i < 100; i++)
        put_trade(w, MIDNIGHT_NS + i * SECOND, 100, 1, (uint64_t)i);
    twt_settle(w);
    peer_read(stream);
    assert_true(stream->len > before + 100 * 100);
    twt_assert_reconciled(w);
    for (int i = 0; i < PEERS; i++)
        peer_free(peers[i]);
    twt_settle(w);
    peer *reader = peer_open(w, 0);
    ask(reader, "GET", "/healthz", "");
    wait_reply(w, reader, 1, &answer); /* what they held is free again */
    assert_int_equal(answer.status, 200);
    peer_free(reader);
    peer_free(stream);
    twt_world_close(w);
}

/* However many ask at once, the stream waits for one share of them only: what is published meanwhile goes out first. */
static void test_stream_first(void **state)
{
    (void)state;
    twt_world *w = http_world();
    enum { PEERS = 200 };
    static peer *peers[PEERS];
    peer *stream = peer_open(w, 0);
    char text[512];
    reply answer;
    peer_write(stream, text, twt_upgrade_text(text, sizeof text, "?channels=trade&symbols=sim:BTC/USDT", ""));
    twt_settle(w);
    for (int i = 0; i < PEERS; i++)
        peers[i] = peer_open(w, 0);
    twt_settle(w);
    for (int i = 0; i < PEERS; i++)
        ask(peers[i], "GET", "/healthz", "");
    uint64_t most = 0, total = 0;
    int64_t deadline_ns = twi_monotonic_ns() + PATIENCE_NS;
    while (total < PEERS && twi_monotonic_ns() < deadline_ns) {
        uint64_t before = twi_counter_get(w->cells, TWI_COUNTER_HTTP_200);
        twt_turn(w);
        uint64_t served = twi_counter_get(w->cells, TWI_COUNTER_HTTP_200) - before;
        most = served > most ? served : most;
        total += served;
    }
    assert_int_equal(total, PEERS);
    assert_in_range(most, 1, 32);
    for (int i = 0; i < PEERS; i++) {
        wait_reply(w, peers[i], 1, &answer);
        assert_int_equal(answer.status, 200);
        peer_free(peers[i]);
    }
    peer_free(stream);
    twt_world_close(w);
}

/* Bytes one by one, cut anywhere; garbage; heads without end. */
static void test_bytes(void **state)
{
    (void)state;
    twt_world *w = http_world();
    put_small_book(w);
    peer *p = peer_open(w, 0);
    reply answer;
    static const char two[] =
        "GET /v1/book/sim/BTC/USDT HTTP/1.1\r\nHost: x\r\n\r\nGET /healthz HTTP/1.1\r\nHost: x\r\n\r\n";
    for (size_t i = 0; i < sizeof two - 1; i++) {
        peer_write(p, &two[i], 1);
        twt_turn(w);
    }
    wait_reply(w, p, 1, &answer);
    assert_int_equal(answer.status, 200);
    wait_reply(w, p, 1, &answer);
    assert_string_equal(answer.body, "{\"status\":\"ok\"}\n");
    peer_free(p);
    p = peer_open(w, 0);
    peer_write(p, "\x16\x03\x01 nonsense\r\n\r\n", 16);
    wait_reply(w, p, 1, &answer);
    assert_int_equal(answer.status, 400);
    peer_free(p);
    p = peer_open(w, 0);
    static char endless[6000];
    memset(endless, 'a', sizeof endless);
    memcpy(endless, "GET /", 5);
    peer_write(p, endless, sizeof endless);
    wait_reply(w, p, 1, &answer);
    assert_true(answer.status == 414 || answer.status == 431);
    peer_free(p);
    twt_settle(w);
    assert_int_equal(twi_shard_client_count(w->shard), 0);
    twt_world_close(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_book),           cmocka_unit_test(test_trades_and_ohlcv),
        cmocka_unit_test(test_ticker),         cmocka_unit_test(test_symbols_and_connections),
        cmocka_unit_test(test_errors),         cmocka_unit_test(test_tokens),
        cmocka_unit_test(test_heads),          cmocka_unit_test(test_fresh),
        cmocka_unit_test(test_pipelining),     cmocka_unit_test(test_upgrade_behind_requests),
        cmocka_unit_test(test_many_questions), cmocka_unit_test(test_slow_readers),
        cmocka_unit_test(test_stream_first),   cmocka_unit_test(test_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
