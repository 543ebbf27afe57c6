/* limits.h - the fixed limits that more than one subsystem relies on, and how they relate.
 *
 * Job:       one place to look up "how many at most"; what a user may choose is in settings.h, within these bounds.
 * Adding:    a constant here if two folders must agree on it; a limit of one folder only stands in that folder. */
#ifndef TWI_LIMITS_H
#define TWI_LIMITS_H

#include <stdint.h>

enum {
    TWI_THREAD_COUNT_MAX = 64,          /* shards */
    TWI_CPU_COUNT_MAX = 1024,           /* CPU numbers for pinning, as of glibc's cpu_set_t */
    TWI_FEED_COUNT_MAX = 64,            /* [[feed]] tables */
    TWI_CONNECTION_COUNT_MAX = 1 << 20, /* clients of one engine */
    TWI_BOOK_DEPTH_MAX = 100000,        /* levels per side */
    TWI_SEND_BATCH = 64,                /* sends per submission; larger batches delay the first receivers */
};

_Static_assert(TWI_THREAD_COUNT_MAX + 2 <= TWI_CPU_COUNT_MAX, "feed, publisher and every shard can have a CPU");

#endif
