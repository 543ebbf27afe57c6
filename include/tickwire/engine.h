/* engine.h - the whole engine, or a part of it, inside your own program.
 *
 * Job:       what the program `engine` does, without owning your process: no signal handler, no exit(), nothing on
 *            stdout or stderr, no state outside of the tw_engine, so that several live side by side.
 * Parts:     feeds and WebSocket (the default), feeds only (readers come over the ring), WebSocket only (your program
 *            publishes), or neither (a ring in shared memory). A program that only reads needs no engine: see ring.h,
 *            and subscriber.h for a connection.
 * Drive:     TW_ENGINE_THREADS: open, start, do your own work, stop. TW_ENGINE_STEPPED: no thread is made, your loop
 *            calls tw_engine_step(). In both the settings decide: engine.loop, engine.idle, engine.threads, ...
 * Publish:   tw_engine_sink() is the ring itself: claim, fill in, commit; tw_engine_flush() after each batch. The ring
 *            has ONE producer. With threads and feeds that is the engine's feed thread, and your events go through a
 *            source of your own (tw_engine_source), which that thread asks; otherwise it is your thread, always the
 *            same one.
 * Thread:    open, start, stop and close from one thread at a time, never from a callback of the engine; the producer's
 *            calls (sink, flush, instrument) from the producer's; what only reads (port, counters, symbols) from any.
 * Ownership: texts and arrays given to tw_engine_open() are copied; ops, sources, their owners and the log's owner must
 *            live until tw_engine_close(). What is returned lives until then too, unless it says otherwise.
 * Errors:    a tw_status; tw_engine_open() also writes what failed and what to change.
 * Times:     nanoseconds; _ns alone is Unix time or a duration, as said.
 *
 *     tw_engine_options options;
 *     tw_engine_options_init(&options, sizeof options);
 *     options.parts = TW_ENGINE_SERVER;                                       (WebSocket without feeds)
 *     options.config_text = "listen.port = 9001";
 *     tw_engine *engine;
 *     char error[1024];
 *     if (tw_engine_open(&options, &engine, error, sizeof error) != TW_OK || tw_engine_start(engine) != TW_OK) ...
 *     uint32_t instrument;
 *     tw_engine_instrument(engine, "mine", "BTC/USDT", NULL, &instrument);
 *     tw_sink sink;
 *     tw_engine_sink(engine, &sink);
 *     tw_event *event = tw_sink_claim(&sink);
 *     ... fill it in ...
 *     tw_sink_commit(&sink);
 *     tw_engine_flush(engine);
 *     tw_engine_close(engine);
 */
#ifndef TICKWIRE_ENGINE_H
#define TICKWIRE_ENGINE_H

#include <stddef.h>
#include <stdint.h>

#include "tickwire/codec.h"
#include "tickwire/feed.h"
#include "tickwire/ring.h"
#include "tickwire/status.h"
#include "tickwire/symbols.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct tw_engine tw_engine;

enum {
    TW_ENGINE_FEEDS = 1 << 0,  /* the [[feed]] tables of the configuration; one simulator if it has none */
    TW_ENGINE_SERVER = 1 << 1, /* WebSocket and HTTP: publisher, shards, listeners */
    TW_ENGINE_CODECS_MAX = 2   /* of your own, beside json and flatbuffers */
};

typedef enum tw_engine_drive {
    TW_ENGINE_THREADS = 0, /* tw_engine_start() and threads of the engine's own */
    TW_ENGINE_STEPPED = 1  /* tw_engine_step() from the thread that opened it; engine.threads = 1 */
} tw_engine_drive;

typedef enum tw_log_level { TW_LOG_ERROR = 0, TW_LOG_WARN = 1, TW_LOG_INFO = 2, TW_LOG_DEBUG = 3 } tw_log_level;

/* One line about the engine itself; area is the subsystem. From any thread of the engine, one at a time; both texts are
 * lent for the call. What is logged is decided by logging.level; equal lines are limited per second. */
typedef void (*tw_log_fn)(void *owner, tw_log_level level, const char *area, const char *message);

