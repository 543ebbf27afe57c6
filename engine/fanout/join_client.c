/* join_client.c - a client's way from one set of topics to another, and what it misses on the way (join.h). */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/assert.h"
#include "engine/fanout/client.h"

/* ---- joins ---- */

void twi_joining_free(twi_shard *shard, twi_joining *joining)
{
    if (joining->target != NULL)
        twi_group_release(&shard->groups, joining->target);
    free(joining->join.topics);
    twi_buffer_fini(&joining->id);
    twi_buffer_fini(&joining->errors);
    memset(joining, 0, sizeof *joining);
    joining->next_free = shard->free_joinings;
    shard->free_joinings = joining;
    shard->joins_under_way--;
}

static twi_joining *take_joining(twi_shard *shard)
{
    twi_joining *joining = shard->free_joinings;
    if (joining == NULL)
        return NULL;
    shard->free_joinings = joining->next_free;
    joining->next_free = NULL;
    shard->joins_under_way++;
    return joining;
}

static void queue_join(twi_client *client, twi_joining *joining)
{
    twi_shard *shard = client->shard;
    joining->client = client;
    joining->join.codec = client->codec;
    joining->phase = TWI_PHASE_REQUESTED;
    joining->with_publisher = 1;
    client->joining = joining;
    int pushed = twi_spsc_push(&shard->config.link->requests, joining);
    TWI_ASSERT(pushed); /* there are no more joinings than slots */
    if (shard->config.wake_publisher != NULL)
        shard->config.wake_publisher(shard->config.wake_owner);
}

/* The client's topics after adding or taking away the selection; drops from the selection what it does not have. */
static uint32_t *combine(const twi_client *client, twi_selection *selection, int adding, uint32_t *count)
{
    const twi_group *group = client->group;
    uint32_t have_count = group != NULL ? group->topic_count : 0;
    uint32_t *topics = malloc((have_count + selection->count + 1) * sizeof *topics);
    if (topics == NULL)
        return NULL;
    uint32_t made = 0, have = 0, asked = 0, kept = 0;
    while (have < have_count || asked < selection->count) {
        uint32_t mine = have < have_count ? group->topics[have] : UINT32_MAX;
        uint32_t theirs = asked < selection->count ? selection->topics[asked].topic : UINT32_MAX;
        if (mine < theirs) {
            topics[made++] = mine;
            have++;
            continue;
        }
        int both = mine == theirs;
        have += both;
        if (adding) {
            topics[made++] = theirs;
            selection->topics[kept++] = selection->topics[asked];
        } else if (both) {
            selection->topics[kept++] = selection->topics[asked];
        }
        asked++;
    }
    selection->count = kept;
    *count = made;
    return topics;
}

int twi_join_start(twi_client *client, twi_join_kind kind, twi_selection *selection, const twi_buffer *id,
                   int recovery_asked)
{
    twi_shard *shard = client->shard;
    int adding = kind == TWI_JOIN_SUBSCRIBE;
    twi_joining *joining = take_joining(shard);
    if (joining == NULL)
        return 0;
    uint32_t count = 0;
    uint32_t *topics = combine(client, selection, adding, &count);
    char message[128];
    const char *refused = NULL;
    if (topics == NULL) {
        refused = "the engine has no memory for it now";
    } else if (adding && count > shard->config.subscription_count_max) {
        snprintf(message, sizeof message, "%u topics are more than the %u that one connection may have", count,
                 shard->config.subscription_count_max);
        refused = message;
    } else if (count > 0 &&
               twi_group_acquire(&shard->groups, client->codec, topics, count, &joining->target) != TW_OK) {
        refused = "the engine serves no more different sets of topics (limits.groups_max)";
    }
    free(topics);
    if (refused != NULL) {
        twi_joining_free(shard, joining);
        twi_client_error(client, id, TWI_ERROR_RATE_LIMIT, "RateLimitExceeded", refused != message, refused);
        return 1;
    }
    joining->join.kind = (uint8_t)kind;
    joining->join.topics = selection->topics;
    joining->join.topic_count = selection->count;
    selection->topics = NULL;
    joining->recovery_asked = (uint8_t)recovery_asked;
    twi_buffer_append(&joining->id, id->data, id->len);
    joining->errors = selection->errors;
    selection->errors = (twi_buffer){0};
    queue_join(client, joining);
    return 1;
}

/* Asks for a fresh start with the topics that it has. */
void twi_client_resync(twi_client *client)
{
    twi_shard *shard = client->shard;
    twi_joining *joining = take_joining(shard);
    twi_group *group = client->group;
    if (joining == NULL) {
        twi_waiting_add(client);
        return;
    }
    joining->join.topics = calloc(group->topic_count, sizeof *joining->join.topics);
    if (joining->join.topics == NULL) {
        twi_joining_free(shard, joining);
        twi_client_kill(client);
        return;
    }
    for (uint32_t i = 0; i < group->topic_count; i++)
        joining->join.topics[i].topic = group->topics[i];
    joining->join.topic_count = group->topic_count;
    joining->join.kind = TWI_JOIN_RESYNC;
    group->reference_count++;
    joining->target = group;
    queue_join(client, joining);
}

