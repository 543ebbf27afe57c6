/* exposition.c - see exposition.h. */
#include "engine/stats/exposition.h"

#include <inttypes.h>
#include <string.h>

enum { LINE_BYTES_MAX = 320, QUANTILE_COUNT = 6 };
#define NS_PER_S UINT64_C(1000000000)

/* Numbers are written without printf's %f and %g: the program around the engine may have a locale with decimal commas.
 *
 * Upper bounds of the histogram's buckets in ns: 1, 2, 5 per decade from 1 us to 10 s. */
static const int64_t bounds_ns[] = {
    1000,      2000,      5000,       10000,      20000,      50000,       100000,   200000,
    500000,    1000000,   2000000,    5000000,    10000000,   20000000,    50000000, 100000000,
    200000000, 500000000, 1000000000, 2000000000, 5000000000, 10000000000,
};
enum { BOUND_COUNT = sizeof(bounds_ns) / sizeof(bounds_ns[0]) };

/* The same in seconds, as labels. */
static const char *const bounds[BOUND_COUNT] = {
    "1e-06", "2e-06", "5e-06", "1e-05", "2e-05", "5e-05", "0.0001", "0.0002", "0.0005", "0.001", "0.002",
    "0.005", "0.01",  "0.02",  "0.05",  "0.1",   "0.2",   "0.5",    "1",      "2",      "5",     "10",
};

static const double quantiles[QUANTILE_COUNT] = {0.5, 0.9, 0.99, 0.999, 0.9999, 1};
static const char *const quantile_names[QUANTILE_COUNT] = {"0.5", "0.9", "0.99", "0.999", "0.9999", "1"};

/* ns as seconds. */
static void add_seconds(twi_text *text, uint64_t ns)
{
    twi_text_add(text, "%" PRIu64 ".%09" PRIu64, ns / NS_PER_S, ns % NS_PER_S);
}

void twi_exposition_family(twi_text *text, const char *family, const char *type, const char *help)
{
    twi_text_add(text, "# HELP %s %s\n# TYPE %s %s\n", family, help, family, type);
}

void twi_exposition_label(twi_text *text, const char *key, const char *value, size_t value_len)
{
    twi_text_add(text, "%s=\"", key);
    for (size_t i = 0; i < value_len; i++) {
        if (value[i] == '\n') {
            twi_text_add(text, "\\n");
        } else if (value[i] == '\\' || value[i] == '"') {
            twi_text_add(text, "\\%c", value[i]);
        } else {
            twi_text_add(text, "%c", value[i]);
        }
    }
    twi_text_add(text, "\"");
}

void twi_exposition_value(twi_text *text, const char *family, const char *labels, double value)
{
    double amount = value < 0 ? -value : value;
    uint64_t whole = (uint64_t)amount, billionths = (uint64_t)((amount - (double)whole) * 1e9 + 0.5);
    twi_text_add(text, labels[0] ? "%s{%s} %s" : "%s%s %s", family, labels, value < 0 ? "-" : "");
    whole += billionths / NS_PER_S;
    billionths %= NS_PER_S;
    int digits = 9;
    for (; digits > 0 && billionths % 10 == 0; digits--)
        billionths /= 10;
    twi_text_add(text, "%" PRIu64, whole);
    if (digits > 0)
        twi_text_add(text, ".%0*" PRIu64, digits, billionths);
    twi_text_add(text, "\n");
}

void twi_exposition_list(twi_text *text, const char *family, const char *help, const char *label, const char *words)
{
    twi_exposition_family(text, family, "gauge", help);
    while (*words) {
        size_t length = strcspn(words, ",");
        twi_text_add(text, "%s{", family);
        twi_exposition_label(text, label, words, length);
        twi_text_add(text, "} 1\n");
        words += length + (words[length] == ',');
    }
}

/* ---- counters ---- */

static int is_gauge(twi_counter_kind kind)
{
    return kind == TWI_KIND_GAUGE || kind == TWI_KIND_FEED_GAUGE || kind == TWI_KIND_THREAD_GAUGE_NS;
}

static int is_ns(twi_counter_kind kind)
{
    return kind == TWI_KIND_THREAD_COUNTER_NS || kind == TWI_KIND_THREAD_GAUGE_NS;
}

/* Label of the blocks that have a series of their own; NULL: summed over all blocks. */
static const char *block_label(twi_counter_kind kind)
{
    switch (kind) {
    case TWI_KIND_FEED_COUNTER:
    case TWI_KIND_FEED_GAUGE:
        return "feed";
    case TWI_KIND_THREAD_COUNTER:
    case TWI_KIND_THREAD_COUNTER_NS:
    case TWI_KIND_THREAD_GAUGE_NS:
        return "thread";
    case TWI_KIND_COUNTER:
    case TWI_KIND_GAUGE:
        break;
    }
    return NULL;
}

