/* exposition.h - counters, stage latencies and facts as Prometheus text (format version 0.0.4), for /metrics.
 *
 * Shape:    counters by counter_list.def; stages as a histogram family in seconds (tickwire_stage_seconds{stage=...})
 *           and, for people without a Prometheus, as quantiles
 *           (tickwire_stage_quantile_seconds{stage=...,quantile=...}).
 * Memory:   the caller's buffer; twi_exposition_bound() says what always suffices. One scratch histogram of the
 *           engine's shape (36 KiB) is the caller's too, so that a scrape allocates nothing.
 * Thread:   any; the writers are not disturbed.
 * Source:   https://prometheus.io/docs/instrumenting/exposition_formats/ */
#ifndef TWI_EXPOSITION_H
#define TWI_EXPOSITION_H

#include "engine/base/text.h"
#include "engine/stats/counters.h"

/* An upper bound for what twi_exposition_counters() and twi_exposition_stages() together write. */
size_t twi_exposition_bound(const twi_counters *counters);
void twi_exposition_counters(twi_text *text, const twi_counters *counters);
void twi_exposition_stages(twi_text *text, const twi_counters *counters, twi_histogram *scratch);

/* Single metrics of the caller. type: "counter" or "gauge". labels: "" or key="value",... with values escaped by
 * twi_exposition_label(). */
void twi_exposition_family(twi_text *text, const char *family, const char *type, const char *help);
void twi_exposition_value(twi_text *text, const char *family, const char *labels, double value);
/* Adds key="value" with backslash, quote and line feed escaped; value_len bytes of value. */
void twi_exposition_label(twi_text *text, const char *key, const char *value, size_t value_len);
/* One series per word of a comma-separated list, family{label="word"} 1: the features that a loop has active. */
void twi_exposition_list(twi_text *text, const char *family, const char *help, const char *label, const char *words);

#endif
