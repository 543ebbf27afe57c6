/* codec_bench.c - how fast the codecs are: encoding and decoding, beside jansson and the official FlatBuffers library.
 *
 * Usage:    codec_bench [--quick] [--json]
 *           Prints nanoseconds per message (median, and quartiles in brackets), bytes per message, and the ratios that
 *           must hold. Ends with 1 if one of them does not; --quick only checks that everything runs.
 * Method:   all cases take the same trades (quotes, books) in turn, SAMPLE_COUNT different ones, and are timed in CPU
 *           time. The cases are interleaved, round by round, so that a disturbance hits all of them; a ratio is the
 *           median of the ratios of the rounds. Every case returns a sum over its results, printed as `work`: the same
 *           in every run.
 * Rivals:   jansson builds the object member by member (nocheck variants; prices are its doubles) and dumps it into a
 *           buffer. The official builder is reused and cleared.
 * Limits:   one thread, warm caches: this is the codec alone. */
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "bench/codec_bench.h"
#include "engine/base/clock.h"
#include "engine/base/trade_id.h"
#include "tickwire/decimal.h"

enum {
    SAMPLE_COUNT = 64,
    BOOK_LEVELS = 40,
    CHANGE_LEVELS = 6,
    ROUNDS_FULL = 101,
    ROUNDS_QUICK = 3,
    BATCH_FULL = 4096,
    BATCH_QUICK = 64,
    MESSAGE_CAP = 1 << 13,
    ROUNDS_MAX = ROUNDS_FULL,
    JSON_RATIO_MIN = 5,       /* against jansson */
    FLATBUFFERS_RATIO_MIN = 3 /* against the official builder */
};

typedef struct message {
    uint8_t bytes[MESSAGE_CAP];
    size_t len;
} message;

/* The same content for every case. */
typedef struct samples {
    tw_symbols *symbols;
    tw_event events[SAMPLE_COUNT][BOOK_LEVELS];
    tw_record records[SAMPLE_COUNT];
    char ids[SAMPLE_COUNT][TWI_TRADE_ID_BYTES_MAX];
    size_t id_lens[SAMPLE_COUNT];
    message json[SAMPLE_COUNT], flatbuffers[SAMPLE_COUNT];
} samples;

typedef struct bench {
    samples trades, quotes, changes, books;
    twb_official *official;
    uint8_t out[1 << 16];
    tw_event decoded[BOOK_LEVELS];
} bench;

typedef struct bench_case {
    const char *name;
    uint64_t (*run)(bench *b, uint32_t iterations);
    uint32_t divisor; /* of the batch, for slow cases */
} bench_case;

/* ---- content ---- */

