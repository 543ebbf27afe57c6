/* venue_book.c - levels into the book and into the sink; see venue_book.h. */
#include "feed/venue_book.h"

static void publish_pending(twi_update *update, uint8_t extra_flags)
{
    if (update->pending == NULL)
        return;
    update->pending->flags |= extra_flags;
    tw_sink_commit(update->sink);
    update->pending = NULL;
}

static void put_record(twi_update *update, tw_event_kind kind, uint8_t side_flag, tw_decimal price, tw_decimal amount)
{
    publish_pending(update, 0);
    tw_event *event = tw_sink_claim(update->sink);
    event->instrument = update->slot->stats.instrument;
    event->kind = (uint8_t)kind;
    event->flags = (uint8_t)(update->flags | side_flag);
    event->price_exponent = price.exponent;
    event->amount_exponent = amount.exponent;
    event->venue_ns = update->info.venue_ns;
    event->recv_ns = update->info.recv_ns;
    event->u.level.price = price.mantissa;
    event->u.level.amount = amount.mantissa;
    event->u.level.venue_seq = update->info.seq;
    event->u.level.reserved = 0;
    update->flags &= (uint8_t)~TW_FLAG_FIRST;
    update->pending = event;
}

void twi_update_begin(twi_update *update, twi_venue *venue, twi_slot *slot, tw_sink *sink, const twi_update_info *info)
{
    *update = (twi_update){.venue = venue, .slot = slot, .sink = sink, .info = *info, .flags = TW_FLAG_FIRST};
    twi_stream_touch(&slot->streams[TW_CHANNEL_BOOK], info->recv_ns);
    if (info->snapshot) {
        update->flags |= TW_FLAG_SNAPSHOT;
        twi_book_clear(&slot->book);
    }
}

void twi_update_level(twi_update *update, twi_side side, tw_decimal price, tw_decimal amount)
{
    uint32_t before = twi_book_count(&update->slot->book, side);
    if (TWI_UNLIKELY(amount.mantissa < 0 ||
                     (!update->venue->bookless && twi_book_apply(&update->slot->book, side, price, amount) != TW_OK))) {
        update->failed = true;
        return;
    }
    /* A removal says something within a snapshot only of a level that the same message has put there (Kraken v1 may
     * send a snapshot and its first change together). */
    if (TWI_UNLIKELY(update->info.snapshot && amount.mantissa == 0) &&
        twi_book_count(&update->slot->book, side) == before)
        return;
    put_record(update, TW_EVENT_LEVEL, side == TWI_ASK ? TW_FLAG_ASK : 0, price, amount);
}

void twi_update_table(twi_update *update, const twi_rows *rows, twi_row_range range)
{
    for (const twi_row *row = rows->list + range.first, *end = row + range.count; row < end; row++)
        twi_update_level(update, (twi_side)row->side,
                         (tw_decimal){.mantissa = row->price, .exponent = row->price_exponent},
                         (tw_decimal){.mantissa = row->amount, .exponent = row->amount_exponent});
}

void twi_update_rows(twi_update *update, twi_side side, twi_json *json)
{
    if (!twi_json_enter_array(json))
        return;
    while (twi_json_next_item(json)) {
        tw_decimal price, amount;
        bool whole = twi_json_enter_array(json) && twi_json_next_item(json) && twi_json_decimal(json, &price) &&
                     twi_json_next_item(json) && twi_json_decimal(json, &amount);
        if (TWI_UNLIKELY(!whole)) {
            twi_json_fail(json, TW_MALFORMED);
            return;
        }
        twi_json_drain_array(json);
        twi_update_level(update, side, price, amount);
    }
}

tw_status twi_update_abort(twi_update *update)
{
    publish_pending(update, 0);
    return twi_venue_broken(update->venue, update->slot, TW_STATE_GAP, TW_REASON_MALFORMED, 0, 0, update->info.recv_ns,
                            update->sink);
}

