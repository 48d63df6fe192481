/*
 * Health, item by item.
 */
#include "domain/health.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "crypto/cert.h"
#include "domain/hub/clone.h"
#include "domain/pki/crl_plan.h"
#include "store/pki.h"

#define DAY_MS        INT64_C(86400000)
#define LATE_MS       60000 /* what is due is signed within a minute, or something is wrong */
#define FOREIGN_MS    (14 * DAY_MS) /* for somebody to fetch the root's next list */
#define CLONES_MS     DAY_MS
#define OPERATORS_MAX 1000
#define ISSUERS_MAX   256

const char *
health_state_name(enum health_state s)
{
	static const char *const names[] = {"ok", "warn", "bad"};
	return names[s];
}

struct walk {
	struct domain *d;
	const struct health_inputs *in;
	int (*visit)(void *ctx, const struct health_item *i, struct err *e);
	void *ctx;
	int64_t now;
	struct store_issuer issuers[ISSUERS_MAX];
	size_t n;
};

static int
tell(struct walk *w, const char *name, enum health_state state, int64_t at_ms,
    const char *text, struct err *e)
{
	const struct health_item i = {
	    .name = name, .state = state, .text = text, .at_ms = at_ms};
	return w->visit(w->ctx, &i, e);
}

static char *
in_days(struct walk *w, int64_t at_ms)
{
	char when[CLOCK_TEXT];
	clock_iso(at_ms, 0, when);
	return arena_printf(
	    w->d->arena, "%s, in %" PRId64 " days", when, (at_ms - w->now) / DAY_MS);
}

/* ---- the signer -----------------------------------------------------------------------
 */

static int
tell_signer(struct walk *w, struct err *e)
{
	return tell(w, "signer", w->in->signer_up ? HEALTH_OK : HEALTH_BAD, 0,
	    w->in->signer_up ? "reachable" : "not reachable: nothing can be signed", e);
}

static int
tell_conf(struct walk *w, struct err *e)
{
	const char *problem = w->in->ca_problem;
	bool bad = problem && problem[0];
	return tell(w, "issuers.conf", bad ? HEALTH_BAD : HEALTH_OK, 0,
	    bad ? problem : "every CA in it is in use", e);
}

/* More entries than rows are usual: OCSP delegates and what was issued while no server
 * ran are in the journal alone. Fewer mean that one of the two is not the one that
 * belongs to the other. */
static int
tell_journal(struct walk *w, struct err *e)
{
	struct store_cert_issued n;
	int64_t rows = 0, entries = w->in->journal_count;
	if (entries < 0 || !w->in->deep)
		return 0;
	for (size_t i = 0; i < w->n; i++) {
		if (store_cert_issued(w->d->store, w->issuers[i].sha256, &n, e))
			return -1;
		rows += n.count;
	}
	return tell(w, "journal", entries < rows ? HEALTH_BAD : HEALTH_OK, 0,
	    arena_printf(w->d->arena,
		"%" PRId64 " entries, %" PRId64 " certificates on record%s", entries,
		rows, entries < rows ? ": entries are missing" : ""),
	    e);
}

/* ---- CRLs -----------------------------------------------------------------------------
 */

/* What is due is signed within a minute, or an eighth of a short life. */
static int64_t
margin(int64_t life_ms)
{
	return life_ms / 8 < LATE_MS ? life_ms / 8 : LATE_MS;
}

struct lists {
	struct walk *w;
	const struct store_issuer *issuer;
	int64_t first_end; /* the earliest nextUpdate; 0: no list */
	int64_t least_ms;  /* what is left of a list that was made anew in time */
	int64_t late;      /* lists with less */
	size_t n;
};

static int
add_list(void *ctx, const struct store_crl *c, struct err *e)
{
	struct lists *l = ctx;
	(void)e;
	if (strcmp(c->issuer, l->issuer->sha256) != 0)
		return 0;
	l->n++;
	if (!l->first_end || c->next_ms < l->first_end)
		l->first_end = c->next_ms;
	l->late += c->next_ms - l->w->now < l->least_ms;
	return 0;
}

/* Made here they are renewed at half their life; those of others are due when their own
 * end is near. */
static enum health_state
state_of_lists(const struct lists *l, bool ours)
{
	if (!l->n)
		return HEALTH_BAD;
	if (l->w->now >= l->first_end)
		return HEALTH_BAD;
	if (ours)
		return l->late ? HEALTH_BAD : HEALTH_OK;
	return l->late ? HEALTH_WARN : HEALTH_OK;
}

/* A CA that is over and whose last certificate has ended needs no list. */
static int
needs_list(struct walk *w, const struct store_issuer *i, bool *ret, struct err *e)
{
	struct store_cert_issued n;
	*ret = true;
	if (strcmp(i->state, "retired") != 0 && strcmp(i->state, "revoked") != 0)
		return 0;
	if (store_cert_issued(w->d->store, i->sha256, &n, e))
		return -1;
	*ret = n.last_end_ms >= w->now;
	return 0;
}

