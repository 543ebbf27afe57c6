/* answers.h - the questions of one shard to the publisher, and the rendered responses that are used again.
 *
 * Job:     finds a response that still says the truth (its version has not moved on), joins a request to the same
 *          question that is under way, or asks. A response is rendered once per version, however many ask for it.
 * Memory:  at open: slots of TWI_ANSWER_SLOT_BYTES for responses that fit them, and the rows of TWI_QUERIES_MAX
 *          questions; larger responses are rendered each time. Two buffers for that grow to what they need.
 * Thread:  its shard's. */
#ifndef TWI_HTTP_ANSWERS_H
#define TWI_HTTP_ANSWERS_H

#include "engine/fanout/buffer.h"
#include "engine/fanout/join.h"
#include "tickwire/symbols.h"

enum { TWI_ANSWER_SLOTS = 256, TWI_ANSWER_WAYS = 4, TWI_ANSWER_SLOT_BYTES = 64 << 10 };

/* A whole response for a connection that is kept alive. */
typedef struct twi_response {
    const uint8_t *data;
    uint32_t head_bytes, bytes;
    uint16_t status;
} twi_response;

typedef struct twi_answer_slot {
    twi_query_key key; /* kind 0: empty */
    uint64_t version, used;
    twi_response response;
} twi_answer_slot;

typedef struct twi_answers_config {
    const tw_symbols *symbols;
    const twi_versions *versions; /* the publisher's, read only */
    twi_join_link *link;
    void (*wake_publisher)(void *owner); /* after a question; NULL: it looks by itself */
    void *wake_owner;
    uint32_t depth_max, row_count_max;
    const char *extra_headers; /* of every response: whole lines */
} twi_answers_config;

typedef struct twi_answers {
    twi_answers_config config;
    twi_answer_slot *slots;
    uint8_t *slot_bytes;
    uint8_t *space; /* rows of the questions */
    twi_query queries[TWI_QUERIES_MAX];
    twi_response responses[TWI_QUERIES_MAX]; /* of answers that are being handed out */
    uint32_t asked;                          /* bit per query: taken */
    uint64_t clock;                          /* counts uses, for the choice of a slot */
    twi_buffer body, large;
} twi_answers;

TW_MUST_USE tw_status twi_answers_open(twi_answers *answers, const twi_answers_config *config);
void twi_answers_close(twi_answers *answers);
/* What it takes at most. */
size_t twi_answers_bytes(uint32_t depth_max, uint32_t row_count_max);

/* A response that is true now; NULL: none. */
const twi_response *twi_answers_find(twi_answers *answers, const twi_query_key *key);
/* The ticket of the question, which may have been asked before; TWI_QUERIES_MAX: too many are under way. */
uint32_t twi_answers_ask(twi_answers *answers, const twi_query_key *key);
/* The publisher has answered: renders. The response of a ticket lives until its release. */
uint32_t twi_answers_take(twi_answers *answers, twi_query *query);
const twi_response *twi_answers_of(const twi_answers *answers, uint32_t ticket);
void twi_answers_release(twi_answers *answers, uint32_t ticket);

#endif
