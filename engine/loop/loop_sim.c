/* loop_sim.c - see loop_sim.h: operations, slots and polls of the simulated loop. Connections are in sim_conn.c.
 *
 * Order:     each completion of a socket is due at least a nanosecond after the one before, so that delays and random
 *            keys mix completions of different sockets only. */
#include "engine/loop/loop_sim.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/loop/net.h"
#include "engine/loop/settings.h"
#include "engine/loop/sim.h"

enum { FIRST_PORT = 40000, LAST_PORT = 65535, DEFAULT_PIPE_BYTES = 65536, CLOSE_ROUNDS = 64, LENT_OVER = 0xdd };

static sim_loop *of(twi_loop *loop)
{
    return (sim_loop *)loop;
}

twi_sim_faults twi_sim_no_faults(void)
{
    return (twi_sim_faults){.latency_min_ns = 5000,
                            .latency_max_ns = 50000,
                            .poll_ns = 2000,
                            .completion_late_ns = 20000,
                            .wake_late_ns = 2000000,
                            .pipe_bytes = DEFAULT_PIPE_BYTES,
                            .backlog_max = SIM_BACKLOG_MAX};
}

twi_sim_faults twi_sim_default_faults(void)
{
    twi_sim_faults faults = twi_sim_no_faults();
    faults.short_write_ppm = 200000;
    faults.short_read_ppm = 200000;
    faults.again_ppm = 50000;
    faults.late_completion_ppm = 200000;
    faults.late_wake_ppm = 20000;
    return faults;
}

void twi_sim_set_faults(twi_loop *loop, const twi_sim_faults *faults)
{
    sim_loop *self = of(loop);
    self->faults = *faults;
    if (self->faults.pipe_bytes == 0)
        self->faults.pipe_bytes = DEFAULT_PIPE_BYTES;
    if (self->faults.backlog_max == 0 || self->faults.backlog_max > SIM_BACKLOG_MAX)
        self->faults.backlog_max = SIM_BACKLOG_MAX;
}

uint64_t twi_sim_digest(const twi_loop *loop)
{
    return ((const sim_loop *)loop)->digest;
}

bool twi_sim_is_idle(const twi_loop *loop)
{
    const sim_loop *self = (const sim_loop *)loop;
    return self->events.count == 0 && self->timers.count == 0;
}

/* ---- completions ---- */

static void note(sim_loop *self, const twi_op *op, int32_t result)
{
    const uint64_t words[] = {op->kind, op->sock.slot, (uint64_t)(uint32_t)result, (uint64_t)self->now_ns};
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
        self->digest = (self->digest ^ words[i]) * 0x100000001b3u;
}

static int64_t completion_ns(sim_loop *self, sim_slot *slot)
{
    int64_t due_ns = self->now_ns;
    if (twi_sim_chance(&self->events, self->faults.late_completion_ppm))
        due_ns += twi_sim_between(&self->events, 0, self->faults.completion_late_ns);
    if (!slot)
        return due_ns;
    if (due_ns <= slot->last_due_ns)
        due_ns = slot->last_due_ns + 1;
    slot->last_due_ns = due_ns;
    return due_ns;
}

static void finish(sim_loop *self, sim_slot *slot, twi_op *op, int32_t result)
{
    op->state = TWI_OP_QUEUED;
    op->loop_result = result;
    twi_sim_push(&self->events, (twi_sim_event){.due_ns = completion_ns(self, slot), .kind = SIM_EVENT_OP, .op = op});
}

static void last_call(sim_loop *self, twi_op *op, int32_t result)
{
    note(self, op, result);
    twi_op_last_call(&self->loop, op, result);
}

/* An event for the slot, in the order of its completions. */
static void push_for(sim_loop *self, sim_slot *slot, uint8_t kind)
{
    slot->recv_is_due = true;
    twi_sim_push(&self->events, (twi_sim_event){.due_ns = completion_ns(self, slot),
                                                .kind = kind,
                                                .index = (uint32_t)(slot - self->slots),
                                                .generation = slot->generation});
}

/* ---- slots ---- */

