/* loop_uring.c - the loop on io_uring: operations become submissions, completions become callbacks.
 *
 * Sending:    MSG_DONTWAIT makes each send end inside the submission that carries it, with bytes taken or EAGAIN;
 *             nothing is left pinned under the kernel. Sends are submitted in batches of send_batch, because the system
 *             call is a small but real part of their cost and the first receiver should not wait for the last.
 * Receiving:  one multishot receive per socket takes buffers from a shared ring. Where it ends by itself (no buffer was
 *             free, the completion queue was full, or the kernel has no multishot) it is armed again unseen.
 * Closing:    the handle dies at once; armed operations are cancelled by their address; when the last of them has
 *             completed, the file is closed, and only then is the slot free again. So a completion never finds another
 *             socket in its slot.
 * Sockets:    are blocking on purpose: io_uring waits by itself, and answers EAGAIN at once on a non-blocking file.
 * Non-goals:  set-up and probing; see uring_setup.c. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "engine/base/clock.h"
#include "engine/loop/settings.h"
#include "engine/loop/uring.h"

enum {
    SUBMIT_TRIES = 1000, /* a queue that stays full for so long is a broken kernel */
    CLOSE_ROUNDS = 64,
    CLOSE_WAIT_SECONDS = 10,
    OP_STOPPING = 1u << 0 /* in op->loop_flags: recv_stop() was called */
};
static const int64_t ns_per_second = 1000000000;

static uring_loop *of(twi_loop *loop)
{
    return (uring_loop *)loop;
}

/* ---- submissions ---- */

static void submit(uring_loop *self)
{
    for (int turn = 0; turn < SUBMIT_TRIES; turn++) {
        int result = io_uring_submit(&self->ring);
        TWI_ASSERT(result != -EEXIST); /* another thread than the one that called open() */
        if (io_uring_sq_ready(&self->ring) == 0) {
            self->sends_unsubmitted = self->message_count = self->connect_count = 0;
            return;
        }
        (void)io_uring_get_events(&self->ring); /* EBUSY or EAGAIN: let the kernel place what has completed */
    }
    TWI_ASSERT(!"the kernel accepts submissions");
}

static struct io_uring_sqe *new_sqe(uring_loop *self)
{
    struct io_uring_sqe *sqe = io_uring_get_sqe(&self->ring);
    if (TWI_LIKELY(sqe != NULL))
        return sqe;
    submit(self);
    return io_uring_get_sqe(&self->ring);
}

/* After the prep call: the op's address, and the file as the kernel knows it. */
static void address_sqe(struct io_uring_sqe *sqe, const uring_slot *slot, const twi_op *op)
{
    _Static_assert(_Alignof(twi_op) > URING_TAG_MASK, "an op's address has room for the tag");
    sqe->user_data = (uintptr_t)op;
    if (slot->file_index >= 0) {
        sqe->fd = slot->file_index;
        sqe->flags |= IOSQE_FIXED_FILE;
    }
}

static void begin(uring_loop *self, uring_slot *slot)
{
    slot->inflight++;
    self->inflight++;
}

static void arm_wake(uring_loop *self)
{
    struct io_uring_sqe *sqe = new_sqe(self);
    io_uring_prep_read(sqe, self->wake_fd, &self->wake_count, sizeof(self->wake_count), 0);
    sqe->user_data = URING_TAG_WAKE;
    self->inflight++;
}

static void cancel(uring_loop *self, uint64_t user_data)
{
    struct io_uring_sqe *sqe = new_sqe(self);
    io_uring_prep_cancel64(sqe, user_data, 0);
    sqe->flags |= IOSQE_CQE_SKIP_SUCCESS;
    sqe->user_data = URING_TAG_IGNORE;
}

static void arm_recv(uring_loop *self, uring_slot *slot, twi_op *op)
{
    struct io_uring_sqe *sqe = new_sqe(self);
    io_uring_prep_recv(sqe, slot->fd, NULL, 0, 0);
    if (self->has.multishot_recv)
        sqe->ioprio = IORING_RECV_MULTISHOT;
    sqe->flags = IOSQE_BUFFER_SELECT;
    sqe->buf_group = URING_BUFFER_GROUP;
    address_sqe(sqe, slot, op);
    begin(self, slot);
}

