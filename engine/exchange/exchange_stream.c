/* exchange_stream.c - the stream's thread: loop, connections, adapter, ring; and what the caller's thread asks of it.
 *
 * Start:    with the first symbol that is watched: ring and adapter are opened by the caller, so that errors are the
 *           call's; loop and connections by the thread itself.
 * Commands: handed over under a lock; the caller waits until the thread has done them (no longer than one turn). */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/clock.h"
#include "engine/base/thread.h"
#include "engine/connect/hub.h"
#include "engine/exchange/exchange_internal.h"

enum { SOCKS_SPARE = 16 };
#define TURN_NS     (100 * TWI_EXCHANGE_NS_PER_MS) /* heartbeat of the ring */
#define PATIENCE_NS (500 * TWI_EXCHANGE_NS_PER_MS) /* for close frames */

/* ---- the thread ---- */

static void take_stats(twi_stream_thread *stream)
{
    const twi_driver *driver = stream->driver;
    const void *state = twi_driver_state(driver);
    tw_feed_symbol_stats symbol;
    twi_driver_get_stats(driver, &stream->stats);
    stream->gaps = stream->checksum_failures = 0;
    for (uint32_t i = 0; stream->ops->symbol_stats(state, i, &symbol) == TW_OK; i++) {
        stream->gaps += symbol.gaps;
        stream->checksum_failures += symbol.checksums - symbol.checksums_equal;
    }
}

static tw_status run_command(twi_stream_thread *stream, const twi_command *command)
{
    size_t len = command->symbol != NULL ? strlen(command->symbol) : 0;
    switch (command->kind) {
    case TWI_COMMAND_WATCH:
        return twi_driver_watch(stream->driver, command->symbol, len, command->channels);
    case TWI_COMMAND_UNWATCH:
        return twi_driver_unwatch(stream->driver, command->symbol, len, command->channels);
    case TWI_COMMAND_RESEND:
        return twi_driver_resend(stream->driver, command->symbol, len);
    case TWI_COMMAND_STATS:
        take_stats(stream);
        return TW_OK;
    case TWI_COMMAND_STOP:
        return TW_OK;
    }
    return TW_BAD_ARGUMENT;
}

/* False: the end. */
static bool take_commands(twi_stream_thread *stream)
{
    bool go_on = true;
    if (!atomic_load_explicit(&stream->asked, memory_order_relaxed))
        return true;
    pthread_mutex_lock(&stream->lock);
    while (stream->first != NULL) {
        twi_command *command = stream->first;
        stream->first = command->next;
        command->status = run_command(stream, command);
        command->done = true;
        go_on = go_on && command->kind != TWI_COMMAND_STOP;
        pthread_cond_broadcast(&stream->changed);
    }
    atomic_store_explicit(&stream->asked, false, memory_order_relaxed);
    pthread_mutex_unlock(&stream->lock);
    return go_on;
}

static void end_connections(twi_stream_thread *stream, twi_loop *loop, twi_hub *hub)
{
    int64_t until_ns = loop->ops->now_ns(loop) + PATIENCE_NS;
    twi_driver_stop(stream->driver);
    while (!twi_driver_is_idle(stream->driver) && loop->ops->now_ns(loop) < until_ns) {
        loop->ops->poll(loop, until_ns);
        twi_hub_step(hub);
    }
    twi_driver_abandon(stream->driver);
    twi_hub_close(hub);
}

static void tell_ready(twi_stream_thread *stream, twi_loop *loop, tw_status status)
{
    pthread_mutex_lock(&stream->lock);
    stream->loop = loop;
    stream->open_status = status;
    stream->ready = true;
    pthread_cond_broadcast(&stream->changed);
    pthread_mutex_unlock(&stream->lock);
}

static void *run(void *argument)
{
    twi_stream_thread *stream = argument;
    twi_loop *loop = NULL;
    twi_hub *hub = NULL;
    const twi_loop_config config = {.sock_count_max = TW_FEED_LINKS_MAX + SOCKS_SPARE};
    tw_status status = twi_loop_open("auto", &config, &loop, stream->error, sizeof(stream->error));
    if (status == TW_OK) {
        const twi_hub_options options = {.loop = loop};
        status = twi_hub_open(&options, &hub);
        if (status != TW_OK) {
            snprintf(stream->error, sizeof(stream->error), "no memory for connections");
            loop->ops->close_loop(loop);
        }
    }
    tell_ready(stream, loop, status);
    if (status != TW_OK)
        return NULL;
    twi_driver_start(stream->driver, hub);
    do {
        tw_ring_wake(stream->ring);
        tw_ring_heartbeat(stream->ring, twi_realtime_ns());
        loop->ops->poll(loop, loop->ops->now_ns(loop) + TURN_NS);
        twi_hub_step(hub);
    } while (take_commands(stream));
    end_connections(stream, loop, hub);
    loop->ops->close_loop(loop);
    return NULL;
}

/* ---- the caller's side ---- */

static tw_error_class open_ring(tw_exchange *exchange, const char *what)
{
    char error[256] = "";
    const tw_exchange_config *config = &exchange->config;
    const tw_ring_options options = {.slot_count = config->ring_slots, .instrument_count_max = config->symbols_max};
    tw_status status = tw_ring_open(&options, &exchange->stream.ring, error, sizeof(error));
    if (status == TW_OK)
        status = tw_ring_reader_open(exchange->stream.ring, &exchange->reader);
    exchange->instrument_max = config->symbols_max;
    exchange->by_instrument = calloc(exchange->instrument_max, sizeof(uint32_t));
    if (status != TW_OK || exchange->by_instrument == NULL)
        return twi_exchange_fail_status(exchange, status != TW_OK ? status : TW_NO_MEMORY, what, error);
    return TW_ERROR_NONE;
}

