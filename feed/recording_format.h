/* recording_format.h - what the reader of recordings and its line formats share. For feed/recording*.c only.
 *
 * Shape:    a format makes at most one frame out of a line; everything else (files, merging, counting) is
 *           recording.c's.
 * Memory:   a frame may point into the line, which the format may change in place, or into the file's scratch
 *           buffer. */
#ifndef TWI_RECORDING_FORMAT_H
#define TWI_RECORDING_FORMAT_H

#include "feed/recording.h"

/* The connections of a recording: its files share one numbering. */
typedef struct twi_recording_conn {
    char *key; /* the recorder's own name for it; NULL: the number is all there is */
    char *url;
} twi_recording_conn;

typedef struct twi_recording_conns {
    twi_recording_conn *list;
    uint32_t count;
} twi_recording_conns;

typedef struct twi_recording_text {
    const char *text;
    size_t len;
} twi_recording_text;

/* What a format knows while it reads one file. */
typedef struct twi_recording_reader {
    twi_recording_conns *conns;
    uint32_t conn;     /* of this file, if the format has one per file; TWI_CONN_NONE: none yet */
    int64_t before_ns; /* of the last frame, 0: none yet */
    int repeats_line;  /* set by parse(): there is one more frame in this line */
    uint8_t *scratch;
    size_t scratch_cap;
    char symbol[32];     /* hft: of the last stream, upper case */
    char depth_url[128]; /* hft */
    uint8_t is_usdm;     /* hft: futures, else spot */
} twi_recording_reader;

typedef struct twi_recording_format {
    const char *name;
    int (*recognises)(const uint8_t *line, size_t len); /* by the first line of a file */
    /* TW_OK: *frame is filled in; TW_EMPTY: the line says nothing; TW_MALFORMED: it is not of this format;
     * TW_FULL: too many connections; TW_NO_MEMORY. */
    tw_status (*parse)(twi_recording_reader *reader, uint8_t *line, size_t len, twi_frame *frame);
} twi_recording_format;

extern const twi_recording_format twi_recording_cf1, twi_recording_cf2, twi_recording_hft;

/* Finds the connection of that name (a NULL key never matches) or adds it. */
TW_MUST_USE tw_status twi_recording_conn_get(twi_recording_conns *conns, twi_recording_text key, uint32_t *conn);
TW_MUST_USE tw_status twi_recording_conn_set_url(twi_recording_conns *conns, uint32_t conn, twi_recording_text url);
/* Makes scratch at least `len` bytes large; what was in it is lost. */
TW_MUST_USE tw_status twi_recording_reserve(twi_recording_reader *reader, size_t len);

/* `digits[.digits]` seconds as nanoseconds; digits beyond the ninth are dropped. Returns the length, 0 if it is
 * none. */
size_t twi_recording_seconds(const uint8_t *text, size_t len, int64_t *ns);
/* If [bytes, bytes + *len) is a python bytes literal, decodes it in place and returns TW_OK; TW_EMPTY: it is not one;
 * TW_MALFORMED: it begins like one. */
TW_MUST_USE tw_status twi_recording_decode_literal(uint8_t *bytes, size_t *len);

#endif
