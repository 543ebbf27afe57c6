/* publisher.c - see publisher.h. */
#include "engine/fanout/publisher.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/assert.h"
#include "engine/proto/ws.h"

enum {
    HEADER_ROOM = 4, /* header bytes of a server frame of 126..65535 bytes, the usual case */
    JOINS_PER_STEP = 256,
    GROUP_EVENTS_EXTRA = 1024,
    QUERY_WAITS_MAX = 1024
};

static void tell_candle(void *owner, uint32_t instrument, uint32_t interval, const twi_candle *candle);
static void skip_candle(void *owner, uint32_t instrument, uint32_t interval);

static twi_counter published_counter(const char *codec_name)
{
    if (strcmp(codec_name, "json") == 0)
        return TWI_COUNTER_PUBLISHED_JSON;
    return strcmp(codec_name, "flatbuffers") == 0 ? TWI_COUNTER_PUBLISHED_FLATBUFFERS : TWI_COUNTER_PUBLISHED_OTHER;
}

tw_status twi_publisher_open(twi_publisher *publisher, const twi_publisher_config *config, char *error,
                             size_t error_cap)
{
    memset(publisher, 0, sizeof *publisher);
    publisher->config = *config;
    publisher->symbols = tw_ring_reader_symbols(config->reader);
    publisher->topic_count = config->instrument_count_max * TWI_TOPIC_SLOTS;
    publisher->snapshot_budget = config->log_bytes / 4;
    tw_status status = twi_market_open(&publisher->market, config->instrument_count_max, config->book_depth_max,
                                       config->trade_history);
    if (status == TW_OK)
        status = twi_market_reserve(&publisher->market, tw_symbols_count(publisher->symbols));
    twi_candles_config candles = {
        .instrument_count_max = config->instrument_count_max,
        .history = config->candle_history,
        .close_delay_ns = config->candle_close_delay_ns,
        .counters = config->counters,
        .tell = tell_candle,
        .skip = skip_candle,
        .owner = publisher,
    };
    if (status == TW_OK)
        status = twi_candles_open(&publisher->candles, &candles);
    if (status == TW_OK)
        status = twi_candles_reserve(&publisher->candles, tw_symbols_count(publisher->symbols));
    uint32_t snapshot_max = twi_market_snapshot_max(&publisher->market);
    publisher->group_count_max = snapshot_max + GROUP_EVENTS_EXTRA;
    publisher->topic_seq = calloc(publisher->topic_count, sizeof *publisher->topic_seq);
    publisher->versions = calloc(config->instrument_count_max, sizeof *publisher->versions);
    publisher->group = calloc(publisher->group_count_max, sizeof *publisher->group);
    publisher->snapshot = calloc(snapshot_max, sizeof *publisher->snapshot);
    int complete = status == TW_OK && publisher->topic_seq != NULL && publisher->versions != NULL &&
                   publisher->group != NULL && publisher->snapshot != NULL;
    for (uint32_t i = 0; i < config->codec_count && complete; i++) {
        twi_publisher_codec *codec = &publisher->codecs[i];
        codec->ops = config->codecs[i];
        codec->published = published_counter(codec->ops->name);
        status = twi_wire_log_open(&codec->log, config->log_bytes, config->log_index_slots, error, error_cap);
        if (status != TW_OK) {
            twi_publisher_close(publisher);
            return status;
        }
        size_t largest = codec->ops->bound(snapshot_max) + TWI_WS_HEADER_BYTES_MAX;
        if (largest > config->log_bytes / 4) {
            snprintf(
                error, error_cap,
                "a wire log of %zu bytes is too small for books of %u levels a side in %s: set wire_log.bytes to at "
                "least %zu or lower book.depth_max",
                config->log_bytes, config->book_depth_max, codec->ops->name, 4 * largest);
            twi_publisher_close(publisher);
            return TW_BAD_CONFIG;
        }
        codec->interest = calloc(publisher->topic_count, sizeof *codec->interest);
        codec->snapshot_batch = calloc(publisher->topic_count, sizeof *codec->snapshot_batch);
        complete = codec->interest != NULL && codec->snapshot_batch != NULL;
    }
    if (complete)
        return TW_OK;
    snprintf(error, error_cap, "no memory for the state of %u topics", publisher->topic_count);
    twi_publisher_close(publisher);
    return TW_NO_MEMORY;
}

