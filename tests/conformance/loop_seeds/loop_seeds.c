/* loop_seeds.c - an echo server and its clients on the simulated loop, one run per seed: loop_seeds [FIRST [COUNT]].
 *
 * Job:       every client checks each byte that comes back; every operation must end exactly once; a calm seed must
 *            deliver everything; the loop must be empty at the end; a seed that is run twice must repeat itself.
 * Output:    the seed that failed and how to repeat it, also when an assertion ends the process.
 * Non-goals: the protocol above the loop; see the system's own simulations. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine/base/assert.h"
#include "engine/loop/loop_sim.h"

enum {
    CLIENTS_MAX = 12,
    LIVES_MAX = 3,
    SERVERS_MAX = CLIENTS_MAX * LIVES_MAX, /* an end of the server may outlive its client's next life */
    SOCKS = CLIENTS_MAX + SERVERS_MAX + 4,
    STREAM_MAX = 20000,
    ECHO_BYTES = 1 << 15,
    POLLS_MAX = 400000,
    REPEAT_EVERY = 16,
    PIECES = 4
};
static const int64_t ms_ns = 1000000;

static char failing_text[128];

typedef struct dice {
    uint64_t state;
} dice;

typedef struct world world;

/* One end of a connection; the server's ends echo, the clients' ends send a stream and check what returns. */
typedef struct end {
    world *world;
    twi_sock sock;
    twi_op connect_op, recv_op, send_op, writable_op, close_op, timer_op;
    bool is_server, is_used, is_connected, recv_armed, send_armed, writable_armed, close_armed, timer_armed, is_closing;
    bool is_stopping, is_broken;
    uint32_t id;
    uint32_t lives;
    uint64_t stream_bytes; /* a client: how much it will send */
    uint64_t sent, received;
    uint8_t echo[ECHO_BYTES]; /* a server's end: what is to be sent back */
    uint64_t echo_first, echo_end;
    struct iovec iov[PIECES];
} end;

struct world {
    twi_loop *loop;
    dice dice;
    bool has_resets;
    uint16_t port;
    twi_sock listener;
    twi_op accept_op, listener_close_op;
    bool accept_armed, listener_closed;
    end clients[CLIENTS_MAX];
    end servers[SERVERS_MAX];
    uint32_t client_count;
    uint32_t done_count;
    uint64_t bytes_back;
    uint64_t breaks;
};

static uint64_t roll(dice *self, uint64_t below)
{
    self->state = self->state * 6364136223846793005u + 1442695040888963407u;
    return (self->state >> 33) % below;
}

static uint8_t stream_byte(const end *client, uint64_t position)
{
    return (uint8_t)((position * 31 + client->id * 7 + client->lives * 3 + (position >> 8)) & 0xff);
}

static const twi_loop_ops *ops(const end *self)
{
    return self->world->loop->ops;
}

static void end_life(end *self);
static void pump(end *self);

/* ---- sending ---- */

static void send_pieces(end *self, uint8_t *bytes, uint64_t length)
{
    uint32_t count = 1 + (uint32_t)roll(&self->world->dice, PIECES);
    uint64_t part = length / count;
    for (uint32_t i = 0; i < count; i++) {
        uint64_t from = i * part;
        self->iov[i] = (struct iovec){bytes + from, (size_t)(i + 1 == count ? length - from : part)};
    }
    self->send_op.iov = self->iov;
    self->send_op.iov_count = count;
    self->send_armed = true;
    ops(self)->send(self->world->loop, &self->send_op, self->sock);
}

static void pump(end *self)
{
    if (!self->is_connected || self->is_closing || self->send_armed || self->writable_armed)
        return;
    if (self->is_server) {
        if (self->echo_end > self->echo_first)
            send_pieces(self, self->echo + self->echo_first, self->echo_end - self->echo_first);
        return;
    }
    if (self->sent == self->stream_bytes)
        return;
    uint64_t length = 1 + roll(&self->world->dice, 3000);
    if (length > self->stream_bytes - self->sent)
        length = self->stream_bytes - self->sent;
    for (uint64_t i = 0; i < length; i++)
        self->echo[i] = stream_byte(self, self->sent + i);
    send_pieces(self, self->echo, length);
}

