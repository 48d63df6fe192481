/*
 * Entries, and building a list. Linear in the entries: what is the same in each of them
 * is written as one piece, and the signature is one over all.
 */
#include "crypto/crl.h"

#include "codec/der.h"
#include "codec/ext.h"
#include "crypto/sig_alg.h"

static const char *const reasons[CRL_REASON_N] = {
    [CRL_UNSPECIFIED] = "unspecified",
    [CRL_KEY_COMPROMISE] = "keyCompromise",
    [CRL_CA_COMPROMISE] = "cACompromise",
    [CRL_AFFILIATION_CHANGED] = "affiliationChanged",
    [CRL_SUPERSEDED] = "superseded",
    [CRL_CESSATION] = "cessationOfOperation",
    [CRL_HOLD] = "certificateHold",
    [CRL_REMOVE] = "removeFromCRL",
    [CRL_PRIVILEGE_WITHDRAWN] = "privilegeWithdrawn",
    [CRL_AA_COMPROMISE] = "aACompromise",
};

const char *
crl_reason_name(unsigned reason)
{
	return reason < CRL_REASON_N ? reasons[reason] : NULL;
}

int
crl_reason_parse(struct span name, enum crl_reason *ret, struct err *e)
{
	auto_buf all = BUF_INIT(256);
	for (int i = 0; i < CRL_REASON_N; i++) {
		if (!reasons[i])
			continue;
		if (span_ieq_str(name, reasons[i])) {
			*ret = (enum crl_reason)i;
			return 0;
		}
		buf_printf(&all, "%s%s", all.len ? ", " : "", reasons[i]);
	}
	return err_set(e, ERR_PARSE, "no revocation reason '%.*s'; there are %s",
	    SPAN_FMT(span_head(name, 40)), buf_text(&all));
}

/* --- entries --- */

static struct span
serial_of(const struct crl_entry *en)
{
	return span_of(en->serial, en->serial_len);
}

/* A serial number without the zeros in front. */
static struct span
magnitude(struct span s)
{
	while (s.len && s.p[0] == 0)
		s = span_skip(s, 1);
	return s;
}

int
crl_entry_set(struct crl_entry *ret, struct span serial, unsigned reason, int64_t at_ms,
    struct err *e)
{
	struct span s = magnitude(serial);
	if (s.len == 0 || s.len > CRL_SERIAL_MAX)
		return err_set(
		    e, ERR_PARSE, "serial number of %zu octets in a CRL", s.len);
	if (!crl_reason_name(reason))
		return err_set(e, ERR_PARSE, "revocation reason %u", reason);
	if (at_ms < 0)
		return err_set(e, ERR_PARSE, "revoked before 1970");
	*ret = (struct crl_entry){
	    .serial_len = (uint8_t)s.len, .reason = (uint8_t)reason, .at_ms = at_ms};
	memcpy(ret->serial, s.p, s.len);
	return 0;
}

static int
compare(const struct crl_entry *a, const struct crl_entry *b)
{
	if (a->serial_len != b->serial_len)
		return a->serial_len < b->serial_len ? -1 : 1;
	return memcmp(a->serial, b->serial, a->serial_len);
}

int
crl_entry_cmp(const void *a, const void *b)
{
	return compare(a, b);
}

void
crl_entry_pack(const struct crl_entry *en, struct buf *out)
{
	buf_u8(out, en->serial_len);
	buf_put_span(out, serial_of(en));
	buf_u8(out, en->reason);
	buf_u64(out, (uint64_t)en->at_ms);
}

int
crl_entry_unpack(struct span *in, struct crl_entry *ret, struct err *e)
{
	struct cursor c = cursor_of(*in);
	struct span serial = cursor_take(&c, cursor_u8(&c));
	unsigned reason = cursor_u8(&c);
	uint64_t at_ms = cursor_u64(&c);
	if (c.bad || serial.len == 0 || serial.p[0] == 0 || at_ms > INT64_MAX)
		return err_set(e, ERR_PARSE, "malformed entry of a CRL");
	if (crl_entry_set(ret, serial, reason, (int64_t)at_ms, e) < 0)
		return -1;
	*in = span_skip(*in, in->len - c.left);
	return 0;
}

unsigned
crl_shard(struct span serial, unsigned n)
{
	unsigned tail = serial.len > 0 ? serial.p[serial.len - 1] : 0;
	if (serial.len > 1)
		tail |= (unsigned)serial.p[serial.len - 2] << 8;
	return tail % n;
}

/* --- building --- */

