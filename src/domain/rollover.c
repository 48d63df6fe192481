/*
 * The campaign: what each act checks, and what it changes. Counting is census.h's, the
 * states of the CAs issuer.h's.
 */
#include "domain/rollover.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/num.h"
#include "base/sm.h"
#include "crypto/cert.h"
#include "crypto/digest.h"
#include "domain/issuer_root.h"
#include "domain/rollover_group.h"

#define HISTORY_MAX    256 /* rows looked through for one under way */
#define WINDOW_SHARE   20  /* of the spread: one device's window */
#define ENROLS_PER_S   200 /* what a small server does beside its other work */
#define COMPROMISE_KEY "compromised:%s"

static const struct sm_state states[] = {
    [ROLLOVER_READY] = {"ready",
	SM_TO(ROLLOVER_MOVING) | SM_TO(ROLLOVER_EMERGENCY) | SM_TO(ROLLOVER_STOPPED)},
    [ROLLOVER_MOVING] = {"moving",
	SM_TO(ROLLOVER_EMERGENCY) | SM_TO(ROLLOVER_FINISHED) | SM_TO(ROLLOVER_STOPPED)},
    [ROLLOVER_EMERGENCY] = {"emergency",
	SM_TO(ROLLOVER_FINISHED) | SM_TO(ROLLOVER_STOPPED)},
    [ROLLOVER_FINISHED] = {"finished", 0},
    [ROLLOVER_STOPPED] = {"stopped", 0},
};
static const struct sm machine = {"rollover", states, ROLLOVER_STATE_N};

const char *
rollover_state_name(enum rollover_state s)
{
	return sm_name(&machine, (int)s);
}

static bool
is_in(const struct store_rollover *r, enum rollover_state s)
{
	return strcmp(r->state, rollover_state_name(s)) == 0;
}

bool
rollover_is_open(const struct store_rollover *r)
{
	int s = sm_find(&machine, r->state);
	return s >= 0 && states[s].to != 0;
}

static void
move(struct store_rollover *r, enum rollover_state to)
{
	int s = sm_find(&machine, r->state);
	sm_move(&machine, &s, (int)to);
	r->state = rollover_state_name(to);
}

/* ---- finding --------------------------------------------------------------------------
 */

struct listing {
	struct arena *arena;
	struct rollover_list *ret;
};

static void
keep(struct arena *a, const struct store_rollover *r, struct store_rollover *ret)
{
	*ret = *r;
	ret->from_issuer = arena_str(a, span_str(r->from_issuer));
	ret->to_issuer = arena_str(a, span_str(r->to_issuer));
	ret->state = arena_str(a, span_str(r->state));
}

static int
list_open(void *ctx, const struct store_rollover *r, struct err *e)
{
	struct listing *l = ctx;
	if (!rollover_is_open(r))
		return 0;
	if (l->ret->n == ROLLOVER_OPEN_MAX)
		return err_set(
		    e, ERR_CORRUPT, "over %d rollovers under way", ROLLOVER_OPEN_MAX);
	keep(l->arena, r, &l->ret->v[l->ret->n++]);
	return 0;
}

int
rollover_list(struct domain *d, struct rollover_list *ret, struct err *e)
{
	struct rollover_list all = {.n = 0};
	struct listing l = {d->arena, &all};
	if (store_rollover_each(d->store, HISTORY_MAX, list_open, &l, e) < 0)
		return -1;
	*ret = all;
	return 0;
}

static int
keep_first(void *ctx, const struct store_rollover *r, struct err *e)
{
	struct listing *l = ctx;
	(void)e;
	keep(l->arena, r, &l->ret->v[0]);
	return 1;
}

int
rollover_last(struct domain *d, struct store_rollover *ret, struct err *e)
{
	struct rollover_list one = {.n = 0};
	struct listing l = {d->arena, &one};
	if (store_rollover_each(d->store, 1, keep_first, &l, e) < 0)
		return -1;
	*ret = one.v[0];
	return 0;
}

static int
has_name(struct domain *d, const struct store_rollover *r, struct span name, bool *ret,
    struct err *e)
{
	struct store_issuer from, to;
	if (store_issuer_get(d->store, r->from_issuer, d->arena, &from, e) ||
	    store_issuer_get(d->store, r->to_issuer, d->arena, &to, e))
		return -1;
	*ret = !name.len || span_eq_str(name, from.name) || span_eq_str(name, to.name);
	return 0;
}

