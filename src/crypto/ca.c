/*
 * The CAs of a home: certificates and keys that fit each other. No file is touched here.
 */
#include "crypto/ca.h"

void
ca_drop(struct ca *c, size_t i)
{
	issuer_free(c->v[i].issuer);
	cert_free(c->v[i].cert);
	c->n--;
	memmove(&c->v[i], &c->v[i + 1], (c->n - i) * sizeof(c->v[0]));
}

void
ca_done(struct ca *c)
{
	while (c->n)
		ca_drop(c, c->n - 1);
}

/* ---- looking up ----------------------------------------------------------------------
 */

struct ca_member *
ca_find(struct ca *c, struct span sha256)
{
	for (size_t i = 0; i < c->n; i++)
		if (span_eq(sha256, span_of(c->v[i].cert->sha256, DIGEST_SHA256)))
			return &c->v[i];
	return NULL;
}

struct ca_member *
ca_by_name(struct ca *c, struct span name)
{
	for (size_t i = 0; i < c->n; i++)
		if (span_eq_str(name, c->v[i].name))
			return &c->v[i];
	return NULL;
}

static bool
is_issuing(enum ca_purpose p)
{
	return p == CA_DEVICE || p == CA_SERVICE;
}

struct ca_member *
ca_first(struct ca *c, enum ca_purpose p)
{
	for (size_t i = 0; i < c->n; i++)
		if (c->v[i].purpose == p && (c->v[i].issuer || !is_issuing(p)))
			return &c->v[i];
	return NULL;
}

enum ca_purpose
ca_purpose_of(enum profile_id profile)
{
	switch (profile) {
	case PROFILE_DEVICE:
		return CA_DEVICE;
	case PROFILE_SERVER:
	case PROFILE_OPERATOR:
		return CA_SERVICE;
	default:
		return CA_PURPOSE_N;
	}
}

/* ---- taking in -----------------------------------------------------------------------
 */

static int
check_shape(const struct ca_conf_row *row, const struct cert *c, struct err *e)
{
	if (!c->is_ca || (c->has_usage && !(c->usage & CERT_KEY_CERT_SIGN)))
		return err_set(
		    e, ERR_CORRUPT, "%s: the certificate is no CA's", row->cert);
	if (row->purpose == CA_ROOT && !c->self_signed)
		return err_set(e, ERR_CORRUPT, "%s: not self-signed: no root", row->cert);
	if (is_issuing(row->purpose) && c->self_signed)
		return err_set(
		    e, ERR_CORRUPT, "%s: a root, which issues to nobody", row->cert);
	return 0;
}

int
ca_add(struct ca *c, const struct ca_conf_row *row, struct span pem, struct key *key,
    struct err *e)
{
	auto_cert_list l = {.n = 0};
	struct ca_member m = {.purpose = row->purpose};
	if (c->n == CA_CONF_MAX)
		return err_set(e, ERR_LIMIT, "more than %d CAs", CA_CONF_MAX);
	if (cert_list_parse(pem, row->cert, &l, e) || check_shape(row, l.v[0], e))
		return err_wrap(e, "CA %s", row->name);
	if (ca_find(c, span_of(l.v[0]->sha256, DIGEST_SHA256)))
		return err_set(
		    e, ERR_CORRUPT, "CA %s: its certificate is there twice", row->name);
	memcpy(m.name, row->name, sizeof(m.name));
	if (key && !key_is_spki(key, l.v[0]->spki))
		return err_set(e, ERR_CORRUPT, "CA %s: %s is not of the key %s",
		    row->name, row->cert, row->key);
	if (key) {
		m.issuer = issuer_new(pem, key, e);
		if (!m.issuer)
			return err_wrap(e, "CA %s", row->name);
	}
	m.cert = cert_ref(l.v[0]);
	c->v[c->n++] = m;
	return 0;
}

/* ---- holding against each other -------------------------------------------------------
 */

