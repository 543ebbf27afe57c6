/* shard.c - see shard.h: opening, the step, accepting, time-outs, stopping. */
#include "engine/fanout/shard.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/assert.h"
#include "engine/fanout/client.h"

enum {
    SEND_BLOCKS = 1024,      /* sends of several pieces in flight at once */
    NOTE_CHUNK = 128,        /* entries between two looks at the clients; half of what a group keeps as runs */
    LAG_CHECK_SIXTEENTHS = 1 /* of the log, between two looks at those who cannot be sent to */
};

/* ---- open and close ---- */

static int allocate(twi_shard *shard)
{
    uint32_t capacity = shard->config.connection_count_max + TWI_SHARD_CONNECTIONS_EXTRA;
    shard->client_capacity = capacity;
    shard->clients = calloc(capacity, sizeof *shard->clients);
    shard->joinings = calloc(TWI_JOINS_MAX, sizeof *shard->joinings);
    shard->blocks = calloc(SEND_BLOCKS, sizeof *shard->blocks);
    int have_seqs = 1;
    for (uint32_t i = 0; i < shard->config.codec_count; i++) {
        shard->last_seq[i] = calloc(shard->config.topic_count, sizeof *shard->last_seq[i]);
        have_seqs &= shard->last_seq[i] != NULL;
    }
    if (shard->clients == NULL || shard->joinings == NULL || shard->blocks == NULL || !have_seqs)
        return 0;
    for (uint32_t i = capacity; i-- > 0;) {
        shard->clients[i].list_next = shard->free_clients;
        shard->free_clients = &shard->clients[i];
    }
    for (uint32_t i = TWI_JOINS_MAX; i-- > 0;) {
        shard->joinings[i].next_free = shard->free_joinings;
        shard->free_joinings = &shard->joinings[i];
    }
    for (uint32_t i = SEND_BLOCKS; i-- > 0;) {
        shard->blocks[i].next_free = shard->free_blocks;
        shard->free_blocks = &shard->blocks[i];
    }
    return twi_group_table_open(&shard->groups, shard->config.interest, shard->config.codec_count,
                                shard->config.topic_count, shard->config.group_count_max) == TW_OK;
}

tw_status twi_shard_open(const twi_shard_config *config, twi_shard **out, char *error, size_t error_cap)
{
    *out = NULL;
    twi_shard *shard = aligned_alloc(64, (sizeof *shard + 63) / 64 * 64);
    if (shard != NULL) {
        memset(shard, 0, sizeof *shard);
        shard->config = *config;
    }
    if (shard == NULL || !allocate(shard)) {
        snprintf(error, error_cap, "no memory for a shard of %u connections", config->connection_count_max);
        if (shard != NULL)
            twi_shard_close(shard);
        return TW_NO_MEMORY;
    }
    for (uint32_t i = 0; i < config->codec_count; i++)
        shard->seen[i] = twi_wire_log_head(config->logs[i]);
    shard->timer_ns = twi_shard_now(shard);
    *out = shard;
    return TW_OK;
}

void twi_shard_close(twi_shard *shard)
{
    for (uint32_t i = 0; shard->clients != NULL && i < shard->client_capacity; i++) {
        twi_client *client = &shard->clients[i];
        if (client->state != TWI_CLIENT_FREE && client->state != TWI_CLIENT_CLOSED)
            twi_client_leave(client);
        twi_buffer_fini(&client->in);
        twi_buffer_fini(&client->out);
        twi_buffer_fini(&client->sending);
        twi_buffer_fini(&client->deferred);
        free(client->missed_from);
        twi_buffer_fini(&client->ping);
    }
    for (uint32_t i = 0; shard->joinings != NULL && i < TWI_JOINS_MAX; i++) {
        free(shard->joinings[i].join.topics);
        twi_buffer_fini(&shard->joinings[i].id);
        twi_buffer_fini(&shard->joinings[i].errors);
    }
    twi_group_table_close(&shard->groups);
    free(shard->clients);
    free(shard->joinings);
    free(shard->blocks);
    for (uint32_t i = 0; i < TWI_CODECS_MAX; i++)
        free(shard->last_seq[i]);
    free(shard);
}

