/*
 * Makes what test_revocation.py hands to other people's programs: a CA with leaves and
 * lists, and answers to OCSP requests, right ones and forged ones. No server; the keys
 * are files of the test's directory.
 *
 * usage: peer-revocation make DIR
 *        peer-revocation answer DIR WHO REQUEST OUT
 *          WHO: ocsp     the delegated responder
 *               expired  one whose certificate has ended; client: one without OCSPSigning
 *               thief    ocsp's certificate, client's key
 */
#include <stdio.h>
#include <time.h>

#include "codec/der.h"
#include "crypto/ocsp.h"

#define DAY      INT64_C(86400)
#define FILE_MAX 65536
#define SHARD    "http://pki.example.net/crl/3.crl"
#define OTHER    "http://pki.example.net/crl/4.crl"
#define DELTA    "http://pki.example.net/crl/3-delta.crl"

static const char *dir;
static int64_t now_s;
static struct err e;

static void
need(bool ok)
{
	if (ok)
		return;
	fprintf(stderr, "peer-revocation: %s\n", e.text);
	exit(1);
}

/* --- files --- */

static const char *
path_of(const char *name)
{
	static char path[4096];
	if (strchr(name, '/'))
		return name;
	snprintf(path, sizeof(path), "%s/%s", dir, name);
	return path;
}

static void
save(const char *name, struct span s)
{
	FILE *f = fopen(path_of(name), "wb");
	need(f && fwrite(s.p, 1, s.len, f) == s.len && fclose(f) == 0);
}

static struct buf
load(const char *name)
{
	struct buf b = BUF_INIT(FILE_MAX);
	FILE *f = fopen(path_of(name), "rb");
	need(f != NULL);
	buf_grew(&b, fread(buf_room(&b, FILE_MAX - 1), 1, FILE_MAX - 1, f));
	fclose(f);
	return b;
}

static void
save_cert(const char *name, struct span der)
{
	char file[64];
	auto_buf pem = BUF_INIT(CERT_PEM_MAX);
	snprintf(file, sizeof(file), "%s.pem", name);
	cert_write_pem(der, &pem);
	save(file, buf_span(&pem));
}

static struct cert *
load_cert(const char *name)
{
	char file[64];
	struct cert_list l;
	snprintf(file, sizeof(file), "%s.pem", name);
	auto_buf pem = load(file);
	need(cert_list_parse(buf_span(&pem), name, &l, &e) == 0);
	return l.v[0];
}

static struct key *
load_key(const char *name)
{
	char file[64];
	snprintf(file, sizeof(file), "%s.key", name);
	auto_buf pem = load(file);
	struct key *k = key_parse(buf_span(&pem), NULL, NULL, name, &e);
	need(k != NULL);
	return k;
}

/* --- making --- */

static struct key *
new_key(const char *name)
{
	char file[64];
	auto_buf pem = BUF_INIT(KEY_PEM_MAX);
	struct key *k = key_generate(KEY_P256, &e);
	snprintf(file, sizeof(file), "%s.key", name);
	need(k && key_write(k, &pem, &e) == 0);
	save(file, buf_span(&pem));
	return k;
}

static struct issuer *
issuer_with(struct span der, struct key *k)
{
	auto_buf pem = BUF_INIT(CERT_PEM_MAX);
	cert_write_pem(der, &pem);
	struct issuer *i = issuer_new(buf_span(&pem), k, &e);
	need(i != NULL);
	return i;
}

/* A certificate of what r says, its key fresh, in NAME.pem and NAME.key; its entry in a
 * list. */
static struct crl_entry
leaf(struct issuer *by, const char *name, struct issuer_request r, unsigned reason)
{
	auto_(key_free) struct key *k = new_key(name);
	auto_buf der = BUF_INIT(CERT_MAX);
	struct issuer_result res;
	struct crl_entry en;
	r.cn = name;
	r.spki = key_spki(k);
	if (!r.now_s)
		r.now_s = now_s;
	need(issuer_sign(by, &r, &der, &res, &e) == 0);
	save_cert(name, buf_span(&der));
	need(crl_entry_set(&en, span_of(res.serial, sizeof(res.serial)), reason,
		 now_s * 1000, &e) == 0);
	return en;
}

static void
list(struct issuer *by, const char *name, struct crl_fields f)
{
	auto_buf der = BUF_INIT(FILE_MAX);
	f.this_ms = (now_s - 60) * 1000;
	f.next_ms = (now_s + DAY) * 1000;
	need(crl_build(by, &f, &der, &e) == 0);
	save(name, buf_span(&der));
}

