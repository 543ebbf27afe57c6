/* loop.h - one completion-shaped event loop over io_uring, epoll, kqueue and a deterministic simulation.
 *
 * Job:       accept, connect, receive, send, wait for writability, timers and wake-ups for one thread.
 *            Nothing above this header knows which backend runs.
 * Ops:       a twi_op is embedded in its owner, zeroed before its first use, and belongs to the loop from the call to
 *            its last callback (the one without TWI_OP_MORE). It may be started again from inside that callback.
 * Callbacks: run inside poll() only, never inside the call that starts an operation.
 * Sockets:   named by (slot, generation); a stale handle is caught (TW_CLOSED), a file descriptor never leaks out.
 * Sending:   one attempt that does not block. The result is the number of bytes that the kernel took (it may be short),
 *            or TW_AGAIN if it took none; then arm writable(). The bytes must not change until the callback, and since
 *            an attempt completes at submission they are free right after the poll() that submitted it. This is what
 *            lets slices of the wire log be sent without a copy and without being overwritten under the kernel.
 * Receiving: multishot. The bytes at op->data are lent for the duration of the callback only.
 * Results:   peer reset, broken pipe and stale handles are TW_CLOSED; refused, unreachable or missing addresses are
 *            TW_UNAVAILABLE; a full table is TW_FULL; anything else that the kernel says is TW_IO.
 * Memory:    all of it is taken in open(); memory_bytes() says how much that will be.
 * Thread:    everything but wake() from the loop's own thread (the one that called open()).
 * Non-goals: buffering, framing, TLS, DNS. */
#ifndef TWI_LOOP_H
#define TWI_LOOP_H

#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "tickwire/status.h"

typedef struct twi_loop twi_loop;
typedef struct twi_op twi_op;

typedef struct twi_sock {
    uint32_t slot;
    uint32_t generation; /* never 0 for a live socket, so that a zeroed handle is stale */
} twi_sock;

/* result >= 0: bytes (recv, send) or 0; recv: 0 is end of stream. result < 0: a tw_status. flags: TWI_OP_MORE. */
typedef void (*twi_op_fn)(twi_loop *loop, twi_op *op, int32_t result, uint32_t flags);
enum { TWI_OP_MORE = 1u << 0 }; /* still armed: multishot accept and recv */

enum { TWI_IOV_MAX = 64 }; /* pieces of one send at most */

struct twi_op {
    twi_op_fn done;
    void *owner;
    union {
        struct {
            const struct iovec *iov; /* send: pinned until done */
            uint32_t iov_count;      /* 1 .. TWI_IOV_MAX */
        };
        struct {
            uint8_t *data; /* recv: lent during the callback, result bytes; may be changed (unmasked) in place */
        };
        twi_sock accepted;   /* accept: the new socket */
        int64_t deadline_ns; /* timer, in the clock of now_ns() */
    };
    twi_sock sock;
    twi_op *next; /* the loop's own, while it has the op */
    uint8_t kind; /* the loop's own */
    uint8_t state;
    uint16_t loop_flags;
    int32_t loop_result;
    uint32_t loop_index;
    uint32_t loop_reserved;
};

typedef struct twi_loop_config {
    uint32_t sock_count_max;    /* listeners and connections together; a connection beyond it is refused and counted */
    uint32_t timer_count_max;   /* armed at one time; 0: 2 * sock_count_max + 64 */
    uint32_t recv_buffer_bytes; /* of one lent buffer; 0: 16384 */
    uint32_t recv_buffer_count; /* shared by all sockets, power of two; 0: 256 */
    uint32_t send_batch;        /* sends per submission, 32..64 is good; 0: 32 */
    uint32_t socket_send_bytes; /* SO_SNDBUF of every socket; 0: the system's own (auto-tuned) size */
    uint32_t socket_recv_bytes; /* SO_RCVBUF, likewise */
    uint64_t sim_seed;          /* loop_sim only */
    /* What not to use, as a comma list: names from features(), or a refusal to imitate, e.g. "io_uring:EPERM". NULL:
     * the environment's TICKWIRE_LOOP_WITHOUT. This is how tests and users reach every fallback. */
    const char *without;
} twi_loop_config;

