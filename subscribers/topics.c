/* topics.c - an open hash over topic names. See topics.h. */
#include "subscribers/topics.h"

#include <stdlib.h>
#include <string.h>

#include "engine/base/compiler.h"

#define HASH_FACTOR UINT64_C(0x9e3779b97f4a7c15) /* 2^64 / golden ratio: every bit of a word reaches the top bits */

enum { SYMBOLS_ALIGN = 64, WORD_BYTES = 8 };

static uint64_t mix(uint64_t hash, uint64_t word)
{
    hash = (hash ^ word) * HASH_FACTOR;
    return hash ^ hash >> 29;
}

/* Words from the front and one that ends with the last byte; short texts byte by byte into one word. */
static uint64_t hash_bytes(uint64_t hash, const char *text, uint32_t len)
{
    uint64_t word = 0;
    if (len < WORD_BYTES) {
        for (uint32_t i = 0; i < len; i++)
            word = word << 8 | (uint8_t)text[i];
        return mix(hash, word);
    }
    for (uint32_t i = 0; i + WORD_BYTES < len; i += WORD_BYTES) {
        memcpy(&word, text + i, WORD_BYTES);
        hash = mix(hash, word);
    }
    memcpy(&word, text + len - WORD_BYTES, WORD_BYTES);
    return mix(hash, word);
}

static uint32_t name_hash(const twi_topic_name *name)
{
    uint64_t hash = ((uint64_t)name->interval_s << 16 | name->channel) + HASH_FACTOR;
    hash = mix(hash, (uint64_t)name->exchange_len << 32 | name->symbol_len);
    hash = hash_bytes(hash, name->exchange, name->exchange_len);
    hash = hash_bytes(hash, name->symbol, name->symbol_len);
    return (uint32_t)(hash >> 32);
}

static uint32_t power_of_two(uint32_t least)
{
    uint32_t value = 1;
    while (value < least)
        value *= 2;
    return value;
}

tw_status twi_topics_open(twi_topics *topics, uint32_t topic_count_max)
{
    memset(topics, 0, sizeof *topics);
    uint32_t slot_count = power_of_two(2 * topic_count_max);
    size_t symbols_bytes = (tw_symbols_size(topic_count_max) + SYMBOLS_ALIGN - 1) / SYMBOLS_ALIGN * SYMBOLS_ALIGN;
    void *symbols_memory = aligned_alloc(SYMBOLS_ALIGN, symbols_bytes);
    topics->topics = calloc(topic_count_max, sizeof *topics->topics);
    topics->slots = malloc(slot_count * sizeof *topics->slots);
    if (symbols_memory == NULL || topics->topics == NULL || topics->slots == NULL) {
        free(symbols_memory);
        twi_topics_close(topics);
        return TW_NO_MEMORY;
    }
    memset(topics->slots, 0xff, slot_count * sizeof *topics->slots);
    topics->symbols = tw_symbols_init(symbols_memory, topic_count_max);
    topics->slot_mask = slot_count - 1;
    topics->count_max = topic_count_max;
    return TW_OK;
}

void twi_topics_close(twi_topics *topics)
{
    free(topics->symbols);
    free(topics->topics);
    free(topics->slots);
    memset(topics, 0, sizeof *topics);
}

static int topic_is(const twi_topics *topics, uint32_t index, const twi_topic_name *name)
{
    const tw_topic *topic = &topics->topics[index];
    const tw_instrument *instrument = tw_symbols_get(topics->symbols, topic->instrument);
    return topic->channel == name->channel && topic->interval_s == name->interval_s &&
           instrument->exchange_len == name->exchange_len && instrument->symbol_len == name->symbol_len &&
           memcmp(instrument->exchange, name->exchange, name->exchange_len) == 0 &&
           memcmp(instrument->symbol, name->symbol, name->symbol_len) == 0;
}

static TWI_NOINLINE uint32_t topic_add(twi_topics *topics, const twi_topic_name *name, uint32_t slot, uint32_t hash)
{
    uint32_t instrument;
    if (topics->count == topics->count_max)
        return TWI_TOPIC_NONE;
    if (tw_symbols_intern(topics->symbols, name->exchange, name->exchange_len, name->symbol, name->symbol_len, NULL, 0,
                          &instrument) != TW_OK)
        return TWI_TOPIC_NONE;
    const tw_instrument *names = tw_symbols_get(topics->symbols, instrument);
    uint32_t topic = topics->count++;
    topics->topics[topic] = (tw_topic){.instrument = instrument,
                                       .channel = name->channel,
                                       .interval_s = name->interval_s,
                                       .exchange = names->exchange,
                                       .symbol = names->symbol};
    topics->slots[slot] = (twi_topic_slot){.topic = topic, .hash = hash};
    return topic;
}

uint32_t twi_topics_intern(twi_topics *topics, const twi_topic_name *name)
{
    uint32_t hash = name_hash(name);
    uint32_t slot = hash & topics->slot_mask;
    while (topics->slots[slot].topic != TWI_TOPIC_NONE) {
        if (topics->slots[slot].hash == hash && topic_is(topics, topics->slots[slot].topic, name))
            return topics->slots[slot].topic;
        slot = (slot + 1) & topics->slot_mask;
    }
    return topic_add(topics, name, slot, hash);
}
