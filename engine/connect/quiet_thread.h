/* quiet_thread.h - a thread that no signal but the faults is delivered to: signals are the program's, and a broken pipe
 * of libcurl's or the resolver's must not end it. */
#ifndef TWI_QUIET_THREAD_H
#define TWI_QUIET_THREAD_H

#include <pthread.h>
#include <signal.h>
#include <stddef.h>

/* attributes may be NULL. 0 like pthread_create(). */
static inline int twi_quiet_thread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*run)(void *),
                                          void *argument)
{
    static const int faults[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGABRT, SIGSYS, SIGPROF};
    sigset_t blocked, before;
    sigfillset(&blocked);
    for (size_t i = 0; i < sizeof(faults) / sizeof(faults[0]); i++)
        sigdelset(&blocked, faults[i]);
    pthread_sigmask(SIG_SETMASK, &blocked, &before);
    int code = pthread_create(thread, attributes, run, argument);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return code;
}

#endif
