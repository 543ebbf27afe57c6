/* driver_link.c - when to dial, and what goes over a connection. See driver.h. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/connect/driver_internal.h"

enum { BACKOFF_SHIFT_MAX = 12, HTTP_FORBIDDEN = 403, HTTP_TEAPOT = 418, HTTP_TOO_MANY = 429 };
#define MS               INT64_C(1000000)
#define BACKOFF_FIRST_NS (250 * MS)
#define STANDS_NS        (10000 * MS) /* a connection that held for so long was a good one */
#define PROBE_NS         (20 * MS)    /* between two looks for owed messages while messages come */
#define GREETING_NS      (5000 * MS)  /* while subscriptions are under way, every receive is followed by a look */
#define THROTTLED_NS     (30000 * MS) /* when the venue says "too many" and not how long */
#define TOKEN_WAIT_NS    (50 * MS)
#define AGE_PART         20 /* a planned redial comes this part of the age limit early, and jittered by as much */

static int64_t realtime(const twi_driver *driver)
{
    return twi_hub_realtime_ns(driver->hub);
}

/* Among all connections of the feed; those of the second leg come behind all of the first. */
static uint32_t number_of(const twi_driver_link *link)
{
    return link->leg->index * TW_FEED_LINKS_MAX + link->index;
}

static void record(const twi_driver_link *link, twi_driver_record *record)
{
    const twi_driver *driver = link->leg->driver;
    if (driver->options.record == NULL)
        return;
    record->link = number_of(link);
    record->url = link->dialed.url;
    if (record->bytes == NULL)
        record->bytes = (const uint8_t *)"";
    driver->options.record(driver->options.owner, record);
}

static uint32_t links_up(const twi_driver *driver)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < driver->leg_count; i++) {
        for (uint32_t link = 0; link < driver->legs[i].link_count; link++)
            count += driver->legs[i].links[link]->conn.phase == TWI_CONN_OPEN;
    }
    return count;
}

static void show_links(const twi_driver *driver)
{
    if (driver->options.counters == NULL)
        return;
    uint32_t up = links_up(driver), wanted = 0;
    for (uint32_t i = 0; i < driver->leg_count; i++)
        wanted += driver->legs[i].link_count;
    twi_counter_set(driver->options.counters, TWI_COUNTER_FEED_LINKS_UP, up);
    twi_counter_set(driver->options.counters, TWI_COUNTER_FEED_UP, up > 0 && up == wanted);
}

/* ---- connections come and go ---- */

static void on_up(void *owner, twi_conn *conn)
{
    twi_driver_link *link = owner;
    twi_driver *driver = link->leg->driver;
    const tw_feed_limits *limits = driver->ops->limits;
    link->retire_ns = INT64_MAX;
    if (limits->link_age_ns_max > 0) {
        int64_t early_ns = limits->link_age_ns_max / AGE_PART;
        int64_t jitter_ns = (int64_t)(twi_hub_random(driver->hub) % (uint64_t)(early_ns + 1));
        link->retire_ns = conn->open_ns + limits->link_age_ns_max - early_ns - jitter_ns;
    }
    driver->stats.reconnects += link->was_up;
    twi_driver_count(driver, TWI_COUNTER_FEED_RECONNECTS, link->was_up);
    link->was_up = true;
    link->told_down = false;
    link->probe_ns = 0;
    TWI_VENUE_LOG(driver, TWI_LOG_INFO, "connected to %s:%u%s%s%s%s (connection %u)", conn->url.host,
                  (unsigned)conn->url.port, conn->tls != NULL ? ", " : "",
                  conn->tls != NULL ? twi_tls_version(conn->tls) : "", conn->has_proxy ? ", through proxy " : "",
                  conn->has_proxy ? conn->proxy.host : "", number_of(link));
    show_links(driver);
    int64_t now_ns = realtime(driver);
    record(link, &(twi_driver_record){.kind = TWI_RECORD_UP, .recv_ns = now_ns});
    driver->ops->link_up(link->leg->state, link->index, now_ns, link->dialed.url);
}

