/* replay.c - tw replay: a capture or recording again: as text, as JSON, or added up per symbol. */
#include <inttypes.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/clock.h"
#include "feed/replay.h"
#include "feed/summary.h"
#include "tickwire/codec.h"
#include "tools/tw/cli.h"

enum {
    SYMBOL_COUNT_MAX = 65536,
    STEP_EVENTS = 4096,
    WAIT_MS_MAX = 50,
    JSON_BYTES_MAX = 16 << 20,
    SUMMARY_BYTES = 8192
};
#define NS_PER_MS 1000000

/* Puts events together to messages and prints them. */
typedef struct printer {
    const tw_symbols *symbols;
    tw_event *events;
    uint32_t count, cap;
    uint64_t messages, message_max;
    uint64_t *seqs; /* by instrument and kind */
    bool is_json, has_failed;
    uint8_t *json;
} printer;

enum { KINDS = 16 };

static uint64_t next_seq(printer *it, const tw_event *event)
{
    unsigned kind = event->kind == TW_EVENT_BOOK_CLEAR ? TW_EVENT_LEVEL : event->kind % KINDS;
    uint64_t *seq = &it->seqs[(uint64_t)event->instrument * KINDS + kind];
    return ++*seq;
}

static void print_json(printer *it, uint64_t seq)
{
    const tw_record record = {.events = it->events, .event_count = it->count, .seq = seq};
    if (tw_codec_json.bound(it->count) > JSON_BYTES_MAX)
        return;
    size_t len = tw_codec_json.encode(it->symbols, &record, it->json, JSON_BYTES_MAX);
    fwrite(it->json, 1, len, stdout);
    putchar('\n');
}

static tw_event *printer_claim(void *owner)
{
    printer *it = owner;
    if (it->count == it->cap) {
        uint32_t cap = it->cap ? it->cap * 2 : STEP_EVENTS;
        tw_event *larger = realloc(it->events, cap * sizeof(*larger));
        if (!larger) {
            it->has_failed = true;
            it->count = 0; /* the message is dropped, and the program ends */
            return it->events;
        }
        it->events = larger;
        it->cap = cap;
    }
    return &it->events[it->count];
}

static void printer_commit(void *owner)
{
    printer *it = owner;
    const tw_event *event = &it->events[it->count++];
    bool awaits_tail = it->events[0].kind == TW_EVENT_CANDLE && it->count == 1;
    if (!(event->flags & TW_FLAG_LAST) || awaits_tail)
        return;
    if (it->message_max == 0 || it->messages < it->message_max) {
        uint64_t seq = next_seq(it, it->events);
        if (it->is_json)
            print_json(it, seq);
        else
            twi_cli_print_message(stdout, it->symbols, it->events, it->count, 0);
    }
    it->messages++;
    it->count = 0;
}

/* ---- running it ---- */

/* Steps the source to its end, at its own pace. */
static void run_source(tw_source *source, tw_sink *sink, const printer *limits)
{
    int64_t next_ns = 0;
    while (!twi_cli_stopped()) {
        int64_t now_ns = twi_realtime_ns();
        if (next_ns > now_ns) {
            fflush(stdout);
            int64_t wait_ms = (next_ns - now_ns + NS_PER_MS - 1) / NS_PER_MS;
            poll(NULL, 0, wait_ms < WAIT_MS_MAX ? (int)wait_ms : WAIT_MS_MAX);
            continue;
        }
        source->ops->step(source->state, now_ns, STEP_EVENTS, sink, &next_ns);
        bool is_enough =
            limits && (limits->has_failed || (limits->message_max && limits->messages >= limits->message_max));
        if (next_ns == INT64_MAX || is_enough || ferror(stdout))
            return;
    }
}

/* What was wrong with the input; an exit code. */
static int judge(const twi_verb *verb, const char *path, const tw_source *source)
{
    const twi_replay_stats *stats = twi_replay_get_stats(source);
    const twi_capture_info *info = twi_replay_get_info(source);
    const twi_recording_stats *recording = twi_replay_get_recording_stats(source);
    if (stats->failure != TW_OK)
        return twi_cli_fail(verb, "%s: ended early: %s", path, tw_status_name(stats->failure));
    if (info && info->torn_bytes + info->bad_blocks + info->bad_records != 0)
        return twi_cli_fail(verb, "%s: damaged: %" PRIu64 " bytes torn off, %" PRIu64 " bad blocks", path,
                            info->torn_bytes, info->bad_blocks);
    if (recording && recording->first_error[0] != '\0')
        return twi_cli_fail(verb, "damaged: %s", recording->first_error);
    return TWI_EXIT_GOOD;
}

