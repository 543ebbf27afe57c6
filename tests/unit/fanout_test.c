/* fanout_test.c - ring, publisher and shard together, turned by hand in one thread, against real sockets. */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/support/fanout_rig.h"

enum { ROUNDS_OF_EXCHANGE = 20 };
#define PATIENCE_NS INT64_C(20000000000)

/* ---- a subscriber on a socket ---- */

typedef struct peer {
    twt_stream stream;
    int fd;
    int closed;
} peer;

static peer *peer_connect(twt_world *w, int receive_bytes)
{
    peer *p = calloc(1, sizeof *p);
    twt_stream_open(&p->stream, w, &tw_codec_json);
    p->fd = socket(AF_INET, SOCK_STREAM, 0);
    if (receive_bytes > 0)
        setsockopt(p->fd, SOL_SOCKET, SO_RCVBUF, &receive_bytes, sizeof receive_bytes);
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons(w->port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    assert_int_equal(connect(p->fd, (struct sockaddr *)&address, sizeof address), 0);
    fcntl(p->fd, F_SETFL, O_NONBLOCK);
    return p;
}

static void peer_free(peer *p)
{
    close(p->fd);
    twt_stream_close(&p->stream);
    free(p);
}

static void peer_write(peer *p, const void *bytes, size_t len)
{
    assert_int_equal(send(p->fd, bytes, len, MSG_NOSIGNAL), len);
}

static void peer_upgrade(peer *p, const char *query, const char *more_headers)
{
    char text[2048];
    peer_write(p, text, twt_upgrade_text(text, sizeof text, query, more_headers));
}

static void peer_text(peer *p, const char *text)
{
    uint8_t frame[8192];
    peer_write(p, frame, twt_frame(frame, TWI_WS_TEXT, text, strlen(text)));
}

/* Takes at most `max` bytes from the socket. */
static void peer_read(peer *p, size_t max)
{
    uint8_t bytes[16384];
    while (max > 0 && !p->closed) {
        ssize_t n = recv(p->fd, bytes, sizeof bytes < max ? sizeof bytes : max, 0);
        if (n <= 0) {
            p->closed = n == 0 || (errno != EAGAIN && errno != EWOULDBLOCK);
            break;
        }
        max -= (size_t)n;
        twt_stream_bytes(&p->stream, bytes, (size_t)n);
        p->closed |= p->stream.refused;
    }
}

static void exchange(twt_world *w, peer **peers, size_t count)
{
    for (int i = 0; i < ROUNDS_OF_EXCHANGE; i++) {
        twt_settle(w);
        for (size_t k = 0; k < count; k++)
            if (peers[k] != NULL)
                peer_read(peers[k], SIZE_MAX);
    }
}

static peer *subscribe(twt_world *w, const char *query)
{
    peer *p = peer_connect(w, 0);
    peer_upgrade(p, query, "");
    exchange(w, &p, 1);
    assert_true(p->stream.upgraded);
    return p;
}

/* ---- tests ---- */

static void test_snapshot_joins_stream(void **state)
{
    (void)state;
    twt_world *w = twt_world_open((twt_world_options){0});
    twt_put_book(w, 0, 1, 20);
    twt_put_quote(w, 0);
    twt_put_trade(w, 0);
    twt_settle(w);
    peer *p = subscribe(w, "?channels=trade,quote,book,status&symbols=sim:BTC/USDT");
    assert_non_null(strstr(p->stream.last_text, "\"op\":\"subscribed\""));
    assert_non_null(strstr(p->stream.last_text, "\"channel\":\"book\",\"seq\":1,\"state\":\"ok\""));
    assert_int_equal(p->stream.snapshots, 3); /* book, quote, status */
    assert_int_equal(p->stream.messages, 0);
    for (int i = 0; i < 100; i++) {
        twt_put_book(w, 0, 0, 3);
        twt_put_trade(w, 0);
        twt_put_quote(w, 1);
        exchange(w, &p, 1);
    }
    assert_int_equal(p->stream.by_slot[TWI_SLOT_BOOK], 100);
    assert_int_equal(p->stream.by_slot[TWI_SLOT_TRADE], 100);
    assert_int_equal(p->stream.by_slot[TWI_SLOT_QUOTE], 0);
    twt_assert_up_to_date(&p->stream);
    twt_assert_reconciled(w);
    peer_free(p);
    twt_world_close(w);
}

/* The levels [from, to) of a change of `count` levels that adds one to each amount. */
static void put_part_of_group(twt_world *w, uint32_t from, uint32_t to, uint32_t count)
{
    for (uint32_t i = from; i < to; i++) {
        tw_event event = twt_event(w, 0, TW_EVENT_LEVEL);
        event.u.level.price = TWT_BEST_PRICE - (int64_t)i;
        event.u.level.amount = ++w->amounts[0][i];
        event.flags = (uint8_t)((i == 0 ? TW_FLAG_FIRST : 0) | (i + 1 == count ? TW_FLAG_LAST : 0));
        twt_put(w, &event);
    }
}

static void test_no_snapshot_in_the_middle_of_a_group(void **state)
{
    (void)state;
    twt_world *w = twt_world_open((twt_world_options){0});
    twt_put_book(w, 0, 1, 20);
    put_part_of_group(w, 0, 7, 15);
    twt_settle(w);
    peer *p = subscribe(w, "?channels=book&symbols=sim:BTC/USDT");
    assert_int_equal(p->stream.snapshots, 0);
    put_part_of_group(w, 7, 15, 15);
    exchange(w, &p, 1);
    assert_int_equal(p->stream.snapshots, 1);
    twt_assert_up_to_date(&p->stream);

    /* A feed that found its book broken leaves the group without an end: that holds nobody up. */
    put_part_of_group(w, 0, 7, 15);
    twt_put_trade(w, 1);
    peer *late = subscribe(w, "?channels=quote&symbols=sim:ETH/USDT");
    assert_non_null(strstr(late->stream.last_text, "\"op\":\"subscribed\""));
    peer_free(late);
    peer_free(p);
    twt_world_close(w);
}

static void test_sets_of_topics_are_kept_apart(void **state)
{
    (void)state;
    twt_world *w = twt_world_open((twt_world_options){0});
    peer *all = subscribe(w, "?channels=trade,quote&symbols=*");
    peer *one = subscribe(w, "?channels=trade&symbols=sim:ETH/USDT");
    peer *venue = subscribe(w, "?channels=trade&symbols=sim:*");
    peer *none = subscribe(w, "");
    peer *peers[] = {all, one, venue, none};
    for (int round = 0; round < 50; round++)
        for (uint32_t i = 0; i < TWT_INSTRUMENTS; i++) {
            twt_put_trade(w, i);
            twt_put_quote(w, i);
        }
    exchange(w, peers, 4);
    assert_int_equal(all->stream.messages, 50 * TWT_INSTRUMENTS * 2);
    assert_int_equal(one->stream.messages, 50);
    assert_int_equal(venue->stream.messages, 50 * 3);
    assert_int_equal(none->stream.messages, 0);
    for (int i = 0; i < 4; i++)
        peer_free(peers[i]);
    twt_settle(w);
    twt_assert_reconciled(w);
    twt_world_close(w);
}

static void test_control_messages(void **state)
{
    (void)state;
    twt_world *w = twt_world_open((twt_world_options){0});
    peer *p = subscribe(w, "");
    static const struct {
        const char *request, *answer;
    } cases[] = {
        {"{\"op\":\"ping\",\"id\":4}", "{\"op\":\"pong\",\"id\":4,\"time_ns\":"},
        {"{\"op\":\"ping\",\"id\":\"a b\"}", "\"id\":\"a b\""},
        {"{\"op\":\"list\",\"id\":1}", "{\"op\":\"subscriptions\",\"id\":1,\"topics\":[]}"},
        {"{\"op\":\"subscribe\",\"id\":2,\"channels\":[\"trade\",\"nope\"],\"symbols\":[\"sim:BTCN\",\"sim:FOO/USD\"]}",
         "{\"op\":\"subscribed\",\"id\":2,\"topics\":[{\"exchange\":\"sim\",\"symbol\":\"BTCN\",\"channel\":\"trade\","
         "\"seq\":0}]"
         ",\"errors\":[{\"channel\":\"nope\",\"code\":5,"},
        {"{\"op\":\"list\"}", "[{\"exchange\":\"sim\",\"symbol\":\"BTC/USDT\",\"channel\":\"trade\"}]"},
        {"{\"op\":\"unsubscribe\",\"id\":3,\"channels\":[\"trade\"],\"symbols\":[\"*\"]}",
         "{\"op\":\"unsubscribed\",\"id\":3,"},
        {"{\"op\":\"list\"}", "\"topics\":[]"},
        {"{\"op\":\"subscribe\",\"id\":5}", "\"name\":\"BadRequest\""},
        {"{\"op\":\"dance\",\"id\":6}", "\"id\":6,\"code\":2,\"name\":\"BadRequest\""},
        {"no json", "\"name\":\"BadRequest\""},
        {"{\"op\":\"subscribe\",\"id\":7,\"channels\":[\"trade\"],\"symbols\":[\"BTC/USDT\"]}",
         "\"name\":\"BadSymbol\""},
        {"{\"op\":\"subscribe\",\"id\":7,\"channels\":[\"trade\"],\"symbols\":[\"*\"],\"policy\":\"magic\"}",
         "NotSupported"},
        {"{\"op\":\"subscribe\",\"id\":{},\"channels\":[\"trade\"],\"symbols\":[\"*\"]}", "id must be"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        p->stream.last_text[0] = '\0';
        peer_text(p, cases[i].request);
        exchange(w, &p, 1);
        if (strstr(p->stream.last_text, cases[i].answer) == NULL)
            fail_msg("%s\n gave %s\n not  %s", cases[i].request, p->stream.last_text, cases[i].answer);
    }
    peer_free(p);
    twt_world_close(w);
}

static void test_many_requests_at_once_are_answered_in_order(void **state)
{
    (void)state;
    twt_world *w = twt_world_open((twt_world_options){0});
    peer *p = subscribe(w, "");
    char text[256];
    for (int i = 0; i < 200; i++) {
        snprintf(text, sizeof text, "{\"op\":\"%s\",\"id\":%d,\"channels\":[\"trade\"],\"symbols\":[\"*\"]}",
                 i % 2 ? "unsubscribe" : "subscribe", i);
        peer_text(p, text);
    }
    peer_text(p, "{\"op\":\"ping\",\"id\":\"end\"}");
    exchange(w, &p, 1);
    assert_non_null(strstr(p->stream.last_text, "{\"op\":\"pong\",\"id\":\"end\""));
    peer_free(p);
    twt_world_close(w);
}

static void test_bad_frames_get_their_close_code(void **state)
{
    (void)state;
    static const struct {
        uint8_t bytes[16];
        size_t len;
        uint16_t code;
    } cases[] = {
        {{0x81, 0x02, 'h', 'i'}, 4, 1002},               /* not masked */
        {{0xF1, 0x80, 0, 0, 0, 0}, 6, 1002},             /* reserved bits */
        {{0x82, 0x81, 0, 0, 0, 0, 'x'}, 7, 1003},        /* binary control */
        {{0x81, 0x82, 0, 0, 0, 0, 0xC3, 0x28}, 8, 1007}, /* not UTF-8 */
        {{0x81, 0xFE, 0x20, 0x00, 0, 0, 0, 0}, 8, 1009}, /* 8192 > 4096 */
        {{0x83, 0x80, 0, 0, 0, 0}, 6, 1002},             /* unknown opcode */
        {{0x88, 0x82, 0, 0, 0, 0, 0x03, 0xE8}, 8, 1000}, /* a close is answered with its code */
    };
    twt_world *w = twt_world_open((twt_world_options){0});
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        peer *p = subscribe(w, "?channels=trade&symbols=*");
        peer_write(p, cases[i].bytes, cases[i].len);
        exchange(w, &p, 1);
        assert_int_equal(p->stream.close_code, cases[i].code);
        assert_true(p->closed);
        peer_free(p);
    }
    twt_settle(w);
    assert_int_equal(twi_shard_client_count(w->shard), 0);
    twt_world_close(w);
}

static void test_limits_and_tokens(void **state)
{
    (void)state;
    static const char *const tokens[] = {"secret"};
    twt_world *w = twt_world_open((twt_world_options){.connection_count_max = 2, .tokens = tokens, .token_count = 1});
    peer *wrong = subscribe(w, "?token=guess");
    assert_int_equal(wrong->stream.close_code, 4500);
    peer_free(wrong);
    peer *a = peer_connect(w, 0), *b = peer_connect(w, 0), *c = peer_connect(w, 0);
    peer *peers[] = {a, b, c};
    peer_upgrade(a, "", "Authorization: Bearer secret\r\n");
    exchange(w, peers, 1);
    peer_upgrade(b, "?token=secret", "");
    exchange(w, peers, 2);
    peer_upgrade(c, "?token=secret", "");
    exchange(w, peers, 3);
    assert_int_equal(a->stream.close_code, 0);
    assert_int_equal(b->stream.close_code, 0);
    assert_int_equal(c->stream.close_code, 4502);
    for (int i = 0; i < 3; i++)
        peer_free(peers[i]);
    twt_world_close(w);
}

/* Publishes until the one that does not read must have been noticed, while the other reads everything. */
static void run_slow(twt_world *w, peer *slow, peer *quick, uint64_t trades)
{
    for (uint64_t i = 0; i < trades; i++) {
        twt_put_trade(w, (uint32_t)(i % TWT_INSTRUMENTS));
        if (i % 50 == 49) {
            twt_settle(w);
            peer_read(quick, SIZE_MAX);
        }
    }
    (void)slow;
    twt_settle(w);
    peer_read(quick, SIZE_MAX);
}

static void test_slow_client_is_cut_off_and_nobody_else_notices(void **state)
{
    (void)state;
    twt_world *w = twt_world_open((twt_world_options){.policy = TWI_POLICY_ALL, .socket_send_bytes = 16384});
    peer *slow = peer_connect(w, 8192);
    peer_upgrade(slow, "?channels=trade&symbols=*", "");
    peer *quick = subscribe(w, "?channels=trade&symbols=*");
    run_slow(w, slow, quick, 20000);
    assert_int_equal(quick->stream.messages, 20000);
    peer *peers[] = {slow, quick};
    exchange(w, peers, 2);
    assert_int_equal(slow->stream.close_code, 4002);
    assert_non_null(strstr(slow->stream.last_text, "{\"op\":\"bye\",\"code\":4002"));
    twt_assert_reconciled(w);
    twi_shard_totals totals = twi_shard_count(w->shard);
    assert_int_equal(totals.delivered, slow->stream.messages + quick->stream.messages);
    assert_int_equal(totals.lost, 20000 - slow->stream.messages);
    peer_free(slow);
    peer_free(quick);
    twt_world_close(w);
}

static void test_dropping_client_is_told_what_it_missed(void **state)
{
    (void)state;
    twt_world *w = twt_world_open((twt_world_options){.socket_send_bytes = 16384});
    twt_put_book(w, 0, 1, 20);
    twt_settle(w);
    peer *slow = peer_connect(w, 8192);
    peer_upgrade(slow, "?channels=trade,book&symbols=*&policy=drop", "");
    peer *quick = subscribe(w, "?channels=trade&symbols=*");
    for (int round = 0; round < 4; round++) {
        run_slow(w, slow, quick, 9000);
        twt_put_book(w, 0, 0, 2);
        peer *peers[] = {slow, quick};
        exchange(w, peers, 2);
    }
    assert_int_equal(slow->stream.close_code, 0);
    assert_true(slow->stream.lost > 0);
    uint64_t trades = 0;
    for (uint32_t i = 0; i < TWT_INSTRUMENTS; i++)
        trades += slow->stream.seq[twi_topic(i, TWI_SLOT_TRADE)];
    assert_int_equal(trades, 36000); /* each topic was followed to its last number */
    assert_int_equal(quick->stream.messages, 36000);
    twt_assert_reconciled(w);
    peer_free(slow);
    peer_free(quick);
    twt_world_close(w);
}

/* Clients come, go, change their minds, read in bits or not at all; at the end every number adds up. */
static void churn(const char *loop, uint64_t seed)
{
    enum { PEERS = 24, ROUNDS = 1500 };
    static const char *const queries[] = {
        "?channels=trade&symbols=*",
        "?channels=trade,quote,book&symbols=sim:*",
        "?channels=book&symbols=sim:BTC/USDT",
        "?channels=quote&symbols=*&policy=drop",
        "?channels=trade,book&symbols=*&policy=drop",
        "",
    };
    twt_world *w = twt_world_open((twt_world_options){.log_bytes = 1 << 18, .loop = loop, .socket_send_bytes = 8192});
    w->random += seed * 7919;
    for (uint32_t i = 0; i < TWT_INSTRUMENTS; i++)
        twt_put_book(w, i, 1, 30);
    peer *peers[PEERS] = {0};
    for (int round = 0; round < ROUNDS; round++) {
        uint64_t choice = twt_random(w);
        peer **p = &peers[choice % PEERS];
        if (*p == NULL) {
            *p = peer_connect(w, choice & 256 ? 4096 : 0);
            peer_upgrade(*p, queries[(choice >> 9) % 6], "");
        } else if ((choice >> 12) % 16 == 0 || (*p)->closed) {
            peer_free(*p);
            *p = NULL;
        } else if ((choice >> 12) % 16 == 1 && (*p)->stream.close_code == 0) {
            peer_text(*p, (choice >> 20) & 1
                              ? "{\"op\":\"subscribe\",\"channels\":[\"quote\"],\"symbols\":[\"*\"]}"
                              : "{\"op\":\"unsubscribe\",\"channels\":[\"trade\"],\"symbols\":[\"sim:*\"]}");
        } else {
            peer_read(*p, (choice >> 16) % 20000);
        }
        for (uint64_t events = (choice >> 32) % 40; events > 0; events--)
            twt_put_any(w);
        for (uint64_t turns = (choice >> 48) % 6; turns > 0; turns--)
            twt_turn(w);
        if (round % 100 == 0)
            twt_assert_reconciled(w);
    }
    exchange(w, peers, PEERS);
    twt_assert_reconciled(w);
    for (int i = 0; i < PEERS; i++)
        if (peers[i] != NULL)
            peer_free(peers[i]);
    /* The kernel may take its time to say that a peer has gone. */
    for (int64_t patience_ns = twi_monotonic_ns() + PATIENCE_NS;
         twi_shard_client_count(w->shard) > 0 && twi_monotonic_ns() < patience_ns;)
        twt_turn(w);
    twt_assert_reconciled(w);
    twt_assert_nobody_left(w);
    twt_world_close(w);
}

static void test_churn_adds_up(void **state)
{
    (void)state;
    const char *more = getenv("TWT_SEEDS"); /* for long runs by hand */
    uint64_t seeds = more != NULL ? strtoull(more, NULL, 10) : 4;
    for (uint64_t seed = 1; seed <= seeds; seed++) {
        print_message("seed %llu\n", (unsigned long long)seed);
        churn("auto", seed);
        churn("epoll", seed);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_snapshot_joins_stream),
        cmocka_unit_test(test_no_snapshot_in_the_middle_of_a_group),
        cmocka_unit_test(test_sets_of_topics_are_kept_apart),
        cmocka_unit_test(test_control_messages),
        cmocka_unit_test(test_many_requests_at_once_are_answered_in_order),
        cmocka_unit_test(test_bad_frames_get_their_close_code),
        cmocka_unit_test(test_limits_and_tokens),
        cmocka_unit_test(test_slow_client_is_cut_off_and_nobody_else_notices),
        cmocka_unit_test(test_dropping_client_is_told_what_it_missed),
        cmocka_unit_test(test_churn_adds_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
