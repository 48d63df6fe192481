/*
 * Renewal as the server sees it.
 */
#include "domain/pki/renew.h"

#include <string.h>

#include "base/hex.h"
#include "crypto/chain.h"
#include "crypto/digest.h"
#include "crypto/profile.h"
#include "domain/compliance.h"
#include "domain/pki/leaf.h"
#include "domain/pki/revoke.h"
#include "domain/pki/rollover.h"
#include "domain/hub/hubs.h"
#include "domain/pki/trust.h"

#define SPREAD_SHARE  10 /* of the life, at least, over which renewals are spread */
#define WINDOW_SHARE  20 /* of the spread: one device's window */
#define POLL_SHARE    100
#define POLL_MIN_S    5
#define POLL_MAX_S    (6 * 3600)
#define HASH_FRACTION (1u << 20)

/* ---- when -------------------------------------------------------------------------- */

/* Where the ID lies in [0, HASH_FRACTION), the same on every node and after every start.
 */
static int64_t
fraction(struct span device_id)
{
	uint8_t sha[DIGEST_SHA256];
	digest_sha256(device_id, sha);
	uint32_t v = (uint32_t)sha[0] << 16 | (uint32_t)sha[1] << 8 | sha[2];
	return v % HASH_FRACTION;
}

void
renew_spread(struct span device_id, int64_t not_before_ms, int64_t not_after_ms,
    int64_t renew_before_ms, struct renew_window *ret)
{
	int64_t life = not_after_ms - not_before_ms;
	int64_t lead = renew_before_ms < life / 3 ? renew_before_ms : life / 3;
	int64_t width = lead / 3 > life / SPREAD_SHARE ? lead / 3 : life / SPREAD_SHARE;
	int64_t last = not_after_ms - lead + lead / 3;
	int64_t window = width / WINDOW_SHARE;
	int64_t at =
	    (width - window) / HASH_FRACTION * fraction(device_id) +
	    (width - window) % HASH_FRACTION * fraction(device_id) / HASH_FRACTION;
	ret->start_ms = last - width + at;
	ret->end_ms = ret->start_ms + window;
	ret->reason = "scheduled";
}

uint32_t
renew_poll_s(int64_t not_before_ms, int64_t not_after_ms)
{
	int64_t s = (not_after_ms - not_before_ms) / POLL_SHARE / 1000;
	if (s < POLL_MIN_S)
		return POLL_MIN_S;
	return s > POLL_MAX_S ? POLL_MAX_S : (uint32_t)s;
}

static const char *
hex_of(struct domain *d, struct span raw)
{
	char *text = arena_alloc(d->arena, 2 * raw.len + 1);
	hex_write(raw, text);
	return text;
}

/* A CA that the signer has not named (a row of an older version) is in no state. */
static int
issuer_state(struct domain *d, const char *sha256, const char **ret, struct err *e)
{
	struct store_issuer i;
	*ret = "";
	if (store_issuer_get(d->store, sha256, d->arena, &i, e))
		return e->code == ERR_NOT_FOUND ? 0 : -1;
	*ret = i.state;
	return 0;
}

static int
is_issuer_revoked(struct domain *d, const char *sha256, bool *ret, struct err *e)
{
	const char *state;
	if (issuer_state(d, sha256, &state, e))
		return -1;
	*ret = strcmp(state, "revoked") == 0;
	return 0;
}

/* A rollover calls sooner than the calendar would; one that is called later still goes
 * by the calendar, and gets the new CA's certificate as well. */
static int
add_call(struct domain *d, const struct ipc_cred *cred, const char *issuer,
    struct renew_window *w, struct err *e)
{
	struct rollover_call call;
	if (rollover_call(d, cred->cn, issuer, &call, e))
		return -1;
	w->poll_ms = call.poll_ms;
	if (!call.called || (call.start_ms >= w->start_ms && w->start_ms))
		return 0;
	w->start_ms = call.start_ms;
	w->end_ms = call.end_ms;
	w->reason = call.reason;
	return 0;
}