/* Monotonic, written by the loop's thread only. */
typedef struct twi_loop_counters {
    uint64_t polls;
    uint64_t sleeps; /* polls that went to sleep in the kernel */
    uint64_t callbacks;
    uint64_t accepted;
    uint64_t accept_refused; /* connections closed at once because a table (sockets or descriptors) was full */
    uint64_t accept_failed;  /* accept errors that are not the peer's hurry to leave */
    uint64_t sends;          /* attempts */
    uint64_t sends_short;    /* took some bytes, but not all */
    uint64_t sends_again;    /* took none */
    uint64_t recvs;          /* callbacks with data */
    uint64_t recv_no_buffer; /* io_uring: the buffer ring was empty, and the receive was armed again */
    uint64_t cq_overflows;   /* io_uring: completions that waited in the kernel because the queue was full */
    uint64_t wakes;          /* wake-ups seen */
} twi_loop_counters;

/* Where to listen or connect: "127.0.0.1", "::1", "0.0.0.0", or "unix:/path". Name resolution is not done here. */
typedef struct twi_address {
    const char *host;
    uint16_t port;      /* 0: any (listen), read back with local_port() */
    uint8_t reuse_port; /* several shards on one port */
    int32_t backlog;
    uint32_t unix_mode; /* permission bits of a Unix socket path; 0: 0660 */
} twi_address;

typedef struct twi_loop_ops {
    const char *name;                                      /* "io_uring" "epoll" "kqueue" "sim" */
    size_t (*memory_bytes)(const twi_loop_config *config); /* what open() will allocate, kernel memory not included */
    /* TW_UNAVAILABLE: this machine cannot run it; `error` says why; try the next candidate. */
    tw_status (*open)(const twi_loop_config *config, twi_loop **loop, char *error, size_t error_cap);
    void (*close_loop)(twi_loop *loop); /* closes every socket; callbacks still owed run now, as TW_CANCELED */
    /* What is active on this backend, for the start-up line and /metrics: "multishot_recv,direct_descriptors,...". */
    const char *(*features)(const twi_loop *loop);
    int64_t (*now_ns)(const twi_loop *loop); /* CLOCK_MONOTONIC, sampled once per poll; virtual in sim */
    tw_status (*listen)(twi_loop *loop, const twi_address *address, twi_sock *sock, char *error, size_t error_cap);
    uint16_t (*local_port)(const twi_loop *loop, twi_sock sock);
    void (*accept)(twi_loop *loop, twi_op *op, twi_sock listener); /* multishot; op->accepted */
    /* op->sock names the new socket at once, so that close() can give up; usable after 0, gone after an error. The
     * address is read during the call only. */
    void (*connect)(twi_loop *loop, twi_op *op, const twi_address *address);
    void (*recv)(twi_loop *loop, twi_op *op, twi_sock sock); /* multishot; one per socket */
    /* Back-pressure: ends the recv. Bytes that the kernel had handed over already still come (TWI_OP_MORE); the last
     * callback is TW_CANCELED, or the end of the stream if that came first. Nothing if it is not armed. */
    void (*recv_stop)(twi_loop *loop, twi_op *op);
    void (*send)(twi_loop *loop, twi_op *op, twi_sock sock);     /* op->iov; one attempt; one in flight per socket */
    void (*writable)(twi_loop *loop, twi_op *op, twi_sock sock); /* once; result 0 when the kernel takes bytes again */
    void (*shutdown)(twi_loop *loop, twi_op *op, twi_sock sock); /* half close: no more of our bytes */
    /* The handle is stale from here on. Its other ops end first (TW_CANCELED, or what they had reached); then op. */
    void (*close)(twi_loop *loop, twi_op *op, twi_sock sock);
    void (*timer)(twi_loop *loop, twi_op *op, int64_t deadline_ns);
    void (*timer_cancel)(twi_loop *loop, twi_op *op); /* last callback TW_CANCELED; nothing if it is not armed */
    void (*wake)(twi_loop *loop);                     /* any thread: makes the current or next poll() return */
    /* Submits, reaps, runs callbacks. Sleeps at most until wait_until_ns (0: do not sleep) if nothing is due.
     * Returns the number of callbacks run. */
    uint32_t (*poll)(twi_loop *loop, int64_t wait_until_ns);
} twi_loop_ops;

/* Every backend starts with this. */
struct twi_loop {
    const twi_loop_ops *ops;
    twi_loop_counters counters;
};

extern const twi_loop_ops twi_loop_uring, twi_loop_epoll, twi_loop_kqueue, twi_loop_sim;

/* `name`: "auto", "io_uring", "epoll", "kqueue". reason says which one was taken and why (also on success). */
tw_status twi_loop_open(const char *name, const twi_loop_config *config, twi_loop **loop, char *reason,
                        size_t reason_cap);

/* What twi_loop_open() of that name will allocate at most; 0 for a name that does not exist here. */
size_t twi_loop_memory_bytes(const char *name, const twi_loop_config *config);

#endif
