/* stream_shm.c - the way in through the engine's ring in shared memory: attach, filter, put groups together.
 *
 * A reader begins with the next event to come: a book is complete from its next snapshot on. */
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/clock.h"
#include "tickwire/ring.h"
#include "tools/tw/stream.h"

enum { BATCH_EVENTS = 1024, WAIT_NS = 50000000, RETRY_MS = 100, VERDICT_WANTED = 1, VERDICT_UNWANTED = 2 };
#define HEARTBEAT_TIMEOUT_NS INT64_C(5000000000)

typedef struct shm_stream {
    const twi_stream_options *options;
    const twi_stream_calls *calls;
    void *owner;
    tw_ring_reader *reader;
    uint32_t channels; /* bit 1u << tw_channel */
    uint8_t *verdicts; /* by instrument: 0 not known yet */
    uint32_t verdict_cap;
    tw_event *group; /* of the message that is being put together */
    uint32_t group_len, group_cap;
} shm_stream;

/* ---- what is wanted ---- */

static bool is_match(const char *pattern, size_t pattern_len, const char *text)
{
    if (pattern_len == 0)
        return *text == '\0';
    if (*pattern != '*')
        return *pattern == *text && is_match(pattern + 1, pattern_len - 1, text + 1);
    do {
        if (is_match(pattern + 1, pattern_len - 1, text))
            return true;
    } while (*text++ != '\0');
    return false;
}

/* One EXCHANGE:SYMBOL of the list; a symbol may itself hold a colon (BTC/USDT:USDT). */
static bool is_one_match(const char *pattern, size_t len, const tw_instrument *instrument)
{
    const char *colon = memchr(pattern, ':', len);
    if (!colon)
        return len == 1 && *pattern == '*';
    size_t exchange_len = (size_t)(colon - pattern), symbol_len = len - exchange_len - 1;
    return is_match(pattern, exchange_len, instrument->exchange) &&
           (is_match(colon + 1, symbol_len, instrument->symbol) ||
            is_match(colon + 1, symbol_len, instrument->venue_id));
}

static bool is_symbol_wanted(const char *list, const tw_instrument *instrument)
{
    for (const char *at = list;; at++) {
        size_t len = strcspn(at, ",");
        if (is_one_match(at, len, instrument))
            return true;
        at += len;
        if (*at == '\0')
            return false;
    }
}

static bool parse_channels(const char *list, uint32_t *channels)
{
    for (const char *at = list;; at++) {
        size_t len = strcspn(at, ","), name_len = len;
        const char *dot = memchr(at, '.', len);
        if (dot)
            name_len = (size_t)(dot - at);
        uint16_t channel = TW_CHANNEL_TRADE;
        for (; channel <= TW_CHANNEL_CANDLE; channel++) {
            const char *name = tw_channel_name(channel);
            if (strlen(name) == name_len && memcmp(name, at, name_len) == 0)
                break;
        }
        if (channel > TW_CHANNEL_CANDLE)
            return false;
        *channels |= 1u << channel;
        at += len;
        if (*at == '\0')
            return true;
    }
}

static uint32_t channel_bit(uint8_t kind)
{
    switch (kind) {
    case TW_EVENT_TRADE:
        return 1u << TW_CHANNEL_TRADE;
    case TW_EVENT_QUOTE:
        return 1u << TW_CHANNEL_QUOTE;
    case TW_EVENT_LEVEL:
    case TW_EVENT_BOOK_CLEAR:
        return 1u << TW_CHANNEL_BOOK;
    case TW_EVENT_STATUS:
        return 1u << TW_CHANNEL_STATUS;
    case TW_EVENT_CANDLE:
    case TW_EVENT_CANDLE_TAIL:
        return 1u << TW_CHANNEL_CANDLE;
    default:
        return 0;
    }
}

static bool is_wanted(shm_stream *stream, const tw_event *event)
{
    if (!(stream->channels & channel_bit(event->kind)))
        return false;
    if (event->instrument >= stream->verdict_cap) {
        uint32_t cap = (event->instrument + 64) * 2;
        uint8_t *larger = realloc(stream->verdicts, cap);
        if (!larger)
            return false;
        memset(larger + stream->verdict_cap, 0, cap - stream->verdict_cap);
        stream->verdicts = larger;
        stream->verdict_cap = cap;
    }
    uint8_t *verdict = &stream->verdicts[event->instrument];
    if (*verdict == 0) {
        const tw_instrument *instrument = tw_symbols_get(tw_ring_reader_symbols(stream->reader), event->instrument);
        if (!instrument)
            return false;
        *verdict = is_symbol_wanted(stream->options->symbols, instrument) ? VERDICT_WANTED : VERDICT_UNWANTED;
    }
    return *verdict == VERDICT_WANTED;
}

/* ---- messages ---- */

static bool is_complete(const shm_stream *stream, const tw_event *last)
{
    return (last->flags & TW_FLAG_LAST) && stream->group[0].kind == TW_EVENT_CANDLE ? stream->group_len == 2
                                                                                    : last->flags & TW_FLAG_LAST;
}

