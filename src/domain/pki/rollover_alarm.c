/*
 * A CA in other hands: who goes on, what is revoked, who is called; and the drill, which
 * says so beforehand.
 */
#include "domain/pki/rollover_impl.h"

#include <inttypes.h>
#include <string.h>

#include "base/num.h"
#include "crypto/cert.h"

#define ENROLS_PER_S   200 /* what a small server does beside its other work */
#define COMPROMISE_KEY "compromised:%s"

int64_t
rollover_spread_ms(int64_t devices)
{
	return devices * 1000 / ENROLS_PER_S;
}

/* The best CA to go on with. */
struct choice {
	struct domain *d;
	const struct store_issuer *from;
	struct span name; /* "" = any */
	struct store_issuer *ret;
	int rank; /* 0: none yet */
};

static int
rank_of(const struct store_issuer *i)
{
	static const enum issuer_state best_last[] = {
	    ISSUER_STANDBY, ISSUER_RETIRING, ISSUER_TRUSTED, ISSUER_ACTIVE};
	for (size_t k = 0; k < sizeof(best_last) / sizeof(best_last[0]); k++)
		if (rollover_is_state(i, best_last[k]))
			return (int)k + 1;
	return 0;
}

static int
try_successor(void *ctx, const struct store_issuer *i, struct err *e)
{
	struct choice *c = ctx;
	if (strcmp(i->purpose, c->from->purpose) != 0 ||
	    strcmp(i->sha256, c->from->sha256) == 0 || !i->custody[0] ||
	    (c->name.len && !span_eq_str(c->name, i->name)) || rank_of(i) <= c->rank)
		return 0;
	auto_(cert_free) struct cert *cert = cert_parse(i->cert, e);
	if (!cert)
		return -1;
	if (!cert_valid_at(cert, domain_now(c->d)))
		return 0;
	c->rank = rank_of(i);
	return store_issuer_get(c->d->store, arena_str(c->d->arena, span_str(i->sha256)),
	    c->d->arena, c->ret, e);
}

static int
choose(struct domain *d, struct span to, struct rollover_sides *s, bool *ret_found,
    struct err *e)
{
	struct choice c = {.d = d, .from = &s->from, .name = to, .ret = &s->to};
	s->to = (struct store_issuer){
	    .sha256 = "", .name = "", .purpose = "", .state = "", .custody = ""};
	if (store_issuer_each(d->store, try_successor, &c, e) < 0)
		return -1;
	*ret_found = c.rank > 0;
	return *ret_found ? rollover_load_roots(d, s, e) : 0;
}

static bool
locks_out(const struct rollover_alarm *m, const struct store_issuer *from)
{
	return !m->force && strcmp(m->operator_issuer, from->sha256) == 0;
}

static int
find_alarmed(struct domain *d, const struct rollover_alarm *m, struct rollover_sides *ret,
    bool *ret_found, struct err *e)
{
	const char *name = arena_str(d->arena, m->name);
	if (store_issuer_by_name(d->store, name, d->arena, &ret->from, e))
		return e->code == ERR_NOT_FOUND
			   ? err_set(e, ERR_NOT_FOUND, "there is no CA '%.40s'", name)
			   : -1;
	if (strcmp(ret->from.purpose, ca_conf_purpose_name(CA_DEVICE)) != 0 &&
	    strcmp(ret->from.purpose, ca_conf_purpose_name(CA_SERVICE)) != 0)
		return err_set(e, ERR_CONFLICT,
		    "%s is a %s: roll its CAs over to others, then retire it", name,
		    ret->from.purpose);
	return choose(d, m->to, ret, ret_found, e);
}

static int
refuse_alone(const struct store_issuer *from, struct err *e)
{
	return err_set(e, ERR_GATE,
	    "there is no other %s CA to go on with, whose key is here: add one first "
	    "(muster ca), then revoke %s",
	    from->purpose, from->name);
}

static int
refuse_own(const struct store_issuer *from, struct err *e)
{
	return err_set(e, ERR_GATE,
	    "your own certificate is of %s and would be refused from then on: come with "
	    "one of another CA, or use --force",
	    from->name);
}

/* What was under way of the purpose ends here, unless it leads to the same. */
static int
take_over(struct domain *d, const struct rollover_sides *s, struct store_rollover *ret,
    struct err *e)
{
	if (rollover_open_of_purpose(d, &s->from, ret, e))
		return -1;
	bool same = ret->n && strcmp(ret->from_issuer, s->from.sha256) == 0 &&
		    strcmp(ret->to_issuer, s->to.sha256) == 0;
	if (ret->n && !same && rollover_end(d, ret, ROLLOVER_STOPPED, e))
		return -1;
	if (!same)
		*ret = (struct store_rollover){.from_issuer = s->from.sha256,
		    .to_issuer = s->to.sha256,
		    .state = rollover_state_name(ROLLOVER_READY),
		    .started_ms = domain_now(d)};
	return 0;
}

static int
note_moment(struct domain *d, const char *sha256, int64_t since_ms, struct err *e)
{
	if (!since_ms)
		return 0;
	return store_meta_put(d->store, arena_printf(d->arena, COMPROMISE_KEY, sha256),
	    arena_printf(d->arena, "%" PRId64, since_ms), e);
}

