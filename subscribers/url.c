/* url.c - cutting, resolving and extending the URL of an engine. See url.h. */
#include "subscribers/url.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "engine/base/compiler.h"

enum { PORT_MAX = 65535 };

static TWI_PRINTF(4, 5) tw_status fail(tw_status status, char *error, size_t error_cap, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    if (error_cap > 0)
        vsnprintf(error, error_cap, format, args);
    va_end(args);
    return status;
}

static bool starts(const char *text, const char *prefix)
{
    return strncmp(text, prefix, strlen(prefix)) == 0;
}

/* Path and query, with the default path if there is none. */
static tw_status target_take(const char *text, twi_url *url, char *error, size_t error_cap)
{
    const char *path = *text == '/' ? "" : TWI_URL_PATH_DEFAULT;
    const char *rest = text;
    if (strcmp(text, "/") == 0 || starts(text, "/?")) {
        path = TWI_URL_PATH_DEFAULT;
        rest = text + 1;
    }
    for (const char *c = rest; *c; c++)
        if ((unsigned char)*c <= ' ' || *c == 0x7f)
            return fail(TW_BAD_ARGUMENT, error, error_cap, "url: blanks and control characters must be escaped");
    int written = snprintf(url->target, sizeof url->target, "%s%.*s", path, (int)strcspn(rest, "#"), rest);
    if (written >= (int)sizeof url->target)
        return fail(TW_BAD_ARGUMENT, error, error_cap, "url: path and query over %d bytes", TWI_URL_TARGET_MAX);
    return TW_OK;
}

/* unix:/SOCKET[:/PATH][?QUERY] */
static tw_status unix_take(const char *text, twi_url *url, char *error, size_t error_cap)
{
    const char *path = text + strlen("unix:");
    const char *stop = strstr(path, ":/");
    size_t path_len = stop ? (size_t)(stop - path) : strcspn(path, "?");
    const char *rest = stop ? stop + 1 : path + path_len;
    if (*path != '/' || path_len + strlen("unix:") > TWI_URL_HOST_MAX)
        return fail(TW_BAD_ARGUMENT, error, error_cap, "url: unix: wants an absolute socket path: %s", text);
    snprintf(url->address, sizeof url->address, "unix:%.*s", (int)path_len, path);
    snprintf(url->authority, sizeof url->authority, "localhost");
    url->port = 0;
    return target_take(rest, url, error, error_cap);
}

static bool port_parse(const char *text, size_t len, uint16_t *port)
{
    uint32_t value = 0;
    for (size_t i = 0; i < len; i++) {
        if (text[i] < '0' || text[i] > '9')
            return false;
        value = value * 10 + (uint32_t)(text[i] - '0');
        if (value > PORT_MAX)
            return false;
    }
    *port = (uint16_t)value;
    return len > 0 && value > 0;
}

static tw_status resolve(const char *host, twi_url *url, char *error, size_t error_cap)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_ADDRCONFIG};
    struct addrinfo *found = NULL;
    unsigned char numeric[sizeof(struct in6_addr)];
    if (inet_pton(AF_INET, host, numeric) == 1 || inet_pton(AF_INET6, host, numeric) == 1) {
        snprintf(url->address, sizeof url->address, "%s", host);
        return TW_OK;
    }
    int result = getaddrinfo(host, NULL, &hints, &found);
    if (result == 0)
        result =
            getnameinfo(found->ai_addr, found->ai_addrlen, url->address, sizeof url->address, NULL, 0, NI_NUMERICHOST);
    if (found)
        freeaddrinfo(found);
    if (result != 0)
        return fail(TW_UNAVAILABLE, error, error_cap, "url: %s: %s", host, gai_strerror(result));
    return TW_OK;
}

/* HOST, HOST:PORT, [::1]:PORT */
static tw_status authority_take(const char *text, size_t len, twi_url *url, char *error, size_t error_cap)
{
    char host[TWI_URL_HOST_MAX + 1];
    if (len == 0 || len > TWI_URL_HOST_MAX || memchr(text, '@', len) != NULL)
        return fail(TW_BAD_ARGUMENT, error, error_cap, "url: no host in %.*s", (int)len, text);
    snprintf(url->authority, sizeof url->authority, "%.*s", (int)len, text);
    bool bracketed = *text == '[';
    const char *host_end = bracketed ? memchr(text, ']', len) : memchr(text, ':', len);
    const char *host_text = bracketed ? text + 1 : text;
    if (!host_end) {
        if (bracketed)
            return fail(TW_BAD_ARGUMENT, error, error_cap, "url: [ without ]");
        host_end = text + len;
    }
    const char *colon = bracketed ? host_end + 1 : host_end;
    const char *end = text + len;
    url->port = TWI_URL_PORT_DEFAULT;
    if (colon < end && (*colon != ':' || !port_parse(colon + 1, (size_t)(end - colon - 1), &url->port)))
        return fail(TW_BAD_ARGUMENT, error, error_cap, "url: bad port in %.*s", (int)len, text);
    snprintf(host, sizeof host, "%.*s", (int)(host_end - host_text), host_text);
    return resolve(host, url, error, error_cap);
}

tw_status twi_url_parse(const char *text, twi_url *url, char *error, size_t error_cap)
{
    memset(url, 0, sizeof *url);
    if (starts(text, "ws+unix:"))
        return unix_take(text + strlen("ws+"), url, error, error_cap);
    if (starts(text, "unix:"))
        return unix_take(text, url, error, error_cap);
    if (starts(text, "wss:") || starts(text, "https:"))
        return fail(TW_NOT_SUPPORTED, error, error_cap, "url: TLS (wss) is not offered by this client: use ws:");
    if (!starts(text, "ws://"))
        return fail(TW_BAD_ARGUMENT, error, error_cap, "url: wants ws://HOST:PORT/PATH or unix:/SOCKET: %s", text);
    const char *authority = text + strlen("ws://");
    size_t authority_len = strcspn(authority, "/?#");
    tw_status status = target_take(authority + authority_len, url, error, error_cap);
    return status == TW_OK ? authority_take(authority, authority_len, url, error, error_cap) : status;
}

/* RFC 3986 section 3.4: what a query may hold as it is, less what separates its parts. */
static bool query_char(char c)
{
    return (c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z') || (c && strchr("-._~/:,*@!$'()", c));
}

tw_status twi_url_query_add(twi_url *url, const char *name, const char *value)
{
    static const char hex[] = "0123456789ABCDEF";
    size_t used = strlen(url->target);
    int head =
        snprintf(url->target + used, sizeof url->target - used, "%c%s=", strchr(url->target, '?') ? '&' : '?', name);
    if (head >= (int)(sizeof url->target - used))
        return TW_TOO_BIG;
    used += (size_t)head;
    for (const char *c = value; *c; c++) {
        if (used + 3 >= sizeof url->target)
            return TW_TOO_BIG;
        if (query_char(*c)) {
            url->target[used++] = *c;
            continue;
        }
        url->target[used++] = '%';
        url->target[used++] = hex[(unsigned char)*c >> 4];
        url->target[used++] = hex[(unsigned char)*c & 15];
    }
    url->target[used] = 0;
    return TW_OK;
}