static void on_send(twi_loop *loop, twi_op *op, int32_t result, uint32_t flags)
{
    end *self = op->owner;
    TWI_ASSERT(self->send_armed && flags == 0);
    self->send_armed = false;
    if (result == TW_AGAIN && !self->is_closing) {
        self->writable_armed = true;
        loop->ops->writable(loop, &self->writable_op, self->sock);
    } else if (result < 0) {
        TWI_ASSERT(result == TW_CLOSED || result == TW_CANCELED || self->is_closing);
        self->is_broken |= result == TW_CLOSED;
        end_life(self);
    } else if (self->is_server) {
        self->echo_first += (uint64_t)result;
        pump(self);
    } else {
        self->sent += (uint64_t)result;
        pump(self);
    }
    if (self->is_closing)
        end_life(self);
}

static void on_writable(twi_loop *loop, twi_op *op, int32_t result, uint32_t flags)
{
    (void)loop;
    end *self = op->owner;
    TWI_ASSERT(self->writable_armed && flags == 0);
    TWI_ASSERT(result == 0 || result == TW_CANCELED || result == TW_CLOSED);
    self->writable_armed = false;
    if (result == 0)
        pump(self);
    if (self->is_closing)
        end_life(self);
}

/* ---- receiving ---- */

static void arm_recv(end *self)
{
    self->recv_armed = true;
    self->is_stopping = false;
    ops(self)->recv(self->world->loop, &self->recv_op, self->sock);
}

static void take_echo_space(end *self, uint64_t length)
{
    if (self->echo_end + length <= ECHO_BYTES)
        return;
    TWI_ASSERT(!self->send_armed || self->echo_end + length <= ECHO_BYTES);
    memmove(self->echo, self->echo + self->echo_first, self->echo_end - self->echo_first);
    self->echo_end -= self->echo_first;
    self->echo_first = 0;
    TWI_ASSERT(self->echo_end + length <= ECHO_BYTES);
}

static void take_bytes(end *self, const uint8_t *bytes, uint64_t length)
{
    if (self->is_server) {
        take_echo_space(self, length);
        memcpy(self->echo + self->echo_end, bytes, length);
        self->echo_end += length;
        pump(self);
        return;
    }
    for (uint64_t i = 0; i < length; i++)
        TWI_ASSERT(bytes[i] == stream_byte(self, self->received + i));
    self->received += length;
    self->world->bytes_back += length;
    TWI_ASSERT(self->received <= self->stream_bytes);
}

static void on_recv(twi_loop *loop, twi_op *op, int32_t result, uint32_t flags)
{
    end *self = op->owner;
    TWI_ASSERT(self->recv_armed);
    if (flags & TWI_OP_MORE) {
        TWI_ASSERT(result > 0);
        take_bytes(self, op->data, (uint64_t)result);
        if (self->is_closing)
            return;
        if (!self->is_server && self->received == self->stream_bytes)
            end_life(self);
        else if (!self->is_stopping && roll(&self->world->dice, 20) == 0) {
            self->is_stopping = true;
            loop->ops->recv_stop(loop, op);
        } else if (self->world->has_resets && roll(&self->world->dice, 300) == 0) {
            self->world->breaks++;
            twi_sim_break(loop, self->sock);
        }
        return;
    }
    self->recv_armed = false;
    TWI_ASSERT(result == 0 || result == TW_CANCELED || result == TW_CLOSED);
    if (result == TW_CANCELED && !self->is_closing) { /* stopped: go on a little later */
        self->timer_armed = true;
        loop->ops->timer(loop, &self->timer_op, loop->ops->now_ns(loop) + (int64_t)roll(&self->world->dice, ms_ns));
        return;
    }
    self->is_broken |= result == TW_CLOSED;
    if (!self->is_server && !self->is_closing && result == 0)
        TWI_ASSERT(self->world->has_resets); /* the server does not end first */
    end_life(self);
}

static void on_timer(twi_loop *loop, twi_op *op, int32_t result, uint32_t flags)
{
    end *self = op->owner;
    TWI_ASSERT(self->timer_armed && flags == 0);
    self->timer_armed = false;
    if (result == 0)
        TWI_ASSERT(loop->ops->now_ns(loop) >= op->deadline_ns);
    if (result == 0 && !self->is_closing && self->is_connected)
        arm_recv(self);
    else if (self->is_closing)
        end_life(self);
}

