/* pool.c - one loop and its clients: opening, polling, dialing in turn, deadlines, counters. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/clock.h"
#include "subscribers/client.h"
#include "subscribers/url.h"

#define NS_PER_S  1000000000LL
#define NS_PER_MS 1000000LL

enum {
    CLIENTS_DEFAULT = 1,
    CLIENTS_MAX = 1 << 20,
    TOPICS_DEFAULT = 16384,
    TOPICS_MAX = 1 << 22,
    MESSAGE_BYTES_DEFAULT = 16 << 20,
    EVENTS_DEFAULT = 65536,
    RECV_BUFFER_BYTES_DEFAULT = 32768,
    RECV_BUFFER_COUNT_DEFAULT = 64,
    DIALS_INFLIGHT_DEFAULT = 64,
    SEND_BATCH = 32,
    SPARE_SOCKETS = 8,
    HEADERS_BYTES_MAX = 2048
};

void tw_client_pool_options_init(tw_client_pool_options *options)
{
    *options = (tw_client_pool_options){.loop = "auto",
                                        .client_count_max = CLIENTS_DEFAULT,
                                        .topic_count_max = TOPICS_DEFAULT,
                                        .message_bytes_max = MESSAGE_BYTES_DEFAULT,
                                        .event_count_max = EVENTS_DEFAULT,
                                        .recv_buffer_bytes = RECV_BUFFER_BYTES_DEFAULT,
                                        .recv_buffer_count = RECV_BUFFER_COUNT_DEFAULT,
                                        .dials_inflight_max = DIALS_INFLIGHT_DEFAULT,
                                        .decode = TW_CLIENT_DECODE_FULL,
                                        .handshake_timeout_ns = 10 * NS_PER_S,
                                        .backoff_min_ns = 100 * NS_PER_MS,
                                        .backoff_max_ns = 10 * NS_PER_S};
}

/* splitmix64: jitter, keys and masks have to differ, not to be secret (RFC 6455 section 10.3 protects browsers). */
uint64_t twi_pool_random(tw_client_pool *pool)
{
    uint64_t z = (pool->random += UINT64_C(0x9e3779b97f4a7c15));
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

void twi_pool_error(tw_client_pool *pool, const char *name)
{
    pool->stats.errors++;
    for (uint32_t i = 0; i < pool->error_count; i++) {
        if (strcmp(pool->errors[i].name, name) == 0) {
            pool->errors[i].count++;
            return;
        }
    }
    /* The last place collects what has no place of its own. */
    uint32_t index = pool->error_count < TWI_CLIENT_ERRORS_MAX ? pool->error_count++ : TWI_CLIENT_ERRORS_MAX - 1;
    twi_client_error *error = &pool->errors[index];
    snprintf(error->name, sizeof error->name, "%s", index == TWI_CLIENT_ERRORS_MAX - 1 ? "other" : name);
    error->count++;
}

void twi_pool_deadline(tw_client_pool *pool, tw_client *client, int64_t deadline_ns)
{
    client->deadline_ns = deadline_ns;
    if (deadline_ns < pool->sweep_ns)
        pool->sweep_ns = deadline_ns;
}

void twi_pool_dial_queue(tw_client_pool *pool, tw_client *client)
{
    if (client->dial_queued)
        return;
    client->dial_queued = true;
    client->dial_next = NULL;
    if (pool->dial_tail)
        pool->dial_tail->dial_next = client;
    else
        pool->dial_head = client;
    pool->dial_tail = client;
}

static tw_status fail(tw_status status, char *error, size_t error_cap, const char *text)
{
    if (error_cap > 0)
        snprintf(error, error_cap, "%s", text);
    return status;
}

static const char *options_wrong(const tw_client_pool_options *options)
{
    if (options->client_count_max == 0 || options->client_count_max > CLIENTS_MAX)
        return "client_count_max is not from 1 to 1048576";
    if (options->topic_count_max == 0 || options->topic_count_max > TOPICS_MAX)
        return "topic_count_max is not from 1 to 4194304";
    if (options->message_bytes_max == 0 || options->event_count_max == 0)
        return "message_bytes_max and event_count_max must not be 0";
    if (options->dials_inflight_max == 0 || options->handshake_timeout_ns <= 0)
        return "dials_inflight_max and handshake_timeout_ns must not be 0";
    if (options->backoff_min_ns <= 0 || options->backoff_max_ns < options->backoff_min_ns)
        return "backoff_min_ns must be positive and not over backoff_max_ns";
    if (options->decode > TW_CLIENT_DECODE_SCAN)
        return "decode is no tw_client_decode";
    return NULL;
}

static tw_status pool_memory(tw_client_pool *pool)
{
    const tw_client_pool_options *options = &pool->options;
    pool->clients = calloc(options->client_count_max, sizeof *pool->clients);
    pool->events = malloc(options->event_count_max * sizeof *pool->events);
    if (!pool->clients || !pool->events)
        return TW_NO_MEMORY;
    return twi_topics_open(&pool->topics, options->topic_count_max);
}

tw_status tw_client_pool_open(const tw_client_pool_options *options, tw_client_pool **out, char *error,
                              size_t error_cap)
{
    const char *wrong = options_wrong(options);
    if (wrong)
        return fail(TW_BAD_ARGUMENT, error, error_cap, wrong);
    tw_client_pool *pool = calloc(1, sizeof *pool);
    if (!pool)
        return fail(TW_NO_MEMORY, error, error_cap, "no memory for the pool");
    pool->options = *options;
    pool->sweep_ns = TWI_CLIENT_NEVER;
    pool->random = options->seed ? options->seed : (uint64_t)twi_realtime_ns() ^ (uint64_t)(uintptr_t)pool;
    twi_loop_config config = {.sock_count_max = options->client_count_max + SPARE_SOCKETS,
                              .recv_buffer_bytes = options->recv_buffer_bytes,
                              .recv_buffer_count = options->recv_buffer_count,
                              .send_batch = SEND_BATCH};
    tw_status status = pool_memory(pool);
    if (status != TW_OK) {
        tw_client_pool_close(pool);
        return fail(status, error, error_cap, "no memory for topics and events");
    }
    status =
        twi_loop_open(options->loop ? options->loop : "auto", &config, &pool->loop, pool->reason, sizeof pool->reason);
    if (status != TW_OK) {
        fail(status, error, error_cap, pool->reason);
        pool->loop = NULL;
        tw_client_pool_close(pool);
        return status;
    }
    pool->now_ns = pool->loop->ops->now_ns(pool->loop);
    *out = pool;
    return TW_OK;
}

void tw_client_pool_close(tw_client_pool *pool)
{
    if (!pool)
        return;
    pool->closing = true;
    if (pool->loop)
        pool->loop->ops->close_loop(pool->loop);
    for (uint32_t i = 0; i < pool->client_count; i++)
        twi_client_free(pool->clients[i]);
    free(pool->clients);
    free(pool->events);
    twi_topics_close(&pool->topics);
    free(pool);
}

/* ---- polling ---- */

static uint32_t dials_start(tw_client_pool *pool)
{
    uint32_t started = 0;
    while (pool->dial_head && pool->dials_inflight < pool->options.dials_inflight_max) {
        if (pool->options.dials_per_second > 0) {
            if (pool->now_ns < pool->dial_ns)
                break;
            int64_t interval_ns = NS_PER_S / pool->options.dials_per_second;
            /* Catches up after a late poll, but not after a pause. */
            pool->dial_ns =
                pool->dial_ns + NS_PER_S < pool->now_ns ? pool->now_ns + interval_ns : pool->dial_ns + interval_ns;
        }
        tw_client *client = pool->dial_head;
        pool->dial_head = client->dial_next;
        if (!pool->dial_head)
            pool->dial_tail = NULL;
        client->dial_queued = false;
        if (client->state != TW_CLIENT_WAITING)
            continue;
        twi_client_dial(client);
        started++;
    }
    return started;
}

static void sweep(tw_client_pool *pool)
{
    pool->sweep_ns = TWI_CLIENT_NEVER;
    for (uint32_t i = 0; i < pool->client_count; i++) {
        tw_client *client = pool->clients[i];
        if (client->deadline_ns <= pool->now_ns)
            twi_client_deadline(client);
        if (client->deadline_ns < pool->sweep_ns)
            pool->sweep_ns = client->deadline_ns;
    }
}

static int64_t wait_until(const tw_client_pool *pool, int64_t timeout_ns)
{
    int64_t until_ns = timeout_ns > TWI_CLIENT_NEVER - pool->now_ns ? TWI_CLIENT_NEVER : pool->now_ns + timeout_ns;
    bool may_dial = pool->dial_head && pool->dials_inflight < pool->options.dials_inflight_max;
    if (may_dial && pool->dial_ns < until_ns)
        until_ns = pool->dial_ns;
    return pool->sweep_ns < until_ns ? pool->sweep_ns : until_ns;
}

uint32_t tw_client_pool_poll(tw_client_pool *pool, int64_t timeout_ns)
{
    uint32_t work = dials_start(pool);
    if (pool->sweep_ns <= pool->now_ns)
        sweep(pool);
    work += pool->loop->ops->poll(pool->loop, timeout_ns > 0 ? wait_until(pool, timeout_ns) : 0);
    pool->now_ns = pool->loop->ops->now_ns(pool->loop);
    return work;
}

void tw_client_pool_wake(tw_client_pool *pool)
{
    pool->loop->ops->wake(pool->loop);
}

/* ---- questions ---- */

const char *tw_client_pool_loop_name(const tw_client_pool *pool)
{
    return pool->loop->ops->name;
}

const char *tw_client_pool_loop_reason(const tw_client_pool *pool)
{
    return pool->reason;
}

void tw_client_pool_stats(const tw_client_pool *pool, tw_client_stats *stats)
{
    *stats = pool->stats;
}

const char *tw_client_pool_error(const tw_client_pool *pool, uint32_t index, uint64_t *count)
{
    if (index >= pool->error_count)
        return NULL;
    *count = pool->errors[index].count;
    return pool->errors[index].name;
}

uint32_t tw_client_pool_topic_count(const tw_client_pool *pool)
{
    return pool->topics.count;
}

const tw_topic *tw_client_pool_topic(const tw_client_pool *pool, uint32_t topic)
{
    return topic < pool->topics.count ? &pool->topics.topics[topic] : NULL;
}

const tw_symbols *tw_client_pool_symbols(const tw_client_pool *pool)
{
    return pool->topics.symbols;
}

uint32_t tw_client_pool_count(const tw_client_pool *pool, tw_client_state state)
{
    return pool->state_count[state];
}

tw_client_state tw_client_get_state(const tw_client *client)
{
    return (tw_client_state)client->state;
}

uint32_t tw_client_index(const tw_client *client)
{
    return client->index;
}

uint64_t tw_client_message_count(const tw_client *client)
{
    return client->message_count;
}

/* ---- new clients ---- */

static tw_status codec_choose(tw_client *client, const char *name)
{
    if (!name || strcmp(name, "json") == 0) {
        client->codec = &tw_codec_json;
        client->protocols = "tickwire.v1.json";
        return TW_OK;
    }
    if (strcmp(name, "flatbuffers") != 0)
        return TW_NOT_SUPPORTED;
    client->codec = &tw_codec_flatbuffers;
    client->protocols = "tickwire.v1.flatbuffers";
    client->binary = true;
    return TW_OK;
}

static tw_status query_subscribe(twi_url *url, const tw_subscription *subscription)
{
    char number[32];
    if (!subscription->channels || !subscription->symbols)
        return TW_BAD_ARGUMENT;
    tw_status status = twi_url_query_add(url, "channels", subscription->channels);
    if (status == TW_OK)
        status = twi_url_query_add(url, "symbols", subscription->symbols);
    if (status == TW_OK && subscription->policy)
        status = twi_url_query_add(url, "policy", subscription->policy);
    if (status == TW_OK && subscription->interval_ns > 0) {
        snprintf(number, sizeof number, "%lldms", (long long)(subscription->interval_ns / NS_PER_MS));
        status = twi_url_query_add(url, "interval", number);
    }
    if (status == TW_OK && subscription->depth > 0) {
        snprintf(number, sizeof number, "%u", subscription->depth);
        status = twi_url_query_add(url, "depth", number);
    }
    return status;
}

static tw_status headers_make(tw_client *client, const char *token)
{
    char text[HEADERS_BYTES_MAX];
    if (!token)
        return TW_OK;
    for (const char *c = token; *c; c++)
        if ((unsigned char)*c <= ' ' || *c == 0x7f)
            return TW_BAD_ARGUMENT;
    int len = snprintf(text, sizeof text, "Authorization: Bearer %s\r\n", token);
    if (len >= (int)sizeof text)
        return TW_BAD_ARGUMENT;
    client->headers = strdup(text);
    return client->headers ? TW_OK : TW_NO_MEMORY;
}

static tw_status target_set(tw_client *client, const twi_url *url)
{
    client->address = strdup(url->address);
    client->authority = strdup(url->authority);
    client->target = strdup(url->target);
    client->port = url->port;
    return client->address && client->authority && client->target ? TW_OK : TW_NO_MEMORY;
}

static tw_status wishes_set(tw_client *client, const tw_client_options *options, twi_url *url)
{
    if (options->subscribe_by_url && options->subscription_count > 0)
        return options->subscription_count == 1 ? query_subscribe(url, options->subscriptions) : TW_BAD_ARGUMENT;
    for (uint32_t i = 0; i < options->subscription_count; i++) {
        tw_status status = twi_request_add(client, &options->subscriptions[i], false, NULL);
        if (status != TW_OK)
            return status;
    }
    return TW_OK;
}

void *twi_client_resize(void *owner, void *old, size_t new_bytes)
{
    (void)owner;
    if (new_bytes > 0)
        return realloc(old, new_bytes);
    free(old);
    return NULL;
}

static tw_status client_set_up(tw_client *client, const tw_client_options *options, char *error, size_t error_cap)
{
    twi_url url;
    tw_status status = twi_url_parse(options->url ? options->url : "", &url, error, error_cap);
    if (status != TW_OK)
        return status;
    status = codec_choose(client, options->codec);
    if (status != TW_OK)
        return fail(status, error, error_cap, "codec: json or flatbuffers");
    status = wishes_set(client, options, &url);
    if (status != TW_OK)
        return fail(status, error, error_cap, "subscription: channels, symbols or interval are not right, or too long");
    status = headers_make(client, options->token);
    if (status != TW_OK)
        return fail(status, error, error_cap, "token: too long, or not printable");
    status = target_set(client, &url);
    return status == TW_OK ? TW_OK : fail(status, error, error_cap, "no memory for the client");
}

tw_status tw_client_open(tw_client_pool *pool, const tw_client_options *options, tw_client **out, char *error,
                         size_t error_cap)
{
    if (pool->client_count == pool->options.client_count_max)
        return fail(TW_FULL, error, error_cap, "the pool has client_count_max clients");
    tw_client *client = calloc(1, sizeof *client);
    if (!client)
        return fail(TW_NO_MEMORY, error, error_cap, "no memory for the client");
    client->pool = pool;
    client->owner = options->owner ? options->owner : pool->options.owner;
    client->no_reconnect = options->no_reconnect;
    client->partial.bytes_max = pool->options.message_bytes_max;
    client->partial.resize = twi_client_resize;
    client->deadline_ns = TWI_CLIENT_NEVER;
    client->index = pool->client_count;
    tw_status status = client_set_up(client, options, error, error_cap);
    if (status != TW_OK) {
        twi_client_free(client);
        return status;
    }
    pool->clients[pool->client_count++] = client;
    pool->state_count[TW_CLIENT_WAITING]++;
    twi_pool_dial_queue(pool, client);
    if (out)
        *out = client;
    return TW_OK;
}

tw_status tw_client_subscribe(tw_client *client, const tw_subscription *subscription, uint32_t *id)
{
    return twi_request_add(client, subscription, false, id);
}

tw_status tw_client_unsubscribe(tw_client *client, const char *channels, const char *symbols, uint32_t *id)
{
    tw_subscription what = {.channels = channels, .symbols = symbols};
    return twi_request_add(client, &what, true, id);
}

tw_status tw_client_send(tw_client *client, const char *text, size_t text_len)
{
    if (client->state != TW_CLIENT_OPEN && client->state != TW_CLIENT_READY)
        return TW_CLOSED;
    tw_status status = twi_client_frame(client, TWI_WS_TEXT, text, text_len);
    if (status == TW_OK)
        twi_client_flush(client);
    return status;
}
