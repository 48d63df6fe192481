/*
 * The jails bite: each test forks a child that enters one and then does a thing. What is
 * not allowed ends it by SIGSYS; what a role needs still works.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <netdb.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../test.h"

#include "base/own.h"
#include "base/rand.h"
#include "crypto/tls.h"
#include "io/file.h"
#include "io/http.h"
#include "io/ipc.h"
#include "io/jail.h"
#include "io/jail_san.h"
#include "io/loop.h"
#include "io/sock.h"
#include "peer.h"

static char dir[] = "/tmp/muster-unit-XXXXXX";
static const char *const dirs[] = {dir, NULL};

/* Things done before the jail is entered, and handed to the body. */
struct prep {
	int file; /* open for reading and writing, in dir */
	int listener;
	int pair[2];
	struct loop *loop;
	sqlite3 *db;
	struct jail_opts opts;
};

typedef int (*body_fn)(struct prep *p);

enum { SKIPPED = 77 };

static void
sql(sqlite3 *db, const char *text)
{
	if (sqlite3_exec(db, text, NULL, NULL, NULL) == SQLITE_OK)
		return;
	dprintf(STDERR_FILENO, "%.60s: %s\n", text, sqlite3_errmsg(db));
	_exit(101);
}

static void
prepare(struct prep *p)
{
	struct err e;
	char path[PATH_MAX];
	snprintf(path, sizeof(path), "%s/file", dir);
	p->file = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	p->loop = loop_new(&clock_system, &e);
	if (p->file < 0 || !p->loop || sock_pair(p->pair, &e) ||
	    sock_listen("127.0.0.1:0", false, &p->listener, NULL, &e))
		_exit(100);
}

/* The child's wait status. Its user is nobody when the test runs as root. */
static int
in_jail(enum jail_kind kind, body_fn before, body_fn body)
{
	pid_t pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		struct err e;
		struct prep p = {.opts = {.uid = 65534, .gid = 65534, .write = dirs}};
		prepare(&p);
		if (before && before(&p))
			_exit(SKIPPED);
		if (jail_enter(kind, &p.opts, &e)) {
			dprintf(2, "%s\n", e.text);
			_exit(102);
		}
		_exit(body(&p));
	}
	int status;
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return status;
}

#define assert_killed(kind, body)                                                        \
	do {                                                                             \
		int status = in_jail(kind, NULL, body);                                  \
		assert_true(WIFSIGNALED(status));                                        \
		assert_int_equal(WTERMSIG(status), SIGSYS);                              \
	} while (0)
#define assert_lives(kind, before, body)                                                 \
	do {                                                                             \
		int status = in_jail(kind, before, body);                                \
		assert_int_equal(status, 0);                                             \
	} while (0)

/* --- what kills --- */

static int
do_open(struct prep *p)
{
	(void)p;
	return open("/etc/hostname", O_RDONLY) >= 0 ? 1 : 2;
}

static int
do_open_own_dir(struct prep *p)
{
	(void)p;
	return open(dir, O_RDONLY) >= 0 ? 1 : 2;
}

static int
do_socket(struct prep *p)
{
	(void)p;
	return socket(AF_UNIX, SOCK_STREAM, 0) >= 0 ? 1 : 2;
}

static int
do_connect(struct prep *p)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(9)};
	a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	return connect(p->pair[0], (struct sockaddr *)&a, sizeof(a)) ? 1 : 2;
}

static int
do_exec(struct prep *p)
{
	(void)p;
	char *argv[] = {(char *)(uintptr_t) "true", NULL};
	execv("/bin/true", argv);
	return 1;
}

static int
do_fork(struct prep *p)
{
	(void)p;
	return syscall(SYS_clone, SIGCHLD, NULL, NULL, NULL, NULL) == 0 ? 1 : 2;
}

static int
do_ptrace(struct prep *p)
{
	(void)p;
	return ptrace(PTRACE_TRACEME, 0, NULL, NULL) ? 1 : 2;
}

static int
do_make_code(struct prep *p)
{
	(void)p;
	return mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC,
		   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED;
}

