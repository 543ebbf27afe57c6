/* readiness.c - see readiness.h. */
#include "engine/loop/readiness.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine/base/clock.h"
#include "engine/base/compiler.h"
#include "engine/loop/net.h"
#include "engine/loop/op.h"
#include "engine/loop/settings.h"
#include "engine/loop/timers.h"
#include "engine/loop/wake.h"

enum {
    RECV_BUDGET = 8,    /* buffers of one socket per poll, so that a flood on one does not starve the others */
    ACCEPT_BUDGET = 64, /* connections of one listener per poll, likewise */
    CLOSE_ROUNDS = 64   /* callbacks that start new operations while the loop closes get this many turns */
};
static const uint32_t no_slot = UINT32_MAX;

enum { SLOT_READABLE = 1u << 0, SLOT_ENDED = 1u << 1, SLOT_IN_RUN = 1u << 2, SLOT_LISTENER = 1u << 3 };

typedef struct slot {
    int fd; /* -1: free */
    uint32_t generation;
    twi_op *in;  /* accept or recv */
    twi_op *out; /* connect or writable */
    char *unix_path;
    uint32_t flags;
    uint32_t next; /* free list, or run list */
} slot;

typedef struct readiness {
    twi_loop loop;
    const twi_poller_ops *ops;
    twi_poller poller;
    twi_loop_config config;
    slot *slots;
    uint32_t free_first;
    uint32_t *run; /* slots that are readable and wanted: a ring of sock_count_max places, each slot at most once */
    uint32_t run_head;
    uint32_t run_count;
    uint8_t *recv_buffer;
    twi_op_queue finished;
    twi_timers timers;
    int64_t now_ns;
    int64_t accept_retry_ns; /* INT64_MAX: nothing to retry */
    int spare_fd;            /* given up for a moment to refuse a connection when the process is out of descriptors */
    bool is_closing;
    twi_wake_word wake;
    twi_ready_event events[TWI_READY_BATCH];
} readiness;

static readiness *of(twi_loop *loop)
{
    return (readiness *)loop;
}

size_t twi_readiness_memory_bytes(const twi_loop_config *config)
{
    twi_loop_config full = twi_loop_settings(config);
    return sizeof(readiness) + full.sock_count_max * (sizeof(slot) + sizeof(uint32_t)) + full.recv_buffer_bytes +
           full.timer_count_max * sizeof(twi_timer_entry);
}

static void release_memory(readiness *self)
{
    twi_timers_fini(&self->timers);
    free(self->slots);
    free(self->run);
    free(self->recv_buffer);
    free(self);
}

static void init_slots(readiness *self)
{
    uint32_t count = self->config.sock_count_max;
    for (uint32_t i = 0; i < count; i++)
        self->slots[i] = (slot){.fd = -1, .generation = 1, .next = i + 1 < count ? i + 1 : no_slot};
    self->free_first = 0;
}

tw_status twi_readiness_open(const twi_loop_ops *ops, const twi_poller_ops *poller, const twi_loop_config *config,
                             twi_loop **loop, char *error, size_t error_cap)
{
    readiness *self = calloc(1, sizeof(*self));
    if (!self)
        return TW_NO_MEMORY;
    self->loop.ops = ops;
    self->ops = poller;
    self->config = twi_loop_settings(config);
    self->slots = calloc(self->config.sock_count_max, sizeof(slot));
    self->run = calloc(self->config.sock_count_max, sizeof(uint32_t));
    self->recv_buffer = malloc(self->config.recv_buffer_bytes);
    tw_status status = twi_timers_init(&self->timers, self->config.timer_count_max);
    if (!self->slots || !self->run || !self->recv_buffer)
        status = TW_NO_MEMORY;
    if (status == TW_OK)
        status = poller->open(&self->poller, &self->config, error, error_cap);
    else
        snprintf(error, error_cap, "no memory for %u sockets", self->config.sock_count_max);
    if (status != TW_OK) {
        release_memory(self);
        return status;
    }
    init_slots(self);
    self->spare_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    self->now_ns = twi_monotonic_ns();
    self->accept_retry_ns = INT64_MAX;
    *loop = &self->loop;
    return TW_OK;
}

const char *twi_readiness_features(const twi_loop *loop)
{
    return ((const readiness *)loop)->poller.features;
}

int64_t twi_readiness_now_ns(const twi_loop *loop)
{
    return ((const readiness *)loop)->now_ns;
}

/* ---- slots ---- */

static uint64_t slot_key(const readiness *self, const slot *of_slot)
{
    return (uint64_t)of_slot->generation << 32 | (uint64_t)(of_slot - self->slots);
}

