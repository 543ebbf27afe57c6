/* kraken_common.h - what both Kraken protocols share: the checksum over the book's text, currency codes, markets. */
#ifndef TWI_KRAKEN_COMMON_H
#define TWI_KRAKEN_COMMON_H

#include "engine/book/book.h"
#include "feed/market.h"

#define TWI_KRAKEN_REST_URL "https://api.kraken.com"

/* XBT and XDG, as v1 names them. v2 and ccxt say BTC and DOGE. */
extern const twi_code twi_kraken_codes[];

/* CRC-32 over the best 10 asks, then the best 10 bids, each level as price and amount without point and leading zeros
 * (docs.kraken.com, "Book checksum"). The venue's digits must have been kept, trailing zeros included. */
uint32_t twi_kraken_checksum(const twi_book *book);

/* v1 names pairs by wsname ("XBT/USD"), v2 by unified codes ("BTC/USD"). */
tw_status twi_kraken_markets_parse_v1(const uint8_t *body, size_t body_len, tw_market_fn fn, void *owner);
tw_status twi_kraken_markets_parse_v2(const uint8_t *body, size_t body_len, tw_market_fn fn, void *owner);
tw_status twi_kraken_markets_request(const tw_feed_config *config, uint32_t page, tw_request *request);

#endif
