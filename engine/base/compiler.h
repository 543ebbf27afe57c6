/* compiler.h - the only place for compiler extensions: hints and attributes under the project's own names. */
#ifndef TWI_COMPILER_H
#define TWI_COMPILER_H

#define TWI_LIKELY(condition)                __builtin_expect(!!(condition), 1)
#define TWI_UNLIKELY(condition)              __builtin_expect(!!(condition), 0)
#define TWI_PRINTF(format_index, args_index) __attribute__((format(printf, format_index, args_index)))
#define TWI_ALIGNED(bytes)                   __attribute__((aligned(bytes)))
#define TWI_NOINLINE                         __attribute__((noinline))
#define TWI_COLD                             __attribute__((cold))

enum { TWI_CACHE_LINE_BYTES = 64 };

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
