/* dashboard.h - the page behind `/`: dashboard.html of this folder as bytes of the program.
 *
 * Made by:  tools/cmake/TickwireEmbed.cmake at build time, so that the program needs no files beside it. */
#ifndef TWI_DASHBOARD_H
#define TWI_DASHBOARD_H

#include <stddef.h>

extern const unsigned char twi_dashboard_page[];
extern const size_t twi_dashboard_page_len;

#endif
