/* subscriber_pool_test.c - the client library and a server that does what it should: subscribing, order, control. */
#include "tests/unit/subscriber_rig.h"

/* ---- the good way ---- */

static void subscribes_and_decodes(void **state)
{
    (void)state;
    rig r;
    rig_open(&r);
    open_at(&r, ACK(4711));
    assert_string_equal(conn(&r)->texts[0],
                        "{\"op\":\"subscribe\",\"id\":1,\"channels\":[\"trade\"],\"symbols\":[\"sim:A/B\"]}");
    assert_string_equal(conn(&r)->target, "/v1/stream");
    assert_string_equal(r.seen.epoch, "e1");
    twt_send_text(conn(&r), TRADE(4712));
    UNTIL(&r, r.seen.message_count == 1);
    const tw_message *m = last_message(&r);
    assert_int_equal(m->seq, 4712);
    assert_int_equal(m->prev_seq, 4711);
    assert_int_equal(m->verdict, TW_SEQUENCE_FIRST);
    assert_int_equal(m->kind, TW_EVENT_TRADE);
    assert_int_equal(m->recv_ns, INT64_C(1700000000123456789));
    assert_int_equal(m->publish_ns, INT64_C(1700000000123460000));
    assert_true(m->arrival_ns > m->publish_ns);
    assert_int_equal(r.seen.event.kind, TW_EVENT_TRADE);
    assert_int_equal(r.seen.event.u.trade.price, 6400010);
    assert_int_equal(r.seen.event.price_exponent, -2);
    const tw_topic *topic = tw_client_pool_topic(r.pool, m->topic);
    assert_string_equal(topic->exchange, "sim");
    assert_string_equal(topic->symbol, "A/B");
    assert_int_equal(topic->channel, TW_CHANNEL_TRADE);
    static const tw_client_state way[] = {TW_CLIENT_CONNECTING, TW_CLIENT_HANDSHAKE, TW_CLIENT_OPEN, TW_CLIENT_READY};
    assert_memory_equal(r.seen.states, way, sizeof way);
    assert_int_equal(stats(&r).errors, 0);
    rig_close(&r);
}

static void scans_without_decoding(void **state)
{
    (void)state;
    rig r;
    server_open(&r);
    tw_client_pool_options options = pool_options(&r);
    options.decode = TW_CLIENT_DECODE_SCAN;
    pool_open(&r, &options);
    client_open(&r, (tw_client_options){0});
    open_at(&r, ACK(1));
    twt_send_text(conn(&r), TRADE(2));
    twt_send_text(conn(&r), TRADE(3));
    UNTIL(&r, r.seen.message_count == 2);
    assert_null(last_message(&r)->record);
    assert_int_equal(last_message(&r)->seq, 3);
    assert_int_equal(last_message(&r)->verdict, TW_SEQUENCE_NEXT);
    assert_int_equal(stats(&r).payload_bytes, 2 * strlen(TRADE(2)));
    assert_int_equal(tw_client_message_count(r.client), 2);
    rig_close(&r);
}

static void subscription_options_are_said(void **state)
{
    (void)state;
    rig r;
    server_open(&r);
    tw_client_pool_options options = pool_options(&r);
    pool_open(&r, &options);
    tw_subscription book = {.channels = "book, candle.1m",
                            .symbols = "sim:*,okx:\"X\"",
                            .policy = "conflate",
                            .interval_ns = 50 * NS_PER_MS,
                            .depth = 20};
    client_open(&r, (tw_client_options){.subscriptions = &book, .subscription_count = 1, .token = "secret"});
    UNTIL(&r, r.server->conn_count > 0 && conn(&r)->text_count == 1);
    assert_string_equal(conn(&r)->texts[0], "{\"op\":\"subscribe\",\"id\":1,\"channels\":[\"book\",\"candle.1m\"],"
                                            "\"symbols\":[\"sim:*\",\"okx:\\\"X\\\"\"],\"policy\":\"conflate\","
                                            "\"interval\":\"50ms\",\"depth\":20}");
    assert_non_null(strstr(conn(&r)->headers, "Authorization: Bearer secret\r\n"));
    assert_non_null(strstr(conn(&r)->headers, "tickwire.v1.json"));
    rig_close(&r);
}

