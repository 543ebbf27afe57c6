/* fanout_rig.h - ring, publisher and shard in one thread, and a subscriber that believes nothing.
 *
 * World:     a small market whose events the test puts into the ring by hand; it remembers every book, so that what
 *            subscribers have can be compared with what was put. Turned by twt_turn() on any loop.
 * Stream:    bytes of one connection in, verdicts out: frames are decoded with the connection's codec, a topic may be
 *            heard of only between its `subscribed` and its `unsubscribed`, its numbers go on by one, a repeated
 *            number is a snapshot, books are kept. A rule that is broken fails the test on the spot.
 * Usage:     included by one source file per test program; the functions are static. */
#ifndef TWT_FANOUT_RIG_H
#define TWT_FANOUT_RIG_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>

#include "engine/base/clock.h"
#include "engine/fanout/publisher.h"
#include "engine/fanout/shard.h"
#include "engine/http/service.h"
#include "engine/loop/loop_sim.h"
#include "engine/proto/ws.h"
#include "tickwire/codec.h"
#include "tickwire/ring.h"

enum {
    TWT_INSTRUMENTS = 4,
    TWT_TOPICS = TWT_INSTRUMENTS * TWI_TOPIC_SLOTS,
    TWT_LEVELS = 30,       /* prices that a book can have: 10.00, 9.99, ... */
    TWT_BEST_PRICE = 1000, /* with two digits after the point */
    TWT_PRICE_EXPONENT = -2,
    TWT_AMOUNT_EXPONENT = -3,
    TWT_QUIET_TURNS = 8,
    TWT_TURNS_MAX = 100000,
    TWT_CODECS = 2
};

static const char *const twt_exchanges[TWT_INSTRUMENTS] = {"sim", "sim", "sim", "other"};
static const char *const twt_symbols[TWT_INSTRUMENTS] = {"BTC/USDT", "ETH/USDT", "SOL/USDT", "XRP/USDT"};
static const tw_codec_ops *const twt_codecs[TWT_CODECS] = {&tw_codec_json, &tw_codec_flatbuffers};

/* ---- the world ---- */

typedef struct twt_world {
    tw_ring *ring;
    tw_ring_reader *reader;
    twi_publisher *publisher;
    twi_shard *shard;
    twi_loop *loop;
    twi_join_link *link;
    void *counter_memory;
    twi_counters *counters;
    twi_cells *cells;
    twi_http_service *http; /* NULL: every HTTP request gets 404 */
    _Atomic int ready;
    uint16_t port;
    int64_t time_ns;
    uint64_t random;
    int64_t amounts[TWT_INSTRUMENTS][TWT_LEVELS]; /* of the books, as the last event put left them */
} twt_world;

typedef struct twt_world_options {
    size_t log_bytes;
    int policy;
    uint32_t connection_count_max;
    const char *const *tokens;
    uint32_t token_count;
    const char *loop; /* NULL: the environment's TWT_LOOP, or auto; "sim": simulated */
    uint64_t seed;    /* of the simulated loop, and of twt_random() */
    uint32_t socket_send_bytes;
    uint32_t trade_history, candle_history; /* one of them: HTTP is served as the engine does */
    uint64_t http_pending_bytes_max;
} twt_world_options;

static inline int64_t twt_world_time(void *owner)
{
    return ((twt_world *)owner)->time_ns += 1000000;
}

static inline twi_http_result twt_no_http(void *owner, const twi_http_request *request, uint32_t *ticket,
                                          twi_buffer *out)
{
    (void)owner;
    (void)request;
    (void)ticket;
    twi_buffer_text(out, "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n");
    return TWI_HTTP_DONE;
}

static inline void twt_open_ring(twt_world *w)
{
    char error[512];
    tw_ring_options options = {.slot_count = 4096, .instrument_count_max = TWT_INSTRUMENTS, .mode = 0600};
    assert_int_equal(tw_ring_open(&options, &w->ring, error, sizeof error), TW_OK);
    assert_int_equal(tw_ring_reader_open(w->ring, &w->reader), TW_OK);
    for (uint32_t i = 0; i < TWT_INSTRUMENTS; i++) {
        const char *exchange = twt_exchanges[i], *symbol = twt_symbols[i];
        char native[8] = {symbol[0], symbol[1], symbol[2], 'N', 0};
        uint32_t instrument;
        assert_int_equal(tw_symbols_intern(tw_ring_symbols(w->ring), exchange, strlen(exchange), symbol, strlen(symbol),
                                           native, strlen(native), &instrument),
                         TW_OK);
        assert_int_equal(instrument, i);
    }
}

