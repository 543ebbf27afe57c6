/* info.c - tw info: what is in a capture or recording, and whether it is whole. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "feed/capture.h"
#include "tools/tw/cli.h"

typedef struct info_options {
    bool is_json, is_quick;
} info_options;

static void print_text(const char *path, const twi_capture_info *info, const twi_capture_reader *reader)
{
    char time[32];
    printf("%s: capture of %s\n", path, info->source[0] ? info->source : "an unnamed source");
    printf("  recorded      %s UTC", twi_cli_time(info->created_ns, time));
    printf("\n  first         %s", twi_cli_time(info->first_ns, time));
    printf("\n  last          %s", twi_cli_time(info->last_ns, time));
    printf("\n  span          %.3f s\n", (double)(info->last_ns - info->first_ns) / 1e9);
    printf("  events        %" PRIu64 "\n  venue frames  %" PRIu64 "\n  missed        %" PRIu64 " (by the recorder)\n",
           info->event_count, info->frame_count, info->lost_count);
    printf("  blocks        %" PRIu64 ", %s", info->block_count, twi_compression_name(info->compression));
    if (info->stored_bytes != 0)
        printf(" (%.2f : 1)", (double)info->raw_bytes / (double)info->stored_bytes);
    printf("\n  file          %" PRIu64 " bytes\n", info->file_bytes);
    printf("  instruments  ");
    uint32_t end = twi_capture_instrument_end(reader), shown = 0;
    for (uint32_t i = 0; i < end; i++) {
        const tw_instrument *instrument = twi_capture_instrument(reader, i);
        if (instrument && shown++ < 12)
            printf(" %s:%s", instrument->exchange, instrument->symbol);
    }
    printf(shown > 12 ? " ... (%u)\n" : "\n", shown);
    printf("  closed        %s\n", info->is_closed ? "yes" : "no: the recorder crashed or is still running");
    if (info->torn_bytes != 0)
        printf("  torn          %" PRIu64 " bytes at the end\n", info->torn_bytes);
    if (info->bad_blocks + info->bad_records != 0)
        printf("  damaged       %" PRIu64 " blocks, %" PRIu64 " records\n", info->bad_blocks, info->bad_records);
}

static void print_json(const twi_capture_info *info, const twi_capture_reader *reader)
{
    uint32_t instruments = 0;
    for (uint32_t i = 0; i < twi_capture_instrument_end(reader); i++)
        instruments += twi_capture_instrument(reader, i) != NULL;
    printf("{\"format\":\"tickwire\",\"created_ns\":%" PRId64 ",\"first_ns\":%" PRId64 ",\"last_ns\":%" PRId64,
           info->created_ns, info->first_ns, info->last_ns);
    printf(",\"events\":%" PRIu64 ",\"frames\":%" PRIu64 ",\"lost\":%" PRIu64 ",\"instruments\":%u", info->event_count,
           info->frame_count, info->lost_count, instruments);
    printf(",\"blocks\":%" PRIu64 ",\"compression\":\"%s\",\"raw_bytes\":%" PRIu64 ",\"stored_bytes\":%" PRIu64
           ",\"file_bytes\":%" PRIu64,
           info->block_count, twi_compression_name(info->compression), info->raw_bytes, info->stored_bytes,
           info->file_bytes);
    printf(",\"closed\":%s,\"torn_bytes\":%" PRIu64 ",\"bad_blocks\":%" PRIu64 ",\"bad_records\":%" PRIu64 "}\n",
           info->is_closed ? "true" : "false", info->torn_bytes, info->bad_blocks, info->bad_records);
}

static int show_capture(const twi_verb *verb, const char *path, twi_capture_reader *reader, const info_options *options)
{
    twi_capture_record record;
    tw_status status = TW_OK;
    while (!options->is_quick && status == TW_OK && !twi_cli_stopped())
        status = twi_capture_next(reader, &record);
    const twi_capture_info *info = twi_capture_get_info(reader);
    if (options->is_json)
        print_json(info, reader);
    else
        print_text(path, info, reader);
    if (status != TW_OK && status != TW_EMPTY)
        return twi_cli_fail(verb, "%s: %s", path, tw_status_name(status));
    bool is_whole = info->is_closed && info->bad_blocks + info->bad_records + info->torn_bytes == 0;
    return is_whole ? TWI_EXIT_GOOD : TWI_EXIT_FAILED;
}

/* A recording of another collector, or a folder of them. */
static int show_recording(const twi_verb *verb, const char *path, const info_options *options)
{
    static const char *const kinds[] = {"other", "connect", "sent", "received", "http", "config", "closed"};
    enum { KIND_COUNT = sizeof(kinds) / sizeof(kinds[0]) };
    uint64_t counts[KIND_COUNT] = {0}, bytes = 0;
    int64_t first_ns = 0, last_ns = 0;
    char error[TWI_CLI_ERROR_MAX], first[32], last[32];
    twi_recording *recording;
    if (twi_recording_open(path, &recording, error, sizeof(error)) != TW_OK)
        return twi_cli_fail(verb, "%s", error);
    twi_frame frame;
    while (!twi_cli_stopped() && twi_recording_next(recording, &frame) == TW_OK) {
        counts[frame.kind < KIND_COUNT ? frame.kind : 0]++;
        bytes += frame.bytes_len;
        if (frame.recv_ns == 0)
            continue;
        first_ns = first_ns == 0 ? frame.recv_ns : first_ns;
        last_ns = frame.recv_ns;
    }
    const twi_recording_stats *stats = twi_recording_get_stats(recording);
    uint64_t bad = stats->bad_lines + stats->bad_files + stats->torn_bytes;
    if (options->is_json) {
        printf("{\"format\":\"%s\",\"first_ns\":%" PRId64 ",\"last_ns\":%" PRId64 ",\"bytes\":%" PRIu64,
               twi_recording_format_name(recording), first_ns, last_ns, bytes);
        for (int i = 1; i < KIND_COUNT; i++)
            printf(",\"%s\":%" PRIu64, kinds[i], counts[i]);
        printf(",\"bad_lines\":%" PRIu64 ",\"bad_files\":%" PRIu64 "}\n", stats->bad_lines, stats->bad_files);
    } else {
        printf("%s: recording of format %s\n", path, twi_recording_format_name(recording));
        printf("  first         %s\n  last          %s\n  payload       %" PRIu64 " bytes\n",
               twi_cli_time(first_ns, first), twi_cli_time(last_ns, last), bytes);
        for (int i = 1; i < KIND_COUNT; i++)
            printf("  %-13s %" PRIu64 "\n", kinds[i], counts[i]);
        if (bad != 0)
            printf("  damaged       %" PRIu64 " lines, %" PRIu64 " files; first: %s\n", stats->bad_lines,
                   stats->bad_files, stats->first_error);
    }
    twi_recording_close(recording);
    return bad == 0 ? TWI_EXIT_GOOD : TWI_EXIT_FAILED;
}

