/* bot_shm.c - a worker's readers of the engine's ring in shared memory: the same figures as of connections.
 *
 * Readers:   each is a stream of its own, so that a loss of one is its own. All look at one ring: when none has news,
 *            the thread waits on the first.
 * Latency:   from the engine's receive time (there is no publishing on this way) to the end of the read that brought
 *            the batch. */
#include <stdio.h>
#include <stdlib.h>

#include "subscribers/bot.h"
#include "tickwire/ring.h"
#include "tickwire/stream.h"

static void on_message(void *owner, const tw_stream_message *message)
{
    bot_worker *worker = owner;
    bot_figures *figures = &worker->figures;
    uint32_t bytes = message->event_count * TW_RING_SLOT_BYTES;
    figures->stats.messages++;
    figures->stats.payload_bytes += bytes;
    worker->shm_has_news = true;
    if (worker->phase != BOT_MEASURING)
        return;
    figures->messages++;
    figures->bytes += bytes;
    if (bytes < figures->bytes_min)
        figures->bytes_min = bytes;
    if (bytes > figures->bytes_max)
        figures->bytes_max = bytes;
    int64_t recv_ns = message->events[0].recv_ns;
    if (recv_ns == 0 || message->is_state) {
        figures->untimed++;
        return;
    }
    int64_t latency_ns = message->arrival_ns - recv_ns;
    if (latency_ns < 0)
        figures->negative++;
    twi_histogram_record(worker->latency, latency_ns);
}

static void on_gap(void *owner, uint64_t count)
{
    bot_worker *worker = owner;
    worker->figures.stats.gaps++;
    worker->figures.stats.missing += count;
}

bool bot_shm_open(bot_worker *worker)
{
    const bot_options *options = &worker->run->options;
    tw_stream_options stream;
    tw_stream_options_init(&stream, sizeof stream);
    stream.from = options->url;
    stream.channels = options->subscription.channels;
    stream.symbols = options->subscription.symbols;
    stream.wait = options->spin ? TW_STREAM_SPIN : TW_STREAM_SLEEP;
    stream.on_message = on_message;
    stream.on_gap = on_gap;
    stream.owner = worker;
    snprintf(worker->loop_name, sizeof worker->loop_name, "shared memory");
    snprintf(worker->loop_reason, sizeof worker->loop_reason, "ring '%s', %s", options->shm,
             options->spin ? "looking all the time" : "woken by the producer");
    worker->streams = calloc(worker->client_count, sizeof(tw_stream *));
    if (!worker->streams) {
        snprintf(worker->failure, sizeof worker->failure, "no memory");
        return false;
    }
    for (uint32_t i = 0; i < worker->client_count; i++)
        if (tw_stream_open(&stream, &worker->streams[i], worker->failure, sizeof worker->failure) != TW_OK)
            return false;
    return true;
}

/* A ring turns nobody away, so nothing but TW_OK is expected. */
static void poll_one(bot_worker *worker, uint32_t reader, int64_t timeout_ns)
{
    if (tw_stream_poll(worker->streams[reader], timeout_ns) != TW_OK)
        worker->figures.stats.errors++;
}

void bot_shm_poll(bot_worker *worker, int64_t timeout_ns)
{
    worker->shm_has_news = false;
    for (uint32_t i = 0; i < worker->client_count; i++)
        poll_one(worker, i, 0);
    if (!worker->shm_has_news && timeout_ns > 0)
        poll_one(worker, 0, timeout_ns);
}

void bot_shm_figures(bot_worker *worker)
{
    worker->figures.ready_count = 0;
    for (uint32_t i = 0; i < worker->client_count; i++)
        worker->figures.ready_count += tw_stream_is_ready(worker->streams[i]) != 0;
}

void bot_shm_close(bot_worker *worker)
{
    if (worker->streams && worker->streams[0] && tw_stream_epoch(worker->streams[0]) == 0)
        fprintf(stderr, "bot: %s\n", tw_stream_reason(worker->streams[0]));
    for (uint32_t i = 0; worker->streams && i < worker->client_count; i++)
        tw_stream_close(worker->streams[i]);
    free(worker->streams);
    worker->streams = NULL;
}