/* A feed of your own that makes its events itself (see tw_source_ops in feed.h). */
typedef struct tw_engine_source {
    const char *name; /* of its counters: tickwire_feed_events_total{feed="name"} */
    /* Called once by tw_engine_open(): interns its instruments in symbols (also later, from step()), and fills in
     * *source. Not TW_OK: opening fails with this status and the text in error. The source's step() is called by the
     * producer's thread, its fini() by tw_engine_close(); fini may be NULL. */
    tw_status (*open)(void *owner, tw_symbols *symbols, tw_source *source, char *error, size_t error_cap);
    void *owner;
} tw_engine_source;

/* Filled in by tw_engine_options_init(); later versions add members at the end and know by `size` which there are. */
typedef struct tw_engine_options {
    size_t size;
    const char *config_path;     /* a TOML file as of `engine -c`; NULL: none */
    const char *config_text;     /* the same as text; NULL: none. One of both at most. */
    const char *const *settings; /* "section.key=value", as on the command line; they win over file and text */
    uint32_t setting_count;
    uint32_t parts;           /* TW_ENGINE_FEEDS | TW_ENGINE_SERVER by default */
    uint32_t drive;           /* tw_engine_drive */
    uint32_t use_environment; /* 1: TICKWIRE_SECTION_KEY win over file and text; 0: the environment is not read */
    const tw_engine_source *sources;
    uint32_t source_count;
    uint32_t codec_count;              /* TW_ENGINE_CODECS_MAX at most */
    const tw_codec_ops *const *codecs; /* a client asks for one by name: ?codec=NAME */
    tw_log_fn log;                     /* NULL: nothing is logged */
    void *log_owner;
    /* Adapters of your own: found by name like the built-in ones, [[feed]] type = "venue", exchange = NAME. */
    const tw_feed_ops *const *venues;
    uint32_t venue_count;
    uint32_t reserved;
} tw_engine_options;

/* Everything 0 or NULL but size and parts. size: sizeof of the struct as your program was compiled with it, so that an
 * older program and a newer library agree. */
TW_API void tw_engine_options_init(tw_engine_options *options, size_t size);

/* Reads the configuration, reserves the memory, opens feeds, listens. TW_BAD_ARGUMENT: options that contradict each
 * other; TW_BAD_CONFIG, TW_IO: the configuration, one line per fault; TW_UNAVAILABLE: address in use, no such loop, no
 * threads; TW_NO_MEMORY. On failure nothing is left behind and *engine is NULL. error (of error_cap bytes, 1024 are
 * enough for most; may be NULL) becomes NUL-terminated text with the remedy. */
TW_API TW_MUST_USE tw_status tw_engine_open(const tw_engine_options *options, tw_engine **engine, char *error,
                                            size_t error_cap);

/* TW_ENGINE_THREADS: serves from now on, returns at once. TW_UNAVAILABLE: the system gives no more threads;
 * TW_BAD_ARGUMENT: it is stepped, or was started before. */
TW_API TW_MUST_USE tw_status tw_engine_start(tw_engine *engine);

/* TW_ENGINE_STEPPED: one turn of everything. If there is nothing to do, sleeps until there is, at most timeout_ns (0:
 * not at all; engine.idle = "spin" or "yield": never). Returns the amount of work done. Only from the thread that
 * opened it, and at least once a second where others read the ring: they take a silent producer for dead.
 * Another thread's call ends the process with an assertion, as does one of tw_engine_stop(). */
TW_API uint32_t tw_engine_step(tw_engine *engine, int64_t timeout_ns);

/* Ends gracefully: subscribers get what is pending and a close frame, for engine.stop_timeout at most. Returns when no
 * thread of the engine runs any more on its work. An engine that stopped does not start again. Twice is harmless. */
TW_API void tw_engine_stop(tw_engine *engine);

/* Stops if need be and frees everything; NULL is harmless. Nobody may use the engine or what it lent meanwhile. */
TW_API void tw_engine_close(tw_engine *engine);

/* ---- publishing ---- */

