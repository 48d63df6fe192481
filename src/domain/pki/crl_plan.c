/*
 * Planning of CRLs: what is due, what goes in, what is kept.
 */
#include "domain/pki/crl_plan.h"

#include <stdlib.h>
#include <string.h>

#include "base/hex.h"
#include "codec/config.h"
#include "crypto/crl.h"

#define PLACES_MAX 65536 /* lists of one home */
#define SMALL_BYTES                                                                      \
	65536          /* a full list of this size costs less than it is worth to avoid */
#define ENTRY_BYTES 40 /* of a list, about */
#define DELTA_SHARE 4  /* a delta of a quarter of the full list is none */

bool
crl_plan_has_key(const struct store_issuer *i)
{
	bool issues =
	    strcmp(i->purpose, "device") == 0 || strcmp(i->purpose, "service") == 0;
	return issues && i->custody[0] && strcmp(i->state, "standby") != 0;
}

/* ---- what there is --------------------------------------------------------------------
 */

/* A list that is stored, without its bytes. */
struct known {
	const char *issuer;
	int64_t shard, number, next_ms;
	bool delta;
};

struct survey {
	struct domain *d;
	struct buf lists;   /* struct known, sorted */
	struct buf issuers; /* struct store_issuer */
	bool sharded;       /* certificates name distribution points */
	struct crl_place *places;
	size_t n;
};

static int
take_list(void *ctx, const struct store_crl *c, struct err *e)
{
	struct survey *s = ctx;
	const struct known k = {.issuer = arena_str(s->d->arena, span_str(c->issuer)),
	    .shard = c->shard,
	    .number = c->number,
	    .next_ms = c->next_ms,
	    .delta = c->delta};
	buf_put(&s->lists, &k, sizeof(k));
	return buf_check(&s->lists, "CRLs", e);
}

static int
take_issuer(void *ctx, const struct store_issuer *i, struct err *e)
{
	struct survey *s = ctx;
	struct arena *a = s->d->arena;
	const struct store_issuer copy = {.sha256 = arena_str(a, span_str(i->sha256)),
	    .name = arena_str(a, span_str(i->name)),
	    .state = arena_str(a, span_str(i->state))};
	if (crl_plan_has_key(i))
		buf_put(&s->issuers, &copy, sizeof(copy));
	return buf_check(&s->issuers, "issuers", e);
}

static int
compare(const void *a, const void *b)
{
	const struct known *x = a, *y = b;
	int by = strcmp(x->issuer, y->issuer);
	if (by)
		return by;
	if (x->shard != y->shard)
		return x->shard < y->shard ? -1 : 1;
	return (int)x->delta - (int)y->delta;
}

static const struct known *
find_list(const struct survey *s, const char *issuer, int64_t shard, bool delta)
{
	const struct known key = {.issuer = issuer, .shard = shard, .delta = delta};
	size_t n = s->lists.len / sizeof(key);
	return n ? bsearch(&key, s->lists.p, n, sizeof(key), compare) : NULL;
}

static int
begin_survey(struct domain *d, struct survey *s, struct err *e)
{
	auto_buf url = BUF_INIT(512);
	s->d = d;
	s->lists = BUF_INIT(PLACES_MAX * sizeof(struct known));
	s->issuers = BUF_INIT(PLACES_MAX * sizeof(struct store_issuer));
	config_public_url(d->cfg, &url);
	s->sharded = url.len > 0;
	if (store_crl_each(d->store, take_list, s, e) ||
	    store_issuer_each(d->store, take_issuer, s, e))
		return -1;
	if (s->lists.len)
		qsort(s->lists.p, s->lists.len / sizeof(struct known),
		    sizeof(struct known), compare);
	return 0;
}

static void
survey_done(struct survey *s)
{
	buf_done(&s->lists);
	buf_done(&s->issuers);
}

/* ---- what is due ----------------------------------------------------------------------
 */

static void
want(struct survey *s, const char *issuer, int64_t shard, bool full)
{
	if (s->n == CRL_PLAN_BATCH)
		return;
	struct crl_place *p = &s->places[s->n++];
	*p = (struct crl_place){.shard = shard, .full = full};
	memcpy(p->issuer, issuer, sizeof(p->issuer));
}

