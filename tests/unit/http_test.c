/* http_test.c - HTTP/1.1 heads: every prefix and every split, what must be refused, limits, queries, chunked bodies. */
#include "tests/unit/ws_support.h"

#include "engine/proto/http.h"

static twi_http_request request;
static twi_http_response response;

static tw_status parse_at_guard(const char *text, size_t len, const twi_http_limits *limits)
{
    twt_guard guard = twt_guard_open(len + 1);
    tw_status status = twi_http_request_parse(twt_guard_copy(&guard, text, len), len, 0, limits, &request);
    twt_guard_close(&guard);
    return status;
}

static tw_status parse(const char *text)
{
    return twi_http_request_parse((const uint8_t *)text, strlen(text), 0, NULL, &request);
}

static void assert_slice(twi_slice slice, const char *text)
{
    assert_int_equal(slice.len, strlen(text));
    assert_memory_equal(slice.data, text, slice.len);
}

static const char upgrade_request[] = "GET /v1/stream?codec=json&x HTTP/1.1\r\n"
                                      "Host: example.com:9001\r\n"
                                      "Connection: keep-alive ,  Upgrade\r\n"
                                      "Upgrade:websocket\r\n"
                                      "X-Empty:\r\n"
                                      "X-Blank: \t \r\n"
                                      "X-Bytes: \xc3\xa9\t\"a, b\"  \r\n"
                                      "\r\n";

static void a_request_is_taken_apart(void **state)
{
    (void)state;
    assert_int_equal(parse(upgrade_request), TW_OK);
    assert_slice(request.method, "GET");
    assert_slice(request.target, "/v1/stream?codec=json&x");
    assert_slice(request.path, "/v1/stream");
    assert_slice(request.query, "codec=json&x");
    assert_slice(request.host, "example.com:9001");
    assert_int_equal(request.fields.minor_version, 1);
    assert_int_equal(request.fields.header_count, 6);
    assert_int_equal(request.fields.head_bytes, sizeof(upgrade_request) - 1);
    assert_true(request.fields.keep_alive);
    assert_true(request.fields.connection_upgrade);
    assert_true(twi_http_header_has_token(&request.fields, "upgrade", "websocket"));
    assert_false(twi_http_header_has_token(&request.fields, "connection", "up"));
    assert_slice(twi_http_header_find(&request.fields, "x-empty")->value, "");
    assert_slice(twi_http_header_find(&request.fields, "x-blank")->value, "");
    assert_slice(twi_http_header_find(&request.fields, "x-bytes")->value, "\xc3\xa9\t\"a, b\"");
    assert_null(twi_http_header_find(&request.fields, "x-byte"));
}

/* Every prefix waits for more and touches nothing behind it; so does every way to come back with more. */
static void every_prefix_waits(void **state)
{
    (void)state;
    static const char *const texts[] = {upgrade_request, "OPTIONS * HTTP/1.0\r\n\r\n",
                                        "\r\nGET http://a.b/c?d HTTP/1.1\r\nhost:a\r\ncontent-length:  12 \r\n\r\n"};
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        size_t len = strlen(texts[i]);
        tw_status full = parse_at_guard(texts[i], len, NULL);
        for (size_t cut = 0; cut < len && full == TW_OK; cut++) {
            assert_int_equal(parse_at_guard(texts[i], cut, NULL), TW_NEED_MORE);
            const uint8_t *bytes = (const uint8_t *)texts[i];
            for (size_t more = cut; more < len; more++)
                assert_int_equal(twi_http_request_parse(bytes, more, cut, NULL, &request), TW_NEED_MORE);
            assert_int_equal(twi_http_request_parse(bytes, len, cut, NULL, &request), TW_OK);
            assert_int_equal(request.fields.head_bytes, len);
        }
    }
}