/* ---- lives ---- */

static void begin_life(end *self);

static void after_close(end *self)
{
    world *of = self->world;
    bool is_whole = self->received == self->stream_bytes;
    self->is_used = false;
    if (self->is_server)
        return;
    TWI_ASSERT(is_whole || of->has_resets);
    if (self->lives < LIVES_MAX)
        begin_life(self);
    else
        of->done_count++;
}

static bool has_ops(const end *self)
{
    return self->recv_armed || self->send_armed || self->writable_armed || self->timer_armed || self->close_armed;
}

/* Closes once; when everything of this life has ended, the next one begins. */
static void end_life(end *self)
{
    if (!self->is_closing) {
        self->is_closing = true;
        self->close_armed = true;
        if (self->timer_armed)
            ops(self)->timer_cancel(self->world->loop, &self->timer_op);
        ops(self)->close(self->world->loop, &self->close_op, self->sock);
        return;
    }
    if (self->is_used && !has_ops(self))
        after_close(self);
}

static void on_close(twi_loop *loop, twi_op *op, int32_t result, uint32_t flags)
{
    (void)loop;
    end *self = op->owner;
    TWI_ASSERT(self->close_armed && flags == 0 && result == 0);
    TWI_ASSERT(!self->recv_armed && !self->writable_armed); /* its other operations end first */
    self->close_armed = false;
    end_life(self);
}

static void on_connect(twi_loop *loop, twi_op *op, int32_t result, uint32_t flags)
{
    (void)loop;
    end *self = op->owner;
    TWI_ASSERT(flags == 0);
    if (result != 0) {
        TWI_ASSERT(self->world->has_resets && result == TW_UNAVAILABLE);
        after_close(self);
        return;
    }
    self->sock = op->sock;
    self->is_connected = true;
    arm_recv(self);
    pump(self);
}

static void init_end(world *of, end *self, bool is_server)
{
    uint32_t id = self->id, lives = self->lives;
    memset(self, 0, offsetof(end, echo));
    self->echo_first = self->echo_end = 0;
    self->world = of;
    self->id = id;
    self->lives = lives + 1;
    self->is_server = is_server;
    self->is_used = true;
    self->connect_op = (twi_op){.done = on_connect, .owner = self};
    self->recv_op = (twi_op){.done = on_recv, .owner = self};
    self->send_op = (twi_op){.done = on_send, .owner = self};
    self->writable_op = (twi_op){.done = on_writable, .owner = self};
    self->close_op = (twi_op){.done = on_close, .owner = self};
    self->timer_op = (twi_op){.done = on_timer, .owner = self};
}

static void begin_life(end *self)
{
    world *of = self->world;
    init_end(of, self, false);
    self->stream_bytes = 1 + roll(&of->dice, STREAM_MAX);
    twi_address address = {.host = "127.0.0.1", .port = of->port};
    of->loop->ops->connect(of->loop, &self->connect_op, &address);
}

static void on_accept(twi_loop *loop, twi_op *op, int32_t result, uint32_t flags)
{
    (void)loop;
    world *of = op->owner;
    if (!(flags & TWI_OP_MORE)) {
        TWI_ASSERT(result == TW_CANCELED);
        of->accept_armed = false;
        return;
    }
    end *self = of->servers;
    while (self->is_used)
        self++;
    TWI_ASSERT(self < of->servers + SERVERS_MAX);
    init_end(of, self, true);
    self->sock = op->accepted;
    self->is_connected = true;
    arm_recv(self);
}

static void on_listener_close(twi_loop *loop, twi_op *op, int32_t result, uint32_t flags)
{
    (void)loop;
    (void)flags;
    TWI_ASSERT(result == 0);
    ((world *)op->owner)->listener_closed = true;
}

/* ---- one seed ---- */

static twi_sim_faults faults_of(world *of)
{
    twi_sim_faults faults = twi_sim_default_faults();
    faults.again_ppm = (uint32_t)roll(&of->dice, 300000);
    faults.short_write_ppm = (uint32_t)roll(&of->dice, 900000);
    faults.short_read_ppm = (uint32_t)roll(&of->dice, 900000);
    faults.late_completion_ppm = (uint32_t)roll(&of->dice, TWI_SIM_PPM);
    faults.pipe_bytes = 500 + (uint32_t)roll(&of->dice, 20000);
    if (of->has_resets) {
        faults.reset_ppm = (uint32_t)roll(&of->dice, 20000);
        faults.refuse_ppm = (uint32_t)roll(&of->dice, 100000);
    }
    return faults;
}