int
rollover_of(struct domain *d, struct span name, struct store_rollover *ret, struct err *e)
{
	struct rollover_list all;
	const struct store_rollover *found = NULL;
	if (rollover_list(d, &all, e))
		return -1;
	if (all.n > 1 && !name.len)
		return err_set(e, ERR_CONFLICT,
		    "%zu rollovers are under way: say which CA is meant", all.n);
	for (size_t i = 0; i < all.n && !found; i++) {
		bool is;
		if (has_name(d, &all.v[i], name, &is, e))
			return -1;
		found = is ? &all.v[i] : NULL;
	}
	if (!found)
		return err_set(e, ERR_NOT_FOUND, "no rollover%s%.*s is under way",
		    name.len ? " of " : "", SPAN_FMT(span_head(name, 40)));
	*ret = *found;
	return 0;
}

/* What is under way of the purpose of that CA; n 0: nothing. */
static int
open_of_purpose(struct domain *d, const struct store_issuer *ca,
    struct store_rollover *ret, struct err *e)
{
	struct rollover_list all;
	struct store_issuer from;
	*ret = (struct store_rollover){.from_issuer = "", .to_issuer = "", .state = ""};
	if (rollover_list(d, &all, e))
		return -1;
	for (size_t i = 0; i < all.n; i++) {
		if (store_issuer_get(d->store, all.v[i].from_issuer, d->arena, &from, e))
			return -1;
		if (strcmp(from.purpose, ca->purpose) == 0)
			*ret = all.v[i];
	}
	return 0;
}

/* The CAs of a rollover, and their roots. */
struct sides {
	struct store_issuer from, to, from_root, to_root;
	bool has_roots; /* both are ours, and two */
	bool has_to_root;
};

static int
load_roots(struct domain *d, struct sides *s, struct err *e)
{
	bool has_from;
	if (issuer_root_of(d, &s->from, &s->from_root, &has_from, e) ||
	    issuer_root_of(d, &s->to, &s->to_root, &s->has_to_root, e))
		return -1;
	s->has_roots = has_from && s->has_to_root &&
		       strcmp(s->from_root.sha256, s->to_root.sha256) != 0;
	return 0;
}

static int
load_sides(
    struct domain *d, const struct store_rollover *r, struct sides *ret, struct err *e)
{
	if (store_issuer_get(d->store, r->from_issuer, d->arena, &ret->from, e) ||
	    store_issuer_get(d->store, r->to_issuer, d->arena, &ret->to, e))
		return -1;
	return load_roots(d, ret, e);
}

/* ---- the device's side ----------------------------------------------------------------
 */

struct calling {
	struct domain *d;
	const char *issuer;
	struct store_rollover r; /* of the device's CA */
	bool found;
	int64_t poll_ms; /* of the servers' CA: devices are to tell their anchors */
};

static int
try_call(void *ctx, const struct store_rollover *r, struct err *e)
{
	struct calling *c = ctx;
	struct store_issuer from;
	if (!rollover_is_open(r))
		return 0;
	if (strcmp(r->from_issuer, c->issuer) == 0) {
		keep(c->d->arena, r, &c->r);
		c->found = true;
		return 0;
	}
	if (store_issuer_get(c->d->store, r->from_issuer, c->d->arena, &from, e))
		return -1;
	if (strcmp(from.purpose, ca_conf_purpose_name(CA_SERVICE)) == 0)
		c->poll_ms = r->spread_ms;
	return 0;
}

/* Devices of one wave lie evenly over its spread, each where its ID puts it. */
static void
place_window(
    const struct store_rollover *r, struct span device_id, struct rollover_call *ret)
{
	uint8_t sha[DIGEST_SHA256];
	digest_sha256(device_id, sha);
	struct cursor at = cursor_of(span_of(sha + 12, 3));
	int64_t place = (int64_t)cursor_u16(&at);
	int64_t width = r->spread_ms / WINDOW_SHARE, room = r->spread_ms - width;
	ret->start_ms = r->wave_ms + room / 65536 * place + room % 65536 * place / 65536;
	ret->end_ms = ret->start_ms + width;
}