static tw_error_class open_driver(tw_exchange *exchange, const twi_watched *watched, uint32_t channels,
                                  const char *what)
{
    char error[512] = "";
    const tw_exchange_config *config = &exchange->config;
    const char *symbols[] = {watched->symbol};
    tw_exchange_description description;
    tw_exchange_describe(exchange, &description);
    if (config->sandbox && description.stream_url[0] == 0)
        return twi_exchange_fail(exchange, TW_ERROR_NOT_SUPPORTED, what,
                                 "the venue's test system has no stream; give stream_url");
    const twi_driver_options options = {
        .ops = exchange->ops,
        .feed = {.symbols = symbols,
                 .symbol_count = 1,
                 .channels = channels,
                 .symbol_count_max = config->symbols_max,
                 .book_depth = config->book_depth,
                 .stream_url = description.stream_url[0] != 0 ? description.stream_url : NULL,
                 .rest_url = exchange->rest_url},
        .symbols = tw_ring_symbols(exchange->stream.ring),
        .sink = tw_ring_sink(exchange->stream.ring),
        .proxy = config->proxy,
        .ca_file = config->ca_file,
    };
    tw_status status = twi_driver_open(&options, &exchange->stream.driver, error, sizeof(error));
    return status == TW_OK ? TW_ERROR_NONE : twi_exchange_fail_status(exchange, status, what, error);
}

static void close_parts(tw_exchange *exchange)
{
    twi_stream_thread *stream = &exchange->stream;
    if (stream->driver != NULL)
        twi_driver_close(stream->driver);
    tw_ring_reader_close(exchange->reader);
    if (stream->ring != NULL)
        tw_ring_close(stream->ring);
    free(exchange->by_instrument);
    exchange->by_instrument = NULL;
    exchange->reader = NULL;
    stream->driver = NULL;
    stream->ring = NULL;
    stream->started = false;
}

static tw_error_class start(tw_exchange *exchange, const twi_watched *watched, uint32_t channels, const char *what)
{
    twi_stream_thread *stream = &exchange->stream;
    tw_error_class error = open_ring(exchange, what);
    if (error == TW_ERROR_NONE)
        error = open_driver(exchange, watched, channels, what);
    if (error != TW_ERROR_NONE) {
        close_parts(exchange);
        return error;
    }
    stream->ready = false;
    stream->ops = exchange->ops;
    if (twi_thread_start(&stream->thread, NULL, run, stream) != 0) {
        close_parts(exchange);
        return twi_exchange_fail(exchange, TW_ERROR_OPERATION_FAILED, what, "no thread for the stream");
    }
    pthread_mutex_lock(&stream->lock);
    while (!stream->ready)
        pthread_cond_wait(&stream->changed, &stream->lock);
    tw_status status = stream->open_status;
    pthread_mutex_unlock(&stream->lock);
    stream->started = true;
    if (status == TW_OK)
        return TW_ERROR_NONE;
    pthread_join(stream->thread, NULL);
    close_parts(exchange);
    return twi_exchange_fail_status(exchange, status, what, stream->error);
}

/* Hands a command over and waits until it is done. */
static tw_status ask(twi_stream_thread *stream, twi_command *command)
{
    pthread_mutex_lock(&stream->lock);
    if (stream->first == NULL)
        stream->first = command;
    else
        stream->last->next = command;
    stream->last = command;
    atomic_store_explicit(&stream->asked, true, memory_order_relaxed);
    stream->loop->ops->wake(stream->loop);
    while (!command->done)
        pthread_cond_wait(&stream->changed, &stream->lock);
    pthread_mutex_unlock(&stream->lock);
    return command->status;
}

tw_error_class twi_stream_command(tw_exchange *exchange, twi_command_kind kind, const twi_watched *watched,
                                  uint32_t channels, const char *what)
{
    twi_stream_thread *stream = &exchange->stream;
    if (!stream->started)
        return kind == TWI_COMMAND_WATCH ? start(exchange, watched, channels, what) : TW_ERROR_NONE;
    twi_command command = {.kind = kind, .symbol = watched != NULL ? watched->symbol : NULL, .channels = channels};
    tw_status status = ask(stream, &command);
    return status == TW_OK ? TW_ERROR_NONE : twi_exchange_fail_status(exchange, status, what, "");
}

void twi_stream_stop(tw_exchange *exchange)
{
    twi_stream_thread *stream = &exchange->stream;
    twi_command command = {.kind = TWI_COMMAND_STOP};
    if (!stream->started)
        return;
    ask(stream, &command);
    pthread_join(stream->thread, NULL);
    close_parts(exchange);
}

void tw_exchange_stats_get(tw_exchange *exchange, tw_exchange_stats *out)
{
    twi_stream_thread *stream = &exchange->stream;
    *out = (tw_exchange_stats){.requests = atomic_load(&exchange->requests),
                               .requests_failed = atomic_load(&exchange->requests_failed),
                               .overruns = exchange->overruns};
    if (!stream->started)
        return;
    twi_stream_command(exchange, TWI_COMMAND_STATS, NULL, 0, "stats");
    const twi_driver_stats *stats = &stream->stats; /* the thread writes them only when it is asked to */
    out->connections = stats->links;
    out->connections_up = stats->links_up;
    out->messages = stats->messages;
    out->reconnects = stats->reconnects;
    out->dial_failures = stats->dial_failures;
    out->malformed = stats->feed.malformed;
    out->requests += stats->requests;
    out->requests_failed += stats->request_failures;
    out->gaps = stream->gaps;
    out->checksum_failures = stream->checksum_failures;
    snprintf(out->last_error, sizeof(out->last_error), "%s", stats->last_error);
}
