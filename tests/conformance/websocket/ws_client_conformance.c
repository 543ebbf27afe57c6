/* ws_client_conformance.c - the echo client over real sockets: this test is the fuzzing server that it talks to, and
 * the client must hold the rules of its role as well as the server does.
 * Usage: ws_client_conformance PATH_TO_WS_ECHO_CLIENT LOOP. Exit 77: this machine cannot run that loop. */
#include <signal.h>
#include <sys/socket.h>

#include "tests/conformance/websocket/child.h"
#include "tests/conformance/websocket/link.h"
#include "tests/conformance/websocket/rules.h"

enum { MESSAGE_BYTES_MAX = 16 << 20 };

static twt_child client;
static int listener;
static twt_link link_end;
static uint8_t big[MESSAGE_BYTES_MAX + 1];

/* The cases in the order in which the client asks for them. */
enum {
    CASE_SIZES = 1,
    CASE_FRAGMENTS,
    CASE_PINGS,
    CASE_MASKED,
    CASE_TOO_BIG,
    CASE_CLOSE_WITHOUT_CODE,
    CASE_CLOSE_WITH_REASON,
    CASE_WRONG_ACCEPT,
    CASE_UNASKED_EXTENSION,
    CASE_UNASKED_PARAMETER,
    CASE_HTTP_ERROR,
    CASE_DEFLATE,
    CASE_RULES = CASE_DEFLATE + 5,
    CASE_COUNT = CASE_RULES + BROKEN_RULES - 1
};

static twt_link *open_case(int number, const twi_ws_deflate_policy *policy)
{
    char target[64];
    snprintf(target, sizeof(target), "/runCase?case=%d&agent=tickwire", number);
    twt_link_open_server(&link_end, twt_accept(listener), policy);
    assert_true(twi_slice_equals(link_end.request.target, target));
    return &link_end;
}

static void finish(twt_link *link)
{
    twt_link_send_frame(link, CLOSE, "\x03\xe8", 2);
    assert_int_equal(twt_link_receive(link), TWI_WS_CLOSE);
    assert_int_equal(link->reader.close_code, 1000);
    twt_link_close(link); /* the server ends the connection */
}

static void fill_text(uint8_t *out, size_t len, uint64_t seed)
{
    for (size_t i = 0; i < len; i++)
        out[i] = (uint8_t)(' ' + twt_random(&seed) % 64);
}

static void the_count_is_asked_for(void **state)
{
    (void)state;
    char text[16];
    twt_link_open_server(&link_end, twt_accept(listener), NULL);
    assert_true(twi_slice_equals(link_end.request.target, "/getCaseCount"));
    int len = snprintf(text, sizeof(text), "%d", CASE_COUNT);
    twt_link_send_message(&link_end, TWI_WS_TEXT, text, (size_t)len, 0);
    finish(&link_end);
}

static void messages_of_all_sizes(void **state)
{
    (void)state;
    static const size_t sizes[] = {0, 1, 125, 126, 127, 65535, 65536, 1 << 20, MESSAGE_BYTES_MAX};
    twt_link *link = open_case(CASE_SIZES, NULL);
    fill_text(big, sizeof(big), 1);
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        twt_link_send_message(link, TWI_WS_TEXT, big, sizes[i], 0);
        twt_link_expect_message(link, TWI_WS_TEXT, big, sizes[i]);
    }
    finish(link);
}

static void fragments(void **state)
{
    (void)state;
    twt_link *link = open_case(CASE_FRAGMENTS, NULL);
    twt_link_send_message(link, TWI_WS_BINARY, big, 65536, 1);
    twt_link_expect_message(link, TWI_WS_BINARY, big, 65536);
    finish(link);
}

static void pings(void **state)
{
    (void)state;
    twt_link *link = open_case(CASE_PINGS, NULL);
    twt_link_send_frame(link, 1, "one ", 4);
    twt_link_send_frame(link, FIN | 9, big, 125);
    twt_link_send_frame(link, FIN | 10, "unasked", 7);
    twt_link_send_frame(link, FIN, "two", 3);
    assert_int_equal(twt_link_receive(link), TWI_WS_PONG);
    assert_memory_equal(link->control.payload, big, 125);
    twt_link_expect_message(link, TWI_WS_TEXT, "one two", 7);
    finish(link);
}

static void a_masked_frame_is_refused(void **state)
{
    (void)state;
    twt_link *link = open_case(CASE_MASKED, NULL);
    twt_link_send_bytes(link, "\x81\x81\x00\x00\x00\x00x", 7);
    twt_link_expect_close(link, 1002);
    twt_link_close(link);
}

static void a_message_over_the_limit_is_refused(void **state)
{
    (void)state;
    twt_link *link = open_case(CASE_TOO_BIG, NULL);
    twt_link_send_bytes(link, "\x82\x7f\0\0\0\0\x01\0\0\x01", 10);
    twt_link_expect_close(link, 1009);
    twt_link_close(link);
}

/* The answer to a close frame is one with the same code; then the client waits for us to end the connection. */
static void close_is_answered(void **state)
{
    (void)state;
    twt_link *link = open_case(CASE_CLOSE_WITHOUT_CODE, NULL);
    twt_link_send_frame(link, CLOSE, "", 0);
    assert_int_equal(twt_link_receive(link), TWI_WS_CLOSE);
    assert_int_equal(link->reader.close_code, TWI_WS_CODE_NONE);
    twt_link_close(link);
    link = open_case(CASE_CLOSE_WITH_REASON, NULL);
    twt_link_send_frame(link, CLOSE, "\x0f\xa1shutdown", 10);
    assert_int_equal(twt_link_receive(link), TWI_WS_CLOSE);
    assert_int_equal(link->reader.close_code, 4001);
    twt_link_close(link);
}