static inline void twt_open_publisher(twt_world *w, const twt_world_options *options)
{
    size_t log_bytes = options->log_bytes;
    char error[512];
    w->publisher = aligned_alloc(64, (sizeof *w->publisher + 63) / 64 * 64);
    twi_publisher_config config = {
        .reader = w->reader,
        .codecs = {twt_codecs[0], twt_codecs[1]},
        .codec_count = TWT_CODECS,
        .instrument_count_max = TWT_INSTRUMENTS,
        .book_depth_max = 50,
        .log_bytes = log_bytes != 0 ? log_bytes : 1 << 20,
        .log_index_slots = 1 << 14,
        .trade_history = options->trade_history,
        .candle_history = options->candle_history,
        .candle_close_delay_ns = 250000000,
        .counters = w->cells,
        .published_latency = twi_counters_stage_open(w->counters, TWI_STAGE_RING_TO_PUBLISHED),
        .realtime_ns = twt_world_time,
        .realtime_owner = w,
    };
    if (twi_publisher_open(w->publisher, &config, error, sizeof error) != TW_OK)
        fail_msg("%s", error);
}

static inline void twt_open_loop(twt_world *w, const twt_world_options *options)
{
    char error[512];
    const char *name = options->loop != NULL ? options->loop : getenv("TWT_LOOP");
    twi_loop_config config = {
        .sock_count_max = 400, .socket_send_bytes = options->socket_send_bytes, .sim_seed = options->seed};
    tw_status status = name != NULL && strcmp(name, "sim") == 0
                           ? twi_loop_sim.open(&config, &w->loop, error, sizeof error)
                           : twi_loop_open(name != NULL ? name : "auto", &config, &w->loop, error, sizeof error);
    if (status != TW_OK)
        fail_msg("%s", error);
}

static inline void twt_open_http(twt_world *w, const twt_world_options *options)
{
    if (options->trade_history + options->candle_history == 0)
        return;
    twi_http_config config = {
        .counters = w->counters,
        .cells = w->cells,
        .ready = &w->ready,
        .version = "test",
        .loop_name = w->loop->ops->name,
        .loop_features = "",
        .allow_origin = "*",
        .symbols = tw_ring_reader_symbols(w->reader),
        .versions = w->publisher->versions,
        .instrument_count_max = TWT_INSTRUMENTS,
        .link = w->link,
        .depth_max = 50,
        .trade_history = options->trade_history,
        .candle_history = options->candle_history,
        .shard_count = 1,
    };
    w->http = malloc(sizeof *w->http);
    assert_int_equal(twi_http_service_open(w->http, &config), TW_OK);
}

static inline void twt_open_shard(twt_world *w, const twt_world_options *options)
{
    char error[512];
    w->link = aligned_alloc(64, (sizeof *w->link + 63) / 64 * 64);
    memset(w->link, 0, sizeof *w->link);
    twt_open_http(w, options);
    twi_shard_config config = {
        .loop = w->loop,
        .symbols = tw_ring_reader_symbols(w->reader),
        .codec_count = TWT_CODECS,
        .topic_count = w->publisher->topic_count,
        .link = w->link,
        .http = w->http != NULL ? twi_http_service_handler(w->http) : (twi_http_handler){.serve = twt_no_http},
        .http_pending_bytes_max = options->http_pending_bytes_max,
        .counters = w->cells,
        .sent_latency = twi_counters_stage_open(w->counters, TWI_STAGE_PUBLISHED_TO_SENT),
        .epoch = 0x1234,
        .realtime_ns = twt_world_time,
        .realtime_owner = w,
        .connection_count_max = options->connection_count_max != 0 ? options->connection_count_max : 300,
        .subscription_count_max = 64,
        .group_count_max = 64,
        .message_bytes_max = 4096,
        .http_head_bytes_max = 4096,
        .lag_percent_max = 50,
        .default_policy = options->policy,
        .handshake_timeout_ns = 5000000000,
        .ping_interval_ns = 20000000000,
        .pong_timeout_ns = 20000000000,
        .heartbeat_ns = 10000000000,
        .tokens = options->tokens,
        .token_count = options->token_count,
        .version = "test",
    };
    for (uint32_t i = 0; i < TWT_CODECS; i++) {
        config.codecs[i] = twt_codecs[i];
        config.logs[i] = &w->publisher->codecs[i].log;
        config.interest[i] = w->publisher->codecs[i].interest;
    }
    assert_int_equal(twi_shard_open(&config, &w->shard, error, sizeof error), TW_OK);
    twi_publisher_add_link(w->publisher, w->link);
    if (w->http != NULL)
        w->http->shard = w->shard;
}

