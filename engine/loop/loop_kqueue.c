/* loop_kqueue.c - kqueue (macOS, BSD) as a poller of the readiness loop.
 *
 * Job:       EVFILT_READ with EV_CLEAR reports changes once; EVFILT_WRITE stands only while somebody waits for it.
 * Wake:      EVFILT_USER, triggered from any thread.
 * Timeouts:  the wait itself has nanoseconds; timers live in the loop's own heap, so EVFILT_TIMER is not needed.
 * Tests:     on Linux this file is compiled against tests/support/kevent, which imitates kqueue on epoll. */
#include <sys/types.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/event.h>
#include <sys/time.h>
#include <unistd.h>

#include "engine/base/assert.h"
#include "engine/loop/op.h"
#include "engine/loop/readiness.h"

enum { WAKE_IDENT = 1 };
static const int64_t ns_per_second = 1000000000;

static int change(twi_poller *poller, uintptr_t ident, int16_t filter, uint16_t flags, uint32_t fflags, uint64_t key)
{
    struct kevent event;
    EV_SET(&event, ident, filter, flags, fflags, 0, (void *)(uintptr_t)key);
    return kevent(poller->fd, &event, 1, NULL, 0, NULL) < 0 ? errno : 0;
}

static int poller_watch(twi_poller *poller, int fd, uint64_t key)
{
    return change(poller, (uintptr_t)fd, EVFILT_READ, EV_ADD | EV_CLEAR, 0, key);
}

static int poller_want_write(twi_poller *poller, int fd, uint64_t key)
{
    return change(poller, (uintptr_t)fd, EVFILT_WRITE, EV_ADD, 0, key);
}

static void poller_written_off(twi_poller *poller, int fd, uint64_t key)
{
    (void)change(poller, (uintptr_t)fd, EVFILT_WRITE, EV_DELETE, 0, key);
}

static void poller_close(twi_poller *poller)
{
    (void)change(poller, WAKE_IDENT, EVFILT_USER, EV_DELETE, 0, 0);
    close(poller->fd);
}

static tw_status poller_open(twi_poller *poller, const twi_loop_config *config, char *error, size_t error_cap)
{
    (void)config;
    poller->wake_fd = -1;
    poller->fd = kqueue();
    if (poller->fd < 0) {
        snprintf(error, error_cap, "kqueue: %s", strerror(errno));
        return TW_UNAVAILABLE;
    }
    (void)fcntl(poller->fd, F_SETFD, FD_CLOEXEC);
    int failed = change(poller, WAKE_IDENT, EVFILT_USER, EV_ADD | EV_CLEAR, 0, 0);
    if (failed) {
        snprintf(error, error_cap, "kqueue without EVFILT_USER: %s", strerror(failed));
        close(poller->fd);
        return TW_UNAVAILABLE;
    }
    snprintf(poller->features, sizeof(poller->features), "edge_triggered,user_wake,timeout_ns");
    return TW_OK;
}

static uint32_t translate(const struct kevent *event)
{
    if (event->filter == EVFILT_WRITE)
        return TWI_READY_OUT;
    return event->flags & EV_EOF ? TWI_READY_IN | TWI_READY_END : TWI_READY_IN;
}

static uint32_t poller_wait(twi_poller *poller, twi_ready_event *events, uint32_t capacity, int64_t timeout_ns)
{
    struct kevent ready[TWI_READY_BATCH];
    TWI_ASSERT(capacity <= TWI_READY_BATCH);
    struct timespec timeout = {.tv_sec = (time_t)(timeout_ns / ns_per_second),
                               .tv_nsec = (long)(timeout_ns % ns_per_second)};
    int count = kevent(poller->fd, NULL, 0, ready, (int)capacity, timeout_ns < 0 ? NULL : &timeout);
    uint32_t taken = 0;
    for (int i = 0; i < count; i++)
        if (ready[i].filter != EVFILT_USER)
            events[taken++] = (twi_ready_event){(uint64_t)(uintptr_t)ready[i].udata, translate(&ready[i])};
    return taken;
}

static void poller_notify(twi_poller *poller)
{
    int failed = change(poller, WAKE_IDENT, EVFILT_USER, 0, NOTE_TRIGGER, 0);
    TWI_ASSERT(failed == 0);
}

static const twi_poller_ops kqueue_poller = {
    .open = poller_open,
    .close = poller_close,
    .watch = poller_watch,
    .want_write = poller_want_write,
    .written_off = poller_written_off,
    .wait = poller_wait,
    .notify = poller_notify,
};

_Static_assert(sizeof(void *) >= sizeof(uint64_t), "udata carries a slot and its generation");

static tw_status loop_open(const twi_loop_config *config, twi_loop **loop, char *error, size_t error_cap)
{
    return twi_readiness_open(&twi_loop_kqueue, &kqueue_poller, config, loop, error, error_cap);
}

const twi_loop_ops twi_loop_kqueue = {
    .name = "kqueue",
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