static void subscribes_by_url(void **state)
{
    (void)state;
    rig r;
    server_open(&r);
    tw_client_pool_options options = pool_options(&r);
    pool_open(&r, &options);
    tw_subscription book = {
        .channels = "book", .symbols = "sim:*", .policy = "conflate", .interval_ns = 50 * NS_PER_MS};
    client_open(&r, (tw_client_options){.subscriptions = &book, .subscription_count = 1, .subscribe_by_url = 1});
    UNTIL(&r, r.server->conn_count > 0 && conn(&r)->open);
    assert_string_equal(conn(&r)->target, "/v1/stream?channels=book&symbols=sim:*&policy=conflate&interval=50ms");
    twt_send_text(conn(&r), TRADE(5));
    UNTIL(&r, r.seen.message_count == 1);
    assert_int_equal(tw_client_get_state(r.client), TW_CLIENT_READY);
    assert_int_equal(conn(&r)->text_count, 0);
    rig_close(&r);
}

static void works_over_a_unix_socket(void **state)
{
    (void)state;
    rig r;
    memset(&r, 0, sizeof r);
    char folder[] = "/tmp/subscriber_pool_test.XXXXXX";
    char host[128];
    assert_non_null(mkdtemp(folder));
    snprintf(host, sizeof host, "unix:%s/socket", folder);
    snprintf(r.url, sizeof r.url, "unix:%s/socket:/v1/stream", folder);
    r.server = twt_server_open(loop_name, host);
    tw_client_pool_options options = pool_options(&r);
    pool_open(&r, &options);
    client_open(&r, (tw_client_options){0});
    open_at(&r, ACK(1));
    twt_send_text(conn(&r), TRADE(2));
    UNTIL(&r, r.seen.message_count == 1);
    rig_close(&r);
    unlink(host + strlen("unix:"));
    rmdir(folder);
}

static void many_clients_in_one_pool(void **state)
{
    enum { CLIENTS = 200 };
    (void)state;
    rig r;
    server_open(&r);
    tw_client_pool_options options = pool_options(&r);
    options.dials_inflight_max = 16;
    pool_open(&r, &options);
    for (int i = 0; i < CLIENTS; i++)
        client_open(&r, (tw_client_options){0});
    UNTIL(&r, tw_client_pool_count(r.pool, TW_CLIENT_OPEN) == CLIENTS);
    for (uint32_t i = 0; i < CLIENTS; i++) {
        twt_send_text(r.server->conns[i], ACK(9));
        twt_send_text(r.server->conns[i], TRADE(10));
        twt_send_text(r.server->conns[i], TRADE(11));
    }
    UNTIL(&r, r.seen.message_count == 2 * CLIENTS);
    assert_int_equal(tw_client_pool_count(r.pool, TW_CLIENT_READY), CLIENTS);
    assert_int_equal(tw_client_pool_topic_count(r.pool), 1);
    assert_int_equal(stats(&r).gaps + stats(&r).duplicates + stats(&r).errors, 0);
    rig_close(&r);
}

/* ---- bytes as they come ---- */

/* A book snapshot of that many bids; out holds 32 bytes for each and 512 more. */
static size_t book_write(char *out, int level_count)
{
    size_t len = (size_t)snprintf(out, 512,
                                  "{\"type\":\"book\",\"exchange\":\"sim\",\"symbol\":\"A/B\",\"seq\":7,"
                                  "\"snapshot\":true,\"bids\":[");
    for (int i = 0; i < level_count; i++)
        len += (size_t)snprintf(out + len, 32, "%s[%d.5,1.25]", i ? "," : "", 100000 - i);
    return len + (size_t)snprintf(out + len, 256,
                                  "],\"asks\":[],\"timestamp\":1700000000000,\"recv_ns\":5,"
                                  "\"publish_ns\":6}");
}

static void frames_cut_at_every_byte(void **state)
{
    (void)state;
    rig r;
    rig_open(&r);
    open_at(&r, ACK(1));
    const char *texts[] = {TRADE(2), TRADE(3)};
    for (int t = 0; t < 2; t++) {
        uint8_t frame[1024];
        size_t len = strlen(texts[t]);
        size_t header = twi_ws_header_write(frame, TWI_WS_TEXT, true, false, len, NULL);
        memcpy(frame + header, texts[t], len);
        for (size_t i = 0; i < header + len; i++) {
            twt_send_raw(conn(&r), frame + i, 1);
            step(&r);
        }
    }
    UNTIL(&r, r.seen.message_count == 2);
    assert_int_equal(last_message(&r)->verdict, TW_SEQUENCE_NEXT);
    assert_int_equal(stats(&r).errors, 0);
    rig_close(&r);
}