static int
check_anchored(const struct ca *c, const struct ca_member *m, struct err *e)
{
	const struct ca_member *outlived = NULL;
	for (size_t i = 0; i < c->n; i++) {
		const struct ca_member *by = &c->v[i];
		if (by->purpose != CA_ROOT && by->purpose != CA_CROSS)
			continue;
		if (issuer_verify(by->cert, m->cert, NULL) == 0)
			return 0;
		if (span_eq(by->cert->subject, m->cert->issuer) &&
		    m->cert->not_after_ms > by->cert->not_after_ms)
			outlived = by;
	}
	if (outlived)
		return err_set(e, ERR_CRYPTO,
		    "CA %s: its certificate lives longer than %s, which signed it",
		    m->name, outlived->name);
	return err_set(e, ERR_CRYPTO,
	    "CA %s: its certificate verifies to no root that is here", m->name);
}

static int
check_apart(const struct ca_member *a, const struct ca_member *b, struct err *e)
{
	if (!is_issuing(a->purpose) || !is_issuing(b->purpose) ||
	    a->purpose == b->purpose)
		return 0;
	if (!span_eq(a->cert->subject, b->cert->subject) &&
	    !span_eq(a->cert->spki, b->cert->spki))
		return 0;
	return err_set(e, ERR_CORRUPT,
	    "CAs %s and %s share name or key: a device could pass for an operator",
	    a->name, b->name);
}

/* One of the purpose that may issue now. */
static int
check_issues(const struct ca *c, enum ca_purpose p, int64_t now_s, struct err *e)
{
	const struct ca_member *found = NULL;
	for (size_t i = 0; i < c->n; i++) {
		const struct ca_member *m = &c->v[i];
		if (m->purpose != p || !m->issuer)
			continue;
		if (cert_valid_at(m->cert, now_s * 1000))
			return 0;
		found = m;
	}
	if (!found)
		return err_set(e, ERR_NOT_FOUND, "there is no %s CA with its key",
		    ca_conf_purpose_name(p));
	return err_set(e, ERR_DENIED, "the CA %s ('%s') %s; check the clock", found->name,
	    found->cert->cn,
	    now_s * 1000 < found->cert->not_before_ms ? "is not valid yet"
						      : "has expired");
}

int
ca_check_member(const struct ca *c, size_t i, struct err *e)
{
	if (is_issuing(c->v[i].purpose) && check_anchored(c, &c->v[i], e))
		return -1;
	for (size_t k = 0; k < i; k++)
		if (check_apart(&c->v[k], &c->v[i], e))
			return -1;
	return 0;
}

int
ca_check_trust(const struct ca *c, struct err *e)
{
	for (size_t i = 0; i < c->n; i++)
		if (ca_check_member(c, i, e))
			return -1;
	return 0;
}

int
ca_check(const struct ca *c, int64_t now_s, struct err *e)
{
	if (check_issues(c, CA_DEVICE, now_s, e) || check_issues(c, CA_SERVICE, now_s, e))
		return -1;
	return ca_check_trust(c, e);
}

/* ---- making ---------------------------------------------------------------------------
 */

int
ca_make_root(struct key *key, const struct ca_subject *who, int64_t now_s,
    struct buf *pem, struct err *e)
{
	auto_buf der = BUF_INIT(CERT_MAX);
	if (issuer_self_sign(key, who->cn, who->org, now_s, who->life_s, &der, e))
		return err_wrap(e, "making the root");
	cert_write_pem(buf_span(&der), pem);
	return buf_check(pem, "CA certificate", e);
}

int
ca_make_issuing(struct issuer *root, struct span spki, const struct ca_subject *who,
    int64_t now_s, struct buf *pem, struct err *e)
{
	auto_buf der = BUF_INIT(CERT_MAX);
	struct issuer_result res;
	const struct issuer_request r = {.profile = PROFILE_INTERMEDIATE,
	    .cn = who->cn,
	    .org = who->org,
	    .spki = spki,
	    .now_s = now_s,
	    .life_s = who->life_s};
	if (issuer_sign(root, &r, &der, &res, e) ||
	    issuer_check(root, PROFILE_INTERMEDIATE, buf_span(&der), e))
		return err_wrap(e, "making the issuing CA '%s'", who->cn);
	cert_write_pem(buf_span(&der), pem);
	return buf_check(pem, "CA certificate", e);
}
