/* resolve.c - see resolve.h. */
#include "engine/connect/resolve.h"

#include <netdb.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "engine/base/thread.h"

enum { HOST_MAX = 255, ERROR_MAX = 127 };

typedef struct question {
    struct question *next;
    struct twi_resolver *resolver;
    uint64_t id;
    int canceled; /* under the lock */
    twi_resolved_fn done;
    void *owner;
    char host[HOST_MAX + 1], error[ERROR_MAX + 1];
    twi_addresses addresses;
} question;

typedef struct list {
    question *first, *last;
} list;

/* Held by its owner and by every thread that is under way. */
struct twi_resolver {
    pthread_mutex_t lock;
    twi_wake_fn wake;
    void *wake_owner;
    uint32_t holders, threads;
    int open;
    uint64_t last_id;
    list waiting, under_way, answered;
    _Atomic uint32_t answered_count; /* looked at without the lock */
};

static void put(list *to, question *it)
{
    it->next = NULL;
    if (to->last != NULL)
        to->last->next = it;
    else
        to->first = it;
    to->last = it;
}

static void drop(list *from, question *it)
{
    question *before = NULL;
    for (question *at = from->first; at != it; at = at->next)
        before = at;
    if (before != NULL)
        before->next = it->next;
    else
        from->first = it->next;
    if (from->last == it)
        from->last = before;
}

static void free_list(list *of)
{
    for (question *next, *it = of->first; it != NULL; it = next) {
        next = it->next;
        free(it);
    }
    *of = (list){0};
}

/* Gives the lock back; frees the resolver if nobody holds it any more. */
static void release(twi_resolver *resolver)
{
    uint32_t left = --resolver->holders;
    pthread_mutex_unlock(&resolver->lock);
    if (left > 0)
        return;
    free_list(&resolver->waiting);
    free_list(&resolver->answered);
    pthread_mutex_destroy(&resolver->lock);
    free(resolver);
}

/* ---- in the threads ---- */

static int of_family(const struct addrinfo *it, int family)
{
    return it != NULL && it->ai_family == family;
}

static void add_address(twi_addresses *to, const struct addrinfo *it)
{
    if (to->count == TWI_RESOLVE_ADDRESS_COUNT_MAX)
        return;
    char *text = to->text[to->count];
    if (getnameinfo(it->ai_addr, it->ai_addrlen, text, sizeof(to->text[0]), NULL, 0, NI_NUMERICHOST) == 0)
        to->count++;
}

static const struct addrinfo *next_of(const struct addrinfo *it, int family, int same)
{
    while (it != NULL && of_family(it, family) != same)
        it = it->ai_next;
    return it;
}

static void take_turns(twi_addresses *to, const struct addrinfo *found)
{
    int first_family = found->ai_family;
    const struct addrinfo *same = found, *other = next_of(found, first_family, 0);
    while (same != NULL || other != NULL) {
        if (same != NULL) {
            add_address(to, same);
            same = next_of(same->ai_next, first_family, 1);
        }
        if (other != NULL) {
            add_address(to, other);
            other = next_of(other->ai_next, first_family, 0);
        }
    }
}

static void look_up(question *it)
{
    struct addrinfo *found = NULL;
    const struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM, .ai_flags = AI_ADDRCONFIG};
    int code = getaddrinfo(it->host, NULL, &hints, &found);
    if (code == 0)
        take_turns(&it->addresses, found);
    if (found != NULL)
        freeaddrinfo(found);
    if (code != 0)
        snprintf(it->error, sizeof(it->error), "%s", gai_strerror(code));
    else if (it->addresses.count == 0)
        snprintf(it->error, sizeof(it->error), "the name has no address");
}

