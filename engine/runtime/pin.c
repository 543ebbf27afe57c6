/* pin.c - see pin.h. */
#include "engine/runtime/pin.h"

#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>

tw_status twi_pin_thread(int cpu, char *error, size_t error_cap)
{
#if defined(__linux__)
    cpu_set_t set;
    CPU_ZERO(&set);
    if (cpu < 0 || cpu >= CPU_SETSIZE) {
        snprintf(error, error_cap, "CPU %d is out of range", cpu);
        return TW_UNAVAILABLE;
    }
    CPU_SET((size_t)cpu, &set);
    int code = pthread_setaffinity_np(pthread_self(), sizeof set, &set);
    if (code == 0)
        return TW_OK;
    snprintf(error, error_cap, "CPU %d: %s", cpu, strerror(code));
#else
    snprintf(error, error_cap, "CPU %d: this system cannot pin threads", cpu);
#endif
    return TW_UNAVAILABLE;
}

void twi_name_thread(pthread_t thread, const char *name)
{
#if defined(__linux__)
    char kept[16];
    snprintf(kept, sizeof kept, "%s", name);
    pthread_setname_np(thread, kept);
#else
    (void)thread, (void)name;
#endif
}
