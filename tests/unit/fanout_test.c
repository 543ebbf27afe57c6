/* fanout_test.c - ring, publisher and shard together, turned by hand in one thread, against real sockets. */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "engine/base/clock.h"
#include "engine/fanout/publisher.h"
#include "engine/fanout/shard.h"
#include "engine/proto/ws.h"
#include "tickwire/codec.h"
#include "tickwire/ring.h"

enum { INSTRUMENTS = 4, BUFFER_BYTES = 8 << 20, SEEN_TOPICS = INSTRUMENTS * TWI_TOPIC_SLOTS, TURNS_UNTIL_QUIET = 8 };

typedef struct world {
    tw_ring *ring;
    tw_ring_reader *reader;
    twi_publisher *publisher;
    twi_shard *shard;
    twi_loop *loop;
    twi_join_link *link;
    void *counter_memory;
    twi_counters *counters;
    twi_cells *cells;
    uint16_t port;
    int64_t time_ns;
    uint32_t instruments[INSTRUMENTS];
    uint64_t random;
} world;

#define PATIENCE_NS INT64_C(20000000000)

static const char *const symbol_names[INSTRUMENTS] = {"BTC/USDT", "ETH/USDT", "SOL/USDT", "XRP/USDT"};

static int64_t world_time(void *owner)
{
    return ((world *)owner)->time_ns += 1000000;
}

static void no_http(void *owner, const twi_http_request *request, twi_buffer *out)
{
    (void)owner;
    (void)request;
    twi_buffer_text(out, "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n");
}

typedef struct world_options {
    size_t log_bytes;
    int policy;
    uint32_t connection_count_max;
    const char *const *tokens;
    uint32_t token_count;
    const char *loop;
    uint32_t socket_send_bytes;
} world_options;

static world *world_open(world_options options)
{
    char error[512];
    world *w = calloc(1, sizeof *w);
    w->time_ns = 1700000000000000000;
    w->random = 88172645463325252u;
    tw_ring_options ring = {.slot_count = 4096, .instrument_count_max = INSTRUMENTS, .mode = 0600};
    assert_int_equal(tw_ring_open(&ring, &w->ring, error, sizeof error), TW_OK);
    assert_int_equal(tw_ring_reader_open(w->ring, &w->reader), TW_OK);
    for (uint32_t i = 0; i < INSTRUMENTS; i++) {
        const char *name = symbol_names[i];
        char native[8] = {name[0], name[1], name[2], 'N', 0};
        assert_int_equal(tw_symbols_intern(tw_ring_symbols(w->ring), i < 3 ? "sim" : "other", i < 3 ? 3 : 5, name,
                                           strlen(name), native, strlen(native), &w->instruments[i]),
                         TW_OK);
    }
    size_t counter_bytes = twi_counters_bytes(4, 4);
    w->counter_memory = aligned_alloc(64, (counter_bytes + 63) / 64 * 64);
    w->counters = twi_counters_init(w->counter_memory, 4, 4);
    w->cells = twi_counters_open(w->counters, "", "");
    w->publisher = aligned_alloc(64, (sizeof *w->publisher + 63) / 64 * 64);
    twi_publisher_config publisher = {
        .reader = w->reader,
        .codecs = {&tw_codec_json},
        .codec_count = 1,
        .instrument_count_max = INSTRUMENTS,
        .book_depth_max = 50,
        .log_bytes = options.log_bytes != 0 ? options.log_bytes : 1 << 20,
        .log_index_slots = 1 << 14,
        .counters = w->cells,
        .published_latency = twi_counters_stage_open(w->counters, TWI_STAGE_RING_TO_PUBLISHED),
        .realtime_ns = world_time,
        .realtime_owner = w,
    };
    if (twi_publisher_open(w->publisher, &publisher, error, sizeof error) != TW_OK)
        fail_msg("%s", error);
    twi_loop_config loop = {.sock_count_max = 400, .socket_send_bytes = options.socket_send_bytes};
    if (twi_loop_open(options.loop != NULL         ? options.loop
                      : getenv("TWT_LOOP") != NULL ? getenv("TWT_LOOP")
                                                   : "auto",
                      &loop, &w->loop, error, sizeof error) != TW_OK)
        fail_msg("%s", error);
    w->link = aligned_alloc(64, (sizeof *w->link + 63) / 64 * 64);
    memset(w->link, 0, sizeof *w->link);
    twi_shard_config shard = {
        .loop = w->loop,
        .symbols = tw_ring_reader_symbols(w->reader),
        .codecs = {&tw_codec_json},
        .logs = {&w->publisher->codecs[0].log},
        .interest = {w->publisher->codecs[0].interest},
        .codec_count = 1,
        .topic_count = w->publisher->topic_count,
        .link = w->link,
        .http = no_http,
        .counters = w->cells,
        .sent_latency = twi_counters_stage_open(w->counters, TWI_STAGE_PUBLISHED_TO_SENT),
        .epoch = 0x1234,
        .realtime_ns = world_time,
        .realtime_owner = w,
        .connection_count_max = options.connection_count_max != 0 ? options.connection_count_max : 300,
        .subscription_count_max = 64,
        .group_count_max = 64,
        .message_bytes_max = 4096,
        .http_head_bytes_max = 4096,
        .lag_percent_max = 50,
        .default_policy = options.policy,
        .handshake_timeout_ns = 5000000000,
        .ping_interval_ns = 20000000000,
        .pong_timeout_ns = 20000000000,
        .heartbeat_ns = 10000000000,
        .tokens = options.tokens,
        .token_count = options.token_count,
        .version = "test",
    };
    assert_int_equal(twi_shard_open(&shard, &w->shard, error, sizeof error), TW_OK);
    twi_publisher_add_link(w->publisher, w->link);
    twi_sock listener;
    twi_address address = {.host = "127.0.0.1", .backlog = 512};
    if (w->loop->ops->listen(w->loop, &address, &listener, error, sizeof error) != TW_OK)
        fail_msg("%s", error);
    w->port = w->loop->ops->local_port(w->loop, listener);
    twi_shard_listen(w->shard, listener);
    return w;
}

