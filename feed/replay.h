/* replay.h - a recording as a source: the events of a capture again, at original, scaled or full speed.
 *
 * Job:      feed.type = "replay", and the input of tests and benchmarks that need real traffic.
 * Same:     the events are those of the capture, byte for byte, but for `instrument` (the same instrument has another
 *           number if the table holds others already) and, if asked for, recv_ns.
 * Pace:     a group is due as long after the start as it came after the first one when it was recorded, divided by the
 *           speed. The schedule does not depend on when step() is called; late steps catch up.
 * Losses:   where the recorder itself missed events, every instrument gets STATUS gap, reason ring_lapped: books are
 *           not right from there until their next snapshot.
 * Memory:   one block of the capture; buffers grow to its largest block and stay. step() reads from the file and may
 *           block for it.
 * Non-goals: venue frames (replay_frames.h). */
#ifndef TWI_REPLAY_H
#define TWI_REPLAY_H

#include <stddef.h>
#include <stdint.h>

#include "feed/capture.h"
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
    uint64_t unknown;  /* events of an instrument that the capture does not define: left out */
    uint64_t lost;     /* that the recorder missed */
    tw_status failure; /* why it ended early; TW_OK: it did not */
} twi_replay_stats;

/* Interns the capture's instruments in the order of their numbers: into an empty table, they keep them.
 * TW_IO, TW_NOT_SUPPORTED (no capture, or one without events), TW_MALFORMED, TW_FULL (symbols), TW_NO_MEMORY. */
TW_MUST_USE tw_status twi_replay_open(const char *path, const twi_replay_options *options, tw_symbols *symbols,
                                      tw_source *out, char *error, size_t error_cap);
/* The same over a capture in memory, which must outlive the source. */
TW_MUST_USE tw_status twi_replay_open_bytes(const uint8_t *bytes, size_t len, const twi_replay_options *options,
                                            tw_symbols *symbols, tw_source *out, char *error, size_t error_cap);

/* Of a source that twi_replay_open() made. */
const twi_replay_stats *twi_replay_get_stats(const tw_source *source);
const twi_capture_info *twi_replay_get_info(const tw_source *source);

#endif
