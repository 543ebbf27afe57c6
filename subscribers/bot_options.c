/* bot_options.c - the bot's command line. */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/interval.h"
#include "subscribers/bot.h"

#define NS_PER_S 1000000000LL

enum { EXIT_USAGE = 2, RECV_BUFFER_BYTES_DEFAULT = 32768, RECV_BUFFER_BYTES_MAX = 1 << 20, SHM_URL_MAX = 128 };

static const char help[] =
    "usage: bot [options]\n"
    "Attaches to a Tickwire engine, checks every sequence number and measures.\n"
    "\n"
    "where and what\n"
    "  --url URL             ws://HOST:PORT/PATH or unix:/SOCKET[:/PATH]   [ws://127.0.0.1:9001/v1/stream]\n"
    "  --shm NAME            instead: the engine's ring in shared memory (ring.name), same host\n"
    "  -n, --connections N   connections, or readers of the ring           [1]\n"
    "  --codec C             json or flatbuffers                           [json]\n"
    "  --channels LIST       trade,quote,book,candle.1m,status             [trade,quote]\n"
    "  --symbols LIST        e.g. 'sim:*' or binance:BTC/USDT              [sim:*]\n"
    "  --policy P            conflate, drop, disconnect or all\n"
    "  --interval D          of conflation, e.g. 50ms\n"
    "  --depth N             book levels per side\n"
    "  --token T             sent as Authorization: Bearer\n"
    "  --by-url              subscribe in the URL instead of by message\n"
    "  --raw                 the server is no Tickwire (no answers): ready as soon as connected; implies --by-url\n"
    "  --idle                connect, subscribe to nothing, stay\n"
    "\n"
    "how long\n"
    "  --duration D          measured time: 60s, 500ms, 2m                 [10s]\n"
    "  --warmup D            after all are connected, before measuring     [1s]\n"
    "  --connect-timeout D   for all connections together                  [60s]\n"
    "  --connect-rate N      connections per second                        [no limit]\n"
    "  --no-reconnect        the first end of a connection is its last\n"
    "\n"
    "how\n"
    "  --loop L              auto, io_uring, epoll, kqueue                 [auto]\n"
    "  --threads N           connections are spread over them              [1]\n"
    "  --cores LIST          pin thread i to the i-th of these cores\n"
    "  --spin                poll without sleeping\n"
    "  --decode D            scan: topic, sequence and times; full: everything    [scan]\n"
    "  --recv-buffer N       bytes of one receive buffer                   [32768]\n"
    "\n"
    "slow connections, for tests\n"
    "  --slow N              the first N connections are slow              [all, if one of these is given]\n"
    "  --stall-after D       slow ones stop reading so long after measuring began\n"
    "  --stall-for D         and read on after this time                   [never]\n"
    "  --read-delay D        slow ones rest so long after each piece of data\n"
    "\n"
    "what comes out\n"
    "  --latency FROM        publish: since the engine framed it; recv: since it had it from the venue   [publish]\n"
    "  --last-receiver       also how long until the last connection had each message (one thread)\n"
    "  --json                one JSON object instead of tables\n"
    "  --buckets             with --json: also the whole histogram, as [[ns, count], ...], to be added to others\n"
    "  --phases              says on stderr when all are connected and when measuring begins and ends:\n"
    "                        'phase connected|measuring|measured UNIX_NS'\n"
    "  --hgrm FILE           latencies in us as HdrHistogram percentile text\n"
    "  --live                a line of figures every second, also without a terminal\n"
    "  --dump FILE           payloads of the first connection, one per line (JSON)\n"
    "  --dump-count N        so many                                       [1000]\n"
    "  --allow-loss          loss records are expected: they do not make the exit code 1\n"
    "\n"
    "examples\n"
    "  bot                                              one connection, ten seconds, a table\n"
    "  bot -n 1000 --duration 60s --codec flatbuffers   a thousand connections for a minute\n"
    "  bot -n 100 --last-receiver --cores 1 --spin      fan-out latency, busy-polling on core 1\n"
    "  bot -n 10 --channels book --policy conflate --interval 50ms --decode full\n"
    "  bot -n 2 --slow 1 --stall-after 2s --allow-loss  the first stops reading; how does the other fare?\n"
    "  bot --shm tickwire --spin --symbols '*:*'        what a program on this host gets without a socket\n"
    "  bot -n 10000 --idle --connect-rate 2000 --duration 30s\n"
    "\n"
    "exit code: 0 all is well; 1 errors, gaps, duplicates, losses, failed connections or no data; 2 usage.\n"
    "Ctrl-C ends the measurement and prints what there is.\n";

