/*
 * The path search: which certificate may stand above which, in which order they are
 * tried, and when to stop. A dead end costs what it took to see it: certificates that
 * break a rule or are out of time are never climbed over, and a pair whose signature did
 * not verify is not tried again on another path.
 */
#include "crypto/chain_impl.h"

struct link {
	const struct cert *low, *high;
};

enum known { UNKNOWN, FINE, FAULTY };

struct search {
	const struct chain_set *set;
	const struct cert_list *list;
	const struct chain_options *o;
	struct chain_verdict *v; /* holds the first candidate's reason */
	struct chain_path path;
	unsigned steps;
	bool cut;                          /* a path was given up for its length */
	uint8_t known[CERT_LIST_MAX];      /* enum known, of the list's certificates */
	struct link bad[CHAIN_CHECKS_MAX]; /* not signed by */
	size_t n_bad;
};

static bool
on_path(const struct search *s, const struct cert *c)
{
	for (size_t i = 0; i < s->path.n; i++)
		if (chain_set_same_cert(s->path.v[i], c))
			return true;
	return false;
}

static bool
is_bad(const struct search *s, const struct cert *low, const struct cert *high)
{
	for (size_t i = 0; i < s->n_bad; i++)
		if (s->bad[i].low == low && s->bad[i].high == high)
			return true;
	return false;
}

static bool
is_spent(const struct search *s)
{
	return s->v->checks >= CHAIN_CHECKS_MAX || s->steps >= CHAIN_STEPS_MAX;
}

/* Does the path, without its last, have as many CAs as it may between leaf and anchor? */
static bool
is_deep(const struct search *s)
{
	unsigned n = 0;
	if (s->path.n == CHAIN_DEPTH_MAX)
		return true;
	for (size_t i = 1; i < s->path.n; i++)
		n += !span_eq(s->path.v[i]->subject, s->path.v[i]->issuer);
	return s->o->depth && n > s->o->depth - 1;
}

/* Judges the path, whose last is trusted. */
static bool
path_holds(struct search *s)
{
	int bad;
	unsigned cost = chain_judge_cost(&s->path, s->o);
	if (s->v->checks + cost > CHAIN_CHECKS_MAX) {
		s->v->checks = CHAIN_CHECKS_MAX;
		return false;
	}
	s->v->checks += cost;
	if (chain_judge_path(s->set, &s->path, s->list, s->o, s->v, &bad))
		return true;
	if (bad >= 0 && (size_t)bad + 1 < s->path.n)
		s->bad[s->n_bad++] = (struct link){s->path.v[bad], s->path.v[bad + 1]};
	return false;
}

static bool climb(struct search *s);

/* Puts ca, whose name fits, on top of the path and goes on from there; takes it off again
 * when that leads nowhere. */
static bool
try_issuer(struct search *s, struct cert *ca, struct chain_node *n)
{
	struct cert *low = s->path.v[s->path.n - 1];
	if (is_spent(s) || on_path(s, ca) || is_bad(s, low, ca) ||
	    !chain_in_time(ca, s->o, s->v))
		return false;
	if (is_deep(s)) {
		s->cut = true;
		return false;
	}
	s->steps++;
	s->path.v[s->path.n++] = ca;
	s->path.anchor = n && n->trusted ? n : NULL;
	if (s->path.anchor ? path_holds(s) : climb(s))
		return true;
	s->path.n--;
	return false;
}

static bool
try_node(struct search *s, struct chain_node *n)
{
	if (!chain_set_may_issue(n->cert, s->path.v[s->path.n - 1]))
		return false;
	struct rules_fault f = s->o->policy ? chain_set_check(n, s->o) : n->fault;
	if (!f.text)
		return try_issuer(s, n->cert, n);
	chain_refuse(s->v, f.reason, n->cert, "%s", f.text);
	return false;
}

/* One that was presented, and is not known: its rules are looked at when it is wanted. */
static bool
try_presented(struct search *s, size_t i)
{
	struct cert *c = s->list->v[i];
	if (!chain_set_may_issue(c, s->path.v[s->path.n - 1]))
		return false;
	if (s->known[i] == UNKNOWN) {
		struct rules_fault f = {CHAIN_OK, NULL};
		if (!chain_set_has(s->set, c))
			f = rules_check(c, RULES_CA, s->o);
		if (f.text)
			chain_refuse(s->v, f.reason, c, "%s", f.text);
		bool out = chain_set_has(s->set, c) || chain_set_refuses(s->set, c);
		s->known[i] = f.text || out ? FAULTY : FINE;
	}
	return s->known[i] == FINE && try_issuer(s, c, NULL);
}

/* Finds an issuer for the top of the path: what we trust first, then what we know, then
 * what was presented. Recursion is as deep as CHAIN_DEPTH_MAX. */
static bool
climb(struct search *s)
{
	const X509 *low = s->path.v[s->path.n - 1]->x509;
	struct chain_node *known = chain_set_find(s->set, X509_get_issuer_name(low));
	for (struct chain_node *n = known; n; n = n->same)
		if (n->trusted && try_node(s, n))
			return true;
	for (struct chain_node *n = known; n; n = n->same)
		if (!n->trusted && try_node(s, n))
			return true;
	for (size_t i = 1; i < s->list->n; i++)
		if (try_presented(s, i))
			return true;
	return false;
}

/* No path held. The first candidate's reason stands; without one the issuer is unknown.
 */
static void
refuse_unfound(const struct search *s, struct chain_verdict *v)
{
	const struct cert *leaf = s->path.v[0];
	if (v->reason != CHAIN_OK)
		return;
	if (is_spent(s) || s->cut) {
		chain_refuse(
		    v, CHAIN_TOO_LONG, leaf, "too many ways or certificates to follow");
		return;
	}
	auto_buf issuer = BUF_INIT(NAME_TEXT_MAX);
	name_text(leaf->issuer, &issuer);
	chain_refuse(v, CHAIN_UNKNOWN_ISSUER, leaf,
	    "no path from issuer '%.70s' to a trusted CA", buf_text(&issuer));
}

bool
chain_path_find(const struct chain_set *set, const struct cert_list *list,
    const struct chain_options *o, struct chain_verdict *v, struct chain_path *ret)
{
	struct search s = {.set = set, .list = list, .o = o, .v = v};
	s.path.v[s.path.n++] = list->v[0];
	if (climb(&s)) {
		*ret = s.path;
		return true;
	}
	refuse_unfound(&s, v);
	return false;
}
