/* answers.c - see answers.h. */
#include "engine/http/answers.h"

#include <stdlib.h>
#include <string.h>

#include "engine/base/assert.h"
#include "engine/http/render.h"
#include "engine/proto/http.h"

enum { HEAD_MAX = TWI_HTTP_RESPONSE_HEAD_BYTES + 512 };
_Static_assert(TWI_QUERIES_MAX <= 32 && (int)TWI_QUERIES_MAX <= (int)TWI_SPSC_SLOTS,
               "a bit each, and no queue is full");

static size_t space_bytes(const twi_answers_config *config)
{
    return (twi_query_space(config->depth_max, config->row_count_max) + 63) / 64 * 64;
}

size_t twi_answers_bytes(uint32_t depth_max, uint32_t row_count_max)
{
    twi_answers_config config = {.depth_max = depth_max, .row_count_max = row_count_max};
    return TWI_ANSWER_SLOTS * ((size_t)TWI_ANSWER_SLOT_BYTES + sizeof(twi_answer_slot)) +
           TWI_QUERIES_MAX * space_bytes(&config) + 2 * (twi_render_bytes_max(depth_max, row_count_max) + HEAD_MAX);
}

tw_status twi_answers_open(twi_answers *answers, const twi_answers_config *config)
{
    memset(answers, 0, sizeof *answers);
    answers->config = *config;
    size_t each = space_bytes(config);
    answers->slots = calloc(TWI_ANSWER_SLOTS, sizeof *answers->slots);
    answers->slot_bytes = malloc((size_t)TWI_ANSWER_SLOTS * TWI_ANSWER_SLOT_BYTES);
    answers->space = aligned_alloc(64, TWI_QUERIES_MAX * each);
    if (answers->slots == NULL || answers->slot_bytes == NULL || answers->space == NULL) {
        twi_answers_close(answers);
        return TW_NO_MEMORY;
    }
    for (uint32_t i = 0; i < TWI_QUERIES_MAX; i++)
        answers->queries[i] = (twi_query){.space = answers->space + i * each, .space_bytes = each, .ticket = i};
    return TW_OK;
}

void twi_answers_close(twi_answers *answers)
{
    free(answers->slots);
    free(answers->slot_bytes);
    free(answers->space);
    twi_buffer_fini(&answers->body);
    twi_buffer_fini(&answers->large);
    memset(answers, 0, sizeof *answers);
}

static int same_key(const twi_query_key *a, const twi_query_key *b)
{
    return a->since_ns == b->since_ns && a->instrument == b->instrument && a->limit == b->limit && a->kind == b->kind &&
           a->interval == b->interval && a->from_oldest == b->from_oldest;
}

/* The set of slots that may hold it. */
static twi_answer_slot *set_of(const twi_answers *answers, const twi_query_key *key)
{
    uint64_t hash = key->instrument | (uint64_t)key->limit << 32;
    hash = (hash ^ (uint64_t)key->since_ns) * UINT64_C(0x9e3779b97f4a7c15);
    hash ^= (uint64_t)key->kind | (uint64_t)key->interval << 8 | (uint64_t)key->from_oldest << 16;
    hash *= UINT64_C(0x9e3779b97f4a7c15);
    return &answers->slots[(hash >> 32) % (TWI_ANSWER_SLOTS / TWI_ANSWER_WAYS) * TWI_ANSWER_WAYS];
}

const twi_response *twi_answers_find(twi_answers *answers, const twi_query_key *key)
{
    twi_answer_slot *set = set_of(answers, key);
    for (uint32_t i = 0; i < TWI_ANSWER_WAYS; i++) {
        if (!same_key(&set[i].key, key))
            continue;
        if (set[i].version != twi_version_of(&answers->config.versions[key->instrument], key->kind))
            return NULL;
        set[i].used = ++answers->clock;
        return &set[i].response;
    }
    return NULL;
}

