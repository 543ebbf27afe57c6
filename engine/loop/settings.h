/* settings.h - small things that every backend does alike: defaults of the configuration and counting of sends. */
#ifndef TWI_LOOP_SETTINGS_H
#define TWI_LOOP_SETTINGS_H

#include "engine/loop/loop.h"

enum {
    TWI_LOOP_TIMERS_EXTRA = 64, /* beside two per socket */
    TWI_LOOP_RECV_BUFFER_BYTES = 16384,
    TWI_LOOP_RECV_BUFFER_COUNT = 256,
    TWI_LOOP_SEND_BATCH = 32,
    TWI_LOOP_ACCEPT_RETRY_NS = 10000000 /* after an accept that failed for want of memory or descriptors */
};

/* The configuration with its zeros replaced by defaults, and `without` taken from the environment if it is NULL. */
twi_loop_config twi_loop_settings(const twi_loop_config *config);

static inline size_t twi_op_bytes(const twi_op *op)
{
    size_t bytes = 0;
    for (uint32_t i = 0; i < op->iov_count; i++)
        bytes += op->iov[i].iov_len;
    return bytes;
}

static inline void twi_loop_count_send(twi_loop_counters *counters, const twi_op *op, int32_t result)
{
    counters->sends++;
    if (result >= 0)
        counters->sends_short += (size_t)result < twi_op_bytes(op);
    else
        counters->sends_again += result == TW_AGAIN;
}

#endif
