/* tls.c - see tls.h. */
#include "engine/connect/tls.h"

#include <openssl/err.h>
#include <openssl/rand.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/assert.h"
#include "engine/connect/url.h"

enum { RECORD_EXTRA_BYTES = 96 }; /* header, explicit nonce, tag, padding: TLS 1.2 CBC is the worst */

struct twi_tls_context {
    SSL_CTX *ssl;
    BIO_METHOD *method;
};

struct twi_tls {
    SSL *ssl;
    const uint8_t *in;
    size_t in_len;
    twi_tls_send_fn send;
    void *send_owner;
    int refused; /* send took nothing */
    int done;    /* handshake */
    char error[TWI_TLS_ERROR_MAX + 1];
};

/* ---- the bytes, as OpenSSL wants to see them ---- */

static int bio_read(BIO *bio, char *out, size_t cap, size_t *len)
{
    twi_tls *tls = BIO_get_data(bio);
    BIO_clear_retry_flags(bio);
    *len = tls->in_len < cap ? tls->in_len : cap;
    if (*len == 0) {
        BIO_set_retry_read(bio);
        return 0;
    }
    memcpy(out, tls->in, *len);
    tls->in += *len;
    tls->in_len -= *len;
    return 1;
}

static int bio_write(BIO *bio, const char *data, size_t len, size_t *written)
{
    twi_tls *tls = BIO_get_data(bio);
    BIO_clear_retry_flags(bio);
    *written = 0;
    if (tls->refused || !tls->send(tls->send_owner, (const uint8_t *)data, len)) {
        tls->refused = 1;
        return 0;
    }
    *written = len;
    return 1;
}

static long bio_control(BIO *bio, int command, long number, void *pointer)
{
    (void)bio;
    (void)number;
    (void)pointer;
    return command == BIO_CTRL_FLUSH || command == BIO_CTRL_PUSH || command == BIO_CTRL_POP;
}

static BIO_METHOD *make_method(void)
{
    BIO_METHOD *method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "tickwire");
    if (method == NULL)
        return NULL;
    BIO_meth_set_read_ex(method, bio_read);
    BIO_meth_set_write_ex(method, bio_write);
    BIO_meth_set_ctrl(method, bio_control);
    return method;
}

/* ---- context ---- */

static void last_error(char *out, size_t cap)
{
    unsigned long code = ERR_get_error();
    const char *reason = code != 0 ? ERR_reason_error_string(code) : NULL;
    if (reason != NULL)
        snprintf(out, cap, "%s", reason);
    else if (code != 0)
        ERR_error_string_n(code, out, cap);
    else
        snprintf(out, cap, "unknown error");
    ERR_clear_error();
}

static tw_status load_authorities(SSL_CTX *ssl, const char *ca_file, char *error, size_t error_cap)
{
    char reason[TWI_TLS_ERROR_MAX];
    if (ca_file == NULL || *ca_file == 0) {
        if (SSL_CTX_set_default_verify_paths(ssl) == 1)
            return TW_OK;
        last_error(reason, sizeof(reason));
        snprintf(error, error_cap, "the system's certificate authorities cannot be loaded: %s", reason);
        return TW_BAD_CONFIG;
    }
    if (SSL_CTX_load_verify_locations(ssl, ca_file, NULL) == 1)
        return TW_OK;
    last_error(reason, sizeof(reason));
    snprintf(error, error_cap, "ca_file = \"%s\": %s; a PEM file with at least one certificate is wanted", ca_file,
             reason);
    return TW_BAD_CONFIG;
}

tw_status twi_tls_context_open(const twi_tls_options *options, twi_tls_context **out, char *error, size_t error_cap)
{
    static const unsigned char alpn[] = "\x08http/1.1";
    twi_tls_context *context = calloc(1, sizeof(*context));
    *out = NULL;
    if (context == NULL || (context->ssl = SSL_CTX_new(TLS_client_method())) == NULL ||
        (context->method = make_method()) == NULL) {
        snprintf(error, error_cap, "no memory for TLS");
        if (context != NULL)
            twi_tls_context_close(context);
        return TW_NO_MEMORY;
    }
    SSL_CTX_set_min_proto_version(context->ssl, options->minor_min == 3 ? TLS1_3_VERSION : TLS1_2_VERSION);
    SSL_CTX_set_verify(context->ssl, SSL_VERIFY_PEER, NULL);
    /* A cut without goodbye is told as the end of the connection; WebSocket says by itself whether it was complete. */
    SSL_CTX_set_options(context->ssl, SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION);
    SSL_CTX_set_mode(context->ssl, SSL_MODE_AUTO_RETRY);
    SSL_CTX_set_session_cache_mode(context->ssl, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_alpn_protos(context->ssl, alpn, sizeof(alpn) - 1);
    tw_status status = load_authorities(context->ssl, options->ca_file, error, error_cap);
    if (status != TW_OK) {
        twi_tls_context_close(context);
        return status;
    }
    *out = context;
    return TW_OK;
}

void twi_tls_context_close(twi_tls_context *context)
{
    if (context->ssl != NULL)
        SSL_CTX_free(context->ssl);
    if (context->method != NULL)
        BIO_meth_free(context->method);
    free(context);
}

/* ---- session ---- */

static int set_host(SSL *ssl, const char *host)
{
    if (twi_host_is_address(host))
        return X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), host);
    SSL_set_hostflags(ssl, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    return SSL_set1_host(ssl, host) && SSL_set_tlsext_host_name(ssl, host);
}

