/* memory.c - mapping, allocation and naming of ring memory; see memory.h. */
#include "engine/ring/memory.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "engine/ring/layout.h"

#define SHM_FOLDER "/dev/shm"
enum { OBJECT_NAME_BYTES = TWI_RING_NAME_MAX + 2 };

#if defined(__linux__)
#include <sys/syscall.h>
enum { POPULATE = MAP_POPULATE };
/* Of <linux/mempolicy.h>: MPOL_PREFERRED, and MPOL_F_NODE | MPOL_F_ADDR. */
enum { NODE_PREFERRED = 1, NODE_OF_ADDRESS = 3 };
enum { NODE_WORD_BITS = sizeof(unsigned long) * CHAR_BIT, NODE_MASK_WORDS = 256 / NODE_WORD_BITS };
#else
enum { POPULATE = 0 };
#endif

tw_status twi_ring_fail(twi_ring_error error, tw_status status, const char *format, ...)
{
    if (error.cap == 0) {
        return status;
    }
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(error.text, error.cap, format, arguments);
    va_end(arguments);
    return status;
}

static int is_name_char(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-' ||
           c == '.';
}

tw_status twi_ring_name_check(const char *name, twi_ring_error error)
{
    size_t length = strlen(name);
    if (length == 0 || length > TWI_RING_NAME_MAX) {
        return twi_ring_fail(error, TW_BAD_ARGUMENT, "ring name \"%.40s\" must have 1 to %d characters", name,
                             TWI_RING_NAME_MAX);
    }
    for (size_t i = 0; i < length; i++) {
        if (!is_name_char(name[i])) {
            return twi_ring_fail(error, TW_BAD_ARGUMENT,
                                 "ring name \"%s\" may only have letters, digits, '_', '-', '.'", name);
        }
    }
    if (name[0] == '.' || (length > 5 && strcmp(name + length - 5, ".lock") == 0)) {
        return twi_ring_fail(error, TW_BAD_ARGUMENT, "ring name \"%s\" must not begin with '.' or end in \".lock\"",
                             name);
    }
    return TW_OK;
}

static void object_name(const char *name, char out[OBJECT_NAME_BYTES])
{
    snprintf(out, OBJECT_NAME_BYTES, "/%s", name);
}

/* ---- huge pages ---- */

#if defined(__linux__)

/* Sum of the kB that smaps reports under `field` for the mapping that starts at base; 0 if it cannot be read. */
static size_t smaps_bytes(const void *base, const char *field)
{
    FILE *file = fopen("/proc/self/smaps", "re");
    if (!file) {
        return 0;
    }
    char line[512];
    int inside = 0;
    size_t bytes = 0;
    while (fgets(line, sizeof(line), file)) {
        unsigned long first = 0, last = 0, kilobytes = 0;
        if (sscanf(line, "%lx-%lx ", &first, &last) == 2) {
            inside = (uintptr_t)base >= first && (uintptr_t)base < last;
        } else if (inside && strncmp(line, field, strlen(field)) == 0 &&
                   sscanf(line + strlen(field), ": %lu kB", &kilobytes) == 1) {
            bytes += (size_t)kilobytes * 1024;
        }
    }
    fclose(file);
    return bytes;
}

/* Before the first touch, and only as a preference: a full node is no reason to fail. Kernels without NUMA refuse, and
 * tw_ring_numa_node() says where the memory really is. */
static void bind_to_node(void *base, size_t bytes, int node)
{
    unsigned long mask[NODE_MASK_WORDS] = {0};
    if (node < 0) {
        return;
    }
    mask[(size_t)node / NODE_WORD_BITS] = 1ul << ((size_t)node % NODE_WORD_BITS);
    (void)syscall(SYS_mbind, base, bytes, NODE_PREFERRED, mask, sizeof(mask) * CHAR_BIT, 0);
}

int twi_ring_memory_node(const void *page)
{
    int node = -1;
    return syscall(SYS_get_mempolicy, &node, NULL, 0, page, NODE_OF_ADDRESS) == 0 ? node : -1;
}

/* Asks for transparent huge pages before the first touch, then touches. Says 1 only if the kernel did it. */
static int populate(void *base, size_t bytes, const twi_ring_wish *wish)
{
    int want_huge = wish->huge_pages;
    bind_to_node(base, bytes, wish->node);
    if (want_huge) {
        (void)madvise(base, bytes, MADV_HUGEPAGE);
    }
#if defined(MADV_POPULATE_WRITE)
    (void)madvise(base, bytes,
                  MADV_POPULATE_WRITE); /* fails instead of raising SIGBUS; the caller allocates for sure */
#endif
    return want_huge && smaps_bytes(base, "ShmemPmdMapped") >= bytes;
}