static sim_slot *find_slot(const sim_loop *self, twi_sock sock)
{
    if (sock.slot >= self->config.sock_count_max)
        return NULL;
    sim_slot *found = &self->slots[sock.slot];
    return found->kind != SIM_SLOT_FREE && found->generation == sock.generation ? found : NULL;
}

static sim_slot *take_slot(sim_loop *self, uint8_t kind)
{
    if (self->free_first == SIM_NONE)
        return NULL;
    sim_slot *taken = &self->slots[self->free_first];
    self->free_first = taken->next_free;
    *taken =
        (sim_slot){.kind = kind, .generation = taken->generation, .conn = SIM_NONE, .last_due_ns = taken->last_due_ns};
    return taken;
}

static twi_sock slot_sock(const sim_loop *self, const sim_slot *slot)
{
    return (twi_sock){(uint32_t)(slot - self->slots), slot->generation};
}

static void release_slot(sim_loop *self, sim_slot *slot)
{
    free(slot->host);
    free(slot->backlog);
    slot->host = NULL;
    slot->backlog = NULL;
    slot->kind = SIM_SLOT_FREE;
    slot->generation = slot->generation == UINT32_MAX ? 1 : slot->generation + 1;
    slot->next_free = self->free_first;
    self->free_first = (uint32_t)(slot - self->slots);
}

static sim_slot *start(sim_loop *self, twi_op *op, uint8_t kind, twi_sock sock)
{
    twi_op_start(op, kind);
    op->sock = sock;
    sim_slot *found = find_slot(self, sock);
    if (!found)
        finish(self, NULL, op, self->is_closing ? TW_CANCELED : TW_CLOSED);
    return found;
}

void sim_slot_readable(sim_loop *self, uint32_t index, uint32_t generation)
{
    sim_slot *slot = &self->slots[index];
    if (slot->generation == generation && slot->in && !slot->recv_is_due)
        push_for(self, slot, SIM_EVENT_RECV);
}

void sim_slot_writable(sim_loop *self, uint32_t index, uint32_t generation)
{
    sim_slot *slot = &self->slots[index];
    if (slot->generation != generation || slot->kind != SIM_SLOT_STREAM || !slot->out || !sim_conn_has_room(self, slot))
        return;
    twi_op *op = slot->out;
    slot->out = NULL;
    finish(self, slot, op, TW_OK);
}

/* ---- listening ---- */

static bool is_unix(const char *host)
{
    return strncmp(host, "unix:", 5) == 0;
}

static bool is_same_place(const sim_slot *listener, const char *host, uint16_t port)
{
    if (listener->kind != SIM_SLOT_LISTENER || (!is_unix(host) && listener->port != port))
        return false;
    if (strcmp(listener->host, host) == 0)
        return true;
    return !is_unix(host) && (strcmp(listener->host, "0.0.0.0") == 0 || strcmp(listener->host, "::") == 0);
}

static uint16_t free_port(sim_loop *self)
{
    uint16_t port = self->next_port;
    self->next_port = port == LAST_PORT ? FIRST_PORT : port + 1;
    return port;
}

static tw_status check_place(const sim_loop *self, const twi_address *address, char *error, size_t error_cap)
{
    for (uint32_t i = 0; i < self->config.sock_count_max; i++) {
        const sim_slot *other = &self->slots[i];
        if (!is_same_place(other, address->host, address->port) || (other->reuse_port && address->reuse_port))
            continue;
        snprintf(error, error_cap, "%s port %u is in use", address->host, (unsigned)address->port);
        return TW_UNAVAILABLE;
    }
    return TW_OK;
}

static tw_status loop_listen(twi_loop *loop, const twi_address *address, twi_sock *sock, char *error, size_t error_cap)
{
    sim_loop *self = of(loop);
    twi_net_address parsed;
    tw_status status = twi_net_parse(address, &parsed, error, error_cap);
    if (status == TW_OK)
        status = check_place(self, address, error, error_cap);
    if (status != TW_OK)
        return status;
    sim_slot *slot = take_slot(self, SIM_SLOT_LISTENER);
    if (!slot) {
        snprintf(error, error_cap, "all %u sockets are in use", self->config.sock_count_max);
        return TW_FULL;
    }
    slot->host = strdup(address->host);
    slot->backlog = calloc(SIM_BACKLOG_MAX, sizeof(uint32_t));
    TWI_ASSERT(slot->host && slot->backlog);
    slot->reuse_port = address->reuse_port;
    if (!is_unix(address->host))
        slot->port = address->port ? address->port : free_port(self);
    *sock = slot_sock(self, slot);
    return TW_OK;
}

