/* replay.c - opens what there is to play, keeps the pace, and plays the events of a capture. */
#include "feed/replay.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/assert.h"
#include "feed/replay_pace.h"
#include "tickwire/decimal.h"

typedef struct replay {
    twi_replay_options options;
    twi_capture_reader *reader;
    tw_symbols *symbols;
    uint32_t *map; /* number in the capture -> in symbols, TW_INSTRUMENT_NONE */
    uint32_t map_cap;
    uint64_t map_changes;   /* of the reader, when the map was made */
    const tw_event *events; /* what is left of the current run */
    uint64_t event_count;
    int has_loss;        /* to be told next, to instrument number `loss_at` of the capture and those behind it */
    uint64_t loss_count; /* 0: nobody knows */
    uint32_t loss_at;
    int64_t loss_ns;
    twi_replay_pace pace;
    uint32_t pass; /* 0, 1, .. repeat_count - 1 */
    int is_in_group;
    int has_ended;
    twi_replay_stats stats;
} replay;

/* ---- instruments ---- */

static tw_status map_instruments(replay *it)
{
    uint32_t end = twi_capture_instrument_end(it->reader);
    if (end > it->map_cap) {
        uint32_t *larger = realloc(it->map, end * sizeof(*larger));
        if (!larger)
            return TW_NO_MEMORY;
        it->map = larger;
        it->map_cap = end;
    }
    for (uint32_t i = 0; i < end; i++) {
        const tw_instrument *known = twi_capture_instrument(it->reader, i);
        it->map[i] = TW_INSTRUMENT_NONE;
        if (!known)
            continue;
        tw_status status = tw_symbols_intern(it->symbols, known->exchange, known->exchange_len, known->symbol,
                                             known->symbol_len, known->venue_id, known->venue_id_len, &it->map[i]);
        if (status != TW_OK)
            return status;
    }
    it->map_changes = twi_capture_definition_changes(it->reader);
    return TW_OK;
}

static uint32_t instrument_of(const replay *it, const tw_event *event)
{
    return event->instrument < it->map_cap ? it->map[event->instrument] : TW_INSTRUMENT_NONE;
}

/* ---- the next thing to put ---- */

static void end(replay *it, tw_status failure)
{
    it->has_ended = 1;
    it->stats.failure = failure;
}

static void begin_pass(replay *it)
{
    tw_status status = twi_capture_seek(it->reader, it->options.from_ns ? it->options.from_ns : INT64_MIN);
    it->event_count = 0;
    it->is_in_group = 0;
    twi_replay_pace_again(&it->pace);
    if (status != TW_OK)
        end(it, status);
}

/* Fills events, or loss_count, from the next record. */
static void read_record(replay *it)
{
    twi_capture_record record;
    tw_status status = twi_capture_next(it->reader, &record);
    if (status == TW_EMPTY && ++it->pass < it->options.repeat_count && it->stats.events != 0) {
        begin_pass(it);
        return;
    }
    if (status == TW_OK && twi_capture_definition_changes(it->reader) != it->map_changes)
        status = map_instruments(it);
    if (status != TW_OK) {
        end(it, status == TW_EMPTY ? TW_OK : status);
        return;
    }
    if (record.kind == TWI_CAPTURE_EVENTS) {
        it->events = record.events;
        it->event_count = record.count;
    } else if (record.kind == TWI_CAPTURE_LOSS) {
        it->has_loss = 1;
        it->loss_count = record.count;
        it->loss_at = 0;
        it->loss_ns = record.recv_ns;
        it->is_in_group = 0;
        it->stats.lost += record.count;
    }
}

/* Events from here to the end of their group, or to the end of the run if the group goes on behind it. */
static size_t group_len(const replay *it)
{
    size_t len = 1;
    while (len < it->event_count && !(it->events[len - 1].flags & TW_FLAG_LAST))
        len++;
    return len;
}

static void put_event(replay *it, const tw_event *event, int64_t due_ns, tw_sink *sink)
{
    uint32_t instrument = instrument_of(it, event);
    if (instrument == TW_INSTRUMENT_NONE) {
        it->stats.unknown++;
        return;
    }
    tw_event *slot = tw_sink_claim(sink);
    *slot = *event;
    slot->instrument = instrument;
    if (it->options.rebases_recv)
        slot->recv_ns = due_ns;
    tw_sink_commit(sink);
    it->stats.events++;
}

/* Puts the group at the front of the run. */
static size_t put_group(replay *it, size_t len, int64_t due_ns, tw_sink *sink)
{
    uint64_t before = it->stats.events;
    for (size_t i = 0; i < len; i++)
        put_event(it, &it->events[i], due_ns, sink);
    it->is_in_group = !(it->events[len - 1].flags & TW_FLAG_LAST);
    it->stats.groups += !it->is_in_group;
    it->events += len;
    it->event_count -= len;
    return (size_t)(it->stats.events - before);
}

/* One STATUS of the loss that is to be told. */
static size_t put_loss(replay *it, tw_sink *sink)
{
    uint32_t instrument = it->loss_at < it->map_cap ? it->map[it->loss_at] : TW_INSTRUMENT_NONE;
    uint64_t count = it->loss_count;
    if (++it->loss_at >= it->map_cap)
        it->has_loss = 0;
    if (instrument == TW_INSTRUMENT_NONE)
        return 0;
    *tw_sink_claim(sink) = (tw_event){
        .instrument = instrument,
        .kind = TW_EVENT_STATUS,
        .flags = TW_FLAG_FIRST | TW_FLAG_LAST,
        .recv_ns = it->options.rebases_recv ? it->pace.due_ns : it->loss_ns,
        .u.status = {.state = TW_STATE_GAP, .reason = TW_REASON_RING_LAPPED, .from = count != 0, .to = count},
    };
    tw_sink_commit(sink);
    return 1;
}

