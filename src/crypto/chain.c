/*
 * The path search. Ours: which certificate may stand above which, in which order they are
 * tried, and when to stop. OpenSSL's: whether one whole candidate path holds (signatures,
 * constraints, strength). OpenSSL's own search does not back out of a dead end, so it is
 * given exactly one path at a time (reliability: a cross-sign that expired).
 */
#include "crypto/chain.h"

#include "base/clock.h"
#include "base/map.h"
#include "crypto/ossl.h"

#define STEPS_MAX 512 /* certificates looked at for one leaf: name loops end here */

struct node {
	struct cert *cert;
	bool trusted;
	struct node *same; /* next of the same subject */
	struct node *up;   /* the known CA that signed it */
	unsigned up_at;    /* the generation up was looked for in */
	UT_hash_handle
	    hh; /* by subject DER; only the first of a subject is in the table */
};

struct chain_set {
	struct node *by_subject;
	size_t n;
	unsigned generation; /* counts additions, so that kept links go stale */
	X509_STORE *empty;   /* trust is given per path, never by a store */
};

static const char *const reason_names[CHAIN_REASON_N] = {
    [CHAIN_OK] = "ok",
    [CHAIN_SELF_SIGNED] = "self-signed",
    [CHAIN_MALFORMED] = "malformed",
    [CHAIN_EXPIRED] = "expired",
    [CHAIN_NOT_YET_VALID] = "not yet valid",
    [CHAIN_UNKNOWN_ISSUER] = "unknown issuer",
    [CHAIN_BAD_SIGNATURE] = "bad signature",
    [CHAIN_V1] = "X.509 v1",
    [CHAIN_CA_AS_LEAF] = "CA certificate as leaf",
    [CHAIN_NO_CLIENT_AUTH] = "not for client authentication",
    [CHAIN_NOT_A_CA] = "issuer is no CA",
    [CHAIN_PATH_LENGTH] = "path length",
    [CHAIN_WEAK] = "weak",
    [CHAIN_PROFILE] = "profile",
    [CHAIN_TOO_LONG] = "too long",
};

const char *
chain_reason_name(enum chain_reason r)
{
	return (unsigned)r < CHAIN_REASON_N ? reason_names[r] : "unknown";
}

/* --- the set --- */

struct chain_set *
chain_set_new(void)
{
	struct chain_set *s = own_alloc(sizeof(*s));
	s->generation = 1;
	s->empty = X509_STORE_new();
	if (!s->empty)
		abort();
	return s;
}

void
chain_set_free(struct chain_set *s)
{
	struct node *head, *next;
	if (!s)
		return;
	HASH_ITER (hh, s->by_subject, head, next) {
		HASH_DEL(s->by_subject, head);
		for (struct node *n = head, *after; n; n = after) {
			after = n->same;
			cert_free(n->cert);
			free(n);
		}
	}
	X509_STORE_free(s->empty);
	free(s);
}

static struct node *
find_subject(const struct chain_set *s, struct span subject)
{
	struct node *n = NULL;
	HASH_FIND(hh, s->by_subject, subject.p, subject.len, n);
	return n;
}

static bool
same_cert(const struct cert *a, const struct cert *b)
{
	return memcmp(a->sha256, b->sha256, sizeof(a->sha256)) == 0;
}

static struct node *
find_cert(const struct chain_set *s, const struct cert *c)
{
	struct node *n = find_subject(s, c->subject);
	while (n && !same_cert(n->cert, c))
		n = n->same;
	return n;
}

int
chain_set_add(struct chain_set *s, struct cert *c, enum chain_flags flags, struct err *e)
{
	if (!c->is_ca || (c->has_usage && !(c->usage & CERT_KEY_CERT_SIGN)))
		return err_set(e, ERR_USAGE, "the certificate of '%s' is no CA's", c->cn);
	struct node *n = find_cert(s, c);
	if (n) {
		n->trusted = n->trusted || flags & CHAIN_TRUSTED;
		return 0;
	}
	if (s->n == CHAIN_ANCHORS_MAX)
		return err_set(
		    e, ERR_LIMIT, "more than %d CA certificates", CHAIN_ANCHORS_MAX);
	n = own_alloc(sizeof(*n));
	n->cert = cert_ref(c);
	n->trusted = flags & CHAIN_TRUSTED;
	struct node *head = find_subject(s, c->subject);
	if (head) {
		n->same = head->same;
		head->same = n;
	} else {
		HASH_ADD_KEYPTR(hh, s->by_subject, c->subject.p, c->subject.len, n);
	}
	s->n++;
	s->generation++;
	return 0;
}

