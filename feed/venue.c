/* venue.c - layout of an adapter's state, its symbols, links and counters; see venue.h. */
#include "feed/venue.h"

#include "engine/base/assert.h"
#include "feed/emit.h"

enum { STATE_ALIGN = 64, SLOTS_DEFAULT = 256, SLOTS_MAX = 65536, BACKLOG_DEFAULT = 4 << 20, NAMES_MAX = 1 << 20 };

/* ---- layout: one pass that counts or places ---- */

typedef struct state_carver {
    uint8_t *base; /* NULL: only count */
    size_t used;
} state_carver;

static void *carve(state_carver *carver, size_t bytes)
{
    void *part = carver->base != NULL ? carver->base + carver->used : NULL;
    carver->used += (bytes + STATE_ALIGN - 1) & ~(size_t)(STATE_ALIGN - 1);
    return part;
}

static uint32_t power_of_two(uint32_t at_least)
{
    uint32_t size = 16;
    while (size < at_least)
        size *= 2;
    return size;
}

static uint32_t slots_wanted(const tw_feed_config *config)
{
    uint32_t wanted = config->symbol_count_max;
    if (wanted == 0)
        wanted = config->symbol_count > 0 ? config->symbol_count : SLOTS_DEFAULT;
    return wanted < config->symbol_count ? config->symbol_count : wanted;
}

static uint32_t depth_wanted(const twi_venue_traits *traits, const tw_feed_config *config)
{
    return config->book_depth != 0 ? config->book_depth : traits->book_depth;
}

static uint32_t levels_wanted(const twi_venue_traits *traits, const tw_feed_config *config)
{
    enum { CUT_SLACK = 512 }; /* one message may go beyond the depth before the cut */
    if (config->book_levels_max != 0)
        return config->book_levels_max;
    uint32_t depth = depth_wanted(traits, config);
    return traits->book_cut && depth + CUT_SLACK > traits->book_levels ? depth + CUT_SLACK : traits->book_levels;
}

/* Places the parts of the state (venue->... pointers), or counts their bytes if base is NULL. */
static size_t lay_out(twi_venue *venue, uint8_t *base, const twi_venue_traits *traits, const tw_feed_config *config)
{
    state_carver carver = {.base = base};
    uint32_t slots = slots_wanted(config), levels = levels_wanted(traits, config);
    size_t backlog = 0;
    if (traits->repair == TWI_REPAIR_FETCH)
        backlog = config->backlog_bytes != 0 ? config->backlog_bytes : BACKLOG_DEFAULT;
    carve(&carver, sizeof(twi_venue));
    venue->extra = carve(&carver, traits->extra_bytes);
    venue->extra_slots = carve(&carver, traits->extra_slot_bytes * slots);
    venue->slot_max = slots;
    venue->slots = carve(&carver, slots * sizeof(twi_slot));
    venue->index_mask = power_of_two(slots * 2) - 1;
    venue->index = carve(&carver, (venue->index_mask + 1) * sizeof(uint32_t));
    venue->name_max = config->market_count_max;
    venue->names = carve(&carver, config->market_count_max * sizeof(twi_market_name));
    venue->name_mask = power_of_two(config->market_count_max * 2) - 1;
    venue->name_index = carve(&carver, config->market_count_max > 0 ? (venue->name_mask + 1) * sizeof(uint32_t) : 0);
    venue->book_bytes = (twi_book_size(levels) + STATE_ALIGN - 1) & ~(size_t)(STATE_ALIGN - 1);
    venue->book_levels = levels;
    venue->book_memory = carve(&carver, slots * venue->book_bytes);
    uint8_t *backlog_memory = carve(&carver, backlog);
    if (base != NULL && backlog > 0)
        twi_backlog_init(&venue->backlog, backlog_memory, backlog);
    return carver.used;
}

static bool config_good(const tw_feed_config *config)
{
    return slots_wanted(config) <= SLOTS_MAX && config->market_count_max <= NAMES_MAX &&
           config->book_levels_max <= TWI_BOOK_LEVELS_MAX && config->book_depth <= TWI_BOOK_LEVELS_MAX / 2;
}

size_t twi_venue_size(const twi_venue_traits *traits, const tw_feed_config *config)
{
    twi_venue counted = {0};
    return config_good(config) ? lay_out(&counted, NULL, traits, config) : sizeof(twi_venue);
}

