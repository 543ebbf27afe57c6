/* settings.c - the schema of the engine's settings: every key with default, bounds, unit and reason, and what must hold
 * between keys. The command line is in settings_command.c, memory in settings_memory.c. */
#include "engine/base/settings.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

#include "engine/base/limits.h"
#include "tickwire/decimal.h"

#define KEY(key_name, value_type, section, field, ...)                                                                 \
    {                                                                                                                  \
        .name = key_name, .type = value_type, .offset = offsetof(twi_settings_##section, field), __VA_ARGS__           \
    }
#define SECTION(section, about_text, key_table)                                                                        \
    {                                                                                                                  \
        .name = #section, .about = about_text, .keys = key_table,                                                      \
        .key_count = sizeof(key_table) / sizeof(key_table[0]), .offset = offsetof(twi_settings, section)               \
    }
#define SECOND INT64_C(1000000000)
#define HOUR   (3600 * SECOND)
#define GIB    (INT64_C(1) << 30)

static const twi_config_key engine_keys[] = {
    KEY("threads", TWI_CONFIG_INT, engine, threads, .initial = "1", .min = 1, .max = TWI_THREAD_COUNT_MAX,
        .reason =
            "Shards that serve subscribers. 1 runs feed, publisher and the only shard as steps of one loop on one "
            "core, which has the smallest latency until that core is full; with more, feed and publisher get a "
            "thread each of their own."),
    KEY("loop", TWI_CONFIG_STRING, engine, loop, .initial = "auto", .choices = "auto|io_uring|epoll|kqueue",
        .reason =
            "Event loop. auto takes io_uring where the kernel allows it, else epoll (kqueue on macOS), and says at "
            "start which one it took and why."),
    KEY("idle", TWI_CONFIG_ENUM, engine, idle, .initial = "block", .choices = "block|yield|spin",
        .reason = "What a thread does when there is nothing to do. block sleeps in the kernel and costs no CPU; spin "
                  "saves the wake-up (about 25 us) and costs a core per thread; yield lies between."),
    KEY("pin_cpus", TWI_CONFIG_INT_LIST, engine, pin_cpus, .initial = "", .min = 0, .max = TWI_CPU_COUNT_MAX - 1,
        .reason = "CPU of each thread in the order feed, publisher, shards (only the first is used with threads = 1). "
                  "Empty leaves it to the scheduler; macOS cannot pin."),
    KEY("stop_timeout", TWI_CONFIG_DURATION, engine, stop_timeout_ns, .initial = "5s", .min = 0, .max = HOUR,
        .reason = "How long a stop waits until subscribers have taken what is pending and their close frame."),
};

static const twi_config_key listen_keys[] = {
    KEY("host", TWI_CONFIG_STRING, listen, host, .initial = "127.0.0.1",
        .reason = "Address, not a name. The default is reachable from this machine only; 0.0.0.0 or :: from everywhere "
                  "(then set auth.tokens)."),
    KEY("port", TWI_CONFIG_INT, listen, port, .initial = "9001", .min = 0, .max = 65535,
        .reason = "TCP port of stream, HTTP and dashboard. 0 takes any free one and says which."),
    KEY("unix_path", TWI_CONFIG_STRING, listen, unix_path, .initial = "",
        .reason = "Also listen on this Unix socket. For subscribers on the same host at a quarter of TCP's cost per "
                  "message. Empty: none."),
    KEY("unix_mode", TWI_CONFIG_MODE, listen, unix_mode, .initial = "0660", .min = 0, .max = 0777,
        .reason = "Who may connect to the Unix socket: user and group by default."),
    KEY("backlog", TWI_CONFIG_INT, listen, backlog, .initial = "4096", .min = 1, .max = 65535, .unit = "connections",
        .reason = "Connections that the kernel holds until they are accepted, so that a storm of reconnects is not "
                  "refused."),
};

static const twi_config_key limits_keys[] = {
    KEY("connections_max", TWI_CONFIG_INT, limits, connections_max, .initial = "10000", .min = 1,
        .max = TWI_CONNECTION_COUNT_MAX, .unit = "clients",
        .reason = "Clients at one time, all shards together; one more is refused with close code 4502. Memory for them "
                  "is reserved at start."),
    KEY("subscriptions_max", TWI_CONFIG_INT, limits, subscriptions_max, .initial = "16384", .min = 1, .max = 1 << 20,
        .unit = "topics per client",
        .reason =
            "Topics of one client, wildcards counted as what they match; more is refused with RateLimitExceeded."),
    KEY("groups_max", TWI_CONFIG_INT, limits, groups_max, .initial = "4096", .min = 1, .max = 1 << 20,
        .unit = "sets per shard",
        .reason = "Different sets of topics that clients may hold. Clients with equal sets share one, so that a "
                  "thousand alike cost as much as one."),
    KEY("message_bytes_max", TWI_CONFIG_SIZE, limits, message_bytes_max, .initial = "64KiB", .min = 1024, .max = GIB,
        .reason = "Largest message that a client may send; requests are small. Larger ones end the connection with "
                  "close code 1009."),
    KEY("http_head_bytes_max", TWI_CONFIG_SIZE, limits, http_head_bytes_max, .initial = "8KiB", .min = 1024,
        .max = 16384, .reason = "Largest HTTP request head; browsers with many cookies send 4 to 8 KiB."),
    KEY("handshake_timeout", TWI_CONFIG_DURATION, limits, handshake_timeout_ns, .initial = "5s", .min = SECOND / 100,
        .max = HOUR,
        .reason = "A connection that has not sent its whole request by then is closed, so that silent peers hold no "
                  "place."),
    KEY("ping_interval", TWI_CONFIG_DURATION, limits, ping_interval_ns, .initial = "20s", .min = 0, .max = HOUR,
        .reason = "A client that sent nothing for so long is pinged; below the usual 30 to 60 s after which proxies "
                  "drop silent connections. 0s: never."),
    KEY("pong_timeout", TWI_CONFIG_DURATION, limits, pong_timeout_ns, .initial = "20s", .min = SECOND / 100,
        .max = HOUR, .reason = "No answer to a ping for so long closes the connection with code 4004."),
};

static const twi_config_key ring_keys[] = {
    KEY("name", TWI_CONFIG_STRING, ring, name, .initial = "",
        .reason = "Name of the tick ring in shared memory, for readers in other processes on this host. Empty: only "
                  "this process sees it."),
    KEY("slots", TWI_CONFIG_INT, ring, slots, .initial = "65536", .min = 64, .max = 1 << 24, .unit = "events",
        .reason = "Power of two; 64 bytes each. 65536 measured best: it stays in the L2/L3 cache and still gives a "
                  "reader tens of milliseconds before it is lapped at a million events per second."),
    KEY("instruments_max", TWI_CONFIG_INT, ring, instruments_max, .initial = "4096", .min = 1, .max = 1 << 20,
        .unit = "instruments", .reason = "Capacity of the instrument table, over all feeds."),
    KEY("huge_pages", TWI_CONFIG_BOOL, ring, huge_pages, .initial = "true",
        .reason = "Use huge pages if the machine has them reserved; the start-up line says whether it did."),
    KEY("numa_node", TWI_CONFIG_INT, ring, numa_node, .initial = "-1", .min = -1, .max = 255,
        .reason =
            "Memory node on which the ring is asked for (Linux); best the one of the cores in engine.pin_cpus. -1: "
            "wherever the kernel puts it."),
    KEY("mode", TWI_CONFIG_MODE, ring, mode, .initial = "0640", .min = 0, .max = 0777,
        .reason = "Who may read a named ring: user and group by default. Readers map it read-only."),
    KEY("refresh", TWI_CONFIG_DURATION, ring, refresh_ns, .initial = "10s", .min = 0, .max = HOUR,
        .reason = "Every book is put on the ring again as a whole once in this time, one after the other, for readers "
                  "that come late or were overtaken; subscribers see nothing of it. Not done if nobody can need it: "
                  "one thread and no ring.name. 0s: never."),
};

static const twi_config_key wire_log_keys[] = {
    KEY("bytes", TWI_CONFIG_SIZE, wire_log, bytes, .initial = "64MiB", .min = 1 << 16, .max = 64 * GIB,
        .reason = "Power of two; one log of finished frames per codec. It is how far a slow client may fall behind: "
                  "at 100,000 messages of 150 bytes per second, about 4 seconds."),
    KEY("index_slots", TWI_CONFIG_INT, wire_log, index_slots, .initial = "0", .min = 0, .max = 1 << 30,
        .unit = "messages",
        .reason = "Power of two; entries of the index over the log. 0 takes one for every 64 bytes of log, so that the "
                  "bytes run out first."),
    KEY("lag_percent_max", TWI_CONFIG_INT, wire_log, lag_percent_max, .initial = "75", .min = 1, .max = 95,
        .unit = "percent of the log",
        .reason = "A client further behind than this is slow and its policy is applied; the rest is room for what is "
                  "written meanwhile."),
    KEY("default_policy", TWI_CONFIG_ENUM, wire_log, default_policy, .initial = "all", .choices = "all|drop|disconnect",
        .reason = "For slow clients that did not choose: all sends everything until the log laps them and then "
                  "disconnects; drop leaves messages out and says which; disconnect closes with 4002 as soon as the "
                  "limit is reached."),
};

static const twi_config_key book_keys[] = {
    KEY("depth_max", TWI_CONFIG_INT, book, depth_max, .initial = "1000", .min = 1, .max = TWI_BOOK_DEPTH_MAX,
        .unit = "levels per side", .reason = "Levels kept per book, for snapshots. Most venues stream at most 1000."),
};

static const twi_config_key candles_keys[] = {
    KEY("history", TWI_CONFIG_INT, candles, history, .initial = "240", .min = 0, .max = 100000,
        .unit = "candles per interval",
        .reason = "Closed candles kept per instrument and interval (1s 1m 5m 15m 1h 1d), which late trades still "
                  "correct and /v1/ohlcv gives; 80 bytes each. 0 keeps the running ones only."),
    KEY("close_delay", TWI_CONFIG_DURATION, candles, close_delay_ns, .initial = "250ms", .min = 0, .max = HOUR,
        .reason = "A candle closes with the first trade of a later interval, or so long after its end by the clock. "
                  "Trades that come later still correct it."),
};

static const twi_config_key http_keys[] = {
    KEY("trade_history", TWI_CONFIG_INT, http, trade_history, .initial = "200", .min = 0, .max = 100000,
        .unit = "trades per instrument",
        .reason = "Last trades kept for /v1/trades and the last price of /v1/ticker; 56 bytes each. 0: none."),
    KEY("pending_bytes_max", TWI_CONFIG_SIZE, http, pending_bytes_max, .initial = "32MiB", .min = 1 << 20, .max = GIB,
        .unit = "per shard",
        .reason =
            "Responses that wait for clients which do not read them, all together. Beyond it requests get 503, so "
            "that slow readers cannot fill the memory."),
    KEY("allow_origin", TWI_CONFIG_STRING, http, allow_origin, .initial = "*",
        .reason =
            "Access-Control-Allow-Origin of responses: which web pages may read them. * is right for public data, "
            "a token is asked for all the same; empty sends no such header."),
};

static const twi_config_key stream_keys[] = {
    KEY("heartbeat", TWI_CONFIG_DURATION, stream, heartbeat_ns, .initial = "10s", .min = 0, .max = HOUR,
        .reason =
            "Sent to a client that got nothing else for so long, so that silence means a broken connection; whole "
            "seconds, told in hello. 0s: never."),
    KEY("snapshot_budget", TWI_CONFIG_SIZE, stream, snapshot_budget_bytes, .initial = "256KiB", .min = 4096, .max = GIB,
        .unit = "per turn of the loop",
        .reason = "Snapshots are made in portions of this size, so that a client that subscribes to everything does "
                  "not hold up the others."),
};

static const twi_config_key auth_keys[] = {
    KEY("tokens", TWI_CONFIG_STRING_LIST, auth, tokens, .initial = "", .secret = true,
        .reason =
            "A client must bring one of these, as Authorization: Bearer or ?token=. Empty: everybody may connect. "
            "TICKWIRE_AUTH_TOKENS keeps them out of the file."),
};

static const twi_config_key logging_keys[] = {
    KEY("level", TWI_CONFIG_ENUM, logging, level, .initial = "info", .choices = "error|warn|info|debug",
        .reason = "What the engine says about itself on stderr. Nothing is logged on the way of a message."),
    KEY("format", TWI_CONFIG_ENUM, logging, format, .initial = "text", .choices = "text|json",
        .reason = "text for people, json (one object per line) for log collectors."),
};

static const twi_config_key test_keys[] = {
    KEY("stall", TWI_CONFIG_DURATION, test, stall_ns, .initial = "0s", .min = 0, .max = 10 * SECOND,
        .reason = "The loop that serves subscribers rests so long once per stall_interval. A measurement that is worth "
                  "anything shows it at its full size. 0s: never."),
    KEY("stall_interval", TWI_CONFIG_DURATION, test, stall_interval_ns, .initial = "1s", .min = SECOND / 100,
        .max = HOUR, .reason = "From the beginning of one stall to that of the next."),
};

static const twi_config_key feed_keys[] = {
    KEY("type", TWI_CONFIG_ENUM, feed, type, .initial = "sim", .choices = "sim|replay|venue",
        .reason = "sim makes a market up, replay plays a recording, venue connects to an exchange."),
    KEY("exchange", TWI_CONFIG_STRING, feed, exchange, .initial = "sim",
        .reason = "First part of the symbols (sim:BTC/USDT). For a venue it says which one."),
    KEY("instruments", TWI_CONFIG_INT, feed, instruments, .initial = "10", .min = 1, .max = 65536, .only_for = "sim",
        .unit = "instruments", .reason = "How many are traded: well-known pairs first, then made-up ones."),
    KEY("rate", TWI_CONFIG_INT, feed, rate_per_second, .initial = "1000", .min = 0, .max = 1000000000,
        .only_for = "sim", .unit = "messages per second",
        .reason = "Trades, quotes and book changes together. 0: as many as the engine can take, for measuring."),
    KEY("mode", TWI_CONFIG_ENUM, feed, mode, .initial = "fixed", .choices = "fixed|burst", .only_for = "sim",
        .reason =
            "fixed spaces messages evenly; burst clusters them as real markets do (a Hawkes process with the same "
            "mean rate)."),
    KEY("burst_branch_permille", TWI_CONFIG_INT, feed, burst_branch_permille, .initial = "800", .min = 1, .max = 950,
        .only_for = "sim", .unit = "messages of 1000",
        .reason = "With mode = \"burst\": how many messages are caused by another message. Higher clusters more."),
    KEY("burst_decay", TWI_CONFIG_DURATION, feed, burst_decay_ns, .initial = "1ms", .min = 1000, .max = 10 * SECOND,
        .only_for = "sim",
        .reason = "With mode = \"burst\": how long a message goes on causing others; whole "
                  "microseconds."),
    KEY("seed", TWI_CONFIG_INT, feed, seed, .initial = "1", .min = 0, .max = INT64_MAX, .only_for = "sim",
        .reason = "The same seed makes the same market, byte for byte."),
    KEY("book_depth", TWI_CONFIG_INT, feed, book_depth, .initial = "20", .min = 1, .max = 2400, .only_for = "sim",
        .unit = "levels per side", .reason = "Depth of the books."),
    KEY("trade_share", TWI_CONFIG_INT, feed, trade_share, .initial = "20", .min = 0, .max = 65535, .only_for = "sim",
        .unit = "parts",
        .reason = "Part of the messages that are trades, relative to quote_share and book_share; 0: "
                  "none."),
    KEY("quote_share", TWI_CONFIG_INT, feed, quote_share, .initial = "30", .min = 0, .max = 65535, .only_for = "sim",
        .unit = "parts", .reason = "Part of the messages that are quotes."),
    KEY("book_share", TWI_CONFIG_INT, feed, book_share, .initial = "50", .min = 0, .max = 65535, .only_for = "sim",
        .unit = "parts", .reason = "Part of the messages that are book changes."),
    KEY("snapshot_share", TWI_CONFIG_INT, feed, snapshot_share, .initial = "0", .min = 0, .max = 65535,
        .only_for = "sim", .unit = "parts",
        .reason = "Part of the messages that are a whole book again, as venues send it from time to time; with "
                  "book_depth the way to large messages. Needs a book_share."),
    KEY("message_count_max", TWI_CONFIG_INT, feed, message_count_max, .initial = "0", .min = 0, .max = INT64_MAX,
        .only_for = "sim", .unit = "messages", .reason = "The feed ends after so many. 0: never."),
    KEY("file", TWI_CONFIG_STRING, feed, file, .only_for = "replay", .reason = "The recording to play."),
    KEY("speed", TWI_CONFIG_STRING, feed, speed, .initial = "original", .only_for = "replay",
        .reason = "original keeps the recorded distances, max has none, a number such as 2.5 divides them."),
    KEY("symbols", TWI_CONFIG_STRING_LIST, feed, symbols, .initial = "", .only_for = "venue",
        .reason = "Unified symbols (BTC/USDT) or the venue's own ids."),
    KEY("channels", TWI_CONFIG_STRING_LIST, feed, channels, .initial = "trade,quote,book",
        .choices = "trade|quote|book", .only_for = "venue", .reason = "What to subscribe to at the venue."),
    KEY("depth", TWI_CONFIG_INT, feed, depth, .initial = "0", .min = 0, .max = TWI_BOOK_DEPTH_MAX, .only_for = "venue",
        .unit = "levels per side",
        .reason = "Depth of the books to subscribe to, where the venue offers a choice; it must be one of its own. 0: "
                  "its usual one."),
    KEY("redundant", TWI_CONFIG_BOOL, feed, redundant, .initial = "false", .only_for = "venue",
        .reason = "A second connection for every stream; the first copy of a trade or book change is taken. For "
                  "venues whose ids and sequences are the same on every connection; others refuse it at start."),
    KEY("stream_url", TWI_CONFIG_STRING, feed, stream_url, .initial = "", .only_for = "venue",
        .reason = "Where to connect instead of the venue's own address: a mirror, a test net, a simulator "
                  "(ws:// or wss://). Empty: the venue's."),
    KEY("rest_url", TWI_CONFIG_STRING, feed, rest_url, .initial = "", .only_for = "venue",
        .reason = "Scheme, host and port of the venue's REST, likewise (http:// or https://)."),
    KEY("proxy", TWI_CONFIG_STRING, feed, proxy, .initial = "", .only_for = "venue",
        .reason = "HTTP proxy to go through: http://[user:password@]host:port, or none. Empty: as HTTPS_PROXY, "
                  "http_proxy and NO_PROXY of the environment say."),
    KEY("ca_file", TWI_CONFIG_STRING, feed, ca_file, .initial = "", .only_for = "venue",
        .reason = "PEM file with the certificate authorities to trust, instead of the system's. Certificates and host "
                  "names are always checked."),
    KEY("tls_min", TWI_CONFIG_ENUM, feed, tls_min, .initial = "1.2", .choices = "1.2|1.3", .only_for = "venue",
        .reason = "Oldest TLS version to speak. Some venues do not offer 1.3."),
    KEY("message_bytes_max", TWI_CONFIG_SIZE, feed, message_bytes_max, .initial = "0", .min = 0, .max = GIB,
        .only_for = "venue",
        .reason = "Longest message to take from the venue; a longer one ends the connection. Reserved per connection, "
                  "used as far as needed. 0: what the venue's largest snapshots take."),
    KEY("connect_timeout", TWI_CONFIG_DURATION, feed, connect_timeout_ns, .initial = "10s", .min = SECOND / 100,
        .max = HOUR, .only_for = "venue", .reason = "For the name, and for all its addresses together."),
    KEY("handshake_timeout", TWI_CONFIG_DURATION, feed, handshake_timeout_ns, .initial = "10s", .min = SECOND / 100,
        .max = HOUR, .only_for = "venue", .reason = "For the proxy's answer, TLS and the WebSocket handshake, each."),
    KEY("retry_max", TWI_CONFIG_DURATION, feed, retry_max_ns, .initial = "30s", .min = SECOND / 10, .max = HOUR,
        .only_for = "venue",
        .reason = "Longest pause between two attempts to connect. The first is a quarter of a second at most, each "
                  "doubles, half of it is chance, and the venue's own limits are kept."),
};

static const twi_config_section sections[] = {
    SECTION(listen, "Where subscribers connect.", listen_keys),
    SECTION(engine, "Threads and how they wait.", engine_keys),
    {.name = "feed",
     .about = "Where market data comes from; as many [[feed]] as you like.",
     .keys = feed_keys,
     .key_count = sizeof(feed_keys) / sizeof(feed_keys[0]),
     .offset = offsetof(twi_settings, feeds),
     .item_bytes = sizeof(twi_settings_feed),
     .item_count_max = TWI_FEED_COUNT_MAX,
     .item_count_min = 1,
     .variant_key = "type"},
    SECTION(limits, "What one client may take, and all of them together.", limits_keys),
    SECTION(stream, "What is sent beside the data.", stream_keys),
    SECTION(ring, "The tick ring, from feeds to publisher and to readers on this host.", ring_keys),
    SECTION(wire_log, "The logs of finished frames that clients are sent from.", wire_log_keys),
    SECTION(book, "Order books.", book_keys),
    SECTION(candles, "Open, high, low, close and volume, made from the trades.", candles_keys),
    SECTION(http, "What is answered over HTTP, on the same port as the stream.", http_keys),
    SECTION(auth, "Who may connect.", auth_keys),
    SECTION(logging, "Messages of the engine about itself.", logging_keys),
    SECTION(test, "Faults made on purpose, to test what measures. Leave them alone otherwise.", test_keys),
};

_Static_assert(offsetof(twi_settings, feed_count) - offsetof(twi_settings, feeds) == offsetof(twi_config_tables, count),
               "feeds and feed_count are filled as one twi_config_tables");

/* --- conditions between keys --- */

static bool is_power_of_two(int64_t number)
{
    return number > 0 && (number & (number - 1)) == 0;
}

static void check_power(twi_config *config, const char *section, const char *key, int64_t number)
{
    if (is_power_of_two(number))
        return;
    int64_t above = 1;
    while (above < number)
        above <<= 1;
    twi_config_fault(config, section, -1, key, "is %" PRId64 ", not a power of two; %" PRId64 " and %" PRId64 " are",
                     number, above / 2, above);
}

static void check_listen(const twi_settings *settings, twi_config *config)
{
    size_t path_max = sizeof(((struct sockaddr_un *)0)->sun_path) - 1;
    if (strlen(settings->listen.unix_path) > path_max)
        twi_config_fault(config, "listen", -1, "unix_path", "is longer than the %zu bytes that a socket path may have",
                         path_max);
    if (!*settings->listen.host)
        twi_config_fault(config, "listen", -1, "host", "is empty; write an address such as \"127.0.0.1\"");
}

/* It goes into a header as it is. */
static void check_http(const twi_settings_http *http, twi_config *config)
{
    enum { ORIGIN_BYTES_MAX = 200 };
    size_t len = strlen(http->allow_origin);
    for (size_t i = 0; i < len; i++)
        if (http->allow_origin[i] <= ' ' || http->allow_origin[i] > '~')
            len = ORIGIN_BYTES_MAX + 1;
    if (len > ORIGIN_BYTES_MAX)
        twi_config_fault(config, "http", -1, "allow_origin",
                         "is no origin; write * or one such as https://example.org");
}

static bool is_speed(const char *speed)
{
    if (strcmp(speed, "original") == 0 || strcmp(speed, "max") == 0)
        return true;
    tw_decimal factor, most = {.mantissa = 1000000};
    return tw_decimal_parse(speed, strlen(speed), &factor) == TW_OK && factor.mantissa > 0 &&
           tw_decimal_compare(factor, most) <= 0;
}

static void check_feed(const twi_settings_feed *feed, int32_t index, twi_config *config)
{
    if (!*feed->exchange || strpbrk(feed->exchange, ":/* "))
        twi_config_fault(config, "feed", index, "exchange", "is \"%s\"; write a name without : / * and blanks",
                         feed->exchange);
    if (feed->type == TWI_FEED_SIM && feed->trade_share + feed->quote_share + feed->book_share == 0)
        twi_config_fault(config, "feed", index, "book_share", "all shares are 0; let one of them be more");
    if (feed->type == TWI_FEED_SIM && feed->snapshot_share > 0 && feed->book_share == 0)
        twi_config_fault(config, "feed", index, "snapshot_share", "needs a book_share; write at least book_share = 1");
    if (feed->type == TWI_FEED_SIM && feed->burst_decay_ns % 1000 != 0)
        twi_config_fault(config, "feed", index, "burst_decay", "is not a whole number of microseconds");
    if (feed->type == TWI_FEED_REPLAY && !*feed->file)
        twi_config_fault(config, "feed", index, "file", "is empty; write the path of a recording");
    if (feed->type == TWI_FEED_REPLAY && !is_speed(feed->speed))
        twi_config_fault(config, "feed", index, "speed",
                         "is \"%s\"; write \"original\", \"max\" or a factor such as \"2.5\"", feed->speed);
    if (feed->type == TWI_FEED_VENUE && strcmp(feed->exchange, "sim") == 0)
        twi_config_fault(config, "feed", index, "exchange", "says no venue; write its name, such as \"binance\"");
    if (feed->type == TWI_FEED_VENUE && *feed->stream_url && strncmp(feed->stream_url, "ws://", 5) != 0 &&
        strncmp(feed->stream_url, "wss://", 6) != 0)
        twi_config_fault(config, "feed", index, "stream_url", "is \"%s\"; ws://host[:port]/path or wss://... is wanted",
                         feed->stream_url);
    if (feed->type == TWI_FEED_VENUE && *feed->rest_url && strncmp(feed->rest_url, "http://", 7) != 0 &&
        strncmp(feed->rest_url, "https://", 8) != 0)
        twi_config_fault(config, "feed", index, "rest_url", "is \"%s\"; http://host[:port] or https://... is wanted",
                         feed->rest_url);
    if (feed->type == TWI_FEED_VENUE && feed->symbols.count == 0)
        twi_config_fault(config, "feed", index, "symbols", "is empty; name at least one, such as [\"BTC/USDT\"]");
}

static void check_settings(const void *filled, twi_config *config)
{
    const twi_settings *settings = filled;
    check_listen(settings, config);
    check_http(&settings->http, config);
    check_power(config, "ring", "slots", settings->ring.slots);
    check_power(config, "wire_log", "bytes", settings->wire_log.bytes);
    if (settings->wire_log.index_slots)
        check_power(config, "wire_log", "index_slots", settings->wire_log.index_slots);
    if (settings->stream.heartbeat_ns % SECOND != 0)
        twi_config_fault(config, "stream", -1, "heartbeat", "is not a whole number of seconds");
    if (settings->engine.pin_cpus.count > TWI_THREAD_COUNT_MAX + 2)
        twi_config_fault(config, "engine", -1, "pin_cpus", "names more CPUs than there can be threads");
    if (settings->test.stall_ns >= settings->test.stall_interval_ns)
        twi_config_fault(config, "test", -1, "stall", "is not shorter than test.stall_interval");
    int64_t instruments = 0;
    for (uint32_t i = 0; i < settings->feed_count; i++) {
        check_feed(&settings->feeds[i], (int32_t)i, config);
        instruments += settings->feeds[i].type == TWI_FEED_SIM ? settings->feeds[i].instruments : 0;
    }
    if (instruments > settings->ring.instruments_max)
        twi_config_fault(config, "ring", -1, "instruments_max",
                         "is %" PRId64 ", but the simulated feeds have %" PRId64 " instruments",
                         settings->ring.instruments_max, instruments);
}

const twi_config_schema twi_settings_schema = {
    .env_prefix = "TICKWIRE",
    .title = "Tickwire: the engine's configuration. Run it with: engine -c FILE",
    .sections = sections,
    .section_count = sizeof(sections) / sizeof(sections[0]),
    .settings_bytes = sizeof(twi_settings),
    .check = check_settings,
};

int64_t twi_settings_index_slots(const twi_settings *settings)
{
    enum { MESSAGE_BYTES_TYPICAL_LEAST = 64 };
    return settings->wire_log.index_slots ? settings->wire_log.index_slots
                                          : settings->wire_log.bytes / MESSAGE_BYTES_TYPICAL_LEAST;
}
