/* sim.c - the simulated market as a source: options, the schedule, and the step that puts what is due. */
#include "feed/sim.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/assert.h"
#include "engine/base/compiler.h"
#include "feed/sim_arrival.h"
#include "feed/sim_market.h"

enum {
    DEFAULT_INSTRUMENT_COUNT = 10,
    DEFAULT_BOOK_DEPTH = 20,
    DEFAULT_TRADE_SHARE = 20,
    DEFAULT_QUOTE_SHARE = 30,
    DEFAULT_BOOK_SHARE = 50,
    DEFAULT_BURST_BRANCH_PERMILLE = 800,
    BURST_BRANCH_PERMILLE_MAX = 950,
    DEFAULT_BURST_DECAY_US = 1000,
    STATE_ALIGNMENT = 64
};
#define ARRIVAL_SEED_MIX 0x5eedf00du /* another stream of the same seed for the times */

typedef struct sim {
    twi_sim_market market;
    twi_sim_arrival arrival;
    uint64_t message_count, message_count_max; /* max 0: endless */
    uint32_t snapshot_count;                   /* instruments whose first book is out */
    uint32_t is_started;
} sim;

static uint32_t value_or(uint32_t value, uint32_t fallback)
{
    return value ? value : fallback;
}

static void apply_defaults(twi_sim_options *options)
{
    options->exchange = options->exchange ? options->exchange : "sim";
    options->instrument_count = value_or(options->instrument_count, DEFAULT_INSTRUMENT_COUNT);
    options->book_depth = value_or(options->book_depth, DEFAULT_BOOK_DEPTH);
    options->burst_branch_permille = value_or(options->burst_branch_permille, DEFAULT_BURST_BRANCH_PERMILLE);
    options->burst_decay_us = value_or(options->burst_decay_us, DEFAULT_BURST_DECAY_US);
    if (options->trade_share || options->quote_share || options->book_share)
        return;
    options->trade_share = DEFAULT_TRADE_SHARE;
    options->quote_share = DEFAULT_QUOTE_SHARE;
    options->book_share = DEFAULT_BOOK_SHARE;
}

typedef struct range {
    const char *name;
    uint64_t value, max;
} range;

static tw_status check(const twi_sim_options *options, char *error, size_t error_cap)
{
    const range ranges[] = {
        {"instrument_count", options->instrument_count, TWI_SIM_INSTRUMENT_COUNT_MAX},
        {"book_depth", options->book_depth, TWI_SIM_BOOK_DEPTH_MAX},
        {"rate_per_second", options->rate_per_second, TWI_SIM_RATE_MAX},
        {"burst_branch_permille", options->burst_branch_permille, BURST_BRANCH_PERMILLE_MAX},
        {"burst_decay_us", options->burst_decay_us, TWI_SIM_DECAY_US_MAX},
        {"mode", options->mode, TWI_SIM_BURST},
        {"exchange name length", strlen(options->exchange), TW_EXCHANGE_MAX},
    };
    for (size_t i = 0; i < sizeof(ranges) / sizeof(ranges[0]); i++) {
        if (ranges[i].value <= ranges[i].max)
            continue;
        snprintf(error, error_cap, "sim: %s is %llu; at most %llu", ranges[i].name, (unsigned long long)ranges[i].value,
                 (unsigned long long)ranges[i].max);
        return TW_BAD_CONFIG;
    }
    if (options->mode == TWI_SIM_BURST && options->rate_per_second == 0) {
        snprintf(error, error_cap, "sim: burst mode needs a mean rate_per_second; 0 means no schedule");
        return TW_BAD_CONFIG;
    }
    if (options->start_ns < 0 || options->exchange[0] == '\0') {
        snprintf(error, error_cap, "sim: %s", options->start_ns < 0 ? "start_ns is negative" : "exchange is empty");
        return TW_BAD_CONFIG;
    }
    return TW_OK;
}