/* ---- time-outs: a wheel of ticks; each client is in at most one bucket ---- */

void twi_timer_clear(twi_client *client)
{
    if (client->deadline_ns == 0)
        return;
    if (client->timer_previous != NULL)
        client->timer_previous->timer_next = client->timer_next;
    else
        client->shard->timers[client->timer_bucket] = client->timer_next;
    if (client->timer_next != NULL)
        client->timer_next->timer_previous = client->timer_previous;
    client->timer_previous = client->timer_next = NULL;
    client->deadline_ns = 0;
}

void twi_timer_set(twi_client *client, int64_t deadline_ns)
{
    twi_shard *shard = client->shard;
    twi_timer_clear(client);
    int64_t ticks = (deadline_ns - shard->timer_ns) / TWI_TIMER_TICK_NS + 1;
    if (ticks < 1)
        ticks = 1;
    if (ticks > TWI_TIMER_BUCKETS - 1)
        ticks = TWI_TIMER_BUCKETS - 1; /* looked at once per turn of the wheel until it is due */
    client->timer_bucket = (shard->timer_bucket + (uint32_t)ticks) % TWI_TIMER_BUCKETS;
    client->deadline_ns = deadline_ns;
    client->timer_next = shard->timers[client->timer_bucket];
    if (client->timer_next != NULL)
        client->timer_next->timer_previous = client;
    shard->timers[client->timer_bucket] = client;
}

static void turn_timers(twi_shard *shard, int64_t now_ns)
{
    while (now_ns - shard->timer_ns >= TWI_TIMER_TICK_NS) {
        shard->timer_ns += TWI_TIMER_TICK_NS;
        shard->timer_bucket = (shard->timer_bucket + 1) % TWI_TIMER_BUCKETS;
        for (twi_client *client = shard->timers[shard->timer_bucket], *next; client != NULL; client = next) {
            next = client->timer_next;
            int64_t deadline_ns = client->deadline_ns;
            twi_timer_clear(client);
            if (deadline_ns > now_ns)
                twi_timer_set(client, deadline_ns);
            else
                twi_client_tick(client, now_ns);
        }
    }
}

/* ---- accepting ---- */

static void on_accept(twi_loop *loop, twi_op *op, int32_t result, uint32_t flags)
{
    twi_shard *shard = op->owner;
    if (result >= 0) {
        if (shard->stopping || shard->free_clients == NULL) {
            /* No place even to say why: the loop's table and ours have the same size, so this is a stop in
             * progress. */
            twi_client_accept(shard, op->accepted);
            return;
        }
        twi_client_accept(shard, op->accepted);
    }
    if (!(flags & TWI_OP_MORE) && result != TW_CANCELED && result != TW_CLOSED && !shard->stopping)
        loop->ops->accept(loop, op, op->sock);
}

void twi_shard_listen(twi_shard *shard, twi_sock listener)
{
    TWI_ASSERT(shard->listener_count < 2);
    twi_op *op = shard->listener_count == 0 ? &shard->accept_op : &shard->accept_more_op;
    shard->listeners[shard->listener_count++] = listener;
    op->owner = shard;
    op->done = on_accept;
    twi_ops(shard)->accept(shard->config.loop, op, listener);
}

/* ---- the step ---- */

void twi_waiting_add(twi_client *client)
{
    twi_shard *shard = client->shard;
    if (client->waiting || client->joining != NULL)
        return; /* its own join's end will resume it */
    client->waiting = 1;
    if (client->parked_listed) { /* the two lists share a link; a parked client is found again when it is sent to */
        for (twi_client **at = &shard->parked; *at != NULL; at = &(*at)->list_next) {
            if (*at == client) {
                *at = client->list_next;
                break;
            }
        }
        client->parked_listed = 0;
    }
    client->list_next = shard->waiting;
    shard->waiting = client;
}

