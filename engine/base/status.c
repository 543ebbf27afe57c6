/* status.c - names of status codes, states, reasons and channels: the texts of logs, counters and wire errors. */
#include "tickwire/status.h"

#include <stddef.h>

#include "tickwire/event.h"

static const char *const status_names[] = {
    "OK",    "NEED_MORE",      "MALFORMED",    "TOO_BIG",      "GAP",        "LAPPED",     "EMPTY",
    "FULL",  "SLOW_CONSUMER",  "UNAVAILABLE",  "BAD_ARGUMENT", "BAD_CONFIG", "BAD_SYMBOL", "NOT_SUPPORTED",
    "AGAIN", "CLOSED",         "CANCELED",     "TIMEOUT",      "RELINK",     "CHECKSUM",   "NO_MEMORY",
    "IO",    "AUTHENTICATION", "RATE_LIMITED",
};
static const char *const state_names[] = {"syncing", "ok", "stale", "gap", "crossed"};
static const char *const reason_names[] = {
    "none",        "venue_sequence", "checksum",    "link_down", "silence", "venue",    "slow_consumer",
    "ring_lapped", "malformed",      "depth_limit", "resync",    "start",   "rejected",
};
static const char *const channel_names[] = {"trade", "quote", "book", "status", "candle"};

_Static_assert(sizeof(status_names) / sizeof(status_names[0]) == 1 - TW_RATE_LIMITED, "one name per status");
_Static_assert(sizeof(reason_names) / sizeof(reason_names[0]) == TW_REASON_REJECTED + 1, "one name per reason");

static const char *name_at(const char *const *names, size_t count, size_t index)
{
    return index < count ? names[index] : "unknown";
}
#define NAME_AT(names, index) name_at(names, sizeof(names) / sizeof((names)[0]), index)

const char *tw_status_name(tw_status status)
{
    const char *name = status <= 0 ? NAME_AT(status_names, (size_t) - (long)status) : "unknown";
    return name[0] == 'u' ? "UNKNOWN" : name;
}

const char *tw_book_state_name(uint16_t state)
{
    return NAME_AT(state_names, state);
}
const char *tw_reason_name(uint16_t reason)
{
    return NAME_AT(reason_names, reason);
}
const char *tw_channel_name(uint16_t channel)
{
    return NAME_AT(channel_names, channel);
}
