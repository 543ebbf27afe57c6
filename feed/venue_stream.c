/* venue_stream.c - what a feed owes the venue on a link, and what it expects back: subscriptions in batches and paced,
 * confirmations with a deadline, keep-alives, silence per stream. */
#include "engine/base/assert.h"
#include "feed/venue.h"

enum {
    SILENCE_FACTOR = 8, /* a stream is silent after this many times its longest usual distance ... */
    MESSAGE_BYTES_SPARE = 64
};
#define ACK_WAIT_NS    (10 * TWI_NS_PER_S)
#define SILENCE_MIN_NS (15 * TWI_NS_PER_S) /* ... but not before this */
#define SILENCE_MAX_NS (600 * TWI_NS_PER_S)
#define TIMER_GAP_NS   (100 * TWI_NS_PER_MS)
#define CADENCE_DECAY  16 /* the learned distance shrinks by this part per timer tick that finds the stream alive */

void twi_venue_owe(twi_venue *venue, uint32_t link, const twi_text *text)
{
    twi_link *to = &venue->links[link];
    if (text->overflow || text->len == 0 || to->owed_len + text->len + 1 > TWI_OWED_MAX)
        return; /* a venue that asks faster than it reads gets no answer */
    memcpy(to->owed + to->owed_len, text->out, text->len);
    to->owed_len += (uint32_t)text->len;
    to->owed[to->owed_len++] = 0;
}

void twi_venue_error(twi_venue *venue, const char *text, size_t len)
{
    size_t room = sizeof(venue->stats.error_text) - 1;
    if (len > room)
        len = room;
    venue->stats.errors++;
    memcpy(venue->stats.error_text, text, len);
    venue->stats.error_text[len] = 0;
}

void twi_write_ids(twi_text *out, twi_slot *const *slots, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        twi_text_put(out, i == 0 ? "\"" : ",\"");
        twi_text_bytes(out, slots[i]->id, slots[i]->id_len);
        twi_text_put(out, "\"");
    }
}

static size_t take_owed(twi_link *link, uint8_t *out, size_t out_cap)
{
    size_t len = strlen(link->owed);
    TWI_ASSERT(len < link->owed_len);
    if (len > out_cap)
        return 0;
    memcpy(out, link->owed, len);
    link->owed_len -= (uint32_t)len + 1;
    memmove(link->owed, link->owed + len + 1, link->owed_len);
    return len;
}

/* Collects streams of one channel that are in `state` on the link. */
static uint32_t collect(twi_venue *venue, uint32_t link, int channel, twi_stream_state state, twi_slot **batch)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < venue->slot_count && count < venue->traits->batch_max; i++) {
        twi_slot *slot = &venue->slots[i];
        if (slot->link != link || slot->streams[channel].state != state)
            continue;
        if (slot->streams[channel].alone && count > 0)
            continue;
        batch[count++] = slot;
        if (slot->streams[channel].alone)
            break;
    }
    return count;
}

/* Writes the message; halves the batch until it fits. */
static uint32_t write_batch(twi_venue *venue, uint32_t link, bool subscribe, int channel, twi_slot **batch,
                            uint32_t count, twi_text *text)
{
    size_t cap = text->cap;
    for (; count > 0; count /= 2) {
        *text = twi_text_over(text->out, cap);
        venue->traits->write_streams(venue, link, subscribe, (tw_channel)channel, batch, count, venue->request_id,
                                     text);
        if (!text->overflow)
            return count;
    }
    return 0;
}

static size_t write_subscriptions(twi_venue *venue, uint32_t link, int64_t now_ns, uint8_t *out, size_t out_cap)
{
    twi_slot *batch[TWI_BATCH_MAX];
    TWI_ASSERT(venue->traits->batch_max <= TWI_BATCH_MAX);
    for (int step = 0; step < 2 * TWI_STREAM_COUNT; step++) {
        bool subscribe = step >= TWI_STREAM_COUNT; /* leaving first: a repair leaves and comes back */
        int channel = step % TWI_STREAM_COUNT;
        uint32_t count = collect(venue, link, channel, subscribe ? TWI_STREAM_OWED : TWI_STREAM_LEAVE_OWED, batch);
        if (count == 0)
            continue;
        twi_text text = twi_text_over(out, out_cap);
        venue->request_id++;
        count = write_batch(venue, link, subscribe, channel, batch, count, &text);
        for (uint32_t i = 0; i < count; i++) {
            twi_stream *stream = &batch[i]->streams[channel];
            if (subscribe)
                stream->state = TWI_STREAM_SENT;
            else if (venue->traits->acks)
                stream->state = TWI_STREAM_LEAVING;
            else
                stream->state = stream->wanted ? TWI_STREAM_OWED : TWI_STREAM_OFF;
            stream->request = venue->request_id;
            stream->sent_ns = now_ns;
        }
        return text.overflow ? 0 : text.len;
    }
    return 0;
}

