/* builtin.h - what this build of Tickwire brings along: the only place that names concrete feeds and codecs.
 *
 * Job:       composition: the engine program and the library start a runtime from the same parts.
 * Non-goals: parts that a program registers itself (engine.c adds those). */
#ifndef TWI_BUILTIN_H
#define TWI_BUILTIN_H

#include "engine/runtime/runtime.h"

/* Fills in codecs and the opener of the settings' feeds. */
void twi_builtin_parts(twi_runtime_parts *parts);
tw_status twi_builtin_open_feed(const twi_settings_feed *settings, tw_symbols *symbols, tw_source *source, char *error,
                                size_t error_cap);

#endif
