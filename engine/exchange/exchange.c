/* exchange.c - opening, closing, describing an exchange, and what went wrong; see include/tickwire/exchange.h. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/clock.h"
#include "engine/exchange/exchange_internal.h"

enum {
    SYMBOLS_DEFAULT = 64,
    TRADES_DEFAULT = 1000,
    CANDLES_DEFAULT = 1000,
    RING_DEFAULT = 1 << 16,
    RING_MIN = 64,
    RING_MAX = 1 << 24,
    SYMBOLS_MAX = 4096,
    ROWS_MAX = 1 << 20
};
#define TIMEOUT_DEFAULT_NS (10 * TWI_EXCHANGE_NS_PER_S)

/* ---- errors ---- */

static _Thread_local tw_error last_error;

const tw_error *tw_exchange_error(void)
{
    return &last_error;
}

tw_error_class twi_exchange_fail(const tw_exchange *exchange, tw_error_class error, const char *what,
                                 const char *format, ...)
{
    va_list args;
    last_error = (tw_error){.error = error};
    int head = snprintf(last_error.text, sizeof(last_error.text),
                        "%s %s: ", exchange != NULL ? exchange->ops->name : "tickwire", what);
    if (head < 0 || (size_t)head >= sizeof(last_error.text))
        return error;
    va_start(args, format);
    vsnprintf(last_error.text + head, sizeof(last_error.text) - (size_t)head, format, args);
    va_end(args);
    return error;
}

void twi_exchange_fail_http(int status, int32_t retry_after_s)
{
    last_error.http_status = status;
    last_error.retry_after_s = retry_after_s;
}

tw_error_class twi_exchange_fail_status(const tw_exchange *exchange, tw_status status, const char *what,
                                        const char *text)
{
    static const struct {
        tw_status status;
        tw_error_class error;
        const char *remedy;
    } table[] = {
        {TW_BAD_SYMBOL, TW_ERROR_BAD_SYMBOL, "the venue's stream does not know this symbol"},
        {TW_NOT_SUPPORTED, TW_ERROR_NOT_SUPPORTED, "the venue's stream does not offer this"},
        {TW_FULL, TW_ERROR_OPERATION_REJECTED, "no place for another symbol; open with a greater symbols_max"},
        {TW_BAD_CONFIG, TW_ERROR_BAD_REQUEST, "the configuration is not possible"},
        {TW_BAD_ARGUMENT, TW_ERROR_BAD_REQUEST, "the configuration is not possible"},
        {TW_CLOSED, TW_ERROR_EXCHANGE_CLOSED_BY_USER, "the exchange is being closed"},
    };
    for (size_t i = 0; i < sizeof(table) / sizeof(*table); i++) {
        if (table[i].status == status)
            return twi_exchange_fail(exchange, table[i].error, what, "%s", text[0] != 0 ? text : table[i].remedy);
    }
    return twi_exchange_fail(exchange, TW_ERROR_OPERATION_FAILED, what, "%s (%s)", text, tw_status_name(status));
}

/* ---- opening ---- */

static bool copy_text(const char **text)
{
    if (*text == NULL)
        return true;
    *text = strdup(*text);
    return *text != NULL;
}

static void free_text(const char *text)
{
    free((void *)(uintptr_t)text);
}

static bool own_texts(tw_exchange_config *config)
{
    const char **texts[] = {&config->id,         &config->rest_url, &config->stream_url,
                            &config->user_agent, &config->proxy,    &config->ca_file};
    bool good = true;
    for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++) {
        if (!copy_text(texts[i]))
            good = false;
    }
    return good;
}

static uint32_t or_default(uint32_t value, uint32_t usual)
{
    return value != 0 ? value : usual;
}

static tw_error_class check_config(const tw_exchange_config *config)
{
    uint32_t slots = config->ring_slots;
    if (slots != 0 && (slots < RING_MIN || slots > RING_MAX || (slots & (slots - 1)) != 0))
        return twi_exchange_fail(NULL, TW_ERROR_BAD_REQUEST, "open", "ring_slots is a power of two from %d to %d",
                                 RING_MIN, RING_MAX);
    if (config->symbols_max > SYMBOLS_MAX || config->trades_limit > ROWS_MAX || config->ohlcv_limit > ROWS_MAX)
        return twi_exchange_fail(NULL, TW_ERROR_BAD_REQUEST, "open",
                                 "symbols_max is at most %d, trades_limit and ohlcv_limit at most %d", SYMBOLS_MAX,
                                 ROWS_MAX);
    if (config->timeout_ns < 0)
        return twi_exchange_fail(NULL, TW_ERROR_BAD_REQUEST, "open", "timeout_ns is negative");
    return TW_ERROR_NONE;
}

static void init_defaults(tw_exchange *exchange)
{
    tw_exchange_config *config = &exchange->config;
    config->symbols_max = or_default(config->symbols_max, SYMBOLS_DEFAULT);
    config->trades_limit = or_default(config->trades_limit, TRADES_DEFAULT);
    config->ohlcv_limit = or_default(config->ohlcv_limit, CANDLES_DEFAULT);
    config->ring_slots = or_default(config->ring_slots, RING_DEFAULT);
    if (config->timeout_ns == 0)
        config->timeout_ns = TIMEOUT_DEFAULT_NS;
    exchange->rest_url = config->rest_url;
    if (exchange->rest_url == NULL)
        exchange->rest_url = config->sandbox ? exchange->fetch->sandbox_rest_url : exchange->fetch->rest_url;
}

