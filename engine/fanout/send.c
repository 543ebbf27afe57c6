/* send.c - what a client is sent next: the rest of a frame that was begun, its own bytes, then everything that is
 * pending for it in the log, in one send. At most one send per client is in flight.
 *
 * Slices of the log are not copied. A send is one attempt that completes at submission (loop.h), so a slice cannot be
 * overwritten while the kernel reads it unless the publisher writes a whole log within that attempt; that is checked
 * after each send, and such a connection is cut rather than left with bytes of which nobody knows what they are. */
#include <stdlib.h>
#include <string.h>

#include "engine/base/assert.h"
#include "engine/fanout/client.h"

enum { WALK_ENTRIES_MAX = 4096, ALL_LAG_EIGHTHS = 7 };

static const twi_wire_log *client_log(const twi_client *client)
{
    return client->shard->config.logs[client->codec];
}

/* ---- pieces of a send ---- */

typedef struct send_plan {
    struct iovec iov[TWI_IOV_MAX];
    uint32_t count;
    uint32_t bytes;
    uint64_t offset; /* of the first byte */
} send_plan;

static int plan_add(send_plan *plan, const twi_wire_log *log, uint64_t offset, uint32_t bytes)
{
    if (plan->count == TWI_IOV_MAX || plan->bytes + bytes > TWI_SEND_BYTES_MAX) {
        /* A single frame may be larger than that; it goes alone. */
        if (plan->count > 0)
            return 0;
    }
    if (plan->count == 0)
        plan->offset = offset;
    plan->iov[plan->count++] =
        (struct iovec){.iov_base = (void *)(uintptr_t)twi_wire_log_at(log, offset), .iov_len = bytes};
    plan->bytes += bytes;
    return 1;
}

/* The entries of the group that lie before its oldest kept run, straight from the index. 0: the index is lapped. */
static int plan_walk(twi_client *client, uint64_t limit_offset, send_plan *plan)
{
    const twi_wire_log *log = client_log(client);
    const twi_group *group = client->stream_group;
    const twi_run *oldest = twi_group_run(group, group->run_head - TWI_GROUP_RUNS);
    uint64_t head = client->shard->seen[client->codec], window = twi_wire_log_window(log);
    uint64_t low = head > window ? head - window : 0, position;
    twi_cursor *at = &client->planned;
    if (twi_wire_log_find(log, at->offset, low, head, &position) != TW_OK)
        return 0;
    twi_wire_entry entry;
    if (position == low && low > 0 && (twi_wire_log_entry(log, low, &entry) != TW_OK || entry.offset > at->offset))
        return 0;
    for (uint32_t looked = 0; position < oldest->index && looked < WALK_ENTRIES_MAX; position++, looked++) {
        if (twi_wire_log_entry(log, position, &entry) != TW_OK)
            return 0;
        if (entry.offset >= limit_offset)
            return 1;
        uint64_t start = at->offset > entry.offset ? at->offset : entry.offset;
        if (!twi_group_wants(group, entry.topic)) {
            if (plan->count == 0)
                at->offset = entry.offset + entry.bytes;
            continue;
        }
        if (!plan_add(plan, log, start, (uint32_t)(entry.offset + entry.bytes - start)))
            return 1;
        at->offset = entry.offset + entry.bytes;
        at->delivered++;
    }
    if (position >= oldest->index) {
        *at = (twi_cursor){
            .run = group->run_head - TWI_GROUP_RUNS, .offset = oldest->offset, .delivered = oldest->cumulative};
    }
    return 1;
}

static void plan_runs(twi_client *client, uint64_t limit_offset, uint64_t limit_delivered, send_plan *plan)
{
    const twi_wire_log *log = client_log(client);
    const twi_group *group = client->stream_group;
    twi_cursor *at = &client->planned;
    while (twi_group_pending(group, at, limit_offset)) {
        const twi_run *run = twi_group_run(group, at->run);
        uint64_t end = run->offset + run->bytes;
        uint64_t delivered = run->cumulative + run->count;
        if (end > limit_offset) {
            end = limit_offset;
            delivered = limit_delivered;
        }
        uint64_t start = run->offset + at->done;
        if (!plan_add(plan, log, start, (uint32_t)(end - start)))
            return;
        at->done = (uint32_t)(end - run->offset);
        at->offset = end;
        at->delivered = delivered;
    }
}

