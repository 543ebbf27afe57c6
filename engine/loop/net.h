/* net.h - sockets as every kernel-backed loop wants them: addresses, options, error names.
 *
 * Job:       turn a twi_address into a non-blocking, close-on-exec socket with the options that Tickwire needs.
 * Usage:     by loop backends only; nothing above the loop sees a descriptor.
 * Errors:    a tw_status and, on control paths, a text that names the call and the address.
 * Non-goals: name resolution. */
#ifndef TWI_NET_H
#define TWI_NET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "engine/loop/loop.h"

enum { TWI_NET_BACKLOG = 4096 }; /* when the address does not say; the kernel clamps it */

/* One attempt, and a broken pipe is a result instead of a signal. */
#if defined(MSG_NOSIGNAL)
enum { TWI_NET_SEND_FLAGS = MSG_DONTWAIT | MSG_NOSIGNAL };
#else
enum { TWI_NET_SEND_FLAGS = MSG_DONTWAIT };
#endif

typedef struct twi_net_address {
    struct sockaddr_storage storage;
    socklen_t length;
    bool is_unix;
} twi_net_address;

/* The tw_status of an errno value (positive). */
tw_status twi_net_status(int error);
bool twi_net_would_block(int error);

/* TW_BAD_ARGUMENT: not a literal address, or a path that does not fit. */
tw_status twi_net_parse(const twi_address *address, twi_net_address *parsed, char *error, size_t error_cap);
/* On TW_OK *fd listens, non-blocking. A Unix path that nobody listens on any more is taken over. */
tw_status twi_net_listen(const twi_address *address, const twi_loop_config *config, int *fd, char *error,
                         size_t error_cap);
/* A socket that is not connected yet, with its options set. */
tw_status twi_net_socket(const twi_net_address *address, const twi_loop_config *config, int *fd);
uint16_t twi_net_local_port(int fd);
/* accept() with close-on-exec and non-blocking; -1 and errno as accept(). Options are inherited from the listener where
 * the kernel does that, and set where it does not. */
int twi_net_accept(int listener, const twi_loop_config *config);
/* SO_ERROR as a status: how a non-blocking connect ended. */
tw_status twi_net_connect_result(int fd);
/* The path of a listener's Unix address for the removal at close, or NULL. The caller frees it. */
char *twi_net_unix_path(const twi_address *address);

#endif
