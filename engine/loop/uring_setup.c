/* uring_setup.c - opens an io_uring and finds out, by trying, what works on this kernel.
 *
 * Job:       a ring with the best flags that are accepted; a buffer ring; a file table; two rehearsals (a receive on a
 *            socket pair, an accept on an unnamed Unix address) whose completions show what is really supported, which
 *            neither the kernel's version nor its list of opcodes tells.
 * Errors:    TW_UNAVAILABLE with the call, the cause and the remedy in words, so that the choice of another loop can be
 *            explained to the user.
 * Non-goals: operations; see loop_uring.c. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/un.h>
#include <unistd.h>

#include "engine/loop/settings.h"
#include "engine/loop/uring.h"

enum {
    SQ_ENTRIES = 512,
    CQ_ENTRIES_MIN = 4096,
    CQ_ENTRIES_MAX = 65536,
    SMALL_SQ_ENTRIES = 64, /* without large_cq, where overflow is to be seen */
    PAGE_BYTES = 4096,
    TEXT_BYTES = 256
};

static uint32_t power_of_two(uint32_t wanted)
{
    uint32_t power = 1;
    while (power < wanted)
        power <<= 1;
    return power;
}

static uint32_t cq_entries(const twi_loop_config *config)
{
    uint32_t wanted = power_of_two(2 * config->sock_count_max + 2 * config->send_batch);
    if (wanted < CQ_ENTRIES_MIN)
        return CQ_ENTRIES_MIN;
    return wanted > CQ_ENTRIES_MAX ? CQ_ENTRIES_MAX : wanted;
}

static twi_loop_config full_settings(const twi_loop_config *config)
{
    twi_loop_config full = twi_loop_settings(config);
    full.recv_buffer_count = power_of_two(full.recv_buffer_count);
    return full;
}

size_t uring_memory_bytes(const twi_loop_config *config)
{
    twi_loop_config full = full_settings(config);
    return sizeof(uring_loop) + full.sock_count_max * sizeof(uring_slot) +
           full.timer_count_max * sizeof(twi_timer_entry) + full.send_batch * sizeof(struct msghdr) +
           (size_t)full.recv_buffer_count * (full.recv_buffer_bytes + sizeof(struct io_uring_buf)) +
           cq_entries(&full) * sizeof(struct io_uring_cqe) + SQ_ENTRIES * sizeof(struct io_uring_sqe);
}

/* ---- why not ---- */

static int read_sysctl_disabled(void)
{
    FILE *file = fopen("/proc/sys/kernel/io_uring_disabled", "re");
    int value = -1;
    if (!file)
        return value;
    if (fscanf(file, "%d", &value) != 1)
        value = -1;
    fclose(file);
    return value;
}

static void explain_refusal(int failed, bool by_sysctl, char *error, size_t error_cap)
{
    int sysctl = read_sysctl_disabled();
    if (failed == EPERM && (by_sysctl || sysctl > 0))
        snprintf(error, error_cap,
                 "io_uring_setup: %s: the sysctl kernel.io_uring_disabled is %d; set it to 0 to use io_uring",
                 strerror(failed), by_sysctl && sysctl <= 0 ? 2 : sysctl);
    else if (failed == EPERM || failed == EACCES)
        snprintf(error, error_cap,
                 "io_uring_setup: %s: a seccomp filter or security module forbids it, as most containers do; run the "
                 "container with a seccomp profile that allows io_uring_setup, io_uring_enter and io_uring_register",
                 strerror(failed));
    else if (failed == ENOSYS)
        snprintf(error, error_cap,
                 "io_uring_setup: %s: this kernel has no io_uring (it needs Linux 5.19 with CONFIG_IO_URING), or a "
                 "container's seccomp filter hides it",
                 strerror(failed));
    else if (failed == ENOMEM)
        snprintf(error, error_cap, "io_uring_setup: %s: raise the limit of locked memory (ulimit -l)",
                 strerror(failed));
    else
        snprintf(error, error_cap, "io_uring_setup: %s", strerror(failed));
}

/* A refusal that the configuration asks to imitate, as an errno value; 0: none. */
static int imitated_refusal(const char *without)
{
    if (twi_list_has(without, "io_uring") || twi_list_has(without, "io_uring:EPERM") ||
        twi_list_has(without, "io_uring:disabled"))
        return EPERM;
    if (twi_list_has(without, "io_uring:ENOSYS"))
        return ENOSYS;
    return twi_list_has(without, "io_uring:ENOMEM") ? ENOMEM : 0;
}

/* ---- the ring ---- */