void twi_publisher_close(twi_publisher *publisher)
{
    for (uint32_t i = 0; i < TWI_CODECS_MAX; i++) {
        twi_wire_log_close(&publisher->codecs[i].log);
        free(publisher->codecs[i].interest);
        free(publisher->codecs[i].snapshot_batch);
    }
    twi_market_close(&publisher->market);
    twi_candles_close(&publisher->candles);
    free(publisher->topic_seq);
    free(publisher->versions);
    free(publisher->group);
    free(publisher->snapshot);
    memset(publisher, 0, sizeof *publisher);
}

void twi_publisher_add_link(twi_publisher *publisher, twi_join_link *link)
{
    TWI_ASSERT(publisher->link_count < TWI_SHARDS_MAX);
    publisher->links[publisher->link_count++] = link;
}

/* ---- framing ---- */

/* Encodes one record as a finished server frame into the log. Frames lie back to back, so the header is written right
 * before the payload: the payload goes where a 4-byte header leaves it and moves only in the two rare sizes. */
static void append_frame(twi_publisher *publisher, twi_publisher_codec *codec, const tw_record *record, uint32_t topic)
{
    size_t bound = codec->ops->bound(record->event_count);
    uint8_t *frame = twi_wire_log_reserve(&codec->log, bound + TWI_WS_HEADER_BYTES_MAX);
    TWI_ASSERT(frame != NULL); /* open() checked the largest */
    size_t payload = codec->ops->encode(publisher->symbols, record, frame + HEADER_ROOM, bound);
    TWI_ASSERT(payload > 0);
    size_t header = twi_ws_header_bytes(payload, false);
    if (header != HEADER_ROOM)
        memmove(frame + header, frame + HEADER_ROOM, payload);
    twi_ws_header_write(frame, codec->ops->ws_opcode, true, false, payload, NULL);
    twi_wire_log_append(&codec->log, topic, record->seq, record->publish_ns, (uint32_t)(header + payload));
    twi_counter_add(publisher->config.counters, TWI_COUNTER_PUBLISHED_BYTES, header + payload);
}

/* Gives the topic's next number to these events and frames them for every codec that wants the topic. */
static void publish(twi_publisher *publisher, uint32_t topic, const tw_event *events, uint32_t event_count,
                    int64_t publish_ns)
{
    tw_record record = {
        .events = events,
        .event_count = event_count,
        .seq = ++publisher->topic_seq[topic],
        .publish_ns = publish_ns,
    };
    for (uint32_t i = 0; i < publisher->config.codec_count; i++) {
        twi_publisher_codec *codec = &publisher->codecs[i];
        if (atomic_load_explicit(&codec->interest[topic], memory_order_relaxed) == 0)
            continue;
        append_frame(publisher, codec, &record, topic);
        twi_counter_increment(publisher->config.counters, codec->published);
    }
}

/* ---- candles ---- */

static int is_wanted(const twi_publisher *publisher, uint32_t topic)
{
    uint32_t interest = 0;
    for (uint32_t i = 0; i < publisher->config.codec_count; i++)
        interest |= atomic_load_explicit(&publisher->codecs[i].interest[topic], memory_order_relaxed);
    return interest != 0;
}

static void tell_candle(void *owner, uint32_t instrument, uint32_t interval, const twi_candle *candle)
{
    twi_publisher *publisher = owner;
    uint32_t topic = twi_topic(instrument, TWI_SLOT_CANDLE + interval);
    if (!is_wanted(publisher, topic)) {
        publisher->topic_seq[topic]++;
        return;
    }
    tw_event events[2];
    twi_candle_events(candle, instrument, interval, events);
    publish(publisher, topic, events, 2, publisher->publish_ns);
}

