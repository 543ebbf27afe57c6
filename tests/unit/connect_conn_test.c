/* connect_conn_test.c - a connection on the simulated loop: all that can come from the other side, in any pieces. */
#include "tests/unit/connect_rig.h"

#include "engine/connect/conn.h"

enum { SEEDS = 40, MESSAGES = 60, MESSAGE_MAX = 1 << 20 };
#define SECOND INT64_C(1000000000)

typedef struct client {
    twt_rig rig;
    twi_conn_options options;
    twi_conn conn;
    uint32_t ups, downs, messages;
    uint64_t bytes, hash;
    twi_conn_end end;
    char why[TWI_CONN_WHY_MAX + 1];
    bool closes_at_message;
} client;

static void on_up(void *owner, twi_conn *conn)
{
    client *it = owner;
    assert_ptr_equal(conn, &it->conn);
    it->ups++;
}

static uint64_t add_hash(uint64_t hash, const uint8_t *data, size_t len)
{
    for (size_t i = 0; i < len; i++)
        hash = (hash ^ data[i]) * UINT64_C(0x100000001b3);
    return hash ^ len;
}

static void on_message(void *owner, twi_conn *conn, int64_t recv_ns, uint8_t opcode, const uint8_t *msg, size_t len)
{
    client *it = owner;
    assert_int_equal(conn->phase, TWI_CONN_OPEN);
    assert_true(recv_ns > TWT_EPOCH);
    assert_true(opcode == TWI_WS_TEXT || opcode == TWI_WS_BINARY);
    it->messages++;
    it->hash = add_hash(it->hash, msg, len);
    if (it->closes_at_message)
        twi_conn_close(conn, "enough");
}

static void on_received(void *owner, twi_conn *conn, int64_t recv_ns, size_t wire_bytes)
{
    client *it = owner;
    (void)conn;
    (void)recv_ns;
    it->bytes += wire_bytes;
}

static void on_down(void *owner, twi_conn *conn, twi_conn_end end, const char *why)
{
    client *it = owner;
    (void)conn;
    it->downs++;
    it->end = end;
    snprintf(it->why, sizeof(it->why), "%s", why);
}

static const twi_conn_calls calls = {on_up, on_message, on_received, on_down};

static client *begin(uint64_t seed)
{
    client *it = calloc(1, sizeof(*it));
    assert_non_null(it);
    twt_rig_open(&it->rig, seed);
    twt_listen_there(&it->rig);
    it->options = (twi_conn_options){
        .calls = &calls, .proxy = "none", .message_bytes_max = MESSAGE_MAX, .user_agent = "tickwire"};
    twi_conn_init(&it->conn, &it->options, it->rig.hub, it);
    return it;
}

static void finish(client *it)
{
    twi_conn_close(&it->conn, "the test is over");
    twi_conn_abandon(&it->conn);
    twt_rig_close_loop(&it->rig);
    twi_conn_fini(&it->conn);
    free(it);
}

/* Also looks at the time limits, as a driver would. */
#define UNTIL(it, condition) TWT_UNTIL(&(it)->rig, (twi_conn_tick(&(it)->conn), (condition)))

static void expect_end(client *it, twi_conn_end end, const char *part)
{
    UNTIL(it, it->downs == 1 && it->conn.phase == TWI_CONN_IDLE);
    if (it->end != end || strstr(it->why, part) == NULL)
        fail_msg("ended with %s \"%s\", wanted %s \"%s\"", twi_conn_end_name(it->end), it->why, twi_conn_end_name(end),
                 part);
}

static client *dial(twt_greeting greeting)
{
    client *it = begin(1);
    it->rig.greeting = greeting;
    twi_conn_dial(&it->conn, TWT_URL);
    return it;
}

static client *dial_and_open(void)
{
    client *it = dial(TWT_ACCEPTS);
    UNTIL(it, it->ups == 1);
    return it;
}

/* ---- messages ---- */

static uint32_t next_random(uint64_t *state)
{
    *state = *state * UINT64_C(6364136223846793005) + 1442695040888963407u;
    return (uint32_t)(*state >> 33);
}

