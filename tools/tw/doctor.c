/* doctor.c - tw doctor: what this host allows, why it matters, and what to do about it.
 *
 * Shape:   one function per check fills in a finding; nothing is changed on the host.
 * Levels:  ok; slow: it works, but could be faster or fails under load; bad: something that the defaults need fails. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/statvfs.h>
#include <sys/utsname.h>
#include <unistd.h>
#if defined(__linux__)
#include <sys/timex.h>
#endif

#include "engine/loop/loop.h"
#include "tools/tw/cli.h"

typedef enum level { LEVEL_OK, LEVEL_SLOW, LEVEL_BAD } level;
static const char *const level_names[] = {"ok", "slow", "bad"};

enum {
    TEXT_MAX = 512,
    FILES_WANTED = 10064,        /* limits.connections_max, and some of the engine's own */
    SHM_BYTES_WANTED = 64 << 20, /* a ring of a million events */
    BACKLOG_WANTED = 4096,       /* listen.backlog */
    CORES_WANTED = 2
};

typedef struct finding {
    level level;
    char found[TEXT_MAX];
    const char *why; /* it matters; NULL: nothing to say */
    const char *fix; /* NULL: nothing to do */
} finding;

static void set(finding *it, level how, const char *why, const char *fix)
{
    it->level = how;
    it->why = why;
    it->fix = fix;
}

/* ---- reading the system's files ---- */

/* The first line; false: there is no such file, or it may not be read. */
static bool read_line(const char *path, char *out, int cap)
{
    FILE *file = fopen(path, "r");
    if (!file)
        return false;
    bool is_read = fgets(out, cap, file) != NULL;
    fclose(file);
    if (is_read)
        out[strcspn(out, "\n")] = '\0';
    return is_read;
}

#if defined(__linux__)
static int64_t read_number(const char *path, int64_t otherwise)
{
    char text[64];
    return read_line(path, text, sizeof(text)) ? strtoll(text, NULL, 10) : otherwise;
}
#endif

/* ---- the checks ---- */

static void check_system(finding *it)
{
    struct utsname name;
    if (uname(&name) == 0)
        snprintf(it->found, sizeof(it->found), "%s %s, %s", name.sysname, name.release, name.machine);
}

static void check_cores(finding *it)
{
    long online = sysconf(_SC_NPROCESSORS_ONLN);
    char isolated[128] = "";
    read_line("/sys/devices/system/cpu/isolated", isolated, sizeof(isolated));
    snprintf(it->found, sizeof(it->found), "%ld online%s%s", online, isolated[0] ? ", isolated: " : "", isolated);
    if (online < CORES_WANTED)
        set(it, LEVEL_SLOW, "engine and subscribers take turns on one core: every message waits for a switch",
            "give it a second core, or keep engine.idle = \"block\"");
}

static void check_loop(finding *it)
{
    twi_loop *loop;
    char reason[TEXT_MAX] = "";
    const twi_loop_config config = {
        .sock_count_max = 4, .recv_buffer_bytes = 4096, .recv_buffer_count = 4, .send_batch = 32};
    if (twi_loop_open("auto", &config, &loop, reason, sizeof(reason)) != TW_OK) {
        snprintf(it->found, sizeof(it->found), "none: %.400s", reason);
        set(it, LEVEL_BAD, "without an event loop the engine cannot run", "see the reason");
        return;
    }
    snprintf(it->found, sizeof(it->found), "%s", reason);
    loop->ops->close_loop(loop);
}

#if defined(__linux__)
static void check_io_uring(finding *it)
{
    twi_loop *loop;
    char reason[TEXT_MAX] = "", seccomp[TEXT_MAX] = "";
    const twi_loop_config config = {
        .sock_count_max = 4, .recv_buffer_bytes = 4096, .recv_buffer_count = 4, .send_batch = 32};
    if (twi_loop_open("io_uring", &config, &loop, reason, sizeof(reason)) == TW_OK) {
        snprintf(it->found, sizeof(it->found), "usable: %.400s", loop->ops->features(loop));
        loop->ops->close_loop(loop);
        return;
    }
    int64_t disabled = read_number("/proc/sys/kernel/io_uring_disabled", -1);
    FILE *status = fopen("/proc/self/status", "r");
    char line[128];
    while (status && fgets(line, sizeof(line), status))
        if (strncmp(line, "Seccomp:\t2", 10) == 0)
            snprintf(seccomp, sizeof(seccomp), "; a seccomp filter is on this process, as containers have it");
    if (status)
        fclose(status);
    snprintf(it->found, sizeof(it->found), "not usable: %.300s%s%s", reason,
             disabled > 0 ? "; kernel.io_uring_disabled is set" : "", seccomp);
    set(it, LEVEL_SLOW, "epoll is used instead: the same results, some more system calls",
        "sysctl kernel.io_uring_disabled=0; in a container: a seccomp profile that allows io_uring_setup, "
        "io_uring_enter "
        "and io_uring_register");
}

