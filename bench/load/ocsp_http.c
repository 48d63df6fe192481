/*
 * OCSP clients over plain HTTP, on two threads: GET without a nonce, whose answers may be
 * signed ahead, or POST with a nonce of 32 octets. Requests are made by OpenSSL before
 * the clock starts. An answer counts when it is a successful one; signatures are left to
 * the tests, since to check them costs more than the server needs to answer.
 *
 * usage: bench-ocsp-http get|post PORT PATH CA SERIALS COUNT CONNECTIONS keep|close
 *   PATH     in front of the request ("/ocsp"; "" where the responder wants none)
 *   CA       PEM of the certificates' issuer
 *   SERIALS  a file of serial numbers, hex, one a line, which are asked for in turn
 *   keep     requests of a connection follow each other; close: a connection a request
 * Prints one JSON object; "echoed" counts the answers that hold their request's nonce.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/bn.h>
#include <openssl/ocsp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define THREADS   2
#define NONCE_LEN 32
#define IN_MAX    8192

struct request {
	uint8_t *bytes; /* all of it, as it goes over the wire */
	size_t len;
	uint8_t nonce[NONCE_LEN];
};

struct conn {
	int fd;
	const struct request *request;
	size_t in_len;
	char in[IN_MAX];
};

struct load {
	bool post, keep;
	const char *path;
	struct sockaddr_in to;
	struct request *requests;
	size_t count, connections;
};

struct worker {
	const struct load *load;
	pthread_t thread;
	int epoll;
	size_t next, end, opened, over, failed, echoed;
};

static void
need(bool ok, const char *what)
{
	if (ok)
		return;
	perror(what);
	exit(2);
}

static double
now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

/* ---- requests ---- */

static X509 *
read_ca(const char *path)
{
	FILE *f = fopen(path, "r");
	need(f != NULL, path);
	X509 *ca = PEM_read_X509(f, NULL, NULL, NULL);
	need(ca != NULL, path);
	fclose(f);
	return ca;
}

static OCSP_CERTID *
make_id(X509 *ca, const char *serial)
{
	BIGNUM *n = NULL;
	need(BN_hex2bn(&n, serial) > 0, serial);
	ASN1_INTEGER *number = BN_to_ASN1_INTEGER(n, NULL);
	OCSP_CERTID *id = OCSP_cert_id_new(
	    EVP_sha1(), X509_get_subject_name(ca), X509_get0_pubkey_bitstr(ca), number);
	need(id != NULL, serial);
	ASN1_INTEGER_free(number);
	BN_free(n);
	return id;
}

static int
make_der(const struct load *l, X509 *ca, const char *serial, struct request *r,
    uint8_t **ret_der)
{
	OCSP_REQUEST *q = OCSP_REQUEST_new();
	need(q && OCSP_request_add0_id(q, make_id(ca, serial)) &&
		 RAND_bytes(r->nonce, NONCE_LEN) == 1 &&
		 (!l->post || OCSP_request_add1_nonce(q, r->nonce, NONCE_LEN)),
	    "request");
	*ret_der = NULL;
	int len = i2d_OCSP_REQUEST(q, ret_der);
	need(len > 0 && len < IN_MAX / 8, "request");
	OCSP_REQUEST_free(q);
	return len;
}

/* RFC 6960 A.1: base64, its three characters that are special in a URL escaped. */
static void
put_path(const uint8_t *der, int len, char *out)
{
	uint8_t text[IN_MAX / 4];
	EVP_EncodeBlock(text, der, len);
	for (const uint8_t *p = text; *p; p++)
		if (strchr("+/=", *p))
			out += snprintf(out, 4, "%%%02X", *p);
		else
			*out++ = (char)*p;
	*out = '\0';
}

static void
make_request(const struct load *l, X509 *ca, const char *serial, struct request *r)
{
	uint8_t *der;
	char head[IN_MAX], path[IN_MAX - 256] = "", body[128] = "";
	int len = make_der(l, ca, serial, r, &der);
	if (l->post)
		snprintf(body, sizeof(body),
		    "Content-Type: application/ocsp-request\r\nContent-Length: %d\r\n",
		    len);
	else
		put_path(der, len, path);
	r->len = (size_t)snprintf(head, sizeof(head),
	    "%s %s%s%s HTTP/1.1\r\nHost: 127.0.0.1\r\n%s%s\r\n", l->post ? "POST" : "GET",
	    l->path, l->post && l->path[0] ? "" : "/", path, body,
	    l->keep ? "" : "Connection: close\r\n");
	r->bytes = malloc(r->len + (size_t)len);
	memcpy(r->bytes, head, r->len);
	if (l->post) {
		memcpy(r->bytes + r->len, der, (size_t)len);
		r->len += (size_t)len;
	}
	OPENSSL_free(der);
}

static void
make_requests(struct load *l, const char *ca_path, const char *serials)
{
	X509 *ca = read_ca(ca_path);
	char line[64];
	FILE *f = fopen(serials, "r");
	need(f != NULL, serials);
	l->requests = calloc(l->count, sizeof(*l->requests));
	for (size_t i = 0; i < l->count; i++) {
		if (!fgets(line, sizeof(line), f)) {
			rewind(f);
			need(fgets(line, sizeof(line), f) != NULL, serials);
		}
		line[strcspn(line, "\n")] = '\0';
		make_request(l, ca, line, &l->requests[i]);
	}
	fclose(f);
	X509_free(ca);
}

/* ---- a connection ---- */

static void
ask(struct worker *w, struct conn *c)
{
	c->request = &w->load->requests[w->next++];
	c->in_len = 0;
	ssize_t n = write(c->fd, c->request->bytes, c->request->len);
	need(n == (ssize_t)c->request->len, "write");
}

