/* feed.h - the adapter seam: bytes in, events out, and what to say next.
 *
 * Shape:    an adapter is pure protocol code. It owns no socket, thread, clock or allocation, so that it runs the same
 *           from a live connection, a recording, a test or a fuzzer. The engine owns `state` (state_size zeroed bytes).
 * Sink:     where events go. claim() gives the slot to fill (never NULL), commit() publishes it. In the engine it is
 *           the tick ring itself: no copy between parser and ring.
 * Sources:  a self-driven feed (simulator, replay) has no connection; it implements step() instead of on_message().
 * Thread:   all calls for one state come from one thread. */
#ifndef TICKWIRE_FEED_H
#define TICKWIRE_FEED_H

#include <stddef.h>
#include <stdint.h>

#include "tickwire/event.h"
#include "tickwire/symbols.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Where a feed puts its events. The two functions are those of the ring in the engine, of an array in tests. */
typedef struct tw_sink {
    tw_event *(*claim)(void *owner);
    void (*commit)(void *owner);
    void *owner;
} tw_sink;

static inline tw_event *tw_sink_claim(tw_sink *sink)
{
    return sink->claim(sink->owner);
}
static inline void tw_sink_commit(tw_sink *sink)
{
    sink->commit(sink->owner);
}

/* A feed that makes its own events (simulator, replay of a capture). */
typedef struct tw_source_ops {
    const char *name; /* "sim", "replay" */
    /* Puts the events that are due at now_ns (Unix time) into the sink, at most event_max, whole groups only.
     * Returns how many events it put; *next_ns is when it wants to be called again (INT64_MAX: it has ended). */
    size_t (*step)(void *state, int64_t now_ns, size_t event_max, tw_sink *sink, int64_t *next_ns);
    void (*fini)(void *state);
} tw_source_ops;

typedef struct tw_source {
    const tw_source_ops *ops;
    void *state;
} tw_source;

#ifdef __cplusplus
}
#endif
#endif
