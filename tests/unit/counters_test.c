/* counters_test.c - cells and sums, the table's rules, Prometheus text, the duty watch. */
#include "engine/stats/counters.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "engine/stats/duty_cycle.h"
#include "engine/stats/exposition.h"

enum { BLOCKS = 4, STAGES = 4 };

static twi_counters *make(void)
{
    void *memory = NULL;
    size_t bytes = twi_counters_bytes(BLOCKS, STAGES);
    assert_int_equal(posix_memalign(&memory, TWI_CACHE_LINE_BYTES, bytes), 0);
    memset(memory, 0xa5, bytes);
    return twi_counters_init(memory, BLOCKS, STAGES);
}

static void test_blocks_add_up(void **state)
{
    (void)state;
    twi_counters *counters = make();
    twi_cells *a = twi_counters_open(counters, "", ""), *b = twi_counters_open(counters, "thread", "shard 0");
    assert_int_equal((uintptr_t)a->cells % TWI_CACHE_LINE_BYTES, 0);
    twi_counter_add(a, TWI_COUNTER_DELIVERIES, 40);
    twi_counter_increment(b, TWI_COUNTER_DELIVERIES);
    twi_counter_add(a, TWI_COUNTER_CONNECTIONS_OPEN, 3);
    twi_counter_subtract(b, TWI_COUNTER_CONNECTIONS_OPEN, 2);
    assert_int_equal(twi_counters_sum(counters, TWI_COUNTER_DELIVERIES), 41);
    assert_int_equal(twi_counters_sum(counters, TWI_COUNTER_CONNECTIONS_OPEN), 1);
    uint64_t all[TWI_COUNTER_COUNT];
    twi_counters_snapshot(counters, all);
    for (int i = 0; i < TWI_COUNTER_COUNT; i++) {
        uint64_t expected = i == TWI_COUNTER_DELIVERIES ? 41 : i == TWI_COUNTER_CONNECTIONS_OPEN;
        assert_int_equal(all[i], expected);
    }
    free(counters);
}

static void test_capacity_is_respected(void **state)
{
    (void)state;
    twi_counters *counters = make();
    for (int i = 0; i < BLOCKS; i++) {
        assert_non_null(twi_counters_open(counters, "feed", "a name that is much longer than a block can keep"));
    }
    assert_null(twi_counters_open(counters, "", ""));
    assert_int_equal(strlen(twi_counters_block(counters, 0)->value), TWI_BLOCK_VALUE_MAX);
    for (int i = 0; i < STAGES; i++) {
        assert_non_null(twi_counters_stage_open(counters, TWI_STAGE_RECEIVE_TO_RING));
    }
    assert_null(twi_counters_stage_open(counters, TWI_STAGE_RECEIVE_TO_RING));
    free(counters);
}

static void test_view_refuses_what_it_does_not_know(void **state)
{
    (void)state;
    twi_counters *counters = make();
    size_t bytes = twi_counters_bytes(BLOCKS, STAGES);
    assert_non_null(twi_counters_view(counters, bytes));
    assert_null(twi_counters_view(counters, bytes - 1));
    assert_null(twi_counters_view(counters, 8));
    counters->block_count_max = UINT32_MAX;
    assert_null(twi_counters_view(counters, bytes));
    counters->block_count_max = BLOCKS;
    counters->table_hash ^= 1;
    assert_null(twi_counters_view(counters, bytes));
    free(counters);
}

static void test_table_is_well_formed(void **state)
{
    (void)state;
    for (int i = 0; i < TWI_COUNTER_COUNT; i++) {
        const twi_counter_facts *facts = twi_counter_facts_of((twi_counter)i);
        size_t length = strlen(facts->family);
        int grows = facts->kind == TWI_KIND_COUNTER || facts->kind == TWI_KIND_FEED_COUNTER ||
                    facts->kind == TWI_KIND_THREAD_COUNTER || facts->kind == TWI_KIND_THREAD_COUNTER_NS;
        assert_int_equal(strncmp(facts->family, "tickwire_", 9), 0);
        assert_int_equal(strspn(facts->family, "abcdefghijklmnopqrstuvwxyz_"), length);
        assert_int_equal(strcmp(facts->family + length - 6, "_total") == 0, grows);
        assert_true(facts->help[0] >= 'A' || (facts->help[0] >= '0' && facts->help[0] <= '9'));
        for (int k = 0; k < i; k++) {
            const twi_counter_facts *other = twi_counter_facts_of((twi_counter)k);
            if (strcmp(facts->family, other->family) != 0) {
                continue;
            }
            assert_string_not_equal(facts->labels, other->labels);
            assert_string_equal(facts->help, other->help);
            assert_int_equal(facts->kind, other->kind);
            /* One family stands together. */
            assert_string_equal(facts->family, twi_counter_facts_of((twi_counter)(i - 1))->family);
        }
    }
}