static void arm_accept(uring_loop *self, uring_slot *slot, twi_op *op)
{
    struct io_uring_sqe *sqe = new_sqe(self);
    if (self->has.direct_descriptors)
        io_uring_prep_multishot_accept_direct(sqe, slot->fd, NULL, NULL, 0);
    else if (self->has.multishot_accept)
        io_uring_prep_multishot_accept(sqe, slot->fd, NULL, NULL, SOCK_CLOEXEC);
    else
        io_uring_prep_accept(sqe, slot->fd, NULL, NULL, SOCK_CLOEXEC);
    address_sqe(sqe, slot, op);
    slot->accept_waits = 0;
    begin(self, slot);
}

/* ---- slots ---- */

static uring_slot *find_slot(const uring_loop *self, twi_sock sock)
{
    if (sock.slot >= self->config.sock_count_max)
        return NULL;
    uring_slot *found = &self->slots[sock.slot];
    return found->state == URING_SLOT_OPEN && found->generation == sock.generation ? found : NULL;
}

static twi_sock slot_sock(const uring_loop *self, const uring_slot *slot)
{
    return (twi_sock){(uint32_t)(slot - self->slots), slot->generation};
}

static void init_slots(uring_loop *self)
{
    uint32_t count = self->config.sock_count_max;
    for (uint32_t i = 0; i < count; i++)
        self->slots[i] = (uring_slot){
            .fd = -1, .file_index = -1, .generation = 1, .next_free = i + 1 < count ? i + 1 : URING_NO_SLOT};
    self->free_first = 0;
}

static uring_slot *take_slot(uring_loop *self, int fd, int file_index)
{
    if (self->free_first == URING_NO_SLOT)
        return NULL;
    uring_slot *taken = &self->slots[self->free_first];
    self->free_first = taken->next_free;
    *taken =
        (uring_slot){.fd = fd, .file_index = file_index, .generation = taken->generation, .state = URING_SLOT_OPEN};
    return taken;
}

static void finish(uring_loop *self, twi_op *op, int32_t result)
{
    twi_op_finish(&self->finished, op, result);
}

static uring_slot *start(uring_loop *self, twi_op *op, uint8_t kind, twi_sock sock)
{
    twi_op_start(op, kind);
    op->sock = sock;
    op->loop_flags = 0;
    uring_slot *found = find_slot(self, sock);
    if (TWI_UNLIKELY(!found))
        finish(self, op, self->is_closing ? TW_CANCELED : TW_CLOSED);
    return found;
}

static void close_direct(uring_loop *self, int file_index, uint64_t user_data)
{
    struct io_uring_sqe *sqe = new_sqe(self);
    io_uring_prep_close_direct(sqe, (unsigned)file_index);
    sqe->user_data = user_data;
}

static void free_slot(uring_loop *self, uring_slot *slot)
{
    twi_op *op = slot->end;
    slot->state = URING_SLOT_FREE;
    slot->end = NULL;
    slot->next_free = self->free_first;
    self->free_first = (uint32_t)(slot - self->slots);
    if (op)
        finish(self, op, slot->end_result);
}

/* Nothing of this slot is in the kernel any more: let the file go. */
static void close_file(uring_loop *self, uring_slot *slot)
{
    if (slot->unix_path) {
        unlink(slot->unix_path);
        free(slot->unix_path);
        slot->unix_path = NULL;
    }
    if (slot->fd >= 0) {
        close(slot->fd);
        slot->fd = -1;
    }
    if (slot->file_index < 0) {
        free_slot(self, slot);
        return;
    }
    close_direct(self, slot->file_index, (uint64_t)(slot - self->slots) << 3 | URING_TAG_CLOSE);
    slot->file_index = -1;
    begin(self, slot);
}

/* `end` gets `result` when everything of the socket is over; NULL: nobody waits for that. */
static void begin_close(uring_loop *self, uring_slot *slot, twi_op *end, int32_t result)
{
    slot->state = URING_SLOT_CLOSING;
    slot->generation = slot->generation == UINT32_MAX ? 1 : slot->generation + 1;
    slot->end = end;
    slot->end_result = result;
    if (slot->accept_waits) { /* the kernel does not have it just now */
        slot->accept_waits = 0;
        finish(self, slot->in, TW_CANCELED);
        slot->in = NULL;
    }
    if (slot->in)
        cancel(self, (uintptr_t)slot->in);
    if (slot->out)
        cancel(self, (uintptr_t)slot->out);
    if (slot->inflight == 0)
        close_file(self, slot);
}