/* What follows is not looked at: a body, or the next request. */
static void pipelined_requests(void **state)
{
    (void)state;
    static const char text[] =
        "GET /a HTTP/1.1\r\nHost: x\r\n\r\nGET /b HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    assert_int_equal(parse(text), TW_OK);
    assert_slice(request.path, "/a");
    assert_true(request.fields.keep_alive);
    assert_int_equal(parse(text + request.fields.head_bytes), TW_OK);
    assert_slice(request.path, "/b");
    assert_false(request.fields.keep_alive);
}

static void targets(void **state)
{
    (void)state;
    static const struct {
        const char *line;
        const char *path;
        const char *query;
    } cases[] = {
        {"GET / HTTP/1.1", "/", NULL},         {"GET /? HTTP/1.1", "/", ""},
        {"GET /a?b?c HTTP/1.1", "/a", "b?c"},  {"GET http://x HTTP/1.1", "/", NULL},
        {"GET HTTP://x?q HTTP/1.1", "/", "q"}, {"GET https://x:1/y/z?q=/ HTTP/1.1", "/y/z", "q=/"},
        {"OPTIONS * HTTP/1.1", "*", NULL},
    };
    char text[256];
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        snprintf(text, sizeof(text), "%s\r\nHost: x\r\n\r\n", cases[i].line);
        assert_int_equal(parse(text), TW_OK);
        assert_slice(request.path, cases[i].path);
        if (cases[i].query == NULL)
            assert_null(request.query.data);
        else
            assert_slice(request.query, cases[i].query);
    }
}

static void keep_alive_rules(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        bool keep_alive;
    } cases[] = {
        {"GET / HTTP/1.1\r\nHost: x\r\n\r\n", true},
        {"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", false},
        {"GET / HTTP/1.1\r\nHost: x\r\nConnection: keep-alive, CLOSE\r\n\r\n", false},
        {"GET / HTTP/1.0\r\n\r\n", false},
        {"GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n", true},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        assert_int_equal(parse(cases[i].text), TW_OK);
        assert_int_equal(request.fields.keep_alive, cases[i].keep_alive);
    }
}

#define HEAD "GET / HTTP/1.1\r\nHost: x\r\n"

