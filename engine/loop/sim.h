/* sim.h - the simulated loop's own state, shared by its operations (loop_sim.c) and its connections (sim_conn.c).
 *
 * Model:     a connection has two sides; each side has a pipe of bytes that come in. `written` bytes were taken from
 *            the sender, `arrived` of them have travelled, `read` of them were given out. The end of the stream and a
 *            reset travel behind the bytes. A side belongs to a slot, or waits in a listener's backlog.
 * Usage:     by those two files only. */
#ifndef TWI_SIM_H
#define TWI_SIM_H

#include "engine/loop/loop_sim.h"
#include "engine/loop/op.h"
#include "engine/loop/sim_events.h"
#include "engine/loop/timers.h"
#include "engine/loop/wake.h"

enum { SIM_BACKLOG_MAX = 4096 };
#define SIM_NONE UINT32_MAX

enum {
    SIM_EVENT_OP = 1,  /* an op's last callback */
    SIM_EVENT_CONNECT, /* a connect reaches its listener */
    SIM_EVENT_ACCEPT,  /* a listener takes one from its backlog */
    SIM_EVENT_RECV,    /* a socket with an armed receive looks into its pipe */
    SIM_EVENT_ARRIVE,  /* bytes up to `until` have travelled */
    SIM_EVENT_END,     /* the end of the stream has travelled */
    SIM_EVENT_RESET    /* a reset has travelled */
};

typedef struct sim_side {
    uint32_t slot; /* SIM_NONE: in a backlog, or closed */
    uint32_t generation;
    bool is_open;
    bool has_shut; /* this side sends no more */
    bool has_end;  /* the peer's end of stream is here */
    bool is_reset;
    uint8_t *bytes; /* the pipe: a ring of pipe_bytes */
    uint64_t written, arrived, read;
    int64_t last_arrival_ns;
} sim_side;

typedef struct sim_conn {
    uint32_t generation;
    uint32_t next_free;
    bool is_used;
    uint32_t pipe_bytes;
    sim_side sides[2];
} sim_conn;

enum { SIM_SLOT_FREE = 0, SIM_SLOT_LISTENER, SIM_SLOT_CONNECTING, SIM_SLOT_STREAM };

typedef struct sim_slot {
    uint8_t kind;
    uint8_t side;
    bool recv_is_due; /* a SIM_EVENT_RECV or SIM_EVENT_ACCEPT is on its way */
    uint8_t reuse_port;
    uint16_t port;
    uint32_t generation;
    uint32_t conn;
    uint32_t conn_generation;
    twi_op *in;
    twi_op *out;
    int64_t last_due_ns; /* what happens on one socket keeps its order */
    uint32_t next_free;
    uint32_t backlog_first, backlog_count; /* of listeners: a ring of SIM_BACKLOG_MAX */
    uint32_t *backlog;
    char *host;
} sim_slot;

typedef struct sim_loop {
    twi_loop loop;
    twi_loop_config config;
    twi_sim_faults faults;
    twi_sim_events events;
    sim_slot *slots;
    uint32_t free_first;
    sim_conn *conns;
    uint32_t conn_count;
    uint32_t conn_free_first;
    uint8_t *recv_buffer;
    twi_timers timers;
    int64_t now_ns;
    uint16_t next_port;
    uint64_t digest;
    bool is_closing;
    twi_wake_word wake;
} sim_loop;

/* ---- sim_conn.c ---- */

/* A connection between a slot and nobody yet (side 1 waits for an accept). Its index. */
uint32_t sim_conn_open(sim_loop *self, uint32_t slot);
void sim_conn_adopt(sim_loop *self, uint32_t conn, uint32_t slot);
/* One attempt: bytes taken, TW_AGAIN or TW_CLOSED. */
int32_t sim_conn_write(sim_loop *self, sim_slot *slot, const struct iovec *iov, uint32_t iov_count);
/* Into buffer: bytes, 0 at the end, TW_CLOSED after a reset, TW_AGAIN when nothing has arrived. */
int32_t sim_conn_read(sim_loop *self, sim_slot *slot, uint8_t *buffer, size_t buffer_cap);
bool sim_conn_has_room(const sim_loop *self, const sim_slot *slot);
bool sim_conn_has_news(const sim_loop *self, const sim_slot *slot);
tw_status sim_conn_shut(sim_loop *self, sim_slot *slot);
void sim_conn_close_side(sim_loop *self, uint32_t conn, uint8_t side);
void sim_conn_break(sim_loop *self, uint32_t conn);
void sim_conn_event(sim_loop *self, const twi_sim_event *event);
void sim_conns_fini(sim_loop *self);

/* ---- loop_sim.c, called back from sim_conn.c ---- */

/* Something can be read from this slot's pipe. */
void sim_slot_readable(sim_loop *self, uint32_t slot, uint32_t generation);
/* There is room in the peer's pipe, or an error to be found by sending. */
void sim_slot_writable(sim_loop *self, uint32_t slot, uint32_t generation);

static inline int64_t sim_latency_ns(sim_loop *self)
{
    return twi_sim_between(&self->events, self->faults.latency_min_ns, self->faults.latency_max_ns);
}

#endif
