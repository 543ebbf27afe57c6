/* record.c - tw record: keeps what a running engine streams, the frames of a live venue, or what another collector
 * recorded, in a capture file. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine/base/clock.h"
#include "feed/capture.h"
#include "tools/tw/record_venue.h"
#include "tools/tw/stream.h"

#define NS_PER_SECOND INT64_C(1000000000)

typedef struct recorder {
    twi_capture_writer *writer;
    tw_status status;
    uint64_t messages, events, lost, gaps, count_max;
    int64_t last_ns;          /* recv_ns of the last event */
    int64_t end_ns, flush_ns; /* monotonic */
    bool is_live;             /* a terminal looks at stderr */
    bool *has_snapshot;       /* by instrument number, of the current numbering */
    uint32_t has_cap;
    uint64_t without_snapshot; /* book messages left out */
} recorder;

static void keep(recorder *it, tw_status status)
{
    if (it->status == TW_OK)
        it->status = status;
}

/* Whether the book that this message changes is known from its beginning. Over shared memory it need not be. */
static bool is_book_known(recorder *it, const tw_event *event)
{
    uint32_t number = event->instrument;
    if (number >= it->has_cap) {
        uint32_t cap = (number + 64) * 2;
        bool *larger = realloc(it->has_snapshot, cap);
        if (!larger) {
            keep(it, TW_NO_MEMORY);
            return false;
        }
        memset(larger + it->has_cap, 0, cap - it->has_cap);
        it->has_snapshot = larger;
        it->has_cap = cap;
    }
    if (event->flags & TW_FLAG_SNAPSHOT || event->kind == TW_EVENT_BOOK_CLEAR)
        it->has_snapshot[number] = true;
    return it->has_snapshot[number];
}

static void on_gap(void *owner, uint64_t count)
{
    recorder *it = owner;
    it->gaps++;
    it->lost += count;
    keep(it, twi_capture_loss(it->writer, it->last_ns, count));
    /* Instrument numbers may mean others from here on: the next block defines them anew. */
    keep(it, twi_capture_flush(it->writer));
    if (it->has_snapshot)
        memset(it->has_snapshot, 0, it->has_cap);
}

/* What the engine could not deliver of one topic. As a STATUS it stays with its instrument; a book that is concerned
 * begins again with a snapshot. */
static void keep_loss(recorder *it, const tw_stream_message *message)
{
    const tw_event *loss = message->events;
    bool is_book = loss->u.loss.channel == TW_CHANNEL_BOOK;
    const tw_event status = {
        .instrument = loss->instrument,
        .kind = TW_EVENT_STATUS,
        .flags = TW_FLAG_FIRST | TW_FLAG_LAST,
        .recv_ns = it->last_ns,
        .u.status = {.state = is_book ? TW_STATE_GAP : TW_STATE_OK,
                     .reason = TW_REASON_SLOW_CONSUMER,
                     .from = loss->u.loss.from,
                     .to = loss->u.loss.to},
    };
    it->gaps++;
    it->lost += loss->u.loss.count;
    if (is_book && loss->instrument < it->has_cap)
        it->has_snapshot[loss->instrument] = false;
    keep(it, twi_capture_events(it->writer, message->symbols, &status, 1));
}

static void on_message(void *owner, const tw_stream_message *message)
{
    recorder *it = owner;
    if (message->events->kind == TW_EVENT_LOSS) {
        keep_loss(it, message);
        return;
    }
    if (it->count_max != 0 && it->messages >= it->count_max)
        return;
    bool is_book = message->events->kind == TW_EVENT_LEVEL || message->events->kind == TW_EVENT_BOOK_CLEAR;
    if (is_book && !is_book_known(it, message->events)) {
        it->without_snapshot++;
        return;
    }
    it->messages++;
    it->events += message->event_count;
    it->last_ns = message->events->recv_ns;
    keep(it, twi_capture_events(it->writer, message->symbols, message->events, message->event_count));
}

static void on_note(void *owner, const char *text)
{
    const recorder *it = owner;
    fprintf(stderr, "%stw record: %s\n", it->is_live ? "\r\033[K" : "", text);
}

static void show(const recorder *it)
{
    fprintf(stderr, "\r\033[K%" PRIu64 " messages, %" PRIu64 " events, %.1f MB written, %" PRIu64 " lost", it->messages,
            it->events, (double)twi_capture_bytes_written(it->writer) / 1e6, it->lost);
}

