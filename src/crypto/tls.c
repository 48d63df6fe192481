/*
 * TLS contexts for both sides, on OpenSSL.
 */
#include "crypto/tls.h"

#include <arpa/inet.h>
#include <assert.h>
#include <time.h>

#include "crypto/ossl.h"
#include "crypto/tls_ticket.h"

#define PEER_BYTES_MAX (64 * 1024) /* of certificates in one handshake */

/* Forward secret AEAD only. TLS 1.3 has nothing else. */
#define SUITES "ECDHE+AESGCM:ECDHE+CHACHA20"

int
tls_error(struct err *e, enum err_code code, const char *context)
{
	return ossl_error(e, code, "%s", context);
}

/* --- start-up --- */

static int
check_version(struct err *e)
{
	unsigned v = OPENSSL_version_major() << 16 | OPENSSL_version_minor() << 8 |
		     OPENSSL_version_patch();
	if (v >= (3u << 16 | 0u << 8 | 17u))
		return 0;
	return err_set(e, ERR_UNSUPPORTED,
	    "OpenSSL %s is too old: %s or newer is needed; upgrade libssl3",
	    OpenSSL_version(OPENSSL_VERSION_STRING), TLS_OPENSSL_MIN);
}

/* A key, a signature, randomness of both kinds: what a handshake fetches on first use. */
static int
warm_up(struct err *e)
{
	uint8_t b[16], sig[KEY_SIG_MAX];
	size_t len;
	auto_(key_free) struct key *k = key_generate(KEY_P256, e);
	if (!k || key_sign(k, span_of(b, 0), sig, &len, e) < 0)
		return -1;
	auto_(SSL_CTX_free) SSL_CTX *server = SSL_CTX_new(TLS_server_method());
	auto_(SSL_CTX_free) SSL_CTX *client = SSL_CTX_new(TLS_client_method());
	if (!server || !client || RAND_bytes(b, sizeof(b)) != 1 ||
	    RAND_priv_bytes(b, sizeof(b)) != 1)
		return ossl_error(e, ERR_CRYPTO, "OpenSSL");
	return 0;
}

int
tls_init(struct err *e)
{
	if (check_version(e) < 0)
		return -1;
	/* libcrypto's and our own uses of the calendar would read /etc/localtime on first
	 * use */
	tzset();
	if (OPENSSL_init_ssl(OPENSSL_INIT_LOAD_CONFIG | OPENSSL_INIT_LOAD_SSL_STRINGS |
				 OPENSSL_INIT_LOAD_CRYPTO_STRINGS,
		NULL) != 1)
		return ossl_error(e, ERR_CRYPTO, "OpenSSL cannot be initialised");
	ossl_algs();
	return warm_up(e);
}

/* --- what both sides share --- */

/* Leaf, chain and key into ctx. OpenSSL checks that key and leaf belong together. */
static int
use_chain(SSL_CTX *ctx, struct span pem, struct key *key, struct err *e)
{
	auto_cert_list l = {.n = 0};
	if (cert_list_parse(pem, "certificate chain", &l, e) < 0)
		return -1;
	if (!key_is_spki(key, l.v[0]->spki))
		return err_set(e, ERR_CRYPTO,
		    "the certificate of '%s' is not of this key", l.v[0]->cn);
	if (SSL_CTX_use_certificate(ctx, l.v[0]->x509) != 1 ||
	    SSL_CTX_use_PrivateKey(ctx, key_evp(key)) != 1)
		return ossl_error(e, ERR_CRYPTO, "the certificate of '%s'", l.v[0]->cn);
	for (size_t i = 1; i < l.n; i++)
		if (SSL_CTX_add1_chain_cert(ctx, l.v[i]->x509) != 1)
			return ossl_error(e, ERR_CRYPTO, "the chain's '%s'", l.v[i]->cn);
	return 0;
}

static int
set_rules(SSL_CTX *ctx)
{
	SSL_CTX_set_security_level(ctx, 2);
	SSL_CTX_set_options(ctx, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
	return SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION) == 1 &&
	       SSL_CTX_set_cipher_list(ctx, SUITES) == 1;
}

static SSL_CTX *
new_ctx(const SSL_METHOD *method, struct err *e)
{
	auto_(SSL_CTX_free) SSL_CTX *ctx = SSL_CTX_new(method);
	if (!ctx || set_rules(ctx) != 1) {
		ossl_error(e, ERR_CRYPTO, "TLS context");
		return NULL;
	}
	SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_NO_AUTO_CHAIN |
				  SSL_MODE_ENABLE_PARTIAL_WRITE |
				  SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	return TAKE(ctx);
}

/* --- server --- */

struct tls_server {
	SSL_CTX *ctx;
	struct tls_ticket_keys tickets; /* what each new ctx begins with */
};

