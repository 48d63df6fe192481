/*
 * Issuing CAs and roots, put together by their certificates.
 */
#include "domain/pki/issuer_root.h"

#include <string.h>

#include "crypto/issuer.h"

/* The texts of a row live while it is visited; what is found is copied. */
static void
keep(struct domain *d, const struct store_issuer *i, struct store_issuer *ret)
{
	struct arena *a = d->arena;
	*ret = *i;
	ret->sha256 = arena_str(a, span_str(i->sha256));
	ret->name = arena_str(a, span_str(i->name));
	ret->purpose = arena_str(a, span_str(i->purpose));
	ret->state = arena_str(a, span_str(i->state));
	ret->custody = arena_str(a, span_str(i->custody));
	ret->cert = arena_span(a, i->cert);
}

static bool
is_purpose(const struct store_issuer *i, enum ca_purpose p)
{
	return strcmp(i->purpose, ca_conf_purpose_name(p)) == 0;
}

static bool
is_trusted(const struct store_issuer *i)
{
	enum issuer_state s;
	struct err e;
	return issuer_state_parse(span_str(i->state), &s, &e) == 0 &&
	       issuer_is_trusted(s);
}

/* Names first: a signature costs a thousand times as much. */
static bool
signed_by(const struct cert *c, const struct store_issuer *root)
{
	struct err e;
	auto_(cert_free) struct cert *r = cert_parse(root->cert, &e);
	return r && span_eq(c->issuer, r->subject) && issuer_verify(r, c, &e) == 0;
}

struct search {
	struct domain *d;
	const struct cert *c;
	struct store_issuer *ret;
	bool found;
};

static int
try_root(void *ctx, const struct store_issuer *i, struct err *e)
{
	struct search *s = ctx;
	(void)e;
	if (!is_purpose(i, CA_ROOT) || !signed_by(s->c, i))
		return 0;
	keep(s->d, i, s->ret);
	s->found = true;
	return 1;
}

int
issuer_root_of(struct domain *d, const struct store_issuer *ca, struct store_issuer *ret,
    bool *ret_found, struct err *e)
{
	auto_(cert_free) struct cert *c = cert_parse(ca->cert, e);
	struct store_issuer root = {.sha256 = "", .name = ""};
	struct search s = {.d = d, .c = c, .ret = &root};
	if (!c)
		return err_wrap(e, "CA %s", ca->name);
	if (store_issuer_each(d->store, try_root, &s, e) < 0)
		return -1;
	*ret = root;
	*ret_found = s.found;
	return 0;
}

struct below {
	const struct store_issuer *root;
	const char *but;
	bool found;
};

static int
try_below(void *ctx, const struct store_issuer *i, struct err *e)
{
	struct below *b = ctx;
	if ((!is_purpose(i, CA_DEVICE) && !is_purpose(i, CA_SERVICE)) || !is_trusted(i) ||
	    strcmp(i->sha256, b->but) == 0)
		return 0;
	auto_(cert_free) struct cert *c = cert_parse(i->cert, e);
	if (!c)
		return -1;
	b->found = signed_by(c, b->root);
	return b->found;
}

int
issuer_root_is_needed(struct domain *d, const struct store_issuer *root, const char *but,
    bool *ret, struct err *e)
{
	struct below b = {root, but, false};
	if (store_issuer_each(d->store, try_below, &b, e) < 0)
		return -1;
	*ret = b.found;
	return 0;
}

struct crossing {
	const struct store_issuer *from;
	const struct cert *to;
	bool found;
};

static int
try_cross(void *ctx, const struct store_issuer *i, struct err *e)
{
	struct crossing *x = ctx;
	if (!is_purpose(i, CA_CROSS) || !is_trusted(i))
		return 0;
	auto_(cert_free) struct cert *c = cert_parse(i->cert, e);
	if (!c)
		return -1;
	x->found = memcmp(c->key_sha256, x->to->key_sha256, sizeof(c->key_sha256)) == 0 &&
		   span_eq(c->subject, x->to->subject) && signed_by(c, x->from);
	return x->found;
}

int
issuer_root_is_crossed(struct domain *d, const struct store_issuer *from,
    const struct store_issuer *to, bool *ret, struct err *e)
{
	auto_(cert_free) struct cert *c = cert_parse(to->cert, e);
	struct crossing x = {from, c, false};
	if (!c || store_issuer_each(d->store, try_cross, &x, e) < 0)
		return -1;
	*ret = x.found;
	return 0;
}