/* The kernel is done with one operation of the slot. */
static void end_one(uring_loop *self, uring_slot *slot)
{
    TWI_ASSERT(slot->inflight > 0);
    slot->inflight--;
    self->inflight--;
}

static void close_if_last(uring_loop *self, uring_slot *slot)
{
    if (slot->state == URING_SLOT_CLOSING && slot->inflight == 0)
        close_file(self, slot);
}

static int32_t status_of(const uring_slot *slot, int32_t result)
{
    if (slot->state == URING_SLOT_CLOSING && result == -ECANCELED)
        return TW_CANCELED;
    return result >= 0 ? result : (int32_t)twi_net_status(-result);
}

/* ---- listening and connecting ---- */

static void make_blocking(int fd)
{
    int flags = fcntl(fd, F_GETFL);
    if (flags >= 0)
        (void)fcntl(fd, F_SETFL, flags & ~O_NONBLOCK);
}

static tw_status loop_listen(twi_loop *loop, const twi_address *address, twi_sock *sock, char *error, size_t error_cap)
{
    uring_loop *self = of(loop);
    int fd = -1;
    tw_status status = twi_net_listen(address, &self->config, &fd, error, error_cap);
    if (status != TW_OK)
        return status;
    uring_slot *slot = take_slot(self, fd, -1);
    if (!slot) {
        close(fd);
        snprintf(error, error_cap, "all %u sockets are in use", self->config.sock_count_max);
        return TW_FULL;
    }
    make_blocking(fd);
    slot->is_listener = 1;
    slot->unix_path = twi_net_unix_path(address);
    *sock = slot_sock(self, slot);
    return TW_OK;
}

static uint16_t loop_local_port(const twi_loop *loop, twi_sock sock)
{
    const uring_slot *found = find_slot((const uring_loop *)loop, sock);
    return found && found->fd >= 0 ? twi_net_local_port(found->fd) : 0;
}

static void loop_accept(twi_loop *loop, twi_op *op, twi_sock listener)
{
    uring_loop *self = of(loop);
    uring_slot *slot = start(self, op, TWI_KIND_ACCEPT, listener);
    if (!slot)
        return;
    TWI_ASSERT(slot->is_listener && !slot->in);
    slot->in = op;
    arm_accept(self, slot, op);
}

/* Moves a new socket to its place in the file table. Without one it stays a descriptor. */
static void make_direct(uring_loop *self, uring_slot *slot)
{
    if (!self->has.direct_descriptors)
        return;
    int place = (int)(self->config.sock_count_max + (uint32_t)(slot - self->slots));
    if (io_uring_register_files_update(&self->ring, (unsigned)place, &slot->fd, 1) != 1)
        return;
    close(slot->fd);
    slot->fd = -1;
    slot->file_index = place;
}

static void loop_connect(twi_loop *loop, twi_op *op, const twi_address *address)
{
    uring_loop *self = of(loop);
    twi_op_start(op, TWI_KIND_CONNECT);
    op->sock = (twi_sock){0, 0};
    op->loop_flags = 0;
    if (self->connect_count == URING_CONNECTS_MAX || io_uring_sq_space_left(&self->ring) == 0)
        submit(self); /* now, and not between taking a place for the address and naming it to the kernel */
    twi_net_address *parsed = &self->connects[self->connect_count];
    int fd = -1;
    tw_status status = self->is_closing ? TW_CANCELED : twi_net_parse(address, parsed, NULL, 0);
    if (status == TW_OK)
        status = twi_net_socket(parsed, &self->config, &fd);
    uring_slot *slot = status == TW_OK ? take_slot(self, fd, -1) : NULL;
    if (!slot) {
        if (fd >= 0)
            close(fd);
        finish(self, op, status == TW_OK ? TW_FULL : status);
        return;
    }
    make_blocking(fd);
    make_direct(self, slot);
    op->sock = slot_sock(self, slot);
    slot->out = op;
    self->connect_count++;
    struct io_uring_sqe *sqe = new_sqe(self);
    io_uring_prep_connect(sqe, slot->fd, (struct sockaddr *)&parsed->storage, parsed->length);
    address_sqe(sqe, slot, op);
    begin(self, slot);
}

