/* ring_shm_test.c - rings by name where things go wrong: damaged headers, other users, a full /dev/shm, producers
 * that died at the worst moment, readers that write to the doorbell. What needs root or a namespace of its own is
 * skipped, and said so. */
#include "tickwire/ring.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#if defined(__linux__)
#include <sched.h>
#include <sys/mount.h>
#endif

#include <cmocka.h>

#include "engine/base/clock.h"
#include "engine/ring/ring.h"

enum { SLOTS = 64, ERROR_BYTES = 512, NOBODY = 65534 };

static char ring_name[TWI_RING_NAME_MAX + 1];
static char object_path[TWI_RING_NAME_MAX + 2];

static tw_status try_open(uint32_t mode, tw_ring **ring, char *error)
{
    tw_ring_options options = {.name = ring_name, .slot_count = SLOTS, .instrument_count_max = 8, .mode = mode};
    error[0] = 0;
    return tw_ring_open(&options, ring, error, ERROR_BYTES);
}

static tw_ring *open_ring(uint32_t mode)
{
    char error[ERROR_BYTES];
    tw_ring *ring = NULL;
    if (try_open(mode, &ring, error) != TW_OK) {
        fail_msg("open: %s", error);
    }
    return ring;
}

static void expect_no_attach(const char *text)
{
    char error[ERROR_BYTES] = "";
    tw_ring_reader *reader = NULL;
    assert_int_equal(tw_ring_attach(ring_name, &reader, error, sizeof(error)), TW_UNAVAILABLE);
    assert_null(reader);
    if (!strstr(error, text)) {
        fail_msg("\"%s\" lacks \"%s\"", error, text);
    }
}

static void publish(tw_ring *ring, int64_t price)
{
    tw_ring_claim(ring)->u.trade.price = price;
    tw_ring_commit(ring);
}

static void test_damaged_headers_are_refused(void **state)
{
    (void)state;
    tw_ring *ring = open_ring(0600);
    twi_ring_header *header = ring->header;
    header->layout_version++;
    expect_no_attach("layout version");
    header->layout_version--;
    static const uint32_t bad_counts[] = {0, 1, 32, 63, 65, 128, 1u << 24, 1u << 25, UINT32_MAX};
    for (size_t i = 0; i < sizeof(bad_counts) / sizeof(bad_counts[0]); i++) {
        header->slot_count = bad_counts[i];
        expect_no_attach("damaged");
    }
    header->slot_count = SLOTS;
    uint64_t good = header->slots_offset;
    const uint64_t bad_offsets[] = {0, 64, good + 64, good + TWI_RING_PAGE_BYTES, UINT64_MAX - 4095, UINT64_MAX};
    for (size_t i = 0; i < sizeof(bad_offsets) / sizeof(bad_offsets[0]); i++) {
        header->slots_offset = bad_offsets[i];
        expect_no_attach("damaged");
    }
    header->slots_offset = good;
    header->symbols_offset = 0;
    expect_no_attach("damaged");
    header->symbols_offset = TWI_RING_PAGE_BYTES;
    atomic_store(&header->magic, 1);
    expect_no_attach("not a Tickwire ring");
    atomic_store(&header->magic, 0);
    expect_no_attach("not finished");
    tw_ring_close(ring);
}

/* Whatever the producer's memory says later on, a reader stays within its mapping and comes back. */
static void test_a_producer_gone_wrong_does_not_crash_readers(void **state)
{
    (void)state;
    tw_ring *ring = open_ring(0600);
    char error[ERROR_BYTES];
    tw_ring_reader *reader = NULL;
    assert_int_equal(tw_ring_attach(ring_name, &reader, error, sizeof(error)), TW_OK);
    static const uint64_t words[] = {UINT64_MAX, UINT64_MAX - 1, 1, 0, UINT64_C(1) << 63, 12345};
    tw_event events[SLOTS];
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        for (int k = 0; k < SLOTS; k++) {
            atomic_store(&ring->slots.slots[k].word, words[i]);
        }
        atomic_store(&ring->header->head, words[i]);
        uint64_t lost = 0;
        (void)tw_ring_read(reader, events, SLOTS, &lost);
        (void)tw_ring_reader_lag(reader);
        tw_status waited = tw_ring_wait(reader, 0);
        assert_true(waited == TW_OK || waited == TW_TIMEOUT);
    }
    tw_ring_reader_close(reader);
    tw_ring_close(ring);
}

