/* ws_frame_test.c - WebSocket framing: headers, masks, control frames out; the incremental reader over every split;
 * each rule of the RFC broken once. */
#include "tests/unit/ws_support.h"

#include "engine/proto/ws.h"

/* ---- writing ---- */

static void headers_of_every_length(void **state)
{
    (void)state;
    static const struct {
        uint64_t len;
        size_t header_len;
        const char *header;
    } cases[] = {
        {0, 2, "\x81\x00"},
        {1, 2, "\x81\x01"},
        {125, 2, "\x81\x7d"},
        {126, 4, "\x81\x7e\x00\x7e"},
        {65535, 4, "\x81\x7e\xff\xff"},
        {65536, 10, "\x81\x7f\x00\x00\x00\x00\x00\x01\x00\x00"},
        {0x123456789abcdef, 10, "\x81\x7f\x01\x23\x45\x67\x89\xab\xcd\xef"},
    };
    static const uint8_t mask[4] = {1, 2, 3, 4};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        uint8_t out[TWI_WS_HEADER_BYTES_MAX];
        size_t len = twi_ws_header_write(out, TWI_WS_TEXT, true, false, cases[i].len, NULL);
        assert_int_equal(len, cases[i].header_len);
        assert_int_equal(len, twi_ws_header_bytes(cases[i].len, false));
        assert_memory_equal(out, cases[i].header, len);
        len = twi_ws_header_write(out, TWI_WS_BINARY, false, true, cases[i].len, mask);
        assert_int_equal(len, twi_ws_header_bytes(cases[i].len, true));
        assert_int_equal(out[0], 0x42);
        assert_int_equal(out[1], (uint8_t)cases[i].header[1] | 0x80);
        assert_memory_equal(out + len - 4, mask, 4);
    }
}

static void masks_of_every_phase_and_length(void **state)
{
    (void)state;
    enum { LEN_MAX = 80 };
    static const uint8_t mask[4] = {0x37, 0xfa, 0x21, 0x3d};
    twt_guard guard = twt_guard_open(LEN_MAX);
    uint8_t plain[LEN_MAX];
    uint64_t seed = 1;
    for (size_t i = 0; i < LEN_MAX; i++)
        plain[i] = (uint8_t)twt_random(&seed);
    for (size_t len = 0; len <= LEN_MAX; len++) {
        for (uint64_t phase = 0; phase < 8; phase++) {
            uint8_t *data = twt_guard_copy(&guard, plain, len);
            twi_ws_mask(data, len, mask, phase);
            for (size_t i = 0; i < len; i++)
                assert_int_equal(data[i], plain[i] ^ mask[(phase + i) % 4]);
        }
    }
    twt_guard_close(&guard);
}

static void close_frames(void **state)
{
    (void)state;
    uint8_t out[TWI_WS_CONTROL_FRAME_MAX];
    assert_int_equal(twi_ws_close_write(out, 0, "not sent without a code", NULL), 2);
    assert_memory_equal(out, "\x88\x00", 2);
    assert_int_equal(twi_ws_close_write(out, 1000, NULL, NULL), 4);
    assert_memory_equal(out, "\x88\x02\x03\xe8", 4);
    assert_int_equal(twi_ws_close_write(out, 4001, "shutdown", NULL), 12);
    assert_memory_equal(out, "\x88\x0a\x0f\xa1shutdown", 12);
    static const uint8_t mask[4] = {1, 2, 3, 4};
    assert_int_equal(twi_ws_close_write(out, 1000, NULL, mask), 8);
    assert_memory_equal(out, "\x88\x82\x01\x02\x03\x04\x02\xea", 8);
    char text[200];
    for (size_t i = 0; i + 3 < sizeof(text); i += 3)
        memcpy(text + i, "\xe2\x82\xac", 4);
    size_t len = twi_ws_close_write(out, 1000, text, NULL);
    assert_int_equal(len, 4 + 123); /* 41 whole characters */
    memmove(text + 1, text, 196);
    text[0] = 'x';
    len = twi_ws_close_write(out, 1000, text, NULL);
    assert_int_equal(len, 4 + 121); /* the last one would be cut */
}

