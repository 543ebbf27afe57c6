/* log.c - one line per call, written whole, limited per kind. See log.h. */
#include "engine/base/log.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "engine/base/clock.h"
#include "engine/base/text.h"

#define NS_PER_S INT64_C(1000000000)

static const char *const level_names[] = {"error", "warn", "info", "debug"};

static int64_t wall_clock(void)
{
    return twi_realtime_ns();
}

void twi_logger_init(twi_logger *logger, int fd, twi_log_level level, twi_log_format format)
{
    *logger = (twi_logger){.fd = fd, .level = level, .format = format, .now_ns = wall_clock};
    pthread_mutex_init(&logger->lock, NULL);
}

void twi_logger_redirect(twi_logger *logger, twi_log_sink sink, void *owner)
{
    logger->sink = sink;
    logger->sink_owner = owner;
}

static void add_time(twi_text *line, int64_t now_ns)
{
    time_t seconds = (time_t)(now_ns / NS_PER_S);
    struct tm utc;
    if (!gmtime_r(&seconds, &utc))
        utc = (struct tm){.tm_mday = 1};
    twi_text_add(line, "%04d-%02d-%02dT%02d:%02d:%02d.%06dZ", utc.tm_year + 1900, utc.tm_mon + 1, utc.tm_mday,
                 utc.tm_hour, utc.tm_min, utc.tm_sec, (int)(now_ns % NS_PER_S / 1000));
}

/* Bytes that could break a line or a terminal, and in JSON what its grammar wants, become escapes. */
static void add_escaped(twi_text *line, const char *message, bool is_json)
{
    for (; *message; message++) {
        unsigned char c = (unsigned char)*message;
        if (c < 0x20 || c == 0x7f)
            twi_text_add(line, is_json ? "\\u%04x" : "\\x%02x", c);
        else if (is_json && (c == '"' || c == '\\'))
            twi_text_add(line, "\\%c", c);
        else
            twi_text_add(line, "%c", c);
    }
}

/* Where a line that was cut off may end: not inside an escape of at most six bytes. */
static size_t cut_before_escape(const char *bytes, size_t length)
{
    for (size_t i = length - 6; i < length; i++) {
        if (bytes[i] != '\\')
            continue;
        while (bytes[i - 1] == '\\')
            i--;
        return i;
    }
    return length;
}

static void write_line(twi_logger *logger, twi_log_level level, const char *area, const char *message, int64_t now_ns)
{
    if (logger->sink) {
        logger->sink(logger->sink_owner, level, area, message);
        return;
    }
    char bytes[TWI_LOG_LINE_BYTES_MAX];
    bool is_json = logger->format == TWI_LOG_JSON;
    twi_text line = {.out = bytes, .cap = sizeof(bytes) - 4}; /* room for the end of the line */
    twi_text_add(&line, is_json ? "{\"time\":\"" : "%s", "");
    add_time(&line, now_ns);
    twi_text_add(&line, is_json ? "\",\"level\":\"%s\",\"area\":\"%s\",\"message\":\"" : " %s %s: ", level_names[level],
                 area);
    add_escaped(&line, message, is_json);
    size_t length = line.length < line.cap ? line.length : cut_before_escape(bytes, line.cap - 1);
    memcpy(bytes + length, is_json ? "\"}\n" : "\n", is_json ? 3 : 1);
    ssize_t written = write(logger->fd, bytes, length + (is_json ? 3 : 1));
    (void)written; /* nobody is left to tell */
}

static twi_log_kind *find_kind(twi_logger *logger, const char *format)
{
    uintptr_t hash = (uintptr_t)format;
    hash ^= hash >> 12;
    twi_log_kind *kind = &logger->kinds[hash % TWI_LOG_KIND_COUNT];
    for (uint32_t i = 0; i < TWI_LOG_KIND_COUNT; i++) {
        twi_log_kind *next = &logger->kinds[(hash + i) % TWI_LOG_KIND_COUNT];
        if (!next->format || next->format == format)
            return next;
    }
    return kind;
}

static void tell_suppressed(twi_logger *logger, twi_log_kind *kind, int64_t now_ns)
{
    if (kind->suppressed == 0)
        return;
    char message[256];
    snprintf(message, sizeof(message), "%u more like \"%s\" were left out", kind->suppressed, kind->format);
    kind->suppressed = 0;
    write_line(logger, kind->level, kind->area, message, now_ns);
}

/* True if this line may be written now. */
static bool admit(twi_logger *logger, twi_log_level level, const char *area, const char *format, int64_t now_ns)
{
    twi_log_kind *kind = find_kind(logger, format);
    int64_t second = now_ns / NS_PER_S;
    if (kind->second != second || !kind->format) {
        tell_suppressed(logger, kind, now_ns);
        kind->second = second;
        kind->written = 0;
    }
    kind->format = format;
    kind->area = area;
    kind->level = level;
    if (kind->written < TWI_LOG_BURST) {
        kind->written++;
        return true;
    }
    kind->suppressed++;
    return false;
}

void twi_log(twi_logger *logger, twi_log_level level, const char *area, const char *format, ...)
{
    if (level > logger->level)
        return;
    char message[TWI_LOG_LINE_BYTES_MAX];
    va_list args;
    va_start(args, format);
    vsnprintf(message, sizeof(message), format, args);
    va_end(args);
    pthread_mutex_lock(&logger->lock);
    int64_t now_ns = logger->now_ns();
    if (admit(logger, level, area, format, now_ns))
        write_line(logger, level, area, message, now_ns);
    pthread_mutex_unlock(&logger->lock);
}

void twi_logger_flush(twi_logger *logger)
{
    pthread_mutex_lock(&logger->lock);
    for (uint32_t i = 0; i < TWI_LOG_KIND_COUNT; i++)
        tell_suppressed(logger, &logger->kinds[i], logger->now_ns());
    pthread_mutex_unlock(&logger->lock);
}

void twi_logger_fini(twi_logger *logger)
{
    twi_logger_flush(logger);
    pthread_mutex_destroy(&logger->lock);
}