static void enter_group(twi_client *client, twi_group *group)
{
    client->group = group;
    if (group == NULL)
        return;
    client->group_previous = NULL;
    client->group_next = group->members;
    if (group->members != NULL)
        group->members->group_previous = client;
    group->members = client;
    group->member_count++;
    twi_count(client->shard, TWI_COUNTER_SUBSCRIPTIONS, group->topic_count);
}

static void leave_group(twi_client *client)
{
    twi_group *group = client->group;
    if (group == NULL)
        return;
    if (client->group_previous != NULL)
        client->group_previous->group_next = client->group_next;
    else
        group->members = client->group_next;
    if (client->group_next != NULL)
        client->group_next->group_previous = client->group_previous;
    group->member_count--;
    twi_counter_subtract(client->shard->config.counters, TWI_COUNTER_SUBSCRIPTIONS, group->topic_count);
    client->group_previous = client->group_next = NULL;
    client->group = NULL;
}

static void lost(twi_client *client, uint64_t count)
{
    client->shard->totals.lost += count;
    twi_count(client->shard, TWI_COUNTER_LOST, count);
}

/* ---- loss records (policy drop) ---- */

static void append_loss(twi_client *client, uint32_t topic, const twi_loss *loss)
{
    const tw_codec_ops *codec = client->shard->config.codecs[client->codec];
    int64_t now_ns = twi_shard_realtime(client->shard);
    uint32_t slot = twi_topic_slot(topic);
    tw_event event = {
        .instrument = twi_topic_instrument(topic),
        .kind = TW_EVENT_LOSS,
        .flags = TW_FLAG_FIRST | TW_FLAG_LAST,
        .recv_ns = now_ns,
        .u.loss = {.from = loss->from,
                   .to = loss->to,
                   .count = loss->count,
                   .channel = (uint16_t)twi_slot_channel(slot),
                   .reason = TW_REASON_SLOW_CONSUMER,
                   .interval_s = slot >= TWI_SLOT_CANDLE ? twi_candle_interval_s(slot - TWI_SLOT_CANDLE) : 0},
    };
    tw_record record = {.events = &event, .event_count = 1, .seq = loss->to, .publish_ns = now_ns};
    size_t bound = codec->bound(1);
    uint8_t *scratch = malloc(bound);
    size_t len = scratch != NULL ? codec->encode(client->shard->config.symbols, &record, scratch, bound) : 0;
    uint8_t header[TWI_WS_HEADER_BYTES_MAX];
    size_t header_bytes = twi_ws_header_write(header, codec->ws_opcode, true, false, len, NULL);
    twi_buffer_append(&client->out, header, header_bytes);
    twi_buffer_append(&client->out, scratch, len);
    free(scratch);
}

/* Notes from which number on each topic of the client is not delivered: the first of its entries that waits, or the
 * next
 * one to come. 0: the index does not reach back that far. */
static int note_missed(twi_client *client)
{
    const twi_shard *shard = client->shard;
    const twi_wire_log *log = shard->config.logs[client->codec];
    const twi_group *group = client->stream_group;
    uint64_t end = shard->seen[client->codec], window = twi_wire_log_window(log);
    uint64_t low = end > window ? end - window : 0, position;
    twi_wire_entry entry;
    if (twi_wire_log_find(log, client->cursor.offset, low, end, &position) != TW_OK)
        return 0;
    if (position == low && low > 0)
        return 0;
    for (; position < end; position++) {
        if (twi_wire_log_entry(log, position, &entry) != TW_OK)
            return 0;
        int64_t index = twi_group_topic_index(group, entry.topic);
        if (index >= 0 && client->missed_from[index] == 0)
            client->missed_from[index] = entry.seq;
    }
    for (uint32_t i = 0; i < group->topic_count; i++)
        if (client->missed_from[i] == 0)
            client->missed_from[i] = shard->last_seq[client->codec][group->topics[i]] + 1;
    return 1;
}

int twi_client_drop(twi_client *client)
{
    twi_joining *joining = client->joining;
    if (joining != NULL && joining->phase != TWI_PHASE_SNAPSHOTS)
        return 0;
    free(client->missed_from);
    client->missed_from = calloc(client->stream_group->topic_count, sizeof *client->missed_from);
    if (client->missed_from == NULL || !note_missed(client))
        return 0;
    if (joining != NULL) {
        client->joining = NULL; /* its snapshots are out of date: there will be new ones */
        twi_joining_free(client->shard, joining);
    }
    client->dropping = 1;
    twi_client_pump(client);
    return 1;
}