static uint64_t next_random(uint64_t *state)
{
    uint64_t z = (*state += 0x9e3779b97f4a7c15u);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

static tw_event base_event(uint64_t *random, uint32_t instrument, tw_event_kind kind, int64_t time_ns)
{
    return (tw_event){.instrument = instrument,
                      .kind = (uint8_t)kind,
                      .flags = (uint8_t)(TW_FLAG_FIRST | TW_FLAG_LAST | (next_random(random) & TW_FLAG_SELL)),
                      .price_exponent = -2,
                      .amount_exponent = -5,
                      .venue_ns = time_ns / 1000000 * 1000000,
                      .recv_ns = time_ns + 3000000};
}

static uint32_t fill_events(uint64_t *random, tw_event *events, tw_event first, uint32_t count)
{
    int64_t price = 6400000 + (int64_t)(next_random(random) % 20000);
    events[0] = first;
    if (first.kind == TW_EVENT_TRADE) {
        events[0].flags |= TW_ID_NUMBER << TW_ID_KIND_SHIFT;
        events[0].u.trade.price = price;
        events[0].u.trade.amount = (int64_t)(next_random(random) % 1000000);
        events[0].u.trade.id.lo = 3012345678u + next_random(random) % 1000;
        return 1;
    }
    if (first.kind == TW_EVENT_QUOTE) {
        events[0].u.quote.bid = price;
        events[0].u.quote.bid_amount = (int64_t)(next_random(random) % 1000000 + 1);
        events[0].u.quote.ask = price + 10;
        events[0].u.quote.ask_amount = (int64_t)(next_random(random) % 1000000 + 1);
        return 1;
    }
    for (uint32_t i = 0; i < count; i++) {
        uint8_t side = i < count / 2 ? 0 : TW_FLAG_ASK;
        events[i] = first;
        events[i].flags = (uint8_t)(side | (count == BOOK_LEVELS ? TW_FLAG_SNAPSHOT : 0));
        events[i].u.level.price = side ? price + i : price - i;
        events[i].u.level.amount = (int64_t)(next_random(random) % 1000000);
    }
    events[0].flags |= TW_FLAG_FIRST;
    events[count - 1].flags |= TW_FLAG_LAST;
    return count;
}

static void encode_sample(const tw_codec_ops *codec, const samples *s, uint32_t index, message *to)
{
    uint8_t out[1 << 14];
    to->len = codec->encode(s->symbols, &s->records[index], out, sizeof(out));
    if (to->len == 0 || to->len > sizeof(to->bytes)) {
        abort();
    }
    memcpy(to->bytes, out, to->len);
}

static void fill_samples(samples *s, tw_symbols *symbols, tw_event_kind kind, uint32_t level_count)
{
    uint64_t random = kind;
    s->symbols = symbols;
    for (uint32_t i = 0; i < SAMPLE_COUNT; i++) {
        int64_t time_ns = INT64_C(1732161206123456789) + (int64_t)i * 1234567;
        tw_event first = base_event(&random, i % tw_symbols_count(symbols), kind, time_ns);
        uint32_t count = fill_events(&random, s->events[i], first, level_count);
        s->records[i] = (tw_record){
            .events = s->events[i], .event_count = count, .seq = 4711 + i, .publish_ns = first.recv_ns + 7654};
        s->id_lens[i] =
            kind == TW_EVENT_TRADE ? twi_trade_id_format(TW_ID_NUMBER, s->events[i][0].u.trade.id, s->ids[i]) : 0;
        encode_sample(&tw_codec_json, s, i, &s->json[i]);
        encode_sample(&tw_codec_flatbuffers, s, i, &s->flatbuffers[i]);
    }
}

static tw_symbols *make_symbols(void)
{
    static const char *const names[] = {"BTC/USDT", "ETH/USDT", "SOL/USDT", "BTC/USDT:USDT"};
    enum { CAPACITY = 64 };
    tw_symbols *symbols = tw_symbols_init(aligned_alloc(64, (tw_symbols_size(CAPACITY) + 63) / 64 * 64), CAPACITY);
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        uint32_t instrument;
        if (tw_symbols_intern(symbols, "binance", 7, names[i], strlen(names[i]), NULL, 0, &instrument) != TW_OK) {
            abort();
        }
    }
    return symbols;
}

/* ---- our codecs ---- */

static uint64_t encode_all(bench *b, const tw_codec_ops *codec, const samples *s, uint32_t iterations)
{
    uint64_t sum = 0;
    for (uint32_t i = 0; i < iterations; i++) {
        size_t len = codec->encode(s->symbols, &s->records[i % SAMPLE_COUNT], b->out, sizeof(b->out));
        sum += len + b->out[len - 1];
    }
    return sum;
}

static uint64_t decode_all(bench *b, const tw_codec_ops *codec, const samples *s, const message *messages,
                           uint32_t iterations)
{
    uint64_t sum = 0;
    for (uint32_t i = 0; i < iterations; i++) {
        const message *msg = &messages[i % SAMPLE_COUNT];
        uint32_t count = BOOK_LEVELS;
        tw_record record;
        if (codec->decode(s->symbols, msg->bytes, msg->len, b->decoded, &count, &record) != TW_OK) {
            abort();
        }
        sum += record.seq + count;
    }
    return sum;
}

#define OUR_CASES(what)                                                                                                \
    static uint64_t json_encode_##what(bench *b, uint32_t iterations)                                                  \
    {                                                                                                                  \
        return encode_all(b, &tw_codec_json, &b->what, iterations);                                                    \
    }                                                                                                                  \
    static uint64_t json_decode_##what(bench *b, uint32_t iterations)                                                  \
    {                                                                                                                  \
        return decode_all(b, &tw_codec_json, &b->what, b->what.json, iterations);                                      \
    }                                                                                                                  \
    static uint64_t flatbuffers_encode_##what(bench *b, uint32_t iterations)                                           \
    {                                                                                                                  \
        return encode_all(b, &tw_codec_flatbuffers, &b->what, iterations);                                             \
    }                                                                                                                  \
    static uint64_t flatbuffers_decode_##what(bench *b, uint32_t iterations)                                           \
    {                                                                                                                  \
        return decode_all(b, &tw_codec_flatbuffers, &b->what, b->what.flatbuffers, iterations);                        \
    }

OUR_CASES(trades)
OUR_CASES(quotes)
OUR_CASES(changes)
OUR_CASES(books)

/* ---- rivals ---- */