static void *map_huge(size_t bytes, const twi_ring_wish *wish)
{
    int flags = MAP_SHARED | MAP_ANONYMOUS | MAP_HUGETLB;
    void *base = mmap(NULL, bytes, PROT_READ | PROT_WRITE, wish->node < 0 ? flags | MAP_POPULATE : flags, -1, 0);
    if (base != MAP_FAILED) {
        bind_to_node(base, bytes, wish->node);
    }
    return base;
}

static int allocate(int file, size_t bytes)
{
    return posix_fallocate(file, 0, (off_t)bytes);
}

/* The mode that shm_open() was given is subject to the umask. */
static int set_mode(int file, mode_t mode)
{
    return fchmod(file, mode);
}

#else

static int populate(void *base, size_t bytes, const twi_ring_wish *wish)
{
    (void)base, (void)bytes, (void)wish;
    return 0;
}

static void *map_huge(size_t bytes, const twi_ring_wish *wish)
{
    (void)bytes, (void)wish;
    return MAP_FAILED;
}

int twi_ring_memory_node(const void *page)
{
    (void)page;
    return -1;
}

/* Shared memory is not a file system of limited size there; ftruncate() has said already whether it fits. */
static int allocate(int file, size_t bytes)
{
    (void)file, (void)bytes;
    return 0;
}

/* Shared-memory objects do not know fchmod() there: what shm_open() and the umask made of it stays. */
static int set_mode(int file, mode_t mode)
{
    (void)file, (void)mode;
    return 0;
}

#endif

static size_t round_up(size_t bytes, size_t unit)
{
    return (bytes + unit - 1) / unit * unit;
}

static size_t mapping_bytes(size_t bytes, int want_huge)
{
    int large = want_huge && bytes >= TWI_RING_HUGE_PAGE_BYTES;
    return round_up(bytes, large ? (size_t)TWI_RING_HUGE_PAGE_BYTES : (size_t)TWI_RING_PAGE_BYTES);
}

tw_status twi_ring_memory_anonymous(size_t bytes, const twi_ring_wish *wish, twi_ring_memory *memory,
                                    twi_ring_error error)
{
    *memory = (twi_ring_memory){.bytes = mapping_bytes(bytes, wish->huge_pages)};
    if (wish->huge_pages && memory->bytes % TWI_RING_HUGE_PAGE_BYTES == 0) {
        memory->base = map_huge(memory->bytes, wish);
        if (memory->base != MAP_FAILED) {
            memory->huge = 1;
            return TW_OK;
        }
    }
    memory->base = mmap(NULL, memory->bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANON, -1, 0);
    if (memory->base == MAP_FAILED) {
        return twi_ring_fail(error, TW_NO_MEMORY, "no memory for a ring of %zu bytes: %s", memory->bytes,
                             strerror(errno));
    }
    memory->huge = populate(memory->base, memory->bytes, wish);
    return TW_OK;
}

/* ---- named objects ---- */

static tw_status fail_no_room(const char *name, size_t bytes, int cause, twi_ring_error error)
{
    struct statvfs facts;
    unsigned long long free_bytes = 0;
    if (statvfs(SHM_FOLDER, &facts) == 0) {
        free_bytes = (unsigned long long)facts.f_bavail * facts.f_frsize;
    }
    return twi_ring_fail(error, TW_NO_MEMORY,
                         "ring \"%s\" needs %zu bytes of shared memory, " SHM_FOLDER
                         " has %llu free (%s): use fewer slots or make it larger (mount -o remount,size=..., or "
                         "--shm-size of the container)",
                         name, bytes, free_bytes, strerror(cause));
}

static tw_status map_created(const char *name, int file, size_t bytes, mode_t mode, const twi_ring_wish *wish,
                             twi_ring_memory *memory, twi_ring_error error)
{
    if (set_mode(file, mode) != 0) {
        return twi_ring_fail(error, TW_IO, "cannot set the mode of ring \"%s\": %s", name, strerror(errno));
    }
    if (ftruncate(file, (off_t)bytes) != 0) {
        return fail_no_room(name, bytes, errno, error);
    }
    void *base = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    if (base == MAP_FAILED) {
        return twi_ring_fail(error, TW_NO_MEMORY, "cannot map ring \"%s\": %s", name, strerror(errno));
    }
    int huge = populate(base, bytes, wish);
    int cause = allocate(file, bytes);
    if (cause != 0) {
        munmap(base, bytes);
        return fail_no_room(name, bytes, cause, error);
    }
    *memory = (twi_ring_memory){.base = base, .bytes = bytes, .huge = huge};
    return TW_OK;
}

