/* recording.h - recorded exchange traffic as a sequence of frames: what was dialed, said, received and fetched, in
 * order.
 *
 * Job:      reads cryptofeed (v1 text, v2 JSON lines) and hftbacktest recordings as they are, gzip or zstd or plain,
 *           and merges the files of one recording by time. Tickwire's own captures of venue frames are read by the
 *           same calls.
 * Formats:  recognised by content, not by name.
 *   cf1     cryptofeed capture: `URL <-> T` opened, `URL <- T: TEXT` sent, `URL -> T: BODY` fetched, `T: PAYLOAD`
 *           received, `configuration: JSON`; T in unix seconds with a fraction. A payload that is a python bytes
 *           literal (b'...') is a binary frame. One connection per file.
 *   cf2     JSON lines {"t":"header|http|connect|send|recv","conn","ts","url"|"addr","data"}.
 *   hft     `NS JSON` per line: combined-stream frames of Binance, and its REST depth answer once. What the file does
 *   not
 *           say is added as it must have been: a CONNECT at the start, and the URL of the depth request.
 * Memory:   one line of each file, and a copy of it where the format escapes its payload.
 * Errors:   a line that is not of its format, or a damaged file, is counted and the rest goes on; see the stats.
 * Thread:   one per recording; blocks in read(2).
 * Non-goals: what the frames mean; pacing. */
#ifndef TWI_RECORDING_H
#define TWI_RECORDING_H

#include <stddef.h>
#include <stdint.h>

#include "tickwire/status.h"

enum { TWI_RECORDING_FILE_COUNT_MAX = 64, TWI_RECORDING_CONN_COUNT_MAX = 1024 };
#define TWI_CONN_NONE UINT32_MAX

typedef enum twi_frame_kind {
    TWI_FRAME_CONNECT = 1, /* a connection was opened (again): `url`, no bytes */
    TWI_FRAME_SENT = 2,    /* the recorder sent `bytes` */
    TWI_FRAME_RECV = 3,    /* one whole message of the venue; TWI_FRAME_BINARY says which opcode */
    TWI_FRAME_HTTP = 4,    /* `bytes` is the body that the request for `url` brought; conn is TWI_CONN_NONE */
    TWI_FRAME_CONFIG = 5,  /* what the recorder was asked for: JSON of its own; conn is TWI_CONN_NONE */
    TWI_FRAME_CLOSED = 6   /* a connection ended; `bytes` is the reason if there is one */
} twi_frame_kind;

enum { TWI_FRAME_BINARY = 1u << 0 }; /* in twi_frame.flags */

typedef struct twi_frame {
    int64_t recv_ns; /* Unix time, by the recorder's clock; CONFIG: of the frame before it in its file, or 0 */
    uint32_t conn;   /* 0, 1, .. in the order of first appearance; one number lives through reconnects */
    uint8_t kind;    /* twi_frame_kind */
    uint8_t flags;
    const char *url; /* of the connection or request; "" if not known; NUL-terminated */
    size_t url_len;
    const uint8_t *bytes; /* never NULL */
    size_t bytes_len;
} twi_frame;

typedef struct twi_recording_stats {
    uint64_t frames;       /* given out */
    uint64_t bad_lines;    /* not of the format, or longer than a line may be; for a capture: records */
    uint64_t bad_files;    /* damaged: their rest is missing */
    uint64_t torn_bytes;   /* cut off at the end of a capture that was not closed */
    char first_error[256]; /* what was wrong first, with file and line; "" if nothing was */
} twi_recording_stats;

typedef struct twi_recording twi_recording;

/* `path` is a file, or a folder of which all recordings are taken, as one (of NAME.gz and NAME.zst one is taken; files
 * of no known format are passed over). TW_IO, TW_NOT_SUPPORTED (no known format), TW_FULL (too many files),
 * TW_NO_MEMORY; `error` says what. */
TW_MUST_USE tw_status twi_recording_open(const char *path, twi_recording **recording, char *error, size_t error_cap);
/* One file that is in memory; `name` stands in messages. The bytes must outlive the recording. */
TW_MUST_USE tw_status twi_recording_open_bytes(const char *name, const uint8_t *bytes, size_t len,
                                               twi_recording **recording, char *error, size_t error_cap);
void twi_recording_close(twi_recording *recording);

/* The next frame by time (at equal times: by file name, then by place). What *frame points to lives until the next
 * call.
 * TW_EMPTY: the end; TW_NO_MEMORY. */
TW_MUST_USE tw_status twi_recording_next(twi_recording *recording, twi_frame *frame);

const twi_recording_stats *twi_recording_get_stats(const twi_recording *recording);
/* "cf1", "cf2", "hft", "tickwire": of the first file. */
const char *twi_recording_format_name(const twi_recording *recording);

#endif