enum {
    OPT_URL = 256,
    OPT_SHM,
    OPT_CODEC,
    OPT_CHANNELS,
    OPT_SYMBOLS,
    OPT_POLICY,
    OPT_INTERVAL,
    OPT_DEPTH,
    OPT_TOKEN,
    OPT_BY_URL,
    OPT_RAW,
    OPT_IDLE,
    OPT_DURATION,
    OPT_WARMUP,
    OPT_CONNECT_TIMEOUT,
    OPT_CONNECT_RATE,
    OPT_NO_RECONNECT,
    OPT_LOOP,
    OPT_THREADS,
    OPT_CORES,
    OPT_SPIN,
    OPT_DECODE,
    OPT_RECV_BUFFER,
    OPT_SLOW,
    OPT_STALL_AFTER,
    OPT_STALL_FOR,
    OPT_READ_DELAY,
    OPT_LATENCY,
    OPT_LAST_RECEIVER,
    OPT_JSON,
    OPT_BUCKETS,
    OPT_PHASES,
    OPT_HGRM,
    OPT_LIVE,
    OPT_DUMP,
    OPT_DUMP_COUNT,
    OPT_ALLOW_LOSS
};

static const struct option long_options[] = {{"url", required_argument, NULL, OPT_URL},
                                             {"shm", required_argument, NULL, OPT_SHM},
                                             {"connections", required_argument, NULL, 'n'},
                                             {"codec", required_argument, NULL, OPT_CODEC},
                                             {"channels", required_argument, NULL, OPT_CHANNELS},
                                             {"symbols", required_argument, NULL, OPT_SYMBOLS},
                                             {"policy", required_argument, NULL, OPT_POLICY},
                                             {"interval", required_argument, NULL, OPT_INTERVAL},
                                             {"depth", required_argument, NULL, OPT_DEPTH},
                                             {"token", required_argument, NULL, OPT_TOKEN},
                                             {"by-url", no_argument, NULL, OPT_BY_URL},
                                             {"raw", no_argument, NULL, OPT_RAW},
                                             {"idle", no_argument, NULL, OPT_IDLE},
                                             {"duration", required_argument, NULL, OPT_DURATION},
                                             {"warmup", required_argument, NULL, OPT_WARMUP},
                                             {"connect-timeout", required_argument, NULL, OPT_CONNECT_TIMEOUT},
                                             {"connect-rate", required_argument, NULL, OPT_CONNECT_RATE},
                                             {"no-reconnect", no_argument, NULL, OPT_NO_RECONNECT},
                                             {"loop", required_argument, NULL, OPT_LOOP},
                                             {"threads", required_argument, NULL, OPT_THREADS},
                                             {"cores", required_argument, NULL, OPT_CORES},
                                             {"spin", no_argument, NULL, OPT_SPIN},
                                             {"decode", required_argument, NULL, OPT_DECODE},
                                             {"recv-buffer", required_argument, NULL, OPT_RECV_BUFFER},
                                             {"slow", required_argument, NULL, OPT_SLOW},
                                             {"stall-after", required_argument, NULL, OPT_STALL_AFTER},
                                             {"stall-for", required_argument, NULL, OPT_STALL_FOR},
                                             {"read-delay", required_argument, NULL, OPT_READ_DELAY},
                                             {"latency", required_argument, NULL, OPT_LATENCY},
                                             {"last-receiver", no_argument, NULL, OPT_LAST_RECEIVER},
                                             {"json", no_argument, NULL, OPT_JSON},
                                             {"buckets", no_argument, NULL, OPT_BUCKETS},
                                             {"phases", no_argument, NULL, OPT_PHASES},
                                             {"hgrm", required_argument, NULL, OPT_HGRM},
                                             {"live", no_argument, NULL, OPT_LIVE},
                                             {"dump", required_argument, NULL, OPT_DUMP},
                                             {"dump-count", required_argument, NULL, OPT_DUMP_COUNT},
                                             {"allow-loss", no_argument, NULL, OPT_ALLOW_LOSS},
                                             {"help", no_argument, NULL, 'h'},
                                             {NULL, 0, NULL, 0}};

static bool wrong(const char *name, const char *value, const char *wanted)
{
    fprintf(stderr, "bot: --%s %s: wants %s (bot --help)\n", name, value, wanted);
    return false;
}

static bool number_take(const char *name, const char *text, uint32_t least, uint32_t most, uint32_t *out)
{
    char *end;
    unsigned long value = strtoul(text, &end, 10);
    char wanted[64];
    if (end != text && *end == 0 && *text != '-' && value >= least && value <= most) {
        *out = (uint32_t)value;
        return true;
    }
    snprintf(wanted, sizeof wanted, "a number from %u to %u", least, most);
    return wrong(name, text, wanted);
}