static twi_sock slot_sock(const readiness *self, const slot *of_slot)
{
    return (twi_sock){(uint32_t)(of_slot - self->slots), of_slot->generation};
}

static slot *find_slot(const readiness *self, twi_sock sock)
{
    if (sock.slot >= self->config.sock_count_max)
        return NULL;
    slot *found = &self->slots[sock.slot];
    return found->fd >= 0 && found->generation == sock.generation ? found : NULL;
}

/* NULL when the table is full; the caller keeps the descriptor then. */
static slot *take_slot(readiness *self, int fd)
{
    if (self->free_first == no_slot)
        return NULL;
    slot *taken = &self->slots[self->free_first];
    self->free_first = taken->next;
    taken->fd = fd;
    taken->flags &= SLOT_IN_RUN; /* it may still stand in the run ring from its last life */
    taken->in = taken->out = NULL;
    taken->unix_path = NULL;
    return taken;
}

static void release_slot(readiness *self, slot *released)
{
    close(released->fd);
    if (released->unix_path) {
        unlink(released->unix_path);
        free(released->unix_path);
    }
    released->fd = -1;
    released->generation = released->generation == UINT32_MAX ? 1 : released->generation + 1;
    released->next = self->free_first;
    self->free_first = (uint32_t)(released - self->slots);
}

static void run_later(readiness *self, slot *runnable)
{
    if (runnable->flags & SLOT_IN_RUN)
        return;
    runnable->flags |= SLOT_IN_RUN;
    uint32_t place = (self->run_head + self->run_count++) % self->config.sock_count_max;
    self->run[place] = (uint32_t)(runnable - self->slots);
}

static void finish(readiness *self, twi_op *op, int32_t result)
{
    twi_op_finish(&self->finished, op, result);
}

/* Starts the op if the socket is there; otherwise the op ends as TW_CLOSED. */
static slot *start(readiness *self, twi_op *op, uint8_t kind, twi_sock sock)
{
    twi_op_start(op, kind);
    op->sock = sock;
    slot *found = find_slot(self, sock);
    if (!found)
        finish(self, op, self->is_closing ? TW_CANCELED : TW_CLOSED);
    return found;
}

/* ---- listening, accepting, connecting ---- */

tw_status twi_readiness_listen(twi_loop *loop, const twi_address *address, twi_sock *sock, char *error,
                               size_t error_cap)
{
    readiness *self = of(loop);
    int fd = -1;
    tw_status status = twi_net_listen(address, &self->config, &fd, error, error_cap);
    if (status != TW_OK)
        return status;
    slot *listener = take_slot(self, fd);
    if (!listener) {
        close(fd);
        snprintf(error, error_cap, "all %u sockets are in use", self->config.sock_count_max);
        return TW_FULL;
    }
    listener->flags |= SLOT_LISTENER;
    listener->unix_path = twi_net_unix_path(address);
    int failed = self->ops->watch(&self->poller, fd, slot_key(self, listener));
    if (failed) {
        snprintf(error, error_cap, "cannot watch the listener: %s", strerror(failed));
        release_slot(self, listener);
        return twi_net_status(failed);
    }
    *sock = slot_sock(self, listener);
    return TW_OK;
}

uint16_t twi_readiness_local_port(const twi_loop *loop, twi_sock sock)
{
    const slot *found = find_slot((const readiness *)loop, sock);
    return found ? twi_net_local_port(found->fd) : 0;
}

void twi_readiness_accept(twi_loop *loop, twi_op *op, twi_sock listener)
{
    readiness *self = of(loop);
    slot *found = start(self, op, TWI_KIND_ACCEPT, listener);
    if (!found)
        return;
    TWI_ASSERT(!found->in);
    TWI_ASSERT(found->flags & SLOT_LISTENER);
    found->in = op;
    if (found->flags & SLOT_READABLE)
        run_later(self, found);
}

/* Out of descriptors: the connection at the head of the queue would be reported forever. Refuse it with the spare one.
 */
static bool refuse_with_spare(readiness *self, int listener_fd)
{
    if (self->spare_fd < 0)
        return false;
    close(self->spare_fd);
    int fd = accept(listener_fd, NULL, NULL);
    if (fd >= 0)
        close(fd);
    self->spare_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    if (fd >= 0)
        self->loop.counters.accept_refused++;
    return fd >= 0;
}