static int
check_entries(const struct crl_fields *f, struct err *e)
{
	for (size_t n = 0; n < f->n; n++) {
		const struct crl_entry *en = &f->entries[n];
		if (en->serial_len == 0 || en->serial_len > CRL_SERIAL_MAX ||
		    en->serial[0] == 0 || en->at_ms < 0 || !crl_reason_name(en->reason))
			return err_set(
			    e, ERR_USAGE, "CRL: entry %zu is out of bounds", n);
		if (n && compare(en - 1, en) >= 0)
			return err_set(e, ERR_USAGE, "CRL: entry %zu is out of order", n);
		if (en->reason == CRL_REMOVE && !f->base)
			return err_set(e, ERR_USAGE, "CRL: removeFromCRL in a full list");
	}
	return 0;
}

static int
check_fields(const struct crl_fields *f, struct err *e)
{
	if (f->number == 0 || f->base >= f->number)
		return err_set(e, ERR_USAGE, "CRL: a base that is not before its number");
	if (f->next_ms / 1000 <= f->this_ms / 1000 || f->this_ms < 0 ||
	    f->next_ms / 1000 > TBS_NO_EXPIRY_S)
		return err_set(e, ERR_USAGE, "CRL: nextUpdate is not after thisUpdate");
	if ((f->url && !ext_is_url(span_str(f->url))) ||
	    (f->freshest && !ext_is_url(span_str(f->freshest))))
		return err_set(e, ERR_USAGE, "CRL: a place that is no URL");
	if (f->freshest && f->base) /* 5.2.6 */
		return err_set(e, ERR_USAGE, "CRL: a delta with a delta");
	if (f->n > CRL_ENTRIES_MAX)
		return err_set(e, ERR_LIMIT, "CRL of %zu entries", f->n);
	return check_entries(f, e);
}

static int
check_issuer(const struct cert *ca, int64_t this_ms, struct err *e)
{
	if (ca->has_usage && !(ca->usage & CERT_CRL_SIGN))
		return err_set(e, ERR_DENIED, "'%s' may not sign CRLs", ca->cn);
	if (!cert_valid_at(ca, this_ms))
		return err_set(
		    e, ERR_DENIED, "the CA '%s' is not valid at thisUpdate", ca->cn);
	return 0;
}

/* crlEntryExtensions with reasonCode (5.3.1); absent rather than unspecified. */
static void
put_reason(struct buf *b, uint8_t reason)
{
	const uint8_t whole[] = {DER_SEQUENCE, 12, DER_SEQUENCE, 10, DER_OID, 3, 0x55,
	    0x1d, 0x15, DER_OCTET_STRING, 3, DER_ENUMERATED, 1, reason};
	if (reason != CRL_UNSPECIFIED)
		buf_put(b, whole, sizeof(whole));
}

static void
put_entry(struct buf *b, const struct crl_entry *en)
{
	size_t seq = der_begin(b, DER_SEQUENCE);
	der_put_unsigned(b, serial_of(en));
	der_put_time(b, en->at_ms / 1000);
	put_reason(b, en->reason);
	der_end(b, seq);
}

/* revokedCertificates; absent where there is none (5.1.2.6). */
static void
put_entries(struct buf *b, const struct crl_fields *f)
{
	if (!f->n)
		return;
	size_t seq = der_begin(b, DER_SEQUENCE);
	for (size_t n = 0; n < f->n; n++)
		put_entry(b, &f->entries[n]);
	der_end(b, seq);
}

static void
put_number(struct buf *b, struct span oid, bool critical, uint64_t v)
{
	uint8_t bytes[8];
	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (uint8_t)(v >> (56 - 8 * i));
	struct ext_mark x = ext_begin(b, oid, critical);
	der_put_unsigned(b, span_of(bytes, sizeof(bytes)));
	ext_end(b, x);
}

/* IssuingDistributionPoint (5.2.5). An empty one is not allowed, so none is written. */
static void
put_issuing_point(struct buf *b, const struct crl_fields *f)
{
	if (!f->url && !f->only_user)
		return;
	struct ext_mark x = ext_begin(b, EXT_ISSUING_POINT, true);
	size_t seq = der_begin(b, DER_SEQUENCE);
	if (f->url)
		ext_put_point_name(b, span_str(f->url));
	if (f->only_user)
		der_put(b, DER_IMPLICIT(1), SPAN_LIT("\xff"));
	der_end(b, seq);
	ext_end(b, x);
}