/* Answers that break the opening handshake: the client ends the connection without a frame. */
static void wrong_answers_are_refused(void **state)
{
    (void)state;
    static const struct {
        int number;
        const char *answer; /* %.28s: the right accept key */
    } cases[] = {
        {CASE_WRONG_ACCEPT, "HTTP/1.1 101 x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                            "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n"},
        {CASE_UNASKED_EXTENSION, "HTTP/1.1 101 x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                                 "Sec-WebSocket-Accept: %.28s\r\nSec-WebSocket-Extensions: other\r\n\r\n"},
        {CASE_UNASKED_PARAMETER,
         "HTTP/1.1 101 x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: %.28s\r\n"
         "Sec-WebSocket-Extensions: permessage-deflate; server_max_window_bits=16\r\n\r\n"},
        {CASE_HTTP_ERROR, "HTTP/1.1 503 x\r\nContent-Length: 0\r\n\r\n"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        static uint8_t text[4096];
        static twi_http_request request;
        char answer[512];
        char accept[TWI_WS_ACCEPT_CHARS];
        int fd = twt_accept(listener);
        size_t len = 0;
        while (twi_http_request_parse(text, len, 0, NULL, &request) != TW_OK) {
            ssize_t part = recv(fd, text + len, sizeof(text) - len, 0);
            assert_true(part > 0);
            len += (size_t)part;
        }
        const twi_http_header *key = twi_http_header_find(&request.fields, "sec-websocket-key");
        twi_ws_accept_key(key->value.data, key->value.len, accept);
        const char *place = strstr(cases[i].answer, "%.28s");
        if (place != NULL) {
            int before = (int)(place - cases[i].answer);
            snprintf(answer, sizeof(answer), "%.*s%.28s%s", before, cases[i].answer, accept, place + strlen("%.28s"));
        } else {
            snprintf(answer, sizeof(answer), "%s", cases[i].answer);
        }
        assert_int_equal(send(fd, answer, strlen(answer), MSG_NOSIGNAL), strlen(answer));
        assert_int_equal(recv(fd, text, sizeof(text), 0), 0);
        close(fd);
    }
}

static void compression_with_all_parameters(void **state)
{
    (void)state;
    static const twi_ws_deflate_policy policies[CASE_RULES - CASE_DEFLATE] = {
        {0},
        {.own_no_context_takeover = true},
        {.peer_no_context_takeover = true},
        {.own_window_bits_max = 9, .peer_window_bits_max = 9},
        {.own_window_bits_max = 8, .peer_window_bits_max = 8, .peer_no_context_takeover = true},
    };
    static const size_t sizes[] = {0, 16, 256, 0, 4096, 65536, 131072, 1};
    for (int i = 0; i < CASE_RULES - CASE_DEFLATE; i++) {
        twt_link *link = open_case(CASE_DEFLATE + i, &policies[i]);
        for (size_t k = 0; k < 3 * sizeof(sizes) / sizeof(sizes[0]); k++) {
            size_t len = sizes[k % (sizeof(sizes) / sizeof(sizes[0]))];
            fill_text(big, len, k % 5);
            twt_link_send_message(link, TWI_WS_TEXT, big, len, k % 2 == 0 ? 0 : 256);
            twt_link_expect_message(link, TWI_WS_TEXT, big, len);
        }
        finish(link);
    }
}

static void each_rule_broken_once(void **state)
{
    (void)state;
    for (int i = 0; i < BROKEN_RULES; i++) {
        twt_link *link = open_case(CASE_RULES + i, NULL);
        twt_break_rule(link, &broken_rules[i]);
        twt_link_close(link);
    }
}

static void the_reports_are_asked_for(void **state)
{
    (void)state;
    twt_link_open_server(&link_end, twt_accept(listener), NULL);
    assert_true(twi_slice_equals(link_end.request.target, "/updateReports?agent=tickwire"));
    finish(&link_end);
    assert_int_equal(twt_child_end(&client, 0), 0);
}

int main(int argc, char **argv)
{
    if (argc != 3) {
        fprintf(stderr, "usage: %s PATH_TO_WS_ECHO_CLIENT LOOP\n", argv[0]);
        return 2;
    }
    uint16_t port;
    char port_text[8], line[256];
    listener = twt_listen(&port);
    snprintf(port_text, sizeof(port_text), "%u", (unsigned)port);
    const char *const command[] = {argv[1], "--port", port_text, "--loop", argv[2], NULL};
    signal(SIGPIPE, SIG_IGN);
    client = twt_child_start(command);
    if (twt_child_line(&client, "loop:", line, sizeof(line)) != 0) {
        printf("ws_echo_client does not run with --loop %s here\n", argv[2]);
        return 77;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_count_is_asked_for),
        cmocka_unit_test(messages_of_all_sizes),
        cmocka_unit_test(fragments),
        cmocka_unit_test(pings),
        cmocka_unit_test(a_masked_frame_is_refused),
        cmocka_unit_test(a_message_over_the_limit_is_refused),
        cmocka_unit_test(close_is_answered),
        cmocka_unit_test(wrong_answers_are_refused),
        cmocka_unit_test(compression_with_all_parameters),
        cmocka_unit_test(each_rule_broken_once),
        cmocka_unit_test(the_reports_are_asked_for),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    if (failed != 0)
        kill(client.pid, SIGKILL);
    return failed;
}
