/*
 * The campaign: what each act checks, and what it changes. Counting is census.h's, the
 * states of the CAs issuer.h's.
 */
#include "domain/pki/rollover_impl.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/num.h"
#include "base/sm.h"
#include "crypto/cert.h"
#include "crypto/digest.h"
#include "domain/pki/issuer_root.h"
#include "domain/pki/rollover_group.h"

#define HISTORY_MAX  256 /* rows looked through for one under way */
#define WINDOW_SHARE 20  /* of the spread: one device's window */

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

bool
rollover_is_in(const struct store_rollover *r, enum rollover_state s)
{
	return strcmp(r->state, rollover_state_name(s)) == 0;
}

bool
rollover_is_open(const struct store_rollover *r)
{
	int s = sm_find(&machine, r->state);
	return s >= 0 && states[s].to != 0;
}

void
rollover_move(struct store_rollover *r, enum rollover_state to)
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
int
rollover_open_of_purpose(struct domain *d, const struct store_issuer *ca,
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

int
rollover_load_roots(struct domain *d, struct rollover_sides *s, struct err *e)
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
load_sides(struct domain *d, const struct store_rollover *r, struct rollover_sides *ret,
    struct err *e)
{
	if (store_issuer_get(d->store, r->from_issuer, d->arena, &ret->from, e) ||
	    store_issuer_get(d->store, r->to_issuer, d->arena, &ret->to, e))
		return -1;
	return rollover_load_roots(d, ret, e);
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
		call.reason = rollover_is_in(&c.r, ROLLOVER_EMERGENCY) ? "issuer revoked"
								       : "rollover";
		place_window(&c.r, device_id, &call);
	}
	*ret = call;
	return 0;
}

/* ---- changes of states ----------------------------------------------------------------
 */

int
rollover_put_state(
    struct domain *d, const char *name, enum issuer_state to, int reason, struct err *e)
{
	const struct issuer_change ch = {
	    .name = span_str(name), .state = to, .reason = reason, .force = true};
	return issuer_put_state(d, &ch, e);
}

bool
rollover_is_state(const struct store_issuer *i, enum issuer_state s)
{
	return strcmp(i->state, issuer_state_name(s)) == 0;
}

static int
trust(struct domain *d, const struct store_issuer *i, struct err *e)
{
	return rollover_is_state(i, ISSUER_STANDBY)
		   ? rollover_put_state(d, i->name, ISSUER_TRUSTED, 0, e)
		   : 0;
}

int
rollover_trust_side(struct domain *d, const struct rollover_sides *s, struct err *e)
{
	if (s->has_to_root && trust(d, &s->to_root, e))
		return -1;
	return trust(d, &s->to, e);
}

/* ---- groups ---------------------------------------------------------------------------
 */

/* What is done for a CA is not always right for its root, which may have other CAs. */
int
rollover_edit_groups(struct domain *d, const struct rollover_sides *s,
    rollover_edit *of_cas, rollover_edit *of_roots, struct err *e)
{
	const struct rollover_pair cas = {&s->from, &s->to};
	const struct rollover_pair roots = {&s->from_root, &s->to_root};
	if (of_cas(d, &cas, e))
		return -1;
	return s->has_roots ? of_roots(d, &roots, e) : 0;
}

int
rollover_check_beside(struct domain *d, const struct rollover_pair *p, struct err *e)
{
	return rollover_group_check(d, p, false, e);
}

