/*
 * Making, binding and naming sockets. Nothing here reads or writes one.
 */
#include "io/sock.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/num.h"
#include "base/own.h"

#define BACKLOG 4096 /* the kernel takes the lesser of it and net.core.somaxconn */

union any_addr {
	struct sockaddr sa;
	struct sockaddr_in in;
	struct sockaddr_in6 in6;
	struct sockaddr_un un;
	struct sockaddr_storage ss;
};

/* --- TCP --- */

static int
parse_host(struct span host, uint16_t port, union any_addr *a, socklen_t *len)
{
	char text[INET6_ADDRSTRLEN];
	*a = (union any_addr){0};
	bool any = host.len == 0 || span_eq_str(host, "*");
	if (!any && span_to_str(host, text, sizeof(text)) &&
	    inet_pton(AF_INET, text, &a->in.sin_addr) == 1) {
		a->in.sin_family = AF_INET;
		a->in.sin_port = htons(port);
		*len = sizeof(a->in);
		return 0;
	}
	if (host.len > 2 && host.p[0] == '[' && host.p[host.len - 1] == ']')
		host = span_head(span_skip(host, 1), host.len - 2);
	if (!any && (!span_to_str(host, text, sizeof(text)) ||
			inet_pton(AF_INET6, text, &a->in6.sin6_addr) != 1))
		return -1;
	a->in6.sin6_family = AF_INET6;
	a->in6.sin6_port = htons(port);
	*len = sizeof(a->in6);
	return 0;
}

static int
parse_addr(const char *addr, union any_addr *a, socklen_t *len, struct err *e)
{
	struct span s = span_str(addr);
	size_t colon = span_rfind(s, ':');
	int64_t port;
	if (colon == s.len || !num_ok(span_skip(s, colon + 1), 0, 65535, &port) ||
	    parse_host(span_head(s, colon), (uint16_t)port, a, len))
		return err_set(e, ERR_USAGE,
		    "listen on \"%s\": want address:port, as 127.0.0.1:8883, [::1]:443 "
		    "or *:443",
		    addr);
	return 0;
}

static int
listen_failed(const char *addr, struct err *e)
{
	switch (errno) {
	case EADDRINUSE:
		return err_sys(e, ERR_EXISTS,
		    "listen on %s: another program has this port (see: ss -ltnp)", addr);
	case EACCES:
		return err_sys(e, ERR_PERM,
		    "listen on %s: ports below 1024 need root, CAP_NET_BIND_SERVICE or "
		    "net.ipv4.ip_unprivileged_port_start",
		    addr);
	case EADDRNOTAVAIL:
		return err_sys(e, ERR_USAGE,
		    "listen on %s: no interface of this machine has the address", addr);
	default:
		return err_sys(e, ERR_IO, "listen on %s", addr);
	}
}

static int
set_options(int fd, int family, bool share)
{
	static const int on = 1, off = 0;
	if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)))
		return -1;
	if (share && setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on)))
		return -1;
	if (family == AF_INET6 &&
	    setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof(off)))
		return -1;
	/* accepted sockets inherit it; without it each small exchange stalls 40 ms */
	return setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
}

static int
bound_port(int fd, uint16_t *ret)
{
	union any_addr a;
	socklen_t len = sizeof(a);
	if (getsockname(fd, &a.sa, &len))
		return -1;
	*ret = ntohs(a.sa.sa_family == AF_INET6 ? a.in6.sin6_port : a.in.sin_port);
	return 0;
}

/* "*" on a machine without IPv6 */
static void
fall_back_to_ipv4(union any_addr *a, socklen_t *len)
{
	uint16_t port = a->in6.sin6_port;
	*a = (union any_addr){.in = {.sin_family = AF_INET, .sin_port = port}};
	*len = sizeof(a->in);
}

int
sock_listen(const char *addr, bool share, int *ret_fd, uint16_t *ret_port, struct err *e)
{
	union any_addr a;
	socklen_t len = 0;
	if (parse_addr(addr, &a, &len, e))
		return -1;
	bool any6 =
	    a.sa.sa_family == AF_INET6 && IN6_IS_ADDR_UNSPECIFIED(&a.in6.sin6_addr);
	const int type = SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK;
	auto_fd int fd = socket(a.sa.sa_family, type, 0);
	if (fd < 0 && any6 && errno == EAFNOSUPPORT) {
		fall_back_to_ipv4(&a, &len);
		fd = socket(AF_INET, type, 0);
	}
	uint16_t port = 0;
	if (fd < 0 || set_options(fd, a.sa.sa_family, share) || bind(fd, &a.sa, len) ||
	    listen(fd, BACKLOG) || bound_port(fd, &port))
		return listen_failed(addr, e);
	if (ret_port)
		*ret_port = port;
	*ret_fd = TAKE_FD(fd);
	return 0;
}

