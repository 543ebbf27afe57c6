/* assert.c - ends the process at a broken invariant, with its place. Non-goals: recovery, bad input from outside. */
#include "engine/base/assert.h"

#include <stdio.h>
#include <stdlib.h>

void twi_assert_failed(const char *file, int line, const char *expression)
{
    fprintf(stderr, "%s:%d: invariant broken: %s\n", file, line, expression);
    abort();
}
