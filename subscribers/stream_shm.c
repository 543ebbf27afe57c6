/* stream_shm.c - a stream out of the engine's ring in shared memory: attach, filter, put groups together.
 *
 * A reader begins with the next event to come. The last quotes and statuses lie beside the ring and are handed over
 * first; a book is complete from its next snapshot on. */
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "engine/base/clock.h"
#include "engine/base/compiler.h"
#include "subscribers/stream.h"
#include "tickwire/ring.h"

enum { BATCH_EVENTS = 1024, VERDICT_WANTED = 1, VERDICT_UNWANTED = 2, VERDICT_BEGUN = 3, LOOKS_PER_CLOCK = 256 };
#define RETRY_NS             INT64_C(100000000)
#define WAIT_NS              INT64_C(50000000)
#define HEARTBEAT_TIMEOUT_NS INT64_C(5000000000)

typedef struct shm_stream {
    tw_stream stream;       /* first */
    tw_ring_reader *reader; /* NULL: not attached */
    int64_t retry_ns;       /* monotonic: when to try again */
    uint32_t channels;      /* bit 1u << tw_channel */
    uint8_t *verdicts;      /* by instrument: 0 not known yet */
    uint32_t verdict_cap;
    tw_event *group; /* of the message that is being put together */
    uint32_t group_len, group_cap;
    atomic_bool is_woken;
    tw_event batch[BATCH_EVENTS];
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

static bool is_book(const tw_event *event)
{
    return event->kind == TW_EVENT_LEVEL || event->kind == TW_EVENT_BOOK_CLEAR;
}

static bool is_repeated(const tw_event *event)
{
    return is_book(event) && (event->flags & TW_FLAG_REFRESH);
}

static bool is_wanted(shm_stream *self, const tw_event *event)
{
    if (!(self->channels & channel_bit(event->kind)))
        return false;
    if (event->instrument >= self->verdict_cap) {
        uint32_t cap = (event->instrument + 64) * 2;
        uint8_t *larger = realloc(self->verdicts, cap);
        if (!larger)
            return false;
        memset(larger + self->verdict_cap, 0, cap - self->verdict_cap);
        self->verdicts = larger;
        self->verdict_cap = cap;
    }
    uint8_t *verdict = &self->verdicts[event->instrument];
    if (*verdict == 0) {
        const tw_instrument *instrument = tw_symbols_get(tw_ring_reader_symbols(self->reader), event->instrument);
        if (!instrument)
            return false;
        *verdict = is_symbol_wanted(self->stream.options.symbols, instrument) ? VERDICT_WANTED : VERDICT_UNWANTED;
    }
    /* A book that is put on the ring again is for those who came late; who has it does not see it twice. */
    return *verdict == VERDICT_WANTED || (*verdict == VERDICT_BEGUN && !is_repeated(event));
}

/* Events were lost: the books wait for their next snapshot again. */
static void forget_books(shm_stream *self)
{
    for (uint32_t i = 0; i < self->verdict_cap; i++)
        if (self->verdicts[i] == VERDICT_BEGUN)
            self->verdicts[i] = VERDICT_WANTED;
}

/* ---- messages ---- */

static bool append(shm_stream *self, const tw_event *event)
{
    if (self->group_len == self->group_cap) {
        uint32_t cap = self->group_cap ? self->group_cap * 2 : BATCH_EVENTS;
        tw_event *larger = realloc(self->group, cap * sizeof(*larger));
        if (!larger)
            return false;
        self->group = larger;
        self->group_cap = cap;
    }
    self->group[self->group_len++] = *event;
    return true;
}

static void hand_over(shm_stream *self, const tw_event *events, uint32_t count, uint64_t seq, bool is_state,
                      int64_t arrival_ns)
{
    const tw_stream_message message = {.symbols = tw_ring_reader_symbols(self->reader),
                                       .events = events,
                                       .event_count = count,
                                       .is_state = is_state,
                                       .seq = seq,
                                       .arrival_ns = arrival_ns};
    self->stream.options.on_message(self->stream.options.owner, &message);
    if (events->kind == TW_EVENT_BOOK_CLEAR || (is_book(events) && (events->flags & TW_FLAG_SNAPSHOT)))
        self->verdicts[events->instrument] = VERDICT_BEGUN;
}

static void take_event(shm_stream *self, const tw_event *event, uint64_t seq, int64_t arrival_ns)
{
    bool begins = (event->flags & TW_FLAG_FIRST) != 0, ends = (event->flags & TW_FLAG_LAST) != 0;
    if (begins)
        self->group_len = 0; /* also of a group whose end never came */
    else if (self->group_len == 0)
        return; /* the rest of a group whose beginning was not seen, or not wanted */
    if (!is_wanted(self, event))
        return;
    if (begins && ends) {
        hand_over(self, event, 1, seq, is_repeated(event), arrival_ns);
        return;
    }
    if (!append(self, event)) {
        self->group_len = 0;
        twi_stream_gap(&self->stream, 0); /* no memory for a message of this size */
        return;
    }
    if (ends) {
        hand_over(self, self->group, self->group_len, seq, is_repeated(self->group), arrival_ns);
        self->group_len = 0;
    }
}

/* Everything that is there, one batch at most; how many events. */
static size_t read_batch(shm_stream *self)
{
    uint64_t lost = 0;
    size_t count = tw_ring_read(self->reader, self->batch, BATCH_EVENTS, &lost);
    if (TWI_UNLIKELY(lost != 0)) {
        self->group_len = 0;
        forget_books(self);
        twi_stream_gap(&self->stream, lost);
    }
    if (count == 0)
        return 0;
    int64_t arrival_ns = twi_realtime_ns();
    uint64_t first = tw_ring_reader_position(self->reader) - count;
    for (size_t i = 0; i < count; i++)
        take_event(self, &self->batch[i], first + i, arrival_ns);
    return count;
}

/* ---- attaching ---- */

/* What was published before the reader's position; the rest comes through the ring. */
static void hand_over_state(shm_stream *self)
{
    static const uint8_t kinds[] = {TW_EVENT_STATUS, TW_EVENT_QUOTE};
    uint32_t count = tw_symbols_count(tw_ring_reader_symbols(self->reader));
    uint64_t position = tw_ring_reader_position(self->reader), seq;
    for (uint32_t instrument = 0; instrument < count; instrument++) {
        for (size_t i = 0; i < sizeof(kinds); i++) {
            tw_event event;
            if (tw_ring_last(self->reader, instrument, kinds[i], &event, &seq) == TW_OK && seq < position &&
                is_wanted(self, &event))
                hand_over(self, &event, 1, seq, true, twi_realtime_ns());
        }
    }
}

static bool is_producer_dead(const shm_stream *self)
{
    return tw_ring_reader_producer_dead(self->reader, twi_realtime_ns(), HEARTBEAT_TIMEOUT_NS);
}

static bool attach(shm_stream *self)
{
    tw_stream *stream = &self->stream;
    const char *name = stream->options.from + 4; /* behind "shm:" */
    if (tw_ring_attach(name, &self->reader, stream->reason, sizeof(stream->reason)) != TW_OK)
        return false;
    if (is_producer_dead(self)) {
        snprintf(stream->reason, sizeof(stream->reason), "the engine that made ring '%s' is gone", name);
        tw_ring_reader_close(self->reader);
        self->reader = NULL;
        return false;
    }
    stream->is_ready = true;
    if (stream->epoch++ > 0)
        twi_stream_note(stream, "attached again");
    hand_over_state(self);
    return true;
}

static void detach(shm_stream *self)
{
    tw_ring_reader_close(self->reader);
    self->reader = NULL;
    self->group_len = 0;
    self->retry_ns = 0;
    self->stream.is_ready = false;
    if (self->verdicts)
        memset(self->verdicts, 0, self->verdict_cap); /* the next engine may number its instruments otherwise */
    snprintf(self->stream.reason, sizeof(self->stream.reason), "the engine ended");
    twi_stream_note(&self->stream, "the engine ended; waiting for the next one");
    twi_stream_gap(&self->stream, 0);
}

/* ---- waiting ---- */

static void pause_for(int64_t pause_ns)
{
    if (pause_ns > 0)
        nanosleep(&(struct timespec){.tv_sec = pause_ns / 1000000000, .tv_nsec = pause_ns % 1000000000}, NULL);
}

static int64_t smaller(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* Not attached: tries at most ten times a second. */
static void try_attach(shm_stream *self, int64_t deadline_ns)
{
    int64_t now_ns = twi_monotonic_ns();
    if (now_ns < self->retry_ns) {
        pause_for(smaller(smaller(self->retry_ns, deadline_ns) - now_ns, WAIT_NS));
        return;
    }
    if (!attach(self))
        self->retry_ns = twi_monotonic_ns() + RETRY_NS;
}

/* Looks again and again until there is something, or nearly no time is left. */
static bool watch(const shm_stream *self, int64_t deadline_ns)
{
    bool yields = self->stream.options.wait == TW_STREAM_YIELD;
    for (uint32_t looks = 1;; looks++) {
        if (tw_ring_reader_lag(self->reader) > 0)
            return true;
        if (yields)
            sched_yield();
        else
            twi_cpu_relax();
        if (looks % LOOKS_PER_CLOCK == 0 && (self->is_woken || twi_monotonic_ns() >= deadline_ns))
            return false;
    }
}

static void wait_for_more(shm_stream *self, int64_t deadline_ns)
{
    int64_t left_ns = smaller(deadline_ns - twi_monotonic_ns(), WAIT_NS);
    if (left_ns <= 0)
        left_ns = 0;
    if (self->stream.options.wait != TW_STREAM_SLEEP) {
        if (watch(self, twi_monotonic_ns() + left_ns))
            return;
        if (is_producer_dead(self))
            detach(self);
        return;
    }
    tw_status status = tw_ring_wait(self->reader, left_ns);
    if (status == TW_CLOSED || (status == TW_TIMEOUT && is_producer_dead(self)))
        detach(self);
}

static tw_status shm_poll(tw_stream *stream, int64_t timeout_ns)
{
    shm_stream *self = (shm_stream *)stream;
    if (self->reader && read_batch(self) > 0)
        return TW_OK;
    int64_t deadline_ns = twi_monotonic_ns() + timeout_ns;
    do {
        if (!self->reader)
            try_attach(self, deadline_ns);
        else
            wait_for_more(self, deadline_ns);
        if (self->reader && read_batch(self) > 0)
            break;
    } while (!self->is_woken && twi_monotonic_ns() < deadline_ns);
    self->is_woken = false;
    return TW_OK;
}

static void shm_wake(tw_stream *stream)
{
    ((shm_stream *)stream)->is_woken = true;
}

/* ---- opening ---- */

static void shm_close(tw_stream *stream)
{
    shm_stream *self = (shm_stream *)stream;
    if (self->reader)
        tw_ring_reader_close(self->reader);
    free(self->verdicts);
    free(self->group);
    free(self);
}

tw_status twi_stream_shm_open(const tw_stream_options *options, tw_stream **stream, char *error, size_t error_cap)
{
    static const twi_stream_ops ops = {shm_poll, shm_wake, shm_close};
    uint32_t channels = 0;
    if (!parse_channels(options->channels, &channels)) {
        snprintf(error, error_cap, "channels %s: trade, quote, book, status", options->channels);
        return TW_BAD_ARGUMENT;
    }
    if (channels & 1u << TW_CHANNEL_CANDLE) {
        snprintf(error, error_cap,
                 "candles are not on the ring: subscribe to them over WebSocket, or make them from "
                 "its trades");
        return TW_NOT_SUPPORTED;
    }
    shm_stream *self = calloc(1, sizeof(*self));
    if (!self) {
        snprintf(error, error_cap, "no memory for a stream");
        return TW_NO_MEMORY;
    }
    self->stream.ops = &ops;
    self->channels = channels;
    *stream = &self->stream;
    return TW_OK;
}