/* Whatever two parsers could read in two ways. */
static void ambiguous_and_broken_heads_are_refused(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        tw_status status;
        uint16_t error_status;
    } cases[] = {
        {HEAD "Content-Length: 1\r\nContent-Length: 1\r\n\r\n", TW_MALFORMED, 400},
        {HEAD "Content-Length: 1\r\nContent-Length: 2\r\n\r\n", TW_MALFORMED, 400},
        {HEAD "Content-Length: 1, 1\r\n\r\n", TW_MALFORMED, 400},
        {HEAD "Content-Length: +1\r\n\r\n", TW_MALFORMED, 400},
        {HEAD "Content-Length: 0x1\r\n\r\n", TW_MALFORMED, 400},
        {HEAD "Content-Length: -1\r\n\r\n", TW_MALFORMED, 400},
        {HEAD "Content-Length:\r\n\r\n", TW_MALFORMED, 400},
        {HEAD "Content-Length: 99999999999999999999\r\n\r\n", TW_MALFORMED, 400},
        {HEAD "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", TW_MALFORMED, 400},
        {HEAD "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n", TW_MALFORMED, 400},
        {HEAD "Transfer-Encoding: gzip, chunked\r\n\r\n", TW_NOT_SUPPORTED, 501},
        {HEAD "Transfer-Encoding: xchunked\r\n\r\n", TW_NOT_SUPPORTED, 501},
        {"GET / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", TW_MALFORMED, 400},
        {HEAD "Transfer-Encoding : chunked\r\n\r\n", TW_MALFORMED, 400},
        {HEAD " folded: x\r\n\r\n", TW_MALFORMED, 400},
        {HEAD "A: b\r\n\tfolded\r\n\r\n", TW_MALFORMED, 400},
        {HEAD "A: b\n\r\n", TW_MALFORMED, 400},
        {HEAD "A: b\rC: d\r\n\r\n", TW_MALFORMED, 400},
        {HEAD "A: b\x01\r\n\r\n", TW_MALFORMED, 400},
        {HEAD "A: b\x7f\r\n\r\n", TW_MALFORMED, 400},
        {HEAD ": b\r\n\r\n", TW_MALFORMED, 400},
        {HEAD "A b: c\r\n\r\n", TW_MALFORMED, 400},
        {HEAD "A\r\n\r\n", TW_MALFORMED, 400},
        {HEAD "\xc3\xa9: c\r\n\r\n", TW_MALFORMED, 400},
        {HEAD "Host: y\r\n\r\n", TW_MALFORMED, 400},
        {"GET / HTTP/1.1\r\n\r\n", TW_MALFORMED, 400},
        {"GET / HTTP/1.1\r\nHost: a b\r\n\r\n", TW_MALFORMED, 400},
        {"GET / HTTP/1.1\nHost: x\n\n", TW_MALFORMED, 400},
        {"GET  / HTTP/1.1\r\n", TW_MALFORMED, 400},
        {"GET /  HTTP/1.1\r\n", TW_MALFORMED, 400},
        {"GET /a b HTTP/1.1\r\n", TW_MALFORMED, 400},
        {"GET /a#b HTTP/1.1\r\n", TW_MALFORMED, 400},
        {"GET /\xc3\xa9 HTTP/1.1\r\n", TW_MALFORMED, 400},
        {"GET a HTTP/1.1\r\n", TW_MALFORMED, 400},
        {"GET * HTTP/1.1\r\n", TW_MALFORMED, 400},
        {"GET / HTTP/1.1 \r\n", TW_MALFORMED, 400},
        {"GET / HTTP/1.2\r\n", TW_MALFORMED, 400},
        {"GET / http/1.1\r\n", TW_MALFORMED, 400},
        {"GET /\r\n", TW_MALFORMED, 400},
        {"GET / HTTP/2.0\r\n", TW_NOT_SUPPORTED, 505},
        {"G(T / HTTP/1.1\r\n", TW_MALFORMED, 400},
        {" GET / HTTP/1.1\r\n", TW_MALFORMED, 400},
        {"\r\n\r\n\r\n\r\nGET / HTTP/1.1\r\n", TW_MALFORMED, 400},
        {"ABCDEFGHIJKLMNOPQRSTUVWXYZABCDEFGHIJ", TW_MALFORMED, 501},
        {"\x16\x03\x01\x02\x00\x01", TW_MALFORMED, 400},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        tw_status status = parse_at_guard(cases[i].text, strlen(cases[i].text), NULL);
        if (status != cases[i].status || request.error_status != cases[i].error_status || request.error == NULL)
            fail_msg("case %zu: %s %u", i, tw_status_name(status), (unsigned)request.error_status);
        /* what is wrong stays wrong, and is known before the head is complete or with its end */
        bool bad = false;
        for (size_t cut = 0; cut <= strlen(cases[i].text); cut++) {
            tw_status now = parse_at_guard(cases[i].text, cut, NULL);
            assert_true(!bad || now == cases[i].status);
            assert_true(now == TW_NEED_MORE || now == cases[i].status);
            bad = now == cases[i].status;
        }
    }
}

