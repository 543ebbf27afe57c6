/* venue_messages.c - see venue_messages.h; the messages that are made here are in venue_samples.c. */
#include "bench/venue_messages.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/venue_samples.h"
#include "feed/recording.h"
#include "feed/venue.h"

enum {
    STATE_ALIGN = 64,
    BOOK_LEVELS = 8192,
    BACKLOG_BYTES = 1 << 20,
    PATH_BYTES_MAX = 1024,
    ERROR_BYTES_MAX = 256,
    HTTP_OK = 200
};

static void fail(const char *name, const char *what)
{
    fprintf(stderr, "%s: %s\n", name, what);
    exit(1);
}

static void *grow(void *memory, size_t bytes)
{
    void *larger = realloc(memory, bytes);
    if (larger == NULL)
        fail("messages", "no memory");
    return larger;
}

static void *aligned(size_t bytes)
{
    void *memory = aligned_alloc(STATE_ALIGN, (bytes + STATE_ALIGN - 1) / STATE_ALIGN * STATE_ALIGN);
    if (memory == NULL)
        fail("messages", "no memory");
    return memory;
}

const char *twb_kind_name(twb_kind kind)
{
    static const char *const names[TWB_KIND_COUNT] = {"trade", "quote", "book delta", "book snapshot"};
    return names[kind];
}

/* ---- the adapter ---- */

static const tw_feed_config CONFIG = {
    .symbol_count_max = TWB_SLOTS_MAX, .book_levels_max = BOOK_LEVELS, .backlog_bytes = BACKLOG_BYTES};

void twb_venue_restart(twb_venue *venue, bool bookless)
{
    size_t bytes = venue->ops->state_size(&CONFIG);
    if (venue->state == NULL) {
        venue->state = aligned(bytes);
        venue->symbols = aligned(tw_symbols_size(TWB_SLOTS_MAX));
    }
    memset(venue->state, 0, bytes);
    tw_symbols_init(venue->symbols, TWB_SLOTS_MAX);
    if (venue->ops->init(venue->state, &CONFIG, venue->symbols) != TW_OK)
        fail(venue->name, "the adapter does not start");
    ((twi_venue *)venue->state)->bookless = bookless;
    for (uint32_t conn = 0; conn < venue->url_count && conn < TW_FEED_LINKS_MAX; conn++) {
        if (venue->urls[conn] != NULL)
            venue->ops->link_up(venue->state, conn, 1, venue->urls[conn]);
    }
}

void twb_venue_rewind(twb_venue *venue, twb_kind kind)
{
    twi_venue *state = venue->state;
    for (uint32_t i = 0; i < state->slot_count && i < TWB_SLOTS_MAX; i++) {
        twi_slot *slot = &state->slots[i];
        slot->synced = slot->bridged = kind != TWB_SNAPSHOT;
        slot->book_state = TW_STATE_OK;
        slot->seq = venue->first_seq[kind][i];
    }
}

tw_status twb_venue_play(twb_venue *venue, const twb_message *message, tw_sink *sink)
{
    if (!message->http)
        return venue->ops->on_message(venue->state, message->conn, message->recv_ns, message->bytes, message->len,
                                      sink);
    tw_response response = {.status = HTTP_OK, .url = message->url, .body = message->bytes, .body_len = message->len};
    return venue->ops->on_response(venue->state, message->recv_ns, &response, sink);
}

uint32_t twb_venue_names(const twb_venue *venue, twb_name names[TWB_SLOTS_MAX])
{
    const twi_venue *state = venue->state;
    uint32_t count = state->slot_count < TWB_SLOTS_MAX ? state->slot_count : TWB_SLOTS_MAX;
    for (uint32_t i = 0; i < count; i++) {
        const twi_slot *slot = &state->slots[i];
        names[i] =
            (twb_name){.id = slot->id, .len = slot->id_len, .group = slot->group, .instrument = slot->stats.instrument};
    }
    return count;
}

uint8_t twb_venue_group(const twb_venue *venue, uint32_t conn)
{
    return ((const twi_venue *)venue->state)->links[conn].group;
}

/* ---- collecting ---- */

typedef struct collection {
    twb_venue *venue;
    size_t *offsets; /* of all messages in the block; pointers are made when it no longer moves */
    size_t used, cap;
} collection;

