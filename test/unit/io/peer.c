/*
 * The blocking client and the throw-away certificate.
 */
#include "peer.h"

#include <netinet/in.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

struct peer {
	uint16_t port;
	bool tls;
	int fd;
	SSL_CTX *ctx;
	SSL *ssl;
	int (*client)(struct peer *p, void *arg);
	void *arg;
	int ret;
	atomic_bool done;
	struct loop_wake *wake;
};

static void *
run(void *arg)
{
	struct peer *p = arg;
	p->ret = p->client(p, p->arg);
	peer_close(p);
	SSL_CTX_free(p->ctx);
	atomic_store(&p->done, true);
	loop_wake_post(p->wake);
	return NULL;
}

static void
on_wake(void *arg)
{
	(void)arg; /* the loop looks at done */
}

int
peer_run(struct loop *l, uint16_t port, bool tls,
    int (*client)(struct peer *p, void *arg), void *arg, int settle_ms)
{
	struct err e;
	struct peer p = {
	    .port = port, .tls = tls, .fd = -1, .client = client, .arg = arg};
	p.wake = loop_wake_new(l, on_wake, NULL, &e);
	pthread_t t;
	if (!p.wake || pthread_create(&t, NULL, run, &p))
		return -1;
	while (!atomic_load(&p.done))
		if (loop_turn(l, 100, &e))
			return -1;
	pthread_join(t, NULL);
	loop_wake_free(p.wake);
	int64_t until = clock_mono_ms(&clock_system) + settle_ms;
	for (int64_t left; (left = until - clock_mono_ms(&clock_system)) > 0;)
		if (loop_turn(l, left, &e))
			return -1;
	return p.ret;
}

bool
peer_connect_tcp(struct peer *p)
{
	struct sockaddr_in a = {.sin_family = AF_INET,
	    .sin_port = htons(p->port),
	    .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	struct timeval two = {2, 0};
	p->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	return p->fd >= 0 &&
	       setsockopt(p->fd, SOL_SOCKET, SO_RCVTIMEO, &two, sizeof(two)) == 0 &&
	       connect(p->fd, (struct sockaddr *)&a, sizeof(a)) == 0;
}

bool
peer_connect(struct peer *p)
{
	if (!peer_connect_tcp(p))
		return false;
	if (!p->tls)
		return true;
	if (!p->ctx)
		p->ctx = SSL_CTX_new(TLS_client_method());
	p->ssl = SSL_new(p->ctx);
	return SSL_set_fd(p->ssl, p->fd) == 1 && SSL_connect(p->ssl) == 1;
}

bool
peer_send(struct peer *p, const void *bytes, size_t len)
{
	if (p->ssl)
		return SSL_write(p->ssl, bytes, (int)len) == (int)len;
	return send(p->fd, bytes, len, MSG_NOSIGNAL) == (ssize_t)len;
}

bool
peer_say(struct peer *p, const char *text)
{
	return peer_send(p, text, strlen(text));
}

static ssize_t
read_some(struct peer *p, char *out, size_t n)
{
	return p->ssl ? SSL_read(p->ssl, out, (int)n) : recv(p->fd, out, n, 0);
}

size_t
peer_recv(struct peer *p, char *out, size_t n)
{
	size_t got = 0;
	for (ssize_t r; got < n && (r = read_some(p, out + got, n - got)) > 0;)
		got += (size_t)r;
	return got;
}

bool
peer_is_closed(struct peer *p)
{
	char c;
	ssize_t n = read_some(p, &c, 1);
	if (p->ssl)
		return SSL_get_error(p->ssl, (int)n) == SSL_ERROR_ZERO_RETURN;
	return n == 0;
}

void
peer_close(struct peer *p)
{
	SSL_free(p->ssl);
	p->ssl = NULL;
	own_close(&p->fd);
}

int
peer_fd(const struct peer *p)
{
	return p->fd;
}

static bool
pem_of(BIO *b, struct buf *out)
{
	char *p;
	long len = BIO_get_mem_data(b, &p);
	buf_put(out, p, (size_t)len);
	BIO_free(b);
	return len > 0;
}

struct tls_server *
peer_tls_server(void)
{
	struct err e;
	EVP_PKEY *k = EVP_EC_gen("P-256");
	X509 *x = X509_new();
	X509_NAME *name = X509_get_subject_name(x);
	X509_set_version(x, X509_VERSION_3);
	ASN1_INTEGER_set(X509_get_serialNumber(x), 4711);
	X509_gmtime_adj(X509_getm_notBefore(x), -60);
	X509_gmtime_adj(X509_getm_notAfter(x), 3600);
	X509_NAME_add_entry_by_txt(
	    name, "CN", MBSTRING_ASC, (const uint8_t *)"test", -1, -1, 0);
	X509_set_issuer_name(x, name);
	X509_set_pubkey(x, k);
	X509_sign(x, k, EVP_sha256());
	BIO *cert = BIO_new(BIO_s_mem()), *key = BIO_new(BIO_s_mem());
	PEM_write_bio_X509(cert, x);
	PEM_write_bio_PrivateKey(key, k, NULL, NULL, 0, NULL, NULL);
	X509_free(x);
	EVP_PKEY_free(k);
	auto_buf cert_pem = BUF_INIT(8192);
	auto_buf key_pem = BUF_INIT(8192);
	if (!pem_of(cert, &cert_pem) || !pem_of(key, &key_pem))
		return NULL;
	auto_(key_free) struct key *mine =
	    key_parse(buf_span(&key_pem), NULL, NULL, "test", &e);
	return mine ? tls_server_new(buf_span(&cert_pem), mine, &e) : NULL;
}