static int
do_kill_parent(struct prep *p)
{
	(void)p;
	return kill(getppid(), 0) ? 1 : 2;
}

static int
do_tgkill_parent(struct prep *p)
{
	(void)p;
	return syscall(SYS_tgkill, getppid(), getppid(), 0) ? 1 : 2;
}

static int
do_io_uring(struct prep *p)
{
	(void)p;
	return syscall(425 /* io_uring_setup */, 1, NULL) < 0;
}

static int
do_stat(struct prep *p)
{
	(void)p;
	struct stat st;
	return stat("/etc/hostname", &st) ? 1 : 2;
}

static int
do_accept(struct prep *p)
{
	return accept4(p->listener, NULL, NULL, SOCK_NONBLOCK) < 0;
}

static int
do_fchmod(struct prep *p)
{
	return fchmod(p->file, 0777) ? 1 : 2;
}

static void
edge_is_killed_for_what_it_may_not(void **state)
{
	(void)state;
	static const body_fn bad[] = {do_open, do_open_own_dir, do_socket, do_connect,
	    do_exec, do_fork, do_ptrace, do_make_code, do_kill_parent, do_tgkill_parent,
	    do_io_uring, do_stat, do_fchmod};
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_killed(JAIL_EDGE, bad[i]);
}

static void
core_is_killed_for_what_it_may_not(void **state)
{
	(void)state;
	static const body_fn bad[] = {do_open, do_open_own_dir, do_socket, do_connect,
	    do_exec, do_fork, do_ptrace, do_make_code, do_kill_parent, do_io_uring,
	    do_accept, do_fchmod};
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_killed(JAIL_CORE, bad[i]);
}

static void
signer_is_killed_for_what_it_may_not(void **state)
{
	(void)state;
	static const body_fn bad[] = {do_open, do_open_own_dir, do_socket, do_connect,
	    do_exec, do_fork, do_ptrace, do_make_code, do_kill_parent, do_io_uring,
	    do_stat, do_accept, do_fchmod};
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_killed(JAIL_SIGNER, bad[i]);
}

/* --- what lives --- */

static int
edge_work(struct prep *p)
{
	struct err e;
	char c;
	int on = 1;
	struct stat st;
	struct ipc_opts o = {.body_max = 4096, .queue_max = 65536};
	uint8_t noise[64];
	rand_bytes(noise, sizeof(noise));
	void *big = malloc(1 << 22);
	free(big);
	if (fstat(p->file, &st) || write(p->pair[0], "x", 1) != 1 ||
	    read(p->pair[1], &c, 1) != 1)
		return 1;
	if (accept4(p->listener, NULL, NULL, SOCK_NONBLOCK) >= 0 || errno != EAGAIN ||
	    setsockopt(p->pair[0], SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on)))
		return 2;
	static const struct ipc_ops ops;
	struct ipc_link *k = ipc_new(p->loop, p->pair[0], &o, &ops, NULL, &e);
	struct ipc_frame f = {.body = SPAN_LIT("frame"), .fd = p->file};
	if (!k || ipc_send(k, &f, &e) || loop_turn(p->loop, 1, &e))
		return 3;
	struct ipc_sync *s = ipc_sync_new(p->pair[1], 4096);
	if (ipc_sync_recv(s, 100, &f, &e) || f.fd < 0)
		return 4;
	return 0;
}

/* getnameinfo as evhttp calls it for a peer on the same wire */
static int
name_link_local(struct prep *p)
{
	(void)p;
	char host[64], port[16];
	struct sockaddr_in6 a = {.sin6_family = AF_INET6, .sin6_scope_id = 1};
	a.sin6_addr.s6_addr[0] = 0xfe;
	a.sin6_addr.s6_addr[1] = 0x80;
	return getnameinfo((struct sockaddr *)&a, sizeof(a), host, sizeof(host), port,
	    sizeof(port), NI_NUMERICHOST | NI_NUMERICSERV);
}

static void *
thread(void *arg)
{
	*(int *)arg = 42;
	return NULL;
}

