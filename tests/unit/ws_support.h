/* ws_support.h - what the protocol tests share: inputs that end at a guard page, a seeded generator, counted memory. */
#ifndef TWT_WS_SUPPORT_H
#define TWT_WS_SUPPORT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

/* Memory whose last byte is followed by a page that must not be touched. */
typedef struct twt_guard {
    uint8_t *map;
    size_t map_bytes;
    uint8_t *end;
} twt_guard;

static inline twt_guard twt_guard_open(size_t bytes_max)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    size_t usable = (bytes_max + page - 1) / page * page;
    twt_guard guard = {.map_bytes = usable + page};
    guard.map = mmap(NULL, guard.map_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANON, -1, 0);
    assert_true(guard.map != MAP_FAILED);
    guard.end = guard.map + usable;
    assert_int_equal(mprotect(guard.end, page, PROT_NONE), 0);
    return guard;
}

static inline void twt_guard_close(twt_guard *guard)
{
    munmap(guard->map, guard->map_bytes);
}

/* A copy of data that ends where the guard page begins. */
static inline uint8_t *twt_guard_copy(const twt_guard *guard, const void *data, size_t len)
{
    uint8_t *place = guard->end - len;
    assert_true(place >= guard->map);
    if (len > 0)
        memcpy(place, data, len);
    return place;
}

/* splitmix64: small, seeded, the same everywhere. */
static inline uint64_t twt_random(uint64_t *seed)
{
    uint64_t z = *seed += 0x9E3779B97F4A7C15u;
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9u;
    z = (z ^ z >> 27) * 0x94D049BB133111EBu;
    return z ^ z >> 31;
}

static inline size_t twt_random_below(uint64_t *seed, size_t limit)
{
    return (size_t)(twt_random(seed) % limit);
}

/* Counts what is taken and given back; refuses from the fail_at-th allocation on (0: never). */
typedef struct twt_memory {
    int blocks;
    int calls;
    int fail_at;
} twt_memory;

static inline void *twt_resize(void *owner, void *old, size_t new_bytes)
{
    twt_memory *memory = owner;
    if (new_bytes == 0) {
        memory->blocks -= old != NULL;
        free(old);
        return NULL;
    }
    if (++memory->calls == memory->fail_at)
        return NULL;
    void *fresh = realloc(old, new_bytes);
    assert_non_null(fresh);
    memory->blocks += old == NULL;
    return fresh;
}

#endif
