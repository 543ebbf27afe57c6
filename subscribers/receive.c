/* receive.c - bytes in, callbacks out: frames, topics, sequence, decoding.
 *
 * Path:      whole unfragmented data frames, which is nearly all there is, are read where the loop put them. All else
 *            (frames cut by the end of a buffer, fragments, control frames) goes through the protocol reader, and a
 *            message in pieces through the client's own buffer. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/assert.h"
#include "engine/base/clock.h"
#include "engine/base/compiler.h"
#include "engine/proto/utf8.h"
#include "subscribers/client.h"
#include "subscribers/scan.h"

#define NS_PER_S 1000000000LL

enum { WS_FIN = 0x80, WS_MASKED = 0x80, WS_LEN_SHORT_MAX = 125, WS_LEN_16 = 126, SEQUENCES_FIRST = 16 };

static bool alive(const tw_client *client)
{
    return client->state == TW_CLIENT_OPEN || client->state == TW_CLIENT_READY;
}

/* ---- one data message ---- */

static TWI_NOINLINE bool sequences_grow(tw_client *client, uint32_t topic)
{
    uint32_t count = client->sequence_count ? client->sequence_count : SEQUENCES_FIRST;
    while (count <= topic)
        count *= 2;
    twi_sequence *sequences = realloc(client->sequences, count * sizeof *sequences);
    if (!sequences)
        return false;
    memset(sequences + client->sequence_count, 0, (count - client->sequence_count) * sizeof *sequences);
    client->sequences = sequences;
    client->sequence_count = count;
    return true;
}

twi_sequence *twi_client_sequence(tw_client *client, uint32_t topic)
{
    if (TWI_UNLIKELY(topic >= client->sequence_count) && !sequences_grow(client, topic))
        return NULL;
    return &client->sequences[topic];
}

static void step_count(tw_client_stats *stats, const tw_message *message, const twi_sequence_step *step)
{
    stats->missed_while_down += step->missed_while_down;
    if (TWI_LIKELY(step->verdict == TW_SEQUENCE_NEXT))
        return;
    if (step->verdict == TW_SEQUENCE_GAP) {
        stats->gaps++;
        stats->missing += step->missing;
    } else if (step->verdict == TW_SEQUENCE_DUPLICATE) {
        stats->duplicates++;
    }
    if (message->snapshot)
        stats->snapshots++;
}

static twi_sequence_step sequence_step(tw_client *client, const twi_scan *scan, uint32_t topic)
{
    twi_sequence *sequence = twi_client_sequence(client, topic);
    if (!sequence)
        return (twi_sequence_step){.verdict = TW_SEQUENCE_FIRST};
    if (TWI_UNLIKELY(scan->kind == TW_EVENT_LOSS)) {
        twi_sequence_step step = twi_sequence_loss(sequence, scan->from, scan->to);
        for (uint32_t i = 0; i < client->sequence_count; i++)
            twi_sequence_resync(&client->sequences[i]);
        return step;
    }
    return twi_sequence_data(sequence, scan->seq, scan->prev_seq, scan->snapshot);
}

static void loss_count(tw_client_stats *stats, const twi_scan *scan, tw_message *message)
{
    stats->losses++;
    stats->lost += scan->count;
    if (message->verdict == TW_SEQUENCE_LOSS)
        message->missing = scan->count;
}

/* What conflation folded must be what prevSeq jumps over. */
static void folded_count(tw_client_pool *pool, const twi_scan *scan)
{
    pool->stats.folded += scan->folded;
    if (scan->prev_seq == 0 || scan->seq - scan->prev_seq - 1 != scan->folded)
        twi_pool_error(pool, "folded_mismatch");
}

