/* connect_rest_test.c - names and REST requests beside the loop: a small HTTP server in a thread, answers awaited with
 * deadlines; forgetting, canceling and closing at any time. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <arpa/inet.h>
#include <cmocka.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/socket.h>
#include <unistd.h>

#include "engine/base/clock.h"
#include "engine/connect/proxy.h"
#include "engine/connect/resolve.h"
#include "engine/connect/rest.h"

enum { HEAD_MAX = 4096, BODY_BIG = 300000, CONNECTIONS_MAX = 64 };
#define PATIENCE_NS INT64_C(20000000000)

/* ---- the server: one connection at a time, one request per connection; /hang answers nothing ---- */

static int listener, hanging[CONNECTIONS_MAX];
static uint32_t hanging_count;
static uint16_t port;
static char last_head[HEAD_MAX + 1];
static pthread_t server;

static void say(int fd, const char *text, size_t len)
{
    while (len > 0) {
        ssize_t sent = send(fd, text, len, 0);
        if (sent <= 0)
            return;
        text += sent;
        len -= (size_t)sent;
    }
}

static void answer(int fd)
{
    static char big[BODY_BIG];
    char head[256];
    size_t len = 0;
    while (len < HEAD_MAX && memmem(last_head, len, "\r\n\r\n", 4) == NULL) {
        ssize_t got = recv(fd, last_head + len, HEAD_MAX - len, 0);
        if (got <= 0)
            break;
        len += (size_t)got;
    }
    last_head[len] = 0;
    if (strncmp(last_head, "GET /hang", 9) == 0 && hanging_count < CONNECTIONS_MAX) {
        hanging[hanging_count++] = fd;
        return;
    }
    const char *body = "{\"hello\":1}";
    const char *status = "200 OK", *extra = "";
    size_t body_len = strlen(body);
    if (strncmp(last_head, "GET /busy", 9) == 0) {
        status = "429 Too Many Requests";
        extra = "Retry-After: 17\r\n";
    } else if (strncmp(last_head, "GET /big", 8) == 0) {
        memset(big, 'x', sizeof(big));
        body = big;
        body_len = sizeof(big);
    } else if (strncmp(last_head, "GET /away", 9) == 0) {
        status = "302 Found";
        extra = "Location: /\r\n";
    }
    int head_len = snprintf(head, sizeof(head), "HTTP/1.1 %s\r\n%sContent-Length: %zu\r\nConnection: close\r\n\r\n",
                            status, extra, body_len);
    say(fd, head, (size_t)head_len);
    say(fd, body, body_len);
    close(fd);
}

static void *serve(void *unused)
{
    (void)unused;
    for (int fd; (fd = accept(listener, NULL, NULL)) >= 0;)
        answer(fd);
    return NULL;
}

static int start_server(void **state)
{
    (void)state;
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr = {.s_addr = htonl(INADDR_LOOPBACK)}};
    socklen_t len = sizeof(address);
    signal(SIGPIPE, SIG_IGN);
    listener = socket(AF_INET, SOCK_STREAM, 0);
    if (bind(listener, (struct sockaddr *)&address, sizeof(address)) != 0 || listen(listener, 16) != 0 ||
        getsockname(listener, (struct sockaddr *)&address, &len) != 0)
        return -1;
    port = ntohs(address.sin_port);
    return pthread_create(&server, NULL, serve, NULL);
}

static int stop_server(void **state)
{
    (void)state;
    shutdown(listener, SHUT_RDWR);
    close(listener);
    pthread_join(server, NULL);
    for (uint32_t i = 0; i < hanging_count; i++)
        close(hanging[i]);
    return 0;
}

/* ---- who waits ---- */

typedef struct waiter {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    int woken;
} waiter;

static void on_wake(void *owner)
{
    waiter *it = owner;
    pthread_mutex_lock(&it->lock);
    it->woken = 1;
    pthread_cond_signal(&it->changed);
    pthread_mutex_unlock(&it->lock);
}