size_t twi_venue_next_output(void *state, uint32_t link, int64_t now_ns, uint8_t *out, size_t out_cap)
{
    twi_venue *venue = state;
    if (link >= TW_FEED_LINKS_MAX || !venue->links[link].up)
        return 0;
    twi_link *to = &venue->links[link];
    if (to->owed_len > 0)
        return take_owed(to, out, out_cap);
    if (now_ns < to->next_output_ns)
        return 0;
    size_t len = write_subscriptions(venue, link, now_ns, out, out_cap);
    if (len == 0 && now_ns >= to->ping_ns && venue->traits->write_ping != NULL) {
        twi_text text = twi_text_over(out, out_cap);
        venue->traits->write_ping(venue, link, now_ns, &text);
        to->ping_ns = now_ns + venue->traits->ping_gap_ns;
        len = text.overflow ? 0 : text.len;
    }
    if (len > 0)
        to->next_output_ns = now_ns + venue->traits->output_gap_ns;
    return len;
}

/* ---- answers ---- */

void twi_venue_left_stream(twi_venue *venue, twi_slot *slot, tw_channel channel)
{
    (void)venue;
    twi_stream *stream = &slot->streams[channel];
    if (stream->state == TWI_STREAM_LEAVING)
        stream->state = stream->wanted ? TWI_STREAM_OWED : TWI_STREAM_OFF;
}

void twi_venue_ack_stream(twi_venue *venue, twi_slot *slot, tw_channel channel, bool accepted, int64_t now_ns,
                          tw_sink *sink)
{
    twi_stream *stream = &slot->streams[channel];
    if (stream->state == TWI_STREAM_LEAVING) {
        twi_venue_left_stream(venue, slot, channel);
        return;
    }
    if (accepted) {
        if (stream->state == TWI_STREAM_SENT)
            stream->state = TWI_STREAM_ON;
        return;
    }
    if (stream->state != TWI_STREAM_SENT)
        return;
    stream->state = TWI_STREAM_REFUSED;
    if (channel == TW_CHANNEL_BOOK || !slot->synced)
        twi_venue_set_state(venue, slot, TW_STATE_STALE, TW_REASON_REJECTED, 0, 0, now_ns, sink);
}

static bool asked_by(const twi_stream *stream, uint32_t request)
{
    return (stream->state == TWI_STREAM_SENT || stream->state == TWI_STREAM_LEAVING) && stream->request == request;
}

/* A message with several streams was refused as a whole: each goes alone, so that only the bad one stays out. */
static void send_alone(twi_stream *stream)
{
    stream->alone = true;
    if (stream->state == TWI_STREAM_SENT)
        stream->state = TWI_STREAM_OWED;
    else
        stream->state = stream->wanted ? TWI_STREAM_OWED : TWI_STREAM_OFF;
}

void twi_venue_ack_request(twi_venue *venue, uint32_t request, bool accepted, int64_t now_ns, tw_sink *sink)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < venue->slot_count; i++) {
        for (int channel = 0; channel < TWI_STREAM_COUNT; channel++)
            count += asked_by(&venue->slots[i].streams[channel], request);
    }
    for (uint32_t i = 0; i < venue->slot_count; i++) {
        for (int channel = 0; channel < TWI_STREAM_COUNT; channel++) {
            twi_stream *stream = &venue->slots[i].streams[channel];
            if (!asked_by(stream, request))
                continue;
            if (!accepted && count > 1)
                send_alone(stream);
            else
                twi_venue_ack_stream(venue, &venue->slots[i], (tw_channel)channel, accepted, now_ns, sink);
        }
    }
}

void twi_venue_refuse_rest(twi_venue *venue, uint32_t request, int64_t now_ns, tw_sink *sink)
{
    for (uint32_t i = 0; i < venue->slot_count; i++) {
        for (int channel = 0; channel < TWI_STREAM_COUNT; channel++) {
            if (asked_by(&venue->slots[i].streams[channel], request))
                twi_venue_ack_stream(venue, &venue->slots[i], (tw_channel)channel, false, now_ns, sink);
        }
    }
}

