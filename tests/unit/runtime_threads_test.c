/* runtime_threads_test.c - whole engines in this process: opened, served from, stopped, in one thread and in
 * several. */
#include <netinet/in.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "engine/runtime/runtime.h"
#include "feed/sim.h"

enum { ENOUGH_BYTES = 20000, ERROR_MAX = 1024 };

static tw_status open_sim(const twi_settings_feed *settings, tw_symbols *symbols, tw_source *source, char *error,
                          size_t error_cap)
{
    twi_sim_options options = {.rate_per_second = (uint32_t)settings->rate_per_second, .seed = 7};
    return twi_sim_open(&options, symbols, source, error, error_cap);
}

static const twi_runtime_parts parts = {
    .codecs = {&tw_codec_json, &tw_codec_flatbuffers}, .codec_count = 2, .open_feed = open_sim};

typedef struct engine {
    twi_runtime *runtime;
    _Atomic int stop;
} engine;

static void *run(void *argument)
{
    engine *at = argument;
    twi_runtime_run(at->runtime, &at->stop);
    return NULL;
}

/* Subscribes to everything and reads until there is enough. */
static void read_stream(uint16_t port)
{
    static const char request[] = "GET /v1/stream?channels=trade,quote,book&symbols=* HTTP/1.1\r\nHost: x\r\n"
                                  "Upgrade: websocket\r\nConnection: Upgrade\r\n"
                                  "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";
    char bytes[4096];
    size_t received = 0;
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(send(fd, request, sizeof request - 1, 0), sizeof request - 1);
    while (received < ENOUGH_BYTES) {
        ssize_t n = recv(fd, bytes, sizeof bytes, 0);
        assert_true(n > 0);
        received += (size_t)n;
    }
    close(fd);
}

static void serve_and_stop(const char *threads, const char *idle, const char *loop)
{
    char error[ERROR_MAX];
    char *argv[] = {(char *)(uintptr_t) "engine",
                    (char *)(uintptr_t) "--port",
                    (char *)(uintptr_t) "0",
                    (char *)(uintptr_t) "--feed.rate=5000",
                    (char *)(uintptr_t) "--wire_log.bytes=4MiB",
                    (char *)(uintptr_t) "--limits.connections_max=50",
                    (char *)(uintptr_t) "--book.depth_max=100",
                    (char *)(uintptr_t) "--threads",
                    (char *)(uintptr_t)threads,
                    (char *)(uintptr_t) "--idle",
                    (char *)(uintptr_t)idle,
                    (char *)(uintptr_t) "--loop",
                    (char *)(uintptr_t)loop,
                    NULL};
    twi_settings_command command;
    if (twi_settings_load((int)(sizeof argv / sizeof argv[0]) - 1, argv, NULL, &command, error, sizeof error) != TW_OK)
        fail_msg("%s", error);
    twi_logger logger;
    twi_logger_init(&logger, STDERR_FILENO, TWI_LOG_ERROR, TWI_LOG_TEXT);
    engine at = {0};
    if (twi_runtime_open(command.settings, &parts, &logger, &at.runtime, error, sizeof error) != TW_OK)
        fail_msg("%s", error);
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, run, &at), 0);
    for (int i = 0; i < 3; i++)
        read_stream(twi_runtime_port(at.runtime));
    atomic_store(&at.stop, 1);
    pthread_join(thread, NULL);
    twi_shard_totals totals = twi_runtime_count(at.runtime);
    assert_int_equal(totals.published, totals.delivered + totals.lost + totals.pending);
    twi_runtime_close(at.runtime);
    twi_logger_fini(&logger);
    twi_settings_close(&command);
}

static void test_several_threads(void **state)
{
    (void)state;
    for (int i = 0; i < 5; i++) {
        serve_and_stop("3", "block", "auto");
        serve_and_stop("2", "yield", "epoll");
    }
}

static void test_opened_and_never_run(void **state)
{
    (void)state;
    char error[ERROR_MAX];
    char *argv[] = {(char *)(uintptr_t) "engine",    (char *)(uintptr_t) "--port", (char *)(uintptr_t) "0",
                    (char *)(uintptr_t) "--threads", (char *)(uintptr_t) "2",      NULL};
    twi_settings_command command;
    assert_int_equal(twi_settings_load(5, argv, NULL, &command, error, sizeof error), TW_OK);
    twi_logger logger;
    twi_logger_init(&logger, STDERR_FILENO, TWI_LOG_ERROR, TWI_LOG_TEXT);
    twi_runtime *runtime;
    assert_int_equal(twi_runtime_open(command.settings, &parts, &logger, &runtime, error, sizeof error), TW_OK);
    twi_runtime_close(runtime);
    twi_logger_fini(&logger);
    twi_settings_close(&command);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_several_threads),
        cmocka_unit_test(test_opened_and_never_run),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