size_t
chain_set_len(const struct chain_set *s)
{
	return s->n;
}

/* False when the names fit but the key identifiers say it is another key (RFC
 * 5280 4.2.1.1). */
static bool
may_issue(const struct cert *ca, const struct cert *c)
{
	return span_eq(ca->subject, c->issuer) &&
	       (!c->aki.len || !ca->ski.len || span_eq(ca->ski, c->aki));
}

/* The known CA that signed n, looked for once per generation of the set. */
static struct node *
up_of(const struct chain_set *s, struct node *n)
{
	if (n->up_at == s->generation)
		return n->up;
	n->up = NULL;
	n->up_at = s->generation;
	if (n->cert->self_signed)
		return NULL;
	for (struct node *p = find_subject(s, n->cert->issuer); p && !n->up; p = p->same)
		if (p != n && may_issue(p->cert, n->cert) &&
		    X509_verify(n->cert->x509, X509_get0_pubkey(p->cert->x509)) == 1)
			n->up = p;
	ERR_clear_error();
	return n->up;
}

/* --- the search --- */

struct search {
	const struct chain_set *set;
	const struct cert_list *list;
	const struct chain_options *o;
	struct chain_verdict *v; /* holds the first candidate path's reason */
	struct cert *path[CHAIN_DEPTH_MAX];
	size_t n;
	struct node *anchor;
	int paths, steps;
	bool cut; /* a path was given up for its length */
};

__attribute__((format(printf, 4, 5))) static void
refuse(struct chain_verdict *v, enum chain_reason r, const struct cert *c,
    const char *fmt, ...)
{
	if (v->reason != CHAIN_OK)
		return; /* the first reason stands */
	v->reason = r;
	auto_buf name = BUF_INIT(NAME_TEXT_MAX);
	name_text(c->subject, &name);
	char why[120];
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(why, sizeof(why), fmt, ap);
	va_end(ap);
	snprintf(v->text, sizeof(v->text), "%.120s: %s", buf_text(&name), why);
}

static bool
in_time(const struct cert *c, const struct chain_options *o, struct chain_verdict *v)
{
	char at[CLOCK_TEXT];
	if (cert_valid_at(c, o->now_ms))
		return true;
	bool early = o->now_ms < c->not_before_ms;
	clock_iso(early ? c->not_before_ms : c->not_after_ms, 0, at);
	refuse(v, early ? CHAIN_NOT_YET_VALID : CHAIN_EXPIRED, c,
	    early ? "not valid before %s" : "expired %s", at);
	return false;
}

static enum chain_reason
reason_of(int code)
{
	switch (code) {
	case X509_V_ERR_CERT_SIGNATURE_FAILURE:
	case X509_V_ERR_UNABLE_TO_DECRYPT_CERT_SIGNATURE:
	case X509_V_ERR_UNABLE_TO_DECODE_ISSUER_PUBLIC_KEY:
		return CHAIN_BAD_SIGNATURE;
	case X509_V_ERR_INVALID_CA:
	case X509_V_ERR_KEYUSAGE_NO_CERTSIGN:
		return CHAIN_NOT_A_CA;
	case X509_V_ERR_INVALID_PURPOSE:
		return CHAIN_NO_CLIENT_AUTH;
	case X509_V_ERR_PATH_LENGTH_EXCEEDED:
		return CHAIN_PATH_LENGTH;
	case X509_V_ERR_EE_KEY_TOO_SMALL:
	case X509_V_ERR_CA_KEY_TOO_SMALL:
	case X509_V_ERR_CA_MD_TOO_WEAK:
		return CHAIN_WEAK;
	case X509_V_ERR_CERT_CHAIN_TOO_LONG:
		return CHAIN_TOO_LONG;
	case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
	case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
	case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
	case X509_V_ERR_CERT_UNTRUSTED:
		return CHAIN_UNKNOWN_ISSUER;
	default:
		return CHAIN_PROFILE;
	}
}

own_define(STACK_OF(X509), sk_X509_free);

/* The stack borrows its members. */
static STACK_OF(X509) * stack_of(struct cert *const *v, size_t n)
{
	STACK_OF(X509) *s = sk_X509_new_reserve(NULL, (int)n);
	for (size_t i = 0; s && i < n; i++)
		sk_X509_push(s, v[i]->x509);
	return s;
}