/* True: another connection may be waiting. */
static bool accept_failed(readiness *self, slot *listener, int error)
{
    if (twi_net_would_block(error)) {
        listener->flags &= ~(uint32_t)SLOT_READABLE;
        return false;
    }
    if (error == EINTR || error == ECONNABORTED)
        return true;
    if ((error == EMFILE || error == ENFILE) && refuse_with_spare(self, listener->fd))
        return true;
    self->loop.counters.accept_failed++;
    self->accept_retry_ns = self->now_ns + TWI_LOOP_ACCEPT_RETRY_NS;
    return false;
}

static slot *adopt(readiness *self, int fd)
{
    slot *accepted = take_slot(self, fd);
    if (accepted && self->ops->watch(&self->poller, fd, slot_key(self, accepted)) == 0)
        return accepted;
    if (accepted)
        release_slot(self, accepted);
    else
        close(fd);
    self->loop.counters.accept_refused++;
    return NULL;
}

static uint32_t run_accept(readiness *self, slot *listener)
{
    uint32_t callbacks = 0;
    uint32_t generation = listener->generation;
    for (int turn = 0; turn < ACCEPT_BUDGET; turn++) {
        int fd = twi_net_accept(listener->fd, &self->config);
        if (fd < 0) {
            if (accept_failed(self, listener, errno))
                continue;
            return callbacks;
        }
        slot *accepted = adopt(self, fd);
        if (!accepted)
            continue;
        twi_op *op = listener->in;
        op->accepted = slot_sock(self, accepted);
        self->loop.counters.accepted++;
        self->loop.counters.callbacks++;
        callbacks++;
        op->done(&self->loop, op, 0, TWI_OP_MORE);
        if (listener->generation != generation || !listener->in)
            return callbacks;
    }
    run_later(self, listener);
    return callbacks;
}

/* Watches after connect(), because a socket that has not begun to connect reports a hang-up. Returns an errno value,
 * EINPROGRESS among them. */
static int start_connect(readiness *self, slot *connecting, const twi_net_address *address)
{
    int outcome = connect(connecting->fd, (const struct sockaddr *)&address->storage, address->length) == 0 ? 0 : errno;
    if (outcome != 0 && outcome != EINPROGRESS)
        return outcome;
    int failed = self->ops->watch(&self->poller, connecting->fd, slot_key(self, connecting));
    if (!failed && outcome == EINPROGRESS)
        failed = self->ops->want_write(&self->poller, connecting->fd, slot_key(self, connecting));
    return failed ? failed : outcome;
}

void twi_readiness_connect(twi_loop *loop, twi_op *op, const twi_address *address)
{
    readiness *self = of(loop);
    twi_net_address parsed;
    int fd = -1;
    twi_op_start(op, TWI_KIND_CONNECT);
    op->sock = (twi_sock){0, 0};
    tw_status status = self->is_closing ? TW_CANCELED : twi_net_parse(address, &parsed, NULL, 0);
    if (status == TW_OK)
        status = twi_net_socket(&parsed, &self->config, &fd);
    if (status != TW_OK) {
        finish(self, op, status);
        return;
    }
    slot *connecting = take_slot(self, fd);
    if (!connecting) {
        close(fd);
        finish(self, op, TW_FULL);
        return;
    }
    op->sock = slot_sock(self, connecting);
    int outcome = start_connect(self, connecting, &parsed);
    if (outcome == EINPROGRESS) {
        connecting->out = op;
        return;
    }
    if (outcome != 0)
        release_slot(self, connecting);
    finish(self, op, twi_net_status(outcome));
}

/* ---- bytes ---- */

void twi_readiness_recv(twi_loop *loop, twi_op *op, twi_sock sock)
{
    readiness *self = of(loop);
    slot *found = start(self, op, TWI_KIND_RECV, sock);
    if (!found)
        return;
    TWI_ASSERT(!found->in);
    found->in = op;
    if (found->flags & SLOT_READABLE)
        run_later(self, found);
}

void twi_readiness_recv_stop(twi_loop *loop, twi_op *op)
{
    readiness *self = of(loop);
    slot *found = find_slot(self, op->sock);
    if (op->state != TWI_OP_ARMED || !found || found->in != op)
        return;
    found->in = NULL;
    finish(self, op, TW_CANCELED);
}

static void end_recv(readiness *self, slot *ended, int32_t result)
{
    twi_op *op = ended->in;
    ended->in = NULL;
    twi_op_last_call(&self->loop, op, result);
}