static int
signer_work(struct prep *p)
{
	struct err e;
	int set = 0;
	pthread_t t;
	if (pwrite(p->file, "entry", 5, 0) != 5 || fdatasync(p->file) ||
	    ftruncate(p->file, 2) || loop_turn(p->loop, 1, &e))
		return 1;
	if (pthread_create(&t, NULL, thread, &set) || pthread_join(t, NULL) || set != 42)
		return 2;
	return 0;
}

static void
edge_and_signer_do_their_work(void **state)
{
	(void)state;
	assert_lives(JAIL_EDGE, NULL, edge_work);
	assert_lives(JAIL_SIGNER, NULL, signer_work);
}

/* --- an edge's whole day: accept, handshake, a request over TLS, its answer --- */

static void
on_request(void *arg, struct http_req *r)
{
	(void)arg;
	http_reply(r, 200, SPAN_LIT("from jail"));
}

static void
serve_from_jail(int listener)
{
	struct err e;
	struct http_opts o = {.head_max = 4096,
	    .body_max = 4096,
	    .out_max = 4096,
	    .conns_max = 10,
	    .request_ms = 5000,
	    .idle_ms = 5000,
	    .write_ms = 5000};
	struct jail_opts jail = {.uid = 65534, .gid = 65534};
	struct loop *l = loop_new(&clock_system, &e);
	if (!l || tls_init(&e))
		_exit(1);
	struct tls_server *tls = peer_tls_server();
	struct http *h = http_new(l, &o, on_request, NULL, &e);
	if (!tls || !h || jail_enter(JAIL_EDGE, &jail, &e))
		_exit(2);
	http_set_tls(h, tls);
	if (http_listen(h, listener, &e) || loop_run(l, &e))
		_exit(3);
}

static int
ask_twice(struct peer *p, void *arg)
{
	(void)arg;
	char answer[2000];
	for (int i = 0; i < 2; i++) {
		if (!peer_connect(p) ||
		    !peer_say(
			p, "GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"))
			return -1;
		size_t n = peer_recv(p, answer, sizeof(answer));
		if (!span_ends(span_of(answer, n), SPAN_LIT("from jail")))
			return -2;
		peer_close(p);
	}
	return 1;
}

static void
edge_serves_https_from_within(void **state)
{
	(void)state;
	struct err e;
	int fd, status;
	uint16_t port;
	assert_ok(sock_listen("127.0.0.1:0", false, &fd, &port, &e), &e);
	pid_t pid = fork();
	if (pid == 0)
		serve_from_jail(fd);
	struct loop *l = loop_new(&clock_system, &e);
	int answered = peer_run(l, port, true, ask_twice, NULL, 0);
	loop_free(l);
	close(fd);
	kill(pid, SIGTERM);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, SIGTERM);
	assert_int_equal(answered, 1);
}

static void
a_link_local_peer_does_not_kill_an_edge(void **state)
{
	(void)state;
	assert_lives(JAIL_EDGE, NULL, name_link_local);
}

/* --- SQLite as src/store opens it --- */

static int
open_database(struct prep *p)
{
	char path[PATH_MAX];
	snprintf(path, sizeof(path), "%s/hub.db", dir);
	unlink(path);
	if (sqlite3_open(path, &p->db))
		return -1;
	sql(p->db, "PRAGMA locking_mode=EXCLUSIVE; PRAGMA journal_mode=WAL;"
		   "PRAGMA synchronous=FULL; PRAGMA temp_store=MEMORY;"
		   "CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT UNIQUE)");
	return 0;
}

static int
use_database(struct prep *p)
{
	char text[256];
	for (int i = 0; i < 50; i++) {
		sql(p->db, "BEGIN IMMEDIATE");
		for (int j = 0; j < 200; j++) {
			snprintf(text, sizeof(text),
			    "INSERT INTO t (v) VALUES ('%d-%d-%0100d')", i, j, 0);
			sql(p->db, text);
		}
		sql(p->db, i % 10 ? "COMMIT" : "ROLLBACK");
	}
	sql(p->db, "PRAGMA wal_checkpoint(TRUNCATE)");
	sql(p->db, "SELECT v FROM t ORDER BY v DESC");
	sql(p->db, "UPDATE t SET v = 'x' || v; DELETE FROM t WHERE id % 2");
	sql(p->db, "PRAGMA integrity_check; PRAGMA incremental_vacuum; PRAGMA optimize");
	return sqlite3_close(p->db) ? 1 : 0;
}