/* The client starts again at the join's place: what lies before it is lost, and said to be. */
static void tell_missed(twi_client *client, const twi_join *join)
{
    uint64_t told = 0;
    for (uint32_t i = 0; i < join->topic_count; i++) {
        const twi_join_topic *topic = &join->topics[i];
        if (topic->seq < client->missed_from[i])
            continue;
        uint64_t count = topic->seq - client->missed_from[i] + 1;
        append_loss(client, topic->topic, &(twi_loss){client->missed_from[i], topic->seq, count});
        told += count;
    }
    uint64_t missed = client->group->cumulative - client->cursor.delivered;
    TWI_ASSERT(told == missed);
    lost(client, missed);
    free(client->missed_from);
    client->missed_from = NULL;
}

/* ---- the publisher's reply ---- */

static void end_join(twi_client *client)
{
    twi_joining *joining = client->joining;
    client->joining = NULL;
    twi_joining_free(client->shard, joining);
}

void twi_join_answered(twi_shard *shard, twi_joining *joining)
{
    twi_client *client = joining->client;
    const twi_join *join = &joining->join;
    joining->with_publisher = 0;
    if (client == NULL) {
        twi_joining_free(shard, joining); /* the client has gone meanwhile */
        return;
    }
    if (join->status != TW_OK) {
        twi_client_error(client, &joining->id, TWI_ERROR_RATE_LIMIT, "RateLimitExceeded", 0,
                         "the snapshots of so many topics do not fit the wire log: subscribe to them in smaller parts");
        end_join(client);
        twi_client_resume(client);
        twi_client_pump(client);
        return;
    }
    for (uint32_t i = 0; i < join->topic_count; i++)
        shard->last_seq[client->codec][join->topics[i].topic] = join->topics[i].seq;
    if (join->kind == TWI_JOIN_RESYNC)
        tell_missed(client, join);
    joining->snapshot_position = join->begin;
    joining->phase = TWI_PHASE_DRAINING;
    const twi_wire_log *log = shard->config.logs[client->codec];
    uint64_t log_offset = 0;
    twi_wire_entry entry;
    if (join->begin > 0 && twi_wire_log_entry(log, join->begin - 1, &entry) == TW_OK)
        log_offset = entry.offset + entry.bytes;
    if (client->group != NULL) {
        twi_cursor end = twi_group_end(client->group, log_offset);
        joining->limit_offset = end.offset;
        joining->limit_delivered = end.delivered;
        if (join->kind == TWI_JOIN_RESYNC)
            client->cursor = end;
    }
    leave_group(client);
    enter_group(client, joining->target);
    if (joining->target != NULL)
        joining->target_cursor = twi_group_end(joining->target, log_offset);
    if (join->kind == TWI_JOIN_RESYNC) {
        client->dropping = 0;
        twi_join_switch(client);
    }
    twi_client_pump(client);
}

void twi_join_switch(twi_client *client)
{
    twi_shard *shard = client->shard;
    twi_joining *joining = client->joining;
    if (client->stream_group != NULL)
        twi_group_release(&shard->groups, client->stream_group);
    client->stream_group = joining->target;
    client->cursor = joining->target_cursor;
    joining->target = NULL; /* its reference is the client's now */
    joining->phase = TWI_PHASE_SNAPSHOTS;
    if (joining->join.kind == TWI_JOIN_RESYNC)
        return;
    twi_answer_join(client, joining);
    if (joining->join.kind == TWI_JOIN_SUBSCRIBE)
        twi_count(shard, TWI_COUNTER_SUBSCRIBES, joining->join.topic_count);
}

void twi_join_finish(twi_client *client)
{
    end_join(client);
    twi_client_resume(client);
}

void twi_client_leave(twi_client *client)
{
    twi_shard *shard = client->shard;
    twi_joining *joining = client->joining;
    const twi_group *member = client->group;
    if (joining != NULL && joining->phase == TWI_PHASE_DRAINING) {
        if (client->stream_group != NULL)
            lost(client, joining->limit_delivered - client->cursor.delivered);
        if (member != NULL)
            lost(client, member->cumulative - joining->target_cursor.delivered);
    } else if (member != NULL) {
        lost(client, member->cumulative - client->cursor.delivered);
    }
    leave_group(client);
    if (joining != NULL) {
        client->joining = NULL;
        if (joining->with_publisher)
            joining->client = NULL; /* given back when the reply comes */
        else
            twi_joining_free(shard, joining);
    }
    if (client->stream_group != NULL)
        twi_group_release(&shard->groups, client->stream_group);
    client->stream_group = NULL;
    client->dropping = 0;
    free(client->missed_from);
    client->missed_from = NULL;
}