/* ---- the summary ---- */

static uint32_t by_activity(const twi_summary *summary, uint32_t *order)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < summary->count && i < SYMBOL_COUNT_MAX; i++) {
        const twi_summary_symbol *it = &summary->entries[i];
        if (it->trades + it->quotes + it->groups + it->statuses != 0)
            order[count++] = i;
    }
    return count;
}

static void print_totals_text(const char *path, const tw_source *source, const twi_summary *summary)
{
    const twi_replay_stats *stats = twi_replay_get_stats(source);
    const twi_player *player = twi_replay_get_player(source);
    printf("%s: %" PRIu64 " events", path, summary->events);
    if (player) {
        tw_feed_stats feed;
        player->ops->stats(player->state, &feed);
        printf(" from %" PRIu64 " frames of %s (%" PRIu64 " messages, %" PRIu64 " malformed, %" PRIu64 " gaps, %" PRIu64
               " errors of the venue)",
               stats->frames, player->ops->name, feed.messages, feed.malformed, player->gaps, feed.errors);
    }
    if (stats->lost != 0)
        printf(", %" PRIu64 " missed by the recorder", stats->lost);
    putchar('\n');
}

static void print_totals_json(const char *path, const tw_source *source, const twi_summary *summary)
{
    const twi_replay_stats *stats = twi_replay_get_stats(source);
    const twi_player *player = twi_replay_get_player(source);
    printf("{\"file\":\"");
    for (const char *at = path; *at != '\0'; at++) {
        if (*at == '"' || *at == '\\')
            putchar('\\');
        putchar((unsigned char)*at < ' ' ? '?' : *at);
    }
    printf("\",\"events\":%" PRIu64 ",\"lost\":%" PRIu64 ",\"book_errors\":%" PRIu64, summary->events, stats->lost,
           summary->book_errors);
    if (player) {
        tw_feed_stats feed;
        player->ops->stats(player->state, &feed);
        printf(",\"venue\":\"%s\",\"frames\":%" PRIu64 ",\"messages\":%" PRIu64 ",\"malformed\":%" PRIu64
               ",\"ignored\":%" PRIu64 ",\"gaps\":%" PRIu64 ",\"venue_errors\":%" PRIu64,
               player->ops->name, stats->frames, feed.messages, feed.malformed, feed.ignored, player->gaps,
               feed.errors);
    }
    printf(",\"symbols\":[");
}

static void print_summary(const char *path, const tw_source *source, const twi_summary *summary, bool is_json)
{
    static uint32_t order[SYMBOL_COUNT_MAX];
    char text[TWI_SUMMARY_TEXT_MAX];
    uint32_t count = by_activity(summary, order);
    if (is_json)
        print_totals_json(path, source, summary);
    else
        print_totals_text(path, source, summary);
    for (uint32_t i = 0; i < count; i++) {
        size_t len = is_json ? twi_summary_json(summary, order[i], text) : twi_summary_text(summary, order[i], text);
        if (is_json && i != 0)
            putchar(',');
        fwrite(text, 1, len, stdout);
        if (!is_json)
            putchar('\n');
    }
    if (is_json)
        puts("]}");
}

/* Counts for the summary what an adapter would have counted. */
typedef struct event_counter {
    twi_summary *summary;
    tw_feed_symbol_stats *stats; /* by instrument */
    tw_event event;
} event_counter;

static tw_event *counter_claim(void *owner)
{
    return &((event_counter *)owner)->event;
}

static void counter_commit(void *owner)
{
    event_counter *it = owner;
    const tw_event *event = &it->event;
    tw_feed_symbol_stats *stats = &it->stats[event->instrument];
    bool is_group_end = (event->flags & TW_FLAG_LAST) != 0;
    if (event->kind == TW_EVENT_BOOK_CLEAR || (event->kind == TW_EVENT_LEVEL && is_group_end)) {
        bool is_snapshot = event->kind == TW_EVENT_BOOK_CLEAR || (event->flags & TW_FLAG_SNAPSHOT);
        stats->snapshots += is_snapshot;
        stats->deltas += !is_snapshot;
        stats->applied += !is_snapshot;
        stats->last_seq = event->kind == TW_EVENT_LEVEL ? event->u.level.venue_seq : stats->last_seq;
    }
    if (event->kind == TW_EVENT_STATUS) {
        stats->book_state = (uint8_t)event->u.status.state;
        stats->gaps += event->u.status.state == TW_STATE_GAP;
        stats->crossed += event->u.status.state == TW_STATE_CROSSED;
    }
    twi_summary_event(it->summary, event);
}