static void close_codes(void **state)
{
    (void)state;
    for (uint32_t code = 0; code <= UINT16_MAX; code++) {
        bool valid = (code >= 1000 && code < 1015 && code != 1004 && code != 1005 && code != 1006) ||
                     (code >= 3000 && code < 5000);
        assert_int_equal(twi_ws_close_code_valid((uint16_t)code), valid);
    }
}

static void close_handshake_steps(void **state)
{
    (void)state;
    twi_ws_closing closing = {0};
    assert_int_equal(twi_ws_close_next(&closing, TWI_WS_SERVER), TWI_WS_STEP_NONE);
    closing.received = 1;
    assert_int_equal(twi_ws_close_next(&closing, TWI_WS_SERVER), TWI_WS_STEP_REPLY);
    closing.sent = 1;
    assert_int_equal(twi_ws_close_next(&closing, TWI_WS_SERVER), TWI_WS_STEP_SHUT);
    assert_int_equal(twi_ws_close_next(&closing, TWI_WS_CLIENT), TWI_WS_STEP_AWAIT_PEER);
    closing.received = 0;
    assert_int_equal(twi_ws_close_next(&closing, TWI_WS_CLIENT), TWI_WS_STEP_NONE);
    closing.failed = 1;
    assert_int_equal(twi_ws_close_next(&closing, TWI_WS_CLIENT), TWI_WS_STEP_SHUT);
    assert_int_equal(twi_ws_close_reply_code(TWI_WS_CODE_NONE), 0);
    assert_int_equal(twi_ws_close_reply_code(4001), 4001);
}

/* ---- reading: a trace of what came out, so that all ways to cut the input can be compared ---- */

enum { TRACE_BYTES = 1 << 16 };

typedef struct trace {
    uint8_t bytes[TRACE_BYTES];
    size_t len;
    tw_status status;
    uint8_t error;
    uint16_t close_code;
    size_t used; /* of the input, when it ended */
} trace;

static void trace_add(trace *t, const void *data, size_t len)
{
    assert_true(t->len + len <= TRACE_BYTES);
    if (len > 0)
        memcpy(t->bytes + t->len, data, len);
    t->len += len;
}

typedef struct collector {
    twi_ws_reader reader;
    twi_ws_message message;
    twi_ws_control control;
    bool in_message;
    uint8_t buffer[TRACE_BYTES];
    trace t;
} collector;

static void collector_open(collector *c, const twi_ws_reader_config *config)
{
    memset(c, 0, sizeof(*c));
    twi_ws_reader_init(&c->reader, config);
    c->message = (twi_ws_message){.data = c->buffer, .cap = sizeof(c->buffer)};
}

static void trace_whole(collector *c, uint8_t opcode, uint8_t flags, const uint8_t *data, size_t len)
{
    uint8_t head[6] = {opcode, flags, (uint8_t)(len >> 24), (uint8_t)(len >> 16), (uint8_t)(len >> 8), (uint8_t)len};
    trace_add(&c->t, head, sizeof(head));
    trace_add(&c->t, data, len);
}

static void take_piece(collector *c, const twi_ws_piece *piece)
{
    if (piece->opcode >= TWI_WS_CLOSE) {
        if (twi_ws_control_add(&c->control, piece))
            trace_whole(c, piece->opcode, 0, c->control.payload, c->control.payload_len);
        return;
    }
    assert_int_equal((piece->flags & TWI_WS_FIRST) != 0, !c->in_message);
    assert_true(piece->len > 0 || (piece->flags & (TWI_WS_FIRST | TWI_WS_LAST)) != 0);
    c->in_message = (piece->flags & TWI_WS_LAST) == 0;
    tw_status status = twi_ws_message_add(&c->message, piece);
    assert_int_equal(status, c->in_message ? TW_NEED_MORE : TW_OK);
    if (status == TW_OK)
        trace_whole(c, piece->opcode, piece->flags & TWI_WS_COMPRESSED, c->message.data, c->message.len);
}