static twi_counter counter_of(twi_conn_end end)
{
    static const twi_counter counters[TWI_END_COUNT] = {
        [TWI_END_STOP] = TWI_COUNTER_FEED_ENDS_STOP,
        [TWI_END_RESOLVE] = TWI_COUNTER_FEED_ENDS_RESOLVE,
        [TWI_END_CONNECT] = TWI_COUNTER_FEED_ENDS_CONNECT,
        [TWI_END_PROXY] = TWI_COUNTER_FEED_ENDS_PROXY,
        [TWI_END_CERTIFICATE] = TWI_COUNTER_FEED_ENDS_CERTIFICATE,
        [TWI_END_TLS] = TWI_COUNTER_FEED_ENDS_TLS,
        [TWI_END_HANDSHAKE] = TWI_COUNTER_FEED_ENDS_HANDSHAKE,
        [TWI_END_PEER] = TWI_COUNTER_FEED_ENDS_PEER,
        [TWI_END_PROTOCOL] = TWI_COUNTER_FEED_ENDS_PROTOCOL,
        [TWI_END_TOO_BIG] = TWI_COUNTER_FEED_ENDS_TOO_BIG,
        [TWI_END_SILENCE] = TWI_COUNTER_FEED_ENDS_SILENCE,
    };
    return counters[end];
}

static tw_reason reason_of(const twi_driver_link *link, twi_conn_end end)
{
    switch (end) {
    case TWI_END_STOP:
        return link->reason;
    case TWI_END_SILENCE:
        return TW_REASON_SILENCE;
    case TWI_END_PROTOCOL:
    case TWI_END_TOO_BIG:
        return TW_REASON_MALFORMED;
    default:
        return TW_REASON_LINK_DOWN;
    }
}

static bool is_throttled(uint16_t http_status)
{
    return http_status == HTTP_TOO_MANY || http_status == HTTP_TEAPOT || http_status == HTTP_FORBIDDEN;
}

/* Doubles per failure, up to the configured most; half of it is chance, so that many engines do not come together. */
static int64_t pause_ns(twi_driver_link *link, const twi_conn *conn, int64_t stood_ns)
{
    twi_driver *driver = link->leg->driver;
    if (stood_ns >= STANDS_NS)
        link->failures = 0;
    int64_t longest_ns = BACKOFF_FIRST_NS << (link->failures < BACKOFF_SHIFT_MAX ? link->failures : BACKOFF_SHIFT_MAX);
    if (longest_ns > driver->options.retry_max_ns)
        longest_ns = driver->options.retry_max_ns;
    int64_t pause = longest_ns / 2 + (int64_t)(twi_hub_random(driver->hub) % (uint64_t)(longest_ns / 2 + 1));
    link->failures++;
    int64_t asked_ns = conn->retry_after_s * 1000 * MS;
    if (is_throttled(conn->http_status) && asked_ns == 0)
        asked_ns = THROTTLED_NS;
    return pause > asked_ns ? pause : asked_ns;
}

static void on_down(void *owner, twi_conn *conn, twi_conn_end end, const char *why)
{
    twi_driver_link *link = owner;
    twi_driver *driver = link->leg->driver;
    int64_t now_ns = twi_hub_now_ns(driver->hub);
    bool was_open = conn->open_ns != 0;
    twi_driver_count(driver, counter_of(end), 1);
    if (!was_open)
        driver->stats.dial_failures++;
    if (is_throttled(conn->http_status)) {
        driver->stats.throttled++;
        twi_driver_count(driver, TWI_COUNTER_FEED_THROTTLED, 1);
    }
    if (was_open && !driver->stopping) /* a recording that is ended says nothing of the venue */
        record(link, &(twi_driver_record){.kind = TWI_RECORD_DOWN,
                                          .recv_ns = realtime(driver),
                                          .bytes = (const uint8_t *)why,
                                          .bytes_len = strlen(why)});
    int64_t pause = pause_ns(link, conn, was_open ? now_ns - conn->open_ns : 0);
    conn->open_ns = 0;
    link->dial_ns = now_ns + pause;
    show_links(driver);
    if (driver->stopping)
        return;
    TWI_VENUE_LOG(driver, end == TWI_END_CERTIFICATE ? TWI_LOG_ERROR : TWI_LOG_WARN,
                  "%s %u: %s; the next attempt is in %.1f s", was_open ? "lost connection" : "cannot open connection",
                  number_of(link), why, (double)pause / 1e9);
    snprintf(driver->stats.last_error, sizeof(driver->stats.last_error), "%s", why);
    if (!link->told_down)
        driver->ops->link_down(link->leg->state, link->index, realtime(driver), reason_of(link, end), &link->leg->sink);
    link->told_down = true;
}