static uint16_t loop_local_port(const twi_loop *loop, twi_sock sock)
{
    const sim_slot *found = find_slot((const sim_loop *)loop, sock);
    return found ? found->port : 0;
}

static void loop_accept(twi_loop *loop, twi_op *op, twi_sock listener)
{
    sim_loop *self = of(loop);
    sim_slot *slot = start(self, op, TWI_KIND_ACCEPT, listener);
    if (!slot)
        return;
    TWI_ASSERT(slot->kind == SIM_SLOT_LISTENER && !slot->in);
    slot->in = op;
    if (slot->backlog_count > 0 && !slot->recv_is_due)
        push_for(self, slot, SIM_EVENT_ACCEPT);
}

static void on_accept(sim_loop *self, sim_slot *listener)
{
    listener->recv_is_due = false;
    if (!listener->in || listener->backlog_count == 0)
        return;
    uint32_t conn = listener->backlog[listener->backlog_first];
    listener->backlog_first = (listener->backlog_first + 1) % SIM_BACKLOG_MAX;
    if (--listener->backlog_count > 0)
        push_for(self, listener, SIM_EVENT_ACCEPT);
    sim_slot *slot = take_slot(self, SIM_SLOT_STREAM);
    if (!slot) {
        self->loop.counters.accept_refused++;
        sim_conn_close_side(self, conn, 1);
        return;
    }
    sim_conn_adopt(self, conn, (uint32_t)(slot - self->slots));
    twi_op *op = listener->in;
    op->accepted = slot_sock(self, slot);
    self->loop.counters.accepted++;
    self->loop.counters.callbacks++;
    note(self, op, (int32_t)op->accepted.slot);
    op->done(&self->loop, op, 0, TWI_OP_MORE);
}

/* ---- connecting ---- */

static void loop_connect(twi_loop *loop, twi_op *op, const twi_address *address)
{
    sim_loop *self = of(loop);
    twi_net_address parsed;
    twi_op_start(op, TWI_KIND_CONNECT);
    op->sock = (twi_sock){0, 0};
    tw_status status = self->is_closing ? TW_CANCELED : twi_net_parse(address, &parsed, NULL, 0);
    sim_slot *slot = status == TW_OK ? take_slot(self, SIM_SLOT_CONNECTING) : NULL;
    if (!slot) {
        finish(self, NULL, op, status == TW_OK ? TW_FULL : status);
        return;
    }
    slot->host = strdup(address->host);
    TWI_ASSERT(slot->host != NULL);
    slot->port = address->port;
    slot->out = op;
    op->sock = slot_sock(self, slot);
    twi_sim_push(&self->events, (twi_sim_event){.due_ns = self->now_ns + sim_latency_ns(self),
                                                .kind = SIM_EVENT_CONNECT,
                                                .index = op->sock.slot,
                                                .generation = op->sock.generation});
}

/* Several listeners on one port share its connections by chance. */
static sim_slot *find_listener(sim_loop *self, const sim_slot *caller)
{
    sim_slot *found = NULL;
    int64_t seen = 0;
    for (uint32_t i = 0; i < self->config.sock_count_max; i++) {
        sim_slot *listener = &self->slots[i];
        if (is_same_place(listener, caller->host, caller->port) && twi_sim_between(&self->events, 0, seen++) == 0)
            found = listener;
    }
    return found;
}

