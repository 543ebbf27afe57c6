/* recording.c - the files of a recording, opened, recognised and merged by time. */
#include "feed/recording.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "feed/capture.h"
#include "feed/lines.h"
#include "feed/recording_format.h"

enum { PATH_BYTES_MAX = 4096 };

typedef struct recording_file {
    char *name;
    twi_capture_reader *capture; /* Tickwire's own format; else lines and format */
    twi_lines *lines;
    const twi_recording_format *format;
    twi_recording_reader reader;
    uint8_t *line; /* the current one, not parsed yet or to be parsed again; NULL: none */
    size_t line_len;
    uint64_t line_number;
    twi_frame frame; /* the next one of this file */
    int has_frame;
} recording_file;

struct twi_recording {
    recording_file files[TWI_RECORDING_FILE_COUNT_MAX];
    uint32_t file_count;
    uint32_t given; /* the file whose frame was given out last */
    twi_recording_conns conns;
    twi_recording_stats stats;
};

static const twi_recording_format *const formats[] = {&twi_recording_cf1, &twi_recording_cf2, &twi_recording_hft};

static void note_error(twi_recording *recording, const recording_file *file, const char *what)
{
    if (recording->stats.first_error[0] == '\0')
        snprintf(recording->stats.first_error, sizeof(recording->stats.first_error), "%s:%llu: %s", file->name,
                 (unsigned long long)file->line_number, what);
}

static const twi_recording_format *recognise(const uint8_t *line, size_t len)
{
    for (size_t i = 0; i < sizeof(formats) / sizeof(formats[0]); i++)
        if (formats[i]->recognises(line, len))
            return formats[i];
    return NULL;
}

static tw_status add_capture(twi_recording *recording, const char *name, twi_capture_reader *reader)
{
    if (recording->file_count == TWI_RECORDING_FILE_COUNT_MAX) {
        twi_capture_reader_close(reader);
        return TW_FULL;
    }
    recording_file *file = &recording->files[recording->file_count++];
    *file = (recording_file){
        .name = strdup(name), .capture = reader, .reader = {.conns = &recording->conns, .conn = TWI_CONN_NONE}};
    return file->name ? TW_OK : TW_NO_MEMORY;
}

/* Takes over `lines` and adds it as a file, if its first line is of a known format; else TW_NOT_SUPPORTED. */
static tw_status add_lines(twi_recording *recording, const char *name, twi_lines *lines)
{
    uint8_t *line;
    size_t len;
    tw_status status = twi_lines_next(lines, &line, &len);
    const twi_recording_format *format = status == TW_OK ? recognise(line, len) : NULL;
    if (!format || recording->file_count == TWI_RECORDING_FILE_COUNT_MAX) {
        twi_lines_close(lines);
        return format ? TW_FULL : status == TW_NO_MEMORY ? TW_NO_MEMORY : TW_NOT_SUPPORTED;
    }
    recording_file *file = &recording->files[recording->file_count++];
    *file = (recording_file){.name = strdup(name),
                             .lines = lines,
                             .format = format,
                             .reader = {.conns = &recording->conns, .conn = TWI_CONN_NONE},
                             .line = line,
                             .line_len = len,
                             .line_number = 1};
    return file->name ? TW_OK : TW_NO_MEMORY;
}

/* The next line into file->line. TW_EMPTY: no more. */
static tw_status read_line(twi_recording *recording, recording_file *file)
{
    for (;;) {
        tw_status status = twi_lines_next(file->lines, &file->line, &file->line_len);
        file->line_number++;
        if (status == TW_OK || status == TW_EMPTY || status == TW_NO_MEMORY)
            return status;
        if (status == TW_TOO_BIG) {
            recording->stats.bad_lines++;
            note_error(recording, file, "line is too long");
            continue;
        }
        recording->stats.bad_files++;
        note_error(recording, file, status == TW_IO ? "cannot be read on" : "compressed data is cut or damaged here");
    }
}

/* The connection in the numbering of the whole recording, and what it is connected to. */
static tw_status place_conn(twi_recording *recording, const recording_file *file, twi_frame *frame)
{
    char key[PATH_BYTES_MAX + 16];
    int len = snprintf(key, sizeof(key), "%s#%u", file->name, frame->conn);
    uint32_t conn;
    tw_status status = twi_recording_conn_get(&recording->conns, (twi_recording_text){key, (size_t)len}, &conn);
    if (status != TW_OK)
        return status;
    frame->conn = conn;
    const char *known = recording->conns.list[conn].url;
    if (known && strcmp(known, frame->url) == 0)
        return TW_OK;
    return twi_recording_conn_set_url(&recording->conns, conn, (twi_recording_text){frame->url, frame->url_len});
}

