/* sim_listing.h - what the simulated venue lists: well-known pairs with plausible prices, then SYM61/USDT and so on. */
#ifndef TWI_SIM_LISTING_H
#define TWI_SIM_LISTING_H

#include <stdint.h>

typedef struct twi_sim_listing {
    char symbol[24];   /* "BTC/USDT" */
    char venue_id[24]; /* "BTCUSDT" */
    int64_t price;     /* at the start, in ticks; at least TWI_SIM_PRICE_TICKS_MIN */
    int64_t lot;       /* the smallest usual amount: a mantissa */
    int8_t price_exponent, amount_exponent;
} twi_sim_listing;

enum { TWI_SIM_PRICE_TICKS_MIN = 10000 }; /* so that half of it still holds the deepest book */

/* The same for every seed. */
void twi_sim_listing_get(uint32_t index, twi_sim_listing *listing);

#endif
