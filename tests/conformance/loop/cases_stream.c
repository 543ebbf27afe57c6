/* cases_stream.c - bytes: echo, big transfers, back-pressure, half close, reset. */
#include "tests/conformance/loop/cases.h"
#include "tests/conformance/loop/rig.h"

enum { BIG_BYTES = 6 << 20, SMALL_SOCKET_BYTES = 16384 };

static twt_rig rig;
static twt_peer client, server;

static const twi_loop_config small_sockets = {.sock_count_max = 16,
                                              .recv_buffer_count = 16,
                                              .recv_buffer_bytes = 4096,
                                              .socket_send_bytes = SMALL_SOCKET_BYTES,
                                              .socket_recv_bytes = SMALL_SOCKET_BYTES};

static void echo_on_open_rig(void)
{
    static const char hello[] = "a tick";
    twt_pair(&rig, &client, &server);
    twt_keep(&server, 4096);
    twt_keep(&client, 4096);
    server.echoes = true;
    for (int round = 1; round <= 3; round++) {
        twt_send_all(&client, hello, sizeof(hello));
        TWT_UNTIL(&rig, client.in_bytes == sizeof(hello) * (size_t)round);
        assert_memory_equal(client.in + client.in_bytes - sizeof(hello), hello, sizeof(hello));
    }
    twt_close(&client);
    TWT_UNTIL(&rig, server.recv_last != TWT_PENDING && client.closed != TWT_PENDING);
    assert_int_equal(server.recv_last, 0);
    assert_int_equal(client.closed, 0);
    assert_int_equal(client.recv_last, TW_CANCELED);
    twt_forget(&server);
    twt_forget(&client);
    twt_rig_close(&rig);
}

static void echo(void **state)
{
    (void)state;
    twt_rig_open(&rig, NULL);
    twt_listen(&rig);
    echo_on_open_rig();
}

static void echo_unix(void **state)
{
    (void)state;
    twt_rig_open(&rig, NULL);
    twt_listen_unix(&rig);
    echo_on_open_rig();
}

static void big_transfer(bool is_unix)
{
    twt_rig_open(&rig, &small_sockets);
    if (is_unix)
        twt_listen_unix(&rig);
    else
        twt_listen(&rig);
    twt_pair(&rig, &client, &server);
    twt_keep(&server, BIG_BYTES);
    twt_keep(&client, BIG_BYTES);
    uint8_t *there = malloc(BIG_BYTES), *back = malloc(BIG_BYTES);
    twt_fill(there, BIG_BYTES, 1);
    twt_fill(back, BIG_BYTES, 2);
    twt_send_all(&client, there, BIG_BYTES);
    twt_send_all(&server, back, BIG_BYTES);
    TWT_UNTIL(&rig, server.in_bytes >= BIG_BYTES && client.in_bytes >= BIG_BYTES);
    TWT_UNTIL(&rig, client.out_left == 0 && server.out_left == 0);
    assert_memory_equal(server.in, there, BIG_BYTES);
    assert_memory_equal(client.in, back, BIG_BYTES);
    assert_int_equal(server.in_bytes, BIG_BYTES);
    assert_true(rig.loop->counters.sends_short > 0);
    assert_true(rig.loop->counters.recvs > BIG_BYTES / 4096);
    free(there);
    free(back);
    twt_forget(&server);
    twt_forget(&client);
    twt_rig_close(&rig);
}

static void big_transfer_tcp(void **state)
{
    (void)state;
    big_transfer(false);
}

static void big_transfer_unix(void **state)
{
    (void)state;
    big_transfer(true);
}

static void fill_until_again(twt_peer *from)
{
    static uint8_t block[65536];
    int64_t begin_ns = 0;
    do {
        assert_true(twt_time_left(&rig, &begin_ns));
        twt_send_once(from, block, sizeof(block));
        TWT_UNTIL(&rig, from->send_last != TWT_PENDING);
        assert_true(from->send_last == TW_AGAIN || from->send_last > 0);
    } while (from->send_last != TW_AGAIN);
}

static void again_then_writable(void **state)
{
    (void)state;
    twt_rig_open(&rig, &small_sockets);
    twt_sim_without_again(&rig);
    twt_listen(&rig);
    twt_dial(&rig, &client);
    TWT_UNTIL(&rig, client.connected == 0 && rig.accepted_count == 1);
    twt_peer_init(&rig, &server, rig.accepted[0]);
    fill_until_again(&server);
    twt_await_writable(&server);
    twt_turns(&rig, 10);
    assert_int_equal(server.writable, TWT_PENDING); /* nobody reads */
    twt_recv(&client);
    TWT_UNTIL(&rig, server.writable == 0);
    twt_send_once(&server, "x", 1);
    TWT_UNTIL(&rig, server.send_last != TWT_PENDING);
    assert_int_equal(server.send_last, 1);
    twt_rig_close(&rig);
}

static void half_close(void **state)
{
    (void)state;
    twt_rig_open(&rig, NULL);
    twt_listen(&rig);
    twt_pair(&rig, &client, &server);
    twt_keep(&client, 64);
    twt_send_all(&client, "last words", 10);
    TWT_UNTIL(&rig, client.out_left == 0);
    twt_shutdown(&client);
    TWT_UNTIL(&rig, server.recv_last != TWT_PENDING && client.shut != TWT_PENDING);
    assert_int_equal(client.shut, 0);
    assert_int_equal(server.recv_last, 0);
    assert_int_equal(server.in_bytes, 10);
    twt_send_all(&server, "answer", 6);
    TWT_UNTIL(&rig, client.in_bytes == 6);
    assert_memory_equal(client.in, "answer", 6);
    twt_send_once(&client, "too late", 8);
    TWT_UNTIL(&rig, client.send_last != TWT_PENDING);
    assert_int_equal(client.send_last, TW_CLOSED);
    twt_close(&server);
    TWT_UNTIL(&rig, client.recv_last != TWT_PENDING);
    assert_int_equal(client.recv_last, 0);
    twt_forget(&client);
    twt_rig_close(&rig);
}

/* A socket that is closed while bytes wait in it resets the connection: the peer's receive ends as TW_CLOSED. */
static void reset(void **state)
{
    (void)state;
    twt_rig_open(&rig, NULL);
    twt_listen(&rig);
    twt_dial(&rig, &client);
    TWT_UNTIL(&rig, client.connected == 0 && rig.accepted_count == 1);
    twt_peer_init(&rig, &server, rig.accepted[0]);
    twt_recv(&client);
    twt_send_all(&client, "never read", 10);
    TWT_UNTIL(&rig, client.out_left == 0);
    /* What is sent later on another connection arrives later: once it is there, so are the bytes above. */
    twt_peer late_client, late_server;
    twt_pair(&rig, &late_client, &late_server);
    twt_send_all(&late_client, "x", 1);
    TWT_UNTIL(&rig, late_server.in_bytes == 1);
    twt_close(&server);
    TWT_UNTIL(&rig, client.recv_last != TWT_PENDING);
    assert_int_equal(client.recv_last, TW_CLOSED);
    twt_send_once(&client, "anyone?", 7);
    TWT_UNTIL(&rig, client.send_last != TWT_PENDING);
    assert_int_equal(client.send_last, TW_CLOSED);
    twt_rig_close(&rig);
}

const twt_case twt_stream_cases[] = {
    {"echo", echo},
    {"echo_unix", echo_unix},
    {"big_transfer_tcp", big_transfer_tcp},
    {"big_transfer_unix", big_transfer_unix},
    {"again_then_writable", again_then_writable},
    {"half_close", half_close},
    {"reset", reset},
    {NULL, NULL},
};
