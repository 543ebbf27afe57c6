/* counting_malloc.h - a test program that counts its allocations: malloc and its kin are replaced by counting ones.
 * Include it in one file of a program only.
 *
 * Usage:    TWT_COUNTING is 1 where that works; uint64_t before = twt_allocation_count; ...
 * Limits:   glibc only, and not under a sanitizer, which replaces malloc itself; call twt_skip_unless_counting(). One
 *           thread, or all others at rest. */
#ifndef TWT_COUNTING_MALLOC_H
#define TWT_COUNTING_MALLOC_H

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) || __has_feature(memory_sanitizer)
#define TWT_SANITIZED 1
#endif
#endif
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define TWT_SANITIZED 1
#endif
#if defined(__GLIBC__) && !defined(TWT_SANITIZED)
#define TWT_COUNTING 1
#else
#define TWT_COUNTING 0
#endif

static uint64_t twt_allocation_count;

#if TWT_COUNTING
void *__libc_malloc(size_t bytes);
void *__libc_calloc(size_t count, size_t bytes);
void *__libc_realloc(void *memory, size_t bytes);
void *__libc_memalign(size_t alignment, size_t bytes);

void *malloc(size_t bytes)
{
    twt_allocation_count++;
    return __libc_malloc(bytes);
}

void *calloc(size_t count, size_t bytes)
{
    twt_allocation_count++;
    return __libc_calloc(count, bytes);
}

void *realloc(void *memory, size_t bytes)
{
    twt_allocation_count++;
    return __libc_realloc(memory, bytes);
}

void *aligned_alloc(size_t alignment, size_t bytes)
{
    twt_allocation_count++;
    return __libc_memalign(alignment, bytes);
}
#endif

/* Skips the test, saying why, where allocations cannot be counted. */
#define twt_skip_unless_counting()                                                                                     \
    do {                                                                                                               \
        if (!TWT_COUNTING) {                                                                                           \
            print_message("skipped: allocations cannot be counted in this build\n");                                   \
            skip();                                                                                                    \
        }                                                                                                              \
    } while (0)

#endif
