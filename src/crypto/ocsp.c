/*
 * OCSP answers, written from the inside out: what is the same in each answer of a
 * responder (its name, its certificate, the hashes of its CA) is DER already.
 */
#include "crypto/ocsp.h"

#include "codec/der.h"
#include "codec/ext.h"

#define OID_OCSP(n) SPAN_LIT("\x2b\x06\x01\x05\x05\x07\x30\x01" n)
#define OID_BASIC   OID_OCSP("\x01")
#define OID_NONCE   OID_OCSP("\x02")

struct ocsp_responder {
	struct cert *cert;
	struct key *key;
	struct key_signer *signer;
	struct ocsp_issuer issuer;
	struct buf id[OCSP_REQ_HASH_N]; /* CertID up to the serial number */
	struct buf name;                /* responderID */
	struct buf certs;               /* [0] with the delegate's certificate */
	struct buf tbs;                 /* room kept from one answer to the next */
};

void
ocsp_single_pack(const struct ocsp_single *s, struct buf *out)
{
	buf_u8(out, s->serial_len);
	buf_put_span(out, span_of(s->serial, s->serial_len));
	buf_u8(out, (uint8_t)s->hash);
	buf_u8(out, (uint8_t)s->status);
	buf_u8(out, s->reason);
	buf_u64(out, (uint64_t)s->revoked_ms);
}

int
ocsp_single_unpack(struct span *in, struct ocsp_single *ret, struct err *e)
{
	struct cursor c = cursor_of(*in);
	struct span serial = cursor_take(&c, cursor_u8(&c));
	unsigned hash = cursor_u8(&c), status = cursor_u8(&c);
	struct ocsp_single s = {.hash = (enum ocsp_req_hash)hash,
	    .status = (enum ocsp_status)status,
	    .reason = cursor_u8(&c)};
	uint64_t at_ms = cursor_u64(&c);
	if (c.bad || serial.len == 0 || serial.len > sizeof(s.serial) ||
	    hash >= OCSP_REQ_HASH_N || status > OCSP_UNKNOWN || at_ms > INT64_MAX ||
	    !crl_reason_name(s.reason))
		return err_set(e, ERR_PARSE, "malformed OCSP query");
	memcpy(s.serial, serial.p, serial.len);
	s.serial_len = (uint8_t)serial.len;
	s.revoked_ms = (int64_t)at_ms;
	*ret = s;
	*in = span_skip(*in, in->len - c.left);
	return 0;
}

struct span
ocsp_error(enum ocsp_error status)
{
	/* OCSPResponse ::= SEQUENCE { responseStatus ENUMERATED } */
	switch (status) {
	case OCSP_MALFORMED:
		return SPAN_LIT("\x30\x03\x0a\x01\x01");
	case OCSP_TRY_LATER:
		return SPAN_LIT("\x30\x03\x0a\x01\x03");
	case OCSP_UNAUTHORIZED:
		return SPAN_LIT("\x30\x03\x0a\x01\x06");
	case OCSP_INTERNAL:
		break;
	}
	return SPAN_LIT("\x30\x03\x0a\x01\x02");
}

/* --- a CA by its hashes --- */

int
ocsp_issuer_of(const struct cert *ca, struct ocsp_issuer *ret, struct err *e)
{
	struct spki k;
	if (pubkey_parse(ca->spki, &k, e) < 0)
		return err_wrap(e, "'%s'", ca->cn);
	digest_sha1(ca->subject, ret->name[OCSP_REQ_SHA1]);
	digest_sha1(k.key, ret->key[OCSP_REQ_SHA1]);
	digest_sha256(ca->subject, ret->name[OCSP_REQ_SHA256]);
	digest_sha256(k.key, ret->key[OCSP_REQ_SHA256]);
	return 0;
}

bool
ocsp_issuer_is(const struct ocsp_issuer *i, const struct ocsp_req_id *id)
{
	if (id->hash == OCSP_REQ_OTHER)
		return false;
	size_t len = ocsp_req_hash_len(id->hash);
	return span_eq(id->name, span_of(i->name[id->hash], len)) &&
	       span_eq(id->key, span_of(i->key[id->hash], len));
}

/* --- the responder --- */

/* CertID up to the serial number (RFC 6960 4.1.1). The parameters are NULL, as OpenSSL
 * and Go write and compare them. */
static void
put_id_head(struct buf *b, const struct ocsp_issuer *i, enum ocsp_req_hash hash)
{
	size_t len = ocsp_req_hash_len(hash), alg = der_begin(b, DER_SEQUENCE);
	der_put_oid(b, ocsp_req_hash_oid(hash));
	der_put_null(b);
	der_end(b, alg);
	der_put(b, DER_OCTET_STRING, span_of(i->name[hash], len));
	der_put(b, DER_OCTET_STRING, span_of(i->key[hash], len));
}

/* ResponderID byKey: SHA-1 whatever the CertIDs use (4.2.1). */
static void
put_name(struct buf *b, const struct spki *key)
{
	uint8_t sha1[DIGEST_SHA1];
	digest_sha1(key->key, sha1);
	size_t by_key = der_begin(b, DER_EXPLICIT(2));
	der_put(b, DER_OCTET_STRING, span_of(sha1, sizeof(sha1)));
	der_end(b, by_key);
}