static uint32_t run_recv(readiness *self, slot *readable)
{
    uint32_t generation = readable->generation;
    size_t capacity = self->config.recv_buffer_bytes;
    for (uint32_t turn = 0; turn < RECV_BUDGET; turn++) {
        ssize_t taken = recv(readable->fd, self->recv_buffer, capacity, MSG_DONTWAIT);
        if (taken < 0 && errno == EINTR)
            continue;
        if (taken < 0 && twi_net_would_block(errno)) {
            readable->flags &= ~(uint32_t)SLOT_READABLE;
            return turn;
        }
        if (taken <= 0) {
            end_recv(self, readable, taken == 0 ? 0 : (int32_t)twi_net_status(errno));
            return turn + 1;
        }
        /* A short read of a stream emptied it, so the next byte is a new edge; unless its end was reported already. */
        bool is_empty = (size_t)taken < capacity && !(readable->flags & SLOT_ENDED);
        if (is_empty)
            readable->flags &= ~(uint32_t)SLOT_READABLE;
        twi_op *op = readable->in;
        op->data = self->recv_buffer;
        self->loop.counters.recvs++;
        self->loop.counters.callbacks++;
        op->done(&self->loop, op, (int32_t)taken, TWI_OP_MORE);
        if (readable->generation != generation || !readable->in || is_empty)
            return turn + 1;
    }
    run_later(self, readable);
    return RECV_BUDGET;
}

static ssize_t send_once(int fd, const twi_op *op)
{
    if (op->iov_count == 1)
        return send(fd, op->iov->iov_base, op->iov->iov_len, TWI_NET_SEND_FLAGS);
    struct msghdr message = {.msg_iov = (struct iovec *)(uintptr_t)op->iov, .msg_iovlen = (int)op->iov_count};
    return sendmsg(fd, &message, TWI_NET_SEND_FLAGS);
}

void twi_readiness_send(twi_loop *loop, twi_op *op, twi_sock sock)
{
    readiness *self = of(loop);
    slot *found = start(self, op, TWI_KIND_SEND, sock);
    if (!found)
        return;
    TWI_ASSERT(op->iov_count > 0 && op->iov_count <= TWI_IOV_MAX);
    ssize_t taken;
    do {
        taken = send_once(found->fd, op);
    } while (taken < 0 && errno == EINTR);
    int32_t result = taken >= 0 ? (int32_t)taken : (int32_t)twi_net_status(errno);
    twi_loop_count_send(&loop->counters, op, result);
    finish(self, op, result);
}

void twi_readiness_writable(twi_loop *loop, twi_op *op, twi_sock sock)
{
    readiness *self = of(loop);
    slot *found = start(self, op, TWI_KIND_WRITABLE, sock);
    if (!found)
        return;
    TWI_ASSERT(!found->out);
    int failed = self->ops->want_write(&self->poller, found->fd, slot_key(self, found));
    if (failed)
        finish(self, op, twi_net_status(failed));
    else
        found->out = op;
}

static void run_out(readiness *self, slot *writable)
{
    twi_op *op = writable->out;
    writable->out = NULL;
    self->ops->written_off(&self->poller, writable->fd, slot_key(self, writable));
    tw_status status = TW_OK;
    if (op->kind == TWI_KIND_CONNECT)
        status = twi_net_connect_result(writable->fd);
    if (status != TW_OK)
        release_slot(self, writable);
    finish(self, op, status);
}

void twi_readiness_shutdown(twi_loop *loop, twi_op *op, twi_sock sock)
{
    readiness *self = of(loop);
    slot *found = start(self, op, TWI_KIND_SHUTDOWN, sock);
    if (found)
        finish(self, op, shutdown(found->fd, SHUT_WR) == 0 ? TW_OK : (int32_t)twi_net_status(errno));
}

static void end_slot(readiness *self, slot *ending)
{
    if (ending->in)
        finish(self, ending->in, TW_CANCELED);
    if (ending->out)
        finish(self, ending->out, TW_CANCELED);
    release_slot(self, ending);
}

void twi_readiness_close(twi_loop *loop, twi_op *op, twi_sock sock)
{
    readiness *self = of(loop);
    slot *found = start(self, op, TWI_KIND_CLOSE, sock);
    if (!found)
        return;
    end_slot(self, found);
    finish(self, op, TW_OK);
}

/* ---- timers and wake-ups ---- */

void twi_readiness_timer(twi_loop *loop, twi_op *op, int64_t deadline_ns)
{
    readiness *self = of(loop);
    twi_op_start(op, TWI_KIND_TIMER);
    op->deadline_ns = deadline_ns;
    tw_status status = self->is_closing ? TW_CANCELED : twi_timers_arm(&self->timers, op, deadline_ns);
    if (status != TW_OK)
        finish(self, op, status);
}