/* Everything that is pending below the limit. 0: the client has been lapped. */
static int plan_stream(twi_client *client, uint64_t limit_offset, uint64_t limit_delivered, send_plan *plan)
{
    const twi_group *group = client->stream_group;
    client->planned = client->cursor;
    if (!twi_group_pending(group, &client->planned, limit_offset))
        return 1;
    while (twi_group_overrun(group, &client->planned)) {
        uint64_t before = client->planned.offset;
        if (!plan_walk(client, limit_offset, plan))
            return 0;
        if (plan->count > 0 || client->planned.offset == before)
            break;
    }
    if (!twi_group_overrun(group, &client->planned))
        plan_runs(client, limit_offset, limit_delivered, plan);
    return 1;
}

static int join_wants(const twi_join *join, uint32_t topic)
{
    uint32_t low = 0, high = join->topic_count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (join->topics[middle].topic == topic)
            return 1;
        if (join->topics[middle].topic < topic)
            low = middle + 1;
        else
            high = middle;
    }
    return 0;
}

static int is_own_snapshot(const twi_joining *joining, const twi_wire_entry *entry)
{
    return (entry->topic & TWI_TOPIC_SNAPSHOT) != 0 && join_wants(&joining->join, entry->topic & ~TWI_TOPIC_SNAPSHOT);
}

/* The client's snapshots, from where it is. 0: lapped. */
static int plan_snapshots(const twi_client *client, send_plan *plan)
{
    const twi_joining *joining = client->joining;
    const twi_wire_log *log = client_log(client);
    uint32_t done = joining->snapshot_done;
    for (uint64_t position = joining->snapshot_position; position < joining->join.end; position++, done = 0) {
        twi_wire_entry entry;
        if (twi_wire_log_entry(log, position, &entry) != TW_OK)
            return 0;
        if (is_own_snapshot(joining, &entry) && !plan_add(plan, log, entry.offset + done, entry.bytes - done))
            break;
    }
    return 1;
}

/* ---- after a send ---- */

/* n bytes of the client's snapshots have gone out. */
static int advance_snapshots(twi_client *client, uint64_t n)
{
    twi_joining *joining = client->joining;
    const twi_wire_log *log = client_log(client);
    client->frame_rest = 0;
    for (; n > 0 && joining->snapshot_position < joining->join.end; joining->snapshot_position++) {
        twi_wire_entry entry;
        if (twi_wire_log_entry(log, joining->snapshot_position, &entry) != TW_OK)
            return 0;
        if (!is_own_snapshot(joining, &entry))
            continue;
        uint32_t left = entry.bytes - joining->snapshot_done;
        if (n < left) {
            joining->snapshot_done += (uint32_t)n;
            client->frame_rest = left - (uint32_t)n;
            return 1;
        }
        n -= left;
        joining->snapshot_done = 0;
    }
    return 1;
}

static void delivered(twi_client *client, uint64_t count)
{
    client->shard->totals.delivered += count;
    twi_count(client->shard, TWI_COUNTER_DELIVERIES, count);
}

/* n bytes of the stream have gone out, fewer than planned: finds the frame that the send ended in, and says how many
 * were completed. */
static int advance_stream(twi_client *client, uint64_t n, uint64_t *completed)
{
    const twi_wire_log *log = client_log(client);
    const twi_group *group = client->stream_group;
    uint64_t head = client->shard->seen[client->codec], window = twi_wire_log_window(log);
    uint64_t low = head > window ? head - window : 0, position, count = 0;
    twi_cursor *at = &client->cursor;
    client->frame_rest = 0;
    if (twi_wire_log_find(log, client->send_offset, low, head, &position) != TW_OK)
        return 0;
    uint64_t offset = client->send_offset;
    for (; n > 0; position++) {
        twi_wire_entry entry;
        if (position >= head || twi_wire_log_entry(log, position, &entry) != TW_OK)
            return 0;
        if (!twi_group_wants(group, entry.topic))
            continue;
        uint64_t start = offset > entry.offset ? offset : entry.offset;
        uint64_t left = entry.offset + entry.bytes - start;
        uint64_t taken = n < left ? n : left;
        offset = start + taken;
        n -= taken;
        if (taken < left)
            client->frame_rest = (uint32_t)(left - taken);
        else
            count++;
    }
    at->offset = offset;
    at->delivered += count;
    *completed = count;
    /* Back to a run: the one that holds the new place, if it is kept. */
    for (uint64_t run = at->run; run < group->run_head; run++) {
        if (group->run_head - run > TWI_GROUP_RUNS)
            continue;
        const twi_run *candidate = twi_group_run(group, run);
        if (offset >= candidate->offset && offset <= candidate->offset + candidate->bytes) {
            at->run = run;
            at->done = (uint32_t)(offset - candidate->offset);
            break;
        }
    }
    return 1;
}

