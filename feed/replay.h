/* replay.h - a recording as a source: at original, scaled or full speed.
 *
 * Job:      feed.type = "replay", and the input of tests and benchmarks that need real traffic.
 * Captures: of events are played as they are: the same events, byte for byte, but for `instrument` (the same instrument
 *           has another number if the table holds others already) and, if asked for, recv_ns.
 * Frames:   of a venue (in a capture, or a recording of cryptofeed or hftbacktest, or a folder of one) go through that
 *           venue's adapter, as they did when they came from the venue.
 * Pace:     a group (or frame) is due as long after the start as it came after the first one when it was recorded,
 *           divided by the speed. The schedule does not depend on when step() is called; late steps catch up.
 * Losses:   where the recorder itself missed events, every instrument gets STATUS gap, reason ring_lapped: books are
 *           not right from there until their next snapshot.
 * Memory:   one block of the capture; buffers grow to its largest block and stay. step() reads from the file and may
 *           block for it. Frames also need the adapter's state. */
#ifndef TWI_REPLAY_H
#define TWI_REPLAY_H

#include <stddef.h>
#include <stdint.h>

#include "feed/capture.h"
#include "feed/player.h"
#include "tickwire/feed.h"

#define TWI_REPLAY_FULL_SPEED UINT32_MAX

typedef struct twi_replay_options {
    uint32_t speed_permille; /* 1000: as recorded, 2000: twice as fast; 0: 1000; TWI_REPLAY_FULL_SPEED: no waiting */
    uint8_t rebases_recv;    /* 1: recv_ns becomes the time at which the event is due now (full speed: now_ns) */
    uint32_t repeat_count;   /* how often the whole is played, 0: once */
    int64_t start_ns;        /* Unix time at which the first event is due, 0: the now_ns of the first step() */
    int64_t from_ns;         /* only events received from then on by the recorder's clock, 0: all */
    int64_t until_ns;        /* only those received before, 0: all */
} twi_replay_options;

typedef struct twi_replay_stats {
    uint64_t events; /* put into the sink */
    uint64_t groups;
    uint64_t frames;   /* handed to the adapter */
    uint64_t unknown;  /* events of an instrument that the capture does not define: left out */
    uint64_t lost;     /* that the recorder missed */
    tw_status failure; /* why it ended early; TW_OK: it did not */
} twi_replay_stats;

/* A capture's instruments are interned in the order of their numbers: into an empty table, they keep them.
 * TW_IO, TW_NOT_SUPPORTED (nothing in it that can be played, or a venue that is not known), TW_MALFORMED, TW_FULL
 * (symbols), TW_NO_MEMORY. */
TW_MUST_USE tw_status twi_replay_open(const char *path, const twi_replay_options *options, tw_symbols *symbols,
                                      tw_source *out, char *error, size_t error_cap);
/* "original", "max", or how many times faster: "2", "0.5". TW_MALFORMED: none of these, or slower than 0.001. */
TW_MUST_USE tw_status twi_replay_parse_speed(const char *text, uint32_t *speed_permille);

/* Of a source that twi_replay_open() made. */
const twi_replay_stats *twi_replay_get_stats(const tw_source *source);
const twi_capture_info *twi_replay_get_info(const tw_source *source);               /* NULL: frames are played */
const twi_player *twi_replay_get_player(const tw_source *source);                   /* NULL: events are played */
const twi_recording_stats *twi_replay_get_recording_stats(const tw_source *source); /* NULL: events are played */

#endif
