/*
 * The limit of a registration: a server that does a full mutual TLS 1.3 handshake, sends
 * one byte and waits for the client to leave. With "sign" the limit of an enrolment: a
 * P-256 signature, as of a certificate, goes before that byte. With "tickets" each client
 * gets one and may resume with it, over TLS 1.2 too; nothing is judged anew then.
 * OpenSSL on the socket under epoll, no session cache: the cheapest wiring measured. One
 * process a CPU, all on one port.
 *
 * usage: bench-accept CERT_CHAIN KEY CLIENT_ROOT [sign | tickets]
 * (PEM files; prints the port, runs until its standard input ends)
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define PROCS_MAX 64
#define TBS_LEN   420 /* of a device certificate */

struct conn {
	int fd;
	SSL *ssl;
	bool up;
};

static void
need(bool ok, const char *what)
{
	if (ok)
		return;
	perror(what);
	exit(1);
}

static SSL_CTX *
make_context(char **files, bool tickets)
{
	SSL_CTX *c = SSL_CTX_new(TLS_server_method());
	need(SSL_CTX_use_certificate_chain_file(c, files[0]) == 1, files[0]);
	need(SSL_CTX_use_PrivateKey_file(c, files[1], SSL_FILETYPE_PEM) == 1, files[1]);
	need(SSL_CTX_load_verify_file(c, files[2]) == 1, files[2]);
	SSL_CTX_set_min_proto_version(c, tickets ? TLS1_2_VERSION : TLS1_3_VERSION);
	SSL_CTX_set_verify(c, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
	SSL_CTX_set_mode(c, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_NO_AUTO_CHAIN);
	SSL_CTX_set_session_cache_mode(c, SSL_SESS_CACHE_OFF);
	SSL_CTX_set_num_tickets(c, tickets ? 1 : 0);
	SSL_CTX_set_session_id_context(c, (const unsigned char *)"b", 1);
	return c;
}

/* A context that is kept, as bench-limit has it. */
struct signing {
	EVP_MD *md;
	EVP_MD_CTX *hash;
	EVP_PKEY_CTX *sign;
};

static struct signing *
make_signing(void)
{
	struct signing *s = calloc(1, sizeof(*s));
	EVP_PKEY *key = EVP_EC_gen("P-256");
	s->md = EVP_MD_fetch(NULL, "SHA256", NULL);
	s->hash = EVP_MD_CTX_new();
	s->sign = EVP_PKEY_CTX_new_from_pkey(NULL, key, NULL);
	need(s->md && s->hash && s->sign && EVP_PKEY_sign_init(s->sign) == 1 &&
		 EVP_PKEY_CTX_set_signature_md(s->sign, s->md) == 1,
	    "signing");
	EVP_PKEY_free(key);
	return s;
}

static void
sign(struct signing *s)
{
	static const uint8_t tbs[TBS_LEN];
	uint8_t digest[32], sig[80];
	size_t len = sizeof(sig);
	need(EVP_DigestInit_ex2(s->hash, s->md, NULL) == 1 &&
		 EVP_DigestUpdate(s->hash, tbs, sizeof(tbs)) == 1 &&
		 EVP_DigestFinal_ex(s->hash, digest, NULL) == 1 &&
		 EVP_PKEY_sign(s->sign, sig, &len, digest, sizeof(digest)) == 1,
	    "sign");
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
take_all(int epoll, int listener, SSL_CTX *ctx)
{
	for (int fd; (fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK)) >= 0;) {
		struct conn *c = calloc(1, sizeof(*c));
		struct epoll_event ev = {.events = EPOLLIN | EPOLLRDHUP, .data.ptr = c};
		*c = (struct conn){.fd = fd, .ssl = SSL_new(ctx)};
		SSL_set_fd(c->ssl, fd);
		SSL_set_accept_state(c->ssl);
		epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &ev);
	}
}

/* False when the connection is over. signing: NULL where nothing is signed. */
static bool
serve(struct conn *c, struct signing *signing)
{
	char byte = 'b';
	if (!c->up) {
		int rc = SSL_do_handshake(c->ssl);
		if (rc != 1)
			return SSL_get_error(c->ssl, rc) == SSL_ERROR_WANT_READ;
		c->up = true;
		if (signing)
			sign(signing);
		return SSL_write(c->ssl, &byte, 1) == 1;
	}
	int rc = SSL_read(c->ssl, &byte, 1);
	return rc <= 0 && SSL_get_error(c->ssl, rc) == SSL_ERROR_WANT_READ;
}

static void
run(int listener, SSL_CTX *ctx, struct signing *signing)
{
	int epoll = epoll_create1(0);
	struct epoll_event ev = {.events = EPOLLIN}, got[256];
	epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &ev);
	for (;;) {
		int n = epoll_wait(epoll, got, 256, -1);
		for (int i = 0; i < n; i++) {
			struct conn *c = got[i].data.ptr;
			if (!c)
				take_all(epoll, listener, ctx);
			if (!c || serve(c, signing))
				continue;
			SSL_free(c->ssl);
			close(c->fd);
			free(c);
		}
	}
}

int
main(int argc, char **argv)
{
	pid_t procs[PROCS_MAX];
	int n = (int)sysconf(_SC_NPROCESSORS_ONLN);
	struct sockaddr_in a = {
	    .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	bool signs = argc == 5 && strcmp(argv[4], "sign") == 0;
	bool tickets = argc == 5 && strcmp(argv[4], "tickets") == 0;
	if (argc != 4 && !signs && !tickets) {
		fputs("usage: bench-accept CERT_CHAIN KEY CLIENT_ROOT [sign | tickets]\n",
		    stderr);
		return 2;
	}
	signal(SIGPIPE, SIG_IGN);
	SSL_CTX *ctx = make_context(argv + 1, tickets);
	n = n < 1 ? 1 : n > PROCS_MAX ? PROCS_MAX : n;
	for (int i = 0; i < n; i++) {
		int listener = listen_on(&a);
		procs[i] = fork();
		need(procs[i] >= 0, "fork");
		if (procs[i] == 0) {
			prctl(PR_SET_PDEATHSIG, SIGKILL);
			run(listener, ctx, signs ? make_signing() : NULL);
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
	SSL_CTX_free(ctx);
	return 0;
}
