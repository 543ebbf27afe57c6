/* ws_server_conformance.c - the echo server over real sockets: echo of every kind, each rule broken, the close
 * handshake, compression with all parameters, back-pressure, hostile handshakes, no descriptor left behind.
 * Usage: ws_server_conformance PATH_TO_WS_ECHO LOOP. Exit 77: this machine cannot run that loop. */
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>

#include "engine/base/clock.h"
#include "tests/conformance/websocket/child.h"
#include "tests/conformance/websocket/link.h"
#include "tests/conformance/websocket/rules.h"

enum { MESSAGE_BYTES_MAX = 16 << 20 };
#define PATIENCE_NS INT64_C(20000000000)

static twt_child server;
static uint16_t server_port;
static twt_link link_one, link_two;
static uint8_t big[MESSAGE_BYTES_MAX + 1];

static twt_link *open_link(void)
{
    twt_link_open_client(&link_one, twt_dial(server_port), NULL, NULL);
    return &link_one;
}

/* The connection works: a message and a clean close. */
static void finish(twt_link *link)
{
    twt_link_send_message(link, TWI_WS_TEXT, "still here", 10, 0);
    twt_link_expect_message(link, TWI_WS_TEXT, "still here", 10);
    twt_link_send_frame(link, CLOSE, "\x03\xe8", 2);
    twt_link_expect_close(link, 1000);
    twt_link_close(link);
}

static void fill_text(uint8_t *out, size_t len, uint64_t seed)
{
    for (size_t i = 0; i < len; i++)
        out[i] = (uint8_t)(' ' + twt_random(&seed) % 64);
}

/* ---- echo ---- */

static void messages_of_all_sizes(void **state)
{
    (void)state;
    static const size_t sizes[] = {0, 1, 125, 126, 127, 128, 65535, 65536, 1 << 20, MESSAGE_BYTES_MAX};
    twt_link *link = open_link();
    fill_text(big, sizeof(big), 1);
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        for (uint8_t opcode = TWI_WS_TEXT; opcode <= TWI_WS_BINARY; opcode++) {
            twt_link_send_message(link, opcode, big, sizes[i], 0);
            twt_link_expect_message(link, opcode, big, sizes[i]);
        }
    }
    finish(link);
}

static void bytes_one_at_a_time(void **state)
{
    (void)state;
    twt_link *link = open_link();
    uint8_t frames[400];
    size_t len = twt_link_frame(link, frames, 1, "H\xc3", 2);
    len += twt_link_frame(link, frames + len, FIN | 9, "ping", 4);
    len += twt_link_frame(link, frames + len, FIN, "\xa9llo", 4);
    len += twt_link_frame(link, frames + len, BINARY, big, 130);
    for (size_t i = 0; i < len; i++)
        twt_link_send_bytes(link, frames + i, 1);
    assert_int_equal(twt_link_receive(link), TWI_WS_PONG);
    assert_memory_equal(link->control.payload, "ping", 4);
    twt_link_expect_message(link, TWI_WS_TEXT, "H\xc3\xa9llo", 6);
    twt_link_expect_message(link, TWI_WS_BINARY, big, 130);
    finish(link);
}

static void fragments_up_to_the_limit(void **state)
{
    (void)state;
    twt_link *link = open_link();
    static const size_t sizes[] = {64, 256, 1024, 65536};
    fill_text(big, 4 << 20, 2);
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        size_t len = i == 0 ? 65536 * 64 : 1 << 20; /* 65,536 fragments at first */
        uint8_t *wire = malloc(len * 2);
        assert_non_null(wire);
        size_t wire_len = 0;
        for (size_t at = 0; at < len; at += sizes[i]) {
            uint8_t first_byte = (uint8_t)((at == 0 ? TWI_WS_TEXT : 0) | (at + sizes[i] >= len ? FIN : 0));
            wire_len += twt_link_frame(link, wire + wire_len, first_byte, big + at, sizes[i]);
        }
        twt_link_send_bytes(link, wire, wire_len);
        free(wire);
        twt_link_expect_message(link, TWI_WS_TEXT, big, len);
    }
    twt_link_send_frame(link, 1, "", 0);
    twt_link_send_frame(link, 0, "", 0);
    twt_link_send_frame(link, FIN, "", 0);
    twt_link_expect_message(link, TWI_WS_TEXT, "", 0);
    finish(link);
}

