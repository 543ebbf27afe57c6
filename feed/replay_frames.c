/* replay_frames.c - plays the frames of a recording through the adapter of the venue that they came from. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/assert.h"
#include "feed/replay_pace.h"

enum { SYMBOL_COUNT_MAX = 512 };

typedef struct frames {
    twi_replay_options options;
    twi_replay_pace pace;
    char *path;
    twi_recording *recording;
    twi_player player;
    twi_frame frame; /* the next one, if has_frame */
    int has_frame, has_ended;
    uint32_t pass;
    uint32_t conn_end; /* one more than the largest connection number so far */
    tw_sink *sink;     /* of the current step */
    tw_sink counting;  /* passes everything on to it */
    twi_replay_stats stats;
} frames;

static tw_event *counting_claim(void *owner)
{
    frames *it = owner;
    return tw_sink_claim(it->sink);
}

static void counting_commit(void *owner)
{
    frames *it = owner;
    it->stats.events++;
    tw_sink_commit(it->sink);
}

static void end(frames *it, tw_status failure)
{
    it->has_ended = 1;
    it->stats.failure = failure;
}

/* All connections go down, and the recording begins again. */
static void begin_pass(frames *it)
{
    char error[256];
    for (uint32_t conn = 0; conn < it->conn_end; conn++)
        it->player.ops->link_down(it->player.state, conn, it->pace.due_ns, TW_REASON_LINK_DOWN, &it->counting);
    twi_recording_close(it->recording);
    it->recording = NULL;
    twi_replay_pace_again(&it->pace);
    tw_status status = twi_recording_open(it->path, &it->recording, error, sizeof(error));
    if (status != TW_OK)
        end(it, status);
}

static void read_frame(frames *it)
{
    tw_status status = twi_recording_next(it->recording, &it->frame);
    if (status == TW_EMPTY && ++it->pass < it->options.repeat_count) {
        begin_pass(it);
        return;
    }
    if (status != TW_OK) {
        end(it, status == TW_EMPTY ? TW_OK : status);
        return;
    }
    it->has_frame = it->frame.kind != TWI_FRAME_CONFIG && it->frame.kind != TWI_FRAME_SENT;
}

/* Connections and answers from before the wanted time count too: without them the messages mean nothing. */
static int is_wanted(const frames *it)
{
    return it->frame.kind != TWI_FRAME_RECV || twi_replay_is_wanted(&it->options, it->frame.recv_ns);
}

static void put_frame(frames *it)
{
    if (it->frame.conn != TWI_CONN_NONE && it->frame.conn >= it->conn_end)
        it->conn_end = it->frame.conn + 1;
    if (it->options.rebases_recv)
        it->frame.recv_ns = it->pace.due_ns;
    it->stats.frames++;
    (void)twi_player_frame(&it->player, &it->frame, &it->counting); /* what is wrong with it, the player counts */
    it->has_frame = 0;
}

static size_t frames_step(void *state, int64_t now_ns, size_t event_max, tw_sink *sink, int64_t *next_ns)
{
    frames *it = state;
    uint64_t before = it->stats.events;
    it->sink = sink;
    twi_replay_pace_start(&it->pace, now_ns);
    *next_ns = now_ns;
    while (!it->has_ended && it->stats.events - before < event_max) {
        if (!it->has_frame) {
            read_frame(it);
            continue;
        }
        if (!is_wanted(it)) {
            it->has_frame = 0;
            continue;
        }
        int64_t due_ns = twi_replay_pace_due(&it->pace, it->frame.recv_ns, now_ns);
        if (due_ns > now_ns) {
            *next_ns = due_ns;
            break;
        }
        put_frame(it);
    }
    if (it->has_ended)
        *next_ns = INT64_MAX;
    return (size_t)(it->stats.events - before);
}

static void frames_fini(void *state)
{
    frames *it = state;
    twi_player_close(&it->player);
    twi_recording_close(it->recording);
    free(it->path);
    free(it);
}

static const tw_source_ops frames_ops = {.name = "replay", .step = frames_step, .fini = frames_fini};

/* What the parts say; `error` gets the reason. */
static tw_status open_parts(frames *it, tw_symbols *symbols, char *error, size_t error_cap)
{
    tw_status status = twi_recording_open(it->path, &it->recording, error, error_cap);
    if (status != TW_OK)
        return status;
    const tw_feed_ops *ops = twi_player_detect(it->path);
    if (!ops) {
        snprintf(error, error_cap, "%s: no venue that is known here", it->path);
        return TW_NOT_SUPPORTED;
    }
    status = twi_player_open(&it->player, ops, symbols, SYMBOL_COUNT_MAX);
    if (status != TW_OK)
        snprintf(error, error_cap, "%s: the adapter of %s says %s", it->path, ops->name, tw_status_name(status));
    return status;
}

tw_status twi_replay_frames_open(const char *path, const twi_replay_options *options, tw_symbols *symbols,
                                 tw_source *out, char *error, size_t error_cap)
{
    frames *it = calloc(1, sizeof(*it));
    if (it)
        it->path = strdup(path);
    if (!it || !it->path) {
        snprintf(error, error_cap, "no memory for a replay");
        free(it);
        return TW_NO_MEMORY;
    }
    it->options = *options;
    it->counting = (tw_sink){counting_claim, counting_commit, it};
    twi_replay_pace_init(&it->pace, options);
    tw_status status = open_parts(it, symbols, error, error_cap);
    if (status != TW_OK) {
        frames_fini(it);
        return status;
    }
    *out = (tw_source){.ops = &frames_ops, .state = it};
    return TW_OK;
}

const twi_replay_stats *twi_replay_frames_stats(const tw_source *source)
{
    return source->ops == &frames_ops ? &((const frames *)source->state)->stats : NULL;
}

const twi_player *twi_replay_frames_player(const tw_source *source)
{
    return source->ops == &frames_ops ? &((const frames *)source->state)->player : NULL;
}

const twi_recording_stats *twi_replay_frames_recording(const tw_source *source)
{
    const frames *it = source->state;
    return source->ops == &frames_ops && it->recording ? twi_recording_get_stats(it->recording) : NULL;
}
