/* driver.c - see driver.h. */
#include "engine/connect/driver.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/assert.h"
#include "engine/connect/driver_internal.h"

enum { MARKETS_MAX = 16384, STATE_ALIGN = 64, MESSAGE_BYTES_DEFAULT = 4 << 20 };
#define TICK_NS            INT64_C(50000000)
#define FIGURES_NS         INT64_C(1000000000)
#define SILENCE_DEFAULT_NS INT64_C(60000000000)
#define PING_DEFAULT_NS    INT64_C(20000000000)

void twi_driver_count(const twi_driver *driver, twi_counter id, uint64_t addend)
{
    if (driver->options.counters != NULL)
        twi_counter_add(driver->options.counters, id, addend);
}

/* ---- open ---- */

/* The adapter's state, zeroed and aligned; NULL: no memory. */
static void *take_state(const tw_feed_ops *ops, const tw_feed_config *config)
{
    size_t bytes = (ops->state_size(config) + STATE_ALIGN - 1) & ~(size_t)(STATE_ALIGN - 1);
    /* calloc's pages are zero without being touched; alignment is made by hand inside a larger block. */
    uint8_t *block = calloc(1, bytes + STATE_ALIGN + sizeof(void *));
    if (block == NULL)
        return NULL;
    uintptr_t place = ((uintptr_t)block + sizeof(void *) + STATE_ALIGN - 1) & ~(uintptr_t)(STATE_ALIGN - 1);
    ((void **)place)[-1] = block;
    return (void *)place;
}

static void give_state_back(void *state)
{
    if (state != NULL)
        free(((void **)state)[-1]);
}

/* What the adapter says to one symbol alone. */
static tw_status try_symbol(const twi_driver *driver, const char *symbol)
{
    tw_feed_config config = driver->options.feed;
    config.symbols = &symbol;
    config.symbol_count = 1;
    config.symbol_count_max = 1;
    config.market_count_max = 0;
    config.backlog_bytes = 4096;
    void *state = take_state(driver->ops, &config);
    if (state == NULL)
        return TW_NO_MEMORY;
    tw_status status = driver->ops->init(state, &config, driver->options.symbols);
    if (status == TW_OK)
        driver->ops->fini(state);
    give_state_back(state);
    return status;
}

/* Sorts the configured symbols into those that can be, and those that cannot. */
static tw_status sort_symbols(twi_driver *driver, char *error, size_t error_cap)
{
    const tw_feed_config *feed = &driver->options.feed;
    driver->symbols = calloc(feed->symbol_count + 1, sizeof(*driver->symbols));
    driver->refused = calloc(feed->symbol_count + 1, sizeof(*driver->refused));
    driver->listed = calloc(feed->symbol_count + 1, sizeof(*driver->listed));
    if (driver->symbols == NULL || driver->refused == NULL || driver->listed == NULL) {
        snprintf(error, error_cap, "no memory for the symbols of %s", driver->name);
        return TW_NO_MEMORY;
    }
    for (uint32_t i = 0; i < feed->symbol_count; i++) {
        tw_status status = try_symbol(driver, feed->symbols[i]);
        if (status == TW_OK)
            driver->symbols[driver->symbol_count++] = feed->symbols[i];
        else if (status == TW_BAD_SYMBOL)
            driver->refused[driver->refused_count++] = feed->symbols[i];
        else
            return status;
    }
    if (driver->symbol_count > 0 || feed->symbol_count == 0)
        return TW_OK;
    snprintf(error, error_cap, "%s: \"%s\" is no symbol of it; write BASE/QUOTE such as \"BTC/USDT\", or its own id",
             driver->name, driver->refused[0]);
    return TW_BAD_SYMBOL;
}

static void explain(const twi_driver *driver, tw_status status, char *error, size_t error_cap)
{
    const uint32_t has = driver->ops->has, channels = driver->options.feed.channels;
    const char *missing = "a channel";
    if ((channels & 1u << TW_CHANNEL_TRADE) != 0 && (has & TW_HAS_WATCH_TRADES) == 0)
        missing = "trade";
    else if ((channels & 1u << TW_CHANNEL_QUOTE) != 0 && (has & TW_HAS_WATCH_TICKER) == 0)
        missing = "quote";
    else if ((channels & 1u << TW_CHANNEL_BOOK) != 0 && (has & TW_HAS_WATCH_ORDER_BOOK) == 0)
        missing = "book";
    if (error[0] != 0)
        return;
    if (status == TW_NOT_SUPPORTED && driver->options.redundant && (has & TW_HAS_SAME_ON_LINKS) == 0)
        snprintf(
            error, error_cap,
            "%s does not promise that book sequences and trade ids are the same on every connection, so two copies "
            "cannot be told apart: set redundant = false",
            driver->name);
    else if (status == TW_NOT_SUPPORTED)
        snprintf(error, error_cap, "%s does not offer channel \"%s\": leave it out of channels", driver->name, missing);
    else if (status == TW_FULL)
        snprintf(error, error_cap, "%s: no place for its symbols: raise ring.instruments_max", driver->name);
    else if (status == TW_NO_MEMORY)
        snprintf(error, error_cap, "%s: no memory for its books", driver->name);
    else
        snprintf(error, error_cap, "%s: the configuration is not possible (%s): look at depth and URLs", driver->name,
                 tw_status_name(status));
}

