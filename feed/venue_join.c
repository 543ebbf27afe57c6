/* venue_join.c - when a book is whole and when it is not: snapshots joined with what the stream brought meanwhile,
 * broken books repaired one by one within the venue's budget. */
#include "feed/venue.h"

enum {
    FETCH_TRIES_SHIFT_MAX = 5,
    HTTP_OK = 200,
    HTTP_BAD_REQUEST = 400,
    HTTP_FORBIDDEN = 403,
    HTTP_NOT_FOUND = 404,
    HTTP_BANNED = 418,
    HTTP_RATE_LIMITED = 429
};
#define FETCH_WAIT_NS    (10 * TWI_NS_PER_S)
#define FETCH_BACKOFF_NS (500 * TWI_NS_PER_MS)
#define LIGHT_GAP_NS     (250 * TWI_NS_PER_MS)
#define MARKETS_RETRY_NS (30 * TWI_NS_PER_S)
#define PAUSE_DEFAULT_NS (30 * TWI_NS_PER_S)
#define CALM_NS          (60 * TWI_NS_PER_S) /* a book that breaks again within this time is repaired more slowly */

void twi_venue_put_state(const twi_slot *slot, tw_reason reason, uint64_t from, uint64_t to, int64_t now_ns,
                         tw_sink *sink)
{
    tw_event *event = tw_sink_claim(sink);
    *event = (tw_event){.instrument = slot->stats.instrument,
                        .kind = TW_EVENT_STATUS,
                        .flags = TW_FLAG_FIRST | TW_FLAG_LAST,
                        .recv_ns = now_ns};
    event->u.status.state = slot->book_state;
    event->u.status.reason = (uint16_t)reason;
    event->u.status.from = from;
    event->u.status.to = to;
    tw_sink_commit(sink);
}

void twi_venue_set_state(twi_venue *venue, twi_slot *slot, tw_book_state state, tw_reason reason, uint64_t from,
                         uint64_t to, int64_t now_ns, tw_sink *sink)
{
    (void)venue;
    if (slot->book_state == state)
        return;
    slot->book_state = (uint8_t)state;
    twi_venue_put_state(slot, reason, from, to, now_ns, sink);
}

void twi_venue_alive(twi_slot *slot, int64_t now_ns, tw_sink *sink)
{
    bool wanted = slot->streams[TW_CHANNEL_TRADE].wanted || slot->streams[TW_CHANNEL_QUOTE].wanted;
    if (wanted && !slot->streams[TW_CHANNEL_BOOK].wanted)
        twi_venue_set_state(NULL, slot, TW_STATE_OK, TW_REASON_NONE, 0, 0, now_ns, sink);
}

void twi_venue_reset_join(twi_venue *venue, twi_slot *slot)
{
    slot->synced = slot->bridged = false;
    slot->fetch_owed = false;
    slot->fetch_id = 0;
    slot->fetch_tries = 0;
    slot->seq = slot->lost = 0;
    if (venue->backlog.cap > 0)
        twi_backlog_forget(&venue->backlog, slot->index);
}

void twi_venue_clear_book(twi_venue *venue, twi_slot *slot, int64_t now_ns, tw_sink *sink)
{
    bool had_levels = twi_book_count(&slot->book, TWI_BID) + twi_book_count(&slot->book, TWI_ASK) > 0;
    twi_venue_reset_join(venue, slot);
    twi_book_clear(&slot->book);
    if (!had_levels)
        return;
    tw_event *event = tw_sink_claim(sink);
    *event = (tw_event){.instrument = slot->stats.instrument,
                        .kind = TW_EVENT_BOOK_CLEAR,
                        .flags = TW_FLAG_FIRST | TW_FLAG_LAST | TW_FLAG_SNAPSHOT,
                        .recv_ns = now_ns};
    tw_sink_commit(sink);
}

/* ---- repair ---- */

static int64_t backoff_ns(uint8_t tries)
{
    return FETCH_BACKOFF_NS << (tries < FETCH_TRIES_SHIFT_MAX ? tries : FETCH_TRIES_SHIFT_MAX);
}

