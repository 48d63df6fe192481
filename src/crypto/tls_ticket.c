/*
 * Tickets: AES-256-CBC and HMAC-SHA256 under keys that all edges of a server share (RFC
 * 5077 4), with the client's intermediates as application data, since OpenSSL keeps of a
 * chain the leaf alone.
 */
#include "crypto/tls_ticket.h"

#include <stdlib.h>

#include <openssl/core_names.h>
#include <openssl/evp.h>

#include "base/own.h"
#include "codec/der.h"
#include "crypto/ossl.h"

/* Of intermediates in a ticket. It comes back in a ClientHello, which should fit into a
 * few packets; three EC certificates or two of RSA do. */
#define CHAIN_MAX 3072

static void
on_ctx_freed(void *parent, void *p, CRYPTO_EX_DATA *ad, int idx, long argl, void *argp)
{
	(void)parent, (void)ad, (void)idx, (void)argl, (void)argp;
	if (p)
		own_wipe(p, sizeof(struct tls_ticket_keys));
	free(p);
}

/* Where a context keeps its keys: connections may outlive whoever made it. */
static int
keys_slot(void)
{
	static int slot = -1;
	if (slot < 0)
		slot = SSL_CTX_get_ex_new_index(0, NULL, NULL, NULL, on_ctx_freed);
	return slot;
}

static struct tls_ticket_keys *
keys_in(SSL_CTX *ctx)
{
	return SSL_CTX_get_ex_data(ctx, keys_slot());
}

static const struct tls_ticket_keys *
keys_of(SSL *ssl)
{
	return keys_in(SSL_get_SSL_CTX(ssl));
}

static int
use_mac(EVP_MAC_CTX *mac, const struct tls_ticket_key *k)
{
	char digest[] = "SHA256";
	OSSL_PARAM params[] = {OSSL_PARAM_construct_octet_string(OSSL_MAC_PARAM_KEY,
				   (void *)(uintptr_t)k->hmac, sizeof(k->hmac)),
	    OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0),
	    OSSL_PARAM_construct_end()};
	return EVP_MAC_CTX_set_params(mac, params);
}

static int
seal(const struct tls_ticket_keys *keys, unsigned char *name, unsigned char *iv,
    EVP_CIPHER_CTX *cipher, EVP_MAC_CTX *mac)
{
	const struct tls_ticket_key *k = &keys->now;
	memcpy(name, k->name, sizeof(k->name));
	if (RAND_bytes(iv, EVP_CIPHER_get_iv_length(EVP_aes_256_cbc())) != 1 ||
	    EVP_EncryptInit_ex(cipher, EVP_aes_256_cbc(), NULL, k->aes, iv) != 1 ||
	    use_mac(mac, k) != 1)
		return -1;
	return 1;
}

/* 1: ours; 2: ours, of the key before, so a new one is due; 0: not ours. */
static int
unseal(const struct tls_ticket_keys *keys, const unsigned char *name,
    const unsigned char *iv, EVP_CIPHER_CTX *cipher, EVP_MAC_CTX *mac)
{
	const struct tls_ticket_key *k = &keys->now;
	if (memcmp(name, k->name, sizeof(k->name)) != 0)
		k = &keys->before;
	if (memcmp(name, k->name, sizeof(k->name)) != 0)
		return 0;
	if (use_mac(mac, k) != 1 ||
	    EVP_DecryptInit_ex(cipher, EVP_aes_256_cbc(), NULL, k->aes, iv) != 1)
		return -1;
	return k == &keys->now ? 1 : 2;
}

/* Whether certificates, from the i-th on, can be carried. */
static bool
fits(STACK_OF(X509) * certs, int i)
{
	size_t size = 0;
	for (; i < sk_X509_num(certs); i++)
		size += (size_t)i2d_X509(sk_X509_value(certs, i), NULL);
	return size <= CHAIN_MAX;
}

/* A ticket of TLS 1.2 was promised before the chain was seen: an empty one then (RFC 5077
 * 3.3). */