/* A candle has changed that nobody is subscribed to: its number moves on as if it had been sent. */
static void skip_candle(void *owner, uint32_t instrument, uint32_t interval)
{
    twi_publisher *publisher = owner;
    publisher->topic_seq[twi_topic(instrument, TWI_SLOT_CANDLE + interval)]++;
}

static uint32_t wanted_candles(const twi_publisher *publisher, uint32_t instrument)
{
    uint32_t wanted = 0;
    for (uint32_t i = 0; i < TWI_CANDLE_INTERVALS; i++)
        wanted |= (uint32_t)is_wanted(publisher, twi_topic(instrument, TWI_SLOT_CANDLE + i)) << i;
    return wanted;
}

/* Running candles that changed are told once per batch of events, not once per trade. */
static void flush_candles(twi_publisher *publisher)
{
    for (uint32_t i = 0; i < publisher->candles.changed_count; i++) {
        uint32_t instrument = publisher->candles.changed[i];
        twi_candles_flush(&publisher->candles, instrument, wanted_candles(publisher, instrument));
    }
    publisher->candles.changed_count = 0;
}

/* ---- events ---- */

static void publish_book_snapshot(twi_publisher *publisher, uint32_t instrument, int64_t publish_ns)
{
    uint32_t count = twi_market_book_snapshot(&publisher->market, instrument, publisher->snapshot);
    publish(publisher, twi_topic(instrument, TWI_SLOT_BOOK), publisher->snapshot, count, publish_ns);
}

static void publish_status(twi_publisher *publisher, uint32_t instrument, tw_book_state state, tw_reason reason,
                           int64_t publish_ns)
{
    tw_event event = {
        .instrument = instrument,
        .kind = TW_EVENT_STATUS,
        .flags = TW_FLAG_FIRST | TW_FLAG_LAST,
        .recv_ns = publish_ns,
        .u.status = {.state = (uint16_t)state, .reason = (uint16_t)reason},
    };
    twi_market_status(&publisher->market, &event);
    twi_version_bump(&publisher->versions[instrument].book);
    publish(publisher, twi_topic(instrument, TWI_SLOT_STATUS), &event, 1, publish_ns);
}

static void on_level(twi_publisher *publisher, const tw_event *event, int64_t publish_ns)
{
    if (event->flags & TW_FLAG_FIRST) {
        publisher->group_open = 1;
        publisher->group_overflow = 0;
        publisher->group_broken = 0;
        publisher->group_count = 0;
        publisher->group_instrument = event->instrument;
    }
    /* The tail of a group whose head was lost (the ring lapped us) changes nothing: the book is marked already. */
    if (!publisher->group_open || event->instrument != publisher->group_instrument) {
        publisher->group_open = 0;
        return;
    }
    if (twi_market_level(&publisher->market, event) != TW_OK)
        publisher->group_broken = 1;
    if (publisher->group_count < publisher->group_count_max)
        publisher->group[publisher->group_count++] = *event;
    else
        publisher->group_overflow = 1;
    if (!(event->flags & TW_FLAG_LAST))
        return;
    publisher->group_open = 0;
    twi_version_bump(&publisher->versions[event->instrument].book);
    const twi_market_instrument *state = &publisher->market.instruments[event->instrument];
    if (publisher->group_broken) {
        publish_status(publisher, event->instrument, TW_STATE_GAP, TW_REASON_DEPTH_LIMIT, publish_ns);
    } else if (publisher->group_overflow || (event->flags & TW_FLAG_SNAPSHOT)) {
        publish_book_snapshot(publisher, event->instrument, publish_ns); /* cut to the configured depth */
    } else if (state->book_state == TW_STATE_OK) {
        publish(publisher, twi_topic(event->instrument, TWI_SLOT_BOOK), publisher->group, publisher->group_count,
                publish_ns);
    }
}

