/* uring.h - the io_uring loop's own state, shared by its set-up (uring_setup.c) and its operations (loop_uring.c).
 *
 * Job:       the ring, the buffer ring, the slot table; what was found to work on this kernel.
 * Usage:     by those two files only.
 * Files:     with direct descriptors a connection has a place in the ring's own file table and no descriptor. The
 *            kernel chooses the places of accepted sockets from the first half of the table; sockets that connect take
 *            the place (half + slot). Listeners keep a descriptor, because their port is asked for by system call. */
#ifndef TWI_URING_H
#define TWI_URING_H

#include <liburing.h>
#include <stdbool.h>

#include "engine/loop/loop.h"
#include "engine/loop/net.h"
#include "engine/loop/op.h"
#include "engine/loop/timers.h"
#include "engine/loop/wake.h"

enum {
    URING_CONNECTS_MAX = 16, /* addresses that wait for their submission */
    URING_FEATURES_BYTES = 640,
    URING_BUFFER_GROUP = 1
};
#define URING_NO_SLOT UINT32_MAX

/* Low bits of a completion's user data; 0 is an op's address. */
enum { URING_TAG_OP = 0, URING_TAG_WAKE = 1, URING_TAG_IGNORE = 2, URING_TAG_CLOSE = 3, URING_TAG_MASK = 7 };

enum { URING_SLOT_FREE = 0, URING_SLOT_OPEN = 1, URING_SLOT_CLOSING = 2 };

/* What was probed and is in use. */
typedef struct uring_features {
    bool defer_taskrun; /* with single_issuer */
    bool coop_taskrun;
    bool multishot_recv;
    bool multishot_accept;
    bool direct_descriptors;
    bool registered_ring;
    bool large_cq;
} uring_features;

typedef struct uring_slot {
    int fd;         /* -1 with a direct descriptor */
    int file_index; /* -1 without one */
    uint32_t generation;
    uint32_t inflight; /* operations that the kernel has; the slot is not reused before it is 0 */
    twi_op *in;        /* accept or recv */
    twi_op *out;       /* connect or writable */
    twi_op *end;       /* close, or the connect that failed */
    int32_t end_result;
    uint8_t state;
    uint8_t is_listener;
    uint8_t accept_waits; /* to be armed again later */
    char *unix_path;
    uint32_t next_free;
} uring_slot;

typedef struct uring_loop {
    twi_loop loop;
    struct io_uring ring;
    twi_loop_config config;
    uring_features has;
    uring_slot *slots;
    uint32_t free_first;
    uint32_t inflight; /* over all slots, and the wake-up's read */
    uint32_t sends_unsubmitted;
    struct msghdr *messages; /* of sends in pieces that were not submitted yet: send_batch of them */
    uint32_t message_count;
    twi_net_address connects[URING_CONNECTS_MAX];
    uint32_t connect_count;
    struct io_uring_buf_ring *buffer_ring;
    size_t buffer_ring_bytes;
    uint8_t *buffers;
    int buffer_mask;
    twi_op_queue finished;
    twi_timers timers;
    int64_t now_ns;
    int64_t accept_retry_ns;
    int wake_fd;
    int spare_fd;
    uint64_t wake_count; /* where the eventfd is read to */
    bool is_closing;
    twi_wake_word wake;
    char features[URING_FEATURES_BYTES];
} uring_loop;

/* Everything that open() does before the first operation; on failure nothing is left and error says why. */
tw_status uring_set_up(uring_loop *self, const twi_loop_config *config, char *error, size_t error_cap);
void uring_tear_down(uring_loop *self);
size_t uring_memory_bytes(const twi_loop_config *config);

static inline uint8_t *uring_buffer(const uring_loop *self, uint16_t buffer)
{
    return self->buffers + (size_t)buffer * self->config.recv_buffer_bytes;
}

/* Gives a receive buffer to the kernel. */
static inline void uring_buffer_return(uring_loop *self, uint16_t buffer)
{
    io_uring_buf_ring_add(self->buffer_ring, uring_buffer(self, buffer), self->config.recv_buffer_bytes, buffer,
                          self->buffer_mask, 0);
    io_uring_buf_ring_advance(self->buffer_ring, 1);
}

static inline unsigned uring_flags_pending(const uring_loop *self)
{
    return IO_URING_READ_ONCE(*self->ring.sq.kflags) & (IORING_SQ_TASKRUN | IORING_SQ_CQ_OVERFLOW);
}

#endif
