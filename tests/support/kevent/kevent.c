/* kevent.c - see sys/event.h here: kqueue on top of epoll.
 *
 * How:       a queue is an epoll descriptor; a table says for each descriptor which filters are on it. epoll has one
 *            registration per file, so the filters are merged into one, edge-triggered; a filter that is not EV_CLEAR
 *            is armed again after each report, which makes epoll look at the file again. A descriptor that was closed
 *            has left epoll by itself: ENOENT at the next change is how its old filters are forgotten. */
#include <sys/event.h>

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <unistd.h>

enum { FILES_MAX = 65536, BATCH = 64 };

typedef struct filter {
    bool is_on;
    uint16_t flags;
    void *udata;
} filter;

typedef struct file_entry {
    int queue; /* that these filters belong to; one queue at a time watches a file */
    filter read, write, user;
    int user_fd; /* for the entry of a queue itself: what EVFILT_USER rings */
    uintptr_t user_ident;
} file_entry;

static file_entry files[FILES_MAX];
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

int kqueue(void)
{
    int queue = epoll_create1(EPOLL_CLOEXEC);
    if (queue < 0 || queue >= FILES_MAX)
        return -1;
    pthread_mutex_lock(&lock);
    files[queue] = (file_entry){.user_fd = -1, .queue = -1};
    pthread_mutex_unlock(&lock);
    return queue;
}

static int set_registration(int queue, int fd, bool may_be_new)
{
    file_entry *entry = &files[fd];
    struct epoll_event event = {.events = EPOLLET, .data.fd = fd};
    if (entry->read.is_on)
        event.events |= EPOLLIN | EPOLLRDHUP;
    if (entry->write.is_on)
        event.events |= EPOLLOUT;
    if (epoll_ctl(queue, EPOLL_CTL_MOD, fd, &event) == 0)
        return 0;
    if (errno != ENOENT || !may_be_new)
        return -1;
    return epoll_ctl(queue, EPOLL_CTL_ADD, fd, &event);
}

static bool is_registered(int queue, int fd)
{
    struct epoll_event event = {.events = EPOLLET, .data.fd = fd};
    return files[fd].queue == queue && epoll_ctl(queue, EPOLL_CTL_MOD, fd, &event) == 0;
}

static int change_user(int queue, const struct kevent *change)
{
    file_entry *entry = &files[queue];
    if (change->flags & EV_ADD) {
        entry->user = (filter){true, change->flags, change->udata};
        entry->user_ident = change->ident;
        entry->user_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
        struct epoll_event event = {.events = EPOLLIN | EPOLLET, .data.fd = -1};
        if (entry->user_fd < 0 || epoll_ctl(queue, EPOLL_CTL_ADD, entry->user_fd, &event) != 0)
            return -1;
    }
    if (change->flags & EV_DELETE && entry->user_fd >= 0) {
        close(entry->user_fd);
        entry->user_fd = -1;
        entry->user.is_on = false;
    }
    if (change->fflags & NOTE_TRIGGER) {
        uint64_t one = 1;
        if (entry->user_fd < 0 || write(entry->user_fd, &one, sizeof(one)) < 0)
            return -1;
    }
    return 0;
}

static int apply(int queue, const struct kevent *change)
{
    if (change->filter == EVFILT_USER)
        return change_user(queue, change);
    int fd = (int)change->ident;
    if (fd < 0 || fd >= FILES_MAX || (change->filter != EVFILT_READ && change->filter != EVFILT_WRITE)) {
        errno = EINVAL;
        return -1;
    }
    file_entry *entry = &files[fd];
    if (!is_registered(queue, fd))
        *entry = (file_entry){.queue = queue, .user_fd = -1};
    filter *changed = change->filter == EVFILT_READ ? &entry->read : &entry->write;
    if (change->flags & EV_DELETE) {
        bool was_on = changed->is_on;
        changed->is_on = false;
        if (set_registration(queue, fd, false) == 0 && was_on)
            return 0;
        errno = ENOENT;
        return -1;
    }
    *changed = (filter){true, change->flags, change->udata};
    return set_registration(queue, fd, true);
}

static int report(struct kevent *events, int used, int fd, filter *reported, int16_t kind, bool is_end)
{
    int waiting = 0;
    if (kind == EVFILT_READ)
        (void)ioctl(fd, FIONREAD, &waiting);
    EV_SET(&events[used], fd, kind, reported->flags | (is_end ? EV_EOF : 0), 0, waiting, reported->udata);
    if (reported->flags & EV_ONESHOT)
        reported->is_on = false;
    return used + 1;
}

/* One epoll event becomes up to two kevents. Returns how many are used then. */
static int translate(int queue, const struct epoll_event *event, struct kevent *events, int used)
{
    int fd = event->data.fd;
    if (fd < 0) {
        uint64_t count;
        file_entry *self = &files[queue];
        if (self->user_fd < 0 || read(self->user_fd, &count, sizeof(count)) < 0)
            return used;
        EV_SET(&events[used], self->user_ident, EVFILT_USER, self->user.flags, 0, 0, self->user.udata);
        return used + 1;
    }
    file_entry *entry = &files[fd];
    bool is_end = event->events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR);
    bool is_broken = event->events & (EPOLLHUP | EPOLLERR);
    bool again = false;
    if (entry->read.is_on && (event->events & EPOLLIN || is_end)) {
        again |= !(entry->read.flags & EV_CLEAR);
        used = report(events, used, fd, &entry->read, EVFILT_READ, is_end);
    }
    if (entry->write.is_on && (event->events & EPOLLOUT || is_broken)) {
        again |= !(entry->write.flags & EV_CLEAR);
        used = report(events, used, fd, &entry->write, EVFILT_WRITE, is_broken);
    }
    if (again)
        (void)set_registration(queue, fd, false);
    return used;
}

int kevent(int queue, const struct kevent *changes, int change_count, struct kevent *events, int event_count,
           const struct timespec *timeout)
{
    pthread_mutex_lock(&lock);
    for (int i = 0; i < change_count; i++)
        if (apply(queue, &changes[i]) != 0) {
            int saved = errno;
            pthread_mutex_unlock(&lock);
            errno = saved;
            return -1;
        }
    pthread_mutex_unlock(&lock);
    if (event_count == 0)
        return 0;
    struct epoll_event ready[BATCH];
    int capacity = event_count / 2 < BATCH ? event_count / 2 : BATCH; /* each may become two */
    int count = epoll_pwait2(queue, ready, capacity > 0 ? capacity : 1, timeout, NULL);
    int used = 0;
    pthread_mutex_lock(&lock);
    for (int i = 0; i < count; i++)
        used = translate(queue, &ready[i], events, used);
    pthread_mutex_unlock(&lock);
    return count < 0 ? count : used;
}