static void
put_extensions(struct buf *b, const struct crl_fields *f, struct span key_id)
{
	size_t outer = der_begin(b, DER_EXPLICIT(0)), seq = der_begin(b, DER_SEQUENCE);
	struct ext_mark x = ext_begin(b, EXT_AUTHORITY_KEY, false);
	size_t aki = der_begin(b, DER_SEQUENCE);
	der_put(b, DER_IMPLICIT(0), key_id);
	der_end(b, aki);
	ext_end(b, x);
	put_number(b, EXT_CRL_NUMBER, false, f->number);
	if (f->base)
		put_number(b, EXT_DELTA_CRL, true, f->base);
	put_issuing_point(b, f);
	if (f->freshest)
		ext_put_points(b, EXT_FRESHEST_CRL, span_str(f->freshest));
	der_end(b, seq);
	der_end(b, outer);
}

/* TBSCertList (5.1.2). */
static void
put_tbs(struct buf *b, struct issuer *i, const struct crl_fields *f)
{
	size_t seq = der_begin(b, DER_SEQUENCE);
	der_put_int(b, 1); /* v2 */
	tbs_put_sig_alg(b, key_algorithm(issuer_key(i)));
	buf_put_span(b, issuer_cert(i)->subject);
	der_put_time(b, f->this_ms / 1000);
	der_put_time(b, f->next_ms / 1000);
	put_entries(b, f);
	put_extensions(b, f, issuer_key_id(i));
	der_end(b, seq);
}

/* In place: a list of some megabytes is not copied once more. */
static int
put_signed(struct buf *b, struct issuer *i, const struct crl_fields *f, struct err *e)
{
	uint8_t sig[KEY_SIG_MAX];
	size_t sig_len, seq = der_begin(b, DER_SEQUENCE);
	put_tbs(b, i, f);
	if (buf_check(b, "CRL", e) < 0 ||
	    key_signer_sign(
		issuer_signer(i), span_skip(buf_span(b), seq), sig, &sig_len, e) < 0)
		return -1;
	tbs_put_sig_alg(b, key_algorithm(issuer_key(i)));
	der_put_bits(b, span_of(sig, sig_len), 0);
	der_end(b, seq);
	return buf_check(b, "CRL", e);
}

int
crl_build(struct issuer *i, const struct crl_fields *f, struct buf *out, struct err *e)
{
	size_t start = out->len;
	if (check_fields(f, e) < 0 || check_issuer(issuer_cert(i), f->this_ms, e) < 0)
		return -1;
	if (put_signed(out, i, f, e) == 0)
		return 0;
	out->len = start;
	return -1;
}

/* --- reading --- */

static int
read_reason(struct span value, uint8_t *ret, struct err *e)
{
	struct span v;
	if (der_expect(&value, DER_ENUMERATED, &v, e) < 0 ||
	    der_finish(value, "reasonCode", e) < 0)
		return -1;
	if (v.len != 1 || !crl_reason_name(v.p[0]))
		return err_set(e, ERR_PARSE, "a reason that is none");
	*ret = v.p[0];
	return 0;
}

/* crlEntryExtensions, content of the SEQUENCE: reasonCode is read, what is critical and
 * not known (certificateIssuer of an indirect list) refused. */
static int
read_entry_extensions(struct span in, uint8_t *ret_reason, struct err *e)
{
	struct ext x;
	while (in.len) {
		if (ext_next(&in, &x, e) < 0)
			return -1;
		if (span_eq(x.oid, EXT_CRL_REASON)) {
			if (read_reason(x.value, ret_reason, e) < 0)
				return -1;
			continue;
		}
		if (x.critical)
			return err_set(
			    e, ERR_UNSUPPORTED, "unknown critical entry extension");
	}
	return 0;
}

static int
read_entry(struct span *in, struct crl_entry *ret, struct err *e)
{
	struct span rest = *in, one, serial, exts;
	int64_t at_s = 0;
	uint8_t reason = CRL_UNSPECIFIED;
	if (der_expect(&rest, DER_SEQUENCE, &one, e) < 0 ||
	    der_expect_unsigned(&one, &serial, e) < 0 ||
	    der_expect_time(&one, &at_s, e) < 0)
		return -1;
	if (one.len && (der_expect(&one, DER_SEQUENCE, &exts, e) < 0 ||
			   der_finish(one, "CRL entry", e) < 0 ||
			   read_entry_extensions(exts, &reason, e) < 0))
		return -1;
	if (at_s < 0)
		at_s = 0; /* before 1970 is as good as then */
	if (crl_entry_set(ret, serial, reason, at_s * 1000, e) < 0)
		return -1;
	*in = rest;
	return 0;
}