int
renew_window(struct domain *d, const struct ipc_cred *cred, const struct store_cert *ours,
    struct renew_window *ret, struct err *e)
{
	int64_t now = domain_now(d);
	struct renew_window w = {.reason = ""};
	bool revoked = false;
	if (ours && is_issuer_revoked(d, ours->issuer, &revoked, e))
		return -1;
	if (!revoked)
		renew_spread(cred->cn, cred->not_before_ms, cred->not_after_ms,
		    d->cfg->pki.renew_before_ms, &w);
	if (now > cred->not_after_ms)
		w = (struct renew_window){now, now, 0, "expired"};
	else if (add_call(
		     d, cred, ours ? ours->issuer : hex_of(d, leaf_ca(cred, 0)), &w, e))
		return -1;
	if (!w.start_ms) /* of a revoked CA that no rollover began at */
		w = (struct renew_window){now, now, 0, "issuer revoked"};
	*ret = w;
	return 0;
}

/* ---- what a certificate is good for ------------------------------------------------ */

/* Its SHA-256 is over every byte of it, so whoever made another under the same name and
 * serial number is somebody else (field/reliability.md row 13). */
static int
find(struct domain *d, const struct ipc_cred *cred, struct renew_cert *ret, struct err *e)
{
	char sha[LEAF_THUMB];
	leaf_thumb(cred, sha);
	ret->ours = false;
	if (!sha[0])
		return 0;
	if (store_cert_by_sha256(d->store, sha, d->arena, &ret->cert, e))
		return e->code == ERR_NOT_FOUND ? 0 : -1;
	ret->ours = strcmp(ret->cert.profile, profile_get(PROFILE_DEVICE)->name) == 0 &&
		    span_eq_str(cred->serial, ret->cert.serial) &&
		    span_eq_str(cred->cn, ret->cert.subject);
	return 0;
}

static bool
is_late(const struct domain *d, const struct ipc_cred *cred)
{
	return domain_now(d) > cred->not_after_ms &&
	       (cred->verdict == CHAIN_EXPIRED || cred->verdict == CHAIN_OK);
}

/* A revoked CA is no anchor any more, so its chains end nowhere. */
static int
is_orphan(struct domain *d, const struct ipc_cred *cred, const struct store_cert *c,
    bool *ret, struct err *e)
{
	int64_t now = domain_now(d);
	*ret = false;
	if (cred->verdict != CHAIN_UNKNOWN_ISSUER || now > cred->not_after_ms ||
	    now < cred->not_before_ms)
		return 0;
	return is_issuer_revoked(d, c->issuer, ret, e);
}

int
renew_stand(struct domain *d, const struct ipc_cred *cred, struct renew_cert *ret,
    struct refusal *no, struct err *e)
{
	bool orphan = false;
	ret->standing = RENEW_GOOD;
	if (find(d, cred, ret, e))
		return -1;
	if (ret->ours && is_late(d, cred)) {
		ret->standing = RENEW_LATE;
		return 0;
	}
	if (ret->ours && is_orphan(d, cred, &ret->cert, &orphan, e))
		return -1;
	if (orphan) {
		ret->standing = RENEW_ORPHAN;
		return 0;
	}
	return leaf_check_chain(d, cred, no, e);
}

/* What was issued while the CA was in other hands may be theirs. */
static int
check_moment(
    struct domain *d, const struct store_cert *c, struct refusal *no, struct err *e)
{
	bool before;
	if (rollover_is_before_compromise(d, c, &before, e))
		return -1;
	if (before)
		return 0;
	return refusal_set(no, REFUSAL_ISSUER_REVOKED,
	    "%s: issued after its CA was compromised", c->subject);
}

int
renew_check_revoked(struct domain *d, const struct ipc_cred *cred,
    const struct renew_cert *c, struct refusal *no, struct err *e)
{
	const char *state;
	if (c->standing == RENEW_GOOD)
		return revoke_check_renewal(d, cred, no, e);
	if (c->cert.revoked_ms)
		return refusal_set(no, REFUSAL_CERT_REVOKED, "%s", c->cert.subject);
	if (c->standing == RENEW_ORPHAN)
		return check_moment(d, &c->cert, no, e);
	if (issuer_state(d, c->cert.issuer, &state, e))
		return -1;
	if (strcmp(state, "revoked") == 0 || strcmp(state, "retired") == 0)
		return refusal_set(
		    no, REFUSAL_ISSUER_REVOKED, "issuer of %s", c->cert.subject);
	return 0;
}

