/* builtin.c - see builtin.h. */
#include "engine/library/builtin.h"

#include <stdio.h>

#include "feed/replay.h"
#include "feed/sim.h"

static tw_status open_sim(const twi_settings_feed *settings, tw_symbols *symbols, tw_source *source, char *error,
                          size_t error_cap)
{
    twi_sim_options options = {
        .exchange = settings->exchange,
        .seed = (uint64_t)settings->seed,
        .instrument_count = (uint32_t)settings->instruments,
        .book_depth = (uint32_t)settings->book_depth,
        .mode = settings->mode == TWI_FEED_BURST ? TWI_SIM_BURST : TWI_SIM_FIXED,
        .rate_per_second = (uint32_t)settings->rate_per_second,
        .burst_branch_permille = (uint32_t)settings->burst_branch_permille,
        .burst_decay_us = (uint32_t)(settings->burst_decay_ns / 1000),
        .trade_share = (uint16_t)settings->trade_share,
        .quote_share = (uint16_t)settings->quote_share,
        .book_share = (uint16_t)settings->book_share,
        .snapshot_share = (uint16_t)settings->snapshot_share,
        .message_count_max = (uint64_t)settings->message_count_max,
    };
    return twi_sim_open(&options, symbols, source, error, error_cap);
}

static tw_status open_replay(const twi_settings_feed *settings, tw_symbols *symbols, tw_source *source, char *error,
                             size_t error_cap)
{
    twi_replay_options options = {.rebases_recv = 1};
    if (twi_replay_parse_speed(settings->speed, &options.speed_permille) != TW_OK) {
        snprintf(error, error_cap, "feed.speed = \"%s\": original, max or a factor from 0.001 on is wanted",
                 settings->speed);
        return TW_BAD_CONFIG;
    }
    return twi_replay_open(settings->file, &options, symbols, source, error, error_cap);
}

tw_status twi_builtin_open_feed(const twi_settings_feed *settings, tw_symbols *symbols, tw_source *source, char *error,
                                size_t error_cap)
{
    switch (settings->type) {
    case TWI_FEED_SIM:
        return open_sim(settings, symbols, source, error, error_cap);
    case TWI_FEED_REPLAY:
        return open_replay(settings, symbols, source, error, error_cap);
    default:
        snprintf(error, error_cap, "feed.type is not one that makes events by itself");
        return TW_NOT_SUPPORTED;
    }
}

void twi_builtin_parts(twi_runtime_parts *parts)
{
    *parts = (twi_runtime_parts){
        .codecs = {&tw_codec_json, &tw_codec_flatbuffers}, .codec_count = 2, .open_feed = twi_builtin_open_feed};
}