/* Where your events go, valid until close. TW_NOT_SUPPORTED: the ring has its producer already, because the engine runs
 * feeds in threads: register a tw_engine_source. */
TW_API TW_MUST_USE tw_status tw_engine_sink(tw_engine *engine, tw_sink *sink);

/* After a batch of commits: makes who sleeps look. Without it events are seen within 100 ms. Costs a system call only
 * when somebody sleeps. */
TW_API void tw_engine_flush(tw_engine *engine);

/* Events that were committed and are not framed for subscribers yet. A program that publishes faster than it happens
 * (a backfill) rests while this is above half of ring.slots; what is overwritten before is lost, counted in
 * tickwire_ring_lapped_events_total, and told to subscribers. Producer's thread; 0 without TW_ENGINE_SERVER. */
TW_API uint64_t tw_engine_backlog(const tw_engine *engine);

/* Finds or adds an instrument, before the start or at any time later; *instrument is what tw_event.instrument wants.
 * venue_id may be NULL. TW_FULL: ring.instruments_max; TW_TOO_BIG, TW_BAD_ARGUMENT: a name (see tw_symbols_intern).
 * Producer's thread only; where the engine's feed thread is the producer, before tw_engine_start() only. */
TW_API TW_MUST_USE tw_status tw_engine_instrument(tw_engine *engine, const char *exchange, const char *symbol,
                                                  const char *venue_id, uint32_t *instrument);

/* ---- reading in the same process ---- */

/* A reader of the ring, starting at the next event to come; one per reading thread. Release with
 * tw_ring_reader_close(), also after the engine is closed. Other processes use tw_ring_attach() with the setting
 * ring.name. TW_NO_MEMORY. */
TW_API TW_MUST_USE tw_status tw_engine_reader_open(tw_engine *engine, tw_ring_reader **reader);

/* ---- figures ---- */

/* The instrument table; any thread may look while the producer adds. */
TW_API const tw_symbols *tw_engine_symbols(const tw_engine *engine);
/* The TCP port that is listened on, the one taken if listen.port = 0; 0 without TW_ENGINE_SERVER. */
TW_API uint16_t tw_engine_port(const tw_engine *engine);
/* "io_uring", "epoll" or "kqueue"; "" without TW_ENGINE_SERVER. */
TW_API const char *tw_engine_loop_name(const tw_engine *engine);
/* Bytes that the configuration reserves at open: ring, logs, tables, books, clients. */
TW_API uint64_t tw_engine_memory_bytes(const tw_engine *engine);
/* 1: every feed has come to its end (a recording was played), or there is none. */
TW_API int tw_engine_feeds_ended(const tw_engine *engine);

typedef struct tw_engine_counter {
    const char *name;   /* "tickwire_closes_total"; stable, as in /metrics */
    const char *labels; /* "" or code="1000" */
    const char *help;
    uint64_t value;   /* summed over feeds and threads */
    uint8_t is_gauge; /* 1: it goes up and down */
    uint8_t is_ns;    /* 1: value is in nanoseconds (in /metrics: seconds) */
    uint8_t reserved[6];
} tw_engine_counter;

/* Counters by index from 0. TW_EMPTY: no such index. */
TW_API TW_MUST_USE tw_status tw_engine_counter_at(const tw_engine *engine, uint32_t index, tw_engine_counter *counter);
/* A counter by its name, all labels summed, or by name{label="value"} as in /metrics, also of one feed or thread:
 * tickwire_feed_events_total{feed="binance"}. TW_EMPTY: there is none of that name. */
TW_API TW_MUST_USE tw_status tw_engine_counter_find(const tw_engine *engine, const char *name, uint64_t *value);
/* Everything of /metrics that is counted, as Prometheus text. Returns the bytes of the whole text without its NUL, like
 * snprintf; out may be NULL if cap is 0. Allocates while it works; 0: no memory. */
TW_API size_t tw_engine_metrics(const tw_engine *engine, char *out, size_t cap);

/* "0.1.0": of the library that is loaded. */
TW_API const char *tw_version(void);

#ifdef __cplusplus
}
#endif
#endif