static inline void twt_listen(twt_world *w)
{
    char error[512];
    twi_sock listener;
    twi_address address = {.host = "127.0.0.1", .backlog = 512};
    if (w->loop->ops->listen(w->loop, &address, &listener, error, sizeof error) != TW_OK)
        fail_msg("%s", error);
    w->port = w->loop->ops->local_port(w->loop, listener);
    twi_shard_listen(w->shard, listener);
}

static inline twt_world *twt_world_open(twt_world_options options)
{
    twt_world *w = calloc(1, sizeof *w);
    w->time_ns = 1700000000000000000;
    w->random = 88172645463325252u + options.seed * 7919;
    twt_open_ring(w);
    size_t counter_bytes = twi_counters_bytes(4, 4);
    w->counter_memory = aligned_alloc(64, (counter_bytes + 63) / 64 * 64);
    w->counters = twi_counters_init(w->counter_memory, 4, 4);
    w->cells = twi_counters_open(w->counters, "", "");
    twt_open_publisher(w, &options);
    twt_open_loop(w, &options);
    twt_open_shard(w, &options);
    twt_listen(w);
    return w;
}

static inline void twt_world_close(twt_world *w)
{
    w->loop->ops->close_loop(w->loop);
    twi_shard_close(w->shard);
    if (w->http != NULL)
        twi_http_service_close(w->http);
    free(w->http);
    twi_publisher_close(w->publisher);
    free(w->publisher);
    tw_ring_reader_close(w->reader);
    tw_ring_close(w->ring);
    free(w->link);
    free(w->counter_memory);
    free(w);
}

static inline uint32_t twt_turn(twt_world *w)
{
    uint32_t work = twi_publisher_step(w->publisher);
    return work + twi_shard_step(w->shard, 0);
}

static inline void twt_settle(twt_world *w)
{
    for (int quiet = 0, turns = 0; quiet < TWT_QUIET_TURNS && turns < TWT_TURNS_MAX; turns++)
        quiet = twt_turn(w) == 0 ? quiet + 1 : 0;
}

static inline uint64_t twt_random(twt_world *w)
{
    w->random ^= w->random << 13;
    w->random ^= w->random >> 7;
    w->random ^= w->random << 17;
    return w->random;
}

/* published = delivered + lost + pending, here and in the counters that users see. */
static inline void twt_assert_reconciled(twt_world *w)
{
    twi_shard_totals totals = twi_shard_count(w->shard);
    assert_int_equal(totals.published, totals.delivered + totals.lost + totals.pending);
    uint64_t sums[TWI_COUNTER_COUNT];
    twi_counters_snapshot(w->counters, sums);
    assert_int_equal(sums[TWI_COUNTER_OFFERED], totals.published);
    assert_int_equal(sums[TWI_COUNTER_DELIVERIES], totals.delivered);
    assert_int_equal(sums[TWI_COUNTER_LOST], totals.lost);
}

static inline void twt_assert_nobody_left(const twt_world *w)
{
    assert_int_equal(twi_shard_client_count(w->shard), 0);
    assert_int_equal(twi_shard_count(w->shard).pending, 0);
    for (uint32_t codec = 0; codec < TWT_CODECS; codec++)
        for (uint32_t topic = 0; topic < w->publisher->topic_count; topic++)
            assert_int_equal(w->publisher->codecs[codec].interest[topic], 0);
}

/* ---- events ---- */

static inline tw_event twt_event(const twt_world *w, uint32_t instrument, uint8_t kind)
{
    return (tw_event){.instrument = instrument,
                      .kind = kind,
                      .flags = TW_FLAG_FIRST | TW_FLAG_LAST,
                      .price_exponent = TWT_PRICE_EXPONENT,
                      .amount_exponent = TWT_AMOUNT_EXPONENT,
                      .venue_ns = w->time_ns,
                      .recv_ns = w->time_ns};
}

static inline void twt_put(twt_world *w, const tw_event *event)
{
    *tw_ring_claim(w->ring) = *event;
    tw_ring_commit(w->ring);
}

static inline void twt_put_trade(twt_world *w, uint32_t instrument)
{
    tw_event event = twt_event(w, instrument, TW_EVENT_TRADE);
    event.u.trade.price = 6400010;
    event.u.trade.amount = 12;
    twt_put(w, &event);
}

