/* log.h - what the program says about itself, on the control path only: start, stop, links, refusals, faults.
 *
 * Usage:     twi_logger logger; twi_logger_init(&logger, STDERR_FILENO, TWI_LOG_INFO, TWI_LOG_TEXT);
 *            twi_log(&logger, TWI_LOG_WARN, "listen", "port %u is taken", port);
 * Lines:     2026-01-31T10:20:30.123456Z warn listen: port 9001 is taken
 *            {"time":"2026-01-31T10:20:30.123456Z","level":"warn","area":"listen","message":"port 9001 is taken"}
 *            One write() per line, so that lines of several threads do not mix. Control characters are escaped.
 * Rate:      one format text may stand TWI_LOG_BURST times in a second; more are counted, and the count is told
 *            when the same text comes again later or at twi_logger_flush(). A hostile peer cannot fill the disk.
 * Thread:    any; takes a lock and a system call, so never between receiving bytes and sending frames.
 * Errors:    a line that cannot be written is lost; nothing else happens. */
#ifndef TWI_LOG_H
#define TWI_LOG_H

#include <pthread.h>
#include <stdint.h>

#include "engine/base/compiler.h"

typedef enum twi_log_level { TWI_LOG_ERROR, TWI_LOG_WARN, TWI_LOG_INFO, TWI_LOG_DEBUG } twi_log_level;
typedef enum twi_log_format { TWI_LOG_TEXT, TWI_LOG_JSON } twi_log_format;

enum {
    TWI_LOG_BURST = 10,           /* lines of one kind per second */
    TWI_LOG_KIND_COUNT = 64,      /* kinds that are told apart; more share a place */
    TWI_LOG_LINE_BYTES_MAX = 4096 /* the rest of a longer line is cut off */
};

/* One kind of line: a format text. */
typedef struct twi_log_kind {
    const char *format, *area;
    twi_log_level level;
    int64_t second;
    uint32_t written, suppressed;
} twi_log_kind;

/* Takes lines instead of a descriptor; called with the logger's lock held. */
typedef void (*twi_log_sink)(void *owner, twi_log_level level, const char *area, const char *message);

typedef struct twi_logger {
    int fd;
    twi_log_sink sink; /* NULL: lines go to fd */
    void *sink_owner;
    twi_log_level level;
    twi_log_format format;
    int64_t (*now_ns)(void); /* Unix time; tests put their own here */
    pthread_mutex_t lock;
    twi_log_kind kinds[TWI_LOG_KIND_COUNT];
} twi_logger;

void twi_logger_init(twi_logger *logger, int fd, twi_log_level level, twi_log_format format);
/* Lines go to sink, unformatted, from now on; before other threads use the logger. */
void twi_logger_redirect(twi_logger *logger, twi_log_sink sink, void *owner);
/* Tells what was suppressed and not told yet. */
void twi_logger_flush(twi_logger *logger);
void twi_logger_fini(twi_logger *logger); /* flushes; the descriptor stays open */

/* `area` is the subsystem; both texts without newline. `format` must be a literal: its address is the kind. */
void twi_log(twi_logger *logger, twi_log_level level, const char *area, const char *format, ...) TWI_PRINTF(4, 5);

#endif
