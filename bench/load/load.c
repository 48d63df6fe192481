/*
 * The load of the benchmarks: many TLS 1.3 clients with certificates of their own, on two
 * threads. It checks nothing about the server's certificate (that would only be paid by
 * the machine under test) but everything about its answers: a refusal or a lost
 * connection counts as failed, and any failure makes the exit status 1.
 *
 * usage: bench-load MODE HOST PORT CERT_DIR FIRST COUNT AT_ONCE [SCOPE | HUB] [MESSAGES]
 *   handshake   COUNT full handshakes; each ends when the server has sent one byte
 *   register    COUNT registrations over MQTT, a connection each, until "assigned"
 *   reenroll    COUNT renewals by EST, a connection and a new key each; the requests are
 *               made before the clock starts
 *   idle        COUNT connections to a hub; says "up", ends when standard input does
 *   watch       as idle, and says of each that ends which one and when
 *   telemetry   COUNT connections send MESSAGES of 256 bytes in all, QoS 1, each with up
 *               to WINDOW unacknowledged
 * Devices are dev-000000.. with their numbers from FIRST on; CERT_DIR holds muster
 * issue's files. AT_ONCE: connections that are being opened at any time. Prints one JSON
 * object (watch: one a line).
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define THREADS 2
#define WINDOW  32
#define PAYLOAD 256
#define IN_MAX  4096

enum mode { HANDSHAKE, REGISTER, REENROLL, IDLE, WATCH, TELEMETRY };
enum state { OPENING, TLS, CONNECTING, ASKING, UP, OVER };

struct device {
	char id[16];
	X509 *leaf, *issuer;
	EVP_PKEY *key;
	char *request; /* reenroll: all of it */
};

struct conn {
	struct device *device;
	int fd;
	SSL *ssl;
	enum state state;
	size_t in_len, to_send, acked, sent;
	uint8_t in[IN_MAX];
	double sent_at[WINDOW];
};

struct worker {
	struct load *load;
	pthread_t thread;
	int epoll;
	size_t next, end, opening, open, over, failed;
	struct conn **conns; /* of this worker, first to last */
	double *waits;       /* telemetry: seconds from sent to acknowledged */
	size_t n_waits;
};

