/* sim_arrival.c - evenly spaced and self-exciting arrival times in integer arithmetic. */
#include "feed/sim_arrival.h"

#include "engine/base/assert.h"

#define NS_PER_SECOND 1000000000u
#define Q32_ONE       ((uint64_t)1 << 32)
#define Q32_LN2       2977044472u         /* ln 2 */
#define Q32_LOG2E     6196328019u         /* log2 e */
#define WARMTH_MAX    ((uint64_t)1 << 52) /* about a million messages in the making: a bound for bad luck */
#define DECAYS_MAX    32                  /* after so many time constants nothing is left of a warmth */

/* (a * b) >> 32 without overflow in between. */
static uint64_t mul_q32(uint64_t a, uint64_t b)
{
    uint64_t a_high = a >> 32, a_low = a & UINT32_MAX;
    uint64_t b_high = b >> 32, b_low = b & UINT32_MAX;
    return ((a_high * b_high) << 32) + a_high * b_low + a_low * b_high + ((a_low * b_low) >> 32);
}

/* log2 of a Q31 number in [1, 2), as Q32: one bit per squaring. */
static uint64_t log2_slow(uint64_t x)
{
    uint64_t result = 0;
    for (int bit = 31; bit >= 0; bit--) {
        x = (x * x) >> 31;
        if (x >> 32) {
            x >>= 1;
            result |= (uint64_t)1 << bit;
        }
    }
    return result;
}

static uint64_t square_root(uint64_t x)
{
    uint64_t root = 0;
    for (int bit = 31; bit >= 0; bit--) {
        uint64_t tried = root | (uint64_t)1 << bit;
        if (tried * tried <= x)
            root = tried;
    }
    return root;
}

static void fill_tables(twi_sim_arrival *arrival)
{
    for (uint64_t i = 0; i < TWI_SIM_TABLE_STEPS; i++)
        arrival->log2_table[i] = log2_slow(((uint64_t)1 << 31) + (i << 23));
    arrival->log2_table[TWI_SIM_TABLE_STEPS] = Q32_ONE;

    uint64_t root[8]; /* 2^(-1/2), 2^(-1/4), ... 2^(-1/256) in Q32 */
    uint64_t value = Q32_ONE / 2;
    for (int i = 0; i < 8; i++)
        root[i] = value = square_root(value << 32);
    for (unsigned i = 0; i < TWI_SIM_TABLE_STEPS; i++) {
        value = Q32_ONE;
        for (int bit = 0; bit < 8; bit++)
            if (i & (128u >> bit))
                value = mul_q32(value, root[bit]);
        arrival->exp2_table[i] = value;
    }
    arrival->exp2_table[TWI_SIM_TABLE_STEPS] = Q32_ONE / 2;
}

/* `table` between its steps; position is Q32 in [0, 1). */
static uint64_t interpolate(const uint64_t *table, uint64_t position)
{
    uint64_t index = position >> 24, rest = position & 0xffffffu;
    int64_t step = (int64_t)table[index + 1] - (int64_t)table[index];
    return table[index] + (uint64_t)(step * (int64_t)rest / (1 << 24));
}

uint64_t twi_sim_neg_ln(const twi_sim_arrival *arrival, uint64_t x)
{
    TWI_ASSERT(x != 0);
    int zeros = __builtin_clzll(x);
    uint64_t fraction = ((x << zeros) << 1) >> 32; /* behind the leading one, Q32 */
    uint64_t log2 = interpolate(arrival->log2_table, fraction);
    return mul_q32(((uint64_t)zeros + 1) * Q32_ONE - log2, Q32_LN2);
}

uint64_t twi_sim_exp_neg(const twi_sim_arrival *arrival, uint64_t x)
{
    uint64_t exponent = mul_q32(x, Q32_LOG2E);
    uint64_t shift = exponent >> 32;
    return shift > 32 ? 0 : interpolate(arrival->exp2_table, exponent & UINT32_MAX) >> shift;
}

void twi_sim_arrival_init(twi_sim_arrival *arrival, uint32_t rate, uint32_t is_burst, uint32_t branch_permille,
                          uint32_t decay_us, uint64_t seed)
{
    TWI_ASSERT(branch_permille < 1000 && decay_us <= TWI_SIM_DECAY_US_MAX);
    *arrival = (twi_sim_arrival){.rate = rate, .is_burst = is_burst};
    if (rate == 0)
        return;
    arrival->period_ns = NS_PER_SECOND / rate;
    arrival->period_rest = NS_PER_SECOND % rate;
    if (!is_burst)
        return;
    /* Each arrival without a cause begins a cluster of 1 / (1 - branch) messages on average. */
    arrival->background_ns = (uint64_t)NS_PER_SECOND * 1000 / ((uint64_t)rate * (1000 - branch_permille));
    arrival->branch = Q32_ONE * branch_permille / 1000;
    arrival->decay_ns = (uint64_t)decay_us * 1000;
    twi_sim_random_init(&arrival->random, seed);
    fill_tables(arrival);
}

/* Q32 of an exponential variate with mean 1. */
static uint64_t draw_exponential(twi_sim_arrival *arrival)
{
    return twi_sim_neg_ln(arrival, twi_sim_random_next(&arrival->random) | 1);
}

/* (a << 32) / b for a <= b, without overflow. */
static uint64_t ratio_q32(uint64_t a, uint64_t b)
{
    while (b >> 32) {
        a >>= 1;
        b >>= 1;
    }
    return (a << 32) / b;
}

/* Q32 of distance / decay time. */
static uint64_t decays(const twi_sim_arrival *arrival, uint64_t distance_q16)
{
    uint64_t whole = distance_q16 / arrival->decay_ns, rest = distance_q16 % arrival->decay_ns;
    if (whole >> 16 > DECAYS_MAX)
        return (uint64_t)DECAYS_MAX << 32;
    return (whole << 16) + (rest << 16) / arrival->decay_ns;
}

static void next_burst(twi_sim_arrival *arrival)
{
    /* Q16 of nanoseconds to the next arrival without a cause, and to the one that an earlier message causes, if any. */
    uint64_t distance_q16 = mul_q32(arrival->background_ns << 16, draw_exponential(arrival));
    uint64_t cause = draw_exponential(arrival);
    if (cause < arrival->warmth) {
        uint64_t left = ratio_q32(arrival->warmth - cause, arrival->warmth);
        uint64_t caused_q16 =
            left >> 32 ? 0 : mul_q32(arrival->decay_ns << 16, twi_sim_neg_ln(arrival, (left << 32) | UINT32_MAX));
        if (caused_q16 < distance_q16)
            distance_q16 = caused_q16;
    }
    uint64_t decayed = mul_q32(arrival->warmth, twi_sim_exp_neg(arrival, decays(arrival, distance_q16)));
    arrival->warmth = decayed + arrival->branch < WARMTH_MAX ? decayed + arrival->branch : WARMTH_MAX;

    uint64_t elapsed_q16 = arrival->due_frac + distance_q16;
    arrival->due_ns += (int64_t)(elapsed_q16 >> 16);
    arrival->due_frac = elapsed_q16 & UINT16_MAX;
}

void twi_sim_arrival_next(twi_sim_arrival *arrival)
{
    if (arrival->is_burst) {
        next_burst(arrival);
        return;
    }
    arrival->due_ns += (int64_t)arrival->period_ns;
    arrival->due_frac += arrival->period_rest;
    if (arrival->due_frac >= arrival->rate) {
        arrival->due_frac -= arrival->rate;
        arrival->due_ns++;
    }
}
