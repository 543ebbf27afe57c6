/* rig.h - what every case of the loop suite stands on: a loop of the backend under test, peers that send and receive,
 * and waiting without sleeping.
 *
 * Job:       a case reads as a story: listen, connect, send, close, expect.
 * Usage:     twt_rig_open() at the start of a case, twt_rig_close() at its end; twt_peer_init() before a peer's use.
 * Waiting:   TWT_UNTIL(rig, condition) turns the loop until the condition holds; the case fails after a time limit. */
#ifndef TWT_LOOP_RIG_H
#define TWT_LOOP_RIG_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "engine/loop/loop.h"

#define TWT_PENDING INT32_MAX /* the result of an operation that has none yet */

typedef struct twt_rig {
    const twi_loop_ops *ops;
    twi_loop *loop;
    twi_loop_config config;
    twi_sock listener;
    twi_op accept_op;
    twi_op listener_close_op;
    twi_sock accepted[4096];
    uint32_t accepted_count;
    int32_t accept_last; /* result of the accept op's last callback */
    int32_t listener_closed;
    uint16_t port;
    char unix_path[96];
} twt_rig;

/* One end of a connection, and what happened to it. Results are TWT_PENDING until the last callback.
 */
typedef struct twt_peer {
    twt_rig *rig;
    twi_sock sock;
    twi_op connect_op, recv_op, send_op, writable_op, shutdown_op, close_op;
    int32_t connected, recv_last, send_last, writable, shut, closed;
    uint32_t recv_callbacks;
    uint8_t *in; /* received bytes, up to in_cap kept; in_bytes counts all */
    size_t in_cap;
    size_t in_bytes;
    bool echoes;
    const uint8_t *out; /* what is left of a twt_send_all() */
    size_t out_left;
    size_t out_piece; /* bytes per attempt at most; 0: all */
    uint32_t again_count;
    bool send_pending;
    struct iovec iov[TWI_IOV_MAX];
    char order[16]; /* letters of last callbacks: r w s c, in their order */
} twt_peer;

/* The backend under test, set by main. */
extern const twi_loop_ops *twt_backend;
extern uint64_t twt_sim_seed;
bool twt_is_sim(void);
/* For cases that say exactly when a send may take nothing: the simulation then does so for want of room only. */
void twt_sim_without_again(twt_rig *rig);

void twt_rig_open(twt_rig *rig, const twi_loop_config *config);
void twt_rig_close(twt_rig *rig);
/* Listens on the loopback address and any port, and accepts; or on a Unix path of its own. */
void twt_listen(twt_rig *rig);
void twt_listen_unix(twt_rig *rig);
void twt_dial(twt_rig *rig, twt_peer *peer);
/* Dials, waits for both ends, and starts receiving on both. */
void twt_pair(twt_rig *rig, twt_peer *client, twt_peer *server);
void twt_peer_init(twt_rig *rig, twt_peer *peer, twi_sock sock);
void twt_recv(twt_peer *peer);
void twt_keep(twt_peer *peer, size_t cap); /* memory for received bytes; freed by twt_forget() */
void twt_forget(twt_peer *peer);
void twt_send_once(twt_peer *peer, const void *bytes, size_t length);
void twt_send_all(twt_peer *peer, const void *bytes, size_t length); /* resumes by writable() until all is out */
void twt_await_writable(twt_peer *peer);
void twt_shutdown(twt_peer *peer);
void twt_close(twt_peer *peer);
int64_t twt_now_ns(twt_rig *rig);
/* One turn that sleeps for a moment at most. */
void twt_turn(twt_rig *rig);
void twt_turns(twt_rig *rig, int count); /* without sleeping */
bool twt_time_left(twt_rig *rig, int64_t *begin_ns);
/* Bytes that tell their place. */
void twt_fill(uint8_t *bytes, size_t length, uint64_t seed);

#define TWT_UNTIL(rig, condition)                                                                                      \
    do {                                                                                                               \
        int64_t until_begin_ns = 0;                                                                                    \
        while (!(condition)) {                                                                                         \
            if (!twt_time_left(rig, &until_begin_ns))                                                                  \
                fail_msg("never came true: %s", #condition);                                                           \
            twt_turn(rig);                                                                                             \
        }                                                                                                              \
    } while (0)

#endif
