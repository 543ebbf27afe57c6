/* ws_handshake_test.c - opening handshake: the RFC's example, every refusal, subprotocol choice, the client's checks.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rfc_example_is_accepted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
