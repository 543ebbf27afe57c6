/* subscriber_endings_test.c - the client library against servers that close, break, refuse, stall or are not there. */
#include "tests/unit/subscriber_rig.h"

/* ---- endings ---- */

static void comes_back_and_asks_again(void **state)
{
    (void)state;
    rig r;
    rig_open(&r);
    open_at(&r, ACK(10));
    twt_send_text(conn(&r), TRADE(11));
    UNTIL(&r, r.seen.message_count == 1);
    twt_hang_up(conn(&r));
    UNTIL(&r, r.server->conn_count == 2 && conn(&r)->text_count == 1);
    assert_int_equal(r.seen.status, TW_CLOSED);
    twt_send_text(conn(&r), ACK(15));
    twt_send_text(conn(&r), TRADE(16));
    UNTIL(&r, r.seen.message_count == 2);
    tw_client_stats s = stats(&r);
    assert_int_equal(s.reconnects, 1);
    assert_int_equal(s.closes, 1);
    assert_int_equal(s.missed_while_down, 4);
    assert_int_equal(s.gaps, 0);
    assert_int_equal(errors_named(&r, "hung_up"), 1);
    rig_close(&r);
}

static void another_epoch_counts_anew(void **state)
{
    (void)state;
    rig r;
    rig_open(&r);
    open_at(&r, ACK(1000));
    twt_send_text(conn(&r), TRADE(1001));
    UNTIL(&r, r.seen.message_count == 1);
    r.server->epoch = "e2";
    twt_hang_up(conn(&r));
    UNTIL(&r, r.server->conn_count == 2 && conn(&r)->text_count == 1);
    twt_send_text(conn(&r), ACK(3));
    twt_send_text(conn(&r), TRADE(4));
    UNTIL(&r, r.seen.message_count == 2);
    assert_int_equal(stats(&r).missed_while_down, 0);
    assert_int_equal(stats(&r).duplicates, 0);
    assert_int_equal(last_message(&r)->verdict, TW_SEQUENCE_FIRST);
    rig_close(&r);
}

static void close_codes(void **state)
{
    static const struct {
        uint16_t code;
        bool back;
        tw_status status;
        const char *error;
    } cases[] = {{1000, true, TW_CLOSED, NULL},
                 {4001, true, TW_CLOSED, "close_4001"},
                 {4002, true, TW_SLOW_CONSUMER, "close_4002"},
                 {4500, false, TW_CLOSED, "close_4500"}};
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        rig r;
        rig_open(&r);
        open_at(&r, ACK(1));
        twt_conn *first = conn(&r);
        twt_send_close(first, cases[i].code, "because");
        UNTIL(&r, first->close_code == cases[i].code);
        twt_hang_up(first);
        if (cases[i].back)
            UNTIL(&r, r.server->conn_count == 2 && conn(&r)->text_count == 1);
        else
            UNTIL(&r, tw_client_get_state(r.client) == TW_CLIENT_CLOSED);
        assert_int_equal(r.seen.status, cases[i].status);
        assert_non_null(strstr(r.seen.reason, "because"));
        assert_int_equal(stats(&r).errors, cases[i].error ? 1 : 0);
        if (cases[i].error)
            assert_int_equal(errors_named(&r, cases[i].error), 1);
        rig_close(&r);
    }
}

static void bye_without_return(void **state)
{
    (void)state;
    rig r;
    rig_open(&r);
    open_at(&r, ACK(1));
    twt_send_text(conn(&r), "{\"op\":\"bye\",\"code\":4501,\"reason\":\"bad requests\",\"reconnect\":false}");
    UNTIL(&r, r.seen.control.op == TW_CONTROL_BYE);
    assert_int_equal(r.seen.control.code, 4501);
    assert_string_equal(r.seen.control_name, "bad requests");
    twt_hang_up(conn(&r));
    UNTIL(&r, tw_client_get_state(r.client) == TW_CLIENT_CLOSED);
    rig_close(&r);
}

