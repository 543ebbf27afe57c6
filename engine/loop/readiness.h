/* readiness.h - the completion-shaped loop over any kernel that reports readiness; epoll and kqueue plug in as pollers.
 *
 * Job:       everything that loop.h promises except how to wait: slots, operations, timers, wake-ups, budgets.
 * Usage:     a backend defines a twi_poller_ops and a twi_loop_ops made of the functions below.
 * Edges:     a poller reports a change once. The loop remembers "readable" until the kernel says that it would block,
 *            so that stopping and resuming a receive costs no system call.
 * Thread:    as loop.h; notify() is the only poller call from other threads. */
#ifndef TWI_READINESS_H
#define TWI_READINESS_H

#include "engine/loop/loop.h"

enum {
    TWI_READY_IN = 1u << 0,  /* bytes or connections to take */
    TWI_READY_OUT = 1u << 1, /* the kernel takes bytes again, or a connect ended */
    TWI_READY_END = 1u << 2  /* the peer sent its last byte, or an error is pending: reading will tell */
};

enum { TWI_READY_BATCH = 256, TWI_POLLER_FEATURES = 96 };

typedef struct twi_ready_event {
    uint64_t key;
    uint32_t what;
} twi_ready_event;

typedef struct twi_poller {
    int fd;
    int wake_fd;
    uint32_t coarse_timeout; /* the kernel waits in milliseconds only */
    char features[TWI_POLLER_FEATURES];
} twi_poller;

typedef struct twi_poller_ops {
    tw_status (*open)(twi_poller *poller, const twi_loop_config *config, char *error, size_t error_cap);
    void (*close)(twi_poller *poller);
    /* Report IN and END edges of fd under this key, beginning with what is ready now. Returns 0 or an errno value. */
    int (*watch)(twi_poller *poller, int fd, uint64_t key);
    /* Report OUT once, at once if it is so already; then written_off() is called. */
    int (*want_write)(twi_poller *poller, int fd, uint64_t key);
    void (*written_off)(twi_poller *poller, int fd, uint64_t key);
    /* timeout_ns: 0 do not sleep, negative forever. Returns the number of events (wake-ups are not among them). */
    uint32_t (*wait)(twi_poller *poller, twi_ready_event *events, uint32_t capacity, int64_t timeout_ns);
    void (*notify)(twi_poller *poller); /* makes a wait() in another thread return */
} twi_poller_ops;

tw_status twi_readiness_open(const twi_loop_ops *ops, const twi_poller_ops *poller, const twi_loop_config *config,
                             twi_loop **loop, char *error, size_t error_cap);

/* The members of a backend's twi_loop_ops. */
size_t twi_readiness_memory_bytes(const twi_loop_config *config);
void twi_readiness_close_loop(twi_loop *loop);
const char *twi_readiness_features(const twi_loop *loop);
int64_t twi_readiness_now_ns(const twi_loop *loop);
tw_status twi_readiness_listen(twi_loop *loop, const twi_address *address, twi_sock *sock, char *error,
                               size_t error_cap);
uint16_t twi_readiness_local_port(const twi_loop *loop, twi_sock sock);
void twi_readiness_accept(twi_loop *loop, twi_op *op, twi_sock listener);
void twi_readiness_connect(twi_loop *loop, twi_op *op, const twi_address *address);
void twi_readiness_recv(twi_loop *loop, twi_op *op, twi_sock sock);
void twi_readiness_recv_stop(twi_loop *loop, twi_op *op);
void twi_readiness_send(twi_loop *loop, twi_op *op, twi_sock sock);
void twi_readiness_writable(twi_loop *loop, twi_op *op, twi_sock sock);
void twi_readiness_shutdown(twi_loop *loop, twi_op *op, twi_sock sock);
void twi_readiness_close(twi_loop *loop, twi_op *op, twi_sock sock);
void twi_readiness_timer(twi_loop *loop, twi_op *op, int64_t deadline_ns);
void twi_readiness_timer_cancel(twi_loop *loop, twi_op *op);
void twi_readiness_wake(twi_loop *loop);
uint32_t twi_readiness_poll(twi_loop *loop, int64_t wait_until_ns);

#endif