/* Messages of all sizes, some in fragments with pings between them. Returns the hash that must come out. */
static uint64_t say_many(twt_peer *peer, uint64_t seed)
{
    static uint8_t text[1 << 17];
    uint64_t hash = 0;
    for (int i = 0; i < MESSAGES; i++) {
        size_t len = next_random(&seed) % (i % 10 == 9 ? sizeof(text) : 300);
        for (size_t at = 0; at < len; at++)
            text[at] = (uint8_t)('a' + (at + (size_t)i) % 26);
        hash = add_hash(hash, text, len);
        size_t at = 0;
        uint8_t opcode = TWI_WS_TEXT;
        for (int fragments = (int)(next_random(&seed) % 4); fragments > 0 && at < len; fragments--) {
            size_t piece = next_random(&seed) % (len - at);
            twt_say_frame(peer, opcode, text + at, piece);
            twt_say_frame(peer, 0x80 | TWI_WS_PING, "knock", 5);
            at += piece;
            opcode = TWI_WS_CONTINUATION;
        }
        twt_say_frame(peer, 0x80 | opcode, text + at, len - at);
    }
    twt_say_frame(peer, 0x80 | TWI_WS_PING, "last", 4);
    return hash;
}

static void test_messages_in_any_pieces(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        client *it = begin(seed);
        twi_conn_dial(&it->conn, TWT_URL);
        UNTIL(it, it->ups == 1);
        uint64_t hash = say_many(twt_newest(&it->rig), seed);
        UNTIL(it, it->messages == MESSAGES);
        if (it->hash != hash || it->downs != 0)
            fail_msg("seed %llu: other messages came out", (unsigned long long)seed);
        TWT_UNTIL(&it->rig, twt_newest(&it->rig)->pongs > 0 && twt_newest(&it->rig)->control.payload_len == 4);
        finish(it);
    }
}

static void test_sends(void **state)
{
    (void)state;
    client *it = dial_and_open();
    static uint8_t large[TW_FEED_OUTPUT_MAX];
    memset(large, 'x', sizeof(large));
    assert_true(twi_conn_has_room(&it->conn, sizeof(large)));
    assert_int_equal(twi_conn_send(&it->conn, TWI_WS_TEXT, (const uint8_t *)"hello", 5), TW_OK);
    assert_int_equal(twi_conn_send(&it->conn, TWI_WS_TEXT, large, sizeof(large)), TW_OK);
    while (twi_conn_has_room(&it->conn, sizeof(large)))
        assert_int_equal(twi_conn_send(&it->conn, TWI_WS_TEXT, large, sizeof(large)), TW_OK);
    assert_int_equal(twi_conn_send(&it->conn, TWI_WS_TEXT, large, sizeof(large)), TW_FULL);
    UNTIL(it, twt_newest(&it->rig)->texts >= 3 && twi_conn_has_room(&it->conn, sizeof(large)));
    finish(it);
}

static void test_request_head(void **state)
{
    (void)state;
    client *it = dial_and_open();
    const char *head = twt_newest(&it->rig)->request;
    assert_non_null(strstr(head, "GET /stream HTTP/1.1\r\n"));
    assert_non_null(strstr(head, "Host: 10.0.0.1:9000\r\n"));
    assert_non_null(strstr(head, "User-Agent: tickwire\r\n"));
    finish(it);
}

/* ---- endings ---- */

static void test_close_says_goodbye(void **state)
{
    (void)state;
    client *it = dial_and_open();
    twi_conn_close(&it->conn, "enough");
    assert_int_equal(it->downs, 1); /* during the call */
    expect_end(it, TWI_END_STOP, "enough");
    TWT_UNTIL(&it->rig, twt_newest(&it->rig)->close_code == TWI_WS_CODE_NORMAL);
    finish(it);
}

static void test_close_inside_message(void **state)
{
    (void)state;
    client *it = dial_and_open();
    it->closes_at_message = true;
    twt_say(twt_newest(&it->rig), "one");
    twt_say(twt_newest(&it->rig), "two");
    expect_end(it, TWI_END_STOP, "enough");
    assert_int_equal(it->messages, 1);
    finish(it);
}

