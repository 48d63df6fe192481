/*
 * Issuing: plan the dates, build the TBS, sign it; and the check that what came out is
 * what the profile says, seen through OpenSSL's eyes.
 */
#include "crypto/issuer.h"

#include "crypto/ossl.h"

own_define(CRL_DIST_POINTS, CRL_DIST_POINTS_free);
own_define(AUTHORITY_INFO_ACCESS, AUTHORITY_INFO_ACCESS_free);

struct issuer {
	struct cert *cert;
	struct key *key;
	struct key_signer *signer;
	uint8_t key_id[PUBKEY_ID]; /* for a CA that carries no SKI */
	struct buf tbs;            /* room kept from one certificate to the next */
};

static struct issuer *
build(struct cert *cert, struct key *key, struct err *e)
{
	auto_(issuer_free) struct issuer *i = own_alloc(sizeof(*i));
	struct spki k;
	i->cert = cert_ref(cert);
	i->key = key_ref(key);
	i->tbs = BUF_INIT(TBS_MAX);
	i->signer = key_signer_new(key, e);
	if (!i->signer || pubkey_parse(cert->spki, &k, e) < 0)
		return NULL;
	pubkey_id(&k, i->key_id);
	return TAKE(i);
}

struct issuer *
issuer_new(struct span cert_pem, struct key *key, struct err *e)
{
	auto_cert_list l = {.n = 0};
	if (cert_list_parse(cert_pem, "CA certificate", &l, e) < 0)
		return NULL;
	struct cert *c = l.v[0];
	if (!c->is_ca || (c->has_usage && !(c->usage & CERT_KEY_CERT_SIGN))) {
		err_set(e, ERR_USAGE, "the certificate of '%s' is no CA's", c->cn);
		return NULL;
	}
	if (!key_is_spki(key, c->spki)) {
		err_set(e, ERR_CRYPTO, "the CA certificate of '%s' is not of this key",
		    c->cn);
		return NULL;
	}
	return build(c, key, e);
}

struct issuer *
issuer_clone(const struct issuer *i, struct err *e)
{
	return build(i->cert, i->key, e);
}

void
issuer_free(struct issuer *i)
{
	if (!i)
		return;
	key_signer_free(i->signer);
	key_free(i->key);
	cert_free(i->cert);
	buf_done(&i->tbs);
	free(i);
}

const struct cert *
issuer_cert(const struct issuer *i)
{
	return i->cert;
}

struct key *
issuer_key(const struct issuer *i)
{
	return i->key;
}

struct span
issuer_key_id(const struct issuer *i)
{
	return i->cert->ski.len ? i->cert->ski : span_of(i->key_id, sizeof(i->key_id));
}

struct key_signer *
issuer_signer(struct issuer *i)
{
	return i->signer;
}

/* --- issuing --- */

static int
check_issuer(
    const struct issuer *i, const struct profile *p, int64_t now_s, struct err *e)
{
	if (p->is_ca && i->cert->pathlen == 0)
		return err_set(
		    e, ERR_DENIED, "'%s' may sign no CA (path length 0)", i->cert->cn);
	if (now_s * 1000 < i->cert->not_before_ms)
		return err_set(
		    e, ERR_DENIED, "the CA '%s' is not valid yet", i->cert->cn);
	if (!cert_valid_at(i->cert, now_s * 1000))
		return err_set(e, ERR_DENIED, "the CA '%s' has expired", i->cert->cn);
	return 0;
}

static int
plan_life(const struct profile *p, int64_t asked_s, int64_t *ret_s, struct err *e)
{
	if (asked_s < 0 || asked_s > p->life_max_s)
		return err_set(e, ERR_USAGE,
		    "a life of %lld s: a %s certificate lives at most "
		    "%lld days",
		    (long long)asked_s, p->name, (long long)(p->life_max_s / 86400));
	*ret_s = asked_s ? asked_s : p->life_default_s;
	return 0;
}

