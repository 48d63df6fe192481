/*
 * TBSCertificate, written field by field (RFC 5280 4.1 and 4.2).
 */
#include "crypto/tbs.h"

#include <arpa/inet.h>

#include "base/rand.h"
#include "codec/der.h"
#include "codec/id.h"

#define OID_EXT(n) SPAN_LIT("\x55\x1d" n)

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
	} while (is_zero(out, TBS_SERIAL));
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

/* --- extensions: SEQUENCE { OID, critical, OCTET STRING { value } } --- */

struct ext {
	size_t seq, octets;
};

static struct ext
ext_begin(struct buf *b, struct span oid, bool critical)
{
	struct ext x;
	x.seq = der_begin(b, DER_SEQUENCE);
	der_put_oid(b, oid);
	if (critical)
		der_put_bool(b, true);
	x.octets = der_begin(b, DER_OCTET_STRING);
	return x;
}

static void
ext_end(struct buf *b, struct ext x)
{
	der_end(b, x.octets);
	der_end(b, x.seq);
}

static void
put_basic_constraints(struct buf *b, const struct profile *p)
{
	struct ext x = ext_begin(b, OID_EXT("\x13"), true);
	size_t seq = der_begin(b, DER_SEQUENCE);
	if (p->is_ca)
		der_put_bool(b, true);
	if (p->is_ca && p->pathlen >= 0)
		der_put_int(b, p->pathlen);
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
	struct ext x = ext_begin(b, OID_EXT("\x0f"), true);
	der_put_named_bits(b, bits);
	ext_end(b, x);
}

static void
put_eku(struct buf *b, unsigned eku)
{
	if (!eku)
		return;
	struct ext x = ext_begin(b, OID_EXT("\x25"), false);
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
	struct ext x = ext_begin(b, OID_EXT("\x0e"), false);
	der_put(b, DER_OCTET_STRING, own);
	ext_end(b, x);
	x = ext_begin(b, OID_EXT("\x23"), false);
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
	struct ext x = ext_begin(b, OID_EXT("\x11"), false);
	size_t seq = der_begin(b, DER_SEQUENCE);
	for (size_t i = 0; i < f->n_san; i++)
		if (put_host(b, f->san[i], e) < 0)
			return -1;
	der_end(b, seq);
	ext_end(b, x);
	return 0;
}

/* --- the whole --- */

static int
check_fields(const struct tbs_fields *f, const struct profile *p, const struct spki *k,
    struct err *e)
{
	if (!f->cn)
		return err_set(e, ERR_USAGE, "%s certificate without a name", p->name);
	if (p->cn == PROFILE_CN_DEVICE && !id_is_device(span_str(f->cn)))
		return err_set(e, ERR_PARSE, "'%.80s' is no device ID", f->cn);
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
    const struct spki *k, struct span issuer_id, struct err *e)
{
	uint8_t id[PUBKEY_ID];
	pubkey_id(k, id);
	struct span own = span_of(id, sizeof(id));
	size_t outer = der_begin(b, DER_EXPLICIT(3)), seq = der_begin(b, DER_SEQUENCE);
	put_basic_constraints(b, p);
	put_key_usage(b, p->usage | (k->kind == SPKI_RSA ? p->usage_rsa : 0));
	put_eku(b, p->eku);
	put_key_ids(b, own, issuer_id.len ? issuer_id : own);
	if (put_san(b, f, e) < 0)
		return -1;
	der_end(b, seq);
	der_end(b, outer);
	return 0;
}

int
tbs_build(const struct tbs_fields *f, const struct tbs_issuer *by, struct buf *out,
    struct err *e)
{
	const struct profile *p = profile_get(f->profile);
	struct spki k;
	if (pubkey_parse(f->spki, &k, e) < 0 || check_fields(f, p, &k, e) < 0)
		return -1;
	auto_buf name = BUF_INIT(NAME_DER_MAX);
	if (name_write(f->cn, f->org, &name, e) < 0)
		return -1;
	size_t seq = der_begin(out, DER_SEQUENCE);
	size_t version = der_begin(out, DER_EXPLICIT(0));
	der_put_int(out, 2); /* v3 */
	der_end(out, version);
	der_put_unsigned(out, span_of(f->serial, TBS_SERIAL));
	tbs_put_sig_alg(out, by->alg);
	buf_put_span(out, by->name.len ? by->name : buf_span(&name));
	put_validity(out, f);
	buf_put_span(out, buf_span(&name));
	buf_put_span(out, f->spki);
	if (put_extensions(out, f, p, &k, by->key_id, e) < 0)
		return -1;
	der_end(out, seq);
	return buf_check(out, "certificate", e);
}