static void fragments_with_a_ping_between(void **state)
{
    (void)state;
    rig r;
    rig_open(&r);
    open_at(&r, ACK(1));
    const char *text = TRADE(2);
    size_t len = strlen(text);
    twt_send_frame(conn(&r), TWI_WS_TEXT, false, text, 10);
    twt_send_frame(conn(&r), TWI_WS_PING, true, "x", 1);
    twt_send_frame(conn(&r), TWI_WS_CONTINUATION, false, text + 10, len - 20);
    twt_send_frame(conn(&r), TWI_WS_CONTINUATION, true, text + len - 10, 10);
    twt_send_text(conn(&r), TRADE(3));
    UNTIL(&r, r.seen.message_count == 2 && conn(&r)->pong_count == 1);
    assert_int_equal(r.seen.messages[0].seq, 2);
    assert_int_equal(r.seen.messages[0].bytes_len, len);
    rig_close(&r);
}

static void large_messages(void **state)
{
    enum { LEVELS = 6000 };
    (void)state;
    rig r;
    rig_open(&r);
    open_at(&r, ACK(1));
    char *text = malloc(LEVELS * 32 + 512);
    size_t len = book_write(text, LEVELS);
    assert_true(len > 65536);
    twt_send_text(conn(&r), text);
    UNTIL(&r, r.seen.message_count == 1);
    assert_int_equal(r.seen.event_count, LEVELS);
    assert_true(last_message(&r)->snapshot);
    assert_int_equal(stats(&r).snapshots, 1);
    free(text);
    rig_close(&r);
}

static void more_events_than_there_is_room_for(void **state)
{
    (void)state;
    rig r;
    server_open(&r);
    tw_client_pool_options options = pool_options(&r);
    options.event_count_max = 4;
    pool_open(&r, &options);
    client_open(&r, (tw_client_options){0});
    open_at(&r, ACK(1));
    char text[4096];
    book_write(text, 20);
    twt_send_text(conn(&r), text);
    UNTIL(&r, r.seen.message_count == 1);
    assert_null(last_message(&r)->record);
    assert_int_equal(errors_named(&r, "too_many_events"), 1);
    rig_close(&r);
}

/* ---- order ---- */

static void gaps_duplicates_and_losses(void **state)
{
    (void)state;
    rig r;
    rig_open(&r);
    open_at(&r, ACK(10));
    const char *texts[] = {
        TRADE(11), TRADE(15), TRADE(15),
        "{\"type\":\"loss\",\"exchange\":\"sim\",\"symbol\":\"A/B\",\"channel\":\"trade\",\"from\":16,"
        "\"to\":19,\"count\":4,\"reason\":\"slow_consumer\"}",
        TRADE(20)};
    static const tw_sequence_verdict verdicts[] = {TW_SEQUENCE_FIRST, TW_SEQUENCE_GAP, TW_SEQUENCE_DUPLICATE,
                                                   TW_SEQUENCE_LOSS, TW_SEQUENCE_NEXT};
    for (size_t i = 0; i < 5; i++)
        twt_send_text(conn(&r), texts[i]);
    UNTIL(&r, r.seen.message_count == 5);
    for (size_t i = 0; i < 5; i++)
        assert_int_equal(r.seen.messages[i].verdict, verdicts[i]);
    tw_client_stats s = stats(&r);
    assert_int_equal(s.gaps, 1);
    assert_int_equal(s.missing, 3);
    assert_int_equal(s.duplicates, 1);
    assert_int_equal(s.losses, 1);
    assert_int_equal(s.lost, 4);
    assert_int_equal(s.messages, 5);
    assert_int_equal(r.seen.messages[3].missing, 4);
    assert_int_equal(s.errors, 0);
    rig_close(&r);
}

static void conflated_messages_add_up(void **state)
{
    (void)state;
    rig r;
    rig_open(&r);
    open_at(&r, ACK(1));
    static const char *const texts[] = {
        "{\"type\":\"quote\",\"exchange\":\"sim\",\"symbol\":\"A/B\",\"seq\":5,\"bid\":1,\"bidVolume\":1,\"ask\":2,"
        "\"askVolume\":1,\"timestamp\":null,\"recv_ns\":1,\"publish_ns\":2}",
        "{\"type\":\"quote\",\"exchange\":\"sim\",\"symbol\":\"A/B\",\"seq\":9,\"prevSeq\":5,\"folded\":3,\"bid\":1,"
        "\"bidVolume\":1,\"ask\":2,\"askVolume\":1,\"timestamp\":null,\"recv_ns\":1,\"publish_ns\":2}",
        "{\"type\":\"quote\",\"exchange\":\"sim\",\"symbol\":\"A/B\",\"seq\":12,\"prevSeq\":9,\"folded\":1,\"bid\":1,"
        "\"bidVolume\":1,\"ask\":2,\"askVolume\":1,\"timestamp\":null,\"recv_ns\":1,\"publish_ns\":2}"};
    for (size_t i = 0; i < 3; i++)
        twt_send_text(conn(&r), texts[i]);
    UNTIL(&r, r.seen.message_count == 3);
    assert_int_equal(stats(&r).folded, 4);
    assert_int_equal(stats(&r).gaps, 0);
    assert_int_equal(errors_named(&r, "folded_mismatch"), 1); /* 10 and 11 are not in it, but it says 1 */
    rig_close(&r);
}

