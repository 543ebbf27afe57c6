/* rig.c - see rig.h. */
#include "tests/conformance/loop/rig.h"

#include <unistd.h>

#include "engine/base/clock.h"
#include "engine/loop/loop_sim.h"

static const int64_t turn_ns = 20000000;        /* one turn sleeps at most this long */
static const int64_t patience_ns = 20000000000; /* real or virtual, before a case fails */

const twi_loop_ops *twt_backend;
uint64_t twt_sim_seed = 1;

bool twt_is_sim(void)
{
    return strcmp(twt_backend->name, "sim") == 0;
}

void twt_rig_open(twt_rig *rig, const twi_loop_config *config)
{
    memset(rig, 0, sizeof(*rig));
    rig->ops = twt_backend;
    rig->config = config ? *config : (twi_loop_config){.sock_count_max = 64, .recv_buffer_count = 64};
    rig->config.sim_seed = twt_sim_seed;
    char error[512] = "";
    tw_status status = rig->ops->open(&rig->config, &rig->loop, error, sizeof(error));
    if (status != TW_OK)
        fail_msg("open %s: %s: %s", rig->ops->name, tw_status_name(status), error);
}

void twt_sim_without_again(twt_rig *rig)
{
    if (!twt_is_sim())
        return;
    twi_sim_faults faults = twi_sim_default_faults();
    faults.again_ppm = 0;
    faults.pipe_bytes = rig->config.socket_send_bytes + rig->config.socket_recv_bytes;
    twi_sim_set_faults(rig->loop, &faults);
}

void twt_rig_close(twt_rig *rig)
{
    rig->ops->close_loop(rig->loop);
    rig->loop = NULL;
}

static void on_accept(twi_loop *loop, twi_op *op, int32_t result, uint32_t flags)
{
    (void)loop;
    twt_rig *rig = op->owner;
    if (!(flags & TWI_OP_MORE)) {
        rig->accept_last = result;
        return;
    }
    assert_int_equal(result, 0);
    assert_true(rig->accepted_count < sizeof(rig->accepted) / sizeof(rig->accepted[0]));
    rig->accepted[rig->accepted_count++] = op->accepted;
}

static void listen_on(twt_rig *rig, const twi_address *address)
{
    char error[256] = "";
    tw_status status = rig->ops->listen(rig->loop, address, &rig->listener, error, sizeof(error));
    if (status != TW_OK)
        fail_msg("listen: %s: %s", tw_status_name(status), error);
    rig->port = rig->ops->local_port(rig->loop, rig->listener);
    rig->accept_last = TWT_PENDING;
    rig->accept_op = (twi_op){.done = on_accept, .owner = rig};
    rig->ops->accept(rig->loop, &rig->accept_op, rig->listener);
}

void twt_listen(twt_rig *rig)
{
    listen_on(rig, &(twi_address){.host = "127.0.0.1"});
    assert_int_not_equal(rig->port, 0);
}

void twt_listen_unix(twt_rig *rig)
{
    static unsigned serial;
    snprintf(rig->unix_path, sizeof(rig->unix_path), "unix:/tmp/tickwire-loop-%s-%d-%u", rig->ops->name, (int)getpid(),
             serial++);
    listen_on(rig, &(twi_address){.host = rig->unix_path});
}

static void note(twt_peer *peer, char letter)
{
    size_t length = strlen(peer->order);
    if (length + 1 < sizeof(peer->order))
        peer->order[length] = letter;
}

static void on_connect(twi_loop *loop, twi_op *op, int32_t result, uint32_t flags)
{
    (void)loop;
    assert_int_equal(flags, 0);
    twt_peer *peer = op->owner;
    peer->connected = result;
    peer->sock = op->sock;
}

static void on_recv(twi_loop *loop, twi_op *op, int32_t result, uint32_t flags)
{
    (void)loop;
    twt_peer *peer = op->owner;
    peer->recv_callbacks++;
    if (!(flags & TWI_OP_MORE)) {
        peer->recv_last = result;
        note(peer, 'r');
        return;
    }
    assert_true(result > 0);
    size_t length = (size_t)result;
    if (peer->in && peer->in_bytes + length <= peer->in_cap)
        memcpy(peer->in + peer->in_bytes, op->data, length);
    peer->in_bytes += length;
    if (peer->echoes)
        twt_send_all(peer, peer->in + peer->in_bytes - length, length);
}

static void attempt(twt_peer *peer)
{
    size_t length = peer->out_left;
    if (peer->out_piece > 0 && peer->out_piece < length)
        length = peer->out_piece;
    peer->iov[0] = (struct iovec){.iov_base = (void *)(uintptr_t)peer->out, .iov_len = length};
    peer->send_op.iov = peer->iov;
    peer->send_op.iov_count = 1;
    peer->send_pending = true;
    peer->send_last = TWT_PENDING;
    peer->rig->ops->send(peer->rig->loop, &peer->send_op, peer->sock);
}

static void on_send(twi_loop *loop, twi_op *op, int32_t result, uint32_t flags)
{
    (void)loop;
    assert_int_equal(flags, 0);
    twt_peer *peer = op->owner;
    peer->send_pending = false;
    peer->send_last = result;
    note(peer, 's');
    if (result == TW_AGAIN) {
        peer->again_count++;
        if (peer->out_left > 0)
            twt_await_writable(peer);
        return;
    }
    if (result < 0 || peer->out_left == 0)
        return;
    assert_true((size_t)result <= peer->out_left);
    peer->out += result;
    peer->out_left -= (size_t)result;
    if (peer->out_left > 0)
        attempt(peer);
}

