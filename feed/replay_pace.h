/* replay_pace.h - when what was recorded at some time is due now. For feed/replay*.c only. */
#ifndef TWI_REPLAY_PACE_H
#define TWI_REPLAY_PACE_H

#include "feed/replay.h"

enum { TWI_REPLAY_ORIGINAL_PERMILLE = 1000 };

typedef struct twi_replay_pace {
    uint32_t speed_permille;
    int64_t origin_ns; /* recorded time of the first thing; 0: not known yet */
    int64_t start_ns;  /* when that one is due; 0: not known yet */
    int64_t due_ns;    /* of the last thing: time does not run backward */
} twi_replay_pace;

/* The options with defaults filled in. */
static inline void twi_replay_pace_init(twi_replay_pace *pace, const twi_replay_options *options)
{
    *pace = (twi_replay_pace){.speed_permille = options->speed_permille, .start_ns = options->start_ns};
    if (pace->speed_permille == 0)
        pace->speed_permille = TWI_REPLAY_ORIGINAL_PERMILLE;
    pace->due_ns = pace->start_ns;
}

/* To be called by each step(): without a start time, the first one is the start. */
static inline void twi_replay_pace_start(twi_replay_pace *pace, int64_t now_ns)
{
    if (pace->start_ns == 0)
        pace->start_ns = now_ns;
}

/* The next thing is the first one again: it is due when the last one was. */
static inline void twi_replay_pace_again(twi_replay_pace *pace)
{
    pace->origin_ns = 0;
    pace->start_ns = pace->due_ns;
}

/* span / speed, exact, and without overflow for spans of many years. */
static inline int64_t twi_replay_pace_scale(const twi_replay_pace *pace, int64_t span_ns)
{
    int64_t speed = pace->speed_permille, one = TWI_REPLAY_ORIGINAL_PERMILLE;
    return speed == one ? span_ns : span_ns / speed * one + span_ns % speed * one / speed;
}

/* When what was recorded at recv_ns is due. At full speed that is always now. */
static inline int64_t twi_replay_pace_due(twi_replay_pace *pace, int64_t recv_ns, int64_t now_ns)
{
    if (pace->speed_permille == TWI_REPLAY_FULL_SPEED) {
        pace->due_ns = now_ns;
        return now_ns;
    }
    if (pace->origin_ns == 0)
        pace->origin_ns = recv_ns;
    int64_t span_ns = recv_ns > pace->origin_ns ? recv_ns - pace->origin_ns : 0;
    int64_t due_ns = pace->start_ns + twi_replay_pace_scale(pace, span_ns);
    if (due_ns > pace->due_ns)
        pace->due_ns = due_ns;
    return pace->due_ns;
}

static inline int twi_replay_is_wanted(const twi_replay_options *options, int64_t recv_ns)
{
    return (options->from_ns == 0 || recv_ns >= options->from_ns) &&
           (options->until_ns == 0 || recv_ns < options->until_ns);
}

/* Frames of a venue (replay_frames.c); `path` is what twi_recording_open() takes. */
TW_MUST_USE tw_status twi_replay_frames_open(const char *path, const twi_replay_options *options, tw_symbols *symbols,
                                             tw_source *out, char *error, size_t error_cap);
const twi_replay_stats *twi_replay_frames_stats(const tw_source *source); /* NULL: the source is another one */
const twi_player *twi_replay_frames_player(const tw_source *source);
const twi_recording_stats *twi_replay_frames_recording(const tw_source *source);

#endif
