/* venue_samples.h - messages as venues send them, made from a seed: for benchmarks where no recording is. See
 * venue_messages.h. */
#ifndef TWI_BENCH_VENUE_SAMPLES_H
#define TWI_BENCH_VENUE_SAMPLES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "feed/recording.h"

typedef struct twb_sampler {
    const struct twb_sample_venue *venue;
    uint64_t random;
    uint32_t step;     /* messages given out */
    int64_t price;     /* best bid, in cents */
    uint64_t seq;      /* of the book */
    uint64_t trade_id; /* of the last trade */
    int64_t time_ns;
} twb_sampler;

/* False: none are made for this venue. */
bool twb_sampler_open(twb_sampler *sampler, const char *name);
/* The next frame, its bytes in `out`: the connection, a book snapshot, then deltas, trades, quotes. False: enough. */
bool twb_sampler_next(twb_sampler *sampler, uint8_t *out, size_t out_cap, twi_frame *frame);

#endif