static int
fill(const struct issuer_request *r, struct tbs_fields *f, struct err *e)
{
	if (r->n_san > TBS_SAN_MAX)
		return err_set(
		    e, ERR_LIMIT, "%zu host names: at most %d", r->n_san, TBS_SAN_MAX);
	*f = (struct tbs_fields){.profile = r->profile,
	    .cn = r->cn,
	    .org = r->org,
	    .n_san = r->n_san,
	    .spki = r->spki,
	    .crl_url = r->crl_url,
	    .freshest_url = r->freshest_url,
	    .ocsp_url = r->ocsp_url,
	    .issuers_url = r->issuers_url};
	for (size_t n = 0; n < r->n_san; n++)
		f->san[n] = r->san[n];
	if (r->serial)
		memcpy(f->serial, r->serial, TBS_SERIAL);
	else
		tbs_serial(f->serial);
	return 0;
}

/* From backdate_s before now, for life_s from now, but within ca's life. */
static bool
clamp_life(const struct cert *ca, int64_t now_s, int64_t backdate_s, int64_t life_s,
    struct tbs_fields *f)
{
	int64_t first_s = ca->not_before_ms / 1000, last_s = ca->not_after_ms / 1000;
	f->not_before_s = now_s - backdate_s;
	if (f->not_before_s < first_s)
		f->not_before_s = first_s;
	f->not_after_s = now_s + life_s;
	if (f->not_after_s <= last_s)
		return false;
	f->not_after_s = last_s;
	return true;
}

int
issuer_plan(const struct issuer *i, const struct issuer_request *r,
    struct tbs_fields *ret_f, bool *ret_clamped, struct err *e)
{
	const struct profile *p = profile_get(r->profile);
	struct tbs_fields f;
	int64_t life = 0;
	if (r->profile == PROFILE_ROOT)
		return err_set(e, ERR_USAGE, "a root is signed by itself only");
	if (check_issuer(i, p, r->now_s, e) < 0 ||
	    plan_life(p, r->life_s, &life, e) < 0 || fill(r, &f, e) < 0)
		return -1;
	*ret_clamped = clamp_life(
	    i->cert, r->now_s, r->backdate_s ? *r->backdate_s : p->backdate_s, life, &f);
	*ret_f = f;
	return 0;
}

static int
sign(struct issuer *i, const struct tbs_fields *f, bool clamped, struct buf *out,
    struct issuer_result *ret, struct err *e)
{
	struct issuer_result res = {.clamped = clamped};
	uint8_t sig[KEY_SIG_MAX];
	size_t sig_len, start = out->len;
	const struct tbs_issuer by = {
	    .name = i->cert->subject,
	    .key_id = issuer_key_id(i),
	    .alg = key_algorithm(i->key),
	};
	buf_reset(&i->tbs);
	if (tbs_build(f, &by, &i->tbs, e) < 0 ||
	    key_signer_sign(i->signer, buf_span(&i->tbs), sig, &sig_len, e) < 0)
		return -1;
	tbs_finish(buf_span(&i->tbs), by.alg, span_of(sig, sig_len), out);
	if (buf_check(out, "certificate", e) < 0)
		return -1;
	memcpy(res.serial, f->serial, sizeof(res.serial));
	res.not_before_s = f->not_before_s;
	res.not_after_s = f->not_after_s;
	digest_sha256(span_skip(buf_span(out), start), res.sha256);
	*ret = res;
	return 0;
}

int
issuer_sign(struct issuer *i, const struct issuer_request *r, struct buf *out,
    struct issuer_result *ret, struct err *e)
{
	struct tbs_fields f;
	bool clamped = false;
	if (issuer_plan(i, r, &f, &clamped, e) < 0)
		return -1;
	return sign(i, &f, clamped, out, ret, e);
}

/* RFC 4210 4.4 ends each such certificate with the older of the two keys: within both
 * lives. */