static void
put_certs(struct buf *b, const struct cert *c)
{
	size_t outer = der_begin(b, DER_EXPLICIT(0)), seq = der_begin(b, DER_SEQUENCE);
	buf_put_span(b, c->der);
	der_end(b, seq);
	der_end(b, outer);
}

static struct ocsp_responder *
build(struct cert *c, struct key *key, const struct ocsp_issuer *of, struct err *e)
{
	auto_(ocsp_responder_free) struct ocsp_responder *r = own_alloc(sizeof(*r));
	struct spki k;
	r->cert = cert_ref(c);
	r->key = key_ref(key);
	r->issuer = *of;
	r->name = BUF_INIT(64);
	r->certs = BUF_INIT(OCSP_MAX);
	r->tbs = BUF_INIT(OCSP_MAX);
	r->signer = key_signer_new(key, e);
	if (!r->signer || pubkey_parse(c->spki, &k, e) < 0)
		return NULL;
	for (int h = 0; h < OCSP_REQ_HASH_N; h++) {
		r->id[h] = BUF_INIT(128);
		put_id_head(&r->id[h], of, (enum ocsp_req_hash)h);
	}
	put_name(&r->name, &k);
	put_certs(&r->certs, c);
	if (buf_check(&r->certs, "OCSP responder's certificate", e) < 0)
		return NULL;
	return TAKE(r);
}

/* RFC 6960 4.2.2.2: OCSPSigning, and signed by the CA itself. */
static int
check_delegate(
    const struct cert *c, const struct key *key, const struct cert *ca, struct err *e)
{
	if (c->is_ca || !(c->eku & CERT_OCSP_SIGNING) ||
	    (c->has_usage && !(c->usage & CERT_DIGITAL_SIGNATURE)))
		return err_set(e, ERR_USAGE,
		    "the certificate of '%s' is none of OCSP signing", c->cn);
	if (!key_is_spki(key, c->spki))
		return err_set(
		    e, ERR_CRYPTO, "the certificate of '%s' is not of this key", c->cn);
	return issuer_verify(ca, c, e);
}

struct ocsp_responder *
ocsp_responder_new(
    struct span delegate_pem, struct key *key, const struct cert *ca, struct err *e)
{
	auto_cert_list l = {.n = 0};
	struct ocsp_issuer of;
	if (cert_list_parse(delegate_pem, "OCSP responder's certificate", &l, e) < 0 ||
	    check_delegate(l.v[0], key, ca, e) < 0 || ocsp_issuer_of(ca, &of, e) < 0)
		return NULL;
	return build(l.v[0], key, &of, e);
}

struct ocsp_responder *
ocsp_responder_clone(const struct ocsp_responder *r, struct err *e)
{
	return build(r->cert, r->key, &r->issuer, e);
}

void
ocsp_responder_free(struct ocsp_responder *r)
{
	if (!r)
		return;
	key_signer_free(r->signer);
	key_free(r->key);
	cert_free(r->cert);
	for (int h = 0; h < OCSP_REQ_HASH_N; h++)
		buf_done(&r->id[h]);
	buf_done(&r->name);
	buf_done(&r->certs);
	buf_done(&r->tbs);
	free(r);
}

const struct cert *
ocsp_responder_cert(const struct ocsp_responder *r)
{
	return r->cert;
}

const struct ocsp_issuer *
ocsp_responder_issuer(const struct ocsp_responder *r)
{
	return &r->issuer;
}

/* --- an answer --- */

static int
check_single(const struct ocsp_responder *r, const struct ocsp_single *s, struct err *e)
{
	if ((unsigned)s->hash >= OCSP_REQ_HASH_N || s->serial_len > CRL_SERIAL_MAX)
		return err_set(e, ERR_USAGE, "OCSP answer for no certificate");
	if (s->status == OCSP_REVOKED &&
	    (s->revoked_ms < 0 || !crl_reason_name(s->reason) || s->reason == CRL_REMOVE))
		return err_set(e, ERR_USAGE, "OCSP answer: revoked, for no reason");
	if (s->this_ms < 0 || s->next_ms / 1000 <= s->this_ms / 1000)
		return err_set(
		    e, ERR_USAGE, "OCSP answer: nextUpdate is not after thisUpdate");
	if (s->next_ms > r->cert->not_after_ms)
		return err_set(e, ERR_DENIED,
		    "OCSP answer that outlives its responder's certificate");
	return 0;
}

static int
check_fields(const struct ocsp_responder *r, const struct ocsp_fields *f, struct err *e)
{
	if (f->n == 0 || f->n > OCSP_REQ_IDS_MAX || f->nonce.len > OCSP_REQ_NONCE_MAX)
		return err_set(e, ERR_USAGE, "OCSP answer of %zu certificates", f->n);
	if (!cert_valid_at(r->cert, f->produced_ms))
		return err_set(
		    e, ERR_DENIED, "the OCSP responder's certificate is not valid now");
	for (size_t n = 0; n < f->n; n++)
		if (check_single(r, &f->singles[n], e) < 0)
			return -1;
	return 0;
}

