/* status.h - the one result type of Tickwire.
 *
 * Shape:    0 is good, everything else is negative, so that a call that returns a size or a status can share one int.
 * Names:    tw_status_name() gives the stable text that also stands in logs, counters and wire errors.
 * Thread:   every function here is pure and may be called from anywhere. */
#ifndef TICKWIRE_STATUS_H
#define TICKWIRE_STATUS_H

#ifdef __cplusplus
extern "C" {
#endif

#if defined(_WIN32)
#define TW_API
#else
#define TW_API __attribute__((visibility("default")))
#endif
#define TW_MUST_USE __attribute__((warn_unused_result))

typedef enum tw_status {
    TW_OK = 0,
    TW_NEED_MORE = -1,       /* the input is a good prefix: call again with more bytes */
    TW_MALFORMED = -2,       /* the input breaks its grammar: count it, skip it */
    TW_TOO_BIG = -3,         /* a length or count is over its limit */
    TW_GAP = -4,             /* a sequence rule was broken: the book is stale until its next snapshot */
    TW_LAPPED = -5,          /* the producer overwrote what the reader had not read yet */
    TW_EMPTY = -6,           /* nothing new */
    TW_FULL = -7,            /* a bounded queue, table or pool has no place left */
    TW_SLOW_CONSUMER = -8,   /* a subscriber fell behind what its policy allows */
    TW_UNAVAILABLE = -9,     /* this machine or peer cannot do it; the reason is in the error text */
    TW_BAD_ARGUMENT = -10,   /* the caller broke the contract of the call */
    TW_BAD_CONFIG = -11,     /* a configuration value is unknown, of the wrong type or impossible */
    TW_BAD_SYMBOL = -12,     /* no such instrument */
    TW_NOT_SUPPORTED = -13,  /* known, but not offered here */
    TW_AGAIN = -14,          /* the kernel would have blocked: nothing was done */
    TW_CLOSED = -15,         /* the peer closed, or the handle is stale */
    TW_CANCELED = -16,       /* the operation was ended by close() or cancel() */
    TW_TIMEOUT = -17,        /* the deadline passed */
    TW_RELINK = -18,         /* the connection must be redialed */
    TW_CHECKSUM = -19,       /* a checksum does not match */
    TW_NO_MEMORY = -20,      /* an allocation at start failed; never returned from the hot path */
    TW_IO = -21,             /* an operating-system call failed; errno-like detail is in the error text */
    TW_AUTHENTICATION = -22, /* credentials are missing or wrong */
    TW_RATE_LIMITED = -23    /* the peer or a quota says: later */
} tw_status;

/* "OK", "NEED_MORE", ...; "UNKNOWN" for a number that is not one of the above. Static storage. */
TW_API const char *tw_status_name(tw_status status);

#ifdef __cplusplus
}
#endif
#endif
