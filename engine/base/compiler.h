/* compiler.h - the only place for compiler extensions: hints and attributes under the project's own names. */
#ifndef TWI_COMPILER_H
#define TWI_COMPILER_H

#include <stdint.h>

#define TWI_LIKELY(condition)                __builtin_expect(!!(condition), 1)
#define TWI_UNLIKELY(condition)              __builtin_expect(!!(condition), 0)
#define TWI_PRINTF(format_index, args_index) __attribute__((format(printf, format_index, args_index)))
#define TWI_ALIGNED(bytes)                   __attribute__((aligned(bytes)))
#define TWI_NOINLINE                         __attribute__((noinline))
#define TWI_COLD                             __attribute__((cold))
/* A struct that may lie at any address and over bytes of another type: wire formats. No padding but its own. */
#define TWI_UNALIGNED     __attribute__((packed, may_alias))
#define TWI_ALWAYS_INLINE inline __attribute__((always_inline))

enum { TWI_CACHE_LINE_BYTES = 64 };

/* Loads an object with one instruction of exactly its width; the compiler does not join it with its neighbours. */
#define TWI_LOAD_ONCE(object) __atomic_load_n(&(object), __ATOMIC_RELAXED)

/* The high 64 bits of the 128-bit product: division by a constant without a division. */
static inline uint64_t twi_multiply_high(uint64_t a, uint64_t b)
{
    __extension__ typedef unsigned __int128 wide;
    return (uint64_t)(((wide)a * b) >> 64);
}

/* Trailing zero bits; value must not be 0. */
static inline unsigned twi_trailing_zeros(uint64_t value)
{
    return (unsigned)__builtin_ctzll(value);
}

/* yes ? a : b by arithmetic. The compiler knows nothing of `yes` and so makes no branch of it: for what cannot be
 * foreseen. */
static inline uint32_t twi_choose(uint32_t yes, uint32_t a, uint32_t b)
{
    __asm__("" : "+r"(yes));
    return b ^ ((a ^ b) & (0u - yes));
}

/* Begins to fetch a cache line that will be read. Any address will do. */
static inline void twi_prefetch_read(const void *address)
{
    __builtin_prefetch(address, 0, 3);
}

/* Begins to fetch a cache line for writing: takes it away from the other cores. The builtin asks for a plain read
 * unless the compiler may assume a newer CPU; the instruction itself is at worst a no-op on every x86-64. */
static inline void twi_prefetch_write(const void *address)
{
#if defined(__x86_64__)
    __asm__ __volatile__("prefetchw %0" : : "m"(*(const char *)address));
#else
    __builtin_prefetch(address, 1, 3);
#endif
}

/* A function that is compiled for AVX2 and BMI2 whatever the rest is compiled for; call it only if twi_cpu_has_avx2().
 * TWI_HAVE_AVX2_FUNCTIONS is 0 where there is no such thing. */
#if defined(__x86_64__)
#define TWI_HAVE_AVX2_FUNCTIONS 1
#define TWI_TARGET_AVX2         __attribute__((target("avx2,bmi,bmi2")))
static inline int twi_cpu_has_avx2(void)
{
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("bmi2");
}
#else
#define TWI_HAVE_AVX2_FUNCTIONS 0
#endif

/* A hint to the CPU that this is a spin-wait; costs nothing when the wait is over. */
static inline void twi_cpu_relax(void)
{
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ __volatile__("yield");
#endif
}

#endif