static void on_connect(uring_loop *self, uring_slot *slot, twi_op *op, int32_t result)
{
    slot->out = NULL;
    if (slot->state == URING_SLOT_CLOSING) {
        twi_op_last_call(&self->loop, op, result == 0 ? 0 : TW_CANCELED);
        close_if_last(self, slot);
        return;
    }
    if (result == 0) {
        twi_op_last_call(&self->loop, op, TW_OK);
        return;
    }
    begin_close(self, slot, op, result == -ECONNRESET ? TW_UNAVAILABLE : (int32_t)twi_net_status(-result));
}

/* ---- accepting ---- */

static void drop_accepted(uring_loop *self, int32_t file)
{
    if (self->has.direct_descriptors)
        close_direct(self, file, URING_TAG_IGNORE);
    else
        close(file);
}

/* Out of descriptors: the connection at the head of the queue would be reported for ever. The spare one refuses it. */
static bool refuse_with_spare(uring_loop *self, int listener_fd)
{
    if (self->spare_fd < 0)
        return false;
    close(self->spare_fd);
    int flags = fcntl(listener_fd, F_GETFL);
    (void)fcntl(listener_fd, F_SETFL, flags | O_NONBLOCK);
    int fd = accept4(listener_fd, NULL, NULL, SOCK_CLOEXEC);
    (void)fcntl(listener_fd, F_SETFL, flags & ~O_NONBLOCK);
    if (fd >= 0)
        close(fd);
    self->spare_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    return fd >= 0;
}

/* False: try again later, not now. */
static bool may_accept_again(uring_loop *self, const uring_slot *slot, int32_t result)
{
    if (result >= 0 || result == -ECONNABORTED || result == -EINTR || result == -EAGAIN)
        return true;
    bool is_full = result == -ENFILE || result == -EMFILE;
    /* With direct descriptors the kernel has taken the connection off the queue and closed it. */
    if (is_full && (self->has.direct_descriptors || refuse_with_spare(self, slot->fd))) {
        self->loop.counters.accept_refused++;
        return true;
    }
    self->loop.counters.accept_failed++;
    return false;
}

static void take_accepted(uring_loop *self, const uring_slot *listener, twi_op *op, int32_t file)
{
    bool is_direct = self->has.direct_descriptors;
    uring_slot *slot = NULL;
    if (listener->state == URING_SLOT_OPEN) {
        slot = take_slot(self, is_direct ? -1 : file, is_direct ? file : -1);
        self->loop.counters.accept_refused += slot == NULL;
    }
    if (!slot) {
        drop_accepted(self, file);
        return;
    }
    op->accepted = slot_sock(self, slot);
    self->loop.counters.accepted++;
    self->loop.counters.callbacks++;
    op->done(&self->loop, op, 0, TWI_OP_MORE);
}

static void on_accept(uring_loop *self, uring_slot *slot, twi_op *op, int32_t result, bool is_armed)
{
    if (result >= 0)
        take_accepted(self, slot, op, result);
    if (is_armed)
        return;
    end_one(self, slot);
    if (slot->state == URING_SLOT_CLOSING) {
        slot->in = NULL;
        twi_op_last_call(&self->loop, op, TW_CANCELED);
    } else if (may_accept_again(self, slot, result)) {
        arm_accept(self, slot, op);
    } else {
        slot->accept_waits = 1;
        self->accept_retry_ns = self->now_ns + TWI_LOOP_ACCEPT_RETRY_NS;
    }
}

static void retry_accepts(uring_loop *self)
{
    self->accept_retry_ns = INT64_MAX;
    for (uint32_t i = 0; i < self->config.sock_count_max; i++)
        if (self->slots[i].accept_waits)
            arm_accept(self, &self->slots[i], self->slots[i].in);
}

/* ---- bytes ---- */

static void loop_recv(twi_loop *loop, twi_op *op, twi_sock sock)
{
    uring_loop *self = of(loop);
    uring_slot *slot = start(self, op, TWI_KIND_RECV, sock);
    if (!slot)
        return;
    TWI_ASSERT(!slot->in && !slot->is_listener);
    slot->in = op;
    arm_recv(self, slot, op);
}

