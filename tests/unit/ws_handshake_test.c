/* ws_handshake_test.c - opening handshake: the RFC's example, every refusal, subprotocol choice, the client's checks.
 */
#include "tests/unit/ws_support.h"

#include "engine/proto/sha1.h"
#include "engine/proto/ws_handshake.h"

/* RFC 6455 section 1.3 */
static const char rfc_key[] = "dGhlIHNhbXBsZSBub25jZQ==";
static const char rfc_accept[] = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

static tw_status check(const char *text, twi_ws_upgrade *upgrade)
{
    static twi_http_request request;
    tw_status status = twi_http_request_parse((const uint8_t *)text, strlen(text), 0, NULL, &request);
    assert_int_equal(status, TW_OK);
    return twi_ws_upgrade_check(&request, upgrade);
}

static void rfc_example_is_accepted(void **state)
{
    (void)state;
    twi_ws_upgrade upgrade;
    char text[512];
    snprintf(
        text, sizeof(text),
        "GET /chat HTTP/1.1\r\nHost: server.example.com\r\nUpgrade: websocket\r\nConnection: keep-alive, Upgrade\r\n"
        "Sec-WebSocket-Key: %s\r\nSec-WebSocket-Version: 13\r\n\r\n",
        rfc_key);
    assert_int_equal(check(text, &upgrade), TW_OK);
    assert_memory_equal(upgrade.accept, rfc_accept, TWI_WS_ACCEPT_CHARS);
    char out[TWI_WS_ACCEPT_BYTES];
    size_t len = twi_ws_accept_write(out, sizeof(out), &upgrade, "chat", NULL, NULL);
    static const char wanted[] = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                                 "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"
                                 "Sec-WebSocket-Protocol: chat\r\n\r\n";
    assert_int_equal(len, sizeof(wanted) - 1);
    assert_memory_equal(out, wanted, len);
    for (size_t cap = 0; cap < len + 1; cap++)
        assert_int_equal(twi_ws_accept_write(out, cap, &upgrade, "chat", NULL, NULL), 0);
}

#define UPGRADE "GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
#define KEY     "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
#define VERSION "Sec-WebSocket-Version: 13\r\n"

static void requests_are_accepted_or_refused_by_name(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        tw_status status;
        uint16_t error_status;
    } cases[] = {
        {UPGRADE KEY VERSION "\r\n", TW_OK, 0},
        {"GET / HTTP/1.1\r\nHost: a\r\nUpgrade: h2c, WebSocket\r\nConnection: x, UPGRADE\r\n" KEY VERSION "\r\n", TW_OK,
         0},
        {UPGRADE KEY VERSION "Content-Length: 0\r\n\r\n", TW_OK, 0},
        {"GET / HTTP/1.1\r\nHost: a\r\n\r\n", TW_EMPTY, 0},
        {"GET / HTTP/1.1\r\nHost: a\r\nUpgrade: h2c\r\nConnection: Upgrade\r\n\r\n", TW_EMPTY, 0},
        {"GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\n" KEY VERSION "\r\n", TW_MALFORMED, 400},
        {"POST / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" KEY VERSION "\r\n", TW_MALFORMED,
         405},
        {"GET / HTTP/1.0\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" KEY VERSION "\r\n", TW_MALFORMED,
         400},
        {UPGRADE KEY VERSION "Content-Length: 5\r\n\r\nhello", TW_MALFORMED, 400},
        {UPGRADE KEY VERSION "Transfer-Encoding: chunked\r\n\r\n", TW_MALFORMED, 400},
        {UPGRADE KEY "\r\n", TW_MALFORMED, 426},
        {UPGRADE KEY "Sec-WebSocket-Version: 8\r\n\r\n", TW_MALFORMED, 426},
        {UPGRADE KEY "Sec-WebSocket-Version: 013\r\n\r\n", TW_MALFORMED, 426},
        {UPGRADE KEY VERSION VERSION "\r\n", TW_MALFORMED, 426},
        {UPGRADE VERSION "\r\n", TW_MALFORMED, 400},
        {UPGRADE KEY KEY VERSION "\r\n", TW_MALFORMED, 400},
        {UPGRADE VERSION "Sec-WebSocket-Key: \r\n\r\n", TW_MALFORMED, 400},
        {UPGRADE VERSION "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=\r\n\r\n", TW_MALFORMED, 400},
        {UPGRADE VERSION "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ~~\r\n\r\n", TW_MALFORMED, 400},
        {UPGRADE VERSION "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZR==\r\n\r\n", TW_MALFORMED, 400},
        {UPGRADE VERSION "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZWFi\r\n\r\n", TW_MALFORMED, 400},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        twi_ws_upgrade upgrade;
        tw_status status = check(cases[i].text, &upgrade);
        if (status != cases[i].status || upgrade.error_status != cases[i].error_status)
            fail_msg("case %zu: %s %u", i, tw_status_name(status), (unsigned)upgrade.error_status);
        assert_int_equal(upgrade.error != NULL, status == TW_MALFORMED);
    }
}