static void on_connect(sim_loop *self, sim_slot *slot)
{
    sim_slot *listener = find_listener(self, slot);
    twi_op *op = slot->out;
    slot->out = NULL;
    if (!listener || listener->backlog_count >= self->faults.backlog_max ||
        twi_sim_chance(&self->events, self->faults.refuse_ppm)) {
        release_slot(self, slot);
        finish(self, slot, op, TW_UNAVAILABLE);
        return;
    }
    slot->kind = SIM_SLOT_STREAM;
    uint32_t conn = sim_conn_open(self, (uint32_t)(slot - self->slots));
    listener->backlog[(listener->backlog_first + listener->backlog_count++) % SIM_BACKLOG_MAX] = conn;
    if (listener->in && !listener->recv_is_due)
        push_for(self, listener, SIM_EVENT_ACCEPT);
    finish(self, slot, op, TW_OK);
}

/* ---- bytes ---- */

static void loop_recv(twi_loop *loop, twi_op *op, twi_sock sock)
{
    sim_loop *self = of(loop);
    sim_slot *slot = start(self, op, TWI_KIND_RECV, sock);
    if (!slot)
        return;
    TWI_ASSERT(slot->kind == SIM_SLOT_STREAM && !slot->in);
    slot->in = op;
    if (!slot->recv_is_due && sim_conn_has_news(self, slot))
        push_for(self, slot, SIM_EVENT_RECV);
}

static void loop_recv_stop(twi_loop *loop, twi_op *op)
{
    sim_loop *self = of(loop);
    sim_slot *slot = find_slot(self, op->sock);
    if (op->state != TWI_OP_ARMED || !slot || slot->in != op)
        return;
    slot->in = NULL;
    finish(self, slot, op, TW_CANCELED);
}

static void on_recv(sim_loop *self, sim_slot *slot)
{
    slot->recv_is_due = false;
    twi_op *op = slot->in;
    if (!op)
        return;
    int32_t result = sim_conn_read(self, slot, self->recv_buffer, self->config.recv_buffer_bytes);
    if (result == TW_AGAIN)
        return;
    if (result <= 0) {
        slot->in = NULL;
        last_call(self, op, result);
        return;
    }
    if (sim_conn_has_news(self, slot))
        push_for(self, slot, SIM_EVENT_RECV);
    op->data = self->recv_buffer;
    self->loop.counters.recvs++;
    self->loop.counters.callbacks++;
    note(self, op, result);
    op->done(&self->loop, op, result, TWI_OP_MORE);
    memset(self->recv_buffer, LENT_OVER, (size_t)result); /* whoever kept the pointer reads nonsense */
}

static void loop_send(twi_loop *loop, twi_op *op, twi_sock sock)
{
    sim_loop *self = of(loop);
    sim_slot *slot = start(self, op, TWI_KIND_SEND, sock);
    if (!slot)
        return;
    TWI_ASSERT(op->iov_count > 0 && op->iov_count <= TWI_IOV_MAX);
    TWI_ASSERT(slot->kind == SIM_SLOT_STREAM);
    int32_t result = sim_conn_write(self, slot, op->iov, op->iov_count);
    twi_loop_count_send(&loop->counters, op, result);
    finish(self, slot, op, result);
}

static void loop_writable(twi_loop *loop, twi_op *op, twi_sock sock)
{
    sim_loop *self = of(loop);
    sim_slot *slot = start(self, op, TWI_KIND_WRITABLE, sock);
    if (!slot)
        return;
    TWI_ASSERT(slot->kind == SIM_SLOT_STREAM && !slot->out);
    slot->out = op;
    sim_slot_writable(self, sock.slot, sock.generation);
}

static void loop_shutdown(twi_loop *loop, twi_op *op, twi_sock sock)
{
    sim_loop *self = of(loop);
    sim_slot *slot = start(self, op, TWI_KIND_SHUTDOWN, sock);
    if (!slot)
        return;
    TWI_ASSERT(slot->kind == SIM_SLOT_STREAM);
    finish(self, slot, op, sim_conn_shut(self, slot));
}

static void end_slot(sim_loop *self, sim_slot *slot)
{
    if (slot->in)
        finish(self, slot, slot->in, TW_CANCELED);
    if (slot->out)
        finish(self, slot, slot->out, TW_CANCELED);
    for (uint32_t i = 0; i < slot->backlog_count; i++)
        sim_conn_close_side(self, slot->backlog[(slot->backlog_first + i) % SIM_BACKLOG_MAX], 1);
    if (slot->kind == SIM_SLOT_STREAM)
        sim_conn_close_side(self, slot->conn, slot->side);
    release_slot(self, slot);
}