int
renew_check_late(struct domain *d, const struct store_cert *c, bool same_key,
    struct refusal *no, struct err *e)
{
	char when[CLOCK_TEXT];
	struct store_allow allow;
	int64_t now = domain_now(d);
	clock_iso(c->not_after_ms, 0, when);
	if (d->cfg->est.expired == CONFIG_EXPIRED_REFUSE)
		return refusal_set(
		    no, REFUSAL_EST_EXPIRED, "it ended %s; est.expired = refuse", when);
	if (now - c->not_after_ms > d->cfg->est.grace_ms)
		return refusal_set(
		    no, REFUSAL_EST_EXPIRED, "it ended %s, est.grace is over", when);
	if (c->superseded_ms)
		return refusal_set(
		    no, REFUSAL_EST_EXPIRED, "the device has used a newer one");
	if (!same_key)
		return refusal_set(no, REFUSAL_EST_EXPIRED,
		    "the request is for another key than the expired certificate's");
	if (d->cfg->est.expired == CONFIG_EXPIRED_GRACE)
		return 0;
	if (renew_allow_get(d, c->subject, &allow, e))
		return -1;
	if (allow.until_ms > now)
		return 0;
	return refusal_set(no, REFUSAL_EST_EXPIRED,
	    "it ended %s; nobody allowed %s to renew it now", when, c->subject);
}

/* ---- check-in ---------------------------------------------------------------------- */

static int
check_device(struct domain *d, const struct ipc_cred *cred, const struct renew_cert *c,
    struct refusal *no, struct err *e)
{
	const char *id = arena_str(d->arena, cred->cn);
	struct store_device dev;
	enum trust ignored;
	if (store_device_get(d->store, id, d->arena, &dev, e)) {
		if (e->code != ERR_NOT_FOUND)
			return -1;
		return refusal_set(no, REFUSAL_DEVICE_UNKNOWN, "%s", id);
	}
	if (!dev.enabled)
		return refusal_set(no, REFUSAL_DEVICE_DISABLED, "%s", id);
	if (c->standing != RENEW_GOOD)
		return 0;
	return trust_check(d, cred, hubs_of(d->cfg, &dev), &ignored, no, e);
}

/* A device that checks in before its first connection to the hub, which first_ms is of.
 */
static struct store_device_cert
first_row(struct domain *d, const struct ipc_checkin *m, const struct renew_cert *c)
{
	return (struct store_device_cert){.device_id = arena_str(d->arena, m->cred.cn),
	    .sha256 = hex_of(d, m->cred.sha256),
	    .issuer = c->ours ? c->cert.issuer : hex_of(d, leaf_ca(&m->cred, 0)),
	    .serial = arena_str(d->arena, m->cred.serial),
	    .key_sha256 = hex_of(d, m->cred.key_sha256),
	    .not_after_ms = m->cred.not_after_ms,
	    .seen_ms = domain_now(d),
	    .peer = arena_str(d->arena, m->peer.address),
	    .traits = compliance_traits(&m->cred)};
}

static int
keep_report(struct domain *d, const struct ipc_checkin *m, const struct renew_cert *c,
    struct err *e)
{
	struct store_device_cert row;
	const char *id = arena_str(d->arena, m->cred.cn);
	if (store_device_cert_get(d->store, id, d->arena, &row, e)) {
		if (e->code != ERR_NOT_FOUND)
			return -1;
		row = first_row(d, m, c);
	}
	row.custody = arena_str(d->arena, m->custody);
	row.report_key = hex_of(d, m->cred.key_sha256);
	row.generation = arena_str(d->arena, m->generation);
	row.anchors = m->anchors;
	row.agent = arena_str(d->arena, m->peer.agent);
	row.report_ms = domain_now(d);
	row.clock_off_ms = m->clock_ms ? m->clock_ms - row.report_ms : 0;
	return store_device_cert_put(d->store, &row, e);
}