/* Or of the future, for the clock was set back: clients would refuse it until then. */
static bool
is_half_over(const struct survey *s, const struct known *k)
{
	const struct config *cfg = s->d->cfg;
	int64_t left = k->next_ms - domain_now(s->d);
	return left <= cfg->pki.crl_life_ms / 2 ||
	       left > cfg->pki.crl_life_ms + cfg->pki.backdate_ms;
}

static bool
is_wanted(const struct survey *s, const char *issuer, int64_t shard)
{
	for (size_t i = 0; i < s->n; i++)
		if (s->places[i].shard == shard &&
		    strcmp(s->places[i].issuer, issuer) == 0)
			return true;
	return false;
}

static void
look_at(struct survey *s, const char *issuer, int64_t shard)
{
	if (is_wanted(s, issuer, shard))
		return;
	const struct known *full = find_list(s, issuer, shard, false);
	const struct known *delta = find_list(s, issuer, shard, true);
	if (!full || is_half_over(s, full))
		want(s, issuer, shard, true);
	else if (shard >= 0 &&
		 (!delta || delta->number < full->number || is_half_over(s, delta)))
		want(s, issuer, shard, false);
}

/* A CA that is over and whose last certificate has ended needs no further list. */
static int
is_over(struct survey *s, const struct store_issuer *i, bool *ret, struct err *e)
{
	struct store_cert_issued n;
	*ret = false;
	if (strcmp(i->state, "retired") != 0 && strcmp(i->state, "revoked") != 0)
		return 0;
	if (store_cert_issued(s->d->store, i->sha256, &n, e))
		return -1;
	*ret = n.last_end_ms < domain_now(s->d);
	return 0;
}

/* Shards that a former configuration had go on as long as there are lists of them. */
static int64_t
shards_of(const struct survey *s, const char *issuer)
{
	int64_t n = s->d->cfg->pki.crl_shards;
	const struct known *k = (const struct known *)(void *)s->lists.p;
	for (size_t i = 0; i < s->lists.len / sizeof(*k); i++)
		if (strcmp(k[i].issuer, issuer) == 0 && k[i].shard >= n)
			n = k[i].shard + 1;
	return n;
}

static int
look_at_issuer(struct survey *s, const struct store_issuer *i, struct err *e)
{
	size_t before = s->n;
	bool over;
	/* without its URL in it, the list of a shard would speak for all of them */
	int64_t shards = s->sharded ? shards_of(s, i->sha256) : 0;
	for (int64_t shard = -1; shard < shards; shard++)
		look_at(s, i->sha256, shard);
	if (s->n == before)
		return 0;
	if (is_over(s, i, &over, e))
		return -1;
	s->n = over ? before : s->n;
	return 0;
}

static const struct store_issuer *
find_issuer(const struct survey *s, const char *sha256)
{
	const struct store_issuer *v = (const struct store_issuer *)(void *)s->issuers.p;
	for (size_t i = 0; i < s->issuers.len / sizeof(*v); i++)
		if (strcmp(v[i].sha256, sha256) == 0)
			return &v[i];
	return NULL;
}

static int
take_dirty(void *ctx, const char *issuer, int64_t shard, int64_t changes, struct err *e)
{
	struct survey *s = ctx;
	struct store_crl full = {0};
	if (s->n == CRL_PLAN_BATCH)
		return 1;
	if (!find_issuer(s, issuer) || (shard >= 0 && !s->sharded))
		return 0;
	if (shard >= 0 &&
	    store_crl_get(s->d->store, issuer, shard, false, s->d->arena, &full, e) &&
	    e->code != ERR_NOT_FOUND)
		return -1;
	want(s, issuer, shard,
	    shard < 0 || full.der.len <= SMALL_BYTES ||
		(size_t)changes * ENTRY_BYTES * DELTA_SHARE >= full.der.len);
	return 0;
}

int
crl_plan_due(
    struct domain *d, struct crl_place v[CRL_PLAN_BATCH], size_t *ret_n, struct err *e)
{
	__attribute__((cleanup(survey_done))) struct survey s = {.places = v};
	if (begin_survey(d, &s, e))
		return -1;
	/* what somebody waits for goes first */
	if (store_crl_dirty(d->store, take_dirty, &s, e) < 0)
		return -1;
	const struct store_issuer *i = (const struct store_issuer *)(void *)s.issuers.p;
	for (size_t k = 0; k < s.issuers.len / sizeof(*i); k++)
		if (look_at_issuer(&s, &i[k], e))
			return -1;
	*ret_n = s.n;
	return 0;
}

