/* connect_alloc_test.c - from received bytes to events nothing is allocated: a real socket, plain and with TLS, the
 * real driver and a real adapter.
 *
 * Limits:   glibc only, and not under a sanitizer, which replaces malloc itself; the test says that it was skipped. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <arpa/inet.h>
#include <cmocka.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include "engine/base/clock.h"
#include "engine/connect/driver.h"
#include "engine/proto/ws.h"
#include "engine/proto/ws_handshake.h"
#include "tests/unit/connect_identity.h"

#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) || __has_feature(memory_sanitizer)
#define SANITIZED 1
#endif
#endif
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1
#endif
#if defined(__GLIBC__) && !defined(SANITIZED)
#define COUNTING 1
#else
#define COUNTING 0
#endif

static _Thread_local uint64_t allocation_count;

#if COUNTING
void *__libc_malloc(size_t bytes);
void *__libc_calloc(size_t count, size_t bytes);
void *__libc_realloc(void *memory, size_t bytes);
void *__libc_memalign(size_t alignment, size_t bytes);

void *malloc(size_t bytes)
{
    allocation_count++;
    return __libc_malloc(bytes);
}

void *calloc(size_t count, size_t bytes)
{
    allocation_count++;
    return __libc_calloc(count, bytes);
}

void *realloc(void *memory, size_t bytes)
{
    allocation_count++;
    return __libc_realloc(memory, bytes);
}

void *aligned_alloc(size_t alignment, size_t bytes)
{
    allocation_count++;
    return __libc_memalign(alignment, bytes);
}
#endif

enum { WARM = 200, MESSAGES = 5000, INSTRUMENTS = 16, HEAD_MAX = 4096, FRAME_MAX = 40000 };
#define PATIENCE_NS INT64_C(30000000000)

/* ---- the venue: one connection, one history of trades, some of them in messages larger than a TLS record ---- */

typedef struct venue {
    int listener;
    uint16_t port;
    SSL_CTX *context; /* NULL: plain */
    pthread_t thread;
} venue;

static bool say(int fd, SSL *ssl, const uint8_t *bytes, size_t len)
{
    while (len > 0) {
        long sent = ssl != NULL ? SSL_write(ssl, bytes, (int)len) : (long)send(fd, bytes, len, 0);
        if (sent <= 0)
            return false;
        bytes += sent;
        len -= (size_t)sent;
    }
    return true;
}

static void greet(int fd, SSL *ssl)
{
    uint8_t head[HEAD_MAX];
    char answer[512];
    size_t len = 0;
    twi_http_request request;
    twi_ws_upgrade upgrade;
    while (twi_http_request_parse(head, len, 0, NULL, &request) == TW_NEED_MORE) {
        long got = ssl != NULL ? SSL_read(ssl, head + len, (int)(HEAD_MAX - len))
                               : (long)recv(fd, head + len, HEAD_MAX - len, 0);
        if (got <= 0)
            return;
        len += (size_t)got;
    }
    if (twi_ws_upgrade_check(&request, &upgrade) == TW_OK)
        say(fd, ssl, (uint8_t *)answer, twi_ws_accept_write(answer, sizeof(answer), &upgrade, NULL, NULL, NULL));
}

static void *serve(void *argument)
{
    const venue *it = argument;
    static uint8_t frame[FRAME_MAX + TWI_WS_HEADER_BYTES_MAX], text[FRAME_MAX];
    int fd = accept(it->listener, NULL, NULL);
    SSL *ssl = NULL;
    if (it->context != NULL) {
        ssl = SSL_new(it->context);
        SSL_set_fd(ssl, fd);
        if (SSL_accept(ssl) != 1)
            close(fd);
    }
    greet(fd, ssl);
    for (int i = 1; i <= WARM + MESSAGES; i++) {
        int len = snprintf((char *)text, sizeof(text),
                           "{\"stream\":\"btcusdt@trade\",\"data\":{\"e\":\"trade\",\"E\":1,\"s\":\"BTCUSDT\",\"t\":%d,"
                           "\"p\":\"1000.5\",\"q\":\"0.25\",\"T\":1,\"m\":true}}",
                           i);
        size_t padded = i % 50 == 0 ? FRAME_MAX : (size_t)len;
        memset(text + len, ' ', padded - (size_t)len);
        size_t head = twi_ws_header_write(frame, TWI_WS_TEXT, true, false, padded, NULL);
        memcpy(frame + head, text, padded);
        if (!say(fd, ssl, frame, head + padded))
            break;
    }
    while (recv(fd, text, sizeof(text), 0) > 0)
        continue; /* until the client has ended: closing over unread bytes would take ours away */
    if (ssl != NULL)
        SSL_free(ssl);
    close(fd);
    return NULL;
}

