/* exchange_server.h - a venue of a few lines for tests of the exchange API: answers REST by rules, takes a WebSocket,
 * says what the test tells it to say.
 *
 * Usage:     twt_venue_open(&venue); twt_venue_rule(&venue, "/depth", 200, "", body); ... venue.url ...;
 *            twt_venue_expect(&venue, "SUBSCRIBE"); twt_venue_say(&venue, text); twt_venue_cut(&venue);
 *            twt_venue_close(&venue).
 * Shape:     one thread; subscriptions are acknowledged as Binance does. The last rule that is part of a target wins.
 * Non-goals: TLS, fragments, being fast. */
#ifndef TWT_EXCHANGE_SERVER_H
#define TWT_EXCHANGE_SERVER_H

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "engine/base/assert.h"
#include "engine/proto/ws_handshake.h"

#ifndef MSG_NOSIGNAL
#define MSG_NOSIGNAL 0
#endif

enum { TWT_VENUE_CONNS = 16, TWT_VENUE_RULES = 32, TWT_VENUE_BYTES = 1 << 16, TWT_VENUE_DEADLINE_S = 20 };

typedef struct twt_venue_rule_entry {
    char path[64], headers[128], body[8192];
    int status; /* 0: no answer ever; -1: the connection is closed without one */
} twt_venue_rule_entry;

typedef struct twt_venue_conn {
    int fd; /* -1: free */
    bool stream;
    uint8_t in[TWT_VENUE_BYTES];
    size_t in_len;
} twt_venue_conn;

typedef struct twt_venue {
    int listener, wake[2];
    char url[64], stream_url[64];
    pthread_t thread;
    pthread_mutex_t lock; /* of everything below */
    pthread_cond_t changed;
    twt_venue_rule_entry rules[TWT_VENUE_RULES];
    unsigned rule_count, requests, streams_opened;
    char seen[TWT_VENUE_BYTES]; /* client messages and request heads, each ended by a newline */
    size_t seen_len, looked_at;
    bool stop, cut;
    char say[TWT_VENUE_BYTES];
    size_t say_len;
    twt_venue_conn conns[TWT_VENUE_CONNS];
} twt_venue;

static inline void twt_venue_send(int fd, const void *bytes, size_t len)
{
    const uint8_t *at = bytes;
    while (len > 0) {
        ssize_t sent = send(fd, at, len, MSG_NOSIGNAL);
        if (sent <= 0)
            return;
        at += sent;
        len -= (size_t)sent;
    }
}

static inline void twt_venue_frame(int fd, uint8_t opcode, const char *text, size_t len)
{
    uint8_t head[4] = {(uint8_t)(0x80 | opcode), (uint8_t)(len < 126 ? len : 126), (uint8_t)(len >> 8), (uint8_t)len};
    twt_venue_send(fd, head, len < 126 ? 2 : 4);
    twt_venue_send(fd, text, len);
}

static inline void twt_venue_note(twt_venue *venue, const char *text, size_t len)
{
    if (venue->seen_len + len + 2 < sizeof(venue->seen)) {
        memcpy(venue->seen + venue->seen_len, text, len);
        venue->seen_len += len;
        venue->seen[venue->seen_len++] = '\n';
        venue->seen[venue->seen_len] = 0;
    }
    pthread_cond_broadcast(&venue->changed);
}

static inline void twt_venue_hang_up(twt_venue_conn *conn)
{
    close(conn->fd);
    conn->fd = -1;
    conn->stream = false;
    conn->in_len = 0;
}

/* One whole message of a client; replies as Binance. */
static inline void twt_venue_message(twt_venue *venue, twt_venue_conn *conn, uint8_t opcode, char *text, size_t len)
{
    char reply[64];
    if (opcode == 8) {
        twt_venue_frame(conn->fd, 8, text, len < 2 ? len : 2);
        twt_venue_hang_up(conn);
        return;
    }
    if (opcode == 9) {
        twt_venue_frame(conn->fd, 10, text, len);
        return;
    }
    if (opcode != 1)
        return;
    twt_venue_note(venue, text, len);
    char *id = memmem(text, len, "\"id\":", 5);
    if (id != NULL) {
        int reply_len = snprintf(reply, sizeof(reply), "{\"result\":null,\"id\":%lu}", strtoul(id + 5, NULL, 10));
        twt_venue_frame(conn->fd, 1, reply, (size_t)reply_len);
    }
}

static inline void twt_venue_frames(twt_venue *venue, twt_venue_conn *conn)
{
    while (conn->fd >= 0 && conn->in_len >= 6) {
        size_t len = conn->in[1] & 127, head = 2;
        if (len == 126) {
            len = (size_t)conn->in[2] << 8 | conn->in[3];
            head = 4;
        }
        if (conn->in_len < head + 4 + len)
            return;
        uint8_t *data = conn->in + head + 4, opcode = conn->in[0] & 15;
        for (size_t i = 0; i < len; i++)
            data[i] ^= conn->in[head + i % 4];
        char *text = malloc(len + 1);
        TWI_ASSERT(text != NULL);
        memcpy(text, data, len);
        text[len] = 0;
        conn->in_len -= head + 4 + len;
        memmove(conn->in, data + len, conn->in_len);
        twt_venue_message(venue, conn, opcode, text, len);
        free(text);
    }
}