static void closes_when_asked(void **state)
{
    (void)state;
    rig r;
    rig_open(&r);
    open_at(&r, ACK(1));
    tw_client_close(r.client);
    tw_client_close(r.client);
    assert_int_equal(tw_client_get_state(r.client), TW_CLIENT_CLOSING);
    UNTIL(&r, conn(&r)->close_code == 1000);
    twt_send_close(conn(&r), 1000, NULL);
    twt_hang_up(conn(&r));
    UNTIL(&r, tw_client_get_state(r.client) == TW_CLIENT_CLOSED);
    assert_int_equal(stats(&r).errors + stats(&r).closes, 0);
    assert_int_equal(tw_client_send(r.client, "{}", 2), TW_CLOSED);
    rig_close(&r);
}

/* The server never hangs up: the client does, after a second. */
static void closes_in_a_callback_and_alone(void **state)
{
    (void)state;
    rig r;
    rig_open(&r);
    open_at(&r, ACK(1));
    r.seen.close_on_message = true;
    twt_send_text(conn(&r), TRADE(2));
    twt_send_text(conn(&r), TRADE(3));
    UNTIL(&r, tw_client_get_state(r.client) == TW_CLIENT_CLOSED);
    assert_int_equal(r.seen.message_count, 1);
    rig_close(&r);
}

static void closes_before_it_is_connected(void **state)
{
    (void)state;
    rig r;
    rig_open(&r);
    tw_client_close(r.client);
    UNTIL(&r, tw_client_get_state(r.client) == TW_CLIENT_CLOSED);
    client_open(&r, (tw_client_options){0});
    tw_client_pool_poll(r.pool, 0); /* dials */
    tw_client_close(r.client);
    UNTIL(&r, tw_client_get_state(r.client) == TW_CLIENT_CLOSED);
    rig_close(&r);
}

static void one_end_is_enough(void **state)
{
    (void)state;
    rig r;
    server_open(&r);
    tw_client_pool_options options = pool_options(&r);
    pool_open(&r, &options);
    client_open(&r, (tw_client_options){.no_reconnect = 1});
    UNTIL(&r, r.server->conn_count > 0 && conn(&r)->text_count == 1);
    twt_hang_up(conn(&r));
    UNTIL(&r, tw_client_get_state(r.client) == TW_CLIENT_CLOSED);
    rig_close(&r);
}

/* ---- broken servers ---- */

static void protocol_errors_close(void **state)
{
    static const struct {
        const char *bytes;
        size_t len;
        uint16_t code;
        const char *error;
    } cases[] = {{"\x81\x85mask12345", 11, 1002, "protocol_error"},
                 {"\x83\x01x", 3, 1002, "protocol_error"},
                 {"\xC1\x01x", 3, 1002, "protocol_error"},
                 {"\x81\x02\xC3\x28", 4, 1007, "protocol_error"},
                 {"\x81\x7e\x00\x05xxxxx", 9, 1002, "protocol_error"},
                 {"\x81\x7f\x00\x00\x00\x7f\x00\x00\x00\x00", 10, 1009, "message_too_big"},
                 {"\x81\x7e\xff\xff", 4, 1009, "message_too_big"}};
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        rig r;
        server_open(&r);
        tw_client_pool_options options = pool_options(&r);
        options.message_bytes_max = 65534;
        pool_open(&r, &options);
        client_open(&r, (tw_client_options){0});
        open_at(&r, ACK(1));
        twt_conn *first = conn(&r);
        twt_send_raw(first, cases[i].bytes, cases[i].len);
        UNTIL(&r, first->close_code != 0);
        assert_int_equal(first->close_code, cases[i].code);
        twt_hang_up(first);
        UNTIL(&r, r.server->conn_count == 2);
        assert_int_equal(errors_named(&r, cases[i].error), 1);
        assert_int_equal(stats(&r).errors, 1);
        rig_close(&r);
    }
}

