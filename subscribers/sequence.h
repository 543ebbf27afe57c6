/* sequence.h - what the sequence numbers of one topic on one connection say: in order, gap, duplicate, told loss.
 *
 * Rule:      the next message has seq + 1, or names in prevSeq the last one delivered; a snapshot with S is followed
 *            by S + 1; a loss record covers what is not delivered. Sequence numbers live for one epoch of the server.
 * Joining:   the answer to a subscription names the topic's seq S. Then comes a snapshot or last value with S (or a
 *            later snapshot), or S + 1; S may be 0, of a topic that had no message yet. Without an answer the first
 *            message sets the count.
 * Rejoining: after a reconnect within the same epoch the distance to the last message is counted as missed while down:
 *            it is neither a gap nor hidden.
 * Thread:    pure functions over 16 bytes of the caller's. */
#ifndef TWI_SUBSCRIBERS_SEQUENCE_H
#define TWI_SUBSCRIBERS_SEQUENCE_H

#include <stdbool.h>
#include <stdint.h>

#include "tickwire/subscriber.h"

enum {
    TWI_SEQUENCE_NEW = 0,
    TWI_SEQUENCE_JOINING = 1,
    TWI_SEQUENCE_RUNNING = 2,
    TWI_SEQUENCE_REJOINING = 3,
    TWI_SEQUENCE_RESUMING = 4 /* running, and the present state may come once more */
};

typedef struct twi_sequence {
    uint64_t last;  /* seq of the last message; NEW: nothing */
    uint64_t phase; /* TWI_SEQUENCE_... */
} twi_sequence;

typedef struct twi_sequence_step {
    tw_sequence_verdict verdict;
    bool is_state;              /* it repeats what the answer to the subscription stands at: no news */
    uint64_t missing;           /* GAP: so many are not here and nobody said so */
    uint64_t missed_while_down; /* rejoined: so many came by while there was no connection */
} twi_sequence_step;

/* The server answered a subscription: the topic stands at seq. */
uint64_t twi_sequence_joined(twi_sequence *sequence, uint64_t seq);
/* The connection ended. */
void twi_sequence_down(twi_sequence *sequence);
/* A loss on some topic of the connection: the server sends the state of all its topics again, each with the number
 * where it stands. */
void twi_sequence_resync(twi_sequence *sequence);
/* A data message. prev_seq 0: it did not name one. */
twi_sequence_step twi_sequence_data(twi_sequence *sequence, uint64_t seq, uint64_t prev_seq, bool snapshot);
/* A loss record: from..to, inclusive. */
twi_sequence_step twi_sequence_loss(twi_sequence *sequence, uint64_t from, uint64_t to);

#endif