struct load {
	enum mode mode;
	struct sockaddr_in to;
	const char *name; /* ID scope or hub */
	size_t first, count, at_once, messages;
	SSL_CTX *tls;
	struct device *devices;
	struct worker workers[THREADS];
	pthread_barrier_t all_up;
	double start;
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

/* ---- MQTT 3.1.1, as much as a client needs ---- */

static size_t
put_text(uint8_t *p, const char *s)
{
	size_t n = strlen(s);
	p[0] = (uint8_t)(n >> 8);
	p[1] = (uint8_t)n;
	memcpy(p + 2, s, n);
	return n + 2;
}

/* Puts the fixed header in front of body_len bytes at p + 5; returns where it starts. */
static uint8_t *
put_head(uint8_t *p, uint8_t first, size_t body_len, size_t *ret_len)
{
	uint8_t head[5] = {first};
	size_t n = 1, left = body_len;
	do {
		head[n++] = (uint8_t)((left & 127) | (left > 127 ? 128 : 0));
		left >>= 7;
	} while (left);
	memcpy(p + 5 - n, head, n);
	*ret_len = n + body_len;
	return p + 5 - n;
}

static bool
send_packet(struct conn *c, uint8_t first, uint8_t *room, size_t body_len)
{
	size_t len;
	uint8_t *p = put_head(room, first, body_len, &len);
	return SSL_write(c->ssl, p, (int)len) == (int)len;
}

static bool
send_connect(const struct load *l, struct conn *c)
{
	uint8_t b[700] = {0};
	char user[400];
	size_t n = 5;
	snprintf(user, sizeof(user),
	    l->mode == REGISTER
		? "%s/registrations/%s/api-version=2019-03-31&ClientVersion=bench"
		: "%s/%s/?api-version=2021-04-12",
	    l->name, c->device->id);
	n += put_text(b + n, "MQTT");
	b[n++] = 4;    /* MQTT 3.1.1 */
	b[n++] = 0x82; /* user name, clean session */
	b[n++] = 1177 >> 8;
	b[n++] = 1177 & 255;
	n += put_text(b + n, c->device->id);
	n += put_text(b + n, user);
	return send_packet(c, 0x10, b, n - 5);
}

static bool
send_registration(struct conn *c)
{
	uint8_t b[300] = {0};
	size_t n = 5;
	char body[64];
	b[n++] = 0;
	b[n++] = 1; /* packet identifier */
	n += put_text(b + n, "$dps/registrations/res/#");
	b[n++] = 1;
	if (!send_packet(c, 0x82, b, n - 5))
		return false;
	n = 5 + put_text(b + 5, "$dps/registrations/PUT/iotdps-register/?$rid=1");
	b[n++] = 0;
	b[n++] = 2;
	int len =
	    snprintf(body, sizeof(body), "{\"registrationId\":\"%s\"}", c->device->id);
	memcpy(b + n, body, (size_t)len);
	return send_packet(c, 0x32, b, n + (size_t)len - 5);
}

/* Fills the window with messages, in as few records as they fit. */
static bool
send_telemetry(struct conn *c)
{
	uint8_t out[WINDOW * (PAYLOAD + 100)], b[PAYLOAD + 100];
	char topic[64];
	size_t out_len = 0, len;
	snprintf(topic, sizeof(topic), "devices/%s/messages/events/", c->device->id);
	while (c->sent < c->to_send && c->sent - c->acked < WINDOW) {
		size_t n = 5 + put_text(b + 5, topic);
		b[n++] = (uint8_t)((c->sent + 1) >> 8);
		b[n++] = (uint8_t)(c->sent + 1);
		memset(b + n, 'x', PAYLOAD);
		uint8_t *p = put_head(b, 0x32, n + PAYLOAD - 5, &len);
		memcpy(out + out_len, p, len);
		out_len += len;
		c->sent_at[c->sent++ % WINDOW] = now();
	}
	return out_len == 0 || SSL_write(c->ssl, out, (int)out_len) == (int)out_len;
}

/* ---- EST (RFC 7030 4.2.2), as much as a client needs ---- */

/* A request for the certificate's subject and a key of its own, DER. */
static uint8_t *
make_csr(const struct device *d, int *ret_len)
{
	uint8_t *der = NULL;
	EVP_PKEY *key = EVP_EC_gen("P-256");
	X509_REQ *req = X509_REQ_new();
	need(key && req &&
		 X509_REQ_set_subject_name(req, X509_get_subject_name(d->leaf)) &&
		 X509_REQ_set_pubkey(req, key) && X509_REQ_sign(req, key, EVP_sha256()),
	    "request");
	*ret_len = i2d_X509_REQ(req, &der);
	X509_REQ_free(req);
	EVP_PKEY_free(key);
	return der;
}

static void
make_request(struct device *d)
{
	int der_len, len;
	uint8_t *der = make_csr(d, &der_len), text[IN_MAX];
	need(der_len > 0 && der_len < IN_MAX / 2, "request");
	len = EVP_EncodeBlock(text, der, der_len);
	OPENSSL_free(der);
	need(asprintf(&d->request,
		 "POST /.well-known/est/simplereenroll HTTP/1.1\r\nHost: 127.0.0.1\r\n"
		 "Content-Type: application/pkcs10\r\nContent-Length: %d\r\n\r\n%s",
		 len, (char *)text) > 0,
	    "request");
}

static bool
send_request(struct conn *c)
{
	int len = (int)strlen(c->device->request);
	return SSL_write(c->ssl, c->device->request, len) == len;
}

/* ---- a connection ---- */

static void
open_next(struct worker *w)
{
	struct load *l = w->load;
	struct conn *c = calloc(1, sizeof(*c));
	size_t i = w->next++;
	c->device = &l->devices[i];
	c->to_send = l->messages / l->count;
	w->conns[w->open++] = c;
	w->opening++;
	c->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
	int one = 1;
	setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	/* one address has too few ports for repeated runs of 10,000 */
	struct sockaddr_in from = {.sin_family = AF_INET,
	    .sin_addr.s_addr = htonl(INADDR_LOOPBACK + 1 + (uint32_t)(i % 200))};
	setsockopt(c->fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof(one));
	need(bind(c->fd, (struct sockaddr *)&from, sizeof(from)) == 0, "bind");
	need(connect(c->fd, (struct sockaddr *)&l->to, sizeof(l->to)) == 0 ||
		 errno == EINPROGRESS,
	    "connect");
	c->ssl = SSL_new(l->tls);
	SSL_set_fd(c->ssl, c->fd);
	SSL_set_connect_state(c->ssl);
	need(SSL_use_certificate(c->ssl, c->device->leaf) == 1 &&
		 SSL_add1_chain_cert(c->ssl, c->device->issuer) == 1 &&
		 SSL_use_PrivateKey(c->ssl, c->device->key) == 1,
	    "certificate");
	struct epoll_event ev = {.events = EPOLLOUT, .data.ptr = c};
	epoll_ctl(w->epoll, EPOLL_CTL_ADD, c->fd, &ev);
}

static bool
is_mqtt(const struct load *l)
{
	return l->mode != HANDSHAKE && l->mode != REENROLL;
}

/* The clock is the one that other programs of this machine have, too. */
static void
say_closed(const struct conn *c)
{
	printf("{\"closed\":\"%s\",\"at\":%.6f}\n", c->device->id, now());
	fflush(stdout);
}

static void
end_conn(struct worker *w, struct conn *c, bool ok)
{
	if (c->state < UP)
		w->opening--;
	w->over++;
	w->failed += !ok;
	if (ok && is_mqtt(w->load))
		SSL_write(c->ssl, "\xe0\0", 2); /* DISCONNECT */
	if (w->load->mode == WATCH && c->state == UP)
		say_closed(c);
	c->state = OVER;
	SSL_free(c->ssl);
	close(c->fd);
	c->ssl = NULL;
	c->fd = -1;
}

static void
is_up(struct worker *w, struct conn *c)
{
	w->opening--;
	c->state = UP;
}

/* What is due once the server has accepted the CONNECT. */
static bool
on_connack(struct worker *w, struct conn *c)
{
	if (w->load->mode == REGISTER) {
		c->state = ASKING;
		return send_registration(c);
	}
	is_up(w, c);
	return true;
}

static void
on_puback(struct worker *w, struct conn *c)
{
	w->waits[w->n_waits++] = now() - c->sent_at[c->acked++ % WINDOW];
}

/* A worker's first words about what went wrong; more would be as many. */
static void
complain(struct worker *w, const struct conn *c, const char *what, const uint8_t *p,
    size_t len)
{
	if (w->failed)
		return;
	fprintf(stderr, "bench-load: %s %s:", c->device->id, what);
	for (size_t i = 0; i < len; i++)
		fputc(p[i] >= ' ' && p[i] < 127 ? p[i] : '.', stderr);
	fputc('\n', stderr);
}

/* One packet. 1: go on; 0: the connection has done its work; -1: failed. */
static int
on_packet(struct worker *w, struct conn *c, const uint8_t *p, size_t len)
{
	static const char assigned[] = "$dps/registrations/res/200/";
	switch (p[0] >> 4) {
	case 2: /* CONNACK */
		if (len == 4 && p[3] == 0)
			return on_connack(w, c) ? 1 : -1;
		complain(w, c, "was refused", p, len);
		return -1;
	case 3: /* PUBLISH */
		if (memmem(p, len, assigned, sizeof(assigned) - 1))
			return 0;
		complain(w, c, "was answered", p, len);
		return -1;
	case 4: /* PUBACK */
		if (c->state == UP)
			on_puback(w, c);
		return 1;
	default:
		return 1;
	}
}

/* The answer of an EST server, when it is all there. */
static int
take_answer(struct worker *w, struct conn *c)
{
	char *in = (char *)c->in;
	in[c->in_len] = '\0';
	const char *body = strstr(in, "\r\n\r\n"),
		   *len = strcasestr(in, "\nContent-Length:");
	if (!body)
		return c->in_len < IN_MAX - 1 ? 1 : -1;
	if (strncmp(in, "HTTP/1.1 200 ", 13) != 0 || !len || len > body) {
		complain(w, c, "was answered", c->in, c->in_len);
		return -1;
	}
	size_t whole = (size_t)(body + 4 - in) + strtoul(len + 16, NULL, 10);
	if (whole >= IN_MAX)
		return -1;
	return c->in_len < whole;
}

/* Takes whole packets out of c->in. */
static int
take_packets(struct worker *w, struct conn *c)
{
	size_t at = 0;
	int rc = 1;
	while (rc == 1 && c->in_len - at >= 2) {
		size_t n = c->in[at + 1], head = 2;
		if (n & 128) {
			if (c->in_len - at < 3)
				break;
			n = (n & 127) | (size_t)c->in[at + 2] << 7;
			head = 3;
		}
		if (head + n > IN_MAX)
			return -1;
		if (c->in_len - at < head + n)
			break;
		rc = on_packet(w, c, c->in + at, head + n);
		at += head + n;
	}
	memmove(c->in, c->in + at, c->in_len - at);
	c->in_len -= at;
	return rc;
}

static int
read_all(struct worker *w, struct conn *c)
{
	for (;;) {
		int n =
		    SSL_read(c->ssl, c->in + c->in_len, (int)(IN_MAX - 1 - c->in_len));
		if (n <= 0)
			return SSL_get_error(c->ssl, n) == SSL_ERROR_WANT_READ ? 1 : -1;
		if (w->load->mode == HANDSHAKE)
			return 0;
		c->in_len += (size_t)n;
		int rc =
		    w->load->mode == REENROLL ? take_answer(w, c) : take_packets(w, c);
		if (rc != 1)
			return rc;
	}
}

/* The first bytes of a connection. */
static bool
send_first(struct worker *w, struct conn *c)
{
	if (w->load->mode == REENROLL)
		return send_request(c);
	return !is_mqtt(w->load) || send_connect(w->load, c);
}

static int
shake(struct worker *w, struct conn *c)
{
	struct epoll_event ev = {.events = EPOLLIN, .data.ptr = c};
	if (c->state == OPENING) {
		c->state = TLS;
		epoll_ctl(w->epoll, EPOLL_CTL_MOD, c->fd, &ev);
	}
	int rc = SSL_do_handshake(c->ssl);
	if (rc != 1)
		return SSL_get_error(c->ssl, rc) == SSL_ERROR_WANT_READ ? 1 : -1;
	c->state = CONNECTING;
	if (!send_first(w, c))
		return -1;
	return read_all(w, c);
}

static void
on_event(struct worker *w, struct conn *c)
{
	ERR_clear_error();
	int rc = c->state <= TLS ? shake(w, c) : read_all(w, c);
	if (rc == 1 && c->state == UP && w->load->start > 0 && !send_telemetry(c))
		rc = -1;
	if (rc == 1 && w->load->mode == TELEMETRY && c->state == UP &&
	    c->acked == c->to_send)
		rc = 0;
	if (rc != 1)
		end_conn(w, c, rc == 0);
}

/* Runs until every connection is over, or up and not to be used yet. */
static void
run_until(struct worker *w, bool all_over)
{
	struct epoll_event got[128];
	size_t mine = w->end - w->next + w->open;
	for (;;) {
		while (w->next < w->end && w->opening < w->load->at_once / THREADS)
			open_next(w);
		if (all_over ? w->over == mine : w->next == w->end && w->opening == 0)
			return;
		int n = epoll_wait(w->epoll, got, 128, -1);
		for (int i = 0; i < n; i++)
			on_event(w, got[i].data.ptr);
	}
}

static void *
run(void *arg)
{
	struct worker *w = arg;
	struct load *l = w->load;
	if (l->mode < IDLE) {
		pthread_barrier_wait(&l->all_up);
		run_until(w, true);
		return NULL;
	}
	run_until(w, false);
	pthread_barrier_wait(&l->all_up);
	pthread_barrier_wait(&l->all_up); /* the clock runs */
	if (l->mode == IDLE)
		return NULL;
	for (size_t i = 0; i < w->open; i++)
		if (w->conns[i]->state == UP)
			on_event(w, w->conns[i]);
	run_until(w, true);
	return NULL;
}

/* ---- set-up and result ---- */

static void
load_device(struct device *d, const char *dir, size_t number)
{
	char path[4200];
	snprintf(d->id, sizeof(d->id), "dev-%06zu", number);
	snprintf(path, sizeof(path), "%s/%s-fullchain.pem", dir, d->id);
	FILE *f = fopen(path, "r");
	need(f != NULL, path);
	d->leaf = PEM_read_X509(f, NULL, NULL, NULL);
	d->issuer = PEM_read_X509(f, NULL, NULL, NULL);
	fclose(f);
	snprintf(path, sizeof(path), "%s/%s.key", dir, d->id);
	f = fopen(path, "r");
	need(f != NULL, path);
	d->key = PEM_read_PrivateKey(f, NULL, NULL, NULL);
	fclose(f);
	need(d->leaf && d->issuer && d->key, path);
}

struct loading {
	struct load *l;
	const char *dir;
	size_t from;
};

static void *
load_part(void *arg)
{
	struct loading *p = arg;
	for (size_t i = p->from; i < p->l->count; i += THREADS) {
		load_device(&p->l->devices[i], p->dir, p->l->first + i);
		if (p->l->mode == REENROLL)
			make_request(&p->l->devices[i]);
	}
	return NULL;
}

/* Before the clock starts: reading a key costs as much as half a handshake. */
static void
load_devices(struct load *l, const char *dir)
{
	pthread_t t[THREADS];
	struct loading parts[THREADS];
	l->devices = calloc(l->count, sizeof(*l->devices));
	for (size_t i = 0; i < THREADS; i++) {
		parts[i] = (struct loading){l, dir, i};
		need(pthread_create(&t[i], NULL, load_part, &parts[i]) == 0, "thread");
	}
	for (size_t i = 0; i < THREADS; i++)
		pthread_join(t[i], NULL);
}

static void
start_workers(struct load *l)
{
	pthread_barrier_init(&l->all_up, NULL, THREADS + 1);
	for (size_t i = 0; i < THREADS; i++) {
		struct worker *w = &l->workers[i];
		size_t from = l->count * i / THREADS, to = l->count * (i + 1) / THREADS;
		*w = (struct worker){.load = l, .next = from, .end = to};
		w->epoll = epoll_create1(0);
		w->conns = calloc(to - from + 1, sizeof(struct conn *));
		w->waits = calloc(l->messages + 1, sizeof(double));
		need(pthread_create(&w->thread, NULL, run, w) == 0, "thread");
	}
}

static int
by_size(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;
	return (x > y) - (x < y);
}

static int
report(struct load *l, double seconds)
{
	size_t failed = 0, n = 0;
	double *waits = calloc(l->messages + 1, sizeof(double));
	for (size_t i = 0; i < THREADS; i++) {
		struct worker *w = &l->workers[i];
		failed += w->failed;
		memcpy(waits + n, w->waits, w->n_waits * sizeof(double));
		n += w->n_waits;
	}
	qsort(waits, n, sizeof(double), by_size);
	printf("{\"count\":%zu,\"failed\":%zu,\"seconds\":%.4f,\"messages\":%zu,\"p50_"
	       "ms\":%.3f,"
	       "\"p99_ms\":%.3f}\n",
	    l->count, failed, seconds, n, n ? waits[n / 2] * 1e3 : 0,
	    n ? waits[n * 99 / 100] * 1e3 : 0);
	free(waits);
	return failed || (l->mode == TELEMETRY && n != l->messages / l->count * l->count);
}

static enum mode
mode_of(const char *s)
{
	static const char *const names[] = {
	    "handshake", "register", "reenroll", "idle", "watch", "telemetry"};
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (strcmp(s, names[i]) == 0)
			return (enum mode)i;
	fprintf(stderr, "bench-load: no mode '%s'\n", s);
	exit(2);
}

int
main(int argc, char **argv)
{
	static struct load l;
	if (argc < 8) {
		fputs("usage: bench-load MODE HOST PORT CERT_DIR FIRST COUNT AT_ONCE "
		      "[SCOPE | HUB] "
		      "[MESSAGES]\n",
		    stderr);
		return 2;
	}
	signal(SIGPIPE, SIG_IGN);
	l.mode = mode_of(argv[1]);
	l.to = (struct sockaddr_in){.sin_family = AF_INET,
	    .sin_port = htons((uint16_t)strtoul(argv[3], NULL, 10))};
	need(inet_pton(AF_INET, argv[2], &l.to.sin_addr) == 1, argv[2]);
	l.first = strtoul(argv[5], NULL, 10);
	l.count = strtoul(argv[6], NULL, 10);
	l.at_once = strtoul(argv[7], NULL, 10);
	l.name = argc > 8 ? argv[8] : "";
	l.messages = argc > 9 ? strtoul(argv[9], NULL, 10) : 0;
	need(l.count > 0 && l.at_once >= THREADS, "counts");
	l.tls = SSL_CTX_new(TLS_client_method());
	SSL_CTX_set_min_proto_version(l.tls, TLS1_3_VERSION);
	SSL_CTX_set_mode(l.tls, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_NO_AUTO_CHAIN);
	load_devices(&l, argv[4]);
	start_workers(&l);
	double start = now();
	pthread_barrier_wait(&l.all_up);
	if (l.mode >= IDLE) {
		printf("{\"up\":%zu,\"seconds\":%.4f}\n",
		    l.workers[0].open + l.workers[1].open - l.workers[0].failed -
			l.workers[1].failed,
		    now() - start);
		fflush(stdout);
		while (l.mode == IDLE && getchar() != EOF)
			;
		start = l.start = now();
		pthread_barrier_wait(&l.all_up);
	}
	if (l.mode == WATCH) {
		while (getchar() != EOF)
			;
		return 0;
	}
	for (size_t i = 0; i < THREADS; i++)
		pthread_join(l.workers[i].thread, NULL);
	return report(&l, now() - start);
}
