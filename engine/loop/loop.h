/* loop.h - one completion-shaped event loop over io_uring, epoll, kqueue and a deterministic simulation.
 *
 * Job:       accept, connect, receive, send, wait for writability, timers and wake-ups for one thread.
 *            Nothing above this header knows which backend runs.
 * Ops:       a twi_op is embedded in its owner and belongs to the loop from the call until its last callback.
 * Callbacks: run inside poll() only, never inside the call that starts an operation.
 * Sockets:   named by (slot, generation); a stale handle is caught (TW_CLOSED), a file descriptor never leaks out.
 * Sending:   one attempt that does not block. The result is the number of bytes that the kernel took (it may be short),
 *            or TW_AGAIN if it took none; then arm writable(). The bytes must not change until the callback, and since
 *            an attempt completes at submission they are free right after the poll() that submitted it. This is what
 *            lets slices of the wire log be sent without a copy and without being overwritten under the kernel.
 * Receiving: multishot. The bytes at op->data are lent for the duration of the callback only.
 * Thread:    everything but wake() from the loop's own thread.
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
            const uint8_t *data; /* recv: lent during the callback, result bytes */
        };
        twi_sock accepted;   /* accept: the new socket */
        int64_t deadline_ns; /* timer, in the clock of now_ns() */
    };
    twi_sock sock;
    twi_op *next; /* the loop's own, while it has the op */
    uint8_t kind; /* the loop's own */
    uint8_t state;
    uint16_t loop_index;
    int32_t loop_result;
};

typedef struct twi_loop_config {
    uint32_t sock_count_max;    /* listeners and connections together */
    uint32_t recv_buffer_bytes; /* of one lent buffer, e.g. 16384 */
    uint32_t recv_buffer_count; /* shared by all sockets, power of two */
    uint32_t send_batch;        /* sends per submission, 32..64 is good (see docs/decisions) */
    uint64_t sim_seed;          /* loop_sim only */
} twi_loop_config;

/* Where to listen or connect: "127.0.0.1", "::1", "0.0.0.0", or "unix:/path". Name resolution is not done here. */
typedef struct twi_address {
    const char *host;
    uint16_t port;      /* 0: any (listen), read back with local_port() */
    uint8_t reuse_port; /* several shards on one port */
    int32_t backlog;
    uint32_t unix_mode; /* permission bits of a Unix socket path; 0: 0660 */
} twi_address;

typedef struct twi_loop_ops {
    const char *name; /* "io_uring" "epoll" "kqueue" "sim" */
    /* TW_UNAVAILABLE: this machine cannot run it; `error` says why; try the next candidate. */
    tw_status (*open)(const twi_loop_config *config, twi_loop **loop, char *error, size_t error_cap);
    void (*close_loop)(twi_loop *loop); /* closes every socket; callbacks still owed are run as TW_CANCELED */
    /* What is active on this backend, for the start-up line and /metrics: "multishot_recv,direct_descriptors,...". */
    const char *(*features)(const twi_loop *loop);
    int64_t (*now_ns)(const twi_loop *loop); /* CLOCK_MONOTONIC, sampled once per poll; virtual in sim */
    tw_status (*listen)(twi_loop *loop, const twi_address *address, twi_sock *sock, char *error, size_t error_cap);
    uint16_t (*local_port)(const twi_loop *loop, twi_sock sock);
    void (*accept)(twi_loop *loop, twi_op *op, twi_sock listener);           /* multishot; op->accepted */
    void (*connect)(twi_loop *loop, twi_op *op, const twi_address *address); /* result 0: op->sock is the new socket */
    void (*recv)(twi_loop *loop, twi_op *op, twi_sock sock);                 /* multishot; one per socket */
    void (*recv_stop)(twi_loop *loop, twi_op *op); /* back-pressure: ends the recv; last callback TW_CANCELED */
    void (*send)(twi_loop *loop, twi_op *op, twi_sock sock);     /* op->iov; one attempt; one in flight per socket */
    void (*writable)(twi_loop *loop, twi_op *op, twi_sock sock); /* once; result 0 when the kernel takes bytes again */
    void (*close)(twi_loop *loop, twi_op *op, twi_sock sock);    /* its other ops end first, as TW_CANCELED; then op */
    void (*timer)(twi_loop *loop, twi_op *op, int64_t deadline_ns);
    void (*timer_cancel)(twi_loop *loop, twi_op *op); /* last callback TW_CANCELED */
    void (*wake)(twi_loop *loop);                     /* any thread: makes the current or next poll() return */
    /* Submits, reaps, runs callbacks. Sleeps at most until wait_until_ns (0: do not sleep) if nothing is due.
     * Returns the number of callbacks run. */
    uint32_t (*poll)(twi_loop *loop, int64_t wait_until_ns);
} twi_loop_ops;

/* Every backend starts with this, so that the calls below can dispatch. */
struct twi_loop {
    const twi_loop_ops *ops;
};

extern const twi_loop_ops twi_loop_uring, twi_loop_epoll, twi_loop_kqueue, twi_loop_sim;

/* `name`: "auto", "io_uring", "epoll", "kqueue". reason says which one was taken and why (also on success). */
tw_status twi_loop_open(const char *name, const twi_loop_config *config, twi_loop **loop, char *reason,
                        size_t reason_cap);

#endif