static void pings_and_pongs(void **state)
{
    (void)state;
    twt_link *link = open_link();
    for (size_t len = 0; len <= 125; len += 25) {
        twt_link_send_frame(link, FIN | 9, big, len);
        assert_int_equal(twt_link_receive(link), TWI_WS_PONG);
        assert_int_equal(link->control.payload_len, len);
        assert_memory_equal(link->control.payload, big, len);
    }
    twt_link_send_frame(link, FIN | 10, "nobody asked", 12);
    twt_link_send_frame(link, 1, "one ", 4);
    for (uint8_t i = 0; i < 10; i++)
        twt_link_send_frame(link, FIN | 9, &i, 1);
    twt_link_send_frame(link, FIN, "two", 3);
    for (uint8_t i = 0; i < 10; i++) {
        assert_int_equal(twt_link_receive(link), TWI_WS_PONG);
        assert_int_equal(link->control.payload[0], i);
    }
    twt_link_expect_message(link, TWI_WS_TEXT, "one two", 7);
    finish(link);
}

/* ---- rules ---- */

static void each_rule_broken_once(void **state)
{
    (void)state;
    for (size_t i = 0; i < BROKEN_RULES; i++) {
        twt_link *link = open_link();
        twt_break_rule(link, &broken_rules[i]);
        twt_link_close(link);
    }
}

static void broken_headers(void **state)
{
    (void)state;
    static const struct {
        const char *bytes;
        size_t len;
        uint16_t code;
    } cases[] = {
        {"\x81\x01x", 3, 1002},                                         /* not masked */
        {"\x82\xfe\x00\x7d\0\0\0\0", 8, 1002},                          /* 16 bits for 125 */
        {"\x82\xff\0\0\0\0\0\0\xff\xff\0\0\0\0", 14, 1002},             /* 64 bits for 65535 */
        {"\x82\xff\x80\0\0\0\0\0\0\0\0\0\0\0", 14, 1002},               /* the top bit */
        {"\x82\xff\0\0\0\0\x01\0\0\x01\0\0\0\0", 14, 1009},             /* 16 MiB and one byte */
        {"\x82\xff\x7f\xff\xff\xff\xff\xff\xff\xff\0\0\0\0", 14, 1009}, /* the largest there is */
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        twt_link *link = open_link();
        twt_link_send_bytes(link, cases[i].bytes, cases[i].len);
        twt_link_expect_close(link, cases[i].code);
        twt_link_close(link);
    }
}

static void more_fragments_than_allowed(void **state)
{
    (void)state;
    twt_link *link = open_link();
    uint8_t frames[4096];
    size_t len = twt_link_frame(link, frames, 2, "x", 1);
    twt_link_send_bytes(link, frames, len);
    for (int i = 0; i < 70000 / 100; i++) {
        len = 0;
        for (int k = 0; k < 100; k++)
            len += twt_link_frame(link, frames + len, 0, "x", 1);
        twt_link_send_bytes(link, frames, len);
    }
    twt_link_expect_close(link, 1009);
    twt_link_close(link);
}

/* ---- close ---- */

static void close_codes_come_back(void **state)
{
    (void)state;
    static const uint16_t codes[] = {1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 3000, 3999, 4000, 4999};
    for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++) {
        twt_link *link = open_link();
        uint8_t payload[125] = {(uint8_t)(codes[i] >> 8), (uint8_t)codes[i]};
        memset(payload + 2, 'r', 123);
        twt_link_send_frame(link, CLOSE, payload, i % 2 == 0 ? 2 : 125);
        twt_link_expect_close(link, codes[i]);
        twt_link_close(link);
    }
    twt_link *link = open_link();
    twt_link_send_frame(link, CLOSE, "", 0);
    twt_link_expect_close(link, 0);
    twt_link_close(link);
}

static void nothing_counts_after_close(void **state)
{
    (void)state;
    twt_link *link = open_link();
    uint8_t frames[256];
    size_t len = twt_link_frame(link, frames, TEXT, "before", 6);
    len += twt_link_frame(link, frames + len, CLOSE, "\x03\xe8", 2);
    len += twt_link_frame(link, frames + len, TEXT, "after", 5);
    len += twt_link_frame(link, frames + len, FIN | 9, "after", 5);
    twt_link_send_bytes(link, frames, len);
    twt_link_expect_message(link, TWI_WS_TEXT, "before", 6);
    twt_link_expect_close(link, 1000);
    twt_link_close(link);
}