static void message_deliver(tw_client *client, const twi_scan *scan, const tw_record *record, const uint8_t *bytes,
                            size_t len)
{
    tw_client_pool *pool = client->pool;
    uint32_t topic = twi_topics_intern(&pool->topics, &scan->name);
    pool->stats.messages++;
    pool->stats.payload_bytes += len;
    client->message_count++;
    if (TWI_UNLIKELY(topic == TWI_TOPIC_NONE)) {
        twi_pool_error(pool, "topic_table_full");
        return;
    }
    twi_sequence_step step = sequence_step(client, scan, topic);
    tw_message message = {.record = record,
                          .bytes = bytes,
                          .bytes_len = (uint32_t)len,
                          .topic = topic,
                          .kind = scan->kind,
                          .verdict = (uint8_t)step.verdict,
                          .snapshot = scan->snapshot,
                          .is_state = step.is_state,
                          .folded = scan->folded,
                          .seq = scan->seq,
                          .prev_seq = scan->prev_seq ? scan->prev_seq : scan->seq - 1,
                          .missing = step.missing,
                          .recv_ns = scan->recv_ns,
                          .publish_ns = scan->publish_ns,
                          .arrival_ns = pool->arrival_ns};
    step_count(&pool->stats, &message, &step);
    if (TWI_UNLIKELY(scan->kind == TW_EVENT_LOSS))
        loss_count(&pool->stats, scan, &message);
    if (TWI_UNLIKELY(scan->folded != 0))
        folded_count(pool, scan);
    if (TWI_UNLIKELY(client->state == TW_CLIENT_OPEN))
        twi_client_ready(client);
    if (pool->options.callbacks.on_message)
        pool->options.callbacks.on_message(client, &message, client->owner);
}

static tw_status scan_message(const tw_client *client, const uint8_t *bytes, size_t len, twi_scan *scan)
{
    return client->binary ? twi_scan_flatbuffers(bytes, len, scan) : twi_scan_json(bytes, len, scan);
}

static uint16_t kind_channel(uint8_t kind)
{
    switch (kind) {
    case TW_EVENT_TRADE:
        return TW_CHANNEL_TRADE;
    case TW_EVENT_QUOTE:
        return TW_CHANNEL_QUOTE;
    case TW_EVENT_LEVEL:
        return TW_CHANNEL_BOOK;
    case TW_EVENT_CANDLE:
        return TW_CHANNEL_CANDLE;
    default:
        return TW_CHANNEL_STATUS;
    }
}

/* What the scan would have found, from a decoded record. */
static void scan_of_record(const tw_client_pool *pool, const tw_record *record, twi_scan *scan)
{
    const tw_event *event = &record->events[0];
    const tw_instrument *instrument = tw_symbols_get(pool->topics.symbols, event->instrument);
    TWI_ASSERT(instrument != NULL);
    *scan = (twi_scan){.name = {.exchange = instrument->exchange,
                                .symbol = instrument->symbol,
                                .exchange_len = instrument->exchange_len,
                                .symbol_len = instrument->symbol_len},
                       .kind = event->kind == TW_EVENT_BOOK_CLEAR ? (uint8_t)TW_EVENT_LEVEL : event->kind,
                       .folded = record->folded,
                       .seq = record->seq,
                       .prev_seq = record->prev_seq,
                       .recv_ns = event->recv_ns,
                       .publish_ns = record->publish_ns};
    scan->snapshot =
        event->kind == TW_EVENT_BOOK_CLEAR || (event->kind == TW_EVENT_LEVEL && (event->flags & TW_FLAG_SNAPSHOT) != 0);
    scan->name.channel = kind_channel(scan->kind);
    if (event->kind == TW_EVENT_CANDLE && record->event_count > 1)
        scan->name.interval_s = (uint32_t)(record->events[1].u.candle_tail.interval_ns / NS_PER_S);
    if (event->kind != TW_EVENT_LOSS)
        return;
    scan->name.channel = event->u.loss.channel;
    scan->name.interval_s = event->u.loss.interval_s;
    scan->from = event->u.loss.from;
    scan->to = event->u.loss.to;
    scan->count = event->u.loss.count;
    scan->seq = scan->to;
}

static tw_status message_decode(tw_client *client, const uint8_t *bytes, size_t len)
{
    tw_client_pool *pool = client->pool;
    tw_record record;
    twi_scan scan;
    uint32_t event_count = pool->options.event_count_max;
    tw_status status = client->codec->decode(pool->topics.symbols, bytes, len, pool->events, &event_count, &record);
    if (TWI_UNLIKELY(status == TW_TOO_BIG)) { /* keep the count right, though the events do not fit */
        twi_pool_error(pool, "too_many_events");
        status = scan_message(client, bytes, len, &scan);
        if (status == TW_OK)
            message_deliver(client, &scan, NULL, bytes, len);
        return status;
    }
    if (status != TW_OK)
        return status;
    scan_of_record(pool, &record, &scan);
    message_deliver(client, &scan, &record, bytes, len);
    return TW_OK;
}