static json_t *real_of(int64_t mantissa, int8_t exponent)
{
    return json_real(tw_decimal_to_double((tw_decimal){mantissa, exponent}));
}

static uint64_t jansson_encode_trades(bench *b, uint32_t iterations)
{
    uint64_t sum = 0;
    for (uint32_t i = 0; i < iterations; i++) {
        const samples *s = &b->trades;
        const tw_record *record = &s->records[i % SAMPLE_COUNT];
        const tw_event *event = record->events;
        const tw_instrument *instrument = tw_symbols_get(s->symbols, event->instrument);
        json_t *object = json_object();
        json_object_set_new_nocheck(object, "type", json_string_nocheck("trade"));
        json_object_set_new_nocheck(object, "exchange",
                                    json_stringn_nocheck(instrument->exchange, instrument->exchange_len));
        json_object_set_new_nocheck(object, "symbol", json_stringn_nocheck(instrument->symbol, instrument->symbol_len));
        json_object_set_new_nocheck(object, "seq", json_integer((json_int_t)record->seq));
        json_object_set_new_nocheck(object, "id",
                                    json_stringn_nocheck(s->ids[i % SAMPLE_COUNT], s->id_lens[i % SAMPLE_COUNT]));
        json_object_set_new_nocheck(object, "price", real_of(event->u.trade.price, event->price_exponent));
        json_object_set_new_nocheck(object, "amount", real_of(event->u.trade.amount, event->amount_exponent));
        json_object_set_new_nocheck(object, "side",
                                    json_string_nocheck((event->flags & TW_FLAG_SELL) != 0 ? "sell" : "buy"));
        json_object_set_new_nocheck(object, "timestamp", json_integer(event->venue_ns / 1000000));
        json_object_set_new_nocheck(object, "recv_ns", json_integer(event->recv_ns));
        json_object_set_new_nocheck(object, "publish_ns", json_integer(record->publish_ns));
        size_t len = json_dumpb(object, (char *)b->out, sizeof(b->out), JSON_COMPACT);
        json_decref(object);
        sum += len;
    }
    return sum;
}

static uint64_t jansson_decode_trades(bench *b, uint32_t iterations)
{
    uint64_t sum = 0;
    for (uint32_t i = 0; i < iterations; i++) {
        const message *msg = &b->trades.json[i % SAMPLE_COUNT];
        json_t *object = json_loadb((const char *)msg->bytes, msg->len, 0, NULL);
        sum += (uint64_t)json_integer_value(json_object_get(object, "seq"));
        json_decref(object);
    }
    return sum;
}

static uint64_t official_encode_trades(bench *b, uint32_t iterations)
{
    uint64_t sum = 0;
    for (uint32_t i = 0; i < iterations; i++) {
        const samples *s = &b->trades;
        uint32_t index = i % SAMPLE_COUNT;
        const tw_record *record = &s->records[index];
        const tw_instrument *instrument = tw_symbols_get(s->symbols, record->events[0].instrument);
        const uint8_t *bytes;
        size_t len =
            twb_official_encode_trade(b->official, instrument, record, s->ids[index], s->id_lens[index], &bytes);
        sum += len + bytes[len - 1];
    }
    return sum;
}

static uint64_t official_decode_trades(bench *b, uint32_t iterations)
{
    uint64_t sum = 0;
    for (uint32_t i = 0; i < iterations; i++) {
        const message *msg = &b->trades.flatbuffers[i % SAMPLE_COUNT];
        sum += twb_official_decode_trade(msg->bytes, msg->len);
    }
    return sum;
}

/* ---- measuring ---- */

typedef enum case_index {
    CASE_JSON_ENCODE_TRADE,
    CASE_JANSSON_ENCODE_TRADE,
    CASE_FLATBUFFERS_ENCODE_TRADE,
    CASE_OFFICIAL_ENCODE_TRADE,
    CASE_JSON_DECODE_TRADE,
    CASE_JANSSON_DECODE_TRADE,
    CASE_FLATBUFFERS_DECODE_TRADE,
    CASE_OFFICIAL_DECODE_TRADE,
    CASE_JSON_ENCODE_QUOTE,
    CASE_FLATBUFFERS_ENCODE_QUOTE,
    CASE_JSON_DECODE_QUOTE,
    CASE_FLATBUFFERS_DECODE_QUOTE,
    CASE_JSON_ENCODE_CHANGES,
    CASE_FLATBUFFERS_ENCODE_CHANGES,
    CASE_JSON_DECODE_CHANGES,
    CASE_FLATBUFFERS_DECODE_CHANGES,
    CASE_JSON_ENCODE_BOOK,
    CASE_FLATBUFFERS_ENCODE_BOOK,
    CASE_JSON_DECODE_BOOK,
    CASE_FLATBUFFERS_DECODE_BOOK,
    CASE_COUNT
} case_index;

