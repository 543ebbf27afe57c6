/* client.h - one connection of a shard, and what the shard's source files know of each other. Internal to
 * engine/fanout.
 *
 *   shard.c         life of the shard: open, step, accept, time-outs, stop
 *   client.c        life of a connection: receive, close, give back
 *   send.c          what goes out next, and what a completed or short send means
 *   control.c       control messages and their answers
 *   join_client.c   from one set of topics to another
 *   http_front.c    the HTTP head: upgrade to WebSocket, or an answer */
#ifndef TWI_CLIENT_H
#define TWI_CLIENT_H

#include "engine/fanout/group.h"
#include "engine/fanout/selection.h"
#include "engine/fanout/shard.h"
#include "engine/fanout/topics.h"
#include "engine/proto/ws.h"

typedef enum twi_client_state {
    TWI_CLIENT_FREE = 0,
    TWI_CLIENT_HTTP,    /* its request head is being received, or answered */
    TWI_CLIENT_STREAM,  /* WebSocket open */
    TWI_CLIENT_CLOSING, /* our close frame is queued; the peer has until the deadline */
    TWI_CLIENT_CLOSED   /* the socket is being closed; waits for the loop's last callbacks */
} twi_client_state;

/* What the send in flight is made of. */
typedef enum twi_send_kind {
    TWI_SEND_NONE = 0,
    TWI_SEND_PRIVATE,  /* bytes for this client alone: answers, heartbeats, close */
    TWI_SEND_STREAM,   /* slices of the log: the client's group */
    TWI_SEND_SNAPSHOT, /* slices of the log: what its join had written */
    TWI_SEND_PARKED    /* nothing in flight; waits until the socket is writable */
} twi_send_kind;

typedef enum twi_join_phase {
    TWI_PHASE_REQUESTED = 0, /* with the publisher */
    TWI_PHASE_DRAINING,      /* what the old set of topics still has, up to the join's place */
    TWI_PHASE_SNAPSHOTS      /* what the publisher wrote for it */
} twi_join_phase;

/* A subscription change under way; at most one per client. */
typedef struct twi_joining {
    twi_join join;              /* first: the publisher hands this pointer back */
    struct twi_client *client;  /* NULL: it has gone; the joining is given back when the reply comes */
    twi_group *target;          /* the set of topics it will have; one reference held */
    twi_cursor target_cursor;   /* where it starts there */
    uint64_t limit_offset;      /* DRAINING: the old set ends here */
    uint64_t limit_delivered;   /* and this many of its entries were before that */
    uint64_t snapshot_position; /* SNAPSHOTS: next index position */
    uint32_t snapshot_done;     /* bytes of that frame already sent */
    uint8_t phase;              /* twi_join_phase */
    uint8_t recovery_asked;
    uint8_t with_publisher;
    twi_buffer id;     /* the request's id as JSON, empty if it had none */
    twi_buffer errors; /* error objects, comma-separated */
    struct twi_joining *next_free;
} twi_joining;

struct twi_client;
typedef struct twi_client_list {
    struct twi_client *first, *last;
    uint32_t count;
} twi_client_list;