static void loop_recv_stop(twi_loop *loop, twi_op *op)
{
    uring_loop *self = of(loop);
    uring_slot *slot = find_slot(self, op->sock);
    if (op->state != TWI_OP_ARMED || op->loop_flags & OP_STOPPING || !slot || slot->in != op)
        return;
    op->loop_flags |= OP_STOPPING;
    cancel(self, (uintptr_t)op);
}

static void deliver(uring_loop *self, const uring_slot *slot, twi_op *op, int32_t result, uint16_t buffer)
{
    if (slot->state == URING_SLOT_OPEN && result > 0) {
        op->data = uring_buffer(self, buffer);
        self->loop.counters.recvs++;
        self->loop.counters.callbacks++;
        op->done(&self->loop, op, result, TWI_OP_MORE);
    }
    uring_buffer_return(self, buffer);
}

static void on_recv(uring_loop *self, uring_slot *slot, twi_op *op, int32_t result, uint32_t flags)
{
    if (flags & IORING_CQE_F_BUFFER)
        deliver(self, slot, op, result, (uint16_t)(flags >> IORING_CQE_BUFFER_SHIFT));
    if (flags & IORING_CQE_F_MORE)
        return;
    end_one(self, slot);
    bool is_wanted = slot->state == URING_SLOT_OPEN && !(op->loop_flags & OP_STOPPING);
    self->loop.counters.recv_no_buffer += result == -ENOBUFS;
    if (is_wanted && (result > 0 || result == -ENOBUFS || result == -EINTR || result == -EAGAIN)) {
        arm_recv(self, slot, op);
        return;
    }
    bool is_over = slot->state == URING_SLOT_OPEN && result <= 0 && result != -ENOBUFS && result != -ECANCELED;
    slot->in = NULL;
    twi_op_last_call(&self->loop, op, is_over || is_wanted ? status_of(slot, result) : TW_CANCELED);
}

static void loop_send(twi_loop *loop, twi_op *op, twi_sock sock)
{
    uring_loop *self = of(loop);
    uring_slot *slot = start(self, op, TWI_KIND_SEND, sock);
    if (TWI_UNLIKELY(!slot))
        return;
    TWI_ASSERT(op->iov_count > 0 && op->iov_count <= TWI_IOV_MAX);
    struct io_uring_sqe *sqe = new_sqe(self);
    if (op->iov_count == 1) {
        io_uring_prep_send(sqe, slot->fd, op->iov->iov_base, op->iov->iov_len, TWI_NET_SEND_FLAGS);
    } else {
        struct msghdr *message = &self->messages[self->message_count++];
        *message = (struct msghdr){.msg_iov = (struct iovec *)(uintptr_t)op->iov, .msg_iovlen = op->iov_count};
        io_uring_prep_sendmsg(sqe, slot->fd, message, TWI_NET_SEND_FLAGS);
    }
    address_sqe(sqe, slot, op);
    begin(self, slot);
    if (++self->sends_unsubmitted >= self->config.send_batch)
        submit(self);
}

static void loop_writable(twi_loop *loop, twi_op *op, twi_sock sock)
{
    uring_loop *self = of(loop);
    uring_slot *slot = start(self, op, TWI_KIND_WRITABLE, sock);
    if (!slot)
        return;
    TWI_ASSERT(!slot->out);
    slot->out = op;
    struct io_uring_sqe *sqe = new_sqe(self);
    io_uring_prep_poll_add(sqe, slot->fd, POLLOUT);
    address_sqe(sqe, slot, op);
    begin(self, slot);
}

static void loop_shutdown(twi_loop *loop, twi_op *op, twi_sock sock)
{
    uring_loop *self = of(loop);
    uring_slot *slot = start(self, op, TWI_KIND_SHUTDOWN, sock);
    if (!slot)
        return;
    struct io_uring_sqe *sqe = new_sqe(self);
    io_uring_prep_shutdown(sqe, slot->fd, SHUT_WR);
    address_sqe(sqe, slot, op);
    begin(self, slot);
}