int
rollover_call(struct domain *d, struct span device_id, const char *issuer,
    struct rollover_call *ret, struct err *e)
{
	struct calling c = {.d = d, .issuer = issuer};
	struct rollover_call call = {.reason = ""};
	if (store_rollover_each(d->store, HISTORY_MAX, try_call, &c, e) < 0)
		return -1;
	call.poll_ms = c.poll_ms;
	if (c.found && (!call.poll_ms || c.r.spread_ms < call.poll_ms))
		call.poll_ms = c.r.spread_ms;
	if (c.found && census_place(device_id) < c.r.share) {
		call.called = true;
		call.reason =
		    is_in(&c.r, ROLLOVER_EMERGENCY) ? "issuer revoked" : "rollover";
		place_window(&c.r, device_id, &call);
	}
	*ret = call;
	return 0;
}

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

/* ---- changes of states ----------------------------------------------------------------
 */

static int
put_state(
    struct domain *d, const char *name, enum issuer_state to, int reason, struct err *e)
{
	const struct issuer_change ch = {
	    .name = span_str(name), .state = to, .reason = reason, .force = true};
	return issuer_put_state(d, &ch, e);
}

static bool
is_state(const struct store_issuer *i, enum issuer_state s)
{
	return strcmp(i->state, issuer_state_name(s)) == 0;
}

static int
trust(struct domain *d, const struct store_issuer *i, struct err *e)
{
	return is_state(i, ISSUER_STANDBY) ? put_state(d, i->name, ISSUER_TRUSTED, 0, e)
					   : 0;
}

static int
trust_side(struct domain *d, const struct sides *s, struct err *e)
{
	if (s->has_to_root && trust(d, &s->to_root, e))
		return -1;
	return trust(d, &s->to, e);
}

/* ---- groups ---------------------------------------------------------------------------
 */

typedef int group_edit(struct domain *d, const struct rollover_pair *p, struct err *e);

/* What is done for a CA is not always right for its root, which may have other CAs. */
static int
edit_groups(struct domain *d, const struct sides *s, group_edit *of_cas,
    group_edit *of_roots, struct err *e)
{
	const struct rollover_pair cas = {&s->from, &s->to};
	const struct rollover_pair roots = {&s->from_root, &s->to_root};
	if (of_cas(d, &cas, e))
		return -1;
	return s->has_roots ? of_roots(d, &roots, e) : 0;
}

static int
check_beside(struct domain *d, const struct rollover_pair *p, struct err *e)
{
	return rollover_group_check(d, p, false, e);
}

static int
check_instead(struct domain *d, const struct rollover_pair *p, struct err *e)
{
	return rollover_group_check(d, p, true, e);
}

/* ---- start ----------------------------------------------------------------------------
 */

static int
find_from(struct domain *d, struct span name, const struct store_issuer *to,
    struct store_issuer *ret, struct err *e)
{
	enum ca_purpose purpose;
	const struct issuer_entry *active;
	auto_(free) struct issuer_book *book = own_alloc(sizeof(*book));
	struct domain now = *d; /* not as it was before this turn */
	now.issuers = book;
	if (ca_conf_purpose_parse(span_str(to->purpose), &purpose, e) ||
	    issuer_load(d, book, e))
		return -1;
	if (purpose != CA_DEVICE && purpose != CA_SERVICE)
		return err_set(e, ERR_CONFLICT,
		    "%s is a %s: rolled over are the CAs that issue, and their roots "
		    "with them",
		    to->name, to->purpose);
	if (issuer_active(&now, purpose, &active, e))
		return -1;
	if (name.len && !span_eq_str(name, active->name))
		return err_set(e, ERR_CONFLICT, "%.*s does not issue now, %s does",
		    SPAN_FMT(span_head(name, 40)), active->name);
	return store_issuer_get(d->store, active->hex, d->arena, ret, e);
}

static int
check_to(struct domain *d, const struct store_issuer *to, struct err *e)
{
	auto_(cert_free) struct cert *c = cert_parse(to->cert, e);
	if (!c)
		return -1;
	if (is_state(to, ISSUER_ACTIVE))
		return err_set(e, ERR_CONFLICT, "%s is active already", to->name);
	if (is_state(to, ISSUER_RETIRED) || is_state(to, ISSUER_REVOKED))
		return err_set(e, ERR_CONFLICT, "%s is %s", to->name, to->state);
	if (!to->custody[0])
		return err_set(e, ERR_CONFLICT, "%s: its key is not here", to->name);
	if (!cert_valid_at(c, domain_now(d)))
		return err_set(e, ERR_CONFLICT, "%s is outside its dates", to->name);
	return 0;
}