void twi_readiness_timer_cancel(twi_loop *loop, twi_op *op)
{
    readiness *self = of(loop);
    if (op->kind != TWI_KIND_TIMER || op->state != TWI_OP_ARMED)
        return;
    twi_timers_cancel(&self->timers, op);
    finish(self, op, TW_CANCELED);
}

void twi_readiness_wake(twi_loop *loop)
{
    readiness *self = of(loop);
    if (twi_wake_leave_token(&self->wake))
        self->ops->notify(&self->poller);
}

/* ---- poll ---- */

static uint32_t wait_for_events(readiness *self, int64_t wait_until_ns)
{
    bool has_work = self->finished.count > 0 || self->run_count > 0;
    int64_t until_ns = self->accept_retry_ns < wait_until_ns ? self->accept_retry_ns : wait_until_ns;
    int64_t timeout_ns = has_work ? 0 : twi_timers_wait_ns(&self->timers, until_ns);
    if (timeout_ns != 0 && !twi_wake_may_sleep(&self->wake)) {
        self->loop.counters.wakes++;
        timeout_ns = 0;
    }
    self->loop.counters.sleeps += timeout_ns != 0;
    uint32_t count = self->ops->wait(&self->poller, self->events, TWI_READY_BATCH, timeout_ns);
    if (twi_wake_take_token(&self->wake))
        self->loop.counters.wakes++;
    return count;
}

static void take_event(readiness *self, const twi_ready_event *event)
{
    slot *found = find_slot(self, (twi_sock){(uint32_t)event->key, (uint32_t)(event->key >> 32)});
    if (!found)
        return; /* closed by an earlier event of the same batch */
    if (event->what & (TWI_READY_IN | TWI_READY_END))
        found->flags |= SLOT_READABLE;
    if (event->what & TWI_READY_END)
        found->flags |= SLOT_ENDED;
    if (found->in && (found->flags & SLOT_READABLE))
        run_later(self, found);
    if (found->out && (event->what & (TWI_READY_OUT | TWI_READY_END)))
        run_out(self, found);
}

static uint32_t run_slots(readiness *self)
{
    uint32_t callbacks = 0;
    uint32_t count = self->run_count;
    for (uint32_t i = 0; i < count; i++) {
        slot *next = &self->slots[self->run[self->run_head]];
        self->run_head = (self->run_head + 1) % self->config.sock_count_max;
        self->run_count--;
        next->flags &= ~(uint32_t)SLOT_IN_RUN;
        if (next->fd < 0 || !next->in || !(next->flags & SLOT_READABLE))
            continue;
        callbacks += next->flags & SLOT_LISTENER ? run_accept(self, next) : run_recv(self, next);
    }
    return callbacks;
}

/* Accepting failed for want of something that the system may have again by now. */
static void retry_accepts(readiness *self)
{
    self->accept_retry_ns = INT64_MAX;
    for (uint32_t i = 0; i < self->config.sock_count_max; i++) {
        slot *listener = &self->slots[i];
        if (listener->fd >= 0 && listener->flags & SLOT_LISTENER && listener->in && listener->flags & SLOT_READABLE)
            run_later(self, listener);
    }
}

uint32_t twi_readiness_poll(twi_loop *loop, int64_t wait_until_ns)
{
    readiness *self = of(loop);
    loop->counters.polls++;
    uint32_t count = wait_for_events(self, wait_until_ns);
    self->now_ns = twi_monotonic_ns();
    for (uint32_t i = 0; i < count; i++)
        take_event(self, &self->events[i]);
    if (self->now_ns >= self->accept_retry_ns)
        retry_accepts(self);
    uint32_t callbacks = run_slots(self);
    callbacks += twi_timers_run(&self->timers, loop, self->now_ns);
    callbacks += twi_op_queue_run(loop, &self->finished);
    return callbacks;
}

void twi_readiness_close_loop(twi_loop *loop)
{
    readiness *self = of(loop);
    self->is_closing = true;
    for (uint32_t i = 0; i < self->config.sock_count_max; i++)
        if (self->slots[i].fd >= 0)
            end_slot(self, &self->slots[i]);
    for (twi_op *op; (op = twi_timers_pop(&self->timers, INT64_MAX)) != NULL;)
        finish(self, op, TW_CANCELED);
    for (int round = 0; self->finished.count > 0; round++) {
        TWI_ASSERT(round < CLOSE_ROUNDS); /* a callback starts a new operation each time it is told TW_CANCELED */
        twi_op_queue_run(loop, &self->finished);
    }
    if (self->spare_fd >= 0)
        close(self->spare_fd);
    self->ops->close(&self->poller);
    release_memory(self);
}