static void loop_close(twi_loop *loop, twi_op *op, twi_sock sock)
{
    uring_loop *self = of(loop);
    uring_slot *slot = start(self, op, TWI_KIND_CLOSE, sock);
    if (slot)
        begin_close(self, slot, op, TW_OK);
}

/* ---- timers and wake-ups ---- */

static void loop_timer(twi_loop *loop, twi_op *op, int64_t deadline_ns)
{
    uring_loop *self = of(loop);
    twi_op_start(op, TWI_KIND_TIMER);
    op->deadline_ns = deadline_ns;
    tw_status status = self->is_closing ? TW_CANCELED : twi_timers_arm(&self->timers, op, deadline_ns);
    if (status != TW_OK)
        finish(self, op, status);
}

static void loop_timer_cancel(twi_loop *loop, twi_op *op)
{
    uring_loop *self = of(loop);
    if (op->kind != TWI_KIND_TIMER || op->state != TWI_OP_ARMED)
        return;
    twi_timers_cancel(&self->timers, op);
    finish(self, op, TW_CANCELED);
}

static void loop_wake(twi_loop *loop)
{
    uring_loop *self = of(loop);
    uint64_t one = 1;
    if (!twi_wake_leave_token(&self->wake))
        return;
    ssize_t written = write(self->wake_fd, &one, sizeof(one));
    TWI_ASSERT(written == sizeof(one));
}

/* ---- poll ---- */

static void on_op(uring_loop *self, twi_op *op, int32_t result, uint32_t flags)
{
    uring_slot *slot = &self->slots[op->sock.slot];
    switch (op->kind) {
    case TWI_KIND_RECV:
        on_recv(self, slot, op, result, flags);
        break;
    case TWI_KIND_ACCEPT:
        on_accept(self, slot, op, result, flags & IORING_CQE_F_MORE);
        break;
    case TWI_KIND_CONNECT:
        end_one(self, slot);
        on_connect(self, slot, op, result);
        return; /* which closes a failed one by itself */
    case TWI_KIND_SEND:
        end_one(self, slot);
        result = status_of(slot, result);
        twi_loop_count_send(&self->loop.counters, op, result);
        twi_op_last_call(&self->loop, op, result);
        break;
    default: /* writable, shutdown */
        end_one(self, slot);
        if (op->kind == TWI_KIND_WRITABLE)
            slot->out = NULL;
        twi_op_last_call(&self->loop, op, result > 0 ? 0 : status_of(slot, result));
        break;
    }
    close_if_last(self, slot);
}

static void on_completion(uring_loop *self, uint64_t user_data, int32_t result, uint32_t flags)
{
    uring_slot *slot;
    switch (user_data & URING_TAG_MASK) {
    case URING_TAG_OP:
        on_op(self, (twi_op *)(uintptr_t)user_data, result, flags);
        break;
    case URING_TAG_WAKE:
        self->inflight--;
        if (!self->is_closing)
            arm_wake(self);
        break;
    case URING_TAG_CLOSE:
        slot = &self->slots[user_data >> 3];
        end_one(self, slot);
        free_slot(self, slot);
        break;
    default:
        break;
    }
}

/* What is in the queue now; completions of what the callbacks start wait for the next poll. */
static void reap(uring_loop *self)
{
    struct io_uring_cq *queue = &self->ring.cq;
    uint32_t count = io_uring_cq_ready(&self->ring);
    for (uint32_t i = 0; i < count; i++) {
        const struct io_uring_cqe *cqe = &queue->cqes[*queue->khead & queue->ring_mask];
        uint64_t user_data = cqe->user_data;
        int32_t result = cqe->res;
        uint32_t flags = cqe->flags;
        io_uring_cq_advance(&self->ring, 1);
        on_completion(self, user_data, result, flags);
    }
}

static void enter_without_sleep(uring_loop *self)
{
    unsigned pending = uring_flags_pending(self);
    if (pending == 0 && io_uring_sq_ready(&self->ring) == 0)
        return;
    self->loop.counters.cq_overflows += (pending & IORING_SQ_CQ_OVERFLOW) != 0;
    int result = io_uring_submit_and_get_events(&self->ring);
    TWI_ASSERT(result != -EEXIST); /* another thread than the one that called open() */
}