static void loop_close(twi_loop *loop, twi_op *op, twi_sock sock)
{
    sim_loop *self = of(loop);
    sim_slot *slot = start(self, op, TWI_KIND_CLOSE, sock);
    if (!slot)
        return;
    end_slot(self, slot);
    finish(self, slot, op, TW_OK);
}

void twi_sim_break(twi_loop *loop, twi_sock sock)
{
    sim_loop *self = of(loop);
    sim_slot *slot = find_slot(self, sock);
    if (slot && slot->kind == SIM_SLOT_STREAM)
        sim_conn_break(self, slot->conn);
}

/* ---- timers, wake-ups, polls ---- */

static void loop_timer(twi_loop *loop, twi_op *op, int64_t deadline_ns)
{
    sim_loop *self = of(loop);
    twi_op_start(op, TWI_KIND_TIMER);
    op->deadline_ns = deadline_ns;
    tw_status status = self->is_closing ? TW_CANCELED : twi_timers_arm(&self->timers, op, deadline_ns);
    if (status == TW_OK)
        return;
    op->state = TWI_OP_QUEUED;
    op->loop_result = status;
    twi_sim_push(&self->events, (twi_sim_event){.due_ns = self->now_ns, .kind = SIM_EVENT_OP, .op = op});
}

static void loop_timer_cancel(twi_loop *loop, twi_op *op)
{
    sim_loop *self = of(loop);
    if (op->kind != TWI_KIND_TIMER || op->state != TWI_OP_ARMED)
        return;
    twi_timers_cancel(&self->timers, op);
    op->state = TWI_OP_QUEUED;
    op->loop_result = TW_CANCELED;
    twi_sim_push(&self->events, (twi_sim_event){.due_ns = self->now_ns, .kind = SIM_EVENT_OP, .op = op});
}

static void loop_wake(twi_loop *loop)
{
    (void)twi_wake_leave_token(&of(loop)->wake);
}

/* Moves the clock: a little for the poll itself, and on to what comes next if the poll may sleep so long. */
static void pass_time(sim_loop *self, int64_t wait_until_ns)
{
    self->now_ns += twi_sim_between(&self->events, 1, self->faults.poll_ns);
    bool is_woken = twi_wake_take_token(&self->wake);
    self->loop.counters.wakes += is_woken;
    int64_t next_ns = twi_sim_next_ns(&self->events);
    if (twi_timers_next_ns(&self->timers) < next_ns)
        next_ns = twi_timers_next_ns(&self->timers);
    int64_t until_ns = next_ns < wait_until_ns ? next_ns : wait_until_ns;
    if (is_woken || until_ns <= self->now_ns || until_ns == INT64_MAX)
        return;
    self->loop.counters.sleeps++;
    self->now_ns = until_ns;
    if (twi_sim_chance(&self->events, self->faults.late_wake_ppm))
        self->now_ns += twi_sim_between(&self->events, 0, self->faults.wake_late_ns);
}

static void on_event(sim_loop *self, const twi_sim_event *event)
{
    if (event->kind == SIM_EVENT_OP) {
        last_call(self, event->op, event->op->loop_result);
        return;
    }
    if (event->kind >= SIM_EVENT_ARRIVE) {
        sim_conn_event(self, event);
        return;
    }
    sim_slot *slot = &self->slots[event->index];
    if (slot->kind == SIM_SLOT_FREE || slot->generation != event->generation)
        return;
    if (event->kind == SIM_EVENT_CONNECT)
        on_connect(self, slot);
    else if (event->kind == SIM_EVENT_ACCEPT)
        on_accept(self, slot);
    else
        on_recv(self, slot);
}

static uint32_t loop_poll(twi_loop *loop, int64_t wait_until_ns)
{
    sim_loop *self = of(loop);
    uint64_t before = loop->counters.callbacks;
    loop->counters.polls++;
    pass_time(self, wait_until_ns);
    uint64_t sequence_end = self->events.sequence; /* what the callbacks start is for the next poll */
    twi_sim_event event;
    while (twi_sim_pop(&self->events, self->now_ns, sequence_end, &event))
        on_event(self, &event);
    (void)twi_timers_run(&self->timers, loop, self->now_ns);
    return (uint32_t)(loop->counters.callbacks - before);
}

