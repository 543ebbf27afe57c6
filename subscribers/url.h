/* url.h - where a client dials: ws://HOST:PORT/PATH?QUERY or unix:/SOCKET:/PATH?QUERY, cut and resolved.
 *
 * Thread:    any. twi_url_parse() resolves host names and may block for it.
 * Ownership: everything is copied into the struct. */
#ifndef TWI_SUBSCRIBERS_URL_H
#define TWI_SUBSCRIBERS_URL_H

#include <stddef.h>
#include <stdint.h>

#include "tickwire/status.h"

enum {
    TWI_URL_HOST_MAX = 255,    /* bytes of a host name, or of "unix:" and a socket path */
    TWI_URL_TARGET_MAX = 4095, /* bytes of path and query */
    TWI_URL_PORT_DEFAULT = 80
};
#define TWI_URL_PATH_DEFAULT "/v1/stream"

typedef struct twi_url {
    char address[TWI_URL_HOST_MAX + 1];   /* numeric, or "unix:/path": what the loop takes */
    char authority[TWI_URL_HOST_MAX + 8]; /* for the Host header */
    char target[TWI_URL_TARGET_MAX + 1];  /* path and query */
    uint16_t port;                        /* 0: Unix socket */
} twi_url;

/* TW_BAD_ARGUMENT: not such a URL; TW_NOT_SUPPORTED: wss; TW_UNAVAILABLE: the name has no address; error says which. */
TW_MUST_USE tw_status twi_url_parse(const char *text, twi_url *url, char *error, size_t error_cap);

/* Adds name=value to the target, escaped where a query needs it. TW_TOO_BIG: no room. */
TW_MUST_USE tw_status twi_url_query_add(twi_url *url, const char *name, const char *value);

#endif
