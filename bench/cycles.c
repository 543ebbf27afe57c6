/* cycles.c - see cycles.h. */
#include "bench/cycles.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#if defined(__linux__)
#include <linux/perf_event.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

struct twb_cycles {
    int leader, follower; /* cycles, instructions */
};

static int open_event(uint64_t which, int group)
{
    struct perf_event_attr attributes = {.type = PERF_TYPE_HARDWARE,
                                         .size = sizeof(attributes),
                                         .config = which,
                                         .disabled = group < 0,
                                         .exclude_kernel = 1,
                                         .exclude_hv = 1,
                                         .read_format = PERF_FORMAT_GROUP};
    return (int)syscall(SYS_perf_event_open, &attributes, 0, -1, group, 0);
}

static int open_errno;

twb_cycles *twb_cycles_open(void)
{
    twb_cycles *counting = malloc(sizeof(*counting));
    if (counting == NULL) {
        open_errno = ENOMEM;
        return NULL;
    }
    counting->leader = open_event(PERF_COUNT_HW_CPU_CYCLES, -1);
    open_errno = errno;
    counting->follower = counting->leader < 0 ? -1 : open_event(PERF_COUNT_HW_INSTRUCTIONS, counting->leader);
    if (counting->leader >= 0 && counting->follower >= 0)
        return counting;
    if (counting->leader >= 0) {
        open_errno = errno;
        close(counting->leader);
    }
    free(counting);
    return NULL;
}

void twb_cycles_close(twb_cycles *counting)
{
    if (counting == NULL)
        return;
    close(counting->follower);
    close(counting->leader);
    free(counting);
}

const char *twb_cycles_reason(void)
{
    if (open_errno == ENOENT || open_errno == EOPNOTSUPP)
        return "this (virtual) machine has no counters";
    if (open_errno == EACCES || open_errno == EPERM)
        return "not permitted here; see kernel.perf_event_paranoid, or the container's seccomp profile";
    return strerror(open_errno);
}

void twb_cycles_start(twb_cycles *counting)
{
    if (counting == NULL)
        return;
    ioctl(counting->leader, PERF_EVENT_IOC_RESET, PERF_IOC_FLAG_GROUP);
    ioctl(counting->leader, PERF_EVENT_IOC_ENABLE, PERF_IOC_FLAG_GROUP);
}

void twb_cycles_stop(twb_cycles *counting, twb_cycle_count *count)
{
    struct {
        uint64_t event_count, values[2];
    } group = {0};
    if (counting == NULL)
        return;
    ioctl(counting->leader, PERF_EVENT_IOC_DISABLE, PERF_IOC_FLAG_GROUP);
    if (read(counting->leader, &group, sizeof(group)) != (ssize_t)sizeof(group))
        return;
    count->cycles += group.values[0];
    count->instructions += group.values[1];
}

#else

struct twb_cycles {
    int unused;
};

twb_cycles *twb_cycles_open(void)
{
    return NULL;
}

void twb_cycles_close(twb_cycles *counting)
{
    (void)counting;
}

const char *twb_cycles_reason(void)
{
    return "only on Linux";
}

void twb_cycles_start(twb_cycles *counting)
{
    (void)counting;
}

void twb_cycles_stop(twb_cycles *counting, twb_cycle_count *count)
{
    (void)counting;
    (void)count;
}
#endif

void twb_cycles_print_absence(const twb_cycles *counting)
{
    if (counting == NULL)
        printf("cycles and instructions: not available: %s\n", twb_cycles_reason());
}