static void add_number(twi_text *text, twi_counter_kind kind, uint64_t value)
{
    if (is_ns(kind)) {
        twi_text_add(text, " ");
        add_seconds(text, value);
        twi_text_add(text, "\n");
    } else if (is_gauge(kind)) {
        twi_text_add(text, " %" PRId64 "\n", (int64_t)value);
    } else {
        twi_text_add(text, " %" PRIu64 "\n", value);
    }
}

static void add_summed(twi_text *text, const twi_counter_facts *facts, uint64_t value)
{
    twi_text_add(text, facts->labels[0] ? "%s{%s}" : "%s%s", facts->family, facts->labels);
    add_number(text, facts->kind, value);
}

static void add_per_block(twi_text *text, const twi_counters *counters, twi_counter id, const char *label)
{
    const twi_counter_facts *facts = twi_counter_facts_of(id);
    uint32_t count = twi_counters_block_count(counters);
    for (uint32_t i = 0; i < count; i++) {
        const twi_cells *cells = twi_counters_block(counters, i);
        if (strncmp(cells->label, label, sizeof(cells->label)) != 0) {
            continue;
        }
        twi_text_add(text, "%s{", facts->family);
        twi_exposition_label(text, label, cells->value, strnlen(cells->value, sizeof(cells->value)));
        twi_text_add(text, "%s%s}", facts->labels[0] ? "," : "", facts->labels);
        add_number(text, facts->kind, twi_counter_get(cells, id));
    }
}

void twi_exposition_counters(twi_text *text, const twi_counters *counters)
{
    const char *family = "";
    for (int i = 0; i < TWI_COUNTER_COUNT; i++) {
        twi_counter id = (twi_counter)i;
        const twi_counter_facts *facts = twi_counter_facts_of(id);
        if (strcmp(family, facts->family) != 0) {
            family = facts->family;
            twi_exposition_family(text, family, is_gauge(facts->kind) ? "gauge" : "counter", facts->help);
        }
        const char *label = block_label(facts->kind);
        if (label) {
            add_per_block(text, counters, id, label);
        } else {
            add_summed(text, facts, twi_counters_sum(counters, id));
        }
    }
}

/* ---- stages ---- */

#define STAGE_FAMILY    "tickwire_stage_seconds"
#define QUANTILE_FAMILY "tickwire_stage_quantile_seconds"

static void add_buckets(twi_text *text, const char *stage, const twi_histogram *histogram)
{
    for (int i = 0; i < BOUND_COUNT; i++) {
        twi_text_add(text, STAGE_FAMILY "_bucket{stage=\"%s\",le=\"%s\"} %" PRIu64 "\n", stage, bounds[i],
                     twi_histogram_count_up_to(histogram, bounds_ns[i]));
    }
    uint64_t count = twi_histogram_count(histogram);
    twi_text_add(text, STAGE_FAMILY "_bucket{stage=\"%s\",le=\"+Inf\"} %" PRIu64 "\n", stage, count);
    twi_text_add(text, STAGE_FAMILY "_sum{stage=\"%s\"} ", stage);
    add_seconds(text, (uint64_t)(twi_histogram_mean(histogram) * (double)count));
    twi_text_add(text, "\n" STAGE_FAMILY "_count{stage=\"%s\"} %" PRIu64 "\n", stage, count);
}

static void add_quantiles(twi_text *text, const char *stage, const twi_histogram *histogram)
{
    for (int i = 0; i < QUANTILE_COUNT; i++) {
        twi_text_add(text, QUANTILE_FAMILY "{stage=\"%s\",quantile=\"%s\"} ", stage, quantile_names[i]);
        add_seconds(text, (uint64_t)twi_histogram_quantile(histogram, quantiles[i]));
        twi_text_add(text, "\n");
    }
}

typedef void (*add_stage)(twi_text *text, const char *stage, const twi_histogram *histogram);

static void add_stages(twi_text *text, const twi_counters *counters, twi_histogram *scratch, add_stage add)
{
    for (int i = 0; i < TWI_STAGE_COUNT; i++) {
        twi_histogram_reset(scratch);
        twi_counters_stage_merge(counters, (twi_stage)i, scratch);
        add(text, twi_stage_name((twi_stage)i), scratch);
    }
}

void twi_exposition_stages(twi_text *text, const twi_counters *counters, twi_histogram *scratch)
{
    twi_exposition_family(text, STAGE_FAMILY, "histogram", "Time that events take through the engine, by stage");
    add_stages(text, counters, scratch, add_buckets);
    twi_exposition_family(text, QUANTILE_FAMILY, "gauge", "Quantiles of tickwire_stage_seconds since start");
    add_stages(text, counters, scratch, add_quantiles);
}

size_t twi_exposition_bound(const twi_counters *counters)
{
    size_t counter_lines =
        (size_t)TWI_COUNTER_COUNT * (2 + (counters->block_count_max > 1 ? counters->block_count_max : 1));
    size_t stage_lines = (size_t)TWI_STAGE_COUNT * (BOUND_COUNT + 3 + QUANTILE_COUNT) + 4;
    return (counter_lines + stage_lines) * LINE_BYTES_MAX + 1;
}