static void open_venue(venue *it, const twt_identity *server)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr = {.s_addr = htonl(INADDR_LOOPBACK)}};
    socklen_t len = sizeof(address);
    *it = (venue){.listener = socket(AF_INET, SOCK_STREAM, 0)};
    assert_int_equal(bind(it->listener, (struct sockaddr *)&address, sizeof(address)), 0);
    assert_int_equal(listen(it->listener, 1), 0);
    assert_int_equal(getsockname(it->listener, (struct sockaddr *)&address, &len), 0);
    it->port = ntohs(address.sin_port);
    if (server != NULL) {
        it->context = SSL_CTX_new(TLS_server_method());
        assert_int_equal(SSL_CTX_use_certificate(it->context, server->certificate), 1);
        assert_int_equal(SSL_CTX_use_PrivateKey(it->context, server->key), 1);
    }
    assert_int_equal(pthread_create(&it->thread, NULL, serve, it), 0);
}

/* ---- the engine's side ---- */

typedef struct counts {
    tw_event event;
    uint64_t events;
} counts;

static tw_event *claim(void *owner)
{
    return &((counts *)owner)->event;
}

static void commit(void *owner)
{
    counts *it = owner;
    it->events += it->event.kind == TW_EVENT_TRADE;
}

static tw_status no_request(void *owner, twi_driver *driver, const tw_request *request)
{
    (void)owner;
    (void)driver;
    (void)request;
    return TW_OK; /* never answered */
}

static void turn_until(twi_hub *hub, const counts *it, uint64_t events)
{
    int64_t until_ns = twi_monotonic_ns() + PATIENCE_NS;
    while (it->events < events) {
        assert_true(twi_monotonic_ns() < until_ns);
        hub->loop->ops->poll(hub->loop, twi_monotonic_ns() + 10000000);
        twi_hub_step(hub);
    }
}

static uint64_t allocations(const twt_identity *server, const char *ca_file)
{
    static const char *const symbols[] = {"BTC/USDT"};
    char url[64], error[512];
    counts it = {.events = 0};
    venue there;
    open_venue(&there, server);
    snprintf(url, sizeof(url), "%s://127.0.0.1:%u/stream", server != NULL ? "wss" : "ws", (unsigned)there.port);
    size_t bytes = (tw_symbols_size(INSTRUMENTS) + 63) / 64 * 64;
    void *table = aligned_alloc(64, bytes);
    const twi_driver_options options = {
        .ops = tw_feed_find("binance", 7),
        .feed = {.symbols = symbols, .symbol_count = 1, .channels = 1u << TW_CHANNEL_TRADE, .stream_url = url},
        .symbols = tw_symbols_init(table, INSTRUMENTS),
        .sink = {claim, commit, &it},
        .proxy = "none",
        .ca_file = ca_file,
        .request = no_request,
    };
    twi_driver *driver;
    twi_hub *hub;
    twi_loop *loop;
    assert_int_equal(twi_driver_open(&options, &driver, error, sizeof(error)), TW_OK);
    const twi_loop_config config = {.sock_count_max = twi_driver_sock_count(driver)};
    assert_int_equal(twi_loop_open("auto", &config, &loop, error, sizeof(error)), TW_OK);
    assert_int_equal(twi_hub_open(&(twi_hub_options){.loop = loop}, &hub), TW_OK);
    twi_driver_start(driver, hub);
    turn_until(hub, &it, WARM);
    uint64_t before = allocation_count;
    turn_until(hub, &it, WARM + MESSAGES);
    uint64_t made = allocation_count - before;
    twi_driver_stop(driver);
    twi_driver_abandon(driver);
    twi_hub_close(hub);
    loop->ops->close_loop(loop);
    twi_driver_close(driver);
    free(table);
    pthread_join(there.thread, NULL);
    close(there.listener);
    if (there.context != NULL)
        SSL_CTX_free(there.context);
    return made;
}

static void test_plain(void **state)
{
    (void)state;
    uint64_t made = allocations(NULL, NULL);
    if (!COUNTING)
        skip();
    assert_int_equal(made, 0);
}

/* OpenSSL may allocate inside; how much is told, and it must not be once per message. */
static void test_tls(void **state)
{
    (void)state;
    char ca_path[] = "/tmp/tickwire_alloc_test.XXXXXX";
    twt_identity authority = twt_identity_make(NULL, NULL, -86400, 86400);
    twt_identity server = twt_identity_make(&authority, "IP:127.0.0.1", -86400, 86400);
    assert_int_equal(twt_identity_write(&authority, ca_path), 0);
    uint64_t made = allocations(&server, ca_path);
    unlink(ca_path);
    twt_identity_forget(&server);
    twt_identity_forget(&authority);
    if (!COUNTING)
        skip();
    print_message("%llu allocations in %d messages over TLS\n", (unsigned long long)made, MESSAGES);
    assert_true(made < MESSAGES / 100);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_plain), cmocka_unit_test(test_tls)};
    signal(SIGPIPE, SIG_IGN);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
