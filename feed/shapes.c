/* shapes.c - see shapes.h. */
#include "feed/shapes.h"

int twi_channel_of(const char *const names[TWI_STREAM_COUNT], twi_json_slice name)
{
    for (int channel = 0; channel < TWI_STREAM_COUNT; channel++) {
        if (names[channel] != NULL && twi_json_equal(name, names[channel], strlen(names[channel])))
            return channel;
    }
    return -1;
}

tw_status twi_emit_trades(twi_slot *slot, twi_json *json, twi_trade_reader read, int64_t recv_ns, tw_sink *sink)
{
    tw_status status = TW_OK;
    twi_json_enter_array(json);
    while (status == TW_OK && twi_json_next_item(json)) {
        twi_trade trade = {.history = false};
        read(json, &trade);
        if (json->status == TW_OK)
            status = twi_emit_trade(slot, &trade, recv_ns, sink);
    }
    return json->status == TW_OK ? status : TW_MALFORMED;
}

tw_status twi_update_changes(twi_update *update, twi_json *json)
{
    twi_json_enter_array(json);
    while (twi_json_next_item(json)) {
        bool sell = false;
        tw_decimal price, size;
        bool whole = twi_json_enter_array(json) && twi_json_next_item(json) && twi_scan_is_sell(json, &sell) &&
                     twi_json_next_item(json) && twi_json_decimal(json, &price) && twi_json_next_item(json) &&
                     twi_json_decimal(json, &size);
        if (!whole)
            return twi_update_abort(update);
        twi_json_drain_array(json);
        twi_update_level(update, sell ? TWI_ASK : TWI_BID, price, size);
    }
    return json->status == TW_OK ? twi_update_end(update) : twi_update_abort(update);
}

tw_status twi_take_snapshot(twi_venue *venue, twi_slot *slot, const twi_update_info *info, uint64_t slack,
                            twi_sides *sides, twi_sides_reader read, tw_sink *sink)
{
    if (!twi_venue_snapshot_fits(venue, slot, info->seq, slack, info->recv_ns))
        return TW_OK;
    twi_update update;
    twi_update_begin(&update, venue, slot, sink, info);
    tw_status status = read(&update, sides);
    return status == TW_OK ? twi_venue_run_backlog(venue, slot, sink) : status;
}
