/* sim_conn.c - connections of the simulated loop: pipes of bytes, and what travels behind them. See sim.h. */
#include <stdlib.h>
#include <string.h>

#include "engine/loop/sim.h"

static sim_conn *conn_of(const sim_loop *self, const sim_slot *slot)
{
    TWI_ASSERT(slot->conn < self->conn_count);
    sim_conn *conn = &self->conns[slot->conn];
    TWI_ASSERT(conn->generation == slot->conn_generation);
    return conn;
}

static uint32_t take_conn(sim_loop *self)
{
    if (self->conn_free_first != SIM_NONE) {
        uint32_t taken = self->conn_free_first;
        self->conn_free_first = self->conns[taken].next_free;
        return taken;
    }
    uint32_t index = self->conn_count++;
    self->conns = realloc(self->conns, self->conn_count * sizeof(sim_conn));
    TWI_ASSERT(self->conns != NULL);
    self->conns[index] = (sim_conn){.generation = 1};
    return index;
}

uint32_t sim_conn_open(sim_loop *self, uint32_t slot)
{
    uint32_t index = take_conn(self);
    sim_conn *conn = &self->conns[index];
    uint32_t generation = conn->generation;
    *conn = (sim_conn){.generation = generation, .is_used = true, .pipe_bytes = self->faults.pipe_bytes};
    for (int side = 0; side < 2; side++) {
        conn->sides[side] = (sim_side){.slot = SIM_NONE, .is_open = true};
        conn->sides[side].bytes = malloc(conn->pipe_bytes);
        TWI_ASSERT(conn->sides[side].bytes != NULL);
    }
    sim_slot *opener = &self->slots[slot];
    opener->conn = index;
    opener->conn_generation = generation;
    opener->side = 0;
    conn->sides[0].slot = slot;
    conn->sides[0].generation = opener->generation;
    return index;
}

void sim_conn_adopt(sim_loop *self, uint32_t conn, uint32_t slot)
{
    sim_slot *adopter = &self->slots[slot];
    adopter->conn = conn;
    adopter->conn_generation = self->conns[conn].generation;
    adopter->side = 1;
    self->conns[conn].sides[1].slot = slot;
    self->conns[conn].sides[1].generation = adopter->generation;
}

/* Sends news to `side` of the connection, behind all that is on its way there. */
static void travel(sim_loop *self, sim_conn *conn, uint8_t side, uint8_t kind)
{
    sim_side *target = &conn->sides[side];
    int64_t due_ns = self->now_ns + sim_latency_ns(self);
    if (due_ns <= target->last_arrival_ns)
        due_ns = target->last_arrival_ns + 1;
    target->last_arrival_ns = due_ns;
    twi_sim_push(&self->events, (twi_sim_event){.due_ns = due_ns,
                                                .kind = kind,
                                                .side = side,
                                                .until = target->written,
                                                .index = (uint32_t)(conn - self->conns),
                                                .generation = conn->generation});
}

static void tell_both(sim_loop *self, const sim_side *side)
{
    if (side->slot == SIM_NONE)
        return;
    uint32_t slot = side->slot, generation = side->generation;
    sim_slot_readable(self, slot, generation);
    sim_slot_writable(self, slot, generation);
}

void sim_conn_break(sim_loop *self, uint32_t index)
{
    sim_conn *conn = &self->conns[index];
    travel(self, conn, 0, SIM_EVENT_RESET);
    travel(self, conn, 1, SIM_EVENT_RESET);
}

static uint32_t room(const sim_conn *conn, uint8_t to)
{
    const sim_side *side = &conn->sides[to];
    return conn->pipe_bytes - (uint32_t)(side->written - side->read);
}

static void put_bytes(const sim_conn *conn, sim_side *side, const uint8_t *bytes, size_t length)
{
    for (size_t done = 0; done < length;) {
        size_t at = side->written % conn->pipe_bytes;
        size_t part = conn->pipe_bytes - at < length - done ? conn->pipe_bytes - at : length - done;
        memcpy(side->bytes + at, bytes + done, part);
        side->written += part;
        done += part;
    }
}

static size_t total_bytes(const struct iovec *iov, uint32_t iov_count)
{
    size_t total = 0;
    for (uint32_t i = 0; i < iov_count; i++)
        total += iov[i].iov_len;
    return total;
}

static size_t take_pieces(const sim_conn *conn, sim_side *side, const struct iovec *iov, uint32_t iov_count,
                          size_t take)
{
    size_t left = take;
    for (uint32_t i = 0; i < iov_count && left > 0; i++) {
        size_t part = iov[i].iov_len < left ? iov[i].iov_len : left;
        put_bytes(conn, side, iov[i].iov_base, part);
        left -= part;
    }
    return take - left;
}

