/* histogram_test.c - the histogram against sorted values: every bucket, quantiles, moments, correction, merge, text. */
#include "engine/stats/histogram.h"

#include <math.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static twi_histogram *make(uint32_t sub_bits, int64_t value_max)
{
    void *memory = malloc(twi_histogram_bytes(sub_bits, value_max));
    assert_non_null(memory);
    return twi_histogram_init(memory, sub_bits, value_max);
}

static uint64_t next_random(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

/* Buckets lie side by side without hole or overlap, and no bucket is wider than promised. */
static void test_buckets_cover_everything_once(void **state)
{
    (void)state;
    for (uint32_t sub_bits = TWI_HISTOGRAM_SUB_BITS_MIN; sub_bits <= TWI_HISTOGRAM_SUB_BITS_MAX; sub_bits++) {
        twi_histogram *histogram = make(sub_bits, TWI_HISTOGRAM_VALUE_MAX);
        int64_t expected_low = 0;
        for (uint32_t i = 0; i < histogram->bucket_count; i++) {
            int64_t low = twi_histogram_bucket_low(histogram, i), high = twi_histogram_bucket_high(histogram, i);
            assert_true(low == expected_low && high >= low);
            assert_int_equal(twi_histogram_index(histogram, (uint64_t)low), i);
            assert_int_equal(twi_histogram_index(histogram, (uint64_t)high), i);
            assert_true(high - low <= low >> (sub_bits - 1));
            expected_low = high + 1;
        }
        assert_true(expected_low > TWI_HISTOGRAM_VALUE_MAX);
        free(histogram);
    }
}

static void test_the_largest_range_fits(void **state)
{
    (void)state;
    twi_histogram *histogram = make(8, INT64_MAX);
    twi_histogram_record(histogram, INT64_MAX);
    assert_true(twi_histogram_quantile(histogram, 1) == INT64_MAX);
    assert_true(twi_histogram_bucket_high(histogram, histogram->bucket_count - 1) == INT64_MAX);
    free(histogram);
}

static void test_impossible_shapes_have_no_size(void **state)
{
    (void)state;
    assert_int_equal(twi_histogram_bytes(1, 1000), 0);
    assert_int_equal(twi_histogram_bytes(15, INT64_MAX), 0);
    assert_int_equal(twi_histogram_bytes(8, 255), 0);
    assert_int_not_equal(twi_histogram_bytes(8, 256), 0);
}

static int compare_values(const void *a, const void *b)
{
    int64_t left = *(const int64_t *)a, right = *(const int64_t *)b;
    return left < right ? -1 : left > right;
}

static void test_quantiles_are_within_the_error(void **state)
{
    (void)state;
    enum { COUNT = 20000 };
    static int64_t values[COUNT];
    uint64_t seed = 7;
    twi_histogram *histogram = make(TWI_HISTOGRAM_SUB_BITS, TWI_HISTOGRAM_VALUE_MAX);
    double sum = 0;
    for (int i = 0; i < COUNT; i++) {
        values[i] = (int64_t)(next_random(&seed) >> (24 + next_random(&seed) % 38)); /* all magnitudes to 2^40 */
        sum += (double)values[i];
        twi_histogram_record(histogram, values[i]);
    }
    qsort(values, COUNT, sizeof(values[0]), compare_values);
    for (double quantile = 0; quantile <= 1; quantile += 0.001) {
        int64_t rank = (int64_t)ceil(quantile * COUNT);
        int64_t exact = values[rank > 0 ? rank - 1 : 0];
        int64_t got = twi_histogram_quantile(histogram, quantile);
        assert_true(got >= exact && got - exact <= exact / 128);
    }
    double mean = sum / COUNT, squares = 0;
    for (int i = 0; i < COUNT; i++) {
        squares += ((double)values[i] - mean) * ((double)values[i] - mean);
    }
    assert_true(fabs(twi_histogram_mean(histogram) / mean - 1) < 1e-12);
    assert_true(fabs(twi_histogram_stddev(histogram) / sqrt(squares / COUNT) - 1) < 1e-6);
    assert_int_equal(twi_histogram_min(histogram), values[0]);
    assert_int_equal(twi_histogram_max(histogram), values[COUNT - 1]);
    assert_int_equal(twi_histogram_quantile(histogram, 1), values[COUNT - 1]);
    free(histogram);
}

static void test_empty_is_all_zero(void **state)
{
    (void)state;
    twi_histogram *histogram = twi_histogram_new();
    assert_int_equal(twi_histogram_quantile(histogram, 0.5), 0);
    assert_int_equal(twi_histogram_min(histogram), 0);
    assert_int_equal(twi_histogram_max(histogram), 0);
    assert_true(twi_histogram_mean(histogram) == 0 && twi_histogram_stddev(histogram) == 0);
    char text[1024];
    assert_true(twi_histogram_hgrm(histogram, 1, 5, text, sizeof(text)) < sizeof(text));
    assert_non_null(strstr(text, "Total count    =            0]"));
    free(histogram);
}

static void test_out_of_range_is_counted(void **state)
{
    (void)state;
    twi_histogram *histogram = make(8, 1000);
    twi_histogram_record(histogram, -5);
    twi_histogram_record(histogram, 1000);
    twi_histogram_record(histogram, 5000);
    assert_int_equal(twi_histogram_count(histogram), 3);
    assert_int_equal(atomic_load(&histogram->clamped), 1);
    assert_int_equal(twi_histogram_min(histogram), 0);
    assert_int_equal(twi_histogram_max(histogram), 5000);
    assert_int_equal(twi_histogram_quantile(histogram, 1), 5000);
    assert_true(twi_histogram_mean(histogram) == 2000);
    free(histogram);
}

/* A stall of 100 intervals hides 99 others: they come back, evenly spread. */
static void test_coordinated_omission_is_corrected(void **state)
{
    (void)state;
    twi_histogram *histogram = twi_histogram_new();
    for (int i = 0; i < 900; i++) {
        twi_histogram_record_corrected(histogram, 1000, 1000000);
    }
    twi_histogram_record_corrected(histogram, 100000000, 1000000);
    assert_int_equal(twi_histogram_count(histogram), 900 + 100);
    int64_t p95 = twi_histogram_quantile(histogram, 0.95);
    assert_true(p95 >= 50000000 && p95 <= 50100000);
    twi_histogram_record_corrected(histogram, 5000000, 0);
    assert_int_equal(twi_histogram_count(histogram), 1001);
    free(histogram);
}

static void test_merge_adds(void **state)
{
    (void)state;
    twi_histogram *a = twi_histogram_new(), *b = twi_histogram_new(), *both = twi_histogram_new();
    uint64_t seed = 3;
    for (int i = 0; i < 1000; i++) {
        int64_t value = (int64_t)(next_random(&seed) % 1000000);
        twi_histogram_record(i % 3 ? a : b, value);
        twi_histogram_record(both, value);
    }
    assert_int_equal(twi_histogram_merge(a, b), TW_OK);
    assert_int_equal(twi_histogram_count(a), 1000);
    for (uint32_t i = 0; i < a->bucket_count; i++) {
        assert_int_equal(atomic_load(&a->buckets[i]), atomic_load(&both->buckets[i]));
    }
    assert_int_equal(twi_histogram_min(a), twi_histogram_min(both));
    assert_int_equal(twi_histogram_max(a), twi_histogram_max(both));
    assert_true(fabs(twi_histogram_stddev(a) - twi_histogram_stddev(both)) < 1e-6);
    twi_histogram *other = make(8, 1000);
    assert_int_equal(twi_histogram_merge(a, other), TW_BAD_ARGUMENT);
    free(a);
    free(b);
    free(both);
    free(other);
}

typedef struct live {
    twi_histogram *histogram;
    _Atomic int stop;
} live;

static void *record_until_stopped(void *owner)
{
    live *at = owner;
    for (int64_t value = 0; !atomic_load(&at->stop); value = (value + 1) % 10000) {
        twi_histogram_record(at->histogram, value);
    }
    return NULL;
}

static void test_snapshot_of_a_live_histogram_agrees_with_itself(void **state)
{
    (void)state;
    live at = {.histogram = twi_histogram_new()};
    twi_histogram *copy = twi_histogram_new();
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, record_until_stopped, &at), 0);
    uint64_t before = 0;
    for (int i = 0; i < 50; i++) {
        assert_int_equal(twi_histogram_snapshot(copy, at.histogram), TW_OK);
        uint64_t sum = 0;
        for (uint32_t k = 0; k < copy->bucket_count; k++) {
            sum += atomic_load(&copy->buckets[k]);
        }
        assert_int_equal(sum, twi_histogram_count(copy));
        assert_true(sum >= before);
        before = sum;
    }
    atomic_store(&at.stop, 1);
    pthread_join(thread, NULL);
    free(at.histogram);
    free(copy);
}