int
issuer_cross(struct issuer *i, const struct cert *ca, int64_t now_s, int64_t life_s,
    struct buf *out, struct issuer_result *ret, struct err *e)
{
	const struct profile *p = profile_get(PROFILE_CROSS);
	struct tbs_fields f = {.profile = PROFILE_CROSS, .cross = ca}, own = f;
	int64_t life = 0;
	if (!ca->is_ca || (ca->has_usage && !(ca->usage & CERT_KEY_CERT_SIGN)))
		return err_set(e, ERR_USAGE, "'%s' is no CA", ca->cn);
	if (key_is_spki(i->key, ca->spki))
		return err_set(e, ERR_USAGE, "'%s' has the key of its issuer", ca->cn);
	if (!cert_valid_at(ca, now_s * 1000))
		return err_set(e, ERR_DENIED, "the CA '%s' is not valid now", ca->cn);
	if (check_issuer(i, p, now_s, e) < 0 || plan_life(p, life_s, &life, e) < 0)
		return -1;
	bool clamped = clamp_life(i->cert, now_s, p->backdate_s, life, &f);
	clamped |= clamp_life(ca, now_s, p->backdate_s, life, &own);
	if (f.not_before_s < own.not_before_s)
		f.not_before_s = own.not_before_s;
	if (f.not_after_s > own.not_after_s)
		f.not_after_s = own.not_after_s;
	tbs_serial(f.serial);
	return sign(i, &f, clamped, out, ret, e);
}

int
issuer_self_sign(struct key *key, const char *cn, const char *org, int64_t now_s,
    int64_t life_s, struct buf *out, struct err *e)
{
	const struct profile *p = profile_get(PROFILE_ROOT);
	struct tbs_fields f = {
	    .profile = PROFILE_ROOT, .cn = cn, .org = org, .spki = key_spki(key)};
	const struct tbs_issuer by = {.alg = key_algorithm(key)};
	uint8_t sig[KEY_SIG_MAX];
	size_t sig_len;
	int64_t life = 0;
	auto_buf tbs = BUF_INIT(TBS_MAX);
	if (plan_life(p, life_s, &life, e) < 0)
		return -1;
	tbs_serial(f.serial);
	f.not_before_s = now_s - p->backdate_s;
	f.not_after_s = now_s + life;
	if (tbs_build(&f, &by, &tbs, e) < 0 ||
	    key_sign(key, buf_span(&tbs), sig, &sig_len, e) < 0)
		return -1;
	tbs_finish(buf_span(&tbs), by.alg, span_of(sig, sig_len), out);
	return buf_check(out, "certificate", e);
}

/* --- the self-check --- */

/* OpenSSL's verdict with the issuer as the only trust, a second before c ends. */
static int
verify(const struct cert *ca, const struct cert *c, unsigned long flags, struct err *e)
{
	auto_(X509_STORE_free) X509_STORE *store = X509_STORE_new();
	auto_(X509_STORE_CTX_free) X509_STORE_CTX *ctx = X509_STORE_CTX_new();
	if (!store || !ctx || X509_STORE_add_cert(store, ca->x509) != 1 ||
	    X509_STORE_CTX_init(ctx, store, c->x509, NULL) != 1)
		return ossl_error(e, ERR_CRYPTO, "certificate check");
	X509_VERIFY_PARAM *param = X509_STORE_CTX_get0_param(ctx);
	X509_VERIFY_PARAM_set_flags(param, X509_V_FLAG_PARTIAL_CHAIN | flags);
	X509_VERIFY_PARAM_set_time(param, c->not_after_ms / 1000 - 1);
	if (X509_verify_cert(ctx) == 1)
		return 0;
	int code = X509_STORE_CTX_get_error(ctx);
	ERR_clear_error();
	return err_set(e, ERR_CRYPTO, "OpenSSL refuses the certificate: %s",
	    X509_verify_cert_error_string(code));
}

int
issuer_verify(const struct cert *ca, const struct cert *c, struct err *e)
{
	if (verify(ca, c, 0, e) < 0)
		return err_wrap(e, "'%s' under '%s'", c->cn, ca->cn);
	return 0;
}

struct want {
	const struct profile *p;
	const struct cert *cross; /* NULL, or the CA whose cross certificate it is */
};