static void give_back_block(twi_client *client)
{
    if (client->block == NULL)
        return;
    client->block->next_free = client->shard->free_blocks;
    client->shard->free_blocks = client->block;
    client->block = NULL;
}

static void on_writable(twi_loop *loop, twi_op *op, int32_t result, uint32_t flags)
{
    (void)loop;
    (void)flags;
    twi_client *client = op->owner;
    client->send_pending = 0;
    client->send_kind = TWI_SEND_NONE;
    atomic_fetch_sub_explicit(&client->shard->blocked_count, 1, memory_order_relaxed);
    if (client->state == TWI_CLIENT_CLOSED)
        twi_client_kill(client);
    else if (result < 0)
        twi_client_kill(client);
    else
        twi_client_pump(client);
}

static void park(twi_client *client)
{
    twi_shard *shard = client->shard;
    client->send_kind = TWI_SEND_PARKED;
    atomic_fetch_add_explicit(&shard->blocked_count, 1, memory_order_relaxed);
    client->send_op.done = on_writable;
    client->send_pending = 1;
    twi_count(shard, TWI_COUNTER_SENDS_PARKED, 1);
    if (!client->parked_listed) {
        client->parked_listed = 1;
        client->list_next = shard->parked;
        shard->parked = client;
    }
    twi_ops(shard)->writable(shard->config.loop, &client->send_op, client->sock);
}

static void private_sent(twi_client *client, uint32_t n)
{
    client->sending_done += n;
    if (client->saved_rest > 0) {
        client->saved_rest -= n < client->saved_rest ? n : client->saved_rest;
        if (client->saved_rest == 0)
            delivered(client, 1);
    }
    twi_http_sent(client, n);
    if (client->sending_done < client->sending.len)
        return;
    if (client->state == TWI_CLIENT_HTTP && client->sending.cap <= TWI_RESPONSE_RETAIN_BYTES)
        client->sending.len = 0; /* for the next response */
    else
        twi_buffer_fini(&client->sending);
    client->sending_done = 0;
}

/* Accounts for n bytes of the send that has completed; 0: its bytes cannot be trusted or found any more. */
static int advance(twi_client *client, uint8_t kind, uint32_t n)
{
    if (kind == TWI_SEND_PRIVATE) {
        private_sent(client, n);
        return 1;
    }
    if (!twi_wire_log_holds(client_log(client), client->send_offset)) {
        twi_count(client->shard, TWI_COUNTER_SENDS_TORN, 1);
        return 0;
    }
    if (kind == TWI_SEND_SNAPSHOT)
        return advance_snapshots(client, n);
    if (n == client->send_bytes && client->planned.run != UINT64_MAX) {
        delivered(client, client->planned.delivered - client->cursor.delivered);
        client->cursor = client->planned;
        client->frame_rest = 0;
        return 1;
    }
    uint64_t completed;
    if (!advance_stream(client, n, &completed))
        return 0;
    delivered(client, completed);
    return 1;
}

static void on_sent(twi_loop *loop, twi_op *op, int32_t result, uint32_t flags)
{
    (void)loop;
    (void)flags;
    twi_client *client = op->owner;
    twi_shard *shard = client->shard;
    uint8_t kind = client->send_kind;
    client->send_pending = 0;
    client->send_kind = TWI_SEND_NONE;
    give_back_block(client);
    if (client->state == TWI_CLIENT_CLOSED) {
        twi_client_kill(client);
        return;
    }
    if (result == TW_AGAIN) {
        park(client);
        return;
    }
    if (result < 0) {
        twi_client_kill(client);
        return;
    }
    twi_count(shard, TWI_COUNTER_SENDS, 1);
    twi_count(shard, TWI_COUNTER_BYTES_OUT, (uint64_t)result);
    if (client->noted_ns != 0)
        twi_histogram_record(shard->config.sent_latency, twi_shard_realtime(shard) - client->noted_ns);
    client->last_sent_ns = twi_shard_now(shard);
    if (!advance(client, kind, (uint32_t)result)) {
        twi_client_kill(client);
        return;
    }
    if ((uint32_t)result < client->send_bytes) {
        twi_count(shard, TWI_COUNTER_SENDS_PARTIAL, 1);
        park(client); /* its socket is full: asking again at once would be a system call for nothing */
    } else if (client->state == TWI_CLIENT_HTTP && client->in.len > client->head_seen) {
        twi_http_front(client); /* pipelined requests that waited until there was room for their answers */
    } else {
        twi_client_pump(client);
    }
}

