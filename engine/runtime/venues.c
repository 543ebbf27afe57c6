/* venues.c - see venues.h. */
#include "engine/runtime/venues.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/limits.h"
#include "engine/base/text.h"

enum { CHECKED_INSTRUMENTS_MAX = 65536, ALIGN = 64 };

struct twi_venues {
    twi_driver *drivers[TWI_FEED_COUNT_MAX];
    uint32_t count;
    twi_hub *hub;
    twi_loop *loop;
};

/* ---- settings ---- */

static void list_venues(const twi_venue_list *own, char *out, size_t cap)
{
    const tw_feed_ops *ops;
    twi_text text = {.out = out, .cap = cap};
    out[0] = 0;
    for (uint32_t i = 0; (ops = tw_feed_at(i)) != NULL; i++)
        twi_text_add(&text, "%s%s", i > 0 ? ", " : "", ops->name);
    for (uint32_t i = 0; own != NULL && i < own->count; i++)
        twi_text_add(&text, ", %s", own->ops[i]->name);
}

static tw_status read_channels(const twi_settings_feed *settings, uint32_t *channels, char *error, size_t error_cap)
{
    *channels = 0;
    for (uint32_t i = 0; i < settings->channels.count; i++) {
        uint32_t before = *channels;
        for (uint16_t channel = TW_CHANNEL_TRADE; channel <= TW_CHANNEL_BOOK; channel++) {
            if (strcmp(settings->channels.items[i], tw_channel_name(channel)) == 0)
                *channels |= 1u << channel;
        }
        if (*channels != before)
            continue;
        snprintf(error, error_cap, "feed.channels: \"%s\" is none, or stands there twice; trade, quote and book are",
                 settings->channels.items[i]);
        return TW_BAD_CONFIG;
    }
    return TW_OK;
}

static const tw_feed_ops *find_venue(const char *name, const twi_venue_list *own)
{
    for (uint32_t i = 0; own != NULL && i < own->count; i++)
        if (strcmp(own->ops[i]->name, name) == 0)
            return own->ops[i];
    return tw_feed_find(name, strlen(name));
}

tw_status twi_venue_options(const twi_settings_feed *settings, const twi_venue_list *own, twi_driver_options *options,
                            char *error, size_t error_cap)
{
    char venues[512];
    const tw_feed_ops *ops = find_venue(settings->exchange, own);
    if (ops == NULL) {
        list_venues(own, venues, sizeof(venues));
        snprintf(error, error_cap, "feed.exchange = \"%s\" is no venue of this engine; these are: %s",
                 settings->exchange, venues);
        return TW_BAD_CONFIG;
    }
    *options = (twi_driver_options){
        .ops = ops,
        .feed = {.exchange = settings->exchange,
                 .symbols = settings->symbols.items,
                 .symbol_count = settings->symbols.count,
                 .book_depth = (uint32_t)settings->depth,
                 .stream_url = *settings->stream_url ? settings->stream_url : NULL,
                 .rest_url = *settings->rest_url ? settings->rest_url : NULL},
        .redundant = settings->redundant,
        .proxy = settings->proxy,
        .ca_file = settings->ca_file,
        .tls_minor_min = settings->tls_min == TWI_TLS_MIN_13 ? 3 : 2,
        .message_bytes_max = (uint32_t)settings->message_bytes_max,
        .connect_timeout_ns = settings->connect_timeout_ns,
        .handshake_timeout_ns = settings->handshake_timeout_ns,
        .retry_max_ns = settings->retry_max_ns,
    };
    return read_channels(settings, &options->feed.channels, error, error_cap);
}

uint64_t twi_venue_memory(const twi_settings_feed *settings, const twi_venue_list *own)
{
    char error[256];
    twi_driver_options options;
    if (settings->type != TWI_FEED_VENUE || twi_venue_options(settings, own, &options, error, sizeof(error)) != TW_OK)
        return 0;
    return twi_driver_memory(&options);
}