static bool
set_up(X509_STORE_CTX *ctx, const struct search *s, STACK_OF(X509) * middle,
    STACK_OF(X509) * anchor)
{
	if (!ctx || !middle || !anchor ||
	    X509_STORE_CTX_init(ctx, s->set->empty, s->path[0]->x509, middle) != 1)
		return false;
	X509_STORE_CTX_set0_trusted_stack(ctx, anchor);
	X509_VERIFY_PARAM *p = X509_STORE_CTX_get0_param(ctx);
	/* times were checked by ours, notAfter's own second included */
	X509_VERIFY_PARAM_set_flags(
	    p, X509_V_FLAG_PARTIAL_CHAIN | X509_V_FLAG_NO_CHECK_TIME);
	X509_VERIFY_PARAM_set_auth_level(p, 2); /* 112 bits: no SHA-1, RSA from 2048 */
	X509_VERIFY_PARAM_set_depth(p, CHAIN_DEPTH_MAX);
	return X509_STORE_CTX_set_purpose(ctx, X509_PURPOSE_SSL_CLIENT) == 1;
}

static void
refuse_code(const struct search *s, X509_STORE_CTX *ctx)
{
	int code = X509_STORE_CTX_get_error(ctx),
	    at = X509_STORE_CTX_get_error_depth(ctx);
	const struct cert *c = s->path[at >= 0 && (size_t)at < s->n ? at : 0];
	refuse(s->v, reason_of(code), c, "%s", X509_verify_cert_error_string(code));
}

/* Judges path[0 .. n), the last being trusted. */
static bool
path_holds(struct search *s)
{
	s->paths++;
	for (size_t i = 0; i < s->n; i++)
		if (!in_time(s->path[i], s->o, s->v))
			return false;
	auto_(sk_X509_free) STACK_OF(X509) *middle = stack_of(s->path + 1, s->n - 2);
	auto_(sk_X509_free) STACK_OF(X509) *anchor = stack_of(s->path + s->n - 1, 1);
	auto_(X509_STORE_CTX_free) X509_STORE_CTX *ctx = X509_STORE_CTX_new();
	if (!set_up(ctx, s, middle, anchor)) {
		ERR_clear_error();
		refuse(s->v, CHAIN_PROFILE, s->path[0], "OpenSSL cannot verify it");
		return false;
	}
	bool ok = X509_verify_cert(ctx) == 1;
	if (!ok)
		refuse_code(s, ctx);
	ERR_clear_error();
	return ok;
}

static bool
on_path(const struct search *s, const struct cert *c)
{
	for (size_t i = 0; i < s->n; i++)
		if (same_cert(s->path[i], c))
			return true;
	return false;
}

static bool
spent(const struct search *s)
{
	return s->paths >= CHAIN_PATHS_MAX || s->steps >= STEPS_MAX;
}

static bool climb(struct search *s);

/* Puts ca on top of the path and goes on from there; takes it off again when that leads
 * nowhere. */
static bool
try_issuer(struct search *s, struct cert *ca, struct node *n)
{
	if (spent(s) || on_path(s, ca) || !may_issue(ca, s->path[s->n - 1]))
		return false;
	if (s->n == CHAIN_DEPTH_MAX) {
		s->cut = true;
		return false;
	}
	s->steps++;
	s->path[s->n++] = ca;
	if (n && n->trusted) {
		s->anchor = n;
		if (path_holds(s))
			return true;
	}
	if (!(n && n->trusted) && climb(s))
		return true;
	s->n--;
	return false;
}

/* Finds an issuer for the top of the path: what we trust first, then what we know, then
 * what was presented. Recursion is as deep as CHAIN_DEPTH_MAX. */
static bool
climb(struct search *s)
{
	struct span issuer = s->path[s->n - 1]->issuer;
	struct node *known = find_subject(s->set, issuer);
	for (struct node *n = known; n; n = n->same)
		if (n->trusted && try_issuer(s, n->cert, n))
			return true;
	for (struct node *n = known; n; n = n->same)
		if (!n->trusted && try_issuer(s, n->cert, n))
			return true;
	for (size_t i = 1; i < s->list->n; i++) {
		struct cert *c = s->list->v[i];
		if (span_eq(c->subject, issuer) && !find_cert(s->set, c) &&
		    try_issuer(s, c, NULL))
			return true;
	}
	return false;
}

/* --- the verdict --- */

static void
fill_leaf(struct chain_verdict *v, const struct cert *leaf)
{
	struct cert_info info;
	cert_info(leaf, &info);
	memcpy(v->cn, leaf->cn, sizeof(v->cn));
	memcpy(v->sha1, info.sha1, sizeof(v->sha1));
	memcpy(v->sha256, info.sha256, sizeof(v->sha256));
	v->not_before_ms = leaf->not_before_ms;
	v->not_after_ms = leaf->not_after_ms;
}