static inline void twt_venue_upgrade(twt_venue *venue, twt_venue_conn *conn, const char *head)
{
    char reply[256], accept[TWI_WS_ACCEPT_CHARS + 1] = {0};
    const char *key = strcasestr(head, "sec-websocket-key:");
    if (key == NULL)
        return;
    key += strlen("sec-websocket-key:");
    key += strspn(key, " ");
    twi_ws_accept_key(key, strcspn(key, "\r"), accept);
    int len = snprintf(reply, sizeof(reply),
                       "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                       "Sec-WebSocket-Accept: %s\r\n\r\n",
                       accept);
    twt_venue_send(conn->fd, reply, (size_t)len);
    conn->stream = true;
    venue->streams_opened++;
}

static inline void twt_venue_answer(twt_venue *venue, twt_venue_conn *conn, const char *head)
{
    char reply[512];
    const twt_venue_rule_entry *rule = NULL;
    const char *target_end = strchr(head, '\r');
    for (unsigned i = 0; i < venue->rule_count; i++) {
        if (memmem(head, (size_t)(target_end - head), venue->rules[i].path, strlen(venue->rules[i].path)) != NULL)
            rule = &venue->rules[i];
    }
    venue->requests++;
    if (rule != NULL && rule->status == 0)
        return;
    if (rule != NULL && rule->status < 0) {
        twt_venue_hang_up(conn);
        return;
    }
    const char *body = rule != NULL ? rule->body : "";
    int len = snprintf(reply, sizeof(reply), "HTTP/1.1 %d Said\r\nContent-Length: %zu\r\n%s\r\n",
                       rule != NULL ? rule->status : 404, strlen(body), rule != NULL ? rule->headers : "");
    twt_venue_send(conn->fd, reply, (size_t)len);
    twt_venue_send(conn->fd, body, strlen(body));
}

static inline void twt_venue_read(twt_venue *venue, twt_venue_conn *conn)
{
    ssize_t got = recv(conn->fd, conn->in + conn->in_len, sizeof(conn->in) - 1 - conn->in_len, 0);
    if (got <= 0) {
        twt_venue_hang_up(conn);
        return;
    }
    conn->in_len += (size_t)got;
    conn->in[conn->in_len] = 0;
    uint8_t *end;
    while (conn->fd >= 0 && !conn->stream && (end = memmem(conn->in, conn->in_len, "\r\n\r\n", 4)) != NULL) {
        char head[4096] = {0};
        size_t len = (size_t)(end - conn->in) + 4;
        memcpy(head, conn->in, len < sizeof(head) ? len : sizeof(head) - 1);
        conn->in_len -= len;
        memmove(conn->in, conn->in + len, conn->in_len);
        twt_venue_note(venue, head, strcspn(head, "\r"));
        if (strcasestr(head, "upgrade: websocket") != NULL)
            twt_venue_upgrade(venue, conn, head);
        else
            twt_venue_answer(venue, conn, head);
    }
    if (conn->fd >= 0 && conn->stream)
        twt_venue_frames(venue, conn);
}

static inline void twt_venue_orders(twt_venue *venue)
{
    for (unsigned i = 0; i < TWT_VENUE_CONNS; i++) {
        twt_venue_conn *conn = &venue->conns[i];
        if (conn->fd < 0 || !conn->stream)
            continue;
        for (size_t at = 0; at < venue->say_len; at += strlen(venue->say + at) + 1)
            twt_venue_frame(conn->fd, 1, venue->say + at, strlen(venue->say + at));
        if (venue->cut)
            twt_venue_hang_up(conn);
    }
    venue->say_len = 0;
    venue->cut = false;
    pthread_cond_broadcast(&venue->changed);
}

static inline void twt_venue_accept(twt_venue *venue)
{
    int fd = accept(venue->listener, NULL, NULL);
    for (unsigned i = 0; fd >= 0 && i < TWT_VENUE_CONNS; i++) {
        if (venue->conns[i].fd < 0) {
            venue->conns[i].fd = fd;
            return;
        }
    }
    if (fd >= 0)
        close(fd);
}