/* ---- control ---- */

static void bad_symbols_fail_alone(void **state)
{
    (void)state;
    rig r;
    rig_open(&r);
    open_at(
        &r,
        "{\"op\":\"subscribed\",\"id\":1,\"topics\":[{\"exchange\":\"sim\",\"symbol\":\"A/B\",\"channel\":\"trade\","
        "\"seq\":3}],\"errors\":[{\"symbol\":\"sim:X/\\\"Y\\\"\",\"code\":4,\"name\":\"BadSymbol\",\"message\":"
        "\"sim lists no X\",\"temporary\":false}]}");
    assert_int_equal(r.seen.error_count, 1);
    assert_string_equal(r.seen.control_name, "BadSymbol");
    assert_string_equal(r.seen.control_symbol, "sim:X/\"Y\"");
    assert_string_equal(r.seen.control_message, "sim lists no X");
    assert_int_equal(r.seen.control.code, 4);
    assert_int_equal(errors_named(&r, "BadSymbol"), 1);
    assert_int_equal(stats(&r).errors, 1);
    rig_close(&r);
}

static void requests_on_a_living_connection(void **state)
{
    (void)state;
    rig r;
    rig_open(&r);
    open_at(&r, ACK(1));
    uint32_t id = 0;
    tw_subscription quotes = {.channels = "quote", .symbols = "sim:A/B"};
    assert_int_equal(tw_client_subscribe(r.client, &quotes, &id), TW_OK);
    assert_int_equal(id, 2);
    assert_int_equal(tw_client_unsubscribe(r.client, "trade", "sim:A/B", NULL), TW_OK);
    assert_int_equal(tw_client_send(r.client, "{\"op\":\"list\"}", 13), TW_OK);
    UNTIL(&r, conn(&r)->text_count == 4);
    assert_string_equal(conn(&r)->texts[2],
                        "{\"op\":\"unsubscribe\",\"id\":3,\"channels\":[\"trade\"],\"symbols\":[\"sim:A/B\"]}");
    twt_hang_up(conn(&r));
    UNTIL(&r, r.server->conn_count == 2 && conn(&r)->text_count == 1);
    assert_non_null(strstr(conn(&r)->texts[0], "\"channels\":[\"quote\"]")); /* trades were taken back */
    tw_subscription bad = {.channels = "", .symbols = "sim:A/B"};
    assert_int_equal(tw_client_subscribe(r.client, &bad, NULL), TW_BAD_ARGUMENT);
    rig_close(&r);
}

static void malformed_messages_are_counted(void **state)
{
    (void)state;
    rig r;
    rig_open(&r);
    open_at(&r, ACK(1));
    twt_send_text(conn(&r), "{\"type\":\"trade\",");
    twt_send_text(conn(&r), "not json");
    twt_send_text(conn(&r), "{\"op\":\"\"}");
    twt_send_frame(conn(&r), TWI_WS_BINARY, true, "abc", 3);
    twt_send_text(conn(&r), TRADE(2));
    UNTIL(&r, r.seen.message_count == 1);
    assert_int_equal(errors_named(&r, "malformed"), 3);
    assert_int_equal(errors_named(&r, "unexpected_binary"), 1);
    assert_int_equal(tw_client_get_state(r.client), TW_CLIENT_READY);
    rig_close(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(subscribes_and_decodes),
        cmocka_unit_test(scans_without_decoding),
        cmocka_unit_test(subscription_options_are_said),
        cmocka_unit_test(subscribes_by_url),
        cmocka_unit_test(works_over_a_unix_socket),
        cmocka_unit_test(many_clients_in_one_pool),
        cmocka_unit_test(frames_cut_at_every_byte),
        cmocka_unit_test(fragments_with_a_ping_between),
        cmocka_unit_test(large_messages),
        cmocka_unit_test(more_events_than_there_is_room_for),
        cmocka_unit_test(gaps_duplicates_and_losses),
        cmocka_unit_test(conflated_messages_add_up),
        cmocka_unit_test(bad_symbols_fail_alone),
        cmocka_unit_test(requests_on_a_living_connection),
        cmocka_unit_test(malformed_messages_are_counted),
    };
    int failures = 0;
    while (next_loop())
        failures += cmocka_run_group_tests_name(loop_name, tests, NULL, NULL);
    return failures;
}