/* --- Unix --- */

static int
unix_addr(const char *path, union any_addr *a, struct err *e)
{
	*a = (union any_addr){.un = {.sun_family = AF_UNIX}};
	if (!span_to_str(span_str(path), a->un.sun_path, sizeof(a->un.sun_path)) ||
	    !*path)
		return err_set(e, ERR_LIMIT,
		    "socket %s: a socket's path has 1 to %zu characters", path,
		    sizeof(a->un.sun_path) - 1);
	return 0;
}

int
sock_connect_unix(const char *path, int *ret_fd, struct err *e)
{
	union any_addr a;
	if (unix_addr(path, &a, e))
		return -1;
	auto_fd int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return err_sys(e, ERR_IO, "socket %s", path);
	if (connect(fd, &a.sa, sizeof(a.un)))
		return err_sys(
		    e, ERR_UNAVAILABLE, "socket %s: is the server running?", path);
	*ret_fd = TAKE_FD(fd);
	return 0;
}

static int
clear_leftover(const char *path, struct err *e)
{
	struct stat st;
	if (lstat(path, &st))
		return errno == ENOENT ? 0 : err_sys(e, ERR_IO, "socket %s", path);
	if (!S_ISSOCK(st.st_mode))
		return err_set(e, ERR_EXISTS, "socket %s: something else is there", path);
	int fd;
	if (sock_connect_unix(path, &fd, e) == 0) {
		close(fd);
		return err_set(
		    e, ERR_EXISTS, "socket %s: a server is running on it", path);
	}
	if (unlink(path) && errno != ENOENT)
		return err_sys(e, ERR_IO, "socket %s: remove the leftover", path);
	return 0;
}

int
sock_listen_unix(const char *path, int *ret_fd, struct err *e)
{
	union any_addr a;
	if (unix_addr(path, &a, e) || clear_leftover(path, e))
		return -1;
	auto_fd int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	/* a bound socket's file takes the descriptor's mode: never wider than 0600 */
	if (fd < 0 || fchmod(fd, 0600) || bind(fd, &a.sa, sizeof(a.un)) ||
	    chmod(path, 0600) || listen(fd, BACKLOG))
		return err_sys(e, ERR_IO, "socket %s", path);
	*ret_fd = TAKE_FD(fd);
	return 0;
}

int
sock_pair(int ret[2], struct err *e)
{
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ret))
		return err_sys(e, ERR_IO, "socket pair");
	return 0;
}

int
sock_peer_uid(int fd, uint32_t *ret_uid, struct err *e)
{
	struct ucred c;
	socklen_t len = sizeof(c);
	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &c, &len))
		return err_sys(e, ERR_IO, "socket peer's user");
	*ret_uid = c.uid;
	return 0;
}

/* --- names --- */

static void
text4(const void *addr, uint16_t port, char out[SOCK_TEXT])
{
	char ip[INET_ADDRSTRLEN];
	if (!inet_ntop(AF_INET, addr, ip, sizeof(ip)))
		ip[0] = '\0';
	snprintf(out, SOCK_TEXT, "%s:%u", ip, port);
}

void
sock_text(const struct sockaddr *sa, socklen_t len, char out[SOCK_TEXT])
{
	union any_addr a = {0};
	memcpy(&a, sa, len < sizeof(a) ? len : sizeof(a));
	const struct in6_addr *six = &a.in6.sin6_addr;
	if (a.sa.sa_family == AF_INET) {
		text4(&a.in.sin_addr, ntohs(a.in.sin_port), out);
		return;
	}
	if (a.sa.sa_family != AF_INET6) {
		snprintf(
		    out, SOCK_TEXT, "%s", a.sa.sa_family == AF_UNIX ? "unix" : "unknown");
		return;
	}
	if (IN6_IS_ADDR_V4MAPPED(six)) {
		text4(&six->s6_addr[12], ntohs(a.in6.sin6_port), out);
		return;
	}
	char ip[INET6_ADDRSTRLEN];
	if (!inet_ntop(AF_INET6, six, ip, sizeof(ip)))
		ip[0] = '\0';
	snprintf(out, SOCK_TEXT, "[%s]:%u", ip, ntohs(a.in6.sin6_port));
}

void
sock_peer_text(int fd, char out[SOCK_TEXT])
{
	union any_addr a = {0};
	socklen_t len = sizeof(a);
	if (getpeername(fd, &a.sa, &len))
		len = 0;
	sock_text(&a.sa, len, out);
}