static void check_governor(finding *it)
{
    char governor[64];
    if (!read_line("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor", governor, sizeof(governor))) {
        snprintf(it->found, sizeof(it->found), "not visible (usual in a virtual machine: the host decides)");
        return;
    }
    snprintf(it->found, sizeof(it->found), "%s", governor);
    if (strcmp(governor, "performance") != 0)
        set(it, LEVEL_SLOW, "a core that clocks down between messages is slow at the next one",
            "cpupower frequency-set -g performance");
}

static void check_huge_pages(finding *it)
{
    char mode[128] = "not there";
    int64_t total = read_number("/sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages", 0);
    int64_t unused = read_number("/sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages", 0);
    read_line("/sys/kernel/mm/transparent_hugepage/shmem_enabled", mode, sizeof(mode));
    snprintf(it->found, sizeof(it->found),
             "%" PRId64 " of 2 MiB reserved, %" PRId64 " free; transparent for shared memory: %s", total, unused, mode);
    if (unused == 0 && !strstr(mode, "[always]") && !strstr(mode, "[advise]"))
        set(it, LEVEL_SLOW, "the ring lies on small pages: some more TLB misses at high rates",
            "sysctl vm.nr_hugepages=64, or echo advise > /sys/kernel/mm/transparent_hugepage/shmem_enabled");
}

static void check_backlog(finding *it)
{
    int64_t backlog = read_number("/proc/sys/net/core/somaxconn", -1);
    snprintf(it->found, sizeof(it->found), "net.core.somaxconn is %" PRId64, backlog);
    if (backlog >= 0 && backlog < BACKLOG_WANTED)
        set(it, LEVEL_SLOW, "a storm of reconnects is refused in part", "sysctl net.core.somaxconn=4096");
}

static void check_clock(finding *it)
{
    char source[64] = "unknown";
    read_line("/sys/devices/system/clocksource/clocksource0/current_clocksource", source, sizeof(source));
    snprintf(it->found, sizeof(it->found), "%s", source);
    if (strcmp(source, "hpet") == 0 || strcmp(source, "acpi_pm") == 0 || strcmp(source, "jiffies") == 0)
        set(it, LEVEL_SLOW, "reading the time is a system call of a microsecond or more, twice per message",
            "boot with clocksource=tsc if the CPU's TSC is invariant");
}

static void check_synchronised(finding *it)
{
    struct timex state = {0};
    int result = adjtimex(&state);
    bool is_synced = result >= 0 && result != TIME_ERROR && !(state.status & STA_UNSYNC);
    snprintf(it->found, sizeof(it->found), "%s", is_synced ? "synchronised" : "the kernel says: not synchronised");
    if (!is_synced)
        set(it, LEVEL_SLOW, "latency from the venue's time is off by as much as this clock is",
            "run chrony or systemd-timesyncd (in a virtual machine the host may do it unseen)");
}
#endif

static void check_shared_memory(finding *it)
{
    struct statvfs info;
    if (statvfs("/dev/shm", &info) != 0) {
#if defined(__linux__)
        snprintf(it->found, sizeof(it->found), "no /dev/shm: %s", strerror(errno));
        set(it, LEVEL_BAD, "a named ring for programs on this host cannot be made", "mount -t tmpfs tmpfs /dev/shm");
#else
        snprintf(it->found, sizeof(it->found), "POSIX shared memory of the system");
#endif
        return;
    }
    uint64_t total = (uint64_t)info.f_blocks * info.f_frsize, left = (uint64_t)info.f_bavail * info.f_frsize;
    snprintf(it->found, sizeof(it->found), "/dev/shm has %" PRIu64 " MiB, %" PRIu64 " MiB free", total >> 20,
             left >> 20);
    if (left < SHM_BYTES_WANTED)
        set(it, LEVEL_SLOW, "a large ring does not fit (64 bytes per slot)",
            "mount -o remount,size=1g /dev/shm; in a container: --shm-size=1g");
}