static void test_venue_closes(void **state)
{
    (void)state;
    client *it = dial_and_open();
    uint8_t frame[TWI_WS_CONTROL_FRAME_MAX];
    twt_say_bytes(twt_newest(&it->rig), frame, twi_ws_close_write(frame, 1008, "Too many requests", NULL));
    expect_end(it, TWI_END_PEER, "code 1008: Too many requests");
    TWT_UNTIL(&it->rig, twt_newest(&it->rig)->close_code == 1008);
    finish(it);
}

static void test_connection_breaks(void **state)
{
    (void)state;
    client *it = dial_and_open();
    twt_say_bytes(twt_newest(&it->rig), "\x81\x7e\x10", 3); /* in the middle of a frame */
    twt_hang_up(twt_newest(&it->rig));
    expect_end(it, TWI_END_PEER, "without a goodbye");
    it->downs = 0;
    twi_conn_dial(&it->conn, TWT_URL); /* and nothing of the old one is left */
    UNTIL(it, it->ups == 2);
    twt_say(twt_newest(&it->rig), "fresh");
    UNTIL(it, it->messages == 1);
    assert_int_equal(it->downs, 0);
    finish(it);
}

static void test_too_big_message(void **state)
{
    (void)state;
    client *it = dial_and_open();
    static char text[10 << 20];
    memset(text, 'x', sizeof(text));
    twt_say_frame(twt_newest(&it->rig), 0x81, text, sizeof(text)); /* 10 MB in one frame */
    expect_end(it, TWI_END_TOO_BIG, "at most 1048576 bytes");
    assert_int_equal(it->messages, 0);
    finish(it);
}

static void test_largest_message(void **state)
{
    (void)state;
    client *it = dial_and_open();
    static char text[MESSAGE_MAX];
    memset(text, 'x', sizeof(text));
    twt_say_frame(twt_newest(&it->rig), 0x81, text, sizeof(text));
    UNTIL(it, it->messages == 1);
    assert_int_equal(it->downs, 0);
    finish(it);
}

static void test_endless_fragments(void **state)
{
    (void)state;
    client *it = dial_and_open();
    twt_say_frame(twt_newest(&it->rig), TWI_WS_TEXT, "x", 1);
    for (int i = 0; i < TWI_CONN_FRAGMENTS_MAX + 2; i++)
        twt_say_frame(twt_newest(&it->rig), TWI_WS_CONTINUATION, "", 0);
    expect_end(it, TWI_END_TOO_BIG, "16384 fragments");
    finish(it);
}

static void test_bad_frame(void **state)
{
    (void)state;
    client *it = dial_and_open();
    twt_say_bytes(twt_newest(&it->rig), "\x83\x00", 2); /* an opcode that does not exist */
    expect_end(it, TWI_END_PROTOCOL, "bad frame");
    finish(it);
}

static void test_bad_text(void **state)
{
    (void)state;
    client *it = dial_and_open();
    twt_say_frame(twt_newest(&it->rig), 0x81, "\xff\xfe", 2);
    expect_end(it, TWI_END_PROTOCOL, "bad frame");
    finish(it);
}

static void test_silence(void **state)
{
    (void)state;
    client *it = begin(3);
    it->options.silence_ns = 5 * SECOND;
    twi_conn_dial(&it->conn, TWT_URL);
    UNTIL(it, it->ups == 1);
    int64_t open_ns = twi_hub_now_ns(it->rig.hub);
    twt_say(twt_newest(&it->rig), "one");
    expect_end(it, TWI_END_SILENCE, "nothing was received for 5");
    int64_t waited_ns = twi_hub_now_ns(it->rig.hub) - open_ns;
    assert_in_range(waited_ns, 5 * SECOND, 7 * SECOND);
    finish(it);
}