static void world_close(world *w)
{
    w->loop->ops->close_loop(w->loop);
    twi_shard_close(w->shard);
    twi_publisher_close(w->publisher);
    free(w->publisher);
    tw_ring_reader_close(w->reader);
    tw_ring_close(w->ring);
    free(w->link);
    free(w->counter_memory);
    free(w);
}

static uint32_t turn(world *w)
{
    uint32_t work = twi_publisher_step(w->publisher);
    return work + twi_shard_step(w->shard, 0);
}

static void settle(world *w)
{
    for (int quiet = 0, turns = 0; quiet < TURNS_UNTIL_QUIET && turns < 100000; turns++)
        quiet = turn(w) == 0 ? quiet + 1 : 0;
}

static uint64_t random_number(world *w)
{
    w->random ^= w->random << 13;
    w->random ^= w->random >> 7;
    w->random ^= w->random << 17;
    return w->random;
}

/* ---- events ---- */

static void put(world *w, const tw_event *event)
{
    *tw_ring_claim(w->ring) = *event;
    tw_ring_commit(w->ring);
}

static void put_trade(world *w, uint32_t instrument)
{
    tw_event event = {.instrument = instrument,
                      .kind = TW_EVENT_TRADE,
                      .flags = TW_FLAG_FIRST | TW_FLAG_LAST,
                      .price_exponent = -2,
                      .amount_exponent = -3,
                      .venue_ns = w->time_ns,
                      .recv_ns = w->time_ns,
                      .u.trade = {.price = 6400010, .amount = 12}};
    put(w, &event);
}

static void put_quote(world *w, uint32_t instrument)
{
    tw_event event = {.instrument = instrument,
                      .kind = TW_EVENT_QUOTE,
                      .flags = TW_FLAG_FIRST | TW_FLAG_LAST,
                      .price_exponent = -2,
                      .amount_exponent = -3,
                      .recv_ns = w->time_ns,
                      .u.quote = {.bid = 100, .bid_amount = 1, .ask = 101, .ask_amount = 2}};
    put(w, &event);
}

