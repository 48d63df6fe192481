/*
 * OCSP answers a second on all CPUs: signed ahead in batches, or live (the request is
 * parsed and its nonce echoed); and their limit, the bare P-256 signature with contexts
 * that are kept.
 *
 * usage: bench-ocsp ahead|live|limit COUNT
 * Prints one JSON object.
 */
#include <openssl/evp.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "codec/der.h"
#include "codec/ext.h"
#include "crypto/ocsp.h"

#define NOW_S       INT64_C(1795300000)
#define BATCH       256
#define THREADS_MAX 64
#define DATA_LEN    180 /* of the ResponseData of one answer */

struct job {
	struct ocsp_responder *responder;
	struct key *key;
	struct buf request;
	size_t batches;
	atomic_size_t next;
	void (*batch)(struct job *j, void *room);
	void *(*open)(const struct job *j);
};

static struct err e;

static void
need(bool ok, const char *what)
{
	if (ok)
		return;
	fprintf(stderr, "bench-ocsp: %s: %s\n", what, e.text);
	exit(1);
}

/* --- the responder --- */

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

static void
make_responder(struct job *j)
{
	auto_(issuer_free) struct issuer *ca = make_issuer();
	auto_buf der = BUF_INIT(CERT_MAX), pem = BUF_INIT(CERT_PEM_MAX);
	struct issuer_result res;
	j->key = key_generate(KEY_P256, &e);
	const struct issuer_request r = {.profile = PROFILE_OCSP,
	    .cn = "Bench OCSP",
	    .spki = key_spki(j->key),
	    .now_s = NOW_S};
	need(issuer_sign(ca, &r, &der, &res, &e) == 0, "delegate");
	cert_write_pem(buf_span(&der), &pem);
	j->responder = ocsp_responder_new(buf_span(&pem), j->key, issuer_cert(ca), &e);
	need(j->responder != NULL, "responder");
}

/* One CertID by SHA-1 and a nonce of 32 octets, as OpenSSL writes them. */
static void
make_request(struct job *j)
{
	const struct ocsp_issuer *i = ocsp_responder_issuer(j->responder);
	struct buf *b = &j->request;
	uint8_t some[32] = {0x5a};
	*b = BUF_INIT(OCSP_REQ_MAX);
	size_t req = der_begin(b, DER_SEQUENCE), tbs = der_begin(b, DER_SEQUENCE);
	size_t list = der_begin(b, DER_SEQUENCE), one = der_begin(b, DER_SEQUENCE);
	size_t id = der_begin(b, DER_SEQUENCE), alg = der_begin(b, DER_SEQUENCE);
	der_put_oid(b, ocsp_req_hash_oid(OCSP_REQ_SHA1));
	der_put_null(b);
	der_end(b, alg);
	der_put(b, DER_OCTET_STRING, span_of(i->name[OCSP_REQ_SHA1], DIGEST_SHA1));
	der_put(b, DER_OCTET_STRING, span_of(i->key[OCSP_REQ_SHA1], DIGEST_SHA1));
	der_put_unsigned(b, span_of(some, TBS_SERIAL));
	der_end(b, id);
	der_end(b, one);
	der_end(b, list);
	size_t outer = der_begin(b, DER_EXPLICIT(2)), exts = der_begin(b, DER_SEQUENCE);
	struct ext_mark x =
	    ext_begin(b, SPAN_LIT("\x2b\x06\x01\x05\x05\x07\x30\x01\x02"), false);
	der_put(b, DER_OCTET_STRING, span_of(some, sizeof(some)));
	ext_end(b, x);
	der_end(b, exts);
	der_end(b, outer);
	der_end(b, tbs);
	der_end(b, req);
	need(!b->bad, "request");
}

/* --- what is measured: BATCH of each --- */

struct signing {
	struct ocsp_responder *responder;
	struct buf out;
};

static void *
open_signing(const struct job *j)
{
	struct signing *s = own_alloc(sizeof(*s));
	s->responder = ocsp_responder_clone(j->responder, &e);
	s->out = BUF_INIT(BATCH * OCSP_MAX);
	need(s->responder != NULL, "clone");
	return s;
}

static struct ocsp_single
good(enum ocsp_req_hash hash, struct span serial)
{
	struct ocsp_single s = {.hash = hash,
	    .serial_len = (uint8_t)serial.len,
	    .status = OCSP_GOOD,
	    .this_ms = NOW_S * 1000,
	    .next_ms = (NOW_S + 86400) * 1000};
	memcpy(s.serial, serial.p, serial.len);
	return s;
}