/* "60s", "500ms"; a bare number is seconds. */
static bool duration_take(const char *name, const char *text, int64_t *out)
{
    char *end;
    if (twi_interval_parse(text, strlen(text), out) == TW_OK)
        return true;
    double seconds = strtod(text, &end);
    if (end == text || (*end != 0 && strcmp(end, "s") != 0) || !(seconds >= 0) || seconds > 1e9)
        return wrong(name, text, "a duration such as 60s, 500ms or 2m");
    *out = (int64_t)(seconds * (double)NS_PER_S);
    return true;
}

static bool choice_take(const char *name, const char *text, const char *const *choices, uint32_t count, uint32_t *out)
{
    char wanted[128] = "";
    for (uint32_t i = 0; i < count; i++) {
        if (strcmp(text, choices[i]) == 0) {
            *out = i;
            return true;
        }
        size_t used = strlen(wanted);
        snprintf(wanted + used, sizeof wanted - used, "%s%s", i ? " or " : "", choices[i]);
    }
    return wrong(name, text, wanted);
}

static bool cores_take(bot_options *o, const char *text)
{
    const char *at = text;
    do {
        char *end;
        long core = strtol(at, &end, 10);
        if (end == at || core < 0 || core > 1023 || (*end != ',' && *end != 0) || o->core_count == BOT_CORES_MAX)
            return wrong("cores", text, "core numbers such as 1 or 2,3");
        o->cores[o->core_count++] = (int)core;
        at = *end ? end + 1 : NULL;
    } while (at);
    return true;
}

static bool codec_take(bot_options *o, const char *text)
{
    static const char *const codecs[] = {"json", "flatbuffers"};
    uint32_t choice;
    if (!choice_take("codec", text, codecs, 2, &choice))
        return false;
    o->codec = codecs[choice];
    return true;
}

static bool decode_take(bot_options *o, const char *text)
{
    static const char *const decodes[] = {"full", "scan"};
    uint32_t choice;
    if (!choice_take("decode", text, decodes, 2, &choice))
        return false;
    o->decode = choice == 0 ? TW_CLIENT_DECODE_FULL : TW_CLIENT_DECODE_SCAN;
    return true;
}

static bool latency_take(bot_options *o, const char *text)
{
    static const char *const bases[] = {"publish", "recv"};
    uint32_t choice;
    if (!choice_take("latency", text, bases, 2, &choice))
        return false;
    o->latency_from_recv = choice == 1;
    return true;
}

static void flag_set(bot_options *o, int key)
{
    switch (key) {
    case OPT_BY_URL:
        o->by_url = true;
        break;
    case OPT_RAW:
        o->raw = true;
        o->by_url = true;
        break;
    case OPT_IDLE:
        o->idle = true;
        break;
    case OPT_NO_RECONNECT:
        o->no_reconnect = true;
        break;
    case OPT_SPIN:
        o->spin = true;
        break;
    case OPT_LAST_RECEIVER:
        o->last_receiver = true;
        break;
    case OPT_JSON:
        o->json = true;
        break;
    case OPT_BUCKETS:
        o->buckets = true;
        break;
    case OPT_PHASES:
        o->phases = true;
        break;
    case OPT_LIVE:
        o->live = true;
        break;
    case OPT_ALLOW_LOSS:
        o->allow_loss = true;
        break;
    default:
        break;
    }
}

static void text_set(bot_options *o, int key, const char *value)
{
    switch (key) {
    case OPT_URL:
        o->url = value;
        break;
    case OPT_SHM:
        o->shm = value;
        break;
    case OPT_CHANNELS:
        o->subscription.channels = value;
        break;
    case OPT_SYMBOLS:
        o->subscription.symbols = value;
        break;
    case OPT_POLICY:
        o->subscription.policy = value;
        break;
    case OPT_TOKEN:
        o->token = value;
        break;
    case OPT_LOOP:
        o->loop = value;
        break;
    case OPT_HGRM:
        o->hgrm = value;
        break;
    case OPT_DUMP:
        o->dump = value;
        break;
    default:
        break;
    }
}