static tw_status message_scan(tw_client *client, const uint8_t *bytes, size_t len)
{
    twi_scan scan;
    tw_status status = scan_message(client, bytes, len, &scan);
    if (TWI_LIKELY(status == TW_OK))
        message_deliver(client, &scan, NULL, bytes, len);
    return status;
}

static void message_take(tw_client *client, uint8_t opcode, const uint8_t *bytes, size_t len)
{
    tw_client_pool *pool = client->pool;
    bool binary = opcode == TWI_WS_BINARY;
    if (TWI_UNLIKELY(binary != client->binary)) {
        if (binary)
            twi_pool_error(pool, "unexpected_binary");
        else
            twi_client_control(client, bytes, len);
        return;
    }
    tw_status status = pool->options.decode == TW_CLIENT_DECODE_SCAN ? message_scan(client, bytes, len)
                                                                     : message_decode(client, bytes, len);
    if (TWI_LIKELY(status == TW_OK))
        return;
    if (status == TW_NOT_SUPPORTED && !binary)
        twi_client_control(client, bytes, len);
    else
        twi_pool_error(pool, "malformed");
}

/* ---- frames ---- */

static void reader_failed(tw_client *client, tw_status status)
{
    const char *reason = twi_ws_error_reason(client->reader.error);
    twi_pool_error(client->pool, status == TW_TOO_BIG ? "message_too_big" : "protocol_error");
    client->end_status = status;
    snprintf(client->end_reason, sizeof client->end_reason, "protocol: %s", reason);
    twi_client_close_begin(client, twi_ws_error_close_code(client->reader.error), reason);
}

/* RFC 6455 section 5.5.1: answer a close frame with a close frame. */
static void close_received(tw_client *client)
{
    char name[TWI_CLIENT_ERROR_NAME_MAX + 1];
    uint16_t code = client->reader.close_code;
    size_t skip = client->control.payload_len < 2 ? client->control.payload_len : 2;
    if (client->state == TW_CLIENT_CLOSING)
        return; /* the answer to ours; the server hangs up */
    snprintf(client->end_reason, sizeof client->end_reason, "close %u %.*s", code,
             (int)(client->control.payload_len - skip), (const char *)client->control.payload + skip);
    client->end_status = code == 4002 ? TW_SLOW_CONSUMER : TW_CLOSED;
    client->final = client->final || (code >= 4500 && code <= 4599); /* the protocol: do not reconnect as you are */
    if (code != TWI_WS_CODE_NORMAL) {
        snprintf(name, sizeof name, "close_%u", code);
        twi_pool_error(client->pool, name);
    }
    twi_client_close_begin(client, twi_ws_close_reply_code(code), NULL);
}

static void control_piece(tw_client *client, const twi_ws_piece *piece)
{
    if (!twi_ws_control_add(&client->control, piece))
        return;
    if (client->control.opcode == TWI_WS_CLOSE) {
        close_received(client);
        return;
    }
    if (client->control.opcode != TWI_WS_PING)
        return;
    if (twi_client_frame(client, TWI_WS_PONG, client->control.payload, client->control.payload_len) != TW_OK)
        twi_pool_error(client->pool, "pong_not_sent");
    twi_client_flush(client);
}

static void message_piece(tw_client *client, const twi_ws_piece *piece)
{
    enum { WHOLE = TWI_WS_FIRST | TWI_WS_LAST };
    if ((piece->flags & WHOLE) == WHOLE) {
        message_take(client, piece->opcode, piece->data, piece->len);
        return;
    }
    tw_status status = twi_ws_message_add(&client->partial, piece);
    if (status == TW_OK)
        message_take(client, client->partial.opcode, client->partial.data, client->partial.len);
    else if (status != TW_NEED_MORE)
        twi_client_end(client, status, "no_memory", "no memory for a message of %zu bytes", client->partial.len);
}

