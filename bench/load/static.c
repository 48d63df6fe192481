/*
 * The limit of an answer over HTTP: libevent's evhttp, which muster's edges use too, with
 * one file as the answer to everything. One process a CPU, all on one port.
 *
 * usage: bench-static FILE CONTENT_TYPE
 * (prints the port, runs until its standard input ends)
 */
#include <arpa/inet.h>
#include <event2/buffer.h>
#include <event2/event.h>
#include <event2/http.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define PROCS_MAX 64
#define BODY_MAX  65536

struct answer {
	char body[BODY_MAX];
	size_t len;
	const char *type;
};

static void
need(bool ok, const char *what)
{
	if (ok)
		return;
	perror(what);
	exit(1);
}

static void
read_body(const char *path, struct answer *a)
{
	FILE *f = fopen(path, "rb");
	need(f != NULL, path);
	a->len = fread(a->body, 1, BODY_MAX, f);
	fclose(f);
	need(a->len > 0 && a->len < BODY_MAX, path);
}

static int
listen_on(struct sockaddr_in *a)
{
	int one = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
	socklen_t len = sizeof(*a);
	setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &one, sizeof(one));
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	need(bind(fd, (struct sockaddr *)a, len) == 0 && listen(fd, 4096) == 0 &&
		 getsockname(fd, (struct sockaddr *)a, &len) == 0,
	    "listen");
	return fd;
}

static void
on_request(struct evhttp_request *r, void *arg)
{
	struct answer *a = arg;
	evhttp_add_header(evhttp_request_get_output_headers(r), "Content-Type", a->type);
	evbuffer_add(evhttp_request_get_output_buffer(r), a->body, a->len);
	evhttp_send_reply(r, 200, "OK", NULL);
}

static void
run(int listener, struct answer *a)
{
	struct event_base *base = event_base_new();
	struct evhttp *http = evhttp_new(base);
	need(http && evhttp_accept_socket(http, listener) == 0, "evhttp");
	evhttp_set_gencb(http, on_request, a);
	event_base_dispatch(base);
	exit(1);
}

int
main(int argc, char **argv)
{
	static struct answer answer;
	pid_t procs[PROCS_MAX];
	int n = (int)sysconf(_SC_NPROCESSORS_ONLN);
	struct sockaddr_in a = {
	    .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	if (argc != 3) {
		fputs("usage: bench-static FILE CONTENT_TYPE\n", stderr);
		return 2;
	}
	signal(SIGPIPE, SIG_IGN);
	answer.type = argv[2];
	read_body(argv[1], &answer);
	n = n < 1 ? 1 : n > PROCS_MAX ? PROCS_MAX : n;
	for (int i = 0; i < n; i++) {
		int listener = listen_on(&a);
		procs[i] = fork();
		need(procs[i] >= 0, "fork");
		if (procs[i] == 0) {
			prctl(PR_SET_PDEATHSIG, SIGKILL);
			run(listener, &answer);
		}
		close(listener);
	}
	printf("%d\n", ntohs(a.sin_port));
	fflush(stdout);
	while (getchar() != EOF)
		;
	for (int i = 0; i < n; i++)
		kill(procs[i], SIGKILL);
	while (wait(NULL) > 0)
		;
	return 0;
}