/* Any certificate will do: CertificateVerify has proved its key, chain.h judges it later.
 * Nothing is built here, so OpenSSL keeps no verified chain. */
static int
on_peer_chain(X509_STORE_CTX *ctx, void *arg)
{
	STACK_OF(X509) *sent = X509_STORE_CTX_get0_untrusted(ctx);
	bool fits = !sent || sk_X509_num(sent) <= TLS_PEER_MAX;
	X509_STORE_CTX_set_error(ctx, fits ? X509_V_OK : X509_V_ERR_CERT_CHAIN_TOO_LONG);
	tls_ticket_fits(
	    X509_STORE_CTX_get_ex_data(ctx, SSL_get_ex_data_X509_STORE_CTX_idx()), ctx);
	return fits;
}

/* No sessions in memory; tickets where there are keys for them. */
static SSL_CTX *
server_ctx(struct span pem, struct key *key, const struct tls_ticket_keys *tickets,
    struct err *e)
{
	static const unsigned char context[] = "muster";
	auto_(SSL_CTX_free) SSL_CTX *ctx = new_ctx(TLS_server_method(), e);
	if (!ctx || use_chain(ctx, pem, key, e) < 0)
		return NULL;
	SSL_CTX_set_options(ctx, SSL_OP_CIPHER_SERVER_PREFERENCE);
	SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
	SSL_CTX_set_max_cert_list(ctx, PEER_BYTES_MAX);
	SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, NULL);
	SSL_CTX_set_cert_verify_callback(ctx, on_peer_chain, NULL);
	if (tls_ticket_use(ctx, tickets, e) < 0)
		return NULL;
	if (SSL_CTX_set_num_tickets(ctx, 0) == 1 &&
	    SSL_CTX_set_session_id_context(ctx, context, sizeof(context) - 1) == 1)
		return TAKE(ctx);
	ossl_error(e, ERR_CRYPTO, "TLS context");
	return NULL;
}

struct tls_server *
tls_server_new(struct span chain_pem, struct key *key, struct err *e)
{
	struct tls_server *t = own_alloc(sizeof(*t));
	t->ctx = server_ctx(chain_pem, key, &t->tickets, e);
	if (t->ctx)
		return t;
	tls_server_free(t);
	return NULL;
}

int
tls_server_replace(
    struct tls_server *t, struct span chain_pem, struct key *key, struct err *e)
{
	SSL_CTX *ctx = server_ctx(chain_pem, key, &t->tickets, e);
	if (!ctx)
		return -1;
	SSL_CTX_free(t->ctx); /* live connections hold their own reference */
	t->ctx = ctx;
	return 0;
}

int
tls_server_add(
    struct tls_server *t, struct span chain_pem, struct key *key, struct err *e)
{
	return use_chain(t->ctx, chain_pem, key, e);
}

void
tls_server_free(struct tls_server *t)
{
	if (!t)
		return;
	SSL_CTX_free(t->ctx);
	own_wipe(t, sizeof(*t));
	free(t);
}

static void
take_key(struct span from, struct tls_ticket_key *to)
{
	static_assert(sizeof(*to) == TLS_TICKET_KEY, "no padding");
	assert(from.len == sizeof(*to));
	memcpy(to, from.p, sizeof(*to));
}

void
tls_server_tickets(struct tls_server *t, struct span now, struct span before)
{
	take_key(now, &t->tickets.now);
	take_key(before.len ? before : now, &t->tickets.before);
	t->tickets.valid = true;
	tls_ticket_keys(t->ctx, &t->tickets);
}

void
tls_offer_ticket(SSL *ssl)
{
	if (!(SSL_get_options(ssl) & SSL_OP_NO_TICKET))
		(void)SSL_set_num_tickets(ssl, 1);
}

SSL *
tls_server_ssl(struct tls_server *t, struct err *e)
{
	SSL *ssl = SSL_new(t->ctx);
	if (!ssl) {
		ossl_error(e, ERR_CRYPTO, "TLS connection");
		return NULL;
	}
	SSL_set_accept_state(ssl);
	if (!t->tickets.valid)
		tls_ticket_none(ssl);
	return ssl;
}

SSL_CTX *
tls_server_ctx(struct tls_server *t)
{
	return t->ctx;
}

/* --- client --- */

struct tls_client {
	SSL_CTX *ctx;
	bool is_floor;
};

