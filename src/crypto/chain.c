/*
 * The verdict: why a leaf is refused, in words, or which CAs stand above it. What a leaf
 * must be by itself is looked at first, for it costs no signature.
 */
#include "base/clock.h"
#include "crypto/chain_impl.h"

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
    [CHAIN_REVOKED] = "revoked",
    [CHAIN_NO_STATUS] = "revocation status unknown",
};

const char *
chain_reason_name(enum chain_reason r)
{
	return (unsigned)r < CHAIN_REASON_N ? reason_names[r] : "unknown";
}

bool
chain_reason_is_final(enum chain_reason r)
{
	switch (r) {
	case CHAIN_MALFORMED:
	case CHAIN_V1:
	case CHAIN_CA_AS_LEAF:
	case CHAIN_NO_CLIENT_AUTH:
	case CHAIN_WEAK:
		return true;
	default:
		return false;
	}
}

void
chain_refuse(struct chain_verdict *v, enum chain_reason r, const struct cert *c,
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

bool
chain_in_time(
    const struct cert *c, const struct chain_options *o, struct chain_verdict *v)
{
	char at[CLOCK_TEXT];
	if (cert_valid_at(c, o->now_ms))
		return true;
	bool early = o->now_ms < c->not_before_ms;
	clock_iso(early ? c->not_before_ms : c->not_after_ms, 0, at);
	chain_refuse(v, early ? CHAIN_NOT_YET_VALID : CHAIN_EXPIRED, c,
	    early ? "not valid before %s" : "expired %s", at);
	return false;
}

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
	struct rules_fault f = rules_key(leaf);
	if (f.text)
		chain_refuse(v, f.reason, leaf, "%s (%s)", f.text, leaf->key_name);
	else if (pubkey_parse(leaf->spki, &k, &why) < 0 && why.code == ERR_CRYPTO)
		chain_refuse(v, CHAIN_WEAK, leaf, "%.80s", why.text);
	else
		return chain_in_time(leaf, o, v);
	return false;
}

/* What our profile wants of a leaf under a CA. */
static bool
leaf_fits(const struct cert *leaf, const struct chain_options *o, struct chain_verdict *v)
{
	if (leaf->version != 3 && !o->allow_v1) {
		chain_refuse(v, CHAIN_V1, leaf, "X.509 v%d certificate without a profile",
		    leaf->version);
		return false;
	}
	struct rules_fault f = rules_check(leaf, RULES_LEAF, o);
	if (f.text)
		chain_refuse(v, f.reason, leaf, "%s", f.text);
	return !f.text;
}

static bool
is_in(const struct cert_list *list, const struct cert *c)
{
	for (size_t i = 0; i < list->n; i++)
		if (memcmp(list->v[i]->sha256, c->sha256, DIGEST_SHA256) == 0)
			return true;
	return false;
}

static void
add_ca(struct chain_verdict *v, const struct cert_list *list, const struct cert *c)
{
	if (v->n_ca == CHAIN_DEPTH_MAX)
		return;
	v->sent |= (uint32_t)is_in(list, c) << v->n_ca;
	memcpy(v->ca[v->n_ca++], c->sha256, DIGEST_SHA256);
}

/* The path's CAs, then the known ones above the anchor, as far as they are valid. */
static void
fill_path(const struct chain_set *set, const struct chain_path *path,
    const struct cert_list *list, int64_t now_ms, struct chain_verdict *v)
{
	for (size_t i = 1; i < path->n; i++)
		add_ca(v, list, path->v[i]);
	struct chain_node *n = chain_set_up(set, path->anchor);
	while (n && v->n_ca < CHAIN_DEPTH_MAX && cert_valid_at(n->cert, now_ms)) {
		add_ca(v, list, n->cert);
		n = chain_set_up(set, n);
	}
}

static void
judge(const struct chain_set *set, const struct cert_list *list,
    const struct chain_options *o, struct chain_verdict *v)
{
	const struct cert *leaf = list->v[0];
	struct chain_path path;
	if (!leaf_is_sound(leaf, o, v))
		return;
	if (leaf->self_signed) {
		chain_refuse(v, CHAIN_SELF_SIGNED, leaf, "self-signed");
		return;
	}
	if (!leaf_fits(leaf, o, v) || !chain_path_find(set, list, o, v, &path))
		return;
	v->reason = CHAIN_OK; /* whatever an earlier candidate was refused for */
	v->text[0] = '\0';
	fill_path(set, &path, list, o->now_ms, v);
}

void
chain_verify(const struct chain_set *set, const struct cert_list *list,
    const struct chain_options *o, struct chain_verdict *ret)
{
	struct chain_verdict v = {.reason = CHAIN_OK};
	if (list->n) {
		fill_leaf(&v, list->v[0]);
		judge(set, list, o, &v);
	} else {
		v.reason = CHAIN_MALFORMED;
		snprintf(v.text, sizeof(v.text), "no certificate was presented");
	}
	*ret = v;
}