/* ---- choosing ---- */

static void start(twi_client *client, uint8_t kind, const send_plan *plan)
{
    twi_shard *shard = client->shard;
    client->send_kind = kind;
    client->send_bytes = plan->bytes;
    client->send_offset = plan->offset;
    client->iov = plan->iov[0];
    client->send_op.iov = &client->iov;
    client->send_op.iov_count = 1;
    if (plan->count > 1) {
        client->block = shard->free_blocks;
        if (client->block == NULL) {
            /* All blocks are in flight: the first piece alone now, the others with the next send. */
            client->send_bytes = (uint32_t)plan->iov[0].iov_len;
            client->planned.run = UINT64_MAX;
        } else {
            shard->free_blocks = client->block->next_free;
            memcpy(client->block->iov, plan->iov, plan->count * sizeof plan->iov[0]);
            client->send_op.iov = client->block->iov;
            client->send_op.iov_count = plan->count;
        }
    }
    /* One send in 16 is timed: a clock read costs a percent of a send. */
    client->noted_ns = kind == TWI_SEND_STREAM && shard->send_count++ % 16 == 0 ? client->stream_group->noted_ns : 0;
    client->send_op.done = on_sent;
    client->send_pending = 1;
    twi_ops(shard)->send(shard->config.loop, &client->send_op, client->sock);
}

static void start_private(twi_client *client)
{
    if (client->sending.len == 0) {
        twi_buffer spare = client->sending;
        client->sending = client->out;
        client->out = spare;
        if (client->state != TWI_CLIENT_HTTP)
            twi_buffer_fini(&client->out);
        client->sending_done = 0;
    }
    send_plan plan = {.count = 1, .bytes = client->sending.len - client->sending_done};
    plan.iov[0] = (struct iovec){.iov_base = client->sending.data + client->sending_done, .iov_len = plan.bytes};
    start(client, TWI_SEND_PRIVATE, &plan);
}

static uint64_t lag_limit(const twi_client *client)
{
    uint64_t capacity = twi_wire_log_capacity(client_log(client));
    if (client->policy == TWI_POLICY_ALL)
        return capacity / 8 * ALL_LAG_EIGHTHS;
    return capacity / 100 * client->shard->config.lag_percent_max;
}

/* A frame that was begun has to be ended before anything else; copied out, it no longer depends on the log. */
static int save_frame_rest(twi_client *client)
{
    if (client->frame_rest == 0)
        return 1;
    int in_snapshot = client->joining != NULL && client->joining->phase == TWI_PHASE_SNAPSHOTS;
    const twi_wire_log *log = client_log(client);
    uint64_t offset = client->cursor.offset;
    if (in_snapshot) {
        twi_wire_entry entry;
        if (twi_wire_log_entry(log, client->joining->snapshot_position, &entry) != TW_OK)
            return 0;
        offset = entry.offset + client->joining->snapshot_done;
    }
    twi_buffer saved = {.cap_max = client->out.cap_max};
    twi_buffer_append(&saved, twi_wire_log_at(log, offset), client->frame_rest);
    twi_buffer_append(&saved, client->out.data, client->out.len);
    if (saved.failed || !twi_wire_log_holds(log, offset)) {
        twi_buffer_fini(&saved);
        return 0;
    }
    twi_buffer_fini(&client->out);
    client->out = saved;
    if (in_snapshot) {
        client->joining->snapshot_position++;
        client->joining->snapshot_done = 0;
        client->frame_rest = 0;
        return 1;
    }
    /* Delivered when it is out; until then it is pending. */
    uint64_t completed;
    uint32_t rest = client->frame_rest;
    client->send_offset = client->cursor.offset;
    if (!advance_stream(client, rest, &completed))
        return 0;
    client->saved_rest = rest;
    return 1;
}

/* The client has fallen behind what its policy allows. */
static void fell_behind(twi_client *client)
{
    if (!save_frame_rest(client)) {
        twi_count(client->shard, TWI_COUNTER_SLOW_CONSUMER_DISCONNECTS, 1);
        twi_client_kill(client);
        return;
    }
    if (client->policy == TWI_POLICY_DROP && twi_client_drop(client)) {
        twi_count(client->shard, TWI_COUNTER_SLOW_CONSUMER_RESYNCS, 1);
        return;
    }
    twi_count(client->shard, TWI_COUNTER_SLOW_CONSUMER_DISCONNECTS, 1);
    twi_client_close(client, 4002, "slow consumer", 1);
}