/* One received chunk, at a guard page. false: the reader ended. */
static bool feed(collector *c, const twt_guard *guard, const uint8_t *data, size_t len)
{
    uint8_t *cursor = twt_guard_copy(guard, data, len);
    uint8_t *end = cursor + len;
    uint8_t *start = cursor;
    twi_ws_piece piece;
    while ((c->t.status = twi_ws_read(&c->reader, &cursor, end, &piece)) == TW_OK)
        take_piece(c, &piece);
    c->t.used += (size_t)(cursor - start);
    c->t.error = c->reader.error;
    c->t.close_code = c->reader.close_code;
    return c->t.status == TW_NEED_MORE;
}

static void assert_same_trace(const trace *a, const trace *b)
{
    assert_int_equal(a->status, b->status);
    assert_int_equal(a->error, b->error);
    assert_int_equal(a->close_code, b->close_code);
    assert_int_equal(a->used, b->used);
    assert_int_equal(a->len, b->len);
    assert_memory_equal(a->bytes, b->bytes, a->len);
}

static collector whole, parts;

static void read_whole(const twi_ws_reader_config *config, const twt_guard *guard, const uint8_t *data, size_t len)
{
    collector_open(&whole, config);
    feed(&whole, guard, data, len);
}

/* All at once, byte by byte, and every cut in two: the same. */
static void read_every_split(const twi_ws_reader_config *config, const uint8_t *data, size_t len)
{
    twt_guard guard = twt_guard_open(len + 1);
    read_whole(config, &guard, data, len);
    collector_open(&parts, config);
    for (size_t i = 0; i < len && feed(&parts, &guard, data + i, 1); i++)
        continue;
    assert_same_trace(&whole.t, &parts.t);
    for (size_t cut = 0; cut <= len; cut++) {
        collector_open(&parts, config);
        if (feed(&parts, &guard, data, cut))
            feed(&parts, &guard, data + cut, len - cut);
        assert_same_trace(&whole.t, &parts.t);
    }
    twt_guard_close(&guard);
}

/* RFC 6455 section 5.7 */
static void rfc_examples(void **state)
{
    (void)state;
    static const twi_ws_reader_config client = {.role = TWI_WS_CLIENT};
    static const twi_ws_reader_config server = {.role = TWI_WS_SERVER};
    static const uint8_t from_server[] = "\x81\x05Hello"         /* a single-frame text */
                                         "\x01\x03Hel\x80\x02lo" /* fragmented */
                                         "\x89\x05Hello"         /* ping */
                                         "\x88\x07\x03\xe8"
                                         "Hello";
    static const uint8_t from_client[] = "\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58"
                                         "\x8a\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58";
    read_every_split(&client, from_server, sizeof(from_server) - 1);
    static const uint8_t wanted[] = "\x01\0\0\0\0\x05Hello\x01\0\0\0\0\x05Hello\x09\0\0\0\0\x05Hello"
                                    "\x08\0\0\0\0\x07\x03\xe8Hello";
    assert_int_equal(whole.t.status, TW_CLOSED);
    assert_int_equal(whole.t.close_code, 1000);
    assert_int_equal(whole.t.len, sizeof(wanted) - 1);
    assert_memory_equal(whole.t.bytes, wanted, whole.t.len);
    read_every_split(&server, from_client, sizeof(from_client) - 1);
    static const uint8_t wanted_masked[] = "\x01\0\0\0\0\x05Hello\x0a\0\0\0\0\x05Hello";
    assert_int_equal(whole.t.status, TW_NEED_MORE);
    assert_int_equal(whole.t.len, sizeof(wanted_masked) - 1);
    assert_memory_equal(whole.t.bytes, wanted_masked, whole.t.len);
}

