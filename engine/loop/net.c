/* net.c - see net.h. */
#include "engine/loop/net.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine/base/compiler.h"

static const char unix_prefix[] = "unix:";
enum { UNIX_PREFIX_LENGTH = sizeof(unix_prefix) - 1, UNIX_MODE = 0660 };

tw_status twi_net_status(int error)
{
    switch (error) {
    case 0:
        return TW_OK;
    case EAGAIN:
    case EINPROGRESS:
    case ENOBUFS:
        return TW_AGAIN;
    case ECONNRESET:
    case EPIPE:
    case ENOTCONN:
    case ECONNABORTED:
    case EBADF:
        return TW_CLOSED;
    case ECONNREFUSED:
    case ENETUNREACH:
    case EHOSTUNREACH:
    case ENETDOWN:
    case EHOSTDOWN:
    case EADDRNOTAVAIL:
    case ENOENT:
        return TW_UNAVAILABLE;
    case ETIMEDOUT:
        return TW_TIMEOUT;
    case ECANCELED:
        return TW_CANCELED;
    case EMFILE:
    case ENFILE:
        return TW_FULL;
    case ENOMEM:
        return TW_NO_MEMORY;
    default:
        return TW_IO;
    }
}

bool twi_net_would_block(int error)
{
#if EAGAIN != EWOULDBLOCK
    if (error == EWOULDBLOCK)
        return true;
#endif
    return error == EAGAIN || error == ENOBUFS;
}

TWI_PRINTF(3, 4) static void say(char *error, size_t error_cap, const char *format, ...)
{
    if (!error || error_cap == 0)
        return;
    va_list args;
    va_start(args, format);
    vsnprintf(error, error_cap, format, args);
    va_end(args);
}

static tw_status parse_unix(const char *path, twi_net_address *parsed, char *error, size_t error_cap)
{
    struct sockaddr_un *address = (struct sockaddr_un *)&parsed->storage;
    size_t length = strlen(path);
    if (length == 0 || length >= sizeof(address->sun_path)) {
        say(error, error_cap, "the path of a Unix socket has 1 to %zu bytes, this one has %zu: %s",
            sizeof(address->sun_path) - 1, length, path);
        return TW_BAD_ARGUMENT;
    }
    address->sun_family = AF_UNIX;
    memcpy(address->sun_path, path, length + 1);
    parsed->length = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length + 1);
    parsed->is_unix = true;
    return TW_OK;
}

tw_status twi_net_parse(const twi_address *address, twi_net_address *parsed, char *error, size_t error_cap)
{
    memset(parsed, 0, sizeof(*parsed));
    if (!address->host) {
        say(error, error_cap, "an address needs a host");
        return TW_BAD_ARGUMENT;
    }
    if (strncmp(address->host, unix_prefix, UNIX_PREFIX_LENGTH) == 0)
        return parse_unix(address->host + UNIX_PREFIX_LENGTH, parsed, error, error_cap);
    struct sockaddr_in *v4 = (struct sockaddr_in *)&parsed->storage;
    if (inet_pton(AF_INET, address->host, &v4->sin_addr) == 1) {
        v4->sin_family = AF_INET;
        v4->sin_port = htons(address->port);
        parsed->length = sizeof(*v4);
        return TW_OK;
    }
    struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)&parsed->storage;
    if (inet_pton(AF_INET6, address->host, &v6->sin6_addr) == 1) {
        v6->sin6_family = AF_INET6;
        v6->sin6_port = htons(address->port);
        parsed->length = sizeof(*v6);
        return TW_OK;
    }
    say(error, error_cap, "not an IPv4 or IPv6 address or unix:/path: %s", address->host);
    return TW_BAD_ARGUMENT;
}

static void set_option(int fd, int level, int name, int value)
{
    /* Options tune; a kernel that does not know one still carries the bytes. */
    (void)setsockopt(fd, level, name, &value, sizeof(value));
}

static void set_options(int fd, bool is_unix, const twi_loop_config *config)
{
    if (!is_unix)
        set_option(fd, IPPROTO_TCP, TCP_NODELAY, 1);
    if (config->socket_send_bytes > 0)
        set_option(fd, SOL_SOCKET, SO_SNDBUF, (int)config->socket_send_bytes);
    if (config->socket_recv_bytes > 0)
        set_option(fd, SOL_SOCKET, SO_RCVBUF, (int)config->socket_recv_bytes);
#if defined(SO_NOSIGPIPE)
    set_option(fd, SOL_SOCKET, SO_NOSIGPIPE, 1);
#endif
}

#if !defined(__linux__)
static int make_nonblocking(int fd)
{
    if (fd < 0)
        return fd;
    int flags = fcntl(fd, F_GETFL);
    if (flags >= 0 && fcntl(fd, F_SETFL, flags | O_NONBLOCK) == 0 && fcntl(fd, F_SETFD, FD_CLOEXEC) == 0)
        return fd;
    int saved = errno;
    close(fd);
    errno = saved;
    return -1;
}
#endif

