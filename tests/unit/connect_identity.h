/* connect_identity.h - keys and certificates for tests, made when they run. */
#ifndef TWT_CONNECT_IDENTITY_H
#define TWT_CONNECT_IDENTITY_H

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

typedef struct twt_identity {
    EVP_PKEY *key;
    X509 *certificate;
} twt_identity;

static void twt_add_extension(X509 *certificate, X509 *issuer, int nid, const char *value)
{
    X509V3_CTX context;
    X509V3_set_ctx(&context, issuer, certificate, NULL, NULL, 0);
    X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, &context, nid, value);
    assert_non_null(extension);
    X509_add_ext(certificate, extension, -1);
    X509_EXTENSION_free(extension);
}

/* names: "DNS:localhost,IP:127.0.0.1"; NULL: an authority, signed by itself. */
static twt_identity twt_identity_make(const twt_identity *issuer, const char *names, long from_s, long until_s)
{
    twt_identity it = {EVP_EC_gen("P-256"), X509_new()};
    static long serial;
    assert_non_null(it.key);
    X509_set_version(it.certificate, 2);
    ASN1_INTEGER_set(X509_get_serialNumber(it.certificate), ++serial);
    X509_gmtime_adj(X509_getm_notBefore(it.certificate), from_s);
    X509_gmtime_adj(X509_getm_notAfter(it.certificate), until_s);
    X509_set_pubkey(it.certificate, it.key);
    X509_NAME *name = X509_get_subject_name(it.certificate);
    X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const unsigned char *)(names ? "server" : "test authority"),
                               -1, -1, 0);
    const twt_identity *by = issuer != NULL ? issuer : &it;
    X509_set_issuer_name(it.certificate, X509_get_subject_name(by->certificate));
    if (names != NULL)
        twt_add_extension(it.certificate, by->certificate, NID_subject_alt_name, names);
    else
        twt_add_extension(it.certificate, by->certificate, NID_basic_constraints, "critical,CA:TRUE");
    assert_true(X509_sign(it.certificate, by->key, EVP_sha256()) > 0);
    return it;
}

static void twt_identity_forget(twt_identity *it)
{
    EVP_PKEY_free(it->key);
    X509_free(it->certificate);
}

/* Its certificate as PEM, in a file whose name is made of `path` (mkstemp). 0: done. */
static int twt_identity_write(const twt_identity *it, char *path)
{
    int fd = mkstemp(path);
    FILE *file = fd >= 0 ? fdopen(fd, "w") : NULL;
    if (file == NULL || PEM_write_X509(file, it->certificate) != 1)
        return -1;
    return fclose(file);
}

#endif