typedef struct bad_case {
    const char *what;
    const char *data;
    size_t len; /* up to and with the byte that is wrong */
    uint8_t error;
    twi_ws_reader_config config;
} bad_case;

#define BAD(what, data, error, ...)                                                                                    \
    {                                                                                                                  \
        what, data, sizeof(data) - 1, error,                                                                           \
        {                                                                                                              \
            __VA_ARGS__                                                                                                \
        }                                                                                                              \
    }

static const bad_case bad_cases[] = {
    BAD("RSV1", "\xc1", TWI_WS_ERROR_RESERVED_BITS, .role = TWI_WS_CLIENT),
    BAD("RSV2", "\xa1", TWI_WS_ERROR_RESERVED_BITS, .role = TWI_WS_CLIENT),
    BAD("RSV3", "\x91", TWI_WS_ERROR_RESERVED_BITS, .role = TWI_WS_CLIENT),
    BAD("RSV1 on ping", "\xc9", TWI_WS_ERROR_RESERVED_BITS, .role = TWI_WS_CLIENT, .deflate = 1),
    BAD("RSV1 on continuation", "\x41\x01x\xc0", TWI_WS_ERROR_RESERVED_BITS, .role = TWI_WS_CLIENT, .deflate = 1),
    BAD("opcode 3", "\x83", TWI_WS_ERROR_OPCODE, .role = TWI_WS_CLIENT),
    BAD("opcode 7", "\x87", TWI_WS_ERROR_OPCODE, .role = TWI_WS_CLIENT),
    BAD("opcode 11", "\x8b", TWI_WS_ERROR_OPCODE, .role = TWI_WS_CLIENT),
    BAD("opcode 15", "\x8f", TWI_WS_ERROR_OPCODE, .role = TWI_WS_CLIENT),
    BAD("no mask", "\x81\x05", TWI_WS_ERROR_NOT_MASKED, .role = TWI_WS_SERVER),
    BAD("mask", "\x81\x85", TWI_WS_ERROR_MASKED, .role = TWI_WS_CLIENT),
    BAD("long ping", "\x89\x7e", TWI_WS_ERROR_CONTROL_LENGTH, .role = TWI_WS_CLIENT),
    BAD("very long close", "\x88\x7f", TWI_WS_ERROR_CONTROL_LENGTH, .role = TWI_WS_CLIENT),
    BAD("ping in fragments", "\x09", TWI_WS_ERROR_CONTROL_FRAGMENT, .role = TWI_WS_CLIENT),
    BAD("16 bits for 125", "\x82\x7e\x00\x7d", TWI_WS_ERROR_LENGTH_ENCODING, .role = TWI_WS_CLIENT),
    BAD("64 bits for 65535", "\x82\x7f\0\0\0\0\0\0\xff\xff", TWI_WS_ERROR_LENGTH_ENCODING, .role = TWI_WS_CLIENT),
    BAD("top bit", "\x82\x7f\x80\0\0\0\0\x01\0\0", TWI_WS_ERROR_LENGTH_ENCODING, .role = TWI_WS_CLIENT),
    BAD("continuation first", "\x80", TWI_WS_ERROR_NO_MESSAGE, .role = TWI_WS_CLIENT),
    BAD("continuation after the end", "\x01\x01x\x80\x01y\x00", TWI_WS_ERROR_NO_MESSAGE, .role = TWI_WS_CLIENT),
    BAD("text in text", "\x01\x01x\x81", TWI_WS_ERROR_IN_MESSAGE, .role = TWI_WS_CLIENT),
    BAD("binary in an empty beginning", "\x01\x00\x82", TWI_WS_ERROR_IN_MESSAGE, .role = TWI_WS_CLIENT),
    BAD("close of one byte", "\x88\x01", TWI_WS_ERROR_CLOSE_PAYLOAD, .role = TWI_WS_CLIENT),
    BAD("close 999", "\x88\x02\x03\xe7", TWI_WS_ERROR_CLOSE_CODE, .role = TWI_WS_CLIENT),
    BAD("close 1005", "\x88\x05\x03\xed", TWI_WS_ERROR_CLOSE_CODE, .role = TWI_WS_CLIENT),
    BAD("close 5000", "\x88\x02\x13\x88", TWI_WS_ERROR_CLOSE_CODE, .role = TWI_WS_CLIENT),
    BAD("reason not UTF-8", "\x88\x05\x03\xe8x\xff", TWI_WS_ERROR_UTF8, .role = TWI_WS_CLIENT),
    BAD("reason cut in a character", "\x88\x04\x03\xe8\xe2\x82", TWI_WS_ERROR_UTF8, .role = TWI_WS_CLIENT),
    BAD("text not UTF-8", "\x81\x05x\xed\xa0", TWI_WS_ERROR_UTF8, .role = TWI_WS_CLIENT),
    BAD("text cut in a character", "\x81\x02\xe2\x82", TWI_WS_ERROR_UTF8, .role = TWI_WS_CLIENT),
    BAD("bad over fragments", "\x01\x01\xe2\x89\x00\x80\x02(", TWI_WS_ERROR_UTF8, .role = TWI_WS_CLIENT),
    BAD("text ends incomplete by an empty frame", "\x01\x01\xe2\x80\x00", TWI_WS_ERROR_UTF8, .role = TWI_WS_CLIENT),
    BAD("too big", "\x82\x0b", TWI_WS_ERROR_TOO_BIG, .role = TWI_WS_CLIENT, .message_bytes_max = 10),
    BAD("too big together", "\x02\x06xxxxxx\x80\x05", TWI_WS_ERROR_TOO_BIG, .role = TWI_WS_CLIENT,
        .message_bytes_max = 10),
    BAD("huge", "\x82\x7f\x7f\xff\xff\xff\xff\xff\xff\xff", TWI_WS_ERROR_TOO_BIG, .role = TWI_WS_CLIENT,
        .message_bytes_max = 10),
    BAD("huge behind a start", "\x02\x01x\x80\x7f\x7f\xff\xff\xff\xff\xff\xff\xff", TWI_WS_ERROR_TOO_BIG,
        .role = TWI_WS_CLIENT, .message_bytes_max = 10),
    BAD("too big for a compressed one", "\xc2\x7e\x01\xaa", TWI_WS_ERROR_TOO_BIG, .role = TWI_WS_CLIENT, .deflate = 1,
        .message_bytes_max = 320),
    BAD("fragments", "\x02\x01x\x00\x01x\x00\x01x\x00\x01", TWI_WS_ERROR_FRAGMENTS, .role = TWI_WS_CLIENT,
        .fragment_count_max = 3),
    BAD("empty fragments", "\x02\x00\x00\x00\x00\x00\x80\x00", TWI_WS_ERROR_FRAGMENTS, .role = TWI_WS_CLIENT,
        .fragment_count_max = 3),
};