static void
core_uses_a_database_that_is_open(void **state)
{
	(void)state;
	assert_lives(JAIL_CORE, open_database, use_database);
}

/* --- limits, user, landlock --- */

static int
check_limits(struct prep *p)
{
	(void)p;
	struct rlimit l;
	return prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) != 1 ||
	       prctl(PR_GET_DUMPABLE) != 0 || getrlimit(RLIMIT_CORE, &l) ||
	       l.rlim_max != 0 || getrlimit(RLIMIT_NOFILE, &l) || l.rlim_max != 64;
}

static int
few_files(struct prep *p)
{
	p->opts.nofile = 64;
	p->opts.uid = 0;
	return 0;
}

static int
main_tries_the_denied(struct prep *p)
{
	if (check_limits(p))
		return 1;
	if (syscall(SYS_bpf, 0, NULL, 0) == 0 || errno != EPERM)
		return 2;
	if (syscall(SYS_reboot, 0, 0, 0, 0) == 0 || errno != EPERM)
		return 3;
	/* and still spawns */
	int status;
	pid_t pid = fork();
	if (pid == 0)
		_exit(5);
	return waitpid(pid, &status, 0) == pid && WEXITSTATUS(status) == 5 ? 0 : 4;
}

static void
main_is_limited_and_still_spawns(void **state)
{
	(void)state;
	assert_lives(JAIL_MAIN, few_files, main_tries_the_denied);
}

static int
open_outside(struct prep *p)
{
	char path[PATH_MAX];
	snprintf(path, sizeof(path), "%s/file", dir);
	bool has_landlock = strstr(jail_describe(), "landlock abi") != NULL;
	int inside = open(path, O_RDWR), outside = open("/etc/passwd", O_RDONLY);
	if (!has_landlock)
		return SKIPPED;
	return inside < 0 || outside >= 0 ? 1 : 0;
}

static void
landlock_leaves_only_the_named_directories(void **state)
{
	(void)state;
	int status = in_jail(JAIL_MAIN, few_files, open_outside);
	if (WEXITSTATUS(status) == SKIPPED)
		skip();
	assert_int_equal(status, 0);
}

static int
check_user(struct prep *p)
{
	(void)p;
	return geteuid() != 65534 || getegid() != 65534 ||
	       !strstr(jail_describe(), "uid 65534") ||
	       !strstr(jail_describe(), "edge: no_new_privs") ||
	       !strstr(jail_describe(), "seccomp");
}

static void
root_becomes_the_user_told(void **state)
{
	(void)state;
	if (geteuid() != 0)
		skip();
	assert_lives(JAIL_EDGE, NULL, check_user);
}

static void *
sleeper(void *arg)
{
	(void)arg;
	pause();
	return NULL;
}

static int
start_thread(struct prep *p)
{
	(void)p;
	pthread_t t;
	return pthread_create(&t, NULL, sleeper, NULL);
}

static int
nothing(struct prep *p)
{
	(void)p;
	return 0;
}

static void
a_process_with_threads_is_not_let_in(void **state)
{
	(void)state;
	int status = in_jail(JAIL_EDGE, start_thread, nothing);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 102);
}

static int
do_abort(struct prep *p)
{
	(void)p;
	abort();
}

static void
abort_still_ends_by_its_own_signal(void **state)
{
	(void)state;
	int status = in_jail(JAIL_EDGE, NULL, do_abort);
	assert_true(WIFSIGNALED(status));
	assert_int_equal(WTERMSIG(status), SIGABRT);
}

static int
overflow(struct prep *p)
{
	char *block = malloc(10);
	volatile size_t past = 10;
	(void)p;
	block[past] = 1;
	free(block);
	return 0;
}