/* ---- compression ---- */

static void compression_with_all_parameters(void **state)
{
    (void)state;
    static const char *const offers[] = {
        "permessage-deflate",
        "permessage-deflate; client_max_window_bits",
        "permessage-deflate; server_no_context_takeover",
        "permessage-deflate; client_no_context_takeover",
        "permessage-deflate; server_max_window_bits=8; client_max_window_bits=8",
        "permessage-deflate; server_max_window_bits=9; client_max_window_bits=9",
        "permessage-deflate; server_max_window_bits=12; client_max_window_bits=15",
        "permessage-deflate; server_no_context_takeover; client_no_context_takeover; server_max_window_bits=9",
        "permessage-deflate; server_no_context_takeover; server_max_window_bits=15; client_max_window_bits=10",
        "permessage-deflate; server_max_window_bits=16, permessage-deflate; server_max_window_bits=9",
    };
    static const size_t sizes[] = {0, 16, 64, 256, 0, 1024, 4096, 8192, 16384, 65536, 131072, 1};
    const twi_ws_deflate_policy policy = {0};
    for (size_t i = 0; i < sizeof(offers) / sizeof(offers[0]); i++) {
        twt_link_open_client(&link_one, twt_dial(server_port), offers[i], &policy);
        for (size_t k = 0; k < 3 * sizeof(sizes) / sizeof(sizes[0]); k++) {
            size_t len = sizes[k % (sizeof(sizes) / sizeof(sizes[0]))];
            fill_text(big, len, k % 5);
            twt_link_send_message(&link_one, TWI_WS_TEXT, big, len, k % 3 == 0 ? 0 : k % 3 == 1 ? 256 : 37);
            twt_link_expect_message(&link_one, TWI_WS_TEXT, big, len);
        }
        finish(&link_one);
    }
}

static void plain_messages_on_a_compressed_connection(void **state)
{
    (void)state;
    const twi_ws_deflate_policy policy = {0};
    twt_link_open_client(&link_one, twt_dial(server_port), "permessage-deflate", &policy);
    twt_link_send_frame(&link_one, TEXT, "plain", 5);
    twt_link_expect_message(&link_one, TWI_WS_TEXT, "plain", 5);
    /* RFC 7692 section 7.2.3.1 in two frames, and a ping between them */
    twt_link_send_frame(&link_one, TWI_WS_TEXT | RSV1, "\xf2\x48\xcd", 3);
    twt_link_send_frame(&link_one, FIN | 9, "", 0);
    twt_link_send_frame(&link_one, FIN, "\xc9\xc9\x07\x00", 4);
    assert_int_equal(twt_link_receive(&link_one), TWI_WS_PONG);
    twt_link_expect_message(&link_one, TWI_WS_TEXT, "Hello", 5);
    /* RSV1 on a continuation */
    twt_link_send_frame(&link_one, 1, "x", 1);
    twt_link_send_frame(&link_one, FIN | RSV1, "x", 1);
    twt_link_expect_close(&link_one, 1002);
    twt_link_close(&link_one);
}

static void bad_compressed_messages(void **state)
{
    (void)state;
    const twi_ws_deflate_policy policy = {0};
    static const struct {
        const char *payload;
        size_t len;
        uint16_t code;
    } cases[] = {
        {"\xff\xff\xff\xff", 4, 1007},                     /* no block is of type 3 */
        {"\xf2\x48\xcd\xc9", 4, 1007},                     /* ends inside of a block */
        {"\x00\x03\x00\xfc\xff\xed\xa0\x80\x00", 9, 1007}, /* stored bytes that are not UTF-8 */
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        twt_link_open_client(&link_one, twt_dial(server_port), "permessage-deflate", &policy);
        twt_link_send_frame(&link_one, TEXT | RSV1, cases[i].payload, cases[i].len);
        twt_link_expect_close(&link_one, cases[i].code);
        twt_link_close(&link_one);
    }
    /* 16 MiB of zeros are welcome, one byte more is not. */
    twt_link_open_client(&link_one, twt_dial(server_port), "permessage-deflate", &policy);
    memset(big, 0, sizeof(big));
    twt_link_send_message(&link_one, TWI_WS_BINARY, big, MESSAGE_BYTES_MAX, 0);
    twt_link_expect_message(&link_one, TWI_WS_BINARY, big, MESSAGE_BYTES_MAX);
    /* Bytes that do not compress are longer on the wire, and welcome as well. */
    uint64_t seed = 3;
    for (size_t i = 0; i < MESSAGE_BYTES_MAX; i++)
        big[i] = (uint8_t)twt_random(&seed);
    twt_link_send_message(&link_one, TWI_WS_BINARY, big, MESSAGE_BYTES_MAX, 0);
    assert_true(link_one.packed.len > MESSAGE_BYTES_MAX);
    twt_link_expect_message(&link_one, TWI_WS_BINARY, big, MESSAGE_BYTES_MAX);
    memset(big, 0, sizeof(big));
    twt_link_send_message(&link_one, TWI_WS_BINARY, big, MESSAGE_BYTES_MAX + 1, 0);
    twt_link_expect_close(&link_one, 1009);
    twt_link_close(&link_one);
}