static void open_world(world *of, uint64_t seed)
{
    char error[256] = "";
    twi_loop_config config = {.sock_count_max = SOCKS, .recv_buffer_bytes = 4096, .sim_seed = seed};
    memset(of, 0, sizeof(*of));
    of->dice.state = seed * 0x9e3779b97f4a7c15u;
    of->has_resets = seed % 2 == 0;
    TWI_ASSERT(twi_loop_sim.open(&config, &of->loop, error, sizeof(error)) == TW_OK);
    twi_sim_faults faults = faults_of(of);
    twi_sim_set_faults(of->loop, &faults);
    twi_address address = {.host = "0.0.0.0"};
    TWI_ASSERT(twi_loop_sim.listen(of->loop, &address, &of->listener, error, sizeof(error)) == TW_OK);
    of->port = twi_loop_sim.local_port(of->loop, of->listener);
    of->accept_op = (twi_op){.done = on_accept, .owner = of};
    of->accept_armed = true;
    twi_loop_sim.accept(of->loop, &of->accept_op, of->listener);
    of->client_count = 1 + (uint32_t)roll(&of->dice, CLIENTS_MAX);
    for (uint32_t i = 0; i < of->client_count; i++) {
        of->clients[i].world = of;
        of->clients[i].id = i;
        begin_life(&of->clients[i]);
    }
}

static uint64_t close_world(world *of)
{
    of->listener_close_op = (twi_op){.done = on_listener_close, .owner = of};
    twi_loop_sim.close(of->loop, &of->listener_close_op, of->listener);
    for (int polls = 0; !twi_sim_is_idle(of->loop); polls++) {
        TWI_ASSERT(polls < POLLS_MAX);
        (void)twi_loop_sim.poll(of->loop, INT64_MAX);
    }
    TWI_ASSERT(of->listener_closed && !of->accept_armed);
    for (int i = 0; i < SERVERS_MAX; i++)
        TWI_ASSERT(!of->servers[i].is_used);
    TWI_ASSERT(twi_loop_sim.poll(of->loop, INT64_MAX) == 0);
    uint64_t digest = twi_sim_digest(of->loop);
    twi_loop_sim.close_loop(of->loop);
    return digest;
}

static uint64_t run_seed(uint64_t seed, uint64_t *bytes_back)
{
    static world of;
    open_world(&of, seed);
    bool spins = seed % 3 == 0; /* as a server that never sleeps */
    for (int polls = 0; of.done_count < of.client_count; polls++) {
        TWI_ASSERT(polls < POLLS_MAX);
        (void)twi_loop_sim.poll(of.loop, spins ? 0 : INT64_MAX);
    }
    *bytes_back += of.bytes_back;
    return close_world(&of);
}

static void on_abort(int number)
{
    (void)number;
    if (write(STDERR_FILENO, failing_text, strlen(failing_text)) < 0)
        _exit(1);
}

int main(int argc, char **argv)
{
    uint64_t first = argc > 1 ? strtoull(argv[1], NULL, 0) : 1;
    uint64_t count = argc > 2 ? strtoull(argv[2], NULL, 0) : 1500;
    uint64_t bytes_back = 0, ignored = 0, all = 0;
    signal(SIGABRT, on_abort);
    for (uint64_t seed = first; seed < first + count; seed++) {
        snprintf(failing_text, sizeof(failing_text), "failed with seed %llu; repeat: loop_seeds %llu 1\n",
                 (unsigned long long)seed, (unsigned long long)seed);
        uint64_t digest = run_seed(seed, &bytes_back);
        if (seed % REPEAT_EVERY == 0)
            TWI_ASSERT(run_seed(seed, &ignored) == digest);
        all = all * 31 + digest;
    }
    printf("%llu seeds, %llu bytes echoed and checked, digest %016llx\n", (unsigned long long)count,
           (unsigned long long)bytes_back, (unsigned long long)all);
    return 0;
}