tw_status twi_ring_memory_create(const char *name, size_t bytes, uint32_t mode, const twi_ring_wish *wish,
                                 twi_ring_memory *memory, twi_ring_error error)
{
    char object[OBJECT_NAME_BYTES];
    object_name(name, object);
    mode_t reading = (mode_t)((mode & 0444) | 0600); /* nobody else gets to write */
    int file = shm_open(object, O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC, reading);
    if (file < 0) {
        return twi_ring_fail(error, TW_UNAVAILABLE, "cannot create ring \"%s\": %s", name, strerror(errno));
    }
    tw_status status = map_created(name, file, mapping_bytes(bytes, wish->huge_pages), reading, wish, memory, error);
    close(file);
    if (status != TW_OK) {
        shm_unlink(object);
    }
    return status;
}

static tw_status fail_attach(const char *name, int cause, twi_ring_error error)
{
    if (cause == ENOENT) {
        return twi_ring_fail(
            error, TW_UNAVAILABLE,
            "no ring \"%s\" here: is the engine running, with this name, and in the same container or IPC "
            "namespace (" SHM_FOLDER ")?",
            name);
    }
    if (cause == EACCES || cause == EPERM) {
        return twi_ring_fail(error, TW_UNAVAILABLE,
                             "ring \"%s\" belongs to another user and its mode does not let this one read it", name);
    }
    return twi_ring_fail(error, TW_UNAVAILABLE, "cannot open ring \"%s\": %s", name, strerror(cause));
}

static tw_status map_existing(const char *name, int file, size_t bytes_min, twi_ring_memory *memory,
                              twi_ring_error error)
{
    struct stat facts;
    if (fstat(file, &facts) != 0) {
        return twi_ring_fail(error, TW_IO, "cannot inspect ring \"%s\": %s", name, strerror(errno));
    }
    if (facts.st_size < (off_t)bytes_min) {
        return TW_AGAIN;
    }
    void *base = mmap(NULL, (size_t)facts.st_size, PROT_READ, MAP_SHARED | POPULATE, file, 0);
    if (base == MAP_FAILED) {
        return twi_ring_fail(error, TW_NO_MEMORY, "cannot map ring \"%s\": %s", name, strerror(errno));
    }
    *memory = (twi_ring_memory){.base = base, .bytes = (size_t)facts.st_size};
    return TW_OK;
}

tw_status twi_ring_memory_attach(const char *name, size_t bytes_min, twi_ring_memory *memory, twi_ring_error error)
{
    char object[OBJECT_NAME_BYTES];
    object_name(name, object);
    int file = shm_open(object, O_RDONLY | O_CLOEXEC, 0);
    if (file < 0) {
        return fail_attach(name, errno, error);
    }
    tw_status status = map_existing(name, file, bytes_min, memory, error);
    close(file);
    return status;
}

tw_status twi_ring_memory_attach_old(const char *name, size_t bytes, twi_ring_memory *memory, twi_ring_error error)
{
    char object[OBJECT_NAME_BYTES];
    object_name(name, object);
    int file = shm_open(object, O_RDWR | O_CLOEXEC, 0);
    if (file < 0 && errno == ENOENT) {
        return TW_EMPTY;
    }
    if (file < 0) {
        return twi_ring_fail(error, TW_UNAVAILABLE, "shared memory \"%s\" exists and is not ours to replace: %s", name,
                             strerror(errno));
    }
    struct stat facts;
    void *base = MAP_FAILED;
    if (fstat(file, &facts) == 0 && facts.st_size >= (off_t)bytes) {
        base = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    }
    close(file);
    *memory = (twi_ring_memory){.base = base == MAP_FAILED ? NULL : base, .bytes = bytes};
    return TW_OK;
}

void twi_ring_memory_unmap(twi_ring_memory *memory)
{
    if (memory->base) {
        munmap(memory->base, memory->bytes);
    }
    memory->base = NULL;
}

void twi_ring_memory_unlink(const char *name)
{
    char object[OBJECT_NAME_BYTES];
    object_name(name, object);
    shm_unlink(object);
}