static bool on_idle(void *owner)
{
    recorder *it = owner;
    int64_t now_ns = twi_monotonic_ns();
    if (now_ns >= it->flush_ns) {
        it->flush_ns = now_ns + NS_PER_SECOND;
        keep(it, twi_capture_flush(it->writer));
        if (it->is_live)
            show(it);
    }
    return it->status == TW_OK && !twi_cli_stopped() && now_ns < it->end_ns &&
           (it->count_max == 0 || it->messages < it->count_max);
}

static bool parse_compression(const char *text, uint8_t *compression)
{
    for (uint8_t i = 0; twi_compression_name(i); i++) {
        if (strcmp(twi_compression_name(i), text) != 0)
            continue;
        *compression = i;
        return true;
    }
    return false;
}

static int finish(const twi_verb *verb, recorder *it, const char *path, int code)
{
    char error[TWI_CLI_ERROR_MAX];
    uint64_t bytes = 0;
    if (it->is_live)
        fputs("\r\033[K", stderr);
    tw_status status = twi_capture_close(it->writer, error, sizeof(error));
    free(it->has_snapshot);
    if (status != TW_OK)
        return twi_cli_fail(verb, "%s: %s", path, error);
    if (code != TWI_EXIT_GOOD && it->messages == 0) {
        unlink(path); /* nothing came: leave nothing behind */
        return code;
    }
    if (it->status != TW_OK)
        return twi_cli_fail(verb, "%s: %s", path, tw_status_name(it->status));
    FILE *file = fopen(path, "rb");
    if (file) {
        if (fseek(file, 0, SEEK_END) == 0)
            bytes = (uint64_t)ftell(file);
        fclose(file);
    }
    printf("%s: %" PRIu64 " messages, %" PRIu64 " events, %" PRIu64 " bytes", path, it->messages, it->events, bytes);
    if (it->gaps != 0)
        printf("; %" PRIu64 " gaps with %" PRIu64 " messages known to be missing", it->gaps, it->lost);
    if (it->without_snapshot != 0)
        printf("; %" PRIu64 " book messages left out that had no snapshot before them", it->without_snapshot);
    putchar('\n');
    return code;
}

/* The frames of another collector's recording, as they are. */
static int convert(const twi_verb *verb, recorder *it, const char *from)
{
    char error[TWI_CLI_ERROR_MAX];
    twi_recording *recording;
    if (twi_recording_open(from, &recording, error, sizeof(error)) != TW_OK)
        return twi_cli_fail(verb, "%s", error);
    twi_frame frame;
    tw_status status = TW_OK;
    while (on_idle(it) && (status = twi_recording_next(recording, &frame)) == TW_OK) {
        it->messages++;
        keep(it, twi_capture_frame(it->writer, &frame));
    }
    const twi_recording_stats *stats = twi_recording_get_stats(recording);
    int code = TWI_EXIT_GOOD;
    if (stats->first_error[0] != '\0')
        code = twi_cli_fail(verb, "damaged: %s", stats->first_error);
    if (status != TW_OK && status != TW_EMPTY)
        code = twi_cli_fail(verb, "%s: %s", from, tw_status_name(status));
    twi_recording_close(recording);
    return code;
}

static void on_frame(void *owner, const twi_frame *frame)
{
    recorder *it = owner;
    if (it->count_max != 0 && it->messages >= it->count_max)
        return;
    it->messages += frame->kind == TWI_FRAME_RECV || frame->kind == TWI_FRAME_HTTP;
    keep(it, twi_capture_frame(it->writer, frame));
}

/* What stands in the capture's header, and where the messages come from. */
static const char *source_of(const twi_record_venue_options *venue, const char *from, const twi_stream_options *stream)
{
    if (venue->venue)
        return venue->venue;
    if (from)
        return from;
    return stream->shm ? stream->shm : stream->stream.from;
}