void twi_update_cut(twi_update *update)
{
    twi_book *book = &update->slot->book;
    uint32_t depth = update->slot->depth;
    if (!update->venue->traits->book_cut)
        return;
    for (twi_side side = TWI_BID; side <= TWI_ASK; side++) {
        while (twi_book_count(book, side) > depth) {
            twi_level worst = twi_book_level(book, side, twi_book_count(book, side) - 1);
            twi_book_drop_worst(book, side);
            worst.amount.mantissa = 0;
            put_record(update, TW_EVENT_LEVEL, side == TWI_ASK ? TW_FLAG_ASK : 0, worst.price, worst.amount);
        }
    }
}

void twi_update_checksum(twi_update *update, uint32_t expected, uint32_t computed)
{
    if (update->venue->bookless)
        return;
    update->slot->stats.checksums++;
    update->slot->stats.checksums_equal += expected == computed;
    update->checksum_failed = expected != computed;
    update->checksum_expected = expected;
    update->checksum_computed = computed;
}

tw_status twi_update_end(twi_update *update)
{
    twi_slot *slot = update->slot;
    if (TWI_UNLIKELY(update->failed))
        return twi_update_abort(update);
    if (TWI_UNLIKELY(update->checksum_failed)) {
        publish_pending(update, 0);
        return twi_venue_broken(update->venue, slot, TW_STATE_GAP, TW_REASON_CHECKSUM, update->checksum_expected,
                                update->checksum_computed, update->info.recv_ns, update->sink);
    }
    twi_update_cut(update);
    if (update->pending == NULL && update->info.snapshot)
        put_record(update, TW_EVENT_BOOK_CLEAR, 0, (tw_decimal){0}, (tw_decimal){0});
    publish_pending(update, TW_FLAG_LAST);
    slot->seq = update->info.seq;
    slot->stats.last_seq = slot->seq;
    slot->stats.levels_dropped = slot->book.dropped;
    if (update->info.snapshot) {
        slot->stats.snapshots++;
        slot->synced = true;
        slot->bridged = false;
    } else {
        slot->stats.applied++;
        slot->bridged = true;
    }
    if (TWI_UNLIKELY(twi_book_crossed(&slot->book)))
        return twi_venue_broken(update->venue, slot, TW_STATE_CROSSED, TW_REASON_NONE, 0, 0, update->info.recv_ns,
                                update->sink);
    if (slot->book_state != TW_STATE_OK)
        twi_venue_set_state(update->venue, slot, TW_STATE_OK, TW_REASON_NONE, 0, 0, update->info.recv_ns, update->sink);
    return TW_OK;
}

tw_status twi_venue_resend(void *state, const char *symbol, size_t symbol_len, int64_t now_ns, tw_sink *sink)
{
    twi_venue *venue = state;
    twi_slot *slot = twi_venue_slot_named(venue, symbol, symbol_len);
    if (slot == NULL)
        return TW_BAD_SYMBOL;
    if (slot->synced && !venue->bookless) {
        twi_update update = {.venue = venue,
                             .slot = slot,
                             .sink = sink,
                             .info = {.snapshot = true, .seq = slot->seq, .recv_ns = now_ns},
                             .flags = TW_FLAG_FIRST | TW_FLAG_SNAPSHOT};
        for (twi_side side = TWI_BID; side <= TWI_ASK; side++) {
            for (uint32_t i = 0; i < twi_book_count(&slot->book, side); i++) {
                twi_level level = twi_book_level(&slot->book, side, i);
                put_record(&update, TW_EVENT_LEVEL, side == TWI_ASK ? TW_FLAG_ASK : 0, level.price, level.amount);
            }
        }
        if (update.pending == NULL)
            put_record(&update, TW_EVENT_BOOK_CLEAR, 0, (tw_decimal){0}, (tw_decimal){0});
        publish_pending(&update, TW_FLAG_LAST);
    }
    twi_venue_put_state(slot, TW_REASON_RESYNC, 0, 0, now_ns, sink);
    return TW_OK;
}
