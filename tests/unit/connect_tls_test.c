/* connect_tls_test.c - TLS against a server in memory, with certificates made here: who is trusted, who is not and why,
 * and that bytes come through in any pieces. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <openssl/err.h>

#include "engine/connect/tls.h"
#include "tests/unit/connect_identity.h"

enum { WIRE_MAX = 1 << 20, DAY_S = 86400, TEXT_BYTES = 100000 };

static twt_identity authority, stranger;
static char ca_path[] = "/tmp/tickwire_tls_test.XXXXXX";

/* ---- both ends ---- */

typedef struct pair {
    twi_tls_context *context;
    twi_tls *client;
    SSL_CTX *server_context;
    SSL *server;
    uint8_t wire[WIRE_MAX]; /* from the client */
    size_t wire_len;
    size_t piece; /* of what the client gets at a time; 0: all */
    int sends_nothing;
} pair;

static int take(void *owner, const uint8_t *bytes, size_t len)
{
    pair *it = owner;
    if (it->sends_nothing || it->wire_len + len > WIRE_MAX)
        return 0;
    memcpy(it->wire + it->wire_len, bytes, len);
    it->wire_len += len;
    return 1;
}

static pair *open_pair(const twt_identity *server, const char *host, uint8_t client_min, int server_max)
{
    pair *it = calloc(1, sizeof(*it));
    char error[256];
    const twi_tls_options options = {.ca_file = ca_path, .minor_min = client_min};
    assert_int_equal(twi_tls_context_open(&options, &it->context, error, sizeof(error)), TW_OK);
    assert_int_equal(twi_tls_open(it->context, host, take, it, &it->client), TW_OK);
    it->server_context = SSL_CTX_new(TLS_server_method());
    SSL_CTX_set_security_level(it->server_context, 0);
    SSL_CTX_set_min_proto_version(it->server_context, TLS1_VERSION);
    SSL_CTX_set_max_proto_version(it->server_context, server_max);
    assert_int_equal(SSL_CTX_use_certificate(it->server_context, server->certificate), 1);
    assert_int_equal(SSL_CTX_use_PrivateKey(it->server_context, server->key), 1);
    it->server = SSL_new(it->server_context);
    SSL_set_bio(it->server, BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
    SSL_set_accept_state(it->server);
    return it;
}

static void close_pair(pair *it)
{
    twi_tls_close(it->client);
    twi_tls_context_close(it->context);
    SSL_free(it->server);
    SSL_CTX_free(it->server_context);
    ERR_clear_error();
    free(it);
}

static void to_server(pair *it)
{
    if (it->wire_len > 0)
        BIO_write(SSL_get_rbio(it->server), it->wire, (int)it->wire_len);
    it->wire_len = 0;
}

/* Gives the client what the server has said, in pieces, to `use` each. */
static tw_status to_client(pair *it, tw_status (*use)(pair *it))
{
    static uint8_t bytes[WIRE_MAX];
    int len = BIO_read(SSL_get_wbio(it->server), bytes, sizeof(bytes));
    tw_status status = TW_NEED_MORE;
    for (int at = 0; at < len;) {
        int piece = it->piece > 0 && (size_t)(len - at) > it->piece ? (int)it->piece : len - at;
        twi_tls_receive(it->client, bytes + at, (size_t)piece);
        at += piece;
        status = use(it);
        if (status != TW_NEED_MORE)
            break;
    }
    return status;
}

static tw_status shake(pair *it)
{
    return twi_tls_handshake(it->client);
}

static tw_status handshake(pair *it)
{
    tw_status status = twi_tls_handshake(it->client);
    for (int turn = 0; turn < 10 && status == TW_NEED_MORE; turn++) {
        to_server(it);
        SSL_do_handshake(it->server);
        status = to_client(it, shake);
    }
    to_server(it);
    if (status == TW_OK)
        SSL_do_handshake(it->server);
    return status;
}

static void expect(const twt_identity *server, const char *host, tw_status wanted, const char *part)
{
    pair *it = open_pair(server, host, 2, TLS1_3_VERSION);
    tw_status status = handshake(it);
    if (status != wanted || strstr(twi_tls_error(it->client), part) == NULL)
        fail_msg("%s: %s \"%s\", wanted %s \"%s\"", host, tw_status_name(status), twi_tls_error(it->client),
                 tw_status_name(wanted), part);
    close_pair(it);
}

/* ---- */

static void test_who_is_trusted(void **state)
{
    (void)state;
    twt_identity server =
        twt_identity_make(&authority, "DNS:localhost,DNS:*.example.com,IP:127.0.0.1,IP:::1", -DAY_S, DAY_S);
    expect(&server, "localhost", TW_OK, "");
    expect(&server, "stream.example.com", TW_OK, "");
    expect(&server, "127.0.0.1", TW_OK, "");
    expect(&server, "::1", TW_OK, "");
    expect(&server, "example.com", TW_AUTHENTICATION, "hostname mismatch");
    expect(&server, "a.b.example.com", TW_AUTHENTICATION, "hostname mismatch");
    expect(&server, "elsewhere.org", TW_AUTHENTICATION, "hostname mismatch");
    expect(&server, "127.0.0.2", TW_AUTHENTICATION, "IP address mismatch");
    twt_identity_forget(&server);
}

static void test_who_is_not(void **state)
{
    (void)state;
    twt_identity other = twt_identity_make(&stranger, "DNS:localhost", -DAY_S, DAY_S);
    twt_identity old = twt_identity_make(&authority, "DNS:localhost", -2 * DAY_S, -DAY_S);
    twt_identity young = twt_identity_make(&authority, "DNS:localhost", DAY_S, 2 * DAY_S);
    twt_identity own = twt_identity_make(NULL, NULL, -DAY_S, DAY_S);
    expect(&other, "localhost", TW_AUTHENTICATION, "");
    expect(&old, "localhost", TW_AUTHENTICATION, "certificate has expired");
    expect(&young, "localhost", TW_AUTHENTICATION, "certificate is not yet valid");
    expect(&own, "localhost", TW_AUTHENTICATION, "");
    twt_identity_forget(&other);
    twt_identity_forget(&old);
    twt_identity_forget(&young);
    twt_identity_forget(&own);
}

static void test_versions(void **state)
{
    (void)state;
    twt_identity server = twt_identity_make(&authority, "DNS:localhost", -DAY_S, DAY_S);
    static const struct {
        uint8_t client_min;
        int server_max;
        tw_status wanted;
        const char *version;
    } cases[] = {{2, TLS1_3_VERSION, TW_OK, "TLSv1.3"},
                 {2, TLS1_2_VERSION, TW_OK, "TLSv1.2"},
                 {2, TLS1_1_VERSION, TW_MALFORMED, ""},
                 {3, TLS1_2_VERSION, TW_MALFORMED, ""}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        pair *it = open_pair(&server, "localhost", cases[i].client_min, cases[i].server_max);
        assert_int_equal(handshake(it), cases[i].wanted);
        if (cases[i].wanted == TW_OK)
            assert_string_equal(twi_tls_version(it->client), cases[i].version);
        else
            assert_true(twi_tls_error(it->client)[0] != 0);
        close_pair(it);
    }
    twt_identity_forget(&server);
}

static void test_name_is_told(void **state)
{
    (void)state;
    twt_identity server = twt_identity_make(&authority, "DNS:localhost,IP:127.0.0.1", -DAY_S, DAY_S);
    pair *it = open_pair(&server, "localhost", 2, TLS1_3_VERSION);
    assert_int_equal(handshake(it), TW_OK);
    assert_string_equal(SSL_get_servername(it->server, TLSEXT_NAMETYPE_host_name), "localhost");
    close_pair(it);
    it = open_pair(&server, "127.0.0.1", 2, TLS1_3_VERSION);
    assert_int_equal(handshake(it), TW_OK);
    assert_null(SSL_get_servername(it->server, TLSEXT_NAMETYPE_host_name)); /* RFC 6066: no addresses */
    close_pair(it);
    twt_identity_forget(&server);
}

static uint8_t received[TEXT_BYTES * 2];
static size_t received_len;

static tw_status read_all(pair *it)
{
    tw_status status;
    size_t len;
    while ((status = twi_tls_read(it->client, received + received_len, sizeof(received) - received_len, &len)) == TW_OK)
        received_len += len;
    return status;
}

static void test_bytes_in_any_pieces(void **state)
{
    (void)state;
    static const size_t pieces[] = {0, 1, 5, 1460, 16384};
    static uint8_t text[TEXT_BYTES], back[TEXT_BYTES];
    twt_identity server = twt_identity_make(&authority, "DNS:localhost", -DAY_S, DAY_S);
    for (size_t i = 0; i < sizeof(text); i++)
        text[i] = (uint8_t)(i * 31);
    for (size_t i = 0; i < sizeof(pieces) / sizeof(pieces[0]); i++) {
        pair *it = open_pair(&server, "localhost", 2, TLS1_3_VERSION);
        it->piece = pieces[i];
        assert_int_equal(handshake(it), TW_OK);
        received_len = 0;
        assert_int_equal(SSL_write(it->server, text, sizeof(text)), sizeof(text));
        assert_int_equal(to_client(it, read_all), TW_NEED_MORE);
        assert_int_equal(received_len, sizeof(text));
        assert_memory_equal(received, text, sizeof(text));

        assert_int_equal(twi_tls_write(it->client, text, sizeof(text)), TW_OK);
        assert_true(it->wire_len <= twi_tls_wire_bytes(sizeof(text)));
        to_server(it);
        size_t len = 0;
        for (int more; len < sizeof(back) && (more = SSL_read(it->server, back + len, (int)(sizeof(back) - len))) > 0;)
            len += (size_t)more;
        assert_int_equal(len, sizeof(text));
        assert_memory_equal(back, text, sizeof(text));

        SSL_shutdown(it->server);
        assert_int_equal(to_client(it, read_all), TW_CLOSED);
        close_pair(it);
    }
    twt_identity_forget(&server);
}

static void test_no_place_for_bytes(void **state)
{
    (void)state;
    twt_identity server = twt_identity_make(&authority, "DNS:localhost", -DAY_S, DAY_S);
    pair *it = open_pair(&server, "localhost", 2, TLS1_3_VERSION);
    assert_int_equal(handshake(it), TW_OK);
    it->sends_nothing = 1;
    assert_int_equal(twi_tls_write(it->client, (const uint8_t *)"hello", 5), TW_FULL);
    close_pair(it);
    twt_identity_forget(&server);
}

static void test_garbage(void **state)
{
    (void)state;
    twt_identity server = twt_identity_make(&authority, "DNS:localhost", -DAY_S, DAY_S);
    pair *it = open_pair(&server, "localhost", 2, TLS1_3_VERSION);
    assert_int_equal(twi_tls_handshake(it->client), TW_NEED_MORE);
    static const char text[] = "HTTP/1.1 400 Bad Request\r\n\r\n";
    twi_tls_receive(it->client, (const uint8_t *)text, sizeof(text) - 1);
    assert_int_equal(twi_tls_handshake(it->client), TW_MALFORMED);
    assert_true(twi_tls_error(it->client)[0] != 0);
    close_pair(it);

    it = open_pair(&server, "localhost", 2, TLS1_3_VERSION); /* and in the middle of a good session */
    assert_int_equal(handshake(it), TW_OK);
    received_len = 0;
    to_client(it, read_all);
    twi_tls_receive(it->client, (const uint8_t *)"\x17\x03\x03\x00\x20................................", 37);
    assert_int_equal(read_all(it), TW_MALFORMED);
    close_pair(it);
    twt_identity_forget(&server);
}

static void test_bad_authority_files(void **state)
{
    (void)state;
    char error[512];
    twi_tls_context *context;
    twi_tls_options options = {.ca_file = "tests/unit/no_such.pem"};
    assert_int_equal(twi_tls_context_open(&options, &context, error, sizeof(error)), TW_BAD_CONFIG);
    assert_non_null(strstr(error, "no_such.pem"));
    options.ca_file = "CMakeLists.txt";
    assert_int_equal(twi_tls_context_open(&options, &context, error, sizeof(error)), TW_BAD_CONFIG);
    assert_non_null(strstr(error, "PEM file"));
    options.ca_file = NULL;
    assert_int_equal(twi_tls_context_open(&options, &context, error, sizeof(error)), TW_OK);
    twi_tls_context_close(context);
}

static int make_authorities(void **state)
{
    (void)state;
    authority = twt_identity_make(NULL, NULL, -DAY_S, DAY_S);
    stranger = twt_identity_make(NULL, NULL, -DAY_S, DAY_S);
    return twt_identity_write(&authority, ca_path);
}

static int forget_authorities(void **state)
{
    (void)state;
    twt_identity_forget(&authority);
    twt_identity_forget(&stranger);
    return unlink(ca_path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_who_is_trusted),
        cmocka_unit_test(test_who_is_not),
        cmocka_unit_test(test_versions),
        cmocka_unit_test(test_name_is_told),
        cmocka_unit_test(test_bytes_in_any_pieces),
        cmocka_unit_test(test_no_place_for_bytes),
        cmocka_unit_test(test_garbage),
        cmocka_unit_test(test_bad_authority_files),
    };
    return cmocka_run_group_tests(tests, make_authorities, forget_authorities);
}
