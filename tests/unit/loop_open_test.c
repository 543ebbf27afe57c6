/* loop_open_test.c - which loop is taken, and what it says about the ones that were not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "engine/loop/loop.h"

enum { REASON_BYTES = 1024 };

static twi_loop_config config_without(const char *without)
{
    return (twi_loop_config){.sock_count_max = 8, .recv_buffer_count = 8, .without = without};
}

static tw_status open_and_close(const char *name, const char *without, char *reason, char *taken, size_t taken_cap)
{
    twi_loop *loop = NULL;
    twi_loop_config config = config_without(without);
    tw_status status = twi_loop_open(name, &config, &loop, reason, REASON_BYTES);
    taken[0] = 0;
    if (loop) {
        snprintf(taken, taken_cap, "%s", loop->ops->name);
        loop->ops->close_loop(loop);
    }
    assert_true(strlen(reason) > 0);
    return status;
}

static void auto_takes_one_and_says_why(void **state)
{
    (void)state;
    char reason[REASON_BYTES] = "", taken[32];
    assert_int_equal(open_and_close("auto", "", reason, taken, sizeof(taken)), TW_OK);
    assert_true(strlen(taken) > 0);
    assert_memory_equal(reason, taken, strlen(taken));
}

static void memory_is_known_before(void **state)
{
    (void)state;
    twi_loop_config small = config_without(""), large = config_without("");
    large.sock_count_max = 1000;
    assert_true(twi_loop_memory_bytes("auto", &small) > 0);
    assert_true(twi_loop_memory_bytes("auto", &large) > twi_loop_memory_bytes("auto", &small));
    assert_int_equal(twi_loop_memory_bytes("select", &small), 0);
}

static void unknown_name(void **state)
{
    (void)state;
    char reason[REASON_BYTES] = "", taken[32];
    assert_int_equal(open_and_close("select", "", reason, taken, sizeof(taken)), TW_BAD_ARGUMENT);
    assert_non_null(strstr(reason, "select"));
}

#if defined(__linux__)
static void refused_io_uring_gives_epoll(void **state)
{
    (void)state;
    static const struct {
        const char *without, *says;
    } refusals[] = {{"io_uring:EPERM", "seccomp"},
                    {"io_uring:ENOSYS", "kernel has no io_uring"},
                    {"io_uring:disabled", "kernel.io_uring_disabled"},
                    {"io_uring:ENOMEM", "ulimit -l"}};
    for (size_t i = 0; i < sizeof(refusals) / sizeof(refusals[0]); i++) {
        char reason[REASON_BYTES] = "", taken[32];
        assert_int_equal(open_and_close("auto", refusals[i].without, reason, taken, sizeof(taken)), TW_OK);
        assert_string_equal(taken, "epoll");
        assert_non_null(strstr(reason, "because io_uring is not usable"));
        if (i != 0) /* a machine may have the sysctl set, and then that is the reason of a real EPERM too */
            assert_non_null(strstr(reason, refusals[i].says));
        assert_int_equal(open_and_close("io_uring", refusals[i].without, reason, taken, sizeof(taken)), TW_UNAVAILABLE);
        assert_string_equal(taken, "");
    }
}

static void environment_switches_off(void **state)
{
    (void)state;
    char reason[REASON_BYTES] = "", taken[32];
    setenv("TICKWIRE_LOOP_WITHOUT", "io_uring:ENOSYS", 1);
    assert_int_equal(open_and_close("auto", NULL, reason, taken, sizeof(taken)), TW_OK);
    assert_string_equal(taken, "epoll");
    unsetenv("TICKWIRE_LOOP_WITHOUT");
}

static void what_is_off_is_said(void **state)
{
    (void)state;
    static const char *const names[] = {"multishot_recv", "multishot_accept", "direct_descriptors", "defer_taskrun"};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        char error[REASON_BYTES] = "";
        twi_loop *loop = NULL;
        twi_loop_config config = config_without(names[i]);
        if (twi_loop_uring.open(&config, &loop, error, sizeof(error)) != TW_OK)
            skip();
        const char *off = strstr(twi_loop_uring.features(loop), "; off: ");
        assert_non_null(off);
        assert_non_null(strstr(off, names[i]));
        twi_loop_uring.close_loop(loop);
    }
}

static void absent_backend_is_named(void **state)
{
    (void)state;
    char reason[REASON_BYTES] = "", taken[32];
    assert_int_equal(open_and_close("kqueue", "", reason, taken, sizeof(taken)), TW_UNAVAILABLE);
    assert_non_null(strstr(reason, "kqueue"));
}
#endif

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(auto_takes_one_and_says_why),
        cmocka_unit_test(unknown_name),
        cmocka_unit_test(memory_is_known_before),
#if defined(__linux__)
        cmocka_unit_test(refused_io_uring_gives_epoll),
        cmocka_unit_test(environment_switches_off),
        cmocka_unit_test(what_is_off_is_said),
        cmocka_unit_test(absent_backend_is_named),
#endif
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
