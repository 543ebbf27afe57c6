/* sim_random.h - the simulator's random numbers: integers only, so that every machine makes the same market.
 *
 * The stream (xoshiro256**, seeded by splitmix64; Blackman and Vigna) and the fixed-point tables are part of the
 * promise "same seed, same bytes": they must not change. */
#ifndef TWI_SIM_RANDOM_H
#define TWI_SIM_RANDOM_H

#include <stdint.h>

typedef struct twi_sim_random {
    uint64_t s[4];
} twi_sim_random;

static inline uint64_t twi_sim_splitmix(uint64_t *state)
{
    uint64_t z = *state += 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

static inline void twi_sim_random_init(twi_sim_random *random, uint64_t seed)
{
    for (int i = 0; i < 4; i++)
        random->s[i] = twi_sim_splitmix(&seed);
}

static inline uint64_t twi_sim_rotl(uint64_t x, int bits)
{
    return (x << bits) | (x >> (64 - bits));
}

static inline uint64_t twi_sim_random_next(twi_sim_random *random)
{
    uint64_t *s = random->s;
    uint64_t result = twi_sim_rotl(s[1] * 5, 7) * 9;
    uint64_t t = s[1] << 17;
    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= t;
    s[3] = twi_sim_rotl(s[3], 45);
    return result;
}

/* 32 of the 64 bits of `bits` scaled to [0, below). */
static inline uint32_t twi_sim_scale_low(uint64_t bits, uint32_t below)
{
    return (uint32_t)(((bits & UINT32_MAX) * below) >> 32);
}
static inline uint32_t twi_sim_scale_high(uint64_t bits, uint32_t below)
{
    return (uint32_t)(((bits >> 32) * below) >> 32);
}

#endif
