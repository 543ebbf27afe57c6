/* fetch_markets.c - lists a venue's markets and, if a symbol is given, what REST says of it now.
 *
 * Usage:     fetch_markets VENUE [SYMBOL] [--url REST_URL] [--ca-file PEM] [--proxy URL] [--sandbox]
 * Try:       fetch_markets kraken            fetch_markets binance BTC/USDT
 * Exit:      0; 1 what the venue or the network refused, with the class of the error; 2 wrong arguments. */
#include <stdio.h>
#include <string.h>

#include <tickwire/exchange.h>

enum { ROWS = 5 };

static const char *text_of(tw_decimal value, char *out)
{
    out[tw_decimal_format(value, out)] = '\0';
    return out;
}

static int refused(void)
{
    const tw_error *error = tw_exchange_error();
    fprintf(stderr, "%s: %s\n", tw_error_name(error->error), error->text);
    return 1;
}

static void print_market(const tw_market *market)
{
    char tick[TW_DECIMAL_TEXT_MAX + 1], step[TW_DECIMAL_TEXT_MAX + 1];
    printf("%-24s id %-20s price %s amount %s%s\n", market->symbol, market->id, text_of(market->price_tick, tick),
           text_of(market->amount_step, step), market->active ? "" : " (not traded now)");
}

static int print_symbol(tw_exchange *exchange, const char *symbol)
{
    char a[TW_DECIMAL_TEXT_MAX + 1], b[TW_DECIMAL_TEXT_MAX + 1];
    tw_ticker ticker;
    tw_decimal value;
    if (tw_fetch_ticker(exchange, symbol, &ticker) != TW_ERROR_NONE)
        return refused();
    printf("ticker");
    for (int field = 0; field < TW_TICKER_FIELD_COUNT; field++) {
        if (tw_ticker_get(&ticker, (tw_ticker_field)field, &value))
            printf(" %s=%s", tw_ticker_field_name((tw_ticker_field)field), text_of(value, a));
    }
    printf("\n");

    tw_book_level bids[ROWS], asks[ROWS];
    tw_order_book book = {.bids = bids, .asks = asks, .level_count_max = ROWS};
    if (tw_fetch_order_book(exchange, symbol, &book) != TW_ERROR_NONE)
        return refused();
    for (uint32_t i = 0; i < book.bid_count && i < book.ask_count; i++)
        printf("book %u: bid %s ask %s\n", i, text_of(bids[i].price, a), text_of(asks[i].price, b));

    tw_trade trades[ROWS];
    uint32_t count;
    if (tw_fetch_trades(exchange, symbol, 0, trades, ROWS, &count) != TW_ERROR_NONE)
        return refused();
    for (uint32_t i = 0; i < count; i++)
        printf("trade %s %s %s at %s\n", trades[i].id, trades[i].side == TW_SIDE_SELL ? "sell" : "buy",
               text_of(trades[i].amount, a), text_of(trades[i].price, b));
    return 0;
}

int main(int argc, char **argv)
{
    tw_exchange_config config = {0};
    const char *symbol = NULL;
    for (int i = 1; i < argc; i++) {
        const char **value = strcmp(argv[i], "--url") == 0       ? &config.rest_url
                             : strcmp(argv[i], "--ca-file") == 0 ? &config.ca_file
                             : strcmp(argv[i], "--proxy") == 0   ? &config.proxy
                                                                 : NULL;
        if (value != NULL && i + 1 < argc)
            *value = argv[++i];
        else if (strcmp(argv[i], "--sandbox") == 0)
            config.sandbox = 1;
        else if (argv[i][0] != '-' && config.id == NULL)
            config.id = argv[i];
        else if (argv[i][0] != '-' && symbol == NULL)
            symbol = argv[i];
        else
            config.id = NULL, i = argc;
    }
    if (config.id == NULL) {
        fprintf(stderr, "usage: fetch_markets VENUE [SYMBOL] [--url REST_URL] [--ca-file PEM] [--proxy URL] "
                        "[--sandbox]\nexamples:\n  fetch_markets kraken\n  fetch_markets binance BTC/USDT\n");
        return 2;
    }
    tw_exchange *exchange;
    if (tw_exchange_open(&config, &exchange) != TW_ERROR_NONE)
        return refused();
    int result = 0;
    if (tw_exchange_load_markets(exchange, 0) != TW_ERROR_NONE)
        result = refused();
    for (uint32_t i = 0; result == 0 && symbol == NULL && i < tw_exchange_market_count(exchange); i++)
        print_market(tw_exchange_market_at(exchange, i));
    if (result == 0 && symbol != NULL)
        result = print_symbol(exchange, symbol);
    tw_exchange_close(exchange);
    return result;
}