static void refusals_can_be_parsed(void **state)
{
    (void)state;
    static const uint16_t statuses[] = {400, 403, 405, 426, 503};
    static twi_http_response response;
    for (size_t i = 0; i < sizeof(statuses) / sizeof(statuses[0]); i++) {
        char out[TWI_WS_ACCEPT_BYTES];
        size_t len = twi_ws_reject_write(out, sizeof(out), statuses[i], "because");
        assert_int_equal(twi_http_response_parse((const uint8_t *)out, len, 0, NULL, &response), TW_OK);
        assert_int_equal(response.status, statuses[i]);
        assert_int_equal(response.fields.head_bytes + response.fields.content_length, len);
        assert_false(response.fields.keep_alive);
        assert_int_equal(twi_http_header_find(&response.fields, "sec-websocket-version") != NULL, statuses[i] == 426);
        for (size_t cap = 0; cap <= len; cap++)
            assert_int_equal(twi_ws_reject_write(out, cap, statuses[i], "because"), 0);
    }
}

static void the_clients_order_chooses_the_subprotocol(void **state)
{
    (void)state;
    static const char *const ours[] = {"tickwire.v1.json", "tickwire.v1.flatbuffers"};
    static const struct {
        const char *headers;
        int chosen;
        uint32_t offered;
    } cases[] = {
        {"", -1, 0},
        {"Sec-WebSocket-Protocol: tickwire.v1.json\r\n", 0, 1},
        {"Sec-WebSocket-Protocol: x, tickwire.v1.flatbuffers ,tickwire.v1.json\r\n", 1, 3},
        {"Sec-WebSocket-Protocol: x\r\nSec-WebSocket-Protocol: tickwire.v1.json\r\n", 0, 2},
        {"Sec-WebSocket-Protocol: TICKWIRE.v1.json, tickwire.v1\r\n", -1, 2},
        {"Sec-WebSocket-Protocol: ,,\r\n", -1, 0},
    };
    static twi_http_request request;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char text[512];
        snprintf(text, sizeof(text), "GET / HTTP/1.1\r\nHost: a\r\n%s\r\n", cases[i].headers);
        assert_int_equal(twi_http_request_parse((const uint8_t *)text, strlen(text), 0, NULL, &request), TW_OK);
        uint32_t offered;
        assert_int_equal(twi_ws_protocol_choose(&request, ours, 2, &offered), cases[i].chosen);
        assert_int_equal(offered, cases[i].offered);
    }
}

/* ---- client ---- */

static const uint8_t key_bytes[16] = "the sample nonce"; /* the RFC's */