static void limits_hold_and_are_exact(void **state)
{
    (void)state;
    char text[600];
    twi_http_limits line = {.line_bytes_max = 100};
    for (int len = 60; len < 140; len++) {
        int fill = len - (int)strlen("GET / HTTP/1.1");
        snprintf(text, sizeof(text), "GET /%0*d HTTP/1.1\r\nHost: x\r\n\r\n", fill, 0);
        assert_int_equal(parse_at_guard(text, strlen(text), &line), len <= 100 ? TW_OK : TW_TOO_BIG);
        assert_int_equal(len <= 100 ? 414 : request.error_status, 414);
        snprintf(text, sizeof(text), "GET / HTTP/1.1\r\nHost: x\r\nA: %0*d\r\n\r\n", len - 3, 0);
        assert_int_equal(parse_at_guard(text, strlen(text), &line), len <= 100 ? TW_OK : TW_TOO_BIG);
        assert_int_equal(len <= 100 ? 431 : request.error_status, 431);
    }
    snprintf(text, sizeof(text), "GET / HTTP/1.1\r\nHost: x\r\nA: %0100d\r\n\r\nmore", 0);
    for (uint32_t head = 20; head < strlen(text) + 10; head++) {
        twi_http_limits limits = {.head_bytes_max = head};
        bool fits = head >= strlen(text) - 4;
        assert_int_equal(parse_at_guard(text, strlen(text), &limits), fits ? TW_OK : TW_TOO_BIG);
        for (size_t cut = 1; cut < strlen(text) - 4; cut++) {
            tw_status status = twi_http_request_parse((const uint8_t *)text, cut, cut / 2, &limits, &request);
            assert_int_equal(status, cut < head ? TW_NEED_MORE : TW_TOO_BIG);
        }
    }
    twi_http_limits few = {.header_count_max = 2};
    assert_int_equal(parse_at_guard(HEAD "A: b\r\n\r\n", strlen(HEAD) + 8, &few), TW_OK);
    assert_int_equal(parse_at_guard(HEAD "A: b\r\nC: d\r\n\r\n", strlen(HEAD) + 14, &few), TW_TOO_BIG);
    assert_int_equal(request.error_status, 431);
    /* the default: 64 headers, no more */
    for (int count = 63; count <= 64; count++) {
        size_t at = (size_t)snprintf(text, sizeof(text), HEAD);
        for (int i = 0; i < count; i++)
            at += (size_t)snprintf(text + at, sizeof(text) - at, "a:b\r\n");
        snprintf(text + at, sizeof(text) - at, "\r\n");
        assert_int_equal(parse(text), count == 63 ? TW_OK : TW_TOO_BIG);
    }
}

