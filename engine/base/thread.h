/* thread.h - threads of the engine's own, in whatever program it runs.
 *
 * Job:       a thread in which every signal but the faults is blocked: signals go to the program's own threads, and a
 *            write to a connection that is gone is an error here, never a SIGPIPE.
 * Inherited: threads that such a thread starts are the same.
 * Non-goals: names, CPUs (engine/runtime/pin.h), pools. */
#ifndef TWI_THREAD_H
#define TWI_THREAD_H

#include <pthread.h>

/* As pthread_create(): 0, or an errno. attributes may be NULL. */
int twi_thread_start(pthread_t *thread, const pthread_attr_t *attributes, void *(*run)(void *), void *argument);

#endif