static int
read_entries(struct crl *c, struct span entries, struct err *e)
{
	struct span rest = entries;
	struct crl_entry en;
	while (rest.len) {
		if (c->n == CRL_ENTRIES_MAX)
			return err_set(
			    e, ERR_LIMIT, "CRL of more than %d entries", CRL_ENTRIES_MAX);
		if (read_entry(&rest, &en, e) < 0)
			return err_wrap(e, "entry %zu", c->n);
		c->n++;
	}
	c->entries = entries;
	return 0;
}

static int
read_number(struct span value, uint64_t *ret, struct err *e)
{
	struct span v;
	if (der_expect_unsigned(&value, &v, e) < 0 ||
	    der_finish(value, "CRL number", e) < 0)
		return -1;
	if (v.len > 8)
		return err_set(e, ERR_UNSUPPORTED, "CRL number of over 64 bits");
	uint64_t n = 0;
	for (size_t i = 0; i < v.len; i++)
		n = n << 8 | v.p[i];
	*ret = n;
	return 0;
}

static int
read_aki(struct crl *c, struct span value, struct err *e)
{
	struct span seq;
	struct der_tlv t;
	if (der_expect(&value, DER_SEQUENCE, &seq, e) < 0 ||
	    der_finish(value, "authorityKeyIdentifier", e) < 0)
		return -1;
	while (seq.len) {
		if (der_next(&seq, &t, e) < 0)
			return -1;
		if (t.tag == DER_IMPLICIT(0))
			c->aki = t.content;
	}
	return 0;
}

static int
read_crl_number(struct crl *c, struct span value, struct err *e)
{
	c->has_number = true;
	return read_number(value, &c->number, e);
}

static int
read_delta(struct crl *c, struct span value, struct err *e)
{
	if (read_number(value, &c->base, e) < 0)
		return -1;
	if (c->base == 0)
		return err_set(e, ERR_UNSUPPORTED, "a delta to number 0");
	return 0;
}

/* IssuingDistributionPoint (5.2.5): of its flags, [1] and [2] are honoured. */
static int
read_issuing_point(struct crl *c, struct span value, struct err *e)
{
	struct span seq;
	struct der_tlv t;
	if (der_expect(&value, DER_SEQUENCE, &seq, e) < 0 ||
	    der_finish(value, "issuingDistributionPoint", e) < 0)
		return -1;
	while (seq.len) {
		if (der_next(&seq, &t, e) < 0)
			return -1;
		bool on = t.content.len == 1 && t.content.p[0];
		if (t.tag == DER_EXPLICIT(0)) {
			if (ext_read_point_name(t.content, &c->url, e) < 0)
				return -1;
			continue;
		}
		if (t.tag == DER_IMPLICIT(1))
			c->only_user = on;
		else if (t.tag == DER_IMPLICIT(2))
			c->only_ca = on;
		else if (t.tag == DER_IMPLICIT(3) || on)
			return err_set(e, ERR_UNSUPPORTED,
			    "indirect, or of some reasons or attributes only");
	}
	return 0;
}

static const struct ext_row {
	struct span oid;
	int (*read)(struct crl *c, struct span value, struct err *e);
} ext_rows[] = {
    {EXT_AUTHORITY_KEY, read_aki},
    {EXT_CRL_NUMBER, read_crl_number},
    {EXT_DELTA_CRL, read_delta},
    {EXT_ISSUING_POINT, read_issuing_point},
};
#define EXT_ROWS (sizeof(ext_rows) / sizeof(ext_rows[0]))

static int
read_extension(struct crl *c, const struct ext *x, unsigned *seen, struct err *e)
{
	for (size_t i = 0; i < EXT_ROWS; i++) {
		if (!span_eq(x->oid, ext_rows[i].oid))
			continue;
		if (*seen & 1u << i)
			return err_set(e, ERR_PARSE, "an extension twice");
		*seen |= 1u << i;
		return ext_rows[i].read(c, x->value, e);
	}
	if (x->critical)
		return err_set(e, ERR_UNSUPPORTED, "unknown critical extension");
	return 0;
}

/* crlExtensions, what is left of the TBSCertList. */
static int
read_extensions(struct crl *c, struct span in, struct err *e)
{
	struct span outer, exts;
	struct ext x;
	unsigned seen = 0;
	if (!in.len)
		return 0;
	if (der_expect(&in, DER_EXPLICIT(0), &outer, e) < 0 ||
	    der_finish(in, "CRL", e) < 0 ||
	    der_expect(&outer, DER_SEQUENCE, &exts, e) < 0 ||
	    der_finish(outer, "CRL extensions", e) < 0)
		return -1;
	while (exts.len)
		if (ext_next(&exts, &x, e) < 0 || read_extension(c, &x, &seen, e) < 0)
			return -1;
	return 0;
}