static char *copy_text(const char *text, size_t len)
{
    char *copy = grow(NULL, len + 1);
    memcpy(copy, text, len);
    copy[len] = 0;
    return copy;
}

static const char *keep_url(twb_venue *venue, uint32_t place, const char *url, size_t len)
{
    uint32_t count = place < venue->url_count ? venue->url_count : place + 1;
    if (count > venue->url_count)
        venue->urls = grow(venue->urls, count * sizeof(*venue->urls));
    for (; venue->url_count < count; venue->url_count++)
        venue->urls[venue->url_count] = NULL;
    if (venue->urls[place] == NULL)
        venue->urls[place] = copy_text(url, len);
    return venue->urls[place];
}

static void keep_message(collection *to, const twi_frame *frame)
{
    twb_messages *all = &to->venue->all;
    bool http = frame->kind == TWI_FRAME_HTTP;
    if (to->used + frame->bytes_len + TWB_PADDING_BYTES > to->cap) {
        to->cap = 2 * to->cap + frame->bytes_len + TWB_PADDING_BYTES;
        to->venue->block = grow(to->venue->block, to->cap);
    }
    if ((all->count & (all->count - 1)) == 0) {
        all->list = grow(all->list, (2 * (size_t)all->count + 1) * sizeof(*all->list));
        to->offsets = grow(to->offsets, (2 * (size_t)all->count + 1) * sizeof(*to->offsets));
    }
    to->offsets[all->count] = to->used;
    all->list[all->count++] =
        (twb_message){.len = frame->bytes_len, .recv_ns = frame->recv_ns, .conn = http ? 0 : frame->conn, .http = http};
    if (http) {
        uint32_t place = to->venue->url_count > TW_FEED_LINKS_MAX ? to->venue->url_count : TW_FEED_LINKS_MAX;
        all->list[all->count - 1].url = keep_url(to->venue, place, frame->url, frame->url_len);
    }
    memcpy(to->venue->block + to->used, frame->bytes, frame->bytes_len);
    memset(to->venue->block + to->used + frame->bytes_len, 0, TWB_PADDING_BYTES);
    to->used += frame->bytes_len + TWB_PADDING_BYTES;
    all->bytes += frame->bytes_len;
}

static void keep_frame(collection *to, const twi_frame *frame)
{
    if (frame->kind == TWI_FRAME_CONNECT && frame->conn < TW_FEED_LINKS_MAX)
        keep_url(to->venue, frame->conn, frame->url, frame->url_len);
    else if (frame->kind == TWI_FRAME_HTTP || (frame->kind == TWI_FRAME_RECV && frame->conn < TW_FEED_LINKS_MAX))
        keep_message(to, frame);
}

static bool read_recording(collection *to, const char *folder)
{
    char path[PATH_BYTES_MAX], error[ERROR_BYTES_MAX];
    const char *root = getenv("TICKWIRE_RECORDINGS");
    twi_recording *recording;
    twi_frame frame;
    snprintf(path, sizeof(path), "%s/%s", root != NULL ? root : TWB_SOURCE_DIR "/../shared/data/exchanges", folder);
    if (twi_recording_open(path, &recording, error, sizeof(error)) != TW_OK)
        return false;
    while (twi_recording_next(recording, &frame) == TW_OK)
        keep_frame(to, &frame);
    twi_recording_close(recording);
    return to->venue->all.count > 0;
}

static void make_samples(collection *to, const char *name)
{
    enum { SAMPLE_BYTES_MAX = 1 << 17 };
    uint8_t *bytes = grow(NULL, SAMPLE_BYTES_MAX);
    twb_sampler sampler;
    twi_frame frame;
    if (!twb_sampler_open(&sampler, name))
        fail(name, "no recording is there, and no messages can be made for this venue");
    while (twb_sampler_next(&sampler, bytes, SAMPLE_BYTES_MAX, &frame))
        keep_frame(to, &frame);
    free(bytes);
}

/* ---- sorting ---- */

typedef struct judge {
    tw_event event, first;
    bool has_first;
} judge;

static tw_event *judge_claim(void *owner)
{
    return &((judge *)owner)->event;
}

static void judge_commit(void *owner)
{
    judge *it = owner;
    if (it->has_first || it->event.kind == TW_EVENT_STATUS)
        return;
    it->first = it->event;
    it->has_first = true;
}

