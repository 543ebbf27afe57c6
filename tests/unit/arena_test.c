/* arena_test.c - arena.h and text.h: alignment, large requests, overflow, sealing, bounded text. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "engine/base/arena.h"
#include "engine/base/text.h"

static void memory_is_zeroed_aligned_and_apart(void **state)
{
    (void)state;
    twi_arena arena = {0};
    unsigned char *before = NULL;
    size_t before_bytes = 0;
    for (size_t i = 0; i < 3000; i++) {
        size_t bytes = i * 37 % 300, align = (size_t)1 << (i % 13);
        unsigned char *memory = twi_arena_alloc(&arena, bytes, align);
        assert_non_null(memory);
        assert_int_equal((uintptr_t)memory % align, 0);
        assert_false(before && before < memory + bytes && memory < before + before_bytes && before_bytes && bytes);
        for (size_t k = 0; k < bytes; k++)
            assert_int_equal(memory[k], 0);
        memset(memory, 0xff, bytes);
        before = memory, before_bytes = bytes;
    }
    twi_arena_free(&arena);
    assert_int_equal(arena.reserved_bytes, 0);
}

static void large_requests_get_their_own_block(void **state)
{
    (void)state;
    twi_arena arena = {0};
    unsigned char *large = twi_arena_alloc(&arena, 3 * TWI_ARENA_BLOCK_BYTES, 4096);
    assert_non_null(large);
    large[3 * TWI_ARENA_BLOCK_BYTES - 1] = 1;
    assert_true(arena.reserved_bytes > 3 * TWI_ARENA_BLOCK_BYTES);
    twi_arena_free(&arena);
}

static void impossible_requests_are_refused(void **state)
{
    (void)state;
    twi_arena arena = {0};
    assert_null(twi_arena_array(&arena, SIZE_MAX / 2, 4, 8));
    assert_null(twi_arena_alloc(&arena, SIZE_MAX - 8, 8));
    assert_null(twi_arena_text(&arena, "x", SIZE_MAX));
    twi_arena_free(&arena);
}

static void a_sealed_arena_ends_the_process(void **state)
{
    (void)state;
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        twi_arena arena = {0};
        (void)!freopen("/dev/null", "w", stderr);
        twi_arena_seal(&arena);
        twi_arena_alloc(&arena, 1, 1);
        _exit(0);
    }
    int code = 0;
    assert_int_equal(waitpid(child, &code, 0), child);
    assert_true(WIFSIGNALED(code));
}

static void text_counts_on_when_it_is_full(void **state)
{
    (void)state;
    char buffer[8] = "";
    twi_text text = {.out = buffer, .cap = sizeof(buffer)};
    twi_text_add(&text, "%s", "abcde");
    twi_text_add(&text, "%d", 12345);
    twi_text_add(&text, "more");
    assert_string_equal(buffer, "abcde12");
    assert_int_equal(text.length, 14);
}

static void amounts_take_the_largest_whole_unit(void **state)
{
    (void)state;
    static const struct {
        long long bytes, ns;
        const char *as_bytes, *as_duration;
    } cases[] = {
        {0, 0, "0", "0s"},
        {1500, 1500, "1500", "1500ns"},
        {65536, 65000000, "64KiB", "65ms"},
        {64 << 20, 60000000000, "64MiB", "1m"},
        {3LL << 30, 7200000000000, "3GiB", "2h"},
        {1, 90000000000, "1", "90s"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char buffer[32];
        twi_text text = {.out = buffer, .cap = sizeof(buffer)};
        twi_text_add_bytes(&text, cases[i].bytes);
        assert_string_equal(buffer, cases[i].as_bytes);
        text.length = 0;
        twi_text_add_duration(&text, cases[i].ns);
        assert_string_equal(buffer, cases[i].as_duration);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(memory_is_zeroed_aligned_and_apart), cmocka_unit_test(large_requests_get_their_own_block),
        cmocka_unit_test(impossible_requests_are_refused),    cmocka_unit_test(a_sealed_arena_ends_the_process),
        cmocka_unit_test(text_counts_on_when_it_is_full),     cmocka_unit_test(amounts_take_the_largest_whole_unit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