/* ---- hash over names ---- */

static uint64_t hash_name(uint8_t group, const char *name, size_t len)
{
    uint64_t hash = UINT64_C(0x9e3779b97f4a7c15) * (group + 1u) + len;
    for (; len >= 8; name += 8, len -= 8)
        hash = (hash ^ twi_json_load64((const uint8_t *)name)) * UINT64_C(0xff51afd7ed558ccd);
    uint64_t rest = 0;
    memcpy(&rest, name, len);
    hash = (hash ^ rest) * UINT64_C(0xc4ceb9fe1a85ec53);
    return hash ^ hash >> 32;
}

static bool same_name(const char *a, size_t a_len, const char *b, size_t b_len)
{
    return a_len == b_len && memcmp(a, b, a_len) == 0;
}

twi_slot *twi_venue_find(twi_venue *venue, uint8_t group, const char *id, size_t id_len)
{
    if (TWI_UNLIKELY(id_len == 0))
        return NULL;
    twi_slot *recent = &venue->slots[venue->recent];
    if (TWI_LIKELY(recent->group == group && same_name(recent->id, recent->id_len, id, id_len)))
        return recent;
    for (uint64_t at = hash_name(group, id, id_len);; at++) {
        uint32_t entry = venue->index[at & venue->index_mask];
        if (entry == 0)
            return NULL;
        twi_slot *slot = &venue->slots[entry - 1];
        if (slot->group == group && same_name(slot->id, slot->id_len, id, id_len)) {
            venue->recent = slot->index;
            return slot;
        }
    }
}

static void index_slot(twi_venue *venue, const twi_slot *slot)
{
    uint64_t at = hash_name(slot->group, slot->id, slot->id_len);
    while (venue->index[at & venue->index_mask] != 0)
        at++;
    venue->index[at & venue->index_mask] = slot->index + 1;
}

static const twi_market_name *find_market(const twi_venue *venue, uint8_t group, const char *id, size_t id_len)
{
    if (venue->name_count == 0)
        return NULL;
    for (uint64_t at = hash_name(group, id, id_len);; at++) {
        uint32_t entry = venue->name_index[at & venue->name_mask];
        if (entry == 0)
            return NULL;
        const twi_market_name *name = &venue->names[entry - 1];
        if (name->group == group && same_name(name->id, name->id_len, id, id_len))
            return name;
    }
}

/* ---- slots ---- */

static tw_status intern_slot(twi_venue *venue, twi_slot *slot, const char *symbol, size_t symbol_len)
{
    char shown_text[TW_VENUE_ID_MAX + 1];
    twi_text shown = twi_text_over(shown_text, TW_VENUE_ID_MAX);
    if (venue->traits->show_id != NULL)
        venue->traits->show_id(slot, &shown);
    if (shown.len == 0 || shown.overflow) {
        shown = twi_text_over(shown_text, TW_VENUE_ID_MAX);
        twi_text_bytes(&shown, slot->id, slot->id_len);
    }
    return tw_symbols_intern(venue->symbols, venue->exchange, venue->exchange_len, symbol, symbol_len, shown_text,
                             shown.len, &slot->stats.instrument);
}

static void owe_streams(const twi_venue *venue, twi_slot *slot, uint32_t channels)
{
    slot->asked |= (uint8_t)channels;
    if (venue->traits->book_carries_trades && (channels & 1u << TW_CHANNEL_TRADE) != 0)
        channels = (channels & ~(1u << TW_CHANNEL_TRADE)) | 1u << TW_CHANNEL_BOOK;
    for (int channel = 0; channel < TWI_STREAM_COUNT; channel++) {
        if ((channels & 1u << channel) == 0)
            continue;
        twi_stream *stream = &slot->streams[channel];
        stream->wanted = true;
        if (stream->state == TWI_STREAM_OFF || stream->state == TWI_STREAM_REFUSED)
            stream->state = TWI_STREAM_OWED;
        else if (stream->state == TWI_STREAM_LEAVE_OWED)
            stream->state = TWI_STREAM_ON;
    }
}

/* Two ids that come out as one symbol would contradict each other: the first one has it. */
static bool symbol_taken(const twi_venue *venue, uint32_t instrument)
{
    for (uint32_t i = 0; i < venue->slot_count; i++) {
        if (venue->slots[i].stats.instrument == instrument)
            return true;
    }
    return false;
}

