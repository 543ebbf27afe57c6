/* cases_limit.c - many sockets, full tables, many pieces, the texts about itself. */
#include "tests/conformance/loop/cases.h"
#include "tests/conformance/loop/rig.h"

enum { MANY = 1000 };

static twt_rig rig;
static twt_peer client, server;
static twt_peer clients[MANY], servers[MANY];

static uint32_t count_connected(void)
{
    uint32_t count = 0;
    for (int i = 0; i < MANY; i++)
        count += clients[i].connected == 0;
    return count;
}

static uint32_t count_bytes(const twt_peer *peers)
{
    size_t bytes = 0;
    for (int i = 0; i < MANY; i++)
        bytes += peers[i].in_bytes;
    return (uint32_t)bytes;
}

static bool all_is_out(void)
{
    for (int i = 0; i < MANY; i++)
        if (servers[i].out_left > 0)
            return false;
    return true;
}

static void many_connections(void **state)
{
    (void)state;
    static const uint8_t message[100] = "to everyone";
    twt_rig_open(&rig, &(twi_loop_config){.sock_count_max = 2 * MANY + 1, .recv_buffer_count = 256});
    twt_listen(&rig);
    for (int i = 0; i < MANY; i++)
        twt_dial(&rig, &clients[i]);
    TWT_UNTIL(&rig, count_connected() == MANY && rig.accepted_count == MANY);
    for (int i = 0; i < MANY; i++) {
        twt_peer_init(&rig, &servers[i], rig.accepted[i]);
        twt_recv(&clients[i]);
    }
    for (int round = 1; round <= 3; round++) {
        for (int i = 0; i < MANY; i++)
            twt_send_all(&servers[i], message, sizeof(message));
        TWT_UNTIL(&rig, all_is_out() && count_bytes(clients) == MANY * sizeof(message) * (uint32_t)round);
    }
    for (int i = 0; i < MANY; i++)
        assert_int_equal(clients[i].in_bytes, 3 * sizeof(message));
    const twi_loop_counters *counters = &rig.loop->counters;
    assert_int_equal(counters->sends, 3 * MANY + counters->sends_again + counters->sends_short);
    twt_rig_close(&rig);
}

/* A connection that finds no slot is refused and counted, and the loop goes to sleep again. */
static void socket_table_full(void **state)
{
    (void)state;
    enum { SLOTS = 8, EXTRA = 4 };
    static twt_rig other; /* the clients live in a loop of their own */
    if (twt_is_sim())
        return; /* its sockets exist inside one loop; loop_sim's own test covers this */
    twt_rig_open(&rig, &(twi_loop_config){.sock_count_max = SLOTS, .recv_buffer_count = 8});
    twt_rig_open(&other, NULL);
    twt_listen(&rig);
    other.port = rig.port;
    for (int i = 0; i < SLOTS - 1 + EXTRA; i++) {
        twt_dial(&other, &clients[i]);
        TWT_UNTIL(&other, clients[i].connected != TWT_PENDING);
        twt_recv(&clients[i]);
    }
    TWT_UNTIL(&rig, rig.loop->counters.accept_refused == EXTRA);
    assert_int_equal(rig.accepted_count, SLOTS - 1);
    uint64_t polls = rig.loop->counters.polls, sleeps = rig.loop->counters.sleeps;
    int64_t until_ns = twt_now_ns(&rig) + 5000000;
    while (twt_now_ns(&rig) < until_ns)
        (void)rig.ops->poll(rig.loop, until_ns);
    assert_true(rig.loop->counters.polls - polls < 20); /* it slept */
    assert_true(rig.loop->counters.sleeps > sleeps);
    for (int i = SLOTS - 1; i < SLOTS - 1 + EXTRA; i++)
        TWT_UNTIL(&other, clients[i].recv_last == 0 || clients[i].recv_last == TW_CLOSED);
    twt_peer_init(&rig, &server, rig.accepted[0]); /* a place becomes free: the next one is taken in */
    twt_close(&server);
    TWT_UNTIL(&rig, server.closed == 0);
    twt_dial(&other, &clients[0]);
    TWT_UNTIL(&other, clients[0].connected == 0);
    TWT_UNTIL(&rig, rig.accepted_count == SLOTS);
    twt_rig_close(&other);
    twt_rig_close(&rig);
}