/* ---- messages ---- */

static void close_for(twi_driver_link *link, tw_reason reason, const char *why)
{
    link->reason = reason;
    twi_conn_close(&link->conn, why);
}

static TWI_NOINLINE TWI_COLD void on_bad(twi_driver_link *link, tw_status status, size_t msg_len)
{
    twi_driver *driver = link->leg->driver;
    link->probe_ns = 0; /* a repair may be owed */
    if (status == TW_GAP) {
        driver->resyncs++;
        twi_driver_count(driver, TWI_COUNTER_FEED_RESYNCS, 1);
    } else if (status == TW_RELINK) {
        close_for(link, TW_REASON_VENUE, "the venue's messages ask for a new connection");
    } else {
        TWI_VENUE_LOG(driver, TWI_LOG_WARN, "a message of %zu bytes cannot be read (%s)", msg_len,
                      tw_status_name(status));
    }
}

static void on_message(void *owner, twi_conn *conn, int64_t recv_ns, uint8_t opcode, const uint8_t *msg, size_t msg_len)
{
    twi_driver_link *link = owner;
    twi_leg *leg = link->leg;
    twi_driver *driver = leg->driver;
    (void)conn;
    driver->stats.messages++;
    twi_driver_count(driver, TWI_COUNTER_FEED_MESSAGES, 1);
    if (TWI_UNLIKELY(driver->options.record != NULL))
        record(link, &(twi_driver_record){.kind = TWI_RECORD_RECEIVED,
                                          .recv_ns = recv_ns,
                                          .is_binary = opcode == TWI_WS_BINARY,
                                          .bytes = msg,
                                          .bytes_len = msg_len});
    tw_status status = driver->ops->on_message(leg->state, link->index, recv_ns, msg, msg_len, &leg->sink);
    if (driver->options.latency != NULL)
        twi_histogram_record(driver->options.latency, realtime(driver) - recv_ns);
    if (TWI_UNLIKELY(status != TW_OK))
        on_bad(link, status, msg_len);
}

static void on_received(void *owner, twi_conn *conn, int64_t recv_ns, size_t wire_bytes)
{
    twi_driver_link *link = owner;
    twi_driver *driver = link->leg->driver;
    (void)recv_ns;
    driver->stats.wire_bytes += wire_bytes;
    twi_driver_count(driver, TWI_COUNTER_FEED_BYTES, wire_bytes);
    if (conn->phase != TWI_CONN_OPEN || conn->recv_ns < link->probe_ns)
        return;
    link->probe_ns = conn->recv_ns - conn->open_ns < GREETING_NS ? 0 : conn->recv_ns + PROBE_NS;
    twi_driver_pump(link->leg);
}

const twi_conn_calls twi_driver_conn_calls = {
    .up = on_up, .message = on_message, .received = on_received, .down = on_down};

/* ---- out ---- */

static void pump_link(twi_driver_link *link)
{
    twi_leg *leg = link->leg;
    twi_driver *driver = leg->driver;
    int64_t now_ns = realtime(driver);
    while (twi_conn_has_room(&link->conn, TW_FEED_OUTPUT_MAX)) {
        size_t len = driver->ops->next_output(leg->state, link->index, now_ns, driver->output, sizeof(driver->output));
        if (len == 0)
            return;
        record(link, &(twi_driver_record){
                         .kind = TWI_RECORD_SENT, .recv_ns = now_ns, .bytes = driver->output, .bytes_len = len});
        if (twi_conn_send(&link->conn, TWI_WS_TEXT, driver->output, len) != TW_OK)
            return; /* there was room: the connection has just ended */
    }
}

