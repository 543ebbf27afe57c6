/* venue_stream.c - what a feed owes the venue on a link, and what it expects back: subscriptions in batches and paced,
 * confirmations with a deadline, keep-alives, silence per stream. */
#include "engine/base/assert.h"
#include "feed/venue.h"

enum {
    SILENCE_FACTOR = 8, /* a stream is silent after this many times its longest usual distance ... */
    CADENCE_DECAY = 32, /* the learned distance shrinks by this part every DECAY_GAP_NS */
    LATE_MAX = 4        /* doublings of SNAPSHOT_WAIT_NS: a link may be slower than what was asked of it */
};
#define ACK_WAIT_NS      (10 * TWI_NS_PER_S)
#define SNAPSHOT_WAIT_NS (30 * TWI_NS_PER_S) /* a book that has none by then is asked for again */
#define QUIET_FETCH_NS   (5 * TWI_NS_PER_S)  /* a book without changes is fetched all the same after this */
#define SILENCE_MIN_NS   (15 * TWI_NS_PER_S) /* ... but not before this */
#define SILENCE_MAX_NS   (600 * TWI_NS_PER_S)
#define TIMER_GAP_NS     (100 * TWI_NS_PER_MS)
#define DECAY_GAP_NS     (60 * TWI_NS_PER_S)

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
    if (len > 0) /* text may be NULL else */
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

