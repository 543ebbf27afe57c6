/* subscriber_rig.h - a client pool and a server beside each other, and what the callbacks were told.
 *
 * Shape:     every test runs on each loop that this machine has; server and client are stepped in one thread. */
#ifndef TWT_SUBSCRIBER_RIG_H
#define TWT_SUBSCRIBER_RIG_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <unistd.h>

#include <cmocka.h>

#include "engine/base/clock.h"
#include "tests/unit/subscriber_server.h"
#include "tickwire/subscriber.h"

#define NS_PER_MS  1000000LL
#define TIMEOUT_NS (20000 * NS_PER_MS)
#define TRADE(seq)                                                                                                     \
    "{\"type\":\"trade\",\"exchange\":\"sim\",\"symbol\":\"A/B\",\"seq\":" #seq                                        \
    ",\"id\":\"7\",\"price\":64000.10,\"amount\":0.012,\"side\":\"buy\",\"timestamp\":1700000000000,"                  \
    "\"recv_ns\":1700000000123456789,\"publish_ns\":1700000000123460000}"
#define ACK(seq)                                                                                                       \
    "{\"op\":\"subscribed\",\"id\":1,\"topics\":[{\"exchange\":\"sim\",\"symbol\":\"A/B\",\"channel\":\"trade\","      \
    "\"seq\":" #seq "}],\"errors\":[]}"

enum { SEEN_MAX = 64 };

/* What the callbacks were told. */
typedef struct seen {
    tw_message messages[SEEN_MAX];
    uint32_t message_count;
    tw_event event; /* of the last decoded message */
    uint32_t event_count;
    tw_client_state states[SEEN_MAX];
    uint32_t state_count;
    tw_status status;
    char reason[256];
    char control_name[64], control_message[256], control_symbol[64], epoch[32];
    tw_control control;
    uint32_t control_count, error_count;
    bool close_on_message;
} seen;

typedef struct rig {
    twt_server *server;
    tw_client_pool *pool;
    tw_client *client;
    seen seen;
    char url[128];
} rig;

static const char *loop_name;

static inline void on_message(tw_client *client, const tw_message *message, void *owner)
{
    seen *s = owner;
    s->messages[s->message_count++ % SEEN_MAX] = *message;
    if (message->record) {
        s->event = message->record->events[0];
        s->event_count = message->record->event_count;
    }
    if (s->close_on_message)
        tw_client_close(client);
}

static inline void on_control(tw_client *client, const tw_control *control, void *owner)
{
    seen *s = owner;
    (void)client;
    s->control = *control;
    s->control_count++;
    s->error_count += control->op == TW_CONTROL_ERROR;
    snprintf(s->control_name, sizeof s->control_name, "%s", control->name);
    snprintf(s->control_message, sizeof s->control_message, "%s", control->message);
    snprintf(s->control_symbol, sizeof s->control_symbol, "%s", control->symbol);
    if (control->op == TW_CONTROL_HELLO)
        snprintf(s->epoch, sizeof s->epoch, "%s", control->epoch);
}

static inline void on_state(tw_client *client, tw_client_state state, tw_status status, const char *reason, void *owner)
{
    seen *s = owner;
    (void)client;
    s->states[s->state_count++ % SEEN_MAX] = state;
    if (state == TW_CLIENT_WAITING || state == TW_CLIENT_CLOSED || state == TW_CLIENT_CLOSING) {
        s->status = status;
        snprintf(s->reason, sizeof s->reason, "%s", reason);
    }
}

static inline tw_client_pool_options pool_options(rig *r)
{
    tw_client_pool_options options;
    tw_client_pool_options_init(&options);
    options.loop = loop_name;
    options.client_count_max = 256;
    options.topic_count_max = 64;
    options.backoff_min_ns = NS_PER_MS;
    options.backoff_max_ns = 8 * NS_PER_MS;
    options.seed = 42;
    options.callbacks = (tw_client_callbacks){on_message, on_control, on_state};
    options.owner = &r->seen;
    return options;
}

static inline void pool_open(rig *r, const tw_client_pool_options *options)
{
    char error[1024] = "";
    if (tw_client_pool_open(options, &r->pool, error, sizeof error) != TW_OK)
        fail_msg("%s", error);
}

static inline void client_open(rig *r, tw_client_options options)
{
    char error[256] = "";
    static const tw_subscription trades = {.channels = "trade", .symbols = "sim:A/B"};
    if (!options.url)
        options.url = r->url;
    if (!options.subscriptions) {
        options.subscriptions = &trades;
        options.subscription_count = 1;
    }
    if (tw_client_open(r->pool, &options, &r->client, error, sizeof error) != TW_OK)
        fail_msg("%s", error);
}

static inline void server_open(rig *r)
{
    memset(r, 0, sizeof *r);
    r->server = twt_server_open(loop_name, "127.0.0.1");
    snprintf(r->url, sizeof r->url, "ws://127.0.0.1:%u/v1/stream", r->server->port);
}

static inline void rig_open(rig *r)
{
    server_open(r);
    tw_client_pool_options options = pool_options(r);
    pool_open(r, &options);
    client_open(r, (tw_client_options){0});
}

static inline void rig_close(rig *r)
{
    tw_client_pool_close(r->pool);
    twt_server_close(r->server);
}

static inline void step(rig *r)
{
    twt_server_step(r->server);
    tw_client_pool_poll(r->pool, NS_PER_MS / 10);
}

#define UNTIL(rig_, condition)                                                                                         \
    do {                                                                                                               \
        int64_t deadline_ns_ = twi_monotonic_ns() + TIMEOUT_NS;                                                        \
        while (!(condition)) {                                                                                         \
            step(rig_);                                                                                                \
            if (twi_monotonic_ns() > deadline_ns_)                                                                     \
                fail_msg("never happened: %s", #condition);                                                            \
        }                                                                                                              \
    } while (0)

static inline twt_conn *conn(rig *r)
{
    return r->server->conns[r->server->conn_count - 1];
}

static inline tw_client_stats stats(rig *r)
{
    tw_client_stats result;
    tw_client_pool_stats(r->pool, &result);
    return result;
}

static uint64_t errors_named(rig *r, const char *name)
{
    uint64_t count;
    const char *found;
    for (uint32_t i = 0; (found = tw_client_pool_error(r->pool, i, &count)) != NULL; i++)
        if (strcmp(found, name) == 0)
            return count;
    return 0;
}

static const tw_message *last_message(rig *r)
{
    return &r->seen.messages[(r->seen.message_count - 1) % SEEN_MAX];
}

/* Connected, subscribed, answered with seq. */
static inline void open_at(rig *r, const char *ack)
{
    UNTIL(r, r->server->conn_count > 0 && conn(r)->text_count == 1);
    twt_send_text(conn(r), ack);
    UNTIL(r, tw_client_get_state(r->client) == TW_CLIENT_READY);
}

static inline bool loop_exists(const char *name)
{
    char reason[1024];
    twi_loop *loop;
    twi_loop_config config = {.sock_count_max = 4};
    if (twi_loop_open(name, &config, &loop, reason, sizeof reason) != TW_OK) {
        print_message("%s is left out: %s\n", name, reason);
        return false;
    }
    loop->ops->close_loop(loop);
    return true;
}

/* Goes to the next loop that this machine has; false after the last. */
static inline bool next_loop(void)
{
    static const char *const names[] = {"epoll", "io_uring", "kqueue"};
    static size_t next;
    while (next < sizeof names / sizeof names[0]) {
        loop_name = names[next++];
        if (loop_exists(loop_name))
            return true;
    }
    return false;
}

#endif
