/* bot_report.c - the figures of all workers added up, as tables for people and as JSON for programs. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/assert.h"
#include "subscribers/bot.h"

#define NS_PER_US 1000.0
#define MB        1e6

enum { TICKS_PER_HALF = 5, GROUPED_BYTES = 32 };

static const struct {
    const char *label, *key;
    double quantile;
} quantiles[] = {{"p50", "p50", 0.5},
                 {"p90", "p90", 0.9},
                 {"p99", "p99", 0.99},
                 {"p99.9", "p99_9", 0.999},
                 {"p99.99", "p99_99", 0.9999}};

enum { QUANTILE_COUNT = sizeof quantiles / sizeof quantiles[0] };

/* ---- adding up ---- */

static void error_add(bot_report *report, const bot_error *error)
{
    for (uint32_t i = 0; i < report->error_count; i++) {
        if (strcmp(report->errors[i].name, error->name) == 0) {
            report->errors[i].count += error->count;
            return;
        }
    }
    if (report->error_count < BOT_ERRORS_MAX)
        report->errors[report->error_count++] = *error;
}

static void stats_add(tw_client_stats *sum, const tw_client_stats *stats)
{
    /* Nothing but counters, so that adding is adding words. */
    uint64_t *into = (uint64_t *)sum;
    const uint64_t *from = (const uint64_t *)stats;
    _Static_assert(sizeof *sum % sizeof *into == 0, "all members are uint64_t");
    for (size_t i = 0; i < sizeof *sum / sizeof *into; i++)
        into[i] += from[i];
}

void bot_report_add(bot_report *report, const bot_worker *worker)
{
    const bot_figures *figures = &worker->figures;
    bot_figures *sum = &report->sum;
    double elapsed_s = (double)figures->measured_ns / 1e9;
    sum->messages += figures->messages;
    sum->bytes += figures->bytes;
    sum->slow_messages += figures->slow_messages;
    sum->untimed += figures->untimed;
    sum->negative += figures->negative;
    sum->ready_count += figures->ready_count;
    sum->last_incomplete += figures->last_incomplete;
    sum->last_late += figures->last_late;
    if (sum->bytes_min == 0 || figures->bytes_min < sum->bytes_min)
        sum->bytes_min = figures->bytes_min;
    if (figures->bytes_max > sum->bytes_max)
        sum->bytes_max = figures->bytes_max;
    if (elapsed_s > report->elapsed_s)
        report->elapsed_s = elapsed_s;
    stats_add(&sum->stats, &figures->stats);
    for (uint32_t i = 0; i < worker->error_count; i++)
        error_add(report, &worker->errors[i]);
    tw_status status = twi_histogram_merge(report->latency, worker->latency);
    if (status == TW_OK)
        status = twi_histogram_merge(report->last, worker->last);
    if (status == TW_OK)
        status = twi_histogram_merge(report->first, worker->first);
    TWI_ASSERT(status == TW_OK); /* all are made by twi_histogram_new() */
    report->loop_name = worker->loop_name;
    report->loop_reason = worker->loop_reason;
}

int bot_report_exit_code(const bot_report *report)
{
    const tw_client_stats *stats = &report->sum.stats;
    if (stats->errors || stats->gaps || stats->duplicates || stats->dial_failures)
        return 1;
    if (stats->losses && !report->options->allow_loss)
        return 1;
    if (report->connected < report->options->connection_count)
        return 1;
    return report->sum.messages == 0 && report->sum.slow_messages == 0 && !report->options->idle;
}

static double per_second(const bot_report *report, double value)
{
    return report->elapsed_s > 0 ? value / report->elapsed_s : 0;
}

static double cpu_percent(const bot_report *report, double seconds)
{
    return report->elapsed_s > 0 ? 100 * seconds / report->elapsed_s : 0;
}

static double bytes_mean(const bot_report *report)
{
    return report->sum.messages ? (double)report->sum.bytes / (double)report->sum.messages : 0;
}

/* ---- tables ---- */

