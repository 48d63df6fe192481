/*
 * TBSCertificate, written field by field (RFC 5280 4.1 and 4.2).
 */
#include "crypto/tbs.h"

#include <arpa/inet.h>

#include "base/rand.h"
#include "codec/der.h"
#include "codec/ext.h"
#include "codec/id.h"

#define OID_AIA        SPAN_LIT("\x2b\x06\x01\x05\x05\x07\x01\x01")
#define OID_AD(n)      SPAN_LIT("\x2b\x06\x01\x05\x05\x07\x30" n)
#define OID_AD_OCSP    OID_AD("\x01")
#define OID_AD_ISSUERS OID_AD("\x02")
#define OID_NOCHECK    OID_AD("\x01\x05")

static const struct {
	struct span oid;
	bool null; /* parameters: NULL (RFC 4055 5), or absent (RFC 5758 3.2) */
} sig_algs[KEY_ALG_N] = {
    [KEY_P256] = {SPAN_LIT("\x2a\x86\x48\xce\x3d\x04\x03\x02"), false},
    [KEY_P384] = {SPAN_LIT("\x2a\x86\x48\xce\x3d\x04\x03\x03"), false},
    [KEY_RSA2048] = {SPAN_LIT("\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0b"), true},
    [KEY_RSA3072] = {SPAN_LIT("\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0b"), true},
    [KEY_RSA4096] = {SPAN_LIT("\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0b"), true},
};

/* Our flags to RFC 5280's: keyUsage bit numbers, id-kp OIDs. */
static const struct {
	unsigned ours;
	unsigned bit;
} usage_rows[] = {
    {CERT_DIGITAL_SIGNATURE, 0},
    {CERT_KEY_ENCIPHERMENT, 2},
    {CERT_KEY_AGREEMENT, 4},
    {CERT_KEY_CERT_SIGN, 5},
    {CERT_CRL_SIGN, 6},
};
static const struct {
	unsigned ours;
	struct span oid;
} eku_rows[] = {
    {CERT_SERVER_AUTH, SPAN_LIT("\x2b\x06\x01\x05\x05\x07\x03\x01")},
    {CERT_CLIENT_AUTH, SPAN_LIT("\x2b\x06\x01\x05\x05\x07\x03\x02")},
    {CERT_OCSP_SIGNING, SPAN_LIT("\x2b\x06\x01\x05\x05\x07\x03\x09")},
};

static bool
is_zero(const uint8_t *p, size_t n)
{
	uint8_t any = 0;
	for (size_t i = 0; i < n; i++)
		any |= p[i];
	return any == 0;
}

void
tbs_serial(uint8_t out[TBS_SERIAL])
{
	do {
		rand_bytes(out, TBS_SERIAL);
		out[0] &= 0x7f;
	} while (out[0] == 0);
}

void
tbs_put_sig_alg(struct buf *out, enum key_alg alg)
{
	size_t seq = der_begin(out, DER_SEQUENCE);
	der_put_oid(out, sig_algs[alg].oid);
	if (sig_algs[alg].null)
		der_put_null(out);
	der_end(out, seq);
}

void
tbs_finish(struct span tbs, enum key_alg alg, struct span sig, struct buf *out)
{
	size_t seq = der_begin(out, DER_SEQUENCE);
	buf_put_span(out, tbs);
	tbs_put_sig_alg(out, alg);
	der_put_bits(out, sig, 0);
	der_end(out, seq);
}

/* --- extensions --- */

static void
put_basic_constraints(struct buf *b, const struct profile *p, int pathlen)
{
	struct ext_mark x = ext_begin(b, EXT_CE("\x13"), true);
	size_t seq = der_begin(b, DER_SEQUENCE);
	if (p->is_ca)
		der_put_bool(b, true);
	if (p->is_ca && pathlen >= 0)
		der_put_int(b, pathlen);
	der_end(b, seq);
	ext_end(b, x);
}

static void
put_key_usage(struct buf *b, unsigned usage)
{
	uint16_t bits = 0;
	for (size_t i = 0; i < sizeof(usage_rows) / sizeof(usage_rows[0]); i++)
		if (usage & usage_rows[i].ours)
			bits |= (uint16_t)(1u << usage_rows[i].bit);
	struct ext_mark x = ext_begin(b, EXT_CE("\x0f"), true);
	der_put_named_bits(b, bits);
	ext_end(b, x);
}