static int
trust(SSL_CTX *ctx, struct span roots_pem, struct err *e)
{
	auto_cert_list l = {.n = 0};
	if (!roots_pem.len) {
		if (SSL_CTX_set_default_verify_paths(ctx) == 1)
			return 0;
		return ossl_error(e, ERR_CRYPTO, "the system's trust store");
	}
	if (cert_list_parse(roots_pem, "trust anchors", &l, e) < 0)
		return -1;
	X509_STORE *store = SSL_CTX_get_cert_store(ctx);
	for (size_t i = 0; i < l.n; i++)
		if (X509_STORE_add_cert(store, l.v[i]->x509) != 1)
			return ossl_error(e, ERR_CRYPTO, "trust anchor '%s'", l.v[i]->cn);
	/* what the operator lists is trusted, intermediates too */
	X509_STORE_set_flags(store, X509_V_FLAG_PARTIAL_CHAIN);
	return 0;
}

/* Judges at the leaf's notBefore where that is later than the earliest it can be. What
 * the leaf says of itself is believed only as far as its chain verifies at that time. */
static int
on_server_chain(X509_STORE_CTX *ctx, void *arg)
{
	struct tm tm;
	X509 *leaf = X509_STORE_CTX_get0_cert(ctx);
	time_t at = X509_VERIFY_PARAM_get_time(X509_STORE_CTX_get0_param(ctx));
	if (!leaf || ASN1_TIME_to_tm(X509_get0_notBefore(leaf), &tm) != 1) {
		X509_STORE_CTX_set_error(ctx, X509_V_ERR_ERROR_IN_CERT_NOT_BEFORE_FIELD);
		return 0;
	}
	time_t begins = timegm(&tm);
	X509_STORE_CTX_set_time(ctx, 0, begins > at ? begins : at);
	return X509_verify_cert(ctx);
}

static void
set_time(SSL_CTX *ctx, const struct tls_client_options *o)
{
	if (o->now_ms)
		X509_VERIFY_PARAM_set_time(
		    SSL_CTX_get0_param(ctx), (time_t)(o->now_ms / 1000));
	if (o->is_floor)
		SSL_CTX_set_cert_verify_callback(ctx, on_server_chain, NULL);
}

struct tls_client *
tls_client_new(const struct tls_client_options *o, struct err *e)
{
	auto_(SSL_CTX_free) SSL_CTX *ctx = new_ctx(TLS_client_method(), e);
	if (!ctx || trust(ctx, o->roots_pem, e) < 0)
		return NULL;
	if (o->key && use_chain(ctx, o->chain_pem, o->key, e) < 0)
		return NULL;
	SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, NULL);
	set_time(ctx, o);
	struct tls_client *t = own_alloc(sizeof(*t));
	t->ctx = TAKE(ctx);
	t->is_floor = o->is_floor;
	return t;
}

void
tls_client_free(struct tls_client *t)
{
	if (!t)
		return;
	SSL_CTX_free(t->ctx);
	free(t);
}

static bool
is_address(const char *host)
{
	uint8_t ip[16];
	return inet_pton(AF_INET, host, ip) == 1 || inet_pton(AF_INET6, host, ip) == 1;
}

/* The name that must stand in the server's SAN; never its CN (RFC 9525 2). */
static int
expect_host(SSL *ssl, const char *host)
{
	SSL_set_hostflags(ssl,
	    X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS | X509_CHECK_FLAG_NEVER_CHECK_SUBJECT);
	if (is_address(host)) /* no SNI for addresses (RFC 6066 3) */
		return X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), host);
	return SSL_set1_host(ssl, host) == 1 && SSL_set_tlsext_host_name(ssl, host) == 1;
}

SSL *
tls_client_ssl(struct tls_client *t, const char *host, struct err *e)
{
	auto_(SSL_free) SSL *ssl = SSL_new(t->ctx);
	if (!ssl || !host[0] || expect_host(ssl, host) != 1) {
		ossl_error(e, ERR_USAGE, "TLS connection to '%.100s'", host);
		return NULL;
	}
	SSL_set_connect_state(ssl);
	return TAKE(ssl);
}

int
tls_client_pin_host(struct tls_client *t, const char *host, struct err *e)
{
	/* every SSL made from the context inherits this */
	X509_VERIFY_PARAM *p = SSL_CTX_get0_param(t->ctx);
	X509_VERIFY_PARAM_set_hostflags(p,
	    X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS | X509_CHECK_FLAG_NEVER_CHECK_SUBJECT);
	int ok = is_address(host) ? X509_VERIFY_PARAM_set1_ip_asc(p, host)
				  : X509_VERIFY_PARAM_set1_host(p, host, 0);
	if (!host[0] || ok != 1)
		return ossl_error(e, ERR_USAGE, "TLS connections to '%.100s'", host);
	return 0;
}

SSL_CTX *
tls_client_ctx(struct tls_client *t)
{
	return t->ctx;
}