static const bench_case cases[CASE_COUNT] = {
    [CASE_JSON_ENCODE_TRADE] = {"json encode trade", json_encode_trades, 1},
    [CASE_JANSSON_ENCODE_TRADE] = {"jansson encode trade", jansson_encode_trades, 16},
    [CASE_FLATBUFFERS_ENCODE_TRADE] = {"flatbuffers encode trade", flatbuffers_encode_trades, 1},
    [CASE_OFFICIAL_ENCODE_TRADE] = {"official builder encode trade", official_encode_trades, 4},
    [CASE_JSON_DECODE_TRADE] = {"json decode trade", json_decode_trades, 1},
    [CASE_JANSSON_DECODE_TRADE] = {"jansson decode trade", jansson_decode_trades, 16},
    [CASE_FLATBUFFERS_DECODE_TRADE] = {"flatbuffers decode trade", flatbuffers_decode_trades, 1},
    [CASE_OFFICIAL_DECODE_TRADE] = {"official verify and read trade", official_decode_trades, 1},
    [CASE_JSON_ENCODE_QUOTE] = {"json encode quote", json_encode_quotes, 1},
    [CASE_FLATBUFFERS_ENCODE_QUOTE] = {"flatbuffers encode quote", flatbuffers_encode_quotes, 1},
    [CASE_JSON_DECODE_QUOTE] = {"json decode quote", json_decode_quotes, 1},
    [CASE_FLATBUFFERS_DECODE_QUOTE] = {"flatbuffers decode quote", flatbuffers_decode_quotes, 1},
    [CASE_JSON_ENCODE_CHANGES] = {"json encode 6 level changes", json_encode_changes, 2},
    [CASE_FLATBUFFERS_ENCODE_CHANGES] = {"flatbuffers encode 6 level changes", flatbuffers_encode_changes, 2},
    [CASE_JSON_DECODE_CHANGES] = {"json decode 6 level changes", json_decode_changes, 2},
    [CASE_FLATBUFFERS_DECODE_CHANGES] = {"flatbuffers decode 6 level changes", flatbuffers_decode_changes, 2},
    [CASE_JSON_ENCODE_BOOK] = {"json encode book of 2 x 20", json_encode_books, 8},
    [CASE_FLATBUFFERS_ENCODE_BOOK] = {"flatbuffers encode book of 2 x 20", flatbuffers_encode_books, 4},
    [CASE_JSON_DECODE_BOOK] = {"json decode book of 2 x 20", json_decode_books, 8},
    [CASE_FLATBUFFERS_DECODE_BOOK] = {"flatbuffers decode book of 2 x 20", flatbuffers_decode_books, 4},
};

typedef struct results {
    double ns[CASE_COUNT][ROUNDS_MAX]; /* per message; 0: not run */
    uint64_t work[CASE_COUNT];
    uint32_t rounds;
} results;