static int try_ring(uring_loop *self, unsigned flags)
{
    struct io_uring_params params = {.flags = flags | IORING_SETUP_CLAMP | IORING_SETUP_SUBMIT_ALL};
    unsigned entries = SMALL_SQ_ENTRIES;
    if (self->has.large_cq) {
        entries = SQ_ENTRIES;
        params.flags |= IORING_SETUP_CQSIZE;
        params.cq_entries = cq_entries(&self->config);
    }
    return -io_uring_queue_init_params(entries, &self->ring, &params);
}

/* Best flags first. Completions that run only when this thread asks for them save interrupts of the other core. */
static int open_ring(uring_loop *self)
{
    const char *without = self->config.without;
    int refused = imitated_refusal(without);
    if (refused)
        return refused;
    self->has.large_cq = !twi_list_has(without, "large_cq");
    int failed = EINVAL;
    if (!twi_list_has(without, "defer_taskrun"))
        failed = try_ring(self, IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_TASKRUN_FLAG);
    self->has.defer_taskrun = failed == 0;
    if (failed == EINVAL && !twi_list_has(without, "coop_taskrun")) {
        failed = try_ring(self, IORING_SETUP_COOP_TASKRUN | IORING_SETUP_TASKRUN_FLAG);
        self->has.coop_taskrun = failed == 0;
    }
    return failed == EINVAL ? try_ring(self, 0) : failed;
}

static tw_status check_opcodes(uring_loop *self, char *error, size_t error_cap)
{
    static const uint8_t needed[] = {IORING_OP_ACCEPT,       IORING_OP_CONNECT, IORING_OP_RECV,  IORING_OP_SEND,
                                     IORING_OP_SENDMSG,      IORING_OP_READ,    IORING_OP_CLOSE, IORING_OP_POLL_ADD,
                                     IORING_OP_ASYNC_CANCEL, IORING_OP_SHUTDOWN};
    struct io_uring_probe *probe = io_uring_get_probe_ring(&self->ring);
    int missing = -1;
    for (size_t i = 0; probe && i < sizeof(needed); i++)
        if (!io_uring_opcode_supported(probe, needed[i]))
            missing = needed[i];
    bool has_probe = probe != NULL;
    io_uring_free_probe(probe);
    if (has_probe && missing < 0 && self->ring.features & IORING_FEAT_EXT_ARG)
        return TW_OK;
    snprintf(error, error_cap, "this kernel's io_uring is too old (needs Linux 5.19; operation %d is missing)",
             missing);
    return TW_UNAVAILABLE;
}

static int open_buffer_ring(uring_loop *self)
{
    uint32_t count = self->config.recv_buffer_count;
    self->buffer_ring_bytes = (count * sizeof(struct io_uring_buf) + PAGE_BYTES - 1) / PAGE_BYTES * PAGE_BYTES;
    void *memory = mmap(NULL, self->buffer_ring_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED)
        return ENOMEM;
    self->buffer_ring = memory;
    struct io_uring_buf_reg registration = {
        .ring_addr = (uintptr_t)memory, .ring_entries = count, .bgid = URING_BUFFER_GROUP};
    int failed = -io_uring_register_buf_ring(&self->ring, &registration, 0);
    if (failed)
        return failed;
    io_uring_buf_ring_init(self->buffer_ring);
    self->buffer_mask = io_uring_buf_ring_mask(count);
    for (uint32_t i = 0; i < count; i++)
        uring_buffer_return(self, (uint16_t)i);
    return 0;
}

/* ---- rehearsals: synchronous, before the loop has any operation ---- */

enum { REHEARSAL_KEY = 0x7e };

/* Submits what is prepared and waits for one completion of the rehearsal. */
static bool await_one(uring_loop *self, struct io_uring_cqe *copy)
{
    struct __kernel_timespec limit = {.tv_sec = 2};
    struct io_uring_cqe *cqe = NULL;
    if (io_uring_submit_and_wait_timeout(&self->ring, &cqe, 1, &limit, NULL) < 0 || !cqe)
        return false;
    *copy = *cqe;
    io_uring_cqe_seen(&self->ring, cqe);
    return true;
}

static void drain(uring_loop *self, bool is_armed)
{
    struct io_uring_cqe cqe;
    while (is_armed && await_one(self, &cqe)) {
        if (cqe.flags & IORING_CQE_F_BUFFER)
            uring_buffer_return(self, (uint16_t)(cqe.flags >> IORING_CQE_BUFFER_SHIFT));
        is_armed = cqe.flags & IORING_CQE_F_MORE;
    }
}