/* The error comes with the byte that makes it certain, and stays. */
static void broken_rules_are_named(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(bad_cases) / sizeof(bad_cases[0]); i++) {
        const bad_case *bad = &bad_cases[i];
        const uint8_t *data = (const uint8_t *)bad->data;
        read_every_split(&bad->config, data, bad->len);
        if (whole.t.error != bad->error)
            fail_msg("%s: %s instead of %s", bad->what, twi_ws_error_reason(whole.t.error),
                     twi_ws_error_reason(bad->error));
        uint16_t code = twi_ws_error_close_code(bad->error);
        assert_int_equal(whole.t.status, code == TWI_WS_CODE_TOO_BIG ? TW_TOO_BIG : TW_MALFORMED);
        assert_int_equal(whole.t.used, bad->len);
        uint8_t more[4] = {0x81, 0x01, 'x', 0};
        uint8_t *cursor = more;
        twi_ws_piece piece;
        assert_int_equal(twi_ws_read(&whole.reader, &cursor, more + 3, &piece), whole.t.status);
        assert_ptr_equal(cursor, more);
        twt_guard guard = twt_guard_open(bad->len);
        read_whole(&bad->config, &guard, data, bad->len - 1);
        assert_int_equal(whole.t.status, TW_NEED_MORE);
        twt_guard_close(&guard);
    }
}