static tw_event *claim_nothing(void *owner)
{
    return owner;
}

static void commit_nothing(void *owner)
{
    (void)owner;
}

tw_status twi_venue_check(const twi_settings_feed *settings, char *error, size_t error_cap)
{
    twi_driver_options options;
    twi_driver *driver;
    tw_event scratch;
    tw_status status = twi_venue_options(settings, NULL, &options, error, error_cap);
    if (status != TW_OK)
        return status;
    size_t bytes = (tw_symbols_size(CHECKED_INSTRUMENTS_MAX) + ALIGN - 1) / ALIGN * ALIGN;
    void *memory = aligned_alloc(ALIGN, bytes);
    if (memory == NULL) {
        snprintf(error, error_cap, "no memory to check the symbols");
        return TW_NO_MEMORY;
    }
    options.symbols = tw_symbols_init(memory, CHECKED_INSTRUMENTS_MAX);
    options.sink = (tw_sink){claim_nothing, commit_nothing, &scratch};
    status = twi_driver_open(&options, &driver, error, error_cap);
    if (status == TW_OK)
        twi_driver_close(driver);
    free(memory);
    return status;
}

/* ---- life ---- */

tw_status twi_venues_open(twi_venues **out)
{
    *out = calloc(1, sizeof(**out));
    return *out != NULL ? TW_OK : TW_NO_MEMORY;
}

tw_status twi_venues_add(twi_venues *venues, const twi_venue_feed *feed, char *error, size_t error_cap)
{
    twi_driver_options options;
    tw_status status = twi_venue_options(feed->settings, feed->own, &options, error, error_cap);
    if (status != TW_OK)
        return status;
    options.symbols = feed->symbols;
    options.sink = feed->sink;
    options.counters = feed->counters;
    options.latency = feed->latency;
    status = twi_driver_open(&options, &venues->drivers[venues->count], error, error_cap);
    venues->count += status == TW_OK;
    return status;
}

uint32_t twi_venues_count(const twi_venues *venues)
{
    return venues->count;
}

uint32_t twi_venues_sock_count(const twi_venues *venues)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < venues->count; i++)
        count += twi_driver_sock_count(venues->drivers[i]);
    return count;
}

tw_status twi_venues_start(twi_venues *venues, twi_loop *loop, twi_logger *logger)
{
    if (venues->count == 0)
        return TW_OK;
    const twi_hub_options options = {.loop = loop, .logger = logger};
    tw_status status = twi_hub_open(&options, &venues->hub);
    if (status != TW_OK)
        return status;
    venues->loop = loop;
    for (uint32_t i = 0; i < venues->count; i++)
        twi_driver_start(venues->drivers[i], venues->hub);
    return TW_OK;
}

uint32_t twi_venues_step(twi_venues *venues)
{
    return venues->hub != NULL ? twi_hub_step(venues->hub) : 0;
}

static bool all_idle(const twi_venues *venues)
{
    for (uint32_t i = 0; i < venues->count; i++) {
        if (!twi_driver_is_idle(venues->drivers[i]))
            return false;
    }
    return true;
}

void twi_venues_stop(twi_venues *venues, int64_t patience_ns)
{
    if (venues->hub == NULL)
        return;
    const twi_loop_ops *ops = venues->loop->ops;
    int64_t until_ns = ops->now_ns(venues->loop) + patience_ns;
    for (uint32_t i = 0; i < venues->count; i++)
        twi_driver_stop(venues->drivers[i]);
    while (!all_idle(venues) && ops->now_ns(venues->loop) < until_ns)
        ops->poll(venues->loop, until_ns);
    for (uint32_t i = 0; i < venues->count; i++)
        twi_driver_abandon(venues->drivers[i]);
    twi_hub_close(venues->hub);
    venues->hub = NULL;
}

void twi_venues_close(twi_venues *venues)
{
    for (uint32_t i = 0; i < venues->count; i++)
        twi_driver_close(venues->drivers[i]);
    free(venues);
}