static void
a_sanitizer_report_gets_out_of_jail(void **state)
{
	(void)state;
	if (!JAIL_SAN)
		skip();
	char report[4096] = "";
	int out[2];
	assert_int_equal(pipe(out), 0);
	int was = dup(STDERR_FILENO);
	dup2(out[1], STDERR_FILENO);
	close(out[1]);
	int status = in_jail(JAIL_EDGE, NULL, overflow);
	dup2(was, STDERR_FILENO);
	close(was);
	for (size_t n = 0; n < sizeof(report) - 1;) {
		ssize_t r = read(out[0], report + n, sizeof(report) - 1 - n);
		if (r <= 0)
			break;
		n += (size_t)r;
	}
	close(out[0]);
	assert_true(WIFEXITED(status));
	assert_non_null(strstr(report, "heap-buffer-overflow"));
	assert_non_null(strstr(report, "test_jail.c"));
}

static int
make_dir(void **state)
{
	(void)state;
	return mkdtemp(dir) && chmod(dir, 0777) == 0 ? 0 : -1;
}

static int
remove_dir(void **state)
{
	(void)state;
	struct err e;
	return file_remove_tree(dir, &e);
}

/* A vendor's module may open what the account may; it may start and serve nothing. */
static int
keyd_work(struct prep *p)
{
	char *const argv[] = {(char *)"true", NULL};
	int fd = open("/etc/passwd", O_RDONLY | O_CLOEXEC);
	int s = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || s < 0)
		return 1;
	if (execve("/bin/true", argv, argv) != -1 || errno != EPERM)
		return 2;
	if (listen(s, 1) != -1 || errno != EPERM)
		return 3;
	if (kill(getppid(), 0) != -1 || errno != EPERM)
		return 4;
	if (fchmodat(AT_FDCWD, dir, 0777, 0) != -1 || errno != EPERM)
		return 5;
	if (fchmod(p->file, 0777) != -1 || errno != EPERM)
		return 6;
	if (fchown(p->file, geteuid(), getegid()) != -1 || errno != EPERM)
		return 7;
	if (lchown(dir, geteuid(), getegid()) != -1 || errno != EPERM)
		return 8;
	if (syscall(452 /* fchmodat2 */, AT_FDCWD, dir, 0777, 0) != -1 || errno != EPERM)
		return 9;
	if (syscall(SYS_tgkill, getppid(), getppid(), 0) != -1 || errno != EPERM)
		return 10;
	if (syscall(SYS_rt_sigqueueinfo, getppid(), 0, NULL) != -1 || errno != EPERM)
		return 11;
	if (syscall(424 /* pidfd_send_signal */, -1, 0, NULL, 0) != -1 || errno != EPERM)
		return 12;
	if (syscall(SYS_tgkill, getpid(), gettid(), 0)) /* itself */
		return 13;
	return write(p->file, "x", 1) == 1 ? 0 : 14;
}

static int
no_landlock(struct prep *p)
{
	p->opts.write = NULL;
	return 0;
}

static void
the_key_holder_opens_files_and_starts_nothing(void **state)
{
	(void)state;
	assert_lives(JAIL_KEYD, no_landlock, keyd_work);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(the_key_holder_opens_files_and_starts_nothing),
	    cmocka_unit_test(edge_is_killed_for_what_it_may_not),
	    cmocka_unit_test(core_is_killed_for_what_it_may_not),
	    cmocka_unit_test(signer_is_killed_for_what_it_may_not),
	    cmocka_unit_test(edge_and_signer_do_their_work),
	    cmocka_unit_test(edge_serves_https_from_within),
	    cmocka_unit_test(a_link_local_peer_does_not_kill_an_edge),
	    cmocka_unit_test(core_uses_a_database_that_is_open),
	    cmocka_unit_test(main_is_limited_and_still_spawns),
	    cmocka_unit_test(landlock_leaves_only_the_named_directories),
	    cmocka_unit_test(root_becomes_the_user_told),
	    cmocka_unit_test(a_process_with_threads_is_not_let_in),
	    cmocka_unit_test(abort_still_ends_by_its_own_signal),
	    cmocka_unit_test(a_sanitizer_report_gets_out_of_jail),
	};
	return cmocka_run_group_tests_name("io/jail", tests, make_dir, remove_dir);
}