static inline void *twt_venue_run(void *argument)
{
    twt_venue *venue = argument;
    char drained[64];
    bool stop = false;
    while (!stop) {
        struct pollfd fds[TWT_VENUE_CONNS + 2] = {{.fd = venue->listener, .events = POLLIN},
                                                  {.fd = venue->wake[0], .events = POLLIN}};
        for (unsigned i = 0; i < TWT_VENUE_CONNS; i++)
            fds[i + 2] = (struct pollfd){.fd = venue->conns[i].fd, .events = POLLIN};
        poll(fds, TWT_VENUE_CONNS + 2, -1);
        pthread_mutex_lock(&venue->lock);
        if ((fds[1].revents & POLLIN) != 0 && read(venue->wake[0], drained, sizeof(drained)) > 0)
            twt_venue_orders(venue);
        if ((fds[0].revents & POLLIN) != 0)
            twt_venue_accept(venue);
        for (unsigned i = 0; i < TWT_VENUE_CONNS; i++) {
            if (venue->conns[i].fd >= 0 && venue->conns[i].fd == fds[i + 2].fd && fds[i + 2].revents != 0)
                twt_venue_read(venue, &venue->conns[i]);
        }
        stop = venue->stop;
        pthread_mutex_unlock(&venue->lock);
    }
    return NULL;
}

/* ---- the test's side ---- */

static inline void twt_venue_open(twt_venue *venue)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t len = sizeof(address);
    memset(venue, 0, sizeof(*venue));
    for (unsigned i = 0; i < TWT_VENUE_CONNS; i++)
        venue->conns[i].fd = -1;
    venue->listener = socket(AF_INET, SOCK_STREAM, 0);
    TWI_ASSERT(bind(venue->listener, (struct sockaddr *)&address, sizeof(address)) == 0);
    TWI_ASSERT(listen(venue->listener, TWT_VENUE_CONNS) == 0 && pipe(venue->wake) == 0);
    TWI_ASSERT(getsockname(venue->listener, (struct sockaddr *)&address, &len) == 0);
    snprintf(venue->url, sizeof(venue->url), "http://127.0.0.1:%u", (unsigned)ntohs(address.sin_port));
    snprintf(venue->stream_url, sizeof(venue->stream_url), "ws://127.0.0.1:%u/stream",
             (unsigned)ntohs(address.sin_port));
    pthread_mutex_init(&venue->lock, NULL);
    pthread_cond_init(&venue->changed, NULL);
    TWI_ASSERT(pthread_create(&venue->thread, NULL, twt_venue_run, venue) == 0);
}

static inline void twt_venue_wake(twt_venue *venue)
{
    TWI_ASSERT(write(venue->wake[1], "x", 1) == 1);
}

static inline void twt_venue_close(twt_venue *venue)
{
    pthread_mutex_lock(&venue->lock);
    venue->stop = true;
    pthread_mutex_unlock(&venue->lock);
    twt_venue_wake(venue);
    pthread_join(venue->thread, NULL);
    for (unsigned i = 0; i < TWT_VENUE_CONNS; i++) {
        if (venue->conns[i].fd >= 0)
            close(venue->conns[i].fd);
    }
    close(venue->listener);
    close(venue->wake[0]);
    close(venue->wake[1]);
    pthread_mutex_destroy(&venue->lock);
    pthread_cond_destroy(&venue->changed);
}

static inline void twt_venue_rule(twt_venue *venue, const char *path, int status, const char *headers, const char *body)
{
    pthread_mutex_lock(&venue->lock);
    TWI_ASSERT(venue->rule_count < TWT_VENUE_RULES);
    twt_venue_rule_entry *rule = &venue->rules[venue->rule_count++];
    snprintf(rule->path, sizeof(rule->path), "%s", path);
    snprintf(rule->headers, sizeof(rule->headers), "%s", headers);
    snprintf(rule->body, sizeof(rule->body), "%s", body);
    rule->status = status;
    pthread_mutex_unlock(&venue->lock);
}

static inline void twt_venue_say(twt_venue *venue, const char *text)
{
    pthread_mutex_lock(&venue->lock);
    size_t len = strlen(text) + 1;
    TWI_ASSERT(venue->say_len + len <= sizeof(venue->say));
    memcpy(venue->say + venue->say_len, text, len);
    venue->say_len += len;
    twt_venue_wake(venue);
    pthread_mutex_unlock(&venue->lock);
}

static inline void twt_venue_cut(twt_venue *venue)
{
    pthread_mutex_lock(&venue->lock);
    venue->cut = true;
    twt_venue_wake(venue);
    pthread_mutex_unlock(&venue->lock);
}

/* Waits for a client's message (or request line) that holds the text and came after the last one that was expected. */
static inline bool twt_venue_expect(twt_venue *venue, const char *text)
{
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += TWT_VENUE_DEADLINE_S;
    const char *found = NULL;
    pthread_mutex_lock(&venue->lock);
    while ((found = strstr(venue->seen + venue->looked_at, text)) == NULL &&
           pthread_cond_timedwait(&venue->changed, &venue->lock, &until) == 0) {
    }
    if (found != NULL)
        venue->looked_at = (size_t)(found - venue->seen) + strlen(text);
    pthread_mutex_unlock(&venue->lock);
    return found != NULL;
}

static inline unsigned twt_venue_requests(twt_venue *venue)
{
    pthread_mutex_lock(&venue->lock);
    unsigned requests = venue->requests;
    pthread_mutex_unlock(&venue->lock);
    return requests;
}

#endif
