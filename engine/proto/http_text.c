/* http_text.c - queries and percent-encoding in, response heads out. */
#include <inttypes.h>
#include <stdio.h>

#include "engine/proto/http.h"

bool twi_http_query_next(twi_slice *rest, twi_slice *name, twi_slice *value)
{
    twi_slice part;
    while (twi_slice_split(rest, '&', &part)) {
        if (part.len == 0)
            continue;
        twi_slice_split(&part, '=', name);
        *value = part;
        return true;
    }
    return false;
}

bool twi_http_query_find(twi_slice query, const char *name, twi_slice *value)
{
    twi_slice found;
    while (twi_http_query_next(&query, &found, value)) {
        if (twi_slice_equals(found, name))
            return true;
    }
    return false;
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    char lower = twi_ascii_lower(c);
    return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

static ptrdiff_t decode(twi_slice encoded, char plus, char *out, size_t out_cap)
{
    size_t len = 0;
    for (size_t i = 0; i < encoded.len; i++) {
        char c = encoded.data[i];
        if (c == '%') {
            if (encoded.len - i < 3)
                return -1;
            int high = hex_digit(encoded.data[i + 1]);
            int low = hex_digit(encoded.data[i + 2]);
            if (high < 0 || low < 0 || (high | low) == 0)
                return -1;
            c = (char)(high << 4 | low);
            i += 2;
        } else if (c == '+') {
            c = plus;
        }
        if (len == out_cap)
            return -1;
        out[len++] = c;
    }
    return (ptrdiff_t)len;
}

ptrdiff_t twi_http_query_decode(twi_slice encoded, char *out, size_t out_cap)
{
    return decode(encoded, ' ', out, out_cap);
}

ptrdiff_t twi_http_path_decode(twi_slice encoded, char *out, size_t out_cap)
{
    return decode(encoded, '+', out, out_cap);
}

const char *twi_http_status_text(uint16_t status)
{
    switch (status) {
    case 100:
        return "Continue";
    case 101:
        return "Switching Protocols";
    case 200:
        return "OK";
    case 204:
        return "No Content";
    case 301:
        return "Moved Permanently";
    case 304:
        return "Not Modified";
    case 400:
        return "Bad Request";
    case 401:
        return "Unauthorized";
    case 403:
        return "Forbidden";
    case 404:
        return "Not Found";
    case 405:
        return "Method Not Allowed";
    case 408:
        return "Request Timeout";
    case 411:
        return "Length Required";
    case 413:
        return "Content Too Large";
    case 414:
        return "URI Too Long";
    case 415:
        return "Unsupported Media Type";
    case 426:
        return "Upgrade Required";
    case 429:
        return "Too Many Requests";
    case 431:
        return "Request Header Fields Too Large";
    case 500:
        return "Internal Server Error";
    case 501:
        return "Not Implemented";
    case 503:
        return "Service Unavailable";
    case 505:
        return "HTTP Version Not Supported";
    default:
        return "Unknown";
    }
}

size_t twi_http_response_head_write(char *out, size_t out_cap, const twi_http_response_head *head)
{
    char length_line[48] = "";
    if (!head->no_length)
        snprintf(length_line, sizeof(length_line), "Content-Length: %" PRIu64 "\r\n", head->content_length);
    int len = snprintf(out, out_cap, "HTTP/1.1 %u %s\r\n%s%s%s%sConnection: %s\r\n%s\r\n", (unsigned)head->status,
                       twi_http_status_text(head->status), head->content_type != NULL ? "Content-Type: " : "",
                       head->content_type != NULL ? head->content_type : "", head->content_type != NULL ? "\r\n" : "",
                       length_line, head->keep_alive ? "keep-alive" : "close",
                       head->extra_headers != NULL ? head->extra_headers : "");
    return len > 0 && (size_t)len < out_cap ? (size_t)len : 0;
}
