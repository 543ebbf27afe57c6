/* event.h - kqueue() and kevent() for Linux, as far as the kqueue loop uses them: a stand-in for the BSD header.
 *
 * Job:       lets loop_kqueue.c be compiled and run where there is no kqueue, so that every change tests its logic.
 * Offers:    EVFILT_READ, EVFILT_WRITE and EVFILT_USER; EV_ADD, EV_DELETE, EV_CLEAR, EV_ONESHOT, EV_EOF; NOTE_TRIGGER.
 * Thread:    kevent() may be called from several threads.
 * Non-goals: speed; other filters (EINVAL); anything outside of tests. */
#ifndef TWT_SYS_EVENT_H
#define TWT_SYS_EVENT_H

#include <stdint.h>
#include <time.h>

struct kevent {
    uintptr_t ident;
    int16_t filter;
    uint16_t flags;
    uint32_t fflags;
    intptr_t data;
    void *udata;
};

#define EVFILT_READ  (-1)
#define EVFILT_WRITE (-2)
#define EVFILT_USER  (-10)

#define EV_ADD     0x0001
#define EV_DELETE  0x0002
#define EV_ONESHOT 0x0010
#define EV_CLEAR   0x0020
#define EV_ERROR   0x4000
#define EV_EOF     0x8000

#define NOTE_TRIGGER 0x01000000

#define EV_SET(event, ident_value, filter_value, flags_value, fflags_value, data_value, udata_value)                   \
    (*(event) = (struct kevent){(uintptr_t)(ident_value), (int16_t)(filter_value), (uint16_t)(flags_value),            \
                                (uint32_t)(fflags_value), (intptr_t)(data_value), (udata_value)})

/* A descriptor, closed by close(); -1 and errno on failure. */
int kqueue(void);
/* As the BSD manual says; a change that fails makes the call fail (there is no EV_ERROR event). */
int kevent(int queue, const struct kevent *changes, int change_count, struct kevent *events, int event_count,
           const struct timespec *timeout);

#endif