static uint64_t pending_offset(const twi_client *client)
{
    if (client->joining != NULL && client->joining->phase == TWI_PHASE_SNAPSHOTS) {
        twi_wire_entry entry;
        if (client->joining->snapshot_position < client->joining->join.end &&
            twi_wire_log_entry(client_log(client), client->joining->snapshot_position, &entry) == TW_OK)
            return entry.offset;
        return client->joining->target_cursor.offset;
    }
    return client->cursor.offset;
}

void twi_client_check_lag(twi_client *client)
{
    if (client->state != TWI_CLIENT_STREAM || client->dropping || client->close_wanted || client->stream_group == NULL)
        return;
    twi_cursor cursor = client->cursor;
    int pending = client->frame_rest > 0 || client->joining != NULL ||
                  twi_group_pending(client->stream_group, &cursor, UINT64_MAX);
    if (pending && twi_wire_log_lag(client_log(client), pending_offset(client)) > lag_limit(client))
        fell_behind(client);
}

/* Starts a send of log slices if there are any; 0: there is nothing to send in this phase. */
static int start_slices(twi_client *client)
{
    twi_joining *joining = client->joining;
    send_plan plan;
    plan.count = 0;
    plan.bytes = 0;
    int held;
    uint8_t kind = TWI_SEND_STREAM;
    if (joining != NULL && joining->phase == TWI_PHASE_SNAPSHOTS) {
        kind = TWI_SEND_SNAPSHOT;
        held = plan_snapshots(client, &plan);
    } else if (joining != NULL && joining->phase == TWI_PHASE_DRAINING) {
        held = plan_stream(client, joining->limit_offset, joining->limit_delivered, &plan);
    } else {
        held = plan_stream(client, UINT64_MAX, 0, &plan);
    }
    if (held && plan.count == 0) {
        if (kind == TWI_SEND_STREAM)
            client->cursor = client->planned; /* it may have stepped over runs that are not wanted any more */
        return 0;
    }
    if (!held || twi_wire_log_lag(client_log(client), plan.offset) > lag_limit(client)) {
        fell_behind(client);
        return 1;
    }
    if (client->frame_rest > 0 && (client->out.len > 0 || client->close_wanted)) {
        /* Something of its own waits, or the end: only the frame that was begun is completed. */
        plan.count = 1;
        plan.bytes = client->frame_rest;
        plan.iov[0].iov_len = client->frame_rest;
        client->planned.run = UINT64_MAX;
    }
    start(client, kind, &plan);
    return 1;
}

void twi_client_pump(twi_client *client)
{
    for (;;) {
        if (client->send_kind != TWI_SEND_NONE || client->state == TWI_CLIENT_FREE ||
            client->state == TWI_CLIENT_CLOSED)
            return;
        if (client->sending.len > 0 || (client->out.len > 0 && client->frame_rest == 0)) {
            start_private(client);
            return;
        }
        if (client->state != TWI_CLIENT_STREAM) {
            if (client->close_after_send)
                twi_client_kill(client);
            return;
        }
        if (client->close_wanted && client->frame_rest == 0) {
            twi_client_say_bye(client);
            continue;
        }
        int draining = client->joining != NULL && client->joining->phase == TWI_PHASE_DRAINING;
        int snapshots = client->joining != NULL && client->joining->phase == TWI_PHASE_SNAPSHOTS;
        if (client->dropping) {
            if (client->joining == NULL)
                twi_client_resync(client); /* it takes bytes again */
            return;
        }
        if ((snapshots || client->stream_group != NULL) && start_slices(client))
            continue;
        if (draining)
            twi_join_switch(client);
        else if (snapshots)
            twi_join_finish(client);
        else
            return;
    }
}

void twi_client_text(twi_client *client, const uint8_t *text, size_t len)
{
    uint8_t header[TWI_WS_HEADER_BYTES_MAX];
    size_t header_bytes = twi_ws_header_write(header, TWI_WS_TEXT, true, false, len, NULL);
    twi_buffer_append(&client->out, header, header_bytes);
    twi_buffer_append(&client->out, text, len);
    if (client->out.failed)
        twi_client_kill(client);
}