static void end_of_capture(twi_recording *recording, recording_file *file)
{
    const twi_capture_info *info = twi_capture_get_info(file->capture);
    recording->stats.bad_lines += info->bad_records;
    recording->stats.bad_files += info->bad_blocks != 0;
    recording->stats.torn_bytes += info->torn_bytes;
    if (info->bad_blocks + info->bad_records + info->torn_bytes != 0)
        note_error(recording, file, "the capture is damaged, or was not closed");
    twi_capture_reader_close(file->capture);
    file->capture = NULL;
}

static tw_status advance_capture(twi_recording *recording, recording_file *file)
{
    twi_capture_record record;
    tw_status status;
    do
        status = twi_capture_next(file->capture, &record);
    while (status == TW_OK && record.kind != TWI_CAPTURE_FRAME);
    if (status == TW_OK && record.frame.conn != TWI_CONN_NONE)
        status = place_conn(recording, file, &record.frame);
    if (status == TW_OK) {
        file->frame = record.frame;
        file->has_frame = 1;
        return TW_OK;
    }
    if (status == TW_NO_MEMORY)
        return status;
    end_of_capture(recording, file);
    return TW_OK;
}

/* The next frame into file->frame. */
static tw_status advance(twi_recording *recording, recording_file *file)
{
    file->has_frame = 0;
    if (file->capture)
        return advance_capture(recording, file);
    for (;;) {
        if (!file->lines)
            return TW_OK;
        tw_status status = file->line ? TW_OK : read_line(recording, file);
        if (status != TW_OK) {
            file->line = NULL;
            return status == TW_EMPTY ? TW_OK : status;
        }
        file->frame = (twi_frame){.conn = TWI_CONN_NONE, .url = "", .bytes = (const uint8_t *)""};
        file->reader.repeats_line = 0;
        status = file->format->parse(&file->reader, file->line, file->line_len, &file->frame);
        if (!file->reader.repeats_line)
            file->line = NULL;
        if (status == TW_NO_MEMORY)
            return status;
        if (status == TW_OK) {
            file->reader.before_ns = file->frame.recv_ns;
            file->has_frame = 1;
            return TW_OK;
        }
        if (status == TW_EMPTY)
            continue;
        recording->stats.bad_lines++;
        note_error(recording, file, status == TW_FULL ? "too many connections" : "not a line of this format");
    }
}

static tw_status add_path(twi_recording *recording, const char *path, char *error, size_t error_cap)
{
    twi_capture_reader *capture;
    tw_status status = twi_capture_open(path, &capture, error, error_cap);
    if (status == TW_OK)
        return add_capture(recording, path, capture);
    if (status != TW_NOT_SUPPORTED)
        return status;
    twi_lines *lines;
    if (error_cap != 0)
        error[0] = '\0';
    status = twi_lines_open(path, &lines, error, error_cap);
    return status == TW_OK ? add_lines(recording, path, lines) : status;
}

static size_t stem_len(const char *name)
{
    size_t len = strlen(name);
    if (len > 3 && strcmp(name + len - 3, ".gz") == 0)
        return len - 3;
    return len > 4 && strcmp(name + len - 4, ".zst") == 0 ? len - 4 : len;
}

/* NAME.gz and NAME.zst hold the same. */
static int is_twin(const struct dirent *before, const struct dirent *entry)
{
    size_t len = stem_len(before->d_name);
    return len == stem_len(entry->d_name) && memcmp(before->d_name, entry->d_name, len) == 0;
}

static int is_candidate(const struct dirent *entry)
{
    return entry->d_name[0] != '.';
}

static tw_status add_folder(twi_recording *recording, const char *path, char *error, size_t error_cap)
{
    struct dirent **entries;
    int count = scandir(path, &entries, is_candidate, alphasort);
    if (count < 0) {
        snprintf(error, error_cap, "cannot list %s", path);
        return TW_IO;
    }
    tw_status status = TW_OK;
    const struct dirent *taken = NULL;
    for (int i = 0; i < count && status == TW_OK; i++) {
        char file[PATH_BYTES_MAX];
        struct stat info;
        snprintf(file, sizeof(file), "%s/%s", path, entries[i]->d_name);
        if ((taken && is_twin(taken, entries[i])) || stat(file, &info) != 0 || !S_ISREG(info.st_mode))
            continue;
        status = add_path(recording, file, error, error_cap);
        if (status == TW_OK)
            taken = entries[i];
        if (status == TW_NOT_SUPPORTED)
            status = TW_OK;
    }
    for (int i = 0; i < count; i++)
        free(entries[i]);
    free(entries);
    return status;
}

