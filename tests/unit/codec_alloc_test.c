/* codec_alloc_test.c - encoding and decoding allocate nothing: malloc and its kin are replaced by counting ones.
 *
 * Limits:   glibc only, and not under a sanitizer, which replaces them itself; the test says that it was skipped. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/unit/codec_support.h"

#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) || __has_feature(memory_sanitizer)
#define SANITIZED 1
#endif
#endif
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1
#endif
#if defined(__GLIBC__) && !defined(SANITIZED)
#define COUNTING 1
#else
#define COUNTING 0
#endif

static uint64_t allocation_count;

#if COUNTING
void *__libc_malloc(size_t bytes);
void *__libc_calloc(size_t count, size_t bytes);
void *__libc_realloc(void *memory, size_t bytes);
void *__libc_memalign(size_t alignment, size_t bytes);

void *malloc(size_t bytes)
{
    allocation_count++;
    return __libc_malloc(bytes);
}

void *calloc(size_t count, size_t bytes)
{
    allocation_count++;
    return __libc_calloc(count, bytes);
}

void *realloc(void *memory, size_t bytes)
{
    allocation_count++;
    return __libc_realloc(memory, bytes);
}

void *aligned_alloc(size_t alignment, size_t bytes)
{
    allocation_count++;
    return __libc_memalign(alignment, bytes);
}
#endif

enum { ROUNDS = 5000 };

static void no_allocation(const tw_codec_ops *codec)
{
    static tw_event events[TWT_LEVELS_MAX], decoded[TWT_LEVELS_MAX];
    twt_random random = {20240604};
    tw_symbols *symbols = twt_codec_setup();
    tw_symbols *client = twt_symbols_new(16);
    uint8_t *out = malloc(codec->bound(TWT_LEVELS_MAX));
    assert_true(!COUNTING || allocation_count > 0); /* the counter counts */
    uint64_t before = allocation_count;
    for (int round = 0; round < ROUNDS; round++) {
        tw_record record = twt_random_record(&random, symbols, events);
        size_t len = codec->encode(symbols, &record, out, codec->bound(record.event_count));
        tw_record back;
        uint32_t count = TWT_LEVELS_MAX;
        tw_status status = codec->decode(client, out, len, decoded, &count, &back);
        if (status != TW_OK) {
            fail();
        }
    }
    uint64_t allocations = allocation_count - before;
    free(out);
    free(client);
    free(symbols);
    assert_int_equal(allocations, 0);
}

static void skip_unless_counting(void)
{
    if (!COUNTING) {
        print_message("skipped: allocations cannot be counted in this build\n");
        skip();
    }
}

static void json_allocates_nothing(void **state)
{
    (void)state;
    skip_unless_counting();
    no_allocation(&tw_codec_json);
}

static void flatbuffers_allocates_nothing(void **state)
{
    (void)state;
    skip_unless_counting();
    no_allocation(&tw_codec_flatbuffers);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(json_allocates_nothing),
        cmocka_unit_test(flatbuffers_allocates_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