static inline void twt_put_quote(twt_world *w, uint32_t instrument)
{
    tw_event event = twt_event(w, instrument, TW_EVENT_QUOTE);
    event.u.quote.bid = 100;
    event.u.quote.bid_amount = 1;
    event.u.quote.ask = 101;
    event.u.quote.ask_amount = 2;
    twt_put(w, &event);
}

/* The best `levels` prices with random amounts; of a delta, some are deleted. */
static inline void twt_put_book(twt_world *w, uint32_t instrument, int snapshot, uint32_t levels)
{
    if (snapshot)
        memset(w->amounts[instrument], 0, sizeof w->amounts[instrument]);
    for (uint32_t i = 0; i < levels; i++) {
        uint64_t dice = twt_random(w);
        tw_event event = twt_event(w, instrument, TW_EVENT_LEVEL);
        event.u.level.price = TWT_BEST_PRICE - (int64_t)i;
        event.u.level.amount = !snapshot && dice % 4 == 0 ? 0 : 1 + (int64_t)(dice >> 8) % 1000;
        event.flags = (uint8_t)((i == 0 ? TW_FLAG_FIRST : 0) | (i + 1 == levels ? TW_FLAG_LAST : 0) |
                                (snapshot ? TW_FLAG_SNAPSHOT : 0));
        w->amounts[instrument][i] = event.u.level.amount;
        twt_put(w, &event);
    }
}

static inline void twt_put_any(twt_world *w)
{
    uint64_t dice = twt_random(w);
    uint32_t instrument = (uint32_t)((dice >> 8) % TWT_INSTRUMENTS);
    if (dice % 4 == 0)
        twt_put_trade(w, instrument);
    else if (dice % 4 == 1)
        twt_put_quote(w, instrument);
    else
        twt_put_book(w, instrument, (dice >> 16) % 64 == 0, 1 + (uint32_t)((dice >> 32) % TWT_LEVELS));
}

/* ---- a stream ---- */

typedef struct twt_stream {
    const twt_world *world;
    const tw_codec_ops *codec;
    uint8_t *bytes; /* received and not looked at */
    size_t len, cap;
    int upgraded, refused;
    uint16_t close_code; /* 0: no close frame yet */
    uint32_t pings_due;  /* with an empty payload, as the engine sends them */
    twi_ws_reader reader;
    char last_text[65536]; /* last control message */
    uint8_t known[TWT_TOPICS];
    uint64_t seq[TWT_TOPICS];
    uint64_t messages, snapshots, lost;
    uint64_t by_slot[TWI_TOPIC_SLOTS];
    int64_t amounts[TWT_INSTRUMENTS][TWT_LEVELS]; /* books, as far as subscribed */
    uint8_t book_begun[TWT_INSTRUMENTS];
    uint8_t message[65536];
    size_t message_len;
} twt_stream;

static inline void twt_stream_open(twt_stream *s, const twt_world *w, const tw_codec_ops *codec)
{
    memset(s, 0, sizeof *s);
    s->world = w;
    s->codec = codec;
    s->cap = 1 << 16;
    s->bytes = malloc(s->cap);
    twi_ws_reader_config config = {.role = TWI_WS_CLIENT};
    twi_ws_reader_init(&s->reader, &config);
}

static inline void twt_stream_close(twt_stream *s)
{
    free(s->bytes);
    s->bytes = NULL;
}

/* "sim:BTC/USDT book", for messages; the next call overwrites it. */
static inline const char *twt_topic_name(uint32_t topic)
{
    static char name[64];
    uint32_t instrument = twi_topic_instrument(topic);
    snprintf(name, sizeof name, "%s:%s %s", twt_exchanges[instrument], twt_symbols[instrument],
             twi_slot_name(twi_topic_slot(topic)));
    return name;
}

static inline uint32_t twt_slot_of(const tw_event *event)
{
    switch (event->kind) {
    case TW_EVENT_TRADE:
        return TWI_SLOT_TRADE;
    case TW_EVENT_QUOTE:
        return TWI_SLOT_QUOTE;
    case TW_EVENT_STATUS:
        return TWI_SLOT_STATUS;
    case TW_EVENT_LOSS:
        return event->u.loss.channel; /* the first four slots are the channels */
    default:
        return TWI_SLOT_BOOK;
    }
}

static inline int64_t twt_scaled(int64_t mantissa, int exponent, int wanted)
{
    for (; exponent > wanted; exponent--)
        mantissa *= 10;
    for (; exponent < wanted; exponent++) {
        assert_int_equal(mantissa % 10, 0);
        mantissa /= 10;
    }
    return mantissa;
}