static int
check_none_open(struct domain *d, const struct store_issuer *to, struct err *e)
{
	struct store_rollover r;
	struct sides s;
	if (open_of_purpose(d, to, &r, e))
		return -1;
	if (!r.n)
		return 0;
	if (load_sides(d, &r, &s, e))
		return -1;
	return err_set(e, ERR_EXISTS,
	    "the rollover from %s to %s is under way: finish or stop it first",
	    s.from.name, s.to.name);
}

int
rollover_start(struct domain *d, struct span from, struct span to, int64_t spread_ms,
    struct store_rollover *ret, struct err *e)
{
	struct sides s;
	if (store_issuer_by_name(d->store, arena_str(d->arena, to), d->arena, &s.to, e)) {
		if (e->code == ERR_NOT_FOUND)
			return err_set(e, ERR_NOT_FOUND,
			    "there is no CA '%.*s': make it known first (muster ca)",
			    SPAN_FMT(span_head(to, 40)));
		return -1;
	}
	if (check_none_open(d, &s.to, e) || check_to(d, &s.to, e) ||
	    find_from(d, from, &s.to, &s.from, e) || load_roots(d, &s, e) ||
	    edit_groups(d, &s, check_beside, check_beside, e))
		return -1;
	struct store_rollover r = {.from_issuer = s.from.sha256,
	    .to_issuer = s.to.sha256,
	    .state = rollover_state_name(ROLLOVER_READY),
	    .spread_ms = spread_ms,
	    .started_ms = domain_now(d)};
	if (trust_side(d, &s, e) ||
	    edit_groups(d, &s, rollover_group_add, rollover_group_add, e) ||
	    store_rollover_put(d->store, &r, e))
		return -1;
	return open_of_purpose(d, &s.from, ret, e); /* with its number */
}

/* ---- gates ----------------------------------------------------------------------------
 */

static void
put_names(struct buf *b, const struct census_names *l)
{
	for (size_t i = 0; i < l->n; i++)
		buf_printf(b, "%s %s", i ? "," : ":", l->v[i]);
}

static void
put_reason(struct buf *b, int64_t n, const char *what, const struct census_names *names)
{
	if (!n)
		return;
	buf_printf(b, "%s%" PRId64 " %s", b->len ? "; " : "", n, what);
	put_names(b, names);
}

static int
gate_anchors(const struct census *c, struct err *e)
{
	auto_buf why = BUF_INIT(1024);
	if (!c->lacking_anchor)
		return 0;
	put_reason(&why, c->lacking_anchor,
	    "devices have not told that they trust the new "
	    "root",
	    &c->lacking);
	return err_set(e, ERR_GATE, "%s", buf_text(&why));
}

static int
gate_share(struct domain *d, const struct census *c, struct err *e)
{
	char until[CLOCK_TEXT];
	auto_buf why = BUF_INIT(1024);
	int64_t left = c->wave - c->wave_moved, percent = d->cfg->pki.rollover_tolerance;
	if (left * 100 <= percent * c->wave)
		return 0;
	clock_iso(c->window_end_ms, 0, until);
	buf_printf(&why,
	    "%" PRId64 " of the wave's %" PRId64
	    " devices that are around have not moved, "
	    "%" PRId64 " %% may be left behind; %s",
	    left, c->wave, percent,
	    c->now_ms > c->window_end_ms ? "its time was over " : "its time is over ");
	buf_str(&why, until);
	put_reason(&why, c->overdue, "are overdue", &c->is_overdue);
	return err_set(e, ERR_GATE, "%s", buf_text(&why));
}

static int
gate_finish(const struct store_issuer *from, const struct census *c, struct err *e)
{
	auto_buf why = BUF_INIT(1024);
	put_reason(&why, c->old, "devices used it last", &c->on_old);
	put_reason(&why, c->loose,
	    "devices hold a certificate of it and have used no other", &c->loose_names);
	put_reason(
	    &why, c->operators, "operators' certificates are of it", &c->operator_names);
	put_reason(&why, c->lacking_anchor,
	    "devices have not told that they trust the new "
	    "root",
	    &c->lacking);
	if (!why.len)
		return 0;
	return err_set(e, ERR_GATE, "%s is in use: %s", from->name, buf_text(&why));
}

/* ---- waves ----------------------------------------------------------------------------
 */

