/* mirrored_memory.c - see mirrored_memory.h. memfd on Linux, an unlinked POSIX shared-memory object elsewhere. */
#include "engine/base/mirrored_memory.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static int open_backing(void)
{
#if defined(__linux__)
    return memfd_create("tickwire-log", MFD_CLOEXEC);
#else
    char name[64];
    for (unsigned attempt = 0; attempt < 100; attempt++) {
        snprintf(name, sizeof name, "/tw-%ld-%u", (long)getpid(), attempt);
        int fd = shm_open(name, O_RDWR | O_CREAT | O_EXCL, 0600);
        if (fd >= 0) {
            shm_unlink(name);
            return fd;
        }
        if (errno != EEXIST)
            break;
    }
    return -1;
#endif
}

static tw_status fail(int fd, const char *call, size_t capacity, char *error, size_t error_cap)
{
    snprintf(error, error_cap, "%s for a byte ring of %zu bytes: %s", call, capacity, strerror(errno));
    if (fd >= 0)
        close(fd);
    return TW_NO_MEMORY;
}

tw_status twi_mirrored_memory_open(size_t capacity, uint8_t **bytes, char *error, size_t error_cap)
{
    *bytes = NULL;
    size_t page_bytes = (size_t)sysconf(_SC_PAGESIZE);
    if (capacity == 0 || (capacity & (capacity - 1)) != 0 || capacity % page_bytes != 0) {
        snprintf(error, error_cap, "a byte ring of %zu bytes: must be a power of two of at least %zu", capacity,
                 page_bytes);
        return TW_BAD_ARGUMENT;
    }
    int fd = open_backing();
    if (fd < 0)
        return fail(fd, "memfd_create/shm_open", capacity, error, error_cap);
    if (ftruncate(fd, (off_t)capacity) != 0)
        return fail(fd, "ftruncate", capacity, error, error_cap);
    /* Reserve the address range first, then lay the two views over it. */
    uint8_t *range = mmap(NULL, 2 * capacity, PROT_NONE, MAP_PRIVATE | MAP_ANON, -1, 0);
    if (range == MAP_FAILED)
        return fail(fd, "mmap", capacity, error, error_cap);
    for (int half = 0; half < 2; half++) {
        uint8_t *at = range + (size_t)half * capacity;
        if (mmap(at, capacity, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd, 0) != at) {
            tw_status status = fail(fd, "mmap", capacity, error, error_cap);
            munmap(range, 2 * capacity);
            return status;
        }
    }
    close(fd);
    *bytes = range;
    return TW_OK;
}

void twi_mirrored_memory_close(uint8_t *bytes, size_t capacity)
{
    if (bytes != NULL)
        munmap(bytes, 2 * capacity);
}
