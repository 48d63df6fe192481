#include "forge.h"

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

static void
must(bool ok, const char *what)
{
	if (!ok)
		fail_msg("forging a certificate: %s", what);
}

static void
add_ext(X509 *x, X509 *issuer, const char *name, const char *value)
{
	X509V3_CTX c;
	if (!value)
		return;
	X509V3_set_ctx_nodb(&c);
	X509V3_set_ctx(&c, issuer, x, NULL, NULL, 0);
	X509_EXTENSION *ext = X509V3_EXT_nconf(NULL, &c, name, value);
	must(ext && X509_add_ext(x, ext, -1), name);
	X509_EXTENSION_free(ext);
}

static void
set_name(X509 *x, const char *cn)
{
	X509_NAME *n = X509_get_subject_name(x);
	must(X509_NAME_add_entry_by_txt(
		 n, "O", MBSTRING_UTF8, (const unsigned char *)"Forge", -1, -1, 0),
	    "O");
	if (cn)
		must(X509_NAME_add_entry_by_txt(
			 n, "CN", MBSTRING_UTF8, (const unsigned char *)cn, -1, -1, 0),
		    "CN");
}

static void
set_fields(X509 *x, const struct forge *f)
{
	static int serial = 1000;
	must(X509_set_version(x, f->version ? f->version - 1 : 2), "version");
	ASN1_INTEGER_set(X509_get_serialNumber(x), f->zero_serial ? 0 : serial++);
	if (f->negative_serial)
		ASN1_INTEGER_set(X509_get_serialNumber(x), -17);
	ASN1_TIME_set(X509_getm_notBefore(x), f->from_s ? f->from_s : NOW_S - 3600);
	ASN1_TIME_set(X509_getm_notAfter(x), f->to_s ? f->to_s : NOW_S + 30 * FORGE_DAY);
	set_name(x, f->cn);
}

static void
set_extensions(X509 *x, X509 *issuer, const struct forge *f)
{
	if (f->version == 1)
		return;
	add_ext(x, issuer, "basicConstraints", f->basic);
	add_ext(x, issuer, "keyUsage", f->usage);
	add_ext(x, issuer, "extendedKeyUsage", f->eku);
	if (!f->no_ids) {
		add_ext(x, issuer, "subjectKeyIdentifier", "hash");
		add_ext(x, issuer, "authorityKeyIdentifier", "keyid:always");
	}
	if (f->nid_name)
		add_ext(x, issuer, f->nid_name, f->nid_value);
	if (f->twice)
		add_ext(x, issuer, f->nid_name, f->nid_value);
}

static EVP_PKEY *
fresh(const struct forge *f)
{
	if (f->rsa_bits)
		return EVP_PKEY_Q_keygen(NULL, NULL, "RSA", (size_t)f->rsa_bits);
	return EVP_PKEY_Q_keygen(NULL, NULL, "EC", f->curve ? f->curve : "P-256");
}

/* Our struct key around an EVP_PKEY, by way of PEM; NULL for a kind ours refuses. */
static struct key *
wrap(EVP_PKEY *p)
{
	BIO *b = BIO_new(BIO_s_mem());
	char *text;
	must(PEM_write_bio_PrivateKey(b, p, NULL, NULL, 0, NULL, NULL) == 1, "key");
	long n = BIO_get_mem_data(b, &text);
	struct key *k = key_parse(span_of(text, (size_t)n), NULL, NULL, "forged", NULL);
	BIO_free(b);
	return k;
}

static struct cert *
reparse(X509 *x, bool refused)
{
	struct err e = {0};
	unsigned char *der = NULL;
	int n = i2d_X509(x, &der);
	must(n > 0, "DER");
	struct cert *c = cert_parse(span_of(der, (size_t)n), &e);
	must(!c == refused, refused ? "it was parsed" : e.text);
	OPENSSL_free(der);
	return c;
}

struct party
forge(const struct forge *f)
{
	EVP_PKEY *p = f->key ? key_evp(f->key) : fresh(f);
	X509 *x = X509_new(), *issuer = f->issuer ? f->issuer->cert->x509 : x;
	must(p && x, "key");
	set_fields(x, f);
	must(X509_set_issuer_name(x, X509_get_subject_name(issuer)), "issuer");
	must(X509_set_pubkey(x, p), "key");
	set_extensions(x, issuer, f);
	EVP_PKEY *by = f->issuer ? key_evp(f->issuer->key) : p;
	must(X509_sign(x, by, EVP_get_digestbyname(f->hash ? f->hash : "SHA256")) > 0,
	    "sign");
	struct party out = {
	    .key = f->key ? key_ref(f->key) : wrap(p), .cert = reparse(x, f->refused)};
	X509_free(x);
	if (!f->key)
		EVP_PKEY_free(p);
	return out;
}

void
party_done(struct party *p)
{
	key_free(p->key);
	cert_free(p->cert);
	*p = (struct party){0};
}

struct party
forge_root(const char *cn)
{
	return forge(&(struct forge){.cn = cn,
	    .basic = "critical,CA:TRUE",
	    .usage = "critical,keyCertSign,cRLSign"});
}

struct party
forge_ca(const char *cn, const struct party *issuer)
{
	return forge(&(struct forge){.cn = cn,
	    .issuer = issuer,
	    .basic = "critical,CA:TRUE,pathlen:0",
	    .usage = "critical,keyCertSign,cRLSign"});
}

struct party
forge_leaf(const char *cn, const struct party *issuer)
{
	return forge(&(struct forge){.cn = cn,
	    .issuer = issuer,
	    .basic = "critical,CA:FALSE",
	    .usage = "critical,digitalSignature",
	    .eku = "clientAuth"});
}