void twi_venue_owe_fetch(twi_slot *slot, int64_t not_before_ns)
{
    slot->fetch_owed = true;
    slot->fetch_id = 0;
    slot->fetch_ns = not_before_ns;
}

/* The first repair is at once; while a book goes on breaking, each waits longer. */
static int64_t repair_wait_ns(twi_slot *slot, int64_t now_ns)
{
    bool calm = slot->break_ns == 0 || now_ns - slot->break_ns > CALM_NS;
    slot->break_ns = now_ns;
    if (calm)
        slot->breaks = 0;
    else if (slot->breaks < UINT8_MAX)
        slot->breaks++;
    return slot->breaks == 0 ? 0 : backoff_ns((uint8_t)(slot->breaks - 1));
}

tw_status twi_venue_broken(twi_venue *venue, twi_slot *slot, tw_book_state state, tw_reason reason, uint64_t from,
                           uint64_t to, int64_t now_ns, tw_sink *sink)
{
    if (state == TW_STATE_CROSSED)
        slot->stats.crossed++;
    else
        slot->stats.gaps++;
    slot->synced = slot->bridged = false;
    slot->history_known = slot->stats.trades > 0;
    twi_venue_set_state(venue, slot, state, reason, from, to, now_ns, sink);
    int64_t not_before_ns = now_ns + repair_wait_ns(slot, now_ns);
    twi_stream *stream = &slot->streams[TW_CHANNEL_BOOK];
    switch (venue->traits->repair) {
    case TWI_REPAIR_FETCH:
        twi_venue_owe_fetch(slot, not_before_ns);
        break;
    case TWI_REPAIR_RESUBSCRIBE:
        stream->not_before_ns = not_before_ns;
        if (stream->wanted)
            stream->state = TWI_STREAM_LEAVE_OWED;
        break;
    case TWI_REPAIR_RELINK:
        return TW_RELINK;
    case TWI_REPAIR_WAIT:
        break;
    }
    return TW_GAP;
}

tw_status twi_venue_gap(twi_venue *venue, twi_slot *slot, uint64_t to, int64_t now_ns, tw_sink *sink)
{
    bool ahead = to > slot->seq; /* else the venue began to count anew: no range tells what is missing */
    return twi_venue_broken(venue, slot, TW_STATE_GAP, TW_REASON_SEQUENCE, ahead ? slot->seq + 1 : 0, ahead ? to : 0,
                            now_ns, sink);
}

static void keep_message(twi_venue *venue, twi_slot *slot, const twi_delta *delta)
{
    if (venue->replaying)
        return; /* it is in the backlog, or was */
    twi_backlog_record head = {.key = slot->index,
                               .link = delta->link,
                               .message_len = (uint32_t)delta->msg_len,
                               .first = delta->first,
                               .last = delta->last,
                               .recv_ns = delta->recv_ns};
    if (!twi_backlog_push(&venue->backlog, &head, delta->msg))
        slot->lost = delta->last;
}

twi_verdict twi_venue_judge(twi_venue *venue, twi_slot *slot, const twi_delta *delta, tw_sink *sink)
{
    slot->stats.deltas += !venue->replaying;
    if (TWI_UNLIKELY(!slot->synced)) {
        twi_stream_touch(&slot->streams[TW_CHANNEL_BOOK], delta->recv_ns);
        if (!slot->fetch_owed && slot->fetch_id == 0)
            twi_venue_owe_fetch(slot, delta->recv_ns);
        keep_message(venue, slot, delta);
        return TWI_KEPT;
    }
    if (delta->stale) {
        slot->stats.stale++;
        return TWI_STALE;
    }
    if (TWI_LIKELY(delta->continues))
        return TWI_APPLY;
    twi_venue_gap(venue, slot, delta->first > 0 ? delta->first - 1 : 0, delta->recv_ns, sink);
    keep_message(venue, slot, delta);
    return TWI_BROKEN;
}