typedef struct twi_client {
    twi_op recv_op, send_op, close_op;
    twi_shard *shard;
    twi_sock sock;
    struct twi_client *group_previous, *group_next;
    struct twi_client *timer_previous, *timer_next;
    struct twi_client *list_next; /* free list, waiting list or parked list */
    twi_group *group;             /* where new entries are noted for it; NULL: no subscription */
    twi_group *stream_group;      /* whose entries it is being sent: `group`, or while draining the one before */
    twi_cursor cursor;            /* in stream_group */
    twi_cursor planned;           /* where the cursor will be when the send in flight is complete */
    twi_joining *joining;
    struct iovec iov;            /* of a send of one piece */
    struct twi_iov_block *block; /* of a send of several */
    uint64_t send_offset;        /* log offset of the first byte in flight */
    uint32_t send_bytes;         /* planned */
    uint32_t frame_rest;         /* bytes of a frame of the log that were begun and must go first */
    uint32_t saved_rest;         /* the same after they were copied to the front of the private bytes */
    struct twi_client *http_previous, *http_next; /* those who wait for the same answer */
    twi_client_list *http_list;                   /* NULL: it does not wait for one */
    uint32_t http_bytes;                          /* of responses that it has not taken yet */
    uint32_t head_seen;                           /* bytes of `in` that are known to be no whole head */
    twi_buffer out;                               /* private bytes that wait */
    twi_buffer sending;                           /* private bytes in flight; they do not move while they are */
    uint32_t sending_done;
    twi_buffer in;         /* HTTP head or control message that is not complete */
    twi_buffer deferred;   /* received while a join was under way */
    uint64_t *missed_from; /* while dropping: first number not delivered, per topic of stream_group */
    twi_buffer ping;       /* payload of a ping that came in pieces */
    int64_t noted_ns;      /* of the send in flight, for the stage histogram; 0: not timed */
    int64_t last_sent_ns, last_received_ns;
    int64_t deadline_ns; /* when the timer looks at it again */
    uint32_t timer_bucket;
    uint8_t state;     /* twi_client_state */
    uint8_t send_kind; /* twi_send_kind */
    uint8_t codec;
    uint8_t policy;          /* twi_policy */
    uint8_t receiving;       /* bytes are wanted */
    uint8_t receive_stopped; /* the recv was asked to end; its last callback is still owed */
    uint8_t closing_socket, send_pending, recv_pending;
    uint8_t message_ready; /* `in` holds a whole control message that has to wait for a joining */
    uint8_t waiting;       /* on the shard's waiting list */
    uint8_t parked_listed;
    uint8_t dropping; /* lagged under policy `drop`: waits for a fresh start */
    uint8_t counted;  /* as an open connection */
    uint8_t close_after_send;
    uint8_t ping_sent;
    uint8_t bye_received; /* the peer's close frame, or an error after which nothing of it is read */
    uint8_t close_wanted, close_reconnect;
    uint16_t close_code;
    const char *close_reason; /* static text */
    twi_ws_reader reader;
} twi_client;

typedef struct twi_iov_block {
    struct iovec iov[TWI_IOV_MAX];
    struct twi_iov_block *next_free;
} twi_iov_block;

enum {
    TWI_TIMER_BUCKETS = 256,
    TWI_TIMER_TICK_NS = 50000000, /* 50 ms: time-outs are exact to this */
    TWI_JOINS_MAX = TWI_SPSC_SLOTS,
    TWI_CLOSE_TIMEOUT_NS = 2000000000,
    TWI_SEND_BYTES_MAX = 4 << 20,            /* of one send: bounds how long one client holds the loop */
    TWI_PRIVATE_BACKLOG_BYTES_MAX = 1 << 20, /* answers that a client which does not read may pile up */
    TWI_RESPONSE_BACKLOG_BYTES = 256 << 10,  /* HTTP answers waiting before the next pipelined request is looked at */
    TWI_REQUESTS_PER_TURN = 32,              /* then the stream has its turn: about 100 us */
    TWI_RESPONSE_RETAIN_BYTES = 16 << 10     /* larger buffers are given back when a response is out */
};

/* What one topic of one client has missed (policy drop). */
typedef struct twi_loss {
    uint64_t from, to, count;
} twi_loss;

struct twi_shard {
    twi_shard_config config;
    twi_client *clients;
    uint32_t client_count, client_capacity;
    _Atomic uint32_t stream_count;  /* WebSocket connections that have not been killed; read by the feed thread */
    _Atomic uint32_t blocked_count; /* connections that wait until their socket is writable; likewise */
    twi_client *free_clients;
    twi_group_table groups;
    uint64_t seen[TWI_CODECS_MAX];        /* index positions noted so far */
    uint64_t lag_checked[TWI_CODECS_MAX]; /* log offset at the last look at the parked clients */
    twi_joining *joinings;
    twi_joining *free_joinings;
    twi_iov_block *blocks;
    twi_iov_block *free_blocks;
    uint32_t block_count;
    twi_client *waiting; /* clients whose message waits for a free joining */
    twi_client *parked;  /* clients that wait for writability: looked at for their lag */
    twi_client *timers[TWI_TIMER_BUCKETS];
    uint32_t timer_bucket;
    int64_t timer_ns; /* start of the current tick */
    twi_op accept_op;
    twi_op stop_ops[2];
    twi_op accept_more_op; /* the Unix socket's */
    twi_sock listeners[2];
    uint32_t listener_count;
    uint8_t stopping, timer_armed;
    _Atomic int asleep;
    uint64_t joins_under_way;
    uint64_t send_count;
    twi_client_list http_waiters[TWI_QUERIES_MAX]; /* [ticket] */
    twi_client_list http_starved;                  /* all questions are taken */
    twi_client_list http_deferred;                 /* this turn has served its share of requests */
    uint32_t http_turn;                            /* requests served in this turn */
    uint64_t http_bytes;                           /* of responses that wait for their clients */
    uint64_t *last_seq[TWI_CODECS_MAX];            /* [topic] as of `seen`; known for topics that a group here wants */
    twi_shard_totals totals;                       /* without pending */
};