static bool rehearse_recv_with(uring_loop *self, int fd, unsigned multishot, bool *is_multishot)
{
    struct io_uring_cqe cqe;
    struct io_uring_sqe *sqe = io_uring_get_sqe(&self->ring);
    io_uring_prep_recv(sqe, fd, NULL, 0, 0);
    sqe->ioprio = (uint16_t)multishot;
    sqe->flags = IOSQE_BUFFER_SELECT;
    sqe->buf_group = URING_BUFFER_GROUP;
    sqe->user_data = REHEARSAL_KEY;
    if (!await_one(self, &cqe))
        return false;
    bool works = cqe.res == 1 && cqe.flags & IORING_CQE_F_BUFFER;
    *is_multishot = works && cqe.flags & IORING_CQE_F_MORE;
    if (works)
        uring_buffer_return(self, (uint16_t)(cqe.flags >> IORING_CQE_BUFFER_SHIFT));
    return works;
}

/* False: not even a single receive takes a buffer from the ring. */
static bool rehearse_recv(uring_loop *self)
{
    int ends[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0)
        return false;
    bool works = write(ends[1], "x", 1) == 1;
    bool wanted = !twi_list_has(self->config.without, "multishot_recv");
    if (works && wanted)
        works = rehearse_recv_with(self, ends[0], IORING_RECV_MULTISHOT, &self->has.multishot_recv);
    if (!wanted || !works)
        works = rehearse_recv_with(self, ends[0], 0, &self->has.multishot_recv);
    close(ends[1]);
    drain(self, self->has.multishot_recv);
    close(ends[0]);
    return works;
}

/* One connection on an unnamed Unix address, accepted by the ring. Returns the completion's result. */
static int rehearse_accept_on(uring_loop *self, int listener, bool direct, bool *is_multishot)
{
    struct io_uring_cqe cqe;
    struct io_uring_sqe *sqe = io_uring_get_sqe(&self->ring);
    if (direct)
        io_uring_prep_multishot_accept_direct(sqe, listener, NULL, NULL, 0);
    else
        io_uring_prep_multishot_accept(sqe, listener, NULL, NULL, SOCK_CLOEXEC);
    sqe->user_data = REHEARSAL_KEY;
    if (!await_one(self, &cqe))
        return -EINVAL;
    *is_multishot = cqe.res >= 0 && cqe.flags & IORING_CQE_F_MORE;
    if (*is_multishot) {
        sqe = io_uring_get_sqe(&self->ring);
        io_uring_prep_cancel64(sqe, REHEARSAL_KEY, 0);
        sqe->flags |= IOSQE_CQE_SKIP_SUCCESS;
        sqe->user_data = URING_TAG_IGNORE;
        drain(self, true);
    }
    if (cqe.res >= 0 && !direct)
        close(cqe.res);
    if (cqe.res >= 0 && direct) {
        int none = -1;
        (void)io_uring_register_files_update(&self->ring, (unsigned)cqe.res, &none, 1);
    }
    return cqe.res;
}

static int rehearse_accept(uring_loop *self, bool direct, bool *is_multishot)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    socklen_t length = sizeof(address);
    int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int caller = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int result = -EINVAL;
    /* Binding the bare family lets the kernel choose a name outside of any folder. */
    if (listener >= 0 && caller >= 0 && bind(listener, (struct sockaddr *)&address, sizeof(sa_family_t)) == 0 &&
        listen(listener, 1) == 0 && getsockname(listener, (struct sockaddr *)&address, &length) == 0 &&
        connect(caller, (struct sockaddr *)&address, length) == 0)
        result = rehearse_accept_on(self, listener, direct, is_multishot);
    if (listener >= 0)
        close(listener);
    if (caller >= 0)
        close(caller);
    return result;
}

static void note_off(char *off, size_t off_cap, const char *name, const char *why)
{
    size_t used = strlen(off);
    snprintf(off + used, off_cap - used, "%s%s: %s", used ? "; " : "", name, why);
}

static const char switched_off[] = "switched off by the configuration";
static const char not_in_kernel[] = "not in this kernel";

static void set_up_direct(uring_loop *self, char *off, size_t off_cap)
{
    static const char name[] = "direct_descriptors";
    uint32_t half = self->config.sock_count_max;
    char why[TEXT_BYTES];
    if (twi_list_has(self->config.without, name) || !self->has.multishot_accept) {
        note_off(off, off_cap, name, self->has.multishot_accept ? switched_off : "they need multishot_accept");
        return;
    }
    int failed = -io_uring_register_files_sparse(&self->ring, 2 * half);
    if (failed == EMFILE) {
        struct rlimit limit = {0};
        (void)getrlimit(RLIMIT_NOFILE, &limit);
        snprintf(why, sizeof(why), "%u places are over the limit of open files, %llu (ulimit -n)", 2 * half,
                 (unsigned long long)limit.rlim_cur);
        note_off(off, off_cap, name, why);
        return;
    }
    bool is_multishot = false;
    if (!failed)
        failed = -io_uring_register_file_alloc_range(&self->ring, 0, half);
    if (!failed && rehearse_accept(self, true, &is_multishot) < 0)
        failed = EINVAL;
    if (failed) {
        (void)io_uring_unregister_files(&self->ring);
        note_off(off, off_cap, name, not_in_kernel);
        return;
    }
    self->has.direct_descriptors = is_multishot;
}