static void test_foreign_memory_is_not_replaced(void **state)
{
    (void)state;
    int file = shm_open(object_path, O_CREAT | O_EXCL | O_RDWR, 0600);
    assert_true(file >= 0);
    assert_int_equal(ftruncate(file, 8192), 0);
    assert_int_equal(pwrite(file, "other program", 13, 0), 13);
    char error[ERROR_BYTES];
    tw_ring *ring = NULL;
    assert_int_equal(try_open(0600, &ring, error), TW_UNAVAILABLE);
    assert_non_null(strstr(error, "not a ring"));
    close(file);
    assert_int_equal(shm_unlink(object_path), 0);
}

/* A producer killed right after shm_open(), and one killed before it wrote the magic. */
static void test_half_made_rings_are_replaced(void **state)
{
    (void)state;
    for (off_t bytes = 0; bytes <= 65536; bytes += 65536) {
        int file = shm_open(object_path, O_CREAT | O_EXCL | O_RDWR, 0600);
        assert_true(file >= 0 && ftruncate(file, bytes) == 0);
        close(file);
        tw_ring_close(open_ring(0600));
    }
}

static void test_open_and_close_leave_nothing_behind(void **state)
{
    (void)state;
    for (int i = 0; i < 200; i++) {
        tw_ring_close(open_ring(0600));
    }
    int file = open("/dev/null", O_RDONLY);
    assert_true(file < 10); /* no descriptor is left */
    close(file);
    assert_int_equal(shm_open(object_path, O_RDONLY, 0), -1);
    char lock_path[sizeof(object_path) + 5];
    snprintf(lock_path, sizeof(lock_path), "%s.lock", object_path);
    assert_int_equal(shm_open(lock_path, O_RDONLY, 0), -1);
}

/* Runs `body` in a child that may change user or namespace; its exit code: 0 good, 77 skip. */
static void in_child(int (*body)(void))
{
    pid_t child = fork();
    if (child == 0) {
        _exit(body());
    }
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    if (WEXITSTATUS(status) == 77) {
        print_message("skipped: needs root or a namespace of its own\n");
        skip();
    }
    assert_int_equal(WEXITSTATUS(status), 0);
}

static int attach_as_nobody(tw_status expected, const char *text)
{
    if (setgid(NOBODY) != 0 || setuid(NOBODY) != 0) {
        return 77;
    }
    char error[ERROR_BYTES] = "";
    tw_ring_reader *reader = NULL;
    if (tw_ring_attach(ring_name, &reader, error, sizeof(error)) != expected || !strstr(error, text)) {
        return 1;
    }
    /* Reading does not mean writing. */
    if (shm_open(object_path, O_RDWR, 0) >= 0 || errno != EACCES) {
        return 2;
    }
    if (reader && !reader->mapping->doorbell) {
        return 3;
    }
    return 0;
}

static int nobody_is_refused(void)
{
    return attach_as_nobody(TW_UNAVAILABLE, "another user");
}

static int nobody_is_let_in(void)
{
    return attach_as_nobody(TW_OK, "");
}

static int nobody_cannot_take_the_name(void)
{
    char error[ERROR_BYTES];
    tw_ring *ring = NULL;
    if (setgid(NOBODY) != 0 || setuid(NOBODY) != 0) {
        return 77;
    }
    return try_open(0644, &ring, error) == TW_UNAVAILABLE && !ring ? 0 : 1;
}

static void test_mode_decides_who_reads(void **state)
{
    (void)state;
    if (geteuid() != 0) {
        print_message("skipped: needs root to be somebody else\n");
        skip();
    }
    mode_t mask = umask(077); /* must not matter */
    tw_ring *ring = open_ring(0640);
    in_child(nobody_is_refused);
    in_child(nobody_cannot_take_the_name);
    tw_ring_close(ring);
    ring = open_ring(0644);
    in_child(nobody_is_let_in);
    in_child(nobody_cannot_take_the_name);
    tw_ring_close(ring);
    umask(mask);
}

static int open_with_little_room(void)
{
#if defined(__linux__)
    if (unshare(CLONE_NEWNS) != 0 || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0 ||
        mount("tmpfs", "/dev/shm", "tmpfs", 0, "size=256k") != 0) {
        return 77;
    }
    tw_ring_options options = {.name = ring_name, .slot_count = 65536, .instrument_count_max = 8, .mode = 0600};
    char error[ERROR_BYTES] = "";
    tw_ring *ring = NULL;
    if (tw_ring_open(&options, &ring, error, sizeof(error)) != TW_NO_MEMORY || !strstr(error, "/dev/shm has")) {
        return 1;
    }
    if (shm_open(object_path, O_RDONLY, 0) >= 0) {
        return 2; /* nothing is left of it */
    }
    options.slot_count = SLOTS; /* and what fits still works */
    if (tw_ring_open(&options, &ring, error, sizeof(error)) != TW_OK) {
        return 3;
    }
    for (int i = 0; i < 3 * SLOTS; i++) {
        publish(ring, i);
    }
    tw_ring_close(ring);
    return 0;
#else
    return 77;
#endif
}

