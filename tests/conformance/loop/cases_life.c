/* cases_life.c - the lives of sockets and operations: close, cancel, stale handles, reuse, the end of the loop. */
#include "tests/conformance/loop/cases.h"
#include "tests/conformance/loop/rig.h"

static twt_rig rig;
static twt_peer client, server;

static void close_ends_ops_in_flight(void **state)
{
    (void)state;
    static uint8_t block[65536];
    twi_loop_config config = {
        .sock_count_max = 16, .recv_buffer_count = 16, .socket_send_bytes = 16384, .socket_recv_bytes = 16384};
    twt_rig_open(&rig, &config);
    twt_sim_without_again(&rig);
    twt_listen(&rig);
    twt_dial(&rig, &client);
    TWT_UNTIL(&rig, client.connected == 0 && rig.accepted_count == 1);
    twt_peer_init(&rig, &server, rig.accepted[0]);
    twt_recv(&server);
    do {
        twt_send_once(&server, block, sizeof(block));
        TWT_UNTIL(&rig, server.send_last != TWT_PENDING);
    } while (server.send_last != TW_AGAIN);
    memset(server.order, 0, sizeof(server.order));
    twt_await_writable(&server);
    twt_close(&server);
    assert_string_equal(server.order, ""); /* never inside the call */
    TWT_UNTIL(&rig, server.closed != TWT_PENDING);
    assert_int_equal(server.recv_last, TW_CANCELED);
    assert_int_equal(server.writable, TW_CANCELED);
    assert_int_equal(server.closed, 0);
    assert_int_equal(strlen(server.order), 3);
    assert_int_equal(server.order[2], 'c');
    twt_rig_close(&rig);
}

static void stale_handles(void **state)
{
    (void)state;
    twt_rig_open(&rig, NULL);
    twt_listen(&rig);
    twt_pair(&rig, &client, &server);
    twi_sock old = client.sock;
    twt_close(&client);
    TWT_UNTIL(&rig, client.closed == 0);
    const twi_sock stale[] = {old, {0, 0}, {UINT32_MAX, 1}, {old.slot, old.generation + 1}};
    for (size_t i = 0; i < sizeof(stale) / sizeof(stale[0]); i++) {
        twt_peer ghost;
        twt_peer_init(&rig, &ghost, stale[i]);
        twt_recv(&ghost);
        twt_send_once(&ghost, "boo", 3);
        twt_await_writable(&ghost);
        twt_shutdown(&ghost);
        twt_close(&ghost);
        assert_int_equal(ghost.closed, TWT_PENDING); /* never inside the call */
        TWT_UNTIL(&rig, ghost.closed != TWT_PENDING && ghost.recv_last != TWT_PENDING &&
                            ghost.send_last != TWT_PENDING && ghost.writable != TWT_PENDING &&
                            ghost.shut != TWT_PENDING);
        assert_int_equal(ghost.recv_last, TW_CLOSED);
        assert_int_equal(ghost.send_last, TW_CLOSED);
        assert_int_equal(ghost.writable, TW_CLOSED);
        assert_int_equal(ghost.shut, TW_CLOSED);
        assert_int_equal(ghost.closed, TW_CLOSED);
        assert_int_equal(rig.ops->local_port(rig.loop, stale[i]), 0);
    }
    twt_rig_close(&rig);
}

static void recv_stop_and_resume(void **state)
{
    (void)state;
    twt_rig_open(&rig, NULL);
    twt_listen(&rig);
    twt_pair(&rig, &client, &server);
    twt_keep(&server, 4096);
    for (int round = 1; round <= 5; round++) {
        rig.ops->recv_stop(rig.loop, &server.recv_op);
        TWT_UNTIL(&rig, server.recv_last != TWT_PENDING);
        assert_int_equal(server.recv_last, TW_CANCELED);
        rig.ops->recv_stop(rig.loop, &server.recv_op); /* not armed: nothing */
        size_t before = server.in_bytes;
        uint32_t callbacks = server.recv_callbacks;
        twt_send_all(&client, "0123456789", 10);
        TWT_UNTIL(&rig, client.out_left == 0);
        twt_turns(&rig, 5);
        assert_int_equal(server.in_bytes, before);
        assert_int_equal(server.recv_callbacks, callbacks);
        twt_recv(&server);
        TWT_UNTIL(&rig, server.in_bytes == before + 10);
    }
    for (size_t i = 0; i < 50; i++)
        assert_int_equal(server.in[i], "0123456789"[i % 10]);
    twt_forget(&server);
    twt_rig_close(&rig);
}