/* RevokedInfo, [1] IMPLICIT (4.2.1). */
static void
put_revoked(struct buf *b, const struct ocsp_single *s)
{
	size_t info = der_begin(b, DER_EXPLICIT(1));
	der_put_generalized_time(b, s->revoked_ms / 1000);
	if (s->reason != CRL_UNSPECIFIED) {
		size_t reason = der_begin(b, DER_EXPLICIT(0));
		der_put(b, DER_ENUMERATED, span_of(&s->reason, 1));
		der_end(b, reason);
	}
	der_end(b, info);
}

static void
put_status(struct buf *b, const struct ocsp_single *s)
{
	if (s->status == OCSP_REVOKED)
		put_revoked(b, s);
	else
		der_put(b, s->status == OCSP_GOOD ? DER_IMPLICIT(0) : DER_IMPLICIT(2),
		    SPAN_NONE);
}

static void
put_single(struct buf *b, const struct ocsp_responder *r, const struct ocsp_single *s)
{
	size_t single = der_begin(b, DER_SEQUENCE), id = der_begin(b, DER_SEQUENCE);
	buf_put_span(b, buf_span(&r->id[s->hash]));
	der_put_unsigned(b, span_of(s->serial, s->serial_len));
	der_end(b, id);
	put_status(b, s);
	der_put_generalized_time(b, s->this_ms / 1000);
	size_t next = der_begin(b, DER_EXPLICIT(0));
	der_put_generalized_time(b, s->next_ms / 1000);
	der_end(b, next);
	der_end(b, single);
}

/* responseExtensions with the nonce (RFC 9654 2.1). */
static void
put_nonce(struct buf *b, struct span nonce)
{
	if (!nonce.len)
		return;
	size_t outer = der_begin(b, DER_EXPLICIT(1)), seq = der_begin(b, DER_SEQUENCE);
	struct ext_mark x = ext_begin(b, OID_NONCE, false);
	der_put(b, DER_OCTET_STRING, nonce);
	ext_end(b, x);
	der_end(b, seq);
	der_end(b, outer);
}

/* ResponseData; version 1 is the default and absent. */
static void
put_data(struct buf *b, const struct ocsp_responder *r, const struct ocsp_fields *f)
{
	size_t seq = der_begin(b, DER_SEQUENCE);
	buf_put_span(b, buf_span(&r->name));
	der_put_generalized_time(b, f->produced_ms / 1000);
	size_t list = der_begin(b, DER_SEQUENCE);
	for (size_t n = 0; n < f->n; n++)
		put_single(b, r, &f->singles[n]);
	der_end(b, list);
	put_nonce(b, f->nonce);
	der_end(b, seq);
}

/* OCSPResponse { successful, ResponseBytes { id-pkix-ocsp-basic, BasicOCSPResponse } } */
static void
put_response(struct buf *b, const struct ocsp_responder *r, struct span sig)
{
	size_t whole = der_begin(b, DER_SEQUENCE);
	der_put(b, DER_ENUMERATED, SPAN_LIT("\0"));
	size_t outer = der_begin(b, DER_EXPLICIT(0)), bytes = der_begin(b, DER_SEQUENCE);
	der_put_oid(b, OID_BASIC);
	size_t octets = der_begin(b, DER_OCTET_STRING);
	size_t basic = der_begin(b, DER_SEQUENCE);
	buf_put_span(b, buf_span(&r->tbs));
	tbs_put_sig_alg(b, key_algorithm(r->key));
	der_put_bits(b, sig, 0);
	buf_put_span(b, buf_span(&r->certs));
	der_end(b, basic);
	der_end(b, octets);
	der_end(b, bytes);
	der_end(b, outer);
	der_end(b, whole);
}

int
ocsp_build(
    struct ocsp_responder *r, const struct ocsp_fields *f, struct buf *out, struct err *e)
{
	uint8_t sig[KEY_SIG_MAX];
	size_t sig_len, start = out->len;
	if (check_fields(r, f, e) < 0)
		return -1;
	buf_reset(&r->tbs);
	put_data(&r->tbs, r, f);
	if (buf_check(&r->tbs, "OCSP answer", e) < 0 ||
	    key_signer_sign(r->signer, buf_span(&r->tbs), sig, &sig_len, e) < 0)
		return -1;
	put_response(out, r, span_of(sig, sig_len));
	if (buf_check(out, "OCSP answer", e) == 0)
		return 0;
	out->len = start;
	return -1;
}

int
ocsp_build_many(struct ocsp_responder *r, const struct ocsp_fields *v, size_t n,
    struct buf *out, size_t *ends, struct err *e)
{
	size_t start = out->len;
	for (size_t i = 0; i < n; i++) {
		if (ocsp_build(r, &v[i], out, e) < 0) {
			out->len = start;
			return err_wrap(e, "OCSP answer %zu of %zu", i + 1, n);
		}
		ends[i] = out->len;
	}
	return 0;
}