static int
check_in(struct domain *d, const struct ipc_checkin *m, struct renew_cert *c,
    struct refusal *no, struct err *e)
{
	if (m->cred.kind != CRED_X509)
		return refusal_set(no, REFUSAL_NO_CREDENTIAL, "check-in");
	if (renew_stand(d, &m->cred, c, no, e))
		return -1;
	if (no->code == REFUSAL_NONE && renew_check_revoked(d, &m->cred, c, no, e))
		return -1;
	if (no->code != REFUSAL_NONE)
		return 0;
	return check_device(d, &m->cred, c, no, e);
}

/* While a rollover is under way devices ask often enough to hear of its waves. */
static uint32_t
poll_s(const struct ipc_cred *cred, const struct renew_window *w)
{
	uint32_t s = renew_poll_s(cred->not_before_ms, cred->not_after_ms);
	if (!w->poll_ms || w->poll_ms / 1000 >= s)
		return s;
	return w->poll_ms / 1000 < POLL_MIN_S ? POLL_MIN_S
					      : (uint32_t)(w->poll_ms / 1000);
}

int
renew_checkin(struct domain *d, const struct ipc_checkin *m, struct ipc_renewal *ret,
    struct refusal *no, struct err *e)
{
	struct renew_cert c;
	struct renew_window w;
	*no = (struct refusal){0};
	if (check_in(d, m, &c, no, e))
		return -1;
	if (no->code != REFUSAL_NONE)
		return 0;
	if (keep_report(d, m, &c, e) ||
	    compliance_check_custody(d, arena_str(d->arena, m->custody), no, e))
		return -1;
	if (no->code != REFUSAL_NONE)
		return 0;
	if (renew_window(d, &m->cred, c.ours ? &c.cert : NULL, &w, e))
		return -1;
	*ret = (struct ipc_renewal){.now_ms = domain_now(d),
	    .start_ms = w.start_ms,
	    .end_ms = w.end_ms,
	    .poll_s = poll_s(&m->cred, &w),
	    .reason = span_str(w.reason)};
	return 0;
}

/* ---- quarantine -------------------------------------------------------------------- */

int
renew_allow_get(
    struct domain *d, const char *device_id, struct store_allow *ret, struct err *e)
{
	if (store_allow_get(d->store, device_id, d->arena, ret, e) == 0)
		return 0;
	*ret = (struct store_allow){.device_id = device_id, .added_by = ""};
	return e->code == ERR_NOT_FOUND ? 0 : -1;
}

/* A row that says nothing goes. */
static int
keep(struct domain *d, const struct store_allow *w, struct err *e)
{
	if (w->until_ms || w->quarantined_ms)
		return store_allow_put(d->store, w, e);
	if (store_allow_del(d->store, w->device_id, e) && e->code != ERR_NOT_FOUND)
		return -1;
	return 0;
}

int
renew_allow_put(struct domain *d, const struct ipc_allow_put *m, const char *by,
    struct store_allow *ret, struct err *e)
{
	struct store_device dev;
	const char *id = arena_str(d->arena, m->device_id);
	struct store_allow w;
	if (store_device_get(d->store, id, d->arena, &dev, e) ||
	    renew_allow_get(d, dev.id, &w, e))
		return -1;
	if (m->release)
		w.quarantined_ms = 0;
	else
		w.until_ms = m->until_ms;
	w.added_by = by;
	if (keep(d, &w, e))
		return -1;
	*ret = w;
	return 0;
}

int
renew_quarantine(struct domain *d, const char *device_id, bool in, struct err *e)
{
	struct store_allow w;
	if (renew_allow_get(d, device_id, &w, e))
		return -1;
	if (in && !w.quarantined_ms)
		w.quarantined_ms = domain_now(d);
	if (!in)
		w.quarantined_ms = 0;
	return keep(d, &w, e);
}
