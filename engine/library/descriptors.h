/* descriptors.h - the process's limit of open files, against what limits.connections_max may need.
 *
 * Non-goals: raising it for an embedding program: that is the program's to decide. */
#ifndef TWI_DESCRIPTORS_H
#define TWI_DESCRIPTORS_H

#include "engine/base/log.h"
#include "engine/base/settings.h"

/* Takes what the hard limit allows: a connection needs a descriptor, and io_uring wants room for two per place. */
void twi_descriptors_raise(const twi_settings *settings);
/* Says so if there are fewer than connections may need. */
void twi_descriptors_warn(const twi_settings *settings, twi_logger *logger);

#endif