static inline void twt_stream_book(twt_stream *s, const tw_record *record)
{
    const tw_event *first = record->events;
    int64_t *amounts = s->amounts[first->instrument];
    if (first->kind == TW_EVENT_BOOK_CLEAR || (first->flags & TW_FLAG_SNAPSHOT)) {
        memset(amounts, 0, sizeof s->amounts[0]);
        s->book_begun[first->instrument] = 1;
    }
    for (uint32_t i = 0; i < record->event_count; i++) {
        const tw_event *event = &record->events[i];
        if (event->kind != TW_EVENT_LEVEL)
            continue;
        int64_t level = TWT_BEST_PRICE - twt_scaled(event->u.level.price, event->price_exponent, TWT_PRICE_EXPONENT);
        assert_in_range(level, 0, TWT_LEVELS - 1);
        amounts[level] = twt_scaled(event->u.level.amount, event->amount_exponent, TWT_AMOUNT_EXPONENT);
    }
}

static inline void twt_stream_loss(twt_stream *s, const tw_event *event, uint64_t *seq)
{
    assert_int_equal(event->u.loss.from, *seq + 1);
    assert_int_equal(event->u.loss.count, event->u.loss.to - event->u.loss.from + 1);
    *seq = event->u.loss.to;
    s->lost += event->u.loss.count;
}

static inline void twt_stream_record(twt_stream *s, const tw_record *record)
{
    const tw_event *event = record->events;
    uint32_t slot = twt_slot_of(event), topic = twi_topic(event->instrument, slot);
    assert_in_range(topic, 0, TWT_TOPICS - 1);
    uint64_t *seq = &s->seq[topic];
    if (!s->known[topic])
        fail_msg("a message of %s, which is not subscribed", twt_topic_name(topic));
    if (event->kind == TW_EVENT_LOSS) {
        twt_stream_loss(s, event, seq);
        return;
    }
    if (record->seq == *seq) {
        assert_int_not_equal(slot, TWI_SLOT_TRADE); /* trades have no snapshot: this would be a duplicate */
        s->snapshots++;
    } else {
        if (record->seq != *seq + 1)
            fail_msg("%s goes from %llu to %llu", twt_topic_name(topic), (unsigned long long)*seq,
                     (unsigned long long)record->seq);
        *seq = record->seq;
        s->messages++;
        s->by_slot[slot]++;
    }
    if (slot == TWI_SLOT_BOOK)
        twt_stream_book(s, record);
}

static inline uint32_t twt_topic_of(json_t *object)
{
    const char *exchange, *symbol, *channel;
    assert_int_equal(
        json_unpack(object, "{s:s,s:s,s:s}", "exchange", &exchange, "symbol", &symbol, "channel", &channel), 0);
    int slot = twi_slot_parse(channel, strlen(channel));
    assert_true(slot >= 0);
    for (uint32_t i = 0; i < TWT_INSTRUMENTS; i++) {
        int native = strncmp(symbol, twt_symbols[i], 3) == 0 && strcmp(symbol + 3, "N") == 0;
        if (strcmp(exchange, twt_exchanges[i]) == 0 && (native || strcmp(symbol, twt_symbols[i]) == 0))
            return twi_topic(i, (uint32_t)slot);
    }
    fail_msg("%s:%s is unknown", exchange, symbol);
    return 0;
}

/* Which topics may be heard of from here on, and where they are. */
static inline void twt_stream_answer(twt_stream *s, json_t *answer)
{
    const char *op = json_string_value(json_object_get(answer, "op"));
    int subscribed = op != NULL && strcmp(op, "subscribed") == 0;
    if (!subscribed && (op == NULL || strcmp(op, "unsubscribed") != 0))
        return;
    size_t i;
    json_t *object;
    json_array_foreach(json_object_get(answer, "topics"), i, object)
    {
        uint32_t topic = twt_topic_of(object);
        if (subscribed) {
            uint64_t seq = (uint64_t)json_integer_value(json_object_get(object, "seq"));
            if (s->known[topic])
                assert_int_equal(seq, s->seq[topic]);
            s->seq[topic] = seq;
        }
        s->known[topic] = (uint8_t)subscribed;
    }
}

