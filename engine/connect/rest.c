/* rest.c - see rest.h. */
#include "engine/connect/rest.h"

#include <curl/curl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/thread.h"

enum { CONNECT_TIMEOUT_MS = 5000, TIMEOUT_MS = 10000, WAIT_MS = 10000, CONNECTIONS_MAX = 16, PER_HOST_MAX = 4 };
#define BODY_BYTES_MAX ((size_t)64 << 20)
#define BODY_BYTES_MIN ((size_t)16 << 10)
#define USER_AGENT     "tickwire"

typedef struct job {
    struct job *next;
    CURL *easy; /* while under way; the worker's */
    twi_rest_done_fn done;
    const void *owner; /* NULL: forgotten */
    uint64_t tag;
    char *url, *request_body, *proxy, *ca_file;
    struct curl_slist *headers;
    int post;
    uint8_t tls_minor_min;
    long timeout_ms;
    size_t body_bytes_max;
    /* the answer */
    uint8_t *body;
    size_t body_len, body_cap;
    int too_big;
    long status;
    curl_off_t retry_after_s;
    char error[CURL_ERROR_SIZE];
} job;

typedef struct list {
    job *first, *last;
} list;

struct twi_rest {
    pthread_t worker;
    CURLM *multi;
    twi_wake_fn wake;
    void *wake_owner;
    pthread_mutex_t lock; /* of the lists and of job.owner */
    list asked, under_way, answered;
    _Atomic uint32_t answered_count;
    _Atomic int stop;
};

static void put(list *to, job *it)
{
    it->next = NULL;
    if (to->last != NULL)
        to->last->next = it;
    else
        to->first = it;
    to->last = it;
}

static void drop(list *from, job *it)
{
    job *before = NULL;
    for (job *at = from->first; at != it; at = at->next)
        before = at;
    if (before != NULL)
        before->next = it->next;
    else
        from->first = it->next;
    if (from->last == it)
        from->last = before;
}

static void free_job(job *it)
{
    free(it->url);
    free(it->request_body);
    free(it->proxy);
    free(it->ca_file);
    free(it->body);
    curl_slist_free_all(it->headers);
    free(it);
}

static void free_list(list *of)
{
    while (of->first != NULL) {
        job *it = of->first;
        drop(of, it);
        free_job(it);
    }
}

/* ---- the worker ---- */

static size_t take_body(char *data, size_t size, size_t count, void *owner)
{
    job *it = owner;
    size_t len = size * count;
    if (it->body_len + len > it->body_bytes_max) {
        it->too_big = 1;
        return 0;
    }
    if (it->body_len + len > it->body_cap) {
        size_t cap = it->body_cap > 0 ? it->body_cap : BODY_BYTES_MIN;
        while (cap < it->body_len + len)
            cap *= 2;
        uint8_t *larger = realloc(it->body, cap);
        if (larger == NULL)
            return 0;
        it->body = larger;
        it->body_cap = cap;
    }
    memcpy(it->body + it->body_len, data, len);
    it->body_len += len;
    return len;
}

static CURL *make_handle(job *it)
{
    CURL *easy = curl_easy_init();
    if (easy == NULL)
        return NULL;
    curl_easy_setopt(easy, CURLOPT_URL, it->url);
    curl_easy_setopt(easy, CURLOPT_PRIVATE, it);
    curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, it->error);
    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(easy, CURLOPT_USERAGENT, USER_AGENT);
    curl_easy_setopt(easy, CURLOPT_ACCEPT_ENCODING, "");
    curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, (long)CONNECT_TIMEOUT_MS);
    curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, it->timeout_ms);
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, take_body);
    curl_easy_setopt(easy, CURLOPT_WRITEDATA, it);
    curl_easy_setopt(easy, CURLOPT_HTTPHEADER, it->headers);
    curl_easy_setopt(easy, CURLOPT_SSLVERSION,
                     (long)(it->tls_minor_min == 3 ? CURL_SSLVERSION_TLSv1_3 : CURL_SSLVERSION_TLSv1_2));
#if LIBCURL_VERSION_NUM >= 0x075500
    curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
#else
    curl_easy_setopt(easy, CURLOPT_PROTOCOLS, (long)(CURLPROTO_HTTP | CURLPROTO_HTTPS));
