/*
 * Listening sockets: what they bind, what they say when they cannot, how peers are named.
 */
#include <fcntl.h>
#include <limits.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../test.h"

#include "base/own.h"
#include "io/sock.h"

static void
port_0_is_bound_and_told(void **state)
{
	(void)state;
	struct err e;
	uint16_t port = 0;
	auto_fd int fd = -1;
	assert_ok(sock_listen("127.0.0.1:0", false, &fd, &port, &e), &e);
	assert_true(port > 0);
	int on = 0;
	socklen_t len = sizeof(on);
	assert_int_equal(getsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, &len), 0);
	assert_int_equal(on, 1);
	assert_int_equal(fcntl(fd, F_GETFD), FD_CLOEXEC);
	assert_true(fcntl(fd, F_GETFL) & O_NONBLOCK);
}

static void
a_taken_port_is_named_with_what_to_do(void **state)
{
	(void)state;
	struct err e;
	uint16_t port;
	auto_fd int fd = -1;
	int second = -1;
	assert_ok(sock_listen("127.0.0.1:0", false, &fd, &port, &e), &e);
	char addr[64];
	snprintf(addr, sizeof(addr), "127.0.0.1:%u", port);
	assert_fails(sock_listen(addr, false, &second, NULL, &e), &e, EXISTS);
	assert_non_null(strstr(e.text, addr));
	assert_non_null(strstr(e.text, "ss -ltnp"));
	assert_int_equal(second, -1);
}

static void
shared_listeners_bind_the_same_port(void **state)
{
	(void)state;
	struct err e;
	uint16_t port;
	auto_fd int a = -1;
	auto_fd int b = -1;
	assert_ok(sock_listen("*:0", true, &a, &port, &e), &e);
	char addr[64];
	snprintf(addr, sizeof(addr), "*:%u", port);
	assert_ok(sock_listen(addr, true, &b, NULL, &e), &e);
}

static void
what_is_no_address_and_port_is_refused(void **state)
{
	(void)state;
	static const char *const bad[] = {"", "8883", "localhost:1", "1.2.3.4",
	    "1.2.3.4:65536", "1.2.3.4:-1", "1.2.3.4:", "[::1:443", "256.0.0.1:1", "[]:1",
	    "1.2.3.4:1x"};
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct err e;
		int fd = -1;
		assert_fails(sock_listen(bad[i], false, &fd, NULL, &e), &e, USAGE);
		assert_int_equal(fd, -1);
	}
	struct err e;
	int fd = -1;
	assert_fails(sock_listen("192.0.2.1:0", false, &fd, NULL, &e), &e, USAGE);
}

static void
a_unix_socket_is_private_and_replaces_only_a_dead_one(void **state)
{
	(void)state;
	struct err e;
	char path[64];
	snprintf(path, sizeof(path), "/tmp/muster-unit-sock-%d", (int)getpid());
	int fd = -1, other = -1;
	mode_t was = umask(0);
	assert_ok(sock_listen_unix(path, &fd, &e), &e);
	umask(was);
	struct stat st;
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	assert_fails(sock_listen_unix(path, &other, &e), &e, EXISTS);
	close(fd);
	assert_ok(sock_listen_unix(path, &fd, &e), &e);
	assert_ok(sock_connect_unix(path, &other, &e), &e);
	uint32_t uid = 99;
	assert_ok(sock_peer_uid(other, &uid, &e), &e);
	assert_int_equal(uid, geteuid());
	close(other);
	close(fd);
	unlink(path);
	assert_fails(sock_connect_unix(path, &other, &e), &e, UNAVAILABLE);
	char too_long[200];
	memset(too_long, 'x', sizeof(too_long) - 1);
	too_long[sizeof(too_long) - 1] = '\0';
	assert_fails(sock_listen_unix(too_long, &fd, &e), &e, LIMIT);
}

static void
an_ipv4_peer_on_an_ipv6_socket_is_written_as_ipv4(void **state)
{
	(void)state;
	char out[SOCK_TEXT];
	struct sockaddr_in6 a = {.sin6_family = AF_INET6, .sin6_port = htons(5671)};
	a.sin6_addr.s6_addr[10] = a.sin6_addr.s6_addr[11] = 0xff;
	a.sin6_addr.s6_addr[12] = 203;
	a.sin6_addr.s6_addr[15] = 7;
	sock_text((struct sockaddr *)&a, sizeof(a), out);
	assert_string_equal(out, "203.0.0.7:5671");
	a.sin6_addr.s6_addr[0] = 0x20;
	sock_text((struct sockaddr *)&a, sizeof(a), out);
	assert_string_equal(out, "[2000::ffff:cb00:7]:5671");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(port_0_is_bound_and_told),
	    cmocka_unit_test(a_taken_port_is_named_with_what_to_do),
	    cmocka_unit_test(shared_listeners_bind_the_same_port),
	    cmocka_unit_test(what_is_no_address_and_port_is_refused),
	    cmocka_unit_test(a_unix_socket_is_private_and_replaces_only_a_dead_one),
	    cmocka_unit_test(an_ipv4_peer_on_an_ipv6_socket_is_written_as_ipv4),
	};
	return cmocka_run_group_tests_name("io/sock", tests, NULL, NULL);
}
