/* strategy.h - what every example strategy has in common: where it listens, how long, a line of figures now and then.
 *
 * Job:       a strategy is one callback per message. strategy_main() reads the options, opens the stream (WebSocket or
 *            shared memory: the strategy does not know which), keeps a view of the market, and calls back.
 * Usage:     copy one of the *_bot.c files beside this and change its on_message(). They use the public headers only.
 * Thread:    one. Ctrl-C ends it cleanly.
 * Non-goals: orders, positions, persistence. */
#ifndef TWI_STRATEGY_H
#define TWI_STRATEGY_H

#include <stdint.h>
#include <stdio.h>

#include <tickwire/stream.h>
#include <tickwire/view.h>

enum { STRATEGY_SETTINGS_MAX = 4 };

/* A number of the strategy's own on the command line: --NAME VALUE. */
typedef struct strategy_setting {
    const char *name;
    double *value;
    const char *help;
} strategy_setting;

typedef struct strategy {
    const char *name;     /* "imbalance_bot" */
    const char *about;    /* one sentence for --help */
    const char *channels; /* that it needs */
    /* The view has taken the message already. */
    void (*on_message)(void *owner, const tw_stream_message *message, const tw_view *view);
    /* Once per --interval, and at the end; may be NULL. */
    void (*on_interval)(void *owner, const tw_view *view);
    /* Something is missing; books say so themselves. May be NULL. */
    void (*on_gap)(void *owner, uint64_t count);
    strategy_setting settings[STRATEGY_SETTINGS_MAX];
    void *owner;
} strategy;

/* 0: ended as asked; 1: no connection, or turned away; 2: usage. */
int strategy_main(int argc, char **argv, const strategy *it);

/* "binance:BTC/USDT"; lent until the next call. */
const char *strategy_name_of(const tw_symbols *symbols, uint32_t instrument);

/* Decimals are exact on their way here; a strategy that computes ratios may leave that behind. */
double strategy_number(int64_t mantissa, int exponent);

#endif
