/* conn_internal.h - what conn.c and conn_dial.c share. Nobody else includes it. */
#ifndef TWI_CONN_INTERNAL_H
#define TWI_CONN_INTERNAL_H

#include "engine/base/compiler.h"
#include "engine/connect/conn.h"

/* conn.c */
void twi_conn_enter(twi_conn *conn, twi_conn_phase phase);
void twi_conn_fail(twi_conn *conn, twi_conn_end kind, const char *format, ...) TWI_PRINTF(3, 4);
void twi_conn_canceled(twi_conn *conn);
void twi_conn_close_sock(twi_conn *conn);
void twi_conn_settle(twi_conn *conn); /* nothing of the loop's is left: IDLE */
void twi_conn_flush(twi_conn *conn);
int twi_conn_queue(void *owner, const uint8_t *bytes, size_t len);
tw_status twi_conn_put(twi_conn *conn, const uint8_t *bytes, size_t len);
void twi_conn_mask(twi_conn *conn, uint8_t mask[4]);
void twi_conn_frames(twi_conn *conn, uint8_t *data, size_t len, int64_t recv_ns);

/* conn_dial.c */
void twi_conn_tick_dial(twi_conn *conn, int64_t now_ns);

#endif
