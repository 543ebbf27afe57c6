/* settings.h - every setting of the engine as plain fields: what `engine -c FILE` reads, what subsystems start with.
 *
 * Job:       one struct per section, filled and checked by config.h from the schema in settings.c.
 * Usage:     twi_settings_load(), read the fields, twi_settings_close() at the end. Nothing changes after loading.
 * Units:     in the names: _bytes, _ns, _per_second, _percent; counts have no unit.
 * Adding:    a field here, one line in settings.c; example file and manual follow (a test compares them).
 * Non-goals: defaults anywhere else. A subsystem's own options struct is filled by the composition root. */
#ifndef TWI_SETTINGS_H
#define TWI_SETTINGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/base/config.h"
#include "engine/base/limits.h"
#include "engine/base/log.h"
#include "tickwire/status.h"

typedef enum twi_idle { TWI_IDLE_BLOCK, TWI_IDLE_YIELD, TWI_IDLE_SPIN } twi_idle;

typedef enum twi_policy { TWI_POLICY_ALL, TWI_POLICY_DROP, TWI_POLICY_DISCONNECT, TWI_POLICY_CONFLATE } twi_policy;

typedef enum twi_feed_type { TWI_FEED_SIM, TWI_FEED_REPLAY, TWI_FEED_VENUE } twi_feed_type;
typedef enum twi_tls_min { TWI_TLS_MIN_12, TWI_TLS_MIN_13 } twi_tls_min;
typedef enum twi_feed_mode { TWI_FEED_FIXED, TWI_FEED_BURST } twi_feed_mode;

typedef struct twi_settings_engine {
    int64_t threads;       /* 1: everything is a step of one loop; N > 1: N shards, feed and publisher apart */
    const char *loop;      /* "auto" "io_uring" "epoll" "kqueue": for twi_loop_open() */
    int idle;              /* twi_idle */
    twi_int_list pin_cpus; /* CPU of thread 0, 1, ...; empty: not pinned */
    int64_t stop_timeout_ns;
} twi_settings_engine;

typedef struct twi_settings_listen {
    const char *host;
    int64_t port;          /* 0: any free one */
    const char *unix_path; /* "": none */
    int64_t unix_mode;
    int64_t backlog;
} twi_settings_listen;

typedef struct twi_settings_limits {
    int64_t connections_max;   /* all shards together */
    int64_t subscriptions_max; /* topics of one client */
    int64_t groups_max;        /* distinct subscription sets, per shard */
    int64_t message_bytes_max; /* from a client */
    int64_t http_head_bytes_max;
    int64_t handshake_timeout_ns;
    int64_t ping_interval_ns;
    int64_t pong_timeout_ns;
} twi_settings_limits;

typedef struct twi_settings_ring {
    const char *name; /* "": anonymous */
    int64_t slots;    /* power of two */
    int64_t instruments_max;
    bool huge_pages;
    int64_t numa_node; /* -1: wherever it comes */
    int64_t mode;
    int64_t refresh_ns; /* 0: never */
} twi_settings_ring;

/* The framed bytes, one log per codec. */
typedef struct twi_settings_wire_log {
    int64_t bytes;       /* power of two */
    int64_t index_slots; /* power of two; 0: twi_settings_index_slots() */
    int64_t lag_percent_max;
    int default_policy; /* twi_policy */
} twi_settings_wire_log;

typedef struct twi_settings_book {
    int64_t depth_max; /* levels per side */
} twi_settings_book;

typedef struct twi_settings_candles {
    int64_t history; /* closed candles kept per instrument and interval */
    int64_t close_delay_ns;
} twi_settings_candles;

/* What is answered over HTTP beside the stream. */
typedef struct twi_settings_http {
    int64_t trade_history; /* last trades kept per instrument */
    int64_t pending_bytes_max;
    const char *allow_origin; /* "": no CORS header */
} twi_settings_http;

typedef struct twi_settings_stream {
    int64_t heartbeat_ns;
    int64_t snapshot_budget_bytes; /* per client and turn of the loop */
} twi_settings_stream;

typedef struct twi_settings_auth {
    twi_string_list tokens; /* empty: everybody may connect */
} twi_settings_auth;

/* Control-path messages of the engine about itself. */
typedef struct twi_settings_logging {
    int level;  /* twi_log_level */
    int format; /* twi_log_format */
} twi_settings_logging;

/* Faults that are made on purpose, to test what measures. */
typedef struct twi_settings_test {
    int64_t stall_ns; /* 0: none */
    int64_t stall_interval_ns;
} twi_settings_test;