bool twi_venue_snapshot_fits(twi_venue *venue, twi_slot *slot, uint64_t seq, uint64_t slack, int64_t now_ns)
{
    if (slot->synced)
        return false;
    const twi_backlog_record *oldest = twi_backlog_next(&venue->backlog, slot->index, NULL);
    slot->fetch_owed = false;
    slot->fetch_id = 0;
    if ((oldest == NULL || oldest->first <= seq + slack) && seq >= slot->lost) {
        slot->lost = 0;
        return true;
    }
    if (slot->fetch_tries < UINT8_MAX)
        slot->fetch_tries++;
    twi_venue_owe_fetch(slot, now_ns + backoff_ns(slot->fetch_tries));
    return false;
}

tw_status twi_venue_run_backlog(twi_venue *venue, twi_slot *slot, tw_sink *sink)
{
    tw_status worst = TW_OK;
    twi_backlog_record *record = twi_backlog_next(&venue->backlog, slot->index, NULL);
    venue->replaying = true;
    for (; record != NULL && slot->synced; record = twi_backlog_next(&venue->backlog, slot->index, record)) {
        tw_status status = venue->traits->message(venue, record->link, record->recv_ns, twi_backlog_message(record),
                                                  record->message_len, sink);
        worst = status != TW_OK ? status : worst;
        twi_backlog_consume(&venue->backlog, record);
    }
    venue->replaying = false;
    twi_backlog_forget(&venue->backlog, slot->index);
    if (slot->synced)
        slot->fetch_tries = 0;
    return worst;
}

/* ---- requests ---- */

static int write_url(twi_venue *venue, twi_text *url, tw_request *request, tw_request_kind kind)
{
    if (!twi_text_end(url))
        return 0;
    request->id = ++venue->request_id;
    request->kind = (uint8_t)kind;
    return 1;
}

static twi_text start_url(twi_venue *venue, tw_request *request)
{
    *request = (tw_request){0};
    twi_text url = twi_text_over(request->url, sizeof(request->url));
    twi_text_put(&url, venue->rest_url[0] != 0 ? venue->rest_url : venue->traits->rest_url);
    return url;
}

static int next_fetch(twi_venue *venue, int64_t now_ns, tw_request *request)
{
    for (uint32_t i = 0; i < venue->slot_count; i++) {
        twi_slot *slot = &venue->slots[i];
        if (slot->fetch_id != 0 && now_ns - slot->fetch_ns > FETCH_WAIT_NS)
            twi_venue_owe_fetch(slot, now_ns);
        if (!slot->fetch_owed || slot->fetch_ns > now_ns || !venue->links[slot->link].up)
            continue;
        twi_text url = start_url(venue, request);
        venue->traits->write_book_url(venue, slot, &url);
        if (!write_url(venue, &url, request, TW_REQUEST_BOOK))
            return 0;
        slot->fetch_owed = false;
        slot->fetch_id = request->id;
        slot->fetch_ns = now_ns;
        return 1;
    }
    return 0;
}

static int next_markets(twi_venue *venue, int64_t now_ns, tw_request *request)
{
    if (venue->name_max == 0 || now_ns < venue->markets_ns)
        return 0;
    tw_feed_config config = {.rest_url = venue->rest_url[0] != 0 ? venue->rest_url : NULL};
    if (venue->traits->ops->markets_request(&config, venue->markets_page, request) != TW_OK) {
        venue->markets_ns = INT64_MAX;
        return 0;
    }
    request->id = venue->markets_id = ++venue->request_id;
    request->kind = TW_REQUEST_MARKETS;
    venue->markets_ns = now_ns + MARKETS_RETRY_NS;
    return 1;
}

/* The venue's gap is that between deep books; market lists and tokens cost little. */
static int64_t gap_after(const twi_venue *venue, const tw_request *request)
{
    int64_t gap_ns = venue->traits->request_gap_ns;
    return request->kind == TW_REQUEST_BOOK || gap_ns < LIGHT_GAP_NS ? gap_ns : LIGHT_GAP_NS;
}