/* ---- what goes in ---------------------------------------------------------------------
 */

struct entries {
	struct buf v; /* struct crl_entry */
};

static int
add_entry(void *ctx, const struct store_cert *c, struct err *e)
{
	struct entries *l = ctx;
	struct crl_entry en;
	uint8_t serial[CRL_SERIAL_MAX];
	size_t n = strlen(c->serial) / 2;
	if (n > sizeof(serial) || hex_parse(span_str(c->serial), serial, n, e) ||
	    crl_entry_set(&en, span_of(serial, n), (unsigned)c->reason, c->revoked_ms, e))
		return err_wrap(e, "CRL entry %.60s", c->serial);
	buf_put(&l->v, &en, sizeof(en));
	return buf_check(&l->v, "CRL entries", e);
}

static struct crl_entry *
entry_at(const struct entries *l, size_t i)
{
	return (struct crl_entry *)(void *)l->v.p + i;
}

static size_t
count(const struct entries *l)
{
	return l->v.len / sizeof(struct crl_entry);
}

/* The store orders them as text, which is the order of numbers where they are of one
 * length: always, but for what others' serials may be. */
static void
sort(struct entries *l)
{
	for (size_t i = 1; i < count(l); i++)
		if (crl_entry_cmp(entry_at(l, i - 1), entry_at(l, i)) > 0) {
			qsort(l->v.p, count(l), sizeof(struct crl_entry), crl_entry_cmp);
			return;
		}
}

static int
pack(struct domain *d, struct entries *l, struct span *ret, struct err *e)
{
	auto_buf out = BUF_INIT(CAP_CRL);
	sort(l);
	for (size_t i = 0; i < count(l); i++)
		crl_entry_pack(entry_at(l, i), &out);
	if (out.bad)
		return err_set(e, ERR_LIMIT,
		    "a CRL of %zu certificates is too large: pki.crl_shards must grow",
		    count(l));
	*ret = arena_span(d->arena, buf_span(&out));
	return 0;
}

/* The whole list of an issuer: of every shard there is. */
static int
add_all_shards(struct domain *d, const char *issuer, int64_t since_ms, struct entries *l,
    struct err *e)
{
	__attribute__((cleanup(survey_done))) struct survey s = {0};
	if (begin_survey(d, &s, e))
		return -1;
	int64_t shards = shards_of(&s, issuer);
	for (int64_t shard = -1; shard < shards; shard++)
		if (store_crl_entries(d->store, issuer, shard, since_ms, add_entry, l, e))
			return -1;
	return 0;
}

static int
pack_full(struct domain *d, const struct crl_place *p, int64_t since_ms, struct span *ret,
    struct err *e)
{
	struct entries l = {BUF_INIT(CRL_ENTRIES_MAX * sizeof(struct crl_entry))};
	int rc = p->shard < 0 ? add_all_shards(d, p->issuer, since_ms, &l, e)
			      : store_crl_entries(d->store, p->issuer, p->shard, since_ms,
				    add_entry, &l, e);
	rc = rc || pack(d, &l, ret, e) ? -1 : 0;
	buf_done(&l.v);
	return rc;
}

static int
pack_delta(struct domain *d, const struct crl_place *p, struct span *ret, struct err *e)
{
	struct entries l = {BUF_INIT(CRL_ENTRIES_MAX * sizeof(struct crl_entry))};
	int rc = store_crl_changes(d->store, p->issuer, p->shard, add_entry, &l, e);
	rc = rc || pack(d, &l, ret, e) ? -1 : 0;
	buf_done(&l.v);
	return rc;
}

/* ---- jobs -----------------------------------------------------------------------------
 */

/* What is stored of a place. */
struct present {
	struct store_crl full, delta;
	bool has_full, has_delta;
};

static int
read_list(struct domain *d, const struct crl_place *p, bool delta, struct store_crl *ret,
    bool *ret_has, struct err *e)
{
	*ret_has =
	    store_crl_get(d->store, p->issuer, p->shard, delta, d->arena, ret, e) == 0;
	return *ret_has || e->code == ERR_NOT_FOUND ? 0 : -1;
}

