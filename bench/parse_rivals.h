/* parse_rivals.h - the same extraction by other parsers, for parse_bench: the same fields of the same messages into the
 * same events, exact decimals included.
 *
 * Work:     every rival finds the symbol by name, reads what the adapter reads (venue sequences go into `check`) and
 *           writes whole events through the same sink. It keeps no statistics and checks no continuity; the adapter
 *           does.
 * Thread:   one. */
#ifndef TWI_BENCH_PARSE_RIVALS_H
#define TWI_BENCH_PARSE_RIVALS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "bench/venue_messages.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum twb_format { TWB_BINANCE, TWB_OKX, TWB_BYBIT, TWB_COINBASE, TWB_KRAKEN, TWB_FORMAT_COUNT } twb_format;

typedef struct twb_rival_job {
    tw_sink *sink;
    const twb_name *names;
    uint32_t name_count;
    uint32_t recent; /* most messages are of the symbol of the one before */
    uint8_t group;
    uint64_t check; /* sum of what is read but is not in the events */
} twb_rival_job;

/* False: the message was not understood. */
typedef bool (*twb_rival_fn)(twb_format format, twb_kind kind, const twb_message *message, twb_rival_job *job);

bool twb_jansson_parse(twb_format format, twb_kind kind, const twb_message *message, twb_rival_job *job);
/* NULL: built without simdjson. */
extern const twb_rival_fn twb_simdjson_parse;
/* "icelake", "haswell", ...: what simdjson chose; NULL without it. */
const char *twb_simdjson_name(void);

/* TW_INSTRUMENT_NONE: no such symbol. */
static inline uint32_t twb_instrument_of(twb_rival_job *job, const char *id, size_t len)
{
    const twb_name *recent = &job->names[job->recent];
    if (recent->len == len && recent->group == job->group && memcmp(recent->id, id, len) == 0)
        return recent->instrument;
    for (uint32_t i = 0; i < job->name_count; i++) {
        const twb_name *name = &job->names[i];
        if (name->len == len && name->group == job->group && memcmp(name->id, id, len) == 0) {
            job->recent = i;
            return name->instrument;
        }
    }
    return TW_INSTRUMENT_NONE;
}

/* What all events of a message share. */
typedef struct twb_head {
    uint32_t instrument;
    int64_t venue_ns, recv_ns;
    uint64_t seq;
    bool snapshot;
} twb_head;

typedef struct twb_trade_fields {
    tw_decimal price, amount;
    const char *id;
    size_t id_len;
    bool sell;
} twb_trade_fields;

typedef struct twb_quote_fields {
    tw_decimal bid, bid_amount, ask, ask_amount;
} twb_quote_fields;

bool twb_put_trade(twb_rival_job *job, const twb_head *head, const twb_trade_fields *trade);
bool twb_put_quote(twb_rival_job *job, const twb_head *head, const twb_quote_fields *quote);

/* The levels of one message: the last one is known only at the end. */
typedef struct twb_levels {
    tw_sink *sink;
    const twb_head *head;
    tw_event *pending;
    uint8_t flags;
} twb_levels;

static inline twb_levels twb_levels_begin(twb_rival_job *job, const twb_head *head)
{
    twb_levels levels = {job->sink, head, NULL,
                         (uint8_t)(TW_FLAG_FIRST | (head->snapshot ? (unsigned)TW_FLAG_SNAPSHOT : 0u))};
    return levels;
}

static inline void twb_levels_put(twb_levels *levels, bool ask, tw_decimal price, tw_decimal amount)
{
    if (levels->pending != NULL)
        tw_sink_commit(levels->sink);
    tw_event *event = tw_sink_claim(levels->sink);
    event->instrument = levels->head->instrument;
    event->kind = TW_EVENT_LEVEL;
    event->flags = (uint8_t)(levels->flags | (ask ? (unsigned)TW_FLAG_ASK : 0u));
    event->price_exponent = price.exponent;
    event->amount_exponent = amount.exponent;
    event->venue_ns = levels->head->venue_ns;
    event->recv_ns = levels->head->recv_ns;
    event->u.level.price = price.mantissa;
    event->u.level.amount = amount.mantissa;
    event->u.level.venue_seq = levels->head->seq;
    event->u.level.reserved = 0;
    levels->flags &= (uint8_t)~TW_FLAG_FIRST;
    levels->pending = event;
}

static inline bool twb_levels_end(twb_levels *levels)
{
    if (levels->pending != NULL) {
        levels->pending->flags |= TW_FLAG_LAST;
        tw_sink_commit(levels->sink);
    }
    return true;
}

#ifdef __cplusplus
}
#endif
#endif