static bool append(shm_stream *stream, const tw_event *event)
{
    if (stream->group_len == stream->group_cap) {
        uint32_t cap = stream->group_cap ? stream->group_cap * 2 : BATCH_EVENTS;
        tw_event *larger = realloc(stream->group, cap * sizeof(*larger));
        if (!larger)
            return false;
        stream->group = larger;
        stream->group_cap = cap;
    }
    stream->group[stream->group_len++] = *event;
    return true;
}

static void take_event(shm_stream *stream, const tw_event *event, uint64_t ring_seq)
{
    bool continues = stream->group_len != 0 && (event->kind == TW_EVENT_CANDLE_TAIL || !(event->flags & TW_FLAG_FIRST));
    if (!continues)
        stream->group_len = 0; /* a group whose end never came */
    if (!is_wanted(stream, event))
        return;
    bool begins = (event->flags & TW_FLAG_FIRST) && event->kind != TW_EVENT_CANDLE_TAIL;
    if ((!continues && !begins) || !append(stream, event) || !is_complete(stream, event))
        return; /* the rest of a group whose beginning was not seen, or one that goes on */
    const twi_stream_message message = {.symbols = tw_ring_reader_symbols(stream->reader),
                                        .events = stream->group,
                                        .event_count = stream->group_len,
                                        .seq = ring_seq};
    stream->calls->on_message(stream->owner, &message);
    stream->group_len = 0;
}

/* Everything that is there. False: the engine is gone. */
static bool read_ring(shm_stream *stream)
{
    tw_event batch[BATCH_EVENTS];
    uint64_t lost = 0;
    size_t count = tw_ring_read(stream->reader, batch, BATCH_EVENTS, &lost);
    if (lost != 0) {
        stream->group_len = 0;
        stream->calls->on_gap(stream->owner, lost);
    }
    uint64_t first_seq = tw_ring_reader_position(stream->reader) - count;
    for (size_t i = 0; i < count; i++)
        take_event(stream, &batch[i], first_seq + i);
    if (count != 0)
        return true;
    tw_status status = tw_ring_wait(stream->reader, WAIT_NS);
    return status == TW_OK || (status == TW_TIMEOUT &&
                               !tw_ring_reader_producer_dead(stream->reader, twi_realtime_ns(), HEARTBEAT_TIMEOUT_NS));
}

/* ---- attaching ---- */

/* Tries until it works or give_up_ns (monotonic, INT64_MAX: never) or the owner ends it. */
static bool attach(shm_stream *stream, int64_t give_up_ns, char *error, size_t error_cap)
{
    while (stream->calls->on_idle(stream->owner)) {
        if (tw_ring_attach(stream->options->shm, &stream->reader, error, error_cap) == TW_OK) {
            if (!tw_ring_reader_producer_dead(stream->reader, twi_realtime_ns(), HEARTBEAT_TIMEOUT_NS))
                return true;
            snprintf(error, error_cap, "the engine that made ring '%s' is gone", stream->options->shm);
            tw_ring_reader_close(stream->reader);
            stream->reader = NULL;
        }
        if (twi_monotonic_ns() >= give_up_ns)
            return false;
        poll(NULL, 0, RETRY_MS);
    }
    error[0] = '\0';
    return false;
}

static void forget_ring(shm_stream *stream)
{
    tw_ring_reader_close(stream->reader);
    stream->reader = NULL;
    stream->group_len = 0;
    if (stream->verdicts)
        memset(stream->verdicts, 0, stream->verdict_cap); /* the next engine may number its instruments otherwise */
}

static int run(const twi_verb *verb, shm_stream *stream)
{
    char error[TWI_CLI_ERROR_MAX] = "";
    if (!attach(stream, twi_monotonic_ns() + stream->options->wait_ns, error, sizeof(error)))
        return error[0] != '\0' ? twi_cli_fail(verb, "%s", error) : TWI_EXIT_GOOD;
    while (stream->calls->on_idle(stream->owner)) {
        if (read_ring(stream))
            continue;
        stream->calls->on_note(stream->owner, "the engine ended; waiting for the next one");
        stream->calls->on_gap(stream->owner, 0);
        forget_ring(stream);
        if (!attach(stream, INT64_MAX, error, sizeof(error)))
            break;
        stream->calls->on_note(stream->owner, "attached again");
    }
    return TWI_EXIT_GOOD;
}

int twi_stream_run_shm(const twi_verb *verb, const twi_stream_options *options, const twi_stream_calls *calls,
                       void *owner)
{
    shm_stream stream = {.options = options, .calls = calls, .owner = owner};
    if (!parse_channels(options->channels, &stream.channels))
        return twi_cli_usage(verb, "--channels %s: of trade, quote, book, status, candle", options->channels);
    int code = run(verb, &stream);
    if (stream.reader)
        tw_ring_reader_close(stream.reader);
    free(stream.verdicts);
    free(stream.group);
    return code;
}