static int
read_present(
    struct domain *d, const struct crl_place *p, struct present *ret, struct err *e)
{
	*ret = (struct present){0};
	if (read_list(d, p, false, &ret->full, &ret->has_full, e))
		return -1;
	return read_list(d, p, true, &ret->delta, &ret->has_delta, e);
}

/* Larger than any before, also after a restore of the database: what was published
 * meanwhile had numbers of its own days. */
static int64_t
next_number(const struct domain *d, const struct present *is)
{
	int64_t now = domain_now(d);
	int64_t last =
	    is->full.number > is->delta.number ? is->full.number : is->delta.number;
	return last >= now ? last + 1 : now;
}

/* Back-dated like certificates, for clocks that are slow, but not to before the CA. */
static int
this_update(struct domain *d, const char *issuer, int64_t *ret, struct err *e)
{
	struct store_issuer by;
	if (store_issuer_get(d->store, issuer, d->arena, &by, e))
		return -1;
	auto_(cert_free) struct cert *ca = cert_parse(by.cert, e);
	if (!ca)
		return err_wrap(e, "CA %s", by.name);
	int64_t at = domain_now(d) - d->cfg->pki.backdate_ms;
	*ret = at > ca->not_before_ms ? at : ca->not_before_ms;
	return 0;
}

static int
begin_job(struct domain *d, const struct crl_place *p, const struct present *is,
    struct crl_job *j, struct err *e)
{
	*j = (struct crl_job){.shard = p->shard,
	    .number = next_number(d, is),
	    .next_ms = domain_now(d) + d->cfg->pki.crl_life_ms,
	    .settled = -1};
	memcpy(j->issuer, p->issuer, sizeof(j->issuer));
	if (hex_parse(span_str(p->issuer), j->issuer_sha256, sizeof(j->issuer_sha256), e))
		return -1;
	return this_update(d, p->issuer, &j->this_ms, e)
		   ? -1
		   : store_crl_mark(d->store, &j->mark, e);
}

/* A delta that is as young as the full list goes on on the list it stands on, whose
 * changes are all still known. One that is older may stand on what was forgotten. */
static int
base_of(const struct present *is, int64_t *ret, struct err *e)
{
	struct crl c;
	*ret = is->full.number;
	if (!is->has_delta || is->delta.number < is->full.number)
		return 0;
	if (crl_parse(is->delta.der, &c, e))
		return err_wrap(e, "stored delta CRL");
	*ret = (int64_t)c.base;
	return 0;
}

static int
plan_delta(struct domain *d, const struct crl_place *p, const struct present *is,
    struct crl_job *j, struct err *e)
{
	if (begin_job(d, p, is, j, e) || base_of(is, &j->base, e))
		return -1;
	return pack_delta(d, p, &j->entries, e);
}

/* The list, and where there was one before it the delta from that one to it. */
static int
plan_full(struct domain *d, const struct crl_place *p, const struct present *is,
    struct crl_job j[CRL_JOBS], size_t *ret_n, struct err *e)
{
	if (begin_job(d, p, is, &j[0], e) ||
	    pack_full(d, p, is->full.this_ms, &j[0].entries, e))
		return -1;
	*ret_n = 1;
	j[0].settled = j[0].mark;
	if (p->shard < 0 || !is->has_full)
		return 0;
	j[0].settled = is->full.mark;
	j[1] = j[0];
	j[1].base = is->full.number;
	j[1].settled = -1;
	*ret_n = 2;
	return pack_delta(d, p, &j[1].entries, e);
}

int
crl_plan_jobs(struct domain *d, const struct crl_place *p, struct crl_job ret[CRL_JOBS],
    size_t *ret_n, struct err *e)
{
	struct present is;
	if (read_present(d, p, &is, e))
		return -1;
	if (p->full || !is.has_full)
		return plan_full(d, p, &is, ret, ret_n, e);
	*ret_n = 1;
	return plan_delta(d, p, &is, &ret[0], e);
}