/* Puts what comes next if it is due and fits; returns 0 if not, with *next_ns said. */
static int put_next(replay *it, int64_t now_ns, size_t event_max, tw_sink *sink, size_t *count, int64_t *next_ns)
{
    if (it->has_loss) {
        if (*count >= event_max && *count != 0)
            return 0;
        *count += put_loss(it, sink);
        return 1;
    }
    if (it->event_count == 0) {
        read_record(it);
        return 1;
    }
    size_t len = group_len(it);
    if (!it->is_in_group) {
        if (!twi_replay_is_wanted(&it->options, it->events[0].recv_ns)) {
            it->events += len;
            it->event_count -= len;
            return 1;
        }
        int64_t due_ns = twi_replay_pace_due(&it->pace, it->events[0].recv_ns, now_ns);
        if (due_ns > now_ns) {
            *next_ns = due_ns;
            return 0;
        }
        if (*count != 0 && *count + len > event_max)
            return 0;
    }
    *count += put_group(it, len, it->pace.due_ns, sink);
    return 1;
}

static size_t replay_step(void *state, int64_t now_ns, size_t event_max, tw_sink *sink, int64_t *next_ns)
{
    replay *it = state;
    size_t count = 0;
    twi_replay_pace_start(&it->pace, now_ns);
    *next_ns = now_ns;
    while (!it->has_ended && put_next(it, now_ns, event_max, sink, &count, next_ns)) {
    }
    if (it->has_ended)
        *next_ns = INT64_MAX;
    return count;
}

/* ---- open and close ---- */

static void replay_fini(void *state)
{
    replay *it = state;
    twi_capture_reader_close(it->reader);
    free(it->map);
    free(it);
}

static const tw_source_ops replay_ops = {.name = "replay", .step = replay_step, .fini = replay_fini};

static tw_status open_events(twi_capture_reader *reader, const twi_replay_options *options, tw_symbols *symbols,
                             tw_source *out, char *error, size_t error_cap)
{
    replay *it = calloc(1, sizeof(*it));
    if (!it) {
        snprintf(error, error_cap, "no memory for a replay");
        twi_capture_reader_close(reader);
        return TW_NO_MEMORY;
    }
    it->options = *options;
    it->reader = reader;
    it->symbols = symbols;
    twi_replay_pace_init(&it->pace, options);
    tw_status status = map_instruments(it);
    if (status == TW_OK && options->from_ns != 0)
        status = twi_capture_seek(reader, options->from_ns);
    if (status != TW_OK) {
        snprintf(error, error_cap, "the instruments of the capture: %s", tw_status_name(status));
        replay_fini(it);
        return status;
    }
    *out = (tw_source){.ops = &replay_ops, .state = it};
    return TW_OK;
}

tw_status twi_replay_open(const char *path, const twi_replay_options *options, tw_symbols *symbols, tw_source *out,
                          char *error, size_t error_cap)
{
    twi_capture_reader *reader;
    tw_status status = twi_capture_open(path, &reader, error, error_cap);
    if (status == TW_OK) {
        status = twi_capture_survey(reader);
        if (status == TW_OK && twi_capture_get_info(reader)->event_count != 0)
            return open_events(reader, options, symbols, out, error, error_cap);
        twi_capture_reader_close(reader);
    }
    /* A folder cannot be opened as a capture; whatever else is wrong with the path is said again. */
    if (status == TW_OK || status == TW_NOT_SUPPORTED || status == TW_IO)
        return twi_replay_frames_open(path, options, symbols, out, error, error_cap);
    return status;
}

tw_status twi_replay_parse_speed(const char *text, uint32_t *speed_permille)
{
    tw_decimal speed;
    int64_t permille;
    *speed_permille = TWI_REPLAY_ORIGINAL_PERMILLE;
    if (strcmp(text, "original") == 0)
        return TW_OK;
    if (strcmp(text, "max") == 0) {
        *speed_permille = TWI_REPLAY_FULL_SPEED;
        return TW_OK;
    }
    if (tw_decimal_parse(text, strlen(text), &speed) != TW_OK || tw_decimal_rescale(speed, -3, &permille) != TW_OK ||
        permille < 1 || permille >= TWI_REPLAY_FULL_SPEED)
        return TW_MALFORMED;
    *speed_permille = (uint32_t)permille;
    return TW_OK;
}

const twi_replay_stats *twi_replay_get_stats(const tw_source *source)
{
    const twi_replay_stats *of_frames = twi_replay_frames_stats(source);
    if (of_frames)
        return of_frames;
    TWI_ASSERT(source->ops == &replay_ops);
    return &((const replay *)source->state)->stats;
}

const twi_capture_info *twi_replay_get_info(const tw_source *source)
{
    if (source->ops != &replay_ops)
        return NULL;
    return twi_capture_get_info(((const replay *)source->state)->reader);
}

const twi_player *twi_replay_get_player(const tw_source *source)
{
    return twi_replay_frames_player(source);
}

const twi_recording_stats *twi_replay_get_recording_stats(const tw_source *source)
{
    return twi_replay_frames_recording(source);
}