/* ---- pressure ---- */

/* Sends until nothing is taken any more for a while. Returns the bytes taken. */
static size_t send_until_stuck(twt_link *link, const uint8_t *bytes, size_t len)
{
    enum { STUCK_MS = 1000 };
    size_t taken = 0;
    int flags = fcntl(link->fd, F_GETFL);
    fcntl(link->fd, F_SETFL, flags | O_NONBLOCK);
    struct pollfd wait = {.fd = link->fd, .events = POLLOUT};
    while (taken < len && poll(&wait, 1, STUCK_MS) == 1) {
        ssize_t sent = send(link->fd, bytes + taken, len - taken, MSG_NOSIGNAL);
        taken += sent > 0 ? (size_t)sent : 0;
    }
    fcntl(link->fd, F_SETFL, flags);
    return taken;
}

static void a_client_that_does_not_read_is_not_read(void **state)
{
    (void)state;
    enum { MESSAGE_BYTES = 50000, MESSAGES = 4000, FRAME_BYTES = MESSAGE_BYTES + 8, GROWTH_KIB_MAX = 40 << 10 };
    twt_link_open_client(&link_one, twt_dial(server_port), NULL, NULL);
    twt_link_open_client(&link_two, twt_dial(server_port), NULL, NULL);
    uint8_t *wire = malloc((size_t)MESSAGES * FRAME_BYTES);
    assert_non_null(wire);
    size_t wire_len = 0;
    fill_text(big, MESSAGE_BYTES, 5);
    for (int i = 0; i < MESSAGES; i++) {
        memcpy(big, &i, sizeof(i));
        wire_len += twt_link_frame(&link_one, wire + wire_len, BINARY, big, MESSAGE_BYTES);
    }
    long kib_before = twt_child_resident_kib(&server);
    size_t taken = send_until_stuck(&link_one, wire, wire_len);
    assert_true(taken < wire_len);
    assert_true(twt_child_resident_kib(&server) - kib_before < GROWTH_KIB_MAX);
    finish(&link_two); /* nobody else notices */
    /* As soon as it reads, everything comes, in order; the rest goes out while the echo comes in. */
    int flags = fcntl(link_one.fd, F_GETFL);
    for (int i = 0; i < MESSAGES; i++) {
        fcntl(link_one.fd, F_SETFL, flags | O_NONBLOCK);
        ssize_t sent = taken < wire_len ? send(link_one.fd, wire + taken, wire_len - taken, MSG_NOSIGNAL) : 0;
        fcntl(link_one.fd, F_SETFL, flags);
        taken += sent > 0 ? (size_t)sent : 0;
        memcpy(big, &i, sizeof(i));
        twt_link_expect_message(&link_one, TWI_WS_BINARY, big, MESSAGE_BYTES);
    }
    assert_int_equal(taken, wire_len);
    free(wire);
    finish(&link_one);
}

/* ---- handshakes and resources ---- */

static void expect_status(const char *request, size_t len, uint16_t status)
{
    static uint8_t text[4096];
    int fd = twt_dial(server_port);
    assert_int_equal(send(fd, request, len, MSG_NOSIGNAL), len);
    size_t got = 0;
    ssize_t part;
    while (got < sizeof(text) && (part = recv(fd, text + got, sizeof(text) - got, 0)) > 0)
        got += (size_t)part;
    static twi_http_response response;
    assert_int_equal(twi_http_response_parse(text, got, 0, NULL, &response), TW_OK);
    assert_int_equal(response.status, status);
    close(fd);
}

#define UPGRADE "GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"

