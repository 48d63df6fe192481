#ifndef IO_SOCK_H
#define IO_SOCK_H
/*
 * Sockets made and named. Every descriptor comes out close-on-exec and nonblocking; every
 * error names the address.
 */
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#include "base/err.h"
#include "base/span.h"

#define SOCK_TEXT 128

/* Listens on "127.0.0.1:8883", "[::1]:443", "*:443" (every address, both families; ":443"
 * is the same). No names: a listener does not depend on DNS. Port 0 takes a free one;
 * *ret_port (NULL allowed) is the port bound. share: SO_REUSEPORT, for one socket an
 * edge. */
must_check int sock_listen(
    const char *addr, bool share, int *ret_fd, uint16_t *ret_port, struct err *e);
/* A Unix socket of mode 0600 at path. A leftover of a dead server is replaced; a live one
 * is ERR_EXISTS. */
must_check int sock_listen_unix(const char *path, int *ret_fd, struct err *e);
must_check int sock_connect_unix(const char *path, int *ret_fd, struct err *e);
/* A connected pair for ipc.h. */
must_check int sock_pair(int ret[2], struct err *e);
/* Who is at the other end of a Unix socket (SO_PEERCRED). */
must_check int sock_peer_uid(int fd, uint32_t *ret_uid, struct err *e);

/* "203.0.113.7:49152", "[2001:db8::1]:49152", "unix"; an IPv4 address mapped into IPv6 is
 * written as the IPv4 address it is. */
void sock_text(const struct sockaddr *sa, socklen_t len, char out[SOCK_TEXT]);
void sock_peer_text(int fd, char out[SOCK_TEXT]);

#endif