/* TW_FULL, TW_TOO_BIG, TW_BAD_SYMBOL or what the symbol table says. */
static tw_status add_slot(twi_venue *venue, uint8_t group, const char *id, size_t id_len, const char *symbol,
                          size_t symbol_len, twi_slot **out)
{
    if (venue->slot_count == venue->slot_max)
        return TW_FULL;
    if (id_len > TW_VENUE_ID_MAX || id_len == 0)
        return TW_TOO_BIG;
    twi_slot *slot = &venue->slots[venue->slot_count];
    *slot =
        (twi_slot){.index = venue->slot_count, .group = group, .id_len = (uint8_t)id_len, .depth = venue->book_depth};
    memcpy(slot->id, id, id_len);
    tw_status status = intern_slot(venue, slot, symbol, symbol_len);
    if (status == TW_OK && symbol_taken(venue, slot->stats.instrument))
        status = TW_BAD_SYMBOL;
    if (status != TW_OK) {
        *slot = (twi_slot){0};
        return status;
    }
    venue->slot_count++;
    twi_book_init(&slot->book, venue->book_memory + slot->index * venue->book_bytes, venue->book_levels);
    index_slot(venue, slot);
    *out = slot;
    return TW_OK;
}

/* The unified symbol of an id, as well as it is known. */
static void name_symbol(const twi_venue *venue, uint8_t group, const char *id, size_t id_len, twi_text *symbol)
{
    const twi_market_name *name = find_market(venue, group, id, id_len);
    if (name != NULL) {
        twi_text_bytes(symbol, name->symbol, name->symbol_len);
        return;
    }
    if (venue->traits->symbol_of_id != NULL && venue->traits->symbol_of_id(id, id_len, group, symbol) &&
        !symbol->overflow)
        return;
    symbol->len = 0;
    symbol->overflow = false;
    twi_text_bytes(symbol, id, id_len);
}

twi_slot *twi_venue_slot(twi_venue *venue, uint32_t link, const char *id, size_t id_len)
{
    uint8_t group = venue->links[link].group;
    twi_slot *slot = twi_venue_find(venue, group, id, id_len);
    if (TWI_LIKELY(slot != NULL))
        return slot;
    char symbol_text[TW_SYMBOL_MAX];
    twi_text symbol = twi_text_over(symbol_text, sizeof(symbol_text));
    bool take = venue->take_all && id_len > 0;
    if (take)
        name_symbol(venue, group, id, id_len, &symbol);
    if (!take || add_slot(venue, group, id, id_len, symbol.out, symbol.len, &slot) != TW_OK) {
        venue->stats.ignored++;
        return NULL;
    }
    slot->link = link;
    return slot;
}

/* A configured name: the venue's id or a unified symbol. */
static tw_status add_named(twi_venue *venue, const char *name, size_t len, twi_slot **slot)
{
    char id_text[TW_VENUE_ID_MAX], symbol_text[TW_SYMBOL_MAX];
    twi_text id = twi_text_over(id_text, sizeof(id_text)), symbol = twi_text_over(symbol_text, sizeof(symbol_text));
    uint8_t group = 0;
    if (len == 0 || len > TW_SYMBOL_MAX)
        return TW_BAD_SYMBOL;
    bool unified = memchr(name, '/', len) != NULL;
    if (unified) {
        twi_text_bytes(&symbol, name, len);
        if (!venue->traits->id_of_symbol(name, len, &id, &group) || id.overflow)
            return TW_BAD_SYMBOL;
    } else {
        twi_text_bytes(&id, name, len);
        name_symbol(venue, group, name, len, &symbol);
    }
    twi_slot *present = twi_venue_find(venue, group, id.out, id.len);
    if (present != NULL) {
        *slot = present;
        return TW_OK;
    }
    return add_slot(venue, group, id.out, id.len, symbol.out, symbol.len, slot);
}

/* ---- links ---- */

static uint32_t channels_of(const twi_venue_traits *traits)
{
    uint32_t has = traits->ops->has, channels = 0;
    channels |= (has & TW_HAS_WATCH_TRADES) != 0 ? 1u << TW_CHANNEL_TRADE : 0;
    channels |= (has & TW_HAS_WATCH_TICKER) != 0 ? 1u << TW_CHANNEL_QUOTE : 0;
    channels |= (has & TW_HAS_WATCH_ORDER_BOOK) != 0 ? 1u << TW_CHANNEL_BOOK : 0;
    return channels;
}