static struct issuer *
make_root(void)
{
	auto_(key_free) struct key *k = new_key("root");
	auto_buf der = BUF_INIT(CERT_MAX);
	need(issuer_self_sign(k, "Peer Root", NULL, now_s - 40 * DAY, 0, &der, &e) == 0);
	save_cert("root", buf_span(&der));
	return issuer_with(buf_span(&der), k);
}

static struct issuer *
make_ca(struct issuer *root)
{
	auto_(key_free) struct key *k = new_key("ca");
	auto_buf der = BUF_INIT(CERT_MAX);
	struct issuer_result res;
	const struct issuer_request r = {.profile = PROFILE_INTERMEDIATE,
	    .cn = "Peer CA",
	    .spki = key_spki(k),
	    .now_s = now_s - 40 * DAY};
	need(issuer_sign(root, &r, &der, &res, &e) == 0);
	save_cert("ca", buf_span(&der));
	return issuer_with(buf_span(&der), k);
}

static void
make_lists(struct issuer *root, struct issuer *ca)
{
	const struct issuer_request r = {
	    .profile = PROFILE_DEVICE, .crl_url = SHARD, .freshest_url = DELTA};
	struct issuer_request elsewhere = r;
	elsewhere.crl_url = OTHER;
	leaf(ca, "good", r, 0);
	leaf(ca, "elsewhere", elsewhere, 0);
	struct crl_entry all[] = {
	    leaf(ca, "revoked", r, CRL_KEY_COMPROMISE), leaf(ca, "held", r, CRL_HOLD)};
	struct crl_entry changes[] = {leaf(ca, "gone", r, CRL_SUPERSEDED), all[1]};
	changes[1].reason = CRL_REMOVE;
	qsort(all, 2, sizeof(all[0]), crl_entry_cmp);
	qsort(changes, 2, sizeof(changes[0]), crl_entry_cmp);
	list(root, "root.crl", (struct crl_fields){.number = 1});
	list(ca, "full.crl",
	    (struct crl_fields){.number = 5,
		.url = SHARD,
		.only_user = true,
		.freshest = DELTA,
		.entries = all,
		.n = 2});
	list(ca, "delta.crl",
	    (struct crl_fields){.number = 6,
		.base = 5,
		.url = SHARD,
		.only_user = true,
		.entries = changes,
		.n = 2});
}

static void
make(void)
{
	auto_(issuer_free) struct issuer *root = make_root(), *ca = make_ca(root);
	make_lists(root, ca);
	leaf(ca, "ocsp", (struct issuer_request){.profile = PROFILE_OCSP}, 0);
	leaf(ca, "client", (struct issuer_request){.profile = PROFILE_OPERATOR}, 0);
	leaf(ca, "expired",
	    (struct issuer_request){.profile = PROFILE_OCSP, .now_s = now_s - 20 * DAY},
	    0);
}

/* --- answering --- */

static bool
is_serial(const char *name, struct span serial)
{
	char hex[2 * CRL_SERIAL_MAX + 1] = "";
	auto_(cert_free) struct cert *c = load_cert(name);
	for (size_t i = 0; i < serial.len; i++)
		snprintf(hex + 2 * i, 3, "%02X", serial.p[i]);
	return strcmp(hex, c->serial) == 0;
}

static struct ocsp_single
judge(const struct ocsp_req_id *id)
{
	struct ocsp_single s = {.hash = id->hash,
	    .serial_len = (uint8_t)id->serial.len,
	    .status = OCSP_UNKNOWN,
	    .this_ms = (now_s - 60) * 1000,
	    .next_ms = (now_s + DAY) * 1000};
	memcpy(s.serial, id->serial.p, id->serial.len);
	if (is_serial("good", id->serial))
		s.status = OCSP_GOOD;
	if (!is_serial("revoked", id->serial))
		return s;
	s.status = OCSP_REVOKED;
	s.reason = CRL_KEY_COMPROMISE;
	s.revoked_ms = now_s * 1000;
	return s;
}

