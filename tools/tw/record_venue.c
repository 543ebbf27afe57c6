/* record_venue.c - see record_venue.h. */
#include "tools/tw/record_venue.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine/base/clock.h"
#include "engine/connect/driver.h"

enum { SYMBOLS_MAX = 4096, LOOP_ERROR_MAX = 512, RECV_BUFFERS = 256, RECV_BUFFER_BYTES = 16384 };
#define TURN_NS    INT64_C(50000000)
#define GOODBYE_NS INT64_C(1000000000)

typedef struct session {
    const twi_record_venue_calls *calls;
    void *owner;
    tw_event event; /* what the adapter makes is not kept: the frames say it all */
    char *text;     /* of the symbols */
    const char *symbols[SYMBOLS_MAX];
    uint32_t symbol_count;
    tw_symbols *table;
    twi_driver *driver;
    twi_hub *hub;
    twi_loop *loop;
    twi_logger logger;
} session;

void twi_record_venue_option_list(twi_record_venue_options *options, twi_option *list)
{
    *options = (twi_record_venue_options){.stream_url = "", .rest_url = "", .ca_file = "", .proxy = ""};
    const twi_option own[TWI_RECORD_VENUE_OPTION_COUNT] = {
        {.name = "venue", .text = &options->venue},       {.name = "stream-url", .text = &options->stream_url},
        {.name = "rest-url", .text = &options->rest_url}, {.name = "ca-file", .text = &options->ca_file},
        {.name = "proxy", .text = &options->proxy},       {.name = "depth", .number = &options->depth}};
    memcpy(list, own, sizeof(own));
}

static tw_event *claim(void *owner)
{
    return &((session *)owner)->event;
}

static void commit(void *owner)
{
    (void)owner;
}

static void on_record(void *owner, const twi_driver_record *record)
{
    static const uint8_t kinds[] = {[TWI_RECORD_UP] = TWI_FRAME_CONNECT,
                                    [TWI_RECORD_SENT] = TWI_FRAME_SENT,
                                    [TWI_RECORD_RECEIVED] = TWI_FRAME_RECV,
                                    [TWI_RECORD_ANSWER] = TWI_FRAME_HTTP,
                                    [TWI_RECORD_DOWN] = TWI_FRAME_CLOSED};
    const session *it = owner;
    const bool has_url = record->kind == TWI_RECORD_UP || record->kind == TWI_RECORD_ANSWER;
    const char *url = has_url ? record->url : "";
    const twi_frame frame = {
        .recv_ns = record->recv_ns,
        .conn = record->link == TWI_DRIVER_NO_LINK ? TWI_CONN_NONE : record->link,
        .kind = kinds[record->kind],
        .flags = record->is_binary ? TWI_FRAME_BINARY : 0,
        .url = url,
        .url_len = strlen(url),
        .bytes = record->bytes,
        .bytes_len = record->bytes_len,
    };
    it->calls->on_frame(it->owner, &frame);
}

/* What was asked for, as the first frame: the venue is known from it whatever URL was dialed. */
static void tell_config(const session *it, const twi_record_venue_options *options)
{
    char text[TWI_CLI_LINE_MAX];
    size_t len = (size_t)snprintf(text, sizeof(text), "{\"venue\":\"%s\",\"symbols\":[", options->venue);
    for (uint32_t i = 0; i < it->symbol_count && len + TW_SYMBOL_MAX + 8 < sizeof(text); i++)
        if (strpbrk(it->symbols[i], "\"\\") == NULL)
            len += (size_t)snprintf(text + len, sizeof(text) - len, "%s\"%s\"", i > 0 ? "," : "", it->symbols[i]);
    len += (size_t)snprintf(text + len, sizeof(text) - len, "]}");
    const twi_frame frame = {.recv_ns = twi_realtime_ns(),
                             .conn = TWI_CONN_NONE,
                             .kind = TWI_FRAME_CONFIG,
                             .url = "",
                             .bytes = (const uint8_t *)text,
                             .bytes_len = len};
    it->calls->on_frame(it->owner, &frame);
}

/* ---- options ---- */

static bool split_symbols(session *it, const char *list)
{
    it->text = strdup(list);
    for (char *at = it->text, *comma; at != NULL && *at != 0; at = comma) {
        comma = strchr(at, ',');
        if (comma != NULL)
            *comma++ = 0;
        if (it->symbol_count == SYMBOLS_MAX)
            return false;
        it->symbols[it->symbol_count++] = at;
    }
    return it->symbol_count > 0;
}

static bool read_channels(const char *list, uint32_t *channels)
{
    *channels = 0;
    while (list != NULL && *list != 0) {
        size_t len = strcspn(list, ",");
        uint16_t channel = TW_CHANNEL_TRADE;
        while (channel <= TW_CHANNEL_BOOK &&
               (strlen(tw_channel_name(channel)) != len || memcmp(tw_channel_name(channel), list, len) != 0))
            channel++;
        if (channel > TW_CHANNEL_BOOK)
            return false;
        *channels |= 1u << channel;
        list += len + (list[len] != 0);
    }
    return true;
}