static int
check_profile(const struct cert *c, const struct want *w, struct err *e)
{
	struct spki k;
	uint8_t id[PUBKEY_ID];
	const struct profile *p = w->p;
	if (pubkey_parse(c->spki, &k, e) < 0)
		return -1;
	pubkey_id(&k, id);
	struct span key_id = span_of(id, sizeof(id));
	if (w->cross && w->cross->ski.len)
		key_id = w->cross->ski;
	int pathlen = w->cross ? w->cross->pathlen : p->pathlen;
	unsigned usage = p->usage | (k.kind == SPKI_RSA ? p->usage_rsa : 0);
	if (c->version != 3 || !c->serial_ok || (!w->cross && !c->cn[0]))
		return err_set(e, ERR_CRYPTO, "version, serial number or name");
	if (c->is_ca != p->is_ca || c->pathlen != pathlen)
		return err_set(e, ERR_CRYPTO, "basicConstraints");
	if (!c->has_usage || c->usage != usage)
		return err_set(e, ERR_CRYPTO, "keyUsage");
	if (c->has_eku != (p->eku != 0) || c->eku != p->eku)
		return err_set(e, ERR_CRYPTO, "extendedKeyUsage");
	if (!span_eq(c->ski, key_id))
		return err_set(e, ERR_CRYPTO, "subjectKeyIdentifier");
	if (p->nocheck !=
	    (X509_get_ext_by_NID(c->x509, NID_id_pkix_OCSP_noCheck, -1) >= 0))
		return err_set(e, ERR_CRYPTO, "id-pkix-ocsp-nocheck");
	return 0;
}

static int
check_issued(
    const struct issuer *i, const struct cert *c, const struct want *w, struct err *e)
{
	const struct cert *ca = i->cert;
	if (check_profile(c, w, e) < 0)
		return -1;
	if (!span_eq(c->issuer, ca->subject))
		return err_set(e, ERR_CRYPTO, "issuer name");
	if (!c->aki.len || (ca->ski.len && !span_eq(c->aki, ca->ski)))
		return err_set(e, ERR_CRYPTO, "authorityKeyIdentifier");
	if (c->not_before_ms < ca->not_before_ms || c->not_after_ms > ca->not_after_ms)
		return err_set(e, ERR_CRYPTO, "lives longer than its issuer");
	return verify(ca, c, X509_V_FLAG_X509_STRICT, e);
}

static bool
name_is_url(const GENERAL_NAME *n, const char *url)
{
	int type = 0;
	const ASN1_STRING *s = GENERAL_NAME_get0_value(n, &type);
	if (type != GEN_URI)
		return false;
	return span_eq_str(
	    span_of(ASN1_STRING_get0_data(s), (size_t)ASN1_STRING_length(s)), url);
}

/* The extension is one distribution point with url as its one name; absent for NULL. */
static bool
points_at(const struct cert *c, int nid, const char *url)
{
	int critical = -1;
	auto_(CRL_DIST_POINTS_free) CRL_DIST_POINTS *points =
	    X509_get_ext_d2i(c->x509, nid, &critical, NULL);
	if (!url)
		return !points && critical == -1;
	if (!points || critical != 0 || sk_DIST_POINT_num(points) != 1)
		return false;
	const DIST_POINT *p = sk_DIST_POINT_value(points, 0);
	if (!p->distpoint || p->distpoint->type != 0 || p->reasons || p->CRLissuer)
		return false;
	const GENERAL_NAMES *names = p->distpoint->name.fullname;
	return sk_GENERAL_NAME_num(names) == 1 &&
	       name_is_url(sk_GENERAL_NAME_value(names, 0), url);
}

/* The access descriptions are exactly those of r, in order. */
static bool
access_is(const struct cert *c, const struct issuer_request *r)
{
	const struct {
		int nid;
		const char *url;
	} rows[] = {{NID_ad_OCSP, r->ocsp_url}, {NID_ad_ca_issuers, r->issuers_url}};
	int critical = -1, n = 0;
	auto_(AUTHORITY_INFO_ACCESS_free) AUTHORITY_INFO_ACCESS *all =
	    X509_get_ext_d2i(c->x509, NID_info_access, &critical, NULL);
	if (!r->ocsp_url && !r->issuers_url)
		return !all && critical == -1;
	if (!all || critical != 0)
		return false;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		if (!rows[i].url)
			continue;
		const ACCESS_DESCRIPTION *d = sk_ACCESS_DESCRIPTION_value(all, n++);
		if (!d || OBJ_obj2nid(d->method) != rows[i].nid ||
		    !name_is_url(d->location, rows[i].url))
			return false;
	}
	return sk_ACCESS_DESCRIPTION_num(all) == n;
}

