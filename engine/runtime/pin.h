/* pin.h - binds the calling thread to one CPU, where the system can. */
#ifndef TWI_PIN_H
#define TWI_PIN_H

#include <stddef.h>

#include "tickwire/status.h"

/* TW_UNAVAILABLE with the reason: no such CPU, not allowed, or a system that cannot pin (macOS). */
TW_MUST_USE tw_status twi_pin_thread(int cpu, char *error, size_t error_cap);

#endif