static int unknown_venue(const twi_verb *verb, const char *name)
{
    char names[512] = "";
    size_t at = 0;
    for (uint32_t i = 0; tw_feed_at(i) != NULL && at < sizeof(names); i++)
        at += (size_t)snprintf(names + at, sizeof(names) - at, "%s%s", i > 0 ? ", " : "", tw_feed_at(i)->name);
    return twi_cli_usage(verb, "no venue '%s'; there are %s", name, names);
}

/* ---- session ---- */

static int open_session(const twi_verb *verb, session *it, const twi_driver_options *options)
{
    char error[LOOP_ERROR_MAX];
    tw_status status = twi_driver_open(options, &it->driver, error, sizeof(error));
    if (status == TW_BAD_SYMBOL || status == TW_NOT_SUPPORTED)
        return twi_cli_usage(verb, "%s", error);
    if (status != TW_OK)
        return twi_cli_fail(verb, "%s", error);
    const twi_loop_config config = {.sock_count_max = twi_driver_sock_count(it->driver),
                                    .recv_buffer_bytes = RECV_BUFFER_BYTES,
                                    .recv_buffer_count = RECV_BUFFERS};
    if (twi_loop_open("auto", &config, &it->loop, error, sizeof(error)) != TW_OK)
        return twi_cli_fail(verb, "%s", error);
    twi_logger_init(&it->logger, STDERR_FILENO, TWI_LOG_INFO, TWI_LOG_TEXT);
    const twi_hub_options hub = {.loop = it->loop, .logger = &it->logger};
    if (twi_hub_open(&hub, &it->hub) != TW_OK)
        return twi_cli_fail(verb, "no memory or no random numbers to connect with");
    return TWI_EXIT_GOOD;
}

static void turn(session *it)
{
    it->loop->ops->poll(it->loop, it->loop->ops->now_ns(it->loop) + TURN_NS);
    twi_hub_step(it->hub);
}

static void close_session(session *it)
{
    if (it->hub != NULL) {
        int64_t until_ns = it->loop->ops->now_ns(it->loop) + GOODBYE_NS;
        twi_driver_stop(it->driver);
        while (!twi_driver_is_idle(it->driver) && it->loop->ops->now_ns(it->loop) < until_ns)
            turn(it);
        twi_driver_abandon(it->driver);
        twi_hub_close(it->hub);
        twi_logger_fini(&it->logger);
    }
    if (it->loop != NULL)
        it->loop->ops->close_loop(it->loop);
    if (it->driver != NULL)
        twi_driver_close(it->driver);
    free(it->table);
    free(it->text);
    free(it);
}

static int run(const twi_verb *verb, session *it, const twi_record_venue_options *options)
{
    const tw_feed_ops *ops = tw_feed_find(options->venue, strlen(options->venue));
    uint32_t channels;
    if (ops == NULL)
        return unknown_venue(verb, options->venue);
    if (!split_symbols(it, options->symbols))
        return twi_cli_usage(verb, "--symbols LIST says what to record, e.g. BTC/USDT,ETH/USDT (at most %d)",
                             SYMBOLS_MAX);
    if (!read_channels(options->channels, &channels))
        return twi_cli_usage(verb, "--channels %s: trade, quote and book are what a venue has", options->channels);
    it->table = twi_cli_symbols(it->symbol_count + 1);
    if (it->table == NULL)
        return twi_cli_fail(verb, "no memory");
    const twi_driver_options driver = {
        .ops = ops,
        .feed = {.symbols = it->symbols,
                 .symbol_count = it->symbol_count,
                 .channels = channels,
                 .book_depth = (uint32_t)options->depth,
                 .stream_url = *options->stream_url ? options->stream_url : NULL,
                 .rest_url = *options->rest_url ? options->rest_url : NULL},
        .symbols = it->table,
        .sink = {claim, commit, it},
        .proxy = options->proxy,
        .ca_file = options->ca_file,
        .record = on_record,
        .owner = it,
    };
    int code = open_session(verb, it, &driver);
    if (code != TWI_EXIT_GOOD)
        return code;
    tell_config(it, options);
    twi_driver_start(it->driver, it->hub);
    while (it->calls->on_idle(it->owner))
        turn(it);
    return TWI_EXIT_GOOD;
}

int twi_record_venue_run(const twi_verb *verb, const twi_record_venue_options *options,
                         const twi_record_venue_calls *calls, void *owner)
{
    session *it = calloc(1, sizeof(*it));
    if (it == NULL)
        return twi_cli_fail(verb, "no memory");
    it->calls = calls;
    it->owner = owner;
    int code = run(verb, it, options);
    close_session(it);
    return code;
}