static void connect_table_full(void **state)
{
    (void)state;
    twt_rig_open(&rig, &(twi_loop_config){.sock_count_max = 1, .recv_buffer_count = 4});
    twt_listen(&rig);
    twt_dial(&rig, &client);
    TWT_UNTIL(&rig, client.connected != TWT_PENDING);
    assert_int_equal(client.connected, TW_FULL);
    char error[256] = "";
    twi_sock second;
    assert_int_equal(rig.ops->listen(rig.loop, &(twi_address){.host = "127.0.0.1"}, &second, error, sizeof(error)),
                     TW_FULL);
    assert_true(strlen(error) > 0);
    twt_rig_close(&rig);
}

static void on_pieces_sent(twi_loop *loop, twi_op *op, int32_t result, uint32_t flags)
{
    (void)loop;
    (void)flags;
    ((twt_peer *)op->owner)->send_last = result;
}

static void pieces_keep_their_order(void **state)
{
    (void)state;
    enum { PIECE = 7 };
    static uint8_t bytes[TWI_IOV_MAX * PIECE * 2];
    twt_rig_open(&rig, NULL);
    twt_sim_without_again(&rig);
    twt_listen(&rig);
    twt_pair(&rig, &client, &server);
    twt_keep(&server, sizeof(bytes));
    twt_fill(bytes, sizeof(bytes), 3);
    size_t expected = 0;
    static uint8_t wanted[sizeof(bytes)];
    for (int i = 0; i < TWI_IOV_MAX; i++) { /* every second piece, so that nothing is contiguous */
        client.iov[i] = (struct iovec){.iov_base = bytes + i * PIECE * 2, .iov_len = PIECE};
        memcpy(wanted + expected, client.iov[i].iov_base, PIECE);
        expected += PIECE;
    }
    client.send_op.done = on_pieces_sent;
    client.send_op.iov = client.iov;
    client.send_op.iov_count = TWI_IOV_MAX;
    rig.ops->send(rig.loop, &client.send_op, client.sock);
    TWT_UNTIL(&rig, client.send_last != TWT_PENDING);
    assert_true(client.send_last > 0);
    if (!twt_is_sim()) /* which takes fewer on purpose */
        assert_int_equal(client.send_last, expected);
    size_t taken = (size_t)client.send_last;
    TWT_UNTIL(&rig, server.in_bytes == taken);
    assert_memory_equal(server.in, wanted, taken);
    twt_forget(&server);
    twt_rig_close(&rig);
}

/* Results that are known make the next poll() return at once. */
static void queued_results_do_not_sleep(void **state)
{
    (void)state;
    twt_rig_open(&rig, NULL);
    int64_t begin_ns = twt_now_ns(&rig);
    twt_peer_init(&rig, &client, (twi_sock){0, 0});
    twt_send_once(&client, "x", 1);
    assert_int_equal(rig.ops->poll(rig.loop, begin_ns + 10000000000), 1);
    assert_int_equal(client.send_last, TW_CLOSED);
    assert_true(twt_now_ns(&rig) - begin_ns < 5000000000);
    twt_rig_close(&rig);
}

static void says_what_it_is(void **state)
{
    (void)state;
    twt_rig_open(&rig, NULL);
    assert_true(strlen(rig.ops->features(rig.loop)) > 0);
    twi_loop_config small = {.sock_count_max = 10}, large = {.sock_count_max = 10000};
    assert_true(rig.ops->memory_bytes(&small) > 0);
    assert_true(rig.ops->memory_bytes(&large) > rig.ops->memory_bytes(&small));
    /* An idle client may cost 1 KiB in the whole engine; the loop takes a part of that. */
    assert_true((rig.ops->memory_bytes(&large) - rig.ops->memory_bytes(&small)) / (10000 - 10) <= 256);
    twt_rig_close(&rig);
}

const twt_case twt_limit_cases[] = {
    {"many_connections", many_connections},
    {"socket_table_full", socket_table_full},
    {"connect_table_full", connect_table_full},
    {"pieces_keep_their_order", pieces_keep_their_order},
    {"queued_results_do_not_sleep", queued_results_do_not_sleep},
    {"says_what_it_is", says_what_it_is},
    {NULL, NULL},
};