static void set_up_features(uring_loop *self)
{
    char off[TEXT_BYTES * 2] = "";
    const char *without = self->config.without;
    if (!self->has.defer_taskrun)
        note_off(off, sizeof(off), "defer_taskrun",
                 twi_list_has(without, "defer_taskrun") ? switched_off : not_in_kernel);
    if (!self->has.multishot_recv)
        note_off(off, sizeof(off), "multishot_recv",
                 twi_list_has(without, "multishot_recv") ? switched_off : not_in_kernel);
    if (twi_list_has(without, "multishot_accept"))
        note_off(off, sizeof(off), "multishot_accept", switched_off);
    else if (rehearse_accept(self, false, &self->has.multishot_accept) < 0 || !self->has.multishot_accept)
        note_off(off, sizeof(off), "multishot_accept", not_in_kernel);
    set_up_direct(self, off, sizeof(off));
    if (!twi_list_has(without, "registered_ring"))
        self->has.registered_ring = io_uring_register_ring_fd(&self->ring) == 1;
    snprintf(self->features, sizeof(self->features), "buffer_ring,send_batch=%u%s%s%s%s%s%s%s%s%s",
             self->config.send_batch, self->has.defer_taskrun ? ",single_issuer,defer_taskrun" : "",
             self->has.coop_taskrun ? ",coop_taskrun" : "", self->has.multishot_accept ? ",multishot_accept" : "",
             self->has.multishot_recv ? ",multishot_recv" : "",
             self->has.direct_descriptors ? ",direct_descriptors" : "",
             self->has.registered_ring ? ",registered_ring" : "", off[0] ? "; off: " : "", off, "");
}

/* ---- all of it ---- */

static bool take_memory(uring_loop *self)
{
    self->slots = calloc(self->config.sock_count_max, sizeof(uring_slot));
    self->messages = calloc(self->config.send_batch, sizeof(struct msghdr));
    self->buffers = malloc((size_t)self->config.recv_buffer_count * self->config.recv_buffer_bytes);
    return twi_timers_init(&self->timers, self->config.timer_count_max) == TW_OK && self->slots && self->messages &&
           self->buffers;
}

static void release_memory(uring_loop *self)
{
    twi_timers_fini(&self->timers);
    free(self->slots);
    free(self->messages);
    free(self->buffers);
    if (self->buffer_ring)
        munmap(self->buffer_ring, self->buffer_ring_bytes);
    if (self->wake_fd >= 0)
        close(self->wake_fd);
    if (self->spare_fd >= 0)
        close(self->spare_fd);
}

static tw_status set_up_ring(uring_loop *self, char *error, size_t error_cap)
{
    tw_status status = check_opcodes(self, error, error_cap);
    if (status != TW_OK)
        return status;
    int failed = open_buffer_ring(self);
    if (!failed && !rehearse_recv(self))
        failed = EINVAL;
    if (failed) {
        snprintf(error, error_cap, "this kernel's io_uring has no usable provided buffer ring (needs Linux 5.19): %s",
                 strerror(failed));
        return TW_UNAVAILABLE;
    }
    /* Blocking on purpose: the ring's read waits for it, where a non-blocking file would be an error at once. */
    self->wake_fd = eventfd(0, EFD_CLOEXEC);
    if (self->wake_fd < 0) {
        snprintf(error, error_cap, "eventfd: %s", strerror(errno));
        return TW_UNAVAILABLE;
    }
    set_up_features(self);
    return TW_OK;
}

tw_status uring_set_up(uring_loop *self, const twi_loop_config *config, char *error, size_t error_cap)
{
    self->config = full_settings(config);
    self->wake_fd = self->spare_fd = -1;
    int failed = open_ring(self);
    if (failed) {
        explain_refusal(failed, twi_list_has(self->config.without, "io_uring:disabled"), error, error_cap);
        return TW_UNAVAILABLE;
    }
    tw_status status = TW_NO_MEMORY;
    if (take_memory(self))
        status = set_up_ring(self, error, error_cap);
    else
        snprintf(error, error_cap, "no memory for %u sockets and %u receive buffers", self->config.sock_count_max,
                 self->config.recv_buffer_count);
    if (status != TW_OK)
        uring_tear_down(self);
    return status;
}

void uring_tear_down(uring_loop *self)
{
    io_uring_queue_exit(&self->ring);
    release_memory(self);
}