static void hostile_handshakes(void **state)
{
    (void)state;
    static const struct {
        const char *request;
        uint16_t status;
    } cases[] = {
        {"GET / HTTP/1.1\r\nHost: a\r\n\r\n", 426},
        {UPGRADE "Sec-WebSocket-Version: 13\r\n\r\n", 400},
        {UPGRADE "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 8\r\n\r\n", 426},
        {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", 400},
        {"GET / HTTP/3.0\r\n", 505},
        {"\x16\x03\x01\x02\x00", 400},
        {"garbage\n", 400},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        expect_status(cases[i].request, strlen(cases[i].request), cases[i].status);
    static char huge[20000];
    memset(huge, 'a', sizeof(huge));
    memcpy(huge, "GET /", 5);
    expect_status(huge, sizeof(huge), 414);
}

static void nothing_is_left_behind(void **state)
{
    (void)state;
    int before = twt_child_descriptors(&server);
    static const char half[] = UPGRADE "Sec-WebSocket-Key: AAAA";
    for (int i = 0; i < 300; i++) {
        int fd = twt_dial(server_port);
        size_t len = (size_t)i % sizeof(half);
        assert_int_equal(send(fd, half, len, MSG_NOSIGNAL), len);
        if (i % 3 == 0) { /* a reset instead of an end */
            const struct linger reset = {.l_onoff = 1};
            setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
        }
        close(fd);
        twt_link *link = open_link();
        if (i % 2 == 0) {
            twt_link_send_frame(link, 1, "unfinished", 10);
            twt_link_close(link);
        } else {
            finish(link);
        }
    }
    /* The server takes connections in turn: once it has served this one, it has seen the ends of the others. The last
     * of them, this one among them, may still be going. */
    finish(open_link());
    int64_t deadline_ns = twi_monotonic_ns() + PATIENCE_NS;
    int after = twt_child_descriptors(&server);
    while (after > before && twi_monotonic_ns() < deadline_ns) {
        poll(NULL, 0, 10);
        after = twt_child_descriptors(&server);
    }
    assert_true(after <= before);
}

static void stopping_says_goodbye(void **state)
{
    (void)state;
    twt_link *link = open_link();
    twt_link_send_message(link, TWI_WS_TEXT, "last", 4, 0);
    twt_link_expect_message(link, TWI_WS_TEXT, "last", 4);
    kill(server.pid, SIGTERM);
    assert_int_equal(twt_link_receive(link), TWI_WS_CLOSE);
    assert_int_equal(link->reader.close_code, 1001);
    twt_link_send_frame(link, CLOSE, "\x03\xe9", 2);
    assert_int_equal(twt_link_receive(link), TWT_LINK_END);
    twt_link_close(link);
    assert_int_equal(twt_child_end(&server, 0), 0);
}

int main(int argc, char **argv)
{
    if (argc != 3) {
        fprintf(stderr, "usage: %s PATH_TO_WS_ECHO LOOP\n", argv[0]);
        return 2;
    }
    const char *const command[] = {argv[1], "--port", "0", "--loop", argv[2], NULL};
    char line[256];
    signal(SIGPIPE, SIG_IGN);
    server = twt_child_start(command);
    if (twt_child_line(&server, "listening on", line, sizeof(line)) != 0) {
        printf("ws_echo does not run with --loop %s here\n", argv[2]);
        return 77;
    }
    server_port = (uint16_t)strtoul(strrchr(line, ' '), NULL, 10);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(messages_of_all_sizes),
        cmocka_unit_test(bytes_one_at_a_time),
        cmocka_unit_test(fragments_up_to_the_limit),
        cmocka_unit_test(pings_and_pongs),
        cmocka_unit_test(each_rule_broken_once),
        cmocka_unit_test(broken_headers),
        cmocka_unit_test(more_fragments_than_allowed),
        cmocka_unit_test(close_codes_come_back),
        cmocka_unit_test(nothing_counts_after_close),
        cmocka_unit_test(compression_with_all_parameters),
        cmocka_unit_test(plain_messages_on_a_compressed_connection),
        cmocka_unit_test(bad_compressed_messages),
        cmocka_unit_test(a_client_that_does_not_read_is_not_read),
        cmocka_unit_test(hostile_handshakes),
        cmocka_unit_test(nothing_is_left_behind),
        cmocka_unit_test(stopping_says_goodbye),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    if (failed != 0)
        kill(server.pid, SIGKILL);
    return failed;
}