static int
check_wave(struct domain *d, const struct store_rollover *r, int64_t share,
    const struct census *c, bool force, struct err *e)
{
	if (is_in(r, ROLLOVER_EMERGENCY))
		return err_set(
		    e, ERR_CONFLICT, "its CA is revoked: every device is called");
	if (share < r->share)
		return err_set(e, ERR_CONFLICT,
		    "%" PRId64 ".%02" PRId64 " %% are called already: a wave only grows",
		    r->share / 100, r->share % 100);
	if (force)
		return 0;
	if (c->is_service)
		return gate_anchors(c, e);
	return r->share && share > r->share ? gate_share(d, c, e) : 0;
}

int
rollover_wave(struct domain *d, struct store_rollover *r, int64_t share,
    int64_t spread_ms, const struct census *c, bool force, struct err *e)
{
	struct store_issuer to;
	struct store_rollover n = *r;
	if (c->is_service)
		share = CENSUS_ALL;
	if (check_wave(d, r, share, c, force, e) ||
	    store_issuer_get(d->store, r->to_issuer, d->arena, &to, e))
		return -1;
	if (is_in(r, ROLLOVER_READY)) {
		if (put_state(d, to.name, ISSUER_ACTIVE, 0, e))
			return -1;
		move(&n, ROLLOVER_MOVING);
	}
	if (spread_ms >= 0)
		n.spread_ms = spread_ms;
	if (share > r->share)
		n.wave_ms = domain_now(d);
	n.share = share;
	if (store_rollover_put(d->store, &n, e))
		return -1;
	*r = n;
	return 0;
}

/* ---- the end --------------------------------------------------------------------------
 */

/* A root under which nothing is left that is trusted goes with its last CA. */
static int
retire_root(struct domain *d, const struct sides *s, bool *ret_gone, struct err *e)
{
	bool needed;
	*ret_gone = false;
	if (!s->has_roots ||
	    issuer_root_is_needed(d, &s->from_root, s->from.sha256, &needed, e))
		return s->has_roots ? -1 : 0;
	if (needed || !is_state(&s->from_root, ISSUER_TRUSTED))
		return 0;
	*ret_gone = true;
	if (put_state(d, s->from_root.name, ISSUER_RETIRING, 0, e))
		return -1;
	return put_state(d, s->from_root.name, ISSUER_RETIRED, 0, e);
}

static int
retire(struct domain *d, const struct sides *s, struct err *e)
{
	bool gone;
	const struct rollover_pair cas = {&s->from, &s->to};
	const struct rollover_pair roots = {&s->from_root, &s->to_root};
	if (!is_state(&s->from, ISSUER_REVOKED) &&
	    put_state(d, s->from.name, ISSUER_RETIRED, 0, e))
		return -1;
	if (rollover_group_replace(d, &cas, e) || retire_root(d, s, &gone, e))
		return -1;
	return gone ? rollover_group_replace(d, &roots, e) : 0;
}

static int
end(struct domain *d, struct store_rollover *r, enum rollover_state as, struct err *e)
{
	struct store_rollover n = *r;
	move(&n, as);
	n.ended_ms = domain_now(d);
	if (store_rollover_put(d->store, &n, e))
		return -1;
	*r = n;
	return 0;
}

int
rollover_finish(struct domain *d, struct store_rollover *r, const struct census *c,
    bool force, struct err *e)
{
	struct sides s;
	if (is_in(r, ROLLOVER_READY))
		return err_set(e, ERR_CONFLICT,
		    "nothing was moved yet: muster ca rollover wave, or stop");
	if (load_sides(d, r, &s, e) || (!force && gate_finish(&s.from, c, e)) ||
	    retire(d, &s, e))
		return -1;
	return end(d, r, ROLLOVER_FINISHED, e);
}

static int
found(void *ctx, const struct store_cert *c, struct err *e)
{
	(void)c, (void)e;
	*(bool *)ctx = true;
	return 1;
}

/* Devices that moved come back through the groups as well. */
static int
has_issued(struct domain *d, const char *issuer, bool *ret, struct err *e)
{
	const struct store_cert_filter f = {.subject = "",
	    .issuer = issuer,
	    .key_sha256 = "",
	    .profile = "",
	    .expires_after_ms = domain_now(d),
	    .revoked = -1,
	    .limit = 1};
	*ret = false;
	return store_cert_find(d->store, &f, found, ret, e) < 0 ? -1 : 0;
}