static uint32_t streams_of(uint32_t channels)
{
    uint32_t count = 0;
    for (; channels != 0; channels &= channels - 1)
        count++;
    return count;
}

/* The link for a new slot: the last one of its group with room, else a new one. */
static bool assign_link(twi_venue *venue, twi_slot *slot)
{
    uint32_t per_link = venue->traits->ops->limits->streams_per_link, streams = streams_of(venue->channels);
    for (uint32_t link = 0; link < venue->link_count; link++) {
        uint32_t used = 0;
        if (venue->links[link].group != slot->group)
            continue;
        for (uint32_t i = 0; i < slot->index; i++)
            used += venue->slots[i].link == link ? streams : 0;
        if (per_link == 0 || used + streams <= per_link) {
            slot->link = link;
            return true;
        }
    }
    if (venue->link_count == TW_FEED_LINKS_MAX)
        return false;
    slot->link = venue->link_count++;
    venue->links[slot->link].group = slot->group;
    return true;
}

static tw_status add_configured(twi_venue *venue, const char *name, size_t len, uint32_t channels)
{
    twi_slot *slot;
    uint32_t before = venue->slot_count;
    tw_status status = add_named(venue, name, len, &slot);
    if (status != TW_OK)
        return status;
    if (venue->slot_count > before && !assign_link(venue, slot)) {
        /* The slot stays without streams: its number is in the index. */
        slot->link = 0;
        return TW_FULL;
    }
    owe_streams(venue, slot, channels);
    return TW_OK;
}

static bool copy_url(char *to, const char *from)
{
    size_t len = from != NULL ? strlen(from) : 0;
    if (len > TW_FEED_URL_MAX)
        return false;
    if (len > 0)
        memcpy(to, from, len);
    to[len] = 0;
    return true;
}

tw_status twi_venue_init(void *state, const twi_venue_traits *traits, const tw_feed_config *config, tw_symbols *symbols)
{
    twi_venue *venue = state;
    const char *exchange = config->exchange != NULL ? config->exchange : traits->ops->name;
    size_t exchange_len = strlen(exchange);
    if (!config_good(config) || exchange_len == 0 || exchange_len > TW_EXCHANGE_MAX)
        return TW_BAD_CONFIG;
    if ((config->channels & ~channels_of(traits)) != 0)
        return TW_NOT_SUPPORTED;
    *venue = (twi_venue){.traits = traits, .symbols = symbols, .exchange_len = (uint8_t)exchange_len};
    memcpy(venue->exchange, exchange, exchange_len);
    lay_out(venue, state, traits, config);
    if (!copy_url(venue->stream_url, config->stream_url) || !copy_url(venue->rest_url, config->rest_url))
        return TW_BAD_CONFIG;
    venue->channels = config->channels != 0 ? config->channels : channels_of(traits);
    venue->book_depth = depth_wanted(traits, config);
    venue->take_all = config->symbol_count == 0;
    if (traits->book_cut && venue->book_depth > venue->book_levels)
        return TW_BAD_CONFIG;
    for (uint32_t i = 0; i < config->symbol_count; i++) {
        tw_status status = add_configured(venue, config->symbols[i], strlen(config->symbols[i]), venue->channels);
        if (status != TW_OK)
            return status;
    }
    if (venue->take_all)
        venue->link_count = 1;
    return TW_OK;
}

void twi_venue_fini(void *state)
{
    (void)state;
}

uint32_t twi_venue_link_count(const void *state)
{
    return ((const twi_venue *)state)->link_count;
}

tw_status twi_venue_link_dial(void *state, uint32_t link, int64_t now_ns, tw_endpoint *dial)
{
    twi_venue *venue = state;
    (void)now_ns;
    if (link >= venue->link_count)
        return TW_BAD_ARGUMENT;
    twi_text url = twi_text_over(dial->url, sizeof(dial->url));
    const char *base = venue->stream_url;
    if (base[0] == 0)
        base = venue->traits->stream_urls[venue->links[link].group];
    if (base == NULL)
        return TW_NOT_SUPPORTED;
    twi_text_put(&url, base);
    if (venue->traits->dial != NULL) {
        tw_status status = venue->traits->dial(venue, link, &url);
        if (status != TW_OK)
            return status;
    }
    return twi_text_end(&url) ? TW_OK : TW_TOO_BIG;
}