static void good_edges(void **state)
{
    (void)state;
    static const struct {
        const char *data;
        size_t len;
        tw_status status;
        twi_ws_reader_config config;
    } cases[] = {
        {"\x88\x00", 2, TW_CLOSED, {.role = TWI_WS_CLIENT}},
        {"\x88\x02\x0b\xb8", 4, TW_CLOSED, {.role = TWI_WS_CLIENT}},
        {"\x81\x00", 2, TW_NEED_MORE, {.role = TWI_WS_CLIENT}},
        {"\x01\x00\x00\x00\x80\x00", 6, TW_NEED_MORE, {.role = TWI_WS_CLIENT}},
        {"\x02\x05xxxxx\x80\x05xxxxx", 14, TW_NEED_MORE, {.role = TWI_WS_CLIENT, .message_bytes_max = 10}},
        {"\x02\x00\x00\x00\x80\x00\x82\x00", 8, TW_NEED_MORE, {.role = TWI_WS_CLIENT, .fragment_count_max = 3}},
        {"\xc1\x02\xff\xff", 4, TW_NEED_MORE, {.role = TWI_WS_CLIENT, .deflate = 1}},
        {"\x41\x01\xff\x89\x00\x80\x01\xff\x81\x01x", 11, TW_NEED_MORE, {.role = TWI_WS_CLIENT, .deflate = 1}},
        {"\xc2\x4b" /* 75 = 10 + 1 + 64 */
         "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
         77,
         TW_NEED_MORE,
         {.role = TWI_WS_CLIENT, .deflate = 1, .message_bytes_max = 10}},
        {"\x88\x00\x81\x01x\xff\xff", 7, TW_CLOSED, {.role = TWI_WS_CLIENT}},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        read_every_split(&cases[i].config, (const uint8_t *)cases[i].data, cases[i].len);
        assert_int_equal(whole.t.status, cases[i].status);
        assert_int_equal(whole.t.error, 0);
        assert_true(whole.t.len >= 6);
    }
    read_every_split(&cases[0].config, (const uint8_t *)"\x88\x00", 2);
    assert_int_equal(whole.t.close_code, TWI_WS_CODE_NONE);
}

/* ---- random conversations: the writer's frames, cut anywhere, give what was put in ---- */

typedef struct script {
    uint8_t wire[TRACE_BYTES * 2];
    size_t wire_len;
    trace wanted;
} script;

static void script_frame(script *s, uint8_t opcode, bool fin, const uint8_t *payload, size_t len, const uint8_t *mask)
{
    s->wire_len += twi_ws_header_write(s->wire + s->wire_len, opcode, fin, false, len, mask);
    memcpy(s->wire + s->wire_len, payload, len);
    if (mask != NULL)
        twi_ws_mask(s->wire + s->wire_len, len, mask, 0);
    s->wire_len += len;
    assert_true(s->wire_len < sizeof(s->wire) - 4096);
}

static void script_wanted(script *s, uint8_t opcode, const uint8_t *payload, size_t len)
{
    uint8_t head[6] = {opcode, 0, (uint8_t)(len >> 24), (uint8_t)(len >> 16), (uint8_t)(len >> 8), (uint8_t)len};
    trace_add(&s->wanted, head, sizeof(head));
    trace_add(&s->wanted, payload, len);
}

