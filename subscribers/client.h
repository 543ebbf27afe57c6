/* client.h - the inside of a pool and its connections, shared by the files of this folder.
 *
 * Life:      WAITING -> CONNECTING -> HANDSHAKE -> OPEN -> READY, and from each of them by twi_client_end() through the
 *            loop's close to WAITING (backoff) or CLOSED. Every op of a connection has ended before it is dialed again:
 *            the loop promises that close is the last to report.
 * Time:      now_ns is the loop's monotonic clock. One deadline per client; the pool sweeps when the nearest is due.
 * Thread:    the pool's. */
#ifndef TWI_SUBSCRIBERS_CLIENT_H
#define TWI_SUBSCRIBERS_CLIENT_H

#include <stdbool.h>

#include "engine/base/compiler.h"
#include "engine/loop/loop.h"
#include "engine/proto/ws.h"
#include "engine/proto/ws_handshake.h"
#include "subscribers/sequence.h"
#include "subscribers/topics.h"
#include "tickwire/subscriber.h"

enum {
    TWI_CLIENT_ERRORS_MAX = 64, /* different names */
    TWI_CLIENT_ERROR_NAME_MAX = 47,
    TWI_CLIENT_REQUESTS_MAX = 256, /* subscriptions that one client remembers */
    TWI_CLIENT_OUT_BYTES_MAX = 1 << 20,
    TWI_CLIENT_HEAD_BYTES_MAX = 16384, /* of the server's answer to the upgrade */
    TWI_CLIENT_REASON_MAX = 191,
    TWI_CLIENT_EPOCH_MAX = 31
};
#define TWI_CLIENT_NEVER INT64_MAX

typedef struct twi_buffer {
    uint8_t *data;
    size_t len, cap;
} twi_buffer;

typedef struct twi_client_error {
    char name[TWI_CLIENT_ERROR_NAME_MAX + 1];
    uint64_t count;
} twi_client_error;

/* A remembered request: its JSON behind the id, and what an unsubscribe is matched with. */
typedef struct twi_request {
    char *body;  /* ,"channels":[...],"symbols":[...]...} */
    char *match; /* "channels|symbols" */
    bool unsubscribe;
} twi_request;

struct tw_client {
    tw_client_pool *pool;
    void *owner;
    tw_client *dial_next; /* in the pool's queue of those that wait for their turn */
    uint32_t index;
    uint8_t state; /* tw_client_state */
    bool dial_queued;
    bool no_reconnect;
    bool paused;     /* the user does not want bytes */
    bool recv_armed; /* recv_op is with the loop */
    bool send_armed; /* send_op is with the loop */
    bool park_armed; /* writable_op is with the loop */
    bool connect_armed;
    bool closing; /* close_op is with the loop */
    bool asked;   /* the user closed it */
    bool final;   /* do not dial again */
    bool opened_once;
    bool close_sent;
    bool binary; /* data comes as binary frames */
    bool epoch_known;
    bool dialing;      /* counted in the pool's dials_inflight */
    uint32_t failures; /* in a row */
    uint32_t next_id;
    uint32_t acks_pending;
    int64_t deadline_ns; /* of the present state */
    int64_t last_recv_ns;
    int64_t silence_ns;
    uint64_t message_count;
    const tw_codec_ops *codec;
    twi_sock sock;
    twi_op connect_op, recv_op, send_op, writable_op, close_op;
    struct iovec send_iov;
    twi_buffer out;     /* to be sent */
    twi_buffer sending; /* the loop has it; [send_done, len) is left */
    size_t send_done;
    twi_ws_reader reader;
    twi_ws_message partial; /* a message that came in pieces */
    twi_ws_control control;
    twi_buffer head;         /* of the HTTP answer, until it is complete */
    twi_sequence *sequences; /* by topic */
    uint32_t sequence_count;
    uint32_t request_count;
    twi_request *requests;
    char *address, *authority, *target, *headers;
    const char *protocols;
    uint16_t port;
    uint8_t key[16];
    char epoch[TWI_CLIENT_EPOCH_MAX + 1];
    tw_status end_status;
    char end_reason[TWI_CLIENT_REASON_MAX + 1];
};

struct tw_client_pool {
    tw_client_pool_options options;
    twi_loop *loop;
    tw_client **clients;
    uint32_t client_count;
    uint32_t dials_inflight;
    uint32_t state_count[TW_CLIENT_CLOSED + 1];
    uint32_t error_count;
    bool closing;
    tw_client *dial_head, *dial_tail;
    int64_t now_ns;
    int64_t arrival_ns; /* Unix time of the batch being read */
    int64_t sweep_ns;   /* nearest deadline */
    int64_t dial_ns;    /* not before */
    uint64_t random;
    twi_topics topics;
    tw_event *events; /* event_count_max, of the message being decoded */
    tw_client_stats stats;
    twi_client_error errors[TWI_CLIENT_ERRORS_MAX];
    char reason[1024];
};

/* pool.c */
uint64_t twi_pool_random(tw_client_pool *pool);
void twi_pool_error(tw_client_pool *pool, const char *name); /* counts one error under its name */
void twi_pool_deadline(tw_client_pool *pool, tw_client *client, int64_t deadline_ns);
void twi_pool_dial_queue(tw_client_pool *pool, tw_client *client);

/* client.c: the connection */
void twi_client_state_set(tw_client *client, tw_client_state state, tw_status status, const char *reason);
void twi_client_dial(tw_client *client);
void twi_client_deadline(tw_client *client); /* its deadline has passed */
void twi_client_flush(tw_client *client);    /* sends what is in out, if nothing is in flight */
/* Ends the connection now; the client is dialed again unless it is final. error_name: what it is counted under, NULL if
 * it is no error. */
TWI_PRINTF(4, 5)
void twi_client_end(tw_client *client, tw_status status, const char *error_name, const char *format, ...);
/* Sends a close frame, then waits for the server to hang up. */
void twi_client_close_begin(tw_client *client, uint16_t code, const char *reason);
void twi_client_ready(tw_client *client); /* OPEN becomes READY */
void twi_client_heartbeat(tw_client *client, int64_t heartbeat_ns);
size_t twi_client_upgrade(tw_client *client, const uint8_t *bytes, size_t len);
tw_status twi_client_frame(tw_client *client, uint8_t opcode, const void *payload, size_t payload_len);
void twi_client_free(tw_client *client);
void *twi_client_resize(void *owner, void *old, size_t new_bytes); /* a twi_resize_fn over realloc() */

/* request.c: what a client asks for */
tw_status twi_request_add(tw_client *client, const tw_subscription *subscription, bool unsubscribe, uint32_t *id);
void twi_request_send_all(tw_client *client);
void twi_request_free_all(tw_client *client);
tw_status twi_subscription_body(const tw_subscription *subscription, twi_buffer *out);

/* receive.c: bytes in, callbacks out */
void twi_client_bytes(tw_client *client, const uint8_t *bytes, size_t len);
/* Where the client stands in a topic; NULL: no memory. */
twi_sequence *twi_client_sequence(tw_client *client, uint32_t topic);

/* control.c: hello, acks, errors, bye */
void twi_client_control(tw_client *client, const uint8_t *msg, size_t msg_len);

/* buffer.c */
tw_status twi_buffer_reserve(twi_buffer *buffer, size_t more, size_t cap_max);
tw_status twi_buffer_add(twi_buffer *buffer, const void *data, size_t len, size_t cap_max);
void twi_buffer_free(twi_buffer *buffer);

#endif