static int
on_key(SSL *ssl, unsigned char *name, unsigned char *iv, EVP_CIPHER_CTX *cipher,
    EVP_MAC_CTX *mac, int enc)
{
	const struct tls_ticket_keys *keys = keys_of(ssl);
	if (enc && !fits(SSL_get_peer_cert_chain(ssl), 0))
		return 0;
	return enc ? seal(keys, name, iv, cipher, mac)
		   : unseal(keys, name, iv, cipher, mac);
}

static int
put_chain(STACK_OF(X509) * sent, struct buf *out)
{
	for (int i = 0; i < sk_X509_num(sent); i++) {
		unsigned char *der = NULL;
		int len = i2d_X509(sk_X509_value(sent, i), &der);
		if (len < 0)
			return 0;
		buf_put(out, der, (size_t)len);
		OPENSSL_free(der);
	}
	return !out->bad;
}

/* One that is renewed has its data already. */
static int
on_made(SSL *ssl, void *arg)
{
	(void)arg;
	auto_buf chain = BUF_INIT(CHAIN_MAX);
	STACK_OF(X509) *sent = SSL_get_peer_cert_chain(ssl);
	if (SSL_session_reused(ssl) || !fits(sent, 0))
		return 1;
	if (!put_chain(sent, &chain))
		return 0;
	return SSL_SESSION_set1_ticket_appdata(SSL_get_session(ssl), chain.p, chain.len);
}

static SSL_TICKET_RETURN
on_read(SSL *ssl, SSL_SESSION *session, const unsigned char *name, size_t len,
    SSL_TICKET_STATUS status, void *arg)
{
	(void)ssl, (void)session, (void)name, (void)len, (void)arg;
	switch (status) {
	case SSL_TICKET_SUCCESS:
		return SSL_TICKET_RETURN_USE;
	case SSL_TICKET_SUCCESS_RENEW:
		return SSL_TICKET_RETURN_USE_RENEW;
	case SSL_TICKET_EMPTY:
	case SSL_TICKET_NO_DECRYPT:
		return SSL_TICKET_RETURN_IGNORE_RENEW;
	default:
		return SSL_TICKET_RETURN_ABORT;
	}
}

void
tls_ticket_keys(SSL_CTX *ctx, const struct tls_ticket_keys *keys)
{
	*keys_in(ctx) = *keys;
}

int
tls_ticket_use(SSL_CTX *ctx, const struct tls_ticket_keys *keys, struct err *e)
{
	struct tls_ticket_keys *mine = own_alloc(sizeof(*mine));
	*mine = *keys;
	if (SSL_CTX_set_ex_data(ctx, keys_slot(), mine) != 1) {
		free(mine);
		return ossl_error(e, ERR_CRYPTO, "TLS tickets");
	}
	SSL_CTX_set_timeout(ctx, TLS_TICKET_LIFE_S);
	if (SSL_CTX_set_tlsext_ticket_key_evp_cb(ctx, on_key) == 1 &&
	    SSL_CTX_set_session_ticket_cb(ctx, on_made, on_read, NULL) == 1)
		return 0;
	return ossl_error(e, ERR_CRYPTO, "TLS tickets");
}

void
tls_ticket_none(SSL *ssl)
{
	SSL_set_options(ssl, SSL_OP_NO_TICKET);
	(void)SSL_set_num_tickets(ssl, 0);
}

void
tls_ticket_fits(SSL *ssl, X509_STORE_CTX *sent)
{
	if (!fits(X509_STORE_CTX_get0_untrusted(sent), 1)) /* the leaf is the first */
		tls_ticket_none(ssl);
}

static int
add_ders(struct cert_list *l, struct span ders, struct err *e)
{
	struct der_tlv one;
	while (ders.len) {
		if (der_next(&ders, &one, e))
			return -1;
		struct cert *c = cert_parse(one.whole, e);
		if (!c || cert_list_add(l, c, e) < 0)
			return -1;
	}
	return 0;
}

int
tls_ticket_chain(SSL *ssl, struct cert_list *l, struct err *e)
{
	void *data = NULL;
	size_t len = 0;
	if (!SSL_session_reused(ssl))
		return 0;
	if (SSL_SESSION_get0_ticket_appdata(SSL_get_session(ssl), &data, &len) != 1)
		return ossl_error(e, ERR_CRYPTO, "the session's chain");
	return add_ders(l, span_of(data, len), e);
}