static void wait_for_wake(waiter *it)
{
    int64_t until_ns = twi_realtime_ns() + PATIENCE_NS;
    struct timespec until = {.tv_sec = until_ns / 1000000000, .tv_nsec = until_ns % 1000000000};
    pthread_mutex_lock(&it->lock);
    while (!it->woken)
        assert_int_equal(pthread_cond_timedwait(&it->changed, &it->lock, &until), 0);
    it->woken = 0;
    pthread_mutex_unlock(&it->lock);
}

static waiter new_waiter(void)
{
    return (waiter){.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};
}

/* ---- REST ---- */

typedef struct outcome {
    uint32_t count;
    int status;
    int32_t retry_after_s;
    size_t body_len;
    char body[64], error[256];
    uint64_t tag;
} outcome;

static void on_done(void *owner, const twi_rest_answer *answer)
{
    outcome *it = owner;
    it->count++;
    it->status = answer->status;
    it->retry_after_s = answer->retry_after_s;
    it->body_len = answer->body_len;
    it->tag = answer->tag;
    snprintf(it->body, sizeof(it->body), "%.*s", answer->body_len < 60 ? (int)answer->body_len : 60,
             (const char *)answer->body);
    snprintf(it->error, sizeof(it->error), "%s", answer->error);
}

static void ask(twi_rest *rest, const char *path, outcome *into, twi_rest_request request)
{
    char url[128];
    snprintf(url, sizeof(url), "http://127.0.0.1:%u%s", (unsigned)port, path);
    request.url = url;
    request.proxy = "none";
    request.done = on_done;
    request.owner = into;
    request.tag = 42;
    assert_int_equal(twi_rest_start(rest, &request), TW_OK);
}

static void await(twi_rest *rest, waiter *wait, const outcome *it)
{
    while (it->count == 0) {
        wait_for_wake(wait);
        twi_rest_step(rest);
    }
    assert_int_equal(it->count, 1);
    assert_int_equal(it->tag, 42);
}

static void test_answers(void **state)
{
    (void)state;
    waiter wait = new_waiter();
    twi_rest *rest;
    assert_int_equal(twi_rest_open(on_wake, &wait, &rest), TW_OK);
    outcome it = {0};
    ask(rest, "/", &it, (twi_rest_request){.headers = "X-One: 1\nX-Two: 2\n"});
    await(rest, &wait, &it);
    assert_int_equal(it.status, 200);
    assert_string_equal(it.body, "{\"hello\":1}");
    assert_string_equal(it.error, "");
    assert_non_null(strstr(last_head, "User-Agent: tickwire\r\n"));
    assert_non_null(strstr(last_head, "X-Two: 2\r\n"));

    it = (outcome){0};
    ask(rest, "/post", &it, (twi_rest_request){.post = 1});
    await(rest, &wait, &it);
    assert_memory_equal(last_head, "POST /post ", 11);
    assert_non_null(strstr(last_head, "Content-Length: 0\r\n"));

    it = (outcome){0};
    ask(rest, "/busy", &it, (twi_rest_request){0});
    await(rest, &wait, &it);
    assert_int_equal(it.status, 429);
    assert_int_equal(it.retry_after_s, 17);

    it = (outcome){0};
    ask(rest, "/away", &it, (twi_rest_request){0});
    await(rest, &wait, &it);
    assert_int_equal(it.status, 302); /* not followed */

    it = (outcome){0};
    ask(rest, "/big", &it, (twi_rest_request){0});
    await(rest, &wait, &it);
    assert_int_equal(it.body_len, BODY_BIG);
    twi_rest_close(rest);
}

