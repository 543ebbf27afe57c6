/* doorbell.c - futex on Linux, polling elsewhere; see doorbell.h for the protocol. */
#include "engine/ring/doorbell.h"

#include <stddef.h>
#include <time.h>

enum { NS_PER_S = 1000000000 };

static void sleep_ns(int64_t duration_ns)
{
    struct timespec time = {.tv_sec = (time_t)(duration_ns / NS_PER_S), .tv_nsec = (long)(duration_ns % NS_PER_S)};
    nanosleep(&time, NULL);
}

static int64_t smaller(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

#if defined(__linux__)

#include <limits.h>
#include <linux/futex.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/shm.h>
#include <sys/syscall.h>
#include <unistd.h>

#define DOORBELL_MAGIC UINT64_C(0x6c6c6542776b6354)
enum { DOORBELL_BYTES = 4096 };

_Static_assert(sizeof(twi_doorbell) <= DOORBELL_BYTES, "one page");

/* Not FUTEX_PRIVATE: the other side may be another process. */
static long futex(_Atomic uint32_t *word, int operation, uint32_t value, const struct timespec *timeout)
{
    return syscall(SYS_futex, word, operation, value, timeout, NULL, 0);
}

/* Who may read the ring may write here. */
static int segment_mode(uint32_t mode)
{
    uint32_t readable = mode & 0444;
    return (int)(0600 | readable | readable >> 1);
}

static void *segment_open(uint32_t mode, int32_t *id)
{
    int segment = shmget(IPC_PRIVATE, DOORBELL_BYTES, IPC_CREAT | IPC_EXCL | segment_mode(mode));
    if (segment < 0) {
        return NULL;
    }
    void *memory = shmat(segment, NULL, 0);
    shmctl(segment, IPC_RMID, NULL);
    if (memory == (void *)-1) {
        return NULL;
    }
    *id = segment;
    return memory;
}

twi_doorbell *twi_doorbell_open(int named, uint32_t mode, uint64_t epoch, int32_t *id)
{
    *id = TWI_DOORBELL_NONE;
    void *memory = NULL;
    if (named) {
        memory = segment_open(mode, id);
    } else {
        memory = mmap(NULL, DOORBELL_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        memory = memory == MAP_FAILED ? NULL : memory;
    }
    if (!memory) {
        return NULL;
    }
    twi_doorbell *bell = memory;
    bell->magic = DOORBELL_MAGIC;
    bell->epoch = epoch;
    atomic_init(&bell->word, 0);
    return bell;
}

twi_doorbell *twi_doorbell_attach(int32_t id, uint64_t epoch)
{
    struct shmid_ds facts;
    if (id < 0 || shmctl(id, IPC_STAT, &facts) != 0 || facts.shm_segsz < DOORBELL_BYTES) {
        return NULL;
    }
    void *memory = shmat(id, NULL, 0);
    if (memory == (void *)-1) {
        return NULL;
    }
    twi_doorbell *bell = memory;
    if (bell->magic != DOORBELL_MAGIC || bell->epoch != epoch) {
        shmdt(memory);
        return NULL;
    }
    return bell;
}

void twi_doorbell_close(twi_doorbell *bell, int32_t id)
{
    if (!bell) {
        return;
    }
    if (id >= 0) {
        shmdt(bell);
    } else {
        munmap(bell, DOORBELL_BYTES);
    }
}

void twi_doorbell_ring(twi_doorbell *bell)
{
    /* Adds nothing, but is a read-modify-write: a plain load could be done before the event's stores are visible. */
    if (!bell || !(atomic_fetch_add_explicit(&bell->word, 0, memory_order_acq_rel) & TWI_DOORBELL_SLEEPING)) {
        return;
    }
    atomic_fetch_add_explicit(&bell->word, 1, memory_order_acq_rel);
    futex(&bell->word, FUTEX_WAKE, INT_MAX, NULL);
}

uint32_t twi_doorbell_announce(twi_doorbell *bell)
{
    if (!bell) {
        return 0;
    }
    return atomic_fetch_or_explicit(&bell->word, TWI_DOORBELL_SLEEPING, memory_order_acq_rel) | TWI_DOORBELL_SLEEPING;
}

void twi_doorbell_sleep(twi_doorbell *bell, uint32_t announced, int64_t duration_ns)
{
    if (!bell) {
        sleep_ns(smaller(duration_ns, TWI_DOORBELL_POLL_NS));
        return;
    }
    int64_t sleep = smaller(duration_ns, TWI_DOORBELL_SLEEP_MAX_NS);
    struct timespec time = {.tv_sec = (time_t)(sleep / NS_PER_S), .tv_nsec = (long)(sleep % NS_PER_S)};
    futex(&bell->word, FUTEX_WAIT, announced, &time);
}

#else

twi_doorbell *twi_doorbell_open(int named, uint32_t mode, uint64_t epoch, int32_t *id)
{
    (void)named, (void)mode, (void)epoch;
    *id = TWI_DOORBELL_NONE;
    return NULL;
}

twi_doorbell *twi_doorbell_attach(int32_t id, uint64_t epoch)
{
    (void)id, (void)epoch;
    return NULL;
}

void twi_doorbell_close(twi_doorbell *bell, int32_t id)
{
    (void)bell, (void)id;
}

void twi_doorbell_ring(twi_doorbell *bell)
{
    (void)bell;
}

uint32_t twi_doorbell_announce(twi_doorbell *bell)
{
    (void)bell;
    return 0;
}

void twi_doorbell_sleep(twi_doorbell *bell, uint32_t announced, int64_t duration_ns)
{
    (void)bell, (void)announced;
    sleep_ns(smaller(duration_ns, TWI_DOORBELL_POLL_NS));
}

#endif