static tw_status open_leg(twi_driver *driver, uint32_t index)
{
    tw_feed_config config = driver->options.feed;
    twi_leg *leg = &driver->legs[index];
    *leg = (twi_leg){.driver = driver, .index = index, .sink = driver->options.sink};
    config.symbols = driver->symbols;
    config.symbol_count = driver->symbol_count;
    if (config.market_count_max == 0)
        config.market_count_max = MARKETS_MAX;
    if (config.symbol_count_max < driver->symbol_count)
        config.symbol_count_max = driver->symbol_count;
    if (driver->arbiter != NULL)
        leg->sink = twi_arbiter_sink(driver->arbiter, index);
    leg->state = take_state(driver->ops, &config);
    if (leg->state == NULL)
        return TW_NO_MEMORY;
    tw_status status = driver->ops->init(leg->state, &config, driver->options.symbols);
    if (status != TW_OK) {
        give_state_back(leg->state);
        leg->state = NULL;
    }
    return status;
}

static tw_status open_tls(twi_driver *driver, char *error, size_t error_cap)
{
    char reason[TWI_TLS_ERROR_MAX];
    const twi_tls_options options = {.ca_file = driver->options.ca_file, .minor_min = driver->options.tls_minor_min};
    tw_status status = twi_tls_context_open(&options, &driver->tls, reason, sizeof(reason));
    if (status != TW_OK)
        snprintf(error, error_cap, "%s: %s", driver->name, reason);
    return status;
}

static uint32_t message_bytes_of(const twi_driver_options *options)
{
    if (options->message_bytes_max > 0)
        return options->message_bytes_max;
    uint32_t venue = options->ops->limits->message_bytes_max;
    return venue > 0 ? venue : MESSAGE_BYTES_DEFAULT;
}

/* Symbols that may come: those of the configuration, and those that watch() may add. */
static uint32_t symbol_count_max(const tw_feed_config *feed)
{
    return feed->symbol_count > feed->symbol_count_max ? feed->symbol_count : feed->symbol_count_max;
}

uint64_t twi_driver_memory(const twi_driver_options *options)
{
    tw_feed_config config = options->feed;
    config.market_count_max = config.market_count_max > 0 ? config.market_count_max : MARKETS_MAX;
    uint32_t streams = 0, per_link = options->ops->limits->streams_per_link;
    for (uint32_t bits = config.channels != 0 ? config.channels : 7; bits != 0; bits &= bits - 1)
        streams += config.symbol_count;
    uint64_t links = per_link > 0 ? (streams + per_link - 1) / per_link : 1;
    uint64_t leg = options->ops->state_size(&config) +
                   links * (sizeof(twi_driver_link) + message_bytes_of(options) + TWI_CONN_OUT_BYTES);
    if (!options->redundant)
        return sizeof(twi_driver) + leg;
    return sizeof(twi_driver) + TWI_LEGS_MAX * leg + twi_arbiter_bytes(symbol_count_max(&config));
}

static void set_conn_options(twi_driver *driver)
{
    const tw_feed_limits *limits = driver->ops->limits;
    uint32_t message_bytes = message_bytes_of(&driver->options);
    driver->conn_options = (twi_conn_options){
        .calls = &twi_driver_conn_calls,
        .tls = driver->tls,
        .proxy = driver->options.proxy,
        .user_agent = "tickwire",
        .message_bytes_max = message_bytes,
        .connect_timeout_ns = driver->options.connect_timeout_ns,
        .handshake_timeout_ns = driver->options.handshake_timeout_ns,
        /* Where the venue promises frames, their absence is not to be hidden by pongs. */
        .silence_ns = limits->silence_ns_max > 0 ? limits->silence_ns_max : SILENCE_DEFAULT_NS,
        .ping_ns = limits->silence_ns_max > 0 ? 0 : PING_DEFAULT_NS,
    };
}

static tw_status open_arbiter(twi_driver *driver)
{
    if ((driver->ops->has & TW_HAS_SAME_ON_LINKS) == 0)
        return TW_NOT_SUPPORTED;
    return twi_arbiter_open(symbol_count_max(&driver->options.feed), driver->options.sink, &driver->arbiter);
}