static void test_failures(void **state)
{
    (void)state;
    waiter wait = new_waiter();
    twi_rest *rest;
    assert_int_equal(twi_rest_open(on_wake, &wait, &rest), TW_OK);
    outcome it = {0};
    ask(rest, "/big", &it, (twi_rest_request){.body_bytes_max = 1000});
    await(rest, &wait, &it);
    assert_int_equal(it.status, 0);
    assert_string_equal(it.error, "the answer is longer than 1000 bytes");

    it = (outcome){0};
    ask(rest, "/hang", &it, (twi_rest_request){.timeout_ns = 50000000});
    await(rest, &wait, &it);
    assert_int_equal(it.status, 0);
    assert_non_null(strstr(it.error, "imed out"));

    static const char *const urls[] = {"http://127.0.0.1:1/", "ftp://127.0.0.1/", "file:///etc/hostname"};
    for (size_t i = 0; i < sizeof(urls) / sizeof(urls[0]); i++) {
        it = (outcome){0};
        const twi_rest_request request = {.url = urls[i], .proxy = "none", .done = on_done, .owner = &it, .tag = 42};
        assert_int_equal(twi_rest_start(rest, &request), TW_OK);
        await(rest, &wait, &it);
        assert_int_equal(it.status, 0);
        assert_true(it.error[0] != 0);
    }
    twi_rest_close(rest);
}

static void test_forget_and_close(void **state)
{
    (void)state;
    waiter wait = new_waiter();
    twi_rest *rest;
    assert_int_equal(twi_rest_open(on_wake, &wait, &rest), TW_OK);
    outcome forgotten = {0}, it = {0};
    ask(rest, "/", &forgotten, (twi_rest_request){0});
    twi_rest_forget(rest, &forgotten);
    ask(rest, "/", &it, (twi_rest_request){0});
    await(rest, &wait, &it);
    for (int i = 0; i < 5; i++)
        ask(rest, "/hang", &forgotten, (twi_rest_request){0});
    it = (outcome){0};
    ask(rest, "/", &it, (twi_rest_request){0});
    twi_rest_close(rest); /* with all of them under way */
    assert_int_equal(forgotten.count, 0);
    assert_int_equal(it.count, 0);
}

/* ---- names ---- */

typedef struct names {
    uint32_t count, addresses;
    char first[64], error[128];
} names;

static void on_resolved(void *owner, const twi_addresses *addresses, const char *error)
{
    names *it = owner;
    it->count++;
    it->addresses = addresses->count;
    snprintf(it->first, sizeof(it->first), "%s", addresses->count > 0 ? addresses->text[0] : "");
    snprintf(it->error, sizeof(it->error), "%s", error != NULL ? error : "");
}

static void test_names(void **state)
{
    (void)state;
    waiter wait = new_waiter();
    twi_resolver *resolver;
    assert_int_equal(twi_resolver_open(on_wake, &wait, &resolver), TW_OK);
    names local = {0}, bad = {0}, canceled = {0};
    assert_true(twi_resolver_ask(resolver, "localhost", on_resolved, &local) != 0);
    while (local.count == 0) {
        wait_for_wake(&wait);
        twi_resolver_step(resolver);
    }
    assert_true(local.addresses >= 1);
    assert_true(strcmp(local.first, "127.0.0.1") == 0 || strcmp(local.first, "::1") == 0);
    assert_true(twi_resolver_ask(resolver, "not a name", on_resolved, &bad) != 0);
    while (bad.count == 0) {
        wait_for_wake(&wait);
        twi_resolver_step(resolver);
    }
    assert_int_equal(bad.addresses, 0);
    assert_true(bad.error[0] != 0);
    for (int i = 0; i < 3 * TWI_RESOLVE_THREADS_MAX; i++) {
        uint64_t id = twi_resolver_ask(resolver, "localhost", on_resolved, &canceled);
        assert_true(id != 0);
        twi_resolver_cancel(resolver, id);
    }
    names last = {0};
    assert_true(twi_resolver_ask(resolver, "localhost", on_resolved, &last) != 0);
    while (last.count == 0) {
        wait_for_wake(&wait);
        twi_resolver_step(resolver);
    }
    assert_int_equal(canceled.count, 0);
    for (int i = 0; i < 3 * TWI_RESOLVE_THREADS_MAX; i++)
        assert_true(twi_resolver_ask(resolver, "localhost", on_resolved, &canceled) != 0);
    twi_resolver_close(resolver); /* waits for nobody */
    assert_int_equal(canceled.count, 0);
}

/* ---- URLs and proxies ---- */

