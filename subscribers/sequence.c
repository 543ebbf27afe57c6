/* sequence.c - the rules of sequence.h, one small function per phase. */
#include "subscribers/sequence.h"

uint64_t twi_sequence_joined(twi_sequence *sequence, uint64_t seq)
{
    uint64_t missed = 0;
    if (sequence->phase == TWI_SEQUENCE_RUNNING || sequence->phase == TWI_SEQUENCE_RESUMING)
        return 0; /* a second subscription to a topic that is flowing: the stream itself is checked */
    if (sequence->phase == TWI_SEQUENCE_REJOINING && seq > sequence->last)
        missed = seq - sequence->last;
    *sequence = (twi_sequence){.last = seq, .phase = TWI_SEQUENCE_JOINING};
    return missed;
}

void twi_sequence_down(twi_sequence *sequence)
{
    if (sequence->phase != TWI_SEQUENCE_NEW)
        sequence->phase = TWI_SEQUENCE_REJOINING;
}

void twi_sequence_resync(twi_sequence *sequence)
{
    if (sequence->phase == TWI_SEQUENCE_RUNNING)
        sequence->phase = TWI_SEQUENCE_RESUMING;
}

static twi_sequence_step first(twi_sequence *sequence, uint64_t seq, uint64_t missed_while_down)
{
    *sequence = (twi_sequence){.last = seq, .phase = TWI_SEQUENCE_RUNNING};
    return (twi_sequence_step){.verdict = TW_SEQUENCE_FIRST, .missed_while_down = missed_while_down};
}

static twi_sequence_step running(twi_sequence *sequence, uint64_t seq, uint64_t follows, bool snapshot)
{
    uint64_t last = sequence->last;
    if (seq <= last) /* a snapshot that was asked for again repeats the present state */
        return (twi_sequence_step){.verdict = snapshot && seq == last ? TW_SEQUENCE_SNAPSHOT : TW_SEQUENCE_DUPLICATE};
    sequence->last = seq;
    if (follows == last)
        return (twi_sequence_step){.verdict = snapshot ? TW_SEQUENCE_SNAPSHOT : TW_SEQUENCE_NEXT};
    if (follows < last)
        return (twi_sequence_step){.verdict = TW_SEQUENCE_DUPLICATE};
    return (twi_sequence_step){.verdict = TW_SEQUENCE_GAP, .missing = follows - last};
}

/* The answer said `last`: that message itself (as snapshot or last value), a later snapshot, or its successor. */
static twi_sequence_step joining(twi_sequence *sequence, uint64_t seq, uint64_t follows, bool snapshot)
{
    uint64_t last = sequence->last;
    sequence->phase = TWI_SEQUENCE_RUNNING;
    if (seq == last) {
        twi_sequence_step step = first(sequence, seq, 0);
        step.is_state = true;
        return step;
    }
    if (follows == last || (snapshot && seq > last))
        return first(sequence, seq, 0);
    return running(sequence, seq, follows, snapshot);
}

static twi_sequence_step resuming(twi_sequence *sequence, uint64_t seq, uint64_t follows, bool snapshot)
{
    sequence->phase = TWI_SEQUENCE_RUNNING;
    if (seq == sequence->last)
        return (twi_sequence_step){.verdict = TW_SEQUENCE_SNAPSHOT, .is_state = true};
    return running(sequence, seq, follows, snapshot);
}

static twi_sequence_step rejoining(twi_sequence *sequence, uint64_t seq, uint64_t follows)
{
    uint64_t last = sequence->last;
    return first(sequence, seq, seq > last && follows > last ? follows - last : 0);
}

twi_sequence_step twi_sequence_data(twi_sequence *sequence, uint64_t seq, uint64_t prev_seq, bool snapshot)
{
    uint64_t follows = prev_seq ? prev_seq : seq - 1;
    bool may_be_zero = sequence->phase == TWI_SEQUENCE_JOINING || sequence->phase == TWI_SEQUENCE_RESUMING;
    if (seq == 0 && !(may_be_zero && sequence->last == 0))
        return (twi_sequence_step){.verdict = TW_SEQUENCE_DUPLICATE};
    if (seq != 0 && follows >= seq) /* numbers of news begin at 1, and nothing follows itself */
        return (twi_sequence_step){.verdict = TW_SEQUENCE_DUPLICATE};
    switch (sequence->phase) {
    case TWI_SEQUENCE_RUNNING:
        return running(sequence, seq, follows, snapshot);
    case TWI_SEQUENCE_JOINING:
        return joining(sequence, seq, follows, snapshot);
    case TWI_SEQUENCE_RESUMING:
        return resuming(sequence, seq, follows, snapshot);
    case TWI_SEQUENCE_REJOINING:
        return rejoining(sequence, seq, follows);
    default:
        return first(sequence, seq, 0);
    }
}

twi_sequence_step twi_sequence_loss(twi_sequence *sequence, uint64_t from, uint64_t to)
{
    uint64_t last = sequence->last;
    uint64_t phase = sequence->phase;
    if (from == 0 || to < from)
        return (twi_sequence_step){.verdict = TW_SEQUENCE_DUPLICATE};
    if (phase == TWI_SEQUENCE_NEW || to > last)
        *sequence = (twi_sequence){.last = to, .phase = TWI_SEQUENCE_RUNNING};
    if (phase == TWI_SEQUENCE_NEW || from == last + 1)
        return (twi_sequence_step){.verdict = TW_SEQUENCE_LOSS};
    if (from <= last)
        return (twi_sequence_step){.verdict = TW_SEQUENCE_DUPLICATE};
    if (phase == TWI_SEQUENCE_REJOINING)
        return (twi_sequence_step){.verdict = TW_SEQUENCE_LOSS, .missed_while_down = from - last - 1};
    return (twi_sequence_step){.verdict = TW_SEQUENCE_GAP, .missing = from - last - 1};
}