#endif
#if LIBCURL_VERSION_NUM >= 0x075700
    curl_easy_setopt(easy, CURLOPT_QUICK_EXIT, 1L); /* a stop does not wait for the system's resolver */
#endif
    if (it->ca_file != NULL)
        curl_easy_setopt(easy, CURLOPT_CAINFO, it->ca_file);
    if (it->proxy != NULL)
        curl_easy_setopt(easy, CURLOPT_PROXY, it->proxy);
    if (it->post) {
        curl_easy_setopt(easy, CURLOPT_POSTFIELDS, it->request_body != NULL ? it->request_body : "");
        curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE, (long)(it->request_body ? strlen(it->request_body) : 0));
    }
    return easy;
}

/* From `under_way` to the answers. */
static void finish(twi_rest *rest, job *it, const char *error)
{
    if (error != NULL && it->error[0] == 0)
        snprintf(it->error, sizeof(it->error), "%s", error);
    if (it->too_big)
        snprintf(it->error, sizeof(it->error), "the answer is longer than %zu bytes", it->body_bytes_max);
    if (error == NULL)
        it->error[0] = 0;
    else
        it->status = 0;
    pthread_mutex_lock(&rest->lock);
    drop(&rest->under_way, it);
    put(&rest->answered, it);
    atomic_fetch_add(&rest->answered_count, 1);
    pthread_mutex_unlock(&rest->lock);
    rest->wake(rest->wake_owner);
}

static void take_jobs(twi_rest *rest)
{
    for (;;) {
        pthread_mutex_lock(&rest->lock);
        job *it = rest->asked.first;
        if (it != NULL) {
            drop(&rest->asked, it);
            put(&rest->under_way, it);
        }
        pthread_mutex_unlock(&rest->lock);
        if (it == NULL)
            return;
        it->easy = make_handle(it);
        if (it->easy == NULL || curl_multi_add_handle(rest->multi, it->easy) != CURLM_OK) {
            if (it->easy != NULL)
                curl_easy_cleanup(it->easy);
            finish(rest, it, "no memory for a request");
        }
    }
}

static void take_results(twi_rest *rest)
{
    int left;
    const CURLMsg *message;
    while ((message = curl_multi_info_read(rest->multi, &left)) != NULL) {
        if (message->msg != CURLMSG_DONE)
            continue;
        CURL *easy = message->easy_handle;
        CURLcode code = message->data.result;
        char *private = NULL;
        curl_easy_getinfo(easy, CURLINFO_PRIVATE, &private);
        job *it = (job *)(void *)private;
        curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &it->status);
        curl_easy_getinfo(easy, CURLINFO_RETRY_AFTER, &it->retry_after_s);
        curl_multi_remove_handle(rest->multi, easy);
        curl_easy_cleanup(easy);
        finish(rest, it, code == CURLE_OK ? NULL : curl_easy_strerror(code));
    }
}

static void *work(void *argument)
{
    twi_rest *rest = argument;
    int running;
    while (!atomic_load(&rest->stop)) {
        take_jobs(rest);
        curl_multi_perform(rest->multi, &running);
        take_results(rest);
        if (!atomic_load(&rest->stop))
            curl_multi_poll(rest->multi, NULL, 0, WAIT_MS, NULL);
    }
    return NULL;
}

/* ---- the loop's thread ---- */

static pthread_once_t curl_once = PTHREAD_ONCE_INIT;

static void init_curl(void)
{
    curl_global_init(CURL_GLOBAL_DEFAULT);
}

tw_status twi_rest_open(twi_wake_fn wake, void *wake_owner, twi_rest **out)
{
    pthread_once(&curl_once, init_curl);
    twi_rest *rest = calloc(1, sizeof(*rest));
    if (rest == NULL)
        return TW_NO_MEMORY;
    rest->wake = wake;
    rest->wake_owner = wake_owner;
    rest->multi = curl_multi_init();
    if (rest->multi == NULL) {
        free(rest);
        return TW_NO_MEMORY;
    }
    curl_multi_setopt(rest->multi, CURLMOPT_MAXCONNECTS, (long)CONNECTIONS_MAX);
    curl_multi_setopt(rest->multi, CURLMOPT_MAX_HOST_CONNECTIONS, (long)PER_HOST_MAX);
    pthread_mutex_init(&rest->lock, NULL);
    if (twi_thread_start(&rest->worker, NULL, work, rest) != 0) {
        curl_multi_cleanup(rest->multi);
        pthread_mutex_destroy(&rest->lock);
        free(rest);
        return TW_UNAVAILABLE;
    }
    *out = rest;
    return TW_OK;
}

