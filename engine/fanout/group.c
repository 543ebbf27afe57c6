/* group.c - see group.h. */
#include "engine/fanout/group.h"

#include <stdlib.h>
#include <string.h>

#include "engine/base/assert.h"

enum {
    RUN_BYTES_MAX = 1 << 24, /* a run stays far below what a 32-bit length and a quarter of a big log hold */
    TOPIC_GROUPS_FIRST = 4
};

tw_status twi_group_table_open(twi_group_table *table, _Atomic uint32_t *const *interest, uint32_t codec_count,
                               uint32_t topic_count, uint32_t group_count_max)
{
    TWI_ASSERT(codec_count <= TWI_CODECS_MAX);
    memset(table, 0, sizeof *table);
    uint32_t buckets = 64;
    while (buckets < group_count_max)
        buckets *= 2;
    table->codec_count = codec_count;
    table->topic_count = topic_count;
    table->group_count_max = group_count_max;
    table->hash_mask = buckets - 1;
    table->by_hash = calloc(buckets, sizeof *table->by_hash);
    int complete = table->by_hash != NULL;
    for (uint32_t codec = 0; codec < codec_count; codec++) {
        table->interest[codec] = interest[codec];
        table->by_topic[codec] = calloc(topic_count, sizeof *table->by_topic[codec]);
        complete &= table->by_topic[codec] != NULL;
    }
    if (complete)
        return TW_OK;
    twi_group_table_close(table);
    return TW_NO_MEMORY;
}

static void group_free(twi_group *group)
{
    free(group->topics);
    free(group);
}

void twi_group_table_close(twi_group_table *table)
{
    for (uint32_t bucket = 0; table->by_hash != NULL && bucket <= table->hash_mask; bucket++) {
        for (twi_group *group = table->by_hash[bucket], *next; group != NULL; group = next) {
            next = group->next_hash;
            group_free(group);
        }
    }
    for (uint32_t codec = 0; codec < table->codec_count; codec++) {
        for (uint32_t topic = 0; table->by_topic[codec] != NULL && topic < table->topic_count; topic++)
            free(table->by_topic[codec][topic].groups);
        free(table->by_topic[codec]);
    }
    free(table->by_hash);
    memset(table, 0, sizeof *table);
}

static uint64_t hash_topics(uint8_t codec, const uint32_t *topics, uint32_t topic_count)
{
    uint64_t hash = 0x9E3779B97F4A7C15u ^ codec;
    for (uint32_t i = 0; i < topic_count; i++) {
        hash = (hash ^ topics[i]) * 0xFF51AFD7ED558CCDu;
        hash ^= hash >> 32;
    }
    return hash;
}

/* Room for one more group at each of its topics, so that what follows cannot fail half-way. */
static int reserve_topics(twi_group_table *table, uint8_t codec, const uint32_t *topics, uint32_t topic_count)
{
    for (uint32_t i = 0; i < topic_count; i++) {
        twi_topic_groups *at = &table->by_topic[codec][topics[i]];
        if (at->count < at->capacity)
            continue;
        uint32_t capacity = at->capacity == 0 ? TOPIC_GROUPS_FIRST : at->capacity * 2;
        twi_group **groups = realloc(at->groups, capacity * sizeof *groups);
        if (groups == NULL)
            return 0;
        at->groups = groups;
        at->capacity = capacity;
    }
    return 1;
}

tw_status twi_group_acquire(twi_group_table *table, uint8_t codec, const uint32_t *topics, uint32_t topic_count,
                            twi_group **out)
{
    uint64_t hash = hash_topics(codec, topics, topic_count);
    twi_group **bucket = &table->by_hash[hash & table->hash_mask];
    for (twi_group *group = *bucket; group != NULL; group = group->next_hash) {
        if (group->hash == hash && group->codec == codec && group->topic_count == topic_count &&
            memcmp(group->topics, topics, topic_count * sizeof *topics) == 0) {
            group->reference_count++;
            *out = group;
            return TW_OK;
        }
    }
    if (table->group_count == table->group_count_max)
        return TW_FULL;
    twi_group *group = calloc(1, sizeof *group);
    uint32_t *copy = malloc((topic_count + 1) * sizeof *copy);
    if (group == NULL || copy == NULL || !reserve_topics(table, codec, topics, topic_count)) {
        free(group);
        free(copy);
        return TW_NO_MEMORY;
    }
    memcpy(copy, topics, topic_count * sizeof *copy);
    group->topics = copy;
    group->topic_count = topic_count;
    group->codec = codec;
    group->hash = hash;
    group->reference_count = 1;
    group->next_hash = *bucket;
    *bucket = group;
    table->group_count++;
    for (uint32_t i = 0; i < topic_count; i++) {
        twi_topic_groups *at = &table->by_topic[codec][topics[i]];
        at->groups[at->count++] = group;
        /* Relaxed: the join that follows is queued with release, and an event framed too early harms nobody. */
        atomic_fetch_add_explicit(&table->interest[codec][topics[i]], 1, memory_order_relaxed);
    }
    *out = group;
    return TW_OK;
}

