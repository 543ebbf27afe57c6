/* scan.c - the longer ones of scan.h. */
#include "feed/scan.h"

void twi_scan_best(twi_json *json, tw_decimal *price, tw_decimal *amount)
{
    *price = *amount = (tw_decimal){0};
    if (!twi_json_enter_array(json) || !twi_json_next_item(json))
        return;
    bool whole = twi_json_enter_array(json) && twi_json_next_item(json) && twi_json_decimal(json, price) &&
                 twi_json_next_item(json) && twi_json_decimal(json, amount);
    if (!whole) {
        twi_json_fail(json, TW_MALFORMED);
        return;
    }
    twi_json_drain_array(json);
    twi_json_drain_array(json);
}

bool twi_update_sides(twi_update *update, twi_sides *sides)
{
    for (twi_side side = TWI_BID; side <= TWI_ASK; side++) {
        if (!sides->has[side])
            continue;
        if (sides->read[side]) {
            twi_update_table(update, sides->rows, sides->range[side]);
            continue;
        }
        twi_update_rows(update, side, &sides->at[side]);
        if (sides->at[side].status != TW_OK)
            return false;
    }
    return true;
}

tw_status twi_update_finish(twi_update *update, twi_sides *sides)
{
    return twi_update_sides(update, sides) ? twi_update_end(update) : twi_update_abort(update);
}

bool twi_scan_request_id(twi_json_slice text, uint32_t *id)
{
    uint64_t value = 0;
    if (text.len == 0 || text.len > 10)
        return false;
    for (uint32_t i = 0; i < text.len; i++) {
        if (text.text[i] < '0' || text.text[i] > '9')
            return false;
        value = value * 10 + (uint64_t)(text.text[i] - '0');
    }
    *id = (uint32_t)value;
    return value <= UINT32_MAX;
}
