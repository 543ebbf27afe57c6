/* url.h - ws, wss, http and https URLs taken apart, for dialing.
 *
 * Memory:   everything is copied into the result. Thread: any.
 * Non-goals: relative references, other schemes, percent-decoding. */
#ifndef TWI_CONNECT_URL_H
#define TWI_CONNECT_URL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tickwire/status.h"

enum { TWI_HOST_MAX = 255, TWI_TARGET_MAX = 1023, TWI_USER_MAX = 255 };

typedef struct twi_web_url {
    bool tls;                        /* wss, https */
    bool port_given;                 /* and not the scheme's own */
    uint16_t port;                   /* 80 and 443 if none is given */
    char host[TWI_HOST_MAX + 1];     /* without the brackets of an IPv6 address */
    char user[TWI_USER_MAX + 1];     /* "name:password", still percent-encoded; "" */
    char target[TWI_TARGET_MAX + 1]; /* path and query, "/" if there is none */
} twi_web_url;

/* TW_MALFORMED: not such a URL (also one with blanks or control characters); TW_TOO_BIG. */
TW_MUST_USE tw_status twi_web_url_parse(const char *text, size_t len, twi_web_url *url);
/* "host", "host:port" or "[address]:port", as a Host header wants it. Returns the length, 0 if it does not fit. */
size_t twi_web_url_authority(const twi_web_url *url, bool always_port, char *out, size_t cap);
/* 1 if the host is an IPv4 or IPv6 address. */
bool twi_host_is_address(const char *host);

#endif