static int
tell_lists(struct walk *w, const struct store_issuer *i, struct err *e)
{
	struct lists l = {.w = w, .issuer = i};
	bool ours = crl_plan_has_key(i), needed;
	int64_t life = w->d->cfg->pki.crl_life_ms;
	l.least_ms = ours ? life / 2 - margin(life) : FOREIGN_MS;
	if (store_crl_each(w->d->store, add_list, &l, e) || needs_list(w, i, &needed, e))
		return -1;
	bool making = !l.n && w->now - w->in->started_ms < LATE_MS;
	if (!needed || making || (!ours && !l.n))
		return 0;
	const char *text = !l.n ? "there is none"
				: arena_printf(w->d->arena,
				      "%zu lists, %" PRId64 " late; the first ends %s",
				      l.n, l.late, in_days(w, l.first_end));
	return tell(w, arena_printf(w->d->arena, "crl %s", i->name),
	    state_of_lists(&l, ours), l.first_end, text, e);
}

/* ---- OCSP -----------------------------------------------------------------------------
 */

struct answers {
	struct walk *w;
	size_t late;
};

/* What was issued or revoked a moment ago has a moment. */
static int
add_late(void *ctx, const struct store_cert *c, struct err *e)
{
	struct answers *a = ctx;
	(void)e;
	a->late +=
	    c->issued_ms < a->w->now - LATE_MS && c->revoked_ms < a->w->now - LATE_MS;
	return 0;
}

static int
tell_answers(struct walk *w, const struct store_issuer *i, struct err *e)
{
	struct answers a = {.w = w};
	int64_t half = w->now + w->d->cfg->pki.ocsp_life_ms / 2;
	if (!w->d->cfg->pki.ocsp_presign || !crl_plan_has_key(i))
		return 0;
	if (store_ocsp_due(w->d->store, i->sha256, w->now,
		half - margin(w->d->cfg->pki.ocsp_life_ms), 256, add_late, &a, e))
		return -1;
	bool late = a.late && w->now - w->in->started_ms > LATE_MS;
	return tell(w, arena_printf(w->d->arena, "ocsp %s", i->name),
	    late ? HEALTH_BAD : HEALTH_OK, 0,
	    late ? arena_printf(w->d->arena, "%zu%s answers were not signed anew in time",
		       a.late, a.late == 256 ? " or more" : "")
		 : "answers are signed in time",
	    e);
}

/* ---- what ends ------------------------------------------------------------------------
 */

static enum health_state
state_of_end(const struct walk *w, int64_t end_ms, int64_t warn_ms, int64_t bad_ms)
{
	int64_t left = end_ms - w->now;
	return left < bad_ms ? HEALTH_BAD : left < warn_ms ? HEALTH_WARN : HEALTH_OK;
}

/* A CA that is about to end cannot give its leaves their whole life. */
static int
tell_ca(struct walk *w, const struct store_issuer *i, struct err *e)
{
	int64_t leaf = w->d->cfg->pki.leaf_life_ms;
	auto_(cert_free) struct cert *ca = cert_parse(i->cert, e);
	if (!ca)
		return err_wrap(e, "CA %s", i->name);
	if (strcmp(i->state, "retired") == 0 || strcmp(i->state, "revoked") == 0)
		return 0;
	return tell(w, arena_printf(w->d->arena, "ca %s", i->name),
	    state_of_end(w, ca->not_after_ms, leaf + 30 * DAY_MS, 30 * DAY_MS),
	    ca->not_after_ms,
	    arena_printf(
		w->d->arena, "%s, ends %s", i->state, in_days(w, ca->not_after_ms)),
	    e);
}

/* The last of each subject: what it replaced may end in peace. */
struct leaves {
	struct walk *w;
	struct {
		const char *subject;
		int64_t end_ms;
	} v[OPERATORS_MAX];
	size_t n;
};

static int
add_leaf(void *ctx, const struct store_cert *c, struct err *e)
{
	struct leaves *l = ctx;
	size_t i = 0;
	(void)e;
	while (i < l->n && strcmp(l->v[i].subject, c->subject) != 0)
		i++;
	if (i == OPERATORS_MAX)
		return 1;
	if (i == l->n) {
		l->n++;
		l->v[i].subject = arena_str(l->w->d->arena, span_str(c->subject));
	}
	l->v[i].end_ms = c->not_after_ms;
	return 0;
}

static int
tell_leaves(struct walk *w, const struct store_issuer *by, const char *profile,
    int64_t warn_ms, int64_t bad_ms, struct err *e)
{
	struct leaves *l = arena_alloc(w->d->arena, sizeof(*l));
	const struct store_cert_filter f = {.subject = "",
	    .issuer = by->sha256,
	    .key_sha256 = "",
	    .profile = profile,
	    .expires_after_ms = w->now,
	    .revoked = -1,
	    .limit = 100 * OPERATORS_MAX};
	l->w = w;
	if (store_cert_find(w->d->store, &f, add_leaf, l, e) < 0)
		return -1;
	int rc = 0;
	for (size_t i = 0; i < l->n && !rc; i++)
		rc = tell(w, arena_printf(w->d->arena, "%s %s", profile, l->v[i].subject),
		    state_of_end(w, l->v[i].end_ms, warn_ms, bad_ms), l->v[i].end_ms,
		    arena_printf(w->d->arena, "ends %s", in_days(w, l->v[i].end_ms)), e);
	return rc;
}