static void test_percentile_text(void **state)
{
    (void)state;
    twi_histogram *histogram = twi_histogram_new();
    for (int i = 1; i <= 8; i++) {
        twi_histogram_record(histogram, i * 1000);
    }
    char text[2048];
    size_t length = twi_histogram_hgrm(histogram, 1000, 2, text, sizeof(text));
    assert_int_equal(length, strlen(text));
    static const char expected[] = "       Value     Percentile TotalCount 1/(1-Percentile)\n\n"
                                   "       1.000 0.000000000000          1           1.00\n"
                                   "       2.000 0.250000000000          2           1.33\n"
                                   "       4.001 0.500000000000          4           2.00\n"
                                   "       5.003 0.625000000000          5           2.67\n"
                                   "       6.003 0.750000000000          6           4.00\n"
                                   "       7.003 0.812500000000          7           5.33\n"
                                   "       7.003 0.875000000000          7           8.00\n"
                                   "       8.000 0.906250000000          8          10.67\n"
                                   "       8.000 1.000000000000          8\n"
                                   "#[Mean    =        4.500, StdDeviation   =        2.291]\n"
                                   "#[Max     =        8.000, Total count    =            8]\n";
    text[sizeof(expected) - 1] = 0;
    assert_string_equal(text, expected);
    /* Any capacity is respected, and the length of the whole is told. */
    for (size_t cap = 0; cap < 200; cap++) {
        memset(text, '~', sizeof(text));
        assert_int_equal(twi_histogram_hgrm(histogram, 1000, 2, text, cap), length);
        assert_int_equal(text[cap], '~');
    }
    free(histogram);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_buckets_cover_everything_once),
        cmocka_unit_test(test_the_largest_range_fits),
        cmocka_unit_test(test_impossible_shapes_have_no_size),
        cmocka_unit_test(test_quantiles_are_within_the_error),
        cmocka_unit_test(test_empty_is_all_zero),
        cmocka_unit_test(test_out_of_range_is_counted),
        cmocka_unit_test(test_coordinated_omission_is_corrected),
        cmocka_unit_test(test_merge_adds),
        cmocka_unit_test(test_snapshot_of_a_live_histogram_agrees_with_itself),
        cmocka_unit_test(test_percentile_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