static void refused_upgrades(void **state)
{
    static const struct {
        const char *answer;
        bool back;
        const char *error;
    } cases[] = {{"HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n", false, "upgrade_401"},
                 {"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n", true, "upgrade_503"},
                 {"HTTP/1.1 429 Too Many Requests\r\nContent-Length: 0\r\n\r\n", true, "upgrade_429"},
                 {"SSH-2.0-OpenSSH\r\n\r\n", true, "upgrade_malformed"},
                 {"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                  "Sec-WebSocket-Accept: AAAAAAAAAAAAAAAAAAAAAAAAAAA=\r\n\r\n",
                  true, "upgrade_malformed"}};
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        rig r;
        server_open(&r);
        r.server->refusal = cases[i].answer;
        tw_client_pool_options options = pool_options(&r);
        pool_open(&r, &options);
        client_open(&r, (tw_client_options){0});
        if (cases[i].back)
            UNTIL(&r, r.server->conn_count >= 3);
        else
            UNTIL(&r, tw_client_get_state(r.client) == TW_CLIENT_CLOSED);
        assert_true(errors_named(&r, cases[i].error) >= 1);
        assert_true(stats(&r).dial_failures >= 1);
        assert_int_equal(stats(&r).opens, 0);
        rig_close(&r);
    }
}

static void a_silent_server_times_out(void **state)
{
    (void)state;
    rig r;
    server_open(&r);
    r.server->silent = true;
    tw_client_pool_options options = pool_options(&r);
    options.handshake_timeout_ns = 20 * NS_PER_MS;
    pool_open(&r, &options);
    client_open(&r, (tw_client_options){0});
    UNTIL(&r, errors_named(&r, "handshake_timeout") >= 2);
    r.server->silent = false;
    UNTIL(&r, tw_client_get_state(r.client) == TW_CLIENT_OPEN);
    rig_close(&r);
}

static void silence_on_an_open_connection(void **state)
{
    (void)state;
    rig r;
    server_open(&r);
    tw_client_pool_options options = pool_options(&r);
    options.silence_timeout_ns = 20 * NS_PER_MS;
    pool_open(&r, &options);
    client_open(&r, (tw_client_options){0});
    UNTIL(&r, errors_named(&r, "silence") >= 1 && r.server->conn_count >= 2);
    assert_int_equal(r.seen.status == TW_TIMEOUT || r.seen.status == TW_OK, 1);
    rig_close(&r);
}

static void nobody_there(void **state)
{
    (void)state;
    rig r;
    server_open(&r);
    char url[64];
    twt_server *gone = twt_server_open(loop_name, "127.0.0.1");
    snprintf(url, sizeof url, "ws://127.0.0.1:%u/", gone->port);
    twt_server_close(gone);
    tw_client_pool_options options = pool_options(&r);
    pool_open(&r, &options);
    client_open(&r, (tw_client_options){.url = url});
    UNTIL(&r, stats(&r).dial_failures >= 3);
    assert_int_equal(errors_named(&r, "refused"), stats(&r).dial_failures);
    rig_close(&r);
}

/* Backing off: with 1 ms doubling to 8 ms, a hundred dials take at least about 400 ms of the loop's clock. */
static void backoff_grows(void **state)
{
    (void)state;
    rig r;
    server_open(&r);
    r.server->refusal = "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n";
    tw_client_pool_options options = pool_options(&r);
    options.backoff_min_ns = 4 * NS_PER_MS;
    options.backoff_max_ns = 64 * NS_PER_MS;
    pool_open(&r, &options);
    client_open(&r, (tw_client_options){0});
    int64_t begin_ns = twi_monotonic_ns();
    UNTIL(&r, stats(&r).dials == 6); /* waits of 4, 8, 16, 32 and 64 ms, half of each is certain */
    assert_true(twi_monotonic_ns() - begin_ns >= 62 * NS_PER_MS);
    rig_close(&r);
}