/* ---- open and close ---- */

static size_t loop_memory_bytes(const twi_loop_config *config)
{
    twi_loop_config full = twi_loop_settings(config);
    return sizeof(sim_loop) + full.sock_count_max * sizeof(sim_slot) + full.recv_buffer_bytes +
           full.timer_count_max * sizeof(twi_timer_entry);
}

static tw_status loop_open(const twi_loop_config *config, twi_loop **loop, char *error, size_t error_cap)
{
    sim_loop *self = calloc(1, sizeof(*self));
    if (!self)
        return TW_NO_MEMORY;
    self->loop.ops = &twi_loop_sim;
    self->config = twi_loop_settings(config);
    uint32_t count = self->config.sock_count_max;
    self->slots = calloc(count, sizeof(sim_slot));
    self->recv_buffer = malloc(self->config.recv_buffer_bytes);
    tw_status status = twi_timers_init(&self->timers, self->config.timer_count_max);
    if (status != TW_OK || !self->slots || !self->recv_buffer) {
        twi_timers_fini(&self->timers);
        free(self->slots);
        free(self->recv_buffer);
        free(self);
        snprintf(error, error_cap, "no memory for %u sockets", count);
        return TW_NO_MEMORY;
    }
    for (uint32_t i = 0; i < count; i++)
        self->slots[i] = (sim_slot){.generation = 1, .next_free = i + 1 < count ? i + 1 : SIM_NONE};
    self->conn_free_first = SIM_NONE;
    self->now_ns = TWI_SIM_BEGIN_NS;
    self->next_port = FIRST_PORT;
    twi_sim_events_init(&self->events, self->config.sim_seed);
    twi_sim_faults faults = twi_sim_default_faults();
    faults.pipe_bytes = self->config.socket_send_bytes + self->config.socket_recv_bytes;
    twi_sim_set_faults(&self->loop, &faults);
    *loop = &self->loop;
    return TW_OK;
}

static void loop_close_loop(twi_loop *loop)
{
    sim_loop *self = of(loop);
    self->is_closing = true;
    for (uint32_t i = 0; i < self->config.sock_count_max; i++)
        if (self->slots[i].kind != SIM_SLOT_FREE)
            end_slot(self, &self->slots[i]);
    for (twi_op *op; (op = twi_timers_pop(&self->timers, INT64_MAX)) != NULL;)
        finish(self, NULL, op, TW_CANCELED);
    for (int round = 0; self->events.count > 0; round++) {
        TWI_ASSERT(round < CLOSE_ROUNDS); /* a callback starts a new operation each time it is told TW_CANCELED */
        uint64_t sequence_end = self->events.sequence;
        twi_sim_event event;
        while (twi_sim_pop(&self->events, INT64_MAX, sequence_end, &event))
            on_event(self, &event);
    }
    sim_conns_fini(self);
    twi_sim_events_fini(&self->events);
    twi_timers_fini(&self->timers);
    free(self->slots);
    free(self->recv_buffer);
    free(self);
}

static const char *loop_features(const twi_loop *loop)
{
    (void)loop;
    return "seeded,virtual_time,faults";
}

static int64_t loop_now_ns(const twi_loop *loop)
{
    return ((const sim_loop *)loop)->now_ns;
}

const twi_loop_ops twi_loop_sim = {
    .name = "sim",
    .memory_bytes = loop_memory_bytes,
    .open = loop_open,
    .close_loop = loop_close_loop,
    .features = loop_features,
    .now_ns = loop_now_ns,
    .listen = loop_listen,
    .local_port = loop_local_port,
    .accept = loop_accept,
    .connect = loop_connect,
    .recv = loop_recv,
    .recv_stop = loop_recv_stop,
    .send = loop_send,
    .writable = loop_writable,
    .shutdown = loop_shutdown,
    .close = loop_close,
    .timer = loop_timer,
    .timer_cancel = loop_timer_cancel,
    .wake = loop_wake,
    .poll = loop_poll,
};