static void retry_waiting(twi_shard *shard)
{
    if (shard->waiting == NULL || shard->free_joinings == NULL)
        return;
    twi_client *list = shard->waiting;
    shard->waiting = NULL;
    while (list != NULL) {
        twi_client *client = list;
        list = client->list_next;
        client->waiting = 0;
        if (client->dropping && client->joining == NULL)
            twi_client_resync(client);
        else
            twi_client_resume(client);
        twi_client_pump(client);
    }
}

static void check_lags(twi_shard *shard, uint8_t codec)
{
    const twi_wire_log *log = shard->config.logs[codec];
    uint64_t moved = twi_wire_log_lag(log, shard->lag_checked[codec]);
    if (moved < twi_wire_log_capacity(log) / 16 * LAG_CHECK_SIXTEENTHS)
        return;
    shard->lag_checked[codec] += moved;
    twi_client *list = shard->parked;
    shard->parked = NULL;
    while (list != NULL) {
        twi_client *client = list;
        list = client->list_next;
        client->parked_listed = 0;
        if (client->state != TWI_CLIENT_STREAM || client->send_kind != TWI_SEND_PARKED)
            continue;
        client->parked_listed = 1;
        client->list_next = shard->parked;
        shard->parked = client;
    }
    for (twi_client *client = shard->parked, *next; client != NULL; client = next) {
        next = client->list_next;
        if (client->codec == codec)
            twi_client_check_lag(client);
    }
}

static uint32_t pump_dirty(twi_shard *shard)
{
    uint32_t pumped = 0;
    twi_group *group;
    while ((group = shard->groups.dirty) != NULL) {
        shard->groups.dirty = group->next_dirty;
        group->dirty = 0;
        group->reference_count++; /* a member may be ended on the way, and be the last */
        for (twi_client *client = group->members, *next; client != NULL; client = next) {
            next = client->group_next;
            if (client->send_kind == TWI_SEND_NONE)
                twi_client_pump(client);
            pumped++;
        }
        twi_group_release(&shard->groups, group);
    }
    return pumped;
}

/* Takes the replies that stand at this index position. */
static uint32_t take_replies(twi_shard *shard, uint8_t codec, uint64_t position)
{
    uint32_t taken = 0;
    twi_joining *joining;
    while ((joining = twi_spsc_peek(&shard->config.link->replies[codec])) != NULL && joining->join.begin == position) {
        twi_spsc_pop(&shard->config.link->replies[codec]);
        twi_join_answered(shard, joining);
        taken++;
    }
    return taken;
}

/* Looks at what the publisher has added to one log. */
static uint32_t follow_log(twi_shard *shard, uint8_t codec)
{
    const twi_wire_log *log = shard->config.logs[codec];
    uint64_t head = twi_wire_log_head(log), first = shard->seen[codec];
    uint32_t work = take_replies(shard, codec, first);
    while (shard->seen[codec] < head) {
        uint64_t position = shard->seen[codec];
        twi_wire_entry entry;
        if (twi_wire_log_entry(log, position, &entry) != TW_OK) {
            /* The whole shard was lapped: nobody of it can be served without a hole. */
            twi_count(shard, TWI_COUNTER_SHARD_LAPPED, 1);
            for (uint32_t i = 0; i < shard->client_capacity; i++)
                if (shard->clients[i].state == TWI_CLIENT_STREAM && shard->clients[i].codec == codec)
                    twi_client_close(&shard->clients[i], 4002, "slow consumer", 1);
            shard->seen[codec] = head;
            break;
        }
        if (!(entry.topic & TWI_TOPIC_SNAPSHOT)) {
            shard->last_seq[codec][entry.topic] = entry.seq;
            uint32_t clients = twi_group_table_note(&shard->groups, codec, position, &entry);
            shard->totals.published += clients;
            twi_count(shard, TWI_COUNTER_OFFERED, clients);
        }
        shard->seen[codec]++;
        work++;
        if (twi_spsc_peek(&shard->config.link->replies[codec]) != NULL)
            work += take_replies(shard, codec, shard->seen[codec]);
        if (shard->seen[codec] % NOTE_CHUNK == 0)
            work += pump_dirty(shard);
    }
    return work;
}