static int run(const twi_verb *verb, int argc, char **argv)
{
    recorder it = {.end_ns = INT64_MAX, .is_live = isatty(STDERR_FILENO)};
    const char *path = NULL, *from = NULL,
               *compression = twi_compression_is_there(TWI_COMPRESSION_ZSTD) ? "zstd" : "zlib";
    int64_t duration_ns = 0;
    bool replaces = false;
    twi_stream_options stream;
    twi_record_venue_options venue;
    enum { OWN = 6, ALL = OWN + TWI_STREAM_OPTION_COUNT + TWI_RECORD_VENUE_OPTION_COUNT };
    twi_option options[ALL] = {{.name = "out", .text = &path},
                               {.name = "from", .text = &from},
                               {.name = "compression", .text = &compression},
                               {.name = "duration", .duration_ns = &duration_ns},
                               {.name = "count", .number = &it.count_max},
                               {.name = "replace", .flag = &replaces}};
    twi_stream_option_list(&stream, options + OWN);
    twi_record_venue_option_list(&venue, options + OWN + TWI_STREAM_OPTION_COUNT);
    const char *all_symbols = stream.stream.symbols, *all_channels = stream.stream.channels;
    if (!twi_cli_options(verb, argc, argv, options, ALL, NULL))
        return TWI_EXIT_USAGE;
    venue.symbols = stream.stream.symbols != all_symbols ? stream.stream.symbols : "";
    venue.channels = stream.stream.channels != all_channels ? stream.stream.channels : NULL;
    if (venue.venue && *venue.symbols == '\0')
        return twi_cli_usage(verb, "--symbols LIST says what to record, e.g. BTC/USDT,ETH/USDT");
    if (venue.venue && (from || stream.shm))
        return twi_cli_usage(verb, "--venue, --from and --shm are three places to record from: choose one");
    if (!path)
        return twi_cli_usage(verb, "--out FILE says where to");
    twi_capture_options capture = {
        .replaces = replaces, .created_ns = twi_realtime_ns(), .source = source_of(&venue, from, &stream)};
    if (!parse_compression(compression, &capture.compression))
        return twi_cli_usage(verb, "--compression %s: none, zlib or zstd", compression);
    char error[TWI_CLI_ERROR_MAX];
    if (twi_capture_create(path, &capture, &it.writer, error, sizeof(error)) != TW_OK)
        return twi_cli_fail(verb, "%s", error);
    it.flush_ns = twi_monotonic_ns() + NS_PER_SECOND;
    if (duration_ns != 0)
        it.end_ns = twi_monotonic_ns() + duration_ns;
    stream.stream.on_message = on_message;
    stream.stream.on_gap = on_gap;
    stream.stream.on_note = on_note;
    stream.stream.owner = &it;
    const twi_record_venue_calls venue_calls = {on_frame, on_idle};
    int code = TWI_EXIT_GOOD;
    if (venue.venue)
        code = twi_record_venue_run(verb, &venue, &venue_calls, &it);
    else
        code = from ? convert(verb, &it, from) : twi_stream_run(verb, &stream, on_idle);
    return finish(verb, &it, path, code);
}

static const char help[] =
    "usage: tw record --out FILE [options]\n"
    "Writes the messages of a running engine, or the frames of a live venue, to a capture file until Ctrl-C;\n"
    "'tw replay', 'tw info' and the replay feed read it. What a crash leaves is readable up to the last second.\n"
    "\n" TWI_STREAM_HELP "how\n"
    "  --out FILE       the capture, e.g. day.twc\n"
    "  --from PATH      instead of an engine: a recording of cryptofeed or hftbacktest, or the folder of one\n"
    "  --venue NAME     instead of an engine: an exchange; every frame with its receive time, connections as they\n"
    "                   come and go, REST answers. --symbols BTC/USDT,... are then the venue's (it must be given),\n"
    "                   --channels trade,quote,book                [all that it has]\n"
    "  --stream-url URL, --rest-url URL, --ca-file PEM, --proxy URL, --depth N   as in a [[feed]] of the engine\n"
    "  --replace        empty FILE if it exists already\n"
    "  --compression C  none, zlib or zstd                      [zstd if this build has it]\n"
    "  --duration D     ends after this time, e.g. 10m\n"
    "  --count N        ends after so many messages\n"
    "\n"
    "examples\n"
    "  tw record --out day.twc\n"
    "  tw record --out btc.twc --symbols '*:BTC/USDT' --channels trade,quote --duration 1h\n"
    "  tw record --out all.twc --shm tickwire --compression none\n"
    "  tw record --venue binance --symbols BTC/USDT,ETH/USDT --out binance.twc --duration 1h\n"
    "  tw record --out kraken.twc --from recordings/kraken-v1-2021apr17\n"
    "\n"
    "exit code: 0 ended as asked, 1 no connection to the engine or the file cannot be written, 2 usage.\n";

const twi_verb twi_verb_record = {"record", "writes what an engine or a venue streams to a capture file", help, run};