tw_status twi_tls_open(twi_tls_context *context, const char *host, twi_tls_send_fn send, void *send_owner,
                       twi_tls **out)
{
    *out = NULL;
    twi_tls *tls = calloc(1, sizeof(*tls));
    if (tls == NULL)
        return TW_NO_MEMORY;
    tls->send = send;
    tls->send_owner = send_owner;
    tls->ssl = SSL_new(context->ssl);
    BIO *bio = tls->ssl != NULL ? BIO_new(context->method) : NULL;
    if (bio == NULL || !set_host(tls->ssl, host)) {
        if (bio != NULL)
            BIO_free(bio);
        twi_tls_close(tls);
        ERR_clear_error();
        return TW_NO_MEMORY;
    }
    BIO_set_data(bio, tls);
    BIO_set_init(bio, 1);
    SSL_set_bio(tls->ssl, bio, bio);
    SSL_set_connect_state(tls->ssl);
    *out = tls;
    return TW_OK;
}

void twi_tls_close(twi_tls *tls)
{
    if (tls->ssl != NULL)
        SSL_free(tls->ssl);
    free(tls);
}

void twi_tls_receive(twi_tls *tls, const uint8_t *bytes, size_t len)
{
    TWI_ASSERT(tls->in_len == 0);
    tls->in = bytes;
    tls->in_len = len;
}

static tw_status failed(twi_tls *tls, int code)
{
    switch (SSL_get_error(tls->ssl, code)) {
    case SSL_ERROR_WANT_READ:
        return tls->refused ? TW_FULL : TW_NEED_MORE;
    case SSL_ERROR_ZERO_RETURN:
        return TW_CLOSED;
    default:
        break;
    }
    tls->in_len = 0;
    if (tls->refused) {
        snprintf(tls->error, sizeof(tls->error), "no place for bytes to send");
        ERR_clear_error();
        return TW_FULL;
    }
    long verdict = SSL_get_verify_result(tls->ssl);
    if (!tls->done && verdict != X509_V_OK) {
        snprintf(tls->error, sizeof(tls->error), "%s", X509_verify_cert_error_string(verdict));
        ERR_clear_error();
        return TW_AUTHENTICATION;
    }
    last_error(tls->error, sizeof(tls->error));
    return TW_MALFORMED;
}

tw_status twi_tls_handshake(twi_tls *tls)
{
    ERR_clear_error();
    int code = SSL_do_handshake(tls->ssl);
    if (code != 1)
        return failed(tls, code);
    tls->done = 1;
    return TW_OK;
}

tw_status twi_tls_read(twi_tls *tls, uint8_t *out, size_t out_cap, size_t *len)
{
    ERR_clear_error();
    int code = SSL_read_ex(tls->ssl, out, out_cap, len);
    return code == 1 ? TW_OK : failed(tls, code);
}

tw_status twi_tls_write(twi_tls *tls, const uint8_t *bytes, size_t len)
{
    size_t written;
    ERR_clear_error();
    if (SSL_write_ex(tls->ssl, bytes, len, &written) == 1 && written == len)
        return TW_OK;
    return failed(tls, 0) == TW_FULL ? TW_FULL : TW_MALFORMED;
}

void twi_tls_end(twi_tls *tls)
{
    ERR_clear_error();
    if (tls->done)
        SSL_shutdown(tls->ssl);
    ERR_clear_error();
}

const char *twi_tls_error(const twi_tls *tls)
{
    return tls->error;
}

const char *twi_tls_version(const twi_tls *tls)
{
    return SSL_get_version(tls->ssl);
}

size_t twi_tls_wire_bytes(size_t len)
{
    return len + (len / TWI_TLS_RECORD_BYTES_MAX + 1) * RECORD_EXTRA_BYTES;
}

tw_status twi_random_bytes(uint8_t *out, size_t len)
{
    return RAND_bytes(out, (int)len) == 1 ? TW_OK : TW_UNAVAILABLE;
}