static int run(const twi_verb *verb, int argc, char **argv)
{
    const char *path = NULL;
    info_options it = {0};
    const twi_option options[] = {{.name = "json", .flag = &it.is_json}, {.name = "quick", .flag = &it.is_quick}};
    if (!twi_cli_options(verb, argc, argv, options, sizeof(options) / sizeof(options[0]), &path))
        return TWI_EXIT_USAGE;
    if (!path)
        return twi_cli_usage(verb, "which file?");
    char error[TWI_CLI_ERROR_MAX];
    twi_capture_reader *reader;
    tw_status status = twi_capture_open(path, &reader, error, sizeof(error));
    if (status == TW_MALFORMED)
        return twi_cli_fail(verb, "%s: %s", path, error);
    if (status != TW_OK)
        return show_recording(verb, path, &it);
    int code = show_capture(verb, path, reader, &it);
    twi_capture_reader_close(reader);
    return code;
}

static const char help[] =
    "usage: tw info FILE [--json] [--quick]\n"
    "Says what is in a capture (or a recording of cryptofeed or hftbacktest, or a folder of one), and whether it is\n"
    "whole: every block is read and its checksums are compared.\n"
    "\n"
    "  --json    one JSON object\n"
    "  --quick   the index only: nothing is read or checked\n"
    "\n"
    "examples\n"
    "  tw info day.twc\n"
    "  tw info --json --quick day.twc\n"
    "\n"
    "exit code: 0 whole, 1 damaged, torn or unreadable, 2 usage.\n";

const twi_verb twi_verb_info = {"info", "says what is in a recording and whether it is whole", help, run};
