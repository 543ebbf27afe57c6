/* bot.h - the inside of the bot: options, one worker per thread, one report.
 *
 * Shape:     bot.c is the conductor: it starts the workers, says when measuring begins and ends, shows progress. A
 *            worker owns a client pool and counts alone; nothing is shared while it runs but the phase and, ten times
 *            a second, a copy of its figures. Figures are added up once, at the end.
 * Non-goals: being a library. What can be used by others is in include/tickwire/subscriber.h. */
#ifndef TWI_BOT_H
#define TWI_BOT_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "engine/stats/histogram.h"
#include "subscribers/last_receiver.h"
#include "tickwire/stream.h"
#include "tickwire/subscriber.h"

enum {
    BOT_THREADS_MAX = 64,
    BOT_CONNECTIONS_MAX = 1 << 20,
    BOT_ERRORS_MAX = 64,
    BOT_ERROR_NAME_MAX = 47,
    BOT_CORES_MAX = 64
};

typedef struct bot_options {
    const char *url, *codec, *token, *loop;
    const char *shm; /* name of a ring: instead of url */
    tw_subscription subscription;
    uint32_t connection_count, thread_count;
    uint32_t connect_rate; /* per second, 0: no limit */
    uint32_t recv_buffer_bytes;
    uint32_t slow_count; /* the first so many connections are the slow ones */
    uint32_t core_count;
    int cores[BOT_CORES_MAX];
    int64_t duration_ns, warmup_ns, connect_timeout_ns;
    int64_t stall_after_ns; /* after the measured time began; -1: never */
    int64_t stall_for_ns;   /* 0: for good */
    int64_t read_delay_ns;  /* of a slow connection, after each piece of data */
    const char *hgrm, *dump;
    uint32_t dump_count;
    uint8_t decode;         /* tw_client_decode */
    bool latency_from_recv; /* from recv_ns, not publish_ns */
    bool json, buckets, phases, live, idle, raw, by_url, last_receiver, allow_loss, no_reconnect, spin;
} bot_options;

/* 0: go on; else the exit code plus one (1: help was printed). */
int bot_options_parse(bot_options *options, int argc, char **argv);

typedef enum bot_phase { BOT_CONNECTING = 0, BOT_WARMING_UP = 1, BOT_MEASURING = 2, BOT_ENDING = 3 } bot_phase;

/* Seen by all threads. */
typedef struct bot_run {
    bot_options options;
    atomic_int phase; /* bot_phase */
    atomic_bool stopping;
    FILE *dump;
} bot_run;

/* What a worker has counted; a copy is handed out while it runs. */
typedef struct bot_figures {
    uint64_t messages, bytes; /* in the measured time, slow connections not included */
    uint64_t slow_messages;
    uint64_t untimed;              /* measured messages that say no time */
    uint64_t negative;             /* stamped later than they arrived: clocks differ */
    uint32_t bytes_min, bytes_max; /* of one message */
    int64_t measured_ns;           /* length of the measured time, by this worker's clock */
    uint32_t ready_count, closed_count;
    uint64_t last_incomplete, last_late;
    tw_client_stats stats; /* of the whole run */
} bot_figures;

typedef struct bot_error {
    char name[BOT_ERROR_NAME_MAX + 1];
    uint64_t count;
} bot_error;

typedef struct bot_worker {
    bot_run *run;
    tw_client_pool *pool;
    tw_client **clients;
    tw_stream **streams; /* with --shm: instead of pool and clients */
    bool shm_has_news;
    uint32_t client_count;
    uint32_t slow_count; /* the first ones of this worker */
    int core;            /* -1: not pinned */
    bot_phase phase;
    int64_t measure_begin_ns, measure_end_ns;
    bool stalled, stall_over;
    uint32_t dumped;
    twi_histogram *latency, *last, *first;
    twi_last_receiver last_receiver;
    bot_figures figures;
    bot_error errors[BOT_ERRORS_MAX];
    uint32_t error_count;
    /* Slow connections that wait to read on, oldest first. */
    struct bot_delay {
        tw_client *client;
        int64_t resume_ns;
    } * delays;
    uint32_t delay_head, delay_count;
    bool *resting; /* by client: is among the delays */
    char loop_name[32];
    char loop_reason[1024];
    atomic_bool failed;
    char failure[1024]; /* why it could not run */
    pthread_t thread;
    pthread_mutex_t lock; /* of published */
    bot_figures published;
} bot_worker;

/* Takes memory. false: failure says why. Pool and clients are opened by the thread, bot_worker_main(). */
bool bot_worker_open(bot_worker *worker, bot_run *run, uint32_t first, uint32_t count, int core);
void *bot_worker_main(void *worker);
void bot_worker_figures(bot_worker *worker, bot_figures *figures); /* any thread */
void bot_worker_close(bot_worker *worker);

/* bot_shm.c: what the worker's thread does with --shm. */
bool bot_shm_open(bot_worker *worker);
void bot_shm_poll(bot_worker *worker, int64_t timeout_ns);
void bot_shm_figures(bot_worker *worker);
void bot_shm_close(bot_worker *worker);

/* Everything that the report shows, over all workers. */
typedef struct bot_report {
    const bot_options *options;
    const char *loop_name, *loop_reason;
    bot_figures sum;
    double elapsed_s; /* measured */
    double cpu_user_s, cpu_system_s;
    uint64_t memory_bytes, memory_peak_bytes;
    uint32_t connected;
    bool interrupted;
    twi_histogram *latency, *last, *first;
    bot_error errors[BOT_ERRORS_MAX];
    uint32_t error_count;
} bot_report;

void bot_report_add(bot_report *report, const bot_worker *worker);
void bot_report_text(const bot_report *report, FILE *out);
void bot_report_json(const bot_report *report, FILE *out);
/* Writes the latencies as HdrHistogram percentile text; false: errno says why. */
bool bot_report_hgrm(const bot_report *report, const char *path);
/* 0: everything asked for came, in order; 1 otherwise. */
int bot_report_exit_code(const bot_report *report);

#endif
