/* pin.h - binds the calling thread to one CPU, where the system can, and names it for top, perf and debuggers. */
#ifndef TWI_PIN_H
#define TWI_PIN_H

#include <pthread.h>
#include <stddef.h>

#include "tickwire/status.h"

/* TW_UNAVAILABLE with the reason: no such CPU, not allowed, or a system that cannot pin (macOS). */
TW_MUST_USE tw_status twi_pin_thread(int cpu, char *error, size_t error_cap);

/* At most 15 bytes are kept. Does nothing on macOS, where only a thread itself can do it. */
void twi_name_thread(pthread_t thread, const char *name);

#endif