tw_status twi_net_socket(const twi_net_address *address, const twi_loop_config *config, int *fd)
{
#if defined(__linux__)
    *fd = socket(address->storage.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
#else
    *fd = make_nonblocking(socket(address->storage.ss_family, SOCK_STREAM, 0));
#endif
    if (*fd < 0)
        return twi_net_status(errno);
    set_options(*fd, address->is_unix, config);
    return TW_OK;
}

int twi_net_accept(int listener, const twi_loop_config *config)
{
#if defined(__linux__)
    (void)config; /* Linux copies TCP_NODELAY and the buffer sizes from the listener */
    return accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
#else
    int fd = make_nonblocking(accept(listener, NULL, NULL));
    if (fd >= 0)
        set_options(fd, false, config); /* TCP_NODELAY on a Unix socket is refused without harm */
    return fd;
#endif
}

/* A socket file that nobody listens on is what a crashed process leaves: remove it. A live one is an address in use. */
static tw_status take_over_path(const twi_net_address *address, char *error, size_t error_cap)
{
    const char *path = ((const struct sockaddr_un *)&address->storage)->sun_path;
    struct stat file;
    if (lstat(path, &file) != 0)
        return TW_OK;
    if (!S_ISSOCK(file.st_mode)) {
        say(error, error_cap, "%s exists and is not a socket: remove it or choose another path", path);
        return TW_UNAVAILABLE;
    }
    int probe = socket(AF_UNIX, SOCK_STREAM, 0);
    if (probe < 0)
        return twi_net_status(errno);
    int connected = connect(probe, (const struct sockaddr *)&address->storage, address->length);
    int saved = errno;
    close(probe);
    if (connected != 0 && saved == ECONNREFUSED) {
        (void)unlink(path);
        return TW_OK;
    }
    say(error, error_cap, "another process listens on %s", path);
    return TW_UNAVAILABLE;
}

static tw_status bind_listener(int fd, const twi_net_address *parsed, const twi_address *address, char *error,
                               size_t error_cap)
{
    const char *path = ((const struct sockaddr_un *)&parsed->storage)->sun_path;
    mode_t mode = (mode_t)(address->unix_mode ? address->unix_mode : UNIX_MODE);
    if (parsed->is_unix)
        (void)fchmod(fd, 0600); /* on Linux the path is born with this, so it is never open wider than asked */
    if (bind(fd, (const struct sockaddr *)&parsed->storage, parsed->length) != 0) {
        say(error, error_cap, "bind %s port %u: %s", address->host, (unsigned)address->port, strerror(errno));
        return TW_UNAVAILABLE;
    }
    if (parsed->is_unix && chmod(path, mode) != 0) {
        say(error, error_cap, "chmod %s to %o: %s", path, (unsigned)mode, strerror(errno));
        (void)unlink(path);
        return TW_IO;
    }
    int backlog = address->backlog > 0 ? address->backlog : TWI_NET_BACKLOG;
    if (listen(fd, backlog) != 0) {
        say(error, error_cap, "listen %s: %s", address->host, strerror(errno));
        return TW_IO;
    }
    return TW_OK;
}

tw_status twi_net_listen(const twi_address *address, const twi_loop_config *config, int *fd, char *error,
                         size_t error_cap)
{
    twi_net_address parsed;
    tw_status status = twi_net_parse(address, &parsed, error, error_cap);
    if (status != TW_OK)
        return status;
    if (parsed.is_unix) {
        status = take_over_path(&parsed, error, error_cap);
        if (status != TW_OK)
            return status;
    }
    status = twi_net_socket(&parsed, config, fd);
    if (status != TW_OK) {
        say(error, error_cap, "socket for %s: %s", address->host, strerror(errno));
        return status;
    }
    if (!parsed.is_unix) {
        set_option(*fd, SOL_SOCKET, SO_REUSEADDR, 1);
        if (address->reuse_port)
            set_option(*fd, SOL_SOCKET, SO_REUSEPORT, 1);
    }
    status = bind_listener(*fd, &parsed, address, error, error_cap);
    if (status != TW_OK) {
        close(*fd);
        *fd = -1;
    }
    return status;
}

uint16_t twi_net_local_port(int fd)
{
    struct sockaddr_storage storage;
    socklen_t length = sizeof(storage);
    if (getsockname(fd, (struct sockaddr *)&storage, &length) != 0)
        return 0;
    if (storage.ss_family == AF_INET)
        return ntohs(((struct sockaddr_in *)&storage)->sin_port);
    if (storage.ss_family == AF_INET6)
        return ntohs(((struct sockaddr_in6 *)&storage)->sin6_port);
    return 0;
}

tw_status twi_net_connect_result(int fd)
{
    int error = 0;
    socklen_t length = sizeof(error);
    if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &length) != 0)
        error = errno;
    /* A connect that was reset before we looked is a peer that does not want us. */
    if (error == ECONNRESET)
        error = ECONNREFUSED;
    return twi_net_status(error);
}

char *twi_net_unix_path(const twi_address *address)
{
    if (strncmp(address->host, unix_prefix, UNIX_PREFIX_LENGTH) != 0)
        return NULL;
    return strdup(address->host + UNIX_PREFIX_LENGTH);
}
