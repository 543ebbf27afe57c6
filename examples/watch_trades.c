/* watch_trades.c - prints trades of a venue as they happen, through a callback.
 *
 * Usage:     watch_trades VENUE SYMBOL... [--count N] [--url REST_URL] [--stream-url URL] [--ca-file PEM] [--proxy URL]
 * Try:       watch_trades binance BTC/USDT ETH/USDT         watch_trades kraken BTC/USD --count 20
 * Ends:      after N trades, or at Ctrl-C. Exit 0; 1 refused, with the class of the error; 2 wrong arguments. */
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <tickwire/exchange.h>

enum { SYMBOLS_MAX = 16 };
#define TURN_NS INT64_C(200000000)

static _Atomic int interrupted;

static void interrupt(int signal_number)
{
    (void)signal_number;
    interrupted = 1;
}

typedef struct watching {
    unsigned long long wanted, seen;
} watching;

static int refused(void)
{
    const tw_error *error = tw_exchange_error();
    fprintf(stderr, "%s: %s\n", tw_error_name(error->error), error->text);
    return 1;
}

static void on_update(void *owner, const tw_update *update)
{
    watching *state = owner;
    char price[TW_DECIMAL_TEXT_MAX + 1], amount[TW_DECIMAL_TEXT_MAX + 1];
    if (update->kind == TW_UPDATE_STATUS)
        fprintf(stderr, "%s is %s%s%s\n", update->symbol, tw_book_state_name(update->state),
                update->error != TW_ERROR_NONE ? ": " : "", tw_error_name(update->error));
    for (uint32_t i = 0; update->kind == TW_UPDATE_TRADES && i < update->count; i++) {
        const tw_trade *trade = &update->trades[i];
        if (state->wanted != 0 && state->seen == state->wanted)
            return;
        state->seen++;
        price[tw_decimal_format(trade->price, price)] = '\0';
        amount[tw_decimal_format(trade->amount, amount)] = '\0';
        printf("%s %s %s %s at %s\n", update->symbol, trade->id[0] != '\0' ? trade->id : "-",
               trade->side == TW_SIDE_SELL ? "sell" : "buy", amount, price);
    }
    if (update->lost > 0)
        fprintf(stderr, "%s: %llu trades were not kept\n", update->symbol, (unsigned long long)update->lost);
    fflush(stdout);
}

static int usage(void)
{
    fprintf(stderr, "usage: watch_trades VENUE SYMBOL... [--count N] [--url REST_URL] [--stream-url URL] "
                    "[--ca-file PEM] [--proxy URL]\nexample: watch_trades binance BTC/USDT ETH/USDT\n");
    return 2;
}

int main(int argc, char **argv)
{
    tw_exchange_config config = {0};
    const char *symbols[SYMBOLS_MAX], *count = "0";
    int symbol_count = 0;
    for (int i = 1; i < argc; i++) {
        const char **value = strcmp(argv[i], "--url") == 0          ? &config.rest_url
                             : strcmp(argv[i], "--stream-url") == 0 ? &config.stream_url
                             : strcmp(argv[i], "--ca-file") == 0    ? &config.ca_file
                             : strcmp(argv[i], "--proxy") == 0      ? &config.proxy
                             : strcmp(argv[i], "--count") == 0      ? &count
                                                                    : NULL;
        if (value != NULL && i + 1 < argc)
            *value = argv[++i];
        else if (argv[i][0] == '-' || symbol_count == SYMBOLS_MAX)
            return usage();
        else if (config.id == NULL)
            config.id = argv[i];
        else
            symbols[symbol_count++] = argv[i];
    }
    watching state = {.wanted = strtoull(count, NULL, 10)};
    if (config.id == NULL || symbol_count == 0)
        return usage();
    signal(SIGINT, interrupt);
    signal(SIGTERM, interrupt);
    tw_exchange *exchange;
    if (tw_exchange_open(&config, &exchange) != TW_ERROR_NONE)
        return refused();
    int result = 0;
    for (int i = 0; i < symbol_count && result == 0; i++) {
        if (tw_watch_trades(exchange, symbols[i]) != TW_ERROR_NONE)
            result = refused();
    }
    while (result == 0 && !interrupted && (state.wanted == 0 || state.seen < state.wanted))
        tw_exchange_dispatch(exchange, TURN_NS, on_update, &state);
    tw_exchange_close(exchange);
    return result;
}