static void test_codes_find_their_row(void **state)
{
    (void)state;
    for (uint32_t code = 0; code <= UINT16_MAX; code++) {
        char label[32];
        snprintf(label, sizeof(label), "code=\"%u\"", code);
        const char *labels = twi_counter_facts_of(twi_counter_of_close((uint16_t)code))->labels;
        assert_true(strcmp(labels, label) == 0 || strcmp(labels, "code=\"other\"") == 0);
        snprintf(label, sizeof(label), "status=\"%u\"", code);
        labels = twi_counter_facts_of(twi_counter_of_http((uint16_t)code))->labels;
        assert_true(strcmp(labels, label) == 0 || strcmp(labels, "status=\"other\"") == 0);
    }
    assert_int_equal(twi_counter_of_close(4002), TWI_COUNTER_CLOSES_4002);
    assert_int_equal(twi_counter_of_close(4999), TWI_COUNTER_CLOSES_OTHER);
    assert_int_equal(twi_counter_of_http(503), TWI_COUNTER_HTTP_503);
    assert_int_equal(twi_counter_of_http(418), TWI_COUNTER_HTTP_OTHER);
}

static void test_counters_as_text(void **state)
{
    (void)state;
    twi_counters *counters = make();
    twi_cells *feed = twi_counters_open(counters, "feed", "a\"b\\c");
    twi_cells *thread = twi_counters_open(counters, "thread", "shard 0");
    twi_counter_add(feed, TWI_COUNTER_FEED_EVENTS, 7);
    twi_counter_set(thread, TWI_COUNTER_LOOP_WORST_NS, 1500000);
    twi_counter_add(thread, TWI_COUNTER_REFUSED_TOKEN, 2);
    size_t cap = twi_exposition_bound(counters);
    char *out = malloc(cap);
    twi_text text = {.out = out, .cap = cap};
    twi_exposition_counters(&text, counters);
    assert_true(text.length < cap);
    assert_non_null(strstr(out, "\ntickwire_feed_events_total{feed=\"a\\\"b\\\\c\"} 7\n"));
    assert_non_null(strstr(out, "\ntickwire_loop_worst_cycle_seconds{thread=\"shard 0\"} 0.001500000\n"));
    assert_non_null(strstr(out, "\ntickwire_loop_seconds_total{thread=\"shard 0\",in=\"kernel\"} 0.000000000\n"));
    assert_non_null(strstr(out, "# TYPE tickwire_connections_refused_total counter\n"
                                "tickwire_connections_refused_total{reason=\"limit\"} 0\n"
                                "tickwire_connections_refused_total{reason=\"token\"} 2\n"));
    assert_non_null(strstr(out, "# TYPE tickwire_connections_open gauge\ntickwire_connections_open 0\n"));
    assert_null(strstr(out, "tickwire_feed_events_total{feed=\"shard 0\"}"));
    free(out);
    free(counters);
}

static void test_stages_as_text(void **state)
{
    (void)state;
    twi_counters *counters = make();
    twi_histogram *one = twi_counters_stage_open(counters, TWI_STAGE_PUBLISHED_TO_SENT);
    twi_histogram *two = twi_counters_stage_open(counters, TWI_STAGE_PUBLISHED_TO_SENT);
    twi_histogram_record(one, 1500);
    twi_histogram_record(one, 40000);
    twi_histogram_record(two, 15000000000);
    twi_histogram *scratch = malloc(twi_histogram_bytes(TWI_HISTOGRAM_SUB_BITS, TWI_HISTOGRAM_VALUE_MAX));
    twi_histogram_init(scratch, TWI_HISTOGRAM_SUB_BITS, TWI_HISTOGRAM_VALUE_MAX);
    size_t cap = twi_exposition_bound(counters);
    char *out = malloc(cap);
    twi_text text = {.out = out, .cap = cap};
    twi_exposition_stages(&text, counters, scratch);
    assert_true(text.length < cap);
#define BUCKET "tickwire_stage_seconds_bucket{stage=\"published_to_sent\",le="
    assert_non_null(strstr(out, BUCKET "\"1e-06\"} 0\n"));
    assert_non_null(strstr(out, BUCKET "\"2e-06\"} 1\n"));
    assert_non_null(strstr(out, BUCKET "\"5e-05\"} 2\n"));
    assert_non_null(strstr(out, BUCKET "\"10\"} 2\n" BUCKET "\"+Inf\"} 3\n"));
    assert_non_null(strstr(out, "tickwire_stage_seconds_sum{stage=\"published_to_sent\"} 15.000041500\n"));
    assert_non_null(strstr(out, "tickwire_stage_seconds_count{stage=\"published_to_sent\"} 3\n"));
    assert_non_null(strstr(out, "{stage=\"published_to_sent\",quantile=\"1\"} 15.000000000\n"));
    assert_non_null(strstr(out, "tickwire_stage_seconds_count{stage=\"receive_to_ring\"} 0\n"));
    free(out);
    free(scratch);
    free(counters);
}