int32_t sim_conn_write(sim_loop *self, sim_slot *slot, const struct iovec *iov, uint32_t iov_count)
{
    sim_conn *conn = conn_of(self, slot);
    uint8_t to = 1 - slot->side;
    size_t wanted = total_bytes(iov, iov_count);
    if (conn->sides[slot->side].is_reset || conn->sides[slot->side].has_shut)
        return TW_CLOSED;
    if (!conn->sides[to].is_open) { /* the first bytes after its close are taken, and answered by a reset */
        travel(self, conn, slot->side, SIM_EVENT_RESET);
        return (int32_t)wanted;
    }
    if (twi_sim_chance(&self->events, self->faults.reset_ppm)) {
        conn->sides[slot->side].is_reset = true;
        sim_conn_break(self, slot->conn);
        return TW_CLOSED;
    }
    size_t take = wanted < room(conn, to) ? wanted : room(conn, to);
    if (wanted > 0 && (take == 0 || twi_sim_chance(&self->events, self->faults.again_ppm)))
        return TW_AGAIN;
    if (take > 1 && twi_sim_chance(&self->events, self->faults.short_write_ppm))
        take = (size_t)twi_sim_between(&self->events, 1, (int64_t)take);
    take = take_pieces(conn, &conn->sides[to], iov, iov_count, take);
    travel(self, conn, to, SIM_EVENT_ARRIVE);
    return (int32_t)take;
}

/* As kernels do it: a third of the pipe must be free, so that a sender is not woken for every byte. */
bool sim_conn_has_room(const sim_loop *self, const sim_slot *slot)
{
    const sim_conn *conn = conn_of(self, slot);
    const sim_side *own = &conn->sides[slot->side];
    return own->is_reset || !conn->sides[1 - slot->side].is_open ||
           room(conn, 1 - slot->side) >= conn->pipe_bytes / 3 + (conn->pipe_bytes < 3);
}

bool sim_conn_has_news(const sim_loop *self, const sim_slot *slot)
{
    const sim_side *side = &conn_of(self, slot)->sides[slot->side];
    return side->arrived > side->read || side->has_end || side->is_reset;
}

int32_t sim_conn_read(sim_loop *self, sim_slot *slot, uint8_t *buffer, size_t buffer_cap)
{
    sim_conn *conn = conn_of(self, slot);
    sim_side *side = &conn->sides[slot->side];
    size_t take = (size_t)(side->arrived - side->read);
    if (take == 0 && side->is_reset)
        return TW_CLOSED;
    if (take == 0)
        return side->has_end ? 0 : TW_AGAIN;
    take = take < buffer_cap ? take : buffer_cap;
    if (take > 1 && twi_sim_chance(&self->events, self->faults.short_read_ppm))
        take = (size_t)twi_sim_between(&self->events, 1, (int64_t)take);
    for (size_t done = 0; done < take;) {
        size_t at = side->read % conn->pipe_bytes;
        size_t part = conn->pipe_bytes - at < take - done ? conn->pipe_bytes - at : take - done;
        memcpy(buffer + done, side->bytes + at, part);
        side->read += part;
        done += part;
    }
    const sim_side *sender = &conn->sides[1 - slot->side];
    if (sender->slot != SIM_NONE)
        sim_slot_writable(self, sender->slot, sender->generation);
    return (int32_t)take;
}

tw_status sim_conn_shut(sim_loop *self, sim_slot *slot)
{
    sim_conn *conn = conn_of(self, slot);
    sim_side *side = &conn->sides[slot->side];
    if (side->is_reset)
        return TW_CLOSED;
    if (!side->has_shut)
        travel(self, conn, 1 - slot->side, SIM_EVENT_END);
    side->has_shut = true;
    return TW_OK;
}

static void free_conn(sim_loop *self, sim_conn *conn)
{
    free(conn->sides[0].bytes);
    free(conn->sides[1].bytes);
    conn->is_used = false;
    conn->generation = conn->generation == UINT32_MAX ? 1 : conn->generation + 1;
    conn->next_free = self->conn_free_first;
    self->conn_free_first = (uint32_t)(conn - self->conns);
}

/* Bytes that nobody will read turn the end of the stream into a reset. */
void sim_conn_close_side(sim_loop *self, uint32_t index, uint8_t side)
{
    sim_conn *conn = &self->conns[index];
    sim_side *own = &conn->sides[side], *peer = &conn->sides[1 - side];
    TWI_ASSERT(conn->is_used && own->is_open);
    own->is_open = false;
    own->slot = SIM_NONE;
    if (!peer->is_open) {
        free_conn(self, conn);
        return;
    }
    if (own->written != own->read)
        travel(self, conn, 1 - side, SIM_EVENT_RESET);
    else if (!own->has_shut)
        travel(self, conn, 1 - side, SIM_EVENT_END);
    if (peer->slot != SIM_NONE)
        sim_slot_writable(self, peer->slot, peer->generation);
}

void sim_conn_event(sim_loop *self, const twi_sim_event *event)
{
    sim_conn *conn = &self->conns[event->index];
    sim_side *side = &conn->sides[event->side];
    if (!conn->is_used || conn->generation != event->generation || !side->is_open)
        return;
    if (event->kind == SIM_EVENT_ARRIVE) {
        side->arrived = event->until > side->arrived ? event->until : side->arrived;
        if (side->slot != SIM_NONE)
            sim_slot_readable(self, side->slot, side->generation);
        return;
    }
    side->has_end |= event->kind == SIM_EVENT_END;
    side->is_reset |= event->kind == SIM_EVENT_RESET;
    tell_both(self, side);
}

void sim_conns_fini(sim_loop *self)
{
    for (uint32_t i = 0; i < self->conn_count; i++)
        if (self->conns[i].is_used) {
            free(self->conns[i].sides[0].bytes);
            free(self->conns[i].sides[1].bytes);
        }
    free(self->conns);
}
