/* watch_order_book.c - keeps a venue's order book and prints its best levels whenever it has changed.
 *
 * Usage:     watch_order_book VENUE SYMBOL [--levels N] [--count N] [--url REST_URL] [--stream-url URL] [--ca-file PEM]
 *            [--proxy URL]
 * Try:       watch_order_book binance BTC/USDT --levels 3
 * Ends:      after N books, or at Ctrl-C. Exit 0; 1 refused, with the class of the error; 2 wrong arguments. */
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <tickwire/exchange.h>

#define TURN_NS INT64_C(200000000)

static _Atomic int interrupted;

static void interrupt(int signal_number)
{
    (void)signal_number;
    interrupted = 1;
}

static int refused(void)
{
    const tw_error *error = tw_exchange_error();
    fprintf(stderr, "%s: %s\n", tw_error_name(error->error), error->text);
    return 1;
}

static void print_level(const char *side, tw_book_level level)
{
    char price[TW_DECIMAL_TEXT_MAX + 1], amount[TW_DECIMAL_TEXT_MAX + 1];
    price[tw_decimal_format(level.price, price)] = '\0';
    amount[tw_decimal_format(level.amount, amount)] = '\0';
    printf("  %s %s %s\n", side, price, amount);
}

static void print_book(const tw_order_book *book)
{
    printf("%s nonce %llu\n", book->symbol, (unsigned long long)book->nonce);
    for (uint32_t i = book->ask_count; i > 0; i--)
        print_level("ask", book->asks[i - 1]);
    for (uint32_t i = 0; i < book->bid_count; i++)
        print_level("bid", book->bids[i]);
    fflush(stdout);
}

static int usage(void)
{
    fprintf(stderr, "usage: watch_order_book VENUE SYMBOL [--levels N] [--count N] [--url REST_URL] "
                    "[--stream-url URL] [--ca-file PEM] [--proxy URL]\n"
                    "example: watch_order_book binance BTC/USDT --levels 3\n");
    return 2;
}

int main(int argc, char **argv)
{
    tw_exchange_config config = {0};
    const char *symbol = NULL, *levels = "5", *count = "0";
    for (int i = 1; i < argc; i++) {
        const char **value = strcmp(argv[i], "--url") == 0          ? &config.rest_url
                             : strcmp(argv[i], "--stream-url") == 0 ? &config.stream_url
                             : strcmp(argv[i], "--ca-file") == 0    ? &config.ca_file
                             : strcmp(argv[i], "--proxy") == 0      ? &config.proxy
                             : strcmp(argv[i], "--levels") == 0     ? &levels
                             : strcmp(argv[i], "--count") == 0      ? &count
                                                                    : NULL;
        if (value != NULL && i + 1 < argc)
            *value = argv[++i];
        else if (argv[i][0] == '-' || symbol != NULL)
            return usage();
        else if (config.id == NULL)
            config.id = argv[i];
        else
            symbol = argv[i];
    }
    if (symbol == NULL)
        return usage();
    signal(SIGINT, interrupt);
    signal(SIGTERM, interrupt);
    tw_exchange *exchange;
    if (tw_exchange_open(&config, &exchange) != TW_ERROR_NONE)
        return refused();
    int result = 0;
    if (tw_watch_order_book(exchange, symbol, (uint32_t)strtoul(levels, NULL, 10)) != TW_ERROR_NONE)
        result = refused();
    unsigned long long wanted = strtoull(count, NULL, 10), seen = 0;
    while (result == 0 && !interrupted && (wanted == 0 || seen < wanted)) {
        tw_update update;
        tw_error_class error = tw_exchange_wait(exchange, TURN_NS, &update);
        if (error == TW_ERROR_REQUEST_TIMEOUT)
            continue; /* a look at Ctrl-C */
        if (error != TW_ERROR_NONE)
            result = refused();
        else if (update.kind == TW_UPDATE_ORDER_BOOK)
            print_book(update.order_book), seen++;
        else if (update.kind == TW_UPDATE_STATUS)
            fprintf(stderr, "%s is %s%s%s\n", update.symbol, tw_book_state_name(update.state),
                    update.error != TW_ERROR_NONE ? ": " : "", tw_error_name(update.error));
    }
    tw_exchange_close(exchange);
    return result;
}
