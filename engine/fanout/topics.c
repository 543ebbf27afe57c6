/* topics.c - the channel names and their slots; see topics.h. */
#include "engine/fanout/topics.h"

#include <string.h>

static const char *const slot_names[TWI_SLOT_COUNT] = {
    "trade", "quote", "book", "status", "candle.1s", "candle.1m", "candle.5m", "candle.15m", "candle.1h", "candle.1d",
};

int twi_slot_parse(const char *text, size_t len)
{
    for (int slot = 0; slot < TWI_SLOT_COUNT; slot++)
        if (strlen(slot_names[slot]) == len && memcmp(slot_names[slot], text, len) == 0)
            return slot;
    return -1;
}

const char *twi_slot_name(uint32_t slot)
{
    return slot < TWI_SLOT_COUNT ? slot_names[slot] : "unknown";
}

tw_channel twi_slot_channel(uint32_t slot)
{
    static const tw_channel fixed[] = {TW_CHANNEL_TRADE, TW_CHANNEL_QUOTE, TW_CHANNEL_BOOK, TW_CHANNEL_STATUS};
    return slot < TWI_SLOT_CANDLE ? fixed[slot] : TW_CHANNEL_CANDLE;
}