tw_status twi_driver_open(const twi_driver_options *options, twi_driver **out, char *error, size_t error_cap)
{
    *out = NULL;
    error[0] = 0;
    twi_driver *driver = calloc(1, sizeof(*driver));
    if (driver == NULL) {
        snprintf(error, error_cap, "no memory for a venue");
        return TW_NO_MEMORY;
    }
    driver->options = *options;
    driver->ops = options->ops;
    driver->name = options->feed.exchange != NULL ? options->feed.exchange : options->ops->name;
    if (driver->options.retry_max_ns <= 0)
        driver->options.retry_max_ns = INT64_C(30000000000);
    tw_status status = sort_symbols(driver, error, error_cap);
    if (status == TW_OK)
        status = open_tls(driver, error, error_cap);
    if (status == TW_OK && options->redundant)
        status = open_arbiter(driver);
    for (uint32_t i = 0; status == TW_OK && i < (options->redundant ? TWI_LEGS_MAX : 1); i++) {
        status = open_leg(driver, i);
        driver->leg_count += status == TW_OK;
    }
    if (status != TW_OK) {
        explain(driver, status, error, error_cap);
        twi_driver_close(driver);
        return status;
    }
    set_conn_options(driver);
    *out = driver;
    return TW_OK;
}

void twi_driver_close(twi_driver *driver)
{
    for (uint32_t i = 0; i < driver->leg_count; i++) {
        twi_leg *leg = &driver->legs[i];
        for (uint32_t link = 0; link < leg->link_count; link++) {
            twi_conn_fini(&leg->links[link]->conn);
            free(leg->links[link]);
        }
        driver->ops->fini(leg->state);
        give_state_back(leg->state);
    }
    if (driver->arbiter != NULL)
        twi_arbiter_close(driver->arbiter);
    if (driver->tls != NULL)
        twi_tls_context_close(driver->tls);
    free(driver->symbols);
    free(driver->refused);
    free(driver->listed);
    free(driver);
}

uint32_t twi_driver_sock_count(const twi_driver *driver)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < driver->leg_count; i++)
        count += driver->ops->link_count(driver->legs[i].state) + TWI_LINK_SPARE;
    return count;
}

/* ---- figures ---- */

static void sum_symbols(twi_driver *driver)
{
    uint64_t gaps = 0, checksums = 0;
    tw_feed_symbol_stats stats;
    for (uint32_t i = 0; i < driver->leg_count; i++) {
        for (uint32_t s = 0; driver->ops->symbol_stats(driver->legs[i].state, s, &stats) == TW_OK; s++) {
            gaps += stats.gaps;
            checksums += stats.checksums - stats.checksums_equal;
        }
    }
    twi_counter_set(driver->options.counters, TWI_COUNTER_FEED_GAPS, gaps);
    twi_counter_set(driver->options.counters, TWI_COUNTER_FEED_CHECKSUMS, checksums);
}

static void show_figures(twi_driver *driver, int64_t now_ns)
{
    twi_cells *cells = driver->options.counters;
    if (cells == NULL || now_ns < driver->figures_ns)
        return;
    driver->figures_ns = now_ns + FIGURES_NS;
    twi_driver_stats stats;
    twi_driver_get_stats(driver, &stats);
    twi_counter_set(cells, TWI_COUNTER_FEED_MALFORMED, stats.feed.malformed + driver->malformed);
    twi_counter_set(cells, TWI_COUNTER_FEED_VENUE_ERRORS, stats.feed.errors);
    twi_counter_set(cells, TWI_COUNTER_FEED_DUPLICATES, stats.duplicates);
    sum_symbols(driver);
}

void twi_driver_get_stats(const twi_driver *driver, twi_driver_stats *out)
{
    *out = driver->stats;
    if (driver->arbiter != NULL)
        out->duplicates = twi_arbiter_duplicates(driver->arbiter);
    for (uint32_t i = 0; i < driver->leg_count; i++) {
        tw_feed_stats feed;
        const twi_leg *leg = &driver->legs[i];
        driver->ops->stats(leg->state, &feed);
        out->links += driver->ops->link_count(leg->state);
        for (uint32_t link = 0; link < leg->link_count; link++)
            out->links_up += leg->links[link]->conn.phase == TWI_CONN_OPEN;
        out->feed.messages += feed.messages;
        out->feed.malformed += feed.malformed;
        out->feed.ignored += feed.ignored;
        out->feed.errors += feed.errors;
        out->feed.duplicates += feed.duplicates;
        out->feed.backlog_dropped += feed.backlog_dropped;
        if (feed.error_text[0] != 0)
            memcpy(out->feed.error_text, feed.error_text, sizeof(feed.error_text));
    }
}

const void *twi_driver_state(const twi_driver *driver)
{
    return driver->legs[0].state;
}