struct ipc_signer_crl
crl_plan_question(const struct crl_job *j)
{
	return (struct ipc_signer_crl){
	    .issuer = span_of(j->issuer_sha256, sizeof(j->issuer_sha256)),
	    .shard = j->shard,
	    .number = j->number,
	    .base = j->base,
	    .this_ms = j->this_ms,
	    .next_ms = j->next_ms,
	    .entries = j->entries};
}

int
crl_plan_keep(struct domain *d, const struct crl_job *j, struct span der, struct err *e)
{
	struct store_crl was;
	const struct store_crl c = {.issuer = j->issuer,
	    .shard = j->shard,
	    .delta = j->base != 0,
	    .number = j->number,
	    .this_ms = j->this_ms,
	    .next_ms = j->next_ms,
	    .mark = j->mark,
	    .der = der};
	if (store_crl_get(d->store, c.issuer, c.shard, c.delta, d->arena, &was, e) == 0) {
		if (was.number >= c.number)
			return 0;
	} else if (e->code != ERR_NOT_FOUND) {
		return -1;
	}
	if (store_crl_put(d->store, &c, e))
		return -1;
	if (j->settled < 0)
		return 0;
	return store_crl_settle(d->store, j->issuer, j->shard, j->settled, e);
}

/* ---- lists of others, and serving -----------------------------------------------------
 */

static int
check_import(
    struct domain *d, const struct store_issuer *i, const struct crl *c, struct err *e)
{
	struct store_crl was = {0};
	if (crl_plan_has_key(i))
		return err_set(e, ERR_DENIED, "the lists of %s are made here", i->name);
	if (c->base || c->url.len)
		return err_set(e, ERR_DENIED,
		    "only the whole list of a CA is taken in, no delta and no part");
	if (store_crl_get(d->store, i->sha256, -1, false, d->arena, &was, e) &&
	    e->code != ERR_NOT_FOUND)
		return -1;
	if (c->next_ms <= domain_now(d))
		return err_set(e, ERR_DENIED, "its nextUpdate is past");
	auto_(cert_free) struct cert *ca = cert_parse(i->cert, e);
	if (!ca)
		return -1;
	return crl_fits(c, ca, NULL, (uint64_t)was.number, e) || crl_verify(c, ca, e) ? -1
										      : 0;
}

struct owner_search {
	struct domain *d;
	const struct crl *c;
	struct store_issuer found;
	bool hit;
};

static int
try_owner(void *ctx, const struct store_issuer *i, struct err *e)
{
	struct owner_search *s = ctx;
	auto_(cert_free) struct cert *ca = cert_parse(i->cert, e);
	if (!ca)
		return err_wrap(e, "CA %s", i->name);
	if (!span_eq(ca->subject, s->c->issuer) ||
	    (s->c->aki.len && ca->ski.len && !span_eq(ca->ski, s->c->aki)))
		return 0;
	s->hit = true;
	return store_issuer_get(s->d->store, i->sha256, s->d->arena, &s->found, e) ? -1
										   : 1;
}

int
crl_plan_import(struct domain *d, struct span der, const char **ret_name, struct err *e)
{
	struct crl c;
	struct owner_search s = {.d = d, .c = &c};
	if (crl_parse(der, &c, e))
		return -1;
	if (store_issuer_each(d->store, try_owner, &s, e) < 0)
		return -1;
	if (!s.hit)
		return err_set(e, ERR_NOT_FOUND, "it is of no CA that is known here");
	if (!c.has_number || c.number > INT64_MAX)
		return err_set(e, ERR_PARSE, "a CRL number is wanted");
	if (check_import(d, &s.found, &c, e))
		return err_wrap(e, "CRL of %s", s.found.name);
	const struct store_crl row = {.issuer = s.found.sha256,
	    .shard = -1,
	    .number = (int64_t)c.number,
	    .this_ms = c.this_ms,
	    .next_ms = c.next_ms,
	    .der = der};
	*ret_name = s.found.name;
	return store_crl_put(d->store, &row, e);
}

int
crl_plan_get(struct domain *d, struct span issuer, int64_t shard, bool delta,
    struct store_crl *ret, struct err *e)
{
	struct store_issuer i;
	const char *name = arena_str(d->arena, issuer);
	if (store_issuer_by_name(d->store, name, d->arena, &i, e))
		return -1;
	return store_crl_get(d->store, i.sha256, shard, delta, d->arena, ret, e);
}