/* The new one first: at no moment does nobody issue. */
static int
switch_over(struct domain *d, const struct rollover_sides *s,
    const struct rollover_alarm *m, struct err *e)
{
	if (rollover_trust_side(d, s, e) ||
	    rollover_put_state(d, s->to.name, ISSUER_ACTIVE, 0, e) ||
	    rollover_put_state(d, s->from.name, ISSUER_REVOKED, m->reason, e) ||
	    note_moment(d, s->from.sha256, m->since_ms, e))
		return -1;
	return rollover_edit_groups(d, s, rollover_group_replace, rollover_group_add, e);
}

static int
call_all(struct domain *d, const struct rollover_sides *s, int64_t spread_ms,
    struct store_rollover *ret, struct err *e)
{
	struct store_rollover r;
	int64_t devices, last_ms;
	if (take_over(d, s, &r, e) ||
	    store_device_cert_count(d->store, s->from.sha256, &devices, &last_ms, e))
		return -1;
	if (!rollover_is_in(&r, ROLLOVER_EMERGENCY))
		rollover_move(&r, ROLLOVER_EMERGENCY);
	r.share = CENSUS_ALL;
	r.wave_ms = domain_now(d);
	r.spread_ms = spread_ms < 0 ? rollover_spread_ms(devices) : spread_ms;
	if (store_rollover_put(d->store, &r, e))
		return -1;
	return rollover_open_of_purpose(d, &s->from, ret, e);
}

int
rollover_revoke(struct domain *d, const struct rollover_alarm *m,
    struct store_rollover *ret, struct err *e)
{
	struct rollover_sides s;
	bool found_one;
	if (find_alarmed(d, m, &s, &found_one, e))
		return -1;
	if (rollover_is_state(&s.from, ISSUER_REVOKED))
		return err_set(e, ERR_CONFLICT, "%s is revoked already", s.from.name);
	if (!found_one)
		return refuse_alone(&s.from, e);
	if (locks_out(m, &s.from))
		return refuse_own(&s.from, e);
	if (rollover_edit_groups(
		d, &s, rollover_check_instead, rollover_check_beside, e) ||
	    switch_over(d, &s, m, e))
		return -1;
	return call_all(d, &s, m->spread_ms, ret, e);
}

/* ---- drill ----------------------------------------------------------------------------
 */

static void
add_missing(struct domain *d, struct rollover_drill *r, const struct err *why)
{
	if (r->n_missing < ROLLOVER_MISSING)
		r->missing[r->n_missing++] = arena_str(d->arena, span_str(why->text));
}

static int
list_groups(struct domain *d, const struct rollover_sides *s, struct rollover_drill *r,
    struct err *e)
{
	const char *by_ca, *by_root = "";
	if (rollover_group_of(d, s->from.sha256, &by_ca, e) ||
	    (s->has_roots && rollover_group_of(d, s->from_root.sha256, &by_root, e)))
		return -1;
	r->groups = arena_printf(
	    d->arena, "%s%s%s", by_ca, by_ca[0] && by_root[0] ? " " : "", by_root);
	return 0;
}

int
rollover_drill(struct domain *d, const struct rollover_alarm *m,
    struct rollover_drill *ret, struct err *e)
{
	struct rollover_sides s = {.has_roots = false};
	struct rollover_drill r = {.groups = ""};
	struct err why = {0};
	bool found_one;
	int64_t devices, last_ms;
	if (find_alarmed(d, m, &s, &found_one, e) || list_groups(d, &s, &r, e) ||
	    store_device_cert_count(d->store, s.from.sha256, &devices, &last_ms, e))
		return -1;
	if (rollover_is_state(&s.from, ISSUER_REVOKED)) {
		(void)err_set(&why, ERR_GATE, "%s is revoked already", s.from.name);
		add_missing(d, &r, &why);
	}
	if (!found_one) {
		(void)refuse_alone(&s.from, &why);
		add_missing(d, &r, &why);
	}
	if (locks_out(m, &s.from)) {
		(void)refuse_own(&s.from, &why);
		add_missing(d, &r, &why);
	}
	if (found_one && rollover_edit_groups(d, &s, rollover_check_instead,
			     rollover_check_beside, &why)) {
		if (why.code != ERR_EXISTS && why.code != ERR_CONFLICT) {
			*e = why;
			return -1;
		}
		add_missing(d, &r, &why);
	}
	r.from = s.from;
	r.to = s.to;
	r.spread_ms = m->spread_ms < 0 ? rollover_spread_ms(devices) : m->spread_ms;
	*ret = r;
	return 0;
}

/* ---- the moment -----------------------------------------------------------------------
 */

int
rollover_is_before_compromise(
    struct domain *d, const struct store_cert *c, bool *ret, struct err *e)
{
	const char *text;
	int64_t since_ms;
	*ret = true;
	if (store_meta_get(d->store, arena_printf(d->arena, COMPROMISE_KEY, c->issuer),
		d->arena, &text, e))
		return e->code == ERR_NOT_FOUND ? 0 : -1;
	if (!num_ok(span_str(text), 0, INT64_MAX, &since_ms))
		return err_set(e, ERR_CORRUPT, "moment of compromise of %s", c->issuer);
	*ret = c->issued_ms < since_ms;
	return 0;
}