static twb_kind kind_of(const tw_event *event)
{
    if (event->kind == TW_EVENT_TRADE)
        return TWB_TRADE;
    if (event->kind == TW_EVENT_QUOTE)
        return TWB_QUOTE;
    return (event->flags & TW_FLAG_SNAPSHOT) != 0 ? TWB_SNAPSHOT : TWB_DELTA;
}

/* Whose message it was: by its event, or, of a delta without levels, by what it left behind. */
static twi_slot *slot_of(twi_venue *state, const judge *it, const uint64_t *applied_before)
{
    for (uint32_t i = 0; i < state->slot_count && i < TWB_SLOTS_MAX; i++) {
        twi_slot *slot = &state->slots[i];
        if (it->has_first ? slot->stats.instrument == it->first.instrument : slot->stats.applied != applied_before[i])
            return slot;
    }
    return NULL;
}

typedef struct sorter {
    twb_venue *venue;
    uint32_t count_max;
    bool closed[TWB_SLOTS_MAX]; /* a snapshot came after deltas: later deltas do not continue the first ones */
} sorter;

static void keep_sorted(twb_messages *to, const twb_message *message)
{
    if ((to->count & (to->count - 1)) == 0)
        to->list = grow(to->list, (2 * (size_t)to->count + 1) * sizeof(*to->list));
    to->list[to->count++] = *message;
    to->bytes += message->len;
}

/* Plays it, and keeps it under its kind; not if it is history, which is told once. */
static void sort_message(sorter *with, const twb_message *message)
{
    twb_venue *venue = with->venue;
    twi_venue *state = venue->state;
    uint64_t seq_before[TWB_SLOTS_MAX] = {0}, applied_before[TWB_SLOTS_MAX] = {0};
    judge it = {.has_first = false};
    tw_sink sink = {judge_claim, judge_commit, &it};
    for (uint32_t i = 0; i < state->slot_count && i < TWB_SLOTS_MAX; i++) {
        seq_before[i] = state->slots[i].seq;
        applied_before[i] = state->slots[i].stats.applied;
    }
    if (twb_venue_play(venue, message, &sink) != TW_OK)
        return;
    twi_slot *slot = slot_of(state, &it, applied_before);
    if (slot == NULL || (it.first.kind == TW_EVENT_TRADE && (it.first.flags & TW_FLAG_HISTORY) != 0))
        return;
    twb_kind kind = it.has_first ? kind_of(&it.first) : TWB_DELTA;
    if (kind == TWB_SNAPSHOT && venue->has_first[TWB_DELTA][slot->index])
        with->closed[slot->index] = true;
    if (venue->kinds[kind].count == with->count_max || (kind == TWB_DELTA && with->closed[slot->index]))
        return;
    if (!venue->has_first[kind][slot->index]) {
        venue->has_first[kind][slot->index] = true;
        venue->first_seq[kind][slot->index] = seq_before[slot->index];
    }
    keep_sorted(&venue->kinds[kind], message);
}

void twb_venue_open(twb_venue *venue, const char *name, const char *recording, uint32_t count_max)
{
    *venue = (twb_venue){.name = name, .ops = tw_feed_find(name, strlen(name))};
    if (venue->ops == NULL)
        fail(name, "no such venue");
    collection to = {.venue = venue};
    venue->recorded = recording != NULL && read_recording(&to, recording);
    if (!venue->recorded)
        make_samples(&to, name);
    for (uint32_t i = 0; i < venue->all.count; i++)
        venue->all.list[i].bytes = venue->block + to.offsets[i];
    free(to.offsets);
    twb_venue_restart(venue, true);
    sorter with = {.venue = venue, .count_max = count_max};
    for (uint32_t i = 0; i < venue->all.count; i++)
        sort_message(&with, &venue->all.list[i]);
}

void twb_venue_close(twb_venue *venue)
{
    for (uint32_t i = 0; i < venue->url_count; i++)
        free(venue->urls[i]);
    for (int kind = 0; kind < TWB_KIND_COUNT; kind++)
        free(venue->kinds[kind].list);
    free(venue->urls);
    free(venue->all.list);
    free(venue->block);
    free(venue->state);
    free(venue->symbols);
}