static void script_message(script *s, uint64_t *seed, bool masked)
{
    static const size_t sizes[] = {0, 1, 3, 125, 126, 127, 300, 1000};
    uint8_t payload[1000];
    size_t len = sizes[twt_random_below(seed, 8)];
    for (size_t i = 0; i < len; i++)
        payload[i] = (uint8_t)('a' + twt_random_below(seed, 26));
    uint8_t opcode = twt_random_below(seed, 2) == 0 ? TWI_WS_TEXT : TWI_WS_BINARY;
    size_t frames = 1 + twt_random_below(seed, 5);
    size_t at = 0;
    for (size_t i = 0; i < frames; i++) {
        size_t part = i + 1 == frames ? len - at : twt_random_below(seed, len - at + 1);
        uint8_t mask[4];
        uint32_t bits = (uint32_t)twt_random(seed);
        memcpy(mask, &bits, 4);
        script_frame(s, i == 0 ? opcode : (uint8_t)TWI_WS_CONTINUATION, i + 1 == frames, payload + at, part,
                     masked ? mask : NULL);
        at += part;
        if (i + 1 < frames && twt_random_below(seed, 3) == 0) {
            size_t ping_len = twt_random_below(seed, 126);
            uint8_t ping[125] = {0};
            memset(ping, (int)bits, ping_len);
            script_frame(s, TWI_WS_PING, true, ping, ping_len, masked ? mask : NULL);
            script_wanted(s, TWI_WS_PING, ping, ping_len);
        }
    }
    script_wanted(s, opcode, payload, len);
}

static void random_conversations(void **state)
{
    (void)state;
    static script s;
    twt_guard guard = twt_guard_open(sizeof(s.wire));
    for (uint64_t round = 0; round < 300; round++) {
        uint64_t seed = round;
        twi_ws_reader_config config = {.role = round % 2 == 0 ? TWI_WS_SERVER : TWI_WS_CLIENT};
        s.wire_len = 0;
        s.wanted.len = 0;
        for (int i = 0; i < 20; i++)
            script_message(&s, &seed, config.role == TWI_WS_SERVER);
        size_t step_max = 1 + twt_random_below(&seed, 700);
        collector_open(&parts, &config);
        for (size_t at = 0; at < s.wire_len;) {
            size_t step = 1 + twt_random_below(&seed, step_max);
            step = step < s.wire_len - at ? step : s.wire_len - at;
            assert_true(feed(&parts, &guard, s.wire + at, step));
            at += step;
        }
        assert_int_equal(parts.t.len, s.wanted.len);
        assert_memory_equal(parts.t.bytes, s.wanted.bytes, parts.t.len);
    }
    twt_guard_close(&guard);
}

/* 65,536 fragments of a 16 MiB message, with the limits exactly there. */
static void the_largest_message(void **state)
{
    (void)state;
    enum { FRAGMENTS = 65536, FRAGMENT_BYTES = 256 };
    twi_ws_reader_config config = {
        .role = TWI_WS_CLIENT, .message_bytes_max = 16u << 20, .fragment_count_max = FRAGMENTS};
    twi_ws_reader reader;
    twi_ws_reader_init(&reader, &config);
    twt_memory memory = {0};
    twi_ws_message message = {.bytes_max = 16u << 20, .resize = twt_resize, .resize_owner = &memory};
    uint8_t frame[TWI_WS_HEADER_BYTES_MAX + FRAGMENT_BYTES];
    tw_status status = TW_NEED_MORE;
    for (uint32_t i = 0; i < FRAGMENTS; i++) {
        size_t header_len = twi_ws_header_write(frame, i == 0 ? TWI_WS_BINARY : TWI_WS_CONTINUATION, i == FRAGMENTS - 1,
                                                false, FRAGMENT_BYTES, NULL);
        memset(frame + header_len, (int)i, FRAGMENT_BYTES);
        uint8_t *cursor = frame;
        twi_ws_piece piece;
        assert_int_equal(twi_ws_read(&reader, &cursor, frame + header_len + FRAGMENT_BYTES, &piece), TW_OK);
        status = twi_ws_message_add(&message, &piece);
        assert_int_equal(status, i == FRAGMENTS - 1 ? TW_OK : TW_NEED_MORE);
    }
    assert_int_equal(message.len, 16u << 20);
    for (size_t i = 0; i < message.len; i += FRAGMENT_BYTES)
        assert_int_equal(message.data[i], (uint8_t)(i / FRAGMENT_BYTES));
    twi_ws_message_fini(&message);
    assert_int_equal(memory.blocks, 0);
}