uint32_t twi_shard_step(twi_shard *shard, int64_t wait_until_ns)
{
    uint32_t work = twi_http_step(shard);
    for (uint8_t codec = 0; codec < shard->config.codec_count; codec++) {
        work += follow_log(shard, codec);
        check_lags(shard, codec);
    }
    work += pump_dirty(shard);
    retry_waiting(shard);
    if (work > 0)
        wait_until_ns = 0;
    int64_t tick_ns = shard->timer_ns + TWI_TIMER_TICK_NS;
    if (wait_until_ns > tick_ns && shard->client_count > 0)
        wait_until_ns = tick_ns;
    if (wait_until_ns > 0) {
        /* Say that we sleep, then look once more: the publisher publishes first and looks at `asleep` afterwards,
         * so one
         * of the two sees the other (both sides are sequentially consistent). */
        atomic_store_explicit(&shard->asleep, 1, memory_order_seq_cst);
        for (uint8_t codec = 0; codec < shard->config.codec_count; codec++)
            if (atomic_load_explicit(&shard->config.logs[codec]->head, memory_order_seq_cst) != shard->seen[codec] ||
                twi_spsc_peek(&shard->config.link->replies[codec]) != NULL)
                wait_until_ns = 0;
        if (twi_http_pending(shard))
            wait_until_ns = 0;
    }
    work += twi_ops(shard)->poll(shard->config.loop, wait_until_ns);
    atomic_store_explicit(&shard->asleep, 0, memory_order_relaxed);
    turn_timers(shard, twi_shard_now(shard));
    return work;
}

void twi_shard_wake(twi_shard *shard)
{
    atomic_thread_fence(memory_order_seq_cst);
    if (atomic_load_explicit(&shard->asleep, memory_order_relaxed) &&
        atomic_exchange_explicit(&shard->asleep, 0, memory_order_relaxed))
        twi_ops(shard)->wake(shard->config.loop);
}

/* ---- stopping ---- */

static void on_listener_closed(twi_loop *loop, twi_op *op, int32_t result, uint32_t flags)
{
    (void)loop;
    (void)op;
    (void)result;
    (void)flags;
}

void twi_shard_stop(twi_shard *shard)
{
    if (shard->stopping)
        return;
    shard->stopping = 1;
    for (uint32_t i = 0; i < shard->listener_count; i++) {
        shard->stop_ops[i].owner = shard;
        shard->stop_ops[i].done = on_listener_closed;
        twi_ops(shard)->close(shard->config.loop, &shard->stop_ops[i], shard->listeners[i]);
    }
    for (uint32_t i = 0; i < shard->client_capacity; i++) {
        twi_client *client = &shard->clients[i];
        if (client->state == TWI_CLIENT_HTTP || client->state == TWI_CLIENT_STREAM)
            twi_client_close(client, 4001, "shutdown", 1);
    }
}

int twi_shard_saturated(const twi_shard *shard)
{
    return atomic_load_explicit(&shard->blocked_count, memory_order_relaxed) * 2 >
           atomic_load_explicit(&shard->stream_count, memory_order_relaxed);
}

uint32_t twi_shard_client_count(const twi_shard *shard)
{
    return shard->client_count;
}

twi_shard_totals twi_shard_count(const twi_shard *shard)
{
    twi_shard_totals totals = shard->totals;
    for (uint32_t i = 0; i < shard->client_capacity; i++) {
        const twi_client *client = &shard->clients[i];
        totals.pending += client->saved_rest > 0;
        if (client->state != TWI_CLIENT_STREAM)
            continue;
        const twi_joining *joining = client->joining;
        if (joining != NULL && joining->phase == TWI_PHASE_DRAINING) {
            if (client->stream_group != NULL)
                totals.pending += joining->limit_delivered - client->cursor.delivered;
            if (client->group != NULL)
                totals.pending += client->group->cumulative - joining->target_cursor.delivered;
        } else if (client->group != NULL) {
            totals.pending += client->group->cumulative - client->cursor.delivered;
        }
    }
    return totals;
}

size_t twi_shard_client_bytes(void)
{
    return sizeof(twi_client);
}
