/* subscriber_url_test.c - the URLs that clients dial: every form, every refusal, queries added. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "subscribers/url.h"

static void expect(const char *text, const char *address, uint16_t port, const char *authority, const char *target)
{
    twi_url url;
    char error[256] = "";
    tw_status status = twi_url_parse(text, &url, error, sizeof error);
    if (status != TW_OK)
        fail_msg("%s: %s", text, error);
    assert_string_equal(url.address, address);
    assert_int_equal(url.port, port);
    assert_string_equal(url.authority, authority);
    assert_string_equal(url.target, target);
}

static void good_forms(void **state)
{
    (void)state;
    expect("ws://127.0.0.1:9001/v1/stream", "127.0.0.1", 9001, "127.0.0.1:9001", "/v1/stream");
    expect("ws://127.0.0.1:9001", "127.0.0.1", 9001, "127.0.0.1:9001", "/v1/stream");
    expect("ws://127.0.0.1:9001/", "127.0.0.1", 9001, "127.0.0.1:9001", "/v1/stream");
    expect("ws://127.0.0.1", "127.0.0.1", 80, "127.0.0.1", "/v1/stream");
    expect("ws://127.0.0.1:9001?codec=json", "127.0.0.1", 9001, "127.0.0.1:9001", "/v1/stream?codec=json");
    expect("ws://127.0.0.1:9001/?a=b", "127.0.0.1", 9001, "127.0.0.1:9001", "/v1/stream?a=b");
    expect("ws://127.0.0.1:9001/x?a=b#fragment", "127.0.0.1", 9001, "127.0.0.1:9001", "/x?a=b");
    expect("ws://[::1]:9001/x", "::1", 9001, "[::1]:9001", "/x");
    expect("unix:/run/tw.sock", "unix:/run/tw.sock", 0, "localhost", "/v1/stream");
    expect("unix:/run/tw.sock:/x?y=z", "unix:/run/tw.sock", 0, "localhost", "/x?y=z");
    expect("unix:/run/tw.sock?y=z", "unix:/run/tw.sock", 0, "localhost", "/v1/stream?y=z");
    expect("ws+unix:/run/tw.sock:/x", "unix:/run/tw.sock", 0, "localhost", "/x");
}

static void refusals(void **state)
{
    static const char *const bad[] = {"",
                                      "http://127.0.0.1/",
                                      "127.0.0.1:9001",
                                      "ws://",
                                      "ws:///x",
                                      "ws://127.0.0.1:0/",
                                      "ws://127.0.0.1:65536/",
                                      "ws://127.0.0.1:90a/",
                                      "ws://127.0.0.1:/",
                                      "ws://user@127.0.0.1:9001/",
                                      "ws://[::1/x",
                                      "ws://[::1]x/",
                                      "ws://127.0.0.1:9001/a b",
                                      "ws://127.0.0.1:9001/a\r\nX: y",
                                      "unix:relative.sock",
                                      "unix:"};
    (void)state;
    twi_url url;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        char error[256] = "";
        if (twi_url_parse(bad[i], &url, error, sizeof error) != TW_BAD_ARGUMENT)
            fail_msg("taken: %s", bad[i]);
        assert_int_not_equal(strlen(error), 0);
    }
    char error[256];
    assert_int_equal(twi_url_parse("wss://example.com/", &url, error, sizeof error), TW_NOT_SUPPORTED);
}

static void queries_are_escaped(void **state)
{
    (void)state;
    twi_url url;
    char error[256];
    assert_int_equal(twi_url_parse("ws://127.0.0.1:1/v1/stream", &url, error, sizeof error), TW_OK);
    assert_int_equal(twi_url_query_add(&url, "symbols", "sim:*,okx:BTC/USDT:USDT"), TW_OK);
    assert_int_equal(twi_url_query_add(&url, "x", "a&b=c d%+\"#"), TW_OK);
    assert_string_equal(url.target, "/v1/stream?symbols=sim:*,okx:BTC/USDT:USDT&x=a%26b%3Dc%20d%25%2B%22%23");
}

static void queries_have_a_limit(void **state)
{
    (void)state;
    twi_url url;
    char error[256];
    char lengthy[TWI_URL_TARGET_MAX + 1];
    memset(lengthy, '&', sizeof lengthy - 1);
    lengthy[sizeof lengthy - 1] = 0;
    assert_int_equal(twi_url_parse("ws://127.0.0.1:1/", &url, error, sizeof error), TW_OK);
    assert_int_equal(twi_url_query_add(&url, "symbols", lengthy), TW_TOO_BIG);
    assert_true(strlen(url.target) <= TWI_URL_TARGET_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(good_forms),
        cmocka_unit_test(refusals),
        cmocka_unit_test(queries_are_escaped),
        cmocka_unit_test(queries_have_a_limit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