static void enter_and_sleep(uring_loop *self, int64_t timeout_ns)
{
    struct io_uring_cqe *cqe;
    struct __kernel_timespec timeout = {.tv_sec = timeout_ns / ns_per_second, .tv_nsec = timeout_ns % ns_per_second};
    self->loop.counters.sleeps++;
    if (timeout_ns < 0)
        (void)io_uring_submit_and_wait(&self->ring, 1);
    else
        (void)io_uring_submit_and_wait_timeout(&self->ring, &cqe, 1, &timeout, NULL);
}

static void enter(uring_loop *self, int64_t wait_until_ns)
{
    bool has_work = self->finished.count > 0 || io_uring_cq_ready(&self->ring) > 0;
    int64_t until_ns = self->accept_retry_ns < wait_until_ns ? self->accept_retry_ns : wait_until_ns;
    int64_t timeout_ns = has_work ? 0 : twi_timers_wait_ns(&self->timers, until_ns);
    if (timeout_ns != 0 && !twi_wake_may_sleep(&self->wake)) {
        self->loop.counters.wakes++;
        timeout_ns = 0;
    }
    if (timeout_ns == 0)
        enter_without_sleep(self);
    else
        enter_and_sleep(self, timeout_ns);
    if (io_uring_sq_ready(&self->ring) == 0)
        self->sends_unsubmitted = self->message_count = self->connect_count = 0;
    if (twi_wake_take_token(&self->wake))
        self->loop.counters.wakes++;
}

static uint32_t loop_poll(twi_loop *loop, int64_t wait_until_ns)
{
    uring_loop *self = of(loop);
    uint64_t before = loop->counters.callbacks;
    loop->counters.polls++;
    enter(self, wait_until_ns);
    self->now_ns = twi_monotonic_ns();
    if (self->now_ns >= self->accept_retry_ns)
        retry_accepts(self);
    reap(self);
    (void)twi_timers_run(&self->timers, loop, self->now_ns);
    (void)twi_op_queue_run(loop, &self->finished);
    return (uint32_t)(loop->counters.callbacks - before);
}

/* ---- open and close ---- */

static tw_status loop_open(const twi_loop_config *config, twi_loop **loop, char *error, size_t error_cap)
{
    uring_loop *self = calloc(1, sizeof(*self));
    if (!self)
        return TW_NO_MEMORY;
    self->loop.ops = &twi_loop_uring;
    tw_status status = uring_set_up(self, config, error, error_cap);
    if (status != TW_OK) {
        free(self);
        return status;
    }
    init_slots(self);
    self->spare_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    self->now_ns = twi_monotonic_ns();
    self->accept_retry_ns = INT64_MAX;
    arm_wake(self);
    *loop = &self->loop;
    return TW_OK;
}

static void loop_close_loop(twi_loop *loop)
{
    uring_loop *self = of(loop);
    self->is_closing = true;
    for (uint32_t i = 0; i < self->config.sock_count_max; i++)
        if (self->slots[i].state == URING_SLOT_OPEN)
            begin_close(self, &self->slots[i], NULL, TW_OK);
    for (twi_op *op; (op = twi_timers_pop(&self->timers, INT64_MAX)) != NULL;)
        finish(self, op, TW_CANCELED);
    cancel(self, URING_TAG_WAKE);
    int64_t give_up_ns = twi_monotonic_ns() + CLOSE_WAIT_SECONDS * ns_per_second;
    while (self->inflight > 0) {
        TWI_ASSERT(twi_monotonic_ns() < give_up_ns); /* the kernel gives every operation back */
        (void)loop_poll(loop, give_up_ns);
    }
    for (int round = 0; self->finished.count > 0; round++) {
        TWI_ASSERT(round < CLOSE_ROUNDS); /* a callback starts a new operation each time it is told TW_CANCELED */
        (void)twi_op_queue_run(loop, &self->finished);
    }
    uring_tear_down(self);
    free(self);
}

static const char *loop_features(const twi_loop *loop)
{
    return ((const uring_loop *)loop)->features;
}

static int64_t loop_now_ns(const twi_loop *loop)
{
    return ((const uring_loop *)loop)->now_ns;
}

const twi_loop_ops twi_loop_uring = {
    .name = "io_uring",
    .memory_bytes = uring_memory_bytes,
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