/* 1234567 as 1,234,567 */
static const char *grouped(uint64_t value, char out[GROUPED_BYTES])
{
    char digits[GROUPED_BYTES];
    int len = snprintf(digits, sizeof digits, "%" PRIu64, value);
    char *at = out;
    for (int i = 0; i < len; i++) {
        if (i > 0 && (len - i) % 3 == 0)
            *at++ = ',';
        *at++ = digits[i];
    }
    *at = 0;
    return out;
}

static void latency_text(FILE *out, const char *title, const twi_histogram *histogram)
{
    char text[GROUPED_BYTES];
    fprintf(out, "\n%s, us  (%s samples)\n", title, grouped(twi_histogram_count(histogram), text));
    fprintf(out, "%10s %10s %10s", "mean", "stddev", "min");
    for (int i = 0; i < QUANTILE_COUNT; i++)
        fprintf(out, " %10s", quantiles[i].label);
    fprintf(out, " %10s\n", "max");
    fprintf(out, "%10.1f %10.1f %10.1f", twi_histogram_mean(histogram) / NS_PER_US,
            twi_histogram_stddev(histogram) / NS_PER_US, (double)twi_histogram_min(histogram) / NS_PER_US);
    for (int i = 0; i < QUANTILE_COUNT; i++)
        fprintf(out, " %10.1f", (double)twi_histogram_quantile(histogram, quantiles[i].quantile) / NS_PER_US);
    fprintf(out, " %10.1f\n", (double)twi_histogram_max(histogram) / NS_PER_US);
}

static void row(FILE *out, const char *label, uint64_t value, const char *note)
{
    char text[GROUPED_BYTES];
    fprintf(out, "  %-22s %16s  %s\n", label, grouped(value, text), note);
}

static void throughput_text(const bot_report *report, FILE *out)
{
    const bot_figures *sum = &report->sum;
    char note[96];
    char text[GROUPED_BYTES];
    snprintf(note, sizeof note, "%s /s", grouped((uint64_t)per_second(report, (double)sum->messages), text));
    row(out, "messages", sum->messages, note);
    snprintf(note, sizeof note, "%.1f MB/s", per_second(report, (double)sum->bytes) / MB);
    row(out, "payload bytes", sum->bytes, note);
    fprintf(out, "  %-22s %16.1f  min %" PRIu32 ", max %" PRIu32 " bytes\n", "message size, mean", bytes_mean(report),
            sum->messages ? sum->bytes_min : 0, sum->bytes_max);
    if (report->options->slow_count)
        row(out, "slow connections got", sum->slow_messages, "not measured");
}

static void order_text(const bot_report *report, FILE *out)
{
    const tw_client_stats *stats = &report->sum.stats;
    char note[64];
    snprintf(note, sizeof note, "%" PRIu64 " messages missing", stats->missing);
    row(out, "gaps", stats->gaps, note);
    row(out, "duplicates", stats->duplicates, "");
    snprintf(note, sizeof note, "%" PRIu64 " messages lost", stats->lost);
    row(out, "loss records", stats->losses, note);
    if (stats->folded)
        row(out, "folded", stats->folded, "by conflation");
    if (stats->missed_while_down)
        row(out, "missed while down", stats->missed_while_down, "between reconnects");
    if (report->sum.negative)
        row(out, "arrived too early", report->sum.negative, "the clocks of the two machines differ");
}

static void links_text(const bot_report *report, FILE *out)
{
    const tw_client_stats *stats = &report->sum.stats;
    row(out, "reconnects", stats->reconnects, "");
    row(out, "connect failures", stats->dial_failures, "");
    row(out, "errors", stats->errors, "");
    for (uint32_t i = 0; i < report->error_count; i++)
        fprintf(out, "    %-20s %16" PRIu64 "\n", report->errors[i].name, report->errors[i].count);
}