/* ---- life ---- */

static void on_timer(twi_loop *loop, twi_op *op, int32_t result, uint32_t flags);

static void arm(twi_driver *driver)
{
    driver->timer.done = on_timer;
    driver->timer.owner = driver;
    driver->timer_armed = true;
    driver->hub->loop->ops->timer(driver->hub->loop, &driver->timer, twi_hub_now_ns(driver->hub) + TICK_NS);
}

static void tick(twi_driver *driver)
{
    int64_t now_ns = twi_hub_now_ns(driver->hub);
    for (uint32_t i = 0; i < driver->leg_count; i++) {
        twi_leg *leg = &driver->legs[i];
        driver->ops->on_timer(leg->state, twi_hub_realtime_ns(driver->hub), &leg->sink);
        twi_driver_tick_links(leg, now_ns);
        twi_driver_pump(leg);
    }
    show_figures(driver, now_ns);
}

static bool has_settled(const twi_driver *driver)
{
    for (uint32_t i = 0; i < driver->leg_count; i++) {
        for (uint32_t link = 0; link < driver->legs[i].link_count; link++) {
            if (driver->legs[i].links[link]->conn.phase != TWI_CONN_IDLE)
                return false;
        }
    }
    return true;
}

static void on_timer(twi_loop *loop, twi_op *op, int32_t result, uint32_t flags)
{
    twi_driver *driver = op->owner;
    (void)loop;
    (void)flags;
    driver->timer_armed = false;
    if (result == TW_CANCELED || driver->abandoned)
        return;
    tick(driver);
    if (!driver->stopping || !has_settled(driver))
        arm(driver);
}

void twi_driver_start(twi_driver *driver, twi_hub *hub)
{
    TWI_ASSERT(!driver->started);
    driver->hub = hub;
    driver->dials = twi_hub_dials(hub, driver->ops);
    driver->started = true;
    for (uint32_t i = 0; i < driver->refused_count; i++) {
        TWI_VENUE_LOG(driver, TWI_LOG_ERROR, "BadSymbol: \"%.100s\" is no symbol of it, and is left out",
                      driver->refused[i]);
    }
    driver->stats.unknown_symbols = driver->refused_count;
    twi_driver_count(driver, TWI_COUNTER_FEED_UNKNOWN_SYMBOLS, driver->refused_count);
    tick(driver);
    arm(driver);
}

void twi_driver_stop(twi_driver *driver)
{
    if (!driver->started || driver->stopping)
        return;
    driver->stopping = true;
    if (driver->hub->rest != NULL)
        twi_rest_forget(driver->hub->rest, driver);
    for (uint32_t i = 0; i < driver->leg_count; i++) {
        for (uint32_t link = 0; link < driver->legs[i].link_count; link++)
            twi_conn_close(&driver->legs[i].links[link]->conn, "the engine stops");
    }
}

void twi_driver_abandon(twi_driver *driver)
{
    driver->stopping = driver->abandoned = true;
    for (uint32_t i = 0; i < driver->leg_count; i++) {
        for (uint32_t link = 0; link < driver->legs[i].link_count; link++)
            twi_conn_abandon(&driver->legs[i].links[link]->conn);
    }
}

bool twi_driver_is_idle(const twi_driver *driver)
{
    return !driver->timer_armed && has_settled(driver);
}

/* ---- watching ---- */

tw_status twi_driver_watch(twi_driver *driver, const char *symbol, size_t symbol_len, uint32_t channels)
{
    tw_status status = TW_OK;
    for (uint32_t i = 0; i < driver->leg_count && status == TW_OK; i++) {
        status = driver->ops->watch(driver->legs[i].state, symbol, symbol_len, channels);
        if (status == TW_OK && driver->started) {
            twi_driver_tick_links(&driver->legs[i], twi_hub_now_ns(driver->hub));
            twi_driver_pump(&driver->legs[i]);
        }
    }
    return status;
}

tw_status twi_driver_resend(twi_driver *driver, const char *symbol, size_t symbol_len)
{
    twi_leg *leg = &driver->legs[0];
    if (driver->ops->resend == NULL)
        return TW_NOT_SUPPORTED;
    int64_t now_ns = twi_hub_realtime_ns(driver->hub);
    return driver->ops->resend(leg->state, symbol, symbol_len, now_ns, &leg->sink);
}

tw_status twi_driver_unwatch(twi_driver *driver, const char *symbol, size_t symbol_len, uint32_t channels)
{
    tw_status status = TW_OK;
    for (uint32_t i = 0; i < driver->leg_count && status == TW_OK; i++) {
        status = driver->ops->unwatch(driver->legs[i].state, symbol, symbol_len, channels);
        if (status == TW_OK && driver->started)
            twi_driver_pump(&driver->legs[i]);
    }
    return status;
}