static void pause_stops_reading(void **state)
{
    (void)state;
    rig r;
    rig_open(&r);
    open_at(&r, ACK(1));
    tw_client_pause(r.client);
    for (int i = 0; i < 50; i++)
        step(&r);
    twt_send_text(conn(&r), TRADE(2));
    for (int i = 0; i < 50; i++)
        step(&r);
    assert_int_equal(r.seen.message_count, 0);
    tw_client_resume(r.client);
    UNTIL(&r, r.seen.message_count == 1);
    tw_client_pause(r.client);
    tw_client_resume(r.client); /* before the loop noticed */
    twt_send_text(conn(&r), TRADE(3));
    UNTIL(&r, r.seen.message_count == 2);
    rig_close(&r);
}

static void dials_are_paced(void **state)
{
    (void)state;
    rig r;
    server_open(&r);
    tw_client_pool_options options = pool_options(&r);
    options.dials_per_second = 200;
    pool_open(&r, &options);
    int64_t begin_ns = twi_monotonic_ns();
    for (int i = 0; i < 11; i++)
        client_open(&r, (tw_client_options){0});
    UNTIL(&r, tw_client_pool_count(r.pool, TW_CLIENT_OPEN) == 11);
    assert_true(twi_monotonic_ns() - begin_ns >= 49 * NS_PER_MS);
    rig_close(&r);
}

static void arguments_are_checked(void **state)
{
    (void)state;
    rig r;
    char error[256];
    server_open(&r);
    tw_client_pool_options options = pool_options(&r);
    options.client_count_max = 0;
    tw_client_pool *pool;
    assert_int_equal(tw_client_pool_open(&options, &pool, error, sizeof error), TW_BAD_ARGUMENT);
    options = pool_options(&r);
    options.loop = "nonsense";
    assert_int_not_equal(tw_client_pool_open(&options, &pool, error, sizeof error), TW_OK);
    options = pool_options(&r);
    options.client_count_max = 1;
    pool_open(&r, &options);
    tw_client *client;
    tw_client_options to = {.url = "http://x"};
    assert_int_equal(tw_client_open(r.pool, &to, &client, error, sizeof error), TW_BAD_ARGUMENT);
    to = (tw_client_options){.url = r.url, .codec = "xml"};
    assert_int_equal(tw_client_open(r.pool, &to, &client, error, sizeof error), TW_NOT_SUPPORTED);
    to = (tw_client_options){.url = r.url, .token = "a b"};
    assert_int_equal(tw_client_open(r.pool, &to, &client, error, sizeof error), TW_BAD_ARGUMENT);
    client_open(&r, (tw_client_options){0});
    to = (tw_client_options){.url = r.url};
    assert_int_equal(tw_client_open(r.pool, &to, &client, error, sizeof error), TW_FULL);
    rig_close(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(comes_back_and_asks_again),
        cmocka_unit_test(another_epoch_counts_anew),
        cmocka_unit_test(close_codes),
        cmocka_unit_test(bye_without_return),
        cmocka_unit_test(closes_when_asked),
        cmocka_unit_test(closes_in_a_callback_and_alone),
        cmocka_unit_test(closes_before_it_is_connected),
        cmocka_unit_test(one_end_is_enough),
        cmocka_unit_test(protocol_errors_close),
        cmocka_unit_test(refused_upgrades),
        cmocka_unit_test(a_silent_server_times_out),
        cmocka_unit_test(silence_on_an_open_connection),
        cmocka_unit_test(nobody_there),
        cmocka_unit_test(backoff_grows),
        cmocka_unit_test(pause_stops_reading),
        cmocka_unit_test(dials_are_paced),
        cmocka_unit_test(arguments_are_checked),
    };
    int failures = 0;
    while (next_loop())
        failures += cmocka_run_group_tests_name(loop_name, tests, NULL, NULL);
    return failures;
}