static void
ahead(struct job *j, void *room)
{
	struct signing *s = room;
	struct ocsp_single v[BATCH];
	struct ocsp_fields f[BATCH];
	size_t ends[BATCH];
	for (size_t i = 0; i < BATCH; i++) {
		uint8_t serial[TBS_SERIAL] = {1, (uint8_t)i};
		v[i] = good(OCSP_REQ_SHA1, span_of(serial, sizeof(serial)));
		f[i] = (struct ocsp_fields){
		    .produced_ms = NOW_S * 1000, .singles = &v[i], .n = 1};
	}
	buf_reset(&s->out);
	need(ocsp_build_many(s->responder, f, BATCH, &s->out, ends, &e) == 0, "answers");
}

static void
live(struct job *j, void *room)
{
	struct signing *s = room;
	for (size_t i = 0; i < BATCH; i++) {
		struct ocsp_req q;
		buf_reset(&s->out);
		need(ocsp_req_parse(buf_span(&j->request), &q, &e) == 0 &&
			 ocsp_issuer_is(ocsp_responder_issuer(s->responder), &q.ids[0]),
		    "request");
		const struct ocsp_single one = good(q.ids[0].hash, q.ids[0].serial);
		const struct ocsp_fields f = {.produced_ms = NOW_S * 1000,
		    .singles = &one,
		    .n = 1,
		    .nonce = q.nonce};
		need(ocsp_build(s->responder, &f, &s->out, &e) == 0, "answer");
	}
}

struct bare {
	EVP_MD *md;
	EVP_MD_CTX *hash;
	EVP_PKEY_CTX *sign;
};

static void *
open_bare(const struct job *j)
{
	struct bare *b = own_alloc(sizeof(*b));
	b->md = EVP_MD_fetch(NULL, "SHA256", NULL);
	b->hash = EVP_MD_CTX_new();
	b->sign = EVP_PKEY_CTX_new_from_pkey(NULL, key_evp(j->key), NULL);
	need(b->md && b->hash && b->sign && EVP_PKEY_sign_init(b->sign) == 1 &&
		 EVP_PKEY_CTX_set_signature_md(b->sign, b->md) == 1,
	    "contexts");
	return b;
}

static void
limit(struct job *j, void *room)
{
	struct bare *b = room;
	uint8_t data[DATA_LEN] = {0}, digest[32], sig[KEY_SIG_MAX];
	for (size_t i = 0; i < BATCH; i++) {
		size_t len = sizeof(sig);
		need(EVP_DigestInit_ex2(b->hash, b->md, NULL) == 1 &&
			 EVP_DigestUpdate(b->hash, data, sizeof(data)) == 1 &&
			 EVP_DigestFinal_ex(b->hash, digest, NULL) == 1 &&
			 EVP_PKEY_sign(b->sign, sig, &len, digest, sizeof(digest)) == 1,
		    "sign");
	}
}

/* --- threads; each one's room goes with the process --- */

static void *
run(void *arg)
{
	struct job *j = arg;
	void *room = j->open(j);
	while (atomic_fetch_add(&j->next, 1) < j->batches)
		j->batch(j, room);
	return NULL;
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
	struct job j = {.batch = ahead, .open = open_signing};
	pthread_t threads[THREADS_MAX];
	long cpus = sysconf(_SC_NPROCESSORS_ONLN);
	if (argc != 3) {
		fputs("usage: bench-ocsp ahead|live|limit COUNT\n", stderr);
		return 2;
	}
	if (strcmp(argv[1], "live") == 0)
		j.batch = live;
	if (strcmp(argv[1], "limit") == 0) {
		j.batch = limit;
		j.open = open_bare;
	}
	j.batches = (strtoul(argv[2], NULL, 10) + BATCH - 1) / BATCH;
	make_responder(&j);
	make_request(&j);
	cpus = cpus < 1 ? 1 : cpus > THREADS_MAX ? THREADS_MAX : cpus;
	double start = now();
	for (long t = 0; t < cpus; t++)
		need(pthread_create(&threads[t], NULL, run, &j) == 0, "thread");
	for (long t = 0; t < cpus; t++)
		pthread_join(threads[t], NULL);
	printf("{\"count\":%zu,\"seconds\":%.4f}\n", j.batches * BATCH, now() - start);
	return 0;
}