static void stop_inside_callback(twi_loop *loop, twi_op *op, int32_t result, uint32_t flags)
{
    twt_peer *peer = op->owner;
    if (flags & TWI_OP_MORE) {
        peer->in_bytes += (size_t)result;
        rig.ops->recv_stop(loop, op);
    } else {
        peer->recv_last = result;
    }
}

static void recv_stop_inside_callback(void **state)
{
    (void)state;
    static uint8_t block[20000];
    twi_loop_config config = {.sock_count_max = 8, .recv_buffer_count = 8, .recv_buffer_bytes = 1024};
    twt_rig_open(&rig, &config);
    twt_listen(&rig);
    twt_dial(&rig, &client);
    TWT_UNTIL(&rig, client.connected == 0 && rig.accepted_count == 1);
    twt_peer_init(&rig, &server, rig.accepted[0]);
    server.recv_op.done = stop_inside_callback;
    twt_send_all(&client, block, sizeof(block));
    int64_t begin_ns = 0;
    while (server.in_bytes < sizeof(block)) {
        size_t before = server.in_bytes;
        assert_true(twt_time_left(&rig, &begin_ns));
        twt_recv(&server);
        TWT_UNTIL(&rig, server.recv_last != TWT_PENDING);
        assert_int_equal(server.recv_last, TW_CANCELED);
        assert_true(server.in_bytes > before);
    }
    assert_int_equal(server.in_bytes, sizeof(block));
    twt_rig_close(&rig);
}

static void close_inside_callback(twi_loop *loop, twi_op *op, int32_t result, uint32_t flags)
{
    (void)loop;
    twt_peer *peer = op->owner;
    if (flags & TWI_OP_MORE)
        twt_close(peer);
    else
        peer->recv_last = result;
}

static void close_inside_recv_callback(void **state)
{
    (void)state;
    twt_rig_open(&rig, NULL);
    twt_listen(&rig);
    twt_dial(&rig, &client);
    TWT_UNTIL(&rig, client.connected == 0 && rig.accepted_count == 1);
    twt_peer_init(&rig, &server, rig.accepted[0]);
    server.recv_op.done = close_inside_callback;
    twt_recv(&server);
    twt_recv(&client);
    twt_send_all(&client, "bye", 3);
    TWT_UNTIL(&rig, server.closed != TWT_PENDING && client.recv_last != TWT_PENDING);
    assert_int_equal(server.closed, 0);
    assert_int_equal(server.recv_last, TW_CANCELED);
    assert_true(client.recv_last == 0 || client.recv_last == TW_CLOSED);
    twt_rig_close(&rig);
}

static void recv_again_after_end(void **state)
{
    (void)state;
    twt_rig_open(&rig, NULL);
    twt_listen(&rig);
    twt_pair(&rig, &client, &server);
    twt_close(&client);
    for (int i = 0; i < 3; i++) { /* the end stays the end */
        TWT_UNTIL(&rig, server.recv_last != TWT_PENDING);
        assert_int_equal(server.recv_last, 0);
        twt_recv(&server);
    }
    twt_rig_close(&rig);
}

static void connect_refused(void **state)
{
    (void)state;
    twt_rig_open(&rig, &(twi_loop_config){.sock_count_max = 2, .recv_buffer_count = 4});
    twt_listen(&rig);
    twt_peer closer;
    twt_peer_init(&rig, &closer, rig.listener);
    twt_close(&closer);
    TWT_UNTIL(&rig, closer.closed == 0);
    assert_int_equal(rig.accept_last, TW_CANCELED);
    for (int i = 0; i < 5; i++) { /* more often than there are slots: none is lost */
        twt_dial(&rig, &client);
        TWT_UNTIL(&rig, client.connected != TWT_PENDING);
        assert_int_equal(client.connected, TW_UNAVAILABLE);
        twt_send_once(&client, "x", 1);
        TWT_UNTIL(&rig, client.send_last != TWT_PENDING);
        assert_int_equal(client.send_last, TW_CLOSED);
    }
    snprintf(rig.unix_path, sizeof(rig.unix_path), "unix:/tmp/tickwire-nobody-listens-here");
    twt_dial(&rig, &client);
    TWT_UNTIL(&rig, client.connected != TWT_PENDING);
    assert_int_equal(client.connected, TW_UNAVAILABLE);
    twt_rig_close(&rig);
}

