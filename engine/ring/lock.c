/* lock.c - one live producer per ring name: an flock that ends with its process; see memory.h.
 *
 * Place:    beside the ring in shared memory on Linux; in /tmp on systems whose shared-memory objects cannot be
 *           locked.
 * Removal:  the holder unlinks the lock object before it lets go. Whoever opened it just before then gets the lock of
 *           an object without a name, sees that the name means another file now (or none), and tries again. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine/ring/layout.h"
#include "engine/ring/memory.h"

enum { LOCK_NAME_BYTES = TWI_RING_NAME_MAX + 40, LOCK_TRIES_MAX = 100 };

#if defined(__linux__)

static void lock_name(const char *name, char out[LOCK_NAME_BYTES])
{
    snprintf(out, LOCK_NAME_BYTES, "/%s.lock", name);
}

static int lock_open(const char *path, int flags)
{
    return shm_open(path, flags | O_CLOEXEC, 0600);
}

static void lock_unlink(const char *path)
{
    shm_unlink(path);
}

#else

static void lock_name(const char *name, char out[LOCK_NAME_BYTES])
{
    snprintf(out, LOCK_NAME_BYTES, "/tmp/.tickwire-%ld-%s.lock", (long)geteuid(), name);
}

static int lock_open(const char *path, int flags)
{
    return open(path, flags | O_CLOEXEC | O_NOFOLLOW, 0600);
}

static void lock_unlink(const char *path)
{
    unlink(path);
}

#endif

/* 1 if the name still means the file that we hold. */
static int is_current(const char *path, int lock)
{
    struct stat held, named;
    int file = lock_open(path, O_RDWR);
    if (file < 0) {
        return 0;
    }
    int same = fstat(lock, &held) == 0 && fstat(file, &named) == 0 && held.st_dev == named.st_dev &&
               held.st_ino == named.st_ino;
    close(file);
    return same;
}

/* An existing one is opened without O_CREAT: kernels may refuse O_CREAT on another user's file in a sticky folder,
 * even to root. */
static int lock_open_or_create(const char *path)
{
    int lock = lock_open(path, O_RDWR);
    return lock >= 0 || errno != ENOENT ? lock : lock_open(path, O_RDWR | O_CREAT | O_EXCL);
}

static tw_status fail_taken(const char *name, int lock, twi_ring_error error)
{
    char pid[16] = "";
    ssize_t length = pread(lock, pid, sizeof(pid) - 1, 0);
    pid[length > 0 ? length : 0] = 0;
    return twi_ring_fail(error, TW_UNAVAILABLE,
                         "another live producer (pid %s) has the ring \"%s\": stop it or use another name",
                         pid[0] ? pid : "unknown", name);
}

static void write_pid(int lock)
{
    char pid[16];
    int length = snprintf(pid, sizeof(pid), "%ld", (long)getpid());
    /* Only for the text of the error above: it is no error if it cannot be written. */
    if (ftruncate(lock, 0) == 0 && pwrite(lock, pid, (size_t)length, 0) != length) {
        return;
    }
}

tw_status twi_ring_lock(const char *name, int *lock, twi_ring_error error)
{
    char path[LOCK_NAME_BYTES];
    lock_name(name, path);
    for (int i = 0; i < LOCK_TRIES_MAX; i++) {
        int file = lock_open_or_create(path);
        if (file < 0 && errno == EEXIST) {
            continue;
        }
        if (file < 0) {
            return twi_ring_fail(error, TW_UNAVAILABLE, "cannot lock the ring name \"%s\": %s", name, strerror(errno));
        }
        if (flock(file, LOCK_EX | LOCK_NB) != 0) {
            tw_status status = fail_taken(name, file, error);
            close(file);
            return status;
        }
        if (is_current(path, file)) {
            write_pid(file);
            *lock = file;
            return TW_OK;
        }
        close(file);
    }
    return twi_ring_fail(error, TW_UNAVAILABLE, "the lock of ring name \"%s\" keeps changing hands", name);
}

void twi_ring_unlock(const char *name, int lock)
{
    char path[LOCK_NAME_BYTES];
    lock_name(name, path);
    lock_unlink(path);
    close(lock);
}