/* The first frame of every file; then the recording is ready. Closes it if something went wrong. */
static tw_status finish_open(twi_recording *recording, tw_status status, const char *name, twi_recording **out,
                             char *error, size_t error_cap)
{
    for (uint32_t i = 0; i < recording->file_count && status == TW_OK; i++)
        status = advance(recording, &recording->files[i]);
    if (status == TW_OK && recording->file_count == 0)
        status = TW_NOT_SUPPORTED;
    if (status == TW_OK) {
        *out = recording;
        recording->given = TWI_RECORDING_FILE_COUNT_MAX;
        return TW_OK;
    }
    if (error_cap != 0 && error[0] == '\0')
        snprintf(error, error_cap, "%s: %s", name,
                 status == TW_NOT_SUPPORTED ? "no recording of a known format (cf1, cf2, hft, tickwire)"
                 : status == TW_FULL        ? "too many files"
                                            : tw_status_name(status));
    twi_recording_close(recording);
    return status;
}

static tw_status allocate(twi_recording **recording, char *error, size_t error_cap)
{
    *recording = calloc(1, sizeof(**recording));
    if (error_cap != 0)
        snprintf(error, error_cap, "%s", *recording ? "" : "no memory for a recording");
    return *recording ? TW_OK : TW_NO_MEMORY;
}

tw_status twi_recording_open(const char *path, twi_recording **out, char *error, size_t error_cap)
{
    twi_recording *recording;
    struct stat info;
    tw_status status = allocate(&recording, error, error_cap);
    if (status != TW_OK)
        return status;
    if (stat(path, &info) == 0 && S_ISDIR(info.st_mode))
        status = add_folder(recording, path, error, error_cap);
    else
        status = add_path(recording, path, error, error_cap);
    return finish_open(recording, status, path, out, error, error_cap);
}

tw_status twi_recording_open_bytes(const char *name, const uint8_t *bytes, size_t len, twi_recording **out, char *error,
                                   size_t error_cap)
{
    twi_recording *recording;
    twi_lines *lines;
    tw_status status = allocate(&recording, error, error_cap);
    if (status != TW_OK)
        return status;
    if (twi_capture_recognises(bytes, len)) {
        twi_capture_reader *capture;
        status = twi_capture_open_bytes(bytes, len, &capture, error, error_cap);
        if (status == TW_OK)
            status = add_capture(recording, name, capture);
    } else {
        status = twi_lines_open_bytes(bytes, len, &lines, error, error_cap);
        if (status == TW_OK)
            status = add_lines(recording, name, lines);
    }
    return finish_open(recording, status, name, out, error, error_cap);
}

void twi_recording_close(twi_recording *recording)
{
    if (!recording)
        return;
    for (uint32_t i = 0; i < recording->file_count; i++) {
        twi_capture_reader_close(recording->files[i].capture);
        twi_lines_close(recording->files[i].lines);
        free(recording->files[i].reader.scratch);
        free(recording->files[i].name);
    }
    for (uint32_t i = 0; i < recording->conns.count; i++) {
        free(recording->conns.list[i].key);
        free(recording->conns.list[i].url);
    }
    free(recording->conns.list);
    free(recording);
}

tw_status twi_recording_next(twi_recording *recording, twi_frame *frame)
{
    if (recording->given < recording->file_count) {
        tw_status status = advance(recording, &recording->files[recording->given]);
        if (status != TW_OK)
            return status;
    }
    recording_file *first = NULL;
    for (uint32_t i = 0; i < recording->file_count; i++) {
        recording_file *file = &recording->files[i];
        if (file->has_frame && (!first || file->frame.recv_ns < first->frame.recv_ns))
            first = file;
    }
    if (!first)
        return TW_EMPTY;
    recording->given = (uint32_t)(first - recording->files);
    recording->stats.frames++;
    *frame = first->frame;
    if (frame->conn != TWI_CONN_NONE) {
        const char *url = recording->conns.list[frame->conn].url;
        frame->url = url ? url : "";
        frame->url_len = strlen(frame->url);
    }
    return TW_OK;
}

const twi_recording_stats *twi_recording_get_stats(const twi_recording *recording)
{
    return &recording->stats;
}

const char *twi_recording_format_name(const twi_recording *recording)
{
    return recording->files[0].format ? recording->files[0].format->name : "tickwire";
}