static void test_lists_and_values_as_text(void **state)
{
    (void)state;
    char out[512];
    twi_text text = {.out = out, .cap = sizeof(out)};
    twi_exposition_list(&text, "loop_feature", "Active", "feature", "multishot_recv,bundles");
    twi_exposition_family(&text, "lag", "gauge", "Lag");
    twi_exposition_value(&text, "lag", "", 0.5);
    twi_exposition_value(&text, "lag", "ring=\"a\"", 3);
    assert_string_equal(out, "# HELP loop_feature Active\n# TYPE loop_feature gauge\n"
                             "loop_feature{feature=\"multishot_recv\"} 1\nloop_feature{feature=\"bundles\"} 1\n"
                             "# HELP lag Lag\n# TYPE lag gauge\nlag 0.5\nlag{ring=\"a\"} 3\n");
}

enum { THREAD_ADDS = 200000 };

static void *add_many(void *owner)
{
    for (int i = 0; i < THREAD_ADDS; i++) {
        twi_counter_increment(owner, TWI_COUNTER_OFFERED);
    }
    return NULL;
}

static void test_threads_count_apart_and_add_up(void **state)
{
    (void)state;
    twi_counters *counters = make();
    pthread_t threads[BLOCKS];
    for (int i = 0; i < BLOCKS; i++) {
        twi_cells *cells = twi_counters_open(counters, "", "");
        assert_int_equal(pthread_create(&threads[i], NULL, add_many, cells), 0);
    }
    uint64_t before = 0;
    for (int i = 0; i < 1000; i++) {
        uint64_t sum = twi_counters_sum(counters, TWI_COUNTER_OFFERED);
        assert_true(sum >= before);
        before = sum;
    }
    for (int i = 0; i < BLOCKS; i++) {
        pthread_join(threads[i], NULL);
    }
    assert_int_equal(twi_counters_sum(counters, TWI_COUNTER_OFFERED), BLOCKS * THREAD_ADDS);
    free(counters);
}

static void test_duty_watch(void **state)
{
    (void)state;
    twi_counters *counters = make();
    twi_cells *cells = twi_counters_open(counters, "thread", "shard 0");
    twi_duty duty;
    twi_duty_init(&duty, cells, 500, 1000);
    twi_duty_enter(&duty, TWI_DUTY_IN_KERNEL, 1100);    /* 100 in steps */
    twi_duty_enter(&duty, TWI_DUTY_IN_CALLBACKS, 9100); /* 8000 asleep */
    twi_duty_enter(&duty, TWI_DUTY_IN_STEPS, 9300);     /* 200 in callbacks */
    twi_duty_round(&duty, 9350);                        /* 50 in steps: worked 350 */
    assert_int_equal(twi_counter_get(cells, TWI_COUNTER_LOOP_WORST_NS), 350);
    assert_int_equal(twi_counter_get(cells, TWI_COUNTER_LOOP_OVERRUNS), 0);
    twi_duty_round(&duty, 9850); /* worked 500 */
    twi_duty_round(&duty, 9800); /* a clock that went back adds nothing */
    assert_int_equal(twi_counter_get(cells, TWI_COUNTER_LOOP_WORST_NS), 500);
    assert_int_equal(twi_counter_get(cells, TWI_COUNTER_LOOP_OVERRUNS), 1);
    assert_int_equal(twi_counter_get(cells, TWI_COUNTER_LOOP_CYCLES), 3);
    assert_int_equal(twi_counter_get(cells, TWI_COUNTER_LOOP_KERNEL_NS), 8000);
    assert_int_equal(twi_counter_get(cells, TWI_COUNTER_LOOP_CALLBACK_NS), 200);
    assert_int_equal(twi_counter_get(cells, TWI_COUNTER_LOOP_STEP_NS), 650);
    free(counters);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_blocks_add_up),
        cmocka_unit_test(test_capacity_is_respected),
        cmocka_unit_test(test_view_refuses_what_it_does_not_know),
        cmocka_unit_test(test_table_is_well_formed),
        cmocka_unit_test(test_codes_find_their_row),
        cmocka_unit_test(test_counters_as_text),
        cmocka_unit_test(test_stages_as_text),
        cmocka_unit_test(test_lists_and_values_as_text),
        cmocka_unit_test(test_threads_count_apart_and_add_up),
        cmocka_unit_test(test_duty_watch),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