static void list_venues(char *out, size_t cap)
{
    size_t len = 0;
    out[0] = 0;
    for (uint32_t i = 0; tw_feed_at(i) != NULL && len + 1 < cap; i++)
        len += (size_t)snprintf(out + len, cap - len, " %s", tw_feed_at(i)->name);
}

tw_error_class tw_exchange_open(const tw_exchange_config *config, tw_exchange **out)
{
    char venues[320];
    *out = NULL;
    const char *id = config->id != NULL ? config->id : "";
    const tw_feed_ops *ops = tw_feed_find(id, strlen(id));
    const twi_fetch *fetch = ops != NULL ? twi_fetch_find(ops->name) : NULL;
    if (fetch == NULL) {
        list_venues(venues, sizeof(venues));
        return twi_exchange_fail(NULL, TW_ERROR_NOT_SUPPORTED, "open", "no venue is called \"%s\"; there are%s", id,
                                 venues);
    }
    if (config->sandbox && config->rest_url == NULL && fetch->sandbox_rest_url == NULL)
        return twi_exchange_fail(NULL, TW_ERROR_NOT_SUPPORTED, "open",
                                 "%s has no test system; leave sandbox 0 or give rest_url and stream_url", id);
    tw_error_class error = check_config(config);
    if (error != TW_ERROR_NONE)
        return error;
    tw_exchange *exchange = calloc(1, sizeof(*exchange));
    if (exchange == NULL)
        return twi_exchange_fail(NULL, TW_ERROR_OPERATION_FAILED, "open", "no memory");
    exchange->ops = ops;
    exchange->fetch = fetch;
    exchange->config = *config;
    pthread_mutex_init(&exchange->lock, NULL);
    pthread_mutex_init(&exchange->loading, NULL);
    pthread_cond_init(&exchange->answered, NULL);
    pthread_mutex_init(&exchange->stream.lock, NULL);
    pthread_cond_init(&exchange->stream.changed, NULL);
    bool owned = own_texts(&exchange->config);
    init_defaults(exchange);
    exchange->watched = calloc(exchange->config.symbols_max, sizeof(*exchange->watched));
    exchange->queue = calloc(exchange->config.symbols_max, sizeof(*exchange->queue));
    if (!owned || exchange->watched == NULL || exchange->queue == NULL) {
        tw_exchange_close(exchange);
        return twi_exchange_fail(NULL, TW_ERROR_OPERATION_FAILED, "open", "no memory");
    }
    *out = exchange;
    return TW_ERROR_NONE;
}

void tw_exchange_close(tw_exchange *exchange)
{
    if (exchange == NULL)
        return;
    twi_stream_stop(exchange);
    if (exchange->rest != NULL)
        twi_rest_close(exchange->rest);
    tw_ring_reader_close(exchange->reader);
    for (uint32_t i = 0; i < exchange->watched_count; i++)
        twi_watched_fini(&exchange->watched[i]);
    twi_market_table_free(atomic_load(&exchange->table));
    const tw_exchange_config *config = &exchange->config;
    const char *texts[] = {config->id,         config->rest_url, config->stream_url,
                           config->user_agent, config->proxy,    config->ca_file};
    for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++)
        free_text(texts[i]);
    pthread_mutex_destroy(&exchange->lock);
    pthread_mutex_destroy(&exchange->loading);
    pthread_cond_destroy(&exchange->answered);
    pthread_mutex_destroy(&exchange->stream.lock);
    pthread_cond_destroy(&exchange->stream.changed);
    free(exchange->watched);
    free(exchange->queue);
    free(exchange->by_instrument);
    free(exchange->candles_out);
    free(exchange->candles_raw);
    free(exchange);
}

/* ---- describing ---- */

void tw_exchange_describe(const tw_exchange *exchange, tw_exchange_description *out)
{
    const char *stream_url = exchange->config.stream_url;
    if (stream_url == NULL && exchange->config.sandbox)
        stream_url = exchange->fetch->sandbox_stream_url;
    *out = (tw_exchange_description){.id = exchange->ops->name,
                                     .has = exchange->ops->has | twi_fetch_has(exchange->fetch),
                                     .rest_url = exchange->rest_url,
                                     .stream_url = stream_url != NULL ? stream_url : "",
                                     .rate_limit_ns =
                                         exchange->config.no_rate_limit ? 0 : exchange->fetch->request_gap_ns};
}

const char *tw_exchange_timeframe(const tw_exchange *exchange, uint32_t index, int *watchable)
{
    const twi_fetch_timeframe *timeframe = exchange->fetch->timeframes;
    for (uint32_t i = 0; timeframe != NULL && timeframe->name != NULL; timeframe++, i++) {
        if (i != index)
            continue;
        if (watchable != NULL)
            *watchable = twi_candle_interval_find(timeframe->name, strlen(timeframe->name)) >= 0;
        return timeframe->name;
    }
    return NULL;
}