/* What holds for any client certificate, thumbprint devices' included. */
static bool
leaf_is_sound(
    const struct cert *leaf, const struct chain_options *o, struct chain_verdict *v)
{
	struct spki k;
	struct err why = {0};
	EVP_PKEY *pub = X509_get0_pubkey(leaf->x509);
	if (!pub)
		refuse(v, CHAIN_MALFORMED, leaf, "its key cannot be read");
	else if (EVP_PKEY_get_security_bits(pub) < 112)
		refuse(v, CHAIN_WEAK, leaf, "weak key: %s", leaf->key_name);
	else if (!leaf->serial_ok && !leaf->self_signed)
		refuse(v, CHAIN_MALFORMED, leaf, "serial number is not positive");
	else if (pubkey_parse(leaf->spki, &k, &why) < 0 && why.code == ERR_CRYPTO)
		refuse(v, CHAIN_WEAK, leaf, "%.80s", why.text);
	else
		return in_time(leaf, o, v);
	return false;
}

/* What our profile wants of a leaf under a CA. */
static bool
leaf_is_end_entity(
    const struct cert *leaf, const struct chain_options *o, struct chain_verdict *v)
{
	const unsigned signs = CERT_DIGITAL_SIGNATURE | CERT_KEY_AGREEMENT;
	if (leaf->version != 3 && !o->allow_v1)
		refuse(v, CHAIN_V1, leaf, "X.509 v%d certificate without a profile",
		    leaf->version);
	else if (leaf->is_ca)
		refuse(v, CHAIN_CA_AS_LEAF, leaf, "a CA certificate is no device's");
	else if (leaf->has_eku && !(leaf->eku & CERT_CLIENT_AUTH))
		refuse(
		    v, CHAIN_NO_CLIENT_AUTH, leaf, "extended key usage lacks clientAuth");
	else if (leaf->has_usage && !(leaf->usage & signs))
		refuse(v, CHAIN_NO_CLIENT_AUTH, leaf, "key usage lacks digitalSignature");
	return v->reason == CHAIN_OK;
}

static void
add_ca(struct chain_verdict *v, const struct cert *c)
{
	if (v->n_ca < CHAIN_DEPTH_MAX)
		memcpy(v->ca[v->n_ca++], c->sha256, DIGEST_SHA256);
}

/* The path's CAs, then the known ones above the anchor, as far as they are valid. */
static void
fill_path(const struct search *s, struct chain_verdict *v)
{
	for (size_t i = 1; i < s->n; i++)
		add_ca(v, s->path[i]);
	struct node *n = up_of(s->set, s->anchor);
	while (n && v->n_ca < CHAIN_DEPTH_MAX && cert_valid_at(n->cert, s->o->now_ms)) {
		add_ca(v, n->cert);
		n = up_of(s->set, n);
	}
}

/* No path held. The first candidate's reason stands; without one the issuer is unknown.
 */
static void
refuse_unfound(struct search *s, struct chain_verdict *v)
{
	if (v->reason != CHAIN_OK)
		return;
	if (spent(s) || s->cut) {
		refuse(v, CHAIN_TOO_LONG, s->path[0],
		    "too many ways or certificates to follow");
		return;
	}
	auto_buf issuer = BUF_INIT(NAME_TEXT_MAX);
	name_text(s->path[0]->issuer, &issuer);
	refuse(v, CHAIN_UNKNOWN_ISSUER, s->path[0],
	    "no path from issuer '%.70s' to a trusted CA", buf_text(&issuer));
}

static void
judge(struct search *s, struct chain_verdict *v)
{
	const struct cert *leaf = s->path[0];
	if (!leaf_is_sound(leaf, s->o, v))
		return;
	if (leaf->self_signed) {
		refuse(v, CHAIN_SELF_SIGNED, leaf, "self-signed");
		return;
	}
	if (!leaf_is_end_entity(leaf, s->o, v))
		return;
	if (!climb(s)) {
		refuse_unfound(s, v);
		return;
	}
	v->reason = CHAIN_OK; /* whatever an earlier candidate was refused for */
	v->text[0] = '\0';
	fill_path(s, v);
}

void
chain_verify(const struct chain_set *set, const struct cert_list *list,
    const struct chain_options *o, struct chain_verdict *ret)
{
	struct chain_verdict v = {.reason = CHAIN_OK};
	if (list->n) {
		struct search s = {.set = set, .list = list, .o = o, .v = &v, .n = 1};
		s.path[0] = list->v[0];
		fill_leaf(&v, s.path[0]);
		judge(&s, &v);
	} else {
		v.reason = CHAIN_MALFORMED;
		snprintf(v.text, sizeof(v.text), "no certificate was presented");
	}
	*ret = v;
}