static inline void twt_stream_control(twt_stream *s)
{
    assert_in_range(s->message_len, 2, sizeof s->last_text - 1);
    memcpy(s->last_text, s->message, s->message_len);
    s->last_text[s->message_len] = '\0';
    json_error_t error;
    json_t *answer = json_loads(s->last_text, 0, &error);
    if (answer == NULL)
        fail_msg("%s in %s", error.text, s->last_text);
    twt_stream_answer(s, answer);
    json_decref(answer);
}

static inline void twt_stream_message(twt_stream *s, uint8_t opcode)
{
    tw_event events[256];
    uint32_t count = 256;
    tw_record record;
    tw_status status = TW_NOT_SUPPORTED;
    if (opcode == s->codec->ws_opcode)
        status = s->codec->decode(tw_ring_symbols(s->world->ring), s->message, s->message_len, events, &count, &record);
    if (status == TW_OK) {
        twt_stream_record(s, &record);
    } else {
        assert_int_equal(status, TW_NOT_SUPPORTED);
        assert_int_equal(opcode, TWI_WS_TEXT);
        twt_stream_control(s);
    }
}

/* The answer to the upgrade; the bytes behind it, or NULL while it is incomplete or a refusal. */
static inline uint8_t *twt_stream_head(twt_stream *s)
{
    uint8_t *end = memmem(s->bytes, s->len, "\r\n\r\n", 4);
    if (end == NULL)
        return NULL;
    s->upgraded = memcmp(s->bytes, "HTTP/1.1 101", 12) == 0;
    s->refused = !s->upgraded;
    return s->upgraded ? end + 4 : NULL;
}

static inline void twt_stream_parse(twt_stream *s)
{
    uint8_t *cursor = s->bytes, *end = s->bytes + s->len;
    if (!s->upgraded && (s->refused || (cursor = twt_stream_head(s)) == NULL))
        return;
    twi_ws_piece piece;
    tw_status status;
    while ((status = twi_ws_read(&s->reader, &cursor, end, &piece)) == TW_OK) {
        if (piece.opcode == TWI_WS_PING && (piece.flags & TWI_WS_LAST))
            s->pings_due++;
        if (piece.opcode >= TWI_WS_CLOSE)
            continue;
        if (piece.flags & TWI_WS_FIRST)
            s->message_len = 0;
        assert_true(s->message_len + piece.len <= sizeof s->message);
        memcpy(s->message + s->message_len, piece.data, piece.len);
        s->message_len += piece.len;
        if (piece.flags & TWI_WS_LAST)
            twt_stream_message(s, piece.opcode);
    }
    if (status == TW_CLOSED)
        s->close_code = s->reader.close_code;
    else
        assert_int_equal(status, TW_NEED_MORE);
    s->len = 0;
}

static inline void twt_stream_bytes(twt_stream *s, const uint8_t *bytes, size_t len)
{
    if (s->len + len > s->cap) {
        s->cap = (s->len + len) * 2;
        s->bytes = realloc(s->bytes, s->cap);
    }
    memcpy(s->bytes + s->len, bytes, len);
    s->len += len;
    twt_stream_parse(s);
}

/* What a subscriber has when everything has arrived: each topic's last number, and the right books. */
static inline void twt_assert_up_to_date(const twt_stream *s)
{
    for (uint32_t topic = 0; topic < TWT_TOPICS; topic++) {
        if (!s->known[topic])
            continue;
        if (s->seq[topic] != s->world->publisher->topic_seq[topic])
            fail_msg("%s stands at %llu, not %llu", twt_topic_name(topic), (unsigned long long)s->seq[topic],
                     (unsigned long long)s->world->publisher->topic_seq[topic]);
        uint32_t instrument = twi_topic_instrument(topic);
        if (twi_topic_slot(topic) == TWI_SLOT_BOOK && s->book_begun[instrument])
            assert_memory_equal(s->amounts[instrument], s->world->amounts[instrument], sizeof s->amounts[0]);
    }
}

/* An upgrade request; returns its length. */
static inline size_t twt_upgrade_text(char *out, size_t out_cap, const char *query, const char *more_headers)
{
    return (size_t)snprintf(out, out_cap,
                            "GET /v1/stream%s HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n%s\r\n",
                            query, more_headers);
}

/* A masked frame; returns its length. */
static inline size_t twt_frame(uint8_t *out, uint8_t opcode, const void *payload, size_t len)
{
    static const uint8_t mask[4] = {1, 2, 3, 4};
    size_t header = twi_ws_header_write(out, opcode, true, false, len, mask);
    memcpy(out + header, payload, len);
    twi_ws_mask(out + header, len, mask, 0);
    return header + len;
}

#endif