void bot_report_text(const bot_report *report, FILE *out)
{
    const bot_options *options = report->options;
    fprintf(out, "%" PRIu32 " of %" PRIu32 " connections, %s, %s, %" PRIu32 " thread%s, %.2f s measured%s\n",
            report->connected, options->connection_count, options->codec, report->loop_name, options->thread_count,
            options->thread_count > 1 ? "s" : "", report->elapsed_s, report->interrupted ? " (interrupted)" : "");
    fprintf(out, "  loop: %s\n\n", report->loop_reason);
    throughput_text(report, out);
    order_text(report, out);
    links_text(report, out);
    fprintf(out, "  %-22s %15.1f%%  user %.1f%%, system %.1f%%\n", "cpu of the bot",
            cpu_percent(report, report->cpu_user_s + report->cpu_system_s), cpu_percent(report, report->cpu_user_s),
            cpu_percent(report, report->cpu_system_s));
    fprintf(out, "  %-22s %13.1f MB  peak %.1f MB\n", "memory of the bot", (double)report->memory_bytes / MB,
            (double)report->memory_peak_bytes / MB);
    const char *from = options->latency_from_recv ? "venue bytes in the engine" : "framed by the engine";
    char title[96];
    snprintf(title, sizeof title, "latency, %s to here", from);
    latency_text(out, title, report->latency);
    if (!options->last_receiver)
        return;
    snprintf(title, sizeof title, "first of %" PRIu32 " receivers", options->connection_count - options->slow_count);
    latency_text(out, title, report->first);
    snprintf(title, sizeof title, "last of %" PRIu32 " receivers", options->connection_count - options->slow_count);
    latency_text(out, title, report->last);
    if (report->sum.last_incomplete || report->sum.last_late)
        fprintf(out, "  %" PRIu64 " messages did not reach everybody within the window\n",
                report->sum.last_incomplete + report->sum.last_late);
}

/* ---- JSON ---- */

static void json_text(FILE *out, const char *text)
{
    fputc('"', out);
    for (; *text; text++) {
        if (*text == '"' || *text == '\\')
            fputc('\\', out);
        if ((unsigned char)*text >= ' ')
            fputc(*text, out);
    }
    fputc('"', out);
}

static void json_latency(FILE *out, const char *key, const twi_histogram *histogram)
{
    fprintf(out, ",\"%s\":{\"count\":%" PRIu64 ",\"mean\":%.3f,\"stddev\":%.3f,\"min\":%.3f", key,
            twi_histogram_count(histogram), twi_histogram_mean(histogram) / NS_PER_US,
            twi_histogram_stddev(histogram) / NS_PER_US, (double)twi_histogram_min(histogram) / NS_PER_US);
    for (int i = 0; i < QUANTILE_COUNT; i++)
        fprintf(out, ",\"%s\":%.3f", quantiles[i].key,
                (double)twi_histogram_quantile(histogram, quantiles[i].quantile) / NS_PER_US);
    fprintf(out, ",\"max\":%.3f}", (double)twi_histogram_max(histogram) / NS_PER_US);
}

/* Every bucket that is not empty, by the middle of the values that it stands for. */
static void json_buckets(FILE *out, const twi_histogram *histogram)
{
    bool first = true;
    fputs(",\"latency_buckets_ns\":[", out);
    for (uint32_t i = 0; i < histogram->bucket_count; i++) {
        uint64_t count = atomic_load_explicit(&histogram->buckets[i], memory_order_relaxed);
        if (count == 0)
            continue;
        int64_t low_ns = twi_histogram_bucket_low(histogram, i), high_ns = twi_histogram_bucket_high(histogram, i);
        fprintf(out, "%s[%" PRId64 ",%" PRIu64 "]", first ? "" : ",", low_ns + (high_ns - low_ns) / 2, count);
        first = false;
    }
    fputc(']', out);
}

static void json_order(FILE *out, const tw_client_stats *stats)
{
    fprintf(out,
            ",\"gaps\":%" PRIu64 ",\"missing\":%" PRIu64 ",\"duplicates\":%" PRIu64 ",\"losses\":%" PRIu64
            ",\"lost\":%" PRIu64 ",\"folded\":%" PRIu64 ",\"snapshots\":%" PRIu64 ",\"missed_while_down\":%" PRIu64,
            stats->gaps, stats->missing, stats->duplicates, stats->losses, stats->lost, stats->folded, stats->snapshots,
            stats->missed_while_down);
    fprintf(out,
            ",\"reconnects\":%" PRIu64 ",\"connect_failures\":%" PRIu64 ",\"closes\":%" PRIu64
            ",\"total_messages\":%" PRIu64 ",\"received_bytes\":%" PRIu64 ",\"control_messages\":%" PRIu64
            ",\"receive_batches\":%" PRIu64,
            stats->reconnects, stats->dial_failures, stats->closes, stats->messages, stats->received_bytes,
            stats->control_messages, stats->batches);
}

