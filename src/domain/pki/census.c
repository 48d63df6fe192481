/*
 * The count itself: phases, each a walk over one index in pages.
 */
#include "domain/pki/census.h"

#include <stdio.h>
#include <string.h>

#include "base/hex.h"
#include "codec/ca_conf.h"
#include "crypto/digest.h"
#include "crypto/profile.h"
#include "domain/pki/issuer.h"
#include "domain/pki/issuer_root.h"

#define DEVICE_ARENA (4 << 20) /* one identity with its twin */

enum phase {
	PHASE_OLD,   /* what used the old CA last */
	PHASE_NEW,   /* what used the new one's */
	PHASE_ALL,   /* service: every device's report */
	PHASE_CERTS, /* final: what is still valid of the old CA */
	PHASE_END
};

int64_t
census_place(struct span device_id)
{
	uint8_t sha[DIGEST_SHA256];
	digest_sha256(device_id, sha);
	struct cursor at = cursor_of(span_of(sha + 8, 4)); /* others spread by the head */
	return cursor_u32(&at) % CENSUS_ALL;
}

int
census_init(struct census *c, struct domain *d, const struct store_rollover *r,
    enum census_kind kind, struct err *e)
{
	struct store_issuer from, to = {.purpose = ""}, root_from, root_to;
	bool has_old, has_new = false;
	struct census n = {.kind = kind,
	    .share = r->share,
	    .wave_ms = r->wave_ms,
	    .window_end_ms = r->share ? r->wave_ms + r->spread_ms : 0,
	    .now_ms = domain_now(d),
	    .alive_ms = domain_now(d) - d->cfg->pki.rollover_seen_ms};
	if (store_issuer_get(d->store, r->from_issuer, d->arena, &from, e) ||
	    issuer_root_of(d, &from, &root_from, &has_old, e))
		return -1;
	if (r->to_issuer[0] &&
	    (store_issuer_get(d->store, r->to_issuer, d->arena, &to, e) ||
		issuer_root_of(d, &to, &root_to, &has_new, e)))
		return -1;
	snprintf(n.from, sizeof(n.from), "%s", r->from_issuer);
	snprintf(n.to, sizeof(n.to), "%s", r->to_issuer);
	n.is_service = strcmp(from.purpose, ca_conf_purpose_name(CA_SERVICE)) == 0;
	if (has_new)
		snprintf(n.root, sizeof(n.root), "%s", root_to.sha256);
	n.same_root = has_old && has_new && strcmp(root_from.sha256, root_to.sha256) == 0;
	*c = n;
	return 0;
}

/* ---- what a row means -----------------------------------------------------------------
 */

static int64_t
heard_ms(const struct store_device_cert *row)
{
	return row->seen_ms > row->report_ms ? row->seen_ms : row->report_ms;
}

static bool
has_anchor(const struct store_device_cert *row, const char *hex)
{
	uint8_t sha[DIGEST_SHA256];
	struct err e;
	if (hex_parse(span_str(hex), sha, sizeof(sha), &e))
		return false;
	for (struct span rest = row->anchors; rest.len >= sizeof(sha);
	     rest = span_skip(rest, sizeof(sha)))
		if (span_eq(span_head(rest, sizeof(sha)), span_of(sha, sizeof(sha))))
			return true;
	return false;
}

/* A CA below a root that they had already changes nothing for devices. */
static bool
lacks_anchor(const struct census *c, const struct store_device_cert *row)
{
	if (!c->is_service || c->same_root || heard_ms(row) < c->alive_ms)
		return false;
	return !has_anchor(row, c->to) && !has_anchor(row, c->root);
}

bool
census_is_in(
    const struct census *c, enum census_list l, const struct store_device_cert *row)
{
	if (l == CENSUS_LACKING)
		return lacks_anchor(c, row);
	if (strcmp(row->issuer, c->from) != 0)
		return false;
	if (l == CENSUS_ON_OLD)
		return true;
	if (census_place(span_str(row->device_id)) >= c->share)
		return false;
	if (l == CENSUS_SILENT)
		return heard_ms(row) < c->wave_ms;
	return c->now_ms > c->window_end_ms && row->report_ms >= c->wave_ms;
}