static void
put_eku(struct buf *b, unsigned eku)
{
	if (!eku)
		return;
	struct ext_mark x = ext_begin(b, EXT_CE("\x25"), false);
	size_t seq = der_begin(b, DER_SEQUENCE);
	for (size_t i = 0; i < sizeof(eku_rows) / sizeof(eku_rows[0]); i++)
		if (eku & eku_rows[i].ours)
			der_put_oid(b, eku_rows[i].oid);
	der_end(b, seq);
	ext_end(b, x);
}

static void
put_key_ids(struct buf *b, struct span own, struct span issuer)
{
	struct ext_mark x = ext_begin(b, EXT_CE("\x0e"), false);
	der_put(b, DER_OCTET_STRING, own);
	ext_end(b, x);
	x = ext_begin(b, EXT_AUTHORITY_KEY, false);
	size_t seq = der_begin(b, DER_SEQUENCE);
	der_put(b, DER_IMPLICIT(0), issuer);
	der_end(b, seq);
	ext_end(b, x);
}

/* One GeneralName (4.2.1.6): iPAddress [7] or dNSName [2]. */
static int
put_host(struct buf *b, const char *host, struct err *e)
{
	uint8_t ip[16];
	if (inet_pton(AF_INET, host, ip) == 1) {
		der_put(b, DER_IMPLICIT(7), span_of(ip, 4));
		return 0;
	}
	if (inet_pton(AF_INET6, host, ip) == 1) {
		der_put(b, DER_IMPLICIT(7), span_of(ip, 16));
		return 0;
	}
	if (!id_is_host(span_str(host)))
		return err_set(e, ERR_PARSE, "'%.80s' is no host name or address", host);
	der_put(b, DER_IMPLICIT(2), span_str(host));
	return 0;
}

static int
put_san(struct buf *b, const struct tbs_fields *f, struct err *e)
{
	if (!f->n_san)
		return 0;
	struct ext_mark x = ext_begin(b, EXT_CE("\x11"), false);
	size_t seq = der_begin(b, DER_SEQUENCE);
	for (size_t i = 0; i < f->n_san; i++)
		if (put_host(b, f->san[i], e) < 0)
			return -1;
	der_end(b, seq);
	ext_end(b, x);
	return 0;
}

/* AccessDescription (4.2.2.1). */
static void
put_access(struct buf *b, struct span method, const char *url)
{
	if (!url)
		return;
	size_t seq = der_begin(b, DER_SEQUENCE);
	der_put_oid(b, method);
	ext_put_uri(b, span_str(url));
	der_end(b, seq);
}

static void
put_urls(struct buf *b, const struct tbs_fields *f)
{
	if (f->crl_url)
		ext_put_points(b, EXT_CRL_POINTS, span_str(f->crl_url));
	if (f->freshest_url)
		ext_put_points(b, EXT_FRESHEST_CRL, span_str(f->freshest_url));
	if (!f->ocsp_url && !f->issuers_url)
		return;
	struct ext_mark x = ext_begin(b, OID_AIA, false);
	size_t seq = der_begin(b, DER_SEQUENCE);
	put_access(b, OID_AD_OCSP, f->ocsp_url);
	put_access(b, OID_AD_ISSUERS, f->issuers_url);
	der_end(b, seq);
	ext_end(b, x);
}

static void
put_nocheck(struct buf *b, const struct profile *p)
{
	if (!p->nocheck)
		return;
	struct ext_mark x = ext_begin(b, OID_NOCHECK, false);
	der_put_null(b);
	ext_end(b, x);
}

/* --- the whole --- */

/* What is certified: the request's own name and key, or those of the CA that is crossed.
 */
struct subject {
	struct span name, spki;
	struct spki key;
	uint8_t computed_id[PUBKEY_ID];
	struct span key_id;
	int pathlen;
};

static int
check_urls(const struct tbs_fields *f, const struct profile *p, struct err *e)
{
	const char *const urls[] = {
	    f->crl_url, f->freshest_url, f->ocsp_url, f->issuers_url};
	for (size_t i = 0; i < sizeof(urls) / sizeof(urls[0]); i++) {
		if (!urls[i])
			continue;
		if (p->is_ca)
			return err_set(
			    e, ERR_USAGE, "%s certificate with a URL", p->name);
		if (!ext_is_url(span_str(urls[i])))
			return err_set(e, ERR_PARSE, "'%.80s' is no URL", urls[i]);
	}
	return 0;
}