static void
put_answer(struct span request, struct buf *out)
{
	auto_(cert_free) struct cert *ca = load_cert("ca");
	auto_(key_free) struct key *k = load_key("ocsp");
	auto_buf pem = load("ocsp.pem");
	auto_(ocsp_responder_free) struct ocsp_responder *r =
	    ocsp_responder_new(buf_span(&pem), k, ca, &e);
	struct ocsp_req q;
	struct ocsp_single v[OCSP_REQ_IDS_MAX];
	need(r && ocsp_req_parse(request, &q, &e) == 0);
	for (size_t i = 0; i < q.n; i++) {
		if (!ocsp_issuer_is(ocsp_responder_issuer(r), &q.ids[i])) {
			buf_put_span(out, ocsp_error(OCSP_UNAUTHORIZED));
			return;
		}
		v[i] = judge(&q.ids[i]);
	}
	const struct ocsp_fields f = {
	    .produced_ms = now_s * 1000, .singles = v, .n = q.n, .nonce = q.nonce};
	need(ocsp_build(r, &f, out, &e) == 0);
}

/* --- forging: the answer, signed by somebody else --- */

static struct span
inside(struct span *in)
{
	struct der_tlv t;
	need(der_next(in, &t, &e) == 0);
	return t.content;
}

/* ResponseData of an answer, whole. */
static struct span
data_of(struct span answer)
{
	struct span in = inside(&answer);
	struct der_tlv t;
	inside(&in); /* responseStatus */
	in = inside(&in);
	in = inside(&in);
	inside(&in); /* responseType */
	in = inside(&in);
	in = inside(&in);
	need(der_next(&in, &t, &e) == 0);
	return t.whole;
}

static void
key_hash(const struct cert *c, uint8_t out[DIGEST_SHA1])
{
	struct spki k;
	need(pubkey_parse(c->spki, &k, &e) == 0);
	digest_sha1(k.key, out);
}

static void
wrap(struct span data, struct span sig, const struct cert *c, struct buf *out)
{
	static const uint8_t tags[] = {
	    DER_SEQUENCE, DER_EXPLICIT(0), DER_SEQUENCE, DER_OCTET_STRING, DER_SEQUENCE};
	size_t marks[sizeof(tags)];
	for (size_t i = 0; i < sizeof(tags); i++) {
		marks[i] = der_begin(out, tags[i]);
		if (i == 0)
			der_put(out, DER_ENUMERATED, SPAN_LIT("\0"));
		if (i == 2)
			der_put_oid(
			    out, SPAN_LIT("\x2b\x06\x01\x05\x05\x07\x30\x01\x01"));
	}
	buf_put_span(out, data);
	tbs_put_sig_alg(out, KEY_P256);
	der_put_bits(out, sig, 0);
	size_t certs = der_begin(out, DER_EXPLICIT(0)),
	       seq = der_begin(out, DER_SEQUENCE);
	buf_put_span(out, c->der);
	der_end(out, seq);
	der_end(out, certs);
	for (size_t i = sizeof(tags); i-- > 0;)
		der_end(out, marks[i]);
}

static void
forge_answer(const char *cert, const char *key, struct buf *answer)
{
	auto_(cert_free) struct cert *us = load_cert("ocsp"), *them = load_cert(cert);
	auto_(key_free) struct key *k = load_key(key);
	uint8_t ours[DIGEST_SHA1], theirs[DIGEST_SHA1], sig[KEY_SIG_MAX];
	size_t sig_len;
	auto_buf data = BUF_INIT(OCSP_MAX);
	buf_put_span(&data, data_of(buf_span(answer)));
	key_hash(us, ours);
	key_hash(them, theirs);
	uint8_t *at = memmem(data.p, data.len, ours, sizeof(ours));
	need(at != NULL);
	memcpy(at, theirs, sizeof(theirs));
	need(key_sign(k, buf_span(&data), sig, &sig_len, &e) == 0);
	buf_reset(answer);
	wrap(buf_span(&data), span_of(sig, sig_len), them, answer);
}

static void
answer(const char *who, const char *request, const char *out)
{
	auto_buf q = load(request), a = BUF_INIT(2 * OCSP_MAX);
	put_answer(buf_span(&q), &a);
	if (strcmp(who, "thief") == 0)
		forge_answer("ocsp", "client", &a);
	else if (strcmp(who, "ocsp") != 0)
		forge_answer(who, who, &a);
	save(out, buf_span(&a));
}

int
main(int argc, char **argv)
{
	now_s = time(NULL);
	dir = argc > 2 ? argv[2] : "";
	if (argc == 3 && strcmp(argv[1], "make") == 0)
		make();
	else if (argc == 6 && strcmp(argv[1], "answer") == 0)
		answer(argv[3], argv[4], argv[5]);
	else
		return 2;
	return 0;
}
