/* descriptors.c - see descriptors.h. */
#include "engine/library/descriptors.h"

#include <sys/resource.h>

enum { DESCRIPTORS_EXTRA = 64 }; /* beside those of subscribers */

static rlim_t needed(const twi_settings *settings)
{
    return (rlim_t)settings->limits.connections_max + DESCRIPTORS_EXTRA;
}

void twi_descriptors_raise(const twi_settings *settings)
{
    struct rlimit limit;
    rlim_t wanted = 3 * needed(settings);
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur >= wanted)
        return;
    limit.rlim_cur = limit.rlim_max == RLIM_INFINITY || limit.rlim_max > wanted ? wanted : limit.rlim_max;
    (void)setrlimit(RLIMIT_NOFILE, &limit); /* twi_descriptors_warn() looks at what there is */
}

void twi_descriptors_warn(const twi_settings *settings, twi_logger *logger)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur >= needed(settings))
        return;
    twi_log(logger, TWI_LOG_WARN, "limits",
            "limits.connections_max = %lld needs more than the %llu file descriptors allowed here: raise ulimit -n",
            (long long)settings->limits.connections_max, (unsigned long long)limit.rlim_cur);
}