static void test_pings_keep_it(void **state)
{
    (void)state;
    client *it = begin(4);
    it->options.silence_ns = 5 * SECOND;
    it->options.ping_ns = 2 * SECOND;
    twi_conn_dial(&it->conn, TWT_URL);
    UNTIL(it, it->ups == 1);
    /* The server of the rig answers no pings: so these go out, and the connection ends all the same. */
    UNTIL(it, twt_newest(&it->rig)->control.opcode == TWI_WS_PING);
    twt_say_frame(twt_newest(&it->rig), 0x80 | TWI_WS_PONG, "", 0);
    int64_t pong_ns = twi_hub_now_ns(it->rig.hub);
    expect_end(it, TWI_END_SILENCE, "nothing");
    assert_true(twi_hub_now_ns(it->rig.hub) - pong_ns >= 5 * SECOND);
    finish(it);
}

/* ---- dialing ---- */

static void test_refused_handshake(void **state)
{
    (void)state;
    client *it = dial(TWT_REFUSES);
    expect_end(it, TWI_END_HANDSHAKE, "429 Too Many Requests");
    assert_int_equal(it->conn.http_status, 429);
    assert_int_equal(it->conn.retry_after_s, 7);
    finish(it);
}

static void test_no_http(void **state)
{
    (void)state;
    client *it = dial(TWT_GARBAGE);
    expect_end(it, TWI_END_HANDSHAKE, "does not speak HTTP");
    finish(it);
}

static void test_wrong_key(void **state)
{
    (void)state;
    client *it = dial(TWT_WRONG_KEY);
    expect_end(it, TWI_END_HANDSHAKE, "Sec-WebSocket-Accept does not match");
    finish(it);
}

static void test_mute_server(void **state)
{
    (void)state;
    client *it = dial(TWT_MUTE);
    expect_end(it, TWI_END_HANDSHAKE, "has not answered the WebSocket handshake for 10");
    finish(it);
}

static void test_hangs_up(void **state)
{
    (void)state;
    client *it = dial(TWT_HANGS_UP);
    expect_end(it, TWI_END_HANDSHAKE, "closed in the handshake");
    finish(it);
}

static void test_nobody_listens(void **state)
{
    (void)state;
    client *it = begin(1);
    twi_conn_dial(&it->conn, "ws://10.0.0.2:9000/");
    expect_end(it, TWI_END_CONNECT, "10.0.0.2 port 9000");
    finish(it);
}

static void test_bad_urls(void **state)
{
    (void)state;
    static const char *const urls[] = {"http//x", "ftp://10.0.0.1/", "ws://", "ws://10.0.0.1:99999/", "ws://a b/"};
    for (size_t i = 0; i < sizeof(urls) / sizeof(urls[0]); i++) {
        client *it = begin(1);
        twi_conn_dial(&it->conn, urls[i]);
        expect_end(it, TWI_END_RESOLVE, "is no URL");
        finish(it);
    }
}

static void test_tls_not_set_up(void **state)
{
    (void)state;
    client *it = begin(1);
    twi_conn_dial(&it->conn, "wss://10.0.0.1:9000/");
    expect_end(it, TWI_END_TLS, "not set up");
    finish(it);
}

static void test_proxy(void **state)
{
    (void)state;
    client *it = begin(5);
    it->rig.greeting = TWT_PROXY;
    it->options.proxy = "http://user:pass%20word@10.0.0.1:9000";
    twi_conn_dial(&it->conn, "ws://10.9.9.9/stream");
    TWT_UNTIL(&it->rig, it->rig.accepted == 1 && twt_newest(&it->rig)->proxied);
    assert_non_null(strstr(twt_newest(&it->rig)->request, "CONNECT 10.9.9.9:80 HTTP/1.1\r\n"));
    assert_non_null(strstr(twt_newest(&it->rig)->request,
                           "Proxy-Authorization: Basic dXNlcjpwYXNzIHdvcmQ=\r\n")); /* user:pass word */
    UNTIL(it, it->ups == 1);
    assert_non_null(strstr(twt_newest(&it->rig)->request, "Host: 10.9.9.9\r\n"));
    finish(it);
}

static void test_proxy_refuses(void **state)
{
    (void)state;
    client *it = begin(5);
    it->rig.greeting = TWT_PROXY_REFUSES;
    it->options.proxy = "10.0.0.1:9000";
    twi_conn_dial(&it->conn, "ws://10.9.9.9/stream");
    expect_end(it, TWI_END_PROXY, "10.9.9.9:80: 407 Proxy Authentication Required");
    finish(it);
}