static void on_event(twi_publisher *publisher, const tw_event *event, int64_t publish_ns)
{
    if (TWI_UNLIKELY(event->instrument >= publisher->config.instrument_count_max)) {
        twi_counter_add(publisher->config.counters, TWI_COUNTER_RING_UNKNOWN, 1);
        return;
    }
    if (event->kind != TW_EVENT_LEVEL && event->kind != TW_EVENT_BOOK_CLEAR)
        publisher->group_open = 0; /* a group is contiguous: what was open will never end */
    switch (event->kind) {
    case TW_EVENT_TRADE:
        publish(publisher, twi_topic(event->instrument, TWI_SLOT_TRADE), event, 1, publish_ns);
        twi_market_trade(&publisher->market, event);
        twi_candles_trade(&publisher->candles, event);
        twi_version_bump(&publisher->versions[event->instrument].trade);
        break;
    case TW_EVENT_QUOTE:
        twi_market_quote(&publisher->market, event);
        twi_version_bump(&publisher->versions[event->instrument].quote);
        publish(publisher, twi_topic(event->instrument, TWI_SLOT_QUOTE), event, 1, publish_ns);
        break;
    case TW_EVENT_LEVEL:
    case TW_EVENT_BOOK_CLEAR:
        on_level(publisher, event, publish_ns);
        break;
    case TW_EVENT_STATUS:
        twi_market_status(&publisher->market, event);
        twi_version_bump(&publisher->versions[event->instrument].book);
        publish(publisher, twi_topic(event->instrument, TWI_SLOT_STATUS), event, 1, publish_ns);
        break;
    default:
        twi_counter_add(publisher->config.counters, TWI_COUNTER_RING_UNKNOWN, 1);
        break;
    }
}

/* The ring overtook us: every book may miss a change, so every book says so until its next snapshot. */
static void on_lapped(twi_publisher *publisher, uint64_t lost, int64_t publish_ns)
{
    twi_counter_add(publisher->config.counters, TWI_COUNTER_RING_LAPPED, lost);
    publisher->group_open = 0;
    uint32_t count = tw_symbols_count(publisher->symbols);
    for (uint32_t instrument = 0; instrument < count && instrument < publisher->config.instrument_count_max;
         instrument++) {
        twi_market_instrument *state = &publisher->market.instruments[instrument];
        if (!state->book_begun || state->book_state == TW_STATE_GAP)
            continue;
        state->book_state = TW_STATE_GAP;
        publish_status(publisher, instrument, TW_STATE_GAP, TW_REASON_RING_LAPPED, publish_ns);
    }
}

static uint32_t read_ring(twi_publisher *publisher)
{
    uint64_t lost = 0;
    size_t count = tw_ring_read(publisher->config.reader, publisher->batch, TWI_PUBLISH_BATCH, &lost);
    if (count == 0 && lost == 0)
        return 0;
    int64_t now_ns = publisher->config.realtime_ns(publisher->config.realtime_owner);
    publisher->publish_ns = now_ns;
    if (TWI_UNLIKELY(lost != 0))
        on_lapped(publisher, lost, now_ns);
    for (size_t i = 0; i < count; i++) {
        on_event(publisher, &publisher->batch[i], now_ns);
        twi_histogram_record(publisher->config.published_latency, now_ns - publisher->batch[i].recv_ns);
    }
    flush_candles(publisher);
    twi_counter_add(publisher->config.counters, TWI_COUNTER_RING_EVENTS, count);
    return (uint32_t)count;
}

/* Candles whose interval has ended. */
static uint32_t close_candles(twi_publisher *publisher, uint32_t events)
{
    if (events == 0 && publisher->candles.next_due_ns == INT64_MAX)
        return 0;
    if (events == 0)
        publisher->publish_ns = publisher->config.realtime_ns(publisher->config.realtime_owner);
    return twi_candles_clock(&publisher->candles, publisher->publish_ns);
}

/* ---- joins ---- */