typedef struct twi_settings_feed {
    int type;             /* twi_feed_type */
    const char *exchange; /* sim: the name it uses; venue: which one */
    /* sim */
    int64_t instruments;
    int64_t rate_per_second; /* 0: as fast as the engine takes them */
    int mode;                /* twi_feed_mode */
    int64_t burst_branch_permille;
    int64_t burst_decay_ns;
    int64_t seed;
    int64_t book_depth;
    int64_t trade_share, quote_share, book_share, snapshot_share;
    int64_t message_count_max; /* 0: never ends */
    /* replay */
    const char *file;
    const char *speed; /* "original", "max" or a factor such as "2.5" */
    /* venue */
    twi_string_list symbols;
    twi_string_list channels;
    int64_t depth;                     /* levels per side; 0: the venue's usual */
    bool redundant;                    /* a second connection per stream */
    const char *stream_url, *rest_url; /* "": the venue's own */
    const char *proxy;                 /* "": from the environment; "none" */
    const char *ca_file;               /* "": the system's authorities */
    int tls_min;                       /* twi_tls_min */
    int64_t message_bytes_max;         /* 0: the venue's */
    int64_t connect_timeout_ns, handshake_timeout_ns;
    int64_t retry_max_ns;
} twi_settings_feed;

typedef struct twi_settings {
    twi_settings_engine engine;
    twi_settings_listen listen;
    twi_settings_limits limits;
    twi_settings_ring ring;
    twi_settings_wire_log wire_log;
    twi_settings_book book;
    twi_settings_candles candles;
    twi_settings_http http;
    twi_settings_stream stream;
    twi_settings_auth auth;
    twi_settings_logging logging;
    twi_settings_test test;
    const twi_settings_feed *feeds;
    uint32_t feed_count;
} twi_settings;

extern const twi_config_schema twi_settings_schema;

/* What a command line asks for. */
typedef enum twi_settings_action {
    TWI_ACTION_RUN,
    TWI_ACTION_CHECK,   /* --check-config */
    TWI_ACTION_PRINT,   /* --print-config: effective values and where each comes from */
    TWI_ACTION_EXAMPLE, /* --example-config: a commented file with every key */
    TWI_ACTION_HELP,
    TWI_ACTION_VERSION
} twi_settings_action;

typedef struct twi_settings_command {
    twi_settings_action action;
    const char *path;   /* of -c, for messages; NULL: none given */
    twi_config *config; /* NULL for EXAMPLE, HELP and VERSION */
    const twi_settings *settings;
} twi_settings_command;

/* Reads the command line (`argv` must outlive the result), the file and `environment` (may be NULL).
 * TW_BAD_ARGUMENT: the command line itself is wrong; TW_BAD_CONFIG, TW_IO, TW_NO_MEMORY as of twi_config_load().
 * `errors` says what to mend, one line each. TW_OK: release with twi_settings_close(). */
TW_MUST_USE tw_status twi_settings_load(int argc, char **argv, char *const *environment, twi_settings_command *command,
                                        char *errors, size_t errors_cap);
void twi_settings_close(twi_settings_command *command);

/* Are books repeated on the ring? Readers in other processes come when they like, and a publisher in a thread of its
 * own can be overtaken; otherwise nobody needs it. */
bool twi_settings_refreshes(const twi_settings *settings);

/* The text of --help. Static. */
const char *twi_settings_help(void);

/* wire_log.index_slots, or what it is if that is 0: enough for messages of 64 bytes. */
int64_t twi_settings_index_slots(const twi_settings *settings);

/* --- memory, computed before anything is allocated --- */

/* Sizes that only their owners know; the composition root fills them in. 0 leaves the line out of the report. */
typedef struct twi_memory_unit_sizes {
    size_t ring_slot, instrument; /* of the tick ring */
    size_t ring_last;             /* last values of a named ring, per instrument */
    uint32_t codec_count;         /* wire logs */
    size_t index_entry;           /* of a wire log's index */
    size_t topic;                 /* last values, per instrument */
    size_t book_level;
    size_t candle_series; /* of one instrument */
    size_t trade;         /* that is kept for HTTP */
    size_t http_shard;    /* rendered responses and questions of one shard */
    size_t client, group;
    size_t loop_sock; /* per connection and listener */
    size_t recv_buffer;
    uint32_t recv_buffer_count; /* per shard */
} twi_memory_unit_sizes;

enum { TWI_MEMORY_HOLDER_COUNT_MAX = 24 };

typedef struct twi_memory_holder {
    const char *name; /* "tick ring" */
    uint64_t count, unit_bytes, bytes;
} twi_memory_holder;

typedef struct twi_memory_report {
    uint32_t holder_count;
    twi_memory_holder holders[TWI_MEMORY_HOLDER_COUNT_MAX];
    uint64_t total_bytes;
} twi_memory_report;

/* The holders that follow from the settings alone; more can be added behind them. */
void twi_settings_memory(const twi_settings *settings, const twi_memory_unit_sizes *sizes, twi_memory_report *report);
void twi_memory_add(twi_memory_report *report, const char *name, uint64_t count, uint64_t unit_bytes);
/* One line per holder and the total. Returns bytes like snprintf. */
size_t twi_memory_report_print(const twi_memory_report *report, char *out, size_t cap);

#endif