static void put_book(world *w, uint32_t instrument, int snapshot, uint32_t levels)
{
    for (uint32_t i = 0; i < levels; i++) {
        tw_event event = {.instrument = instrument,
                          .kind = TW_EVENT_LEVEL,
                          .price_exponent = -2,
                          .amount_exponent = -3,
                          .recv_ns = w->time_ns,
                          .u.level = {.price = 1000 - (int64_t)i, .amount = 5 + (int64_t)i}};
        event.flags = (uint8_t)((i == 0 ? TW_FLAG_FIRST : 0) | (i + 1 == levels ? TW_FLAG_LAST : 0) |
                                (snapshot ? TW_FLAG_SNAPSHOT : 0));
        put(w, &event);
    }
}

/* ---- a raw client ---- */

typedef struct peer {
    int fd;
    uint8_t *bytes; /* received and not looked at */
    size_t len;
    int upgraded, closed;
    uint16_t close_code;
    twi_ws_reader reader;
    tw_symbols *symbols;
    void *symbol_memory;
    char last_text[65536]; /* last control message */
    uint64_t seq[SEEN_TOPICS];
    uint64_t messages, snapshots, lost, gaps;
    uint64_t by_slot[TWI_TOPIC_SLOTS];
    uint8_t message[1 << 20];
    size_t message_len;
} peer;