int
rollover_stop(struct domain *d, struct store_rollover *r, struct err *e)
{
	struct sides s;
	bool issued;
	if (is_in(r, ROLLOVER_EMERGENCY))
		return err_set(e, ERR_CONFLICT, "its CA is revoked, for ever");
	if (load_sides(d, r, &s, e) || has_issued(d, s.to.sha256, &issued, e))
		return -1;
	if (is_state(&s.to, ISSUER_ACTIVE) &&
	    (put_state(d, s.from.name, ISSUER_ACTIVE, 0, e) ||
		put_state(d, s.to.name, ISSUER_TRUSTED, 0, e)))
		return -1;
	if (!issued && edit_groups(d, &s, rollover_group_undo, rollover_group_undo, e))
		return -1;
	return end(d, r, ROLLOVER_STOPPED, e);
}

/* ---- compromise -----------------------------------------------------------------------
 */

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
		if (is_state(i, best_last[k]))
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
choose(struct domain *d, struct span to, struct sides *s, bool *ret_found, struct err *e)
{
	struct choice c = {.d = d, .from = &s->from, .name = to, .ret = &s->to};
	s->to = (struct store_issuer){
	    .sha256 = "", .name = "", .purpose = "", .state = "", .custody = ""};
	if (store_issuer_each(d->store, try_successor, &c, e) < 0)
		return -1;
	*ret_found = c.rank > 0;
	return *ret_found ? load_roots(d, s, e) : 0;
}

static bool
locks_out(const struct rollover_alarm *m, const struct store_issuer *from)
{
	return !m->force && strcmp(m->operator_issuer, from->sha256) == 0;
}

static int
find_alarmed(struct domain *d, const struct rollover_alarm *m, struct sides *ret,
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
take_over(
    struct domain *d, const struct sides *s, struct store_rollover *ret, struct err *e)
{
	if (open_of_purpose(d, &s->from, ret, e))
		return -1;
	bool same = ret->n && strcmp(ret->from_issuer, s->from.sha256) == 0 &&
		    strcmp(ret->to_issuer, s->to.sha256) == 0;
	if (ret->n && !same && end(d, ret, ROLLOVER_STOPPED, e))
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
switch_over(struct domain *d, const struct sides *s, const struct rollover_alarm *m,
    struct err *e)
{
	if (trust_side(d, s, e) || put_state(d, s->to.name, ISSUER_ACTIVE, 0, e) ||
	    put_state(d, s->from.name, ISSUER_REVOKED, m->reason, e) ||
	    note_moment(d, s->from.sha256, m->since_ms, e))
		return -1;
	return edit_groups(d, s, rollover_group_replace, rollover_group_add, e);
}

static int
call_all(struct domain *d, const struct sides *s, int64_t spread_ms,
    struct store_rollover *ret, struct err *e)
{
	struct store_rollover r;
	int64_t devices, last_ms;
	if (take_over(d, s, &r, e) ||
	    store_device_cert_count(d->store, s->from.sha256, &devices, &last_ms, e))
		return -1;
	if (!is_in(&r, ROLLOVER_EMERGENCY))
		move(&r, ROLLOVER_EMERGENCY);
	r.share = CENSUS_ALL;
	r.wave_ms = domain_now(d);
	r.spread_ms = spread_ms < 0 ? rollover_spread_ms(devices) : spread_ms;
	if (store_rollover_put(d->store, &r, e))
		return -1;
	return open_of_purpose(d, &s->from, ret, e);
}

int
rollover_revoke(struct domain *d, const struct rollover_alarm *m,
    struct store_rollover *ret, struct err *e)
{
	struct sides s;
	bool found_one;
	if (find_alarmed(d, m, &s, &found_one, e))
		return -1;
	if (is_state(&s.from, ISSUER_REVOKED))
		return err_set(e, ERR_CONFLICT, "%s is revoked already", s.from.name);
	if (!found_one)
		return refuse_alone(&s.from, e);
	if (locks_out(m, &s.from))
		return refuse_own(&s.from, e);
	if (edit_groups(d, &s, check_instead, check_beside, e) ||
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
list_groups(
    struct domain *d, const struct sides *s, struct rollover_drill *r, struct err *e)
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
	struct sides s = {.has_roots = false};
	struct rollover_drill r = {.groups = ""};
	struct err why = {0};
	bool found_one;
	int64_t devices, last_ms;
	if (find_alarmed(d, m, &s, &found_one, e) || list_groups(d, &s, &r, e) ||
	    store_device_cert_count(d->store, s.from.sha256, &devices, &last_ms, e))
		return -1;
	if (is_state(&s.from, ISSUER_REVOKED)) {
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
	if (found_one && edit_groups(d, &s, check_instead, check_beside, &why)) {
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