void bot_report_json(const bot_report *report, FILE *out)
{
    const bot_options *options = report->options;
    const bot_figures *sum = &report->sum;
    fprintf(out, "{\"url\":");
    json_text(out, options->url);
    fprintf(out, ",\"codec\":\"%s\",\"loop\":\"%s\",\"connections\":%" PRIu32 ",\"connected\":%" PRIu32, options->codec,
            report->loop_name, options->connection_count, report->connected);
    fprintf(out, ",\"threads\":%" PRIu32 ",\"decode\":\"%s\",\"elapsed_s\":%.6f,\"interrupted\":%s",
            options->thread_count, options->decode == TW_CLIENT_DECODE_FULL ? "full" : "scan", report->elapsed_s,
            report->interrupted ? "true" : "false");
    fprintf(out, ",\"messages\":%" PRIu64 ",\"messages_per_s\":%.1f,\"bytes\":%" PRIu64 ",\"bytes_per_s\":%.1f",
            sum->messages, per_second(report, (double)sum->messages), sum->bytes,
            per_second(report, (double)sum->bytes));
    fprintf(out, ",\"message_bytes\":{\"min\":%" PRIu32 ",\"mean\":%.2f,\"max\":%" PRIu32 "}",
            sum->messages ? sum->bytes_min : 0, bytes_mean(report), sum->bytes_max);
    fprintf(out, ",\"slow_messages\":%" PRIu64 ",\"untimed\":%" PRIu64 ",\"negative\":%" PRIu64, sum->slow_messages,
            sum->untimed, sum->negative);
    fprintf(out, ",\"latency_from\":\"%s\"", options->latency_from_recv ? "recv" : "publish");
    json_latency(out, "latency_us", report->latency);
    if (options->buckets)
        json_buckets(out, report->latency);
    if (options->last_receiver) {
        json_latency(out, "first_receiver_us", report->first);
        json_latency(out, "last_receiver_us", report->last);
        fprintf(out, ",\"last_receiver_incomplete\":%" PRIu64, sum->last_incomplete + sum->last_late);
    }
    json_order(out, &sum->stats);
    fprintf(out, ",\"errors\":%" PRIu64 ",\"errors_by_name\":{", sum->stats.errors);
    for (uint32_t i = 0; i < report->error_count; i++) {
        fputs(i ? "," : "", out);
        json_text(out, report->errors[i].name);
        fprintf(out, ":%" PRIu64, report->errors[i].count);
    }
    fprintf(out, "},\"cpu_user_percent\":%.2f,\"cpu_system_percent\":%.2f", cpu_percent(report, report->cpu_user_s),
            cpu_percent(report, report->cpu_system_s));
    fprintf(out, ",\"memory_bytes\":%" PRIu64 ",\"memory_peak_bytes\":%" PRIu64 "}\n", report->memory_bytes,
            report->memory_peak_bytes);
}

bool bot_report_hgrm(const bot_report *report, const char *path)
{
    const twi_histogram *histogram = report->options->last_receiver ? report->last : report->latency;
    size_t bytes = twi_histogram_hgrm(histogram, NS_PER_US, TICKS_PER_HALF, NULL, 0);
    char *text = malloc(bytes + 1);
    if (!text)
        return false;
    twi_histogram_hgrm(histogram, NS_PER_US, TICKS_PER_HALF, text, bytes + 1);
    FILE *file = fopen(path, "w");
    bool good = file && fwrite(text, 1, bytes, file) == bytes;
    if (file && fclose(file) != 0)
        good = false;
    free(text);
    return good;
}