static void start(sim *state, int64_t now_ns)
{
    state->is_started = 1;
    if (state->arrival.due_ns == 0)
        state->arrival.due_ns = now_ns;
}

static int has_ended(const sim *state)
{
    return state->message_count_max != 0 && state->message_count == state->message_count_max;
}

/* Events of the next message at most. */
static size_t next_bound(const sim *state)
{
    if (TWI_LIKELY(state->snapshot_count == state->market.instrument_count &&
                   state->market.share[TWI_SIM_KIND_SNAPSHOT] == 0))
        return TWI_SIM_GROUP_EVENT_MAX;
    return 2 * (size_t)state->market.depth + 1;
}

/* The next message that is due, whichever kind it is. Returns the number of events. */
static size_t put_next(sim *state, int64_t now_ns, tw_sink *sink)
{
    int64_t time_ns = state->arrival.rate ? state->arrival.due_ns : now_ns;
    if (TWI_UNLIKELY(state->snapshot_count < state->market.instrument_count))
        return twi_sim_market_snapshot(&state->market, state->snapshot_count++, time_ns, sink);
    state->message_count++;
    size_t count = twi_sim_market_message(&state->market, time_ns, sink);
    if (state->arrival.rate)
        twi_sim_arrival_next(&state->arrival);
    return count;
}

static size_t sim_step(void *opaque, int64_t now_ns, size_t event_max, tw_sink *sink, int64_t *next_ns)
{
    sim *state = opaque;
    size_t count = 0;
    if (TWI_UNLIKELY(!state->is_started))
        start(state, now_ns);
    while (!has_ended(state)) {
        if (state->arrival.rate && state->arrival.due_ns > now_ns) {
            *next_ns = state->arrival.due_ns;
            return count;
        }
        if (count != 0 && count + next_bound(state) > event_max) {
            *next_ns = now_ns;
            return count;
        }
        count += put_next(state, now_ns, sink);
    }
    *next_ns = INT64_MAX;
    return count;
}

static void sim_fini(void *opaque)
{
    free(opaque);
}

static const tw_source_ops sim_ops = {.name = "sim", .step = sim_step, .fini = sim_fini};

static size_t state_bytes(void)
{
    return (sizeof(sim) + STATE_ALIGNMENT - 1) / STATE_ALIGNMENT * STATE_ALIGNMENT;
}

tw_status twi_sim_open(const twi_sim_options *given, tw_symbols *symbols, tw_source *out, char *error, size_t error_cap)
{
    TWI_ASSERT(given && symbols && out);
    twi_sim_options options = *given;
    apply_defaults(&options);
    tw_status status = check(&options, error, error_cap);
    if (status != TW_OK)
        return status;

    size_t market_bytes = twi_sim_market_size(options.instrument_count, options.book_depth);
    size_t bytes = state_bytes() + (market_bytes + STATE_ALIGNMENT - 1) / STATE_ALIGNMENT * STATE_ALIGNMENT;
    sim *state = market_bytes ? aligned_alloc(STATE_ALIGNMENT, bytes) : NULL;
    if (!state) {
        snprintf(error, error_cap, "sim: no memory for %u books of depth %u", options.instrument_count,
                 options.book_depth);
        return TW_NO_MEMORY;
    }
    memset(state, 0, bytes);
    state->message_count_max = options.message_count_max;
    twi_sim_arrival_init(&state->arrival, options.rate_per_second, options.mode == TWI_SIM_BURST,
                         options.burst_branch_permille, options.burst_decay_us, options.seed ^ ARRIVAL_SEED_MIX);
    state->arrival.due_ns = options.start_ns;
    status = twi_sim_market_init(&state->market, (char *)state + state_bytes(), &options, symbols);
    if (status != TW_OK) {
        snprintf(error, error_cap, "sim: the instrument table has no place for %u instruments (%s)",
                 options.instrument_count, tw_status_name(status));
        free(state);
        return status;
    }
    *out = (tw_source){.ops = &sim_ops, .state = state};
    return TW_OK;
}