int twi_venue_next_request(void *state, int64_t now_ns, tw_request *request)
{
    twi_venue *venue = state;
    if (now_ns < venue->next_request_ns || now_ns < venue->request_pause_ns)
        return 0;
    int owed = 0;
    if (venue->traits->write_request != NULL) {
        uint8_t post = 0;
        twi_text url = start_url(venue, request);
        owed = venue->traits->write_request(venue, now_ns, &url, &post) &&
               write_url(venue, &url, request, TW_REQUEST_TOKEN);
        request->post = post;
        venue->own_id = owed ? request->id : venue->own_id;
    }
    if (!owed)
        owed = next_markets(venue, now_ns, request);
    if (!owed && venue->traits->repair == TWI_REPAIR_FETCH)
        owed = next_fetch(venue, now_ns, request);
    if (owed)
        venue->next_request_ns = now_ns + gap_after(venue, request);
    return owed;
}

/* There is no such book. Some venues confirm any subscription, so that this is where a wrong name shows. */
static void refuse_book(twi_venue *venue, twi_slot *slot, int64_t now_ns, tw_sink *sink)
{
    slot->fetch_owed = false;
    slot->fetch_id = 0;
    slot->streams[TW_CHANNEL_BOOK].state = TWI_STREAM_REFUSED;
    twi_venue_set_state(venue, slot, TW_STATE_STALE, TW_REASON_REJECTED, 0, 0, now_ns, sink);
}

/* The request failed: later again, unless the venue does not know the symbol. */
static void request_failed(twi_venue *venue, int64_t now_ns, const tw_response *response, tw_sink *sink)
{
    bool unknown = response->status == HTTP_BAD_REQUEST || response->status == HTTP_NOT_FOUND;
    bool limited =
        response->status == HTTP_RATE_LIMITED || response->status == HTTP_BANNED || response->status == HTTP_FORBIDDEN;
    if (limited || response->retry_after_s > 0) {
        int64_t pause = response->retry_after_s > 0 ? response->retry_after_s * TWI_NS_PER_S : PAUSE_DEFAULT_NS;
        venue->request_pause_ns = now_ns + pause;
    }
    for (uint32_t i = 0; i < venue->slot_count; i++) {
        twi_slot *slot = &venue->slots[i];
        if (slot->fetch_id != response->id)
            continue;
        if (unknown && slot->stats.snapshots == 0) {
            refuse_book(venue, slot, now_ns, sink);
            continue;
        }
        if (slot->fetch_tries < UINT8_MAX)
            slot->fetch_tries++;
        twi_venue_owe_fetch(slot, now_ns + backoff_ns(slot->fetch_tries));
    }
}

static bool awaited(const twi_venue *venue, uint32_t id)
{
    if (id == venue->markets_id || id == venue->own_id)
        return true;
    for (uint32_t i = 0; i < venue->slot_count; i++) {
        if (venue->slots[i].fetch_id == id)
            return true;
    }
    return false;
}

tw_status twi_venue_on_response(void *state, int64_t recv_ns, const tw_response *response, tw_sink *sink)
{
    twi_venue *venue = state;
    if (response->id != 0 && !awaited(venue, response->id)) {
        venue->stats.ignored++; /* too late: its connection is gone, or it was asked again */
        return TW_OK;
    }
    if (response->id != 0 && response->status != HTTP_OK) {
        request_failed(venue, recv_ns, response, sink);
        twi_venue_error(venue, (const char *)response->body, response->body_len);
        return TW_UNAVAILABLE;
    }
    if (response->id != 0 && response->id == venue->markets_id) {
        tw_status status = twi_venue_take_markets(venue, response->body, response->body_len);
        if (status == TW_OK) {
            venue->markets_page++;
            venue->markets_ns = recv_ns;
        } /* else the same page again, later */
        return status;
    }
    if (venue->traits->response == NULL) /* recordings: nothing else is asked for */
        return twi_venue_take_markets(venue, response->body, response->body_len);
    tw_status status = venue->traits->response(venue, recv_ns, response, sink);
    if (status == TW_MALFORMED && response->id != 0)
        request_failed(venue, recv_ns, response, sink);
    return status;
}