static int
check_urls(const struct cert *c, const struct issuer_request *r, struct err *e)
{
	if (!points_at(c, NID_crl_distribution_points, r->crl_url))
		return err_set(e, ERR_CRYPTO, "cRLDistributionPoints");
	if (!points_at(c, NID_freshest_crl, r->freshest_url))
		return err_set(e, ERR_CRYPTO, "freshestCRL");
	if (!access_is(c, r))
		return err_set(e, ERR_CRYPTO, "authorityInfoAccess");
	return 0;
}

/* Why der is not what w says and, unless r is NULL, r asked for. */
static int
check_der(const struct issuer *i, const struct want *w, const struct issuer_request *r,
    struct span der, struct err *e)
{
	auto_(cert_free) struct cert *c = cert_parse(der, e);
	if (!c || check_issued(i, c, w, e) < 0 || (r && check_urls(c, r, e) < 0))
		return err_wrap(
		    e, "self-check of profile %s under '%s'", w->p->name, i->cert->cn);
	return 0;
}

int
issuer_check(
    const struct issuer *i, enum profile_id profile, struct span der, struct err *e)
{
	const struct want w = {.p = profile_get(profile)};
	return check_der(i, &w, NULL, der, e);
}

int
issuer_check_request(const struct issuer *i, const struct issuer_request *r,
    struct span der, struct err *e)
{
	const struct want w = {.p = profile_get(r->profile)};
	return check_der(i, &w, r, der, e);
}

int
issuer_check_cross(
    const struct issuer *i, const struct cert *ca, struct span der, struct err *e)
{
	const struct want w = {.p = profile_get(PROFILE_CROSS), .cross = ca};
	auto_(cert_free) struct cert *c = cert_parse(der, e);
	if (!c)
		return -1;
	if (!span_eq(c->subject, ca->subject) || !span_eq(c->spki, ca->spki))
		return err_set(e, ERR_CRYPTO,
		    "self-check of a cross certificate: not the name and key of '%s'",
		    ca->cn);
	return check_der(i, &w, NULL, der, e);
}

static int
try_profile(
    struct issuer *i, enum profile_id id, struct key *key, int64_t now_s, struct err *e)
{
	static const char *const san[] = {"self-check.invalid", "127.0.0.1", "::1"};
	bool hosts = profile_get(id)->san == PROFILE_SAN_HOSTS;
	struct issuer_request r = {.profile = id,
	    .cn = "muster-self-check",
	    .san = san,
	    .n_san = hosts ? sizeof(san) / sizeof(san[0]) : 0,
	    .spki = key_spki(key),
	    .now_s = now_s,
	    .life_s = 1,
	    .crl_url = "http://self-check.invalid/0.crl",
	    .freshest_url = "http://self-check.invalid/0-delta.crl",
	    .ocsp_url = "http://self-check.invalid/ocsp",
	    .issuers_url = "http://self-check.invalid/ca.cer"};
	struct issuer_result res;
	auto_buf der = BUF_INIT(CERT_MAX);
	if (issuer_sign(i, &r, &der, &res, e) < 0)
		return err_wrap(e, "self-check of '%s'", i->cert->cn);
	return issuer_check_request(i, &r, buf_span(&der), e);
}

/* The leaves live one second and their key dies here. */
int
issuer_self_check(struct issuer *i, int64_t now_s, struct err *e)
{
	auto_(key_free) struct key *key = key_generate(KEY_P256, e);
	if (!key)
		return -1;
	for (int id = 0; id < PROFILE_N; id++)
		if (!profile_get((enum profile_id)id)->is_ca &&
		    try_profile(i, (enum profile_id)id, key, now_s, e) < 0)
			return -1;
	return 0;
}