/* Blocks, on loopback, for no time that shows; what follows does not. */
static void
connect_and_ask(struct worker *w, struct conn *c)
{
	int one = 1;
	/* one address has too few ports for a connection a request */
	struct sockaddr_in from = {.sin_family = AF_INET,
	    .sin_addr.s_addr =
		htonl(INADDR_LOOPBACK + 1 + (uint32_t)(w->opened++ % 200))};
	struct epoll_event ev = {.events = EPOLLIN, .data.ptr = c};
	c->fd = socket(AF_INET, SOCK_STREAM, 0);
	setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	setsockopt(c->fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof(one));
	need(bind(c->fd, (struct sockaddr *)&from, sizeof(from)) == 0 &&
		 connect(c->fd, (const struct sockaddr *)&w->load->to,
		     sizeof(w->load->to)) == 0,
	    "connect");
	epoll_ctl(w->epoll, EPOLL_CTL_ADD, c->fd, &ev);
	ask(w, c);
}

/* The body of a whole answer, or NULL while it is not all there. A header of an answer
 * that is none makes it one of no length. */
static const char *
whole_answer(struct conn *c, size_t *ret_len)
{
	c->in[c->in_len] = '\0';
	const char *end = strstr(c->in, "\r\n\r\n");
	const char *len = strcasestr(c->in, "\nContent-Length:");
	if (!end)
		return NULL;
	*ret_len = len && len < end ? strtoul(len + 16, NULL, 10) : 0;
	if ((size_t)(end + 4 - c->in) + *ret_len > c->in_len)
		return NULL;
	return end + 4;
}

/* SEQUENCE of up to 65,535 octets, ENUMERATED successful (RFC 6960 4.2.1). */
static bool
is_successful(const struct conn *c, const char *body, size_t len)
{
	return strncmp(c->in, "HTTP/1.", 7) == 0 && strncmp(c->in + 8, " 200 ", 5) == 0 &&
	       len > 7 && memcmp(body, "\x30\x82", 2) == 0 &&
	       memcmp(body + 4, "\x0a\x01\x00", 3) == 0;
}

static void
complain(const struct worker *w, const struct conn *c)
{
	if (!w->failed)
		fprintf(stderr, "bench-ocsp-http: answered: %.300s\n", c->in);
}

static void
judge(struct worker *w, const struct conn *c, const char *body, size_t len)
{
	w->over++;
	if (!body || !is_successful(c, body, len)) {
		complain(w, c);
		w->failed++;
		return;
	}
	w->echoed += memmem(body, len, c->request->nonce, NONCE_LEN) != NULL;
}

static void
on_bytes(struct worker *w, struct conn *c)
{
	size_t len = 0;
	ssize_t n = read(c->fd, c->in + c->in_len, IN_MAX - 1 - c->in_len);
	if (n > 0)
		c->in_len += (size_t)n;
	const char *body = whole_answer(c, &len);
	if (!body && n > 0)
		return;
	judge(w, c, body, len);
	if (w->load->keep && body && w->next < w->end) {
		ask(w, c);
		return;
	}
	close(c->fd);
	if (w->next < w->end)
		connect_and_ask(w, c);
}

static void *
run(void *arg)
{
	struct worker *w = arg;
	struct epoll_event got[128];
	size_t connections = w->load->connections / THREADS, all = w->end - w->next;
	struct conn *conns = calloc(connections, sizeof(*conns));
	w->epoll = epoll_create1(0);
	for (size_t i = 0; i < connections && w->next < w->end; i++)
		connect_and_ask(w, &conns[i]);
	while (w->over < all) {
		int n = epoll_wait(w->epoll, got, 128, -1);
		for (int i = 0; i < n; i++)
			on_bytes(w, got[i].data.ptr);
	}
	free(conns);
	return NULL;
}

static int
run_all(const struct load *l)
{
	struct worker w[THREADS];
	size_t failed = 0, echoed = 0;
	double start = now();
	for (size_t i = 0; i < THREADS; i++) {
		w[i] = (struct worker){.load = l,
		    .next = l->count * i / THREADS,
		    .end = l->count * (i + 1) / THREADS};
		need(pthread_create(&w[i].thread, NULL, run, &w[i]) == 0, "thread");
	}
	for (size_t i = 0; i < THREADS; i++) {
		pthread_join(w[i].thread, NULL);
		failed += w[i].failed;
		echoed += w[i].echoed;
	}
	printf("{\"count\":%zu,\"failed\":%zu,\"echoed\":%zu,\"seconds\":%.4f}\n",
	    l->count, failed, echoed, now() - start);
	return failed != 0;
}

int
main(int argc, char **argv)
{
	struct load l = {0};
	if (argc != 9) {
		fputs("usage: bench-ocsp-http get|post PORT PATH CA SERIALS COUNT "
		      "CONNECTIONS keep|close\n",
		    stderr);
		return 2;
	}
	signal(SIGPIPE, SIG_IGN);
	l.post = strcmp(argv[1], "post") == 0;
	l.to = (struct sockaddr_in){.sin_family = AF_INET,
	    .sin_port = htons((uint16_t)strtoul(argv[2], NULL, 10)),
	    .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	l.path = argv[3];
	l.count = strtoul(argv[6], NULL, 10);
	l.connections = strtoul(argv[7], NULL, 10);
	l.keep = strcmp(argv[8], "keep") == 0;
	need(l.count > 0 && l.connections >= THREADS, "counts");
	make_requests(&l, argv[4], argv[5]);
	return run_all(&l);
}
