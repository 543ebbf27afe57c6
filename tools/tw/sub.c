/* sub.c - tw sub: the stream as it comes, one line per message. */
#include <inttypes.h>
#include <string.h>

#include "engine/base/clock.h"
#include "tickwire/codec.h"
#include "tools/tw/stream.h"

enum { JSON_BYTES_MAX = 1 << 20 };

typedef struct sub {
    uint64_t count, count_max;
    int64_t end_ns; /* monotonic, INT64_MAX: none */
    bool is_json, is_raw;
    uint8_t *json;
    size_t json_cap;
} sub;

static void print_json(sub *it, const tw_stream_message *message)
{
    if (it->is_raw && message->bytes) {
        fwrite(message->bytes, 1, message->bytes_len, stdout);
        putchar('\n');
        return;
    }
    const tw_record record = {.events = message->events,
                              .event_count = message->event_count,
                              .seq = message->seq,
                              .publish_ns = message->publish_ns};
    if (tw_codec_json.bound(message->event_count) > it->json_cap)
        return;
    size_t len = tw_codec_json.encode(message->symbols, &record, it->json, it->json_cap);
    fwrite(it->json, 1, len, stdout);
    putchar('\n');
}

static void on_message(void *owner, const tw_stream_message *message)
{
    sub *it = owner;
    if (it->count_max != 0 && it->count >= it->count_max)
        return;
    it->count++;
    if (it->is_json)
        print_json(it, message);
    else
        twi_cli_print_message(stdout, message->symbols, message->events, message->event_count, message->seq);
}

static void on_gap(void *owner, uint64_t count)
{
    (void)owner;
    if (count != 0)
        fprintf(stderr, "tw sub: %" PRIu64 " missing here\n", count);
}

static void on_note(void *owner, const char *text)
{
    (void)owner;
    fprintf(stderr, "tw sub: %s\n", text);
}

static bool on_idle(void *owner)
{
    const sub *it = owner;
    return fflush(stdout) == 0 && !twi_cli_stopped() && (it->count_max == 0 || it->count < it->count_max) &&
           twi_monotonic_ns() < it->end_ns;
}

static int run(const twi_verb *verb, int argc, char **argv)
{
    static uint8_t json[JSON_BYTES_MAX];
    sub it = {.end_ns = INT64_MAX, .json = json, .json_cap = sizeof(json)};
    int64_t duration_ns = 0;
    twi_stream_options stream;
    twi_option options[TWI_STREAM_OPTION_COUNT + 3] = {{.name = "count", .number = &it.count_max},
                                                       {.name = "duration", .duration_ns = &duration_ns},
                                                       {.name = "json", .flag = &it.is_json}};
    twi_stream_option_list(&stream, options + 3);
    if (!twi_cli_options(verb, argc, argv, options, TWI_STREAM_OPTION_COUNT + 3, NULL))
        return TWI_EXIT_USAGE;
    if (it.is_json && !stream.shm) {
        it.is_raw = true;
        stream.stream.codec = "json"; /* then the lines are what the engine sent */
    }
    if (duration_ns != 0)
        it.end_ns = twi_monotonic_ns() + duration_ns;
    stream.stream.on_message = on_message;
    stream.stream.on_gap = on_gap;
    stream.stream.on_note = on_note;
    stream.stream.owner = &it;
    return twi_stream_run(verb, &stream, on_idle);
}

static const char help[] = "usage: tw sub [options]\n"
                           "Prints the messages of a running engine, one per line, until Ctrl-C.\n"
                           "\n" TWI_STREAM_HELP "how\n"
                           "  --json           the messages as JSON, as the engine sends them\n"
                           "  --count N        ends after so many\n"
                           "  --duration D     ends after this time, e.g. 10s\n"
                           "\n"
                           "examples\n"
                           "  tw sub --channels trade --symbols 'sim:BTC/USDT'\n"
                           "  tw sub --channels quote --json --count 5\n"
                           "  tw sub --shm tickwire --channels book --symbols 'binance:*'\n"
                           "\n"
                           "exit code: 0 ended as asked, 1 no connection, 2 usage.\n";

const twi_verb twi_verb_sub = {"sub", "prints the messages of a running engine", help, run};
