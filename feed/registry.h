/* registry.h - the venues that are compiled in, one tw_feed_ops per adapter. */
#ifndef TWI_FEED_REGISTRY_H
#define TWI_FEED_REGISTRY_H

#include "feed/venue.h"

/* The entries of tw_feed_ops that all adapters share; a venue adds name, has, limits, state_size, init and markets. */
#define TWI_VENUE_SHARED_OPS                                                                                           \
    .abi = TW_FEED_ABI, .fini = twi_venue_fini, .link_count = twi_venue_link_count, .link_dial = twi_venue_link_dial,  \
    .link_up = twi_venue_link_up, .link_down = twi_venue_link_down, .next_output = twi_venue_next_output,              \
    .on_message = twi_venue_on_message, .next_request = twi_venue_next_request, .on_response = twi_venue_on_response,  \
    .on_timer = twi_venue_on_timer, .watch = twi_venue_watch, .unwatch = twi_venue_unwatch,                            \
    .resend = twi_venue_resend, .stats = twi_venue_stats, .symbol_stats = twi_venue_symbol_stats

extern const tw_feed_ops twi_feed_binance, twi_feed_binanceusdm, twi_feed_coinbase_exchange, twi_feed_coinbase,
    twi_feed_kraken, twi_feed_kraken_v1, twi_feed_okx, twi_feed_bybit, twi_feed_bitstamp, twi_feed_deribit,
    twi_feed_bitmex, twi_feed_gemini, twi_feed_htx, twi_feed_kucoin, twi_feed_gate, twi_feed_bitfinex;

#endif
