/* url.c - see url.h. */
#include "engine/connect/url.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

enum { PORT_HTTP = 80, PORT_HTTPS = 443, PORT_MAX = 65535 };

static bool take_scheme(const char **at, const char *end, twi_web_url *url)
{
    static const struct {
        const char *text;
        bool tls;
    } schemes[] = {{"ws://", false}, {"wss://", true}, {"http://", false}, {"https://", true}};
    for (size_t i = 0; i < sizeof(schemes) / sizeof(schemes[0]); i++) {
        size_t len = strlen(schemes[i].text);
        if ((size_t)(end - *at) < len || memcmp(*at, schemes[i].text, len) != 0)
            continue;
        *at += len;
        url->tls = schemes[i].tls;
        return true;
    }
    return false;
}

static tw_status copy(char *to, size_t max, const char *from, size_t len)
{
    if (len > max)
        return TW_TOO_BIG;
    memcpy(to, from, len);
    to[len] = 0;
    return TW_OK;
}

static tw_status take_port(const char *at, const char *end, twi_web_url *url)
{
    uint32_t port = 0;
    if (at == end)
        return TW_OK; /* "host:" is allowed, and means nothing */
    for (; at < end; at++) {
        if (*at < '0' || *at > '9')
            return TW_MALFORMED;
        port = port * 10 + (uint32_t)(*at - '0');
        if (port > PORT_MAX)
            return TW_MALFORMED;
    }
    if (port == 0)
        return TW_MALFORMED;
    url->port_given = port != url->port;
    url->port = (uint16_t)port;
    return TW_OK;
}

static tw_status take_authority(const char *at, const char *end, twi_web_url *url)
{
    const char *user_end = NULL;
    for (const char *c = at; c < end; c++)
        user_end = *c == '@' ? c : user_end;
    if (user_end != NULL) {
        tw_status status = copy(url->user, TWI_USER_MAX, at, (size_t)(user_end - at));
        if (status != TW_OK)
            return status;
        at = user_end + 1;
    }
    const char *host = at, *host_end = end, *port = NULL;
    if (at < end && *at == '[') {
        host_end = memchr(at, ']', (size_t)(end - at));
        if (host_end == NULL)
            return TW_MALFORMED;
        host = at + 1;
        if (host_end + 1 < end && host_end[1] != ':')
            return TW_MALFORMED;
        port = host_end + 1 < end ? host_end + 2 : NULL;
    } else {
        for (host_end = at; host_end < end && *host_end != ':';)
            host_end++;
        port = host_end < end ? host_end + 1 : NULL;
    }
    if (host == host_end)
        return TW_MALFORMED;
    tw_status status = copy(url->host, TWI_HOST_MAX, host, (size_t)(host_end - host));
    return status == TW_OK && port != NULL ? take_port(port, end, url) : status;
}

tw_status twi_web_url_parse(const char *text, size_t len, twi_web_url *url)
{
    const char *at = text, *end = text + len;
    *url = (twi_web_url){0};
    for (const char *c = text; c < end; c++) {
        if ((unsigned char)*c <= ' ' || *c == 0x7f)
            return TW_MALFORMED;
    }
    if (!take_scheme(&at, end, url))
        return TW_MALFORMED;
    url->port = url->tls ? PORT_HTTPS : PORT_HTTP;
    const char *authority_end = at;
    while (authority_end < end && strchr("/?#", *authority_end) == NULL)
        authority_end++;
    tw_status status = take_authority(at, authority_end, url);
    if (status != TW_OK)
        return status;
    const char *target_end = authority_end;
    while (target_end < end && *target_end != '#')
        target_end++;
    size_t target_len = (size_t)(target_end - authority_end);
    bool slash = target_len > 0 && *authority_end == '/';
    url->target[0] = '/';
    return slash ? copy(url->target, TWI_TARGET_MAX, authority_end, target_len)
                 : copy(url->target + 1, TWI_TARGET_MAX - 1, authority_end, target_len);
}

size_t twi_web_url_authority(const twi_web_url *url, bool always_port, char *out, size_t cap)
{
    bool brackets = strchr(url->host, ':') != NULL;
    int len =
        url->port_given || always_port
            ? snprintf(out, cap, "%s%s%s:%u", brackets ? "[" : "", url->host, brackets ? "]" : "", (unsigned)url->port)
            : snprintf(out, cap, "%s%s%s", brackets ? "[" : "", url->host, brackets ? "]" : "");
    return len > 0 && (size_t)len < cap ? (size_t)len : 0;
}

bool twi_host_is_address(const char *host)
{
    uint8_t address[16];
    return inet_pton(AF_INET, host, address) == 1 || inet_pton(AF_INET6, host, address) == 1;
}
