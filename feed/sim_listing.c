/* sim_listing.c - the simulated venue's instruments. */
#include "feed/sim_listing.h"

#include <stdio.h>
#include <string.h>

#include "feed/sim.h"
#include "feed/sim_random.h"

typedef struct known_pair {
    char base[8], quote[8];
    int64_t price;
    int8_t price_exponent, amount_exponent;
    int32_t lot;
} known_pair;

/* Most active first: low indices get most of the traffic. Lots are worth some tens of dollars. */
static const known_pair known_pairs[] = {
    {"BTC", "USDT", 6400010, -2, -5, 50},      {"ETH", "USDT", 341256, -2, -4, 100},
    {"SOL", "USDT", 18437, -2, -3, 200},       {"XRP", "USDT", 23415, -4, -1, 300},
    {"BNB", "USDT", 60342, -2, -3, 60},        {"DOGE", "USDT", 18263, -5, 0, 200},
    {"ADA", "USDT", 74310, -5, -1, 500},       {"AVAX", "USDT", 276500, -4, -2, 120},
    {"LINK", "USDT", 185220, -4, -2, 200},     {"DOT", "USDT", 54310, -4, -2, 700},
    {"TRX", "USDT", 27160, -5, -1, 1200},      {"LTC", "USDT", 10245, -2, -3, 300},
    {"BCH", "USDT", 43570, -2, -3, 80},        {"NEAR", "USDT", 43120, -4, -1, 80},
    {"UNI", "USDT", 96410, -4, -2, 400},       {"APT", "USDT", 89730, -4, -2, 400},
    {"ICP", "USDT", 87350, -4, -2, 400},       {"ETC", "USDT", 214300, -4, -2, 150},
    {"XLM", "USDT", 28741, -5, 0, 120},        {"ATOM", "USDT", 58910, -4, -2, 600},
    {"FIL", "USDT", 47620, -4, -2, 700},       {"HBAR", "USDT", 19874, -5, 0, 150},
    {"ARB", "USDT", 61240, -5, -1, 500},       {"OP", "USDT", 147520, -5, -2, 2000},
    {"SUI", "USDT", 31457, -4, -1, 100},       {"INJ", "USDT", 213400, -4, -2, 150},
    {"AAVE", "USDT", 17342, -2, -3, 200},      {"TIA", "USDT", 51230, -4, -2, 600},
    {"SEI", "USDT", 43120, -5, -1, 700},       {"PEPE", "USDT", 120340, -10, 0, 2000000},
    {"SHIB", "USDT", 251400, -10, 0, 1000000}, {"FTM", "USDT", 71230, -5, -1, 450},
    {"ALGO", "USDT", 20340, -5, 0, 150},       {"GRT", "USDT", 19120, -5, 0, 160},
    {"SAND", "USDT", 36410, -5, 0, 80},        {"MANA", "USDT", 41230, -5, 0, 80},
    {"CRV", "USDT", 38950, -5, -1, 800},       {"LDO", "USDT", 117400, -5, -2, 2500},
    {"MKR", "USDT", 162340, -2, -4, 200},      {"RUNE", "USDT", 53120, -4, -2, 600},
    {"ETH", "BTC", 53321, -6, -4, 100},        {"SOL", "BTC", 28810, -7, -3, 200},
    {"BNB", "BTC", 94284, -7, -3, 60},         {"XRP", "BTC", 36586, -9, -1, 300},
    {"BTC", "EUR", 5895030, -2, -5, 50},       {"ETH", "EUR", 314310, -2, -4, 100},
    {"BTC", "USDC", 6400320, -2, -5, 50},      {"ETH", "USDC", 341301, -2, -4, 100},
    {"SOL", "USDC", 184410, -3, -3, 200},      {"XRP", "EUR", 215630, -5, -1, 300},
    {"XMR", "USDT", 16273, -2, -3, 150},       {"EOS", "USDT", 63410, -5, -1, 500},
    {"XTZ", "USDT", 91240, -5, -1, 350},       {"DASH", "USDT", 31240, -3, -3, 1000},
    {"ZEC", "USDT", 42130, -3, -3, 800},       {"COMP", "USDT", 58120, -3, -3, 600},
    {"SNX", "USDT", 187300, -5, -1, 180},      {"YFI", "USDT", 642300, -2, -5, 400},
    {"KSM", "USDT", 24310, -3, -3, 1300},      {"USDC", "USDT", 10002, -4, -1, 300},
};
enum { KNOWN_PAIR_COUNT = sizeof(known_pairs) / sizeof(known_pairs[0]) };

_Static_assert(TWI_SIM_PRICE_TICKS_MIN / 2 > 2 * TWI_SIM_BOOK_DEPTH_MAX, "bids stay above zero at half the price");

static void made_up(uint32_t index, twi_sim_listing *listing)
{
    uint64_t state = index;
    uint64_t bits = twi_sim_splitmix(&state);
    snprintf(listing->symbol, sizeof(listing->symbol), "SYM%u/USDT", index + 1);
    snprintf(listing->venue_id, sizeof(listing->venue_id), "SYM%uUSDT", index + 1);
    listing->price = TWI_SIM_PRICE_TICKS_MIN + twi_sim_scale_low(bits, 90000);
    listing->price_exponent = (int8_t)(-2 - (int)((bits >> 32) % 4)); /* 1 .. 1000 dollars */
    listing->amount_exponent = (int8_t)(-5 - listing->price_exponent);
    listing->lot = 100;
}

void twi_sim_listing_get(uint32_t index, twi_sim_listing *listing)
{
    memset(listing, 0, sizeof(*listing));
    if (index >= KNOWN_PAIR_COUNT) {
        made_up(index, listing);
        return;
    }
    const known_pair *pair = &known_pairs[index];
    snprintf(listing->symbol, sizeof(listing->symbol), "%s/%s", pair->base, pair->quote);
    snprintf(listing->venue_id, sizeof(listing->venue_id), "%s%s", pair->base, pair->quote);
    listing->price = pair->price;
    listing->lot = pair->lot;
    listing->price_exponent = pair->price_exponent;
    listing->amount_exponent = pair->amount_exponent;
}