static void reset_stream(twi_stream *stream)
{
    stream->state = stream->wanted ? TWI_STREAM_OWED : TWI_STREAM_OFF;
    stream->last_ns = 0;
    stream->not_before_ns = 0;
    stream->alone = false;
}

void twi_venue_link_up(void *state, uint32_t link, int64_t now_ns, const char *url)
{
    twi_venue *venue = state;
    if (link >= TW_FEED_LINKS_MAX)
        return;
    if (link >= venue->link_count && venue->take_all)
        venue->link_count = link + 1;
    uint8_t group = venue->links[link].group;
    venue->links[link] = (twi_link){.up = true, .group = group, .last_ns = now_ns};
    venue->links[link].ping_ns = venue->traits->ping_gap_ns > 0 ? now_ns + venue->traits->ping_gap_ns : INT64_MAX;
    for (uint32_t i = 0; i < venue->slot_count; i++) {
        twi_slot *slot = &venue->slots[i];
        if (slot->link != link)
            continue;
        slot->history_known = slot->stats.trades > 0;
        for (int channel = 0; channel < TWI_STREAM_COUNT; channel++)
            reset_stream(&slot->streams[channel]);
    }
    if (venue->traits->link_up != NULL)
        venue->traits->link_up(venue, link, now_ns, url);
}

void twi_venue_link_down(void *state, uint32_t link, int64_t now_ns, tw_reason reason, tw_sink *sink)
{
    twi_venue *venue = state;
    if (link >= TW_FEED_LINKS_MAX)
        return;
    venue->links[link].up = false;
    venue->links[link].owed_len = 0;
    for (uint32_t i = 0; i < venue->slot_count; i++) {
        twi_slot *slot = &venue->slots[i];
        if (slot->link != link)
            continue;
        for (int channel = 0; channel < TWI_STREAM_COUNT; channel++)
            reset_stream(&slot->streams[channel]);
        memset(slot->quote, 0, sizeof(slot->quote));
        twi_venue_set_state(venue, slot, TW_STATE_STALE, reason, 0, 0, now_ns, sink);
        twi_venue_clear_book(venue, slot, now_ns, sink);
    }
}

/* ---- messages and markets ---- */

/* Bytes that are no JSON may have been a change of any book of the link. Where changes have numbers the next one shows
 * that; elsewhere nothing ever would. */
static void doubt_books(twi_venue *venue, uint32_t link, int64_t recv_ns, const uint8_t *msg, size_t msg_len,
                        tw_sink *sink)
{
    twi_json json;
    if ((venue->traits->ops->has & TW_HAS_BOOK_SEQUENCE) != 0 || venue->traits->repair == TWI_REPAIR_WAIT)
        return;
    twi_json_init(&json, msg, msg_len);
    twi_json_skip(&json);
    if (twi_json_end(&json) == TW_OK)
        return; /* whole, only of an unexpected form: no book message, those break their book themselves */
    for (uint32_t i = 0; i < venue->slot_count; i++) {
        twi_slot *slot = &venue->slots[i];
        if (slot->link == link && slot->synced)
            twi_venue_broken(venue, slot, TW_STATE_GAP, TW_REASON_MALFORMED, 0, 0, recv_ns, sink);
    }
}

tw_status twi_venue_on_message(void *state, uint32_t link, int64_t recv_ns, const uint8_t *msg, size_t msg_len,
                               tw_sink *sink)
{
    twi_venue *venue = state;
    if (TWI_UNLIKELY(link >= TW_FEED_LINKS_MAX))
        return TW_BAD_ARGUMENT;
    venue->stats.messages++;
    venue->links[link].last_ns = recv_ns;
    tw_status status = venue->traits->message(venue, link, recv_ns, msg, msg_len, sink);
    if (TWI_UNLIKELY(status == TW_MALFORMED || status == TW_TOO_BIG)) {
        venue->stats.malformed++;
        doubt_books(venue, link, recv_ns, msg, msg_len, sink);
        return TW_MALFORMED;
    }
    return status;
}