static void on_writable(twi_loop *loop, twi_op *op, int32_t result, uint32_t flags)
{
    (void)loop;
    assert_int_equal(flags, 0);
    twt_peer *peer = op->owner;
    peer->writable = result;
    note(peer, 'w');
    if (result == 0 && peer->out_left > 0 && !peer->send_pending)
        attempt(peer);
}

static void on_shutdown(twi_loop *loop, twi_op *op, int32_t result, uint32_t flags)
{
    (void)loop;
    assert_int_equal(flags, 0);
    ((twt_peer *)op->owner)->shut = result;
}

static void on_close(twi_loop *loop, twi_op *op, int32_t result, uint32_t flags)
{
    (void)loop;
    assert_int_equal(flags, 0);
    twt_peer *peer = op->owner;
    peer->closed = result;
    note(peer, 'c');
}

void twt_peer_init(twt_rig *rig, twt_peer *peer, twi_sock sock)
{
    memset(peer, 0, sizeof(*peer));
    peer->rig = rig;
    peer->sock = sock;
    peer->connected = peer->recv_last = peer->send_last = peer->writable = peer->shut = peer->closed = TWT_PENDING;
    peer->connect_op = (twi_op){.done = on_connect, .owner = peer};
    peer->recv_op = (twi_op){.done = on_recv, .owner = peer};
    peer->send_op = (twi_op){.done = on_send, .owner = peer};
    peer->writable_op = (twi_op){.done = on_writable, .owner = peer};
    peer->shutdown_op = (twi_op){.done = on_shutdown, .owner = peer};
    peer->close_op = (twi_op){.done = on_close, .owner = peer};
}

void twt_dial(twt_rig *rig, twt_peer *peer)
{
    twt_peer_init(rig, peer, (twi_sock){0, 0});
    twi_address address = {.host = "127.0.0.1", .port = rig->port};
    if (rig->unix_path[0])
        address = (twi_address){.host = rig->unix_path};
    rig->ops->connect(rig->loop, &peer->connect_op, &address);
    peer->sock = peer->connect_op.sock;
}

void twt_pair(twt_rig *rig, twt_peer *client, twt_peer *server)
{
    uint32_t before = rig->accepted_count;
    twt_dial(rig, client);
    TWT_UNTIL(rig, client->connected != TWT_PENDING && rig->accepted_count > before);
    assert_int_equal(client->connected, 0);
    twt_peer_init(rig, server, rig->accepted[before]);
    twt_recv(client);
    twt_recv(server);
}

void twt_recv(twt_peer *peer)
{
    peer->recv_last = TWT_PENDING;
    peer->rig->ops->recv(peer->rig->loop, &peer->recv_op, peer->sock);
}

void twt_keep(twt_peer *peer, size_t cap)
{
    peer->in = calloc(1, cap);
    assert_non_null(peer->in);
    peer->in_cap = cap;
}

void twt_forget(twt_peer *peer)
{
    free(peer->in);
    peer->in = NULL;
}

void twt_send_once(twt_peer *peer, const void *bytes, size_t length)
{
    peer->iov[0] = (struct iovec){.iov_base = (void *)(uintptr_t)bytes, .iov_len = length};
    peer->send_op.iov = peer->iov;
    peer->send_op.iov_count = 1;
    peer->send_last = TWT_PENDING;
    peer->rig->ops->send(peer->rig->loop, &peer->send_op, peer->sock);
}

void twt_send_all(twt_peer *peer, const void *bytes, size_t length)
{
    if (peer->out_left > 0) { /* an echo: the new bytes follow the old ones in peer->in */
        assert_ptr_equal(peer->out + peer->out_left, bytes);
        peer->out_left += length;
        return;
    }
    peer->out = bytes;
    peer->out_left = length;
    attempt(peer);
}

void twt_await_writable(twt_peer *peer)
{
    peer->writable = TWT_PENDING;
    peer->rig->ops->writable(peer->rig->loop, &peer->writable_op, peer->sock);
}

void twt_shutdown(twt_peer *peer)
{
    peer->shut = TWT_PENDING;
    peer->rig->ops->shutdown(peer->rig->loop, &peer->shutdown_op, peer->sock);
}

void twt_close(twt_peer *peer)
{
    peer->closed = TWT_PENDING;
    peer->rig->ops->close(peer->rig->loop, &peer->close_op, peer->sock);
}

int64_t twt_now_ns(twt_rig *rig)
{
    return twt_is_sim() ? rig->ops->now_ns(rig->loop) : twi_monotonic_ns();
}

void twt_turn(twt_rig *rig)
{
    (void)rig->ops->poll(rig->loop, twt_now_ns(rig) + turn_ns);
}

void twt_turns(twt_rig *rig, int count)
{
    for (int i = 0; i < count; i++)
        (void)rig->ops->poll(rig->loop, 0);
}

bool twt_time_left(twt_rig *rig, int64_t *begin_ns)
{
    int64_t now_ns = twt_now_ns(rig);
    if (*begin_ns == 0)
        *begin_ns = now_ns;
    return now_ns - *begin_ns < patience_ns;
}

void twt_fill(uint8_t *bytes, size_t length, uint64_t seed)
{
    uint64_t state = seed * 2862933555777941757u + 3037000493u;
    for (size_t i = 0; i < length; i++) {
        state = state * 6364136223846793005u + 1442695040888963407u;
        bytes[i] = (uint8_t)(state >> 56);
    }
}
