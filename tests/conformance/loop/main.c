/* main.c - runs the loop suite on one backend: loop_conformance epoll|io_uring|kqueue|sim [part-of-a-case-name].
 * The environment's TICKWIRE_SIM_SEED is the seed of the simulated loop. */
#include <sys/resource.h>

#include "tests/conformance/loop/cases.h"
#include "tests/conformance/loop/rig.h"

enum { CASES_MAX = 128, EXIT_SKIPPED = 77 };

static const twi_loop_ops *const backends[] = {
#if defined(__linux__)
    &twi_loop_uring,
    &twi_loop_epoll,
#endif
    &twi_loop_kqueue, /* on Linux through the stand-in of tests/support/kevent */
    &twi_loop_sim,
};

static const twi_loop_ops *find_backend(const char *name)
{
    for (size_t i = 0; i < sizeof(backends) / sizeof(backends[0]); i++)
        if (strcmp(backends[i]->name, name) == 0)
            return backends[i];
    return NULL;
}

/* Containers often forbid io_uring: then there is nothing to test, and the output says why. */
static bool is_runnable(void)
{
    char reason[1024] = "";
    twi_loop *loop = NULL;
    twi_loop_config config = {.sock_count_max = 4};
    tw_status status = twt_backend->open(&config, &loop, reason, sizeof(reason));
    if (status == TW_OK)
        printf("%s: %s\n", twt_backend->name, twt_backend->features(loop));
    else
        printf("skipped, %s: %s\n", tw_status_name(status), reason);
    if (loop)
        twt_backend->close_loop(loop);
    return status == TW_OK;
}

/* The case with 1,000 connections has both of their ends in this process. */
static void raise_descriptor_limit(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
        return;
    rlim_t wanted = 16384;
    if (limit.rlim_cur >= wanted)
        return;
    limit.rlim_cur = limit.rlim_max < wanted ? limit.rlim_max : wanted;
    (void)setrlimit(RLIMIT_NOFILE, &limit);
}

static size_t collect(struct CMUnitTest *tests, const char *part)
{
    const twt_case *const groups[] = {twt_stream_cases, twt_life_cases, twt_time_cases, twt_limit_cases};
    size_t count = 0;
    for (size_t group = 0; group < sizeof(groups) / sizeof(groups[0]); group++)
        for (const twt_case *at = groups[group]; at->name; at++) {
            if (part && !strstr(at->name, part))
                continue;
            assert_true(count < CASES_MAX);
            tests[count++] = (struct CMUnitTest){.name = at->name, .test_func = at->run};
        }
    return count;
}

int main(int argc, char **argv)
{
    if (argc < 2 || !(twt_backend = find_backend(argv[1]))) {
        fprintf(stderr, "usage: loop_conformance BACKEND [PART-OF-A-CASE-NAME]\n");
        return 2;
    }
    const char *seed = getenv("TICKWIRE_SIM_SEED");
    twt_sim_seed = seed ? strtoull(seed, NULL, 0) : twt_sim_seed;
    raise_descriptor_limit();
    if (!is_runnable())
        return EXIT_SKIPPED;
    static struct CMUnitTest tests[CASES_MAX];
    size_t count = collect(tests, argc > 2 ? argv[2] : NULL);
    return _cmocka_run_group_tests(twt_backend->name, tests, count, NULL, NULL);
}
