/* loop.c - which backend runs: the choice, its reason in words, and the configuration's defaults. */
#include "engine/loop/loop.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/loop/settings.h"

enum { ERROR_BYTES = 512, REFUSALS_BYTES = 1024 };

/* Best first. */
static const twi_loop_ops *const candidates[] = {
#if defined(__linux__)
    &twi_loop_uring,
    &twi_loop_epoll,
#else
    &twi_loop_kqueue,
#endif
};
enum { CANDIDATE_COUNT = sizeof(candidates) / sizeof(candidates[0]) };

static const char *const known_names[] = {"auto", "io_uring", "epoll", "kqueue"};

twi_loop_config twi_loop_settings(const twi_loop_config *config)
{
    twi_loop_config full = *config;
    if (full.sock_count_max == 0)
        full.sock_count_max = 1;
    if (full.timer_count_max == 0)
        full.timer_count_max = 2 * full.sock_count_max + TWI_LOOP_TIMERS_EXTRA;
    if (full.recv_buffer_bytes == 0)
        full.recv_buffer_bytes = TWI_LOOP_RECV_BUFFER_BYTES;
    if (full.recv_buffer_count == 0)
        full.recv_buffer_count = TWI_LOOP_RECV_BUFFER_COUNT;
    if (full.send_batch == 0)
        full.send_batch = TWI_LOOP_SEND_BATCH;
    if (!full.without)
        full.without = getenv("TICKWIRE_LOOP_WITHOUT");
    return full;
}

static tw_status open_auto(const twi_loop_config *config, twi_loop **loop, char *reason, size_t reason_cap)
{
    char refusals[REFUSALS_BYTES] = "";
    char error[ERROR_BYTES];
    for (int i = 0; i < CANDIDATE_COUNT; i++) {
        error[0] = 0;
        tw_status status = candidates[i]->open(config, loop, error, sizeof(error));
        if (status == TW_OK) {
            snprintf(reason, reason_cap, "%s (%s)%s%s", candidates[i]->name, candidates[i]->features(*loop),
                     refusals[0] ? ", because " : ": the best loop of this system", refusals);
            return TW_OK;
        }
        size_t used = strlen(refusals);
        snprintf(refusals + used, sizeof(refusals) - used, "%s%s is not usable: %s", used ? "; " : "",
                 candidates[i]->name, error[0] ? error : tw_status_name(status));
    }
    snprintf(reason, reason_cap, "no event loop: %s", refusals);
    return TW_UNAVAILABLE;
}

static tw_status open_named(const char *name, const twi_loop_config *config, twi_loop **loop, char *reason,
                            size_t reason_cap)
{
    char error[ERROR_BYTES] = "";
    for (int i = 0; i < CANDIDATE_COUNT; i++) {
        if (strcmp(candidates[i]->name, name) != 0)
            continue;
        tw_status status = candidates[i]->open(config, loop, error, sizeof(error));
        if (status == TW_OK)
            snprintf(reason, reason_cap, "%s (%s): asked for by name", name, candidates[i]->features(*loop));
        else
            snprintf(reason, reason_cap, "%s was asked for and is not usable: %s", name,
                     error[0] ? error : tw_status_name(status));
        return status;
    }
    snprintf(reason, reason_cap, "%s does not exist on this system; take auto", name);
    return TW_UNAVAILABLE;
}

tw_status twi_loop_open(const char *name, const twi_loop_config *config, twi_loop **loop, char *reason,
                        size_t reason_cap)
{
    *loop = NULL;
    for (size_t i = 0; i < sizeof(known_names) / sizeof(known_names[0]); i++) {
        if (strcmp(known_names[i], name) != 0)
            continue;
        if (i == 0)
            return open_auto(config, loop, reason, reason_cap);
        return open_named(name, config, loop, reason, reason_cap);
    }
    snprintf(reason, reason_cap, "no such loop: %s (auto, io_uring, epoll, kqueue)", name);
    return TW_BAD_ARGUMENT;
}

size_t twi_loop_memory_bytes(const char *name, const twi_loop_config *config)
{
    size_t largest = 0;
    for (int i = 0; i < CANDIDATE_COUNT; i++) {
        bool is_meant = strcmp(name, "auto") == 0 || strcmp(name, candidates[i]->name) == 0;
        size_t bytes = is_meant ? candidates[i]->memory_bytes(config) : 0;
        largest = bytes > largest ? bytes : largest;
    }
    return largest;
}