/* Collects streams of one channel that are in `state` on the link and may go. */
static uint32_t collect(twi_venue *venue, uint32_t link, int64_t now_ns, int channel, twi_stream_state state,
                        twi_slot **batch)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < venue->slot_count && count < venue->traits->batch_max; i++) {
        twi_slot *slot = &venue->slots[i];
        if (slot->link != link || slot->streams[channel].state != state ||
            slot->streams[channel].not_before_ns > now_ns)
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

/* A stream of a message that was just written. */
static void mark_sent(twi_venue *venue, twi_slot *slot, int channel, bool subscribe, int64_t now_ns)
{
    twi_stream *stream = &slot->streams[channel];
    if (subscribe)
        stream->state = TWI_STREAM_SENT;
    else if (venue->traits->acks)
        stream->state = TWI_STREAM_LEAVING;
    else
        stream->state = stream->wanted ? TWI_STREAM_OWED : TWI_STREAM_OFF;
    stream->request = venue->request_id;
    stream->sent_ns = now_ns;
    stream->last_ns = 0;
    if (channel == TW_CHANNEL_BOOK && subscribe) /* what came before does not continue in what comes now */
        twi_venue_reset_join(venue, slot);
}

static void pace(twi_venue *venue, uint32_t link, uint32_t count, int64_t now_ns)
{
    twi_link *to = &venue->links[link];
    const twi_venue_traits *traits = venue->traits;
    to->next_output_ns = now_ns + traits->output_gap_ns + count * traits->stream_gap_ns;
    if (traits->budget > 0)
        to->budget_ns = (to->budget_ns > now_ns ? to->budget_ns : now_ns) + traits->budget_refill_ns;
}

static bool budget_left(const twi_venue *venue, uint32_t link, int64_t now_ns)
{
    const twi_venue_traits *traits = venue->traits;
    return traits->budget == 0 ||
           venue->links[link].budget_ns <= now_ns + (traits->budget - 1) * traits->budget_refill_ns;
}

static size_t write_subscriptions(twi_venue *venue, uint32_t link, int64_t now_ns, uint8_t *out, size_t out_cap)
{
    twi_slot *batch[TWI_BATCH_MAX];
    TWI_ASSERT(venue->traits->batch_max <= TWI_BATCH_MAX);
    for (int step = 0; step < 2 * TWI_STREAM_COUNT; step++) {
        bool subscribe = step >= TWI_STREAM_COUNT; /* leaving first: a repair leaves and comes back */
        int channel = step % TWI_STREAM_COUNT;
        uint32_t count =
            collect(venue, link, now_ns, channel, subscribe ? TWI_STREAM_OWED : TWI_STREAM_LEAVE_OWED, batch);
        if (count == 0)
            continue;
        twi_text text = twi_text_over(out, out_cap);
        venue->request_id++;
        count = write_batch(venue, link, subscribe, channel, batch, count, &text);
        for (uint32_t i = 0; i < count; i++)
            mark_sent(venue, batch[i], channel, subscribe, now_ns);
        if (count > 0)
            pace(venue, link, count, now_ns);
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
    if (now_ns >= to->ping_ns && venue->traits->write_ping != NULL) {
        twi_text text = twi_text_over(out, out_cap);
        venue->traits->write_ping(venue, link, now_ns, &text);
        to->ping_ns = now_ns + venue->traits->ping_gap_ns;
        if (to->next_output_ns < now_ns + venue->traits->output_gap_ns)
            to->next_output_ns = now_ns + venue->traits->output_gap_ns;
        return text.overflow ? 0 : text.len;
    }
    if (now_ns < to->next_output_ns || !budget_left(venue, link, now_ns))
        return 0;
    return write_subscriptions(venue, link, now_ns, out, out_cap);
}

/* ---- answers ---- */

void twi_venue_left_stream(twi_venue *venue, twi_slot *slot, tw_channel channel)
{
    (void)venue;
    twi_stream *stream = &slot->streams[channel];
    if (stream->state == TWI_STREAM_LEAVING)
        stream->state = stream->wanted ? TWI_STREAM_OWED : TWI_STREAM_OFF;
}

static void confirm(twi_stream *stream)
{
    if (stream->state == TWI_STREAM_SENT)
        stream->state = stream->wanted ? TWI_STREAM_ON : TWI_STREAM_LEAVE_OWED;
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
        confirm(stream);
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

void twi_venue_retry_request(twi_venue *venue, uint32_t link, uint32_t request, int64_t not_before_ns)
{
    for (uint32_t i = 0; i < venue->slot_count; i++) {
        for (int channel = 0; channel < TWI_STREAM_COUNT; channel++) {
            twi_stream *stream = &venue->slots[i].streams[channel];
            if (asked_by(stream, request))
                stream->state = stream->state == TWI_STREAM_SENT ? TWI_STREAM_OWED : TWI_STREAM_LEAVE_OWED;
        }
    }
    if (venue->links[link].next_output_ns < not_before_ns)
        venue->links[link].next_output_ns = not_before_ns;
}

static bool of_name(char byte)
{
    return (byte >= '0' && byte <= '9') || (byte >= 'A' && byte <= 'Z') || (byte >= 'a' && byte <= 'z') ||
           byte == '-' || byte == '/' || byte == '_';
}

/* The id stands in the text, and not as a part of a longer one: BTC-USD is not in BTC-USDT. */
static bool names_id(const char *text, size_t len, const twi_slot *slot)
{
    const char *end = text + len, *at = text;
    while ((at = memmem(at, (size_t)(end - at), slot->id, slot->id_len)) != NULL) {
        const char *after = at + slot->id_len;
        if ((at == text || !of_name(at[-1])) && (after == end || !of_name(*after)))
            return true;
        at++;
    }
    return false;
}

/* Whether the stream is one that the venue may mean by an error. */
static bool suspect(const twi_stream *stream)
{
    return stream->state == TWI_STREAM_SENT;
}

bool twi_venue_refuse_named(twi_venue *venue, uint32_t link, int channel, const char *text, size_t len, int64_t now_ns,
                            tw_sink *sink)
{
    uint32_t named = 0;
    for (int pass = 0; pass < 2 && len > 0; pass++) { /* count the symbols, then act */
        for (uint32_t i = 0; i < venue->slot_count; i++) {
            twi_slot *slot = &venue->slots[i];
            bool sent = false;
            if (slot->link != link || !names_id(text, len, slot))
                continue;
            for (int each = 0; each < TWI_STREAM_COUNT; each++) {
                if (!suspect(&slot->streams[each]) || (channel >= 0 && each != channel))
                    continue;
                sent = true;
                if (pass == 1 && named > 1)
                    send_alone(&slot->streams[each]);
                else if (pass == 1)
                    twi_venue_ack_stream(venue, slot, (tw_channel)each, false, now_ns, sink);
            }
            named += sent && pass == 0;
        }
    }
    return named > 0;
}

void twi_venue_refuse_unnamed(twi_venue *venue, uint32_t link, int64_t now_ns, tw_sink *sink)
{
    uint32_t count = 0;
    for (int pass = 0; pass < 2; pass++) {
        for (uint32_t i = 0; i < venue->slot_count; i++) {
            twi_slot *slot = &venue->slots[i];
            for (int each = 0; each < TWI_STREAM_COUNT && slot->link == link; each++) {
                if (!suspect(&slot->streams[each]))
                    continue;
                if (pass == 0)
                    count++;
                else if (count > 1)
                    send_alone(&slot->streams[each]);
                else
                    twi_venue_ack_stream(venue, slot, (tw_channel)each, false, now_ns, sink);
            }
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
    confirm(&slot->streams[channel]);
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

static bool stream_silent(const twi_stream *stream, int64_t now_ns)
{
    if (stream->state != TWI_STREAM_ON || stream->last_ns == 0)
        return false;
    bool learned = stream->cadence_ns != 0 && stream->cadence_ns < SILENCE_MAX_NS / SILENCE_FACTOR;
    int64_t limit = learned ? stream->cadence_ns * SILENCE_FACTOR : SILENCE_MAX_NS;
    return now_ns - stream->last_ns > (limit > SILENCE_MIN_NS ? limit : SILENCE_MIN_NS);
}

/* Trades or quotes went silent: they are asked for again. A symbol without a book is stale meanwhile. */
static void watch_stream(twi_venue *venue, twi_slot *slot, tw_channel channel, int64_t now_ns, tw_sink *sink)
{
    twi_stream *stream = &slot->streams[channel];
    if (!stream_silent(stream, now_ns))
        return;
    stream->last_ns = now_ns;
    stream->state = TWI_STREAM_LEAVE_OWED;
    slot->history_known = slot->stats.trades > 0;
    if (!slot->streams[TW_CHANNEL_BOOK].wanted)
        twi_venue_set_state(venue, slot, TW_STATE_STALE, TW_REASON_SILENCE, 0, 0, now_ns, sink);
}

/* Confirmed, and still no snapshot: it is asked for again. A fetched book that does not change is fetched as it is. */
static void watch_snapshot(twi_venue *venue, twi_slot *slot, int64_t now_ns)
{
    twi_stream *stream = &slot->streams[TW_CHANNEL_BOOK];
    bool asked = stream->state == TWI_STREAM_ON || (stream->state == TWI_STREAM_SENT && !venue->traits->acks);
    int64_t waited_ns = now_ns - stream->sent_ns;
    if (slot->synced)
        slot->late = 0;
    if (!asked || slot->synced)
        return;
    if (venue->traits->repair == TWI_REPAIR_FETCH) {
        if (waited_ns >= QUIET_FETCH_NS && stream->last_ns == 0 && !slot->fetch_owed && slot->fetch_id == 0)
            twi_venue_owe_fetch(slot, now_ns);
    } else if (waited_ns >= SNAPSHOT_WAIT_NS << slot->late) {
        slot->late += slot->late < LATE_MAX;
        stream->state = TWI_STREAM_LEAVE_OWED;
    }
}

/* A book that nobody watches any more is gone; one that has lost its snapshot says so. */
static void settle_book(twi_venue *venue, twi_slot *slot, int64_t now_ns, tw_sink *sink)
{
    const twi_stream *stream = &slot->streams[TW_CHANNEL_BOOK];
    if (slot->book_state != TW_STATE_OK || venue->take_all)
        return;
    if (stream->state == TWI_STREAM_OFF && slot->synced) {
        twi_venue_set_state(venue, slot, TW_STATE_STALE, TW_REASON_NONE, 0, 0, now_ns, sink);
        twi_venue_clear_book(venue, slot, now_ns, sink);
    } else if (stream->wanted && !slot->synced) {
        twi_venue_set_state(venue, slot, TW_STATE_SYNCING, TW_REASON_RESYNC, 0, 0, now_ns, sink);
    }
}

static void decay(twi_venue *venue, int64_t now_ns)
{
    if (now_ns < venue->decay_ns)
        return;
    venue->decay_ns = now_ns + DECAY_GAP_NS;
    for (uint32_t i = 0; i < venue->slot_count; i++) {
        for (int channel = 0; channel < TWI_STREAM_COUNT; channel++)
            venue->slots[i].streams[channel].cadence_ns -= venue->slots[i].streams[channel].cadence_ns / CADENCE_DECAY;
    }
}

/* A book that its venue went silent on is told to be stale, and asked for again: the venue may have lost it. */
static void watch_book(twi_venue *venue, twi_slot *slot, int64_t now_ns, tw_sink *sink)
{
    twi_stream *stream = &slot->streams[TW_CHANNEL_BOOK];
    if (slot->book_state != TW_STATE_OK || !stream_silent(stream, now_ns))
        return;
    stream->last_ns = now_ns;
    twi_venue_set_state(venue, slot, TW_STATE_STALE, TW_REASON_SILENCE, 0, 0, now_ns, sink);
    slot->synced = false;
    slot->history_known = slot->stats.trades > 0;
    stream->state = TWI_STREAM_LEAVE_OWED;
}

int64_t twi_venue_on_timer(void *state, int64_t now_ns, tw_sink *sink)
{
    twi_venue *venue = state;
    decay(venue, now_ns);
    for (uint32_t i = 0; i < venue->slot_count; i++) {
        twi_slot *slot = &venue->slots[i];
        if (!venue->links[slot->link].up)
            continue;
        for (int channel = 0; channel < TWI_STREAM_COUNT && venue->traits->acks; channel++)
            watch_answer(&slot->streams[channel], now_ns);
        watch_book(venue, slot, now_ns, sink);
        watch_stream(venue, slot, TW_CHANNEL_TRADE, now_ns, sink);
        watch_stream(venue, slot, TW_CHANNEL_QUOTE, now_ns, sink);
        watch_snapshot(venue, slot, now_ns);
        settle_book(venue, slot, now_ns, sink);
    }
    return now_ns + TIMER_GAP_NS;
}