static int
copy_credential(SSL_CTX *from, SSL_CTX *to)
{
	STACK_OF(X509) *chain = NULL;
	X509 *leaf = SSL_CTX_get0_certificate(from);
	if (!leaf)
		return 1;
	return SSL_CTX_get0_chain_certs(from, &chain) == 1 &&
	       SSL_CTX_use_certificate(to, leaf) == 1 &&
	       SSL_CTX_use_PrivateKey(to, SSL_CTX_get0_privatekey(from)) == 1 &&
	       SSL_CTX_set1_chain(to, chain) == 1;
}

int
tls_client_apply(const struct tls_client *t, SSL_CTX *ctx, struct err *e)
{
	SSL_CTX_set1_cert_store(ctx, SSL_CTX_get_cert_store(t->ctx));
	if (set_rules(ctx) != 1 || copy_credential(t->ctx, ctx) != 1 ||
	    SSL_CTX_set1_param(ctx, SSL_CTX_get0_param(t->ctx)) != 1)
		return ossl_error(e, ERR_CRYPTO, "TLS context");
	SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, NULL);
	if (t->is_floor)
		SSL_CTX_set_cert_verify_callback(ctx, on_server_chain, NULL);
	return 0;
}

/* --- a finished handshake --- */

void
tls_ssl_free(SSL *ssl)
{
	SSL_free(ssl);
}

static int
add_peer(struct cert_list *l, X509 *x, struct err *e)
{
	struct cert *c = cert_of_x509(x, e);
	return c ? cert_list_add(l, c, e) : -1;
}

int
tls_peer_chain(SSL *ssl, struct cert_list *ret, struct err *e)
{
	auto_cert_list l = {.n = 0};
	X509 *leaf = SSL_get0_peer_certificate(ssl);
	STACK_OF(X509) *sent = SSL_get_peer_cert_chain(ssl);
	if (leaf && add_peer(&l, leaf, e) < 0)
		return err_wrap(e, "the peer's certificate");
	/* a client's view of the chain begins with the leaf, a server's does not */
	for (int i = SSL_is_server(ssl) ? 0 : 1; leaf && i < sk_X509_num(sent); i++)
		if (add_peer(&l, sk_X509_value(sent, i), e) < 0)
			return err_wrap(e, "the peer's chain");
	if (leaf && SSL_is_server(ssl) && tls_ticket_chain(ssl, &l, e) < 0)
		return err_wrap(e, "the peer's chain");
	*ret = l;
	l.n = 0;
	return 0;
}

void
tls_forget_peer(SSL *ssl)
{
	STACK_OF(X509) *sent = SSL_get_peer_cert_chain(ssl);
	while (sk_X509_num(sent) > 0)
		X509_free(sk_X509_pop(sent));
}

/* RFC 5929 3.1: the first Finished message of the handshake: the client's in a full one,
 * the server's in a resumed one. There is only one handshake: renegotiation is off. */
static size_t
first_finished(SSL *ssl, uint8_t out[TLS_BINDING_MAX])
{
	bool by_client = !SSL_session_reused(ssl);
	bool own = by_client != (bool)SSL_is_server(ssl);
	size_t len = own ? SSL_get_finished(ssl, out, TLS_BINDING_MAX)
			 : SSL_get_peer_finished(ssl, out, TLS_BINDING_MAX);
	return len <= TLS_BINDING_MAX ? len : 0;
}

/* RFC 9266 2: 32 bytes, the context is there and empty. */
static size_t
exported(SSL *ssl, uint8_t out[TLS_BINDING_MAX])
{
	static const char label[] = "EXPORTER-Channel-Binding";
	static const unsigned char none[1];
	int ok = SSL_export_keying_material(
	    ssl, out, 32, label, sizeof(label) - 1, none, 0, 1);
	return ok == 1 ? 32 : 0;
}

int
tls_channel_binding(SSL *ssl, enum tls_binding which, uint8_t out[TLS_BINDING_MAX],
    size_t *ret_len, struct err *e)
{
	bool v13 = SSL_version(ssl) >= TLS1_3_VERSION;
	if (which == TLS_UNIQUE && v13)
		return err_set(e, ERR_UNSUPPORTED, "TLS 1.3 has no tls-unique");
	if (!v13 && SSL_get_extms_support(ssl) != 1)
		return err_set(e, ERR_UNSUPPORTED,
		    "no channel binding without the extended master secret (RFC 7627)");
	size_t len = which == TLS_UNIQUE ? first_finished(ssl, out) : exported(ssl, out);
	if (!len)
		return ossl_error(e, ERR_CRYPTO, "channel binding");
	*ret_len = len;
	return 0;
}

const char *
tls_version(const SSL *ssl)
{
	return SSL_get_version(ssl);
}

const char *
tls_cipher(const SSL *ssl)
{
	return SSL_get_cipher_name(ssl);
}

bool
tls_resumed(const SSL *ssl)
{
	return SSL_session_reused(ssl) == 1;
}

const char *
tls_sni(const SSL *ssl)
{
	return SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
}