/* Frames the current state of one topic for those who join now; 0 if there is nothing to show. */
static int snapshot_record(twi_publisher *publisher, uint32_t topic, int64_t now_ns, tw_event *single,
                           tw_record *record)
{
    uint32_t instrument = twi_topic_instrument(topic);
    const twi_market_instrument *state = &publisher->market.instruments[instrument];
    *record = (tw_record){.events = single, .event_count = 1, .seq = publisher->topic_seq[topic], .publish_ns = now_ns};
    switch (twi_topic_slot(topic)) {
    case TWI_SLOT_QUOTE:
        *single = state->quote;
        return state->quote.kind == TW_EVENT_QUOTE;
    case TWI_SLOT_STATUS:
        *single = twi_market_current_status(&publisher->market, instrument, now_ns);
        return 1;
    case TWI_SLOT_BOOK:
        if (!state->book_begun || state->book_state != TW_STATE_OK)
            return 0; /* its next snapshot comes with the stream */
        record->events = publisher->snapshot;
        record->event_count = twi_market_book_snapshot(&publisher->market, instrument, publisher->snapshot);
        return 1;
    case TWI_SLOT_TRADE:
        return 0;
    default:
        record->event_count = 2;
        return twi_candles_newest(&publisher->candles, topic, single);
    }
}

static void join_snapshot(twi_publisher *publisher, twi_publisher_codec *codec, uint32_t topic, int64_t now_ns)
{
    if (codec->snapshot_batch[topic] == publisher->batch_number)
        return; /* another join of this batch has had it written */
    codec->snapshot_batch[topic] = publisher->batch_number;
    tw_event single[2];
    tw_record record;
    if (!snapshot_record(publisher, topic, now_ns, single, &record))
        return;
    append_frame(publisher, codec, &record, topic | TWI_TOPIC_SNAPSHOT);
    twi_counter_add(publisher->config.counters, TWI_COUNTER_SNAPSHOTS, 1);
}

static void answer_join(twi_publisher *publisher, twi_publisher_codec *codec, twi_join *join, int64_t now_ns)
{
    uint64_t first_offset = codec->log.write_offset;
    join->status = TW_OK;
    for (uint32_t i = 0; i < join->topic_count; i++) {
        twi_join_topic *asked = &join->topics[i];
        asked->seq = publisher->topic_seq[asked->topic];
        asked->book_state = publisher->market.instruments[twi_topic_instrument(asked->topic)].book_state;
        if (join->kind == TWI_JOIN_UNSUBSCRIBE)
            continue;
        join_snapshot(publisher, codec, asked->topic, now_ns);
        if (codec->log.write_offset - first_offset > twi_wire_log_capacity(&codec->log) / 4) {
            join->status = TW_TOO_BIG;
            return;
        }
    }
}

static uint32_t answer_joins(twi_publisher *publisher, uint32_t codec_index, int64_t now_ns)
{
    twi_publisher_codec *codec = &publisher->codecs[codec_index];
    twi_join *joins[JOINS_PER_STEP];
    twi_join_link *owners[JOINS_PER_STEP];
    uint32_t count = 0;
    uint64_t begin = codec->log.write_index, begin_offset = codec->log.write_offset;
    uint64_t entry_count_max = (codec->log.index_mask + 1) / 8;
    uint64_t budget = publisher->snapshot_budget;
    if (publisher->config.snapshot_bytes_max != 0 && publisher->config.snapshot_bytes_max < budget)
        budget = publisher->config.snapshot_bytes_max;
    publisher->batch_number++;
    for (uint32_t i = 0; i < publisher->link_count && count < JOINS_PER_STEP; i++) {
        twi_join_link *link = publisher->links[(publisher->next_link + i) % publisher->link_count];
        twi_join *join;
        while (count < JOINS_PER_STEP && (join = twi_spsc_peek(&link->requests)) != NULL &&
               join->codec == codec_index) {
            uint64_t written = codec->log.write_offset - begin_offset;
            if (count > 0 &&
                (written >= budget || codec->log.write_index - begin + join->topic_count > entry_count_max))
                goto full;
            twi_spsc_pop(&link->requests);
            if (join->topic_count > entry_count_max)
                join->status = TW_TOO_BIG;
            else
                answer_join(publisher, codec, join, now_ns);
            joins[count] = join;
            owners[count++] = link;
        }
    }
full:
    for (uint32_t i = 0; i < count; i++) {
        joins[i]->begin = begin;
        /* Who leaves gets no snapshots, also not those that another join of this step had written of its topics. */
        joins[i]->end = joins[i]->kind == TWI_JOIN_UNSUBSCRIBE ? begin : codec->log.write_index;
        int pushed = twi_spsc_push(&owners[i]->replies[codec_index], joins[i]);
        TWI_ASSERT(pushed);
    }
    uint64_t written = codec->log.write_offset - begin_offset;
    publisher->snapshot_budget -= written < publisher->snapshot_budget ? written : publisher->snapshot_budget;
    /* After the replies: see join.h. Without a snapshot the head does not move; the shard looks at its queue
     * anyway. */
    twi_wire_log_publish(&codec->log);
    return count;
}