int
census_list_parse(struct span name, enum census_list *ret, struct err *e)
{
	static const char *const names[] = {[CENSUS_ON_OLD] = "old",
	    [CENSUS_SILENT] = "silent",
	    [CENSUS_OVERDUE] = "overdue",
	    [CENSUS_LACKING] = "lacking"};
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (!span_eq_str(name, names[i]))
			continue;
		*ret = (enum census_list)i;
		return 0;
	}
	return err_set(e, ERR_PARSE,
	    "list '%.*s' is none of old, silent, overdue, lacking",
	    SPAN_FMT(span_head(name, 40)));
}

static void
add_name(struct census_names *l, const char *id)
{
	if (l->n < CENSUS_NAMES)
		snprintf(l->v[l->n++], sizeof(l->v[0]), "%s", id);
}

/* ---- phases ---------------------------------------------------------------------------
 */

/* One page under way. */
struct page {
	struct domain *d;
	struct census *c;
	struct arena *arena; /* of one row */
	int64_t seen;
};

/* Whether the identity would be let in at all. */
static int
is_enabled(struct page *p, const char *id, bool *ret, bool *ret_known, struct err *e)
{
	struct store_device dev;
	arena_reset(p->arena);
	*ret = *ret_known = false;
	if (store_device_get(p->d->store, id, p->arena, &dev, e))
		return e->code == ERR_NOT_FOUND ? 0 : -1;
	*ret = dev.enabled;
	*ret_known = true;
	return 0;
}

static void
count_called(struct census *c, const struct store_device_cert *row)
{
	c->called++;
	c->wave += heard_ms(row) >= c->alive_ms;
	c->silent += census_is_in(c, CENSUS_SILENT, row);
	if (!census_is_in(c, CENSUS_OVERDUE, row))
		return;
	c->overdue++;
	add_name(&c->is_overdue, row->device_id);
}

static int
visit_old(void *ctx, const struct store_device_cert *row, struct err *e)
{
	struct page *p = ctx;
	struct census *c = p->c;
	bool enabled = true, known = true;
	p->seen++;
	snprintf(c->after, sizeof(c->after), "%s", row->device_id);
	if (c->kind == CENSUS_FINAL && is_enabled(p, row->device_id, &enabled, &known, e))
		return -1;
	if (!enabled) {
		c->disabled += known;
		return 0;
	}
	c->old++;
	add_name(&c->on_old, row->device_id);
	c->mute += row->report_ms == 0;
	c->ended += row->not_after_ms < c->now_ms;
	if (heard_ms(row) > c->last_old_ms)
		c->last_old_ms = heard_ms(row);
	if (census_place(span_str(row->device_id)) < c->share)
		count_called(c, row);
	return 0;
}

static int
visit_new(void *ctx, const struct store_device_cert *row, struct err *e)
{
	struct page *p = ctx;
	struct census *c = p->c;
	(void)e;
	p->seen++;
	snprintf(c->after, sizeof(c->after), "%s", row->device_id);
	c->moved++;
	if (heard_ms(row) < c->alive_ms ||
	    census_place(span_str(row->device_id)) >= c->share)
		return 0;
	c->wave++;
	c->wave_moved++;
	return 0;
}

static int
visit_report(void *ctx, const struct store_device_cert *row, struct err *e)
{
	struct page *p = ctx;
	struct census *c = p->c;
	(void)e;
	p->seen++;
	snprintf(c->after, sizeof(c->after), "%s", row->device_id);
	if (!lacks_anchor(c, row))
		return 0;
	c->lacking_anchor++;
	add_name(&c->lacking, row->device_id);
	return 0;
}