/* Events of a capture into the summary. False: no memory. */
static bool sum_events(tw_source *source, twi_summary *summary)
{
    event_counter it = {.summary = summary, .stats = calloc(SYMBOL_COUNT_MAX, sizeof(*it.stats))};
    if (!it.stats)
        return false;
    tw_sink sink = {counter_claim, counter_commit, &it};
    run_source(source, &sink, NULL);
    for (uint32_t i = 0; i < summary->count; i++)
        summary->entries[i].stats = it.stats[i];
    free(it.stats);
    return true;
}

static int summarize(const twi_verb *verb, const char *path, tw_source *source, const tw_symbols *symbols, bool is_json)
{
    twi_summary summary;
    if (twi_summary_open(&summary, symbols, SYMBOL_COUNT_MAX) != TW_OK)
        return twi_cli_fail(verb, "no memory");
    const twi_player *player = twi_replay_get_player(source);
    if (player) {
        run_source(source, twi_summary_sink(&summary), NULL);
        twi_summary_take_stats(&summary, player->ops, player->state);
    } else if (!sum_events(source, &summary)) {
        twi_summary_close(&summary);
        return twi_cli_fail(verb, "no memory");
    }
    int code = judge(verb, path, source);
    print_summary(path, source, &summary, is_json);
    twi_summary_close(&summary);
    return code;
}

static int print_all(const twi_verb *verb, const char *path, tw_source *source, printer *it)
{
    tw_sink sink = {printer_claim, printer_commit, it};
    it->seqs = calloc((size_t)SYMBOL_COUNT_MAX * KINDS, sizeof(*it->seqs));
    it->json = malloc(JSON_BYTES_MAX);
    int code = TWI_EXIT_FAILED;
    if (it->seqs && it->json)
        run_source(source, &sink, it);
    else
        it->has_failed = true;
    if (it->has_failed)
        twi_cli_fail(verb, "no memory");
    else
        code = judge(verb, path, source);
    free(it->json);
    free(it->seqs);
    free(it->events);
    return code;
}

static int run(const twi_verb *verb, int argc, char **argv)
{
    const char *path = NULL, *speed = "max";
    bool is_summary = false;
    printer it = {0};
    const twi_option options[] = {{.name = "summary", .flag = &is_summary},
                                  {.name = "json", .flag = &it.is_json},
                                  {.name = "speed", .text = &speed},
                                  {.name = "count", .number = &it.message_max}};
    if (!twi_cli_options(verb, argc, argv, options, sizeof(options) / sizeof(options[0]), &path))
        return TWI_EXIT_USAGE;
    if (!path)
        return twi_cli_usage(verb, "which file?");
    twi_replay_options replay = {0};
    if (twi_replay_parse_speed(speed, &replay.speed_permille) != TW_OK)
        return twi_cli_usage(verb, "--speed %s: original, max, or how many times faster", speed);
    tw_symbols *symbols = twi_cli_symbols(SYMBOL_COUNT_MAX);
    if (!symbols)
        return twi_cli_fail(verb, "no memory");
    char error[TWI_CLI_ERROR_MAX] = "";
    tw_source source;
    it.symbols = symbols;
    int code = TWI_EXIT_FAILED;
    if (twi_replay_open(path, &replay, symbols, &source, error, sizeof(error)) != TW_OK) {
        twi_cli_fail(verb, "%s", error);
    } else {
        code = is_summary ? summarize(verb, path, &source, symbols, it.is_json) : print_all(verb, path, &source, &it);
        source.ops->fini(source.state);
    }
    free(symbols);
    return code;
}

static const char help[] =
    "usage: tw replay FILE [options]\n"
    "Plays a capture, or a recording of cryptofeed or hftbacktest (a file, or the folder of one), and prints its\n"
    "messages one per line. Frames of a venue go through that venue's adapter, as they did live.\n"
    "\n"
    "  --summary     per symbol instead: trades, quotes, book snapshots and changes, gaps, checksums, and what the\n"
    "                book was at the end; digest25 is the CRC-32 of its best 25 levels per side\n"
    "  --json        messages, or the summary, as JSON\n"
    "  --speed S     original, max, or how many times faster      [max]\n"
    "  --count N     ends after so many messages\n"
    "\n"
    "examples\n"
    "  tw replay day.twc --summary\n"
    "  tw replay recordings/binance-spot-btcusdt-20240808 --summary --json\n"
    "  tw replay day.twc --speed original --count 100\n"
    "\n"
    "exit code: 0 played, 1 unreadable or damaged, 2 usage.\n";

const twi_verb twi_verb_replay = {"replay", "plays a recording again, or adds it up per symbol", help, run};