int
rollover_check_instead(struct domain *d, const struct rollover_pair *p, struct err *e)
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
	if (rollover_is_state(to, ISSUER_ACTIVE))
		return err_set(e, ERR_CONFLICT, "%s is active already", to->name);
	if (rollover_is_state(to, ISSUER_RETIRED) ||
	    rollover_is_state(to, ISSUER_REVOKED))
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
	struct rollover_sides s;
	if (rollover_open_of_purpose(d, to, &r, e))
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
	struct rollover_sides s;
	if (store_issuer_by_name(d->store, arena_str(d->arena, to), d->arena, &s.to, e)) {
		if (e->code == ERR_NOT_FOUND)
			return err_set(e, ERR_NOT_FOUND,
			    "there is no CA '%.*s': make it known first (muster ca)",
			    SPAN_FMT(span_head(to, 40)));
		return -1;
	}
	if (check_none_open(d, &s.to, e) || check_to(d, &s.to, e) ||
	    find_from(d, from, &s.to, &s.from, e) || rollover_load_roots(d, &s, e) ||
	    rollover_edit_groups(d, &s, rollover_check_beside, rollover_check_beside, e))
		return -1;
	struct store_rollover r = {.from_issuer = s.from.sha256,
	    .to_issuer = s.to.sha256,
	    .state = rollover_state_name(ROLLOVER_READY),
	    .spread_ms = spread_ms,
	    .started_ms = domain_now(d)};
	if (rollover_trust_side(d, &s, e) ||
	    rollover_edit_groups(d, &s, rollover_group_add, rollover_group_add, e) ||
	    store_rollover_put(d->store, &r, e))
		return -1;
	return rollover_open_of_purpose(d, &s.from, ret, e); /* with its number */
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
	if (rollover_is_in(r, ROLLOVER_EMERGENCY))
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
	if (rollover_is_in(r, ROLLOVER_READY)) {
		if (rollover_put_state(d, to.name, ISSUER_ACTIVE, 0, e))
			return -1;
		rollover_move(&n, ROLLOVER_MOVING);
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
retire_root(
    struct domain *d, const struct rollover_sides *s, bool *ret_gone, struct err *e)
{
	bool needed;
	*ret_gone = false;
	if (!s->has_roots ||
	    issuer_root_is_needed(d, &s->from_root, s->from.sha256, &needed, e))
		return s->has_roots ? -1 : 0;
	if (needed || !rollover_is_state(&s->from_root, ISSUER_TRUSTED))
		return 0;
	*ret_gone = true;
	if (rollover_put_state(d, s->from_root.name, ISSUER_RETIRING, 0, e))
		return -1;
	return rollover_put_state(d, s->from_root.name, ISSUER_RETIRED, 0, e);
}

static int
retire(struct domain *d, const struct rollover_sides *s, struct err *e)
{
	bool gone;
	const struct rollover_pair cas = {&s->from, &s->to};
	const struct rollover_pair roots = {&s->from_root, &s->to_root};
	if (!rollover_is_state(&s->from, ISSUER_REVOKED) &&
	    rollover_put_state(d, s->from.name, ISSUER_RETIRED, 0, e))
		return -1;
	if (rollover_group_replace(d, &cas, e) || retire_root(d, s, &gone, e))
		return -1;
	return gone ? rollover_group_replace(d, &roots, e) : 0;
}

int
rollover_end(
    struct domain *d, struct store_rollover *r, enum rollover_state as, struct err *e)
{
	struct store_rollover n = *r;
	rollover_move(&n, as);
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
	struct rollover_sides s;
	if (rollover_is_in(r, ROLLOVER_READY))
		return err_set(e, ERR_CONFLICT,
		    "nothing was moved yet: muster ca rollover wave, or stop");
	if (load_sides(d, r, &s, e) || (!force && gate_finish(&s.from, c, e)) ||
	    retire(d, &s, e))
		return -1;
	return rollover_end(d, r, ROLLOVER_FINISHED, e);
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
	struct rollover_sides s;
	bool issued;
	if (rollover_is_in(r, ROLLOVER_EMERGENCY))
		return err_set(e, ERR_CONFLICT, "its CA is revoked, for ever");
	if (load_sides(d, r, &s, e) || has_issued(d, s.to.sha256, &issued, e))
		return -1;
	if (rollover_is_state(&s.to, ISSUER_ACTIVE) &&
	    (rollover_put_state(d, s.from.name, ISSUER_ACTIVE, 0, e) ||
		rollover_put_state(d, s.to.name, ISSUER_TRUSTED, 0, e)))
		return -1;
	if (!issued &&
	    rollover_edit_groups(d, &s, rollover_group_undo, rollover_group_undo, e))
		return -1;
	return rollover_end(d, r, ROLLOVER_STOPPED, e);
}