static void remember_name(twi_venue *venue, const tw_market *market, uint8_t group)
{
    size_t id_len = strlen(market->id), symbol_len = strlen(market->symbol);
    if (venue->name_count == venue->name_max || find_market(venue, group, market->id, id_len) != NULL)
        return;
    twi_market_name *name = &venue->names[venue->name_count++];
    *name = (twi_market_name){.id_len = (uint8_t)id_len, .symbol_len = (uint8_t)symbol_len, .group = group};
    memcpy(name->id, market->id, id_len);
    memcpy(name->symbol, market->symbol, symbol_len);
    uint64_t at = hash_name(group, name->id, id_len);
    while (venue->name_index[at & venue->name_mask] != 0)
        at++;
    venue->name_index[at & venue->name_mask] = venue->name_count;
}

static uint8_t group_of_market(const twi_venue *venue, const tw_market *market)
{
    char text[TW_VENUE_ID_MAX];
    twi_text id = twi_text_over(text, sizeof(text));
    uint8_t group = 0;
    if (!venue->traits->id_of_symbol(market->symbol, strlen(market->symbol), &id, &group))
        return 0;
    return group;
}

static void take_market(void *owner, const tw_market *market)
{
    twi_venue *venue = owner;
    if (market->id[0] == 0 || market->symbol[0] == 0)
        return;
    remember_name(venue, market, group_of_market(venue, market));
}

tw_status twi_venue_take_markets(twi_venue *venue, const uint8_t *body, size_t body_len)
{
    return venue->traits->ops->markets_parse(body, body_len, take_market, venue);
}

void twi_venue_stats(const void *state, tw_feed_stats *out)
{
    const twi_venue *venue = state;
    *out = venue->stats;
    out->backlog_dropped = venue->backlog.dropped;
}

tw_status twi_venue_symbol_stats(const void *state, uint32_t index, tw_feed_symbol_stats *out)
{
    const twi_venue *venue = state;
    if (index >= venue->slot_count)
        return TW_EMPTY;
    *out = venue->slots[index].stats;
    out->book_state = venue->slots[index].book_state;
    return TW_OK;
}

tw_status twi_venue_watch(void *state, const char *symbol, size_t symbol_len, uint32_t channels)
{
    twi_venue *venue = state;
    if (channels == 0 || (channels & ~channels_of(venue->traits)) != 0)
        return TW_NOT_SUPPORTED;
    return add_configured(venue, symbol, symbol_len, channels);
}

/* What was asked for and not confirmed yet is left once it is, if the venue confirms. */
static void leave_stream(const twi_venue *venue, twi_stream *stream)
{
    stream->wanted = false;
    if (stream->state == TWI_STREAM_ON || (stream->state == TWI_STREAM_SENT && !venue->traits->acks))
        stream->state = TWI_STREAM_LEAVE_OWED;
    else if (stream->state == TWI_STREAM_OWED || stream->state == TWI_STREAM_REFUSED)
        stream->state = TWI_STREAM_OFF;
}

twi_slot *twi_venue_slot_named(twi_venue *venue, const char *symbol, size_t symbol_len)
{
    for (uint32_t i = 0; i < venue->slot_count; i++) {
        twi_slot *slot = &venue->slots[i];
        const tw_instrument *instrument = tw_symbols_get(venue->symbols, slot->stats.instrument);
        if (same_name(slot->id, slot->id_len, symbol, symbol_len) ||
            same_name(instrument->symbol, instrument->symbol_len, symbol, symbol_len))
            return slot;
    }
    return NULL;
}

tw_status twi_venue_unwatch(void *state, const char *symbol, size_t symbol_len, uint32_t channels)
{
    twi_venue *venue = state;
    twi_slot *slot = twi_venue_slot_named(venue, symbol, symbol_len);
    if (slot == NULL)
        return TW_BAD_SYMBOL;
    slot->asked &= (uint8_t)~channels;
    if (venue->traits->book_carries_trades) /* while one of both is watched, both come */
        channels = (slot->asked & (1u << TW_CHANNEL_TRADE | 1u << TW_CHANNEL_BOOK)) != 0 ? 0 : 1u << TW_CHANNEL_BOOK;
    for (int channel = 0; channel < TWI_STREAM_COUNT; channel++) {
        if ((channels & 1u << channel) != 0)
            leave_stream(venue, &slot->streams[channel]);
    }
    return TW_OK;
}