static void both_roles_agree(void **state)
{
    (void)state;
    const twi_ws_client_request ask = {.host = "example.com:9001",
                                       .target = "/v1/stream?codec=json",
                                       .protocols = "tickwire.v1.flatbuffers, tickwire.v1.json",
                                       .extensions = "permessage-deflate",
                                       .extra_headers = "Origin: http://example.com\r\n"};
    char out[512];
    size_t len = twi_ws_request_write(out, sizeof(out), &ask, key_bytes);
    assert_true(len > 0);
    static twi_http_request request;
    assert_int_equal(twi_http_request_parse((const uint8_t *)out, len, 0, NULL, &request), TW_OK);
    assert_true(twi_slice_equals(request.host, "example.com:9001"));
    assert_true(twi_slice_equals(twi_http_header_find(&request.fields, "sec-websocket-key")->value, rfc_key));
    assert_true(twi_slice_equals(twi_http_header_find(&request.fields, "origin")->value, "http://example.com"));
    twi_ws_upgrade upgrade;
    assert_int_equal(twi_ws_upgrade_check(&request, &upgrade), TW_OK);
    char reply[512];
    size_t reply_len =
        twi_ws_accept_write(reply, sizeof(reply), &upgrade, "tickwire.v1.json", "permessage-deflate", "x");
    static twi_http_response response;
    assert_int_equal(twi_http_response_parse((const uint8_t *)reply, reply_len, 0, NULL, &response), TW_OK);
    twi_ws_client_answer answer;
    assert_int_equal(twi_ws_response_check(&response, &ask, key_bytes, &answer), TW_OK);
    assert_true(twi_slice_equals(answer.protocol, "tickwire.v1.json"));
    assert_true(twi_slice_equals(answer.extensions, "permessage-deflate"));
    for (size_t cap = 0; cap <= len; cap++)
        assert_int_equal(twi_ws_request_write(out, cap, &ask, key_bytes), 0);
}

#define SWITCH "HTTP/1.1 101 x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
#define ACCEPT "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"

static void answers_that_were_not_asked_for_are_refused(void **state)
{
    (void)state;
    const twi_ws_client_request plain = {.host = "a", .target = "/"};
    const twi_ws_client_request rich = {
        .host = "a", .target = "/", .protocols = "one, two", .extensions = "permessage-deflate"};
    const struct {
        const twi_ws_client_request *request;
        const char *text;
        tw_status status;
    } cases[] = {
        {&plain, SWITCH ACCEPT "\r\n", TW_OK},
        {&plain, "HTTP/1.1 101 x\r\nUPGRADE: WebSocket\r\nConnection: upgrade\r\n" ACCEPT "\r\n", TW_OK},
        {&rich, SWITCH ACCEPT "Sec-WebSocket-Protocol: two\r\n\r\n", TW_OK},
        {&rich, SWITCH ACCEPT "\r\n", TW_OK},
        {&plain, "HTTP/1.1 200 OK\r\n" ACCEPT "\r\n", TW_UNAVAILABLE},
        {&plain, "HTTP/1.1 503 x\r\n\r\n", TW_UNAVAILABLE},
        {&plain, SWITCH "\r\n", TW_MALFORMED},
        {&plain, SWITCH ACCEPT ACCEPT "\r\n", TW_MALFORMED},
        {&plain, SWITCH "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOO=\r\n\r\n", TW_MALFORMED},
        {&plain, SWITCH "Sec-WebSocket-Accept: S3PPLMBITXAQ9KYGZZHZRBK+XOO=\r\n\r\n", TW_MALFORMED},
        {&plain, "HTTP/1.1 101 x\r\nConnection: Upgrade\r\n" ACCEPT "\r\n", TW_MALFORMED},
        {&plain, "HTTP/1.1 101 x\r\nUpgrade: websocket\r\n" ACCEPT "\r\n", TW_MALFORMED},
        {&plain, "HTTP/1.1 101 x\r\nUpgrade: h2c\r\nConnection: Upgrade\r\n" ACCEPT "\r\n", TW_MALFORMED},
        {&plain, SWITCH ACCEPT "Sec-WebSocket-Protocol: one\r\n\r\n", TW_MALFORMED},
        {&plain, SWITCH ACCEPT "Sec-WebSocket-Extensions: permessage-deflate\r\n\r\n", TW_MALFORMED},
        {&rich, SWITCH ACCEPT "Sec-WebSocket-Protocol: three\r\n\r\n", TW_MALFORMED},
        {&rich, SWITCH ACCEPT "Sec-WebSocket-Protocol: One\r\n\r\n", TW_MALFORMED},
        {&rich, SWITCH ACCEPT "Sec-WebSocket-Protocol:\r\n\r\n", TW_MALFORMED},
        {&rich, SWITCH ACCEPT "Sec-WebSocket-Protocol: one\r\nSec-WebSocket-Protocol: two\r\n\r\n", TW_MALFORMED},
    };
    static twi_http_response response;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const uint8_t *bytes = (const uint8_t *)cases[i].text;
        assert_int_equal(twi_http_response_parse(bytes, strlen(cases[i].text), 0, NULL, &response), TW_OK);
        twi_ws_client_answer answer;
        tw_status status = twi_ws_response_check(&response, cases[i].request, key_bytes, &answer);
        if (status != cases[i].status)
            fail_msg("case %zu: %s", i, tw_status_name(status));
        assert_int_equal(answer.error != NULL, status != TW_OK);
    }
}

