/*
 * Building a revocation list of so many entries, by muster's crypto/crl.h and by
 * OpenSSL's X509_CRL as `openssl ca -gencrl` uses it: an X509_REVOKED an entry, sorted,
 * signed, encoded. Both get the same entries, in order, and sign with the same P-256 key.
 *
 * usage: bench-crl ours|openssl full|delta ENTRIES TIMES
 * Prints one JSON object: seconds of one list (the mean), its bytes.
 */
#include <openssl/x509v3.h>
#include <stdio.h>
#include <time.h>

#include "crypto/crl.h"

#define NOW_S INT64_C(1795300000)
#define URL   "http://pki.example.net/crl/3.crl"

struct job {
	struct issuer *issuer;
	struct crl_entry *entries;
	size_t n;
	bool delta;
};

static struct err e;

static void
need(bool ok, const char *what)
{
	if (ok)
		return;
	fprintf(stderr, "bench-crl: %s: %s\n", what, e.text);
	exit(1);
}

static struct issuer *
make_issuer(void)
{
	auto_(key_free) struct key *k = key_generate(KEY_P256, &e);
	auto_buf der = BUF_INIT(CERT_MAX), pem = BUF_INIT(CERT_PEM_MAX);
	need(k && issuer_self_sign(k, "Bench CA", NULL, NOW_S, 0, &der, &e) == 0, "CA");
	cert_write_pem(buf_span(&der), &pem);
	struct issuer *i = issuer_new(buf_span(&pem), k, &e);
	need(i != NULL, "CA");
	return i;
}

/* Revoked over the last 90 days, one in seven for each of seven reasons. */
static struct crl_entry *
make_entries(size_t n)
{
	struct crl_entry *all = own_alloc((n ? n : 1) * sizeof(*all));
	for (size_t i = 0; i < n; i++) {
		uint8_t serial[TBS_SERIAL];
		tbs_serial(serial);
		int64_t at_s = NOW_S - (int64_t)(i * 7919 % (90 * 86400));
		need(crl_entry_set(&all[i], span_of(serial, sizeof(serial)),
			 (unsigned)(i % 7), at_s * 1000, &e) == 0,
		    "entry");
	}
	qsort(all, n, sizeof(*all), crl_entry_cmp);
	return all;
}

static size_t
ours(const struct job *j, struct buf *out)
{
	const struct crl_fields f = {.number = 8,
	    .base = j->delta ? 7 : 0,
	    .this_ms = NOW_S * 1000,
	    .next_ms = (NOW_S + 86400) * 1000,
	    .url = URL,
	    .entries = j->entries,
	    .n = j->n};
	buf_reset(out);
	need(crl_build(j->issuer, &f, out, &e) == 0, "list");
	return out->len;
}

static void
add_entry(X509_CRL *crl, const struct crl_entry *en)
{
	X509_REVOKED *r = X509_REVOKED_new();
	BIGNUM *bn = BN_bin2bn(en->serial, en->serial_len, NULL);
	ASN1_INTEGER *serial = BN_to_ASN1_INTEGER(bn, NULL);
	ASN1_TIME *at = ASN1_TIME_set(NULL, en->at_ms / 1000);
	need(r && X509_REVOKED_set_serialNumber(r, serial) == 1 &&
		 X509_REVOKED_set_revocationDate(r, at) == 1,
	    "X509_REVOKED");
	if (en->reason) {
		ASN1_ENUMERATED *why = ASN1_ENUMERATED_new();
		ASN1_ENUMERATED_set(why, en->reason);
		need(X509_REVOKED_add1_ext_i2d(r, NID_crl_reason, why, 0, 0) == 1,
		    "reason");
		ASN1_ENUMERATED_free(why);
	}
	X509_CRL_add0_revoked(crl, r);
	ASN1_TIME_free(at);
	ASN1_INTEGER_free(serial);
	BN_free(bn);
}

static void
add_ext(X509_CRL *crl, const struct cert *ca, const char *name, const char *value)
{
	X509V3_CTX c;
	X509V3_set_ctx_nodb(&c);
	X509V3_set_ctx(&c, ca->x509, NULL, NULL, crl, 0);
	X509_EXTENSION *x = X509V3_EXT_nconf(NULL, &c, name, value);
	need(x && X509_CRL_add_ext(crl, x, -1) == 1, name);
	X509_EXTENSION_free(x);
}

static size_t
openssls(const struct job *j)
{
	const struct cert *ca = issuer_cert(j->issuer);
	X509_CRL *crl = X509_CRL_new();
	ASN1_TIME *t = ASN1_TIME_set(NULL, NOW_S);
	X509_CRL_set_version(crl, X509_CRL_VERSION_2);
	X509_CRL_set_issuer_name(crl, X509_get_subject_name(ca->x509));
	X509_CRL_set1_lastUpdate(crl, t);
	ASN1_TIME_set(t, NOW_S + 86400);
	X509_CRL_set1_nextUpdate(crl, t);
	ASN1_TIME_free(t);
	for (size_t i = 0; i < j->n; i++)
		add_entry(crl, &j->entries[i]);
	X509_CRL_sort(crl);
	add_ext(crl, ca, "authorityKeyIdentifier", "keyid:always");
	add_ext(crl, ca, "crlNumber", "DER:020108");
	if (j->delta)
		add_ext(crl, ca, "deltaCRL", "critical,DER:020107");
	add_ext(crl, ca, "issuingDistributionPoint",
	    "critical,DER:3026a024a0228620"
	    "687474703a2f2f706b692e6578616d706c652e6e65742f63726c2f332e63726c");
	need(
	    X509_CRL_sign(crl, key_evp(issuer_key(j->issuer)), EVP_sha256()) > 0, "sign");
	unsigned char *der = NULL;
	int len = i2d_X509_CRL(crl, &der);
	need(len > 0, "encode");
	OPENSSL_free(der);
	X509_CRL_free(crl);
	return (size_t)len;
}

static double
now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

int
main(int argc, char **argv)
{
	if (argc != 5) {
		fputs("usage: bench-crl ours|openssl full|delta ENTRIES TIMES\n", stderr);
		return 2;
	}
	bool is_ours = strcmp(argv[1], "ours") == 0;
	unsigned long times = strtoul(argv[4], NULL, 10);
	struct job j = {.issuer = make_issuer(),
	    .n = strtoul(argv[3], NULL, 10),
	    .delta = strcmp(argv[2], "delta") == 0};
	j.entries = make_entries(j.n);
	auto_buf out = BUF_INIT(CRL_MAX);
	size_t bytes =
	    is_ours ? ours(&j, &out) : openssls(&j); /* not counted: warms up */
	double start = now();
	for (unsigned long i = 0; i < times; i++)
		bytes = is_ours ? ours(&j, &out) : openssls(&j);
	printf(
	    "{\"seconds\":%.7f,\"bytes\":%zu}\n", (now() - start) / (double)times, bytes);
	free(j.entries);
	issuer_free(j.issuer);
	return 0;
}