void twi_rest_close(twi_rest *rest)
{
    atomic_store(&rest->stop, 1);
    curl_multi_wakeup(rest->multi);
    pthread_join(rest->worker, NULL);
    for (job *it = rest->under_way.first; it != NULL; it = it->next) {
        curl_multi_remove_handle(rest->multi, it->easy);
        curl_easy_cleanup(it->easy);
    }
    curl_multi_cleanup(rest->multi);
    free_list(&rest->asked);
    free_list(&rest->under_way);
    free_list(&rest->answered);
    pthread_mutex_destroy(&rest->lock);
    free(rest);
}

static int copy_text(char **to, const char *from)
{
    if (from == NULL || *from == 0)
        return 1;
    *to = strdup(from);
    return *to != NULL;
}

static int copy_headers(job *it, const char *lines)
{
    while (lines != NULL && *lines != 0) {
        char line[1024];
        size_t len = strcspn(lines, "\n");
        if (len >= sizeof(line))
            return 0;
        memcpy(line, lines, len);
        line[len] = 0;
        struct curl_slist *longer = curl_slist_append(it->headers, line);
        if (longer == NULL)
            return 0;
        it->headers = longer;
        lines += len + (lines[len] != 0);
    }
    return 1;
}

tw_status twi_rest_start(twi_rest *rest, const twi_rest_request *request)
{
    job *it = calloc(1, sizeof(*it));
    if (it == NULL)
        return TW_NO_MEMORY;
    const char *proxy = request->proxy;
    int direct = proxy != NULL && strcmp(proxy, "none") == 0;
    if (!copy_text(&it->url, request->url) || !copy_text(&it->request_body, request->body) ||
        !copy_text(&it->ca_file, request->ca_file) || !copy_headers(it, request->headers) ||
        !copy_text(&it->proxy, direct ? NULL : proxy) || (direct && (it->proxy = strdup("")) == NULL)) {
        free_job(it);
        return TW_NO_MEMORY;
    }
    it->done = request->done;
    it->owner = request->owner;
    it->tag = request->tag;
    it->post = request->post;
    it->tls_minor_min = request->tls_minor_min;
    it->timeout_ms = request->timeout_ns > 0 ? (long)(request->timeout_ns / 1000000) : TIMEOUT_MS;
    it->body_bytes_max = request->body_bytes_max > 0 ? request->body_bytes_max : BODY_BYTES_MAX;
    pthread_mutex_lock(&rest->lock);
    put(&rest->asked, it);
    pthread_mutex_unlock(&rest->lock);
    curl_multi_wakeup(rest->multi);
    return TW_OK;
}

static void forget_in(list *in, const void *owner)
{
    for (job *it = in->first; it != NULL; it = it->next) {
        if (it->owner == owner)
            it->done = NULL;
    }
}

void twi_rest_forget(twi_rest *rest, const void *owner)
{
    pthread_mutex_lock(&rest->lock);
    forget_in(&rest->asked, owner);
    forget_in(&rest->under_way, owner);
    forget_in(&rest->answered, owner);
    pthread_mutex_unlock(&rest->lock);
}

uint32_t twi_rest_step(twi_rest *rest)
{
    static const uint8_t nothing[1] = {0};
    uint32_t count = 0;
    while (atomic_load(&rest->answered_count) > 0) {
        pthread_mutex_lock(&rest->lock);
        job *it = rest->answered.first;
        drop(&rest->answered, it);
        atomic_fetch_sub(&rest->answered_count, 1);
        pthread_mutex_unlock(&rest->lock);
        const twi_rest_answer answer = {.status = (int)it->status,
                                        .retry_after_s = (int32_t)it->retry_after_s,
                                        .url = it->url,
                                        .body = it->body != NULL ? it->body : nothing,
                                        .body_len = it->body_len,
                                        .error = it->error,
                                        .tag = it->tag};
        if (it->done != NULL)
            it->done((void *)(uintptr_t)it->owner, &answer);
        free_job(it);
        count++;
    }
    return count;
}
