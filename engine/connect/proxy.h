/* proxy.h - which HTTP proxy a connection goes through: from the configuration, else from the environment.
 *
 * Rules:    configured text wins: a URL, or "none" for no proxy at all. Otherwise HTTPS_PROXY or https_proxy for wss
 *           and https, http_proxy for ws and http (not HTTP_PROXY, which a CGI client can set), then ALL_PROXY.
 *           NO_PROXY or no_proxy lists hosts that are reached directly: "*", "example.com" (and what ends with it),
 *           ".example.com".
 * Non-goals: SOCKS, proxy scripts, NO_PROXY with address ranges. */
#ifndef TWI_PROXY_H
#define TWI_PROXY_H

#include "engine/connect/url.h"

/* TW_OK: *proxy; TW_EMPTY: connect directly; TW_BAD_CONFIG: the text (*from says of what) is no http proxy URL. */
TW_MUST_USE tw_status twi_proxy_choose(const char *configured, const twi_web_url *target, twi_web_url *proxy,
                                       const char **from);
/* The CONNECT request for target. Returns its length, 0 if it does not fit. */
size_t twi_proxy_request(const twi_web_url *proxy, const twi_web_url *target, char *out, size_t cap);

#endif
