/* http_alloc_test.c - a kept connection that asks again and again allocates nothing, whether the answer is at hand or
 * made anew.
 *
 * Limits:   glibc only, and not under a sanitizer, which replaces malloc itself; the test says that it was skipped. */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include "engine/base/clock.h"
#include "tests/support/fanout_rig.h"

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

static uint64_t allocation_count;

#if COUNTING
void *__libc_malloc(size_t bytes);
void *__libc_calloc(size_t count, size_t bytes);
void *__libc_realloc(void *memory, size_t bytes);

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
#endif

enum { WARM_UP = 20, REQUESTS = 400 };
#define PATIENCE_NS INT64_C(10000000000)

/* Asks and reads the whole answer, which ends with a line feed. */
static void ask(twt_world *w, int fd, const char *target)
{
    static char text[65536];
    size_t len = 0;
    int asked = snprintf(text, sizeof text, "GET %s HTTP/1.1\r\nHost: x\r\n\r\n", target);
    assert_int_equal(send(fd, text, (size_t)asked, MSG_NOSIGNAL), asked);
    int64_t deadline_ns = twi_monotonic_ns() + PATIENCE_NS;
    for (;;) {
        twt_turn(w);
        ssize_t n = recv(fd, text + len, sizeof text - len, 0);
        len += n > 0 ? (size_t)n : 0;
        if (n > 0 && memcmp(text + len - 2, "]\n", 2) == 0)
            break;
        if (n > 0 && memcmp(text + len - 2, "}\n", 2) == 0)
            break;
        if (twi_monotonic_ns() > deadline_ns)
            fail_msg("no answer to %s", target);
    }
    assert_memory_equal(text, "HTTP/1.1 200", 12);
}

static void test_kept_connection(void **state)
{
    (void)state;
    if (!COUNTING) {
        print_message("allocations cannot be counted in this build\n");
        skip();
    }
    twt_world *w = twt_world_open((twt_world_options){.trade_history = 50, .candle_history = 20});
    int fd = socket(AF_INET, SOCK_STREAM, 0), at_once = 1;
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons(w->port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
    fcntl(fd, F_SETFL, O_NONBLOCK);
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &at_once, sizeof at_once);
    static const char *const targets[] = {"/v1/ticker/sim/BTC%2FUSDT", "/v1/book/sim/BTC/USDT?depth=20",
                                          "/v1/trades/sim/BTC/USDT?limit=20", "/v1/ohlcv/sim/BTC/USDT?interval=1s"};
    uint64_t before = 0;
    twt_put_book(w, 0, 1, 20);
    for (int i = 0; i < 50; i++)
        twt_put_trade(w, 0);
    twt_settle(w);
    for (int i = 0; i < WARM_UP + REQUESTS; i++) {
        if (i == WARM_UP)
            before = allocation_count;
        if (i % 8 < 4) { /* the other half is at hand */
            twt_put_trade(w, 0);
            twt_put_book(w, 0, 0, 3);
        }
        ask(w, fd, targets[i % 4]);
    }
    assert_int_equal(allocation_count - before, 0);
    close(fd);
    twt_world_close(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_kept_connection)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