/* Bytes of a good server, some of them changed: in the handshake, and after it. */
static void test_any_bytes(void **state)
{
    (void)state;
    static const char answer[] = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                                 "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";
    static const char frames[] = "\x81\x05hello\x89\x02hi\x01\x03one\x80\x03two\x82\x7e\x00\x7e";
    uint64_t random = 9, ends[TWI_END_COUNT] = {0};
    client *it = begin(77);
    for (int round = 0; round < 600; round++) {
        bool opens = round % 2 == 0;
        uint8_t bytes[400];
        size_t len = opens ? sizeof(frames) - 1 : sizeof(answer) - 1;
        memcpy(bytes, opens ? frames : answer, len);
        memset(bytes + len, 'x', sizeof(bytes) - len);
        for (uint32_t changes = next_random(&random) % 4; changes > 0; changes--)
            bytes[next_random(&random) % len] = (uint8_t)next_random(&random);
        it->rig.greeting = opens ? TWT_ACCEPTS : TWT_MUTE;
        it->downs = 0;
        uint32_t accepted = it->rig.accepted, ups = it->ups;
        twi_conn_dial(&it->conn, TWT_URL);
        UNTIL(it, it->rig.accepted == accepted + 1 && (!opens || it->ups == ups + 1));
        twt_say_bytes(twt_newest(&it->rig), bytes, len + next_random(&random) % (sizeof(bytes) - len));
        for (int turn = 0; turn < 20; turn++)
            twt_turn(&it->rig);
        if (it->downs == 0)
            twt_hang_up(twt_newest(&it->rig));
        UNTIL(it, it->downs == 1 && it->conn.phase == TWI_CONN_IDLE);
        assert_true(it->why[0] != 0);
        ends[it->end]++;
        twt_forget_newest(&it->rig);
    }
    assert_true(ends[TWI_END_PROTOCOL] > 0 && ends[TWI_END_PEER] > 0 && ends[TWI_END_HANDSHAKE] > 0);
    finish(it);
}

/* A close at any moment of dialing leaves nothing behind. */
static void test_close_at_any_time(void **state)
{
    (void)state;
    for (int turns = 0; turns < 40; turns++) {
        client *it = begin((uint64_t)turns + 100);
        twi_conn_dial(&it->conn, TWT_URL);
        for (int i = 0; i < turns; i++)
            twt_turn(&it->rig);
        twi_conn_close(&it->conn, "enough");
        assert_int_equal(it->downs, 1);
        UNTIL(it, it->conn.phase == TWI_CONN_IDLE);
        twi_conn_dial(&it->conn, TWT_URL);
        uint32_t ups = it->ups;
        UNTIL(it, it->ups == ups + 1);
        assert_int_equal(it->downs, 1);
        finish(it);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_messages_in_any_pieces),
        cmocka_unit_test(test_sends),
        cmocka_unit_test(test_request_head),
        cmocka_unit_test(test_close_says_goodbye),
        cmocka_unit_test(test_close_inside_message),
        cmocka_unit_test(test_venue_closes),
        cmocka_unit_test(test_connection_breaks),
        cmocka_unit_test(test_too_big_message),
        cmocka_unit_test(test_largest_message),
        cmocka_unit_test(test_endless_fragments),
        cmocka_unit_test(test_bad_frame),
        cmocka_unit_test(test_bad_text),
        cmocka_unit_test(test_silence),
        cmocka_unit_test(test_pings_keep_it),
        cmocka_unit_test(test_refused_handshake),
        cmocka_unit_test(test_no_http),
        cmocka_unit_test(test_wrong_key),
        cmocka_unit_test(test_mute_server),
        cmocka_unit_test(test_hangs_up),
        cmocka_unit_test(test_nobody_listens),
        cmocka_unit_test(test_bad_urls),
        cmocka_unit_test(test_tls_not_set_up),
        cmocka_unit_test(test_proxy),
        cmocka_unit_test(test_proxy_refuses),
        cmocka_unit_test(test_close_at_any_time),
        cmocka_unit_test(test_any_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