static int joins_waiting(const twi_publisher *publisher)
{
    for (uint32_t i = 0; i < publisher->link_count; i++)
        if (twi_spsc_peek(&publisher->links[i]->requests) != NULL)
            return 1;
    return 0;
}

static int queries_waiting(const twi_publisher *publisher)
{
    for (uint32_t i = 0; i < publisher->link_count; i++)
        if (twi_spsc_peek(&publisher->links[i]->queries) != NULL)
            return 1;
    return 0;
}

/* Joins may fill a quarter of the log at once and all of it once per second: what streams to others must not be
 * pushed
 * out by newcomers. */
static int refill_snapshot_budget(twi_publisher *publisher, int64_t now_ns)
{
    uint64_t full = publisher->config.log_bytes / 4;
    if (publisher->budget_ns == 0)
        publisher->budget_ns = now_ns;
    int64_t elapsed_ns = now_ns - publisher->budget_ns;
    if (elapsed_ns > 0) {
        double gained = (double)elapsed_ns * 1e-9 * (double)publisher->config.log_bytes;
        uint64_t budget = publisher->snapshot_budget + (gained < (double)full ? (uint64_t)gained : full);
        publisher->snapshot_budget = budget < full ? budget : full;
        publisher->budget_ns = now_ns;
    }
    return publisher->snapshot_budget > 0;
}

static uint32_t handle_joins(twi_publisher *publisher)
{
    /* In the middle of a group the book is none that the venue ever had; its end is on its way. */
    if (publisher->group_open || !joins_waiting(publisher))
        return 0;
    int64_t now_ns = publisher->config.realtime_ns(publisher->config.realtime_owner);
    if (!refill_snapshot_budget(publisher, now_ns))
        return 0;
    uint32_t answered = 0;
    for (uint32_t i = 0; i < publisher->config.codec_count; i++)
        answered += answer_joins(publisher, i, now_ns);
    publisher->next_link = (publisher->next_link + 1) % publisher->link_count;
    return answered;
}

/* ---- queries ---- */

/* Between two book messages: in the middle of one a book can be crossed. A message that never ends is no reason to wait
 * for ever. */
static uint32_t answer_queries(twi_publisher *publisher)
{
    if (!queries_waiting(publisher) || (publisher->group_open && ++publisher->query_waits < QUERY_WAITS_MAX))
        return 0;
    publisher->query_waits = 0;
    return twi_publisher_answer_all(publisher);
}

/* ---- the step ---- */

uint32_t twi_publisher_step(twi_publisher *publisher)
{
    uint32_t work = handle_joins(publisher);
    work += answer_queries(publisher);
    uint32_t events = read_ring(publisher);
    events += close_candles(publisher, events);
    if (events > 0)
        for (uint32_t i = 0; i < publisher->config.codec_count; i++)
            twi_wire_log_publish(&publisher->codecs[i].log);
    return work + events;
}

int twi_publisher_pending(const twi_publisher *publisher)
{
    return joins_waiting(publisher) || queries_waiting(publisher) || tw_ring_reader_lag(publisher->config.reader) > 0;
}

int64_t twi_publisher_due_ns(const twi_publisher *publisher)
{
    return publisher->candles.next_due_ns;
}