/* Options with a value that can be wrong. */
static bool value_take(bot_options *o, int key, const char *value)
{
    switch (key) {
    case 'n':
        return number_take("connections", value, 1, BOT_CONNECTIONS_MAX, &o->connection_count);
    case OPT_DEPTH:
        return number_take("depth", value, 1, 1000000, &o->subscription.depth);
    case OPT_CONNECT_RATE:
        return number_take("connect-rate", value, 1, 1000000, &o->connect_rate);
    case OPT_THREADS:
        return number_take("threads", value, 1, BOT_THREADS_MAX, &o->thread_count);
    case OPT_RECV_BUFFER:
        return number_take("recv-buffer", value, 1024, RECV_BUFFER_BYTES_MAX, &o->recv_buffer_bytes);
    case OPT_SLOW:
        return number_take("slow", value, 1, BOT_CONNECTIONS_MAX, &o->slow_count);
    case OPT_DUMP_COUNT:
        return number_take("dump-count", value, 1, UINT32_MAX, &o->dump_count);
    case OPT_INTERVAL:
        return duration_take("interval", value, &o->subscription.interval_ns);
    case OPT_DURATION:
        return duration_take("duration", value, &o->duration_ns);
    case OPT_WARMUP:
        return duration_take("warmup", value, &o->warmup_ns);
    case OPT_CONNECT_TIMEOUT:
        return duration_take("connect-timeout", value, &o->connect_timeout_ns);
    case OPT_STALL_AFTER:
        return duration_take("stall-after", value, &o->stall_after_ns);
    case OPT_STALL_FOR:
        return duration_take("stall-for", value, &o->stall_for_ns);
    case OPT_READ_DELAY:
        return duration_take("read-delay", value, &o->read_delay_ns);
    case OPT_CODEC:
        return codec_take(o, value);
    case OPT_DECODE:
        return decode_take(o, value);
    case OPT_LATENCY:
        return latency_take(o, value);
    case OPT_CORES:
        return cores_take(o, value);
    default:
        text_set(o, key, value);
        return true;
    }
}

static const char *combination_wrong(bot_options *o)
{
    if (o->last_receiver && o->thread_count > 1)
        return "--last-receiver follows messages within one thread: leave --threads at 1";
    if (o->thread_count > o->connection_count)
        return "more --threads than connections";
    if (o->core_count > 0 && o->core_count < o->thread_count)
        return "--cores names fewer cores than there are --threads";
    if (o->dump && strcmp(o->codec, "json") != 0)
        return "--dump writes lines of JSON: not with --codec flatbuffers";
    if (o->buckets && !o->json)
        return "--buckets belongs to --json";
    if (o->shm && (o->subscription.policy || o->subscription.interval_ns || o->subscription.depth || o->token))
        return "--shm reads everything as it is: no --policy, --interval, --depth or --token";
    if (o->shm && (o->raw || o->idle || o->by_url || o->last_receiver || o->dump || o->slow_count > 0 ||
                   o->stall_after_ns >= 0 || o->read_delay_ns > 0))
        return "--raw, --idle, --by-url, --last-receiver, --dump and slow connections belong to sockets: not with "
               "--shm";
    if (o->slow_count > o->connection_count)
        return "more --slow connections than connections";
    if (o->slow_count == 0 && (o->stall_after_ns >= 0 || o->read_delay_ns > 0))
        o->slow_count = o->connection_count;
    return NULL;
}

int bot_options_parse(bot_options *o, int argc, char **argv)
{
    *o = (bot_options){.url = "ws://127.0.0.1:9001/v1/stream",
                       .codec = "json",
                       .loop = "auto",
                       .subscription = {.channels = "trade,quote", .symbols = "sim:*"},
                       .connection_count = 1,
                       .thread_count = 1,
                       .recv_buffer_bytes = RECV_BUFFER_BYTES_DEFAULT,
                       .duration_ns = 10 * NS_PER_S,
                       .warmup_ns = NS_PER_S,
                       .connect_timeout_ns = 60 * NS_PER_S,
                       .stall_after_ns = -1,
                       .dump_count = 1000,
                       .decode = TW_CLIENT_DECODE_SCAN};
    for (;;) {
        int key = getopt_long(argc, argv, "n:h", long_options, NULL);
        if (key < 0)
            break;
        if (key == 'h') {
            fputs(help, stdout);
            return 1;
        }
        if (key == '?')
            return EXIT_USAGE + 1;
        if (!optarg)
            flag_set(o, key);
        else if (!value_take(o, key, optarg))
            return EXIT_USAGE + 1;
    }
    if (o->shm) {
        static char url[SHM_URL_MAX];
        snprintf(url, sizeof url, "shm:%s", o->shm);
        o->url = url;
        o->codec = "ring";
        o->latency_from_recv = true;
    }
    const char *combination = optind < argc ? "unexpected argument" : combination_wrong(o);
    if (!combination)
        return 0;
    fprintf(stderr, "bot: %s (bot --help)\n", combination);
    return EXIT_USAGE + 1;
}