static void *run(void *argument)
{
    question *it = argument;
    twi_resolver *resolver = it->resolver;
    for (;;) {
        look_up(it);
        pthread_mutex_lock(&resolver->lock);
        drop(&resolver->under_way, it);
        if (it->canceled || !resolver->open) {
            free(it);
        } else {
            put(&resolver->answered, it);
            atomic_fetch_add(&resolver->answered_count, 1);
            resolver->wake(resolver->wake_owner);
        }
        it = resolver->open ? resolver->waiting.first : NULL;
        if (it == NULL)
            break;
        drop(&resolver->waiting, it);
        put(&resolver->under_way, it);
        pthread_mutex_unlock(&resolver->lock);
    }
    resolver->threads--;
    release(resolver);
    return NULL;
}

/* ---- in the loop's thread ---- */

tw_status twi_resolver_open(twi_wake_fn wake, void *wake_owner, twi_resolver **out)
{
    twi_resolver *resolver = calloc(1, sizeof(*resolver));
    if (resolver == NULL)
        return TW_NO_MEMORY;
    pthread_mutex_init(&resolver->lock, NULL);
    resolver->wake = wake;
    resolver->wake_owner = wake_owner;
    resolver->holders = 1;
    resolver->open = 1;
    *out = resolver;
    return TW_OK;
}

void twi_resolver_close(twi_resolver *resolver)
{
    pthread_mutex_lock(&resolver->lock);
    resolver->open = 0;
    release(resolver);
}

static int start_thread(question *it)
{
    pthread_t thread;
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    int code = twi_thread_start(&thread, &attributes, run, it);
    pthread_attr_destroy(&attributes);
    return code == 0;
}

uint64_t twi_resolver_ask(twi_resolver *resolver, const char *host, twi_resolved_fn done, void *owner)
{
    size_t len = strlen(host);
    question *it = len <= HOST_MAX ? calloc(1, sizeof(*it)) : NULL;
    if (it == NULL)
        return 0;
    it->resolver = resolver;
    it->done = done;
    it->owner = owner;
    memcpy(it->host, host, len);
    pthread_mutex_lock(&resolver->lock);
    uint64_t id = it->id = ++resolver->last_id;
    if (resolver->threads == TWI_RESOLVE_THREADS_MAX) {
        put(&resolver->waiting, it);
    } else {
        put(&resolver->under_way, it);
        resolver->threads++;
        resolver->holders++;
        if (!start_thread(it)) {
            drop(&resolver->under_way, it);
            resolver->threads--;
            resolver->holders--;
            free(it);
            id = 0;
        }
    }
    pthread_mutex_unlock(&resolver->lock);
    return id;
}

static question *find(const list *in, uint64_t id)
{
    question *it = in->first;
    while (it != NULL && it->id != id)
        it = it->next;
    return it;
}

void twi_resolver_cancel(twi_resolver *resolver, uint64_t id)
{
    pthread_mutex_lock(&resolver->lock);
    question *it = find(&resolver->under_way, id);
    if (it != NULL)
        it->canceled = 1;
    if ((it = find(&resolver->waiting, id)) != NULL) {
        drop(&resolver->waiting, it);
        free(it);
    }
    if ((it = find(&resolver->answered, id)) != NULL) {
        drop(&resolver->answered, it);
        atomic_fetch_sub(&resolver->answered_count, 1);
        free(it);
    }
    pthread_mutex_unlock(&resolver->lock);
}

uint32_t twi_resolver_step(twi_resolver *resolver)
{
    uint32_t count = 0;
    while (atomic_load(&resolver->answered_count) > 0) {
        pthread_mutex_lock(&resolver->lock);
        question *it = resolver->answered.first;
        if (it != NULL) {
            drop(&resolver->answered, it);
            atomic_fetch_sub(&resolver->answered_count, 1);
        }
        pthread_mutex_unlock(&resolver->lock);
        if (it == NULL)
            break;
        it->done(it->owner, &it->addresses, it->addresses.count > 0 ? NULL : it->error);
        free(it);
        count++;
    }
    return count;
}