void twi_driver_pump(twi_leg *leg)
{
    if (leg->driver->stopping)
        return;
    for (uint32_t i = 0; i < leg->link_count; i++) {
        if (leg->links[i]->conn.phase == TWI_CONN_OPEN)
            pump_link(leg->links[i]);
    }
    twi_driver_pump_requests(leg);
}

/* ---- dialing ---- */

/* The venue's limit on attempts: dial_count within dial_window_ns, over all connections of this engine. */
static bool may_dial(const twi_driver *driver, int64_t now_ns)
{
    const tw_feed_limits *limits = driver->ops->limits;
    uint32_t count = limits->dial_count < TWI_DIALS_KEPT_MAX ? limits->dial_count : TWI_DIALS_KEPT_MAX;
    const twi_dials *dials = driver->dials;
    if (dials == NULL || count == 0 || dials->count < count)
        return true;
    return now_ns - dials->times[(dials->count - count) % TWI_DIALS_KEPT_MAX] >= limits->dial_window_ns;
}

static void dial(twi_driver_link *link, int64_t now_ns)
{
    twi_driver *driver = link->leg->driver;
    tw_status status = driver->ops->link_dial(link->leg->state, link->index, realtime(driver), &link->dialed);
    if (status == TW_AGAIN) {
        link->dial_ns = now_ns + TOKEN_WAIT_NS;
        return;
    }
    if (status != TW_OK) {
        link->dial_ns = now_ns + driver->options.retry_max_ns;
        TWI_VENUE_LOG(driver, TWI_LOG_ERROR, "connection %u has no URL to dial (%s): set stream_url", link->index,
                      tw_status_name(status));
        return;
    }
    if (driver->dials != NULL)
        driver->dials->times[driver->dials->count++ % TWI_DIALS_KEPT_MAX] = now_ns;
    driver->stats.dials++;
    twi_driver_count(driver, TWI_COUNTER_FEED_DIALS, 1);
    link->reason = TW_REASON_LINK_DOWN;
    twi_conn_dial(&link->conn, link->dialed.url);
}

static void tick_link(twi_driver_link *link, int64_t now_ns)
{
    twi_conn *conn = &link->conn;
    if (conn->phase == TWI_CONN_IDLE) {
        if (!link->leg->driver->stopping && now_ns >= link->dial_ns && may_dial(link->leg->driver, now_ns))
            dial(link, now_ns);
        return;
    }
    twi_conn_tick(conn);
    if (conn->phase != TWI_CONN_OPEN || now_ns < link->retire_ns)
        return;
    link->failures = 0;
    close_for(link, TW_REASON_LINK_DOWN, "the venue's age limit for connections is near");
}

static bool add_link(twi_leg *leg)
{
    twi_driver_link *link = calloc(1, sizeof(*link));
    if (link == NULL)
        return false;
    link->leg = leg;
    link->index = leg->link_count;
    link->retire_ns = INT64_MAX;
    twi_conn_init(&link->conn, &leg->driver->conn_options, leg->driver->hub, link);
    leg->links[leg->link_count++] = link;
    return true;
}

/* The other copy of a book is gone, and this one does not continue it: only its snapshot does. */
static void restart_stuck(twi_leg *leg)
{
    if (leg->driver->arbiter == NULL || !twi_arbiter_take_stuck(leg->driver->arbiter, leg->index))
        return;
    for (uint32_t i = 0; i < leg->link_count; i++) {
        leg->links[i]->failures = 0;
        close_for(leg->links[i], TW_REASON_RESYNC, "its books do not continue those of the other connection");
    }
}

void twi_driver_tick_links(twi_leg *leg, int64_t now_ns)
{
    restart_stuck(leg);
    uint32_t wanted = leg->driver->ops->link_count(leg->state);
    while (leg->link_count < wanted && leg->link_count < TW_FEED_LINKS_MAX && add_link(leg))
        continue;
    for (uint32_t i = 0; i < leg->link_count; i++)
        tick_link(leg->links[i], now_ns);
}
