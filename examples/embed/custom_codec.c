/* custom_codec.c - a codec of your own in one file: CSV, turned by the program's own loop, without any thread.
 *
 * Build:     cc custom_codec.c -o custom_codec $(pkg-config --cflags --libs tickwire)
 * Usage:     ./custom_codec [section.key=value ...]     any setting of the engine; ends with Ctrl-C
 * Try:       ./custom_codec listen.port=9001 feed.rate=100, and beside it any WebSocket client:
 *            websocat 'ws://127.0.0.1:9001/v1/stream?codec=csv&channels=trade,quote&symbols=*'
 * Shape:     a codec is a pure function from a record to bytes: it is called once per message, however many subscribers
 *            there are, and its bytes go to all of them. Control messages (hello, subscribed, errors) stay JSON. */
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include <tickwire/engine.h>

enum { LINE_BYTES_MAX = 64 + TW_EXCHANGE_MAX + TW_SYMBOL_MAX + 4 * TW_DECIMAL_TEXT_MAX + 4 * 24 };

static atomic_int stopped; /* lock-free: a signal handler may set it */

static void on_signal(int number)
{
    (void)number;
    stopped = 1;
}

static char *put_text(char *at, const char *text, size_t len)
{
    memcpy(at, text, len);
    at[len] = ',';
    return at + len + 1;
}

static char *put_decimal(char *at, int64_t mantissa, int8_t exponent)
{
    at += tw_decimal_format((tw_decimal){.mantissa = mantissa, .exponent = exponent}, at);
    *at = ',';
    return at + 1;
}

static char *put_values(char *at, const tw_event *event)
{
    switch (event->kind) {
    case TW_EVENT_TRADE:
        at = put_decimal(at, event->u.trade.price, event->price_exponent);
        return put_decimal(at, event->u.trade.amount, event->amount_exponent);
    case TW_EVENT_QUOTE:
        at = put_decimal(at, event->u.quote.bid, event->price_exponent);
        at = put_decimal(at, event->u.quote.bid_amount, event->amount_exponent);
        at = put_decimal(at, event->u.quote.ask, event->price_exponent);
        return put_decimal(at, event->u.quote.ask_amount, event->amount_exponent);
    case TW_EVENT_LEVEL:
        at = put_text(at, event->flags & TW_FLAG_ASK ? "ask" : "bid", 3);
        at = put_decimal(at, event->u.level.price, event->price_exponent);
        return put_decimal(at, event->u.level.amount, event->amount_exponent);
    default:
        return at;
    }
}

static size_t csv_bound(uint32_t event_count)
{
    return (size_t)LINE_BYTES_MAX * (event_count > 0 ? event_count : 1);
}

/* One line per event: kind,exchange,symbol,seq,values...,recv_ns */
static size_t csv_encode(const tw_symbols *symbols, const tw_record *record, uint8_t *out, size_t out_cap)
{
    static const char *const kinds[] = {"none",   "trade",       "quote", "book",      "status",
                                        "candle", "candle_tail", "loss",  "book_clear"};
    char *at = (char *)out;
    if (out_cap < csv_bound(record->event_count))
        return 0;
    for (uint32_t i = 0; i < record->event_count; i++) {
        const tw_event *event = &record->events[i];
        const tw_instrument *instrument = tw_symbols_get(symbols, event->instrument);
        at = put_text(at, kinds[event->kind], strlen(kinds[event->kind]));
        at = put_text(at, instrument->exchange, instrument->exchange_len);
        at = put_text(at, instrument->symbol, instrument->symbol_len);
        at += snprintf(at, 24, "%llu,", (unsigned long long)record->seq);
        at = put_values(at, event);
        at += snprintf(at, 24, "%lld\n", (long long)event->recv_ns);
    }
    return (size_t)(at - (char *)out);
}

/* decode may be left out: the engine itself only encodes. */
static const tw_codec_ops csv = {
    .abi = TW_CODEC_ABI, .name = "csv", .ws_opcode = 1, .bound = csv_bound, .encode = csv_encode};

int main(int argc, char **argv)
{
    const tw_codec_ops *codecs[] = {&csv};
    char error[1024];
    tw_engine *engine;
    tw_engine_options options;
    tw_engine_options_init(&options, sizeof options);
    options.drive = TW_ENGINE_STEPPED;
    options.settings = (const char *const *)(argv + 1);
    options.setting_count = (uint32_t)(argc - 1);
    options.codecs = codecs;
    options.codec_count = 1;
    if (tw_engine_open(&options, &engine, error, sizeof error) != TW_OK) {
        fprintf(stderr, "%s\n", error);
        return 1;
    }
    struct sigaction action;
    memset(&action, 0, sizeof action);
    action.sa_handler = on_signal;
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    printf("listening on ws://127.0.0.1:%u/v1/stream?codec=csv\n", tw_engine_port(engine));
    fflush(stdout);
    while (!stopped)
        tw_engine_step(engine, 100000000); /* a game's or a GUI's loop would do its own work here, and pass 0 */
    tw_engine_close(engine);
    return 0;
}