static int
read_tbs(struct crl *c, struct span in, struct err *e)
{
	struct span version, alg, entries;
	struct der_tlv name;
	if (der_expect_unsigned(&in, &version, e) < 0)
		return -1;
	if (!span_eq(version, SPAN_LIT("\x01")))
		return err_set(e, ERR_PARSE, "CRL of a version other than 2");
	if (der_expect(&in, DER_SEQUENCE, &alg, e) < 0 || der_next(&in, &name, e) < 0 ||
	    der_expect_time(&in, &c->this_ms, e) < 0 ||
	    der_expect_time(&in, &c->next_ms, e) < 0)
		return -1;
	if (name.tag != DER_SEQUENCE || !span_eq(alg, c->sig_alg)) /* 5.1.1.2 */
		return err_set(e, ERR_PARSE, "malformed, or of two algorithms");
	c->this_ms *= 1000;
	c->next_ms *= 1000;
	c->issuer = name.whole;
	if (!in.len || in.p[0] != DER_SEQUENCE)
		return read_extensions(c, in, e);
	if (der_expect(&in, DER_SEQUENCE, &entries, e) < 0 ||
	    read_entries(c, entries, e) < 0)
		return -1;
	return read_extensions(c, in, e);
}

int
crl_parse(struct span der, struct crl *ret, struct err *e)
{
	struct crl c = {.der = der};
	struct span in = der, list;
	struct der_tlv tbs;
	if (der.len > CRL_MAX)
		return err_set(e, ERR_LIMIT, "CRL of %zu bytes", der.len);
	if (der_expect(&in, DER_SEQUENCE, &list, e) < 0 || der_finish(in, "CRL", e) < 0 ||
	    der_next(&list, &tbs, e) < 0)
		return -1;
	if (tbs.tag != DER_SEQUENCE)
		return err_set(e, ERR_PARSE, "no CRL");
	c.tbs = tbs.whole;
	if (der_expect(&list, DER_SEQUENCE, &c.sig_alg, e) < 0 ||
	    der_expect_bits(&list, &c.sig, e) < 0 || der_finish(list, "CRL", e) < 0 ||
	    read_tbs(&c, tbs.content, e) < 0)
		return err_wrap(e, "CRL");
	*ret = c;
	return 0;
}

bool
crl_next(struct span *rest, struct crl_entry *ret)
{
	return rest->len && read_entry(rest, ret, NULL) == 0;
}

bool
crl_find(const struct crl *c, struct span serial, struct crl_entry *ret)
{
	struct span rest = c->entries, want = magnitude(serial);
	struct crl_entry en;
	while (crl_next(&rest, &en)) {
		if (!span_eq(serial_of(&en), want))
			continue;
		*ret = en;
		return true;
	}
	return false;
}

int
crl_verify(const struct crl *c, const struct cert *ca, struct err *e)
{
	struct spki k;
	enum key_hash hash = KEY_SHA256;
	if (ca->has_usage && !(ca->usage & CERT_CRL_SIGN))
		return err_set(e, ERR_DENIED, "'%s' may not sign CRLs", ca->cn);
	if (pubkey_parse(ca->spki, &k, e) < 0 ||
	    sig_alg_parse(c->sig_alg, k.kind, &hash, e) < 0 ||
	    key_verify(ca->spki, hash, c->tbs, c->sig, e) < 0)
		return err_wrap(e, "CRL of '%s'", ca->cn);
	return 0;
}

int
crl_fits(const struct crl *c, const struct cert *ca, const char *url, uint64_t newer_than,
    struct err *e)
{
	struct spki k;
	uint8_t id[PUBKEY_ID];
	if (pubkey_parse(ca->spki, &k, e) < 0)
		return -1;
	pubkey_id(&k, id);
	struct span key_id = ca->ski.len ? ca->ski : span_of(id, sizeof(id));
	if (!span_eq(c->issuer, ca->subject))
		return err_set(
		    e, ERR_CONFLICT, "CRL is of another issuer than '%s'", ca->cn);
	if (!span_eq(c->aki, key_id))
		return err_set(e, ERR_CONFLICT, "CRL is of another key of '%s'", ca->cn);
	if (!span_eq_str(c->url, url))
		return err_set(e, ERR_CONFLICT, "CRL is for '%.*s', not for '%s'",
		    SPAN_FMT(c->url), url ? url : "");
	if (!c->has_number || c->number <= newer_than)
		return err_set(e, ERR_CONFLICT,
		    "CRL number %llu does not come after %llu",
		    (unsigned long long)c->number, (unsigned long long)newer_than);
	return 0;
}
