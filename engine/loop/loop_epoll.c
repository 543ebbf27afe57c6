/* loop_epoll.c - epoll as a poller of the readiness loop.
 *
 * Job:       edge-triggered: one epoll_ctl per connection; writability is added only while somebody waits for it,
 *            because a Unix socket reports it each time that the peer reads.
 * Wake:      an edge-triggered eventfd that nobody needs to read.
 * Timeouts:  epoll_pwait2 (Linux 5.11) in nanoseconds, else epoll_wait in milliseconds, rounded up. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "engine/base/assert.h"
#include "engine/base/clock.h"
#include "engine/loop/op.h"
#include "engine/loop/readiness.h"

static const uint64_t wake_key = UINT64_MAX;
static const uint32_t in_events = EPOLLIN | EPOLLRDHUP | EPOLLET;
enum { NS_PER_MS = 1000000 };
static const int64_t ns_per_second = 1000000000;

static int control(twi_poller *poller, int operation, int fd, uint32_t events, uint64_t key)
{
    struct epoll_event event = {.events = events, .data.u64 = key};
    return epoll_ctl(poller->fd, operation, fd, &event) == 0 ? 0 : errno;
}

static int poller_watch(twi_poller *poller, int fd, uint64_t key)
{
    return control(poller, EPOLL_CTL_ADD, fd, in_events, key);
}

static int poller_want_write(twi_poller *poller, int fd, uint64_t key)
{
    return control(poller, EPOLL_CTL_MOD, fd, in_events | EPOLLOUT, key);
}

static void poller_written_off(twi_poller *poller, int fd, uint64_t key)
{
    (void)control(poller, EPOLL_CTL_MOD, fd, in_events, key);
}

static void poller_close(twi_poller *poller)
{
    if (poller->wake_fd >= 0)
        close(poller->wake_fd);
    if (poller->fd >= 0)
        close(poller->fd);
}

static bool has_pwait2(const twi_poller *poller)
{
    struct epoll_event event;
    struct timespec zero = {0, 0};
    return epoll_pwait2(poller->fd, &event, 1, &zero, NULL) >= 0 || errno != ENOSYS;
}

static tw_status poller_open(twi_poller *poller, const twi_loop_config *config, char *error, size_t error_cap)
{
    poller->wake_fd = -1;
    poller->fd = epoll_create1(EPOLL_CLOEXEC);
    if (poller->fd >= 0)
        poller->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    int failed =
        poller->wake_fd < 0 ? errno : control(poller, EPOLL_CTL_ADD, poller->wake_fd, EPOLLIN | EPOLLET, wake_key);
    if (failed) {
        snprintf(error, error_cap, "epoll or eventfd: %s", strerror(failed));
        poller_close(poller);
        return TW_UNAVAILABLE;
    }
    poller->coarse_timeout = twi_list_has(config->without, "timeout_ns") || !has_pwait2(poller);
    snprintf(poller->features, sizeof(poller->features), "edge_triggered,eventfd_wake%s",
             poller->coarse_timeout ? "" : ",timeout_ns");
    return TW_OK;
}

static int wait_for(twi_poller *poller, struct epoll_event *events, int capacity, int64_t timeout_ns)
{
    if (timeout_ns <= 0 || poller->coarse_timeout) {
        int64_t ms = timeout_ns < 0 ? -1 : (timeout_ns + NS_PER_MS - 1) / NS_PER_MS;
        return epoll_wait(poller->fd, events, capacity, ms > INT32_MAX ? INT32_MAX : (int)ms);
    }
    struct timespec timeout = {.tv_sec = timeout_ns / ns_per_second, .tv_nsec = timeout_ns % ns_per_second};
    return epoll_pwait2(poller->fd, events, capacity, &timeout, NULL);
}

static uint32_t translate(uint32_t events)
{
    uint32_t what = 0;
    if (events & EPOLLIN)
        what |= TWI_READY_IN;
    if (events & EPOLLOUT)
        what |= TWI_READY_OUT;
    if (events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR))
        what |= TWI_READY_END;
    return what;
}

static uint32_t poller_wait(twi_poller *poller, twi_ready_event *events, uint32_t capacity, int64_t timeout_ns)
{
    struct epoll_event ready[TWI_READY_BATCH];
    TWI_ASSERT(capacity <= TWI_READY_BATCH);
    int count = wait_for(poller, ready, (int)capacity, timeout_ns);
    uint32_t taken = 0;
    for (int i = 0; i < count; i++)
        if (ready[i].data.u64 != wake_key)
            events[taken++] = (twi_ready_event){ready[i].data.u64, translate(ready[i].events)};
    return taken;
}

static void poller_notify(twi_poller *poller)
{
    uint64_t one = 1;
    /* Fails only when the counter is full, and then the edge was given already. */
    if (write(poller->wake_fd, &one, sizeof(one)) < 0)
        return;
}

static const twi_poller_ops epoll_poller = {
    .open = poller_open,
    .close = poller_close,
    .watch = poller_watch,
    .want_write = poller_want_write,
    .written_off = poller_written_off,
    .wait = poller_wait,
    .notify = poller_notify,
};

static tw_status loop_open(const twi_loop_config *config, twi_loop **loop, char *error, size_t error_cap)
{
    return twi_readiness_open(&twi_loop_epoll, &epoll_poller, config, loop, error, error_cap);
}

const twi_loop_ops twi_loop_epoll = {
    .name = "epoll",
    .memory_bytes = twi_readiness_memory_bytes,
    .open = loop_open,
    .close_loop = twi_readiness_close_loop,
    .features = twi_readiness_features,
    .now_ns = twi_readiness_now_ns,
    .listen = twi_readiness_listen,
    .local_port = twi_readiness_local_port,
    .accept = twi_readiness_accept,
    .connect = twi_readiness_connect,
    .recv = twi_readiness_recv,
    .recv_stop = twi_readiness_recv_stop,
    .send = twi_readiness_send,
    .writable = twi_readiness_writable,
    .shutdown = twi_readiness_shutdown,
    .close = twi_readiness_close,
    .timer = twi_readiness_timer,
    .timer_cancel = twi_readiness_timer_cancel,
    .wake = twi_readiness_wake,
    .poll = twi_readiness_poll,
};