uint32_t twi_answers_ask(twi_answers *answers, const twi_query_key *key)
{
    uint32_t ticket = TWI_QUERIES_MAX;
    for (uint32_t i = 0; i < TWI_QUERIES_MAX; i++) {
        if (!(answers->asked >> i & 1))
            ticket = ticket < i ? ticket : i;
        else if (answers->responses[i].data == NULL && same_key(&answers->queries[i].key, key))
            return i;
    }
    if (ticket == TWI_QUERIES_MAX)
        return ticket;
    answers->asked |= 1u << ticket;
    answers->responses[ticket] = (twi_response){0};
    answers->queries[ticket].key = *key;
    int pushed = twi_spsc_push(&answers->config.link->queries, &answers->queries[ticket]);
    TWI_ASSERT(pushed);
    if (answers->config.wake_publisher != NULL)
        answers->config.wake_publisher(answers->config.wake_owner);
    return ticket;
}

/* Where the response goes: its slot, the empty or oldest one of its set, or for one that is too large NULL. */
static twi_answer_slot *choose_slot(const twi_answers *answers, const twi_query_key *key, size_t bytes)
{
    twi_answer_slot *set = set_of(answers, key), *chosen = set;
    for (uint32_t i = 0; i < TWI_ANSWER_WAYS; i++) {
        if (same_key(&set[i].key, key)) {
            chosen = &set[i];
            break;
        }
        if (set[i].used < chosen->used)
            chosen = &set[i];
    }
    if (bytes <= TWI_ANSWER_SLOT_BYTES)
        return chosen;
    if (same_key(&chosen->key, key))
        chosen->key.kind = 0; /* what it held is not true any more */
    return NULL;
}

uint32_t twi_answers_take(twi_answers *answers, twi_query *query)
{
    char head[HEAD_MAX];
    answers->body.len = 0;
    answers->body.failed = 0;
    uint16_t status = twi_render_answer(answers->config.symbols, query, &answers->body);
    twi_http_response_head response_head = {
        .status = status,
        .keep_alive = true,
        .content_type = "application/json",
        .content_length = answers->body.len,
        .extra_headers = answers->config.extra_headers,
    };
    uint32_t head_bytes = (uint32_t)twi_http_response_head_write(head, sizeof head, &response_head);
    TWI_ASSERT(head_bytes > 0);
    twi_response *response = &answers->responses[query->ticket];
    *response = (twi_response){.head_bytes = head_bytes, .bytes = head_bytes + answers->body.len, .status = status};
    twi_answer_slot *slot = choose_slot(answers, &query->key, response->bytes);
    if (slot != NULL) {
        uint8_t *at = answers->slot_bytes + (size_t)(slot - answers->slots) * TWI_ANSWER_SLOT_BYTES;
        memcpy(at, head, head_bytes);
        memcpy(at + head_bytes, answers->body.data, answers->body.len);
        response->data = at;
        *slot = (twi_answer_slot){
            .key = query->key, .version = query->version, .used = ++answers->clock, .response = *response};
        return query->ticket;
    }
    answers->large.len = 0;
    answers->large.failed = 0;
    twi_buffer_append(&answers->large, head, head_bytes);
    twi_buffer_append(&answers->large, answers->body.data, answers->body.len);
    response->data = answers->large.data;
    if (answers->large.failed) /* no memory: nothing but an empty response is true */
        *response = (twi_response){.data = (const uint8_t *)"", .status = 503};
    return query->ticket;
}

const twi_response *twi_answers_of(const twi_answers *answers, uint32_t ticket)
{
    TWI_ASSERT(ticket < TWI_QUERIES_MAX && answers->responses[ticket].data != NULL);
    return &answers->responses[ticket];
}

void twi_answers_release(twi_answers *answers, uint32_t ticket)
{
    answers->asked &= ~(1u << ticket);
    answers->responses[ticket] = (twi_response){0};
}
