/* proxy.c - see proxy.h. */
#include "engine/connect/proxy.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static const char *from_environment(const char *const *names, const char **from)
{
    for (; *names != NULL; names++) {
        const char *value = getenv(*names);
        if (value == NULL || *value == 0)
            continue;
        *from = *names;
        return value;
    }
    return NULL;
}

static bool ends_with(const char *host, const char *suffix, size_t suffix_len)
{
    size_t host_len = strlen(host);
    if (suffix_len == 0 || host_len < suffix_len || strncasecmp(host + host_len - suffix_len, suffix, suffix_len) != 0)
        return false;
    return host_len == suffix_len || suffix[0] == '.' || host[host_len - suffix_len - 1] == '.';
}

static bool is_excepted(const char *list, const char *host)
{
    while (*list != 0) {
        list += strspn(list, ", \t");
        size_t len = strcspn(list, ", \t");
        if (len == 1 && *list == '*')
            return true;
        const char *name = list;
        size_t name_len = len;
        if (name_len > 1 && *name == '.') { /* ".example.com" is also example.com itself */
            name++;
            name_len--;
        }
        if (ends_with(host, name, name_len))
            return true;
        list += len;
    }
    return false;
}

static tw_status parse(const char *text, twi_web_url *proxy)
{
    char with_scheme[TWI_HOST_MAX + TWI_USER_MAX + 32];
    if (strstr(text, "://") == NULL) { /* "host:port" is usual */
        int len = snprintf(with_scheme, sizeof(with_scheme), "http://%s", text);
        if (len < 0 || (size_t)len >= sizeof(with_scheme))
            return TW_BAD_CONFIG;
        text = with_scheme;
    }
    if (twi_web_url_parse(text, strlen(text), proxy) != TW_OK || proxy->tls || strncmp(text, "http://", 7) != 0)
        return TW_BAD_CONFIG;
    return TW_OK;
}

tw_status twi_proxy_choose(const char *configured, const twi_web_url *target, twi_web_url *proxy, const char **from)
{
    static const char *const secure[] = {"HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy", NULL};
    static const char *const plain[] = {"http_proxy", "ALL_PROXY", "all_proxy", NULL};
    static const char *const except[] = {"NO_PROXY", "no_proxy", NULL};
    const char *text = configured, *unused;
    *from = "proxy";
    if (text != NULL && strcmp(text, "none") == 0)
        return TW_EMPTY;
    if (text == NULL || *text == 0) {
        text = from_environment(target->tls ? secure : plain, from);
        const char *exceptions = from_environment(except, &unused);
        if (text == NULL || (exceptions != NULL && is_excepted(exceptions, target->host)))
            return TW_EMPTY;
    }
    return parse(text, proxy);
}

/* ---- the request ---- */

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static size_t decode(const char *text, uint8_t *out)
{
    size_t len = 0;
    for (; *text != 0; text++) {
        if (text[0] == '%' && hex_digit(text[1]) >= 0 && hex_digit(text[2]) >= 0) {
            out[len++] = (uint8_t)(hex_digit(text[1]) * 16 + hex_digit(text[2]));
            text += 2;
        } else {
            out[len++] = (uint8_t)*text;
        }
    }
    return len;
}

static void base64(const uint8_t *data, size_t len, char *out)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for (size_t i = 0; i < len; i += 3) {
        uint32_t bits = (uint32_t)data[i] << 16;
        bits |= i + 1 < len ? (uint32_t)data[i + 1] << 8 : 0;
        bits |= i + 2 < len ? data[i + 2] : 0;
        *out++ = digits[bits >> 18 & 63];
        *out++ = digits[bits >> 12 & 63];
        *out++ = i + 1 < len ? digits[bits >> 6 & 63] : '=';
        *out++ = i + 2 < len ? digits[bits & 63] : '=';
    }
    *out = 0;
}

size_t twi_proxy_request(const twi_web_url *proxy, const twi_web_url *target, char *out, size_t cap)
{
    char authority[TWI_HOST_MAX + 16], credentials[TWI_USER_MAX * 2] = "";
    uint8_t user[TWI_USER_MAX + 1];
    if (twi_web_url_authority(target, true, authority, sizeof(authority)) == 0)
        return 0;
    if (proxy->user[0] != 0)
        base64(user, decode(proxy->user, user), credentials);
    int len = snprintf(out, cap, "CONNECT %s HTTP/1.1\r\nHost: %s\r\n%s%s%s\r\n", authority, authority,
                       credentials[0] != 0 ? "Proxy-Authorization: Basic " : "", credentials,
                       credentials[0] != 0 ? "\r\n" : "");
    return len > 0 && (size_t)len < cap ? (size_t)len : 0;
}