void twi_venue_refuse_named(twi_venue *venue, uint32_t link, const char *text, size_t len, int64_t now_ns,
                            tw_sink *sink)
{
    for (uint32_t i = 0; i < venue->slot_count; i++) {
        twi_slot *slot = &venue->slots[i];
        if (slot->link != link || memmem(text, len, slot->id, slot->id_len) == NULL)
            continue;
        for (int channel = 0; channel < TWI_STREAM_COUNT; channel++) {
            if (slot->streams[channel].state == TWI_STREAM_SENT)
                twi_venue_ack_stream(venue, slot, (tw_channel)channel, false, now_ns, sink);
        }
    }
}

void twi_venue_list_open(twi_venue *venue, uint32_t link)
{
    for (uint32_t i = 0; i < venue->slot_count; i++) {
        for (int channel = 0; channel < TWI_STREAM_COUNT && venue->slots[i].link == link; channel++)
            venue->slots[i].streams[channel].listed = false;
    }
}

void twi_venue_list_stream(twi_venue *venue, uint32_t link, const char *id, size_t id_len, tw_channel channel)
{
    twi_slot *slot = twi_venue_find(venue, venue->links[link].group, id, id_len);
    if (slot == NULL)
        return;
    slot->streams[channel].listed = true;
    if (slot->streams[channel].state == TWI_STREAM_SENT)
        slot->streams[channel].state = TWI_STREAM_ON;
}

void twi_venue_list_close(twi_venue *venue, uint32_t link)
{
    for (uint32_t i = 0; i < venue->slot_count; i++) {
        twi_slot *slot = &venue->slots[i];
        for (int channel = 0; channel < TWI_STREAM_COUNT && slot->link == link; channel++) {
            if (!slot->streams[channel].listed)
                twi_venue_left_stream(venue, slot, (tw_channel)channel);
        }
    }
}

/* ---- time ---- */

/* A subscription or its end that nobody confirmed is asked for again. */
static void watch_answer(twi_stream *stream, int64_t now_ns)
{
    if (now_ns - stream->sent_ns < ACK_WAIT_NS)
        return;
    if (stream->state == TWI_STREAM_SENT)
        stream->state = TWI_STREAM_OWED;
    else if (stream->state == TWI_STREAM_LEAVING)
        stream->state = stream->wanted ? TWI_STREAM_OWED : TWI_STREAM_OFF;
}

static bool stream_silent(twi_stream *stream, int64_t now_ns)
{
    if (stream->last_ns == 0 || stream->cadence_ns == 0)
        return false;
    int64_t limit =
        stream->cadence_ns < SILENCE_MAX_NS / SILENCE_FACTOR ? stream->cadence_ns * SILENCE_FACTOR : SILENCE_MAX_NS;
    return now_ns - stream->last_ns > (limit > SILENCE_MIN_NS ? limit : SILENCE_MIN_NS);
}

/* A book that its venue went silent on is told to be stale, and asked for again: the venue may have lost it. */
static void watch_book(twi_venue *venue, twi_slot *slot, int64_t now_ns, tw_sink *sink)
{
    twi_stream *stream = &slot->streams[TW_CHANNEL_BOOK];
    if (stream->state != TWI_STREAM_ON || slot->book_state != TW_STATE_OK || !stream_silent(stream, now_ns))
        return;
    stream->last_ns = now_ns;
    twi_venue_set_state(venue, slot, TW_STATE_STALE, TW_REASON_SILENCE, 0, 0, now_ns, sink);
    slot->synced = false;
    slot->history_known = slot->stats.trades > 0;
    slot->streams[TW_CHANNEL_BOOK].state = TWI_STREAM_LEAVE_OWED;
    if (venue->traits->repair == TWI_REPAIR_FETCH)
        slot->fetch_owed = true;
}

int64_t twi_venue_on_timer(void *state, int64_t now_ns, tw_sink *sink)
{
    twi_venue *venue = state;
    for (uint32_t i = 0; i < venue->slot_count; i++) {
        twi_slot *slot = &venue->slots[i];
        if (!venue->links[slot->link].up)
            continue;
        for (int channel = 0; channel < TWI_STREAM_COUNT && venue->traits->acks; channel++)
            watch_answer(&slot->streams[channel], now_ns);
        watch_book(venue, slot, now_ns, sink);
    }
    return now_ns + TIMER_GAP_NS;
}
