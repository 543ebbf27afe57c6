/* environment.h - the process's environment, from inside a shared library too. */
#ifndef TWI_ENVIRONMENT_H
#define TWI_ENVIRONMENT_H

/* "NAME=value", NULL at the end; the process's own, not to be changed. */
char *const *twi_environment(void);

#endif