/* A device that is on the old CA was counted by what it used last. */
static int
count_loose(struct page *p, const struct store_cert *cert, struct err *e)
{
	bool enabled, known;
	struct census *c = p->c;
	struct store_device_cert used;
	if (is_enabled(p, cert->subject, &enabled, &known, e))
		return -1;
	c->disabled += known && !enabled;
	if (!enabled)
		return 0;
	if (store_device_cert_get(p->d->store, cert->subject, p->arena, &used, e)) {
		if (e->code != ERR_NOT_FOUND)
			return -1;
	} else if (strcmp(used.issuer, c->from) == 0)
		return 0;
	c->loose++;
	add_name(&c->loose_names, cert->subject);
	return 0;
}

static int
count_operator(struct page *p, const struct store_cert *cert, struct err *e)
{
	struct store_operator op;
	arena_reset(p->arena);
	if (store_operator_get(p->d->store, cert->sha256, p->arena, &op, e))
		return e->code == ERR_NOT_FOUND ? 0 : -1;
	if (!op.enabled)
		return 0;
	p->c->operators++;
	add_name(&p->c->operator_names, op.name);
	return 0;
}

static int
visit_cert(void *ctx, const struct store_cert *cert, struct err *e)
{
	struct page *p = ctx;
	p->seen++;
	p->c->after_n = cert->n;
	if (cert->revoked_ms || cert->superseded_ms)
		return 0;
	if (strcmp(cert->profile, profile_get(PROFILE_DEVICE)->name) == 0)
		return count_loose(p, cert, e);
	if (strcmp(cert->profile, profile_get(PROFILE_OPERATOR)->name) == 0)
		return count_operator(p, cert, e);
	return 0;
}

static int
walk_certs(struct page *p, int64_t rows, struct err *e)
{
	const struct store_cert_filter f = {.after = p->c->after_n,
	    .subject = "",
	    .issuer = p->c->from,
	    .key_sha256 = "",
	    .profile = "",
	    .expires_after_ms = p->c->now_ms,
	    .limit = rows};
	return store_cert_find(p->d->store, &f, visit_cert, p, e);
}

static int
walk_devices(struct page *p, int64_t rows, struct err *e)
{
	static int (*const visitors[])(
	    void *, const struct store_device_cert *, struct err *) = {
	    [PHASE_OLD] = visit_old, [PHASE_NEW] = visit_new, [PHASE_ALL] = visit_report};
	const char *const issuers[] = {
	    [PHASE_OLD] = p->c->from, [PHASE_NEW] = p->c->to, [PHASE_ALL] = ""};
	const struct store_device_cert_filter f = {.after = p->c->after,
	    .issuer = issuers[p->c->phase],
	    .key_sha256 = "",
	    .limit = rows};
	return store_device_cert_each(p->d->store, &f, visitors[p->c->phase], p, e);
}

/* Is there anything to look at in it? */
static bool
is_wanted(const struct census *c, int phase)
{
	switch ((enum phase)phase) {
	case PHASE_NEW:
		return c->to[0] != '\0';
	case PHASE_ALL:
		return c->is_service && !c->same_root;
	case PHASE_CERTS:
		return c->kind == CENSUS_FINAL;
	default:
		return true;
	}
}

int
census_step(
    struct domain *d, struct census *c, int64_t rows, bool *ret_more, struct err *e)
{
	auto_(arena_free) struct arena *a = arena_new(DEVICE_ARENA);
	while (c->phase < PHASE_END && rows > 0) {
		struct page p = {.d = d, .c = c, .arena = a};
		if (is_wanted(c, c->phase) &&
		    (c->phase == PHASE_CERTS ? walk_certs : walk_devices)(&p, rows, e))
			return -1;
		rows -= p.seen;
		if (rows <= 0)
			break; /* perhaps there is more of it */
		c->phase++;
		c->after[0] = '\0';
		rows--;
	}
	*ret_more = c->phase < PHASE_END;
	return 0;
}

int64_t
census_eta_ms(const struct census *c)
{
	if (!c->window_end_ms || !c->called)
		return 0;
	if (c->now_ms <= c->window_end_ms)
		return c->window_end_ms;
	if (!c->wave_moved)
		return 0;
	int64_t each_ms = (c->now_ms - c->wave_ms) / c->wave_moved;
	return c->now_ms + each_ms * c->called;
}