static void bad_addresses(void **state)
{
    (void)state;
    twt_rig_open(&rig, NULL);
    static char long_path[300] = "unix:/";
    memset(long_path + 6, 'x', sizeof(long_path) - 7);
    const char *const hosts[] = {"localhost", "", "256.1.1.1", "unix:", long_path, NULL};
    for (size_t i = 0; i < sizeof(hosts) / sizeof(hosts[0]); i++) {
        char error[512] = "";
        twi_sock sock;
        twi_address address = {.host = hosts[i], .port = 1};
        assert_int_equal(rig.ops->listen(rig.loop, &address, &sock, error, sizeof(error)), TW_BAD_ARGUMENT);
        assert_true(strlen(error) > 0);
        twt_peer_init(&rig, &client, (twi_sock){0, 0});
        rig.ops->connect(rig.loop, &client.connect_op, &address);
        TWT_UNTIL(&rig, client.connected != TWT_PENDING);
        assert_int_equal(client.connected, TW_BAD_ARGUMENT);
    }
    twt_rig_close(&rig);
}

static void unix_path_in_use(void **state)
{
    (void)state;
    twt_rig_open(&rig, NULL);
    twt_listen_unix(&rig);
    char error[256] = "";
    twi_sock second;
    twi_address address = {.host = rig.unix_path};
    assert_int_equal(rig.ops->listen(rig.loop, &address, &second, error, sizeof(error)), TW_UNAVAILABLE);
    assert_true(strlen(error) > 0);
    twt_peer closer;
    twt_peer_init(&rig, &closer, rig.listener);
    twt_close(&closer);
    TWT_UNTIL(&rig, closer.closed == 0);
    assert_int_equal(rig.ops->listen(rig.loop, &address, &second, error, sizeof(error)), TW_OK);
    twt_rig_close(&rig);
}

static void close_gives_up_connect(void **state)
{
    (void)state;
    twt_rig_open(&rig, NULL);
    twt_listen(&rig);
    twt_dial(&rig, &client);
    twt_close(&client);
    TWT_UNTIL(&rig, client.closed != TWT_PENDING);
    assert_true(client.connected == TW_CANCELED || client.connected == 0);
    assert_int_equal(client.closed, 0);
    twt_rig_close(&rig);
}

static void slots_are_reused_with_new_generations(void **state)
{
    (void)state;
    twt_rig_open(&rig, &(twi_loop_config){.sock_count_max = 4, .recv_buffer_count = 4});
    twt_listen(&rig);
    static twi_sock seen[300];
    for (size_t i = 0; i < 300; i++) {
        twt_pair(&rig, &client, &server);
        seen[i] = client.sock;
        for (size_t j = 0; j < i; j++)
            assert_false(seen[j].slot == seen[i].slot && seen[j].generation == seen[i].generation);
        twt_close(&client);
        twt_close(&server);
        TWT_UNTIL(&rig, client.closed != TWT_PENDING && server.closed != TWT_PENDING);
        rig.accepted_count = 0;
    }
    twt_rig_close(&rig);
}

static void close_loop_ends_everything(void **state)
{
    (void)state;
    twt_rig_open(&rig, NULL);
    twt_listen(&rig);
    twt_pair(&rig, &client, &server);
    twt_send_once(&client, "unseen", 6);
    twt_peer dialing;
    twt_dial(&rig, &dialing);
    twt_rig_close(&rig);
    assert_int_equal(client.recv_last, TW_CANCELED);
    assert_int_equal(server.recv_last, TW_CANCELED);
    assert_int_equal(rig.accept_last, TW_CANCELED);
    assert_true(dialing.connected != TWT_PENDING);
    assert_true(client.send_last != TWT_PENDING);
}

const twt_case twt_life_cases[] = {
    {"close_ends_ops_in_flight", close_ends_ops_in_flight},
    {"stale_handles", stale_handles},
    {"recv_stop_and_resume", recv_stop_and_resume},
    {"recv_stop_inside_callback", recv_stop_inside_callback},
    {"close_inside_recv_callback", close_inside_recv_callback},
    {"recv_again_after_end", recv_again_after_end},
    {"connect_refused", connect_refused},
    {"bad_addresses", bad_addresses},
    {"unix_path_in_use", unix_path_in_use},
    {"close_gives_up_connect", close_gives_up_connect},
    {"slots_are_reused_with_new_generations", slots_are_reused_with_new_generations},
    {"close_loop_ends_everything", close_loop_ends_everything},
    {NULL, NULL},
};