static int compare_doubles(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

typedef struct spread {
    double low, median, high; /* quartiles */
} spread;

static spread spread_of(const double *values, uint32_t count)
{
    double sorted[ROUNDS_MAX];
    memcpy(sorted, values, count * sizeof(*values));
    qsort(sorted, count, sizeof(*sorted), compare_doubles);
    return (spread){sorted[count / 4], sorted[count / 2], sorted[count - 1 - count / 4]};
}

static spread ratio_of(const results *r, case_index ours, case_index rival)
{
    double ratios[ROUNDS_MAX];
    for (uint32_t round = 0; round < r->rounds; round++) {
        ratios[round] = r->ns[rival][round] / r->ns[ours][round];
    }
    return spread_of(ratios, r->rounds);
}

static bool is_present(const bench *b, case_index index)
{
    return b->official != NULL || (index != CASE_OFFICIAL_ENCODE_TRADE && index != CASE_OFFICIAL_DECODE_TRADE);
}

/* CPU time of this thread, so that a busy machine distorts less. */
static int64_t thread_cpu_ns(void)
{
    struct timespec time;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
    return twi_timespec_ns(time);
}

static void run_round(bench *b, results *r, uint32_t round, uint32_t batch)
{
    for (case_index index = 0; index < CASE_COUNT; index++) {
        if (!is_present(b, index)) {
            continue;
        }
        uint32_t iterations = batch / cases[index].divisor;
        int64_t start_ns = thread_cpu_ns();
        r->work[index] = cases[index].run(b, iterations);
        int64_t end_ns = thread_cpu_ns();
        r->ns[index][round] = (double)(end_ns - start_ns) / iterations;
    }
}

/* ---- report ---- */

static void print_table(const bench *b, const results *r)
{
    printf("%-36s %10s %22s %12s %18s\n", "case", "ns", "quartiles", "millions/s", "work");
    for (case_index index = 0; index < CASE_COUNT; index++) {
        if (!is_present(b, index)) {
            printf("%-36s not measured: built without the FlatBuffers library\n", cases[index].name);
            continue;
        }
        spread ns = spread_of(r->ns[index], r->rounds);
        printf("%-36s %10.1f   [%8.1f %8.1f] %12.2f %18" PRIu64 "\n", cases[index].name, ns.median, ns.low, ns.high,
               1000 / ns.median, r->work[index]);
    }
    printf(
        "bytes per message: trade %zu json, %zu flatbuffers; quote %zu, %zu; 6 changes %zu, %zu; book of 2 x 20 %zu, "
        "%zu\n",
        b->trades.json[0].len, b->trades.flatbuffers[0].len, b->quotes.json[0].len, b->quotes.flatbuffers[0].len,
        b->changes.json[0].len, b->changes.flatbuffers[0].len, b->books.json[0].len, b->books.flatbuffers[0].len);
}

static void print_json(const bench *b, const results *r)
{
    printf("{\"bench\":\"codec\",\"rounds\":%u,\"cases\":[", r->rounds);
    const char *comma = "";
    for (case_index index = 0; index < CASE_COUNT; index++) {
        if (!is_present(b, index)) {
            continue;
        }
        spread ns = spread_of(r->ns[index], r->rounds);
        printf("%s{\"name\":\"%s\",\"ns\":%.2f,\"ns_low\":%.2f,\"ns_high\":%.2f,\"work\":%" PRIu64 "}", comma,
               cases[index].name, ns.median, ns.low, ns.high, r->work[index]);
        comma = ",";
    }
    printf("]}\n");
}

/* True if ours is at least `minimum` times as fast. */
static bool check_ratio(const results *r, const char *what, case_index ours, case_index rival, int minimum)
{
    spread ratio = ratio_of(r, ours, rival);
    bool holds = ratio.median >= minimum;
    fprintf(stderr, "%s: %.1f times [%.1f %.1f], must be %d: %s\n", what, ratio.median, ratio.low, ratio.high, minimum,
            holds ? "holds" : "DOES NOT HOLD");
    return holds;
}

int main(int argc, char **argv)
{
    static bench b;
    static results r;
    bool quick = false;
    bool as_json = false;
    for (int i = 1; i < argc; i++) {
        quick |= strcmp(argv[i], "--quick") == 0;
        as_json |= strcmp(argv[i], "--json") == 0;
        if (strcmp(argv[i], "--quick") != 0 && strcmp(argv[i], "--json") != 0) {
            fprintf(stderr, "usage: codec_bench [--quick] [--json]\n");
            return 2;
        }
    }
    tw_symbols *symbols = make_symbols();
    fill_samples(&b.trades, symbols, TW_EVENT_TRADE, 1);
    fill_samples(&b.quotes, symbols, TW_EVENT_QUOTE, 1);
    fill_samples(&b.changes, symbols, TW_EVENT_LEVEL, CHANGE_LEVELS);
    fill_samples(&b.books, symbols, TW_EVENT_LEVEL, BOOK_LEVELS);
    b.official = twb_official_open();
    r.rounds = quick ? ROUNDS_QUICK : ROUNDS_FULL;
    uint32_t batch = quick ? BATCH_QUICK : BATCH_FULL;
    run_round(&b, &r, 0, batch); /* warms up; overwritten */
    for (uint32_t round = 0; round < r.rounds; round++) {
        run_round(&b, &r, round, batch);
    }
    as_json ? print_json(&b, &r) : print_table(&b, &r);
    bool holds =
        check_ratio(&r, "JSON against jansson", CASE_JSON_ENCODE_TRADE, CASE_JANSSON_ENCODE_TRADE, JSON_RATIO_MIN);
    if (b.official != NULL) {
        holds &= check_ratio(&r, "FlatBuffers against the official builder", CASE_FLATBUFFERS_ENCODE_TRADE,
                             CASE_OFFICIAL_ENCODE_TRADE, FLATBUFFERS_RATIO_MIN);
        twb_official_close(b.official);
    }
    free(symbols);
    return quick || holds ? 0 : 1;
}