static void message_limits(void **state)
{
    (void)state;
    uint8_t data[3000] = {0};
    uint8_t fixed[10];
    twi_ws_message message = {.data = fixed, .cap = sizeof(fixed)};
    twi_ws_piece piece = {.data = data, .len = 10, .opcode = TWI_WS_TEXT, .flags = TWI_WS_FIRST};
    assert_int_equal(twi_ws_message_add(&message, &piece), TW_NEED_MORE);
    piece.flags = TWI_WS_LAST;
    assert_int_equal(twi_ws_message_add(&message, &piece), TW_TOO_BIG);
    twt_memory memory = {0};
    twi_ws_message growing = {.bytes_max = 2500, .resize = twt_resize, .resize_owner = &memory};
    piece = (twi_ws_piece){.data = data, .len = 2500, .opcode = TWI_WS_TEXT, .flags = TWI_WS_FIRST};
    assert_int_equal(twi_ws_message_add(&growing, &piece), TW_NEED_MORE);
    assert_int_equal(growing.cap, 2500);
    piece = (twi_ws_piece){.data = data, .len = 1, .opcode = TWI_WS_TEXT};
    assert_int_equal(twi_ws_message_add(&growing, &piece), TW_TOO_BIG);
    piece = (twi_ws_piece){.data = data, .len = 0, .opcode = TWI_WS_TEXT, .flags = TWI_WS_LAST};
    assert_int_equal(twi_ws_message_add(&growing, &piece), TW_OK);
    twi_ws_message_fini(&growing);
    memory.fail_at = memory.calls + 1;
    piece = (twi_ws_piece){.data = data, .len = 5, .opcode = TWI_WS_TEXT, .flags = TWI_WS_FIRST};
    assert_int_equal(twi_ws_message_add(&growing, &piece), TW_NO_MEMORY);
    assert_int_equal(memory.blocks, 0);
}

static void verdicts_of_the_application_stay(void **state)
{
    (void)state;
    twi_ws_reader_config config = {.role = TWI_WS_CLIENT};
    twi_ws_reader reader;
    twi_ws_reader_init(&reader, &config);
    twi_ws_reader_fail(&reader, TWI_WS_ERROR_INFLATE);
    twi_ws_reader_fail(&reader, TWI_WS_ERROR_TOO_BIG);
    uint8_t byte = 0x81;
    uint8_t *cursor = &byte;
    twi_ws_piece piece;
    assert_int_equal(twi_ws_read(&reader, &cursor, &byte + 1, &piece), TW_MALFORMED);
    assert_int_equal(reader.error, TWI_WS_ERROR_INFLATE);
    for (uint8_t error = 0; error < TWI_WS_ERROR_COUNT; error++)
        assert_true(strlen(twi_ws_error_reason(error)) > 0);
    assert_string_equal(twi_ws_error_reason(TWI_WS_ERROR_COUNT), "unknown");
    assert_int_equal(twi_ws_error_close_code(TWI_WS_ERROR_COUNT), TWI_WS_CODE_INTERNAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(headers_of_every_length),
        cmocka_unit_test(masks_of_every_phase_and_length),
        cmocka_unit_test(close_frames),
        cmocka_unit_test(close_codes),
        cmocka_unit_test(close_handshake_steps),
        cmocka_unit_test(rfc_examples),
        cmocka_unit_test(broken_rules_are_named),
        cmocka_unit_test(good_edges),
        cmocka_unit_test(random_conversations),
        cmocka_unit_test(the_largest_message),
        cmocka_unit_test(message_limits),
        cmocka_unit_test(verdicts_of_the_application_stay),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