static inline const twi_loop_ops *twi_ops(const twi_shard *shard)
{
    return shard->config.loop->ops;
}
static inline int64_t twi_shard_now(const twi_shard *shard)
{
    return twi_ops(shard)->now_ns(shard->config.loop);
}
static inline int64_t twi_shard_realtime(const twi_shard *shard)
{
    return shard->config.realtime_ns(shard->config.realtime_owner);
}
static inline void twi_count(twi_shard *shard, twi_counter id, uint64_t n)
{
    twi_counter_add(shard->config.counters, id, n);
}

/* shard.c */
void twi_timer_set(twi_client *client, int64_t deadline_ns);
void twi_timer_clear(twi_client *client);
void twi_waiting_add(twi_client *client);

/* client.c */
void twi_client_accept(twi_shard *shard, twi_sock sock);
void twi_client_receive(twi_client *client); /* arms recv, unless it is armed */
/* The connection has just become a stream: frames that came right behind the head. */
void twi_client_take_early(twi_client *client);
void twi_client_resume(twi_client *client); /* a join is done: goes on with what came in meanwhile */
void twi_client_kill(twi_client *client);   /* ends the connection without another byte */
/* Ends it politely: when the frame that is being sent is out, `bye` (for codes from 4000 on) and a close frame
 * follow.
 * code 0: a close frame without code. reason: static, at most TWI_WS_REASON_BYTES_MAX. */
void twi_client_close(twi_client *client, uint16_t code, const char *reason, int reconnect);
void twi_client_say_bye(twi_client *client);              /* the frame boundary is here */
void twi_client_tick(twi_client *client, int64_t now_ns); /* its deadline has passed */

/* send.c */
void twi_client_pump(twi_client *client); /* starts the next send, if there is something and none is in flight */
void twi_client_text(twi_client *client, const uint8_t *text, size_t len); /* queues a text frame of its own */
void twi_client_check_lag(twi_client *client);

/* control.c */
/* A whole control message. 0: it has to wait (a join is under way, or none is free). */
int twi_client_message(twi_client *client, const uint8_t *text, size_t len);
/* A subscription on the URL. */
void twi_client_subscribe_url(twi_client *client, twi_slice query);
void twi_answer_join(twi_client *client, const twi_joining *joining);
/* id: the request's, as JSON; NULL or empty: none. */
void twi_client_error(twi_client *client, const twi_buffer *id, int code, const char *name, int temporary,
                      const char *message);

/* join_client.c */
/* Adds or takes away the selected topics; takes what it needs out of the selection. 0: no joining is free now. */
int twi_join_start(twi_client *client, twi_join_kind kind, twi_selection *selection, const twi_buffer *id,
                   int recovery_asked);
void twi_join_answered(twi_shard *shard, twi_joining *joining); /* the shard has come to joining->join.begin */
void twi_join_switch(twi_client *client); /* the old set is drained: takes the new one, queues the answer */
void twi_join_finish(twi_client *client); /* its snapshots are sent */
/* Policy drop: nothing more is sent until it can take bytes again and has had a fresh start. 0: not possible now. */
int twi_client_drop(twi_client *client);
void twi_client_resync(twi_client *client); /* asks for that fresh start */
void twi_client_leave(twi_client *client);  /* gives back its subscriptions; what it still had coming is lost */
void twi_joining_free(twi_shard *shard, twi_joining *joining);

/* http_front.c */
/* Looks at client->in for request heads. */
void twi_http_front(twi_client *client);
/* Begins a turn: serves those who wait for answers of the publisher that are here, and this turn's share of those
 * whom the last turns left over. Returns how much was done. */
uint32_t twi_http_step(twi_shard *shard);
int twi_http_pending(const twi_shard *shard);
/* It has taken n bytes, or has gone. */
void twi_http_sent(twi_client *client, uint32_t n);
void twi_http_forget(twi_client *client);

#endif