static int
check_names(const struct tbs_fields *f, const struct profile *p, struct err *e)
{
	if ((f->profile == PROFILE_CROSS) != (f->cross != NULL))
		return err_set(e, ERR_USAGE, "%s certificate %s a CA to cross", p->name,
		    f->cross ? "with" : "without");
	if (f->cross && (f->cn || f->org || f->spki.len))
		return err_set(e, ERR_USAGE, "cross certificate with a name or key");
	if (f->cross)
		return 0;
	if (!f->cn)
		return err_set(e, ERR_USAGE, "%s certificate without a name", p->name);
	if (p->cn == PROFILE_CN_DEVICE && !id_is_device(span_str(f->cn)))
		return err_set(e, ERR_PARSE, "'%.80s' is no device ID", f->cn);
	return 0;
}

static int
check_fields(const struct tbs_fields *f, const struct profile *p, const struct spki *k,
    struct err *e)
{
	if (check_names(f, p, e) < 0 || check_urls(f, p, e) < 0)
		return -1;
	if ((p->san == PROFILE_SAN_HOSTS) != (f->n_san > 0) || f->n_san > TBS_SAN_MAX)
		return err_set(e, ERR_USAGE, "%s certificate with %zu host names",
		    p->name, f->n_san);
	if (!(p->kinds & PROFILE_KIND(k->kind)))
		return err_set(e, ERR_UNSUPPORTED,
		    "%s certificate for a key of this algorithm", p->name);
	if (f->serial[0] & 0x80 || is_zero(f->serial, TBS_SERIAL))
		return err_set(e, ERR_USAGE, "serial number not positive");
	if (f->not_after_s < f->not_before_s || f->not_after_s > TBS_NO_EXPIRY_S)
		return err_set(
		    e, ERR_USAGE, "validity that ends before it begins, or past 9999");
	return 0;
}

static void
put_validity(struct buf *b, const struct tbs_fields *f)
{
	size_t seq = der_begin(b, DER_SEQUENCE);
	der_put_time(b, f->not_before_s);
	der_put_time(b, f->not_after_s);
	der_end(b, seq);
}

static int
put_extensions(struct buf *b, const struct tbs_fields *f, const struct profile *p,
    const struct subject *s, struct span issuer_id, struct err *e)
{
	size_t outer = der_begin(b, DER_EXPLICIT(3)), seq = der_begin(b, DER_SEQUENCE);
	put_basic_constraints(b, p, s->pathlen);
	put_key_usage(b, p->usage | (s->key.kind == SPKI_RSA ? p->usage_rsa : 0));
	put_eku(b, p->eku);
	put_key_ids(b, s->key_id, issuer_id.len ? issuer_id : s->key_id);
	if (put_san(b, f, e) < 0)
		return -1;
	put_urls(b, f);
	put_nocheck(b, p);
	der_end(b, seq);
	der_end(b, outer);
	return 0;
}

/* name: room for the subject's. */
static int
find_subject(const struct tbs_fields *f, const struct profile *p, struct buf *name,
    struct subject *ret, struct err *e)
{
	const struct cert *ca = f->cross;
	ret->spki = ca ? ca->spki : f->spki;
	ret->pathlen = ca ? ca->pathlen : p->pathlen;
	if (pubkey_parse(ret->spki, &ret->key, e) < 0 ||
	    check_fields(f, p, &ret->key, e) < 0)
		return -1;
	if (!ca && name_write(f->cn, f->org, name, e) < 0)
		return -1;
	ret->name = ca ? ca->subject : buf_span(name);
	pubkey_id(&ret->key, ret->computed_id);
	ret->key_id = span_of(ret->computed_id, PUBKEY_ID);
	if (ca && ca->ski.len)
		ret->key_id = ca->ski;
	return 0;
}

int
tbs_build(const struct tbs_fields *f, const struct tbs_issuer *by, struct buf *out,
    struct err *e)
{
	const struct profile *p = profile_get(f->profile);
	struct subject s;
	auto_buf name = BUF_INIT(NAME_DER_MAX);
	if (find_subject(f, p, &name, &s, e) < 0)
		return -1;
	size_t seq = der_begin(out, DER_SEQUENCE);
	size_t version = der_begin(out, DER_EXPLICIT(0));
	der_put_int(out, 2); /* v3 */
	der_end(out, version);
	der_put_unsigned(out, span_of(f->serial, TBS_SERIAL));
	tbs_put_sig_alg(out, by->alg);
	buf_put_span(out, by->name.len ? by->name : s.name);
	put_validity(out, f);
	buf_put_span(out, s.name);
	buf_put_span(out, s.spki);
	if (put_extensions(out, f, p, &s, by->key_id, e) < 0)
		return -1;
	der_end(out, seq);
	return buf_check(out, "certificate", e);
}