/* ---- SHA-1 and base64 ---- */

static void sha1_of_known_texts(void **state)
{
    (void)state;
    /* FIPS 180-4's examples, and lengths around the padding's edge (by another implementation). */
    static const struct {
        char fill;
        size_t len;
        const char *hex;
    } cases[] = {
        {'a', 0, "da39a3ee5e6b4b0d3255bfef95601890afd80709"},    {'a', 1, "86f7e437faa5a7fce15d1ddcb9eaeaea377667b8"},
        {'a', 55, "c1c8bbdc22796e28c0e15163d20899b65621d65a"},   {'a', 56, "c2db330f6083854c99d4b5bfb6e8f29f201be699"},
        {'a', 63, "03f09f5b158a7a8cdad920bddc29b81c18a551f5"},   {'a', 64, "0098ba824b5c16427bd7a1122a5a442a25ec644d"},
        {'a', 119, "ee971065aaa017e0632a8ca6c77bb3bf8b1dfc56"},  {'a', 120, "f34c1488385346a55709ba056ddd08280dd4c6d6"},
        {'a', 4096, "8c51fb6a0b587ec95ca74acfa43df7539b486297"},
    };
    static uint8_t text[TWI_SHA1_INPUT_MAX];
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        memset(text, cases[i].fill, cases[i].len);
        uint8_t hash[TWI_SHA1_BYTES];
        char hex[2 * TWI_SHA1_BYTES + 1];
        twi_sha1(text, cases[i].len, hash);
        for (size_t k = 0; k < TWI_SHA1_BYTES; k++)
            snprintf(hex + 2 * k, 3, "%02x", hash[k]);
        assert_string_equal(hex, cases[i].hex);
    }
    uint8_t hash[TWI_SHA1_BYTES];
    twi_sha1((const uint8_t *)"abc", 3, hash);
    assert_memory_equal(hash, "\xa9\x99\x3e\x36\x47\x06\x81\x6a\xba\x3e\x25\x71\x78\x50\xc2\x6c\x9c\xd0\xd8\x9d", 20);
}

static void base64_round_trips_and_is_strict(void **state)
{
    (void)state;
    /* RFC 4648 section 10 */
    static const char *const texts[][2] = {{"", ""},
                                           {"f", "Zg=="},
                                           {"fo", "Zm8="},
                                           {"foo", "Zm9v"},
                                           {"foob", "Zm9vYg=="},
                                           {"fooba", "Zm9vYmE="},
                                           {"foobar", "Zm9vYmFy"}};
    char out[16];
    uint8_t back[16];
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        size_t len = strlen(texts[i][0]);
        size_t chars = twi_base64_chars(len);
        twi_base64_encode((const uint8_t *)texts[i][0], len, out);
        assert_int_equal(chars, strlen(texts[i][1]));
        assert_memory_equal(out, texts[i][1], chars);
        assert_int_equal(twi_base64_decode(out, chars, back, sizeof(back)), len);
        assert_memory_equal(back, texts[i][0], len);
        if (len > 0)
            assert_int_equal(twi_base64_decode(out, chars, back, len - 1), -1);
    }
    static const char *const bad[] = {
        "Z", "Zg", "Zg=", "Zh==", "Zm9=", "Z===", "====", "Zg==Zg==", "Zm 9", "Zm-_", "=Zm9"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_int_equal(twi_base64_decode(bad[i], strlen(bad[i]), back, sizeof(back)), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rfc_example_is_accepted), cmocka_unit_test(requests_are_accepted_or_refused_by_name),
        cmocka_unit_test(refusals_can_be_parsed),  cmocka_unit_test(the_clients_order_chooses_the_subprotocol),
        cmocka_unit_test(both_roles_agree),        cmocka_unit_test(answers_that_were_not_asked_for_are_refused),
        cmocka_unit_test(sha1_of_known_texts),     cmocka_unit_test(base64_round_trips_and_is_strict),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