static bool reader_idle(const twi_ws_reader *reader)
{
    return reader->message_opcode == 0 && reader->header_len == 0;
}

/* Until the reader is between frames again. Returns where it stopped, NULL when the connection is over. */
static uint8_t *frames_general(tw_client *client, uint8_t *at, uint8_t *end)
{
    twi_ws_piece piece;
    do {
        tw_status status = twi_ws_read(&client->reader, &at, end, &piece);
        if (status == TW_NEED_MORE || status == TW_CLOSED)
            return NULL;
        if (status != TW_OK) {
            reader_failed(client, status);
            return NULL;
        }
        if (piece.opcode >= TWI_WS_CLOSE)
            control_piece(client, &piece);
        else if (alive(client))
            message_piece(client, &piece);
    } while (!reader_idle(&client->reader) && !client->closing);
    return client->closing ? NULL : at;
}

/* Length of a whole data frame at `at`, its payload in *payload; 0 if it is anything else. */
static inline size_t frame_whole(const tw_client *client, const uint8_t *at, const uint8_t *end, size_t *header_bytes)
{
    size_t here = (size_t)(end - at);
    if (here < 4 || (at[0] != (WS_FIN | TWI_WS_TEXT) && at[0] != (WS_FIN | TWI_WS_BINARY)))
        return 0;
    size_t payload_len = at[1];
    *header_bytes = 2;
    if (payload_len > WS_LEN_SHORT_MAX) {
        if (payload_len != WS_LEN_16)
            return 0;
        payload_len = (size_t)at[2] << 8 | at[3];
        *header_bytes = 4;
        if (payload_len <= WS_LEN_SHORT_MAX)
            return 0;
    }
    if (payload_len + *header_bytes > here || payload_len > client->pool->options.message_bytes_max)
        return 0;
    return payload_len + *header_bytes;
}

/* RFC 6455 section 8.1: text that is no UTF-8 fails the connection. The light scan does not look at all of it. */
static bool text_valid(tw_client *client, const uint8_t *frame, size_t header_bytes, size_t frame_bytes)
{
    if (client->pool->options.decode == TW_CLIENT_DECODE_SCAN || (frame[0] & ~WS_FIN) != TWI_WS_TEXT)
        return true;
    if (twi_utf8_valid(frame + header_bytes, frame_bytes - header_bytes))
        return true;
    twi_ws_reader_fail(&client->reader, TWI_WS_ERROR_UTF8);
    reader_failed(client, TW_MALFORMED);
    return false;
}

static void frames(tw_client *client, const uint8_t *bytes, size_t len)
{
    /* The reader unmasks in place, but a server's frames are not masked, and one that is fails before its payload. */
    uint8_t *at = (uint8_t *)(uintptr_t)bytes;
    uint8_t *end = at + len;
    size_t header_bytes;
    while (at && at < end) {
        if (TWI_UNLIKELY(client->reader.error != TWI_WS_ERROR_NONE))
            return; /* our close frame is on its way */
        if (TWI_UNLIKELY(!reader_idle(&client->reader) || !alive(client))) {
            at = frames_general(client, at, end);
            continue;
        }
        size_t frame_bytes = frame_whole(client, at, end, &header_bytes);
        if (TWI_UNLIKELY(frame_bytes == 0)) {
            at = frames_general(client, at, end);
            continue;
        }
        if (!text_valid(client, at, header_bytes, frame_bytes))
            return;
        message_take(client, at[0] & ~WS_FIN, at + header_bytes, frame_bytes - header_bytes);
        at += frame_bytes;
        if (TWI_UNLIKELY(client->closing))
            return;
    }
}

void twi_client_bytes(tw_client *client, const uint8_t *bytes, size_t len)
{
    tw_client_pool *pool = client->pool;
    pool->arrival_ns = twi_realtime_ns();
    pool->stats.received_bytes += len;
    pool->stats.batches++;
    client->last_recv_ns = pool->now_ns;
    if (TWI_UNLIKELY(client->state == TW_CLIENT_HANDSHAKE)) {
        size_t used = twi_client_upgrade(client, bytes, len);
        bytes += used;
        len -= used;
    }
    if (!client->closing && client->state >= TW_CLIENT_OPEN)
        frames(client, bytes, len);
}