static void responses(void **state)
{
    (void)state;
    static const char text[] = "HTTP/1.1 200 All right\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello";
    const uint8_t *bytes = (const uint8_t *)text;
    for (size_t cut = 0; cut < sizeof(text) - 6; cut++)
        assert_int_equal(twi_http_response_parse(bytes, cut, cut / 2, NULL, &response), TW_NEED_MORE);
    assert_int_equal(twi_http_response_parse(bytes, sizeof(text) - 1, 0, NULL, &response), TW_OK);
    assert_int_equal(response.status, 200);
    assert_slice(response.reason, "All right");
    assert_int_equal(response.fields.content_length, 5);
    assert_string_equal(text + response.fields.head_bytes, "hello");
    assert_false(response.fields.keep_alive);
    static const struct {
        const char *text;
        tw_status status;
    } cases[] = {
        {"HTTP/1.1 204\r\n\r\n", TW_OK},
        {"HTTP/1.0 404 \r\n\r\n", TW_OK},
        {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", TW_OK},
        {"HTTP/1.1 099 x\r\n\r\n", TW_MALFORMED},
        {"HTTP/1.1 600 x\r\n\r\n", TW_MALFORMED},
        {"HTTP/1.1 20 x\r\n\r\n", TW_MALFORMED},
        {"HTTP/1.1 2000 x\r\n\r\n", TW_MALFORMED},
        {"HTTP/1.1  200 x\r\n\r\n", TW_MALFORMED},
        {"HTTP/2.0 200 x\r\n\r\n", TW_NOT_SUPPORTED},
        {"ICY 200 x\r\n\r\n", TW_MALFORMED},
        {"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", TW_MALFORMED},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        tw_status status =
            twi_http_response_parse((const uint8_t *)cases[i].text, strlen(cases[i].text), 0, NULL, &response);
        assert_int_equal(status, cases[i].status);
    }
}

static void queries(void **state)
{
    (void)state;
    twi_slice rest = twi_slice_text("channels=trade,quote&&symbols=binance%3aBTC%2FUSDT&flag&empty=&a=b=c");
    static const char *const wanted[][2] = {
        {"channels", "trade,quote"}, {"symbols", "binance%3aBTC%2FUSDT"}, {"flag", NULL}, {"empty", ""}, {"a", "b=c"},
    };
    twi_slice query = rest, name, value;
    for (size_t i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++) {
        assert_true(twi_http_query_next(&rest, &name, &value));
        assert_slice(name, wanted[i][0]);
        if (wanted[i][1] == NULL)
            assert_null(value.data);
        else
            assert_slice(value, wanted[i][1]);
    }
    assert_false(twi_http_query_next(&rest, &name, &value));
    assert_true(twi_http_query_find(query, "symbols", &value));
    char out[32];
    ptrdiff_t len = twi_http_query_decode(value, out, sizeof(out));
    assert_slice(twi_slice_make(out, (size_t)len), "binance:BTC/USDT");
    assert_false(twi_http_query_find(query, "symbol", &value));
    assert_false(twi_http_query_find(twi_slice_make(NULL, 0), "a", &value));
    assert_int_equal(twi_http_query_decode(twi_slice_text("a+b"), out, sizeof(out)), 3);
    assert_memory_equal(out, "a b", 3);
    assert_int_equal(twi_http_path_decode(twi_slice_text("a+b"), out, sizeof(out)), 3);
    assert_memory_equal(out, "a+b", 3);
    static const char *const bad[] = {"%", "%4", "%4g", "%g4", "%00", "abc%", "%%41"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_int_equal(twi_http_query_decode(twi_slice_text(bad[i]), out, sizeof(out)), -1);
    assert_int_equal(twi_http_query_decode(twi_slice_text("abcd"), out, 3), -1);
    assert_int_equal(twi_http_query_decode(twi_slice_text("%41%42"), out, 2), 2);
}

static void response_heads(void **state)
{
    (void)state;
    char out[512];
    twi_http_response_head head = {.status = 404,
                                   .keep_alive = true,
                                   .content_type = "application/json",
                                   .content_length = 12,
                                   .extra_headers = "Retry-After: 1\r\n"};
    size_t len = twi_http_response_head_write(out, sizeof(out), &head);
    assert_slice(twi_slice_make(out, len), "HTTP/1.1 404 Not Found\r\nContent-Type: application/json\r\n"
                                           "Content-Length: 12\r\nConnection: keep-alive\r\nRetry-After: 1\r\n\r\n");
    for (size_t cap = 0; cap <= len; cap++)
        assert_int_equal(twi_http_response_head_write(out, cap, &head), 0);
    head = (twi_http_response_head){.status = 304, .no_length = true};
    len = twi_http_response_head_write(out, sizeof(out), &head);
    assert_slice(twi_slice_make(out, len), "HTTP/1.1 304 Not Modified\r\nConnection: close\r\n\r\n");
    assert_int_equal(twi_http_response_parse((const uint8_t *)out, len, 0, NULL, &response), TW_OK);
}

/* ---- chunked ---- */

typedef struct body {
    char bytes[256];
    size_t len;
    tw_status status;
    size_t used;
} body;

static bool read_chunks(twi_http_chunks *chunks, const twt_guard *guard, const char *text, size_t len, body *b)
{
    const uint8_t *start = twt_guard_copy(guard, text, len);
    const uint8_t *cursor = start;
    twi_slice part;
    while ((b->status = twi_http_chunks_read(chunks, &cursor, start + len, &part)) == TW_OK) {
        assert_true(b->len + part.len <= sizeof(b->bytes));
        memcpy(b->bytes + b->len, part.data, part.len);
        b->len += part.len;
    }
    b->used += (size_t)(cursor - start);
    return b->status == TW_NEED_MORE;
}

static void chunked_bodies_over_every_split(void **state)
{
    (void)state;
    static const char text[] =
        "5\r\nhello\r\n1;ext=\"a\"\r\n,\r\n006\r\n world\r\nA\r\n0123456789\r\n0\r\nTrailer: x\r\n\r\nnext";
    size_t len = sizeof(text) - 1;
    twt_guard guard = twt_guard_open(len);
    for (size_t first = 0; first <= len; first++) {
        for (size_t second = first; second <= len; second++) {
            twi_http_chunks chunks = {0};
            body b = {0};
            if (read_chunks(&chunks, &guard, text, first, &b) &&
                read_chunks(&chunks, &guard, text + first, second - first, &b))
                read_chunks(&chunks, &guard, text + second, len - second, &b);
            assert_int_equal(b.status, TW_EMPTY);
            assert_int_equal(b.used, len - 4);
            assert_slice(twi_slice_make(b.bytes, b.len), "hello, world0123456789");
        }
    }
    twt_guard_close(&guard);
}

static void broken_chunks(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        tw_status status;
    } cases[] = {
        {"\r\n", TW_MALFORMED},
        {"g\r\n", TW_MALFORMED},
        {"-1\r\n", TW_MALFORMED},
        {"0x5\r\n", TW_MALFORMED},
        {" 5\r\n", TW_MALFORMED},
        {"5 \r\n", TW_MALFORMED},
        {"5\n", TW_MALFORMED},
        {"5\rx", TW_MALFORMED},
        {"5;a\n", TW_MALFORMED},
        {"1\r\nab\r\n", TW_MALFORMED},
        {"1\r\na\n", TW_MALFORMED},
        {"1\r\na\rb", TW_MALFORMED},
        {"0\r\nA: b\nC: d\r\n\r\n", TW_MALFORMED},
        {"0\r\n\rx", TW_MALFORMED},
        {"11111111111111111\r\n", TW_TOO_BIG},
        {"00000000000000001\r\n", TW_TOO_BIG},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        twi_http_chunks chunks = {0};
        twt_guard guard = twt_guard_open(64);
        body b = {0};
        read_chunks(&chunks, &guard, cases[i].text, strlen(cases[i].text), &b);
        if (b.status != cases[i].status)
            fail_msg("chunk case %zu: %s", i, tw_status_name(b.status));
        assert_false(read_chunks(&chunks, &guard, "5\r\n", 3, &b)); /* stays so */
        twt_guard_close(&guard);
    }
    /* no end of extensions or trailers */
    static const char *const starts[] = {"5;", "0\r\nA:", "0\r\n"};
    for (size_t i = 0; i < 3; i++) {
        twi_http_chunks chunks = {0};
        const uint8_t *cursor = (const uint8_t *)starts[i];
        twi_slice part;
        assert_int_equal(twi_http_chunks_read(&chunks, &cursor, cursor + strlen(starts[i]), &part), TW_NEED_MORE);
        tw_status status = TW_NEED_MORE;
        for (int k = 0; k < 10000 && status == TW_NEED_MORE; k++) {
            const char *piece = i == 2 ? "a:\r\n" : "abcd";
            cursor = (const uint8_t *)piece;
            status = twi_http_chunks_read(&chunks, &cursor, (const uint8_t *)piece + 4, &part);
        }
        assert_int_equal(status, TW_TOO_BIG);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_request_is_taken_apart),
        cmocka_unit_test(every_prefix_waits),
        cmocka_unit_test(pipelined_requests),
        cmocka_unit_test(targets),
        cmocka_unit_test(keep_alive_rules),
        cmocka_unit_test(ambiguous_and_broken_heads_are_refused),
        cmocka_unit_test(limits_hold_and_are_exact),
        cmocka_unit_test(responses),
        cmocka_unit_test(queries),
        cmocka_unit_test(response_heads),
        cmocka_unit_test(chunked_bodies_over_every_split),
        cmocka_unit_test(broken_chunks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