static void check_files(finding *it)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
        return;
    snprintf(it->found, sizeof(it->found), "%" PRIu64 ", may be raised to %" PRIu64, (uint64_t)limit.rlim_cur,
             (uint64_t)limit.rlim_max);
    if (limit.rlim_max < FILES_WANTED)
        set(it, LEVEL_SLOW, "each subscriber needs one: the default of 10,000 connections does not fit",
            "ulimit -Hn 65536, LimitNOFILE=65536 (systemd), --ulimit nofile=65536 (container)");
}

typedef struct check {
    const char *name;
    void (*run)(finding *it);
} check;

static const check checks[] = {
    {"system", check_system},
    {"cores", check_cores},
    {"event loop", check_loop},
#if defined(__linux__)
    {"io_uring", check_io_uring},
    {"cpu governor", check_governor},
    {"huge pages", check_huge_pages},
    {"listen backlog", check_backlog},
    {"clock source", check_clock},
    {"clock", check_synchronised},
#endif
    {"shared memory", check_shared_memory},
    {"open files", check_files},
};
enum { CHECK_COUNT = sizeof(checks) / sizeof(checks[0]) };

static void print_text(const check *which, const finding *it)
{
    printf("%-5s %-15s %s\n", level_names[it->level], which->name, it->found);
    if (it->why)
        printf("      %-15s why: %s\n", "", it->why);
    if (it->fix)
        printf("      %-15s fix: %s\n", "", it->fix);
}

static void print_json_text(const char *name, const char *text)
{
    printf(",\"%s\":\"", name);
    for (; *text != '\0'; text++) {
        if (*text == '"' || *text == '\\')
            putchar('\\');
        putchar((unsigned char)*text < ' ' ? ' ' : *text);
    }
    putchar('"');
}

static void print_json(const check *which, const finding *it, bool is_first)
{
    printf("%s{\"level\":\"%s\"", is_first ? "" : ",\n ", level_names[it->level]);
    print_json_text("check", which->name);
    print_json_text("found", it->found);
    if (it->why)
        print_json_text("why", it->why);
    if (it->fix)
        print_json_text("fix", it->fix);
    putchar('}');
}

static int run(const twi_verb *verb, int argc, char **argv)
{
    bool is_json = false;
    const twi_option options[] = {{.name = "json", .flag = &is_json}};
    if (!twi_cli_options(verb, argc, argv, options, 1, NULL))
        return TWI_EXIT_USAGE;
    unsigned counts[3] = {0};
    for (int i = 0; i < CHECK_COUNT; i++) {
        finding it = {.level = LEVEL_OK};
        checks[i].run(&it);
        counts[it.level]++;
        if (is_json) {
            fputs(i == 0 ? "[" : "", stdout);
            print_json(&checks[i], &it, i == 0);
        } else {
            print_text(&checks[i], &it);
        }
    }
    if (is_json)
        puts("]");
    else
        printf("\n%u checks: %u ok, %u could be better, %u bad\n", (unsigned)CHECK_COUNT, counts[LEVEL_OK],
               counts[LEVEL_SLOW], counts[LEVEL_BAD]);
    return counts[LEVEL_BAD] == 0 ? TWI_EXIT_GOOD : TWI_EXIT_FAILED;
}

static const char help[] = "usage: tw doctor [--json]\n"
                           "Says what this host allows, why it matters and what to do: event loop and io_uring, CPU\n"
                           "governor, huge pages, shared memory, open files, listen backlog, clock. Changes nothing.\n"
                           "\n"
                           "examples\n"
                           "  tw doctor\n"
                           "  tw doctor --json\n"
                           "\n"
                           "exit code: 0 the engine can run with its defaults, 1 it cannot, 2 usage.\n";

const twi_verb twi_verb_doctor = {"doctor", "says what this host allows and what to do about it", help, run};