static void test_urls(void **state)
{
    (void)state;
    static const struct {
        const char *text, *host, *target;
        uint16_t port;
        int tls;
    } good[] = {
        {"wss://stream.binance.com:9443/stream", "stream.binance.com", "/stream", 9443, 1},
        {"ws://[::1]:80/a?b=c#d", "::1", "/a?b=c", 80, 0},
        {"https://host", "host", "/", 443, 1},
        {"http://user:pw@host?x", "host", "/?x", 80, 0},
    };
    twi_web_url url;
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        assert_int_equal(twi_web_url_parse(good[i].text, strlen(good[i].text), &url), TW_OK);
        assert_string_equal(url.host, good[i].host);
        assert_string_equal(url.target, good[i].target);
        assert_int_equal(url.port, good[i].port);
        assert_int_equal(url.tls, good[i].tls);
    }
    static const char *const bad[] = {"",         "ws:/x",        "ws://",      "ws://:1/",    "ws://h:0/",
                                      "ws://h:x", "ws://h:65536", "ws://[::1/", "ws://[::1]x", "ws://h/a b",
                                      "ws://h\n", "gopher://h",   "ws://h:-1/"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_int_equal(twi_web_url_parse(bad[i], strlen(bad[i]), &url), TW_MALFORMED);
    char authority[64];
    assert_int_equal(twi_web_url_parse("wss://[::1]:443/", 16, &url), TW_OK);
    assert_int_equal(twi_web_url_authority(&url, false, authority, sizeof(authority)), 5);
    assert_string_equal(authority, "[::1]");
    assert_int_equal(twi_web_url_authority(&url, true, authority, sizeof(authority)), 9);
    assert_int_equal(twi_web_url_authority(&url, true, authority, 4), 0);
}

static void test_proxies(void **state)
{
    (void)state;
    twi_web_url venue, proxy;
    const char *from;
    static const char *const variables[] = {"HTTPS_PROXY", "https_proxy", "http_proxy", "ALL_PROXY",
                                            "all_proxy",   "NO_PROXY",    "no_proxy"};
    for (size_t i = 0; i < sizeof(variables) / sizeof(variables[0]); i++)
        unsetenv(variables[i]);
    assert_int_equal(twi_web_url_parse("wss://ws.example.com/", 21, &venue), TW_OK);
    assert_int_equal(twi_proxy_choose("", &venue, &proxy, &from), TW_EMPTY);
    assert_int_equal(twi_proxy_choose("http://p:8080", &venue, &proxy, &from), TW_OK);
    assert_int_equal(proxy.port, 8080);
    assert_int_equal(twi_proxy_choose("https://p", &venue, &proxy, &from), TW_BAD_CONFIG);
    assert_int_equal(twi_proxy_choose("socks5://p", &venue, &proxy, &from), TW_BAD_CONFIG);
    setenv("HTTPS_PROXY", "corp:3128", 1);
    assert_int_equal(twi_proxy_choose(NULL, &venue, &proxy, &from), TW_OK);
    assert_string_equal(proxy.host, "corp");
    assert_string_equal(from, "HTTPS_PROXY");
    assert_int_equal(twi_proxy_choose("none", &venue, &proxy, &from), TW_EMPTY);
    static const struct {
        const char *list;
        tw_status wanted;
    } cases[] = {
        {"example.com", TW_EMPTY}, {".example.com", TW_EMPTY}, {"a, ws.example.com", TW_EMPTY}, {"*", TW_EMPTY},
        {"xample.com", TW_OK},     {"example.org", TW_OK},     {"WS.EXAMPLE.COM", TW_EMPTY},    {",", TW_OK}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        setenv("NO_PROXY", cases[i].list, 1);
        assert_int_equal(twi_proxy_choose(NULL, &venue, &proxy, &from), cases[i].wanted);
    }
    unsetenv("HTTPS_PROXY");
    unsetenv("NO_PROXY");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_answers), cmocka_unit_test(test_failures), cmocka_unit_test(test_forget_and_close),
        cmocka_unit_test(test_names),   cmocka_unit_test(test_urls),     cmocka_unit_test(test_proxies),
    };
    return cmocka_run_group_tests(tests, start_server, stop_server);
}