static peer *peer_connect(world *w, int receive_bytes)
{
    peer *p = calloc(1, sizeof *p);
    p->bytes = malloc(BUFFER_BYTES);
    p->symbol_memory = aligned_alloc(64, (tw_symbols_size(64) + 63) / 64 * 64);
    p->symbols = tw_symbols_init(p->symbol_memory, 64);
    p->fd = socket(AF_INET, SOCK_STREAM, 0);
    if (receive_bytes > 0)
        setsockopt(p->fd, SOL_SOCKET, SO_RCVBUF, &receive_bytes, sizeof receive_bytes);
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons(w->port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    assert_int_equal(connect(p->fd, (struct sockaddr *)&address, sizeof address), 0);
    fcntl(p->fd, F_SETFL, O_NONBLOCK);
    return p;
}

static void peer_free(peer *p)
{
    if (p->fd >= 0)
        close(p->fd);
    free(p->bytes);
    free(p->symbol_memory);
    free(p);
}

static void peer_write(peer *p, const void *bytes, size_t len)
{
    assert_int_equal(send(p->fd, bytes, len, MSG_NOSIGNAL), len);
}

static void peer_upgrade(peer *p, const char *query, const char *more_headers)
{
    char text[2048];
    int len = snprintf(text, sizeof text,
                       "GET /v1/stream%s HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                       "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n%s\r\n",
                       query, more_headers);
    peer_write(p, text, (size_t)len);
    twi_ws_reader_config config = {.role = TWI_WS_CLIENT};
    twi_ws_reader_init(&p->reader, &config);
}

static void peer_text(peer *p, const char *text)
{
    uint8_t frame[8192];
    static const uint8_t mask[4] = {1, 2, 3, 4};
    size_t len = strlen(text);
    size_t header = twi_ws_header_write(frame, TWI_WS_TEXT, true, false, len, mask);
    memcpy(frame + header, text, len);
    twi_ws_mask(frame + header, len, mask, 0);
    peer_write(p, frame, header + len);
}

static uint32_t slot_of(const tw_event *event)
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

static void peer_record(peer *p, const tw_record *record)
{
    const tw_event *event = record->events;
    uint32_t slot = slot_of(event);
    uint64_t *seq = &p->seq[twi_topic(event->instrument, slot)];
    if (event->kind == TW_EVENT_LOSS) {
        if (*seq != 0) /* else the topic's number stands in the answer to the subscription only */
            assert_int_equal(event->u.loss.from, *seq + 1);
        assert_int_equal(event->u.loss.count, event->u.loss.to - event->u.loss.from + 1);
        *seq = event->u.loss.to;
        p->lost += event->u.loss.count;
        return;
    }
    int joined = *seq != 0;
    if (joined && record->seq == *seq) {
        p->snapshots++; /* the state at a join */
        return;
    }
    if (joined && record->seq != *seq + 1)
        p->gaps++;
    *seq = record->seq;
    p->messages++;
    p->by_slot[slot]++;
}

static void peer_message(peer *p, uint8_t opcode)
{
    tw_event events[256];
    uint32_t count = 256;
    tw_record record;
    tw_status status = tw_codec_json.decode(p->symbols, p->message, p->message_len, events, &count, &record);
    if (status == TW_OK) {
        peer_record(p, &record);
    } else {
        assert_int_equal(status, TW_NOT_SUPPORTED);
        assert_int_equal(opcode, TWI_WS_TEXT);
        size_t len = p->message_len < sizeof p->last_text - 1 ? p->message_len : sizeof p->last_text - 1;
        memcpy(p->last_text, p->message, len);
        p->last_text[len] = '\0';
    }
}

static void peer_parse(peer *p)
{
    uint8_t *cursor = p->bytes, *end = p->bytes + p->len;
    if (!p->upgraded) {
        uint8_t *head = memmem(p->bytes, p->len, "\r\n\r\n", 4);
        if (head == NULL)
            return;
        p->upgraded = memcmp(p->bytes, "HTTP/1.1 101", 12) == 0;
        if (!p->upgraded) {
            p->closed = 1;
            return;
        }
        cursor = head + 4;
    }
    twi_ws_piece piece;
    tw_status status;
    while ((status = twi_ws_read(&p->reader, &cursor, end, &piece)) == TW_OK) {
        if (piece.opcode >= TWI_WS_CLOSE)
            continue;
        if (piece.flags & TWI_WS_FIRST)
            p->message_len = 0;
        assert_true(p->message_len + piece.len <= sizeof p->message);
        memcpy(p->message + p->message_len, piece.data, piece.len);
        p->message_len += piece.len;
        if (piece.flags & TWI_WS_LAST)
            peer_message(p, piece.opcode);
    }
    if (status == TW_CLOSED)
        p->close_code = p->reader.close_code;
    else
        assert_int_equal(status, TW_NEED_MORE);
    p->len = 0;
}

/* Takes at most `max` bytes from the socket. */
static void peer_read(peer *p, size_t max)
{
    while (max > 0 && !p->closed) {
        size_t room = BUFFER_BYTES - p->len;
        ssize_t n = recv(p->fd, p->bytes + p->len, room < max ? room : max, 0);
        if (n <= 0) {
            p->closed = n == 0 || (errno != EAGAIN && errno != EWOULDBLOCK);
            break;
        }
        p->len += (size_t)n;
        max -= (size_t)n;
        peer_parse(p);
    }
}

static void exchange(world *w, peer **peers, size_t count)
{
    for (int i = 0; i < 20; i++) {
        settle(w);
        for (size_t k = 0; k < count; k++)
            if (peers[k] != NULL)
                peer_read(peers[k], SIZE_MAX);
    }
}

static peer *subscribe(world *w, const char *query)
{
    peer *p = peer_connect(w, 0);
    peer_upgrade(p, query, "");
    exchange(w, &p, 1);
    assert_true(p->upgraded);
    return p;
}

static void assert_reconciled(world *w)
{
    twi_shard_totals totals = twi_shard_count(w->shard);
    assert_int_equal(totals.published, totals.delivered + totals.lost + totals.pending);
    uint64_t sums[TWI_COUNTER_COUNT];
    twi_counters_snapshot(w->counters, sums);
    assert_int_equal(sums[TWI_COUNTER_OFFERED], totals.published);
    assert_int_equal(sums[TWI_COUNTER_DELIVERIES], totals.delivered);
    assert_int_equal(sums[TWI_COUNTER_LOST], totals.lost);
}

/* ---- tests ---- */

static void test_snapshot_joins_stream(void **state)
{
    (void)state;
    world *w = world_open((world_options){0});
    put_book(w, 0, 1, 20);
    put_quote(w, 0);
    put_trade(w, 0);
    settle(w);
    peer *p = subscribe(w, "?channels=trade,quote,book,status&symbols=sim:BTC/USDT");
    assert_non_null(strstr(p->last_text, "\"op\":\"subscribed\""));
    assert_non_null(strstr(p->last_text, "\"channel\":\"book\",\"seq\":1,\"state\":\"ok\""));
    assert_int_equal(p->by_slot[TWI_SLOT_BOOK], 1);
    assert_int_equal(p->by_slot[TWI_SLOT_QUOTE], 1);
    assert_int_equal(p->by_slot[TWI_SLOT_STATUS], 1);
    assert_int_equal(p->by_slot[TWI_SLOT_TRADE], 0);
    for (int i = 0; i < 100; i++) {
        put_book(w, 0, 0, 3);
        put_trade(w, 0);
        put_quote(w, 1);
        exchange(w, &p, 1);
    }
    assert_int_equal(p->by_slot[TWI_SLOT_BOOK], 101);
    assert_int_equal(p->by_slot[TWI_SLOT_TRADE], 100);
    assert_int_equal(p->by_slot[TWI_SLOT_QUOTE], 1);
    assert_int_equal(p->gaps, 0);
    assert_reconciled(w);
    peer_free(p);
    world_close(w);
}

static void test_sets_of_topics_are_kept_apart(void **state)
{
    (void)state;
    world *w = world_open((world_options){0});
    peer *all = subscribe(w, "?channels=trade,quote&symbols=*");
    peer *one = subscribe(w, "?channels=trade&symbols=sim:ETH/USDT");
    peer *venue = subscribe(w, "?channels=trade&symbols=sim:*");
    peer *none = subscribe(w, "");
    peer *peers[] = {all, one, venue, none};
    for (int round = 0; round < 50; round++)
        for (uint32_t i = 0; i < INSTRUMENTS; i++) {
            put_trade(w, i);
            put_quote(w, i);
        }
    exchange(w, peers, 4);
    assert_int_equal(all->messages, 50 * INSTRUMENTS * 2);
    assert_int_equal(one->messages, 50);
    assert_int_equal(venue->messages, 50 * 3);
    assert_int_equal(none->messages, 0);
    for (int i = 0; i < 4; i++) {
        assert_int_equal(peers[i]->gaps, 0);
        peer_free(peers[i]);
    }
    settle(w);
    assert_reconciled(w);
    world_close(w);
}

static void test_control_messages(void **state)
{
    (void)state;
    world *w = world_open((world_options){0});
    peer *p = subscribe(w, "");
    static const struct {
        const char *request, *answer;
    } cases[] = {
        {"{\"op\":\"ping\",\"id\":4}", "{\"op\":\"pong\",\"id\":4,\"time_ns\":"},
        {"{\"op\":\"ping\",\"id\":\"a b\"}", "\"id\":\"a b\""},
        {"{\"op\":\"list\",\"id\":1}", "{\"op\":\"subscriptions\",\"id\":1,\"topics\":[]}"},
        {"{\"op\":\"subscribe\",\"id\":2,\"channels\":[\"trade\",\"nope\"],\"symbols\":[\"sim:BTCN\",\"sim:FOO/USD\"]}",
         "{\"op\":\"subscribed\",\"id\":2,\"topics\":[{\"exchange\":\"sim\",\"symbol\":\"BTCN\",\"channel\":\"trade\","
         "\"seq\":0}]"
         ",\"errors\":[{\"channel\":\"nope\",\"code\":5,"},
        {"{\"op\":\"list\"}", "[{\"exchange\":\"sim\",\"symbol\":\"BTC/USDT\",\"channel\":\"trade\"}]"},
        {"{\"op\":\"unsubscribe\",\"id\":3,\"channels\":[\"trade\"],\"symbols\":[\"*\"]}",
         "{\"op\":\"unsubscribed\",\"id\":3,"},
        {"{\"op\":\"list\"}", "\"topics\":[]"},
        {"{\"op\":\"subscribe\",\"id\":5}", "\"name\":\"BadRequest\""},
        {"{\"op\":\"dance\",\"id\":6}", "\"id\":6,\"code\":2,\"name\":\"BadRequest\""},
        {"no json", "\"name\":\"BadRequest\""},
        {"{\"op\":\"subscribe\",\"id\":7,\"channels\":[\"trade\"],\"symbols\":[\"BTC/USDT\"]}",
         "\"name\":\"BadSymbol\""},
        {"{\"op\":\"subscribe\",\"id\":7,\"channels\":[\"trade\"],\"symbols\":[\"*\"],\"policy\":\"magic\"}",
         "NotSupported"},
        {"{\"op\":\"subscribe\",\"id\":{},\"channels\":[\"trade\"],\"symbols\":[\"*\"]}", "id must be"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        p->last_text[0] = '\0';
        peer_text(p, cases[i].request);
        exchange(w, &p, 1);
        if (strstr(p->last_text, cases[i].answer) == NULL)
            fail_msg("%s\n gave %s\n not  %s", cases[i].request, p->last_text, cases[i].answer);
    }
    peer_free(p);
    world_close(w);
}

static void test_many_requests_at_once_are_answered_in_order(void **state)
{
    (void)state;
    world *w = world_open((world_options){0});
    peer *p = subscribe(w, "");
    char text[256];
    for (int i = 0; i < 200; i++) {
        snprintf(text, sizeof text, "{\"op\":\"%s\",\"id\":%d,\"channels\":[\"trade\"],\"symbols\":[\"*\"]}",
                 i % 2 ? "unsubscribe" : "subscribe", i);
        peer_text(p, text);
    }
    peer_text(p, "{\"op\":\"ping\",\"id\":\"end\"}");
    exchange(w, &p, 1);
    assert_non_null(strstr(p->last_text, "{\"op\":\"pong\",\"id\":\"end\""));
    peer_free(p);
    world_close(w);
}

static void test_bad_frames_get_their_close_code(void **state)
{
    (void)state;
    static const struct {
        uint8_t bytes[16];
        size_t len;
        uint16_t code;
    } cases[] = {
        {{0x81, 0x02, 'h', 'i'}, 4, 1002},               /* not masked */
        {{0xF1, 0x80, 0, 0, 0, 0}, 6, 1002},             /* reserved bits */
        {{0x82, 0x81, 0, 0, 0, 0, 'x'}, 7, 1003},        /* binary control */
        {{0x81, 0x82, 0, 0, 0, 0, 0xC3, 0x28}, 8, 1007}, /* not UTF-8 */
        {{0x81, 0xFE, 0x20, 0x00, 0, 0, 0, 0}, 8, 1009}, /* 8192 > 4096 */
        {{0x83, 0x80, 0, 0, 0, 0}, 6, 1002},             /* unknown opcode */
        {{0x88, 0x82, 0, 0, 0, 0, 0x03, 0xE8}, 8, 1000}, /* a close is answered with its code */
    };
    world *w = world_open((world_options){0});
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        peer *p = subscribe(w, "?channels=trade&symbols=*");
        peer_write(p, cases[i].bytes, cases[i].len);
        exchange(w, &p, 1);
        assert_int_equal(p->close_code, cases[i].code);
        assert_true(p->closed);
        peer_free(p);
    }
    settle(w);
    assert_int_equal(twi_shard_client_count(w->shard), 0);
    world_close(w);
}

static void test_limits_and_tokens(void **state)
{
    (void)state;
    static const char *const tokens[] = {"secret"};
    world *w = world_open((world_options){.connection_count_max = 2, .tokens = tokens, .token_count = 1});
    peer *wrong = subscribe(w, "?token=guess");
    assert_int_equal(wrong->close_code, 4500);
    peer_free(wrong);
    peer *a = peer_connect(w, 0), *b = peer_connect(w, 0), *c = peer_connect(w, 0);
    peer *peers[] = {a, b, c};
    peer_upgrade(a, "", "Authorization: Bearer secret\r\n");
    exchange(w, peers, 1);
    peer_upgrade(b, "?token=secret", "");
    exchange(w, peers, 2);
    peer_upgrade(c, "?token=secret", "");
    exchange(w, peers, 3);
    assert_int_equal(a->close_code, 0);
    assert_int_equal(b->close_code, 0);
    assert_int_equal(c->close_code, 4502);
    for (int i = 0; i < 3; i++)
        peer_free(peers[i]);
    world_close(w);
}

/* Publishes until the one that does not read must have been noticed, while the other reads everything. */
static void run_slow(world *w, peer *slow, peer *quick, uint64_t trades)
{
    for (uint64_t i = 0; i < trades; i++) {
        put_trade(w, (uint32_t)(i % INSTRUMENTS));
        if (i % 50 == 49) {
            settle(w);
            peer_read(quick, SIZE_MAX);
        }
    }
    (void)slow;
    settle(w);
    peer_read(quick, SIZE_MAX);
}

static void test_slow_client_is_cut_off_and_nobody_else_notices(void **state)
{
    (void)state;
    world *w = world_open((world_options){.policy = TWI_POLICY_ALL, .socket_send_bytes = 16384});
    peer *slow = peer_connect(w, 8192);
    peer_upgrade(slow, "?channels=trade&symbols=*", "");
    peer *quick = subscribe(w, "?channels=trade&symbols=*");
    run_slow(w, slow, quick, 20000);
    assert_int_equal(quick->messages, 20000);
    assert_int_equal(quick->gaps, 0);
    peer *peers[] = {slow, quick};
    exchange(w, peers, 2);
    assert_int_equal(slow->close_code, 4002);
    assert_non_null(strstr(slow->last_text, "{\"op\":\"bye\",\"code\":4002"));
    assert_int_equal(slow->gaps, 0);
    assert_reconciled(w);
    twi_shard_totals totals = twi_shard_count(w->shard);
    assert_int_equal(totals.delivered, slow->messages + quick->messages);
    assert_int_equal(totals.lost, 20000 - slow->messages);
    peer_free(slow);
    peer_free(quick);
    world_close(w);
}

static void test_dropping_client_is_told_what_it_missed(void **state)
{
    (void)state;
    world *w = world_open((world_options){.socket_send_bytes = 16384});
    put_book(w, 0, 1, 20);
    settle(w);
    peer *slow = peer_connect(w, 8192);
    peer_upgrade(slow, "?channels=trade,book&symbols=*&policy=drop", "");
    peer *quick = subscribe(w, "?channels=trade&symbols=*");
    for (int round = 0; round < 4; round++) {
        run_slow(w, slow, quick, 9000);
        put_book(w, 0, 0, 2);
        peer *peers[] = {slow, quick};
        exchange(w, peers, 2);
    }
    assert_int_equal(slow->close_code, 0);
    assert_int_equal(slow->gaps, 0);
    assert_true(slow->lost > 0);
    uint64_t trades = 0;
    for (uint32_t i = 0; i < INSTRUMENTS; i++)
        trades += slow->seq[twi_topic(i, TWI_SLOT_TRADE)];
    assert_int_equal(trades, 36000); /* each topic was followed to its last number */
    assert_int_equal(quick->messages, 36000);
    assert_reconciled(w);
    peer_free(slow);
    peer_free(quick);
    world_close(w);
}

/* Clients come, go, change their minds, read in bits or not at all; at the end every number adds up. */
static void churn(const char *loop, uint64_t seed)
{
    enum { PEERS = 24, ROUNDS = 1500 };
    static const char *const queries[] = {
        "?channels=trade&symbols=*",
        "?channels=trade,quote,book&symbols=sim:*",
        "?channels=book&symbols=sim:BTC/USDT",
        "?channels=quote&symbols=*&policy=drop",
        "?channels=trade,book&symbols=*&policy=drop",
        "",
    };
    world *w = world_open((world_options){.log_bytes = 1 << 18, .loop = loop, .socket_send_bytes = 8192});
    w->random += seed * 7919;
    for (uint32_t i = 0; i < INSTRUMENTS; i++)
        put_book(w, i, 1, 30);
    peer *peers[PEERS] = {0};
    for (int round = 0; round < ROUNDS; round++) {
        uint64_t choice = random_number(w);
        peer **p = &peers[choice % PEERS];
        if (*p == NULL) {
            *p = peer_connect(w, choice & 256 ? 4096 : 0);
            peer_upgrade(*p, queries[(choice >> 9) % 6], "");
        } else if ((choice >> 12) % 16 == 0 || (*p)->closed) {
            assert_int_equal((*p)->gaps, 0);
            peer_free(*p);
            *p = NULL;
        } else if ((choice >> 12) % 16 == 1 && (*p)->close_code == 0) {
            peer_text(*p, (choice >> 20) & 1
                              ? "{\"op\":\"subscribe\",\"channels\":[\"quote\"],\"symbols\":[\"*\"]}"
                              : "{\"op\":\"unsubscribe\",\"channels\":[\"trade\"],\"symbols\":[\"sim:*\"]}");
        } else {
            peer_read(*p, (choice >> 16) % 20000);
        }
        for (uint64_t events = (choice >> 32) % 40; events > 0; events--) {
            uint32_t instrument = (uint32_t)(random_number(w) % INSTRUMENTS);
            switch (random_number(w) % 4) {
            case 0:
                put_trade(w, instrument);
                break;
            case 1:
                put_quote(w, instrument);
                break;
            default:
                put_book(w, instrument, random_number(w) % 64 == 0, 1 + (uint32_t)(random_number(w) % 30));
            }
        }
        for (uint64_t turns = (choice >> 48) % 6; turns > 0; turns--)
            turn(w);
        if (round % 100 == 0)
            assert_reconciled(w);
    }
    exchange(w, peers, PEERS);
    assert_reconciled(w);
    for (int i = 0; i < PEERS; i++) {
        if (peers[i] == NULL)
            continue;
        assert_int_equal(peers[i]->gaps, 0);
        peer_free(peers[i]);
    }
    /* The kernel may take its time to say that a peer has gone. */
    for (int64_t patience_ns = twi_monotonic_ns() + PATIENCE_NS;
         twi_shard_client_count(w->shard) > 0 && twi_monotonic_ns() < patience_ns;)
        turn(w);
    assert_reconciled(w);
    assert_int_equal(twi_shard_client_count(w->shard), 0);
    assert_int_equal(twi_shard_count(w->shard).pending, 0);
    for (uint32_t topic = 0; topic < w->publisher->topic_count; topic++)
        assert_int_equal(w->publisher->codecs[0].interest[topic], 0);
    world_close(w);
}

static void test_churn_adds_up(void **state)
{
    (void)state;
    const char *more = getenv("TWT_SEEDS"); /* for long runs by hand */
    uint64_t seeds = more != NULL ? strtoull(more, NULL, 10) : 4;
    for (uint64_t seed = 1; seed <= seeds; seed++) {
        print_message("seed %llu\n", (unsigned long long)seed);
        churn("auto", seed);
        churn("epoll", seed);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_snapshot_joins_stream),
        cmocka_unit_test(test_sets_of_topics_are_kept_apart),
        cmocka_unit_test(test_control_messages),
        cmocka_unit_test(test_many_requests_at_once_are_answered_in_order),
        cmocka_unit_test(test_bad_frames_get_their_close_code),
        cmocka_unit_test(test_limits_and_tokens),
        cmocka_unit_test(test_slow_client_is_cut_off_and_nobody_else_notices),
        cmocka_unit_test(test_dropping_client_is_told_what_it_missed),
        cmocka_unit_test(test_churn_adds_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