/* Servers renew at two thirds of their life, so a third is left at the least. */
static int
tell_service(struct walk *w, const struct store_issuer *by, struct err *e)
{
	int64_t server = w->d->cfg->pki.server_life_ms;
	if (strcmp(by->purpose, "service") != 0)
		return 0;
	int rc = tell_leaves(w, by, "server", server / 4, server / 8, e);
	return rc ? rc : tell_leaves(w, by, "operator", 30 * DAY_MS, 7 * DAY_MS, e);
}

static int
tell_ends(struct walk *w, struct err *e)
{
	int rc = 0;
	for (size_t i = 0; i < w->n && !rc; i++)
		rc = tell_ca(w, &w->issuers[i], e);
	for (size_t i = 0; i < w->n && !rc; i++)
		rc = tell_service(w, &w->issuers[i], e);
	return rc;
}

/* ---- devices --------------------------------------------------------------------------
 */

struct quarantine {
	size_t n;
	char first[CAP_ID + 1];
};

static int
add_quarantined(void *ctx, const struct store_allow *a, struct err *e)
{
	struct quarantine *q = ctx;
	(void)e;
	if (!a->quarantined_ms)
		return 0;
	if (!q->n++)
		snprintf(q->first, sizeof(q->first), "%s", a->device_id);
	return 0;
}

static int
tell_quarantine(struct walk *w, struct err *e)
{
	struct quarantine q = {0};
	if (store_allow_each(w->d->store, add_quarantined, &q, e))
		return -1;
	return tell(w, "quarantine", q.n ? HEALTH_WARN : HEALTH_OK, 0,
	    q.n ? arena_printf(w->d->arena, "%zu devices, %s among them", q.n, q.first)
		: "no device",
	    e);
}

static int
tell_clones(struct walk *w, struct err *e)
{
	const struct clone_sign *last;
	size_t n = clone_count(w->in->clones, w->now - CLONES_MS, &last);
	return tell(w, "clones", n ? HEALTH_WARN : HEALTH_OK, 0,
	    n ? arena_printf(w->d->arena, "%zu devices in a day; %s: %s", n,
		    last->device_id, last->text)
	      : "no sign of a copied key in a day",
	    e);
}

/* ---- all ------------------------------------------------------------------------------
 */

static int
add_issuer(void *ctx, const struct store_issuer *i, struct err *e)
{
	struct walk *w = ctx;
	struct arena *a = w->d->arena;
	if (w->n == ISSUERS_MAX)
		return err_set(e, ERR_LIMIT, "more than %d CAs", ISSUERS_MAX);
	w->issuers[w->n++] =
	    (struct store_issuer){.sha256 = arena_str(a, span_str(i->sha256)),
		.name = arena_str(a, span_str(i->name)),
		.purpose = arena_str(a, span_str(i->purpose)),
		.state = arena_str(a, span_str(i->state)),
		.custody = arena_str(a, span_str(i->custody)),
		.cert = arena_span(a, i->cert)};
	return 0;
}

int
health_each(struct domain *d, const struct health_inputs *in,
    int (*visit)(void *ctx, const struct health_item *i, struct err *e), void *ctx,
    struct err *e)
{
	struct walk *w = arena_alloc(d->arena, sizeof(*w));
	w->d = d;
	w->in = in;
	w->visit = visit;
	w->ctx = ctx;
	w->now = domain_now(d);
	if (store_issuer_each(d->store, add_issuer, w, e))
		return -1;
	int rc = tell_signer(w, e);
	if (!rc)
		rc = tell_conf(w, e);
	for (size_t i = 0; i < w->n && !rc; i++)
		rc = tell_lists(w, &w->issuers[i], e);
	for (size_t i = 0; i < w->n && !rc; i++)
		rc = tell_answers(w, &w->issuers[i], e);
	if (!rc)
		rc = tell_ends(w, e);
	if (!rc)
		rc = tell_journal(w, e);
	if (!rc)
		rc = tell_quarantine(w, e);
	return rc ? rc : tell_clones(w, e);
}

/* ---- changes --------------------------------------------------------------------------
 */

void
health_watch_init(struct health_watch *w)
{
	w->n = 0;
}

bool
health_watch_changed(struct health_watch *w, const struct health_item *i)
{
	size_t k = 0;
	while (k < w->n && strcmp(w->v[k].name, i->name) != 0)
		k++;
	if (k == HEALTH_WATCH_MAX)
		return false;
	if (k == w->n) {
		w->n++;
		snprintf(w->v[k].name, sizeof(w->v[k].name), "%s", i->name);
		w->v[k].state = HEALTH_OK;
	}
	bool changed = w->v[k].state != i->state;
	w->v[k].state = i->state;
	return changed;
}
