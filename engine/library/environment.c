/* environment.c - see environment.h. macOS gives shared libraries no `environ`. */
#include "engine/library/environment.h"

#if defined(__APPLE__)
#include <crt_externs.h>

char *const *twi_environment(void)
{
    return *_NSGetEnviron();
}
#else
extern char **environ;

char *const *twi_environment(void)
{
    return environ;
}
#endif