static void test_too_little_shared_memory_is_an_error(void **state)
{
    (void)state;
    in_child(open_with_little_room);
}

/* A reader that scribbles on the doorbell all the time: the producer goes on, another reader gets every event. */
static void test_a_hostile_reader_delays_nobody_for_good(void **state)
{
    (void)state;
    tw_ring *ring = open_ring(0600);
    tw_ring_reader *reader = NULL, *hostile = NULL;
    char error[ERROR_BYTES];
    assert_int_equal(tw_ring_attach(ring_name, &reader, error, sizeof(error)), TW_OK);
    pid_t child = fork();
    if (child == 0) {
        if (tw_ring_attach(ring_name, &hostile, error, sizeof(error)) != TW_OK || !hostile->mapping->doorbell) {
            _exit(1);
        }
        for (uint32_t value = 0;; value += 0x01234567) {
            atomic_store(&hostile->mapping->doorbell->word, value);
        }
    }
    for (int64_t i = 0; i < 30; i++) {
        publish(ring, i);
        tw_ring_wake(ring);
        tw_event event;
        uint64_t lost = 0;
        assert_int_equal(tw_ring_wait(reader, INT64_C(60000000000)), TW_OK);
        assert_int_equal(tw_ring_read(reader, &event, 1, &lost), 1);
        assert_int_equal(event.u.trade.price, i);
    }
    kill(child, SIGKILL);
    int status = 0;
    waitpid(child, &status, 0);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    tw_ring_reader_close(reader);
    tw_ring_close(ring);
}

/* The bell of another ring (as an id from another IPC namespace could be) is not taken for ours. */
static void test_a_strange_doorbell_is_not_used(void **state)
{
    (void)state;
    tw_ring *ring = open_ring(0600);
    if (!ring->mapping->doorbell) {
        tw_ring_close(ring);
        skip();
    }
    assert_null(twi_doorbell_attach(ring->header->doorbell_id, ring->header->epoch + 1));
    assert_null(twi_doorbell_attach(ring->header->doorbell_id + 1, ring->header->epoch));
    assert_null(twi_doorbell_attach(-1, ring->header->epoch));
    int32_t id = ring->header->doorbell_id;
    ring->header->doorbell_id = -1;
    tw_ring_reader *reader = NULL;
    char error[ERROR_BYTES];
    assert_int_equal(tw_ring_attach(ring_name, &reader, error, sizeof(error)), TW_OK);
    ring->header->doorbell_id = id;
    assert_null(reader->mapping->doorbell);
    assert_int_equal(tw_ring_wait(reader, 200000), TW_TIMEOUT); /* polls */
    publish(ring, 1);
    assert_int_equal(tw_ring_wait(reader, INT64_MAX), TW_OK);
    tw_ring_reader_close(reader);
    tw_ring_close(ring);
}

static void test_huge_pages_are_reported_as_they_are(void **state)
{
    (void)state;
    tw_ring_options options = {
        .slot_count = 65536, .instrument_count_max = 8, .mode = 0600, .huge_pages = 1, .name = NULL};
    for (int i = 0; i < 2; i++) {
        tw_ring *ring = NULL;
        char error[ERROR_BYTES] = "";
        assert_int_equal(tw_ring_open(&options, &ring, error, sizeof(error)), TW_OK);
        print_message("%s ring on huge pages: %s\n", options.name ? "named" : "anonymous",
                      tw_ring_huge_pages(ring) ? "yes" : "no");
        assert_int_equal(ring->mapping->memory.bytes % TWI_RING_HUGE_PAGE_BYTES, 0);
        for (int64_t k = 0; k < 100000; k++) {
            publish(ring, k);
        }
        tw_ring_close(ring);
        options.name = ring_name;
    }
}

int main(void)
{
    snprintf(ring_name, sizeof(ring_name), "tw-shm-%ld", (long)getpid());
    snprintf(object_path, sizeof(object_path), "/%s", ring_name);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_damaged_headers_are_refused),
        cmocka_unit_test(test_a_producer_gone_wrong_does_not_crash_readers),
        cmocka_unit_test(test_foreign_memory_is_not_replaced),
        cmocka_unit_test(test_half_made_rings_are_replaced),
        cmocka_unit_test(test_open_and_close_leave_nothing_behind),
        cmocka_unit_test(test_mode_decides_who_reads),
        cmocka_unit_test(test_too_little_shared_memory_is_an_error),
        cmocka_unit_test(test_a_hostile_reader_delays_nobody_for_good),
        cmocka_unit_test(test_a_strange_doorbell_is_not_used),
        cmocka_unit_test(test_huge_pages_are_reported_as_they_are),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
