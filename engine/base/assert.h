/* assert.h - assertions that stay on in release: a broken invariant ends the process with its place, it never goes on.
 * For programmer's errors only; bad input from outside is a tw_status. */
#ifndef TWI_ASSERT_H
#define TWI_ASSERT_H

#include "engine/base/compiler.h"

_Noreturn TWI_COLD void twi_assert_failed(const char *file, int line, const char *expression);

#define TWI_ASSERT(expression) (TWI_LIKELY(expression) ? (void)0 : twi_assert_failed(__FILE__, __LINE__, #expression))

#endif