static void forget_topic(twi_topic_groups *at, const twi_group *group)
{
    for (uint32_t i = 0; i < at->count; i++) {
        if (at->groups[i] == group) {
            at->groups[i] = at->groups[--at->count];
            break;
        }
    }
    if (at->count == 0) {
        free(at->groups);
        *at = (twi_topic_groups){0};
    }
}

void twi_group_release(twi_group_table *table, twi_group *group)
{
    TWI_ASSERT(group->reference_count > 0);
    if (--group->reference_count > 0)
        return;
    TWI_ASSERT(group->member_count == 0);
    for (uint32_t i = 0; i < group->topic_count; i++) {
        atomic_fetch_sub_explicit(&table->interest[group->codec][group->topics[i]], 1, memory_order_relaxed);
        forget_topic(&table->by_topic[group->codec][group->topics[i]], group);
    }
    for (twi_group **at = &table->by_hash[group->hash & table->hash_mask]; *at != NULL; at = &(*at)->next_hash) {
        if (*at == group) {
            *at = group->next_hash;
            break;
        }
    }
    for (twi_group **at = &table->dirty; *at != NULL; at = &(*at)->next_dirty) {
        if (*at == group) {
            *at = group->next_dirty;
            break;
        }
    }
    table->group_count--;
    group_free(group);
}

static void note(twi_group *group, uint64_t position, const twi_wire_entry *entry)
{
    if (group->run_head > 0) {
        twi_run *last = &group->runs[(group->run_head - 1) % TWI_GROUP_RUNS];
        if (last->index + last->count == position && last->offset + last->bytes == entry->offset &&
            last->bytes + entry->bytes <= RUN_BYTES_MAX) {
            last->bytes += entry->bytes;
            last->count++;
            group->cumulative++;
            return;
        }
    }
    group->runs[group->run_head++ % TWI_GROUP_RUNS] = (twi_run){
        .offset = entry->offset,
        .index = position,
        .cumulative = group->cumulative++,
        .bytes = entry->bytes,
        .count = 1,
    };
}

uint32_t twi_group_table_note(twi_group_table *table, uint8_t codec, uint64_t position, const twi_wire_entry *entry)
{
    const twi_topic_groups *at = &table->by_topic[codec][entry->topic];
    uint32_t clients = 0;
    for (uint32_t i = 0; i < at->count; i++) {
        twi_group *group = at->groups[i];
        note(group, position, entry);
        clients += group->member_count;
        if (!group->dirty) {
            group->dirty = 1;
            group->noted_ns = entry->publish_ns;
            group->next_dirty = table->dirty;
            table->dirty = group;
        }
    }
    return clients;
}

twi_cursor twi_group_end(const twi_group *group, uint64_t log_offset)
{
    twi_cursor cursor = {.run = group->run_head, .offset = log_offset, .delivered = group->cumulative};
    if (group->run_head > 0) {
        /* The last run may still grow: stand at its end, not before a next one. */
        const twi_run *last = twi_group_run(group, group->run_head - 1);
        cursor.run = group->run_head - 1;
        cursor.done = last->bytes;
        cursor.offset = last->offset + last->bytes;
    }
    return cursor;
}

int twi_group_pending(const twi_group *group, twi_cursor *cursor, uint64_t limit_offset)
{
    if (cursor->run >= group->run_head)
        return 0;
    if (twi_group_overrun(group, cursor))
        return 1;
    const twi_run *run = twi_group_run(group, cursor->run);
    if (cursor->done == run->bytes) {
        if (cursor->run + 1 == group->run_head)
            return 0;
        run = twi_group_run(group, ++cursor->run);
        cursor->done = 0;
        cursor->offset = run->offset;
    }
    return run->offset + cursor->done < limit_offset;
}

int64_t twi_group_topic_index(const twi_group *group, uint32_t topic)
{
    uint32_t low = 0, high = group->topic_count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (group->topics[middle] == topic)
            return middle;
        if (group->topics[middle] < topic)
            low = middle + 1;
        else
            high = middle;
    }
    return -1;
}
