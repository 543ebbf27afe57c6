/* describe.c - the clients of a shard as JSON, for people who look: who is connected, to how much, how far behind. */
#include "engine/fanout/client.h"

static const char *policy_name(uint8_t policy)
{
    static const char *const names[] = {"all", "drop", "disconnect", "conflate"};
    return policy < sizeof(names) / sizeof(names[0]) ? names[policy] : "unknown";
}

static void describe(const twi_client *client, twi_buffer *out)
{
    const twi_shard *shard = client->shard;
    const twi_wire_log *log = shard->config.logs[client->codec];
    uint64_t lag = client->stream_group != NULL ? twi_wire_log_lag(log, client->cursor.offset) : 0;
    twi_cursor cursor = client->cursor;
    int pending = client->stream_group != NULL && twi_group_pending(client->stream_group, &cursor, UINT64_MAX);
    twi_buffer_format(out,
                      "{\"codec\":\"%s\",\"policy\":\"%s\",\"topics\":%u,\"lagBytes\":%llu,\"waiting\":%s,"
                      "\"silentMs\":%lld}",
                      shard->config.codecs[client->codec]->name, policy_name(client->policy),
                      client->group != NULL ? client->group->topic_count : 0, pending ? (unsigned long long)lag : 0ULL,
                      client->send_kind == TWI_SEND_PARKED ? "true" : "false",
                      (long long)((twi_shard_now(shard) - client->last_received_ns) / 1000000));
}

void twi_shard_describe(const twi_shard *shard, uint32_t limit, twi_buffer *out)
{
    twi_buffer_text(out, "[");
    uint32_t shown = 0;
    for (uint32_t i = 0; i < shard->client_capacity && shown < limit; i++) {
        if (shard->clients[i].state != TWI_CLIENT_STREAM)
            continue;
        if (shown++ > 0)
            twi_buffer_text(out, ",");
        describe(&shard->clients[i], out);
    }
    twi_buffer_text(out, "]");
}
