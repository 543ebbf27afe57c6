/* subscriber_client_fuzz.c - any bytes from a server, cut anywhere, to a client: the answer to the upgrade,
 * frames, control messages. The first byte of the input says how the rest is cut and how the client is set up. */
#include <stdlib.h>
#include <string.h>

#include "engine/base/assert.h"
#include "subscribers/client.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { FROM_HANDSHAKE = 1u << 0, BINARY = 1u << 1, SCAN = 1u << 2, PIECE_SHIFT = 3 };

/* A loop on which nothing ever completes: what the client says is of no interest here. */
static void start_op(twi_loop *loop, twi_op *op, twi_sock sock)
{
    (void)loop;
    (void)op;
    (void)sock;
}

static const twi_loop_ops quiet_ops = {
    .name = "quiet", .recv = start_op, .send = start_op, .writable = start_op, .close = start_op};

static void on_message(tw_client *client, const tw_message *message, void *owner)
{
    TWI_ASSERT(tw_client_pool_topic(client->pool, message->topic) != NULL);
    TWI_ASSERT(owner == NULL && message->bytes_len > 0);
}

static tw_client_pool *pool_make(twi_loop *loop, uint8_t set_up)
{
    tw_client_pool *pool = calloc(1, sizeof *pool);
    TWI_ASSERT(pool != NULL);
    tw_client_pool_options_init(&pool->options);
    pool->options.topic_count_max = 4;
    pool->options.event_count_max = 64;
    pool->options.message_bytes_max = 4096;
    pool->options.decode = set_up & SCAN ? TW_CLIENT_DECODE_SCAN : TW_CLIENT_DECODE_FULL;
    pool->options.callbacks.on_message = on_message;
    pool->loop = loop;
    pool->random = 1;
    pool->sweep_ns = TWI_CLIENT_NEVER;
    pool->events = calloc(pool->options.event_count_max, sizeof *pool->events);
    TWI_ASSERT(pool->events != NULL && twi_topics_open(&pool->topics, pool->options.topic_count_max) == TW_OK);
    return pool;
}

static tw_client *client_make(tw_client_pool *pool, uint8_t set_up)
{
    tw_client *client = calloc(1, sizeof *client);
    TWI_ASSERT(client != NULL);
    bool handshake = (set_up & FROM_HANDSHAKE) != 0;
    client->pool = pool;
    client->state = handshake ? TW_CLIENT_HANDSHAKE : TW_CLIENT_OPEN;
    pool->state_count[client->state] = 1;
    client->dialing = handshake;
    pool->dials_inflight = handshake;
    client->binary = (set_up & BINARY) != 0;
    client->codec = client->binary ? &tw_codec_flatbuffers : &tw_codec_json;
    client->protocols = "tickwire.v1.json";
    client->authority = strdup("localhost");
    client->target = strdup("/v1/stream");
    client->address = strdup("127.0.0.1");
    client->sock = (twi_sock){.slot = 1, .generation = 1};
    client->recv_armed = true;
    client->partial.bytes_max = pool->options.message_bytes_max;
    client->partial.resize = twi_client_resize;
    twi_ws_reader_init(&client->reader, &(twi_ws_reader_config){.message_bytes_max = pool->options.message_bytes_max,
                                                                .role = TWI_WS_CLIENT});
    return client;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    twi_loop loop = {.ops = &quiet_ops};
    if (size == 0)
        return 0;
    size_t piece_max = (size_t)(data[0] >> PIECE_SHIFT) + 1;
    tw_client_pool *pool = pool_make(&loop, data[0]);
    tw_client *client = client_make(pool, data[0]);
    for (size_t at = 1; at < size && !client->closing;) {
        size_t len = piece_max == 32 || piece_max > size - at ? size - at : piece_max;
        uint8_t *piece = malloc(len); /* of exactly its size: the sanitizer sees every byte too far */
        TWI_ASSERT(piece != NULL);
        memcpy(piece, data + at, len);
        twi_client_bytes(client, piece, len);
        free(piece);
        at += len;
    }
    const tw_client_stats *stats = &pool->stats;
    TWI_ASSERT(stats->losses + stats->snapshots + stats->duplicates + stats->gaps <= 3 * stats->messages);
    twi_client_free(client);
    twi_topics_close(&pool->topics);
    free(pool->events);
    free(pool);
    return 0;
}
